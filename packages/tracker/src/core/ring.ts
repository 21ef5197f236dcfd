/**
 * The ring: which node arbitrates which names. Names hash to slots, slots lie evenly on a circle of 2^32 points, and
 * each node has points there that hang on its name alone (consistent hashing, ketama's, by the `hashring` package);
 * a slot belongs to the nodes in the order in which their points follow it. So everybody who knows the same node names
 * has the same table, and a node that comes or goes moves only the slots that it gets or had.
 *
 * What `hashring` would get wrong for us is not left to it: it sees one node at a time, so equal points are ordered by
 * node name and not by who was told first, and its rounding of shares (39 virtual nodes for 40) cannot happen; it sees
 * opaque tokens, for it reads names as addresses and `[::1]:4000` as the host `[`; and it gets a hash of ours, for the
 * pure parts know no crypto. The points of one node against all slots are one short list, made once; a table is the
 * nearest of these lists at each slot.
 *
 *     import * as ring from './ring.js'
 */

import HashRing from 'hashring'

export interface RingParameters {
  /** Buckets that names are hashed to, 1 to 65,536; the same on all nodes of a cluster. */
  readonly slots: number
  /** Virtual nodes of each node, four points of the circle each, 1 to 4,096; the same on all nodes of a cluster. */
  readonly vnodes: number
}

export const ringDefaults: RingParameters = { slots: 1024, vnodes: 128 }

/** In `owners`: there is no node. Also how many nodes a table can have at most. */
export const noOwner = 0xffff

export interface RingTable {
  /** The nodes, each once, in ascending order of UTF-16 code units. */
  readonly names: readonly string[]
  readonly slots: number
  /** For each slot the index in `names` of its owner; `noOwner` where there are no names. Not to be written to. */
  readonly owners: Uint16Array
  /** All nodes, as indexes in `names`, in the order in which they follow the slot: the owner, then its heirs. */
  order(slot: number): readonly number[]
}

export interface RingBuilder {
  /** Adds up to `budget` nodes; the table once all are in it. A node costs 0.2 ms the first time, later 5 us. */
  step(budget: number): RingTable | undefined
}

/**
 * The table of these nodes, in whatever order and however often they are named; the very same object for the same
 * names and parameters as long as it is remembered. Throws `RangeError` for parameters or a number of names out of
 * bounds.
 */
export function build(names: readonly string[], parameters: RingParameters = ringDefaults): RingTable {
  return builder(names, parameters).step(Number.POSITIVE_INFINITY) as RingTable
}

/** `build` in pieces, so that the caller can turn to other work between two of them. Throws like `build`. */
export function builder(names: readonly string[], parameters: RingParameters = ringDefaults): RingBuilder {
  check(parameters)
  const sorted = [...new Set(names)].sort()
  if (sorted.length > noOwner) throw new RangeError(`a ring of ${sorted.length} nodes; at most ${noOwner} are possible`)
  const key = JSON.stringify([parameters.slots, parameters.vnodes, sorted])
  let table = tables.get(key)
  const draft = table === undefined ? new Draft(sorted, parameters) : undefined
  return {
    step(budget) {
      // Another builder of the same names may have been quicker: then its table is everybody's.
      table ??= tables.get(key)
      if (table === undefined && draft?.add(budget)) {
        table = draft.table()
        tables.set(key, table)
      }
      return table
    },
  }
}

/** The slot of a name: one cheap hash (FNV-1a over its UTF-16 code units, then murmur3's last mix). */
export function slotOf(name: string, slots: number = ringDefaults.slots): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
  return mix(hash) % slots
}

/** The name of the slot's owner; undefined where the table has no nodes. */
export function ownerOf(table: RingTable, slot: number): string | undefined {
  return table.names[table.owners[slot] ?? noOwner]
}

/** A table in the making: how near the nearest node so far is to each slot, and which it is. */
class Draft {
  readonly #names: readonly string[]
  readonly #parameters: RingParameters
  readonly #distances: Uint32Array[] = []
  readonly #nearest: Uint32Array
  readonly #owners: Uint16Array

  constructor(names: readonly string[], parameters: RingParameters) {
    this.#names = names
    this.#parameters = parameters
    this.#nearest = new Uint32Array(parameters.slots).fill(0xffffffff)
    this.#owners = new Uint16Array(parameters.slots).fill(noOwner)
  }

