/**
 * The network between simulated processes, as a transport that the real links run on: messages are bytes, delays are
 * drawn from the seed, nobody listens means refused, and a cut is silence: what is under way waits, and goes on when the
 * cut ends.
 */
import { SkepError } from '@skep/cluster'
import type { Random } from '@skep/cluster/core'
import type { Address, Connection, ConnectionEnd, Transport, TransportEvents } from '@skep/cluster/internal'
import { drawDelay } from '../machines/plan.js'
import { End, type Endpoint, type NetworkShape, type Wires } from './connection.js'
import { kinds, type Loop } from './loop.js'

/** A fast local network with few slow frames. */
export const calmNetwork: NetworkShape = { calmMs: 1, tailShare: 0.02, tailMs: 60, slowLinks: 0, bytesPerMs: 100_000 }

/** How often a dial is repeated on the wire while nothing answers. */
const redialMs = 1000

/** Which ways are silent. */
export interface Cut {
  readonly from: ReadonlySet<number>
  readonly to: ReadonlySet<number>
  readonly oneWay: boolean
}

export class Network implements Wires {
  readonly loop: Loop
  readonly random: Random
  readonly shape: NetworkShape
  readonly #machines = new Map<string, number>()
  readonly #listening = new Map<string, VirtualTransport>()
  readonly #cuts = new Set<Cut>()
  readonly #ends = new Set<End>()
  /** Messages that were written. */
  frames = 0

  constructor(loop: Loop, random: Random, shape: NetworkShape) {
    this.loop = loop
    this.random = random
    this.shape = shape
  }

  /** The machine with this address. */
  place(address: string, index: number): void {
    this.#machines.set(address, index)
  }

  addresses(): string[] {
    return [...this.#machines.keys()]
  }

  delay(baseMs = 0): number {
    return drawDelay(this.random, this.shape, baseMs)
  }

  isSilent(from: number, to: number): boolean {
    for (const cut of this.#cuts) {
      if (cut.from.has(from) && cut.to.has(to)) return true
      if (!cut.oneWay && cut.from.has(to) && cut.to.has(from)) return true
    }
    return false
  }

  cut(cut: Cut): void {
    this.#cuts.add(cut)
  }

  /** Ends this cut, or all of them; what waited arrives when it is sent again. */
  heal(cut?: Cut): void {
    if (cut === undefined) this.#cuts.clear()
    else this.#cuts.delete(cut)
    for (const end of this.#ends) end.resend()
  }

  /** What the network keeps from arriving, a line each, for people. */
  waiting(): string[] {
    const lines: string[] = []
    for (const end of this.#ends) {
      const line = end.waiting()
      if (line !== undefined) lines.push(line)
    }
    return lines
  }

  /** The process is gone, and all its connections are reset. */
  died(process: Endpoint): void {
    for (const [address, transport] of this.#listening) {
      if (transport.process === process) this.#listening.delete(address)
    }
    for (const end of [...this.#ends]) if (end.process === process) end.reset()
  }

  listen(address: string, transport: VirtualTransport): void {
    if (this.#listening.has(address)) throw new SkepError('ERR_ADDRESS_IN_USE', `${address} is in use`)
    this.#listening.set(address, transport)
  }

  wrote(_from: Endpoint, _to: Endpoint | undefined, messages: readonly Buffer[]): void {
    this.frames += messages.length
  }

  unlisten(transport: VirtualTransport): void {
    if (this.#listening.get(transport.address) === transport) this.#listening.delete(transport.address)
  }

  /** What `from` dials: silence while there is a cut, refused where nobody listens, else the two ends meet. */
  dial(from: Endpoint, ownAddress: string, address: string): End {
    const end = new End(this, from, address, address.slice(0, address.lastIndexOf(':')))
    this.#reach(end, ownAddress, address)
    return end
  }

  #reach(end: End, ownAddress: string, address: string): void {
    const { loop } = this
    const to = this.#machines.get(address)
    loop.at(loop.now + this.delay(), kinds.network, undefined, () => {
      if (end.isClosed) return
      if (to !== undefined && (this.isSilent(end.process.index, to) || this.isSilent(to, end.process.index))) {
        return void loop.at(loop.now + redialMs, kinds.network, undefined, () => this.#reach(end, ownAddress, address))
      }
      const transport = this.#listening.get(address)
      if (transport === undefined) {
        const refused: ConnectionEnd = { reason: 'ECONNREFUSED', byPeer: true, refused: true }
        return void loop.at(loop.now + this.delay(), kinds.frames, end.process, () => end.fall(refused))
      }
      const far = new End(this, transport.process, ownAddress, ownAddress.slice(0, ownAddress.lastIndexOf(':')))
      far.meets(end)
      // The system takes the connection at once, the process when it runs.
      loop.at(loop.now, kinds.frames, transport.process, () => transport.accept(far))
    })
  }

  opened(end: End): void {
    this.#ends.add(end)
  }

  closed(end: End): void {
    this.#ends.delete(end)
  }
}

export class VirtualTransport implements Transport {
  readonly process: Endpoint
  readonly #network: Network
  #events: TransportEvents | undefined
  address = ''

  constructor(network: Network, process: Endpoint) {
    this.#network = network
    this.process = process
  }

  async listen({ host, port }: Address, events: TransportEvents): Promise<number> {
    this.address = `${host}:${port}`
    this.#network.listen(this.address, this)
    this.#events = events
    events.bound(port)
    return port
  }

  whenRead(fn: (waitedMs: number) => void): void {
    fn(0)
  }

  dial(address: string): Connection {
    return this.#network.dial(this.process, this.address, address)
  }

  async close(): Promise<void> {
    this.#network.unlisten(this)
  }

  accept(end: End): void {
    this.#events?.met(end)
    end.open()
  }
}
