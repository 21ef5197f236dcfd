/**
 * The membership machine of one node: who is in the cluster, over which links, in which view. It decides and its shell
 * acts: sockets, timers, discovery and the event loop are on the other side of `ClusterInput` and `ClusterOutput`.
 *
 * This file is the switch board. The ideas stand in files of their own: `member.ts` (what a record is and how two are
 * joined), `table.ts` (how news is learned and told on), `view.ts` (when the view changes), `detector.ts` and
 * `suspicion.ts` (SWIM with Lifeguard), `absence.ts` (how a killed process is noticed at once), `dialling.ts` (whom to
 * dial and when again), `silence.ts` (when an open link is of no use), `routes.ts` (through whom to link a member that
 * cannot be linked straight), `gate.ts` (when a starting node may believe that it has met the cluster), `stall.ts` (when a
 * node that stood still may believe that it is still a member), `rejoin.ts` (how a node goes on that was declared down).
 *
 * In one step the layers above see member changes first, then the view that contains them, then the message. A leaver
 * is probed as everybody is, only nobody dials it: one that vanishes without its bye ends as down.
 */
import { endAbsence, hearRefused, noteClosed, noteRefused } from './absence.js'
import type { ClusterFrame, ClusterInput, ClusterOutput } from './contract.js'
import {
  conclude,
  detectorDue,
  endUrgentProbe,
  hearAck,
  hearHelp,
  help,
  probeUrgently,
  startDetector,
  tellSuspect,
  wakeDetector,
} from './detector.js'
import { dialSoon, isFresh, noteDialled, wakeDials } from './dialling.js'
import { awaitsMembers, gateDue, noteDiscovered, noteLocked, noteMet, noteTaken, settleGate } from './gate.js'
import { type BootId, inView, isGone, type Member, type MemberInfo, succeeds } from './member.js'
import { pick } from './random.js'
import { rejoin } from './rejoin.js'
import {
  endSearch,
  hearRoute,
  noteCarrier,
  noteDialledThrough,
  searchesDue,
  searchSoon,
  wakeSearches,
} from './routes.js'
import { concludeWatch, hearVouched, hearWatched, noteUsed, wakeWatches, watchesDue } from './silence.js'
import { doubtAgain, doubtDue, noticeStall, settleDoubts, trustAnswer } from './stall.js'
import { dropped, isDirect, label, logged, type MembershipState } from './state.js'
import {
  announce,
  carryList,
  changeSelf,
  cutLink,
  declareDown,
  dropLink,
  endNews,
  hear,
  hearOurEnd,
  learn,
  newsList,
  tellBatch,
  tellOn,
  tellsOurEnd,
} from './table.js'
import { flushView, settleView, viewDue } from './view.js'

export * from './contract.js'
export { stallMs } from './stall.js'
export { initMembership, type MembershipState } from './state.js'
export { type SuspicionLimits, suspicionMs } from './suspicion.js'

/** Takes one input at `now` (ms, never falling) and returns what is to be done, in order. Total on remote input. */
export function stepMembership(state: MembershipState, input: ClusterInput, now: number): ClusterOutput[] {
  const out: ClusterOutput[] = []
  if (state.self.phase === 'left') return out
  if (!state.started) start(state, now, out)
  // What was due long ago is done now, or each frame of the backlog would be another stall.
  else if (noticeStall(state, now, out)) wake(state, now, out)
  const doubted = state.doubts.size > 0
  handle(state, input, now, out)
  // Who comes and goes is counted as it happens.
  if (awaitsMembers(state)) settleGate(state, now, out)
  settleView(state, now, out)
  settleDoubts(state, doubted, now, out)
  if (state.stale || now >= state.due) state.due = earliest(state, now)
  return out
}

/** When `wake` is due; Infinity when nothing is. */
export function membershipDeadline(state: MembershipState): number {
  return state.due
}

function handle(state: MembershipState, input: ClusterInput, now: number, out: ClusterOutput[]): void {
  switch (input.type) {
    case 'frame':
      receive(state, input.from, input.frame, now, out)
      return
    case 'wake':
      wake(state, now, out)
      return
    case 'send':
      send(state, input, out)
      return
    case 'linkUp':
      linkUp(state, input, now, out)
      return
    case 'linkDown':
      linkDown(state, input, now, out)
      return
    case 'dialled':
      dialled(state, input, now, out)
      return
    case 'dialledThrough':
      noteDialledThrough(state, input, now, out)
      return
    case 'used':
      noteUsed(state, input.boot, now, out)
      return
    case 'discovered':
      noteDiscovered(state, input.addresses, now, out)
      settleGate(state, now, out)
      return
    case 'locked':
      noteLocked(state, now, out)
      return
    case 'verdict':
      if (!concludeWatch(state, input, now, out)) conclude(state, input, now, out)
      return
    case 'ready':
      if (state.self.phase === 'joining') say(state, { ...state.self, phase: 'up' }, 'ready', now, out)
      return
    case 'describe':
      describe(state, input.info, now, out)
      return
    case 'leave':
      leave(state, now, out)
      return
    case 'bye':
      bye(state, now, out)
      return
    case 'rejoin':
      rejoin(state, input.boot, input.startedAt, now, out)
      return
  }
}

