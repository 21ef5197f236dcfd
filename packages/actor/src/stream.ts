/**
 * Streamed replies. The actor's side (`Feeder`) takes one step of the generator per turn of the mailbox: what stands
 * between two `yield`s runs alone, other calls may run in between, and a slow reader never blocks the actor. The
 * reader grants items in advance (credit); without credit the generator rests.
 */
import type { ErrorCode, Sent } from '@skep/cluster'
import type { Pid } from '@skep/tracker'
import type { AnyFunction } from './definition.js'
import { Message, type Runner } from './message.js'
import type { Feeding, Process } from './process.js'
import { Refused } from './values.js'

/** Items that may be under way to a reader that has not taken them yet. */
export const streamWindow = 16

/** Streams that one actor may feed at once. */
export const maxStreams = 1000

/** The reader as its feeder sees it. */
export interface Sink {
  /** Throws where the value cannot be sent. */
  item(value: unknown): void
  end(): void
  fail(error: unknown): void
  refuse(code: ErrorCode, text: string, sent: Sent): void
}

export class Feeder extends Message implements Feeding {
  readonly #process: Process
  readonly #name: string
  readonly #method: AnyFunction
  readonly #args: readonly unknown[]
  readonly #sink: Sink
  readonly #onward: (to: Pid) => void
  #credit: number
  #generator: AsyncGenerator<unknown> | undefined
  /** Its next step waits in the mailbox or runs. */
  #stepping = true
  #over = false
  /** The generator has ended, or has been told to. */
  #cleaned = false

  /** `onward`: what to do where the actor goes to another node before the first step. */
  constructor(
    process: Process,
    name: string,
    method: AnyFunction,
    args: readonly unknown[],
    credit: number,
    sink: Sink,
    onward: (to: Pid) => void,
  ) {
    super()
    this.#onward = onward
    this.#process = process
    this.#name = name
    this.#method = method
    this.#args = args
    this.#credit = Math.min(credit, streamWindow)
    this.#sink = sink
  }

  get method(): string {
    return `the stream ${this.#name}`
  }

  /** The generator must get its turn to clean up, whoever gave up. */
  override stale(): boolean {
    return false
  }

  /** One step has run; there are more. */
  override finish(): void {}

  begin(runner: Runner): unknown {
    if (this.#over) return this.#generator?.return(undefined)
    if (this.#generator === undefined) {
      this.#process.feed(this)
      this.#generator = runner.latest(this.#method, this.#name)(
        runner.selfFor(this),
        ...this.#args,
      ) as AsyncGenerator<unknown>
    }
    return this.#generator.next()
  }

  answer(result: unknown): void {
    // Still stepping while the item is handed over: a reader that takes it at once grants more in the same turn.
    if (!this.#over) this.#handOver(result as IteratorResult<unknown>)
    this.#stepping = false
    if (this.#over) this.#cleanUp()
    else if (this.#credit > 0) this.#step()
  }

  #handOver({ done, value }: IteratorResult<unknown>): void {
    if (done === true) {
      this.#finish()
      this.#cleaned = true
      this.#sink.end()
      return
    }
    this.#credit -= 1
    try {
      this.#sink.item(value)
    } catch (error) {
      this.#finish()
      if (error instanceof Refused) this.#sink.refuse(error.refusal.code, error.refusal.text, 'yes')
      else this.#sink.fail(error)
    }
  }

  fail(error: unknown): void {
    this.#stepping = false
    if (this.#over) return
    this.#finish()
    this.#sink.fail(error)
  }

  refuse(code: ErrorCode, text: string, sent: Sent): void {
    this.#stepping = false
    if (this.#over) return
    const generator = this.#generator
    this.#finish()
    this.#sink.refuse(code, text, generator === undefined ? sent : 'yes')
    // The actor takes no more turns: the generator ends now, beside what still runs.
    if (generator !== undefined) this.#process.inside(() => generator.return(undefined)).catch(() => {})
  }

  /** A generator that runs cannot be handed over: its reader is told that the actor has gone. */
  passOn(to: Pid): void {
    if (this.#over) return
    if (this.#generator !== undefined) return this.endBecause('ERR_ACTOR_STOPPED', `the actor went on as ${to}`)
    this.#finish()
    this.#onward(to)
  }

  /** The reader has room for more. */
  grant(items: number): void {
    this.#credit = Math.min(this.#credit + items, streamWindow)
    if (this.#credit > 0 && !this.#stepping && !this.#over) this.#step()
  }

  /** The reader wants no more. */
  cancel(reason?: unknown): void {
    if (this.#over) return
    this.#finish()
    this.withdraw(reason)
    if (!this.#stepping) this.#cleanUp()
  }

  endBecause(code: ErrorCode, text: string): void {
    this.refuse(code, text, 'yes')
    this.withdraw(text)
  }

  #finish(): void {
    this.#over = true
    this.#process.feedNoMore(this)
  }

  #step(): void {
    this.#stepping = true
    this.#process.mailbox.deliverStep(this)
  }

  /** A last turn in which the generator's `finally` blocks run. */
  #cleanUp(): void {
    if (this.#generator === undefined || this.#cleaned) return
    this.#cleaned = true
    this.#step()
  }
}
