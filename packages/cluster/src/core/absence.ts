/**
 * The short way to 'down': a process that was killed is noticed within a few frames, not after a suspicion. Its kernel
 * closes its links and refuses new ones, so the proof is: the far end closed our link, a redial of its very address is
 * refused, and a second member (or the only one) is refused there too. Either alone is not enough: a link may break
 * for many reasons, and one refusal may come of something between the two of us.
 */
import type { ClusterOutput } from './contract.js'
import { dialNow } from './dialling.js'
import { type BootId, inView } from './member.js'
import type { Absence, MembershipState } from './state.js'
import { declareDown } from './table.js'

/** The far end closed our link: dials its address in this very step. */
export function noteClosed(state: MembershipState, boot: BootId, address: string, out: ClusterOutput[]): void {
  absenceOf(state, boot).closed = true
  dialNow(state, address, out)
}

/** A new link: whatever spoke against it is void. */
export function endAbsence(state: MembershipState, boot: BootId): void {
  state.absences.delete(boot)
}

/** We were refused at this address: tells the others, and judges those that listened there. */
export function noteRefused(state: MembershipState, address: string, now: number, out: ClusterOutput[]): void {
  for (const [boot, absence] of [...state.absences]) {
    const member = state.members.get(boot)
    if (member?.info.address !== address || state.links.has(boot)) continue
    absence.refused = true
    for (const to of state.links) out.push({ type: 'transmit', to, frame: { type: 'refused', subject: boot } })
    judge(state, boot, absence, now, out)
  }
}

/** Another member was refused at the address of `subject`; we look for ourselves unless a link says otherwise. */
export function hearRefused(
  state: MembershipState,
  subject: BootId,
  from: BootId,
  now: number,
  out: ClusterOutput[],
): void {
  const member = state.members.get(subject)
  if (member === undefined || !inView(member) || member === state.self) return
  const absence = absenceOf(state, subject)
  absence.reports.set(from, now)
  if (state.links.has(subject)) return
  if (!absence.refused) dialNow(state, member.info.address, out)
  judge(state, subject, absence, now, out)
}

function judge(state: MembershipState, boot: BootId, absence: Absence, now: number, out: ClusterOutput[]): void {
  if (absence.closed && absence.refused && isSeconded(state, absence, now)) {
    declareDown(state, boot, 'refused', now, out)
  }
}

/** Reports lapse, or one of long ago would second a refusal of today. */
function isSeconded(state: MembershipState, absence: Absence, now: number): boolean {
  for (const at of absence.reports.values()) if (now - at <= state.config.limits.suspicionMaxMs) return true
  // Where there are only the two of us, nobody else can.
  return state.view.members.length <= 2
}

function absenceOf(state: MembershipState, boot: BootId): Absence {
  const known = state.absences.get(boot)
  if (known) return known
  const absence: Absence = { closed: false, refused: false, reports: new Map() }
  state.absences.set(boot, absence)
  return absence
}
