/**
 * The registry's state: one log a boot, and the index of names made of them.
 *
 * A log is written by its own boot alone, so the merge of two copies is the one with the greater seq, and there is
 * nothing to reconcile (PROTOCOL.md 4.1). The index maps a name to its winner among the visible claims: the highest
 * fence, then the smallest boot id, the same on every node. Every change of a winner is returned as a `Change`.
 *
 * A gone boot's claims are hidden at once by a flag and swept from the index in slices afterwards; its placed claims
 * become orphans, from which the slot's holder restarts. What this file leaves to others: who may write a claim
 * (grants.ts), how copies travel (sync.ts).
 */

import type { BootId } from '@skep/cluster/core'
import type { Claim, DigestEntry, Membership, Op, Strike } from './messages.js'
import { fewTogether, NameMap } from './name-map.js'
import type { Pid } from './pid.js'
import { comesBack, hasEnded } from './policies.js'

export interface Log {
  readonly boot: BootId
  seq: number
  high: number
  low: number
  readonly claims: NameMap<Claim>
  /** group -> pid number -> membership. */
  groups: Map<string, Map<number, Membership>>
  /** Removals that still have to strike older claims in logs of gone boots; oldest first. */
  strikes: Map<string, Strike & { readonly at: number }>
  /** The latest ops, oldest first: op of seq `seq - tail.length + 1 + i` at `i`. */
  tail: Op[]
  /** Ops after this one are kept, whatever the tail may have: this log is being sent. Infinity while it is not. */
  wanted: number
  /** The boot is down or left. */
  hidden: boolean
  /** When to forget it; Infinity while the boot is a member. */
  forgetAt: number
}

export interface Registry {
  logs: Map<BootId, Log>
  /** name -> the winner among the visible claims (while `sweeping` is not empty, also claims still to be swept). */
  readonly index: NameMap<Claim>
  /** All claims of a name, where there is more than one. */
  rivals: Map<string, Claim[]>
  /** group -> memberships of all visible logs, by boot and pid number. */
  groups: Map<string, Map<string, Membership>>
  /** Placed names whose boot is gone and which nobody took over yet: the claim with the highest fence. */
  readonly orphans: NameMap<Claim>
  /** How many of them each gone boot has. */
  readonly orphansOf: Map<BootId, number>
  /** Hidden logs whose claims still stand in the index. */
  sweeping: Map<BootId, Iterator<Claim>>
  /** Claims of logs that are forgotten, which may stand among the orphans still. */
  forgetting: Iterator<Claim>[]
  /** Winners that changed and were not yet handled; drained by the machine within the same step. */
  changes: Change[]
  /** Ops of a log that are kept at most, for peers that missed a few. */
  readonly maxTail: number
}

export interface Change {
  readonly name: string
  readonly before: Claim | undefined
  readonly after: Claim | undefined
  readonly reason: string
}

export function newRegistry(maxTail = 1024): Registry {
  return {
    maxTail,
    logs: new Map(),
    index: new NameMap(),
    rivals: new Map(),
    groups: new Map(),
    orphans: new NameMap(),
    orphansOf: new Map(),
    sweeping: new Map(),
    forgetting: [],
    changes: [],
  }
}

/** The log of this boot, made empty when it is new. */
export function logOf(registry: Registry, boot: BootId): Log {
  const known = registry.logs.get(boot)
  if (known !== undefined) return known
  const log: Log = {
    boot,
    seq: 0,
    high: 0,
    low: 0,
    claims: new NameMap(fewTogether),
    groups: new Map(),
    strikes: new Map(),
    tail: [],
    wanted: Number.POSITIVE_INFINITY,
    hidden: false,
    forgetAt: Number.POSITIVE_INFINITY,
  }
  registry.logs.set(boot, log)
  digests.delete(registry)
  return log
}

/** Who holds the name, as far as this node knows: one Map read, and one flag while a gone boot is being swept. */
export function lookup(registry: Registry, name: string): Claim | undefined {
  const claim = registry.index.get(name)
  if (claim === undefined || registry.sweeping.size === 0) return claim
  return registry.sweeping.has(claim.pid.boot) ? bestVisible(registry, name) : claim
}

