/**
 * Do stamps order claims as they were made (PROTOCOL.md section 6, rule 16)? The oracle keeps for every claim which
 * claims of the name its maker had seen, and what those had seen, as plain sets; of two claims that stand at one time
 * the stamps must say the same as the sets. Claims of different lineages say nothing.
 */
import type { BootId } from '@skep/cluster/core'
import { type Claim, itc } from '@skep/tracker/core'
import type { SimNode } from './node.js'

interface Made {
  readonly seq: number
  /** This claim and all that came before it. */
  readonly seen: ReadonlySet<string>
  readonly id: string
}

export class Histories {
  /** By "boot name", oldest first. */
  private readonly made = new Map<string, Made[]>()

  /** A node has written a claim. Returns what is wrong between it and the other claims of the name that stand. */
  put(node: SimNode, claim: Claim, others: readonly SimNode[]): string | undefined {
    const id = `${node.boot} ${claim.seq}`
    const seen = new Set([id])
    for (const [boot, log] of node.replica.tracker.registry.logs) {
      const known = log.claims.get(claim.name)
      if (known === undefined || known === claim) continue
      for (const one of this.find(boot, known)?.seen ?? []) seen.add(one)
    }
    const key = `${node.boot} ${claim.name}`
    const before = this.made.get(key)
    if (before === undefined) this.made.set(key, [{ seq: claim.seq, seen, id }])
    else before.push({ seq: claim.seq, seen, id })
    for (const other of others) {
      const theirs = other.seen.claims.get(claim.name)
      const history = theirs && this.find(other.boot, theirs)
      if (theirs === undefined || history === undefined) continue
      const { lineage, event } = claim.stamp
      if (lineage.genesis !== theirs.stamp.lineage.genesis || lineage.epoch !== theirs.stamp.lineage.epoch) continue
      // The other one stands since before, so its maker cannot have seen this one.
      const made = seen.has(history.id) ? 'after' : 'concurrent'
      const told = itc.compare(event, theirs.stamp.event)
      if (told !== made)
        return `${claim.name} of ${node.boot} is ${made} to that of ${other.boot}, its stamp says ${told}`
    }
    return undefined
  }

  /** The writing that this copy of a claim goes back to: what changed it since kept its stamp. */
  private find(boot: BootId, claim: Claim): Made | undefined {
    const all = this.made.get(`${boot} ${claim.name}`) ?? []
    for (let at = all.length - 1; at >= 0; at--) {
      const one = all[at] as Made
      if (one.seq <= claim.seq) return one
    }
    return undefined
  }
}
