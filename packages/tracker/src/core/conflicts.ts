/**
 * Two claims of one name: possible after cuts, crashes and stalls (PROTOCOL.md 4.3). Every node computes the same
 * winner; only the loser's own node acts, and only after the winner's node has said that it runs the name, so that
 * both are never stopped.
 */

import type { BootId } from '@skep/cluster/core'
import { settleKept } from './asks.js'
import { dropRetake, renewRetake } from './handoff.js'
import { follows } from './ids.js'
import { heldBy, logOf, lookup } from './logs.js'
import type { Claim, TrackerMessage } from './messages.js'
import { dropName, removeName, write } from './own.js'
import { dropHandoff } from './passage.js'
import { hasEnded } from './policies.js'
import { heardCounter, send, type Turn } from './state.js'

type Message<T extends TrackerMessage['type']> = Extract<TrackerMessage, { type: T }>

/**
 * A name that we hold is won by another: ask its node whether it runs it, before our process ends. Where that has ended
 * by itself likewise, before we forget that it is to be started again.
 */
export function contest(turn: Turn, name: string, winner: Claim | undefined): void {
  const { state, now } = turn
  const own = logOf(state.registry, state.self).claims.get(name)
  // Where the name was handed over, or the node leaves, there is no process any more, and nothing to contest.
  const over = state.leaving || state.handoffs.get(name)?.stage === 'pass'
  if (own === undefined || winner === undefined || winner.pid.boot === state.self || over) {
    state.contests.delete(name)
    return
  }
  const ask = ++state.nextNumber
  state.contests.set(name, { name, winner, askedAt: now, ask })
  send(turn, winner.pid.boot, { type: 'running', name, fence: winner.fence, ask, above: own.fence })
}

export function contestAgain(turn: Turn): void {
  const { state, now } = turn
  for (const one of [...state.contests.values()]) {
    if (now - one.askedAt >= state.config.limits.askAgainMs) contest(turn, one.name, lookup(state.registry, one.name))
  }
}

export function onRunning(turn: Turn, from: BootId, message: Message<'running'>): void {
  const { state } = turn
  const own = heldBy(state.registry, state.self, message.name)
  const passed = state.handoffs.get(message.name)?.stage === 'pass'
  const yes = own !== undefined && own.fence === message.fence && !state.leaving && !passed
  if (yes && message.above >= own.fence) riseAbove(turn, own, message.above)
  send(turn, from, { type: 'runs', name: message.name, fence: message.fence, ask: message.ask, yes })
}

/**
 * The other copy was started later, on its side of a cut, and yields all the same, or has ended: ours must not go on
 * with a lower fence, which stores that saw the other one would refuse, and a strike on the other one must not reach it.
 */
export function riseAbove(turn: Turn, own: Claim, fence: number): void {
  const { state } = turn
  heardCounter(state, fence)
  const seq = logOf(state.registry, state.self).seq + 1
  write(turn, { type: 'put', claim: { ...own, seq, fence: ++state.counter } })
  renewRetake(turn, own.name)
}

export function onRuns(turn: Turn, from: BootId, message: Message<'runs'>): void {
  const { state } = turn
  settleKept(turn, from, message)
  const contested = state.contests.get(message.name)
  const own = logOf(state.registry, state.self).claims.get(message.name)
  if (contested === undefined || own === undefined || !message.yes) return
  if (contested.winner.pid.boot !== from || contested.ask !== message.ask) return
  state.contests.delete(message.name)
  if (hasEnded(own)) return dropName(turn, own)
  dropRetake(turn, own.name)
  dropHandoff(turn, own.name, { code: 'ERR_CONFLICT', text: `'${own.name}' is held by another copy` })
  removeName(turn, own)
  const reason = follows(contested.winner, own) ? 'superseded' : 'conflict'
  turn.out.push({ type: 'deactivate', pid: own.pid.id, name: own.name, reason, winner: contested.winner })
}
