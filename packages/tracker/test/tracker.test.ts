import type { Lane, SkepError } from '@skep/cluster'
import { describe, expect, test, vi } from 'vitest'
import type { TrackerMessage } from '../src/core/messages.js'
import { laneOf, mayFollowOps } from '../src/core/messages.js'
import { decodeMessage } from '../src/core/wire.js'
import { eventBufferSize, type MissedEvents } from '../src/events.js'
import { type Claim, type NameEvent, Pid, type Tracker } from '../src/index.js'
import { Fabric, latencyMs } from './fabric.js'

const cluster = async (...args: ConstructorParameters<typeof Fabric>): Promise<Fabric> => {
  const fabric = new Fabric(...args)
  await fabric.ready()
  return fabric
}

/** The error that a promise ends with. */
const failure = async (fabric: Fabric, promise: Promise<unknown>): Promise<SkepError> => {
  const outcome = promise.then(
    () => new Error('it did not fail'),
    (error: unknown) => error,
  )
  return (await fabric.time.until(outcome)) as SkepError
}

/** A name whose slot is arbitrated by this node. */
const nameOwnedBy = (fabric: Fabric, node: string): string => {
  for (let i = 0; ; i++) {
    const name = `name-${i}`
    if (fabric.tracker('n1').explain(name).owner?.node === node) return name
  }
}

