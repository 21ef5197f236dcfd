/**
 * A node: the cluster, the tracker and the actors of one process under one handle. It puts the layers together, starts
 * them in order and ends them in the opposite one; what they do is theirs.
 *
 *   startNode -> (listens, looks for peers) -> ready -> ... -> drain or stop
 *
 * Everything that reaches outside the process comes in through `World`, so that tests say what time it is.
 */

import {
  type ActorNode,
  type ActorSystem,
  type AnyActor,
  type ProcessReport,
  type ReloadReport,
  startActors,
} from '@skep/actor'
import {
  type Cluster,
  type Discovery,
  type Logger,
  membershipLimits,
  type PeerExplanation,
  SkepError,
} from '@skep/cluster'
import type { BootId } from '@skep/cluster/core'
import { startClusterIn } from '@skep/cluster/internal'
import {
  type Claim,
  type Explanation,
  type PartitionConfig,
  partitionTimes,
  startTracker,
  type Tracker,
  type Unmoved,
  type WaitOptions,
} from '@skep/tracker'
import type { AdminOptions, AdminServer, Readiness } from './admin.js'
import { checkConfig, clusterPart, type NodeConfig, rebalanceOf } from './config.js'
import { Events, type NodeEvents } from './events.js'
import { rootLogger } from './logs.js'
import { memberOf, type NodeMember } from './member.js'
import { onSignals } from './signals.js'
import type { World } from './world.js'

export interface DrainOptions {
  /** Milliseconds after which what is not handed over is given up. Default 10 s. */
  readonly timeout?: number
}

/** How a node left. */
export interface DrainReport {
  /** Placed actors that went to other nodes with their state. */
  readonly moved: number
  /** Placed actors that ended here, each with the reason: the cluster starts them afresh elsewhere. */
  readonly unmoved: readonly Unmoved[]
}

/** Where a name is and why, and what its actor is at when it runs on the node that explains. */
export interface NodeExplanation extends Explanation {
  readonly process: ProcessReport | undefined
  /** The name of the member through which calls to the holder go, while there is no direct link to its node. */
  readonly via: string | undefined
}

/** A running node. Made by `startNode`. */
export interface SkepNode extends ActorNode, AsyncDisposable {
  readonly name: string
  /** `host:port` at which others reach it. */
  readonly address: string
  /** Another one after the others held this node to be down while it lived. */
  readonly boot: BootId
  /** `host:port` of the admin listener; undefined where none is configured. */
  readonly admin: string | undefined
  /**
   * Resolves when it has joined and synced. Errors: ERR_NOT_READY after `timeout` (ms), ERR_NOT_FORMED (see `formation`),
   * ERR_ABORTED, ERR_STOPPED.
   */
  ready(options?: WaitOptions): Promise<void>
  /** All members that are not gone, this node included, by name. */
  members(): readonly NodeMember[]
  /** The names visible here, a snapshot; with `local` only those that this node holds. */
  registered(filter?: { readonly prefix?: string; readonly local?: boolean }): Claim[]
  /** Why a name is where it is, as this node sees it. */
  explain(name: string): NodeExplanation
  /** Who named an address (`host:port`), when it was dialled, what came of it. Throws a TypeError where it is none. */
  explainPeer(address: string): PeerExplanation
  /** Looks for peers by one more strategy from here on; the function returned ends that. */
  addDiscovery(strategy: Discovery): () => Promise<void>
  /** Calls `listener` on each event, never inside the registry's own steps; the function returned ends that. */
  on<E extends keyof NodeEvents>(event: E, listener: (data: NodeEvents[E]) => void): () => void
  /**
   * Nothing new is placed here while it is on; what runs here runs on, and `start` works as ever. Others see it in
   * `members()`.
   */
  cordon(on?: boolean): void
  /**
   * Hands the placed actor of this name over, with its state and what waits for it, wherever it runs: to that node, or
   * to where the ring says, its own node aside. Resolves when it is there, at once where it was. Errors: ERR_CANNOT_MOVE, ERR_NOT_REGISTERED, ERR_TIMEOUT,
   * ERR_NODE_DOWN.
   */
  move(name: string, to?: string, options?: WaitOptions): Promise<void>
  /**
   * For development: gives all actors of this kind on this node new code, from their next message on, with their state
   * (through `handoff.out` of the old definition and `handoff.in` of the new one where those are given). What fails goes
   * on as it was, and is told. TypeError where this node knows no actors of this kind.
   */
  reload(definition: AnyActor): Promise<ReloadReport>
  /**
   * Leaves the cluster in order: takes nothing new, hands its placed actors over with their state, ends the others, says
   * goodbye and closes. Throws a TypeError where `timeout` is no number of milliseconds.
   */
  drain(options?: DrainOptions): Promise<DrainReport>
  /** Ends at once: actors, links, timers. Nothing is handed over; the others notice. */
  stop(): Promise<void>
}

