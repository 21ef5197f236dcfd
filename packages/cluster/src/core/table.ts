/**
 * The table of members and the news of it. `learn` is the one door through which a record gets in: it joins the record
 * into the table and does all that follows from the change (view, suspicion, dials, links, what the layers above are
 * told). What changed is then told to others: by those who have it from the subject itself, or made it, to everybody;
 * by the others to a few at random. Only what changed a table is told on, so every piece of news ends.
 */
import type { ClusterFrame, ClusterOutput } from './contract.js'
import { dialNow, dialSoon, forgetTrouble } from './dialling.js'
import { type BootId, inView, isGone, joinMember, type Member, type MemberInfo } from './member.js'
import { below, sample } from './random.js'
import { dropped, label, logged, type MembershipState } from './state.js'
import { endSuspicion, startSuspicion } from './suspicion.js'
import { markView } from './view.js'

/** To how many members hearsay is passed on. */
const GOSSIP_FANOUT = 3
/**
 * With more links than this news of others is told on in batches. Where all N are linked each hears it from its subject
 * anyhow; told on by each to each it came N^2 times for every change, N^3 times when all start together.
 */
const BATCH_ABOVE_LINKS = 32
const BATCH_MS = 100
/** To how many a batch goes: whoever has no link to the subject misses it from all the others once in e^8. */
const BATCH_FANOUT = 8
/** How many of the boots gone last are in a list, so that others do not take them back; about 10 KB on the wire. */
const GONE_IN_NEWS = 64
/** No honest incarnation comes near; above it a record is absurd, and it leaves room to refute. */
const MAX_INCARNATION = 2 ** 48

/**
 * Joins one record that is not our own into the table. `teller` is who told or made it. Returns true if it changed
 * anything; then the view may be dirty, and the caller tells the news on.
 */
export function learn(
  state: MembershipState,
  record: Member,
  teller: BootId,
  reason: string,
  now: number,
  out: ClusterOutput[],
): boolean {
  const previous = state.members.get(record.info.boot)
  if (previous === record) return false
  const fault = faultOf(state, record, previous)
  if (fault !== undefined) {
    out.push(dropped(teller, fault))
    return false
  }
  const next = previous === undefined ? record : joinMember(previous, record)
  if (next === previous) return false
  put(state, next, reason, now, out)
  if (isGone(next)) endMember(state, next, reason, now, out)
  else if (next.suspect) startSuspicion(state, next, teller, now)
  else endSuspicion(state, next.info.boot)
  if (previous === undefined && inView(next)) welcome(state, next, now, out)
  return true
}

/** Replaces our own record; the caller tells the others. */
export function changeSelf(
  state: MembershipState,
  next: Member,
  reason: string,
  now: number,
  out: ClusterOutput[],
): void {
  put(state, next, reason, now, out)
  state.self = next
}

/** This node has proof or has waited long enough: the member is down, and everybody, the member too, is told. */
export function declareDown(
  state: MembershipState,
  boot: BootId,
  reason: string,
  now: number,
  out: ClusterOutput[],
): void {
  const member = state.members.get(boot)
  if (member === undefined || isGone(member)) return
  const down: Member = { ...member, phase: 'down' }
  announce(state, [down], boot, out)
  learn(state, down, state.self.info.boot, reason, now, out)
}

/**
 * Joins a list of records that `from` sent, answers for ourselves where need be, and passes on what was new.
 *
 * A list that calls us gone is judged as a whole. Where we give way, the other part tells its news itself: passed on by
 * us, with what we knew, it would bring our part's belief that the others are down over to them with the next of our
 * mates that goes on as another boot. Where we stay, its teller is misled about more than us.
 */
export function hear(
  state: MembershipState,
  records: readonly Member[],
  from: BootId,
  now: number,
  out: ClusterOutput[],
): void {
  const { maxMembers, maxGone } = state.config.limits
  if (records.length > maxMembers + maxGone) return void out.push(dropped(from, 'news too long'))
  // A verdict on us is judged first: of a part that is mistaken in us nothing else is to be believed.
  if (!isGone(state.self) && tellsOurEnd(state, records)) return hearOurEnd(state, records, from, now, out)
  // A list that names its sender is all that it believes, not its own verdicts: of those we hear ourselves we know more.
  const isBelief = records.some(({ info }) => info.boot === from)
  let fromSubject: Member | undefined
  let hearsay: Member[] | undefined
  for (const record of records) {
    const { boot } = record.info
    if (boot === state.self.info.boot) hearOfSelf(state, record, from, now, out)
    else if (isBelief && record.phase === 'down' && boot !== from && state.links.has(boot)) continue
    else if (!learn(state, record, from, 'news', now, out)) continue
    else if (boot === from) fromSubject = state.members.get(boot)
    else {
      hearsay ??= []
      hearsay.push(state.members.get(boot) ?? record)
    }
  }
  if (fromSubject) tellOn(state, fromSubject, now, out)
  if (hearsay === undefined) return
  if (state.links.size <= BATCH_ABOVE_LINKS) gossip(state, hearsay, GOSSIP_FANOUT, from, out)
  else for (const member of hearsay) tellLater(state, member, now)
}

