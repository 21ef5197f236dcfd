/**
 * What calls cost, counted: messages, bytes and writes on the wire, promises, timers and turns of the event loop. The
 * nodes are real, time and network are virtual, so the numbers are exact and the same everywhere.
 *
 * A number that went down: take the new one (`npx vitest run packages/testkit/test/costs -u`). One that went up makes
 * every call dearer: take it only with its reason in the commit message.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { defineActor, via } from 'skep'
import { expect, test } from 'vitest'
import { type Bill, framesOf, Metered, priceList } from './costs.js'

const Counter = defineActor('counter', {
  init: () => ({ n: 0 }),
  on: {
    add: (self, by: number) => (self.state.n += by),
    echo: (_self, value: { readonly id: number; readonly text: string }) => value,
    fail: () => {
      // With a stack of its own: the real one has the paths of this machine in it.
      throw Object.assign(new RangeError('no'), { stack: 'RangeError: no' })
    },
    async *count(_self, upTo: number) {
      for (let i = 0; i < upTo; i++) yield i
    },
  },
})

const value = { id: 7, text: 'a small object' }

/** Two nodes, and an actor on each, as the first of them calls it. */
async function pair() {
  const world = await Metered.start(2, [Counter])
  const [here, there] = [world.node(0), world.node(1)]
  const pid = await there.start(Counter, via('far'))
  await here.start(Counter, via('near'))
  await world.pass(100)
  const refs = { near: here.via(Counter, 'near'), far: here.via(Counter, 'far'), pid: here.ref(Counter, pid) }
  return { world, ...refs }
}

type Pair = Awaited<ReturnType<typeof pair>>

function times(count: number, work: () => unknown): Promise<unknown> {
  return Promise.all(Array.from({ length: count }, work))
}

