/** Whole nodes on loopback: how a cluster forms and parts, what layers get, and what people read of it. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import {
  type Cluster,
  isSkepError,
  type Layer,
  type LayerInput,
  localPeers,
  startCluster,
  staticPeers,
} from '../src/index.js'
import { Recorder, startNode, type TestNode, until, viewOf } from './nodes.js'

/** A layer whose messages are `{ text }`, in frames of kind 96. */
class Chat implements Layer<{ text: string }> {
  readonly kinds: readonly [number, number]
  readonly inputs: LayerInput[] = []
  encoded = 0
  #waiting: (() => void)[] = []

  constructor(kinds: readonly [number, number] = [96, 97]) {
    this.kinds = kinds
  }

  encode(message: { text: string }): unknown[] {
    this.encoded++
    return [this.kinds[0], message.text]
  }

  decode(frame: readonly unknown[]): { text: string } | undefined {
    return typeof frame[1] === 'string' ? { text: frame[1] } : undefined
  }

  input(input: LayerInput): void {
    this.inputs.push(input)
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  get texts(): string[] {
    return this.inputs.flatMap((input) => (input.type === 'message' ? [(input.message as { text: string }).text] : []))
  }

  heard(text: string): Promise<void> {
    return this.until(() => this.texts.includes(text))
  }

  async until(test: () => boolean): Promise<void> {
    while (!test()) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }
}

async function three(): Promise<[TestNode, TestNode, TestNode]> {
  const a = await startNode('a')
  const b = await startNode('b', { peers: [a] })
  const c = await startNode('c', { peers: [a] })
  await Promise.all([a, b, c].map((node) => viewOf(node, ['a', 'b', 'c'])))
  await Promise.all([a, b, c].map((node) => node.cluster.ready()))
  return [a, b, c]
}

function linkedAll(node: TestNode, others: readonly TestNode[]): Promise<void> {
  return until(node.cluster, () => others.every((other) => node.cluster.linked(other.cluster.self.boot)))
}

describe('a cluster', () => {
  it('forms from one known address and says so in one line each', async () => {
    const [a, b, c] = await three()
    for (const node of [a, b, c]) {
      expect(
        node.cluster
          .members()
          .map((member) => member.info.name)
          .sort(),
      ).toEqual(['a', 'b', 'c'])
    }
    expect(b.log.count(/^started: node b of cluster test listens on 127\.0\.0\.1:\d+$/)).toBe(1)
    expect(b.log.count(/^discovery found 1: 127/)).toBe(1)
    expect(b.log.count(/^linked to a at /)).toBe(1)
    expect(b.log.count(/^ready: joined/)).toBe(1)
    expect(a.log.count(/view \d+.*a, b, c/)).toBe(1)
  })

  it('says so when it finds nobody, once', async () => {
    const alone = await startNode('a', { peers: [], limits: { gateMs: 200 } })
    await alone.cluster.ready({ timeout: 5000 })
    expect(alone.log.count(/^discovery found nobody$/)).toBe(1)
  })

  it('tells of thousands of addresses in a short line', async () => {
    // Names that no resolver takes: nobody is asked for them.
    const peers = Array.from({ length: 4000 }, (_, i) => `n${i}..x:1`)
    const node = await startNode('a', { peers, limits: { gateMs: 200 } })
    const { text, fields } = await node.log.line(/^discovery found/)
    expect(text).toMatch(/^discovery found 4000: .* and 3936 more$/)
    expect(text.length + JSON.stringify(fields).length).toBeLessThan(4000)
  })

  it('forms of nodes that start at the same moment and know nothing but this host', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'skep-test-'))
    try {
      const names = ['a', 'b', 'c', 'd', 'e']
      const nodes = await Promise.all(names.map((name) => startNode(name, { discovery: localPeers({ directory }) })))
      await Promise.all(nodes.map((node) => viewOf(node, names)))
      await Promise.all(nodes.map((node) => node.cluster.ready({ timeout: 5000 })))
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })

  it('waits for the members that its formation expects, and is joined at once where it exists', async () => {
    const formation = { expect: 3, stable: 50 }
    const a = await startNode('a', { formation })
    const b = await startNode('b', { formation, peers: [a] })
    await Promise.all([a, b].map((node) => viewOf(node, ['a', 'b'])))
    expect([a.cluster.isReady, b.cluster.isReady]).toEqual([false, false])
    const c = await startNode('c', { formation, peers: [a] })
    await Promise.all([a, b, c].map((node) => node.cluster.ready({ timeout: 5000 })))
    const d = await startNode('d', { formation: { expect: 100 }, peers: [a] })
    await d.cluster.ready({ timeout: 5000 })
  })

