/** How values pass between two actors of one node: as if over the wire, frozen and shared, or as they are. */
import { copy, copyAll, freeze } from './copy.js'
import { pack } from './encode.js'
import { decodeError, errorParts } from './fault.js'
import { type RefSource, Refused } from './values.js'

/**
 * `copy` (default): both sides get values of their own, as over the wire. `freeze`: plain objects and arrays are frozen
 * and shared. `off`: shared as they are and unchecked; only where all code that runs here is trusted to leave them be.
 */
export type Isolation = 'copy' | 'freeze' | 'off'

/** The arguments of a local call, each isolated in place: the array is the call's own. Throws Refused. */
export function isolateAll(isolation: Isolation, values: unknown[], root: string, refs: RefSource): void {
  if (isolation === 'copy') copyAll(values, root, refs)
  else if (isolation === 'freeze')
    for (let i = 0; i < values.length; i++) values[i] = freeze(values[i], `${root}[${i}]`, refs)
}

/** One value. Throws Refused. */
export function isolate(isolation: Isolation, value: unknown, root: string, refs: RefSource): unknown {
  if (isolation === 'copy') return copy(value, root, refs)
  return isolation === 'freeze' ? freeze(value, root, refs) : value
}

/**
 * Something thrown, as the other side gets it. An error must arrive whatever hangs on it, so fields of it that cannot
 * be sent are left out, where an argument would be refused.
 */
export function isolateThrown(thrown: unknown, refs: RefSource): unknown {
  try {
    return copy(thrown, 'error', refs)
  } catch {
    try {
      return softened(thrown, refs)
    } catch {
      return new Error('the error of the actor could not be read')
    }
  }
}

export function packThrown(thrown: unknown, limit: number, refs: RefSource): Uint8Array {
  try {
    return pack(thrown, 'error', limit)
  } catch {
    try {
      return pack(softened(thrown, refs), 'error', limit)
    } catch {
      return pack(new Error('the error of the actor was too large to send, or could not be read'), 'error', limit)
    }
  }
}

function softened(thrown: unknown, refs: RefSource): unknown {
  if (!(thrown instanceof Error)) return `(${typeof thrown} that cannot be sent)`
  const parts = errorParts(thrown)
  return decodeError({ ...parts, fields: sendable(parts.fields, refs), hidden: sendable(parts.hidden, refs) })
}

function sendable(fields: Record<string, unknown>, refs: RefSource): Record<string, unknown> {
  const kept: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(fields)) {
    try {
      kept[key] = value instanceof Error ? softened(value, refs) : copy(value, key, refs)
    } catch (error) {
      if (!(error instanceof Refused)) throw error
    }
  }
  return kept
}
