/** Two nodes' links without their machines: who survives when both dial, and what a dial tells. */
import { randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { realChance } from '../src/chance.js'
import type { MemberInfo } from '../src/core/member.js'
import { type LinkLimits, linkLimits } from '../src/limits.js'
import { Links } from '../src/links.js'
import { realTime } from '../src/time.js'
import { packFrame } from '../src/wire.js'
import { WsTransport } from '../src/ws.js'

const running: Links[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((links) => links.stop('the test ends')))
})

interface Event {
  readonly type: 'up' | 'down' | 'dialled' | 'frame' | 'drained' | 'dropped' | 'refused'
  readonly boot?: string | undefined
  readonly [field: string]: unknown
}

/** One node's links, with all that happens to them as a list that can be waited on. */
class Side {
  readonly links: Links
  info: MemberInfo
  events: Event[] = []
  #waiting: (() => void)[] = []

  constructor(name: string, limits: Partial<LinkLimits> = {}) {
    this.info = {
      boot: name,
      name,
      address: '',
      roles: [],
      weight: 1,
      cordoned: false,
      kinds: [],
      version: '',
      startedAt: 0,
    }
    this.links = new Links({
      world: { time: realTime, chance: realChance, transport: new WsTransport(realTime) },
      cluster: 'test',
      secrets: ['s'],
      limits: { ...linkLimits, ...limits },
      self: () => ({ info: this.info, phase: 'up', incarnation: 0 }),
      admit: () => undefined,
      events: {
        up: (peer, _link, role) => this.#add({ type: 'up', boot: peer.info.boot, role }),
        down: (boot, byPeer, reason) => this.#add({ type: 'down', boot, byPeer, reason }),
        message: (read) => read(),
        frame: (boot, frame, open) => this.#add({ type: 'frame', boot, frame, open }),
        drained: (boot) => this.#add({ type: 'drained', boot }),
        dialled: (address, outcome, boot) => this.#add({ type: 'dialled', address, outcome, boot }),
        dialledThrough: () => {},
        dropped: (from, reason) => this.#add({ type: 'dropped', from, reason }),
        refused: (peer, by, refusal) => this.#add({ type: 'refused', peer, by, refusal }),
      },
    })
    running.push(this.links)
  }

  async listen(): Promise<this> {
    await this.links.listen({ host: '127.0.0.1', port: 0 }, (port) => {
      this.info = { ...this.info, address: `127.0.0.1:${port}` }
    })
    return this
  }

  get address(): string {
    return this.info.address
  }

  of(type: Event['type']): Event[] {
    return this.events.filter((event) => event.type === type)
  }