describe('registering a name', () => {
  test('puts it on every node; everybody else is refused with the holder', async () => {
    const fabric = await cluster(3)
    const [one, two] = [fabric.tracker('n1'), fabric.tracker('n2')]
    const pid = one.nextPid()
    const claim = await fabric.time.until(one.register('printer', pid, { meta: { tray: 2 }, visible: 'all' }))
    expect(claim).toMatchObject({ name: 'printer', pid, meta: { tray: 2 }, kind: undefined })
    for (const { tracker } of fabric.nodes) {
      expect(tracker.whereis('printer')?.equals(pid)).toBe(true)
      expect(tracker.lookup('printer')).toEqual(claim)
    }
    const error = await failure(fabric, two.register('printer', two.nextPid()))
    expect(error).toMatchObject({ code: 'ERR_ALREADY_REGISTERED', sent: 'no', pid })
    const started = await failure(fabric, one.claim('printer'))
    expect(started).toMatchObject({ code: 'ERR_ALREADY_REGISTERED', pid })
  })

  test('names that are agreed to in one turn go to each peer in one message, before whatever who waits sends', async () => {
    const fabric = await cluster(3)
    const one = fabric.tracker('n1')
    const names = Array.from({ length: 300 }, (_, i) => `many-${i}`)
    const own = names.filter((name) => one.explain(name).owner?.node === 'n1').slice(0, 70)
    expect(own).toHaveLength(70)
    const sent: string[] = []
    fabric.filter = (from, to, frame) => {
      const message = decodeMessage(frame)
      if (from === 'n1' && message?.type === 'ops') sent.push(`${to}: ${message.ops.length}`)
      return true
    }
    const registered = own.map((name) => one.register(name, one.nextPid()))
    await registered[0]
    expect(sent).toEqual([])
    fabric.node('n1').cluster.post()
    // As many together as are sure to fit.
    expect(sent).toEqual(['n2: 64', 'n3: 64', 'n2: 6', 'n3: 6'])
    await fabric.time.until(Promise.all(registered))
    await fabric.time.advance(10)
    for (const { tracker } of fabric.nodes) for (const name of own) expect(tracker.whereis(name)?.node).toBe('n1')
  })

  test('ops that one step has cut, for they might be no frame together, stay cut', async () => {
    const fabric = await cluster(2)
    const one = fabric.tracker('n1')
    const pid = one.nextPid()
    const groups = Array.from({ length: 600 }, (_, i) => `group-${i}`)
    await fabric.time.until(Promise.all(groups.map((group) => one.join(group, pid))))
    const sent: number[] = []
    fabric.filter = (from, _, frame) => {
      const message = decodeMessage(frame)
      if (from === 'n1' && message?.type === 'ops') sent.push(message.ops.length)
      return true
    }
    one.gone(pid)
    await fabric.time.advance(10)
    expect(sent).toEqual([256, 256, 88])
    expect(fabric.tracker('n2').membersOf('group-599')).toEqual([])
  })

  test('names with large metadata go in messages that a link need not cut, so that nothing overtakes them', async () => {
    const fabric = await cluster(2)
    const one = fabric.tracker('n1')
    const sent: number[] = []
    fabric.filter = (from, _, frame) => {
      if (from === 'n1' && decodeMessage(frame)?.type === 'ops') sent.push(JSON.stringify(frame).length)
      return true
    }
    const meta = { text: 'x'.repeat(3500) }
    const names = Array.from({ length: 70 }, (_, i) => `large-${i}`)
    await fabric.time.until(
      Promise.all(names.map((name) => one.register(name, one.nextPid(), { meta, mode: 'local' }))),
    )
    expect(Math.max(...sent)).toBeLessThan(64 * 1024)
    expect(sent.length).toBeLessThan(70 / 4)
  })

  test('ops go before the claims of their turn, and before nothing else that was sent earlier', async () => {
    const fabric = await cluster(2)
    const one = fabric.tracker('n1')
    const names = Array.from({ length: 100 }, (_, i) => `mixed-${i}`)
    const mine = names.filter((name) => one.explain(name).owner?.node === 'n1')
    const theirs = names.find((name) => one.explain(name).owner?.node === 'n2') ?? ''
    const sent: string[] = []
    fabric.filter = (from, _, frame) => {
      const message = decodeMessage(frame)
      if (from === 'n1') sent.push(message?.type === 'ops' ? `ops ${message.ops.length}` : (message?.type ?? ''))
      return true
    }
    const register = (name = ''): Promise<unknown> => one.register(name, one.nextPid())
    const asked = [mine[0], theirs, mine[1]].map(register)
    asked.push(one.flush(), register(mine[2]))
    await asked[0]
    expect(sent).toEqual(['ops 2', 'claim', 'flush'])
    await fabric.time.until(Promise.all(asked))
    expect(sent.slice(3)).toEqual(['ops 1', 'ops 1'])
  })

  test('ops that follow in promises leave with those of the turn', async () => {
    const fabric = await cluster(2)
    const one = fabric.tracker('n1')
    const names = Array.from({ length: 100 }, (_, i) => `late-${i}`)
    const mine = names.filter((name) => one.explain(name).owner?.node === 'n1').slice(0, 10)
    const sent: string[] = []
    fabric.filter = (from, _, frame) => {
      const message = decodeMessage(frame)
      if (from === 'n1') sent.push(message?.type === 'ops' ? `ops ${message.ops.length}` : (message?.type ?? ''))
      return true
    }
    for (const name of mine) await one.register(name, one.nextPid())
    await fabric.time.advance(0)
    expect(sent).toEqual(['ops 10'])
  })

  test('what was written leaves before the node ends', async () => {
    const fabric = await cluster(2)
    const [one, two] = [fabric.tracker('n1'), fabric.tracker('n2')]
    await fabric.time.until(one.register('printer', one.nextPid(), { visible: 'all' }))
    await one.unregister('printer')
    await one.close()
    await fabric.time.advance(10)
    expect(two.whereis('printer')).toBeUndefined()
  })

  test('of many at once exactly one succeeds, and the others learn who', async () => {
    const fabric = await cluster(3)
    for (let round = 0; round < 20; round++) {
      const tries = fabric.nodes.map(({ tracker }) =>
        tracker.register(`race-${round}`, tracker.nextPid(), { kind: 'counter' }),
      )
      const outcomes = await fabric.time.until(Promise.allSettled(tries))
      const won = outcomes.filter((outcome) => outcome.status === 'fulfilled')
      expect(won).toHaveLength(1)
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') {
          expect(outcome.reason).toMatchObject({ code: 'ERR_ALREADY_STARTED', pid: won[0]?.value.pid })
        }
      }
    }
  })

  test('whereisOrRegister gives all who ask at once the same pid', async () => {
    const fabric = await cluster(3)
    const asked = fabric.nodes.map(({ tracker }) => tracker.whereisOrRegister('once', tracker.nextPid()))
    const pids = await fabric.time.until(Promise.all(asked))
    expect(new Set(pids.map(String)).size).toBe(1)
    expect(await fabric.tracker('n2').whereisOrRegister('once', fabric.tracker('n2').nextPid())).toEqual(pids[0])
  })

  test('lists what is registered, by prefix and by node', async () => {
    const fabric = await cluster(2)
    const [one, two] = [fabric.tracker('n1'), fabric.tracker('n2')]
    await fabric.time.until(
      Promise.all([
        one.register('a/1', one.nextPid()),
        two.register('a/2', two.nextPid()),
        two.register('b', two.nextPid()),
      ]),
    )
    await fabric.time.until(Promise.all([one.flush(), two.flush()]))
    const names = (claims: Claim[]): string[] => claims.map((claim) => claim.name).sort()
    expect(names(one.registered())).toEqual(['a/1', 'a/2', 'b'])
    expect(names(one.registered({ prefix: 'a/' }))).toEqual(['a/1', 'a/2'])
    expect(names(one.registered({ prefix: 'a/', local: true }))).toEqual(['a/1'])
    expect(one.stats().names).toBe(3)
  })

  test('a process that ended loses its names everywhere, and what still waits for it ends', async () => {
    const fabric = await cluster(2)
    const one = fabric.tracker('n1')
    const pid = one.nextPid()
    await fabric.time.until(one.register('mine', pid))
    fabric.cut('n1', 'n2')
    const waiting = one.register(nameOwnedBy(fabric, 'n2'), pid)
    const failed = failure(fabric, waiting)
    one.gone(pid)
    expect(await failed).toMatchObject({ code: 'ERR_NO_PROCESS', pid })
    expect(one.whereis('mine')).toBeUndefined()
    fabric.heal('n1', 'n2')
    await fabric.time.until(one.flush())
    expect(fabric.tracker('n2').whereis('mine')).toBeUndefined()
  })

  test('unregister works from every node', async () => {
    const fabric = await cluster(2)
    const [one, two] = [fabric.tracker('n1'), fabric.tracker('n2')]
    await fabric.time.until(one.register('x', one.nextPid(), { visible: 'all' }))
    await fabric.time.until(two.unregister('x'))
    expect(two.whereis('x')).toBeUndefined()
    expect(one.whereis('x')).toBeUndefined()
    expect(await failure(fabric, two.unregister('x'))).toMatchObject({ code: 'ERR_NOT_REGISTERED' })
  })
})

