/**
 * All links of one node: the listener, the dials, the handshakes under way, and at most one link per peer.
 *
 * **Two dials at once.** Each side may dial the other at the same time, and exactly one connection must remain. Every
 * step that cannot be taken back is taken by one side alone, knowing its own connections: an acceptor commits with its
 * proof, a dialler ends with UP. So:
 * - a dialler that has another connection to the same peer (up, committed, or an older dial) gives its own up;
 * - an acceptor with the smaller boot id, whose own dial to that peer is under way, holds its answer until that dial
 *   has an outcome: the link dialled by the smaller boot id survives;
 * - any other acceptor answers, also when it believes to have a link: the dialler says UP only if it has none, so the
 *   old one is dead over there, and the new one replaces it.
 */
import type { Address } from './address.js'
import type { Chance } from './chance.js'
import type { DialOutcome } from './core/contract.js'
import type { BootId, MemberInfo, Phase } from './core/member.js'
import { Handshake, type Hello, protocol, type Refusal, type Role, type Step } from './handshake.js'
import type { LinkLimits } from './limits.js'
import { Link } from './link.js'
import type { Timers } from './time.js'
import type { Connection, Transport } from './transport.js'

export interface LinksEvents {
  /** A handshake ended well. A later `up` of the same boot replaces the link; there is no `down` between. */
  up(peer: Hello, link: Link, role: Role): void
  down(boot: BootId, byPeer: boolean, reason: string): void
  /** `open` is false for what was under way when this side closed the link. */
  frame(boot: BootId, frame: readonly unknown[], open: boolean): void
  drained(boot: BootId): void
  dialled(address: string, outcome: DialOutcome, boot: BootId | undefined): void
  /** Something from outside was dropped or refused: for the counters. */
  dropped(from: string, reason: string): void
  /** One of the two sides refused the other. */
  refused(peer: string, by: 'us' | 'peer', refusal: Refusal): void
}

/** What links need of what is outside the process. */
export interface LinksWorld {
  readonly time: Timers
  readonly chance: Chance
  readonly transport: Transport
}

export interface LinksOptions {
  readonly world: LinksWorld
  readonly cluster: string
  readonly secrets: readonly string[]
  readonly limits: LinkLimits
  /** What this node says of itself now. */
  self(): { readonly info: MemberInfo; readonly phase: Phase; readonly incarnation: number }
  /** May this peer, which has proved the secret, link to us? */
  admit(peer: Hello): Refusal | undefined
  readonly events: LinksEvents
}

/** A connection whose handshake is under way. */
interface Meeting {
  readonly role: Role
  readonly handshake: Handshake
  readonly connection: Connection
  /** Ends a dialler's patience; an acceptor's runs from the connection on, see `#meetStranger`. */
  readonly cancel: () => void
}

export class Links {
  readonly #options: LinksOptions
  readonly #events: LinksEvents
  readonly #time: Timers
  readonly #transport: Transport
  /** Accepted connections that have not finished a handshake, and what ends our patience with each. */
  readonly #strangers: Map<Connection, () => void> = new Map()
  readonly #meetings: Set<Meeting> = new Set()
  readonly #links: Map<BootId, Link> = new Map()
  /** Addresses being dialled. */
  readonly #dials: Map<string, Connection> = new Map()
  /** Dials given up for another connection to the same peer: their outcome is that one's. */
  readonly #yielded: Map<BootId, Set<string>> = new Map()
  #closed = false

  constructor(options: LinksOptions) {
    this.#options = options
    this.#events = options.events
    this.#time = options.world.time
    this.#transport = options.world.transport
  }

