/**
 * Whole nodes on loopback of which two cannot hear each other. Their sockets stay open, since a cut that drops packets
 * resets nothing: what they say is swallowed between the links and the sockets.
 */
import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { type ClusterOptions, type Layer, staticPeers } from '../src/index.js'
import {
  type ClusterWorld,
  type Connection,
  type ConnectionEvents,
  realClusterWorld,
  startClusterIn,
  type Transport,
} from '../src/internal.js'
import { linkKinds, packFrame, unpackFrame } from '../src/wire.js'
import { adopt, startNode, type TestNode, viewOf } from './nodes.js'
import { link } from './stranger.js'

/** The network as one node sees it, in which some others can be cut off from it. */
class Cut {
  /** Names of those that are. */
  readonly off = new Set<string>()
  #swallowed: Connection[] = []

  world(): ClusterWorld {
    return { ...realClusterWorld, transport: () => this.#wrap(realClusterWorld.transport()) }
  }

  /** What the node believes to be closed, while no word of that could leave. */
  release(): void {
    for (const connection of this.#swallowed.splice(0)) connection.terminate()
  }

  #wrap(transport: Transport): Transport {
    return {
      whenRead: (fn) => fn(0),
      listen: (address, events) =>
        transport.listen(address, { ...events, met: (connection) => events.met(new Muffled(this, connection)) }),
      dial: (address) => {
        const connection = transport.dial(address)
        return connection && new Muffled(this, connection)
      },
      close: () => transport.close(),
    }
  }

  swallow(connection: Connection): void {
    this.#swallowed.push(connection)
  }
}

/** A connection on which nothing is sent or heard, not even its end, while its far end is cut off. */
class Muffled implements Connection {
  readonly remote: string
  readonly remoteHost: string
  events: ConnectionEvents = {}
  readonly #cut: Cut
  readonly #under: Connection
  /** As the far end called itself in its first message. */
  #name: string | undefined

