/**
 * The end of a handoff at its source (PROTOCOL.md 4.4): who has the process now, and the barrier behind which its old
 * place closes.
 *
 * The target's claim is the commit point: with it the process is the target's. The source's own claim stands a moment
 * longer, beaten by the target's, until every member that is counted in has said that it knows the target's. So nobody
 * ever sees the name free, and whatever a member sent to the old place before it knew of the new one has arrived by
 * then (calls and answers keep their order on one link), so that the source can pass it on before it says that nothing
 * more comes: the order of one caller holds.
 */

import type { BootId } from '@skep/cluster/core'
import { logOf } from './logs.js'
import type { Claim, NodeRequest, TrackerMessage } from './messages.js'
import { dropName, namesOf, quitGroup } from './own.js'
import { type Handoff, isComing, type MoveFault, send, type TrackerState, type Turn } from './state.js'

type Message<T extends TrackerMessage['type']> = Extract<TrackerMessage, { type: T }>

/** The handoff that this claim completes, if it is its target's. */
export function completedBy(state: TrackerState, name: string, claim: Claim | undefined): Handoff | undefined {
  const handoff = state.handoffs.get(name)
  const from = claim?.from
  if (handoff?.from === undefined || from === undefined || handoff.stage === 'pass') return undefined
  const matches = claim?.pid.boot === handoff.to && from.boot === state.self && from.seq === handoff.from.seq
  return matches ? handoff : undefined
}

/** The target has the name: what waits here is passed on, until all know it. */
export function release(turn: Turn, handoff: Handoff, taken: Claim): void {
  handoff.stage = 'pass'
  handoff.since = turn.now
  handoff.taken = taken
  handoff.bytes = 0
  turn.out.push({ type: 'release', pid: handoff.pid, name: handoff.name, to: taken })
  followGroups(turn, handoff, taken)
  if (!turn.state.barriers.has(handoff.to)) {
    turn.state.barriers.set(handoff.to, { asked: 0, sentAt: Number.NEGATIVE_INFINITY, have: new Map() })
  }
}

/** Groups that it joined and left since its groups were sent along. */
function followGroups(turn: Turn, { pid, groups }: Handoff, { pid: to }: Claim): void {
  const { registry, self, groupsOf } = turn.state
  const now = groupsOf.get(pid) ?? new Set()
  const ask = (request: NodeRequest): void => send(turn, to.boot, { type: 'request', ask: 0, request })
  for (const group of now) {
    const meta = logOf(registry, self).groups.get(group)?.get(pid)?.meta
    if (!groups.includes(group)) ask({ type: 'join', group, pid: to, meta })
  }
  for (const group of groups) if (!now.has(group)) ask({ type: 'quit', group, pid: to })
}

/** Has this process gone to another node? */
export function isPassing(state: TrackerState, pid: number): boolean {
  return namesOf(state, pid).some((name) => state.handoffs.get(name)?.stage === 'pass')
}

/** The process goes on here: who asked for the handoff is told why. */
export function endHandoff(turn: Turn, handoff: Handoff, fault: MoveFault): void {
  turn.state.handoffs.delete(handoff.name)
  turn.out.push({ type: 'resume', pid: handoff.pid, name: handoff.name })
  answerAskers(turn, handoff, fault)
}

/** Its process has ended otherwise. */
export function dropHandoff(turn: Turn, name: string, fault: MoveFault): void {
  const handoff = turn.state.handoffs.get(name)
  if (handoff === undefined) return
  turn.state.handoffs.delete(name)
  answerAskers(turn, handoff, fault)
}

function answerAskers(turn: Turn, { askers }: Handoff, fault: MoveFault | undefined): void {
  for (const { boot, ask } of askers) {
    send(turn, boot, { type: 'answer', ask, code: fault?.code, text: fault?.text ?? '' })
  }
}

/** The own claim goes, without a strike: what it started lives on. */
export function pass(turn: Turn, handoff: Handoff): void {
  const { state } = turn
  const { name, pid } = handoff
  state.handoffs.delete(name)
  for (const group of [...(state.groupsOf.get(pid) ?? [])]) quitGroup(turn, group, pid)
  const own = logOf(state.registry, state.self).claims.get(name)
  if (own?.pid.id === pid) dropName(turn, own)
  turn.out.push({ type: 'passed', pid, name })
  answerAskers(turn, handoff, undefined)
}

// -- the barrier

export function onKnown(turn: Turn, from: BootId, { boot }: Message<'known'>): void {
  const { state } = turn
  const soon = isComing(state, boot) ? true : undefined
  send(turn, from, { type: 'knows', boot, seq: state.registry.logs.get(boot)?.seq ?? 0, soon })
}

export function onKnows(turn: Turn, from: BootId, { boot, seq, soon }: Message<'knows'>): void {
  const { state, now } = turn
  const barrier = state.barriers.get(boot)
  if (barrier === undefined) return
  if (soon === true) waitAnew(turn, boot)
  barrier.have.set(from, Math.max(seq, barrier.have.get(from) ?? 0))
  if (seq >= barrier.asked) return passKnown(turn, boot)
  // It is a frame behind: processes wait for it, so it is asked again before the next sweep.
  state.nextSweepAt = Math.min(state.nextSweepAt, now + state.config.limits.knownAgainMs)
}

/** Ask whoever is behind; at the end of each step in which something came up, and again with time. */
export function askKnown(turn: Turn): void {
  const { state, now } = turn
  for (const [target, barrier] of state.barriers) {
    let wanted = 0
    for (const { stage, to, taken } of state.handoffs.values()) {
      if (stage === 'pass' && to === target) wanted = Math.max(wanted, taken?.seq ?? 0)
    }
    if (wanted === 0) {
      state.barriers.delete(target)
      continue
    }
    if (wanted <= barrier.asked && now - barrier.sentAt < state.config.limits.knownAgainMs) continue
    barrier.asked = wanted
    barrier.sentAt = now
    for (const boot of others(state, target)) {
      if ((barrier.have.get(boot) ?? 0) < wanted) send(turn, boot, { type: 'known', boot: target, seq: wanted })
    }
    passKnown(turn, target)
  }
}

/** A log that comes in is waited for, however long that takes. */
function waitAnew({ state, now }: Turn, target: BootId): void {
  for (const handoff of state.handoffs.values()) {
    if (handoff.stage === 'pass' && handoff.to === target) handoff.since = now
  }
}

/** Handoffs to this target of which all know, or that have waited for it long enough, are over. */
export function passKnown(turn: Turn, target: BootId): void {
  const { state, now } = turn
  if (isComing(state, target)) waitAnew(turn, target)
  const have = state.barriers.get(target)?.have
  // We may have heard of the claim by a refusal, before our own copy of its log has it.
  let known = state.registry.logs.get(target)?.seq ?? 0
  for (const boot of others(state, target)) known = Math.min(known, have?.get(boot) ?? 0)
  for (const handoff of [...state.handoffs.values()]) {
    if (handoff.stage !== 'pass' || handoff.to !== target) continue
    const late = now - handoff.since >= state.config.limits.knownMs
    if (late || (handoff.taken?.seq ?? 0) <= known) pass(turn, handoff)
  }
}

/** All that may ask for names: those that are leaving, too, as long as they have not left. */
function others({ peers, self }: TrackerState, target: BootId): BootId[] {
  const boots: BootId[] = []
  for (const [boot, { phase }] of peers) {
    if (boot !== self && boot !== target && phase !== 'down' && phase !== 'left') boots.push(boot)
  }
  return boots
}
