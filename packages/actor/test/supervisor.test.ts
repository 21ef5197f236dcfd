/** Supervisors: which children are started again after which ends, in which order, how often, and who calls them then. */
import type { RestartPolicy } from '@skep/tracker'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type ActorLimits,
  anonymous,
  type ChildSpec,
  child,
  defineActor,
  defineSupervisor,
  ignore,
  type RefOf,
  type Strategy,
  via,
} from '../src/index.js'
import { collect, errorOf, gate, rest, type TestNode, World } from './world.js'

/** Starts and ends, in order. */
let seen: string[] = []
/** Those whose next starts fail, and how many of them. */
let failing: Record<string, number> = {}

const Worker = defineActor('worker', {
  init: (name: string) => {
    if ((failing[name] ?? 0) > 0) {
      failing[name] = (failing[name] ?? 0) - 1
      throw new Error(`${name} has no tools`)
    }
    seen.push(`+${name}`)
    return { name, n: 0 }
  },
  on: {
    count: (self) => ++self.state.n,
    fall: (self) => self.crash(new Error('oops')),
    leave: (self) => self.stop('tired'),
    async *forever(self) {
      for (;;) yield ++self.state.n
    },
    wait: async (_self, until: Promise<void>) => await until,
  },
  onStop: (self, reason) => void seen.push(`-${self.state.name} ${reason}`),
})

interface Options {
  readonly strategy?: Strategy
  readonly times?: number
  readonly withinMs?: number
  /** By letter. */
  readonly restart?: Partial<Record<string, RestartPolicy>>
}

/** A supervisor of a, b and c. */
function trio({ restart = {}, ...options }: Options = {}) {
  const one = (name: string): ChildSpec<typeof Worker> => {
    const policy = restart[name]
    const spec = child(Worker, anonymous, name)
    return policy === undefined ? spec : spec.with({ restart: policy })
  }
  return defineSupervisor('trio', { ...options, children: () => ({ a: one('a'), b: one('b'), c: one('c') }) })
}

type Trio = ReturnType<typeof trio>

function node(limits: Partial<ActorLimits> = {}): { world: World; at: TestNode } {
  seen = []
  failing = {}
  const world = new World()
  return { world, at: world.add('n', { actors: [Worker], isolation: 'off', limits }) }
}

async function started(at: TestNode, options?: Options): Promise<{ sup: RefOf<Trio>; all: RefOf<typeof Worker>[] }> {
  const Trio = trio(options)
  const sup = at.system.ref(Trio, await at.system.start(Trio, anonymous))
  const all = [await sup.child('a'), await sup.child('b'), await sup.child('c')]
  seen = []
  return { sup, all }
}

