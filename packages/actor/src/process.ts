/**
 * One running actor: its state and all that it has, from its start to its end. What waits for it and what runs is its
 * mailbox's; names, pids and nodes are the system's.
 */
import { type ErrorCode, type Logger, SkepError } from '@skep/cluster'
import type { Ended, Pid, Timers } from '@skep/tracker'
import { type CallContext, type Chain, cycleOf, type Waiter } from './chain.js'
import { Children } from './children.js'
import { unpack } from './decode.js'
import { type ActorCode, type AnyActor, type AnyFunction, type Down, type DownReason, ignore } from './definition.js'
import { isThenable, late, within } from './grace.js'
import type { ProcessHost, ProcessInfo } from './host.js'
import { Idleness } from './idle.js'
import { isFault, Links } from './links.js'
import { Mailbox, type Phase, type Refusal, type Worker } from './mailbox.js'
import { ArrivingRefs, type Beside, beginWork, type Message } from './message.js'
import type { ActorNode } from './node.js'
import { Notice } from './notice.js'
import { type OnceImage, type OnceLimits, OnceWindow } from './once.js'
import { loggedBy, OwnAbort, Whose } from './rejections.js'
import { Reloads } from './reload.js'
import type { Runnable } from './scheduler.js'
import { ActorSelf, ownerOf, type SelfOwner } from './self.js'
import { Start } from './start.js'
import { StopRequests } from './stopping.js'
import { ActorTimers, type TimerBody, type TimerImage } from './timers.js'
import type { RefSource } from './values.js'
import type { Anonymous, Via } from './via.js'
import { Watchers } from './watchers.js'

/** A stream that the actor feeds, ended when the actor stops. */
export interface Feeding {
  endBecause(code: ErrorCode, text: string): void
}

export class Process implements Worker, Runnable, SelfOwner {
  actor: ActorCode
  info: ProcessInfo
  readonly host: ProcessHost<Process>
  state: unknown
  phase: Phase = 'starting'
  scheduled = false
  /** What those are told who watch it, once it has ended. */
  end: DownReason = 'stopped'
  /** How it ended by itself; undefined where somebody told it to. */
  ended: Ended | undefined
  /** Its user told it to stop: it is not started again, not even where its node leaves at the same time. */
  forGood = false
  /** It came to run. */
  ran = false
  /** Who started it, and with whom it ends. */
  readonly parent: Process | undefined
  readonly mailbox: Mailbox = new Mailbox(this)
  readonly #whose: Whose = new Whose(this)
  #children: Children<Process> | undefined
  #links: Links | undefined
  #self: ActorSelf | undefined
  #logger: Logger | undefined
  #life: OwnAbort | undefined
  #feeding: Set<Feeding> | undefined
  #watchers: Watchers | undefined
  #timers: ActorTimers | undefined
  #once: OnceWindow | undefined
  /** Where its definition has `idleAfter`. */
  #idle: Idleness | undefined
  #started = false
  /** As long as it lasts. */
  #start: Start | undefined
  /** Requests to stop that wait in the mailbox. */
  #asked: StopRequests | undefined
  /** Who waits for its end, from when it is told to stop. */
  #stopping: (() => void)[] | undefined
  /** Where its code is being replaced, or was. */
  #reloads: Reloads | undefined

  constructor(host: ProcessHost<Process>, actor: ActorCode, info: ProcessInfo, parent?: Process) {
    this.host = host
    this.actor = actor
    this.info = info
    this.parent = parent
  }

  /** Those that it started. */
  get children(): Children<Process> {
    this.#children ??= new Children(this)
    return this.#children
  }

  /** Ids under which this node finds others while this one lives. */
  get stands(): Iterable<number> {
    return this.#children?.stands ?? []
  }

  get links(): Links {
    this.#links ??= new Links(this.host.links, this)
    return this.#links
  }

