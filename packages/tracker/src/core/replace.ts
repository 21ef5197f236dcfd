/**
 * A log that came whole from a peer takes the place of our copy of it, a name at a time, so that nobody waits for a
 * million of them. What is done for a name is what its ops would have done, so between two slices each name is as it
 * was at some moment of the log. The log's own seq stays until all is done: nobody takes for known what is not.
 */
import type { BootId } from '@skep/cluster/core'
import {
  addMembership,
  forgetDigest,
  logOf,
  putClaim,
  type Registry,
  removeClaim,
  removeMembership,
  strike,
  toggleHash,
} from './logs.js'
import type { Claim, Membership, Op, Strike } from './messages.js'
import type { NameMap } from './name-map.js'

/** A whole log as it came from a peer. */
export interface LogImage {
  seq: number
  readonly claims: NameMap<Claim>
  /** By `membershipKey`. */
  readonly memberships: Map<string, Membership>
  readonly strikes: Map<string, Strike>
}

/** Names have no control characters, so this names one membership of a log. */
export function membershipKey(group: string, id: number): string {
  return `${id}\n${group}`
}

/** One on its way into our copy. */
export interface Replacement {
  readonly boot: BootId
  /** Who gave it. */
  readonly from: BootId
  /** What is left to do of it; undefined when it is done. */
  steps: Iterator<undefined, undefined> | undefined
  /** Ops that came meanwhile, by seq of the first: they follow it. */
  readonly buffered: { first: number; ops: readonly Op[] }[]
  bufferedOps: number
  /** How many of `buffered` have followed: none is taken off, for that moves all the others of a long list. */
  followed: number
}

/**
 * Goes on by one name at each `next`. Until it is at its end nothing else may write the log. `tail`: the last of the ops
 * that are in the image, for peers that miss just these.
 */
export function* replacing(
  registry: Registry,
  boot: BootId,
  image: LogImage,
  tail: readonly Op[],
  now: number,
): Generator<undefined, undefined> {
  const log = logOf(registry, boot)
  // Made from nothing, so that a hash that had gone astray is right again.
  const hash = { high: 0, low: 0 }
  const bring = (name: string, claim: Claim | undefined): void => {
    const before = log.claims.get(name)
    if (claim !== undefined && claim.seq !== before?.seq) putClaim(registry, log, claim, 'put')
    else if (claim === undefined && before !== undefined) removeClaim(registry, log, before, 'unregistered')
  }
  // With what it strikes, and before anything else goes: or an older claim would rise.
  for (const one of image.strikes.values()) {
    strike(registry, log, one, now)
    bring(one.name, image.claims.get(one.name))
    yield
  }
  for (const name of log.claims.keys()) {
    if (!image.claims.has(name)) bring(name, undefined)
    yield
  }
  for (const claim of image.claims.values()) {
    bring(claim.name, claim)
    toggleHash(hash, claim.name, claim.seq)
    yield
  }
  for (const membership of image.memberships.values()) {
    if (log.groups.get(membership.group)?.get(membership.pid.id)?.seq !== membership.seq)
      addMembership(registry, log, membership)
    toggleHash(hash, membership.group, membership.seq)
    yield
  }
  for (const [group, members] of log.groups) {
    for (const id of members.keys()) {
      if (!image.memberships.has(membershipKey(group, id))) removeMembership(registry, log, group, id)
      yield
    }
  }
  log.seq = image.seq
  log.high = hash.high
  log.low = hash.low
  log.tail = [...tail]
  forgetDigest(registry)
}
