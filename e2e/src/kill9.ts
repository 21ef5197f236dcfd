/**
 * The process that holds a placed name is killed with SIGKILL while another node calls the name every 5 ms, without
 * retries: how long until the first call is answered by another process with a higher fence. The dead node is started
 * again, and so on.
 */

import {
  allReady,
  clock,
  type Node,
  notOneRegistry,
  startAgain,
  startAll,
  uniqueCluster,
  withOutputs,
} from './nodes.js'
import type { Who } from './place.js'
import { Checks, eventually, type Report, type Say, within } from './scenario.js'
import { inWords, summary } from './statistics.js'

/** What is promised on three nodes, in milliseconds. */
const P50_MS = 250
const P99_MS = 1000

/** No answer within this time is none. */
const ANSWER_MS = 20_000

export async function kill9({ times }: { readonly times: number }, say: Say): Promise<Report> {
  const checks = new Checks(say)
  const answered: number[] = []
  say(`kill9: the holder of a name is killed, ${times} times`)
  await checks.part('kill9', async () => {
    const nodes = startAll(3, { cluster: uniqueCluster() })
    await allReady(nodes, clock())
    for (let round = 1; round <= times; round++) {
      answered.push(await withOutputs(nodes, () => oneKill(nodes, round, say)))
    }
  })
  const answeredMs = summary(answered)
  say(`  first answer after the kill: ${inWords(answeredMs)}`)
  checks.check(`${times} kills, each answered by another process`, answered.length === times, `${answered.length} were`)
  checks.check(`p50 at most ${P50_MS} ms`, answeredMs.p50 <= P50_MS, `${answeredMs.p50} ms`)
  checks.check(`p99 at most ${P99_MS} ms`, answeredMs.p99 <= P99_MS, `${answeredMs.p99} ms`)
  return { scenario: 'kill9', checks: checks.all, figures: { times, answeredMs } }
}

async function oneKill(nodes: Node[], round: number, say: Say): Promise<number> {
  const caller = nodes[round % nodes.length] as Node
  const { name, index, holder } = await spawnElsewhere(nodes, caller, `target-${round}`)
  const victim = nodes[index] as Node
  const waiting = caller.ask('answeredByOther', name, holder, ANSWER_MS)
  const since = clock()
  const dead = victim.kill('SIGKILL')
  const answer = await within(2 * ANSWER_MS, `an answer from ${name}`, waiting)
  if (answer === undefined)
    throw new Error(`${name}: no answer within ${ANSWER_MS} ms\n${await views(nodes, victim, name)}`)
  const { at, failed } = answer
  await dead
  say(`  kill ${round}: ${(at - since).toFixed(0)} ms (${failed} calls failed meanwhile)`)
  nodes[index] = startAgain(victim)
  await allReady(nodes, clock())
  await whole(nodes, round)
  return at - since
}

export interface Elsewhere {
  readonly name: string
  /** Of the node that runs it. */
  readonly index: number
  readonly holder: Who
}

/** A placed name whose host is not the caller's node. */
export async function spawnElsewhere(nodes: readonly Node[], caller: Node, prefix: string): Promise<Elsewhere> {
  for (let i = 0; i < 50; i++) {
    const name = `${prefix}-${i}`
    const host = await caller.ask('spawn', name)
    const index = nodes.findIndex((node) => node.name === host)
    const holder = await caller.ask('who', name)
    if (host !== caller.name && holder.process === nodes[index]?.pid) return { name, index, holder }
  }
  throw new Error(`50 names were spawned and all went to ${caller.name}`)
}

/** What the others know of the name. */
export async function views(nodes: readonly Node[], victim: Node, name: string): Promise<string> {
  const others = nodes.filter((node) => node !== victim)
  return (await Promise.all(others.map(async (node) => `${node.name}: ${await node.ask('explain', name)}`))).join('\n')
}

/** The cluster is one again before the next kill. */
async function whole(nodes: readonly Node[], round: number): Promise<void> {
  const lists = () => Promise.all(nodes.map(async (node) => (await node.ask('members')).length))
  await eventually(5000, lists, (lengths) => lengths.every((length) => length === nodes.length))
  const wrong = await notOneRegistry(nodes, `proof-${round}`)
  if (wrong !== undefined) throw new Error(`after kill ${round}: ${wrong}`)
}