/** The claims of one piece of the index that name holders, as `lookup` gives them. */
export function holdersIn(registry: Registry, piece: number): Claim[] {
  const claims = registry.index.valuesIn(piece)
  if (registry.sweeping.size === 0) return claims
  return claims.map(({ name }) => lookup(registry, name)).filter((claim) => claim !== undefined)
}

/** The claim by which a process of this node holds the name. */
export function heldBy(registry: Registry, self: BootId, name: string): Claim | undefined {
  const claim = registry.logs.get(self)?.claims.get(name)
  return claim === undefined || hasEnded(claim) ? undefined : claim
}

/** Every claim of a name, visible or not: what a new stamp has to cover. */
export function claimsOf(registry: Registry, name: string): Claim[] {
  const found: Claim[] = []
  for (const log of registry.logs.values()) {
    const claim = log.claims.get(name)
    if (claim !== undefined) found.push(claim)
  }
  return found
}

/** True when `a` wins the name over `b`. Pure, and a total order over different claims. */
export function beats(a: Claim, b: Claim): boolean {
  if (a.fence !== b.fence) return a.fence > b.fence
  if (a.pid.boot !== b.pid.boot) return a.pid.boot < b.pid.boot
  return a.seq > b.seq
}

/** Apply the next op of a log; the caller has checked that it is the next one. */
export function applyOp(registry: Registry, log: Log, op: Op, now: number): void {
  log.seq++
  digests.delete(registry)
  log.tail.push(op)
  trimTail(registry, log)
  switch (op.type) {
    case 'put':
      return putClaim(registry, log, op.claim, 'put')
    case 'del': {
      const claim = log.claims.get(op.name)
      if (op.strike !== undefined) {
        const { name, fence, strike: origin, failed } = op
        strike(registry, log, { name, fence, seq: log.seq, origin, failed }, now)
      }
      if (claim !== undefined && claim.fence <= op.fence) removeClaim(registry, log, claim, 'unregistered')
      return
    }
    case 'join':
      return addMembership(registry, log, op.membership)
    case 'quit':
      return removeMembership(registry, log, op.group, op.id)
  }
}

/**
 * Peers that missed more get the whole log: not many more ops are kept than it has entries, for from there on the whole is
 * the smaller message, and the ops would be most of what this node holds in memory. In portions, since each moves what is
 * kept.
 */
export function trimTail({ maxTail }: Registry, { seq, wanted, tail, claims, groups, strikes }: Log): void {
  const enough = Math.min(maxTail, Math.max(maxTail >> 4, claims.size + groups.size + strikes.size))
  const kept = Math.max(enough, seq - wanted)
  if (tail.length > 2 * kept) tail.splice(0, tail.length - kept)
}

/** The ops after `have`, when the tail still has them all. */
export function opsAfter(log: Log, have: number): Op[] | undefined {
  const missing = log.seq - have
  if (missing < 0 || missing > log.tail.length) return undefined
  return log.tail.slice(log.tail.length - missing)
}

/** Hide a gone boot's claims at once; they leave the index in slices (`sweep`). */
export function hideLog(registry: Registry, log: Log, forgetAt: number): void {
  log.hidden = true
  log.forgetAt = forgetAt
  registry.sweeping.set(log.boot, log.claims.values())
  for (const members of [...log.groups.values()]) {
    for (const membership of members.values()) unlistMembership(registry, membership)
  }
}

/** The boot counts after all: its claims compete again. */
export function showLog(registry: Registry, log: Log): void {
  log.hidden = false
  log.forgetAt = Number.POSITIVE_INFINITY
  registry.sweeping.delete(log.boot)
  for (const claim of log.claims.values()) {
    if (hasEnded(claim)) continue
    // Those not swept yet stand in the index still.
    unindex(registry, claim, 'counted in again')
    if (registry.orphans.get(claim.name) === claim) setOrphan(registry, claim.name, undefined)
    addToIndex(registry, claim, 'counted in again')
  }
  for (const members of log.groups.values()) for (const one of members.values()) listMembership(registry, one)
}

/** Sweep so many of the hidden claims out of the index. Returns false when nothing is left to sweep. */
export function sweep(registry: Registry, reason: string, budget: number): boolean {
  let left = budget
  for (const [boot, claims] of registry.sweeping) {
    for (;;) {
      if (left-- === 0) return true
      const next = claims.next()
      if (next.done === true) break
      unindex(registry, next.value, reason)
      adoptOrphan(registry, next.value.name)
    }
    registry.sweeping.delete(boot)
  }
  return false
}

