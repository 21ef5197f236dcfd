/**
 * What was asked for through a ref and is under way: calls and casts (streams are `reader.ts`). Each is settled exactly
 * once: with the answer, the actor's own error, or an error that says whether the work may have been done. Where it is
 * sent, and again after its name moved, is up to `calls.ts`.
 */
import { setMaxListeners } from 'node:events'
import { type ErrorCode, type Sent, SkepError } from '@skep/cluster'
import type { Pid } from '@skep/tracker'
import type { Deadlines, Timed } from './deadlines.js'
import { actorError } from './fault.js'
import { type ActorFrame, callFrame, castFrame } from './frames.js'
import { isolateThrown } from './isolation.js'
import { beginWork, control, isBeside, Message, type Runner, type Work } from './message.js'
import type { Ordered } from './order.js'
import type { Process } from './process.js'
import type { Address } from './ref.js'
import { rejectAs, type Whose, whoseNow } from './rejections.js'
import { type RefSource, Refused } from './values.js'

/** The outcomes after which the name may by now have another holder. */
const movable: ReadonlySet<ErrorCode> = new Set([
  'ERR_NO_PROCESS',
  'ERR_NOT_REGISTERED',
  'ERR_ACTOR_STOPPED',
  'ERR_NODE_DOWN',
])

/** What something under way needs of `Calls`. */
export interface Router {
  readonly deadlines: Deadlines
  /** Send it for the first time. */
  launch(out: Outgoing): void
  /** After it certainly was not done: the name may have moved meanwhile. False when there is nowhere else to go. */
  redirect(out: Outgoing): boolean
  /** It stands in the order of its name no more. */
  unorder(out: Outgoing): void
  /** It waits for another node no more. */
  forget(out: Outgoing): void
  /** Its actor went to that process, which it follows in its place of the order. */
  follow(out: Outgoing, to: Pid): void
  /** Tell the other node that nobody waits, or that its reader has room for more items. */
  cancel(out: Outgoing): void
  grant(out: Outgoing, items: number): void
  /** The value of an answer; where its bytes are bad, the call fails and the value is undefined. */
  read(payload: Uint8Array, out: Outgoing): unknown
  /** A value of an actor of this node, as its caller gets it. Throws Refused. */
  isolate(value: unknown, root: string, address: Address): unknown
  refs(address: Address): RefSource
  deadlineFor(address: Address, otherwiseMs: number): number
  /** Milliseconds left, as frames carry it: 0 for no end. */
  left(out: Outgoing): number
  dropped(reason: string): void
}

/** Something that was asked for through a ref and is not settled yet. */
export abstract class Outgoing extends Message implements Timed, Ordered {
  readonly address: Address
  readonly method: string
  /** The caller's arguments; replaced by isolated ones when they were handed to an actor next door. */
  args: unknown[]
  readonly calls: Router
  later: Timed | undefined
  earlier: Timed | undefined
  /** The arguments as bytes, once they were needed. */
  payload: Uint8Array | undefined
  /** Whom it went to last. */
  pid: Pid | undefined
  id = 0
  /** Milliseconds that it has, while its deadline does not say that yet: see deadlines.ts. */
  forMs: number = Number.POSITIVE_INFINITY
  redirects = 0
  /** Times that it was seen to wait: see patience.ts. */
  looked = 0
  /** Times that it looked whether its name is free. */
  looks = 0
  born = 0
  overtaken = false
  /** It stands in the order of its name. */
  ordered = false
  /** It may have been begun, or left this node. */
  away = false
  settled = false
  listed = false
  #onAbort: (() => void) | undefined

  constructor(calls: Router, address: Address, method: string, args: unknown[]) {
    super()
    this.calls = calls
    this.address = address
    this.method = method
    this.args = args
  }

  abstract readonly streamed: boolean

  get reentrant(): boolean {
    return this.address.actor.reentrant
  }

  /** Under which it is done once. */
  get key(): string | undefined {
    return this.address.options.key
  }

