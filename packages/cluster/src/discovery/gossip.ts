/**
 * Discovery by UDP multicast or broadcast: every node says now and then who and where it is, and names those that it
 * hears. Nothing to configure but the cluster's secret, where the network carries such packets (most clouds do not).
 *
 * What a datagram is stands in `gossip-packet.ts`, which of them count in `gossip-peers.ts`; here are the socket and
 * the beat. A newcomer beats often at first, and whoever hears of it for the first time answers with a beat of its own,
 * so they meet at once, however long the interval.
 */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { isIP, isIPv4 } from 'node:net'
import { networkInterfaces } from 'node:os'
import { LogLimiter } from '../log.js'
import { realTime } from '../time.js'
import { bellOf, type Discovery, type DiscoveryContext, textOf, titled } from './discovery.js'
import { sealPacket } from './gossip-packet.js'
import { type DropReason, type Ear, hear, namedBy, nextExpiry, openEar } from './gossip-peers.js'

export interface GossipOptions {
  /** UDP port, the same on all nodes; several nodes of a host share it. Default 45893. */
  readonly port?: number
  /** Multicast group; one of IPv6, such as ff02::736b, makes all of it IPv6. Default 239.255.115.107. */
  readonly group?: string
  /** Sends to this IPv4 broadcast address instead of a group: 10.0.0.255, or 255.255.255.255. */
  readonly broadcast?: string
  /** For a group: the network interface, by its name or one of its addresses. Default: what the routes say. */
  readonly interface?: string
  /** For a group: how many networks a packet crosses. Default 1, which is this one alone. */
  readonly ttl?: number
  /** Milliseconds between beats, give or take a fifth. One that was missed five times is no longer named. Default 2000. */
  readonly intervalMs?: number
  /** How far the clocks of two nodes may differ, in milliseconds. Default 30,000. */
  readonly windowMs?: number
  /** Allows plain packets where the cluster has no secret: anybody near can then send this node anywhere. */
  readonly insecure?: boolean
}

/** What came of datagrams so far. */
export interface GossipCounts {
  readonly sent: number
  /** Those that counted. */
  readonly heard: number
  /** Those that did not, by reason. */
  readonly dropped: Readonly<Partial<Record<DropReason, number>>>
}

export interface Gossip extends Discovery {
  counts(): GossipCounts
}

/**
 * A port and a group of our own, of those for private use (RFC 2365): not libcluster's, of which a node without a
 * secret ends at the first datagram that it cannot read.
 */
const defaults = {
  port: 45893,
  group: '239.255.115.107',
  ttl: 1,
  intervalMs: 2000,
  windowMs: 30_000,
  insecure: false,
}

/** Beats at first: nodes that start together meet soon, also where a packet is lost. */
const earlyGapMs = 250
const earlyMs = 3000
/** A beat out of turn comes so long after the one before it at least, however many newcomers there are. */
const extraGapMs = 250
/** It waits a part of this, by chance, or all nodes would answer a newcomer at one moment. */
const answerSpreadMs = 100
/** Beats that may be lost before a peer is no longer named. */
const missedBeats = 5
/** Before it says that nobody is there: a peer had the time to answer. The first answer of a node waits half a second. */
const listenMs = 400

/**
 * Finds the nodes of the cluster by UDP multicast or broadcast. Packets are sealed with keys derived from the cluster's
 * secrets: the first to write, all of them to read. Throws a TypeError at bad options.
 */
