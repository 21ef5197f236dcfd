/** The registry of a node that was declared down while it lived: as another boot it keeps its processes and names. */

import { describe, expect, test } from 'vitest'
import { type Claim, itc, membersOf, Pid, ring as rings, stepTracker, type TrackerMessage } from '../src/core/index.js'
import { keepClaim } from '../src/core/kept.js'
import { hostOf } from '../src/core/placement.js'
import { ring, Trackers } from './trackers.js'

/** Names whose slots this node owns. */
function namesOf(net: Trackers, owner: string): string[] {
  const { table } = net.state(owner)
  if (table === undefined) throw new Error('there is no ring yet')
  const names = Array.from({ length: 500 }, (_, i) => `name-${i}`)
  return names.filter((name) => rings.ownerOf(table, rings.slotOf(name, ring.slots)) === owner)
}

function ownedBy(net: Trackers, owner: string): string {
  return namesOf(net, owner)[0] as string
}

/** `a` alone can host counters: what it hosted waits for it. */
function oneHost(): Trackers {
  const net = new Trackers()
  net.add(['a'])
  net.add(['b', 'c'], { kinds: ['other'] })
  net.pass(3000)
  return net
}

function started(names: readonly string[] = ['a', 'b', 'c'], limits = {}): Trackers {
  const net = new Trackers(limits)
  net.add(names)
  net.pass(3000)
  return net
}

/**
 * `a` has rejoined and asks for one name at a time: for `far` of another's slot, with no answer, so that `near`, so many
 * placed names in slots of its own, wait to be asked for.
 */
function waiting(count: number): { net: Trackers; far: string; near: readonly string[]; pids: readonly number[] } {
  const net = new Trackers({ maxKept: 1 })
  net.add(['a'])
  net.add(['b'], { kinds: ['other'] })
  net.pass(3000)
  const [far] = namesOf(net, 'b') as [string]
  const near = namesOf(net, 'a').slice(0, count)
  net.input('a', { type: 'claim', ask: 1, name: far, pid: 7 })
  net.drain()
  for (const name of near) expect(spawned(net, 'b', name)).toBe('a')
  const pids = near.map((name) => (net.claim('a', name) as Claim).pid.id)
  net.lose('a')
  net.filter = ({ type }) => type !== 'claim'
  net.rejoin('a')
  return { net, far, near, pids }
}

/** The shell of a host that starts each process at once, under numbers from 100. */
function serve(net: Trackers, ...names: readonly string[]): void {
  net.drain()
  for (const name of names) {
    for (const { ask } of net.outputs(name, 'activate').filter((output) => !served.has(output))) {
      net.input(name, { type: 'commit', ask, pid: 100 - ask })
    }
    for (const output of net.outputs(name, 'activate')) served.add(output)
  }
  net.drain()
}
const served = new WeakSet<object>()

/** A placed name, started at whatever host; who that is. */
function spawned(net: Trackers, at: string, name: string): string {
  net.input(at, { type: 'spawn', ask: 1000 + net.outputs(at, 'registered').length, name, kind: 'counter', spec: name })
  serve(net, ...[...net.states.values()].map((state) => state.info.name))
  return net.holder(at, name) as string
}

const pidsOf = (net: Trackers, at: string, group: string): string[] =>
  membersOf(net.state(at).registry, group).map(({ pid }) => `${pid.boot}/${pid.id}`)

/** Frames on their way of this type. */
function wired<T extends TrackerMessage['type']>(
  net: Trackers,
  type: T,
): { from: string; to: string; message: Extract<TrackerMessage, { type: T }> }[] {
  return net.wires.flatMap(({ from, to, message }) =>
    message.type === type ? [{ from, to, message: message as Extract<TrackerMessage, { type: T }> }] : [],
  )
}

describe('stamps', () => {
  test('stay small however often nodes end and names move: a lineage that is worn is followed by the next', () => {
    const net = started(['a', 'b', 'c', 'd'], { maxStampLeaves: 8 })
    const lineages = new Set<number>()
    let largest = 0
    for (let round = 0; round < 60; round++) {
      const at = 'abcd'[round % 4] as string
      net.input(at, { type: 'claim', ask: 100 + round, name: 'x', pid: round + 1 })
      net.drain()
      const claim = net.outputs(at, 'registered').at(-1)?.claim as Claim
      expect(claim.pid.id).toBe(round + 1)
      largest = Math.max(largest, itc.leavesOf(claim.stamp.event))
      lineages.add(claim.stamp.lineage.epoch)
      net.pass(200)
      // Declared down with what it had of the clock; its process ends.
      net.lose(at)
      net.rejoin(at)
      net.input(at, { type: 'gone', pid: round + 1 })
      net.pass(1500)
    }
    expect(largest).toBeLessThan(12)
    expect(lineages.size).toBeGreaterThan(2)
    expect(new Set(['a', 'b', 'c', 'd'].map((name) => JSON.stringify(net.state(name).lineage))).size).toBe(1)
  })
})

