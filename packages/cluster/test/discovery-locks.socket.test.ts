/**
 * A source with a lock of the kind that a database has: held as long as the connection on which it was got, so that it
 * goes to the next when its holder dies. Its answers come late: nodes that start at once do not find each other in time.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { type Discovery, type DiscoveryContext, titled } from '../src/index.js'
import { startNode, type TestNode, viewOf } from './nodes.js'

const limits = { gateMs: 150 }
const open: (() => unknown)[] = []

afterEach(async () => {
  for (const close of open.splice(0)) await close()
})

/** Who is registered, and a lock for one of its connections; each in turn gets it with a byte. */
class Inventory {
  readonly addresses = new Set<string>()
  /** How often somebody got the lock. */
  granted = 0
  readonly #server: Server
  #waiting: Socket[] = []
  #look = (): void => {}

  constructor(server: Server) {
    this.#server = server
    server.on('connection', (socket) => {
      socket.on('error', () => {})
      socket.on('close', () => this.#leave(socket))
      if (this.#waiting.push(socket) === 1) this.#grant()
      this.#look()
    })
  }

  static async start(): Promise<Inventory> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const inventory = new Inventory(server)
    open.push(() => {
      for (const socket of inventory.#waiting) socket.destroy()
      server.close()
    })
    return inventory
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Resolves when so many want the lock or have it. */
  async wanted(count: number): Promise<void> {
    while (this.#waiting.length < count) {
      await new Promise<void>((resolve) => {
        const before = this.#look
        this.#look = () => {
          before()
          resolve()
        }
      })
    }
  }

  #grant(): void {
    if (this.#waiting[0]?.write('+')) this.granted++
  }

  #leave(socket: Socket): void {
    const first = this.#waiting[0] === socket
    this.#waiting = this.#waiting.filter((one) => one !== socket)
    if (first) this.#grant()
  }

  /** What a user would write for it; a question is answered when `late` resolves. */
  strategy(late: () => Promise<unknown>, more: Pick<Discovery, 'register' | 'unregister' | 'lock'>): Discovery {
    const { addresses } = this
    return titled(
      'inventory',
      async function* ({ signal }) {
        const over = signal.aborted ? Promise.resolve() : once(signal, 'abort')
        await Promise.race([late(), over])
        yield [...addresses]
        await over
      },
      more,
    )
  }

  readonly registration = {
    register: async ({ self }: DiscoveryContext) => void this.addresses.add(self.address),
    unregister: async ({ self }: DiscoveryContext) => void this.addresses.delete(self.address),
  }

  readonly lock = async ({ signal }: Pick<DiscoveryContext, 'signal'>): Promise<() => void> => {
    const socket = connect(this.port, '127.0.0.1')
    try {
      await once(socket, 'data', { signal })
    } catch (error) {
      socket.destroy()
      throw error
    }
    return () => void socket.destroy()
  }

  /** For a source that names those alone who serve already: the lock goes to the next when this node is one of them. */
  readonly lockUntilNamed = async ({ signal, self }: DiscoveryContext): Promise<() => void> => {
    const release = await this.lock({ signal })
    return () => {
      this.addresses.add(self.address)
      release()
    }
  }
}

const names = ['a', 'b', 'c', 'd', 'e']

function startAll(strategy: Discovery): Promise<TestNode[]> {
  return Promise.all(names.map((name) => startNode(name, { discovery: strategy, limits })))
}

/** How many of these took themselves for a cluster of their own. */
function founders(nodes: readonly TestNode[]): number {
  return nodes.filter(({ log }) => log.count(/^join gate open: nobody was met/) > 0).length
}

async function isOneCluster(nodes: readonly TestNode[]): Promise<void> {
  await Promise.all(nodes.map(({ cluster }) => cluster.ready()))
  await Promise.all(nodes.map((node) => viewOf(node, names)))
  expect(nodes.map(({ log }) => log.count(/goes on without/))).toEqual([0, 0, 0, 0, 0])
}

describe('five nodes that start at once', () => {
  it('make one cluster where a source that answers late has a lock: who holds it waits for the answer', async () => {
    const inventory = await Inventory.start()
    // Late: all five gates would have opened by now.
    const late = (): Promise<void> => inventory.wanted(names.length)
    const nodes = await startAll(inventory.strategy(late, { ...inventory.registration, lock: inventory.lock }))
    await isOneCluster(nodes)
    // Whom the answer names may not be met in the short time that a gate has here; the lock is held that long.
    expect(founders(nodes)).toBeLessThan(2)
  })

  it('make five without', async () => {
    const inventory = await Inventory.start()
    const { registration } = inventory
    const nodes: TestNode[] = []
    const ready = new Promise<void>((resolve) => open.push(resolve))
    nodes.push(...(await startAll(inventory.strategy(() => ready, registration))))
    await Promise.all(nodes.map(({ cluster }) => cluster.ready()))
    expect(founders(nodes)).toBe(5)
  })

  it('make one cluster where the source names those alone who have joined: one is the first, the others find it', async () => {
    const inventory = await Inventory.start()
    const soon = (): Promise<void> => Promise.resolve()
    const nodes = await startAll(inventory.strategy(soon, { lock: inventory.lockUntilNamed }))
    await isOneCluster(nodes)
    expect(founders(nodes)).toBe(1)
  })
})

describe('a node that waits for the lock', () => {
  it('goes on without it after its bound, and says so', async () => {
    const inventory = await Inventory.start()
    const bound = { gateMs: 100, lockMs: 400 }
    const hanging = inventory.strategy(async () => {}, { lock: () => new Promise(() => {}) })
    const startedAt = performance.now()
    const node = await startNode('a', { discovery: hanging, limits: bound })
    await node.cluster.ready()
    const tookMs = performance.now() - startedAt
    expect(node.log.count(/no lock of discovery after 400 ms: this node goes on without/)).toBe(1)
    expect(tookMs).toBeGreaterThanOrEqual(500)
    expect(tookMs).toBeLessThan(5000)
  })

  it('has it when its holder is killed', async () => {
    const inventory = await Inventory.start()
    const script = `require('node:net').connect(${inventory.port}, '127.0.0.1').on('data', () => console.log('held'))`
    const holder = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    open.push(() => holder.kill('SIGKILL'))
    await once(holder.stdout, 'data')
    const node = await startNode('a', {
      discovery: inventory.strategy(async () => {}, { lock: inventory.lock }),
      limits,
    })
    await inventory.wanted(2)
    expect(node.cluster.isReady).toBe(false)
    holder.kill('SIGKILL')
    await node.cluster.ready()
    expect(inventory.granted).toBe(2)
    expect(node.log.count(/goes on without/)).toBe(0)
  })

  it('has it when its holder stops, and does not find what that one had registered', async () => {
    const inventory = await Inventory.start()
    const more = { ...inventory.registration, lock: inventory.lock }
    // What the holder asks under the lock is never answered, so that it holds it.
    const silent = inventory.strategy(() => new Promise(() => {}), more)
    const holder = await startNode('a', { discovery: silent, limits })
    await inventory.wanted(1)
    const answers: string[] = []
    const strategy = inventory.strategy(async () => void answers.push([...inventory.addresses].join()), more)
    const next = await startNode('b', { discovery: strategy, limits, deny: ['a'] })
    await inventory.wanted(2)
    expect(next.cluster.isReady).toBe(false)
    await holder.cluster.close()
    await next.cluster.ready()
    expect(inventory.granted).toBe(2)
    expect(answers.at(-1)).toBe(next.cluster.self.address)
  })
})
