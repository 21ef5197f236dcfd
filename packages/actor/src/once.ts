/**
 * Calls with a key: within a window the first one is done and its answer is given to all that repeat it, also while it
 * still runs, also where the method threw. The window is bounded in entries, time and bytes, and finished answers go
 * along with the state: at a handoff, and to the copy that merges this one. A call that was refused was not done, so its
 * key is free again.
 */
import { type ErrorCode, errorCodes, type Sent } from '@skep/cluster'
import type { Pid, Timers } from '@skep/tracker'
import { BadBytes, unpack } from './decode.js'
import { pack } from './encode.js'
import { packThrown } from './isolation.js'
import { Message, type Runner } from './message.js'
import { type RefSource, Refused } from './values.js'

export interface OnceLimits {
  /** Answers that one actor remembers. */
  readonly entries: number
  /** Milliseconds for which it does, from when the call was done. */
  readonly ms: number
  /** Bytes of all of them. */
  readonly bytes: number
}

/** What a window needs of its actor. */
export interface OnceActor {
  readonly time: Timers
  readonly maxPayloadBytes: number
  readonly refs: RefSource
  deliver(message: Message): void
}

type Outcome =
  | { readonly type: 'reply' | 'thrown'; readonly payload: Uint8Array }
  | { readonly type: 'refused'; readonly code: ErrorCode; readonly text: string }

interface Done {
  readonly outcome: Outcome
  readonly untilMs: number
  readonly bytes: number
}

/** An answer on its way to another node: its key, milliseconds left, and what it was. */
export type OnceImage = readonly [
  id: string,
  leftMs: number,
  type: Outcome['type'],
  what: Uint8Array | ErrorCode,
  text: string,
]

/** Bytes that an entry takes besides its answer and its key. */
const entryBytes = 100

export class OnceWindow {
  readonly actor: OnceActor
  readonly #running = new Map<string, Joint>()
  /** In the order in which they were done. */
  readonly #done = new Map<string, Done>()
  #bytes = 0
  #limits: OnceLimits
  /** Calls that may wait for one answer. */
  most: number

  constructor(actor: OnceActor, limits: OnceLimits, most: number) {
    this.actor = actor
    this.#limits = limits
    this.most = most
  }

  /** Its actor has other code: other bounds hold, also for what is remembered already. */
  rebound(limits: OnceLimits, most: number): void {
    this.#forgetOld()
    const more = limits.ms - this.#limits.ms
    this.#limits = limits
    this.most = most
    const all = [...this.#done]
    this.#done.clear()
    this.#bytes = 0
    for (const [id, { outcome, untilMs }] of all) this.#keep(id, outcome, untilMs + more)
  }

  /** A call with a key has come: it is the first, joins one that is under way, or is answered. */
  admit(message: Message, id: string): void {
    this.#forgetOld()
    const done = this.#done.get(id)
    if (done !== undefined) return this.#repeat(message, done.outcome)
    const running = this.#running.get(id)
    if (running?.open === true) {
      // Of an actor that is not reentrant this was found before.
      if (running.context?.isIn(message.chain) === true)
        return message.refuse('ERR_CALL_CYCLE', 'it would wait for itself: the call with its key waits for it', 'no')
      return running.join(message)
    }
    const joint = new Joint(this, id, message)
    this.#running.set(id, joint)
    this.actor.deliver(joint)
  }

  #repeat(message: Message, outcome: Outcome): void {
    message.began()
    if (outcome.type === 'refused') return message.refuse(outcome.code, outcome.text, 'yes')
    let value: unknown
    try {
      value = unpack(outcome.payload, this.actor.refs)
    } catch (error) {
      if (!(error instanceof BadBytes)) throw error
      // It came along from a node that knows more kinds of actors, say.
      const text = `a call with this key was done; its answer cannot be read here: ${error.message}`
      return message.refuse('ERR_BAD_REPLY', text, 'yes')
    }
    if (outcome.type === 'reply') message.answer(value)
    else message.fail(value)
  }

  /** It is about to begin. Where its answer has come along meanwhile, its callers get that. */
  answersNow(joint: Joint, calls: Iterable<Message>): boolean {
    const done = this.#done.get(joint.id)
    if (done === undefined) return false
    this.forget(joint)
    for (const call of calls) this.#repeat(call, done.outcome)
    return true
  }

  /** It was not done, or nobody knows: who asks again finds nothing here. */
  forget(joint: Joint): void {
    if (this.#running.get(joint.id) === joint) this.#running.delete(joint.id)
  }

  answered(joint: Joint, value: unknown): void {
    let outcome: Outcome
    try {
      outcome = { type: 'reply', payload: this.#own(pack(value, 'result', this.actor.maxPayloadBytes)) }
    } catch (error) {
      if (!(error instanceof Refused)) return this.threw(joint, error)
      const { code, text } = error.refusal
      outcome = { type: 'refused', code, text }
    }
    this.#remember(joint, outcome)
  }

  threw(joint: Joint, error: unknown): void {
    const { maxPayloadBytes, refs } = this.actor
    this.#remember(joint, { type: 'thrown', payload: this.#own(packThrown(error, maxPayloadBytes, refs)) })
  }

  /** The packer's buffer is not ours to keep. */
  #own(bytes: Uint8Array): Uint8Array {
    return Uint8Array.from(bytes)
  }

  #remember(joint: Joint, outcome: Outcome): void {
    if (this.#running.get(joint.id) !== joint) return
    this.#running.delete(joint.id)
    this.#keep(joint.id, outcome, this.actor.time.now() + this.#limits.ms)
  }

  #keep(id: string, given: Outcome, untilMs: number): void {
    const limits = this.#limits
    const outcome = bytesOf(id, given) > limits.bytes ? tooLarge : given
    const bytes = bytesOf(id, outcome)
    this.#drop(id)
    this.#done.set(id, { outcome, untilMs, bytes })
    this.#bytes += bytes
    for (const oldest of this.#done.keys()) {
      if (this.#done.size <= limits.entries && this.#bytes <= limits.bytes) break
      this.#drop(oldest)
    }
  }

  #drop(id: string): void {
    this.#bytes -= this.#done.get(id)?.bytes ?? 0
    this.#done.delete(id)
  }

