/**
 * Who waits until when: a list of all of them and one timer for the earliest, instead of a timer each. Adding and
 * removing is two pointers; the list is walked only when something is due, and not more often than `sweepMs`.
 */
import type { Timers } from '@skep/tracker'

/** Sweeps are at least this far apart, so that many deadlines close to each other cost one walk. */
const sweepMs = 10

export interface Timed {
  /** On the clock of `Timers`; Infinity never comes. */
  readonly deadline: number
  /** Milliseconds that it has besides, from when the clock is read next; Infinity once its deadline says so. */
  forMs: number
  later: Timed | undefined
  earlier: Timed | undefined
  /** This is its deadline. */
  endBy(deadline: number): void
  /** The deadline has passed: it takes itself off the list. */
  expire(): void
}

/** Who looks at all that waits now and then. */
export interface Looking {
  /** Milliseconds between two looks; Infinity: none. */
  readonly everyMs: number
  /** True while it is to be looked at again. */
  look(timed: Timed): boolean
}

export class Deadlines {
  readonly #time: Timers
  readonly #looking: Looking | undefined
  readonly #soon: () => void
  #nextLookMs = Number.POSITIVE_INFINITY
  #first: Timed | undefined
  #armedFor = Number.POSITIVE_INFINITY
  #cancel: (() => void) | undefined
  /** Those whose time begins when the clock is read next. */
  #fresh: Timed[] = []
  /** How many wait. */
  size = 0

  /** `soon` has `begin` called, at the end of this turn at the latest; by default a microtask of its own does. */
  constructor(time: Timers, looking?: Looking, soon?: () => void) {
    this.#time = time
    this.#soon = soon ?? ((): void => queueMicrotask(() => this.begin()))
    this.#looking = looking?.everyMs === Number.POSITIVE_INFINITY ? undefined : looking
  }

  /** Watch it. What has no deadline may be on the list too: whoever walks it then finds all. */
  add(timed: Timed): void {
    timed.later = undefined
    timed.earlier = this.#first
    if (this.#first !== undefined) this.#first.later = timed
    this.#first = timed
    this.size += 1
    if (this.#looking !== undefined && this.#nextLookMs === Number.POSITIVE_INFINITY)
      this.#nextLookMs = this.#time.now() + this.#looking.everyMs
    const dueMs = Math.min(timed.deadline, this.#nextLookMs)
    if (dueMs < this.#armedFor) this.#arm(dueMs)
  }

  /**
   * The same for one that has `forMs` from now: until `begin`, which sees what that comes to for all of one turn. To read
   * the clock for each of many calls would cost a tenth of all that is done for them.
   */
  addFor(timed: Timed): void {
    this.add(timed)
    if (this.#fresh.length === 0) this.#soon()
    this.#fresh.push(timed)
  }

  /** The time begins of those that have some; before anybody goes by their deadlines. */
  begin(now: number = this.#time.now()): void {
    if (this.#fresh.length === 0) return
    let earliest = Number.POSITIVE_INFINITY
    for (const timed of this.#fresh) {
      timed.endBy(Math.min(timed.deadline, now + timed.forMs))
      timed.forMs = Number.POSITIVE_INFINITY
      if (timed.deadline < earliest) earliest = timed.deadline
    }
    this.#fresh = []
    if (earliest < this.#armedFor) this.#arm(earliest)
  }

  /** Watch it no more; it must be on the list. */
  remove(timed: Timed): void {
    if (timed.later === undefined) this.#first = timed.earlier
    else timed.later.earlier = timed.earlier
    if (timed.earlier !== undefined) timed.earlier.later = timed.later
    timed.later = undefined
    timed.earlier = undefined
    this.size -= 1
  }

  /** All that wait, latest first. */
  *[Symbol.iterator](): Generator<Timed> {
    for (let timed = this.#first; timed !== undefined; ) {
      const { earlier } = timed
      yield timed
      timed = earlier
    }
  }

  close(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#armedFor = Number.NEGATIVE_INFINITY
  }

  #arm(dueMs: number): void {
    this.#cancel?.()
    this.#armedFor = dueMs
    this.#cancel = this.#time.setTimer(() => this.#sweep(), Math.max(0, dueMs - this.#time.now()))
  }

  #look(now: number): void {
    if (this.size === 0) this.#nextLookMs = Number.POSITIVE_INFINITY
    if (this.#looking === undefined || this.#nextLookMs > now) return
    let again = false
    for (const timed of this) if (this.#looking.look(timed)) again = true
    this.#nextLookMs = again ? now + this.#looking.everyMs : Number.POSITIVE_INFINITY
  }

  #sweep(): void {
    const now = this.#time.now()
    this.#cancel = undefined
    // While the walk runs nothing arms the timer: what is added meanwhile is seen by the end of it or armed then.
    this.#armedFor = Number.NEGATIVE_INFINITY
    const due: Timed[] = []
    for (const timed of this) if (timed.deadline <= now) due.push(timed)
    // Each takes itself off: the end of one may be the end of another that is due, and none may be taken off twice.
    for (const timed of due) timed.expire()
    this.#look(now)
    let earliest = this.#nextLookMs
    for (const timed of this) if (timed.deadline < earliest) earliest = timed.deadline
    this.#armedFor = Number.POSITIVE_INFINITY
    if (earliest < Number.POSITIVE_INFINITY) this.#arm(Math.max(earliest, now + sweepMs))
  }
}
