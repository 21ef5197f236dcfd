/**
 * `defineActor`: an object of plain functions becomes a kind of actor, all types inferred from the functions. Mistakes
 * are a TypeError at once: an unknown key, a reserved method name, a generator that is not async.
 */
import type { Logger } from '@skep/cluster'
import {
  type OwnPlacement,
  type Pid,
  PlacementRule,
  type RestartOptions,
  type RestartPolicy,
  restartOf,
} from '@skep/tracker'
import {
  type ActorCode,
  type ActorDefinition,
  type AnyActor,
  type AnyFunction,
  code,
  type Down,
  type InitArgs,
  type ignore,
  type types,
} from './definition.js'
import { maxMs } from './idle.js'
import type { ActorNode } from './node.js'
import type { Anonymous, Via } from './via.js'

/** What a method gets first: its actor. */
export interface Self<State> {
  state: State
  readonly kind: string
  readonly pid: Pid
  /** The name it was started under; undefined for an anonymous one. */
  readonly name: string | undefined
  /** Rises with every activation of the name: send it along with writes to outside stores. 0 for an anonymous one. */
  readonly fence: number
  /**
   * The node, for calls to others. What is called through it, or through a ref that came as an argument, inherits the
   * deadline of the call that runs: a nested call never waits longer than its own caller does. Once that call has ended
   * it binds nothing more: neither timers that were set in it nor refs that were kept.
   */
  readonly node: ActorNode
  /** Aborted when the caller of the running call gives up or its node is gone, and when the actor stops. */
  readonly signal: AbortSignal
  /** The node's logger with the actor's kind, name and pid. */
  readonly logger: Logger
  /**
   * Run `fn` once, `ms` milliseconds from now, as a message of this actor: in its turn, after what waits then, with a
   * `self` of its own. It ends with the actor; the function returned cancels it. What it throws is logged and counted
   * among the actor's failures, and nobody else's. Throws TypeError for other than 0 to 2^31-1 ms, and ERR_OVERLOADED
   * where the actor has as many timers as messages may wait in its mailbox.
   */
  after(ms: number, fn: (self: Self<State>) => unknown): () => void
  /**
   * The same with a method of this actor by its name, and its arguments (copied as those of a call). This one moves along
   * where the actor is handed over to another node, with the time that is left; a function cannot, and ends there. Set
   * again with the same method and arguments it takes the place of the earlier one, so `onStart` may set it each time.
   * Throws TypeError for a method that the actor has not, or that is a stream, ERR_NOT_SENDABLE for the arguments.
   */
  after(ms: number, method: string, ...args: unknown[]): () => void
  /**
   * The same every `ms` milliseconds (at least 1), until it is cancelled. The next beat waits until the last one has
   * run: an actor that is slow, or a node that stood still, misses beats; they never pile up.
   */
  every(ms: number, fn: (self: Self<State>) => unknown): () => void
  /** The same with a method by its name, which moves along: see `after`. */
  every(ms: number, method: string, ...args: unknown[]): () => void
  /**
   * Cancel the timers that run this method: all of them, or those with just these arguments. For after a move, where the
   * functions that `after` and `every` returned mean nothing any more. Returns whether there was one.
   */
  cancel(method: string, ...args: unknown[]): boolean
  /**
   * Start an actor here as a child of this one: spelled and refused like `node.start`. It ends before this one does,
   * with `shutdown` as its reason: children end one after the other, the last one first, once the running call has ended
   * and before `onStop`. A child that ends before is told to `onExit`; it is not started again (a supervisor does that).
   * Children are this node's: they do not go along where their parent is handed over, so `onStart` makes them.
   */
  start<D extends AnyActor>(definition: D, where: Via | Anonymous, ...args: InitArgs<D>): Promise<Pid>
  /**
   * Stand and fall with another actor, wherever it runs: once one of the two has crashed, lost its name to another copy,
   * or gone down with its node, the other one crashes, too. An actor with an `onExit` is told instead. `stopped` and
   * `moved` only end the link. Resolves when both sides know; linking twice is linking once. Rejects with ERR_NO_PROCESS,
   * ERR_NODE_DOWN, ERR_NOT_REGISTERED, ERR_TIMEOUT, ERR_OVERLOADED past 10,000 links, or ERR_ACTOR_STOPPED where this
   * actor is ending; then there is no link.
   */
  link(other: Pid | object): Promise<void>
  /**
   * Undo that, for both sides. What came of the other one's end before, and waits in the mailbox, still comes. Rejects where
   * the other node cannot be told at present (ERR_UNREACHABLE, ERR_TIMEOUT, ERR_OVERLOADED): it is told as soon as it can.
   */
  unlink(other: Pid | object): Promise<void>
  /**
   * End after the running call; what waits is refused with ERR_ACTOR_STOPPED. A placed actor is started again only where
   * its `restart` is `permanent`.
   */
  stop(reason?: string): void
  /**
   * End the same way because of a fault, and without `onStop`, for its state is not to be trusted: the error is logged,
   * who watches it is told `crashed`, who is linked to it crashes, and a placed actor is started again from its arguments (unless its `restart` is
   * `temporary`) after a pause that grows, perhaps on another node. A method or a timer that throws is no crash: the
   * caller, or the log, is told, and the actor goes on. A promise that its code made and that is rejected while nobody
   * waits for it is one. Where the actor ends already it changes nothing, and the error is logged.
   */
  crash(error: unknown): void
}

