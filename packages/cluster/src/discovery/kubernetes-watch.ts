/**
 * Follows a collection of Kubernetes objects: lists it, then watches it from where the list ended. What the reflector
 * of client-go does, with these rules:
 *
 * - A list comes from the API server's memory (resourceVersion=0), in pages where the server pages. After a 410 it does
 *   not, or a server that lags behind would give the same version that is gone over and over.
 * - A watch that ends is resumed from the last version seen (events and bookmarks), without a list. One that says gone,
 *   or something that cannot be read, is followed by a list; so is the end of one when the list is old.
 * - What ends within `steadyMs` counts as a setback, and so does every failure: each doubles the pause before the next
 *   request. A watch survives a few of them in silence, then the last one is thrown. A failed list is thrown at once.
 *
 * The pauses outlive a run, for whoever catches what is thrown starts anew with pauses of his own that know nothing of
 * a Retry-After.
 */
import { realTime } from '../time.js'
import { pause, textOf } from './discovery.js'
import { ApiFailure, type Reader } from './kubernetes-api.js'

/** Setbacks in a row after which a watch is given up and its failure told. */
const maxSetbacks = 5

/** What is kept of a collection, by the objects' names: what `digest` makes of each; the objects are forgotten. */
export interface Collection<Kept> {
  readonly kept: Map<string, Kept>
  digest(object: KubernetesObject): Kept
  /** After every list and every batch of events. */
  changed(): void
}

/** As it comes from the wire: nothing is certain but that it is an object. */
export type KubernetesObject = Readonly<Record<string, unknown>>

export interface Source {
  /** Throws an ApiFailure. */
  list(query: Query): Promise<unknown>
  /** Resolves when the server ends it or the reader has enough. Throws an ApiFailure. */
  watch(query: Query, reader: Reader): Promise<void>
}

export type Query = Readonly<Record<string, string>>

export interface FollowLimits {
  /** Objects asked for at once. */
  readonly pageSize: number
  /** Pages of a list. */
  readonly maxPages: number
  /** Objects kept; what comes beyond is passed over. */
  readonly maxObjects: number
  /** Age of a list at which the end of a watch leads to a new one, give or take a fifth. */
  readonly relistMs: number
  /** A watch that lasted so long was no setback. */
  readonly steadyMs: number
  /** Pause after the first setback; it doubles, and a part of it is chance. */
  readonly backoffMinMs: number
  readonly backoffMaxMs: number
}

/** The pause before the next request; outlives the runs. */
export class Setbacks {
  #row = 0
  #until = 0
  readonly #limits: FollowLimits

  constructor(limits: FollowLimits) {
    this.#limits = limits
  }

  /** How many in a row. */
  get row(): number {
    return this.#row
  }

