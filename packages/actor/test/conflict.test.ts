/** Two copies of one name: the one that keeps it merges what the other one was, and takes over what waits there. */
import type { Claim, Pid } from '@skep/tracker'
import { describe, expect, test } from 'vitest'
import { defineActor, via } from '../src/index.js'
import { gate, rest, type TestNode, World } from './world.js'

let running = gate()
let fails = false

/** Counts by who counted, so that what both sides of a cut did can be merged. */
const Votes = defineActor('votes', {
  init: () => ({ by: new Map<string, number>(), merges: 0 }),
  on: {
    add: (self, who: string) => {
      const count = (self.state.by.get(who) ?? 0) + 1
      self.state.by.set(who, count)
      return `${self.node.name}:${count}`
    },
    all: (self) => self.state,
    wait: async () => running.promise,
    waitAndFall: async (self) => {
      await running.promise
      self.state.by.set('nonsense', Number.NaN)
      self.crash(new Error('oops'))
    },
  },
  onConflict: (self, theirs) => {
    if (fails) throw new Error('they cannot be merged')
    for (const [who, count] of theirs.by) self.state.by.set(who, Math.max(count, self.state.by.get(who) ?? 0))
    self.state.merges += 1
  },
})

const Plain = defineActor('plain', { init: () => ({ n: 0 }), on: { add: (self) => ++self.state.n } })

/** Keeps bigints, sends text. */
const Packed = defineActor('packed', {
  init: () => ({ total: 0n }),
  on: { add: (self, by: bigint) => (self.state.total += by) },
  handoff: { out: (self) => String(self.state.total), in: (saved: string) => ({ total: BigInt(saved) }) },
  onConflict: (self, theirs) => {
    self.state.total += theirs.total
  },
})

interface Split {
  readonly world: World
  readonly a: TestNode
  readonly b: TestNode
  readonly c: TestNode
  /** The copies of the name x at `a` and `b`; `b` has the name. */
  readonly loser: Pid
  readonly winner: Claim
}

async function split(actor: typeof Votes | typeof Plain | typeof Packed): Promise<Split> {
  running = gate()
  fails = false
  const world = new World()
  const actors = [Votes, Plain, Packed]
  const [a, b, c] = ['a', 'b', 'c'].map((name) => world.add(name, { actors })) as [TestNode, TestNode, TestNode]
  const loser = await a.system.start(actor as typeof Votes, via('x'))
  world.claims.delete('x')
  await b.system.start(actor as typeof Votes, via('x'))
  return { world, a, b, c, loser, winner: world.claims.get('x') as Claim }
}

const lose = ({ a, loser, winner }: Split, reason = 'conflict'): void =>
  a.deactivate?.({ pid: loser, name: 'x', reason, winner })

