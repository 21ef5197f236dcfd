/** Whole nodes under a partition policy: what users of both sides of a cut see, and when. */
import {
  anonymous,
  child,
  defineActor,
  defineSupervisor,
  isSkepError,
  type PartitionPolicy,
  type SkepNode,
  via,
} from 'skep'
import { layersOf } from 'skep/internal'
import { describe, expect, test } from 'vitest'
import { type Simulation, simulate } from '../src/index.js'

const Counter = defineActor('counter', {
  init: () => ({ n: 0 }),
  on: {
    add: (self) => ++self.state.n,
    where: (self) => self.node.name,
    fence: (self) => self.fence,
    link: (self, other: object) => self.link(other),
  },
})

/** With the usual bounds: votes lapse after 6 s, what a lost member held is taken over after 8 s more. */
const pauseMs = 6000
const takeoverMs = 8000

/** A cluster whose members are the base of its policy. */
async function cluster(nodes: number, partition: PartitionPolicy, seed: number): Promise<Simulation> {
  const sim = await simulate({ seed, nodes, actors: [Counter], config: { partition } })
  await sim.settle()
  await sim.advance(12_000)
  return sim
}

function node(sim: Simulation, index: number): SkepNode {
  const found = sim.nodes.find(({ name }) => name === `node-${index + 1}`)
  if (found === undefined) throw new Error(`node ${index} does not run`)
  return found
}

async function placedOn(sim: Simulation, host: SkepNode): Promise<string> {
  for (let i = 0; i < 50; i++) {
    const pid = await host.spawn(Counter, via(`placed-${i}`, { visible: 'all' }))
    if (pid.boot === host.boot) return `placed-${i}`
  }
  throw new Error(`the ring gave nothing to ${host.name} (seed ${sim.seed})`)
}

/** The node calls the actor ten times a second: when it was done, and with what each code it was not. */
function caller(sim: Simulation, from: SkepNode, name: string) {
  const done: number[] = []
  const refused = new Map<string, number>()
  let on = true
  const run = async (): Promise<void> => {
    while (on) {
      try {
        await from.via(Counter, name).$.with({ timeout: 1000 }).add()
        done.push(sim.now)
      } catch (error) {
        if (!isSkepError(error)) throw error
        refused.set(error.code, (refused.get(error.code) ?? 0) + 1)
      }
      await sim.advance(100)
    }
  }
  const ended = run()
  return {
    done,
    refused,
    stop: async () => {
      on = false
      await ended
    },
  }
}

