/**
 * Who may grant names: holding slots, and taking them (PROTOCOL.md 4.3, step 4).
 *
 * The ring says who owns a slot; to *hold* it, which is to be entitled to grant in it, the owner first asks every
 * member of its view, each of which yields the slot (and voids its own open asks there) before it answers, and then
 * waits until its logs have reached what the answers told. So whatever was granted before by anybody is either
 * visible to the new holder or void at its claimant. The members that each side knows travel with question and
 * answer, so that two takers cannot both miss each other.
 */

import type { BootId } from '@skep/cluster/core'
import { mayHold, mayPassOver } from './halting.js'
import { digestOf, logOf } from './logs.js'
import type { DigestEntry, TrackerMessage } from './messages.js'
import { noOwner } from './ring.js'
import {
  heardCounter,
  isComing,
  isGone,
  ownerOf,
  sendCarrying,
  type Taking,
  type TrackerState,
  type Turn,
} from './state.js'
import { compareEntry, pullMissing } from './sync.js'

type Message<T extends TrackerMessage['type']> = Extract<TrackerMessage, { type: T }>

/** Give a slot up: it is held no more, and what members answered for it before counts no more. */
export function yieldSlot(state: TrackerState, slot: number): void {
  state.slotGeneration[slot] = ++state.generation
  for (const taking of state.taking.values()) taking.acked.delete(slot)
  pursueSoon(state)
  if (state.held[slot] === 0) return
  state.held[slot] = 0
  state.heldCount--
  state.heldVersion++
}

/** Give up every slot: when leaving, and after a stall. */
export function yieldAll(state: TrackerState): void {
  for (let slot = 0; slot < state.held.length; slot++) yieldSlot(state, slot)
}

/** Slots that the present view gives to others are yielded at once. */
export function yieldForeign(state: TrackerState): void {
  for (let slot = 0; slot < state.held.length; slot++) {
    if (state.held[slot] === 1 && ownerOf(state, slot) !== state.self) yieldSlot(state, slot)
  }
}

/** What the taking of slots hangs on has changed. */
export function pursueSoon(state: TrackerState): void {
  state.pursueAt = Number.NEGATIVE_INFINITY
  state.awaited = undefined
}

/**
 * Whether `pursue` can find anything new to do: a look at every member and slot, so not for every frame. Least of all
 * while logs are on their way: there are most frames then.
 */
export function isPursuitDue(turn: Turn): boolean {
  const { state, now } = turn
  if (now >= state.pursueAt) return true
  // Not while somebody has yielded nothing: then no slot can be held, whatever comes.
  return state.needed.size > 0 && state.awaited === undefined && caughtUp(turn)
}

/** Ask whoever must still answer, pass over the silent, and hold what is complete. Returns the slots now held. */
export function pursue(turn: Turn): number[] {
  const { state, now } = turn
  if (!state.gate || state.leaving || state.table === undefined) return []
  const missing = missingSlots(state)
  if (missing.length === 0) return []
  const others = answerable(state)
  for (const boot of state.taking.keys()) {
    // Who is gone need not answer any more.
    if (!others.has(boot)) state.taking.delete(boot)
  }
  state.pursueAt = Number.POSITIVE_INFINITY
  for (const boot of others) state.pursueAt = Math.min(state.pursueAt, askMember(turn, boot, missing))
  const complete = missing.filter((slot) => isYielded(state, slot, others))
  state.awaited = complete.length > 0 ? undefined : yieldsNothing(state, missing, others)
  if (complete.length === 0 || !caughtUp(turn)) return []
  if (!mayHold(turn)) {
    state.pursueAt = Math.min(state.pursueAt, now + state.config.limits.sweepMs)
    return []
  }
  for (const slot of complete) state.held[slot] = 1
  state.heldCount += complete.length
  state.heldVersion++
  return complete
}

function isYielded(state: TrackerState, slot: number, others: ReadonlySet<BootId>): boolean {
  for (const boot of others) if (state.taking.get(boot)?.acked.has(slot) !== true) return false
  return true
}