describe('of two copies of a name', () => {
  test('the one that keeps it merges what the other one was, which then ends', async () => {
    for (const reason of ['conflict', 'superseded']) {
      const cluster = await split(Votes)
      const { a, b, c, loser } = cluster
      await c.system.ref(Votes, loser).add('left')
      await b.system.via(Votes, 'x').add('right')
      lose(cluster, reason)
      await rest()
      expect(await c.system.via(Votes, 'x').all()).toEqual({
        by: new Map([
          ['left', 1],
          ['right', 1],
        ]),
        merges: 1,
      })
      expect(a.system.stats().actors).toBe(0)
    }
  })

  test('the loser ends its call first, and what waits there is done by the one that has merged it', async () => {
    const cluster = await split(Votes)
    const { a, c, loser } = cluster
    const old = c.system.ref(Votes, loser)
    await old.add('x')
    const first = old.wait()
    await rest()
    const waiting = [old.add('x'), a.system.ref(Votes, loser).add('x')]
    await rest()
    lose(cluster)
    await rest()
    running.open()
    await first
    // Their caller finds what it did before.
    expect((await Promise.all(waiting)).sort()).toEqual(['b:2', 'b:3'])
    expect(await old.add('x')).toBe('b:4')
  })

  test('the loser ends all the same where it cannot be merged, and says so in the log', async () => {
    const cluster = await split(Votes)
    const { a, b, loser } = cluster
    await a.system.ref(Votes, loser).add('left')
    fails = true
    lose(cluster)
    await rest()
    expect(a.system.stats().actors).toBe(0)
    expect(a.lines.find(({ text }) => /could not be merged/.test(text))?.level).toBe('warn')
    expect((await b.system.via(Votes, 'x').all()).merges).toBe(0)
  })

  test('the loser is not merged where it crashes before: its state is not to be trusted', async () => {
    const cluster = await split(Votes)
    const { a, b, c, loser } = cluster
    const falls = c.system.ref(Votes, loser).waitAndFall()
    const down = c.system.ref(Votes, loser).$.monitor().next()
    await rest()
    lose(cluster)
    await rest()
    running.open()
    await falls
    await rest()
    expect(await b.system.via(Votes, 'x').all()).toEqual({ by: new Map(), merges: 0 })
    expect((await down).value).toEqual({ pid: loser, reason: 'crashed' })
    expect(a.system.stats().actors).toBe(0)
  })

  test('the loser does not wait for a winner that is silent for longer than the grace time', async () => {
    const cluster = await split(Votes)
    const { world, a, b } = cluster
    world.cut.add('b>a')
    lose(cluster)
    await rest()
    expect(a.system.stats().actors).toBe(1)
    await world.time.pass(5100)
    expect(a.system.stats().actors).toBe(0)
    expect((await b.system.via(Votes, 'x').all()).merges).toBe(1)
  })

  test('the loser does not wait for its own handoff for longer than the grace time either', async () => {
    const Stuck = defineActor('stuck', {
      init: () => 0,
      on: { add: (self) => ++self.state },
      onConflict: () => {},
      handoff: { out: () => new Promise<number>(() => {}) },
    })
    const cluster = await split(Stuck as never)
    const { world, a } = cluster
    lose(cluster)
    await world.time.pass(5100)
    expect(a.system.stats().actors).toBe(0)
  })

  test('one whose kind has no onConflict simply ends', async () => {
    const cluster = await split(Plain)
    const { a, b } = cluster
    lose(cluster)
    await rest()
    expect(a.system.stats().actors).toBe(0)
    expect(await b.system.via(Plain, 'x').add()).toBe(1)
  })

  test('the other one’s state comes by way of the handoff', async () => {
    const cluster = await split(Packed)
    const { c, loser } = cluster
    await c.system.ref(Packed, loser).add(5n)
    await c.system.via(Packed, 'x').add(2n)
    lose(cluster)
    await rest()
    expect(await c.system.via(Packed, 'x').add(1n)).toBe(8n)
  })

  test('one of another kind is not merged: its state means nothing to the one that keeps the name', async () => {
    for (const kind of ['votes', undefined]) {
      const { world, a, b, loser } = await split(Packed)
      const pid = await b.system.start(Votes, via('y'))
      const winner = { ...(world.claims.get('y') as Claim), name: 'x', kind }
      a.deactivate?.({ pid: loser, name: 'x', reason: 'conflict', winner })
      await rest()
      expect(a.system.stats().actors).toBe(0)
      expect(world.frames.filter(({ from, to }) => from === 'a' && to === 'b')).toEqual([])
      expect((await b.system.ref(Votes, pid).all()).merges).toBe(0)
    }
  })

  test('who watches the loser hears of a conflict', async () => {
    const cluster = await split(Votes)
    const { c, loser } = cluster
    const down = c.system.ref(Votes, loser).$.monitor().next()
    await rest()
    lose(cluster)
    expect((await down).value).toMatchObject({ reason: 'conflict' })
    expect((await c.system.ref(Votes, loser).$.monitor().next()).value).toMatchObject({ reason: 'conflict' })
  })
})
