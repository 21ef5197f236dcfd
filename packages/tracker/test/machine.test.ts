/** The tracker machine's rules, one by one, on machines that only this test moves. */

import { describe, expect, test } from 'vitest'
import { digestOf, itc, membersOf, type Op, ring as rings, type TrackerMessage } from '../src/core/index.js'
import { hostOf } from '../src/core/placement.js'
import { ring, Trackers, tell } from './trackers.js'

const FIVE = ['a', 'b', 'c', 'd', 'e']

/** A name whose slot this node owns. */
function ownedBy(net: Trackers, owner: string): string {
  const { table } = net.state(owner)
  for (let i = 0; i < 10_000; i++) {
    const name = `name-${i}`
    if (table !== undefined && rings.ownerOf(table, rings.slotOf(name, ring.slots)) === owner) return name
  }
  throw new Error(`${owner} owns nothing`)
}

function started(names: readonly string[] = ['a', 'b', 'c']): Trackers {
  const net = new Trackers()
  net.add(names)
  net.pass(100)
  return net
}

describe('claims', () => {
  test('a lone node gives itself a name in the same step', () => {
    const net = started(['a'])
    net.input('a', { type: 'claim', ask: 1, name: 'x', pid: 7 })
    expect(net.outputs('a', 'registered').map((output) => output.claim.pid.id)).toEqual([7])
    expect(net.wires).toEqual([])
  })

  test('a name held on one node is refused on the others, with its holder', () => {
    const net = started()
    net.input('a', { type: 'claim', ask: 1, name: 'x', kind: 'counter', pid: 7 })
    net.drain()
    net.input('b', { type: 'claim', ask: 1, name: 'x', kind: 'counter', pid: 8 })
    net.drain()
    const [refused] = net.outputs('b', 'refused')
    expect(refused?.code).toBe('ERR_ALREADY_STARTED')
    expect(refused?.holder?.pid.equals(net.claim('a', 'x')?.pid)).toBe(true)
    expect(net.holder('c', 'x')).toBe('a')
  })

  test('of five that claim one name at the same moment exactly one gets it, and all are told', () => {
    const net = started(FIVE)
    for (const at of FIVE) net.input(at, { type: 'claim', ask: 1, name: 'x', pid: 1 })
    net.drain()
    const winners = FIVE.filter((at) => net.outputs(at, 'registered').length === 1)
    expect(winners).toHaveLength(1)
    expect(FIVE.filter((at) => net.outputs(at, 'refused').length === 1)).toHaveLength(4)
    expect(new Set(FIVE.map((at) => net.holder(at, 'x')))).toEqual(new Set(winners))
  })

  test('two asks of one node for one name: the second gets the answer of the first', () => {
    const net = started()
    net.input('a', { type: 'claim', ask: 1, name: 'x', pid: 1 })
    net.input('a', { type: 'claim', ask: 2, name: 'x', pid: 2 })
    net.drain()
    expect(net.outputs('a', 'registered').map((output) => output.ask)).toEqual([1])
    const refused = net.outputs('a', 'refused').map((output) => [output.ask, output.code])
    expect(refused).toEqual([[2, 'ERR_ALREADY_REGISTERED']])
  })

  test('a claim without a process is granted first and put at commit; an abandoned one goes to who waits', () => {
    const net = started()
    net.input('a', { type: 'claim', ask: 1, name: 'x', kind: 'counter' })
    net.drain()
    net.input('b', { type: 'claim', ask: 1, name: 'x', kind: 'counter' })
    net.drain()
    expect(net.outputs('a', 'granted')).toHaveLength(1)
    expect(net.outputs('b', 'granted')).toHaveLength(0)
    net.input('a', { type: 'abandon', ask: 1 })
    net.drain()
    expect(net.outputs('b', 'granted')).toHaveLength(1)
    net.input('b', { type: 'commit', ask: 1, pid: 5 })
    net.drain()
    expect(net.holder('c', 'x')).toBe('b')
  })

  test('a grant is void once the slot belongs to another', () => {
    const net = started(['a', 'b'])
    const name = ownedBy(net, 'a')
    net.input('b', { type: 'claim', ask: 1, name, pid: 1 })
    net.deliver()
    // The grant is on its way when a view without its granter arrives.
    const grant = net.wires.splice(0).find((frame) => frame.message.type === 'grant') as (typeof net.wires)[number]
    net.phase('a', 'leaving')
    const later = net.wires.splice(0)
    net.wires.push(grant)
    net.deliver()
    expect(net.outputs('b', 'registered')).toHaveLength(0)
    net.wires.push(...later)
    net.drain()
    expect(net.outputs('b', 'registered')).toHaveLength(1)
  })

  test('fences of a name rise from holder to holder', () => {
    const net = started(FIVE)
    const fences: number[] = []
    for (const at of [...FIVE, ...FIVE]) {
      net.input(at, { type: 'claim', ask: fences.length + 1, name: 'x', pid: 1 })
      net.drain()
      fences.push(net.claim(at, 'x')?.fence ?? 0)
      net.input(at, { type: 'gone', pid: 1 })
      net.drain()
    }
    expect(fences).toEqual([...fences].sort((x, y) => x - y))
    expect(new Set(fences).size).toBe(10)
  })

  test('an ask whose answer was lost is asked again', () => {
    const net = started(['a', 'b'])
    const name = ownedBy(net, 'a')
    net.cut('b', 'a')
    net.input('b', { type: 'claim', ask: 1, name, pid: 1 })
    net.drain()
    net.mend()
    net.pass(2_000)
    expect(net.outputs('b', 'registered')).toHaveLength(1)
  })

  test('a grant whose "unused" was lost is free again after the owner asked', () => {
    const net = started()
    const name = ownedBy(net, 'a')
    net.input('b', { type: 'claim', ask: 1, name })
    net.drain()
    net.cut('b', 'a')
    net.input('b', { type: 'abandon', ask: 1 })
    net.drain()
    net.mend()
    net.input('c', { type: 'claim', ask: 1, name, pid: 1 })
    net.pass(4_000)
    expect(net.outputs('c', 'registered')).toHaveLength(0)
    net.pass(3_000)
    expect(net.outputs('c', 'registered')).toHaveLength(1)
  })
})

