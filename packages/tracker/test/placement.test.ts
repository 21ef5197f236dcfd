/** Where placed names are started: each strategy against a stupid twin of it, and what becomes of its names. */

import type { MemberInfo } from '@skep/cluster/core'
import { describe, expect, test } from 'vitest'
import { type Explanation, explain, ring as rings, type Strategy } from '../src/core/index.js'
import { hostOf, verdictOn } from '../src/core/placement.js'
import type { OwnStrategy } from '../src/core/strategies.js'
import { localFirst, pinned, rendezvous, together } from '../src/index.js'
import { ring, Trackers } from './trackers.js'

const names = Array.from({ length: 6000 }, (_, i) => `name-${i}`)

interface Member {
  readonly weight?: number
  readonly roles?: readonly string[]
  readonly kinds?: readonly string[]
}

function cluster(members: Readonly<Record<string, Member>>, strategies?: ReadonlyMap<string, OwnStrategy>): Trackers {
  const net = new Trackers({}, { mode: 'eager', rate: 0, afterMs: 100 }, undefined, strategies)
  for (const [name, member] of Object.entries(members)) net.add([name], member)
  net.pass(3_000)
  return net
}

function placed(name: string, strategy: Strategy | undefined) {
  return { name, slot: rings.slotOf(name, ring.slots), kind: 'counter', terms: { strategy } }
}

/** The node of each name, as `at` sees it. */
function hosts(net: Trackers, at: string, strategy: (name: string) => Strategy | undefined): (string | undefined)[] {
  const state = net.state(at)
  return names.map((name) => nameOf(net, hostOf(state, placed(name, strategy(name)))))
}

function nameOf(net: Trackers, boot: string | undefined): string | undefined {
  return boot === undefined ? undefined : net.infos.get(boot)?.name
}

function share(of: readonly (string | undefined)[], name: string): number {
  return of.filter((one) => one === name).length / of.length
}

/** Where names went that are elsewhere than before. */
function moved(before: readonly unknown[], after: readonly unknown[]): Set<unknown> {
  return new Set(after.filter((node, i) => node !== before[i]))
}

const weighted = { a: { weight: 1 }, b: { weight: 2 }, c: { weight: 4 }, d: { weight: 0.5 }, e: { weight: 0 } }

describe('rendezvous', () => {
  const rule = (): Strategy => ({ by: 'rendezvous' })

  test('shares the names out in proportion to the weights, alike at all nodes', () => {
    const net = cluster(weighted)
    const all = hosts(net, 'a', rule)
    for (const [name, { weight }] of Object.entries(weighted)) {
      // Five standard deviations of a fair draw.
      const ideal = weight / 7.5
      const error = 5 * Math.sqrt((ideal * (1 - ideal)) / names.length)
      expect(Math.abs(share(all, name) - ideal), name).toBeLessThanOrEqual(error)
    }
    for (const at of ['b', 'e']) expect(hosts(net, at, rule)).toEqual(all)
  })

  test('moves names only to who joins, only from who goes, and as many as its share', () => {
    const members = { a: {}, b: {}, c: {} }
    const before = hosts(cluster(members), 'a', rule)
    const joined = hosts(cluster({ ...members, d: {} }), 'a', rule)
    expect(moved(before, joined)).toEqual(new Set(['d']))
    expect(share(joined, 'd')).toBeGreaterThan(0.22)
    expect(share(joined, 'd')).toBeLessThan(0.28)
    // Back again: only the names of the one that goes find others.
    expect(before.filter((node, i) => node !== joined[i] && joined[i] !== 'd')).toEqual([])
  })

  test('of one whose weight grows takes names over from others, and moves none between those', () => {
    const before = hosts(cluster({ a: { weight: 2 }, b: { weight: 2 }, c: { weight: 1 } }), 'a', rule)
    const after = hosts(cluster({ a: { weight: 2 }, b: { weight: 2 }, c: { weight: 3 } }), 'a', rule)
    expect(moved(before, after)).toEqual(new Set(['c']))
  })
})

describe('localFirst', () => {
  const near = (node: string) => (): Strategy => ({ by: 'near', node })

  test('is the node that asked, and where that cannot, the one that the ring says', () => {
    const net = cluster({ a: {}, b: {}, c: { kinds: ['other'] }, d: { weight: 0 } })
    expect(new Set(hosts(net, 'a', near('b')))).toEqual(new Set(['b']))
    const byRing = hosts(net, 'a', () => undefined)
    for (const node of ['c', 'd', 'gone']) expect(hosts(net, 'a', near(node)), node).toEqual(byRing)
  })

  test('describes the node where it was spawned', () => {
    expect(localFirst.describe('x', 'here')).toEqual({ by: 'near', node: 'here' })
    expect(rendezvous.describe('x', 'here')).toEqual({ by: 'rendezvous' })
  })
})

