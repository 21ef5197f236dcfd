/**
 * The admin listener: what a probe, an orchestrator or somebody with curl asks of a node over HTTP.
 *
 *   GET  /live    200 as long as the process answers
 *   GET  /ready   200 when the node has joined and synced and is not leaving, else 503; the body says why
 *   POST /drain   202, and the node leaves in order; from this host, or with the bearer token
 *
 * It has nothing to do with the links of the cluster, and nothing that is asked here waits for another node.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type Address, formatAddress, isLoopback, listenError, parseAddress } from '@skep/cluster/internal'

export interface AdminOptions {
  /** `host:port`; port 0 takes any that is free. */
  readonly listen: string
  /** Who shows it (`authorization: Bearer ...`) may drain the node from another host; 16 characters or more. */
  readonly token?: string
}

/** What the listener asks of its node. */
export interface AdminTarget {
  readiness(): Readiness
  /** How each worker is, by its number, where the target has any. */
  workers?(): Readonly<Record<string, string>>
  drain(): Promise<unknown>
}

/** In the order of a node's life; only a `ready` one should be sent work. */
export type Readiness = 'joining' | 'ready' | 'leaving'

export interface AdminServer {
  /** `host:port` as bound. */
  readonly address: string
  close(): Promise<void>
}

/** Longest that a request may take to arrive, in milliseconds. */
const REQUEST_MS = 5000
/** How often that is looked at. By default every 30 s: so long a hundred silent callers kept probes from being answered. */
const LOOK_MS = 1000
const MAX_CONNECTIONS = 100
export const minTokenChars = 16

/** Resolves when it listens. Errors: ERR_ADDRESS_IN_USE, ERR_LISTEN. */
export async function startAdmin(options: AdminOptions, target: AdminTarget): Promise<AdminServer> {
  const asked = parseAddress(options.listen)
  const server = createServer({
    requestTimeout: REQUEST_MS,
    headersTimeout: REQUEST_MS,
    connectionsCheckingInterval: LOOK_MS,
    maxHeaderSize: 8192,
  })
  server.maxConnections = MAX_CONNECTIONS
  server.on('request', (request, response) => answer(request, response, options.token, target))
  const port = await listen(server, asked)
  return {
    address: formatAddress({ host: asked.host, port }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        // Answers were written in one piece, so none is cut off; who is connected and asks nothing must not hold us.
        server.closeAllConnections()
      }),
  }
}

function listen(server: Server, address: Address): Promise<number> {
  return new Promise((resolve, reject) => {
    // Also later ones, of connections that the system would not accept: nothing hangs on these.
    server.on('error', (error) => reject(listenError(error, address)))
    // Never shared with siblings of `node:cluster`: any of them would answer for this one.
    server.listen({ port: address.port, host: address.host, exclusive: true }, () => {
      const bound = server.address()
      resolve(typeof bound === 'object' && bound !== null ? bound.port : address.port)
    })
  })
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  token: string | undefined,
  target: AdminTarget,
): void {
  // Nobody has anything to say in a body.
  request.resume()
  const path = (request.url ?? '/').split('?')[0] as string
  const allowed = methodsOf(path)
  if (allowed === undefined) return reply(response, 404, { error: `there is no ${shown(path)} here` })
  if (!allowed.includes(request.method ?? '')) {
    response.setHeader('allow', allowed.join(', '))
    return reply(response, 405, { error: `${path} takes ${allowed.join(' and ')}` })
  }
  if (path === '/live') return reply(response, 200, { live: true })
  if (path === '/ready') {
    const readiness = target.readiness()
    const ready = readiness === 'ready'
    return reply(response, ready ? 200 : 503, { ready, readiness, workers: target.workers?.() })
  }
  const refusal = refusalOf(request, token)
  if (refusal !== undefined) {
    if (refusal.status === 401) response.setHeader('www-authenticate', 'Bearer')
    return reply(response, refusal.status, { error: refusal.text })
  }
  reply(response, 202, { draining: true })
  // What goes wrong with it is logged by the node itself.
  target.drain().catch(() => {})
}

function methodsOf(path: string): readonly string[] | undefined {
  if (path === '/live' || path === '/ready') return ['GET', 'HEAD']
  return path === '/drain' ? ['POST'] : undefined
}

/** Why this request may not drain the node. */
function refusalOf(request: IncomingMessage, token: string | undefined): { status: number; text: string } | undefined {
  const { headers, socket } = request
  // Any web page could have a browser on this host ask.
  if (headers.origin !== undefined) return { status: 403, text: 'web pages may not drain a node' }
  const given = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
  if (given !== undefined && token !== undefined && isSame(given, token)) return undefined
  if (given !== undefined) return { status: 401, text: 'the token is wrong' }
  // Behind a proxy everybody comes from this host.
  const direct = headers['x-forwarded-for'] === undefined && headers.forwarded === undefined
  const host = (socket.remoteAddress ?? '').replace(/^::ffff:/, '')
  if (direct && isLoopback(host)) return undefined
  const text = token === undefined ? 'from another host a token is needed, and none is configured' : 'a token is needed'
  return { status: 401, text }
}

function isSame(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}

/** A node that goes away keeps no connection. */
function reply(response: ServerResponse, status: number, body: object): void {
  const text = `${JSON.stringify(body)}\n`
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    connection: 'close',
  })
  response.end(response.req.method === 'HEAD' ? undefined : text)
}

function shown(path: string): string {
  return /^[\w/.-]{1,64}$/.test(path) ? path : 'such path'
}
