/**
 * Bytes on a link: a frame is one msgpack array `[kind, ...fields]`, packed by itself. One ws binary message is one
 * frame, or several, each behind its length; a bad one spoils what is behind it in its message, and no other. Kinds 0-15
 * belong to the link (handshake, chunks); the others to the layers above.
 */
import { Packr, Unpackr } from 'msgpackr'
import { checkGrammar } from './core/grammar.js'

/** Kinds of the link itself. */
export const linkKinds = { hello: 1, proof: 2, refuse: 3, up: 4, chunk: 8, last: 9, lastRead: 10, relay: 12 } as const

/** Bytes of a frame above which it travels in chunks, and of the load of one chunk. */
export const chunkBytes: number = 64 * 1024

/**
 * Bytes of one ws message at most, before the handshake as after: nothing larger is ever sent, since large frames are
 * cut. So a stranger cannot make a node buffer more, and a big frame never keeps a small one waiting for long.
 */
export const maxWireBytes: number = chunkBytes + 1024

// No records: a record definition is state between messages, and makes the reader generate code. No extension types:
// frames hold plain data and bytes alone, and what else a peer sends does not pass the grammar.
const packr = new Packr({ useRecords: false })
const unpackr = new Unpackr({ useRecords: false })

/** Nesting of a frame at most: metadata may be 32 deep, and stands in a claim in a list in a relayed frame. */
const maxLevels = 64

/** The bytes of a frame. Throws where a value cannot be packed (a symbol, a cycle). */
export function packFrame(frame: readonly unknown[]): Buffer {
  return packr.pack(frame)
}

/** Any value that the bytes hold. Throws where they are not one msgpack value. */
export function unpackFrame(bytes: Uint8Array): unknown {
  checkGrammar(bytes, maxLevels)
  return unpackr.unpack(bytes)
}

/** What a node says of itself in its HELLO that reads several frames in one message. */
export const togetherCapability = 'together'

/** Begins a message of several frames: no value of msgpack does. */
const severalMark = 0xc1

/** Before each of several frames: its length. */
const lengthBytes = 2

/** Bytes of a message of several frames at most, so that each has a length of two bytes. */
export const maxTogetherBytes: number = chunkBytes - 1

/** What a frame takes among several. */
export function bytesTogether(frame: Buffer): number {
  return lengthBytes + frame.length
}

/** Frames as one message; together they take `bytes`. */
export function joinFrames(frames: readonly Buffer[], bytes: number): Buffer {
  const message = Buffer.allocUnsafe(1 + bytes)
  message[0] = severalMark
  let at = 1
  for (const frame of frames) {
    message[at] = frame.length >> 8
    message[at + 1] = frame.length & 0xff
    at += lengthBytes
    message.set(frame, at)
    at += frame.length
  }
  return message
}

/**
 * Gives each frame of a message to `read`, until that gives false. False where something in it is no frame; what is before
 * that was given. A frame takes one byte at least: else a message of nothing but lengths would be work for 0.3 s.
 */
export function splitFrames(message: Buffer, read: (frame: Buffer) => boolean): boolean {
  if (message[0] !== severalMark) return read(message)
  let at = 1
  while (at + lengthBytes <= message.length) {
    const begins = at + lengthBytes
    const ends = begins + (((message[at] as number) << 8) | (message[at + 1] as number))
    if (ends === begins || ends > message.length) return false
    if (!read(message.subarray(begins, ends))) return false
    at = ends
  }
  return at === message.length
}
