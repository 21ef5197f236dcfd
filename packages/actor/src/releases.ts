/**
 * What waits until a name is free. An `ensure` ref may reach its actor on its way out: the name is still that one's, and
 * what came too late was refused. So it waits here, in order, and asks again after pauses that grow, until the name has
 * another holder or none; then the actor is started anew.
 */
import type { Timers } from '@skep/tracker'
import type { Outgoing } from './outgoing.js'

/** Milliseconds before the first look, doubled with each one up to the longest: news of a release takes one hop. */
const firstMs = 5
const longestMs = 500

/** Looks that one call has before it fails with what it was refused with: 13 s, more than an `onStop` may take. */
const maxLooks = 30

interface Queue {
  readonly outs: Outgoing[]
  readonly cancel: () => void
}

export class Releases {
  readonly #queues = new Map<string, Queue>()
  readonly #time: Timers
  readonly #again: (out: Outgoing) => void

  /** `again` gets all that still wants to go, in order. */
  constructor(time: Timers, again: (out: Outgoing) => void) {
    this.#time = time
    this.#again = again
  }

  has(name: string): boolean {
    return this.#queues.has(name)
  }

  /** Let it wait. False where it has waited long enough. */
  wait(name: string, out: Outgoing): boolean {
    if (out.looks >= maxLooks) return false
    const known = this.#queues.get(name)
    if (known !== undefined) {
      known.outs.push(out)
      return true
    }
    const pauseMs = Math.min(longestMs, firstMs * 2 ** out.looks)
    out.looks += 1
    const cancel = this.#time.setTimer(() => this.#look(name), pauseMs)
    this.#queues.set(name, { outs: [out], cancel })
    return true
  }

  #look(name: string): void {
    const outs = this.#queues.get(name)?.outs ?? []
    this.#queues.delete(name)
    for (const out of outs) if (!out.settled) this.#again(out)
  }

  /** Nothing waits any more; calls among it are found by their deadlines. */
  close(): void {
    for (const { cancel } of this.#queues.values()) cancel()
    this.#queues.clear()
  }
}
