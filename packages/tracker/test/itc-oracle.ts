/**
 * The oracle of the interval tree clock: random runs in which every stamp also carries the set of events that it has
 * seen, as a list of bits. Two stamps must always stand to each other as these two sets do.
 */

import { below, type Random, seedRandom } from '@skep/cluster/core'
import * as itc from '../src/core/itc.js'

export interface OracleReport {
  readonly runs: number
  readonly operations: number
  readonly comparisons: number
  /** The seed of each run in which something was wrong, and what; at most 10. */
  readonly faults: readonly string[]
}

/** At most so many operations a run, so that two 32-bit words hold a history. */
const mostOperations = 60
const mostStamps = 16

interface Traced {
  stamp: itc.Stamp
  /** The events seen: number k is bit k of the two words. */
  low: number
  high: number
}

/** `runs` runs of 5 to 60 operations over up to 16 stamps, from the seeds `seed`, `seed` + 1 and so on. */
export function runOracle(runs: number, seed: number): OracleReport {
  const faults: string[] = []
  const counts = { operations: 0, comparisons: 0 }
  for (let run = 0; run < runs && faults.length < 10; run++) {
    const fault = oneRun(seedRandom(seed + run), counts)
    if (fault !== undefined) faults.push(`seed ${seed + run}: ${fault}`)
  }
  return { runs, ...counts, faults }
}

function oneRun(random: Random, counts: { operations: number; comparisons: number }): string | undefined {
  const pool: Traced[] = [{ stamp: itc.seed, low: 0, high: 0 }]
  const operations = 5 + below(random, mostOperations - 4)
  for (let number = 0; number < operations; number++) {
    for (const changed of operate(random, pool, number)) {
      for (const other of pool) {
        counts.comparisons += 2
        const fault = disagreement(changed, other) ?? disagreement(other, changed)
        if (fault !== undefined) return `operation ${number}: ${fault}`
      }
    }
    counts.operations += 1
  }
  return faultAtEnd(pool)
}

function disagreement(a: Traced, b: Traced): string | undefined {
  const included = (a.low & ~b.low) === 0 && (a.high & ~b.high) === 0
  if (itc.leq(a.stamp.event, b.stamp.event) === included) return undefined
  return `${JSON.stringify(a.stamp)} ${included ? 'is' : 'is not'} in the past of ${JSON.stringify(b.stamp)}`
}

/** Performs one random operation on the pool, where one is possible, and returns the stamps that it made. */
function operate(random: Random, pool: Traced[], number: number): Traced[] {
  const a = pool[below(random, pool.length)] as Traced
  const b = pool[below(random, pool.length)] as Traced
  switch (below(random, 8)) {
    case 0:
    case 1:
      return pool.length < mostStamps && a.stamp.id !== 0 ? [fork(pool, a)] : []
    case 2:
      return a === b ? [] : [join(pool, a, b)]
    case 3:
      return pool.length < mostStamps ? [push(pool, { ...a, stamp: itc.peek(a.stamp) })] : []
    case 4:
      return a === b || a.stamp.id === 0 || b.stamp.id === 0 ? [] : sync(a, b)
    case 5:
      return a.stamp.id === 0 || pool.length === mostStamps ? [] : [send(pool, a, number)]
    case 6:
      return a.stamp.id === 0 || b.stamp.id !== 0 ? [] : [receive(pool, a, b, number)]
    default:
      return a.stamp.id === 0 ? [] : [happen(a, itc.event(a.stamp), number)]
  }
}

function push(pool: Traced[], made: Traced): Traced {
  pool.push(made)
  return made
}

function fork(pool: Traced[], a: Traced): Traced {
  const [own, other] = itc.fork(a.stamp)
  a.stamp = own
  return push(pool, { ...a, stamp: other })
}

function join(pool: Traced[], a: Traced, b: Traced): Traced {
  a.stamp = itc.join(a.stamp, b.stamp)
  learn(a, b)
  pool.splice(pool.indexOf(b), 1)
  return a
}

function sync(a: Traced, b: Traced): Traced[] {
  const [own, other] = itc.sync(a.stamp, b.stamp)
  a.stamp = own
  b.stamp = other
  learn(a, b)
  learn(b, a)
  return [a, b]
}

function send(pool: Traced[], a: Traced, number: number): Traced {
  const [own, message] = itc.send(a.stamp)
  happen(a, own, number)
  return push(pool, { ...a, stamp: message })
}

function receive(pool: Traced[], a: Traced, message: Traced, number: number): Traced {
  learn(a, message)
  happen(a, itc.receive(a.stamp, message.stamp), number)
  pool.splice(pool.indexOf(message), 1)
  return a
}

function learn(a: Traced, b: Traced): void {
  a.low |= b.low
  a.high |= b.high
}

function happen(a: Traced, stamp: itc.Stamp, number: number): Traced {
  a.stamp = stamp
  if (number < 32) a.low |= 1 << number
  else a.high |= 1 << (number - 32)
  return a
}

/** What holds whatever was done: ids share no point, trees are in normal form, bytes give the same stamp again. */
function faultAtEnd(pool: readonly Traced[]): string | undefined {
  for (const [index, { stamp }] of pool.entries()) {
    const text = JSON.stringify(stamp)
    if (!itc.isNormalId(stamp.id) || !itc.isNormalEvent(stamp.event)) return `${text} is not in normal form`
    if (JSON.stringify(itc.decodeStamp(itc.encodeStamp(stamp))) !== text) return `${text} is another one after a trip`
    const overlaps = pool.slice(index + 1).find((other) => !itc.disjoint(stamp.id, other.stamp.id))
    if (overlaps !== undefined) return `${text} and ${JSON.stringify(overlaps.stamp)} overlap`
  }
  return undefined
}