describe('claims, as the simulator found them wrong', () => {
  test('a relayed ask that comes after a later one of its node does not replace what was granted for that', () => {
    const net = started(['a', 'b', 'c'])
    const name = ownedBy(net, 'a')
    net.input('b', { type: 'claim', ask: 1, name })
    net.drain()
    const fence = net.outputs('b', 'granted')[0]?.fence
    const old: TrackerMessage = { type: 'claim', name, ask: 0, origin: '', again: false, fence: 0, counter: 0 }
    net.input('a', { type: 'message', from: 'boot-b', message: old })
    net.input('c', { type: 'claim', ask: 1, name, pid: 9 })
    net.drain()
    net.input('b', { type: 'commit', ask: 1, pid: 3 })
    net.drain()
    expect(net.claim('c', name)?.fence).toBe(fence)
    expect(net.outputs('c', 'registered')).toEqual([])
  })

  test('a second grant to who has the name already is not given back: the holder may not have the claim yet', () => {
    const net = started(['a', 'b', 'c'])
    const name = ownedBy(net, 'a')
    net.input('b', { type: 'claim', ask: 1, name })
    net.drain()
    const fence = net.outputs('b', 'granted')[0]?.fence ?? 0
    net.cut('b', 'a')
    net.cut('b', 'c')
    net.input('b', { type: 'commit', ask: 1, pid: 3 })
    net.drain()
    net.mend()
    const again: TrackerMessage = { type: 'claim', name, ask: 1, origin: '', again: false, fence: 0, counter: 0 }
    net.input('a', { type: 'message', from: 'boot-b', message: again })
    net.input('c', { type: 'claim', ask: 1, name, pid: 9 })
    net.drain()
    expect(net.outputs('c', 'registered')).toEqual([])
    net.pass(10_000)
    expect(net.outputs('c', 'refused')).toHaveLength(1)
    expect(net.claim('a', name)?.fence).toBe(fence)
  })

  test('who takes a slot asks leavers too: what they wrote last may be known to them alone', () => {
    const net = started(['a', 'b', 'c'])
    const name = ownedBy(net, 'b')
    net.input('b', { type: 'claim', ask: 1, name, pid: 1 })
    const fence = net.claim('b', name)?.fence ?? Number.POSITIVE_INFINITY
    const ops = net.wires.splice(0)
    net.input('b', { type: 'leave' })
    net.phase('b', 'leaving')
    net.input('a', { type: 'claim', ask: 1, name, pid: 1 })
    net.input('c', { type: 'claim', ask: 1, name, pid: 1 })
    net.drain()
    expect(net.outputs('a', 'registered').length + net.outputs('c', 'registered').length).toBe(0)
    net.wires.push(...ops)
    net.input('b', { type: 'gone', pid: 1 })
    net.pass(3_000)
    net.input('a', { type: 'claim', ask: 2, name, pid: 1 })
    net.drain()
    expect(net.claim('a', name)?.fence).toBeGreaterThan(fence)
  })

  test('who takes a slot waits for what a leaver wrote, counted from when it has left, not from when it was told of it', () => {
    const net = started(['a', 'b', 'c'])
    const name = ownedBy(net, 'b')
    net.cut('b', 'a')
    net.filter = (message, to) => to !== 'boot-a' || !('boot' in message) || message.boot !== 'boot-b'
    net.input('b', { type: 'spawn', ask: 1, name, kind: 'counter', spec: undefined })
    for (const { ask } of net.outputs('b', 'activate')) net.input('b', { type: 'commit', ask, pid: 1 })
    net.drain()
    expect(net.holder('c', name)).toBe('b')
    expect(net.holder('a', name)).toBeUndefined()
    net.input('b', { type: 'leave' })
    net.phase('b', 'leaving')
    net.pass(1_800)
    net.mend()
    net.filter = () => true
    net.phase('b', 'left')
    const a = net.state('a')
    for (let ms = 0; ms < 5_000 && a.heldCount < a.ownedCount; ms += 10) net.pass(10)
    expect(a.heldCount).toBe(a.ownedCount)
    expect(a.registry.logs.get('boot-b')?.seq).toBe(net.state('c').registry.logs.get('boot-b')?.seq)
  })
})

describe('another start of a name', () => {
  test('that ended with a higher fence lets a live one go on, above it', () => {
    const net = started()
    net.input('a', { type: 'claim', ask: 1, name: 'x', pid: 1, mode: 'local' })
    net.drain()
    const high = (net.claim('a', 'x')?.fence ?? 0) + 5_000
    tell(net, 'a', 'b', 'end', 'x', high)
    net.drain()
    expect(net.claim('c', 'x')?.fence).toBeGreaterThan(high)
    expect(net.claim('c', 'x')?.pid.node).toBe('a')
  })

  test('that ended with a higher fence while this one began: it is put above it', () => {
    const net = started()
    const name = ownedBy(net, 'a')
    net.input('a', { type: 'spawn', ask: 1, name, kind: 'counter', spec: undefined })
    const [start] = net.outputs('a', 'activate')
    const high = (start?.fence ?? 0) + 5_000
    tell(net, 'a', 'b', 'end', name, high)
    net.input('a', { type: 'commit', ask: start?.ask ?? 0, pid: 1 })
    net.drain()
    expect(net.claim('c', name)?.fence).toBeGreaterThan(high)
    net.kill('a')
    net.pass(5_000)
    expect([...net.outputs('b', 'activate'), ...net.outputs('c', 'activate')].map((one) => one.cause)).toEqual([
      'failover',
    ])
  })

  test('of the same origin is a copy of this one: where its user stopped it, this one does not rise above that', () => {
    const net = started()
    const name = ownedBy(net, 'a')
    net.input('a', { type: 'spawn', ask: 9, name, kind: 'counter', spec: undefined })
    const [start] = net.outputs('a', 'activate')
    net.input('a', { type: 'commit', ask: start?.ask ?? 0, pid: 1 })
    net.drain()
    const own = net.claim('a', name)
    const op: Op = { type: 'del', name, fence: (own?.fence ?? 0) + 9, strike: own?.placed?.origin }
    const message: TrackerMessage = { type: 'ops', boot: 'boot-b', first: 1, ops: [op], counter: 0, reply: false }
    net.input('a', { type: 'message', from: 'boot-b', message })
    expect(net.claim('a', name)?.fence).toBe(own?.fence)
  })

  test('whose node is gone is started again, though one that had no grant in the end runs there already', () => {
    const net = started(['a', 'b'])
    const name = ownedBy(net, 'a')
    net.input('a', { type: 'spawn', ask: 1, name, kind: 'counter', spec: undefined })
    const [first] = net.outputs('a', 'activate')
    net.kill('b')
    // Its grant is void after a stall, and it has none anew while a newcomer has nothing to say yet.
    net.add(['c'], { gate: false, kinds: [] })
    net.now += 5_000
    net.input('a', { type: 'wake' })
    tell(net, 'a', 'b', 'put', name, (first?.fence ?? 0) + 5_000)
    net.input('c', { type: 'gateOpen', reason: 'test' })
    net.input('a', { type: 'commit', ask: first?.ask ?? 0, pid: 1 })
    net.pass(40_000)
    for (const { ask } of net.outputs('a', 'activate').slice(1)) net.input('a', { type: 'commit', ask, pid: 2 })
    net.pass(5_000)
    expect(net.outputs('a', 'activate').map(({ cause }) => cause)).toEqual(['spawn', 'failover'])
    expect(net.claim('a', name)?.placed?.origin).toBe('boot-b:9')
    expect(
      net
        .outputs('a', 'refused')
        .filter(({ ask }) => ask === 1)
        .map(({ code }) => code),
    ).toEqual(['ERR_ALREADY_STARTED'])
  })
})

