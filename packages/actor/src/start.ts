/**
 * The start of one actor, as long as it lasts. Its `init` and `onStart` cannot be ended from outside: when their time is
 * up, or the actor is told to stop, what they still do is not waited for.
 */
import { SkepError } from '@skep/cluster'
import type { Timers } from '@skep/tracker'
import { CallContext, type Waiter } from './chain.js'

/** Said where it takes too long. */
const moreTime = 'init and onStart have more time with via(name, { timeout }), or by the limit startTimeoutMs'

export class Start {
  /** What is called meanwhile is bound by. */
  readonly context: CallContext
  #reject: (error: unknown) => void = (error) => {
    this.#givenUp = { error }
  }
  /** Before anybody waited for it. */
  #givenUp: { readonly error: unknown } | undefined
  #cancel: () => void = () => {}

  /** `waiter`: who waits for what is called meanwhile. */
  constructor(waiter: () => Waiter, context: CallContext = new CallContext(Number.POSITIVE_INFINITY, undefined)) {
    this.context = context
    context.begin(waiter)
  }

  /** Rejects with what the work threw, with ERR_TIMEOUT after `timeoutMs` (Infinity for none), and as `giveUp` says. */
  wait(time: Timers, work: Promise<void>, timeoutMs: number): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      if (this.#givenUp !== undefined) reject(this.#givenUp.error)
      this.#reject = reject
      if (timeoutMs < Number.POSITIVE_INFINITY) {
        const late = (): void => reject(new SkepError('ERR_TIMEOUT', `not ready within ${timeoutMs} ms: ${moreTime}`))
        this.#cancel = time.setTimer(late, timeoutMs)
      }
      work.then(resolve, reject)
    })
  }

  giveUp(error: unknown): void {
    this.#reject(error)
  }

  /** It is over, however it went. */
  end(): void {
    this.#cancel()
    this.context.end()
  }
}
