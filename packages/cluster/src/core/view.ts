/**
 * The view: the sorted members that count for ring and slots, under a number that rises by one per change.
 *
 * Changes are batched, since each new view costs the layers above a ring: a change waits while somebody is suspected
 * (as Rapid does: several members that fail together then leave in one view), but at most `viewBatchMs`, and two views
 * are at least `viewMinGapMs` apart. A message that was sent with its maker's members cannot wait: `flushView`.
 */
import type { ClusterOutput } from './contract.js'
import { compareInfo, inView, type MemberInfo } from './member.js'
import { logged, type MembershipState } from './state.js'

/** Notes that the table has moved away from the view. */
export function markView(state: MembershipState, now: number): void {
  if (state.viewDirtyAt !== Infinity) return
  state.viewDirtyAt = now
  state.stale = true
}

/** When the pending change is to be applied; Infinity when there is none. */
export function viewDue(state: MembershipState): number {
  const { viewBatchMs, viewMinGapMs } = state.config.limits
  if (state.viewDirtyAt === Infinity) return Infinity
  if (state.suspicions.size > 0) return state.viewDirtyAt + viewBatchMs
  return Math.max(state.viewDirtyAt, Math.min(state.viewAt + viewMinGapMs, state.viewDirtyAt + viewBatchMs))
}

export function settleView(state: MembershipState, now: number, out: ClusterOutput[]): void {
  if (state.viewDirtyAt !== Infinity && now >= viewDue(state)) flushView(state, now, out)
}

/** Applies the pending change, if any, at once. */
export function flushView(state: MembershipState, now: number, out: ClusterOutput[]): void {
  if (state.viewDirtyAt === Infinity) return
  state.viewDirtyAt = Infinity
  state.stale = true
  const members: MemberInfo[] = []
  for (const member of state.members.values()) if (inView(member)) members.push(member.info)
  members.sort(compareInfo)
  if (sameMembers(members, state.view.members)) return
  state.view = { number: state.view.number + 1, members }
  state.viewAt = now
  out.push({ type: 'view', view: state.view })
  const names = members.map((info) => info.name)
  const text = `view ${state.view.number}: ${names.join(', ') || 'nobody'}`
  out.push(logged('info', text, { view: state.view.number, members: names }))
}

/** By identity: a record's info is replaced as a whole when it changes. */
function sameMembers(a: readonly MemberInfo[], b: readonly MemberInfo[]): boolean {
  return a.length === b.length && a.every((info, i) => info === b[i])
}
