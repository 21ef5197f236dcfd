/**
 * The contract of the membership machine: the frames that two machines exchange, what goes into one, what comes out,
 * and its configuration. The machine itself stands in `membership.ts`; a shell needs this file and that one only.
 */
import type { BootId, Member, MemberInfo, Phase, View } from './member.js'

/** Frames that two membership machines exchange. `message` and its carriers are opaque loads of the layers above. */
export type ClusterFrame =
  | { type: 'ping'; seq: number }
  | { type: 'ack'; seq: number }
  /** Ask the receiver to probe `subject`; it answers `pingReqAck` when the subject acked, else nothing (nack: `ok` false). */
  | { type: 'pingReq'; seq: number; subject: BootId }
  | { type: 'pingReqAck'; seq: number; ok: boolean }
  /** News of members; each record is joined into the receiver's table. */
  | { type: 'news'; members: readonly Member[] }
  /** "I was refused at the very address of `subject`": one of the two proofs that its process is gone. */
  | { type: 'refused'; subject: BootId }
  /** The last frame of a leaver. */
  | { type: 'bye' }
  /** A message of an upper layer. */
  | { type: 'message'; message: unknown }
  /** The same with the sender's members: the receiver joins them and applies its view before it delivers. */
  | { type: 'carry'; members: readonly Member[]; message: unknown }
  /** The same for a member to whom the sender has no link: passed on once by a common neighbour. */
  | { type: 'relay'; from: BootId; to: BootId; members: readonly Member[]; message: unknown }

/**
 * What came of a dial. `linked` follows after linkUp. `refused`: nobody listens there. `self`: it led to ourselves.
 * `rejected`: the handshake was. `taken`: it was because our name is still held by a node at another address.
 */
export type DialOutcome = 'linked' | 'refused' | 'failed' | 'self' | 'rejected' | 'taken'

export type ClusterInput =
  /**
   * A handshake with this peer ended well; sent on both sides. A later linkUp of the same boot replaces the link.
   * `via`: it is a relayed one, through this neighbour. `carries`: the peer can carry relayed links of ours.
   * `continues`: a direct link took over from a relayed one, and no frame was lost or came out of order.
   */
  | {
      type: 'linkUp'
      peer: MemberInfo
      incarnation: number
      phase: Phase
      via?: BootId | undefined
      carries?: boolean
      continues?: boolean
    }
  /** The link is gone. `byPeer`: the far end closed or reset it (a process that died does that). */
  | { type: 'linkDown'; boot: BootId; byPeer: boolean }
  | { type: 'frame'; from: BootId; frame: ClusterFrame }
  /** What discovery says now: a hint, never the truth. The first one starts the gate. */
  | { type: 'discovered'; addresses: readonly string[] }
  /** The answer to a `dial`. */
  | { type: 'dialled'; address: string; outcome: DialOutcome; boot?: BootId }
  /** The answer to a `dialThrough`; where `linked`, linkUp came before. */
  | { type: 'dialledThrough'; boot: BootId; via: BootId; linked: boolean }
  /** The answer to `lock`: it is held, and what discovery said after that was told. */
  | { type: 'locked' }
  /** Something was sent to this member past the machine, or could not be for want of a link. Told now and then. */
  | { type: 'used'; boot: BootId }
  /** Send an upper layer's message. `carry`: with our members. Without a link: relayed when `relay`, else dropped. */
  | { type: 'send'; to: BootId; message: unknown; carry: boolean; relay: boolean }
  /** The layers above are synced (or there is none): announce `up`. */
  | { type: 'ready' }
  /** What we say of ourselves changed (kinds, cordon). */
  | { type: 'describe'; info: MemberInfo }
  /** Announce that we leave; `bye` ends it. */
  | { type: 'leave' }
  | { type: 'bye' }
  /** After `condemned`: go on as another boot with this id, 128 random bits, that begins now by the wall clock. */
  | { type: 'rejoin'; boot: BootId; startedAt: number }
  /**
   * The answer to `defer`: two turns of the event loop have passed, and what was in the sockets has been read. That alone
   * took `waitedMs` more, without stalls: such a verdict is no late one, or a node that has much to read gave none.
   */
  | { type: 'verdict'; token: number; waitedMs: number }
  /** The deadline has come. */
  | { type: 'wake' }