  constructor(cut: Cut, under: Connection) {
    this.#cut = cut
    this.#under = under
    this.remote = under.remote
    this.remoteHost = under.remoteHost
    under.events = {
      open: () => this.events.open?.(),
      drain: () => this.events.drain?.(),
      message: (data, isBinary) => {
        this.#name ??= String((unpackFrame(data) as unknown[])[9])
        if (!this.#isSilent) this.events.message?.(data, isBinary)
      },
      closed: (end) => {
        if (!this.#isSilent) this.events.closed?.(end)
      },
    }
  }

  get #isSilent(): boolean {
    return this.#name !== undefined && this.#cut.off.has(this.#name)
  }

  get bufferedAmount(): number {
    return this.#under.bufferedAmount
  }

  send(bytes: Buffer): void {
    if (!this.#isSilent) this.#under.send(bytes)
  }

  cork(): void {
    this.#under.cork()
  }

  uncork(): void {
    this.#under.uncork()
  }

  async close(reason: string): Promise<void> {
    if (this.#isSilent) this.terminate()
    else await this.#under.close(reason)
  }

  terminate(): void {
    if (!this.#isSilent) return this.#under.terminate()
    this.#cut.swallow(this.#under)
    setImmediate(() => this.events.closed?.({ reason: 'ended here', byPeer: false, refused: false }))
  }
}

/** A layer of frames of kind 80, straight from a peer. */
class Posts implements Layer<never> {
  readonly kinds: readonly [number, number] = [80, 80]
  readonly got: unknown[] = []
  readonly edges: string[] = []
  #waiting: (() => void)[] = []

  encode(): readonly unknown[] {
    throw new Error('posts only')
  }

  decode(): undefined {
    return undefined
  }

  input(input: { readonly type: string; readonly boot?: string }): void {
    if (input.type === 'linked' || input.type === 'unlinked') this.edges.push(`${input.type} ${input.boot}`)
    this.#told()
  }

  raw(_from: string, frame: readonly unknown[]): void {
    this.got.push(frame[1])
    this.#told()
  }

  async until(test: () => boolean): Promise<void> {
    while (!test()) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  #told(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

const cuts: Cut[] = []
afterEach(() => {
  for (const cut of cuts.splice(0)) cut.release()
})

/** `a` dials `b`, and can be kept from it; `c` is linked with both. */
async function three(): Promise<{ cut: Cut; nodes: [TestNode, TestNode, TestNode]; posts: [Posts, Posts, Posts] }> {
  const cut = new Cut()
  cuts.push(cut)
  const b = await startNode('b')
  const c = await startNode('c', { peers: [b] })
  const options: Partial<ClusterOptions> = { discovery: staticPeers([b, c].map((node) => node.cluster.self.address)) }
  const a = await adopt('a', (given) => startClusterIn(cut.world(), given), options)
  await Promise.all([a, b, c].map((node) => viewOf(node, ['a', 'b', 'c'])))
  const posts = [a, b, c].map(({ cluster }) => {
    const layer = new Posts()
    cluster.attach(layer)
    return layer
  }) as [Posts, Posts, Posts]
  await posts[0].until(() => posts[0].edges.length === 2)
  await posts[1].until(() => posts[1].edges.length === 2)
  return { cut, nodes: [a, b, c], posts }
}

/** Cuts `a` off from `b`, and uses the link until it is given up and made anew. */
async function separate({ cut, nodes: [a, b], posts }: Awaited<ReturnType<typeof three>>): Promise<void> {
  const { boot, name } = b.cluster.self
  cut.off.add(name)
  expect(a.cluster.post(boot, [80, 'lost'])).toBe('sent')
  for (const [layer, other] of [
    [posts[0], boot],
    [posts[1], a.cluster.self.boot],
  ] as const) {
    await layer.until(() => layer.edges.slice(-2).join() === `unlinked ${other},linked ${other}`)
  }
}

describe('two nodes that cannot hear each other while their sockets stay open', () => {
  it('go through the third, are suspected by nobody, and say so', async () => {
    const cluster = await three()
    const { nodes, posts } = cluster
    const [a, b, c] = nodes
    await separate(cluster)
    expect([a.cluster.via(b.cluster.self.boot)?.name, b.cluster.via(a.cluster.self.boot)?.name]).toEqual(['c', 'c'])
    expect(a.cluster.via(c.cluster.self.boot)).toBeUndefined()
    expect(a.cluster.stats().links.map(({ name, via }) => [name, via])).toEqual(
      expect.arrayContaining([
        ['b', 'c'],
        ['c', undefined],
      ]),
    )
    for (let i = 0; i < 200; i++) {
      expect(a.cluster.post(b.cluster.self.boot, [80, i])).toBe('sent')
      expect(b.cluster.post(a.cluster.self.boot, [80, i, Buffer.alloc(i * 100)])).toBe('sent')
    }
    const all = Array.from({ length: 200 }, (_, i) => i)
    await Promise.all([0, 1].map((i) => posts[i]?.until(() => posts[i]?.got.length === 200)))
    expect([posts[0].got, posts[1].got]).toEqual([all, all])
    for (const node of nodes) {
      expect(node.log.count(/suspected|is down/)).toBe(0)
      expect(node.cluster.members().some(({ suspect }) => suspect)).toBe(false)
    }
    for (const [node, peer] of [
      [a, 'b'],
      [b, 'a'],
    ] as const) {
      const lines = node.log.lines.filter(({ text }) => /no direct link/.test(text))
      expect(lines.map(({ level, text }) => [level, text])).toEqual([
        ['warn', `${peer}: there is no direct link to it: its frames go through c`],
      ])
      expect(lines[0]?.fields).toMatchObject({ peer, via: 'c' })
    }
  })

  it('go back to the direct link when that is there again, without a break', async () => {
    const cluster = await three()
    const { cut, nodes, posts } = cluster
    const [a, b] = nodes
    await separate(cluster)
    const edges = [posts[0].edges.length, posts[1].edges.length]
    let sent = 0
    let isBack = false
    const told = new Set<string>()
    cut.off.clear()
    const say = (): void => {
      if (isBack) return
      told.add(a.cluster.post(b.cluster.self.boot, [80, sent]))
      told.add(b.cluster.post(a.cluster.self.boot, [80, sent++]))
      setImmediate(say)
    }
    say()
    await Promise.all([a.log.line(/b: the direct link to it is back/), b.log.line(/a: the direct link to it is back/)])
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve))
    isBack = true
    expect([...told]).toEqual(['sent'])
    await Promise.all([0, 1].map((i) => posts[i]?.until(() => posts[i]?.got.length === sent)))
    const all = Array.from({ length: sent }, (_, i) => i)
    expect([posts[0].got, posts[1].got]).toEqual([all, all])
    expect([posts[0].edges.length, posts[1].edges.length]).toEqual(edges)
    expect([a.cluster.via(b.cluster.self.boot), b.cluster.via(a.cluster.self.boot)]).toEqual([undefined, undefined])
  })
})

describe('a peer of an older minor version', () => {
  it('is neither asked to pass anything on, nor reached so, nor troubled', async () => {
    const node = await startNode('a')
    const older = await link(node.cluster.self.address, 'old')
    const newer = await link(node.cluster.self.address, 'new', { capabilities: ['relay', 'of a time to come'] })
    await viewOf(node, ['a', 'new', 'old'])
    const bootOf = (name: string): string =>
      node.cluster.members().find(({ info }) => info.name === name)?.info.boot ?? ''
    const answer = new Promise<Buffer>((resolve) =>
      newer?.ws.on('message', (data) => resolveRelay(data as Buffer, resolve)),
    )
    newer?.ws.send(packFrame([linkKinds.relay, 0, bootOf('old'), bootOf('new'), 7]))
    expect([...(await answer)]).toEqual([
      ...packFrame([linkKinds.relay, 3, bootOf('new'), bootOf('old'), 7, 'the relayer has no direct link to it']),
    ])
    expect(older?.received.some((bytes) => bytes[1] === linkKinds.relay)).toBe(false)
  })

  it('counts frames of kinds that it does not know, and reads on', async () => {
    const node = await startNode('a')
    const peer = await link(node.cluster.self.address, 'b')
    await viewOf(node, ['a', 'b'])
    peer?.ws.send(packFrame([13, randomBytes(8)]))
    peer?.ws.send(packFrame([16, 5]))
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (peer?.received.some((bytes) => bytes[1] === 17)) resolve()
        else setImmediate(look)
      }
      look()
    })
    expect(node.cluster.stats().dropped).toEqual({ 'unknown kind': 1 })
  })
})

function resolveRelay(data: Buffer, resolve: (data: Buffer) => void): void {
  if (data[1] === linkKinds.relay) resolve(data)
}