/** Does a placed name of this gone boot still wait to be started elsewhere? */
export function hasOrphans(registry: Registry, boot: BootId): boolean {
  return registry.orphansOf.has(boot)
}

/** Drop a gone boot's log for good; it must have been swept. What is left of it among the orphans goes in slices. */
export function forgetLog(registry: Registry, log: Log): void {
  registry.logs.delete(log.boot)
  if (hasOrphans(registry, log.boot)) registry.forgetting.push(log.claims.values())
  digests.delete(registry)
}

/** Forget so many of what is left. Returns false when nothing is. */
export function forgetOrphans(registry: Registry, budget: number): boolean {
  let left = budget
  for (let claims = registry.forgetting[0]; claims !== undefined; claims = registry.forgetting[0]) {
    for (;;) {
      if (left-- === 0) return true
      const next = claims.next()
      if (next.done === true) break
      const { name } = next.value
      if (registry.orphans.get(name) === next.value) setOrphan(registry, name, undefined)
    }
    registry.forgetting.shift()
  }
  return false
}

/** All that a log holds, one by one; what changes meanwhile may or may not be among it. It ends, whatever comes. */
export function* entriesOf(log: Log): Generator<Claim | Membership | Strike> {
  // A million of them is sent to each node that joins: no object is made for one that is not needed.
  for (const part of log.claims.maps) yield* asManyAs(part)
  for (const members of asManyAs(log.groups)) yield* asManyAs(members)
  for (const { at: _, ...strike } of asManyAs(log.strikes)) yield strike
}

/** The values of a Map, no more than it has at the beginning: while it grows a walk through it may never end. */
function* asManyAs<Value>(map: ReadonlyMap<string | number, Value>): Generator<Value> {
  let left = map.size
  for (const value of map.values()) {
    if (left-- === 0) return
    yield value
  }
}

/** What a peer needs to know to see whether it is behind, or differs. Not to be written to: many messages share it. */
export function digestOf(registry: Registry): readonly DigestEntry[] {
  let digest = digests.get(registry)
  if (digest === undefined) {
    digest = Array.from(registry.logs.values(), entryOf)
    digests.set(registry, digest)
  }
  return digest
}

/** The digest is to be made anew: something in a log is not as it was. */
export function forgetDigest(registry: Registry): void {
  digests.delete(registry)
}

function entryOf(log: Log): DigestEntry {
  const { boot, seq, high, low } = log
  const known = entries.get(log)
  if (known !== undefined && known.seq === seq && known.high === high && known.low === low) return known
  const entry = { boot, seq, high, low }
  entries.set(log, entry)
  return entry
}

// Both hold what can be made again at any time: beside the state, which is what it is without them.
const digests = new WeakMap<Registry, readonly DigestEntry[]>()
const entries = new WeakMap<Log, DigestEntry>()

/** Each process once: one that is being handed over, where both of its places are in the group, as it goes on. */
export function membersOf(registry: Registry, group: string): Membership[] {
  const listed = registry.groups.get(group)
  if (listed === undefined) return []
  // Where nothing is on its way, nothing is copied: each publish asks.
  if (registry.rivals.size === 0) return [...listed.values()]
  const members = new Map(listed)
  for (const [name, claims] of registry.rivals) {
    const taken = registry.index.get(name)
    const from = taken?.from
    if (taken === undefined || from === undefined || !listed.has(keyOf(taken))) continue
    const left = claims.find(({ pid, seq }) => pid.boot === from.boot && seq === from.seq)
    if (left !== undefined) members.delete(keyOf(left))
  }
  return [...members.values()]
}

// -- claims and the index

export function putClaim(registry: Registry, log: Log, claim: Claim, reason: string): void {
  const before = log.claims.get(claim.name)
  if (before !== undefined) toggleHash(log, before.name, before.seq)
  toggleHash(log, claim.name, claim.seq)
  log.claims.set(claim.name, claim)
  const ended = claim.placed?.ended
  if (log.hidden || ended !== undefined) {
    if (before !== undefined) unindex(registry, before, ended?.how ?? reason)
    adoptOrphan(registry, claim.name)
    // Said also where the process was never seen here: who waits for it must know.
    if (ended !== undefined)
      registry.changes.push({ name: claim.name, before: undefined, after: undefined, reason: 'ended' })
    return
  }
  const orphan = registry.orphans.get(claim.name)
  if (orphan !== undefined && beats(claim, orphan)) setOrphan(registry, claim.name, undefined)
  if (before !== undefined && !hasEnded(before)) replaceInIndex(registry, before, claim, reason)
  else addToIndex(registry, claim, reason)
}

