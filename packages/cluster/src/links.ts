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
 *
 * **Relayed and direct.** A dial through a neighbour (`relays.ts`) follows the same rules among its kind. It gives way to
 * a direct link, never the other way round: where a direct link comes up beside a relayed one it takes over
 * (`handover.ts`). Where the two come up at the same moment, in one order here and in the other there, both may end:
 * whoever dialled dials again.
 */
import type { Address } from './address.js'
import type { Chance } from './chance.js'
import type { DialOutcome } from './core/contract.js'
import type { BootId, MemberInfo, Phase } from './core/member.js'
import { Handover } from './handover.js'
import { Handshake, type Hello, protocol, type Refusal, type Role, type Step } from './handshake.js'
import type { LinkLimits } from './limits.js'
import { Link, type LinkEvents } from './link.js'
import { RelayedConnection, Relays, relayCapability } from './relays.js'
import type { Timers } from './time.js'
import type { Connection, Transport } from './transport.js'
import { linkKinds, togetherCapability } from './wire.js'

export interface LinksEvents {
  /**
   * A handshake ended well. A later `up` of the same boot replaces the link; there is no `down` between. `continues`:
   * it is a direct link that takes over from a relayed one, without losing a frame.
   */
  up(peer: Hello, link: Link, role: Role, continues: boolean): void
  down(boot: BootId, byPeer: boolean, reason: string): void
  /** A message has come; `read` gives its frames. */
  message(read: () => void): void
  /** `open` is false for what was under way when this side closed the link. */
  frame(boot: BootId, frame: readonly unknown[], open: boolean): void
  drained(boot: BootId): void
  dialled(address: string, outcome: DialOutcome, boot: BootId | undefined): void
  /** What came of `dialThrough`; where it is linked, `up` came before. */
  dialledThrough(boot: BootId, via: BootId, linked: boolean): void
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
  /** The connection, where it goes through a neighbour. */
  readonly relayed: RelayedConnection | undefined
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
  readonly #relays: Relays
  /** Boots being dialled through a neighbour. */
  readonly #through: Map<BootId, RelayedConnection> = new Map()
  /** Direct links that take over from relayed ones. */
  readonly #handovers: Map<BootId, Handover> = new Map()
  /** Direct links to peers that know relayed ones. */
  readonly #carriers: WeakSet<Link> = new WeakSet()
  #closed = false

