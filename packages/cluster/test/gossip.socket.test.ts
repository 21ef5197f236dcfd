/** Gossip over real sockets: multicast on the loopback interface, on ports that are free, nothing of which leaves the host. */
import { createHash } from 'node:crypto'
import { createSocket, Socket } from 'node:dgram'
import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { DiscoveryContext } from '../src/discovery/discovery.js'
import { sealPacket } from '../src/discovery/gossip-packet.js'
import { type Gossip, type GossipOptions, gossip } from '../src/index.js'
import { Recorder, startNode, viewOf } from './nodes.js'

const group = '239.255.115.107'
const key = createHash('sha256').update('ours').digest()
const oldKey = createHash('sha256').update('ours of before').digest()

let port: number
const ends: (() => unknown)[] = []

beforeEach(async () => {
  const socket = createSocket('udp4').bind(0)
  await once(socket, 'listening')
  port = socket.address().port
  await new Promise<void>((resolve) => socket.close(resolve))
})

afterEach(async () => {
  await Promise.all(ends.splice(0).map((end) => end()))
})

interface Running {
  readonly strategy: Gossip
  readonly log: Recorder
  readonly self: DiscoveryContext['self']
  readonly address: string
  /** What it named last. */
  readonly named: () => readonly string[]
  readonly refresh: () => void
  /** Rejects when the strategy throws. */
  readonly over: Promise<void>
  readonly end: () => Promise<void>
}

let lastPort = 0

/** One run of the strategy as node `boot`, without the runner. */
function run(
  boot: string,
  options: GossipOptions = {},
  { keys = [key], cluster = 'c', again }: { keys?: readonly Uint8Array[]; cluster?: string; again?: Running } = {},
): Running {
  const strategy = again?.strategy ?? gossip({ port, interface: '127.0.0.1', intervalMs: 200, ...options })
  const abort = new AbortController()
  const log = new Recorder()
  let named: readonly string[] = ['nothing said yet']
  let refresh = (): void => {}
  lastPort++
  const self = again?.self ?? { name: boot, address: `127.0.0.1:${lastPort}`, cluster, boot }
  const context: DiscoveryContext = {
    signal: abort.signal,
    self,
    logger: log.logger,
    onRefresh: (listener) => {
      refresh = listener
    },
    keys: () => keys,
  }
  const consume = async (): Promise<void> => {
    for await (const answer of strategy(context)) named = answer
  }
  const over = consume()
  const end = async (): Promise<void> => {
    abort.abort()
    await over
  }
  ends.push(() => end().catch(() => {}))
  return { strategy, log, self, address: self.address, named: () => named, refresh: () => refresh(), over, end }
}

/** A third one on the same group, who has no key. */
async function stranger(): Promise<{ heard: Buffer[]; send: (packet: Uint8Array) => Promise<void> }> {
  const socket: Socket = createSocket({ type: 'udp4', reuseAddr: true })
  const heard: Buffer[] = []
  socket.on('message', (packet) => heard.push(packet))
  socket.bind(port)
  await once(socket, 'listening')
  socket.addMembership(group, '127.0.0.1')
  socket.setMulticastInterface('127.0.0.1')
  ends.push(() => new Promise<void>((resolve) => socket.close(resolve)))
  return {
    heard,
    send: (packet) =>
      new Promise((resolve, reject) =>
        socket.send(packet, port, group, (error) => (error ? reject(error) : resolve())),
      ),
  }
}

const soon = { timeout: 20_000, interval: 10 }

async function meet(...all: Running[]): Promise<void> {
  for (const one of all) {
    const others = all.filter((other) => other !== one).map(({ address }) => address)
    await vi.waitFor(() => expect([...one.named()]).toEqual(others.sort()), soon)
  }
}

/** They have each had datagrams of the other, so what they say then is no accident. */
async function strangers(a: Running, b: Running, reason: 'forged' | 'cluster' | 'unsealed'): Promise<void> {
  for (const one of [a, b])
    await vi.waitFor(() => expect(one.strategy.counts().dropped[reason]).toBeGreaterThan(3), soon)
  for (const one of [a, b]) await vi.waitFor(() => expect(one.named()).toEqual([]), soon)
}

