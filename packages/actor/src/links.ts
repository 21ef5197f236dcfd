/**
 * Links: two actors that stand and fall together, wherever they run. A link is two monitors, one on each side, so it
 * goes by the same reasons. Whoever links asks the other side to do the same, beside its mailbox: an actor that is busy,
 * or that waits for the one that links to it, is linked all the same.
 *
 * A link never stands on one side alone for long: what was undone here is told to the other side until that has heard it
 * or its node is gone, and where this node goes on as another boot, so that all others hold it to be down, its links to
 * them are over here, too.
 *
 * What an end means for the other side: `stopped` and `moved` are no faults, and only end the link. `crashed`, `conflict`
 * and `node-down` are: the other side crashes, too, unless it has an `onExit`, which then hears of every end.
 */
import { type ErrorCode, SkepError } from '@skep/cluster'
import { Pid } from '@skep/tracker'
import type { Down, DownReason } from './definition.js'

/** Those that one actor may be linked to at once. */
const maxLinks = 10_000

/** Milliseconds before a node is told again whose link is full. */
const againMs = 200

/** What links need of the node. */
export interface LinkHost {
  /**
   * Why it ended, once it has; rejects when the signal is aborted or this node is stopped. Of one that was gone before
   * anybody was told of its end: `crashed`.
   */
  watch(pid: Pid, signal: AbortSignal): Promise<DownReason>
  /** Ask the other side. Resolves when it is done there; rejects with ERR_ABORTED once the signal is. */
  tell(pid: Pid, what: 'link' | 'unlink', by: Pid, signal?: AbortSignal): Promise<unknown>
  /** Is the node of this pid, in that life, still counted in? */
  alive(pid: Pid): boolean
  pause(ms: number, signal: AbortSignal): Promise<void>
}

/** The actor that is linked. */
export interface Linked {
  readonly info: { readonly pid: Pid }
  readonly title: string
  readonly isEnding: boolean
  /** One that it was linked to has ended. */
  exited(down: Down): void
}

interface Link {
  /** As it is now: this node's own get others when it goes on as another boot. */
  pid: Pid
  readonly watch: AbortController
  /** Settled when the other side knows; rejected where it never will. */
  readonly made: Promise<unknown>
  stands: boolean
}

/** After these the other side may not have heard it, and may hear it later. */
const again: ReadonlySet<ErrorCode> = new Set(['ERR_NODE_DOWN', 'ERR_UNREACHABLE', 'ERR_OVERLOADED', 'ERR_TIMEOUT'])

/** Does this end crash those that were linked? */
export function isFault(reason: DownReason): boolean {
  return reason !== 'stopped' && reason !== 'moved'
}

export class Links {
  readonly #host: LinkHost
  readonly #actor: Linked
  readonly #all = new Map<string, Link>()
  /** Those that are over here, and which the other side may not have heard of. */
  readonly #undoing = new Map<string, AbortController>()

  constructor(host: LinkHost, actor: Linked) {
    this.#host = host
    this.#actor = actor
  }

  get size(): number {
    return this.#all.size
  }

  has(pid: Pid): boolean {
    return this.#all.has(keyOf(pid))
  }

