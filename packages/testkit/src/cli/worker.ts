/**
 * A child process of the simulator's command: it gets its options (and perhaps a mutant), then ranges of seeds, and
 * answers each with the reports of their runs; or a tiny world, and answers with what the explorer found in it. Imports
 * both only when it knows which mutant to make of the machines.
 */
import { register } from 'node:module'
import type { Exploration, ExploreOptions } from '../explorer/explore.js'
import type { RunReport } from '../machines/report.js'
import type { RunOptions } from '../machines/world.js'
import type { LocatedPatch } from '../mutants/mutation.js'

export type WorkerTask =
  | {
      readonly type: 'begin'
      readonly patches: readonly LocatedPatch[]
      readonly options: Omit<RunOptions, 'seed' | 'trace'>
      readonly trace: boolean
    }
  | { readonly type: 'run'; readonly seed: number; readonly runs: number }
  | { readonly type: 'explore'; readonly patches: readonly LocatedPatch[]; readonly options: ExploreOptions }

export type WorkerAnswer =
  | { readonly type: 'ready' }
  | { readonly type: 'reports'; readonly reports: readonly RunReport[] }
  | { readonly type: 'explored'; readonly exploration: Exploration }
  | { readonly type: 'failed'; readonly text: string }

let runOne: ((seed: number) => RunReport) | undefined

process.on('message', (task: WorkerTask) => {
  perform(task).then(answer, (error: unknown) => {
    answer({ type: 'failed', text: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  })
})
process.on('disconnect', () => process.exit(0))

function answer(message: WorkerAnswer): void {
  process.send?.(message)
}

async function perform(task: WorkerTask): Promise<WorkerAnswer> {
  if (task.type !== 'run' && task.patches.length > 0) {
    register('../mutants/mutation.js', { parentURL: import.meta.url, data: task.patches })
  }
  if (task.type === 'explore') {
    const { explore } = await import('../explorer/explore.js')
    return { type: 'explored', exploration: explore(task.options) }
  }
  if (task.type === 'begin') {
    const { runSeed } = await import('../machines/simulate.js')
    const trace = task.trace ? (line: string) => void process.stdout.write(`${line}\n`) : undefined
    runOne = (seed) => runSeed({ ...task.options, seed, trace })
    return { type: 'ready' }
  }
  if (runOne === undefined) throw new Error('worker: runs were asked for before it was told how')
  const reports: RunReport[] = []
  for (let i = 0; i < task.runs; i++) reports.push(runOne(task.seed + i))
  return { type: 'reports', reports }
}
