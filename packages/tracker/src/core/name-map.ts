/**
 * A Map by names in which no operation takes long. A Map that is full copies itself whole into a larger one, which at
 * half a million names is 40 ms in which nothing else runs. This one deals its entries out to many small Maps once
 * there are many, so each copies itself alone, and at another time than the others.
 *
 * Iterating gives each entry that is there from its beginning to its end, once. What comes or changes meanwhile may be
 * given or not, or as it was before: whoever iterates in slices looks again at what it is given.
 */
/** Names in the one Map that it begins with: to deal them out takes 2 ms. */
const MOST_TOGETHER = 1 << 14
/** A power of 2. */
const PARTS = 64

export class NameMap<Value> implements ReadonlyMap<string, Value> {
  private parts: Map<string, Value>[] = [new Map()]
  private count = 0

  get size(): number {
    return this.count
  }

  get(name: string): Value | undefined {
    return this.partOf(name).get(name)
  }

  has(name: string): boolean {
    return this.partOf(name).has(name)
  }

  set(name: string, value: Value): void {
    const part = this.partOf(name)
    const before = part.size
    part.set(name, value)
    if (part.size === before) return
    this.count += 1
    if (this.count > MOST_TOGETHER && this.parts.length === 1) this.dealOut()
  }

  delete(name: string): boolean {
    const deleted = this.partOf(name).delete(name)
    if (deleted) this.count -= 1
    return deleted
  }

  *keys(): Generator<string, undefined> {
    for (const part of this.parts) yield* part.keys()
  }

  *values(): Generator<Value, undefined> {
    for (const part of this.parts) yield* part.values()
  }

  *entries(): Generator<[string, Value], undefined> {
    for (const part of this.parts) yield* part
  }

  [Symbol.iterator](): Generator<[string, Value], undefined> {
    return this.entries()
  }

  forEach(each: (value: Value, name: string, map: ReadonlyMap<string, Value>) => void): void {
    for (const [name, value] of this) each(value, name, this)
  }

  /** Of how many pieces it is, for those who copy it in slices: one, later many, then as many for ever. */
  get pieces(): number {
    return this.parts.length
  }

  /** In which of many pieces the name would be. */
  pieceOf(name: string): number {
    return partNumber(name)
  }

  /** A copy of one piece. */
  valuesIn(piece: number): Value[] {
    return [...(this.parts[piece]?.values() ?? [])]
  }

  private partOf(name: string): Map<string, Value> {
    const { parts } = this
    return parts[parts.length === 1 ? 0 : partNumber(name)] as Map<string, Value>
  }

  /** The Map from before stays as it was, for those who are in the midst of it. */
  private dealOut(): void {
    const [all] = this.parts
    this.parts = Array.from({ length: PARTS }, () => new Map())
    for (const [name, value] of all as Map<string, Value>) this.partOf(name).set(name, value)
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
