/**
 * Discovery is a hint, never the truth: a strategy yields the addresses of possible peers, whenever it knows better.
 * Here is the contract, and the runner that keeps all strategies of a node going: one that fails, ends or yields
 * rubbish is asked again after a while, and what it said last stays valid. It never cuts a link.
 */
import { parseAddress } from '../address.js'
import type { BootId } from '../core/member.js'
import type { Logger, LogLimiter } from '../log.js'
import type { Timers } from '../time.js'

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
  readonly logger: Logger
  /**
   * Called when the node wants a fresh answer at once (it knows nobody). A strategy that does not listen is aborted
   * and started again instead.
   */
  onRefresh(listener: () => void): void
}

/** A strategy: yields the addresses (`host:port`) of all peers it knows of, again whenever they change. */
export type Discovery = (context: DiscoveryContext) => AsyncIterable<readonly string[]>

/** Addresses taken from one strategy at most. */
const maxAddresses = 4096
/** Pause before a strategy that failed is asked again: doubles up to the second. One that ended waits the second. */
const retryMinMs = 1000
const retryMaxMs = 30_000
/** Fresh answers are asked for at most this often: an empty one may be the reason to ask again. */
const refreshGapMs = 100
/** The first answer waits this long for strategies that have not said anything yet. */
const firstAnswerMs = 500

export interface DiscoveryRunner {
  /** Wants a fresh answer of every strategy, soon. */
  refresh(): void
  /** Aborts all strategies; resolves when those that clean up have done so (bounded). */
  stop(): Promise<void>
}

interface Source {
  readonly strategy: Discovery
  latest: readonly string[]
  answered: boolean
  /** It has answered since it was last started. */
  fresh: boolean
  abort: AbortController
  refresh: (() => void) | undefined
}

interface RunnerOptions {
  readonly self: DiscoveryContext['self']
  readonly logger: Logger
  readonly limiter: LogLimiter
  readonly time: Timers
  /** Gets the union of the strategies' latest answers, without this node itself. */
  found(addresses: readonly string[]): void
}

/** Runs all strategies of a node until it is stopped. */
export function runDiscovery(strategies: readonly Discovery[], options: RunnerOptions): DiscoveryRunner {
  const { self, logger, limiter, time, found } = options
  const stopping = new AbortController()
  const sources: Source[] = strategies.map((strategy) => ({
    strategy,
    latest: [],
    answered: false,
    fresh: false,
    abort: new AbortController(),
    refresh: undefined,
  }))
  let started = false
  let cancelRefresh: (() => void) | undefined
  const cancelFirst = time.setTimer(() => begin(), firstAnswerMs)
  const loops = sources.map((source) => keepAsking(source))
  return { refresh, stop }

  function begin(): void {
    started = true
    cancelFirst()
    publish()
  }

  /** The gate of a starting node judges the first answer, so that one waits until every strategy has spoken. */
  function answered(source: Source): void {
    source.answered = true
    if (started) publish()
    else if (sources.every((one) => one.answered)) begin()
  }

  function publish(): void {
    if (!stopping.signal.aborted) found([...new Set(sources.flatMap((source) => source.latest))])
  }

  async function keepAsking(source: Source): Promise<void> {
    let retryMs = retryMinMs
    while (!stopping.signal.aborted) {
      source.abort = new AbortController()
      source.fresh = false
      const failed = await ask(source)
      source.refresh = undefined
      if (source.abort.signal.aborted) continue
      // It failed or ended by itself: what it said before stays, and nobody waits for it.
      answered(source)
      await pause(time, failed ? retryMs : retryMaxMs, source.abort.signal)
      retryMs = failed ? Math.min(retryMs * 2, retryMaxMs) : retryMinMs
    }
  }

  /** Consumes one run of a strategy; true when it threw. */
  async function ask(source: Source): Promise<boolean> {
    const { signal } = source.abort
    const onRefresh = (listener: () => void): void => {
      source.refresh = listener
    }
    try {
      for await (const answer of source.strategy({ signal, self, logger, onRefresh })) {
        if (signal.aborted) break
        source.latest = usable(answer)
        source.fresh = true
        answered(source)
      }
      return false
    } catch (error) {
      if (signal.aborted) return false
      const count = limiter.count(`discovery ${String(error)}`)
      if (count > 0) logger.warn({ err: error, count }, `discovery failed: ${text(error)}; asking again`)
      return true
    }
  }

  function usable(answer: readonly string[]): string[] {
    if (!Array.isArray(answer)) throw new TypeError('a discovery strategy must yield lists of addresses')
    const addresses: string[] = []
    for (const address of answer.slice(0, maxAddresses)) {
      const fault = addressFault(address)
      if (fault === undefined && address !== self.address) addresses.push(address)
      else if (fault !== undefined && limiter.count(`address ${fault}`) > 0) {
        logger.warn({ fault }, `discovery gave a bad address: ${fault}`)
      }
    }
    return addresses
  }

  function refresh(): void {
    cancelRefresh ??= time.setTimer(askAnew, refreshGapMs)
  }

  function askAnew(): void {
    cancelRefresh = undefined
    for (const source of sources) {
      if (source.refresh) source.refresh()
      // One that is still thinking about its first answer is left in peace, or it would never give it.
      else if (source.fresh) source.abort.abort()
    }
  }

  async function stop(): Promise<void> {
    cancelFirst()
    cancelRefresh?.()
    stopping.abort()
    for (const source of sources) source.abort.abort()
    // A strategy that ignores its signal must not keep the node from stopping.
    const timeout = new AbortController()
    await Promise.race([Promise.all(loops), pause(time, 500, timeout.signal)])
    timeout.abort()
  }
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

function addressFault(address: unknown): string | undefined {
  try {
    return parseAddress(address as string).port === 0 ? `'${String(address)}' has port 0` : undefined
  } catch (error) {
    return text(error)
  }
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
