/**
 * Supervisors: actors whose only work is to start others, in order, and to start them again when they end. They run no
 * code of their user's but the list of children, so there is little in them that could fail: what they give up is for
 * the supervisor above them or, where they are placed, for the cluster.
 *
 * A child's pid changes with every restart. So its supervisor has a pid for it besides, behind which stands whatever
 * process the child is at present: a ref to that is what `child(id)` gives.
 */
import { isSkepError, SkepError } from '@skep/cluster'
import {
  type OwnPlacement,
  type Pid,
  type PlacementRule,
  type RestartOptions,
  type RestartPolicy,
  restartOf,
} from '@skep/tracker'
import { restartDefaults } from '@skep/tracker/core'
import { endCycleOf } from './chain.js'
import { shutdown } from './children.js'
import { codeOf, placementOf, type Self } from './define.js'
import {
  type ActorCode,
  type ActorDefinition,
  type AnyActor,
  type AnyFunction,
  code,
  type InitArgs,
  type RefOf,
  type seen,
  type types,
} from './definition.js'
import { control } from './message.js'
import { Notice } from './notice.js'
import { type Process, processOf } from './process.js'
import { messageOf } from './self.js'
import { type Anonymous, anonymous, Via } from './via.js'

/**
 * Who is started again with the child that failed: it alone; all, since none can do without the others; or those that
 * were started after it, since they build upon it.
 */
export type Strategy = 'one-for-one' | 'one-for-all' | 'rest-for-one'

/** A child as its supervisor is told of it: made with `child(...)`. */
export interface ChildSpec<D extends AnyActor = AnyActor> {
  readonly definition: D
  readonly where: Via | Anonymous
  readonly args: readonly unknown[]
  readonly restart: RestartPolicy | undefined
  /** The same child with another policy than its definition's. */
  with(options: { readonly restart: RestartPolicy }): ChildSpec<D>
}

export type ChildSpecs = { readonly [id: string]: ChildSpec }

export interface SupervisorOptions<Args extends unknown[], C extends ChildSpecs> {
  /** Default `one-for-one`. */
  readonly strategy?: Strategy
  /**
   * Restarts that may be needed within `withinMs`, of all children together: with one more the supervisor itself crashes.
   * 0 to 100, default 6. A restart that fails is another one.
   */
  readonly times?: number
  /** Milliseconds, up to a day; default a minute. */
  readonly withinMs?: number
  /**
   * The children by id, in the order in which they are started; gets the arguments that the supervisor was started
   * with. Ids are no whole numbers: JavaScript would put those first.
   */
  readonly children: (...args: Args) => C
  /** Where the supervisor itself is placed, and whether it is started again: as in `defineActor`. */
  readonly placement?: PlacementRule | OwnPlacement
  readonly restart?: RestartPolicy | RestartOptions
}

/** A child as it is now. */
export interface ChildReport {
  readonly id: string
  readonly kind: string
  /** Undefined where it does not run, as after an end that its policy leaves it at. */
  readonly pid: Pid | undefined
  /** How often it was started again. */
  readonly restarts: number
}

/** Milliseconds until a child is tried again whose name this node may not have at present. */
const againMs = 1000

type IdOf<C> = keyof C & string

/** What may be asked of a supervisor. */
export interface SupervisorMethods<C extends ChildSpecs> {
  /** A ref to the child, which follows it through its restarts as long as this supervisor lives. */
  readonly child: ((self: Self<unknown>, id: IdOf<C>) => object) & {
    readonly [seen]: <Id extends IdOf<C>>(id: Id) => Promise<RefOf<C[Id]['definition']>>
  }
  readonly children: (self: Self<unknown>) => ChildReport[]
  /** End this child and start it anew, or start one that has ended; gives its pid. It counts as no failure. */
  readonly restart: (self: Self<unknown>, id: IdOf<C>) => Promise<Pid>
  /** End this child; it is not started again but by `restart`. */
  readonly stop: (self: Self<unknown>, id: IdOf<C>) => Promise<void>
}

export type SupervisorDefinition<Args extends unknown[], C extends ChildSpecs> = ActorDefinition<
  Args,
  unknown,
  SupervisorMethods<C>
>

