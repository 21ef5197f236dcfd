/**
 * How actors come to run on one node: as its user, an actor of it or the tracker asks for them, with a name, as the ring
 * says, or without either. Who may have a name, the tracker decides; what goes on until the first message may begin is
 * the process's.
 */
import { isSkepError, SkepError } from '@skep/cluster'
import type { Activation, Claim, Pid, Timers, Tracker } from '@skep/tracker'
import { CallContext } from './chain.js'
import { BadBytes, unpack } from './decode.js'
import { codeOf } from './define.js'
import { type ActorCode, type AnyActor, ignore } from './definition.js'
import { pack } from './encode.js'
import type { ProcessInfo, Starter } from './host.js'
import { type Isolation, isolateAll } from './isolation.js'
import type { Kinds } from './kinds.js'
import type { Movement } from './movement.js'
import type { Process } from './process.js'
import { type RefSource, Refused } from './values.js'
import { type Anonymous, anonymous, Via, type ViaOptions } from './via.js'

/** What starts need of the node. */
export interface StartHost {
  readonly time: Timers
  readonly tracker: Pick<Tracker, 'nextPid' | 'claim' | 'flush' | 'spawn'>
  readonly kinds: Kinds
  readonly movement: Movement
  readonly isolation: Isolation
  readonly maxPayloadBytes: number
  /** Milliseconds that `init` and `onStart` may take together where the start says no `timeout`. */
  readonly startTimeoutMs: number
  /** Throws ERR_LEAVING or ERR_STOPPED where nothing new may start. */
  refuseWhenLeaving(): void
  /** A process of this node from here on: its pid can be called. */
  make(actor: ActorCode, info: ProcessInfo, parent: Process | undefined): Process
  refs(): RefSource
  refsFor(context: CallContext | undefined): RefSource
}

export class Starts {
  readonly #host: StartHost

  constructor(host: StartHost) {
    this.#host = host
  }

  /** Gives it once it runs. Rejects as `ActorNode.start` does. */
  startBy(
    starter: Starter<Process>,
    definition: AnyActor,
    where: Via | Anonymous,
    args: readonly unknown[],
  ): Promise<Process> {
    const actor = this.#host.kinds.know(codeOf(definition))
    if (where === anonymous) return this.#startAnonymous(actor, args, starter)
    if (where instanceof Via) return this.#startNamed(actor, where, args, starter)
    throw new TypeError('start(definition, where, ...): where must be via(name) or anonymous')
  }

  async #startAnonymous(actor: ActorCode, args: readonly unknown[], starter: Starter<Process>): Promise<Process> {
    this.#host.refuseWhenLeaving()
    const context = contextOfStart(starter)
    const own = this.#initArgs(actor, args, context)
    const process = await this.#begin(
      actor,
      { pid: this.#host.tracker.nextPid(), name: undefined, fence: 0, placed: false },
      (made) => made.start(own, this.#host.startTimeoutMs, context),
      starter,
    )
    process.open()
    if (!process.ran) await this.#failed(process)
    return process
  }

