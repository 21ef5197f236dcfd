/**
 * The datagrams of gossip: one kind, the beat, which says what node of what cluster is where. Bytes in, a value or a
 * reason out; sockets, clocks and what was heard before are for others.
 *
 *     0   4   'skpg'
 *     4   1   version: 1
 *     5   1   form: 0 plain, 1 sealed
 *     6       plain: the body; sealed: 12 bytes of nonce, the body in AES-256-GCM, 16 bytes of tag
 *
 *     body    u64 milliseconds since 1970, u64 sequence, then cluster, name, boot and address:
 *             u16 length and so many bytes of UTF-8 each; nothing comes after
 *
 * The first six bytes are authenticated too (NIST SP 800-38D). Reading trusts nothing, and never throws.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { peerAddress } from '../address.js'
import { frameLimits, isBoot, isText } from '../core/frames.js'
import type { BootId } from '../core/member.js'

/** The longest datagram: it fits into one packet of every network (IPv6 promises 1280 bytes), so none is cut in two. */
export const maxPacketBytes = 1024

export interface Beat {
  readonly cluster: string
  readonly name: string
  readonly boot: BootId
  readonly address: string
  /** Milliseconds since 1970 on the sender's clock. */
  readonly sentAt: number
  /** Rises from beat to beat of a boot. */
  readonly sequence: number
}

/** `unsealed`: plain where there is a secret. `forged`: no key opens it, as where the secret or the cluster differs. */
export type Unread = 'oversized' | 'malformed' | 'version' | 'unsealed' | 'forged'

export type Opened =
  | { readonly type: 'beat'; readonly beat: Beat }
  | { readonly type: 'dropped'; readonly reason: Unread }

const magic = Buffer.from('skpg')
const version = 1
const plain = 0
const sealed = 1
const headBytes = 6
/** Chance never repeats one: a hundred nodes under one key take years to the 2^32 beats that are allowed. */
const nonceBytes = 12
const tagBytes = 16
const cipher = 'aes-256-gcm'

/** The datagram of a beat; without a key a plain one. Throws where it would be longer than others take. */
export function sealPacket(beat: Beat, key: Uint8Array | undefined): Buffer {
  const head = Buffer.concat([magic, Buffer.of(version, key === undefined ? plain : sealed)])
  const body = bodyOf(beat)
  const packet = key === undefined ? Buffer.concat([head, body]) : Buffer.concat([head, ...sealBody(head, body, key)])
  if (packet.length > maxPacketBytes) {
    throw new Error(
      `the beat of this node takes ${packet.length} bytes, more than ${maxPacketBytes}: shorten the names of cluster and node`,
    )
  }
  return packet
}

/** Reads a datagram: sealed by any of the keys, or plain where there are none. */
export function openPacket(packet: Uint8Array, keys: readonly Uint8Array[]): Opened {
  const bytes = Buffer.from(packet.buffer, packet.byteOffset, packet.byteLength)
  if (bytes.length > maxPacketBytes) return dropped('oversized')
  if (bytes.length < headBytes || !bytes.subarray(0, 4).equals(magic)) return dropped('malformed')
  if (bytes[4] !== version) return dropped('version')
  const form = bytes[5]
  if (form !== plain && form !== sealed) return dropped('malformed')
  if (form === plain && keys.length > 0) return dropped('unsealed')
  const body = form === plain ? bytes.subarray(headBytes) : openBody(bytes, keys)
  if (body === undefined) return dropped('forged')
  const beat = readBody(body)
  return beat === undefined ? dropped('malformed') : { type: 'beat', beat }
}

function dropped(reason: Unread): Opened {
  return { type: 'dropped', reason }
}

function sealBody(head: Buffer, body: Buffer, key: Uint8Array): Buffer[] {
  const nonce = randomBytes(nonceBytes)
  const sealing = createCipheriv(cipher, key, nonce, { authTagLength: tagBytes }).setAAD(head)
  return [nonce, sealing.update(body), sealing.final(), sealing.getAuthTag()]
}

function openBody(packet: Buffer, keys: readonly Uint8Array[]): Buffer | undefined {
  const bodyAt = headBytes + nonceBytes
  if (packet.length < bodyAt + tagBytes) return undefined
  const tagAt = packet.length - tagBytes
  for (const key of keys) {
    const opening = createDecipheriv(cipher, key, packet.subarray(headBytes, bodyAt), { authTagLength: tagBytes })
    opening.setAAD(packet.subarray(0, headBytes)).setAuthTag(packet.subarray(tagAt))
    try {
      return Buffer.concat([opening.update(packet.subarray(bodyAt, tagAt)), opening.final()])
    } catch {
      // Not of this key, or not of anybody's: `final` tells the two apart from a good one only by throwing.
    }
  }
  return undefined
}

function bodyOf({ sentAt, sequence, cluster, name, boot, address }: Beat): Buffer {
  const numbers = Buffer.alloc(16)
  numbers.writeBigUInt64BE(BigInt(Math.trunc(sentAt)), 0)
  numbers.writeBigUInt64BE(BigInt(sequence), 8)
  const texts = [cluster, name, boot, address].flatMap((text) => {
    const bytes = Buffer.from(text)
    const length = Buffer.alloc(2)
    length.writeUInt16BE(bytes.length)
    return [length, bytes]
  })
  return Buffer.concat([numbers, ...texts])
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function readBody(body: Buffer): Beat | undefined {
  if (body.length < 16) return undefined
  const [sentAt, sequence] = [Number(body.readBigUInt64BE(0)), Number(body.readBigUInt64BE(8))]
  const texts = readTexts(body, 16, 4)
  if (texts === undefined || !Number.isSafeInteger(sentAt) || !Number.isSafeInteger(sequence)) return undefined
  const [cluster, name, boot, address] = texts
  if (!isText(cluster, 1, frameLimits.nameChars) || !isText(name, 1, frameLimits.nameChars)) return undefined
  return isBoot(boot) && isReachable(address) ? { cluster, name, boot, address, sentAt, sequence } : undefined
}

/** Exactly so many texts, up to the very end. */
function readTexts(body: Buffer, from: number, count: number): string[] | undefined {
  const texts: string[] = []
  let at = from
  while (texts.length < count) {
    if (at + 2 > body.length) return undefined
    const end = at + 2 + body.readUInt16BE(at)
    if (end > body.length) return undefined
    try {
      texts.push(utf8.decode(body.subarray(at + 2, end)))
    } catch {
      return undefined
    }
    at = end
  }
  return at === body.length ? texts : undefined
}

function isReachable(address: unknown): address is string {
  if (!isText(address, 1, frameLimits.addressChars)) return false
  try {
    return peerAddress(address) !== ''
  } catch {
    return false
  }
}
