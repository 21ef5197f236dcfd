/**
 * The real transport: WebSocket connections over TCP, and the small HTTP server that they begin at. Everything of `ws`
 * and of sockets is in here; who may link is decided above.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocket, WebSocketServer } from 'ws'
import { type Address, formatAddress } from './address.js'
import { Pace } from './pace.js'
import type { Time } from './time.js'
import {
  type Connection,
  type ConnectionEvents,
  listenError,
  type Transport,
  type TransportEvents,
} from './transport.js'
import { maxWireBytes } from './wire.js'

/** After a close, how long the far end has to answer it before the socket is destroyed. */
const closeTimeoutMs = 1000

/** Codes of socket errors by which the far end, not the network, ended a connection. */
const endedByPeer: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED'])

/** What strangers may ask for over plain HTTP: nothing. */
const plainAnswer = 'This is a node of a Skep cluster; it speaks WebSocket to its peers only.\n'

const wireOptions = { perMessageDeflate: false, maxPayload: maxWireBytes, skipUTF8Validation: true } as const
const sendOptions = { binary: true, compress: false } as const

export class WsTransport implements Transport {
  readonly #time: Time
  readonly #server: Server
  readonly #upgrades: WebSocketServer = new WebSocketServer({ noServer: true, clientTracking: false, ...wireOptions })
  /** Accepted sockets that are no WebSocket yet. */
  readonly #accepted: WeakMap<Duplex, WsConnection> = new WeakMap()
  readonly #pace: Pace
  #events: TransportEvents | undefined

  constructor(time: Time) {
    this.#time = time
    this.#pace = new Pace(time)
    this.#server = createServer({ maxHeaderSize: 8192 }, (_request, response) => {
      response.writeHead(426, { 'content-type': 'text/plain', connection: 'close', upgrade: 'websocket' })
      response.end(plainAnswer)
    })
    this.#server.on('connection', (socket) => this.#accept(socket))
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
    this.#server.on('clientError', (_error, socket) => socket.destroy())
  }

  whenRead(fn: (waitedMs: number) => void): void {
    this.#pace.whenRead(fn)
  }

  listen(address: Address, events: TransportEvents): Promise<number> {
    this.#events = events
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, address)))
      // Exclusive: in a process of `node:cluster` a peer would else reach any of its siblings, and port 0 be one for all.
      this.#server.listen({ port: address.port, host: address.host, exclusive: true }, () => {
        this.#server.removeAllListeners('error')
        this.#server.on('error', (error) => events.dropped('listener', error.message))
        const { port } = this.#server.address() as AddressInfo
        events.bound(port)
        resolve(port)
      })
    })
  }

  dial(address: string): Connection | undefined {
    if (!URL.canParse(`ws://${address}/`)) return undefined
    const ws = new WebSocket(`ws://${address}/`, {
      ...wireOptions,
      followRedirects: false,
      // The peer proves the secret, and no browser or proxy is between: masking would only cost time.
      generateMask: zeroMask,
    })
    const connection = new WsConnection(this.#time, address, undefined, this.#pace)
    let socket: Socket | undefined
    ws.once('upgrade', (response) => {
      socket = response.socket
    })
    ws.once('open', () => {
      if (socket) connection.opened(socket)
    })
    connection.carriedBy(ws)
    return connection
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }

  #accept(socket: Socket): void {
    socket.setNoDelay(true)
    const connection = new WsConnection(this.#time, remoteOf(socket), socket, this.#pace)
    this.#accepted.set(socket, connection)
    this.#events?.met(connection)
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy())
    // Peers send no Origin; browsers always do, and a page from anywhere may reach a node on the user's own machine.
    if (request.headers.origin !== undefined) {
      this.#events?.dropped(remoteOf(request.socket), 'a browser')
      socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
      return
    }
    this.#upgrades.handleUpgrade(request, socket, head, (ws) => {
      const connection = this.#accepted.get(socket)
      if (connection === undefined) return ws.terminate()
      connection.carriedBy(ws)
      connection.opened(request.socket)
    })
  }
}

/** One WebSocket, from the moment its socket is there or is asked for. */
export class WsConnection implements Connection {
  readonly remote: string
  readonly remoteHost: string
  events: ConnectionEvents = {}
  readonly #time: Time
  readonly #pace: Pace
  #socket: Socket | undefined
  #ws: WebSocket | undefined
  #error: (Error & { code?: string }) | undefined
  #isTerminated = false

  /** `socket`: the one that was accepted; where this side dials, it comes when the connection is open. */
  constructor(time: Time, remote: string, socket: Socket | undefined, pace: Pace = new Pace(time)) {
    this.#time = time
    this.#pace = pace
    this.remote = remote
    this.remoteHost = socket?.remoteAddress ?? remote
    this.#socket = socket
    socket?.once('close', () => {
      if (this.#ws === undefined) this.events.closed?.({ reason: 'the connection ended', byPeer: true, refused: false })
    })
  }

  carriedBy(ws: WebSocket): void {
    this.#ws = ws
    ws.on('message', (data, isBinary) => {
      // What was buffered while it was paused is read on after its end, by a socket that is no more.
      if (this.#isTerminated) return
      this.#pace.begin(ws)
      this.events.message?.(data as Buffer, isBinary)
      this.#pace.end(ws)
    })
    ws.on('error', (error: Error & { code?: string }) => this.#failed(error))
    ws.once('close', (_code, reason) => {
      this.#pace.delete(ws)
      this.#closed(reason.toString())
    })
  }

  opened(socket: Socket): void {
    this.#socket = socket
    // Not before: one that was given up while it opened has nothing that could be paused, and says so by a throw.
    if (this.#ws !== undefined) this.#pace.add(this.#ws)
    socket.setNoDelay(true)
    socket.on('drain', () => this.events.drain?.())
    this.events.open?.()
  }

  get bufferedAmount(): number {
    return this.#ws?.bufferedAmount ?? 0
  }

  send(bytes: Buffer): void {
    this.#ws?.send(bytes, sendOptions)
  }

  cork(): void {
    this.#socket?.cork()
  }

  uncork(): void {
    this.#socket?.uncork()
  }

  /** A ws close that does not wait for ever for its answer. The reason is cut to what a close frame holds. */
  close(reason: string): Promise<void> {
    return new Promise((resolve) => {
      const ws = this.#ws
      if (ws === undefined || ws.readyState === ws.CLOSED) return resolve()
      const cancel = this.#time.setTimer(() => this.terminate(), closeTimeoutMs)
      ws.once('close', () => {
        cancel()
        resolve()
      })
      ws.close(4000, reason.replace(/[^\x20-\x7e]/g, '?').slice(0, 120))
    })
  }

  terminate(): void {
    this.#isTerminated = true
    if (this.#ws) this.#ws.terminate()
    else this.#socket?.destroy()
  }

  #failed(error: Error & { code?: string }): void {
    this.#error = error
    if (error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') this.events.broken?.('too large')
    else if (error.code?.startsWith('WS_ERR_')) this.events.broken?.('not a ws frame')
  }

  #closed(reason: string): void {
    const code = this.#error?.code
    const byPeer = code === undefined || endedByPeer.has(code)
    this.events.closed?.({
      reason: reason || code || 'the connection ended',
      byPeer,
      refused: isRefusal(this.#error),
    })
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