async function read(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

// Each on nodes of its own: the numbers of calls grow in their frames, and a row more would change those below it.
const onTheWire: readonly (readonly [string, (pair: Pair) => unknown, ((pair: Pair) => unknown)?])[] = [
  ['call next door', ({ near }) => near.add(1)],
  ['call by pid', ({ pid }) => pid.add(1)],
  ['call by name, the first', ({ far }) => far.add(1)],
  ['call by name, the second', ({ far }) => far.add(1), ({ far }) => far.add(1)],
  ['call with an object', ({ far }) => far.echo(value)],
  ['call that throws', ({ far }) => far.fail().catch(() => {})],
  ['64 calls in one turn', ({ far }) => times(64, () => far.add(1))],
  ['cast', ({ far }) => far.$.cast.add(1)],
  ['64 casts in one turn', ({ far }) => times(64, () => far.$.cast.add(1))],
  ['stream of 1 item', ({ far }) => read(far.count(1))],
  ['stream of 100 items', ({ far }) => read(far.count(100))],
  ['monitor', ({ far }) => watch(far)],
  ['stop', ({ far }) => far.$.stop('done')],
  ['stop of a monitored one', ({ far }) => far.$.stop('done'), ({ far }) => watch(far)],
]

/** Until its node ends. */
function watch(ref: Pair['far']): void {
  ref.$.monitor()
    [Symbol.asyncIterator]()
    .next()
    .catch(() => {})
}

test('what is asked of another node costs so much on the wire', async () => {
  const rows: (string | number)[][] = []
  for (const [what, work, before] of onTheWire) {
    const two = await pair()
    await using world = two.world
    if (before !== undefined) await world.spend(() => before(two))
    const bill = await world.spend(() => work(two))
    rows.push([what, bill.messages, bill.bytes, bill.writes, framesOf(bill)])
  }
  expect(priceList(['operation', 'messages', 'bytes', 'writes', 'frames'], rows)).toMatchInlineSnapshot(`
    "operation                | messages | bytes | writes | frames
    call next door           |        0 |     0 |      0 |
    call by pid              |        2 |    24 |      2 | call, reply
    call by name, the first  |        2 |    25 |      2 | call, reply
    call by name, the second |        2 |    25 |      2 | call, reply
    call with an object      |        2 |    78 |      2 | call, reply
    call that throws         |        2 |    62 |      2 | call, thrown
    64 calls in one turn     |        2 |  1858 |      2 | 64 call, 64 reply
    cast                     |        1 |    15 |      1 | cast
    64 casts in one turn     |        1 |  1089 |      1 | 64 cast
    stream of 1 item         |        2 |    39 |      2 | open, item, reply
    stream of 100 items      |       14 |   915 |     14 | open, 100 item, 12 credit, reply
    monitor                  |        1 |    21 |      1 | call
    stop                     |        2 |    93 |      2 | call, ops, reply
    stop of a monitored one  |        2 |   108 |      2 | call, ops, 2 reply"
  `)
})

const inTheLoop: readonly (readonly [string, (pair: Pair) => unknown])[] = [
  ['call next door', ({ near }) => near.add(1)],
  ['call next door with an object', ({ near }) => near.echo(value)],
  ['cast next door', ({ near }) => near.$.cast.add(1)],
  ['call by name', ({ far }) => far.add(1)],
  ['call by name with an object', ({ far }) => far.echo(value)],
  ['cast by name', ({ far }) => far.$.cast.add(1)],
]

test('a call costs so many promises, jobs, turns and timeouts, those of both nodes together', async () => {
  const two = await pair()
  await using world = two.world
  const nothing = await cheapest(world, () => {})
  const rows: (string | number)[][] = []
  for (const [what, work] of inTheLoop) {
    const one = await cheapest(world, () => void work(two))
    const half = await cheapest(world, () => repeat(8, () => work(two)))
    const whole = await cheapest(world, () => repeat(40, () => work(two)))
    rows.push([`${what}, alone`, ...difference(one, nothing, 1)], [`${what}, one more`, ...difference(whole, half, 32)])
  }
  expect(priceList(['operation', 'promises', 'jobs', 'turns', 'timeouts'], rows)).toMatchInlineSnapshot(`
    "operation                               | promises | jobs | turns | timeouts
    call next door, alone                   |        1 |    1 |     0 |        0
    call next door, one more                |        1 |    0 |     0 |        0
    call next door with an object, alone    |        1 |    1 |     0 |        0
    call next door with an object, one more |        1 |    0 |     0 |        0
    cast next door, alone                   |        0 |    1 |     0 |        0
    cast next door, one more                |        0 |    0 |     0 |        0
    call by name, alone                     |        1 |    2 |     2 |        0
    call by name, one more                  |        1 |    0 |     0 |        0
    call by name with an object, alone      |        1 |    2 |     2 |        0
    call by name with an object, one more   |        1 |    0 |     0 |        0
    cast by name, alone                     |        0 |    1 |     1 |        0
    cast by name, one more                  |        0 |    0 |     0 |        0"
  `)
})

const counted = ['promises', 'jobs', 'turns', 'timeouts'] as const
type Counts = Readonly<Record<(typeof counted)[number], number>>

/** Of some rounds the least of each: what else happens in this process, or is due at a node just then, only adds. */
async function cheapest(world: Metered, work: () => unknown): Promise<Counts> {
  const bills: Bill[] = []
  for (let round = 0; round < 5; round++) {
    bills.push(await world.spend(work))
    await world.pass(37)
  }
  const least = (key: keyof Counts): number => Math.min(...bills.map((bill) => bill[key]))
  return { promises: least('promises'), jobs: least('jobs'), turns: least('turns'), timeouts: least('timeouts') }
}

function difference(more: Counts, less: Counts, by: number): number[] {
  return counted.map((key) => (more[key] - less[key]) / by)
}

/** Without waiting for any of them: that would be promises of our own. */
function repeat(count: number, work: () => unknown): void {
  for (let i = 0; i < count; i++) work()
}

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

// Bytes are no exact count, they depend on what has been compiled how far; so the bound is three times what was found.
test.each([
  ['next door', 4000, ({ near }: Pair) => near.add(1)],
  ['to another node, and its answer,', 16_500, ({ far }: Pair) => far.add(1)],
] as const)('a call %s makes less than %d bytes of garbage', async (_, bound, call) => {
  const two = await pair()
  await using world = two.world
  const used = async (calls: number): Promise<number> => {
    collect()
    const before = process.memoryUsage().heapUsed
    repeat(calls, () => void call(two))
    await world.pass(20)
    return process.memoryUsage().heapUsed - before
  }
  const perCall: number[] = []
  for (let round = 0; round < 5; round++) perCall.push((-(await used(100)) + (await used(600))) / 500)
  // The one in the middle; a collection within a round makes it less, never more.
  const [median = 0] = perCall.sort((a, b) => a - b).slice(2)
  expect(median).toBeLessThan(bound)
})
