/**
 * The stream of name events: for each reader the present state first, then what happens, in order. Readers take at
 * their own pace from a bounded buffer of their own, so the registry never waits for one and never runs its code; one
 * that falls behind loses the oldest events and is told how many.
 */
import { follows } from './core/ids.js'
import type { Claim, NameEvent } from './core/messages.js'

/** Events kept for a reader that is behind. */
export const eventBufferSize = 1024

/** Ended claims in which a move may have begun: as many as one source that is not heard lets go in four seconds. */
const maxEnded = 4096

/** Told in the place of events that a slow reader lost. */
export interface MissedEvents {
  readonly type: 'missed'
  readonly count: number
}

export interface EventOptions {
  /** Only names that begin so. */
  readonly prefix?: string | undefined
  /** Aborting ends the stream. */
  readonly signal?: AbortSignal | undefined
}

export class EventStreams {
  readonly #readers = new Set<Reader>()
  readonly #watch: (on: boolean) => void
  readonly #moves = new Moves()
  #ended = false

  /** `watch` is called with true before the first reader gets anything, with false after the last one. */
  constructor(watch: (on: boolean) => void) {
    this.#watch = watch
  }

  get size(): number {
    return this.#readers.size
  }

  /** A stream that begins with what `present` gives, when it is first read. */
  open(options: EventOptions, present: () => readonly Claim[]): AsyncIterable<NameEvent | MissedEvents> {
    return { [Symbol.asyncIterator]: () => this.#read(options, present) }
  }

  push(seen: NameEvent): void {
    const event = this.#moves.recognise(seen)
    for (const reader of this.#readers) reader.push(event)
  }

  /** Ends every stream; what is buffered can still be read. */
  end(): void {
    this.#ended = true
    for (const reader of this.#readers) reader.end()
  }

  #read(options: EventOptions, present: () => readonly Claim[]): Reader {
    const { signal, prefix } = options
    const stop = (): void => reader.end()
    const reader = new Reader(prefix ?? '', () => {
      signal?.removeEventListener('abort', stop)
      if (!this.#readers.delete(reader) || this.#readers.size > 0 || this.#ended) return
      this.#moves.forget()
      this.#watch(false)
    })
    if (this.#ended || signal?.aborted === true) {
      reader.end()
      return reader
    }
    signal?.addEventListener('abort', stop, { once: true })
    if (this.#readers.size === 0) this.#watch(true)
    reader.present = present()
    this.#readers.add(reader)
    return reader
  }
}

/**
 * A name that was handed over is two entries in two logs: who hears of the end of the old claim first sees the name free,
 * and then held. The new claim says that it took another's place, so the second of these is told as the move that it is.
 */
class Moves {
  /** The last claim of placed names that nobody holds, the oldest first. */
  readonly #ended = new Map<string, Claim>()

  recognise(event: NameEvent): NameEvent {
    const { name, claim, previous } = event
    const ended = this.#ended.get(name)
    this.#ended.delete(name)
    if (claim === undefined) {
      if (previous?.placed !== undefined) this.#remember(previous)
      return event
    }
    if (ended === undefined || !goesOn(claim, ended)) return event
    return { ...event, type: 'moved', previous: ended }
  }

  forget(): void {
    this.#ended.clear()
  }

  #remember(claim: Claim): void {
    this.#ended.set(claim.name, claim)
    if (this.#ended.size <= maxEnded) return
    const oldest = this.#ended.keys().next()
    if (oldest.done !== true) this.#ended.delete(oldest.value)
  }
}

/** Is this the process of the other claim, handed over once or more since? One that was started anew is not. */
function goesOn(claim: Claim, ended: Claim): boolean {
  if (claim.from === undefined || claim.pid.equals(ended.pid)) return false
  return claim.placed?.origin === ended.placed?.origin && follows(claim, ended)
}

type Result = IteratorResult<NameEvent | MissedEvents, undefined>

class Reader implements AsyncIterableIterator<NameEvent | MissedEvents, undefined> {
  /** The names held when the stream began, not yet read. */
  present: readonly Claim[] = []
  readonly #prefix: string
  readonly #onEnd: () => void
  /** A ring of the latest events: the oldest at `#head`. */
  readonly #buffer: NameEvent[] = []
  #head = 0
  #length = 0
  #missed = 0
  #presented = 0
  #ended = false
  readonly #waiting: ((result: Result) => void)[] = []

  constructor(prefix: string, onEnd: () => void) {
    this.#prefix = prefix
    this.#onEnd = onEnd
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<Result> {
    const value = this.#take()
    if (value !== undefined) return Promise.resolve({ done: false, value })
    if (this.#ended) return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  return(): Promise<Result> {
    this.end()
    this.#length = 0
    this.#missed = 0
    this.#presented = this.present.length
    return Promise.resolve({ done: true, value: undefined })
  }

  push(event: NameEvent): void {
    if (this.#ended || !event.name.startsWith(this.#prefix)) return
    const reader = this.#waiting.shift()
    if (reader !== undefined) {
      reader({ done: false, value: event })
      return
    }
    this.#buffer[(this.#head + this.#length) % eventBufferSize] = event
    if (this.#length < eventBufferSize) {
      this.#length += 1
      return
    }
    // Full: the newest took the place of the oldest.
    this.#head = (this.#head + 1) % eventBufferSize
    this.#missed += 1
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    for (const reader of this.#waiting.splice(0)) reader({ done: true, value: undefined })
    this.#onEnd()
  }

  #take(): NameEvent | MissedEvents | undefined {
    const claim = this.present[this.#presented]
    if (claim !== undefined) {
      this.#presented += 1
      return { type: 'registered', name: claim.name, claim, previous: undefined, reason: 'present' }
    }
    this.present = []
    this.#presented = 0
    if (this.#missed > 0) {
      const count = this.#missed
      this.#missed = 0
      return { type: 'missed', count }
    }
    if (this.#length === 0) return undefined
    const event = this.#buffer[this.#head]
    this.#head = (this.#head + 1) % eventBufferSize
    this.#length -= 1
    return event
  }
}
