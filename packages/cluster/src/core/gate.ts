/**
 * The join gate. A starting node must first meet a member of every part of the cluster that exists, or two parts would
 * form that each believe themselves whole. So nothing is registered until every address that discovery names has been
 * dialled with an outcome and somebody was met; if nobody was, discovery is asked again until the node may believe that
 * it is alone. An address that stays silent holds the gate for a short while only. With a `formation` nodes that all
 * start wait, besides, until they are as many as there should be: where somebody is up already, a cluster exists. And
 * where discovery has a lock, the first gate of a cluster opens under it: of nodes that start at once and do not find
 * each other in time one goes first, and the next one looks again when that one can be found.
 */
import type { ClusterOutput } from './contract.js'
import { dialNow, forgetVanished, isTried } from './dialling.js'
import { dropped, logged, type MembershipState } from './state.js'
import { flushView } from './view.js'

/** The shortest wait between two questions to discovery. */
const REFRESH_MS = 100
/** The same while a formation is waited for, which may take minutes. */
const FORMING_REFRESH_MS = 1000

/** When the gate has something to do by itself. A formation that is met fails no more, though others are waited for. */
export function gateDue(state: MembershipState, now: number): number {
  if (state.gate === 'open') return Infinity
  const formed = formedAt(state)
  if (now < formed) return Math.min(formed, failsAt(state), state.refreshAt)
  const isHeld = state.lock === 'awaited' && isLocked(state)
  return Math.min(isHeld ? Math.max(state.lockBy, opensAt(state)) : opensAt(state), state.refreshAt)
}

/** Is the gate held by more than discovery and its dials, so that it may open whenever a member changes? */
export function awaitsMembers(state: MembershipState): boolean {
  return state.gate === 'shut' && (state.config.formation !== undefined || state.lock === 'awaited')
}

/** An answer of discovery: new addresses are dialled at once; what it no longer names is forgotten when its turn comes. */
export function noteDiscovered(
  state: MembershipState,
  addresses: readonly string[],
  now: number,
  out: ClusterOutput[],
): void {
  const { maxMembers, gateMs } = state.config.limits
  const kept = addresses.length > maxMembers ? addresses.slice(0, maxMembers) : addresses
  if (kept !== addresses) out.push(dropped(state.self.info.boot, 'too many addresses discovered'))
  if (!state.answered) state.gateAt = now + gateMs
  state.answered = true
  state.askedAt = now
  state.stale = true
  state.discovered = new Set(kept)
  forgetVanished(state)
  for (const address of state.discovered) {
    const dial = state.dials.get(address)
    // One that waits for its turn keeps its backoff.
    if (dial === undefined || dial.due === Infinity) dialNow(state, address, out)
  }
}

/** A member was met. */
export function noteMet(state: MembershipState, now: number): void {
  if (state.metAt === Infinity) state.metAt = now
  state.stale = true
}

/**
 * There is a cluster, which still holds our name to be another's, perhaps our own of before: alone we are not, so the
 * gate stays shut as long as that goes on.
 */
export function noteTaken(state: MembershipState, now: number): void {
  state.gateAt = Math.max(state.gateAt, now + state.config.limits.redialMaxMs + state.config.limits.gateMs)
  state.stale = true
}

/** The lock of discovery is held; whom its new answer named is waited for as in the beginning. */
export function noteLocked(state: MembershipState, now: number, out: ClusterOutput[]): void {
  if (state.lock !== 'awaited') return
  state.lock = 'settled'
  if (!isAllTried(state)) {
    state.gateAt = Math.max(state.gateAt, now + state.config.limits.gateMs)
    if (state.metAt !== Infinity) state.metAt = now
  }
  settleGate(state, now, out)
}

