/** A map by names is a Map, in which nothing takes long. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { NameMap } from '../src/core/name-map.js'

/** More than it keeps together. */
const many = 20_000
const nameOf = (i: number): string => `name-${i}`

function filled(count: number): NameMap<number> {
  const map = new NameMap<number>()
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
  const twin = new Map(large)
  expect(large.pieces).toBeGreaterThan(1)
  for (const [map, model] of [
    [new NameMap<number>(), new Map<string, number>()],
    [large, twin],
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
})

test('many names are in pieces of which none is large, each name in the piece that it is said to be in', () => {
  const map = filled(10 * many)
  let seen = 0
  for (let piece = 0; piece < map.pieces; piece++) {
    const values = map.valuesIn(piece)
    expect(values.length).toBeLessThan((2 * map.size) / map.pieces)
    for (const value of values) expect(map.pieceOf(nameOf(value))).toBe(piece)
    seen += values.length
  }
  expect(seen).toBe(map.size)
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
