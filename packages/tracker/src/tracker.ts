/**
 * The tracker's shell: names for pids, over a cluster. Every answer is the machine's (`core/`); here promises wait for
 * them, user code is run (never inside a step of the registry), and what a user gives is checked at the door.
 */
import { randomInt } from 'node:crypto'
import {
  type Cluster,
  defaultLogger,
  type ErrorCode,
  errorCodes,
  isSkepError,
  type Logger,
  realTime,
  SkepError,
  type Time,
} from '@skep/cluster'
import type { BootId } from '@skep/cluster/core'
import { unfailing } from '@skep/cluster/internal'
import { Activations } from './activations.js'
import { Asks, abortError, type Wish } from './asks.js'
import { type Explanation, explain } from './core/explain.js'
import { haltsAt } from './core/halting.js'
import { holdersIn, lookup, membersOf } from './core/logs.js'
import type { Claim, Ended, NameEvent, NodeRequest, Terms, TrackerMessage } from './core/messages.js'
import { Pid } from './core/pid.js'
import { metaMaxBytes, specMaxBytes } from './core/plain.js'
import { ringDefaults } from './core/ring.js'
import { rebalanceDefaults, type TrackerInput, type TrackerOutput, trackerLimits } from './core/state.js'
import type { OwnStrategy } from './core/strategies.js'
import { wireLimits } from './core/wire.js'
import { Driver, type Outcome } from './driver.js'
import { type EventOptions, EventStreams, type MissedEvents } from './events.js'
import { checkClaim, checkKind, checkName, checkPlain, checkWant } from './given.js'
import { guarded, type OwnPlacement, ownRule, PlacementRule, restartOf } from './rules.js'
import type {
  Activation,
  ClaimOptions,
  Deactivation,
  FlushOptions,
  Grant,
  Handing,
  RegisterOptions,
  SpawnOptions,
  Tracker,
  TrackerOptions,
  TrackerStats,
  Unmoved,
  WaitOptions,
} from './surface.js'

const defaultTimeoutMs = 10_000

/** Of a move: above all that its machine waits for. */
const moveTimeoutMs = 30_000

/** Callers that may wait at one time: a caller that asks in a loop without awaiting ends here, not in memory. */
const maxWaiting = 100_000

/** Attaches a tracker to a cluster that has no tracker yet. */
export function startTracker(options: TrackerOptions): Tracker {
  return new TrackerShell(options)
}

class TrackerShell implements Tracker {
  readonly cluster: Cluster
  readonly #time: Time
  readonly #logger: Logger
  readonly #driver: Driver
  readonly #asks: Asks
  readonly #streams: EventStreams
  readonly #activations: Activations
  readonly #readyWaits = new Set<number>()
  readonly #onFatal: ((error: unknown) => void) | undefined
  #lastPid = 0
  #ready = false
  #lives: (pid: Pid) => boolean = () => true
  #onHalted: (on: boolean) => void = () => {}
  #onResumed: (pid: Pid) => void = () => {}
  #onKept: (pid: Pid, name: string) => void = () => {}
  /** Grants that their callers have not used yet, and the error of those that were lost meanwhile. */
  readonly #grants = new Map<number, SkepError | undefined>()
  #handing: Handing | undefined
  /** Users' own strategies of placement by id; the machine reads them. */
  readonly #strategies = new Map<string, OwnStrategy>()
  /** Who waits until this node has handed over what it can. */
  #emptied:
    | { readonly promise: Promise<readonly Unmoved[]>; readonly resolve: (left: readonly Unmoved[]) => void }
    | undefined
  #handedOver = 0
  #leaving = false
  #left: Promise<void> | undefined
  #onLeft: () => void = () => {}

