/** What peers send has its share of a turn of the event loop, and no more, and each of them has its turn. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { countedTurnMs, Pace, turnShareMs } from '../src/pace.js'

class World {
  now = 0
  readonly told: string[] = []
  readonly readers = new Map<string, { pause(): void; resume(): void }>()
  readonly reading = new Set<string>()
  #next: (() => void)[] = []
  readonly pace = new Pace({
    now: () => this.now,
    setTimer: () => () => {},
    defer: (fn) => this.#next.push(fn),
  })

  reader(name: string): { pause(): void; resume(): void } {
    const reader = {
      pause: () => {
        this.reading.delete(name)
        this.told.push(`${name} waits`)
      },
      resume: () => {
        this.reading.add(name)
        this.told.push(`${name} reads`)
      },
    }
    this.reading.add(name)
    this.readers.set(name, reader)
    this.pace.add(reader)
    return reader
  }

  message(ms: number, name = 'a'): void {
    const reader = this.readers.get(name) as { pause(): void; resume(): void }
    this.pace.begin(reader)
    this.now += ms
    this.pace.end(reader)
  }

  turn(): void {
    for (const fn of this.#next.splice(0)) fn()
  }

  get isResting(): boolean {
    return this.#next.length === 0
  }
}

test('when it is spent all connections wait for the next turn, and who was heard for that of the others', () => {
  const world = new World()
  world.reader('a')
  world.reader('b')
  world.message(turnShareMs / 2)
  expect(world.told).toEqual([])
  world.message(turnShareMs / 2)
  expect(world.told).toEqual(['a waits', 'b waits'])
  // What was in memory already is handed on all the same.
  world.message(1)
  expect(world.told).toHaveLength(2)
  world.turn()
  expect(world.told.slice(2)).toEqual(['b reads'])
  world.turn()
  expect(world.told.slice(3)).toEqual(['a reads', 'b reads'])
  world.turn()
  expect(world.isResting).toBe(true)
})

test('who always has something to say keeps nobody from being heard, whichever of them is read first', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 0, max: 12 }),
      fc.infiniteStream(fc.nat()),
      (busy, quiet, chance) => {
        const world = new World()
        const names = Array.from({ length: busy + quiet }, (_, i) => `${i < busy ? 'busy' : 'quiet'} ${i}`)
        for (const name of names) world.reader(name)
        const unheard = new Set<string>()
        let since = 0
        for (let turn = 0; turn < 100; turn++) {
          // All have something again, as soon as all were heard.
          if (unheard.size === 0) {
            for (const name of names) unheard.add(name)
            since = turn
          }
          const order = [...world.reading].sort(() => (chance.next().value % 2 === 0 ? 1 : -1))
          for (const name of order) {
            if (!world.reading.has(name) || (name.startsWith('quiet') && !unheard.has(name))) continue
            unheard.delete(name)
            world.message(name.startsWith('quiet') ? 0.01 : turnShareMs, name)
          }
          expect(turn - since).toBeLessThanOrEqual(2 * busy + 1)
          world.turn()
        }
      },
    ),
  )
})

test('what had come is read when each that had to say something was heard in a whole round', () => {
  const world = new World()
  for (const name of ['a', 'b', 'dead']) world.reader(name)
  let waited: number | undefined
  world.pace.whenRead((ms) => {
    waited = ms
  })
  expect(waited).toBe(0)
  waited = undefined
  world.message(turnShareMs, 'a')
  world.pace.whenRead((ms) => {
    waited = ms
  })
  // The dead one says nothing, and the others never end.
  const turns: string[] = []
  while (waited === undefined && turns.length < 10) {
    world.turn()
    if (waited !== undefined) break
    const name = ['a', 'b'].find((one) => world.reading.has(one))
    turns.push(name ?? 'nobody')
    if (name !== undefined) world.message(turnShareMs, name)
  }
  // Who is left of the first round, and then all of the second, until nobody has more to say in it.
  expect(turns).toEqual(['b', 'nobody', 'a', 'b', 'nobody'])
})

test('what stalls add to the wait is not counted', () => {
  const world = new World()
  world.reader('a')
  world.message(turnShareMs)
  let waited: number | undefined
  world.pace.whenRead((ms) => {
    waited = ms
  })
  world.now += 10
  world.turn()
  world.now += 5000
  world.turn()
  expect(waited).toBe(10 + countedTurnMs)
})

test('each turn has a share of its own, whatever is done between messages', () => {
  const world = new World()
  world.reader('a')
  for (let i = 0; i < 10; i++) {
    world.message(turnShareMs / 2)
    world.now += 100
    world.message(turnShareMs / 2 - 1)
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
  for (let i = 0; i < 3; i++) world.turn()
  expect(world.told).toEqual(['a waits', 'b waits', 'b reads'])
  expect(world.isResting).toBe(true)
})
