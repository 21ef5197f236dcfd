/**
 * What two trackers say to each other, as typed values; `wire.ts` turns them into positional arrays and back.
 * Values in messages are immutable: a receiver keeps them, a simulator hands the same object to many.
 */

import type { BootId } from '@skep/cluster/core'
import type * as itc from './itc.js'
import type { Pid } from './pid.js'

/** All stamps that descend from one seed; stamps compare only within one. */
export interface Lineage {
  readonly epoch: number
  /** The boot whose seed it is. */
  readonly genesis: BootId
}

export interface Stamp {
  readonly lineage: Lineage
  readonly event: itc.Event
}

/** Where a placed name is started, as it travels; what each means stands in strategies.ts. */
export type Strategy =
  | { readonly by: 'rendezvous' }
  /** On the node of this name, where that can. */
  | { readonly by: 'near'; readonly node: string }
  /** On nodes with one of these roles, or of one of these names, and on no others. */
  | { readonly by: 'pinned'; readonly roles: readonly string[]; readonly nodes: readonly string[] }
  /** Where all names of this key are. */
  | { readonly by: 'together'; readonly key: string }
  /** By a function that the nodes have under this id. */
  | { readonly by: 'own'; readonly id: string }
  /** One of a newer minor version, kept as it came. */
  | { readonly by: 'unknown'; readonly fields: readonly unknown[] }

/** Whether a placed process is started again, and how often; what each policy means stands in policies.ts. */
export interface Restart {
  readonly policy: 'permanent' | 'transient' | 'temporary'
  /** At most so many times within so long: the failure after these is the last one. */
  readonly times: number
  readonly withinMs: number
}

/** What whoever spawned a name wants of the cluster, as long as the name lives. */
export interface Terms {
  /** Undefined: where the ring says. */
  readonly strategy: Strategy | undefined
  /** Undefined: `transient`, with the limits by default. */
  readonly restart?: Restart | undefined
}

/** How a process ended by itself. */
export interface Ended {
  readonly how: 'crashed' | 'stopped'
  readonly reason: string
}

/** Why a name was given up. */
export interface Failed {
  /** Failures that counted. */
  readonly times: number
  /** Of the last one. */
  readonly code: string
  readonly reason: string
}

/** How a placed name is started again elsewhere. */
export interface Placement {
  /** The start spec: opaque here, sendable. */
  readonly spec: unknown
  /** The request that first started it, so that a repeated request knows its own work. */
  readonly origin: string
  /** Undefined where all is as usual. */
  readonly terms?: Terms | undefined
  /** How long before this claim was made its process, or a start of it, had failed (ms), the latest first. */
  readonly failures?: readonly number[] | undefined
  /** Its process has ended, and is to be started again: nobody holds the name by this claim. */
  readonly ended?: Ended | undefined
}

/** One very claim of a name: written by this boot, at this place of its log. */
export interface Source {
  readonly boot: BootId
  readonly seq: number
}

/** "This pid holds this name." Written by the pid's node alone, into its own log. */
export interface Claim {
  readonly name: string
  readonly pid: Pid
  /** The place in its log at which it was written: (boot, seq) names this very claim. */
  readonly seq: number
  readonly fence: number
  readonly stamp: Stamp
  readonly kind: string | undefined
  readonly meta: unknown
  readonly placed: Placement | undefined
  /** The claim whose process this one goes on as, where its state was handed over. */
  readonly from?: Source | undefined
}

/** A pid's membership in a group: a claim without uniqueness. */
export interface Membership {
  readonly group: string
  readonly pid: Pid
  readonly seq: number
  readonly meta: unknown
}

/** A removed name that must stay removed: it strikes lower claims of that name in logs of gone boots. */
export interface Strike {
  readonly name: string
  readonly fence: number
  readonly seq: number
  /** The request that had started the placed name: it is done with, should it come once more. Empty for others. */
  readonly origin: string
  /** The name was given up. */
  readonly failed?: Failed | undefined
}

export type Op =
  | { readonly type: 'put'; readonly claim: Claim }
  /** `strike`: the origin of the strike that goes with it, if one does; `failed` goes with that. */
  | {
      readonly type: 'del'
      readonly name: string
      readonly fence: number
      readonly strike: string | undefined
      readonly failed?: Failed | undefined
    }
  | { readonly type: 'join'; readonly membership: Membership }
  | { readonly type: 'quit'; readonly group: string; readonly id: number }

export interface DigestEntry {
  readonly boot: BootId
  readonly seq: number
  /** 64-bit XOR over the hashes of the log's entries, as two unsigned halves. */
  readonly high: number
  readonly low: number
}

