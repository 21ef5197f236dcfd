/**
 * Timers that belong to an actor: when one is due, its function waits in the mailbox like a call and runs in the
 * actor's turn. So it never runs beside a call (of an actor that is not reentrant), and all timers end with the actor.
 */
import { type Logger, SkepError } from '@skep/cluster'
import type { Timers } from '@skep/tracker'
import { maxMs } from './idle.js'
import { Message, type Runner } from './message.js'

/** What timers need of their actor. */
export interface TimedActor {
  readonly time: Timers
  readonly title: string
  readonly logger: Logger
  /** Timers that may be set at one time. */
  readonly most: number
  deliver(message: Message): void
}

/** What a timer runs, with the actor as it is then. */
export type TimerBody = (self: unknown) => unknown

export class ActorTimers {
  readonly #actor: TimedActor
  readonly #set = new Set<ActorTimer>()

  constructor(actor: TimedActor) {
    this.#actor = actor
  }

  /** `every`: again and again. The function returned cancels it. Throws TypeError, ERR_OVERLOADED. */
  start(ms: number, body: TimerBody, every: boolean): () => void {
    const what = every ? 'every' : 'after'
    if (typeof ms !== 'number' || !(ms >= (every ? 1 : 0) && ms <= maxMs)) {
      throw new TypeError(
        `self.${what}(ms, fn): ms must be milliseconds from ${every ? 1 : 0} to ${maxMs}, not ${String(ms)}`,
      )
    }
    if (typeof body !== 'function') throw new TypeError(`self.${what}(ms, fn): fn must be a function`)
    const { title, most } = this.#actor
    if (this.#set.size >= most) throw new SkepError('ERR_OVERLOADED', `${title} has ${most} timers already`)
    const timer = new ActorTimer(this.#actor, this.#set, ms, body, every)
    return () => timer.cancel()
  }

  /** One that runs once is still to come. */
  get planned(): boolean {
    for (const timer of this.#set) if (!timer.beats) return true
    return false
  }

  cancelAll(): void {
    for (const timer of this.#set) timer.cancel()
  }
}

class ActorTimer {
  readonly actor: TimedActor
  readonly body: TimerBody
  readonly #set: Set<ActorTimer>
  readonly #periodMs: number | undefined
  #dueMs: number
  #cancelTimer: () => void = () => {}

  constructor(actor: TimedActor, set: Set<ActorTimer>, ms: number, body: TimerBody, every: boolean) {
    this.actor = actor
    this.body = body
    this.#set = set
    this.#periodMs = every ? ms : undefined
    this.#dueMs = actor.time.now() + ms
    set.add(this)
    this.#arm()
  }

  get beats(): boolean {
    return this.#periodMs !== undefined
  }

  get isSet(): boolean {
    return this.#set.has(this)
  }

  cancel(): void {
    this.#set.delete(this)
    this.#cancelTimer()
  }

  /** Its turn is over. The next beat is armed only now, so that a slow actor never has two of them in its mailbox. */
  ran(): void {
    if (!this.isSet) return
    if (this.#periodMs === undefined) return this.cancel()
    const late = this.actor.time.now() - this.#dueMs
    // Beats that were missed are left out; the others keep their rhythm.
    this.#dueMs += this.#periodMs * (1 + Math.max(0, Math.floor(late / this.#periodMs)))
    this.#arm()
  }

  #arm(): void {
    const { time } = this.actor
    this.#cancelTimer = time.setTimer(() => this.actor.deliver(new Tick(this)), this.#dueMs - time.now())
  }
}

/** One time that a timer was due. */
class Tick extends Message {
  readonly #timer: ActorTimer

  constructor(timer: ActorTimer) {
    super()
    this.#timer = timer
  }

  override get isBeat(): boolean {
    return this.#timer.beats
  }

  begin(runner: Runner): unknown {
    // It may have been cancelled while it waited in the mailbox.
    return this.#timer.isSet ? this.#timer.body(runner.selfFor(this)) : undefined
  }

  answer(): void {
    this.#timer.ran()
  }

  fail(err: unknown): void {
    const { logger, title } = this.#timer.actor
    logger.error({ err }, `a timer of ${title} threw`)
    this.#timer.ran()
  }

  refuse(): void {}
  /** Timers are the process's own: where the actor goes on, its `onStart` sets them anew. */
  passOn(): void {}
}