describe('pinned', () => {
  const members = { a: { roles: ['gpu'] }, b: { roles: ['disk', 'big'] }, c: {}, d: { roles: ['gpu'], weight: 3 } }

  test('is only ever a node with one of the roles or names, by weight among these', () => {
    const net = cluster(members)
    const pin = (to: Parameters<typeof pinned>[0]) => hosts(net, 'c', (name) => pinned(to).describe(name, 'c'))
    const gpu = pin({ role: 'gpu' })
    expect(new Set(gpu)).toEqual(new Set(['a', 'd']))
    expect(share(gpu, 'd')).toBeGreaterThan(share(gpu, 'a'))
    expect(new Set(pin({ roles: ['big', 'none'] }))).toEqual(new Set(['b']))
    expect(new Set(pin({ node: 'c', role: 'disk' }))).toEqual(new Set(['b', 'c']))
    expect(new Set(pin({ nodes: ['nowhere'] }))).toEqual(new Set([undefined]))
  })

  test('moves names only to a further node of the role, and none when others come', () => {
    const rule = (): Strategy => ({ by: 'pinned', roles: ['gpu'], nodes: [] })
    const few = { a: members.a, b: members.b, d: { roles: ['gpu'] } }
    const before = hosts(cluster(few), 'a', rule)
    expect(hosts(cluster({ ...few, x: {}, y: {} }), 'a', rule)).toEqual(before)
    expect(moved(before, hosts(cluster({ ...few, x: { roles: ['gpu'] } }), 'a', rule))).toEqual(new Set(['x']))
  })

  test('to nobody who is there refuses a spawn with a clear error, and starts nothing elsewhere', () => {
    const net = cluster(members)
    const terms = { strategy: pinned({ role: 'tpu', node: 'z' }).describe('x', 'a') }
    net.input('a', { type: 'spawn', ask: 1, name: 'x', kind: 'counter', spec: 0, terms })
    net.pass(1000)
    const [refused] = net.outputs('a', 'refused')
    expect(refused).toMatchObject({ code: 'ERR_NO_HOST' })
    expect(refused?.text).toMatch(/'counter' where 'x' may be: it is pinned to role 'tpu' or node 'z'/)
    net.input('a', { type: 'spawn', ask: 2, name: 'x', kind: 'nobody', spec: 0, terms })
    net.pass(1000)
    expect(net.outputs('a', 'refused')[1]).toMatchObject({ code: 'ERR_KIND_UNKNOWN' })
    for (const name of Object.keys(members)) expect(net.outputs(name, 'activate')).toEqual([])
  })

  test('a kind that only nodes know that take nothing now is not unknown: the error says who knows it', () => {
    const net = cluster({ a: { kinds: [] }, b: { weight: 0 }, c: { kinds: [] } })
    net.input('a', { type: 'spawn', ask: 1, name: 'x', kind: 'counter', spec: 0 })
    net.pass(1000)
    const [refused] = net.outputs('a', 'refused')
    expect(refused).toMatchObject({ code: 'ERR_NO_HOST' })
    expect(refused?.text).toBe(
      "no member can start an actor of kind 'counter' now: those that know it (b) are cordoned, starting, leaving or of weight 0",
    )
  })

  test('waits when its node is gone until there is another one, and is not moved to others by hand', () => {
    const net = cluster({ a: { roles: ['gpu'] }, b: {}, c: {}, d: {}, e: {} })
    spawn(net, 'x', { by: 'pinned', roles: ['gpu'], nodes: [] })
    expect(net.holder('c', 'x')).toBe('a')
    net.input('b', { type: 'request', ask: 7, request: { type: 'move', name: 'x', to: 'boot-c' } })
    net.pass(100)
    expect(net.outputs('b', 'refused')[0]).toMatchObject({
      code: 'ERR_CANNOT_MOVE',
      text: "'x' is pinned to other nodes",
    })
    net.kill('a')
    net.pass(10_000)
    runAll(net)
    for (const at of ['b', 'c', 'd', 'e']) {
      expect(net.holder(at, 'x')).toBeUndefined()
      expect(net.outputs(at, 'activate')).toEqual([])
    }
    expect(explained(net, 'x').starting).toMatchObject({ host: undefined, failover: true })
    net.add(['f'], { roles: ['gpu'] })
    net.pass(5_000)
    runAll(net)
    expect(net.holder('c', 'x')).toBe('f')
  })
})

describe('together', () => {
  const rule = together((name) => `team-${Number(name.slice(5)) % 97}`)
  const describeIt = (name: string): Strategy | undefined => rule.describe(name, 'a')

  test('has all names of a key on one node, which is that of a name that is called like the key', () => {
    const net = cluster(weighted)
    const all = hosts(net, 'a', describeIt)
    const twin = names.map((name) => {
      const key = `team-${Number(name.slice(5)) % 97}`
      return nameOf(net, hostOf(net.state('b'), placed(key, undefined)))
    })
    expect(all).toEqual(twin)
    expect(new Set(all).size).toBeGreaterThan(2)
  })

  test('moves whole keys only, and only to who joins', () => {
    const before = hosts(cluster({ a: {}, b: {}, c: {} }), 'a', describeIt)
    const after = hosts(cluster({ a: {}, b: {}, c: {}, d: {} }), 'a', describeIt)
    expect(moved(before, after)).toEqual(new Set(['d']))
    for (let i = 97; i < names.length; i++) expect(after[i]).toBe(after[i % 97])
  })

  test('refuses a key that is none', () => {
    expect(() => together(() => 7 as unknown as string).describe('x', 'a')).toThrow(/the key of 'x' must be a text/)
    expect(() => together(() => 'x'.repeat(513)).describe('x', 'a')).toThrow(TypeError)
    expect(() => together(undefined as never)).toThrow(TypeError)
  })
})

