/** One link over a real socket: order, urgency, bounds, and how many writes it costs. */
import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { type LinkLimits, linkLimits } from '../src/limits.js'
import { Link, type LinkEvents } from '../src/link.js'
import { realTime } from '../src/time.js'
import { maxWireBytes, packFrame } from '../src/wire.js'
import { WsConnection } from '../src/ws.js'

const servers: WebSocketServer[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) {
    for (const ws of server.clients) ws.terminate()
    server.close()
  }
})

/** One end of a link and all that it told. */
class End {
  readonly link: Link
  readonly socket: Socket
  readonly frames: (readonly unknown[])[] = []
  readonly closed: unknown[] = []
  messages = 0
  drained = 0
  #waiting: (() => void)[] = []

  constructor(name: string, ws: WebSocket, socket: Socket, limits: LinkLimits) {
    this.socket = socket
    const connection = new WsConnection(realTime, name, socket)
    connection.carriedBy(ws)
    connection.opened(socket)
    const events: LinkEvents = {
      message: (read) => {
        this.messages += 1
        read()
      },
      frame: (_link, frame) => this.#note(() => this.frames.push(frame)),
      dropped: () => {},
      drained: () => this.#note(() => this.drained++),
      last: () => {},
      lastRead: () => {},
      closed: (_link, byPeer, reason) => this.#note(() => this.closed.push({ byPeer, reason })),
    }
    this.link = new Link(name, connection, realTime, limits, events, { joins: true })
  }

