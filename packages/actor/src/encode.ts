/**
 * The bytes of a value: msgpack with extensions of our own. msgpackr packs the frames of a link, not these payloads: it
 * loses negative zero, the code and fields of errors and bigints past 64 bits, and its reader accepts from a peer what
 * makes it build code or read cycles. One closed walk, in one pass over the value.
 */
import { Buffer } from 'node:buffer'
import type { Pid } from '@skep/tracker'
import { type ErrorParts, errorParts } from './fault.js'
import { addressOf } from './ref.js'
import { bytesOf, classify, ext, maxDepth, refusedFor, type Special, tooLarge, unsendable } from './values.js'

/** Bytes are written into pieces of this size, handed out as views and never written twice. */
const arenaBytes = 64 * 1024

class Writer {
  #buffer = Buffer.allocUnsafeSlow(arenaBytes)
  #start = 0
  #at = 0
  #limit = 0
  /** A getter of a value being written may itself call an actor: such an inner writing takes another writer. */
  busy = false

  pack(value: unknown, limit: number): Uint8Array {
    this.busy = true
    this.#limit = limit
    this.#start = this.#at
    try {
      this.#value(value, 0)
      if (this.#at - this.#start > limit) throw tooLarge
      return this.#buffer.subarray(this.#start, this.#at)
    } catch (error) {
      this.#at = this.#start
      throw error
    } finally {
      this.busy = false
    }
  }

  #room(bytes: number): void {
    if (this.#at + bytes > this.#buffer.length) this.#grow(bytes)
  }

  #grow(bytes: number): void {
    const written = this.#at - this.#start
    if (written + bytes > this.#limit + 64) throw tooLarge
    const next = Buffer.allocUnsafeSlow(Math.max(arenaBytes, 2 * (written + bytes)))
    this.#buffer.copy(next, 0, this.#start, this.#at)
    this.#buffer = next
    this.#start = 0
    this.#at = written
  }

  #value(value: unknown, depth: number): void {
    switch (typeof value) {
      case 'string':
        return this.#string(value)
      case 'number':
        return this.#number(value)
      case 'boolean':
        return this.#byte(value ? 0xc3 : 0xc2)
      case 'undefined':
        this.#room(3)
        this.#buffer[this.#at++] = 0xd4
        this.#buffer[this.#at++] = ext.undefined
        this.#buffer[this.#at++] = 0
        return
      case 'bigint':
        return this.#bigint(value)
      case 'object':
        return value === null ? this.#byte(0xc0) : this.#object(value, depth)
      default:
        throw unsendable
    }
  }

