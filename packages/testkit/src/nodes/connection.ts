/**
 * One end of a connection between two simulated processes: each way first in first out, with the delays, the bandwidth
 * and the silence of its network; a reader that is slow makes the other end's buffer grow.
 */
import type { Timers } from '@skep/cluster'
import { nextFloat, type Random } from '@skep/cluster/core'
import { type Connection, type ConnectionEnd, type ConnectionEvents, splitFrames } from '@skep/cluster/internal'
import { type Delays, drawBase } from '../machines/plan.js'
import { kinds, type Loop, type Owner } from './loop.js'

/** How fast the network is: delays as at the level of machines, and a bandwidth. */
export interface NetworkShape extends Delays {
  /** Bytes that one way of one connection carries in a millisecond. */
  readonly bytesPerMs: number
}

/** A process as the network sees it. */
export interface Endpoint extends Owner {
  /** It runs no code before this moment. */
  readonly stalledUntil: number
  readonly time: Timers
}

/** What a connection needs of the network. */
export interface Wires {
  readonly loop: Loop
  readonly random: Random
  readonly shape: NetworkShape
  /** Milliseconds that something takes now, on a way that takes at least `baseMs`. */
  delay(baseMs?: number): number
  isSilent(from: number, to: number): boolean
  /** It has something to send again once a cut ends, and is listed; or no more. */
  opened(end: End): void
  closed(end: End): void
  /** The system was handed these messages at once, for the process at the far end. */
  wrote(from: Endpoint, to: Endpoint | undefined, messages: readonly Buffer[]): void
}

/** Bytes that the systems at both ends take before the sender's own buffer grows. */
const windowBytes = 256 * 1024
/** A sender hears of room after it held at least so much: the high mark of a socket of Node. */
const highMarkBytes = 16 * 1024
/** How long an orderly close waits for the far end. */
const closeTimeoutMs = 1000
/** A lost frame is sent again after so long at most. */
const resendMs = 300

/** What travels one way: the frames of one write, or the news that the far end opened, closed or died. */
interface Parcel {
  readonly frames: readonly Buffer[]
  readonly bytes: number
  readonly news: 'open' | 'fin' | 'reset' | undefined
  readonly reason: string
}

export class End implements Connection {
  readonly process: Endpoint
  readonly remote: string
  readonly remoteHost: string
  events: ConnectionEvents = {}
  bufferedAmount = 0
  isClosed = false
  readonly #network: Wires
  #far: End | undefined
  #isOpen = false
  #queue: Buffer[] = []
  #isCorked = false
  #owesDrain = false
  #closing: { readonly reason: string; sent: boolean } | undefined
  #onClosed: (() => void)[] = []
  /** Of the way from here to the far end. */
  readonly #baseMs: number
  #lastArrival = 0
  #onWire = 0
  #held: Parcel[] = []
  #resending = false

  constructor(network: Wires, process: Endpoint, remote: string, remoteHost: string) {
    this.#network = network
    this.process = process
    this.remote = remote
    this.remoteHost = remoteHost
    this.#baseMs = drawBase(network.random, network.shape)
    network.opened(this)
  }

  meets(far: End): void {
    this.#far = far
    far.#far = this
  }

  /** The process has taken it: the far end learns that. */
  open(): void {
    if (this.isClosed) return
    this.#isOpen = true
    this.#ship({ frames: [], bytes: 0, news: 'open', reason: '' })
    this.events.open?.()
  }

