/**
 * What is promised about actors, on three real processes: random programs of calls while the actors move; an actor
 * whose `init` fails everywhere; one that keeps the event loop; a placed supervisor whose node is killed.
 */

import { type Process, startProcess } from '@skep/example-counter/processes'
import { FRAIL_TIMES } from './busy.js'
import type { BusyArgument, BusySteps } from './busynode.js'
import { clock, uniqueCluster, withOutputs } from './nodes.js'
import { judge, programFor } from './promises.js'
import { randomFrom } from './random.js'
import { Checks, eventually, pause, type Report, type Say, within } from './scenario.js'

type Busy = Process<BusySteps> & { readonly name: string }

const PROGRAM = new URL('./busynode.js', import.meta.url)
const READY_MS = 60_000

export async function actors({ seed }: { readonly seed: number }, say: Say): Promise<Report> {
  const checks = new Checks(say)
  const figures: Record<string, unknown> = { seed }
  say(`actors: promises about actors, on three processes; seed ${seed}`)
  await checks.part('actors', async () => {
    const nodes = startThree()
    await withOutputs(nodes, async () => {
      await joined(nodes)
      figures.workload = await workload(checks, nodes, randomFrom(seed), say)
      figures.blocked = await blocked(checks, nodes, say)
      figures.failed = await failing(checks, nodes, say)
      figures.supervisor = await killed(checks, nodes, say)
    })
  })
  return { scenario: 'actors', checks: checks.all, figures }
}

function startThree(): Busy[] {
  const cluster = uniqueCluster()
  return [1, 2, 3].map((i) => {
    const name = `node-${i}`
    return Object.assign(startProcess<BusySteps>(PROGRAM, { name, cluster } satisfies BusyArgument), { name })
  })
}

async function joined(nodes: readonly Busy[]): Promise<void> {
  await all(nodes, (node) => node.ask('ready', READY_MS), READY_MS)
  await all(nodes, (node) =>
    eventually(
      10_000,
      () => node.ask('members'),
      (names) => names.length === nodes.length,
    ),
  )
}

/** Asks all at once; whoever does not answer in time fails the part. */
function all<T>(nodes: readonly Busy[], ask: (node: Busy) => Promise<T>, ms = 30_000): Promise<T[]> {
  return Promise.all(nodes.map((node) => within(ms, node.name, ask(node))))
}

const DESKS = ['desk-1', 'desk-2', 'desk-3']
const CALLS = 300
const MOVE_EVERY_MS = 100

/** Besides the time for which some process had no turn. */
const SLACK_MS = 100

async function workload(checks: Checks, nodes: readonly Busy[], random: () => number, say: Say): Promise<unknown> {
  const [first] = nodes as [Busy]
  await first.ask('prepare', DESKS)
  await all(nodes, (node) => node.ask('relay'))
  let running = true
  const performed = all(nodes, (node) => node.ask('perform', programFor(node.name, CALLS, DESKS, random)), 60_000)
  void performed
    .catch(() => {})
    .finally(() => {
      running = false
    })
  let moves = 0
  const stayed: string[] = []
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
  while (running) {
    await pause(MOVE_EVERY_MS)
    await pick(nodes)
      .ask('move', pick(DESKS), pick(nodes).name)
      .then(
        (moved) => {
          if (moved) moves += 1
        },
        (error: Error) => stayed.push(error.message),
      )
  }
  const asked = (await performed).flat()
  const done = await all(nodes, (node) => node.ask('done'))
  const heldUpMs = done.map((one) => Math.round(one.heldUpMs)).sort((a, b) => b - a)
  // A call is between two processes.
  const slackMs = SLACK_MS + (heldUpMs[0] ?? 0) + (heldUpMs[1] ?? 0)
  const seen = judge(
    checks,
    asked,
    done.flatMap(({ did }) => did),
    slackMs,
  )
  checks.check('no move fails', stayed.length === 0, stayed.slice(0, 5).join('\n'))
  const few = Math.min(moves, seen.timeouts, seen.aborted, seen.repeated)
  checks.check('the programs do what this is about', few >= 5, JSON.stringify({ moves, ...seen }))
  say(`  ${seen.calls} calls, ${seen.answered} answered, ${moves} moves; times with ${slackMs} ms of slack`)
  return { ...seen, moves, slackMs }
}

