/**
 * What happens on a node, as events for its user. The layers say what they see in their own terms; here it becomes the
 * handful of things that a program reacts to. Listeners run in a turn of their own, so that what they do or throw never
 * reaches the steps of the registry.
 */

import { AsyncResource } from 'node:async_hooks'
import { type Cluster, isSkepError, type Logger } from '@skep/cluster'
import { type BootId, inView, isGone, type Member } from '@skep/cluster/core'
import type { Claim, MissedEvents, NameEvent, Tracker } from '@skep/tracker'
import { memberOf, type NodeMember } from './member.js'

/** What `on` tells, by event. */
export interface NodeEvents {
  /** A member is known and counts: placed names may live there. */
  memberUp: NodeMember
  /** A member has left, or is down. */
  memberDown: NodeMember
  viewChanged: { readonly number: number; readonly members: readonly string[] }
  /** This node's part of the cluster may not go on, by the partition policy: actors with names pause here. */
  paused: NodeMember
  /** Names are given here again; actors go on as soon as their names are their own. */
  resumed: NodeMember
  /** A name has a holder that it had not before (also: it moved). */
  registered: Claim
  /**
   * A name went to a later process: it was handed over, or had been started again on one side of a cut while the one
   * before stood. Told after `registered`, of every handover. Where the end at the old place was heard of before the
   * beginning at the new one, the name was seen free meanwhile, and `unregistered` came first. `previous` is the claim
   * that was seen here last.
   */
  moved: { readonly claim: Claim; readonly previous: Claim }
  /** A name has no holder any more, as far as is known here; its last claim. */
  unregistered: Claim
}

type Listener = (data: never) => void

interface Sources {
  readonly cluster: Pick<Cluster, 'on' | 'members' | 'self'>
  readonly tracker: Pick<Tracker, 'events'>
  readonly logger: Logger
}

export class Events {
  readonly #sources: Sources
  readonly #listeners: { readonly [E in keyof NodeEvents]: Set<Listener> } = {
    memberUp: new Set(),
    memberDown: new Set(),
    viewChanged: new Set(),
    paused: new Set(),
    resumed: new Set(),
    registered: new Set(),
    moved: new Set(),
    unregistered: new Set(),
  }
  /** Whom this node knew when it was declared down: as another boot it is told of all as if for the first time. */
  #before: Map<BootId, Member> = new Map()
  readonly #end = new AbortController()
  #readsNames = false
  #halted = false

  constructor(sources: Sources) {
    this.#sources = sources
    const { cluster, logger } = sources
    const offs = [
      cluster.on('member', (member, previous) => this.#member(member, previous)),
      cluster.on('condemned', () => {
        this.#before = new Map(cluster.members().map((member) => [member.info.boot, member]))
      }),
      cluster.on('view', ({ number, members }) => {
        this.#emit('viewChanged', { number, members: members.map(({ name }) => name) })
      }),
    ]
    this.#end.signal.addEventListener('abort', () => {
      for (const off of offs) off()
    })
    // Following every name costs something: only for who wants to hear of it.
    if (speaksDebug(logger)) this.#readNames()
  }

  on<E extends keyof NodeEvents>(event: E, listener: (data: NodeEvents[E]) => void): () => void {
    if (!Object.hasOwn(this.#listeners, event)) {
      throw new TypeError(`there is no event '${String(event)}'; there are ${Object.keys(this.#listeners).join(', ')}`)
    }
    if (typeof listener !== 'function') throw new TypeError(`on('${event}', listener): the listener must be a function`)
    const listeners = this.#listeners[event]
    // The same function may listen twice; each is ended by its own handle. It runs as code of whoever listens: what is
    // told may come of what an actor did, which is not to blame for what a listener lets loose.
    const own: Listener = AsyncResource.bind((data: NodeEvents[E]): void => listener(data))
    listeners.add(own)
    if (event === 'registered' || event === 'moved' || event === 'unregistered') this.#readNames()
    return () => {
      listeners.delete(own)
    }
  }

  /** No listener is called any more. */
  end(): void {
    this.#end.abort()
  }

  #member(member: Member, told: Member | undefined): void {
    const { boot, halted = false } = member.info
    if (boot === this.#sources.cluster.self.boot && halted !== this.#halted) {
      this.#halted = halted
      this.#emit(halted ? 'paused' : 'resumed', memberOf(member))
    }
    const previous = told ?? this.#before.get(boot)
    this.#before.delete(boot)
    const was = previous !== undefined && inView(previous)
    if (inView(member) && !was) this.#emit('memberUp', memberOf(member))
    const wasGone = previous !== undefined && isGone(previous)
    if (isGone(member) && previous !== undefined && !wasGone) this.#emit('memberDown', memberOf(member))
  }

  #readNames(): void {
    if (this.#readsNames || this.#end.signal.aborted) return
    this.#readsNames = true
    this.#follow().catch((error: unknown) => {
      if (!isSkepError(error, 'ERR_STOPPED')) this.#sources.logger.error({ err: error }, 'the stream of names ended')
    })
  }

  async #follow(): Promise<void> {
    for await (const event of this.#sources.tracker.events({ signal: this.#end.signal })) this.#name(event)
  }

  #name(event: NameEvent | MissedEvents): void {
    const { logger } = this.#sources
    if (event.type === 'missed') {
      logger.warn({ count: event.count }, `${event.count} name events were lost: too many at once`)
      return
    }
    const { type, name, claim, previous, reason } = event
    if (claim === undefined) {
      logger.debug({ name, reason }, `'${name}' is free (${reason})`)
      if (previous !== undefined) this.#emit('unregistered', previous)
      return
    }
    logger.debug(
      { name, pid: claim.pid.toString(), fence: claim.fence, reason },
      `'${name}' is held by ${claim.pid} (${reason})`,
    )
    // What stood before anybody listened did not happen now.
    if (reason !== 'present' && claim.pid.equals(previous?.pid) === false) this.#emit('registered', claim)
    if (type === 'moved' && previous !== undefined) this.#emit('moved', { claim, previous })
  }

  #emit<E extends keyof NodeEvents>(event: E, data: NodeEvents[E]): void {
    for (const listener of this.#listeners[event]) {
      queueMicrotask(() => {
        if (this.#end.signal.aborted || !this.#listeners[event].has(listener)) return
        try {
          ;(listener as (data: NodeEvents[E]) => void)(data)
        } catch (error) {
          this.#sources.logger.error({ err: error, event }, `a listener of '${event}' threw`)
        }
      })
    }
  }
}

/** pino says which levels it writes; a logger that does not is given everything. */
function speaksDebug(logger: Logger): boolean {
  const { isLevelEnabled } = logger as { isLevelEnabled?: (level: string) => boolean }
  return isLevelEnabled === undefined || isLevelEnabled.call(logger, 'debug')
}
