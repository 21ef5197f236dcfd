/**
 * Requests to stop an actor that wait in its mailbox. What was sent before goes first, but a call that runs for the whole
 * grace time while they wait is not waited for any longer: it may never come to an end.
 */
import type { Timers } from '@skep/tracker'
import type { Message } from './message.js'

/** What they need of their actor. */
export interface Stoppable {
  readonly time: Timers
  /** Milliseconds. */
  readonly stopGraceMs: number
  readonly phase: string
  readonly mailbox: { readonly waiting: number; readonly current: Message | undefined; readonly paused: boolean }
  /** Stop it without waiting for what runs. */
  stopNow(reason: string): void
}

export class StopRequests {
  readonly #actor: Stoppable
  #waiting: Message[] = []
  #cancel: (() => void) | undefined

  constructor(actor: Stoppable) {
    this.#actor = actor
  }

  /** This one is put into the mailbox next. */
  add(message: Message, reason: string): void {
    const { waiting, current } = this.#actor.mailbox
    const isNext = waiting === 0 && current === undefined
    // Those before it wait no longer; and there is nothing that could keep it from its turn.
    if (isNext) this.clear()
    this.#waiting.push(message)
    if (this.#cancel === undefined && !isNext) this.#insist(reason)
  }

  /** One waits that somebody still wants. */
  get any(): boolean {
    const now = this.#actor.time.now()
    return this.#waiting.some((message) => !message.stale(now))
  }

  /** They wait no longer. */
  clear(): void {
    this.#waiting = []
  }

  /** The same, and none will come any more. */
  end(): void {
    this.#cancel?.()
    this.clear()
  }

  #insist(reason: string): void {
    const actor = this.#actor
    const { current: before, paused } = actor.mailbox
    // Where nothing runs yet, what stands before the request is about to begin.
    const ms = before === undefined && !paused ? 1 : actor.stopGraceMs
    this.#cancel = actor.time.setTimer(() => {
      this.#cancel = undefined
      const now = actor.time.now()
      this.#waiting = this.#waiting.filter((message) => !message.stale(now))
      if (this.#waiting.length === 0 || actor.phase !== 'running') return
      if (actor.mailbox.paused || before === undefined || actor.mailbox.current !== before) this.#insist(reason)
      else actor.stopNow(reason)
    }, ms)
  }
}
