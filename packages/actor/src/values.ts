/**
 * Values between actors: what may be sent, and why something may not. A value is kept exactly or refused; there is
 * nothing between. Its bytes are `encode.ts` and `decode.ts`, the copy that stands for sending on one node is `copy.ts`.
 *
 * Kept: primitives (also undefined, NaN, negative zero, bigints of any size), plain objects and arrays, Map, Set, Date,
 * RegExp, errors with code, cause and own fields, all typed arrays, Buffer, ArrayBuffer and DataView, pids and refs.
 * Refused with the path: functions, symbols, promises, instances of classes (subclasses too), cycles, what is nested
 * deeper than `maxDepth`. Left out, as JSON does: keys that are symbols, fields that do not show, what hangs on an array
 * or a Map besides its items. Holes of an array arrive as undefined, accessors as what they gave, objects without a
 * prototype with the usual one, and what is shared as copies.
 *
 * The walks that send know no path. Only when one refused, a second, slow walk finds out which field it was.
 */
import { Buffer } from 'node:buffer'
import { isDate, isMap, isNativeError, isRegExp, isSet } from 'node:util/types'
import { Pid } from '@skep/tracker'
import { errorParts } from './fault.js'
import { addressOf, type Target } from './ref.js'

/** Levels of nesting at most: deeper is a cycle or a mistake, and would end the stack of a receiver. */
export const maxDepth = 200

/** Makes refs belong to the node (and the running call) that received them. */
export interface RefSource {
  /** Undefined where the kind is not known here. */
  refOf(kind: string, target: Target): object | undefined
  /** The ref as this side's own. */
  rebind(ref: object): object
}

/** Why a value was refused, and where: `path` as one would write it. */
export interface Refusal {
  readonly code: 'ERR_NOT_SENDABLE' | 'ERR_TOO_LARGE'
  readonly text: string
  readonly path: string
}

/** Thrown by `pack`, `copy` and `freeze`; the caller turns it into an error of its call. */
export class Refused extends Error {
  readonly refusal: Refusal
  constructor(refusal: Refusal) {
    super(refusal.text)
    this.refusal = refusal
  }
}

/** What the fast walks throw. One object each: the trace would say nothing, and taking it costs. */
export const unsendable: Error = new Error('unsendable')
export const tooLarge: Error = new Error('too large')

/**
 * How the bytes tell what msgpack does not know: an array that begins with the mark and a tag. The mark is a number of
 * one byte that UTF-8 never has; an array of a user that begins with it is such an array itself.
 */
export const mark: number = -8

/** What the array with the mark stands for. Never reuse a number. */
export const tag = {
  array: 0,
  date: 1,
  map: 2,
  set: 3,
  bigint: 4,
  binary: 5,
  error: 6,
  regexp: 7,
  pid: 8,
  ref: 9,
  /** A string that does not survive as UTF-8. */
  utf16: 10,
  /** A plain object with keys that do not survive. */
  plain: 11,
  negativeZero: 12,
} as const

type BinaryMaker = (bytes: ArrayBuffer) => object

/** Views on bytes by their number on the wire; the bytes are those of a little-endian machine. */
export const binaries: readonly { readonly name: string; readonly size: number; readonly make: BinaryMaker }[] = [
  { name: 'Buffer', size: 1, make: (b) => Buffer.from(b) },
  { name: 'Uint8Array', size: 1, make: (b) => new Uint8Array(b) },
  { name: 'Int8Array', size: 1, make: (b) => new Int8Array(b) },
  { name: 'Uint8ClampedArray', size: 1, make: (b) => new Uint8ClampedArray(b) },
  { name: 'Int16Array', size: 2, make: (b) => new Int16Array(b) },
  { name: 'Uint16Array', size: 2, make: (b) => new Uint16Array(b) },
  { name: 'Int32Array', size: 4, make: (b) => new Int32Array(b) },
  { name: 'Uint32Array', size: 4, make: (b) => new Uint32Array(b) },
  { name: 'Float32Array', size: 4, make: (b) => new Float32Array(b) },
  { name: 'Float64Array', size: 8, make: (b) => new Float64Array(b) },
  { name: 'BigInt64Array', size: 8, make: (b) => new BigInt64Array(b) },
  { name: 'BigUint64Array', size: 8, make: (b) => new BigUint64Array(b) },
  { name: 'DataView', size: 1, make: (b) => new DataView(b) },
  { name: 'ArrayBuffer', size: 1, make: (b) => b },
]

const binaryByPrototype = new Map<object, { readonly number: number; readonly make: BinaryMaker }>(
  binaries.map(({ make }, number) => [Object.getPrototypeOf(make(new ArrayBuffer(0))) as object, { number, make }]),
)

/** The bytes of a binary value, whatever view it is. */
export function bytesOf(value: object): Uint8Array {
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  return new Uint8Array(value as ArrayBuffer)
}

/** What an object is, as far as sending goes. */
export type Kind =
  | { readonly is: 'array'; readonly value: readonly unknown[] }
  | { readonly is: 'plain'; readonly value: Record<string, unknown> }
  | { readonly is: 'date'; readonly value: Date }
  | { readonly is: 'map'; readonly value: ReadonlyMap<unknown, unknown> }
  | { readonly is: 'set'; readonly value: ReadonlySet<unknown> }
  | { readonly is: 'regexp'; readonly value: RegExp }
  | { readonly is: 'error'; readonly value: Error }
  | { readonly is: 'binary'; readonly value: object; readonly number: number; readonly make: BinaryMaker }
  | { readonly is: 'pid'; readonly value: Pid }
  | { readonly is: 'ref'; readonly value: object }
  | { readonly is: 'nothing' }