describe('processes that live on under another boot', () => {
  test('are in their groups again under their new pids, and leave them when they end', () => {
    const net = started()
    net.input('a', { type: 'claim', ask: 1, name: 'x', pid: 7 })
    for (const [ask, group, id] of [
      [2, 'g', 7],
      [3, 'g', 8],
      [4, 'h', 8],
    ] as const) {
      const pid = new Pid(net.boot('a'), id, 'a')
      net.input('a', { type: 'request', ask, request: { type: 'join', group, pid, meta: ask } })
    }
    net.drain()
    net.lose('a')
    expect(pidsOf(net, 'b', 'g')).toEqual([])
    net.rejoin('a')
    net.drain()
    for (const at of ['a', 'b', 'c']) {
      expect(pidsOf(net, at, 'g').sort()).toEqual(['boot-a+/7', 'boot-a+/8'])
      expect(membersOf(net.state(at).registry, 'h').map(({ meta }) => meta)).toEqual([4])
    }
    net.input('a', { type: 'gone', pid: 8 })
    net.drain()
    expect(pidsOf(net, 'b', 'g')).toEqual(['boot-a+/7'])
    expect(pidsOf(net, 'c', 'h')).toEqual([])
  })

  test('have their names again under a higher fence, with kind and meta, and nobody is told to end', () => {
    const net = started()
    for (let i = 0; i < 20; i++) {
      net.input('a', { type: 'claim', ask: i + 1, name: `n${i}`, kind: 'room', meta: { i }, pid: i + 1 })
    }
    net.drain()
    const before = new Map<string, Claim>()
    for (let i = 0; i < 20; i++) before.set(`n${i}`, net.claim('b', `n${i}`) as Claim)
    net.lose('a')
    expect(net.claim('b', 'n3')).toBeUndefined()
    net.rejoin('a')
    net.pass(3000)
    for (const [name, old] of before) {
      for (const at of ['a', 'b', 'c']) {
        const claim = net.claim(at, name)
        expect(claim).toMatchObject({ kind: 'room', meta: old.meta, placed: undefined })
        expect([claim?.pid.boot, claim?.pid.id, claim?.pid.node]).toEqual(['boot-a+', old.pid.id, 'a'])
        expect(claim?.fence).toBeGreaterThan(old.fence)
      }
    }
    expect(
      net
        .outputs('a', 'kept')
        .map(({ claim }) => claim.name)
        .sort(),
    ).toEqual([...before.keys()].sort())
    expect(net.outputs('a', 'deactivate')).toEqual([])
    expect(net.state('a').askById.size).toBe(0)
    net.input('a', { type: 'gone', pid: 4 })
    net.drain()
    expect(net.holder('b', 'n3')).toBeUndefined()
  })

  test('keep placed names with what started them, where nobody else could start them meanwhile', () => {
    const net = oneHost()
    expect(spawned(net, 'b', 'x')).toBe('a')
    const old = net.claim('b', 'x') as Claim
    net.lose('a')
    net.pass(5000)
    net.rejoin('a')
    net.pass(5000)
    const claim = net.claim('c', 'x')
    expect(claim).toMatchObject({ kind: 'counter', placed: old.placed })
    expect([claim?.pid.boot, claim?.pid.id]).toEqual(['boot-a+', old.pid.id])
    expect(claim?.fence).toBeGreaterThan(old.fence)
    expect(net.outputs('a', 'deactivate')).toEqual([])
    expect(net.state('b').registry.orphans.size + net.state('b').starting.size).toBe(0)
  })

  test('are not started again beside themselves while others of them are still asked for', () => {
    const { net, far, near } = waiting(3)
    const before = net.outputs('a', 'activate').length
    net.pass(1000)
    expect(net.state('a').heldCount).toBeGreaterThan(0)
    expect(net.outputs('a', 'kept')).toEqual([])
    expect(net.outputs('a', 'activate')).toHaveLength(before)
    net.filter = () => true
    net.pass(3000)
    expect(net.outputs('a', 'kept').map(({ claim }) => claim.name)).toEqual([far, ...near])
    expect(net.outputs('a', 'activate')).toHaveLength(before)
    expect(net.outputs('a', 'deactivate')).toEqual([])
  })

  test('are not started again beside themselves where the same name was kept for another one, which has ended', () => {
    const { net, pids } = waiting(1)
    const before = net.outputs('a', 'activate').length
    const [kept] = net.state('a').unasked.get(pids[0] as number) as [Claim]
    keepClaim(net.state('a'), { ...kept, pid: new Pid(kept.pid.boot, 99, 'a'), fence: 0 })
    net.input('a', { type: 'gone', pid: 99 })
    net.pass(3000)
    expect(net.state('a').registry.orphans.get(kept.name)).toBeDefined()
    expect(net.outputs('a', 'activate')).toHaveLength(before)
  })

  test('that crash before they are asked for are started again as soon as that may be', () => {
    const { net, pids } = waiting(1)
    net.pass(1000)
    const before = net.outputs('a', 'activate').length
    net.input('a', { type: 'gone', pid: pids[0] as number, ended: { how: 'crashed', reason: 'slipped' } })
    net.pass(1000)
    expect(net.outputs('a', 'activate')).toHaveLength(before + 1)
  })

  test('are forgotten by nobody who comes back twice before it has its names again', () => {
    const net = started(['a', 'b', 'c'])
    net.input('a', { type: 'claim', ask: 1, name: 'x', pid: 7 })
    net.drain()
    net.lose('a')
    net.rejoin('a', { gate: false })
    net.lose('a')
    net.rejoin('a')
    net.pass(3000)
    expect(net.claim('b', 'x')?.pid.boot).toBe('boot-a++')
    expect(net.claim('b', 'x')?.pid.id).toBe(7)
    expect(net.outputs('a', 'kept')).toHaveLength(1)
  })

  test('do not end for want of room: a node may have more names than asks that its callers may have open', () => {
    const net = started(['a', 'b', 'c'], { maxAsks: 3 })
    for (let i = 1; i <= 9; i++) {
      net.input('a', { type: 'claim', ask: i, name: `n${i}`, pid: i })
      net.drain()
    }
    net.lose('a')
    net.rejoin('a')
    net.pass(3000)
    expect(net.outputs('a', 'deactivate')).toEqual([])
    expect(net.outputs('a', 'kept')).toHaveLength(9)
    net.input('a', { type: 'claim', ask: 20, name: 'more', pid: 20 })
    net.drain()
    expect(net.holder('b', 'more')).toBe('a')
  })

  test('ask for their names a bounded number at a time, however many there are', () => {
    const net = started(['a', 'b', 'c'], { maxKept: 5 })
    for (let i = 1; i <= 40; i++) net.input('a', { type: 'claim', ask: i, name: `n${i}`, pid: (i >> 1) + 1 })
    net.drain()
    net.lose('a')
    net.rejoin('a')
    let most = 0
    while (net.wires.length > 0) {
      most = Math.max(most, net.state('a').asks.kept.size)
      net.deliver()
    }
    expect(most).toBe(5)
    expect(net.outputs('a', 'kept')).toHaveLength(40)
    expect(net.outputs('a', 'deactivate')).toEqual([])
    for (let i = 1; i <= 40; i++) expect(net.claim('b', `n${i}`)?.pid.boot).toBe('boot-a+')
    expect([net.state('a').askById.size, net.state('a').unasked.size]).toEqual([0, 0])
  })

  test('have the names of their own slots again a slice at a time: no step answers them all', () => {
    const net = started(['a'])
    for (let i = 1; i <= 2000; i++) net.input('a', { type: 'claim', ask: i, name: `n${i}`, pid: i })
    net.drain()
    net.lose('a')
    net.rejoin('a', { gate: false })
    const seen = net.given.get(net.boot('a')) ?? []
    const before = seen.length
    const outputs = stepTracker(net.state('a'), { type: 'gateOpen', reason: 'test' }, net.now)
    let kept = outputs.filter(({ type }) => type === 'kept').length
    expect(kept).toBeLessThanOrEqual(256)
    for (let steps = 0; kept < 2000; steps++) {
      if (steps > 20) throw new Error(`${kept} names of 2000 after ${steps} steps`)
      const more = stepTracker(net.state('a'), { type: 'continue' }, net.now)
      const now = more.filter(({ type }) => type === 'kept').length
      expect(now).toBeLessThanOrEqual(256)
      kept += now
    }
    expect(seen).toHaveLength(before)
  })

  test('that end before their names are asked for have none: nobody asks, and no other starts them', () => {
    const net = oneHost()
    const names = ['p', 'q', 'r', 's']
    for (const name of names) spawned(net, 'b', name)
    const pids = new Map(names.map((name) => [name, (net.claim('a', name) as Claim).pid.id]))
    net.lose('a')
    net.rejoin('a', { gate: false })
    net.input('a', { type: 'gone', pid: pids.get('q') as number })
    expect(net.state('a').unasked.size).toBe(3)
    net.input('a', { type: 'gateOpen', reason: 'test' })
    net.pass(20_000)
    expect(net.outputs('a', 'kept').map(({ claim }) => claim.name)).toEqual(expect.arrayContaining(['p', 'r', 's']))
    expect(net.outputs('a', 'kept')).toHaveLength(3)
    for (const at of ['a', 'b', 'c']) expect(net.claim(at, 'q')).toBeUndefined()
    expect(net.state('b').registry.orphans.size + net.state('c').registry.orphans.size).toBe(0)
  })

  test('keep all of them through a second rejoin that comes before the first is over', () => {
    const net = started(['a', 'b', 'c'], { maxKept: 2 })
    for (let i = 1; i <= 30; i++) net.input('a', { type: 'claim', ask: i, name: `n${i}`, pid: i })
    net.drain()
    net.lose('a')
    net.rejoin('a')
    for (let i = 0; i < 12; i++) net.deliver()
    expect(net.state('a').unasked.size).toBeGreaterThan(5)
    net.lose('a')
    net.rejoin('a')
    net.pass(5000)
    expect(net.outputs('a', 'deactivate')).toEqual([])
    for (let i = 1; i <= 30; i++)
      expect([net.claim('c', `n${i}`)?.pid.boot, net.claim('c', `n${i}`)?.pid.id]).toEqual(['boot-a++', i])
  })

  test('do not end because many wait at the owner of a name, which says that it is full', () => {
    const net = started(['a', 'b'], { maxWaiting: 0 })
    const name = ownedBy(net, 'b')
    net.input('a', { type: 'claim', ask: 1, name, pid: 7 })
    net.drain()
    net.lose('a')
    net.input('b', { type: 'claim', ask: 1, name })
    net.drain()
    net.rejoin('a')
    net.pass(3000)
    expect(net.outputs('a', 'deactivate')).toEqual([])
    net.input('b', { type: 'abandon', ask: 1 })
    net.pass(3000)
    expect(net.holder('b', name)).toBe('a')
  })
})

