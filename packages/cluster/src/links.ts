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
import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type RawData, WebSocket, WebSocketServer } from 'ws'
import { type Address, formatAddress } from './address.js'
import type { DialOutcome } from './core/contract.js'
import type { BootId, MemberInfo, Phase } from './core/member.js'
import { SkepError } from './errors.js'
import { Handshake, type Hello, protocol, type Refusal, type Role, type Step } from './handshake.js'
import type { LinkLimits } from './limits.js'
import { closeSocket, Link } from './link.js'
import { maxWireBytes } from './wire.js'

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

export interface LinksOptions {
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
  readonly ws: WebSocket
  readonly socket: Socket
  /** What was dialled, or where it came from: for people. */
  readonly remote: string
  /** A dialler's patience; an acceptor's runs from the connection on, see `#meetStranger`. */
  readonly timer: NodeJS.Timeout | undefined
}

/** What strangers may ask for over plain HTTP: nothing. */
const plainAnswer = 'This is a node of a Skep cluster; it speaks WebSocket to its peers only.\n'

export class Links {
  readonly #options: LinksOptions
  readonly #events: LinksEvents
  readonly #server: Server
  readonly #upgrades: WebSocketServer
  /** Accepted sockets that have not finished a handshake. */
  readonly #strangers: Map<Duplex, NodeJS.Timeout> = new Map()
  readonly #meetings: Set<Meeting> = new Set()
  readonly #links: Map<BootId, Link> = new Map()
  /** Addresses being dialled. */
  readonly #dials: Map<string, WebSocket> = new Map()
  /** Dials given up for another connection to the same peer: their outcome is that one's. */
  readonly #yielded: Map<BootId, Set<string>> = new Map()
  #closed = false

