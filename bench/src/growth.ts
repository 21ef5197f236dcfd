/**
 * What grows with the names and nodes of a cluster: the cost of one operation (growth-steps.ts), and the most work in a
 * turn of the event loop of every node while an empty node joins, all names are read, a node that holds three tenths of
 * them is killed, and another such leaves.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { startProcess } from '@skep/example-counter/processes'
import { costsByNames, costsByNodes, costsOf, type Grown, LEAST_STEP_MS, stepPlots } from './growth-steps.js'
import type { JoinerSteps } from './joiner.js'
import { spread } from './measure.js'
import { alone, type Line, type Measure, type Plot, type RowReport, type Target } from './report.js'
import { type BenchOptions, type Node, startNodes, startOne, uniqueCluster } from './row.js'
import { LEAST_MS, longestOf, type Turns } from './turns.js'

/** Where each of three nodes holds its share. */
const SHARES = { a: 0.4, b: 0.3 } as const
/** Held by a node that dies, and by one that leaves. */
const LOST = 0.3
const TARGET = { bound: 'at most', limit: 20 } as const
/** A gone node's log is dropped a minute after its end. */
const FORGOTTEN_MS = 62_000
/** With more names than that a round takes a minute. */
const OFTEN_UP_TO = 100_000
const RARE_ROUNDS = 2

const phases = {
  join: 'an empty node joins',
  snapshot: 'all names are read',
  loss: 'a node with 30 % of the names is killed',
  forgotten: 'its log is dropped a minute later',
  leave: 'a node with 30 % of the names leaves',
} as const

type Phase = keyof typeof phases
type Seen = Map<Phase, Turns[]>

/** Names in the cluster in which the nodes grow. */
const NODES_NAMES = 10_000

export async function growth(options: BenchOptions): Promise<RowReport> {
  const { quick, million } = options
  const sizes = quick ? [1000] : [1000, 100_000, ...(million ? [1_000_000] : [])]
  const wrong: string[] = []
  const ops = quick ? 100 : 2000
  // The compiler has seen all of it before anything counts, and so often that it is done.
  await costsOf(3, quick ? 1000 : 100_000, ops)
  const byNames: Grown[] = []
  const byNodes: Grown[] = []
  for (const names of sizes) byNames.push({ nodes: 3, names, costs: await costsOf(3, names, ops) })
  for (const nodes of quick ? [3, 10] : [3, 10, 20])
    byNodes.push({ nodes, names: NODES_NAMES, costs: await costsOf(nodes, quick ? 1000 : NODES_NAMES, ops) })
  const seen: [number, Seen][] = []
  for (const names of sizes) seen.push([names, await turnsAt(names, options, wrong)])
  return {
    what: `Turns of the event loop of each node that takes part (three; who joins, and who leaves, as well): the most work in one, what the garbage collector did and waiting for a free core taken out; the longest by the clock, with both; and the most that the collector did in one. A turn under ${LEAST_MS} ms is told as 0. With more than ${OFTEN_UP_TO.toLocaleString('en')} names there are at most ${RARE_ROUNDS} rounds. Operations: the time of the processor that one costs all nodes together, their machines in one process, in one run of each; a step under ${LEAST_STEP_MS} ms is told as 0; frames and bytes are counted, and the same at each run.`,
    measures: [
      ...byNames.flatMap((one) => costsByNames(sizeInWords(one.names), one)),
      ...byNodes.flatMap((one) => costsByNodes(one)),
      ...seen.flatMap(([names, turns]) => measuresOf(names, turns)),
    ],
    plots: [plotOf(seen), ...stepPlots(byNames, byNodes)],
    wrong,
  }
}

