/**
 * Interval tree clocks, exactly as the paper has them (Almeida, Baquero, Fonte: "Interval Tree Clocks", 2008): logical
 * time for a changing set of participants. An id is a set of points of [0, 1), an event a step function over [0, 1),
 * a stamp is both. Whoever owns an id may raise the function on its own points; one event has seen another where it is
 * nowhere lower. Participants come by splitting an id and go by adding theirs to somebody else's, so that clocks
 * stay as small as the participants alive are many.
 *
 * All values are immutable and in normal form (what comes from `normaliseId`, `normaliseEvent`, a decoder or any
 * operation here is); every operation is total on those. Who gives an id to whom, and when, is decided elsewhere.
 *
 *     import * as itc from './itc.js'
 */

/** Owns nothing, owns all of its interval, or owns parts of the left and of the right half. */
export type Id = 0 | 1 | readonly [left: Id, right: Id]

/** The same height everywhere, or a base with what stands on it in the left and in the right half. */
export type Event = number | readonly [base: number, left: Event, right: Event]

export interface Stamp {
  readonly id: Id
  readonly event: Event
}

export type Order = 'equal' | 'before' | 'after' | 'concurrent'

/** Two ids that were to be added own a point in common: somebody used one id twice. Nothing was changed. */
export class ItcOverlapError extends Error {
  readonly left: Id
  readonly right: Id

  constructor(left: Id, right: Id) {
    super(`interval tree clock: the ids ${JSON.stringify(left)} and ${JSON.stringify(right)} overlap`)
    this.name = 'ItcOverlapError'
    this.left = left
    this.right = right
  }
}

/** Deepest tree that a decoder takes: an honest lineage is given up at depth 48, a hostile one must not cost stack. */
export const maxDepth = 64

/**
 * Greatest height that a decoder takes, 2^48: no clock that counts ever gets there, and no bytes can push ours past
 * the integers that are exact (2^53), where adding one would no longer make a later event.
 */
export const maxHeight: number = 2 ** 48

/** The first stamp of a lineage: owns everything, has seen nothing. */
export const seed: Stamp = { id: 1, event: 0 }

/** What a stamp has seen, without its id: safe to give away. */
export function peek(stamp: Stamp): Stamp {
  return { id: 0, event: stamp.event }
}

/** Two stamps that share the id's points between them and have seen the same. */
export function fork(stamp: Stamp): [Stamp, Stamp] {
  const [left, right] = splitId(stamp.id)
  return [
    { id: left, event: stamp.event },
    { id: right, event: stamp.event },
  ]
}

/** One stamp with the points of both that has seen what either saw. Throws `ItcOverlapError` where the ids overlap. */
export function join(a: Stamp, b: Stamp): Stamp {
  return { id: sumId(a.id, b.id), event: joinEvents(a.event, b.event) }
}

/** A later stamp of the same owner, after nothing but its own past. Throws `RangeError` for an id without a point. */
export function event(stamp: Stamp): Stamp {
  if (stamp.id === 0) throw new RangeError('interval tree clock: an anonymous stamp (id 0) cannot record an event')
  const filled = fill(stamp.id, stamp.event)
  // `fill` gives back the very object where it changed nothing, so identity tells.
  if (filled !== stamp.event) return { id: stamp.id, event: filled }
  return { id: stamp.id, event: grow(stamp.id, stamp.event).event }
}

/** Records an event and makes the message that carries it: the owner's new stamp, and the anonymous one to send. */
export function send(stamp: Stamp): [own: Stamp, message: Stamp] {
  const own = event(stamp)
  return [own, peek(own)]
}

/** Takes in a message and records that as an event. */
export function receive(stamp: Stamp, message: Stamp): Stamp {
  return event(join(stamp, message))
}

/** Both have then seen what either saw; their points are pooled and shared anew. */
export function sync(a: Stamp, b: Stamp): [Stamp, Stamp] {
  return fork(join(a, b))
}

/** An event as far as it lies in the points of an id, and nothing elsewhere. */
export function within(id: Id, of: Event): Event {
  if (id === 0 || id === 1) return id === 0 ? 0 : of
  const base = baseOf(of)
  return eventNode(0, within(id[0], lift(leftOf(of), base)), within(id[1], lift(rightOf(of), base)))
}

/** True where whoever made `b` had seen all of `a`: `a` is equal to or before `b`. */
export function leq(a: Event, b: Event): boolean {
  return leqOn(a, 0, b, 0)
}

/** How two events stand to each other. */
export function compare(a: Event, b: Event): Order {
  if (leq(a, b)) return leq(b, a) ? 'equal' : 'before'
  return leq(b, a) ? 'after' : 'concurrent'
}

// Ids

