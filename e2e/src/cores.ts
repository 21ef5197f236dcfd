/**
 * Two workers of one program, a node each, beside plain nodes: one cluster; a worker that is killed comes back under its
 * name; and when the machine ends, however that is told, its actors go to the others once, and no call fails.
 */

import { type Process, startProcess } from '@skep/example-counter/processes'
import type { CoresSteps } from './cores-main.js'
import type { CoresArgument } from './cores-node.js'
import { clock, freePorts, uniqueCluster } from './nodes.js'
import { runs } from './programs.js'
import { Checks, eventually, pause, type Report, type Say, within } from './scenario.js'
import { checkDone, startWorker, type Worker } from './workers.js'

const NAMES = Array.from({ length: 200 }, (_, i) => `counter-${i}`)
/** Calls a second of each of the two nodes outside. */
const RATE = 200
const READY_MS = 30_000
const END_MS = 20_000
/** A process that was killed is started again, joins and is known to all. */
const BACK_MS = 10_000
const HOSTS = ['machine.0', 'machine.1']

interface Machine {
  readonly supervisor: Process<CoresSteps>
  readonly argument: CoresArgument
}

/** How the machine is told to end, and with which code its supervisor does. */
interface End {
  readonly name: string
  readonly code: number | null
  tell(supervisor: Process<CoresSteps>, pids: readonly number[]): void
}

const ends: readonly End[] = [
  { name: 'SIGTERM to the supervisor', code: 0, tell: ({ pid }) => void process.kill(pid, 'SIGTERM') },
  {
    name: 'SIGTERM to all its processes',
    code: 0,
    // As systemd does it, and a terminal with SIGINT: the workers first, which is the harder way round.
    tell: ({ pid }, pids) => {
      for (const one of [...pids, pid]) process.kill(one, 'SIGTERM')
    },
  },
  { name: 'SIGKILL of the supervisor', code: null, tell: ({ pid }) => void process.kill(pid, 'SIGKILL') },
]

export async function cores(say: Say): Promise<Report> {
  const checks = new Checks(say)
  const figures: Record<string, unknown> = {}
  say('cores: two workers on one machine, a node each')
  await checks.part('alone', () => aloneOnOnePort(checks, figures))
  for (const [i, end] of ends.entries())
    await checks.part(end.name, () => oneEnd(checks, say, end, i === 0 ? figures : undefined))
  return { scenario: 'cores', checks: checks.all, figures }
}

/** Nothing but their supervisor leads them to each other, and their callers to both of them. */
async function aloneOnOnePort(checks: Checks, figures: Record<string, unknown>): Promise<void> {
  const began = clock()
  const { supervisor, argument } = await startMachine(uniqueCluster(), true)
  const { at } = await within(READY_MS, 'the workers are ready', supervisor.ask('ready'))
  figures.readyMs = Math.round(at - began)
  const answers = new Map<string, readonly string[]>()
  await eventually(
    5000,
    async () => {
      const { node, members } = await answered(`http://127.0.0.1:${argument.port}/`)
      answers.set(node, members)
    },
    () => answers.size === 2,
  )
  const seen = [...answers].sort().map(([node, members]) => `${node}: ${members.join(' ')}`)
  const expected = HOSTS.map((name) => `${name}: ${HOSTS.join(' ')}`)
  checks.check('both answer on one port, and are one cluster', seen.join() === expected.join(), seen.join('\n'))
  const { code } = await within(END_MS, 'the end', supervisor.kill('SIGTERM'))
  checks.check('code 0 at SIGTERM', code === 0, `code ${code}\n${supervisor.output().slice(-3000)}`)
}

