/**
 * What callers wait for: ask number -> promise, with one swept deadline for all of them instead of a timer each.
 * What an ask means, and what the machine must be told when its caller gives up, is left to the tracker.
 */
import { type ErrorCode, SkepError, type Timers } from '@skep/cluster'

/** Deadlines are rounded up to a multiple of this, so that many asks that end at about one time cost one sweep. */
const sweepMs = 10

/**
 * Answers until one is given in a turn of its own. What this node decides by itself is answered in the turn in which it
 * was asked: whoever asks for one such thing after the other (names registered with `mode: 'local'`) would never leave the event loop a turn,
 * and the node, deaf to its peers, would be held to be down.
 */
const promptAnswers = 256

/** What a caller asked for and how long it waits. */
export interface Wish {
  /** The beginning of a sentence about it: "register 'printer'". */
  readonly what: string
  /** Milliseconds until it fails; Infinity waits as long as it takes. */
  readonly timeoutMs: number
  /** The code of that failure; ERR_TIMEOUT where not given. */
  readonly code: ErrorCode | undefined
  readonly signal: AbortSignal | undefined
  /** The process that it is for: it ends with it. */
  pid: number | undefined
  /** The caller stopped waiting (timeout, abort, end of the node) before there was an outcome. */
  readonly onGiveUp: () => void
}

interface Waiting {
  readonly wish: Wish
  readonly dueMs: number
  readonly onAbort: (() => void) | undefined
  readonly resolve: (value: unknown) => void
  readonly reject: (error: SkepError) => void
}

export class Asks {
  readonly #waiting = new Map<number, Waiting>()
  readonly #time: Pick<Timers, 'defer'>
  #answers = 0
  #last = 0
  #nextDueMs = Number.POSITIVE_INFINITY

  constructor(time: Pick<Timers, 'defer'>) {
    this.#time = time
  }

  /** Number of asks that wait. */
  get size(): number {
    return this.#waiting.size
  }

  /** What they wait for, oldest first: up to `most` beginnings of sentences. */
  describe(most: number): string[] {
    return [...this.#waiting.values()].slice(0, most).map(({ wish }) => wish.what)
  }

  /** When `sweep` is due; may be earlier than the earliest ask, never later. */
  get deadline(): number {
    return this.#nextDueMs
  }

  /** A number for an ask, never given twice. */
  next(): number {
    this.#last += 1
    return this.#last
  }

  /** A promise of the ask's outcome. The ask is open before this returns: an outcome in the same turn finds it. */
  wait<T>(ask: number, wish: Wish, now: number): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const { signal } = wish
      const onAbort = signal && ((): void => this.#giveUp(ask, abortError(wish, 'maybe')))
      const dueMs = Math.ceil((now + wish.timeoutMs) / sweepMs) * sweepMs
      this.#waiting.set(ask, { wish, dueMs, onAbort, resolve: resolve as Waiting['resolve'], reject })
      this.#nextDueMs = Math.min(this.#nextDueMs, dueMs)
      if (onAbort !== undefined) signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** Gives the caller its answer; false when nobody waits for this ask any more. */
  resolve(ask: number, value: unknown): boolean {
    const entry = this.#take(ask)
    if (entry === undefined) return false
    this.#answers = (this.#answers + 1) % promptAnswers
    if (this.#answers > 0) entry.resolve(value)
    else this.#time.defer(() => entry.resolve(value))
    return true
  }

  /** The same with an error. */
  reject(ask: number, error: SkepError): boolean {
    const entry = this.#take(ask)
    entry?.reject(error)
    return entry !== undefined
  }

  /** Ends every ask that is due. */
  sweep(now: number): void {
    if (now < this.#nextDueMs) return
    this.#nextDueMs = Number.POSITIVE_INFINITY
    for (const [ask, entry] of this.#waiting) {
      if (entry.dueMs <= now) this.#giveUp(ask, timeoutError(entry.wish))
      else this.#nextDueMs = Math.min(this.#nextDueMs, entry.dueMs)
    }
  }

  /** Ends every ask that `concerned` picks with the error that `make` gives for what it was about. */
  rejectAll(make: (what: string) => SkepError, concerned: (wish: Wish) => boolean = () => true): void {
    for (const [ask, entry] of this.#waiting) {
      if (concerned(entry.wish)) this.#giveUp(ask, make(entry.wish.what))
    }
  }

  #giveUp(ask: number, error: SkepError): void {
    const entry = this.#take(ask)
    if (entry === undefined) return
    entry.reject(error)
    entry.wish.onGiveUp()
  }

  #take(ask: number): Waiting | undefined {
    const entry = this.#waiting.get(ask)
    if (entry === undefined) return undefined
    this.#waiting.delete(ask)
    if (entry.onAbort !== undefined) entry.wish.signal?.removeEventListener('abort', entry.onAbort)
    return entry
  }
}

/** The error of a caller that aborted; the signal's reason is the cause. */
export function abortError(wish: Wish, sent: 'no' | 'maybe'): SkepError {
  return new SkepError('ERR_ABORTED', `${wish.what}: aborted by the caller`, { cause: wish.signal?.reason, sent })
}

function timeoutError(wish: Wish): SkepError {
  return new SkepError(wish.code ?? 'ERR_TIMEOUT', `${wish.what}: no outcome within ${wish.timeoutMs} ms`, {
    sent: 'maybe',
  })
}
