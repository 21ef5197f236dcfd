/**
 * A node with 1,000 placed actors of 10 KB of state each leaves two others, while calls go on; then the states are
 * compared byte for byte with what was put into them.
 */

import { randomBytes } from 'node:crypto'
import { clock, uniqueCluster } from './nodes.js'
import { Checks, type Report, type Say, within } from './scenario.js'
import { joined, startWorker, type Worker } from './workers.js'

const ACTORS = 1000
const BYTES = 10 * 1024
/** Calls a second to them, meanwhile. */
const RATE = 200
const WITHIN_MS = 5000
const BATCH = 50

export async function drain(say: Say): Promise<Report> {
  const checks = new Checks(say)
  let figures: Record<string, unknown> = {}
  say(`drain: ${ACTORS} actors of ${BYTES} bytes each leave one of three nodes, under ${RATE} calls a second`)
  await checks.part('drain', async () => {
    const cluster = uniqueCluster()
    const workers = [1, 2, 3].map((i) => startWorker({ name: `node-${i}`, cluster, rebalance: 'never' }))
    await joined(workers)
    const [one, two, leaver] = workers as [Worker, Worker, Worker]
    const states = await fill(one, leaver.name)
    const names = [...states.keys()]
    const calls = touching(two, names)
    const since = clock()
    const report = await within(60_000, 'the drain', leaver.ask('drain', 30_000))
    const tookMs = clock() - since
    // Some calls come when it has left.
    await new Promise((resolve) => setTimeout(resolve, 500))
    const failed = await calls.end()
    const wrong = await compare(two, states)
    figures = {
      actors: names.length,
      bytes: BYTES,
      tookMs: Math.round(tookMs),
      moved: report.moved,
      calls: calls.made(),
      failed: failed.length,
      wrong: wrong.length,
    }
    say(`  ${report.moved} left in ${tookMs.toFixed(0)} ms, ${calls.made()} calls meanwhile`)
    checks.check(
      `all ${names.length} were handed over`,
      report.moved >= names.length && report.unmoved.length === 0,
      JSON.stringify(report.unmoved.slice(0, 5)),
    )
    checks.check(`within ${WITHIN_MS} ms`, tookMs <= WITHIN_MS, `${tookMs.toFixed(0)} ms`)
    checks.check('no call failed', failed.length === 0, failed.slice(0, 5).join('\n'))
    checks.check('every state is what it was, byte for byte', wrong.length === 0, wrong.slice(0, 10).join(' '))
  })
  return { scenario: 'drain', checks: checks.all, figures }
}

/** Spawns blobs until the leaver has enough of them: their names there, with the bytes that were put in. */
async function fill(worker: Worker, leaver: string): Promise<Map<string, Buffer>> {
  const states = new Map<string, Buffer>()
  for (let next = 0; states.size < ACTORS; next += BATCH) {
    if (next > 20 * ACTORS) throw new Error(`of ${next} blobs only ${states.size} went to ${leaver}`)
    const batch = Array.from({ length: BATCH }, (_, i) => ({ name: `blob-${next + i}`, bytes: randomBytes(BYTES) }))
    const places = await Promise.all(batch.map(({ name, bytes }) => worker.ask('spawnBlob', name, bytes)))
    batch.forEach(({ name, bytes }, i) => {
      if (places[i] === leaver) states.set(name, bytes)
    })
  }
  return states
}

/** Calls the actors in turn at a steady pace, until `end`, which gives what failed. */
function touching(worker: Worker, names: readonly string[]): { end(): Promise<string[]>; made(): number } {
  const perTick = RATE / 20
  let made = 0
  const open: Promise<string[]>[] = []
  const timer = setInterval(() => {
    const batch = Array.from({ length: perTick }, () => names[made++ % names.length] as string)
    open.push(worker.ask('touch', batch))
  }, 50)
  return {
    made: () => made,
    end: async () => {
      clearInterval(timer)
      return (await Promise.all(open)).flat()
    },
  }
}

async function compare(worker: Worker, states: ReadonlyMap<string, Buffer>): Promise<string[]> {
  const wrong: string[] = []
  const names = [...states.keys()]
  for (let i = 0; i < names.length; i += BATCH) {
    const batch = names.slice(i, i + BATCH)
    const bytes = await worker.ask('bytes', batch)
    batch.forEach((name, j) => {
      if (!(states.get(name) as Buffer).equals(Buffer.from(bytes[j] ?? []))) wrong.push(name)
    })
  }
  return wrong
}
