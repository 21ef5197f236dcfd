/** Figures of a list of times. */

export interface Summary {
  readonly count: number
  readonly min: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** Nearest-rank quantiles, rounded to a tenth; of an empty list all are NaN. */
export function summary(times: readonly number[]): Summary {
  const sorted = [...times].sort((a, b) => a - b)
  const at = (share: number): number => {
    const rank = Math.max(1, Math.ceil(share * sorted.length))
    return Math.round((sorted[rank - 1] ?? Number.NaN) * 10) / 10
  }
  return { count: sorted.length, min: at(0), p50: at(0.5), p99: at(0.99), max: at(1) }
}

export function inWords({ min, p50, p99, max }: Summary): string {
  return `min ${min}, p50 ${p50}, p99 ${p99}, max ${max} ms`
}
