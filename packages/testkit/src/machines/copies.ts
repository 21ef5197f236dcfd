/**
 * The promise of the partition policies (PROTOCOL.md section 5), checked after every step: of a name no two processes
 * run at one instant, on whatever sides of a cut they are. A process runs from when its user was told so until it ends;
 * not while its node has told it to pause, nor from the moment on at which the node would, for whoever runs processes
 * asks before each turn. A node that stands still runs nothing.
 *
 * The promise is made to those that count against the same base, or its successors: who was cut off before there was
 * any is a cluster of its own, as under `serve`, and what the two gave twice by then is settled when they meet.
 */
import { membershipLimits } from '@skep/cluster/core'
import { haltsAt, type PartitionConfig, partitionTimes } from '@skep/tracker/core'
import type { SimNode } from './node.js'
import type { Policy } from './plan.js'
import { type Complain, freePrefix } from './safety.js'

/** The real times of a policy; only the base follows the view sooner, as a run is short. */
export function partitionConfig({ policy, stableMs }: Policy): PartitionConfig {
  return { ...partitionTimes(membershipLimits), policy, stableMs }
}

export class Copies {
  private readonly complain: Complain
  private readonly told = new Set<string>()
  /** By life, name and pid of what runs: the cluster by whose promise it was given. */
  private readonly under = new Map<string, string>()

  constructor(complain: Complain) {
    this.complain = complain
  }

  /** After each step of this node. */
  check(node: SimNode, live: readonly SimNode[], now: number): void {
    if (!node.alive || isPaused(node, now)) return
    for (const [name, { pid }] of node.holdings) {
      if (name.startsWith(freePrefix) || isStill(node, pid)) continue
      const other = live.find((one) => one !== node && one.address !== node.address && runs(one, name, now))
      const key = keyOf(node, name)
      if (!this.under.has(key) || (other === undefined && isFounder(node))) this.under.set(key, clusterOf(node))
      if (other === undefined || this.told.has(name) || !this.isPromised(name, node, other, live)) continue
      this.told.add(name)
      this.complain('twoRun', `${name} runs on ${other.boot} and on ${node.boot}, and neither is paused`)
    }
  }

  private isPromised(name: string, a: SimNode, b: SimNode, live: readonly SimNode[]): boolean {
    const { policy } = a.replica.tracker.partition?.config ?? {}
    if (typeof policy === 'object') return live.length < 2 * policy.quorum
    const cluster = clusterOf(a)
    const of = (node: SimNode): string => this.under.get(keyOf(node, name)) ?? clusterOf(node)
    return cluster !== '' && clusterOf(b) === cluster && of(a) === cluster && of(b) === cluster
  }
}

function keyOf({ replica, holdings }: SimNode, name: string): string {
  return `${replica.tracker.partition?.life} ${name} ${holdings.get(name)?.pid}`
}

/** It agreed on the first base with all that were there: what it was given before was given by these. */
function isFounder({ replica }: SimNode): boolean {
  const { base, life } = replica.tracker.partition ?? {}
  return base?.version === 1 && base.members.some((member) => member.life === life)
}

/** The origin of a node's base; empty while it has none. */
function clusterOf({ replica }: SimNode): string {
  return replica.tracker.partition?.base?.genesis ?? ''
}

function runs(node: SimNode, name: string, now: number): boolean {
  const holding = node.holdings.get(name)
  return holding !== undefined && !isStill(node, holding.pid) && node.stalledUntil <= now && !isPaused(node, now)
}

/** It was paused when its node halted, or stands still since it is on its way to another node. */
function isStill(node: SimNode, pid: number): boolean {
  return node.paused.has(pid) || node.processes.get(pid)?.paused === true
}

/** As the shell has it: halted, or to be halted before anybody's next turn. */
function isPaused({ replica }: SimNode, now: number): boolean {
  return replica.own(now) >= haltsAt(replica.tracker)
}