describe('claims, as a hostile reader found them wrong', () => {
  test('thousands of asks for one name at one node are answered one after the other', () => {
    const net = started()
    for (let ask = 1; ask <= 5_000; ask++) net.input('a', { type: 'claim', ask, name: 'hot', pid: ask })
    net.drain()
    expect(net.outputs('a', 'registered')).toHaveLength(1)
    expect(net.outputs('a', 'refused')).toHaveLength(4_999)
    for (let ask = 6_001; ask <= 9_000; ask++) net.input('b', { type: 'claim', ask, name: 'warm' })
    net.input('b', { type: 'leave' })
    expect(net.outputs('b', 'refused').filter((output) => output.code === 'ERR_LEAVING')).toHaveLength(3_000)
  })

  test('a claim of a boot that has left, or that nobody knows, blocks nothing', () => {
    const net = started()
    const name = ownedBy(net, 'a')
    net.phase('c', 'leaving')
    net.phase('c', 'left')
    const late: TrackerMessage = { type: 'claim', name, ask: 99, origin: '', again: false, fence: 0, counter: 0 }
    net.input('a', { type: 'message', from: 'boot-c', message: late })
    net.input('a', { type: 'message', from: 'stranger', message: late })
    net.input('b', { type: 'claim', ask: 1, name, pid: 1 })
    net.drain()
    expect(net.outputs('b', 'registered')).toHaveLength(1)
    const dropped = net.outputs('a', 'dropped').filter((output) => output.reason.includes('unknown or gone'))
    expect(dropped.map((output) => output.from)).toEqual(expect.arrayContaining(['boot-c', 'stranger']))
  })

  test('a counter that no clock can have is not believed, and an empty id not taken', () => {
    const net = started()
    const digest = {
      type: 'digest',
      counter: 2 ** 53 - 1,
      lineage: { epoch: 2 ** 40, genesis: 'z' },
      depth: 0,
      entries: [],
    } as const
    net.input('a', { type: 'message', from: 'boot-b', message: digest })
    expect(net.state('a').counter).toBeLessThan(2 ** 41)
    expect(net.state('a').seeking?.lineage.epoch ?? 0).toBeLessThan(1000)
    const fresh = new Trackers()
    fresh.add(['a', 'b'])
    for (let i = 0; i < 4; i++) fresh.deliver()
    const seeking = fresh.state('b').seeking?.lineage ?? fresh.state('a').seeking?.lineage
    for (const at of ['a', 'b']) {
      if (seeking === undefined) throw new Error('nobody seeks an id')
      const grant: TrackerMessage = { type: 'idGrant', lineage: seeking, id: 0, event: 0, seq: 0 }
      fresh.input(at, { type: 'message', from: at === 'a' ? 'boot-b' : 'boot-a', message: grant })
      expect(fresh.state(at).id).not.toBe(0)
    }
  })

  test('two donors that each hold the other for larger do not send an asker to and fro', () => {
    const net = started()
    net.pass(3_000)
    const { lineage } = net.state('a')
    for (const [at, other] of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const) {
      const peer = net.state(at).peers.get(`boot-${other}`)
      if (peer !== undefined) peer.depth = -5
    }
    net.input('a', { type: 'message', from: 'boot-c', message: { type: 'idAsk', lineage, pointed: true } })
    expect(net.wires.filter((frame) => frame.message.type === 'idGrant')).toHaveLength(1)
  })

  test('what a leaver still had asked of others ends before it has left', () => {
    const net = started()
    net.input('a', { type: 'claim', ask: 1, name: 'x', pid: 1 })
    net.drain()
    net.input('b', { type: 'request', ask: 2, request: { type: 'update', name: 'x', meta: 1 } })
    net.cut('b', 'c')
    net.input('b', { type: 'flush', ask: 3, want: 'all' })
    net.input('b', { type: 'leave' })
    expect(
      net
        .outputs('b', 'refused')
        .map((output) => [output.ask, output.code])
        .sort(),
    ).toEqual([
      [2, 'ERR_LEAVING'],
      [3, 'ERR_LEAVING'],
    ])
  })
})

describe('slots, as a hostile reader found them wrong', () => {
  test('a member is not passed over for a silence of long ago', () => {
    const net = started(['a', 'b', 'c'])
    // What `a` asked of `b` when `c` left was lost with their link; a join then took those slots away again.
    net.cut('a', 'b')
    net.phase('c', 'leaving')
    net.phase('c', 'left')
    net.pass(300)
    net.add(['d'])
    net.mend()
    net.pass(60_000)
    const name = ownedBy(net, 'd')
    net.input('b', { type: 'claim', ask: 1, name, pid: 1 })
    while (net.wires.length > 0 && net.outputs('b', 'registered').length === 0) net.deliver()
    // The op of `b` is still on its way when `d` leaves.
    const ops = net.wires.splice(0)
    net.input('d', { type: 'leave' })
    net.phase('d', 'leaving')
    net.phase('d', 'left')
    net.input('a', { type: 'claim', ask: 1, name, pid: 1 })
    net.pass(500)
    net.wires.push(...ops)
    net.pass(3_000)
    expect(net.outputs('a', 'registered')).toEqual([])
    expect(net.holder('a', name)).toBe('b')
  })
})