/** Two ids without a common point that own what `id` did, each at least one point of it where it has two. */
export function splitId(id: Id): [Id, Id] {
  if (id === 0) return [0, 0]
  if (id === 1)
    return [
      [1, 0],
      [0, 1],
    ]
  const [left, right] = id
  if (left === 0) {
    const [a, b] = splitId(right)
    return [
      [0, a],
      [0, b],
    ]
  }
  if (right === 0) {
    const [a, b] = splitId(left)
    return [
      [a, 0],
      [b, 0],
    ]
  }
  return [
    [left, 0],
    [0, right],
  ]
}

/** The points of both. Throws `ItcOverlapError`, which names both whole ids, where they have one in common. */
export function sumId(a: Id, b: Id): Id {
  if (!disjoint(a, b)) throw new ItcOverlapError(a, b)
  return sumDisjoint(a, b)
}

/** True where no point is owned by both. */
export function disjoint(a: Id, b: Id): boolean {
  if (a === 0 || b === 0) return true
  if (a === 1 || b === 1) return false
  return disjoint(a[0], b[0]) && disjoint(a[1], b[1])
}

/** Levels below the root: 0 for the ids 0 and 1. A donor asks this before it forks. */
export function idDepth(id: Id): number {
  return id === 0 || id === 1 ? 0 : 1 + Math.max(idDepth(id[0]), idDepth(id[1]))
}

/**
 * The share of [0, 1) that an id owns, to find the largest donor. Exact for pieces of up to 53 levels; what is rounded
 * below that is rounded alike on every node.
 */
export function regionSize(id: Id): number {
  return id === 0 || id === 1 ? id : (regionSize(id[0]) + regionSize(id[1])) / 2
}

/** The same points in the one smallest tree: no branch with two equal leaves. */
export function normaliseId(id: Id): Id {
  return id === 0 || id === 1 ? id : idNode(normaliseId(id[0]), normaliseId(id[1]))
}

export function isNormalId(id: Id): boolean {
  if (id === 0 || id === 1) return true
  const [left, right] = id
  return !((left === 0 || left === 1) && left === right) && isNormalId(left) && isNormalId(right)
}

function sumDisjoint(a: Id, b: Id): Id {
  if (a === 0 || a === 1) return a === 0 ? b : a
  if (b === 0 || b === 1) return b === 0 ? a : b
  return idNode(sumDisjoint(a[0], b[0]), sumDisjoint(a[1], b[1]))
}

function idNode(left: Id, right: Id): Id {
  return (left === 0 || left === 1) && left === right ? left : [left, right]
}

// Events

/** What either event has seen: the higher of the two functions at each point. */
export function joinEvents(a: Event, b: Event): Event {
  if (a === b) return a
  if (typeof a === 'number' && typeof b === 'number') return Math.max(a, b)
  if (baseOf(a) > baseOf(b)) return joinEvents(b, a)
  const rise = baseOf(b) - baseOf(a)
  const left = joinEvents(leftOf(a), lift(leftOf(b), rise))
  const right = joinEvents(rightOf(a), lift(rightOf(b), rise))
  return eventNode(baseOf(a), left, right)
}

/**
 * Raises the function on the id's own points up to a level that it reaches already, so that the tree gets smaller.
 * Gives back `of` itself where there is nothing to raise.
 */
export function fill(id: Id, of: Event): Event {
  if (id === 0 || typeof of === 'number') return of
  if (id === 1) return heightOf(of)
  const [base, left, right] = of
  let newLeft: Event
  let newRight: Event
  if (id[0] === 1) {
    newRight = fill(id[1], right)
    newLeft = Math.max(heightOf(left), baseOf(newRight))
  } else if (id[1] === 1) {
    newLeft = fill(id[0], left)
    newRight = Math.max(heightOf(right), baseOf(newLeft))
  } else {
    newLeft = fill(id[0], left)
    newRight = fill(id[1], right)
  }
  return newLeft === left && newRight === right ? of : eventNode(base, newLeft, newRight)
}

/** What making the tree deeper costs in `grow`: more than any number of levels. */
const branchCost = 2 ** 30

/**
 * Raises the function by one on some of the id's own points, on those where the tree grows least: rather an existing
 * leaf than a new branch, rather a leaf near the root. `cost` is the paper's measure of that, Infinity for the id 0,
 * which has nothing to raise. Meant for where `fill` found nothing to do.
 */
export function grow(id: Id, of: Event): { event: Event; cost: number } {
  if (id === 0) return { event: of, cost: Number.POSITIVE_INFINITY }
  if (id === 1) return { event: heightOf(of) + 1, cost: 0 }
  if (typeof of === 'number') {
    const branch = grow(id, [of, 0, 0])
    return { event: branch.event, cost: branch.cost + branchCost }
  }
  const [base, left, right] = of
  const grownLeft = grow(id[0], left)
  const grownRight = grow(id[1], right)
  return grownLeft.cost < grownRight.cost
    ? { event: eventNode(base, grownLeft.event, right), cost: grownLeft.cost + 1 }
    : { event: eventNode(base, left, grownRight.event), cost: grownRight.cost + 1 }
}

