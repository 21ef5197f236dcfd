/**
 * What waits for a link. A member is known a little before it is linked (just joined, or its link broke and is being
 * dialled anew): a call to it would fail at once though the link is a few milliseconds away. So it waits for the link,
 * in order and not for long; then it fails with the certainty that it was not sent.
 */

import type { Timers } from '@skep/tracker'
import type { Outgoing } from './outgoing.js'

/** Milliseconds that a call waits for a link: a redial takes up to 100, a link through a neighbour about 300. */
const linkWaitMs = 1000

interface Queue {
  readonly outs: Outgoing[]
  readonly cancel: () => void
}

export class LinkWaits {
  readonly #queues = new Map<string, Queue>()
  readonly #time: Timers
  readonly #giveUp: (out: Outgoing) => void

  /** `giveUp` gets what has waited too long. */
  constructor(time: Timers, giveUp: (out: Outgoing) => void) {
    this.#time = time
    this.#giveUp = giveUp
  }

  /** How many wait, all boots together. */
  get size(): number {
    let size = 0
    for (const { outs } of this.#queues.values()) size += outs.length
    return size
  }

  has(boot: string): boolean {
    return this.#queues.has(boot)
  }

  add(boot: string, out: Outgoing): void {
    const known = this.#queues.get(boot)
    if (known !== undefined) {
      known.outs.push(out)
      return
    }
    const cancel = this.#time.setTimer(() => this.take(boot).forEach(this.#giveUp), linkWaitMs)
    this.#queues.set(boot, { outs: [out], cancel })
  }

  /** All that waits for this boot and is still wanted, in order; it waits no more. */
  take(boot: string): Outgoing[] {
    const queue = this.#queues.get(boot)
    if (queue === undefined) return []
    this.#queues.delete(boot)
    queue.cancel()
    return queue.outs.filter((out) => !out.settled)
  }

  close(): void {
    for (const boot of [...this.#queues.keys()]) this.take(boot)
  }
}
