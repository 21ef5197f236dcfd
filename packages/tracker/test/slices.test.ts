/** Work over many names goes in slices: no step is long, and until the last one nobody takes it for done. */
import type { Member, MemberInfo } from '@skep/cluster/core'
import { describe, expect, test } from 'vitest'
import {
  type Claim,
  digestOf,
  initTracker,
  lookup,
  type Op,
  Pid,
  ring,
  stepTracker,
  type TrackerInput,
  type TrackerLimits,
  type TrackerMessage,
  type TrackerOutput,
  type TrackerState,
  trackerLimits,
} from '../src/core/index.js'

const slice = 10
const writer = 'boot-of-writer'

function infoOf(name: string): MemberInfo {
  const plain = { roles: [], weight: 1, cordoned: false, kinds: ['kind'], version: '', startedAt: 0 }
  return { ...plain, boot: `boot-of-${name}`, name, address: `${name}:1` }
}

function claimOf(name: string, seq: number, origin?: string): Claim {
  const stamp = { lineage: { epoch: 0, genesis: writer }, event: 1 }
  const placed = origin === undefined ? undefined : { spec: 0, origin, terms: undefined }
  return { name, pid: new Pid(writer, 1, 'writer'), seq, fence: seq, stamp, kind: 'kind', meta: undefined, placed }
}

function digestTo(seq: number): TrackerMessage {
  const entries = [{ boot: writer, seq, high: 1, low: 1 }]
  return { type: 'digest', counter: 1, lineage: { epoch: 0, genesis: writer }, depth: 0, entries }
}

/** The writer's log as a whole. */
function stateOf(
  claims: readonly Claim[],
  base: number,
  struck: readonly string[] = [],
  ops: readonly Op[] = [],
): Extract<TrackerMessage, { type: 'state' }> {
  const strikes = struck.map((name) => ({ name, fence: 1000, seq: base, origin: 'start' }))
  return { type: 'state', boot: writer, base, chunk: 0, claims, memberships: [], strikes, last: true, ops }
}

/** One machine and what it says, with members that say what the test has them say. */
class One {
  now = 0
  readonly state: TrackerState
  readonly members = new Map<string, Member>()
  /** Winners that changed in each step, where any did. */
  readonly changes: number[] = []
  #continues = 0
  #views = 0
  readonly sent: { readonly to: string; readonly message: TrackerMessage }[] = []

  constructor(...others: readonly string[]) {
    const limits: TrackerLimits = { ...trackerLimits, sliceNames: slice }
    const rebalance = { mode: 'never', rate: 0, afterMs: 0 } as const
    const self = infoOf('self')
    this.state = initTracker({ self, limits, rebalance, counter: 1, seed: 1, ring: { slots: 8, vnodes: 4 } }, this.now)
    this.members.set('self', { info: self, phase: 'up', incarnation: 0, suspect: false })
    for (const name of others) {
      const member: Member = { info: infoOf(name), phase: 'up', incarnation: 0, suspect: false }
      this.members.set(name, member)
      this.step({ type: 'member', member, previous: undefined, reason: 'test' })
      this.step({ type: 'linked', boot: member.info.boot })
    }
    this.view()
    this.step({ type: 'watch', on: true })
    this.step({ type: 'gateOpen', reason: 'test' })
  }

