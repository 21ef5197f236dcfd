/**
 * What the tracker machine takes, gives and remembers. `tracker.ts` is its one door; the files beside it each own one
 * idea and a part of this state: logs (the registry), sync, slots (TAKE), claims (asks, grants), placement, ids.
 */

import type { BootId, ClusterUpward, LogOutput, MemberInfo, Phase, Random, View } from '@skep/cluster/core'
import type * as itc from './itc.js'
import type { Registry } from './logs.js'
import type {
  Claim,
  DigestEntry,
  Ended,
  GroupOf,
  Lineage,
  Membership,
  NameEvent,
  NodeRequest,
  Op,
  Source,
  Strike,
  Terms,
  TrackerMessage,
} from './messages.js'
import type { LogImage, Replacement } from './replace.js'
import type { RingParameters, RingTable } from './ring.js'
import type { OwnStrategy } from './strategies.js'
import type { PartitionConfig, PartitionState } from './votes.js'

export type TrackerInput =
  | ClusterUpward
  /** The queue to this peer is below its low mark again; ops may have been dropped. */
  | { type: 'drained'; boot: BootId }
  /** Ask for a name. With `pid` the claim is put as soon as it is granted, else `granted` waits for commit or abandon. */
  | {
      type: 'claim'
      ask: number
      name: string
      kind?: string | undefined
      meta?: unknown
      pid?: number | undefined
      mode?: 'owner' | 'local' | undefined
    }
  | { type: 'commit'; ask: number; pid: number }
  | { type: 'abandon'; ask: number; code?: string; text?: string }
  /** Start where the ring says, or its terms. */
  | { type: 'spawn'; ask: number; name: string; kind: string; spec: unknown; meta?: unknown; terms?: Terms | undefined }
  /** The caller does not want the outcome of this ask any more (it timed out or was aborted). */
  | { type: 'forget'; ask: number }
  /** Requests to the node of the name or pid, which may be this one. */
  | { type: 'request'; ask: number; request: NodeRequest }
  /**
   * A local process ended: its names and groups go; with `keepPlaced` placed names stay, to be restarted elsewhere.
   * `ended`: it did so by itself, so what becomes of its placed names is for their restart policies to say.
   */
  | { type: 'gone'; pid: number; keepPlaced?: boolean; ended?: Ended | undefined }
  /** The barrier: all own writes so far are known to `want` members. */
  | { type: 'flush'; ask: number; want: 'all' | number }
  /** Should winners' changes be reported as `event`? */
  | { type: 'watch'; on: boolean }
  /** This node's own description changed (kinds, cordon). */
  | { type: 'describe'; info: MemberInfo }
  /** The paused process of `export` in bytes. */
  | { type: 'exported'; pid: number; name: string; number: number; state: Uint8Array }
  /** It cannot be handed over (its code says so, or it did not come to rest in time): `resume` follows. */
  | { type: 'exportFailed'; pid: number; name: string; number: number; code: string; text: string }
  /** Hand every placed process of this node over, until `emptied`: this node is cordoned and about to leave. */
  | { type: 'drain' }
  /** Take nothing new and write no claim any more: given in the same turn in which the cluster announces `leaving`. */
  | { type: 'leave' }
  /** The local processes have ended, nothing more will be written: hand over, then `left`. */
  | { type: 'part' }
  | { type: 'wake' }
  | { type: 'continue' }

