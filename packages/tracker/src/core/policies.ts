/**
 * Restart policies of placed names (PROTOCOL.md 4.4): after which ends a process is started again, how soon, and when it
 * has failed so often that it is not. Nothing here knows a clock: a failure is known by its age, which grows where the
 * name is, so the count goes from node to node with the name.
 */

import type { Claim, Ended, Placement, Restart } from './messages.js'

/** As it was before there were policies. */
export const restartDefaults: Restart = { policy: 'transient', times: 6, withinMs: 60_000 }

/** Most restarts that a limit may allow: the ages of so many failures travel with the name. */
export const maxRestarts = 100

const MAX_PAUSE_MS = 30_000

export function restartOf(placed: Pick<Placement, 'terms'> | undefined): Restart {
  return placed?.terms?.restart ?? restartDefaults
}

/** Is what was placed so started again after this end? `gone`: its node went without handing it over. */
export function comesBack(placed: Placement | undefined, after: Ended['how'] | 'gone'): boolean {
  if (placed === undefined) return false
  const { policy } = restartOf(placed)
  return policy === 'permanent' || (policy === 'transient' && after !== 'stopped')
}

/** Its process has ended, and what stands is the order to start it again. */
export function hasEnded({ placed }: Claim): boolean {
  return placed?.ended !== undefined
}

/** The failures some time later: those that are too old count no more. Undefined where none does. */
export function aged(
  failures: readonly number[] | undefined,
  ms: number,
  { withinMs }: Restart,
): readonly number[] | undefined {
  const counting = failures?.map((age) => age + Math.round(ms)).filter((age) => age < withinMs)
  return counting === undefined || counting.length === 0 ? undefined : counting
}

/** With one that is just now. */
export function another(failures: readonly number[] | undefined, ms: number, restart: Restart): readonly number[] {
  return [0, ...(aged(failures, ms, restart) ?? [])].slice(0, maxRestarts + 1)
}

/** Has it failed once more than it may be started again? */
export function isTooOften(failures: readonly number[], { times }: Restart): boolean {
  return failures.length > times
}

/** How long it rests after the last of so many failures. */
export function pauseMs(failures: number): number {
  return failures === 0 ? 0 : Math.min(MAX_PAUSE_MS, 200 * 2 ** failures)
}