export type TrackerMessage =
  // Sync (section 4.2)
  | { type: 'digest'; counter: number; lineage: Lineage; depth: number; entries: readonly DigestEntry[] }
  | { type: 'pull'; boot: BootId; have: number }
  | { type: 'busy'; boot: BootId }
  /** Ops first..first+n-1 of a log; `reply` when they answer a pull (then perhaps none). */
  | { type: 'ops'; boot: BootId; first: number; ops: readonly Op[]; counter: number; reply: boolean }
  /** A whole log in chunks: base is the seq at the first one. With them come all ops since then, until the last one. */
  | {
      type: 'state'
      boot: BootId
      base: number
      chunk: number
      claims: readonly Claim[]
      memberships: readonly Membership[]
      strikes: readonly Strike[]
      last: boolean
      /** They come before the entries of this chunk, which may be newer than they are. */
      ops: readonly Op[]
    }
  /** The receiver has the chunks below `chunk`: the sender keeps only so many on the way. */
  | { type: 'more'; boot: BootId; chunk: number }
  // Claims (section 4.3)
  /**
   * `origin`: of the start that a host claims the name for, `again` if it was granted before; empty for all others.
   * `fence`: with which the process held the name as an earlier boot of its node, or before it was handed over; 0 for
   * all others. `from`: the very claim that this one is to take the place of.
   */
  | {
      type: 'claim'
      name: string
      ask: number
      origin: string
      again: boolean
      fence: number
      counter: number
      from?: Source | undefined
    }
  | { type: 'grant'; name: string; ask: number; fence: number }
  /**
   * The name is taken: by `holder`, whose claim travels along; by nobody where what the claim is for has ended, or where
   * the name is somebody's for another reason (`why`).
   */
  | { type: 'refuse'; name: string; ask: number; holder: Claim | undefined; why?: string | undefined }
  /** The receiver of an ask does not own the slot (its members travel along), or cannot queue it (`full`). */
  | { type: 'elsewhere'; name: string; ask: number; full: boolean }
  | { type: 'unused'; name: string; ask: number }
  /** The owner asks whether a grant, with this fence (where told), is still wanted; answered by `unused` if not. */
  | { type: 'check'; name: string; ask: number; fence: number | undefined }
  /** Slots as a bit set, one bit a slot, lowest bit of the first byte first. */
  | { type: 'take'; generation: number; slots: Uint8Array; counter: number }
  | {
      type: 'ack'
      generation: number
      /** The slots yielded; empty where the receiver sees another owner, or with `notYet`. */
      slots: Uint8Array
      notYet: boolean
      counter: number
      entries: readonly DigestEntry[]
    }
  // Placed names (section 4.4)
  | {
      type: 'spawn'
      name: string
      ask: number
      kind: string
      spec: unknown
      meta: unknown
      origin: string
      counter: number
      terms?: Terms | undefined
    }
  | { type: 'spawned'; name: string; ask: number; claim: Claim }
  | { type: 'spawnFailed'; name: string; ask: number; code: string; text: string; holder: Claim | undefined }
  /** The slot's holder tells the host to start a placed name; the host then claims it like anybody. */
  | {
      type: 'start'
      name: string
      kind: string
      spec: unknown
      meta: unknown
      origin: string
      failover: boolean
      terms?: Terms | undefined
      /** As of now. */
      failures?: readonly number[] | undefined
    }
  | { type: 'startFailed'; name: string; origin: string; code: string; text: string }
  // Handoff (section 4.4)
  /** The holder of the slot wants this very claim's process to be handed over to `to`. */
  | { type: 'order'; name: string; seq: number; to: BootId }
  /** The state of a process that is paused now, for the receiver to go on with under the name. */
  | {
      type: 'handoff'
      name: string
      number: number
      kind: string
      spec: unknown
      meta: unknown
      origin: string
      seq: number
      fence: number
      groups: readonly GroupOf[]
      state: Uint8Array
      terms?: Terms | undefined
      failures?: readonly number[] | undefined
    }
  /** The receiver of this handoff does not, and will not, claim the name. */
  | { type: 'handoffFailed'; name: string; number: number; code: string; text: string }
  /** How far is the receiver's copy of the log of `boot`? Asked again until it is at `seq`. */
  | { type: 'known'; boot: BootId; seq: number }
  /** `soon`: that log has come whole and is being put in place. */
  | { type: 'knows'; boot: BootId; seq: number; soon: boolean | undefined }
  // Conflicts
  /** A loser asks whether the winner's node really runs the name with that fence. */
  /** `above`: the fence with which the asker's own process holds it; the one that goes on needs a higher one. */
  | { type: 'running'; name: string; fence: number; ask: number; above: number }
  /** `ask`: of the question, for an answer to an older one may be out of date. */
  | { type: 'runs'; name: string; fence: number; ask: number; yes: boolean }
  // Interval tree clock ids (section 3)
  /** `pointed`: another donor sent us; grant here, so that two that each think the other larger end it. */
  | { type: 'idAsk'; lineage: Lineage; pointed: boolean }
  /**
   * `event`: the greatest that was made in the id's region; what is made with the id comes after it. `seq`: of the log of
   * who made it, which must be known before claims are made there.
   */
  | { type: 'idGrant'; lineage: Lineage; id: itc.Id; event: itc.Event; seq: number }
  /** Ask this one: its region is larger. */
  | { type: 'idPoint'; lineage: Lineage; to: BootId }
  | { type: 'idConfirm'; lineage: Lineage; depth: number }
  /** As with a grant, of the leaver's log. */
  | { type: 'idGive'; lineage: Lineage; id: itc.Id; event: itc.Event; seq: number }
  | { type: 'idGot'; lineage: Lineage }
  // Requests to the node of a pid, and the barrier
  | { type: 'request'; ask: number; request: NodeRequest }
  | { type: 'answer'; ask: number; code: string | undefined; text: string }
  | { type: 'flush'; ask: number; seq: number }
  | { type: 'flushed'; ask: number; seq: number }
  // Partition policies (section 5)
  | {
      type: 'beat'
      policy: string
      /** For how long the sender takes a vote to count. */
      pauseMs: number
      /** The first boot id of the sender's process. */
      life: BootId
      /** The sender's clock, and the latest such time that it has heard from the receiver. */
      at: number
      echo: number | undefined
      /** The sender's base, empty for none, and the proposals in which it owes a win. */
      keys: readonly string[]
      /** Those of them that the receiver has not said to know. */
      bases: readonly Base[]
      /** The proposal that the sender makes now; empty for none. */
      ready: string
      /** Members of those that are over for sure. */
      gone: readonly BootId[]
      /** Members that the sender holds to be gone, and will not send a beat again. */
      lost: readonly BootId[]
      /** Those of them that have halted or are gone for sure. */
      stopped: readonly BootId[]
    }

