/**
 * Bytes on a link: one ws binary message is one msgpack array `[kind, ...fields]`, packed by itself, so that a bad one
 * never spoils the next. Kinds 0-15 belong to the link (handshake, chunks); the others to the layers above.
 */
import { Packr, Unpackr } from 'msgpackr'

/** Kinds of the link itself. */
export const linkKinds = { hello: 1, proof: 2, refuse: 3, up: 4, chunk: 8 } as const

/** Bytes of a frame above which it travels in chunks, and of the load of one chunk. */
export const chunkBytes: number = 64 * 1024

/**
 * Bytes of one ws message at most, before the handshake as after: nothing larger is ever sent, since large frames are
 * cut. So a stranger cannot make a node buffer more, and a big frame never keeps a small one waiting for long.
 */
export const maxWireBytes: number = chunkBytes + 1024

// `moreTypes`, since without it typed arrays come back wrong and with stale memory; no records, since a record
// definition is state between messages and makes the reader generate code.
const packr = new Packr({ moreTypes: true, useRecords: false })

// A peer can send record definitions whatever our options: they are put into `structures`, which is frozen, so that
// reading one throws like any other garbage.
const structures: object[] = []
const unpackr = new Unpackr({ moreTypes: true, useRecords: false, structures })
Object.freeze(structures)

/** The bytes of a frame. Throws where a value cannot be packed (a symbol, a cycle). */
export function packFrame(frame: readonly unknown[]): Buffer {
  return packr.pack(frame)
}

/** Any value that the bytes hold. Throws where they are not one msgpack value. */
export function unpackFrame(bytes: Uint8Array): unknown {
  return unpackr.unpack(bytes)
}