/** What `on` may hold: functions that take `self` first. `$`, `then` and `toJSON` are no names for methods. */
export type Methods<State> = {
  readonly [method: string]: (self: Self<State>, ...args: never[]) => unknown
} & { readonly $?: never; readonly then?: never; readonly toJSON?: never }

type IsAny<T> = 0 extends 1 & T ? true : false

/**
 * A synchronous generator cannot be streamed: its key gets a type that it fails to be, which spells the refusal. Keys
 * are picked out by `as`, since a check that must wait for a type parameter (generic actors) then refuses nothing.
 */
type NoSyncGenerators<On> = {
  readonly [K in keyof On as On[K] extends (...args: never[]) => infer R
    ? IsAny<R> extends true
      ? never
      : R extends Generator<unknown, unknown, never>
        ? K
        : never
    : never]: 'a streamed reply is written as an async generator: async *name(self) {}'
}

export interface ActorOptions<Args extends unknown[], State, On> {
  /**
   * Makes the first state; sync or async. What it throws refuses the start: ERR_INIT_FAILED with that as `cause`; with
   * `ignore` it says that there is nothing to run: ERR_IGNORED. With `onStart` it is bounded by the `timeout` of the
   * start, else by the node's limit `startTimeoutMs`.
   */
  readonly init: (...args: Args) => State | typeof ignore | Promise<State | typeof ignore>
  /** What may be called. `async *name(self)` gives a stream. */
  readonly on: On & NoSyncGenerators<On>
  /**
   * After `init` (and after each restart elsewhere), before the first message and before the name is visible. After a
   * handoff: when the name is this actor's, before the first message. It may call others, but not the actor that starts
   * it and waits for that (ERR_CALL_CYCLE): cast, or call later by `self.after`.
   */
  readonly onStart?: (self: Self<State>) => void | Promise<void>
  /**
   * Two copies of a name can run for a while: on both sides of a cut, or where a node that lives was held to be down.
   * When they meet one of them keeps the name; this runs there, in its turn, with what the other one's state was when it
   * ended (by way of `handoff`, where that says how). Without it that is lost. Merge what cannot be counted twice (a count for each pid): a
   * plain number that both sides counted on from is wrong whatever is done with it.
   */
  readonly onConflict?: (self: Self<State>, theirs: NoInfer<State>) => unknown
  /**
   * How a placed actor goes to another node without loss: as its state, where nothing is said. `out` gives what is sent
   * instead (plain data, Map, refs and all else that can be an argument), when no call runs; `in` makes a state of what
   * any version's `out` gave. What either throws leaves the actor where it is, as it was. `false`: it is never handed
   * over; where its node leaves it is started afresh elsewhere.
   */
  readonly handoff?: false | Handoff<State>
  /**
   * One that it started, or is linked to, has ended: runs in its turn, as a message. With it this actor traps exits: a
   * linked one that crashes is told like any other end, and does not take this one along. What it throws is logged.
   */
  readonly onExit?: (self: Self<State>, down: Down) => unknown
  /** When it was told to stop, no call runs any more and its children have ended; bounded by the node's limit `stopGraceMs`. */
  readonly onStop?: (self: Self<State>, reason: string) => void | Promise<void>
  /** Begin calls while others wait for something. Default false: one at a time, in the order they came. */
  readonly reentrant?: boolean
  /** Messages that may wait at most before callers get ERR_OVERLOADED. Default: the node's limit (10,000). */
  readonly mailbox?: number
  /**
   * How many answers of calls with a `key` it remembers, and for how long (ms). Default: the node's limits (1,000 for ten
   * minutes), within 1 MiB in all: the oldest go first.
   */
  readonly keys?: { readonly entries?: number; readonly ms?: number }
  /**
   * Passivation: milliseconds after which it ends, by way of `onStop(self, 'idle')`, where no message came, no call runs,
   * no stream is open, no child lives and no `self.after` is still to come; the beats of `self.every` do not keep it. The next call
   * through `ensure` starts it again, also one that comes while it ends; callers by `via` get ERR_NOT_REGISTERED. Its
   * state is gone unless `onStop` saved it for `init` to load. No failure: no policy starts it again. A child of
   * `self.start` ends the same way, and its parent's `onExit` is told `stopped`. The children of a supervisor are never
   * ended so: that says how long they live. Default: it stays.
   */
  readonly idleAfter?: number
  /**
   * Where `spawn` starts it: `ring`, `rendezvous`, `localFirst`, `pinned({...})`, `together((name) => key)`, or a pure
   * function of your own that gives the nodes on which a name may run, in order; every node that lists this kind has to
   * have the same one. Default: what the node says, and else the ring.
   */
  readonly placement?: PlacementRule | OwnPlacement
  /**
   * Whether a placed actor is started again where nobody told it to end. Its node goes without handing it over, it
   * crashes, or a restart of it fails: `permanent` and `transient` (default) are; it stops itself: only `permanent` is.
   * A `temporary` one never is. At most `times` times within `withinMs` (6 in a minute), wherever it ran: then the name
   * is given up, `explain` tells why (`failed`), and it is free again.
   */
  readonly restart?: RestartPolicy | RestartOptions
}

