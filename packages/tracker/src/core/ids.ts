/**
 * Interval tree clock ids (PROTOCOL.md section 3): who owns which part of the clock, and the stamps made with it.
 *
 * Every node boots in a lineage of its own with the whole id, so it can write at once. Nodes that meet end in the
 * highest lineage, each with an id forked for it by a member of that lineage. A donor forks in one step and keeps the
 * grant under the asker's boot id until the asker confirms or is gone, so a repeated request gets the same id and
 * never a second one; an id that was given away is never taken back.
 */

import type { BootId } from '@skep/cluster/core'
import * as itc from './itc.js'
import { claimsOf, logOf } from './logs.js'
import type { Claim, Lineage, Stamp, TrackerMessage } from './messages.js'
import { type Granted, isGone, log, type Peer, send, type TrackerState, type Turn } from './state.js'
import { reached, sendDigest } from './sync.js'

type Message<T extends TrackerMessage['type']> = Extract<TrackerMessage, { type: T }>

/** Lineages follow one another when ids have become deep: thousands at once are a fault of who tells of them. */
const PLAUSIBLE_EPOCHS = 1000

/** Names whose last claim is remembered; past that all new claims come after them, with a new first stamp. */
const MAX_RETIRED = 1000

/** Of what comes with an id: a higher or larger event would make every stamp after it one that nobody reads. */
const MAX_HEIGHT = 2 ** 40
const MAX_PAST_BYTES = 4096

/** Positive when `a` is the higher one: the greater epoch, then the smaller genesis. */
export function compareLineages(a: Lineage, b: Lineage): number {
  if (a.epoch !== b.epoch) return a.epoch - b.epoch
  return a.genesis === b.genesis ? 0 : a.genesis < b.genesis ? 1 : -1
}

export function sameLineage(a: Lineage, b: Lineage): boolean {
  return a.epoch === b.epoch && a.genesis === b.genesis
}

/**
 * Was `a` made by someone who had seen `b`? Claims of different lineages count as concurrent, but where one says whose
 * place it took: that claim, and all before it in its log, had been seen.
 */
export function follows(a: Claim, b: Claim): boolean {
  if (a.from?.boot === b.pid.boot && b.seq <= a.from.seq) return true
  return sameLineage(a.stamp.lineage, b.stamp.lineage) && itc.compare(b.stamp.event, a.stamp.event) === 'before'
}

/**
 * The stamp of a new claim: after every claim of this name known here, inflated under our own id. It comes after what
 * was made in our region before, too: somebody may still see an earlier claim of this name that stands no more.
 */
export function stampFor(state: TrackerState, name: string): Stamp {
  let base: itc.Event = itc.within(state.id, state.retired.get(name) ?? 0)
  for (const claim of claimsOf(state.registry, name)) {
    if (sameLineage(claim.stamp.lineage, state.lineage)) base = itc.joinEvents(base, claim.stamp.event)
  }
  if (base !== 0) return stampAfter(state, base)
  state.firstStamp ??= stampAfter(state, 0)
  return state.firstStamp
}

function stampAfter(state: TrackerState, base: itc.Event): Stamp {
  const { lineage, id } = state
  const { event } = itc.event({ id, event: itc.joinEvents(base, itc.within(id, state.floor)) })
  state.made = itc.joinEvents(state.made, itc.within(id, event))
  if (itc.leavesOf(event) > state.config.limits.maxStampLeaves) state.worn = true
  return { lineage, event }
}

/** A claim of ours stands no more. */
export function retireStamp(state: TrackerState, { name, stamp }: Claim): void {
  const event = itc.within(state.id, stamp.event)
  if (!sameLineage(stamp.lineage, state.lineage) || itc.leq(event, state.floor)) return
  state.retired.set(name, itc.joinEvents(state.retired.get(name) ?? 0, event))
  if (state.retired.size <= MAX_RETIRED) return
  for (const one of state.retired.values()) state.floor = itc.joinEvents(state.floor, one)
  state.retired.clear()
  state.firstStamp = undefined
}

/** A digest told the peer's lineage: note it, and seek an id there when it is higher than ours. */
export function onLineage(turn: Turn, from: BootId, lineage: Lineage, depth: number): void {
  const { state } = turn
  const peer = state.peers.get(from)
  if (peer === undefined) return
  // It was on its way when we granted: what it will have counts, or a donor that many ask at once would serve them all.
  if (state.pendingGrants.has(from) && compareLineages(lineage, state.lineage) < 0) return
  peer.lineage = lineage
  peer.depth = depth
  if (state.leaving || compareLineages(lineage, state.seeking?.lineage ?? state.lineage) <= 0) return
  if (lineage.epoch - state.lineage.epoch > PLAUSIBLE_EPOCHS) return
  seek(turn, from, lineage)
}

