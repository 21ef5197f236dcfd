/** Placed actors that end by themselves, in whole nodes on a virtual clock: what runs again, where, and what is told. */
import { defineActor, isSkepError, type SkepNode, via } from 'skep'
import { describe, expect, test } from 'vitest'
import { type Simulation, simulate } from '../src/index.js'

const on = {
  add: (self: { state: { n: number } }) => ++self.state.n,
}

/** An actor of each policy, and one that fails wherever it is started again. */
function actorsWith(started: (name: string, node: string) => void) {
  const make = (kind: 'permanent' | 'transient' | 'temporary') =>
    defineActor(kind, {
      init: (first: number) => ({ n: first }),
      on: {
        ...on,
        fall: (self) => self.crash(new Error('it fell')),
        leave: (self) => self.stop('it left'),
      },
      onStart: (self) => started(self.name ?? '', self.node.name),
      restart: { policy: kind, times: 3 },
    })
  const Doomed = defineActor('doomed', {
    init: (): object => ({}),
    on: {},
    onStart: (self) => {
      started(self.name ?? '', self.node.name)
      self.after(10, (then) => then.crash(new Error('it falls at once')))
    },
  })
  return { Permanent: make('permanent'), Transient: make('transient'), Temporary: make('temporary'), Doomed }
}

function setUp() {
  const starts = new Map<string, string[]>()
  const actors = actorsWith((name, node) => starts.set(name, [...(starts.get(name) ?? []), node]))
  return { starts, ...actors, all: Object.values(actors) }
}

async function cluster(nodes: number, all: ReturnType<typeof setUp>['all'], seed = 1): Promise<Simulation> {
  const sim = await simulate({ seed, nodes, actors: all })
  await sim.settle()
  return sim
}

function first(sim: Simulation): SkepNode {
  const [node] = sim.nodes
  if (node === undefined) throw new Error('no node runs')
  return node
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    (value) => `no error but ${String(value)}`,
    (error: unknown) => (isSkepError(error) ? error.code : String(error)),
  )
}

describe('an actor that crashes', () => {
  test('runs again with its first arguments and a higher fence, unless it is temporary; watchers hear why', async () => {
    const { all, starts, Permanent, Transient, Temporary } = setUp()
    await using sim = await cluster(3, all)
    const node = first(sim)
    for (const Kind of [Permanent, Transient, Temporary]) {
      const name = Kind.kind
      await node.spawn(Kind, via(name), 5)
      const ref = node.via(Kind, name)
      expect(await ref.add()).toBe(6)
      const fence = node.explain(name).holder?.fence ?? 0
      const watch = (async () => {
        for await (const { reason } of ref.$.monitor()) return reason
        return undefined
      })()
      await sim.advance(100)
      await ref.fall()
      await sim.advance(2000)
      expect(await watch).toBe('crashed')
      const back = Kind !== Temporary
      expect(starts.get(name)).toHaveLength(back ? 2 : 1)
      expect(await codeOf(ref.add())).toBe(back ? 'no error but 6' : 'ERR_NOT_REGISTERED')
      if (back) expect(node.explain(name).holder?.fence).toBeGreaterThan(fence)
    }
    await sim.settle()
    sim.check()
  })

  test('wherever it runs is given up after the limit: it says why, and its name is free', async () => {
    const { all, starts, Doomed, Transient } = setUp()
    await using sim = await cluster(3, all)
    const node = first(sim)
    await node.spawn(Doomed, via('x'))
    await sim.advance(40_000)
    // Six restarts in a minute, by default.
    expect(starts.get('x')).toHaveLength(7)
    for (const one of sim.nodes) {
      expect(one.whereis('x')).toBeUndefined()
      expect(one.explain('x').failed).toEqual({ times: 7, code: 'ERR_ACTOR', reason: 'it falls at once' })
    }
    expect(await node.ensure(Transient, via('x'), 1).add()).toBe(2)
    expect(node.explain('x').failed).toBeUndefined()
    await sim.settle()
    sim.check()
  })

  test('with its node dead right after runs elsewhere all the same', async () => {
    const { all, Transient } = setUp()
    await using sim = await cluster(3, all)
    const names = Array.from({ length: 12 }, (_, i) => `x-${i}`)
    await Promise.all(names.map((name) => first(sim).spawn(Transient, via(name, { visible: 'all' }), 0)))
    const victim = sim.nodes[2] as SkepNode
    const lost = names.filter((name) => victim.whereis(name)?.boot === victim.boot)
    expect(lost.length).toBeGreaterThan(0)
    await Promise.all(lost.map((name) => victim.via(Transient, name).fall()))
    await sim.crash(2)
    await sim.advance(20_000)
    await sim.settle()
    for (const name of names) expect(await first(sim).via(Transient, name).add(), name).toBe(1)
    sim.check()
  })
})