export type TrackerOutput =
  /** An input of the membership machine as it stands. */
  | { type: 'send'; to: BootId; message: TrackerMessage; carry: boolean; relay: boolean }
  /** Joined and synced: an input of the membership machine as it stands. */
  | { type: 'ready' }
  | { type: 'granted'; ask: number; fence: number }
  /**
   * The host's side of a placed name, granted: run its init (or with `state`, for the cause `handoff`, make the process
   * of that), then commit or abandon this ask.
   */
  | {
      type: 'activate'
      ask: number
      name: string
      kind: string
      spec: unknown
      fence: number
      cause: Ask['cause']
      /** What the source exported, and where that was. */
      state: Uint8Array | undefined
      source: BootId | undefined
    }
  /** Pause this process once its running call has ended, then give `exported` or `exportFailed` with this number. */
  | { type: 'export'; pid: number; name: string; number: number; to: BootId }
  /** It goes on here after all. */
  | { type: 'resume'; pid: number; name: string }
  /** It goes on as this claim's: pass on what waits, and what still comes, in order; the process itself is over. */
  | { type: 'release'; pid: number; name: string; to: Claim }
  /** Everybody who is linked knows where it went: nothing more comes. */
  | { type: 'passed'; pid: number; name: string }
  /** What can be handed over is; these names are not, each with the reason. Once a `drain`. */
  | { type: 'emptied'; left: readonly { readonly name: string; readonly reason: string }[] }
  | { type: 'registered'; ask: number; claim: Claim }
  | { type: 'refused'; ask: number; code: string; text: string; holder: Claim | undefined }
  | { type: 'done'; ask: number }
  /** This node's process lost the name and must end. */
  | {
      type: 'deactivate'
      pid: number
      name: string
      reason: 'conflict' | 'superseded'
      /** Undefined where the name was stopped elsewhere meanwhile. */
      winner: Claim | undefined
    }
  /** A name of a process that went on when this node rejoined is its own again, with a new fence. */
  | { type: 'kept'; claim: Claim }
  | { type: 'event'; event: NameEvent }
  /** This node's part of the cluster may not go on, or goes on again: processes with names pause (partition.ts). */
  | { type: 'halted'; on: boolean }
  /** A paused process whose name is its own may run again. */
  | { type: 'resumed'; pid: number; name: string }
  /** Everything is handed over: the node may say bye. */
  | { type: 'left' }
  | { type: 'continue' }
  | { type: 'dropped'; from: BootId; reason: string }
  | LogOutput

/** In milliseconds where the name ends in Ms; the reasons stand in PROTOCOL.md. */
export interface TrackerLimits {
  readonly digestMs: number
  readonly askAgainMs: number
  readonly takeAgainMs: number
  readonly takeSilenceMs: number
  /** How long a down boot's log is waited for before a slot is held without it. */
  readonly downLogMs: number
  /** How long any log is waited for, when the premise of section 4.3 is already broken. */
  readonly anyLogMs: number
  readonly grantCheckMs: number
  readonly pullMs: number
  /** A transfer whose receiver has not asked for more for so long is given up. */
  readonly transferMs: number
  readonly forgetMs: number
  /** How much longer a gone boot's log is kept while a placed name of it waits for a node that can host it. */
  readonly orphanMs: number
  readonly sweepMs: number
  readonly lateMs: number
  /** How long another node may take to answer a request. */
  readonly requestMs: number
  readonly idAskMs: number
  /** How long a leaver waits until everybody has its log and one has its id. */
  readonly partMs: number
  readonly startMs: number
  /** How long a source waits for the target's claim before it asks for the name again. */
  readonly handoffMs: number
  /** How long a process may take to come to rest and to be exported. */
  readonly exportMs: number
  /** How long a source waits until all members know where a process went. */
  readonly knownMs: number
  /** After how long a member that did not know it yet is asked again. */
  readonly knownAgainMs: number
  /** How long after a failed handoff its target is not tried again with that name. */
  readonly shunMs: number
  /** Handoffs that a source has on the way to their targets at once. */
  readonly maxHandoffs: number
  /** Those whose target has the name, and of which not all know yet. */
  readonly maxPassing: number
  /** Bytes of exported states on their way, above which no further handoff is begun. */
  readonly handoffBytes: number
  /** Handoffs that a target takes in at once; more are refused, and come again. */
  readonly maxTargets: number
  /** How long a host asks for a name whose start the holder of the slot may know nothing of. */
  readonly hostAskMs: number
  /** For how long at most those who ask wait for a name that rests after a failure; others hear of it. */
  readonly restWaitMs: number
  readonly massLossMs: number
  readonly massLossPauseMs: number
  /** Asks that may wait at an owner, all names together. */
  readonly maxWaiting: number
  /** Placed names that this node has started at once, at whatever hosts; those that rest after a failure not counted. */
  readonly maxStarting: number
  /** Asks open at this node, its own callers'. */
  readonly maxAsks: number
  /** Asks open at once for names that this node kept across a rejoin; the others wait their turn. */
  readonly maxKept: number
  /** Logs being sent to one peer at once. */
  readonly maxTransfers: number
  /** Names looked at in one step where there may be many: well under 5 ms. */
  readonly sliceNames: number
  /** Bytes of one chunk of a log, roughly. */
  readonly chunkBytes: number
  /** Chunks of a log on the way to one peer, 1 MB: the receiver sets the pace, not the queue of the link. The same everywhere. */
  readonly maxChunks: number
  /** Ops kept while a log is being transferred: by its sender until they are sent, by its receiver until it is there. */
  readonly maxBuffered: number
  /** Ops of a log kept for peers that missed a few; a sixteenth at least, however few entries it has. */
  readonly maxTail: number
  /** Deepest id that a donor forks further before it starts a new lineage. */
  readonly maxIdDepth: number
  /** Leaves of a stamp past which its maker starts a new lineage. */
  readonly maxStampLeaves: number
}

