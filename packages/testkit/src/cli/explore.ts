/** One search of the explorer in a child process, so that a mutant can be made of its machines. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Exploration, ExploreOptions } from '../explorer/explore.js'
import type { LocatedPatch } from '../mutants/mutation.js'
import type { WorkerAnswer, WorkerTask } from './worker.js'

/** In MB: a search remembers every world it saw. */
const HEAP_MB = 6000

/** Rejects when the child fails. */
export function runExplore(options: ExploreOptions, patches: readonly LocatedPatch[]): Promise<Exploration> {
  const child = fork(fileURLToPath(new URL('./worker.js', import.meta.url)), [], {
    stdio: 'inherit',
    // A course is followed by recursion, an action a frame or two.
    execArgv: [`--max-old-space-size=${HEAP_MB}`, '--stack-size=3900'],
  })
  return new Promise((resolve, reject) => {
    child.on('message', (answer: WorkerAnswer) => {
      if (answer.type === 'explored') resolve(answer.exploration)
      else reject(new Error(answer.type === 'failed' ? answer.text : `unexpected answer '${answer.type}'`))
      child.disconnect()
    })
    child.on('error', reject)
    child.on('exit', (code, signal) => reject(new Error(`the explorer ended early (${signal ?? code})`)))
    child.send({ type: 'explore', patches, options } satisfies WorkerTask)
  })
}
