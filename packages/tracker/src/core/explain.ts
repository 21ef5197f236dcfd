/** Why a name is where it is: what this node knows of it, as plain data for people, prompts and dashboards. */
import type { BootId } from '@skep/cluster/core'
import { countVotes, mayStillRun } from './halting.js'
import { claimsOf, lookup } from './logs.js'
import type { Claim, Lineage } from './messages.js'
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
  /** A placed name whose node is gone and which nobody took over yet. */
  readonly orphaned: boolean
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
  /** False for the claim of a node that is down or left. */
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
  readonly tries: number
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
            tries: starting.tries,
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

function claimReport(state: TrackerState, claim: Claim): ClaimReport {
  return {
    pid: claim.pid.toString(),
    boot: claim.pid.boot,
    node: claim.pid.node,
    fence: claim.fence,
    seq: claim.seq,
    kind: claim.kind,
    placed: claim.placed !== undefined,
    visible: state.registry.logs.get(claim.pid.boot)?.hidden === false,
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