export function gossip(options: GossipOptions = {}): Gossip {
  const settings = settingsOf(options)
  const counts = { sent: 0, heard: 0, dropped: {} as Partial<Record<DropReason, number>> }
  const limiter = new LogLimiter(() => realTime.now())
  /** By node; kept when the strategy fails and is asked again, or what was recorded before could be sent again. */
  const ears = new WeakMap<DiscoveryContext['self'], Ear>()

  const strategy = titled('gossip', async function* (context) {
    const { self, signal } = context
    const keys = keysOf(context, settings)
    const ear = ears.get(self) ?? openEar({ ...self, keys, ...settings, expireMs: expiryOf(settings.intervalMs) })
    ears.set(self, ear)
    const bell = bellOf(context)
    const rhythm = startRhythm(realTime.now())
    let failure: Error | undefined
    let last: string | undefined

    const socket = createSocket({ type: settings.type, reuseAddr: true, ipv6Only: settings.type === 'udp6' })
    socket.on('message', (packet) => {
      const now = realTime.now()
      const heard = hear(ear, packet, { wall: realTime.wall(), now })
      if (heard.type === 'dropped') return noteDropped(heard.reason, context)
      counts.heard++
      if (heard.type === 'known') return
      beatSoon(rhythm, now)
      bell.strike()
    })
    try {
      await join(socket, settings)
      socket.on('error', (error) => {
        failure = error
        bell.strike()
      })
      while (!signal.aborted) {
        if (failure !== undefined) throw failure
        const now = realTime.now()
        if (bell.asked()) {
          last = undefined
          beatSoon(rhythm, now)
        }
        if (now >= rhythm.beatAt) {
          const beat = { ...self, sentAt: realTime.wall(), sequence: nextSequence() }
          send(socket, sealPacket(beat, keys[0]), context)
          noteBeat(rhythm, now, settings.intervalMs)
        }
        const answer = namedBy(ear, now)
        const listened = now >= rhythm.startedAt + listenMs
        if (answer.join() !== last && (listened || answer.length > 0)) {
          last = answer.join()
          yield answer
        }
        const due = Math.min(rhythm.beatAt, nextExpiry(ear, now), listened ? Infinity : rhythm.startedAt + listenMs)
        await bell.next(due - realTime.now())
      }
    } finally {
      bell.close()
      // What still comes of a socket that is being closed is nobody's business.
      socket.removeAllListeners().on('error', () => {})
      await closed(socket)
    }
  })
  return Object.assign(strategy, { counts: () => ({ ...counts, dropped: { ...counts.dropped } }) })

  function noteDropped(reason: DropReason, { logger }: DiscoveryContext): void {
    counts.dropped[reason] = (counts.dropped[reason] ?? 0) + 1
    // Our own come back with every beat.
    if (reason === 'own') return
    const count = limiter.count(`dropped ${reason}`)
    if (count > 0) logger.debug({ reason, count }, `dropped ${count} datagrams: ${reason}`)
  }

  function send(socket: Socket, packet: Buffer, { logger, signal }: DiscoveryContext): void {
    socket.send(packet, settings.port, settings.to, (error) => {
      if (!error) counts.sent++
      else if (!signal.aborted) {
        const count = limiter.count('send')
        if (count > 0) logger.warn({ err: error, count }, `cannot send to ${settings.to}: ${textOf(error)}; trying on`)
      }
    })
  }
}

function keysOf(context: DiscoveryContext, { insecure }: Settings): readonly Uint8Array[] {
  const keys = context.keys('gossip')
  if (keys.length === 0 && !insecure) {
    throw new Error('gossip wants a secret of the cluster, or anybody could name peers; insecure: true does without')
  }
  return keys
}

// When to beat.

interface Rhythm {
  readonly startedAt: number
  lastAt: number
  beatAt: number
}

function startRhythm(now: number): Rhythm {
  return { startedAt: now, lastAt: -Infinity, beatAt: now }
}

function noteBeat(rhythm: Rhythm, now: number, intervalMs: number): void {
  rhythm.lastAt = now
  rhythm.beatAt = now + gapMs(now - rhythm.startedAt, intervalMs, Math.random())
}

/** To the next beat, for a node that began so long ago. */
export function gapMs(ageMs: number, intervalMs: number, chance: number): number {
  return (ageMs < earlyMs ? Math.min(earlyGapMs, intervalMs) : intervalMs) * (0.8 + 0.4 * chance)
}

/** So long after its last beat a peer is no longer named. */
export function expiryOf(intervalMs: number): number {
  return missedBeats * 1.2 * intervalMs
}

function beatSoon(rhythm: Rhythm, now: number): void {
  const soon = Math.max(now + answerSpreadMs * Math.random(), rhythm.lastAt + extraGapMs)
  rhythm.beatAt = Math.min(rhythm.beatAt, soon)
}

let lastSequence = 0

/** Rises in the whole process, also where the strategy failed and is asked again, or a node has two of them. */
function nextSequence(): number {
  lastSequence++
  return lastSequence
}

// The socket.

/**
 * The port is shared with the other nodes of this host by SO_REUSEADDR, under which each gets every multicast and
 * broadcast packet; SO_REUSEPORT would deal packets out among them on some systems.
 */
async function join(socket: Socket, settings: Settings): Promise<void> {
  const { port, to, ttl, broadcast } = settings
  // Else the workers of `node:cluster` would have one socket together, and each packet would go to one of them.
  socket.bind({ port, exclusive: true })
  await once(socket, 'listening')
  if (broadcast) return socket.setBroadcast(true)
  const via = interfaceOf(settings)
  try {
    socket.addMembership(to, via)
    if (via !== undefined) socket.setMulticastInterface(via)
  } catch (error) {
    const where = settings.interface ?? 'the interface that the routes say (interface: names another)'
    throw new Error(`cannot join ${to} on ${where}: ${textOf(error)}`, { cause: error })
  }
  socket.setMulticastTTL(ttl)
  // The other nodes of this host are peers as well.
  socket.setMulticastLoopback(true)
}

