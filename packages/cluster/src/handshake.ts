/**
 * The handshake of one connection, as a machine over bytes: no socket, no clock. Who dials speaks the proofs first:
 *
 *     dialler              acceptor
 *     HELLO  ------------>          both say who they are, each with a fresh nonce
 *            <------------ HELLO
 *     PROOF  ------------>          HMAC over both HELLOs; the acceptor may still refuse, or hold its answer
 *            <------------ PROOF    from here on the acceptor is committed
 *     UP     ------------>          the dialler has the last word, so no side uses a link that the other refused
 *
 * A stranger learns nothing from the acceptor that depends on the secret before he has proved it himself. Both proofs
 * cover both HELLOs whole (boot ids, nonces, names), under a label for the direction, so none can be reflected or
 * reused. With several secrets (rotation) a proof is a list, one per secret, and any match is enough.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { decodeInfo, decodePhase, encodeInfo, encodePhase, isCount, isText, withHalted } from './core/frames.js'
import type { MemberInfo, Phase } from './core/member.js'
import { linkKinds, packFrame, unpackFrame } from './wire.js'

/** Versions of the protocol that this code speaks. */
export const protocol = { min: 1, max: 1 } as const

/** Secrets in a list at most: the old ones and the new ones of a rotation. */
export const maxSecrets = 8
const nonceBytes = 32
const proofBytes = 32
const maxCapabilities = 64

export type RefusalCode =
  | 'version'
  | 'cluster'
  | 'self'
  | 'secret'
  | 'denied'
  | 'name'
  /** There is another link between these two; it stays. No fault of anybody. */
  | 'duplicate'
  | 'malformed'

export interface Refusal {
  readonly code: RefusalCode
  /** For both logs; it never says which secret, nor who else is a member. */
  readonly text: string
}

/** What a node says of itself as the first frame. */
export interface Hello {
  readonly min: number
  readonly max: number
  readonly cluster: string
  readonly info: MemberInfo
  /** Optional abilities by name, for versions to come. */
  readonly capabilities: readonly string[]
  readonly nonce: Uint8Array
  readonly phase: Phase
  readonly incarnation: number
}

/** What the handshake asks the rest of the node. */
export interface HandshakeRules {
  readonly secrets: readonly string[]
  /** May this peer, which has proved the secret, link to us? */
  admit(peer: Hello): Refusal | undefined
  /** Are there other connections to this peer? Asked before each step that cannot be taken back. */
  rival(peer: Hello): 'none' | 'wait' | 'duplicate'
}

/** What comes of a frame: something to send, and perhaps the end. */
export interface Step {
  readonly send?: Buffer
  readonly end?:
    | { readonly type: 'up' }
    | { readonly type: 'refused'; readonly by: 'us' | 'peer'; readonly refusal: Refusal }
}

export type Role = 'dialler' | 'acceptor'

/** How far it has come. `committed`: an acceptor that awaits the dialler's last word; `held`: it waits for a rival. */
export type HandshakeState = 'hello' | 'proof' | 'held' | 'committed' | 'up' | 'over'

export class Handshake {
  readonly role: Role
  readonly opening: Buffer
  state: HandshakeState = 'hello'
  /** Who the peer says it is, from its HELLO on; proved from `held`, `committed` or `up` on. */
  peer: Hello | undefined
  #peerOpening: Buffer = Buffer.alloc(0)
  readonly #self: Hello
  readonly #rules: HandshakeRules

  /** `self.nonce` must be fresh random bytes for every connection. `opening` is to be sent first. */
  constructor(role: Role, self: Hello, rules: HandshakeRules) {
    this.role = role
    this.opening = packFrame(encodeHello(self))
    this.#self = self
    this.#rules = rules
  }

  /** The peer's next frame. Total: anything unexpected ends in a refusal. */
  receive(bytes: Buffer): Step {
    const frame = readFrame(bytes)
    if (!frame) return this.#refuse('malformed', 'what it sent is not a handshake')
    if (frame[0] === linkKinds.refuse) return this.#refusedByPeer(frame)
    if (this.state === 'hello' && frame[0] === linkKinds.hello) return this.#receiveHello(frame, bytes)
    if (this.state === 'proof' && frame[0] === linkKinds.proof) return this.#receiveProof(frame)
    if (this.state === 'committed' && frame[0] === linkKinds.up) return this.#end('up')
    return this.#refuse('malformed', `it sent a frame of kind ${kindText(frame[0])} out of turn`)
  }

  /** After `held`: the rival came to nothing (go on), or is up (refuse). */
  resume(rivalIsUp: boolean): Step {
    if (this.state !== 'held') return {}
    return rivalIsUp ? this.#refuse('duplicate', 'there is a link already') : this.#commit()
  }

