/**
 * Connections that go through a neighbour: two nodes that cannot reach each other are linked by one that both are
 * linked with. What travels is what travels on any connection, the handshake first, so each end proves itself to the
 * other; the relayer only passes on.
 *
 *     A ---- [relay, op, to: B, from: A, circuit, ...] ----> C ---- the same frame ----> B
 *
 * - The relayer keeps nothing of a circuit. It takes a frame from the peer that the frame names as its maker alone, and
 *   only on a direct link, to pass on on a direct link: so each is passed on once, whatever anybody sends.
 * - A maker numbers what it sends; a number that is missing or comes twice ends the connection at both ends. So a frame
 *   arrives once, in order, or everybody is told that the link broke, as with any other.
 * - At most a window of bytes is under way unread. More waits at the maker, where it counts as any queue does; so the
 *   relayer holds little of each circuit. If its link to the target is full all the same, it ends the circuit.
 * - Where one of its two links ends the relayer tells the other end, and each end sees its own.
 */
import type { Chance } from './chance.js'
import { isBoot, isCount, isText } from './core/frames.js'
import type { BootId } from './core/member.js'
import type { Link } from './link.js'
import type { Timers } from './time.js'
import type { Connection, ConnectionEvents } from './transport.js'
import { linkKinds, maxWireBytes, packFrame } from './wire.js'

/** What a node says of itself in its HELLO that can pass frames on, and be reached so. */
export const relayCapability = 'relay'

/** Bytes under way unread on one circuit, each way; one message always goes. What a relayer holds of it at most. */
export const relayWindowBytes: number = 256 * 1024

/** After a close, how long what waits has to leave. */
const closeTimeoutMs = 1000

const ops = { open: 0, data: 1, read: 2, close: 3 } as const
type Op = (typeof ops)[keyof typeof ops]

/** Names all circuits of a pair: what the relayer says when one of its links has ended. */
const allCircuits = 0

/** What relayed connections need of the links. */
export interface RelayOwner {
  readonly chance: Chance
  readonly time: Timers
  self(): BootId
  /** The direct link to a peer that knows relayed ones. */
  carrier(boot: BootId): Link | undefined
  /** Somebody connects through a neighbour. */
  met(connection: RelayedConnection): void
  dropped(from: BootId, reason: string): void
}

export class Relays {
  readonly #owner: RelayOwner
  readonly #circuits: Map<string, RelayedConnection> = new Map()
  /** Pairs whose frames were passed on here since both links are up, each under both. */
  readonly #carried: Map<BootId, Set<BootId>> = new Map()

  constructor(owner: RelayOwner) {
    this.#owner = owner
  }

  /** A connection to `peer` that begins; it opens, or closes, in a later turn. */
  dial(peer: BootId, via: BootId): RelayedConnection {
    const circuit = this.#owner.chance.bytes(6).readUIntBE(0, 6) + 1
    const connection = this.#add(peer, via, circuit)
    this.#owner.time.defer(() => connection.begin())
    return connection
  }