export interface Handoff<State> {
  readonly out?: (self: Self<State>) => unknown
  /** Annotate `saved` with all that versions still running may have given. */
  readonly in?: (saved: never) => NoInfer<State> | Promise<NoInfer<State>>
}

const optionKeys: ReadonlySet<string> = new Set([
  'init',
  'on',
  'onStart',
  'onStop',
  'onExit',
  'onConflict',
  'handoff',
  'reentrant',
  'mailbox',
  'idleAfter',
  'keys',
  'placement',
  'restart',
])
const reservedMethods: ReadonlySet<string> = new Set(['$', 'then', 'toJSON'])

/**
 * Make a kind of actor. `kind` is its name on the wire: the same on every node that runs or calls it.
 * Throws TypeError for anything that could never work.
 */
export function defineActor<Args extends unknown[], State, On extends Methods<State>>(
  kind: string,
  options: ActorOptions<Args, State, On>,
): ActorDefinition<Args, State, On> {
  const own = wearOff(kind, options)
  const definition: Omit<ActorDefinition<Args, State, On>, typeof types> = { kind, [code]: own }
  // The compiler's property is never present, so what is there is the whole definition.
  return Object.freeze(definition) as ActorDefinition<Args, State, On>
}

/** The code of a definition; TypeError where the value is none. */
export function codeOf(definition: unknown): ActorCode {
  const own = (definition as { readonly [code]?: ActorCode } | undefined | null)?.[code]
  if (own === undefined) throw new TypeError('not an actor definition: make one with defineActor(kind, {init, on})')
  return own
}

