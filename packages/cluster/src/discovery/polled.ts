/**
 * A strategy made of one question that is asked again and again. It ends the question that takes too long; when one
 * fails, so does the strategy, and the runner's backoff decides when it is asked again.
 */
import { realTime } from '../time.js'
import { bellOf, type Discovery, type DiscoveryContext, pause, textOf, titled } from './discovery.js'

export interface PollOptions {
  /** Milliseconds from an answer to the next question, give or take a fifth. Default 5000. */
  readonly intervalMs?: number
  /** Milliseconds after which a question without an answer has failed. Default 5000. */
  readonly timeoutMs?: number
}

const defaults = { intervalMs: 5000, timeoutMs: 5000 }
/** Between two questions at least: a node that starts alone wants fresh answers ten times a second, of a server of many. */
const minGapMs = 250

/**
 * `lookup` gives all addresses that there are now; an empty list is an answer, too. It gets a signal of its own, which
 * aborts when its time is over. Throws a TypeError at bad options.
 */
export function polled(
  title: string,
  options: PollOptions,
  lookup: (signal: AbortSignal, context: DiscoveryContext) => Promise<readonly string[]>,
): Discovery {
  const { intervalMs, timeoutMs } = pollOptions(options)
  return titled(title, async function* (context) {
    const bell = bellOf(context)
    let last: string | undefined
    try {
      while (!context.signal.aborted) {
        const askedAt = realTime.now()
        const found = await bounded(timeoutMs, context, (signal) => lookup(signal, context))
        if (!Array.isArray(found)) throw new TypeError('the lookup must give a list of addresses')
        const answer = [...new Set<string>(found)].sort()
        if (answer.join() !== last || bell.asked()) yield answer
        last = answer.join()
        await bell.next(intervalMs * (0.8 + 0.4 * Math.random()))
        const gapMs = Math.min(minGapMs, intervalMs) - (realTime.now() - askedAt)
        if (gapMs > 0) await pause(realTime, gapMs, context.signal)
      }
    } finally {
      bell.close()
    }
  })
}

/** Throws a TypeError where one of the two is no time. */
export function pollOptions(options: PollOptions): Required<PollOptions> {
  const { intervalMs = defaults.intervalMs, timeoutMs = defaults.timeoutMs } = options
  for (const [key, ms] of Object.entries({ intervalMs, timeoutMs })) {
    if (!(typeof ms === 'number' && ms >= 10 && ms < 2 ** 31)) throw new TypeError(`${key} must be at least 10, in ms`)
  }
  return { intervalMs, timeoutMs }
}

/** Also for work that does not heed its signal. */
export async function bounded<T>(
  ms: number,
  { signal }: Pick<DiscoveryContext, 'signal'>,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const own = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const end = (): void => own.abort(signal.reason)
  signal.addEventListener('abort', end)
  const late = new Promise<never>((_, reject) => {
    own.signal.addEventListener('abort', () => reject(new Error(textOf(own.signal.reason))))
    timer = setTimeout(() => own.abort(new Error(`no answer within ${ms} ms`)), ms)
  })
  try {
    if (signal.aborted) end()
    return await Promise.race([work(own.signal), late])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', end)
  }
}