async function turnsAt(names: number, { rounds, quick }: BenchOptions, wrong: string[]): Promise<Seen> {
  const cluster = uniqueCluster()
  const limitMs = 60_000 + names / 5
  const seen: Seen = new Map()
  const lost = names * LOST
  const [a, b] = await startNodes(['a', 'b'], cluster)
  if (a === undefined || b === undefined) throw new TypeError('there are no nodes')
  const kept = (await fill(a, names * SHARES.a, wrong)) + (await fill(b, names * SHARES.b, wrong))
  for (let round = 0; round <= (names > OFTEN_UP_TO ? Math.min(RARE_ROUNDS, rounds) : rounds); round++) {
    const noted = async (
      phase: Phase,
      nodes: readonly Node[],
      work: () => Promise<Turns | undefined>,
    ): Promise<void> => {
      for (const node of nodes) await node.ask('beginTurns')
      const own = await work()
      const all = await Promise.all(nodes.map((node) => node.ask('endTurns')))
      const turns = seen.get(phase) ?? []
      seen.set(phase, turns)
      // The first round is for the compiler to warm up.
      if (round > 0) turns.push(longestOf(own === undefined ? all : [...all, own]))
    }
    const clean = async (): Promise<undefined> => {
      for (const node of [a, b]) await node.ask('clean', kept, limitMs)
    }
    const dying = await startOne('dying', cluster)
    await fill(dying, lost, wrong)
    for (const node of [a, b, dying]) await node.ask('full', kept + lost, limitMs)
    const joiner = startProcess<JoinerSteps>(new URL('./joiner.js', import.meta.url), { cluster })
    await joiner.ask('loaded')
    await noted('join', [a, b, dying], async () => {
      const { turns } = await joiner.ask('join', `joiner-${round}`, kept + lost, limitMs)
      return turns
    })
    const missing = await joiner.ask('leave', 'a', names * SHARES.a, 'a')
    await joiner.kill()
    if (missing > 0) wrong.push(`${missing} names are not seen on their holder by who joined`)
    await noted('snapshot', [a, b], async () => {
      const read = await a.ask('readAll')
      if (read !== kept + lost) wrong.push(`${read} of ${kept + lost} names were read`)
      return undefined
    })
    await noted('loss', [a, b], async () => {
      await dying.kill('SIGKILL')
      return clean()
    })
    if (round === 1 && !quick) {
      await noted('forgotten', [a, b], async () => {
        await pause(FORGOTTEN_MS)
        return undefined
      })
    }
    const leaver = await startOne('leaver', cluster)
    await fill(leaver, lost, wrong)
    for (const node of [a, b]) await node.ask('full', kept + lost, limitMs)
    await noted('leave', [a, b, leaver], async () => {
      await leaver.ask('leave')
      return clean()
    })
    await leaver.kill()
  }
  await Promise.all([a, b].map((node) => node.kill()))
  return seen
}

async function fill(node: Node, count: number, wrong: string[]): Promise<number> {
  const filled = await node.ask('fill', node.name, count)
  if (filled.wrong > 0) wrong.push(`${filled.wrong} names were not registered, ${filled.fault}`)
  return count
}

function measuresOf(names: number, seen: Seen): Measure[] {
  return [...seen].flatMap(([phase, turns]) => {
    const one = (what: string, of: (turns: Turns) => number, target?: Omit<Target, 'of'>): Measure =>
      alone(`${sizeInWords(names)}: ${phases[phase]}, ${what}`, 'ms', turns.map(of), target)
    return [
      one('most work in a turn', ({ workMs }) => workMs, TARGET),
      one('longest turn by the clock', ({ longestMs }) => longestMs),
      one('most of the collector in a turn', ({ collectedMs }) => collectedMs),
      one('longest collection of young objects', ({ scavengeMs }) => scavengeMs),
      one('longest pause of a whole one', ({ markMs }) => markMs),
    ]
  })
}

function sizeInWords(names: number): string {
  return names >= 1_000_000 ? `${names / 1_000_000} M names` : `${names / 1000} k names`
}

function plotOf(seen: readonly (readonly [number, Seen])[]): Plot {
  const lines: Line[] = (Object.keys(phases) as Phase[]).map((phase) => ({
    name: phases[phase],
    points: seen.map(([names, turns]) => [names, spread((turns.get(phase) ?? []).map(({ workMs }) => workMs)).median]),
  }))
  return { file: 'turns', title: 'Milliseconds of the most work in a turn of the event loop', x: 'names', lines }
}
