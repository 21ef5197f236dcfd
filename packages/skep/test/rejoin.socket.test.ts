/** Three whole nodes over real sockets, one of which the others come to hold down: its actors live on. */

import { defineActor } from '@skep/actor'
import { staticPeers } from '@skep/cluster'
import { encodeFrame, type Member } from '@skep/cluster/core'
import { afterEach, describe, expect, it } from 'vitest'
import { type SkepNode, startNode, via } from '../src/index.js'
import { layersOf } from '../src/internal.js'

const Other = defineActor('other', {
  init: (start: number) => ({ n: start }),
  on: { increment: (self) => ++self.state.n },
})

const Counter = defineActor('counter', {
  init: (start: number) => ({ n: start }),
  on: {
    increment: (self, by: number = 1) => (self.state.n += by),
    boot: (self) => self.pid.boot,
    askBack: async (self) => `${self.node.name} ${await self.node.via(Other, 'other').increment()}`,
  },
})

const running: SkepNode[] = []

afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()))
})

async function start(...known: readonly SkepNode[]): Promise<SkepNode> {
  const node = await startNode({
    name: `node-${running.length + 1}`,
    cluster: 'test',
    actors: [Counter, Other],
    signals: false,
    logger: 'silent',
    ...(known.length === 0 ? {} : { discovery: staticPeers(known.map(({ address }) => address)) }),
  })
  running.push(node)
  await node.ready({ timeout: 10_000 })
  return node
}

async function startThree(): Promise<[SkepNode, SkepNode, SkepNode]> {
  const one = await start()
  const two = await start(one)
  return [one, two, await start(one, two)]
}

/** Resolves once it holds; the test's own time limit is the bound. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

/** `by` tells `teller` that `node` is down; what follows is theirs. Resolves when the node is ready as another boot. */
async function condemn(by: SkepNode, teller: SkepNode, node: SkepNode): Promise<string> {
  const { boot } = node
  const down = { ...(layersOf(by).cluster.member(boot) as Member), phase: 'down' as const }
  const news = encodeFrame({ type: 'news', members: [down] }, () => [])
  expect(layersOf(by).cluster.post(teller.boot, news)).toBe('sent')
  await until(() => node.boot !== boot)
  await node.ready({ timeout: 10_000 })
  const all = running.map((one) => one.boot).sort()
  await until(() =>
    running.every(
      (one) =>
        one
          .members()
          .map((member) => member.boot)
          .sort()
          .join() === all.join() && all.every((peer) => peer === one.boot || layersOf(one).cluster.linked(peer)),
    ),
  )
  return boot
}

/** How many actors live on all nodes. */
const actors = (): number => running.reduce((sum, node) => sum + layersOf(node).actors.stats().actors, 0)

describe('a node that the others hold to be down while it lives', () => {
  it('has its named actor again, with its state, for callers everywhere; nothing of the old boot is left', async () => {
    const [one, two, three] = await startThree()
    await three.start(Counter, via('mine', { visible: 'all' }), 0)
    await one.start(Other, via('other', { visible: 'all' }), 10)
    expect(await one.via(Counter, 'mine').increment()).toBe(1)
    const old = await condemn(two, one, three)
    await until(() => [one, two, three].every((node) => node.whereis('mine')?.boot === three.boot))
    expect(await one.via(Counter, 'mine').increment()).toBe(2)
    expect(await two.via(Counter, 'mine').increment()).toBe(3)
    expect(await three.via(Counter, 'mine').boot()).toBe(three.boot)
    expect(await two.via(Counter, 'mine').askBack()).toBe('node-3 11')
    expect(three.boot).not.toBe(old)
    expect(
      [one, two, three].map((node) => node.explain('mine').claims.filter(({ visible }) => visible).length),
    ).toEqual([1, 1, 1])
    expect(process.exitCode).toBeUndefined()
  })

  it('and whose placed actors were started again elsewhere meanwhile: of each one copy is left, and it answers', async () => {
    const [one, two, three] = await startThree()
    const names = Array.from({ length: 24 }, (_, i) => `room-${i}`)
    await Promise.all(names.map((name) => one.spawn(Counter, via(name, { visible: 'all' }), 0)))
    expect(names.some((name) => one.whereis(name)?.node === 'node-3')).toBe(true)
    for (let round = 0; round < 2; round++) {
      await condemn(one, two, three)
      const settled = (): boolean =>
        actors() === names.length &&
        names.every((name) => {
          const pids = running.map((node) => String(node.whereis(name)))
          return pids[0] !== 'undefined' && new Set(pids).size === 1
        })
      await until(settled)
      const boots = await Promise.all(names.map((name) => two.via(Counter, name).boot()))
      expect(boots.every((boot) => running.some((node) => node.boot === boot))).toBe(true)
    }
  })

  it('tells of members no more than has changed: itself, on all nodes alike', async () => {
    const nodes = await startThree()
    const [one, two, three] = nodes
    const heard = nodes.map((node) => {
      const lines: string[] = []
      node.on('memberUp', ({ name, boot }) => lines.push(`${name} ${boot} up`))
      node.on('memberDown', ({ name, boot }) => lines.push(`${name} ${boot} down`))
      return lines
    })
    const old = await condemn(two, one, three)
    await until(() => heard.every((lines) => lines.length >= 2))
    const change = [`node-3 ${old} down`, `node-3 ${three.boot} up`]
    for (const lines of heard) expect([...lines].sort()).toEqual([...change].sort())
  })

  it('takes names, hosts actors and drains as any other node does', async () => {
    const [one, two, three] = await startThree()
    await condemn(two, one, three)
    const names = Array.from({ length: 30 }, (_, i) => `later-${i}`)
    await Promise.all(names.map((name) => three.spawn(Counter, via(name, { visible: 'all' }), 0)))
    expect(names.some((name) => one.whereis(name)?.boot === three.boot)).toBe(true)
    const report = await three.drain({ timeout: 5000 })
    expect(report.unmoved).toEqual([])
    await until(() => names.every((name) => (one.whereis(name)?.node ?? 'node-3') !== 'node-3'))
    await until(() => one.members().length === 2)
    expect(one.members().map(({ name }) => name)).toEqual(['node-1', 'node-2'])
  })
})
