/** Where placed actors run, by what their definitions say: whole nodes in one process, over real sockets on loopback. */

import { defineActor, type Methods } from '@skep/actor'
import { staticPeers } from '@skep/cluster'
import { afterEach, describe, expect, it } from 'vitest'
import {
  localFirst,
  type NodeConfig,
  type OwnPlacement,
  type PlacementRule,
  pinned,
  ring,
  type SkepNode,
  startNode,
  together,
  via,
} from '../src/index.js'

/** An actor of this kind that says where it is. */
function kind(name: string, placement?: PlacementRule | OwnPlacement) {
  const on = { node: (self: { node: { name: string } }) => self.node.name } satisfies Methods<object>
  return defineActor(name, { init: () => ({}), on, ...(placement === undefined ? {} : { placement }) })
}

const Anywhere = kind('anywhere')
const startedOn = new Set<string>()
const Pinned = defineActor('pinned', {
  init: () => ({}),
  on: { node: (self) => self.node.name },
  onStart: (self) => void startedOn.add(self.node.name),
  placement: pinned({ role: 'disk' }),
})
const Local = kind('local', localFirst)
const Room = kind(
  'room',
  together((name) => name.split('/')[0] as string),
)
const Last = kind('last', (_, members) => members.map((one) => one.name).reverse())
const actors = [Anywhere, Pinned, Local, Room, Last]

const running: SkepNode[] = []

afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()))
})

async function start(name: string, config: Partial<NodeConfig> = {}): Promise<SkepNode> {
  const peers = running.map(({ address }) => address)
  const node = await startNode({
    name,
    cluster: 'test',
    actors,
    signals: false,
    logger: 'silent',
    ...(peers.length === 0 ? {} : { discovery: staticPeers(peers) }),
    ...config,
  })
  running.push(node)
  await node.ready({ timeout: 10_000 })
  return node
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

describe('a pinned actor', () => {
  it('is never on a node without its role: not at the start, on failover, on a drain, by hand or when nodes join', async () => {
    const one = await start('one', { rebalance: 'eager' })
    const two = await start('two', { rebalance: 'eager', roles: ['disk'] })
    const three = await start('three', { rebalance: 'eager', roles: ['disk', 'big'] })
    startedOn.clear()
    const names = Array.from({ length: 24 }, (_, i) => `pinned-${i}`)
    await Promise.all(names.map((name) => one.spawn(Pinned, via(name))))
    const nodes = (): Set<string | undefined> => new Set(names.map((name) => one.whereis(name)?.node))
    expect(nodes()).toEqual(new Set(['two', 'three']))

    await two.stop()
    await until(() => nodes().size === 1 && nodes().has('three'))
    expect(await one.via(Pinned, 'pinned-0').node()).toBe('three')
    await expect(one.move('pinned-0', 'one')).rejects.toMatchObject({ code: 'ERR_CANNOT_MOVE', message: /pinned/ })

    // Nobody else has the role: it says so, ends there, and runs nowhere until there is one.
    const { moved, unmoved } = await three.drain()
    expect([moved, unmoved.length]).toEqual([0, names.length])
    await until(() => names.every((name) => one.explain(name).orphaned))
    await expect(one.spawn(Pinned, via('late'))).rejects.toMatchObject({
      code: 'ERR_NO_HOST',
      message: /pinned to role 'disk'/,
      retryable: true,
    })
    expect(nodes()).toEqual(new Set([undefined]))
    const four = await start('four', { rebalance: 'eager' })
    const five = await start('five', { rebalance: 'eager', roles: ['disk'] })
    await until(() => nodes().size === 1 && nodes().has('five'))
    expect(four.registered({ local: true })).toEqual([])
    expect(await four.via(Pinned, 'pinned-3').node()).toBe('five')
    expect(five.registered({ local: true })).toHaveLength(names.length)
    expect(startedOn).toEqual(new Set(['two', 'three', 'five']))
  }, 30_000)
})

describe('other placements', () => {
  it('keep an actor on the node that asks, names of one key together, and go by functions of the user', async () => {
    const nodes = [await start('a'), await start('b'), await start('c')]
    for (const node of nodes) {
      await node.spawn(Local, via(`by-${node.name}`))
      expect(await node.ensure(Local, via(`call-${node.name}`)).node()).toBe(node.name)
      expect(node.whereis(`by-${node.name}`)?.node).toBe(node.name)
    }
    const [a] = nodes as [SkepNode]
    const rooms = ['red', 'green', 'blue', 'white', 'black']
    for (const room of rooms) {
      const at = await Promise.all([1, 2, 3, 4].map((i) => a.ensure(Room, via(`${room}/${i}`)).node()))
      expect(new Set(at).size, room).toBe(1)
    }
    expect(new Set(rooms.map((room) => a.whereis(`${room}/1`)?.node)).size).toBeGreaterThan(1)
    for (let i = 0; i < 6; i++) expect(await a.ensure(Last, via(`last-${i}`)).node()).toBe('c')
  }, 30_000)

  it('may be said for all kinds of a node, and for one name', async () => {
    const placement: OwnPlacement = () => ['two']
    const one = await start('one', { placement })
    const two = await start('two', { placement })
    for (let i = 0; i < 8; i++) expect(await one.ensure(Anywhere, via(`x-${i}`)).node()).toBe('two')
    expect(await one.ensure(Local, via('local')).node()).toBe('one')
    expect(await two.ensure(Local, via('elsewhere', { placement: pinned({ node: 'one' }) })).node()).toBe('one')
    const byRing = Array.from({ length: 12 }, (_, i) => two.ensure(Anywhere, via(`r-${i}`, { placement: ring })).node())
    expect(new Set(await Promise.all(byRing)).size).toBe(2)
    expect(() => via('x', { placement: (() => []) as never })).toThrow(TypeError)
    await expect(
      one.spawn(
        kind(
          'keyed',
          together(() => 7 as never),
        ),
        via('y'),
      ),
    ).rejects.toThrow(/the key of 'y'/)
  }, 30_000)

  it('that are none are refused where they are written', async () => {
    expect(() => kind('wrong', 'ring' as never)).toThrow(/defineActor\('wrong'\): placement must be ring/)
    await expect(start('one', { placement: 'ring' as never })).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      faults: [expect.stringMatching(/^placement must be one of ring, .*not 'ring'/)],
    })
  })
})
