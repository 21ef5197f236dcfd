/**
 * One node of a cluster: the shell around the membership machine. It listens and dials, carries frames between links
 * and the machine, keeps its one timer, and hands what comes of it to the layers above. It decides nothing itself.
 *
 * The rule of all outputs: performed in order, depth first, in the turn in which the machine gave them.
 */
import { formatAddress, parseAddress, reachableHost } from './address.js'
import { type Chance, realChance } from './chance.js'
import { type ClusterOptions, type ClusterSettings, checkOptions } from './config.js'
import { clusterKinds, decodeFrame, encodeFrame, isLayerKind } from './core/frames.js'
import { type BootId, isGone, type Member, type MemberInfo, type View } from './core/member.js'
import {
  type ClusterFrame,
  type ClusterInput,
  type ClusterOutput,
  type ClusterUpward,
  type DialOutcome,
  type Formation,
  initMembership,
  type LogOutput,
  type MembershipState,
  membershipDeadline,
  stallMs,
  stepMembership,
} from './core/membership.js'
import type { Discovery } from './discovery/discovery.js'
import { type DiscoveryRunner, runDiscovery } from './discovery/runner.js'
import { isSkepError, SkepError } from './errors.js'
import type { Hello, Refusal } from './handshake.js'
import type { Link } from './link.js'
import { Links } from './links.js'
import { defaultLogger, type Logger, LogLimiter, unfailing } from './log.js'
import { relayCapability } from './relays.js'
import type {
  Cluster,
  ClusterEvents,
  ClusterStats,
  Description,
  Layer,
  LayerInput,
  PeerExplanation,
} from './surface.js'
import { realTime, type Time } from './time.js'
import type { Transport } from './transport.js'
import { packFrame } from './wire.js'
import { WsTransport } from './ws.js'

/**
 * Starts a node: resolves when it listens, then finds and links its peers. Rejects with a SkepError: ERR_CONFIG with
 * all `faults`, ERR_ADDRESS_IN_USE, ERR_LISTEN.
 */
export function startCluster(options: ClusterOptions): Promise<Cluster> {
  return startClusterIn(realClusterWorld, options)
}

/** What is outside the process of a node: the clock, chance and the network. */
export interface ClusterWorld {
  readonly time: Time
  readonly chance: Chance
  /** A network for one node. */
  transport(): Transport
}

export const realClusterWorld: ClusterWorld = {
  time: realTime,
  chance: realChance,
  transport: () => new WsTransport(realTime),
}

/** Starts a node in the given world; `startCluster` is this in the real one. */
export async function startClusterIn(world: ClusterWorld, options: ClusterOptions): Promise<Cluster> {
  const settings = checkOptions(options)
  const node = new ClusterNode(world, settings, options)
  await node.start()
  return node
}

/** Lines a minute about refused peers, all together. */
const maxRefusalLines = 30
/** Changes of what discovery finds that are told in a minute, and addresses that are shown of it. */
const MOST_FOUND = 10
const MOST_SHOWN = 64
/** Addresses of which it is kept what came of their last dial. */
const MAX_DIALS_KEPT = 4096

/** How often the machine hears that a link is used: a link that fell silent is found within this and a probe's time. */
const usedAgainMs = 250

/** A message of an upper layer on its way through the machine, which does not look inside. */
interface Load {
  /** Undefined: `value` is the frame itself. */
  readonly layer: Layer<unknown> | undefined
  readonly value: unknown
}

interface HeldFrame {
  readonly from: BootId
  readonly frame: readonly unknown[]
}

