/**
 * The course of every scenario in which the network misbehaves: nodes on hosts of their own, placed names, load from
 * every node; then the fault, for a time; then the network is good again and all must be one cluster within a bound.
 * What a fault may and may not do besides is looked at by its scenario, with what is given back here.
 */

import type { NodeExplanation } from 'skep'
import { CALL_TIMEOUT_MS, type Failure, type LoadReport } from './load.js'
import type { Network } from './net/network.js'
import type { NodeArgument } from './node.js'
import { allReady, askAll, clock, type Node, startOnHosts, uniqueCluster, withOutputs } from './nodes.js'
import { type Checks, pause, type Say, within } from './scenario.js'
import { answered, everybodyKnown, type Outcome, oneHolder, sameRegistry, until } from './whole.js'

/** After the network is good again, in ms: one holder for each name on every node. */
export const ONE_HOLDER_MS = 3000

/** What is measured is waited for longer than is allowed, so that the figure is known. */
const WATCHED_MS = 40_000

const PLACED = 30
const CALLS_PER_S = 40
const STARTS_PER_S = 5

export interface Fault {
  readonly seconds: number
  /** Makes it, and whatever belongs into its time; then the rest of the time passes. */
  begin(nodes: readonly Node[]): Promise<void>
  /** Just before its end. */
  end?(nodes: readonly Node[]): Promise<void>
  /** Names besides the placed ones that must have one holder afterwards; asked at the end. */
  names?(): readonly string[]
}

export interface Course {
  readonly nodes: readonly Node[]
  readonly placed: readonly string[]
  readonly beganAt: number
  readonly healedAt: number
  /** Of each node, in order. */
  readonly loads: readonly LoadReport[]
  /** The same, as of just before the heal. */
  readonly loadsInFault: readonly LoadReport[]
  /** Who declared whom down, since the fault began. */
  readonly downs: readonly { readonly by: string; readonly name: string; readonly at: number }[]
  /** Placed names whose process is another one than before. */
  readonly moved: readonly string[]
  readonly figures: Readonly<Record<string, unknown>>
}

/** Starts the nodes of a scenario and gives them names to run. */
export async function gathered(
  network: Network,
  shared: Partial<NodeArgument> = {},
): Promise<{ nodes: Node[]; placed: string[] }> {
  const nodes = startOnHosts(network.hosts, { cluster: uniqueCluster(), ...shared })
  const placed = Array.from({ length: PLACED }, (_, i) => `placed-${i + 1}`)
  await allReady(nodes, clock())
  await withOutputs(nodes, async () => {
    await mustHold(everybodyKnown(nodes))
    await nodes[0]?.ask('spawnAll', placed)
    // Whatever part it is in, each node has somebody who can answer it.
    await Promise.all(nodes.map((node) => node.ask('start', localName(node))))
    await mustHold(sameRegistry(nodes))
    // Before all count each other in, no part of them knows that it is the smaller one.
    if (shared.partition !== undefined) await mustHold(() => notCounted(nodes))
  })
  return { nodes, placed }
}

/** Which node does not count votes against all of them yet, by its partition policy. */
async function notCounted(nodes: readonly Node[]): Promise<string | undefined> {
  for (const node of nodes) {
    const { partition } = JSON.parse(await node.ask('explain', 'any')) as NodeExplanation
    // With a quorum all are counted against that number, from the beginning.
    const all = partition?.policy.startsWith('quorum') ? partition.standing : partition?.of
    if (all !== nodes.length) return `${node.name} counts ${JSON.stringify(partition)}`
  }
  return undefined
}

/** An actor that stays with its node. */
function localName({ name }: Node): string {
  return `local-${name}`
}

/** Waits, bounded, and throws what is wrong when it does not come to hold. */
export async function mustHold(ask: () => Promise<string | undefined>, limitMs = 15_000): Promise<void> {
  const { ms, wrong } = await until(clock(), limitMs, ask)
  if (ms === undefined) throw new Error(wrong)
}

let rounds = 0