function seek(turn: Turn, from: BootId, lineage: Lineage, pointed = false): void {
  turn.state.seeking = { lineage, from, since: turn.now, granted: undefined }
  send(turn, from, { type: 'idAsk', lineage, pointed })
}

/** Take what was granted as soon as that may be; else ask again, another member of the lineage if there is one. */
export function seekAgain(turn: Turn): void {
  const { state, now } = turn
  const seeking = state.seeking
  if (seeking?.granted !== undefined) {
    if (takeGrant(turn, seeking.from, seeking.granted)) return
    // It is kept for us as long as its giver lives.
    if (!isGone(state.peers.get(seeking.from)?.phase ?? 'left')) return
    seeking.granted = undefined
  }
  if (seeking === undefined || now - seeking.since < state.config.limits.idAskMs) return
  for (const boot of state.links) {
    const peer = state.peers.get(boot)
    if (boot !== seeking.from && peer?.lineage !== undefined && sameLineage(peer.lineage, seeking.lineage)) {
      return seek(turn, boot, seeking.lineage)
    }
  }
  if (state.links.has(seeking.from)) return seek(turn, seeking.from, seeking.lineage)
  // Its members are all gone: whatever digest comes next decides.
  state.seeking = undefined
}

export function onIdAsk(turn: Turn, from: BootId, message: Message<'idAsk'>): void {
  const { state } = turn
  if (state.leaving || !state.peers.has(from)) return
  // The first grant of a lone node moves it to epoch 1, so that a newcomer never outranks a cluster.
  if (state.lineage.epoch === 0 && state.seeking === undefined) found(turn, 1)
  else if (itc.idDepth(state.id) >= state.config.limits.maxIdDepth && state.seeking === undefined) {
    found(turn, state.lineage.epoch + 1)
  }
  if (!sameLineage(state.lineage, message.lineage)) return sendDigest(turn, from)
  const pending = state.pendingGrants.get(from)
  if (pending !== undefined) return sendGrant(turn, from, pending)
  const better = message.pointed ? undefined : largerRegion(state, from)
  if (better !== undefined) {
    // It will split for this one: the next asker is sent to where the regions are larger then.
    better.depth++
    return send(turn, from, { type: 'idPoint', lineage: state.lineage, to: better.info.boot })
  }
  const [mine, theirs] = itc.splitId(state.id)
  setId(state, state.lineage, mine)
  const grant = { id: theirs, seq: logOf(state.registry, state.self).seq }
  state.pendingGrants.set(from, grant)
  noteRegion(state, from, state.lineage, itc.idDepth(theirs))
  sendGrant(turn, from, grant)
}

function sendGrant(turn: Turn, to: BootId, { id, seq }: { readonly id: itc.Id; readonly seq: number }): void {
  const { state } = turn
  send(turn, to, { type: 'idGrant', lineage: state.lineage, id, event: itc.within(id, state.made), seq })
}

/** Start a lineage of our own. */
export function found(turn: Turn, epoch: number): void {
  const { state } = turn
  moveTo(state, { epoch, genesis: state.self }, 1)
  log(turn, 'debug', `new clock lineage ${epoch}`, { epoch })
}

/**
 * A stamp has a leaf for each region in which its name was claimed, and regions of crashed nodes are never reclaimed: in
 * a cluster whose nodes come and go for months the stamps of names that move with them would grow for as long. So who
 * makes one that has become large starts the next lineage, in which all stamps are small again.
 */
export function renewLineage(turn: Turn): void {
  const { state } = turn
  if (!state.worn || state.leaving || state.seeking !== undefined) return
  found(turn, state.lineage.epoch + 1)
  for (const boot of state.links) sendDigest(turn, boot)
}

/** What a donor knows of a peer's id: from its digest, from its confirmation, and from having granted it. */
function noteRegion(state: TrackerState, boot: BootId, lineage: Lineage, depth: number): void {
  const peer = state.peers.get(boot)
  if (peer === undefined) return
  peer.lineage = lineage
  peer.depth = depth
}

/**
 * A linked member of our lineage whose id is two levels shallower than ours, so that forks spread evenly. One that is
 * still joining too: where many nodes start at once all ask one donor, and were it to serve them all, each level of its
 * id for one, it would come to the deepest one and found a lineage anew, for ever.
 */
function largerRegion(state: TrackerState, asker: BootId): Peer | undefined {
  let best: Peer | undefined
  let depth = itc.idDepth(state.id) - 1
  for (const boot of state.links) {
    const peer = state.peers.get(boot)
    if (boot === asker || peer?.lineage === undefined || peer.depth >= depth) continue
    if ((peer.phase !== 'up' && peer.phase !== 'joining') || !sameLineage(peer.lineage, state.lineage)) continue
    best = peer
    depth = peer.depth
  }
  return best
}