  send(bytes: Buffer): void {
    if (!this.#isOpen || this.isClosed || this.#closing !== undefined) return
    this.#queue.push(bytes)
    this.bufferedAmount += bytes.length
    if (!this.#isCorked) this.#flush()
  }

  cork(): void {
    this.#isCorked = true
  }

  uncork(): void {
    this.#isCorked = false
    this.#flush()
  }

  close(reason: string): Promise<void> {
    return new Promise((resolve) => {
      if (this.isClosed) return resolve()
      this.#onClosed.push(resolve)
      this.process.time.setTimer(() => this.terminate(), closeTimeoutMs)
      this.#closing ??= { reason, sent: false }
      this.uncork()
    })
  }

  terminate(): void {
    if (this.isClosed) return
    this.reset()
    this.process.time.defer(() => this.#tell({ reason: 'the connection ended', byPeer: true, refused: false }))
  }

  /** The far end hears that it is over; this one says nothing more. */
  reset(): void {
    if (this.isClosed) return
    this.#end()
    // What was under way is lost with the reset, or was there before it.
    const far = this.#far
    if (far === undefined) return
    if (nextFloat(this.#network.random) < 0.5) this.#lastArrival = this.#network.loop.now
    this.#ship({ frames: [], bytes: 0, news: 'reset', reason: 'ECONNRESET' })
  }

  /** It is closed; the owner hears of it. */
  fall(end: ConnectionEnd): void {
    if (this.isClosed) return
    this.#end()
    this.#tell(end)
  }

  waiting(): string | undefined {
    const held = this.#held.reduce((sum, { frames }) => sum + frames.length, 0)
    if (held + this.#queue.length === 0 || this.#far === undefined) return undefined
    const way = `machine ${this.process.index + 1} -> machine ${this.#far.process.index + 1}`
    const kindsHeld = [...this.#held.flatMap(({ frames }) => frames), ...this.#queue].flatMap(kindsOf)
    const list = [...new Set(kindsHeld)].sort((a, b) => a - b).join(', ')
    return `${way}: ${held} frames held by a cut, ${this.#queue.length} not sent (kinds ${list})`
  }

  /** A cut has ended, perhaps the one that held something here. */
  resend(): void {
    if (this.#held.length === 0 || this.#resending) return
    const { loop, random } = this.#network
    this.#resending = true
    loop.at(loop.now + nextFloat(random) * resendMs, kinds.network, undefined, () => {
      this.#resending = false
      if (this.#isSilent()) return
      for (const parcel of this.#held.splice(0)) this.#arriveAt(loop.now, parcel)
      if (this.isClosed) this.#network.closed(this)
    })
  }

  #end(): void {
    this.isClosed = true
    this.#queue = []
    this.bufferedAmount = 0
    if (this.#held.length === 0) this.#network.closed(this)
  }

  #tell(end: ConnectionEnd): void {
    this.events.closed?.(end)
    for (const resolve of this.#onClosed.splice(0)) resolve()
  }

  /** Puts on the wire what has room there, as one write. */
  #flush(): void {
    const frames: Buffer[] = []
    let bytes = 0
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const onWire = this.#onWire + bytes
      if (onWire > 0 && onWire + next.length > windowBytes) break
      this.#queue.shift()
      frames.push(next)
      bytes += next.length
    }
    if (this.bufferedAmount > highMarkBytes) this.#owesDrain = true
    this.bufferedAmount -= bytes
    this.#onWire += bytes
    if (frames.length > 0) {
      this.#network.wrote(this.process, this.#far?.process, frames)
      this.#ship({ frames, bytes, news: undefined, reason: '' })
    }
    if (this.#closing !== undefined && !this.#closing.sent && this.#queue.length === 0) {
      this.#closing.sent = true
      this.#ship({ frames: [], bytes: 0, news: 'fin', reason: this.#closing.reason })
    }
  }

  #ship(parcel: Parcel): void {
    const { loop, shape } = this.#network
    // A process that stands still sends nothing before it runs again.
    const from = Math.max(loop.now, this.process.alive ? this.process.stalledUntil : 0)
    const earliest = Math.max(this.#lastArrival, from + this.#network.delay(this.#baseMs))
    this.#lastArrival = earliest + parcel.bytes / shape.bytesPerMs
    this.#arriveAt(this.#lastArrival, parcel)
  }

  #arriveAt(at: number, parcel: Parcel): void {
    const { loop } = this.#network
    const far = this.#far
    if (far === undefined) return
    // First the wire, which a cut may silence, then the process, which may stand still.
    loop.at(at, kinds.network, undefined, () => {
      if (this.#held.length > 0 || this.#isSilent()) return this.#hold(parcel)
      loop.at(loop.now, kinds.frames, far.process, () => this.#deliver(far, parcel))
    })
  }

  #hold(parcel: Parcel): void {
    this.#held.push(parcel)
    // Also what this end said last, when it is closed already, is sent again.
    this.#network.opened(this)
    if (!this.#isSilent()) this.resend()
  }

  #isSilent(): boolean {
    return this.#far !== undefined && this.#network.isSilent(this.process.index, this.#far.process.index)
  }

  #deliver(far: End, { frames, bytes, news, reason }: Parcel): void {
    this.#acknowledge(bytes)
    if (far.isClosed) return
    for (const frame of frames) {
      this.#network.loop.note(frame.length)
      // Bytes of its own: what a reader keeps must not change with the sender's buffer.
      far.events.message?.(Buffer.from(frame), true)
    }
    if (news === 'open' && !far.#isOpen) {
      far.#isOpen = true
      far.events.open?.()
    } else if (news === 'fin') {
      if (far.#closing?.sent !== true) far.#answerFin()
      far.fall({ reason, byPeer: true, refused: false })
    } else if (news === 'reset') far.fall({ reason, byPeer: true, refused: false })
  }

  #answerFin(): void {
    this.#closing = { reason: '', sent: true }
    this.#ship({ frames: [], bytes: 0, news: 'fin', reason: '' })
  }

  /** The far end has read so much: there is room on the wire, and perhaps in the buffer. */
  #acknowledge(bytes: number): void {
    this.#onWire -= bytes
    if (bytes === 0 || this.isClosed) return
    if (this.#queue.length > 0 && !this.#isCorked) this.#flush()
    if (!this.#owesDrain || this.bufferedAmount > 0) return
    this.#owesDrain = false
    const { loop } = this.#network
    loop.at(loop.now, kinds.frames, this.process, () => {
      if (!this.isClosed) this.events.drain?.()
    })
  }
}

function kindsOf(message: Buffer): number[] {
  const found: number[] = []
  splitFrames(message, (frame) => found.push(kindOf(frame)) > 0)
  return found
}

/** The kind of a frame: the first element of a msgpack array, a small number; -1 where it is none. */
export function kindOf(bytes: Buffer): number {
  const at = (bytes[0] ?? 0) >= 0xdc ? 3 : 1
  const kind = bytes[at] ?? 0xff
  return kind < 128 ? kind : -1
}