function wearOff(kind: string, options: object): ActorCode {
  if (typeof kind !== 'string' || kind === '')
    throw new TypeError('defineActor(kind, ...): the kind must be a string, not empty')
  if (typeof options !== 'object' || options === null)
    throw new TypeError(`defineActor('${kind}', options): the options {init, on} are missing`)
  for (const key of Object.keys(options)) {
    if (!optionKeys.has(key)) {
      throw new TypeError(`defineActor('${kind}'): unknown option '${key}'; known are ${[...optionKeys].join(', ')}`)
    }
  }
  const given = options as Record<string, unknown>
  const methods = methodsOf(kind, given.on)
  const mailbox = given.mailbox
  if (mailbox !== undefined && !(Number.isInteger(mailbox) && (mailbox as number) > 0)) {
    throw new TypeError(`defineActor('${kind}'): mailbox must be a whole number above 0`)
  }
  const { idleAfter } = given
  if (idleAfter !== undefined && !(typeof idleAfter === 'number' && idleAfter >= 1 && idleAfter <= maxMs)) {
    throw new TypeError(`defineActor('${kind}'): idleAfter must be milliseconds from 1 to ${maxMs}`)
  }
  return Object.freeze({
    kind,
    init: functionAt(kind, given, 'init', true),
    methods,
    streams: new Set([...methods.keys()].filter((name) => generatorKind(methods.get(name)) === 'async')),
    onStart: functionAt(kind, given, 'onStart', false),
    onStop: functionAt(kind, given, 'onStop', false),
    onExit: functionAt(kind, given, 'onExit', false),
    onChild: undefined,
    renew: undefined,
    onConflict: functionAt(kind, given, 'onConflict', false),
    handoff: handoffOf(kind, given.handoff),
    reentrant: given.reentrant === true,
    mailbox: mailbox as number | undefined,
    idleAfter: idleAfter as number | undefined,
    keys: keysOf(kind, given.keys),
    placement: placementOf(`defineActor('${kind}')`, given.placement),
    restart: restartOf(`defineActor('${kind}')`, given.restart),
  })
}

function keysOf(kind: string, given: unknown): ActorCode['keys'] {
  if (given === undefined) return undefined
  if (typeof given !== 'object' || given === null)
    throw new TypeError(`defineActor('${kind}'): keys must be {entries, ms}`)
  for (const [key, value] of Object.entries(given)) {
    if (key !== 'entries' && key !== 'ms')
      throw new TypeError(`defineActor('${kind}'): unknown option 'keys.${key}'; known are entries, ms`)
    if (!Number.isInteger(value) || (value as number) < 1)
      throw new TypeError(`defineActor('${kind}'): keys.${key} must be a whole number above 0`)
  }
  return given
}

/** What was given as a placement; TypeError, which begins with `where`, where it is none. */
export function placementOf(where: string, given: unknown): PlacementRule | OwnPlacement | undefined {
  if (given === undefined || given instanceof PlacementRule) return given
  if (typeof given === 'function') return given as OwnPlacement
  throw new TypeError(
    `${where}: placement must be ring, rendezvous, localFirst, pinned(...), together(...) or a function`,
  )
}

function handoffOf(kind: string, given: unknown): ActorCode['handoff'] {
  if (given === false) return false
  if (given !== undefined && (typeof given !== 'object' || given === null))
    throw new TypeError(`defineActor('${kind}'): handoff must be {out, in} or false`)
  const own = { ...given } as Record<string, unknown>
  for (const key of Object.keys(own))
    if (key !== 'out' && key !== 'in')
      throw new TypeError(`defineActor('${kind}'): unknown option 'handoff.${key}'; known are out, in`)
  return { out: functionAt(kind, own, 'out', false), in: functionAt(kind, own, 'in', false) }
}

function functionAt(kind: string, options: Record<string, unknown>, key: string, needed: true): AnyFunction
function functionAt(kind: string, options: Record<string, unknown>, key: string, needed: false): AnyFunction | undefined
function functionAt(kind: string, options: Record<string, unknown>, key: string, needed: boolean): unknown {
  const value = options[key]
  if (typeof value === 'function' || (value === undefined && !needed)) return value
  throw new TypeError(`defineActor('${kind}'): ${key} must be a function`)
}

function methodsOf(kind: string, on: unknown): Map<string, AnyFunction> {
  if (typeof on !== 'object' || on === null)
    throw new TypeError(`defineActor('${kind}'): on must be an object of functions (self, ...args) => answer`)
  const methods = new Map<string, AnyFunction>()
  for (const [name, method] of Object.entries(on)) {
    if (reservedMethods.has(name))
      throw new TypeError(
        `defineActor('${kind}'): '${name}' cannot be the name of a method: refs need it for themselves`,
      )
    if (typeof method !== 'function') throw new TypeError(`defineActor('${kind}'): on.${name} must be a function`)
    if (generatorKind(method) === 'sync') {
      throw new TypeError(`defineActor('${kind}'): on.${name} is a generator; a stream is written async *${name}(self)`)
    }
    methods.set(name, method as AnyFunction)
  }
  return methods
}

export function generatorKind(method: unknown): 'async' | 'sync' | undefined {
  const tag = Object.prototype.toString.call(method)
  if (tag === '[object AsyncGeneratorFunction]') return 'async'
  return tag === '[object GeneratorFunction]' ? 'sync' : undefined
}
