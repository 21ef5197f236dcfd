/** What many thousands of answers leave behind, where time is virtual: nothing that was not there after the first ones. */
import { getEventListeners } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { type DiscoveryRunner, runDiscovery } from '../src/discovery/runner.js'
import { type Discovery, type Logger, polled } from '../src/index.js'
import { LogLimiter } from '../src/log.js'
import { realTime } from '../src/time.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const nothing = (): void => {}
const silent: Logger = {
  ...{ debug: nothing, info: nothing, warn: nothing, error: nothing, fatal: nothing },
  child: () => silent,
}

function run(strategy: Discovery): DiscoveryRunner {
  return runDiscovery([strategy], {
    self: { name: 'n', address: 'self:1', cluster: 'c', boot: 'b' },
    secrets: ['s'],
    logger: silent,
    limiter: new LogLimiter(() => Date.now()),
    time: realTime,
    found: nothing,
  })
}

function heapBytes(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  return process.memoryUsage().heapUsed
}

it('remembers who named an address for so many addresses as are taken of a strategy, and no more', async () => {
  let asked = 0
  const changing = polled('q', { intervalMs: 1000 }, async () => {
    const from = 100 * asked++
    return Array.from({ length: 100 }, (_, i) => `n${from + i}:1`)
  })
  const runner = run(changing)
  while (asked < 200) await vi.advanceTimersByTimeAsync(1000)
  const known = Array.from({ length: 100 * asked }, (_, i) => runner.namings(`n${i}:1`).length)
  expect(known.reduce((sum, one) => sum + one, 0)).toBe(4096)
  expect(known.at(-1)).toBe(1)
  expect(runner.report()[0]?.addresses).toHaveLength(100)
  await runner.stop()
})

it('has the same timers, listeners and heap after ten times as many polls, failures and refreshes', async () => {
  let [asked, asks] = [0, 0]
  let signal: AbortSignal | undefined
  const flaky = polled('q', { intervalMs: 1000 }, async (_, context) => {
    signal = context.signal
    asked++
    if (asked % 50 === 0) throw new Error(`failure ${asked}`)
    return [`n${asked % 7}:1`, `m${asked % 11}:1`]
  })
  const runner = run(flaky)
  const until = async (polls: number): Promise<{ timers: number; listeners: number; bytes: number }> => {
    while (asked < polls) {
      if (++asks % 20 === 0) runner.refresh()
      await vi.advanceTimersByTimeAsync(1000)
    }
    // Of a run that began just now nothing would be seen.
    while (asked % 50 !== 40) await vi.advanceTimersByTimeAsync(1000)
    const listeners = getEventListeners(signal as AbortSignal, 'abort').length
    return { timers: vi.getTimerCount(), listeners, bytes: heapBytes() }
  }
  const early = await until(2000)
  const late = await until(20_000)
  // After some 40 polls of this run: those that wait now, one or two by where the jitter is just then.
  for (const { timers, listeners } of [early, late]) expect(Math.max(timers, listeners)).toBeLessThan(4)
  // Were 100 bytes of each poll kept, it would be nearly that.
  expect(late.bytes - early.bytes).toBeLessThan(1_500_000)
  await runner.stop()
})
