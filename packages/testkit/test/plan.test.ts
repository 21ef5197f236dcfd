import { expect, test } from 'vitest'
import { actMs, type Fault, makePlan, type Plan } from '../src/machines/plan.js'

function plans(faults: readonly Fault[], nodes: [number, number] = [2, 20]): Plan[] {
  return [...Array(300).keys()].map((seed) => makePlan({ seed, nodes, faults }))
}

test('the number of nodes is drawn from the whole range', () => {
  const counts = new Set(plans([]).map((plan) => plan.starts.length))
  expect([...counts].sort((a, b) => a - b)).toEqual([...Array(19).keys()].map((i) => i + 2))
})

test('faults that are not asked for do not happen', () => {
  for (const plan of plans([])) {
    expect(plan.leaves).toEqual([])
    expect(plan.drops).toEqual([])
    expect(Math.max(...plan.starts.map((start) => start.at))).toBeLessThan(200)
  }
})

test('at least one node never leaves, and nobody leaves before it starts', () => {
  for (const plan of plans(['joins', 'leaves'])) {
    expect(plan.leaves.length).toBeLessThan(plan.starts.length)
    for (const leave of plan.leaves) expect(leave.at).toBeGreaterThan(plan.starts[leave.node]?.at ?? Infinity)
  }
})

test('a formation is drawn beside the rest of the plan, which stays as it was', () => {
  const faults: Fault[] = ['joins', 'leaves', 'loss', 'crashes', 'cuts', 'discovery']
  const [without, beside] = [plans(faults), plans([...faults, 'formation'])]
  expect(beside.map((plan) => ({ ...plan, formation: undefined }))).toEqual(without)
  const drawn = beside.flatMap(({ formation }) => formation ?? [])
  expect(drawn.length).toBeGreaterThan(60)
  expect(drawn.length).toBeLessThan(120)
  for (const { formation, starts } of plans(['formation'])) {
    expect(formation?.expect).toBeGreaterThanOrEqual(1)
    expect(formation?.expect).toBeLessThanOrEqual(starts.length)
  }
})

test('all strikes fall into the first act', () => {
  for (const plan of plans(['joins', 'leaves', 'loss'])) {
    for (const at of [...plan.ops, ...plan.drops]) expect(at).toBeLessThanOrEqual(actMs + 50)
    expect(plan.ops.length).toBeGreaterThanOrEqual(100)
  }
})

test('all at once, in waves and one by one are all drawn', () => {
  const spans = plans(['joins'], [6, 6]).map((plan) => {
    const at = plan.starts.map((start) => start.at)
    return Math.max(...at) - Math.min(...at)
  })
  expect(spans.filter((span) => span < 200).length).toBeGreaterThan(60)
  expect(spans.filter((span) => span > 1000).length).toBeGreaterThan(60)
})
