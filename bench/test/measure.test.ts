import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compare, median, quantile, ratios, spread } from '../src/measure.js'

test('the median is the one in the middle, of an even number the mean of two, of none NaN', () => {
  expect(median([3, 1, 2])).toBe(2)
  expect(median([4, 1, 3, 2])).toBe(2.5)
  expect(median([7])).toBe(7)
  expect(median([])).toBeNaN()
})

test('at most half of the values are below the median, at most half above, and no order of them changes it', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 1 }), (values) => {
      const middle = median(values)
      expect(values.filter((value) => value < middle).length * 2).toBeLessThanOrEqual(values.length)
      expect(values.filter((value) => value > middle).length * 2).toBeLessThanOrEqual(values.length)
      expect(median(values.toReversed())).toBe(middle)
    }),
  )
})

test('a quantile is the smallest value that so large a share of all does not exceed', () => {
  const hundred = Array.from({ length: 100 }, (_, i) => i + 1)
  expect([0.01, 0.5, 0.99, 1].map((share) => quantile(hundred, share))).toEqual([1, 50, 99, 100])
  expect(quantile([5], 0.99)).toBe(5)
  expect(quantile([], 0.5)).toBeNaN()
})

test('the ratio is taken within each round before its middle is', () => {
  // Of the medians, 10 and 20, it would be a half: a machine that halves its speed once must not halve the ratio.
  expect(ratios([10, 100, 5], [20, 20, 10])).toEqual({ median: 0.5, lowest: 0.5, highest: 5 })
  expect(ratios([1, 10, 100], [2, 20, 50]).median).toBe(0.5)
  expect(() => ratios([1], [1, 2])).toThrow('a round is missing')
})

test('a spread has the ends besides, and is NaN of nothing', () => {
  expect(spread([2, 9, 4])).toEqual({ median: 4, lowest: 2, highest: 9 })
  expect(spread([])).toEqual({ median: Number.NaN, lowest: Number.NaN, highest: Number.NaN })
})

test('a round in which neither did anything has no ratio, and does not change the middle of the others', () => {
  expect(ratios([0, 1, 3], [0, 1, 1])).toEqual({ median: 2, lowest: 1, highest: 3 })
  expect(ratios([1, 0, 3], [1, 0, 1])).toEqual(ratios([0, 3, 1], [0, 1, 1]))
  expect(ratios([2], [0]).median).toBeNaN()
})

test('what takes turns has a round each that is not measured, as many as were asked for, in opposite orders', () => {
  const calls: string[] = []
  const ratio = compare(
    () => calls.push('subject'),
    () => calls.push('yardstick'),
    3,
  )
  const round = ['subject', 'yardstick']
  expect(calls).toEqual([round, round.toReversed(), round, round.toReversed()].flat())
  expect(ratio.lowest).toBeLessThanOrEqual(ratio.median)
  expect(ratio.highest).toBeGreaterThanOrEqual(ratio.median)
})
