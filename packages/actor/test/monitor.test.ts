/** `$.monitor()`: whoever watches an actor hears of its end once, and why. */
import type { Pid } from '@skep/tracker'
import { describe, expect, test } from 'vitest'
import { anonymous, type Down, defineActor, type RefOf, via } from '../src/index.js'
import { errorOf, gate, rest, type TestNode, World } from './world.js'

const Counter = defineActor('counter', {
  init: (start: number) => ({ n: start }),
  on: { value: (self) => self.state.n },
})

function pair(): { world: World; a: TestNode; b: TestNode } {
  const world = new World()
  const [a, b] = ['a', 'b'].map((name) => world.add(name, { actors: [Counter] })) as [TestNode, TestNode]
  return { world, a, b }
}

/** All that a watch gives, and whether it is done. */
function watched(ref: RefOf<typeof Counter>): { readonly downs: Down[]; done: boolean; error: unknown } {
  const seen = { downs: [] as Down[], done: false, error: undefined as unknown }
  const run = async (): Promise<void> => {
    for await (const down of ref.$.monitor()) seen.downs.push(down)
  }
  run().then(
    () => {
      seen.done = true
    },
    (error: unknown) => {
      seen.error = error
    },
  )
  return seen
}

/** A counter named x at `a`, watched from its own node and from the other one, by name and by pid. */
async function watchedFromAll(
  world: World,
  a: TestNode,
  b: TestNode,
): Promise<{ pid: Pid; all: ReturnType<typeof watched>[] }> {
  const pid = await a.system.start(Counter, via('x'), 0)
  const refs = [a, b].flatMap(({ system }) => [system.via(Counter, 'x'), system.ref(Counter, pid)])
  const all = refs.map(watched)
  await rest()
  expect(all.flatMap(({ downs }) => downs)).toEqual([])
  await world.time.pass(60_000)
  expect(all.some(({ done, error }) => done || error !== undefined)).toBe(false)
  return { pid, all }
}