/** What is known from the beginning is told upward too, so that the layers above need no second way to learn it. */
function start(state: MembershipState, now: number, out: ClusterOutput[]): void {
  state.started = true
  startDetector(state, now)
  out.push({ type: 'member', member: state.self, previous: undefined, reason: 'started' })
  out.push({ type: 'view', view: state.view })
  settleGate(state, now, out)
}

function wake(state: MembershipState, now: number, out: ClusterOutput[]): void {
  wakeDetector(state, now, out)
  wakeWatches(state, now, out)
  wakeSearches(state, now, out)
  wakeDials(state, now, out)
  tellBatch(state, now, out)
  if (now >= gateDue(state, now)) settleGate(state, now, out)
}

/** At least once a probe period, however ill we are: the gap between two steps is what tells of a stall. */
function earliest(state: MembershipState, now: number): number {
  state.stale = false
  if (state.self.phase === 'left') return Infinity
  const tick = now + state.config.limits.probeMs
  const links = Math.min(state.dialAt, watchesDue(state), searchesDue(state))
  return Math.min(tick, detectorDue(state), links, state.tellAt, viewDue(state), gateDue(state, now), doubtDue(state))
}

// ---- links

function linkUp(
  state: MembershipState,
  input: Extract<ClusterInput, { type: 'linkUp' }>,
  now: number,
  out: ClusterOutput[],
): void {
  const { boot } = input.peer
  if (isDouble(state, input.peer)) {
    out.push({ type: 'close', boot, reason: 'our own name and address' })
    return
  }
  if (isReplaced(state, input.peer)) endReplaced(state, input.peer, now, out)
  const known = state.members.get(boot)
  if (known && isGone(known)) {
    turnAway(state, known, out)
    return
  }
  replaceOlder(state, input.peer, now, out)
  const again = dropLink(state, boot)
  const continues = again && input.continues === true
  // Before the record is learned, or the newcomer would be dialled.
  state.links.add(boot)
  state.linkedAt.set(boot, now)
  if (input.via !== undefined) state.vias.set(boot, input.via)
  const record: Member = { info: input.peer, phase: input.phase, incarnation: input.incarnation, suspect: false }
  const changed = learn(state, record, boot, 'hello', now, out)
  const member = state.members.get(boot)
  if (member === undefined || isGone(member)) {
    cutLink(state, boot, member ? member.phase : 'not admitted', out)
    return
  }
  if (changed) tellOn(state, member, now, out)
  if (again && !continues) out.push({ type: 'unlinked', boot })
  endSearch(state, boot)
  if (input.via === undefined && input.carries === true) noteCarrier(state, boot, now)
  // The far end may be the only one of us that can dial the other: so both do.
  if (input.via !== undefined && inView(member) && inView(state.self)) dialSoon(state, member.info.address, now, false)
  endAbsence(state, boot)
  endUrgentProbe(state, boot)
  doubtAgain(state, boot, out)
  noteMet(state, now)
  out.push({ type: 'transmit', to: boot, frame: { type: 'news', members: newsList(state) } })
  settleView(state, now, out)
  if (!continues) out.push({ type: 'linked', boot })
  settleGate(state, now, out)
}

/** Ourselves, or a live node that was given our name and address: a fault of configuration, not a restart of ours. */
function isDouble(state: MembershipState, peer: MemberInfo): boolean {
  const { boot, name, address } = state.self.info
  return peer.boot === boot || (peer.name === name && peer.address === address)
}

/** The others that are known under the name and address of this boot, and not gone: one process can be there. */
function namesakes(state: MembershipState, { boot, name, address }: MemberInfo): MemberInfo[] {
  const found: MemberInfo[] = []
  for (const member of state.members.values()) {
    const { info } = member
    if (info.boot !== boot && info.name === name && info.address === address && !isGone(member)) found.push(info)
  }
  return found
}

/** Does a later boot hold its name and address? Then this link is its last, heard of late. */
function isReplaced(state: MembershipState, peer: MemberInfo): boolean {
  return namesakes(state, peer).some((info) => succeeds(info, peer))
}

