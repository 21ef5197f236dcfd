/// <reference path="../src/core/hashring.d.ts" />
import { below, seedRandom } from '@skep/cluster/core'
import fc from 'fast-check'
import HashRing from 'hashring'
import { describe, expect, test } from 'vitest'
import * as ring from '../src/core/ring.js'

const small: ring.RingParameters = { slots: 64, vnodes: 16 }

describe('everybody has the same table', () => {
  test('whatever the order in which the names are given, and however often', () => {
    const table = ring.build(['b', 'a', 'c', 'a'])
    expect(table.names).toEqual(['a', 'b', 'c'])
    expect(ring.build(['c', 'b', 'a'])).toBe(table)
    fc.assert(
      fc.property(nodeNames, fc.integer(), (names, seed) => {
        expect(ring.build(shuffled(names, seed), small)).toBe(ring.build(names, small))
      }),
    )
  })

  test('and it stays as it is: these owners may change only with the version of the protocol', () => {
    const table = ring.build(['demo-1@127.0.0.1:4001', 'demo-2@127.0.0.1:4002', 'demo-3@127.0.0.1:4003'], small)
    expect(Array.from(table.owners).join('')).toBe('2000010220101110021122111000121222101000120112112001112220122211')
    expect([ring.slotOf(''), ring.slotOf('my_proc'), ring.slotOf('größe'), ring.slotOf('counter:1', 64)]).toEqual([
      11, 581, 607, 6,
    ])
  })

  test('equal points go to the node that is first by name', () => {
    // So many points that some of 2^32 are taken twice, by two nodes; a slot right before such a point sees both.
    const dense: ring.RingParameters = { slots: 65_536, vnodes: 4096 }
    const table = ring.build(nodes(16), dense)
    const points = table.names.map((name) => pointsOf(name, dense.vnodes))
    const takenBy = new Map<number, number>()
    let ties = 0
    for (const [second, own] of points.entries()) {
      for (const point of own) {
        const first = takenBy.get(point) ?? second
        takenBy.set(point, first)
        const slot = Math.floor(point / 65_536 - 0.5)
        const isNext = (node: number) => points[node]?.find((next) => next >= ring.positionOf(slot, 65_536)) === point
        if (first === second || !isNext(first) || !isNext(second)) continue
        ties += 1
        const order = table.order(slot)
        expect(order.indexOf(second)).toBe(order.indexOf(first) + 1)
        const pair = [second, first].map((node) => table.names[node] as string)
        expect(ring.ownerOf(ring.build(pair, dense), slot)).toBe(pair[1])
      }
    }
    expect(ties).toBeGreaterThan(0)
  })

  test('it is the ring of hashring over all nodes at once', () => {
    for (const names of [nodes(1), nodes(2), nodes(7), nodes(20)]) {
      for (const parameters of [small, ring.ringDefaults]) {
        const table = ring.build(names, parameters)
        const whole = hashringOf(table.names, parameters)
        for (let slot = 0; slot < table.slots; slot++) {
          const order = whole.range(`slot ${slot}`, table.names.length)
          expect(table.order(slot).map((node) => ring.tokenOf(table.names[node] as string))).toEqual(order)
        }
      }
    }
  })

  test('names that look like addresses, numbers or properties are names like others', () => {
    const names = [
      '[::1]:4000',
      '[::1]:4001',
      '[::2]:4000',
      'a:b',
      'a:c',
      'a',
      '1',
      '2',
      '__proto__',
      'toString',
      '',
      '\ud800',
    ]
    const table = ring.build(names)
    expect(new Set(table.names)).toEqual(new Set(names))
    const shares = sharesOf(table)
    for (const share of shares) expect(share).toBeGreaterThan(0.4)
    expect(ring.build(['a,b'])).not.toBe(ring.build(['a', 'b']))
    expect(ring.build(['\ud800'])).not.toBe(ring.build(['\\ud800']))
  })
})

