/** A link between two nodes, and what it needs to know of its ends. */
import type { BootId, ClusterInput } from '@skep/cluster/core'

/** One end: a node as the network sees it. */
export interface Endpoint {
  /** Which node of the run, from 0. */
  readonly index: number
  readonly boot: BootId
  readonly address: string
  /** Its process runs. */
  readonly alive: boolean
  /** The links that its shell believes in. */
  readonly links: Map<BootId, Link>
  /** The links that there are, also while their handshake goes on. */
  readonly wires: Map<BootId, Link>
  /** What it says of itself in a handshake: the far end's `linkUp`. */
  hello(): ClusterInput
}

export class Link {
  readonly a: Endpoint
  readonly b: Endpoint
  private readonly helloA: ClusterInput
  private readonly helloB: ClusterInput
  /** When each end learns of the link, and after that when the last frame towards it arrives. */
  lastToA: number
  lastToB: number
  /** What every frame towards each end takes at least. */
  readonly baseToA: number
  readonly baseToB: number
  /** The turn in which each end last sent: its frames travel together. */
  turnOfA = -1
  turnOfB = -1
  /** It dropped: whatever is under way is lost. */
  dead = false
  /** The end that closed it; what is under way to that end still arrives there. */
  closedBy: Endpoint | undefined

  constructor(a: Endpoint, b: Endpoint, aUpAt: number, bUpAt: number, baseToA: number, baseToB: number) {
    this.baseToA = baseToA
    this.baseToB = baseToB
    this.a = a
    this.b = b
    this.helloA = a.hello()
    this.helloB = b.hello()
    this.lastToA = aUpAt
    this.lastToB = bUpAt
  }

  other(end: Endpoint): Endpoint {
    return end === this.a ? this.b : this.a
  }

  /** What `end` learns of the far one. */
  helloFor(end: Endpoint): ClusterInput {
    return end === this.a ? this.helloB : this.helloA
  }
}