async function oneEnd(checks: Checks, say: Say, end: End, figures: Record<string, unknown> | undefined): Promise<void> {
  const cluster = uniqueCluster()
  const { supervisor, argument } = await startMachine(cluster, false)
  const outside = ['one', 'two'].map((name) => startWorker({ name, cluster }))
  const [one] = outside as [Worker, Worker]
  await joinedBoth(supervisor, outside)
  const admin = `http://${argument.admin}/ready`
  const { status } = await fetch(admin)
  checks.check('the machine is ready, and one cluster with the others', status === 200, `${status}`)
  await one.ask('spawnTallies', NAMES)
  if (figures !== undefined) {
    figures.backMs = await killOne(checks, supervisor, one)
    say(`  a worker that was killed is back after ${figures.backMs} ms`)
    await one.ask(
      'spawnTallies',
      NAMES.map((name) => `again-${name}`),
    )
  }
  const names = figures === undefined ? NAMES : NAMES.map((name) => `again-${name}`)
  const held = (await one.ask('where', names)).filter((node) => HOSTS.includes(node ?? '')).length
  const pids = workerPids(supervisor)
  for (const node of outside) await node.ask('moves')
  for (const node of outside) await node.ask('drive', node.name, names, RATE)
  await pause(500)
  const since = clock()
  end.tell(supervisor, pids)
  const { code } = await within(END_MS, 'the end', supervisor.exited)
  const tookMs = Math.round(clock() - since)
  await pause(500)
  const driven = await Promise.all(outside.map((node) => within(15_000, 'its calls end', node.ask('endDrive'))))
  say(`  ${end.name}: ${held} actors left in ${tookMs} ms`)
  if (figures !== undefined) Object.assign(figures, { held, leftMs: tookMs })
  const output = supervisor.output().slice(-4000)
  checks.check(
    `${end.name}: it ends with ${code === null ? 'it' : `code ${end.code}`}`,
    code === end.code,
    `${code}\n${output}`,
  )
  const left = await eventually(
    2000,
    () => pids.filter(runs),
    (some) => some.length === 0,
  )
  checks.check(`${end.name}: no process is left`, left.length === 0, `${left.join(' ')}\n${output}`)
  const moves = (await one.ask('moves')).filter(({ name }) => names.includes(name))
  const twice = moves.filter(({ name }, i) => moves.findIndex((other) => other.name === name) !== i)
  const between = moves.filter(({ at }) => HOSTS.includes(at))
  checks.check(
    `${end.name}: all its actors went, each once, and none from one worker to the other`,
    held > 0 && moves.length === held && twice.length === 0 && between.length === 0,
    `${held} held, ${moves.length} moves, ${twice.length} again, ${between.length} to a worker\n${output}`,
  )
  checkDone(checks, driven, await one.ask('reports', names))
}

/** One process dies; another one has its place, and the other worker never noticed more than that. */
async function killOne(checks: Checks, supervisor: Process<CoresSteps>, one: Worker): Promise<number> {
  const [stays, victim] = workerPids(supervisor) as [number, number]
  const since = clock()
  process.kill(victim, 'SIGKILL')
  const look = async () => ({ pids: workerPids(supervisor), members: await one.ask('members') })
  const { pids, members } = await eventually(BACK_MS, look, (now) => now.pids[1] !== victim && now.members.length === 4)
  const ms = Math.round(clock() - since)
  const whole = pids[0] === stays && pids[1] !== victim && members.length === 4
  checks.check(
    'a worker that is killed comes back under its name, the other one stays',
    whole,
    `${members.join(' ')}; processes ${pids.join(' ')}\n${supervisor.output().slice(-4000)}`,
  )
  return ms
}

async function startMachine(cluster: string, alone: boolean): Promise<Machine> {
  const [port = 0, adminPort = 0] = await freePorts(2)
  const argument: CoresArgument = { cluster, alone, port, admin: `127.0.0.1:${adminPort}` }
  return { supervisor: startProcess<CoresSteps>(new URL('./cores-main.js', import.meta.url), argument), argument }
}

/** The workers are ready, and the nodes outside know each other and them. */
async function joinedBoth(supervisor: Process<CoresSteps>, outside: readonly Worker[]): Promise<void> {
  await within(READY_MS, 'the workers are ready', supervisor.ask('ready'))
  for (const node of outside) {
    await within(READY_MS, `${node.name} is ready`, node.ask('ready', READY_MS))
    const members = await eventually(
      10_000,
      () => node.ask('members'),
      (names) => names.length === 4,
    )
    if (members.length !== 4)
      throw new Error(`${node.name} lists ${members.join(' ')}\n${supervisor.output().slice(-4000)}`)
  }
}

/** The process of each worker, by its number, as the supervisor's log tells it. */
function workerPids(supervisor: Process<CoresSteps>): number[] {
  const pids: number[] = []
  for (const [, number, pid] of supervisor.output().matchAll(/worker (\d+) \(machine\.\d+, process (\d+)\) listens/g))
    pids[Number(number)] = Number(pid)
  return pids
}

async function answered(url: string): Promise<{ readonly node: string; readonly members: readonly string[] }> {
  return (await (await fetch(url)).json()) as { node: string; members: string[] }
}