/** The same function as the one smallest tree: no branch with two equal leaves, and one child of each stands on 0. */
export function normaliseEvent(of: Event): Event {
  return typeof of === 'number' ? of : eventNode(of[0], normaliseEvent(of[1]), normaliseEvent(of[2]))
}

export function isNormalEvent(of: Event): boolean {
  if (typeof of === 'number') return true
  const [, left, right] = of
  return isNormalPair(left, right) && isNormalEvent(left) && isNormalEvent(right)
}

/** The highest value of the function. */
export function heightOf(of: Event): number {
  return typeof of === 'number' ? of : of[0] + Math.max(heightOf(of[1]), heightOf(of[2]))
}

/** How many leaves the tree has: what it takes, in memory and on the wire. */
export function leavesOf(of: Event): number {
  return typeof of === 'number' ? 1 : leavesOf(of[1]) + leavesOf(of[2])
}

/** In normal form also the lowest value of the function, which `leq` and `fill` rely on. */
function baseOf(of: Event): number {
  return typeof of === 'number' ? of : of[0]
}

function leftOf(of: Event): Event {
  return typeof of === 'number' ? 0 : of[1]
}

function rightOf(of: Event): Event {
  return typeof of === 'number' ? 0 : of[2]
}

function lift(of: Event, by: number): Event {
  if (by === 0) return of
  return typeof of === 'number' ? of + by : [of[0] + by, of[1], of[2]]
}

/** `leq` with what the branches above have added, so that nothing is built for a comparison. */
function leqOn(a: Event, onA: number, b: Event, onB: number): boolean {
  if (typeof b === 'number') return onA + heightOf(a) <= onB + b
  const baseA = onA + baseOf(a)
  const baseB = onB + b[0]
  if (baseA > baseB) return false
  if (typeof a === 'number') return true
  return leqOn(a[1], baseA, b[1], baseB) && leqOn(a[2], baseA, b[2], baseB)
}

function isNormalPair(left: Event, right: Event): boolean {
  if (typeof left === 'number' && left === right) return false
  return Math.min(baseOf(left), baseOf(right)) === 0
}

function eventNode(base: number, left: Event, right: Event): Event {
  if (typeof left === 'number' && left === right) return base + left
  const low = Math.min(baseOf(left), baseOf(right))
  return [base + low, lift(left, -low), lift(right, -low)]
}

// Bits: the paper's encoding, first bit of a byte the highest, the last byte filled up with zeros.

/** 0 is `000`, 1 `001`, (0, r) `01` r, (l, 0) `10` l, (l, r) `11` l r. */
export function encodeId(id: Id): Uint8Array {
  const bits = new BitWriter()
  writeId(bits, id)
  return bits.bytes()
}

/** The id of these bytes; undefined where they are not exactly what `encodeId` makes of one. Never throws. */
export function decodeId(bytes: Uint8Array): Id | undefined {
  const bits = new BitReader(bytes)
  const id = readId(bits, 0)
  return bits.ended() ? id : undefined
}

/**
 * (0, 0, r) is `000` r, (0, l, 0) `001` l, (0, l, r) `010` l r, (n, 0, r) `01100` n r, (n, l, 0) `01101` n l,
 * (n, l, r) `0111` n l r. A number is `1`, then a one for each width it does not fit, `0`, and its bits: 2 for 0 to 3,
 * 3 for 4 to 11, 4 for 12 to 27 and so on, counted from the first number of its width.
 */
export function encodeEvent(of: Event): Uint8Array {
  const bits = new BitWriter()
  writeEvent(bits, of)
  return bits.bytes()
}

/** The event of these bytes; undefined where they are not exactly what `encodeEvent` makes of one. Never throws. */
export function decodeEvent(bytes: Uint8Array): Event | undefined {
  const bits = new BitReader(bytes)
  const of = readEvent(bits, 0, 0)
  return bits.ended() ? of : undefined
}

/** The bits of the id, then those of the event. */
export function encodeStamp(stamp: Stamp): Uint8Array {
  const bits = new BitWriter()
  writeId(bits, stamp.id)
  writeEvent(bits, stamp.event)
  return bits.bytes()
}

/** The stamp of these bytes; undefined where they are not exactly what `encodeStamp` makes of one. Never throws. */
export function decodeStamp(bytes: Uint8Array): Stamp | undefined {
  const bits = new BitReader(bytes)
  const id = readId(bits, 0)
  const of = id === undefined ? undefined : readEvent(bits, 0, 0)
  return id !== undefined && of !== undefined && bits.ended() ? { id, event: of } : undefined
}

