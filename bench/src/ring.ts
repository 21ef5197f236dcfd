/** The ring beside the `hashring` package called bare: owner look-ups, time to make a table, balance, moves. */
import { createHash } from 'node:crypto'
import { ring as rings } from '@skep/tracker/core'
import HashRing from 'hashring'
import { compare, type Ratio } from './measure.js'
import { alone, flat, judged, type Measure, type RowReport } from './report.js'
import type { BenchOptions } from './row.js'

const NODES = 20
const NAMES = 100_000

export function ring({ rounds, quick }: BenchOptions): RowReport {
  const nodes = Array.from({ length: NODES }, (_, i) => `node-${i}`)
  const names = Array.from({ length: quick ? NAMES / 100 : NAMES }, (_, i) => `name-${i}`)
  const table = rings.build(nodes)
  const bare = new HashRing(
    Object.fromEntries(nodes.map((node) => [node, { vnodes: rings.ringDefaults.vnodes }])),
    (key) => createHash('md5').update(key).digest(),
    { 'max cache size': 1 },
  )
  const lookups = compare(
    () => count(names, (name) => rings.ownerOf(table, rings.slotOf(name))),
    () => count(names, (name) => bare.get(name)),
    rounds,
  )
  const each = <T>(one: (i: number) => T): T[] => Array.from({ length: 9 }, (_, i) => one(i))
  const moved = each((i) => moves(nodes.slice(1), `new-${i}`))
  return {
    what: 'Owners of 100,000 different names over 20 nodes, beside `HashRing.get` without its cache of answers, each answer looked at to be one of the nodes; a new table where one of 20 nodes is new; slots that move when a node joins 19, to its fair share; slots of the busiest of 20, to the mean.',
    measures: [
      lookupsOf(lookups),
      alone(
        'a new table',
        'ms',
        // Tables are remembered: each is of nodes that nobody has asked for.
        each((i) => rebuildMs([...nodes.slice(1), `fresh-${i}`])),
      ),
      alone('moves when a node joins', 'x', moved, { bound: 'at most', limit: 1.2 }),
      alone('the busiest node', 'x', [busiest(table)]),
    ],
    wrong: [],
  }
}

function lookupsOf({ subject, yardstick, ...ratio }: Ratio): Measure {
  return {
    name: 'owner look-ups',
    unit: 'op/s',
    value: flat(subject),
    yardstick: { name: 'hashring, bare', value: flat(yardstick), ratio },
    ...judged(subject, { of: 'value', bound: 'at least', limit: 10e6 }),
  }
}

/** Answers that are not one of the nodes would make the measurement worthless. */
function count(names: readonly string[], owner: (name: string) => string | undefined): number {
  let answered = 0
  for (const name of names) if (owner(name)?.startsWith('node-')) answered++
  if (answered !== names.length) throw new Error(`${names.length - answered} names have no owner`)
  return answered
}

function rebuildMs(nodes: readonly string[]): number {
  const begun = performance.now()
  rings.build(nodes)
  return performance.now() - begun
}

function moves(nodes: readonly string[], joiner: string): number {
  const before = rings.build(nodes)
  const after = rings.build([...nodes, joiner])
  let moved = 0
  for (let slot = 0; slot < after.slots; slot++) {
    if (rings.ownerOf(before, slot) !== rings.ownerOf(after, slot)) moved++
  }
  return moved / (after.slots / (nodes.length + 1))
}

function busiest(table: rings.RingTable): number {
  const loads = new Array<number>(table.names.length).fill(0)
  for (const owner of table.owners) loads[owner] = (loads[owner] ?? 0) + 1
  return Math.max(...loads) / (table.slots / table.names.length)
}
