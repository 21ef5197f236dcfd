/** Whole nodes on a virtual network: what a third node hears of an actor that goes from one node to another. */
import { defineActor, type SkepNode, via } from 'skep'
import { describe, expect, test } from 'vitest'
import { type Simulation, simulate } from '../src/index.js'

const Worker = defineActor('worker', { init: () => ({}), on: {} })

interface Move {
  readonly sim: Simulation
  readonly source: SkepNode
  readonly target: SkepNode
  readonly name: string
  /** What the third node was told of that name. */
  readonly heard: string[]
}

/** An actor at the source, which is about to go to the target. */
async function placed(seed: number): Promise<Move> {
  const sim = await simulate({ seed, nodes: 3, actors: [Worker] })
  await sim.settle()
  // The names that the last node's joining moves have been looked for: nothing is moved back.
  await sim.advance(10_000)
  const [third, source, target] = sim.nodes as [SkepNode, SkepNode, SkepNode]
  let name = ''
  for (let i = 0; name === ''; i++) {
    const { node } = await source.spawn(Worker, via(`worker-${i}`, { visible: 'all' }))
    if (node === source.name) name = `worker-${i}`
  }
  const heard: string[] = []
  third.on('unregistered', (claim) => claim.name === name && heard.push(`unregistered ${claim.pid.node}`))
  third.on('registered', (claim) => claim.name === name && heard.push(`registered ${claim.pid.node}`))
  third.on('moved', ({ claim, previous }) => {
    if (claim.name === name) heard.push(`moved from ${previous.pid.node} to ${claim.pid.node}`)
  })
  await sim.advance(1000)
  return { sim, source, target, name, heard }
}

describe('moved', () => {
  test('comes after registered, and the name is never seen free', async () => {
    const { sim, source, target, name, heard } = await placed(1)
    await using _ = sim
    await source.move(name, target.name)
    await sim.settle()
    expect(heard).toEqual([`registered ${target.name}`, `moved from ${source.name} to ${target.name}`])
  })

  test('comes also where the end at the old place was heard of first, since nothing came from the new one', async () => {
    const { sim, source, target, name, heard } = await placed(1)
    await using _ = sim
    sim.cut(target, sim.nodes[0] as SkepNode, { oneWay: true })
    await source.move(name, target.name)
    await sim.advance(50)
    expect(heard).toEqual([`unregistered ${source.name}`])
    sim.heal()
    await sim.settle()
    expect(heard.slice(1)).toEqual([`registered ${target.name}`, `moved from ${source.name} to ${target.name}`])
  })

  test('comes also where the source has let go at once, since it had no more time', async () => {
    const { sim, source, target, name, heard } = await placed(1)
    await using _ = sim
    sim.cut(target, sim.nodes[0] as SkepNode, { oneWay: true })
    const moving = source.move(name, target.name)
    await sim.advance(100)
    await Promise.allSettled([moving, source.drain({ timeout: 100 })])
    sim.heal()
    await sim.advance(5000)
    expect(heard).toEqual([
      `unregistered ${source.name}`,
      `registered ${target.name}`,
      `moved from ${source.name} to ${target.name}`,
    ])
  })
})
