/**
 * The claimant's side of a name (PROTOCOL.md 4.3): the asks of this node, from the first CLAIM to the outcome.
 *
 * Nobody writes a unique name without a grant of the slot's holder, the holder itself included. A claimant uses a
 * grant only for its latest ask and only while the granter owns the slot in its present view; whatever voids an ask
 * sends it again under a new number, to whoever owns the slot then. So no grant ever needs to be handed over.
 */

import type { BootId } from '@skep/cluster/core'
import { isHalted, isOfOurs } from './halting.js'
import { follows, stampFor } from './ids.js'
import { endedAt, heldBy, logOf, lookup } from './logs.js'
import type { Claim, Placement, TrackerMessage } from './messages.js'
import { joinGroup, noteName, rewriteMeta, write } from './own.js'
import { completedBy, endHandoff, release } from './passage.js'
import { Pid } from './pid.js'
import { slotOf } from './ring.js'
import {
  type Ask,
  heardCounter,
  isGone,
  ownerOf,
  send,
  type TrackerOutput,
  type TrackerState,
  type Turn,
} from './state.js'

type Message<T extends TrackerMessage['type']> = Extract<TrackerMessage, { type: T }>

/** A list, which is quicker to walk than `Object.values`, of a record, so that no role can be left out. */
const roles = Object.keys({ claim: 0, spawn: 0, host: 0, kept: 0, target: 0, retake: 0 } satisfies Record<
  Ask['role'],
  0
>) as Ask['role'][]

const haltedText = 'this part of the cluster may not go on, by the partition policy'

/** A new wish for a name. Those for a name that this node is asking for already wait behind the first. */
export function openAsk(turn: Turn, wish: Pick<Ask, 'id' | 'name' | 'role'> & Partial<Ask>): void {
  const { state } = turn
  // Each field by its name: a copy of `wish` over a record of defaults is as dear as all else here.
  const ask: Ask = {
    id: wish.id,
    name: wish.name,
    role: wish.role,
    slot: slotOf(wish.name, state.held.length),
    kind: wish.kind,
    meta: wish.meta,
    spec: wish.spec,
    origin: wish.origin,
    terms: wish.terms,
    failures: wish.failures,
    local: wish.local ?? false,
    cause: wish.cause ?? 'spawn',
    starter: wish.starter,
    number: 0,
    owner: undefined,
    sentAt: Number.NEGATIVE_INFINITY,
    fence: undefined,
    told: wish.told ?? false,
    pid: wish.pid,
    awaited: undefined,
    kept: wish.kept,
    from: wish.from,
    handed: wish.handed,
    image: wish.image,
    openedAt: wish.openedAt ?? turn.now,
  }
  // Processes that run already are not refused for want of room, nor do they take that of callers.
  const running = state.asks.kept.size + state.asks.retake.size
  if (ask.kept === undefined && ask.role !== 'retake' && state.askById.size - running >= state.config.limits.maxAsks) {
    return refuse(
      turn,
      ask,
      'ERR_OVERLOADED',
      `${state.askById.size} names are being asked for at this node`,
      undefined,
    )
  }
  state.askById.set(ask.id, ask)
  const queues = state.asks[ask.role]
  const queue = queues.get(ask.name)
  if (queue !== undefined) {
    queue.push(ask)
    return
  }
  queues.set(ask.name, [ask])
  sendAsk(turn, ask)
}

/** The holder of a name is known: what that means for those who ask for it here. */
export function settleAsks(turn: Turn, name: string, holder: Claim): void {
  for (const role of roles) {
    const first = turn.state.asks[role].get(name)?.[0]
    if (first !== undefined) settleAsk(turn, first, holder)
  }
}

/** The asks that are with an owner: the first of each name's queue. */
function openAsks(state: TrackerState): Ask[] {
  const open: Ask[] = []
  for (const queues of Object.values(state.asks)) {
    for (const [first] of queues.values()) if (first !== undefined) open.push(first)
  }
  return open
}

