/**
 * Placed processes follow when the ring gives their names to another node (PROTOCOL.md 4.4): the holder of a slot
 * looks through its names once after each change of the view, when that has stood still for a while, and orders those
 * elsewhere that belong elsewhere, no faster than it may. A name is ordered once for one change: where the source does
 * not, because its process must not or cannot be moved, it stays until the next change.
 */

import { lookup } from './logs.js'
import { verdictOn } from './placement.js'
import { slotOf } from './ring.js'
import { send, type Turn } from './state.js'

/** Names looked at in one step: well under 5 ms. */
const SLICE = 1000

/** Members are others by now: what was ordered by the former ones is ordered anew, where it still belongs elsewhere. */
export function rebalanceAnew(turn: Turn): void {
  turn.state.ordered.clear()
  rebalanceSoon(turn)
}

/** Hosts may be others by now. */
export function rebalanceSoon(turn: Turn): void {
  const { state, now } = turn
  if (state.config.rebalance.mode === 'never') return
  state.rebalancing = { since: now, names: undefined, credit: 0 }
}

export function rebalance(turn: Turn): void {
  const { state, now } = turn
  const { rebalancing } = state
  const { mode, rate, afterMs } = state.config.rebalance
  if (rebalancing === undefined || now - rebalancing.since < afterMs || state.heldCount < state.ownedCount) return
  rebalancing.names ??= state.registry.index.keys()
  const perSweep = (rate * state.config.limits.sweepMs) / 1000
  rebalancing.credit = mode === 'eager' ? SLICE : Math.min(Math.max(1, rate), rebalancing.credit + perSweep)
  for (let looked = 0; looked < SLICE && rebalancing.credit >= 1; looked++) {
    const next = rebalancing.names.next()
    if (next.done === true) {
      state.rebalancing = undefined
      return
    }
    if (order(turn, next.value)) rebalancing.credit--
  }
}

/** Order this name to where it belongs. False where it is there, or is none of ours. */
function order(turn: Turn, name: string): boolean {
  const { state } = turn
  const slot = slotOf(name, state.held.length)
  if (state.held[slot] === 0 || state.starting.has(name) || state.grants.has(name)) return false
  const claim = lookup(state.registry, name)
  if (claim?.placed === undefined) return false
  const { boot } = claim.pid
  const info = boot === state.self ? state.info : state.peers.get(boot)?.info
  const { host, sure } = verdictOn(state, { name, slot, kind: claim.kind ?? '', terms: claim.placed.terms })
  // Who cannot tell where it belongs moves nothing. What runs on a cordoned node runs on there.
  if (!sure || host === undefined || host.boot === boot || info === undefined || info.cordoned) return false
  send(turn, boot, { type: 'order', name, seq: claim.seq, to: host.boot })
  return true
}