export const trackerLimits: TrackerLimits = {
  digestMs: 1000,
  askAgainMs: 1500,
  takeAgainMs: 1000,
  takeSilenceMs: 1000,
  downLogMs: 1000,
  anyLogMs: 5000,
  grantCheckMs: 5000,
  pullMs: 2000,
  transferMs: 10_000,
  forgetMs: 60_000,
  orphanMs: 24 * 3600 * 1000,
  sweepMs: 100,
  lateMs: 500,
  requestMs: 5000,
  idAskMs: 1000,
  partMs: 2000,
  startMs: 5000,
  handoffMs: 5000,
  exportMs: 10_000,
  knownMs: 1000,
  knownAgainMs: 10,
  shunMs: 3000,
  maxHandoffs: 32,
  maxPassing: 1024,
  handoffBytes: 8 * 2 ** 20,
  maxTargets: 512,
  hostAskMs: 10_000,
  restWaitMs: 3000,
  massLossMs: 10_000,
  massLossPauseMs: 30_000,
  maxWaiting: 100_000,
  maxStarting: 512,
  maxAsks: 100_000,
  maxKept: 1024,
  maxTransfers: 8,
  sliceNames: 500,
  chunkBytes: 60_000,
  maxChunks: 16,
  maxBuffered: 100_000,
  maxTail: 1024,
  maxIdDepth: 48,
  maxStampLeaves: 16,
}

/** Whether placed processes follow when the ring gives their names to another node. */
export interface Rebalance {
  /** `eager`: as fast as can be; `gradual`: at most `rate` a second for each holder of slots; `never`. */
  readonly mode: 'eager' | 'gradual' | 'never'
  /** Names a second. */
  readonly rate: number
  /** How long the view must have stood still before. */
  readonly afterMs: number
}

export const rebalanceDefaults: Rebalance = { mode: 'gradual', rate: 50, afterMs: 2000 }

export interface TrackerConfig {
  readonly self: MemberInfo
  readonly rebalance: Rebalance
  /** Where this node's fence counter starts: its wall clock in milliseconds. */
  readonly counter: number
  readonly seed: number
  readonly ring: RingParameters
  readonly limits: TrackerLimits
  /** Which part of a split cluster goes on; all do where it is not given. */
  readonly partition?: PartitionConfig
  /** Strategies of users by their ids. They must not throw. */
  readonly strategies?: ReadonlyMap<string, OwnStrategy>
}

/** A member as the tracker sees it. */
export interface Peer {
  info: MemberInfo
  phase: Phase
  /** Its interval tree clock lineage and depth, as last heard. */
  lineage: Lineage | undefined
  depth: number
  /** A pull of its own log got no answer: until it is heard again the log is asked of others. */
  mute: boolean
}

/** A wish for a name by this node, from its first CLAIM to its outcome. */
export interface Ask {
  /** The number by which the shell knows it; below 0 for those that a `start` message made. */
  readonly id: number
  readonly name: string
  readonly slot: number
  readonly kind: string | undefined
  readonly meta: unknown
  readonly spec: unknown
  /** For a placed name: the request that started it, and its terms. */
  readonly origin: string | undefined
  readonly terms: Terms | undefined
  /** How it failed before, as of when this ask came. */
  readonly failures: readonly number[] | undefined
  /**
   * `claim`: here; `spawn`: where the ring says; `host`: the ring said here; `kept`: it runs here since an earlier boot;
   * `target`: it was handed over to here; `retake`: handing it over failed.
   */
  readonly role: 'claim' | 'spawn' | 'host' | 'kept' | 'target' | 'retake'
  /** Claimed without the owner. */
  local: boolean
  readonly cause: 'spawn' | 'failover' | 'handoff'
  /** To whom `startFailed` goes. */
  starter: BootId | undefined
  /** The number of the latest message to an owner; grants for older ones are void. */
  number: number
  owner: BootId | undefined
  sentAt: number
  /** The fence granted, while the grant stands. */
  fence: number | undefined
  /** The shell was told `granted` or `activate` once. */
  told: boolean
  /** The process that is to hold the name; known at once or from commit. */
  pid: number | undefined
  readonly openedAt: number
  /** The claim that a spawn's reply named and that is not visible here yet. */
  awaited: Claim | undefined
  /** The process lived under this claim as an earlier boot of this node; it is asked for again. */
  readonly kept: Claim | undefined
  /** The very claim that is to be replaced, with its fence. */
  readonly from: (Source & { readonly fence: number }) | undefined
  /** What a target was given. */
  readonly handed: { readonly number: number; readonly groups: readonly GroupOf[] } | undefined
  /** What the source exported, until the process is made of it. */
  image: Uint8Array | undefined
}

