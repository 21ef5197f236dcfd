/** What an actor is told by its own node: it runs in its turn, like a timer, and nobody waits for what comes of it. */
import type { Logger } from '@skep/cluster'
import { Message, type Runner } from './message.js'

/** The actor that is told. */
interface Told {
  readonly title: string
  readonly logger: Logger
}

export class Notice extends Message {
  readonly #told: Told
  readonly #what: string
  readonly #run: (self: unknown) => unknown

  constructor(told: Told, what: string, run: (self: unknown) => unknown) {
    super()
    this.#told = told
    this.#what = what
    this.#run = run
  }

  get method(): string {
    return this.#what
  }

  begin(runner: Runner): unknown {
    return this.#run(runner.selfFor(this))
  }

  answer(): void {}

  fail(err: unknown): void {
    this.#told.logger.error({ err }, `${this.#what} of ${this.#told.title} threw`)
  }

  refuse(): void {}
  /** It is about what stays behind: where the actor goes on, its `onStart` begins anew. */
  passOn(): void {}
}