describe('slots', () => {
  test('every slot comes to be held by its owner, and never by two on the way', () => {
    const net = new Trackers()
    for (const name of FIVE) {
      net.add([name])
      while (net.wires.length > 0) {
        net.deliver()
        net.slotHolders()
      }
    }
    const { table } = net.state('a')
    expect(net.slotHolders()).toEqual(Array.from(table?.owners ?? [], (owner) => table?.names[owner]))
  })

  test('a node whose gate is shut answers "not yet" and holds nothing; when it opens it answers again at once', () => {
    const net = started(['a'])
    net.add(['b'], { gate: false })
    net.pass(500)
    expect(net.state('b').heldCount).toBe(0)
    // What `a` owns it still holds; what `b` owns nobody does.
    expect(net.slotHolders().filter((holder) => holder === undefined)).toHaveLength(net.state('b').ownedCount)
    net.input('b', { type: 'gateOpen', reason: 'test' })
    net.drain()
    expect(net.slotHolders()).not.toContain(undefined)
  })

  test('claims for a slot that its owner does not hold yet wait there and are served then', () => {
    const net = started(['a', 'b'])
    net.cut('b', 'c')
    net.add(['c'])
    net.drain()
    const name = ownedBy(net, 'c')
    net.input('a', { type: 'claim', ask: 1, name, pid: 1 })
    net.drain()
    expect(net.outputs('a', 'registered')).toHaveLength(0)
    net.mend()
    net.pass(1_200)
    expect(net.outputs('a', 'registered')).toHaveLength(1)
  })

  test('a member that is silent for a second is passed over', () => {
    const net = started(['a', 'b', 'c'])
    net.cut('c', 'd')
    net.add(['d'])
    net.pass(900)
    expect(net.state('d').heldCount).toBe(0)
    net.pass(400)
    expect(net.state('d').heldCount).toBe(net.state('d').ownedCount)
  })

  test('a taker waits for the claims that were granted before it came, from whoever has them', () => {
    const net = started(['a', 'b'])
    net.cut('b', 'c')
    for (let i = 0; i < 20; i++) net.input('b', { type: 'claim', ask: i, name: `n${i}`, pid: i })
    net.drain()
    // `c` hears nothing from their writer: what it must wait for it learns and gets from `a`.
    net.add(['c'])
    net.pass(4_500)
    for (let i = 0; i < 20; i++) net.input('c', { type: 'claim', ask: i, name: `n${i}`, pid: i })
    net.pass(3_000)
    expect(net.outputs('c', 'registered')).toEqual([])
    expect(net.outputs('c', 'refused')).toHaveLength(20)
  })

  test('a node that stalled gives its slots up before it reads its backlog, and takes them again', () => {
    const net = started(['a', 'b'])
    expect(net.state('a').heldCount).toBeGreaterThan(0)
    net.now += 5_000
    net.input('a', { type: 'wake' })
    expect(net.state('a').heldCount).toBe(0)
    net.pass(100)
    expect(net.state('a').heldCount).toBe(net.state('a').ownedCount)
  })
})

describe('sync', () => {
  function fill(net: Trackers, at: string, count: number): void {
    for (let i = 0; i < count; i++) net.input(at, { type: 'claim', ask: i, name: `n${i}`, pid: i })
    net.drain()
  }

  function expectSameLogs(net: Trackers): void {
    const digests = [...net.states.values()].map((state) =>
      digestOf(state.registry)
        .map((entry) => `${entry.boot} ${entry.seq} ${entry.high} ${entry.low}`)
        .sort(),
    )
    for (const digest of digests) expect(digest).toEqual(digests[0])
  }

  test('a newcomer gets 5,000 names in chunks and is ready only then', () => {
    const net = started(['a'])
    fill(net, 'a', 5_000)
    net.add(['b'])
    for (let i = 0; i < 4; i++) net.deliver()
    expect(net.outputs('b', 'ready')).toHaveLength(0)
    net.pass(1_000)
    expect(net.outputs('b', 'ready')).toHaveLength(1)
    expect(net.state('b').registry.index.size).toBe(5_000)
    expectSameLogs(net)
  })

  test('ops lost on the way are pulled at the next op, or by the next digest', () => {
    const net = started(['a', 'b', 'c'])
    net.cut('a', 'c')
    fill(net, 'a', 50)
    net.mend()
    net.pass(4_000)
    expectSameLogs(net)
  })

  test('ops that come during a transfer are not lost', () => {
    const net = started(['a'])
    fill(net, 'a', 3_000)
    net.add(['b'])
    for (let i = 0; net.wires.length > 0; i++) {
      if (i % 3 === 0 && i < 300) net.input('a', { type: 'gone', pid: i })
      if (i % 5 === 0 && i < 300) net.input('a', { type: 'claim', ask: 10_000 + i, name: `late${i}`, pid: 10_000 + i })
      net.deliver()
    }
    net.pass(3_000)
    expectSameLogs(net)
    expect(net.holder('b', 'late5')).toBe('a')
    expect(net.holder('b', 'n3')).toBeUndefined()
  })

  test('a newcomer asks for its names before it is ready, also where it might take them by its own word', () => {
    const net = started(['a'])
    fill(net, 'a', 100)
    net.add(['b'])
    const names = Array.from({ length: 100 }, (_, i) => `n${i}`)
    for (const [i, name] of names.entries()) net.input('b', { type: 'claim', ask: i + 1, name, pid: i, mode: 'local' })
    expect(net.outputs('b', 'ready')).toEqual([])
    net.pass(3_000)
    expect(net.outputs('b', 'registered')).toEqual([])
    expect(net.outputs('b', 'refused')).toHaveLength(names.length)
    net.input('b', { type: 'claim', ask: 1000, name: 'own', pid: 1000, mode: 'local' })
    expect(net.outputs('b', 'registered').map(({ claim }) => claim.name)).toEqual(['own'])
  })

  test.each([
    ['and however slowly', true],
    ['also to whom nobody tells of that', false],
  ])('a log comes over in one go however much is written meanwhile, %s', (_, tells) => {
    const net = new Trackers({ chunkBytes: 2000 })
    net.add(['a'])
    net.pass(100)
    fill(net, 'a', 3_000)
    net.add(['b'])
    let [chunks, ask] = [0, 100_000]
    /** What the newcomer had when each transfer began. */
    const seqs: number[] = []
    net.filter = (message, to) => {
      if (message.type === 'ops' && !message.reply && to === 'boot-b') return tells
      if (message.type !== 'state') return true
      if (message.chunk === 0) seqs.push(net.state('b').registry.logs.get('boot-a')?.seq ?? 0)
      // Whoever is told of nothing misses what was written since the last part left, and asks for that.
      if (seqs.length > 1) return true
      // More than a chunk has room for, all in all more than is kept for those who miss a few.
      for (let i = 0; i < 100; i++) net.input('a', { type: 'claim', ask: ++ask, name: `new${ask}`, pid: ask })
      net.input('a', { type: 'gone', pid: 7 * chunks })
      net.input('a', { type: 'gone', pid: 3_000 - 11 * chunks })
      net.input('a', {
        type: 'request',
        ask: ++ask,
        request: { type: 'update', name: `n${5 * chunks + 1}`, meta: ask },
      })
      chunks++
      return true
    }
    net.pass(3_000)
    expect(seqs).toEqual(tells ? [0] : [0, expect.toSatisfy((seq: number) => seq > 7_000)])
    expect(chunks).toBeGreaterThan(50)
    expect(net.outputs('b', 'ready')).toHaveLength(1)
    expectSameLogs(net)
    expect(net.claim('b', 'n51')?.meta).toBeDefined()
  })

  test('a copy that differs at the same seq is fetched anew from its writer', () => {
    const net = started(['a', 'b'])
    fill(net, 'a', 10)
    const log = net.state('b').registry.logs.get('boot-a')
    if (log !== undefined) log.low ^= 1
    net.pass(4_000)
    expectSameLogs(net)
  })

  test('ops of a boot that nobody knows are refused', () => {
    const net = started(['a', 'b'])
    const message: TrackerMessage = { type: 'ops', boot: 'stranger', first: 1, ops: [], counter: 0, reply: false }
    net.input('a', { type: 'message', from: 'boot-b', message })
    expect(net.outputs('a', 'dropped')).toHaveLength(1)
    expect(net.state('a').registry.logs.has('stranger')).toBe(false)
  })
})

