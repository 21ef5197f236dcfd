/** The supervisor of two workers, as a user writes it; besides, it says when all are ready. */

import { serve } from '@skep/example-counter/processes'
import { startWorkers } from 'skep'
import type { CoresArgument } from './cores-node.js'

const { admin } = JSON.parse(process.argv[2] ?? '{}') as CoresArgument

const workers = await startWorkers(new URL('./cores-node.js', import.meta.url), { workers: 2, admin })

const steps = {
  ready: async () => {
    await workers.ready()
    return { at: Number(process.hrtime.bigint()) / 1e6 }
  },
}

export type CoresSteps = typeof steps

serve(steps)
