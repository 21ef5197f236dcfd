/**
 * Actors that go to another node with their state (PROTOCOL.md 4.4, Handoff): the part of it that runs their code and
 * carries their messages. When they go, and who has the name, the tracker decides.
 *
 *     source   pause, `handoff.out` -> the target has the name -> what waits and still comes is passed on -> passed
 *     target   granted, `handoff.in`, `onStart` -> it has the name -> what is passed on -> passed -> all else
 *
 * So each call that was accepted is answered once, and what one caller sent is done in its order, across the move.
 */
import { isSkepError, type Logger, SkepError } from '@skep/cluster'
import type { BootId } from '@skep/cluster/core'
import type { Claim, Handing, Pid } from '@skep/tracker'
import { unpack } from './decode.js'
import type { ActorCode, DownReason } from './definition.js'
import { pack } from './encode.js'
import { passedFrame } from './frames.js'
import type { Moved } from './incoming.js'
import type { OnceImage } from './once.js'
import type { Process } from './process.js'
import { type RefSource, Refused } from './values.js'

/** Old pids of actors that went elsewhere, for those who still hold them; the oldest are forgotten, and those that lead nowhere. */
const maxMoved = 10_000

/** What it needs of the node. */
export interface Movers {
  readonly logger: Logger
  readonly maxPayloadBytes: number
  /** Milliseconds that the copy which keeps a name may take to merge another one. */
  readonly mergeMs: number
  process(id: number): Process | undefined
  linked(boot: BootId): boolean
  postSurely(to: BootId, frame: readonly unknown[]): unknown
  merge(actor: ActorCode, to: Pid, saved: unknown, answers: readonly OnceImage[], timeoutMs: number): Promise<unknown>
  refs(): RefSource
}

export class Movement implements Handing {
  readonly #movers: Movers
  readonly #moved = new Map<number, Moved>()
  /** Those released whose new place waits until all know of it. */
  readonly #passing = new Map<number, Pid>()
  /** Where those are from whose gate is shut. */
  readonly #gated = new Map<number, BootId>()

  constructor(movers: Movers) {
    this.#movers = movers
  }

  /** Where this process has gone. */
  movedTo(id: number): Moved | undefined {
    return this.#moved.size === 0 ? undefined : this.#moved.get(id)
  }

  // --- the source ---

  async export(pid: Pid): Promise<Uint8Array> {
    const process = this.#movers.process(pid.id)
    const ending = (): SkepError => new SkepError('ERR_ACTOR_STOPPED', `${process?.title ?? pid} is ending`)
    if (process === undefined || !isRunning(process)) throw ending()
    if (process.actor.handoff === false)
      throw new SkepError('ERR_CANNOT_MOVE', `actors of kind '${process.actor.kind}' are never handed over`)
    await process.hold()
    const saved = await process.inside(() => savedOf(process))
    // It may have ended itself in the call that was waited for: it must not live on elsewhere.
    if (!isRunning(process)) throw ending()
    try {
      return Uint8Array.from(this.#image(process, saved))
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      throw new SkepError(
        'ERR_CANNOT_MOVE',
        `its state cannot be sent: ${error.refusal.text} (handoff: { out, in } of its definition says what to send)`,
        { cause: error },
      )
    }
  }

  /** A node of an older version reads the first part alone. */
  #image(process: Process, saved: unknown): Uint8Array {
    const { maxPayloadBytes } = this.#movers
    const own = [saved, process.timerImages()]
    const answers = process.onceImages()
    if (answers.length > 0) {
      try {
        return pack([...own, answers], 'state', maxPayloadBytes)
      } catch (error) {
        // A state that is nearly too large goes without them.
        if (!(error instanceof Refused) || error.refusal.code !== 'ERR_TOO_LARGE') throw error
      }
    }
    return pack(own, 'state', maxPayloadBytes)
  }

  resume(pid: Pid): void {
    this.#movers.process(pid.id)?.mailbox.resume()
  }

  release(pid: Pid, name: string, { pid: to }: Claim): void {
    this.#passing.set(pid.id, to)
    const process = this.#movers.process(pid.id)
    // It may have ended by itself since it was exported; its new place is told all the same that nothing more comes.
    if (process === undefined) return
    this.#depart(process, to, 'moved')
    this.#movers.logger.debug({ name, to: String(to) }, `'${name}' was handed over`)
    // Its `onStop` is the user's: not within the step that says so.
    queueMicrotask(() => void process.stop('moved', true))
  }

