/**
 * Is the premise of the promise (PROTOCOL.md 4.3) given at a moment of a run? Cuts, stalls and the like break it from
 * their beginning until some time after their end, for the sides do not know of each other at once. While it is broken
 * two copies of a name are no fault of the protocol; nor, if it lasts, is a live member that is held to be down.
 */
import type { Plan, Strike } from './plan.js'

/** A cut or stall shorter than this, and alone, cannot outlast the shortest suspicion (2 s). */
export const harmlessMs = 1000
/** How long after the end of a cut or a stall the sides may still not know of each other. */
const SETTLED_WITHIN_MS = 15_000
/** Where one side gives way to the other whatever their sizes, it must hear of it itself, which may take several dials. */
const SETTLED_BY_POLICY_MS = 45_000

export class Premise {
  /** More strikes than the promise allows for: crashes, cuts, long stalls. */
  readonly rough: boolean
  brokenUntil = 0
  private downsUntil = 0
  private readonly settledMs: number
  private lastUntil = Number.NEGATIVE_INFINITY
  /** All that happens is that one pair cannot talk, and others see both: then nobody is held to be down. */
  readonly onePair: boolean

  constructor(plan: Plan) {
    this.settledMs = plan.policy === undefined ? SETTLED_WITHIN_MS : SETTLED_BY_POLICY_MS
    this.rough = plan.strikes.some(isRough)
    this.onePair = isOnePair(plan)
  }

  /** Something that breaks it begins, and is over at `until`. */
  breaks(now: number, until: number): void {
    this.brokenUntil = Math.max(this.brokenUntil, until + this.settledMs)
    const lasts = until - now >= harmlessMs || now < this.lastUntil + this.settledMs
    if (lasts && !this.onePair) this.downsUntil = Math.max(this.downsUntil, until + this.settledMs)
    this.lastUntil = Math.max(this.lastUntil, until)
  }

  /** A clock was set between two boots of one address: the later one, or who believes it, may be condemned and live on. */
  mistakesBoots(now: number): void {
    this.brokenUntil = Math.max(this.brokenUntil, now + this.settledMs)
    this.downsUntil = Math.max(this.downsUntil, now + this.settledMs)
  }

  holds(now: number): boolean {
    return now >= this.brokenUntil
  }

  /** Is a live member that is held to be down a fault? */
  forbidsDowns(now: number): boolean {
    return now >= this.downsUntil
  }
}

function isRough(strike: Strike): boolean {
  if (strike.type === 'stall') return strike.until - strike.at >= harmlessMs
  return strike.type !== 'aim' || !['leave', 'join', 'slow', 'end'].includes(strike.deed)
}

function isOnePair(plan: Plan): boolean {
  const pairs = new Set<string>()
  for (const strike of plan.strikes) {
    if (strike.type !== 'cut' || strike.ways.length > 2) return false
    for (const way of strike.ways) pairs.add([...way].sort().join())
  }
  return pairs.size === 1 && plan.starts.length >= 4 && plan.drops.length === 0 && plan.leaves.length === 0
}