/** Do these records call us gone? */
export function tellsOurEnd(state: MembershipState, records: readonly Member[]): boolean {
  return records.some((record) => record.info.boot === state.self.info.boot && isGone(record))
}

/** What others say of us while they count us in: a suspicion is refuted under a higher incarnation. */
function hearOfSelf(state: MembershipState, record: Member, from: BootId, now: number, out: ClusterOutput[]): void {
  const { self } = state
  if (isGone(self)) return
  const contested = record.incarnation > self.incarnation || (record.suspect && record.incarnation === self.incarnation)
  if (!contested || record.incarnation >= MAX_INCARNATION) return
  worsen(state, 1)
  changeSelf(state, { ...self, incarnation: record.incarnation + 1 }, 'refuted', now, out)
  announce(state, [state.self], undefined, out)
  const text = `${from} believed us silent; refuted under incarnation ${state.self.incarnation}`
  out.push(logged('warn', text, { by: from, incarnation: state.self.incarnation }))
}

/**
 * We are held to be down, by a teller whose part comes along. After a cut each side holds the other so; then the
 * greater part stays (of equal ones that with the smallest boot id), and the other one's nodes go on as new boots. A
 * teller of the smaller part that we still count in has been misled, and is told so.
 */
export function hearOurEnd(
  state: MembershipState,
  records: readonly Member[],
  from: BootId,
  now: number,
  out: ClusterOutput[],
): void {
  const theirs = records.filter(isMate)
  const { boot: mine } = state.self.info
  // A part that may not go on gives way to one that may, however great it is: what that one took over must stay.
  const teller = records.find(({ info }) => info.boot === from) ?? state.members.get(from)
  const theyHalted = teller?.info.halted === true
  const halted = state.self.info.halted === true
  if (theyHalted !== halted) {
    if (halted) return condemn(state, records, from, out)
    return declareDown(state, from, 'of a halted part', now, out)
  }
  const apart = records.some((record) => {
    const known = state.members.get(record.info.boot)
    if (known === undefined || record.info.boot === mine) return false
    return inView(record) ? known.phase === 'down' : isGone(record) && inView(known)
  })
  if (!apart || !isGreater([...state.members.values()].filter(isMate), theirs))
    return condemn(state, records, from, out)
  declareDown(state, from, 'of the smaller part', now, out)
}

/**
 * Does it count for the part of whoever has this record? One that is suspected may be of the other part: a cut that
 * heals while one part is still at finding the others gone would else count them for it, and both parts gave way.
 */
function isMate(record: Member): boolean {
  return inView(record) && !record.suspect
}

/**
 * Whom their list counts in is theirs, though we may count it in as well: some nodes that stood still, and are held to
 * be down by all others, must not take the others for their own.
 */
function isGreater(ours: readonly Member[], theirs: readonly Member[]): boolean {
  const shared = new Set(theirs.map(({ info }) => info.boot))
  const own = ours.filter(({ info }) => !shared.has(info.boot))
  if (own.length !== theirs.length) return own.length > theirs.length
  return leastOnlyIn(own, theirs) < leastOnlyIn(theirs, ours)
}

function leastOnlyIn(part: readonly Member[], other: readonly Member[]): BootId {
  const shared = new Set(other.map(({ info }) => info.boot))
  let least: BootId = ''
  for (const { info } of part) {
    if (!shared.has(info.boot) && (least === '' || info.boot < least)) least = info.boot
  }
  return least
}

/** Told once: the shell ends this boot, or makes another one of it. */
function condemn(state: MembershipState, records: readonly Member[], by: BootId, out: ClusterOutput[]): void {
  if (state.condemned !== undefined) return
  state.condemned = records
  out.push({ type: 'condemned', by })
  out.push(logged('warn', `${by} holds this node to be down: it must go on under a new boot id`, { by }))
}

