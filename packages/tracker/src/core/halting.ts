/** What the partition policy (partition.ts) says to the rest of the machine: questions, no deeds. */
import type { BootId } from '@skep/cluster/core'
import { claimsOf } from './logs.js'
import type { TrackerState, Turn } from './state.js'
import { takeoverMs } from './votes.js'

export function isHalted(state: TrackerState): boolean {
  return state.partition?.halted === true
}

/** When this node halts unless it hears more until then; Infinity under `serve`, and once it has. */
export function haltsAt(state: TrackerState): number {
  const { partition } = state
  if (partition === undefined || partition.halted) return Number.POSITIVE_INFINITY
  return Math.max(partition.until, partition.graceUntil)
}

export function partitionDeadline(state: TrackerState): number {
  return Math.min(state.partition?.nextBeatAt ?? Number.POSITIVE_INFINITY, haltsAt(state))
}

/** May slots be taken now that others held? Whoever of them is lost may still be granting in them. */
export function mayHold({ state, now }: Turn): boolean {
  const { partition } = state
  if (partition === undefined) return true
  if (partition.halted || now >= partition.until) return false
  for (const loss of partition.lost.values()) if (!loss.stopped) return false
  // Who has only just come learns from the others whom they miss.
  if (now - partition.view.since >= takeoverMs(partition)) return true
  return state.view.members.every(({ boot }) => boot === state.self || partition.voters.has(boot))
}

/** May what this boot held run elsewhere? */
export function hasStopped({ partition }: TrackerState, boot: BootId): boolean {
  return partition?.lost.get(boot)?.stopped !== false
}

/** Does this member count against our base, or one that it came from? Who was apart till now does not know our names. */
export function isOfOurs({ partition, self }: TrackerState, boot: BootId): boolean {
  if (partition?.base === undefined || boot === self) return true
  return partition.voters.get(boot)?.genesis === partition.base.genesis
}

/** Does a process of a lost node perhaps still run under this name? */
export function mayStillRun(state: TrackerState, name: string): boolean {
  if (state.partition === undefined || state.partition.lost.size === 0) return false
  return claimsOf(state.registry, name).some(({ pid }) => !hasStopped(state, pid.boot))
}

/** May a member that stays silent be passed over? By a policy it must first be known to have halted. */
export function mayPassOver({ partition }: TrackerState): boolean {
  return partition === undefined
}

/** How many lives of the base (all members, by the quorum) this node has the votes of, itself included. */
export function countVotes(state: TrackerState, now: number): { standing: number; of: number } {
  const { partition } = state
  if (partition === undefined) return { standing: 0, of: 0 }
  const lives = new Set([partition.life])
  for (const { life, confirmed } of partition.voters.values()) {
    if (confirmed + partition.config.pauseMs > now) lives.add(life)
  }
  const { policy } = partition.config
  if (typeof policy === 'object') return { standing: lives.size, of: policy.quorum }
  const counted = partition.base?.members.filter(({ life }) => !partition.gone.has(life)) ?? []
  return { standing: counted.filter(({ life }) => lives.has(life)).length, of: counted.length }
}
