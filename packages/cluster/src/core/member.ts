/**
 * What one node knows of another: a member record, how two records of one boot are joined, and the view made of them.
 *
 * A record is a join-semilattice, so news may arrive in any order and any number of times: `phase` only rises
 * (joining < up < leaving < down < left; down and left are final for a boot, a node that was condemned comes back
 * under a new boot id), and (incarnation, suspect) is compared as SWIM does (Das, Gupta, Motivala 2002): a higher
 * incarnation wins, at equal incarnation suspicion wins.
 */

/** 128 random bits in base64url; made at process start, the identity of one life of a node. */
export type BootId = string

export type Phase = 'joining' | 'up' | 'leaving' | 'down' | 'left'

/** What a node says of itself; replaced as a whole, under a higher incarnation, when it changes. */
export interface MemberInfo {
  readonly boot: BootId
  /** The configured node name, unique in the cluster. */
  readonly name: string
  /** `host:port` at which others reach it. */
  readonly address: string
  readonly roles: readonly string[]
  /** Share of placed names relative to others; 0 hosts nothing. */
  readonly weight: number
  readonly cordoned: boolean
  /** Actor kinds that this node can start. */
  readonly kinds: readonly string[]
  /** The application's own version, for people. */
  readonly version: string
  /**
   * When this boot began, in milliseconds of its own wall clock: tells of two boots under one name and address which
   * is the later one. Where the clock was set back in between, the later one is condemned, and comes back at once.
   */
  readonly startedAt: number
  /** Its part of a split cluster may not go on, by the partition policy. Absent means false. */
  readonly halted?: boolean
}

export interface Member {
  readonly info: MemberInfo
  readonly phase: Phase
  readonly incarnation: number
  readonly suspect: boolean
}

/** The members that count for ring and slots (joining and up), sorted by name, then boot id. */
export interface View {
  /** Rises by one at each change that this node applies; local to the node. */
  readonly number: number
  readonly members: readonly MemberInfo[]
}

const RANK: Record<Phase, number> = { joining: 0, up: 1, leaving: 2, down: 3, left: 4 }

/** The join of two records of one boot. Returns `a` itself when `b` says nothing new. */
export function joinMember(a: Member, b: Member): Member {
  const phase = RANK[b.phase] > RANK[a.phase] ? b.phase : a.phase
  const newer = b.incarnation > a.incarnation
  // The very object where it says the same: a refuted suspicion is no change that a view would have to show.
  const info = newer && !sameInfo(a.info, b.info) ? b.info : a.info
  const incarnation = newer ? b.incarnation : a.incarnation
  const suspect = b.incarnation === a.incarnation ? a.suspect || b.suspect : newer ? b.suspect : a.suspect
  if (phase === a.phase && incarnation === a.incarnation && suspect === a.suspect && info === a.info) return a
  return { info, phase, incarnation, suspect }
}

/** Do two descriptions of one boot say the same? Its name and address never change. */
function sameInfo(a: MemberInfo, b: MemberInfo): boolean {
  if (a === b) return true
  if ((a.halted ?? false) !== (b.halted ?? false)) return false
  if (a.weight !== b.weight || a.cordoned !== b.cordoned || a.version !== b.version) return false
  return sameList(a.roles, b.roles) && sameList(a.kinds, b.kinds)
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((entry, i) => entry === b[i])
}

/** True from the HELLO until the node announces that it leaves, or is down. */
export function inView(member: Member): boolean {
  return RANK[member.phase] <= RANK.up
}

/** True once nothing more is to be expected of this boot. */
export function isGone(member: Member): boolean {
  return RANK[member.phase] >= RANK.down
}

/** In ms since 1970: no clock that means anything says that, and what is later still has no order. */
export const latestStart: number = 2 ** 48

/** Of two boots under one name and address: did `a` begin after `b`, so that `b` is gone? */
export function succeeds(a: MemberInfo, b: MemberInfo): boolean {
  return a.startedAt !== b.startedAt ? a.startedAt > b.startedAt : a.boot > b.boot
}

/** The host of the address at which others reach it: members with the same one stand and fall with one machine. */
export function machineOf({ address }: MemberInfo): string {
  return address.slice(0, address.lastIndexOf(':'))
}

export function compareInfo(a: MemberInfo, b: MemberInfo): number {
  if (a.name !== b.name) return a.name < b.name ? -1 : 1
  return a.boot < b.boot ? -1 : a.boot > b.boot ? 1 : 0
}
