/**
 * The holder's side of a name (PROTOCOL.md 4.3): to whom the names of the slots that this node holds are given.
 *
 * A holder grants a name unless it sees a claim of it or has given it away; who must wait, waits here, bounded, until
 * the fate of the name is known.
 */

import type { BootId } from '@skep/cluster/core'
import { mayStillRun } from './halting.js'
import { isStruck, lookup } from './logs.js'
import type { Claim, Source, TrackerMessage } from './messages.js'
import { beginStart, restMs } from './placement.js'
import { slotOf } from './ring.js'
import { heardCounter, ownerOf, send, sendCarrying, type Turn } from './state.js'

type Message<T extends TrackerMessage['type']> = Extract<TrackerMessage, { type: T }>
type AskMessage = Message<'claim' | 'spawn'>

export function onAsk(turn: Turn, from: BootId, message: AskMessage): void {
  const { state } = turn
  heardCounter(state, message.counter)
  const slot = slotOf(message.name, state.held.length)
  if (state.leaving || ownerOf(state, slot) !== state.self) return elsewhere(turn, from, message)
  if (state.held[slot] === 0) return wait(turn, from, message)
  decide(turn, from, message, slot)
}

function elsewhere(turn: Turn, from: BootId, message: AskMessage): void {
  if (from === turn.state.self) return
  sendCarrying(turn, from, { type: 'elsewhere', name: message.name, ask: message.ask, full: false })
}

/** Grant the name, unless somebody has it, was given it, or it is about to be started. */
function decide(turn: Turn, from: BootId, message: AskMessage, slot: number): void {
  const { state, now } = turn
  const { name, ask } = message
  const holder = lookup(state.registry, name)
  const handed = message.type === 'claim' ? message.from : undefined
  if (handed !== undefined) {
    const verdict = mayReplace(turn, name, handed, holder)
    if (verdict === 'later') return wait(turn, from, message)
    if (verdict === 'never') return send(turn, from, { type: 'refuse', name, ask, holder })
  } else if (holder !== undefined) return replyHolder(turn, from, message, holder)
  if (mayStillRun(state, name)) return wait(turn, from, message)
  const grant = state.grants.get(name)
  if (grant !== undefined && (grant.boot !== from || grant.origin !== message.origin)) return wait(turn, from, message)
  // A relayed ask may come after a later one of the same node: what was granted for that one stands.
  if (grant !== undefined && message.type === 'claim' && ask < grant.ask) return
  const orphan = state.registry.orphans.get(name)
  if (message.type === 'spawn') {
    const starting = state.starting.get(name)
    if (starting?.origin === message.origin && starting.caller?.boot === from) {
      starting.caller.ask = Math.max(starting.caller.ask, ask)
      return
    }
    if (starting !== undefined || grant !== undefined || orphan !== undefined) return waitOrHear(turn, from, message)
    const { kind, spec, meta, origin, terms } = message
    if (isStruck(state.registry, name, origin)) {
      // A repeated request that comes late: what it started has lived and ended.
      const text = `'${name}' was started and has ended since`
      return send(turn, from, { type: 'spawnFailed', name, ask, code: 'ERR_ACTOR_STOPPED', text, holder: undefined })
    }
    const caller = { boot: from, ask }
    const wish = { name, slot, kind, spec, meta, origin, terms, failures: [], above: 0, failover: false, caller }
    return beginStart(turn, wish)
  }
  if (isOverSince(turn, message)) {
    return send(turn, from, { type: 'refuse', name, ask, holder: undefined })
  }
  // A placed name whose node is gone is about to be started again: only that start gets it. Another start is over, or
  // the one that may have it would wait behind it on their common host. (A kept process has a queue of its own.) What
  // is handed over lives, so another start, lost on the other side of a cut, is not started before that has ended.
  if (orphan !== undefined && holder === undefined && message.origin !== orphan.placed?.origin) {
    if (message.origin === '' || message.fence > 0) return waitOrHear(turn, from, message)
    return send(turn, from, { type: 'refuse', name, ask, holder: undefined })
  }
  if (orphan === undefined && handed === undefined && isUnknownStart(turn, message)) return wait(turn, from, message)
  const fence = ++state.counter
  state.grants.set(name, { name, slot, boot: from, origin: message.origin, ask, fence, checkedAt: now })
  send(turn, from, { type: 'grant', name, ask, fence })
}

/**
 * May another claim take the place of just this one? Also where its node is gone meanwhile, so that the state which it
 * handed over is not lost; not where it has changed since, for then its process has gone on.
 */
function mayReplace(
  { state }: Turn,
  name: string,
  { boot, seq }: Source,
  holder: Claim | undefined,
): 'now' | 'later' | 'never' {
  if (holder !== undefined && holder.pid.boot !== boot) return 'never'
  const log = state.registry.logs.get(boot)
  const claim = log?.claims.get(name)
  if (claim?.seq === seq) return 'now'
  return log !== undefined && !log.hidden && log.seq < seq ? 'later' : 'never'
}

/**
 * A host was told by an earlier holder of the slot to start a name that nobody has asked us for: who did will ask us
 * too, or has given up. Once an earlier holder granted it, its init runs, and it goes on.
 */
