/** Whatever comes in, and in whatever order: no throw, every bound kept, every cached number equal to what it caches. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type ClusterFrame,
  type ClusterInput,
  compareInfo,
  inView,
  isGone,
  type Member,
  type MembershipState,
  membershipDeadline,
} from '../src/core/index.js'
import { Machine } from './machine.js'
import { infoOf } from './network.js'

const limits = { maxMembers: 6, maxGone: 3 }

const boots = ['boot-me', 'boot-a', 'boot-b', 'boot-c', 'boot-d', 'boot-e', 'boot-f', 'boot-g', '']
const boot = fc.constantFrom(...boots)
const phase = fc.constantFrom('joining' as const, 'up' as const, 'leaving' as const, 'down' as const, 'left' as const)
const incarnation = fc.oneof(fc.nat(3), fc.constantFrom(-1, 0.5, Number.NaN, Infinity, 2 ** 48, 2 ** 53))
const info = fc
  .tuple(boot, fc.constantFrom('me', 'a', 'b', 'c', ''), fc.constantFrom('10.0.0.1:me', '10.0.0.1:a', 'x:1', ''))
  .chain(([b, name, address]) => fc.constantFrom(infoOf(b.slice(5), b), infoOf(name, b, address)))
const member: fc.Arbitrary<Member> = fc.record({ info, phase, incarnation, suspect: fc.boolean() })
const members = fc.array(member, { maxLength: 12 })
const seq = fc.oneof(fc.nat(20), fc.constantFrom(-1, Number.NaN, 2 ** 53))
const message = fc.constantFrom('m', undefined)

const frame: fc.Arbitrary<ClusterFrame> = fc.oneof(
  fc.record({ type: fc.constantFrom('ping' as const, 'ack' as const), seq }),
  fc.record({ type: fc.constant('pingReq' as const), seq, subject: boot }),
  fc.record({ type: fc.constant('pingReqAck' as const), seq, ok: fc.boolean() }),
  { weight: 4, arbitrary: fc.record({ type: fc.constant('news' as const), members }) },
  fc.record({ type: fc.constant('refused' as const), subject: boot }),
  fc.record({ type: fc.constant('bye' as const) }),
  fc.record({ type: fc.constant('message' as const), message }),
  fc.record({ type: fc.constant('carry' as const), members, message }),
  fc.record({ type: fc.constant('relay' as const), from: boot, to: boot, members, message }),
  fc.constant({ type: 'nonsense' } as unknown as ClusterFrame),
)

const address = fc.constantFrom('10.0.0.1:me', '10.0.0.1:a', '10.0.0.1:b', 'x:1', '')
const input: fc.Arbitrary<ClusterInput> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant('frame' as const), from: boot, frame }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('linkUp' as const), peer: info, incarnation, phase }) },
  fc.record({
    type: fc.constant('linkUp' as const),
    peer: info,
    incarnation,
    phase,
    via: fc.option(boot, { nil: undefined }),
    carries: fc.boolean(),
    continues: fc.boolean(),
  }),
  fc.record({ type: fc.constant('dialledThrough' as const), boot, via: boot, linked: fc.boolean() }),
  fc.record({ type: fc.constant('used' as const), boot }),
  fc.record({ type: fc.constant('linkDown' as const), boot, byPeer: fc.boolean() }),
  fc.record({ type: fc.constant('discovered' as const), addresses: fc.array(address, { maxLength: 10 }) }),
  fc.record({
    type: fc.constant('dialled' as const),
    address,
    outcome: fc.constantFrom(
      'linked' as const,
      'refused' as const,
      'failed' as const,
      'self' as const,
      'rejected' as const,
    ),
    boot,
  }),
  fc.record({ type: fc.constant('send' as const), to: boot, message, carry: fc.boolean(), relay: fc.boolean() }),
  fc.record({ type: fc.constant('verdict' as const), token: fc.nat(20), waitedMs: fc.nat(500) }),
  { weight: 4, arbitrary: fc.constant({ type: 'wake' as const }) },
  fc.constant({ type: 'ready' as const }),
  fc.constant({ type: 'locked' as const }),
)
/** How much time passes before an input; -1: until the machine is due. */
const pause = fc.oneof(fc.constantFrom(0, 1, -1, -1), fc.nat(2000))
const story = fc.array(fc.tuple(pause, input), { minLength: 10, maxLength: 120 })

const formation = fc.option(
  fc.record({
    expect: fc.integer({ min: 1, max: 3 }),
    withinMs: fc.constantFrom(0, 500, 5000),
    stableMs: fc.constantFrom(0, 1000),
    otherwise: fc.constantFrom('fail' as const, 'continue' as const),
  }),
  { nil: undefined },
)

