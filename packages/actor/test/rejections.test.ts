/**
 * Rejections that nobody handles: an actor's are its crash; all others are Node's, exactly as if no actor were there. How
 * Node behaves is looked up in processes of their own, which run what was built.
 */
import { spawnSync } from 'node:child_process'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { anonymous, defineActor, type RefOf, via } from '../src/index.js'
import { errorOf, gate, rest, type TestNode, World } from './world.js'

const built = pathToFileURL('packages/actor/dist/rejections.js').href

interface Outcome {
  readonly status: number | null
  readonly out: string
  readonly err: string
}

function run(mode: string, program: string): Outcome {
  const flags = [`--unhandled-rejections=${mode}`, '--input-type=module', '-e', program]
  const { status, stdout, stderr } = spawnSync(process.execPath, flags, { encoding: 'utf8', timeout: 60_000 })
  // Warnings name the process, and stacks the lines of its program.
  const err = stderr.replaceAll(/\(node:\d+\)/g, '(node)').replaceAll(/^ +at .*$|\[eval1\]:\d+/gm, '')
  return { status, out: stdout, err: err.replaceAll(/\n+/g, '\n') }
}

const modes = ['throw', 'strict', 'warn', 'none', 'warn-with-error-code']

/** What a user's program may have set up. */
const setups = {
  nothing: '',
  'a listener': `process.on('unhandledRejection', (reason, promise) => console.log('heard', String(reason), promise instanceof Promise))`,
  'two, one of which throws': `
    process.on('unhandledRejection', () => console.log('first'))
    process.on('unhandledRejection', () => { throw new Error('second') })`,
  'a once, and listeners for late handling': `
    process.once('unhandledRejection', (reason) => console.log('once', String(reason)))
    process.on('rejectionHandled', () => console.log('handled late'))`,
  'listeners for exceptions': `
    process.on('uncaughtExceptionMonitor', (error, origin) => console.log('monitor', error.message, origin))
    process.on('uncaughtException', (error, origin) => console.log('caught', error.message, error.code, origin))`,
}

const others = `
  const late = Promise.reject(new Error('nobody'))
  setImmediate(() => late.catch(() => console.log('late')))
  setImmediate(() => setImmediate(() => Promise.reject('no error at all')))
  process.on('exit', (code) => console.log('exit', code, process.listenerCount('unhandledRejection')))`

describe.each(Object.entries(setups))('a rejection of no actor, with %s set up,', (_, setup) => {
  test.each(modes)('is what it always was, in mode %s', (mode) => {
    const hooked = `
      import { takeRejections, Whose } from '${built}'
      takeRejections()
      new Whose({ rejected: () => console.log('taken') }).run(() => 0)
`
    expect(run(mode, hooked + setup + others)).toEqual(run(mode, setup + others))
  })
})

describe('a rejection of an actor', () => {
  const program = (setup: string): string => `
    import { takeRejections, Whose } from '${built}'
    takeRejections()
    ${setup}
    const whose = new Whose({ rejected: (error) => console.log('taken', String(error)) })
    whose.run(() => {
      Promise.reject(new Error('at once'))
      setTimeout(async () => { await 0; throw 'later' }, 5)
    })
    process.on('exit', (code) => console.log('exit', code))`

  test.each(['throw', 'none', 'warn-with-error-code'])('is told to it alone, in mode %s', (mode) => {
    for (const setup of Object.values(setups)) {
      const out = 'taken Error: at once\ntaken later\nexit 0\n'
      expect(run(mode, program(setup))).toEqual({ status: 0, out, err: '' })
    }
  })

  test('is warned of as well where Node was told to always warn, and raised first where it was told to', () => {
    const warned = run('warn', program(''))
    expect(warned).toMatchObject({ status: 0, out: 'taken Error: at once\ntaken later\nexit 0\n' })
    expect(warned.err).toContain('UnhandledPromiseRejectionWarning')
    const raised = run('strict', program(''))
    expect(raised).toMatchObject({ status: 1, out: 'exit 1\n' })
    expect(raised.err).toContain('Error: at once')
  })

  test('is taken by no one any more after the end, and whatever was laid over it stays', () => {
    const { status, out } = run(
      'throw',
      `
      import { takeRejections, Whose } from '${built}'
      const before = process.emit
      const [first, second] = [takeRejections(), takeRejections()]
      first(); first()
      const whose = new Whose({ rejected: (error) => console.log('taken', error) })
      const turn = () => new Promise((resolve) => setImmediate(resolve))
      await turn()
      console.log(process.emit === before)
      whose.run(() => Promise.reject(1))
      await turn()
      second()
      whose.run(() => Promise.reject(2))
      await turn()
      console.log(process.emit === before)
      const third = takeRejections()
      const below = process.emit
      process.emit = function (...args) { if (args[0] === 'unhandledRejection') console.log('over'); return Reflect.apply(below, this, args) }
      const over = process.emit
      third()
      await turn()
      console.log(process.emit === over)
      process.once('unhandledRejection', (reason) => console.log('heard', reason))
      whose.run(() => Promise.reject(3))
      await turn()
      const fourth = takeRejections()
      whose.run(() => Promise.reject(4))
      await turn()
      fourth()`,
    )
    expect([status, out.split('\n')]).toEqual([
      0,
      ['false', 'taken 1', 'taken 2', 'true', 'true', 'over', 'heard 3', 'taken 4', ''],
    ])
  })
})