function yieldsNothing(
  state: TrackerState,
  missing: readonly number[],
  others: ReadonlySet<BootId>,
): BootId | undefined {
  for (const boot of others) {
    const acked = state.taking.get(boot)?.acked
    if (acked === undefined || missing.every((slot) => !acked.has(slot))) return boot
  }
  return undefined
}

function missingSlots(state: TrackerState): number[] {
  const owners = (state.table as NonNullable<TrackerState['table']>).owners
  const own = state.ringBoots.indexOf(state.self)
  const missing: number[] = []
  if (own < 0 || own === noOwner) return missing
  for (let slot = 0; slot < owners.length; slot++) {
    if (owners[slot] === own && state.held[slot] === 0) missing.push(slot)
  }
  return missing
}

/**
 * Who must answer: the view, and leavers until they have left. A leaver writes nothing more, but what it wrote before
 * may be known to it alone, and its leaving may be heard from others first.
 */
function answerable(state: TrackerState): Set<BootId> {
  const boots = new Set<BootId>()
  for (const { boot } of state.view.members) if (boot !== state.self) boots.add(boot)
  for (const [boot, peer] of state.peers) if (peer.phase === 'leaving') boots.add(boot)
  return boots
}

function takingOf(state: TrackerState, boot: BootId): Taking {
  const known = state.taking.get(boot)
  if (known !== undefined) return known
  const fresh: Taking = { acked: new Set(), asked: new Map(), askedAt: -Infinity, silentSince: undefined }
  state.taking.set(boot, fresh)
  return fresh
}

/** Returns when to look at this member again, as far as that hangs on time. */
function askMember(turn: Turn, boot: BootId, missing: readonly number[]): number {
  const { state, now } = turn
  const { limits } = state.config
  const taking = takingOf(state, boot)
  const open = missing.filter((slot) => !taking.acked.has(slot))
  if (open.length === 0) return Number.POSITIVE_INFINITY
  const askedForAll = open.every((slot) => (taking.asked.get(slot) ?? 0) >= (state.slotGeneration[slot] as number))
  // Its silence counts from the first unanswered question for what is open now, not for what was open once.
  if (!askedForAll) taking.silentSince = now
  else if (isSilent(turn, taking) && mayPassOver(state)) {
    // Passed over, so that one stuck member does not stop the names of all (section 4.3, promise).
    for (const slot of open) taking.acked.add(slot)
    taking.silentSince = undefined
    return Number.POSITIVE_INFINITY
  } else if (now - taking.askedAt < limits.takeAgainMs) return dueOf(state, taking)
  taking.askedAt = now
  taking.silentSince ??= now
  for (const slot of open) taking.asked.set(slot, state.generation)
  sendCarrying(turn, boot, {
    type: 'take',
    generation: state.generation,
    slots: packSlots(open, state.held.length),
    counter: state.counter,
  })
  return dueOf(state, taking)
}

function isSilent({ state, now }: Turn, { silentSince }: Taking): boolean {
  return silentSince !== undefined && now - silentSince >= state.config.limits.takeSilenceMs
}

function dueOf(state: TrackerState, { askedAt, silentSince = Number.POSITIVE_INFINITY }: Taking): number {
  const { takeAgainMs, takeSilenceMs } = state.config.limits
  return Math.min(askedAt + takeAgainMs, silentSince + takeSilenceMs)
}

/** Our logs have reached every digest that came with an answer. All are looked at now and then, one at each frame. */
function caughtUp(turn: Turn): boolean {
  const { state, now } = turn
  const { limits } = state.config
  const isSweep = now - state.needsSweptAt >= limits.sweepMs
  if (isSweep) state.needsSweptAt = now
  let isMissing = false
  for (const [boot, need] of state.needed) {
    // No patience is lost on it: it may be large, and the way here slow. Held before, a slot would be granted in whose
    // names are not all seen.
    if (isComing(state, boot)) need.since = now
    const peer = state.peers.get(boot)
    const waited = now - need.since
    if (
      peer === undefined ||
      (state.registry.logs.get(boot)?.seq ?? 0) >= need.seq ||
      (isGone(peer.phase) && waited >= limits.downLogMs && !state.pulls.has(boot)) ||
      waited >= limits.anyLogMs
    ) {
      state.needed.delete(boot)
      continue
    }
    if (!isSweep) return false
    isMissing = true
    if (now - need.pulledAt < limits.sweepMs) continue
    need.pulledAt = now
    pullMissing(turn, boot)
  }
  return !isMissing
}