describe('an actor that stops itself', () => {
  test('runs again only where it is permanent; one that is told to stop never does', async () => {
    const { all, starts, Permanent, Transient, Temporary } = setUp()
    await using sim = await cluster(3, all)
    const node = first(sim)
    for (const Kind of [Permanent, Transient, Temporary]) {
      const name = Kind.kind
      await node.spawn(Kind, via(name), 5)
      await node.via(Kind, name).leave()
      await sim.advance(3000)
      const back = Kind === Permanent
      expect(starts.get(name)).toHaveLength(back ? 2 : 1)
      expect(node.whereis(name) !== undefined).toBe(back)
      if (!back) await node.spawn(Kind, via(name), 5)
      await node.via(Kind, name).$.stop()
      await sim.advance(3000)
      expect(starts.get(name)).toHaveLength(2)
      expect(node.whereis(name)).toBeUndefined()
    }
    await sim.settle()
    sim.check()
  })
})

describe('the end of a node', () => {
  test('is the end of its temporary actors, whose watchers hear node-down; the others run elsewhere', async () => {
    const { all, starts, Transient, Temporary } = setUp()
    await using sim = await cluster(4, all)
    const node = first(sim)
    const victim = sim.nodes[3] as SkepNode
    const hosted = async (Kind: typeof Transient | typeof Temporary): Promise<string> => {
      for (let i = 0; ; i++) {
        const name = `${Kind.kind}-${i}`
        const pid = await node.spawn(Kind, via(name, { visible: 'all' }), 0)
        if (pid.boot === victim.boot) return name
      }
    }
    const [kept, brief] = [await hosted(Transient), await hosted(Temporary)]
    const watch = (async () => {
      for await (const { reason } of node.via(Temporary, brief).$.monitor()) return reason
      return undefined
    })()
    await sim.advance(100)
    await sim.crash(3)
    await sim.advance(15_000)
    expect(await watch).toBe('node-down')
    expect([starts.get(kept)?.length, starts.get(brief)?.length]).toEqual([2, 1])
    expect(node.whereis(brief)).toBeUndefined()
    expect(await node.ensure(Temporary, via(brief), 0).add()).toBe(1)
    await sim.settle()
    sim.check()
  })
})

describe('a node that lost most of the others at once', () => {
  test.each([
    [undefined, 'waits half a minute, for it may be the one that is cut off', 20_000],
    [0, 'starts their actors at once where it is told to', 0],
  ])('with a pause of %s %s', async (massLossPause, _, silentMs) => {
    const { Permanent } = setUp()
    await using sim = await simulate({
      seed: 1,
      nodes: 5,
      actors: [Permanent],
      ...(massLossPause === undefined ? {} : { config: { massLossPause } }),
    })
    await sim.settle()
    const names = Array.from({ length: 20 }, (_, i) => `name-${i}`)
    await Promise.all(names.map((name) => first(sim).spawn(Permanent, via(name), 1)))
    const [one, ...others] = sim.nodes as [SkepNode, ...SkepNode[]]
    const held = (): number => names.filter((name) => one.whereis(name) !== undefined).length
    const before = names.filter((name) => one.whereis(name)?.node === one.name).length
    for (const node of others.slice(1)) sim.crash(node)
    await sim.advance(10_000)
    expect(held() === names.length).toBe(silentMs === 0)
    expect(held()).toBeGreaterThanOrEqual(before)
    await sim.advance(silentMs + 15_000)
    expect(held()).toBe(names.length)
  })
})
