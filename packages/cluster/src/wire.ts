/**
 * Bytes on a link: one ws binary message is one msgpack array `[kind, ...fields]`, packed by itself, so that a bad one
 * never spoils the next. Kinds 0-15 belong to the link (handshake, chunks); the others to the layers above.
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
