/**
 * The stall gate: a process that was stopped and goes on does not know what became of it meanwhile; the others may
 * hold it to be down and have started its names elsewhere. So after a gap long enough for that it trusts itself only
 * once each peer has answered a ping sent after the gap, or is gone; until then the shell holds the calls it receives.
 * A peer that does hold us to be down says so instead of answering (`condemned`).
 */
import type { ClusterOutput, MembershipLimits } from './contract.js'
import { type BootId, isGone } from './member.js'
import { logged, type MembershipState } from './state.js'

/**
 * The least lateness, in ms, after which others may hold us to be down: the smallest suspicion timeout, less the probe
 * period by which the machine would have been due at the latest.
 */
export function stallMs(limits: MembershipLimits): number {
  return Math.max(limits.lateTimerMs, limits.suspicionMinMs - limits.probeMs)
}

/** At the head of a step: was the machine due so long ago that we must doubt ourselves? True if it was. */
export function noticeStall(state: MembershipState, now: number, out: ClusterOutput[]): boolean {
  const lateMs = now - state.due
  if (!(lateMs >= stallMs(state.config.limits)) || state.self.phase === 'left') return false
  const before = state.doubts.size
  state.doubtedAt = now
  state.trustedBy = 0
  for (const [boot, member] of state.members) {
    if (boot === state.self.info.boot || isGone(member)) continue
    state.doubts.set(boot, askAfterGap(state, boot, out))
  }
  if (before > 0 || state.doubts.size === 0) return true
  out.push({ type: 'stalled' })
  out.push(
    logged('warn', `this process stood still for over ${Math.round(lateMs)} ms: calls wait until its peers answer`, {
      lateMs: Math.round(lateMs),
    }),
  )
  return true
}

/** The link of a doubted peer is new: what was asked on the old one may be lost. */
export function doubtAgain(state: MembershipState, boot: BootId, out: ClusterOutput[]): void {
  if (state.doubts.has(boot)) state.doubts.set(boot, askAfterGap(state, boot, out))
}

function askAfterGap(state: MembershipState, boot: BootId, out: ClusterOutput[]): number {
  const seq = ++state.lastSeq
  if (state.links.has(boot)) out.push({ type: 'transmit', to: boot, frame: { type: 'ping', seq } })
  return seq
}

/** A peer answered a ping: it still counts us in, if the ping was sent after the gap. */
export function trustAnswer(state: MembershipState, from: BootId, seq: number): void {
  if (state.doubts.get(from) !== seq) return
  state.doubts.delete(from)
  state.trustedBy++
}

/**
 * When doubts end without an answer of everybody: a peer to which there is no link, once another has answered and a
 * suspicion's time has passed. Had it held us to be down, those who answered would have heard of it by now.
 */
export function doubtDue(state: MembershipState): number {
  return state.doubts.size > 0 && state.trustedBy > 0 ? state.doubtedAt + state.config.limits.suspicionMinMs : Infinity
}

/** At the end of a step: is everybody heard who is not gone? */
export function settleDoubts(state: MembershipState, doubted: boolean, now: number, out: ClusterOutput[]): void {
  if (!doubted) return
  const lapsed = now >= doubtDue(state)
  for (const boot of state.doubts.keys()) {
    const member = state.members.get(boot)
    if (member === undefined || isGone(member) || (lapsed && !state.links.has(boot))) state.doubts.delete(boot)
  }
  state.stale = true
  if (state.doubts.size > 0 || state.condemned !== undefined) return
  out.push({ type: 'trusted' })
  out.push(logged('info', 'all peers answered after the stall: calls go on', {}))
}
