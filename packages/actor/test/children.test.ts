/** Actors that an actor started: they end with it, in order, before its `onStop`; and it is told of their ends. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anonymous, type Down, defineActor, via } from '../src/index.js'
import { collect, errorOf, gate, rest, type TestNode, World } from './world.js'

/** What happened, in order. */
let seen: string[] = []

const Leaf = defineActor('leaf', {
  init: (name: string) => {
    if (name === 'rotten seed') throw new Error('rotten')
    return { name }
  },
  on: {
    name: (self) => self.state.name,
    fall: (self) => self.crash(new Error('dry')),
    leave: (self) => self.stop('autumn'),
  },
  onStop: (self, reason) => void seen.push(`${self.state.name}: ${reason}`),
})

const Branch = defineActor('branch', {
  init: (name: string, leaves: readonly string[]) => ({ name, leaves, downs: [] as Down[] }),
  on: {
    grow: async (self, name: string) => await self.start(Leaf, anonymous, name),
    growNamed: async (self, name: string) => await self.start(Leaf, via(name), name),
    downs: (self) => self.state.downs,
    fall: (self) => self.crash(new Error('rotten')),
    wait: async (_self, until: Promise<void>) => await until,
  },
  onStart: async (self) => {
    for (const name of self.state.leaves) await self.start(Leaf, anonymous, name)
  },
  onExit: (self, down): void => void self.state.downs.push(down),
  onStop: (self, reason) => void seen.push(`${self.state.name}: ${reason}`),
})

function node(): { world: World; a: TestNode } {
  seen = []
  const world = new World()
  return { world, a: world.add('a', { actors: [Leaf, Branch], isolation: 'off', limits: { stopGraceMs: 1000 } }) }
}

