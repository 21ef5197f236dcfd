/** What follows when the winner of a name changes: for grants, starts, asks and conflicts here, and for who watches. */

import { settleAsks } from './asks.js'
import { contest, riseAbove } from './conflicts.js'
import { dropRetake } from './handoff.js'
import { follows } from './ids.js'
import { type Change, endedAt, isStruck, logOf } from './logs.js'
import type { Claim, NameEvent } from './messages.js'
import { dropName, removeName } from './own.js'
import { completedBy, dropHandoff, release } from './passage.js'
import { endStarted, endStruck, reconcileOne } from './placement.js'
import { hasEnded } from './policies.js'
import type { Handoff, TrackerState, Turn } from './state.js'

export function onChange(turn: Turn, change: Change): void {
  const { state } = turn
  const { name, after } = change
  const grant = state.grants.get(name)
  if (grant !== undefined && after?.pid.boot === grant.boot && after.fence >= grant.fence) state.grants.delete(name)
  const starting = state.starting.get(name)
  if (starting !== undefined && after !== undefined) endStarted(turn, starting, after)
  if (change.before === undefined && after === undefined) {
    return change.reason === 'ended' ? onEnded(turn, name) : onStrike(turn, name)
  }
  turn.released.push(name)
  const handoff = completedBy(state, name, after)
  if (handoff !== undefined && after !== undefined) {
    dropRetake(turn, name)
    release(turn, handoff, after)
  }
  if (after !== undefined) settleAsks(turn, name, after)
  contest(turn, name, after)
  report(turn, change)
}

/** A name has lived and ended, perhaps without having been seen here: what was given or started for it is over. */
function onStrike(turn: Turn, name: string): void {
  const { registry, grants, starting, handoffs } = turn.state
  const grant = grants.get(name)
  const struck = grant === undefined ? undefined : registry.logs.get(grant.boot)?.strikes.get(name)
  if (grant !== undefined && struck !== undefined && struck.fence >= grant.fence) grants.delete(name)
  const start = starting.get(name)
  if (start !== undefined && isStruck(registry, name, start.origin)) endStruck(turn, start)
  const handoff = handoffs.get(name)
  if (handoff !== undefined && endedThere(turn, handoff)) return
  outliveStrike(turn, name)
  turn.released.push(name)
}

/**
 * What was handed over has ended at its target, and the target's claim was never seen here (in the copy of a log that
 * came whole there is none): what waits here for a word of the target was the user's to end, and is ended.
 */
function endedThere(turn: Turn, { name, pid, to, from, stage }: Handoff): boolean {
  const { registry, self } = turn.state
  const own = logOf(registry, self).claims.get(name)
  const struck = registry.logs.get(to)?.strikes.get(name)
  if (from === undefined || stage === 'pass' || own?.pid.id !== pid || own.placed === undefined) return false
  if (struck === undefined || struck.origin !== own.placed.origin || struck.fence <= own.fence) return false
  dropRetake(turn, name)
  dropHandoff(turn, name, { code: 'ERR_ACTOR_STOPPED', text: `'${name}' has ended` })
  removeName(turn, own)
  turn.out.push({ type: 'deactivate', pid, name, reason: 'superseded', winner: undefined })
  turn.released.push(name)
  return true
}

/** A process has ended and is to be started again, perhaps without having been seen here. */
function onEnded(turn: Turn, name: string): void {
  const { registry, grants, starting } = turn.state
  const grant = grants.get(name)
  const used = grant === undefined ? undefined : registry.logs.get(grant.boot)?.claims.get(name)
  if (grant !== undefined && used !== undefined && used.fence >= grant.fence) grants.delete(name)
  const start = starting.get(name)
  const orphan = registry.orphans.get(name)
  // What was being started is this one, so it has lived; the next start counts that.
  const lived = orphan !== undefined && orphan.placed?.origin === start?.origin && orphan.fence > (start?.above ?? 0)
  if (start !== undefined && lived) endStarted(turn, start, orphan)
  if (orphan !== undefined) reconcileOne(turn, orphan)
  turn.released.push(name)
}

/**
 * What ended, on the other side of a cut, with a higher fence than that of our process of this name was not ours: ours
 * goes on, and must be started again when this node goes. (A copy of our own start is another matter: where its user
 * stopped it, ours does not outlive this node.)
 */
function outliveStrike(turn: Turn, name: string): void {
  const { registry, self, leaving } = turn.state
  const own = logOf(registry, self).claims.get(name)
  if (own === undefined || leaving) return
  if (hasEnded(own)) {
    // Its restart was given up, or the name has ended elsewhere since.
    if (endedAt(registry, self, name, undefined) >= own.fence) dropName(turn, own)
    return
  }
  const above = endedAt(registry, self, name, own.placed?.origin)
  if (above >= own.fence) riseAbove(turn, own, above)
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

/** Was the name held by a process that crashed, or by a boot that is gone and not forgotten? */
function hasGoneClaim(state: TrackerState, claim: Claim): boolean {
  if (claim.placed?.failures !== undefined) return true
  for (const of of state.registry.logs.values()) {
    if (of.hidden && of.claims.has(claim.name)) return true
  }
  return false
}