/** Tells everybody linked but `except`. */
export function announce(
  state: MembershipState,
  members: readonly Member[],
  except: BootId | undefined,
  out: ClusterOutput[],
): void {
  const frame: ClusterFrame = { type: 'news', members }
  for (const to of state.links) if (to !== except) out.push({ type: 'transmit', to, frame })
}

/** Members that are not gone, and those gone last: what a new link is told. */
export function newsList(state: MembershipState): readonly Member[] {
  if (state.lists.news) return state.lists.news
  const list = carryList(state).slice()
  for (const boot of [...state.goneAt.keys()].slice(-GONE_IN_NEWS)) {
    const member = state.members.get(boot)
    if (member) list.push(member)
  }
  state.lists.news = list
  return list
}

/** What a member that is gone is told if it still runs: that it is, and all that it needs to come back. */
export function endNews(state: MembershipState, gone: Member): ClusterFrame {
  return { type: 'news', members: [gone, ...newsList(state).filter((member) => member !== gone)] }
}

/** Members that are not gone: what goes with a message that the receiver must not read with an older view. */
export function carryList(state: MembershipState): readonly Member[] {
  if (state.lists.carry) return state.lists.carry
  const list: Member[] = []
  for (const member of state.members.values()) if (!isGone(member)) list.push(member)
  state.lists.carry = list
  return list
}

/** Closes a link from our side; the layers above hear of it at once, what the shell says later is no news. */
export function cutLink(state: MembershipState, boot: BootId, reason: string, out: ClusterOutput[]): void {
  if (!dropLink(state, boot)) return
  out.push({ type: 'close', boot, reason })
  out.push({ type: 'unlinked', boot })
}

/** There is no link to it any more, and nothing that was remembered of it. False where there was none. */
export function dropLink(state: MembershipState, boot: BootId): boolean {
  state.linkedAt.delete(boot)
  state.vias.delete(boot)
  state.carriers.delete(boot)
  if (state.watches.delete(boot)) state.stale = true
  return state.links.delete(boot)
}

/** Lifeguard's local health gets worse (or, below 0, better) by so much. */
export function worsen(state: MembershipState, by: number): void {
  state.health = Math.max(0, Math.min(7, state.health + by))
}

/** Drops what was remembered of the boots that went away longest ago. */
export function forgetGone(state: MembershipState, now: number): void {
  for (const [boot, until] of state.missed) {
    if (until > now) break
    state.missed.delete(boot)
  }
  const { maxGone, rememberGoneMs } = state.config.limits
  for (const [boot, at] of state.goneAt) {
    if (state.goneAt.size <= maxGone && now - at < rememberGoneMs) return
    state.goneAt.delete(boot)
    state.members.delete(boot)
    state.lists.news = undefined
  }
}

/** What its subject said to us goes to everybody else linked; see `BATCH_ABOVE_LINKS`. */
export function tellOn(state: MembershipState, member: Member, now: number, out: ClusterOutput[]): void {
  if (state.links.size <= BATCH_ABOVE_LINKS) announce(state, [member], member.info.boot, out)
  else tellLater(state, member, now)
}

function tellLater(state: MembershipState, member: Member, now: number): void {
  state.untold.add(member.info.boot)
  if (state.tellAt !== Infinity) return
  state.tellAt = now + BATCH_MS
  state.stale = true
}

/** Passes the batch on when its time has come, each record as it stands by now. */
export function tellBatch(state: MembershipState, now: number, out: ClusterOutput[]): void {
  if (now < state.tellAt) return
  const members: Member[] = []
  for (const boot of state.untold) {
    const member = state.members.get(boot)
    if (member) members.push(member)
  }
  state.untold.clear()
  state.tellAt = Infinity
  state.stale = true
  gossip(state, members, BATCH_FANOUT, undefined, out)
}

function gossip(
  state: MembershipState,
  members: readonly Member[],
  fanout: number,
  except: BootId | undefined,
  out: ClusterOutput[],
): void {
  const frame: ClusterFrame = { type: 'news', members }
  const peers: BootId[] = []
  for (const boot of state.links) if (boot !== except) peers.push(boot)
  for (const to of sample(state.random, peers, fanout)) out.push({ type: 'transmit', to, frame })
}

