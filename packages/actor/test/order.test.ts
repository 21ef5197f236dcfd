/** One caller's calls to one name while the name moves from node to node. */
import { expect, test } from 'vitest'
import { defineActor, via } from '../src/index.js'
import { errorOf, rest, World } from './world.js'

const List = defineActor('list', {
  init: () => [] as number[],
  on: { add: (self, n: number) => self.state.push(n), all: (self) => self.state },
})

/** The name's actor on b ends and one on c begins, faster than what is under way to b arrives. */
async function moveAfter(send: (world: World) => void) {
  const world = new World()
  const [a, b, c] = ['a', 'b', 'c'].map((name) => world.add(name, { actors: [List] }))
  if (a === undefined || b === undefined || c === undefined) throw new Error('no nodes')
  const pid = await b.system.start(List, via('list'))
  send(world)
  const stopped = b.system.ref(List, pid).$.stop()
  await stopped
  const started = c.system.start(List, via('list'))
  await started
  return { world, a: a.system, c: c.system }
}

const first = (world: World) => [...world.nodes.values()][0]?.system

test('a call that was refused since its actor had ended follows the name', async () => {
  let one: Promise<unknown> | undefined
  const { a } = await moveAfter((world) => {
    one = first(world)?.via(List, 'list').add(1)
  })
  expect(await one).toBe(1)
  expect(await a.via(List, 'list').all()).toEqual([1])
})

test('but not behind a later call, which went to the new holder before: it fails, and was not done', async () => {
  let one: Promise<unknown> = Promise.resolve()
  const { a } = await moveAfter((world) => {
    one = first(world)?.via(List, 'list').add(1) ?? one
  })
  const two = a.via(List, 'list').add(2)
  const error = await errorOf(one)
  expect([error.code, error.sent]).toEqual(['ERR_NO_PROCESS', 'no'])
  await two
  expect(await a.via(List, 'list').all()).toEqual([2])
})

test('two that were refused both follow, in their order', async () => {
  const sent: (Promise<unknown> | undefined)[] = []
  const { a } = await moveAfter((world) => {
    for (const n of [1, 2, 3]) sent.push(first(world)?.via(List, 'list').add(n))
  })
  await Promise.all(sent)
  await rest()
  expect(await a.via(List, 'list').all()).toEqual([1, 2, 3])
})
