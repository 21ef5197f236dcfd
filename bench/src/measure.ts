/** Figures of rounds in which several take turns, so that what the machine does besides hits all of them alike. */

/** The middle and the ends of what the rounds gave. */
export interface Spread {
  readonly median: number
  readonly lowest: number
  readonly highest: number
}

export interface Ratio extends Spread {
  /** Operations a second, medians. */
  readonly subject: number
  readonly yardstick: number
}

/** Fewer rounds than this say nothing about the spread. */
export const ROUNDS = 7

/**
 * Each work returns how many operations it did; they take turns, each time in the opposite order. One round of each goes
 * unmeasured, for the compiler to warm up.
 */
export function compare(subject: () => number, yardstick: () => number, count = ROUNDS): Ratio {
  const one = (_: unknown, round: number): { subject: number; yardstick: number } => {
    if (round % 2 === 0) return { subject: rate(subject), yardstick: rate(yardstick) }
    const first = rate(yardstick)
    return { subject: rate(subject), yardstick: first }
  }
  const rounds = Array.from({ length: count + 1 }, one).slice(1)
  return {
    ...spread(rounds.map((round) => round.subject / round.yardstick)),
    subject: median(rounds.map((round) => round.subject)),
    yardstick: median(rounds.map((round) => round.yardstick)),
  }
}

function rate(work: () => number): number {
  const begun = performance.now()
  const operations = work()
  return (operations * 1000) / (performance.now() - begun)
}

/**
 * The ratio is taken within each round, and only then the middle: rounds differ more than what is in one. A round in
 * which the yardstick had nothing to show has no ratio, and is left out.
 */
export function ratios(subject: readonly number[], yardstick: readonly number[]): Spread {
  if (subject.length !== yardstick.length) throw new TypeError('a round is missing')
  return spread(subject.map((value, round) => value / (yardstick[round] as number)).filter(Number.isFinite))
}

/** Of an empty list all are NaN. */
export function spread(values: readonly number[]): Spread {
  if (values.length === 0) return { median: Number.NaN, lowest: Number.NaN, highest: Number.NaN }
  return { median: median(values), lowest: Math.min(...values), highest: Math.max(...values) }
}

/** Of an even number the mean of the two in the middle; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const half = sorted.length >> 1
  const upper = sorted[half] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? Number.NaN) + upper) / 2
}

/** Nearest rank, of values in ascending order; NaN of none. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1] ?? Number.NaN
}