describe('a grant', () => {
  test('reserves the name until it is committed or given back', async () => {
    const fabric = await cluster(2)
    const [one, two] = [fabric.tracker('n1'), fabric.tracker('n2')]
    const grant = await fabric.time.until(one.claim('slow', { kind: 'counter', meta: 1 }))
    expect(grant.fence).toBeGreaterThan(1_700_000_000_000)
    expect(one.whereis('slow')).toBeUndefined()
    const other = failure(fabric, two.claim('slow', { kind: 'counter' }))
    const pid = one.nextPid()
    const claim = await fabric.time.until(grant.commit(pid))
    expect(claim).toMatchObject({ pid, fence: grant.fence, kind: 'counter', meta: 1 })
    expect(await other).toMatchObject({ code: 'ERR_ALREADY_STARTED', pid })
    await expect(grant.commit(pid)).rejects.toThrow(TypeError)

    const dropped = await fabric.time.until(one.claim('free'))
    const next = two.claim('free')
    dropped.abandon()
    dropped.abandon()
    expect((await fabric.time.until(next)).name).toBe('free')
  })

  test('that comes after its caller gave up goes back at once', async () => {
    const fabric = await cluster(2)
    const [one, two] = [fabric.tracker('n1'), fabric.tracker('n2')]
    const name = nameOwnedBy(fabric, 'n2')
    const controller = new AbortController()
    const claimed = failure(fabric, one.claim(name, { signal: controller.signal }))
    // The question is on its way; its caller does not wait for the answer.
    controller.abort(new Error('no time'))
    const error = await claimed
    expect(error).toMatchObject({ code: 'ERR_ABORTED', sent: 'maybe' })
    expect((error.cause as Error).message).toBe('no time')
    await fabric.time.advance(10)
    expect(two.explain(name).grant).toBeUndefined()
    expect(await fabric.time.until(two.register(name, two.nextPid()), 50)).toMatchObject({ name })
    expect(one.explain(name).asks).toEqual([])
  })
})

