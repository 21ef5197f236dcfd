/** A user's whole program, compiled and run against the packed packages: see pack-check.mjs. */
import { startCluster } from '@skep/cluster'
import { seedRandom } from '@skep/cluster/core'
import { faults, simulate, simulateMachines } from '@skep/testkit'
import { startTracker } from '@skep/tracker'
import { Pid } from '@skep/tracker/core'
import { defineActor, type RefOf, startNode, staticPeers, via } from 'skep'
import { startNodeIn } from 'skep/internal'

const Counter = defineActor('counter', {
  init: (start: number) => ({ n: start }),
  on: {
    value: (self) => self.state.n,
    increment: (self, by: number = 1) => (self.state.n += by),
    async *ticks(self, upTo: number) {
      for (let i = 0; i < upTo; i++) yield self.state.n + i
    },
  },
})

async function addTwo(counter: RefOf<typeof Counter>): Promise<number> {
  // @ts-expect-error: increment takes a number
  const wrong = () => counter.increment('2')
  void wrong
  return await counter.increment(2)
}

for (const part of [startCluster, startTracker, startNodeIn, seedRandom, Pid]) {
  if (typeof part !== 'function') throw new Error('an export is missing')
}
const { runs, violations } = simulateMachines({ seed: 1, runs: 1, nodes: [2, 3] })
if (runs !== 1 || violations !== 0) throw new Error(`the simulator found ${violations} violations in ${runs} runs`)
const plan = { seed: 1, starts: [0, 5], faults: [] }
const sim = await simulate({ plan, actors: [Counter] })
await Promise.allSettled(sim.nodes.map((one) => one.spawn(Counter, via('one'), 40)))
await sim.settle()
await sim.check()
await sim[Symbol.asyncDispose]()
void faults.concurrentJoins({ nodes: [2, 3] })

const node = await startNode({
  name: 'packed',
  cluster: 'packed',
  listen: '127.0.0.1:0',
  discovery: staticPeers([]),
  actors: [Counter],
})
await node.ready()
await node.start(Counter, via('one'), 40)
const counter = node.via(Counter, 'one')
const sum = await addTwo(counter)
let ticks = 0
for await (const tick of counter.ticks(3)) ticks += tick >= sum ? 1 : 0
await node.stop()
console.log(`${sum} and ${ticks} ticks`)
