/** Ratios of two measurements that take turns, so that what the machine does besides hits both alike. */

export interface Ratio {
  /** Median of the rounds' ratios, subject to yardstick. */
  readonly median: number
  readonly lowest: number
  readonly highest: number
  /** Operations a second, medians. */
  readonly subject: number
  readonly yardstick: number
}

/** Fewer rounds than this say nothing about the spread. */
const ROUNDS = 7

/** Each work returns how many operations it did; one round of each goes unmeasured, for the compiler to warm up. */
export function compare(subject: () => number, yardstick: () => number): Ratio {
  rate(subject)
  rate(yardstick)
  const rounds = Array.from({ length: ROUNDS }, () => ({ subject: rate(subject), yardstick: rate(yardstick) }))
  const ratios = rounds.map((round) => round.subject / round.yardstick)
  return {
    median: median(ratios),
    lowest: Math.min(...ratios),
    highest: Math.max(...ratios),
    subject: median(rounds.map((round) => round.subject)),
    yardstick: median(rounds.map((round) => round.yardstick)),
  }
}

function rate(work: () => number): number {
  const begun = performance.now()
  const operations = work()
  return (operations * 1000) / (performance.now() - begun)
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
