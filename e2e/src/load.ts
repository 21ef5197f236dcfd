/**
 * The load that a node makes on itself and the others, at a steady pace: calls by name and registrations, nothing
 * retried. Everything that came of it is counted, and kept one by one where a scenario must look closer.
 */

import { isSkepError, type SkepNode, via } from 'skep'
import { Place, type Who } from './place.js'

export interface LoadOptions {
  /** Called in turn. */
  readonly names: readonly string[]
  readonly callsPerS: number
  /** Names of this node's own that are started on it, `PREFIX-1` and so on. */
  readonly startsPerS: number
  readonly prefix: string
}

export interface LoadReport {
  readonly calls: number
  readonly answered: number
  /** Failed calls by code. */
  readonly failed: Readonly<Record<string, number>>
  readonly failures: readonly Failure[]
  /** Calls and starts without any outcome, long after their time was over. */
  readonly open: number
  readonly longestMs: number
  /** Per name and process: when the first and the last answer came. */
  readonly answers: readonly Answers[]
  /** Names whose start was acknowledged, and when. */
  readonly started: readonly Started[]
  /** Starts that failed, by code. */
  readonly refused: Readonly<Record<string, number>>
}

export interface Failure {
  readonly name: string
  readonly code: string
  readonly sentAt: number
  readonly at: number
}

export interface Answers {
  readonly name: string
  readonly process: number
  readonly firstAt: number
  lastAt: number
  count: number
}

export interface Started {
  readonly name: string
  readonly at: number
}

/** Calls end by themselves within this; starts likewise. */
export const CALL_TIMEOUT_MS = 2000

const BEAT_MS = 20
/** After the timeout of the last call: what has no outcome then will never have one. */
const GRACE_MS = 3000
/** Of failures, answers and starts each, so that a long run keeps its size. */
const MAX_KEPT = 20_000

const clock = (): number => Number(process.hrtime.bigint()) / 1e6

export class Load {
  readonly #node: SkepNode
  readonly #options: LoadOptions
  readonly #timer: NodeJS.Timeout
  readonly #beganAt: number = clock()
  readonly #pending: Set<Promise<void>> = new Set()
  readonly #failed: Record<string, number> = {}
  readonly #refused: Record<string, number> = {}
  readonly #failures: Failure[] = []
  readonly #answers: Map<string, Answers> = new Map()
  readonly #started: Started[] = []
  #calls = 0
  #starts = 0
  #answered = 0
  #longestMs = 0

  constructor(node: SkepNode, options: LoadOptions) {
    this.#node = node
    this.#options = options
    this.#timer = setInterval(() => this.#beat(), BEAT_MS)
  }

  /** No more starts; calls go on. */
  startNoMore(): void {
    this.#starts = Number.POSITIVE_INFINITY
  }

  /** Ends it, waits for what is open (bounded), and tells. */
  async end(): Promise<LoadReport> {
    clearInterval(this.#timer)
    const late = new Promise<void>((resolve) => setTimeout(resolve, CALL_TIMEOUT_MS + GRACE_MS).unref())
    await Promise.race([Promise.all(this.#pending), late])
    return this.report()
  }

  /** What came of it so far. */
  report(): LoadReport {
    return {
      calls: this.#calls,
      answered: this.#answered,
      failed: this.#failed,
      failures: this.#failures,
      open: this.#pending.size,
      longestMs: Math.round(this.#longestMs),
      answers: [...this.#answers.values()],
      started: this.#started,
      refused: this.#refused,
    }
  }

  /** What is due by the clock, at most a second's worth: a process that stood still does not make up for it. */
  #beat(): void {
    const { names, callsPerS, startsPerS } = this.#options
    const seconds = (clock() - this.#beganAt) / 1000
    const calls = names.length === 0 ? 0 : Math.min(Math.floor(seconds * callsPerS) - this.#calls, callsPerS)
    for (let i = 0; i < calls; i++) this.#follow(this.#call(names[this.#calls++ % names.length] ?? ''))
    const starts = Math.min(Math.floor(seconds * startsPerS) - this.#starts, startsPerS)
    for (let i = 0; i < starts; i++) this.#follow(this.#start(`${this.#options.prefix}-${++this.#starts}`))
  }

  #follow(work: Promise<void>): void {
    this.#pending.add(work)
    work.finally(() => this.#pending.delete(work))
  }

  async #call(name: string): Promise<void> {
    const sentAt = clock()
    try {
      this.#answer(name, await this.#node.via(Place, name).$.with({ timeout: CALL_TIMEOUT_MS }).who())
    } catch (error) {
      const code = codeOf(error)
      this.#failed[code] = (this.#failed[code] ?? 0) + 1
      if (this.#failures.length < MAX_KEPT) this.#failures.push({ name, code, sentAt, at: clock() })
    }
    this.#longestMs = Math.max(this.#longestMs, clock() - sentAt)
  }

  #answer(name: string, { process }: Who): void {
    this.#answered++
    const at = clock()
    const key = `${name} ${process}`
    const known = this.#answers.get(key)
    if (known !== undefined) {
      known.lastAt = at
      known.count++
    } else if (this.#answers.size < MAX_KEPT) {
      this.#answers.set(key, { name, process, firstAt: at, lastAt: at, count: 1 })
    }
  }

  async #start(name: string): Promise<void> {
    try {
      await this.#node.start(Place, via(name, { timeout: CALL_TIMEOUT_MS }))
      if (this.#started.length < MAX_KEPT) this.#started.push({ name, at: clock() })
    } catch (error) {
      const code = codeOf(error)
      this.#refused[code] = (this.#refused[code] ?? 0) + 1
    }
  }
}

/** An error without a code of ours is told by what it says. */
function codeOf(error: unknown): string {
  return isSkepError(error) ? error.code : String(error)
}
