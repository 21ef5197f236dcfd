/** Two copies of one name: the one that keeps it merges what the other one was, and takes over what waits there. */
import type { Claim, Pid } from '@skep/tracker'
import { describe, expect, test } from 'vitest'
import { defineActor, via } from '../src/index.js'
import { errorOf, gate, rest, type TestNode, World } from './world.js'

let running = gate()
let merging = gate()
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

  test('the loser is not merged where the call that it waits for crashes it', async () => {
    const Frail = defineActor('frail', {
      init: () => 0,
      on: {
        value: (self) => self.state,
        spoil: async (self) => {
          self.state = -1
          await running.promise
          self.crash(new Error('spoilt'))
        },
      },
      onConflict: (self, theirs) => {
        self.state += theirs
      },
    })
    const cluster = await split(Frail as never)
    const { a, c, loser } = cluster
    const old = c.system.ref(Frail, loser)
    const down = old.$.monitor().next()
    const spoilt = old.spoil()
    await rest()
    lose(cluster)
    await rest()
    running.open()
    await rest()
    expect((await down).value).toMatchObject({ reason: 'crashed' })
    expect(a.system.stats().actors).toBe(0)
    expect(await c.system.via(Frail, 'x').value()).toBe(0)
    await spoilt
  })

  test('the one that keeps it merges however full its mailbox is', async () => {
    const Small = defineActor('small', {
      init: () => 0,
      mailbox: 1,
      on: { value: (self) => self.state, add: (self) => ++self.state, wait: async () => running.promise },
      onConflict: (self, theirs) => {
        self.state += theirs
      },
    })
    const cluster = await split(Small as never)
    const { c, loser } = cluster
    await c.system.ref(Small, loser).add()
    const winner = c.system.via(Small, 'x')
    const busy = [winner.wait(), winner.add()]
    await rest()
    lose(cluster)
    await rest()
    running.open()
    await Promise.all(busy)
    await rest()
    expect(await winner.value()).toBe(2)
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

const Till = defineActor('till', {
  init: () => ({ by: new Map<string, number>() }),
  on: {
    pay: (self, amount: number) => {
      const sum = (self.state.by.get(self.node.name) ?? 0) + amount
      self.state.by.set(self.node.name, sum)
      return `${self.node.name}:${sum}`
    },
    sum: (self) => [...self.state.by.values()].reduce((all, one) => all + one, 0),
    wait: async () => running.promise,
    // A ref to a kind that not every node knows.
    who: (self) => self.node.ref(Votes, self.pid),
  },
  keys: { entries: 3, ms: 1000 },
  onConflict: async (self, theirs) => {
    await merging.promise
    if (fails) throw new Error('they cannot be merged')
    for (const [who, sum] of theirs.by) self.state.by.set(who, Math.max(sum, self.state.by.get(who) ?? 0))
  },
})

/** The same, but what the other one was is lost. */
const Forgetful = defineActor('till', {
  init: () => ({ by: new Map<string, number>() }),
  on: {
    pay: (self, amount: number) => {
      const sum = (self.state.by.get(self.node.name) ?? 0) + amount
      self.state.by.set(self.node.name, sum)
      return `${self.node.name}:${sum}`
    },
    sum: (self) => [...self.state.by.values()].reduce((all, one) => all + one, 0),
  },
})

describe('a call with a key that the loser has answered', () => {
  const tills = async (
    actor: typeof Till = Till,
    limits = {},
  ): Promise<Split & { pay: (pid: Pid | undefined, key: string, amount?: number) => Promise<string> }> => {
    running = gate()
    merging = gate()
    fails = false
    const world = new World()
    const [a, b, c] = ['a', 'b', 'c'].map((name) =>
      world.add(name, { actors: name === 'a' ? [actor, Votes] : [actor], limits }),
    ) as [TestNode, TestNode, TestNode]
    const loser = await a.system.start(actor, via('x'))
    world.claims.delete('x')
    await b.system.start(actor, via('x'))
    return {
      ...{ world, a, b, c, loser, winner: world.claims.get('x') as Claim },
      pay: (pid, key, amount = 5) => {
        const ref = pid === undefined ? c.system.via(actor, 'x') : c.system.ref(actor, pid)
        return ref.$.with({ key }).pay(amount)
      },
    }
  }
  const merged = async (cluster: Split): Promise<void> => {
    lose(cluster)
    merging.open()
    await rest()
  }

  test('is not done again by the winner that has merged it: the answer is repeated', async () => {
    const cluster = await tills()
    const { pay, c, loser } = cluster
    expect(await pay(loser, 'k')).toBe('a:5')
    await merged(cluster)
    expect([await pay(undefined, 'k'), await pay(loser, 'k')]).toEqual(['a:5', 'a:5'])
    expect(await c.system.via(Till, 'x').sum()).toBe(5)
  })

  test('nor where it is asked again while the winner still merges', async () => {
    const cluster = await tills()
    const { pay, c, loser } = cluster
    await pay(loser, 'k')
    lose(cluster)
    await rest()
    const again = [pay(undefined, 'k'), pay(loser, 'k'), pay(undefined, 'l', 1)]
    await rest()
    merging.open()
    expect(await Promise.all(again)).toEqual(['a:5', 'a:5', 'b:1'])
    expect(await c.system.via(Till, 'x').sum()).toBe(6)
  })

  test('is done again where the merge has failed, and where nothing is merged: what it did is lost', async () => {
    for (const actor of [Till, Forgetful as unknown as typeof Till]) {
      const cluster = await tills(actor)
      const { pay, c, loser } = cluster
      await pay(loser, 'k')
      fails = true
      await merged(cluster)
      expect(await pay(undefined, 'k')).toBe('b:5')
      expect(await c.system.via(actor, 'x').sum()).toBe(5)
    }
  })

  test('of both, has the answer of the winner there', async () => {
    const cluster = await tills()
    const { pay, loser } = cluster
    await pay(loser, 'k')
    await pay(undefined, 'k', 7)
    await merged(cluster)
    expect(await pay(undefined, 'k')).toBe('b:7')
  })

  test('is forgotten by its age among those of the winner, within the one window', async () => {
    const cluster = await tills()
    const { world, pay, loser } = cluster
    await pay(loser, 'old')
    await world.time.pass(100)
    await pay(undefined, 'older than new')
    await world.time.pass(100)
    for (const key of ['new', 'newest']) await pay(loser, key)
    await merged(cluster)
    // Three are remembered: asked for from the newest on, so that none is forgotten by the asking.
    expect(await pay(undefined, 'newest')).toBe('a:15')
    expect(await pay(undefined, 'new')).toBe('a:10')
    expect(await pay(undefined, 'older than new')).toBe('b:5')
    expect(await pay(undefined, 'old', 1)).toBe('b:6')
    await world.time.pass(950)
    expect(await pay(undefined, 'new')).toBe('a:10')
    await world.time.pass(50)
    expect(await pay(undefined, 'new', 1)).toBe('b:7')
  })

  test('does not keep a state from being merged that is nearly too large', async () => {
    const cluster = await tills(Till, { maxPayloadBytes: 150 })
    const { pay, c, loser } = cluster
    await pay(loser, 'k'.repeat(200))
    await merged(cluster)
    expect(await c.system.via(Till, 'x').sum()).toBe(5)
  })

  test('is not done again where its answer cannot be read at its new place', async () => {
    const cluster = await tills()
    const { c, loser } = cluster
    await c.system
      .ref(Till, loser)
      .$.with({ key: 'k' })
      .who()
      .catch(() => {})
    await merged(cluster)
    const error = await errorOf(c.system.via(Till, 'x').$.with({ key: 'k' }).who())
    expect([error.code, error.sent]).toEqual(['ERR_BAD_REPLY', 'yes'])
    expect(error.message).toContain('was done; its answer cannot be read here')
  })
})
