/**
 * New code for actors that run, as one edits it: each is brought to rest, its state goes through the old code's
 * `handoff.out` and the new code's `handoff.in` where those are given, and its next message runs the new code. What fails
 * leaves an actor with its old code and state.
 */
import { isSkepError, SkepError } from '@skep/cluster'
import type { Pid, Timers } from '@skep/tracker'
import { reclassed } from './class.js'
import type { ActorCode, AnyFunction } from './definition.js'
import { within } from './grace.js'
import type { Mailbox } from './mailbox.js'

/** A running actor, as far as its code is replaced. */
export interface Reloadable {
  readonly actor: ActorCode
  readonly info: { readonly pid: Pid; readonly name: string | undefined }
  readonly title: string
  readonly phase: string
  readonly state: unknown
  readonly self: unknown
  readonly mailbox: Mailbox
  readonly time: Timers
  /** Milliseconds. */
  readonly stopGraceMs: number
  insideHandoff<T>(fn: () => T): T
  inTime<T>(fn: () => T | PromiseLike<T>, ms: number): Promise<T>
  reload(next: ActorCode): Promise<void>
  /** Go on with this code, and this state. */
  become(code: ActorCode, state: unknown): void
}

/** What came of a reload. */
export interface ReloadReport {
  /** Actors of this node that run the new code from here on. */
  readonly reloaded: number
  /** Those that go on with the old one, and why. */
  readonly failed: readonly { readonly pid: Pid; readonly name: string | undefined; readonly error: unknown }[]
}

/** Give all of them the new code, each when it has come to rest. */
export async function reloadAll(processes: readonly Reloadable[], code: ActorCode): Promise<ReloadReport> {
  const failed: { pid: Pid; name: string | undefined; error: unknown }[] = []
  let reloaded = 0
  await Promise.all(
    processes.map(async (process) => {
      try {
        await process.reload(code)
        reloaded += 1
      } catch (error) {
        // One that ended meanwhile needs no new code.
        if (isSkepError(error, 'ERR_ACTOR_STOPPED') && process.phase !== 'running') return
        failed.push({ pid: process.info.pid, name: process.info.name, error })
      }
    }),
  )
  return { reloaded, failed }
}

/** The state as the new code has it. */
async function converted(process: Reloadable, next: ActorCode): Promise<unknown> {
  const { actor } = process
  if (actor.renew !== undefined || next.renew !== undefined) return renewed(process, next)
  if (reclassed(process.state, actor, next)) return process.state
  const out = actor.handoff === false ? undefined : actor.handoff.out
  const into = next.handoff === false ? undefined : next.handoff.in
  const saved = out === undefined ? process.state : await process.insideHandoff(() => out(process.self))
  return into === undefined ? saved : process.insideHandoff(() => into(saved))
}

function refuseUnlessRunning({ phase, title }: Reloadable): void {
  if (phase !== 'running') throw new SkepError('ERR_ACTOR_STOPPED', `${title} is stopping`)
}

function renewed({ actor, state }: Reloadable, { kind, renew }: ActorCode): unknown {
  if (actor.renew !== undefined && renew !== undefined) return renew(state)
  throw new TypeError(`'${kind}' is a supervisor in only one of its two definitions: stop what runs, and start it anew`)
}

/** What an actor keeps of replaced code, and while it is being replaced. */
export class Reloads {
  /**
   * Methods of earlier code, by what they were called, and whether as streams: what was accepted under that code runs under
   * the new one. By both, for one function may be several methods, in one definition or in two.
   */
  readonly #earlier = new Map<AnyFunction, Map<string, boolean>>()
  /** Who waits until the actor has started, or has ended before. */
  #waiting: (() => void)[] = []
  /** The last one that was asked for, until it is over. */
  pending: Promise<void> | undefined

  /** Give it this code, after those that were asked for before. */
  async next(process: Reloadable, code: ActorCode): Promise<void> {
    const before = this.pending ?? Promise.resolve()
    const own = before.catch(() => {}).then(() => this.#swap(process, code))
    this.pending = own
    try {
      await own
    } finally {
      if (this.pending === own) this.pending = undefined
    }
  }

  async #swap(process: Reloadable, next: ActorCode): Promise<void> {
    const { mailbox, time, stopGraceMs } = process
    if (process.phase === 'starting') await this.#whenOpened()
    refuseUnlessRunning(process)
    mailbox.swapping = true
    try {
      if (mailbox.running > 0) await within(time, mailbox.whenIdle(), stopGraceMs)
      if (mailbox.running > 0)
        throw new SkepError(
          'ERR_TIMEOUT',
          `a call of ${process.title} did not end in time, so it has its old code still`,
        )
      const state = await process.inTime(() => converted(process, next), stopGraceMs)
      refuseUnlessRunning(process)
      this.#add(process.actor)
      process.become(next, state)
    } finally {
      mailbox.swapping = false
      mailbox.goOn()
    }
  }

  #whenOpened(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
    })
  }

  opened(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  #add({ methods, streams }: ActorCode): void {
    for (const [name, method] of methods) {
      const names = this.#earlier.get(method) ?? new Map<string, boolean>()
      this.#earlier.set(method, names.set(name, streams.has(name)))
    }
  }

  /**
   * What stands in the place of this method now. One that the new code has not, or whose reply is a stream in one of them
   * alone, runs as it was.
   */
  latest(work: AnyFunction, name: string | undefined, { methods, streams }: ActorCode): AnyFunction {
    const streamed = name === undefined ? undefined : this.#earlier.get(work)?.get(name)
    if (name === undefined || streamed === undefined || streams.has(name) !== streamed) return work
    return methods.get(name) ?? work
  }
}