describe('a node that comes or goes', () => {
  test('moves only the slots that it gets or had, and of each slot the next in order becomes the owner', () => {
    fc.assert(
      fc.property(nodeNames, fc.nat(), (names, at) => {
        const gone = names[at % names.length] as string
        const before = ring.build(names, small)
        const after = ring.build(
          names.filter((name) => name !== gone),
          small,
        )
        for (let slot = 0; slot < small.slots; slot++) {
          const order = before.order(slot).map((node) => before.names[node])
          expect(after.order(slot).map((node) => after.names[node])).toEqual(order.filter((name) => name !== gone))
        }
      }),
    )
  })

  test('of the default table too, at each size from 1 to 20, where a rounded share once moved slots between others', () => {
    for (let size = 1; size <= 20; size++) {
      const before = ring.build(nodes(size))
      const after = ring.build([...nodes(size), 'newcomer'])
      for (let slot = 0; slot < before.slots; slot++) {
        const owner = ring.ownerOf(after, slot)
        if (owner !== 'newcomer') expect(owner).toBe(ring.ownerOf(before, slot))
      }
    }
  })

  test('moves on average at most 1.2 times its fair share', () => {
    for (const size of [3, 6, 10, 20, 50]) {
      let moved = 0
      const trials = 20
      for (let trial = 0; trial < trials; trial++) {
        const names = nodes(size, `t${trial}`)
        const before = ring.build(names)
        const after = ring.build([...names, `t${trial}-newcomer`])
        for (let slot = 0; slot < 1024; slot++) {
          if (ring.ownerOf(before, slot) !== ring.ownerOf(after, slot)) moved += 1
        }
      }
      const ideal = (trials * 1024) / (size + 1)
      console.log(`ring: joining ${size} nodes moves ${(moved / ideal).toFixed(3)} of the ideal share`)
      expect(moved / ideal).toBeLessThan(1.2)
      expect(moved / ideal).toBeGreaterThan(0.8)
    }
  })
})

describe('a table', () => {
  test('orders all nodes at each slot, beginning with the owner', () => {
    const table = ring.build(nodes(20))
    const everybody = table.names.map((_, node) => node)
    for (let slot = 0; slot < table.slots; slot++) {
      const order = table.order(slot)
      expect(order[0]).toBe(table.owners[slot])
      expect(order.toSorted((a, b) => a - b)).toEqual(everybody)
      expect(table.order(slot)).toBe(order)
    }
  })

  test('gives each node a share that is near the fair one', () => {
    for (const [size, least, most] of [
      [3, 0.85, 1.15],
      [7, 0.7, 1.3],
      [10, 0.65, 1.35],
      [20, 0.5, 1.6],
      [100, 0.1, 2.5],
    ] as const) {
      // biome-ignore format: a table
      const shares = Array.from({ length: 10 }, (_, trial) => sharesOf(ring.build(nodes(size, `b${trial}`)))).flat()
      const [low, high] = [Math.min(...shares), Math.max(...shares)]
      console.log(`ring: of ${size} nodes ten times one owns ${low.toFixed(2)} to ${high.toFixed(2)} of a fair share`)
      expect(low).toBeGreaterThan(least)
      expect(high).toBeLessThan(most)
    }
  })

  test('spreads what a dead node had over all others', () => {
    const table = ring.build(nodes(10))
    const heirs = new Set<number | undefined>()
    for (let slot = 0; slot < table.slots; slot++) if (table.owners[slot] === 4) heirs.add(table.order(slot)[1])
    expect(heirs.size).toBe(9)
  })

  test('without nodes has no owners, of one node one', () => {
    const empty = ring.build([])
    expect([ring.ownerOf(empty, 0), empty.owners[1023], empty.order(5)]).toEqual([undefined, ring.noOwner, []])
    const one = ring.build(['only'])
    expect([ring.ownerOf(one, 0), ring.ownerOf(one, 1023), one.order(5)]).toEqual(['only', 'only', [0]])
  })

  test('of parameters that make no sense is refused', () => {
    for (const slots of [0, -1, 1.5, Number.NaN, 65_537]) {
      expect(() => ring.build(['a'], { slots, vnodes: 1 })).toThrow(RangeError)
    }
    for (const vnodes of [0, 0.5, 4097, Number.POSITIVE_INFINITY]) {
      expect(() => ring.build(['a'], { slots: 1, vnodes })).toThrow(RangeError)
    }
    expect(() => ring.build(Array.from({ length: 65_536 }, (_, i) => `n${i}`))).toThrow('a ring of 65536 nodes')
  })
})

