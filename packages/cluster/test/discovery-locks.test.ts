/** The locks of strategies as the runner takes and releases them, on a clock of the test's own. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type DiscoveryRunner, runDiscovery } from '../src/discovery/runner.js'
import { type Discovery, titled } from '../src/index.js'
import { LogLimiter } from '../src/log.js'
import { realTime } from '../src/time.js'
import { Recorder } from './nodes.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

interface Running {
  readonly did: string[]
  readonly log: Recorder
  readonly runner: DiscoveryRunner
  lock(): void
}

/** What happens in which order stands in `did`: answers, and what the strategies of `make` say. */
async function run(make: (did: string[]) => Discovery[]): Promise<Running> {
  const log = new Recorder()
  const did: string[] = []
  const runner = runDiscovery(make(did), {
    self: { name: 'n', address: 'self:1', cluster: 'c', boot: 'b' },
    secrets: ['s'],
    logger: log.logger,
    limiter: new LogLimiter(() => Date.now()),
    time: realTime,
    found: (addresses) => void did.push(`found ${addresses}`),
  })
  await vi.advanceTimersByTimeAsync(600)
  did.length = 0
  return { did, log, runner, lock: () => runner.lock(() => void did.push('held')) }
}

/** A strategy that answers when it is started, and no more. */
function source(did: string[], more: Omit<Discovery, 'title'>, title = 'db'): Discovery {
  const answer: Discovery = async function* ({ signal }) {
    did.push(`asks ${title}`)
    yield [`${title}:1`]
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
  }
  return titled(title, answer, more)
}

function locked(did: string[], title = 'db', more: Omit<Discovery, 'title'> = {}): Discovery {
  const lock = async (): Promise<() => void> => {
    did.push(`locks ${title}`)
    return () => void did.push(`releases ${title}`)
  }
  return source(did, { lock, ...more }, title)
}

