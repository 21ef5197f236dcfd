import { expect, test } from 'vitest'
import { type Contestant, contest, measured, resultOf, type Turn, together } from '../src/contest.js'
import { drive } from '../src/slice.js'

test('contestants take turns in opposite orders, and the first round counts for wrong answers alone', async () => {
  const log: string[] = []
  const { results, wrong } = await contest([contestant('a', log), contestant('b', log)], { rounds: 2, slices: 2 })
  expect(log.join(' ')).toBe('a0 b0 b1 a1 b2 a2 a3 b3 a4 b4 b5 a5')
  expect(wrong).toEqual([])
  expect(results.map(({ name, turns }) => [name, turns.length])).toEqual([
    ['a', 2],
    ['b', 2],
  ])
})

test('wrong answers of any round are told, and so is a contestant that did nothing', async () => {
  const bad: Contestant = { ...contestant('bad', []), slice: async (n) => turn({ wrong: n === 0 ? 3 : 0, fault: 'x' }) }
  const idle: Contestant = { ...contestant('idle', []), slice: async () => turn({ ops: 0 }) }
  const { wrong } = await contest([bad, idle], { rounds: 1, slices: 1 })
  expect(wrong).toEqual(['bad: 3 of 100, x', 'idle: nothing was done in round 0', 'idle: nothing was done in round 1'])
})

test('the processor time of a turn is what its processes used while it ran, or what it looked up itself', async () => {
  let used = 0
  const processes = [{ ask: async () => used }, { ask: async () => 2 * used }]
  const slice = async () => {
    used += 10
    return { ops: 1, ms: 1, wrong: 0, fault: undefined, p50Us: 1, p99Us: 1 }
  }
  const looks: Contestant = { name: 'looks', processes, slice: async () => ({ ...(await slice()), cpuUs: 7 }) }
  const { results } = await contest([{ name: 'told', processes, slice }, looks], { rounds: 1, slices: 1 })
  expect(results.map(({ turns }) => turns[0]?.cpuUs)).toEqual([30, 7])
})

test('slices of a round count as one, with the quantiles in the middle', () => {
  const parts = [turn({ p50Us: 1 }), turn({ p50Us: 9, wrong: 1, fault: 'why' }), turn({ p50Us: 2 })]
  expect(together(parts)).toEqual({ ops: 300, ms: 30, wrong: 1, fault: 'why', cpuUs: 600, p50Us: 2, p99Us: 50 })
})

test('a measure has the ratio of each round, of rates or of times, and whether the target is met', () => {
  const subject = { name: 'Skep', turns: [turn({ ops: 50 }), turn({ ops: 60 }), turn({ ops: 70 })] }
  const raw = { name: 'raw', turns: [turn({}), turn({}), turn({ p50Us: 10 })] }
  const target = { of: 'ratio', bound: 'at least', limit: 0.6 } as const
  const rate = measured({ name: 'calls', unit: 'op/s', target }, subject, raw)
  expect(rate.value).toEqual({ median: 6000, lowest: 5000, highest: 7000 })
  expect(rate.yardstick?.ratio).toEqual({ median: 0.6, lowest: 0.5, highest: 0.7 })
  expect(rate.yardstick?.cpuRatio?.median).toBeCloseTo(100 / 60)
  expect(rate.target?.met).toBe(true)
  const missed = measured({ name: 'p50', unit: 'us', target: { ...target, bound: 'at most' } }, subject, raw)
  expect(missed.yardstick?.ratio).toEqual({ median: 1, lowest: 1, highest: 2 })
  expect(missed.target?.met).toBe(false)
  expect(() => resultOf([subject], 'nobody')).toThrow("nobody is called 'nobody'")
})

test('load is so many callers that each wait for their answer, and every answer is looked at', async () => {
  let open = 0
  let most = 0
  const slice = await drive({
    callers: 4,
    end: { ops: 100 },
    ask: async (i) => {
      most = Math.max(most, ++open)
      await Promise.resolve()
      open--
      if (i === 50) throw new Error('lost')
      return i === 60 ? 'else' : i
    },
    right: (answer, i) => answer === i,
    timed: true,
  })
  expect(most).toBe(4)
  expect(slice).toMatchObject({ ops: 100, wrong: 2, fault: 'Error: lost' })
  expect(slice.p50Us).toBeLessThanOrEqual(slice.p99Us)
})

function contestant(name: string, log: string[]): Contestant {
  return {
    name,
    processes: [],
    slice: async (number) => {
      log.push(`${name}${number}`)
      return turn({})
    },
  }
}

function turn(given: Partial<Turn>): Turn {
  return { ops: 100, ms: 10, wrong: 0, fault: undefined, cpuUs: 200, p50Us: 20, p99Us: 50, ...given }
}
