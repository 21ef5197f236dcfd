/**
 * Whether nodes may be halted at rest, by what a bystander knows who sees all of them: a policy demands a majority (or
 * the oldest) of a base, and when too many of that are gone without anybody's knowing, nobody may ever go on. Whoever
 * left in order where a live node has heard of it, and whoever came back under its name and address, counts no more.
 */
import type { BootId } from '@skep/cluster/core'
import { wins } from '@skep/tracker/core'
import type { SimNode } from './node.js'

/** All live nodes see each other, and yet these may not go on. */
export function mayHalt(node: SimNode, live: readonly SimNode[]): boolean {
  const { partition } = node.replica.tracker
  if (partition === undefined || typeof partition.config.policy === 'object') return false
  const lives = new Set(live.flatMap((one) => one.replica.tracker.partition?.life ?? []))
  const gone = new Set<BootId>()
  const sets = partition.base === undefined ? partition.pending : [partition.base, ...partition.pending]
  for (const { life, name, address } of sets.flatMap(({ members }) => members)) {
    const back = live.some((one) => one.name === name && one.address === address)
    if (!lives.has(life) && (back || live.some((one) => knowsLeft(one, life)))) gone.add(life)
  }
  return !sets.every((set) => wins({ config: partition.config, gone }, set, lives))
}

function knowsLeft({ replica }: SimNode, boot: BootId): boolean {
  const phase = replica.membership.members.get(boot)?.phase
  return phase === 'left' || phase === 'leaving'
}
