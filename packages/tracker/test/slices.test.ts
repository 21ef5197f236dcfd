/** Work over many names goes in slices: no step is long, and until the last one nobody takes it for done. */
import type { Member } from '@skep/cluster/core'
import { describe, expect, test } from 'vitest'
import { lookup, type Op, Pid, ring, type TrackerMessage, trackerLimits } from '../src/core/index.js'
import { claimOf, digestTo, infoOf, One, slice, stateOf, writer } from './one.js'

/** The writer is gone, and there is another member; the slots are held. */
function alone(): One {
  const one = new One('writer', 'other')
  one.lose('writer')
  const { generation } = one.state
  const slots = new Uint8Array([255])
  one.hear({ type: 'ack', generation, slots, notYet: false, counter: 1, entries: [] }, 'boot-of-other')
  expect(one.state.heldCount).toBe(one.state.ownedCount)
  one.state.pausedUntil = 0
  return one
}

const names = Array.from({ length: 95 }, (_, i) => `name-${i}`)

describe('a log that came as a whole', () => {
  test('takes the place of the copy a slice at a time, and is told to others only when it is there', () => {
    const one = new One('writer')
    one.hearLog(names, 200)
    let slices = 1
    while (one.goOn()) {
      slices++
      if (one.state.replacements.size > 0) expect(one.seqTold()).toBe(0)
    }
    expect(slices).toBeGreaterThanOrEqual(names.length / slice)
    expect(Math.max(...one.changes)).toBeLessThanOrEqual(slice)
    expect(one.seqTold()).toBe(200)
    for (const name of names) expect(lookup(one.state.registry, name)?.pid.boot).toBe(writer)
  })

  test('is not followed by messages with nothing in them, however many come meanwhile', () => {
    const one = new One('writer')
    one.hear(digestTo(200))
    const open = one.state.pulls.get(writer)
    for (let i = 0; i < 100; i++) one.hearOps(1)
    one.hearOps(201, { type: 'put', claim: claimOf('late', 201) })
    expect(open?.buffered).toHaveLength(1)
    one.hear(stateOf([claimOf('x', 1)], 200))
    for (let i = 0; i < 100; i++) one.hearOps(1)
    while (one.goOn());
    expect(one.state.registry.index.size).toBe(2)
  })

  test('is of one moment, the last: with each part come the ops since the one before', () => {
    const one = new One('writer')
    one.hear(digestTo(200))
    const put = (name: string, seq: number): Op => ({ type: 'put', claim: claimOf(name, seq) })
    const gone: Op = { type: 'del', name: 'gone', fence: 201, strike: undefined }
    one.hear({ ...stateOf([claimOf('x', 1), claimOf('gone', 3), claimOf('moved', 4)], 200), last: false })
    const ops = [gone, put('x', 202), put('moved', 203)]
    one.hear({ ...stateOf([claimOf('y', 2)], 200, [], ops), chunk: 1, last: false })
    one.hear({ ...stateOf([claimOf('z', 5)], 200, [], [put('x', 204)]), chunk: 2 })
    const seen: (number | undefined)[] = []
    while (one.goOn()) seen.push(lookup(one.state.registry, 'x')?.seq)
    expect(new Set([...seen, 204])).toEqual(new Set([204]))
    const seqs = ['gone', 'x', 'y', 'z', 'moved'].map((name) => lookup(one.state.registry, name)?.seq)
    expect(seqs).toEqual([undefined, 204, 2, 5, 203])
    expect(one.seqTold()).toBe(204)
  })

  test('of what is told meanwhile no more is kept than its parts do not have yet', () => {
    const one = new One('writer')
    one.hear(digestTo(200))
    const open = one.state.pulls.get(writer)
    const ops: readonly Op[] = Array.from({ length: 40 }, (_, i) => {
      return { type: 'put', claim: claimOf(`late-${i}`, 201 + i) }
    })
    for (let i = 0; i < ops.length; i += 2) one.hearOps(201 + i, ...ops.slice(i, i + 2))
    one.hear({ ...stateOf([claimOf('x', 1)], 200), last: false })
    expect(open?.bufferedOps).toBe(40)
    one.hear({ ...stateOf([], 200, [], ops.slice(0, 31)), chunk: 1, last: false })
    expect([open?.bufferedOps, open?.buffered[0]?.first]).toEqual([10, 231])
    one.hear({ ...stateOf([], 200, [], ops.slice(31)), chunk: 2, last: false })
    expect([open?.bufferedOps, open?.buffered.length]).toEqual([0, 0])
    one.hearOps(241, { type: 'del', name: 'late-0', fence: 241, strike: undefined })
    one.hear({ ...stateOf([], 200), chunk: 3 })
    while (one.goOn());
    expect(one.seqTold()).toBe(241)
    expect(lookup(one.state.registry, 'late-0')).toBeUndefined()
    expect(lookup(one.state.registry, 'late-1')?.seq).toBe(202)
  })

  test('does not take the place of a copy that has gone on beyond it', () => {
    const one = new One('writer', 'other')
    Object.assign(one.state.config.limits, { maxBuffered: 1 })
    const put = (name: string, seq: number): Op => ({ type: 'put', claim: claimOf(name, seq) })
    one.hearOps(1, put('x', 1))
    one.hear(digestTo(3), 'boot-of-other')
    for (const seq of [2, 3, 4]) one.hearOps(seq, put('x', seq))
    one.hear(stateOf([claimOf('x', 3)], 3))
    while (one.goOn());
    expect(lookup(one.state.registry, 'x')?.seq).toBe(4)
    expect(one.seqTold()).toBe(4)
    expect(one.state.pulls.size).toBe(0)
  })

  test('counts not at all where its parts are of two transfers: it is asked for again', () => {
    const one = new One('writer')
    one.hear(digestTo(200))
    one.hear({ ...stateOf([claimOf('x', 1)], 200), last: false })
    one.hear({ ...stateOf([claimOf('y', 2)], 201), chunk: 1 })
    while (one.goOn());
    expect(one.state.registry.index.size).toBe(0)
    expect(one.state.pulls.size).toBe(0)
    one.hear(digestTo(201))
    expect(one.state.pulls.size).toBe(1)
  })

  test('gives who misses just its last ops these', () => {
    const one = new One('writer', 'other')
    one.hear(digestTo(200))
    one.hear({ ...stateOf([claimOf('x', 1)], 200), last: false })
    const op: Op = { type: 'put', claim: claimOf('y', 201) }
    one.hear({ ...stateOf([], 200, [], [op]), chunk: 1 })
    while (one.goOn());
    one.sent.length = 0
    one.hear({ type: 'pull', boot: writer, have: 200 }, 'boot-of-other')
    expect(one.sent.map(({ message }) => message)).toMatchObject([{ type: 'ops', first: 201, ops: [op] }])
  })

  test('keeps a claim that a removal in it was not meant for, as its writer does', () => {
    const one = new One('writer')
    one.hear(digestTo(11))
    const removal: Op = { type: 'del', name: 'x', fence: 5, strike: 'start' }
    one.hear({ ...stateOf([claimOf('x', 10)], 10), last: false })
    one.hear({ ...stateOf([], 10, [], [removal]), chunk: 1 })
    while (one.goOn());
    expect(lookup(one.state.registry, 'x')?.seq).toBe(10)
    expect(one.seqTold()).toBe(11)
  })

  test('is followed by what its writer did meanwhile, in order', () => {
    const one = new One('writer')
    one.hearLog(names, 200)
    one.hearOps(201, { type: 'del', name: 'name-90', fence: 91, strike: undefined })
    one.hearOps(202, { type: 'put', claim: claimOf('late', 202) })
    one.goOn()
    one.hearOps(203, { type: 'put', claim: claimOf('name-90', 203) })
    while (one.goOn());
    expect(one.seqTold()).toBe(203)
    expect(lookup(one.state.registry, 'late')?.seq).toBe(202)
    expect(lookup(one.state.registry, 'name-90')?.seq).toBe(203)
  })

  test('where some of that was lost, the rest is asked for once it is there', () => {
    const one = new One('writer')
    one.hearLog(names, 200)
    one.hearOps(205, { type: 'put', claim: claimOf('late', 205) })
    one.sent.length = 0
    while (one.goOn());
    expect(one.sent.filter(({ message }) => message.type === 'pull')).toMatchObject([
      { to: writer, message: { boot: writer, have: 200 } },
    ])
  })

  test('or some ops that were missed: what came behind them is applied a slice at a time too', () => {
    const one = new One('writer')
    for (let i = 5; i <= 95; i++) one.hearOps(i, { type: 'put', claim: claimOf(`name-${i}`, i) })
    const missed = [1, 2, 3, 4, 5].map((i): Op => ({ type: 'put', claim: claimOf(`name-${i}`, i) }))
    one.hear({ type: 'ops', boot: writer, first: 1, ops: missed, counter: 1, reply: true })
    while (one.goOn());
    expect(one.seqTold()).toBe(95)
    expect(Math.max(...one.changes)).toBeLessThanOrEqual(slice + missed.length)
  })

  test('is given to nobody while it is neither the old one nor the new one', () => {
    const one = new One('writer', 'other')
    one.hearOps(1, { type: 'put', claim: claimOf('old', 1) })
    one.hearLog(names, 200)
    one.sent.length = 0
    one.hear({ type: 'pull', boot: writer, have: 0 }, 'boot-of-other')
    expect(one.sent.map(({ message }) => message.type)).toEqual(['busy'])
    while (one.goOn());
    one.hear({ type: 'pull', boot: writer, have: 0 }, 'boot-of-other')
    expect(one.sent.at(-1)?.message).toMatchObject({ type: 'state', base: 200, last: true })
  })

  test('goes on where its writer is gone meanwhile, of whom nobody sees a name', () => {
    const one = new One('writer')
    one.hearLog(names, 200)
    one.goOn()
    const member = one.members.get('writer') as Member
    one.members.delete('writer')
    one.step({ type: 'member', member: { ...member, phase: 'down' }, previous: member, reason: 'test' })
    for (const name of names) expect(lookup(one.state.registry, name)).toBeUndefined()
    while (one.goOn());
    expect(one.state.registry.logs.get(writer)?.seq).toBe(200)
    expect(one.state.registry.index.size).toBe(0)
  })

  test('strikes what it struck before a name goes that hid it', () => {
    const one = new One('writer', 'dead')
    const dead = one.members.get('dead') as Member
    const { boot } = dead.info
    const placed = { ...claimOf('name-94', 1, 'start'), pid: new Pid(boot, 1, 'dead') }
    one.hear({ type: 'ops', boot, first: 1, ops: [{ type: 'put', claim: placed }], counter: 1, reply: false }, boot)
    one.hearLog(names, 200)
    while (one.goOn());
    one.members.delete('dead')
    one.step({ type: 'member', member: { ...dead, phase: 'down' }, previous: dead, reason: 'test' })
    one.view()
    while (one.goOn());
    // The writer's actor of that name was stopped, and 94 others are gone.
    one.hearLog([], 300, ['name-94'])
    do expect(one.state.registry.orphans.size).toBe(0)
    while (one.goOn())
    expect(one.state.starting.size).toBe(0)
    expect(lookup(one.state.registry, 'name-94')).toBeUndefined()
  })
})

