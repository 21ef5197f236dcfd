/** Groups of whole nodes while their members go from node to node. */
import { defineActor, via } from 'skep'
import { expect, test } from 'vitest'
import { simulate } from '../src/index.js'

const Listener = defineActor('listener', {
  init: () => ({ heard: [] as number[] }),
  on: {
    hear: (self, n: number) => {
      self.state.heard.push(n)
    },
    heard: (self) => self.state.heard,
  },
})

test('what is published while members are handed over comes to each of them once', async () => {
  await using sim = await simulate({ seed: 1, nodes: 4, actors: [Listener] })
  await sim.settle()
  const [teller, mover] = sim.nodes
  if (teller === undefined || mover === undefined) throw new Error('no node runs')
  const names = Array.from({ length: 10 }, (_, i) => `listener-${i}`)
  const group = teller.group(Listener, 'all')
  for (const name of names) await group.join(await mover.spawn(Listener, via(name)))
  await sim.advance(1000)
  let told = 0
  for (const name of names) {
    const moving = mover.move(name)
    let open = true
    void moving.finally(() => {
      open = false
    })
    while (open) {
      expect(group.pids()).toHaveLength(names.length)
      told += 1
      group.cast.hear(told)
      await sim.advance(1)
    }
    await moving
  }
  await sim.advance(1000)
  expect(told).toBeGreaterThan(names.length)
  const all = Array.from({ length: told }, (_, i) => i + 1)
  for (const name of names) expect(await teller.via(Listener, name).heard()).toEqual(all)
})
