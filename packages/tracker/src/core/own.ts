/** What this node writes into its own log. */

import { retireStamp } from './ids.js'
import { applyOp, claimsOf, type Log, logOf } from './logs.js'
import type { Claim, Op } from './messages.js'
import type { Pid } from './pid.js'
import type { TrackerState, Turn } from './state.js'

/** Give a name's metadata a new value: a new put of the same claim. */
export function rewriteMeta(turn: Turn, claim: Claim, meta: unknown): void {
  const seq = logOf(turn.state.registry, turn.state.self).seq + 1
  write(turn, { type: 'put', claim: { ...claim, seq, meta } })
}

/** Remove a name of ours. */
export function removeName(turn: Turn, claim: Claim): void {
  // Other claims of this name may lie in logs of gone boots, from which they must not rise again.
  const strike = claim.placed?.origin ?? (claimsOf(turn.state.registry, claim.name).length > 1 ? '' : undefined)
  dropName(turn, claim, strike)
}

/** The name is not ours any more; without a strike what it stands for may go on elsewhere. */
export function dropName(turn: Turn, claim: Claim, strike?: string): void {
  write(turn, { type: 'del', name: claim.name, fence: claim.fence, strike })
  forgetProcess(turn, claim)
}

/** The names of a process of this node. */
export function namesOf({ names }: TrackerState, pid: number): readonly string[] {
  const own = names.get(pid)
  if (own === undefined) return []
  return typeof own === 'string' ? [own] : [...own]
}

/** The process of this claim has the name from here on. */
export function noteName({ state: { names } }: Turn, { name, pid: { id } }: Claim): void {
  const own = names.get(id)
  if (own === undefined) names.set(id, name)
  else if (typeof own !== 'string') own.add(name)
  else if (own !== name) names.set(id, new Set([own, name]))
}

/** The process of this claim has the name no more. */
export function forgetProcess({ state: { names } }: Turn, { name, pid: { id } }: Claim): void {
  const own = names.get(id)
  if (own === name) names.delete(id)
  if (typeof own !== 'object') return
  own.delete(name)
  if (own.size === 0) names.delete(id)
}

/** A local process is in this group. */
export function joinGroup(turn: Turn, group: string, pid: Pid, meta: unknown): void {
  const { registry, self, groupsOf } = turn.state
  write(turn, { type: 'join', membership: { group, pid, seq: logOf(registry, self).seq + 1, meta } })
  const groups = groupsOf.get(pid.id)
  if (groups === undefined) groupsOf.set(pid.id, new Set([group]))
  else groups.add(group)
}

/** It is not in it any more. */
export function quitGroup(turn: Turn, group: string, id: number): void {
  const { registry, self, groupsOf } = turn.state
  const groups = groupsOf.get(id)
  groups?.delete(group)
  if (groups?.size === 0) groupsOf.delete(id)
  if (logOf(registry, self).groups.get(group)?.has(id) === true) write(turn, { type: 'quit', group, id })
}

/** Write an op into our own log; all ops of a step leave together at its end. */
export function write(turn: Turn, op: Op): void {
  const { state, now } = turn
  const own = logOf(state.registry, state.self)
  const before = claimOf(own, op)
  applyOp(state.registry, own, op, now)
  if (before !== undefined && claimOf(own, op)?.stamp !== before.stamp) retireStamp(state, before)
  state.unsent.push(op)
}

/** The claim of the name that this op is about. */
function claimOf(log: Log, op: Op): Claim | undefined {
  if (op.type === 'put') return log.claims.get(op.claim.name)
  return op.type === 'del' ? log.claims.get(op.name) : undefined
}
