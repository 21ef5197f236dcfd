/** `idleAfter`: actors that end when nothing comes, and are there again when they are asked for. */
import type { Ended } from '@skep/tracker'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anonymous, child, type Down, defineActor, defineSupervisor, via } from '../src/index.js'
import { errorOf, gate, rest, type TestNode, World } from './world.js'

/** What an outside store would hold. */
let saved = 0
let stops: string[] = []
let starts = 0
let stopping = Promise.resolve()
let working = gate()

const Room = defineActor('room', {
  init: () => {
    starts += 1
    return { n: saved }
  },
  idleAfter: 1000,
  on: {
    add: (self) => {
      self.state.n += 1
      return self.state.n
    },
    work: async () => {
      await working.promise
    },
    plan: (self, ms: number) => void self.after(ms, () => {}),
    beat: (self, ms: number) => void self.every(ms, () => {}),
    async *items() {
      yield 1
      await working.promise
    },
  },
  onStop: async (self, reason) => {
    stops.push(reason)
    await stopping
    saved = self.state.n
  },
})

function world(): { world: World; a: TestNode; b: TestNode } {
  saved = 0
  starts = 0
  stops = []
  stopping = Promise.resolve()
  working = gate()
  const world = new World()
  const [a, b] = ['a', 'b'].map((name) => world.add(name, { actors: [Room] })) as [TestNode, TestNode]
  return { world, a, b }
}

