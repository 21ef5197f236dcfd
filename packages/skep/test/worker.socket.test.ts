/** Nodes as workers start them, over real sockets; the test is their supervisor, and their signals are its own. */
import { EventEmitter, getEventListeners } from 'node:events'
import { defineActor } from '@skep/actor'
import { type Discovery, staticPeers } from '@skep/cluster'
import { afterEach, describe, expect, it } from 'vitest'
import type { AdminTarget } from '../src/admin.js'
import { type NodeConfig, type SkepNode, startNode, via } from '../src/index.js'
import { realWorld } from '../src/internal.js'
import type { SignalSource } from '../src/signals.js'
import { type FromWorker, Siblings, type ToWorker, Worker, workerConfig } from '../src/worker.js'
import type { World } from '../src/world.js'

const Counter = defineActor('counter', {
  init: () => ({ n: 0 }),
  on: {
    increment: (self) => {
      self.state.n += 1
      return self.state.n
    },
  },
})

class FakeSignals extends EventEmitter implements SignalSource {
  readonly codes: number[] = []

  exit(code: number): void {
    this.codes.push(code)
  }
}

interface Started {
  readonly node: SkepNode
  readonly signals: FakeSignals
  readonly said: FromWorker[]
  say(message: ToWorker): void
  close(): void
}

const running: SkepNode[] = []

afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()))
})

const shared = { cluster: 'cores', actors: [Counter], logger: 'silent' } as const

async function startWorker(
  number: number,
  config: Partial<NodeConfig> = {},
  given: Partial<World> = {},
): Promise<Started> {
  const signals = new FakeSignals()
  const said: FromWorker[] = []
  let hear: (message: ToWorker) => void = () => {}
  let close = (): void => {}
  const channel = {
    send: (message: FromWorker) => void said.push(message),
    onMessage: (listener: (message: ToWorker) => void) => {
      hear = listener
    },
    onClosed: (listener: () => void) => {
      close = listener
    },
    signal: (signal: NodeJS.Signals) => void signals.emit(signal, signal),
  }
  const worker = new Worker(number, channel, { ...realWorld, signals, ...given })
  const node = await worker.start({ name: 'machine', ...shared, ...config })
  running.push(node)
  return { node, signals, said, say: (message) => hear(message), close: () => close() }
}

/** Resolves once it holds; the test's own time limit is the bound. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

/** Two workers of one machine, and a node of another, when each knows all. */
async function machine(): Promise<{ readonly workers: readonly [Started, Started]; readonly other: SkepNode }> {
  const workers = [await startWorker(0), await startWorker(1)] as const
  const siblings = workers.map(({ node: { name, address } }) => ({ name, address }))
  for (const { say } of workers) say({ skep: 'siblings', siblings })
  const discovery = staticPeers(siblings.map(({ address }) => address))
  const other = await startNode({ name: 'other', ...shared, discovery, signals: false })
  running.push(other)
  const all = [...workers.map(({ node }) => node), other]
  await Promise.all(all.map((node) => node.ready({ timeout: 20_000 })))
  await until(() => all.every((node) => node.members().length === 3))
  return { workers, other }
}

/** Names that run on that node, each called once. */
async function counters(on: SkepNode, from: SkepNode, count: number): Promise<string[]> {
  const names: string[] = []
  for (let i = 0; names.length < count; i++) {
    const name = `counter-${i}`
    const { node } = await from.spawn(Counter, via(name, { visible: 'all' }))
    if (node === on.name) names.push(name)
    await from.via(Counter, name).increment()
  }
  return names
}