const nothing: Kind = { is: 'nothing' }

/** The one place that says which objects may be sent. */
export function classify(value: object): Kind {
  const prototype = Object.getPrototypeOf(value) as object | null
  if (prototype === Object.prototype || prototype === null) return plainKind(value)
  const binary = binaryByPrototype.get(prototype)
  if (binary !== undefined) return { is: 'binary', value, ...binary }
  if (value instanceof Pid) return { is: 'pid', value }
  if (addressOf(value) !== undefined) return { is: 'ref', value }
  if (isNativeError(value) || value instanceof Error) return { is: 'error', value }
  // Subclasses are not kept, so they are refused; only the base class itself passes, also that of another realm.
  const base = Object.getPrototypeOf(Object.getPrototypeOf(prototype) ?? Object.prototype) === null
  if (!base) return nothing
  if (isDate(value)) return { is: 'date', value }
  if (isMap(value)) return { is: 'map', value }
  if (isSet(value)) return { is: 'set', value }
  if (isRegExp(value)) return { is: 'regexp', value }
  if (Array.isArray(value)) return { is: 'array', value }
  const foreignPlain = Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'hasOwnProperty')
  return foreignPlain ? plainKind(value) : nothing
}

function plainKind(value: object): Kind {
  return { is: 'plain', value: value as Record<string, unknown> }
}

/** Values that need no copy and no check; functions and symbols are none: they are refused where they are walked. */
export function isPrimitive(value: unknown): boolean {
  const type = typeof value
  return type === 'object' ? value === null : type !== 'function' && type !== 'symbol'
}

/** Sets a field whatever its name: `__proto__` would set the prototype instead. */
export function defineField(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
}

/** What a walk that failed with `error` throws: which field it was, or a getter's own error as it is. */
export function refusedFor(error: unknown, value: unknown, root: string, limit: number): unknown {
  if (error === tooLarge) {
    const text = `${root} takes more than ${limit} bytes: send it in parts, as a stream`
    return new Refused({ code: 'ERR_TOO_LARGE', text, path: root })
  }
  if (error !== unsendable && !(error instanceof RangeError)) return error
  const found = findUnsendable(value, root, [])
  const { path, text } = found ?? { path: root, text: 'cannot be sent' }
  return new Refused({ code: 'ERR_NOT_SENDABLE', text: `${path} ${text}`, path })
}

interface Found {
  readonly path: string
  readonly text: string
}

/** The first field that cannot be sent, and what it is. `above` holds the objects on the way, for cycles. */
function findUnsendable(value: unknown, path: string, above: readonly object[]): Found | undefined {
  if (typeof value === 'function') return { path, text: 'is a function and cannot be sent' }
  if (typeof value === 'symbol') return { path, text: 'is a symbol and cannot be sent' }
  if (typeof value !== 'object' || value === null) return undefined
  const at = above.indexOf(value)
  if (at >= 0) return { path, text: 'refers back to an object that holds it: cycles cannot be sent' }
  if (above.length >= maxDepth) return { path, text: `is nested more than ${maxDepth} levels deep` }
  for (const [step, item] of partsOf(value) ?? []) {
    const found = findUnsendable(item, `${path}${step}`, [...above, value])
    if (found !== undefined) return found
  }
  return partsOf(value) === undefined ? { path, text: `is ${article(value)} and cannot be sent` } : undefined
}

function article(value: object): string {
  const name = (Object.getPrototypeOf(value) as { constructor?: { name?: unknown } } | null)?.constructor?.name
  if (value instanceof Promise) return 'a promise (is an await missing?)'
  return typeof name === 'string' && name !== '' ? `an instance of ${name}` : 'an object with a prototype of its own'
}

/** The values inside with the step of the path to each; undefined where the object itself cannot be sent. */
function partsOf(value: object): [string, unknown][] | undefined {
  switch (classify(value).is) {
    case 'array':
      return (value as unknown[]).map((item, i) => [`[${i}]`, item])
    case 'plain':
      return Object.entries(value).map(([key, item]) => [stepTo(key), item])
    case 'map': {
      const entries = [...(value as Map<unknown, unknown>)]
      return entries.flatMap(([key, item], i) => [
        [`.keys()[${i}]`, key],
        [typeof key === 'string' ? `.get(${JSON.stringify(key)})` : `.values()[${i}]`, item],
      ])
    }
    case 'set':
      return [...(value as Set<unknown>)].map((item, i) => [`.values()[${i}]`, item])
    case 'error': {
      const { fields, hidden } = errorParts(value as Error)
      return Object.entries({ ...fields, ...hidden }).map(([key, item]) => [stepTo(key), item])
    }
    case 'ref': {
      const target = addressOf(value)?.target
      return target?.by === 'ensure' ? target.args.map((item, i) => [`.args[${i}]`, item]) : []
    }
    case 'nothing':
      return undefined
    default:
      return []
  }
}

function stepTo(key: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`
}
