/**
 * How copies of logs travel (PROTOCOL.md 4.2): digests say who is behind, whoever is behind pulls, a pull is answered
 * in the same turn from the data as it is now. There is no "syncing" state in which a node could wait for another:
 * a pull that gets no answer frees itself, and the next digest begins anew.
 */

import { type BootId, pick } from '@skep/cluster/core'
import * as itc from './itc.js'
import { applyOp, digestOf, entriesOf, type Log, logOf, opsAfter, trimTail } from './logs.js'
import type { Claim, DigestEntry, Membership, Op, Strike, TrackerMessage } from './messages.js'
import { fewTogether, NameMap } from './name-map.js'
import { plainBytes } from './plain.js'
import { type LogImage, membershipKey, type Replacement, replacing } from './replace.js'
import {
  goOn,
  heardCounter,
  isGone,
  log,
  type Pull,
  send,
  type TrackerState,
  type Transfer,
  type Turn,
} from './state.js'

type Message<T extends TrackerMessage['type']> = Extract<TrackerMessage, { type: T }>

/** Ops of one message: with names and metadata at their usual size well under 64 KB. */
const OPS_A_FRAME = 256
/** Chunks' worth of ops that may go with one of entries: a log to which so much is written must come to an end, too. */
const OPS_A_CHUNK = 4
/** Rough size of an entry on the wire without its name, spec and metadata. */
const ENTRY_BYTES = 64
export function sendDigest(turn: Turn, to: BootId): void {
  const { state } = turn
  send(turn, to, {
    type: 'digest',
    counter: state.counter,
    lineage: state.lineage,
    depth: itc.idDepth(state.id),
    entries: digestOf(state.registry),
  })
}

/** One random peer each round, for ever: random pairing spreads the newest of everything in O(log N) rounds. */
export function digestRound(turn: Turn): void {
  const to = pick(turn.state.random, [...turn.state.links])
  if (to !== undefined) sendDigest(turn, to)
}

export function onDigest(turn: Turn, from: BootId, message: Message<'digest'>): void {
  const { state } = turn
  heardCounter(state, message.counter)
  for (const entry of message.entries) compareEntry(turn, from, entry)
  if (!state.ready) {
    state.targets.set(from, message.entries)
  }
}

/** Note what a log has reached elsewhere, and pull it where we are behind or differ. */
export function compareEntry(turn: Turn, from: BootId, entry: DigestEntry): void {
  const { state } = turn
  if (entry.boot === state.self || !state.peers.has(entry.boot)) return
  if (entry.seq > (state.told.get(entry.boot) ?? 0)) state.told.set(entry.boot, entry.seq)
  // Neither the old copy nor the new one; the next digest tells.
  if (state.replacements.has(entry.boot)) return
  const known = logOf(state.registry, entry.boot)
  if (known.seq < entry.seq) return pull(turn, known, from)
  const differs = known.high !== entry.high || known.low !== entry.low
  if (known.seq === entry.seq && differs && !known.hidden && entry.boot !== from) return
  if (known.seq === entry.seq && differs && entry.boot === from) {
    log(turn, 'warn', 'a copy differs from its writer at the same seq: fetched anew', {
      boot: entry.boot,
      seq: entry.seq,
    })
    pull(turn, known, from, 0)
  }
}

/** Has every log reached what this digest says? Boots that we do not know count as reached. */
export function reached(state: TrackerState, entries: readonly DigestEntry[]): boolean {
  for (const entry of entries) {
    if (entry.boot === state.self || !state.peers.has(entry.boot)) continue
    if ((state.registry.logs.get(entry.boot)?.seq ?? 0) < entry.seq) return false
  }
  return true
}

/** Ask for what is missing: its writer when linked, else the peer that told of it. One pull a log at a time. */
export function pull(turn: Turn, of: Log, teller: BootId, have: number = of.seq): void {
  const { state } = turn
  if (state.pulls.has(of.boot) || state.replacements.has(of.boot)) return
  const mute = state.peers.get(of.boot)?.mute === true && teller !== of.boot
  const from = state.links.has(of.boot) && !mute ? of.boot : teller
  if (!state.links.has(from)) return
  state.pulls.set(of.boot, { boot: of.boot, from, since: turn.now, image: undefined, buffered: [], bufferedOps: 0 })
  send(turn, from, { type: 'pull', boot: of.boot, have })
}