  #receiveHello(frame: readonly unknown[], bytes: Buffer): Step {
    const peer = decodeHello(frame)
    // A version to come may say the rest of its HELLO otherwise, so the versions are compared before all else.
    if (!peer && isCount(frame[1]) && isCount(frame[2]) && !speaksOurs(frame[1], frame[2])) {
      return this.#refuse('version', versionText(frame[1], frame[2]))
    }
    if (!peer) return this.#refuse('malformed', 'its HELLO cannot be read')
    this.peer = peer
    this.#peerOpening = Buffer.from(bytes)
    const refusal = this.#compare(peer)
    if (refusal) return this.#refuse(refusal.code, refusal.text)
    if (this.role === 'acceptor') {
      this.state = 'proof'
      return {}
    }
    if (this.#rules.rival(peer) === 'duplicate') return this.#refuse('duplicate', 'there is a link already')
    this.state = 'proof'
    return { send: this.#proof() }
  }

  #receiveProof(frame: readonly unknown[]): Step {
    const peer = this.peer
    if (!peer || !this.#proved(frame[1])) return this.#refuse('secret', 'the secrets of the two nodes differ')
    const refusal = this.#rules.admit(peer)
    if (refusal) return this.#refuse(refusal.code, refusal.text)
    const rival = this.#rules.rival(peer)
    if (rival === 'duplicate') return this.#refuse('duplicate', 'there is a link already')
    if (this.role === 'dialler') return { send: packFrame([linkKinds.up]), ...this.#end('up') }
    if (rival === 'none') return this.#commit()
    this.state = 'held'
    return {}
  }

  #commit(): Step {
    this.state = 'committed'
    return { send: this.#proof() }
  }

  #compare(peer: Hello): Refusal | undefined {
    if (peer.info.boot === this.#self.info.boot) return { code: 'self', text: 'it is this very node' }
    if (!speaksOurs(peer.min, peer.max)) return { code: 'version', text: versionText(peer.min, peer.max) }
    if (peer.cluster === this.#self.cluster) return undefined
    return { code: 'cluster', text: `the clusters differ: '${peer.cluster}' and '${this.#self.cluster}'` }
  }

  #proof(): Buffer {
    return packFrame([linkKinds.proof, this.#macs(this.role)])
  }

  #macs(by: Role): Buffer[] {
    const mine = this.opening
    const theirs = this.#peerOpening
    const [first, second] = this.role === 'dialler' ? [mine, theirs] : [theirs, mine]
    return this.#rules.secrets.map((secret) => proofOf(secret, by, first, second))
  }

  /** Every pair is compared, in constant time, so that the time taken says nothing of which secret matched. */
  #proved(raw: unknown): boolean {
    if (!Array.isArray(raw) || raw.length === 0 || raw.length > maxSecrets) return false
    const expected = this.#macs(this.role === 'dialler' ? 'acceptor' : 'dialler')
    let proved = false
    for (const given of raw as readonly unknown[]) {
      if (!(given instanceof Uint8Array) || given.length !== proofBytes) return false
      for (const one of expected) if (timingSafeEqual(one, given)) proved = true
    }
    return proved
  }

  #refuse(code: RefusalCode, text: string): Step {
    const refusal = { code, text }
    this.state = 'over'
    return { send: packFrame([linkKinds.refuse, code, text]), end: { type: 'refused', by: 'us', refusal } }
  }

  #refusedByPeer(frame: readonly unknown[]): Step {
    const code = isRefusalCode(frame[1]) ? frame[1] : 'denied'
    const text = isText(frame[2], 0, 1024) ? frame[2] : 'it gave no reason'
    this.state = 'over'
    return { end: { type: 'refused', by: 'peer', refusal: { code, text } } }
  }

  #end(state: 'up'): Step {
    this.state = state
    return { end: { type: 'up' } }
  }
}

/** The proof that the speaker knows `secret`: both HELLOs, length first, under the direction's label. */
function proofOf(secret: string, by: Role, dialler: Buffer, acceptor: Buffer): Buffer {
  const hmac = createHmac('sha256', secret)
  hmac.update(`skep proof 1 ${by}\0`)
  for (const hello of [dialler, acceptor]) {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(hello.length)
    hmac.update(length).update(hello)
  }
  return hmac.digest()
}

function encodeHello(hello: Hello): unknown[] {
  const head = [linkKinds.hello, hello.min, hello.max, hello.cluster, hello.nonce, [...hello.capabilities]]
  const fields = [...head, encodePhase(hello.phase), hello.incarnation, ...encodeInfo(hello.info)]
  if (hello.info.halted === true) fields.push(true)
  return fields
}

/** Fields after the known ones are ignored. */
function decodeHello(frame: readonly unknown[]): Hello | undefined {
  const [, min, max, cluster, nonce, capabilities, rawPhase, incarnation] = frame
  const phase = decodePhase(rawPhase)
  const info = decodeInfo(frame, 8)
  if (!isCount(min) || !isCount(max) || !isText(cluster, 1, 255) || !phase || !isCount(incarnation) || !info) {
    return undefined
  }
  if (!(nonce instanceof Uint8Array) || nonce.length !== nonceBytes) return undefined
  if (!Array.isArray(capabilities) || capabilities.length > maxCapabilities) return undefined
  if (!capabilities.every((one): one is string => isText(one, 1, 64))) return undefined
  return { min, max, cluster, nonce, capabilities, phase, incarnation, info: withHalted(info, frame[17]) }
}

function readFrame(bytes: Buffer): readonly unknown[] | undefined {
  try {
    const value = unpackFrame(bytes)
    return Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

function speaksOurs(min: number, max: number): boolean {
  return min <= max && min <= protocol.max && max >= protocol.min
}

function versionText(min: number, max: number): string {
  return `no common protocol version: ${min} to ${max}, and ${protocol.min} to ${protocol.max}`
}

function kindText(kind: unknown): string {
  return typeof kind === 'number' ? String(kind) : typeof kind
}

function isRefusalCode(code: unknown): code is RefusalCode {
  return typeof code === 'string' && code in refusalCodes
}

const refusalCodes: Record<RefusalCode, true> = {
  version: true,
  cluster: true,
  self: true,
  secret: true,
  denied: true,
  name: true,
  duplicate: true,
  malformed: true,
}