describe('a supervisor', () => {
  test('starts its children in order, and ends them in the reverse one', async () => {
    const { at } = node()
    const Trio = trio()
    const pid = await at.system.start(Trio, anonymous)
    expect(seen).toEqual(['+a', '+b', '+c'])
    expect(await at.system.ref(Trio, pid).children()).toMatchObject([
      { id: 'a', kind: 'worker', restarts: 0 },
      { id: 'b', kind: 'worker', restarts: 0 },
      { id: 'c', kind: 'worker', restarts: 0 },
    ])
    await at.system.ref(Trio, pid).$.stop()
    expect(seen.slice(3)).toEqual(['-c shutdown', '-b shutdown', '-a shutdown'])
    expect(at.system.stats().actors).toBe(0)
  })

  test.each([
    ['one-for-one', ['+b']],
    ['one-for-all', ['-c shutdown', '-a shutdown', '+a', '+b', '+c']],
    ['rest-for-one', ['-c shutdown', '+b', '+c']],
  ] as const)('%s starts again whom it says, in order', async (strategy, expected) => {
    const { at } = node()
    const { sup, all } = await started(at, { strategy })
    await all[1]?.fall()
    await rest()
    expect(seen).toEqual(expected)
    const again = new Set(expected.filter((one) => one.startsWith('+')).map((one) => one.slice(1)))
    expect((await sup.children()).map(({ id, restarts }) => [id, restarts])).toEqual(
      ['a', 'b', 'c'].map((id) => [id, again.has(id) ? 1 : 0]),
    )
  })

  test.each<[RestartPolicy, string, boolean]>([
    ['permanent', 'fall', true],
    ['permanent', 'leave', true],
    ['permanent', 'stop', false],
    ['transient', 'fall', true],
    ['transient', 'leave', false],
    ['transient', 'stop', false],
    ['temporary', 'fall', false],
    ['temporary', 'leave', false],
    ['temporary', 'stop', false],
  ])('of a %s child starts it again after %s: %s', async (policy, end, again) => {
    const { at } = node()
    const { sup, all } = await started(at, { restart: { b: policy } })
    const b = all[1] as RefOf<typeof Worker>
    if (end === 'stop') await b.$.stop()
    else if (end === 'fall') await b.fall()
    else await b.leave()
    await rest()
    expect(seen.includes('+b')).toBe(again)
    expect((await sup.children())[1]?.pid !== undefined).toBe(again)
    expect((await sup.children()).filter(({ pid }) => pid !== undefined)).toHaveLength(again ? 3 : 2)
  })

  test('goes by the policy of the child, then of its name, then of its definition', async () => {
    const { at } = node()
    const Kept = defineActor('kept', {
      init: () => 0,
      on: { leave: (self) => self.stop() },
      restart: 'permanent',
    })
    const Sup = defineSupervisor('sup', {
      children: () => ({
        plain: child(Kept, anonymous),
        named: child(Kept, via('named', { restart: 'temporary' })),
        own: child(Kept, via('own', { restart: 'permanent' })).with({ restart: 'transient' }),
      }),
    })
    const sup = at.system.ref(Sup, await at.system.start(Sup, anonymous))
    for (const id of ['plain', 'named', 'own'] as const) await (await sup.child(id)).leave()
    await rest()
    expect((await sup.children()).map(({ restarts }) => restarts)).toEqual([1, 0, 0])
  })

  test('leaves the temporary ones that it ended with the others where they are', async () => {
    const { at } = node()
    const { sup, all } = await started(at, { strategy: 'one-for-all', restart: { a: 'temporary' } })
    await all[1]?.fall()
    await rest()
    expect(seen).toEqual(['-c shutdown', '-a shutdown', '+b', '+c'])
    await all[2]?.fall()
    await rest()
    expect((await sup.children()).map(({ pid }) => pid !== undefined)).toEqual([false, true, true])
  })

  test('gives refs that follow a child through its restarts, from any node', async () => {
    const { world, at } = node()
    const far = world.add('far', { actors: [Worker] })
    const Trio = trio({ times: 100 })
    const pid = await at.system.start(Trio, via('trio'))
    const refs = [await at.system.ref(Trio, pid).child('b'), await far.system.via(Trio, 'trio').child('b')]
    for (let i = 0; i < 3; i++) {
      const downs = refs.map(async (ref) => (await ref.$.monitor().next()).value?.reason)
      await rest()
      expect(await Promise.all(refs.map((ref) => ref.count()))).toEqual([1, 2])
      for await (const n of refs[1]?.forever() ?? []) if (n === 5) break
      await refs[i % 2]?.fall()
      expect(await Promise.all(downs)).toEqual(['crashed', 'crashed'])
      await rest()
    }
    await at.system.ref(Trio, pid).$.stop()
    for (const ref of refs) expect(await errorOf(ref.count())).toMatchObject({ code: 'ERR_NO_PROCESS', sent: 'no' })
    expect([at, far].map(({ system }) => system.stats())).toMatchObject([
      { actors: 0, pending: 0, open: 0 },
      { actors: 0, pending: 0, open: 0 },
    ])
  })

  test('gives refs that can have a name and be in groups, as long as it lives', async () => {
    const { world, at } = node()
    const { sup, all } = await started(at)
    const [a] = all as [RefOf<typeof Worker>]
    await at.system.register('first', a)
    await at.system.group('workers').join(a)
    await a.fall()
    await rest()
    expect(await at.system.group(Worker, 'workers').call.count()).toMatchObject([{ value: 1 }])
    await sup.$.stop()
    expect([[...world.claims.keys()], world.groups.get('workers')]).toEqual([[], []])
  })

  test('goes on without a child whose init says ignore, until it is asked to restart that', async () => {
    const { at } = node()
    let closed = true
    const Shop = defineActor('shop', {
      init: () => (closed ? ignore : 0),
      on: { fall: (self) => self.crash(new Error('oops')) },
    })
    const Sup = defineSupervisor('sup', {
      times: 1,
      children: () => ({ shop: child(Shop, anonymous), b: child(Worker, anonymous, 'b') }),
    })
    const sup = at.system.ref(Sup, await at.system.start(Sup, anonymous))
    const run = async () => (await sup.children()).map(({ pid }) => pid !== undefined)
    expect(await run()).toEqual([false, true])
    expect((await errorOf(sup.restart('shop'))).code).toBe('ERR_IGNORED')
    closed = false
    await sup.restart('shop')
    expect(await run()).toEqual([true, true])
    closed = true
    await (await sup.child('shop')).fall()
    await rest()
    expect(await run()).toEqual([false, true])
  })

  test('goes on under another boot of its node, and so do its refs', async () => {
    const { world, at } = node()
    world.add('far')
    const { sup } = await started(at)
    const before = sup.$.pid()
    world.rejoin(at)
    await rest()
    const same = at.system.ref(trio(), at.system.reports().find(({ pid }) => pid.id === before?.id)?.pid as never)
    const b = await same.child('b')
    await b.fall()
    await rest()
    expect([await b.count(), seen]).toEqual([1, ['+b']])
  })

  test('ends a child, or starts one anew, where it is told to; that is no failure', async () => {
    const { at } = node()
    const { sup, all } = await started(at, { times: 0, strategy: 'one-for-all' })
    await sup.stop('b')
    await sup.stop('b')
    expect(seen).toEqual(['-b shutdown'])
    const pid = await sup.restart('b')
    expect((await sup.children())[1]).toEqual({ id: 'b', kind: 'worker', pid, restarts: 1 })
    await sup.restart('b')
    expect(seen).toEqual(['-b shutdown', '+b', '-b shutdown', '+b'])
    expect(await all[1]?.count()).toBe(1)
    failing = { b: 1 }
    expect((await errorOf(sup.restart('b'))).code).toBe('ERR_INIT_FAILED')
    expect((await sup.children())[1]?.pid).toBeUndefined()
    expect((await errorOf(sup.restart('x' as 'a'))).message).toMatch(/has no child 'x'; it has a, b, c/)
  })

  test('does not start where a child does not, and ends those that did', async () => {
    const { at } = node()
    failing = { c: 1 }
    const error = await errorOf(at.system.start(trio(), anonymous))
    expect([error.code, (error.cause as Error).message]).toEqual([
      'ERR_INIT_FAILED',
      expect.stringMatching(/^worker <n.*> did not start: c has no tools$/),
    ])
    expect(seen).toEqual(['+a', '+b', '-b shutdown', '-a shutdown'])
    expect(at.system.stats().actors).toBe(0)
  })
})

