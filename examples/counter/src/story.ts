/** Tells a story on stdout, a line a step, and remembers it for `--json`. */

import { StepError } from './processes.js'

/** A step did not give what it must: the story ends. */
export class StepFailed extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'StepFailed'
  }
}

interface Told {
  readonly node: string
  readonly does: string
  readonly result: unknown
  readonly ms: number
}

export class Story {
  readonly #json: boolean
  readonly #steps: Told[] = []
  #results: Record<string, unknown> = {}

  constructor(json: boolean) {
    this.#json = json
  }

  /** How long the last step took, in milliseconds. */
  get lastMs(): number {
    return this.#steps.at(-1)?.ms ?? 0
  }

  chapter(text: string): void {
    this.#print(`\n${text}\n`)
  }

  note(text: string): void {
    this.#print(`            ${text}\n`)
  }

  /** Figures for the JSON object. */
  result(figures: Record<string, unknown>): void {
    this.#results = { ...this.#results, ...figures }
  }

  /** Runs a step of `node` and prints it with its result and the time it took. */
  async step<T>(node: string, does: string, run: () => Promise<T>): Promise<T> {
    const began = performance.now()
    try {
      const result = await run()
      this.#tell(node, does, result, performance.now() - began)
      return result
    } catch (error) {
      this.#tell(node, does, error, performance.now() - began)
      throw error instanceof StepError ? new StepFailed(`${node}: ${error.message}`) : error
    }
  }

  /** A step that must be refused: gives the error. */
  async refused(node: string, does: string, run: () => Promise<unknown>): Promise<StepError> {
    return this.step(node, does, async () => {
      const outcome = await run().catch((error: unknown) => error)
      if (outcome instanceof StepError) return outcome
      throw new StepFailed(`it was not refused but gave ${show(outcome)}`)
    })
  }

  /** The last step gave what it must, or the story ends. */
  must(held: boolean, what: string): void {
    if (!held) throw new StepFailed(`the last step should have given ${what}`)
  }

  end(seconds: number): void {
    this.#print(`\nDone in ${seconds.toFixed(1)} s: every step gave what it must.\n`)
    this.#printJson({ ok: true, seconds })
  }

  fail(reason: string): void {
    this.#print(`\nFAILED: ${reason}\n`)
    this.#printJson({ ok: false, reason })
  }

  #tell(node: string, does: string, result: unknown, ms: number): void {
    this.#steps.push({ node, does, result: result instanceof Error ? result.message : result, ms })
    this.#print(`  ${node.padEnd(8)}  ${does.padEnd(42)}  ${show(result)}  (${ms.toFixed(ms < 10 ? 1 : 0)} ms)\n`)
  }

  #print(text: string): void {
    if (!this.#json) process.stdout.write(text)
  }

  #printJson(outcome: Record<string, unknown>): void {
    if (this.#json) process.stdout.write(`${JSON.stringify({ ...outcome, ...this.#results, steps: this.#steps })}\n`)
  }
}

function show(value: unknown): string {
  if (value instanceof StepError) return `refused, ${value.code}: ${value.message}`
  if (value instanceof Error) return `FAILED: ${value.message}`
  if (typeof value === 'string') return value
  if (Array.isArray(value)) return value.join(' ')
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value)
      .map(([key, one]) => `${key} ${one}`)
      .join('   ')
  }
  return String(value)
}
