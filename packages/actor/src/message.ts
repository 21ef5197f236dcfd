/** What waits in a mailbox: something to begin in the actor's turn, and somebody who is told what came of it. */
import type { ErrorCode, Sent } from '@skep/cluster'
import { Pid } from '@skep/tracker'
import { CallContext, type Chain, type Waiter } from './chain.js'
import type { ActorCode, AnyFunction } from './definition.js'
import type { Target } from './ref.js'
import { OwnAbort } from './rejections.js'
import type { RefSource } from './values.js'

/** What a message sees of the actor that runs it. */
export interface Runner {
  selfFor(message: Message): unknown
  /** What runs in the place of this method, which was called so, where the code was replaced since. */
  latest(work: AnyFunction, name: string | undefined): AnyFunction
  /** A place in the chain of those who wait, for a message that runs. */
  waiter(): Waiter
  /** Another copy has lost its name to this actor: what that one was, as `$` sent it. */
  merge(message: Message, args: readonly unknown[]): unknown
}

export abstract class Message {
  /** On this node's clock: after it nobody waits for the answer any more. Infinity for none. */
  deadline: number = Number.POSITIVE_INFINITY
  /** It was sent to where its actor was before, which passes it on: it goes before what is sent straight. */
  passedOn = false
  /** The caller gave up. What has not begun is not begun. */
  withdrawn = false
  /** A later part of something that was accepted before, or a timer: never refused while its actor is paused. */
  step = false
  /** It has its place however full the mailbox is. */
  vital = false
  /** What it calls, for people. */
  abstract readonly method: string | undefined
  /** It has a key: what was done under that once is not done again. Its method belongs to it. */
  once: string | undefined
  /** The one run for all that have its key. */
  joint: { left(call: Message, reason: unknown): void } | undefined
  /** Who waits for it, where it was called from inside an actor. */
  chain: Chain | undefined
  /** It has run: what its actor does from now on is bound neither by its deadline nor by its signal. */
  over = false
  #context: CallContext | undefined
  #abort: OwnAbort | undefined

  /** Do the work, as another message where that stands for it: its value, or a promise. What it throws is the actor's. */
  abstract begin(runner: Runner, as?: Message): unknown
  /** It is being done, by whichever message. */
  began(): void {}
  /** The work is done. */
  abstract answer(value: unknown): void
  /** The work threw. */
  abstract fail(error: unknown): void
  /** The work was not done (`sent` no) or its outcome will not be known. Told after anything else, it means nothing. */
  abstract refuse(code: ErrorCode, text: string, sent: Sent): void

  /** It has not begun, and its actor goes on as this process of another node: whoever asked need not know. */
  abstract passOn(to: Pid): void

  /** A beat of the actor's own: it does not keep the actor from being idle. */
  get isBeat(): boolean {
    return false
  }

  /** True when beginning it makes no sense any more. */
  stale(now: number): boolean {
    return this.withdrawn || this.deadline <= now
  }

  /**
   * What calls made while it runs are bound by. Its own object, which refs kept in the actor's state can hold on to
   * without holding the message; made when first asked for.
   */
  contextIn(runner: Runner): CallContext {
    if (this.#context === undefined) {
      this.#context = new CallContext(this.deadline, this.chain, () => runner.waiter())
      if (this.over) this.#context.end()
    }
    return this.#context
  }

  /** Its deadline is known, or another, by now; what it has called is bound by that too. */
  endBy(deadline: number): void {
    this.deadline = deadline
    if (this.#context !== undefined && !this.over) this.#context.deadline = deadline
  }

  /** What `contextIn` gave, where that was asked for. */
  get context(): CallContext | undefined {
    return this.#context
  }

  /** It has run. */
  finish(): void {
    this.over = true
    this.#context?.end()
  }

  /** Aborted when the caller gives up or the actor stops. Made when first asked for: most calls never ask. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new OwnAbort()
      if (this.withdrawn) this.#abort.abort()
    }
    return this.#abort.signal
  }

  withdraw(reason?: unknown): void {
    if (this.withdrawn) return
    this.withdrawn = true
    this.#abort?.abort(reason)
    this.joint?.left(this, reason)
  }
}

/** Methods that one error names at most. */
const mostNames = 20

/** The method name of what `$` asks of an actor. No method can have it. */
export const control = '$'

/** What a key belongs to. */
export function onceOf(method: string, key: string): string {
  return `${method}\n${key}`
}

/** What is done beside the mailbox, however full or slow that is. */
export type Beside = 'monitor' | 'link' | 'unlink'

/** What a method call runs: a method of the definition, what `$` and links ask, or what a lost copy sends. */
export type Work = AnyFunction | 'stop' | 'merge' | Beside

/** It does not wait in the mailbox. */
export function isBeside(work: Work): work is Beside {
  return work === 'monitor' || work === 'link' || work === 'unlink'
}

/** The work behind a method name; undefined where the actor has none of it. `streamed` must be as the caller has it. */
export function workFor(
  actor: ActorCode,
  method: string,
  args: readonly unknown[],
  streamed: boolean,
): Work | undefined {
  if (method === control) {
    const [what] = args
    if (streamed) return undefined
    if (what === 'merge') return actor.onConflict === undefined ? undefined : what
    if ((what === 'link' || what === 'unlink') && args[1] instanceof Pid) return what
    return what === 'stop' || what === 'monitor' ? what : undefined
  }
  return actor.streams.has(method) === streamed ? actor.methods.get(method) : undefined
}

/** Why an actor refuses a method. */
export function noMethod(
  { title, actor }: { readonly title: string; readonly actor: ActorCode },
  method: string,
  streamed: boolean,
): string {
  if (actor.methods.has(method))
    return `${method} of ${title} ${streamed ? 'answers once, it is no stream' : 'is a stream'}: is its node of another version?`
  const names = [...actor.methods.keys()]
  const more = names.length > mostNames ? ' and more' : ''
  return `${title} has no method '${method}', it has ${names.slice(0, mostNames).join(', ')}${more}: is its node of another version?`
}

/** Begins the work: the usual few arguments without spreading them. */
export function beginWork(work: Work, runner: Runner, message: Message, args: readonly unknown[]): unknown {
  if (typeof work === 'string') {
    if (work === 'merge') return runner.merge(message, args)
    // An actor ends only after this message has: it is the answer that stops it. All else is done beside the mailbox.
    return undefined
  }
  const method = runner.latest(work, message.method)
  const self = runner.selfFor(message)
  switch (args.length) {
    case 0:
      return method(self)
    case 1:
      return method(self, args[0])
    case 2:
      return method(self, args[0], args[1])
    default:
      return method(self, ...args)
  }
}

/** Makes refs that arrive belong to a call. */
interface RefMaker {
  refsFor(context: CallContext | undefined): RefSource
}

/** Refs on their way into a message; whatever else arrives costs only this object. */
export class ArrivingRefs implements RefSource {
  readonly #host: RefMaker
  readonly #runner: Runner
  readonly #message: Message

  constructor(host: RefMaker, runner: Runner, message: Message) {
    this.#host = host
    this.#runner = runner
    this.#message = message
  }

  refOf(kind: string, target: Target): object | undefined {
    return this.#host.refsFor(this.#message.contextIn(this.#runner)).refOf(kind, target)
  }

  rebind(ref: object): object {
    return this.#host.refsFor(this.#message.contextIn(this.#runner)).rebind(ref)
  }
}
