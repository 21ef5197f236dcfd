/**
 * The failure detector: SWIM (Das, Gupta, Motivala 2002) with Lifeguard's local health (Dadgar, Phillips, Currey 2018).
 *
 * Each period one member is probed, in a random order in which everybody has its turn. No ack within the timeout: a few
 * others are asked to probe it too. Still none at the end of the period: the member is suspected, everybody is told,
 * and it may refute until its suspicion runs out. Two rules guard against our own slowness: a timer that fires late
 * gives no verdict, and a verdict first waits (`defer`) until what had already arrived has been read.
 */
import { askOthers, defer, stretched } from './asking.js'
import type { ClusterFrame, ClusterInput, ClusterOutput } from './contract.js'
import { type BootId, isGone, type Member } from './member.js'
import { below, sample } from './random.js'
import { watchVouched } from './silence.js'
import { dropped, type MembershipState, type Probe } from './state.js'
import { confirmSuspicion } from './suspicion.js'
import { announce, declareDown, forgetGone, learn, worsen } from './table.js'

/** A helper gives up this much before the asker does, so that its nack is not late. */
const NACK_SHARE = 0.8
/** Members probed for others at one time. */
const MAX_HELPS = 256

/** The first period starts at a random moment, so that nodes started together do not probe in step. */
export function startDetector(state: MembershipState, now: number): void {
  state.probeAt = now + below(state.random, state.config.limits.probeMs)
  state.stale = true
}

/** The earliest timer of the detector. */
export function detectorDue(state: MembershipState): number {
  let due = state.probeAt
  for (const probe of state.probes.values()) if (probe.token === 0) due = Math.min(due, probe.askAt, probe.due)
  for (const suspicion of state.suspicions.values()) if (suspicion.token === 0) due = Math.min(due, suspicion.due)
  for (const help of state.helps.values()) due = Math.min(due, help.due)
  return due
}

/** Fires every detector timer that is due. */
export function wakeDetector(state: MembershipState, now: number, out: ClusterOutput[]): void {
  if (now < detectorDue(state)) return
  state.stale = true
  const late = now - detectorDue(state) > state.config.limits.lateTimerMs
  if (late) {
    // We were stalled, not they: no verdict, everything once more.
    worsen(state, 1)
    rearm(state, now)
  } else {
    for (const [seq, help] of state.helps) if (help.due <= now) answerHelp(state, seq, false, out)
    for (const probe of state.probes.values()) advance(state, probe, now, out)
    for (const suspicion of state.suspicions.values()) {
      if (suspicion.token === 0 && suspicion.due <= now) suspicion.token = defer(state, out)
    }
  }
  if (state.probeAt <= now) nextPeriod(state, now, out)
}

/** Two turns of the event loop have passed since a timer fired: what is still unanswered now counts. */
export function conclude(
  state: MembershipState,
  { token, waitedMs }: Extract<ClusterInput, { type: 'verdict' }>,
  now: number,
  out: ClusterOutput[],
): void {
  for (const timer of [...state.probes.values(), ...state.suspicions.values()]) {
    if (timer.token !== token) continue
    // A stall between timer and verdict is a stall as well.
    if (now - timer.due - waitedMs > state.config.limits.lateTimerMs) {
      timer.token = 0
      worsen(state, 1)
      rearm(state, now)
      state.stale = true
    } else if ('seq' in timer) fail(state, timer, now, out)
    else declareDown(state, timer.subject, 'suspected', now, out)
    return
  }
}

/** After a link that the far end closed: probes at once, and through others. */
export function probeUrgently(state: MembershipState, subject: BootId, now: number, out: ClusterOutput[]): void {
  for (const probe of state.probes.values()) if (probe.urgent && probe.subject === subject) return
  beginProbe(state, subject, true, now, out)
}

/** A new link shows that it lives. */
export function endUrgentProbe(state: MembershipState, subject: BootId): void {
  for (const probe of state.probes.values()) if (probe.urgent && probe.subject === subject) endProbe(state, probe)
}

export function hearAck(state: MembershipState, from: BootId, seq: number, out: ClusterOutput[]): void {
  const probe = state.probes.get(seq)
  if (probe?.subject === from) {
    succeed(state, probe)
    return
  }
  if (state.helps.get(seq)?.subject === from) answerHelp(state, seq, true, out)
  // Else late, and answered otherwise: no fault of anybody.
}

/** A member asks us to probe another for it. */
export function help(
  state: MembershipState,
  asker: BootId,
  frame: Extract<ClusterFrame, { type: 'pingReq' }>,
  now: number,
  out: ClusterOutput[],
): void {
  const { subject, seq } = frame
  if (subject === state.self.info.boot || !state.links.has(subject)) {
    const ok = subject === state.self.info.boot
    out.push({ type: 'transmit', to: asker, frame: { type: 'pingReqAck', seq, ok } })
  } else if (state.helps.size >= MAX_HELPS) out.push(dropped(asker, 'too many probes for others'))
  else {
    const due = now + state.config.limits.probeTimeoutMs * NACK_SHARE
    const ours = ++state.lastSeq
    state.helps.set(ours, { subject, asker, askerSeq: seq, due })
    state.stale = true
    out.push({ type: 'transmit', to: subject, frame: { type: 'ping', seq: ours } })
  }
}

