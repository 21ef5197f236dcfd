/**
 * Nodes come, leave and crash at random for minutes, under load, while one stays. At the end there is one registry
 * without ghosts, and the one that stayed holds no more than it did early on: no memory, no timers, no sockets.
 */

import { mustHold } from './faults.js'
import { allReady, askAll, clock, type Node, startAgain, startOne, uniqueCluster, withOutputs } from './nodes.js'
import { randomFrom } from './random.js'
import { Checks, pause, type Report, type Say, within } from './scenario.js'
import { answered, everybodyKnown, oneHolder, sameRegistry, until } from './whole.js'

export interface ChurnOptions {
  readonly minutes: number
  readonly seed: number
}

const NODES = 5
const NAMES = 200
const CALLS_PER_S = 60

/** The first measure: what a young process still fills is full by then. */
const WARM_MINUTES = 2
const HEAP_TOLERANCE = 0.05

/**
 * What V8 makes of code that runs ever more often is no leak, but it is in the heap, and came to more than all else
 * that grew: the node that is measured compiles each function once, as far as it goes, and keeps that.
 */
const MEASURED = ['--expose-gc', '--no-opt', '--no-sparkplug', '--no-lazy-feedback-allocation', '--no-flush-bytecode']

/** A node that lost most of its view restarts nothing for 30 s, on purpose: this is waited for, and a little more. */
const SETTLE_MS = 45_000

/** Between two changes, in ms: from a blink to what a detector needs. */
const MIN_GAP_MS = 200
const MAX_GAP_MS = 6000

export async function churn({ minutes, seed }: ChurnOptions, say: Say): Promise<Report> {
  const checks = new Checks(say)
  const figures: Record<string, unknown> = { minutes, seed }
  say(`churn: ${NODES} nodes come, leave and crash for ${minutes} minutes, --seed ${seed}`)
  await checks.part('churn', async () => {
    const cluster = uniqueCluster()
    const nodes: Node[] = []
    for (let i = 1; i <= NODES; i++) {
      nodes.push(startOne({ cluster, name: `node-${i}` }, i === 1 ? { flags: MEASURED } : {}))
    }
    const names = Array.from({ length: NAMES }, (_, i) => `placed-${i + 1}`)
    await withOutputs(nodes, async () => {
      await allReady(nodes, clock())
      await mustHold(everybodyKnown(nodes))
      await nodes[0]?.ask('spawnAll', names)
      const random = randomFrom(seed)
      const events = { joins: 0, leaves: 0, crashes: 0, badExits: 0 }
      const warm = Math.min(WARM_MINUTES, minutes / 2)
      await stir(nodes, names, random, warm, events)
      const early = await settle(checks, `after ${warm} minutes`, nodes, names)
      await stir(nodes, names, random, minutes - warm, events)
      const late = await settle(checks, `after ${minutes} minutes`, nodes, names)
      Object.assign(figures, { events, early, late })
      const { joins, leaves, crashes, badExits } = events
      say(`  ${joins} joins, ${leaves} leaves, ${crashes} crashes`)
      checks.check('there were joins, leaves and crashes', joins > 0 && leaves > 0 && crashes > 0)
      checks.check('whoever leaves ends with code 0', badExits === 0, `${badExits} did not`)
      compare(checks, say, warm, early, late)
      const warnings = nodes[0]?.output().match(/^.*Warning.*$/gm) ?? []
      checks.check('the one that stayed warns of nothing (listeners, deprecations)', warnings.length === 0, warnings[0])
    })
  })
  return { scenario: 'churn', checks: checks.all, figures }
}

interface Held {
  readonly heapBytes: number
  readonly resources: Readonly<Record<string, number>>
  readonly names: number
}

interface Events {
  joins: number
  leaves: number
  crashes: number
  badExits: number
}

/** Changes at random for a time, under load of the one that stays. */
async function stir(
  nodes: Node[],
  names: readonly string[],
  random: () => number,
  minutes: number,
  events: Events,
): Promise<void> {
  const end = clock() + minutes * 60_000
  const gone = new Set<number>()
  const stays = nodes[0] as Node
  await stays.ask('startLoad', { names, callsPerS: CALLS_PER_S, startsPerS: 0, prefix: 'none' })
  while (clock() < end) {
    await pause(MIN_GAP_MS + (MAX_GAP_MS - MIN_GAP_MS) * random() ** 2)
    const index = 1 + Math.floor(random() * (nodes.length - 1))
    await change(nodes, index, gone, random, events)
  }
  for (const index of gone) await join(nodes, index, events)
  const { open } = await within(20_000, 'the end of the load', stays.ask('endLoad'))
  if (open > 0) throw new Error(`${open} calls are stuck`)
}

