/**
 * The order of everything in a run: a binary heap of events by (time, order of scheduling). Two events of the same
 * instant come in the order in which they were pushed, so that a run is decided by its seed alone and what was sent
 * first on a link arrives first.
 */

export interface Timed {
  /** Virtual milliseconds. */
  at: number
  /** Set by `push`. */
  order: number
}

export class Schedule<E extends Timed> {
  private readonly heap: E[] = []
  private pushed = 0

  get size(): number {
    return this.heap.length
  }

  push(event: E): void {
    event.order = this.pushed++
    const heap = this.heap
    let child = heap.length
    heap.push(event)
    while (child > 0) {
      const parent = (child - 1) >> 1
      const above = heap[parent] as E
      if (above.at < event.at || (above.at === event.at && above.order < event.order)) break
      heap[child] = above
      child = parent
    }
    heap[child] = event
  }

  /** The earliest event, or undefined when nothing is to come. */
  pop(): E | undefined {
    const heap = this.heap
    const first = heap[0]
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return first
    this.sink(last)
    return first
  }

  /** Lets `event` sink from the top to its place. */
  private sink(event: E): void {
    const heap = this.heap
    const size = heap.length
    let parent = 0
    for (;;) {
      let child = 2 * parent + 1
      if (child >= size) break
      let below = heap[child] as E
      const right = heap[child + 1]
      if (right !== undefined && isBefore(right, below)) {
        child += 1
        below = right
      }
      if (isBefore(event, below)) break
      heap[parent] = below
      parent = child
    }
    heap[parent] = event
  }
}

function isBefore(a: Timed, b: Timed): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
