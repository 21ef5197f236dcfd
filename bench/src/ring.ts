/** The ring beside the `hashring` package called bare: owner look-ups, time to make a table, balance, moves. */
import { createHash } from 'node:crypto'
import { ring } from '@skep/tracker/core'
import HashRing from 'hashring'
import { compare, median, type Ratio } from './measure.js'

export interface RingReport {
  /** Owners of 100,000 different names, over 20 nodes; the yardstick is `HashRing.get` without its cache of answers. */
  readonly lookups: Ratio
  /** Milliseconds to make the table of 20 nodes when only one of them is new. */
  readonly rebuildMs: number
  /** Slots that change their owner when a node joins 19, as a multiple of the fair share of the new one. */
  readonly moves: number
  /** Slots of the busiest of 20 nodes, as a multiple of the mean. */
  readonly busiest: number
}

const NODES = 20
const NAMES = 100_000

export function ringReport(): RingReport {
  const nodes = Array.from({ length: NODES }, (_, i) => `node-${i}`)
  const names = Array.from({ length: NAMES }, (_, i) => `name-${i}`)
  const table = ring.build(nodes)
  const bare = new HashRing(
    Object.fromEntries(nodes.map((node) => [node, { vnodes: ring.ringDefaults.vnodes }])),
    (key) => createHash('md5').update(key).digest(),
    { 'max cache size': 1 },
  )
  return {
    lookups: compare(
      () => count(names, (name) => ring.ownerOf(table, ring.slotOf(name))),
      () => count(names, (name) => bare.get(name)),
    ),
    rebuildMs: median(Array.from({ length: 9 }, (_, i) => rebuildMs([...nodes.slice(1), `new-${i}`]))),
    moves: median(Array.from({ length: 9 }, (_, i) => moves(nodes.slice(1), `new-${i}`))),
    busiest: busiest(table),
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
  ring.build(nodes)
  return performance.now() - begun
}

function moves(nodes: readonly string[], joiner: string): number {
  const before = ring.build(nodes)
  const after = ring.build([...nodes, joiner])
  let moved = 0
  for (let slot = 0; slot < after.slots; slot++) {
    if (ring.ownerOf(before, slot) !== ring.ownerOf(after, slot)) moved++
  }
  return moved / (after.slots / (nodes.length + 1))
}

function busiest(table: ring.RingTable): number {
  const loads = new Array<number>(table.names.length).fill(0)
  for (const owner of table.owners) loads[owner] = (loads[owner] ?? 0) + 1
  return Math.max(...loads) / (table.slots / table.names.length)
}
