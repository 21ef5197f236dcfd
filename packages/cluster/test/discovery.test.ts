import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { runDiscovery } from '../src/discovery/runner.js'
import { type Discovery, localPeers, polled, staticPeers, titled } from '../src/index.js'
import { LogLimiter } from '../src/log.js'
import { realTime } from '../src/time.js'
import { Recorder } from './nodes.js'
import { ask, type Running } from './strategies.js'

describe('staticPeers', () => {
  it('says its list once and then waits for the end', async () => {
    const running = ask(staticPeers(['a:1', 'b:2']), 'x')
    expect(await running.next()).toEqual(['a:1', 'b:2'])
    await running.end()
  })
})

describe('localPeers', () => {
  let directory: string
  const ended: (() => Promise<void>)[] = []
  const start = (boot: string, cluster?: string): Running => {
    const running = ask(localPeers({ directory }), boot, cluster)
    ended.push(running.end)
    return running
  }
  /** Where the files of cluster `name` lie. */
  const home = (name = 'c'): string => join(directory, readdirSync(directory)[0] as string, name)

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'skep-test-'))
  })
  afterEach(async () => {
    await Promise.all(ended.splice(0).map((end) => end()))
    rmSync(directory, { recursive: true, force: true })
  })

  it('says at once that nobody is there, then who comes, then who goes', async () => {
    const first = start('a')
    expect(await first.next()).toEqual([])
    const second = start('bb')
    expect(await second.next()).toEqual(['127.0.0.1:1'])
    expect(await first.next()).toEqual(['127.0.0.1:2'])
    await second.end()
    expect(await first.next()).toEqual([])
    await first.end()
    // The last one out leaves nothing.
    expect(readdirSync(directory)).toEqual([])
  })

  it('keeps clusters apart, whatever their names', async () => {
    await start('a', 'one').next()
    await start('a', '../one/ü').next()
    expect(await start('bb', 'one').next()).toEqual(['127.0.0.1:1'])
    expect(readdirSync(join(directory, readdirSync(directory)[0] as string)).sort()).toEqual([
      '=2e=2e=2fone=2f=c3=bc',
      'one',
    ])
  })

  it('removes what dead processes left and passes over rubbish', async () => {
    await start('a').next()
    const dead = spawnSync(process.execPath, ['-e', '']).pid
    const put = (name: string, text: string): void => writeFileSync(join(home(), name), text)
    put('dead.json', JSON.stringify({ boot: 'dead', address: '127.0.0.1:9', pid: dead }))
    put(`half.json.${dead}.draft`, '{"bo')
    put('rubbish.json', '{{{')
    put('empty.json', '')
    put('null.json', 'null')
    put('numbers.json', JSON.stringify({ boot: 1, address: 2, pid: 'x' }))
    put('other.json', JSON.stringify({ boot: 'not-its-name', address: '127.0.0.1:9', pid: process.pid }))
    put('huge.json', JSON.stringify({ boot: 'huge', address: 'x'.repeat(10_000), pid: process.pid }))
    put('readme.txt', 'hello')
    mkdirSync(join(home(), 'folder.json'))
    symlinkSync('/dev/zero', join(home(), 'zero.json'))
    expect(await start('bb').next()).toEqual(['127.0.0.1:1'])
    expect(existsSync(join(home(), 'dead.json'))).toBe(false)
    expect(existsSync(join(home(), `half.json.${dead}.draft`))).toBe(false)
  })

  it('writes its file again when somebody removed it, and answers anew when asked', async () => {
    const first = start('a')
    await first.next()
    rmSync(join(home(), 'a.json'))
    const answer = first.next()
    first.refresh()
    expect(await answer).toEqual([])
    expect(existsSync(join(home(), 'a.json'))).toBe(true)
  })

  it('refuses a directory that others can write to', async () => {
    await start('a').next()
    chmodSync(home(), 0o777)
    await expect(ask(localPeers({ directory }), 'bb').next()).rejects.toThrow('can be written by others')
    chmodSync(home(), 0o700)
  })
})

