/**
 * Whose turn it is: actors with something to do, run one after the other in one microtask for all of them. After
 * `turnMessages` messages the event loop has its turn, so that actors that keep each other busy never starve a socket.
 */
import type { Timers } from '@skep/tracker'
import { runAs } from './rejections.js'

/** Messages that one actor handles before the next one is run. */
const shareMessages = 64

/** Messages that all actors handle before sockets and timers have a turn: about a millisecond of small ones. */
const turnMessages = 1000

export interface Runnable {
  /** True while it stands in the scheduler's list; the scheduler's own mark. */
  scheduled: boolean
  /** Handle up to `max` messages; returns how many. One that has more to do afterwards asks for another turn. */
  turn(max: number, now: number): number
}

export class Scheduler {
  readonly #time: Timers
  readonly #before: (now: number) => void
  readonly #after: (runnable: Runnable, ms: number, done: number) => void
  #ready: Runnable[] = []
  #armed = false
  /** `soon` was asked for since the last turn began. */
  #asked = false
  #left = turnMessages

  /** `before`: what must be known before anybody has a turn. `after`: how long a turn took, and for how many messages. */
  constructor(
    time: Timers,
    before: (now: number) => void = () => {},
    after: (runnable: Runnable, ms: number, done: number) => void = () => {},
  ) {
    this.#time = time
    this.#before = before
    this.#after = after
  }

  /** Give it a turn soon. Asking again before that changes nothing. */
  wake(runnable: Runnable): void {
    if (runnable.scheduled) return
    runnable.scheduled = true
    this.#ready.push(runnable)
    if (!this.#armed) this.#arm()
  }

  /** `before` runs soon, whether anybody has something to do or not. */
  soon(): void {
    this.#asked = true
    if (!this.#armed) this.#arm()
  }

  #arm(): void {
    this.#armed = true
    if (this.#left > 0) {
      queueMicrotask(this.#run)
      return
    }
    this.#left = turnMessages
    this.#time.defer(this.#run)
  }

  // Whoever woke it, it is nobody's code.
  readonly #run = (): void => runAs(undefined, this.#turns)

  readonly #turns = (): void => {
    this.#asked = false
    let now = this.#time.now()
    this.#before(now)
    const ready = this.#ready
    this.#ready = []
    for (const runnable of ready) {
      runnable.scheduled = false
      const done = runnable.turn(shareMessages, now)
      this.#left -= done
      const begun = now
      now = this.#time.now()
      this.#after(runnable, now - begun, done)
    }
    this.#armed = false
    if (this.#ready.length > 0 || this.#asked) this.#arm()
  }
}
