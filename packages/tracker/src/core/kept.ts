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
  state.unaskedNames.add(claim.name)
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
export function takeUnasked({ unasked, unaskedNames }: TrackerState, pid: number): Claim[] {
  const claims = unasked.get(pid)?.splice(0) ?? []
  unasked.delete(pid)
  for (const { name } of claims) unaskedNames.delete(name)
  return claims
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
    state.unaskedNames.delete(name)
    const id = --state.nextHostAsk
    openAsk(turn, { id, name, role: 'kept', kind, meta, pid: pid.id, told: true, kept: claim, ...placed })
  }
}
