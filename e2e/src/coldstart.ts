/**
 * N processes start at the same moment, T times. Each time all must become ready, list N members, and read a name that
 * was registered on one of them: the case in which nodes that wait for each other's sync hang for ever.
 * Beside it stands what starting N processes takes that only import the same modules.
 */

import { startProcess } from '@skep/example-counter/processes'
import type { BareSteps } from './bare.js'
import { allReady, clock, freePorts, notOneRegistry, startAll, uniqueCluster, withOutputs } from './nodes.js'
import { Checks, type Report, type Say } from './scenario.js'
import { inWords, summary } from './statistics.js'

export interface ColdstartOptions {
  readonly nodes: number
  readonly times: number
  readonly discovery: 'local' | 'static'
}

export async function coldstart({ nodes, times, discovery }: ColdstartOptions, say: Say): Promise<Report> {
  const checks = new Checks(say)
  const perNode: number[] = []
  const whole: number[] = []
  const bare: number[] = []
  const beyond: number[] = []
  const stuck: string[] = []
  say(`coldstart: ${nodes} nodes at once, ${times} times, found by ${discovery} peers`)
  for (let time = 1; time <= times; time++) {
    await checks.part(`start ${time}`, async () => {
      const alone = await bareStart(nodes)
      const readies = await oneStart(nodes, discovery, stuck)
      perNode.push(...readies)
      const last = Math.max(...readies)
      bare.push(alone)
      whole.push(last)
      beyond.push(last - alone)
      say(`  start ${time}: all ready after ${last.toFixed(0)} ms; bare processes take ${alone.toFixed(0)} ms`)
    })
  }
  const finished = whole.length === times && stuck.length === 0
  checks.check(`${nodes} nodes at once, ${times} times (${discovery}): 0 stuck`, finished, stuck.join('\n'))
  const figures = {
    nodes,
    times,
    discovery,
    stuck: stuck.length + (times - whole.length),
    readyMs: summary(perNode),
    allReadyMs: summary(whole),
    bareMs: summary(bare),
    beyondBareMs: summary(beyond),
  }
  say(`  each node ready: ${inWords(figures.readyMs)}`)
  say(`  all ready:       ${inWords(figures.allReadyMs)}`)
  say(`  bare processes:  ${inWords(figures.bareMs)}`)
  say(`  beyond bare:     ${inWords(figures.beyondBareMs)}`)
  return { scenario: 'coldstart', checks: checks.all, figures }
}

/** One start: when each node was ready, in ms after the first process was started. */
async function oneStart(count: number, discovery: 'local' | 'static', stuck: string[]): Promise<number[]> {
  const cluster = uniqueCluster()
  const ports = discovery === 'static' ? await freePorts(count) : []
  const peers = ports.map((port) => `127.0.0.1:${port}`)
  const since = clock()
  const nodes = startAll(count, discovery === 'static' ? { cluster, peers } : { cluster }, peers)
  const readies = await withOutputs(nodes, async () => {
    const times = await allReady(nodes, since)
    const wrong = await notOneRegistry(nodes, 'proof')
    if (wrong !== undefined) stuck.push(wrong)
    return times
  })
  await Promise.all(nodes.map((node) => node.kill()))
  return readies
}

/** How long `count` processes take from the first fork until the last has imported the same modules. */
async function bareStart(count: number): Promise<number> {
  const since = clock()
  const program = new URL('./bare.js', import.meta.url)
  const processes = Array.from({ length: count }, () => startProcess<BareSteps>(program, {}))
  const times = await Promise.all(processes.map((one) => one.ask('imported')))
  await Promise.all(processes.map((one) => one.kill()))
  return Math.max(...times.map(({ at }) => at)) - since
}
