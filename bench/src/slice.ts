/**
 * A slice of load within one process: so many callers, each of which asks again as soon as it is answered, for so long.
 * Every answer is looked at.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { quantile } from './measure.js'

export interface Slice {
  readonly ops: number
  readonly ms: number
  /** Answers that were not right, and calls that failed. */
  readonly wrong: number
  /** The first of them, in words. */
  readonly fault: string | undefined
  /** From asking to the answer, microseconds; NaN where that was not looked at, since looking costs more than the call. */
  readonly p50Us: number
  readonly p99Us: number
}

/** An end after so many milliseconds, or after so many operations. */
export type End = { readonly ms: number } | { readonly ops: number }

export interface Load {
  readonly callers: number
  readonly end: End
  /** Operation number `i`. */
  ask(i: number): Promise<unknown>
  right(answer: unknown, i: number): boolean
  /** Whether each answer's time is kept. */
  readonly timed: boolean
}

/** The clock is read once in so many operations where their times are not kept. */
const LOOK = 64

const MOST_KEPT = 1 << 21

export async function drive({ callers, end, ask, right, timed }: Load): Promise<Slice> {
  const times = new Times()
  const begun = performance.now()
  const until = 'ms' in end ? begun + end.ms : Number.POSITIVE_INFINITY
  const most = 'ops' in end ? end.ops : Number.POSITIVE_INFINITY
  let next = 0
  let over = false
  let wrong = 0
  let fault: string | undefined
  const caller = async (): Promise<void> => {
    while (!over && next < most) {
      const i = next++
      try {
        const sentAt = timed ? performance.now() : 0
        const answer = await ask(i)
        if (timed) times.add(performance.now() - sentAt)
        if (!right(answer, i)) throw new Error(`${i} was answered with ${String(answer)}`)
      } catch (error) {
        wrong++
        fault ??= String(error)
      }
      if ((timed || i % LOOK === 0) && performance.now() >= until) over = true
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  const ms = performance.now() - begun
  return { ops: next, ms, wrong, fault, ...times.quantiles() }
}

/** Milliseconds, as many as fit. */
export class Times {
  #kept = new Float64Array(1 << 16)
  #count = 0

  add(ms: number): void {
    if (this.#count === MOST_KEPT) return
    if (this.#count === this.#kept.length) {
      const larger = new Float64Array(2 * this.#count)
      larger.set(this.#kept)
      this.#kept = larger
    }
    this.#kept[this.#count++] = ms
  }

  quantiles(): { readonly p50Us: number; readonly p99Us: number } {
    return quantilesOf(this.#kept.subarray(0, this.#count))
  }
}

/** Of milliseconds, in any order, microseconds. */
export function quantilesOf(times: ArrayLike<number>): { readonly p50Us: number; readonly p99Us: number } {
  const sorted = Float64Array.from(times).sort()
  return { p50Us: 1000 * quantile(sorted, 0.5), p99Us: 1000 * quantile(sorted, 0.99) }
}

/** Microseconds of processor that this process has used. */
export function cpuUs(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** Bytes of heap that are in use, after everything that is not has been collected. */
export function heapUsed(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  collect()
  return process.memoryUsage().heapUsed
}

/** Milliseconds on the clock that all processes of a host share. */
export function clock(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** Texts of 32 bytes, all different, made once. */
export const texts: readonly string[] = Array.from({ length: 1024 }, (_, i) =>
  Buffer.from(`${i} `.padEnd(32, 'skep measures itself')).toString('latin1'),
)

export function textOf(i: number): string {
  return texts[i % texts.length] as string
}