/** To be remembered as down though nothing was known of it: if it lives all the same, it must hear of its end. */
function endReplaced(state: MembershipState, peer: MemberInfo, now: number, out: ClusterOutput[]): void {
  if (state.members.has(peer.boot)) return declareDown(state, peer.boot, 'restarted', now, out)
  const record: Member = { info: peer, phase: 'down', incarnation: 0, suspect: false }
  learn(state, record, peer.boot, 'restarted', now, out)
}

/** A later boot that proved itself under the name and address of another shows that the other is gone. */
function replaceOlder(state: MembershipState, peer: MemberInfo, now: number, out: ClusterOutput[]): void {
  for (const { boot } of namesakes(state, peer)) declareDown(state, boot, 'restarted', now, out)
}

/** A boot that is gone for good does not come back; if it still runs, it learns so here. */
function turnAway(state: MembershipState, member: Member, out: ClusterOutput[]): void {
  const { boot } = member.info
  out.push({ type: 'transmit', to: boot, frame: endNews(state, member) })
  if (dropLink(state, boot)) out.push({ type: 'unlinked', boot })
  out.push({ type: 'close', boot, reason: member.phase })
}

function linkDown(
  state: MembershipState,
  input: Extract<ClusterInput, { type: 'linkDown' }>,
  now: number,
  out: ClusterOutput[],
): void {
  const { boot } = input
  const since = state.linkedAt.get(boot) ?? now
  const wasDirect = isDirect(state, boot)
  if (!dropLink(state, boot)) return
  out.push({ type: 'unlinked', boot })
  const member = state.members.get(boot)
  if (member === undefined || !inView(member) || !inView(state.self)) return
  out.push(logged('info', `link to ${label(member.info)} is gone`, { node: member.info.name, byPeer: input.byPeer }))
  // A peer that accepts and closes at once, time and again, is dialled with growing pauses, not in a hot loop.
  const stood = now - since >= state.config.limits.redialMinMs
  searchSoon(state, boot, now)
  // Its end says nothing of the far end, and that is being dialled as it is.
  if (!wasDirect) return
  const calm = stood || isFresh(state, member.info.address)
  dialSoon(state, member.info.address, now, stood)
  if (!input.byPeer || !calm) return
  noteClosed(state, boot, member.info.address, out)
  probeUrgently(state, boot, now, out)
}

function dialled(
  state: MembershipState,
  input: Extract<ClusterInput, { type: 'dialled' }>,
  now: number,
  out: ClusterOutput[],
): void {
  const { address, outcome, boot } = input
  if (outcome === 'linked' && boot !== undefined) replaceAnswered(state, address, boot, now, out)
  noteDialled(state, input, now, out)
  if (outcome === 'taken') noteTaken(state, now)
  if (outcome === 'refused') noteRefused(state, address, now, out)
  if (outcome === 'refused' || outcome === 'failed') searchFor(state, address, now)
  settleGate(state, now, out)
}

/** Who cannot be dialled may still be reached through a neighbour. */
function searchFor(state: MembershipState, address: string, now: number): void {
  for (const member of state.members.values()) {
    const { boot } = member.info
    if (member.info.address !== address || member === state.self || !inView(member)) continue
    if (!state.links.has(boot) && !state.searches.has(boot)) searchSoon(state, boot, now, 0)
  }
}

/** Who answered at this address holds it: boots known there under its name are gone. */
function replaceAnswered(
  state: MembershipState,
  address: string,
  boot: BootId,
  now: number,
  out: ClusterOutput[],
): void {
  const answered = state.members.get(boot)
  if (answered === undefined || isGone(answered)) return
  if (answered.info.address !== address) return
  for (const info of namesakes(state, answered.info)) {
    if (info.boot === state.self.info.boot || succeeds(info, answered.info)) continue
    declareDown(state, info.boot, 'restarted', now, out)
  }
}

// ---- frames

function receive(state: MembershipState, from: BootId, frame: ClusterFrame, now: number, out: ClusterOutput[]): void {
  if (!state.links.has(from)) {
    receiveUnlinked(state, from, frame, now, out)
    return
  }
  switch (frame.type) {
    case 'ping':
      out.push({ type: 'transmit', to: from, frame: { type: 'ack', seq: frame.seq } })
      tellSuspect(state, from, out)
      return
    case 'ack':
      trustAnswer(state, from, frame.seq)
      hearWatched(state, from, frame.seq)
      hearAck(state, from, frame.seq, out)
      return
    case 'pingReq':
      help(state, from, frame, now, out)
      return
    case 'pingReqAck':
      hearHelp(state, from, frame.seq, frame.ok, now, out)
      hearVouched(state, from, frame.seq, frame.ok)
      hearRoute(state, from, frame.seq, frame.ok, now, out)
      return
    case 'news':
      hear(state, frame.members, from, now, out)
      return
    case 'refused':
      hearRefused(state, frame.subject, from, now, out)
      return
    case 'bye':
      hearBye(state, from, now, out)
      return
    case 'message':
      return void out.push({ type: 'message', from, message: frame.message })
    case 'carry':
      hear(state, frame.members, from, now, out)
      deliver(state, from, frame.message, now, out)
      return
    case 'relay':
      relay(state, from, frame, now, out)
      return
    default:
      out.push(dropped(from, 'unknown frame'))
  }
}

