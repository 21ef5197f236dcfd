/**
 * The bytes of a value, by msgpackr. What msgpack holds goes as it is, and costs one look; everything else is lowered to
 * an array `[mark, tag, ...parts]`, which `decode.ts` raises again. So the bytes are plain msgpack, and none of
 * msgpackr's extensions is used: those are shared by everything in the process that uses msgpackr, the application too.
 */
import { Buffer } from 'node:buffer'
import type { Pid } from '@skep/tracker'
import { Packr } from 'msgpackr'
import { errorParts } from './fault.js'
import { addressOf } from './ref.js'
import { bytesOf, classify, type Kind, mark, maxDepth, refusedFor, tag, tooLarge, unsendable } from './values.js'

const packr = new Packr({
  // Record definitions are state between values.
  useRecords: false,
  // A field that is named toJSON is a field.
  useToJSON: false,
  // Only a getter that changes its mind brings a function as far as this.
  writeFunction: () => {
    throw unsendable
  },
})

/** Keys of an object at most, where msgpackr is not told to count them first. */
const maxKeys = 0xffff

/**
 * Bytes that a value may still take: each item takes one at least. It ends a value that holds itself many times over
 * (which is no cycle) before the packing begins. A getter of a value may itself send, so packing saves it.
 */
let left = 0

/**
 * The bytes of a value, at most `limit` of them. Throws Refused, which names the field, where it cannot be sent; `root`
 * is what the path begins with. What a getter of the value throws is passed on as it is.
 */
export function pack(value: unknown, root: string, limit: number): Uint8Array {
  const outer = left
  left = limit
  try {
    const bytes = packr.pack(lowered(value, limit))
    if (bytes.length > limit) throw tooLarge
    return bytes
  } catch (error) {
    throw refusedFor(error, value, root, limit)
  } finally {
    left = outer
  }
}

function lowered(value: unknown, limit: number): unknown {
  if (isBare(value, 0)) return value
  left = limit
  return lower(value, 0)
}

function spend(bytes: number): void {
  left -= bytes
  if (left < 0) throw tooLarge
}

/** Whether msgpackr keeps the value as it is, with all that it holds. */
function isBare(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'string':
      return isBareText(value)
    case 'number':
      return value !== 0 || 1 / value > 0
    case 'object':
      return value === null || (depth < maxDepth && isBareObject(value, depth + 1))
    case 'bigint':
      return BigInt.asIntN(64, value) === value
    default:
      return typeof value === 'boolean' || value === undefined
  }
}

function isBareObject(value: object, depth: number): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null
  if (prototype === Object.prototype) return isBarePlain(value as Record<string, unknown>, depth)
  if (prototype === Array.prototype && Array.isArray(value)) {
    spend(value.length)
    if (value[0] === mark) return false
    for (let i = 0; i < value.length; i++) if (!isBare(value[i], depth)) return false
    return true
  }
  if (prototype !== Uint8Array.prototype) return false
  spend((value as Uint8Array).length)
  return true
}

function isBarePlain(value: Record<string, unknown>, depth: number): boolean {
  let keys = 0
  for (const key in value) {
    keys += 1
    if (!isBareKey(key) || !isBare(value[key], depth)) return false
  }
  spend(keys)
  return keys <= maxKeys
}

/** `String.prototype.isWellFormed`, which the compiler's library of this target does not know yet. */
const isWellFormed = (String.prototype as unknown as { isWellFormed: (this: string) => boolean }).isWellFormed

/** UTF-8 has no halves of surrogate pairs, and msgpackr's reader drops a byte order mark. */
function isBareText(text: string): boolean {
  spend(text.length)
  return isWellFormed.call(text) && text.charCodeAt(0) !== 0xfeff
}

/** msgpackr renames `__proto__`. */
function isBareKey(key: string): boolean {
  return key !== '__proto__' && isBareText(key)
}

/** The value as an array or object that msgpackr keeps. It is always a new one: the value is the caller's. */
function lower(value: unknown, depth: number): unknown {
  if (typeof value === 'object' && value !== null) {
    if (depth >= maxDepth) throw unsendable
    return lowerObject(classify(value), depth + 1)
  }
  if (isBare(value, depth)) return value
  switch (typeof value) {
    case 'string':
      return [mark, tag.utf16, Buffer.from(value, 'utf16le')]
    case 'number':
      return [mark, tag.negativeZero]
    case 'bigint':
      return [mark, tag.bigint, value < 0n, (value < 0n ? -value : value).toString(16)]
    default:
      throw unsendable
  }
}

function lowerObject(kind: Kind, depth: number): unknown {
  switch (kind.is) {
    case 'plain':
      return lowerPlain(kind.value, depth)
    case 'array':
      return lowerAll(kind.value[0] === mark ? [mark, tag.array] : [], kind.value, depth)
    case 'date':
      return [mark, tag.date, kind.value.getTime()]
    case 'map':
      return lowerPairs([mark, tag.map], kind.value, depth)
    case 'set':
      return lowerAll([mark, tag.set], kind.value, depth)
    case 'regexp': {
      const { source, flags, lastIndex } = kind.value
      return lowerAll([mark, tag.regexp], [source, flags, lastIndex], depth)
    }
    case 'binary': {
      const bytes = bytesOf(kind.value)
      spend(bytes.length)
      return [mark, tag.binary, kind.number, bytes]
    }
    case 'error': {
      const { name, message, stack, fields, hidden } = errorParts(kind.value)
      const texts = lowerAll([mark, tag.error], [name, message, stack], depth)
      return [...texts, lowerPlain(fields, depth), lowerPlain(hidden, depth)]
    }
    case 'pid':
      return lowerPid(kind.value)
    case 'ref':
      return lowerRef(kind.value, depth)
    case 'nothing':
      throw unsendable
  }
}

function lowerAll(into: unknown[], items: Iterable<unknown>, depth: number): unknown[] {
  for (const item of items) {
    spend(1)
    into.push(lower(item, depth))
  }
  return into
}

function lowerPairs(into: unknown[], pairs: Iterable<readonly [unknown, unknown]>, depth: number): unknown[] {
  for (const [key, item] of pairs) {
    spend(2)
    into.push(lower(key, depth), lower(item, depth))
  }
  return into
}

function lowerPlain(value: Readonly<Record<string, unknown>>, depth: number): unknown {
  const keys = Object.keys(value)
  if (keys.length > maxKeys || !keys.every(isBareKey)) {
    return lowerPairs([mark, tag.plain], Object.entries(value), depth)
  }
  const plain: Record<string, unknown> = {}
  for (const key of keys) plain[key] = lower(value[key], depth)
  return plain
}

function lowerPid({ boot, id, node }: Pid): unknown[] {
  return lowerAll([mark, tag.pid], [boot, id, node], 0)
}

function lowerRef(ref: object, depth: number): unknown[] {
  const address = addressOf(ref)
  if (address === undefined) throw unsendable
  const { actor, target } = address
  const whom = target.by === 'pid' ? lowerPid(target.pid) : lower(target.name, 0)
  const lowered = [mark, tag.ref, actor.kind, whom]
  if (target.by !== 'ensure') return lowered
  return [...lowered, lowerObject({ is: 'array', value: target.args }, depth), lowerPlain({ ...target.options }, depth)]
}
