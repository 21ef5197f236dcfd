/** The lines that docs/elixir.md shows, each doing what it says there. */
import {
  anonymous,
  child,
  defineActor,
  defineSupervisor,
  dns,
  gossip,
  hostsFile,
  ignore,
  isSkepError,
  kubernetes,
  kubernetesDns,
  kubernetesSrv,
  localPeers,
  type Pid,
  pinned,
  polled,
  rancher,
  rendezvous,
  type SkepNode,
  staticPeers,
  via,
} from 'skep'
import { describe, expect, test } from 'vitest'
import { type Simulation, simulate } from '../src/index.js'

const Counter = defineActor('counter', {
  init: (start: number) => ({ n: start }),
  on: {
    value: (self) => self.state.n,
    increment: (self, by: number = 1) => (self.state.n += by),
    reset: (self) => {
      const { n } = self.state
      self.state.n = 0
      return n
    },
  },
})

const story: string[] = []

const Room = defineActor('room', {
  init: (topic: string) => {
    if (topic === '') throw new RangeError('a room needs a topic')
    if (topic === 'none') return ignore
    return { topic, people: [] as string[], beats: 0 }
  },
  onStart: (self) => {
    self.every(1000, (self) => {
      self.state.beats += 1
    })
  },
  on: {
    topic: (self) => self.state.topic,
    join: (self, who: string) => self.state.people.push(who),
    say: (self, text: string) => void story.push(`${self.name} heard ${text}`),
    beats: (self) => self.state.beats,
    closeIn: (self, ms: number) => void self.after(ms, (self) => self.stop('closed')),
    cancelled: (self) => {
      const cancel = self.after(1, (self) => self.stop('too early'))
      cancel()
    },
    close: (self) => {
      self.stop('closed')
      return self.state.people.length
    },
    break: (self) => self.crash(new Error('the floor is wet')),
    me: (self) => ({ pid: self.pid, name: self.name, node: self.node.name }),
  },
  onStop: (self, reason) => {
    story.push(`${self.name} ends: ${reason}`)
  },
  restart: { policy: 'transient', times: 3, withinMs: 5000 },
})

const Gate = defineActor('gate', {
  init: () => ({ waiting: [] as (() => void)[] }),
  reentrant: true,
  idleAfter: 60 * 60_000,
  on: {
    pass: (self) => new Promise<void>((reply) => self.state.waiting.push(reply)),
    open: (self) => {
      for (const reply of self.state.waiting.splice(0)) reply()
    },
  },
})

/** A list of what an actor was told, which survives moves and conflicts. */
const Log = defineActor('log', {
  init: () => ({ lines: new Set<string>() }),
  on: {
    add: (self, line: string) => void self.state.lines.add(line),
    lines: (self) => [...self.state.lines].sort(),
  },
  handoff: {
    out: (self) => [...self.state.lines],
    in: (saved: string[]) => ({ lines: new Set(saved) }),
  },
  onConflict: (self, theirs) => {
    for (const line of theirs.lines) self.state.lines.add(line)
  },
})

const Shop = defineSupervisor('shop', {
  strategy: 'rest-for-one',
  times: 3,
  withinMs: 5000,
  children: (city: string) => ({
    stock: child(Counter, via(`stock/${city}`), 100),
    till: child(Room, anonymous, city).with({ restart: 'permanent' }),
  }),
})

const Keeper = defineActor('keeper', {
  init: () => ({ ends: [] as string[] }),
  on: {
    open: (self) => self.start(Room, anonymous, 'kept'),
    keep: (self, pid: Pid) => self.link(pid),
    part: (self, pid: Pid) => self.unlink(pid),
    ends: (self) => self.state.ends,
  },
  onExit: (self, { reason }) => void self.state.ends.push(reason),
})

const actors = [Counter, Room, Gate, Log, Shop, Keeper]

interface Cluster extends AsyncDisposable {
  readonly sim: Simulation
  readonly node: SkepNode
  readonly other: SkepNode
}

async function cluster(): Promise<Cluster> {
  story.length = 0
  const sim = await simulate({ seed: 1, nodes: 3, actors })
  await Promise.all(sim.nodes.map((node) => node.ready()))
  const [node, other] = sim.nodes as [SkepNode, SkepNode]
  return { sim, node, other, [Symbol.asyncDispose]: () => sim[Symbol.asyncDispose]() }
}

async function errorOf(promise: Promise<unknown>): Promise<{ code: string; pid?: Pid; cause?: unknown }> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!isSkepError(error)) throw new Error('no error of Skep')
  return error as never
}

