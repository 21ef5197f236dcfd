/** The yardstick of more cores: a process that does the same work as the actors, one piece after the other, and no call. */
import { serve } from '@skep/example-counter/processes'
import { cpuUs, type Slice } from './slice.js'
import { rightWork, work } from './work.js'

const steps = {
  cpu: cpuUs,
  work: (ms: number): Slice => {
    const begun = performance.now()
    let [ops, wrong] = [0, 0]
    for (; performance.now() < begun + ms; ops++) if (!rightWork(work(ops), ops)) wrong++
    const fault = wrong > 0 ? 'a wrong answer' : undefined
    return { ops, ms: performance.now() - begun, wrong, fault, p50Us: Number.NaN, p99Us: Number.NaN }
  },
}

export type BareSteps = typeof steps

// The answers are known before anybody looks at the clock.
rightWork(0, 0)
serve(steps)