  it('tells a node that its formation was not met in time, and takes it in later', async () => {
    const formation = { expect: 2, within: 100, stable: 50 }
    const a = await startNode('a', { formation })
    await expect(a.cluster.ready()).rejects.toMatchObject({ code: 'ERR_NOT_FORMED', members: 1 })
    await expect(a.cluster.ready()).rejects.toMatchObject({ code: 'ERR_NOT_FORMED' })
    expect(a.log.count(/only 1 of 2 members after 100 ms/)).toBe(1)
    // Only the first is to run out of time, however busy the machine is.
    const b = await startNode('b', { formation: { ...formation, within: 60_000 }, peers: [a] })
    await b.cluster.ready({ timeout: 5000 })
    await vi.waitFor(() => expect(a.cluster.isReady).toBe(true), 5000)
    await a.cluster.ready()
  })

  it('finds others by a strategy that is added while it runs, and says who named an address', async () => {
    const a = await startNode('a')
    const b = await startNode('b')
    const { address } = b.cluster.self
    expect(a.cluster.explainPeer(address)).toMatchObject({ namedBy: [], dials: 0, outcome: undefined, members: [] })
    const remove = a.cluster.addDiscovery(staticPeers([address, '127.0.0.1:1']))
    await Promise.all([a, b].map((node) => viewOf(node, ['a', 'b'])))
    await vi.waitFor(() => expect(a.cluster.explainPeer(address).outcome).toBe('linked'))
    expect(a.cluster.explainPeer(address)).toMatchObject({
      namedBy: [{ source: 'staticPeers', now: true }],
      dials: 1,
      outcome: 'linked',
      members: [{ name: 'b', boot: b.cluster.self.boot, linked: true }],
    })
    await vi.waitFor(() => expect(a.cluster.explainPeer('127.0.0.1:1')).toMatchObject({ outcome: 'refused' }))
    expect(a.cluster.stats().discovery).toMatchObject([{ source: 'staticPeers', answers: 1, failures: 0 }])
    await remove()
    expect(a.cluster.explainPeer(address)).toMatchObject({ namedBy: [], outcome: 'linked' })
    expect(a.cluster.linked(b.cluster.self.boot)).toBe(true)
    expect(() => a.cluster.explainPeer('nonsense')).toThrow(TypeError)
  })

  it('loses a node that dies without a word at once, and one that leaves as a leaver', async () => {
    const [a, b, c] = await three()
    const died = b.cluster.self.boot
    await b.cluster.close()
    await Promise.all([viewOf(a, ['a', 'c']), viewOf(c, ['a', 'c'])])
    expect(a.cluster.member(died)?.phase).toBe('down')
    await c.cluster.leave()
    await c.cluster.close()
    await until(a.cluster, () => a.cluster.member(c.cluster.self.boot)?.phase === 'left')
    await viewOf(a, ['a'])
  })

  it('takes a node back that restarts under its name and address', async () => {
    const [a, b] = await three()
    const { address, boot } = b.cluster.self
    await b.cluster.close()
    const again = await startNode('b', { peers: [a], listen: address })
    await until(a.cluster, () => a.cluster.linked(again.cluster.self.boot))
    await until(a.cluster, () => a.cluster.member(boot)?.phase === 'down')
    await viewOf(a, ['a', 'b', 'c'])
  })

  it('hears what a node says of itself anew', async () => {
    const [a, b] = await three()
    b.cluster.describe({ kinds: ['counter'], cordoned: true })
    await until(a.cluster, () => a.cluster.member(b.cluster.self.boot)?.info.cordoned === true)
    expect(a.cluster.member(b.cluster.self.boot)?.info.kinds).toEqual(['counter'])
  })
})