export function onPull(turn: Turn, from: BootId, message: Message<'pull'>): void {
  const { state } = turn
  const { have } = message
  const of = state.registry.logs.get(message.boot)
  if (of === undefined || of.seq <= have) return sendOps(turn, from, message.boot, have + 1, [])
  const { maxTransfers, pullMs, maxTail } = state.config.limits
  // What is kept for somebody who is sent the whole may be far more than should leave at once.
  const missing = have > 0 && of.seq - have <= 2 * maxTail ? opsAfter(of, have) : undefined
  if (missing !== undefined) return sendOps(turn, from, message.boot, have + 1, missing)
  const isFull = (): boolean => state.transfers.filter((one) => one.to === from).length >= maxTransfers
  endTransfers(state, (one) => one.to === from && one.boot === message.boot)
  // What has stood still for so long has been given up over there: it is in nobody's way.
  if (isFull()) endTransfers(state, (one) => one.to === from && turn.now - one.at > pullMs)
  // A copy that is being replaced is neither the old one nor the new one.
  if (isFull() || state.replacements.has(message.boot)) {
    return send(turn, from, { type: 'busy', boot: message.boot })
  }
  const { boot, seq } = of
  state.transfers.push({
    to: from,
    boot,
    base: seq,
    entries: entriesOf(of),
    seq,
    chunk: 0,
    weights: [],
    at: turn.now,
  })
  sendChunk(turn, state.transfers.length - 1)
  if (state.transfers.length > 0) goOn(turn)
}

function sendOps(turn: Turn, to: BootId, boot: BootId, first: number, ops: readonly Op[]): void {
  for (let at = 0; at === 0 || at < ops.length; at += OPS_A_FRAME) {
    const part = ops.length <= OPS_A_FRAME ? ops : ops.slice(at, at + OPS_A_FRAME)
    send(turn, to, { type: 'ops', boot, first: first + at, ops: part, counter: turn.state.counter, reply: true })
  }
}

/**
 * Send the next chunk of a log under way, by turns; asks for `continue` while there is more that may go now. One a step:
 * the collector marks a large heap in steps while what fills a chunk is made.
 */
export function continueTransfers(turn: Turn): void {
  const { transfers } = turn.state
  const { maxChunks } = turn.state.config.limits
  const maySend = ({ weights }: Transfer): boolean => weights.reduce((sum, one) => sum + one, 0) < maxChunks
  const next = transfers.findIndex(maySend)
  if (next < 0) return
  sendChunk(turn, next)
  if (transfers.some(maySend)) goOn(turn)
}

/** End what nobody takes any more, or less of than is written. */
export function expireTransfers(turn: Turn): void {
  const { state, now } = turn
  const { transferMs, maxBuffered } = state.config.limits
  const isBehind = ({ boot, seq }: Transfer): boolean => (state.registry.logs.get(boot)?.seq ?? 0) - seq > maxBuffered
  for (const one of state.transfers) if (isBehind(one)) send(turn, one.to, { type: 'busy', boot: one.boot })
  endTransfers(state, (one) => isBehind(one) || now - one.at > transferMs)
}

export function endTransfers(state: TrackerState, isOver: (transfer: Transfer) => boolean): void {
  const { transfers } = state
  for (let at = transfers.length - 1; at >= 0; at--) {
    if (!isOver(transfers[at] as Transfer)) continue
    const [{ boot }] = transfers.splice(at, 1) as [Transfer]
    keepWanted(state, boot)
  }
}

/** Of a log that is being sent all ops are kept that some receiver does not have. */
function keepWanted({ transfers, registry }: TrackerState, boot: BootId): void {
  const of = registry.logs.get(boot)
  if (of === undefined) return
  of.wanted = Number.POSITIVE_INFINITY
  for (const one of transfers) if (one.boot === boot && one.seq < of.wanted) of.wanted = one.seq
  trimTail(registry, of)
}

export function onMore(turn: Turn, from: BootId, message: Message<'more'>): void {
  const transfer = turn.state.transfers.find((one) => one.to === from && one.boot === message.boot)
  if (transfer === undefined) return
  const { weights, chunk } = transfer
  weights.splice(0, message.chunk - (chunk - weights.length))
  // A slice of transfers that is due anyhow has its turn: many receipts in one turn must not make that long.
  if (!turn.state.continuing) continueTransfers(turn)
}

/**
 * Send the next chunk of this one; then it is the turn of the others, or its end. The entries are as they are now, and all
 * ops since the first chunk go with them by and by: they are whole replacements, so when all are told what the receiver
 * has is the log as it is then. It depends on nothing that it is told otherwise, however much is written meanwhile.
 */
