/**
 * A network of links without sockets: connections in memory, first in first out each way, with delays drawn from a
 * seed, on a clock that the test moves. A pair can be cut: what is sent then is lost without a word, dials hear nothing.
 */
import { type MemberInfo, type Random, seedRandom } from '../src/core/index.js'
import { nextFloat, nextInt } from '../src/core/random.js'
import type { Hello } from '../src/handshake.js'
import { type LinkLimits, linkLimits } from '../src/limits.js'
import type { Link } from '../src/link.js'
import { Links } from '../src/links.js'
import type { Timers } from '../src/time.js'
import type { Connection, ConnectionEvents, Transport, TransportEvents } from '../src/transport.js'
import { infoOf } from './network.js'

/** Names are one letter, since an address is read strictly. */
function addressOf(name: string): string {
  return `10.0.0.1:${name.charCodeAt(0)}`
}

function infoFor(name: string): MemberInfo {
  return infoOf(name, name, addressOf(name))
}

interface Task {
  readonly at: number
  readonly order: number
  readonly run: () => void
}

export class Wires {
  now = 0
  readonly random: Random
  readonly peers: Map<string, Peer> = new Map()
  /** Pairs "a|b" that are silent, both ways. */
  readonly cuts: Set<string> = new Set()
  /** Nodes that read nothing. */
  readonly stuck: Set<string> = new Set()
  #tasks: Task[] = []
  #order = 0

  constructor(seed: number) {
    this.random = seedRandom(seed)
  }

  add(name: string, limits: Partial<LinkLimits> = {}): Peer {
    const peer = new Peer(this, name, limits)
    this.peers.set(name, peer)
    return peer
  }

  cut(a: string, b: string): void {
    this.cuts.add(`${a}|${b}`).add(`${b}|${a}`)
  }

  later(ms: number, run: () => void): () => void {
    const task = { at: this.now + ms, order: this.#order++, run }
    this.#tasks.push(task)
    return () => {
      this.#tasks = this.#tasks.filter((one) => one !== task)
    }
  }

  run(ms: number): void {
    const end = this.now + ms
    for (;;) {
      let next: Task | undefined
      for (const task of this.#tasks) {
        if (!next || task.at < next.at || (task.at === next.at && task.order < next.order)) next = task
      }
      if (next === undefined || next.at > end) break
      this.#tasks.splice(this.#tasks.indexOf(next), 1)
      this.now = next.at
      next.run()
    }
    this.now = end
  }

  delay(): number {
    return nextFloat(this.random) < 0.1 ? 20 * nextFloat(this.random) : 0.2 + nextFloat(this.random)
  }

  get time(): Timers {
    return {
      now: () => this.now,
      setTimer: (fn, ms) => this.later(ms, fn),
      defer: (fn) => void this.later(0, fn),
    }
  }
}

/** The system takes so much that nobody reads before the sender's own buffer grows. */
const windowBytes = 64 * 1024

class End implements Connection {
  readonly remote: string
  readonly remoteHost: string
  events: ConnectionEvents = {}
  bufferedAmount = 0
  far: End | undefined
  readonly wires: Wires
  readonly from: string
  readonly to: string
  #lastAt = 0
  #over = false
  #held: Buffer[] = []
  #heldBytes = 0

  constructor(wires: Wires, from: string, to: string) {
    this.wires = wires
    this.from = from
    this.to = to
    this.remote = addressOf(to)
    this.remoteHost = this.remote
  }

  send(bytes: Buffer): void {
    if (this.#over) return
    this.bufferedAmount = Math.max(0, this.#heldBytes + bytes.length - windowBytes)
    this.#heldBytes += bytes.length
    this.#ship(() => {
      if (this.far === undefined) return
      if (this.wires.stuck.has(this.to)) this.#held.push(bytes)
      else this.#read(bytes)
    })
  }