const Thrower = defineActor('thrower', {
  init: () => 0,
  on: {
    throws: (): number => {
      throw new Error('told to its caller')
    },
    // biome-ignore lint/correctness/useYield: it has nothing to give.
    async *breaks(): AsyncGenerator<number> {
      await rest()
      throw new Error('told to its reader')
    },
    alive: () => true,
  },
})

const loose = (text: string): void => void Promise.reject(new Error(text))

const Loose = defineActor('loose', {
  init: (when: string) => {
    if (when === 'init') loose('init')
    return { when, n: 0 }
  },
  on: {
    method: () => loose('method'),
    later: async (_self, until: Promise<void>) => {
      void until.then(() => loose('later'))
      await until
    },
    timer: (self) => void self.after(10, () => loose('timer')),
    async *stream() {
      loose('stream')
      yield 1
    },
    // Not waited for: whoever asks is to blame, not who answers.
    asks: (_self, whom: RefOf<typeof Thrower>): void => void whom.throws(),
    reads: (_self, whom: RefOf<typeof Thrower>): void => void whom.breaks()[Symbol.asyncIterator]().next(),
    text: () => void Promise.reject('no error'),
    leave: (self) => {
      loose('after its end')
      self.stop()
    },
    alive: () => true,
  },
  onStart: (self) => {
    if (self.state.when === 'onStart') loose('onStart')
  },
})