describe('children', () => {
  test('run like any other actor, and end before the onStop of their parent, the last one first', async () => {
    const { a } = node()
    const pid = await a.system.start(Branch, anonymous, 'b', ['1', '2', '3'])
    const last = await a.system.ref(Branch, pid).grow('4')
    expect(await a.system.ref(Leaf, last).name()).toBe('4')
    await a.system.ref(Branch, pid).$.stop('felled')
    expect(seen).toEqual(['4: shutdown', '3: shutdown', '2: shutdown', '1: shutdown', 'b: felled'])
    expect(a.system.stats().actors).toBe(0)
  })

  test('end with their parent where it crashes, where its start fails, and where its node leaves or is closed', async () => {
    const { a } = node()
    const pid = await a.system.start(Branch, anonymous, 'b', ['1', '2'])
    await a.system.ref(Branch, pid).fall()
    await rest()
    expect(seen).toEqual(['2: shutdown', '1: shutdown'])
    const Stillborn = defineActor('stillborn', {
      init: () => ({}),
      on: {},
      onStart: async (self) => {
        await self.start(Leaf, anonymous, '3')
        throw new Error('frost')
      },
    })
    await errorOf(a.system.start(Stillborn, anonymous))
    expect(seen.at(-1)).toBe('3: shutdown')
    expect(a.system.stats().actors).toBe(0)
    await a.system.start(Branch, anonymous, 'c', ['4', '5'])
    await a.system.stopAll('drain')
    expect(seen.slice(3)).toEqual(['5: shutdown', '4: shutdown', 'c: drain'])
    const { a: other } = node()
    await other.system.start(Branch, anonymous, 'd', ['6'])
    other.system.close()
    await rest()
    expect([seen, other.system.stats().actors]).toEqual([[], 0])
  })

  test('end when the running call of their parent has, not before', async () => {
    const { world, a } = node()
    const pid = await a.system.start(Branch, anonymous, 'b', ['1'])
    const ref = a.system.ref(Branch, pid)
    const open = gate()
    const waits = ref.wait(open.promise)
    await rest()
    const stopped = ref.$.stop('felled')
    await world.time.pass(100)
    expect(seen).toEqual([])
    open.open()
    await Promise.all([waits, stopped])
    expect(seen).toEqual(['1: shutdown', 'b: felled'])
  })

  test('that end before are told to onExit, with the reason; one whose start failed is not', async () => {
    const { a } = node()
    const pid = await a.system.start(Branch, anonymous, 'b', [])
    const ref = a.system.ref(Branch, pid)
    const [one, two, three] = [await ref.grow('1'), await ref.grow('2'), await ref.grow('3')]
    await a.system.ref(Leaf, one).fall()
    await a.system.ref(Leaf, two).leave()
    // It ends after its answer.
    await rest()
    await a.system.ref(Leaf, three).$.stop()
    await a.system.start(Leaf, via('taken'), 'x')
    expect((await errorOf(ref.growNamed('taken'))).code).toBe('ERR_ALREADY_STARTED')
    expect((await errorOf(ref.grow('rotten seed'))).code).toBe('ERR_INIT_FAILED')
    await rest()
    expect((await ref.downs()).map(({ pid: of, reason }) => [of.id, reason])).toEqual([
      [one.id, 'crashed'],
      [two.id, 'stopped'],
      [three.id, 'stopped'],
    ])
  })

  test('that crash do nothing to a parent without onExit', async () => {
    const { a } = node()
    const Plain = defineActor('plain', {
      init: () => 0,
      on: { grow: async (self) => await self.start(Leaf, anonymous, '1'), n: () => 1 },
    })
    const ref = a.system.ref(Plain, await a.system.start(Plain, anonymous))
    await a.system.ref(Leaf, await ref.grow()).fall()
    await rest()
    expect(await ref.n()).toBe(1)
    expect(a.lines.filter(({ level }) => level === 'error').map(({ text }) => text)).toEqual([
      expect.stringMatching(/^leaf <a.*> crashed$/),
    ])
  })

  test('are not begun by one that ends, and one that still asks for its name gets none', async () => {
    const { world, a } = node()
    const open = gate()
    const outcomes: string[] = []
    const Late = defineActor('late', {
      init: () => 0,
      on: {
        later: (self, name: string | undefined) => {
          const begun = open.promise.then(() => self.start(Leaf, name === undefined ? anonymous : via(name), 'x'))
          begun.catch((error: { code: string }) => outcomes.push(error.code))
        },
      },
    })
    const ref = a.system.ref(Late, await a.system.start(Late, anonymous))
    await ref.later(undefined)
    await ref.later('x')
    await ref.$.stop()
    open.open()
    await rest()
    expect(outcomes).toEqual(['ERR_ACTOR_STOPPED', 'ERR_ACTOR_STOPPED'])
    expect([world.claims.size, world.reserved.size, a.system.stats().actors]).toEqual([0, 0, 0])
  })

  test('that still start end with their parent', async () => {
    const { a } = node()
    const never = gate()
    const Slow = defineActor('slow', { init: () => never.promise, on: {} })
    const Parent = defineActor('parent', {
      init: () => 0,
      on: { grow: (self) => void self.start(Slow, anonymous).catch((error) => seen.push(error.code)) },
    })
    const ref = a.system.ref(Parent, await a.system.start(Parent, anonymous))
    await ref.grow()
    await rest()
    expect(a.system.stats().actors).toBe(2)
    await ref.$.stop()
    await rest()
    expect([seen, a.system.stats().actors]).toEqual([['ERR_INIT_FAILED'], 0])
  })

  test('stay behind where their parent is handed over, and its onStart makes them anew', async () => {
    const { world, a } = node()
    await a.system.spawn(Branch, via('b'), 'b', ['1', '2'])
    const b = world.add('b', { actors: [Leaf, Branch] })
    const { passed } = await world.handOver('b', b)
    passed()
    await rest()
    expect(seen).toEqual(['2: shutdown', '1: shutdown', 'b: moved'])
    expect([a, b].map(({ system }) => system.stats().actors)).toEqual([0, 3])
  })

  test('that have a name keep a parent from going that starts them in onStart', async () => {
    const world = new World()
    const Named = defineActor('named', {
      init: () => 0,
      on: { alive: () => true },
      onStart: async (self) => void (await self.start(Leaf, via('leaf'), '1')),
    })
    const from = world.add('b', { actors: [Named, Leaf] })
    await from.system.spawn(Named, via('n'))
    const to = world.add('c', { actors: [Named, Leaf] })
    expect((await errorOf(world.handOver('n', to))).message).toMatch(/named 'n' .* did not start: 'leaf' is held by/)
    expect(await from.system.via(Named, 'n').alive()).toBe(true)
    expect([from, to].map(({ system }) => system.stats().actors)).toEqual([2, 0])
  })

  test('that are started and end leave nothing behind', { timeout: 60_000 }, async () => {
    const { world, a } = node()
    const Quiet = defineActor('quiet', { init: () => 0, on: { n: () => 1 } })
    let ends = 0
    const Busy = defineActor('busy', {
      init: () => 0,
      on: {
        churn: async (self, times: number) => {
          for (let i = 0; i < times; i++) {
            const pid = await self.start(Quiet, anonymous)
            self.node.ref(Quiet, pid).$.cast.n()
            if (i % 10 === 0) await self.link(pid)
            await self.node.ref(Quiet, pid).$.stop()
          }
        },
      },
      onExit: () => {
        ends += 1
      },
    })
    const ref = a.system.ref(Busy, await a.system.start(Busy, anonymous))
    const listeners = process.listenerCount('unhandledRejection')
    const heap = (): number => {
      // What the test itself has noted.
      a.lines.length = 0
      a.gone.length = 0
      collect()
      return process.memoryUsage().heapUsed
    }
    await ref.$.with({ timeout: Number.POSITIVE_INFINITY }).churn(1000)
    const [before, timers] = [heap(), world.time.timers]
    for (let i = 0; i < 99; i++) await ref.$.with({ timeout: Number.POSITIVE_INFINITY }).churn(1000)
    await rest()
    expect(ends).toBe(100_000)
    expect(a.system.stats()).toMatchObject({ actors: 1, pending: 0, open: 0 })
    expect(world.time.timers).toBe(timers)
    expect(process.listenerCount('unhandledRejection')).toBe(listeners)
    // A hundred bytes for each would be ten million.
    expect(heap() - before).toBeLessThan(5_000_000)
  })

  test('of any tree end from the leaves up, the youngest first, whatever ended before', async () => {
    interface Tree {
      readonly name: string
      readonly children: readonly Tree[]
      readonly gone: boolean
    }
    const trees = fc.letrec<{ tree: Tree }>((tie) => ({
      tree: fc.record({
        name: fc.string({ minLength: 1, maxLength: 3 }),
        children: fc.oneof({ maxDepth: 3 }, fc.constant([]), fc.array(tie('tree'), { maxLength: 3 })),
        gone: fc.boolean(),
      }),
    }))
    const Node = defineActor('node', {
      init: (tree: Tree) => tree,
      on: {},
      onStart: async (self): Promise<void> => {
        for (const tree of self.state.children) {
          const pid = await self.start(Node, anonymous, tree)
          if (tree.gone) await self.node.ref(Node, pid).$.stop('gone')
        }
      },
      onStop: (self, reason) => void seen.push(`${self.state.name}: ${reason}`),
    })
    const early = ({ children }: Tree): string[] =>
      children.flatMap((tree) => [...early(tree), ...(tree.gone ? ended(tree, 'gone') : [])])
    const ended = ({ name, children }: Tree, reason: string): string[] => [
      ...[...children].reverse().flatMap((tree) => (tree.gone ? [] : ended(tree, 'shutdown'))),
      `${name}: ${reason}`,
    ]
    await fc.assert(
      fc.asyncProperty(trees.tree, async (tree) => {
        const { a } = node()
        const pid = await a.system.start(Node, anonymous, tree)
        expect(seen).toEqual(early(tree))
        seen = []
        await a.system.ref(Node, pid).$.stop('felled')
        expect(seen).toEqual(ended(tree, 'felled'))
        expect(a.system.stats().actors).toBe(0)
      }),
      { numRuns: 60 },
    )
  })
})
