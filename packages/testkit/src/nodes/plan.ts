/**
 * What befalls a simulated cluster: when its nodes start, and which faults strike when. Plain data, so that a run can
 * be printed, pasted into a test and shrunk. Who talks to whom and how long each frame takes follows from the seed.
 */
import { inspect } from 'node:util'
import type { NetworkShape } from './connection.js'

/** `at` and all other times are milliseconds; `at` counts from when all nodes of the plan have been started. */
export type Fault =
  /** The process is killed; started again after `restartMs`, where given. */
  | { readonly type: 'crash'; readonly at: number; readonly node: number; readonly restartMs?: number }
  /** The node drains; started again so long after it has gone, where given. */
  | { readonly type: 'leave'; readonly at: number; readonly node: number; readonly restartMs?: number }
  /** Nothing passes between different groups; nodes in none are a group of their own. */
  | {
      readonly type: 'partition'
      readonly at: number
      readonly forMs: number
      readonly groups: readonly (readonly number[])[]
    }
  /** Nothing passes from `from` to `to`; back neither, unless `oneWay`. */
  | {
      readonly type: 'cut'
      readonly at: number
      readonly forMs: number
      readonly from: number
      readonly to: number
      readonly oneWay: boolean
    }
  /** The process stands still. */
  | { readonly type: 'stall'; readonly at: number; readonly node: number; readonly forMs: number }
  /** The time of day of the machine jumps. */
  | { readonly type: 'clock'; readonly at: number; readonly node: number; readonly stepMs: number }

export interface Plan {
  readonly seed: number
  /** When each node starts: one a node. */
  readonly starts: readonly number[]
  readonly faults: readonly Fault[]
  /** What differs from a fast local network. */
  readonly network?: Partial<NetworkShape>
}

/** When the last fault of the plan is over. */
export function endOf(plan: Plan): number {
  let end = 0
  for (const fault of plan.faults) {
    const lasts = 'forMs' in fault ? fault.forMs : 'restartMs' in fault ? (fault.restartMs ?? 0) : 0
    end = Math.max(end, fault.at + lasts)
  }
  return end
}

/** Throws a TypeError for a plan that no simulation can follow. */
export function checkPlan(plan: Plan): void {
  const { seed, starts, faults } = plan
  if (!Number.isInteger(seed)) throw new TypeError(`simulate: the seed must be a whole number, not ${String(seed)}`)
  if (!Array.isArray(starts) || starts.length === 0 || starts.length > 300) {
    throw new TypeError('simulate: the plan must start 1 to 300 nodes')
  }
  for (const at of starts) checkTime(at, 'starts')
  for (const fault of faults) {
    checkTime(fault.at, `the fault '${fault.type}'`)
    const touched =
      fault.type === 'partition' ? fault.groups.flat() : 'node' in fault ? [fault.node] : [fault.from, fault.to]
    for (const node of touched) {
      if (starts[node] !== undefined) continue
      throw new TypeError(
        `simulate: the fault '${fault.type}' is about node ${node} of ${starts.length}, counted from 0`,
      )
    }
  }
}

function checkTime(at: number, what: string): void {
  if (typeof at === 'number' && at >= 0 && at <= 3_600_000) return
  throw new TypeError(`simulate: ${what}: a time must be 0 to 3,600,000 ms, not ${String(at)}`)
}

/** The plan as code to paste into a test. */
export function planAsCode(plan: Plan): string {
  const text = inspect(plan, { depth: 6, breakLength: 100, maxArrayLength: null, compact: 3 })
  return `await using sim = await simulate({ plan: ${text}, actors: [/* yours */] })`
}
