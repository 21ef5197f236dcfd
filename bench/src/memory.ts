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

export interface MemoryReport {
  readonly actors: number
  /** The limit of the heap that Node took by itself. */
  readonly heapLimitBytes: number
  readonly anonymous: Population
  readonly named: Population
}

export interface Population {
  /** Bytes of heap for each actor, after a collection. */
  readonly bytesPerActor: number
  /** The same for the yardstick. */
  readonly yardstick: number
  /** What the whole process takes of the machine. */
  readonly residentBytes: number
  readonly startMs: number
  /** Random actors that were called, and answered what only they could. */
  readonly called: number
  readonly callMs: number
}

export function memoryReport(actors: number): MemoryReport {
  return {
    actors,
    heapLimitBytes: getHeapStatistics().heap_size_limit,
    anonymous: population('anonymous', actors),
    named: population('named', actors),
  }
}

function population(mode: 'anonymous' | 'named', actors: number): Population {
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
