/** An actor that tells which process runs it and counts its calls; and what each process knows of those that ran in it. */

import { defineActor } from 'skep'

/** Who answered: two copies of a name differ in all of it but the name. */
export interface Who {
  readonly process: number
  readonly pid: string
  readonly boot: string
  readonly fence: number
}

/**
 * The names of the copies that run in this process: the truth about them, whatever any registry says. By their state,
 * which stays the same object where a pid does not: it is another one once the node has become another boot.
 */
export const copies: Map<object, string> = new Map()

/** When a call last ran in this process, by name, on the clock that all processes of a host share. */
export const lastRun: Map<string, number> = new Map()

export const Place = defineActor('place', {
  // A count for each copy that ever ran, so that what two of them did can be merged. By its pid: one node may run
  // several copies in the course of time.
  init: () => ({ calls: new Map<string, number>() }),
  onStart: (self) => {
    if (self.name !== undefined) copies.set(self.state, self.name)
  },
  onStop: (self) => {
    copies.delete(self.state)
  },
  on: {
    process: () => process.pid,
    who: (self): Who => {
      const pid = String(self.pid)
      self.state.calls.set(pid, (self.state.calls.get(pid) ?? 0) + 1)
      if (self.name !== undefined) lastRun.set(self.name, Number(process.hrtime.bigint()) / 1e6)
      return { process: process.pid, pid, boot: self.pid.boot, fence: self.fence }
    },
    /** Calls of `who` that all copies have run, as far as this one knows. */
    total: (self) => [...self.state.calls.values()].reduce((sum, count) => sum + count, 0),
  },
  onConflict: (self, theirs) => {
    const { calls } = self.state
    for (const [pid, count] of theirs.calls) calls.set(pid, Math.max(count, calls.get(pid) ?? 0))
  },
})
