/**
 * How a node goes: it claims and grants nothing from the turn in which the cluster announces it, and is `left` when
 * everybody has its log and one has its id (PROTOCOL.md section 2, Leaving).
 */

import type { BootId } from '@skep/cluster/core'
import { endAsks } from './asks.js'
import { dropYielded } from './grants.js'
import { endHandoffs } from './handoff.js'
import { giveId } from './ids.js'
import { forgetUnasked } from './kept.js'
import { logOf } from './logs.js'
import type { TrackerMessage } from './messages.js'
import { endRequests } from './requests.js'
import { yieldAll } from './slots.js'
import { send, type Turn } from './state.js'
import { flushOps } from './sync.js'

type Message<T extends TrackerMessage['type']> = Extract<TrackerMessage, { type: T }>

/** The number of a leaver's own barrier; those of the shell begin at 1. */
export const partingAsk = 0

export function leave(turn: Turn): void {
  const { state } = turn
  if (state.leaving) return
  state.leaving = true
  state.ownedCount = 0
  endHandoffs(turn)
  endAsks(turn)
  forgetUnasked(state)
  endRequests(turn)
  yieldAll(state)
  dropYielded(turn)
}

/** The last words: our id goes to an heir, and everybody must have our log before we are `left`. */
export function part(turn: Turn): void {
  const { state, now } = turn
  if (state.parting !== undefined) return
  flushOps(turn)
  giveId(turn)
  state.parting = { since: now, sentAt: Number.NEGATIVE_INFINITY, seq: 0, done: new Set() }
  depart(turn)
}

/** `left`, once all is handed over or the time for it is up. */
export function depart(turn: Turn): void {
  const { state, now } = turn
  const { parting } = state
  if (parting === undefined || state.departed) return
  const { seq } = logOf(state.registry, state.self)
  if (seq > parting.seq) {
    parting.seq = seq
    parting.done.clear()
    parting.sentAt = Number.NEGATIVE_INFINITY
  }
  const others = state.view.members.filter(({ boot }) => boot !== state.self && !parting.done.has(boot))
  const handedOver = others.length === 0 && state.heir?.got !== false
  if (handedOver || now - parting.since >= state.config.limits.partMs) {
    state.departed = true
    turn.out.push({ type: 'left' })
    return
  }
  if (now - parting.sentAt < state.config.limits.sweepMs * 2) return
  parting.sentAt = now
  for (const { boot } of others) send(turn, boot, { type: 'flush', ask: partingAsk, seq })
}

/** Who has everything that this leaver wrote. */
export function onParted(turn: Turn, from: BootId, message: Message<'flushed'>): void {
  const { parting } = turn.state
  if (parting !== undefined && message.seq >= parting.seq) parting.done.add(from)
  depart(turn)
}