  constructor(options: TrackerOptions) {
    this.cluster = options.cluster
    this.#time = options.time ?? realTime
    this.#asks = new Asks(this.#time)
    this.#logger = unfailing(options.logger ?? defaultLogger()).child({ component: 'tracker' })
    this.#onFatal = options.onFatal
    this.#driver = new Driver({
      cluster: this.cluster,
      time: this.#time,
      logger: this.#logger,
      config: {
        self: this.cluster.self,
        counter: Math.floor(this.#time.wall()),
        seed: options.seed ?? randomInt(2 ** 32),
        ring: ringDefaults,
        rebalance: { ...rebalanceDefaults, ...options.rebalance },
        limits: { ...trackerLimits, ...options.limits },
        ...(options.partition === undefined ? {} : { partition: options.partition }),
        strategies: this.#strategies,
      },
      outcome: (output) => this.#outcome(output),
      onReady: () => this.#becomeReady(),
      onFatal: (error) => this.#fatal(error),
      intercept: (from, message) => this.#intercept(from, message),
      also: this.#asks,
    })
    this.#activations = new Activations({
      feed: (input) => this.#driver.feed(input),
      lives: (pid) => this.#lives(pid),
      logger: this.#logger,
    })
    const { registry } = this.#driver.state
    this.#streams = new EventStreams({
      watch: (on) => this.#driver.feed({ type: 'watch', on }),
      defer: (fn) => this.#time.defer(fn),
      pieces: () => registry.index.pieces,
      pieceOf: (name) => registry.index.pieceOf(name),
      holdersIn: (piece) => registry.index.valuesIn(piece),
    })
    this.#driver.attach()
  }

  // Looking up

  whereis(name: string): Pid | undefined {
    return lookup(this.#driver.state.registry, name)?.pid
  }

  lookup(name: string): Claim | undefined {
    return lookup(this.#driver.state.registry, name)
  }

  registered(filter: { readonly prefix?: string; readonly local?: boolean } = {}): Claim[] {
    const { prefix = '', local = false } = filter
    const { registry, self } = this.#driver.state
    const found: Claim[][] = []
    for (let piece = 0; piece < registry.index.pieces; piece++) {
      const claims = holdersIn(registry, piece)
      const all = prefix === '' && !local
      found.push(
        all ? claims : claims.filter(({ name, pid }) => name.startsWith(prefix) && (!local || pid.boot === self)),
      )
    }
    return found.flat()
  }

  membersOf(group: string): readonly Pid[] {
    return membersOf(this.#driver.state.registry, group).map((membership) => membership.pid)
  }

  explain(name: string): Explanation {
    return explain(this.#driver.state, name, this.#time.now())
  }

  events(options: EventOptions = {}): AsyncIterable<NameEvent | MissedEvents> {
    return this.#streams.open(options)
  }

  stats(): TrackerStats {
    return {
      names: this.#driver.state.registry.index.size,
      waiting: this.#asks.size,
      readers: this.#streams.size,
      dropped: Object.fromEntries(this.#driver.dropped),
    }
  }

  waitingFor(most: number): readonly string[] {
    return this.#asks.describe(most)
  }

  // Claiming

  nextPid(): Pid {
    this.#lastPid += 1
    return this.#pid(this.#lastPid)
  }

  async claim(name: string, options: ClaimOptions = {}): Promise<Grant> {
    const ask = this.#asks.next()
    const fence = await this.#askFor<number>(ask, `claim '${name}'`, options, () => {
      checkClaim(name, options)
      const { kind, meta, mode } = options
      return { type: 'claim', ask, name, kind, meta, pid: undefined, mode }
    })
    return this.#grant(ask, name, fence, options)
  }

  register(name: string, pid: Pid, options: RegisterOptions = {}): Promise<Claim> {
    const startedMs = this.#time.now()
    const ask = this.#asks.next()
    const registered = this.#askFor<Claim>(ask, `register '${name}'`, options, () => {
      checkClaim(name, options)
      this.#checkLocal(pid)
      this.#checkLiving(pid)
      const { kind, meta, mode } = options
      return { type: 'claim', ask, name, kind, meta, pid: pid.id, mode }
    })
    if (options.visible === undefined) return registered
    return registered.then((claim) => this.#becomeVisible(claim, options, startedMs))
  }

  async whereisOrRegister(name: string, pid: Pid, options: RegisterOptions = {}): Promise<Pid> {
    const holder = this.whereis(name)
    if (holder !== undefined) return holder
    try {
      return (await this.register(name, pid, options)).pid
    } catch (error) {
      const taken = isSkepError(error, 'ERR_ALREADY_STARTED') || isSkepError(error, 'ERR_ALREADY_REGISTERED')
      if (taken && error.pid instanceof Pid) return error.pid
      throw error
    }
  }

  spawn(name: string, kind: string, spec: unknown, options: SpawnOptions = {}): Promise<Claim> {
    const ask = this.#asks.next()
    return this.#askFor<Claim>(ask, `spawn '${name}'`, options, () => {
      checkName(name)
      checkKind(kind)
      checkPlain(spec, specMaxBytes, 'spec')
      checkPlain(options.meta, metaMaxBytes, 'meta')
      return { type: 'spawn', ask, name, kind, spec, meta: options.meta, terms: this.#terms(name, options) }
    })
  }

  #terms(name: string, { placement, restart: given }: SpawnOptions): Terms | undefined {
    if (placement !== undefined && !(placement instanceof PlacementRule))
      throw new TypeError('placement must be ring, rendezvous, localFirst, pinned(...), together(...) or an own rule')
    const strategy = placement?.describe(name, this.cluster.self.name)
    const restart = restartOf(`spawn '${name}'`, given)
    return strategy === undefined && restart === undefined ? undefined : { strategy, restart }
  }

  definePlacement(id: string, place: OwnPlacement): PlacementRule {
    if (typeof id !== 'string' || id.length > wireLimits.keyChars)
      throw new TypeError(
        `definePlacement(id, place): the id must be a text of at most ${wireLimits.keyChars} characters`,
      )
    if (typeof place !== 'function') throw new TypeError('definePlacement(id, place): place must be a function')
    let told = false
    const failed = (err: unknown): void => {
      // It is asked for every name: said once, it is known.
      if (!told) this.#logger.error({ err, placement: id }, 'a strategy of placement failed: the ring places its names')
      told = true
    }
    this.#strategies.set(id, guarded(place, failed))
    return ownRule(id)
  }

  // Changing what is there

  unregister(name: string, options: WaitOptions = {}): Promise<void> {
    return this.#request(`unregister '${name}'`, options, () => {
      checkName(name)
      return { type: 'unregister', name }
    })
  }

  update(name: string, meta: unknown, options: WaitOptions = {}): Promise<void> {
    return this.#request(`update '${name}'`, options, () => {
      checkName(name)
      checkPlain(meta, metaMaxBytes, 'meta')
      return { type: 'update', name, meta }
    })
  }

  join(group: string, pid: Pid, meta?: unknown, options: WaitOptions = {}): Promise<void> {
    return this.#request(`join group '${group}'`, options, () => {
      checkName(group)
      checkPlain(meta, metaMaxBytes, 'meta')
      if (pid.boot === this.cluster.self.boot) this.#checkLiving(pid)
      return { type: 'join', group, pid, meta }
    })
  }

  leaveGroup(group: string, pid: Pid, options: WaitOptions = {}): Promise<void> {
    return this.#request(`leave group '${group}'`, options, () => {
      checkName(group)
      return { type: 'quit', group, pid }
    })
  }

  gone(pid: Pid, options: { readonly keepPlaced?: boolean; readonly ended?: Ended | undefined } = {}): void {
    this.#checkLocal(pid)
    const ended = (what: string): SkepError =>
      new SkepError('ERR_NO_PROCESS', `${what}: ${pid} ended meanwhile`, { pid })
    this.#asks.rejectAll(ended, (wish) => wish.pid === pid.id)
    this.#driver.feed({ type: 'gone', pid: pid.id, keepPlaced: options.keepPlaced ?? false, ended: options.ended })
  }

  flush(options: FlushOptions = {}): Promise<void> {
    const { want = 'all' } = options
    const ask = this.#asks.next()
    return this.#askFor<void>(ask, 'flush', options, () => {
      checkWant(want)
      return { type: 'flush', ask, want }
    })
  }

  // The node's life

  onActivate(fn: (activation: Activation) => Promise<Pid>): void {
    this.#activations.onActivate = fn
  }

  onHandoff(handing: Handing): void {
    this.#handing = handing
  }

  move(name: string, to?: BootId, options: WaitOptions = {}): Promise<void> {
    // Its running call may have to end first.
    const waits = { timeout: moveTimeoutMs, ...options }
    return this.#request(`move '${name}'`, waits, () => {
      checkName(name)
      return { type: 'move', name, to }
    })
  }

  handOver(): Promise<readonly Unmoved[]> {
    if (this.#emptied !== undefined) return this.#emptied.promise
    let resolve: (left: readonly Unmoved[]) => void = () => {}
    const promise = new Promise<readonly Unmoved[]>((done) => {
      resolve = done
    })
    this.#emptied = { promise, resolve }
    if (this.#driver.stopped || this.#leaving) resolve([])
    else this.#driver.feed({ type: 'drain' })
    return promise
  }

  unmoved(reason: string): Unmoved[] {
    const { draining } = this.#driver.state
    const left = this.registered({ local: true }).filter(({ placed }) => placed !== undefined)
    return left.map(({ name }) => ({ name, reason: draining?.stuck.get(name) ?? reason }))
  }

  get handedOver(): number {
    return this.#handedOver
  }

  livesHere(fn: (pid: Pid) => boolean): void {
    this.#lives = fn
  }

  onDeactivate(fn: (deactivation: Deactivation) => void): void {
    this.#activations.onDeactivate = fn
  }

  onHalted(fn: (on: boolean) => void): void {
    this.#onHalted = fn
    if (this.halted) fn(true)
  }

  onResumed(fn: (pid: Pid) => void): void {
    this.#onResumed = fn
  }

  onKept(fn: (pid: Pid, name: string) => void): void {
    this.#onKept = fn
  }

  get halted(): boolean {
    return this.#driver.state.partition?.halted === true
  }

  haltIfDue(now = this.#time.now()): void {
    if (now >= haltsAt(this.#driver.state)) this.#driver.feed({ type: 'wake' })
  }

  async ready({ timeout = Number.POSITIVE_INFINITY, signal }: WaitOptions = {}): Promise<void> {
    const ask = this.#asks.next()
    const onGiveUp = (): void => void this.#readyWaits.delete(ask)
    const wish = this.#wish('ready', { timeout, signal }, onGiveUp, 'ERR_NOT_READY')
    this.#checkOpen(wish)
    const joined = this.cluster.ready({ ...(timeout === Infinity ? {} : { timeout }), ...(signal ? { signal } : {}) })
    if (this.#ready) return joined
    this.#readyWaits.add(ask)
    const synced = this.#asks.wait<void>(ask, wish, this.#time.now())
    this.#driver.arm()
    // The cluster may know that it will not come to that.
    joined.catch((error: SkepError) => {
      this.#readyWaits.delete(ask)
      this.#asks.reject(ask, error)
    })
    await synced
    await joined
  }

  leave(): void {
    if (this.#driver.stopped || this.#leaving) return
    this.#leaving = true
    this.#asks.rejectAll((what) => new SkepError('ERR_LEAVING', `${what}: this node is leaving`, { sent: 'maybe' }))
    // In one turn, and in this order: once others see us leaving, nothing more may be claimed here.
    this.#driver.feed({ type: 'leave' })
    void this.cluster.leave()
  }

  part(): Promise<void> {
    if (this.#driver.stopped) return Promise.resolve()
    this.leave()
    if (this.#left === undefined) {
      this.#left = new Promise((resolve) => {
        this.#onLeft = resolve
      })
      this.#driver.feed({ type: 'part' })
    }
    return this.#left
  }

  close(): Promise<void> {
    this.#driver.sendHeld()
    this.#end((what) => new SkepError('ERR_STOPPED', `${what}: the node was stopped`, { sent: 'maybe' }))
    return Promise.resolve()
  }

  #end(makeError: (what: string) => SkepError): void {
    // First the machine: what callers give up now must not reach it any more.
    this.#driver.stop()
    this.#asks.rejectAll(makeError)
    this.#streams.end()
    this.#emptied?.resolve(this.unmoved('the node was stopped'))
    this.#onLeft()
  }

  #fatal(error: unknown): void {
    this.#end((what) => new SkepError('ERR_STOPPED', `${what}: the node failed`, { cause: error, sent: 'maybe' }))
    if (this.#onFatal !== undefined) {
      this.#onFatal(error)
      return
    }
    this.#logger.fatal({ err: error }, 'a broken invariant of the tracker ends this process')
    process.exit(70)
  }

  // Asks

  /**
   * Waits for what the machine says to the input that `make` gives. `make` checks the arguments first: nothing is
   * asked when it throws. One promise for it all: so many names may be asked for that each more is felt.
   */
  #askFor<T>(ask: number, what: string, options: WaitOptions, make: () => TrackerInput): Promise<T> {
    try {
      const onGiveUp = (): void => this.#driver.feed({ type: 'forget', ask })
      const wish = this.#wish(what, options, onGiveUp)
      this.#checkOpen(wish)
      const input = make()
      if (input.type === 'claim') wish.pid = input.pid
      const outcome = this.#asks.wait<T>(ask, wish, this.#time.now())
      this.#driver.feed(input)
      return outcome
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #request(what: string, options: WaitOptions, make: () => NodeRequest): Promise<void> {
    const ask = this.#asks.next()
    return this.#askFor<void>(ask, what, options, () => ({ type: 'request', ask, request: make() }))
  }

  #wish(what: string, options: WaitOptions, onGiveUp: () => void, code?: ErrorCode): Wish {
    const { timeout = defaultTimeoutMs, signal } = options
    if (typeof timeout !== 'number' || !(timeout >= 0))
      throw new TypeError(`timeout must be a number of milliseconds, not ${timeout}`)
    return { what, timeoutMs: timeout, code, signal, pid: undefined, onGiveUp }
  }

  #checkOpen(wish: Wish): void {
    if (this.#driver.stopped) throw new SkepError('ERR_STOPPED', `${wish.what}: the node was stopped`)
    if (this.#leaving) throw new SkepError('ERR_LEAVING', `${wish.what}: this node is leaving`)
    if (this.#asks.size >= maxWaiting)
      throw new SkepError('ERR_OVERLOADED', `${wish.what}: ${maxWaiting} callers wait already`)
    if (wish.signal?.aborted === true) throw abortError(wish, 'no')
  }

  #grant(ask: number, name: string, fence: number, options: WaitOptions): Grant {
    let open = true
    this.#grants.set(ask, undefined)
    return {
      name,
      fence,
      commit: async (pid) => {
        if (!open) throw new TypeError(`the grant of '${name}' was used already`)
        this.#checkLocal(pid)
        open = false
        const onGiveUp = (): void => this.#driver.feed({ type: 'forget', ask })
        const wish = this.#wish(`commit '${name}'`, { timeout: options.timeout }, onGiveUp)
        wish.pid = pid.id
        const lost = this.#closeGrant(ask)
        if (lost !== undefined) throw lost
        if (!this.#lives(pid)) {
          this.#driver.feed({ type: 'abandon', ask })
          throw new SkepError('ERR_NO_PROCESS', `${wish.what}: ${pid} ended meanwhile`, { pid })
        }
        if (this.#driver.stopped) throw new SkepError('ERR_STOPPED', `${wish.what}: the node was stopped`)
        const claim = this.#asks.wait<Claim>(ask, wish, this.#time.now())
        this.#driver.feed({ type: 'commit', ask, pid: pid.id })
        return claim
      },
      abandon: () => {
        if (!open) return
        open = false
        if (this.#closeGrant(ask) === undefined) this.#driver.feed({ type: 'abandon', ask })
      },
    }
  }

  #checkLiving(pid: Pid): void {
    if (!this.#lives(pid)) throw new SkepError('ERR_NO_PROCESS', `no process ${pid} runs on this node`, { pid })
  }

  /** The machine does not know which processes run: a group is joined for one only while it lives. */
  #intercept(from: string, message: TrackerMessage): boolean {
    if (message.type !== 'request' || message.request.type !== 'join') return false
    const { pid } = message.request
    if (pid.boot !== this.cluster.self.boot || this.#lives(pid)) return false
    const text = `${pid} has ended`
    this.cluster.send(from, { type: 'answer', ask: message.ask, code: 'ERR_NO_PROCESS', text }, { relay: true })
    return true
  }

  /** The grant is used or given back; what became of the name meanwhile, if it was lost. */
  #closeGrant(ask: number): SkepError | undefined {
    const lost = this.#grants.get(ask)
    this.#grants.delete(ask)
    return lost
  }

  async #becomeVisible(claim: Claim, options: RegisterOptions, startedMs: number): Promise<Claim> {
    const timeout = remaining(options, this.#time.now() - startedMs)
    try {
      await this.flush({ want: options.visible, timeout, signal: options.signal })
      return claim
    } catch (error) {
      if (!isSkepError(error)) throw error
      const text = `register '${claim.name}': it stands, but was not acknowledged by ${options.visible} in time`
      throw new SkepError(error.code, text, { cause: error, sent: 'yes', pid: claim.pid })
    }
  }

  // What the machine says

  #outcome(output: Outcome): void {
    switch (output.type) {
      case 'granted':
        if (!this.#asks.resolve(output.ask, output.fence)) this.#driver.feed({ type: 'abandon', ask: output.ask })
        return
      case 'registered':
        this.#registered(output.ask, output.claim)
        return
      case 'refused':
        if (this.#activations.refused(output.ask) || this.#asks.reject(output.ask, refusal(output))) return
        // Granted, and lost before the commit, which will say so.
        if (this.#grants.has(output.ask)) this.#grants.set(output.ask, refusal(output))
        return
      case 'done':
        this.#asks.resolve(output.ask, undefined)
        return
      case 'activate':
        this.#activations.start(output)
        return
      case 'deactivate':
        this.#activations.stop({
          pid: this.#pid(output.pid),
          name: output.name,
          reason: output.reason,
          winner: output.winner,
        })
        return
      case 'kept':
        this.#logger.info(
          { name: output.claim.name, fence: output.claim.fence },
          `'${output.claim.name}' is held again`,
        )
        this.#onKept(output.claim.pid, output.claim.name)
        return
      case 'event':
        this.#streams.push(output.event)
        return
      case 'halted':
        this.cluster.describe({ halted: output.on })
        this.#onHalted(output.on)
        return
      case 'resumed':
        this.#onResumed(this.#pid(output.pid))
        return
      case 'left':
        this.#onLeft()
        return
      case 'export':
        void this.#export(output)
        return
      case 'resume':
        this.#handing?.resume(this.#pid(output.pid), output.name)
        return
      case 'release':
        this.#handedOver += 1
        this.#handing?.release(this.#pid(output.pid), output.name, output.to)
        return
      case 'passed':
        this.#handing?.passed(this.#pid(output.pid), output.name)
        return
      case 'emptied':
        this.#emptied?.resolve(output.left)
        return
    }
  }

  async #export({ pid, name, number }: Extract<TrackerOutput, { type: 'export' }>): Promise<void> {
    try {
      if (this.#handing === undefined) throw new SkepError('ERR_CANNOT_MOVE', 'this node hands no processes over')
      // Not within the step that asks for it: code of the user runs.
      await undefined
      const state = await this.#handing.export(this.#pid(pid), name)
      this.#driver.feed({ type: 'exported', pid, name, number, state })
    } catch (error) {
      const code = isSkepError(error) ? error.code : 'ERR_CANNOT_MOVE'
      const text = error instanceof Error ? error.message : String(error)
      this.#driver.feed({ type: 'exportFailed', pid, name, number, code, text })
    }
  }

  #registered(ask: number, claim: Claim): void {
    if (this.#activations.registered(ask) || this.#asks.resolve(ask, claim)) return
    // Nobody waits for it any more. A placed name lives on without its caller; one by hand would stand for nobody.
    if (claim.placed !== undefined || claim.pid.boot !== this.#driver.state.self) return
    this.#driver.feed({ type: 'request', ask: this.#asks.next(), request: { type: 'unregister', name: claim.name } })
  }

  #becomeReady(): void {
    this.#ready = true
    for (const ask of this.#readyWaits) this.#asks.resolve(ask, undefined)
    this.#readyWaits.clear()
  }

  #pid(id: number): Pid {
    return new Pid(this.#driver.state.self, id, this.#driver.state.config.self.name)
  }

  #checkLocal(pid: Pid): void {
    if (!(pid instanceof Pid)) throw new TypeError(`a Pid is needed, not ${String(pid)}`)
    if (pid.boot === this.#driver.state.self) return
    throw new SkepError('ERR_NOT_LOCAL', `${pid} is not a process of node ${this.#driver.state.config.self.name}`, {
      pid,
    })
  }
}

/** What is left of the caller's time, in milliseconds. */
function remaining(options: WaitOptions, spentMs: number): number {
  return Math.max(0, (options.timeout ?? defaultTimeoutMs) - spentMs)
}

function refusal({ code, text, holder }: Extract<TrackerOutput, { type: 'refused' }>): SkepError {
  const known = Object.hasOwn(errorCodes, code)
  const fields = holder === undefined ? {} : { pid: holder.pid, holder }
  // A code of a newer peer is kept for people.
  if (!known) return new SkepError('ERR_BAD_REPLY', `${code}: ${text}`, fields)
  return new SkepError(code as ErrorCode, text, { ...fields, sent: code === 'ERR_TIMEOUT' ? 'maybe' : 'no' })
}