function sendChunk(turn: Turn, at: number): void {
  const { state, now } = turn
  const [transfer] = state.transfers.splice(at, 1) as [Transfer]
  const { to, boot, base } = transfer
  const of = state.registry.logs.get(boot)
  const since = of === undefined ? undefined : opsAfter(of, transfer.seq)
  if (of === undefined || since === undefined) {
    keepWanted(state, boot)
    return send(turn, to, { type: 'busy', boot })
  }
  const { chunkBytes } = state.config.limits
  const claims: Claim[] = []
  const memberships: Membership[] = []
  const strikes: Strike[] = []
  let told = 0
  let bytes = 0
  for (; told < since.length && bytes < OPS_A_CHUNK * chunkBytes; told++) bytes += bytesOfOp(since[told] as Op)
  const ops = told === since.length ? since : since.slice(0, told)
  let last = false
  for (let left = chunkBytes; left > 0; ) {
    const { value, done } = transfer.entries.next()
    if (done === true) {
      last = told === since.length
      break
    }
    left -= bytesOf(value)
    if ('group' in value) memberships.push(value)
    else if (!('stamp' in value)) strikes.push(value)
    // It may be one that is no longer there, of which the ops have told.
    else if (of.seq === base || of.claims.get(value.name) === value) claims.push(value)
  }
  transfer.seq += told
  transfer.at = now
  transfer.weights.push(1 + Math.min(OPS_A_CHUNK, Math.ceil(bytes / chunkBytes)))
  // The receiver is told of all ops before it hears that they are told.
  if (last && boot === state.self) flushOps(turn)
  send(turn, to, { type: 'state', boot, base, chunk: transfer.chunk++, claims, memberships, strikes, last, ops })
  if (!last) state.transfers.push(transfer)
  keepWanted(state, boot)
}

function bytesOfOp(op: Op): number {
  switch (op.type) {
    case 'put':
      return bytesOf(op.claim)
    case 'join':
      return bytesOf(op.membership)
    case 'del':
      return ENTRY_BYTES + op.name.length + bytesOfValue(op.strike) + bytesOfValue(op.failed)
    case 'quit':
      return ENTRY_BYTES + op.group.length
  }
}

/** Roughly. */
function bytesOf(entry: Claim | Membership | Strike): number {
  if ('group' in entry) return ENTRY_BYTES + entry.group.length + bytesOfValue(entry.meta)
  const bytes = ENTRY_BYTES + entry.name.length
  if ('stamp' in entry) return bytes + bytesOfValue(entry.meta) + bytesOfValue(entry.placed)
  return bytes + entry.origin.length + bytesOfValue(entry.failed)
}

function bytesOfValue(value: unknown): number {
  if (value === undefined) return 0
  return typeof value === 'string' ? value.length : plainBytes(value)
}

/** Returns whether some are of a boot that is gone: what was placed there waits to be started again. */
export function onOps(turn: Turn, from: BootId, message: Message<'ops'>): boolean {
  const { state } = turn
  heardCounter(state, message.counter)
  if (message.boot === state.self) return false
  if (!state.peers.has(message.boot)) {
    turn.out.push({ type: 'dropped', from, reason: 'ops of an unknown boot' })
    return false
  }
  const peer = state.peers.get(from)
  if (peer !== undefined) peer.mute = false
  const replacement = state.replacements.get(message.boot)
  if (replacement !== undefined) {
    keep(turn, replacement, message.first, message.ops)
    return false
  }
  const open = state.pulls.get(message.boot)
  if (open !== undefined && open.from === from && message.reply) {
    state.pulls.delete(message.boot)
    applyOps(turn, from, message.first, message.ops, message.boot)
    if (open.buffered.length > 0) follow(turn, open, from, undefined)
  } else {
    if (open !== undefined && !message.reply) keep(turn, open, message.first, message.ops)
    applyOps(turn, from, message.first, message.ops, message.boot)
  }
  return logOf(state.registry, message.boot).hidden
}

/** Ops that arrive during a transfer are applied at once to the old copy, and once more on top of the new one. */
function keep(turn: Turn, open: Pull | Replacement, first: number, ops: readonly Op[]): void {
  // Nothing is lost: the copy will end before these, and the next digest shows the gap. Where there are none, nobody
  // counts how many such messages are kept.
  if (ops.length === 0 || open.bufferedOps + ops.length > turn.state.config.limits.maxBuffered) return
  open.buffered.push({ first, ops })
  open.bufferedOps += ops.length
}