describe('weights', () => {
  const names = Array.from({ length: 6000 }, (_, i) => `name-${i}`)

  /** The host of each name, as this node sees it. */
  function hosts(net: Trackers, at: string): (string | undefined)[] {
    const state = net.state(at)
    return names.map((name) =>
      hostOf(state, { name, slot: rings.slotOf(name, ring.slots), kind: 'counter', terms: undefined }),
    )
  }

  function share(of: readonly (string | undefined)[], name: string): number {
    return of.filter((boot) => boot === `boot-${name}`).length / of.length
  }

  function weighted(weights: Readonly<Record<string, number>>): Trackers {
    const net = new Trackers()
    for (const [name, weight] of Object.entries(weights)) net.add([name], { weight })
    net.pass(3_000)
    return net
  }

  test('share the placed names out, in proportion; none goes to a weight of 0', () => {
    const net = weighted({ a: 1, b: 2, c: 4, d: 0.5, e: 0 })
    const all = hosts(net, 'a')
    const even = hosts(weighted({ a: 1, b: 1, c: 1, d: 1, e: 0 }), 'a')
    for (const [name, weight] of [
      ['a', 1],
      ['b', 2],
      ['c', 4],
      ['d', 0.5],
    ] as const) {
      // The ring of a test is coarse, so its own shares are what weights are measured by.
      expect(share(all, name) / (weight / 7.5)).toBeGreaterThan(0.5 * Math.min(1, share(even, name) * 4))
      expect(share(all, name) / (weight / 7.5)).toBeLessThan(2 * Math.max(1, share(even, name) * 4))
    }
    expect(share(all, 'c')).toBeGreaterThan(share(all, 'b'))
    expect(share(all, 'b')).toBeGreaterThan(share(all, 'a'))
    expect(share(all, 'a')).toBeGreaterThan(share(all, 'd'))
    expect(share(all, 'e')).toBe(0)
  })

  test('are seen alike by all, and those that are equal change nothing, whatever they are', () => {
    const net = weighted({ a: 1, b: 3, c: 2 })
    expect(hosts(net, 'b')).toEqual(hosts(net, 'a'))
    expect(hosts(net, 'c')).toEqual(hosts(net, 'a'))
    expect(hosts(weighted({ a: 7, b: 7, c: 7 }), 'a')).toEqual(hosts(weighted({ a: 1, b: 1, c: 1 }), 'a'))
  })

  test('of one that grows take names over from others, and move none between those', () => {
    const before = hosts(weighted({ a: 2, b: 2, c: 1 }), 'a')
    const after = hosts(weighted({ a: 2, b: 2, c: 2 }), 'a')
    const moved = before.flatMap((boot, i) => (after[i] === boot ? [] : [after[i]]))
    expect(moved.length).toBeGreaterThan(100)
    expect(new Set(moved)).toEqual(new Set(['boot-c']))
  })
})

