/**
 * `fromClass`: a plain class becomes a kind of actor. Its constructor is `init`, its fields are the state, its methods
 * are what may be called, and an `async *method()` gives a stream; `selfOf(this)` stands for the `self` that the methods
 * of `defineActor` get. All of it is a definition like any other: nothing else of Skep knows of classes.
 */
import { type ActorOptions, codeOf, defineActor, generatorKind, type Self } from './define.js'
import type { ActorCode, ActorDefinition, AnyFunction, Down } from './definition.js'
import { defineField } from './values.js'

/** What a class says of itself in `static options`; all but `kind` as in `defineActor`. */
export interface ClassOptions<Instance>
  extends Omit<
    ActorOptions<never[], Instance, unknown>,
    'init' | 'on' | 'onStart' | 'onStop' | 'onExit' | 'onConflict'
  > {
  /**
   * The name of this kind of actor on the wire. Default: the name of the class, which a tool that shortens names changes,
   * and nodes with different builds then do not know each other's actors.
   */
  readonly kind?: string
}

/** What may be called of an instance, as methods of a definition. */
export type ClassMethods<Instance> = {
  readonly [K in keyof Instance as CallableKey<Instance, K>]: Instance[K] extends (...args: infer A) => infer R
    ? (self: Self<Instance>, ...args: A) => R
    : never
}

type Hook = 'onStart' | 'onStop' | 'onExit' | 'onConflict'

type CallableKey<Instance, K extends keyof Instance> = K extends Hook | `_${string}` | symbol | number
  ? never
  : Instance[K] extends (...args: never[]) => unknown
    ? K
    : never

type IsAny<T> = 0 extends 1 & T ? true : false

/** Why a class is refused: a static property that it fails to have, whose type spells the reason. */
type Faults<Instance> = {
  readonly [K in keyof Instance as K extends '$' | 'then' | 'toJSON' ? K : never]: 'this name is not free for a method'
} & {
  readonly [K in keyof Instance as Instance[K] extends (...args: never[]) => infer R
    ? IsAny<R> extends true
      ? never
      : R extends Generator<unknown, unknown, never>
        ? K
        : never
    : never]: 'a streamed reply is written as an async generator: async *name() {}'
} & {
  readonly [K in keyof Instance as K extends Hook
    ? Instance[K] extends HookTypes<Instance>[K]
      ? never
      : K
    : never]: 'not what it is called with: onStart(), onStop(reason: string), onExit(down: Down), onConflict(theirs)'
}

interface HookTypes<Instance> {
  onStart: () => void | Promise<void>
  onStop: (reason: string) => void | Promise<void>
  onExit: (down: Down) => unknown
  onConflict: (theirs: Instance) => unknown
}

const hooks: readonly Hook[] = ['onStart', 'onStop', 'onExit', 'onConflict']

/**
 * A kind of actor from a class. Callable is each method of it and of its base classes, but for `onStart()`,
 * `onStop(reason)`, `onExit(down)` and `onConflict(theirs)`, which mean what they do in `defineActor`, and names that
 * begin with `_`.
 * (TypeScript's `private` hides a method from callers' types, and from nothing else.) A handover takes the own fields as
 * they are and gives them to an object of the class without running its constructor.
 *
 * Throws TypeError as `defineActor` does, and for a class with `#private` members that does not say with
 * `handoff: { out, in }` or `handoff: false` how it travels: those can neither be read nor set from outside.
 */
export function fromClass<C extends new (...args: never[]) => object>(
  actorClass: C & { readonly options?: ClassOptions<InstanceType<C>> } & Faults<InstanceType<C>>,
): ActorDefinition<ConstructorParameters<C>, InstanceType<C>, ClassMethods<InstanceType<C>>> {
  const Class = checked(actorClass)
  const { kind = Class.name, handoff, ...options } = Class.options ?? {}
  const methods = methodsOf(Class)
  const given: Record<string, unknown> = { ...options, handoff: handoffOf(kind, Class, handoff) }
  for (const hook of hooks) {
    const method = methods.get(hook)
    methods.delete(hook)
    if (method !== undefined) given[hook] = called(method)
  }
  given.init = (...args: unknown[]) => new Class(...args)
  given.on = Object.fromEntries([...methods].map(([name, method]) => [name, asMethod(method)]))
  const definition = defineActor(kind, given as never)
  if (handoff === undefined || handoff === false) bare.set(codeOf(definition), Class)
  return definition as never
}

/** The code of classes whose objects need nobody's help to become those of another class. */
const bare = new WeakMap<ActorCode, AnyClass>()

