/**
 * Timers that belong to an actor: when one is due, its function waits in the mailbox like a call and runs in the
 * actor's turn. So it never runs beside a call (of an actor that is not reentrant), and all timers end with the actor.
 * What is to run is a function, which cannot leave this process, or a method by its name with its arguments: that goes
 * along where the actor is handed over, with the time that is left.
 */
import { Buffer } from 'node:buffer'
import { type Logger, SkepError } from '@skep/cluster'
import type { Timers } from '@skep/tracker'
import { pack } from './encode.js'
import { maxMs } from './idle.js'
import { Message, type Runner } from './message.js'
import { Refused } from './values.js'

/** What timers need of their actor. */
export interface TimedActor {
  readonly time: Timers
  /** For people; it changes when its node goes on as another boot. */
  readonly owner: { readonly title: string; readonly logger: Logger }
  /** Timers that may be set at one time; fewer end none that is set. */
  most(): number
  /** Bytes of the arguments of one timer. */
  readonly maxPayloadBytes: number
  /** It has this method, which answers once. */
  hasMethod(name: string): boolean
  deliver(message: Message): void
  /** Run a method, with arguments as `pack` made them. */
  runNamed(method: string, args: Uint8Array, message: Message): unknown
}

/** What a timer runs, with the actor as it is then. */
export type TimerBody = (self: unknown) => unknown

/** A method to run, and its arguments as bytes: a later change of the objects is nothing to it, as with a call. */
interface Named {
  readonly method: string
  readonly args: Uint8Array
}

/** A timer on its way to another node: method, arguments, milliseconds left, and the period of one that beats, else 0. */
export type TimerImage = readonly [method: string, args: Uint8Array, leftMs: number, periodMs: number]

/** Those that are set, by their method and arguments, or by themselves. */
type TimerSet = Map<string | ActorTimer, ActorTimer>

export class ActorTimers {
  readonly #actor: TimedActor
  readonly #set: TimerSet = new Map()

  constructor(actor: TimedActor) {
    this.#actor = actor
  }