export function removeClaim(registry: Registry, log: Log, claim: Claim, reason: string): void {
  toggleHash(log, claim.name, claim.seq)
  log.claims.delete(claim.name)
  unindex(registry, claim, reason)
  adoptOrphan(registry, claim.name)
}

function addToIndex(registry: Registry, claim: Claim, reason: string): void {
  const winner = registry.index.get(claim.name)
  const rivals = registry.rivals.get(claim.name)
  // Rivals without a winner are claims of gone boots that are not swept yet.
  if (rivals !== undefined) rivals.push(claim)
  else if (winner !== undefined) registry.rivals.set(claim.name, [winner, claim])
  else {
    registry.index.set(claim.name, claim)
    registry.changes.push({ name: claim.name, before: undefined, after: claim, reason })
    return
  }
  elect(registry, claim.name, reason)
}

function replaceInIndex(registry: Registry, before: Claim, claim: Claim, reason: string): void {
  const rivals = registry.rivals.get(claim.name)
  if (rivals !== undefined) {
    const at = rivals.indexOf(before)
    if (at >= 0) rivals[at] = claim
    else rivals.push(claim)
    elect(registry, claim.name, reason)
    return
  }
  registry.index.set(claim.name, claim)
  registry.changes.push({ name: claim.name, before, after: claim, reason })
}

function unindex(registry: Registry, claim: Claim, reason: string): void {
  const rivals = registry.rivals.get(claim.name)
  if (rivals === undefined) {
    if (registry.index.get(claim.name) !== claim) return
    registry.index.delete(claim.name)
    registry.changes.push({ name: claim.name, before: claim, after: undefined, reason })
    return
  }
  const at = rivals.indexOf(claim)
  if (at < 0) return
  rivals.splice(at, 1)
  elect(registry, claim.name, reason)
  if (rivals.length === 1) registry.rivals.delete(claim.name)
}

/** Choose the winner of a name with rivals anew. */
function elect(registry: Registry, name: string, reason: string): void {
  const before = registry.index.get(name)
  const after = bestVisible(registry, name)
  if (after === before) return
  if (after === undefined) registry.index.delete(name)
  else registry.index.set(name, after)
  registry.changes.push({ name, before, after, reason })
}

function bestVisible(registry: Registry, name: string): Claim | undefined {
  let best: Claim | undefined
  for (const claim of registry.rivals.get(name) ?? []) {
    if (registry.logs.get(claim.pid.boot)?.hidden === true) continue
    if (best === undefined || beats(claim, best)) best = claim
  }
  return best
}

// -- names of gone boots

/**
 * The orphan of a name: the greatest of the placed claims that are hidden, or whose process has ended, where it is to be
 * started again, unless a greater visible claim or a strike tells that its life went on or ended. It hangs on the logs
 * alone, so that nodes which heard of them in different orders start the same again: what a greater claim hid, which
 * then went without a strike, comes up again.
 */
function adoptOrphan(registry: Registry, name: string): void {
  setOrphan(registry, name, orphanOf(registry, name))
}

function setOrphan(registry: Registry, name: string, orphan: Claim | undefined): void {
  const before = registry.orphans.get(name)
  if (before === orphan) return
  if (before !== undefined) countOrphans(registry, before.pid.boot, -1)
  if (orphan === undefined) registry.orphans.delete(name)
  else {
    countOrphans(registry, orphan.pid.boot, 1)
    registry.orphans.set(name, orphan)
  }
}

function countOrphans({ orphansOf }: Registry, boot: BootId, more: number): void {
  const count = (orphansOf.get(boot) ?? 0) + more
  if (count === 0) orphansOf.delete(boot)
  else orphansOf.set(boot, count)
}

