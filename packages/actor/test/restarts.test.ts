/** How an actor ends by itself, what is told of it, and what its definition says about where and whether it runs again. */
import type { Ended } from '@skep/tracker'
import { pinned, rendezvous } from '@skep/tracker'
import { describe, expect, test } from 'vitest'
import { anonymous, type DownReason, defineActor, type RefOf, via } from '../src/index.js'
import { errorOf, gate, rest, type TestNode, World } from './world.js'

const stops: string[] = []

const Frail = defineActor('frail', {
  init: () => ({ n: 0 }),
  on: {
    value: (self) => self.state.n,
    fall: (self) => {
      self.state.n = -1
      self.crash(new RangeError('out of range'))
      return 'last words'
    },
    leave: (self) => self.stop('had enough'),
    throws: () => {
      throw new Error('only this call')
    },
    wait: async (_self, until: Promise<void>) => void (await until),
    fallLater: (self, ms: number) => void self.after(ms, (then) => then.crash('no error')),
    throwLater: (self, ms: number) =>
      void self.after(ms, () => {
        throw new Error('a timer')
      }),
  },
  onStop: (_self, reason) => void stops.push(reason),
})

interface Gone {
  readonly pid: string
  readonly ended: Ended | undefined
}

/** A node that notes what it tells the tracker of ends. */
function node(world: World): { node: TestNode; gone: Gone[] } {
  const made = world.add('a', { actors: [Frail], isolation: 'off', limits: { stopGraceMs: 1000 } })
  const gone: Gone[] = []
  made.onGone = (pid, options) => gone.push({ pid: String(pid), ended: options?.ended })
  stops.length = 0
  return { node: made, gone }
}

/** Why it ends, as who watches it hears. */
async function reasonOf(ref: RefOf<typeof Frail>): Promise<DownReason | undefined> {
  for await (const { reason } of ref.$.monitor()) return reason
  return undefined
}

describe('a crash', () => {
  test('ends the actor after the running call, without onStop; watchers, the log and the tracker are told', async () => {
    const world = new World()
    const { node: a, gone } = node(world)
    const b = world.add('b', { actors: [Frail] })
    const pid = await a.system.spawn(Frail, via('x'))
    const watches = [a, b].map(({ system }) => reasonOf(system.ref(Frail, pid)))
    await rest()
    const ref = a.system.ref(Frail, pid)
    const [fall, late] = [ref.fall(), errorOf(ref.value())]
    expect(await fall).toBe('last words')
    expect((await late).code).toBe('ERR_ACTOR_STOPPED')
    expect(await Promise.all(watches)).toEqual(['crashed', 'crashed'])
    expect(gone).toEqual([{ pid: String(pid), ended: { how: 'crashed', reason: 'out of range' } }])
    expect(stops).toEqual([])
    const [line] = a.lines.filter(({ level }) => level === 'error')
    expect(line?.text).toMatch(/^frail 'x' <a.*> crashed$/)
    expect(line?.fields.err).toBeInstanceOf(RangeError)
    expect(a.system.stats().actors).toBe(0)
  })

  test('may come from a timer, with whatever error', async () => {
    const world = new World()
    const { node: a, gone } = node(world)
    const pid = await a.system.spawn(Frail, via('x'))
    await a.system.ref(Frail, pid).fallLater(100)
    await world.time.pass(150)
    expect(gone).toMatchObject([{ ended: { how: 'crashed', reason: 'no error' } }])
  })

  test('is neither a method nor a timer that throws: who called hears of it, or the log, and the actor goes on', async () => {
    const world = new World()
    const { node: a, gone } = node(world)
    const pid = await a.system.spawn(Frail, via('x'))
    const ref = a.system.ref(Frail, pid)
    expect((await errorOf(ref.throws())).message).toContain('only this call')
    await ref.throwLater(100)
    await world.time.pass(150)
    expect(await ref.value()).toBe(0)
    expect(a.system.report(pid)?.failures).toBe(2)
    expect(gone).toEqual([])
  })

  test('in onStart refuses the start with that as its cause', async () => {
    const world = new World()
    const Stillborn = defineActor('stillborn', {
      init: () => ({}),
      on: {},
      onStart: (self) => self.crash(new Error('no disk')),
    })
    const a = world.add('a', { actors: [Stillborn] })
    const error = await errorOf(a.system.spawn(Stillborn, via('x')))
    expect([error.code, (error.cause as Error).message]).toEqual(['ERR_INIT_FAILED', 'no disk'])
    expect(a.system.stats().actors).toBe(0)
  })

  test('of an actor that has no name, or that was started here, is its end', async () => {
    const world = new World()
    const { node: a } = node(world)
    const pid = await a.system.start(Frail, anonymous)
    await a.system.ref(Frail, pid).fall()
    await rest()
    expect((await errorOf(a.system.ref(Frail, pid).value())).code).toBe('ERR_NO_PROCESS')
  })

  test('that comes twice, or after a stop, is the first of them', async () => {
    const world = new World()
    const { node: a, gone } = node(world)
    const Twice = defineActor('twice', {
      init: () => ({}),
      on: {
        both: (self) => {
          self.crash(new Error('one'))
          self.crash(new Error('two'))
          self.stop('three')
        },
        stopFirst: (self) => {
          self.stop('one')
          self.crash(new Error('two'))
        },
      },
    })
    const first = await a.system.start(Twice, via('x'))
    await a.system.ref(Twice, first).both()
    await rest()
    const second = await a.system.start(Twice, via('x'))
    await a.system.ref(Twice, second).stopFirst()
    await rest()
    expect(gone.map(({ ended }) => ended)).toEqual([
      { how: 'crashed', reason: 'one' },
      { how: 'stopped', reason: 'one' },
    ])
  })
})

