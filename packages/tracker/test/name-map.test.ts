/** A map by names is a Map, in which nothing takes long. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fewTogether, NameMap } from '../src/core/name-map.js'

/** More than it keeps together, and as many as it is dealing out just then. */
const many = 130_000
const dealing = 117_000
const nameOf = (i: number): string => `name-${i}`

function filled(count: number, most?: number): NameMap<number> {
  const map = new NameMap<number>(most)
  for (let i = 0; i < count; i++) map.set(nameOf(i), i)
  return map
}

test('it holds what a Map holds, few names or many', () => {
  const names = fc.oneof(
    fc.string({ maxLength: 3 }),
    fc.nat({ max: many + 50 }).map((i) => nameOf(i)),
  )
  const acts = fc.array(fc.record({ name: names, value: fc.option(fc.nat(), { nil: undefined }) }), { maxLength: 60 })
  const large = filled(many)
  const between = filled(dealing)
  expect([large.pieces > 1, between.pieces]).toEqual([true, 1])
  for (const [map, model] of [
    [new NameMap<number>(), new Map<string, number>()],
    [large, new Map(large)],
    [between, new Map(between)],
  ] as const) {
    fc.assert(
      fc.property(acts, (all) => {
        for (const { name, value } of all) {
          if (value === undefined) expect(map.delete(name)).toBe(model.delete(name))
          else {
            map.set(name, value)
            model.set(name, value)
          }
          expect([map.get(name), map.has(name), map.size]).toEqual([model.get(name), model.has(name), model.size])
        }
      }),
      { numRuns: 100 },
    )
    expect(new Map(map)).toEqual(model)
    expect(new Set(map.keys())).toEqual(new Set(model.keys()))
    expect([...map.values()].sort()).toEqual([...model.values()].sort())
  }
  // It was dealt out meanwhile, or is now, with all that changed.
  const twin = new Map(between)
  for (let i = 0; between.pieces === 1; i++) {
    between.set(`more-${i}`, i)
    twin.set(`more-${i}`, i)
    between.delete(nameOf(7 * i))
    twin.delete(nameOf(7 * i))
  }
  expect(between.size).toBe(twin.size)
  expect(new Map(between)).toEqual(twin)
})

test('of two that grow together one is dealt out before both would copy themselves', () => {
  const before = 1 << 16
  expect([filled(before, fewTogether).pieces > 1, filled(before).pieces]).toEqual([true, 1])
})

test('many names are in pieces of which none is large, each name in the piece that it is said to be in', () => {
  const map = filled(2 * many)
  let seen = 0
  for (let piece = 0; piece < map.pieces; piece++) {
    const values = map.valuesIn(piece)
    expect(values.length).toBeLessThan((2 * map.size) / map.pieces)
    expect(values.every((value) => map.pieceOf(nameOf(value)) === piece)).toBe(true)
    seen += values.length
  }
  expect(seen).toBe(map.size)
})

test('no name that comes makes it deal out or copy many at once', () => {
  const map = new NameMap<number>()
  let most = 0
  const set = Map.prototype.set
  let sets = 0
  Map.prototype.set = function (...args) {
    sets += 1
    return set.apply(this, args)
  }
  try {
    for (let i = 0; i < many; i++) {
      sets = 0
      map.set(nameOf(i), i)
      most = Math.max(most, sets)
    }
  } finally {
    Map.prototype.set = set
  }
  expect(map.pieces).toBeGreaterThan(1)
  expect(most).toBeLessThan(20)
})

test('who iterates while it comes to be in pieces is given what stays, once', () => {
  const map = filled(100)
  const seen: number[] = []
  const values = map.values()
  for (let i = 0; i < 10; i++) seen.push(values.next().value as number)
  for (let i = 100; i < many; i++) map.set(nameOf(i), i)
  expect(map.pieces).toBeGreaterThan(1)
  for (const value of values) seen.push(value)
  expect(new Set(seen).size).toBe(seen.length)
  for (let i = 0; i < 100; i++) expect(seen).toContain(i)
})
