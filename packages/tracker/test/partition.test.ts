/** The partition policies: who may go on, when a part halts, and when the others take over what it held. */
import { type MemberInfo, membershipLimits } from '@skep/cluster/core'
import { describe, expect, test } from 'vitest'
import { type PartitionConfig, partitionTimes, type TrackerOutput, wins } from '../src/core/index.js'
import type { Base } from '../src/core/messages.js'
import { Trackers } from './trackers.js'

const times = partitionTimes(membershipLimits)
const FIVE = ['a', 'b', 'c', 'd', 'e']

/** Nodes whose view has stood long enough to be the base. */
function settled(names: readonly string[], policy: PartitionConfig['policy'] = 'majority'): Trackers {
  const net = new Trackers({}, undefined, { ...times, policy })
  net.add(names)
  net.pass(times.stableMs + 3 * times.beatMs)
  return net
}

/** When each step of time came, what this node was given of this type. */
function when(net: Trackers, name: string, type: TrackerOutput['type'], withinMs: number): number | undefined {
  const before = net.outputs(name, type).length
  const began = net.now
  for (let ms = 0; ms < withinMs; ms += 10) {
    net.pass(10)
    if (net.outputs(name, type).length > before) return net.now - began
  }
  return undefined
}

function halted(net: Trackers, ...names: readonly string[]): boolean[] {
  return names.map((name) => net.state(name).partition?.halted === true)
}

/** Spawns names until one is placed on this node. */
function placedOn(net: Trackers, host: string): string {
  for (let i = 1; i < 100; i++) {
    const before = net.outputs(host, 'activate').length
    net.input('a', { type: 'spawn', ask: 1000 + i, name: `placed-${i}`, kind: 'counter', spec: i })
    net.drain()
    for (const name of net.infos.values()) {
      for (const { ask } of net.outputs(name.name, 'activate').slice(-1))
        net.input(name.name, { type: 'commit', ask, pid: 500 + i })
    }
    net.drain()
    if (net.outputs(host, 'activate').length > before) return `placed-${i}`
  }
  throw new Error(`nothing was placed on ${host}`)
}

describe('the times of a policy', () => {
  test.each([
    [6000, { pauseMs: 6000, takeoverMs: 8000, beatMs: 500 }],
    [3000, { pauseMs: 3000, takeoverMs: 5000, beatMs: 250 }],
    [8000, { pauseMs: 8000, takeoverMs: 10_000, beatMs: 500 }],
    [20_000, { pauseMs: 20_000, takeoverMs: 25_000, beatMs: 500 }],
    [1, { pauseMs: 1, takeoverMs: 2001, beatMs: 1 }],
  ])('of a suspicion of at most %d ms are %o', (suspicionMaxMs, expected) => {
    expect(partitionTimes({ suspicionMaxMs })).toEqual({ ...expected, stableMs: 10_000 })
  })

  test('leave who halts a fifth of its time for a clock that is slow', () => {
    for (let suspicionMaxMs = 1; suspicionMaxMs < 200_000; suspicionMaxMs += 997) {
      const { pauseMs, takeoverMs, beatMs } = partitionTimes({ suspicionMaxMs })
      expect(takeoverMs).toBeGreaterThanOrEqual(pauseMs * 1.25)
      // Several beats may be lost before votes lapse.
      if (suspicionMaxMs >= 12) expect(beatMs * 12).toBeLessThanOrEqual(pauseMs)
    }
  })
})

