/** A counter that anybody in the cluster can call by its name. It lives on exactly one node. */

import { defineActor } from 'skep'

export const Counter = defineActor('counter', {
  init: (start: number) => ({ n: start }),
  on: {
    value: (self) => self.state.n,
    increment: (self, by: number = 1) => {
      self.state.n += by
      return self.state.n
    },
    async *ticks(self, upTo: number) {
      for (let i = 0; i < upTo; i++) yield self.state.n + i
    },
  },
})