describe('running strategies', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  const self = { name: 'n', address: 'self:1', cluster: 'c', boot: 'b' }
  function run(...strategies: Discovery[]): {
    answers: (readonly string[])[]
    log: Recorder
    runner: ReturnType<typeof runDiscovery>
  } {
    const log = new Recorder()
    const answers: (readonly string[])[] = []
    const limiter = new LogLimiter(() => Date.now())
    const found = (addresses: readonly string[]): void => void answers.push(addresses)
    const runner = runDiscovery(strategies, {
      self,
      secrets: ['s'],
      logger: log.logger,
      limiter,
      time: realTime,
      found,
    })
    return { answers, log, runner }
  }

  it('waits with the first answer until each has spoken, then gives the union without this node', async () => {
    let speak = (): void => {}
    const late: Discovery = async function* ({ signal }) {
      await new Promise<void>((resolve) => {
        speak = resolve
        signal.addEventListener('abort', () => resolve())
      })
      yield ['c:3', 'self:1', 'a:1']
    }
    const { answers, runner } = run(staticPeers(['a:1', 'b:2']), late)
    await vi.advanceTimersByTimeAsync(100)
    expect(answers).toEqual([])
    speak()
    await vi.advanceTimersByTimeAsync(1)
    expect(answers[0]).toEqual(['a:1', 'b:2', 'c:3'])
    await runner.stop()
  })

  it('does not wait longer than half a second for a silent one', async () => {
    const silent: Discovery = async function* ({ signal }) {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      yield []
    }
    const { answers, runner } = run(staticPeers(['a:1']), silent)
    await vi.advanceTimersByTimeAsync(500)
    expect(answers).toEqual([['a:1']])
    await runner.stop()
  })

  it('asks a failing one again, says so once a minute, and keeps what it knew', async () => {
    let runs = 0
    const flaky: Discovery = async function* () {
      if (runs++ === 0) yield ['a:1']
      throw new Error('no such host')
    }
    const { answers, log, runner } = run(flaky)
    await vi.advanceTimersByTimeAsync(20_000)
    expect(runs).toBeGreaterThan(3)
    expect(log.count(/no such host/)).toBe(1)
    expect(answers.every((answer) => answer.join() === 'a:1')).toBe(true)
    // Half a minute lies between two questions at most.
    await vi.advanceTimersByTimeAsync(75_000)
    expect(log.count(/no such host/)).toBe(2)
    await runner.stop()
  })

  it('passes over what is no address, and over a strategy that yields no list', async () => {
    const odd: Discovery = async function* ({ signal }) {
      yield ['a:1', 'nonsense', 7, 'b:0'] as string[]
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    }
    const wrong = async function* () {
      yield 'a:1'
    } as unknown as Discovery
    const { answers, log, runner } = run(odd, wrong)
    await vi.advanceTimersByTimeAsync(10)
    expect(answers[0]).toEqual(['a:1'])
    expect(log.count(/bad address/)).toBe(3)
    expect(log.count(/must yield lists/)).toBe(1)
    await runner.stop()
  })

  it('starts one anew at a refresh, and at most ten times a second', async () => {
    let runs = 0
    const counted: Discovery = async function* ({ signal }) {
      runs++
      yield []
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    }
    const { runner } = run(counted)
    await vi.advanceTimersByTimeAsync(1)
    for (let i = 0; i < 1000; i++) {
      runner.refresh()
      await vi.advanceTimersByTimeAsync(1)
    }
    expect(runs).toBeGreaterThan(8)
    expect(runs).toBeLessThan(12)
    await runner.stop()
  })

  it('leaves one that is still thinking about its first answer in peace, however often it is asked', async () => {
    let starts = 0
    let tell = (): void => {}
    const slow: Discovery = async function* () {
      starts++
      await new Promise<void>((resolve) => {
        tell = resolve
      })
      yield ['a:1']
    }
    const { runner, answers } = run(slow)
    for (let i = 0; i < 10; i++) {
      runner.refresh()
      await vi.advanceTimersByTimeAsync(100)
    }
    expect(starts).toBe(1)
    tell()
    await vi.advanceTimersByTimeAsync(1)
    expect(answers).toContainEqual(['a:1'])
    await runner.stop()
  })

  it('does not hang on a strategy that ignores its signal', async () => {
    const deaf: Discovery = async function* () {
      yield []
      await new Promise(() => {})
    }
    const { runner } = run(deaf)
    await vi.advanceTimersByTimeAsync(1)
    const stopped = runner.stop()
    await vi.advanceTimersByTimeAsync(1000)
    await stopped
  })

  it('adds and removes strategies while it runs: what a removed one named is no longer found', async () => {
    const { answers, runner } = run(staticPeers(['a:1']))
    await vi.advanceTimersByTimeAsync(1)
    const remove = runner.add(staticPeers(['b:2', 'a:1']))
    await vi.advanceTimersByTimeAsync(1)
    expect(answers.at(-1)).toEqual(['a:1', 'b:2'])
    expect(runner.namings('a:1').map(({ source, now }) => [source, now])).toEqual([
      ['staticPeers #1', true],
      ['staticPeers', true],
    ])
    await remove()
    await remove()
    expect(answers.at(-1)).toEqual(['a:1'])
    expect(runner.namings('b:2')).toEqual([])
    expect(() => runner.add(7 as unknown as Discovery)).toThrow(TypeError)
    await runner.stop()
  })

  it('registers before the first question, again until that succeeds, and unregisters once', async () => {
    const did: string[] = []
    const registering = titled('keys', staticPeers(['a:1']), {
      register: async () => {
        did.push('register')
        if (did.length < 3) throw new Error('not yet')
      },
      unregister: async ({ self: { address } }) => void did.push(`unregister ${address}`),
    })
    const { answers, log, runner } = run(registering)
    await vi.advanceTimersByTimeAsync(400)
    expect(answers).toEqual([[]])
    await vi.advanceTimersByTimeAsync(5000)
    expect(did).toEqual(['register', 'register', 'register'])
    expect(answers.at(-1)).toEqual(['a:1'])
    expect(log.count(/discovery by keys failed: not yet/)).toBe(1)
    await runner.stop()
    expect(did.slice(3)).toEqual(['unregister self:1'])
  })

  it('tells how each strategy does', async () => {
    let fails = false
    const flaky = polled('flaky', { intervalMs: 1000 }, async () => {
      if (fails) throw new Error('no route')
      return ['a:1', 'b:1']
    })
    const { runner } = run(flaky)
    await vi.advanceTimersByTimeAsync(1)
    expect(runner.report()).toMatchObject([
      { source: 'flaky', addresses: ['a:1', 'b:1'], answers: 1, failures: 0, failure: undefined },
    ])
    fails = true
    while (runner.report()[0]?.failures === 0) await vi.advanceTimersByTimeAsync(10)
    expect(runner.report()).toMatchObject([{ addresses: ['a:1', 'b:1'], answers: 1, failure: 'no route' }])
    fails = false
    while (runner.report()[0]?.answers === 1) await vi.advanceTimersByTimeAsync(10)
    expect(runner.report()).toMatchObject([{ answers: 2, failures: 1, failure: undefined }])
    await runner.stop()
  })

  it('derives keys from the secrets: others for another cluster, purpose or secret, none without one', async () => {
    const keysOf = async (secrets: readonly string[], cluster: string, purpose: string): Promise<string[]> => {
      const keys: string[] = []
      const asks: Discovery = async function* (context) {
        for (const key of context.keys(purpose)) keys.push(Buffer.from(key).toString('hex'))
        yield []
      }
      const [limiter, { logger }] = [new LogLimiter(() => 0), new Recorder()]
      const options = { self: { ...self, cluster }, secrets, logger, limiter, time: realTime, found(): void {} }
      const runner = runDiscovery([asks], options)
      await vi.advanceTimersByTimeAsync(1)
      await runner.stop()
      return keys
    }
    const first = await keysOf(['s'], 'c', 'gossip')
    const rotating = await keysOf(['t', 's'], 'c', 'gossip')
    const others = [await keysOf(['s'], 'c', 'other'), await keysOf(['s'], 'd', 'gossip')]
    expect(first[0]).toHaveLength(64)
    expect(rotating[1]).toBe(first[0])
    expect(new Set([first, rotating, others].flat(2)).size).toBe(4)
    expect(await keysOf([''], 'c', 'gossip')).toEqual([])
  })
})