describe('nodes that gossip', () => {
  it('meet by multicast on one host, two and then three, and forget who goes', async () => {
    const [a, b] = [run('a'), run('b')]
    await meet(a, b)
    const c = run('c')
    await meet(a, b, c)
    await b.end()
    await meet(a, c)
  })

  it('meet by broadcast', async () => {
    const options = { broadcast: '127.255.255.255', interface: undefined } as unknown as GossipOptions
    await meet(run('a', options), run('b', options), run('c', options))
  })

  it('meet by IPv6 where an interface has it', async ({ skip }) => {
    const [name] = Object.entries(networkInterfaces()).flatMap(([name, all]) =>
      (all ?? []).some(({ address }) => address.startsWith('fe80:')) ? [name] : [],
    )
    if (name === undefined) return skip('no interface here has a link-local IPv6 address')
    const options = { group: 'ff02::736b', interface: name, ttl: 0 }
    await meet(run('a', options), run('b', options))
  })

  it('meet within a moment, however long their interval: a newcomer is answered', async () => {
    const a = run('a', { intervalMs: 3_600_000 })
    await vi.waitFor(() => expect(a.named()).toEqual([]), soon)
    const before = a.strategy.counts().sent
    await meet(a, run('b', { intervalMs: 3_600_000 }))
    expect(a.strategy.counts().sent).toBeGreaterThan(before)
  })

  it('say that nobody is there after a while of listening, and again when asked', async () => {
    const a = run('a')
    await vi.waitFor(() => expect(a.named()).toEqual([]), soon)
    const { sent } = a.strategy.counts()
    a.refresh()
    await vi.waitFor(() => expect(a.strategy.counts().sent).toBeGreaterThan(sent), soon)
  })

  it('never name each other when their secrets differ', async () => {
    await strangers(run('a'), run('b', {}, { keys: [oldKey] }), 'forged')
  })

  it('never name each other when their clusters differ, even under one key', async () => {
    await strangers(run('a'), run('b', {}, { cluster: 'd' }), 'cluster')
  })

  it('name each other through a rotation of the secret, as long as each reads what the other writes', async () => {
    await meet(run('a', {}, { keys: [key, oldKey] }), run('b', {}, { keys: [oldKey, key] }))
  })

  it('do not start without a secret, and say what to do', async () => {
    await expect(run('a', {}, { keys: [] }).over).rejects.toThrow(/wants a secret of the cluster.*insecure: true/)
  })

  it('meet without a secret where that is allowed, but not one that has a secret', async () => {
    const [a, b] = [run('a', { insecure: true }, { keys: [] }), run('b', { insecure: true }, { keys: [] })]
    await meet(a, b)
    const c = run('c', { insecure: true })
    await vi.waitFor(() => expect(c.strategy.counts().dropped.unsealed).toBeGreaterThan(3), soon)
    await vi.waitFor(() => expect(c.named()).toEqual([]), soon)
    expect(a.named()).toEqual([b.address])
  })

  it('are not named anew by what was recorded of them, once they are gone', async () => {
    const recorder = await stranger()
    const [a, b] = [run('a'), run('b')]
    await meet(a, b)
    await vi.waitFor(() => expect(a.strategy.counts().heard).toBeGreaterThan(3), soon)
    await b.end()
    await vi.waitFor(() => expect(a.named()).toEqual([]), soon)
    // Those of `a` itself are among them.
    const recorded = [...recorder.heard]
    const replays = (): number => a.strategy.counts().dropped.replayed ?? 0
    const [before, { heard }] = [replays(), a.strategy.counts()]
    for (const packet of recorded) await recorder.send(packet)
    await vi.waitFor(() => expect(replays()).toBeGreaterThan(before + 2), soon)
    expect(a.named()).toEqual([])
    expect(a.strategy.counts().heard).toBe(heard)
  })

  it('know what was heard before, and are heard, when the strategy is asked again after a failure', async () => {
    const recorder = await stranger()
    const [a, b] = [run('a'), run('b')]
    await meet(a, b)
    await vi.waitFor(() => expect(a.strategy.counts().heard).toBeGreaterThan(3), soon)
    await b.end()
    await vi.waitFor(() => expect(a.named()).toEqual([]), soon)
    await a.end()
    const recorded = [...recorder.heard]
    const sameA = run('a', {}, { again: a })
    await vi.waitFor(() => expect(sameA.named()).toEqual([]), soon)
    for (const packet of recorded) await recorder.send(packet)
    await vi.waitFor(() => expect(a.strategy.counts().dropped.replayed).toBeGreaterThan(2), soon)
    expect(sameA.named()).toEqual([])
    await meet(sameA, run('b', {}, { again: b }))
  })

  it('pass over garbage, and beats of clocks that are far from theirs', async () => {
    const { send } = await stranger()
    const [a, b] = [run('a'), run('b')]
    await meet(a, b)
    const beat = { cluster: 'c', name: 'x', boot: 'x', address: 'h:1', sequence: 1 }
    await send(Buffer.alloc(0))
    await send(Buffer.from('heartbeat::'))
    await send(Buffer.alloc(60_000, 0x73))
    await send(sealPacket({ ...beat, sentAt: Date.now() - 60_000 }, key))
    await send(sealPacket({ ...beat, sentAt: Date.now() + 60_000 }, key))
    const drops = { malformed: 2, oversized: 1, old: 2 }
    await vi.waitFor(() => expect(a.strategy.counts().dropped).toMatchObject(drops), soon)
    expect(a.named()).toEqual([b.address])
  })

  it('are told in words of an interface that is not here', async () => {
    await expect(run('a', { interface: 'nowhere7' }).over).rejects.toThrow(
      /no interface 'nowhere7' with an IPv4 address/,
    )
  })

  it('are told of a port that another program keeps for itself', async () => {
    const socket = createSocket('udp4').bind(port)
    await once(socket, 'listening')
    ends.push(() => new Promise<void>((resolve) => socket.close(resolve)))
    await expect(run('a').over).rejects.toThrow(/EADDRINUSE/)
  })

  it('say once that nothing can be sent, and go on', async () => {
    const noRoute = (...args: unknown[]): void => {
      queueMicrotask(() => (args.at(-1) as (error: Error) => void)(new Error('send ENETUNREACH')))
    }
    const send = vi.spyOn(Socket.prototype, 'send').mockImplementation(noRoute)
    ends.push(() => send.mockRestore())
    const a = run('a')
    await a.log.line(/cannot send to 239.255.115.107: send ENETUNREACH; trying on/)
    await vi.waitFor(() => expect(send.mock.calls.length).toBeGreaterThan(3), soon)
    expect(a.named()).toEqual([])
    expect(a.strategy.counts().sent).toBe(0)
    expect(a.log.count(/cannot send/)).toBe(1)
  })

  it('form a cluster, and each can say who named the other', async () => {
    const discovery = (): Gossip => gossip({ port, interface: '127.0.0.1' })
    const [a, b] = [await startNode('a', { discovery: discovery() }), await startNode('b', { discovery: discovery() })]
    await Promise.all([viewOf(a, ['a', 'b']), viewOf(b, ['a', 'b'])])
    const { namedBy } = a.cluster.explainPeer(b.cluster.self.address)
    expect(namedBy.map(({ source, now }) => [source, now])).toEqual([['gossip', true]])
  })
})
