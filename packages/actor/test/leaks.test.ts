/**
 * What is left behind by a hundred thousand actors of all sorts, that end in all ways: nothing. Counted are processes,
 * calls, names, timers, listeners, what keeps the event loop alive, and bytes.
 */
import { getEventListeners } from 'node:events'
import type { Pid } from '@skep/tracker'
import { expect, test } from 'vitest'
import { anonymous, defineActor, via } from '../src/index.js'
import { collect, type TestNode, World } from './world.js'

/** Told of the ends of all that are linked to it. */
const Host = defineActor('host', {
  init: () => ({ ends: 0 }),
  on: { ends: (self) => self.state.ends },
  onExit: (self) => {
    self.state.ends += 1
  },
})

/** Has timers of all sorts; one that is not to stay has none that would keep it. */
const Guest = defineActor('guest', {
  init: (stays: boolean) => ({ stays, sum: 0 }),
  onStart: (self) => {
    self.every(700, () => {})
    self.every(800, 'pay', 0)
    if (!self.state.stays) return
    self.after(600_000, () => {})
    self.after(600_000, 'pay', 1)
  },
  on: {
    pay: (self, amount: number) => {
      self.state.sum += amount
      return self.state.sum
    },
    bind: async (self, other: Pid) => await self.link(other),
    leave: (self) => self.stop('enough'),
    fall: (self) => self.crash(new Error('slipped')),
  },
  idleAfter: 1000,
})

/** Takes along whoever is linked to it. */
const Partner = defineActor('partner', { init: () => 0, on: { fall: (self) => self.crash(new Error('slipped')) } })

const BATCHES = 500
const BATCH = 200

interface House {
  readonly world: World
  readonly a: TestNode
  readonly b: TestNode
  /** One on each node. */
  readonly hosts: readonly Pid[]
  /** Of all calls and monitors. */
  readonly signal: AbortSignal
}

async function open(): Promise<House> {
  const world = new World()
  const [a, b] = ['a', 'b'].map((name) => world.add(name, { actors: [Host, Guest, Partner], isolation: 'off' })) as [
    TestNode,
    TestNode,
  ]
  const hosts = await Promise.all([a, b].map(({ system }) => system.start(Host, anonymous)))
  return { world, a, b, hosts, signal: new AbortController().signal }
}

/** One of them from its start on, called from its own node or the other one; gives what ends it, and is over then. */
async function guest({ a, b, hosts, signal }: House, i: number): Promise<() => Promise<unknown>> {
  // Few wait for their time to come: time passes slowly here.
  const idles = i % 100 === 0
  const { system } = i % 5 === 0 ? b : a
  const name = `guest-${i}`
  if (i % 3 === 0) await a.system.start(Guest, via(name), !idles)
  if (i % 3 === 1) await a.system.spawn(Guest, via(name), !idles)
  const pid = i % 3 === 2 ? await a.system.start(Guest, anonymous, !idles) : undefined
  const ref = pid === undefined ? system.via(Guest, name) : system.ref(Guest, pid)
  const { $ } = ref.$.with({ signal })
  const monitor = $.monitor()
  const does = Math.floor(i / 12) % 4
  if (does === 0) await ref.bind(hosts[i % 2] as Pid)
  if (does === 1) await Promise.all([1, 2].map(() => ref.$.with({ key: 'k', signal }).pay(1)))
  if (does === 2 || idles) void monitor.next()
  if (does === 2 && i % 2 === 0) await monitor.return?.()
  if (idles) return async () => {}
  const way = i % 4
  if (way === 0) return () => $.stop()
  if (way === 1) return () => ref.leave()
  if (way === 2 || does !== 3) return () => ref.fall()
  const partner = await a.system.start(Partner, anonymous)
  await ref.bind(partner)
  return () => a.system.ref(Partner, partner).fall()
}

async function batch(house: House, first: number): Promise<void> {
  const { world, a, b } = house
  const ends = await Promise.all(Array.from({ length: BATCH }, (_, i) => guest(house, first + i)))
  const over = Promise.all(ends.map((end) => end()))
  await world.time.pass(3000)
  await over
  // What the test itself has noted.
  for (const { lines, gone, spawned } of [a, b]) lines.length = gone.length = spawned.length = 0
  world.frames.length = 0
}

/** All that could be left behind. */
function left({ world, a, b, signal }: House): Record<string, unknown> {
  const listeners = process.eventNames().map((event) => [String(event), process.listenerCount(event)])
  return {
    nodes: [a, b].map(({ system }) => system.stats()),
    names: [world.claims.size, world.reserved.size],
    timers: world.time.timers,
    listeners: [Object.fromEntries(listeners), getEventListeners(signal, 'abort').length],
  }
}

/** Timers, sockets and the like that keep the event loop alive. Some are the test runner's own, which come and go. */
function resources(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind !== 'Immediate').length
}

function heap(): number {
  collect()
  return process.memoryUsage().heapUsed
}

test('a hundred thousand actors with names and without, timers, monitors, links, keys and idleAfter leave nothing behind', {
  timeout: 300_000,
}, async () => {
  const house = await open()
  await batch(house, 0)
  await house.world.time.pass(60_000)
  const [before, alive, bytes] = [left(house), resources(), heap()]
  expect(before).toMatchObject({
    nodes: [{ actors: 1 }, { actors: 1 }].map((one) => ({ ...one, pending: 0, open: 0 })),
  })
  for (let i = 1; i < BATCHES; i++) await batch(house, i * BATCH)
  await house.world.time.pass(60_000)
  expect(left(house)).toEqual(before)
  // One for each batch would be 500.
  expect(resources() - alive).toBeLessThan(100)
  const ends = await Promise.all(house.hosts.map((host) => house.a.system.ref(Host, host).ends()))
  const bound = Array.from({ length: BATCHES * BATCH }, (_, i) => i).filter((i) => Math.floor(i / 12) % 4 === 0)
  expect(ends.reduce((sum, one) => sum + one, 0)).toBe(bound.length)
  // A hundred bytes for each would be ten million.
  expect(heap() - bytes).toBeLessThan(5_000_000)
})
