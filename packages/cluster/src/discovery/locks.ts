/**
 * The locks of a node's sources, which say that nodes that all start at once form one cluster: who would be the first
 * takes them, one after the other, and asks each source anew, since whoever had the lock before may be found by now. A
 * lock that fails is asked for again; how long to wait for all of this is decided by the gate. What was taken is given
 * back when others can find this node, and at the end whatever happens.
 */
import type { Logger, LogLimiter } from '../log.js'
import type { Timers } from '../time.js'
import { aborted, type Discovery, type DiscoveryContext, pause, textOf } from './discovery.js'

/** Pause before a lock that failed is asked for again: doubles up to the second, the half of it by chance. */
const retryMinMs = 500
const retryMaxMs = 5000

type Release = Awaited<ReturnType<NonNullable<Discovery['lock']>>>

export interface LockOptions {
  readonly title: string
  readonly lock: NonNullable<Discovery['lock']>
  readonly logger: Logger
  readonly limiter: LogLimiter
  readonly time: Timers
  context(signal: AbortSignal): DiscoveryContext
}

/** The lock of one source. */
export class SourceLock {
  readonly #options: LockOptions
  readonly #over = new AbortController()
  #release: Release | undefined

  constructor(options: LockOptions) {
    this.#options = options
  }

  /** Aborts once the lock is no longer wanted. */
  get over(): AbortSignal {
    return this.#over.signal
  }

  get held(): boolean {
    return this.#release !== undefined
  }

  /** Resolves when it is held, or is no longer wanted. */
  async take(): Promise<void> {
    const { title, logger, limiter, time } = this.#options
    const over = aborted(this.over)
    let retryMs = retryMinMs
    while (!this.over.aborted && !this.held) {
      try {
        await Promise.race([this.#acquire(), over])
      } catch (error) {
        if (this.over.aborted) return
        const count = limiter.count(`lock ${title}`)
        const text = `discovery by ${title} could not lock: ${textOf(error)}; trying again`
        if (count > 0) logger.warn({ err: error, count }, text)
        await pause(time, retryMs * (0.5 + 0.5 * Math.random()), this.over)
        retryMs = Math.min(retryMs * 2, retryMaxMs)
      }
    }
  }

  /** Also one that is had only after it was given up is given back. */
  async #acquire(): Promise<void> {
    const release = await this.#options.lock(this.#options.context(this.over))
    if (typeof release !== 'function') throw new TypeError('lock must give the function that releases it')
    this.#release = release
    if (this.over.aborted) await this.end()
  }

  /** Waits no longer, and gives back what is held: once. */
  async end(): Promise<void> {
    this.#over.abort()
    const release = this.#release
    this.#release = undefined
    try {
      await release?.()
    } catch (error) {
      const { title, logger } = this.#options
      logger.warn({ err: error }, `discovery by ${title} could not release its lock: ${textOf(error)}`)
    }
  }
}