const BLOCK_MS = 500

/** Each node has an actor that keeps its event loop once, and is then named in the log there. */
async function blocked(checks: Checks, nodes: readonly Busy[], say: Say): Promise<unknown> {
  const told: Record<string, unknown> = {}
  for (const [i, node] of nodes.entries()) {
    const hog = `hog-${i + 1}`
    await node.ask('startHog', hog)
    await eventually(
      5000,
      () => node.ask('where', hog),
      (where) => where !== undefined,
    )
    const caller = nodes[(i + 1) % nodes.length] as Busy
    await caller.ask('wait', hog, BLOCK_MS)
    const before = linesAbout(node, hog)
    await caller.ask('block', hog, BLOCK_MS)
    const lines = await eventually(
      2000,
      () => linesAbout(node, hog),
      ({ length }) => length > 0,
    )
    const [line] = lines
    told[hog] = line?.msg
    checks.check(`${hog} is not named when it only lets its caller wait`, before.length === 0, JSON.stringify(before))
    checks.check(
      `${hog}, which blocks the event loop for ${BLOCK_MS} ms, is named in a line of the log of its node`,
      lines.length === 1 && line?.method === 'block' && line.ms >= BLOCK_MS,
      JSON.stringify(lines),
    )
    const elsewhere = nodes.filter((other) => other !== node).flatMap((other) => linesAbout(other, hog))
    checks.check(`${hog} is named on no other node`, elsewhere.length === 0, JSON.stringify(elsewhere))
  }
  say(`  ${told['hog-1']}`)
  return told
}

interface Line {
  readonly actor: string
  readonly method: string
  readonly ms: number
  readonly msg: string
}

function linesAbout(node: Busy, hog: string): Line[] {
  const lines = node.output().split('\n')
  const about = lines.filter((line) => line.includes('blocked the event loop') && line.includes(`'${hog}'`))
  return about.map((line) => JSON.parse(line) as Line)
}

/** A first failure is followed by pauses of 0.4, 0.8 and 1.6 s. */
const GIVEN_UP_MS = 20_000

async function failing(checks: Checks, nodes: readonly Busy[], say: Say): Promise<unknown> {
  const [first] = nodes as [Busy]
  const names = [1, 2, 3, 4, 5, 6].map((i) => `frail-${i}`)
  for (const name of names) await first.ask('spawnFrail', name)
  await all(nodes, (node) => node.ask('trouble', true))
  const since = clock()
  await Promise.all(names.map((name) => first.ask('fall', name).catch(() => {})))
  const known = () => all(nodes, (node) => Promise.all(names.map((name) => node.ask('failed', name))))
  const reports = await eventually(GIVEN_UP_MS, known, (told) => told.flat().every((one) => one !== undefined))
  const givenUpMs = Math.round(clock() - since)
  const right = reports.flat().every((one) => {
    const { times, code, reason = '' } = one ?? {}
    return times === FRAIL_TIMES + 1 && code === 'ERR_INIT_FAILED' && reason.includes('has no disk')
  })
  checks.check(
    'an actor whose init fails everywhere is given up, and every node tells why',
    right,
    JSON.stringify(reports),
  )
  const counts = await attemptsOf(nodes, names)
  checks.check(
    `the crash is one failure, and it is tried ${FRAIL_TIMES} times more: not oftener`,
    names.every((name) => sum(counts[name]) === FRAIL_TIMES),
    JSON.stringify(counts),
  )
  const where = (await all(nodes, (node) => Promise.all(names.map((name) => node.ask('where', name))))).flat()
  checks.check(
    'nobody has its name any more',
    where.every((one) => one === undefined),
    where.join(' '),
  )
  // One that never ran is refused, and is nothing that the cluster would have to keep up.
  const refused = await first.ask('spawnFrail', 'frail-new').then(String, (error: { code?: string }) => error.code)
  checks.check('one that never ran fails its spawn', refused === 'ERR_INIT_FAILED', refused)
  const once = (await attemptsOf(nodes, ['frail-new']))['frail-new']
  checks.check('and is tried once', sum(once) === 1, JSON.stringify(once))
  await all(nodes, (node) => node.ask('trouble', false))
  const anew = await Promise.all(names.map((name) => first.ask('spawnFrail', name).then(() => '', String)))
  checks.check('once init does not fail any more its name can be had anew', anew.join('') === '', anew.join('\n'))
  say(`  given up after ${givenUpMs} ms; attempts by node: ${JSON.stringify(counts)}`)
  return { givenUpMs, attempts: counts, failed: reports[0]?.[0] }
}