  /** Resolves when there are so many events of this type. */
  async has(type: Event['type'], count = 1): Promise<void> {
    while (this.of(type).length < count) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  #add(event: Event): void {
    this.events.push(event)
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

async function linkedPair(limits: Partial<LinkLimits> = {}): Promise<[Side, Side]> {
  const [a, b] = await Promise.all([new Side('a', limits).listen(), new Side('b', limits).listen()])
  a.links.dial(b.address)
  await Promise.all([a.has('up'), b.has('up')])
  return [a, b]
}

async function turns(n: number): Promise<void> {
  for (let i = 0; i < n; i++) await new Promise((resolve) => setImmediate(resolve))
}

describe('two nodes that dial each other', () => {
  it('at the same time end with one link each, the same one, never none, never two: 200 times', async () => {
    const [a, b] = await Promise.all([new Side('a').listen(), new Side('b').listen()])
    for (let round = 0; round < 200; round++) {
      for (const side of [a, b]) {
        side.events = []
        side.info = { ...side.info, boot: randomBytes(16).toString('base64url') }
      }
      const [first, second] = round % 2 === 0 ? [a, b] : [b, a]
      first.links.dial(second.address)
      // From the very same turn to one dial having almost won.
      await turns(round < 50 ? 0 : randomInt(8))
      second.links.dial(first.address)
      await Promise.all([a.has('dialled'), b.has('dialled'), a.has('up'), b.has('up')])
      a.links.get(b.info.boot)?.send(packFrame([40, round]), 'control')
      b.links.get(a.info.boot)?.send(packFrame([41, round]), 'control')
      await Promise.all([a.has('frame'), b.has('frame')])
      for (const [side, other] of [
        [a, b],
        [b, a],
      ] as const) {
        expect(side.of('dialled')).toEqual([
          { type: 'dialled', address: other.address, outcome: 'linked', boot: other.info.boot },
        ])
        expect(side.of('up')).toHaveLength(1)
        expect(side.of('down')).toEqual([])
        expect([...side.links.all()]).toHaveLength(1)
      }
      a.links.close(b.info.boot, 'next round')
      await b.has('down')
      expect(b.of('down')).toEqual([{ type: 'down', boot: a.info.boot, byPeer: true, reason: 'next round' }])
      expect(a.of('down')).toMatchObject([{ byPeer: false }])
    }
  })

  it('keep the link that the smaller boot id dialled when both dials have met', async () => {
    // Dials in the same turn: whoever accepts first, the smaller one ("a") has its own dial under way and prefers it.
    const [a, b] = await Promise.all([new Side('a').listen(), new Side('b').listen()])
    for (let round = 0; round < 20; round++) {
      a.events = []
      b.events = []
      b.links.dial(a.address)
      a.links.dial(b.address)
      await Promise.all([a.has('dialled'), b.has('dialled')])
      expect(a.of('up')).toMatchObject([{ role: 'dialler' }])
      expect(b.of('up')).toMatchObject([{ role: 'acceptor' }])
      a.links.close('b', 'next')
      await b.has('down')
    }
  })

  it('under two addresses of one node end with one link, and both dials say so', async () => {
    const [a, b] = await Promise.all([new Side('a').listen(), new Side('b').listen()])
    a.links.dial(b.address)
    a.links.dial(b.address.replace('127.0.0.1', 'localhost'))
    a.links.dial(b.address)
    await a.has('dialled', 2)
    expect(a.of('dialled').map((event) => event.outcome)).toEqual(['linked', 'linked'])
    expect(a.of('up')).toHaveLength(1)
  })

  it('replace a link that one side lost without the other noticing', async () => {
    const [a, b] = await linkedPair()
    // The far end is cut off without a word: "b" believes to have a link still.
    const silent = new Side('a')
    silent.info = a.info
    silent.links.dial(b.address)
    await Promise.all([silent.has('up'), b.has('up', 2)])
    expect(b.of('down')).toEqual([])
    silent.links.get('b')?.send(packFrame([40]), 'control')
    await b.has('frame')
  })
})

describe('a dial', () => {
  it('that nobody answers is told apart: refused, silent, not one of us, ourselves', async () => {
    const a = await new Side('a', { dialTimeoutMs: 50, handshakeTimeoutMs: 50 }).listen()
    const deaf = createServer((socket) => void socket.on('error', () => {}).resume()).listen(0, '127.0.0.1')
    const rude = createServer(
      (socket: Socket) =>
        void socket
          .on('error', () => {})
          .resume()
          .end('HTTP/1.1 404 No\r\n\r\n'),
    ).listen(0, '127.0.0.1')
    await Promise.all([once(deaf, 'listening'), once(rude, 'listening')])
    const address = (server: typeof deaf): string => `127.0.0.1:${(server.address() as { port: number }).port}`
    const outcome = async (to: string): Promise<unknown> => {
      a.events = []
      a.links.dial(to)
      await a.has('dialled')
      return a.of('dialled')[0]?.outcome
    }
    expect(await outcome(address(deaf))).toBe('failed')
    expect(await outcome(address(rude))).toBe('failed')
    const gone = address(rude)
    rude.close()
    await once(rude, 'close')
    expect(await outcome(gone)).toBe('refused')
    expect(await outcome(a.address)).toBe('self')
    expect(await outcome('no-such-host.invalid:1')).toBe('failed')
    deaf.close()
  })
})

describe('a link', () => {
  it('knows a far end that died from one that we closed', async () => {
    const [a, b] = await linkedPair()
    await b.links.stop('dies')
    await a.has('down')
    expect(a.of('down')).toMatchObject([{ boot: 'b', byPeer: true }])
  })

  it('that was closed here still hands on what the far end had sent', async () => {
    const [a, b] = await linkedPair()
    b.links.get('a')?.send(packFrame([20, []]), 'control')
    a.links.close('b', 'enough')
    await a.has('frame')
    expect(a.of('frame')).toMatchObject([{ boot: 'b', open: false }])
  })
})
