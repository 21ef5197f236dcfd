/**
 * The virtual event loop of a whole simulation: one schedule of everything that will happen on all machines, and one
 * clock that jumps to the next of it. Each event runs in a real turn of its own (`setImmediate`), so that whatever code
 * does in promises has come to rest before time goes on; nothing else is real.
 */
import { Schedule, type Timed } from '../machines/schedule.js'

/** What an event is, for the hash of a run. */
export const kinds = { timer: 1, frames: 2, defer: 3, network: 4, plan: 5 } as const

/** Whose event it is: a process that has died has none any more, one that stands still has them later. */
export interface Owner {
  readonly index: number
  readonly alive: boolean
  /** Keeps an event for later; false: it may run now. */
  holds(event: LoopEvent): boolean
}

export interface LoopEvent extends Timed {
  readonly kind: number
  readonly owner: Owner | undefined
  readonly run: () => void
  cancelled: boolean
}

export class Loop {
  readonly #schedule = new Schedule<LoopEvent>()
  readonly #limitMs: number
  readonly #onLimit: () => void
  #now = 0
  #armed = false
  #stopped = false
  #high = 0x811c9dc5
  #low = 0x9e3779b9
  /** Events that have run. */
  events = 0

  /** `onLimit` is called once when so much virtual time has passed: nothing runs for ever. */
  constructor(limitMs: number, onLimit: () => void) {
    this.#limitMs = limitMs
    this.#onLimit = onLimit
  }

  /** Virtual milliseconds since the start. */
  get now(): number {
    return this.#now
  }

  /** Over the kinds, times and machines of all events, and what was noted: equal for equal runs. */
  get hash(): string {
    return [this.#high, this.#low].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('')
  }

  /** Lets the hash depend on a number, too. */
  note(value: number): void {
    this.#high = Math.imul(this.#high ^ value, 0x01000193)
    this.#low = Math.imul((this.#low << 5) ^ (this.#low >>> 3) ^ value, 0x85ebca6b)
  }

  /** Runs `run` at a moment that is not before now. Of one moment, what was asked for first comes first. */
  at(atMs: number, kind: number, owner: Owner | undefined, run: () => void): LoopEvent {
    const event: LoopEvent = { at: Math.max(atMs, this.#now), order: 0, kind, owner, run, cancelled: false }
    this.push(event)
    return event
  }

  push(event: LoopEvent): void {
    this.#schedule.push(event)
    this.#arm()
  }

  /** Nothing runs any more, and nothing keeps the process alive. */
  stop(): void {
    this.#stopped = true
  }

  #arm(): void {
    if (this.#armed || this.#stopped) return
    this.#armed = true
    setImmediate(this.#turn)
  }

  readonly #turn = (): void => {
    this.#armed = false
    if (this.#stopped) return
    const event = this.#next()
    if (event === undefined) return
    this.#arm()
    if (event.at > this.#limitMs) {
      this.stop()
      return this.#onLimit()
    }
    this.#now = event.at
    this.events++
    this.note((event.kind << 16) + (event.owner?.index ?? 0xff))
    this.note(Math.round(event.at * 1000))
    event.run()
  }

  /** The next event that happens; those of the dead cost no turn. */
  #next(): LoopEvent | undefined {
    for (;;) {
      const event = this.#schedule.pop()
      if (event === undefined) return undefined
      if (event.cancelled || event.owner?.alive === false) continue
      if (event.owner?.holds(event) !== true) return event
    }
  }
}
