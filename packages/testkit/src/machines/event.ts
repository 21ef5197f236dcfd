/** The one shape of all events of a run, so that the loop that takes them stays monomorphic. */
import type { Endpoint, Link } from './link.js'
import type { Timed } from './schedule.js'

/** What an event does when its time has come. The numbers go into the trace hash: never reuse one. */
export const kinds = {
  /** A planned node starts (`value`: which start). */
  start: 1,
  /** A deadline of the node's machines. */
  wake: 2,
  /** `load` arrives at `node` over `link`. */
  frame: 3,
  /** The node's side of `link` is established. */
  linkUp: 4,
  /** The node's side of `link` notices that it is gone (`value` 1: closed by the far end). */
  linkDown: 5,
  /** A dial by `node` reaches the host `text`. */
  dialArrives: 6,
  /** A dial to `text` ended; `load` is the outcome. */
  dialled: 7,
  /** Discovery answers. */
  discover: 8,
  /** Two turns after `defer` (`value`: token). */
  verdict: 9,
  /** The next turn of the tracker. */
  proceed: 10,
  /** An operation of the workload. */
  op: 11,
  /** An `init` ended: commit or abandon the ask `value`. */
  initialised: 12,
  /** The node leaves. */
  leave: 13,
  /** A link drops. */
  drop: 14,
  /** `link` has been down long enough: it is made anew. */
  restore: 15,
  /** The periodic checks. */
  patrol: 16,
  /** The local process `value`, told to end, has ended. */
  ended: 17,
  /** The caller of the ask `value` waits no longer. */
  forget: 18,
  /** The far end of `link` reads again; droppable frames to it were dropped. */
  drained: 19,
  /** The process of the node is killed (`value` 1: its machine vanishes). */
  crash: 20,
  /** The node goes on as another boot. */
  rejoin: 21,
  /** A planned fault of the world begins or ends (`value`: which of the plan's strikes). */
  strike: 22,
  /** The process `value`, asked for by the output `load`, was exported, or not (`text`). */
  exported: 23,
  /** The host `text` reads again. */
  reads: 24,
  /** Some process of the node ends by itself. */
  endsItself: 25,
  /** The turn ends in which the node held something back. */
  turned: 26,
} as const

export type EventKind = (typeof kinds)[keyof typeof kinds]

export class SimEvent implements Timed {
  at: number
  order = 0
  readonly kind: EventKind
  readonly node: Endpoint | undefined
  readonly link: Link | undefined
  readonly value: number
  readonly text: string
  readonly load: unknown

  constructor(
    at: number,
    kind: EventKind,
    node: Endpoint | undefined,
    link: Link | undefined,
    value: number,
    text: string,
    load: unknown,
  ) {
    this.at = at
    this.kind = kind
    this.node = node
    this.link = link
    this.value = value
    this.text = text
    this.load = load
  }
}