function applyOps(turn: Turn, from: BootId, first: number, ops: readonly Op[], boot: BootId): void {
  const { state } = turn
  const into = logOf(state.registry, boot)
  for (let i = 0; i < ops.length; i++) {
    const seq = first + i
    if (seq <= into.seq) continue
    if (seq > into.seq + 1) {
      pull(turn, into, from)
      return
    }
    const op = ops[i] as Op
    if (op.type === 'put') heardCounter(state, op.claim.fence)
    applyOp(state.registry, into, op, turn.now)
  }
}

/** Returns what `continueReplacements` does. */
export function onState(turn: Turn, from: BootId, message: Message<'state'>): boolean {
  const { state } = turn
  const peer = state.peers.get(from)
  if (peer !== undefined) peer.mute = false
  const open = state.pulls.get(message.boot)
  if (open === undefined || open.from !== from) return false
  if (!state.peers.has(message.boot)) {
    // Its log was forgotten while it came: nobody would forget it again.
    state.pulls.delete(message.boot)
    return false
  }
  if (message.chunk === 0) {
    const { base } = message
    open.image = {
      base,
      seq: base,
      chunk: 0,
      claims: new NameMap(fewTogether),
      memberships: new Map(),
      strikes: new Map(),
    }
  }
  const image = open.image
  if (image === undefined || image.chunk !== message.chunk || image.base !== message.base) {
    // A chunk of an older transfer, or one is missing: the old copy stands, the next digest begins anew.
    state.pulls.delete(message.boot)
    return false
  }
  image.chunk++
  open.since = turn.now
  for (const op of message.ops) bring(state, image, op)
  prune(open, image.seq)
  for (const claim of message.claims) {
    heardCounter(state, claim.fence)
    image.claims.set(claim.name, claim)
  }
  for (const one of message.memberships) image.memberships.set(membershipKey(one.group, one.pid.id), one)
  for (const one of message.strikes) image.strikes.set(one.name, one)
  if (!message.last) {
    // Four of them while as many chunks as may be are on the way; one that has ops weighs more than others.
    if (message.ops.length > 0 || image.chunk % Math.ceil(state.config.limits.maxChunks / 4) === 0)
      send(turn, from, { type: 'more', boot: message.boot, chunk: image.chunk })
    return false
  }
  state.pulls.delete(message.boot)
  // Our copy has gone on beyond what was kept: it is the newer one.
  if (!reaches(open.buffered, image.seq, logOf(state.registry, message.boot).seq)) return false
  return follow(turn, open, from, replacing(state.registry, message.boot, image, message.ops, turn.now))
}

/** What came meanwhile up to here is in the image, and need not be kept. */
function prune(open: Pull, seq: number): void {
  const at = open.buffered.findIndex(({ first, ops }) => first + ops.length - 1 > seq)
  for (const { ops } of open.buffered.splice(0, at < 0 ? open.buffered.length : at)) open.bufferedOps -= ops.length
}

/** Are these all ops after `have` to `end`, in order? */
function reaches(buffered: Pull['buffered'], have: number, end: number): boolean {
  let seq = have
  for (const { first, ops } of buffered) {
    if (seq >= end || first > seq + 1) break
    seq = Math.max(seq, first + ops.length - 1)
  }
  return seq >= end
}

/** The answer to a pull is here; what came meanwhile follows it, and all of that may be much. */
function follow(turn: Turn, open: Pull, from: BootId, steps: Replacement['steps']): boolean {
  const { state } = turn
  const { boot, buffered, bufferedOps } = open
  state.replacements.set(boot, { boot, from, steps, buffered, bufferedOps, followed: 0 })
  for (const transfer of state.transfers) if (transfer.boot === boot) send(turn, transfer.to, { type: 'busy', boot })
  endTransfers(state, (transfer) => transfer.boot === boot)
  return continueReplacements(turn)
}

/**
 * Go on putting logs that have come in the place of ours; asks for `continue` while there is more to do. Returns whether
 * one that is there now is of a boot that is gone: what was placed there waits to be started again.
 */