  /** Run code of this actor: what that leaves behind is known to be its own. */
  inside<T>(fn: () => T): T {
    return this.#whose.run(fn)
  }

  /**
   * The same for `handoff.out` and `in`. What those leave behind is told in the log and is no crash: that would lose the
   * state which is on its way, where what they throw does not.
   */
  insideHandoff<T>(fn: () => T): T {
    const { title } = this
    const text = (): string => `a promise that the handoff of ${title} made was rejected, and nobody handled that`
    return new Whose(loggedBy(this.host.logger, text)).run(fn)
  }

  /** Nothing may begin under it any more. */
  get isEnding(): boolean {
    return this.phase === 'stopping' || this.phase === 'stopped' || this.#stopping !== undefined
  }

  /** Its node goes on as another boot. */
  rename(pid: Pid): void {
    const before = this.info.pid.boot
    this.info = { ...this.info, pid }
    const lost = this.#links?.rename(before, pid) ?? []
    // Not within the step that says so.
    for (const other of lost) queueMicrotask(() => this.exited({ pid: other, reason: 'node-down' }))
    this.mailbox.doubtName()
    this.#logger = undefined
  }

  /** What makes refs its own that arrive with something that has no deadline. */
  get refs(): RefSource {
    return this.host.refsFor(undefined)
  }

  /** Aborted when the actor stops. */
  get life(): AbortSignal {
    this.#life ??= this.inside(() => new OwnAbort())
    if (this.phase === 'stopping' || this.phase === 'stopped') this.#life.abort()
    return this.#life.signal
  }

  /**
   * Runs `init`, then `onStart`. Rejects with what they threw, with ERR_TIMEOUT after `timeoutMs` (Infinity for none),
   * and with ERR_ACTOR_STOPPED as soon as it is told to stop. They cannot be ended from outside: what they still do is
   * not waited for. Where there is nothing to wait for it has started, or throws, at once. `context`: what the refs among
   * the arguments belong to.
   */
  start(args: readonly unknown[], timeoutMs: number, context?: CallContext): Promise<void> | undefined {
    return this.#startBy(() => this.actor.init(...args), timeoutMs, context)
  }

  /**
   * The same for an actor that was handed over: `made` makes its state. What is sent straight to it waits from here on
   * until `openGate`.
   */
  startFrom(made: () => unknown, timeoutMs: number): Promise<void> | undefined {
    this.mailbox.shutGate()
    return this.#startBy(made, timeoutMs)
  }

  #startBy(made: () => unknown, timeoutMs: number, context?: CallContext): Promise<void> | undefined {
    const start = new Start(() => this.waiter(), context)
    this.#start = start
    let work: Promise<void> | undefined
    try {
      work = this.#prepare(made)
    } finally {
      if (work === undefined) this.#endStart(start)
    }
    return work && start.wait(this.time, work, timeoutMs).finally(() => this.#endStart(start))
  }

