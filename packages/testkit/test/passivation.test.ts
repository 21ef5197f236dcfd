/** Actors that end when nothing comes, in whole nodes on a virtual clock. */
import { defineActor, isSkepError, type SkepNode, via } from 'skep'
import { expect, test } from 'vitest'
import { simulate } from '../src/index.js'

test('a placed actor that was idle is nowhere, and runs again for whoever asks through ensure, also as it ends', async () => {
  const store = new Map<string, number>()
  const stops: string[] = []
  const Room = defineActor('room', {
    init: (name: string) => ({ n: store.get(name) ?? 0 }),
    idleAfter: 1000,
    restart: 'permanent',
    on: { add: (self) => ++self.state.n },
    onStop: async (self, reason) => {
      stops.push(reason)
      await new Promise<void>((resolve) => void self.node.ensure(Slow, via('slow')).wait().then(resolve))
      store.set(self.name ?? '', self.state.n)
    },
  })
  const Slow = defineActor('slow', {
    init: () => 0,
    on: {
      wait: (self) =>
        new Promise<void>((resolve) => {
          self.after(200, () => resolve())
        }),
    },
    reentrant: true,
  })
  await using sim = await simulate({ seed: 3, nodes: 3, actors: [Room, Slow] })
  await sim.settle()
  const [a, b, c] = sim.nodes as [SkepNode, SkepNode, SkepNode]
  const rooms = [a, b, c].map((node) => node.ensure(Room, via('r'), 'r'))
  expect(await rooms[0]?.add()).toBe(1)
  await sim.advance(5000)
  expect(stops).toEqual(['idle'])
  // No policy takes its end for a failure.
  expect(a.whereis('r')).toBeUndefined()
  const refused = await a
    .via(Room, 'r')
    .add()
    .catch((error: unknown) => isSkepError(error) && error.code)
  expect(refused).toBe('ERR_NOT_REGISTERED')
  // Each of these meets it on its way out, at its own node or another one.
  for (let round = 0; round < 4; round++) {
    await rooms[1]?.add()
    await sim.advance(1050 + round * 50)
    await Promise.all(rooms.map((room) => room.add()))
    await sim.advance(3000)
  }
  expect(store.get('r')).toBe(1 + 4 * 4)
  await sim.settle()
  sim.check()
})