  async #startNamed(
    actor: ActorCode,
    { name, options }: Via,
    args: readonly unknown[],
    starter: Starter<Process>,
  ): Promise<Process> {
    this.#host.refuseWhenLeaving()
    const context = contextOfStart(starter)
    const own = this.#initArgs(actor, args, context)
    const { meta, claim: mode, timeout, visible } = options
    const begun = this.#host.time.now()
    const grant = await this.#host.tracker.claim(name, { kind: actor.kind, meta, mode, timeout })
    const pid = this.#host.tracker.nextPid()
    let process: Process
    try {
      const left =
        timeout === undefined ? this.#host.startTimeoutMs : Math.max(1, begun + timeout - this.#host.time.now())
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
    process.open()
    if (!process.ran) await this.#failed(process)
    if (visible !== undefined) await this.#host.tracker.flush({ want: visible, timeout })
    return process
  }

  /** Run what makes it, and `onStart`. From here on its pid can be called; what comes waits. */
  async #begin(
    actor: ActorCode,
    info: ProcessInfo,
    start: (made: Process) => Promise<void> | undefined,
    { parent, by, begun }: Starter<Process> = {},
  ): Promise<Process> {
    // It may have begun to leave since the name was asked for, or its parent to end.
    this.#host.refuseWhenLeaving()
    if (parent?.isEnding === true)
      throw new SkepError('ERR_ACTOR_STOPPED', `${parent.title} is ending and starts nothing new`)
    // Its code may have been replaced while it asked for its name.
    const process = this.#host.make(this.#host.kinds.know(actor), info, parent)
    parent?.children.add(process)
    begun?.(process)
    const awaited = { pid: info.pid, reentrant: false }
    by?.await(awaited)
    let why: unknown
    try {
      const starting = start(process)
      if (starting !== undefined) await starting
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

  /** Its start was over, but it has ended before it had its name. */
  async #failed(process: Process): Promise<never> {
    await process.stop('it did not start', true)
    throw notStarted(process, endedEarly())
  }

  #initArgs(actor: ActorCode, args: readonly unknown[], context: CallContext | undefined): unknown[] {
    const own = [...args]
    try {
      isolateAll(this.#host.isolation, own, 'args', this.#host.refsFor(context))
    } catch (error) {
      throw startError(error, actor)
    }
    return own
  }

  /** Start it where the ring says. */
  async spawn(given: ActorCode, name: string, args: readonly unknown[], options: ViaOptions): Promise<Pid> {
    this.#host.refuseWhenLeaving()
    const actor = this.#host.kinds.know(given)
    let bytes: Uint8Array
    try {
      // The tracker keeps it as long as the actor lives: a piece of its own, not a view on a shared one.
      bytes = new Uint8Array(pack(args, 'args', this.#host.maxPayloadBytes))
    } catch (error) {
      throw startError(error, actor)
    }
    const { meta, timeout, visible } = options
    const placement = options.placement ?? this.#host.kinds.ruleOf(actor)
    const restart = options.restart ?? actor.restart
    let claim: Claim
    try {
      claim = await this.#host.tracker.spawn(name, actor.kind, { args: bytes }, { meta, timeout, placement, restart })
    } catch (error) {
      throw maybeStarted(error)
    }
    if (visible !== undefined) await this.#host.tracker.flush({ want: visible, timeout })
    return claim.pid
  }

  /** What the ring places here, as the tracker orders: by its arguments, or with the state that was handed over. */
  async activate({ name, kind, spec, fence, state, source }: Activation): Promise<Pid> {
    this.#host.refuseWhenLeaving()
    const actor = this.#host.kinds.listedAs(kind)
    if (actor === undefined)
      throw new SkepError(
        'ERR_KIND_UNKNOWN',
        `this node does not start actors of kind '${kind}': add its definition to actors`,
      )
    const info = { pid: this.#host.tracker.nextPid(), name, fence, placed: true }
    const args = state === undefined ? this.#specArgs(spec) : []
    const process = await this.#begin(actor, info, (made) =>
      state === undefined
        ? made.start(args, this.#host.startTimeoutMs)
        : made.startFrom(this.#host.movement.made(made, state, source), this.#host.startTimeoutMs),
    )
    process.open()
    this.#host.movement.begun(process.info.pid)
    return process.info.pid
  }

  #specArgs(spec: unknown): unknown[] {
    const bytes = (spec as { readonly args?: unknown } | null | undefined)?.args
    try {
      const args = bytes instanceof Uint8Array ? unpack(bytes, this.#host.refs()) : undefined
      if (Array.isArray(args)) return args
    } catch (error) {
      if (!(error instanceof BadBytes)) throw error
    }
    throw new SkepError('ERR_BAD_ARGUMENTS', 'the arguments in the start spec could not be read')
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
function maybeStarted(error: unknown): unknown {
  if (!isSkepError(error) || error.sent !== 'no') return error
  if (error.code !== 'ERR_INIT_FAILED' && error.code !== 'ERR_IGNORED') return error
  const cause = error.code === 'ERR_IGNORED' ? {} : { cause: error.cause ?? error }
  return new SkepError(error.code, error.message, { ...cause, sent: 'maybe' })
}
