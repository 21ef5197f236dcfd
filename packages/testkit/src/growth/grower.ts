/**
 * A child process that grows one cluster and tells what it took, its own time and memory included: memory that others
 * used before it would count else. Runs with `--expose-gc`.
 */
import { type GrowOptions, type Growth, grow } from './grow.js'

/** A growth with what the process that simulated it needed. */
export interface MeasuredGrowth extends Growth {
  readonly wallSeconds: number
  /** Of the process. */
  readonly cpuSeconds: number
  readonly stepsPerSecond: number
  /** The largest heap seen, what had not been collected yet included, and the largest resident set. */
  readonly peakHeapMb: number
  readonly peakRssMb: number
  /** What all nodes and the network hold at rest. */
  readonly restHeapMb: number
}

export type GrowerAnswer =
  | { readonly type: 'grown'; readonly growth: MeasuredGrowth }
  | { readonly type: 'failed'; readonly text: string }

const MB = 1024 * 1024

process.on('message', (options: Pick<GrowOptions, 'nodes' | 'seed'>) => {
  process.send?.(answer(options))
})
process.on('disconnect', () => process.exit(0))

function answer(options: Pick<GrowOptions, 'nodes' | 'seed'>): GrowerAnswer {
  try {
    return { type: 'grown', growth: measure(options) }
  } catch (error) {
    return { type: 'failed', text: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}

function measure(options: Pick<GrowOptions, 'nodes' | 'seed'>): MeasuredGrowth {
  let peakHeap = 0
  let restHeap = 0
  const look = (): void => {
    peakHeap = Math.max(peakHeap, process.memoryUsage().heapUsed)
  }
  const began = performance.now()
  const growth = grow({
    ...options,
    look,
    end: () => {
      look()
      globalThis.gc?.()
      restHeap = process.memoryUsage().heapUsed
    },
  })
  const wallSeconds = (performance.now() - began) / 1000
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
  const cpuSeconds = (userCPUTime + systemCPUTime) / 1e6
  return {
    ...growth,
    wallSeconds: round(wallSeconds),
    cpuSeconds: round(cpuSeconds),
    stepsPerSecond: Math.round(growth.steps / cpuSeconds),
    peakHeapMb: round(peakHeap / MB),
    peakRssMb: round(maxRSS / 1024),
    restHeapMb: round(restHeap / MB),
  }
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