  /** A relay frame came on this link: for us, or to be passed on. Total on anything. */
  receive(link: Link, frame: readonly unknown[]): void {
    const [, op, to, from, circuit] = frame
    if (!isOp(op) || !isBoot(to) || !isBoot(from) || to === from || !isCount(circuit)) {
      return this.#owner.dropped(link.boot, 'a bad relay frame')
    }
    // Once is enough: on a relayed link it has been passed on already.
    if (link.via !== undefined) return this.#owner.dropped(link.boot, 'relayed twice')
    if (to === this.#owner.self()) this.#arrived(link.boot, op, from, circuit, frame)
    else if (from === link.boot) this.#passOn(link, op, to, circuit, frame)
    else this.#owner.dropped(link.boot, 'relayed twice')
  }

  /** The direct link to this peer has ended, or is another one now: what was under way on it may be lost. */
  lost(boot: BootId): void {
    for (const circuit of [...this.#circuits.values()]) {
      if (circuit.via === boot) circuit.fall('the link to the relayer ended')
    }
    const partners = this.#carried.get(boot) ?? []
    this.#carried.delete(boot)
    for (const partner of partners) {
      this.#carried.get(partner)?.delete(boot)
      const frame = [linkKinds.relay, ops.close, partner, boot, allCircuits, 'the relayer lost its link']
      this.#owner.carrier(partner)?.send(packFrame(frame), 'control')
    }
  }

  /** Ends all connections at once; their owners hear nothing. */
  reset(): void {
    for (const circuit of this.#circuits.values()) circuit.events = {}
    for (const circuit of [...this.#circuits.values()]) circuit.terminate()
  }

  // What is passed on.

  #passOn(link: Link, op: Op, to: BootId, circuit: number, frame: readonly unknown[]): void {
    const from = link.boot
    const fields = fieldsOf(op, frame)
    if (fields === undefined) return this.#owner.dropped(from, 'a bad relay frame')
    const far = this.#owner.carrier(to)
    if (far === undefined) {
      if (op !== ops.close) this.#refuse(link, from, to, circuit, 'the relayer has no direct link to it')
      return
    }
    if (far.overloaded && op === ops.data) {
      this.#owner.dropped(from, 'a relayed frame to a full link')
      this.#refuse(link, from, to, circuit, 'the link from the relayer is full')
      this.#refuse(far, to, from, circuit, 'the link from the relayer is full')
      return
    }
    this.#note(from, to)
    this.#note(to, from)
    // One lane for all of a circuit, or they would overtake each other.
    far.send(packFrame([linkKinds.relay, op, to, from, circuit, ...fields]), 'bulk')
  }

  /** Ends a circuit at one of its ends, in the name of the other. */
  #refuse(link: Link, to: BootId, from: BootId, circuit: number, reason: string): void {
    link.send(packFrame([linkKinds.relay, ops.close, to, from, circuit, reason]), 'control')
  }

  #note(boot: BootId, partner: BootId): void {
    const partners = this.#carried.get(boot)
    if (partners) partners.add(partner)
    else this.#carried.set(boot, new Set([partner]))
  }

  // What is for us.

  #arrived(via: BootId, op: Op, from: BootId, circuit: number, frame: readonly unknown[]): void {
    const fields = fieldsOf(op, frame)
    if (fields === undefined || from === via) return this.#owner.dropped(via, 'a bad relay frame')
    const [first, second] = fields
    if (op === ops.close && circuit === allCircuits) {
      for (const one of [...this.#circuits.values()])
        if (one.via === via && one.peer === from) one.fall(first as string)
      return
    }
    const known = this.#circuits.get(keyOf(via, from, circuit))
    if (op === ops.open) {
      if (known || circuit === allCircuits) return this.#owner.dropped(via, 'a bad relay frame')
      const connection = this.#add(from, via, circuit)
      this.#owner.met(connection)
      connection.events.open?.()
    } else if (known === undefined) {
      // It ended here while this was under way; a circuit of which nothing is known is told so.
      const link = op === ops.data ? this.#owner.carrier(via) : undefined
      if (link) link.send(packFrame([linkKinds.relay, ops.close, from, this.#owner.self(), circuit, 'unknown']), 'bulk')
    } else if (op === ops.data) known.take(first as number, second as Buffer)
    else if (op === ops.read) known.read(first as number)
    else known.fall(first as string)
  }

  #add(peer: BootId, via: BootId, circuit: number): RelayedConnection {
    const key = keyOf(via, peer, circuit)
    const put = (op: Op, ...fields: unknown[]): boolean => {
      const frame = [linkKinds.relay, op, peer, this.#owner.self(), circuit, ...fields]
      return this.#owner.carrier(via)?.send(packFrame(frame), 'bulk') ?? false
    }
    const connection = new RelayedConnection(peer, via, this.#owner.time, put, () => void this.#circuits.delete(key))
    this.#circuits.set(key, connection)
    return connection
  }
}

/** One end of a connection through a neighbour. */
export class RelayedConnection implements Connection {
  readonly peer: BootId
  readonly via: BootId
  readonly remote: string
  readonly remoteHost: string
  events: ConnectionEvents = {}
  /** What waits for room in the window. */
  bufferedAmount = 0
  readonly #time: Timers
  readonly #put: (op: Op, ...fields: unknown[]) => boolean
  readonly #ended: () => void
  #waiting: Buffer[] = []
  #isOver = false
  #onOver: (() => void)[] = []
  /** Frames and bytes sent, and how many of the bytes the far end has read. */
  #sent = 0
  #sentBytes = 0
  #readBytes = 0
  /** Frames and bytes received, and of how many of the bytes the far end has been told. */
  #received = 0
  #receivedBytes = 0
  #toldBytes = 0
  #closing: string | undefined

  constructor(
    peer: BootId,
    via: BootId,
    time: Timers,
    put: (op: Op, ...fields: unknown[]) => boolean,
    ended: () => void,
  ) {
    this.peer = peer
    this.via = via
    this.remote = `${peer} through ${via}`
    this.remoteHost = this.remote
    this.#time = time
    this.#put = put
    this.#ended = ended
  }

  /** The dialling end asks the far one to meet it. */
  begin(): void {
    if (this.#isOver) return
    if (!this.#put(ops.open)) return this.fall('there is no link to the relayer')
    this.events.open?.()
  }

  send(bytes: Buffer): void {
    if (this.#isOver || this.#closing !== undefined) return
    this.#waiting.push(bytes)
    this.bufferedAmount += bytes.length
    this.#flush()
  }

  // The link to the relayer collects what is sent in one turn, for all that goes over it.
  cork(): void {}
  uncork(): void {}

  close(reason: string): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isOver) return resolve()
      this.#onOver.push(resolve)
      this.#closing ??= reason
      this.#time.setTimer(() => this.terminate(), closeTimeoutMs)
      this.#flush()
    })
  }

  terminate(): void {
    if (this.#isOver) return
    this.#put(ops.close, (this.#closing ?? 'ended').slice(0, maxReason))
    // Never in the turn of who asked for it.
    this.#end('the connection ended', true)
  }

  /** It is over: the far end, the relayer or a link on the way says so. */
  fall(reason: string): void {
    if (!this.#isOver) this.#end(reason, false)
  }

  /** The far end's next frame. */
  take(number: number, bytes: Buffer): void {
    if (number !== this.#received + 1) {
      this.#put(ops.close, 'a frame was lost')
      return this.fall('a frame was lost on the way')
    }
    this.#received = number
    this.#receivedBytes += bytes.length
    if (this.#receivedBytes - this.#toldBytes >= relayWindowBytes / 4) {
      this.#toldBytes = this.#receivedBytes
      this.#put(ops.read, this.#receivedBytes)
    }
    this.events.message?.(bytes, true)
  }

  /** So many bytes in all have been read at the far end. */
  read(bytes: number): void {
    if (bytes <= this.#readBytes || bytes > this.#sentBytes) return
    this.#readBytes = bytes
    if (this.#waiting.length === 0) return
    this.#flush()
    if (this.bufferedAmount === 0) this.events.drain?.()
  }

  #flush(): void {
    let count = 0
    for (const bytes of this.#waiting) {
      const under = this.#sentBytes - this.#readBytes
      if (under > 0 && under + bytes.length > relayWindowBytes) break
      count++
      this.#sentBytes += bytes.length
      this.bufferedAmount -= bytes.length
      // Where the link to the relayer is gone, its end is told next.
      this.#put(ops.data, ++this.#sent, bytes)
      if (this.#isOver) return
    }
    if (count > 0) this.#waiting.splice(0, count)
    if (this.#closing !== undefined && this.#waiting.length === 0) this.terminate()
  }

  #end(reason: string, later: boolean): void {
    this.#isOver = true
    this.#waiting = []
    this.bufferedAmount = 0
    this.#ended()
    const tell = (): void => {
      // Never taken for the end of the far process: only its own sockets say that.
      this.events.closed?.({ reason, byPeer: false, refused: false })
      for (const resolve of this.#onOver.splice(0)) resolve()
    }
    if (later) this.#time.defer(tell)
    else tell()
  }
}

const maxReason = 200

function isOp(value: unknown): value is Op {
  return value === ops.open || value === ops.data || value === ops.read || value === ops.close
}

/** What follows the circuit; undefined where it does not fit. Fields of versions to come are not passed on. */
function fieldsOf(op: Op, frame: readonly unknown[]): readonly unknown[] | undefined {
  const [, , , , , first, second] = frame
  switch (op) {
    case ops.open:
      return []
    case ops.data:
      return isCount(first) && second instanceof Uint8Array && second.length <= maxWireBytes
        ? [first, second]
        : undefined
    case ops.read:
      return isCount(first) ? [first] : undefined
    case ops.close:
      return isText(first, 0, maxReason) ? [first] : undefined
  }
}

function keyOf(via: BootId, peer: BootId, circuit: number): string {
  return `${via} ${peer} ${circuit}`
}