const DRAIN_MS = 10_000

/** What is left of a drain, at most, for all that comes after the handing over. */
const LAST_MS = 3000

/** Names of actors in one line of the log. */
const MOST_NAMES = 20

const NOTHING: DrainReport = { moved: 0, unmoved: [] }

/** Starts a node in the given world; `startNode` is this in the real one. */
export async function startNodeIn(world: World, config: NodeConfig): Promise<SkepNode> {
  checkConfig(config)
  const { name, actors: definitions = [], isolation, onFatal, placement, rebalance, signals = true } = config
  const { actorLimits: limits, massLossPause: massLossPauseMs } = config
  const root = rootLogger(config)
  const kinds = definitions.map(({ kind }) => kind)
  const options = { ...clusterPart(config), kinds, logger: root, manualReady: true }
  const cluster = await startClusterIn(world, options)
  const logger = root.child({ node: name })
  const { time } = world
  const seed = world.chance.seed()
  const partition = partitionOf(config)
  const tracker = startTracker({
    cluster,
    logger,
    time,
    seed,
    rebalance: rebalanceOf(rebalance),
    ...(massLossPauseMs === undefined ? {} : { limits: { massLossPauseMs } }),
    ...(partition === undefined ? {} : { partition }),
    ...(onFatal === undefined ? {} : { onFatal }),
  })
  const actors = startActors({
    cluster,
    tracker,
    actors: definitions,
    logger,
    time,
    ...(isolation === undefined ? {} : { isolation }),
    ...(placement === undefined ? {} : { placement }),
    ...(limits === undefined ? {} : { limits }),
  })
  const node = new RunningNode(world, { logger: logger.child({ component: 'node' }), cluster, tracker, actors })
  if (config.admin !== undefined) {
    try {
      await node.listenForAdmin(typeof config.admin === 'string' ? { listen: config.admin } : config.admin)
    } catch (error) {
      await node.stop()
      throw error
    }
  }
  if (signals) node.obeySignals()
  return node
}

/** What the tracker needs of the policy; nothing where every part goes on. */
function partitionOf({ partition = 'serve', limits }: NodeConfig): PartitionConfig | undefined {
  return partition === 'serve'
    ? undefined
    : { policy: partition, ...partitionTimes({ ...membershipLimits, ...limits }) }
}

export interface Layers {
  readonly logger: Logger
  readonly cluster: Cluster
  readonly tracker: Tracker
  readonly actors: ActorSystem
}

class RunningNode implements SkepNode {
  readonly name: string
  readonly address: string
  readonly start: ActorNode['start']
  readonly spawn: ActorNode['spawn']
  readonly ensure: ActorNode['ensure']
  readonly via: ActorNode['via']
  readonly ref: ActorNode['ref']
  readonly group: ActorNode['group']
  readonly whereis: ActorNode['whereis']
  readonly register: ActorNode['register']
  readonly unregister: ActorNode['unregister']
  readonly #world: World
  readonly #layers: Layers
  readonly #events: Events
  readonly #startedMs: number
  #ignoreSignals: () => void = () => {}
  #drainedByOperator = false
  #drained: Promise<DrainReport> | undefined
  #stopped: Promise<void> | undefined
  #admin: AdminServer | undefined

