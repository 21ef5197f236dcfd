/** Why a name is where it is: what this node knows of it, as plain data for people, prompts and dashboards. */
import type { BootId } from '@skep/cluster/core'
import { countVotes, mayStillRun } from './halting.js'
import { claimsOf, lookup } from './logs.js'
import type { Claim, Ended, Failed, Lineage, Restart, Strike } from './messages.js'
import { hasEnded, restartOf } from './policies.js'
import { slotOf } from './ring.js'
import { type Ask, type Handoff, ownerOf, type TrackerState } from './state.js'
import { policyWord } from './votes.js'

export interface Explanation {
  readonly name: string
  /** The node that explains. */
  readonly node: string
  readonly slot: number
  /** Who arbitrates the slot by this node's ring; undefined before the ring is made. */
  readonly owner: NodeReference | undefined
  /** Whether this node is the owner and entitled to grant in the slot. */
  readonly holds: boolean
  /** Where the name lives as this node sees it. */
  readonly holder: ClaimReport | undefined
  /** Every claim of the name that this node has, the holder's included; `visible` ones compete. */
  readonly claims: readonly ClaimReport[]
  /** A placed name that waits to be started again: its node is gone, or its process has ended by itself. */
  readonly orphaned: boolean
  /** The name was given up, since it failed too often; known for a while, until it is held again. */
  readonly failed: Failed | undefined
  /** A life of the name was ended for good, by a stop or since it failed wherever it was started; known for a while. */
  readonly struck: boolean
  /** What callers of this node want of the name. */
  readonly asks: readonly AskReport[]
  /** Given by this node to a claimant that has not written its claim yet. */
  readonly grant: GrantReport | undefined
  /** A placed name that this node has somebody start. */
  readonly starting: StartReport | undefined
  /** This node's process of the name is on its way to another one. */
  readonly handoff: HandoffReport | undefined
  /** Asks of others that wait here for the slot or for the outcome of a grant. */
  readonly waiting: number
  /** What the partition policy says of this node's part; undefined under `serve`. */
  readonly partition: PartitionReport | undefined
}

export interface PartitionReport {
  readonly policy: string
  /** Actors with names are paused here, and names are refused. */
  readonly halted: boolean
  /** How many of the members that count this node hears, itself included, of how many. */
  readonly standing: number
  readonly of: number
  /** The name's process here is paused: while halted, and until the name is its own again. */
  readonly paused: boolean
  /** A lost node may still run it: nobody takes it over yet. */
  readonly awaited: boolean
}

export interface NodeReference {
  readonly boot: BootId
  readonly node: string
}

export interface ClaimReport extends NodeReference {
  readonly pid: string
  readonly fence: number
  readonly seq: number
  readonly kind: string | undefined
  readonly placed: boolean
  /** What follows its end; undefined for a name that was not placed. */
  readonly restart: Restart | undefined
  /** Failures that count against that limit, as of when the claim was made. */
  readonly failures: number
  /** Its process has ended by itself and is to be started again. */
  readonly ended: Ended | undefined
  /** False for the claim of a node that is down or left, or of a process that has ended. */
  readonly visible: boolean
  readonly lineage: Lineage
  /** The interval tree clock event, as nested arrays in JSON. */
  readonly stamp: string
}

export interface AskReport {
  readonly role: Ask['role']
  readonly owner: NodeReference | undefined
  /** Set while a grant stands and the process is being started. */
  readonly fence: number | undefined
}

export interface GrantReport extends NodeReference {
  readonly fence: number
}

export interface HandoffReport {
  readonly to: NodeReference
  /** `export`: being paused; `sent`: the target has its state; `retake`: asked for again; `pass`: what waits is passed on. */
  readonly stage: Handoff['stage']
}

export interface StartReport {
  readonly kind: string
  readonly host: NodeReference | undefined
  /** Failures that count, those before this start included. */
  readonly failures: number
  readonly failover: boolean
}

export function explain(state: TrackerState, name: string, now: number): Explanation {
  const slot = slotOf(name, state.config.ring.slots)
  const owner = ownerOf(state, slot)
  const holder = lookup(state.registry, name)
  const grant = state.grants.get(name)
  const starting = state.starting.get(name)
  const handoff = state.handoffs.get(name)
  return {
    name,
    node: state.config.self.name,
    slot,
    owner: reference(state, owner),
    holds: state.held[slot] === 1,
    holder: holder === undefined ? undefined : claimReport(state, holder),
    claims: claimsOf(state.registry, name).map((claim) => claimReport(state, claim)),
    orphaned: state.registry.orphans.has(name),
    failed: failedOf(state, name, holder),
    struck: [...state.registry.logs.values()].some((log) => log.strikes.has(name)),
    asks: Object.values(state.asks)
      .flatMap((queues) => queues.get(name) ?? [])
      .map(({ role, owner, fence }) => ({
        role,
        owner: reference(state, owner),
        fence,
      })),
    grant: grant === undefined ? undefined : { ...nodeOf(state, grant.boot), fence: grant.fence },
    starting:
      starting === undefined
        ? undefined
        : {
            kind: starting.kind,
            host: reference(state, starting.host),
            failures: starting.failures.length,
            failover: starting.failover,
          },
    handoff: handoff === undefined ? undefined : { to: nodeOf(state, handoff.to), stage: handoff.stage },
    waiting: state.waiting.get(name)?.length ?? 0,
    partition: partitionReport(state, name, now),
  }
}

function partitionReport(state: TrackerState, name: string, now: number): PartitionReport | undefined {
  const { partition } = state
  if (partition === undefined) return undefined
  const { config, halted, held } = partition
  const votes = countVotes(state, now)
  return {
    policy: policyWord(config.policy),
    halted,
    ...votes,
    paused: held.has(name),
    awaited: mayStillRun(state, name),
  }
}

/** Why the name was given up, where nothing of it came after that. */
function failedOf(state: TrackerState, name: string, holder: Claim | undefined): Failed | undefined {
  let last: Strike | undefined
  for (const { strikes } of state.registry.logs.values()) {
    const strike = strikes.get(name)
    if (strike !== undefined && strike.fence >= (last?.fence ?? 0)) last = strike
  }
  return last === undefined || (holder?.fence ?? 0) > last.fence ? undefined : last.failed
}

function claimReport(state: TrackerState, claim: Claim): ClaimReport {
  return {
    pid: claim.pid.toString(),
    boot: claim.pid.boot,
    node: claim.pid.node,
    fence: claim.fence,
    seq: claim.seq,
    kind: claim.kind,
    placed: claim.placed !== undefined,
    restart: claim.placed && restartOf(claim.placed),
    failures: claim.placed?.failures?.length ?? 0,
    ended: claim.placed?.ended,
    visible: state.registry.logs.get(claim.pid.boot)?.hidden === false && !hasEnded(claim),
    lineage: claim.stamp.lineage,
    stamp: JSON.stringify(claim.stamp.event),
  }
}

function reference(state: TrackerState, boot: BootId | undefined): NodeReference | undefined {
  return boot === undefined ? undefined : nodeOf(state, boot)
}

function nodeOf(state: TrackerState, boot: BootId): NodeReference {
  const info = boot === state.self ? state.config.self : state.peers.get(boot)?.info
  return { boot, node: info?.name ?? '' }
}
