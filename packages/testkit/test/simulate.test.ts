/** Whole nodes on a virtual clock and network: what a simulation is, and that each fault does what it says. */
import { anonymous, defineActor, isSkepError, type SkepNode, via } from 'skep'
import { describe, expect, test } from 'vitest'
import { type Observed, type Plan, type Simulation, SimulationError, simulate, withSimulation } from '../src/index.js'

const Counter = defineActor('counter', {
  init: (start: number) => ({ n: start }),
  on: {
    value: (self) => self.state.n,
    increment: (self, by: number = 1) => (self.state.n += by),
    where: (self) => self.node.name,
    hang: () => new Promise<void>(() => {}),
    later: (self, ms: number) => void self.after(ms, (then) => then.state.n++),
    async *ticks(self, upTo: number) {
      for (let i = 0; i < upTo; i++) yield self.state.n + i
    },
  },
})
const actors = [Counter]

/** A cluster that has settled, its nodes by number. */
async function cluster(nodes: number, seed = 1): Promise<Simulation> {
  const sim = await simulate({ seed, nodes, actors })
  await sim.settle()
  return sim
}

function node(sim: Simulation, index: number): SkepNode {
  const found = sim.nodes.find(({ name }) => name === `node-${index + 1}`)
  if (found === undefined) throw new Error(`node ${index} does not run`)
  return found
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    return `no error but ${String(await promise)}`
  } catch (error) {
    return isSkepError(error) ? error.code : String(error)
  }
}

/** Spawns until one is placed on this node; its name. */
async function placedOn(sim: Simulation, host: SkepNode): Promise<string> {
  for (let i = 0; i < 50; i++) {
    const pid = await host.spawn(Counter, via(`placed-${i}`, { visible: 'all' }), 0)
    if (pid.boot === host.boot) return `placed-${i}`
  }
  throw new Error(`the ring gave nothing to ${host.name} (seed ${sim.seed})`)
}

describe('a simulation', () => {
  test('runs real nodes that join, register, call and stream', async () => {
    await using sim = await simulate({ seed: 1, nodes: 3, actors })
    const [a, b, c] = sim.nodes
    await Promise.all(sim.nodes.map((one) => one.ready()))
    await a?.spawn(Counter, via('my_proc', { visible: 'all' }), 5)
    expect(await b?.via(Counter, 'my_proc').increment(2)).toBe(7)
    const ticks: number[] = []
    for await (const tick of c?.via(Counter, 'my_proc').ticks(3) ?? []) ticks.push(tick)
    expect(ticks).toEqual([7, 8, 9])
    await sim.settle()
    sim.check()
  })

  test('with the same plan is the same run, event by event; another seed is another one', async () => {
    const run = async (seed: number): Promise<string> => {
      const plan: Plan = {
        seed,
        starts: [0, 40, 90, 10],
        faults: [
          { type: 'crash', at: 500, node: 1, restartMs: 300 },
          { type: 'stall', at: 900, node: 2, forMs: 1500 },
          { type: 'partition', at: 3000, forMs: 800, groups: [[0, 3]] },
        ],
      }
      await using sim = await simulate({ plan, actors })
      await Promise.allSettled(sim.nodes.map((one, i) => one.spawn(Counter, via(`name-${i % 2}`), i)))
      await sim.settle()
      sim.check()
      return `${sim.hash} ${sim.now} ${sim.counts.frames} ${sim.counts.events}`
    }
    const first = await run(7)
    expect(await run(7)).toBe(first)
    expect(await run(8)).not.toBe(first)
  })

  test('lets virtual time run while the test waits, and takes no real time for it', async () => {
    await using sim = await cluster(2)
    const pid = await node(sim, 0).start(Counter, anonymous, 0)
    const ref = node(sim, 1).ref(Counter, pid)
    await ref.later(600_000)
    await sim.advance(599_000)
    expect(await ref.value()).toBe(0)
    await sim.advance(2000)
    expect(await ref.value()).toBe(1)
    const before = sim.now
    expect(await codeOf(ref.$.with({ timeout: 3000 }).hang())).toBe('ERR_TIMEOUT')
    expect(sim.now - before).toBeGreaterThanOrEqual(3000)
    expect(sim.now - before).toBeLessThan(3100)
  })

  test('ends by itself where something would wait for ever, and says so', async () => {
    await using sim = await simulate({ seed: 3, nodes: 2, actors, limitMs: 30_000 })
    const [a] = sim.nodes
    const pid = await a?.start(Counter, anonymous, 0)
    if (a === undefined || pid === undefined) throw new Error('nothing runs')
    const call = a.ref(Counter, pid).$.with({ timeout: Number.POSITIVE_INFINITY }).hang()
    expect(await codeOf(call)).toBe('ERR_STOPPED')
    await expect(sim.settle()).rejects.toThrow('30000 ms of virtual time have passed')
  })

  test('refuses a plan that it cannot follow', async () => {
    const plan: Plan = { seed: 1, starts: [0, 0], faults: [{ type: 'crash', at: 0, node: 2 }] }
    await expect(simulate({ plan })).rejects.toThrow("the fault 'crash' is about node 2 of 2")
    await expect(simulate({ seed: 1.5 })).rejects.toThrow('the seed must be a whole number')
  })
})