function isUnknownStart({ state }: Turn, { name, origin, again }: Message<'claim'>): boolean {
  return origin !== '' && !again && state.starting.get(name)?.origin !== origin
}

/**
 * What the claim is for has ended. Of two copies of one start only the lower one may have: then the other is still an
 * orphan, or says with its fence that it is not meant.
 */
function isOverSince({ state }: Turn, { name, origin, fence }: Message<'claim'>): boolean {
  if (origin === '' || state.registry.orphans.get(name)?.placed?.origin === origin) return false
  // Where the others gave its restart up, they struck just that fence: it lives, so it was needed no more than that.
  return isStruck(state.registry, name, origin, fence > 0 ? fence + 1 : 0)
}

function replyHolder(turn: Turn, to: BootId, message: AskMessage, holder: Claim): void {
  const { name, ask } = message
  if (message.type === 'claim') return send(turn, to, { type: 'refuse', name, ask, holder })
  if (holder.placed?.origin === message.origin) return send(turn, to, { type: 'spawned', name, ask, claim: holder })
  send(turn, to, { type: 'spawnFailed', name, ask, code: 'ERR_ALREADY_STARTED', text: '', holder })
}

/** For a name that is about to be started: wait for it, where that does not take too long. */
function waitOrHear(turn: Turn, from: BootId, message: AskMessage): void {
  const { name, ask } = message
  const ms = restMs(turn, name)
  const lives = message.type === 'claim' && message.fence > 0
  if (ms <= turn.state.config.limits.restWaitMs || lives) return wait(turn, from, message)
  const text = `'${name}' has failed, and is started again in ${Math.ceil(ms / 1000)} s`
  if (message.type === 'claim') return send(turn, from, { type: 'refuse', name, ask, holder: undefined, why: text })
  send(turn, from, { type: 'spawnFailed', name, ask, code: 'ERR_ACTOR_STOPPED', text, holder: undefined })
}

/** Keep an ask until the slot is held or the name's fate is known; bounded, and one a node and name. */
function wait(turn: Turn, from: BootId, message: AskMessage): void {
  const { state } = turn
  const queue = state.waiting.get(message.name) ?? []
  const same = queue.findIndex((waiter) => waiter.from === from && sameWish(waiter.message, message))
  const known = queue[same]
  if (known !== undefined) {
    if (message.ask >= known.message.ask) queue[same] = { from, message }
    return
  }
  if (state.waitingCount >= state.config.limits.maxWaiting) {
    return send(turn, from, { type: 'elsewhere', name: message.name, ask: message.ask, full: true })
  }
  queue.push({ from, message })
  state.waiting.set(message.name, queue)
  state.waitingCount++
}

function sameWish(a: AskMessage, b: AskMessage): boolean {
  if (a.type !== 'claim' || b.type !== 'claim') return a.type === b.type && a.origin === b.origin
  return a.origin === b.origin && (a.from === undefined) === (b.from === undefined)
}

/** Decide anew about everybody who waits for this name. */
export function serveWaiting(turn: Turn, name: string): void {
  const { state } = turn
  const queue = state.waiting.get(name)
  if (queue === undefined) return
  state.waiting.delete(name)
  state.waitingCount -= queue.length
  for (const { from, message } of queue) onAsk(turn, from, message)
}

/** Slots came to be held: whoever waited for them is served. */
export function serveSlots(turn: Turn, slots: readonly number[]): void {
  if (slots.length === 0 || turn.state.waiting.size === 0) return
  const served = new Set(slots)
  for (const name of [...turn.state.waiting.keys()]) {
    if (served.has(slotOf(name, turn.state.held.length))) serveWaiting(turn, name)
  }
}

/** What this node granted, started and kept waiting in slots that it does not hold any more is over. */
export function dropYielded(turn: Turn): void {
  const { state } = turn
  for (const grant of state.grants.values()) {
    if (state.held[grant.slot] === 0) state.grants.delete(grant.name)
  }
  for (const starting of state.starting.values()) {
    if (state.held[starting.slot] === 0) state.starting.delete(starting.name)
  }
  for (const [name, queue] of [...state.waiting]) {
    if (!state.leaving && ownerOf(state, slotOf(name, state.held.length)) === state.self) continue
    state.waiting.delete(name)
    state.waitingCount -= queue.length
    for (const { from, message } of queue) elsewhere(turn, from, message)
  }
}

export function onUnused(turn: Turn, from: BootId, message: Message<'unused'>): void {
  const { grants } = turn.state
  const grant = grants.get(message.name)
  if (grant === undefined || grant.boot !== from || grant.ask !== message.ask) return
  grants.delete(message.name)
  serveWaiting(turn, message.name)
}

/** A grant that is long open: is it still wanted? Its "unused" or its op may have been lost. */
export function checkGrants(turn: Turn): void {
  const { state, now } = turn
  for (const grant of state.grants.values()) {
    if (now - grant.checkedAt < state.config.limits.grantCheckMs) continue
    grant.checkedAt = now
    send(turn, grant.boot, { type: 'check', name: grant.name, ask: grant.ask, fence: grant.fence })
  }
}
