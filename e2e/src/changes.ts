/** Changes of who is there, in order and all at once: the cluster grows and shrinks, everybody restarts, one comes back. */

import { mustHold } from './faults.js'
import {
  allReady,
  askAll,
  clock,
  freePorts,
  type Node,
  notOneRegistry,
  startAgain,
  startAll,
  startOne,
  uniqueCluster,
  withOutputs,
} from './nodes.js'
import { Checks, type Report, type Say, within } from './scenario.js'
import { inWords, summary } from './statistics.js'
import { answered, everybodyKnown, oneHolder, sameRegistry, until } from './whole.js'

const FEW = 3
const MANY = 10
const NAMES = 60

/** Longer than this no change may take until the cluster is whole. */
const WHOLE_MS = 20_000

/** 3 nodes become 10, and 3 again, while they are called. */
export async function scale(say: Say): Promise<Report> {
  const checks = new Checks(say)
  const figures: Record<string, unknown> = {}
  say(`scale: ${FEW} nodes, then ${MANY}, then ${FEW}, under load`)
  await checks.part('scale', async () => {
    const cluster = uniqueCluster()
    const stay = startAll(FEW, { cluster })
    const names = Array.from({ length: NAMES }, (_, i) => `placed-${i + 1}`)
    await allReady(stay, clock())
    await mustHold(everybodyKnown(stay))
    await stay[0]?.ask('spawnAll', names)
    for (const node of stay) await node.ask('startLoad', { names, callsPerS: 50, startsPerS: 0, prefix: node.name })
    const since = clock()
    const more = Array.from({ length: MANY - FEW }, (_, i) => startOne({ cluster, name: `node-${FEW + i + 1}` }))
    const all = [...stay, ...more]
    await withOutputs(all, async () => {
      await allReady(more, since)
      figures.grownMs = await whole(checks, `${MANY} nodes`, all, names, since)
      const left = clock()
      const exits = await within(30_000, 'the nodes that leave', Promise.all(more.map((node) => node.kill('SIGTERM'))))
      checks.check(
        'those that leave end with code 0',
        exits.every(({ code }) => code === 0),
        exits.map(({ code, signal }) => code ?? signal).join(' '),
      )
      figures.shrunkMs = await whole(checks, `${FEW} nodes again`, stay, names, left)
      const downs = (await askAll(stay, 'downs')).flat()
      checks.check('who leaves in order is never declared down', downs.length === 0, downs.map((d) => d.name).join(' '))
      const loads = await askAll(stay, 'endLoad')
      const [calls, ok] = [
        loads.reduce((sum, load) => sum + load.calls, 0),
        loads.reduce((sum, load) => sum + load.answered, 0),
      ]
      figures.calls = calls
      figures.answered = ok
      say(`  ${ok} of ${calls} calls answered; grown in ${figures.grownMs} ms, shrunk in ${figures.shrunkMs} ms`)
      checks.check(
        'no call fails, since nobody crashes',
        ok === calls,
        JSON.stringify(loads.map(({ failed }) => failed)),
      )
      checks.check(
        'no call is stuck',
        loads.every(({ open }) => open === 0),
      )
    })
  })
  return { scenario: 'scale', checks: checks.all, figures }
}

/** How long until these nodes are one cluster with one registry in which all names live. */
async function whole(
  checks: Checks,
  what: string,
  nodes: readonly Node[],
  names: readonly string[],
  since: number,
): Promise<number | undefined> {
  const known = await until(since, WHOLE_MS, everybodyKnown(nodes))
  checks.check(`${what}: every node knows every node`, known.ms !== undefined, known.wrong)
  const holders = await until(since, WHOLE_MS, oneHolder(nodes, names))
  checks.check(`${what}: each name runs once, and all know where`, holders.ms !== undefined, holders.wrong)
  const same = await until(since, WHOLE_MS, sameRegistry(nodes))
  checks.check(`${what}: the registries are equal`, same.ms !== undefined, same.wrong)
  const answers = await until(clock(), 5000, answered(nodes, names))
  checks.check(`${what}: each name answers on each node`, answers.ms !== undefined, answers.wrong)
  return same.ms
}

