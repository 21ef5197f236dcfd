/** The network of whole nodes: what links rely on, and what faults do to it. */
import { seedRandom } from '@skep/cluster/core'
import type { Connection } from '@skep/cluster/internal'
import { afterEach, describe, expect, test } from 'vitest'
import type { NetworkShape } from '../src/nodes/connection.js'
import { kinds, Loop } from '../src/nodes/loop.js'
import { calmNetwork, Network, type VirtualTransport } from '../src/nodes/network.js'
import { SimProcess } from '../src/nodes/process.js'

const loops: Loop[] = []
afterEach(() => {
  for (const loop of loops.splice(0)) loop.stop()
})

/** Two processes on two machines. */
class Lab {
  readonly loop = new Loop(1e9, () => {})
  readonly network: Network
  readonly processes: SimProcess[] = []
  readonly transports: VirtualTransport[] = []

  constructor(shape: Partial<NetworkShape> = {}) {
    loops.push(this.loop)
    this.network = new Network(this.loop, seedRandom(1), { ...calmNetwork, ...shape })
    for (let index = 0; index < 2; index++) {
      this.network.place(`10.0.0.${index + 1}:1`, index)
      const process = new SimProcess(index, { rate: 1, stepMs: 0 }, seedRandom(index), this.network)
      this.processes.push(process)
      this.transports.push(process.transport())
    }
  }

  pass(ms: number): Promise<void> {
    return new Promise((resolve) => void this.loop.at(this.loop.now + ms, kinds.plan, undefined, resolve))
  }

  /** What both ends hear. */
  readonly heard: string[] = []

  hear(who: string, connection: Connection): Connection {
    const at = (): string => `${who} at ${Math.round(this.loop.now)}`
    connection.events = {
      open: () => this.heard.push(`${at()}: open`),
      message: (data) => this.heard.push(data.length < 20 ? `${who}: ${data}` : `${who}: ${data.length} bytes`),
      drain: () => this.heard.push(`${who}: drain`),
      closed: ({ reason, byPeer, refused }) => this.heard.push(`${who}: closed ${reason} ${byPeer} ${refused}`),
    }
    return connection
  }

  async connected(): Promise<[Connection, Connection]> {
    const [a, b] = this.transports
    let far: Connection | undefined
    await b?.listen(
      { host: '10.0.0.2', port: 1 },
      { bound: () => {}, dropped: () => {}, met: (one) => (far = this.hear('b', one)) },
    )
    const near = this.hear('a', a?.dial('10.0.0.2:1') as Connection)
    await this.pass(500)
    this.heard.length = 0
    return [near, far as Connection]
  }

  get index(): [SimProcess, SimProcess] {
    return this.processes as [SimProcess, SimProcess]
  }
}

const cut = (from: number, to: number, oneWay = false) => ({ from: new Set([from]), to: new Set([to]), oneWay })

describe('a dial', () => {
  test('is refused where nobody listens', async () => {
    const lab = new Lab()
    lab.hear('a', lab.transports[0]?.dial('10.0.0.2:1') as Connection)
    await lab.pass(500)
    expect(lab.heard).toEqual(['a: closed ECONNREFUSED true true'])
  })

  test('hears nothing while there is a cut', async () => {
    const lab = new Lab()
    lab.network.cut(cut(0, 1))
    lab.hear('a', lab.transports[0]?.dial('10.0.0.2:1') as Connection)
    await lab.pass(60_000)
    expect(lab.heard).toEqual([])
  })
})

