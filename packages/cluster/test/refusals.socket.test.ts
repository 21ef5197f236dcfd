/** Who is refused, what both logs say of it, and what strangers can do to a node: nothing. */
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ClusterOptions, isSkepError, startCluster } from '../src/index.js'
import { bytesTogether, joinFrames, packFrame } from '../src/wire.js'
import { Recorder, startNode, type TestNode, viewOf } from './nodes.js'
import { connect, link } from './stranger.js'

async function pair(): Promise<[TestNode, TestNode]> {
  const a = await startNode('a')
  const b = await startNode('b', { peers: [a] })
  await Promise.all([viewOf(a, ['a', 'b']), viewOf(b, ['a', 'b'])])
  return [a, b]
}

describe('a node that does not belong', () => {
  const table: [string, RegExp, Partial<ClusterOptions>][] = [
    ['another secret', /the secrets of the two nodes differ/, { secret: 'wrong' }],
    ['no common secret in its list', /the secrets of the two nodes differ/, { secret: ['x', 'y'] }],
    ['another cluster', /the clusters differ: '(other|test)' and '(other|test)'/, { cluster: 'other' }],
    ['a denied name', /'bad-1' is denied/, { name: 'bad-1' }],
    ['a name that is not allowed', /'zed' is not among the nodes allowed/, { name: 'zed' }],
    ['a name that is taken', /the name 'b' is taken by a node at/, { name: 'b' }],
  ]
  it.each(table)(
    'with %s is refused; both logs say so once, not once per retry, and the others stay',
    async (_what, text, options) => {
      const a = await startNode('a', { allow: [/^[ab]/], deny: [/^bad-/g] })
      const b = await startNode('b', { peers: [a] })
      await viewOf(b, ['a', 'b'])
      const x = await startNode('x', { peers: [a], limits: { redialMinMs: 1, redialMaxMs: 5 }, ...options })
      const repeated = (node: TestNode): Promise<unknown> =>
        node.log.line(({ level, fields }) => level === 'debug' && fields.code !== undefined)
      await Promise.all([repeated(a), repeated(x)])
      for (const node of [a, x]) {
        const lines = node.log.lines.filter(({ level, fields }) => level === 'warn' && fields.code !== undefined)
        expect(lines.map((line) => line.text)).toHaveLength(1)
        expect(lines[0]?.text).toMatch(text)
        expect(lines[0]?.text).not.toMatch(/'s'|wrong'/)
      }
      expect(a.cluster.view().members.map((info) => info.name)).toEqual(['a', 'b'])
      expect(a.cluster.linked(b.cluster.self.boot)).toBe(true)
      expect(x.cluster.stats().links).toEqual([])
    },
  )

  it('is refused by the newcomer too: the dialler has its own lists', async () => {
    const a = await startNode('a')
    const x = await startNode('x', { peers: [a], deny: ['a'] })
    await Promise.all([a.log.line(/refused by 'x'.*'a' is denied/), x.log.line(/refused 'a'.*'a' is denied/)])
    expect([a, x].flatMap((node) => node.cluster.stats().links)).toEqual([])
  })

  it('with our own name, be it under our own address, is refused and not linked again and again', async () => {
    const a = await startNode('a')
    const { name, address } = a.cluster.self
    for (const where of [address, '127.0.0.1:1']) {
      const info = {
        boot: 'other',
        name,
        address: where,
        roles: [],
        weight: 1,
        cordoned: false,
        startedAt: 0,
        kinds: [],
        version: '',
      }
      expect(await link(address, name, { info })).toBeUndefined()
    }
    expect(a.log.count(/the name 'a' is taken/)).toBe(2)
    expect(a.log.count(/linked/)).toBe(0)
  })

  it('of no common protocol version is refused with both ranges', async () => {
    const a = await startNode('a')
    expect(await link(a.cluster.self.address, 'x', { min: 7, max: 9 })).toBeUndefined()
    expect(await a.log.line(/no common protocol version: 7 to 9, and 1 to 1/)).toBeDefined()
  })

  it('may be the node itself under another address, which is not worth a word', async () => {
    const a = await startNode('a', {
      async *discovery({ self, signal }) {
        yield [self.address.replace('127.0.0.1', 'localhost')]
        await once(signal, 'abort')
      },
      limits: { gateMs: 50 },
    })
    await a.cluster.ready()
    expect(a.log.count(/found 1: localhost/)).toBe(1)
    expect(a.log.count(/refused|dropped/)).toBe(0)
    expect(a.cluster.stats().links).toEqual([])
  })
})

describe('secrets in rotation', () => {
  it('link old and new nodes through those that know both', async () => {
    const old = await startNode('old', { secret: 'one' })
    const both = await startNode('both', { secret: ['two', 'one'], peers: [old] })
    const late = await startNode('late', { secret: 'two', peers: [both] })
    await Promise.all([viewOf(old, ['both', 'late', 'old']), late.cluster.ready()])
    expect(late.cluster.linked(both.cluster.self.boot)).toBe(true)
    expect(late.cluster.linked(old.cluster.self.boot)).toBe(false)
  })
})

describe('a stranger', () => {
  const bad: [string, (string | Buffer)[]][] = [
    ['text', ['hello']],
    ['garbage', [Buffer.from([0xc1, 1, 2, 3])]],
    ['an empty message', [Buffer.alloc(0)]],
    ['a ping before HELLO', [packFrame([16, 1])]],
    ['news before HELLO', [packFrame([20, []])]],
    ['a proof before HELLO', [packFrame([2, [Buffer.alloc(32)]])]],
    ['a chunk before HELLO', [packFrame([8, true, Buffer.alloc(100)])]],
    ['more than a handshake may hold', [Buffer.alloc(80 * 1024)]],
    ['nested arrays without end', [Buffer.alloc(60_000, 0x91)]],
  ]
  it.each(bad)('that sends %s is shown the door, and nobody else notices', async (_what, messages) => {
    const [a, b] = await pair()
    const stranger = await connect(a.cluster.self.address)
    for (const message of messages) stranger.ws.send(message)
    await stranger.closed
    expect(a.cluster.linked(b.cluster.self.boot)).toBe(true)
    expect(a.cluster.view().members).toHaveLength(2)
  })

  it('that is silent is shown the door in time, and only so many at once', async () => {
    const a = await startNode('a', { limits: { handshakeTimeoutMs: 50, maxStrangers: 3 } })
    const [host, port] = a.cluster.self.address.split(':') as [string, string]
    const silent = Array.from({ length: 5 }, () => connectTcp(Number(port), host).resume())
    for (const socket of silent) socket.on('error', () => {})
    await Promise.all(silent.map((socket) => once(socket, 'close')))
    const { dropped } = a.cluster.stats()
    expect(dropped['too many strangers']).toBe(2)
    expect(dropped['an unfinished handshake']).toBe(3)
    const b = await startNode('b', { peers: [a] })
    await viewOf(b, ['a', 'b'])
  })

  it('with a browser is refused, and one over plain HTTP is told what this is', async () => {
    const a = await startNode('a')
    const page = await connect(a.cluster.self.address, { headers: { origin: 'https://example.org' } })
    await page.closed
    expect(page.ws.protocol).toBe('')
    expect(a.cluster.stats().dropped['a browser']).toBe(1)
    const answer = await fetch(`http://${a.cluster.self.address}/`)
    expect(answer.status).toBe(426)
    expect(await answer.text()).toContain('Skep')
  })

  it('that writes any bytes at all over TCP breaks nothing', async () => {
    const a = await startNode('a')
    const [host, port] = a.cluster.self.address.split(':') as [string, string]
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.boolean(), async (bytes, upgraded) => {
        const socket = connectTcp(Number(port), host).resume()
        socket.on('error', () => {})
        if (upgraded) {
          socket.write(
            'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
          )
        }
        socket.end(bytes)
        await once(socket, 'close')
      }),
      { numRuns: 150 },
    )
    const b = await startNode('b', { peers: [a] })
    await viewOf(b, ['a', 'b'])
  })
})

