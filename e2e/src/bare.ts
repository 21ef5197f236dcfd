/** The yardstick of a cold start: a process that imports what a node imports, says so, and is nothing else. */

import { serve } from '@skep/example-counter/processes'
import * as skep from 'skep'
import { Place } from './place.js'

const steps = {
  imported: () => ({ at: Number(process.hrtime.bigint()) / 1e6, exports: Object.keys({ ...skep, Place }).length }),
}

export type BareSteps = typeof steps

serve(steps)
