import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as itc from '../src/core/itc.js'
import { runOracle } from './itc-oracle.js'

describe('causality', () => {
  test('one event is leq another exactly where its causal history is part of the other one', () => {
    // How many runs: `SKEP_ITC_RUNS=1000000 npx vitest run packages/tracker/test/itc.test.ts`; another `SKEP_SEED` for others.
    const report = runOracle(Number(process.env.SKEP_ITC_RUNS ?? 100_000), Number(process.env.SKEP_SEED ?? 1))
    console.log(
      `itc oracle: ${report.runs} runs, ${report.operations} operations, ${report.comparisons} comparisons, ${report.faults.length} faults`,
    )
    expect(report.faults).toEqual([])
    expect(report.comparisons).toBeGreaterThan(report.runs * 100)
  }, 300_000)

  test('the four ways in which two events can stand to each other', () => {
    const [a, b] = itc.fork(itc.seed)
    const a1 = itc.event(a)
    const b1 = itc.event(b)
    expect(itc.compare(a.event, b.event)).toBe('equal')
    expect(itc.compare(a.event, a1.event)).toBe('before')
    expect(itc.compare(a1.event, a.event)).toBe('after')
    expect(itc.compare(a1.event, b1.event)).toBe('concurrent')
    expect(itc.compare(a1.event, itc.receive(b1, itc.peek(a1)).event)).toBe('before')
  })
})

describe('the operations of the paper, by hand', () => {
  test('split', () => {
    expect(itc.splitId(0)).toEqual([0, 0])
    expect(itc.splitId(1)).toEqual([[1, 0], [0, 1]]) // biome-ignore format: a table
    expect(itc.splitId([0, 1])).toEqual([[0, [1, 0]], [0, [0, 1]]]) // biome-ignore format: a table
    expect(itc.splitId([1, 0])).toEqual([[[1, 0], 0], [[0, 1], 0]]) // biome-ignore format: a table
    expect(itc.splitId([1, [1, 0]])).toEqual([[1, 0], [0, [1, 0]]]) // biome-ignore format: a table
  })

  test('fill raises own ground to a level that is known beside or on it', () => {
    expect(itc.fill(0, [0, 0, 5])).toEqual([0, 0, 5])
    expect(itc.fill(1, [1, [0, 0, 2], 3])).toBe(4)
    expect(itc.fill([1, 0], [0, 0, 3])).toBe(3)
    expect(itc.fill([0, 1], [2, 3, 0])).toBe(5)
    expect(itc.fill([1, 0], [0, 0, [2, 0, 1]])).toEqual([2, 0, [0, 0, 1]])
    expect(itc.fill([[1, 0], [0, 1]], [0, [0, 0, 1], [1, 2, 0]])).toEqual([1, 0, 2]) // biome-ignore format: a table
  })

  test('grow takes the cheapest leaf: no new branch before a new branch, near before deep, right of two equal', () => {
    expect(itc.grow(1, 4)).toEqual({ event: 5, cost: 0 })
    expect(itc.grow([1, 0], 0)).toEqual({ event: [0, 1, 0], cost: 2 ** 30 + 1 })
    expect(itc.grow([1, 0], [0, 1, 0])).toEqual({ event: [0, 2, 0], cost: 1 })
    expect(itc.grow([[1, 0], [0, 1]], [0, [0, 1, 0], 0])).toEqual({ event: [0, [0, 2, 0], 0], cost: 2 }) // biome-ignore format: a table
    expect(itc.grow([[1, 0], [1, 0]], 0)).toEqual({ event: [0, 0, [0, 1, 0]], cost: 2 ** 31 + 2 }) // biome-ignore format: a table
  })

  test('an event fills where it can and grows only else', () => {
    expect(itc.event(itc.seed)).toEqual({ id: 1, event: 1 })
    expect(itc.event({ id: [1, 0], event: [0, 1, 0] }).event).toEqual([0, 2, 0])
    expect(itc.event({ id: 1, event: [0, 1, 0] }).event).toBe(1)
    expect(() => itc.event({ id: 0, event: 3 })).toThrow(RangeError)
  })

  test('join, and what is one participant again after fork', () => {
    expect(itc.joinEvents([1, 2, 0], 2)).toEqual([2, 1, 0])
    expect(itc.joinEvents([0, 0, 1], [0, 1, 0])).toBe(1)
    const [a, b] = itc.fork(itc.seed)
    expect(itc.join(itc.event(a), itc.event(b))).toEqual({ id: 1, event: 1 })
  })

  test('two ids with a common point are never added', () => {
    expect(itc.disjoint([1, 0], [0, [1, 0]])).toBe(true)
    expect(itc.disjoint([1, 0], [[0, 1], 0])).toBe(false)
    expect(() => itc.sumId(1, 1)).toThrow(itc.ItcOverlapError)
    expect(() => itc.join(itc.seed, itc.event(itc.seed))).toThrow(itc.ItcOverlapError)
    expect(() => itc.sumId([1, [0, 1]], [0, [0, 1]])).toThrow('[1,[0,1]] and [0,[0,1]] overlap')
  })

  test('depth and size of an id', () => {
    expect([itc.idDepth(0), itc.idDepth(1), itc.idDepth([1, [[0, 1], 0]])]).toEqual([0, 0, 3])
    expect([itc.regionSize(0), itc.regionSize(1), itc.regionSize([1, [[0, 1], 0]])]).toEqual([0, 1, 0.625])
  })
})

