/** A bound for what cannot be ended from outside, such as a user's own code: it is not waited for any longer. */
import type { Timers } from '@skep/tracker'

/** It took longer than it may. */
export const late: unique symbol = Symbol('late')

/** What comes of the work, or `late` at the end of the grace time. */
export async function within<T>(time: Timers, work: T | PromiseLike<T>, graceMs: number): Promise<T | typeof late> {
  if (!isThenable(work)) return work
  let cancel = (): void => {}
  const end = new Promise<typeof late>((resolve) => {
    cancel = time.setTimer(() => resolve(late), graceMs)
  })
  try {
    return await Promise.race([work, end])
  } finally {
    cancel()
  }
}

/** As `await` sees it. */
export function isThenable<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return false
  return typeof (value as { then?: unknown }).then === 'function'
}