describe('a table in pieces', () => {
  test('is the one that is made at once, after as many steps as its nodes need', () => {
    const names = nodes(25, 'pieces')
    const builder = ring.builder(names)
    for (let step = 0; step < 4; step++) expect(builder.step(6)).toBeUndefined()
    const table = builder.step(6)
    expect(table).toBeDefined()
    expect(builder.step(6)).toBe(table)
    expect(ring.build(names)).toBe(table)
    expect(ring.builder(names).step(0)).toBe(table)
  })

  test('is given up for the same table made meanwhile by another', () => {
    const names = nodes(25, 'quicker')
    const builder = ring.builder(names)
    expect(builder.step(1)).toBeUndefined()
    const table = ring.build(names)
    expect(builder.step(0)).toBe(table)
  })

  test('falls out of memory and comes again with the same owners', () => {
    const first = ring.build(nodes(3, 'old'), small)
    for (let i = 0; i < 70; i++) ring.build([`one of many ${i}`], small)
    const again = ring.build(nodes(3, 'old'), small)
    expect(again).not.toBe(first)
    expect(again.owners).toEqual(first.owners)
  })
})

describe('the slot of a name', () => {
  test('is a slot, and names spread evenly over all of them', () => {
    for (const name of [
      (i: number) => `user-${i}`,
      (i: number) => `${i}`,
      (i: number) => `${'x'.repeat(i % 50)}:${i}:cart`,
    ]) {
      const counts = new Array<number>(1024).fill(0)
      for (let i = 0; i < 102_400; i++) {
        const slot = ring.slotOf(name(i))
        counts[slot] = (counts[slot] as number) + 1
      }
      expect(counts.length).toBe(1024)
      // A hundred names a slot are expected, give or take ten: six times that would be a flaw of the hash.
      expect(Math.min(...counts)).toBeGreaterThan(40)
      expect(Math.max(...counts)).toBeLessThan(160)
      const chiSquare = counts.reduce((sum, count) => sum + (count - 100) ** 2 / 100, 0)
      expect(chiSquare).toBeLessThan(1024 + 6 * Math.sqrt(2 * 1024))
    }
  })
})

const nodeNames = fc.uniqueArray(fc.oneof(fc.string(), fc.constantFrom(...nodes(30))), { minLength: 1, maxLength: 12 })

function nodes(count: number, prefix = 'node'): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}-${i}@10.0.0.${i}:4000`)
}

function shuffled(names: readonly string[], seed: number): string[] {
  const random = seedRandom(seed)
  const left = names.slice()
  return names.map(() => left.splice(below(random, left.length), 1)[0] as string)
}

/** What part of a fair share each node owns. */
function sharesOf(table: ring.RingTable): number[] {
  const counts = table.names.map(() => 0)
  for (const owner of table.owners) counts[owner] = (counts[owner] as number) + 1
  return counts.map((count) => (count * table.names.length) / table.slots)
}

function pointsOf(name: string, vnodes: number): readonly number[] {
  const token = ring.tokenOf(name)
  return new HashRing({ [token]: { vnodes } }, ring.hash128).points([token])[token] ?? []
}

/** The stupid twin: the package as it comes, over all nodes at once, asked for keys that hash to where the slots lie. */
function hashringOf(names: readonly string[], { slots, vnodes }: ring.RingParameters): HashRing {
  const servers = Object.fromEntries(names.map((name) => [ring.tokenOf(name), { vnodes }]))
  return new HashRing(servers, (key) => {
    const slot = /^slot (\d+)$/.exec(key)?.[1]
    if (slot === undefined) return ring.hash128(key)
    const position = ring.positionOf(Number(slot), slots)
    return [position & 255, (position >>> 8) & 255, (position >>> 16) & 255, position >>> 24]
  })
}
