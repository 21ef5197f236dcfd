/** The supervisor of workers, with processes that are only noted and a clock that the test moves. */
import cluster from 'node:cluster'
import { EventEmitter } from 'node:events'
import type { Time } from '@skep/cluster'
import { describe, expect, it } from 'vitest'
import type { AdminTarget } from '../src/admin.js'
import type { SignalSource } from '../src/signals.js'
import type { FromWorker, ToWorker } from '../src/worker.js'
import {
  type ExitListener,
  forked,
  restMs,
  startWorkers,
  startWorkersIn,
  type WorkerProcess,
  type Workers,
  type WorkersOptions,
  workersFaults,
} from '../src/workers.js'

class FakeTime implements Time {
  #now = 0
  #timers: { readonly at: number; readonly fn: () => void }[] = []

  now = (): number => this.#now
  wall = (): number => this.#now
  defer = (fn: () => void): void => fn()

  setTimer(fn: () => void, ms: number): () => void {
    const timer = { at: this.#now + ms, fn }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer)
    }
  }

  pass(ms: number): void {
    const until = this.#now + ms
    for (;;) {
      const next = this.#timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      this.#timers = this.#timers.filter((one) => one !== next)
      this.#now = next.at
      next.fn()
    }
    this.#now = until
  }
}

class FakeSignals extends EventEmitter implements SignalSource {
  readonly codes: number[] = []

  exit(code: number): void {
    this.codes.push(code)
  }
}

class FakeProcess implements WorkerProcess {
  readonly pid: number
  readonly number: number
  readonly got: ToWorker[] = []
  readonly signals: string[] = []
  hear: (message: FromWorker) => void = () => {}
  end: ExitListener = () => {}

  constructor(number: number, pid: number) {
    this.number = number
    this.pid = pid
  }

  /** Whether its event loop stands still. */
  hung = false

  send = (message: ToWorker): void => {
    if (message.skep !== 'ping') this.got.push(message)
    else if (!this.hung) this.hear({ skep: 'pong' })
  }
  kill = (signal: NodeJS.Signals): void => void this.signals.push(signal)
  onMessage(listener: (message: FromWorker) => void): void {
    this.hear = listener
  }
  onExit(listener: ExitListener): void {
    this.end = listener
  }

  turn(readiness: 'joining' | 'ready' | 'leaving'): void {
    this.hear({ skep: 'node', name: `m.${this.number}`, address: `10.0.0.1:437${this.number}`, readiness })
  }
  /** Who was said to leave with it, each time that it was told to. */
  told(): (readonly string[])[] {
    return this.got.flatMap((one) => (one.skep === 'leave' ? [one.names] : []))
  }
}

interface Stage {
  readonly time: FakeTime
  readonly signals: FakeSignals
  readonly workers: Workers
  /** All that were ever started, the first ones first. */
  readonly processes: FakeProcess[]
  readonly lines: string[]
  admin(): AdminTarget
  /** The one that was started last for this number. */
  at(number: number): FakeProcess
}

async function stage(options: WorkersOptions = {}): Promise<Stage> {
  const time = new FakeTime()
  const signals = new FakeSignals()
  const processes: FakeProcess[] = []
  const lines: string[] = []
  let target: AdminTarget | undefined
  const say = (level: string) => (_: object | string, text?: string) => void lines.push(`${level}: ${text ?? _}`)
  const logger = {
    debug: say('debug'),
    info: say('info'),
    warn: say('warn'),
    error: say('error'),
    fatal: say('fatal'),
    child: () => logger,
  }
  const world = {
    time,
    signals,
    admin: async (_: unknown, given: AdminTarget) => {
      target = given
      return { address: '127.0.0.1:1', close: async () => {} }
    },
    fork: (number: number) => {
      const process = new FakeProcess(number, 100 + processes.length)
      processes.push(process)
      return process
    },
  }
  const workers = await startWorkersIn(world, { workers: 2, logger, ...options })
  return {
    time,
    signals,
    workers,
    processes,
    lines,
    admin: () => target as AdminTarget,
    at: (number) => processes.findLast((one) => one.number === number) as FakeProcess,
  }
}

