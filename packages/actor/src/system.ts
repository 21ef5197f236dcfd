/**
 * All actors of one node: finds and stops them, makes refs, does what the tracker orders, and stands between them and the
 * links. Who may hold a name, and where a placed actor runs, the tracker decides; how they are started is `starts.ts`, how
 * one of them lives `process.ts`; what becomes of a call is `calls.ts` and `incoming.ts`.
 */
import { type Cluster, type Logger, SkepError } from '@skep/cluster'
import { type BootId, isGone } from '@skep/cluster/core'
import {
  type Claim,
  type Deactivation,
  type OwnPlacement,
  Pid,
  type PlacementRule,
  realTime,
  type Timers,
  type Tracker,
} from '@skep/tracker'
import { Calls } from './calls.js'
import type { CallContext } from './chain.js'
import { type ActorHome, ContextNode } from './context.js'
import { Deadlines } from './deadlines.js'
import { codeOf, defineActor } from './define.js'
import type { ActorCode, AnyActor, Down, DownReason } from './definition.js'
import { actorKinds, parseFrame } from './frames.js'
import type { ProcessHost, ProcessInfo, Starter } from './host.js'
import { Incoming, type Moved } from './incoming.js'
import type { Isolation } from './isolation.js'
import { Kinds } from './kinds.js'
import { type ActorLimits, actorLimits } from './limits.js'
import type { LinkHost } from './links.js'
import type { Phase, Refusal } from './mailbox.js'
import { Movement } from './movement.js'
import type { ActorNode } from './node.js'
import type { OnceImage, OnceLimits } from './once.js'
import type { Back, Errand, Passing } from './passing.js'
import { Patience } from './patience.js'
import { Process } from './process.js'
import { type Address, addressOf, refFor } from './ref.js'
import { takeRejections } from './rejections.js'
import { type ReloadReport, reloadAll } from './reload.js'
import { Scheduler } from './scheduler.js'
import { type StartHost, Starts } from './starts.js'
import type { RefSource } from './values.js'
import type { Anonymous, Via, ViaOptions } from './via.js'

/** What callers of actors are told whose node may not go on. */
const haltedRefusal: Refusal = {
  code: 'ERR_NO_MAJORITY',
  text: 'paused, since its node is in a part of the cluster that may not go on',
}
/** Whose pid is watched or linked, of whatever kind that is. */
const anyKind: ActorCode = codeOf(defineActor('actor', { init: () => undefined, on: {} }))

/** What actors need of a cluster. */
export type ActorCluster = Pick<Cluster, 'self' | 'member' | 'attach' | 'post' | 'describe' | 'linked' | 'noticeStall'>

/** What actors need of a tracker. */
export type ActorTracker = Pick<
  Tracker,
  | 'whereis'
  | 'lookup'
  | 'nextPid'
  | 'claim'
  | 'register'
  | 'unregister'
  | 'spawn'
  | 'definePlacement'
  | 'gone'
  | 'join'
  | 'leaveGroup'
  | 'membersOf'
  | 'flush'
  | 'onActivate'
  | 'onDeactivate'
  | 'onHandoff'
  | 'livesHere'
  | 'onHalted'
  | 'onResumed'
  | 'onKept'
  | 'haltIfDue'
>

export interface ActorSystemOptions {
  readonly cluster: ActorCluster
  readonly tracker: ActorTracker
  /** The kinds that this node can be asked to start. */
  readonly actors: readonly AnyActor[]
  readonly logger: Logger
  /** How values pass between actors of this node. Default `copy`. */
  readonly isolation?: Isolation
  /** Where placed actors start whose definition does not say: where the ring says by default. The same on all nodes. */
  readonly placement?: PlacementRule | OwnPlacement
  readonly limits?: Partial<ActorLimits>
  readonly time?: Timers
}

/** What one actor looks like from outside: for `explain`. */
export interface ProcessReport {
  readonly pid: Pid
  readonly kind: string
  readonly name: string | undefined
  readonly fence: number
  readonly placed: boolean
  readonly phase: Phase
  /** No message of it begins at present. */
  readonly paused: boolean
  /** Messages that wait, and those that run. */
  readonly waiting: number
  readonly running: number
  readonly streams: number
  /** Errors that its methods threw since it started. */
  readonly failures: number
}

export interface ActorStats {
  readonly actors: number
  /** Calls and streams of this node that wait for another one, and those of others that are open here. */
  readonly pending: number
  readonly open: number
  /** What was thrown away, by reason. */
  readonly dropped: Readonly<Record<string, number>>
}