  /**
   * Listens; resolves with the port. `bound` is called with it before any peer can be met. Rejects with
   * ERR_ADDRESS_IN_USE or ERR_LISTEN.
   */
  listen(address: Address, bound: (port: number) => void): Promise<number> {
    return this.#transport.listen(address, {
      bound,
      met: (connection) => this.#meetStranger(connection),
      dropped: (from, reason) => this.#events.dropped(from, reason),
    })
  }

  get(boot: BootId): Link | undefined {
    return this.#links.get(boot)
  }

  all(): IterableIterator<Link> {
    return this.#links.values()
  }

  /** Dials; the outcome comes as the event `dialled`. An address that is being dialled already is not dialled twice. */
  dial(address: string): void {
    if (this.#closed || this.#dials.has(address)) return
    const connection = this.#transport.dial(address)
    if (!connection) {
      // Not in this turn: the machine that asked for it is in its step.
      this.#time.defer(() => this.#events.dialled(address, 'failed', undefined))
      return
    }
    this.#dials.set(address, connection)
    const cancel = this.#time.setTimer(() => connection.terminate(), this.#options.limits.dialTimeoutMs)
    connection.events = {
      open: () => {
        cancel()
        // From here on the handshake decides the outcome, perhaps after this connection has closed.
        this.#meet('dialler', connection)
      },
      closed: ({ refused }) => {
        cancel()
        this.#settleDial(address, connection, refused ? 'refused' : 'failed', undefined)
      },
    }
  }

  /** Ends the link to this peer; `down` follows in the same turn. */
  close(boot: BootId, reason: string): void {
    const link = this.#links.get(boot)
    if (!link) return
    void link.close(reason)
    this.#drop(link, false, reason)
  }

  /**
   * Lets go of all connections without a word to the owner, whose links are none of the next boot's: what is met from
   * now on is met as that one.
   */
  reset(reason: string): void {
    for (const connection of this.#dials.values()) connection.terminate()
    this.#dials.clear()
    this.#yielded.clear()
    for (const meeting of [...this.#meetings]) {
      this.#endMeeting(meeting)
      meeting.connection.terminate()
    }
    const links = [...this.#links.values()]
    this.#links.clear()
    for (const link of links) void link.close(reason)
  }

  /** Ends everything; resolves when all connections are closed, which is bounded. No events after this. */
  async stop(reason: string): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const connection of this.#dials.values()) connection.terminate()
    for (const meeting of [...this.#meetings]) {
      meeting.cancel()
      meeting.connection.terminate()
    }
    const closing = [...this.#links.values()].map((link) => link.close(reason))
    this.#links.clear()
    for (const [connection, cancel] of this.#strangers) {
      cancel()
      connection.terminate()
    }
    await Promise.all([...closing, this.#transport.close()])
  }

  // Strangers: connections that have proved nothing. Their number, their time and what they may send are bounded.

  #meetStranger(connection: Connection): void {
    const { maxStrangers, handshakeTimeoutMs } = this.#options.limits
    if (this.#strangers.size >= maxStrangers) {
      this.#events.dropped(connection.remote, 'too many strangers')
      connection.terminate()
      return
    }
    const late = (): void => {
      this.#events.dropped(connection.remote, 'an unfinished handshake')
      connection.terminate()
    }
    this.#strangers.set(connection, this.#time.setTimer(late, handshakeTimeoutMs))
    connection.events = {
      open: () => this.#meet('acceptor', connection),
      closed: () => this.#forgetStranger(connection),
    }
  }

  #forgetStranger(connection: Connection): void {
    this.#strangers.get(connection)?.()
    this.#strangers.delete(connection)
  }

  // Handshakes.

  #meet(role: Role, connection: Connection): void {
    if (this.#closed) return connection.terminate()
    const { world, cluster, secrets, limits } = this.#options
    const hello: Hello = {
      ...protocol,
      cluster,
      ...this.#options.self(),
      capabilities: [],
      nonce: world.chance.bytes(32),
    }
    const handshake = new Handshake(role, hello, {
      secrets,
      admit: (peer) => this.#options.admit(peer),
      rival: (peer) => this.#rival(peer.info.boot, meeting),
    })
    const late = (): void => connection.terminate()
    const cancel = role === 'dialler' ? this.#time.setTimer(late, limits.handshakeTimeoutMs) : () => {}
    const meeting: Meeting = { role, handshake, connection, cancel }
    this.#meetings.add(meeting)
    connection.events = {
      message: (data) => {
        if (this.#meetings.has(meeting)) this.#follow(meeting, handshake.receive(data))
      },
      broken: () => connection.terminate(),
      closed: () => this.#leaveMeeting(meeting, 'failed'),
    }
    connection.send(handshake.opening)
  }

  #follow(meeting: Meeting, step: Step): void {
    if (step.send) meeting.connection.send(step.send)
    if (!step.end) return
    if (step.end.type === 'up') this.#linkUp(meeting)
    else this.#refused(meeting, step.end.by, step.end.refusal)
  }

  /** What other connections mean for the next step of this one: see the head of this file. */
  #rival(boot: BootId, own: Meeting): 'none' | 'wait' | 'duplicate' {
    if (own.role === 'dialler') return this.#hasOther(boot, own) ? 'duplicate' : 'none'
    return this.#options.self().info.boot < boot && this.#isDialling(boot) ? 'wait' : 'none'
  }

  #hasOther(boot: BootId, own: Meeting): boolean {
    if (this.#links.has(boot)) return true
    for (const { handshake, role } of this.#meetings) {
      if (handshake === own.handshake || handshake.peer?.info.boot !== boot) continue
      if (role === 'dialler' || handshake.state === 'committed') return true
    }
    return false
  }

  #isDialling(boot: BootId): boolean {
    for (const { handshake, role } of this.#meetings) {
      if (role === 'dialler' && handshake.peer?.info.boot === boot) return true
    }
    return false
  }

  #linkUp(meeting: Meeting): void {
    const { connection, handshake } = meeting
    const peer = handshake.peer as Hello
    const { boot } = peer.info
    this.#endMeeting(meeting)
    const old = this.#links.get(boot)
    const link = new Link(boot, connection, this.#time, this.#options.limits, this.#linkEvents)
    this.#links.set(boot, link)
    void old?.close('replaced by a newer link')
    this.#events.up(peer, link, meeting.role)
    if (meeting.role === 'dialler') this.#settleDial(connection.remote, connection, 'linked', boot)
    this.#settleRivals(boot)
  }

  #refused(meeting: Meeting, by: 'us' | 'peer', refusal: Refusal): void {
    const boot = meeting.handshake.peer?.info.boot
    if (by === 'us' && refusal.code === 'malformed') this.#events.dropped(meeting.connection.remote, 'a bad handshake')
    if (refusal.code !== 'duplicate' && refusal.code !== 'self') {
      this.#events.refused(peerText(meeting), by, refusal)
    }
    void meeting.connection.close(refusal.code)
    if (refusal.code === 'self') this.#leaveMeeting(meeting, 'self')
    else if (refusal.code === 'duplicate' && boot !== undefined) this.#yieldDial(meeting, boot)
    else this.#leaveMeeting(meeting, refusal.code === 'name' ? 'taken' : 'rejected')
  }

  /** A dial given up for another connection to the same peer shares that one's outcome. */
  #yieldDial(meeting: Meeting, boot: BootId): void {
    this.#endMeeting(meeting)
    if (meeting.role === 'dialler') {
      const waiting = this.#yielded.get(boot) ?? new Set()
      this.#yielded.set(boot, waiting.add(meeting.connection.remote))
    }
    this.#settleRivals(boot)
  }

  #leaveMeeting(meeting: Meeting, outcome: DialOutcome): void {
    if (!this.#meetings.has(meeting)) return
    this.#endMeeting(meeting)
    const boot = meeting.handshake.peer?.info.boot
    if (meeting.role === 'dialler') this.#settleDial(meeting.connection.remote, meeting.connection, outcome, boot)
    if (boot !== undefined) this.#settleRivals(boot)
  }

  #endMeeting(meeting: Meeting): void {
    meeting.cancel()
    this.#meetings.delete(meeting)
    this.#forgetStranger(meeting.connection)
  }

  /** A connection to this peer has an outcome: those that waited for it go on, or share it. */
  #settleRivals(boot: BootId): void {
    for (const meeting of [...this.#meetings]) {
      if (meeting.handshake.peer?.info.boot !== boot || meeting.handshake.state !== 'held') continue
      if (!this.#isDialling(boot)) this.#follow(meeting, meeting.handshake.resume(this.#links.has(boot)))
    }
    const waiting = this.#yielded.get(boot)
    const isUp = this.#links.has(boot)
    if (!waiting || (!isUp && this.#isMeeting(boot))) return
    this.#yielded.delete(boot)
    for (const address of waiting) this.#settleDial(address, undefined, isUp ? 'linked' : 'failed', boot)
  }

  #isMeeting(boot: BootId): boolean {
    for (const { handshake } of this.#meetings) if (handshake.peer?.info.boot === boot) return true
    return false
  }

  /** Reports a dial's outcome once; `by` guards against a late event of an earlier dial to the same address. */
  #settleDial(address: string, by: Connection | undefined, outcome: DialOutcome, boot: BootId | undefined): void {
    const current = this.#dials.get(address)
    if (this.#closed || !current || (by && by !== current)) return
    this.#dials.delete(address)
    this.#events.dialled(address, outcome, boot)
  }

  // Links.

  readonly #linkEvents = {
    frame: (link: Link, frame: readonly unknown[]): void => this.#frame(link, frame),
    dropped: (link: Link, reason: string): void => this.#events.dropped(link.boot, reason),
    drained: (link: Link): void => this.#events.drained(link.boot),
    closed: (link: Link, byPeer: boolean, reason: string): void => this.#drop(link, byPeer, reason),
  }

  #frame(link: Link, frame: readonly unknown[]): void {
    if (!this.#closed) this.#events.frame(link.boot, frame, this.#links.get(link.boot) === link)
  }

  #drop(link: Link, byPeer: boolean, reason: string): void {
    if (this.#closed || this.#links.get(link.boot) !== link) return
    this.#links.delete(link.boot)
    this.#events.down(link.boot, byPeer, reason)
  }
}

/** Who was refused, for the logs and the once-a-minute rule: its own words where it said any, since ports change. */
function peerText(meeting: Meeting): string {
  const info = meeting.handshake.peer?.info
  if (info) return `'${info.name}' at ${info.address}`
  const { remote, remoteHost } = meeting.connection
  return meeting.role === 'dialler' ? remote : remoteHost
}
