/** Whole nodes under random programs and faults: a seed a run. The mass of them runs as `npm run sim -- --level nodes`. */
import { expect, test } from 'vitest'
import { nodeFaultNames } from '../src/nodes/draw.js'
import { runNodesSeed } from '../src/nodes/workload.js'

const all = { nodes: [2, 7], faults: nodeFaultNames } as const
const portions = [1, 21, 41, 61, 81]

test.each(portions)('20 schedules from seed %d keep every rule', async (seed) => {
  for (let i = 0; i < 20; i++) {
    const report = await runNodesSeed({ ...all, seed: seed + i })
    expect(report.violations).toEqual([])
    expect(report.ops).toBeGreaterThanOrEqual(100)
  }
})

test('the same seed is the same run; another one is another', async () => {
  const hashes = new Set<string>()
  for (let seed = 200; seed < 206; seed++) {
    const first = await runNodesSeed({ ...all, seed })
    expect(await runNodesSeed({ ...all, seed })).toEqual(first)
    hashes.add(first.hash)
  }
  expect(hashes.size).toBe(6)
})

test.each([
  [320, 'a call that a cut held is not done after twelve later ones of its caller, at the new holder of the name'],
  [1003, 'nor one of which the answer was held'],
  [159, 'placed actors come back although only one of four nodes is left, which waits 30 s first'],
  [948, 'who drains into a node that stands still and is killed then takes its actors along: nobody is left who knew'],
  [101854, 'what is stopped while it is being started again is over, and nobody waits for it'],
])('seed %d: %s', async (seed) => {
  expect((await runNodesSeed({ ...all, seed })).violations).toEqual([])
})