/** An ask has come to the head of its queue; it may have ended since. */
export function riseAsk(turn: Turn, ask: Ask): void {
  if (turn.state.asks[ask.role].get(ask.name)?.[0] === ask) sendAsk(turn, ask)
}

/** Ask the owner of the slot, under a new number: grants for older numbers are void from here on. */
export function sendAsk(turn: Turn, ask: Ask): void {
  const { state, now } = turn
  if (state.leaving) return finishAsk(turn, ask, 'ERR_LEAVING', `this node is leaving the cluster`)
  if (isHalted(state)) return runsHere(ask) ? undefined : finishAsk(turn, ask, 'ERR_NO_MAJORITY', haltedText)
  const holder = lookup(state.registry, ask.name)
  if (holder !== undefined && !isFrom(ask, holder)) return settleAsk(turn, ask, holder)
  if (ask.role === 'target' && !knowsSource(state, ask)) return
  const owner = ownerOf(state, ask.slot)
  if (!state.gate || owner === undefined) return
  // Before it is ready it may know of none of the names that stand: then it asks like any other.
  if (ask.local && state.ready) return claimLocally(turn, ask)
  ask.local = false
  ask.number = ++state.nextNumber
  ask.owner = owner
  ask.sentAt = now
  ask.fence = undefined
  send(turn, owner, messageOf(state, ask))
}

function messageOf({ counter }: TrackerState, ask: Ask): TrackerMessage {
  const { name, number, kind = '', spec, meta, origin = '', terms, told, kept, from } = ask
  if (ask.role === 'spawn') return { type: 'spawn', name, ask: number, kind, spec, meta, origin, counter, terms }
  const fence = kept?.fence ?? from?.fence ?? 0
  const message: TrackerMessage = { type: 'claim', name, ask: number, origin, again: told, fence, counter }
  return from === undefined ? message : { ...message, from: { boot: from.boot, seq: from.seq } }
}

/** Is this the claim that the ask is to take the place of, or an older one of the same holder? */
function isFrom({ from }: Ask, { pid, seq }: Claim): boolean {
  return from !== undefined && pid.boot === from.boot && seq <= from.seq
}

/** A target asks once it knows the very claim that it is to replace: so its own has a later stamp. */
function knowsSource({ registry }: TrackerState, { from }: Ask): boolean {
  return from === undefined || (registry.logs.get(from.boot)?.seq ?? 0) >= from.seq
}

/** The ask that an owner's answer means: the open one of its name, if the answer is to its latest message. */
function answered(turn: Turn, from: BootId, name: string, number: number): Ask | undefined {
  for (const role of roles) {
    const ask = turn.state.asks[role].get(name)?.[0]
    if (ask !== undefined && ask.number === number && ask.owner === from) return ask
  }
  return undefined
}

export function onGrant(turn: Turn, from: BootId, message: Message<'grant'>): void {
  const { state } = turn
  heardCounter(state, message.fence)
  const ask = answered(turn, from, message.name, message.ask)
  const usable = ask !== undefined && ask.role !== 'spawn' && ownerOf(state, ask.slot) === from && mayUse(state, from)
  // The same grant once more: it was used.
  if (logOf(state.registry, state.self).claims.get(message.name)?.fence === message.fence) return
  const holder = lookup(state.registry, message.name)
  if (!usable || (holder !== undefined && !isFrom(ask, holder))) {
    giveBack(turn, from, message.name, message.ask)
    if (usable) sendAsk(turn, ask)
    return
  }
  ask.fence = message.fence
  grantedAsk(turn, ask)
}

/** Put the name if the process is there, else let the shell start it. */
function grantedAsk(turn: Turn, ask: Ask): void {
  if (ask.pid !== undefined) return putAsk(turn, ask)
  if (ask.told) return
  ask.told = true
  const { id, name, kind = '', spec, cause, image: state, from } = ask
  const fence = ask.fence as number
  ask.image = undefined
  turn.out.push(
    ask.role === 'host' || ask.role === 'target'
      ? { type: 'activate', ask: id, name, kind, spec, fence, cause, state, source: from?.boot }
      : { type: 'granted', ask: id, fence },
  )
}