  constructor(options: LinksOptions) {
    this.#options = options
    this.#events = options.events
    this.#upgrades = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: maxWireBytes,
      skipUTF8Validation: true,
    })
    this.#server = createServer({ maxHeaderSize: 8192 }, (_request, response) => {
      response.writeHead(426, { 'content-type': 'text/plain', connection: 'close', upgrade: 'websocket' })
      response.end(plainAnswer)
    })
    this.#server.on('connection', (socket) => this.#meetStranger(socket))
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
    this.#server.on('clientError', (_error, socket) => socket.destroy())
  }

  /**
   * Listens; resolves with the port. `bound` is called with it before any peer can be met. Rejects with
   * ERR_ADDRESS_IN_USE or ERR_LISTEN.
   */
  listen(address: Address, bound: (port: number) => void): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, address)))
      this.#server.listen(address.port, address.host, () => {
        this.#server.removeAllListeners('error')
        this.#server.on('error', (error) => this.#events.dropped('listener', error.message))
        const { port } = this.#server.address() as AddressInfo
        bound(port)
        resolve(port)
      })
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
    const { dialTimeoutMs } = this.#options.limits
    if (!URL.canParse(`ws://${address}/`)) {
      // Not in this turn: the machine that asked for it is in its step.
      setImmediate(() => this.#events.dialled(address, 'failed', undefined))
      return
    }
    const ws = new WebSocket(`ws://${address}/`, {
      perMessageDeflate: false,
      maxPayload: maxWireBytes,
      skipUTF8Validation: true,
      followRedirects: false,
      // The peer proves the secret, and no browser or proxy is between: masking would only cost time.
      generateMask: zeroMask,
    })
    this.#dials.set(address, ws)
    const timer = setTimeout(() => ws.terminate(), dialTimeoutMs)
    let socket: Socket | undefined
    let failure: Error | undefined
    ws.once('upgrade', (response) => {
      socket = response.socket
    })
    ws.on('error', (error) => {
      failure = error
    })
    ws.once('open', () => {
      clearTimeout(timer)
      // From here on the handshake decides the outcome, perhaps after this connection has closed.
      ws.removeAllListeners()
      if (socket) this.#meet('dialler', ws, socket, address)
    })
    ws.once('close', () => {
      clearTimeout(timer)
      this.#settleDial(address, ws, isRefusal(failure) ? 'refused' : 'failed', undefined)
    })
  }

  /** Ends the link to this peer; `down` follows in the same turn. */
  close(boot: BootId, reason: string): void {
    const link = this.#links.get(boot)
    if (!link) return
    void link.close(reason)
    this.#drop(link, false, reason)
  }

  /** Ends everything; resolves when all sockets are closed (bounded by the close timeout). No events after this. */
  async stop(reason: string): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const ws of this.#dials.values()) ws.terminate()
    for (const meeting of [...this.#meetings]) {
      clearTimeout(meeting.timer)
      meeting.ws.terminate()
    }
    const closing = [...this.#links.values()].map((link) => link.close(reason))
    this.#links.clear()
    for (const [socket, timer] of this.#strangers) {
      clearTimeout(timer)
      socket.destroy()
    }
    const unlistened = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    await Promise.all([...closing, unlistened])
  }

  // Strangers: sockets that have proved nothing. Their number, their time and what they may send are bounded.

  #meetStranger(socket: Socket): void {
    socket.setNoDelay(true)
    if (this.#strangers.size >= this.#options.limits.maxStrangers) {
      this.#events.dropped(remoteOf(socket), 'too many strangers')
      socket.destroy()
      return
    }
    const timer = setTimeout(() => {
      this.#events.dropped(remoteOf(socket), 'an unfinished handshake')
      socket.destroy()
    }, this.#options.limits.handshakeTimeoutMs)
    this.#strangers.set(socket, timer)
    socket.once('close', () => this.#forgetStranger(socket))
  }

  #forgetStranger(socket: Duplex): void {
    clearTimeout(this.#strangers.get(socket))
    this.#strangers.delete(socket)
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy())
    // Peers send no Origin; browsers always do, and a page from anywhere may reach a node on the user's own machine.
    if (request.headers.origin !== undefined) {
      this.#events.dropped(remoteOf(request.socket), 'a browser')
      socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
      return
    }
    this.#upgrades.handleUpgrade(request, socket, head, (ws) => {
      this.#meet('acceptor', ws, request.socket, remoteOf(request.socket))
    })
  }

  // Handshakes.

  #meet(role: Role, ws: WebSocket, socket: Socket, remote: string): void {
    if (this.#closed) return ws.terminate()
    socket.setNoDelay(true)
    const hello: Hello = {
      ...protocol,
      cluster: this.#options.cluster,
      ...this.#options.self(),
      capabilities: [],
      nonce: randomBytes(32),
    }
    const handshake = new Handshake(role, hello, {
      secrets: this.#options.secrets,
      admit: (peer) => this.#options.admit(peer),
      rival: (peer) => this.#rival(peer.info.boot, meeting),
    })
    const { handshakeTimeoutMs } = this.#options.limits
    const timer = role === 'dialler' ? setTimeout(() => ws.terminate(), handshakeTimeoutMs) : undefined
    const meeting: Meeting = { role, handshake, ws, socket, remote, timer }
    this.#meetings.add(meeting)
    ws.on('message', (data: RawData) => {
      if (this.#meetings.has(meeting)) this.#follow(meeting, handshake.receive(data as Buffer))
    })
    ws.on('error', () => ws.terminate())
    ws.once('close', () => this.#leaveMeeting(meeting, 'failed'))
    ws.send(handshake.opening)
  }

  #follow(meeting: Meeting, step: Step): void {
    if (step.send) meeting.ws.send(step.send)
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
    const { ws, socket, handshake } = meeting
    const peer = handshake.peer as Hello
    const { boot } = peer.info
    this.#endMeeting(meeting)
    ws.removeAllListeners()
    const old = this.#links.get(boot)
    const link = new Link(boot, ws, socket, this.#options.limits, this.#linkEvents)
    this.#links.set(boot, link)
    void old?.close('replaced by a newer link')
    this.#events.up(peer, link, meeting.role)
    if (meeting.role === 'dialler') this.#settleDial(meeting.remote, ws, 'linked', boot)
    this.#settleRivals(boot)
  }

  #refused(meeting: Meeting, by: 'us' | 'peer', refusal: Refusal): void {
    const boot = meeting.handshake.peer?.info.boot
    if (by === 'us' && refusal.code === 'malformed') this.#events.dropped(meeting.remote, 'a bad handshake')
    if (refusal.code !== 'duplicate' && refusal.code !== 'self') {
      this.#events.refused(peerText(meeting), by, refusal)
    }
    void closeSocket(meeting.ws, refusal.code)
    if (refusal.code === 'self') this.#leaveMeeting(meeting, 'self')
    else if (refusal.code === 'duplicate' && boot !== undefined) this.#yieldDial(meeting, boot)
    else this.#leaveMeeting(meeting, refusal.code === 'name' ? 'taken' : 'rejected')
  }

  /** A dial given up for another connection to the same peer shares that one's outcome. */
  #yieldDial(meeting: Meeting, boot: BootId): void {
    this.#endMeeting(meeting)
    if (meeting.role === 'dialler') {
      const waiting = this.#yielded.get(boot) ?? new Set()
      this.#yielded.set(boot, waiting.add(meeting.remote))
    }
    this.#settleRivals(boot)
  }

  #leaveMeeting(meeting: Meeting, outcome: DialOutcome): void {
    if (!this.#meetings.has(meeting)) return
    this.#endMeeting(meeting)
    const boot = meeting.handshake.peer?.info.boot
    if (meeting.role === 'dialler') this.#settleDial(meeting.remote, meeting.ws, outcome, boot)
    if (boot !== undefined) this.#settleRivals(boot)
  }

  #endMeeting(meeting: Meeting): void {
    clearTimeout(meeting.timer)
    this.#meetings.delete(meeting)
    this.#forgetStranger(meeting.socket)
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

  /** Reports a dial's outcome once; `ws` guards against a late event of an earlier dial to the same address. */
  #settleDial(address: string, ws: WebSocket | undefined, outcome: DialOutcome, boot: BootId | undefined): void {
    const current = this.#dials.get(address)
    if (this.#closed || !current || (ws && ws !== current)) return
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

function zeroMask(mask: Buffer): void {
  mask.fill(0)
}

/** True where the very host and port said that nobody listens; of several addresses behind a name, all of them. */
function isRefusal(error: Error | undefined): boolean {
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(isRefusal)
  return (error as NodeJS.ErrnoException | undefined)?.code === 'ECONNREFUSED'
}

function remoteOf(socket: Socket): string {
  return formatAddress({ host: socket.remoteAddress ?? 'unknown', port: socket.remotePort ?? 0 })
}

/** Who was refused, for the logs and the once-a-minute rule: its own words where it said any, since ports change. */
function peerText(meeting: Meeting): string {
  const info = meeting.handshake.peer?.info
  if (info) return `'${info.name}' at ${info.address}`
  return meeting.role === 'dialler' ? meeting.remote : (meeting.socket.remoteAddress ?? 'unknown')
}

function listenError(error: NodeJS.ErrnoException, address: Address): SkepError {
  const fields = { cause: error, port: address.port, host: address.host }
  if (error.code === 'EADDRINUSE') {
    return new SkepError(
      'ERR_ADDRESS_IN_USE',
      `port ${address.port} on ${address.host} is in use by another process`,
      fields,
    )
  }
  return new SkepError('ERR_LISTEN', `cannot listen on ${formatAddress(address)}: ${error.message}`, fields)
}
