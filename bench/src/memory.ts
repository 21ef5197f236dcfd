/**
 * What a million idle actors on one node cost, without names and with them: bytes of heap for each, the time to start
 * them all, and a thousand random ones that are called afterwards. The yardstick is the least that could be called an
 * actor: a state and an array as its mailbox, found in a Map.
 *
 * Each is measured in a process of its own (`population.ts`), with the heap that Node takes by default: what one leaves
 * behind, and how its heap has grown, would be counted for the next.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { getHeapStatistics } from 'node:v8'
import { alone, flat, judged, type Measure, type RowReport, type Target } from './report.js'
import type { BenchOptions } from './row.js'

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

export function memory({ quick }: BenchOptions): RowReport {
  const actors = quick ? 10_000 : 1_000_000
  const limit = Math.round(getHeapStatistics().heap_size_limit / 2 ** 20)
  return {
    what: `${actors.toLocaleString('en')} idle actors on one node, without names and then with them, in Node's own heap (at most ${limit} MiB), beside as many bare objects with a queue in a Map; then 1,000 random ones are called. Once each: what is counted does not vary.`,
    measures: (['anonymous', 'named'] as const).flatMap((mode) => measuresOf(mode, population(mode, actors))),
    wrong: [],
  }
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
