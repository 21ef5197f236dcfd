/**
 * What names cost, counted: messages, bytes and writes, as the cluster and what it holds grow. The nodes are real, time
 * and network are virtual, so the numbers are exact and the same everywhere.
 *
 * A number that went down: take the new one (`npx vitest run packages/testkit/test/costs -u`). One that went up makes
 * every name dearer: take it only with its reason in the commit message.
 */
import { anonymous, defineActor, type SkepNode, via } from 'skep'
import { layersOf } from 'skep/internal'
import { expect, test } from 'vitest'
import { framesOf, Metered, namesOwnedBy, priceList } from './costs.js'

const Counter = defineActor('counter', {
  init: () => ({ n: 0 }),
  on: { add: (self, by: number) => (self.state.n += by) },
})

/** Where names are held and asked for, and the owner of other slots; the pid is one of `here`. */
async function clusterOf(count: number) {
  const world = await Metered.start(count, [Counter])
  const here = world.node(0)
  const pid = await here.start(Counter, anonymous)
  await world.pass(100)
  const own = namesOwnedBy(here, 80, 'own')
  const others = namesOwnedBy(world.node(1), 80, 'not')
  const next = (from: string[], many: number): string[] => from.splice(0, many)
  return { world, here, own: (many: number) => next(own, many), others: (many: number) => next(others, many), pid }
}

type Cluster = Awaited<ReturnType<typeof clusterOf>>