describe('what callers of a node that becomes another boot still want', () => {
  test('names goes on: the owner is asked anew, and the claim is one of the new boot', () => {
    const net = started()
    const name = ownedBy(net, 'b')
    net.lose('a')
    net.input('a', { type: 'claim', ask: 1, name: 'mine', pid: 1 })
    net.drain()
    net.cut('a', 'b')
    net.input('a', { type: 'spawn', ask: 2, name, kind: 'nobody-has', spec: 0 })
    net.rejoin('a', { gate: false })
    net.input('a', { type: 'claim', ask: 3, name: 'more', pid: 3 })
    expect(net.outputs('a', 'registered').map(({ ask }) => ask)).not.toContain(3)
    net.input('a', { type: 'gateOpen', reason: 'test' })
    net.pass(3000)
    expect(net.claim('c', 'more')?.pid.boot).toBe('boot-a+')
    expect(net.outputs('a', 'registered').map(({ ask }) => ask)).toContain(3)
  })

  test('a claim and a spawn that had no answer get it: the same request, so that it is not made twice', () => {
    const net = started()
    const [first, second] = ['b', 'c'].map((owner) => ownedBy(net, owner)) as [string, string]
    // Both messages are on their way when all holds `a` to be down.
    net.input('a', { type: 'claim', ask: 1, name: first, pid: 1 })
    net.input('a', { type: 'spawn', ask: 2, name: second, kind: 'counter', spec: 0 })
    net.lose('a')
    net.rejoin('a')
    net.drain()
    serve(net, 'a', 'b', 'c')
    net.pass(3000)
    expect(
      net
        .outputs('a', 'registered')
        .map(({ ask }) => ask)
        .sort(),
    ).toEqual([1, 2])
    expect(net.claim('c', first)?.pid.boot).toBe('boot-a+')
    expect(net.claim('a', second)?.placed?.origin).toBe('boot-a:2')
    expect(net.outputs('a', 'refused').filter(({ ask }) => ask === 1 || ask === 2)).toEqual([])
  })

  test('a start whose init runs commits as a claim of the new boot, under a grant asked for anew', () => {
    const net = started()
    net.input('a', { type: 'claim', ask: 1, name: 'x' })
    net.drain()
    const granted = net.outputs('a', 'granted')[0]?.fence as number
    net.lose('a')
    net.rejoin('a', { gate: false })
    // What was granted to the old boot is void: nothing is written before somebody grants it anew.
    net.input('a', { type: 'commit', ask: 1, pid: 5 })
    expect(net.outputs('a', 'registered')).toEqual([])
    expect(net.claim('a', 'x')).toBeUndefined()
    net.input('a', { type: 'gateOpen', reason: 'test' })
    net.pass(3000)
    expect(net.outputs('a', 'granted')).toHaveLength(1)
    expect(net.claim('b', 'x')?.pid.boot).toBe('boot-a+')
    expect(net.claim('b', 'x')?.fence).toBeGreaterThan(granted)
  })

  test('a start that another ordered and whose init has not begun is not gone on with: it was ordered of another', () => {
    const net = new Trackers()
    net.add(['a', 'd'])
    net.add(['b', 'c'], { kinds: ['other'] })
    net.pass(3000)
    const host = (one: string): string | undefined =>
      hostOf(net.state('b'), { name: one, slot: rings.slotOf(one, ring.slots), kind: 'counter', terms: undefined })
    const name = namesOf(net, 'b').find((one) => host(one) === net.boot('a')) as string
    net.input('b', { type: 'spawn', ask: 1, name, kind: 'counter', spec: 0 })
    while (net.state('a').asks.host.size === 0) net.deliver()
    expect(net.outputs('a', 'activate')).toEqual([])
    net.lose('a')
    net.rejoin('a')
    expect([net.state('a').asks.host.size, net.state('a').askById.size]).toEqual([0, 0])
    serve(net, 'a', 'd')
    net.pass(3000)
    expect(net.outputs('b', 'registered')).toHaveLength(1)
    expect(net.outputs('a', 'activate').length + net.outputs('d', 'activate').length).toBe(1)
  })

  test('requests and barriers end: the old boot will get no answer, and they may have been done', () => {
    const net = started()
    net.input('b', { type: 'claim', ask: 1, name: 'x', pid: 1 })
    net.drain()
    net.lose('a', 'b')
    // Without a link it goes through a neighbour, and no end of a link ends it.
    net.input('a', { type: 'unlinked', boot: net.boot('b') })
    net.input('b', { type: 'unlinked', boot: net.boot('a') })
    net.cut('a', 'b')
    net.input('a', { type: 'request', ask: 2, request: { type: 'update', name: 'x', meta: 1 } })
    net.input('a', { type: 'flush', ask: 3, want: 2 })
    net.drain()
    expect(net.outputs('a', 'refused')).toEqual([])
    net.rejoin('a')
    expect(net.outputs('a', 'refused').map(({ ask, code }) => [ask, code])).toEqual([
      [2, 'ERR_NODE_DOWN'],
      [3, 'ERR_NODE_DOWN'],
    ])
    net.pass(10_000)
    expect(net.outputs('a', 'refused')).toHaveLength(2)
    expect(net.outputs('a', 'done')).toEqual([])
  })
})

