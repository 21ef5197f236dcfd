/**
 * Passivation: an actor to which nothing came for `idleAfter` ends, with the reason `idle`, and is started again when it
 * is next asked for through `ensure`. Measured lazily: each message only notes the time, and one timer per actor looks
 * whether that is long enough ago.
 */
import type { Timers } from '@skep/tracker'

/** Milliseconds at most, of a delay or a period: what a timer of Node can wait. */
export const maxMs: number = 2 ** 31 - 1

/** What it needs of its actor. */
export interface Idler {
  readonly time: Timers
  /** Something of it runs, waits or is open: it is not idle now. */
  busy(): boolean
  /** Nothing came for long enough. */
  passivate(): void
}

export class Idleness {
  readonly #actor: Idler
  readonly #afterMs: number
  #last: number
  #cancel: () => void = () => {}
  /** Its actor ends, or has ended, since nothing came. */
  over = false

  constructor(actor: Idler, afterMs: number) {
    this.#actor = actor
    this.#afterMs = afterMs
    this.#last = actor.time.now()
    this.#arm()
  }

  /** Something came, or has just ended. */
  touch(now: number = this.#actor.time.now()): void {
    this.#last = now
  }

  stop(): void {
    this.#cancel()
  }

  #arm(): void {
    const { time } = this.#actor
    this.#cancel = time.setTimer(() => this.#look(), Math.max(1, this.#last + this.#afterMs - time.now()))
  }

  #look(): void {
    const { time } = this.#actor
    if (this.#actor.busy()) this.#last = time.now()
    if (time.now() - this.#last < this.#afterMs) this.#arm()
    else {
      this.over = true
      this.#actor.passivate()
    }
  }
}