/** From a link that we closed only one thing matters: that its far end holds us to be gone, as we hold it. */
function receiveUnlinked(
  state: MembershipState,
  from: BootId,
  frame: ClusterFrame,
  now: number,
  out: ClusterOutput[],
): void {
  if (from === state.self.info.boot) out.push(dropped(from, 'from ourselves'))
  else if (frame.type === 'news' && tellsOurEnd(state, frame.members)) hearOurEnd(state, frame.members, from, now, out)
  else out.push(dropped(from, 'no link'))
}

/** A message that came with members is read in their light. */
function deliver(state: MembershipState, from: BootId, message: unknown, now: number, out: ClusterOutput[]): void {
  flushView(state, now, out)
  if (state.members.get(from)?.phase === 'down') out.push(dropped(from, 'gone sender'))
  else out.push({ type: 'message', from, message })
}

/** For us: read it. For a neighbour of ours, and straight from its maker: pass it on, once. */
function relay(
  state: MembershipState,
  from: BootId,
  frame: Extract<ClusterFrame, { type: 'relay' }>,
  now: number,
  out: ClusterOutput[],
): void {
  hear(state, frame.members, from, now, out)
  if (frame.to === state.self.info.boot) {
    if (state.members.has(frame.from)) deliver(state, frame.from, frame.message, now, out)
    else out.push(dropped(from, 'unknown sender'))
  } else if (frame.from !== from) out.push(dropped(from, 'relayed twice'))
  else if (!state.links.has(frame.to)) out.push(dropped(from, 'no link to relay on'))
  else out.push({ type: 'transmit', to: frame.to, frame })
}

/** The peer's last frame. */
function hearBye(state: MembershipState, from: BootId, now: number, out: ClusterOutput[]): void {
  const member = state.members.get(from)
  if (member && !isGone(member)) hear(state, [{ ...member, phase: 'left' }], from, now, out)
  cutLink(state, from, 'left', out)
}

// ---- what the layers above and the operator ask

function send(state: MembershipState, input: Extract<ClusterInput, { type: 'send' }>, out: ClusterOutput[]): void {
  const { to, message } = input
  const mine = state.self.info.boot
  if (to === mine) return void out.push(dropped(mine, 'message to ourselves'))
  if (state.links.has(to)) {
    const frame: ClusterFrame = input.carry
      ? { type: 'carry', members: carryList(state), message }
      : { type: 'message', message }
    return void out.push({ type: 'transmit', to, frame })
  }
  const neighbour = input.relay ? pickNeighbour(state) : undefined
  if (neighbour === undefined) return void out.push(dropped(mine, 'no link'))
  const frame: ClusterFrame = { type: 'relay', from: mine, to, members: carryList(state), message }
  out.push({ type: 'transmit', to: neighbour, frame })
}

function pickNeighbour(state: MembershipState): BootId | undefined {
  const able: BootId[] = []
  for (const boot of state.links) {
    const member = state.members.get(boot)
    if (member && inView(member)) able.push(boot)
  }
  return pick(state.random, able)
}

function describe(state: MembershipState, info: MemberInfo, now: number, out: ClusterOutput[]): void {
  const { boot, name, address } = state.self.info
  if (info.boot !== boot || info.name !== name || info.address !== address) {
    throw new Error(`describe: boot, name and address of ${name} cannot change (given ${info.name}@${info.address})`)
  }
  say(state, { ...state.self, info, incarnation: state.self.incarnation + 1 }, 'described', now, out)
}

function leave(state: MembershipState, now: number, out: ClusterOutput[]): void {
  if (!inView(state.self)) return
  say(state, { ...state.self, phase: 'leaving', incarnation: state.self.incarnation + 1 }, 'leaving', now, out)
  flushView(state, now, out)
}

function bye(state: MembershipState, now: number, out: ClusterOutput[]): void {
  say(state, { ...state.self, phase: 'left' }, 'left', now, out)
  flushView(state, now, out)
  for (const to of [...state.links]) {
    out.push({ type: 'transmit', to, frame: { type: 'bye' } })
    cutLink(state, to, 'we have left', out)
  }
  state.stale = true
}

/** Our own record changes and everybody linked is told. */
function say(state: MembershipState, next: Member, reason: string, now: number, out: ClusterOutput[]): void {
  changeSelf(state, next, reason, now, out)
  announce(state, [next], undefined, out)
}