  view(): void {
    const members = [...this.members.values()].map(({ info }) => info)
    this.step({ type: 'view', view: { number: ++this.#views, members } })
  }

  step(input: TrackerInput): readonly TrackerOutput[] {
    const outputs = stepTracker(this.state, input, this.now)
    const changes = outputs.filter(({ type }) => type === 'event').length
    if (changes > 0) this.changes.push(changes)
    for (const output of outputs) {
      if (output.type === 'continue') this.#continues++
      if (output.type === 'send') this.sent.push(output)
    }
    return outputs
  }

  hear(message: TrackerMessage, from = writer): readonly TrackerOutput[] {
    return this.step({ type: 'message', from, message })
  }

  /** One slice, where one is due. */
  goOn(): boolean {
    if (this.#continues === 0) return false
    expect(this.#continues).toBe(1)
    this.#continues--
    this.step({ type: 'continue' })
    return true
  }

  /** The writer's log as a whole, of so many names. */
  hearLog(names: readonly string[], seq: number, strikes: readonly string[] = []): void {
    this.hear(digestTo(seq))
    this.hear(
      stateOf(
        names.map((name, i) => claimOf(name, i + 1)),
        seq,
        strikes,
      ),
    )
  }

  /** Its process or its way here is gone. */
  lose(name: string): void {
    const member = this.members.get(name) as Member
    this.members.delete(name)
    this.step({ type: 'unlinked', boot: member.info.boot })
    this.step({ type: 'member', member: { ...member, phase: 'down' }, previous: member, reason: 'test' })
    this.view()
  }

  hearOps(first: number, ...ops: readonly Op[]): void {
    this.hear({ type: 'ops', boot: writer, first, ops, counter: 1, reply: false })
  }

  seqTold(): number | undefined {
    return digestOf(this.state.registry).find(({ boot }) => boot === writer)?.seq
  }
}

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
    for (const [i, op] of ops.entries()) one.hearOps(201 + i, op)
    one.hear({ ...stateOf([claimOf('x', 1)], 200), last: false })
    expect(open?.bufferedOps).toBe(40)
    one.hear({ ...stateOf([], 200, [], ops.slice(0, 30)), chunk: 1, last: false })
    expect([open?.bufferedOps, open?.buffered[0]?.first]).toEqual([10, 231])
    one.hear({ ...stateOf([], 200, [], ops.slice(30)), chunk: 2, last: false })
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

  test('keeps a claim that a removal in it was not meant for, as its writer does', () => {
    const one = new One('writer')
    one.hear(digestTo(11))
    const removal: Op = { type: 'del', name: 'x', fence: 5, strike: 'start' }
    one.hear({ ...stateOf([claimOf('x', 10)], 10), ops: [removal] })
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

describe('a log that is sent', () => {
  test('is no longer in the way of others once its receiver has given it up, nor of itself', () => {
    const writers = Array.from({ length: trackerLimits.maxTransfers + 1 }, (_, i) => `writer${i}`)
    const one = new One('other', ...writers)
    Object.assign(one.state.config.limits, { chunkBytes: 1, maxChunks: 1 })
    for (const name of writers) {
      const boot = `boot-of-${name}`
      const claims = Array.from({ length: 5 }, (_, i) => {
        return { ...claimOf(`${name}-${i}`, i + 1), pid: new Pid(boot, i, name) }
      })
      const ops = claims.map((claim): Op => ({ type: 'put', claim }))
      one.hear({ type: 'ops', boot, first: 1, ops, counter: 1, reply: false }, boot)
    }
    const answers = (name: string): string[] => {
      one.sent.length = 0
      one.hear({ type: 'pull', boot: `boot-of-${name}`, have: 0 }, 'boot-of-other')
      return one.sent.flatMap(({ message: { type } }) => (type === 'state' || type === 'busy' ? type : []))
    }
    const last = writers.at(-1) as string
    for (const name of writers) expect(answers(name)).toEqual([name === last ? 'busy' : 'state'])
    expect(answers('writer0')).toEqual(['state'])
    one.now += trackerLimits.pullMs + 1
    expect(answers(last)).toEqual(['state'])
  })

  test('comes with all that is written meanwhile, which is kept for as long as somebody needs it', () => {
    const one = new One('other', 'third')
    Object.assign(one.state.registry, { maxTail: 1 })
    Object.assign(one.state.config.limits, { chunkBytes: 100, maxChunks: 2, maxTail: 1 })
    const put = (i: number): Op => ({ type: 'put', claim: claimOf(`own-${i}`, i) })
    const member: Member = { info: infoOf('writer'), phase: 'up', incarnation: 0, suspect: false }
    one.step({ type: 'member', member, previous: undefined, reason: 'test' })
    one.hearOps(1, ...Array.from({ length: 9 }, (_, i) => put(i + 1)))
    const kept = (): number => one.state.registry.logs.get(writer)?.tail.length ?? 0
    const parts = (): Extract<TrackerMessage, { type: 'state' }>[] =>
      one.sent.flatMap(({ message }) => (message.type === 'state' ? message : []))
    one.hear({ type: 'pull', boot: writer, have: 0 }, 'boot-of-other')
    while (one.goOn());
    expect(parts()).toHaveLength(2)
    expect(parts().flatMap(({ ops }) => ops)).toEqual([])
    for (let i = 10; i < 40; i++) one.hearOps(i, put(i))
    expect(kept()).toBeGreaterThanOrEqual(30)
    one.sent.length = 0
    for (const have of [38, 10]) one.hear({ type: 'pull', boot: writer, have }, 'boot-of-third')
    expect(one.sent.map(({ message }) => message.type)).toEqual(['ops', 'state'])
    one.step({ type: 'unlinked', boot: 'boot-of-third' })
    one.sent.length = 0
    for (let chunk = 1; one.state.transfers.length > 0 && chunk < 100; chunk++) {
      one.hear({ type: 'more', boot: writer, chunk }, 'boot-of-other')
      while (one.goOn());
    }
    expect(parts().at(-1)?.last).toBe(true)
    expect(parts().flatMap(({ ops }) => ops)).toHaveLength(30)
    for (let i = 40; i < 50; i++) one.hearOps(i, put(i))
    expect(kept()).toBeLessThanOrEqual(2)
  })

  test('ends where its receiver takes nothing of it, or not as fast as it grows; then nothing is kept for it', () => {
    for (const maxBuffered of [20, 100_000]) {
      const one = new One('writer', 'other')
      Object.assign(one.state.registry, { maxTail: 1 })
      Object.assign(one.state.config.limits, { chunkBytes: 100, maxChunks: 2, maxBuffered })
      const put = (i: number): Op => ({ type: 'put', claim: claimOf(`own-${i}`, i) })
      one.hearOps(1, ...Array.from({ length: 9 }, (_, i) => put(i + 1)))
      one.hear({ type: 'pull', boot: writer, have: 0 }, 'boot-of-other')
      while (one.goOn());
      for (let i = 10; i < 40; i++) one.hearOps(i, put(i))
      const rounds = maxBuffered === 20 ? 3 : trackerLimits.transferMs / 100 + 3
      for (let round = 0; round < rounds; round++) {
        one.now += 100
        one.step({ type: 'wake' })
      }
      expect(one.state.transfers).toEqual([])
      one.hearOps(40, put(40))
      expect(one.state.registry.logs.get(writer)?.tail.length).toBeLessThanOrEqual(2)
    }
  })

  test('where it is not what it was any more its receiver asks anew at once', () => {
    const one = new One('writer', 'other')
    Object.assign(one.state.config.limits, { chunkBytes: 100, maxChunks: 1 })
    one.hearOps(1, ...names.map((name, i): Op => ({ type: 'put', claim: claimOf(name, i + 1) })))
    one.hear({ type: 'pull', boot: writer, have: 0 }, 'boot-of-other')
    one.state.registry.logs.delete(writer)
    one.sent.length = 0
    one.hear({ type: 'more', boot: writer, chunk: 1 }, 'boot-of-other')
    while (one.goOn());
    expect(one.sent.map(({ message }) => message.type)).toEqual(['busy'])
    expect(one.state.transfers).toEqual([])
  })

  test('ends with no op that leaves after it', () => {
    const one = new One('other')
    const { generation, config } = one.state
    const slots = new Uint8Array([255])
    one.hear({ type: 'ack', generation, slots, notYet: false, counter: 1, entries: [] }, 'boot-of-other')
    one.hear({ type: 'digest', counter: 1, lineage: one.state.lineage, depth: 0, entries: [] }, 'boot-of-other')
    expect(one.state.ready).toBe(true)
    Object.assign(one.state.registry, { maxTail: 1 })
    Object.assign(config.limits, { chunkBytes: 100 })
    for (let i = 0; i < 12; i++) one.step({ type: 'claim', ask: i + 1, name: `own-${i}`, pid: i, mode: 'local' })
    one.sent.length = 0
    one.hear({ type: 'pull', boot: 'boot-of-self', have: 0 }, 'boot-of-other')
    // A start whose init runs: so there is something to look after, in a step that writes.
    one.step({ type: 'claim', ask: 99, name: 'pending' })
    let [told, reached, ended, ask] = [0, 12, 0, 100]
    for (; ended === 0 && ask < 1000; ask++) {
      one.now += 100
      one.step({ type: 'claim', ask, name: `more-${ask}`, pid: ask, mode: 'local' })
      for (const { message } of one.sent.splice(0)) {
        if (message.type === 'ops' && !message.reply) told = message.first + message.ops.length - 1
        if (message.type !== 'state') continue
        reached += message.ops.length
        if (!message.last) continue
        ended = reached
        expect(told).toBe(ended)
      }
    }
    expect(ended).toBeGreaterThan(0)
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
