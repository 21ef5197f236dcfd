/**
 * Time as the shells above the cluster see it: one seam, so that a test or a simulation says what time it is. It is
 * only read and waited for here.
 */
import { performance } from 'node:perf_hooks'

export interface Timers {
  /** Milliseconds on a clock that never goes back; its zero means nothing. */
  now(): number
  /** Runs `fn` once after `ms` milliseconds; the function returned cancels it. */
  setTimer(fn: () => void, ms: number): () => void
  /** Runs `fn` once after what waits in the event loop has had its turn. */
  defer(fn: () => void): void
}

export interface Time extends Timers {
  /** Milliseconds since 1970: read once, as the start of the fence counter. */
  wall(): number
}

/** Longest delay of a Node timer; a longer one would fire at once. */
const maxTimerMs = 2 ** 31 - 1

export const realTime: Time = {
  now: () => performance.now(),
  wall: () => Date.now(),
  setTimer(fn, ms) {
    // Not a reason to keep the process alive: the listening socket is.
    const timer = setTimeout(fn, Math.min(Math.max(0, Math.ceil(ms)), maxTimerMs)).unref()
    return () => clearTimeout(timer)
  },
  defer(fn) {
    setImmediate(fn)
  },
}