describe('placed names', () => {
  /** Run every start that a host was asked for; returns how many there were. */
  function runStarts(net: Trackers, fails = false): number {
    let starts = 0
    for (let round = 0; round < 5; round++) {
      for (const [boot, given] of net.given) {
        const node = net.infos.get(boot)?.name ?? ''
        const wanted = given.filter((output) => output.type === 'activate')
        starts += wanted.length
        net.given.set(
          boot,
          given.filter((output) => output.type !== 'activate'),
        )
        for (const { ask } of wanted) {
          if (fails) net.input(node, { type: 'abandon', ask, code: 'ERR_INIT_FAILED', text: 'no' })
          else net.input(node, { type: 'commit', ask, pid: 1000 + Math.abs(ask) })
        }
      }
      net.drain()
    }
    return starts
  }

  function spawn(net: Trackers, at: string, name: string, ask = 1): void {
    net.input(at, { type: 'spawn', ask, name, kind: 'counter', spec: [0] })
    net.drain()
    runStarts(net)
  }

  test('a spawn starts where the ring says and its caller sees it; a second one is refused with the pid', () => {
    const net = started()
    const name = ownedBy(net, 'b')
    spawn(net, 'a', name)
    expect(net.outputs('a', 'registered').map((output) => output.claim.pid.node)).toEqual(['b'])
    expect(net.holder('a', name)).toBe('b')
    spawn(net, 'c', name)
    expect(net.outputs('c', 'refused')[0]?.holder?.pid.node).toBe('b')
  })

  test('a spawn asked for by the very node that hosts it does not wait for itself', () => {
    const net = started()
    const name = ownedBy(net, 'a')
    spawn(net, 'a', name)
    expect(net.outputs('a', 'registered').map((output) => output.ask)).toContain(1)
  })

  test('a name that is to be started again goes to that start alone, though others on the same node want it', () => {
    const net = started(['a', 'b'])
    const name = ownedBy(net, 'b')
    spawn(net, 'a', name)
    net.kill('b')
    net.input('a', { type: 'claim', ask: 5, name, kind: 'counter', pid: 1 })
    net.pass(300)
    expect(runStarts(net)).toBe(1)
    expect(net.claim('a', name)?.placed).toBeDefined()
    expect(net.outputs('a', 'refused').map((output) => output.ask)).toEqual([5])
  })

  test('a kind is started only where it is known', () => {
    const net = new Trackers()
    net.add(['a', 'b'], { kinds: [] })
    net.add(['c'], { kinds: ['counter'] })
    net.pass(100)
    const name = ownedBy(net, 'a')
    spawn(net, 'b', name)
    expect(net.holder('b', name)).toBe('c')
    net.input('b', { type: 'spawn', ask: 2, name: 'other', kind: 'clock', spec: [] })
    net.drain()
    expect(net.outputs('b', 'refused').map((output) => output.code)).toEqual(['ERR_KIND_UNKNOWN'])
  })

  test('when its node dies a placed name is started elsewhere with a higher fence; a bare one is gone', () => {
    const net = started(FIVE)
    const name = ownedBy(net, 'b')
    spawn(net, 'a', name)
    net.input('b', { type: 'claim', ask: 1, name: 'bare', pid: 1 })
    net.pass(3_000)
    const before = net.claim('a', name)
    net.kill('b')
    expect(net.claim('a', name)).toBeUndefined()
    net.pass(300)
    runStarts(net)
    const after = net.claim('a', name)
    expect(after?.pid.node).not.toBe('b')
    expect(after?.fence).toBeGreaterThan(before?.fence ?? Number.POSITIVE_INFINITY)
    expect(net.claim('a', 'bare')).toBeUndefined()
  })

  test('a name that its user stopped does not rise again from the log of a dead node', () => {
    const net = started(FIVE)
    const name = ownedBy(net, 'b')
    spawn(net, 'a', name)
    net.kill('b')
    net.pass(300)
    runStarts(net)
    const claim = net.claim('a', name)
    net.input(claim?.pid.node ?? '', { type: 'gone', pid: claim?.pid.id ?? 0 })
    net.drain()
    // Not even a member that comes now and gets every log starts it again.
    net.add(['f'])
    net.pass(3_000)
    expect(runStarts(net)).toBe(0)
    for (const at of ['a', 'c', 'd', 'e', 'f']) expect(net.claim(at, name)).toBeUndefined()
  })

  test('a start that fails everywhere is tried a bounded number of times and then given up, loudly', () => {
    const net = started()
    const name = ownedBy(net, 'b')
    spawn(net, 'a', name)
    net.kill('b')
    let starts = 0
    for (let second = 0; second < 58; second++) {
      net.pass(1_000)
      starts += runStarts(net, true)
    }
    expect(starts).toBe(7)
    const errors = [...net.given.values()].flat().filter((output) => output.type === 'log' && output.level === 'error')
    expect(errors).toHaveLength(1)
  })

  test('a node that loses more than half of its members at once restarts nothing for a while', () => {
    const net = started(FIVE)
    for (let i = 0; i < 10; i++) spawn(net, 'a', `p${i}`, i)
    for (const name of ['b', 'c', 'd']) net.kill(name)
    net.pass(5_000)
    expect(runStarts(net)).toBe(0)
    net.pass(31_000)
    expect(runStarts(net)).toBeGreaterThan(0)
    for (let i = 0; i < 10; i++) expect(['a', 'e']).toContain(net.holder('a', `p${i}`))
  })

  test('a spawn that is asked again after its actor was stopped starts nothing', () => {
    const net = started()
    const name = ownedBy(net, 'b')
    net.input('a', { type: 'spawn', ask: 1, name, kind: 'counter', spec: [0] })
    const asked = net.wires.find((frame) => frame.message.type === 'spawn')
    net.drain()
    runStarts(net)
    net.input('b', { type: 'gone', pid: net.claim('b', name)?.pid.id ?? 0 })
    net.drain()
    if (asked === undefined) throw new Error('not asked')
    net.input('b', { type: 'message', from: 'boot-a', message: asked.message })
    net.pass(6_000)
    expect(runStarts(net)).toBe(0)
  })

  test('a spawn whose actor ended before its caller saw it live is answered all the same', () => {
    const net = started()
    const name = ownedBy(net, 'b')
    net.input('a', { type: 'spawn', ask: 1, name, kind: 'counter', spec: [0] })
    net.drain()
    net.cut('b', 'a')
    runStarts(net)
    net.input('b', { type: 'gone', pid: net.claim('b', name)?.pid.id ?? 0 })
    net.drain()
    net.mend()
    net.pass(6_000)
    expect(net.outputs('a', 'registered').length + net.outputs('a', 'refused').length).toBe(1)
    expect(runStarts(net)).toBe(0)
  })

  test('a placed name waits as long as it must for a node that can host it', () => {
    const net = new Trackers()
    net.add(['a', 'b'], { kinds: [] })
    net.add(['c'], { kinds: ['counter'] })
    net.pass(100)
    const name = ownedBy(net, 'a')
    spawn(net, 'a', name)
    net.kill('c')
    net.pass(200_000)
    net.add(['d'], { kinds: ['counter'] })
    net.pass(3_000)
    expect(runStarts(net)).toBe(1)
    expect(net.holder('a', name)).toBe('d')
  })

  test('a host that was granted once goes on though the slot has a new owner and the caller has given up', () => {
    const net = started(FIVE)
    const name = ownedBy(net, 'b')
    net.input('a', { type: 'spawn', ask: 1, name, kind: 'counter', spec: [0] })
    net.drain()
    net.input('a', { type: 'forget', ask: 1 })
    const host = FIVE.find((at) => net.outputs(at, 'activate').length === 1) ?? ''
    const [start] = net.outputs(host, 'activate')
    net.add(['f', 'g', 'h'])
    for (const at of ['b', 'f', 'g']) if (at !== host) net.phase(at, 'leaving')
    net.drain()
    net.input(host, { type: 'commit', ask: start?.ask ?? 0, pid: 5 })
    net.pass(3_000)
    expect(net.holder('a', name)).toBe(host)
  })

  test('thousands of names of a dead node are started again in portions, and all of them', () => {
    const net = started()
    for (let i = 0; i < 3_000; i++) net.input('a', { type: 'spawn', ask: i, name: `p${i}`, kind: 'counter', spec: [] })
    net.drain()
    runStarts(net)
    const lost = [...(net.state('a').registry.logs.get('boot-b')?.claims.keys() ?? [])]
    expect(lost.length).toBeGreaterThan(500)
    net.kill('b')
    for (let round = 0; round < 10; round++) {
      net.pass(1_000)
      for (const at of ['a', 'c']) expect(net.state(at).starting.size).toBeLessThanOrEqual(512)
      runStarts(net)
    }
    for (const name of lost) expect(net.claim('a', name)).toBeDefined()
  })

  test('members that leave properly are no loss: what one of the rest held is started again at once', () => {
    const net = started()
    const name = ownedBy(net, 'b')
    spawn(net, 'a', name)
    for (const phase of ['leaving', 'left'] as const) net.phase('c', phase)
    net.states.delete('boot-c')
    net.phase('b', 'leaving')
    net.kill('b')
    net.pass(300)
    expect(runStarts(net)).toBe(1)
  })

  test('a spawn whose answer was lost and is asked again knows its own work', () => {
    const net = started()
    const name = ownedBy(net, 'b')
    net.cut('b', 'a')
    spawn(net, 'a', name)
    expect(net.outputs('a', 'registered')).toEqual([])
    net.mend()
    net.pass(3_000)
    expect(net.outputs('a', 'registered').map((output) => output.claim.pid.node)).toEqual(['b'])
    expect(net.outputs('a', 'refused')).toEqual([])
  })
})

