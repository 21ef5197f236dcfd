/**
 * Relayed links: two live members without a link of their own are linked through a neighbour of both. Who is linked to
 * the target is not known beforehand but found out where it is needed: a few neighbours are asked to probe it, and the
 * first that heard of it, which proves the whole way, is dialled through. Who has no link to the target says so at
 * once, so the next few are asked; when all were asked, with growing pauses from the beginning.
 *
 * The direct link is dialled on meanwhile (`dialling.ts`), and takes over when it is back.
 */
import { askOthers, stretched } from './asking.js'
import type { ClusterInput, ClusterOutput } from './contract.js'
import { type BootId, inView } from './member.js'
import type { MembershipState, Search } from './state.js'

/** A link that broke is usually back sooner than this, without a neighbour's help. */
export const ROUTE_AFTER_MS = 250

/** Looks for a neighbour unless there is a link again by then. */
export function searchSoon(state: MembershipState, boot: BootId, now: number, ms: number = ROUTE_AFTER_MS): void {
  const search = state.searches.get(boot) ?? openSearch(state, boot)
  if (isBusy(search)) return
  search.due = Math.min(search.due, now + ms)
  state.stale = true
}

/** Somebody wants to reach it now: the pauses begin anew. */
export function searchNow(state: MembershipState, boot: BootId, now: number): void {
  const search = state.searches.get(boot)
  if (search) search.pauseMs = ROUTE_AFTER_MS
  searchSoon(state, boot, now)
}

/** This neighbour has just heard of it. */
export function routeThrough(
  state: MembershipState,
  boot: BootId,
  via: BootId,
  now: number,
  out: ClusterOutput[],
): void {
  if (!state.carriers.has(via)) return searchSoon(state, boot, now, 0)
  const search = state.searches.get(boot) ?? openSearch(state, boot)
  if (search.through === undefined) dialThrough(state, boot, search, via, out)
}

/** A neighbour more that can carry: whoever found none looks again. */
export function noteCarrier(state: MembershipState, boot: BootId, now: number): void {
  state.carriers.add(boot)
  for (const [subject, search] of state.searches) {
    search.tried.delete(boot)
    if (subject !== boot) searchSoon(state, subject, now)
  }
}

export function searchesDue(state: MembershipState): number {
  let due = Infinity
  for (const search of state.searches.values()) due = Math.min(due, search.due)
  return due
}

export function wakeSearches(state: MembershipState, now: number, out: ClusterOutput[]): void {
  for (const [boot, search] of state.searches) {
    if (search.due > now) continue
    state.stale = true
    for (const asked of search.asked) search.tried.add(asked)
    ask(state, boot, search, now, out)
  }
}

/** What a neighbour that we asked found. */
export function hearRoute(
  state: MembershipState,
  from: BootId,
  seq: number,
  ok: boolean,
  now: number,
  out: ClusterOutput[],
): void {
  for (const [boot, search] of state.searches) {
    if (search.seq !== seq || !search.asked.includes(from)) continue
    if (ok && isWanted(state, boot)) return dialThrough(state, boot, search, from, out)
    search.tried.add(from)
    if (search.asked.every((one) => search.tried.has(one))) ask(state, boot, search, now, out)
    return
  }
}

export function noteDialledThrough(
  state: MembershipState,
  { boot, via, linked }: Extract<ClusterInput, { type: 'dialledThrough' }>,
  now: number,
  out: ClusterOutput[],
): void {
  const search = state.searches.get(boot)
  if (search?.through !== via) return
  search.through = undefined
  if (linked) return endSearch(state, boot)
  search.tried.add(via)
  ask(state, boot, search, now, out)
}

export function endSearch(state: MembershipState, boot: BootId): void {
  if (state.searches.delete(boot)) state.stale = true
}

function ask(state: MembershipState, boot: BootId, search: Search, now: number, out: ClusterOutput[]): void {
  if (!isWanted(state, boot)) return endSearch(state, boot)
  state.stale = true
  const seq = ++state.lastSeq
  const left = [...state.carriers].filter((one) => !search.tried.has(one))
  search.asked = askOthers(state, boot, seq, left, out)
  if (search.asked.length > 0) {
    search.seq = seq
    search.due = now + stretched(state, state.config.limits.probeTimeoutMs)
    return
  }
  search.seq = 0
  search.tried.clear()
  search.due = now + search.pauseMs
  search.pauseMs = Math.min(2 * search.pauseMs, state.config.limits.redialMaxMs)
}

function dialThrough(state: MembershipState, boot: BootId, search: Search, via: BootId, out: ClusterOutput[]): void {
  search.seq = 0
  search.asked = []
  search.through = via
  search.due = Infinity
  state.stale = true
  out.push({ type: 'dialThrough', boot, via })
}

function openSearch(state: MembershipState, boot: BootId): Search {
  const search: Search = {
    seq: 0,
    asked: [],
    tried: new Set(),
    through: undefined,
    due: Infinity,
    pauseMs: ROUTE_AFTER_MS,
  }
  state.searches.set(boot, search)
  return search
}

function isBusy(search: Search): boolean {
  return search.seq !== 0 || search.through !== undefined
}

/** A leaver says what it has to say to those that it is linked with. */
function isWanted(state: MembershipState, boot: BootId): boolean {
  const member = state.members.get(boot)
  return member !== undefined && inView(member) && inView(state.self) && !state.links.has(boot)
}
