/** Runs of the machine-level simulator: one by its seed, or many that are added up. */
import { type RunReport, type Summary, Tally, type Violation } from './report.js'
import { type RunOptions, World } from './world.js'

/** One run. Equal options give equal reports, the hash of all events included. */
export function runSeed(options: RunOptions): RunReport {
  return new World(options).run()
}

export interface SimulateOptions extends Omit<RunOptions, 'seed'> {
  /** Of the first run; the others count up from it. */
  readonly seed: number
  readonly runs: number
}

export interface SimulationResult extends Summary {
  /** The first violation of each run that had one, in the order of the seeds; at most 100. */
  readonly found: readonly Violation[]
}

/** Violations kept whole; more of them are only counted. */
export const maxFound = 100

/** `runs` runs from `seed` on, one after the other in this process. */
export function simulateMachines(options: SimulateOptions): SimulationResult {
  const { runs, ...run } = options
  const tally = new Tally()
  const found: Violation[] = []
  for (let i = 0; i < runs; i++) {
    const report = runSeed({ ...run, seed: options.seed + i })
    tally.add(report)
    const first = report.violations[0]
    if (first !== undefined && found.length < maxFound) found.push(first)
  }
  return { ...tally.summary(), found }
}