/** `claim: 'local'`: no owner is asked; the claim carries this node's own counter and may meet another one. */
function claimLocally(turn: Turn, ask: Ask): void {
  ask.fence ??= ++turn.state.counter
  grantedAsk(turn, ask)
}

export function onRefuse(turn: Turn, from: BootId, { name, ask: number, holder, why }: Message<'refuse'>): void {
  const ask = answered(turn, from, name, number)
  if (ask === undefined) return
  if (ask.role === 'retake') return retakeRefused(turn, ask, holder)
  if (holder === undefined) {
    finishAsk(turn, ask, 'ERR_ACTOR_STOPPED', why ?? `'${name}' was started and has ended since`)
    return
  }
  heardCounter(turn.state, holder.fence)
  // The owner may not have heard yet that this holder is over; asked again later it will have.
  if (!isOver(turn.state, holder)) settleAsk(turn, ask, holder)
}

/** The name is the target's, though its claim may not have come here; or there is no claim that could be given. */
function retakeRefused(turn: Turn, ask: Ask, holder: Claim | undefined): void {
  const handoff = completedBy(turn.state, ask.name, holder)
  if (handoff !== undefined && holder !== undefined) {
    heardCounter(turn.state, holder.fence)
    removeAsk(turn, ask)
    release(turn, handoff, holder)
  } else if (holder === undefined) giveUpRetake(turn, ask)
}

/** The own claim is not what the target was given any more, so that one's ask is void: the process goes on. */
function giveUpRetake(turn: Turn, ask: Ask): void {
  const { state } = turn
  const own = logOf(state.registry, state.self).claims.get(ask.name)
  const handoff = state.handoffs.get(ask.name)
  removeAsk(turn, ask)
  // A claim that is written anew is another one.
  if (own !== undefined && own.seq === ask.from?.seq) rewriteMeta(turn, own, own.meta)
  if (handoff !== undefined) endHandoff(turn, handoff, { code: 'ERR_CANNOT_MOVE', text: 'its target did not take it' })
}

function isOver(state: TrackerState, holder: Claim): boolean {
  const boot = holder.pid.boot
  if (boot === state.self) return logOf(state.registry, boot).claims.get(holder.name)?.seq !== holder.seq
  return isGone(state.peers.get(boot)?.phase)
}

export function onElsewhere(turn: Turn, from: BootId, message: Message<'elsewhere'>): void {
  const ask = answered(turn, from, message.name, message.ask)
  if (ask === undefined) return
  // A process that runs already does not end for want of room.
  if (message.full && (ask.kept !== undefined || ask.role === 'retake')) return
  if (message.full) return finishAsk(turn, ask, 'ERR_OVERLOADED', `too many asks wait at the owner of '${ask.name}'`)
  // Its members came along and are in our view now; where we still see the same owner, the clock asks again.
  if (ownerOf(turn.state, ask.slot) !== from) sendAsk(turn, ask)
}

export function commitAsk(turn: Turn, id: number, pid: number): void {
  const ask = turn.state.askById.get(id)
  if (ask === undefined) {
    turn.out.push(refusal(id, 'ERR_TIMEOUT', 'the claim was given up before it was committed', undefined))
    return
  }
  ask.pid = pid
  if (ask.fence !== undefined) putAsk(turn, ask)
}

/** The shell does not want the name any more: its init failed, or its caller gave up. */
export function abandonAsk(turn: Turn, id: number, code: string | undefined, text: string | undefined): void {
  const ask = turn.state.askById.get(id)
  if (ask === undefined) return
  returnGrant(turn, ask)
  failStart(turn, ask, code ?? 'ERR_INIT_FAILED', text ?? 'it did not start')
  removeAsk(turn, ask)
}

