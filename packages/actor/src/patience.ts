/**
 * What is told about actors that keep others waiting: a call without an answer for long, with the names of both, and
 * code that held up the event loop. Each pair, or actor, has one line a minute at most.
 */
import type { Logger } from '@skep/cluster'
import { control } from './message.js'
import { Call } from './outgoing.js'
import type { Process } from './process.js'

/** Milliseconds between two lines about the same. */
const againMs = 60_000

/** Pairs that are remembered; the oldest are forgotten first. */
const maxPairs = 1000

export interface PatienceOptions {
  readonly logger: Logger
  readonly nodeName: string
  now(): number
  /** Milliseconds that a call may wait without a word. Infinity: for ever. */
  readonly slowCallMs: number
  /** Milliseconds that an actor may keep the event loop without a word. Infinity: for ever. */
  readonly blockedMs: number
}

export class Patience {
  readonly #options: PatienceOptions
  /** What was told, when, and how often it was not told since. */
  readonly #told = new Map<string, { atMs: number; more: number }>()

  constructor(options: PatienceOptions) {
    this.#options = options
  }

  /** How often all that waits is to be looked at. */
  get everyMs(): number {
    return this.#options.slowCallMs / 2
  }

  /** Something waits. What is seen a third time has waited for two periods at least, and less than three. */
  look(timed: object): boolean {
    if (!(timed instanceof Call) || timed.method === control) return false
    timed.looked += 1
    if (timed.looked === 3) this.#slow(timed)
    return timed.looked < 3
  }

  #slow(call: Call): void {
    const { nodeName, slowCallMs, logger } = this.#options
    const caller = call.chain?.at(-1)?.label ?? `a caller outside of actors, on node ${nodeName},`
    const { actor, target } = call.address
    const callee = `${actor.kind} ${target.by === 'pid' ? target.pid : `'${target.name}'`}`
    const more = this.#mayTell(`${caller}\n${callee}`)
    if (more === undefined) return
    const { method, pid } = call
    const where = pid === undefined ? 'it is still being found' : `it is at ${pid.node}`
    logger.warn(
      { caller, callee, method, pid: pid?.toString(), more },
      `${caller} has waited over ${slowCallMs} ms for ${call.what}: ${where}, where something runs before it or it runs itself; explain() shows its mailbox`,
    )
  }

  /** An actor has had the event loop for so long, in `messages` messages of which `method` was the last. */
  busy(process: Process, ms: number, messages: number): void {
    const { blockedMs, logger } = this.#options
    if (ms < blockedMs) return
    // Not before: it is asked after each turn, and the title is put together each time.
    const { title, host } = process
    const method = host.lastMethod
    const more = this.#mayTell(title)
    if (more === undefined) return
    const work =
      messages > 1 ? `${messages} messages, the last one ${method ?? 'a stream or timer'}` : (method ?? 'one message')
    logger.warn(
      { actor: title, method, ms: Math.round(ms), messages, more },
      `${title} blocked the event loop for ${Math.round(ms)} ms (${work}): nothing else ran on this node; split the work, or give it to a worker thread`,
    )
  }

  /** How often it was kept back since it was last told; undefined where it is kept back now. */
  #mayTell(what: string): number | undefined {
    const now = this.#options.now()
    const told = this.#told.get(what)
    if (told !== undefined && now - told.atMs < againMs) {
      told.more += 1
      return undefined
    }
    this.#told.delete(what)
    const oldest = this.#told.keys().next()
    if (this.#told.size >= maxPairs && oldest.done !== true) this.#told.delete(oldest.value)
    this.#told.set(what, { atMs: now, more: 0 })
    return told?.more ?? 0
  }
}
