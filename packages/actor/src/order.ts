/**
 * The order of what one node sends to one name, where the name moves meanwhile. A call that its first target refused
 * goes to the new holder; but where a later call has gone there already, it would come after it:
 *
 *     caller --- 1 ---> old holder (ended; the network is slow)        2 --- caller ---> new holder
 *     caller <-- no --- old holder
 *     caller --- 1 ---> new holder, after 2
 *
 * So such a call is marked here as overtaken, and fails with its refusal instead: its caller knows that it was not done.
 */
import type { Pid } from '@skep/tracker'

/** Something sent by name, as far as its order matters. */
export interface Ordered {
  /** Rises with every call of the node. */
  readonly born: number
  readonly pid: Pid | undefined
  /** A later one went elsewhere first: it must not follow. */
  overtaken: boolean
}

/** What is open under one name. */
interface Way {
  readonly open: Set<Ordered>
  /** Where the last one went. */
  pid: Pid
  /** Some that are open went elsewhere. */
  mixed: boolean
}

export class NameOrder {
  readonly #ways = new Map<string, Way>()

  /** It goes to `pid` now; `stays` where it may be refused later, until `ends` is told. */
  goes(out: Ordered, name: string, pid: Pid, stays: boolean): void {
    if (!stays && this.#ways.size === 0) return
    const way = this.#ways.get(name)
    if (way === undefined) {
      if (stays) this.#ways.set(name, { open: new Set([out]), pid, mixed: false })
      return
    }
    if (way.mixed || !way.pid.equals(pid)) overtake(way, out, pid)
    if (stays) way.open.add(out)
  }

  /** It is settled, or about to be sent anew. */
  ends(out: Ordered, name: string): void {
    const way = this.#ways.get(name)
    if (way === undefined) return
    way.open.delete(out)
    if (way.open.size === 0) this.#ways.delete(name)
  }
}

function overtake(way: Way, out: Ordered, pid: Pid): void {
  way.pid = pid
  way.mixed = false
  for (const other of way.open) {
    if (other.pid?.equals(pid) === true) continue
    if (other.born > out.born) way.mixed = true
    else {
      other.overtaken = true
      way.open.delete(other)
    }
  }
}