export interface ActorSystem extends ActorNode {
  /** The pid behind a pid or a ref. ERR_NOT_REGISTERED where a ref by name means nobody now, TypeError for anything else. */
  pidOf(process: unknown): Pid
  /** A local actor as it is now; undefined when there is none with this pid. */
  report(pid: Pid): ProcessReport | undefined
  stats(): ActorStats
  /** All local actors as they are now. */
  reports(): ProcessReport[]
  /**
   * Gives all actors of this kind on this node new code, and all that are started here from now on, also with an earlier
   * definition of the kind. TypeError where this node knows no such kind.
   */
  reload(definition: AnyActor): Promise<ReloadReport>
  /** Resolves when no call that came to an actor which was handed over waits for its answer through this node. */
  allPassed(): Promise<void>
  /** Calls to other nodes that wait for their answer, by kind, method and callee; up to `most`. */
  waitingFor(most: number): readonly string[]
  /**
   * Take nothing new and stop every actor of this node; resolves when all have ended. Claims of placed actors are left
   * to the tracker, so that others start them again once this node has left.
   */
  stopAll(reason: string): Promise<void>
  /** At once: every open call fails with ERR_STOPPED, no `onStop` runs. */
  close(): void
}

export function startActors(options: ActorSystemOptions): ActorSystem {
  return new System(options).root
}

class System implements ProcessHost<Process>, ActorHome, StartHost {
  readonly time: Timers
  readonly logger: Logger
  readonly scheduler: Scheduler
  readonly mailboxLimit: number
  readonly stopGraceMs: number
  readonly calls: Calls
  readonly root: RootNode
  readonly tracker: ActorTracker
  readonly kinds: Kinds
  readonly isolation: Isolation
  readonly maxPayloadBytes: number
  readonly maxPending: number
  readonly onceLimits: OnceLimits
  readonly callTimeoutMs: number
  readonly stopTimeoutMs: number
  readonly startTimeoutMs: number
  readonly links: LinkHost = {
    watch: (pid, signal) => this.#watch(pid, signal),
    tell: (pid, what, by, signal) => this.calls.tellLinked(anyKind, pid, what, by, signal),
    alive: (pid) => this.calls.alive(pid),
    pause: (ms, signal) => this.calls.pause(ms, signal),
  }
  readonly #cluster: ActorCluster
  readonly #deadlines: Deadlines
  readonly #incoming: Incoming
  readonly movement: Movement
  readonly #starts: Starts
  readonly #processes = new Map<number, Process>()
  /** Pids behind which stands whatever process these give. */
  readonly #stands = new Map<number, () => Process | undefined>()
  /** Made with the first actor. */
  #restRejections: (() => void) | undefined
  readonly #dropped = new Map<string, number>()
  readonly #rootRefs: RefSource
  lastMethod: string | undefined
  #lastRun = 0
  #leaving = false
  #closed = false