  passed(pid: Pid): void {
    const to = this.#passing.get(pid.id)
    this.#passing.delete(pid.id)
    if (to !== undefined) this.#movers.postSurely(to.boot, passedFrame(to.id))
  }

  #depart(process: Process, to: Pid, end: DownReason): void {
    const oldest = this.#moved.keys().next()
    if (this.#moved.size >= maxMoved && oldest.done !== true) this.#moved.delete(oldest.value)
    this.#moved.set(process.info.pid.id, { to, actor: process.actor, end })
    process.departTo(to, end)
  }

  // --- the loser of a conflict ---

  /**
   * Another copy has the name for good: this one's state goes to its `onConflict`, and then what waits here. Where that
   * fails, or takes longer than the grace time, this one ends all the same.
   */
  async yield(process: Process, { name, pid: to }: Claim, end: DownReason): Promise<void> {
    const { logger, mergeMs } = this.#movers
    try {
      // The tracker bounds a handover; nobody bounds this.
      await process.hold()
      refuseCrashed(process)
      const saved = await process.inTime(() => savedOf(process), mergeMs)
      refuseCrashed(process)
      await this.#merge(process, to, saved)
      logger.info({ name, to: String(to) }, `'${name}' was merged into the copy that has the name`)
      // Only now: what waits here may count on what its caller did before.
      this.#depart(process, to, end)
    } catch (err) {
      logger.warn({ err, actor: process.title }, `what this copy of '${name}' was could not be merged`)
      if (!process.isEnding) process.end = end
    }
    await process.stop(end === 'conflict' ? 'conflict' : 'superseded', true)
  }

  /** What was answered under a key is in the state, so its answers go along: who asks again must not be counted twice. */
  async #merge(process: Process, to: Pid, saved: unknown): Promise<void> {
    const { mergeMs } = this.#movers
    const answers = process.onceImages()
    try {
      await this.#movers.merge(process.actor, to, saved, answers, mergeMs)
    } catch (error) {
      // A state that is nearly too large goes without them.
      if (answers.length === 0 || !isSkepError(error, 'ERR_TOO_LARGE')) throw error
      await this.#movers.merge(process.actor, to, saved, [], mergeMs)
    }
  }

  // --- the target ---

  /** A start of what was handed over: for `Process.startFrom`. */
  made(process: Process, image: Uint8Array, source: BootId | undefined): () => unknown {
    const { handoff } = process.actor
    const into = handoff === false ? undefined : handoff.in
    if (source !== undefined) this.#gated.set(process.info.pid.id, source)
    return () => {
      const [saved, timers, answers] = unpack(image, this.#movers.refs()) as unknown[]
      if (Array.isArray(timers) && timers.length > 0) process.timers.restore(timers)
      if (Array.isArray(answers) && answers.length > 0) process.once.restore(answers)
      return into === undefined ? saved : process.insideHandoff(() => into(saved))
    }
  }

  /** It runs. Where there is no link to its old place, nothing will come from there. */
  begun(pid: Pid): void {
    const source = this.#gated.get(pid.id)
    if (source !== undefined && !this.#movers.linked(source)) this.#open(pid.id)
  }

  /** From its old place nothing more comes for this process. */
  gateOpens(from: BootId, id: number): void {
    if (this.#gated.get(id) === from) this.#open(id)
  }

  /** The node of the old places is gone, or what it passed on is lost with the link. */
  lost(boot: BootId): void {
    for (const [id, source] of [...this.#gated]) if (source === boot) this.#open(id)
  }

  /** This node is gone, and what went there with it, or it has a new place by now, which its name tells. */
  gone(boot: BootId): void {
    for (const [id, { to }] of this.#moved) if (to.boot === boot) this.#moved.delete(id)
  }

  /** The process has ended. */
  forget(id: number): void {
    this.#gated.delete(id)
  }

  #open(id: number): void {
    this.#gated.delete(id)
    this.#movers.process(id)?.mailbox.openGate()
  }
}

function isRunning({ phase }: Process): boolean {
  return phase === 'running'
}

/** What goes of a process that has come to rest. */
function savedOf(process: Process): unknown {
  const { actor, self } = process
  const out = actor.handoff === false ? undefined : actor.handoff.out
  return out === undefined ? process.state : process.insideHandoff(() => out(self))
}

function refuseCrashed({ end, title }: Process): void {
  if (end === 'crashed') throw new SkepError('ERR_ACTOR_STOPPED', `${title} crashed: its state is not to be trusted`)
}
