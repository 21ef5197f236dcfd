/**
 * The story of Skep, told on three real processes. Each step is asked of one node, printed with its result, and must
 * give what it must: a step that does not ends the story with exit code 1.
 *
 *   npm run demo                    the story
 *   npm run demo -- --json          the same as one JSON object
 *   npm run demo -- --keep          ... and the cluster stays up afterwards
 *   npm run demo -- --repl 2        no story: a prompt on node 2 of three
 *   npm run demo -- --repl 4 --cluster NAME    a prompt on one more node of a cluster that is up
 */

import { randomBytes } from 'node:crypto'
import { parseArgs } from 'node:util'
import type { NodeArgument, NodeSteps } from './node.js'
import { killAll, type Process, startProcess } from './processes.js'
import { StepFailed, Story } from './story.js'

type Node = Process<NodeSteps> & { readonly name: string }

const PROGRAM = new URL('./node.js', import.meta.url)
const NAMES = ['demo-1', 'demo-2', 'demo-3'] as const
const COUNTERS = 30
const ROUNDS = 10

const USAGE = 'usage: npm run demo [-- [--json] [--keep] | --repl N [--cluster NAME]]'

const options = readOptions()
// Two stories may be told on one host at once: each cluster has a name of its own, ports are any that are free.
const cluster = options.cluster ?? `demo-${randomBytes(3).toString('hex')}`
const story = new Story(options.json)

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  // At a prompt Ctrl-C belongs to the prompt.
  if (signal !== 'SIGINT' || options.repl === undefined) process.on(signal, () => process.exit(130))
}
if (options.repl === undefined) await tell()
else await openPrompt(options.repl)

async function tell(): Promise<void> {
  const began = performance.now()
  let nodes: readonly Node[] = []
  try {
    nodes = startAll()
    await meet(nodes)
    await oneCounter(nodes)
    await manyCounters(nodes)
    await holderDies(nodes)
    nodes = await allDieTogether(nodes)
    story.end((performance.now() - began) / 1000)
  } catch (error) {
    story.fail(error instanceof Error ? error.message : String(error))
    if (!(error instanceof StepFailed)) console.error(error)
    for (const node of nodes) console.error(`--- ${node.name} wrote:\n${node.output()}`)
    process.exit(1)
  }
  if (options.keep) await keep(nodes)
  // In order, so that they take their traces with them; what does not end in time is killed with this process.
  const ended = Promise.all(nodes.map((node) => node.kill('SIGTERM')))
  await within(3000, ended).catch(() => {})
  killAll()
}

/** Three processes at the same moment; nobody is told where the others are. */
function startAll(): readonly Node[] {
  return NAMES.map((name) => startOne(name))
}

function startOne(name: string): Node {
  const argument: NodeArgument = { name, cluster }
  return Object.assign(startProcess<NodeSteps>(PROGRAM, argument), { name })
}

async function meet(nodes: readonly Node[]): Promise<void> {
  story.chapter(`Three nodes start at the same moment. Nothing is configured but the name of the cluster, ${cluster}.`)
  await Promise.all(
    nodes.map((node) =>
      story.step(node.name, 'ready()', async () => {
        const { address } = await node.ask('ready')
        return `${address}, process ${node.pid}`
      }),
    ),
  )
  for (const node of nodes) await seesAll(node)
}

async function seesAll(node: Node): Promise<void> {
  const result = await story.step(node.name, 'members()', () => node.ask('members', NAMES.length))
  story.must(sameNames(result, NAMES), `${NAMES.join(', ')} and nobody else`)
}

async function oneCounter([one, two, three]: readonly Node[]): Promise<void> {
  if (one === undefined || two === undefined || three === undefined) return
  story.chapter('A counter lives on exactly one node and is called by its name from any.')
  const start = `start(Counter, via('my_proc'), 0)`
  const pid = await story.step(one.name, start, () => one.ask('start', 'my_proc', 0))
  story.must(pid.includes('demo-1'), 'a pid on demo-1')
  const refusal = await story.refused(two.name, start, () => two.ask('start', 'my_proc', 0))
  story.must(refusal.code === 'ERR_ALREADY_STARTED' && refusal.holder === pid, `ERR_ALREADY_STARTED with ${pid}`)
  const value = (node: Node) =>
    story.step(node.name, `via(Counter, 'my_proc').value()`, () => node.ask('value', 'my_proc'))
  const increment = (node: Node) =>
    story.step(node.name, `via(Counter, 'my_proc').increment()`, () => node.ask('increment', 'my_proc'))
  const found = await story.step(three.name, `whereis('my_proc')`, () => three.ask('whereis', 'my_proc'))
  story.must(found === pid, pid)
  story.must((await value(three)) === 0, '0')
  story.must((await increment(two)) === 1, '1')
  story.must((await value(three)) === 1, '1')
  story.must((await increment(one)) === 2, '2')
  story.must((await value(three)) === 2, '2')
}

function counterName(i: number): string {
  return `room-${i}`
}

async function manyCounters(nodes: readonly Node[]): Promise<void> {
  story.chapter(`${COUNTERS} counters, each where the ring says.`)
  const first = nodes[0] as Node
  const placed = await story.step(first.name, `${COUNTERS} x spawn(Counter, via('room-N'), 0)`, async () => {
    const hosts = await Promise.all(
      Array.from({ length: COUNTERS }, (_, i) => first.ask('spawn', counterName(i), 100 + i)),
    )
    return Object.fromEntries(NAMES.map((name) => [name, hosts.filter((host) => host === name).length]))
  })
  story.must(
    NAMES.every((name) => (placed[name] ?? 0) > 0),
    'some on every node',
  )
  for (const node of nodes) {
    const values = await Promise.all(Array.from({ length: COUNTERS }, (_, i) => node.ask('value', counterName(i))))
    if (values.some((value, i) => value !== 100 + i))
      throw new StepFailed(`${node.name} read ${values} from the counters`)
  }
  story.note(`every node reads all ${COUNTERS} of them`)
}

