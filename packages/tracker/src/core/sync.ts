/**
 * How copies of logs travel (PROTOCOL.md 4.2): digests say who is behind, whoever is behind pulls, a pull is answered
 * in the same turn from the data as it is now. There is no "syncing" state in which a node could wait for another:
 * a pull that gets no answer frees itself, and the next digest begins anew.
 */

import { type BootId, pick } from '@skep/cluster/core'
import * as itc from './itc.js'
import { applyOp, digestOf, entriesOf, type Log, logOf, opsAfter } from './logs.js'
import type { Claim, DigestEntry, Membership, Op, Strike, TrackerMessage } from './messages.js'
import { NameMap } from './name-map.js'
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
  const of = state.registry.logs.get(message.boot)
  const missing = of === undefined ? [] : opsAfter(of, message.have)
  if (missing !== undefined && message.have > 0) return sendOps(turn, from, message.boot, message.have + 1, missing)
  if (of === undefined || of.seq <= message.have) return sendOps(turn, from, message.boot, message.have + 1, [])
  const { maxTransfers, pullMs } = state.config.limits
  const isFull = (): boolean => state.transfers.filter((one) => one.to === from).length >= maxTransfers
  state.transfers = state.transfers.filter((one) => one.to !== from || one.boot !== message.boot)
  // What has stood still for so long has been given up over there: it is in nobody's way.
  if (isFull()) state.transfers = state.transfers.filter((one) => one.to !== from || turn.now - one.at <= pullMs)
  // A copy that is being replaced is neither the old one nor the new one.
  if (isFull() || state.replacements.has(message.boot)) {
    return send(turn, from, { type: 'busy', boot: message.boot })
  }
  const entries = entriesOf(of)
  const transfer: Transfer = { to: from, boot: of.boot, base: of.seq, entries, chunk: 0, received: 0, at: turn.now }
  if (!sendChunk(turn, transfer)) return
  state.transfers.push(transfer)
  goOn(turn)
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
  const { state, now } = turn
  const { transferMs } = state.config.limits
  state.transfers = state.transfers.filter(({ to, at }) => state.links.has(to) && now - at <= transferMs)
  const maySend = ({ chunk, received }: Transfer): boolean => chunk - received < state.config.limits.maxChunks
  const at = state.transfers.findIndex(maySend)
  const [transfer] = at < 0 ? [] : state.transfers.splice(at, 1)
  if (transfer === undefined) return
  if (sendChunk(turn, transfer)) state.transfers.push(transfer)
  if (state.transfers.some(maySend)) goOn(turn)
}

export function onMore(turn: Turn, from: BootId, message: Message<'more'>): void {
  const transfer = turn.state.transfers.find((one) => one.to === from && one.boot === message.boot)
  if (transfer === undefined) return
  transfer.received = Math.min(transfer.chunk, Math.max(transfer.received, message.chunk))
  // A slice of transfers that is due anyhow has its turn: many receipts in one turn must not make that long.
  if (!turn.state.continuing) continueTransfers(turn)
}

/** Send one chunk. Returns false when it was the last one. */
function sendChunk(turn: Turn, transfer: Transfer): boolean {
  const of = turn.state.registry.logs.get(transfer.boot)
  if (of === undefined) return false
  const claims: Claim[] = []
  const memberships: Membership[] = []
  const strikes: Strike[] = []
  let bytes = 0
  let last = false
  while (bytes < turn.state.config.limits.chunkBytes) {
    const { value, done } = transfer.entries.next()
    if (done === true) {
      last = true
      break
    }
    bytes += ENTRY_BYTES
    if ('group' in value) {
      memberships.push(value)
      bytes += value.group.length + weightOf(value.meta)
    } else if ('stamp' in value) {
      claims.push(value)
      bytes += value.name.length + weightOf(value.meta) + weightOf(value.placed?.spec)
    } else {
      strikes.push(value)
      bytes += value.name.length
    }
  }
  const { boot, base } = transfer
  const message = { type: 'state', boot, base, chunk: transfer.chunk++, claims, memberships, strikes, last } as const
  transfer.at = turn.now
  // The receiver is told of all ops before it hears that they are told.
  if (last && boot === turn.state.self) flushOps(turn)
  const ops = last ? opsAfter(of, base) : []
  // The log changed by more than its tail holds while it was sent. The receiver was told of these ops like all others, and
  // has kept them; to begin again would never come to an end while as much is written.
  send(turn, transfer.to, ops === undefined ? { ...message, ops: [], end: of.seq } : { ...message, ops })
  return !last
}

function weightOf(value: unknown): number {
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
    open.image = { seq: message.base, chunk: 0, claims: new NameMap(), memberships: new Map(), strikes: new Map() }
  }
  const image = open.image
  if (image === undefined || image.chunk !== message.chunk || image.seq !== message.base) {
    // A chunk of an older transfer, or one is missing: the old copy stands, the next digest begins anew.
    state.pulls.delete(message.boot)
    return false
  }
  image.chunk++
  open.since = turn.now
  for (const claim of message.claims) {
    heardCounter(state, claim.fence)
    image.claims.set(claim.name, claim)
  }
  for (const one of message.memberships) image.memberships.set(membershipKey(one.group, one.pid.id), one)
  for (const one of message.strikes) image.strikes.set(one.name, one)
  if (!message.last) {
    // Four of them while as many chunks as may be are on the way.
    if (image.chunk % Math.ceil(state.config.limits.maxChunks / 4) === 0)
      send(turn, from, { type: 'more', boot: message.boot, chunk: image.chunk })
    return false
  }
  state.pulls.delete(message.boot)
  for (const op of message.ops) finish(state, image, op)
  const { end = image.seq } = message
  // Where ops are missing that some of the parts know, the image is of no moment of the log: the next digest begins anew.
  if (end < logOf(state.registry, message.boot).seq || !reaches(open.buffered, image.seq, end)) return false
  const tail = end === image.seq ? message.ops : []
  return follow(turn, open, from, bringing(turn, image, open.buffered, end, tail, message.boot))
}

/** The image is brought to the end of the transfer by what came meanwhile, then takes the place of our copy. */
function* bringing(
  { state, now }: Turn,
  image: LogImage,
  buffered: Pull['buffered'],
  end: number,
  tail: readonly Op[],
  boot: BootId,
): Generator<undefined, undefined> {
  for (let i = 0; image.seq < end; i++) {
    const { first, ops } = buffered[i] as Pull['buffered'][number]
    for (const op of ops.slice(image.seq + 1 - first, end + 1 - first)) {
      finish(state, image, op)
      yield
    }
  }
  yield* replacing(state.registry, boot, image, tail, now)
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
  state.transfers = state.transfers.filter((transfer) => transfer.boot !== boot)
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

/**
 * The parts, each taken at some moment of the transfer, are brought to its end by one op after the other: they are whole
 * replacements, so order is all.
 */
function finish(state: TrackerState, image: LogImage, op: Op): void {
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
