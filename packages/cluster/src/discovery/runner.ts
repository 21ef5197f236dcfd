/**
 * Keeps all strategies of a node going, and merges what they say: one that fails, ends or yields rubbish is asked again
 * after a while, and what it said last stays valid. It never cuts a link. Strategies come and go while it runs.
 */
import { hkdfSync } from 'node:crypto'
import { peerAddress } from '../address.js'
import type { Logger, LogLimiter } from '../log.js'
import type { Timers } from '../time.js'
import {
  aborted,
  type Discovery,
  type DiscoveryContext,
  isDiscovery,
  maxAddresses,
  pause,
  textOf,
} from './discovery.js'
import { SourceLock } from './locks.js'

/** Pause before a strategy that failed is asked again: doubles up to the second, the half of it by chance. */
const retryMinMs = 1000
/** One that ended by itself waits so long. */
const retryMaxMs = 30_000
/** Fresh answers are asked for at most this often: an empty one may be the reason to ask again. */
const refreshGapMs = 100
/** The first answer waits this long for strategies that have not said anything yet. */
const firstAnswerMs = 500
/** Between two answers of a strategy at least, or one that yields without end would leave no turn to anything else. */
const answerGapMs = 20
/** A registration that has not ended by then has failed. */
const registerMs = 15_000
/** What is said of a failure or a bad address may have all of it, and that may be as long as a document. */
const maxFaultLength = 300
/** What a strategy has to end in, and to unregister, before nobody waits for it any more. */
const endMs = 1000

/** Who named an address. */
export interface Naming {
  /** The strategy's title. */
  readonly source: string
  /** Whether its latest answer has it. */
  readonly now: boolean
  /** Milliseconds since it last named it. */
  readonly agoMs: number
}

/** How a strategy does. */
export interface SourceReport {
  readonly source: string
  /** Its latest answer. */
  readonly addresses: readonly string[]
  readonly answers: number
  readonly failures: number
  /** What the latest failure said; undefined where none came after the latest answer. */
  readonly failure: string | undefined
  /** Milliseconds since its latest answer; undefined where there was none. */
  readonly agoMs: number | undefined
}

export interface DiscoveryRunner {
  /** Throws a TypeError for what is no strategy. The function returned removes it; what it named is dialled no more. */
  add(strategy: Discovery): () => Promise<void>
  /** Wants a fresh answer of every strategy, soon. */
  refresh(): void
  /** Takes the locks of all strategies that have one, and has each answer anew; calls `held` then. */
  lock(held: () => void): void
  /** This node has joined: gives up waiting for locks, and releases those held as soon as it is registered there. */
  unlock(): void
  /** Who named this address, the latest first. */
  namings(address: string): Naming[]
  report(): SourceReport[]
  /** Aborts all strategies; resolves when those that clean up have done so (bounded). */
  stop(): Promise<void>
}

interface Source {
  readonly strategy: Discovery
  readonly title: string
  readonly logger: Logger
  latest: ReadonlySet<string>
  /** When it last named each. */
  readonly named: Map<string, number>
  answers: number
  failures: number
  failure: string | undefined
  answeredAt: number | undefined
  answered: boolean
  /** It has answered since it was last started. */
  fresh: boolean
  registered: boolean
  /** While it is wanted or held. */
  lock: SourceLock | undefined
  /** Called at its next answer. */
  told: (() => void) | undefined
  /** Ends the strategy for good. */
  readonly removed: AbortController
  abort: AbortController
  refresh: (() => void) | undefined
}

interface RunnerOptions {
  readonly self: DiscoveryContext['self']
  /** The cluster's, the empty one for none. */
  readonly secrets: readonly string[]
  readonly logger: Logger
  readonly limiter: LogLimiter
  readonly time: Timers
  /** Gets the union of the strategies' latest answers, without this node itself. */
  found(addresses: readonly string[]): void
}

