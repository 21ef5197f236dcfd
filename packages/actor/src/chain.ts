/**
 * Who waits for whom. A call that is made from inside an actor carries the chain of those who wait for it, its maker
 * last; an actor that takes one call at a time and stands in that chain would never come to it, so the call is refused
 * with the names instead of hanging until its deadline. The same where the actor waits for somebody in the chain: two
 * that call each other at one moment. Whether a method awaits what it has called cannot be seen: while it runs it counts.
 *
 * An actor that starts waits as well, under its starter's chain: who starts another one waits for its `init` and
 * `onStart`. And who ends another one waits for all that runs in that, whether it is reentrant or not.
 */
import type { Pid } from '@skep/tracker'

/** Those who wait that one call remembers, the latest; a longer cycle is found by the deadline alone. */
export const maxChain = 32

/** Characters of the label of one. */
const maxLabel = 120

/** An actor whose running message waits for what was called from inside it. */
export interface Waiter {
  readonly boot: string
  readonly id: number
  /** Which of its messages: what it runs later waits for nothing of this. */
  readonly run: number
  /** "counter 'a'": for people. */
  readonly label: string
}

/** Outermost first. */
export type Chain = readonly Waiter[]

/** A call that a running message has made and that has no answer yet, or an actor whose start or end it waits for. */
export interface Awaited {
  /** Where the call went last. */
  readonly pid: Pid | undefined
  /** It is answered whatever else runs there. */
  readonly reentrant: boolean
}

/** The message, or the start, under which calls are made: they wait no longer than it does, and it waits for them. */
export class CallContext {
  /** On this node's clock; Infinity for none. */
  deadline: number
  readonly #callers: Chain
  #waiter: (() => Waiter) | undefined
  #chain: Chain | undefined
  #awaited: Set<Awaited> | undefined

  constructor(deadline: number, callers: Chain | undefined, waiter?: () => Waiter) {
    this.deadline = deadline
    this.#callers = callers ?? []
    this.#waiter = waiter
  }

  /** Whose it is, where that was not known before. */
  begin(waiter: () => Waiter): void {
    this.#waiter = waiter
  }

  /** What a call made under it carries; undefined once the message is over, for it waits for nothing then. */
  get chain(): Chain | undefined {
    if (this.#chain === undefined && this.#waiter !== undefined)
      this.#chain = [...this.#callers, this.#waiter()].slice(-maxChain)
    return this.#chain
  }

  /** The message's own place in the chain. */
  get run(): number | undefined {
    return this.#chain?.at(-1)?.run
  }

  /** Who has this chain is waited for by the message. */
  isIn(chain: Chain | undefined): boolean {
    const own = this.#chain?.at(-1)
    return (
      own !== undefined &&
      chain?.some(({ run, id, boot }) => run === own.run && id === own.id && boot === own.boot) === true
    )
  }

  get awaited(): Iterable<Awaited> {
    return this.#awaited ?? []
  }

  await(call: Awaited): void {
    if (this.#waiter === undefined) return
    this.#awaited ??= new Set()
    this.#awaited.add(call)
  }

  answered(call: Awaited): void {
    this.#awaited?.delete(call)
  }

  /** Its message has run: neither its deadline nor its callers are anything to what it still calls. */
  end(): void {
    this.deadline = Number.POSITIVE_INFINITY
    this.#waiter = undefined
    this.#chain = undefined
    this.#awaited = undefined
  }
}

/** An actor of this node, as far as it may wait. */
export interface Waiting {
  readonly info: { readonly pid: Pid }
  readonly label: string
  /**
   * What a message that comes waits for: that of the one which runs alone, or of the start. Undefined where neither is,
   * where it called nobody, and for a reentrant actor that runs.
   */
  readonly waitingAs: CallContext | undefined
  /** What its end waits for: those of all that run. */
  readonly contexts: readonly CallContext[]
}

/**
 * The names of those who would wait for each other for ever if this actor took a call with this chain; undefined where
 * it will come to it. `local`: another actor of this node.
 */
export function cycleOf(actor: Waiting, chain: Chain, local: (pid: Pid) => Waiting | undefined): string[] | undefined {
  const { waitingAs } = actor
  return waitingAs && cycleFrom(actor, waitingAs, chain, local, [])
}

/** The same where `by`, who was called with this chain, waits for the end of all these actors. */
export function endCycleOf(
  actors: Iterable<Waiting>,
  by: string,
  chain: Chain,
  local: (pid: Pid) => Waiting | undefined,
): string[] | undefined {
  return first(actors, (actor) => first(actor.contexts, (context) => cycleFrom(actor, context, chain, local, [by])))
}

/** `before`: who waits for this one, from the one that was asked first. */
function cycleFrom(
  actor: Waiting,
  context: CallContext,
  chain: Chain,
  local: (pid: Pid) => Waiting | undefined,
  before: readonly string[],
): string[] | undefined {
  if (before.length > maxChain) return undefined
  const path = [...before, actor.label]
  const own = chain.findIndex((waiter) => isAt(waiter, actor.info.pid) && waiter.run === context.run)
  if (own >= 0) return [...labels(chain, own), ...path]
  return first(context.awaited, ({ pid, reentrant }) => {
    if (pid === undefined || reentrant) return undefined
    const callee = local(pid)
    const at = chain.findIndex((waiter) => isAt(waiter, pid))
    const waiter = chain[at]
    // Of another node's actor it is not known here whether it still waits; its answer would have come before this call.
    if (waiter !== undefined && callee?.contexts.every(({ run }) => run !== waiter.run) !== true)
      return [...labels(chain, at), ...path, waiter.label]
    return callee && first(callee.contexts, (its) => cycleFrom(callee, its, chain, local, path))
  })
}

function first<T, Found>(all: Iterable<T>, find: (one: T) => Found | undefined): Found | undefined {
  for (const one of all) {
    const found = find(one)
    if (found !== undefined) return found
  }
  return undefined
}

function labels(chain: Chain, from: number): string[] {
  return chain.slice(from).map(({ label }) => label)
}

function isAt({ boot, id }: Waiter, pid: Pid): boolean {
  return id === pid.id && boot === pid.boot
}

// --- on the wire ---

export function chainToWire(chain: Chain): unknown[] {
  return chain.map(({ boot, id, run, label }) => [boot, id, run, label.slice(0, maxLabel)])
}

/** Undefined for anything that is no chain: a call goes without it. */
export function chainFromWire(wire: unknown): Chain | undefined {
  if (!Array.isArray(wire) || wire.length === 0 || wire.length > maxChain) return undefined
  const chain: Waiter[] = []
  for (const one of wire) {
    if (!Array.isArray(one)) return undefined
    const [boot, id, run, label] = one as unknown[]
    if (typeof boot !== 'string' || typeof label !== 'string') return undefined
    if (!Number.isSafeInteger(id) || !Number.isSafeInteger(run)) return undefined
    chain.push({ boot, id: id as number, run: run as number, label: label.slice(0, maxLabel) })
  }
  return chain
}