  /** Hand it to an actor of this node. */
  abstract deliverTo(process: Process, work: Work): void
  abstract frameFor(pid: Pid, payload: Uint8Array): unknown[]
  /** It is over without an answer. */
  abstract reject(error: unknown): void
  abstract frame(frame: ActorFrame): void
  /** Tell the actor that nobody waits any more. */
  abstract recall(reason: unknown): void

  get what(): string {
    const { target, actor } = this.address
    const whom = target.by === 'pid' ? String(target.pid) : `'${target.name}'`
    return `${actor.kind}.${this.method === control ? `$.${String(this.args[0])}` : this.method} of ${whom}`
  }

  /** Aborts with the caller's signal. False when that is aborted already. */
  watch(signal: AbortSignal): boolean {
    if (signal.aborted) return false
    // One signal for many calls is meant so: no leak to warn of.
    setMaxListeners(0, signal)
    this.#onAbort = () => this.abort(signal.reason)
    signal.addEventListener('abort', this.#onAbort, { once: true })
    return true
  }

  /** What its caller aborts from here on is nothing to it. */
  unwatch(): void {
    if (this.#onAbort !== undefined) this.address.options.signal?.removeEventListener('abort', this.#onAbort)
    this.#onAbort = undefined
  }

  abort(reason: unknown): void {
    if (this.settled) return
    const error = new SkepError('ERR_ABORTED', `${this.what} was aborted by its caller`, {
      cause: reason,
      sent: this.sentNow,
    })
    this.recall(reason)
    this.reject(error)
  }

  expire(): void {
    if (this.settled) return
    const error = new SkepError('ERR_TIMEOUT', `${this.what} had no answer in time: ${this.#outlook}`, {
      sent: this.sentNow,
    })
    this.recall(error)
    this.reject(error)
  }

  /** It is answered when its actor ends, and nobody is late before that. */
  get watches(): boolean {
    return this.method === control && this.args[0] === 'monitor'
  }

  get sentNow(): Sent {
    return this.away ? 'maybe' : 'no'
  }

  get #outlook(): string {
    if (!this.away) return 'it was not begun; more time comes with $.with({ timeout })'
    return 'it may be done all the same; with $.with({ key }) it can be repeated and is done once, more time comes with timeout'
  }

  refuse(code: ErrorCode, text: string, sent: Sent): void {
    if (this.settled) return
    if (sent === 'no' && movable.has(code) && this.calls.redirect(this)) return
    // Whoever has a pid has no use for what became of a name.
    const own = code === 'ERR_NOT_REGISTERED' && this.address.target.by === 'pid' ? 'ERR_NO_PROCESS' : code
    this.reject(
      new SkepError(own, `${this.what}: ${text}`, { sent, ...(this.pid === undefined ? {} : { pid: this.pid }) }),
    )
  }

  list(): void {
    this.listed = true
    if (this.forMs === Number.POSITIVE_INFINITY) this.calls.deadlines.add(this)
    else this.calls.deadlines.addFor(this)
  }

  unlist(): void {
    if (!this.listed) return
    this.listed = false
    this.calls.deadlines.remove(this)
  }

  override passOn(to: Pid): void {
    if (this.settled || this.withdrawn) return
    this.passedOn = true
    this.calls.follow(this, to)
  }

  /** A link has taken it. */
  hasLeft(): void {
    this.away = true
  }

  /** Nothing more will come: leave every table. */
  release(): void {
    this.settled = true
    this.unlist()
    this.address.context?.answered(this)
    if (this.id !== 0) this.calls.forget(this)
    if (this.ordered) this.calls.unorder(this)
    this.unwatch()
  }
}

export class Call extends Outgoing {
  readonly streamed = false
  readonly #resolve: (value: unknown) => void
  readonly #reject: (error: unknown) => void
  #work: Work | undefined
  #process: Process | undefined
  readonly #whose: Whose | undefined = whoseNow()

  constructor(
    calls: Router,
    address: Address,
    method: string,
    args: unknown[],
    resolve: (value: unknown) => void,
    reject: (error: unknown) => void,
  ) {
    super(calls, address, method, args)
    this.#resolve = resolve
    this.#reject = reject
  }