async function change(
  nodes: Node[],
  index: number,
  gone: Set<number>,
  random: () => number,
  events: Events,
): Promise<void> {
  const node = nodes[index] as Node
  if (gone.delete(index)) {
    await join(nodes, index, events)
  } else if (random() < 0.5) {
    const { code } = await within(20_000, `${node.name} leaves`, node.kill('SIGTERM'))
    events.leaves++
    if (code !== 0) events.badExits++
    gone.add(index)
  } else {
    await node.kill('SIGKILL')
    events.crashes++
    // Half of them are back at once, before anybody has noticed.
    if (random() < 0.5) await join(nodes, index, events)
    else gone.add(index)
  }
}

/** Starts it and does not wait until it is ready: what comes next may meet it half-way. */
async function join(nodes: Node[], index: number, events: Events): Promise<void> {
  nodes[index] = startAgain(nodes[index] as Node)
  events.joins++
  // Its process must listen to signals before it can be told to leave.
  await within(30_000, `${nodes[index]?.name} starts`, nodes[index]?.ask('boot') ?? Promise.resolve())
}

/** All are there and it is quiet: what must hold then, and what the one that stayed holds. */
async function settle(checks: Checks, when: string, nodes: readonly Node[], names: readonly string[]): Promise<Held> {
  const since = clock()
  await allReady(nodes, since)
  const known = await until(since, SETTLE_MS, everybodyKnown(nodes))
  checks.check(`${when}: every node knows every node`, known.ms !== undefined, known.wrong)
  const holders = await until(since, SETTLE_MS, oneHolder(nodes, names))
  checks.check(`${when}: each name runs once, and all know where`, holders.ms !== undefined, holders.wrong)
  const same = await until(since, SETTLE_MS, sameRegistry(nodes))
  checks.check(`${when}: the registries are equal`, same.ms !== undefined, same.wrong)
  const [all] = await askAll(nodes.slice(0, 1), 'names', '')
  const ghosts = await until(clock(), 5000, answered(nodes, all ?? []))
  checks.check(`${when}: no ghosts: each name answers on each node`, ghosts.ms !== undefined, ghosts.wrong)
  checks.check(
    `${when}: there are the ${names.length} names and no other`,
    all?.length === names.length,
    `${all?.length}`,
  )
  // Sockets of those that have gone, and timers of calls, take some seconds to end.
  await pause(8000)
  return within(20_000, 'what it holds', (nodes[0] as Node).ask('held'))
}

function compare(checks: Checks, say: Say, warm: number, early: Held, late: Held): void {
  const growth = late.heapBytes / early.heapBytes - 1
  const mb = (bytes: number) => (bytes / 1e6).toFixed(2)
  const text = `${mb(early.heapBytes)} MB, then ${mb(late.heapBytes)} MB (${(100 * growth).toFixed(1)} %)`
  say(`  heap after collections: ${text}`)
  const claim = `the heap is within ${100 * HEAP_TOLERANCE} % of that of minute ${WARM_MINUTES}`
  if (warm < WARM_MINUTES) checks.skip(claim, `it takes --minutes ${2 * WARM_MINUTES} or more`)
  else checks.check(claim, growth <= HEAP_TOLERANCE, text)
  const kinds = new Set([...Object.keys(early.resources), ...Object.keys(late.resources)])
  const more = [...kinds].flatMap((kind) => {
    const [before, after] = [early.resources[kind] ?? 0, late.resources[kind] ?? 0]
    // A timer of a moment may be on its way in either.
    return after > before + 1 ? [`${kind}: ${before}, then ${after}`] : []
  })
  say(`  what keeps its event loop busy: ${JSON.stringify(early.resources)}, then ${JSON.stringify(late.resources)}`)
  checks.check('no timers, sockets or watchers are left over', more.length === 0, more.join('; '))
}