/** A process whose name is being asked for again ended: its claims as an earlier boot must not rise elsewhere. */
export function strikeKept(turn: Turn, kept: Claim | undefined): void {
  if (kept?.placed === undefined) return
  write(turn, { type: 'del', name: kept.name, fence: kept.fence, strike: kept.placed.origin })
}

function returnGrant(turn: Turn, ask: Ask): void {
  if (ask.fence === undefined || ask.owner === undefined) return
  ask.fence = undefined
  giveBack(turn, ask.owner, ask.name, ask.number)
}

/**
 * The holder takes it to mean that the name is free. While an earlier grant has given the name to this node, it is not:
 * the holder may not have our op yet, for a relayed grant arrives where the link to its granter is gone.
 */
function giveBack(turn: Turn, to: BootId, name: string, ask: number): void {
  const { registry, self } = turn.state
  if (heldBy(registry, self, name) !== undefined) return
  send(turn, to, { type: 'unused', name, ask })
}

/** Somebody holds the name: good for a spawn that started it, else the end of this ask. */
function settleAsk(turn: Turn, ask: Ask, holder: Claim): void {
  const { state } = turn
  if (ask.role === 'spawn' && holder.placed?.origin === ask.origin) {
    // The caller reads its own write: once its copy of the log has the claim, though it may have ended since.
    const known = state.registry.logs.get(holder.pid.boot)?.seq ?? 0
    if (known < holder.seq) {
      ask.awaited = holder
      return
    }
    turn.out.push({ type: 'registered', ask: ask.id, claim: holder })
    return removeAsk(turn, ask)
  }
  if (ask.kept !== undefined && holder.pid.boot === state.self && holder.pid.id === ask.pid) {
    // Its user was quicker and registered it anew.
    turn.out.push({ type: 'kept', claim: holder })
    return removeAsk(turn, ask)
  }
  if (ask.kept !== undefined) return challenge(turn, ask, holder)
  // What becomes of the process is decided by its target's claim, or as any conflict is (conflicts.ts).
  if (ask.role === 'retake' || isFrom(ask, holder)) return
  endHeld(turn, ask, holder)
}

function endHeld(turn: Turn, ask: Ask, holder: Claim): void {
  const by = holder.kind === undefined ? 'registered' : 'started'
  const code = holder.kind === undefined ? 'ERR_ALREADY_REGISTERED' : 'ERR_ALREADY_STARTED'
  finishAsk(turn, ask, code, `'${ask.name}' is already ${by} at ${holder.pid}`, holder)
}

/**
 * The process of this ask runs, and another one has the name. Who told us may not know yet that the other one is over:
 * its own node must say that it runs, or both would end.
 */
function challenge(turn: Turn, ask: Ask, holder: Claim): void {
  const { now } = turn
  const { awaited } = ask
  const asked = awaited !== undefined && awaited.seq === holder.seq && awaited.pid.equals(holder.pid)
  if (asked && now - ask.sentAt < turn.state.config.limits.askAgainMs) return
  ask.awaited = holder
  ask.sentAt = now
  ask.number = ++turn.state.nextNumber
  ask.owner = holder.pid.boot
  send(turn, holder.pid.boot, {
    type: 'running',
    name: ask.name,
    fence: holder.fence,
    ask: ask.number,
    above: ask.kept?.fence ?? 0,
  })
}

/** The answer to a challenge. */
export function settleKept(turn: Turn, from: BootId, { name, ask: number, yes }: Message<'runs'>): void {
  const ask = answered(turn, from, name, number)
  if (ask?.awaited === undefined || ask.kept === undefined) return
  if (yes) {
    // Its claims as an earlier boot are not to be started again in the place of the winner.
    strikeKept(turn, ask.kept)
    endHeld(turn, ask, ask.awaited)
    return
  }
  ask.awaited = undefined
  // Asked again in its time, not at every sweep because the owner looks like another one.
  ask.owner = ownerOf(turn.state, ask.slot)
}