/** As the system wants it: an address for IPv4, `::%name` for IPv6. Looked up each time, since interfaces come and go. */
function interfaceOf({ interface: wanted, type }: Settings): string | undefined {
  if (wanted === undefined) return undefined
  const [family, all] = [type === 'udp4' ? 'IPv4' : 'IPv6', networkInterfaces()]
  for (const [name, addresses = []] of Object.entries(all)) {
    for (const one of addresses) {
      if (one.family !== family || (name !== wanted && one.address !== wanted.split('%')[0])) continue
      if (one.family === 'IPv4') return one.address
      return `::%${process.platform === 'win32' ? one.scopeid : name}`
    }
  }
  const known = Object.keys(all).join(', ')
  throw new Error(`there is no interface '${wanted}' with an ${family} address here; there are ${known}`)
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.close(() => resolve()))
}

// The options.

interface Settings {
  readonly type: 'udp4' | 'udp6'
  readonly port: number
  /** Where packets go: the group, or the broadcast address. */
  readonly to: string
  readonly broadcast: boolean
  readonly interface: string | undefined
  readonly ttl: number
  readonly intervalMs: number
  readonly windowMs: number
  readonly insecure: boolean
}

const optionNames = [...Object.keys(defaults), 'broadcast', 'interface']

function settingsOf(options: GossipOptions): Settings {
  if (typeof options !== 'object' || options === null) throw new TypeError('gossip takes an object of options')
  for (const key of Object.keys(options)) {
    if (!optionNames.includes(key)) throw new TypeError(`gossip takes no '${key}', but ${optionNames.join(', ')}`)
  }
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as GossipOptions
  const { port, group, ttl, intervalMs, windowMs, insecure } = { ...defaults, ...given }
  const { broadcast, interface: via } = given
  checkNumber('port', port, 1, 65_535)
  checkNumber('ttl', ttl, 0, 255)
  checkNumber('intervalMs', intervalMs, 100, 24 * 3_600_000)
  checkNumber('windowMs', windowMs, 100, 24 * 3_600_000)
  if (typeof insecure !== 'boolean') throw new TypeError(`insecure must be true or false, not '${insecure}'`)
  if (broadcast === undefined) checkGroup(group)
  else checkBroadcast(broadcast, given)
  const type = broadcast === undefined && isIP(group) === 6 ? 'udp6' : 'udp4'
  checkInterface(via, type)
  const to = broadcast ?? group
  return { type, port, to, broadcast: broadcast !== undefined, interface: via, ttl, intervalMs, windowMs, insecure }
}

function checkNumber(name: string, value: unknown, least: number, most: number): void {
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) return
  throw new TypeError(`${name} must be a whole number from ${least} to ${most}, not '${value}'`)
}

function checkGroup(group: unknown): void {
  const text = typeof group === 'string' ? group : ''
  if (text.includes('%')) throw new TypeError(`group: write '${text}' without %, and the interface as interface`)
  if (isMulticast(text)) return
  throw new TypeError(`group must be a multicast address (224.0.0.0 to 239.255.255.255, or ff...), not '${group}'`)
}

function checkBroadcast(broadcast: unknown, given: GossipOptions): void {
  if (typeof broadcast !== 'string' || !isIPv4(broadcast) || isMulticast(broadcast)) {
    throw new TypeError(`broadcast must be an IPv4 address such as 10.0.0.255, not '${broadcast}'; IPv6 has none`)
  }
  for (const key of ['group', 'interface', 'ttl'] as const) {
    if (given[key] !== undefined) throw new TypeError(`${key} is for multicast: leave it out, or broadcast`)
  }
}

function checkInterface(via: unknown, type: 'udp4' | 'udp6'): void {
  if (via === undefined) return
  if (typeof via !== 'string' || via === '') throw new TypeError('interface must be its name, or one of its addresses')
  const version = isIP(via)
  if (version !== 0 && version !== (type === 'udp4' ? 4 : 6)) {
    throw new TypeError(`interface '${via}' and the group are not of the same version of IP`)
  }
}

function isMulticast(address: string): boolean {
  if (isIP(address) === 6) return /^ff/i.test(address)
  const first = Number(address.split('.')[0])
  return isIPv4(address) && first >= 224 && first <= 239
}