describe('a caller that waits', () => {
  test('for what its own node decides leaves the event loop its turns, however often it asks', async () => {
    const fabric = await cluster(1)
    const one = fabric.tracker('n1')
    let others = 0
    let asked = 0
    const beat = (): void => {
      others += 1
      if (asked < 2000) fabric.time.defer(beat)
    }
    fabric.time.defer(beat)
    const all = (async () => {
      for (; asked < 2000; asked++) await one.register(`name-${asked}`, one.nextPid(), { mode: 'local' })
    })()
    await fabric.time.until(all)
    expect(others).toBeGreaterThanOrEqual(7)
    expect(one.registered({ local: true })).toHaveLength(2000)
  })

  test('gets ERR_TIMEOUT when the owner does not answer, and nothing is left of its ask', async () => {
    const fabric = await cluster(2)
    const [one, two] = [fabric.tracker('n1'), fabric.tracker('n2')]
    const name = nameOwnedBy(fabric, 'n2')
    fabric.cut('n1', 'n2')
    const started = fabric.time.now()
    const error = await failure(fabric, one.register(name, one.nextPid(), { timeout: 300 }))
    expect(error).toMatchObject({ code: 'ERR_TIMEOUT', retryable: true, sent: 'maybe' })
    expect(error.message).toBe(`register '${name}': no outcome within 300 ms`)
    expect(fabric.time.now() - started).toBeLessThan(320)
    fabric.heal('n1', 'n2')
    await fabric.time.advance(5000)
    expect(one.whereis(name)).toBeUndefined()
    expect(two.whereis(name)).toBeUndefined()
    expect(one.stats().waiting).toBe(0)
  })

  test('gets ERR_ABORTED before anything is sent when its signal is aborted already', async () => {
    const fabric = await cluster(1)
    const one = fabric.tracker('n1')
    const error = await failure(fabric, one.register('x', one.nextPid(), { signal: AbortSignal.abort() }))
    expect(error).toMatchObject({ code: 'ERR_ABORTED', sent: 'no' })
    expect(one.whereis('x')).toBeUndefined()
  })

  test('is served in time on a node whose timers come late and whose inputs never end', async () => {
    const fabric = await cluster(2)
    fabric.time.lateMs = 5
    const one = fabric.tracker('n1')
    const name = nameOwnedBy(fabric, 'n2')
    let lost = 0
    fabric.filter = (from, _, frame) => {
      if (from !== 'n1' || frame[0] !== 37 || lost > 0) return true
      lost += 1
      return false
    }
    const registered = one.register(name, one.nextPid())
    for (let ms = 0; ms < 3000; ms++) {
      fabric.node('n1').cluster.input({ type: 'drained', boot: fabric.node('n2').cluster.self.boot })
      await fabric.time.advance(1)
    }
    expect(lost).toBe(1)
    expect(one.stats().waiting).toBe(0)
    expect(await registered).toMatchObject({ name })
  })

  test('costs no timer of its own', async () => {
    const fabric = await cluster(2)
    const one = fabric.tracker('n1')
    const name = nameOwnedBy(fabric, 'n2')
    fabric.cut('n1', 'n2')
    const before = fabric.time.timers
    const waiting = Array.from({ length: 100 }, (_, i) =>
      failure(fabric, one.register(name, one.nextPid(), { timeout: 100 + i })),
    )
    expect(fabric.time.timers).toBeLessThanOrEqual(before + 1)
    expect(one.stats().waiting).toBe(100)
    const errors = await Promise.all(waiting)
    expect(new Set(errors.map((error) => error.code))).toEqual(new Set(['ERR_TIMEOUT']))
  })

  test('is told when the name stands but was not acknowledged in time', async () => {
    const fabric = await cluster(2)
    const one = fabric.tracker('n1')
    const name = nameOwnedBy(fabric, 'n1')
    fabric.cut('n1', 'n2')
    const error = await failure(fabric, one.register(name, one.nextPid(), { visible: 'all', timeout: 200 }))
    expect(error).toMatchObject({ code: 'ERR_TIMEOUT', sent: 'yes', pid: one.whereis(name) })
  })

  test('gets ERR_STOPPED at the end of the tracker, and ERR_LEAVING when the node leaves', async () => {
    const fabric = await cluster(3)
    const [one, two] = [fabric.tracker('n1'), fabric.tracker('n2')]
    fabric.cut('n1', 'n3')
    fabric.cut('n2', 'n3')
    const name = nameOwnedBy(fabric, 'n3')
    const leaving = failure(fabric, two.register(name, two.nextPid()))
    const left = two.part()
    expect(await leaving).toMatchObject({ code: 'ERR_LEAVING', sent: 'maybe' })
    await fabric.time.until(left)
    expect(await failure(fabric, two.register('x', two.nextPid()))).toMatchObject({ code: 'ERR_LEAVING', sent: 'no' })

    const stopped = failure(fabric, one.register(name, one.nextPid()))
    await one.close()
    expect(await stopped).toMatchObject({ code: 'ERR_STOPPED', sent: 'maybe' })
    expect(await failure(fabric, one.ready())).toMatchObject({ code: 'ERR_STOPPED' })
  })
})

