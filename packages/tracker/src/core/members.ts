/** The members as the tracker sees them: who owns what by the view, who is linked, and what ends with who is gone. */

import type { BootId, Member, View } from '@skep/cluster/core'
import { askAgain, askAgainWhere } from './asks.js'
import { dropYielded } from './grants.js'
import { hasStopped } from './halting.js'
import { lostTarget } from './handoff.js'
import { forgetOrphans, hideLog, logOf, showLog, sweep } from './logs.js'
import { greet, notePhase } from './partition.js'
import { reconcile, retryStarts } from './placement.js'
import { rebalanceAnew } from './rebalance.js'
import { dropRequests, tickRequests } from './requests.js'
import { build } from './ring.js'
import { pursueSoon, yieldForeign } from './slots.js'
import { goOn, isGone, log, type TrackerState, type Turn } from './state.js'
import { endTransfers, sendDigest } from './sync.js'

export function onView(turn: Turn, view: View): void {
  const { state } = turn
  state.view = view
  pursueSoon(state)
  noteViewSize(turn, view.members.length)
  const boots = new Map<string, BootId>()
  for (const member of view.members) boots.set(member.name, member.boot)
  state.table = build([...boots.keys()], state.config.ring)
  state.ringBoots = state.table.names.map((name) => boots.get(name) as BootId)
  const own = state.ringBoots.indexOf(state.self)
  state.ownedCount =
    own < 0 || state.leaving ? 0 : state.table.owners.reduce((n, owner) => (owner === own ? n + 1 : n), 0)
  yieldForeign(state)
  dropYielded(turn)
  askAgain(turn)
  retryStarts(turn)
  reconcile(turn)
  rebalanceAnew(turn)
  tickRequests(turn)
}

export function onMember(turn: Turn, member: Member): void {
  const { state, now } = turn
  const { info, phase } = member
  if (info.boot === state.self) return
  const gone = isGone(phase)
  if (!gone) meetAnew(state, info.boot)
  const known = state.peers.get(info.boot)
  const before = known?.phase
  if (phase !== known?.phase && phase !== 'joining' && phase !== 'up') pursueSoon(state)
  const stood = known?.phase === 'joining' || known?.phase === 'up'
  // Who says goodbye is no loss.
  if (stood && (phase === 'leaving' || phase === 'left')) for (const view of state.viewSizes) view.size--
  if (known === undefined) state.peers.set(info.boot, { info, phase, lineage: undefined, depth: 0, mute: false })
  else {
    if (known.info.weight !== info.weight || known.info.cordoned !== info.cordoned) rebalanceAnew(turn)
    known.info = info
    known.phase = phase
  }
  notePhase(turn, member, before === 'joining' || before === 'up' || before === 'leaving')
  const wasGone = known !== undefined && (state.registry.logs.get(info.boot)?.hidden ?? false)
  if (!gone || wasGone) return
  // A partition policy says itself who may go on.
  if (phase === 'down' && known !== undefined && state.partition === undefined) noteLoss(turn)
  hideLog(state.registry, logOf(state.registry, info.boot), now + state.config.limits.forgetMs)
  forgetPeer(turn, info.boot)
  // From now on only others can give it: what it wrote is asked of them at once, and they have their own time for it.
  const need = state.needed.get(info.boot)
  if (need !== undefined)
    state.needed.set(info.boot, { seq: need.seq, since: now, pulledAt: Number.NEGATIVE_INFINITY, again: false })
  if (state.pulls.get(info.boot)?.from === info.boot) state.pulls.delete(info.boot)
  state.links.delete(info.boot)
  endTransfers(state, ({ to }) => to === info.boot)
  lostTarget(turn, info.boot, true)
  sweepGone(turn)
}

/**
 * A member that we held to be gone is counted in, which can only be after we rejoined (rejoining.ts): what we know of
 * it counts again.
 */
export function meetAnew(state: TrackerState, boot: BootId): void {
  const log = state.registry.logs.get(boot)
  if (log === undefined || !log.hidden) return
  showLog(state.registry, log)
  state.peers.delete(boot)
}

/** Whatever was open with a boot that is gone ends. */
function forgetPeer(turn: Turn, boot: BootId): void {
  const { state } = turn
  state.pendingGrants.delete(boot)
  state.targets.delete(boot)
  state.early.delete(boot)
  for (const grant of [...state.grants.values()]) {
    if (grant.boot !== boot) continue
    // It may have been used, where we have not heard of it: by a policy it stands until its grantee has halted.
    if (!hasStopped(state, boot)) continue
    state.grants.delete(grant.name)
    turn.released.push(grant.name)
  }
  for (const [name, queue] of state.waiting) {
    const left = queue.filter((waiter) => waiter.from !== boot)
    state.waitingCount -= queue.length - left.length
    if (left.length === 0) state.waiting.delete(name)
    else state.waiting.set(name, left)
  }
}

/**
 * Fewer than half of the members that were there a short time ago: we may be the one that is cut off. A member that
 * came back, or another in its stead, makes up for a loss: nodes that are killed one after the other and started again
 * are no reason to leave their names down.
 */
function noteLoss(turn: Turn): void {
  const { state, now } = turn
  const { massLossPauseMs } = state.config.limits
  let standing = 1
  for (const { phase } of state.peers.values()) if (phase === 'joining' || phase === 'up') standing += 1
  const largest = state.viewSizes.reduce((most, { size }) => Math.max(most, size), 1)
  if (standing * 2 >= largest) return
  state.pausedUntil = now + massLossPauseMs
  const text = `${standing} of ${largest} members are left: nothing is restarted for ${massLossPauseMs / 1000} s`
  log(turn, 'warn', text, { standing, largest })
}

/** Remembers how many members the views of the last `massLossMs` had: each from its own time until the next one's. */
function noteViewSize(turn: Turn, size: number): void {
  const { state, now } = turn
  state.viewSizes.push({ at: now, size })
  const { massLossMs } = state.config.limits
  state.viewSizes = state.viewSizes.filter((_, i, all) => now - (all[i + 1]?.at ?? now) < massLossMs)
}

export function onLinked(turn: Turn, boot: BootId): void {
  const { state } = turn
  state.links.add(boot)
  greet(turn, boot)
  sendDigest(turn, boot)
  // What went to it before may have been lost with the old link.
  const taking = state.taking.get(boot)
  if (taking !== undefined) {
    taking.askedAt = Number.NEGATIVE_INFINITY
    taking.silentSince = undefined
    pursueSoon(state)
  }
  askAgainWhere(turn, (ask) => ask.owner === boot && ask.fence === undefined)
}

export function onUnlinked(turn: Turn, boot: BootId): void {
  const { state } = turn
  state.links.delete(boot)
  state.targets.delete(boot)
  endTransfers(state, ({ to }) => to === boot)
  for (const pull of state.pulls.values()) {
    if (pull.from === boot) state.pulls.delete(pull.boot)
  }
  dropRequests(turn, boot)
  lostTarget(turn, boot, false)
}

/** A slice of what gone members have left behind. */
export function sweepGone(turn: Turn): void {
  const { state } = turn
  const { registry } = state
  const { sliceNames } = state.config.limits
  if (registry.forgetting.length > 0 && forgetOrphans(registry, sliceNames)) goOn(turn)
  if (registry.sweeping.size === 0) return
  if (sweep(registry, 'node gone', sliceNames)) goOn(turn)
  else reconcile(turn)
}
