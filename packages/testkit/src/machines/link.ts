/** A link between two nodes, and what it needs to know of its ends. */
import type { BootId, ClusterFrame, ClusterInput } from '@skep/cluster/core'

/** One end: a node as the network sees it. */
export interface Endpoint {
  /** Which node of the run, from 0. */
  readonly index: number
  readonly boot: BootId
  readonly address: string
  /** Its process runs. */
  readonly alive: boolean
  /** Until when its process stands still. */
  readonly stalledUntil: number
  /** The links that its shell believes in. */
  readonly links: Map<BootId, Link>
  /** The links that there are, also while their handshake goes on. */
  readonly wires: Map<BootId, Link>
  /** What it says of itself in a handshake: the far end's `linkUp`. */
  hello(): ClusterInput
}

/** One direction of a link: what is on its way to one end. */
export interface Way {
  readonly to: Endpoint
  /** When the end learns of the link, and after that when the last frame towards it arrives. */
  last: number
  /** What every frame takes at least. */
  baseMs: number
  /** The turn in which the other end last sent: its frames travel together. */
  turn: number
  /** Frames that may be dropped were, since this end does not read: the sender hears `drained` afterwards. */
  starved: boolean
  /** The latest frames, for an echo at the next link of the two. */
  recent: ClusterFrame[]
}

export class Link {
  readonly a: Endpoint
  readonly b: Endpoint
  private readonly helloA: ClusterInput
  private readonly helloB: ClusterInput
  readonly toA: Way
  readonly toB: Way
  /** It dropped: whatever is under way is lost. */
  dead = false
  /** The end that closed it; what is under way to that end still arrives there. */
  closedBy: Endpoint | undefined

  constructor(a: Endpoint, b: Endpoint, aUpAt: number, bUpAt: number, baseToA: number, baseToB: number) {
    this.a = a
    this.b = b
    this.helloA = a.hello()
    this.helloB = b.hello()
    this.toA = way(a, aUpAt, baseToA)
    this.toB = way(b, bUpAt, baseToB)
  }

  other(end: Endpoint): Endpoint {
    return end === this.a ? this.b : this.a
  }

  /** The direction that leads to `end`. */
  wayTo(end: Endpoint): Way {
    return end === this.a ? this.toA : this.toB
  }

  /** What `end` learns of the far one. */
  helloFor(end: Endpoint): ClusterInput {
    return end === this.a ? this.helloB : this.helloA
  }

  /** Both ends believe in it. */
  get up(): boolean {
    return this.a.links.get(this.b.boot) === this && this.b.links.get(this.a.boot) === this
  }
}

function way(to: Endpoint, last: number, baseMs: number): Way {
  return { to, last, baseMs, turn: -1, starved: false, recent: [] }
}