describe('what a user gives', () => {
  test.each<[string, string, (tracker: Tracker) => Promise<unknown>]>([
    ['an empty name', 'ERR_BAD_NAME', (t) => t.register('', t.nextPid())],
    ['a reserved name', 'ERR_BAD_NAME', (t) => t.claim('skep.internal')],
    ['a name that is too long', 'ERR_BAD_NAME', (t) => t.spawn('x'.repeat(513), 'counter', 0)],
    ['a group name with a control character', 'ERR_BAD_NAME', (t) => t.join('a\n', t.nextPid())],
    ['metadata with a function', 'ERR_NOT_SENDABLE', (t) => t.register('x', t.nextPid(), { meta: { f: () => 1 } })],
    ['metadata over 4 KiB', 'ERR_TOO_LARGE', (t) => t.update('x', 'y'.repeat(5000))],
    ['a start spec over 32 KiB', 'ERR_TOO_LARGE', (t) => t.spawn('x', 'counter', 'y'.repeat(33_000))],
    ["another node's pid", 'ERR_NOT_LOCAL', (t) => t.register('x', new Pid('elsewhere', 1, 'n9'))],
  ])('%s gives %s at once', async (_, code, call) => {
    const fabric = await cluster(1)
    await expect(call(fabric.tracker('n1'))).rejects.toMatchObject({ code, sent: 'no' })
  })

  test.each<[string, (tracker: Tracker) => Promise<unknown>]>([
    ['a timeout below 0', (t) => t.flush({ timeout: -1 })],
    ['a timeout that is no number', (t) => t.flush({ timeout: Number.NaN })],
    ['half a member', (t) => t.flush({ want: 0.5 })],
    ['a kind with a control character', (t) => t.spawn('x', 'a\u0000', 0)],
  ])('%s is a TypeError', async (_, call) => {
    const fabric = await cluster(1)
    await expect(call(fabric.tracker('n1'))).rejects.toThrow(TypeError)
  })

  test('the error of a value that cannot be sent names the field', async () => {
    const fabric = await cluster(1)
    const one = fabric.tracker('n1')
    const error = await failure(fabric, one.register('x', one.nextPid(), { meta: { a: [1, Symbol('s')] } }))
    expect(error.message).toBe('meta.a[1] is a symbol, which cannot be sent')
  })
})

describe('metadata and groups', () => {
  test('metadata is replaced at its holder, from every node', async () => {
    const fabric = await cluster(2)
    const [one, two] = [fabric.tracker('n1'), fabric.tracker('n2')]
    const before = await fabric.time.until(one.register('x', one.nextPid(), { meta: 'old', visible: 'all' }))
    await fabric.time.until(two.update('x', { state: 'new' }))
    for (const tracker of [one, two]) {
      expect(tracker.lookup('x')).toMatchObject({ pid: before.pid, fence: before.fence, meta: { state: 'new' } })
    }
  })

  test('pids join and leave groups, also those of another node', async () => {
    const fabric = await cluster(2)
    const [one, two] = [fabric.tracker('n1'), fabric.tracker('n2')]
    const [a, b] = [one.nextPid(), two.nextPid()]
    await fabric.time.until(Promise.all([one.join('rooms', a), one.join('rooms', b, { size: 3 })]))
    await fabric.time.until(Promise.all([one.flush(), two.flush()]))
    for (const tracker of [one, two])
      expect(tracker.membersOf('rooms').map(String).sort()).toEqual([a, b].map(String).sort())
    await fabric.time.until(one.leaveGroup('rooms', b))
    two.gone(b)
    one.gone(a)
    await fabric.time.until(one.flush())
    for (const tracker of [one, two]) expect(tracker.membersOf('rooms')).toEqual([])
  })

  test('flush with a number waits for so many members only', async () => {
    const fabric = await cluster(3)
    const one = fabric.tracker('n1')
    const name = nameOwnedBy(fabric, 'n1')
    fabric.cut('n1', 'n3')
    await fabric.time.until(one.register(name, one.nextPid(), { visible: 1, timeout: 500 }))
    expect(fabric.tracker('n2').whereis(name)).toBeDefined()
    expect(await failure(fabric, one.flush({ want: 2, timeout: 500 }))).toMatchObject({ code: 'ERR_TIMEOUT' })
  })
})

