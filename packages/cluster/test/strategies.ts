/** A strategy of discovery by itself: no runner, no node. */
import type { Discovery, DiscoveryContext } from '../src/index.js'
import { Recorder } from './nodes.js'

export interface Running {
  readonly log: Recorder
  readonly next: () => Promise<readonly string[]>
  readonly refresh: () => void
  readonly end: () => Promise<void>
}

/** One run of a strategy as node `boot`. */
export function ask(strategy: Discovery, boot = 'x', cluster = 'c'): Running {
  const abort = new AbortController()
  const log = new Recorder()
  let refresh = (): void => {}
  const context: DiscoveryContext = {
    signal: abort.signal,
    self: { name: boot, address: `127.0.0.1:${boot.length}`, cluster, boot },
    logger: log.logger,
    onRefresh: (listener) => {
      refresh = listener
    },
    keys: () => [],
  }
  const iterator = strategy(context)[Symbol.asyncIterator]()
  return {
    log,
    next: async () => (await iterator.next()).value ?? [],
    refresh: () => refresh(),
    end: async () => {
      abort.abort()
      while (!(await iterator.next()).done);
    },
  }
}

/** The first answer of a strategy, which is then ended; rejects where it fails. */
export async function first(strategy: Discovery, boot?: string, cluster?: string): Promise<readonly string[]> {
  const running = ask(strategy, boot, cluster)
  const answer = await running.next()
  await running.end()
  return answer
}
