/** A restart whose `init` says `ignore`, in whole nodes on a virtual clock. */
import { defineActor, ignore, isSkepError, type SkepNode, via } from 'skep'
import { expect, test } from 'vitest'
import { simulate } from '../src/index.js'

test('a placed actor whose init says ignore after the end of its node is given up at once, and its name is free', async () => {
  let wanted = true
  let inits = 0
  const Job = defineActor('job', {
    init: () => {
      inits += 1
      return wanted ? { n: 0 } : ignore
    },
    on: { add: (self) => ++self.state.n },
    restart: 'permanent',
  })
  await using sim = await simulate({ seed: 5, nodes: 3, actors: [Job] })
  await sim.settle()
  const [a] = sim.nodes as [SkepNode, SkepNode, SkepNode]
  const name = Array.from({ length: 50 }, (_, i) => `job-${i}`)
  for (const one of name) await a.spawn(Job, via(one))
  const moving = name.filter((one) => a.whereis(one)?.node !== a.name)
  const [, b, c] = sim.nodes as [SkepNode, SkepNode, SkepNode]
  wanted = false
  inits = 0
  sim.crash(b)
  await sim.settle()
  const gone = moving.filter((one) => a.whereis(one) === undefined)
  expect(gone.length).toBeGreaterThan(5)
  await sim.advance(20_000)
  // Once for each, and nothing that `explain` would call a failure.
  expect(inits).toBe(gone.length)
  for (const one of gone) expect(c.explain(one).failed).toBeUndefined()
  const [free] = gone as [string]
  const refused = await c.spawn(Job, via(free)).catch((error: unknown) => isSkepError(error) && error.code)
  expect(refused).toBe('ERR_IGNORED')
  wanted = true
  await c.spawn(Job, via(free))
  expect(await c.via(Job, free).add()).toBe(1)
  await sim.settle()
  sim.check()
})
