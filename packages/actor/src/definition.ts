/**
 * What a definition is once made, and the types of the refs that follow from it. The types of state, arguments and
 * methods are carried by one property that exists for the compiler only; what runs is kept untyped beside it.
 */
import type { OwnPlacement, Pid, PlacementRule, Restart } from '@skep/tracker'

/** Where a definition keeps what runs. Not for users. */
export const code: unique symbol = Symbol('skep.code')

/**
 * What an `init` returns (or throws) where there is nothing to run, as OTP's `:ignore`: the start fails with ERR_IGNORED.
 * That is no failure: a placed actor that is being restarted is given up, and its name is free.
 */
export const ignore: unique symbol = Symbol.for('skep.ignore') as never

/** For the compiler only: never present. */
export declare const types: unique symbol

export type AnyFunction = (...args: unknown[]) => unknown

/** What runs, with its types worn off. */
export interface ActorCode {
  readonly kind: string
  readonly init: AnyFunction
  readonly methods: ReadonlyMap<string, AnyFunction>
  /** Methods that are async generators: their replies are streams. */
  readonly streams: ReadonlySet<string>
  readonly onStart: AnyFunction | undefined
  readonly onStop: AnyFunction | undefined
  /** Told of the end of a child, or of one that it is linked to. */
  readonly onExit: AnyFunction | undefined
  /** A supervisor's: told of the end of a child, by its process, in place of `onExit`. */
  readonly onChild: AnyFunction | undefined
  /** A supervisor's: makes its state go on with this code, in place of `handoff`. */
  readonly renew: AnyFunction | undefined
  /** Merges the state of another copy, which lost the name to this one. */
  readonly onConflict: AnyFunction | undefined
  /** How its state travels to another node; false: it never does. */
  readonly handoff: false | { readonly out: AnyFunction | undefined; readonly in: AnyFunction | undefined }
  readonly reentrant: boolean
  /** Messages that may wait at most; undefined takes the node's limit. */
  readonly mailbox: number | undefined
  /** Milliseconds without a message after which it ends; undefined: it stays. */
  readonly idleAfter: number | undefined
  /** The window of calls with a key; what is undefined takes the node's limits. */
  readonly keys: { readonly entries?: number; readonly ms?: number } | undefined
  /** Where placed ones are started; undefined takes the node's. */
  readonly placement: PlacementRule | OwnPlacement | undefined
  /** Whether placed ones are started again; undefined: as usual. */
  readonly restart: Restart | undefined
}

/**
 * For the compiler only: what a method is to its callers, where that does not follow from its own type, as when its
 * result depends on its argument.
 */
export declare const seen: unique symbol

/** What `defineActor` gives: pass it around, start it, make refs with it. */
export interface ActorDefinition<Args extends readonly unknown[], State, On extends object> {
  readonly kind: string
  readonly [code]: ActorCode
  readonly [types]: { readonly args: Args; readonly state: State; readonly on: On }
}

export type AnyActor = ActorDefinition<readonly unknown[], unknown, object>

/** Arguments of the definition's `init`. */
export type InitArgs<D extends AnyActor> = D[typeof types]['args']

/** The definition's state. */
export type StateOf<D extends AnyActor> = D[typeof types]['state']

/** The definition's methods as written, `self` first. */
export type MethodsOf<D extends AnyActor> = D[typeof types]['on']

type ArgsOf<F> = F extends (...args: infer P) => unknown
  ? P extends []
    ? []
    : P extends [unknown?, ...infer A]
      ? A
      : never
  : never

/** The items of a streamed reply; never for a method that answers once (also one that only throws, or gives `any`). */
type ItemOf<F> = F extends (...args: never[]) => infer R
  ? [R] extends [never]
    ? never
    : 0 extends 1 & R
      ? never
      : R extends AsyncGenerator<infer T, unknown, unknown>
        ? { readonly item: T }
        : never
  : never

type ReplyOf<F> = [ItemOf<F>] extends [never]
  ? F extends (...args: never[]) => infer R
    ? Promise<Awaited<R>>
    : never
  : AsyncIterable<ItemOf<F>['item']>

/** A method as its callers see it: without `self`, and always a promise or a stream. */
export type RemoteMethod<F> = F extends { readonly [seen]: infer Seen extends (...args: never[]) => unknown }
  ? Seen
  : (...args: ArgsOf<F>) => ReplyOf<F>

/** The methods that can be cast: all but the streamed ones. */
export type Casts<On> = {
  readonly [K in keyof On as [ItemOf<On[K]>] extends [never] ? K : never]: (...args: ArgsOf<On[K]>) => void
}

export interface CallOptions {
  /**
   * Milliseconds until a call fails with ERR_TIMEOUT; Infinity waits as long as it takes. Default: the node's limit
   * `callTimeoutMs` (5 s). For a stream: how long it may take until the next item; default: as long as it takes.
   */
  readonly timeout?: number
  /** Aborts the call (ERR_ABORTED) and reaches the callee's `self.signal`. */
  readonly signal?: AbortSignal
  /**
   * Idempotency: what was called with this key is done once, and who repeats it gets the answer of that, also while it
   * still runs, also an error that the method threw. The key belongs to one method of one actor; arguments are not
   * compared. Remembered within the definition's `keys` window, across a handoff, and by the copy that merges this one by
   * `onConflict`; not across a crash, a restart or the end of a node. Only for calls with one answer: TypeError for streams and casts. 1 to 200 characters.
   */
  readonly key?: string
}

/**
 * How an actor ended: it was stopped; it crashed; it goes on elsewhere under its name; it lost its name to another copy;
 * its node is gone.
 */
export type DownReason = 'stopped' | 'crashed' | 'moved' | 'conflict' | 'node-down'

/** The end of an actor that was watched, that was linked, or that was a child. */
export interface Down {
  readonly pid: Pid
  readonly reason: DownReason
}

/** Every control of a ref stands under its `$`, so that no method name can clash with one. */
export interface Controls<On> {
  /** The kind of actor it speaks to. */
  readonly kind: string
  /** The name that is looked up at each call; undefined for a ref to a pid. */
  readonly name: string | undefined
  /** Send without waiting for anything: at most once, no reply, no error but that of a value that cannot be sent. */
  readonly cast: Casts<On>
  /** The same ref with these options. Throws TypeError where one is wrong. */
  with(options: CallOptions): RefTo<On>
  /** Whom a call would reach now, as far as this node knows; no message is sent. */
  pid(): Pid | undefined
  /**
   * Stop the actor after what was sent to it before; a call that runs for the node's limit `stopGraceMs` meanwhile is not
   * waited for, nor the start of one that is starting. Resolves when it has ended and its name is free; a placed actor
   * is not started again. An actor that waits for this about itself waits in vain: it calls `self.stop()`.
   */
  stop(reason?: string): Promise<void>
  /**
   * Watch the actor that a call would reach now, wherever it runs: gives its end, once, and then is done; `break` or the
   * ref's signal ends the watch. One that has ended already gives `stopped`. Errors: ERR_NOT_REGISTERED, ERR_ABORTED,
   * ERR_STOPPED when this node is stopped.
   */
  monitor(): AsyncIterableIterator<Down>
}

export type RefTo<On> = { readonly [K in keyof On]: RemoteMethod<On[K]> } & { readonly $: Controls<On> }

/** The ref that speaks to actors of this definition: `RefOf<typeof Counter>`. */
export type RefOf<D extends AnyActor> = RefTo<MethodsOf<D>>
