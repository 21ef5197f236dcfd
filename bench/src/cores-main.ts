/** A machine: the supervisor of so many workers. */
import { serve } from '@skep/example-counter/processes'
import { startWorkers } from 'skep'

export interface MachineArgument {
  readonly name: string
  readonly cluster: string
  readonly workers: number
}

const { workers: count } = JSON.parse(process.argv[2] ?? '{}') as MachineArgument

const workers = await startWorkers(new URL('./cores-node.js', import.meta.url), { workers: count, logger: 'warn' })

const steps = { ready: () => workers.ready() }

export type MachineSteps = typeof steps

serve(steps)