async function ready(options: WorkersOptions = {}): Promise<Stage> {
  const made = await stage(options)
  for (const process of made.processes) process.turn('ready')
  return made
}

/** Lets promises run on. */
async function turn(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve()
}

describe('workers', () => {
  it('are told where all of them listen, whenever one comes or goes', async () => {
    const { at } = await stage()
    at(0).turn('joining')
    at(1).turn('joining')
    const both = [
      { name: 'm.0', address: '10.0.0.1:4370' },
      { name: 'm.1', address: '10.0.0.1:4371' },
    ]
    expect(at(0).got).toEqual([
      { skep: 'siblings', siblings: both.slice(0, 1) },
      { skep: 'siblings', siblings: both },
    ])
    expect(at(1).got).toEqual([{ skep: 'siblings', siblings: both }])
    at(0).turn('ready')
    at(1).turn('ready')
    expect(at(0).got).toHaveLength(2)
    at(1).end(null, 'SIGKILL')
    expect(at(0).got.at(-1)).toEqual({ skep: 'siblings', siblings: both.slice(0, 1) })
  })

  it('are ready when all are, and then as long as one is', async () => {
    const { at, workers, admin, time } = await stage({ admin: '127.0.0.1:0' })
    expect(workers.admin).toBe('127.0.0.1:1')
    const waited = workers.ready()
    at(0).turn('ready')
    expect(admin().readiness()).toBe('joining')
    at(1).turn('ready')
    await waited
    expect(admin().readiness()).toBe('ready')
    at(1).end(null, 'SIGKILL')
    expect([admin().readiness(), admin().workers?.()]).toEqual(['ready', { 0: 'ready', 1: 'gone' }])
    at(0).turn('joining')
    time.pass(100)
    expect([admin().readiness(), admin().workers?.()]).toEqual(['joining', { 0: 'joining', 1: 'starting' }])
    void workers.drain()
    expect(admin().readiness()).toBe('leaving')
    await expect(workers.ready()).resolves.toBeUndefined()
  })

  it('that die are started again, after a rest that doubles, and are given up after six times in a minute', async () => {
    const { at, time, processes, signals, lines } = await ready()
    const rests: number[] = []
    for (let death = 1; death <= 6; death++) {
      const count = processes.length
      at(1).end(null, 'SIGKILL')
      let rest = 0
      while (processes.length === count) {
        time.pass(100)
        rest += 100
      }
      rests.push(rest)
    }
    expect(rests).toEqual([100, 200, 400, 800, 1600, 3200])
    expect(lines.filter((line) => line.startsWith('warn'))[0]).toBe(
      'warn: worker 1 (m.1, process 101) was killed by SIGKILL after 0.0 s: started again in 100 ms',
    )
    at(1).end(1, null)
    expect(lines.at(-1)).toMatch(/^fatal: worker 1 .* 7 times within 60 s: given up, the others leave$/)
    expect(at(0).told()).toEqual([['m.0']])
    at(0).end(0, null)
    await turn()
    expect(signals.codes).toEqual([1])
    expect(processes).toHaveLength(8)
  })

  it('that cannot be started are tried again, and the log says why', async () => {
    const { at, time, processes, lines } = await ready()
    at(1).end(null, 'SIGKILL')
    time.pass(100)
    at(1).end(null, null, new Error('spawn ENOMEM'))
    expect(lines.at(-1)).toMatch(/^warn: worker 1 .* could not be started: spawn ENOMEM: started again in 200 ms$/)
    time.pass(200)
    expect(processes).toHaveLength(4)
  })

  it('that die seldom are started again for ever', async () => {
    const { at, time, processes } = await ready()
    for (let death = 0; death < 50; death++) {
      at(0).end(137, null)
      time.pass(20_000)
    }
    expect(processes).toHaveLength(52)
  })

  it('of which one ends before all were ready have failed to start: the others end, and the code is 1', async () => {
    const { at, signals, workers, lines } = await stage()
    const waited = workers.ready()
    at(0).turn('joining')
    at(1).end(1, null)
    await expect(waited).rejects.toMatchObject({ code: 'ERR_STOPPED' })
    expect(lines.at(-1)).toMatch(/^fatal: worker 1 .* ended with code 1 .* the start has failed/)
    expect(at(0).told()).toEqual([['m.0']])
    at(0).end(0, null)
    await turn()
    expect(signals.codes).toEqual([1])
  })

  it('leave together at a signal, each knowing of all, and the code is 0 when all of theirs were', async () => {
    const { at, signals, processes, time } = await ready()
    signals.emit('SIGTERM', 'SIGTERM')
    for (const number of [0, 1]) expect(at(number).told()).toEqual([['m.0', 'm.1']])
    at(0).end(0, null)
    await turn()
    expect(signals.codes).toEqual([])
    at(1).end(0, null)
    await turn()
    expect(signals.codes).toEqual([0])
    time.pass(100_000)
    expect(processes).toHaveLength(2)
  })

  it('that do not end in time are killed, and the code tells', async () => {
    const { at, signals, time } = await ready({ killAfter: 5000 })
    signals.emit('SIGTERM', 'SIGTERM')
    at(0).end(0, null)
    time.pass(4999)
    expect(at(1).signals).toEqual([])
    time.pass(1)
    expect(at(1).signals).toEqual(['SIGKILL'])
    at(1).end(null, 'SIGKILL')
    await turn()
    expect(signals.codes).toEqual([1])
  })

  it('that an operator has drained and that were killed make the code 1 as well', async () => {
    const { admin, at, signals, time } = await ready({ killAfter: 5000, admin: '127.0.0.1:0' })
    void admin().drain()
    at(0).end(0, null)
    time.pass(5000)
    at(1).end(null, 'SIGKILL')
    await turn()
    expect(signals.codes).toEqual([1])
  })

  it('that have no node yet are told by a signal, and end as well as the others', async () => {
    const { at, workers } = await stage()
    at(0).turn('ready')
    const drained = workers.drain()
    expect([at(0).told(), at(0).signals]).toEqual([[['m.0']], []])
    expect([at(1).told(), at(1).signals]).toEqual([[], ['SIGTERM']])
    at(0).end(0, null)
    at(1).end(null, 'SIGTERM')
    expect(await drained).toBe(true)
  })

  it.each([
    ['SIGTERM', true],
    ['SIGINT', true],
    ['SIGSEGV', false],
  ] as const)(
    'that end of a %s before they have a node, while all leave: as it should be is %s',
    async (signal, clean) => {
      const { at, workers } = await stage()
      const drained = workers.drain()
      for (const number of [0, 1]) at(number).end(null, signal)
      expect(await drained).toBe(clean)
    },
  )

  it('one of which gets a signal leaves alone, and another process comes in its place', async () => {
    const { at, time, processes } = await ready()
    at(1).hear({ skep: 'signal', signal: 'SIGTERM' })
    expect(at(1).told()).toEqual([])
    time.pass(100)
    expect([at(0).told(), at(1).told()]).toEqual([[], [['m.1']]])
    at(1).end(0, null)
    time.pass(100)
    expect(processes.map(({ number }) => number)).toEqual([0, 1, 1])
  })

  it('all of which get a signal at once, the supervisor too, leave together whoever was first', async () => {
    const { at, time, signals, processes } = await ready()
    at(1).hear({ skep: 'signal', signal: 'SIGTERM' })
    time.pass(5)
    signals.emit('SIGTERM', 'SIGTERM')
    at(0).hear({ skep: 'signal', signal: 'SIGTERM' })
    time.pass(1000)
    for (const number of [0, 1]) {
      expect(new Set(at(number).told().map(String))).toEqual(new Set(['m.0,m.1']))
      at(number).end(0, null)
    }
    await turn()
    expect([signals.codes, processes.length]).toEqual([[0], 2])
  })

  it('that rest after a death are not started again once all leave', async () => {
    const { at, time, processes, workers } = await ready()
    at(0).end(null, 'SIGKILL')
    const drained = workers.drain()
    at(1).end(0, null)
    expect(await drained).toBe(true)
    time.pass(60_000)
    expect(processes).toHaveLength(2)
  })

  it('whose event loop stands still are killed and started again, and nobody else is', async () => {
    const { at, time, processes, lines } = await ready()
    time.pass(60_000)
    at(1).hung = true
    time.pass(29_000)
    at(1).hung = false
    time.pass(12_000)
    expect(at(1).signals).toEqual([])
    at(1).hung = true
    time.pass(30_000)
    expect(at(1).signals).toEqual([])
    time.pass(6000)
    expect([at(0).signals, at(1).signals]).toEqual([[], ['SIGKILL']])
    expect(lines.at(-1)).toBe('error: worker 1 (m.1, process 101) has not turned for 30000 ms: killed')
    at(1).end(null, 'SIGKILL')
    time.pass(100)
    at(1).turn('ready')
    time.pass(120_000)
    expect(processes.map(({ signals }) => signals.length)).toEqual([0, 1, 0])
  })

  it('whose event loop stands still are let be where that is asked for, and while all leave', async () => {
    const asked = await ready({ hungAfter: 0 })
    asked.at(0).hung = true
    asked.time.pass(600_000)
    expect(asked.at(0).signals).toEqual([])
    const leaving = await ready({ killAfter: 500_000 })
    for (const number of [0, 1]) leaving.at(number).hung = true
    void leaving.workers.drain()
    leaving.time.pass(400_000)
    expect(leaving.at(0).signals).toEqual([])
  })

  it('that are not ready for long are told once', async () => {
    const { at, time, lines } = await stage()
    at(0).turn('joining')
    time.pass(90_000)
    expect(lines.filter((line) => line.startsWith('warn'))).toEqual([
      'warn: worker 0 (m.0, process 100) is not ready after 30 s, but joining',
      'warn: worker 1 (process 101) is not ready after 30 s, but starting',
    ])
  })
})

