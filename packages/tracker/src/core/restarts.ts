/**
 * Placed processes that end by themselves, at the node where they ran (PROTOCOL.md 4.4). Where one is to be started
 * again its claim stays, with a mark: nobody sees the name held any more, and everybody knows what to start, also where
 * this node goes the next moment. The holder of the slot starts it again (placement.ts) as it does after the end of a
 * node; when the name is held again, or over, the marked claim goes.
 */

import { isStruck, logOf } from './logs.js'
import type { Claim, Ended, Placement } from './messages.js'
import { forgetProcess, write } from './own.js'
import { aged, another, comesBack, hasEnded, restartOf } from './policies.js'
import type { Turn } from './state.js'

/** Characters of why it ended that everybody keeps. */
const REASON_CHARS = 500

/** The process of this claim has ended by itself. False where it is not started again. */
export function endByItself(turn: Turn, claim: Claim, { how, reason }: Ended): boolean {
  const { state } = turn
  const { placed } = claim
  if (placed === undefined || !comesBack(placed, how)) return false
  // A later copy of this very start was stopped by its user, on the other side of a cut: nobody starts it again.
  if (isStruck(state.registry, claim.name, placed.origin, claim.fence)) return false
  const failures = another(placed.failures, livedMs(turn, claim.name), restartOf(placed))
  const seq = logOf(state.registry, state.self).seq + 1
  const ended = { how, reason: reason.slice(0, REASON_CHARS) }
  write(turn, { type: 'put', claim: { ...claim, seq, placed: { ...placed, failures, ended } } })
  forgetProcess(turn, claim)
  state.recovering.delete(claim.name)
  return true
}

/** The failures of a name of ours as they are now: for whoever goes on with it. */
export function failuresNow(turn: Turn, { name, placed }: Claim): readonly number[] | undefined {
  return aged(placed?.failures, livedMs(turn, name), restartOf(placed))
}

function livedMs({ state, now }: Turn, name: string): number {
  return now - (state.recovering.get(name) ?? now)
}

/** What has run long enough without a failure has none any more: else the end of its node would count them as fresh. */
export function recover(turn: Turn): void {
  const { state } = turn
  for (const name of [...state.recovering.keys()]) {
    const own = logOf(state.registry, state.self).claims.get(name)
    if (own === undefined || hasEnded(own)) {
      state.recovering.delete(name)
      continue
    }
    // What is changed on its way to another node would void that.
    if (state.leaving || state.handoffs.has(name) || failuresNow(turn, own) !== undefined) continue
    state.recovering.delete(name)
    const { failures: _, ...placed } = own.placed as Placement
    write(turn, { type: 'put', claim: { ...own, seq: logOf(state.registry, state.self).seq + 1, placed } })
  }
}
