/**
 * The names of processes that live on through a rejoin (rejoining.ts). There may be hundreds of thousands, and each open
 * ask is looked at whenever the clock comes by: so a bounded number of them is asked for at a time.
 */
import { openAsk } from './asks.js'
import type { Claim } from './messages.js'
import { goOn, type TrackerState, type Turn } from './state.js'

/** Names asked for in one step: where their slots are this node's own, they are answered within it. */
const KEPT_A_STEP = 256

/** The claim of an earlier boot of this node, whose process lives: its name will be asked for. */
export function keepClaim(state: TrackerState, claim: Claim): void {
  countUnasked(state, claim, 1)
  const claims = state.unasked.get(claim.pid.id)
  if (claims === undefined) state.unasked.set(claim.pid.id, [claim])
  else claims.push(claim)
  state.unaskedNext ??= unaskedOf(state.unasked)
}

function* unaskedOf(unasked: Map<number, Claim[]>): Generator<Claim, undefined> {
  for (const [pid, claims] of unasked) {
    for (let claim = claims.pop(); claim !== undefined; claim = claims.pop()) yield claim
    unasked.delete(pid)
  }
}

/** What this process kept and is not asked for yet: it will not be. */
export function takeUnasked(state: TrackerState, pid: number): Claim[] {
  const claims = state.unasked.get(pid)?.splice(0) ?? []
  state.unasked.delete(pid)
  for (const claim of claims) countUnasked(state, claim, -1)
  return claims
}

/** By name: after a second rejoin two processes may have kept the same one. */
function countUnasked({ unaskedNames }: TrackerState, { name }: Claim, more: 1 | -1): void {
  const count = (unaskedNames.get(name) ?? 0) + more
  if (count === 0) unaskedNames.delete(name)
  else unaskedNames.set(name, count)
}

/** Nothing of it will be asked for. */
export function forgetUnasked(state: TrackerState): void {
  state.unasked.clear()
  state.unaskedNames.clear()
  state.unaskedNext = undefined
}

/** Asks for the next ones, as far as there is room. */
export function askForKept(turn: Turn): void {
  const { state } = turn
  if (!state.gate || state.leaving) return
  for (let i = 0; state.asks.kept.size < state.config.limits.maxKept; i++) {
    if (i === KEPT_A_STEP) return goOn(turn)
    const claim = state.unaskedNext?.next().value
    if (claim === undefined) {
      state.unaskedNext = undefined
      return
    }
    const { name, pid, kind, meta, placed } = claim
    countUnasked(state, claim, -1)
    const id = --state.nextHostAsk
    openAsk(turn, { id, name, role: 'kept', kind, meta, pid: pid.id, told: true, kept: claim, ...placed })
  }
}