describe('a name that another process has got meanwhile', () => {
  /** `a` held `x` and comes back; `b` has it now. Nothing has moved since. */
  function contended(): { net: Trackers; pid: number } {
    const net = started()
    net.input('a', { type: 'claim', ask: 1, name: 'x', pid: 7 })
    net.drain()
    net.lose('a')
    net.input('b', { type: 'claim', ask: 1, name: 'x', pid: 9 })
    net.drain()
    net.rejoin('a')
    return { net, pid: 7 }
  }

  type Question = Extract<TrackerMessage, { type: 'running' }>

  /** Lets time pass until `a` asks whether the other runs; the question, which does not arrive. */
  function question(net: Trackers): { to: string; message: Question; afterMs: number } {
    const asked: { to: string; message: Question }[] = []
    net.filter = (message, to) => {
      if (message.type !== 'running') return true
      asked.push({ to, message })
      return false
    }
    const from = net.now
    while (asked.length === 0 && net.now < from + 5000) net.pass(10)
    net.filter = () => true
    const [first] = asked
    if (first === undefined) throw new Error('nobody asks')
    return { ...first, afterMs: net.now - from }
  }

  const answer = (net: Trackers, to: Question, yes: boolean, ask = to.ask): void =>
    void net.input('a', {
      type: 'message',
      from: 'boot-b',
      message: { type: 'runs', name: to.name, fence: to.fence, ask, yes },
    })

  test('stays with it: the process here ends, and not before the node of the other has said that it runs', () => {
    const { net, pid } = contended()
    const { to, message } = question(net)
    expect(to).toBe('boot-b')
    expect(message.fence).toBe(net.claim('b', 'x')?.fence)
    expect(net.outputs('a', 'deactivate')).toEqual([])
    answer(net, message, true)
    expect(net.outputs('a', 'deactivate')).toMatchObject([{ pid, name: 'x' }])
    expect(net.outputs('a', 'deactivate')[0]?.winner?.pid.boot).toBe('boot-b')
    expect(net.state('a').askById.size).toBe(0)
    net.pass(3000)
    expect(net.holder('c', 'x')).toBe('b')
    expect(net.outputs('b', 'deactivate')).toEqual([])
    expect(net.outputs('a', 'refused')).toEqual([])
  })

  test('is a conflict where neither knew of the other, and superseded where the other came after', () => {
    const knew = contended()
    knew.net.pass(3000)
    expect(knew.net.outputs('a', 'deactivate').map(({ reason }) => reason)).toEqual(['superseded'])
    const net = started()
    net.lose('a')
    net.input('a', { type: 'claim', ask: 1, name: 'y', pid: 7 })
    net.input('b', { type: 'claim', ask: 1, name: 'y', pid: 9 })
    net.pass(3000)
    net.rejoin('a')
    net.pass(3000)
    expect(net.outputs('a', 'deactivate').map(({ reason }) => reason)).toEqual(['conflict'])
  })

  test('is asked for again after a no', () => {
    const { net } = contended()
    const first = question(net).message
    answer(net, first, false)
    expect(net.outputs('a', 'deactivate')).toEqual([])
    const second = question(net).message
    expect(second.ask).toBeGreaterThan(first.ask)
    // Meanwhile the other ends, and the claim that was in the way with it.
    net.input('b', { type: 'gone', pid: 9 })
    net.pass(3000)
    expect(net.outputs('a', 'deactivate')).toEqual([])
    expect(net.claim('c', 'x')?.pid.boot).toBe('boot-a+')
  })

  test('is asked about again where there was no answer, and asked for when the other is gone', () => {
    const { net } = contended()
    const first = question(net).message
    const second = question(net)
    expect(second.message.ask).toBeGreaterThan(first.ask)
    expect(second.afterMs).toBeGreaterThan(1000)
    expect(second.afterMs).toBeLessThan(2000)
    net.kill('b')
    net.pass(3000)
    expect(net.outputs('a', 'deactivate')).toEqual([])
    expect(net.claim('c', 'x')?.pid.boot).toBe('boot-a+')
  })

  test('is not lost by a yes to an older question: it may be out of date', () => {
    const { net } = contended()
    const first = question(net).message
    const second = question(net).message
    answer(net, second, true, first.ask)
    expect(net.outputs('a', 'deactivate')).toEqual([])
    answer(net, second, true)
    expect(net.outputs('a', 'deactivate')).toHaveLength(1)
  })

  test('is not lost by the word of a third node', () => {
    const { net } = contended()
    const { message } = question(net)
    const lie: TrackerMessage = { type: 'runs', name: 'x', fence: message.fence, ask: message.ask, yes: true }
    net.input('a', { type: 'message', from: 'boot-c', message: lie })
    expect(net.outputs('a', 'deactivate')).toEqual([])
  })

  test('that was placed and started again elsewhere: one copy of it is left, with one holder everywhere', () => {
    const net = started(['a', 'b', 'c', 'd', 'e'])
    const names = Array.from({ length: 12 }, (_, i) => `room-${i}`)
    const there = names.filter((name) => spawned(net, 'b', name) === 'a')
    expect(there.length).toBeGreaterThan(0)
    net.lose('a')
    net.pass(3000)
    serve(net, 'b', 'c', 'd', 'e')
    net.pass(3000)
    for (const name of there) expect(['b', 'c', 'd', 'e']).toContain(net.holder('b', name))
    net.rejoin('a')
    net.pass(5000)
    expect(
      net
        .outputs('a', 'deactivate')
        .map(({ name }) => name)
        .sort(),
    ).toEqual([...there].sort())
    for (const name of names) {
      expect(new Set(['a', 'b', 'c', 'd', 'e'].map((at) => net.holder(at, name))).size).toBe(1)
      expect(net.holder('a', name)).toBeDefined()
    }
    for (const at of ['b', 'c', 'd', 'e']) expect(net.outputs(at, 'deactivate')).toEqual([])
  })
})

