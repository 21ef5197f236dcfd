/** The explorer's own parts, and a search small enough for every run of the tests. */
import { describe, expect, test } from 'vitest'
import { cloneState } from '../src/explorer/clone.js'
import { explore } from '../src/explorer/explore.js'
import { Hasher } from '../src/explorer/fingerprint.js'
import { delays, ordinary, strokes } from '../src/explorer/schedule.js'
import { Stage, type Tiny } from '../src/explorer/tiny.js'

const limits = { depth: 400, maxStates: 1_000_000 }
const scenario = { nodes: 2, fault: 'none', frameMs: 200, cutMs: 500 } as const

function words(value: unknown): string {
  const hasher = new Hasher()
  hasher.add(value)
  return hasher.words().join()
}

describe('a copy of a state', () => {
  test('shares what is frozen, keeps aliases, prototypes and the order of maps, and nothing else of the original', () => {
    const claim = Object.freeze({ name: 'a' })
    const ask = { number: 1 }
    const date = Object.assign(Object.create({ kind: 'prototype' }), { at: 1 })
    const state = {
      claim,
      first: ask,
      byId: new Map([[1, ask]]),
      held: new Uint8Array([1, 2]),
      boots: new Set(['b']),
      date,
    }
    const copy = cloneState(state)
    expect(copy).toEqual(state)
    expect(copy.claim).toBe(claim)
    expect(copy.first).not.toBe(ask)
    expect(copy.byId.get(1)).toBe(copy.first)
    expect(copy.date.kind).toBe('prototype')
    copy.first.number = 2
    copy.held[0] = 9
    copy.boots.add('c')
    expect(state).toMatchObject({ first: { number: 1 }, held: new Uint8Array([1, 2]), boots: new Set(['b']) })
  })

  test('is refused while an iterator is open, whose rest nobody can copy', () => {
    expect(() => cloneState({ rest: [1, 2].values() })).toThrow('open iterator')
  })
})

describe('a fingerprint', () => {
  const different = [0, 1, '0', '1', '', null, undefined, true, false, 0.5, Number.POSITIVE_INFINITY, 2 ** 40, [], {}]
  const nested = [
    [1],
    [[1]],
    [1, 1],
    { a: 1 },
    { b: 1 },
    { a: { b: 1 } },
    new Map([[1, 2]]),
    new Set([1, 2]),
    new Uint8Array([1, 2]),
  ]

  test('tells values of different kinds, shapes and orders apart', () => {
    const all = [
      ...different,
      ...nested,
      new Map([
        ['x', 1],
        ['y', 2],
      ]),
      new Map([
        ['y', 2],
        ['x', 1],
      ]),
    ]
    expect(new Set(all.map(words)).size).toBe(all.length)
  })

  test('is that of an equal value, frozen once and for all or not', () => {
    const make = (): unknown => Object.freeze({ list: Object.freeze([1, 'two']) })
    expect(words(make())).toBe(words(make()))
  })
})

describe('an action', () => {
  test('leaves the world that it was taken in as it was', () => {
    const stage = new Stage()
    let world: Tiny = stage.root(scenario)
    for (let step = 0; step < 120; step++) {
      const actions = [...delays(world), ordinary(world) ?? { type: 'wake' as const }]
      for (const stroke of strokes(world)) actions.unshift({ type: 'stroke', stroke })
      const nodes = world.nodes.map((node) => words([node?.replica.membership, node?.replica.tracker, node?.asks]))
      const lanes = words(world.lanes)
      let next = world
      for (const action of actions) next = stage.apply(world, action)
      expect(world.nodes.map((node) => words([node?.replica.membership, node?.replica.tracker, node?.asks]))).toEqual(
        nodes,
      )
      expect(words(world.lanes)).toBe(lanes)
      world = next
    }
  })
})

describe('a world that is written over', () => {
  test('becomes the very world that a copy becomes', () => {
    const [copying, writing] = [new Stage(), new Stage()]
    let [world, spent] = [copying.root(scenario), writing.root(scenario)]
    for (let step = 0; step < 120; step++) {
      const [stroke] = strokes(world)
      const action = step === 20 && stroke !== undefined ? { type: 'stroke' as const, stroke } : ordinary(world)
      world = copying.apply(world, action ?? { type: 'wake' })
      spent = writing.apply(spent, action ?? { type: 'wake' }, true)
      for (const index of [0, 1]) {
        const [one, two] = [world.nodes[index]?.replica, spent.nodes[index]?.replica]
        expect(words([two?.membership, two?.tracker])).toBe(words([one?.membership, one?.tracker]))
      }
      expect(words(spent.lanes)).toBe(words(world.lanes))
    }
  })
})

describe('a search', () => {
  test('of two nodes ends complete, without a violation, and is the same search twice', () => {
    const options = { nodes: 2, fault: 'none', delays: 0, ...limits } as const
    const result = explore(options)
    expect(result).toMatchObject({ violations: 0, complete: true, cutBy: undefined, found: [] })
    expect(result.states).toBeGreaterThan(1000)
    expect(result.leaves).toBeGreaterThan(10)
    expect(result.transitions).toBeGreaterThanOrEqual(result.states - 1)
    expect(explore(options)).toEqual(result)
  })

  test('sees more worlds with each delay, and says when a bound cut it short', () => {
    const of = (delays: number, depth: number, maxStates: number): ReturnType<typeof explore> =>
      explore({ nodes: 2, fault: 'none', delays, depth, maxStates })
    expect(of(1, 12, 1e6).states).toBeGreaterThan(of(0, 12, 1e6).states)
    expect(of(0, 10, 1e6)).toMatchObject({ complete: false, cutBy: 'depth' })
    expect(of(0, 400, 100)).toMatchObject({ complete: false, cutBy: 'states', states: 100 })
  })
})