/** A child of a supervisor: what `node.start` would get. Throws TypeError for anything that could not be started. */
export function child<D extends AnyActor>(definition: D, where: Via | Anonymous, ...args: InitArgs<D>): ChildSpec<D> {
  codeOf(definition)
  if (where !== anonymous && !(where instanceof Via))
    throw new TypeError('child(definition, where, ...): where must be via(name) or anonymous')
  return specOf(definition, where, args, undefined)
}

function specOf<D extends AnyActor>(
  definition: D,
  where: Via | Anonymous,
  args: readonly unknown[],
  restart: RestartPolicy | undefined,
): ChildSpec<D> {
  return Object.freeze({
    definition,
    where,
    args,
    restart,
    with(options: { readonly restart: RestartPolicy }) {
      for (const key of Object.keys(options))
        if (key !== 'restart') throw new TypeError(`child(...).with(): unknown option '${key}'; known is restart`)
      return specOf(definition, where, args, restartOf('child(...).with()', options.restart)?.policy)
    },
  })
}

const optionKeys: ReadonlySet<string> = new Set(['strategy', 'times', 'withinMs', 'children', 'placement', 'restart'])
const strategies: ReadonlySet<unknown> = new Set<Strategy>(['one-for-one', 'one-for-all', 'rest-for-one'])

/** Make a kind of supervisor: an actor that is started, placed, supervised and called like any other. */
export function defineSupervisor<Args extends unknown[], C extends ChildSpecs>(
  kind: string,
  options: SupervisorOptions<Args, C>,
): SupervisorDefinition<Args, C> {
  const definition: Omit<SupervisorDefinition<Args, C>, typeof types> = { kind, [code]: wearOff(kind, options) }
  return Object.freeze(definition) as SupervisorDefinition<Args, C>
}

function wearOff(kind: string, options: object): ActorCode {
  if (typeof kind !== 'string' || kind === '')
    throw new TypeError('defineSupervisor(kind, ...): the kind must be a string, not empty')
  const where = `defineSupervisor('${kind}')`
  if (typeof options !== 'object' || options === null) throw new TypeError(`${where}: {children} is missing`)
  for (const key of Object.keys(options)) {
    if (!optionKeys.has(key))
      throw new TypeError(`${where}: unknown option '${key}'; known are ${[...optionKeys].join(', ')}`)
  }
  const given = options as Record<string, unknown>
  const { strategy = 'one-for-one', children } = given
  if (!strategies.has(strategy))
    throw new TypeError(`${where}: strategy must be one-for-one, one-for-all or rest-for-one`)
  if (typeof children !== 'function') throw new TypeError(`${where}: children must be a function`)
  const { times, withinMs } = intensityOf(where, given)
  const rules: Rules = {
    strategy: strategy as Strategy,
    times,
    withinMs,
    children: (args) => childrenOf(where, children(...args)),
  }
  return Object.freeze({
    kind,
    init: (...args: unknown[]) => new Supervision(rules, args),
    methods: new Map<string, AnyFunction>([
      ['child', (self, id) => of(self).refTo(self as Self<unknown>, id)],
      ['children', (self) => of(self).report()],
      ['restart', (self, id) => of(self).restart(self, id)],
      ['stop', (self, id) => of(self).stop(self, id)],
    ]),
    streams: new Set<string>(),
    onStart: (self: unknown) => of(self).begin(processOf(self)),
    onStop: undefined,
    onExit: undefined,
    onChild: (self: unknown, process: unknown) => of(self).ended(process as Process),
    renew: (state: unknown) => (state as Supervision).renew(rules),
    onConflict: undefined,
    // It has no state of its own, and its children stay behind: elsewhere it begins anew.
    handoff: false,
    reentrant: false,
    mailbox: undefined,
    idleAfter: undefined,
    keys: undefined,
    placement: placementOf(where, given.placement),
    restart: restartOf(where, given.restart),
  })
}

function of(self: unknown): Supervision {
  return (self as Self<unknown>).state as Supervision
}

function intensityOf(where: string, given: Record<string, unknown>): { times: number; withinMs: number } {
  const { times = restartDefaults.times, withinMs = restartDefaults.withinMs } = given
  // As it is for placed names, with the same limits.
  const { times: most, withinMs: ms } = restartOf(where, { policy: 'permanent', times, withinMs }) ?? restartDefaults
  return { times: most, withinMs: ms }
}