export function onIdGrant(turn: Turn, from: BootId, message: Message<'idGrant'>): void {
  const { state } = turn
  const seeking = state.seeking
  if (state.leaving || seeking === undefined || !sameLineage(seeking.lineage, message.lineage)) return
  if (!takeGrant(turn, from, message)) state.seeking = { ...seeking, from, granted: message }
}

/**
 * What its giver claimed, and those of whom that one had its own id, stands still: without knowledge of that our claims
 * would seem to come after it. Returns whether there is nothing to wait for.
 */
function takeGrant(turn: Turn, from: BootId, { lineage, id, event, seq }: Granted): boolean {
  const { state } = turn
  // Nobody gives the empty id away; with it no stamp could be made.
  const past = pastOf({ id, event })
  if (id === 0 || past === undefined) return true
  if (logOf(state.registry, from).seq < seq || !reached(state, state.targets.get(from) ?? [])) return false
  moveTo(state, lineage, id)
  inherit(state, past)
  send(turn, from, { type: 'idConfirm', lineage, depth: itc.idDepth(id) })
  for (const boot of state.links) {
    // Peers still below the lineage hear of it from us at once; those in it learn how large our region is.
    if (boot !== from) sendDigest(turn, boot)
  }
  return true
}

export function onIdPoint(turn: Turn, message: Message<'idPoint'>): void {
  const { state } = turn
  const seeking = state.seeking
  if (seeking === undefined || !sameLineage(seeking.lineage, message.lineage) || !state.links.has(message.to)) return
  seek(turn, message.to, message.lineage, true)
}

export function onIdConfirm(turn: Turn, from: BootId, message: Message<'idConfirm'>): void {
  const { state } = turn
  if (!sameLineage(state.lineage, message.lineage)) return
  state.pendingGrants.delete(from)
  noteRegion(state, from, message.lineage, message.depth)
}

/** Give our id to one heir; never to a second, so without an answer it is lost and not doubled. */
export function giveId(turn: Turn): void {
  const { state } = turn
  for (const boot of state.links) {
    const peer = state.peers.get(boot)
    if (peer?.lineage === undefined || !sameLineage(peer.lineage, state.lineage)) continue
    if (peer.phase !== 'up' && peer.phase !== 'joining') continue
    state.heir = { boot, got: false }
    const { lineage, id } = state
    const { seq } = logOf(state.registry, state.self)
    send(turn, boot, { type: 'idGive', lineage, id, event: itc.within(id, state.made), seq })
    setId(state, state.lineage, 0)
    return
  }
}

export function onIdGive(turn: Turn, from: BootId, message: Message<'idGive'>): void {
  const { state } = turn
  const usable = sameLineage(state.lineage, message.lineage) && !state.leaving && !state.inherited.has(from)
  const past = pastOf(message)
  // What the leaver claimed stands until it has left: without knowledge of that our claims would seem to come after it.
  // Where it is missing the id is lost, which costs nothing.
  if (logOf(state.registry, from).seq < message.seq) log(turn, 'debug', 'an id without its log: not used', { from })
  else if (usable && past !== undefined && itc.disjoint(state.id, message.id)) {
    state.inherited.add(from)
    setId(state, state.lineage, itc.sumId(state.id, message.id))
    inherit(state, past)
  } else if (usable) {
    log(turn, 'error', 'a leaver gave an id that cannot be right: not used', { from })
  }
  send(turn, from, { type: 'idGot', lineage: message.lineage })
}

/** Into another lineage: what was given and taken in the one before is void. */
function moveTo(state: TrackerState, lineage: Lineage, id: itc.Id): void {
  state.seeking = undefined
  state.pendingGrants.clear()
  state.inherited.clear()
  state.floor = 0
  state.made = 0
  state.worn = false
  state.retired.clear()
  setId(state, lineage, id)
}

/** What was made with an id before; undefined where nobody can have made that much. */
function pastOf({ id, event }: { readonly id: itc.Id; readonly event: itc.Event }): itc.Event | undefined {
  const past = itc.within(id, event)
  return itc.heightOf(past) <= MAX_HEIGHT && itc.encodeEvent(past).length <= MAX_PAST_BYTES ? past : undefined
}

function inherit(state: TrackerState, past: itc.Event): void {
  state.floor = itc.joinEvents(state.floor, past)
  state.made = itc.joinEvents(state.made, past)
  state.firstStamp = undefined
}

function setId(state: TrackerState, lineage: Lineage, id: itc.Id): void {
  state.lineage = lineage
  state.id = id
  state.firstStamp = undefined
}
