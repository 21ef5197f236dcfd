/**
 * Watching an actor from anywhere: `for await (const { reason } of ref.$.monitor())`. A monitor is a call whose answer
 * is the end of the actor. Where the link breaks before that, it is asked again; where the node is gone, that is the end.
 */
import { isSkepError, SkepError } from '@skep/cluster'
import type { Pid } from '@skep/tracker'
import type { Down, DownReason } from './definition.js'

/** What a monitor needs of the calls. */
export interface Watching {
  /** Asks the actor's node to answer when it has ended. Rejects with ERR_ABORTED once the signal is. */
  ask(pid: Pid, signal: AbortSignal): Promise<unknown>
  /** Is the node of this pid, in that life, still counted in? */
  alive(pid: Pid): boolean
  /** What is said of one that is gone from a node that lives, and nobody knows how it ended. */
  readonly unheard: DownReason
  pause(ms: number, signal: AbortSignal): Promise<void>
}

/** Before a node is asked again whose link is full. */
const againMs = 200

const reasons: ReadonlySet<unknown> = new Set<DownReason>(['stopped', 'crashed', 'moved', 'conflict', 'node-down'])

export class Monitor implements AsyncIterableIterator<Down> {
  readonly #watching: Watching
  readonly #find: () => Pid
  readonly #outer: AbortSignal | undefined
  readonly #inner = new AbortController()
  #next: Promise<IteratorResult<Down>> | undefined
  #over = false

  /** `find` tells whom it is about at the first `next`, or throws. */
  constructor(watching: Watching, find: () => Pid, outer: AbortSignal | undefined) {
    this.#watching = watching
    this.#find = find
    this.#outer = outer
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** One end, and then nothing more. Calls beside one that waits get the same. */
  next(): Promise<IteratorResult<Down>> {
    if (this.#over) return Promise.resolve({ done: true, value: undefined })
    this.#next ??= this.#down().finally(() => {
      this.#over = true
      this.#outer?.removeEventListener('abort', this.#abort)
    })
    return this.#next
  }

  /** Nobody watches any more; a `next` that waits is done. */
  async return(): Promise<IteratorResult<Down>> {
    this.#over = true
    this.#inner.abort()
    return { done: true, value: undefined }
  }

  readonly #abort = (): void => this.#inner.abort(this.#outer?.reason)

  async #down(): Promise<IteratorResult<Down>> {
    this.#outer?.addEventListener('abort', this.#abort, { once: true })
    if (this.#outer?.aborted === true) this.#abort()
    const pid = this.#find()
    try {
      return { done: false, value: { pid, reason: await this.#reason(pid) } }
    } catch (error) {
      if (this.#over && isSkepError(error, 'ERR_ABORTED')) return { done: true, value: undefined }
      throw error
    }
  }

  async #reason(pid: Pid): Promise<DownReason> {
    const { signal } = this.#inner
    for (;;) {
      try {
        return known(await this.#watching.ask(pid, signal))
      } catch (error) {
        const code = error instanceof SkepError ? error.code : undefined
        if (code === 'ERR_NO_PROCESS') return this.#watching.alive(pid) ? this.#watching.unheard : 'node-down'
        if (code === 'ERR_NODE_DOWN' && !this.#watching.alive(pid)) return 'node-down'
        // Asked again, it waits for the link by itself, and for the news that the node is gone.
        if (code === 'ERR_NODE_DOWN' || code === 'ERR_UNREACHABLE') continue
        if (code !== 'ERR_OVERLOADED') throw error
        await this.#watching.pause(againMs, signal)
      }
    }
  }
}

/** What another node says may be of a newer version. */
function known(value: unknown): DownReason {
  return reasons.has(value) ? (value as DownReason) : 'stopped'
}
