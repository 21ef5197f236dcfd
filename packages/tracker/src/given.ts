/** What a user gives, checked at the door: a mistake is told at once, with the value in it, and nothing is sent. */
import { SkepError } from '@skep/cluster'
import { nameFault, wireNameFault } from './core/name.js'
import { metaMaxBytes, plainFault } from './core/plain.js'
import type { ClaimOptions } from './surface.js'

export function checkClaim(name: string, { kind, meta }: ClaimOptions): void {
  checkName(name)
  if (kind !== undefined) checkKind(kind)
  checkPlain(meta, metaMaxBytes, 'meta')
}

export function checkName(name: string): void {
  const fault = nameFault(name)
  if (fault !== undefined)
    throw new SkepError('ERR_BAD_NAME', `the name '${String(name).slice(0, 80)}' ${fault}`, { name })
}

export function checkKind(kind: string): void {
  const fault = typeof kind === 'string' ? wireNameFault(kind) : 'is not a string'
  if (fault !== undefined) throw new TypeError(`the kind '${String(kind).slice(0, 80)}' ${fault}`)
}

export function checkWant(want: 'all' | number): void {
  if (want !== 'all' && !(Number.isSafeInteger(want) && want >= 0)) {
    throw new TypeError(`the number of members must be 'all' or a whole number, not ${String(want)}`)
  }
}

export function checkPlain(value: unknown, maxBytes: number, field: string): void {
  let fault: ReturnType<typeof plainFault>
  try {
    fault = plainFault(value, maxBytes, field)
  } catch (cause) {
    // A getter or a proxy of the user's own threw.
    throw new SkepError('ERR_NOT_SENDABLE', `${field} cannot be read`, { cause })
  }
  if (fault !== undefined) throw new SkepError(fault.kind === 'size' ? 'ERR_TOO_LARGE' : 'ERR_NOT_SENDABLE', fault.text)
}