export type ClusterOutput =
  | { type: 'transmit'; to: BootId; frame: ClusterFrame }
  | { type: 'dial'; address: string }
  /** Make a link to `boot` that goes through the neighbour `via`. */
  | { type: 'dialThrough'; boot: BootId; via: BootId }
  | { type: 'close'; boot: BootId; reason: string }
  /** `formation` was not met in time, and says `fail`: once. The gate opens all the same when it is met later. */
  | { type: 'notFormed'; members: number }
  /** Ask discovery again at once. */
  | { type: 'refresh' }
  /** Take the locks of discovery, ask it anew, then give `locked`; once. What is held may be let go after `gateOpen`. */
  | { type: 'lock' }
  /** Give `verdict` with this token back after two turns of the event loop, and when all that had come by then is read. */
  | { type: 'defer'; token: number }
  /** We were declared down by others while alive: this boot is over. `rejoin` makes another one of it. */
  | { type: 'condemned'; by: BootId }
  /** We stood still for so long that others may hold us to be down: hold received calls until `trusted`. */
  | { type: 'stalled' }
  | { type: 'trusted' }
  | ClusterUpward
  | { type: 'dropped'; from: BootId; reason: string }
  | LogOutput

/** What the layers above get, in this order; these are inputs of the tracker machine as they stand. */
export type ClusterUpward =
  | { type: 'view'; view: View }
  /** This node goes on as another boot, `self`. `members` are all it knows now; each is told as `member` after this. */
  | { type: 'rejoined'; self: MemberInfo; members: readonly Member[] }
  /** A link, direct or relayed, is up or gone: what was under way on one that is gone may be lost. */
  | { type: 'linked'; boot: BootId }
  | { type: 'unlinked'; boot: BootId }
  /** A member's phase or suspicion changed (also first sight: `previous` undefined). */
  | { type: 'member'; member: Member; previous: Member | undefined; reason: string }
  /** A message for the layers above; `from` is its maker, also when a neighbour passed it on. */
  | { type: 'message'; from: BootId; message: unknown }
  /** The join gate is open: see PROTOCOL.md section 2. */
  | { type: 'gateOpen'; reason: string }

export interface LogOutput {
  type: 'log'
  level: 'debug' | 'info' | 'warn' | 'error'
  text: string
  fields: Record<string, unknown>
}

export interface MembershipConfig {
  readonly self: MemberInfo
  /** Is any discovery configured? Without it the gate opens at once. */
  readonly discovery: boolean
  readonly seed: number
  readonly limits: MembershipLimits
  /** Of a node's first boot; undefined: those whom it meets may be all. */
  readonly formation?: Formation | undefined
  /** Has discovery locks, which a node's first boot must hold to be the first that opens its gate? */
  readonly lock?: boolean
}

/** When nodes that start may take themselves for a new cluster. Where one exists, a newcomer joins it at once. */
export interface Formation {
  /** So many members, this node among them. */
  readonly expect: number
  /** That many for so long, with nobody coming or going. */
  readonly stableMs: number
  readonly withinMs: number
  /** What becomes of a node that has not met as many in time: it serves all the same, or is told so and waits on. */
  readonly otherwise: 'fail' | 'continue'
}

/** All in milliseconds where the name ends in Ms. Defaults in PROTOCOL.md section 2 "Defaults". */
export interface MembershipLimits {
  readonly probeMs: number
  readonly probeTimeoutMs: number
  readonly indirectProbes: number
  readonly suspicionMinMs: number
  readonly suspicionMaxMs: number
  readonly redialMinMs: number
  readonly redialMaxMs: number
  /** How long a member that was declared down is dialled on: it may have been a cut. */
  readonly redialDownMs: number
  readonly gateMs: number
  readonly gateSilentMs: number
  /** How long the gate waits for the locks of discovery before it opens without. */
  readonly lockMs: number
  readonly viewBatchMs: number
  readonly viewMinGapMs: number
  readonly lateTimerMs: number
  readonly rememberGoneMs: number
  readonly maxGone: number
  readonly maxMembers: number
}

export const membershipLimits: MembershipLimits = {
  probeMs: 1000,
  probeTimeoutMs: 500,
  indirectProbes: 3,
  suspicionMinMs: 2000,
  suspicionMaxMs: 6000,
  redialMinMs: 100,
  redialMaxMs: 2000,
  redialDownMs: 3600 * 1000,
  gateMs: 3000,
  gateSilentMs: 1000,
  lockMs: 30_000,
  viewBatchMs: 250,
  viewMinGapMs: 50,
  lateTimerMs: 200,
  rememberGoneMs: 24 * 3600 * 1000,
  maxGone: 4096,
  maxMembers: 1024,
}