function childrenOf(where: string, given: unknown): Child[] {
  if (typeof given !== 'object' || given === null)
    throw new TypeError(`${where}: children() must give an object of child(...)`)
  return Object.entries(given).map(([id, spec]) => {
    if (/^(0|[1-9]\d*)$/.test(id))
      throw new TypeError(`${where}: '${id}' is no id for a child: whole numbers lose their place in the order`)
    const { definition } = (spec ?? {}) as Partial<ChildSpec>
    if (definition === undefined)
      throw new TypeError(`${where}: children().${id} must be child(definition, where, ...)`)
    return new Child(id, spec as ChildSpec)
  })
}

/** What a definition says. */
interface Rules {
  readonly strategy: Strategy
  readonly times: number
  readonly withinMs: number
  /** Made anew from the arguments that the supervisor was started with. */
  readonly children: (args: readonly unknown[]) => Child[]
}

class Child {
  readonly id: string
  spec: ChildSpec
  /** Undefined from when it is to end until it is started again. */
  process: Process | undefined
  /** It is to run: false after an end that its policy, or somebody, leaves it at. */
  wanted = true
  /** New code brought it, and it has not run yet. */
  fresh = false
  restarts = 0
  /** The pid that stays. */
  pid: (() => Pid) | undefined

  constructor(id: string, spec: ChildSpec) {
    this.id = id
    this.spec = spec
  }

  /** As the code that it runs has it. */
  policyOf(process: Process | undefined): RestartPolicy {
    const { restart, where, definition } = this.spec
    const named = where instanceof Via ? restartOf('via', where.options.restart)?.policy : undefined
    const { restart: own } = process?.actor ?? codeOf(definition)
    return restart ?? named ?? own?.policy ?? restartDefaults.policy
  }

  /** Is it started again after this end? One that somebody else told to end is not. */
  comesBack(process: Process): boolean {
    const { ended } = process
    if (ended === undefined) return false
    const policy = this.policyOf(process)
    return policy === 'permanent' || (policy === 'transient' && ended.how !== 'stopped')
  }

  /** Its start came to nothing since it was told to end, or stopped itself. */
  get staysAway(): boolean {
    const { process } = this
    return process?.forGood === true || (process?.ended?.how === 'stopped' && !this.comesBack(process))
  }
}

/** A child that is to be started again, and why. */
interface Failure {
  readonly child: Child
  readonly why: unknown
}

/** It, or what it starts itself, was refused since its node may not go on at present. */
function isPaused(why: unknown): boolean {
  return isSkepError(why, 'ERR_NO_MAJORITY') || (isSkepError(why, 'ERR_INIT_FAILED') && isPaused(why.cause))
}

/** What a supervisor knows. Its methods run as messages, so one at a time: an end waits until the last one is dealt with. */
class Supervision {
  readonly #args: readonly unknown[]
  #rules: Rules
  #children: readonly Child[]
  /** When restarts were needed; only those that still count. */
  #needed: number[] = []
  #self: Process | undefined
  /** Some are missing that cannot be started at present. */
  #isWaiting = false
  #cancelAgain: () => void = () => {}

  constructor(rules: Rules, args: readonly unknown[]) {
    this.#rules = rules
    this.#args = args
    this.#children = rules.children(args)
  }

  async begin(self: Process): Promise<void> {
    this.#self = self
    // One that was started again keeps its place.
    self.children.standing = () => this.#children.flatMap(({ process }) => process ?? [])
    for (const child of this.#children) {
      child.pid = self.host.stand(self, () => child.process)
      await this.#startUnlessLeft(child)
    }
  }

