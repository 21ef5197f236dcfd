/**
 * All actors of one node: starts and stops them, gives names to them through the tracker, makes refs, and stands
 * between them and the links. Who may hold a name, and where a placed actor runs, the tracker decides; how one actor
 * lives is `process.ts`, how it works through its messages `mailbox.ts`; what becomes of a call is `calls.ts` and `incoming.ts`.
 */
import { type Cluster, isSkepError, type Logger, SkepError } from '@skep/cluster'
import { type BootId, isGone } from '@skep/cluster/core'
import {
  type Activation,
  type Claim,
  type Deactivation,
  type OwnPlacement,
  ownRule,
  Pid,
  type PlacementRule,
  realTime,
  type Timers,
  type Tracker,
} from '@skep/tracker'
import { Calls } from './calls.js'
import { CallContext } from './chain.js'
import { type ActorHome, ContextNode } from './context.js'
import { Deadlines } from './deadlines.js'
import { BadBytes, unpack } from './decode.js'
import { codeOf, defineActor } from './define.js'
import { type ActorCode, type AnyActor, type Down, type DownReason, ignore } from './definition.js'
import { pack } from './encode.js'
import { actorKinds, parseFrame } from './frames.js'
import type { ProcessHost, ProcessInfo, Starter } from './host.js'
import { Incoming, type Moved } from './incoming.js'
import { type Isolation, isolateAll } from './isolation.js'
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
import { type RefSource, Refused } from './values.js'
import { type Anonymous, anonymous, Via, type ViaOptions } from './via.js'

export interface ActorLimits {
  /** Messages that may wait in one mailbox: more get ERR_OVERLOADED. */
  readonly mailbox: number
  /** Milliseconds that a call waits for its answer when its ref says nothing else. */
  readonly callTimeoutMs: number
  /** Bytes of the arguments or the result of one call: what a frame of 16 MiB holds beside its head. */
  readonly maxPayloadBytes: number
  /** Calls and streams to other nodes that may be open at once. */
  readonly maxPending: number
  /** Milliseconds that a running call, and then `onStop`, may take once an actor is told to stop. */
  readonly stopGraceMs: number
  /** Answers of calls with a key that an actor remembers, for how long (ms), and their bytes. */
  readonly keyEntries: number
  readonly keyMs: number
  readonly keyBytes: number
  /** Milliseconds after which a call that waits is named in the log, with its caller; Infinity: never. */
  readonly slowCallMs: number
  /** Milliseconds of synchronous code after which an actor is named in the log; Infinity: never. */
  readonly blockedMs: number
  /** Milliseconds that `init` and `onStart` may take together where the start says no `timeout`. */
  readonly startTimeoutMs: number
}

export const actorLimits: ActorLimits = {
  mailbox: 10_000,
  callTimeoutMs: 5_000,
  maxPayloadBytes: 15 * 1024 * 1024,
  maxPending: 100_000,
  stopGraceMs: 5_000,
  keyEntries: 1000,
  keyMs: 600_000,
  keyBytes: 1024 * 1024,
  slowCallMs: 1000,
  blockedMs: 200,
  startTimeoutMs: 10_000,
}

/** What callers of actors are told whose node may not go on. */
const haltedRefusal: Refusal = {
  code: 'ERR_NO_MAJORITY',
  text: 'paused, since its node is in a part of the cluster that may not go on',
}
/** Whose pid is watched or linked, of whatever kind that is. */
const anyKind: ActorCode = codeOf(defineActor('actor', { init: () => undefined, on: {} }))
/** The id of the node's own strategy of placement: no kind has it. */
const nodeWide = ''

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