describe('a linked peer', () => {
  it('that sends frames of unknown kinds and wrong shapes keeps its link; each is counted by reason', async () => {
    const a = await startNode('a')
    const peer = await link(a.cluster.self.address, 'x')
    if (!peer) throw new Error('refused')
    const odd = [
      [200, 1],
      [15],
      [40, 1],
      [-5],
      [3.5],
      ['text'],
      [],
      {},
      'text',
      7,
      null,
      [16, 'x'],
      [20, [[]]],
      [23, [], [16, 1]],
    ]
    for (const frame of odd) peer.ws.send(packFrame(frame as unknown[]))
    peer.ws.send('text')
    peer.ws.send(packFrame([16, 77]))
    await new Promise<void>((resolve) =>
      peer.ws.on('message', (data: Buffer) => data.equals(packFrame([17, 77])) && resolve()),
    )
    expect(a.cluster.stats().dropped).toEqual({
      'unknown kind': 4,
      'not a frame': 7,
      'bad frame': 3,
      'a text frame': 1,
    })
    expect(a.log.lines.filter(({ text }) => text.startsWith('dropped'))).toHaveLength(4)
    peer.ws.terminate()
  })

  it('that sends several frames in one message is heard up to the first that is none, and again with the next message', async () => {
    const a = await startNode('a')
    const peer = await link(a.cluster.self.address, 'x')
    if (peer === undefined) throw new Error('there is no link')
    const answers: unknown[] = []
    const last = new Promise<void>((resolve) =>
      peer.ws.on('message', (data: Buffer) => {
        for (const n of [1, 2, 3]) if (data.equals(packFrame([17, n]))) answers.push(n)
        if (answers.at(-1) === 3) resolve()
      }),
    )
    const frames = [packFrame([16, 1]), Buffer.from([0xc7, 0, 0]), packFrame([16, 2])]
    peer.ws.send(
      joinFrames(
        frames,
        frames.reduce((sum, frame) => sum + bytesTogether(frame), 0),
      ),
    )
    peer.ws.send(packFrame([16, 3]))
    await last
    expect(answers).toEqual([1, 3])
    expect(a.cluster.stats().dropped).toEqual({ 'not msgpack': 1 })
    peer.ws.terminate()
  })

  it.each<[string, Buffer, string]>([
    ['what is not msgpack', Buffer.from([0xc7, 0, 0]), 'not msgpack'],
    ['frames of no bytes', Buffer.from([0xc1, 0, 0, 0, 0]), 'not frames'],
    ['half a frame', packFrame([16, 123_456_789]).subarray(0, 4), 'not msgpack'],
    ['a message larger than any chunk', Buffer.alloc(70 * 1024), 'too large'],
  ])('that sends %s loses its link, with the reason, and may come again', async (_what, bytes, reason) => {
    const a = await startNode('a')
    const peer = await link(a.cluster.self.address, 'x')
    peer?.ws.send(bytes)
    await peer?.closed
    expect(a.cluster.stats().dropped[reason]).toBe(1)
    const boot = a.cluster.members().find((member) => member.info.name === 'x')?.info.boot ?? ''
    expect(a.cluster.linked(boot)).toBe(false)
  })

  it('cannot make a node collect more than the largest frame', async () => {
    const a = await startNode('a', { limits: { maxFrameBytes: 200_000 } })
    const peer = await link(a.cluster.self.address, 'x')
    for (let i = 0; i < 4; i++) peer?.ws.send(packFrame([8, true, Buffer.alloc(60_000)]))
    expect(await peer?.closed).toContain('over 200000 bytes')
  })

  it('that sends anything at all never makes a node throw', async () => {
    const a = await startNode('a')
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 40 }), fc.array(fc.jsonValue(), { maxLength: 5 })), {
          minLength: 1,
          maxLength: 20,
        }),
        async (frames) => {
          const peer = await link(a.cluster.self.address, `x${a.cluster.members().length}`, {}, 's')
          for (const [kind, fields] of frames) peer?.ws.send(packFrame([kind, ...fields]))
          peer?.ws.close()
          await peer?.closed
        },
      ),
      { numRuns: 60 },
    )
    expect(a.fatal).toEqual([])
  })
})

describe('the address', () => {
  it('in use is one clear line with the port', async () => {
    const a = await startNode('a')
    const listen = a.cluster.self.address
    const error: unknown = await startCluster({
      cluster: 'test',
      name: 'b',
      listen,
      logger: new Recorder().logger,
    }).catch((reason: unknown) => reason)
    if (!isSkepError(error, 'ERR_ADDRESS_IN_USE')) throw new Error('not refused')
    const port = Number(listen.split(':')[1])
    expect(error.message).toBe(`port ${port} on 127.0.0.1 is in use by another process`)
    expect(error.port).toBe(port)
  })

  it('that cannot be bound is named', async () => {
    const options = { cluster: 'test', name: 'b', secret: 's', listen: '192.0.2.1:0', logger: new Recorder().logger }
    const error: unknown = await startCluster(options).catch((reason: unknown) => reason)
    expect(isSkepError(error, 'ERR_LISTEN') && error.message).toContain('192.0.2.1')
  })
})