/** Runs all strategies of a node until it is stopped. */
export function runDiscovery(strategies: readonly Discovery[], options: RunnerOptions): DiscoveryRunner {
  const { self, logger, limiter, time, found } = options
  const sources = new Map<Source, Promise<void>>()
  let [started, joined, stopped] = [false, false, false]
  let lastTitle = 0
  let cancelRefresh: (() => void) | undefined
  const cancelFirst = time.setTimer(() => begin(), firstAnswerMs)
  for (const strategy of strategies) add(strategy)
  if (sources.size === 0) begin()
  return { add, refresh, lock, unlock, namings, report, stop }

  function add(strategy: Discovery): () => Promise<void> {
    if (!isDiscovery(strategy))
      throw new TypeError('a discovery strategy is a function, and so are its register, unregister and lock')
    const title = titleOf(strategy)
    const source: Source = {
      strategy,
      title,
      logger: logger.child({ discovery: title }),
      latest: new Set(),
      named: new Map(),
      answers: 0,
      failures: 0,
      failure: undefined,
      answeredAt: undefined,
      answered: false,
      fresh: false,
      registered: false,
      lock: undefined,
      told: undefined,
      removed: new AbortController(),
      abort: new AbortController(),
      refresh: undefined,
    }
    if (!stopped) sources.set(source, keepAsking(source))
    return () => remove(source)
  }

  /** Two of one title are told apart. */
  function titleOf(strategy: Discovery): string {
    const title = strategy.title ?? strategy.name
    const taken = [...sources.keys()].some((one) => one.title === title)
    if (title !== '' && !taken) return title
    lastTitle++
    return `${title === '' ? 'discovery' : title} #${lastTitle}`
  }

  async function remove(source: Source): Promise<void> {
    const loop = sources.get(source)
    if (!sources.delete(source)) return
    await end(source, loop)
    if (started && !stopped) publish()
  }

  function begin(): void {
    started = true
    cancelFirst()
    publish()
  }

  /** The gate of a starting node judges the first answer, so that one waits until every strategy has spoken. */
  function answered(source: Source): void {
    source.answered = true
    if (started) publish()
    else if ([...sources.keys()].every((one) => one.answered)) begin()
  }

  function publish(): void {
    if (!stopped) found([...new Set([...sources.keys()].flatMap((source) => [...source.latest]))])
  }

  async function keepAsking(source: Source): Promise<void> {
    // Its caller goes first: nothing is said before it has the function that removes it.
    await Promise.resolve()
    let retryMs = retryMinMs
    while (!source.removed.signal.aborted) {
      source.abort = new AbortController()
      source.fresh = false
      const failed = await ask(source)
      source.refresh = undefined
      if (source.abort.signal.aborted || source.removed.signal.aborted) continue
      // It failed or ended by itself: what it said before stays, and nobody waits for it.
      answered(source)
      if (source.fresh) retryMs = retryMinMs
      const wait = failed ? retryMs * (0.5 + 0.5 * Math.random()) : retryMaxMs
      await pause(time, wait, source.abort.signal)
      retryMs = failed ? Math.min(retryMs * 2, retryMaxMs) : retryMinMs
    }
  }

  /** Consumes one run of a strategy; true when it threw. One that does not heed its signal is not started beside itself. */
  async function ask(source: Source): Promise<boolean> {
    const { signal } = source.abort
    try {
      if (!source.registered) await register(source, signal)
      source.registered = true
      if (joined) void source.lock?.end()
      if (signal.aborted) return false
      for await (const answer of source.strategy(contextOf(source, signal))) {
        if (signal.aborted) break
        noteAnswer(source, answer)
        await pause(time, answerGapMs, signal)
        // One that is resumed now might wait for the end that it has missed.
        if (signal.aborted) break
      }
      return false
    } catch (error) {
      if (signal.aborted) return false
      source.failures++
      source.failure = textOf(error).slice(0, maxFaultLength)
      const count = limiter.count(`discovery ${source.title}`)
      if (count > 0) {
        source.logger.warn(
          { err: error, count },
          `discovery by ${source.title} failed: ${source.failure}; asking again`,
        )
      }
      return true
    }
  }

  /** Its signal aborts with the run, and when it is not waited for any more. */
  async function register(source: Source, signal: AbortSignal): Promise<void> {
    const own = new AbortController()
    const waits = new AbortController()
    signal.addEventListener('abort', () => own.abort())
    let isDone = false
    const work = async (): Promise<void> => {
      await source.strategy.register?.(contextOf(source, own.signal))
      isDone = true
    }
    try {
      await Promise.race([work(), pause(time, registerMs, waits.signal), aborted(signal)])
      if (!isDone && !signal.aborted) throw new Error(`register has not ended within ${registerMs} ms`)
    } finally {
      waits.abort()
      if (!isDone) own.abort()
    }
  }

  function contextOf(source: Source, signal: AbortSignal): DiscoveryContext {
    return {
      signal,
      self,
      logger: source.logger,
      onRefresh: (listener) => {
        if (signal === source.abort.signal) source.refresh = listener
      },
      keys: (purpose) =>
        options.secrets.flatMap((secret) =>
          secret === '' ? [] : [new Uint8Array(hkdfSync('sha256', secret, self.cluster, `skep ${purpose}`, 32))],
        ),
    }
  }

  function noteAnswer(source: Source, answer: readonly string[]): void {
    source.latest = usable(source, answer)
    source.answers++
    source.answeredAt = time.now()
    source.failure = undefined
    source.fresh = true
    for (const address of source.latest) {
      source.named.delete(address)
      source.named.set(address, source.answeredAt)
    }
    for (const address of source.named.keys()) {
      if (source.named.size <= maxAddresses) break
      source.named.delete(address)
    }
    answered(source)
    source.told?.()
  }

  function usable(source: Source, answer: readonly string[]): Set<string> {
    if (!Array.isArray(answer)) throw new TypeError('a discovery strategy must yield lists of addresses')
    const addresses = new Set<string>()
    for (const address of answer.slice(0, maxAddresses)) {
      try {
        addresses.add(peerAddress(address))
      } catch (error) {
        if (limiter.count(`address ${source.title}`, 10) === 0) continue
        const fault = textOf(error).slice(0, maxFaultLength)
        source.logger.warn({ fault }, `discovery by ${source.title} gave a bad address: ${fault}`)
      }
    }
    addresses.delete(self.address)
    return addresses
  }

  function refresh(): void {
    if (!stopped) cancelRefresh ??= time.setTimer(askAnew, refreshGapMs)
  }

  function askAnew(): void {
    cancelRefresh = undefined
    for (const source of sources.keys()) {
      if (source.refresh) ring(source, source.refresh)
      // One that is still thinking about its first answer is left in peace, or it would never give it.
      else if (source.fresh) source.abort.abort()
    }
  }

  function ring({ logger, title }: Source, listener: () => void): void {
    try {
      listener()
    } catch (error) {
      if (limiter.count(`refresh ${title}`) === 0) return
      logger.warn({ err: error }, `discovery by ${title} failed when it was to answer anew: ${textOf(error)}`)
    }
  }

  /** One after the other, in the same order on all nodes. */
  async function takeLocks(): Promise<void> {
    const locked = [...sources.keys()].filter(({ strategy }) => strategy.lock !== undefined)
    for (const source of locked.sort((a, b) => (a.title < b.title ? -1 : 1))) {
      if (joined || stopped) return
      if (source.removed.signal.aborted) continue
      const { title, strategy, logger } = source
      const context = (signal: AbortSignal): DiscoveryContext => contextOf(source, signal)
      const own = new SourceLock({
        title,
        lock: strategy.lock as NonNullable<Discovery['lock']>,
        logger,
        limiter,
        time,
        context,
      })
      source.lock = own
      await own.take()
      if (!own.over.aborted) await hearAnew(source, own.over)
    }
  }

  /** What was asked before, and may be answered now, is of no use: who held the lock may not be in it. */
  async function hearAnew(source: Source, signal: AbortSignal): Promise<void> {
    const told = new Promise<void>((resolve) => {
      source.told = resolve
    })
    source.abort.abort()
    await Promise.race([told, aborted(signal)])
    source.told = undefined
  }

  function lock(held: () => void): void {
    void takeLocks().then(() => {
      if (joined || stopped) return
      if (!started) begin()
      held()
    })
  }

  function unlock(): void {
    joined = true
    for (const { lock: own, registered } of sources.keys()) if (registered || own?.held === false) void own?.end()
  }

  function namings(address: string): Naming[] {
    const now = time.now()
    const all = [...sources.keys()].flatMap(({ title, named, latest }) => {
      const at = named.get(address)
      return at === undefined ? [] : [{ source: title, now: latest.has(address), agoMs: now - at }]
    })
    return all.sort((a, b) => a.agoMs - b.agoMs)
  }

  function report(): SourceReport[] {
    const now = time.now()
    return [...sources.keys()].map(({ title, latest, answers, failures, failure, answeredAt }) => ({
      source: title,
      addresses: [...latest],
      answers,
      failures,
      failure,
      agoMs: answeredAt === undefined ? undefined : now - answeredAt,
    }))
  }

  async function end(source: Source, loop: Promise<void> | undefined): Promise<void> {
    source.removed.abort()
    source.abort.abort()
    if (source.lock?.held === false) void source.lock.end()
    await within(Promise.resolve(loop))
    await takeBack(source)
    // Whoever has the lock next must not find this node.
    if (source.lock !== undefined) await within(source.lock.end())
  }

  async function takeBack(source: Source): Promise<void> {
    const { unregister } = source.strategy
    if (unregister === undefined || !source.registered) return
    const late = new AbortController()
    const gone = async (): Promise<void> => unregister(contextOf(source, late.signal))
    const told = gone().catch((error: unknown) => {
      source.logger.warn({ err: error }, `discovery by ${source.title} could not unregister: ${textOf(error)}`)
    })
    await within(told)
    late.abort()
  }

  /** A strategy that ignores its signal must not keep the node from stopping. */
  async function within(work: Promise<void>): Promise<void> {
    const timeout = new AbortController()
    await Promise.race([work, pause(time, endMs, timeout.signal)])
    timeout.abort()
  }

  async function stop(): Promise<void> {
    stopped = true
    cancelFirst()
    cancelRefresh?.()
    await Promise.all([...sources].map(([source, loop]) => end(source, loop)))
  }
}