  #byte(byte: number): void {
    this.#room(1)
    this.#buffer[this.#at++] = byte
  }

  #number(value: number): void {
    this.#room(9)
    const buffer = this.#buffer
    if (value >>> 0 === value && (value !== 0 || 1 / value > 0)) {
      if (value < 0x80) buffer[this.#at++] = value
      else if (value < 0x10000) {
        buffer[this.#at++] = 0xcd
        buffer[this.#at++] = value >>> 8
        buffer[this.#at++] = value & 0xff
      } else {
        buffer[this.#at++] = 0xce
        this.#at = buffer.writeUInt32BE(value, this.#at)
      }
    } else if (value >> 0 === value && value !== 0) {
      if (value >= -32) buffer[this.#at++] = value + 0x100
      else {
        buffer[this.#at++] = 0xd2
        this.#at = buffer.writeInt32BE(value, this.#at)
      }
    } else {
      buffer[this.#at++] = 0xcb
      this.#at = buffer.writeDoubleBE(value, this.#at)
    }
  }

  #string(text: string): void {
    const length = text.length
    if (length < 32) {
      // Short ones are mostly ASCII: written here, a call into the runtime costs more than the loop.
      this.#room(1 + length)
      const buffer = this.#buffer
      let at = this.#at + 1
      for (let i = 0; i < length; i++) {
        const unit = text.charCodeAt(i)
        if (unit > 0x7f) return this.#anyString(text)
        buffer[at++] = unit
      }
      buffer[this.#at] = 0xa0 | length
      this.#at = at
      return
    }
    this.#anyString(text)
  }

  #anyString(text: string): void {
    if (!wellFormed(text)) {
      const bytes = Buffer.from(text, 'utf16le')
      this.#ext(ext.utf16, bytes)
      return
    }
    const bytes = Buffer.byteLength(text)
    this.#length(bytes, 0xa0, 32, 0xd9, 0xda, 0xdb)
    this.#room(bytes)
    this.#at += this.#buffer.write(text, this.#at, 'utf8')
  }

  /** The head of something with a length: in the first byte (`fix`), or after one of the codes for 8, 16, 32 bits. */
  #length(length: number, fix: number, fixEnd: number, code8: number, code16: number, code32: number): void {
    this.#room(5)
    if (length < fixEnd) this.#buffer[this.#at++] = fix | length
    else if (length < 0x100 && code8 !== 0) {
      this.#buffer[this.#at++] = code8
      this.#buffer[this.#at++] = length
    } else if (length < 0x10000) {
      this.#buffer[this.#at++] = code16
      this.#at = this.#buffer.writeUInt16BE(length, this.#at)
    } else {
      this.#buffer[this.#at++] = code32
      this.#at = this.#buffer.writeUInt32BE(length, this.#at)
    }
  }

  #bytes(bytes: Uint8Array): void {
    this.#room(bytes.length)
    this.#buffer.set(bytes, this.#at)
    this.#at += bytes.length
  }

  #ext(type: number, bytes: Uint8Array): void {
    this.#extHead(type, bytes.length)
    this.#bytes(bytes)
  }

  #extHead(type: number, length: number): void {
    this.#room(6)
    this.#buffer[this.#at++] = 0xc9
    this.#at = this.#buffer.writeUInt32BE(length, this.#at)
    this.#buffer[this.#at++] = type
  }

  /** An extension that holds values: its length is known only after them. Offsets are from the start: it may move. */
  #nested(type: number, write: () => void): void {
    this.#extHead(type, 0)
    const from = this.#at - this.#start
    write()
    const length = this.#at - this.#start - from
    this.#buffer.writeUInt32BE(length, this.#start + from - 5)
  }

  #bigint(value: bigint): void {
    const negative = value < 0n
    const hex = (negative ? -value : value).toString(16)
    const digits = hex.length % 2 === 0 ? hex : `0${hex}`
    const bytes = Buffer.allocUnsafe(1 + digits.length / 2)
    bytes[0] = negative ? 1 : 0
    bytes.write(digits, 1, 'hex')
    this.#ext(ext.bigint, bytes)
  }

  #object(value: object, depth: number): void {
    if (depth >= maxDepth) throw unsendable
    const prototype = Object.getPrototypeOf(value) as object | null
    if (prototype === Object.prototype) this.#plain(value as Record<string, unknown>, depth + 1)
    else if (prototype === Array.prototype && Array.isArray(value)) this.#array(value, depth + 1)
    else this.#special(classify(value, prototype), depth + 1)
  }

  #plain(value: Record<string, unknown>, depth: number): void {
    const keys = Object.keys(value)
    this.#length(keys.length, 0x80, 16, 0, 0xde, 0xdf)
    for (const key of keys) {
      this.#string(key)
      this.#value(value[key], depth)
    }
  }

  #array(value: readonly unknown[], depth: number): void {
    const { length } = value
    this.#length(length, 0x90, 16, 0, 0xdc, 0xdd)
    for (let i = 0; i < length; i++) this.#value(value[i], depth)
  }

  #special(special: Special, depth: number): void {
    switch (special.is) {
      case 'plain':
        return this.#plain(special.value, depth)
      case 'array':
        return this.#array(special.value, depth)
      case 'date': {
        const bytes = Buffer.allocUnsafe(8)
        bytes.writeDoubleBE(special.value.getTime())
        return this.#ext(ext.date, bytes)
      }
      case 'map':
        return this.#nested(ext.map, () => {
          for (const [key, item] of special.value) {
            this.#value(key, depth)
            this.#value(item, depth)
          }
        })
      case 'set':
        return this.#nested(ext.set, () => {
          for (const item of special.value) this.#value(item, depth)
        })
      case 'regexp':
        return this.#nested(ext.regexp, () => {
          this.#string(special.value.source)
          this.#string(special.value.flags)
          this.#number(special.value.lastIndex)
        })
      case 'binary': {
        const bytes = bytesOf(special.value)
        this.#extHead(ext.binary, bytes.length + 1)
        this.#byte(special.number)
        return this.#bytes(bytes)
      }
      case 'error':
        return this.#nested(ext.error, () => this.#error(errorParts(special.value), depth))
      case 'pid':
        return this.#nested(ext.pid, () => this.#pid(special.value))
      case 'ref':
        return this.#nested(ext.ref, () => this.#ref(special.value, depth))
      case 'nothing':
        throw unsendable
    }
  }

  #error(parts: ErrorParts, depth: number): void {
    this.#string(parts.name)
    this.#string(parts.message)
    this.#value(parts.stack, depth)
    this.#plain(parts.fields, depth)
    this.#plain(parts.hidden, depth)
  }

  #pid(pid: Pid): void {
    this.#string(pid.boot)
    this.#number(pid.id)
    this.#string(pid.node)
  }

  #ref(ref: object, depth: number): void {
    const address = addressOf(ref)
    if (address === undefined) throw unsendable
    const { target } = address
    this.#string(address.actor.kind)
    if (target.by === 'pid') return this.#nested(ext.pid, () => this.#pid(target.pid))
    this.#string(target.name)
    if (target.by === 'name') return
    this.#array(target.args, depth)
    this.#plain({ ...target.options }, depth)
  }
}

/** `String.prototype.isWellFormed`, which the compiler's library of this target does not know yet. */
const isWellFormed = (String.prototype as unknown as { isWellFormed: (this: string) => boolean }).isWellFormed

function wellFormed(text: string): boolean {
  return isWellFormed.call(text)
}

const writer = new Writer()

/**
 * The bytes of a value, at most `limit` of them. Throws Refused, which names the field, where it cannot be sent; `root`
 * is what the path begins with. What a getter of the value throws is passed on as it is.
 */
export function pack(value: unknown, root: string, limit: number): Uint8Array {
  try {
    return (writer.busy ? new Writer() : writer).pack(value, limit)
  } catch (error) {
    throw refusedFor(error, value, root, limit)
  }
}
