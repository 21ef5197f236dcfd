/**
 * What a node knows of the votes by which its part of a split cluster may go on, and by which rule they win; see
 * partition.ts for the whole of it.
 */
import type { BootId, MembershipLimits } from '@skep/cluster/core'
import type { Base, BaseMember } from './messages.js'

/** Which part of a split cluster goes on; the others halt. `serve`: all do. */
export type PartitionPolicy = 'serve' | 'majority' | 'keep-oldest' | { readonly quorum: number }

export interface PartitionTimes {
  /** A vote counts so long from when the beat was sent that it answers. */
  readonly pauseMs: number
  /** What a lost member held is left alone so long after votes that win have given it up. */
  readonly takeoverMs: number
  readonly beatMs: number
  /** How long a view stands before it becomes the base. */
  readonly stableMs: number
}

/** Of the policy and its times; where the tracker has none, the policy is `serve`. */
export interface PartitionConfig extends PartitionTimes {
  readonly policy: Exclude<PartitionPolicy, 'serve'>
}

/**
 * The times that follow from the bounds of the failure detector. The suspicion's maximum as it is, not stretched by the
 * number of members as the detector does: the sides of a split see different numbers, and the one that waits must wait
 * for what the other one does. The margin is for clocks that run at different rates.
 */
export function partitionTimes({ suspicionMaxMs }: Pick<MembershipLimits, 'suspicionMaxMs'>): PartitionTimes {
  const beatMs = Math.max(1, Math.min(500, Math.floor(suspicionMaxMs / 12)))
  return { pauseMs: suspicionMaxMs, takeoverMs: suspicionMaxMs + marginMs(suspicionMaxMs), beatMs, stableMs: 10_000 }
}

function marginMs(pauseMs: number): number {
  return Math.max(2000, pauseMs / 4)
}

/** The policy in a word, for beats and logs. */
export function policyWord(policy: PartitionPolicy): string {
  return typeof policy === 'string' ? policy : `quorum ${policy.quorum}`
}

/** What a member last said. */
export interface Voter {
  life: BootId
  heardAt: number
  /** The time in its latest beat, to be repeated. */
  at: number
  /** By our clock: it has heard the beat that we sent then. */
  confirmed: number
  pauseMs: number
  keys: readonly string[]
  /** Of the base that it counts against; empty while that is not known. */
  genesis: string
  ready: string
  lost: ReadonlySet<BootId>
}

/** A member that was lost, by our own finding or another's. */
export interface Loss {
  /** When we heard of it; once it has halted, when we learned that. */
  at: number
  /** Since when votes that win have said so without a break. */
  since: number | undefined
  /** It has halted, or is gone for sure. */
  stopped: boolean
}

export interface PartitionState {
  readonly config: PartitionConfig
  /** The first boot id of this process. */
  readonly life: BootId
  halted: boolean
  /** Until when the votes at hand win. */
  until: number
  /** Until when this node, that has only just met the cluster, need not know of any votes. */
  graceUntil: number
  base: Base | undefined
  /** Proposals that may have become the base somewhere: a win is owed in each of them. */
  pending: Base[]
  /** The one of them that this node proposes now. */
  ready: string
  voters: Map<BootId, Voter>
  /** Lives that are over for sure: they count no more. */
  gone: Set<BootId>
  lost: Map<BootId, Loss>
  view: { key: string; since: number }
  /** When this node last made a proposal of its own. */
  proposedAt: number
  /** Names whose processes are paused. */
  held: Map<string, number>
  /** Nodes that were told to have another policy. */
  told: Set<string>
  nextBeatAt: number
}

export function initPartition(
  config: PartitionConfig | undefined,
  life: BootId,
  now: number,
): PartitionState | undefined {
  if (config === undefined) return undefined
  return {
    config,
    life,
    halted: false,
    until: config.policy === 'majority' || config.policy === 'keep-oldest' ? Number.POSITIVE_INFINITY : now,
    graceUntil: now + config.pauseMs,
    base: undefined,
    pending: [],
    ready: '',
    voters: new Map(),
    gone: new Set(),
    lost: new Map(),
    view: { key: '', since: now },
    proposedAt: Number.NEGATIVE_INFINITY,
    held: new Map(),
    told: new Set(),
    nextBeatAt: now + config.beatMs,
  }
}

export function lifeOf({ voters }: PartitionState, boot: BootId): BootId {
  return voters.get(boot)?.life ?? boot
}

export function takeoverMs({ config, voters }: PartitionState): number {
  let most = config.takeoverMs
  for (const { pauseMs } of voters.values()) most = Math.max(most, pauseMs + marginMs(pauseMs))
  return most
}

/** The base, and the proposals in which a win is owed as well. */
export function setsOf({ base, pending }: PartitionState): readonly Base[] {
  return base === undefined ? pending : [base, ...pending]
}

/** Do these lives win against a base? */
export function wins(
  { config: { policy }, gone }: Pick<PartitionState, 'config' | 'gone'>,
  { members }: Base,
  lives: ReadonlySet<BootId>,
): boolean {
  const counted = members.filter(({ life }) => !gone.has(life))
  const there = counted.filter(({ life }) => lives.has(life))
  if (policy === 'majority') {
    if (there.length * 2 !== counted.length) return there.length * 2 > counted.length
    // Exactly half: that with the smallest id. (The members are in that order.)
    return counted.length === 0 || there[0] === counted[0]
  }
  if (policy !== 'keep-oldest') return true
  if (counted.length === 0) return true
  const oldest = counted.reduce((first, one) => (isOlder(one, first) ? one : first))
  // An oldest member that is alone against all others gives way to them, or the loss of one node would stop all.
  if (there.includes(oldest)) return there.length > 1 || counted.length <= 2
  return counted.length > 2 && there.length === counted.length - 1
}

function isOlder(a: BaseMember, b: BaseMember): boolean {
  return a.startedAt !== b.startedAt ? a.startedAt < b.startedAt : a.life < b.life
}

export function winAll(partition: PartitionState, lives: ReadonlySet<BootId>): boolean {
  const { policy } = partition.config
  if (typeof policy === 'object') return lives.size >= policy.quorum
  return setsOf(partition).every((set) => wins(partition, set, lives))
}
