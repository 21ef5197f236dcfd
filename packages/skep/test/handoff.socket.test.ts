/** Actors that go from node to node under calls: three whole nodes in one process, over real sockets on loopback. */

import { defineActor } from '@skep/actor'
import { staticPeers } from '@skep/cluster'
import { afterEach, describe, expect, it } from 'vitest'
import { type NodeConfig, type SkepNode, startNode, via } from '../src/index.js'

const Tally = defineActor('tally', {
  init: () => ({ seen: [] as string[] }),
  on: {
    add: (self, what: string) => self.state.seen.push(what),
    seen: (self) => self.state.seen,
    node: (self) => self.node.name,
  },
})

const Rooted = defineActor('rooted', { init: () => ({ n: 0 }), on: { node: (self) => self.node.name }, handoff: false })

const running: SkepNode[] = []

afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()))
})

async function start(name: string, config: Partial<NodeConfig> = {}): Promise<SkepNode> {
  // The first one, without any discovery, does not wait for others.
  const peers = running.map(({ address }) => address)
  const node = await startNode({
    name,
    cluster: 'test',
    actors: [Tally, Rooted],
    signals: false,
    logger: 'silent',
    ...(peers.length === 0 ? {} : { discovery: staticPeers(peers) }),
    ...config,
  })
  running.push(node)
  await node.ready({ timeout: 10_000 })
  return node
}

async function startThree(config: Partial<NodeConfig> = {}): Promise<[SkepNode, SkepNode, SkepNode]> {
  return [await start('one', config), await start('two', config), await start('three', config)]
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

const names = Array.from({ length: 40 }, (_, i) => `tally-${i}`)

/** A caller that adds 1, 2, 3 ... to each tally, without retries, until it is told to end. */
function caller(node: SkepNode, mark: string): { end(): Promise<Map<string, number>> } {
  let over = false
  const last = new Map<string, number>()
  const runs = names.map(async (name) => {
    const tally = node.via(Tally, name)
    for (let i = 1; !over; i++) {
      await tally.add(`${mark}${i}`)
      last.set(name, i)
    }
  })
  return {
    end: async () => {
      over = true
      await Promise.all(runs)
      return last
    },
  }
}

/** Each tally has seen each caller's additions once, in their order. */
async function checkTallies(node: SkepNode, callers: Record<string, Map<string, number>>): Promise<void> {
  for (const name of names) {
    const seen = await node.via(Tally, name).seen()
    for (const [mark, last] of Object.entries(callers)) {
      const own = seen.filter((one) => one.startsWith(mark))
      expect(own, name).toEqual(Array.from({ length: last.get(name) ?? 0 }, (_, i) => `${mark}${i + 1}`))
    }
  }
}

describe('placed actors', () => {
  it('are handed over by a node that drains, with no call failed, lost, done twice or out of order', async () => {
    const [one, two, three] = await startThree()
    await Promise.all(names.map((name) => one.spawn(Tally, via(name))))
    const here = three.registered({ local: true }).length
    expect(here).toBeGreaterThan(5)
    const callers = [caller(one, 'a'), caller(two, 'b')] as const
    await new Promise((resolve) => setImmediate(resolve))
    const report = await three.drain()
    expect(report).toEqual({ moved: here, unmoved: [] })
    const [a, b] = [await callers[0].end(), await callers[1].end()]
    await checkTallies(two, { a, b })
    expect(new Set(names.map((name) => two.whereis(name)?.node))).toEqual(new Set(['one', 'two']))
  }, 30_000)

  it('follow when a node joins, and not where that is switched off', async () => {
    const eager = { rebalance: 'eager' } as const
    const one = await start('one', eager)
    const two = await start('two', eager)
    await Promise.all(names.map((name) => one.spawn(Tally, via(name))))
    const call = caller(two, 'a')
    const three = await start('three', eager)
    await until(() => three.registered({ local: true }).length > 5)
    const belongs = (): boolean =>
      names.every((name) => {
        const { owner, holder } = one.explain(name)
        return owner?.node === holder?.node
      })
    await until(belongs)
    const a = await call.end()
    await checkTallies(one, { a })
  }, 30_000)

  it('stay where rebalance is never', async () => {
    const one = await start('one', { rebalance: 'never' })
    await Promise.all(names.map((name) => one.spawn(Tally, via(name))))
    const two = await start('two', { rebalance: 'never' })
    for (let i = 0; i < 20; i++) await one.spawn(Tally, via(`more-${i}`, { visible: 'all' }))
    expect(names.every((name) => two.whereis(name)?.node === 'one')).toBe(true)
  }, 30_000)

  it('are moved by name to any node, from any node; what cannot go says why', async () => {
    const [one, two, three] = await startThree({ rebalance: 'never' })
    await one.spawn(Tally, via('x'))
    const tally = one.via(Tally, 'x')
    await tally.add('before')
    for (const to of ['two', 'three', 'one', 'one', 'three']) {
      await two.move('x', to)
      expect(await tally.node()).toBe(to)
    }
    expect(await tally.seen()).toEqual(['before'])
    await expect(one.move('x', 'nowhere')).rejects.toMatchObject({ code: 'ERR_CANNOT_MOVE', message: /'nowhere'/ })
    await expect(one.move('nobody')).rejects.toMatchObject({ code: 'ERR_NOT_REGISTERED' })
    await one.start(Tally, via('here', { visible: 'all' }))
    await expect(three.move('here', 'two')).rejects.toMatchObject({ code: 'ERR_CANNOT_MOVE', message: /not placed/ })
    await one.spawn(Rooted, via('rooted'))
    await expect(one.move('rooted')).rejects.toMatchObject({ code: 'ERR_CANNOT_MOVE', message: /never handed over/ })
  }, 30_000)

  it('that cannot go are listed by a drain, and start afresh elsewhere', async () => {
    const [one, two, three] = await startThree({ rebalance: 'never' })
    const rooted = Array.from({ length: 12 }, (_, i) => `rooted-${i}`)
    await Promise.all(rooted.map((name) => one.spawn(Rooted, via(name))))
    const own = three.registered({ local: true }).map(({ name }) => name)
    expect(own.length).toBeGreaterThan(0)
    const report = await three.drain()
    expect(report.moved).toBe(0)
    expect(report.unmoved.map(({ name }) => name).sort()).toEqual(own.sort())
    expect(report.unmoved[0]?.reason).toMatch(/never handed over/)
    await until(() => rooted.every((name) => ['one', 'two'].includes(two.whereis(name)?.node ?? '')))
  }, 30_000)

  it('of the last node end with it, and the drain says so at once', async () => {
    const one = await start('one')
    await one.spawn(Tally, via('x'))
    const report = await one.drain({ timeout: 5000 })
    expect(report).toEqual({ moved: 0, unmoved: [{ name: 'x', reason: 'no other member can run it' }] })
  })
})
