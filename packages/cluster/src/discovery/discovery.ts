/**
 * Discovery is a hint, never the truth: a strategy yields the addresses of possible peers, whenever it knows better.
 * Here is the contract; `runner.ts` keeps all strategies of a node going, `polled.ts` makes one of a question that is
 * asked again and again.
 */
import type { BootId } from '../core/member.js'
import type { Logger } from '../log.js'
import { realTime, type Timers } from '../time.js'

/** Addresses taken from one strategy at most, and remembered of those that it once named. */
export const maxAddresses = 4096

export interface DiscoveryContext {
  /** Aborts when the node stops or asks anew: end then, and take back what you registered of it. */
  readonly signal: AbortSignal
  readonly self: {
    readonly name: string
    /** Where others reach this node; it already listens. */
    readonly address: string
    readonly cluster: string
    readonly boot: BootId
  }
  /** Lines go out under the strategy's title. */
  readonly logger: Logger
  /**
   * Called when the node wants a fresh answer at once (it knows nobody). A strategy that does not listen is aborted
   * and started again instead.
   */
  onRefresh(listener: () => void): void
  /**
   * Keys of 32 bytes for this purpose, derived (HKDF, RFC 5869) from the cluster's name and each of its secrets: the
   * first to write with, all of them to read. None where the cluster has no secret.
   */
  keys(purpose: string): readonly Uint8Array[]
}

/**
 * A strategy: yields the addresses (`host:port`) of all peers it knows of, again whenever they change. It may throw at
 * any time, yield nothing, part of the truth or a lie: no link is ever cut for it, and it is asked again. Most are this
 * function and nothing else.
 */
export interface Discovery {
  (context: DiscoveryContext): AsyncIterable<readonly string[]>
  /** What it is called in logs and by `explainPeer`; default: the function's name. */
  readonly title?: string
  /**
   * Makes this node known to the others where they look, before the first question; tried again with backoff until it
   * succeeds, also after one that has not ended within 15 s. A strategy that must do so again and again does that in its
   * own loop.
   */
  readonly register?: (context: DiscoveryContext) => Promise<void>
  /** Takes that back, once, when the node leaves or the strategy is removed. Waited for a second at most. */
  readonly unregister?: (context: DiscoveryContext) => Promise<void>
  /**
   * Waits for the one lock that the source has for this cluster, and gives the function that releases it. A node whose
   * first boot would be the first of a cluster takes it, asks anew, and releases it when it has joined and is registered,
   * or when it stops. The source must release it where the holder dies. `signal` aborts when it is no longer wanted; tried
   * again where it rejects. After `limits.lockMs` (30 s) in all the node goes on without it.
   */
  readonly lock?: (context: DiscoveryContext) => Promise<() => Promise<void> | void>
}

export function isDiscovery(value: unknown): value is Discovery {
  if (typeof value !== 'function') return false
  const { register, unregister, lock } = value as Discovery
  return [register, unregister, lock].every((one) => one === undefined || typeof one === 'function')
}

/** The same strategy under a title. */
export function titled(
  title: string,
  discover: (context: DiscoveryContext) => AsyncIterable<readonly string[]>,
  more: Pick<Discovery, 'register' | 'unregister' | 'lock'> = {},
): Discovery {
  return Object.assign((context: DiscoveryContext) => discover(context), { title, ...more })
}

/** Resolves after the time, or at once when the signal aborts. */
export function pause(time: Timers, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    // The end of a node waits for this, when its sockets are closed already.
    const cancel = time.setTimer(done, ms, true)
    signal.addEventListener('abort', done)
    function done(): void {
      cancel()
      signal.removeEventListener('abort', done)
      resolve()
    }
  })
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** What a strategy waits on between two answers. */
export interface Bell {
  /** Resolves after the time, or as soon as something happens: it is struck, a refresh, the end. */
  next(ms: number): Promise<void>
  /** Was a fresh answer asked for since the last call? */
  asked(): boolean
  strike(): void
  close(): void
}

export function bellOf(context: DiscoveryContext): Bell {
  let wake = new AbortController()
  let refresh = false
  const strike = (): void => wake.abort()
  context.signal.addEventListener('abort', strike)
  context.onRefresh(() => {
    refresh = true
    strike()
  })
  return {
    async next(ms) {
      if (!context.signal.aborted) await pause(realTime, ms, wake.signal)
      wake = new AbortController()
    },
    asked() {
      const was = refresh
      refresh = false
      return was
    },
    strike,
    close: () => context.signal.removeEventListener('abort', strike),
  }
}

export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