describe('while a log is put in place', () => {
  const placed = Array.from({ length: 500 }, (_, i) => claimOf(`name-${i}`, i + 1, `start-${i}`))

  /** The writer is gone; what it wrote comes from another node, of whose TAKE that is the answer. */
  function taking(): One {
    const one = new One('writer', 'other')
    one.lose('writer')
    one.state.pausedUntil = 0
    const slots = new Uint8Array([255])
    const entries = [{ boot: writer, seq: 500, high: 1, low: 1 }]
    const { generation } = one.state
    one.hear({ type: 'ack', generation, slots, notYet: false, counter: 1, entries }, 'boot-of-other')
    expect(one.sent.filter(({ message }) => message.type === 'pull')).toMatchObject([{ to: 'boot-of-other' }])
    return one
  }

  test('no slot is held whose names are in it, however long that takes', () => {
    const one = taking()
    one.hear(stateOf(placed, 500), 'boot-of-other')
    let waits = 0
    while (one.state.replacements.size > 0) {
      expect(one.state.heldCount).toBe(0)
      one.now += 100
      one.step({ type: 'wake' })
      waits += 1
    }
    // Longer than a log that does not come is waited for.
    expect(waits * 100).toBeGreaterThan(trackerLimits.downLogMs)
    expect(one.state.ownedCount).toBeGreaterThan(0)
    expect(one.state.heldCount).toBe(one.state.ownedCount)
    const seen = one.state.registry.orphans.size
    expect(seen).toBe(placed.length)
  })

  test('what is short of it after that has its own time to come', () => {
    const one = taking()
    one.hear(stateOf(placed.slice(0, 400), 400), 'boot-of-other')
    while (one.state.replacements.size > 0) {
      one.now += 100
      one.step({ type: 'wake' })
    }
    const wait = (ms: number): void => {
      for (const end = one.now + ms; one.now < end; ) {
        one.now += 100
        one.step({ type: 'wake' })
      }
    }
    wait(trackerLimits.downLogMs - 200)
    expect(one.state.heldCount).toBe(0)
    // Whoever was asked for the rest says nothing: somebody else is given as long.
    wait(2 * trackerLimits.downLogMs)
    expect(one.state.heldCount).toBe(one.state.ownedCount)
  })

  test('is asked of another where the one that was asked says nothing, before it is done without', () => {
    const one = taking()
    const pulls = (): number => one.sent.filter(({ message }) => message.type === 'pull').length
    const asked = pulls()
    while (pulls() === asked) {
      expect(one.state.heldCount).toBe(0)
      one.now += 100
      one.step({ type: 'wake' })
    }
    one.hear(stateOf(placed, 500), 'boot-of-other')
    while (one.state.replacements.size > 0) {
      one.now += 100
      one.step({ type: 'wake' })
    }
    expect(one.state.heldCount).toBe(one.state.ownedCount)
    expect(one.state.registry.orphans.size).toBe(placed.length)
  })

  test('is waited for as long as it comes in: it may be large, and the way here slow', () => {
    const one = new One('writer', 'other')
    const { generation } = one.state
    const entries = [{ boot: writer, seq: 500, high: 1, low: 1 }]
    const ack = { type: 'ack', generation, slots: new Uint8Array([255]), notYet: false, counter: 1, entries } as const
    one.hear(ack, 'boot-of-other')
    one.hear({ ...ack, entries: [] })
    const chunks = 40
    for (let chunk = 0; chunk < chunks; chunk++) {
      expect(one.state.heldCount).toBe(0)
      const part = { claims: [claimOf(`part-${chunk}`, chunk + 1)], chunk, last: chunk === chunks - 1 }
      one.hear({ type: 'state', boot: writer, base: 500, memberships: [], strikes: [], ops: [], ...part })
      while (one.goOn());
      if (part.last) break
      for (let i = 0; i < 10; i++) {
        one.now += 100
        one.step({ type: 'wake' })
      }
    }
    expect(one.now).toBeGreaterThan(4 * trackerLimits.anyLogMs)
    expect(one.state.heldCount).toBe(one.state.ownedCount)
  })

  test('has nobody look at every slot for each frame that comes while it is waited for', () => {
    const one = new One('writer', 'other')
    const { generation, taking } = one.state
    const entries = [{ boot: writer, seq: 500, high: 1, low: 1 }]
    const ack = { type: 'ack', generation, slots: new Uint8Array([255]), notYet: false, counter: 1, entries } as const
    one.hear(ack, 'boot-of-other')
    one.hear(ack)
    expect(one.state.needed.size).toBe(1)
    let looks = 0
    for (const member of taking.values()) {
      const has = member.acked.has.bind(member.acked)
      member.acked.has = (slot) => {
        looks++
        return has(slot)
      }
    }
    for (let i = 0; i < 100; i++) one.hearOps(501 + i, { type: 'put', claim: claimOf(`late-${i}`, 501 + i) })
    expect(looks).toBe(0)
  })

  test('is asked of its writer again, where that was slow and has said something since', () => {
    const others = Array.from({ length: 10 }, (_, i) => `other${i}`)
    const one = new One('writer', ...others)
    const { generation } = one.state
    const entries = [{ boot: writer, seq: 40, high: 1, low: 1 }]
    const ack = { type: 'ack', generation, slots: new Uint8Array([255]), notYet: false, counter: 1, entries } as const
    for (const name of ['writer', ...others]) one.hear(ack, `boot-of-${name}`)
    const whole = stateOf(
      names.slice(0, 40).map((name, i) => claimOf(name, i + 1)),
      40,
    )
    let asked = 0
    while (one.state.heldCount === 0) {
      expect(one.now).toBeLessThan(20_000)
      for (const { to, message } of one.sent.splice(0)) {
        if (message.type !== 'pull') continue
        // The others have nothing of it. The writer's first answer begins too late, the next one comes at once.
        const nothing: TrackerMessage = { type: 'ops', boot: writer, first: 1, ops: [], counter: 1, reply: true }
        if (to !== writer) one.hear(nothing, to)
        else if (++asked > 1) one.hear(whole)
      }
      one.now += 100
      one.step({ type: 'wake' })
      if (one.now === trackerLimits.pullMs + 200) one.hear({ ...whole, last: false })
      while (one.goOn());
    }
    expect(lookup(one.state.registry, 'name-5')?.pid.node).toBe('writer')
  })

  test('is asked for, too, while another one that came first is put in place', () => {
    const one = new One('writer', 'other')
    const { generation } = one.state
    const other = 'boot-of-other'
    const entries = [
      { boot: writer, seq: 1500, high: 1, low: 1 },
      { boot: other, seq: 7, high: 1, low: 1 },
    ]
    const ack = { type: 'ack', generation, slots: new Uint8Array([255]), notYet: false, counter: 1, entries } as const
    for (const name of [writer, other]) one.hear(ack, name)
    const many = Array.from({ length: 1500 }, (_, i) => claimOf(`many-${i}`, i + 1))
    one.hear(stateOf(many, 1500))
    one.hear({ type: 'busy', boot: other }, other)
    one.sent.length = 0
    for (let i = 0; i < 10; i++) {
      one.now += 100
      one.step({ type: 'wake' })
    }
    expect(one.state.replacements.has(writer)).toBe(true)
    expect(one.sent.filter(({ message }) => message.type === 'pull').map(({ to }) => to)).toContain(other)
  })

  test('of a node that lives is given the time of any pull: a busy node may be slow to begin', () => {
    const one = new One('writer', 'other')
    const entries = [{ boot: writer, seq: 500, high: 1, low: 1 }]
    const { generation } = one.state
    const ack = { type: 'ack', generation, slots: new Uint8Array([255]), notYet: false, counter: 1, entries } as const
    one.hear(ack, 'boot-of-other')
    const since = one.state.pulls.get(writer)?.since ?? Number.NaN
    while (one.state.pulls.get(writer)?.since === since) {
      one.now += 100
      one.step({ type: 'wake' })
    }
    expect(one.now - since).toBeGreaterThanOrEqual(trackerLimits.pullMs)
  })

  test('is done without in the end, where nobody ever answers', () => {
    const one = taking()
    const begun = one.now
    while (one.state.heldCount === 0) {
      one.now += 100
      one.step({ type: 'wake' })
    }
    expect(one.now - begun).toBeLessThanOrEqual(trackerLimits.anyLogMs)
  })

  test('its placed names of a gone node are started again as soon as it is there', () => {
    const one = alone()
    one.hear(digestTo(500), 'boot-of-other')
    one.hear(stateOf(placed.slice(0, 20), 500), 'boot-of-other')
    while (one.goOn());
    expect(one.state.starting.size).toBeGreaterThan(0)
    const { held } = one.state
    const mine = placed.slice(0, 20).filter(({ name }) => held[ring.slotOf(name, held.length)] === 1)
    expect(one.state.starting.size).toBe(mine.length)
  })

  test('or some ops of it that were missed', () => {
    const one = alone()
    const put = (i: number): Op => ({ type: 'put', claim: claimOf(`name-${i}`, i, `start-${i}`) })
    one.hear(digestTo(20), 'boot-of-other')
    one.hearOps(20, put(20))
    expect(one.state.starting.size).toBe(0)
    const ops = Array.from({ length: 19 }, (_, i) => put(i + 1))
    one.hear({ type: 'ops', boot: writer, first: 1, ops, counter: 1, reply: true }, 'boot-of-other')
    while (one.goOn());
    const { held } = one.state
    const mine = [...ops, put(20)].flatMap((op) => (op.type === 'put' ? op.claim.name : []))
    expect([...one.state.starting.keys()]).toEqual(mine.filter((name) => held[ring.slotOf(name, held.length)] === 1))
    expect(one.state.starting.size).toBeGreaterThan(0)
  })

  test('the fences of its last ops are heard of too', () => {
    const one = new One('writer')
    one.hear(digestTo(3))
    const late = { ...claimOf('late', 3), fence: 5000 }
    one.hear(stateOf([claimOf('early', 1)], 2, [], [{ type: 'put', claim: late }]))
    while (one.goOn());
    expect(one.state.counter).toBe(5000)
  })

  test('a node that goes on as another boot meanwhile goes on with it', () => {
    const one = new One('writer')
    one.hearLog(names, 200)
    const self = { ...infoOf('self'), boot: 'boot-of-self-again' }
    one.step({ type: 'rejoined', self, members: [] })
    expect(one.state.replacements.size).toBe(1)
    for (let i = 0; i < 20; i++) {
      one.now += 100
      one.step({ type: 'wake' })
    }
    expect(one.state.replacements.size).toBe(0)
    const log = one.state.registry.logs.get(writer)
    expect([log?.seq, log?.claims.size, log?.hidden]).toEqual([200, names.length, true])
    for (const name of names) expect(lookup(one.state.registry, name)).toBeUndefined()
  })
})