function writeId(bits: BitWriter, id: Id): void {
  if (id === 0 || id === 1) {
    bits.write(id, 3)
    return
  }
  const [left, right] = id
  bits.write((left === 0 ? 0 : 2) + (right === 0 ? 0 : 1), 2)
  if (left !== 0) writeId(bits, left)
  if (right !== 0) writeId(bits, right)
}

function readId(bits: BitReader, depth: number): Id | undefined {
  if (depth > maxDepth) return undefined
  const kind = bits.read(2)
  if (kind === undefined) return undefined
  if (kind === 0) {
    const leaf = bits.read(1)
    return leaf === 0 || leaf === 1 ? leaf : undefined
  }
  // A zero half is told by the kind alone: one that is spelt out would be a second encoding of the same id.
  const left = kind & 2 ? readId(bits, depth + 1) : 0
  if (left === undefined || (kind & 2 && left === 0)) return undefined
  const right = kind & 1 ? readId(bits, depth + 1) : 0
  if (right === undefined || (kind & 1 && right === 0)) return undefined
  return left === 1 && right === 1 ? undefined : [left, right]
}

function writeEvent(bits: BitWriter, of: Event): void {
  if (typeof of === 'number') {
    writeNumber(bits, of)
    return
  }
  const [base, left, right] = of
  bits.write(0, 1)
  const shape = left === 0 ? 0 : right === 0 ? 1 : 2
  if (base === 0) {
    bits.write(shape, 2)
  } else {
    bits.write(3, 2)
    if (shape === 2) bits.write(1, 1)
    else bits.write(shape, 2)
    writeNumber(bits, base)
  }
  if (left !== 0) writeEvent(bits, left)
  if (right !== 0) writeEvent(bits, right)
}

function readEvent(bits: BitReader, depth: number, below: number): Event | undefined {
  if (depth > maxDepth) return undefined
  const leaf = bits.read(1)
  if (leaf === undefined) return undefined
  if (leaf === 1) return readNumber(bits, maxHeight - below)
  let shape = bits.read(2)
  let base: number | undefined = 0
  if (shape === 3) {
    shape = bits.read(1) === 1 ? 2 : bits.read(1)
    base = bits.read(1) === 1 ? readNumber(bits, maxHeight - below) : undefined
    if (base === 0) return undefined
  }
  if (shape === undefined || base === undefined) return undefined
  const left = shape === 0 ? 0 : readEvent(bits, depth + 1, below + base)
  if (left === undefined || (shape !== 0 && left === 0)) return undefined
  const right = shape === 1 ? 0 : readEvent(bits, depth + 1, below + base)
  if (right === undefined || (shape !== 1 && right === 0)) return undefined
  return isNormalPair(left, right) ? [base, left, right] : undefined
}

function writeNumber(bits: BitWriter, n: number): void {
  bits.write(1, 1)
  let width = 2
  let rest = n
  for (; rest >= 2 ** width; width++) {
    rest -= 2 ** width
    bits.write(1, 1)
  }
  bits.write(0, 1)
  bits.write(rest, width)
}

/** The number after its leading `1`; undefined where it is above `most`. */
function readNumber(bits: BitReader, most: number): number | undefined {
  let width = 2
  let first = 0
  for (let more = bits.read(1); more !== 0; more = bits.read(1)) {
    if (more === undefined) return undefined
    first += 2 ** width
    width += 1
    if (first > most) return undefined
  }
  const rest = bits.read(width)
  return rest === undefined || first + rest > most ? undefined : first + rest
}

class BitWriter {
  readonly #bytes: number[] = []
  #used = 0

  /** The lowest `width` bits of `value`, the highest of them first; widths over 32 are fine. */
  write(value: number, width: number): void {
    for (let i = width - 1; i >= 0; i--) {
      if (this.#used % 8 === 0) this.#bytes.push(0)
      const last = this.#bytes.length - 1
      const bit = Math.floor(value / 2 ** i) % 2
      this.#bytes[last] = (this.#bytes[last] as number) | (bit << (7 - (this.#used % 8)))
      this.#used += 1
    }
  }

  bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes)
  }
}

class BitReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** The next `width` bits as a number; undefined where there are not so many. */
  read(width: number): number | undefined {
    if (this.#at + width > this.#bytes.length * 8) return undefined
    let value = 0
    for (let i = 0; i < width; i++, this.#at++) {
      value = value * 2 + (((this.#bytes[this.#at >> 3] as number) >> (7 - (this.#at & 7))) & 1)
    }
    return value
  }

  /** True where all that is left are the zeros that fill up the last byte: each value has one encoding only. */
  ended(): boolean {
    const left = this.#bytes.length * 8 - this.#at
    return left < 8 && this.read(left) === 0
  }
}
