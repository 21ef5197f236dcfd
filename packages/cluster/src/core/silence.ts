/**
 * Links that are open and carry nothing: a cut that resets no connection leaves them so for minutes. A member probed
 * through others lives on, and what is sent to it straight is lost. So a link that is used must prove itself:
 *
 *     used        ping on the link, unless an ack is owed already
 *     timeout/2   no ack: a few others are asked to probe the far end
 *     timeout     no ack, and one of them heard of it: the link is given up, and made anew through that one
 *
 * Where nobody vouches for the far end it may be gone: that is the detector's to judge. What is heard *from* the far
 * end proves nothing, since a cut may be one-way. Links that are not used are found by the detector's own round.
 */
import { askOthers, defer, stretched } from './asking.js'
import type { ClusterInput, ClusterOutput } from './contract.js'
import { dialSoon } from './dialling.js'
import { type BootId, inView, isGone } from './member.js'
import { routeThrough, searchNow } from './routes.js'
import { label, logged, type MembershipState, type Watch } from './state.js'
import { dropLink } from './table.js'

/** A link that fell silent sooner than this is dialled anew with growing pauses: it would come and go for ever. */
const STOOD_MS = 10_000

/** Something was sent to this member, or could not be. */
export function noteUsed(state: MembershipState, boot: BootId, now: number, out: ClusterOutput[]): void {
  const member = state.members.get(boot)
  if (member === undefined || isGone(member) || member === state.self) return
  if (!state.links.has(boot)) searchNow(state, boot, now)
  else if (!state.watches.has(boot)) watch(state, boot, undefined, now, out)
}

/** A probe had no ack of its subject itself, while `voucher` heard of it. */
export function watchVouched(
  state: MembershipState,
  boot: BootId,
  voucher: BootId,
  now: number,
  out: ClusterOutput[],
): void {
  if (!state.links.has(boot)) return
  const known = state.watches.get(boot)
  if (known) known.voucher ??= voucher
  else watch(state, boot, voucher, now, out)
}

/** The far end answered. */
export function hearWatched(state: MembershipState, from: BootId, seq: number): void {
  if (state.watches.get(from)?.seq === seq) endWatch(state, from)
}

/** What a member that we asked found. */
export function hearVouched(state: MembershipState, from: BootId, seq: number, ok: boolean): void {
  if (!ok) return
  for (const watch of state.watches.values()) {
    if (watch.seq === seq && watch.asked.includes(from)) watch.voucher ??= from
  }
}

export function watchesDue(state: MembershipState): number {
  let due = Infinity
  for (const watch of state.watches.values()) if (watch.token === 0) due = Math.min(due, watch.askAt, watch.due)
  return due
}

export function wakeWatches(state: MembershipState, now: number, out: ClusterOutput[]): void {
  for (const [boot, watch] of state.watches) {
    const due = Math.min(watch.askAt, watch.due)
    if (watch.token !== 0 || due > now) continue
    state.stale = true
    // We were stalled, not the link.
    if (now - due > state.config.limits.lateTimerMs) arm(state, watch, now)
    else if (watch.due <= now) judge(state, boot, watch, out)
    else {
      watch.askAt = Infinity
      watch.asked = askOthers(state, boot, watch.seq, state.links, out)
    }
  }
}

/** Two turns of the event loop have passed since a watch ended: false where the token is another's. */
export function concludeWatch(
  state: MembershipState,
  { token, waitedMs }: Extract<ClusterInput, { type: 'verdict' }>,
  now: number,
  out: ClusterOutput[],
): boolean {
  for (const [boot, watch] of state.watches) {
    if (watch.token !== token) continue
    state.stale = true
    if (now - watch.due - waitedMs > state.config.limits.lateTimerMs) {
      watch.token = 0
      arm(state, watch, now)
    } else giveUp(state, boot, watch.voucher as BootId, now, out)
    return true
  }
  return false
}

function watch(
  state: MembershipState,
  boot: BootId,
  voucher: BootId | undefined,
  now: number,
  out: ClusterOutput[],
): void {
  const seq = ++state.lastSeq
  const begun: Watch = { seq, askAt: Infinity, due: Infinity, asked: [], voucher, token: 0 }
  state.watches.set(boot, begun)
  arm(state, begun, now)
  out.push({ type: 'transmit', to: boot, frame: { type: 'ping', seq } })
}

/** It keeps its number, so that an answer in the backlog counts. */
function arm(state: MembershipState, watch: Watch, now: number): void {
  const timeout = stretched(state, state.config.limits.probeTimeoutMs)
  watch.askAt = watch.voucher === undefined ? now + timeout / 2 : Infinity
  watch.due = now + timeout
  state.stale = true
}

function judge(state: MembershipState, boot: BootId, watch: Watch, out: ClusterOutput[]): void {
  if (watch.voucher === undefined) endWatch(state, boot)
  else watch.token = defer(state, out)
}

function endWatch(state: MembershipState, boot: BootId): void {
  state.watches.delete(boot)
  state.stale = true
}

/** The link ends, for the layers above too: what was sent on it may be lost. */
function giveUp(state: MembershipState, boot: BootId, voucher: BootId, now: number, out: ClusterOutput[]): void {
  const member = state.members.get(boot)
  const wasDirect = !state.vias.has(boot)
  const stood = now - (state.linkedAt.get(boot) ?? now) >= STOOD_MS
  if (!dropLink(state, boot) || member === undefined) return
  const heard = state.members.get(voucher)
  const text = `the link to ${label(member.info)} is silent, though ${heard ? label(heard.info) : voucher} hears of it: it is made anew`
  out.push(logged('info', text, { node: member.info.name, via: heard?.info.name }))
  out.push({ type: 'close', boot, reason: 'silent' })
  out.push({ type: 'unlinked', boot })
  if (!inView(member) || !inView(state.self)) return
  if (wasDirect) dialSoon(state, member.info.address, now, stood)
  routeThrough(state, boot, voucher, now, out)
}
