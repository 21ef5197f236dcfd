/**
 * Five nodes are restarted one by one while calls go on to 300 placed counters: from a caller on a sixth node, which
 * stays, and from clients on the others, each of which stops before its node drains. No call is tried twice.
 */

import { clock, uniqueCluster } from './nodes.js'
import { Checks, pause, type Report, type Say, within } from './scenario.js'
import { inWords, summary } from './statistics.js'
import { checkDone, type Driven, joined, startWorker, type Worker } from './workers.js'

const NAMES = Array.from({ length: 300 }, (_, i) => `counter-${i}`)
/** Calls a second, in all, at the least: one of the nodes that are restarted is away. */
const RATE = 1000
/** Of them on each of the nodes that are restarted. */
const SHARE = 60
const RESTARTED = 5
/** From the signal to the end of the process. */
const EXIT_MS = 20_000
/** From the return of one to the restart of the next. */
const BETWEEN_MS = 1000

export async function rolling(say: Say): Promise<Report> {
  const checks = new Checks(say)
  const driven: Driven[] = []
  const drains: number[] = []
  let figures: Record<string, unknown> = {}
  say(`rolling: ${RESTARTED} nodes restarted under ${RATE} calls a second to ${NAMES.length} placed counters`)
  await checks.part('rolling', async () => {
    const cluster = uniqueCluster()
    const workers = Array.from({ length: RESTARTED + 1 }, (_, i) => startWorker({ name: `node-${i + 1}`, cluster }))
    await joined(workers)
    const stays = workers[RESTARTED] as Worker
    await stays.ask('spawnTallies', NAMES)
    const began = clock()
    for (const worker of workers) await drive(worker, worker === stays ? RATE - (RESTARTED - 1) * SHARE : SHARE, '1')
    for (let i = 0; i < RESTARTED; i++) {
      const worker = workers[i] as Worker
      const held = (await stays.ask('where', NAMES)).filter((at) => at === worker.name).length
      driven.push(await worker.ask('endDrive'))
      const since = clock()
      const { code } = await within(EXIT_MS, `${worker.name} ends`, worker.kill('SIGTERM'))
      drains.push(clock() - since)
      const left = (await stays.ask('where', NAMES)).filter((at) => at === undefined || at === worker.name).length
      say(`  ${worker.name} with ${held} counters: left after ${(clock() - since).toFixed(0)} ms`)
      checks.check(
        `${worker.name} ends with code 0, and none of its counters is without a node`,
        code === 0 && left === 0,
        `code ${code}, ${left} counters\n${worker.output().slice(-2000)}`,
      )
      workers[i] = startWorker(worker.argument)
      await joined(workers)
      await drive(workers[i] as Worker, SHARE, '2')
      await pause(BETWEEN_MS)
    }
    for (const worker of workers)
      driven.push(await within(15_000, `${worker.name} ends its calls`, worker.ask('endDrive')))
    const seconds = (clock() - began) / 1000
    const outcome = checkDone(checks, driven, await stays.ask('reports', NAMES))
    const slowest = driven.flatMap(({ ms }) => (ms.count > 0 ? [ms.max] : []))
    const own = driven.at(-1)?.ms
    figures = {
      ...outcome,
      seconds,
      perSecond: Math.round(outcome.calls / seconds),
      drainMs: summary(drains),
      callMs: own,
      slowestMs: Math.max(...slowest),
    }
    say(
      `  ${outcome.calls} calls in ${seconds.toFixed(1)} s, ${figures.perSecond} a second; those of the node that stayed: ${own === undefined ? '' : inWords(own)}`,
    )
    checks.check(
      `calls kept their pace: at least ${RATE * 0.8} a second`,
      outcome.calls / seconds >= RATE * 0.8,
      `${figures.perSecond}`,
    )
  })
  return { scenario: 'rolling', checks: checks.all, figures }
}

/** Each life of a node is a caller of its own: it numbers its calls from 1 on. */
async function drive(worker: Worker, perSecond: number, life: string): Promise<void> {
  await worker.ask('drive', `${worker.name}-${life}`, NAMES, perSecond)
}