describe('a node that is gone', () => {
  test('leaves the index a slice at a time, one after the other, hidden from the first on', () => {
    const one = new One('writer')
    one.hearLog(names, 200)
    while (one.goOn());
    const member = one.members.get('writer') as Member
    one.members.delete('writer')
    one.changes.length = 0
    one.step({ type: 'member', member: { ...member, phase: 'down' }, previous: member, reason: 'test' })
    for (const name of names) expect(lookup(one.state.registry, name)).toBeUndefined()
    while (one.goOn());
    expect(one.state.registry.index.size).toBe(0)
    expect(Math.max(...one.changes)).toBeLessThanOrEqual(slice)
  })

  test('has its placed names looked at a slice at a time, and all of them, however many wait for room', () => {
    const one = new One('writer')
    const ops = names.map((name, i): Op => ({ type: 'put', claim: claimOf(name, i + 1, `start-${i}`) }))
    one.hearOps(1, ...ops)
    const member = one.members.get('writer') as Member
    one.members.delete('writer')
    one.step({ type: 'member', member: { ...member, phase: 'down' }, previous: member, reason: 'test' })
    one.state.pausedUntil = 0
    one.view()
    while (one.goOn());
    expect(one.state.starting.size).toBe(names.length)
    expect(one.state.reconciling).toBeUndefined()
  })

  test('does not come back with a log that was forgotten while it came', () => {
    const one = new One('writer', 'other')
    one.hear(digestTo(40), 'boot-of-other')
    one.lose('writer')
    one.hear(digestTo(40), 'boot-of-other')
    let chunk = 0
    const part = (last: boolean): void => {
      const claims = [claimOf(`name-${chunk}`, chunk + 1)]
      one.hear({ ...stateOf(claims, 40), chunk: chunk++, last }, 'boot-of-other')
      while (one.goOn());
    }
    for (const end = trackerLimits.forgetMs + 3000; one.now < end; ) {
      part(false)
      for (let i = 0; i < 10; i++) {
        one.now += 100
        one.step({ type: 'wake' })
      }
    }
    expect(one.state.registry.logs.has(writer)).toBe(false)
    part(true)
    expect(one.state.registry.logs.has(writer)).toBe(false)
    expect(one.state.registry.index.size).toBe(0)
    expect(one.state.pulls.size).toBe(0)
  })

  test('is forgotten whole when its time is over, orphans that nobody could host with it', () => {
    const one = new One('writer')
    const ops = names.map((name, i): Op => {
      const claim = claimOf(name, i + 1, `start-${i}`)
      return { type: 'put', claim: { ...claim, kind: 'unknown' } }
    })
    one.hearOps(1, ...ops)
    const member = one.members.get('writer') as Member
    one.members.delete('writer')
    one.step({ type: 'member', member: { ...member, phase: 'down' }, previous: member, reason: 'test' })
    one.view()
    while (one.goOn());
    one.now += 2 * trackerLimits.forgetMs
    one.step({ type: 'wake' })
    while (one.goOn());
    expect(one.state.registry.logs.has(writer)).toBe(true)
    expect(one.state.registry.orphansOf.get(writer)).toBe(names.length)
    one.now += trackerLimits.orphanMs
    one.step({ type: 'wake' })
    expect(one.state.registry.logs.has(writer)).toBe(false)
    while (one.goOn());
    one.now += 200
    one.step({ type: 'wake' })
    while (one.goOn());
    expect(one.state.registry.orphans.size).toBe(0)
    expect(one.state.registry.orphansOf.size).toBe(0)
  })
})