describe('spawn', () => {
  /** Every node starts counters; what was started where, and what was ended. */
  const counters = async (
    count: number,
  ): Promise<{ fabric: Fabric; running: Map<string, string>; ended: string[] }> => {
    const fabric = await cluster(count, () => ({ kinds: ['counter'] }))
    const running = new Map<string, string>()
    const ended: string[] = []
    for (const { tracker, cluster } of fabric.nodes) {
      tracker.onActivate(async ({ name, spec, cause }) => {
        if (spec === 'broken') throw new Error('it is broken')
        running.set(name, `${cluster.self.name} ${cause}`)
        return tracker.nextPid()
      })
      tracker.onDeactivate(({ name, reason }) => ended.push(`${name} ${reason}`))
    }
    return { fabric, running, ended }
  }

  test('starts where the ring says, once, and answers with the claim', async () => {
    const { fabric, running } = await counters(3)
    for (let i = 0; i < 12; i++) {
      const tries = fabric.nodes.map(({ tracker }) => tracker.spawn(`c-${i}`, 'counter', { start: i }))
      const outcomes = await fabric.time.until(Promise.allSettled(tries))
      const won = outcomes.filter((outcome) => outcome.status === 'fulfilled')
      expect(won).toHaveLength(1)
      const owner = fabric.tracker('n1').explain(`c-${i}`).owner?.node
      expect(running.get(`c-${i}`)).toBe(`${owner} spawn`)
      expect(won[0]?.value).toMatchObject({ kind: 'counter', pid: { node: owner }, placed: { spec: { start: i } } })
    }
    expect(running.size).toBe(12)
  })

  test('tells the caller when init fails, and when nobody knows the kind', async () => {
    const { fabric } = await counters(2)
    const one = fabric.tracker('n1')
    for (const owner of ['n1', 'n2']) {
      const name = nameOwnedBy(fabric, owner)
      const error = await failure(fabric, one.spawn(name, 'counter', 'broken'))
      expect(error).toMatchObject({ code: 'ERR_INIT_FAILED', message: 'it is broken' })
      expect(one.whereis(name)).toBeUndefined()
      expect(await failure(fabric, one.spawn(name, 'unheard-of', 0))).toMatchObject({ code: 'ERR_KIND_UNKNOWN' })
      expect(await fabric.time.until(one.spawn(name, 'counter', 1))).toMatchObject({ name })
    }
  })

  test('a process whose name went elsewhere while its init ran is ended, not registered', async () => {
    const { fabric, ended } = await counters(2)
    const two = fabric.tracker('n2')
    const name = nameOwnedBy(fabric, 'n2')
    let finish: (pid: Pid) => void = () => {}
    two.onActivate(
      () =>
        new Promise((resolve) => {
          finish = resolve
        }),
    )
    const spawned = failure(fabric, fabric.tracker('n1').spawn(name, 'counter', 0, { timeout: 1000 }))
    await fabric.time.advance(100)
    const left = two.part()
    finish(two.nextPid())
    await fabric.time.until(left)
    await fabric.time.advance(10)
    expect(ended).toEqual([`${name} superseded`])
    expect(two.whereis(name)).toBeUndefined()
    expect((await spawned).code).toBe('ERR_TIMEOUT')
  })

  test('is started again elsewhere when its node dies', async () => {
    const { fabric, running } = await counters(3)
    const name = nameOwnedBy(fabric, 'n3')
    const first = await fabric.time.until(fabric.tracker('n1').spawn(name, 'counter', 0))
    await fabric.time.until(fabric.tracker('n3').flush())
    expect(first.pid.node).toBe('n3')
    await fabric.kill('n3')
    await fabric.time.advance(3000)
    const second = fabric.tracker('n1').lookup(name)
    expect(second?.fence).toBeGreaterThan(first.fence)
    expect(running.get(name)).toBe(`${second?.pid.node} failover`)
    expect(fabric.tracker('n2').lookup(name)).toEqual(second)
  })
})

describe('two claims of one name after a split', () => {
  test('the loser is ended on its own node, outside the step of the registry', async () => {
    const ended: string[] = []
    const fabric = await cluster(2)
    const [one, two] = [fabric.tracker('n1'), fabric.tracker('n2')]
    one.onDeactivate(({ pid, name, reason }) => ended.push(`${pid.node} ${name} ${reason}`))
    two.onDeactivate(({ pid, name, reason }) => ended.push(`${pid.node} ${name} ${reason}`))
    fabric.cut('n1', 'n2')
    await fabric.time.until(
      Promise.all([
        one.register('x', one.nextPid(), { mode: 'local' }),
        two.register('x', two.nextPid(), { mode: 'local' }),
      ]),
    )
    expect(one.whereis('x')).not.toEqual(two.whereis('x'))
    fabric.heal('n1', 'n2')
    await fabric.time.advance(5000)
    expect(one.whereis('x')).toEqual(two.whereis('x'))
    const loser = one.whereis('x')?.node === 'n1' ? 'n2' : 'n1'
    expect(ended).toEqual([`${loser} x conflict`])
  })
})

