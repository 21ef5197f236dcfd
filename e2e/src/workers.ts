/** Starts nodes that drive calls, and adds up what came of them. */

import { type Process, startProcess } from '@skep/example-counter/processes'
import { type Checks, eventually, within } from './scenario.js'
import type { Summary } from './statistics.js'
import type { TallyReport } from './tally.js'
import type { WorkerArgument, WorkerSteps } from './worker.js'

export type Worker = Process<WorkerSteps> & { readonly name: string; readonly argument: WorkerArgument }

const PROGRAM = new URL('./worker.js', import.meta.url)
const READY_MS = 60_000

export function startWorker(argument: WorkerArgument, program: URL = PROGRAM): Worker {
  return Object.assign(startProcess<WorkerSteps>(program, argument), { name: argument.name, argument })
}

/** Ready, and each knows all of them. */
export async function joined(workers: readonly Worker[]): Promise<void> {
  await Promise.all(workers.map((worker) => within(READY_MS, `${worker.name} ready`, worker.ask('ready', READY_MS))))
  for (const worker of workers) {
    const members = await eventually(
      10_000,
      () => worker.ask('members'),
      (names) => names.length === workers.length,
    )
    if (members.length !== workers.length) throw new Error(`${worker.name} lists ${members.join(' ')}`)
  }
}

/** What a driver says at its end. */
export interface Driven {
  readonly caller: string
  readonly sent: ReadonlyMap<string, number>
  readonly answered: number
  readonly failed: number
  readonly errors: readonly string[]
  readonly ms: Summary
}

/** No call failed, each was done once, and in its caller's order. */
export function checkDone(
  checks: Checks,
  driven: readonly Driven[],
  reports: readonly (TallyReport & { readonly name: string })[],
): { calls: number; failed: number; lost: number; faults: number } {
  const calls = driven.reduce((sum, one) => sum + one.answered + one.failed, 0)
  const failed = driven.reduce((sum, one) => sum + one.failed, 0)
  const errors = driven.flatMap((one) => one.errors)
  checks.check('no call failed', failed === 0, `${failed} of ${calls}: ${errors.slice(0, 10).join('\n')}`)
  const wrong: string[] = []
  for (const { caller, sent } of driven) {
    for (const [name, number] of sent) {
      const done = reports.find((report) => report.name === name)?.counts.get(caller) ?? 0
      if (done !== number) wrong.push(`${name}: ${done} of ${number} of ${caller}`)
    }
  }
  checks.check('no increment is lost', wrong.length === 0, `${wrong.length}: ${wrong.slice(0, 10).join('\n')}`)
  const faults = reports.flatMap(({ name, faults: own }) => own.map((fault) => `${name}: ${fault}`))
  const all = faults.slice(0, 10).join('\n')
  checks.check('none is done twice or out of its caller’s order', faults.length === 0, `${faults.length}: ${all}`)
  return { calls, failed, lost: wrong.length, faults: faults.length }
}