describe('a stop', () => {
  test('of its own is told as that, and runs onStop; one from outside is for good', async () => {
    const world = new World()
    const { node: a, gone } = node(world)
    await a.system.spawn(Frail, via('x'))
    await a.system.via(Frail, 'x').leave()
    await rest()
    await a.system.spawn(Frail, via('x'))
    await a.system.via(Frail, 'x').$.stop('told to')
    expect(gone.map(({ ended }) => ended)).toEqual([{ how: 'stopped', reason: 'had enough' }, undefined])
    expect(stops).toEqual(['had enough', 'told to'])
  })

  test('from outside that waits, or comes, while the actor crashes is for good', async () => {
    const world = new World()
    const { node: a, gone } = node(world)
    const pid = await a.system.spawn(Frail, via('x'))
    const ref = a.system.ref(Frail, pid)
    const [fall, stop] = [ref.fall(), ref.$.stop('told to')]
    await Promise.all([fall, stop])
    // Now while a call still runs.
    const Slow = defineActor('slow', {
      init: () => ({}),
      reentrant: true,
      on: {
        wait: (_self, until: Promise<void>) => until,
        fall: (self) => self.crash(new Error('oops')),
      },
    })
    const open = gate()
    const slow = await a.system.start(Slow, via('y'))
    const other = a.system.ref(Slow, slow)
    const waits = other.wait(open.promise)
    await other.fall()
    const stopped = other.$.stop('told to')
    await rest()
    open.open()
    await Promise.all([waits, stopped])
    expect(gone.map(({ ended }) => ended)).toEqual([undefined, undefined])
  })
})

describe('a definition', () => {
  test('says where and whether its actors run again, and via says otherwise for one of them', async () => {
    const world = new World()
    const Kept = defineActor('kept', { init: () => ({}), on: {}, restart: 'permanent', placement: rendezvous })
    const a = world.add('a', { actors: [Kept] })
    await a.system.spawn(Kept, via('x'))
    const pin = pinned({ role: 'disk' })
    await a.system.spawn(Kept, via('y', { restart: { policy: 'temporary', times: 1 }, placement: pin }))
    const [x, y] = a.spawned.map(([, , , options]) => options)
    expect(x).toMatchObject({ restart: { policy: 'permanent', times: 6, withinMs: 60_000 }, placement: rendezvous })
    expect(y).toMatchObject({ restart: { policy: 'temporary', times: 1 }, placement: pin })
  })

  test('with what is no policy is refused where it is written', () => {
    const define = (restart: unknown) => () =>
      defineActor('bad', { init: () => ({}), on: {}, restart: restart as 'permanent' })
    expect(define('never')).toThrow(/^defineActor\('bad'\): restart must be permanent, transient or temporary/)
    expect(define({ policy: 'permanent', times: 1.5 })).toThrow(/defineActor\('bad'\): restart.times must be/)
    expect(() => via('x', { restart: 'never' as 'permanent' })).toThrow(/^via\('x'\): restart must be/)
  })
})

describe('a node that leaves', () => {
  test('tells who watches a temporary actor that it goes with it', async () => {
    const world = new World()
    const { node: a } = node(world)
    const [kept, brief] = [await a.system.spawn(Frail, via('kept')), await a.system.spawn(Frail, via('brief'))]
    const claim = world.claims.get('brief')
    if (claim?.placed === undefined) throw new Error('not placed')
    const restart = { policy: 'temporary', times: 0, withinMs: 1 } as const
    world.claims.set('brief', { ...claim, placed: { ...claim.placed, terms: { strategy: undefined, restart } } })
    const reasons = [kept, brief].map((pid) => reasonOf(a.system.ref(Frail, pid)))
    await rest()
    await a.system.stopAll('drain')
    expect(await Promise.all(reasons)).toEqual(['moved', 'node-down'])
  })
})