describe('events', () => {
  const taker = (events: AsyncIterable<NameEvent | MissedEvents>): (() => Promise<string>) => {
    const iterator = events[Symbol.asyncIterator]()
    return async () => {
      const { value, done } = await iterator.next()
      if (done === true) return 'end'
      return value.type === 'missed' ? `missed ${value.count}` : `${value.type} ${value.name} ${value.reason}`
    }
  }

  test('begin with the present state and go on with what happens, on every node', async () => {
    const fabric = await cluster(2)
    const [one, two] = [fabric.tracker('n1'), fabric.tracker('n2')]
    await fabric.time.until(one.register('before', one.nextPid(), { visible: 'all' }))
    const next = taker(two.events())
    expect(await next()).toBe('registered before present')
    const pending = next()
    await fabric.time.until(one.register('after', one.nextPid(), { visible: 'all' }))
    expect(await pending).toMatch(/^registered after/)
    await fabric.time.until(one.update('before', 1))
    await fabric.time.until(one.unregister('after'))
    await fabric.time.until(one.flush())
    expect(await next()).toMatch(/^updated before/)
    expect(await next()).toMatch(/^unregistered after/)
    expect(two.stats().readers).toBe(1)
    await two.close()
    expect(await next()).toBe('end')
  })

  test('come only for the prefix, and end with the signal', async () => {
    const fabric = await cluster(1)
    const one = fabric.tracker('n1')
    const controller = new AbortController()
    const next = taker(one.events({ prefix: 'a/', signal: controller.signal }))
    const first = next()
    await fabric.time.until(one.register('b/1', one.nextPid()))
    await fabric.time.until(one.register('a/1', one.nextPid()))
    expect(await first).toMatch(/^registered a\/1/)
    const second = next()
    controller.abort()
    expect(await second).toBe('end')
    expect(one.stats().readers).toBe(0)
  })

  test('that begin while the names of a gone node are swept tell the end of what they told, and each holder once', async () => {
    const fabric = new Fabric(3, () => ({ limits: { sliceNames: 4 } }))
    await fabric.ready()
    const [two, three] = [fabric.tracker('n2'), fabric.tracker('n3')]
    const names = Array.from({ length: 30 }, (_, i) => `name-${i}`)
    await fabric.time.until(Promise.all(names.map((name) => three.register(name, three.nextPid(), { visible: 'all' }))))
    const both = [two, three].map((one) => one.register('both', one.nextPid(), { mode: 'local' }))
    await fabric.time.until(Promise.race(both))
    await fabric.time.advance(latencyMs)
    for (const one of both) one.catch(() => {})
    await fabric.kill('n3')
    // Looked up they are gone at once.
    expect(two.whereis('name-29')).toBeUndefined()
    const holders = new Map<string, string>()
    const faults: string[] = []
    const read = async (): Promise<void> => {
      for await (const event of two.events()) {
        if (event.type === 'missed') continue
        const { name, claim, previous } = event
        const before = holders.get(name)
        if (previous?.pid.boot !== before) faults.push(`${event.type} ${name}: ${previous?.pid.boot} after ${before}`)
        if (claim === undefined) holders.delete(name)
        else holders.set(name, claim.pid.boot)
        if (claim !== undefined && claim.pid.boot === before) faults.push(`${event.type} ${name}: told twice`)
      }
    }
    void read()
    await fabric.time.advance(100)
    expect(faults).toEqual([])
    expect([...holders]).toEqual([['both', two.whereis('both')?.boot]])
    expect(holders.get('both')).toMatch(/^boot-n2/)
  })

  test('a slow reader loses the oldest, is told how many, and goes on', async () => {
    const fabric = await cluster(1)
    const one = fabric.tracker('n1')
    await fabric.time.until(one.register('old', one.nextPid()))
    const next = taker(one.events())
    expect(await next()).toBe('registered old present')
    const all = Array.from({ length: eventBufferSize + 10 }, (_, i) => one.register(`n-${i}`, one.nextPid()))
    await fabric.time.until(Promise.all(all))
    expect(await next()).toBe('missed 10')
    for (let i = 10; i < eventBufferSize + 10; i++) expect(await next()).toMatch(new RegExp(`^registered n-${i} `))
    const pending = next()
    await fabric.time.until(one.register('last', one.nextPid()))
    expect(await pending).toMatch(/^registered last/)
  })

  test('a reader that throws harms nobody, and leaving the loop ends its stream', async () => {
    const fabric = await cluster(1)
    const one = fabric.tracker('n1')
    const read = async (): Promise<void> => {
      for await (const _ of one.events()) throw new Error('mine')
    }
    const reading = expect(read()).rejects.toThrow('mine')
    await fabric.time.until(one.register('x', one.nextPid()))
    await reading
    expect(one.stats().readers).toBe(0)
    expect(await fabric.time.until(one.register('y', one.nextPid()))).toMatchObject({ name: 'y' })
  })
})