function checkState(state: MembershipState): void {
  const all = [...state.members.values()]
  const present = all.filter((m) => !isGone(m))
  expect(state.present).toBe(present.length)
  expect(state.members.get(state.self.info.boot)).toBe(state.self)
  expect(state.present).toBeLessThanOrEqual(limits.maxMembers)
  expect([...state.goneAt.keys()].sort()).toEqual(
    all
      .filter(isGone)
      .map((m) => m.info.boot)
      .sort(),
  )
  expect(state.goneAt.size).toBeLessThanOrEqual(limits.maxGone)
  const suspects = present.filter((m) => m.suspect && m !== state.self).map((m) => m.info.boot)
  expect([...state.suspicions.keys()].sort()).toEqual(suspects.sort())
  for (const linked of state.links) expect(state.members.get(linked)?.phase).not.toBe('down')
  for (const subject of state.absences.keys()) expect(present.some((m) => m.info.boot === subject)).toBe(true)
  for (const probe of state.probes.values()) expect(present.some((m) => m.info.boot === probe.subject)).toBe(true)
  for (const via of state.vias.keys()) expect(state.links.has(via)).toBe(true)
  for (const carrier of state.carriers) expect(state.links.has(carrier) && !state.vias.has(carrier)).toBe(true)
  for (const watched of state.watches.keys()) expect(state.links.has(watched)).toBe(true)
  for (const sought of state.searches.keys()) expect(present.some((m) => m.info.boot === sought)).toBe(true)
  expect(state.order.length).toBeLessThanOrEqual(2 * limits.maxMembers)
  expect(state.dials.size).toBeLessThanOrEqual(40)
  expect(state.helps.size).toBeLessThanOrEqual(256)
  expect(state.health).toBeGreaterThanOrEqual(0)
  expect(state.health).toBeLessThanOrEqual(7)
  const shown = state.view.members.map((i) => i.boot)
  if (state.viewDirtyAt === Infinity) {
    expect(shown).toEqual(
      all
        .filter(inView)
        .map((m) => m.info)
        .sort(compareInfo)
        .map((i) => i.boot),
    )
  }
}

describe('the membership machine', () => {
  it('survives every sequence of inputs with its state in order and its deadline kept', () => {
    fc.assert(
      fc.property(story, fc.boolean(), fc.boolean(), formation, (steps, discovery, lock, wish) => {
        const waits = wish === undefined ? {} : { formation: wish }
        const m = new Machine({ discovery, limits, lock: discovery && lock, ...waits })
        let view = 0
        for (const [wait, next] of steps) {
          m.now = wait < 0 ? Math.max(m.now, Math.min(membershipDeadline(m.state), m.now + 10_000)) : m.now + wait
          m.step(next)
          // Half of the stories go on as another boot whenever they are condemned.
          if (discovery && m.state.condemned !== undefined) m.rejoin(`${m.state.self.info.boot}+`)
          expect(m.state.view.number).toBeGreaterThanOrEqual(view)
          view = m.state.view.number
          checkState(m.state)
          if (next.type === 'wake') expect(membershipDeadline(m.state)).toBeGreaterThan(m.now)
        }
      }),
      { numRuns: 400 },
    )
  })

  it('does nothing when it is woken before its deadline', () => {
    fc.assert(
      fc.property(story, (steps) => {
        const m = new Machine({ limits })
        for (const [wait, next] of steps) {
          m.now += Math.max(0, wait)
          m.step(next)
          const due = membershipDeadline(m.state)
          if (due <= m.now) continue
          expect(m.step({ type: 'wake' })).toEqual([])
          expect(membershipDeadline(m.state)).toBe(due)
        }
      }),
      { numRuns: 200 },
    )
  })

  it('shows in each view exactly what the member changes before it told, and reads carried messages in that view', () => {
    fc.assert(
      fc.property(story, (steps) => {
        const m = new Machine({ limits })
        const told = new Set<string>()
        let shown: readonly string[] = []
        for (const [wait, next] of steps) {
          m.now += Math.max(0, wait)
          const outputs = m.step(next)
          if (m.state.condemned !== undefined) outputs.push(...m.rejoin(`${m.state.self.info.boot}+`))
          for (const output of outputs) {
            if (output.type === 'rejoined') told.clear()
            if (output.type === 'member' && inView(output.member)) told.add(output.member.info.boot)
            if (output.type === 'member' && !inView(output.member)) told.delete(output.member.info.boot)
            if (output.type === 'view') shown = output.view.members.map((i) => i.boot)
            const carried = next.type === 'frame' && next.frame.type !== 'message' && output.type === 'message'
            if (output.type === 'view' || carried) expect([...shown].sort()).toEqual([...told].sort())
          }
        }
      }),
      { numRuns: 300 },
    )
  })
})
