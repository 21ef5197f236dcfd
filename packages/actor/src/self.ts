/** What the code of an actor gets as `self`: its face to the actor that it is of, and to the message that runs. */
import type { Logger } from '@skep/cluster'
import type { Pid } from '@skep/tracker'
import type { Self } from './define.js'
import type { AnyActor } from './definition.js'
import type { Links } from './links.js'
import type { Message } from './message.js'
import type { ActorNode } from './node.js'
import type { ActorTimers, TimerBody } from './timers.js'
import type { Anonymous, Via } from './via.js'

/** The actor that a `self` is of. */
export interface SelfOwner {
  state: unknown
  readonly actor: { readonly kind: string }
  readonly info: { readonly pid: Pid; readonly name: string | undefined }
  readonly fence: number
  readonly logger: Logger
  /** Aborted when the actor stops. */
  readonly life: AbortSignal
  readonly links: Links
  readonly timers: ActorTimers
  /** The node as seen from inside this message; from outside of any where there is none. */
  nodeFor(message: Message | undefined): ActorNode
  /** The pid behind a pid or a ref. */
  pidOf(process: unknown): Pid
  startTimer(ms: number, work: TimerBody | string, args: readonly unknown[], again: boolean): () => void
  startChild(
    definition: AnyActor,
    where: Via | Anonymous,
    args: readonly unknown[],
    message: Message | undefined,
  ): Promise<Pid>
  stopItself(reason: string): void
  crashItself(error: unknown): void
}

/** The actor behind a `self`. */
export function ownerOf(self: unknown): SelfOwner {
  return ActorSelf.ownerOf(self as ActorSelf)
}

/** The message that a `self` is of. */
export function messageOf(self: unknown): Message | undefined {
  return ActorSelf.messageOf(self as ActorSelf)
}

/** What methods get as `self`, one for each message; without a message, what `onStart` and `onStop` get. */
export class ActorSelf implements Self<unknown> {
  readonly #owner: SelfOwner
  readonly #message: Message | undefined
  #node: ActorNode | undefined

  constructor(owner: SelfOwner, message: Message | undefined) {
    this.#owner = owner
    this.#message = message
  }

  static ownerOf(self: ActorSelf): SelfOwner {
    return self.#owner
  }

  static messageOf(self: ActorSelf): Message | undefined {
    return self.#message
  }

  get state(): unknown {
    return this.#owner.state
  }

  set state(state: unknown) {
    this.#owner.state = state
  }

  get kind(): string {
    return this.#owner.actor.kind
  }

  get pid(): Pid {
    return this.#owner.info.pid
  }

  get name(): string | undefined {
    return this.#owner.info.name
  }

  get fence(): number {
    return this.#owner.fence
  }

  get node(): ActorNode {
    this.#node ??= this.#owner.nodeFor(this.#message)
    return this.#node
  }

  get signal(): AbortSignal {
    const message = this.#message
    return message === undefined || message.over ? this.#owner.life : message.signal
  }

  get logger(): Logger {
    return this.#owner.logger
  }

  after(ms: number, work: string | ((self: Self<unknown>) => unknown), ...args: unknown[]): () => void {
    return this.#owner.startTimer(ms, work as TimerBody | string, args, false)
  }

  every(ms: number, work: string | ((self: Self<unknown>) => unknown), ...args: unknown[]): () => void {
    return this.#owner.startTimer(ms, work as TimerBody | string, args, true)
  }

  cancel(method: string, ...args: unknown[]): boolean {
    const { timers } = this.#owner
    return timers.cancel(method, args.length === 0 ? undefined : timers.packed(args))
  }

  start(definition: AnyActor, where: Via | Anonymous, ...args: unknown[]): Promise<Pid> {
    return this.#owner.startChild(definition, where, args, this.#message)
  }

  link(other: Pid | object): Promise<void> {
    return this.#owner.links.link(this.#owner.pidOf(other))
  }

  unlink(other: Pid | object): Promise<void> {
    return this.#owner.links.unlink(this.#owner.pidOf(other))
  }

  stop(reason = 'stopped'): void {
    this.#owner.stopItself(reason)
  }

  crash(error: unknown): void {
    this.#owner.crashItself(error)
  }
}