describe('majority', () => {
  test('pauses a placed actor of the losing side before the other side starts it', async () => {
    await using sim = await cluster(5, 'majority', 21)
    const victim = node(sim, 4)
    const name = await placedOn(sim, victim)
    const events: string[] = []
    victim.on('paused', ({ name: who, halted }) => events.push(`paused ${who} ${halted}`))
    victim.on('resumed', ({ name: who, halted }) => events.push(`resumed ${who} ${halted}`))
    const losing = caller(sim, victim, name)
    await sim.advance(1000)
    sim.partition([[4]])
    const cutAt = sim.now
    const winning = caller(sim, node(sim, 0), name)
    await sim.advance(30_000)
    expect(victim.explain(name).partition).toMatchObject({ policy: 'majority', halted: true, standing: 1, of: 5 })
    expect(victim.explain(name).process).toMatchObject({ paused: true })
    await losing.stop()
    await winning.stop()
    const last = losing.done.at(-1) as number
    const first = winning.done[0] as number
    expect(last).toBeGreaterThan(cutAt + pauseMs / 2)
    expect(last).toBeLessThanOrEqual(cutAt + pauseMs)
    expect(first).toBeGreaterThanOrEqual(cutAt + takeoverMs)
    expect(losing.refused.get('ERR_NO_MAJORITY')).toBeGreaterThan(0)
    await expect(victim.spawn(Counter, via('new'))).rejects.toMatchObject({ code: 'ERR_NO_MAJORITY', retryable: true })
    await expect(victim.start(Counter, via('newer'))).rejects.toMatchObject({ code: 'ERR_NO_MAJORITY', sent: 'no' })
    expect(events).toEqual(['paused node-5 true'])
    sim.heal()
    await sim.settle()
    await sim.check()
    expect(events).toEqual(['paused node-5 true', 'resumed node-5 false'])
    const holders = new Set(sim.nodes.map((one) => String(one.whereis(name))))
    expect(holders.size).toBe(1)
    expect(await node(sim, 4).via(Counter, name).where()).not.toBe('node-5')
    await node(sim, 4).spawn(Counter, via('new'))
  })

  test('spares a supervisor of the losing side whose children cannot have their names: they are started after the heal', async () => {
    await using sim = await cluster(3, 'majority', 24)
    const [near, far] = [node(sim, 0), node(sim, 1)]
    const Sup = defineSupervisor('sup', { children: () => ({ one: child(Counter, via('one')) }) })
    await near.start(Sup, anonymous)
    const other = far.ref(Counter, await far.start(Counter, anonymous))
    await sim.settle()
    // It crashes as soon as that node is held to be down.
    await near.via(Counter, 'one').link(other)
    sim.partition([[0]])
    await sim.advance(30_000)
    await expect(near.via(Counter, 'one').add()).rejects.toMatchObject({ code: 'ERR_NOT_REGISTERED' })
    sim.heal()
    await sim.advance(5000)
    await sim.settle()
    await sim.check()
    expect(await far.via(Counter, 'one').add()).toBe(1)
    expect(await far.via(Counter, 'one').where()).toBe(near.name)
  })

  test('lets an actor of a part that was unheard for a while run on with its state', async () => {
    await using sim = await cluster(3, 'majority', 22)
    const name = await placedOn(sim, node(sim, 2))
    expect(await node(sim, 0).via(Counter, name).add()).toBe(1)
    sim.partition([[2]])
    // Over before anybody may take over.
    await sim.advance(7000)
    sim.heal()
    await sim.settle()
    await sim.check()
    expect(await node(sim, 0).via(Counter, name).add()).toBe(2)
    expect(await node(sim, 0).via(Counter, name).where()).toBe('node-3')
  })

  test('starts what ran on a node that is gone, and the rest becomes what counts', async () => {
    await using sim = await cluster(5, 'majority', 23)
    const name = await placedOn(sim, node(sim, 4))
    sim.crash(4)
    const crashedAt = sim.now
    await sim.settle()
    expect(sim.now - crashedAt).toBeGreaterThanOrEqual(takeoverMs)
    expect(await node(sim, 0).via(Counter, name).add()).toBe(1)
    sim.crash(3)
    await sim.advance(25_000)
    // Three were left of five; of those three two are enough again.
    sim.crash(2)
    await sim.advance(25_000)
    await node(sim, 0).spawn(Counter, via('still'))
    await sim.settle()
    await sim.check()
  })

  test('halts both sides where none has it', async () => {
    await using sim = await cluster(3, 'majority', 24)
    sim.partition([[0], [1], [2]])
    await sim.advance(pauseMs + 100)
    for (const one of sim.nodes) {
      await expect(one.spawn(Counter, via('x'))).rejects.toMatchObject({ code: 'ERR_NO_MAJORITY' })
    }
    sim.heal()
    await sim.settle()
    await node(sim, 0).spawn(Counter, via('x'))
    await sim.settle()
    await sim.check()
  })
})

test('keep-oldest: at heal the greater part gives way to the one that went on', async () => {
  await using sim = await cluster(5, 'keep-oldest', 25)
  const ages = sim.nodes.map((one, index) => ({ index, boot: one.boot, startedAt: startOf(one) }))
  ages.sort((a, b) => a.startedAt - b.startedAt || (a.boot < b.boot ? -1 : 1))
  const [oldest, second, third] = ages.map(({ index }) => index) as [number, number, number]
  const name = await placedOn(sim, node(sim, third))
  sim.partition([[oldest, second]])
  await sim.advance(25_000)
  expect(await node(sim, oldest).via(Counter, name).add()).toBe(1)
  sim.heal()
  await sim.settle()
  await sim.check()
  expect(await node(sim, third).via(Counter, name).add()).toBe(2)
})

function startOf(node: SkepNode): number {
  return layersOf(node).cluster.self.startedAt
}

test('a quorum that is not there yet: names are refused until it is', async () => {
  await using sim = await simulate({ seed: 26, nodes: 2, actors: [Counter], config: { partition: { quorum: 3 } } })
  await sim.advance(pauseMs + 2000)
  await expect(node(sim, 0).spawn(Counter, via('x'))).rejects.toMatchObject({ code: 'ERR_NO_MAJORITY' })
  await sim.start()
  await sim.settle()
  await node(sim, 0).spawn(Counter, via('x'))
  await sim.settle()
  await sim.check()
})