describe('kept names, as the simulator found them wrong', () => {
  test('the start of an orphan does not queue behind the kept process of the same name, that waits for it', () => {
    const net = oneHost()
    net.input('a', { type: 'claim', ask: 1, name: 'x', pid: 7 })
    net.drain()
    net.lose('a')
    // The name is free, is placed at another that can host it, and that one dies: only `a` could start it.
    net.add(['d'])
    net.pass(3000)
    expect(spawned(net, 'b', 'x')).toBe('d')
    net.kill('d')
    net.pass(500)
    net.rejoin('a')
    net.pass(3000)
    expect(net.outputs('a', 'activate')).toHaveLength(1)
    expect(net.outputs('a', 'deactivate')).toEqual([])
    serve(net, 'a')
    net.pass(3000)
    expect(net.outputs('a', 'deactivate').map(({ pid }) => pid)).toEqual([7])
    expect(net.claim('b', 'x')?.placed?.spec).toBe('x')
    expect(net.state('a').askById.size).toBe(0)
  })

  test('a member that was held to be gone and is met again counts again, for good', () => {
    const net = started(['a', 'b', 'c'])
    net.input('b', { type: 'claim', ask: 1, name: 'x', pid: 1 })
    const pid = new Pid(net.boot('b'), 1, 'b')
    net.input('b', { type: 'request', ask: 2, request: { type: 'join', group: 'g', pid, meta: 0 } })
    net.drain()
    const placed = Array.from({ length: 9 }, (_, i) => `room-${i}`).filter((name) => spawned(net, 'c', name) === 'b')
    expect(placed.length).toBeGreaterThan(0)
    net.lose('a')
    net.pass(500)
    expect(net.holder('a', 'x')).toBeUndefined()
    expect(pidsOf(net, 'a', 'g')).toEqual([])
    expect([...net.state('a').registry.orphans.keys()]).toEqual(expect.arrayContaining(placed))
    net.rejoin('a')
    for (const pass of [0, 120_000]) {
      net.pass(pass)
      expect(net.holder('a', 'x')).toBe('b')
      expect(pidsOf(net, 'a', 'g')).toEqual(['boot-b/1'])
      for (const name of placed) expect(net.holder('a', name)).toBe('b')
      expect(net.state('a').registry.orphans.size).toBe(0)
    }
    expect(net.outputs('a', 'activate').filter(({ cause }) => cause === 'failover')).toEqual([])
    // It can go for good yet, and is then gone like anybody.
    net.kill('b')
    net.pass(200)
    expect(net.holder('a', 'x')).toBeUndefined()
    expect(pidsOf(net, 'a', 'g')).toEqual([])
  })

  test.each([
    ['', false, 0],
    [', unless it is to', true, 1],
  ])('a process that ends while its name is asked for again does not rise elsewhere%s', (_, keepPlaced, risen) => {
    const net = oneHost()
    spawned(net, 'b', 'x')
    const { id } = (net.claim('b', 'x') as Claim).pid
    const starts = (): number => ['a', 'd'].reduce((sum, at) => sum + net.outputs(at, 'activate').length, 0)
    const before = starts()
    net.lose('a')
    net.pass(1000)
    net.rejoin('a', { gate: false })
    net.input('a', { type: 'gone', pid: id, keepPlaced })
    net.add(['d'])
    net.input('a', { type: 'gateOpen', reason: 'test' })
    net.pass(5000)
    expect(starts() - before).toBe(risen)
    expect(net.outputs('a', 'deactivate')).toEqual([])
    expect(net.state('b').registry.orphans.size).toBe(risen)
  })

  test.each([
    ['another copy of it lost a conflict', -1, true],
    ['its user stopped it', 1, false],
  ])('a start is given its name again, or has ended for all: %s', (_, above, granted) => {
    const net = oneHost()
    spawned(net, 'b', 'x')
    const old = net.claim('b', 'x') as Claim
    net.lose('a')
    net.rejoin('a', { gate: false })
    // Which copy it was that ended, its fence says.
    const { registry } = net.state('b')
    const first = (registry.logs.get('boot-b')?.seq ?? 0) + 1
    const strike = { type: 'del', name: 'x', fence: old.fence + above, strike: old.placed?.origin } as const
    for (const at of ['a', 'c']) {
      net.input(at, {
        type: 'message',
        from: 'boot-b',
        message: { type: 'ops', boot: 'boot-b', first, ops: [strike], counter: 0, reply: false },
      })
    }
    net.input('a', { type: 'gateOpen', reason: 'test' })
    net.pass(3000)
    expect(net.outputs('a', 'kept').map(({ claim }) => claim.name)).toEqual(granted ? ['x'] : [])
    const ended = net.outputs('a', 'deactivate')
    expect(ended).toEqual(
      granted ? [] : [{ type: 'deactivate', pid: old.pid.id, name: 'x', reason: 'superseded', winner: undefined }],
    )
  })

  test('the same grant twice is used once, and not given back as unused', () => {
    const net = started(['a', 'b'])
    const name = ownedBy(net, 'b')
    net.input('a', { type: 'claim', ask: 1, name, pid: 7 })
    net.drain()
    net.lose('a')
    net.rejoin('a')
    for (let i = 0; i < 1000 && wired(net, 'grant').length === 0; i++) {
      if (net.wires.length > 0) net.deliver()
      else net.pass(50)
    }
    const grant = wired(net, 'grant')[0]
    if (grant === undefined) throw new Error('no grant')
    net.wires.push({ ...grant })
    while (net.wires.length > 0) {
      expect(wired(net, 'unused')).toEqual([])
      net.deliver()
    }
    expect(net.outputs('a', 'kept')).toHaveLength(1)
    expect(net.claim('b', name)?.fence).toBe(grant.message.fence)
  })

  test('a node that leaves while it asks for its names ends them without a word', () => {
    const net = started()
    for (let i = 1; i <= 5; i++) net.input('a', { type: 'claim', ask: i, name: `n${i}`, pid: i })
    net.drain()
    net.lose('a')
    net.rejoin('a', { gate: false })
    net.input('a', { type: 'claim', ask: 9, name: 'mine', pid: 9 })
    net.input('a', { type: 'leave' })
    expect(net.outputs('a', 'deactivate')).toEqual([])
    expect(net.outputs('a', 'refused').map(({ ask, code }) => [ask, code])).toEqual([[9, 'ERR_LEAVING']])
    expect(net.state('a').askById.size).toBe(0)
  })
})

