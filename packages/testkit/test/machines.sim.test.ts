import { expect, test } from 'vitest'
import { faultNames, runSeed, simulateMachines, usualFaults } from '../src/index.js'

/** In portions, so that none takes long on a busy machine. */
const portions = (runs: number): number[] => Array.from({ length: runs / 100 }, (_, i) => 1 + i * 100)

test.each(portions(800))('100 schedules of joins and leaves from seed %d keep every rule at every instant', (seed) => {
  const result = simulateMachines({ seed, runs: 100, nodes: [2, 20], faults: ['joins', 'leaves'] })
  expect(result.found).toEqual([])
  expect(result).toMatchObject({ runs: 100, violations: 0 })
  expect(result.medianOps).toBeGreaterThanOrEqual(100)
  expect(result.raced).toBeGreaterThanOrEqual(0.5)
})

test.each(portions(400))('100 schedules from seed %d keep every rule at every instant while links drop too', (seed) => {
  const result = simulateMachines({ seed, runs: 100, nodes: [2, 20], faults: ['joins', 'leaves', 'loss'] })
  expect(result.found).toEqual([])
  expect(result).toMatchObject({ runs: 100, violations: 0 })
})

test.each(portions(800))('100 schedules from seed %d with some of all faults come to rest as one registry', (seed) => {
  const result = simulateMachines({ seed, runs: 100, nodes: [2, 12], faults: usualFaults })
  expect(result.found).toEqual([])
  expect(result).toMatchObject({ runs: 100, violations: 0 })
})

test.each(faultNames)('25 schedules with %s and joins alone keep the rules', (fault) => {
  const result = simulateMachines({ seed: 5000, runs: 25, nodes: [2, 9], faults: ['joins', fault] })
  expect(result.found).toEqual([])
})

test.each([
  [['formation'], 'gate ERR_NOT_FORMED', 0],
  [['joins', 'discovery', 'formation'], 'gate ERR_NOT_FORMED', 1],
  [['joins', 'crashes', 'formation'], 'run not formed', 1],
  [['leaves', 'restarts', 'formation'], 'gate ERR_NOT_FORMED', 1],
] as const)(
  'nodes that wait for each other form one cluster, or say that they do not, with %j',
  (faults, told, least) => {
    const result = simulateMachines({ seed: 8000, runs: 100, nodes: [2, 9], faults })
    expect(result.found).toEqual([])
    expect(result.outcomes[told] ?? 0).toBeGreaterThanOrEqual(least)
  },
)

test.each([
  [['policies']],
  [['policies', 'joins', 'leaves']],
  [['policies', 'stalls', 'crashes']],
  [['policies', 'cuts', 'clocks']],
] as const)('under other partition policies no name runs twice, with %j', (faults) => {
  const result = simulateMachines({ seed: 6000, runs: 100, nodes: [2, 9], faults })
  expect(result.found).toEqual([])
  expect(result.outcomes['claim ERR_NO_MAJORITY']).toBeGreaterThan(0)
})

test('cuts and stalls that last make nodes go on as other boots, whose processes get their names again', () => {
  const lines: string[] = []
  for (let seed = 1; seed <= 20; seed++) {
    runSeed({ seed, faults: ['cuts', 'stalls'], trace: (line) => void lines.push(line) })
  }
  expect(lines.some((line) => line.includes('goes on as boot'))).toBe(true)
  expect(lines.some((line) => line.includes('type:kept'))).toBe(true)
})

test('the same seed is the same run, event by event', () => {
  for (let seed = 500; seed < 524; seed++) {
    const faults = seed % 2 === 0 ? faultNames : (['joins', 'leaves', 'loss'] as const)
    const lines: string[] = []
    const first = runSeed({ seed, faults })
    expect(runSeed({ seed, faults, trace: (line) => void lines.push(line) })).toEqual(first)
    expect(lines.length).toBeGreaterThan(first.events / 10)
  }
})

test('another seed is another run', () => {
  const hashes = new Set([...Array(20).keys()].map((seed) => runSeed({ seed, nodes: [2, 4] }).hash))
  expect(hashes.size).toBe(20)
})

test('the sum of hashes does not depend on how the runs are divided', () => {
  const all = simulateMachines({ seed: 40, runs: 6, nodes: [2, 5] })
  expect(simulateMachines({ seed: 40, runs: 6, nodes: [2, 5] }).hash).toBe(all.hash)
  expect(simulateMachines({ seed: 41, runs: 6, nodes: [2, 5] }).hash).not.toBe(all.hash)
})

test('no machine writes into a frame that it sent or received', () => {
  const result = simulateMachines({ seed: 700, runs: 20, freeze: true, faults: ['joins', 'leaves', 'loss'] })
  expect(result.found).toEqual([])
})

test('frames that are written and read as on the wire make the very same run', () => {
  for (let seed = 800; seed < 815; seed++) {
    const faults = faultNames
    expect(runSeed({ seed, faults, wire: true })).toEqual(runSeed({ seed, faults, wire: false }))
  }
})

test('a run lasts at least 20 virtual seconds with at least 100 operations', () => {
  for (let seed = 900; seed < 920; seed++) {
    const run = runSeed({ seed })
    expect(run.virtualMs).toBeGreaterThanOrEqual(20_000)
    expect(run.ops).toBeGreaterThanOrEqual(100)
  }
})