describe('votes', () => {
  const base = (...lives: readonly string[]): Base => ({
    key: '1.x.y',
    version: 1,
    genesis: 'a',
    // The later in the alphabet, the older.
    members: lives.map((life) => ({ life, name: life, address: `${life}:1`, startedAt: 1000 - life.charCodeAt(0) })),
  })

  test.each<[PartitionConfig['policy'], string, string, string, boolean]>([
    ['majority', 'abcde', '', 'abc', true],
    ['majority', 'abcde', '', 'de', false],
    ['majority', 'abcd', '', 'ab', true],
    ['majority', 'abcd', '', 'cd', false],
    ['majority', 'abcd', '', 'ad', true],
    ['majority', 'ab', '', 'a', true],
    ['majority', 'ab', '', 'b', false],
    ['majority', 'a', '', 'a', true],
    ['majority', 'abcde', 'ab', 'cd', true],
    ['majority', 'abcde', 'ab', 'e', false],
    ['majority', 'abcde', 'a', 'bc', true],
    ['majority', 'abcde', 'a', 'de', false],
    ['majority', 'abc', '', 'xyz', false],
    ['majority', 'abc', '', 'abxyz', true],
    ['keep-oldest', 'abcde', '', 'de', true],
    ['keep-oldest', 'abcde', '', 'abc', false],
    ['keep-oldest', 'abcde', '', 'e', false],
    ['keep-oldest', 'abcde', '', 'abcd', true],
    ['keep-oldest', 'ab', '', 'b', true],
    ['keep-oldest', 'ab', '', 'a', false],
    ['keep-oldest', 'abcde', 'e', 'cd', true],
    ['keep-oldest', 'abcde', 'e', 'abc', true],
    ['keep-oldest', 'abcde', 'e', 'ab', false],
  ])('by %s: of %s, of whom %j are gone, %s wins: %s', (policy, members, gone, there, expected) => {
    const config = { ...times, policy }
    expect(wins({ config, gone: new Set(gone) }, base(...members), new Set(there))).toBe(expected)
  })

  test.each(['majority', 'keep-oldest'] as const)('by %s two sides that share nobody never both win', (policy) => {
    const config = { ...times, policy }
    for (let size = 1; size <= 6; size++) {
      const members = [...'abcdef'].slice(0, size)
      // Everybody is on one side, on the other, has left and only the one or the other side knows, or is lost.
      for (let code = 0; code < 5 ** size; code++) {
        const place = members.map((_, i) => Math.floor(code / 5 ** i) % 5)
        const at = (...kinds: number[]): Set<string> => new Set(members.filter((_, i) => kinds.includes(place[i] ?? 0)))
        const one = wins({ config, gone: at(2) }, base(...members), at(0))
        const other = wins({ config, gone: at(3) }, base(...members), at(1))
        expect(one && other && at(0).size > 0 && at(1).size > 0, `${members} ${place}`).toBe(false)
      }
    }
  })
})

describe('a part without the majority', () => {
  test('halts by its own clock, before the others take over what it held', () => {
    const net = settled(FIVE)
    const name = placedOn(net, 'e')
    net.lose('d', 'e')
    const cutAt = net.now
    const haltedMs = when(net, 'e', 'halted', 20_000) as number
    expect(haltedMs).toBeLessThanOrEqual(times.pauseMs + 10)
    expect(haltedMs).toBeGreaterThan(times.pauseMs - 3 * times.beatMs)
    expect(halted(net, 'a', 'b', 'c', 'd', 'e')).toEqual([false, false, false, true, true])
    const survivors = ['a', 'b', 'c']
    const activated = (): number => survivors.reduce((sum, at) => sum + net.outputs(at, 'activate').length, 0)
    const before = activated()
    while (activated() === before) net.pass(10)
    expect(net.now - cutAt).toBeGreaterThanOrEqual(times.takeoverMs)
    expect(net.now - cutAt).toBeLessThan(times.takeoverMs + 2000)
    const [restarted] = survivors
      .flatMap((at) => net.outputs(at, 'activate').slice(-1))
      .filter((one) => one.name === name)
    expect(restarted).toMatchObject({ name, cause: 'failover' })
  })

  test('refuses names, those asked for before too, and says so once in the log', () => {
    const net = settled(FIVE)
    net.lose('d', 'e')
    net.input('e', { type: 'claim', ask: 1, name: 'x', pid: 1 })
    net.pass(times.pauseMs + 100)
    net.input('e', { type: 'claim', ask: 2, name: 'y', pid: 2 })
    net.input('e', { type: 'spawn', ask: 3, name: 'z', kind: 'counter', spec: 1 })
    net.input('e', { type: 'claim', ask: 4, name: 'local', pid: 4, mode: 'local' })
    net.pass(1000)
    const refused = net.outputs('e', 'refused').map(({ ask, code }) => `${ask} ${code}`)
    for (const ask of [2, 3, 4]) expect(refused).toContain(`${ask} ERR_NO_MAJORITY`)
    // The first one was either given by a slot that e held before the cut, or refused.
    expect(net.outputs('e', 'registered').length + refused.filter((text) => text.startsWith('1 ')).length).toBe(1)
    const warned = net.outputs('e', 'log').filter(({ level, text }) => level === 'warn' && text.includes('majority'))
    expect(warned).toHaveLength(1)
    expect(warned[0]?.fields).toMatchObject({ standing: 2, of: 5 })
    expect(net.state('e').heldCount).toBe(0)
  })

  test('goes on when it is whole again, and what it held and nobody took runs on', () => {
    const net = settled(['a', 'b', 'c'])
    net.input('c', { type: 'claim', ask: 1, name: 'x', kind: 'counter', pid: 7 })
    net.drain()
    // Unheard, but nobody holds anybody to be down.
    for (const other of ['a', 'b']) {
      net.cut('c', other)
      net.cut(other, 'c')
    }
    net.pass(times.pauseMs + 100)
    expect(halted(net, 'a', 'b', 'c')).toEqual([false, false, true])
    net.mend()
    net.pass(3 * times.beatMs)
    expect(halted(net, 'c')).toEqual([false])
    expect(net.outputs('c', 'halted').map(({ on }) => on)).toEqual([true, false])
    expect(net.outputs('c', 'resumed')).toEqual([{ type: 'resumed', pid: 7, name: 'x' }])
    net.input('c', { type: 'claim', ask: 2, name: 'y', pid: 8 })
    net.pass(3000)
    expect(net.holder('a', 'y')).toBe('c')
  })

  test('that rejoins has its processes paused until their names are their own again', () => {
    const net = settled(FIVE)
    net.input('e', { type: 'claim', ask: 1, name: 'mine', kind: 'counter', pid: 7 })
    net.pass(100)
    net.lose('d', 'e')
    net.pass(1000)
    // Long before its votes lapse.
    expect(halted(net, 'e')).toEqual([false])
    net.rejoin('e')
    expect(halted(net, 'e')).toEqual([true])
    // The slot of the name may be one that a lost member held.
    net.pass(times.takeoverMs + 3000)
    const order = (net.given.get(net.boot('e')) ?? []).flatMap((output) =>
      output.type === 'halted' || output.type === 'kept' || output.type === 'resumed' ? [output.type] : [],
    )
    expect(order).toEqual(['halted', 'halted', 'kept', 'resumed'])
  })

  test('that stood still halts before anything else in its next step', () => {
    const net = settled(['a', 'b', 'c'])
    net.input('c', { type: 'claim', ask: 1, name: 'x', pid: 7 })
    net.drain()
    net.now += 60_000
    const outputs = net.input('c', { type: 'claim', ask: 2, name: 'y', pid: 8 })
    expect(outputs.filter(({ type }) => type !== 'log')[0]).toEqual({ type: 'halted', on: true })
    expect(outputs.filter(({ type }) => type === 'refused')).toMatchObject([{ ask: 2, code: 'ERR_NO_MAJORITY' }])
  })
})

