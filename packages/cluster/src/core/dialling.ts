/**
 * Which addresses are dialled, and when again. Wanted is every address that discovery names and every member's, as long
 * as no link of our own leads there: for ever, with jittered exponential backoff, so that cuts heal. Never wanted: our own
 * address, a leaver's, and anything once we leave ourselves. Whether two nodes that dial each other end with one link
 * is decided by the shells.
 */
import type { ClusterInput, ClusterOutput } from './contract.js'
import { inView, type Member } from './member.js'
import { nextFloat } from './random.js'
import { type Dial, isDirect, logged, type MembershipState } from './state.js'

/** The wait before the next dial: half of the backoff for certain, the other half by chance (`r` in [0, 1)). */
export function redialDelayMs(backoffMs: number, r: number): number {
  return backoffMs / 2 + (backoffMs / 2) * r
}

/** Is there a reason to dial this address now? Looks at every member: not for use per frame. */
export function isWanted(state: MembershipState, address: string): boolean {
  if (address === state.self.info.address || !inView(state.self)) return false
  const dial = state.dials.get(address)
  let answered = dial?.boot !== undefined && isDirect(state, dial.boot)
  for (const member of state.members.values()) {
    if (member.info.address !== address) continue
    if (isDirect(state, member.info.boot)) answered = true
    else if (inView(member) || isMissed(state, member)) return true
    else if (state.links.has(member.info.boot)) answered = true
  }
  return !answered && state.discovered.has(address)
}

/** Declared down not long ago: if that was a cut and no end, only a dial finds it out when the cut heals. */
function isMissed(state: MembershipState, member: Member): boolean {
  return member.phase === 'down' && state.missed.has(member.info.boot)
}

/** Dials in this step, unless a dial is in flight or nothing is wanted there. */
export function dialNow(state: MembershipState, address: string, out: ClusterOutput[]): void {
  const dial = state.dials.get(address)
  if (dial?.inFlight || !isWanted(state, address)) return
  launch(dial ?? openDial(state, address), address, out)
}

/** After a link that was lost without the far end closing it: soon; from the shortest backoff if it had stood. */
export function dialSoon(state: MembershipState, address: string, now: number, stood = true): void {
  const dial = state.dials.get(address) ?? openDial(state, address)
  if (stood) dial.backoffMs = state.config.limits.redialMinMs
  if (!dial.inFlight) retryLater(state, dial, now)
}

/** Has nothing gone wrong lately with this address? */
export function isFresh(state: MembershipState, address: string): boolean {
  const dial = state.dials.get(address)
  return dial === undefined || dial.backoffMs <= state.config.limits.redialMinMs
}

/** Dials what is due, and forgets addresses that nobody wants any more. */
export function wakeDials(state: MembershipState, now: number, out: ClusterOutput[]): void {
  if (now < state.dialAt) return
  state.dialAt = Infinity
  for (const [address, dial] of state.dials) {
    if (dial.due <= now) {
      dial.due = Infinity
      if (isWanted(state, address)) launch(dial, address, out)
      else forget(state, address)
    }
    if (dial.due < state.dialAt) state.dialAt = dial.due
  }
  state.stale = true
}

/** Notes what came of a dial and arms the next one if the address is still wanted. */
export function noteDialled(
  state: MembershipState,
  input: Extract<ClusterInput, { type: 'dialled' }>,
  now: number,
  out: ClusterOutput[],
): void {
  const dial = state.dials.get(input.address)
  if (dial === undefined) return
  dial.inFlight = false
  dial.outcome = input.outcome
  if (input.outcome === 'linked') {
    dial.boot = input.boot
    dial.logged = false
  } else if (input.outcome !== 'self') logFailure(dial, input, out)
  // A name that stands for many (a load balancer, a headless service) led to ourselves this time.
  else dial.backoffMs = state.config.limits.redialMaxMs
  if (isWanted(state, input.address)) retryLater(state, dial, now)
  else forget(state, input.address)
}

/** After an answer of discovery: addresses that it no longer names and that wait for nothing need no record. */
export function forgetVanished(state: MembershipState): void {
  for (const [address, dial] of state.dials) if (dial.due === Infinity) forget(state, address)
}

/** Has this address of discovery's answer had its outcome, or is it known without a dial? */
export function isTried(state: MembershipState, address: string): boolean {
  if (address === state.self.info.address || state.dials.get(address)?.outcome !== undefined) return true
  return !isWanted(state, address)
}

function openDial(state: MembershipState, address: string): Dial {
  const backoffMs = state.config.limits.redialMinMs
  const dial: Dial = { inFlight: false, due: Infinity, backoffMs, outcome: undefined, boot: undefined, logged: false }
  state.dials.set(address, dial)
  return dial
}

function launch(dial: Dial, address: string, out: ClusterOutput[]): void {
  dial.inFlight = true
  dial.due = Infinity
  out.push({ type: 'dial', address })
}

function retryLater(state: MembershipState, dial: Dial, now: number): void {
  dial.due = now + redialDelayMs(dial.backoffMs, nextFloat(state.random))
  dial.backoffMs = Math.min(dial.backoffMs * 2, state.config.limits.redialMaxMs)
  state.dialAt = Math.min(state.dialAt, dial.due)
  state.stale = true
}

/** Who lived there is gone: its links' troubles with it. */
export function forgetTrouble(state: MembershipState, address: string): void {
  const dial = state.dials.get(address)
  if (dial?.outcome !== 'linked') return
  dial.backoffMs = state.config.limits.redialMinMs
  forget(state, address)
}

/** What discovery names keeps its record: the gate asks for its outcome, and our own address is not dialled twice. */
function forget(state: MembershipState, address: string): void {
  const dial = state.dials.get(address)
  // A link that came up after trouble may be gone at once: its backoff is remembered until it has stood.
  if (dial?.outcome === 'linked' && dial.backoffMs > state.config.limits.redialMinMs) return
  if (dial && !dial.inFlight && !state.discovered.has(address)) state.dials.delete(address)
}

function logFailure(dial: Dial, input: { address: string; outcome: string }, out: ClusterOutput[]): void {
  if (dial.logged) return
  dial.logged = true
  const text = `${input.address} does not link (${input.outcome}); it is dialled again without further notice`
  // A refusal has been told already, with its reason, by the shell that saw the handshake.
  out.push(
    logged(input.outcome === 'rejected' || input.outcome === 'taken' ? 'debug' : 'info', text, {
      address: input.address,
      outcome: input.outcome,
    }),
  )
}