/** A process of this node on its way to another one (handoff.ts). */
export interface Handoff {
  readonly name: string
  readonly pid: number
  readonly to: BootId
  /**
   * `wait`: it has only just come here; `export`: being paused; `sent`: the target has it; `retake`: asked for again;
   * `pass`: the target has the name.
   */
  stage: 'wait' | 'export' | 'sent' | 'retake' | 'pass'
  since: number
  /** Of this very export, and of the message to the target. */
  number: number
  /** The own claim as it was when it was exported. */
  from: (Source & { readonly fence: number }) | undefined
  bytes: number
  /** Those that it was in when it was exported. */
  groups: readonly string[]
  taken: Claim | undefined
  /** Who is told how it ends. */
  readonly askers: { readonly boot: BootId; readonly ask: number }[]
}

/** Why a process is not handed over. */
export interface MoveFault {
  readonly code: string
  readonly text: string
}

/** How far the others know the log of a target. */
export interface Barrier {
  asked: number
  sentAt: number
  readonly have: Map<BootId, number>
}

/** Names still to be handed over before this node leaves. */
export interface Draining {
  queue: string[]
  /** Names that nobody can or will take, or that must not go. */
  readonly stuck: Map<string, string>
  told: boolean
}

/** Names whose host may be another one by now, being looked through. */
export interface Rebalancing {
  readonly since: number
  names: Iterator<string> | undefined
  /** How many may be ordered at once now. */
  credit: number
}

/** A name given to one claimant, until its put, its "unused" or its end. */
export interface Grant {
  readonly name: string
  readonly slot: number
  readonly boot: BootId
  /** Of the start that it was given for; empty for a plain claim. */
  readonly origin: string
  ask: number
  fence: number
  checkedAt: number
}

/** An ask that waits at the owner: for the slot to be held, or for the outcome of a grant or a start. */
export interface Waiter {
  readonly from: BootId
  readonly message: Extract<TrackerMessage, { type: 'claim' | 'spawn' }>
}

/** A placed name being started by the holder of its slot. */
export interface Starting {
  readonly name: string
  readonly slot: number
  readonly origin: string
  readonly kind: string
  readonly spec: unknown
  readonly meta: unknown
  readonly terms: Terms | undefined
  readonly failover: boolean
  /** The fence of the claim in whose place it is started; 0 for none. */
  readonly above: number
  host: BootId | undefined
  /** Who is told the outcome; none for a failover. */
  caller: { readonly boot: BootId; ask: number } | undefined
  /** As of `failedAt`. */
  failures: readonly number[]
  failedAt: number
  nextAt: number
  /** Hosts where a restart of it has failed: the others come first. */
  failedOn: Set<BootId> | undefined
}

/** A log that a slot waits for. */
export interface Need {
  seq: number
  since: number
  pulledAt: number
  /** Whoever was asked did not answer, and it was waited for anew. */
  again: boolean
}

export interface Pull {
  readonly boot: BootId
  readonly from: BootId
  since: number
  /** The parts of a transfer so far. */
  image: (LogImage & { readonly base: number; chunk: number }) | undefined
  /** Ops that arrived meanwhile and are not in the image, by seq of the first. */
  buffered: { first: number; ops: readonly Op[] }[]
  bufferedOps: number
}

/** An id that was given to this node. */
export type Granted = Extract<TrackerMessage, { type: 'idGrant' }>

/** A log being sent to a peer in chunks. */
export interface Transfer {
  readonly to: BootId
  readonly boot: BootId
  readonly base: number
  readonly entries: Iterator<Claim | Membership | Strike, undefined>
  /** The receiver has the ops up to here. */
  seq: number
  chunk: number
  /** Of the chunks that the receiver has not said to have yet: of each how many it counts for, with its ops. */
  readonly weights: number[]
  /** When the last chunk was sent. */
  at: number
}