  deliverTo(process: Process, work: Work): void {
    this.#work = work
    this.#process = process
    if (work === 'stop') process.deliverStop(this, String(this.args[1]))
    else if (isBeside(work)) process.beside(work, this, this.args)
    else if (work === 'merge') process.mailbox.deliverVital(this)
    else process.mailbox.deliver(this)
  }

  override refuse(code: ErrorCode, text: string, sent: Sent): void {
    // Somebody else's stop came first: what was asked for happens.
    if (this.#work === 'stop' && code === 'ERR_ACTOR_STOPPED') this.answer(undefined)
    else super.refuse(code, text, sent)
  }

  begin(runner: Runner, as: Message = this): unknown {
    this.began()
    return beginWork(this.#work as Work, runner, as, this.args)
  }

  override began(): void {
    this.away = true
  }

  answer(value: unknown): void {
    if (this.#work !== 'stop') return this.#answered(value)
    this.#process?.stopThen(String(this.args[1]), false, () => this.#answered(undefined))
  }

  #answered(value: unknown): void {
    if (this.settled) return
    let result: unknown
    try {
      result = this.calls.isolate(value, 'result', this.address)
    } catch (error) {
      if (!(error instanceof Refused)) return this.fail(error)
      return this.reject(refusedError(error, this.what, 'yes'))
    }
    this.release()
    this.#resolve(result)
  }

  fail(error: unknown): void {
    if (this.settled) return
    this.reject(actorError(isolateThrown(error, this.calls.refs(this.address)), this.what, this.pid?.node))
  }

  reject(error: unknown): void {
    this.release()
    rejectAs(this.#whose, this.#reject, error)
  }

  frameFor(pid: Pid, payload: Uint8Array): unknown[] {
    const left = this.calls.left(this)
    return callFrame(this.id, pid.id, this.method, left, payload, nameOf(this.address), this)
  }

  frame(frame: ActorFrame): void {
    if (frame.type === 'refused') return this.refuse(frame.code, frame.text, frame.sent)
    if (frame.type !== 'reply' && frame.type !== 'thrown') return
    const value = this.calls.read(frame.payload, this)
    if (this.settled) return
    if (frame.type === 'thrown') return this.reject(actorError(value, this.what, this.pid?.node))
    this.release()
    this.#resolve(value)
  }

  recall(reason: unknown): void {
    if (this.id !== 0) this.calls.cancel(this)
    else this.withdraw(reason)
    this.#process?.unwatch(this)
  }
}

/** Nobody waits for it; it is an Outgoing because it may wait for its actor to be spawned. */
export class Cast extends Outgoing {
  readonly streamed = false
  /** Why its arguments could not be sent. */
  mistake: unknown
  #work: Work | undefined
  #where: Process | undefined

  deliverTo(process: Process, work: Work): void {
    this.#work = work
    this.#where = process
    this.unwatch()
    process.mailbox.deliver(this)
  }

  // Nothing comes back by which it could leave the signal, and that may live as long as the node.
  override hasLeft(): void {
    super.hasLeft()
    this.unwatch()
  }

  begin(runner: Runner): unknown {
    return beginWork(this.#work as Work, runner, this, this.args)
  }

  answer(): void {
    this.settled = true
  }

  fail(err: unknown): void {
    this.settled = true
    this.#where?.host.logger.warn({ err, actor: this.#where.title, method: this.method }, 'a cast threw')
  }

  reject(error: unknown): void {
    this.settled = true
    const code = error instanceof SkepError ? error.code : undefined
    if (code === undefined || code === 'ERR_NOT_SENDABLE' || code === 'ERR_TOO_LARGE') this.mistake = error
    else this.calls.dropped(`cast: ${code}`)
    this.unwatch()
  }

  frameFor(pid: Pid, payload: Uint8Array): unknown[] {
    return castFrame(pid.id, this.method, payload, nameOf(this.address), this.passedOn)
  }

  frame(): void {}

  recall(): void {}
}

export function nameOf({ target }: Address): string | undefined {
  return target.by === 'pid' ? undefined : target.name
}

export function refusedError({ refusal }: Refused, what: string, sent: Sent): SkepError {
  return new SkepError(refusal.code, `${what}: ${refusal.text}`, { path: refusal.path, sent })
}