  /** Link to it. Rejects where that cannot be; then there is no link on either side. */
  async link(pid: Pid): Promise<void> {
    const { info, title, isEnding } = this.#actor
    const { pid: own } = info
    if (pid.equals(own)) return
    // The other side would find nobody, and take that for a crash.
    if (isEnding) throw new SkepError('ERR_ACTOR_STOPPED', `${title} is ending and links to nobody`, { sent: 'no' })
    const standing = this.#all.get(keyOf(pid))
    if (standing !== undefined) return void (await standing.made)
    this.#refuseTooMany()
    // It is watched first, and both go one way: so no end of it falls between the two.
    let made: Promise<unknown> = Promise.resolve()
    const link = this.#hold(pid, () => {
      made = this.#host.tell(pid, 'link', own)
      return made
    })
    try {
      await made
    } catch (error) {
      this.#drop(link)
      // It may have been done there, and only the answer was lost.
      if (!(error instanceof SkepError && error.sent === 'no')) this.#undo(pid, own).catch(() => {})
      throw error
    }
  }

  /** The other side's half of it. */
  accept(pid: Pid): void {
    if (this.has(pid)) return
    this.#refuseTooMany()
    this.#hold(pid, () => Promise.resolve())
  }

  /** From when this is called, the end of the other one means nothing here; once it resolves, nor the other way round. */
  async unlink(pid: Pid): Promise<void> {
    const link = this.#all.get(keyOf(pid))
    if (link !== undefined) this.#drop(link)
    else if (!this.#undoing.has(keyOf(pid))) return
    try {
      await this.#undo(pid, this.#actor.info.pid)
    } catch (error) {
      // What is gone is linked to nobody.
      if (error instanceof SkepError && (error.code === 'ERR_NO_PROCESS' || error.code === 'ERR_NODE_DOWN')) return
      throw error
    }
  }

  release(pid: Pid): void {
    const link = this.#all.get(keyOf(pid))
    if (link !== undefined) this.#drop(link)
  }

  /**
   * This node goes on as another boot: what is linked here has the same number under that. Gives those of other nodes:
   * for them this one's actors are gone with its node, so they are for this one.
   */
  rename(before: string, { boot, node }: Pid): Pid[] {
    const lost: Pid[] = []
    for (const undo of this.#undoing.values()) undo.abort()
    for (const link of [...this.#all.values()]) {
      if (link.pid.boot !== before) {
        this.#drop(link)
        // Who waits for one that is being made hears of it by that.
        if (link.stands) lost.push(link.pid)
        continue
      }
      this.#all.delete(keyOf(link.pid))
      link.pid = new Pid(boot, link.pid.id, node)
      this.#all.set(keyOf(link.pid), link)
    }
    return lost
  }

  /** The actor has ended: who was linked to it is told by its own monitor. */
  close(): void {
    for (const link of this.#all.values()) this.#drop(link)
  }

  #refuseTooMany(): void {
    if (this.#all.size + this.#undoing.size >= maxLinks)
      throw new SkepError('ERR_OVERLOADED', `${this.#actor.title} is linked to ${maxLinks} others already`)
  }

  #hold(pid: Pid, tell: () => Promise<unknown>): Link {
    const watch = new AbortController()
    const ended = this.#host.watch(pid, watch.signal)
    this.#undoing.get(keyOf(pid))?.abort()
    const link: Link = { pid, watch, made: tell(), stands: false }
    this.#all.set(keyOf(pid), link)
    link.made.then(
      () => {
        link.stands = true
      },
      () => {},
    )
    Promise.all([ended, link.made]).then(
      ([reason]) => this.#ended(link, reason),
      // Never made, let go, or this node is stopped.
      () => this.#drop(link),
    )
    return link
  }

  #ended(link: Link, reason: DownReason): void {
    const { pid } = link
    if (this.#all.get(keyOf(pid)) !== link) return
    this.#all.delete(keyOf(pid))
    // The half that was asked for while it moved went along with it.
    if (reason === 'moved') this.#undo(pid, this.#actor.info.pid).catch(() => {})
    this.#actor.exited({ pid, reason })
  }

  /** Tell the other side, and again until it has heard it. Settled as the first time is. */
  #undo(pid: Pid, own: Pid): Promise<unknown> {
    const key = keyOf(pid)
    const undo = new AbortController()
    this.#undoing.get(key)?.abort()
    this.#undoing.set(key, undo)
    const first = this.#host.tell(pid, 'unlink', own, undo.signal)
    this.#insist(pid, own, first, undo.signal).finally(() => {
      if (this.#undoing.get(key) === undo) this.#undoing.delete(key)
    })
    return first
  }

  async #insist(pid: Pid, own: Pid, first: Promise<unknown>, signal: AbortSignal): Promise<void> {
    for (let told = first; ; told = this.#host.tell(pid, 'unlink', own, signal)) {
      try {
        await told
        return
      } catch (error) {
        const code = error instanceof SkepError ? error.code : undefined
        if (code === undefined || !again.has(code) || !this.#host.alive(pid)) return
        // All others have waited already.
        if (code === 'ERR_OVERLOADED') await this.#host.pause(againMs, signal)
      }
    }
  }

  #drop(link: Link): void {
    if (this.#all.get(keyOf(link.pid)) === link) this.#all.delete(keyOf(link.pid))
    link.watch.abort()
  }
}

function keyOf({ boot, id }: Pid): string {
  return `${id} ${boot}`
}