/** End an ask without a name. */
function finishAsk(turn: Turn, ask: Ask, code: string, text: string, holder?: Claim): void {
  returnGrant(turn, ask)
  refuse(turn, ask, code, text, holder)
  removeAsk(turn, ask)
}

function refuse(turn: Turn, ask: Ask, code: string, text: string, holder: Claim | undefined): void {
  if (ask.kept !== undefined) {
    // Who leaves ends all its processes by itself.
    if (code === 'ERR_LEAVING') return
    const reason = holder === undefined || follows(holder, ask.kept) ? 'superseded' : 'conflict'
    turn.out.push({ type: 'deactivate', pid: ask.kept.pid.id, name: ask.name, reason, winner: holder })
    return
  }
  if (ask.role === 'retake') return
  failStart(turn, ask, code, text)
  const own = ask.role === 'host' || ask.role === 'target'
  if (!own || ask.told) turn.out.push(refusal(ask.id, code, text, holder))
}

function refusal(ask: number, code: string, text: string, holder: Claim | undefined): TrackerOutput {
  return { type: 'refused', ask, code, text, holder }
}

/** Whoever had this process started here, or handed it over, hears that it will not be. */
function failStart(turn: Turn, { starter, role, name, origin = '', handed }: Ask, code: string, text: string): void {
  if (starter === undefined) return
  if (role === 'host') send(turn, starter, { type: 'startFailed', name, origin, code, text })
  if (role === 'target') send(turn, starter, { type: 'handoffFailed', name, number: handed?.number ?? 0, code, text })
}

function removeAsk(turn: Turn, ask: Ask): void {
  const { state } = turn
  state.askById.delete(ask.id)
  const queues = state.asks[ask.role]
  const queue = queues.get(ask.name)
  if (queue === undefined) return
  const at = queue.indexOf(ask)
  if (at >= 0) queue.splice(at, 1)
  if (queue.length === 0) queues.delete(ask.name)
  else if (at === 0) turn.risen.push(queue[0] as Ask)
}

/** The open asks whose answer may never come: of an owner that changed, or unanswered for too long. */
export function askAgain(turn: Turn): void {
  const { state, now } = turn
  for (const ask of openAsks(state)) {
    if (ask.local && ask.fence !== undefined) continue
    if (ask.awaited !== undefined && !isOver(state, ask.awaited)) {
      settleAsk(turn, ask, ask.awaited)
      continue
    }
    const ordered = ask.role === 'host' || ask.role === 'target'
    if (ordered && !ask.told && now - ask.openedAt >= state.config.limits.hostAskMs) {
      finishAsk(turn, ask, 'ERR_TIMEOUT', 'the holder of the slot says nothing of this start')
      continue
    }
    if (ask.owner !== ownerOf(state, ask.slot)) {
      returnGrant(turn, ask)
      sendAsk(turn, ask)
    } else if (ask.fence === undefined && now - ask.sentAt >= state.config.limits.askAgainMs) sendAsk(turn, ask)
  }
}

/** The asks that a new link to their owner, or a yielded slot, makes worth asking again at once. */
export function askAgainWhere(turn: Turn, concerned: (ask: Ask) => boolean): void {
  for (const ask of openAsks(turn.state)) if (!ask.local && concerned(ask)) sendAsk(turn, ask)
}

/** Every ask of this node ends: it is leaving. */
export function endAsks(turn: Turn): void {
  // The end of one sends the next, which ends likewise because we are leaving.
  for (const ask of openAsks(turn.state)) finishAsk(turn, ask, 'ERR_LEAVING', 'this node is leaving the cluster')
}

/** Every ask ends but those for processes that run: this node has halted. */
export function refuseAsks(turn: Turn): void {
  for (const ask of openAsks(turn.state)) {
    if (runsHere(ask)) returnGrant(turn, ask)
    else finishAsk(turn, ask, 'ERR_NO_MAJORITY', haltedText)
  }
}

/** It is for a process that this node has, and waits. */
function runsHere(ask: Ask): boolean {
  return ask.kept !== undefined || ask.role === 'retake'
}