  async until(test: () => boolean): Promise<void> {
    while (!test()) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  #note(change: () => void): void {
    change()
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

async function ends(change: Partial<LinkLimits> = {}): Promise<[End, End]> {
  const limits = { ...linkLimits, ...change }
  const options = { perMessageDeflate: false, maxPayload: maxWireBytes }
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', ...options })
  servers.push(server)
  await once(server, 'listening')
  const accepted = once(server, 'connection')
  const ws = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`, options)
  const [response] = await once(ws, 'upgrade')
  const [far, request] = await accepted
  await (ws.readyState === ws.OPEN || once(ws, 'open'))
  return [new End('far', ws, response.socket, limits), new End('near', far, request.socket, limits)]
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

describe('a link', () => {
  it('sends all frames of one turn as one write', async () => {
    const [a, b] = await ends()
    const writes = [vi.spyOn(a.socket, '_writev' as never), vi.spyOn(a.socket, '_write')]
    const count = (): number => writes.reduce((sum, spy) => sum + spy.mock.calls.length, 0)
    for (let i = 0; i < 100; i++) a.link.send(packFrame([40, i]), i % 2 ? 'control' : 'call')
    await b.until(() => b.frames.length === 100)
    expect(count()).toBe(1)
    for (let i = 0; i < 10; i++) a.link.send(packFrame([40, i]), 'call')
    await b.until(() => b.frames.length === 110)
    expect(count()).toBe(2)
  })

  it('puts the small frames of one turn into one message, of no more than a chunk', async () => {
    const [a, b] = await ends()
    for (let i = 0; i < 100; i++) a.link.send(packFrame([40, i]), 'call')
    await b.until(() => b.frames.length === 100)
    expect(b.messages).toBe(1)
    const load = Buffer.alloc(1000, 7)
    for (let i = 0; i < 200; i++) a.link.send(packFrame([40, i, load]), 'call')
    await b.until(() => b.frames.length === 300)
    expect(b.messages).toBe(1 + Math.ceil((200 * 1009) / maxWireBytes))
    expect(b.frames.slice(100).map((frame) => frame[1])).toEqual(Array.from({ length: 200 }, (_, i) => i))
    expect([a.link.waitingBytes, a.link.counts.framesOut, b.link.counts.framesIn]).toEqual([0, 300, 300])
    expect(b.link.counts.bytesIn).toBe(a.link.counts.bytesOut)
  })

  it('cuts what is large, and lets what is urgent overtake it', async () => {
    const [a, b] = await ends()
    const load = Buffer.alloc(8_000_000, 7)
    a.link.send(packFrame([40, load]), 'control')
    a.link.send(packFrame([16, 1]), 'control')
    await b.until(() => b.frames.length === 2)
    expect(b.frames.map((frame) => frame[0])).toEqual([16, 40])
    expect(load.equals(b.frames[1]?.[1] as Buffer)).toBe(true)
  })

  it('carries frames of every size at the edge of a chunk', async () => {
    const [a, b] = await ends()
    const sizes = [
      0, 1, 65_000, 65_530, 65_531, 65_532, 65_533, 65_534, 65_535, 65_536, 65_537, 131_060, 131_072, 131_080,
    ]
    for (const size of sizes) a.link.send(packFrame([40, Buffer.alloc(size, 1)]), 'bulk')
    await b.until(() => b.frames.length === sizes.length)
    expect(b.frames.map((frame) => (frame[1] as Buffer).length)).toEqual(sizes)
    expect(a.link.waitingBytes).toBe(0)
  })

  it('keeps the order of calls whatever their sizes, and lets control pass them all', async () => {
    const [a, b] = await ends()
    const sizes = [10, 300_000, 5, 70_000, 70_001, 1, 0, 1_000_000, 3]
    sizes.forEach((size, i) => void a.link.send(packFrame([64, i, Buffer.alloc(size)]), 'call'))
    a.link.send(packFrame([16, 1]), 'control')
    await b.until(() => b.frames.length === sizes.length + 1)
    const calls = b.frames.filter((frame) => frame[0] === 64)
    expect(calls.map((frame) => frame[1])).toEqual(sizes.map((_, i) => i))
    expect(b.frames.findIndex((frame) => frame[0] === 16)).toBeLessThan(3)
  })

  it('is overloaded above the high mark until the low one: calls refused, ops dropped, control sent', async () => {
    const [a, b] = await ends()
    b.socket.pause()
    const call = packFrame([64, Buffer.alloc(10_000)])
    let sent = 0
    while (a.link.send(call, 'call')) if (sent++ % 16 === 0) await turn()
    const { waitingBytes } = a.link
    expect(waitingBytes).toBeGreaterThan(linkLimits.highWaterBytes)
    expect(waitingBytes).toBeLessThan(linkLimits.highWaterBytes + 2 * call.length)
    expect(a.link.send(packFrame([40]), 'droppable')).toBe(false)
    expect(a.link.send(packFrame([16, 1]), 'control')).toBe(true)
    expect(a.drained).toBe(0)
    b.socket.resume()
    await a.until(() => a.drained > 0)
    expect(a.link.overloaded).toBe(false)
    expect(a.link.waitingBytes).toBeLessThan(linkLimits.lowWaterBytes)
    // The last call was taken, although it was the one that filled the queue up.
    await b.until(() => b.frames.length >= sent + 1)
    expect(a.link.send(call, 'call')).toBe(true)
    expect(a.drained).toBe(1)
  })

  it('says nothing of being drained where nothing was dropped', async () => {
    const [a, b] = await ends({ highWaterBytes: 100_000, lowWaterBytes: 50_000 })
    a.link.send(packFrame([40, Buffer.alloc(1_000_000)]), 'bulk')
    expect(a.link.overloaded).toBe(true)
    expect(a.link.send(packFrame([64]), 'call')).toBe(false)
    await b.until(() => b.frames.length === 1)
    while (a.link.overloaded) await turn()
    expect(a.drained).toBe(0)
  })

  it('to a peer that does not read is closed at the hard bound, whatever is sent', async () => {
    const maxQueueBytes = 6 * 1024 * 1024
    const [a, b] = await ends({ maxQueueBytes })
    b.socket.pause()
    while (a.link.send(packFrame([40, Buffer.alloc(50_000)]), 'control'));
    expect(a.closed).toEqual([{ byPeer: false, reason: `it does not read: over ${maxQueueBytes} bytes wait` }])
    expect(a.link.waitingBytes).toBeLessThan(maxQueueBytes + 100_000)
  })

  it('knows a far end that was killed: reset and closed alike are its doing', async () => {
    for (const kill of ['destroy', 'resetAndDestroy'] as const) {
      const [a, b] = await ends()
      b.socket[kill]()
      await a.until(() => a.closed.length > 0)
      expect(a.closed).toMatchObject([{ byPeer: true }])
    }
  })
})