describe('a polled question', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('is asked again after about its interval, and only a change is an answer', async () => {
    let asked = 0
    let answer = ['b:1', 'a:1', 'a:1']
    const running = ask(
      polled('q', { intervalMs: 1000 }, async () => {
        asked++
        return answer
      }),
      'x',
    )
    expect(await running.next()).toEqual(['a:1', 'b:1'])
    const next = running.next()
    await vi.advanceTimersByTimeAsync(10_000)
    // Ten, give or take two; the pause between two questions is measured by a clock that stands still here.
    expect(asked).toBeGreaterThan(5)
    expect(asked).toBeLessThan(14)
    answer = []
    await vi.advanceTimersByTimeAsync(1300)
    expect(await next).toEqual([])
    const fresh = running.next()
    running.refresh()
    await vi.advanceTimersByTimeAsync(300)
    expect(await fresh).toEqual([])
    await running.end()
  })

  it('is not asked more than four times a second, however often a fresh answer is wanted', async () => {
    let asked = 0
    const running = ask(
      polled('q', {}, async () => {
        asked++
        return [`a:${asked}`]
      }),
      'x',
    )
    let ended = false
    const drained = (async () => {
      while (!ended) await running.next()
    })()
    for (let i = 0; i < 100; i++) {
      running.refresh()
      await vi.advanceTimersByTimeAsync(20)
    }
    expect(asked).toBeGreaterThan(6)
    expect(asked).toBeLessThan(11)
    ended = true
    running.refresh()
    await vi.advanceTimersByTimeAsync(300)
    await drained
    await running.end()
  })

  it('fails when it has no answer in time, also where it does not heed its signal', async () => {
    let heard: AbortSignal | undefined
    const deaf = polled('q', { timeoutMs: 500 }, (signal) => {
      heard = signal
      return new Promise(() => {})
    })
    const next = ask(deaf, 'x').next()
    const failed = expect(next).rejects.toThrow('no answer within 500 ms')
    await vi.advanceTimersByTimeAsync(500)
    await failed
    expect(heard?.aborted).toBe(true)
  })

  it('ends at once with the node', async () => {
    const running = ask(
      polled('q', {}, () => new Promise(() => {})),
      'x',
    )
    const next = running.next().catch(() => 'ended')
    await vi.advanceTimersByTimeAsync(10)
    await Promise.allSettled([running.end()])
    expect(await next).toBe('ended')
  })

  it.each([{ intervalMs: 0 }, { intervalMs: Number.NaN }, { timeoutMs: -1 }, { timeoutMs: '5s' as unknown as number }])(
    'refuses %o',
    (options) => {
      expect(() => polled('q', options, async () => [])).toThrow(TypeError)
    },
  )
})