describe('a connection', () => {
  test('carries messages in order, whatever the delays', async () => {
    const lab = new Lab({ tailShare: 0.5 })
    const [a, b] = await lab.connected()
    for (let i = 0; i < 50; i++) {
      a.send(Buffer.from(String(i)))
      await lab.pass(i % 3)
    }
    b.send(Buffer.from('back'))
    await lab.pass(500)
    expect(lab.heard.filter((line) => line.startsWith('b'))).toEqual(Array.from({ length: 50 }, (_, i) => `b: ${i}`))
    expect(lab.heard).toContain('a: back')
  })

  test('to a reader that stands still fills the sender’s buffer, which drains when it reads again', async () => {
    const lab = new Lab()
    const [a] = await lab.connected()
    lab.index[1].stall(5000)
    for (let i = 0; i < 100; i++) a.send(Buffer.alloc(10_000))
    await lab.pass(1000)
    expect(a.bufferedAmount).toBeGreaterThan(700_000)
    expect(lab.heard).toEqual([])
    await lab.pass(5000)
    expect(a.bufferedAmount).toBe(0)
    expect(lab.heard.filter((line) => line === 'b: 10000 bytes')).toHaveLength(100)
    expect(lab.heard).toContain('a: drain')
  })

  test('that is cut one way is silent that way, and goes on where it was after the heal', async () => {
    const lab = new Lab()
    const [a, b] = await lab.connected()
    lab.network.cut(cut(0, 1, true))
    a.send(Buffer.from('held'))
    b.send(Buffer.from('passes'))
    await lab.pass(5000)
    expect(lab.heard).toEqual(['a: passes'])
    lab.network.heal()
    a.send(Buffer.from('next'))
    await lab.pass(1000)
    expect(lab.heard).toEqual(['a: passes', 'b: held', 'b: next'])
  })

  test('closes in order: what was sent arrives, both ends hear of it', async () => {
    const lab = new Lab()
    const [a] = await lab.connected()
    a.send(Buffer.from('last'))
    const closed = a.close('enough')
    await closed
    expect(lab.heard).toEqual(['b: last', 'b: closed enough true false', 'a: closed  true false'])
  })

  test('across a cut closes alone after a while; the far end hears of it after the heal', async () => {
    const lab = new Lab()
    const [a] = await lab.connected()
    lab.network.cut(cut(0, 1))
    const before = lab.loop.now
    await a.close('enough')
    expect(lab.loop.now - before).toBe(1000)
    await lab.pass(5000)
    expect(lab.heard.filter((line) => line.startsWith('b'))).toEqual([])
    lab.network.heal()
    await lab.pass(1000)
    expect(lab.heard.filter((line) => line.startsWith('b'))).toEqual(['b: closed enough true false'])
  })

  test('of a process that died is reset', async () => {
    const lab = new Lab()
    await lab.connected()
    lab.index[1].alive = false
    lab.network.died(lab.index[1])
    await lab.pass(500)
    expect(lab.heard).toEqual(['a: closed ECONNRESET true false'])
  })
})

describe('a process', () => {
  test('that stood still runs its late timers first, then reads, then what it deferred', async () => {
    const lab = new Lab()
    const [a, b] = await lab.connected()
    const [, process] = lab.index
    process.stall(1000)
    process.time.defer(() => lab.heard.push('deferred'))
    a.send(Buffer.from('frame'))
    await lab.pass(300)
    process.time.setTimer(() => lab.heard.push('timer'), 10)
    b.send(Buffer.from('said while it stood still'))
    await lab.pass(500)
    expect(lab.heard).toEqual([])
    await lab.pass(1000)
    expect(lab.heard).toEqual(['timer', 'b: frame', 'deferred', 'a: 25 bytes'])
  })

  test('has a clock of its own rate, and timers by it', async () => {
    const lab = new Lab()
    const process = new SimProcess(0, { rate: 2, stepMs: 60_000 }, seedRandom(1), lab.network)
    const wall = process.time.wall()
    let firedAt = 0
    process.time.setTimer(() => {
      firedAt = lab.loop.now
    }, 1000)
    await lab.pass(5000)
    expect(firedAt).toBe(500)
    expect(process.time.now()).toBe(10_000)
    expect(process.time.wall() - wall).toBe(10_000)
  })
})
