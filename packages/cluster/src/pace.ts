/**
 * How much of one turn of the event loop goes into what peers send. Node reads a socket on until it is empty, and its
 * next one, before anything else has its turn: 300 KB of a registry are 30 ms, and as much again for each peer. So when
 * a turn has spent its share, all connections pause until the next one. What they have buffered by then (64 KB each) is
 * still handed on.
 *
 * Then reading goes in rounds: who was heard in a round waits until it is over, so of N connections that have something
 * to say each is heard within N turns, however much the others send. (All resumed each turn in one order, the first
 * ones alone would be read for ever, and whoever's pings lie unread would be taken for dead.) Which of the sockets that
 * are resumed Node reads first does not matter to this.
 */
import type { Timers } from './time.js'

/** Of a turn that is to end within 20 ms whatever else is in it. */
export const turnShareMs = 6

/** What one turn counts for, at most, in the time that was spent waiting until all was read: longer ones are stalls. */
export const countedTurnMs = 50

/** A connection that can let what comes wait in the system. */
export interface Reader {
  pause(): void
  resume(): void
}

interface Waiter {
  /** Ends of rounds that it waits for: of the one under way, in which some were heard before, and of a whole one. */
  rounds: number
  readonly fn: (waitedMs: number) => void
  /** Of the clock of turns. */
  readonly since: number
}

export class Pace {
  readonly #time: Timers
  readonly #readers = new Set<Reader>()
  /** Who was not heard yet in the round under way; undefined where all is read as it comes. */
  #round: Set<Reader> | undefined
  /** All are read in this turn, not only what is left of a round. */
  #isOpen = true
  /** The share of this turn is spent. */
  #isSpent = false
  /** Spent in this turn, and since when by the message at hand. */
  #spentMs = 0
  #begunAt = 0
  #turning = false
  /** When the latest turn of a round began, and how long the turns of rounds were in all. */
  #turnedAt = 0
  #roundsMs = 0
  #waiters: Waiter[] = []

  constructor(time: Timers) {
    this.#time = time
  }

  add(reader: Reader): void {
    this.#readers.add(reader)
    if (this.#isSpent || !this.#isOpen) reader.pause()
  }

  delete(reader: Reader): void {
    this.#readers.delete(reader)
    this.#round?.delete(reader)
  }

  /** Before a message of this connection is handled. */
  begin(reader: Reader): void {
    this.#begunAt = this.#time.now()
    this.#round?.delete(reader)
    this.#awaitTurn()
  }

  /** After it. */
  end(reader: Reader): void {
    const now = this.#time.now()
    this.#spentMs += now - this.#begunAt
    if (this.#isSpent || this.#spentMs < turnShareMs) return
    this.#isSpent = true
    if (this.#round === undefined) {
      this.#turnedAt = now
      this.#round = new Set(this.#readers)
      this.#round.delete(reader)
    }
    for (const one of this.#readers) one.pause()
  }

  /**
   * Runs `fn` when all is read that has come by now, at once where nothing waits. That takes two rounds at most, with a
   * turn for each connection. `waitedMs`: how long it took, without what stalls added to it.
   */
  whenRead(fn: (waitedMs: number) => void): void {
    if (this.#round === undefined) fn(0)
    else this.#waiters.push({ rounds: 2, fn, since: this.#roundsMs })
  }

  #awaitTurn(): void {
    if (this.#turning) return
    this.#turning = true
    this.#time.defer(() => this.#turn())
  }

  #turn(): void {
    this.#turning = false
    this.#spentMs = 0
    if (this.#round === undefined) return
    const now = this.#time.now()
    this.#roundsMs += Math.min(now - this.#turnedAt, countedTurnMs)
    this.#turnedAt = now
    const isSpent = this.#isSpent
    this.#isSpent = false
    // All that was resumed has been read until it was empty.
    const isDry = !isSpent
    if (isDry && this.#isOpen) this.#round = undefined
    else {
      this.#isOpen = isDry || this.#round.size === 0
      if (this.#isOpen) this.#round = new Set(this.#readers)
      for (const one of this.#round) one.resume()
      // Also where nothing comes any more: by then nothing waits.
      this.#awaitTurn()
    }
    if (this.#isOpen) this.#endRound()
  }

  #endRound(): void {
    const isAllRead = this.#round === undefined
    const over: Waiter[] = []
    this.#waiters = this.#waiters.filter((waiter) => {
      waiter.rounds -= 1
      if (!isAllRead && waiter.rounds > 0) return true
      over.push(waiter)
      return false
    })
    for (const { fn, since } of over) fn(this.#roundsMs - since)
  }
}