describe('who counts', () => {
  test('of four two and two, the half with the smallest id goes on', () => {
    const net = settled(['a', 'b', 'c', 'd'])
    net.lose('c', 'd')
    net.pass(times.pauseMs + 100)
    expect(halted(net, 'a', 'b', 'c', 'd')).toEqual([false, false, true, true])
  })

  test('members that leave in order count no more', () => {
    const net = settled(FIVE)
    net.phase('a', 'leaving')
    net.phase('b', 'leaving')
    net.phase('a', 'left')
    net.phase('b', 'left')
    net.pass(100)
    net.lose('e')
    net.pass(times.pauseMs + 100)
    expect(halted(net, 'c', 'd', 'e')).toEqual([false, false, true])
  })

  test('members that were lost count no more once the others have stood for long', () => {
    const net = settled(FIVE)
    net.kill('d')
    net.kill('e')
    net.pass(times.pauseMs + 100)
    expect(halted(net, 'a', 'b', 'c')).toEqual([false, false, false])
    net.pass(times.stableMs)
    expect(net.state('a').partition?.base?.members.map(({ name }) => name)).toEqual(['a', 'b', 'c'])
    net.kill('c')
    net.pass(times.pauseMs + 100)
    expect(halted(net, 'a', 'b')).toEqual([false, false])
  })

  test('but not before: two of five are no majority', () => {
    const net = settled(FIVE)
    for (const name of ['c', 'd', 'e']) net.kill(name)
    net.pass(times.pauseMs + times.stableMs + 1000)
    expect(halted(net, 'a', 'b')).toEqual([true, true])
  })

  test('who comes later counts as soon as all have seen it for long, and is not halted meanwhile', () => {
    const net = settled(['a'])
    net.add(['b', 'c'])
    net.pass(times.stableMs + 3 * times.beatMs)
    expect([...FIVE.slice(0, 3)].flatMap((name) => net.outputs(name, 'halted'))).toEqual([])
    for (const name of ['a', 'b', 'c']) expect(net.state(name).partition?.base?.members).toHaveLength(3)
    net.lose('a')
    net.pass(times.pauseMs + 100)
    expect(halted(net, 'a', 'b', 'c')).toEqual([true, false, false])
  })

  test('a lone node goes on from its start', () => {
    const net = settled(['a'])
    net.input('a', { type: 'claim', ask: 1, name: 'x', pid: 1 })
    net.pass(60_000)
    expect(net.holder('a', 'x')).toBe('a')
    expect(net.outputs('a', 'halted')).toEqual([])
  })

  test('a node that starts below its quorum refuses names after a while, and goes on once the quorum is there', () => {
    const net = new Trackers({}, undefined, { ...times, policy: { quorum: 3 } })
    net.add(['a', 'b'])
    net.input('a', { type: 'claim', ask: 1, name: 'x', pid: 1 })
    net.pass(times.pauseMs - 100)
    expect(net.outputs('a', 'refused')).toEqual([])
    expect(net.outputs('a', 'registered')).toEqual([])
    net.pass(200)
    expect(net.outputs('a', 'refused').map(({ code }) => code)).toEqual(['ERR_NO_MAJORITY'])
    net.add(['c'])
    net.pass(3 * times.beatMs)
    expect(halted(net, 'a', 'b', 'c')).toEqual([false, false, false])
    net.input('a', { type: 'claim', ask: 2, name: 'x', pid: 1 })
    net.pass(2000)
    expect(net.holder('c', 'x')).toBe('a')
  })

  test('the oldest member alone gives way to all others', () => {
    const net = settled(FIVE, 'keep-oldest')
    net.lose('a')
    net.pass(times.pauseMs + 100)
    expect(halted(net, 'a', 'b', 'c')).toEqual([true, false, false])
  })

  test('the side of the oldest member goes on, however few they are', () => {
    const net = settled(FIVE, 'keep-oldest')
    net.lose('a', 'b')
    net.pass(times.pauseMs + 100)
    expect(halted(net, 'a', 'b', 'c', 'd', 'e')).toEqual([false, false, true, true, true])
  })
})