/** Another member takes slots. Returns the slots yielded to it, where our own asks are now void. */
export function onTake(turn: Turn, from: BootId, message: Message<'take'>): number[] {
  const { state } = turn
  heardCounter(state, message.counter)
  if (!state.gate && !state.leaving) {
    state.early.set(from, message)
    answer(turn, from, message, [], true)
    return []
  }
  const yielded: number[] = []
  for (const slot of unpackSlots(message.slots, state.held.length)) {
    // A leaver writes nothing more: it yields whatever it is asked for.
    if (ownerOf(state, slot) !== from && !state.leaving) continue
    yieldSlot(state, slot)
    yielded.push(slot)
  }
  answer(turn, from, message, yielded, false)
  return yielded
}

function answer(turn: Turn, to: BootId, take: Message<'take'>, yielded: readonly number[], notYet: boolean): void {
  const { state } = turn
  sendCarrying(turn, to, {
    type: 'ack',
    generation: take.generation,
    slots: packSlots(yielded, state.held.length),
    notYet,
    counter: state.counter,
    entries: yielded.length === 0 ? [] : toldDigest(state),
  })
}

/** Our digest, each seq at least as high as any we were told of: what we owe may be known to us by hearsay only. */
function toldDigest(state: TrackerState): readonly DigestEntry[] {
  const digest = digestOf(state.registry)
  const told = (entry: DigestEntry): number => Math.max(state.told.get(entry.boot) ?? 0, entry.seq)
  if (digest.every((entry) => told(entry) === entry.seq)) return digest
  return digest.map((entry) => ({ ...entry, seq: told(entry) }))
}

export function onAck(turn: Turn, from: BootId, message: Message<'ack'>): void {
  const { state, now } = turn
  heardCounter(state, message.counter)
  const taking = state.taking.get(from)
  if (taking === undefined) return
  taking.silentSince = undefined
  if (state.awaited === undefined || state.awaited === from) pursueSoon(state)
  for (const slot of unpackSlots(message.slots, state.held.length)) {
    const current = message.generation >= (state.slotGeneration[slot] as number)
    if (current && ownerOf(state, slot) === state.self) taking.acked.add(slot)
  }
  for (const entry of message.entries) {
    if (entry.boot === state.self || !state.peers.has(entry.boot)) continue
    // An entry that is only told has no hash to compare: ask for a log only by its seq.
    if (entry.seq > (state.told.get(entry.boot) ?? 0)) state.told.set(entry.boot, entry.seq)
    if (logOf(state.registry, entry.boot).seq >= entry.seq) continue
    const need = state.needed.get(entry.boot)
    if (need === undefined) state.needed.set(entry.boot, { seq: entry.seq, since: now, pulledAt: now, again: false })
    else if (entry.seq > need.seq) need.seq = entry.seq
    compareEntry(turn, from, entry)
  }
}

/** Slot numbers as a bit set: one bit a slot, lowest bit of the first byte first. */
export function packSlots(slots: readonly number[], count: number): Uint8Array {
  const bytes = new Uint8Array((count + 7) >> 3)
  for (const slot of slots) bytes[slot >> 3] = (bytes[slot >> 3] as number) | (1 << (slot & 7))
  return bytes
}

/** The slots of a bit set; bits past the number of slots are ignored. */
export function unpackSlots(bytes: Uint8Array, count: number): number[] {
  const slots: number[] = []
  for (let at = 0; at < bytes.length; at++) {
    let byte = bytes[at] as number
    for (let slot = at * 8; byte !== 0; slot++, byte >>= 1) {
      if ((byte & 1) === 1 && slot < count) slots.push(slot)
    }
  }
  return slots
}