describe('a body that runs with a simulation', () => {
  const options = { plan: { seed: 5, starts: [0, 10], faults: [] } as const, actors: [Counter] }

  test('gives what it gives, and its nodes end with it', async () => {
    const names = await withSimulation(options, async (sim) => {
      await sim.settle()
      return sim.nodes.map((node) => node.name)
    })
    expect(names).toEqual(['node-1', 'node-2'])
    let kept: Simulation | undefined
    await withSimulation(options, async (sim) => {
      kept = sim
    })
    expect(kept?.nodes).toEqual([])
  })

  test('an assertion that fails in it says how to make the run again, once, and is else the same', async () => {
    const failed = await withSimulation(options, async () => expect(1, 'one is').toBe(2)).catch((error) => error)
    expect(failed).toMatchObject({ name: 'AssertionError', actual: 1, expected: 2 })
    for (const text of [failed.message, failed.stack]) {
      expect(text).toMatch(/one is.*\nThe run again:\n.*seed: 5, starts: \[ 0, 10 \]/)
      expect(text.match(/The run again/g)).toHaveLength(1)
    }
    const broken = withSimulation(
      { ...options, invariants: { rule: () => { throw new Error('broken') } } }, // biome-ignore format: one line
      async (sim) => sim.check(),
    )
    const error = await broken.catch((reason) => reason)
    expect(error).toBeInstanceOf(SimulationError)
    expect(error.message.match(/The run again/g)).toHaveLength(1)
    await expect(withSimulation(options, () => Promise.reject('no error'))).rejects.toBe('no error')
  })
})

describe('settle', () => {
  test('names the node and the call that are stuck, with the seed and the plan as code', async () => {
    await using sim = await cluster(2, 5)
    const pid = await node(sim, 0).start(Counter, anonymous, 0)
    const call = node(sim, 1).ref(Counter, pid).$.with({ timeout: 900_000 }).hang()
    call.catch(() => {})
    const error = await sim.settle().catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(SimulationError)
    const { message } = error as SimulationError
    expect(message).toContain('no rest within 60000 ms (seed 5')
    expect(message).toMatch(/node-2 waits for the answer of counter\.hang of <node-1/)
    expect(message).toMatch(/node-1: counter <node-1\S+ runs 1 calls, 0 wait/)
    expect(message).toContain('await simulate({ plan: { seed: 5, starts: [ 0, 0 ], faults: [] }')
  })

  test('names what a cut that was never healed keeps from arriving', async () => {
    await using sim = await cluster(2, 6)
    sim.cut(0, 1)
    const { message } = (await sim.settle().catch((thrown: unknown) => thrown)) as SimulationError
    expect(message).toMatch(/nothing passes between node-1 and node-2: heal\(\) is missing/)
    expect(message).toMatch(/node-1 does not know node-2/)
    expect(message).toMatch(/machine 1 -> machine 2: \d+ frames held by a cut/)
  })
})

describe('check', () => {
  test('asks the rules of the user, and names the one that is broken', async () => {
    const few = (sim: Observed): void => {
      if (sim.nodes.some((one) => one.registered().length > 1)) throw new Error('more than one name')
    }
    await using sim = await simulate({ seed: 2, nodes: 2, actors, invariants: { few } })
    await sim.nodes[0]?.start(Counter, via('one'), 0)
    await sim.settle()
    sim.check()
    await sim.nodes[1]?.start(Counter, via('two'), 0)
    await sim.settle()
    expect(() => sim.check()).toThrow('few: more than one name')
    sim.invariant('later', async () => {
      throw new Error('too late')
    })
  })
})

