/**
 * A process that `memory.ts` starts: `population.js (skep | plain) (named | anonymous) ACTORS` makes that many, or
 * `population.js plain entries NAMES` so many entries of a Map, measures, and prints what it found as one line of JSON.
 */
import { anonymous, defineActor, type Pid, type RefOf, type SkepNode, startNode, via } from 'skep'
import type { Population } from './memory.js'
import { heapUsed } from './slice.js'

type Measured = Partial<Population>

const CALLED = 1000

/** Starts under way at once. */
const LANES = 64

const Counter = defineActor('counter', {
  init: (n: number) => ({ n }),
  on: {
    add: (self, by: number) => {
      self.state.n += by
      return self.state.n
    },
  },
})

async function populate(mode: string, actors: number): Promise<Measured> {
  const node = await startNode({ name: 'bench', cluster: 'bench', actors: [Counter], logger: 'silent', signals: false })
  await node.ready()
  // Compiled code and tables of the node are not the actors'.
  await startAll(node, mode, 1000, 'first')
  const before = heapUsed()
  const begun = performance.now()
  const pids = await startAll(node, mode, actors, 'room')
  const startMs = performance.now() - begun
  // The list of pids is the bench's own, but for the pids, which the actors hold.
  const bytesPerActor = (heapUsed() - before) / actors - 8
  const residentBytes = process.memoryUsage.rss()
  const called = performance.now()
  await Promise.all(Array.from({ length: CALLED }, () => callOne(node, mode, pids)))
  const callMs = performance.now() - called
  await node.stop()
  return { bytesPerActor, residentBytes, startMs, called: CALLED, callMs }
}

async function startAll(node: SkepNode, mode: string, actors: number, prefix: string): Promise<Pid[]> {
  const pids = new Array<Pid>(actors)
  let next = 0
  const lane = async (): Promise<void> => {
    for (let i = next++; i < actors; i = next++)
      pids[i] = await node.start(Counter, mode === 'named' ? via(`${prefix}-${i}`) : anonymous, i)
  }
  await Promise.all(Array.from({ length: LANES }, lane))
  return pids
}

/** Two that are equal may be drawn: each adds something of its own and takes it back. */
async function callOne(node: SkepNode, mode: string, pids: readonly Pid[]): Promise<void> {
  const i = Math.floor(Math.random() * pids.length)
  const ref: RefOf<typeof Counter> =
    mode === 'named' ? node.via(Counter, `room-${i}`) : node.ref(Counter, pids[i] as Pid)
  const [more, same] = await Promise.all([ref.add(1), ref.add(-1)])
  if (more - 1 !== same || same !== i) throw new Error(`actor ${i} answered ${more} and ${same}`)
}

interface Plain {
  readonly state: { n: number }
  readonly mailbox: unknown[]
}

function plain(mode: string, actors: number): Measured {
  const before = heapUsed()
  if (mode === 'entries') {
    const entries = new Map<string, number>()
    for (let i = 0; i < actors; i++) entries.set(`a-${i}`, i)
    const bytesPerActor = (heapUsed() - before) / actors
    if (entries.size !== actors) throw new Error('some are missing')
    return { bytesPerActor }
  }
  const all = new Map<string | number, Plain>()
  for (let i = 0; i < actors; i++) all.set(mode === 'named' ? `room-${i}` : i, { state: { n: i }, mailbox: [] })
  const bytesPerActor = (heapUsed() - before) / actors
  if (all.size !== actors) throw new Error('some are missing')
  return { bytesPerActor }
}

const [what, mode = '', actors] = process.argv.slice(2)
console.log(JSON.stringify(what === 'plain' ? plain(mode, Number(actors)) : await populate(mode, Number(actors))))
