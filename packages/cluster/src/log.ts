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

/**
 * Like the logger given, but what that throws stops nobody: a line is written in the middle of other work. The first
 * failure is told as a warning of the process (`process.on('warning')`, code SKEP_LOGGER).
 */
export function unfailing(logger: Logger): Logger {
  return logger instanceof Unfailing ? logger : new Unfailing(logger, { told: false })
}

class Unfailing implements Logger {
  readonly debug: LogMethod = this.#method('debug')
  readonly info: LogMethod = this.#method('info')
  readonly warn: LogMethod = this.#method('warn')
  readonly error: LogMethod = this.#method('error')
  readonly fatal: LogMethod = this.#method('fatal')
  readonly #logger: Logger
  /** One for a logger and all its children. */
  readonly #failure: { told: boolean }

  constructor(logger: Logger, failure: { told: boolean }) {
    this.#logger = logger
    this.#failure = failure
  }

  child(bindings: Record<string, unknown>): Logger {
    try {
      return new Unfailing(this.#logger.child(bindings), this.#failure)
    } catch (error) {
      this.#failed(error)
      return this
    }
  }

  /** pino's; one that has no such method writes all. */
  isLevelEnabled(level: string): boolean {
    try {
      const { isLevelEnabled } = this.#logger as { isLevelEnabled?: (level: string) => boolean }
      return isLevelEnabled?.call(this.#logger, level) ?? true
    } catch (error) {
      this.#failed(error)
      return true
    }
  }

  #method(name: 'debug' | 'info' | 'warn' | 'error' | 'fatal'): LogMethod {
    return (...line: [object, string] | [string]) => {
      try {
        const written: unknown = this.#logger[name](...(line as [object, string]))
        // One that writes elsewhere: whose rejection that is nobody would know.
        if (written instanceof Promise) written.catch((error: unknown) => this.#failed(error))
      } catch (error) {
        this.#failed(error)
      }
    }
  }

  #failed(error: unknown): void {
    if (this.#failure.told) return
    this.#failure.told = true
    let why = 'of what cannot be shown'
    try {
      why = String(error)
    } catch {}
    process.emitWarning(`the logger that was given to Skep fails: ${why}`, { code: 'SKEP_LOGGER' })
  }
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