describe('the node itself', () => {
  test('explains where a name is and why', async () => {
    const fabric = await cluster(2)
    const one = fabric.tracker('n1')
    const name = nameOwnedBy(fabric, 'n2')
    const pid = one.nextPid()
    await fabric.time.until(one.register(name, pid, { kind: 'counter', visible: 'all' }))
    const report = fabric.tracker('n2').explain(name)
    expect(report).toMatchObject({
      name,
      node: 'n2',
      owner: { node: 'n2' },
      holds: true,
      holder: { pid: pid.toString(), node: 'n1', kind: 'counter', placed: false, visible: true },
      orphaned: false,
      asks: [],
      grant: undefined,
      starting: undefined,
      waiting: 0,
    })
    expect(report.claims).toHaveLength(1)
    expect(JSON.parse(JSON.stringify(report))).toMatchObject({ name })
    expect(one.explain(name).holds).toBe(false)
  })

  test('a broken invariant stops it at once and reaches onFatal', async () => {
    const onFatal = vi.fn()
    const fabric = await cluster(2, () => ({ onFatal }))
    const one = fabric.tracker('n1')
    const name = nameOwnedBy(fabric, 'n2')
    const waiting = failure(fabric, one.register(name, one.nextPid()))
    const broken = new Error('broken')
    fabric.node('n1').cluster.send = () => {
      throw broken
    }
    one.join('group', one.nextPid()).catch(() => {})
    const error = await waiting
    expect(onFatal).toHaveBeenCalledExactlyOnceWith(broken)
    expect(error).toMatchObject({ code: 'ERR_STOPPED' })
    expect(error.cause).toBe(broken)
    expect(await failure(fabric, one.register('y', one.nextPid()))).toMatchObject({ code: 'ERR_STOPPED', sent: 'no' })
  })

  test('is not ready before it is synced', async () => {
    const fabric = new Fabric(2)
    const early = fabric.tracker('n1').ready({ timeout: 0 })
    expect(await failure(fabric, early)).toMatchObject({ code: 'ERR_NOT_READY', retryable: true })
    await fabric.time.until(fabric.tracker('n1').ready())
  })
})

describe('a full link', () => {
  const at = 'b'.repeat(22)
  const digest = { type: 'digest' as const, counter: 0, lineage: { epoch: 0, genesis: at }, depth: 0, entries: [] }
  const ops = { type: 'ops' as const, boot: at, first: 1, ops: [], counter: 0 }

  test.each<[Lane, string, TrackerMessage]>([
    ['droppable', 'news of a log, which a digest makes good', { ...ops, reply: false }],
    ['droppable', 'a digest, sent again every second', digest],
    ['bulk', 'the answer to a pull', { ...ops, reply: true }],
    ['control', 'a claim', { type: 'claim', name: 'x', ask: 1, origin: '', again: false, fence: 0, counter: 0 }],
    ['control', 'a grant', { type: 'grant', name: 'x', ask: 1, fence: 1 }],
    ['control', 'a question for slots', { type: 'take', generation: 1, slots: new Uint8Array(128), counter: 0 }],
  ])('treats as %s: %s', (lane, _, message) => {
    expect(laneOf(message)).toBe(lane)
  })
})

describe('behind younger ops of its sender', () => {
  const claim = { type: 'claim' as const, name: 'x', ask: 1, origin: '', again: false, fence: 0, counter: 0 }

  test.each<[boolean, string, TrackerMessage]>([
    [true, 'a claim', claim],
    [true, 'a grant', { type: 'grant', name: 'x', ask: 1, fence: 1 }],
    [false, 'a claim to the place of another, which is told by the log', { ...claim, from: { boot: 'b', seq: 1 } }],
    [false, 'a barrier', { type: 'flush', ask: 1, seq: 1 }],
    [false, 'what gives a grant back', { type: 'unused', name: 'x', ask: 1 }],
  ])('may come (%s): %s', (may, _, message) => {
    expect(mayFollowOps(message)).toBe(may)
  })
})