describe('stupid twins', () => {
  test('ids are sets of points', () => {
    fc.assert(
      fc.property(ids, ids, (a, b) => {
        const [left, right] = itc.splitId(a)
        expect(or(paint(left), paint(right))).toEqual(paint(a))
        expect(itc.disjoint(left, right)).toBe(true)
        if (a !== 0) expect(left !== 0 && right !== 0).toBe(true)
        const overlap = paint(a).some((own, at) => own && paint(b)[at])
        expect(itc.disjoint(a, b)).toBe(!overlap)
        if (!overlap) expect(paint(itc.sumId(a, b))).toEqual(or(paint(a), paint(b)))
        expect(itc.regionSize(a) * cells).toBe(paint(a).filter(Boolean).length)
      }),
      { numRuns: 2000 },
    )
  })

  test('events are step functions: join is the higher at each point, leq is nowhere higher', () => {
    fc.assert(
      fc.property(events, events, (a, b) => {
        const [pa, pb] = [plot(a), plot(b)]
        const joined = itc.joinEvents(a, b)
        expect(plot(joined)).toEqual(pa.map((value, at) => Math.max(value, pb[at] as number)))
        expect(itc.isNormalEvent(joined)).toBe(true)
        expect(itc.leq(a, b)).toBe(pa.every((value, at) => value <= (pb[at] as number)))
        expect(itc.leq(a, joined) && itc.leq(b, joined)).toBe(true)
        expect(itc.heightOf(a)).toBe(Math.max(...pa))
      }),
      { numRuns: 5000 },
    )
  })

  test('an event within an id is itself on that ground and nothing elsewhere', () => {
    fc.assert(
      fc.property(ids, events, (id, of) => {
        const [own, was] = [paint(id), plot(of)]
        const part = itc.within(id, of)
        expect(plot(part)).toEqual(was.map((value, at) => (own[at] ? value : 0)))
        expect(itc.isNormalEvent(part)).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  test('an event rises somewhere on own ground, falls nowhere, and changes nothing of what is not owned', () => {
    fc.assert(
      fc.property(ids, events, (id, before) => {
        fc.pre(id !== 0)
        const after = itc.event({ id, event: before }).event
        const [own, was, is] = [paint(id), plot(before), plot(after)]
        expect(is.every((value, at) => (own[at] ? value >= (was[at] as number) : value === was[at]))).toBe(true)
        expect(is.some((value, at) => value > (was[at] as number))).toBe(true)
        expect(itc.isNormalEvent(after)).toBe(true)
        expect(itc.compare(before, after)).toBe('before')
      }),
      { numRuns: 5000 },
    )
  })

  test('fill and grow are, word for word, the definitions of the paper', () => {
    fc.assert(
      fc.property(ids, events, (id, before) => {
        fc.pre(id !== 0)
        const filled = paper.fill(id, before)
        expect(itc.fill(id, before)).toEqual(filled)
        const same = JSON.stringify(filled) === JSON.stringify(before)
        expect(itc.fill(id, before) === before).toBe(same)
        if (same) expect(itc.grow(id, before)).toEqual(paper.grow(id, before))
      }),
      { numRuns: 5000 },
    )
  })

  test('normal form changes no point, and is the same for the same function', () => {
    fc.assert(
      fc.property(rawIds, rawEvents, (id, event) => {
        expect(paint(itc.normaliseId(id))).toEqual(paint(id))
        expect(plot(itc.normaliseEvent(event))).toEqual(plot(event))
        expect(itc.isNormalId(itc.normaliseId(id)) && itc.isNormalEvent(itc.normaliseEvent(event))).toBe(true)
        expect(itc.isNormalId(id)).toBe(JSON.stringify(itc.normaliseId(id)) === JSON.stringify(id))
        expect(itc.isNormalEvent(event)).toBe(JSON.stringify(itc.normaliseEvent(event)) === JSON.stringify(event))
      }),
    )
  })
})

describe('bits', () => {
  test.each<[itc.Id, string]>([
    [0, '000'],
    [1, '001'],
    [[0, 1], '01 001'],
    [[1, 0], '10 001'],
    [[[0, 1], [1, 0]], '11 01001 10001'], // biome-ignore format: a table
    [[1, [0, 1]], '11 001 01001'],
  ])('the id %j is %s', (id, bits) => {
    expect(bitsOf(itc.encodeId(id))).toBe(padded(bits))
    expect(itc.decodeId(bytesOf(bits))).toEqual(id)
  })

  test.each<[itc.Event, string]>([
    [0, '1 0 00'],
    [1, '1 0 01'],
    [3, '1 0 11'],
    [4, '1 10 000'],
    [11, '1 10 111'],
    [12, '1 110 0000'],
    [27, '1 110 1111'],
    [28, '1 1110 00000'],
    [59, '1 1110 11111'],
    [60, '1 11110 000000'],
    [[0, 0, 1], '0 00 1001'],
    [[0, 2, 0], '0 01 1010'],
    [[0, 1, [0, 0, 3]], '0 10 1001 0001011'],
    [[4, 0, 1], '0 11 00 110000 1001'],
    [[1, 12, 0], '0 11 01 1001 11100000'],
    [[3, [0, 1, 0], 2], '0 11 1 1011 0011001 1010'],
  ])('the event %j is %s', (event, bits) => {
    expect(bitsOf(itc.encodeEvent(event))).toBe(padded(bits))
    expect(itc.decodeEvent(bytesOf(bits))).toEqual(event)
  })

  test('a stamp is the bits of its id, then those of its event', () => {
    expect(bitsOf(itc.encodeStamp({ id: [1, 0], event: [0, 1, 0] }))).toBe(padded('10001 001 1001'))
    expect(itc.decodeStamp(bytesOf('10001 001 1001'))).toEqual({ id: [1, 0], event: [0, 1, 0] })
  })

  test('whatever is in normal form survives the trip', () => {
    fc.assert(
      fc.property(ids, events, fc.integer({ min: 0, max: itc.maxHeight - 100_000 }), (id, event, base) => {
        const high = itc.normaliseEvent([base, event, 0])
        expect(itc.decodeId(itc.encodeId(id))).toEqual(id)
        expect(itc.decodeEvent(itc.encodeEvent(high))).toEqual(high)
        expect(itc.decodeStamp(itc.encodeStamp({ id, event: high }))).toEqual({ id, event: high })
      }),
      { numRuns: 2000 },
    )
  })

  test.each([
    ['nothing at all', ''],
    ['a half with nothing in it', '01 000'],
    ['two halves of which one is empty', '11 000 001'],
    ['two whole halves', '11 001 001'],
    ['an end too early', '11 001 01'],
  ])('no id: %s', (_, bits) => {
    expect(itc.decodeId(bytesOf(bits))).toBeUndefined()
  })

  test.each([
    ['nothing at all', ''],
    ['a zero that is spelt out on the right', '0 00 1000'],
    ['a zero that is spelt out on the left', '0 01 1000'],
    ['a zero that is spelt out in a pair', '0 10 1000 1001'],
    ['two equal leaves', '0 10 1001 1001'],
    ['a base of zero that is spelt out', '0 11 00 1000 1001'],
    ['no child on the ground', '0 10 1001 1010'],
    ['a base that is a tree', '0 11 00 0001001 1001'],
    ['a number that does not end', `1 ${'1'.repeat(200)}`],
  ])('no event: %s', (_, bits) => {
    expect(itc.decodeEvent(bytesOf(bits))).toBeUndefined()
  })

  test('bits after the end are refused, but for the zeros that fill up the byte', () => {
    expect(itc.decodeId(Uint8Array.of(0b00100000))).toBe(1)
    expect(itc.decodeId(Uint8Array.of(0b00100001))).toBeUndefined()
    expect(itc.decodeId(Uint8Array.of(0b00100000, 0))).toBeUndefined()
    expect(itc.decodeStamp(Uint8Array.of(0b00110000, 0))).toBeUndefined()
  })

  test('a tree of 64 levels is taken, of 65 not', () => {
    expect(itc.idDepth(itc.decodeId(itc.encodeId(deepId(64))) ?? 0)).toBe(64)
    expect(itc.decodeId(itc.encodeId(deepId(65)))).toBeUndefined()
    expect(itc.decodeEvent(itc.encodeEvent(deepEvent(64)))).toEqual(deepEvent(64))
    expect(itc.decodeEvent(itc.encodeEvent(deepEvent(65)))).toBeUndefined()
  })

  test('a height of 2^48 is taken, above it not, whether as one number or as a sum', () => {
    const most = itc.maxHeight
    expect(itc.decodeEvent(itc.encodeEvent(most))).toBe(most)
    expect(itc.decodeEvent(itc.encodeEvent(most + 1))).toBeUndefined()
    expect(itc.decodeEvent(itc.encodeEvent(Number.MAX_SAFE_INTEGER))).toBeUndefined()
    expect(itc.decodeEvent(itc.encodeEvent([most - 1, 0, 1]))).toEqual([most - 1, 0, 1])
    expect(itc.decodeEvent(itc.encodeEvent([most - 1, 0, 2]))).toBeUndefined()
  })

  test('hostile bytes never throw, and what is taken encodes to the very same bytes', () => {
    let taken = 0
    const check = (bytes: Uint8Array) => {
      const id = itc.decodeId(bytes)
      const event = itc.decodeEvent(bytes)
      const stamp = itc.decodeStamp(bytes)
      if (id !== undefined) expect([itc.isNormalId(id), itc.encodeId(id)]).toEqual([true, bytes])
      if (event !== undefined) expect([itc.isNormalEvent(event), itc.encodeEvent(event)]).toEqual([true, bytes])
      if (stamp !== undefined) expect(itc.encodeStamp(stamp)).toEqual(bytes)
      taken += [id, event, stamp].filter((value) => value !== undefined).length
    }
    fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), check), { numRuns: 20_000 })
    fc.assert(fc.property(mutated, check), { numRuns: 20_000 })
    expect(taken).toBeGreaterThan(10_000)
  })

  test('every input of up to two bytes is refused or encodes to the same bytes', () => {
    for (let word = 0; word < 65_536; word++) {
      for (const bytes of word < 256
        ? [Uint8Array.of(word), Uint8Array.of(0, word)]
        : [Uint8Array.of(word >> 8, word & 255)]) {
        const id = itc.decodeId(bytes)
        const event = itc.decodeEvent(bytes)
        const stamp = itc.decodeStamp(bytes)
        const same =
          (id === undefined || bitsOf(itc.encodeId(id)) === bitsOf(bytes)) &&
          (event === undefined || bitsOf(itc.encodeEvent(event)) === bitsOf(bytes)) &&
          (stamp === undefined || bitsOf(itc.encodeStamp(stamp)) === bitsOf(bytes))
        if (!same) expect.fail(`bytes ${bytes.join(' ')}`)
      }
    }
  })

  test('a megabyte of nested branches is refused after its first bytes', () => {
    for (const byte of [0x00, 0x24, 0x49, 0x55, 0x92, 0xaa, 0xff]) {
      const bytes = new Uint8Array(1_000_000).fill(byte)
      expect(itc.decodeId(bytes)).toBeUndefined()
      expect(itc.decodeEvent(bytes)).toBeUndefined()
      expect(itc.decodeStamp(bytes)).toBeUndefined()
    }
  })
})

// Random trees of up to 5 levels, and what they are as 64 cells of [0, 1): one level finer, for where an event grows.

const cells = 64

const { rawIds, rawEvents } = fc.letrec<{ rawIds: itc.Id; rawEvents: itc.Event }>((tie) => ({
  rawIds: fc.oneof(
    { maxDepth: 5, depthSize: 'max' },
    fc.constantFrom<itc.Id>(0, 1),
    fc.tuple(tie('rawIds'), tie('rawIds')),
  ),
  rawEvents: fc.oneof(
    { maxDepth: 5, depthSize: 'max' },
    fc.nat({ max: 4 }),
    fc.tuple(fc.nat({ max: 4 }), tie('rawEvents'), tie('rawEvents')),
  ),
}))
const ids = rawIds.map(itc.normaliseId)
const events = rawEvents.map(itc.normaliseEvent)

const mutated = fc
  .tuple(
    ids,
    events,
    fc.constantFrom<'id' | 'event' | 'stamp'>('id', 'event', 'stamp'),
    fc.array(fc.tuple(fc.nat(), fc.nat({ max: 7 })), { maxLength: 3 }),
  )
  .map(([id, event, kind, flips]) => {
    const bytes =
      kind === 'id' ? itc.encodeId(id) : kind === 'event' ? itc.encodeEvent(event) : itc.encodeStamp({ id, event })
    for (const [at, bit] of flips) bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ (1 << bit)
    return bytes
  })

function paint(id: itc.Id, width = cells): boolean[] {
  if (id === 0 || id === 1) return new Array(width).fill(id === 1)
  return [...paint(id[0], width / 2), ...paint(id[1], width / 2)]
}

function plot(event: itc.Event, width = cells, below = 0): number[] {
  if (typeof event === 'number') return new Array(width).fill(below + event)
  return [...plot(event[1], width / 2, below + event[0]), ...plot(event[2], width / 2, below + event[0])]
}

function or(a: readonly boolean[], b: readonly boolean[]): boolean[] {
  return a.map((own, at) => own || (b[at] as boolean))
}

/** Fill and grow, transcribed from the paper without a thought of speed. */
const paper = {
  min: (e: itc.Event): number => Math.min(...plot(e)),
  max: (e: itc.Event): number => Math.max(...plot(e)),
  fill(id: itc.Id, e: itc.Event): itc.Event {
    if (id === 0) return e
    if (id === 1) return paper.max(e)
    if (typeof e === 'number') return e
    const [n, left, right] = e
    if (id[0] === 1) {
      const filled = paper.fill(id[1], right)
      return itc.normaliseEvent([n, Math.max(paper.max(left), paper.min(filled)), filled])
    }
    if (id[1] === 1) {
      const filled = paper.fill(id[0], left)
      return itc.normaliseEvent([n, filled, Math.max(paper.max(right), paper.min(filled))])
    }
    return itc.normaliseEvent([n, paper.fill(id[0], left), paper.fill(id[1], right)])
  },
  grow(id: itc.Id, e: itc.Event): { event: itc.Event; cost: number } {
    if (typeof e === 'number') {
      if (id === 1) return { event: e + 1, cost: 0 }
      const { event, cost } = paper.grow(id, [e, 0, 0])
      return { event, cost: cost + 2 ** 30 }
    }
    if (typeof id === 'number') throw new Error('the paper does not say')
    const [n, left, right] = e
    const onLeft = id[0] === 0 ? undefined : paper.grow(id[0], left)
    const onRight = id[1] === 0 ? undefined : paper.grow(id[1], right)
    if (onLeft !== undefined && (onRight === undefined || onLeft.cost < onRight.cost)) {
      return { event: [n, onLeft.event, right], cost: onLeft.cost + 1 }
    }
    if (onRight === undefined) throw new Error('not in normal form')
    return { event: [n, left, onRight.event], cost: onRight.cost + 1 }
  },
}

function deepId(depth: number): itc.Id {
  return depth === 0 ? 1 : [0, deepId(depth - 1)]
}

function deepEvent(depth: number): itc.Event {
  return depth === 0 ? 1 : [0, 0, deepEvent(depth - 1)]
}

function padded(bits: string): string {
  const joined = bits.replaceAll(' ', '')
  return joined.padEnd(Math.ceil(joined.length / 8) * 8, '0')
}

function bytesOf(bits: string): Uint8Array {
  return Uint8Array.from(padded(bits).match(/.{8}/g) ?? [], (byte) => Number.parseInt(byte, 2))
}

function bitsOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('')
}
