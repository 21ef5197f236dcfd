/** What a simulation is started with, and the error with which it tells what it found. */
import type { AnyActor } from '@skep/actor'
import type { NodeConfig, SkepNode } from 'skep'
import type { LogLine } from './machine.js'
import { type Plan, planAsCode } from './plan.js'

/** What a rule may look at. */
export interface Observed {
  /** The live nodes. */
  readonly nodes: readonly SkepNode[]
  /** Virtual milliseconds since the beginning. */
  readonly now: number
}

/** A rule of the user's own: throws where it is broken. Asked by `check`. */
export type Invariant = (sim: Observed) => void | Promise<void>

export interface SimulateOptions {
  /** What befalls the cluster; made by hand or by `faults`. Gives the seed and the nodes. */
  readonly plan?: Plan
  /** Decides everything; drawn and printed where there is neither this nor a plan. */
  readonly seed?: number
  /** How many nodes start together where there is no plan: 3. */
  readonly nodes?: number
  readonly actors?: readonly AnyActor[]
  /** More of each node's configuration. */
  readonly config?: Partial<
    Pick<NodeConfig, 'isolation' | 'limits' | 'massLossPause' | 'partition' | 'roles' | 'weight'>
  >
  /** Rules of your own, by name: asked by `check`. */
  readonly invariants?: Readonly<Record<string, Invariant>>
  /** Milliseconds of virtual time within which `settle` demands rest: 60,000. */
  readonly restWithinMs?: number
  /** Milliseconds of virtual time that the simulation may last: an hour. */
  readonly limitMs?: number
  /** Gets the lines of all logs. */
  readonly log?: (line: LogLine) => void
}

/** A rule was broken, or there is no rest. The message has the seed and the plan to run it again. */
export class SimulationError extends Error {
  override readonly name = 'SimulationError'
  readonly seed: number
  readonly plan: Plan
  /** What is wrong, a line each. */
  readonly faults: readonly string[]

  constructor(what: string, faults: readonly string[], plan: Plan, atMs: number) {
    const lines = faults.map((fault) => `  - ${fault}`).join('\n')
    super(
      `${what} (seed ${plan.seed}, after ${(atMs / 1000).toFixed(3)} s):\n${lines}\nThe run again:\n${planAsCode(plan)}`,
    )
    this.seed = plan.seed
    this.plan = plan
    this.faults = faults
  }
}