describe('ids and stamps', () => {
  test('nodes that start at once end in one lineage with disjoint ids', () => {
    const net = new Trackers()
    net.add(Array.from({ length: 20 }, (_, i) => `n${i}`))
    net.pass(5_000)
    const lineages = new Set([...net.states.values()].map((state) => `${state.lineage.epoch}/${state.lineage.genesis}`))
    expect(lineages.size).toBe(1)
    expect(net.overlappingIds()).toEqual([])
  })

  test('a newcomer takes an id of the cluster, never the other way round', () => {
    const net = started()
    net.pass(3_000)
    const before = net.state('a').lineage
    net.add(['0'])
    net.pass(3_000)
    expect(net.state('0').lineage).toEqual(before)
    expect(net.overlappingIds()).toEqual([])
  })

  test('a leaver gives its id to one heir, and claims nothing after', () => {
    const net = started()
    net.pass(3_000)
    net.input('b', { type: 'claim', ask: 1, name: 'x', pid: 1 })
    net.drain()
    net.input('b', { type: 'leave' })
    net.phase('b', 'leaving')
    net.input('b', { type: 'gone', pid: 1 })
    net.cut('b', 'c')
    net.input('b', { type: 'part' })
    net.drain()
    // Not before everybody knows what it wrote last.
    expect(net.outputs('b', 'left')).toHaveLength(0)
    net.mend()
    net.pass(3_000)
    expect(net.holder('c', 'x')).toBeUndefined()
    expect(net.outputs('b', 'left')).toHaveLength(1)
    expect(net.state('b').id).toBe(0)
    net.input('b', { type: 'claim', ask: 9, name: 'x', pid: 1 })
    expect(net.outputs('b', 'refused').map((output) => output.code)).toEqual(['ERR_LEAVING'])
    expect(net.overlappingIds()).toEqual([])
  })

  test('a claim made by someone who had seen an earlier one is stamped after it', () => {
    const net = started(FIVE)
    net.pass(5_000)
    net.input('a', { type: 'claim', ask: 1, name: 'x', pid: 1, mode: 'local' })
    net.drain()
    const first = net.claim('a', 'x')
    net.cut('a', 'b')
    net.input('b', { type: 'message', from: 'boot-c', message: { type: 'pull', boot: 'boot-a', have: 0 } })
    net.phase('a', 'leaving')
    net.phase('a', 'left')
    net.input('b', { type: 'claim', ask: 1, name: 'x', pid: 1, mode: 'local' })
    net.pass(1_000)
    const second = net.claim('c', 'x')
    if (first === undefined || second === undefined) throw new Error('not registered')
    expect(second.pid.node).toBe('b')
    expect(itc.compare(first.stamp.event, second.stamp.event)).toBe('before')
  })

  test('a claim is not before one whose maker saw only an earlier claim of its node', () => {
    const net = started()
    net.pass(3_000)
    net.input('a', { type: 'claim', ask: 1, name: 'x', pid: 1, mode: 'local' })
    net.drain()
    net.cut('a', 'b')
    net.input('a', { type: 'gone', pid: 1 })
    net.input('a', { type: 'claim', ask: 2, name: 'x', pid: 2, mode: 'local' })
    net.drain()
    const again = net.claim('a', 'x')
    expect(net.claim('b', 'x')?.pid.id).toBe(1)
    net.lose('a')
    net.input('b', { type: 'claim', ask: 1, name: 'x', pid: 3, mode: 'local' })
    net.pass(1_000)
    const other = net.claim('b', 'x')
    if (again === undefined || other === undefined) throw new Error('not registered')
    expect(other.pid.node).toBe('b')
    expect(itc.compare(again.stamp.event, other.stamp.event)).toBe('concurrent')
  })

  test('a node with the id of a leaver claims after what that one made', () => {
    const net = started(['a', 'b'])
    net.pass(3_000)
    for (let round = 1; round <= 3; round++) {
      net.input('b', { type: 'claim', ask: round, name: 'x', pid: round, mode: 'local' })
      net.drain()
      if (round < 3) net.input('b', { type: 'gone', pid: round })
    }
    const made = net.claim('b', 'x')
    net.input('b', { type: 'leave' })
    net.phase('b', 'leaving')
    net.input('b', { type: 'gone', pid: 3 })
    net.input('b', { type: 'part' })
    net.pass(1_000)
    net.input('a', { type: 'claim', ask: 9, name: 'x', pid: 1, mode: 'local' })
    const after = net.claim('a', 'x')
    if (made === undefined || after === undefined) throw new Error('not registered')
    expect(itc.compare(made.stamp.event, after.stamp.event)).toBe('before')
  })
})

