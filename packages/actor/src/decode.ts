/**
 * The value of bytes that `encode.ts` made, read as if an enemy had written them: only what passes the grammar comes to
 * msgpackr, which then makes plain values and nothing else, and marked arrays in them are raised to what they stand for.
 */
import { Buffer } from 'node:buffer'
import { BadBytes, checkGrammar } from '@skep/cluster/core'
import { Pid } from '@skep/tracker'
import { Unpackr } from 'msgpackr'
import { decodeError } from './fault.js'
import type { Target } from './ref.js'
import { binaries, defineField, mark, maxDepth, type RefSource, tag } from './values.js'

export { BadBytes } from '@skep/cluster/core'

/** Levels of bytes at most: some values take two, such as an error (a marked array) with its fields (an object). */
const maxLevels = 2 * maxDepth + 2

const markByte = mark & 0xff

// Bytes in a value are its own, never a view on the frame they came with.
const unpackr = new Unpackr({ useRecords: false, copyBuffers: true })

/** The value of bytes that `pack` made. Throws BadBytes, never anything else, whatever the bytes are. */
export function unpack(bytes: Uint8Array, refs: RefSource): unknown {
  try {
    const holding = checkGrammar(bytes, maxLevels, markByte)
    // Out of a Buffer all bytes would come as Buffers.
    const own = holding === 'plain' ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const value: unknown = unpackr.unpack(own)
    return holding === 'marked' ? raise(value, refs) : value
  } catch (error) {
    // Whatever a constructor says about hostile contents (a bad pattern, a bad length) means just that.
    throw error instanceof BadBytes ? error : new BadBytes(error instanceof Error ? error.message : String(error))
  }
}

/** What a value stands for; plain objects and arrays are changed in place. */
function raise(value: unknown, refs: RefSource): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  if (Array.isArray(value)) {
    const marked = value[0] === mark
    for (let i = marked ? 2 : 0; i < value.length; i++) value[i] = raise(value[i], refs)
    return marked ? raiseMarked(value[1], value.slice(2), refs) : value
  }
  const plain = value as Record<string, unknown>
  for (const key of Object.keys(plain)) plain[key] = raise(plain[key], refs)
  return plain
}

function raiseMarked(kind: unknown, parts: unknown[], refs: RefSource): unknown {
  const [first, second, third] = parts
  switch (kind) {
    case tag.array:
      return parts
    case tag.date:
      return new Date(first as number)
    case tag.map:
      return raiseMap(parts)
    case tag.set:
      return new Set(parts)
    case tag.bigint: {
      const size = BigInt(`0x${text(second)}`)
      return first === true ? -size : size
    }
    case tag.binary:
      return raiseBinary(first, second)
    case tag.error:
      return decodeError({
        name: text(first),
        message: text(second),
        stack: third === undefined ? undefined : text(third),
        fields: fields(parts[3]),
        hidden: fields(parts[4]),
      })
    case tag.regexp: {
      const pattern = new RegExp(text(first), text(second))
      pattern.lastIndex = count(third)
      return pattern
    }
    case tag.pid:
      return new Pid(text(first), count(second), text(third))
    case tag.ref:
      return raiseRef(parts, refs)
    case tag.utf16:
      return Buffer.from(bytes(first)).toString('utf16le')
    case tag.plain: {
      const plain = {}
      for (const [key, value] of raiseMap(parts)) defineField(plain, text(key), value)
      return plain
    }
    case tag.negativeZero:
      return -0
    default:
      throw new BadBytes('a marked array with no tag that is known')
  }
}

function raiseMap(parts: readonly unknown[]): Map<unknown, unknown> {
  if (parts.length % 2 !== 0) throw new BadBytes('a key without a value')
  const map = new Map<unknown, unknown>()
  for (let i = 0; i < parts.length; i += 2) map.set(parts[i], parts[i + 1])
  return map
}

function raiseBinary(number: unknown, contents: unknown): object {
  const binary = binaries[count(number)]
  if (binary === undefined) throw new BadBytes('no such binary')
  return binary.make(bytes(contents).buffer)
}

function raiseRef([kind, whom, args, options]: unknown[], refs: RefSource): object {
  const refOf = (target: Target): object => {
    const ref = refs.refOf(text(kind), target)
    if (ref !== undefined) return ref
    throw new BadBytes(`a ref to an actor of kind '${kind}', which this node does not know: list it in 'actors'`)
  }
  if (whom instanceof Pid) return refOf({ by: 'pid', pid: whom })
  const name = text(whom)
  if (args === undefined) return refOf({ by: 'name', name })
  if (!Array.isArray(args)) throw new BadBytes('arguments were expected')
  return refOf({ by: 'ensure', name, args, options: fields(options) })
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw new BadBytes('a text was expected')
  return value
}

function count(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw new BadBytes('a whole number was expected')
  return value as number
}

function bytes(value: unknown): Uint8Array<ArrayBuffer> {
  if (!(value instanceof Uint8Array)) throw new BadBytes('bytes were expected')
  return value as Uint8Array<ArrayBuffer>
}

function fields(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) {
    throw new BadBytes('fields were expected')
  }
  return value as Record<string, unknown>
}