describe('a node that comes back', () => {
  test('holds no slot, grants nothing that it had granted, and has an id of its own until it is given one', () => {
    const net = started()
    const name = ownedBy(net, 'a')
    net.input('b', { type: 'claim', ask: 1, name })
    net.drain()
    expect(net.state('a').grants.size).toBe(1)
    net.lose('a')
    net.rejoin('a', { gate: false })
    const state = net.state('a')
    expect([state.heldCount, state.grants.size, state.gate, state.ready]).toEqual([0, 0, false, false])
    expect(state.lineage).toEqual({ epoch: 0, genesis: 'boot-a+' })
    net.input('a', { type: 'gateOpen', reason: 'test' })
    net.pass(5000)
    expect(net.slotHolders()).not.toContain(undefined)
    expect(net.overlappingIds()).toEqual([])
    expect(net.state('a').lineage).toEqual(net.state('b').lineage)
    expect(net.outputs('a', 'ready')).toHaveLength(2)
  })

  test('with its whole part, one after the other, brings all of its names along', () => {
    const net = started(['a', 'b', 'c', 'd', 'e'])
    for (const at of ['a', 'b']) net.input(at, { type: 'claim', ask: 1, name: `before-${at}`, pid: 1 })
    net.drain()
    net.lose('a', 'b')
    net.pass(3000)
    // What was acknowledged on their side of the cut.
    for (const at of ['a', 'b']) net.input(at, { type: 'claim', ask: 2, name: `within-${at}`, pid: 2 })
    net.pass(3000)
    expect(net.holder('a', 'within-b')).toBe('b')
    net.rejoin('a')
    net.pass(2000)
    net.rejoin('b')
    net.pass(5000)
    for (const at of ['a', 'b', 'c', 'd', 'e']) {
      for (const of of ['a', 'b']) {
        expect(net.claim(at, `before-${of}`)?.pid.boot).toBe(`boot-${of}+`)
        expect(net.claim(at, `within-${of}`)?.pid.boot).toBe(`boot-${of}+`)
      }
    }
    expect(net.slotHolders()).not.toContain(undefined)
  })

  test('keeps what its part alone knows of a placed name whose node died there: it is started again', () => {
    const net = started(['a', 'b', 'c', 'd', 'e'])
    net.lose('a', 'b')
    net.pass(40_000)
    const name = Array.from({ length: 20 }, (_, i) => `room-${i}`).find(
      (one) => spawned(net, 'a', one) === 'b',
    ) as string
    // `b` dies within the cut, so only `a` has its log.
    net.kill('b')
    net.rejoin('a')
    net.pass(5000)
    serve(net, 'a', 'c', 'd', 'e')
    net.pass(3000)
    for (const at of ['a', 'c', 'd', 'e']) expect(net.holder(at, name)).toBeDefined()
  })
})