class ClusterNode implements Cluster {
  readonly #settings: ClusterSettings
  readonly #manualReady: boolean
  readonly #onFatal: (error: unknown) => void
  readonly #log: Logger
  readonly #time: Time
  readonly #chance: Chance
  readonly #limiter: LogLimiter
  readonly #transport: Transport
  readonly #links: Links
  readonly #layers: Layer<unknown>[] = []
  readonly #listeners: { readonly [E in keyof ClusterEvents]: Set<ClusterEvents[E]> } = {
    member: new Set(),
    view: new Set(),
    condemned: new Set(),
  }
  readonly #waiters: Set<(error?: SkepError) => void> = new Set()
  readonly #dropped: Map<string, number> = new Map()
  readonly #frames: { in: number; out: number } = { in: 0, out: 0 }
  #state!: MembershipState
  #discovery: DiscoveryRunner | undefined
  #cancelTimer: () => void = () => {}
  #timerAt = Infinity
  #depth = 0
  #isReady = false
  /** How many there were when the formation had not been met in time. */
  #notFormed: number | undefined
  #markedReady = false
  #ended = false
  /** Who holds this boot to be down, until it has become another one. */
  #condemnedBy: BootId | undefined
  /** What was last said to be found; nothing yet, so that nobody at all is said as well. */
  #found: string | undefined
  /** What came of the latest dial of each address, for people. */
  readonly #dials = new Map<
    string,
    { readonly count: number; readonly at: number; outcome: DialOutcome | 'under way' }
  >()
  /** Frames of calls that wait for the end of a doubt (see `stalled`); undefined while there is none. */
  #held: HeldFrame[] | undefined
  readonly #stallMs: number
  /** What is still to be sent before anything else is. */
  #unsent: (() => void)[] = []
  /** The last frame packed, so that one message to many peers is packed once. */
  #packed: { message: unknown; members: unknown; bytes: Buffer } | undefined

  constructor(world: ClusterWorld, settings: ClusterSettings, options: ClusterOptions) {
    this.#time = world.time
    this.#chance = world.chance
    this.#limiter = new LogLimiter(() => this.#time.now())
    this.#settings = settings
    this.#manualReady = options.manualReady === true
    this.#onFatal = options.onFatal ?? endProcess
    this.#stallMs = stallMs(settings.limits)
    this.#log = unfailing(options.logger ?? defaultLogger()).child({ component: 'cluster', node: settings.name })
    this.#transport = world.transport()
    this.#links = new Links({
      world: { time: world.time, chance: world.chance, transport: this.#transport },
      cluster: settings.cluster,
      secrets: settings.secrets,
      limits: settings.limits,
      self: () => this.#state.self,
      admit: (peer) => this.#admit(peer),
      events: {
        up: (peer, link, _role, continues) => this.#edge(() => this.#linkUp(peer, link.via, continues)),
        down: (boot, byPeer, reason) => this.#edge(() => this.#linkDown(boot, byPeer, reason)),
        message: (read) => this.#read(read),
        frame: (boot, frame, open) => this.#receive(boot, frame, open),
        drained: (boot) => this.#edge(() => this.#tell({ type: 'drained', boot })),
        dialled: (address, outcome, boot) => this.#edge(() => this.#dialled(address, outcome, boot)),
        dialledThrough: (boot, via, linked) =>
          this.#edge(() => this.#input({ type: 'dialledThrough', boot, via, linked })),
        dropped: (from, reason) => this.#drop(from, reason),
        refused: (peer, by, refusal) => this.#refused(peer, by, refusal),
      },
    })
  }

  /** Listens before anything is dialled; only then the address that others are told is known. */
  async start(): Promise<void> {
    const { listen, advertise, discovery, limits, cluster, name } = this.#settings
    // Nobody can be met before the machine stands: its first turn comes after the port is known.
    const port = await this.#links.listen(listen, (bound) => {
      const host = advertise?.host ?? reachableHost(listen.host)
      const address = formatAddress({ host, port: advertise?.port || bound })
      const self = this.#describeSelf(address)
      const seed = this.#chance.seed()
      this.#state = initMembership(
        {
          self,
          discovery: discovery.length > 0,
          seed,
          limits,
          formation: this.#settings.formation,
          lock: discovery.some((strategy) => strategy.lock !== undefined),
        },
        this.#time.now(),
      )
    })
    const { boot, address } = this.self
    const where = formatAddress({ host: listen.host, port })
    this.#log.info({ boot, address, cluster }, `started: node ${name} of cluster ${cluster} listens on ${where}`)
    if (discovery.length > 0) this.#runDiscovery(discovery)
    this.#input({ type: 'wake' })
  }

  #runDiscovery(strategies: readonly Discovery[]): DiscoveryRunner {
    const { name, address, boot } = this.self
    const { cluster, secrets } = this.#settings
    this.#discovery = runDiscovery(strategies, {
      self: { name, address, cluster, boot },
      secrets,
      logger: this.#log,
      limiter: this.#limiter,
      time: this.#time,
      found: (addresses) => this.#edge(() => this.#discovered(addresses)),
    })
    return this.#discovery
  }

  addDiscovery(strategy: Discovery): () => Promise<void> {
    if (this.#ended) throw new SkepError('ERR_STOPPED', `node ${this.#settings.name} has been stopped`)
    const runner = this.#discovery ?? this.#runDiscovery([])
    return runner.add(strategy)
  }

  explainPeer(address: string): PeerExplanation {
    const wanted = formatAddress(parseAddress(address))
    const now = this.#time.now()
    const dial = this.#state.dials.get(wanted)
    const past = this.#dials.get(wanted)
    const members = [...this.#state.members.values()].filter(({ info }) => info.address === wanted)
    return {
      address: wanted,
      namedBy: this.#discovery?.namings(wanted) ?? [],
      dials: past?.count ?? 0,
      dialledAgoMs: past === undefined ? undefined : now - past.at,
      outcome: past?.outcome,
      nextDialInMs: dial === undefined || dial.due === Infinity ? undefined : Math.max(0, dial.due - now),
      members: members.map(({ info, phase }) => ({
        name: info.name,
        boot: info.boot,
        phase,
        linked: this.linked(info.boot),
      })),
    }
  }

  get self(): MemberInfo {
    return this.#state.self.info
  }

  view(): View {
    return this.#state.view
  }

  members(): readonly Member[] {
    return [...this.#state.members.values()].filter((member) => !isGone(member))
  }

  member(boot: BootId): Member | undefined {
    return this.#state.members.get(boot)
  }

  linked(boot: BootId): boolean {
    return this.#links.get(boot) !== undefined
  }

  via(boot: BootId): MemberInfo | undefined {
    const via = this.#links.get(boot)?.via
    return via === undefined ? undefined : this.member(via)?.info
  }

  attach<M>(layer: Layer<M>): void {
    const [from, to] = layer.kinds
    if (!isLayerKind(from) || !isLayerKind(to) || from > to)
      throw new TypeError(`kinds ${from}-${to} are not a layer's`)
    const rival = this.#layers.find(({ kinds }) => kinds[0] <= to && from <= kinds[1])
    if (rival) throw new TypeError(`kinds ${from}-${to} overlap those of another layer, ${rival.kinds.join('-')}`)
    this.#layers.push(layer as Layer<unknown>)
    this.#edge(() => this.#introduce(layer as Layer<unknown>))
  }

  send(to: BootId, message: unknown, options: { readonly carry?: boolean; readonly relay?: boolean } = {}): void {
    this.#sendUnsent()
    const isFrame = Array.isArray(message)
    const layer = isFrame ? undefined : this.#layers.find((one) => one.raw === undefined)
    if (!isFrame && !layer) throw new TypeError('no layer is attached that could write this message')
    if (isFrame && !isLayerKind(message[0]))
      throw new TypeError(`${String(message[0])} is not the kind of a layer's frame`)
    const load: Load = { layer, value: message }
    this.#input({ type: 'send', to, message: load, carry: options.carry === true, relay: options.relay === true })
  }

  post(to: BootId, frame: readonly unknown[]): 'sent' | 'unlinked' | 'overloaded' {
    if (this.#ended) return 'unlinked'
    this.#sendUnsent()
    const link = this.#links.get(to)
    if (!link) {
      this.#input({ type: 'used', boot: to })
      return 'unlinked'
    }
    if (link.overloaded) {
      link.noteRefused()
      return 'overloaded'
    }
    const bytes = packChecked(frame, this.#settings.limits.maxFrameBytes)
    this.#frames.out++
    const isSent = link.send(bytes, 'call')
    this.#noteUsed(link)
    return isSent ? 'sent' : 'unlinked'
  }

  beforeSending(work: () => void): void {
    // A tick that is asked for among promises comes after the last of them.
    if (this.#unsent.length === 0) queueMicrotask(() => process.nextTick(() => this.#sendUnsent()))
    this.#unsent.push(work)
  }

  #sendUnsent(): void {
    if (this.#unsent.length === 0) return
    const unsent = this.#unsent
    this.#unsent = []
    for (const work of unsent) work()
  }

  /** After the frame has been sent: what comes of it may end this very link. Once a turn, for it takes a look at the clock. */
  #noteUsed(link: Link): void {
    if (link.notedUse) return
    link.notedUse = true
    const now = this.#time.now()
    if (now < link.tellUsedAt) return
    link.tellUsedAt = now + usedAgainMs
    this.#input({ type: 'used', boot: link.boot })
  }

  get isReady(): boolean {
    return this.#isReady
  }

  ready(options: { readonly timeout?: number; readonly signal?: AbortSignal } = {}): Promise<void> {
    const { timeout, signal } = options
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(new SkepError('ERR_STOPPED', `node ${this.#settings.name} has been stopped`))
      if (this.#isReady) return resolve()
      if (this.#notFormed !== undefined && this.#state.gate === 'shut') {
        return reject(this.#notFormedError(this.#state.present))
      }
      const settle = (error?: SkepError): void => {
        this.#waiters.delete(settle)
        cancel()
        signal?.removeEventListener('abort', aborted)
        if (error) reject(error)
        else resolve()
      }
      const aborted = (): void => settle(new SkepError('ERR_ABORTED', 'aborted while waiting for the node to be ready'))
      const bounded = timeout !== undefined && timeout < 2 ** 31
      const cancel = bounded ? this.#time.setTimer(() => settle(this.#notReady(timeout)), timeout) : () => {}
      this.#waiters.add(settle)
      if (signal?.aborted) aborted()
      else signal?.addEventListener('abort', aborted)
    })
  }

  markReady(): void {
    this.#markedReady = true
    this.#settleReady()
  }

  describe(change: Description): void {
    const { kinds = this.self.kinds, cordoned = this.self.cordoned, halted = this.self.halted ?? false } = change
    this.#input({ type: 'describe', info: { ...this.self, kinds: [...kinds], cordoned, halted } })
  }

  on<E extends keyof ClusterEvents>(event: E, listener: ClusterEvents[E]): () => void {
    this.#listeners[event].add(listener)
    return () => void this.#listeners[event].delete(listener)
  }

  async leave(): Promise<void> {
    this.#sendUnsent()
    this.#input({ type: 'leave' })
    // The links are uncorked in the next turn.
    await this.#turn()
  }

  async close(): Promise<void> {
    if (this.#ended) return
    this.#sendUnsent()
    if (this.#state.self.phase === 'leaving') this.#input({ type: 'bye' })
    await this.#end()
    this.#log.info({}, 'stopped')
  }

  stats(): ClusterStats {
    const links = [...this.#links.all()].map((link) => ({
      boot: link.boot,
      name: this.#nameOf(link.boot),
      via: link.via === undefined ? undefined : this.#nameOf(link.via),
      overloaded: link.overloaded,
      waitingBytes: link.waitingBytes,
      ...link.counts,
    }))
    return {
      dropped: Object.fromEntries(this.#dropped),
      frames: { ...this.#frames },
      links,
      discovery: this.#discovery?.report() ?? [],
    }
  }

  // The machine: inputs, the timer, outputs.

  /** One input, and all that comes of it. A throw in here is a fault of this node itself, whoever gave the input. */
  #input(input: ClusterInput): void {
    if (this.#ended) return
    this.#edge(() => {
      const now = this.#time.now()
      for (const output of stepMembership(this.#state, input, now)) this.#perform(output)
    })
  }

  /** The edge of the node: everything that outside events cause runs within. Rearms the timer when all is done. */
  #edge(work: () => void): void {
    if (this.#ended) return
    this.#depth++
    try {
      work()
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#depth--
    }
    if (this.#depth > 0) return
    // Not before all that the old boot's last step gave has been performed.
    if (this.#condemnedBy !== undefined && !this.#ended) this.#rejoin(this.#condemnedBy)
    else this.#arm()
  }

  /** A timer that would fire early is left alone: it looks again then. */
  #arm(): void {
    if (this.#ended) return
    const due = membershipDeadline(this.#state)
    if (due >= this.#timerAt) return
    this.#cancelTimer()
    this.#timerAt = due
    this.#cancelTimer = this.#time.setTimer(() => this.#timeUp(), due - this.#time.now())
  }

  #timeUp(): void {
    this.#timerAt = Infinity
    this.#edge(() => this.#wakeIfDue())
  }

  noticeStall(now = this.#time.now()): void {
    if (now - this.#state.due >= this.#stallMs) this.#edge(() => this.#wakeIfDue())
  }

  #wakeIfDue(): void {
    if (this.#time.now() >= membershipDeadline(this.#state)) this.#input({ type: 'wake' })
  }

  #perform(output: ClusterOutput): void {
    switch (output.type) {
      case 'transmit':
        return this.#transmit(output.to, output.frame)
      case 'dial':
        this.#noteDial(output.address)
        return this.#links.dial(output.address)
      case 'dialThrough':
        return this.#links.dialThrough(output.boot, output.via)
      case 'close':
        return this.#links.close(output.boot, output.reason)
      case 'refresh':
        return this.#discovery?.refresh()
      case 'lock':
        return this.#discovery?.lock(() => this.#input({ type: 'locked' }))
      case 'defer':
        return this.#time.defer(() => this.#time.defer(() => this.#judge(output.token)))
      case 'condemned':
        this.#condemnedBy = output.by
        return
      case 'stalled':
        this.#held ??= []
        return this.#tell({ type: 'stalled' })
      case 'notFormed':
        this.#notFormed = output.members
        for (const settle of [...this.#waiters]) settle(this.#notFormedError(output.members))
        return
      case 'trusted':
        this.#releaseHeld()
        return this.#tell({ type: 'trusted' })
      case 'dropped':
        return this.#drop(output.from, output.reason)
      case 'log':
        return this.#logged(output)
      default:
        return this.#upward(output)
    }
  }

  /** Acks that are in the sockets are read before a verdict, however much else is. */
  #judge(token: number): void {
    this.#transport.whenRead((waitedMs) => this.#input({ type: 'verdict', token, waitedMs }))
  }

  #upward(output: ClusterUpward): void {
    if (output.type === 'message') return this.#deliver(output.from, output.message as Load)
    this.#tell(output)
    switch (output.type) {
      case 'rejoined':
        // Calls that waited for the end of a stall came over links that are gone.
        this.#held = undefined
        return
      case 'member':
        return this.#emit('member', output.member, output.previous, output.reason)
      case 'view':
        return this.#emit('view', output.view)
      case 'gateOpen':
        this.#discovery?.unlock()
        return this.#settleReady()
    }
  }

  #tell(input: LayerInput): void {
    for (const layer of this.#layers) layer.input(input)
  }

  #deliver(from: BootId, load: Load): void {
    load.layer?.input({ type: 'message', from, message: load.value })
  }

  /** A new layer learns what the machine told the others before. */
  #introduce(layer: Layer<unknown>): void {
    for (const member of this.#state.members.values()) {
      layer.input({ type: 'member', member, previous: undefined, reason: 'known' })
    }
    layer.input({ type: 'view', view: this.#state.view })
    for (const boot of this.#state.links) layer.input({ type: 'linked', boot })
    if (this.#state.gate === 'open') layer.input({ type: 'gateOpen', reason: 'it is open' })
  }

  #settleReady(): void {
    if (this.#isReady || this.#state.gate !== 'open' || (this.#manualReady && !this.#markedReady)) return
    this.#isReady = true
    this.#input({ type: 'ready' })
    const { length } = this.#state.view.members
    this.#log.info({ members: length }, `ready: joined as one of ${length}`)
    for (const settle of [...this.#waiters]) settle()
  }

  /**
   * The others hold this node to be down, so it goes on as another boot: its connections end with the old one, and it
   * joins anew. One that is leaving goes on leaving instead.
   */
  #rejoin(by: BootId): void {
    this.#condemnedBy = undefined
    if (this.#isLeaving()) return this.#arm()
    this.#emit('condemned', by)
    // A listener may have ended it all, or begun to leave.
    if (this.#ended) return
    if (this.#isLeaving()) return this.#arm()
    this.#links.reset('this node goes on as another boot')
    this.#isReady = false
    this.#markedReady = false
    this.#input({ type: 'rejoin', boot: this.#newBoot(), startedAt: this.#wallMs() })
  }

  #isLeaving(): boolean {
    return this.#state.self.phase === 'leaving'
  }

  /** Whole milliseconds, as they go over the wire. */
  #wallMs(): number {
    return Math.max(0, Math.floor(this.#time.wall()))
  }

  #newBoot(): BootId {
    return this.#chance.bytes(16).toString('base64url')
  }

  // Frames.

  #transmit(to: BootId, frame: ClusterFrame): void {
    const link = this.#links.get(to)
    if (!link) return
    const load = 'message' in frame ? (frame.message as Load) : undefined
    const members = 'members' in frame ? frame.members : undefined
    try {
      const key = frame.type === 'message' || frame.type === 'carry' ? load?.value : frame
      const bytes = this.#pack(key, members, () => encodeFrame(frame, encodeLoad))
      this.#frames.out++
      link.send(bytes, frame.type === 'message' ? (load?.layer?.lane?.(load.value) ?? 'control') : 'control')
    } catch (error) {
      if (!isSkepError(error)) throw error
      this.#log.error({ err: error, to }, 'a message cannot be sent: dropped')
      this.#drop('this node', 'cannot be sent')
    }
  }

  /** Packs, or takes what was packed for the same message (and members) just before. */
  #pack(message: unknown, members: unknown, frame: () => readonly unknown[]): Buffer {
    const last = this.#packed
    if (last && last.message === message && last.members === members) return last.bytes
    const bytes = packChecked(frame(), this.#settings.limits.maxFrameBytes)
    this.#packed = { message, members, bytes }
    return bytes
  }

  #read(read: () => void): void {
    this.#edge(() => {
      // A stalled process must learn that time has passed before it reads what waited in its sockets.
      this.#wakeIfDue()
      read()
    })
  }

  #receive(from: BootId, frame: readonly unknown[], open: boolean): void {
    // An earlier frame of the message may have ended this boot.
    if (this.#ended || this.#condemnedBy !== undefined) return
    this.#frames.in++
    const kind = frame[0] as number
    const layer = isLayerKind(kind) ? this.#layerOf(kind) : undefined
    const isOurs = kind >= clusterKinds[0] && kind <= clusterKinds[1]
    if (!open && !isOurs) return this.#drop(from, 'the link was closed')
    if (!layer && !isOurs) return this.#drop(from, 'unknown kind')
    if (layer?.raw) return this.#held ? this.#hold(this.#held, from, frame) : layer.raw(from, frame)
    const decoded = decodeFrame(frame, (inner, to) => this.#decodeLoad(inner, to))
    if (decoded) this.#input({ type: 'frame', from, frame: decoded })
    else this.#drop(from, 'bad frame')
  }

  /** After a stall calls are neither run nor answered until this node knows that it is still a member. */
  #hold(held: HeldFrame[], from: BootId, frame: readonly unknown[]): void {
    if (held.length < this.#settings.limits.maxHeldFrames) held.push({ from, frame })
    else this.#drop(from, 'held too many')
  }

  /** In the order in which they came; whose link is gone was already told that the answer is lost. */
  #releaseHeld(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const { from, frame } of held) {
      if (this.linked(from)) this.#layerOf(frame[0] as number)?.raw?.(from, frame)
    }
  }

  /** What is only passed on stays as it is: its target may understand what this node does not. */
  #decodeLoad(frame: readonly unknown[], to: BootId | undefined): Load | undefined {
    if (to !== undefined && to !== this.self.boot) return { layer: undefined, value: frame }
    const layer = this.#layerOf(frame[0] as number)
    const value = layer?.decode(frame)
    return value === undefined ? undefined : { layer, value }
  }

  #layerOf(kind: number): Layer<unknown> | undefined {
    return this.#layers.find(({ kinds }) => kinds[0] <= kind && kind <= kinds[1])
  }

  // What the links and discovery report.

  #linkUp(peer: Hello, via: BootId | undefined, continues: boolean): void {
    const { info, incarnation, phase } = peer
    const { name, address, boot } = info
    if (via === undefined && !continues) this.#log.info({ peer: name, address, boot }, `linked to ${nodeText(info)}`)
    else if (continues) this.#logWay(info, 'back', {}, 'the direct link to it is back, and takes over')
    else {
      const relayer = this.#nameOf(via as BootId)
      this.#logWay(info, 'relayed', { via: relayer }, `there is no direct link to it: its frames go through ${relayer}`)
    }
    const carries = peer.capabilities.includes(relayCapability)
    this.#input({ type: 'linkUp', peer: info, incarnation, phase, via, carries, continues })
  }

  /** A change of the way to a member, at most once a minute in what is read every day. */
  #logWay({ name, address, boot }: MemberInfo, change: string, fields: object, text: string): void {
    const count = this.#limiter.count(`${change} ${boot}`)
    const level = count === 0 ? 'debug' : change === 'back' ? 'info' : 'warn'
    this.#log[level]({ peer: name, address, boot, count, ...fields }, `${name}: ${text}`)
  }

  #linkDown(boot: BootId, byPeer: boolean, reason: string): void {
    const text = `link to ${this.#nameOf(boot)} closed by ${byPeer ? 'the peer' : 'this node'}: ${reason}`
    this.#log.debug({ boot, byPeer, reason }, text)
    this.#input({ type: 'linkDown', boot, byPeer })
  }

  #noteDial(address: string): void {
    const count = (this.#dials.get(address)?.count ?? 0) + 1
    this.#dials.delete(address)
    this.#dials.set(address, { count, at: this.#time.now(), outcome: 'under way' })
    if (this.#dials.size > MAX_DIALS_KEPT) this.#dials.delete(this.#dials.keys().next().value as string)
  }

  #dialled(address: string, outcome: DialOutcome, boot: BootId | undefined): void {
    const past = this.#dials.get(address)
    if (past !== undefined) past.outcome = outcome
    this.#input(
      boot === undefined ? { type: 'dialled', address, outcome } : { type: 'dialled', address, outcome, boot },
    )
  }

  #discovered(addresses: readonly string[]): void {
    const sorted = [...addresses].sort()
    const found = sorted.join()
    if (found !== this.#found) {
      this.#found = found
      const shown = sorted.slice(0, MOST_SHOWN)
      const more = sorted.length > shown.length ? ` and ${sorted.length - shown.length} more` : ''
      const text = found ? `discovery found ${sorted.length}: ${shown.join(', ')}${more}` : 'discovery found nobody'
      // Answers that change all the time are not told all the time.
      this.#log[this.#limiter.count('found', MOST_FOUND) > 0 ? 'info' : 'debug']({ addresses: shown }, text)
    }
    this.#input({ type: 'discovered', addresses })
  }

  /** Asked for each peer that has proved the secret. */
  #admit(peer: Hello): Refusal | undefined {
    const { name, address, boot } = peer.info
    const { allow, deny } = this.#settings
    if (deny.some((pattern) => matches(pattern, name))) return { code: 'denied', text: `'${name}' is denied` }
    if (allow && !allow.some((pattern) => matches(pattern, name))) {
      return { code: 'denied', text: `'${name}' is not among the nodes allowed` }
    }
    for (const { info, phase } of this.#state.members.values()) {
      if (info.name !== name || info.boot === boot || phase === 'down' || phase === 'left') continue
      // Under the same address it is the old one's successor; only our own place nobody can have taken over.
      if (info.address === address && info !== this.self) continue
      return { code: 'name', text: `the name '${name}' is taken by a node at ${info.address}` }
    }
    return undefined
  }

  #refused(peer: string, by: 'us' | 'peer', refusal: Refusal): void {
    this.#drop(peer, `refused: ${refusal.code}`, false)
    const told = this.#limiter.count(`${by} ${peer} ${refusal.code}`)
    // A stranger chooses its own words, so there is a bound on all strangers together as well.
    const count = told > 0 && this.#limiter.count('refusals', maxRefusalLines) > 0 ? told : 0
    const text = by === 'us' ? `refused ${peer}: ${refusal.text}` : `refused by ${peer}: ${refusal.text}`
    // Said once, not at every retry.
    this.#log[count > 0 ? 'warn' : 'debug']({ peer, code: refusal.code, count }, text)
  }

  #drop(from: string, reason: string, logged = true): void {
    this.#dropped.set(reason, (this.#dropped.get(reason) ?? 0) + 1)
    const count = logged ? this.#limiter.count(`dropped ${reason}`) : 0
    if (count > 0) this.#log.warn({ from, reason, count }, `dropped from ${this.#nameOf(from)}: ${reason}`)
  }

  // The end.

  async #end(error = new SkepError('ERR_STOPPED', `node ${this.#settings.name} has been stopped`)): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    this.#cancelTimer()
    for (const settle of [...this.#waiters]) settle(error)
    await Promise.all([this.#discovery?.stop(), this.#links.stop('the node stops')])
  }

  /** A broken invariant: nothing of this node can be trusted from here on. */
  #fail(error: unknown): void {
    if (this.#ended) return
    void this.#end()
    this.#log.fatal(
      { err: error },
      `broken invariant, this node ends: ${error instanceof Error ? error.message : error}`,
    )
    this.#onFatal(error)
  }

  // For people.

  #emit<E extends keyof ClusterEvents>(event: E, ...args: Parameters<ClusterEvents[E]>): void {
    for (const listener of [...this.#listeners[event]]) {
      try {
        ;(listener as (...args: Parameters<ClusterEvents[E]>) => void)(...args)
      } catch (error) {
        this.#log.error({ err: error, event }, `a listener of '${event}' failed`)
      }
    }
  }

  /** `node` is whose log it is; the machine says it of whom it speaks. */
  #logged({ level, text, fields }: LogOutput): void {
    const { node, ...rest } = fields
    this.#log[level](node === undefined ? rest : { peer: node, ...rest }, text)
  }

  #nameOf(boot: string): string {
    return this.#state?.members.get(boot)?.info.name ?? boot
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#time.defer(resolve))
  }

  #notFormedError(members: number): SkepError {
    const { expect, withinMs } = this.#settings.formation as Formation
    const text = `node ${this.#settings.name} had not met the ${expect} members of its formation after ${withinMs} ms; there are ${members}`
    return new SkepError('ERR_NOT_FORMED', text, { members })
  }

  #notReady(timeout: number): SkepError {
    const { gate, view } = this.#state
    const why = gate === 'open' ? 'the layers above are not synced' : 'it has not joined'
    const text = `node ${this.#settings.name} is not ready after ${timeout} ms: ${why}`
    return new SkepError('ERR_NOT_READY', text, { members: view.members.length })
  }

  #describeSelf(address: string): MemberInfo {
    const { name, roles, weight, kinds, version } = this.#settings
    const boot = this.#newBoot()
    return { boot, name, address, roles, weight, cordoned: false, kinds, version, startedAt: this.#wallMs() }
  }
}

function encodeLoad(message: unknown): readonly unknown[] {
  const { layer, value } = message as Load
  return layer ? layer.encode(value) : (value as readonly unknown[])
}

function packChecked(frame: readonly unknown[], maxFrameBytes: number): Buffer {
  let bytes: Buffer
  try {
    bytes = packFrame(frame)
  } catch (error) {
    const text = `a frame of kind ${String(frame[0])} holds what cannot be sent: ${(error as Error).message}`
    throw new SkepError('ERR_NOT_SENDABLE', text, { cause: error })
  }
  if (bytes.length <= maxFrameBytes) return bytes
  throw new SkepError('ERR_TOO_LARGE', `a frame of ${bytes.length} bytes is above the limit of ${maxFrameBytes}`)
}

function matches(pattern: string | RegExp, name: string): boolean {
  if (typeof pattern === 'string') return pattern === name
  // Not `test`: a pattern with the flag g or y would remember where it stopped, and a frozen one cannot.
  return name.search(pattern) >= 0
}

function nodeText(info: MemberInfo): string {
  return `${info.name} at ${info.address}`
}

function endProcess(): void {
  process.exitCode = 70
  process.exit()
}