/** What a member answered to our TAKEs. */
export interface Taking {
  /** The slots that it has yielded in their present generation. */
  readonly acked: Set<number>
  /** The generation in which it was last asked for each slot that it was ever asked for. */
  readonly asked: Map<number, number>
  /** When it was last asked, and since when it has not answered. */
  askedAt: number
  silentSince: number | undefined
}

export interface Contest {
  readonly name: string
  readonly winner: Claim
  askedAt: number
  /** Of the latest question. */
  ask: number
}

export interface TrackerState {
  readonly config: TrackerConfig
  self: BootId
  registry: Registry
  peers: Map<BootId, Peer>
  links: Set<BootId>
  view: View
  /** The boots of the view by the ring's own order of names. */
  ringBoots: BootId[]
  table: RingTable | undefined
  /** What this node says of itself at present. */
  info: MemberInfo
  gate: boolean
  ready: boolean
  leaving: boolean
  /** Since when the last words are being handed over, and who has them all. */
  parting: { since: number; sentAt: number; seq: number; done: Set<BootId> } | undefined
  /** The `left` output was given. */
  departed: boolean
  watched: boolean
  random: Random
  /** The fence counter (PROTOCOL.md 4.1). */
  counter: number
  nextNumber: number
  nextHostAsk: number

  // slots
  held: Uint8Array
  /** Rises whenever `held` changes. */
  heldVersion: number
  heldCount: number
  /** Slots that the present view gives to this node. */
  ownedCount: number
  generation: number
  /** The generation in which the taking of each slot began; answers to older TAKEs are void for it. */
  slotGeneration: Uint32Array
  taking: Map<BootId, Taking>
  /** When to look again whom to ask and what to hold; -Infinity after a change of what that hangs on. */
  pursueAt: number
  /** When all of `needed` were looked at last. */
  needsSweptAt: number
  /** A member that has yielded nothing yet of what we take: until it answers, other answers change nothing. */
  awaited: BootId | undefined
  /** seqs that our logs must reach before a slot is held. */
  needed: Map<BootId, Need>
  /** The greatest seq heard of each log, in whatever digest. */
  told: Map<BootId, number>
  /** TAKEs that came before the gate opened: answered again when it opens. */
  early: Map<BootId, Extract<TrackerMessage, { type: 'take' }>>

  // claims
  /**
   * This node's asks by role and name: the first is open, the others wait for its outcome. The roles queue apart, for
   * a spawn, a kept process, and whoever waits for a name that is being started again, may wait for a host on this
   * very node.
   */
  readonly asks: Readonly<Record<Ask['role'], Map<string, Ask[]>>>
  /** All of them, by the shell's number. */
  askById: Map<number, Ask>
  /** Claims kept across a rejoin that are not asked for yet, by local pid number. */
  unasked: Map<number, Claim[]>
  /** How many of them each name has. */
  unaskedNames: Map<string, number>
  /** Takes them out of there, one by one; undefined while there are none. */
  unaskedNext: Iterator<Claim, undefined> | undefined
  grants: Map<string, Grant>
  waiting: Map<string, Waiter[]>
  waitingCount: number
  starting: Map<string, Starting>
  contests: Map<string, Contest>
  /** Local pid number -> its names; most have one, and a set of it would be a fifth of what an idle actor takes. */
  names: Map<number, string | Set<string>>
  /** Local pid number -> its groups. */
  groupsOf: Map<number, Set<string>>
  requests: Map<number, { to: BootId; since: number; readonly wish: NodeRequest; again: boolean }>
  flushes: Map<number, { seq: number; want: 'all' | number; done: Set<BootId>; sentAt: number }>
  /** Own ops not yet sent: one message for all of a step. */
  unsent: Op[]

  // sync
  pulls: Map<BootId, Pull>
  /** Logs that have come whole and are being put in the place of our copies. */
  replacements: Map<BootId, Replacement>
  transfers: Transfer[]
  /** Until ready: what the peers had when we met them. */
  targets: Map<BootId, readonly DigestEntry[]>
  nextDigestAt: number

  partition: PartitionState | undefined

  // placement
  /** How many members the latest views had, less those that have left since. */
  viewSizes: { readonly at: number; size: number }[]
  pausedUntil: number
  /** Own placed names that have failed lately, and since when they run here. */
  recovering: Map<string, number>

