/**
 * What Skep asks of a logger (pino's shape), the default one, and the rule that the same line is not repeated.
 */
import { pino } from 'pino'

/** A method of a logger: fields first, then the sentence; or the sentence alone. */
export interface LogMethod {
  (fields: object, text: string): void
  (text: string): void
}

/** pino's shape: any pino instance fits. Make one child per component, not per actor. */
export interface Logger {
  readonly debug: LogMethod
  readonly info: LogMethod
  readonly warn: LogMethod
  readonly error: LogMethod
  readonly fatal: LogMethod
  child(bindings: Record<string, unknown>): Logger
}

/** The logger of a node that was given none: JSON lines on standard output, level `level` and more. */
export function defaultLogger(level = 'info'): Logger {
  return pino({ name: 'skep', level, base: null })
}

const intervalMs = 60_000
const maxKeys = 1024

/** Lets a line through at most once a minute per key (or as often as is said), so that what happens at every retry is said once. */
export class LogLimiter {
  readonly #seen: Map<string, { since: number; count: number }> = new Map()
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  /** How often it happened since it was last let through (this time included), or 0: say nothing now. */
  count(key: string, most = 1): number {
    const now = this.#now()
    const entry = this.#seen.get(key)
    if (entry && now - entry.since < intervalMs) {
      entry.count++
      return entry.count < most ? 1 : 0
    }
    this.#seen.delete(key)
    if (this.#seen.size >= maxKeys) this.#seen.delete(this.#seen.keys().next().value ?? '')
    this.#seen.set(key, { since: now, count: 0 })
    return (entry?.count ?? 0) + 1
  }
}
