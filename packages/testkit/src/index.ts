/** A whole Skep cluster in one process, on a virtual clock and network, decided by one seed. */
export { type Fault, faultNames } from './machines/plan.js'
export type { Rule, RunReport, Summary, Violation } from './machines/report.js'
export { runSeed, type SimulateOptions, type SimulationResult, simulateMachines } from './machines/simulate.js'
export type { RunOptions } from './machines/world.js'
