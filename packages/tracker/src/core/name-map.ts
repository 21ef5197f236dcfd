/**
 * A Map by names in which no operation takes long. A Map that is full copies itself whole into a larger one, which at
 * half a million names is 40 ms in which nothing else runs. This one is one Map, which is the fastest to read, up to
 * some 100 k names. Before that one would copy itself for longer than a slice of a turn may take, it is dealt out to
 * smaller Maps, a few names at each that comes, and goes on with those when all are there. Each of them copies itself
 * alone, and at another time than the others.
 *
 * Iterating gives each entry that is there from its beginning to its end, once. What comes or changes meanwhile may be
 * given or not, or as it was before: whoever iterates in slices looks again at what it is given.
 */
/** Names in the one Map past which it is dealt out: well before the 128 k at which it would copy itself for 25 ms. */
const MOST_TOGETHER = 7 << 14
/**
 * The same for one that is not read at each look-up: of a log that comes and the index, which grow together, only one
 * copies 64 k names or is dealt out at a time.
 */
export const fewTogether: number = 3 << 14
/** Names that are dealt out with each that comes: done after a fifteenth more. */
const DEALT_AT_ONCE = 16
/** A power of 2: of a million names each has so many that it grows in 5 ms. */
const PARTS = 16

export class NameMap<Value> implements ReadonlyMap<string, Value> {
  /** How many it keeps in the one Map, at most. */
  private readonly most: number
  /** The one Map; undefined once all is in the parts. */
  private all: Map<string, Value> | undefined = new Map()
  private parts: Map<string, Value>[] = []
  /** What is still to be dealt out of `all`, in which all stands until the end; undefined while nothing is. */
  private dealing: Iterator<[string, Value]> | undefined
  /** In the parts, where there is no one Map any more. */
  private count = 0

  constructor(most: number = MOST_TOGETHER) {
    this.most = most
  }

  get size(): number {
    return this.all?.size ?? this.count
  }

  get(name: string): Value | undefined {
    const { all } = this
    return all === undefined ? this.partOf(name).get(name) : all.get(name)
  }

  has(name: string): boolean {
    return (this.all ?? this.partOf(name)).has(name)
  }

  set(name: string, value: Value): void {
    const { all } = this
    if (all !== undefined) {
      all.set(name, value)
      if (this.dealing !== undefined || all.size > this.most) this.dealOut(all, name, value)
      return
    }
    const part = this.partOf(name)
    const before = part.size
    part.set(name, value)
    this.count += part.size - before
  }

  delete(name: string): boolean {
    const { all } = this
    if (all !== undefined) {
      if (this.dealing !== undefined) this.partOf(name).delete(name)
      return all.delete(name)
    }
    const deleted = this.partOf(name).delete(name)
    if (deleted) this.count -= 1
    return deleted
  }

  *keys(): Generator<string, undefined> {
    for (const part of this.maps) yield* part.keys()
  }

  *values(): Generator<Value, undefined> {
    for (const part of this.maps) yield* part.values()
  }

  *entries(): Generator<[string, Value], undefined> {
    for (const part of this.maps) yield* part
  }

  [Symbol.iterator](): Generator<[string, Value], undefined> {
    return this.entries()
  }

  forEach(each: (value: Value, name: string, map: ReadonlyMap<string, Value>) => void): void {
    for (const [name, value] of this) each(value, name, this)
  }

  /** All that is in it: to iterate these one after another is to iterate it, and faster. */
  get maps(): readonly ReadonlyMap<string, Value>[] {
    return this.all === undefined ? this.parts : [this.all]
  }

  /** Of how many pieces it is, for those who copy it in slices: one, later many, then as many for ever. */
  get pieces(): number {
    return this.maps.length
  }

  /** In which of many pieces the name would be. */
  pieceOf(name: string): number {
    return partNumber(name)
  }

  /** A copy of one piece. */
  valuesIn(piece: number): Value[] {
    return [...(this.maps[piece]?.values() ?? [])]
  }

  private partOf(name: string): Map<string, Value> {
    return this.parts[partNumber(name)] as Map<string, Value>
  }

  /** Goes on dealing out. At the end the one Map stays as it is, for those who are in the midst of it. */
  private dealOut(all: Map<string, Value>, name: string, value: Value): void {
    if (this.dealing === undefined) {
      this.parts = Array.from({ length: PARTS }, () => new Map())
      this.dealing = all.entries()
    }
    // What comes, or is another than it was when its turn to be dealt out came.
    this.partOf(name).set(name, value)
    for (let left = DEALT_AT_ONCE; left > 0; left--) {
      const next = this.dealing.next()
      if (next.done !== true) {
        const [known, its] = next.value
        this.partOf(known).set(known, its)
        continue
      }
      this.count = all.size
      this.all = undefined
      this.dealing = undefined
      return
    }
  }
}

/**
 * Of a few of its code units, since this comes on top of each look-up. Names that have them all in common share a part,
 * which is then as slow to grow as a Map is, and no slower to read.
 */
function partNumber(name: string): number {
  const { length } = name
  const end = name.charCodeAt(length - 1) * 13 + name.charCodeAt((length * 7) >> 3) * 7
  return (end + name.charCodeAt(length >> 1)) & (PARTS - 1)
}
