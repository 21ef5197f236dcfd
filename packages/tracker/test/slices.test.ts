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
    this.hear({
      type: 'digest',
      counter: 1,
      lineage: { epoch: 0, genesis: writer },
      depth: 0,
      entries: [{ boot: writer, seq, high: 1, low: 1 }],
    })
    this.hear({
      type: 'state',
      boot: writer,
      base: seq,
      chunk: 0,
      claims: names.map((name, i) => claimOf(name, i + 1)),
      memberships: [],
      strikes: strikes.map((name) => ({ name, fence: 1000, seq, origin: 'start' })),
      last: true,
      ops: [],
    })
  }

  hearOps(first: number, ...ops: readonly Op[]): void {
    this.hear({ type: 'ops', boot: writer, first, ops, counter: 1, reply: false })
  }

  seqTold(): number | undefined {
    return digestOf(this.state.registry).find(({ boot }) => boot === writer)?.seq
  }
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