/** All nodes end at one moment and are started again at one moment, at the same addresses. */
export async function restartall({ times }: { readonly times: number }, say: Say): Promise<Report> {
  const checks = new Checks(say)
  const readyTimes: number[] = []
  const count = 5
  say(`restartall: ${count} nodes end at once and start at once, ${times} times with SIGTERM and with SIGKILL in turn`)
  await checks.part('restartall', async () => {
    const peers = (await freePorts(count)).map((port) => `127.0.0.1:${port}`)
    let nodes = startAll(count, { cluster: uniqueCluster(), peers }, peers)
    await allReady(nodes, clock())
    for (let round = 1; round <= 2 * times; round++) {
      nodes = await withOutputs(nodes, async () => {
        await nodes[0]?.ask('spawnAll', [`before-${round}`])
        const signal = round % 2 === 1 ? 'SIGTERM' : 'SIGKILL'
        const exits = await within(30_000, 'the end of all', Promise.all(nodes.map((node) => node.kill(signal))))
        if (signal === 'SIGTERM') {
          const codes = exits.map(({ code, signal }) => code ?? signal).join(' ')
          checks.check(`round ${round}: all end with code 0`, codes === nodes.map(() => 0).join(' '), codes)
        }
        return nodes.map(startAgain)
      })
      await withOutputs(nodes, async () => {
        const since = clock()
        const readies = await allReady(nodes, since)
        readyTimes.push(Math.max(...readies))
        const wrong = await notOneRegistry(nodes, `proof-${round}`)
        checks.check(`round ${round}: one cluster with one registry`, wrong === undefined, wrong)
        // A spawned name is as durable as the cluster: after its end the name is free, and can be had at once.
        const again = await nodes[1]?.ask('spawn', `before-${round}`)
        checks.check(`round ${round}: a name of before can be started anew`, again !== undefined)
      })
    }
  })
  const readyMs = summary(readyTimes)
  say(`  all ready again: ${inWords(readyMs)}`)
  return { scenario: 'restartall', checks: checks.all, figures: { nodes: count, times, readyMs } }
}

/** A node ends and comes back at once under the same name and at the same address. */
export async function comeBack({ times }: { readonly times: number }, say: Say): Promise<Report> {
  const checks = new Checks(say)
  const back: number[] = []
  say(`return: a node comes back under its name and address, ${times} times after SIGKILL and after SIGTERM`)
  await checks.part('return', async () => {
    const peers = (await freePorts(3)).map((port) => `127.0.0.1:${port}`)
    const nodes = startAll(3, { cluster: uniqueCluster(), peers }, peers)
    await allReady(nodes, clock())
    const names = Array.from({ length: 20 }, (_, i) => `placed-${i + 1}`)
    await mustHold(everybodyKnown(nodes))
    await nodes[0]?.ask('spawnAll', names)
    for (let round = 1; round <= 2 * times; round++) {
      await withOutputs(nodes, async () => {
        back.push(...(await oneReturn(checks, nodes, names, round)))
      })
    }
    const refusals = nodes.flatMap((node) =>
      node
        .output()
        .split('\n')
        .filter((line) => line.includes('"msg":"refused ')),
    )
    checks.check('nobody refuses who comes back', refusals.length === 0, refusals.slice(0, 5).join('\n'))
  })
  const backMs = summary(back)
  say(`  one cluster again after the start: ${inWords(backMs)}`)
  return { scenario: 'return', checks: checks.all, figures: { times, backMs } }
}

async function oneReturn(checks: Checks, nodes: Node[], names: readonly string[], round: number): Promise<number[]> {
  const index = round % nodes.length
  const old = nodes[index] as Node
  const oldBoot = await old.ask('boot')
  const signal = round % 2 === 1 ? 'SIGKILL' : 'SIGTERM'
  await within(20_000, `the end of ${old.name}`, old.kill(signal))
  const since = clock()
  const next = startAgain(old)
  nodes[index] = next
  await allReady([next], since)
  const label = `${next.name} back after ${signal}`
  const known = await until(since, WHOLE_MS, everybodyKnown(nodes))
  checks.check(`round ${round}, ${label}: every node knows every node`, known.ms !== undefined, known.wrong)
  checks.check(`round ${round}: it is another boot`, (await next.ask('boot')) !== oldBoot)
  const holders = await until(since, WHOLE_MS, oneHolder(nodes, names))
  checks.check(`round ${round}: each placed name runs once`, holders.ms !== undefined, holders.wrong)
  const same = await until(since, WHOLE_MS, sameRegistry(nodes))
  checks.check(`round ${round}: the registries are equal`, same.ms !== undefined, same.wrong)
  return known.ms !== undefined && same.ms !== undefined ? [Math.max(known.ms, same.ms)] : []
}