describe('ids from others', () => {
  const give = (net: Trackers, change: object): void => {
    const { lineage } = net.state('a')
    const { seq } = net.state('b').registry.logs.get('boot-b') ?? { seq: 0 }
    const message = { type: 'idGive', lineage, id: net.state('b').id, event: 0, seq, ...change } as TrackerMessage
    net.input('a', { type: 'message', from: 'boot-b', message })
  }

  /** `c` has joined `a` and `b`, which have claimed, and their logs do not come through to it. */
  function withoutLogs(): Trackers {
    const net = started(['a', 'b'])
    net.pass(3_000)
    for (const [i, name] of ['a', 'b'].entries())
      net.input(name, { type: 'claim', ask: 1, name: `x${i}`, pid: 1, mode: 'local' })
    net.drain()
    net.filter = ({ type }, to) => to !== 'boot-c' || (type !== 'state' && type !== 'ops')
    net.add(['c'])
    net.pass(2_000)
    expect(net.state('c').seeking?.granted).toBeDefined()
    expect(net.state('c').lineage.genesis).toBe('boot-c')
    return net
  }

  test('one that is granted waits for the logs of those who had it: what they claimed has been seen then', () => {
    const net = withoutLogs()
    net.filter = () => true
    net.pass(3_000)
    expect(net.state('c').lineage).toEqual(net.state('a').lineage)
    expect(net.state('c').seeking).toBeUndefined()
    expect(net.state(net.state('a').pendingGrants.size > 0 ? 'a' : 'b').pendingGrants.size).toBe(0)
    expect(net.overlappingIds()).toEqual([])
  })

  test('or for its giver to be gone: then another one is asked for', () => {
    const net = withoutLogs()
    const giver = net.state('c').seeking?.from === 'boot-a' ? 'a' : 'b'
    net.kill(giver)
    net.filter = () => true
    net.pass(5_000)
    expect(net.state('c').lineage).toEqual(net.state(giver === 'a' ? 'b' : 'a').lineage)
    expect(net.overlappingIds()).toEqual([])
  })

  test.each<[string, object]>([
    ['that comes before the log of its leaver', { seq: 1 }],
    ['with a past that nobody can have made', { event: 2 ** 48 }],
  ])('one %s is not used', (_, change) => {
    const net = started(['a', 'b'])
    net.pass(3_000)
    const before = net.state('a').id
    give(net, change)
    expect(net.state('a').id).toEqual(before)
    expect(net.outputs('a', 'dropped')).toEqual([])
    give(net, {})
    if ('seq' in change) expect(net.state('a').id).not.toEqual(before)
  })

  test('a past without ground changes no stamp', () => {
    const net = started(['a', 'b'])
    net.pass(3_000)
    give(net, { id: 0, event: 2 ** 48 })
    net.input('a', { type: 'claim', ask: 1, name: 'x', pid: 1, mode: 'local' })
    expect(itc.heightOf(net.claim('a', 'x')?.stamp.event ?? 2 ** 48)).toBe(1)
  })
})

describe('requests and barriers', () => {
  test('metadata, groups and removal are asked of the node of the pid, and read back at the asker', () => {
    const net = started()
    net.input('a', { type: 'claim', ask: 1, name: 'x', pid: 1 })
    net.drain()
    const pid = net.claim('b', 'x')?.pid
    if (pid === undefined) throw new Error('not registered')
    net.input('b', { type: 'request', ask: 2, request: { type: 'update', name: 'x', meta: { v: 1 } } })
    net.input('b', { type: 'request', ask: 3, request: { type: 'join', group: 'g', pid, meta: undefined } })
    net.drain()
    expect(net.outputs('b', 'done').map((output) => output.ask)).toEqual([2, 3])
    expect(net.claim('b', 'x')?.meta).toEqual({ v: 1 })
    expect(membersOf(net.state('b').registry, 'g').map((one) => one.pid.node)).toEqual(['a'])
    net.input('a', { type: 'gone', pid: 1 })
    net.drain()
    expect(net.state('b').registry.groups.has('g')).toBe(false)
    expect(net.holder('c', 'x')).toBeUndefined()
  })

  test('a request whose node goes down ends with an error', () => {
    const net = started()
    net.input('a', { type: 'claim', ask: 1, name: 'x', pid: 1 })
    net.drain()
    net.input('b', { type: 'request', ask: 2, request: { type: 'unregister', name: 'x' } })
    net.wires.length = 0
    net.kill('a')
    net.pass(200)
    expect(net.outputs('b', 'refused').map((output) => output.code)).toEqual(['ERR_NODE_DOWN'])
  })

  test('flush ends when as many members as wanted have what was written before it', () => {
    const net = started()
    net.cut('a', 'c')
    net.input('a', { type: 'claim', ask: 1, name: 'x', pid: 1, mode: 'local' })
    net.input('a', { type: 'flush', ask: 2, want: 'all' })
    net.input('a', { type: 'flush', ask: 3, want: 1 })
    net.drain()
    expect(net.outputs('a', 'done').map((output) => output.ask)).toEqual([3])
    net.mend()
    net.pass(4_000)
    expect(net.outputs('a', 'done').map((output) => output.ask)).toEqual([3, 2])
    expect(net.holder('c', 'x')).toBe('a')
  })
})

describe('conflicts', () => {
  test('of two local claims one wins everywhere; the loser stops after the winner said that it runs', () => {
    const net = started(FIVE)
    net.input('a', { type: 'claim', ask: 1, name: 'x', pid: 1, mode: 'local' })
    net.input('b', { type: 'claim', ask: 1, name: 'x', pid: 2, mode: 'local' })
    net.drain()
    net.pass(2_000)
    const stopped = FIVE.flatMap((at) => net.outputs(at, 'deactivate').map((output) => [at, output.reason]))
    expect(stopped).toHaveLength(1)
    expect(stopped[0]?.[1]).toBe('conflict')
    const winner = stopped[0]?.[0] === 'a' ? 'b' : 'a'
    for (const at of FIVE) expect(net.holder(at, 'x')).toBe(winner)
  })

  test('the loser runs on while the winner does not answer', () => {
    const net = started()
    net.cut('a', 'b')
    net.cut('b', 'a')
    net.input('a', { type: 'claim', ask: 1, name: 'x', pid: 1, mode: 'local' })
    net.input('b', { type: 'claim', ask: 1, name: 'x', pid: 2, mode: 'local' })
    net.pass(3_000)
    expect(net.outputs('a', 'deactivate').length + net.outputs('b', 'deactivate').length).toBe(0)
    net.mend()
    net.pass(6_000)
    expect(net.outputs('a', 'deactivate').length + net.outputs('b', 'deactivate').length).toBe(1)
  })
})
