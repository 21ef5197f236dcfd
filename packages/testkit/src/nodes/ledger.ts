/**
 * What callers asked for and what actors did, each increment by an id of its own; and the rules between the two. It
 * sees only what a program on the nodes could write down.
 */
import { isSkepError } from '@skep/cluster'
import type { Rule } from '../machines/report.js'

export interface Finding {
  readonly rule: Rule
  readonly at: number
  readonly text: string
}

interface Asked {
  readonly id: string
  /** Calls of one caller to one name are numbered: in this order they were sent. */
  readonly caller: string
  readonly order: number
  readonly name: string
  outcome: 'open' | 'done' | 'no' | 'maybe' | 'yes'
  by: string | undefined
  code: string | undefined
}

export class Ledger {
  readonly #asked = new Map<string, Asked>()
  readonly #applied = new Map<string, string[]>()
  readonly #orders = new Map<string, number>()
  /** The last increment of each caller that each process applied. */
  readonly #lastOf = new Map<string, Asked>()
  readonly #now: () => number
  readonly findings: Finding[] = []
  /** How requests ended, each with its number. */
  readonly outcomes: Record<string, number> = {}

  constructor(now: () => number) {
    this.#now = now
  }

  /** A call or cast that leaves its caller now. */
  asks(caller: string, name: string): string {
    const order = (this.#orders.get(caller) ?? 0) + 1
    this.#orders.set(caller, order)
    const id = `${caller}:${order}`
    this.#asked.set(id, { id, caller, order, name, outcome: 'open', by: undefined, code: undefined })
    return id
  }

  /** The actor does it, in its turn. */
  applies(id: string, pid: string): void {
    const before = this.#applied.get(id)
    if (before !== undefined) {
      before.push(pid)
      this.breaks('twice', `${id} was done by ${before.join(' and ')}`)
      return
    }
    this.#applied.set(id, [pid])
    const asked = this.#asked.get(id)
    if (asked === undefined) return this.breaks('outcome', `${id} was done, and nobody had asked for it`)
    const key = `${asked.caller} ${asked.name} ${pid}`
    const last = this.#lastOf.get(key)
    if (last !== undefined && last.order > asked.order)
      this.breaks('order', `${id} was done by ${pid} after ${last.id}`)
    else this.#lastOf.set(key, asked)
  }

  answered(id: string, by: string): void {
    const asked = this.#settles(id)
    if (asked === undefined) return
    asked.outcome = 'done'
    asked.by = by
    this.count('answered')
    const applied = this.#applied.get(id)
    if (applied?.includes(by) !== true)
      this.breaks('outcome', `${id} was answered by ${by}, but done by ${applied ?? 'nobody'}`)
  }

  /** `died`: the caller's own process was killed, so nothing that it was told counts. */
  failed(id: string, error: unknown, died: boolean): void {
    const asked = this.#settles(id)
    if (asked === undefined) return
    const known = isSkepError(error)
    asked.code = known ? error.code : String(error)
    asked.outcome = died ? 'maybe' : known ? (error.sent ?? 'maybe') : 'yes'
    this.count(died ? 'caller died' : `${asked.code} ${asked.outcome}`)
    if (!known && !died) this.breaks('outcome', `${id} failed with ${String(error)}`)
  }

  #settles(id: string): Asked | undefined {
    const asked = this.#asked.get(id)
    if (asked?.outcome === 'open') return asked
    this.breaks('outcome', `${id} was settled twice`)
    return undefined
  }

  /** A cast is not answered: whether it was done will be seen. */
  cast(id: string): void {
    const asked = this.#asked.get(id)
    if (asked !== undefined) asked.outcome = 'maybe'
    this.count('cast')
  }

  /** At the end, when everything has had its time. */
  close(): void {
    for (const { id, outcome, code } of this.#asked.values()) {
      if (outcome === 'open') this.breaks('stuck', `${id} was never settled`)
      if (outcome !== 'no' || !this.#applied.has(id)) continue
      this.breaks('outcome', `${id} failed with ${code}, sent 'no', but was done by ${this.#applied.get(id)}`)
    }
  }

  breaks(rule: Rule, text: string): void {
    this.findings.push({ rule, at: this.#now(), text })
  }

  count(outcome: string): void {
    this.outcomes[outcome] = (this.outcomes[outcome] ?? 0) + 1
  }
}
