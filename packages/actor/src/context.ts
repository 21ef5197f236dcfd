/**
 * The node as one call sees it: what is called through it inherits the call's deadline. Here mistakes of the caller are
 * found (a TypeError at once) and refs are made; all else is the system's.
 */
import { SkepError } from '@skep/cluster'
import { type Claim, Pid } from '@skep/tracker'
import type { CallContext } from './chain.js'
import { codeOf } from './define.js'
import type { ActorCode, AnyActor, InitArgs, RefOf } from './definition.js'
import { type GroupTracker, pidGroup, typedGroup } from './group.js'
import type { ActorNode, GroupOf, PidGroup, RegisterOptions } from './node.js'
import { addressOf, makeRef, type RefHost, type Target } from './ref.js'
import { type Anonymous, Via, type ViaOptions } from './via.js'

/** What it needs of the system behind it. */
export interface ActorHome {
  readonly nodeName: string
  readonly calls: RefHost
  readonly tracker: GroupTracker & {
    whereis(name: string): Pid | undefined
    register(name: string, pid: Pid, options?: RegisterOptions): Promise<Claim>
    unregister(name: string): Promise<void>
  }
  /** `by`: the call from inside of which it is started. */
  start(
    definition: AnyActor,
    where: Via | Anonymous,
    args: readonly unknown[],
    by: CallContext | undefined,
  ): Promise<Pid>
  spawn(actor: ActorCode, name: string, args: readonly unknown[], options: ViaOptions): Promise<Pid>
  /** Remember a definition, so that refs to its kind can arrive here. */
  know(actor: ActorCode): ActorCode
}

export class ContextNode implements ActorNode {
  readonly #system: ActorHome
  readonly #context: CallContext | undefined

  constructor(system: ActorHome, context: CallContext | undefined) {
    this.#system = system
    this.#context = context
  }

  get name(): string {
    return this.#system.nodeName
  }

  start<D extends AnyActor>(definition: D, where: Via | Anonymous, ...args: InitArgs<D>): Promise<Pid> {
    return this.#system.start(definition, where, args, this.#context)
  }

  spawn<D extends AnyActor>(definition: D, where: Via, ...args: InitArgs<D>): Promise<Pid> {
    const { name, options } = named(where, 'spawn')
    return this.#system.spawn(codeOf(definition), name, args, options)
  }

  ensure<D extends AnyActor>(definition: D, where: Via, ...args: InitArgs<D>): RefOf<D> {
    const { name, options } = named(where, 'ensure')
    return this.#ref(definition, { by: 'ensure', name, args, options })
  }

  via<D extends AnyActor>(definition: D, name: string): RefOf<D> {
    if (typeof name !== 'string')
      throw new TypeError(`via(definition, name): the name must be a string, not ${typeof name}`)
    return this.#ref(definition, { by: 'name', name })
  }

  ref<D extends AnyActor>(definition: D, pid: Pid): RefOf<D> {
    if (!(pid instanceof Pid))
      throw new TypeError('ref(definition, pid): the pid must be a Pid, as start() and whereis() give it')
    return this.#ref(definition, { by: 'pid', pid })
  }

  #ref<D extends AnyActor>(definition: D, target: Target): RefOf<D> {
    this.#system.know(codeOf(definition))
    return makeRef(definition, { host: this.#system.calls, target, options: {}, context: this.#context })
  }

  group<D extends AnyActor>(definition: D, name: string): GroupOf<D>
  group(name: string): PidGroup
  group(first: AnyActor | string, second?: string): unknown {
    const name = typeof first === 'string' ? first : second
    if (typeof name !== 'string') throw new TypeError('group(definition, name): the name must be a string')
    const bare = pidGroup(this.#system.tracker, name, (process) => this.pidOf(process))
    if (typeof first === 'string') return bare
    this.#system.know(codeOf(first))
    return typedGroup(bare, first, this.#system.calls, this.#context)
  }

  whereis(name: string): Pid | undefined {
    return this.#system.tracker.whereis(name)
  }

  async register(name: string, process: Pid | object, options: RegisterOptions = {}): Promise<Claim> {
    return this.#system.tracker.register(name, this.pidOf(process), options)
  }

  unregister(name: string): Promise<void> {
    return this.#system.tracker.unregister(name)
  }

  pidOf(process: unknown): Pid {
    if (process instanceof Pid) return process
    const address = addressOf(process)
    if (address === undefined)
      throw new TypeError(`a pid or a ref was expected, not ${process === null ? 'null' : typeof process}`)
    const { target } = address
    const pid = this.#system.calls.resolve(address)
    if (pid !== undefined || target.by === 'pid') return pid as Pid
    throw new SkepError(
      'ERR_NOT_REGISTERED',
      `nobody holds the name '${target.name}', so there is no pid: start its actor first`,
    )
  }
}

function named(where: unknown, what: string): Via {
  if (where instanceof Via) return where
  throw new TypeError(
    `${what}(definition, where, ...): where must be via(name), not ${typeof where === 'string' ? `the text '${where}'` : typeof where}`,
  )
}