/** Against whom votes are counted; see partition.ts. */
export interface Base {
  /** `version.` and a hash of the rest. */
  readonly key: string
  readonly version: number
  /** One life of the first base from which this one descends. */
  readonly genesis: BootId
  /** By life. */
  readonly members: readonly BaseMember[]
}

export interface BaseMember {
  /** The first boot id of the process. */
  readonly life: BootId
  readonly name: string
  readonly address: string
  readonly startedAt: number
}

/** What only the node of a pid may write. */
export type NodeRequest =
  | { type: 'update'; name: string; meta: unknown }
  | { type: 'unregister'; name: string }
  | { type: 'join'; group: string; pid: Pid; meta: unknown }
  | { type: 'quit'; group: string; pid: Pid }
  /** Hand the placed process of this name over, to `to` or to where the ring says; answered when that is done. */
  | { type: 'move'; name: string; to: BootId | undefined }

/** A group in which the process of a handoff is, and with what. */
export interface GroupOf {
  readonly group: string
  readonly meta: unknown
}

/** How a name's life went on, seen from one node. */
export interface NameEvent {
  readonly type: 'registered' | 'updated' | 'moved' | 'failover' | 'conflict' | 'unregistered'
  readonly name: string
  readonly claim: Claim | undefined
  readonly previous: Claim | undefined
  readonly reason: string
}

/**
 * How a full link treats a message. Ops and digests may be dropped: the digest after `drained` finds what is missing.
 * Whole logs wait behind all else. What claims, grants and slots depend on is never dropped (PROTOCOL.md section 2).
 */
export function laneOf(message: TrackerMessage): 'control' | 'droppable' | 'call' | 'bulk' {
  switch (message.type) {
    case 'digest':
      return 'droppable'
    case 'ops':
      return message.reply ? 'bulk' : 'droppable'
    case 'state':
    case 'handoff':
      return 'bulk'
    case 'knows':
      // Behind the calls that were sent before it: that is what it is asked for (handoff.ts).
      return 'call'
    default:
      return 'control'
  }
}

/**
 * May it come behind ops of its sender's that are younger than itself? Then all ops of a turn are one message. Whoever asks
 * for a name, grants it, or says who has it, is as right where the receiver knows more of the sender's log. (Not so a
 * claim to the place of another: which one that is, is told by the log.)
 */
export function mayFollowOps(message: TrackerMessage): boolean {
  switch (message.type) {
    case 'claim':
      return message.from === undefined
    case 'grant':
    case 'spawn':
    case 'spawned':
    case 'start':
      return true
    default:
      return false
  }
}