class System implements ProcessHost<Process>, ActorHome {
  readonly time: Timers
  readonly logger: Logger
  readonly scheduler: Scheduler
  readonly mailboxLimit: number
  readonly stopGraceMs: number
  readonly calls: Calls
  readonly root: RootNode
  readonly tracker: ActorTracker
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
  readonly #movement: Movement
  readonly #processes = new Map<number, Process>()
  /** Pids behind which stands whatever process these give. */
  readonly #stands = new Map<number, () => Process | undefined>()
  /** Made with the first actor. */
  #restRejections: (() => void) | undefined
  /** Kinds that this node starts when it is asked to. */
  readonly #listed = new Map<string, ActorCode>()
  /** Those and all that were ever used here: what refs from others can be made of. */
  readonly #known = new Map<string, ActorCode>()
  /** The latest code of kinds that were reloaded. */
  readonly #reloaded = new Map<string, ActorCode>()
  readonly #dropped = new Map<string, number>()
  readonly #rootRefs: RefSource
  readonly #placement: PlacementRule | undefined
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
      () => {
        this.#cluster.noticeStall()
        this.tracker.haltIfDue()
        this.#deadlines.begin()
      },
      // What is scheduled here is processes alone.
      (process, ms, messages) => patience.busy(process as Process, ms, messages),
    )
    this.#deadlines = new Deadlines(this.time, patience)
    this.calls = new Calls(this, this.#deadlines)
    this.#incoming = new Incoming(this)
    this.#movement = new Movement(this)
    this.#rootRefs = this.refsFor(undefined)
    this.root = new RootNode(this)
    this.#placement = this.#ruleFor(nodeWide, options.placement)
    this.#list(options.actors)
    this.#attach()
  }

  #list(actors: readonly AnyActor[]): void {
    for (const definition of actors) {
      const actor = codeOf(definition)
      if (this.#listed.has(actor.kind))
        throw new TypeError(`actors: there are two definitions of kind '${actor.kind}': rename one`)
      this.#listed.set(actor.kind, actor)
      this.know(actor)
    }
    this.#cluster.describe({ kinds: [...this.#listed.keys()].sort() })
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
    this.tracker.onActivate((activation) => this.#activate(activation))
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
    this.tracker.onHandoff(this.#movement)
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
        return this.#movement.gateOpens(from, frame.target)
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
    this.#movement.lost(boot)
  }

  #gone(boot: BootId): void {
    this.#lost(boot, 'its node is down')
    this.#movement.gone(boot)
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
    const actor = this.know(codeOf(definition))
    if (where === anonymous) return this.#startAnonymous(actor, args, starter)
    if (where instanceof Via) return this.#startNamed(actor, where, args, starter)
    throw new TypeError('start(definition, where, ...): where must be via(name) or anonymous')
  }

  async #startAnonymous(actor: ActorCode, args: readonly unknown[], starter: Starter<Process>): Promise<Process> {
    this.#refuseWhenLeaving()
    const context = contextOfStart(starter)
    const own = this.#initArgs(actor, args, context)
    const process = await this.#begin(
      actor,
      { pid: this.tracker.nextPid(), name: undefined, fence: 0, placed: false },
      (made) => made.start(own, this.startTimeoutMs, context),
      starter,
    )
    await this.#open(process)
    return process
  }

  async #startNamed(
    actor: ActorCode,
    { name, options }: Via,
    args: readonly unknown[],
    starter: Starter<Process>,
  ): Promise<Process> {
    this.#refuseWhenLeaving()
    const context = contextOfStart(starter)
    const own = this.#initArgs(actor, args, context)
    const { meta, claim: mode, timeout, visible } = options
    const begun = this.time.now()
    const grant = await this.tracker.claim(name, {
      kind: actor.kind,
      ...(meta === undefined ? {} : { meta }),
      ...(mode === undefined ? {} : { mode }),
      ...(timeout === undefined ? {} : { timeout }),
    })
    const pid = this.tracker.nextPid()
    let process: Process
    try {
      const left = timeout === undefined ? this.startTimeoutMs : Math.max(1, begun + timeout - this.time.now())
      const info = { pid, name, fence: grant.fence, placed: false }
      process = await this.#begin(actor, info, (made) => made.start(own, left, context), starter)
    } catch (error) {
      grant.abandon()
      throw error
    }
    try {
      // Its node may have become another boot meanwhile.
      await grant.commit(process.info.pid)
    } catch (error) {
      await process.stop('conflict', true)
      throw error
    }
    await this.#open(process)
    if (visible !== undefined)
      await this.tracker.flush({ want: visible, ...(timeout === undefined ? {} : { timeout }) })
    return process
  }

  /** Run what makes it, and `onStart`. From here on its pid can be called; what comes waits. */
  async #begin(
    actor: ActorCode,
    info: ProcessInfo,
    start: (made: Process) => Promise<void>,
    { parent, by, begun }: Starter<Process> = {},
  ): Promise<Process> {
    // It may have begun to leave since the name was asked for, or its parent to end.
    this.#refuseWhenLeaving()
    if (parent?.isEnding === true)
      throw new SkepError('ERR_ACTOR_STOPPED', `${parent.title} is ending and starts nothing new`)
    this.#restRejections ??= takeRejections()
    // Its code may have been replaced while it asked for its name.
    const process = new Process(this, this.know(actor), info, parent)
    this.#processes.set(info.pid.id, process)
    parent?.children.add(process)
    begun?.(process)
    const awaited = { pid: info.pid, reentrant: false }
    by?.await(awaited)
    let why: unknown
    try {
      await start(process)
      if (process.phase === 'starting') return process
      why = endedEarly()
    } catch (error) {
      why = error
    } finally {
      by?.answered(awaited)
    }
    await process.stop('it did not start', true)
    if (why === ignore) {
      const text = `${process.title} was not started: its init said ignore`
      throw new SkepError('ERR_IGNORED', text, { sent: 'maybe' })
    }
    throw notStarted(process, why)
  }

  async #open(process: Process): Promise<void> {
    process.open()
    // Its start was over, but it may have ended before it had its name.
    if (process.ran) return
    await process.stop('it did not start', true)
    throw notStarted(process, endedEarly())
  }

  #initArgs(actor: ActorCode, args: readonly unknown[], context: CallContext | undefined): unknown[] {
    const own = [...args]
    try {
      isolateAll(this.isolation, own, 'args', this.refsFor(context))
    } catch (error) {
      throw startError(error, actor)
    }
    return own
  }

  #refuseWhenLeaving(): void {
    if (this.#closed) throw new SkepError('ERR_STOPPED', 'this node has been stopped')
    if (this.#leaving)
      throw new SkepError('ERR_LEAVING', 'this node is leaving and starts nothing new: ask another one')
  }

  /** Start it where the ring says. */
  async spawn(given: ActorCode, name: string, args: readonly unknown[], options: ViaOptions): Promise<Pid> {
    this.#refuseWhenLeaving()
    const actor = this.know(given)
    let bytes: Uint8Array
    try {
      // The tracker keeps it as long as the actor lives: a piece of its own, not a view on a shared one.
      bytes = Uint8Array.from(pack(args, 'args', this.maxPayloadBytes))
    } catch (error) {
      throw startError(error, actor)
    }
    const { meta, timeout, visible } = options
    const wait = timeout === undefined ? {} : { timeout }
    const placement = options.placement ?? this.#ruleOf(actor)
    const terms = {
      ...(meta === undefined ? {} : { meta }),
      ...wait,
      placement,
      restart: options.restart ?? actor.restart,
    }
    const claim = await this.tracker.spawn(name, actor.kind, { args: bytes }, terms).catch(maybeStarted)
    if (visible !== undefined) await this.tracker.flush({ want: visible, ...wait })
    return claim.pid
  }

  async #activate({ name, kind, spec, fence, state, source }: Activation): Promise<Pid> {
    this.#refuseWhenLeaving()
    const actor = this.#listed.get(kind)
    if (actor === undefined)
      throw new SkepError(
        'ERR_KIND_UNKNOWN',
        `this node does not start actors of kind '${kind}': add its definition to actors`,
      )
    const info = { pid: this.tracker.nextPid(), name, fence, placed: true }
    const args = state === undefined ? this.#specArgs(spec) : []
    const process = await this.#begin(actor, info, (made) =>
      state === undefined
        ? made.start(args, this.startTimeoutMs)
        : made.startFrom(this.#movement.made(made, state, source), this.startTimeoutMs),
    )
    process.open()
    this.#movement.begun(process.info.pid)
    return process.info.pid
  }

  #specArgs(spec: unknown): unknown[] {
    const bytes = (spec as { readonly args?: unknown } | null | undefined)?.args
    try {
      const args = bytes instanceof Uint8Array ? unpack(bytes, this.#rootRefs) : undefined
      if (Array.isArray(args)) return args
    } catch (error) {
      if (!(error instanceof BadBytes)) throw error
    }
    throw new SkepError('ERR_BAD_ARGUMENTS', 'the arguments in the start spec could not be read')
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
      } else void this.#movement.yield(process, winner, end)
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
    return this.#movement.movedTo(id)
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
        const actor = this.#known.get(kind)
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
    if (!this.#known.has(kind))
      throw new TypeError(`reload: this node knows no actors of kind '${kind}'; list it in actors, or start one first`)
    this.#reloaded.set(kind, code)
    this.#known.set(kind, code)
    if (this.#listed.has(kind)) this.#listed.set(kind, code)
    this.#ruleFor(kind, code.placement)
    const report = await reloadAll(
      [...this.#processes.values()].filter(({ actor }) => actor.kind === kind),
      code,
    )
    this.logger.info({ kind, reloaded: report.reloaded, failed: report.failed.length }, `new code for '${kind}'`)
    return report
  }

  /**
   * Remember a definition, so that refs to its kind can arrive here. The first one of a kind stays; gives what is to be
   * used in its place, where it was reloaded.
   */
  know(given: ActorCode): ActorCode {
    const actor = this.#reloaded.get(given.kind) ?? given
    if (this.#known.has(actor.kind)) return actor
    this.#known.set(actor.kind, actor)
    this.#ruleFor(actor.kind, actor.placement)
    return actor
  }

  /** A function of the user's own becomes known to the tracker under this id. */
  #ruleFor(id: string, placement: PlacementRule | OwnPlacement | undefined): PlacementRule | undefined {
    return typeof placement === 'function' ? this.tracker.definePlacement(id, placement) : placement
  }

  /** Where this actor is started when it is placed. */
  #ruleOf({ kind, placement }: ActorCode): PlacementRule | undefined {
    return typeof placement === 'function' ? ownRule(kind) : (placement ?? this.#placement)
  }

  dropped(reason: string): void {
    this.#dropped.set(reason, (this.#dropped.get(reason) ?? 0) + 1)
  }

  ended(process: Process, reason: string): void {
    const { pid, placed } = process.info
    this.#processes.delete(pid.id)
    this.#movement.forget(pid.id)
    for (const id of process.stands) this.unstand(process, new Pid(this.boot, id, this.nodeName))
    if (this.#closed) return
    // While this node leaves, what the ring placed here is to run again elsewhere.
    const keepPlaced = this.#leaving && placed && !process.forGood
    this.tracker.gone(pid, { keepPlaced, ended: process.ended })
    this.logger.debug({ actor: process.title, reason }, 'actor stopped')
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

/** What the start is bound by where somebody inside an actor waits for it. */
function contextOfStart({ by }: Starter<Process>): CallContext | undefined {
  const chain = by?.chain
  return chain && new CallContext(Number.POSITIVE_INFINITY, chain)
}

function endedEarly(): SkepError {
  return new SkepError('ERR_ACTOR_STOPPED', 'it was stopped while it started')
}

function notStarted({ title }: Process, why: unknown): SkepError {
  const text = why instanceof Error ? why.message : String(why)
  return new SkepError('ERR_INIT_FAILED', `${title} did not start: ${text}`, { cause: why, sent: 'maybe' })
}

function startError(error: unknown, { kind }: ActorCode): unknown {
  if (!(error instanceof Refused)) return error
  const { code, text, path } = error.refusal
  return new SkepError(code, `${kind} was not started: ${text}`, { path })
}

/** Its `init` ran at its host, whatever the tracker's own part of it was: it may have had effects. */
function maybeStarted(error: unknown): never {
  if (!isSkepError(error) || error.sent !== 'no') throw error
  if (error.code !== 'ERR_INIT_FAILED' && error.code !== 'ERR_IGNORED') throw error
  const cause = error.code === 'ERR_IGNORED' ? {} : { cause: error.cause ?? error }
  throw new SkepError(error.code, error.message, { ...cause, sent: 'maybe' })
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