describe('a monitor', () => {
  test('gives the end of an actor that is stopped, once, on its own node and on others', async () => {
    const { world, a, b } = pair()
    const { pid, all } = await watchedFromAll(world, a, b)
    await b.system.via(Counter, 'x').$.stop('done')
    await rest()
    for (const { downs, done } of all) {
      expect(downs.map(({ reason }) => reason)).toEqual(['stopped'])
      expect(downs.every((down) => down.pid.equals(pid))).toBe(true)
      expect(done).toBe(true)
    }
    expect([a.system.stats(), b.system.stats()]).toMatchObject([
      { pending: 0, open: 0 },
      { pending: 0, open: 0 },
    ])
  })

  test('says when the name went to another copy, and when the actor goes on elsewhere', async () => {
    const { world, a, b } = pair()
    const { all } = await watchedFromAll(world, a, b)
    a.deactivate?.({ pid: a.system.reports()[0]?.pid as Pid, name: 'x', reason: 'conflict' })
    await rest()
    expect(all.map(({ downs }) => downs[0]?.reason)).toEqual(['conflict', 'conflict', 'conflict', 'conflict'])
    const pid = await a.system.spawn(Counter, via('placed'), 0)
    const host = pid.node === 'a' ? a : b
    const other = host === a ? b : a
    const named = await host.system.start(Counter, via('named'), 0)
    const seen = [watched(other.system.ref(Counter, pid)), watched(other.system.ref(Counter, named))]
    await rest()
    await host.system.stopAll('drain')
    await rest()
    expect(seen.map(({ downs }) => downs[0]?.reason)).toEqual(['moved', 'stopped'])
  })

  test('says that the node is down as soon as that is known; a link that only broke ends nothing', async () => {
    const { world, a, b } = pair()
    const pid = await a.system.start(Counter, via('x'), 0)
    const seen = [watched(b.system.via(Counter, 'x')), watched(b.system.ref(Counter, pid))]
    await rest()
    for (let i = 0; i < 3; i++) {
      world.cutLink(a, b)
      await world.time.pass(5_000)
      world.mendLink(a, b)
      await rest()
    }
    expect(seen.map(({ downs, error }) => [downs, error])).toEqual([[[], undefined], [[], undefined]]) // biome-ignore format: one line
    expect(a.system.stats().open).toBe(2)
    await world.kill(a)
    await rest()
    expect(seen.map(({ downs }) => downs[0]?.reason)).toEqual(['node-down', 'node-down'])
  })

  test('of a node that goes on as another boot ends for the others, with that pid; not on the node itself', async () => {
    const { world, a, b } = pair()
    const { pid, all } = await watchedFromAll(world, a, b)
    world.rejoin(a)
    await rest()
    expect(all.map(({ downs }) => downs[0]?.reason)).toEqual([undefined, undefined, 'node-down', 'node-down'])
    expect(all[2]?.downs[0]?.pid.equals(pid)).toBe(true)
    const again = watched(b.system.via(Counter, 'x'))
    await rest()
    await a.system.via(Counter, 'x').$.stop()
    await rest()
    expect([all[0], again].map((one) => one?.downs[0]?.reason)).toEqual(['stopped', 'stopped'])
  })

  test('of one that has ended already says so, of a node that is gone too, and of a name that nobody holds fails', async () => {
    const { world, a, b } = pair()
    const pid = await a.system.start(Counter, anonymous, 0)
    const ref = b.system.ref(Counter, pid)
    await ref.$.stop()
    const ended = watched(ref)
    await rest()
    expect(ended.downs.map(({ reason }) => reason)).toEqual(['stopped'])
    await world.kill(a)
    const gone = watched(ref)
    await rest()
    expect(gone.downs.map(({ reason }) => reason)).toEqual(['node-down'])
    const monitor = b.system.via(Counter, 'nobody').$.monitor()
    expect(await errorOf(monitor.next())).toMatchObject({ code: 'ERR_NOT_REGISTERED' })
    expect(await monitor.next()).toEqual({ done: true, value: undefined })
  })

  test('that is broken off, or whose signal is aborted, leaves nothing behind', async () => {
    const { a, b } = pair()
    const pid = await a.system.start(Counter, via('x'), 0)
    for (const { system } of [a, b]) {
      const left = system.ref(Counter, pid).$.monitor()
      const waits = left.next()
      await rest()
      expect(await left.return?.()).toEqual({ done: true, value: undefined })
      expect(await waits).toEqual({ done: true, value: undefined })
      const stop = new AbortController()
      const ended = watched(system.via(Counter, 'x').$.with({ signal: stop.signal }))
      await rest()
      stop.abort(new Error('enough'))
      await rest()
      expect(ended.error).toMatchObject({ code: 'ERR_ABORTED' })
      const late = watched(system.via(Counter, 'x').$.with({ signal: stop.signal }))
      await rest()
      expect(late.error).toMatchObject({ code: 'ERR_ABORTED' })
    }
    expect([a.system.stats(), b.system.stats()]).toMatchObject([
      { pending: 0, open: 0 },
      { pending: 0, open: 0 },
    ])
    expect(await b.system.via(Counter, 'x').value()).toBe(0)
  })

  test('is no call that somebody waits for, has no deadline, and ends with its own node', async () => {
    const { a, b } = pair()
    const pid = await a.system.start(Counter, via('x'), 0)
    const seen = watched(b.system.ref(Counter, pid).$.with({ timeout: 10 }))
    await rest()
    expect(b.system.waitingFor(10)).toEqual([])
    b.system.close()
    await rest()
    expect(seen.error).toMatchObject({ code: 'ERR_STOPPED' })
  })

  test('of an actor that still starts waits for its end like any other', async () => {
    const begun = gate()
    const Slow = defineActor('slow', { init: () => begun.promise, on: { nothing: () => {} } })
    const world = new World()
    const a = world.add('a', { actors: [Slow] })
    const starting = errorOf(a.system.start(Slow, anonymous))
    await rest()
    const pid = a.system.reports()[0]?.pid as Pid
    const monitor = a.system.ref(Slow, pid).$.monitor()
    const end = monitor.next()
    await a.system.ref(Slow, pid).$.stop()
    expect(await end).toMatchObject({ value: { reason: 'stopped' } })
    expect(await starting).toMatchObject({ code: 'ERR_INIT_FAILED' })
  })
})
