/** What peers send has its share of a turn of the event loop, and no more. */
import { expect, test } from 'vitest'
import { Pace, turnShareMs } from '../src/pace.js'

class World {
  now = 0
  readonly told: string[] = []
  #next: (() => void)[] = []
  readonly pace = new Pace({
    now: () => this.now,
    setTimer: () => () => {},
    defer: (fn) => this.#next.push(fn),
  })

  reader(name: string): { pause(): void; resume(): void } {
    const reader = { pause: () => this.told.push(`${name} waits`), resume: () => this.told.push(`${name} reads`) }
    this.pace.add(reader)
    return reader
  }

  message(ms: number): void {
    this.pace.begin()
    this.now += ms
    this.pace.end()
  }

  turn(): void {
    for (const fn of this.#next.splice(0)) fn()
  }
}

test('when it is spent all connections wait for the next turn', () => {
  const world = new World()
  world.reader('a')
  world.reader('b')
  world.message(turnShareMs / 2)
  expect(world.told).toEqual([])
  expect(world.pace.isBehind).toBe(false)
  world.message(turnShareMs / 2)
  expect(world.told).toEqual(['a waits', 'b waits'])
  // What was in memory already is handed on all the same.
  world.message(1)
  expect(world.told).toHaveLength(2)
  expect(world.pace.isBehind).toBe(true)
  world.turn()
  expect(world.told.slice(2)).toEqual(['a reads', 'b reads'])
})

test('it is behind until a turn has passed in which all was read', () => {
  const world = new World()
  world.message(turnShareMs)
  world.turn()
  expect(world.pace.isBehind).toBe(true)
  world.message(turnShareMs)
  world.turn()
  expect(world.pace.isBehind).toBe(true)
  world.turn()
  expect(world.pace.isBehind).toBe(false)
})

test('each turn has a share of its own, whatever the time between them', () => {
  const world = new World()
  world.reader('a')
  for (let i = 0; i < 10; i++) {
    world.message(turnShareMs - 1)
    world.turn()
    world.now += 100
  }
  expect(world.told).toEqual([])
})

test('a connection that comes while all wait waits too; one that has closed is left alone', () => {
  const world = new World()
  const gone = world.reader('a')
  world.message(turnShareMs)
  world.reader('b')
  world.pace.delete(gone)
  world.turn()
  expect(world.told).toEqual(['a waits', 'b waits', 'b reads'])
})
