/**
 * The network falls into parts, each with its own nodes and callers, for some seconds, and heals: then each name has
 * one holder within three seconds, on every node, and nothing that the largest part acknowledged meanwhile is lost.
 */

import { membershipLimits } from '@skep/cluster/core'
import { partitionTimes } from '@skep/tracker'
import { type Course, gathered, mustHold, refusal, underFault } from './faults.js'
import { type Network, onNetwork } from './net/network.js'
import { askAll, type Node, startOne, uniqueCluster } from './nodes.js'
import { Checks, eventually, pause, type Report, type Say, within } from './scenario.js'
import { inWords, summary } from './statistics.js'
import { sameRegistry } from './whole.js'

/** What a node is told to do while the cluster is split. */
export type Policy = 'serve' | 'majority' | 'keep-oldest' | { readonly quorum: number }

export interface PartitionOptions {
  /** Nodes in each part, such as [3, 2]. */
  readonly split: readonly number[]
  readonly seconds: number
  readonly times: number
  readonly policy: Policy
}

/** Started in each part under the same names, during the cut. */
const RIVALS = 10

/** Placed names that each part has when a cut begins, at least. */
const MOVED = 5
const MOVE_MS = 30_000

/**
 * A cut of this length lets each part find the others gone (a probe takes 2 s at most, a suspicion that nobody confirms
 * 6 s) and take their slots (a second or two), so that every name can be had in it.
 */
const WHOLE_S = 12

export async function partition(options: PartitionOptions, say: Say): Promise<Report> {
  const { split, seconds, times, policy } = options
  const checks = new Checks(say)
  const title = `partition ${split.join('|')}, ${typeof policy === 'string' ? policy : `quorum ${policy.quorum}`}`
  say(`${title}: ${times} times, ${seconds} s each`)
  const rounds: Record<string, unknown>[] = []
  const refused = await notSupported(policy)
  if (refused !== undefined) {
    checks.skip(title, `not supported: ${refused}`)
    return { scenario: 'partition', checks: checks.all, figures: { policy, supported: false } }
  }
  const count = split.reduce((sum, size) => sum + size, 0)
  await onNetwork(checks, title, count, async (network) => {
    const cluster = await gathered(network, policy === 'serve' ? {} : { partition: policy })
    for (let round = 1; round <= times; round++) {
      rounds.push(await oneSplit(checks, say, network, cluster, options, round))
    }
  })
  const oneHolderMs = summary(rounds.flatMap((one) => (typeof one.oneHolderMs === 'number' ? [one.oneHolderMs] : [])))
  if (times > 1) say(`  one holder for each name after the heal: ${inWords(oneHolderMs)}`)
  const figures = { split: split.join('|'), seconds, times, policy, oneHolderMs, rounds }
  return { scenario: 'partition', checks: checks.all, figures }
}

/** What a node says that refuses this policy; undefined when it takes it. */
async function notSupported(policy: Policy): Promise<string | undefined> {
  if (policy === 'serve') return undefined
  const node = startOne({ name: 'asked', cluster: uniqueCluster(), partition: policy, peers: [] })
  const taken = await Promise.race([
    within(20_000, 'a first node', node.ask('boot')).then(
      () => true,
      () => false,
    ),
    node.exited.then(() => false),
  ])
  const said = taken ? undefined : await refusal(node)
  await node.kill()
  return said
}