  /**
   * `every`: again and again. `body`: a function, or the name of a method, to which `args` belong; one of the same method
   * with the same arguments takes the place of an earlier one. The function returned cancels it. Throws TypeError,
   * ERR_OVERLOADED, and ERR_NOT_SENDABLE or ERR_TOO_LARGE for the arguments.
   */
  start(ms: number, body: TimerBody | string, args: readonly unknown[], every: boolean): () => void {
    const what = every ? 'every' : 'after'
    if (typeof ms !== 'number' || !(ms >= (every ? 1 : 0) && ms <= maxMs)) {
      throw new TypeError(
        `self.${what}(ms, fn): ms must be milliseconds from ${every ? 1 : 0} to ${maxMs}, not ${String(ms)}`,
      )
    }
    const work = typeof body === 'string' ? this.#named(what, body, args) : body
    if (typeof work === 'object') this.#set.get(keyOf(work))?.cancel()
    else if (typeof work !== 'function')
      throw new TypeError(`self.${what}(ms, fn): fn must be a function or the name of a method`)
    const { title } = this.#actor.owner
    const most = this.#actor.most()
    if (this.#set.size >= most)
      throw new SkepError('ERR_OVERLOADED', `${title} has ${most} timers already: cancel some, or raise its mailbox`)
    const timer = new ActorTimer(this.#actor, this.#set, work, ms, every ? ms : undefined)
    return () => timer.cancel()
  }

  #named(what: string, method: string, args: readonly unknown[]): Named {
    if (!this.#actor.hasMethod(method))
      throw new TypeError(`self.${what}(ms, '${method}'): the actor has no such method in on, or it is a stream`)
    return { method, args: this.packed(args) }
  }

  /** Arguments as a timer keeps them. */
  packed(args: readonly unknown[]): Uint8Array {
    try {
      return Uint8Array.from(pack(args, 'args', this.#actor.maxPayloadBytes))
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      const { code, text, path } = error.refusal
      throw new SkepError(code, `a timer of ${this.#actor.owner.title}: ${text}`, { path })
    }
  }

  /** Cancel what runs this method, with these arguments alone where they are given. True when there was one. */
  cancel(method: string, args?: Uint8Array): boolean {
    const one = args === undefined ? undefined : this.#set.get(keyOf({ method, args }))
    const timers = args === undefined ? [...this.#set.values()].filter((timer) => timer.method === method) : []
    if (one !== undefined) timers.push(one)
    for (const timer of timers) timer.cancel()
    return timers.length > 0
  }

  /** All that can go to another node, the next one first. */
  images(): TimerImage[] {
    const images = [...this.#set.values()].map((timer) => timer.image())
    return images.filter((image) => image !== undefined).sort((a, b) => a[2] - b[2])
  }

  /** What came along from another node, which may be of another version. */
  restore(images: readonly unknown[]): void {
    for (const image of images) {
      const known = isImage(image) && this.#actor.hasMethod(image[0]) && this.#set.size < this.#actor.most()
      if (!known) {
        const method = String((image as readonly unknown[] | undefined)?.[0]).slice(0, 100)
        this.#actor.owner.logger.warn({ method }, `a timer of ${this.#actor.owner.title} came along that it cannot run`)
        continue
      }
      const [method, args, leftMs, periodMs] = image
      const named = { method, args: Uint8Array.from(args) }
      new ActorTimer(this.#actor, this.#set, named, leftMs, periodMs === 0 ? undefined : periodMs)
    }
  }

  /** One that runs once is still to come. */
  get planned(): boolean {
    for (const timer of this.#set.values()) if (!timer.beats) return true
    return false
  }

  /** The actor has other code: what that cannot run ends. */
  recheck(): void {
    const { logger, title } = this.#actor.owner
    for (const timer of [...this.#set.values()]) {
      const { method } = timer
      if (method === undefined || this.#actor.hasMethod(method)) continue
      logger.warn({ method }, `a timer of ${title} ends: its new code cannot run it`)
      timer.cancel()
    }
  }

  cancelAll(): void {
    for (const timer of [...this.#set.values()]) timer.cancel()
  }
}

function isImage(value: unknown): value is TimerImage {
  if (!Array.isArray(value)) return false
  const [method, args, leftMs, periodMs] = value
  const isMs = (ms: unknown): boolean => typeof ms === 'number' && ms >= 0 && ms <= maxMs
  return typeof method === 'string' && args instanceof Uint8Array && isMs(leftMs) && isMs(periodMs)
}

function keyOf({ method, args }: Named): string {
  return `${method}\n${Buffer.from(args.buffer, args.byteOffset, args.length).toString('latin1')}`
}

class ActorTimer {
  readonly actor: TimedActor
  readonly #work: TimerBody | Named
  readonly #set: TimerSet
  readonly #key: string | ActorTimer
  readonly #periodMs: number | undefined
  #dueMs: number
  #cancelTimer: () => void = () => {}

  constructor(actor: TimedActor, set: TimerSet, work: TimerBody | Named, ms: number, periodMs: number | undefined) {
    this.actor = actor
    this.#work = work
    this.#set = set
    this.#periodMs = periodMs
    this.#dueMs = actor.time.now() + ms
    this.#key = typeof work === 'function' ? this : keyOf(work)
    set.set(this.#key, this)
    this.#arm()
  }

  get what(): string {
    return typeof this.#work === 'function' ? `the timer ${this.#work.name}` : this.#work.method
  }

  /** The method that it runs, where that is what it was given. */
  get method(): string | undefined {
    return typeof this.#work === 'function' ? undefined : this.#work.method
  }

  get beats(): boolean {
    return this.#periodMs !== undefined
  }

  get isSet(): boolean {
    return this.#set.get(this.#key) === this
  }

  image(): TimerImage | undefined {
    const work = this.#work
    if (typeof work === 'function') return undefined
    // One whose turn has come and that waits for it has nothing left.
    const leftMs = Math.max(0, this.#dueMs - this.actor.time.now())
    return [work.method, work.args, leftMs, this.#periodMs ?? 0]
  }

  begin(runner: Runner, message: Message): unknown {
    const work = this.#work
    if (typeof work === 'function') return work(runner.selfFor(message))
    return this.actor.runNamed(work.method, work.args, message)
  }

  cancel(): void {
    if (this.isSet) this.#set.delete(this.#key)
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

  get method(): string {
    return this.#timer.what
  }

  override get isBeat(): boolean {
    return this.#timer.beats
  }

  begin(runner: Runner): unknown {
    // It may have been cancelled while it waited in the mailbox.
    return this.#timer.isSet ? this.#timer.begin(runner, this) : undefined
  }

  answer(): void {
    this.#timer.ran()
  }

  fail(err: unknown): void {
    const { logger, title } = this.#timer.actor.owner
    logger.error({ err }, `a timer of ${title} threw`)
    this.#timer.ran()
  }

  refuse(): void {}
  /** Its timer goes along as such, or stays: where the actor goes on, its `onStart` sets what could not go. */
  passOn(): void {}
}
