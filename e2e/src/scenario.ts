/** What a scenario is: it starts real processes, looks at them, and reports checks and figures. */

import { killAll } from '@skep/example-counter/processes'

export interface Check {
  readonly name: string
  readonly ok: boolean
  /** Why it could not be made here; it counts as neither passed nor failed. */
  readonly skipped?: string
  /** What was seen: for a person who must find out why it failed. */
  readonly detail: string
}

export interface Report {
  readonly scenario: string
  readonly checks: readonly Check[]
  readonly figures: Readonly<Record<string, unknown>>
}

/** Says what happens while it happens; silent with `--json`. */
export type Say = (text: string) => void

/** Collects the checks of one scenario. */
export class Checks {
  readonly all: Check[] = []
  readonly #say: Say

  constructor(say: Say) {
    this.#say = say
  }

  check(name: string, ok: boolean, detail = ''): void {
    this.all.push({ name, ok, detail })
    const indented = detail.trim().replaceAll('\n', '\n       ')
    this.#say(`  ${ok ? 'ok    ' : 'FAILED'} ${name}${ok || indented === '' ? '' : `\n       ${indented}`}`)
  }

  /** What cannot be looked at here, and why: counted by itself, so that it is seen. */
  skip(name: string, why: string): void {
    this.all.push({ name, ok: false, skipped: why, detail: '' })
    this.#say(`  skip   ${name}\n       ${why}`)
  }

  /** Runs a part; what it throws is a failed check. Whatever it started is killed at its end. */
  async part(name: string, run: () => Promise<void>): Promise<void> {
    try {
      await run()
    } catch (error) {
      this.check(name, false, error instanceof Error ? (error.stack ?? error.message) : String(error))
    } finally {
      killAll()
    }
  }
}

export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

export function countsOf(checks: readonly Check[]): Counts {
  const skipped = checks.filter((check) => check.skipped !== undefined).length
  const passed = checks.filter(({ ok }) => ok).length
  return { passed, failed: checks.length - passed - skipped, skipped }
}

export async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms))
}

/** Rejects when `work` takes longer than `ms`: a stuck node fails a check instead of hanging the run. */
export async function within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: no outcome within ${ms} ms`)), ms)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

/** Asks until the answer is the one wanted, or `ms` are over; gives the last answer. */
export async function eventually<T>(ms: number, ask: () => Promise<T> | T, wanted: (value: T) => boolean): Promise<T> {
  const end = performance.now() + ms
  for (;;) {
    const value = await ask()
    if (wanted(value) || performance.now() > end) return value
    await pause(20)
  }
}