  #endStart(start: Start): void {
    this.#start = undefined
    start.end()
  }

  /** Of most there is nothing to wait for, and a promise of each layer would be most of what a start costs. */
  #prepare(made: () => unknown): Promise<void> | undefined {
    const state = this.inside(made)
    // `onStart` does not run within what made it: it may start others, which do the same.
    if (isThenable(state) || this.actor.onStart !== undefined) return this.#prepareThen(state)
    this.#take(state)
    this.#started = true
    return undefined
  }

  async #prepareThen(made: unknown): Promise<void> {
    this.#take(await made)
    if (this.phase === 'starting') await this.inside(() => this.actor.onStart?.(this.self))
    this.#started = true
  }

  #take(state: unknown): void {
    this.state = state
    if (state === ignore) throw ignore
  }

  /** The first message may begin. */
  open(): void {
    if (this.phase !== 'starting') return
    this.phase = 'running'
    this.ran = true
    this.#watchIdleness()
    this.#reloads?.opened()
    if (this.mailbox.waiting > 0) this.wake()
  }

  #watchIdleness(): void {
    const { idleAfter } = this.actor
    this.#idle?.stop()
    const isIdleAlone = idleAfter !== undefined && !this.isSupervised
    this.#idle = isIdleAlone ? new Idleness(this, idleAfter) : undefined
  }

  /** How long it lives is its supervisor's business: ended as idle it would be started again, or never come back. */
  get isSupervised(): boolean {
    return this.parent?.actor.onChild !== undefined
  }

  /**
   * Nothing begins from here on, and resolves when nothing runs; rejects with ERR_TIMEOUT where that takes longer than
   * the grace time, or it goes on before, by `resume`.
   */
  async hold(): Promise<void> {
    this.mailbox.held = true
    while (this.#reloads?.pending !== undefined) await this.#reloads.pending.catch(() => {})
    if (this.mailbox.running > 0) await within(this.time, this.mailbox.whenIdle(), this.stopGraceMs)
    if (this.mailbox.running > 0 || !this.mailbox.held)
      throw new SkepError('ERR_TIMEOUT', `a call of ${this.title} did not end within ${this.stopGraceMs} ms`)
  }

  /**
   * Its next message runs this code. Rejects where it stays with the old one: with what `handoff.out` or `in` threw, with
   * ERR_TIMEOUT where a call, or those two, do not end within the grace time, ERR_CANNOT_MOVE while it is handed over.
   */
  async reload(next: ActorCode): Promise<void> {
    // A handover that begins from here on waits for it.
    if (this.mailbox.held)
      throw new SkepError('ERR_CANNOT_MOVE', `${this.title} is being handed over: reload its new node, or try again`)
    this.#reloads ??= new Reloads()
    return this.#reloads.next(this, next)
  }

  become(code: ActorCode, state: unknown): void {
    this.state = state
    this.actor = code
    this.#timers?.recheck()
    this.#once?.rebound(this.#onceLimits, this.mailboxLimit)
    this.#watchIdleness()
  }

  latest(work: AnyFunction, name: string | undefined): AnyFunction {
    return this.#reloads === undefined ? work : this.#reloads.latest(work, name, this.actor)
  }

  get time(): Timers {
    return this.host.time
  }

  get stopGraceMs(): number {
    return this.host.stopGraceMs
  }

  /**
   * Not to be ended as idle now: its children would end with it. Beats of `every` do not count, or an actor that has one
   * would never be idle.
   */
  busy(): boolean {
    if (this.phase !== 'running' || this.mailbox.paused || this.mailbox.gated || this.mailbox.departed) return true
    const children = this.#children?.size ?? 0
    return this.mailbox.running + this.mailbox.waiting + this.streams + children > 0 || this.#timers?.planned === true
  }

  passivate(): void {
    this.#stop('idle', false, this.stopGraceMs)
  }

  /** It goes on as `to`: all that waits follows it there, and all that still comes. Then `stop`. */
  departTo(to: Pid, reason: DownReason): void {
    this.end = reason
    this.#asked?.end()
    this.mailbox.departTo(to)
    this.#watchers?.tell(reason)
  }

  /** Nothing of it begins until `unhalt`, and those are refused that would have it. */
  halt(refusal: Refusal): void {
    this.#asked?.clear()
    this.mailbox.halt(refusal)
  }

  get endsAsIdle(): boolean {
    return this.#idle?.over === true
  }

  refusesAsCycle(message: Message, chain: Chain): boolean {
    const names = cycleOf(this, chain, (pid) => this.host.processOf(pid))
    if (names === undefined) return false
    const cure =
      'cast instead of one of the calls, or make one of these actors reentrant; in init or onStart, call it later (self.after)'
    message.refuse('ERR_CALL_CYCLE', `it would wait for itself (${names.join(' -> ')}): ${cure}`, 'no')
    return true
  }

  waiter(): Waiter {
    const { boot, id } = this.info.pid
    const label = this.#start === undefined ? this.label : `${this.label} (starting)`
    return { boot, id, run: this.host.nextRun(), label }
  }

  get waitingAs(): CallContext | undefined {
    return this.#start?.context ?? this.mailbox.current?.context
  }

  get contexts(): readonly CallContext[] {
    const running = this.mailbox.runningMessages.flatMap(({ context }) => context ?? [])
    return this.#start === undefined ? running : [this.#start.context, ...running]
  }

  /** What is begun by this message, or by its start, is bound by. */
  contextOf(message: Message | undefined): CallContext | undefined {
    return message === undefined ? this.#start?.context : message.contextIn(this)
  }

  /** This one, and all that end with it. */
  *tree(): Generator<Process> {
    yield this
    for (const child of this.#children ?? []) yield* child.tree()
  }

  /**
   * Put a request to stop at the end of the mailbox, however full that is. Its answer waits until the actor has ended,
   * also where that was on its way already. One that still starts ends at once: its start may never come to an end. Nor
   * may a call: one that runs for the whole grace time while the request waits is not waited for any longer.
   */
  deliverStop(message: Message, reason: string): void {
    if (this.mailbox.turnsAway(message)) return
    if (this.phase !== 'running') {
      // It is on its way out by itself, and not to come back now.
      this.ended = undefined
      this.forGood = true
      void this.stop(reason, true)
      message.answer(undefined)
      return
    }
    this.#asked ??= new StopRequests(this)
    this.#asked.add(message, reason)
    this.mailbox.push(message)
  }

  /** A timer of the actor; one that has ended has none any more. Throws as `self.after` says. */
  startTimer(ms: number, body: TimerBody | string, args: readonly unknown[], every: boolean): () => void {
    const cancel = this.timers.start(ms, body, args, every)
    if (this.phase === 'stopping' || this.phase === 'stopped') cancel()
    return cancel
  }

  /** Answers of calls with a key. */
  get once(): OnceWindow {
    if (this.#once !== undefined) return this.#once
    const { time, maxPayloadBytes } = this.host
    const { refs } = this
    const actor = { time, maxPayloadBytes, refs, deliver: (message: Message): void => this.mailbox.deliver(message) }
    this.#once = new OnceWindow(actor, this.#onceLimits, this.mailboxLimit)
    return this.#once
  }

  get #onceLimits(): OnceLimits {
    return { ...this.host.onceLimits, ...this.actor.keys }
  }

  /** Those that go along to another node. */
  onceImages(): readonly OnceImage[] {
    return this.#once?.images() ?? []
  }

  /** Those that go along to another node. */
  timerImages(): readonly TimerImage[] {
    return this.#timers?.images() ?? []
  }

  get timers(): ActorTimers {
    this.#timers ??= new ActorTimers({
      time: this.host.time,
      owner: this,
      most: () => this.mailboxLimit,
      maxPayloadBytes: this.host.maxPayloadBytes,
      hasMethod: (name) => this.actor.methods.has(name) && !this.actor.streams.has(name),
      deliver: (message) => this.mailbox.deliverStep(message),
      runNamed: (method, args, message) => this.#runNamed(method, args, message),
    })
    return this.#timers
  }

  #runNamed(method: string, args: Uint8Array, message: Message): unknown {
    const work = this.actor.methods.get(method) as AnyFunction
    return beginWork(work, this, message, unpack(args, this.refsFor(message)) as unknown[])
  }

  get mailboxLimit(): number {
    return this.actor.mailbox ?? this.host.mailboxLimit
  }

  wake(): void {
    this.host.scheduler.wake(this)
  }

  turn(max: number, now: number): number {
    return this.#whose.run(takeTurn, this.mailbox, max, now)
  }

  takes(message: Message, now: number): void {
    this.host.lastMethod = message.method
    if (!message.isBeat) this.#idle?.touch(now)
  }

  hasRun(message: Message): void {
    if (!message.isBeat) this.#idle?.touch()
  }

  /** The `self` of one message: its deadline and its signal must not reach what others, or timers, do. */
  selfFor(message: Message): unknown {
    return new ActorSelf(this, message)
  }

  /** What makes refs that arrive with this message belong to it. */
  refsFor(message: Message): RefSource {
    return new ArrivingRefs(this.host, this, message)
  }

  /** The `self` of `onStart` and `onStop`. */
  get self(): ActorSelf {
    this.#self ??= new ActorSelf(this, undefined)
    return this.#self
  }

  /** Answer it with how this actor ended, once it has. */
  watch(message: Message): void {
    if (this.mailbox.departed || this.phase === 'stopped') return message.answer(this.end)
    this.#watchers ??= new Watchers()
    this.#watchers.add(message, this.title)
  }

  unwatch(message: Message): void {
    this.#watchers?.delete(message)
  }

  async merge(message: Message, [, saved, answers]: readonly unknown[]): Promise<void> {
    const { onConflict, handoff } = this.actor
    if (onConflict === undefined) throw new SkepError('ERR_NO_METHOD', `${this.title} has no onConflict (any more)`)
    const into = handoff === false ? undefined : handoff.in
    const theirs = into === undefined ? saved : await this.insideHandoff(() => into(saved))
    await onConflict(this.selfFor(message), theirs)
    // Not before: what was done there is done here only from now on. A node of an older version sends none.
    if (Array.isArray(answers) && answers.length > 0) this.once.restore(answers)
  }

  /** What is done at once, beside the mailbox. */
  beside(work: Beside, message: Message, args: readonly unknown[]): void {
    if (work === 'monitor') return this.watch(message)
    const other = args[1] as Pid
    if (work === 'unlink') this.#links?.release(other)
    else if (this.isEnding || this.mailbox.departed) {
      return message.refuse('ERR_NO_PROCESS', `${this.title} is ending`, 'no')
    } else {
      try {
        this.links.accept(other)
      } catch (error) {
        return message.refuse((error as SkepError).code, (error as SkepError).message, 'no')
      }
    }
    message.answer(undefined)
  }

  /** One that it was linked to has ended: its crash as well, unless it wants to hear of that. */
  exited(down: Down): void {
    if (this.actor.onExit !== undefined) this.#tellExit(down)
    else if (isFault(down.reason)) {
      const cause = `it was linked to ${down.pid}, whose end was: ${down.reason}`
      this.crash(new SkepError('ERR_ACTOR_STOPPED', cause, { pid: down.pid }))
    }
  }

  /** One that it started has ended. Where they are linked it hears of it by that. */
  childEnded(child: Process): void {
    const { pid } = child.info
    // Its code may be another one by the time of its turn.
    if (this.actor.onChild !== undefined)
      this.mailbox.deliverStep(new Notice(this, 'onChild', (self) => this.actor.onChild?.(self, child)))
    else if (this.#links?.has(pid) !== true) this.#tellExit({ pid, reason: child.end })
  }

  #tellExit(down: Down): void {
    if (this.actor.onExit !== undefined)
      this.mailbox.deliverStep(new Notice(this, 'onExit', (self) => this.actor.onExit?.(self, down)))
  }

  feed(stream: Feeding): void {
    this.#feeding ??= new Set()
    this.#feeding.add(stream)
  }

  feedNoMore(stream: Feeding): void {
    this.#feeding?.delete(stream)
    this.#idle?.touch()
  }

  get streams(): number {
    return this.#feeding?.size ?? 0
  }

  /**
   * Stop: what waits is refused, what runs may end (bounded by the grace time), then `onStop` runs (bounded too).
   * `abort` also aborts the signals of what runs. Resolves when it has ended, also when asked again.
   */
  stop(reason: string, abort: boolean): Promise<void> {
    return new Promise((resolve) => this.stopThen(reason, abort, resolve))
  }

  /**
   * The same without a promise: `ended` is called where it would resolve. Not within the step that ends it: what that has
   * changed in the registry leaves in a microtask, and whoever is answered may not overtake it.
   */
  stopThen(reason: string, abort: boolean, ended: () => void): void {
    this.#stop(reason, abort, this.stopGraceMs)
    if (this.phase === 'stopped') queueMicrotask(ended)
    else this.#stopping?.push(ended)
  }

  stopNow(reason: string): void {
    this.#stop(reason, true, 0)
  }

  #stop(reason: string, abort: boolean, graceMs: number): void {
    if (this.#stopping !== undefined) return
    this.forGood ||= this.isAsked
    // Before anything is refused: those that asked for it wait here then.
    this.#stopping = []
    if (this.phase !== 'stopped') this.#shutDown(reason, abort, graceMs)
  }

  /** The same, of its own accord. */
  stopItself(reason: string): void {
    this.#endBy({ how: 'stopped', reason })
    void this.stop(reason, false)
  }

  /** The same, because of a fault: its state is not to be trusted. */
  crash(error: unknown, why = 'crashed'): void {
    if (this.#stopping !== undefined || this.mailbox.departed || this.phase === 'stopped') return
    this.logger.error({ err: error }, `${this.title} ${why}`)
    this.end = 'crashed'
    const reason = error instanceof Error ? error.message : String(error)
    this.#endBy({ how: 'crashed', reason })
    // What had it started hears of the fault itself.
    this.#start?.giveUp(error)
    void this.stop('it crashed', false)
  }

  /** The same, of its own accord. What comes too late to be its end is said all the same. */
  crashItself(err: unknown): void {
    if (this.isEnding || this.mailbox.departed)
      this.logger.error({ err }, `${this.title} ends already; it crashed meanwhile`)
    else this.crash(err)
  }

  /** A promise that its code made was rejected, and nobody handled that. */
  rejected(error: unknown): void {
    const why = 'a promise that it made was rejected, and nobody handled that'
    if (this.isEnding || this.mailbox.departed) this.logger.error({ err: error }, `${this.title} ends; ${why}`)
    else this.crash(error, `crashed: ${why}`)
  }

  /** Somebody who waits for its end in the mailbox wants it for good. */
  #endBy(ended: Ended): void {
    if (this.#stopping === undefined && !this.isAsked) this.ended = ended
  }

  /** A request to stop waits in the mailbox. */
  get isAsked(): boolean {
    return this.#asked?.any === true
  }

  /** End at once: nothing is waited for, `onStop` does not run. What waits or runs is refused. */
  kill(reason: string): void {
    this.phase = 'stopped'
    this.#reloads?.opened()
    this.#links?.close()
    this.#stopStarting()
    this.#refuseAll(reason)
    const text = `${this.title} stopped (${reason}) before it answered`
    for (const message of this.mailbox.runningMessages) {
      message.withdraw(reason)
      message.refuse('ERR_ACTOR_STOPPED', text, 'maybe')
    }
  }

  #stopStarting(): void {
    this.#start?.giveUp(new SkepError('ERR_ACTOR_STOPPED', 'it was stopped while it started'))
  }

  #refuseAll(reason: string): void {
    this.#asked?.end()
    this.#idle?.stop()
    this.#timers?.cancelAll()
    this.mailbox.refuseAll(reason)
    for (const stream of this.#feeding ?? []) stream.endBecause('ERR_ACTOR_STOPPED', `${this.title} stopped: ${reason}`)
    this.#life?.abort(reason)
  }

  /** `graceMs`: how long the running call is still waited for. */
  #shutDown(reason: string, abort: boolean, graceMs: number): void {
    this.phase = 'stopping'
    this.#stopStarting()
    this.#refuseAll(reason)
    if (abort) for (const message of this.mailbox.runningMessages) message.withdraw(reason)
    if (this.#hasToFinish) void this.#finish(reason, graceMs).then(() => this.#over(reason))
    else this.#over(reason)
  }

  /** Something is waited for before its end: most have nothing, and many may end at once. */
  get #hasToFinish(): boolean {
    const hasOnStop = this.actor.onStop !== undefined && this.end !== 'crashed'
    return this.#children !== undefined || (this.#started && (hasOnStop || this.mailbox.running > 0))
  }

  #over(reason: string): void {
    this.phase = 'stopped'
    this.#reloads?.opened()
    this.#links?.close()
    this.#whose.passTo(loggedBy(this.host.logger, lateRejection(this.actor, this.info)))
    this.host.ended(this, reason)
    this.#watchers?.tell(this.end)
    this.parent?.children.ended(this)
    for (const ended of this.#stopping ?? []) queueMicrotask(ended)
  }

  async #finish(reason: string, graceMs: number): Promise<void> {
    if (this.mailbox.running > 0) await within(this.time, this.mailbox.whenIdle(), graceMs)
    const text = `${this.title} stopped (${reason}) before it answered`
    for (const message of this.mailbox.runningMessages) message.refuse('ERR_ACTOR_STOPPED', text, 'maybe')
    if (this.#children !== undefined) await this.#children.end()
    if (this.end === 'crashed' || !this.#started) return
    try {
      const work = this.inside(() => this.actor.onStop?.(this.self, reason))
      await within(this.time, work, this.stopGraceMs)
    } catch (err) {
      this.host.logger.warn({ err, actor: this.title }, 'onStop threw')
    }
  }

  /**
   * What its own code gives. ERR_TIMEOUT where that takes longer: nothing of the actor begins meanwhile, a request to stop
   * neither, so it must not take for ever.
   */
  async inTime<T>(fn: () => T | PromiseLike<T>, ms: number): Promise<T> {
    const value = await within(this.time, this.inside(fn), ms)
    if (value === late) throw new SkepError('ERR_TIMEOUT', `the handoff of ${this.title} did not end within ${ms} ms`)
    return value
  }

  /** With which it holds its name now. */
  get fence(): number {
    return this.host.fenceOf(this.info) ?? this.info.fence
  }

  nodeFor(message: Message | undefined): ActorNode {
    return this.host.nodeFor(this.contextOf(message))
  }

  pidOf(process: unknown): Pid {
    return this.host.pidOf(process)
  }

  async startChild(
    definition: AnyActor,
    where: Via | Anonymous,
    args: readonly unknown[],
    message: Message | undefined,
  ): Promise<Pid> {
    const starter = { parent: this, by: this.contextOf(message) }
    return (await this.host.startBy(starter, definition, where, args)).info.pid
  }

  get logger(): Logger {
    const { actor, info, host } = this
    this.#logger ??= host.logger.child({ actor: actor.kind, name: info.name, pid: String(info.pid) })
    return this.#logger
  }

  /** "counter 'my_proc'": for people. */
  get label(): string {
    const { name, pid } = this.info
    return `${this.actor.kind} ${name === undefined ? pid : `'${name}'`}`
  }

  /** "counter 'my_proc' <demo-1.7.ab12>": for errors and logs. */
  get title(): string {
    return titleOf(this.actor, this.info)
  }
}

function titleOf({ kind }: ActorCode, { name, pid }: ProcessInfo): string {
  return name === undefined ? `${kind} ${pid}` : `${kind} '${name}' ${pid}`
}

/** Holds nothing of the actor but what it is called. */
function lateRejection(actor: ActorCode, info: ProcessInfo): () => string {
  return () => `${titleOf(actor, info)} has ended; a promise that it made was rejected, unhandled`
}

function takeTurn(mailbox: Mailbox, max: number, now: number): number {
  return mailbox.handle(max, now)
}

/** The process behind a `self`. */
export function processOf(self: unknown): Process {
  return ownerOf(self) as Process
}
