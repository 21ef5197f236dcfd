/**
 * Two versions in one cluster: nodes as they are installed, and nodes of a version to come, which speaks a higher minor
 * of the protocol too, says more in every message, sends kinds of frames that nobody else knows, and has a kind of
 * actors of its own. The nodes are upgraded one by one, and one is taken back, under calls from both versions.
 */

import { uniqueCluster } from './nodes.js'
import { Checks, type Report, type Say, within } from './scenario.js'
import { checkDone, type Driven, joined, startWorker, type Worker } from './workers.js'

const NEWER = new URL('./newer.js', import.meta.url)
const NAMES = Array.from({ length: 60 }, (_, i) => `counter-${i}`)
const FUTURES = Array.from({ length: 12 }, (_, i) => `future-${i}`)
const RATE = 100

export async function upgrade(say: Say): Promise<Report> {
  const checks = new Checks(say)
  const driven: Driven[] = []
  let figures: Record<string, unknown> = {}
  say('upgrade: nodes of this version and of a later one in one cluster')
  await checks.part('upgrade', async () => {
    const cluster = uniqueCluster()
    const start = (name: string, newer: boolean): Worker =>
      startWorker({ name, cluster, newer }, newer ? NEWER : undefined)
    const workers = [start('node-1', false), start('node-2', false), start('node-3', true), start('node-4', true)]
    await joined(workers)
    const [old, , newer] = workers as [Worker, Worker, Worker, Worker]
    // Spawns from both, of a kind that all know and of one that only the newer ones know.
    await old.ask('spawnTallies', NAMES.slice(0, 30))
    await newer.ask('spawnTallies', NAMES.slice(30))
    for (const [i, name] of FUTURES.entries()) await (i % 2 === 0 ? old : newer).ask('spawnFuture', name)
    checks.check(
      'kinds run only where they are known',
      await onlyOn(old, FUTURES, ['node-3', 'node-4']),
      await shown(old, FUTURES),
    )
    const places = new Set(await old.ask('where', NAMES))
    checks.check('a kind that all know runs on both versions', places.size === 4, [...places].join(' '))

    const dropped = await within(10_000, 'frames of kinds that nobody knows', babble(newer, old))
    checks.check(
      'frames of unknown kinds are counted and cost nothing',
      dropped > 0 && (await old.ask('members')).length === 4,
      `${dropped}`,
    )

    // By hand both ways, then a rolling upgrade, and one node taken back.
    const there = await movedBetween(old, newer)
    checks.check('actors are handed over both ways', there.every(Boolean), there.join(' '))
    const lives = new Map<string, number>()
    const drive = async (worker: Worker): Promise<void> => {
      const life = (lives.get(worker.name) ?? 0) + 1
      lives.set(worker.name, life)
      await worker.ask('drive', `${worker.name}-${life}`, NAMES, RATE)
    }
    for (const worker of workers) await drive(worker)
    for (const [i, to] of [
      [0, true],
      [1, true],
      [0, false],
    ] as const) {
      const worker = workers[i] as Worker
      driven.push(await worker.ask('endDrive'))
      const { code } = await within(20_000, `${worker.name} ends`, worker.kill('SIGTERM'))
      checks.check(
        `${worker.name} is ${to ? 'upgraded' : 'taken back'}`,
        code === 0,
        `code ${code}\n${worker.output().slice(-2000)}`,
      )
      workers[i] = start(worker.name, to)
      await joined(workers)
      await drive(workers[i] as Worker)
    }
    const allowed = ['node-2', 'node-3', 'node-4']
    checks.check(
      'the kind that only newer ones know is still nowhere else',
      await onlyOn(newer, FUTURES, allowed),
      await shown(newer, FUTURES),
    )
    for (const worker of workers)
      driven.push(await within(15_000, `${worker.name} ends its calls`, worker.ask('endDrive')))
    const outcome = checkDone(checks, driven, await newer.ask('reports', NAMES))
    figures = { ...outcome, dropped }
  })
  return { scenario: 'upgrade', checks: checks.all, figures }
}

async function onlyOn(worker: Worker, names: readonly string[], nodes: readonly string[]): Promise<boolean> {
  return (await worker.ask('where', names)).every((node) => node !== undefined && nodes.includes(node))
}

async function shown(worker: Worker, names: readonly string[]): Promise<string> {
  return (await worker.ask('where', names)).join(' ')
}

/** How many frames the old node has thrown away since the newer one sent what nobody knows. */
async function babble(newer: Worker, old: Worker): Promise<number> {
  const before = await old.ask('dropped')
  await newer.ask('babble')
  for (;;) {
    const dropped = (await old.ask('dropped')) - before
    if (dropped > 0) return dropped
  }
}

/** A counter goes from the old node to the newer one and back, and is where it was sent each time. */
async function movedBetween(old: Worker, newer: Worker): Promise<boolean[]> {
  const there: boolean[] = []
  const name = NAMES[0] as string
  for (const to of [newer, old, newer, old]) {
    const [at] = await old.ask('where', [name])
    if (at !== to.name) await old.ask('move', name, to.name)
    const [after] = await newer.ask('where', [name])
    there.push(after === to.name)
  }
  return there
}