  // handoff
  handoffs: Map<string, Handoff>
  /** Own claims that belong elsewhere by the present view, and are to go there as soon as there is room. */
  ordered: Map<string, { readonly seq: number; readonly to: BootId }>
  /** By target. */
  barriers: Map<BootId, Barrier>
  /** Targets that failed with a name, and until when they are not tried again. */
  shunned: Map<string, { readonly boot: BootId; readonly until: number }>
  draining: Draining | undefined
  rebalancing: Rebalancing | undefined

  // ids
  lineage: Lineage
  id: itc.Id
  /** Ids forked for a boot that has not confirmed yet; `seq` of our log then. */
  pendingGrants: Map<BootId, { readonly id: itc.Id; readonly seq: number }>
  /** `granted`: it has come, and waits for logs. */
  seeking: { lineage: Lineage; from: BootId; since: number; granted: Granted | undefined } | undefined
  /** Leavers whose id was taken over. */
  inherited: Set<BootId>
  /** Who takes over our id; `got` once it has said so. */
  heir: { boot: BootId; got: boolean } | undefined
  /** All that was made in our region; goes along with a part of it. */
  made: itc.Event
  /** By name, what was made by claims of ours that stand no more: a new one of the name comes after it. */
  retired: Map<string, itc.Event>
  /** What was made in our region by names that are not remembered singly, and by its owners before us. */
  floor: itc.Event
  /** A stamp of ours was too large: the lineage is to be followed by another. */
  worn: boolean
  /** The stamp of a first claim under the present id and floor. */
  firstStamp: Claim['stamp'] | undefined

  nextSweepAt: number
  /** Orphans still to be looked at, and whether they all are to be, once more, after that. */
  reconciling: { readonly orphans: Iterator<Claim>; again: boolean } | undefined
  /** A `continue` is on its way. */
  continuing: boolean
}

/** One step: the state, its time and what it gives. Handed from function to function of the machine. */
export interface Turn {
  readonly state: TrackerState
  readonly now: number
  readonly out: TrackerOutput[]
  /** Messages of this node to itself: the owner is often the claimant or the host. */
  readonly inbox: TrackerMessage[]
  /** Names whose fate is known: whoever waits for one is decided upon anew. */
  readonly released: string[]
  /** Asks that have come to the head of their queue: sent one after the other, however long the queue was. */
  readonly risen: Ask[]
}

/** To another member as soon as this step ends; to ourselves within it. */
export function send(turn: Turn, to: BootId, message: TrackerMessage): void {
  if (to === turn.state.self) {
    turn.inbox.push(message)
    return
  }
  turn.out.push({ type: 'send', to, message, carry: false, relay: true })
}

/** With our members, which the receiver joins before it reads the message. */
export function sendCarrying(turn: Turn, to: BootId, message: TrackerMessage): void {
  turn.out.push({ type: 'send', to, message, carry: true, relay: true })
}

/** There is more to do than one step should: the next slice of it comes with `continue`. */
export function goOn(turn: Turn): void {
  if (turn.state.continuing) return
  turn.state.continuing = true
  turn.out.push({ type: 'continue' })
}

export function log(turn: Turn, level: LogOutput['level'], text: string, fields: Record<string, unknown> = {}): void {
  turn.out.push({ type: 'log', level, text, fields })
}

/**
 * Counters are wall clocks in milliseconds and some; one that is 35 years ahead is a fault of its maker, which would
 * bring all to the end of the safe integers.
 */
const PLAUSIBLE_LEAP = 2 ** 40

export function heardCounter(state: TrackerState, counter: number): void {
  if (counter > state.counter && counter - state.counter < PLAUSIBLE_LEAP) state.counter = counter
}

/**
 * The log of this boot comes in as a whole, or is here and being put in place: that takes its time and nobody's word, so
 * nobody loses patience over it.
 */
export function isComing({ pulls, replacements }: TrackerState, boot: BootId): boolean {
  return replacements.has(boot) || pulls.get(boot)?.image !== undefined
}

/** It writes nothing more. Undefined for a boot that is not known. */
export function isGone(phase: Phase | undefined): boolean {
  return phase === 'down' || phase === 'left'
}

/** The owner of a slot in the present view; undefined before the first view. */
export function ownerOf(state: TrackerState, slot: number): BootId | undefined {
  const index = state.table?.owners[slot]
  return index === undefined ? undefined : state.ringBoots[index]
}
