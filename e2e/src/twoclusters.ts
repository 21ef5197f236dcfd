/**
 * Two clusters meet. By mistake, when each is told the other's addresses: both refuse, say so once for each node, and
 * go on as they were. On purpose, when one cluster was started in two parts that could not reach each other: they
 * become one, with one holder for each name.
 */

import { mustHold } from './faults.js'
import { onNetwork } from './net/network.js'
import {
  allReady,
  askAll,
  clock,
  freePorts,
  type Node,
  startOne,
  startOnHosts,
  uniqueCluster,
  withOutputs,
} from './nodes.js'
import { Checks, pause, type Report, type Say } from './scenario.js'
import { answered, everybodyKnown, oneHolder, sameRegistry, until } from './whole.js'

/** Enough for several redials, so that a line per retry would be seen. */
const MEETING_MS = 6000

export async function twoclusters(say: Say): Promise<Report> {
  const checks = new Checks(say)
  const figures: Record<string, unknown> = {}
  say('twoclusters: two clusters meet, by mistake and on purpose')
  await checks.part('by mistake', () => byMistake(checks))
  await onNetwork(checks, 'on purpose', 5, async (network) => {
    // The cut is there before the nodes are.
    await network.split([
      [0, 1, 2],
      [3, 4],
    ])
    const nodes = startOnHosts(network.hosts, { cluster: uniqueCluster() })
    await withOutputs(nodes, async () => {
      await allReady(nodes, clock())
      const parts = [nodes.slice(0, 3), nodes.slice(3)]
      const names = Array.from({ length: 20 }, (_, i) => `both-${i + 1}`)
      for (const part of parts) {
        await mustHold(everybodyKnown(part))
        await part[0]?.ask('spawnAll', names)
        await part[0]?.ask('startAll', [`only-${part[0].name}`], 5000)
        await mustHold(sameRegistry(part))
      }
      await network.heal()
      const healedAt = clock()
      const known = await until(healedAt, 40_000, everybodyKnown(nodes))
      const all = [...names, ...parts.map((part) => `only-${part[0]?.name}`)]
      const holders = await until(healedAt, 40_000, oneHolder(nodes, all))
      const same = await until(healedAt, 40_000, sameRegistry(nodes))
      Object.assign(figures, { allKnownMs: known.ms, oneHolderMs: holders.ms, registriesEqualMs: same.ms })
      say(`  joined: all known ${known.ms} ms, one holder ${holders.ms} ms, registries equal ${same.ms} ms`)
      checks.check('on purpose: every node knows every node', known.ms !== undefined, known.wrong)
      checks.check('on purpose: one holder and one copy of each name', holders.ms !== undefined, holders.wrong)
      checks.check('on purpose: one registry', same.ms !== undefined, same.wrong)
      const { wrong } = await until(clock(), 5000, answered(nodes, all))
      checks.check('on purpose: each name answers on each node', wrong === '', wrong)
    })
  })
  return { scenario: 'twoclusters', checks: checks.all, figures }
}

async function byMistake(checks: Checks): Promise<void> {
  const peers = (await freePorts(4)).map((port) => `127.0.0.1:${port}`)
  const names = [uniqueCluster(), uniqueCluster()]
  const nodes = peers.map((listen, i) =>
    startOne({ name: `node-${i + 1}`, cluster: names[i >> 1] ?? '', listen, peers }),
  )
  const clusters = [nodes.slice(0, 2), nodes.slice(2)]
  await withOutputs(nodes, async () => {
    await allReady(nodes, clock())
    for (const cluster of clusters) {
      await mustHold(everybodyKnown(cluster))
      await cluster[0]?.ask('announce', 'same-name')
    }
    await pause(MEETING_MS)
    for (const [i, cluster] of clusters.entries()) {
      const strangers = clusters[1 - i] ?? []
      const known = await everybodyKnown(cluster)()
      checks.check(`by mistake: cluster ${i + 1} keeps its members and gets no other`, known === undefined, known)
      const where = await askAll(cluster, 'where', 'same-name')
      checks.check(
        `by mistake: cluster ${i + 1} keeps its name`,
        where.every((node) => node === cluster[0]?.name),
        where.join(' '),
      )
      for (const node of cluster) {
        const lines = strangers.map((stranger) => refusalsOf(node, stranger))
        checks.check(
          `by mistake: ${node.name} says of each stranger once that it refused it, or once that it was refused`,
          lines.every((told) => told.length > 0 && told.length === new Set(told.map(bySide)).size),
          lines.flat().join('\n') || node.output(),
        )
      }
    }
  })
}

/** Log lines of a refusal that speak of this node. */
function refusalsOf(node: Node, stranger: Node): string[] {
  const lines = node.output().split('\n')
  return lines.filter((line) => /"msg":"refused /.test(line) && line.includes(`'${stranger.name}'`))
}

/** A refusal that we made and one that was made of us are two things. */
function bySide(line: string): string {
  return line.includes('"msg":"refused by ') ? 'theirs' : 'ours'
}