async function holderDies(nodes: readonly Node[]): Promise<void> {
  story.chapter('The process that holds one of them is killed (SIGKILL): the cluster starts it again elsewhere.')
  const caller = nodes[0] as Node
  const hosts = await Promise.all(Array.from({ length: COUNTERS }, (_, i) => caller.ask('where', counterName(i))))
  const index = hosts.findIndex((host) => host !== undefined && host !== caller.name)
  const name = counterName(index)
  const victim = nodes.find((node) => node.name === hosts[index])
  if (victim === undefined) throw new StepFailed(`${caller.name} knows no counter that lives elsewhere`)
  story.note(`${name} lives on ${victim.name}, process ${victim.pid}: killed`)
  const answer = await story.step(caller.name, `via(Counter, '${name}').value() until it is answered`, () => {
    void victim.kill('SIGKILL')
    return within(20_000, caller.ask('answeredElsewhere', name, victim.name))
  })
  story.must(answer.value === 100 + index && answer.node !== victim.name, `${100 + index} from another node`)
  story.note(`answered ${Math.round(story.lastMs)} ms after the kill`)
}

async function allDieTogether(before: readonly Node[]): Promise<readonly Node[]> {
  story.chapter(
    `All three are killed and started again at once, ${ROUNDS} times. (Here the Elixir original could hang for ever.)`,
  )
  let nodes = before
  const times: number[] = []
  for (let round = 1; round <= ROUNDS; round++) {
    await Promise.all(nodes.map((node) => node.kill('SIGKILL')))
    nodes = startAll()
    await story.step('all', `round ${round}: 3 members, one registry`, () => within(20_000, oneRegistry(nodes, round)))
    times.push(story.lastMs)
  }
  const seconds = times.reduce((sum, ms) => sum + ms, 0) / 1000
  story.note(`${ROUNDS} rounds in ${seconds.toFixed(1)} s`)
  story.result({ rounds: times.map(Math.round), roundsSeconds: seconds })
  return nodes
}

/** Every node is ready and lists three members, and a name registered on one is read on all. */
async function oneRegistry(nodes: readonly Node[], round: number): Promise<string> {
  await Promise.all(nodes.map((node) => node.ask('ready')))
  for (const node of nodes) {
    const members = await node.ask('members', NAMES.length)
    if (!sameNames(members, NAMES)) throw new StepFailed(`${node.name} sees ${members.join(', ')}`)
  }
  const writer = nodes[round % nodes.length] as Node
  await writer.ask('announce', 'proof')
  for (const node of nodes) {
    const where = await node.ask('where', 'proof')
    if (where !== writer.name) throw new StepFailed(`${node.name} finds 'proof' on ${where}, it is on ${writer.name}`)
  }
  return `started on ${writer.name}, read on all`
}

async function keep(nodes: readonly Node[]): Promise<void> {
  console.error(`\nThe cluster ${cluster} stays up until Ctrl-C:`)
  for (const node of nodes) {
    const { address } = await node.ask('ready')
    console.error(`  ${node.name}  ws://${address}  process ${node.pid}`)
  }
  console.error(`A prompt on one more node of it: npm run demo -- --repl 4 --cluster ${cluster}`)
  await Promise.race(nodes.map((node) => node.exited))
}

async function openPrompt(number: number): Promise<void> {
  const name = `demo-${number}`
  const joins = options.cluster !== undefined
  // In a cluster that is up only this node is new; else the others of the three are started too.
  if (!joins) for (const other of NAMES) if (other !== name) startOne(other)
  const argument: NodeArgument = { name, cluster, promptAt: joins ? 2 : NAMES.length }
  const { code } = await startProcess<NodeSteps>(PROGRAM, argument, { terminal: true }).exited
  killAll()
  process.exitCode = code ?? 1
}

function sameNames(found: readonly string[], wanted: readonly string[]): boolean {
  return JSON.stringify([...found].sort()) === JSON.stringify([...wanted].sort())
}

/** Rejects when `work` takes longer than `ms`: a story never hangs. */
async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new StepFailed(`no outcome within ${ms / 1000} s`)), ms)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

function readOptions(): { json: boolean; keep: boolean; repl: number | undefined; cluster: string | undefined } {
  try {
    const { values } = parseArgs({
      options: {
        json: { type: 'boolean', default: false },
        keep: { type: 'boolean', default: false },
        repl: { type: 'string' },
        cluster: { type: 'string' },
      },
    })
    const repl = values.repl === undefined ? undefined : Number(values.repl)
    const highest = values.cluster === undefined ? NAMES.length : 99
    if (repl !== undefined && !(Number.isInteger(repl) && repl >= 1 && repl <= highest)) {
      throw new Error(`--repl takes a node's number, 1 to ${highest}, not '${values.repl}'`)
    }
    if (values.cluster !== undefined && repl === undefined) throw new Error('--cluster goes with --repl')
    return { json: values.json, keep: values.keep, repl, cluster: values.cluster }
  } catch (error) {
    console.error(`${(error as Error).message}\n${USAGE}`)
    process.exit(2)
  }
}