  constructor(options: LinksOptions) {
    this.#options = options
    this.#events = options.events
    this.#time = options.world.time
    this.#transport = options.world.transport
    this.#relays = new Relays({
      chance: options.world.chance,
      time: options.world.time,
      self: () => options.self().info.boot,
      carrier: (boot) => this.#carrier(boot),
      met: (connection) => this.#meetStranger(connection),
      dropped: (from, reason) => this.#events.dropped(from, reason),
    })
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

  /** Dials `boot` through a neighbour; the outcome comes as the event `dialledThrough`. */
  dialThrough(boot: BootId, via: BootId): void {
    if (this.#closed || this.#through.has(boot)) return
    const connection = this.#relays.dial(boot, via)
    this.#through.set(boot, connection)
    connection.events = {
      open: () => this.#meet('dialler', connection, connection),
      closed: () => this.#settleThrough(connection, false),
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
    const links = this.#letGo()
    for (const link of links) void link.close(reason)
    this.#relays.reset()
  }

  /** All links, of which none is one any more. */
  #letGo(): Link[] {
    const links = [...this.#links.values()]
    this.#links.clear()
    this.#through.clear()
    for (const { old } of this.#handovers.values()) links.push(old)
    this.#handovers.clear()
    return links
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
    const closing = this.#letGo().map((link) => link.close(reason))
    this.#relays.reset()
    for (const [connection, cancel] of this.#strangers) {
      cancel()
      connection.terminate()
    }
    await Promise.all([...closing, this.#transport.close()])
  }

  // Strangers: connections that have proved nothing. Their number, their time and what they may send are bounded.

  #meetStranger(connection: Connection): void {
    const relayed = connection instanceof RelayedConnection ? connection : undefined
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
      open: () => this.#meet('acceptor', connection, relayed),
      closed: () => this.#forgetStranger(connection),
    }
  }

  #forgetStranger(connection: Connection): void {
    this.#strangers.get(connection)?.()
    this.#strangers.delete(connection)
  }

  // Handshakes.

  #meet(role: Role, connection: Connection, relayed?: RelayedConnection): void {
    if (this.#closed) return connection.terminate()
    const { world, cluster, secrets, limits } = this.#options
    const hello: Hello = {
      ...protocol,
      cluster,
      ...this.#options.self(),
      capabilities: [relayCapability, togetherCapability],
      nonce: world.chance.bytes(32),
    }
    const handshake = new Handshake(role, hello, {
      secrets,
      admit: (peer) => this.#admit(peer, relayed),
      rival: (peer) => this.#rival(peer.info.boot, meeting),
    })
    const late = (): void => connection.terminate()
    const cancel = role === 'dialler' ? this.#time.setTimer(late, limits.handshakeTimeoutMs) : () => {}
    const meeting: Meeting = { role, handshake, connection, cancel, relayed }
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

  /** Whom the relayer names must be who proves itself. */
  #admit(peer: Hello, relayed: RelayedConnection | undefined): Refusal | undefined {
    if (relayed === undefined || peer.info.boot === relayed.peer) return this.#options.admit(peer)
    return { code: 'malformed', text: 'it is another node than it was relayed as' }
  }

  /** What other connections mean for the next step of this one: see the head of this file. */
  #rival(boot: BootId, own: Meeting): 'none' | 'wait' | 'duplicate' {
    if (own.role === 'dialler') return this.#hasOther(boot, own) ? 'duplicate' : 'none'
    return this.#options.self().info.boot < boot && this.#isDialling(boot, own) ? 'wait' : 'none'
  }

  #hasOther(boot: BootId, own: Meeting): boolean {
    if (this.#outranks(this.#links.get(boot), own)) return true
    for (const { handshake, role, relayed } of this.#meetings) {
      if (handshake === own.handshake || handshake.peer?.info.boot !== boot) continue
      const isOfKind = (relayed === undefined) === (own.relayed === undefined)
      if (isOfKind && role === 'dialler') return true
      if (handshake.state === 'committed' && (isOfKind || relayed === undefined)) return true
    }
    return false
  }

  /** Is there no use for what is met here beside this link? A relayed link keeps no direct one away. */
  #outranks(link: Link | undefined, { relayed }: Meeting): boolean {
    return link !== undefined && (link.via === undefined || relayed !== undefined)
  }

  #isDialling(boot: BootId, own: Meeting): boolean {
    for (const { handshake, role, relayed } of this.#meetings) {
      if ((relayed === undefined) !== (own.relayed === undefined)) continue
      if (role === 'dialler' && handshake.peer?.info.boot === boot) return true
    }
    return false
  }

  #linkUp(meeting: Meeting): void {
    const { connection, handshake, relayed } = meeting
    const peer = handshake.peer as Hello
    const { boot } = peer.info
    const old = this.#links.get(boot)
    this.#endMeeting(meeting)
    const link = new Link(boot, connection, this.#time, this.#options.limits, this.#linkEvents, {
      via: relayed?.via,
      joins: peer.capabilities.includes(togetherCapability),
    })
    if (relayed === undefined && peer.capabilities.includes(relayCapability)) this.#carriers.add(link)
    this.#links.set(boot, link)
    const continues = old !== undefined && this.#replace(old, link)
    this.#events.up(peer, link, meeting.role, continues)
    if (relayed) this.#settleThrough(relayed, true)
    else if (meeting.role === 'dialler') this.#settleDial(connection.remote, connection, 'linked', boot)
    this.#settleRivals(boot)
  }

  /** True where the new link goes on with all that was sent on the old one. */
  #replace(old: Link, link: Link): boolean {
    const { boot } = link
    this.#handovers.get(boot)?.fail('replaced by a newer link')
    if (old.via !== undefined && link.via === undefined) return this.#takeOver(old, link)
    void old.close('replaced by a newer link')
    if (old.via === undefined) this.#relays.lost(boot)
    return false
  }

  #takeOver(old: Link, link: Link): boolean {
    const { boot } = link
    const handover = new Handover(old, link, this.#time, (failure) => {
      if (this.#handovers.get(boot) === handover) this.#handovers.delete(boot)
      void old.close(failure ?? 'the direct link has taken over')
      if (failure !== undefined && this.#links.get(boot) === link) this.close(boot, failure)
    })
    this.#handovers.set(boot, handover)
    handover.begin()
    return true
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
    if (meeting.relayed) this.#settleThrough(meeting.relayed, this.#links.has(boot))
    else if (meeting.role === 'dialler') {
      const waiting = this.#yielded.get(boot) ?? new Set()
      this.#yielded.set(boot, waiting.add(meeting.connection.remote))
    }
    this.#settleRivals(boot)
  }

  #leaveMeeting(meeting: Meeting, outcome: DialOutcome): void {
    if (!this.#meetings.has(meeting)) return
    this.#endMeeting(meeting)
    const boot = meeting.handshake.peer?.info.boot
    if (meeting.relayed) this.#settleThrough(meeting.relayed, false)
    else if (meeting.role === 'dialler') this.#settleDial(meeting.connection.remote, meeting.connection, outcome, boot)
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
      if (this.#isDialling(boot, meeting)) continue
      this.#follow(meeting, meeting.handshake.resume(this.#outranks(this.#links.get(boot), meeting)))
    }
    const waiting = this.#yielded.get(boot)
    const isUp = this.#isDirect(boot)
    if (!waiting || (!isUp && this.#isMeeting(boot))) return
    this.#yielded.delete(boot)
    for (const address of waiting) this.#settleDial(address, undefined, isUp ? 'linked' : 'failed', boot)
  }

  #isMeeting(boot: BootId): boolean {
    for (const { handshake, relayed } of this.#meetings) {
      if (relayed === undefined && handshake.peer?.info.boot === boot) return true
    }
    return false
  }

  /** Reports a dial's outcome once; `by` guards against a late event of an earlier dial to the same address. */
  #settleDial(address: string, by: Connection | undefined, outcome: DialOutcome, boot: BootId | undefined): void {
    const current = this.#dials.get(address)
    if (this.#closed || !current || (by && by !== current)) return
    this.#dials.delete(address)
    this.#events.dialled(address, outcome, boot)
  }

  #settleThrough(connection: RelayedConnection, linked: boolean): void {
    const { peer, via } = connection
    if (this.#closed || this.#through.get(peer) !== connection) return
    this.#through.delete(peer)
    this.#events.dialledThrough(peer, via, linked)
  }

  // Links.

  #isDirect(boot: BootId): boolean {
    const link = this.#links.get(boot)
    return link !== undefined && link.via === undefined
  }

  #carrier(boot: BootId): Link | undefined {
    const link = this.#links.get(boot)
    return link && this.#carriers.has(link) ? link : undefined
  }

  readonly #linkEvents: LinkEvents = {
    message: (read: () => void): void => this.#events.message(read),
    frame: (link: Link, frame: readonly unknown[]): void => this.#frame(link, frame),
    dropped: (link: Link, reason: string): void => this.#events.dropped(link.boot, reason),
    drained: (link: Link): void => this.#events.drained(link.boot),
    last: (link: Link): void => this.#handoverOf(link)?.settle(),
    lastRead: (link: Link): void => this.#handoverOf(link)?.lastRead(),
    closed: (link: Link, byPeer: boolean, reason: string): void => {
      this.#handoverOf(link)?.fail('the relayed link broke before the direct one had taken over')
      this.#drop(link, byPeer, reason)
    },
  }

  /** Where this is the relayed link of one. */
  #handoverOf(link: Link): Handover | undefined {
    const handover = this.#handovers.get(link.boot)
    return handover?.old === link ? handover : undefined
  }

  #frame(link: Link, frame: readonly unknown[]): void {
    if (this.#closed) return
    const handover = this.#handovers.get(link.boot)
    // The far end has nothing of a handover: for it the relayed link broke, and what it says now would overtake the rest.
    if (handover?.next === link && !handover.old.peerIsDone) return handover.fail('the far end lost the relayed link')
    const isOpen = this.#links.get(link.boot) === link || handover?.old === link
    if (frame[0] !== linkKinds.relay) this.#events.frame(link.boot, frame, isOpen)
    else if (isOpen) this.#relays.receive(link, frame)
  }

  #drop(link: Link, byPeer: boolean, reason: string): void {
    if (this.#closed || this.#links.get(link.boot) !== link) return
    this.#links.delete(link.boot)
    const handover = this.#handovers.get(link.boot)
    this.#handovers.delete(link.boot)
    handover?.fail(reason)
    this.#events.down(link.boot, byPeer, reason)
    if (link.via === undefined) this.#relays.lost(link.boot)
  }
}

/** Who was refused, for the logs and the once-a-minute rule: its own words where it said any, since ports change. */
function peerText(meeting: Meeting): string {
  const info = meeting.handshake.peer?.info
  if (info) return `'${info.name}' at ${info.address}`
  const { remote, remoteHost } = meeting.connection
  return meeting.role === 'dialler' ? remote : remoteHost
}
