/** A node joins another one, over real sockets, that has many names and registers more without a pause. */

import { defineActor } from '@skep/actor'
import { staticPeers } from '@skep/cluster'
import { afterEach, expect, it } from 'vitest'
import { anonymous, type SkepNode, startNode } from '../src/index.js'
import { layersOf } from '../src/internal.js'

const Holder = defineActor('holder', { init: () => 0, on: {} })

/** Several chunks of a log. */
const HELD = 20_000
/** Many more than are kept for who missed a few: all of them only where the newcomer waits for their end. */
const MOST = 500_000

const running: SkepNode[] = []

afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()))
})

async function start(name: string, known?: SkepNode): Promise<SkepNode> {
  const discovery = known === undefined ? {} : { discovery: staticPeers([known.address]) }
  const node = await startNode({
    name,
    cluster: 'test',
    actors: [Holder],
    signals: false,
    logger: 'silent',
    ...discovery,
  })
  running.push(node)
  return node
}

it('has all names while more are registered, and is given none that is held', async () => {
  const old = await start('old')
  await old.ready({ timeout: 10_000 })
  const pid = await old.start(Holder, anonymous)
  const { tracker } = layersOf(old)
  const register = (name: string): Promise<unknown> => tracker.register(name, pid, { mode: 'local' })
  for (let i = 0; i < HELD; i++) await register(`held-${i}`)

  const joiner = await start('new', old)
  const own = await joiner.start(Holder, anonymous)
  let written = 0
  let joined = false
  const writing = (async (): Promise<void> => {
    for (; !joined && written < MOST; written++) await register(`more-${written}`)
  })()
  const grabs = Array.from({ length: 500 }, (_, i) =>
    layersOf(joiner).tracker.register(`held-${i}`, own, { timeout: 60_000 }),
  )
  const grabbed = await Promise.allSettled(grabs)
  await joiner.ready({ timeout: 60_000 })
  joined = true
  await writing

  expect(written).toBeGreaterThan(2048)
  expect(written).toBeLessThan(MOST)
  expect(grabbed.filter(({ status }) => status === 'fulfilled')).toEqual([])
  for (let i = 0; i < HELD; i++) expect(joiner.whereis(`held-${i}`)?.node).toBe('old')
})