describe('a layer', () => {
  it('is told what is known when it comes: members, view, links, gate', async () => {
    const [a, b, c] = await three()
    await linkedAll(a, [b, c])
    const chat = new Chat()
    a.cluster.attach(chat)
    expect(chat.inputs.map((input) => input.type)).toEqual([
      'member',
      'member',
      'member',
      'view',
      'linked',
      'linked',
      'gateOpen',
    ])
  })

  it('gets messages decoded, in order, and packs one message to many but once', async () => {
    const [a, b, c] = await three()
    await linkedAll(a, [b, c])
    const [mine, first, second] = [new Chat(), new Chat(), new Chat()]
    a.cluster.attach(mine)
    b.cluster.attach(first)
    c.cluster.attach(second)
    const message = { text: 'to all' }
    for (const node of [b, c]) a.cluster.send(node.cluster.self.boot, message)
    for (let i = 0; i < 20; i++) a.cluster.send(b.cluster.self.boot, { text: `${i}` }, { carry: i % 2 === 0 })
    await Promise.all([first.heard('19'), second.heard('to all')])
    expect(first.texts).toEqual(['to all', ...Array.from({ length: 20 }, (_, i) => `${i}`)])
    expect(mine.encoded).toBe(21)
  })

  it('has what it holds back sent before anything else, or when no promise of the turn goes on any more', async () => {
    const [a, b] = await three()
    const [mine, theirs] = [new Chat(), new Chat()]
    a.cluster.attach(mine)
    b.cluster.attach(theirs)
    const to = b.cluster.self.boot
    a.cluster.beforeSending(() => a.cluster.send(to, { text: 'held' }))
    a.cluster.post(to, [96, 'posted'])
    a.cluster.beforeSending(() => a.cluster.send(to, { text: 'held, too' }))
    a.cluster.send(to, { text: 'sent' })
    a.cluster.beforeSending(() => a.cluster.send(to, { text: 'held to the end' }))
    for (let i = 0; i < 20; i++) await undefined
    expect(mine.encoded).toBe(3)
    await theirs.heard('held to the end')
    expect(theirs.texts).toEqual(['held', 'posted', 'held, too', 'sent', 'held to the end'])
  })

  it('reaches a node without a link through a neighbour, which need not know the kind', async () => {
    const a = await startNode('a', { secret: 'one' })
    const middle = await startNode('m', { secret: ['one', 'two'], peers: [a] })
    const b = await startNode('b', { secret: 'two', peers: [middle] })
    await Promise.all([viewOf(a, ['a', 'b', 'm']), viewOf(b, ['a', 'b', 'm'])])
    const [mine, theirs] = [new Chat(), new Chat()]
    a.cluster.attach(mine)
    b.cluster.attach(theirs)
    expect(a.cluster.linked(b.cluster.self.boot)).toBe(false)
    a.cluster.send(b.cluster.self.boot, { text: 'over there' }, { relay: true })
    await theirs.heard('over there')
    expect(theirs.inputs.at(-1)).toMatchObject({ type: 'message', from: a.cluster.self.boot })
  })

  it('with raw gets frames as they came, past the machine; posts keep their order at any size', async () => {
    const [a, b] = await three()
    const got: number[] = []
    await new Promise<void>((resolve) => {
      b.cluster.attach({
        kinds: [64, 95],
        encode: () => [64],
        decode: () => undefined,
        input: () => {},
        raw: (from, frame) => {
          expect(from).toBe(a.cluster.self.boot)
          if (got.push(frame[1] as number) === 30) resolve()
        },
      })
      for (let i = 0; i < 30; i++) {
        expect(a.cluster.post(b.cluster.self.boot, [64, i, Buffer.alloc(i % 7 === 0 ? 200_000 : 10)])).toBe('sent')
      }
    })
    expect(got).toEqual(Array.from({ length: 30 }, (_, i) => i))
  })

  it('hears when a peer takes posts again that was too full for one', async () => {
    const [a, b] = await three()
    const chat = new Chat()
    a.cluster.attach(chat)
    const frame = [96, Buffer.alloc(100_000)]
    while (a.cluster.post(b.cluster.self.boot, frame) === 'sent');
    expect(a.cluster.post(b.cluster.self.boot, frame)).toBe('overloaded')
    await chat.until(() => chat.inputs.some(({ type }) => type === 'drained'))
    expect(a.cluster.post(b.cluster.self.boot, frame)).toBe('sent')
  })

  it("that does not share its kinds; and only kinds that are a layer's", async () => {
    const { cluster } = await startNode('a')
    cluster.attach(new Chat([96, 97]))
    expect(() => cluster.attach(new Chat([97, 98]))).toThrow('overlap')
    expect(() => cluster.attach(new Chat([16, 40]))).toThrow("not a layer's")
    expect(() => cluster.send('x', [16, 1])).toThrow('not the kind')
  })

  it('that throws ends its node, as broken, and no other', async () => {
    const [a, b] = await three()
    a.cluster.attach(new Chat())
    b.cluster.attach({
      ...new Chat(),
      kinds: [96, 97],
      encode: () => [96],
      decode: () => 1,
      input: (input) => {
        if (input.type === 'message') throw new Error('broken layer')
      },
    })
    a.cluster.send(b.cluster.self.boot, { text: 'x' })
    await b.log.line(/broken invariant, this node ends: broken layer/)
    expect(b.fatal.splice(0)).toMatchObject([{ message: 'broken layer' }])
    await viewOf(a, ['a', 'c'])
    expect(a.fatal).toEqual([])
  })
})

