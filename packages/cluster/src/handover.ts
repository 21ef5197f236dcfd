/**
 * From a relayed link to the direct one that is back, without losing a frame or letting one overtake another. Each end
 * does this for what it sends; the two do not wait for each other.
 *
 *     relayed   ... n  LAST ------>            nothing follows LAST
 *     relayed          <------ LAST READ       all that came before it has been handed on
 *     direct           n+1 ... ------>         what was sent meanwhile waited here
 *
 * The relayed link is closed when both ways are through. Where it breaks before that, frames may be lost, so the direct
 * link is closed with it: both ends are told of a break, as after any other.
 */
import type { Link } from './link.js'
import type { Timers } from './time.js'

/** Longest pause of what is sent. A way through a neighbour takes milliseconds; one that does not go on has broken. */
const handoverMs = 2000

export class Handover {
  readonly old: Link
  readonly next: Link
  readonly #over: (failure: string | undefined) => void
  readonly #cancel: () => void
  #isRead = false
  #isOver = false

  /** `over` is called once: with a reason where frames may be lost. */
  constructor(old: Link, next: Link, time: Timers, over: (failure: string | undefined) => void) {
    this.old = old
    this.next = next
    this.#over = over
    this.#cancel = time.setTimer(() => this.fail('what was relayed did not arrive in time'), handoverMs)
  }

  begin(): void {
    this.next.pause()
    this.old.sendLast()
  }

  /** The far end has read all that we sent on the relayed link. */
  lastRead(): void {
    if (this.#isRead || this.#isOver) return
    this.#isRead = true
    this.next.resume()
    this.settle()
  }

  /** Both ways through? */
  settle(): void {
    if (this.#isRead && this.old.peerIsDone) this.#end(undefined)
  }

  fail(reason: string): void {
    this.#end(reason)
  }

  #end(failure: string | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#cancel()
    this.#over(failure)
  }
}
