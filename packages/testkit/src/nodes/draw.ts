/** The plan of one run of the workload: what one seed makes of the faults that are asked for. */
import { below, nextFloat, type Random, seedRandom } from '@skep/cluster/core'
import type { Fault, Plan } from './plan.js'

/** `joins`: nodes start at other moments than all together, and those that are gone come back. */
export const nodeFaultNames = ['joins', 'leaves', 'crashes', 'cuts', 'stalls'] as const
export type NodeFaultName = (typeof nodeFaultNames)[number]

/** All faults strike before this. */
export const actMs = 12_000

export function drawPlan(seed: number, nodes: readonly [number, number], faults: readonly NodeFaultName[]): Plan {
  const random = seedRandom(Math.imul(seed + 1, 0x9e3779b1) ^ 0x51ab1e)
  const [least, most] = nodes
  const count = least + below(random, most - least + 1)
  const joins = faults.includes('joins')
  const spreadMs = joins ? ([0, 20, 300, 3000][below(random, 4)] ?? 0) : 0
  const starts = Array.from({ length: count }, () => Math.floor(nextFloat(random) * spreadMs))
  const names = faults.filter((name) => name !== 'joins')
  const drawn: Fault[] = []
  // One node is never taken away for good.
  const stays = below(random, count)
  for (let i = names.length === 0 ? 0 : below(random, 5); i > 0; i--) {
    const fault = drawFault(random, names[below(random, names.length)], count, joins, stays)
    if (fault !== undefined) drawn.push(fault)
  }
  const calmMs = 0.2 + nextFloat(random) * 4
  const tailMs = calmMs + nextFloat(random) * 200
  const network = { calmMs, tailMs, tailShare: nextFloat(random) * 0.1, slowLinks: nextFloat(random) < 0.3 ? 0.2 : 0 }
  return { seed, starts, faults: drawn, network }
}

function drawFault(
  random: Random,
  name: NodeFaultName | undefined,
  count: number,
  joins: boolean,
  stays: number,
): Fault | undefined {
  const at = Math.floor(nextFloat(random) * actMs)
  const node = below(random, count)
  // Long enough that some are declared down, and short enough that most are not.
  const forMs = Math.floor(nextFloat(random) ** 2 * 10_000)
  const restart = joins && nextFloat(random) < 0.6 ? { restartMs: Math.floor(nextFloat(random) * 2000) } : {}
  switch (name) {
    case 'leaves':
    case 'crashes':
      if (node === stays && !('restartMs' in restart)) return undefined
      return { type: name === 'leaves' ? 'leave' : 'crash', at, node, ...restart }
    case 'stalls':
      return { type: 'stall', at, node, forMs }
    case 'cuts': {
      const to = (node + 1 + below(random, Math.max(1, count - 1))) % count
      if (to === node) return undefined
      const oneWay = nextFloat(random) < 0.3
      if (nextFloat(random) < 0.5) return { type: 'cut', at, forMs, from: node, to, oneWay }
      return { type: 'partition', at, forMs, groups: [[node]] }
    }
    default:
      return undefined
  }
}