describe('posting', () => {
  it('tells what cannot be sent, what is too large, and who is not linked', async () => {
    const [a, b] = await three()
    const to = b.cluster.self.boot
    expect(a.cluster.post('nobody', [64])).toBe('unlinked')
    expect(a.cluster.post(a.cluster.self.boot, [64])).toBe('unlinked')
    const code = (frame: unknown[]): unknown => {
      try {
        return a.cluster.post(to, frame)
      } catch (error) {
        return isSkepError(error) ? error.code : error
      }
    }
    const cycle: unknown[] = [64]
    cycle.push(cycle)
    expect(code([64, Symbol('x')])).toBe('ERR_NOT_SENDABLE')
    expect(code(cycle)).toBe('ERR_NOT_SENDABLE')
    expect(code([64, Buffer.alloc(17 * 1024 * 1024)])).toBe('ERR_TOO_LARGE')
    expect(code([64, 'fine'])).toBe('sent')
  })

  it('a message that cannot be sent is dropped with a line, and the node goes on', async () => {
    const [a, b] = await three()
    a.cluster.send(b.cluster.self.boot, [96, Symbol('x')])
    expect(a.log.count(/^a message cannot be sent: dropped/)).toBe(1)
    expect(a.cluster.linked(b.cluster.self.boot)).toBe(true)
  })
})

describe('being ready', () => {
  it('comes at once without discovery, and only when marked where a layer says so', async () => {
    const alone = await startNode('a')
    await alone.cluster.ready()
    const layered = await startNode('b', { manualReady: true })
    const error: unknown = await layered.cluster.ready({ timeout: 10 }).catch((reason: unknown) => reason)
    expect(isSkepError(error, 'ERR_NOT_READY') && error.message).toContain('after 10 ms: the layers above')
    expect(layered.cluster.members()[0]?.phase).toBe('joining')
    const waiting = layered.cluster.ready()
    layered.cluster.markReady()
    await waiting
    expect(layered.cluster.members()[0]?.phase).toBe('up')
  })

  it('can be given up by a signal, and ends with the node', async () => {
    const { cluster } = await startNode('a', { manualReady: true })
    const abort = new AbortController()
    const aborted = cluster.ready({ signal: abort.signal }).catch((reason: unknown) => reason)
    abort.abort()
    expect(isSkepError(await aborted, 'ERR_ABORTED')).toBe(true)
    const stopped = cluster.ready().catch((reason: unknown) => reason)
    await cluster.close()
    expect(isSkepError(await stopped, 'ERR_STOPPED')).toBe(true)
    expect(isSkepError(await cluster.ready().catch((reason: unknown) => reason), 'ERR_STOPPED')).toBe(true)
  })

  it('does not wait for ever for addresses where nobody is', async () => {
    const { cluster } = await startNode('a', { peers: ['127.0.0.1:1'], limits: { gateMs: 100 } })
    await cluster.ready({ timeout: 3000 })
  })
})

describe('an ended node', () => {
  it('answers everything quietly, and can be closed twice', async () => {
    const [a, b] = await three()
    const { cluster } = a
    await cluster.close()
    await cluster.close()
    cluster.send(b.cluster.self.boot, [96])
    await cluster.leave()
    expect(cluster.post(b.cluster.self.boot, [96])).toBe('unlinked')
    expect(cluster.stats().links).toEqual([])
  })

  it('leaves its port free', async () => {
    const a = await startNode('a')
    const { address } = a.cluster.self
    await a.cluster.close()
    const log = new Recorder()
    const again: Cluster = await startCluster({
      cluster: 'test',
      name: 'a',
      listen: address,
      secret: 's',
      logger: log.logger,
    })
    await again.close()
    expect(log.lines.at(-1)?.text).toBe('stopped')
  })
})
