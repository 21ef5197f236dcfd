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

/** What streams need of the registry. Its names come in pieces, so that nobody waits while a million are read. */
export interface EventSource {
  /** Called with true before the first reader gets anything, with false after the last one. */
  watch(on: boolean): void
  /** Runs `fn` when the event loop has had a turn. */
  defer(fn: () => void): void
  /** Of how many pieces the names are: of one, or of many and then of as many for ever. */
  pieces(): number
  /** In which of many pieces a name is. */
  pieceOf(name: string): number
  /**
   * Holders as the events until now have told of them. A name of a node that is gone is among them until the event that
   * it is free has come: without it a reader would be told of the end of what it never heard of.
   */
  holdersIn(piece: number): Claim[]
}

/** Events that a reader gets in one turn of the event loop: more than are kept for it, and no long work. */
const eventsATurn = 2 * eventBufferSize

export class EventStreams {
  readonly #readers = new Set<Reader>()
  readonly #source: EventSource
  readonly #moves = new Moves()
  #ended = false

  constructor(source: EventSource) {
    this.#source = source
  }

  get size(): number {
    return this.#readers.size
  }

  /** A stream that begins with the names that are held, when it is first read. */
  open(options: EventOptions): AsyncIterable<NameEvent | MissedEvents> {
    return { [Symbol.asyncIterator]: () => this.#read(options) }
  }

  push(seen: NameEvent): void {
    const event = this.#moves.recognise(seen)
    for (const reader of this.#readers) reader.push(event)
  }

  /** Ends every stream; what is buffered can still be read, where the names that it begins with were. */
  end(): void {
    this.#ended = true
    for (const reader of this.#readers) reader.end()
  }

  #read(options: EventOptions): Reader {
    const { signal, prefix } = options
    const stop = (): void => reader.end()
    const reader = new Reader(prefix ?? '', this.#source, () => {
      signal?.removeEventListener('abort', stop)
      if (!this.#readers.delete(reader) || this.#readers.size > 0 || this.#ended) return
      this.#moves.forget()
      this.#source.watch(false)
    })
    if (this.#ended || signal?.aborted === true) {
      reader.end()
      return reader
    }
    signal?.addEventListener('abort', stop, { once: true })
    if (this.#readers.size === 0) this.#source.watch(true)
    reader.begin()
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
  readonly #prefix: string
  readonly #source: EventSource
  readonly #onEnd: () => void
  /** Holders of the latest piece that was read, the next one at `#presented`. */
  #present: readonly Claim[] = []
  #presented = 0
  /** Pieces of the names that have been read, and how many there are. */
  #read = 0
  #pieces = 0
  /** A ring of the latest events: the oldest at `#head`. */
  readonly #buffer: NameEvent[] = []
  #head = 0
  #length = 0
  #missed = 0
  #ended = false
  readonly #waiting: ((result: Result) => void)[] = []
  /** What this reader may still get in this turn; what is over waits for the next one. */
  #left = eventsATurn
  #turning = false

  constructor(prefix: string, source: EventSource, onEnd: () => void) {
    this.#prefix = prefix
    this.#source = source
    this.#onEnd = onEnd
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** The names that are held from here on are the first that it gives. */
  begin(): void {
    this.#pieces = this.#source.pieces()
    this.#readPiece()
  }

  next(): Promise<Result> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      this.#serve()
    })
  }

  return(): Promise<Result> {
    this.#discard()
    this.end()
    return Promise.resolve({ done: true, value: undefined })
  }

  push(event: NameEvent): void {
    if (this.#ended || !event.name.startsWith(this.#prefix)) return
    // It is to be read yet: as it is then.
    if (this.#pieces > 1 && this.#source.pieceOf(event.name) >= this.#read) return
    this.#buffer[(this.#head + this.#length) % eventBufferSize] = event
    if (this.#length < eventBufferSize) this.#length += 1
    else {
      // Full: the newest took the place of the oldest.
      this.#head = (this.#head + 1) % eventBufferSize
      this.#missed += 1
    }
    this.#serve()
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    // In the midst of the names that it begins with there is nothing whole to be told any more.
    if (this.#read < this.#pieces) this.#discard()
    this.#serve()
    this.#onEnd()
  }

  #discard(): void {
    this.#length = 0
    this.#missed = 0
    this.#present = []
    this.#presented = 0
    this.#read = this.#pieces
  }

  /** Whoever waits is given what is there. A turn later goes on what would keep the loop from its other work. */
  #serve(): void {
    while (this.#waiting.length > 0) {
      if (this.#left === 0) return this.#turn()
      const value = this.#take()
      if (value === undefined && this.#read < this.#pieces) {
        this.#readPiece()
        this.#left = 0
      } else if (value === undefined && !this.#ended) return
      else {
        this.#left -= 1
        this.#waiting.shift()?.(value === undefined ? { done: true, value } : { done: false, value })
        if (this.#left === 0) this.#turn()
      }
    }
  }

  #turn(): void {
    if (this.#turning) return
    this.#turning = true
    this.#source.defer(() => {
      this.#turning = false
      this.#left = eventsATurn
      this.#serve()
    })
  }

  #readPiece(): void {
    const claims = this.#source.holdersIn(this.#read)
    this.#read += 1
    this.#present = this.#prefix === '' ? claims : claims.filter(({ name }) => name.startsWith(this.#prefix))
    this.#presented = 0
  }

  #take(): NameEvent | MissedEvents | undefined {
    const claim = this.#present[this.#presented]
    if (claim !== undefined) {
      this.#presented += 1
      return { type: 'registered', name: claim.name, claim, previous: undefined, reason: 'present' }
    }
    if (this.#read < this.#pieces) return undefined
    this.#present = []
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