describe('an actor', () => {
  const node = (): { world: World; a: TestNode } => {
    const world = new World()
    return { world, a: world.add('a', { actors: [Loose, Thrower], isolation: 'off' }) }
  }
  const loosened = async ({ system }: TestNode): Promise<RefOf<typeof Loose>> =>
    system.ref(Loose, await system.start(Loose, anonymous, ''))

  test.each(['method', 'timer', 'stream', 'text'] as const)('crashes by what its %s lets loose', async (where) => {
    const { world, a } = node()
    const [ref, other] = [await loosened(a), await loosened(a)]
    const down = ref.$.monitor().next()
    if (where === 'stream') await ref.stream()[Symbol.asyncIterator]().next()
    else await ref[where]()
    await world.time.pass(10)
    expect((await down).value).toMatchObject({ reason: 'crashed' })
    expect(await other.alive()).toBe(true)
    const [line] = a.lines.filter(({ level }) => level === 'error')
    expect(line?.text).toMatch(/^loose <a.*> crashed: a promise that it made was rejected, and nobody handled that$/)
  })

  test('does not start where its init or onStart lets one loose before it has begun', async () => {
    const open = gate()
    const Slow = defineActor('slow', {
      init: async () => {
        loose('early')
        await open.promise
      },
      on: {},
    })
    const { a } = node()
    const error = await errorOf(a.system.start(Slow, anonymous))
    expect([error.code, (error.cause as Error).message]).toEqual(['ERR_INIT_FAILED', 'early'])
    for (const when of ['init', 'onStart']) {
      await a.system.start(Loose, anonymous, when).catch(() => {})
      await rest()
    }
    expect(a.system.stats().actors).toBe(0)
  })

  test('is known long after the method has returned, and when it has ended', async () => {
    const { a } = node()
    const [ref, gone] = [await loosened(a), await loosened(a)]
    const open = gate()
    await Promise.all([ref.later(open.promise), rest().then(() => open.open())])
    await rest()
    await gone.leave()
    await rest()
    expect(a.system.stats().actors).toBe(0)
    expect(a.lines.filter(({ level }) => level === 'error').map(({ text }) => text)).toEqual([
      expect.stringMatching(/crashed: a promise/),
      expect.stringMatching(/has ended; a promise that it made/),
    ])
  })

  test.each(['asks', 'reads'] as const)(
    'is to blame for what it %s and does not wait for, and not whoever answers it',
    async (how) => {
      const { world, a } = node()
      const far = world.add('b', { actors: [Loose, Thrower] })
      for (const other of [a, far]) {
        const asker = await loosened(a)
        const answerer = a.system.ref(Thrower, await other.system.start(Thrower, anonymous))
        await asker[how](answerer)
        for (let i = 0; i < 3; i++) await rest()
        expect([await asker.alive().catch(() => false), await answerer.alive()]).toEqual([false, true])
      }
    },
  )

  test('crashes by what a listener of its signals lets loose, whoever aborts them', async () => {
    const Listening = defineActor('listening', {
      init: () => 0,
      on: {
        wait: (self) =>
          new Promise<void>(() => {
            self.signal.addEventListener('abort', () => loose('listener'))
          }),
      },
      onStart: (self) => {
        self.signal.addEventListener('abort', () => loose('at its end'))
      },
    })
    const Asking = defineActor('asking', {
      init: (whom: RefOf<typeof Listening>) => whom,
      on: {
        ask: async ({ state }) =>
          void (await state.$.with({ timeout: 50 })
            .wait()
            .catch(() => {})),
      },
    })
    const world = new World()
    const [a, b] = ['a', 'b'].map((name) => world.add(name, { actors: [Listening, Asking], isolation: 'off' })) as [
      TestNode,
      TestNode,
    ]
    for (const how of ['time', 'caller', 'another node', 'another actor'] as const) {
      const pid = await a.system.start(Listening, anonymous)
      const ref = a.system.ref(Listening, pid)
      const asking = a.system.ref(Asking, await a.system.start(Asking, anonymous, ref))
      const down = ref.$.monitor().next()
      const caller = new AbortController()
      const calls = {
        time: () => ref.$.with({ timeout: 50 }).wait(),
        caller: () => ref.$.with({ signal: caller.signal }).wait(),
        'another node': () => b.system.ref(Listening, pid).$.with({ timeout: 50 }).wait(),
        'another actor': () => asking.ask(),
      }
      calls[how]().catch(() => {})
      await rest()
      caller.abort()
      // The call that runs does not end by itself, so the actor ends after its grace time.
      await world.time.pass(10_000)
      expect([how, (await down).value?.reason]).toEqual([how, 'crashed'])
      await asking.$.stop()
    }
    const texts = a.lines.filter(({ level }) => level === 'error').map(({ text }) => text)
    expect(texts).toHaveLength(8)
    for (const text of texts) expect(text).toMatch(/^listening <.*> (crashed|ends|has ended)/)
  })

  test('keeps its state where the handoff lets one loose by which a copy of it is merged, or it gets new code', async () => {
    const make = (version: number) =>
      defineActor('handed', {
        init: (n: number) => ({ n }),
        on: { value: (self) => `${version}: ${self.state.n}` },
        onConflict: (self, theirs) => {
          self.state.n += theirs.n
        },
        handoff: {
          out: ({ state: { n } }) => {
            loose('out')
            return { n }
          },
          in: (saved: { n: number }) => {
            loose('in')
            return saved
          },
        },
      })
    const world = new World()
    const one = make(1)
    const [a, b] = ['a', 'b'].map((name) => world.add(name, { actors: [one] })) as [TestNode, TestNode]
    const pid = await a.system.start(one, via('x'), 1)
    world.claims.delete('x')
    await b.system.start(one, via('x'), 2)
    a.deactivate?.({ pid, name: 'x', reason: 'conflict', winner: world.claims.get('x') as never })
    await rest()
    expect(await b.system.via(one, 'x').value()).toBe('1: 3')
    expect(await b.system.reload(make(2))).toEqual({ reloaded: 1, failed: [] })
    await rest()
    expect(await b.system.via(one, 'x').value()).toBe('2: 3')
    const told = [...a.lines, ...b.lines].filter(({ level }) => level === 'error')
    expect(told.map(({ fields }) => (fields.err as Error).message)).toEqual(['out', 'in', 'out', 'in'])
    for (const { text } of told)
      expect(text).toMatch(/^a promise that the handoff of handed 'x' <.*> made was rejected/)
  })
})
