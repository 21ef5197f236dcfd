/**
 * Who was heard by gossip, decided without sockets and clocks: which datagram counts, and for how long.
 *
 * A beat counts when it opens, is of this cluster and not of this node, its clock is near ours, and its sequence is
 * above all that were heard of its boot. The boot's sequence is kept as long as any beat of it could still be near
 * enough in time, so one that is recorded and sent again names nobody, also after its node has expired. What this
 * cannot tell, as nothing of one way can: a node that has just started knows no sequences, so it may take a beat that
 * is as old as the window.
 */
import type { BootId } from '../core/member.js'
import { openPacket, type Unread } from './gossip-packet.js'

/** Boots that are remembered, living or not: as many as addresses are taken of a strategy. */
export const maxPeers = 4096

/** `own`: of this node. `old`: its clock is too far from ours. `full`: of one peer more than are kept. */
export type DropReason = Unread | 'cluster' | 'own' | 'old' | 'replayed' | 'full'

/** One moment on both clocks, in ms: `wall` since 1970, as in the beats; `now` never goes back. */
export interface Moment {
  readonly wall: number
  readonly now: number
}

export interface EarOptions {
  readonly cluster: string
  readonly boot: BootId
  readonly keys: readonly Uint8Array[]
  /** Difference of clocks, delay included, up to which a beat counts. */
  readonly windowMs: number
  /** A peer that was not heard for so long is no longer named. */
  readonly expireMs: number
}

export interface Ear {
  readonly options: EarOptions
  /** By boot, the one that was heard last at the end. */
  readonly heard: Map<BootId, Peer>
}

interface Peer {
  readonly address: string
  readonly sequence: number
  /** On the clock that never goes back. */
  readonly expiresAt: number
  /** On the wall: after that nothing that was heard of it is near enough. */
  readonly staleAt: number
}

/** `met`: a peer that was not named, or was named elsewhere. */
export type Heard = { readonly type: 'met' | 'known' } | { readonly type: 'dropped'; readonly reason: DropReason }

export function openEar(options: EarOptions): Ear {
  return { options, heard: new Map() }
}

/** Takes a datagram in. Never throws, whatever the bytes. */
export function hear({ options, heard }: Ear, packet: Uint8Array, { wall, now }: Moment): Heard {
  const opened = openPacket(packet, options.keys)
  if (opened.type === 'dropped') return opened
  const { boot, cluster, address, sentAt, sequence } = opened.beat
  if (cluster !== options.cluster) return dropped('cluster')
  if (boot === options.boot) return dropped('own')
  if (Math.abs(wall - sentAt) > options.windowMs) return dropped('old')
  const before = heard.get(boot)
  if (before !== undefined && sequence <= before.sequence) return dropped('replayed')
  if (before === undefined && !makeRoom(heard, wall, now)) return dropped('full')
  const staleAt = Math.max(before?.staleAt ?? 0, sentAt + options.windowMs)
  heard.delete(boot)
  heard.set(boot, { address, sequence, expiresAt: now + options.expireMs, staleAt })
  return { type: before !== undefined && before.expiresAt > now && before.address === address ? 'known' : 'met' }
}

/** The addresses of all that were heard of late, each once, sorted. */
export function namedBy({ heard }: Ear, now: number): string[] {
  const living = [...heard.values()].filter(({ expiresAt }) => expiresAt > now)
  return [...new Set(living.map(({ address }) => address))].sort()
}

/** When the next one expires; Infinity where nobody is named. */
export function nextExpiry({ heard }: Ear, now: number): number {
  let next = Infinity
  for (const { expiresAt } of heard.values()) if (expiresAt > now) next = Math.min(next, expiresAt)
  return next
}

/** Forgets the one that was silent the longest, where that is safe: else its beats could be sent again. */
function makeRoom(heard: Map<BootId, Peer>, wall: number, now: number): boolean {
  if (heard.size < maxPeers) return true
  const [oldest] = heard
  if (oldest === undefined || oldest[1].expiresAt > now || oldest[1].staleAt >= wall) return false
  return heard.delete(oldest[0])
}

function dropped(reason: DropReason): Heard {
  return { type: 'dropped', reason }
}