  /** True once all nodes are in. */
  add(budget: number): boolean {
    const end = Math.min(this.#names.length, this.#distances.length + budget)
    for (let index = this.#distances.length; index < end; index++) this.#addNode(index)
    return this.#distances.length === this.#names.length
  }

  #addNode(index: number): void {
    const nearest = this.#nearest
    const owners = this.#owners
    const distances = distancesOf(this.#names[index] as string, this.#parameters)
    this.#distances.push(distances)
    for (let slot = 0; slot < distances.length; slot++) {
      const distance = distances[slot] as number
      // Only a smaller distance takes a slot: of two equal points the first in the order of names wins.
      if (distance < (nearest[slot] as number) || owners[slot] === noOwner) {
        nearest[slot] = distance
        owners[slot] = index
      }
    }
  }

  table(): RingTable {
    const distances = this.#distances
    const orders: (readonly number[] | undefined)[] = []
    const order = (slot: number): readonly number[] => {
      let nodes = orders[slot]
      if (nodes === undefined) {
        const at = (node: number): number => distances[node]?.[slot] ?? 0
        nodes = distances.map((_, node) => node).sort((a, b) => at(a) - at(b) || a - b)
        orders[slot] = nodes
      }
      return nodes
    }
    return { names: this.#names, slots: this.#parameters.slots, owners: this.#owners, order }
  }
}

/** How far round the circle each slot has to the node's next point, in slot order. */
function distancesOf(name: string, parameters: RingParameters): Uint32Array {
  const key = `${parameters.slots} ${parameters.vnodes} ${name}`
  const known = nodes.get(key)
  if (known !== undefined) return known
  const token = tokenOf(name)
  const points = new HashRing({ [token]: { vnodes: parameters.vnodes } }, hash128).points([token])[token] ?? []
  const distances = new Uint32Array(parameters.slots)
  let next = 0
  for (let slot = 0; slot < parameters.slots; slot++) {
    const position = positionOf(slot, parameters.slots)
    while (next < points.length && (points[next] as number) < position) next += 1
    // Past the last point the circle begins again; `>>> 0` takes the difference round it.
    distances[slot] = ((points[next] ?? (points[0] as number)) - position) >>> 0
  }
  nodes.set(key, distances)
  return distances
}

/** Where a slot lies on the circle: in the middle of its share of it. */
export function positionOf(slot: number, slots: number): number {
  return Math.floor(((slot + 0.5) * 2 ** 32) / slots)
}

/** What `hashring` knows a node by: a letter and 32 hexadecimal digits. Two names with one token do no harm. */
export function tokenOf(name: string): string {
  return `n${hash128(name)
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('')}`
}

/** 16 well mixed bytes of a text: four lanes that each take in each code unit and then each other. Not for secrets. */
export function hash128(text: string): number[] {
  let a = 0x9e3779b9
  let b = 0x243f6a88
  let c = 0xb7e15162
  let d = 0x510e527f
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    a = Math.imul(a ^ unit, 0x85ebca6b)
    b = Math.imul(b ^ unit, 0xc2b2ae35)
    c = Math.imul(c ^ unit, 0x27d4eb2f)
    d = Math.imul(d ^ unit, 0x165667b1)
    a ^= d >>> 15
    b ^= a >>> 13
    c ^= b >>> 16
    d ^= c >>> 14
  }
  a = mix(a ^ text.length)
  b = mix(b ^ a)
  c = mix(c ^ b)
  d = mix(d ^ c)
  const bytes: number[] = []
  for (const lane of [mix(a ^ d), b, c, d]) bytes.push(lane & 255, (lane >>> 8) & 255, (lane >>> 16) & 255, lane >>> 24)
  return bytes
}

/** Murmur3's finaliser: each bit of the input changes each bit of the output in half of the cases. */
function mix(hash: number): number {
  let h = hash
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

function check({ slots, vnodes }: RingParameters): void {
  if (!Number.isInteger(slots) || slots < 1 || slots > 65_536) {
    throw new RangeError(`a ring of ${slots} slots; whole numbers from 1 to 65536 are possible`)
  }
  if (!Number.isInteger(vnodes) || vnodes < 1 || vnodes > 4096) {
    throw new RangeError(`a ring of ${vnodes} virtual nodes a node; whole numbers from 1 to 4096 are possible`)
  }
}

/** The last `limit` values asked for: what falls out is only made again. */
class Recent<Value> {
  readonly #limit: number
  readonly #values = new Map<string, Value>()

  constructor(limit: number) {
    this.#limit = limit
  }

  get(key: string): Value | undefined {
    const value = this.#values.get(key)
    if (value !== undefined) {
      // A map keeps the order of insertion: put in again, it is the last to fall out.
      this.#values.delete(key)
      this.#values.set(key, value)
    }
    return value
  }

  set(key: string, value: Value): void {
    this.#values.set(key, value)
    if (this.#values.size > this.#limit) this.#values.delete(this.#values.keys().next().value as string)
  }
}

// Both hold pure functions' results only, so all nodes of a process can share them. A node takes 4 KB, so at most 4 MB;
// a table of 20 nodes 2 KB, and 200 KB more where the order of every slot was asked for.
const nodes: Recent<Uint32Array> = new Recent(1024)
const tables: Recent<RingTable> = new Recent(64)