  constructor(world: World, layers: Layers) {
    const { cluster, tracker, actors, logger } = layers
    const { self } = cluster
    this.#world = world
    this.#layers = layers
    this.name = self.name
    this.address = self.address
    this.start = actors.start.bind(actors)
    this.spawn = actors.spawn.bind(actors)
    this.ensure = actors.ensure.bind(actors)
    this.via = actors.via.bind(actors)
    this.ref = actors.ref.bind(actors)
    this.group = actors.group.bind(actors)
    this.whereis = actors.whereis.bind(actors)
    this.register = actors.register.bind(actors)
    this.unregister = async (name) => {
      const claim = tracker.lookup(name)
      if (claim?.kind === undefined) return actors.unregister(name)
      const text = `'${name}' is the name of an actor of kind '${claim.kind}', which would run on without it: stop it`
      throw new SkepError('ERR_BOUND_NAME', text, { pid: claim.pid })
    }
    this.#startedMs = world.time.now()
    this.#events = new Events({ cluster, tracker, logger })
    this.#tell()
  }

  static layersOf(node: SkepNode): Layers {
    if (!(node instanceof RunningNode)) throw new TypeError('this node was not made by startNode')
    return node.#layers
  }

  get boot(): BootId {
    return this.#layers.cluster.self.boot
  }

  ready(options: WaitOptions = {}): Promise<void> {
    return this.#layers.tracker.ready(options)
  }

  reload(definition: AnyActor): Promise<ReloadReport> {
    return this.#layers.actors.reload(definition)
  }

  get admin(): string | undefined {
    return this.#admin?.address
  }

  cordon(on = true): void {
    const { cluster, logger } = this.#layers
    if (cluster.self.cordoned === on) return
    logger.info({ cordoned: on }, on ? 'cordoned: nothing new is placed here' : 'no longer cordoned')
    cluster.describe({ cordoned: on })
  }

  members(): readonly NodeMember[] {
    const { cluster } = this.#layers
    return cluster
      .members()
      .map((member) => memberOf(member, cluster.via(member.info.boot)?.name))
      .sort(byName)
  }

  registered(filter: { readonly prefix?: string; readonly local?: boolean } = {}): Claim[] {
    return this.#layers.tracker.registered(filter)
  }

  explainPeer(address: string): PeerExplanation {
    return this.#layers.cluster.explainPeer(address)
  }

  addDiscovery(strategy: Discovery): () => Promise<void> {
    return this.#layers.cluster.addDiscovery(strategy)
  }

  explain(name: string): NodeExplanation {
    const { cluster, tracker, actors } = this.#layers
    const pid = tracker.whereis(name)
    const process = pid && actors.report(pid)
    return { ...tracker.explain(name), process, via: pid && cluster.via(pid.boot)?.name }
  }

  on<E extends keyof NodeEvents>(event: E, listener: (data: NodeEvents[E]) => void): () => void {
    return this.#events.on(event, listener)
  }

  async move(name: string, to?: string, options: WaitOptions = {}): Promise<void> {
    const { cluster, tracker } = this.#layers
    const member = to === undefined ? undefined : cluster.members().find(({ info }) => info.name === to)
    if (to !== undefined && member === undefined)
      throw new SkepError('ERR_CANNOT_MOVE', `move '${name}': no member is called '${to}'`)
    await tracker.move(name, member?.info.boot, options)
  }

  drain({ timeout = DRAIN_MS }: DrainOptions = {}): Promise<DrainReport> {
    if (typeof timeout !== 'number' || !(timeout >= 0))
      throw new TypeError(`drain: timeout must be a number of milliseconds, not ${String(timeout)}`)
    if (this.#drained === undefined) {
      this.#drained = this.#stopped === undefined ? this.#drain(timeout) : this.#stopped.then(() => NOTHING)
      this.#world.turned?.('leaving')
    }
    return this.#drained
  }

