/**
 * What all timers of the detector share: how patient they are, whom they ask for help, and how a verdict waits.
 */
import type { ClusterOutput } from './contract.js'
import { type BootId, inView } from './member.js'
import { sample } from './random.js'
import type { MembershipState } from './state.js'

/** Lifeguard: whoever is ill itself is more patient with others. */
export function stretched(state: MembershipState, ms: number): number {
  return ms * (state.health + 1)
}

/** A verdict waits until what has already arrived has been read; the answer carries this token. */
export function defer(state: MembershipState, out: ClusterOutput[]): number {
  const token = ++state.lastToken
  out.push({ type: 'defer', token })
  return token
}

/** Asks a few of `among` to probe the subject; returns whom. */
export function askOthers(
  state: MembershipState,
  subject: BootId,
  seq: number,
  among: Iterable<BootId>,
  out: ClusterOutput[],
): readonly BootId[] {
  const able: BootId[] = []
  for (const boot of among) {
    const member = state.members.get(boot)
    if (boot !== subject && member && inView(member) && !member.suspect) able.push(boot)
  }
  const asked = sample(state.random, able, state.config.limits.indirectProbes)
  for (const to of asked) out.push({ type: 'transmit', to, frame: { type: 'pingReq', seq, subject } })
  return asked
}