  /**
   * Go on by these rules: children that both lists have run on and are started by the new list the next time. Throws what
   * `children` throws; then nothing has changed. It takes no time: who ends and who starts is done in a turn of its own.
   */
  renew(rules: Rules): this {
    const self = this.#self as Process
    const before = this.#children
    this.#children = rules.children(this.#args).map((child) => {
      const known = before.find(({ id }) => id === child.id)
      if (known !== undefined) {
        known.spec = child.spec
        return known
      }
      child.fresh = true
      child.pid = self.host.stand(self, () => child.process)
      return child
    })
    this.#rules = rules
    const removed = before.filter((child) => !this.#children.includes(child))
    self.mailbox.deliverStep(new Notice(self, 'new code', () => this.#become(removed)))
    return this
  }

  /** First the ends, for a new child may have the name of one that was removed. */
  async #become(removed: readonly Child[]): Promise<void> {
    const self = this.#self as Process
    for (const child of [...removed].reverse()) {
      await this.#end(child)
      self.host.unstand(self, (child.pid as () => Pid)())
    }
    for (const child of this.#children) {
      if (!child.fresh || self.isEnding) continue
      child.wanted = true
      try {
        await this.#startUnlessLeft(child)
      } catch (err) {
        // As one that was left out, not as one that ended: nobody relies on it yet.
        child.wanted = false
        self.logger.error(
          { err, child: child.id },
          `'${child.id}' is new and did not start; the next reload tries again`,
        )
      }
    }
  }

  /** Where there is nothing to run, or it is told to end, that is no failure, and it is left at that. */
  async #startUnlessLeft(child: Child): Promise<void> {
    try {
      await this.#start(child)
    } catch (error) {
      if (child.wanted) throw error
    }
    child.fresh = false
  }

  async #start(child: Child): Promise<Process> {
    const { definition, where, args } = child.spec
    try {
      const self = this.#self as Process
      const begun = (made: Process): void => {
        child.process = made
      }
      // In the message that runs, or in its own start.
      const by = self.contextOf(self.mailbox.current)
      const process = await self.host.startBy({ parent: self, by, begun }, definition, where, args)
      child.fresh = false
      return process
    } catch (error) {
      if (isSkepError(error, 'ERR_IGNORED') || child.staysAway) child.wanted = false
      // It may run: that others know of it was part of its start.
      await this.#end(child)
      throw error
    }
  }

  async #end(child: Child): Promise<void> {
    const { process } = child
    // Its end is known, then: it is told of no more.
    child.process = undefined
    if (process !== undefined) await endChild(this.#self as Process, process)
  }

  /** This process of a child has ended without being told to by this supervisor. */
  async ended(process: Process): Promise<void> {
    const child = this.#children.find((one) => one.process === process)
    // It was ended, or replaced, while this was on its way.
    if (child === undefined) return
    child.process = undefined
    child.wanted = child.comesBack(process)
    if (child.wanted) await this.#revive(child, `it ${process.ended?.how}: ${process.ended?.reason}`)
  }

  async #revive(failed: Child, why: unknown): Promise<void> {
    const self = this.#self as Process
    for (let last: Failure | undefined = { child: failed, why }; last !== undefined; ) {
      const text = last.why instanceof Error ? last.why.message : String(last.why)
      if (isPaused(last.why)) return this.#reviveLater(last.child, text)
      if (this.#isTooOften(self.host.time.now())) {
        const { times, withinMs } = this.#rules
        const limit = `more than ${times} restarts within ${withinMs} ms`
        return self.crash(new Error(`${limit}; the last was of '${last.child.id}': ${text}`, { cause: last.why }))
      }
      self.logger.warn(
        { child: last.child.id, strategy: this.#rules.strategy },
        `'${last.child.id}' is started again; ${text}`,
      )
      last = await this.#again(this.#concerned(last.child), last.child)
      if (self.isEnding) return
    }
  }

  /**
   * This node is in a part of the cluster that gives no names away. That is no failure of the child's, and counted as
   * one it would take all others along at once: what is missing is started when that is over.
   */
  #reviveLater({ id }: Child, why: string): void {
    const self = this.#self as Process
    if (!this.#isWaiting) self.logger.warn({ child: id }, `'${id}' is tried again every ${againMs} ms; ${why}`)
    this.#isWaiting = true
    this.#cancelAgain()
    this.#cancelAgain = self.startTimer(againMs, () => this.#reviveMissing(), [], false)
  }

  async #reviveMissing(): Promise<void> {
    const missing = this.#children.filter(({ wanted, process }) => wanted && process === undefined)
    const [first] = missing
    const failed = first && (await this.#again(missing, first))
    this.#isWaiting = failed !== undefined && isPaused(failed.why)
    if (failed !== undefined && !(this.#self as Process).isEnding) await this.#revive(failed.child, failed.why)
  }

  /** Whom the strategy starts again with it. */
  #concerned(failed: Child): Child[] {
    const { strategy } = this.#rules
    if (strategy === 'one-for-one') return [failed]
    const first = strategy === 'one-for-all' ? 0 : this.#children.indexOf(failed)
    return this.#children.slice(first).filter(({ wanted }) => wanted)
  }

  /** The first that did not start, and why. */
  async #again(children: readonly Child[], failed: Child): Promise<Failure | undefined> {
    for (const child of [...children].reverse()) {
      const { process } = child
      const endsAlready = process?.isEnding === true
      const policy = child.policyOf(process)
      await this.#end(child)
      if (child === failed || process === undefined) continue
      // Its own end, or somebody else's word, may have come before this one's, or while it ended.
      if (endsAlready) child.wanted = child.comesBack(process)
      else if (process.forGood || policy === 'temporary') child.wanted = false
    }
    for (const child of children) {
      if (!child.wanted) continue
      try {
        await this.#startUnlessLeft(child)
      } catch (why) {
        return { child, why }
      }
      if (child.wanted) child.restarts += 1
    }
    return undefined
  }

  #isTooOften(now: number): boolean {
    this.#needed = this.#needed.filter((at) => now - at < this.#rules.withinMs)
    this.#needed.push(now)
    return this.#needed.length > this.#rules.times
  }

  #find(id: unknown): Child {
    const child = this.#children.find((one) => one.id === id)
    if (child !== undefined) return child
    const known = this.#children.map((one) => one.id).join(', ')
    throw new TypeError(`${(this.#self as Process).title} has no child '${String(id)}'; it has ${known}`)
  }

  refTo(self: Self<unknown>, id: unknown): object {
    const { spec, pid } = this.#find(id)
    return self.node.ref(spec.definition, (pid as () => Pid)())
  }

  report(): ChildReport[] {
    return this.#children.map(({ id, spec, process, restarts }) => {
      const runs = process !== undefined && !process.isEnding
      return { id, kind: spec.definition.kind, pid: runs ? process.info.pid : undefined, restarts }
    })
  }

  async restart(self: unknown, id: unknown): Promise<Pid> {
    const child = this.#find(id)
    this.#refuseCycle('restart', self, child)
    child.wanted = false
    await this.#end(child)
    const { info } = await this.#start(child)
    child.wanted = true
    child.restarts += 1
    return info.pid
  }

  async stop(self: unknown, id: unknown): Promise<void> {
    const child = this.#find(id)
    this.#refuseCycle('stop', self, child)
    child.wanted = false
    child.fresh = false
    await this.#end(child)
  }

  /** It would wait for the end of one that waits for this very call. */
  #refuseCycle(what: 'restart' | 'stop', self: unknown, { id, process }: Child): void {
    const chain = messageOf(self)?.chain
    const { label, host } = this.#self as Process
    const names = chain && process && endCycleOf(process.tree(), label, chain, (pid) => host.processOf(pid))
    if (names === undefined) return
    const cure = `$.cast.${what}('${id}') does not wait, and an actor ends itself by self.stop() or self.crash(error)`
    throw new SkepError('ERR_CALL_CYCLE', `${what}('${id}') would wait for itself (${names.join(' -> ')}): ${cure}`)
  }
}

/** Ends a child in the message that runs: what that, or one below it, wants to call in its supervisor would wait for that. */
async function endChild(supervisor: Process, child: Process): Promise<void> {
  const { mailbox } = supervisor
  const context = supervisor.contextOf(mailbox.current)
  const awaited = [...child.tree()].map(({ info }) => ({ pid: info.pid, reentrant: false }))
  for (const one of awaited) context?.await(one)
  mailbox.sift(
    (message) =>
      message.chain === undefined || message.method === control || !supervisor.refusesAsCycle(message, message.chain),
  )
  try {
    await child.stop(shutdown, false)
  } finally {
    for (const one of awaited) context?.answered(one)
  }
}