/** What a member that we asked found. */
export function hearHelp(
  state: MembershipState,
  from: BootId,
  seq: number,
  ok: boolean,
  now: number,
  out: ClusterOutput[],
): void {
  const probe = state.probes.get(seq)
  if (!probe?.asked.includes(from)) return
  if (ok) {
    succeed(state, probe)
    // It lives, and did not answer us: that speaks against our link.
    watchVouched(state, probe.subject, from, now, out)
  } else if (!probe.nacks.includes(from)) probe.nacks.push(from)
}

function nextPeriod(state: MembershipState, now: number, out: ClusterOutput[]): void {
  state.probeAt = now + stretched(state, state.config.limits.probeMs)
  forgetGone(state, now)
  const subject = nextSubject(state)
  // The bound holds even if the shell owes us every verdict.
  if (subject !== undefined && state.probes.size < state.config.limits.maxMembers) {
    beginProbe(state, subject, false, now, out)
  }
}

/** The next in the round; after the last a new round in a new order. */
function nextSubject(state: MembershipState): BootId | undefined {
  for (let round = 0; round < 2; round++) {
    while (state.cursor < state.order.length) {
      const boot = state.order[state.cursor++] as BootId
      const member = state.members.get(boot)
      if (member && !isGone(member) && canJudge(state, member)) return boot
    }
    const boots: BootId[] = []
    for (const [boot, member] of state.members) if (member !== state.self && !isGone(member)) boots.push(boot)
    state.order = sample(state.random, boots, boots.length)
    state.cursor = 0
  }
  return undefined
}

/** A member known by hearsay is left in peace until the first dial of it has had an outcome. */
function canJudge(state: MembershipState, member: Member): boolean {
  if (state.links.has(member.info.boot)) return true
  const dial = state.dials.get(member.info.address)
  return !(dial?.inFlight && dial.outcome === undefined)
}

function beginProbe(state: MembershipState, subject: BootId, urgent: boolean, now: number, out: ClusterOutput[]): void {
  const timeout = stretched(state, state.config.limits.probeTimeoutMs)
  const due = urgent ? now + timeout : state.probeAt
  const seq = ++state.lastSeq
  const probe: Probe = { subject, seq, urgent, askAt: now + timeout, due, asked: [], nacks: [], token: 0 }
  state.probes.set(seq, probe)
  state.stale = true
  if (!state.links.has(subject)) {
    askFor(state, probe, out)
    return
  }
  tellSuspect(state, subject, out)
  out.push({ type: 'transmit', to: subject, frame: { type: 'ping', seq } })
}

/**
 * A suspect that lives can refute only what it has heard of, and what it was told before may be lost: so it hears it
 * with our own probes, and when it probes us. Ours alone may be long in coming, since failures stretch our periods.
 */
export function tellSuspect(state: MembershipState, subject: BootId, out: ClusterOutput[]): void {
  const member = state.members.get(subject)
  if (member?.suspect) out.push({ type: 'transmit', to: subject, frame: { type: 'news', members: [member] } })
}

function advance(state: MembershipState, probe: Probe, now: number, out: ClusterOutput[]): void {
  if (probe.token !== 0) return
  if (probe.askAt <= now) askFor(state, probe, out)
  if (probe.due <= now) probe.token = defer(state, out)
}

function askFor(state: MembershipState, probe: Probe, out: ClusterOutput[]): void {
  probe.askAt = Infinity
  probe.asked = askOthers(state, probe.subject, probe.seq, state.links, out)
}

function succeed(state: MembershipState, probe: Probe): void {
  if (!probe.urgent) worsen(state, -1)
  endProbe(state, probe)
}

/** Nobody heard of it: a missing nack speaks against our own links, as does a failure that nobody could check. */
function fail(state: MembershipState, probe: Probe, now: number, out: ClusterOutput[]): void {
  endProbe(state, probe)
  const { subject, asked, nacks } = probe
  const member = state.members.get(subject)
  if (member === undefined || isGone(member)) return
  if (!probe.urgent) worsen(state, asked.length === 0 ? 1 : asked.length - nacks.length)
  const mine = state.self.info.boot
  if (!member.suspect) {
    const suspect = { ...member, suspect: true }
    learn(state, suspect, mine, 'suspected', now, out)
    announce(state, [suspect], undefined, out)
  }
  confirmSuspicion(state, subject, mine, now)
  for (const boot of nacks) confirmSuspicion(state, subject, boot, now)
}

function endProbe(state: MembershipState, probe: Probe): void {
  state.probes.delete(probe.seq)
  state.stale = true
}

/** Tells the asker, if it is still there. */
function answerHelp(state: MembershipState, ours: number, ok: boolean, out: ClusterOutput[]): void {
  const help = state.helps.get(ours)
  state.helps.delete(ours)
  state.stale = true
  if (!help || !state.links.has(help.asker)) return
  out.push({ type: 'transmit', to: help.asker, frame: { type: 'pingReqAck', seq: help.askerSeq, ok } })
}

/** After a stall: what we asked keeps its number, so that answers in the backlog count; helps are no longer of use. */
function rearm(state: MembershipState, now: number): void {
  const { probeMs, probeTimeoutMs } = state.config.limits
  state.helps.clear()
  for (const probe of state.probes.values()) {
    if (probe.token !== 0) continue
    if (probe.askAt !== Infinity) probe.askAt = now + stretched(state, probeTimeoutMs)
    probe.due = Math.max(probe.due, now + stretched(state, probeMs))
  }
  for (const suspicion of state.suspicions.values()) {
    if (suspicion.token === 0) suspicion.due = Math.max(suspicion.due, now + stretched(state, probeMs))
  }
}
