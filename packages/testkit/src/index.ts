/** A whole Skep cluster in one process, on a virtual clock and network, decided by one seed. */
export { type Fault, faultNames, usualFaults } from './machines/plan.js'
export type { Rule, RunReport, Summary, Violation } from './machines/report.js'
export { runSeed, type SimulateOptions, type SimulationResult, simulateMachines } from './machines/simulate.js'
export type { RunOptions } from './machines/world.js'
export type { NetworkShape } from './nodes/connection.js'
export { type FaultOptions, faults, type JoinOptions } from './nodes/faults.js'
export type { LogLine } from './nodes/machine.js'
export {
  type Invariant,
  type Observed,
  type SimulateOptions as SimulateNodesOptions,
  SimulationError,
} from './nodes/options.js'
export type { Fault as NodeFault, Plan } from './nodes/plan.js'
export { type Simulation, simulate, withSimulation } from './nodes/simulation.js'
