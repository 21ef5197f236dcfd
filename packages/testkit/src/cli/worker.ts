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
import type { NodesRunOptions } from '../nodes/workload.js'

/** What all runs have in common, by the level at which they run. */
export type LevelOptions =
  | { readonly level: 'machines'; readonly run: Omit<RunOptions, 'seed' | 'trace'> }
  | { readonly level: 'nodes'; readonly run: Omit<NodesRunOptions, 'seed' | 'trace'> }

/** Where the page of a run goes, and the command that it names. */
export interface Page {
  readonly file: string
  readonly command: string
}

export type WorkerTask =
  | {
      readonly type: 'begin'
      readonly patches: readonly LocatedPatch[]
      readonly options: LevelOptions
      readonly trace: boolean
      readonly page: Page | undefined
    }
  | { readonly type: 'run'; readonly seed: number; readonly runs: number }
  | { readonly type: 'explore'; readonly patches: readonly LocatedPatch[]; readonly options: ExploreOptions }

export type WorkerAnswer =
  | { readonly type: 'ready' }
  | { readonly type: 'reports'; readonly reports: readonly RunReport[] }
  | { readonly type: 'explored'; readonly exploration: Exploration }
  | { readonly type: 'failed'; readonly text: string }

let runOne: ((seed: number) => RunReport | Promise<RunReport>) | undefined

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
    const trace = task.trace ? (line: string) => void process.stdout.write(`${line}\n`) : undefined
    const { page, options } = task
    if (page !== undefined && options.level === 'machines') {
      const { recordRun } = await import('../viewer/record.js')
      runOne = (seed) => recordRun({ ...options.run, seed, trace }, page.file, page.command)
    } else runOne = await runnerOf(options, trace)
    return { type: 'ready' }
  }
  if (runOne === undefined) throw new Error('worker: runs were asked for before it was told how')
  const reports: RunReport[] = []
  for (let i = 0; i < task.runs; i++) reports.push(await runOne(task.seed + i))
  return { type: 'reports', reports }
}

async function runnerOf(
  { level, run }: LevelOptions,
  trace: ((line: string) => void) | undefined,
): Promise<(seed: number) => RunReport | Promise<RunReport>> {
  if (level === 'nodes') {
    const { runNodesSeed } = await import('../nodes/workload.js')
    return (seed) => runNodesSeed({ ...run, seed, trace })
  }
  const { runSeed } = await import('../machines/simulate.js')
  return (seed) => runSeed({ ...run, seed, trace })
}