  add(error?: unknown): void {
    const { backoffMinMs, backoffMaxMs } = this.#limits
    const asked = error instanceof ApiFailure ? error.retryAfterMs : 0
    const own = Math.min(backoffMinMs * 2 ** this.#row, backoffMaxMs) * (0.5 + 0.5 * Math.random())
    this.#row++
    // All that were told the same second would come back in it.
    this.#until = realTime.now() + Math.max(own, asked * (1 + 0.1 * Math.random()))
  }

  clear(): void {
    this.#row = 0
    this.#until = 0
  }

  over(signal: AbortSignal): Promise<void> {
    const ms = this.#until - realTime.now()
    return ms > 0 ? pause(realTime, ms, signal) : Promise.resolve()
  }
}

/** The version is gone: list anew. */
class Gone extends Error {}
/** What came cannot be relied on: list anew. */
class Unreadable extends Error {}

/** Follows until the signal aborts; throws what `maxSetbacks` and the rules above do not forgive. */
export async function follow<Kept>(
  source: Source,
  collection: Collection<Kept>,
  limits: FollowLimits,
  setbacks: Setbacks,
  say: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  let gone = false
  while (!signal.aborted) {
    await setbacks.over(signal)
    if (signal.aborted) return
    let version: string
    try {
      version = await list(gone)
    } catch (error) {
      if (signal.aborted) return
      setbacks.add(error)
      throw error
    }
    gone = await watchFrom(version)
  }

  /** Watches again and again until a list is due; true when that is because the version is gone. */
  async function watchFrom(listed: string): Promise<boolean> {
    const relistAt = realTime.now() + limits.relistMs * (0.8 + 0.4 * Math.random())
    let version = listed
    while (!signal.aborted && realTime.now() < relistAt) {
      await setbacks.over(signal)
      if (signal.aborted) return false
      let openedAt = Number.POSITIVE_INFINITY
      let failure: unknown
      const reader: Reader = {
        opened() {
          openedAt = realTime.now()
        },
        take(lines) {
          try {
            for (const line of lines) version = apply(line)
          } catch (error) {
            failure = error
          }
          collection.changed()
          return failure === undefined
        },
      }
      await source.watch({ resourceVersion: version }, reader).catch((error: unknown) => {
        failure ??= error
      })
      if (signal.aborted) return false
      const steady = realTime.now() - openedAt >= limits.steadyMs
      if (steady) setbacks.clear()
      if (failure === undefined && steady) continue
      setbacks.add(failure)
      if (isGone(failure) || failure instanceof Unreadable) {
        say(`the watch is followed by a list: ${textOf(failure)}`)
        return isGone(failure)
      }
      if (failure !== undefined && !isPassing(failure)) throw failure
      if (setbacks.row >= maxSetbacks) throw failure ?? new Error('the Kubernetes API ends every watch at once')
      if (failure !== undefined) say(`the watch is resumed: ${textOf(failure)}`)
    }
    return false
  }

  /** Lists all, and gives the version to watch from. */
  async function list(consistently: boolean): Promise<string> {
    const first: Query = consistently ? {} : { resourceVersion: '0' }
    const pages = await listPages({ ...first, limit: String(limits.pageSize) }).catch((error: unknown) => {
      // The snapshot that was paged through is gone: all at once then.
      if (isGone(error)) return listPages(first)
      throw error
    })
    collection.kept.clear()
    for (const [name, kept] of pages.kept) collection.kept.set(name, kept)
    collection.changed()
    return pages.version
  }

  async function listPages(first: Query): Promise<{ version: string; kept: Map<string, Kept> }> {
    const kept = new Map<string, Kept>()
    let query = first
    let version: string | undefined
    for (let page = 0; page < limits.maxPages; page++) {
      const answer = recordOf(await source.list(query))
      const metadata = recordOf(answer?.metadata)
      if (!metadata) throw new ApiFailure('the Kubernetes API gave a list that is none')
      for (const item of listOf(answer?.items)) keep(kept, item)
      version ??= textIn(metadata.resourceVersion)
      const next = textIn(metadata.continue)
      if (version === undefined) throw new ApiFailure('the Kubernetes API gave a list without a version')
      if (next === undefined) return { version, kept }
      // A continued list has its version in the token; naming one is an error.
      query = { limit: String(limits.pageSize), continue: next }
    }
    throw new ApiFailure(`the Kubernetes API gave a list of more than ${limits.maxPages} pages`)
  }

  function keep(kept: Map<string, Kept>, object: KubernetesObject): void {
    const name = nameOf(object)
    if (kept.size < limits.maxObjects || kept.has(name)) kept.set(name, collection.digest(object))
    else say(`there are more than ${limits.maxObjects} objects: the rest is passed over`)
  }

  /** Applies an event; the version to resume from. */
  function apply(line: string): string {
    const event = parse(line)
    const object = recordOf(event?.object)
    if (!object) throw new Unreadable(`an event that is none: ${line.slice(0, 80)}`)
    if (event?.type === 'ERROR') throw errorOf(object)
    const version = textIn(recordOf(object.metadata)?.resourceVersion)
    if (version === undefined) throw new Unreadable('an event without a version')
    switch (event?.type) {
      case 'BOOKMARK':
        return version
      case 'ADDED':
      case 'MODIFIED':
        keep(collection.kept, object)
        return version
      case 'DELETED':
        collection.kept.delete(nameOf(object))
        return version
      default:
        throw new Unreadable(`an event of type '${String(event?.type).slice(0, 40)}'`)
    }
  }
}

/** A Status in the stream; whatever it says but Gone, the list that follows is the safe way on. */
function errorOf(status: KubernetesObject): Error {
  const text = `${String(status.code)} ${String(status.reason)}: ${String(status.message)}`.slice(0, 300)
  return status.code === 410 || status.reason === 'Expired' || status.reason === 'Gone'
    ? new Gone(text)
    : new Unreadable(text)
}

function isGone(error: unknown): boolean {
  return error instanceof Gone || (error instanceof ApiFailure && error.status === 410)
}

/** No answer, or one that says later: the same question may be answered next time. */
function isPassing(error: unknown): boolean {
  if (!(error instanceof ApiFailure)) return false
  const { status } = error
  return status === undefined || status === 408 || status === 429 || status >= 500
}

function parse(line: string): KubernetesObject | undefined {
  try {
    return recordOf(JSON.parse(line))
  } catch {
    return undefined
  }
}

/** An object, or undefined. */
export function recordOf(value: unknown): KubernetesObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as KubernetesObject) : undefined
}

/** The objects of a list: Kubernetes writes an empty one as null, or not at all. */
export function listOf(value: unknown): KubernetesObject[] {
  const all: readonly unknown[] = Array.isArray(value) ? value : []
  return all.map(recordOf).filter((one) => one !== undefined)
}

/** A text that is not empty, or undefined. */
export function textIn(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function nameOf(object: KubernetesObject): string {
  return textIn(recordOf(object.metadata)?.name) ?? ''
}
