/**
 * First formation in a run: all nodes are started with one `formation`, so their gates wait for each other. What a
 * bystander demands who sees all of them: as long as there are enough, or somebody is ready, everybody becomes ready
 * soon; who waits longer than it was to says so, once; and where it is more than half of all that there are, no two
 * clusters form whatever discovery says.
 */
import type { Formation } from '@skep/cluster/core'
import type { SimNode } from './node.js'
import type { Plan } from './plan.js'

/** A clock may be a tenth slow, and a timer late. */
const TOLD_WITHIN_MS = 3000

/** May nobody found a second cluster though discovery is blind? Those who come back might be as many as are expected. */
export function withstandsBlindness({ formation, starts, leaves, strikes }: Plan): boolean {
  if (formation?.otherwise !== 'fail' || 2 * formation.expect <= starts.length || leaves.length > 0) return false
  return strikes.every((strike) => {
    if (strike.type === 'aim') return !['leave', 'join', 'kill', 'vanish'].includes(strike.deed)
    return strike.type !== 'kill' && strike.type !== 'restart'
  })
}

export class Forming {
  private readonly formation: Formation
  private readonly complain: (text: string) => void
  private counted = 0
  /** Since when the gates have no reason to wait any more; undefined while they have. */
  private possibleSince: number | undefined

  constructor(formation: Formation, complain: (text: string) => void) {
    this.formation = formation
    this.complain = complain
  }

  /** Twice a second, before the nodes are looked at. */
  look(live: readonly SimNode[], now: number): void {
    const staying = live.filter((node) => !node.leaving).length
    const isPossible = staying >= this.formation.expect || live.some(isFounder)
    if (!isPossible) this.possibleSince = undefined
    else if (staying !== this.counted) this.possibleSince = now
    this.counted = staying
  }

  /** Where the gate of this node may be shut it is said so. `calmAt`: from when on nothing hinders it. */
  check(node: SimNode, now: number, calmAt: number): void {
    if (!isForming(node)) return
    const { withinMs, otherwise, expect } = this.formation
    const waited = now - Math.max(node.startedAt, calmAt)
    if (otherwise === 'fail' && node.notFormedAt === undefined && waited > withinMs * 1.2 + TOLD_WITHIN_MS) {
      node.notFormedAt = now
      this.complain(`${node.boot} does not say that it has not met ${expect} members within ${withinMs} ms`)
    }
    const mayWait = otherwise === 'fail' ? this.possibleSince === undefined : waited <= withinMs * 1.2
    if (mayWait) node.formingUntil = now
    else if (this.possibleSince !== undefined) node.formingUntil = Math.max(node.formingUntil, this.possibleSince)
  }

  /** Too few are left to form ever, and all of them have said so. */
  isShort(live: readonly SimNode[]): boolean {
    const { otherwise, expect } = this.formation
    if (otherwise !== 'fail' || live.length >= expect) return false
    return live.every((node) => isForming(node) && node.notFormedAt !== undefined)
  }
}

function isForming({ replica: { membership } }: SimNode): boolean {
  return membership.config.formation !== undefined && membership.gate === 'shut'
}

function isFounder(node: SimNode): boolean {
  return node.readyAt !== undefined && !node.leaving
}
