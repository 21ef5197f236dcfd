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
})