async function oneSplit(
  checks: Checks,
  say: Say,
  network: Network,
  cluster: { readonly nodes: Node[]; readonly placed: string[] },
  { split, seconds, policy }: PartitionOptions,
  round: number,
): Promise<Record<string, unknown>> {
  await mustHold(sameRegistry(cluster.nodes))
  const parts = partsOf(cluster.nodes, split)
  // After an earlier round all may be in the part that went on.
  for (const [i, [node]] of parts.entries()) {
    const names = cluster.placed.slice(i * MOVED, (i + 1) * MOVED)
    // By a policy nothing moves before all are counted in again.
    const notMoved = async (): Promise<string | undefined> => {
      try {
        await node?.ask('move', names, node.name)
        return undefined
      } catch (error) {
        return (error as Error).message
      }
    }
    await mustHold(notMoved, MOVE_MS)
  }
  await mustHold(sameRegistry(cluster.nodes))
  const indices = parts.map((part) => part.map((node) => cluster.nodes.indexOf(node)))
  const rivals = Array.from({ length: RIVALS }, (_, i) => `rival-${round}-${i + 1}`)
  let rivalStarts: string[][] = []
  const [before = []] = await askAll(cluster.nodes.slice(0, 1), 'totals', cluster.placed)
  const course = await underFault(checks, say, network, cluster, {
    seconds,
    begin: async () => {
      await network.split(indices)
      // By a policy, once those who lose have halted: before that every part may give names away.
      const from = Math.max(seconds * 300, policy === 'serve' ? 0 : partitionTimes(membershipLimits).pauseMs + 500)
      await pause(from)
      const speakers = parts.flatMap((part) => part.slice(0, 1))
      rivalStarts = await askAll(speakers, 'startAll', rivals, Math.max(1000, seconds * 900 - from))
    },
    names: () => [...new Set(rivalStarts.flat())],
  })
  if (policy === 'serve') await checkMerged(checks, say, course, before)
  const kept = await lostStarts(course, parts[0] ?? [])
  checks.check('no start acknowledged in the largest part is lost', kept.lost.length === 0, kept.lost.join(' '))
  checks.check(
    'the load was one: starts were acknowledged in the largest part, before and in the cut',
    kept.acknowledged > 0,
    `${kept.acknowledged} were`,
  )
  const first = new Set(parts[0]?.map(({ name }) => name))
  const condemned = course.downs.filter(({ by, name }) => first.has(by) && first.has(name)).length
  const small = await lostStarts(course, parts.slice(1).flat())
  // A policy speaks of placed names; what a node started itself may go on.
  const names = policy === 'serve' ? undefined : new Set(course.placed)
  const lastAnswers = parts.map((part) => lastAnswerIn(course, part, names))
  const serving = lastAnswers.map((at) => at >= course.healedAt - 1000)
  say(
    `  starts acknowledged: largest part ${kept.acknowledged}, others ${small.acknowledged}, lost ${small.lost.length}`,
  )
  say(`  verdicts within the largest part on one of its own: ${condemned}`)
  say(`  rivals started: ${rivalStarts.map((list) => list.length).join(' | ')} of ${RIVALS} in each part`)
  if (policy === 'serve') {
    checks.check('every part serves', serving.every(Boolean), `answers late in the cut: ${serving.join(' | ')}`)
    const starters = parts.map((part) => startsIn(course, part, course.beganAt, course.healedAt))
    checks.check(
      'every part acknowledges starts in the cut',
      starters.every((count) => count > 0),
      starters.join(' | '),
    )
    const all = rivalStarts.every((list) => list.length === RIVALS)
    const text = rivalStarts.map((list) => list.length).join(' | ')
    if (seconds >= WHOLE_S) checks.check('every part can give every name away', all, text)
  } else {
    const twice = answeredTwice(course)
    checks.check('no two copies of a name answer at one time', twice.length === 0, twice.slice(0, 5).join('; '))
    const { takeoverMs } = partitionTimes(membershipLimits)
    const changes = takenOver(course, first)
    const last = Math.max(...changes.map(({ lastMs }) => lastMs))
    const next = Math.min(...changes.map(({ firstMs }) => firstMs))
    const told = `T ${takeoverMs} ms after the cut; last answer of the losing part after ${last.toFixed(0)}, first of who took over after ${next.toFixed(0)} ms`
    say(`  ${changes.length} names taken over: ${told}`)
    // Detection and T outlast a short cut.
    if (seconds >= WHOLE_S) checks.check('some names are taken over', changes.length > 0)
    else checks.check('no name is taken over in so short a cut', changes.length === 0, told)
    if (changes.length > 0) checks.check('who takes over answers no earlier than T', next >= takeoverMs, told)
    const lost = lastAnswers.filter((_, i) => !serving[i]).map((at) => Math.round(at - course.beganAt))
    checks.check(
      'the losing part answers, and no later than T',
      lost.length > 0 && lost.every((ms) => ms > 0 && ms <= takeoverMs) && !(last > takeoverMs),
      `${lost.join(', ')} ms; ${told}`,
    )
    say(`  last answers of who loses: ${lost.join(', ')} ms after the cut`)
    checks.check('at most one part serves late in the cut', serving.filter(Boolean).length <= 1, serving.join(' | '))
    const givers = rivalStarts.filter((list) => list.length > 0).length
    checks.check('at most one part gives names away', givers <= 1, rivalStarts.map((list) => list.length).join(' | '))
  }
  return { ...course.figures, lostOfOthers: small.lost.length, condemnedInLargest: condemned, serving }
}

