/**
 * A cluster in memory for tests of the shell: trackers over a network that packs and unpacks every message, on a clock
 * that the test moves. All members know each other from the start; links can be cut and members can go down.
 */
import { deserialize, serialize } from 'node:v8'
import type { Cluster, Layer, Logger, PeerExplanation } from '@skep/cluster'
import type { Member, MemberInfo, Phase, View } from '@skep/cluster/core'
import { startTracker, type Time, type Tracker, type TrackerOptions } from '../src/index.js'

/** One way of every message, in milliseconds. */
export const latencyMs = 1

interface Timer {
  readonly at: number
  readonly order: number
  readonly fn: () => void
}

export class VirtualTime implements Time {
  #now = 0
  #order = 0
  readonly #timers = new Set<Timer>()

  now(): number {
    return this.#now
  }

  wall(): number {
    return 1_700_000_000_000 + this.#now
  }

  /** How late the trackers' own timers fire: a busy event loop. */
  lateMs = 0

  setTimer(fn: () => void, ms: number): () => void {
    return this.after(fn, ms + this.lateMs)
  }

  after(fn: () => void, ms: number): () => void {
    const timer = { at: this.#now + Math.max(0, ms), order: this.#order++, fn }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  defer(fn: () => void): void {
    this.after(fn, 0)
  }

  get timers(): number {
    return this.#timers.size
  }

  /** Runs whatever is due within `ms`; promises are served after each timer. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    await served()
    for (let next = this.#next(); next !== undefined && next.at <= end; next = this.#next()) {
      this.#timers.delete(next)
      this.#now = Math.max(this.#now, next.at)
      next.fn()
      await served()
    }
    this.#now = end
  }

  /** Lets time run until the promise is settled, `limitMs` at most; rejects as it does. */
  async until<T>(promise: Promise<T>, limitMs = 20_000): Promise<T> {
    let open = true
    const settled = promise.finally(() => {
      open = false
    })
    settled.catch(() => {})
    const end = this.#now + limitMs
    await served()
    while (open && this.#now < end) await this.advance(latencyMs)
    if (open) throw new Error(`not settled within ${limitMs} ms`)
    return settled
  }

  #next(): Timer | undefined {
    let first: Timer | undefined
    for (const timer of this.#timers) {
      if (first === undefined || timer.at < first.at || (timer.at === first.at && timer.order < first.order))
        first = timer
    }
    return first
  }
}

/** Every promise that can go on has gone on. */
const served = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const quiet = (): void => {}
export const quietLogger: Logger = {
  debug: quiet,
  info: quiet,
  warn: quiet,
  error: quiet,
  fatal: quiet,
  child: () => quietLogger,
}

export interface FabricNode {
  readonly tracker: Tracker
  readonly cluster: FabricCluster
}

export class Fabric {
  readonly time = new VirtualTime()
  readonly nodes: FabricNode[] = []
  readonly cuts = new Set<string>()
  /** Messages on their way that a test wants to see or lose: return false to lose one. */
  filter: (from: string, to: string, frame: readonly unknown[]) => boolean = () => true
  view: View = { number: 1, members: [] }

  /** Starts nodes n1, n2, ... that are members from the start. */
  constructor(
    count: number,
    options: (name: string) => Partial<TrackerOptions> & { readonly kinds?: readonly string[] } = () => ({}),
  ) {
    const infos = Array.from({ length: count }, (_, i) => infoOf(`n${i + 1}`, options(`n${i + 1}`).kinds ?? []))
    this.view = { number: 1, members: infos }
    for (const info of infos) {
      const cluster = new FabricCluster(this, info)
      const { kinds: _, ...rest } = options(info.name)
      const tracker = startTracker({ cluster, logger: quietLogger, time: this.time, ...rest })
      this.nodes.push({ tracker, cluster })
    }
    for (const { cluster } of this.nodes) cluster.open()
  }

  node(name: string): FabricNode {
    const found = this.nodes.find((node) => node.cluster.self.name === name)
    if (found === undefined) throw new Error(`no node ${name}`)
    return found
  }

  tracker(name: string): Tracker {
    return this.node(name).tracker
  }

  /** Until every tracker is synced. */
  async ready(): Promise<void> {
    await this.time.until(Promise.all(this.nodes.map(({ tracker }) => tracker.ready())))
    // Slots are taken, ids are given out.
    await this.time.advance(2000)
  }

  cut(a: string, b: string): void {
    this.cuts.add(`${a}-${b}`).add(`${b}-${a}`)
    this.node(a).cluster.input({ type: 'unlinked', boot: bootOf(b) })
    this.node(b).cluster.input({ type: 'unlinked', boot: bootOf(a) })
  }

  heal(a: string, b: string): void {
    this.cuts.delete(`${a}-${b}`)
    this.cuts.delete(`${b}-${a}`)
    this.node(a).cluster.input({ type: 'linked', boot: bootOf(b) })
    this.node(b).cluster.input({ type: 'linked', boot: bootOf(a) })
  }

