/**
 * The value of bytes that `encode.ts` made, read as if an enemy had written them: lengths are checked before anything
 * is allocated, depth is bounded, nothing of the value's own runs, and it throws BadBytes, nothing else.
 */
import { Buffer } from 'node:buffer'
import { Pid } from '@skep/tracker'
import { decodeError } from './fault.js'
import type { Target } from './ref.js'
import { binaries, defineField, ext, maxDepth, type RefSource } from './values.js'

/** Bytes that are no value. Never leaves this layer: the call they came with fails. */
export class BadBytes extends Error {}

const keyCacheSize = 1024

class Reader {
  #buffer: Buffer = Buffer.alloc(0)
  #at = 0
  #end = 0
  #refs: RefSource | undefined
  readonly #keys: (string | undefined)[] = new Array<string | undefined>(keyCacheSize)

  unpack(bytes: Uint8Array, refs: RefSource): unknown {
    this.#buffer = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#at = 0
    this.#end = bytes.length
    this.#refs = refs
    try {
      const value = this.#value(0)
      if (this.#at !== this.#end) throw new BadBytes('bytes are left over')
      return value
    } catch (error) {
      // Whatever a constructor says about hostile contents (a bad pattern, a bad length) means just that.
      throw error instanceof BadBytes ? error : new BadBytes(error instanceof Error ? error.message : String(error))
    } finally {
      this.#refs = undefined
    }
  }

  /** Moves past `count` bytes that must be there; returns where they begin. */
  #take(count: number): number {
    const at = this.#at
    if (count > this.#end - at) throw new BadBytes('the bytes end too early')
    this.#at = at + count
    return at
  }

  #value(depth: number): unknown {
    const code = this.#buffer[this.#take(1)] ?? 0
    if (code < 0x80) return code
    if (code >= 0xe0) return code - 0x100
    if (code < 0x90) return this.#plain(code & 0x0f, depth)
    if (code < 0xa0) return this.#array(code & 0x0f, depth)
    if (code < 0xc0) return this.#string(code & 0x1f)
    switch (code) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xc9:
        return this.#extension(this.#uint32(), depth)
      case 0xcb:
        return this.#buffer.readDoubleBE(this.#take(8))
      case 0xcd:
        return this.#uint16()
      case 0xce:
        return this.#uint32()
      case 0xd2:
        return this.#buffer.readInt32BE(this.#take(4))
      case 0xd4:
        return this.#extension(1, depth)
      case 0xd9:
        return this.#string(this.#buffer[this.#take(1)] ?? 0)
      case 0xda:
        return this.#string(this.#uint16())
      case 0xdb:
        return this.#string(this.#uint32())
      case 0xdc:
        return this.#array(this.#uint16(), depth)
      case 0xdd:
        return this.#array(this.#uint32(), depth)
      case 0xde:
        return this.#plain(this.#uint16(), depth)
      case 0xdf:
        return this.#plain(this.#uint32(), depth)
      default:
        throw new BadBytes(`no value begins with 0x${code.toString(16)}`)
    }
  }

  #uint16(): number {
    return this.#buffer.readUInt16BE(this.#take(2))
  }

  #uint32(): number {
    return this.#buffer.readUInt32BE(this.#take(4))
  }

  #string(length: number): string {
    const at = this.#take(length)
    if (length > 24) return this.#buffer.toString('utf8', at, at + length)
    let text = ''
    for (let i = at; i < at + length; i++) {
      const byte = this.#buffer[i] ?? 0
      if (byte > 0x7f) return this.#buffer.toString('utf8', at, at + length)
      text += String.fromCharCode(byte)
    }
    return text
  }

  /** Keys repeat: the text of a short one is found again by its bytes instead of being made anew. */
  #key(): string {
    const code = this.#buffer[this.#at] ?? 0
    if (code < 0xa0 || code > 0xbf) return this.#text(0)
    this.#at += 1
    const length = code & 0x1f
    const at = this.#take(length)
    let hash = length
    for (let i = at; i < at + length; i++) hash = (Math.imul(hash, 31) + (this.#buffer[i] ?? 0)) | 0
    const slot = (hash >>> 0) % keyCacheSize
    const cached = this.#keys[slot]
    if (cached !== undefined && cached.length === length && this.#holds(cached, at)) return cached
    this.#at = at
    const key = this.#string(length)
    if (key.length === length) this.#keys[slot] = key
    return key
  }

  #holds(text: string, at: number): boolean {
    for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== this.#buffer[at + i]) return false
    return true
  }

  #plain(count: number, depth: number): Record<string, unknown> {
    if (depth >= maxDepth) throw new BadBytes('nested too deep')
    if (count * 2 > this.#end - this.#at) throw new BadBytes('the bytes end too early')
    const plain: Record<string, unknown> = {}
    for (let i = 0; i < count; i++) {
      const key = this.#key()
      const value = this.#value(depth + 1)
      if (key === '__proto__') defineField(plain, key, value)
      else plain[key] = value
    }
    return plain
  }

  #array(count: number, depth: number): unknown[] {
    if (depth >= maxDepth) throw new BadBytes('nested too deep')
    if (count > this.#end - this.#at) throw new BadBytes('the bytes end too early')
    const array: unknown[] = []
    for (let i = 0; i < count; i++) array.push(this.#value(depth + 1))
    return array
  }

  #text(depth: number): string {
    const text = this.#value(depth)
    if (typeof text !== 'string') throw new BadBytes('a text was expected')
    return text
  }

  #extension(length: number, depth: number): unknown {
    if (depth >= maxDepth) throw new BadBytes('nested too deep')
    const type = this.#buffer[this.#take(1)] ?? 0
    const from = this.#take(length)
    const end = this.#at
    // What is nested ends where the extension ends: its values are read inside these bounds.
    const outerEnd = this.#end
    this.#at = from
    this.#end = end
    const value = this.#extended(type, length, depth + 1)
    if (this.#at !== end) throw new BadBytes('an extension has bytes left over')
    this.#end = outerEnd
    return value
  }

  #extended(type: number, length: number, depth: number): unknown {
    switch (type) {
      case ext.undefined:
        this.#take(length)
        return undefined
      case ext.date:
        return new Date(this.#buffer.readDoubleBE(this.#take(8)))
      case ext.map: {
        const map = new Map<unknown, unknown>()
        while (this.#at < this.#end) map.set(this.#value(depth), this.#value(depth))
        return map
      }
      case ext.set: {
        const set = new Set<unknown>()
        while (this.#at < this.#end) set.add(this.#value(depth))
        return set
      }
      case ext.bigint:
        return this.#bigint(length)
      case ext.binary:
        return this.#binary(length)
      case ext.error:
        return decodeError({
          name: this.#text(depth),
          message: this.#text(depth),
          stack: this.#optionalText(depth),
          fields: this.#fields(depth),
          hidden: this.#fields(depth),
        })
      case ext.regexp: {
        const pattern = new RegExp(this.#text(depth), this.#text(depth))
        pattern.lastIndex = this.#count(depth)
        return pattern
      }
      case ext.pid:
        return new Pid(this.#text(depth), this.#count(depth), this.#text(depth))
      case ext.ref:
        return this.#ref(depth)
      case ext.utf16: {
        const at = this.#take(length)
        if (length % 2 !== 0) throw new BadBytes('half a character')
        return this.#buffer.toString('utf16le', at, at + length)
      }
      default:
        throw new BadBytes(`unknown extension ${type}`)
    }
  }

  #optionalText(depth: number): string | undefined {
    const text = this.#value(depth)
    if (text !== undefined && typeof text !== 'string') throw new BadBytes('a text was expected')
    return text
  }

  #fields(depth: number): Record<string, unknown> {
    const fields = this.#value(depth)
    if (typeof fields !== 'object' || fields === null || Object.getPrototypeOf(fields) !== Object.prototype) {
      throw new BadBytes('fields were expected')
    }
    return fields as Record<string, unknown>
  }

  #count(depth: number): number {
    const count = this.#value(depth)
    if (!Number.isSafeInteger(count) || (count as number) < 0) throw new BadBytes('a whole number was expected')
    return count as number
  }

  #bigint(length: number): bigint {
    if (length < 2) throw new BadBytes('a number without digits')
    const at = this.#take(length)
    const value = BigInt(`0x${this.#buffer.toString('hex', at + 1, at + length)}`)
    return this.#buffer[at] === 1 ? -value : value
  }

  #binary(length: number): object {
    const at = this.#take(length)
    const binary = binaries[this.#buffer[at] ?? -1]
    if (length < 1 || binary === undefined || (length - 1) % binary.size !== 0) throw new BadBytes('no such binary')
    const bytes = new Uint8Array(length - 1)
    bytes.set(this.#buffer.subarray(at + 1, at + length))
    return binary.make(bytes.buffer)
  }

  #ref(depth: number): object {
    const kind = this.#text(depth)
    const whom = this.#value(depth)
    const refOf = (target: Target): object => {
      const ref = this.#refs?.refOf(kind, target)
      if (ref !== undefined) return ref
      throw new BadBytes(`a ref to an actor of kind '${kind}', which this node does not know: list it in 'actors'`)
    }
    if (whom instanceof Pid) return refOf({ by: 'pid', pid: whom })
    if (typeof whom !== 'string') throw new BadBytes('a ref to nobody')
    if (this.#at === this.#end) return refOf({ by: 'name', name: whom })
    const args = this.#value(depth)
    if (!Array.isArray(args)) throw new BadBytes('arguments were expected')
    return refOf({ by: 'ensure', name: whom, args, options: this.#fields(depth) })
  }
}

const reader = new Reader()

/** The value of bytes that `pack` made. Throws BadBytes, never anything else, whatever the bytes are. */
export function unpack(bytes: Uint8Array, refs: RefSource): unknown {
  return reader.unpack(bytes, refs)
}