describe('the lock of a strategy', () => {
  it('is taken, then it is asked anew, then the lock is said to be held; it is released when the node has joined', async () => {
    const { did, runner, lock } = await run((did) => [locked(did)])
    lock()
    await vi.advanceTimersByTimeAsync(1)
    expect(did).toEqual(['locks db', 'asks db', 'found db:1', 'held'])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(did).toHaveLength(4)
    runner.unlock()
    await vi.advanceTimersByTimeAsync(1)
    expect(did.slice(4)).toEqual(['releases db'])
    await runner.stop()
    expect(did.slice(5)).toEqual([])
  })

  it('does not count what was asked before it was held', async () => {
    const answers: ((addresses: string[]) => void)[] = []
    const slow = (did: string[]): Discovery =>
      titled(
        'slow',
        async function* ({ signal }) {
          while (!signal.aborted) {
            yield await new Promise<string[]>((resolve) => {
              answers.push(resolve)
              signal.addEventListener('abort', () => resolve(['late:1']))
            })
          }
        },
        { lock: async () => () => void did.push('releases') },
      )
    const { did, runner, lock } = await run((did) => [slow(did)])
    answers[0]?.([])
    await vi.advanceTimersByTimeAsync(1)
    lock()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(did).toEqual(['found '])
    answers.at(-1)?.(['a:1'])
    await vi.advanceTimersByTimeAsync(1)
    expect(did).toEqual(['found ', 'found a:1', 'held'])
    await runner.stop()
  })

  it('of several is taken one after the other, by their titles, and strategies without one are left alone', async () => {
    const { did, runner, lock } = await run((did) => [locked(did, 'z'), source(did, {}, 'plain'), locked(did, 'a')])
    lock()
    await vi.advanceTimersByTimeAsync(1)
    expect(did.filter((one) => !one.startsWith('found'))).toEqual(['locks a', 'asks a', 'locks z', 'asks z', 'held'])
    await runner.stop()
    expect(did.slice(-2).sort()).toEqual(['releases a', 'releases z'])
  })

  it('that fails is asked for again, with growing pauses, and told once a minute', async () => {
    let tries = 0
    const lock = async (): Promise<() => void> => {
      if (++tries < 5) throw new Error('no connection')
      return () => {}
    }
    const { did, log, runner, lock: take } = await run((did) => [source(did, { lock })])
    take()
    await vi.advanceTimersByTimeAsync(1000)
    expect(tries).toBeLessThan(4)
    await vi.advanceTimersByTimeAsync(8000)
    expect(did.at(-1)).toBe('held')
    expect(log.count(/discovery by db could not lock: no connection; trying again/)).toBe(1)
    await runner.stop()
  })

  it.each([
    [
      'throws at once',
      () => {
        throw new Error('bad')
      },
      /could not lock: bad/,
    ],
    ['gives no function', async () => undefined, /must give the function that releases it/],
  ])('that %s is one that fails', async (_, lock, line) => {
    const { did, log, runner, lock: take } = await run((did) => [source(did, { lock: lock as never })])
    take()
    await vi.advanceTimersByTimeAsync(5000)
    expect(did).toEqual([])
    expect(log.count(line)).toBe(1)
    await runner.stop()
  })

  it('is no longer waited for once the node has joined, and given back at once if it comes all the same', async () => {
    let give = (_: () => void): void => {}
    let signal: AbortSignal | undefined
    const lock: Discovery['lock'] = (context) => {
      signal = context.signal
      return new Promise((resolve) => {
        give = resolve
      })
    }
    const { did, runner, lock: take } = await run((did) => [source(did, { lock })])
    take()
    await vi.advanceTimersByTimeAsync(1)
    expect(signal?.aborted).toBe(false)
    runner.unlock()
    expect(signal?.aborted).toBe(true)
    give(() => void did.push('releases'))
    await vi.advanceTimersByTimeAsync(1)
    expect(did).toEqual(['releases'])
    await runner.stop()
    expect(did).toEqual(['releases'])
  })

  it('is held until the node is registered where others look for it', async () => {
    let may = false
    const register = async (): Promise<void> => {
      if (!may) throw new Error('read-only')
    }
    const { did, runner, lock } = await run((did) => [locked(did, 'db', { register })])
    lock()
    await vi.advanceTimersByTimeAsync(20_000)
    runner.unlock()
    await vi.advanceTimersByTimeAsync(20_000)
    const notable = (): string[] => did.filter((one) => one !== 'found ')
    expect(notable()).toEqual(['locks db'])
    may = true
    await vi.advanceTimersByTimeAsync(30_000)
    expect(notable()).toEqual(['locks db', 'releases db', 'asks db', 'found db:1'])
    await runner.stop()
  })

  it('is given back when the node stops, after it has taken back what it registered', async () => {
    const { did, runner, lock } = await run((did) => [
      locked(did, 'db', { register: async () => {}, unregister: async () => void did.push('unregisters') }),
    ])
    lock()
    await vi.advanceTimersByTimeAsync(1)
    did.length = 0
    await runner.stop()
    expect(did).toEqual(['unregisters', 'releases db'])
  })

  it('that is never had, or whose release hangs, does not keep the node from stopping', async () => {
    const deaf = (did: string[]): Discovery[] => [
      source(did, { lock: () => new Promise(() => {}) }, 'b'),
      source(did, { lock: async () => () => new Promise<void>(() => {}) }, 'a'),
    ]
    const { runner, lock } = await run(deaf)
    lock()
    await vi.advanceTimersByTimeAsync(1)
    const stopped = runner.stop()
    await vi.advanceTimersByTimeAsync(1000)
    await stopped
  })

  it('whose release fails is told, and nothing else comes of it', async () => {
    const lock = async () => async (): Promise<void> => {
      throw new Error('connection reset')
    }
    const { log, runner, lock: take } = await run((did) => [source(did, { lock })])
    take()
    await vi.advanceTimersByTimeAsync(1)
    runner.unlock()
    await vi.advanceTimersByTimeAsync(1)
    expect(log.count(/could not release its lock: connection reset/)).toBe(1)
    await runner.stop()
  })

  it('of a strategy that is removed meanwhile is not waited for', async () => {
    const { did, runner, lock } = await run((did) => [locked(did, 'z')])
    const remove = runner.add(source(did, { lock: () => new Promise(() => {}) }, 'a'))
    await vi.advanceTimersByTimeAsync(1)
    lock()
    await vi.advanceTimersByTimeAsync(5000)
    expect(did).not.toContain('held')
    await remove()
    await vi.advanceTimersByTimeAsync(1)
    expect(did.at(-1)).toBe('held')
    await runner.stop()
  })

  it.each(['lock', 'register', 'unregister'])('must be a function, as must %s', async (key) => {
    const { runner } = await run(() => [])
    expect(() => runner.add(titled('odd', async function* () {}, { [key]: 7 }))).toThrow(TypeError)
    await runner.stop()
  })
})