  /** The node's process is gone, and everybody notices at once. */
  async kill(name: string): Promise<void> {
    await this.node(name).tracker.close()
    this.view = { number: this.view.number + 1, members: this.view.members.filter((info) => info.name !== name) }
    for (const { cluster } of this.nodes) {
      if (cluster.self.name === name) continue
      cluster.input({ type: 'unlinked', boot: bootOf(name) })
      cluster.input({
        type: 'member',
        member: memberOf(this.node(name).cluster.self, 'down'),
        previous: undefined,
        reason: 'killed',
      })
      cluster.input({ type: 'view', view: this.view })
    }
  }

  deliver(from: FabricCluster, to: string, frame: readonly unknown[]): void {
    const receiver = this.nodes.find(({ cluster }) => cluster.self.boot === to)?.cluster
    if (receiver === undefined || this.cuts.has(`${from.self.name}-${receiver.self.name}`)) return
    if (!this.filter(from.self.name, receiver.self.name, frame)) return
    const bytes = serialize(frame)
    this.time.after(() => receiver.receive(from.self.boot, deserialize(bytes) as unknown[]), latencyMs)
  }
}

export class FabricCluster implements Cluster {
  readonly self: MemberInfo
  readonly #fabric: Fabric
  #layer: Layer<unknown> | undefined
  #unsent: (() => void)[] = []
  #ready = false
  #onReady: (() => void)[] = []

  get isReady(): boolean {
    return this.#ready
  }

  constructor(fabric: Fabric, self: MemberInfo) {
    this.#fabric = fabric
    this.self = self
  }

  open(): void {
    for (const info of this.#fabric.view.members) {
      this.input({ type: 'member', member: memberOf(info, 'up'), previous: undefined, reason: 'test' })
    }
    this.input({ type: 'view', view: this.#fabric.view })
    for (const info of this.#fabric.view.members) {
      if (info.boot !== this.self.boot) this.input({ type: 'linked', boot: info.boot })
    }
    this.input({ type: 'gateOpen', reason: 'test' })
  }

  input(input: Parameters<Layer<unknown>['input']>[0]): void {
    this.#layer?.input(input)
  }

  receive(from: string, frame: readonly unknown[]): void {
    const message = this.#layer?.decode(frame)
    if (message === undefined) throw new Error(`a tracker could not read what a tracker sent: ${JSON.stringify(frame)}`)
    this.input({ type: 'message', from, message })
  }

  attach<M>(layer: Layer<M>): void {
    this.#layer = layer as unknown as Layer<unknown>
  }

  beforeSending(work: () => void): void {
    if (this.#unsent.length === 0) queueMicrotask(() => process.nextTick(() => this.#sendUnsent()))
    this.#unsent.push(work)
  }

  #sendUnsent(): void {
    for (const work of this.#unsent.splice(0)) work()
  }

  send(to: string, message: unknown): void {
    this.#sendUnsent()
    const frame = this.#layer?.encode(message)
    if (frame !== undefined) this.#fabric.deliver(this, to, frame)
  }

  markReady(): void {
    this.#ready = true
    for (const resolve of this.#onReady.splice(0)) resolve()
  }

  ready(): Promise<void> {
    return this.#ready ? Promise.resolve() : new Promise((resolve) => this.#onReady.push(resolve))
  }

  view(): View {
    return this.#fabric.view
  }

  members(): readonly Member[] {
    return this.#fabric.view.members.map((info) => memberOf(info, 'up'))
  }

  member(boot: string): Member | undefined {
    return this.members().find((member) => member.info.boot === boot)
  }

  via(): undefined {}

  noticeStall(): void {}

  addDiscovery(): () => Promise<void> {
    return async () => {}
  }

  explainPeer(address: string): PeerExplanation {
    const none = { dialledAgoMs: undefined, outcome: undefined, nextDialInMs: undefined }
    return { address, namedBy: [], dials: 0, members: [], ...none }
  }

  linked(boot: string): boolean {
    return boot !== this.self.boot
  }

  post(): 'unlinked' {
    this.#sendUnsent()
    return 'unlinked'
  }

  describe(): void {}

  on(): () => void {
    return () => {}
  }

  leave(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  stats(): ReturnType<Cluster['stats']> {
    throw new Error('not counted here')
  }
}

function bootOf(name: string): string {
  return `boot-${name}`.padEnd(22, '0')
}

function infoOf(name: string, kinds: readonly string[]): MemberInfo {
  return {
    boot: bootOf(name),
    name,
    address: `${name}:1`,
    roles: [],
    weight: 1,
    cordoned: false,
    kinds,
    version: '',
    startedAt: 0,
  }
}

function memberOf(info: MemberInfo, phase: Phase): Member {
  return { info, phase, incarnation: 0, suspect: false }
}