function orphanOf(registry: Registry, name: string): Claim | undefined {
  let best: Claim | undefined
  let struck = 0
  for (const log of registry.logs.values()) {
    struck = Math.max(struck, log.strikes.get(name)?.fence ?? 0)
    const claim = log.claims.get(name)
    if (claim === undefined || !(log.hidden || hasEnded(claim))) continue
    if (!comesBack(claim.placed, claim.placed?.ended?.how ?? 'gone')) continue
    if (best === undefined || beats(claim, best)) best = claim
  }
  if (best === undefined || best.fence <= struck) return undefined
  const winner = registry.index.get(name)
  return winner !== undefined && winner !== best && beats(winner, best) ? undefined : best
}

export function strike(registry: Registry, log: Log, one: Strike, at: number): void {
  const { name, fence, seq, origin, failed } = one
  log.strikes.delete(name)
  // Each field by its name: a copy of `one` with one more is as dear as all else here.
  const kept = { name, fence, seq, origin, at }
  log.strikes.set(name, failed === undefined ? kept : { ...kept, failed })
  const orphan = registry.orphans.get(name)
  if (orphan !== undefined && orphan.fence <= fence) setOrphan(registry, name, undefined)
  // Said also where the claim itself was never seen here: who waits for it must know.
  registry.changes.push({ name: name, before: undefined, after: undefined, reason: 'struck' })
}

/** Was what this request started ended since, as a claim of at least this fence? */
export function isStruck(registry: Registry, name: string, origin: string, fence = 0): boolean {
  for (const log of registry.logs.values()) {
    const struck = log.strikes.get(name)
    if (struck?.origin === origin && struck.fence >= fence) return true
  }
  return false
}

/** The highest fence with which another start of this name has ended in another log; 0 where none has. */
export function endedAt(registry: Registry, self: BootId, name: string, origin: string | undefined): number {
  let highest = 0
  for (const { boot, strikes } of registry.logs.values()) {
    const struck = boot === self ? undefined : strikes.get(name)
    if (struck !== undefined && struck.fence > highest && struck.origin !== origin) highest = struck.fence
  }
  return highest
}

/** Forget strikes older than `before`: the logs that they could strike are forgotten too. */
export function expireStrikes(registry: Registry, before: number): void {
  for (const log of registry.logs.values()) {
    for (const [name, one] of log.strikes) {
      if (one.at >= before) break
      log.strikes.delete(name)
    }
  }
}

// -- groups

export function addMembership(registry: Registry, log: Log, membership: Membership): void {
  removeMembership(registry, log, membership.group, membership.pid.id)
  let members = log.groups.get(membership.group)
  if (members === undefined) {
    members = new Map()
    log.groups.set(membership.group, members)
  }
  members.set(membership.pid.id, membership)
  toggleHash(log, membership.group, membership.seq)
  if (!log.hidden) listMembership(registry, membership)
}

function listMembership(registry: Registry, membership: Membership): void {
  const listed = registry.groups.get(membership.group)
  if (listed === undefined) registry.groups.set(membership.group, new Map([[keyOf(membership), membership]]))
  else listed.set(keyOf(membership), membership)
}

function keyOf({ pid }: { readonly pid: Pid }): string {
  return `${pid.boot}/${pid.id}`
}

export function removeMembership(registry: Registry, log: Log, group: string, id: number): void {
  const members = log.groups.get(group)
  const membership = members?.get(id)
  if (members === undefined || membership === undefined) return
  members.delete(id)
  if (members.size === 0) log.groups.delete(group)
  toggleHash(log, group, membership.seq)
  unlistMembership(registry, membership)
}

function unlistMembership(registry: Registry, membership: Membership): void {
  const listed = registry.groups.get(membership.group)
  if (listed?.delete(keyOf(membership)) === true && listed.size === 0) registry.groups.delete(membership.group)
}

// -- hashes

/** (name, seq) names an entry of a log among all that its writer ever wrote; XOR adds and removes it. */
export function toggleHash(hash: { high: number; low: number }, name: string, seq: number): void {
  let a = 0x811c9dc5 ^ seq
  let b = (0x9e3779b9 ^ Math.floor(seq / 4294967296)) + seq
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i)
    a = Math.imul(a ^ unit, 0x01000193)
    b = Math.imul(b ^ unit, 0x85ebca6b)
  }
  hash.high = (hash.high ^ mix(a)) >>> 0
  hash.low = (hash.low ^ mix(b)) >>> 0
}

/** The finaliser of MurmurHash3. */
function mix(value: number): number {
  let h = value ^ (value >>> 16)
  h = Math.imul(h, 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