describe('an own strategy', () => {
  const byLetter: OwnStrategy = (name, members) => {
    const last = name.charCodeAt(name.length - 1) % members.length
    return [...members.slice(last), ...members.slice(0, last)].map((member) => member.name)
  }
  const own = (): Strategy => ({ by: 'own', id: 'letter' })

  test('says which node, of those that could, and sees them alike at every node', () => {
    const seen = new Set<string>()
    const spy: OwnStrategy = (name, members) => {
      seen.add(JSON.stringify(members))
      expect(Object.isFrozen(members[0])).toBe(true)
      expect(members.map(({ machine }) => machine)).toEqual(['a', 'b'])
      return byLetter(name, members)
    }
    const members = { b: { roles: ['x'] }, a: {}, c: { weight: 0 }, d: { kinds: ['other'] } }
    const net = cluster(members, new Map([['letter', spy]]))
    const expected = names.map((name) => ['a', 'b'][name.charCodeAt(name.length - 1) % 2])
    for (const at of ['a', 'b', 'd']) expect(hosts(net, at, own)).toEqual(expected)
    expect(seen.size).toBe(1)
  })

  test('that names none that could means nobody, and one that fails or is not known means the ring', () => {
    const strategies = new Map<string, OwnStrategy>([
      ['none', () => ['elsewhere']],
      ['fails', () => undefined],
    ])
    const net = cluster({ a: {}, b: {} }, strategies)
    const byRing = hosts(net, 'a', () => undefined)
    const verdict = (strategy: Strategy) => verdictOn(net.state('a'), placed('name-1', strategy))
    expect(verdict({ by: 'own', id: 'none' })).toEqual({ host: undefined, sure: true })
    for (const strategy of [
      { by: 'own', id: 'fails' },
      { by: 'own', id: 'strange' },
      { by: 'unknown', fields: [99, 'newer'] },
    ] satisfies Strategy[]) {
      expect(hosts(net, 'a', () => strategy)).toEqual(byRing)
      expect(verdict(strategy).sure).toBe(false)
    }
  })

  test('moves its names when a node joins, and one that the holder of the slot does not know moves none', () => {
    // All to who comes last in the alphabet.
    const last: OwnStrategy = (_, members) => members.map(({ name }) => name).reverse()
    for (const [id, expected] of [
      ['last', 'z'],
      ['strange', undefined],
    ] as const) {
      const net = cluster({ a: {}, b: {} }, new Map([['last', last]]))
      const few = names.slice(0, 12)
      for (const name of few) spawn(net, name, { by: 'own', id })
      const before = few.map((name) => net.holder('a', name))
      net.add(['z'])
      for (let i = 0; i < 8; i++) {
        net.pass(1000)
        runAll(net)
      }
      const after = few.map((name) => net.holder('a', name))
      expect(after).toEqual(expected === undefined ? before : few.map(() => expected))
    }
  })
})

describe('pins', () => {
  test.each([
    [{}, /no role and no node/],
    [{ rôle: 'x' }, /unknown key 'rôle'; known are role, roles, node, nodes/],
    [{ roles: 'gpu' }, /roles must be a list/],
    [{ role: '' }, /a role must be a text/],
    [{ nodes: [7] }, /a node must be a text/],
    [{ roles: Array(65).fill('x') }, /more than 64 roles/],
    [undefined, /is missing/],
  ])('refuse %j', (bad, text) => {
    expect(() => pinned(bad as never)).toThrow(text as RegExp)
  })
})

let lastAsk = 1000

/** Spawned at the first node, and started. */
function spawn(net: Trackers, name: string, strategy: Strategy): void {
  const [first] = net.infos.values() as unknown as [MemberInfo]
  net.input(first.name, { type: 'spawn', ask: ++lastAsk, name, kind: 'counter', spec: 0, terms: { strategy } })
  net.drain()
  runAll(net)
  net.pass(200)
}

/** What shells do with what their machines ask for. */
function runAll(net: Trackers): void {
  net.serve({
    activate: (node, { ask }) => net.input(node, { type: 'commit', ask, pid: 1000 + Math.abs(ask) }),
    export: (node, { pid, name, number }) =>
      net.input(node, { type: 'exported', pid, name, number, state: Uint8Array.of(1) }),
  })
}

/** As the holder of its slot sees it. */
function explained(net: Trackers, name: string): Explanation {
  for (const state of net.states.values()) if (explain(state, name, net.now).holds) return explain(state, name, net.now)
  throw new Error(`nobody holds the slot of ${name}`)
}
