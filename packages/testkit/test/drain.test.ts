/** What a drain says of itself, in whole nodes on a virtual clock. */
import { defineActor, type SkepNode, via } from 'skep'
import { describe, expect, test } from 'vitest'
import { type Simulation, simulate } from '../src/index.js'

/** Ends the calls of `wait`. */
let open = (): void => {}

const Worker = defineActor('worker', {
  init: () => ({}),
  on: {
    never: () => new Promise<void>(() => {}),
    wait: () =>
      new Promise<void>((resolve) => {
        open = resolve
      }),
  },
})

const Rooted = defineActor('rooted', { init: () => ({}), on: {}, handoff: false })

/** Three nodes; so many workers run at the first. */
async function cluster(count: number): Promise<{ sim: Simulation; node: SkepNode; other: SkepNode; names: string[] }> {
  const sim = await simulate({ seed: 1, nodes: 3, actors: [Worker, Rooted] })
  await sim.settle()
  const [node, other] = sim.nodes as [SkepNode, SkepNode]
  const names: string[] = []
  for (let i = 0; names.length < count; i++) {
    const { node: at } = await node.spawn(Worker, via(`worker-${i}`))
    if (at === node.name) names.push(`worker-${i}`)
  }
  await sim.advance(1000)
  return { sim, node, other, names }
}

describe('a drain', () => {
  test('counts those that went, not those that were stopped meanwhile', async () => {
    const { sim, node, other, names } = await cluster(40)
    await using _ = sim
    const stopping = names.slice(0, 5).map((name) => other.via(Worker, name).$.stop())
    const report = await node.drain()
    await Promise.all(stopping)
    expect(names.filter((name) => other.whereis(name) !== undefined)).toHaveLength(35)
    expect(report).toEqual({ moved: 35, unmoved: [] })
  })

  test('that is cut short by stop() lists what it did not come to', async () => {
    const { sim, node, names } = await cluster(3)
    await using _ = sim
    for (const name of names) node.via(Worker, name).$.cast.never()
    const draining = node.drain()
    await sim.advance(100)
    await node.stop()
    const { moved, unmoved } = await draining
    expect(moved).toBe(0)
    expect(unmoved.map(({ name }) => name).sort()).toEqual(names.sort())
    expect(unmoved[0]?.reason).toBe('the node was stopped')
  })

  test('that has no more time says of each actor why it did not go', async () => {
    const { sim, node, names } = await cluster(2)
    await using _ = sim
    for (const name of names) node.via(Worker, name).$.cast.never()
    for (let i = 0; node.registered({ prefix: 'rooted', local: true }).length === 0; i++)
      await node.spawn(Rooted, via(`rooted-${i}`))
    const { unmoved } = await node.drain({ timeout: 3000 })
    const reasons = unmoved.map(({ name, reason }) => `${name.split('-')[0]}: ${reason}`)
    expect(reasons.sort()).toEqual([
      "rooted: actors of kind 'rooted' are never handed over",
      ...names.map(() => 'worker: there was no time'),
    ])
  })

  test('starts nothing again elsewhere that its user has asked to stop', async () => {
    const { sim, node, other, names } = await cluster(2)
    await using _ = sim
    const [asked, left] = names as [string, string]
    node.via(Worker, asked).$.cast.wait()
    node.via(Worker, left).$.cast.never()
    const watch = other.via(Worker, asked).$.monitor()[Symbol.asyncIterator]().next()
    const stopped = other.via(Worker, asked).$.stop()
    await sim.advance(100)
    const draining = node.drain({ timeout: 3000 })
    await sim.advance(2500)
    open()
    await stopped
    expect((await watch).value).toMatchObject({ reason: 'stopped' })
    await draining
    await sim.advance(3000)
    expect(other.whereis(left)).toBeDefined()
    expect(other.whereis(asked)).toBeUndefined()
  })

  test('refuses a time that is none, and does not begin', async () => {
    const { sim, node } = await cluster(1)
    await using _ = sim
    for (const timeout of [Number.NaN, -1, '5 s' as unknown as number])
      expect(() => node.drain({ timeout })).toThrow(TypeError)
    expect(node.members().find(({ name }) => name === node.name)?.cordoned).toBe(false)
  })
})