/** One fault from its beginning to the cluster that is whole again; the checks that hold for all faults. */
export async function underFault(
  checks: Checks,
  say: Say,
  network: Network,
  { nodes, placed }: { readonly nodes: readonly Node[]; readonly placed: readonly string[] },
  fault: Fault,
): Promise<Course> {
  return withOutputs(nodes, async () => {
    const before = await askAll(nodes, 'holders', placed)
    const round = ++rounds
    await Promise.all(
      nodes.map((node) =>
        node.ask('startLoad', {
          names: [...placed, localName(node)],
          callsPerS: CALLS_PER_S,
          startsPerS: STARTS_PER_S,
          prefix: `own-${round}-${node.name}`,
        }),
      ),
    )
    await pause(500)
    const beganAt = clock()
    await fault.begin(nodes)
    await pause(Math.max(0, fault.seconds * 1000 - (clock() - beganAt)))
    await fault.end?.(nodes)
    const loadsInFault = await askAll(nodes, 'loadSoFar')
    await network.heal()
    const healedAt = clock()
    const names = [...placed, ...(fault.names?.() ?? [])]
    const [known, holder] = await Promise.all([
      until(healedAt, WATCHED_MS, everybodyKnown(nodes)),
      until(healedAt, WATCHED_MS, oneHolder(nodes, names)),
    ])
    await askAll(nodes, 'startNoMore')
    // Counted from here: until now new names came all the time.
    const same = await until(clock(), WATCHED_MS, sameRegistry(nodes))
    const loads = await askAll(nodes, 'endLoad')
    const lists = await askAll(nodes, 'downs')
    const downs = lists.flatMap((list, i) =>
      list.flatMap(({ name, at }) => (at >= beganAt ? [{ by: nodes[i]?.name ?? '', name, at }] : [])),
    )
    const after = await askAll(nodes, 'holders', placed)
    const moved = placed.filter((_, i) => before[0]?.[i] !== after[0]?.[i])
    say(
      `  after the heal: all known ${inMs(known)}, one holder ${inMs(holder)}, registries equal ${inMs(same)} after the last start`,
    )
    checks.check('every node knows every node again', known.ms !== undefined, known.wrong)
    checks.check(
      `one holder for each name, one copy of it, within ${ONE_HOLDER_MS} ms`,
      holder.ms !== undefined && holder.ms <= ONE_HOLDER_MS,
      holder.wrong || inMs(holder),
    )
    checks.check('the registries are equal', same.ms !== undefined, same.wrong)
    const open = loads.reduce((sum, load) => sum + load.open, 0)
    const longest = Math.max(...loads.map((load) => load.longestMs))
    checks.check(
      'no call is stuck',
      open === 0 && longest <= CALL_TIMEOUT_MS + 1500,
      `${open} without an outcome, the longest took ${longest} ms`,
    )
    const { wrong } = await until(clock(), 5000, answered(nodes, names))
    checks.check('each name answers on each node, by whom the registry names', wrong === '', wrong)
    const calls = countsOf(loads)
    say(`  calls ${calls.calls}, answered ${calls.answered}, failed ${JSON.stringify(calls.failed)}`)
    say(
      `  declared down meanwhile: ${downs.length === 0 ? 'nobody' : downsInWords(downs)}; names moved: ${moved.length}`,
    )
    return {
      nodes,
      placed,
      beganAt,
      healedAt,
      loads,
      loadsInFault,
      downs,
      moved,
      figures: {
        ...calls,
        downs: downs.length,
        moved: moved.length,
        allKnownMs: known.ms,
        oneHolderMs: holder.ms,
        registriesEqualMs: same.ms,
        longestCallMs: longest,
      },
    }
  })
}

/** Failed calls that were sent within the time, to whichever name. */
export function failedBetween(loads: readonly LoadReport[], from: number, to: number): Failure[] {
  return loads.flatMap(({ failures }) => failures.filter(({ sentAt }) => sentAt >= from && sentAt < to))
}

/** The first few, for a person. */
export function failuresInWords(failures: readonly Failure[], beganAt: number): string {
  const some = failures
    .slice(0, 5)
    .map(({ name, code, sentAt }) => `${name} ${code} after ${Math.round(sentAt - beganAt)} ms`)
  return `${failures.length} failed: ${some.join(', ')}`
}

/** Resolves with the process's end where the configuration is refused; the answer is what it said. */
export function refusal(node: Node): Promise<string> {
  return within(10_000, `${node.name} refuses`, node.exited).then(() => node.output().trim())
}

function countsOf(loads: readonly LoadReport[]) {
  const failed: Record<string, number> = {}
  for (const load of loads) {
    for (const [code, count] of Object.entries(load.failed)) failed[code] = (failed[code] ?? 0) + count
  }
  const sum = (of: (load: LoadReport) => number) => loads.reduce((total, load) => total + of(load), 0)
  return {
    calls: sum((load) => load.calls),
    answered: sum((load) => load.answered),
    failed,
    started: sum((load) => load.started.length),
  }
}

function downsInWords(downs: Course['downs']): string {
  const counts = new Map<string, number>()
  for (const { by, name } of downs) counts.set(`${name} by ${by}`, (counts.get(`${name} by ${by}`) ?? 0) + 1)
  return [...counts].map(([text, count]) => (count === 1 ? text : `${text} (${count} times)`)).join(', ')
}

function inMs({ ms }: Outcome): string {
  return ms === undefined ? `not within ${WATCHED_MS} ms` : `${ms} ms`
}
