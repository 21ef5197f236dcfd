import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Schedule } from '../src/machines/schedule.js'

test('events come by time, and in the order of pushing where the time is the same', () => {
  const times = fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 200 })
  fc.assert(
    fc.property(times, (all) => {
      const schedule = new Schedule<{ at: number; order: number; tag: number }>()
      all.forEach((at, tag) => {
        schedule.push({ at, order: 0, tag })
      })
      // The stupid twin: a stable sort.
      const expected = all.map((at, tag) => ({ at, tag })).sort((a, b) => a.at - b.at || a.tag - b.tag)
      for (const { at, tag } of expected) expect(schedule.pop()).toMatchObject({ at, tag })
      expect(schedule.pop()).toBeUndefined()
    }),
  )
})

test('what is pushed between two pops finds its place', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.integer({ min: 0, max: 50 })), { maxLength: 300 }), (steps) => {
      const schedule = new Schedule<{ at: number; order: number }>()
      const twin: { at: number; order: number }[] = []
      for (const at of steps) {
        if (at === null) {
          twin.sort((a, b) => a.at - b.at || a.order - b.order)
          expect(schedule.pop()).toBe(twin.shift())
        } else {
          const event = { at, order: 0 }
          schedule.push(event)
          twin.push(event)
        }
        expect(schedule.size).toBe(twin.length)
      }
    }),
  )
})