describe('what a lost member held', () => {
  test('a grant that it may have used, unseen, is not given to another until it has halted', () => {
    const net = settled(FIVE)
    const granter = FIVE.find((at) => net.state(at).heldCount > 0 && at !== 'e') as string
    const free = freeNameOf(net, granter)
    // Its put is lost on its way.
    net.filter = (message, to) => !(message.type === 'ops' && to !== net.boot('e'))
    net.input('e', { type: 'claim', ask: 1, name: free, pid: 9 })
    net.drain()
    expect(net.holder('e', free)).toBe('e')
    net.filter = () => true
    net.lose('e')
    const cutAt = net.now
    net.input(granter, { type: 'claim', ask: 2, name: free, pid: 10 })
    while (net.holder(granter, free) === undefined && net.now - cutAt < 20_000) net.pass(50)
    expect(net.holder(granter, free)).toBe(granter)
    expect(net.now - cutAt).toBeGreaterThanOrEqual(times.takeoverMs)
  })

  test('may be taken over at once when its process is proved to be gone: another one is there instead', () => {
    const net = settled(FIVE)
    const name = placedOn(net, 'e')
    const { life, address } = net.state('a').partition?.base?.members.find((one) => one.name === 'e') ?? {}
    net.kill('e')
    const killedAt = net.now
    net.pass(200)
    // As the boot that follows under a name and address would say of itself.
    net.infos.set('boot-e2', { ...(net.infos.get('boot-e') as MemberInfo), boot: 'boot-e2' })
    net.phases.set('boot-e2', 'up')
    net.phase('e', 'down')
    expect([life, address]).toEqual(['boot-e', 'e:1'])
    for (const at of ['a', 'b', 'c', 'd']) {
      net.input(at, { type: 'message', from: 'boot-e2', message: { ...beatOf(net), life: 'boot-e2' } })
    }
    expect(['a', 'b', 'c', 'd'].map((at) => net.state(at).partition?.lost.get('boot-e')?.stopped)).toEqual([
      true,
      true,
      true,
      true,
    ])
    expect(net.now - killedAt).toBeLessThan(times.takeoverMs)
    expect(net.state('a').registry.orphans.has(name)).toBe(true)
  })
})

/** A name that nobody has, in a slot that this node holds: it needs no message to be given. */
function freeNameOf(net: Trackers, holder: string): string {
  for (let i = 0; i < 1000; i++) {
    const name = `free-name-${i}`
    net.input(holder, { type: 'claim', ask: 5000 + i, name, pid: 3000 + i })
    const own = net.holder(holder, name) === holder
    net.drain()
    net.input(holder, { type: 'gone', pid: 3000 + i })
    net.drain()
    if (own) return name
  }
  throw new Error(`${holder} holds no slot`)
}

test('a member with another policy is told of once', () => {
  const net = settled(['a', 'b'])
  net.input('a', {
    type: 'message',
    from: net.boot('b'),
    message: { ...beatOf(net), policy: 'quorum 2' },
  })
  net.pass(5000)
  net.input('a', { type: 'message', from: net.boot('b'), message: { ...beatOf(net), policy: 'quorum 2' } })
  const warned = net.outputs('a', 'log').filter(({ text }) => text.includes('has the partition policy'))
  expect(warned.map(({ level, fields }) => [level, fields.node, fields.theirs, fields.own])).toEqual([
    ['warn', 'b', 'quorum 2', 'majority'],
  ])
})

function beatOf(net: Trackers) {
  return {
    type: 'beat' as const,
    policy: 'majority',
    pauseMs: times.pauseMs,
    life: net.boot('b'),
    at: net.now,
    echo: undefined,
    keys: [''],
    bases: [],
    ready: '',
    gone: [],
    lost: [],
    stopped: [],
  }
}