export function continueReplacements(turn: Turn): boolean {
  const { state } = turn
  let ofGone = false
  let budget = state.config.limits.sliceNames
  for (const one of state.replacements.values()) {
    for (; one.steps !== undefined && budget > 0; budget--) if (one.steps.next().done === true) one.steps = undefined
    if (one.steps === undefined) budget = followUp(turn, one, budget)
    if (!state.replacements.has(one.boot)) ofGone ||= logOf(state.registry, one.boot).hidden
    if (budget <= 0) break
  }
  if (state.replacements.size > 0) goOn(turn)
  return ofGone
}

/** The log is replaced; on top of it comes what came meanwhile. Returns what is left of the budget. */
function followUp(turn: Turn, one: Replacement, budget: number): number {
  const { state } = turn
  const { boot, from, buffered } = one
  let left = budget
  while (left > 0) {
    const next = buffered[one.followed++]
    if (next === undefined || next.first > logOf(state.registry, boot).seq + 1) {
      state.replacements.delete(boot)
      if (next !== undefined) pull(turn, logOf(state.registry, boot), from)
      return left
    }
    applyOps(turn, from, next.first, next.ops, boot)
    left -= next.ops.length
  }
  return left
}

/** The image goes on by one op. */
function bring(state: TrackerState, image: LogImage, op: Op): void {
  image.seq++
  switch (op.type) {
    case 'put':
      heardCounter(state, op.claim.fence)
      image.claims.set(op.claim.name, op.claim)
      return
    case 'del':
      // As in a log: a claim that came after what ended stays.
      if ((image.claims.get(op.name)?.fence ?? 0) <= op.fence) image.claims.delete(op.name)
      if (op.strike !== undefined) image.strikes.set(op.name, strikeOf(op, op.strike, image.seq))
      return
    case 'join':
      image.memberships.set(membershipKey(op.membership.group, op.membership.pid.id), op.membership)
      return
    case 'quit':
      image.memberships.delete(membershipKey(op.group, op.id))
  }
}

function strikeOf({ name, fence, failed }: Extract<Op, { type: 'del' }>, origin: string, seq: number): Strike {
  return failed === undefined ? { name, fence, seq, origin } : { name, fence, seq, origin, failed }
}

export function onBusy(turn: Turn, from: BootId, message: Message<'busy'>): void {
  const open = turn.state.pulls.get(message.boot)
  if (open !== undefined && open.from === from) turn.state.pulls.delete(message.boot)
}

/** Free the pulls that a lost link or a silent peer holds. */
export function expirePulls(turn: Turn): void {
  const { state, now } = turn
  const { pullMs, downLogMs } = state.config.limits
  for (const open of state.pulls.values()) {
    const peer = state.peers.get(open.boot)
    const need = isGone(peer?.phase) ? state.needed.get(open.boot) : undefined
    const patience = need === undefined ? pullMs : Math.min(pullMs, downLogMs)
    if (now - open.since < patience && state.links.has(open.from)) continue
    state.pulls.delete(open.boot)
    if (peer !== undefined && open.from === open.boot) peer.mute = true
    // A slot waits for what a gone node wrote: somebody else has the time to answer, too, once.
    if (need === undefined || need.again) continue
    need.again = true
    need.since = now
  }
}

/** Logs that we have heard more of than we have: pulled from whoever may have it. */
export function pullMissing(turn: Turn, boot: BootId): void {
  const { state } = turn
  const of = state.registry.logs.get(boot)
  if (of === undefined || of.seq >= (state.told.get(boot) ?? 0)) return
  const peer = state.peers.get(boot)
  // Its writer has said nothing to the last one: somebody else is asked, then the writer again, and so on.
  const others = peer?.mute === true ? [...state.links].filter((link) => link !== boot) : []
  const teller = pick(state.random, others.length > 0 ? others : [...state.links])
  if (teller === undefined) return
  pull(turn, of, teller)
  if (peer !== undefined && teller !== boot) peer.mute = false
}

/** Hand this step's own ops to every peer as one message. */
export function flushOps(turn: Turn): void {
  const { state } = turn
  if (state.unsent.length === 0) return
  const own = logOf(state.registry, state.self)
  const ops = state.unsent
  state.unsent = []
  for (let at = 0; at < ops.length; at += OPS_A_FRAME) {
    const part = ops.length <= OPS_A_FRAME ? ops : ops.slice(at, at + OPS_A_FRAME)
    const first = own.seq - ops.length + 1 + at
    const message: TrackerMessage = {
      type: 'ops',
      boot: state.self,
      first,
      ops: part,
      counter: state.counter,
      reply: false,
    }
    for (const to of state.links) turn.out.push({ type: 'send', to, message, carry: false, relay: false })
  }
}