/**
 * Where both are code of classes, and no handoff says otherwise, the object gets the new class and stays the same: what
 * still runs, a stream or a timer's function, holds it as `this`. False for all else. Throws TypeError where the new class
 * has #private members: an object that it did not construct has none of them.
 */
export function reclassed(state: unknown, from: ActorCode, to: ActorCode): boolean {
  const Class = bare.get(to)
  if (Class === undefined || !bare.has(from) || typeof state !== 'object' || state === null) return false
  const where = privateIn(Class)
  if (where !== undefined)
    throw new TypeError(
      `what is #private in class ${where} cannot be given to an object that lives: add static options = { handoff: { out, in } } to reload it`,
    )
  Object.setPrototypeOf(state, Class.prototype as object)
  return true
}

/**
 * The `self` of the call that runs on this actor: its pid, name, node, signal, timers and so on. What has more calls than
 * one at a time (`reentrant`) takes it before its first `await`; after that it may be another call's. Throws TypeError
 * for what is no actor, and in the constructor, where it is none yet.
 */
export function selfOf<Instance extends object>(instance: Instance): Self<Instance> {
  const self = selves.get(instance)
  if (self !== undefined) return self as Self<Instance>
  throw new TypeError('selfOf(this): not an actor of a class, or its constructor still runs: use onStart()')
}

const selves = new WeakMap<object, Self<object>>()

type AnyClass = (new (...args: unknown[]) => object) & { readonly options?: ClassOptions<object> }

function checked(actorClass: unknown): AnyClass {
  if (typeof actorClass === 'function' && /^class\b/.test(sourceOf(actorClass))) return actorClass as AnyClass
  throw new TypeError('fromClass(C): C must be a class')
}

function sourceOf(actorClass: object): string {
  return Function.prototype.toString.call(actorClass)
}

/** The class and its base classes, the most basic one first. */
function lineOf(Class: AnyClass): object[] {
  const line: object[] = []
  for (let at = Class.prototype as object; at !== Object.prototype && at !== null; at = Object.getPrototypeOf(at))
    line.unshift(at)
  return line
}

function methodsOf(Class: AnyClass): Map<string, AnyFunction> {
  const methods = new Map<string, AnyFunction>()
  for (const prototype of lineOf(Class)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (name !== 'constructor' && !name.startsWith('_') && typeof value === 'function') methods.set(name, value)
    }
  }
  return methods
}

/** As a function of `defineActor`. */
function asMethod(method: AnyFunction): unknown {
  switch (generatorKind(method)) {
    case 'sync':
      // As it is: `defineActor` refuses it by its name.
      return method
    case 'async':
      return streamed(method)
    default:
      return called(method)
  }
}

function called(method: AnyFunction): (self: Self<object>, ...args: unknown[]) => unknown {
  return (self, ...args) => method.apply(entered(self), args)
}

/** Other calls may run between two items: each step begins as the stream's own. */
function streamed(method: AnyFunction): (self: Self<object>, ...args: unknown[]) => AsyncGenerator<unknown> {
  return async function* (self, ...args) {
    const items = method.apply(entered(self), args) as AsyncGenerator<unknown>
    try {
      for (;;) {
        entered(self)
        const { done, value } = await items.next()
        if (done === true) return
        yield value
      }
    } finally {
      entered(self)
      await items.return(undefined)
    }
  }
}

function entered(self: Self<object>): object {
  selves.set(self.state, self)
  return self.state
}

function handoffOf(kind: string, Class: AnyClass, given: unknown): unknown {
  if (given === false) return false
  const own = (given ?? {}) as { readonly out?: unknown; readonly in?: unknown }
  if (own.out === undefined || own.in === undefined) refusePrivate(kind, Class)
  return { out: fieldsOf, in: (saved: object) => revived(Class, saved), ...own }
}

/** Left alone they would get lost at the first handover, and the methods that use them would throw from then on. */
function refusePrivate(kind: string, Class: AnyClass): void {
  const where = privateIn(Class)
  if (where === undefined) return
  throw new TypeError(
    `fromClass('${kind}'): what is #private in class ${where} cannot be handed over: add static options = { handoff: { out, in } }, or handoff: false`,
  )
}

/** The class of its line that has #private members. */
function privateIn(Class: AnyClass): string | undefined {
  const classes = lineOf(Class).map((prototype) => prototype.constructor)
  return classes.find((one) => /\bthis\.#/.test(sourceOf(one)))?.name
}

function fieldsOf({ state }: Self<object>): object {
  return { ...state }
}

function revived(Class: AnyClass, saved: object): object {
  const instance = Object.create(Class.prototype as object) as object
  for (const [key, value] of Object.entries(saved)) defineField(instance, key, value)
  return instance
}