describe('the intensity of restarts', () => {
  test('is exceeded: the supervisor crashes, its children end, and all is said in one line', async () => {
    const { at } = node()
    const { sup, all } = await started(at, { times: 2 })
    for (let i = 0; i < 3; i++) {
      await all[1]?.fall()
      await rest()
    }
    expect(seen).toEqual(['+b', '+b', '-c shutdown', '-a shutdown'])
    expect((await errorOf(sup.children())).code).toBe('ERR_NO_PROCESS')
    const line = at.lines.filter(({ level, text }) => level === 'error' && text.startsWith('trio')).at(-1)
    expect(String(line?.fields.err)).toBe(
      "Error: more than 2 restarts within 60000 ms; the last was of 'b': it crashed: oops",
    )
  })

  test('counts restarts that fail, and ends a child that never starts', async () => {
    const { at } = node()
    const { sup, all } = await started(at, { strategy: 'rest-for-one', times: 3 })
    failing = { b: 2 }
    await all[1]?.fall()
    await rest()
    expect(seen).toEqual(['-c shutdown', '+b', '+c'])
    failing = { c: 100 }
    await all[0]?.fall()
    await rest()
    expect((await errorOf(sup.children())).code).toBe('ERR_NO_PROCESS')
    expect(failing.c).toBe(100)
  })

  test('is for the supervisor above, which starts the one below anew', async () => {
    const { at } = node()
    const Trio = trio({ times: 1 })
    const Top = defineSupervisor('top', { children: () => ({ trio: child(Trio, via('trio')) }), times: 1 })
    const top = at.system.ref(Top, await at.system.start(Top, anonymous))
    seen = []
    const low = await top.child('trio')
    for (let i = 0; i < 2; i++) {
      await (await low.child('b')).fall()
      await rest()
    }
    expect(seen).toEqual(['+b', '-c shutdown', '-a shutdown', '+a', '+b', '+c'])
    expect(await (await at.system.via(Trio, 'trio').child('b')).count()).toBe(1)
    for (let i = 0; i < 2; i++) {
      await (await low.child('a')).fall()
      await rest()
    }
    expect(at.system.stats().actors).toBe(0)
  })

  test('is for the cluster, where the supervisor is placed', async () => {
    const { at } = node()
    const ends: unknown[] = []
    at.onGone = (_pid, options) => ends.push(options?.ended)
    const Trio = trio({ times: 0 })
    const world = at.world
    const placed = world.add('p', { actors: [Worker, Trio] })
    placed.onGone = at.onGone
    const pid = await placed.system.spawn(Trio, via('trio'))
    await (await placed.system.ref(Trio, pid).child('a')).fall()
    await rest()
    expect(ends.at(-1)).toMatchObject({ how: 'crashed', reason: expect.stringContaining('more than 0 restarts') })
    expect(placed.spawned).toHaveLength(1)
    expect((await errorOf(placed.handing?.export(pid, 'trio') as Promise<unknown>)).code).toBe('ERR_ACTOR_STOPPED')
    const again = await placed.system.spawn(Trio, via('trio'))
    expect((await errorOf(placed.handing?.export(again, 'trio') as Promise<unknown>)).code).toBe('ERR_CANNOT_MOVE')
  })

  test('of whatever failures at whatever times allows so many within so long, and not one more', async () => {
    const gaps = fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 1, maxLength: 25 })
    await fc.assert(
      fc.asyncProperty(gaps, fc.nat(4), fc.integer({ min: 1, max: 100 }), async (pauses, times, withinMs) => {
        const { world, at } = node()
        const { sup, all } = await started(at, { times, withinMs })
        const failures: number[] = []
        for (const [i, pause] of pauses.entries()) {
          await world.time.pass(pause)
          const now = world.time.now()
          failures.push(now)
          await all[i % 3]?.fall()
          await rest()
          // As a stupid twin counts: this one, and all that came less than so long before it.
          const exceeded = failures.filter((at) => at > now - withinMs).length > times
          const lives = await sup.children().then(
            () => true,
            () => false,
          )
          expect(lives).toBe(!exceeded)
          if (exceeded) break
        }
      }),
      { numRuns: 60 },
    )
  })
})

