/**
 * How much of one turn of the event loop goes into what peers send. Node reads a socket on until it is empty, and its
 * next one, before anything else has its turn: 300 KB of a registry are 30 ms, and as much again for each peer. So when
 * a turn has spent its share, all connections pause until the next one. What they have buffered by then (64 KB each) is
 * still handed on.
 */
import type { Timers } from './time.js'

/** Of a turn that is to end within 20 ms whatever else is in it. */
export const turnShareMs = 6

/** A connection that can let what comes wait in the system. */
export interface Reader {
  pause(): void
  resume(): void
}

export class Pace {
  readonly #time: Timers
  readonly #readers = new Set<Reader>()
  /** When the first message of this turn came. */
  #begun: number | undefined
  #paused = false
  #wasPaused = false

  constructor(time: Timers) {
    this.#time = time
  }

  /** Something has come, in this turn or the one before, that was not read yet. */
  get isBehind(): boolean {
    return this.#paused || this.#wasPaused
  }

  add(reader: Reader): void {
    this.#readers.add(reader)
    if (this.#paused) reader.pause()
  }

  delete(reader: Reader): void {
    this.#readers.delete(reader)
  }

  /** Before a message is handled. */
  begin(): void {
    if (this.#begun !== undefined) return
    this.#begun = this.#time.now()
    this.#time.defer(() => this.#turn())
  }

  /** After it. */
  end(): void {
    if (this.#paused || this.#begun === undefined || this.#time.now() - this.#begun < turnShareMs) return
    this.#paused = true
    for (const reader of this.#readers) reader.pause()
  }

  #turn(): void {
    this.#begun = undefined
    this.#wasPaused = this.#paused
    if (!this.#paused) return
    this.#paused = false
    // Once more also where nothing comes any more: by then it is not behind.
    this.begin()
    for (const reader of this.#readers) reader.resume()
  }
}