  stop(): Promise<void> {
    if (this.#stopped === undefined) {
      this.#stopped = this.#close()
      this.#world.turned?.('leaving')
    }
    return this.#stopped
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /** SIGTERM and SIGINT drain this node, and end the process when nobody else listens to them. */
  obeySignals(): void {
    this.#ignoreSignals = onSignals(this.#world.signals, (signal) => {
      this.#layers.logger.info({ signal }, `${signal}: draining`)
      return this.drain()
    })
  }

  async listenForAdmin(options: AdminOptions): Promise<void> {
    const { logger } = this.#layers
    this.#admin = await this.#world.admin(options, {
      readiness: () => this.#readiness(),
      drain: () => {
        logger.info({}, 'asked over the admin listener: draining')
        this.#drainedByOperator = true
        return this.drain()
      },
    })
    logger.info({ address: this.#admin.address }, `admin listener on ${this.#admin.address}`)
  }

  #readiness(): Readiness {
    if (this.#drained !== undefined || this.#stopped !== undefined) return 'leaving'
    return this.#layers.cluster.isReady ? 'ready' : 'joining'
  }

  async #drain(timeout: number): Promise<DrainReport> {
    const { logger } = this.#layers
    const due = this.#world.time.now() + timeout
    let report = NOTHING
    try {
      report = await this.#handOver(due - Math.min(LAST_MS, timeout / 3))
      logger.info({ moved: report.moved }, 'drain: leaving announced, what is left ends here')
      if (!(await this.#within(this.#leave(), due)))
        logger.warn({ timeout }, `drain: not finished within ${timeout} ms, closing all the same`)
    } catch (error) {
      // Whatever went wrong, the node must still end; the others notice that it is gone.
      logger.error({ err: error }, 'drain failed, closing all the same')
    }
    await this.stop()
    return report
  }

  /** Placed actors go to others while this node still answers like any; nothing new is placed here. */
  async #handOver(due: number): Promise<DrainReport> {
    const { cluster, logger, tracker, actors } = this.#layers
    const placed = tracker.unmoved('').length
    const before = tracker.handedOver
    cluster.describe({ cordoned: true })
    logger.info({ placed }, `drain: ${placed} placed actors are to be handed over`)
    let unmoved: readonly Unmoved[] | undefined
    const handing = tracker.handOver().then((left) => {
      unmoved = left
    })
    // Calls that came here meanwhile have their answers from where their actors are now.
    await this.#within(
      handing.then(() => actors.allPassed()),
      due,
    )
    unmoved ??= tracker.unmoved('there was no time')
    const names = unmoved.slice(0, MOST_NAMES).map(({ name, reason }) => `${name}: ${reason}`)
    if (names.length > 0) logger.warn({ unmoved: names, count: unmoved.length }, 'drain: not all was handed over')
    return { moved: tracker.handedOver - before, unmoved }
  }

  /** From the announcement until nothing is left here that another node needs. */
  async #leave(): Promise<void> {
    const { tracker, actors } = this.#layers
    tracker.leave()
    await actors.stopAll('drain')
    await tracker.part()
  }

  /** False when the work was not done by then; it may go on. */
  async #within(work: Promise<unknown>, due: number): Promise<boolean> {
    const { time } = this.#world
    let cancel: () => void = () => {}
    const late = new Promise<boolean>((resolve) => {
      cancel = time.setTimer(() => resolve(false), Math.max(0, due - time.now()))
    })
    try {
      return await Promise.race([work.then(() => true), late])
    } finally {
      cancel()
    }
  }

  async #close(): Promise<void> {
    const { cluster, tracker, actors } = this.#layers
    // The program does not know that its node was drained, and goes on: the SIGTERM that comes next still ends it in order,
    // and as the first process of a container it would not end at all.
    if (!this.#drainedByOperator) this.#ignoreSignals()
    this.#events.end()
    actors.close()
    await tracker.close()
    await cluster.close()
    // Last: until then probes are told that it is leaving.
    await this.#admin?.close()
  }

  #tell(): void {
    const { logger, cluster, tracker } = this.#layers
    const since = (): number => Math.round(this.#world.time.now() - this.#startedMs)
    tracker.ready({ timeout: Number.POSITIVE_INFINITY }).then(
      () => logger.info({ ms: since() }, `synced after ${since()} ms`),
      () => {},
    )
    cluster.on('condemned', (by) => {
      logger.warn({ by }, 'the others hold this node to be down: it joins anew as another boot, its actors live on')
      this.#world.turned?.('joining')
      // Until this turn ends it still counts as ready.
      this.#world.time.defer(() => this.#tellReady())
    })
    this.#tellReady()
  }

  #tellReady(): void {
    const tell = (): void => {
      if (this.#readiness() === 'ready') this.#world.turned?.('ready')
    }
    this.#layers.tracker.ready({ timeout: Number.POSITIVE_INFINITY }).then(tell, () => {})
  }
}

/** What a node is made of: for tools that look deeper than its user does. */
export function layersOf(node: SkepNode): Layers {
  return RunningNode.layersOf(node)
}

function byName(a: NodeMember, b: NodeMember): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0
}
