/** Runs in child processes: as many as there are jobs, each given the next few seeds when it is done with its last. */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { RunReport } from '../machines/report.js'
import type { LocatedPatch } from '../mutants/mutation.js'
import type { LevelOptions, Page, WorkerAnswer, WorkerTask } from './worker.js'

export interface JobsOptions {
  readonly seed: number
  readonly runs: number
  readonly jobs: number
  readonly run: LevelOptions
  readonly trace: boolean
  /** Only of one run. */
  readonly page?: Page | undefined
  readonly patches: readonly LocatedPatch[]
}

/** Seeds handed out at once: few enough that the jobs end together. */
const MAX_CHUNK = 20

/**
 * Runs all seeds and calls `take` for each report, in any order of seeds. Once `take` returns false no more seeds are
 * given out; what is under way still comes, so every seed below one that was taken is taken. Rejects when a child fails.
 */
export function runJobs(options: JobsOptions, take: (report: RunReport) => boolean): Promise<void> {
  const chunk = Math.max(1, Math.min(MAX_CHUNK, Math.ceil(options.runs / options.jobs / 4)))
  let given = 0
  let stopped = false

  const next = (): WorkerTask | undefined => {
    if (stopped || given >= options.runs) return undefined
    const runs = Math.min(chunk, options.runs - given)
    const task: WorkerTask = { type: 'run', seed: options.seed + given, runs }
    given += runs
    return task
  }
  const accept = (reports: readonly RunReport[]): void => {
    for (const report of reports) if (!take(report)) stopped = true
  }
  const children = Array.from({ length: options.jobs }, () => runChild(options, next, accept))
  return Promise.all(children).then(() => undefined)
}

function runChild(
  options: JobsOptions,
  next: () => WorkerTask | undefined,
  accept: (reports: readonly RunReport[]) => void,
): Promise<void> {
  const child = fork(fileURLToPath(new URL('./worker.js', import.meta.url)), [], { stdio: 'inherit' })
  return new Promise((resolve, reject) => {
    let done = false
    child.on('message', (answer: WorkerAnswer) => {
      if (answer.type === 'failed') return fail(child, reject, answer.text)
      if (answer.type === 'reports') accept(answer.reports)
      const task = next()
      if (task !== undefined) return void child.send(task)
      done = true
      child.disconnect()
    })
    child.on('error', reject)
    child.on('exit', (code, signal) => {
      if (done) resolve()
      else reject(new Error(`a simulator process ended early (${signal ?? code})`))
    })
    child.send({
      type: 'begin',
      patches: options.patches,
      options: options.run,
      trace: options.trace,
      page: options.page,
    } satisfies WorkerTask)
  })
}

function fail(child: ChildProcess, reject: (error: Error) => void, text: string): void {
  reject(new Error(text))
  child.disconnect()
}