describe('workers', () => {
  it('find their siblings by what the supervisor says, and tell it when they are ready', {
    timeout: 60_000,
  }, async () => {
    const { workers } = await machine()
    expect(workers.map(({ node }) => node.name)).toEqual(['machine.0', 'machine.1'])
    for (const { said, node } of workers) {
      await until(() => said.length === 2)
      const { name, address } = node
      expect(said).toEqual([
        { skep: 'node', name, address, readiness: 'joining' },
        { skep: 'node', name, address, readiness: 'ready' },
      ])
    }
    expect(new Set(workers[0].node.members().map((member) => member.machine))).toEqual(new Set(['127.0.0.1']))
  })

  it('hand nothing over to each other when all leave, whoever begins', { timeout: 60_000 }, async () => {
    const { workers, other } = await machine()
    const [one, two] = workers
    const names = await counters(one.node, other, 20)
    const moves: string[] = []
    other.on('moved', ({ claim }) => void moves.push(`${claim.name} ${claim.pid.node}`))
    const leave: ToWorker = { skep: 'leave', names: workers.map(({ node }) => node.name) }
    one.say(leave)
    // It must not be the clock that keeps the first one from being early.
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve))
    expect([one.signals.codes, moves]).toEqual([[], []])
    two.say(leave)
    await until(() => workers.every(({ signals }) => signals.codes.length === 1))
    expect(workers.map(({ signals }) => signals.codes)).toEqual([[0], [0]])
    expect(workers.map(({ said }) => said.at(-1))).toMatchObject([{ readiness: 'leaving' }, { readiness: 'leaving' }])
    for (const name of names) expect(await other.via(Counter, name).increment()).toBe(2)
    expect(moves.filter((move) => !move.endsWith(' other'))).toEqual([])
    expect(new Set(moves).size).toBe(moves.length)
  })

  it('told by a signal ask who else was, and drain once they know', { timeout: 60_000 }, async () => {
    const { workers } = await machine()
    const [one, two] = workers
    one.signals.emit('SIGTERM', 'SIGTERM')
    two.signals.emit('SIGTERM', 'SIGTERM')
    for (const { said } of workers) expect(said.at(-1)).toEqual({ skep: 'signal', signal: 'SIGTERM' })
    for (const { say } of workers) say({ skep: 'leave', names: ['machine.0', 'machine.1'] })
    await until(() => workers.every(({ signals }) => signals.codes.length > 0))
    expect(workers.map(({ signals }) => signals.codes)).toEqual([[0], [0]])
  })

  it('told to leave take the same signal from somebody else for the same, and a third for haste', async () => {
    const { signals, say, node } = await startWorker(0)
    // So that the signals meet a node that is still on its way.
    node.drain = () => new Promise(() => {})
    say({ skep: 'leave', names: [node.name] })
    await new Promise((resolve) => setImmediate(resolve))
    signals.emit('SIGTERM', 'SIGTERM')
    expect(signals.codes).toEqual([])
    signals.emit('SIGTERM', 'SIGTERM')
    expect(signals.codes).toEqual([143])
  })

  it('whose supervisor is gone leave in order', { timeout: 60_000 }, async () => {
    const { workers, other } = await machine()
    const names = await counters(workers[1].node, other, 5)
    for (const { close } of workers) close()
    await until(() => workers.every(({ signals }) => signals.codes.length > 0))
    expect(workers.map(({ signals }) => signals.codes)).toEqual([[0], [0]])
    for (const name of names) expect(await other.via(Counter, name).increment()).toBe(2)
  })

  it('that have joined before their admin listener is open tell that they are ready', { timeout: 60_000 }, async () => {
    const other = await startNode({ name: 'other', ...shared, signals: false })
    running.push(other)
    await other.ready()
    const admin = async (_: unknown, target: AdminTarget) => {
      await until(() => target.readiness() === 'ready')
      await new Promise((resolve) => setImmediate(resolve))
      return { address: '127.0.0.1:1', close: async () => {} }
    }
    const config = { discovery: staticPeers([other.address]), admin: '127.0.0.1:0' }
    const { node, said } = await startWorker(0, config, { admin })
    const { name, address } = node
    expect(said).toEqual([{ skep: 'node', name, address, readiness: 'ready' }])
  })

  it('drained over their own admin listener end as by a signal, so that others take their place', async () => {
    let target: AdminTarget | undefined
    const admin = async (_: unknown, given: AdminTarget) => {
      target = given
      return { address: '127.0.0.1:1', close: async () => {} }
    }
    const { signals } = await startWorker(0, { admin: '127.0.0.1:0' }, { admin })
    await Promise.all([target?.drain(), target?.drain()])
    await until(() => signals.codes.length > 0)
    expect(signals.codes).toEqual([0])
  })

  it('say that they turn when they are asked', async () => {
    const { said, say } = await startWorker(0)
    say({ skep: 'ping' })
    expect(said.at(-1)).toEqual({ skep: 'pong' })
  })

  it('run one node each', async () => {
    const said: FromWorker[] = []
    const channel = { send: (one: FromWorker) => void said.push(one), onMessage() {}, onClosed() {}, signal() {} }
    const worker = new Worker(0, channel, { ...realWorld, signals: new FakeSignals() })
    await expect(worker.start({ name: 'machine', cluster: '' })).rejects.toMatchObject({ code: 'ERR_CONFIG' })
    running.push(await worker.start({ name: 'machine', ...shared }))
    await expect(worker.start({ name: 'again', ...shared })).rejects.toThrow(/runs one node/)
  })
})

it('siblings may come and go for ever: nothing of each change is kept, and the end is heard', async () => {
  const siblings = new Siblings()
  const end = new AbortController()
  const { signal } = end
  const answers = siblings.discovery({ signal } as Parameters<Discovery>[0])[Symbol.asyncIterator]()
  const tell = (port: number): void => siblings.tell([{ name: 'machine.0', address: `127.0.0.1:${port}` }])
  tell(1)
  for (let port = 1; port <= 20; port++) {
    expect(await answers.next()).toEqual({ done: false, value: [`127.0.0.1:${port}`] })
    tell(port + 1)
  }
  expect(getEventListeners(signal, 'abort')).toHaveLength(1)
  await answers.next()
  const last = answers.next()
  end.abort()
  expect(await last).toEqual({ done: true, value: undefined })
})

it('name and ports are followed by the number of the worker; any free port stays one', () => {
  const siblings = staticPeers([])
  const mine = staticPeers(['10.0.0.8:4370'])
  const ports = {
    listen: '0.0.0.0:4370',
    advertise: '[fd00::1]:4370',
    admin: { listen: '0.0.0.0:0', token: 'x'.repeat(16) },
  }
  const given = { name: 'machine', cluster: 'cores', discovery: mine, ...ports }
  expect(workerConfig(given, 3, siblings)).toEqual({
    ...given,
    name: 'machine.3',
    discovery: [siblings, mine],
    listen: '0.0.0.0:4373',
    advertise: '[fd00::1]:4373',
  })
  const plain = workerConfig({ name: 'machine', cluster: 'cores', admin: '127.0.0.1:4380' }, 1, siblings)
  expect(plain).toEqual({ name: 'machine.1', cluster: 'cores', discovery: [siblings], admin: '127.0.0.1:4381' })
})