  constructor(options: ActorSystemOptions) {
    const limits = { ...actorLimits, ...options.limits }
    this.time = options.time ?? realTime
    this.logger = options.logger
    this.tracker = options.tracker
    this.isolation = options.isolation ?? 'copy'
    this.mailboxLimit = limits.mailbox
    this.stopGraceMs = limits.stopGraceMs
    this.maxPayloadBytes = limits.maxPayloadBytes
    this.maxPending = limits.maxPending
    this.onceLimits = { entries: limits.keyEntries, ms: limits.keyMs, bytes: limits.keyBytes }
    this.callTimeoutMs = limits.callTimeoutMs
    // The running call, then `onStop`: each has its grace time; and what was sent before goes first.
    this.stopTimeoutMs = limits.callTimeoutMs + 2 * limits.stopGraceMs
    this.startTimeoutMs = limits.startTimeoutMs
    this.#cluster = options.cluster
    // Timers may be late: no actor has a turn by votes that have lapsed, nor after a stall that nobody has noticed.
    const patience = new Patience({
      ...limits,
      logger: this.logger,
      nodeName: this.nodeName,
      now: () => this.time.now(),
    })
    this.scheduler = new Scheduler(
      this.time,
      (now) => {
        this.#cluster.noticeStall(now)
        this.tracker.haltIfDue(now)
        this.#deadlines.begin(now)
      },
      // What is scheduled here is processes alone.
      (process, ms, messages) => patience.busy(process as Process, ms, messages),
    )
    this.#deadlines = new Deadlines(this.time, patience, () => this.scheduler.soon())
    this.calls = new Calls(this, this.#deadlines)
    this.#incoming = new Incoming(this)
    this.movement = new Movement(this)
    this.#starts = new Starts(this)
    this.#rootRefs = this.refsFor(undefined)
    this.root = new RootNode(this)
    this.kinds = new Kinds(this.tracker, options.actors, options.placement)
    this.#cluster.describe({ kinds: this.kinds.listed })
    this.#attach()
  }

  #attach(): void {
    this.#cluster.attach<readonly unknown[]>({
      kinds: actorKinds,
      encode: (frame) => [...frame],
      decode: (frame) => frame,
      raw: (from, frame) => this.#frame(from, frame),
      input: (input) => {
        if (input.type === 'rejoined') this.#renamePids()
        else if (input.type === 'stalled') this.#eachNamed((process) => process.mailbox.doubt())
        else if (input.type === 'trusted') this.#eachNamed((process) => process.mailbox.trust())
        else if (input.type === 'unlinked') this.#lost(input.boot, 'the link to its node broke before the answer')
        else if (input.type === 'linked') this.calls.linked(input.boot)
        else if (input.type === 'drained') this.#incoming.drained(input.boot)
        else if (input.type === 'member' && isGone(input.member)) this.#gone(input.member.info.boot)
      },
    })
    this.tracker.onActivate((activation) => this.#starts.activate(activation))
    this.tracker.livesHere(({ id }) => this.#processes.has(id) || this.#stands.has(id))
    this.tracker.onHalted((on) => {
      if (on) this.#eachNamed((process) => process.halt(haltedRefusal))
    })
    this.tracker.onResumed(({ id }) => this.process(id)?.mailbox.unhalt())
    this.tracker.onKept(({ id }, name) => {
      const process = this.process(id)
      if (process?.info.name === name) process.mailbox.keep()
    })
    this.tracker.onDeactivate((deactivation) => this.#deactivate(deactivation))
    this.tracker.onHandoff(this.movement)
  }

  /** All that hold a name: what others may give to another. Who has none is nobody's but this node's. */
  #eachNamed(work: (process: Process) => void): void {
    for (const process of this.#processes.values()) if (process.info.name !== undefined) work(process)
  }

  #frame(from: BootId, raw: readonly unknown[]): void {
    if (this.#closed) return
    const frame = parseFrame(raw)
    if (frame === undefined) return this.dropped('a frame of a wrong shape')
    switch (frame.type) {
      case 'call':
      case 'open':
        return this.#incoming.call(from, frame)
      case 'cast':
        return this.#incoming.cast(frame)
      case 'cancel':
        return this.#incoming.cancel(from, frame.id)
      case 'credit':
        return this.#incoming.grant(from, frame.id, frame.items)
      case 'passed':
        return this.movement.gateOpens(from, frame.target)
      default:
        return this.calls.arrived(from, frame)
    }
  }

  /** This node goes on as another boot: its actors live on under pids of that one. */
  #renamePids(): void {
    for (const process of this.#processes.values()) {
      const { id, node } = process.info.pid
      process.rename(new Pid(this.boot, id, node))
    }
  }

  #lost(boot: BootId, text: string): void {
    this.calls.lost(boot, text)
    this.#incoming.lost(boot)
    this.movement.lost(boot)
  }

  #gone(boot: BootId): void {
    this.#lost(boot, 'its node is down')
    this.movement.gone(boot)
  }

  // --- starting ---

  start(
    definition: AnyActor,
    where: Via | Anonymous,
    args: readonly unknown[],
    by: CallContext | undefined,
  ): Promise<Pid> {
    return this.startBy({ by }, definition, where, args).then(({ info }) => info.pid)
  }

  startBy(
    starter: Starter<Process>,
    definition: AnyActor,
    where: Via | Anonymous,
    args: readonly unknown[],
  ): Promise<Process> {
    return this.#starts.startBy(starter, definition, where, args)
  }

  spawn(actor: ActorCode, name: string, args: readonly unknown[], options: ViaOptions): Promise<Pid> {
    return this.#starts.spawn(actor, name, args, options)
  }

  make(actor: ActorCode, info: ProcessInfo, parent: Process | undefined): Process {
    this.#restRejections ??= takeRejections()
    const process = new Process(this, actor, info, parent)
    this.#processes.set(info.pid.id, process)
    return process
  }

  refuseWhenLeaving(): void {
    if (this.#closed) throw new SkepError('ERR_STOPPED', 'this node has been stopped')
    if (this.#leaving)
      throw new SkepError('ERR_LEAVING', 'this node is leaving and starts nothing new: ask another one')
  }

  /** Another process holds its name now: it ends without touching the name. */
  #deactivate({ pid, name, reason, winner }: Deactivation): void {
    const process = this.process(pid.id)
    if (process === undefined) return
    if (process.info.name === name) {
      const end = reason === 'conflict' ? 'conflict' : 'moved'
      const { onConflict, kind } = process.actor
      // Its state means nothing to an actor of another kind, nor, perhaps, to what was registered by hand.
      const merges = onConflict !== undefined && winner?.kind === kind && process.phase === 'running'
      if (!merges) {
        // Where it ends already, that is how it ended.
        if (!process.isEnding) process.end = end
        void process.stop(reason, true)
      } else void this.movement.yield(process, winner, end)
    } else
      this.logger.warn({ name, pid: String(pid), reason }, 'a name that was registered by hand went to another process')
  }

  // --- what processes, calls and frames ask of the node ---

  get boot(): BootId {
    return this.#cluster.self.boot
  }

  get nodeName(): string {
    return this.#cluster.self.name
  }

  process(id: number): Process | undefined {
    return this.#processes.get(id) ?? this.#stands.get(id)?.()
  }

  pidOf(process: unknown): Pid {
    return this.root.pidOf(process)
  }

  stand(process: Process, find: () => Process | undefined): () => Pid {
    const { id } = this.tracker.nextPid()
    this.#stands.set(id, find)
    process.children.stands.add(id)
    // Its node may go on as another boot.
    return () => new Pid(this.boot, id, this.nodeName)
  }

  unstand(process: Process, pid: Pid): void {
    process.children.stands.delete(pid.id)
    this.#stands.delete(pid.id)
    // It may have names and groups, as any pid.
    if (!this.#closed) this.tracker.gone(pid)
  }

  async #watch(pid: Pid, signal: AbortSignal): Promise<DownReason> {
    const address = {
      host: this.calls,
      actor: anyKind,
      target: { by: 'pid', pid },
      options: { signal },
      context: undefined,
    } as const
    const { value } = (await this.calls.monitor(address, 'crashed').next()) as IteratorYieldResult<Down>
    return value.reason
  }

  nextRun(): number {
    this.#lastRun += 1
    return this.#lastRun
  }

  processOf({ boot, id }: Pid): Process | undefined {
    return boot === this.boot ? this.#processes.get(id) : undefined
  }

  moved(id: number): Moved | undefined {
    return this.movement.movedTo(id)
  }

  get mergeMs(): number {
    return this.stopGraceMs
  }

  merge(actor: ActorCode, to: Pid, saved: unknown, answers: readonly OnceImage[], timeoutMs: number): Promise<unknown> {
    return this.calls.merge(actor, to, saved, answers, timeoutMs)
  }

  passOn(errand: Errand, to: Pid, back: Back): Passing {
    return this.calls.passOn(errand, to, back)
  }

  post(to: BootId, frame: readonly unknown[]): 'sent' | 'unlinked' | 'overloaded' {
    return this.#cluster.post(to, frame)
  }

  postSurely(to: BootId, frame: readonly unknown[]): 'sent' | 'unlinked' {
    return this.#incoming.send(to, frame)
  }

  linked(boot: BootId): boolean {
    return this.#cluster.linked(boot)
  }

  known(boot: BootId): 'alive' | 'gone' | 'unknown' {
    const member = this.#cluster.member(boot)
    if (member === undefined) return 'unknown'
    return isGone(member) ? 'gone' : 'alive'
  }

  fenceOf({ name, pid }: ProcessInfo): number | undefined {
    const claim = name === undefined ? undefined : this.tracker.lookup(name)
    return claim?.pid.equals(pid) === true ? claim.fence : undefined
  }

  lookup(name: string): Claim | undefined {
    return this.tracker.lookup(name)
  }

  starting(name: string): Pid | undefined {
    for (const { info, phase } of this.#processes.values())
      if (info.name === name && phase === 'starting') return info.pid
    return undefined
  }

  nodeFor(context: CallContext | undefined): ActorNode {
    return new ContextNode(this, context)
  }

  refs(): RefSource {
    return this.#rootRefs
  }

  refsFor(context: CallContext | undefined): RefSource {
    if (context === undefined && this.#rootRefs !== undefined) return this.#rootRefs
    return {
      refOf: (kind, target) => {
        const actor = this.kinds.knownAs(kind)
        return actor && refFor({ host: this.calls, actor, target, options: {}, context })
      },
      rebind: (ref) => {
        const address = addressOf(ref) as Address
        return refFor({
          host: this.calls,
          actor: this.know(address.actor),
          target: address.target,
          options: {},
          context,
        })
      },
    }
  }

  async reload(code: ActorCode): Promise<ReloadReport> {
    const { kind } = code
    this.kinds.reload(code)
    const report = await reloadAll(
      [...this.#processes.values()].filter(({ actor }) => actor.kind === kind),
      code,
    )
    this.logger.info({ kind, reloaded: report.reloaded, failed: report.failed.length }, `new code for '${kind}'`)
    return report
  }

  know(actor: ActorCode): ActorCode {
    return this.kinds.know(actor)
  }

  dropped(reason: string): void {
    this.#dropped.set(reason, (this.#dropped.get(reason) ?? 0) + 1)
  }

  ended(process: Process, reason: string): void {
    const { name, pid, placed } = process.info
    this.#processes.delete(pid.id)
    this.movement.forget(pid.id)
    for (const id of process.stands) this.unstand(process, new Pid(this.boot, id, this.nodeName))
    if (this.#closed) return
    // While this node leaves, what the ring placed here is to run again elsewhere.
    const keepPlaced = this.#leaving && placed && !process.forGood
    this.tracker.gone(pid, { keepPlaced, ended: process.ended })
    this.logger.debug({ actor: process.actor.kind, name, pid, reason }, 'actor stopped')
  }

  // --- ending ---

  async stopAll(reason: string): Promise<void> {
    this.#leaving = true
    for (const process of this.#processes.values()) if (process.info.placed) process.end = this.#endOfPlaced(process)
    // Each ends its own children.
    const first = [...this.#processes.values()].filter(({ parent }) => parent === undefined)
    await Promise.all(first.map((process) => process.stop(reason, false)))
  }

  /** What the ring placed here goes on elsewhere, where it is started again after the end of its node. */
  #endOfPlaced({ info: { name = '' }, end, isAsked }: Process): DownReason {
    if (end === 'crashed' || isAsked) return end
    return this.tracker.lookup(name)?.placed?.terms?.restart?.policy === 'temporary' ? 'node-down' : 'moved'
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#leaving = true
    this.calls.close()
    for (const process of this.#processes.values()) process.kill('the node was stopped')
    this.#processes.clear()
    this.#deadlines.close()
    this.#restRejections?.()
  }

  report(pid: Pid): ProcessReport | undefined {
    const process = pid.boot === this.boot ? this.process(pid.id) : undefined
    if (process === undefined) return undefined
    const { name, fence, placed } = process.info
    const { phase, streams } = process
    const { paused, waiting, running, failures } = process.mailbox
    return { pid, kind: process.actor.kind, name, fence, placed, phase, paused, waiting, running, streams, failures }
  }

  reports(): ProcessReport[] {
    return [...this.#processes.values()].flatMap(({ info }) => this.report(info.pid) ?? [])
  }

  stats(): ActorStats {
    return {
      actors: this.#processes.size,
      pending: this.calls.pending,
      open: this.#incoming.open,
      dropped: Object.fromEntries(this.#dropped),
    }
  }
}

/** The node as its user sees it. */
class RootNode extends ContextNode implements ActorSystem {
  readonly #system: System

  constructor(system: System) {
    super(system, undefined)
    this.#system = system
  }

  report(pid: Pid): ProcessReport | undefined {
    return this.#system.report(pid)
  }

  stats(): ActorStats {
    return this.#system.stats()
  }

  reports(): ProcessReport[] {
    return this.#system.reports()
  }

  reload(definition: AnyActor): Promise<ReloadReport> {
    return this.#system.reload(codeOf(definition))
  }

  allPassed(): Promise<void> {
    return this.#system.calls.allPassed()
  }

  waitingFor(most: number): readonly string[] {
    return this.#system.calls.describe(most)
  }

  stopAll(reason: string): Promise<void> {
    return this.#system.stopAll(reason)
  }

  close(): void {
    this.#system.close()
  }
}