function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}-${String(i).padStart(5, '0')}`)
}

function each<T>(names: readonly string[], work: (name: string) => T): Promise<unknown> {
  return Promise.all(names.map(work))
}

// One after the other on the same nodes: what is done 64 times comes last, for numbers take more bytes then.
const operations: readonly (readonly [string, (cluster: Cluster) => unknown])[] = [
  ['register, own slot', ({ here, own, pid }) => each(own(1), (name) => here.register(name, pid))],
  ['register, slot of another', ({ here, others, pid }) => each(others(1), (name) => here.register(name, pid))],
  [
    'register, visible everywhere',
    ({ here, others, pid }) => each(others(1), (name) => here.register(name, pid, { visible: 'all' })),
  ],
  ['unregister', ({ here }) => here.unregister(here.registered({ local: true })[0]?.name ?? '')],
  ["start, claim: 'local'", ({ here, others }) => each(others(1), (name) => startLocally(here, name))],
  ['spawn, own slot', ({ here, own }) => each(own(1), (name) => here.spawn(Counter, via(name)))],
  ['spawn, slot of another', ({ here, others }) => each(others(1), (name) => here.spawn(Counter, via(name)))],
  ['join a group', ({ here, pid }) => here.group(Counter, 'all').join(pid)],
  ['register 64, own slots', ({ here, own, pid }) => each(own(64), (name) => here.register(name, pid))],
  ['register 64, slots of one other', ({ here, others, pid }) => each(others(64), (name) => here.register(name, pid))],
  ['register 64, all slots', ({ here, pid }) => each(numbered('any', 64), (name) => here.register(name, pid))],
  ["start 64, claim: 'local'", ({ here }) => each(numbered('fast', 64), (name) => startLocally(here, name))],
  ['spawn 64', ({ here }) => each(numbered('placed', 64), (name) => here.spawn(Counter, via(name)))],
  ['an actor with 130 names stops', ({ here, pid }) => here.ref(Counter, pid).$.stop('done')],
]

function startLocally(node: SkepNode, name: string): Promise<unknown> {
  return node.start(Counter, via(name, { claim: 'local' }))
}

test('what is done with names costs so much on the wire', async () => {
  const rows = operations.map(([what]): { what: string; bills: (string | number)[][] } => ({ what, bills: [] }))
  for (const count of [3, 5, 9]) {
    const cluster = await clusterOf(count)
    await using world = cluster.world
    for (const [i, [what, work]] of operations.entries()) {
      const bill = await world.spend(() => work(cluster))
      const { messages, bytes, writes, mostMessages, mostBytes } = bill
      rows[i]?.bills.push([what, count, messages, bytes, writes, mostMessages, mostBytes, framesOf(bill)])
    }
  }
  const head = ['operation', 'nodes', 'messages', 'bytes', 'writes', 'of one node', 'its bytes', 'frames']
  expect(
    priceList(
      head,
      rows.flatMap(({ bills }) => bills),
    ),
  ).toMatchInlineSnapshot(`
    "operation                       | nodes | messages | bytes | writes | of one node | its bytes | frames
    register, own slot              |     3 |        2 |   194 |      2 |           2 |       194 | 2 ops
    register, own slot              |     5 |        4 |   392 |      4 |           4 |       392 | 4 ops
    register, own slot              |     9 |        8 |   784 |      8 |           8 |       784 | 8 ops
    register, slot of another       |     3 |        4 |   242 |      4 |           3 |       220 | claim, grant, 2 ops
    register, slot of another       |     5 |        6 |   440 |      6 |           5 |       418 | claim, grant, 4 ops
    register, slot of another       |     9 |       10 |   832 |     10 |           9 |       810 | claim, grant, 8 ops
    register, visible everywhere    |     3 |        6 |   268 |      6 |           3 |       238 | claim, grant, 2 ops, 2 flush, 2 flushed
    register, visible everywhere    |     5 |       10 |   492 |     10 |           5 |       454 | claim, grant, 4 ops, 4 flush, 4 flushed
    register, visible everywhere    |     9 |       18 |   936 |     18 |           9 |       882 | claim, grant, 8 ops, 8 flush, 8 flushed
    unregister                      |     3 |        2 |   120 |      2 |           2 |       120 | 2 ops
    unregister                      |     5 |        4 |   240 |      4 |           4 |       240 | 4 ops
    unregister                      |     9 |        8 |   480 |      8 |           8 |       480 | 8 ops
    start, claim: 'local'           |     3 |        2 |   210 |      2 |           2 |       210 | 2 ops
    start, claim: 'local'           |     5 |        4 |   424 |      4 |           4 |       424 | 4 ops
    start, claim: 'local'           |     9 |        8 |   848 |      8 |           8 |       848 | 8 ops
    spawn, own slot                 |     3 |        2 |   288 |      2 |           2 |       288 | 2 ops
    spawn, own slot                 |     5 |        4 |   580 |      4 |           4 |       580 | 4 ops
    spawn, own slot                 |     9 |        8 |  1160 |      8 |           8 |      1160 | 8 ops
    spawn, slot of another          |     3 |        3 |   511 |      3 |           2 |       440 | spawn, 2 ops, spawned
    spawn, slot of another          |     5 |        5 |   803 |      5 |           4 |       732 | spawn, 4 ops, spawned
    spawn, slot of another          |     9 |        9 |  1387 |      9 |           8 |      1316 | spawn, 8 ops, spawned
    join a group                    |     3 |        2 |   106 |      2 |           2 |       106 | 2 ops
    join a group                    |     5 |        4 |   212 |      4 |           4 |       212 | 4 ops
    join a group                    |     9 |        8 |   424 |      8 |           8 |       424 | 8 ops
    register 64, own slots          |     3 |        2 |  3222 |      2 |           2 |      3222 | 2 ops
    register 64, own slots          |     5 |        4 |  6448 |      4 |           4 |      6448 | 4 ops
    register 64, own slots          |     9 |        8 | 12896 |      8 |           8 |     12896 | 8 ops
    register 64, slots of one other |     3 |        4 |  6582 |      4 |           3 |      5038 | 64 claim, 64 grant, 2 ops
    register 64, slots of one other |     5 |        6 |  9824 |      6 |           5 |      8280 | 64 claim, 64 grant, 4 ops
    register 64, slots of one other |     9 |       10 | 16304 |     10 |           9 |     14760 | 64 claim, 64 grant, 8 ops
    register 64, all slots          |     3 |        8 |  6094 |      8 |           6 |      4967 | 6 ops, 45 claim, 45 grant
    register 64, all slots          |     5 |       24 | 10632 |     24 |          20 |      9378 | 20 ops, 50 claim, 50 grant
    register 64, all slots          |     9 |       80 | 21310 |     80 |          72 |     19877 | 72 ops, 57 claim, 57 grant
    start 64, claim: 'local'        |     3 |        2 |  4680 |      2 |           2 |      4680 | 4 ops
    start 64, claim: 'local'        |     5 |        4 |  9368 |      4 |           4 |      9368 | 8 ops
    start 64, claim: 'local'        |     9 |        8 | 18736 |      8 |           8 |     18736 | 16 ops
    spawn 64                        |     3 |        6 | 20468 |      6 |           2 |      8702 | 6 ops, 44 spawn, 44 spawned
    spawn 64                        |     5 |       20 | 32885 |     20 |           4 |      8537 | 20 ops, 51 spawn, 51 spawned
    spawn 64                        |     9 |       72 | 57820 |     72 |           8 |      8911 | 72 ops, 58 spawn, 58 spawned
    an actor with 130 names stops   |     3 |        2 |  8248 |      2 |           2 |      8248 | 2 ops
    an actor with 130 names stops   |     5 |        4 | 16496 |      4 |           4 |     16496 | 4 ops
    an actor with 130 names stops   |     9 |        8 | 32992 |      8 |           8 |     32992 | 8 ops"
  `)
})

test('a node at rest costs so much a second', async () => {
  const rows: (string | number)[][] = []
  for (const count of [1, 3, 5, 9]) {
    await using world = await Metered.start(count, [Counter])
    const seconds = 60
    const { messages, bytes, writes, timeouts, turns } = await world.spend(() => {}, seconds * 1000, 'all')
    // Rounded, since what is due at the ends of the minute may fall to either side.
    const share = [messages, bytes, writes, timeouts, turns].map((all) => Math.round(all / count / seconds))
    rows.push([count, ...share, world.timersOf(count - 1)])
  }
  const head = ['nodes', 'messages', 'bytes', 'writes', 'timers set', 'turns', 'timers armed']
  expect(priceList(head, rows)).toMatchInlineSnapshot(`
    "nodes | messages | bytes | writes | timers set | turns | timers armed
        1 |        0 |     0 |      0 |          2 |     0 |            2
        3 |        3 |   125 |      3 |          3 |     3 |            2
        5 |        3 |   179 |      3 |          3 |     3 |            2
        9 |        3 |   287 |      3 |          3 |     3 |            2"
  `)
})

/** Three nodes, of which the second holds so many names. */
async function holding(names: number): Promise<Metered> {
  const world = await Metered.start(3, [Counter])
  const { tracker } = layersOf(world.node(1))
  const pid = await world.node(1).start(Counter, anonymous)
  await each(numbered('name', names), (name) => tracker.register(name, pid, { mode: 'local' }))
  await world.pass(2000)
  return world
}

test('copies travel at a price for each name, and nothing does when the holder is lost', async () => {
  const rows: (string | number)[][] = []
  const shares: number[] = []
  for (const count of [0, 1000, 10_000]) {
    await using world = await holding(count)
    const joins = await world.spend(() => world.join(), 5000, 'names')
    expect(world.nodes.map((node) => node.registered().length)).toEqual([count, count, count, count])
    const ends = await world.spend(() => world.crash(1), 10_000, 'names')
    expect(world.nodes.map((node) => node.registered().length)).toEqual([0, 0, 0])
    rows.push(['a node joins', count, joins.messages, joins.bytes, framesOf(joins)])
    rows.push(['the holder is lost', count, ends.messages, ends.bytes, framesOf(ends)])
    if (count > 0) shares.push(joins.bytes / count)
  }
  expect(priceList(['what', 'names', 'messages', 'bytes', 'frames'], rows)).toMatchInlineSnapshot(`
    "what               | names | messages |  bytes | frames
    a node joins       |     0 |        0 |      0 |
    the holder is lost |     0 |        0 |      0 |
    a node joins       |  1000 |        3 |  25790 | pull, 2 state
    the holder is lost |  1000 |        0 |      0 |
    a node joins       | 10000 |       17 | 260671 | pull, 13 state, 3 more
    the holder is lost | 10000 |        0 |      0 |"
  `)
  // Whatever becomes of the table: no more for each where there are ten times as many, but for longer numbers.
  expect((shares[1] ?? 0) / (shares[0] ?? 0)).toBeLessThan(1.5)
})

test('placed names of a lost node start again at a price for each', async () => {
  const rows: (string | number)[][] = []
  for (const count of [300, 1200]) {
    await using world = await Metered.start(3, [Counter])
    await each(numbered('placed', count), (name) => world.node(0).spawn(Counter, via(name)))
    await world.pass(2000)
    const lost = world.node(1).registered({ local: true }).length
    const { boot } = world.node(1)
    const bill = await world.spend(() => world.crash(1), 10_000, 'names')
    const names = world.nodes.flatMap((node) => node.registered())
    expect([names.length, names.filter(({ pid }) => pid.boot === boot).length]).toEqual([2 * count, 0])
    rows.push([lost, bill.messages, bill.bytes, bill.bytes / lost, framesOf(bill)])
  }
  expect(priceList(['names', 'messages', 'bytes', 'bytes a name', 'frames'], rows)).toMatchInlineSnapshot(`
    "names | messages | bytes | bytes a name | frames
       91 |        2 |  9672 |       106.29 | 2 ops
      360 |        2 | 39414 |       109.48 | 6 ops"
  `)
})

// Who dials whom first, and who hears of it from whom, is another story with each change of anything: what nodes say of
// each other is bounded, by half as much again as was counted.
test.each([
  [3, 'joins', 78, 11_000],
  [3, 'leaves', 36, 3_400],
  [3, 'is lost', 18, 2_400],
  [9, 'joins', 340, 64_000],
  [9, 'leaves', 410, 155_000],
  [9, 'is lost', 410, 150_000],
] as const)(
  'where nothing is held one of %d nodes %s for at most %d messages, %d bytes',
  async (nodes, what, most, mostBytes) => {
    await using world = await Metered.start(nodes, [Counter])
    const changes = { joins: () => world.join(), leaves: () => world.node(1).drain(), 'is lost': () => world.crash(1) }
    const { messages, bytes } = await world.spend(changes[what], 10_000)
    expect(messages).toBeLessThanOrEqual(most)
    expect(bytes).toBeLessThanOrEqual(mostBytes)
  },
)