/** What every part counted in the cut is in the one copy that is left: no call that was answered is missing. */
async function checkMerged(checks: Checks, say: Say, course: Course, before: readonly number[]): Promise<void> {
  const { nodes, placed, loads } = course
  const answers = loads.flatMap((load) => load.answers)
  const answered = placed.map((name) => answers.reduce((sum, one) => (one.name === name ? sum + one.count : sum), 0))
  const missing = async (): Promise<string> => {
    const [after = []] = await askAll(nodes.slice(0, 1), 'totals', placed)
    return placed
      .flatMap((name, i) => {
        const counted = (after[i] ?? 0) - (before[i] ?? 0)
        return counted < (answered[i] ?? 0) ? [`${name} has counted ${counted} of ${answered[i]}`] : []
      })
      .join('; ')
  }
  const wrong = await eventually(5000, missing, (text) => text === '')
  const sum = answered.reduce((total, count) => total + count, 0)
  say(`  answered calls to the ${placed.length} placed names: ${sum}`)
  checks.check('what each part counted is merged: no answered call is missing', wrong === '' && sum > 0, wrong)
}

/** The largest first, in the order of the nodes. */
function partsOf(nodes: readonly Node[], split: readonly number[]): Node[][] {
  let from = 0
  return [...split]
    .sort((a, b) => b - a)
    .map((size) => {
      from += size
      return nodes.slice(from - size, from)
    })
}

/** Names whose start was acknowledged to these nodes and that are nowhere now, or run on another node. */
async function lostStarts(course: Course, part: readonly Node[]): Promise<{ acknowledged: number; lost: string[] }> {
  let acknowledged = 0
  const lost: string[] = []
  for (const node of part) {
    const started = course.loads[course.nodes.indexOf(node)]?.started ?? []
    acknowledged += started.length
    const names = started.map(({ name }) => name)
    const [copies] = await askAll([node], 'copies', names)
    const everywhere = await askAll(course.nodes, 'holders', names)
    for (const [i, name] of names.entries()) {
      const seen = everywhere.every((list) => list[i]?.startsWith(`<${node.name}.`))
      if (copies?.[i] !== 1 || !seen) lost.push(name)
    }
  }
  return { acknowledged, lost }
}

/** How many starts were acknowledged in a part in this time. */
function startsIn({ nodes, loads }: Course, part: readonly Node[], from: number, to: number): number {
  const started = part.flatMap((node) => loads[nodes.indexOf(node)]?.started ?? [])
  return started.filter(({ at }) => at >= from && at < to).length
}

/** When one of a part's callers was last answered by a process of the part before the cut was healed. */
function lastAnswerIn({ nodes, loadsInFault }: Course, part: readonly Node[], names?: ReadonlySet<string>): number {
  const own = new Set(part.map(({ pid }) => pid))
  const answers = part.flatMap((node) => loadsInFault[nodes.indexOf(node)]?.answers ?? [])
  const times = answers.flatMap(({ name, process, lastAt }) =>
    own.has(process) && names?.has(name) !== false ? [lastAt] : [],
  )
  return Math.max(...times)
}

/** Names that a process of the largest part took over from one of another part: when that was, from the cut on. */
function takenOver(
  { nodes, placed, loads, beganAt }: Course,
  largest: ReadonlySet<string>,
): { lastMs: number; firstMs: number }[] {
  const partOf = (process: number): boolean | undefined => {
    const node = nodes.find(({ pid }) => pid === process)
    return node && largest.has(node.name)
  }
  const answers = loads.flatMap((load) => load.answers)
  return placed.flatMap((name) => {
    const own = answers.filter((one) => one.name === name)
    const lost = own.filter(({ process, firstAt }) => partOf(process) === false && firstAt < beganAt)
    const taken = own.filter(({ process, firstAt }) => partOf(process) === true && firstAt > beganAt)
    if (lost.length === 0 || taken.length === 0) return []
    const lastMs = Math.max(...lost.map(({ lastAt }) => lastAt)) - beganAt
    return [{ lastMs, firstMs: Math.min(...taken.map(({ firstAt }) => firstAt)) - beganAt }]
  })
}

/** Names for which one process still answered after another one had begun to. */
function answeredTwice({ loads }: Course): string[] {
  const spans = new Map<string, Map<number, { first: number; last: number }>>()
  for (const { name, process, firstAt, lastAt } of loads.flatMap((load) => load.answers)) {
    const processes = spans.get(name) ?? new Map()
    const span = processes.get(process) ?? { first: firstAt, last: lastAt }
    processes.set(process, { first: Math.min(span.first, firstAt), last: Math.max(span.last, lastAt) })
    spans.set(name, processes)
  }
  return [...spans].flatMap(([name, processes]) => {
    const inOrder = [...processes.entries()].sort(([, a], [, b]) => a.first - b.first)
    return inOrder.flatMap(([process, { last }], i) => {
      const next = inOrder[i + 1]
      const overlap = next === undefined ? 0 : last - next[1].first
      return overlap > 0 ? [`${name}: ${process} and ${next?.[0]} for ${Math.round(overlap)} ms`] : []
    })
  })
}