describe('restarts', () => {
  test('that overlap, of whatever strategy, end with all that should run running, in order', async () => {
    const strategies = fc.constantFrom<Strategy>('one-for-one', 'one-for-all', 'rest-for-one')
    const falls = fc.array(fc.array(fc.nat(2), { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(strategies, falls, async (strategy, rounds) => {
        const { at } = node()
        const { sup, all } = await started(at, { strategy, times: 100 })
        for (const round of rounds) {
          await Promise.allSettled(round.map((i) => all[i]?.fall()))
          await rest()
        }
        expect((await sup.children()).every(({ pid }) => pid !== undefined)).toBe(true)
        for (const ref of all) expect(await ref.count()).toBe(1)
        expect(at.system.stats().actors).toBe(4)
        expect(at.lines.filter(({ text }) => text.includes('threw'))).toEqual([])
        seen = []
        await sup.$.stop()
        expect(seen).toEqual(['-c shutdown', '-b shutdown', '-a shutdown'])
      }),
      { numRuns: 60 },
    )
  })

  test('are given up where the supervisor is told to stop meanwhile', async () => {
    const { world, at } = node({ stopGraceMs: 1000 })
    const open = gate()
    let starts = 0
    const Slow = defineActor('slow', {
      init: async () => {
        starts += 1
        if (starts > 1) await open.promise
      },
      on: { fall: (self) => self.crash(new Error('oops')) },
    })
    const Sup = defineSupervisor('sup', {
      children: () => ({ first: child(Worker, anonymous, 'first'), slow: child(Slow, anonymous) }),
    })
    const sup = at.system.ref(Sup, await at.system.start(Sup, anonymous))
    await (await sup.child('slow')).fall()
    await rest()
    const stopped = sup.$.stop()
    await world.time.pass(3000)
    await stopped
    open.open()
    await rest()
    expect([starts, at.system.stats().actors]).toEqual([2, 0])
    expect(at.lines.filter(({ text }) => /started again|crashed/.test(text)).map(({ text }) => text)).toEqual([
      expect.stringMatching(/^slow .* crashed$/),
      "'slow' is started again; it crashed: oops",
    ])
  })

  test('and children are held by nobody once their supervisor has ended', async () => {
    const { at } = node()
    const states: WeakRef<object>[] = []
    const Held = defineActor('held', {
      init: () => {
        const state = {}
        states.push(new WeakRef(state))
        return state
      },
      on: { fall: (self) => self.crash(new Error('oops')) },
    })
    const Sup = defineSupervisor('sup', { children: () => ({ a: child(Held, anonymous), b: child(Held, anonymous) }) })
    const sup = at.system.ref(Sup, await at.system.start(Sup, anonymous))
    await (await sup.child('a')).fall()
    await rest()
    await sup.$.stop()
    await rest()
    // Errors in its lines hold on to whose code made them.
    at.lines.length = 0
    collect()
    expect(states.map((state) => state.deref())).toEqual([undefined, undefined, undefined])
  })

  test('of a hundred thousand leave nothing behind', { timeout: 120_000 }, async () => {
    const { world, at } = node()
    const Quick = defineActor('quick', { init: () => 0, on: { leave: (self) => self.stop() }, restart: 'permanent' })
    const Sup = defineSupervisor('sup', {
      times: 100,
      withinMs: 1,
      children: () => ({ a: child(Quick, anonymous), b: child(Quick, anonymous) }),
    })
    const sup = at.system.ref(Sup, await at.system.start(Sup, anonymous))
    const refs = [await sup.child('a'), await sup.child('b')]
    const timers = world.time.timers
    for (let i = 0; i < 1000; i++) {
      for (let j = 0; j < 50; j++) {
        await Promise.all(refs.map((ref) => ref.leave()))
        // The ends wait in its mailbox by now.
        await new Promise((resolve) => setImmediate(resolve))
        await sup.children()
      }
      await world.time.pass(1)
    }
    expect((await sup.children()).map(({ restarts }) => restarts)).toEqual([50_000, 50_000])
    expect(at.system.stats()).toMatchObject({ actors: 3, pending: 0, open: 0 })
    expect(world.time.timers).toBe(timers)
  })
})

describe('a definition of a supervisor', () => {
  test('with what could never work is refused', () => {
    const define = (options: unknown) => () => defineSupervisor('bad', options as never)
    const children = () => ({})
    expect(() => defineSupervisor('', { children })).toThrow(/the kind must be a string/)
    expect(define(undefined)).toThrow(/\{children\} is missing/)
    expect(define({})).toThrow(/children must be a function/)
    expect(define({ children, strategy: 'all' })).toThrow(/strategy must be one-for-one, one-for-all or rest-for-one/)
    expect(define({ children, times: -1 })).toThrow(/times must be a whole number from 0 to 100/)
    expect(define({ children, withinMs: 0 })).toThrow(/withinMs must be milliseconds/)
    expect(define({ children, restart: 'never' })).toThrow(/restart must be/)
    expect(define({ children, init: children })).toThrow(/unknown option 'init'; known are strategy/)
    expect(() => child({} as typeof Worker, anonymous, 'x')).toThrow(/not an actor definition/)
    expect(() => child(Worker, 'x' as never, 'x')).toThrow(/where must be via\(name\) or anonymous/)
    expect(() => child(Worker, anonymous, 'x').with({ restart: 'never' as 'permanent' })).toThrow(/restart must be/)
    expect(() => child(Worker, anonymous, 'x').with({ restrt: 1 } as never)).toThrow(/unknown option 'restrt'/)
  })

  test('whose list of children is none, or would lose its order, is refused where it starts', async () => {
    const { at } = node()
    const start = async (children: unknown): Promise<string> => {
      const Sup = defineSupervisor('sup', { children: children as () => { a: ChildSpec } })
      return String((await errorOf(at.system.start(Sup, anonymous))).cause)
    }
    expect(await start(() => undefined)).toMatch(/must give an object of child/)
    expect(await start(() => ({ a: Worker }))).toMatch(/children\(\).a must be child/)
    expect(await start(() => ({ 7: child(Worker, anonymous, 'x') }))).toMatch(/'7' is no id for a child/)
  })

  test('gets the arguments that it is started with', async () => {
    const { at } = node()
    const Pair = defineSupervisor('pair', {
      children: (left: string, right: string) => ({
        left: child(Worker, anonymous, left),
        right: child(Worker, anonymous, right),
      }),
    })
    await at.system.start(Pair, anonymous, 'x', 'y')
    expect(seen).toEqual(['+x', '+y'])
  })
})