describe('an actor with idleAfter', () => {
  test('ends by way of onStop when no message came for so long, and not before', async () => {
    const { world: w, a } = world()
    const room = a.system.ensure(Room, via('r'))
    await room.add()
    await w.time.pass(900)
    await room.add()
    await w.time.pass(999)
    expect(stops).toEqual([])
    await w.time.pass(1)
    expect(stops).toEqual(['idle'])
    expect(w.claims.has('r')).toBe(false)
    expect(a.system.stats().actors).toBe(0)
  })

  test('is started again by the next ensure call, with what its onStop saved', async () => {
    const { world: w, a, b } = world()
    await a.system.ensure(Room, via('r')).add()
    await w.time.pass(1000)
    expect(await b.system.ensure(Room, via('r')).add()).toBe(2)
    expect(starts).toBe(2)
    expect((await errorOf(a.system.via(Room, 'nobody').add())).code).toBe('ERR_NOT_REGISTERED')
  })

  test('that is placed is released as if its user had stopped it: no policy starts it again', async () => {
    const { world: w, a } = world()
    const ends: (Ended | undefined)[] = []
    a.onGone = (_, options) => void ends.push(options?.ended)
    await a.system.ensure(Room, via('r', { restart: 'permanent' })).add()
    await w.time.pass(1000)
    expect(ends).toEqual([undefined])
  })

  test('loses no call that comes while it ends: ensure waits and starts it again, in order; via hears that nobody has the name', async () => {
    const { world: w, a, b } = world()
    await a.system.ensure(Room, via('r')).add()
    const saving = gate()
    stopping = saving.promise
    await w.time.pass(1000)
    const pid = a.system.whereis('r')
    expect(pid).toBeDefined()
    const calls = [a, b].flatMap(({ system }) => [1, 2].map(() => system.ensure(Room, via('r')).add()))
    const refused = [a, b].map(({ system }) => errorOf(system.via(Room, 'r').add()))
    for (const error of await Promise.all(refused))
      expect([error.code, error.sent]).toEqual(['ERR_NOT_REGISTERED', 'no'])
    const byPid = await errorOf(b.system.ref(Room, pid as never).add())
    expect([byPid.code, byPid.sent]).toEqual(['ERR_NO_PROCESS', 'no'])
    await w.time.pass(500)
    saving.open()
    await w.time.pass(500)
    const got = await Promise.all(calls)
    expect([...got].sort()).toEqual([2, 3, 4, 5])
    expect(got[0]).toBeLessThan(got[1] as number)
    expect(got[2]).toBeLessThan(got[3] as number)
    expect(starts).toBe(2)
  })

  test('that takes longer to end than a caller waits fails that call as not sent', async () => {
    const { world: w, a } = world()
    const room = a.system.ensure(Room, via('r'))
    await room.add()
    stopping = new Promise(() => {})
    await w.time.pass(1000)
    const late = errorOf(room.$.with({ timeout: 300 }).add())
    await w.time.pass(400)
    const error = await late
    expect([error.code, error.sent]).toEqual(['ERR_TIMEOUT', 'no'])
  })

  test('stays while a call runs, a stream is open or an after is to come, and a while longer', async () => {
    for (const keep of ['work', 'items', 'plan'] as const) {
      const { world: w, a } = world()
      const pid = await a.system.start(Room, anonymous)
      const ref = a.system.ref(Room, pid).$.with({ timeout: 100_000 })
      const busy =
        keep === 'work' ? ref.work() : keep === 'plan' ? ref.plan(5500) : ref.items()[Symbol.asyncIterator]().next()
      await w.time.pass(5400)
      expect(stops).toEqual([])
      working.open()
      await busy
      await rest()
      await w.time.pass(950)
      expect(stops).toEqual([])
      await w.time.pass(1100)
      expect(stops).toEqual(['idle'])
    }
  })

  test('is not kept by the beats of its own every', async () => {
    const { world: w, a } = world()
    const pid = await a.system.start(Room, anonymous)
    await a.system.ref(Room, pid).beat(100)
    await w.time.pass(1000)
    expect(stops).toEqual(['idle'])
    expect(w.time.timers).toBeLessThanOrEqual(1)
  })

  test('leaves no timer behind however it ends', async () => {
    const { world: w, a } = world()
    const pid = await a.system.start(Room, anonymous)
    await a.system.ref(Room, pid).$.stop()
    expect(w.time.timers).toBeLessThanOrEqual(1)
  })

  test('answers each ensure call exactly once, whenever it comes', async () => {
    const moments = fc.array(fc.record({ after: fc.integer({ min: 0, max: 1500 }), from: fc.constantFrom(0, 1) }), {
      minLength: 1,
      maxLength: 12,
    })
    await fc.assert(
      fc.asyncProperty(moments, fc.integer({ min: 0, max: 300 }), async (plan, stopMs) => {
        const { world: w, a, b } = world()
        const calls: Promise<number>[] = []
        for (const { after, from } of plan) {
          stopping = new Promise((resolve) => {
            w.time.setTimer(resolve, stopMs)
          })
          await w.time.pass(after)
          calls.push(([a, b][from] as TestNode).system.ensure(Room, via('r')).add())
        }
        await w.time.pass(1000)
        // Each was counted once: what one activation saved, the next one went on with.
        expect([...(await Promise.all(calls))].sort((x, y) => x - y)).toEqual(plan.map((_, i) => i + 1))
      }),
      { numRuns: 40 },
    )
  })

  test('that a supervisor holds is never idle: that says how long it lives', async () => {
    const { world: w, a } = world()
    const Sup = defineSupervisor('sup', {
      children: () => ({
        x: child(Room, anonymous).with({ restart: 'permanent' }),
        y: child(Room, via('y')).with({ restart: 'temporary' }),
      }),
    })
    const sup = a.system.ref(Sup, await a.system.start(Sup, anonymous))
    await w.time.pass(10_000)
    await a.system.reload(Room)
    await w.time.pass(10_000)
    expect([stops, starts]).toEqual([[], 2])
    expect((await sup.children()).map(({ pid, restarts }) => [pid !== undefined, restarts])).toEqual([
      [true, 0],
      [true, 0],
    ])
    // Once that lets it go, it ends; nothing of it is left.
    await sup.$.stop()
    expect(stops).toEqual(['shutdown', 'shutdown'])
    expect(w.time.timers).toBeLessThanOrEqual(1)
  })

  test('that another actor started ends as any other, and that one is told; then it may be idle itself', async () => {
    const { world: w, a } = world()
    const downs: Down[] = []
    const House = defineActor('house', {
      init: () => 0,
      on: { open: async (self) => await self.start(Room, anonymous) },
      onExit: (_self, down) => void downs.push(down),
      onStop: () => void stops.push('house'),
      idleAfter: 3000,
    })
    const pid = await a.system.ref(House, await a.system.start(House, anonymous)).open()
    await w.time.pass(1000)
    expect([stops, downs]).toEqual([['idle'], [{ pid, reason: 'stopped' }]])
    await w.time.pass(3500)
    expect(stops).toEqual(['idle', 'house'])
  })

  test('is refused at once with a time that is none', () => {
    for (const idleAfter of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, '5'] as number[])
      expect(() => defineActor('x', { init: () => 0, on: {}, idleAfter })).toThrow('idleAfter must be milliseconds')
  })
})
