/** The share of a turn over real sockets: which of them can be paused at all. */
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { turnShareMs } from '../src/pace.js'
import { realTime } from '../src/time.js'
import type { Connection } from '../src/transport.js'
import { WsTransport } from '../src/ws.js'

const ends: (() => void)[] = []
afterEach(() => {
  for (const end of ends.splice(0)) end()
})

/** A port where nobody ever answers. */
async function silence(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  ends.push(() => server.close())
  return (server.address() as AddressInfo).port
}

describe('a turn that has spent its share', () => {
  it('pauses what is open, and leaves alone what is given up while it opens', async () => {
    let now = 0
    const transport = new WsTransport({ ...realTime, now: () => now })
    let dialled: Connection | undefined
    const read: string[] = []
    const met = new Promise<Connection>((resolve) => {
      void transport
        .listen({ host: '127.0.0.1', port: 0 }, { bound: (port) => talk(port), met: resolve, dropped: () => {} })
        .then(() => {})
    })
    const talk = (port: number): void => {
      const ws = new WebSocket(`ws://127.0.0.1:${port}/`)
      ends.push(() => ws.terminate())
      ws.once('open', () => {
        ws.send(Buffer.from('first'))
        ws.send(Buffer.from('second'))
      })
    }
    const port = await silence()
    dialled = transport.dial(`127.0.0.1:${port}`)
    const closed = new Promise((resolve) => {
      if (dialled !== undefined) dialled.events = { closed: resolve }
    })
    const connection = await met
    const all = new Promise<void>((resolve) => {
      connection.events = {
        message: (data) => {
          read.push(data.toString())
          now += 2 * turnShareMs
          dialled?.terminate()
          if (read.length === 2) resolve()
        },
      }
    })
    await Promise.all([all, closed])
    expect(read).toEqual(['first', 'second'])
    connection.terminate()
    await transport.close()
  })

  it('lets each connection be heard, however much others send', async () => {
    let now = 0
    const transport = new WsTransport({ ...realTime, now: () => now })
    const heard = new Map<string, number>()
    const all = new Set<Connection>()
    const names = Array.from({ length: 40 }, (_, i) => `quiet ${i}`)
    const busy = 3
    const messages = 60
    const peers: WebSocket[] = []
    const pinged = new Promise<void>((resolve) => {
      const hear = (name: string): void => {
        heard.set(name, (heard.get(name) ?? 0) + 1)
        if (name.startsWith('busy')) now += turnShareMs
        if (names.every((one) => heard.has(one))) resolve()
      }
      const met = (connection: Connection): void => {
        all.add(connection)
        connection.events = { message: (data) => hear(data.toString('utf8', 0, data.indexOf(0))) }
      }
      void transport.listen({ host: '127.0.0.1', port: 0 }, { bound: open, met, dropped: () => {} })
    })
    let opened = 0
    // The busy ones are met first, and everybody says it all at once.
    function open(port: number): void {
      const ws = new WebSocket(`ws://127.0.0.1:${port}/`)
      ends.push(() => ws.terminate())
      peers.push(ws)
      ws.once('open', () => {
        opened += 1
        if (opened < busy + names.length) return open(port)
        peers.forEach((peer, i) => {
          const name = i < busy ? `busy ${i}` : `quiet ${i - busy}`
          const message = Buffer.alloc(i < busy ? 1 << 16 : 16)
          message.write(name)
          for (let n = 0; n < (i < busy ? messages : 1); n++) peer.send(message)
        })
      })
    }
    await pinged
    for (let i = 0; i < busy; i++) expect(heard.get(`busy ${i}`) ?? 0).toBeLessThan(messages / 4)
    for (const connection of all) connection.terminate()
    await transport.close()
  })
})

describe('a connection that is ended', () => {
  it('hands on nothing more of what had come', async () => {
    const transport = new WsTransport(realTime)
    const read: string[] = []
    await new Promise<void>((resolve) => {
      const met = (connection: Connection): void => {
        connection.events = {
          message: (data) => {
            read.push(data.toString())
            connection.terminate()
          },
          closed: () => resolve(),
        }
      }
      const bound = (port: number): void => {
        const ws = new WebSocket(`ws://127.0.0.1:${port}/`)
        ends.push(() => ws.terminate())
        ws.once('open', () => {
          ws.send(Buffer.from('first'))
          ws.send(Buffer.from('second'))
        })
      }
      void transport.listen({ host: '127.0.0.1', port: 0 }, { bound, met, dropped: () => {} })
    })
    expect(read).toEqual(['first'])
    await transport.close()
  })
})