  /** The far end reads again. */
  unstick(): void {
    for (const bytes of this.#held.splice(0)) this.#read(bytes)
  }

  #read(bytes: Buffer): void {
    this.#heldBytes -= bytes.length
    this.bufferedAmount = Math.max(0, this.#heldBytes - windowBytes)
    this.far?.hear(bytes)
    if (this.bufferedAmount === 0 && !this.#over) this.events.drain?.()
  }

  hear(bytes: Buffer): void {
    if (!this.#over) this.events.message?.(Buffer.from(bytes), true)
  }

  cork(): void {}
  uncork(): void {}

  close(): Promise<void> {
    this.terminate()
    return Promise.resolve()
  }

  terminate(): void {
    if (this.#over) return
    this.#over = true
    this.#ship(() => this.far?.fell())
    this.wires.later(0, () => this.events.closed?.({ reason: 'ended here', byPeer: true, refused: false }))
  }

  fell(): void {
    if (this.#over) return
    this.#over = true
    this.events.closed?.({ reason: 'ended there', byPeer: true, refused: false })
  }

  #ship(arrive: () => void): void {
    const at = Math.max(this.#lastAt, this.wires.now + this.wires.delay())
    this.#lastAt = at
    const lost = (): boolean => this.wires.cuts.has(`${this.from}|${this.to}`)
    if (!lost()) this.wires.later(at - this.wires.now, () => void (lost() || arrive()))
  }
}

/** One node's links, and all that happened to them. */
export class Peer {
  readonly name: string
  readonly links: Links
  readonly ups: { boot: string; via: string | undefined; continues: boolean; hello: Hello; link: Link }[] = []
  readonly downs: { boot: string; reason: string }[] = []
  readonly frames: { from: string; frame: readonly unknown[] }[] = []
  readonly through: { boot: string; via: string; linked: boolean }[] = []
  readonly dropped: string[] = []
  drained = 0
  onUp: (boot: string) => void = () => {}
  readonly ends: End[] = []
  readonly #wires: Wires
  #listening: TransportEvents | undefined

  constructor(wires: Wires, name: string, limits: Partial<LinkLimits>) {
    this.name = name
    this.#wires = wires
    this.links = new Links({
      world: {
        time: wires.time,
        chance: {
          bytes: (size) => Buffer.from(Array.from({ length: size }, () => nextInt(wires.random) & 0xff)),
          seed: () => nextInt(wires.random),
        },
        transport: this.#transport(),
      },
      cluster: 'test',
      secrets: ['s'],
      limits: { ...linkLimits, ...limits },
      self: () => ({ info: infoFor(name), phase: 'up', incarnation: 0 }),
      admit: () => undefined,
      events: {
        up: (hello, link, _role, continues) => {
          this.ups.push({ boot: hello.info.boot, via: link.via, continues, hello, link })
          this.onUp(hello.info.boot)
        },
        down: (boot, _byPeer, reason) => this.downs.push({ boot, reason }),
        message: (read) => read(),
        frame: (from, frame) => this.frames.push({ from, frame }),
        drained: () => void this.drained++,
        dialled: () => {},
        dialledThrough: (boot, via, linked) => this.through.push({ boot, via, linked }),
        dropped: (_from, reason) => this.dropped.push(reason),
        refused: () => {},
      },
    })
    void this.links.listen({ host: '', port: 0 }, () => {})
  }

  dial(name: string): void {
    this.links.dial(addressOf(name))
  }

  /** Sends a numbered frame to this peer; false where there is no link, or a full one. */
  send(to: string, frame: Buffer): boolean {
    return this.links.get(to)?.send(frame, 'call') ?? false
  }

  /** What this peer sent, in the order in which it came. */
  from(name: string): unknown[] {
    return this.frames.filter(({ from }) => from === name).map(({ frame }) => frame[1])
  }

  unstick(): void {
    this.#wires.stuck.delete(this.name)
    for (const peer of this.#wires.peers.values()) for (const end of peer.ends) if (end.to === this.name) end.unstick()
  }

  #transport(): Transport {
    const wires = this.#wires
    return {
      whenRead: (fn) => fn(0),
      listen: (_address, events) => {
        this.#listening = events
        events.bound(1)
        return Promise.resolve(1)
      },
      dial: (address) => {
        const to = [...wires.peers.keys()].find((name) => addressOf(name) === address) as string
        const end = new End(wires, this.name, to)
        this.ends.push(end)
        wires.later(wires.delay(), () => {
          if (!wires.cuts.has(`${this.name}|${to}`)) wires.peers.get(to)?.meet(end)
        })
        return end
      },
      close: () => Promise.resolve(),
    }
  }

  meet(dialling: End): void {
    const end = new End(this.#wires, this.name, dialling.from)
    this.ends.push(end)
    end.far = dialling
    dialling.far = end
    this.#listening?.met(end)
    end.events.open?.()
    dialling.events.open?.()
  }
}

/** Three nodes, all linked; then the first two cannot hear each other, and go through the third. */
export function relayedPair(seed: number, limits: Partial<LinkLimits> = {}): [Wires, Peer, Peer, Peer] {
  const wires = new Wires(seed)
  const [a, b, c] = ['a', 'b', 'c'].map((name) => wires.add(name, limits)) as [Peer, Peer, Peer]
  a.dial('b')
  a.dial('c')
  c.dial('b')
  wires.run(100)
  wires.cut('a', 'b')
  a.links.close('b', 'silent')
  a.links.dialThrough('b', 'c')
  wires.run(100)
  return [wires, a, b, c]
}
