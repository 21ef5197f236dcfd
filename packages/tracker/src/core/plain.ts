/**
 * Plain data: what metadata and start specs may be made of, and how large it is. The same walk judges what a user
 * gives (where the fault names the field) and what a peer sent, so a value that one node accepts every node accepts.
 *
 * Sizes follow msgpack's largest header for each type: an upper bound of what is sent, not the exact number.
 */
import { utf8Length } from './name.js'

/** Most bytes of a name's or group member's metadata: it is held by every node. */
export const metaMaxBytes: number = 4 * 1024

/** Most bytes of a start spec: it is held by every node, for the restart elsewhere. */
export const specMaxBytes: number = 32 * 1024

/** Deepest nesting: bounds the recursion here and in every node that walks the value. */
export const plainMaxDepth = 32

/**
 * What keeps `value` from being sent, as a sentence that names the field below `path`; undefined when it is plain data
 * (undefined, null, booleans, numbers, strings, bigints of 64 bits, Uint8Array, arrays and plain objects of
 * these) of at most `maxBytes`.
 */
export function plainFault(value: unknown, maxBytes: number, path: string): PlainFault | undefined {
  const walk: Walk = { left: maxBytes, maxBytes, fault: undefined }
  visit(walk, value, path, 0)
  return walk.fault
}

/** How many bytes plain data takes at most; more than any limit for what is no plain data. */
export function plainBytes(value: unknown): number {
  const walk: Walk = { left: Number.MAX_SAFE_INTEGER, maxBytes: Number.MAX_SAFE_INTEGER, fault: undefined }
  visit(walk, value, '', 0)
  return walk.fault === undefined ? walk.maxBytes - walk.left : Number.MAX_SAFE_INTEGER
}

export interface PlainFault {
  readonly kind: 'kind' | 'size'
  readonly text: string
}

interface Walk {
  left: number
  readonly maxBytes: number
  fault: PlainFault | undefined
}

function visit(walk: Walk, value: unknown, path: string, depth: number): void {
  if (walk.fault !== undefined) return
  switch (typeof value) {
    case 'undefined':
    case 'boolean':
      spend(walk, 3, path)
      return
    case 'number':
      spend(walk, 9, path)
      return
    case 'string':
      visitString(walk, value, path)
      return
    case 'bigint':
      if (BigInt.asIntN(64, value) !== value && BigInt.asUintN(64, value) !== value) {
        refuse(walk, path, 'is a bigint of more than 64 bits')
        return
      }
      spend(walk, 9, path)
      return
    case 'object':
      visitObject(walk, value, path, depth)
      return
    default:
      refuse(walk, path, `is a ${typeof value}, which cannot be sent`)
  }
}

function visitString(walk: Walk, value: string, path: string): void {
  // The length is checked first, so that a huge string is not walked to learn that it is huge.
  if (value.length > walk.left) {
    spend(walk, value.length, path)
    return
  }
  const bytes = utf8Length(value)
  if (bytes === undefined) {
    refuse(walk, path, 'is not well-formed Unicode')
    return
  }
  spend(walk, bytes + 5, path)
}

function visitObject(walk: Walk, value: object | null, path: string, depth: number): void {
  if (value === null) {
    spend(walk, 1, path)
    return
  }
  if (depth >= plainMaxDepth) {
    refuse(walk, path, `is nested deeper than ${plainMaxDepth} (or contains itself)`)
    return
  }
  if (value instanceof Uint8Array) {
    spend(walk, value.byteLength + 5, path)
    return
  }
  spend(walk, 5, path)
  if (Array.isArray(value)) {
    visitArray(walk, value, path, depth)
    return
  }
  if (!isPlainObject(value)) {
    refuse(walk, path, `is a ${className(value)}, which is not plain data`)
    return
  }
  for (const key of Object.keys(value)) {
    if (walk.fault !== undefined) return
    // The wire would rename this key.
    if (key === '__proto__') {
      refuse(walk, `${path}.${key}`, 'has a key that cannot be sent')
      return
    }
    visitString(walk, key, path)
    visit(walk, (value as Record<string, unknown>)[key], `${path}.${key}`, depth + 1)
  }
}

function visitArray(walk: Walk, value: readonly unknown[], path: string, depth: number): void {
  for (let i = 0; i < value.length; i++) {
    if (walk.fault !== undefined) return
    visit(walk, value[i], `${path}[${i}]`, depth + 1)
  }
}

function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

function className(value: object): string {
  const maker: unknown = (value as { constructor?: unknown }).constructor
  return typeof maker === 'function' && maker.name !== '' ? maker.name : 'object of a class'
}

function spend(walk: Walk, bytes: number, path: string): void {
  walk.left -= bytes
  if (walk.left < 0) walk.fault ??= { kind: 'size', text: `${path}: the value is larger than ${walk.maxBytes} bytes` }
}

function refuse(walk: Walk, path: string, text: string): void {
  walk.fault ??= { kind: 'kind', text: `${path} ${text}` }
}