/** Why a record may not enter the table. A boot's name and address never change while it lives. */
function faultOf(state: MembershipState, record: Member, previous: Member | undefined): string | undefined {
  const { info, incarnation } = record
  if (!Number.isInteger(incarnation) || incarnation < 0 || incarnation > MAX_INCARNATION) return 'absurd record'
  if (previous !== undefined) {
    return info.name === previous.info.name && info.address === previous.info.address ? undefined : 'absurd record'
  }
  if (info.boot === '' || info.address === '') return 'absurd record'
  return !isGone(record) && state.present >= state.config.limits.maxMembers ? 'too many members' : undefined
}

/** Writes the record and what is counted from it, and tells the layers above. */
function put(state: MembershipState, next: Member, reason: string, now: number, out: ClusterOutput[]): void {
  const { boot } = next.info
  const previous = state.members.get(boot)
  state.members.set(boot, next)
  state.lists.news = undefined
  state.lists.carry = undefined
  const was = previous !== undefined && !isGone(previous)
  if (!isGone(next) && !was) state.present++
  if (isGone(next)) {
    if (was) state.present--
    if (!state.goneAt.has(boot)) state.goneAt.set(boot, now)
    forgetGone(state, now)
  }
  const seen = previous !== undefined && inView(previous)
  if (seen !== inView(next) || (seen && previous.info !== next.info)) markView(state, now)
  if (previous !== undefined && sayable(previous) === sayable(next) && previous.info === next.info) return
  out.push({ type: 'member', member: next, previous, reason })
  logMember(state, next, previous, reason, out)
}

/** What the layers above hear of; a mere new incarnation is not among it. */
function sayable(member: Member): string {
  return member.suspect ? `${member.phase}?` : member.phase
}

function welcome(state: MembershipState, member: Member, now: number, out: ClusterOutput[]): void {
  const { boot, name, address } = member.info
  // At a random place of the round that runs, as SWIM has it.
  if (state.order.length < 2 * state.config.limits.maxMembers) {
    state.order.splice(state.cursor + below(state.random, state.order.length - state.cursor + 1), 0, boot)
  }
  const mine = state.self.info
  // We hold this name and address now, so that boot was before us.
  if (name === mine.name && address === mine.address) declareDown(state, boot, 'restarted', now, out)
  else if (!state.links.has(boot)) dialNow(state, address, out)
}

function endMember(state: MembershipState, member: Member, reason: string, now: number, out: ClusterOutput[]): void {
  const { boot, address } = member.info
  // Only silence may have been a cut; a refusal or a successor prove the end.
  if (member.phase === 'down' && reason === 'suspected') {
    state.missed.set(boot, now + state.config.limits.redialDownMs)
    dialSoon(state, address, now)
  } else forgetTrouble(state, address)
  endSuspicion(state, boot)
  state.absences.delete(boot)
  state.searches.delete(boot)
  for (const [seq, probe] of state.probes) if (probe.subject === boot) state.probes.delete(seq)
  state.stale = true
  // A member that left still sends its last frames: its link stays until its bye. One that is down must hear of it.
  if (member.phase !== 'down' || !state.links.has(boot)) return
  out.push({ type: 'transmit', to: boot, frame: endNews(state, member) })
  cutLink(state, boot, 'down', out)
}

function logMember(
  state: MembershipState,
  next: Member,
  previous: Member | undefined,
  reason: string,
  out: ClusterOutput[],
): void {
  if (next.info.boot === state.self.info.boot) return
  const line = lineOf(next, previous, reason)
  if (line) out.push(logged(line.level, `${label(next.info)} ${line.text}`, fieldsOf(next.info, reason)))
}

function lineOf(
  next: Member,
  previous: Member | undefined,
  reason: string,
): { level: 'debug' | 'info' | 'warn'; text: string } | undefined {
  if (next.phase === 'down') return { level: previous ? 'warn' : 'debug', text: `is down (${reason})` }
  if (next.phase === 'left') return { level: previous ? 'info' : 'debug', text: 'has left' }
  if (previous === undefined) return { level: 'info', text: 'joined' }
  if (next.phase === 'leaving' && previous.phase !== 'leaving') return { level: 'info', text: 'is leaving' }
  if (next.suspect !== previous.suspect) {
    return next.suspect ? { level: 'warn', text: 'is suspected' } : { level: 'info', text: 'is well again' }
  }
  return previous.phase === 'joining' ? { level: 'debug', text: 'is up' } : undefined
}

function fieldsOf(info: MemberInfo, reason: string): Record<string, unknown> {
  return { node: info.name, address: info.address, boot: info.boot, reason }
}
