/** The tests that docs/testing.md shows, and what they find. */
import fc from 'fast-check'
import { defineActor, via } from 'skep'
import { expect, test } from 'vitest'
import { faults, type Plan, simulate } from '../src/index.js'
import { buyOne, SafeTickets, Tickets } from './tickets.js'

const Counter = defineActor('counter', {
  init: (start: number) => ({ n: start }),
  on: {
    value: (self) => self.state.n,
    increment: (self, by: number = 1) => (self.state.n += by),
  },
})

test('however many nodes start at once, there is one counter, and it counts everything', async () => {
  await fc.assert(
    fc.asyncProperty(faults.concurrentJoins({ nodes: [3, 8] }), async (plan) => {
      await using sim = await simulate({ plan, actors: [Counter] })
      await Promise.allSettled(sim.nodes.map((node) => node.spawn(Counter, via('my_proc'), 0)))
      await sim.settle()
      await Promise.all(sim.nodes.map((node) => node.via(Counter, 'my_proc').increment()))
      for (const node of sim.nodes) expect(await node.via(Counter, 'my_proc').value()).toBe(sim.nodes.length)
      sim.check()
    }),
    { numRuns: 10 },
  )
})

/** Every node buys one ticket while nodes stand still now and then: is each order one seat? */
async function eachOrderIsOneSeat(plan: Plan, tickets: typeof Tickets): Promise<void> {
  await using sim = await simulate({ plan, actors: [tickets] })
  const orders = sim.nodes.map(({ name }) => `order of ${name}`)
  await Promise.all(sim.nodes.map((node) => node.ready()))
  await sim.advance(1000)
  await Promise.all(sim.nodes.map((node, i) => buyOne(node, tickets, orders[i] ?? '')))
  await sim.settle()
  sim.check()
  const sold = await sim.nodes[0]?.via(tickets, 'tonight').sold()
  expect([...(sold ?? [])].sort()).toEqual(orders)
}

const stalls = faults.stalls({ nodes: [2, 5], fromMs: 1000, withinMs: 200, forMs: 2000 })

test('a shop that asks again buys two seats where a node stands still: the shrunk plan is one stall', async () => {
  const result = await fc.check(
    fc.asyncProperty(stalls, (plan) => eachOrderIsOneSeat(plan, Tickets)),
    { seed: 1, numRuns: 100 },
  )
  expect(result.failed).toBe(true)
  const [plan] = result.counterexample ?? []
  expect(plan?.starts).toEqual([0, 0])
  expect(plan?.faults).toMatchObject([{ type: 'stall' }])
  expect(String(result.errorInstance)).toMatch(/order of node-\d/)
})

test('with orders that are known by their number each order is one seat', async () => {
  await fc.assert(
    fc.asyncProperty(stalls, (plan) => eachOrderIsOneSeat(plan, SafeTickets)),
    { seed: 1, numRuns: 20 },
  )
})
