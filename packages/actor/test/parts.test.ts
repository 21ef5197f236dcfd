/** The small parts: deadlines on one timer, the queue, and turns that leave room for the event loop. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Deadlines, type Timed } from '../src/deadlines.js'
import { Queue } from '../src/queue.js'
import { type Runnable, Scheduler } from '../src/scheduler.js'
import { rest, TestTime } from './world.js'

function timed(
  deadlines: Deadlines,
  deadline: number,
  expire: () => void,
  forMs: number = Number.POSITIVE_INFINITY,
): Timed {
  const one = {
    deadline,
    forMs,
    earlier: undefined,
    later: undefined,
    expire: (): void => {
      deadlines.remove(one)
      expire()
    },
    endBy(at: number) {
      one.deadline = at
    },
  }
  return one
}

describe('deadlines', () => {
  test('expire in time, each once, on one timer, unless they were removed', async () => {
    const plan = fc.array(fc.record({ ms: fc.integer({ min: 1, max: 500 }), removed: fc.boolean() }), { maxLength: 30 })
    await fc.assert(
      fc.asyncProperty(plan, async (entries) => {
        const time = new TestTime()
        const deadlines = new Deadlines(time)
        const expired: { due: number; at: number }[] = []
        const all = entries.map(({ ms, removed }) => {
          const due = time.now() + ms
          const entry = timed(deadlines, due, () => expired.push({ due, at: time.now() }))
          deadlines.add(entry)
          return { entry, removed }
        })
        expect(time.timers).toBeLessThanOrEqual(1)
        for (const { entry, removed } of all) if (removed) deadlines.remove(entry)
        await time.pass(600)
        expect(expired).toHaveLength(entries.filter((e) => !e.removed).length)
        for (const { due, at } of expired) expect(at - due).toBeGreaterThanOrEqual(0)
        for (const { due, at } of expired) expect(at - due).toBeLessThanOrEqual(10)
        expect([deadlines.size, time.timers]).toEqual([0, 0])
      }),
      { numRuns: 30 },
    )
  })

  test('of one turn begin with one look at the clock, and end as if each had been looked up', async () => {
    const time = new TestTime()
    let looks = 0
    const deadlines = new Deadlines({
      now: () => {
        looks += 1
        return time.now()
      },
      setTimer: (fn, ms) => time.setTimer(fn, ms),
      defer: (fn) => time.defer(fn),
    })
    const expired: [number, number][] = []
    const begun = time.now()
    for (const ms of [100, 50, 400]) {
      deadlines.addFor(timed(deadlines, Number.POSITIVE_INFINITY, () => expired.push([ms, time.now() - begun]), ms))
    }
    // What ends before anyway is not put off.
    deadlines.addFor(timed(deadlines, begun + 20, () => expired.push([20, time.now() - begun]), 1000))
    expect(looks).toBe(1)
    await rest()
    expect(looks).toBe(2)
    await time.pass(500)
    expect(expired.map(([ms]) => ms)).toEqual([20, 50, 100, 400])
    for (const [ms, at] of expired) expect(at - ms).toBeLessThanOrEqual(10)
  })

  test('that never come cost no timer', () => {
    const time = new TestTime()
    const deadlines = new Deadlines(time)
    deadlines.add(timed(deadlines, Number.POSITIVE_INFINITY, () => {}))
    expect([deadlines.size, time.timers]).toEqual([1, 0])
  })

  test('added while others expire are kept', async () => {
    const time = new TestTime()
    const deadlines = new Deadlines(time)
    let second = 0
    deadlines.add(
      timed(deadlines, time.now() + 5, () => deadlines.add(timed(deadlines, time.now() + 5, () => second++))),
    )
    await time.pass(30)
    expect(second).toBe(1)
  })
})

describe('a queue', () => {
  test('gives what it took in the order it took it, as an array would', () => {
    const steps = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 3000 })), { maxLength: 60 })
    fc.assert(
      fc.property(steps, (plan) => {
        const queue = new Queue<number>()
        const twin: number[] = []
        let n = 0
        for (const count of plan) {
          for (let i = 0; i < count; i++) {
            n += 1
            queue.push(n)
            twin.push(n)
          }
          for (let i = 0; i < 900; i++) if (queue.shift() !== twin.shift()) throw new Error('order')
          expect(queue.size).toBe(twin.length)
        }
      }),
      { numRuns: 50 },
    )
  })
})

describe('the scheduler', () => {
  test('lets the event loop have its turn while actors keep each other busy', async () => {
    const scheduler = new Scheduler(new TestTime())
    let turns = 0
    const busy: Runnable = {
      scheduled: false,
      turn: (max) => {
        turns += 1
        if (turns < 1e6 && !over) scheduler.wake(busy)
        return max
      },
    }
    let over = false
    scheduler.wake(busy)
    await rest()
    over = true
    expect(turns).toBeGreaterThan(10)
    expect(turns).toBeLessThan(10_000)
  })

  test('looks whether all is well where that was asked for, also within a turn and where nobody has something to do', async () => {
    let looks = 0
    const scheduler = new Scheduler(new TestTime(), () => {
      looks += 1
    })
    scheduler.soon()
    scheduler.soon()
    await rest()
    expect(looks).toBe(1)
    scheduler.wake({
      scheduled: false,
      turn: () => {
        scheduler.soon()
        return 1
      },
    })
    await rest()
    expect(looks).toBe(3)
  })

  test('gives each its turn once, however often it was woken', async () => {
    const scheduler = new Scheduler(new TestTime())
    const order: string[] = []
    const actor = (name: string): Runnable => ({ scheduled: false, turn: () => order.push(name) })
    const [a, b] = [actor('a'), actor('b')]
    for (const each of [a, b, a, b, a]) scheduler.wake(each)
    await rest()
    expect(order).toEqual(['a', 'b'])
  })
})
