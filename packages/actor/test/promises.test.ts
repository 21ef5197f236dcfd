/**
 * What is promised about calls, whatever callers do at once: one at a time, the order of each caller, one outcome each,
 * deadlines, cancellation. Random programs over three nodes on a virtual clock, while the actor moves between two.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { defineActor, type Self, via } from '../src/index.js'
import { rest, type TestNode, World } from './world.js'

interface Did {
  readonly id: number
  readonly begunMs: number
  endedMs: number | undefined
  aborted: boolean
}

let world = new World()
/** What the actor did, in order, on whatever node. */
let did: Did[] = []
let overlaps = 0
let running = 0

/** Works for so long, or until nobody wants it. */
function work(self: Self<number>, id: number, ms: number): Promise<number> {
  const mine: Did = { id, begunMs: world.time.now(), endedMs: undefined, aborted: false }
  did.push(mine)
  if (running > 0) overlaps += 1
  running += 1
  return new Promise((resolve) => {
    const end = (): void => {
      if (mine.endedMs !== undefined) return
      running -= 1
      mine.endedMs = world.time.now()
      resolve(id)
    }
    world.time.setTimer(end, ms)
    self.signal.addEventListener('abort', () => {
      mine.aborted = true
      end()
    })
  })
}

const Worker = defineActor('worker', { init: () => 0, on: { work } })

const Relay = defineActor('relay', {
  init: () => 0,
  on: {
    // The deadline is inherited; that nobody wants it any more is passed on by whoever wants it so.
    pass: (self, id: number, ms: number): Promise<number> =>
      self.node.via(Worker, 'w').$.with({ signal: self.signal }).work(id, ms),
  },
  reentrant: true,
})

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('call' as const),
      from: fc.nat({ max: 2 }),
      relayed: fc.boolean(),
      ms: fc.nat({ max: 40 }),
      timeout: fc.integer({ min: 5, max: 150 }),
      abortAfter: fc.option(fc.nat({ max: 80 }), { nil: undefined, freq: 3 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.nat({ max: 60 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('move' as const) }) },
)

interface Asked {
  readonly id: number
  /** Calls through the relay have their own order. */
  readonly line: string
  readonly deadline: number
  readonly abortedAt: number | undefined
  outcomes: { readonly at: number; readonly value?: unknown; readonly error?: { code: string; sent: string } }[]
}

async function run(plan: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[]): Promise<Asked[]> {
  world = new World()
  did = []
  overlaps = 0
  running = 0
  const nodes = ['a', 'b', 'c'].map((name) => world.add(name, { actors: [Worker, Relay] })) as TestNode[]
  const [a, b] = nodes as [TestNode, TestNode, TestNode]
  await a.system.spawn(Worker, via('w'))
  for (const [i, node] of nodes.entries()) await node.system.start(Relay, via(`relay-${i}`))
  const asked: Asked[] = []
  let at = a
  let moving = false
  for (const one of plan) {
    if (one.do === 'pass') await world.time.pass(one.ms)
    else if (one.do === 'move') {
      const to = at === a ? b : a
      if (moving) continue
      moving = true
      const moved = world.handOver('w', to).then(({ passed }) => {
        passed()
        at = to
      })
      // Where a call does not end in time it stays.
      void moved
        .catch(() => {})
        .finally(() => {
          moving = false
        })
    } else {
      const { from, relayed, ms, timeout, abortAfter } = one
      const { system } = nodes[from] as TestNode
      const id = asked.length
      const now = world.time.now()
      const abort = new AbortController()
      const call: Asked = {
        id,
        line: `${from}${relayed}`,
        deadline: now + timeout,
        abortedAt: abortAfter === undefined ? undefined : now + abortAfter,
        outcomes: [],
      }
      asked.push(call)
      if (abortAfter !== undefined) world.time.setTimer(() => abort.abort(), abortAfter)
      const options = { timeout, signal: abort.signal }
      const answer = relayed
        ? system.via(Relay, `relay-${from}`).$.with(options).pass(id, ms)
        : system.via(Worker, 'w').$.with(options).work(id, ms)
      answer.then(
        (value) => call.outcomes.push({ at: world.time.now(), value }),
        (error) => call.outcomes.push({ at: world.time.now(), error }),
      )
    }
  }
  await world.time.pass(2000)
  await rest()
  return asked
}

/** A sweep of the deadlines may be this late. */
const sweepMs = 11

test('each call runs alone, once at most, in its caller’s order, has one outcome in time, and is told when nobody wants it', async () => {
  let moves = 0
  let aborted = 0
  let timeouts = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (plan) => {
      const asked = await run(plan)
      expect(overlaps).toBe(0)
      expect(running).toBe(0)
      const begun = new Map(did.map((one) => [one.id, one]))
      expect(begun.size).toBe(did.length)
      for (const { id, deadline, abortedAt, outcomes } of asked) {
        const done = begun.get(id)
        expect(outcomes).toHaveLength(1)
        const { at, value, error } = outcomes[0] as Asked['outcomes'][0]
        expect(at).toBeLessThanOrEqual(Math.min(deadline, abortedAt ?? deadline) + sweepMs)
        // Nothing is begun for a caller who waits no more: a frame carries whole milliseconds.
        if (done !== undefined) expect(done.begunMs).toBeLessThanOrEqual(deadline + 1)
        if (error === undefined) expect([value, done?.endedMs !== undefined]).toEqual([id, true])
        else expect(['ERR_TIMEOUT', 'ERR_ABORTED']).toContain(error.code)
        if (error?.sent === 'no') expect(done).toBeUndefined()
        // Whoever gave up while it ran has ended it: it learns that as soon as its caller's node does.
        const gaveUp = error !== undefined && done !== undefined && done.begunMs < at
        if (gaveUp && (done.endedMs ?? 0) > at + sweepMs) throw new Error(`${id} ran on after its caller gave up`)
        aborted += gaveUp && done.aborted ? 1 : 0
        timeouts += error?.code === 'ERR_TIMEOUT' ? 1 : 0
      }
      for (const line of new Set(asked.map((call) => call.line))) {
        const order = did.map(({ id }) => id).filter((id) => asked[id]?.line === line)
        expect(order).toEqual([...order].sort((x, y) => x - y))
      }
      moves += world.nodes.size > 0 && did.length > 0 ? plan.filter((one) => one.do === 'move').length : 0
    }),
    { numRuns: 100 },
  )
  // The programs do what this is about.
  expect(Math.min(moves, aborted, timeouts)).toBeGreaterThan(20)
})