it('a process that somebody else started by node:cluster is told that it cannot start workers', async () => {
  Object.assign(cluster, { isPrimary: false })
  try {
    await expect(startWorkers('x.js')).rejects.toThrow(/^startWorkers: this process was started by node:cluster/)
  } finally {
    Object.assign(cluster, { isPrimary: true })
  }
})

it('a process that the system refuses to start is told as one that ended, not thrown', async () => {
  // More than one variable may have, so that it is refused at once.
  process.env.SKEP_TEST_LONG = 'x'.repeat(4_000_000)
  try {
    const refused = forked('x.js', [], 0)
    const [code, signal, error] = await new Promise<Parameters<ExitListener>>((resolve) =>
      refused.onExit((...given) => resolve(given)),
    )
    expect([code, signal, error?.message]).toEqual([null, null, 'spawn E2BIG'])
  } finally {
    delete process.env.SKEP_TEST_LONG
  }
})

it.each([
  [1, 100],
  [2, 200],
  [6, 3200],
  [7, undefined],
])('after %i deaths in a minute a worker rests %s ms', (deaths, ms) => expect(restMs(deaths)).toBe(ms))

it.each([
  ['x.js', { workers: 0 }, /workers must be a whole number from 1 to 256, not 0/],
  ['x.js', { workers: 1.5 }, /not 1.5/],
  ['x.js', { worker: 2 }, /worker is not an option of workers; is 'workers' meant\?/],
  ['x.js', { args: ['a', 1] }, /args must be a list of texts/],
  ['x.js', { killAfter: 0 }, /killAfter must be a time in ms above 0/],
  ['x.js', { hungAfter: 1 }, /hungAfter must be a time in ms from 1000, or 0 for never, not 1/],
  ['x.js', { admin: 'nowhere' }, /admin: 'nowhere' has no port/],
  ['x.js', { logger: 'loud' }, /logger must be/],
  ['x.js', undefined, /the options must be an object/],
  ['', {}, /the program must be a path or a file URL/],
  [new URL('https://example.com/x.js'), {}, /the program must be/],
])('faults of %s with %o are told', (program, options, told) => {
  const faults = workersFaults(program, options)
  expect(faults).toHaveLength(1)
  expect(faults[0]).toMatch(told)
})
