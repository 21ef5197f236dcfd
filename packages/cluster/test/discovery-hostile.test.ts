/** Strategies and sources that do what they should not: the node goes on, says what is wrong, and keeps within bounds. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { servicesOf } from '../src/discovery/dns.js'
import { type DiscoveryRunner, runDiscovery } from '../src/discovery/runner.js'
import { type Discovery, type DiscoveryContext, localPeers, polled, staticPeers, titled } from '../src/index.js'
import { LogLimiter } from '../src/log.js'
import { realTime } from '../src/time.js'
import { Recorder } from './nodes.js'
import { first } from './strategies.js'

interface Running {
  readonly answers: (readonly string[])[]
  readonly log: Recorder
  readonly runner: DiscoveryRunner
}

function run(...strategies: Discovery[]): Running {
  const log = new Recorder()
  const answers: (readonly string[])[] = []
  const runner = runDiscovery(strategies, {
    self: { name: 'n', address: '10.0.0.1:4370', cluster: 'c', boot: 'b' },
    secrets: ['s'],
    logger: log.logger,
    limiter: new LogLimiter(() => Date.now()),
    time: realTime,
    found: (addresses) => void answers.push(addresses),
  })
  return { answers, log, runner }
}

/** Says this once and then waits for its end. */
function saying(answer: readonly unknown[]): Discovery {
  return async function* ({ signal }: DiscoveryContext) {
    yield answer as string[]
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
  }
}

