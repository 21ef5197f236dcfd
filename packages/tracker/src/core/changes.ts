/** What follows when the winner of a name changes: for grants, starts, asks and conflicts here, and for who watches. */

import { settleAsks } from './asks.js'
import { contest } from './conflicts.js'
import { follows } from './ids.js'
import type { Change } from './logs.js'
import type { Claim, NameEvent } from './messages.js'
import { endStarted } from './placement.js'
import type { TrackerState, Turn } from './state.js'

export function onChange(turn: Turn, change: Change): void {
  const { state } = turn
  const { name, after } = change
  const grant = state.grants.get(name)
  if (grant !== undefined && after?.pid.boot === grant.boot && after.fence >= grant.fence) state.grants.delete(name)
  const starting = state.starting.get(name)
  if (starting !== undefined && after !== undefined) endStarted(turn, starting, after)
  turn.released.push(name)
  if (after !== undefined) settleAsks(turn, name, after)
  contest(turn, name, after)
  report(turn, change)
}

function report(turn: Turn, change: Change): void {
  if (!turn.state.watched) return
  const { name, before, after, reason } = change
  const type = kindOfChange(turn.state, before, after)
  turn.out.push({ type: 'event', event: { type, name, claim: after, previous: before, reason } })
}

function kindOfChange(state: TrackerState, before: Claim | undefined, after: Claim | undefined): NameEvent['type'] {
  if (after === undefined) return 'unregistered'
  if (before === undefined)
    return state.registry.logs.size > 1 && hasGoneClaim(state, after) ? 'failover' : 'registered'
  if (before.pid.equals(after.pid)) return 'updated'
  return follows(after, before) ? 'moved' : 'conflict'
}

/** Was the name held by a boot that is gone and not forgotten? */
function hasGoneClaim(state: TrackerState, claim: Claim): boolean {
  for (const of of state.registry.logs.values()) {
    if (of.hidden && of.claims.has(claim.name)) return true
  }
  return false
}
