/**
 * What a million idle actors on one node cost, without names and with them: bytes of heap for each, the time to start
 * them all, and a thousand random ones that are called afterwards. The yardstick is the least that could be called an
 * actor: a state and an array as its mailbox, found in a Map.
 *
 * Each is measured in a process of its own (`population.ts`), with the heap that Node takes by default: what one leaves
 * behind, and how its heap has grown, would be counted for the next. And what as many names cost, on the node of the
 * process that has them and on another, which has a replica of each.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { getHeapStatistics } from 'node:v8'
import { alone, flat, judged, type Measure, type RowReport, type Target } from './report.js'
import { type BenchOptions, startNodes } from './row.js'

export interface Population {
  /** Bytes of heap for each actor, after a collection. */
  readonly bytesPerActor: number
  /** What the whole process takes of the machine. */
  readonly residentBytes: number
  readonly startMs: number
  /** Random actors that were called, and answered what only they could. */
  readonly called: number
  readonly callMs: number
}

/** A kilobyte, as the table of targets means it. */
const TARGET: Target = { of: 'value', bound: 'at most', limit: 1024 }
const NAME_TARGET: Target = { of: 'value', bound: 'at most', limit: 350 }

/** Until all names are on the replica. */
const LIMIT_MS = 120_000
/** Names that are there before anything counts: compiled code and tables of the nodes are not the names'. */
const FIRST = 2000

export async function memory({ quick }: BenchOptions): Promise<RowReport> {
  const actors = quick ? 10_000 : 1_000_000
  const wrong: string[] = []
  const names = await namesOf(actors, wrong)
  const limit = Math.round(getHeapStatistics().heap_size_limit / 2 ** 20)
  return {
    what: `${actors.toLocaleString('en')} idle actors on one node, without names and then with them, in Node's own heap (at most ${limit} MiB), beside as many bare objects with a queue in a Map; then 1,000 random ones are called. Then as many names of one process: on the node that holds them, and on another that has a replica of them. Once each: what is counted does not vary.`,
    measures: [
      ...(['anonymous', 'named'] as const).flatMap((mode) => measuresOf(mode, population(mode, actors))),
      ...names,
    ],
    wrong,
  }
}

async function namesOf(count: number, wrong: string[]): Promise<Measure[]> {
  const { bytesPerActor: entry } = inOwnProcess('plain', 'entries', count)
  const [holder, replica] = await startNodes(['a', 'b'])
  if (holder === undefined || replica === undefined) throw new TypeError('there are no nodes')
  await holder.ask('fill', 'first', FIRST)
  await replica.ask('full', FIRST, LIMIT_MS)
  const before = await Promise.all([holder, replica].map((node) => node.ask('heap')))
  const { wrong: refused, fault } = await holder.ask('fill', 'a', count)
  await replica.ask('full', FIRST + count, LIMIT_MS)
  const after = await Promise.all([holder, replica].map((node) => node.ask('heap')))
  const missing = await replica.ask('missing', 'a', count, 'a')
  if (refused + missing > 0)
    wrong.push(`${refused} names were refused (${fault}), ${missing} are missing on the replica`)
  await Promise.all([holder, replica].map((node) => node.kill()))
  const yardstick = { name: 'an entry of a Map', value: flat(entry) }
  return ['a name on the node that holds it', 'a replicated name'].map((name, i) => {
    const bytes = ((after[i] ?? Number.NaN) - (before[i] ?? Number.NaN)) / count
    return {
      name: `${name}, each`,
      unit: 'B',
      value: flat(bytes),
      yardstick: { ...yardstick, ratio: flat(bytes / entry) },
      ...judged(bytes, NAME_TARGET),
    }
  })
}

function measuresOf(mode: string, one: Population & { readonly yardstick: number }): Measure[] {
  const { bytesPerActor, yardstick, residentBytes, startMs, called, callMs } = one
  return [
    {
      name: `${mode}, each`,
      unit: 'B',
      value: flat(bytesPerActor),
      yardstick: { name: 'a bare object', value: flat(yardstick), ratio: flat(bytesPerActor / yardstick) },
      ...judged(bytesPerActor, TARGET),
    },
    alone(`${mode}, the whole process`, 'MiB', [Math.round(residentBytes / 2 ** 20)]),
    alone(`${mode}, to start them all`, 'ms', [startMs]),
    alone(`${mode}, to call ${called} random ones`, 'ms', [callMs]),
  ]
}

function population(mode: 'anonymous' | 'named', actors: number): Population & { readonly yardstick: number } {
  const { bytesPerActor: yardstick } = inOwnProcess('plain', mode, actors)
  return { ...inOwnProcess('skep', mode, actors), yardstick }
}

function inOwnProcess(what: 'plain' | 'skep', mode: string, actors: number): Population {
  const program = fileURLToPath(new URL('population.js', import.meta.url))
  const { status, signal, stdout } = spawnSync(process.execPath, [program, what, mode, String(actors)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`${actors} ${mode} ones (${what}): the process ended with ${status ?? signal}`)
  return JSON.parse(stdout) as Population
}