function sum(counts: Readonly<Record<string, number>> | undefined): number {
  return Object.values(counts ?? {}).reduce((total, count) => total + count, 0)
}

/** By name, then by node. */
async function attemptsOf(
  nodes: readonly Busy[],
  names: readonly string[],
): Promise<Record<string, Record<string, number>>> {
  const lists = await all(nodes, (node) => node.ask('attempts'))
  const byNode = (name: string): Record<string, number> =>
    Object.fromEntries(
      nodes.map((node, i) => [node.name, lists[i]?.filter((one) => one === name).length ?? 0] as const),
    )
  return Object.fromEntries(names.map((name) => [name, byNode(name)]))
}

const SHOPS = 6
const ELSEWHERE_MS = 20_000

async function killed(checks: Checks, nodes: readonly Busy[], say: Say): Promise<unknown> {
  const [first, ...others] = nodes as [Busy, ...Busy[]]
  const names = Array.from({ length: SHOPS }, (_, i) => `shop-${i + 1}`)
  const where = await Promise.all(names.map((name) => first.ask('spawnShop', name)))
  // Those of one of the others, who has some.
  const victim = others.find(({ name }) => where.includes(name))
  if (victim === undefined) throw new Error(`all of ${names.join(' ')} are on ${first.name}`)
  const lost = names.filter((_, i) => where[i] === victim.name)
  const [before] = await all([first], (node) => Promise.all(lost.map((name) => node.ask('shop', name))))
  const there = before?.every((shop) => shop?.processes.every((process) => process === victim.pid)) === true
  checks.check(`supervisors on ${victim.name} have their children there`, there, JSON.stringify(before))
  const since = clock()
  await victim.kill('SIGKILL')
  const left = nodes.filter((node) => node !== victim)
  const seen = () => all(left, (node) => Promise.all(lost.map((name) => node.ask('shop', name))))
  const after = (await eventually(ELSEWHERE_MS, seen, (told) => told.flat().every((shop) => shop !== undefined))).flat()
  const alive = left.map(({ pid }) => pid)
  const together = after.every((shop) => {
    const [process = -1, ...same] = shop?.processes ?? []
    return alive.includes(process) && same.every((one) => one === process) && shop?.pids[0] === shop?.pids[1]
  })
  checks.check(
    `${lost.length} supervisors of a killed node are up elsewhere, with all children`,
    together,
    JSON.stringify(after),
  )
  const answeredMs = Math.round(Math.max(...after.map((shop) => shop?.at ?? Number.POSITIVE_INFINITY)) - since)
  const [name = ''] = lost
  const old = after[0]?.pids ?? []
  await first.ask('jam', name)
  const again = await eventually(
    5000,
    () => first.ask('shop', name),
    (shop) => shop?.pids.every((pid) => !old.includes(pid)) === true,
  )
  const renewed = again?.pids.every((pid) => !old.includes(pid)) === true
  checks.check(
    'children that crash there are started again there',
    renewed && again?.processes[0] === after[0]?.processes[0],
    JSON.stringify([old, again]),
  )
  say(`  ${lost.length} supervisors answered elsewhere, with children, ${answeredMs} ms after the kill`)
  return { supervisors: lost.length, answeredMs }
}
