/** Plans: every one that is drawn can be followed, and shrinks; as code it is the same plan. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { faults, type Plan } from '../src/index.js'
import { drawPlan, nodeFaultNames } from '../src/nodes/draw.js'
import { checkPlan, endOf, planAsCode } from '../src/nodes/plan.js'

const { concurrentJoins, ...others } = faults

describe('faults', () => {
  test.each(Object.entries(others))('%s gives plans within the bounds that it is given', (_name, arbitrary) => {
    const options = { nodes: [2, 6], most: 4, fromMs: 100, withinMs: 900, forMs: 50 } as const
    fc.assert(
      fc.property(arbitrary(options), (plan) => {
        checkPlan(plan)
        expect(plan.starts.length).toBeGreaterThanOrEqual(2)
        expect(plan.starts.length).toBeLessThanOrEqual(6)
        expect(plan.faults.length).toBeLessThanOrEqual(4)
        for (const fault of plan.faults) {
          expect(fault.at).toBeGreaterThanOrEqual(100)
          expect(fault.at).toBeLessThanOrEqual(1000)
          if ('forMs' in fault) expect(fault.forMs).toBeLessThanOrEqual(50)
        }
      }),
    )
  })

  test('concurrentJoins only start nodes', () => {
    fc.assert(
      fc.property(concurrentJoins({ nodes: [3, 5], withinMs: 10 }), (plan) => {
        expect(plan.faults).toEqual([])
        expect(Math.max(...plan.starts)).toBeLessThanOrEqual(10)
      }),
    )
  })

  test('never take away all nodes for good', () => {
    fc.assert(
      fc.property(faults.any({ nodes: [2, 3], most: 10 }), (plan) => {
        const away = plan.faults.flatMap((fault) => {
          return (fault.type === 'crash' || fault.type === 'leave') && fault.restartMs === undefined ? [fault.node] : []
        })
        expect(new Set(away).size).toBeLessThan(plan.starts.length)
      }),
    )
  })

  test('shrink to the fewest nodes, one fault and seed 0', () => {
    const result = fc.check(
      fc.property(
        faults.any({ nodes: [2, 6], most: 5 }),
        (plan) => !plan.faults.some(({ type }) => type === 'partition'),
      ),
      { seed: 3, numRuns: 1000 },
    )
    const plan = result.counterexample?.[0] as Plan
    expect(plan).toMatchObject({ seed: 0, starts: [0, 0] })
    expect(plan.faults).toEqual([{ type: 'partition', at: 0, forMs: 1, groups: [[0]] }])
  })
})

test('a plan as code reads back as the plan, and is plain data', () => {
  for (let seed = 0; seed < 50; seed++) {
    const plan = drawPlan(seed, [2, 7], nodeFaultNames)
    checkPlan(plan)
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan)
    const literal = /\{ plan: ([\s\S]*), actors: /.exec(planAsCode(plan))?.[1] ?? ''
    expect(new Function(`return ${literal}`)()).toEqual(plan)
    for (const fault of plan.faults) expect(endOf(plan)).toBeGreaterThanOrEqual(fault.at)
  }
})
