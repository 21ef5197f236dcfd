/** A whole Skep cluster in one process, on a virtual clock and network, decided by one seed. */
export { type Fault, faultNames } from './plan.js'
export type { Rule, RunReport, Summary, Violation } from './report.js'
export { runSeed, type SimulateOptions, type SimulationResult, simulateMachines } from './simulate.js'
export type { RunOptions } from './world.js'
