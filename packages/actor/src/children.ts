/**
 * The actors that an actor started: they end with it, the last one first, and it is told of each that ends before. They
 * stay on their node: where their parent is handed over, its `onStart` makes them anew at its new place.
 */

/** What it must know of one. */
interface Startable {
  /** It came to run. */
  readonly ran: boolean
  stop(reason: string, abort: boolean): Promise<void>
}

/** What the `onStop` of those gets as its reason that end with their parent, or by their supervisor. */
export const shutdown = 'shutdown'

export class Children<Child extends Startable> {
  readonly #parent: { childEnded(child: Child): void }
  /** In the order in which they were started. */
  readonly #all = new Set<Child>()
  /** The order in which they stand, where that is not the one in which they were started; those it leaves out come last. */
  standing: (() => readonly Child[]) | undefined
  /** Process ids under which this node finds whatever process stands behind them at present. */
  readonly stands: Set<number> = new Set()

  constructor(parent: { childEnded(child: Child): void }) {
    this.#parent = parent
  }

  get size(): number {
    return this.#all.size
  }

  [Symbol.iterator](): Iterator<Child> {
    return this.#all.values()
  }

  /** It begins to start. */
  add(child: Child): void {
    this.#all.add(child)
  }

  /** One has ended. */
  ended(child: Child): void {
    this.#all.delete(child)
    // Of one that never ran its start has told.
    if (child.ran) this.#parent.childEnded(child)
  }

  /** End them all, one after the other. Nothing new is started meanwhile: their parent ends. */
  async end(): Promise<void> {
    const first = this.standing?.() ?? []
    const others = [...this.#all].filter((child) => !first.includes(child))
    for (const child of [...first, ...others].reverse()) await child.stop(shutdown, false)
  }
}
