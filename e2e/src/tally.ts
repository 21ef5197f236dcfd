/** Actors that know what was done with them, so that a scenario can tell whether any of it was lost or done twice. */

import { createHash } from 'node:crypto'
import { defineActor } from 'skep'

/** What each caller's calls came to: how many, and which was the last. */
export interface TallyReport {
  readonly counts: ReadonlyMap<string, number>
  /** Calls that came twice, too early or too late. */
  readonly faults: readonly string[]
}

const MOST_FAULTS = 5

/** Counts the calls of each caller, which number theirs from 1 on. */
export const Tally = defineActor('tally', {
  init: () => ({ counts: new Map<string, number>(), faults: [] as string[] }),
  on: {
    add: (self, caller: string, number: number): number => {
      const { counts, faults } = self.state
      const expected = (counts.get(caller) ?? 0) + 1
      if (number !== expected && faults.length < MOST_FAULTS)
        faults.push(`${caller}: ${number} came where ${expected} was to come`)
      counts.set(caller, number)
      return number
    },
    report: (self): TallyReport => self.state,
    node: (self) => self.node.name,
  },
})

/** Holds bytes. */
export const Blob = defineActor('blob', {
  init: () => ({ bytes: new Uint8Array() as Uint8Array, calls: 0 }),
  on: {
    fill: (self, bytes: Uint8Array) => {
      self.state.bytes = bytes
    },
    bytes: (self) => self.state.bytes,
    touch: (self) => {
      self.state.calls += 1
      return self.state.calls
    },
    digest: (self) => createHash('sha256').update(self.state.bytes).digest('hex'),
  },
})

/** Known to newer nodes only. */
export const Future = defineActor('future', { init: () => ({ n: 0 }), on: { node: (self) => self.node.name } })