  #forgetOld(): void {
    const now = this.actor.time.now()
    for (const [id, { untilMs }] of this.#done) {
      if (untilMs > now) break
      this.#drop(id)
    }
  }

  /** All answers that are remembered. */
  images(): OnceImage[] {
    this.#forgetOld()
    const now = this.actor.time.now()
    return [...this.#done].map(([id, { outcome, untilMs }]) =>
      outcome.type === 'refused'
        ? [id, untilMs - now, outcome.type, outcome.code, outcome.text]
        : [id, untilMs - now, outcome.type, outcome.payload, ''],
    )
  }

  /**
   * What came along from another node, which may be of another version. Own answers win: they were given here. Sorted in
   * by age, for the oldest are the first to go.
   */
  restore(images: readonly unknown[]): void {
    this.#forgetOld()
    const now = this.actor.time.now()
    const all: [id: string, outcome: Outcome, untilMs: number][] = []
    for (const image of images) {
      if (!Array.isArray(image)) continue
      const [id, leftMs, type, what, text] = image as unknown[]
      const outcome = outcomeFrom(type, what, text)
      if (typeof id !== 'string' || typeof leftMs !== 'number' || !(leftMs > 0) || outcome === undefined) continue
      if (!this.#done.has(id)) all.push([id, outcome, now + Math.min(leftMs, this.#limits.ms)])
    }
    for (const [id, { outcome, untilMs }] of this.#done) all.push([id, outcome, untilMs])
    this.#done.clear()
    this.#bytes = 0
    for (const [id, outcome, untilMs] of all.sort((a, b) => a[2] - b[2])) this.#keep(id, outcome, untilMs)
  }
}

const tooLarge: Outcome = {
  type: 'refused',
  code: 'ERR_TOO_LARGE',
  text: 'a call with this key was done; its answer was too large to be kept for a repetition',
}

function bytesOf(id: string, outcome: Outcome): number {
  return entryBytes + id.length + (outcome.type === 'refused' ? outcome.text.length : outcome.payload.length)
}

function outcomeFrom(type: unknown, what: unknown, text: unknown): Outcome | undefined {
  if ((type === 'reply' || type === 'thrown') && what instanceof Uint8Array)
    return { type, payload: Uint8Array.from(what) }
  if (type !== 'refused' || typeof what !== 'string' || typeof text !== 'string') return undefined
  return Object.hasOwn(errorCodes, what) ? { type, code: what as ErrorCode, text } : undefined
}

/** One run for all calls that have this key: it waits as long as one of them does. */
class Joint extends Message {
  readonly id: string
  readonly #window: OnceWindow
  readonly #first: Message
  /** Those that wait. */
  readonly #calls = new Set<Message>()
  #begun = false
  /** Its callers have had an answer that came along: it is not done. */
  #known = false

  constructor(window: OnceWindow, id: string, first: Message) {
    super()
    this.#window = window
    this.id = id
    this.#first = first
    this.deadline = 0
    this.passedOn = first.passedOn
    this.chain = first.chain
    this.join(first)
  }

  get method(): string | undefined {
    return this.#first.method
  }

  /** One that nobody waited for any more may not be begun, so it is none to wait for. */
  get open(): boolean {
    return this.#begun || !this.withdrawn
  }

  join(call: Message): void {
    const { most } = this.#window
    if (this.#calls.size >= most)
      return call.refuse('ERR_OVERLOADED', `${most} calls with this key wait for the first one`, 'no')
    this.#calls.add(call)
    call.joint = this
    this.endBy(Math.max(this.deadline, call.deadline))
    if (this.#begun) call.began()
  }

  /** Its caller gave up: it does not count any more among those that may wait. */
  left(call: Message, reason: unknown): void {
    this.#calls.delete(call)
    if (this.#calls.size === 0) this.withdraw(reason)
  }

  begin(runner: Runner): unknown {
    this.#begun = true
    this.#known = this.#window.answersNow(this, this.#calls)
    if (this.#known) return undefined
    for (const call of this.#calls) call.began()
    return this.#first.begin(runner, this)
  }

  answer(value: unknown): void {
    if (this.#known) return
    this.#window.answered(this, value)
    for (const call of this.#calls) call.answer(value)
  }

  fail(error: unknown): void {
    this.#window.threw(this, error)
    for (const call of this.#calls) call.fail(error)
  }

  refuse(code: ErrorCode, text: string, sent: Sent): void {
    this.#window.forget(this)
    for (const call of this.#calls) call.refuse(code, text, sent)
  }

  passOn(to: Pid): void {
    this.#window.forget(this)
    for (const call of this.#calls) call.passOn(to)
  }
}
