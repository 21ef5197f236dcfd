/** A queue that takes and gives in constant time. */

/** Given-away slots at the front are cut off once there are this many of them. */
const cutAt = 1024

export class Queue<T> {
  #items: (T | undefined)[] = []
  #head = 0

  get size(): number {
    return this.#items.length - this.#head
  }

  push(item: T): void {
    this.#items.push(item)
  }

  shift(): T | undefined {
    const item = this.#items[this.#head]
    if (item === undefined) return undefined
    this.#items[this.#head] = undefined
    this.#head += 1
    if (this.#head === this.#items.length) {
      this.#items.length = 0
      this.#head = 0
    } else if (this.#head === cutAt) {
      this.#items = this.#items.slice(cutAt)
      this.#head = 0
    }
    return item
  }
}
