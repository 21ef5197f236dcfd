/**
 * How long a suspected member has to refute (Lifeguard: Dadgar, Phillips, Currey 2018, as memberlist does it). The
 * timeout starts at the maximum and falls to the minimum as others find the member silent themselves. Hearsay does not
 * count: a confirmation is a probe of our own that failed, or a nack of a member that we asked to probe.
 */
import type { MembershipLimits } from './contract.js'
import type { BootId, Member } from './member.js'
import type { MembershipState, Suspicion } from './state.js'

/**
 * The timeout in ms among `size` members after `confirmations` of the `expected` ones. Both bounds grow with log10 of
 * the size, as news takes longer; where nobody can confirm, the minimum holds from the start.
 */
export function suspicionMs(size: number, confirmations: number, expected: number, limits: SuspicionLimits): number {
  const scale = Math.max(1, Math.log10(size))
  const min = limits.suspicionMinMs * scale
  const max = Math.max(min, limits.suspicionMaxMs * scale)
  if (expected < 1) return min
  const share = Math.log(confirmations + 1) / Math.log(expected + 1)
  return max - (max - min) * Math.min(1, share)
}

export type SuspicionLimits = Pick<MembershipLimits, 'suspicionMinMs' | 'suspicionMaxMs'>

/** Starts the clock of a member that the table now shows as suspect, unless it runs for this incarnation. */
export function startSuspicion(state: MembershipState, member: Member, accuser: BootId, now: number): void {
  const { boot } = member.info
  if (state.suspicions.get(boot)?.incarnation === member.incarnation) return
  const suspicion: Suspicion = {
    subject: boot,
    incarnation: member.incarnation,
    since: now,
    accusers: new Set([accuser]),
    due: Infinity,
    token: 0,
  }
  state.suspicions.set(boot, suspicion)
  arm(state, suspicion, now)
}

export function endSuspicion(state: MembershipState, boot: BootId): void {
  if (state.suspicions.delete(boot)) state.stale = true
}

/** One more member found it silent. */
export function confirmSuspicion(state: MembershipState, boot: BootId, accuser: BootId, now: number): void {
  const suspicion = state.suspicions.get(boot)
  if (suspicion === undefined) return
  suspicion.accusers.add(accuser)
  if (suspicion.token === 0) arm(state, suspicion, now)
}

function arm(state: MembershipState, suspicion: Suspicion, now: number): void {
  const { limits } = state.config
  // Neither the subject nor the first accuser can confirm.
  const expected = Math.min(limits.indirectProbes, state.present - 2)
  const ms = suspicionMs(state.present, suspicion.accusers.size - 1, expected, limits)
  // Never in the past: a timer that is due since long ago would look like a stall of ours.
  suspicion.due = Math.max(now, suspicion.since + ms)
  state.stale = true
}
