/**
 * The far end of a connection in a test's own hands: says what it likes, politely (through the handshake) or not.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { WebSocket } from 'ws'
import { Handshake, type Hello, protocol } from '../src/handshake.js'

export interface Stranger {
  readonly ws: WebSocket
  /** Resolves with the reason given when the node ends the connection. */
  readonly closed: Promise<string>
  /** Every message that the node sends, after those that the handshake took. */
  readonly received: Buffer[]
}

/** An open connection that has said nothing. */
export async function connect(
  address: string,
  options: { readonly headers?: Record<string, string> } = {},
): Promise<Stranger> {
  const ws = new WebSocket(`ws://${address}/`, { perMessageDeflate: false, ...options })
  const received: Buffer[] = []
  ws.on('message', (data) => void received.push(data as Buffer))
  ws.on('error', () => {})
  const closed = new Promise<string>((resolve) => ws.on('close', (_code, reason) => resolve(reason.toString())))
  await Promise.race([once(ws, 'open'), closed])
  return { ws, closed, received }
}

/** A connection that went through the handshake as node `name`; undefined when it was refused. */
export async function link(
  address: string,
  name: string,
  change: Partial<Hello> = {},
  secret = 's',
): Promise<Stranger | undefined> {
  const stranger = await connect(address)
  const boot = randomBytes(16).toString('base64url')
  const info = {
    boot,
    name,
    address: '127.0.0.1:1',
    roles: [],
    weight: 1,
    cordoned: false,
    kinds: [],
    version: '',
    startedAt: 0,
  }
  const self: Hello = {
    ...protocol,
    cluster: 'test',
    info,
    capabilities: [],
    nonce: randomBytes(32),
    phase: 'joining',
    incarnation: 0,
    ...change,
  }
  const handshake = new Handshake('dialler', self, { secrets: [secret], admit: () => undefined, rival: () => 'none' })
  stranger.ws.send(handshake.opening)
  const up = new Promise<boolean>((resolve) => {
    void stranger.closed.then(() => resolve(false))
    const take = (data: Buffer): void => {
      const step = handshake.receive(data)
      if (step.send) stranger.ws.send(step.send)
      if (!step.end) return
      stranger.ws.off('message', take)
      stranger.received.length = 0
      resolve(step.end.type === 'up')
    }
    stranger.ws.on('message', take)
    for (const early of stranger.received.splice(0)) take(early)
  })
  return (await up) ? stranger : undefined
}
