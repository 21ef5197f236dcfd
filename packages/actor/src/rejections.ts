/**
 * A promise that an actor's code made, and whose rejection nobody handles, is that actor's crash and not its process's.
 * Whose code runs is known by an AsyncLocalStorage: Node says a rejection within the context of its promise.
 *
 * Node gives rejections out by `process.emit('unhandledRejection', ...)` and goes by what that returns. A listener would
 * not do: while there is one, Node takes every rejection for handled, other listeners (which often end the process) hear
 * of it all the same, and what Node does otherwise depends on `--unhandled-rejections` and cannot be called. So
 * `process.emit` itself is wrapped, as signal-exit does: what an actor is to blame for goes no further, and for all else
 * it is as if nothing were there, in every mode. In `strict` Node raises before it asks: that stays so.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Logger } from '@skep/cluster'

/** Who is told of a rejection. */
export interface Owner {
  rejected(error: unknown): void
}

/** Who has only the log told, and holds nothing else: what an actor leaves behind may be rejected long after its end. */
export function loggedBy(logger: Logger, text: () => string): Owner {
  return { rejected: (err) => logger.error({ err }, text()) }
}

const current = new AsyncLocalStorage<Whose | undefined>()

/** Whose code runs. What outlives an actor (a pool that it opened first, say) holds on to this, not to the actor. */
export class Whose {
  #owner: Owner

  constructor(owner: Owner) {
    this.#owner = owner
  }

  run<Args extends unknown[], T>(fn: (...args: Args) => T, ...args: Args): T {
    return current.run(this, fn, ...args)
  }

  rejected(error: unknown): void {
    this.#owner.rejected(error)
  }

  /** The actor has ended; somebody else hears of what still comes. */
  passTo(owner: Owner): void {
    this.#owner = owner
  }
}

/**
 * Where contexts are V8's own (Node 24 and later), Node goes by where a promise was rejected; where they are kept by
 * async_hooks, by where it was made. What is not known counts as the former: it costs a look at the context per call.
 */
const byWhereRejected = !('_propagate' in AsyncLocalStorage.prototype)

/** As whose a promise that is made now has to be rejected: undefined for code of no actor, and where Node knows. */
export function whoseNow(): Whose | undefined {
  return byWhereRejected ? current.getStore() : undefined
}

/** Reject a promise as that of whoever made it, as `whoseNow` told it. */
export function rejectAs(whose: Whose | undefined, reject: (error: unknown) => void, error: unknown): void {
  if (byWhereRejected) runAs(whose, reject, error)
  else reject(error)
}

/** Run it as code of that one. */
export function runAs<Args extends unknown[], T>(whose: Whose | undefined, fn: (...args: Args) => T, ...args: Args): T {
  return current.run(whose, fn, ...args)
}

/** An abort whose listeners run as code of whoever made it, since they are his; whoever it is that aborts. */
export class OwnAbort {
  readonly #controller = new AbortController()
  readonly #whose = current.getStore()

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  abort(reason?: unknown): void {
    runAs(this.#whose, () => this.#controller.abort(reason))
  }
}

type Emit = (this: unknown, event: string | symbol, ...args: unknown[]) => boolean

/** Systems of this process whose actors are watched over. */
let watching = 0
let unhook: (() => void) | undefined

/** From here on rejections are taken that belong to actors. The function returned ends that. */
export function takeRejections(): () => void {
  watching += 1
  unhook ??= hook()
  let over = false
  return () => {
    if (over) return
    over = true
    // What the last turns of its actors left behind is told by Node only after this one.
    setImmediate(() => {
      watching -= 1
      if (watching > 0) return
      unhook?.()
      unhook = undefined
    })
  }
}

function hook(): () => void {
  const before = process.emit as Emit
  let on = true
  const emit: Emit = function (event, ...args) {
    if (on && event === 'unhandledRejection') {
      const whose = current.getStore()
      if (whose !== undefined) {
        whose.rejected(args[0])
        return true
      }
    }
    return Reflect.apply(before, this, [event, ...args])
  }
  process.emit = emit as typeof process.emit
  return () => {
    on = false
    // Where somebody has wrapped it since, theirs stays, with ours below doing nothing.
    if (process.emit === (emit as typeof process.emit)) process.emit = before as typeof process.emit
  }
}