/** Opens the gate if it may open, else asks discovery again if that may help. */
export function settleGate(state: MembershipState, now: number, out: ClusterOutput[]): void {
  if (state.gate === 'open') return
  if (isForming(state, now, out)) return keepLooking(state, now, out)
  if (!state.config.discovery && state.present === 1) {
    openGate(state, 'no discovery is configured', now, out)
    return
  }
  const met = state.metAt !== Infinity
  const tried = state.answered && isAllTried(state)
  if (met && tried) {
    if (!awaitsLock(state, now, out)) openGate(state, 'every address that discovery named was dialled', now, out)
    return
  }
  if (now >= opensAt(state)) {
    if (awaitsLock(state, now, out)) return
    openGate(state, met ? 'some addresses stay silent' : 'nobody was met', now, out)
    return
  }
  state.stale = true
  state.refreshAt = Infinity
  if (!met && tried) askAgain(state, REFRESH_MS, now, out)
}

/** Would this node be the first of a cluster, and has not got the lock for it? */
function isLocked(state: MembershipState): boolean {
  return state.lock !== 'settled' && !isFounded(state)
}

/** Is this node, which would be the first of a cluster, to wait for the lock? Asks for it, and gives it up, once. */
function awaitsLock(state: MembershipState, now: number, out: ClusterOutput[]): boolean {
  if (!isLocked(state)) return false
  if (state.lock === 'needed') {
    state.lock = 'awaited'
    state.lockBy = now + state.config.limits.lockMs
    out.push({ type: 'lock' })
  }
  if (now < state.lockBy) {
    state.stale = true
    askAgain(state, FORMING_REFRESH_MS, now, out)
    return true
  }
  state.lock = 'settled'
  const { lockMs } = state.config.limits
  out.push(logged('warn', `no lock of discovery after ${lockMs} ms: this node goes on without`, { lockMs }))
  return false
}

/** Until a formation is met, and looked at again as soon as it may be. */
function keepLooking(state: MembershipState, now: number, out: ClusterOutput[]): void {
  state.stale = true
  askAgain(state, FORMING_REFRESH_MS, now, out)
  state.refreshAt = Math.min(state.refreshAt, formedAt(state))
}

function askAgain(state: MembershipState, gapMs: number, now: number, out: ClusterOutput[]): void {
  if (now >= state.askedAt + gapMs) {
    state.askedAt = now
    out.push({ type: 'refresh' })
  }
  state.refreshAt = state.askedAt + gapMs
}

/** Is this node to wait for more who start? Says so, once, where it has waited too long. */
function isForming(state: MembershipState, now: number, out: ClusterOutput[]): boolean {
  const { formation } = state.config
  if (formation === undefined) return false
  if (state.present !== state.counted) {
    state.counted = state.present
    state.countedAt = now
  }
  if (now >= formedAt(state)) return false
  if (now < failsAt(state)) return true
  state.formBy = Infinity
  const text = `only ${state.present} of ${formation.expect} members after ${formation.withinMs} ms: this node waits on`
  out.push(logged('error', text, { members: state.present, expect: formation.expect }))
  out.push({ type: 'notFormed', members: state.present })
  return true
}

/** From when on nothing more is waited for, by the formation. */
function formedAt(state: MembershipState): number {
  const { formation } = state.config
  if (formation === undefined || isFounded(state)) return -Infinity
  const together = state.present >= formation.expect ? state.countedAt + formation.stableMs : Infinity
  return formation.otherwise === 'continue' ? Math.min(together, state.formBy) : together
}

function failsAt(state: MembershipState): number {
  return state.config.formation?.otherwise === 'fail' ? state.formBy : Infinity
}

/** Has anybody joined already, so that there is a cluster? */
function isFounded(state: MembershipState): boolean {
  for (const member of state.members.values()) {
    if (member !== state.self && (member.phase === 'up' || member.phase === 'leaving')) return true
  }
  return false
}

function opensAt(state: MembershipState): number {
  return state.metAt === Infinity ? state.gateAt : state.metAt + state.config.limits.gateSilentMs
}

function isAllTried(state: MembershipState): boolean {
  for (const address of state.discovered) if (!isTried(state, address)) return false
  return true
}

function openGate(state: MembershipState, reason: string, now: number, out: ClusterOutput[]): void {
  state.gate = 'open'
  state.stale = true
  // The layers above take slots from here on, by their view: were that still the batched one of a lone node, a newcomer
  // would hold every slot that its hosts hold.
  flushView(state, now, out)
  out.push({ type: 'gateOpen', reason })
  out.push(logged('info', `join gate open: ${reason}`, { reason, members: state.present }))
}
