/** What an actor (`self.node`) and the user of a node can do with actors. Types only. */
import type { Claim, Pid } from '@skep/tracker'
import type { AnyActor, Casts, InitArgs, MethodsOf, RefOf, RemoteMethod } from './definition.js'
import type { Anonymous, Via } from './via.js'

export interface ActorNode {
  /** This node's name. */
  readonly name: string

  /**
   * Start an actor here, under a name or without one. Resolves when it can be called: the name was claimed first, then
   * `init` and `onStart` ran, then the name was made visible. Errors: ERR_ALREADY_STARTED with the holder's `pid`,
   * ERR_INIT_FAILED with `cause`, ERR_IGNORED, ERR_BAD_NAME, ERR_TIMEOUT, ERR_LEAVING.
   */
  start<D extends AnyActor>(definition: D, where: Via | Anonymous, ...args: InitArgs<D>): Promise<Pid>

  /** Start an actor where the ring says; the cluster starts it again elsewhere when its node dies. Errors as `start`. */
  spawn<D extends AnyActor>(definition: D, where: Via, ...args: InitArgs<D>): Promise<Pid>

  /** A ref that spawns its actor when it is called while nobody holds the name. No I/O until then. */
  ensure<D extends AnyActor>(definition: D, where: Via, ...args: InitArgs<D>): RefOf<D>

  /** A ref by name, looked up at each call; it never starts anything: ERR_NOT_REGISTERED while nobody holds it. */
  via<D extends AnyActor>(definition: D, name: string): RefOf<D>

  /** A ref to this one process, wherever it is. */
  ref<D extends AnyActor>(definition: D, pid: Pid): RefOf<D>

  /** A group of processes under one name; everybody can join and leave. */
  group<D extends AnyActor>(definition: D, name: string): GroupOf<D>
  group(name: string): PidGroup

  /** Who holds the name, as this node knows: one look-up, no I/O. */
  whereis(name: string): Pid | undefined

  /** Give a name to any process of this node by hand. Errors: ERR_ALREADY_REGISTERED with `pid`, ERR_NOT_LOCAL. */
  register(name: string, process: Pid | object, options?: RegisterOptions): Promise<Claim>
  unregister(name: string): Promise<void>
}

export interface RegisterOptions {
  readonly meta?: unknown
  readonly visible?: 'all' | number
  readonly timeout?: number
}

/** What a member answered: as `Promise.allSettled`, and who it was. */
export type GroupReply<T> =
  | { readonly pid: Pid; readonly status: 'fulfilled'; readonly value: T }
  | { readonly pid: Pid; readonly status: 'rejected'; readonly reason: unknown }

/** The methods that a group can be asked for: all but the streamed ones. */
export type GroupCalls<On> = {
  readonly [K in keyof On as K extends keyof Casts<On> ? K : never]: (
    ...args: Parameters<RemoteMethod<On[K]>>
  ) => Promise<GroupReply<Awaited<ReturnType<RemoteMethod<On[K]>>>>[]>
}

export interface PidGroup {
  readonly name: string
  /** Take a process into the group; it leaves by itself when it ends. Takes a pid or a ref. */
  join(process: Pid | object, meta?: unknown): Promise<void>
  leave(process: Pid | object): Promise<void>
  /** The members known here, in an order that is the same on every node. */
  pids(): readonly Pid[]
}

export interface GroupOf<D extends AnyActor> extends PidGroup {
  /** The members known here as refs. */
  members(): RefOf<D>[]
  /** To every member known here, at most once, no reply. */
  readonly cast: Casts<MethodsOf<D>>
  /** Ask every member known here; one answer or error for each, never throws for one bad member. */
  readonly call: GroupCalls<MethodsOf<D>>
}
