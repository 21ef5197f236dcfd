/**
 * Single links that are bad while all nodes live: cut in one direction or both, up and down, or losing packets; and a
 * network in which everything takes its time. Nobody is gone in any of them, so nobody should be held to be.
 */

import { type Course, failedBetween, failuresInWords, gathered, mustHold, underFault } from './faults.js'
import { onNetwork } from './net/network.js'
import { type SlowWire, slowWire } from './net/proxy.js'
import { allReady, clock, freePorts, startOne, uniqueCluster, withOutputs } from './nodes.js'
import { Checks, pause, type Report, type Say } from './scenario.js'
import { inWords, summary } from './statistics.js'
import { answered, everybodyKnown, sameRegistry } from './whole.js'

/** How long calls over a link may fail once it is cut. */
const SETTLE_MS = 1000

/** What a node sends no longer reaches one other; a third hears and reaches both. */
export async function oneway({ seconds }: { readonly seconds: number }, say: Say): Promise<Report> {
  return badLink('oneway', `node-2 no longer hears node-1, for ${seconds} s`, say, async (checks) => {
    const figures: Record<string, unknown> = {}
    await onNetwork(checks, 'oneway', 3, async (network) => {
      const begin = () => network.cut([0], [1])
      const course = await underFault(checks, say, network, await gathered(network), { seconds, begin })
      Object.assign(figures, course.figures)
      undisturbed(checks, course)
      noFailures(checks, course)
    })
    return figures
  })
}

/** Two nodes neither hear nor reach each other; a third has links to both. */
export async function partial({ seconds }: { readonly seconds: number }, say: Say): Promise<Report> {
  return badLink('partial', `node-1 and node-2 are cut off from each other, for ${seconds} s`, say, async (checks) => {
    const figures: Record<string, unknown> = {}
    await onNetwork(checks, 'partial', 3, async (network) => {
      const begin = () => network.split([[0], [1]])
      const course = await underFault(checks, say, network, await gathered(network), { seconds, begin })
      Object.assign(figures, course.figures)
      undisturbed(checks, course)
      noFailures(checks, course)
      const there = course.nodes[1]?.pid
      const across = course.loads[0]?.answers.filter(({ process }) => process === there) ?? []
      checks.check('node-1 had actors on node-2 to call', across.length > 0)
    })
    return figures
  })
}

/** One link goes up and down every second. */
export async function flapping({ seconds }: { readonly seconds: number }, say: Say): Promise<Report> {
  return badLink('flapping', `the link of node-1 and node-2 goes up and down for ${seconds} s`, say, async (checks) => {
    const figures: Record<string, unknown> = {}
    await onNetwork(checks, 'flapping', 3, async (network) => {
      const begin = async (): Promise<void> => {
        for (let second = 0; second < seconds; second++) {
          if (second % 2 === 0) await network.split([[0], [1]])
          else await network.heal()
          await pause(1000)
        }
      }
      const course = await underFault(checks, say, network, await gathered(network), { seconds, begin })
      Object.assign(figures, course.figures)
      undisturbed(checks, course)
    })
    return figures
  })
}

/** Every packet is lost with a chance of three in ten, whichever way it goes. */
export async function loss({ seconds }: { readonly seconds: number }, say: Say): Promise<Report> {
  return badLink('loss', `30 % of all packets are lost, for ${seconds} s`, say, async (checks) => {
    const figures: Record<string, unknown> = {}
    await onNetwork(checks, 'loss', 3, async (network) => {
      const begin = () => network.lose(30)
      const course = await underFault(checks, say, network, await gathered(network), { seconds, begin })
      Object.assign(figures, course.figures)
      // TCP's pauses may outlast the detector's patience: that is no fault, as long as it is healed (looked at above).
      const share = Number(course.figures.answered) / Number(course.figures.calls)
      checks.check('half of all calls are answered all the same', share >= 0.5, `${(100 * share).toFixed(1)} % were`)
    })
    return figures
  })
}

const DELAY_MS = 200

/** Everything takes 200 ms each way: a cluster forms, and calls take what they must. */
export async function delay(say: Say): Promise<Report> {
  return badLink('delay', `every byte takes ${DELAY_MS} ms each way`, say, async (checks) => {
    const figures: Record<string, unknown> = {}
    const wires: SlowWire[] = []
    await checks.part('delay', async () => {
      const cluster = uniqueCluster()
      const ports = await freePorts(3)
      for (const port of ports) wires.push(await slowWire(`127.0.0.1:${port}`, DELAY_MS))
      const peers = wires.map(({ address }) => address)
      const since = clock()
      const nodes = ports.map((port, i) => {
        const [name, listen, advertise] = [`node-${i + 1}`, `127.0.0.1:${port}`, peers[i] ?? '']
        return startOne({ name, cluster, listen, advertise, peers })
      })
      await withOutputs(nodes, async () => {
        const readies = await allReady(nodes, since)
        figures.allReadyMs = Math.round(Math.max(...readies))
        await mustHold(everybodyKnown(nodes))
        await nodes[0]?.ask('startAll', ['far'], 5000)
        await mustHold(sameRegistry(nodes))
        const times: number[] = []
        for (let i = 0; i < 20; i++) {
          const sentAt = clock()
          await nodes[1 + (i % 2)]?.ask('who', 'far')
          times.push(clock() - sentAt)
        }
        const callMs = summary(times)
        figures.callMs = callMs
        say(`  all ready after ${figures.allReadyMs} ms; a call: ${inWords(callMs)}`)
        const wire = callMs.min >= 2 * DELAY_MS
        checks.check('calls went over the slow wires', wire, inWords(callMs))
        checks.check('a call takes one round trip, and little more', callMs.p50 <= 2 * DELAY_MS + 100, inWords(callMs))
        const names = Array.from({ length: 20 }, (_, i) => `slow-${i + 1}`)
        await nodes[1]?.ask('spawnAll', names)
        await mustHold(sameRegistry(nodes))
        const wrong = await answered(nodes, names)()
        checks.check('20 placed names answer on each node', wrong === undefined, wrong)
        // Some rounds of probes: none of them may be late on a network that is merely slow.
        await pause(5000)
        const downs = (await Promise.all(nodes.map((node) => node.ask('downs')))).flat()
        checks.check('nobody is declared down', downs.length === 0, downs.map(({ name }) => name).join(' '))
      })
    })
    await Promise.all(wires.map((wire) => wire.close()))
    return figures
  })
}

async function badLink(
  scenario: string,
  what: string,
  say: Say,
  run: (checks: Checks) => Promise<Record<string, unknown>>,
): Promise<Report> {
  const checks = new Checks(say)
  say(`${scenario}: ${what}`)
  const figures = await run(checks)
  return { scenario, checks: checks.all, figures }
}

/** Everybody lives and a third node knows it: so nothing may come of it. */
function undisturbed(checks: Checks, { downs, moved }: Course): void {
  const text = downs.map(({ by, name }) => `${name} by ${by}`).join(', ')
  checks.check('nobody is declared down', downs.length === 0, text)
  checks.check('no name moves', moved.length === 0, moved.join(' '))
}

function noFailures(checks: Checks, { loads, beganAt, healedAt }: Course): void {
  const failures = failedBetween(loads, beganAt + SETTLE_MS, healedAt)
  const text = failuresInWords(failures, beganAt)
  checks.check(`no call fails later than ${SETTLE_MS} ms after the cut`, failures.length === 0, text)
}
