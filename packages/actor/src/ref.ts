/**
 * Refs at run time: an address, and one method per method of the definition on a prototype made once for it. Nothing
 * is caught by a Proxy, so `await ref`, `console.log(ref)` and `${ref}` send nothing. What a call does is the host's.
 */
import { inspect } from 'node:util'
import type { Pid } from '@skep/tracker'
import type { CallContext } from './chain.js'
import { codeOf } from './define.js'
import type { ActorCode, AnyActor, CallOptions, Controls, Down, RefOf } from './definition.js'
import { maxKey } from './frames.js'
import type { ViaOptions } from './via.js'

/** Whom a ref means. */
export type Target =
  | { readonly by: 'pid'; readonly pid: Pid }
  | { readonly by: 'name'; readonly name: string }
  | { readonly by: 'ensure'; readonly name: string; readonly args: readonly unknown[]; readonly options: ViaOptions }

/** What stands behind a ref: never changed after it was made. */
export interface Address {
  readonly host: RefHost
  readonly actor: ActorCode
  readonly target: Target
  readonly options: CallOptions
  readonly context: CallContext | undefined
}

/** Does what refs ask for. */
export interface RefHost {
  call(address: Address, method: string, args: unknown[]): Promise<unknown>
  stream(address: Address, method: string, args: unknown[]): AsyncIterableIterator<unknown>
  cast(address: Address, method: string, args: unknown[]): void
  stop(address: Address, reason: string): Promise<void>
  monitor(address: Address): AsyncIterableIterator<Down>
  resolve(address: Address): Pid | undefined
}

/** Keeps the address out of sight: a ref shows its methods and `$` alone. */
class Sealed {
  readonly #address: Address
  #controls: object | undefined

  constructor(address: Address) {
    this.#address = address
  }

  static addressOf(value: object): Address | undefined {
    return #address in value ? value.#address : undefined
  }

  static controls(ref: Sealed, shape: Shape): object {
    ref.#controls ??= controlsOf(ref.#address, shape)
    return ref.#controls
  }
}

/** The address behind a ref; undefined for anything else. */
export function addressOf(value: unknown): Address | undefined {
  return typeof value === 'object' && value !== null ? Sealed.addressOf(value) : undefined
}

function addressOfThis(value: unknown): Address {
  const address = addressOf(value)
  if (address === undefined)
    throw new TypeError('a method of a ref was called without its ref: keep them together, ref.method()')
  return address
}

/** What all refs to one kind of actor share. */
interface Shape {
  readonly Ref: new (address: Address) => object
  readonly castPrototype: object
}

const shapes = new WeakMap<ActorCode, Shape>()

function shapeOf(actor: ActorCode): Shape {
  let shape = shapes.get(actor)
  if (shape === undefined) {
    shape = makeShape(actor)
    shapes.set(actor, shape)
  }
  return shape
}

function makeShape(actor: ActorCode): Shape {
  class Ref extends Sealed {}
  const shape: Shape = { Ref, castPrototype: castPrototype(actor) }
  // A ref answers for its definition's methods and `$`; even `constructor` is nothing, unless it is a method.
  hide(Ref.prototype, 'constructor', undefined)
  hide(Ref.prototype, Symbol.toStringTag, `Ref ${actor.kind}`)
  hide(Ref.prototype, inspect.custom, function (this: object) {
    return describeAddress(addressOfThis(this))
  })
  // Or a template string would call methods named toString or valueOf.
  hide(Ref.prototype, Symbol.toPrimitive, function (this: object) {
    return describeAddress(addressOfThis(this))
  })
  for (const method of actor.methods.keys()) hide(Ref.prototype, method, methodOf(actor, method))
  Object.defineProperty(Ref.prototype, '$', {
    get(this: Sealed) {
      return Sealed.controls(this, shape)
    },
  })
  return shape
}

function methodOf(actor: ActorCode, method: string): unknown {
  if (actor.streams.has(method)) {
    return function (this: unknown, ...args: unknown[]) {
      const address = addressOfThis(this)
      return address.host.stream(address, method, args)
    }
  }
  return function (this: unknown, ...args: unknown[]) {
    const address = addressOfThis(this)
    return address.host.call(address, method, args)
  }
}

const castAddress: unique symbol = Symbol('skep.cast')

function castPrototype(actor: ActorCode): object {
  const prototype = {}
  for (const method of actor.methods.keys()) {
    if (actor.streams.has(method)) continue
    hide(prototype, method, function (this: { readonly [castAddress]: Address }, ...args: unknown[]) {
      const address = this[castAddress]
      address.host.cast(address, method, args)
    })
  }
  return prototype
}

function controlsOf(address: Address, shape: Shape): object {
  const { host, target, actor } = address
  const cast = Object.create(shape.castPrototype) as object
  hide(cast, castAddress, address)
  const controls: Controls<unknown> = {
    kind: actor.kind,
    name: target.by === 'pid' ? undefined : target.name,
    cast,
    with: (options) =>
      new shape.Ref({ ...address, options: { ...address.options, ...checked(options) } }) as RefOf<AnyActor>,
    pid: () => host.resolve(address),
    stop: (reason = 'stopped') => host.stop(address, reason),
    monitor: () => host.monitor(address),
  }
  return Object.freeze(controls)
}

function checked(options: CallOptions): CallOptions {
  for (const key of Object.keys(options)) {
    if (key !== 'timeout' && key !== 'signal' && key !== 'key')
      throw new TypeError(`$.with(): unknown option '${key}'; known are timeout, signal, key`)
  }
  const { timeout, signal, key } = options
  if (timeout !== undefined && !(typeof timeout === 'number' && timeout > 0))
    throw new TypeError('$.with(): timeout must be milliseconds above 0, or Infinity')
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw new TypeError('$.with(): signal must be an AbortSignal')
  if (key !== undefined && !(typeof key === 'string' && key !== '' && key.length <= maxKey))
    throw new TypeError(`$.with(): key must be a string of 1 to ${maxKey} characters`)
  return options
}

function hide(target: object, key: PropertyKey, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: false, writable: false, configurable: true })
}

function describeAddress({ actor, target }: Address): string {
  return `Ref ${actor.kind} ${target.by === 'pid' ? String(target.pid) : `via '${target.name}'`}`
}

/** Make the ref of a definition (or of its code, where the types are already gone). */
export function makeRef<D extends AnyActor>(definition: D, address: Omit<Address, 'actor'>): RefOf<D> {
  return refFor({ ...address, actor: codeOf(definition) }) as RefOf<D>
}

export function refFor(address: Address): object {
  const { Ref } = shapeOf(address.actor)
  return new Ref(address)
}
