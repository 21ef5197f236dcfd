/** An actor that tells which process runs it. */

import { defineActor } from 'skep'

export const Place = defineActor('place', {
  init: () => ({}),
  on: {
    process: () => process.pid,
  },
})
