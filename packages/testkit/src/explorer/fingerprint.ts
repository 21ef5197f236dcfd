/**
 * 128 bits for a whole world, so that a search knows where it has been. All that the state consists of goes in, in its
 * own order: the order of a map's entries decides in which order a machine acts, so it is part of the state. Times and
 * counters go in as they are. Two different worlds with one fingerprint would hide each other; among 10^8 worlds the
 * chance of any such pair is under 10^-22.
 */

/** Four words that a value was reduced to. */
export type Words = readonly [number, number, number, number]

/** Strings by number: what a string says counts only within one search. */
const strings = new Map<string, number>()
/** Of frozen objects, which are shared by many worlds. */
const frozen = new WeakMap<object, Words>()
const float = new Float64Array(1)
const halves = new Uint32Array(float.buffer)

/** So that no value of one kind passes for one of another. */
const tags = {
  undefined: 1,
  null: 2,
  true: 3,
  false: 4,
  integer: 5,
  float: 6,
  string: 7,
  list: 8,
  map: 9,
  set: 10,
  bytes: 11,
  record: 12,
  frozen: 13,
} as const

export class Hasher {
  private a = 0x243f6a88
  private b = 0x85a308d3 | 0
  private c = 0x13198a2e
  private d = 0x03707344

  words(): Words {
    return [finish(this.a, this.b), finish(this.b, this.c), finish(this.c, this.d), finish(this.d, this.a)]
  }

  word(value: number): void {
    this.a = Math.imul(this.a ^ value, 0x9e3779b1) ^ (this.d >>> 15)
    this.b = Math.imul((this.b << 7) ^ (this.b >>> 25) ^ value, 0x85ebca77) + this.a
    this.c = Math.imul(this.c + value, 0xc2b2ae3d) ^ (this.b >>> 13)
    this.d = Math.imul((this.d << 11) ^ (this.d >>> 21) ^ value, 0x27d4eb2f) + this.c
  }

  add(value: unknown): void {
    switch (typeof value) {
      case 'number':
        return this.number(value)
      case 'string':
        this.word(tags.string)
        return this.word(numberOf(value))
      case 'boolean':
        return this.word(value ? tags.true : tags.false)
      case 'object':
        return value === null ? this.word(tags.null) : this.object(value)
      default:
        // Functions are no state.
        return this.word(tags.undefined)
    }
  }

  private number(value: number): void {
    if ((value | 0) === value) {
      this.word(tags.integer)
      this.word(value)
      return
    }
    float[0] = value
    this.word(tags.float)
    this.word(halves[0] as number)
    this.word(halves[1] as number)
  }

  private object(value: object): void {
    if (!Object.isFrozen(value)) return this.parts(value)
    let words = frozen.get(value)
    if (words === undefined) {
      const inner = new Hasher()
      inner.parts(value)
      words = inner.words()
      frozen.set(value, words)
    }
    this.word(tags.frozen)
    for (let i = 0; i < 4; i++) this.word(words[i] as number)
  }

  private parts(value: object): void {
    if (Array.isArray(value)) {
      this.word(tags.list)
      this.word(value.length)
      for (let i = 0; i < value.length; i++) this.add(value[i])
    } else if (value instanceof Map) {
      this.word(tags.map)
      this.word(value.size)
      for (const [key, inner] of value) {
        this.add(key)
        this.add(inner)
      }
    } else if (value instanceof Set) {
      this.word(tags.set)
      this.word(value.size)
      for (const inner of value) this.add(inner)
    } else if (ArrayBuffer.isView(value)) {
      const bytes = value as Uint8Array
      this.word(tags.bytes)
      this.word(bytes.length)
      for (let i = 0; i < bytes.length; i++) this.word(bytes[i] as number)
    } else {
      this.record(value as Record<string, unknown>)
    }
  }

  /** All own fields but `except`. */
  record(value: Record<string, unknown>, except?: ReadonlySet<string>): void {
    this.word(tags.record)
    for (const key in value) {
      if (except?.has(key) === true) continue
      this.word(numberOf(key))
      this.add(value[key])
    }
    this.word(tags.record)
  }
}

function numberOf(text: string): number {
  let number = strings.get(text)
  if (number === undefined) {
    number = strings.size
    strings.set(text, number)
  }
  return number
}

/** The finaliser of MurmurHash3 over two words. */
function finish(value: number, salt: number): number {
  let h = value ^ Math.imul(salt, 0x9e3779b1)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
