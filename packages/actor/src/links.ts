/**
 * Links: two actors that stand and fall together, wherever they run. A link is two monitors, one on each side, so it
 * goes by the same reasons. Whoever links asks the other side to do the same, beside its mailbox: an actor that is busy,
 * or that waits for the one that links to it, is linked all the same.
 *
 * What an end means for the other side: `stopped` and `moved` are no faults, and only end the link. `crashed`, `conflict`
 * and `node-down` are: the other side crashes, too, unless it has an `onExit`, which then hears of every end.
 */
import { SkepError } from '@skep/cluster'
import { Pid } from '@skep/tracker'
import type { Down, DownReason } from './definition.js'

/** Those that one actor may be linked to at once. */
const maxLinks = 10_000

/** What links need of the node. */
export interface LinkHost {
  /**
   * Why it ended, once it has; rejects when the signal is aborted or this node is stopped. Of one that was gone before
   * anybody was told of its end: `crashed`.
   */
  watch(pid: Pid, signal: AbortSignal): Promise<DownReason>
  /** Ask the other side. Resolves when it is done there. */
  tell(pid: Pid, what: 'link' | 'unlink', by: Pid): Promise<unknown>
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
}

/** Does this end crash those that were linked? */
export function isFault(reason: DownReason): boolean {
  return reason !== 'stopped' && reason !== 'moved'
}

export class Links {
  readonly #host: LinkHost
  readonly #actor: Linked
  readonly #all = new Map<string, Link>()

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
      this.#host.tell(pid, 'unlink', own).catch(() => {})
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
    if (link === undefined) return
    this.#drop(link)
    try {
      await this.#host.tell(pid, 'unlink', this.#actor.info.pid)
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

  /** This node goes on as another boot: what is linked here has the same number under that. */
  rename(before: string, { boot, node }: Pid): void {
    for (const link of [...this.#all.values()]) {
      if (link.pid.boot !== before) continue
      this.#all.delete(keyOf(link.pid))
      link.pid = new Pid(boot, link.pid.id, node)
      this.#all.set(keyOf(link.pid), link)
    }
  }

  /** The actor has ended: who was linked to it is told by its own monitor. */
  close(): void {
    for (const link of this.#all.values()) this.#drop(link)
  }

  #refuseTooMany(): void {
    if (this.#all.size >= maxLinks)
      throw new SkepError('ERR_OVERLOADED', `${this.#actor.title} is linked to ${maxLinks} others already`)
  }

  #hold(pid: Pid, tell: () => Promise<unknown>): Link {
    const watch = new AbortController()
    const ended = this.#host.watch(pid, watch.signal)
    const link: Link = { pid, watch, made: tell() }
    this.#all.set(keyOf(pid), link)
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
    if (reason === 'moved') this.#host.tell(pid, 'unlink', this.#actor.info.pid).catch(() => {})
    this.#actor.exited({ pid, reason })
  }

  #drop(link: Link): void {
    if (this.#all.get(keyOf(link.pid)) === link) this.#all.delete(keyOf(link.pid))
    link.watch.abort()
  }
}

function keyOf({ boot, id }: Pid): string {
  return `${id} ${boot}`
}