/** May names that this member grants be taken now? */
function mayUse(state: TrackerState, granter: BootId): boolean {
  return !state.leaving && !isHalted(state) && isOfOurs(state, granter)
}

function putAsk(turn: Turn, ask: Ask): void {
  if (ask.role === 'retake') return putAgain(turn, ask)
  const { state } = turn
  // Another start may have ended with a higher fence on the other side of a cut since this one was granted.
  const ended = endedAt(state.registry, state.self, ask.name, ask.origin)
  if (ended >= (ask.fence as number)) {
    heardCounter(state, ended)
    ask.fence = ++state.counter
  }
  const claim: Claim = claimFrom(ask, {
    name: ask.name,
    pid: new Pid(state.self, ask.pid as number, state.info.name),
    seq: logOf(state.registry, state.self).seq + 1,
    fence: ask.fence as number,
    stamp: stampFor(state, ask.name),
    kind: ask.kind,
    meta: ask.meta,
    placed: placementOf(ask),
  })
  write(turn, { type: 'put', claim })
  if (ask.failures === undefined) state.recovering.delete(claim.name)
  else state.recovering.set(claim.name, turn.now)
  for (const { group, meta } of ask.handed?.groups ?? []) joinGroup(turn, group, claim.pid, meta)
  noteName(turn, claim)
  turn.out.push(ask.kept === undefined ? { type: 'registered', ask: ask.id, claim } : { type: 'kept', claim })
  removeAsk(turn, ask)
}

/** What few claims have is no field of the others: there may be a million. */
function claimFrom({ from }: Ask, claim: Claim): Claim {
  return from === undefined ? claim : { ...claim, from: { boot: from.boot, seq: from.seq } }
}

function placementOf({ spec, origin, terms, failures }: Ask): Placement | undefined {
  if (origin === undefined) return undefined
  if (failures !== undefined)
    return terms === undefined ? { spec, origin, failures } : { spec, origin, terms, failures }
  return terms === undefined ? { spec, origin } : { spec, origin, terms }
}

/** The process goes on here with a higher fence, and the target's ask, which names the old claim, is void. */
function putAgain(turn: Turn, ask: Ask): void {
  const { state } = turn
  const handoff = state.handoffs.get(ask.name)
  const log = logOf(state.registry, state.self)
  const own = log.claims.get(ask.name)
  if (own?.seq !== ask.from?.seq || own === undefined) {
    returnGrant(turn, ask)
    return giveUpRetake(turn, ask)
  }
  removeAsk(turn, ask)
  write(turn, { type: 'put', claim: { ...own, seq: log.seq + 1, fence: ask.fence as number } })
  if (handoff !== undefined) endHandoff(turn, handoff, { code: 'ERR_TIMEOUT', text: 'its target said nothing in time' })
}

export function onSpawned(turn: Turn, from: BootId, message: Message<'spawned'>): void {
  const ask = answered(turn, from, message.name, message.ask)
  if (ask !== undefined) settleAsk(turn, ask, message.claim)
}

export function onSpawnFailed(turn: Turn, from: BootId, message: Message<'spawnFailed'>): void {
  const ask = answered(turn, from, message.name, message.ask)
  if (ask === undefined || ask.role !== 'spawn') return
  if (message.holder === undefined) return finishAsk(turn, ask, message.code, message.text)
  if (!isOver(turn.state, message.holder)) settleAsk(turn, ask, message.holder)
}

export function onCheck(turn: Turn, from: BootId, message: Message<'check'>): void {
  const { state } = turn
  const ask = answered(turn, from, message.name, message.ask)
  // Used already: the op is on its way, or was, and the holder will see it.
  const used = (logOf(state.registry, state.self).claims.get(message.name)?.fence ?? -1) >= (message.fence ?? 0)
  if (!used && ask?.fence === undefined) send(turn, from, { type: 'unused', name: message.name, ask: message.ask })
}
