/**
 * Time as all shells see it: one seam, so that a test or a simulation says what time it is. It is only read and waited
 * for here.
 */
import { performance } from 'node:perf_hooks'

export interface Timers {
  /** Milliseconds on a clock that never goes back; its zero means nothing. */
  now(): number
  /**
   * Runs `fn` once after `ms` milliseconds; the function returned cancels it. No reason to keep the process alive (the
   * listening socket is), except a `held` one: what still ends when all sockets are closed waits for that.
   */
  setTimer(fn: () => void, ms: number, held?: boolean): () => void
  /** Runs `fn` once after what waits in the event loop has had its turn. */
  defer(fn: () => void): void
}

export interface Time extends Timers {
  /** Milliseconds since 1970; it may jump. Only for what must rise from one life of a node to the next. */
  wall(): number
}

/** Longest delay of a Node timer; a longer one would fire at once. */
const maxTimerMs = 2 ** 31 - 1

export const realTime: Time = {
  now: () => performance.now(),
  wall: () => Date.now(),
  setTimer(fn, ms, held = false) {
    const timer = setTimeout(fn, Math.min(Math.max(0, Math.ceil(ms)), maxTimerMs))
    if (!held) timer.unref()
    return () => clearTimeout(timer)
  },
  defer(fn) {
    setImmediate(fn)
  },
}