describe('a strategy', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('that yields without end lets the process breathe', async () => {
    let yields = 0
    const flood: Discovery = async function* ({ signal }) {
      // Bounded, so that a runner that takes all of it fails the test instead of hanging it.
      while (!signal.aborted && yields < 100_000) yield [`a:${(yields++ % 9) + 1}`]
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    }
    const { answers, runner } = run(flood)
    await vi.advanceTimersByTimeAsync(1000)
    expect(answers.length).toBeGreaterThan(10)
    expect(yields).toBeLessThan(120)
    await runner.stop()
  })

  it('whose registration hangs is one that fails: it is tried again, and others are heard', async () => {
    let tries = 0
    const signals: AbortSignal[] = []
    const register = (context: DiscoveryContext): Promise<void> => {
      signals.push(context.signal)
      return ++tries < 3 ? new Promise(() => {}) : Promise.resolve()
    }
    const { answers, log, runner } = run(titled('db', saying(['b:2']), { register }), staticPeers(['a:1']))
    await vi.advanceTimersByTimeAsync(1000)
    expect(answers.at(-1)).toEqual(['a:1'])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(tries).toBe(3)
    expect(signals.map((signal) => signal.aborted)).toEqual([true, true, false])
    expect(log.count(/discovery by db failed: .*register/)).toBe(1)
    expect(answers.at(-1)).toEqual(['b:2', 'a:1'])
    await runner.stop()
  })

  it('whose unregistration throws at once does not keep the node from stopping', async () => {
    const unregister = (): never => {
      throw new Error('not connected')
    }
    const { log, runner } = run(titled('db', saying([]), { unregister }))
    await vi.advanceTimersByTimeAsync(1)
    await runner.stop()
    expect(log.count(/db could not unregister: not connected/)).toBe(1)
  })

  it('whose unregistration gives nothing to wait for is as good as one that does', async () => {
    let done = 0
    const unregister = (() => void done++) as unknown as Discovery['unregister'] & {}
    const { log, runner } = run(titled('db', saying([]), { unregister }))
    await vi.advanceTimersByTimeAsync(1)
    await runner.stop()
    expect([done, log.count(/could not unregister/)]).toEqual([1, 0])
  })

  it('whose listener for fresh answers throws is told, and the others are asked', async () => {
    let asked = 0
    const odd: Discovery = async function* ({ signal, onRefresh }) {
      onRefresh(() => {
        throw new Error('I am busy')
      })
      yield* saying(['a:1'])({ signal } as DiscoveryContext)
    }
    const other: Discovery = async function* (context) {
      context.onRefresh(() => void asked++)
      yield* saying(['b:1'])(context)
    }
    const { log, runner } = run(odd, other)
    await vi.advanceTimersByTimeAsync(1)
    runner.refresh()
    await vi.advanceTimersByTimeAsync(200)
    expect(asked).toBe(1)
    expect(log.count(/I am busy/)).toBe(1)
    await runner.stop()
  })

  it('that fails with a document for a message is told in short', async () => {
    const wordy: Discovery = async function* () {
      if (log !== undefined) throw new Error('x'.repeat(1_000_000))
      yield []
    }
    const { log, runner } = run(wordy)
    await vi.advanceTimersByTimeAsync(1)
    expect(runner.report()[0]?.failure?.length).toBeLessThan(1000)
    expect((await log.line(/discovery by wordy failed/)).text.length).toBeLessThan(1000)
    await runner.stop()
  })

  it.each([[undefined], [null], ['a:1,b:2'], [{ 0: 'a:1' }]])(
    'whose lookup gives %o has failed, not found nobody',
    async (answer) => {
      const { log, runner } = run(polled('q', {}, async () => answer as unknown as string[]))
      await vi.advanceTimersByTimeAsync(10)
      expect(runner.report()).toMatchObject([{ answers: 0, failures: 1 }])
      expect(log.count(/discovery by q failed: .*list of addresses/)).toBe(1)
      await runner.stop()
    },
  )

  it('that names one address in several ways, this node among them, names it once', async () => {
    const { answers, runner } = run(
      saying(['10.0.0.1:04370', '[fd00:0:0::1]:00080', '[fd00:0:0::1]:80', 'h:080', 'h:80']),
    )
    await vi.advanceTimersByTimeAsync(1)
    expect(answers).toEqual([['[fd00:0:0::1]:80', 'h:80']])
    expect(runner.namings('h:80')).toMatchObject([{ now: true }])
    await runner.stop()
  })

  it('that names an address of this host alone (an IPv6 zone) is told that nobody can be reached there', async () => {
    const { answers, log, runner } = run(saying(['[fe80::1%eth0]:80', 'a:1']))
    await vi.advanceTimersByTimeAsync(1)
    expect(answers).toEqual([['a:1']])
    expect(log.count(/bad address: '\[fe80::1%eth0\]:80' has a zone/)).toBe(1)
    expect(() => staticPeers(['[fe80::1%eth0]:80'])).toThrow(/has a zone/)
    await runner.stop()
  })

  it('that is removed while its question hangs names nobody afterwards, whatever comes of it', async () => {
    let tell = (_: string[]): void => {}
    const slow: Discovery = async function* () {
      yield ['a:1']
      yield await new Promise<string[]>((resolve) => {
        tell = resolve
      })
    }
    const { answers, runner } = run(staticPeers(['b:1']))
    await vi.advanceTimersByTimeAsync(1)
    const remove = runner.add(slow)
    await vi.advanceTimersByTimeAsync(100)
    expect(answers.at(-1)).toEqual(['b:1', 'a:1'])
    const removed = remove()
    await vi.advanceTimersByTimeAsync(1000)
    await removed
    tell(['c:1'])
    await vi.advanceTimersByTimeAsync(100)
    expect(answers.at(-1)).toEqual(['b:1'])
    await runner.stop()
  })
})

describe('a name server', () => {
  it('whose SRV records and their targets multiply to millions gives what is taken of a strategy at most', async () => {
    const addresses = Array.from({ length: 4000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`)
    const services = Array.from({ length: 3000 }, (_, i) => ({ port: i + 1, addresses }))
    const ask = { addresses: async () => [], services: async () => services }
    expect(await servicesOf(ask, ['_skep._tcp.test.'])).toHaveLength(4096)
  })
})

describe('localPeers', () => {
  it('finds peers of a cluster whose name is too long for a directory', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'skep-test-'))
    const names = ['é'.repeat(200), `${'é'.repeat(199)}e`]
    try {
      for (const cluster of names) expect(await first(localPeers({ directory }), 'x', cluster)).toEqual([])
      expect(readdirSync(directory)).toEqual([])
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
})