describe('the lines of docs/elixir.md do what they say', () => {
  test('the story', async () => {
    await using all = await cluster()
    const { node, other } = all
    const pid = await node.start(Counter, via('my_proc'), 0)
    const error = await errorOf(other.start(Counter, via('my_proc'), 0))
    expect([error.code, error.pid?.equals(pid)]).toEqual(['ERR_ALREADY_STARTED', true])
    const counter = other.via(Counter, 'my_proc')
    expect(await counter.value()).toBe(0)
    expect(await counter.increment()).toBe(1)
  })

  test('Agent', async () => {
    await using all = await cluster()
    const { node } = all
    const pid = await node.start(Counter, anonymous, 0)
    await node.start(Counter, via('my_proc'), 0)
    const counter = node.via(Counter, 'my_proc')
    expect(await node.ref(Counter, pid).increment()).toBe(1)
    await counter.increment()
    expect(await counter.value()).toBe(1)
    expect(await counter.$.with({ timeout: 200 }).value()).toBe(1)
    expect(await counter.reset()).toBe(1)
    counter.$.cast.increment(2)
    expect(await counter.value()).toBe(2)
    await counter.$.stop('normal')
    expect(node.whereis('my_proc')).toBe(undefined)
  })

  test('GenServer', async () => {
    await using all = await cluster()
    const { sim, node, other } = all
    const pid = await node.start(Room, anonymous, 'tea')
    await node.start(Room, via('tea'), 'tea')
    await node.start(Counter, via(`${node.name}/cache`), 0)
    const room = node.via(Room, 'tea')
    expect(await node.ref(Room, pid).topic()).toBe('tea')
    expect(await room.join('ann')).toBe(1)
    expect(await room.$.with({ timeout: Infinity }).topic()).toBe('tea')
    room.$.cast.say('hello')
    expect(node.whereis('tea')?.node).toBe(node.name)
    expect((await errorOf(node.start(Room, via('bad'), ''))).code).toBe('ERR_INIT_FAILED')
    expect((await errorOf(node.start(Room, via('none'), 'none'))).code).toBe('ERR_IGNORED')
    const me = await other.via(Room, 'tea').me()
    expect([me.pid.equals(node.whereis('tea') as Pid), me.name, me.node]).toEqual([true, 'tea', node.name])
    expect(story).toEqual(['tea heard hello'])

    await room.cancelled()
    await sim.advance(2500)
    expect(await room.beats()).toBe(2)
    await room.closeIn(1000)
    await sim.advance(1500)
    expect(story.at(-1)).toBe('tea ends: closed')

    await node.start(Room, via('tea'), 'more tea')
    expect(await room.close()).toBe(0)
    await sim.settle()
    await node.start(Room, via('tea'), 'more tea')
    await room.$.stop('shutdown')
    expect(story.slice(-2)).toEqual(['tea ends: closed', 'tea ends: shutdown'])

    await node.start(Gate, via('gate', { visible: 'all' }))
    const gate = other.via(Gate, 'gate')
    const passed = Promise.all([gate.pass(), gate.pass()])
    await sim.advance(100)
    await gate.open()
    await passed
  })

  test('processes and nodes', async () => {
    await using all = await cluster()
    const { sim, node, other } = all
    await other.start(Room, via('tea', { visible: 'all' }), 'tea')
    const room = node.via(Room, 'tea')
    const seen: string[] = []
    const watched = (async () => {
      for await (const down of room.$.monitor()) seen.push(down.reason)
    })()
    await sim.advance(100)
    expect(node.whereis('tea') !== undefined).toBe(true)
    expect(node.members().map(({ name }) => name)).toContain(other.name)
    expect(node.registered({ local: true })).toEqual([])
    const off = node.on('memberDown', ({ name }) => seen.push(name))
    await room.break()
    await watched
    await sim.crash(other)
    await sim.advance(5000)
    off()
    expect(seen).toEqual(['crashed', other.name])
    expect(node.explain('tea').claims).toEqual([])
  })

  test('restarts', async () => {
    await using all = await cluster()
    const { sim, node } = all
    await node.spawn(Room, via('tea'), 'tea')
    await node.spawn(Room, via('coffee', { restart: 'temporary' }), 'coffee')
    await node.via(Room, 'tea').join('ann')
    for (const name of ['tea', 'coffee']) await node.via(Room, name).break()
    await sim.settle()
    expect(await node.via(Room, 'tea').join('bob')).toBe(1)
    expect(node.whereis('coffee')).toBe(undefined)
  })

  test('supervisors', async () => {
    await using all = await cluster()
    const { sim, node, other } = all
    await node.start(Shop, via('shop', { visible: 'all' }), 'Bonn')
    const shop = other.via(Shop, 'shop')
    const till = await shop.child('till')
    await till.join('ann')
    await (await shop.child('stock')).$.stop()
    await till.close()
    await sim.settle()
    expect(await till.join('bob')).toBe(1)
    await shop.restart('stock')
    expect(await other.via(Counter, 'stock/Bonn').value()).toBe(100)
    await shop.stop('till')
    const children = await shop.children()
    expect(children.map(({ id, pid, restarts }) => [id, pid !== undefined, restarts])).toEqual([
      ['stock', true, 1],
      ['till', false, 1],
    ])
    await shop.$.stop()
    expect(node.whereis('stock/Bonn')).toBe(undefined)
  })

  test('children and links', async () => {
    await using all = await cluster()
    const { sim, node, other } = all
    const keeper = node.ref(Keeper, await node.start(Keeper, anonymous))
    const kept = await keeper.open()
    const [far, free] = [await other.start(Room, anonymous, 'far'), await other.start(Room, anonymous, 'free')]
    await keeper.keep(far)
    await keeper.keep(free)
    await keeper.part(free)
    await node.ref(Room, kept).close()
    await sim.settle()
    await other.ref(Room, far).break()
    await other.ref(Room, free).break()
    await sim.settle()
    expect(await keeper.ends()).toEqual(['stopped', 'crashed'])
  })

  test('Registry', async () => {
    await using all = await cluster()
    const { sim, node, other } = all
    const pid = await node.start(Counter, anonymous, 0)
    await node.register('printer', pid, { meta: { floor: 2 } })
    await sim.settle()
    expect(other.whereis('printer')?.equals(pid)).toBe(true)
    expect(other.registered().find(({ name }) => name === 'printer')?.meta).toEqual({ floor: 2 })
    expect(other.registered().filter((claim) => claim.pid.equals(pid)).length).toBe(1)
    expect(other.registered({ prefix: 'print' }).length).toBe(1)
    expect(await other.via(Counter, 'printer').value()).toBe(0)
    await node.unregister('printer')
    await sim.settle()
    expect(other.registered().length).toBe(0)

    const rooms = node.group(Counter, 'rooms')
    await rooms.join(pid)
    await sim.settle()
    other.group(Counter, 'rooms').cast.increment()
    await sim.settle()
    expect(await node.ref(Counter, pid).value()).toBe(1)
  })

  test('Swarm', async () => {
    await using all = await cluster()
    const { sim, node, other } = all
    const pid = await node.spawn(Counter, via('my_proc'), 0)
    await node.spawn(Counter, via('slow', { timeout: 5000 }), 0)
    const printer = await node.start(Counter, anonymous, 0)
    await node.register('printer', printer)
    await node.unregister('printer')
    const counter = node.ensure(Counter, via('my_proc'), 0)
    await counter.increment()
    expect(node.whereis('my_proc')?.equals(pid)).toBe(true)
    expect(node.registered().map(({ name }) => name)).toEqual(expect.arrayContaining(['my_proc', 'slow']))
    node.via(Counter, 'my_proc').$.cast.increment()
    expect(await counter.value()).toBe(2)

    const counters = node.group(Counter, 'counters')
    await counters.join(counter)
    expect(counters.members().length).toBe(1)
    counters.cast.increment()
    const replies = await counters.call.value()
    expect(replies).toMatchObject([{ status: 'fulfilled', value: 3 }])
    await counters.leave(counter)
    expect(counters.pids()).toEqual([])

    await node.move('my_proc', other.name)
    expect(node.whereis('my_proc')?.node).toBe(other.name)
    expect(await counter.value()).toBe(3)
    const { moved, unmoved } = await other.drain()
    expect([moved > 0, unmoved]).toEqual([true, []])
    expect(await counter.value()).toBe(3)
    await counter.$.stop('done')
    await sim.advance(100)
    expect(node.whereis('my_proc')).toBe(undefined)
  })

  test('handing over and conflicts', async () => {
    await using all = await cluster()
    const { sim, node } = all
    await node.spawn(Log, via('log'))
    const log = node.via(Log, 'log')
    await log.add('before')
    const from = node.whereis('log')?.node as string
    const [here, ...there] = [...sim.nodes].sort((a, b) => Number(b.name === from) - Number(a.name === from))
    const [left, right] = [here as SkepNode, there[0] as SkepNode]
    await node.move('log', right.name)
    expect(await log.lines()).toEqual(['before'])

    sim.partition([[right], sim.nodes.filter((one) => one !== right)])
    await sim.advance(20_000)
    await right.ensure(Log, via('log')).add('on one side')
    await left.ensure(Log, via('log')).add('on the other')
    sim.heal()
    await sim.settle()
    await sim.advance(10_000)
    expect(await sim.nodes[0]?.via(Log, 'log').lines()).toEqual(['before', 'on one side', 'on the other'])
  })

  test('placement', async () => {
    await using all = await cluster()
    const { node, other } = all
    await node.spawn(Counter, via('a', { placement: rendezvous }), 0)
    await node.spawn(Counter, via('b', { placement: pinned({ node: other.name }) }), 0)
    expect(node.whereis('b')?.node).toBe(other.name)
  })

  test('libcluster', () => {
    const strategies = [
      kubernetesDns({ service: 'elixir-cluster-demo', port: 4370 }),
      kubernetesSrv({ service: 'elixir-cluster-demo', portName: 'skep' }),
      kubernetes({ service: 'elixir-cluster-demo', port: 4370 }),
      dns('nodes.example.', { port: 4370 }),
      staticPeers(['10.0.0.8:4370', '10.0.0.9:4370']),
      hostsFile('/etc/skep/peers', { port: 4370 }),
      gossip(),
      localPeers(),
      rancher({ port: 4370 }),
      polled('mine', { intervalMs: 5000 }, async () => ['10.0.0.8:4370']),
    ]
    for (const strategy of strategies) expect(typeof strategy).toBe('function')
  })
})