describe('a partition', () => {
  test('is silence: a call across hangs until its deadline, or until the heal when that is sooner', async () => {
    await using sim = await cluster(3)
    const pid = await node(sim, 2).start(Counter, anonymous, 0)
    const ref = node(sim, 0).ref(Counter, pid)
    sim.partition([[0, 1], [2]])
    expect(await codeOf(ref.$.with({ timeout: 500 }).increment())).toBe('ERR_TIMEOUT')
    const late = ref.$.with({ timeout: 10_000 }).value()
    const before = sim.now
    await sim.advance(500)
    sim.heal()
    // The first one was sent and waited in the network: it was done after all.
    expect(await late).toBe(1)
    expect(sim.now - before).toBeGreaterThan(500)
    await sim.settle()
    sim.check()
    expect(sim.rejoined).toBe(0)
  })

  test('that lasts: the side that remains starts placed actors again, and afterwards there is one of each', async () => {
    await using sim = await cluster(5, 11)
    const name = await placedOn(sim, node(sim, 4))
    sim.partition([[4]])
    await sim.advance(15_000)
    expect(await node(sim, 0).via(Counter, name).where()).not.toBe('node-5')
    sim.heal()
    await sim.settle()
    await sim.check()
    expect(new Set(sim.nodes.map((one) => String(one.whereis(name)))).size).toBe(1)
  })

  test('of one way lets the other way pass', async () => {
    await using sim = await cluster(2)
    const pid = await node(sim, 1).start(Counter, anonymous, 0)
    sim.cut(1, 0, { oneWay: true })
    expect(await codeOf(node(sim, 0).ref(Counter, pid).$.with({ timeout: 300 }).increment())).toBe('ERR_TIMEOUT')
    expect(await node(sim, 1).ref(Counter, pid).value()).toBe(1)
    sim.heal()
    await sim.settle()
    sim.check()
  })
})

describe('a crash', () => {
  test('fails its callers, is noticed at once, and what was placed there runs elsewhere', async () => {
    await using sim = await cluster(3)
    const victim = node(sim, 2)
    const name = await placedOn(sim, victim)
    const own = victim.via(Counter, name).hang()
    const across = node(sim, 0).via(Counter, name).hang()
    await sim.advance(20)
    sim.crash(victim)
    expect(await codeOf(own)).toBe('ERR_STOPPED')
    expect(await codeOf(across)).toBe('ERR_NODE_DOWN')
    expect(sim.nodes.map((one) => one.name)).toEqual(['node-1', 'node-2'])
    const before = sim.now
    await sim.settle()
    sim.check()
    expect(sim.now - before).toBeLessThan(3000)
    expect(await node(sim, 0).via(Counter, name).where()).not.toBe('node-3')
  })

  test('is followed by a restart under the same name and address, another boot', async () => {
    await using sim = await cluster(3)
    const { boot, name, address } = node(sim, 1)
    sim.crash(1)
    const again = await sim.restart(1)
    expect([again.name, again.address]).toEqual([name, address])
    expect(again.boot).not.toBe(boot)
    await sim.settle()
    sim.check()
  })
})

describe('a drain', () => {
  test('ends also where the process is killed in the middle of it', async () => {
    await using sim = await cluster(3)
    const pid = await node(sim, 1).start(Counter, anonymous, 0)
    node(sim, 1)
      .ref(Counter, pid)
      .hang()
      .catch(() => {})
    const drained = sim.drain(1)
    await sim.advance(50)
    sim.crash(1)
    await drained
    await sim.settle()
    sim.check()
    expect(sim.nodes).toHaveLength(2)
  })
})

describe('a stall', () => {
  test('makes timers late and leaves frames in the socket; nothing of the node runs meanwhile', async () => {
    await using sim = await cluster(3)
    const pid = await node(sim, 1).start(Counter, anonymous, 0)
    sim.stall(1, 1500)
    const before = sim.now
    expect(await node(sim, 0).ref(Counter, pid).increment()).toBe(1)
    expect(sim.now - before).toBeGreaterThanOrEqual(1500)
    await sim.settle()
    sim.check()
    expect(sim.nodes).toHaveLength(3)
  })
})

describe('a node', () => {
  test('that drains hands over, goes, and may be started again; one more may be added', async () => {
    await using sim = await cluster(3)
    const name = await placedOn(sim, node(sim, 0))
    await sim.drain(0)
    expect(sim.nodes.map((one) => one.name)).toEqual(['node-2', 'node-3'])
    await sim.settle()
    expect(await node(sim, 1).via(Counter, name).where()).not.toBe('node-1')
    await sim.restart(0)
    const more = await sim.start({ name: 'helper' })
    await more.ready()
    await sim.settle()
    sim.check()
    expect(more.members().map((member) => member.name)).toEqual(['helper', 'node-1', 'node-2', 'node-3'])
  })
})
