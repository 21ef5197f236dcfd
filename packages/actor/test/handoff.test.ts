/** Actors that go to another node with their state: nothing that was accepted is lost, done twice, or out of order. */
import type { Pid } from '@skep/tracker'
import { describe, expect, test } from 'vitest'
import { defineActor, via } from '../src/index.js'
import { errorOf, gate, rest, type TestNode, World } from './world.js'

/** What happened to actors, over all nodes. */
let story: string[] = []
let running = gate()
let wantsIn = true

interface Log {
  done: string[]
  calls: number
}

const Keeper = defineActor('keeper', {
  init: (): Log => ({ done: [], calls: 0 }),
  on: {
    add: (self, what: string) => {
      self.state.done.push(what)
      self.state.calls += 1
      return `${self.node.name}:${self.state.calls}`
    },
    done: (self) => self.state.done,
    wait: async (self, what: string) => {
      await running.promise
      self.state.done.push(what)
      return what
    },
    last: async (self, how: 'stop' | 'crash') => {
      await running.promise
      if (how === 'stop') self.stop('enough')
      else self.crash(new Error('broken'))
    },
    waitForAbort: (self) =>
      new Promise<string>((resolve) => {
        self.signal.addEventListener('abort', () => {
          story.push('aborted')
          resolve('aborted')
        })
      }),
    fence: (self) => self.fence,
    async *count(self, upTo: number) {
      for (let i = 0; i < upTo; i++) yield `${self.node.name}:${i}`
    },
  },
  onStart: (self) => {
    story.push(`start at ${self.node.name} with ${self.fence}`)
  },
  onStop: (self, reason) => {
    story.push(`stop at ${self.node.name}: ${reason}`)
  },
  handoff: {
    in: (saved: Log) => {
      if (!wantsIn) throw new Error('not this state')
      return saved
    },
  },
})

const Rooted = defineActor('rooted', { init: () => ({ n: 0 }), on: { n: (self) => self.state.n }, handoff: false })

const Unsendable = defineActor('unsendable', {
  init: () => ({ n: 7, socket: () => 'open' }),
  on: { n: (self) => self.state.n },
})

/** Version 1 kept a number, version 2 takes that as well as its own. */
const Versioned = defineActor('versioned', {
  init: (n: number) => ({ total: n, unit: 'piece' }),
  on: {
    total: (self) => `${self.state.total} ${self.state.unit}`,
    wait: () => running.promise,
  },
  handoff: {
    out: (self) => {
      story.push('out')
      return self.state.total
    },
    in: (saved: number | { total: number; unit: string }) =>
      typeof saved === 'number' ? { total: saved, unit: 'old piece' } : saved,
  },
})

interface Three {
  readonly world: World
  /** Where the actor is, where it goes, and who calls. */
  readonly a: TestNode
  readonly b: TestNode
  readonly c: TestNode
}

async function three(): Promise<Three> {
  story = []
  running = gate()
  wantsIn = true
  const world = new World()
  const actors = [Keeper, Rooted, Unsendable, Versioned]
  const [a, b, c] = ['a', 'b', 'c'].map((name) => world.add(name, { actors })) as [TestNode, TestNode, TestNode]
  return { world, a, b, c }
}

/** A placed keeper named x at `a`. */
async function placed(): Promise<Three> {
  const all = await three()
  const pid = await all.c.system.spawn(Keeper, via('x'))
  expect(pid.node).toBe('a')
  return all
}

describe('a handoff', () => {
  test('takes the state along: the actor goes on elsewhere where it was', async () => {
    const { world, b, c } = await placed()
    const x = c.system.via(Keeper, 'x')
    expect(await x.add('one')).toBe('a:1')
    const { claim, passed } = await world.handOver('x', b)
    passed()
    await rest()
    expect(await x.add('two')).toBe('b:2')
    expect(await x.done()).toEqual(['one', 'two'])
    expect(await x.fence()).toBe(claim.fence)
    expect(story).toEqual(['start at a with 101', `start at b with ${claim.fence}`, 'stop at a: moved'])
  })

  test('passes on what waits and what still comes, in order; whoever called gets the answers', async () => {
    const { world, a, b, c } = await placed()
    const [near, far] = [a.system.via(Keeper, 'x'), c.system.via(Keeper, 'x')]
    const first = far.wait('first')
    await rest()
    const waiting = [near.add('n1'), far.add('f1'), near.add('n2'), far.add('f2')]
    const old = c.system.ref(Keeper, world.claims.get('x')?.pid as never)
    await rest()
    const moving = world.handOver('x', b)
    await rest()
    running.open()
    const { passed } = await moving
    const late = [old.add('late'), old.add('later')]
    const casts = old.$.cast.add('cast')
    expect(casts).toBeUndefined()
    await rest()
    passed()
    expect(await first).toBe('first')
    // Those from next door were in the mailbox before those from afar.
    const answers = await Promise.all([...waiting, ...late])
    expect(answers).toEqual(['b:1', 'b:3', 'b:2', 'b:4', 'b:5', 'b:6'])
    await rest()
    expect(await far.done()).toEqual(['first', 'n1', 'n2', 'f1', 'f2', 'late', 'later', 'cast'])
    expect([a, b, c].map(({ system }) => system.stats().pending + system.stats().open)).toEqual([0, 0, 0])
    await a.system.allPassed()
  })

  test('lets what was sent straight to the new place wait until nothing more is passed on', async () => {
    const { world, a, b, c } = await placed()
    const old = c.system.ref(Keeper, world.claims.get('x')?.pid as never)
    const { passed } = await world.handOver('x', b)
    const straight = c.system.via(Keeper, 'x').add('second')
    const local = b.system.via(Keeper, 'x').add('third')
    await rest()
    expect(await Promise.race([straight, local, Promise.resolve('they wait')])).toBe('they wait')
    const around = old.add('first')
    await rest()
    passed()
    await Promise.all([straight, local, around])
    expect(await b.system.via(Keeper, 'x').done()).toEqual(['first', 'third', 'second'])
    await a.system.allPassed()
  })

  test('opens the new place when the node of the old one is gone, or the link to it broke', async () => {
    for (const end of ['kill', 'cut'] as const) {
      const { world, a, b, c } = await placed()
      await world.handOver('x', b)
      const straight = c.system.via(Keeper, 'x').add('one')
      await rest()
      if (end === 'kill') await world.kill(a)
      else world.cutLink(a, b)
      expect(await straight).toBe('b:1')
    }
  })

  test('opens the new place also where the process at the old one has ended meanwhile', async () => {
    const { world, a, b, c } = await placed()
    const pid = world.claims.get('x')?.pid as Pid
    const state = (await a.handing?.export(pid, 'x')) as Uint8Array
    a.deactivate?.({ pid, name: 'x', reason: 'superseded' })
    await rest()
    expect(a.system.stats().actors).toBe(0)
    const spec = { args: new Uint8Array() }
    const fence = world.nextFence()
    const at = await b.activate?.({ name: 'x', kind: 'keeper', spec, fence, cause: 'handoff', state, source: a.boot })
    const claim = world.put('x', at as Pid, fence, 'keeper', spec)
    a.handing?.release(pid, 'x', claim)
    const call = c.system.via(Keeper, 'x').add('one')
    await rest()
    a.handing?.passed(pid, 'x')
    expect(await call).toBe('b:1')
  })

  test('waits for the call that runs; where that does not end the actor stays, and goes on', async () => {
    const { world, b, c } = await placed()
    const x = c.system.via(Keeper, 'x')
    const endless = x.$.with({ timeout: 60_000 }).wait('slow')
    await rest()
    const next = x.$.with({ timeout: 60_000 }).add('next')
    const moving = errorOf(world.handOver('x', b))
    await world.time.pass(5000)
    expect(await moving).toMatchObject({ code: 'ERR_TIMEOUT' })
    running.open()
    expect(await endless).toBe('slow')
    expect(await next).toBe('a:1')
    expect(story).toEqual(['start at a with 101'])
  })

  test('that is called off before the running call has ended exports nothing: the actor is at work again', async () => {
    const { a, c } = await three()
    const pid = await c.system.spawn(Versioned, via('v'), 1)
    const [slow, next] = [c.system.via(Versioned, 'v').wait(), c.system.via(Versioned, 'v').total()]
    await rest()
    const exporting = errorOf(a.handing?.export(pid, 'v') as Promise<unknown>)
    await rest()
    a.handing?.resume(pid, 'v')
    running.open()
    await slow
    expect(await next).toBe('1 piece')
    await exporting
    expect(story).toEqual([])
  })

  test('does not take along what stops itself, or crashes, in the call that was waited for', async () => {
    for (const how of ['stop', 'crash'] as const) {
      const { world, b, c } = await placed()
      const last = c.system.via(Keeper, 'x').last(how)
      await rest()
      const moving = errorOf(world.handOver('x', b))
      await rest()
      running.open()
      await last
      expect(await moving).toMatchObject({ code: 'ERR_ACTOR_STOPPED' })
      await rest()
      expect(world.claims.has('x')).toBe(false)
    }
  })

  test('leaves the actor as it was where the new place cannot make it', async () => {
    const { world, b, c } = await placed()
    const x = c.system.via(Keeper, 'x')
    await x.add('one')
    wantsIn = false
    const waiting = world.handOver('x', b)
    const during = x.add('two')
    expect(await errorOf(waiting)).toMatchObject({ code: 'ERR_INIT_FAILED', message: /not this state/ })
    expect(await during).toBe('a:2')
    expect(b.system.stats().actors).toBe(0)
  })

  test('is refused by kinds that never go, and by a state that cannot be sent, which names the field', async () => {
    const { world, a, b, c } = await three()
    await c.system.spawn(Rooted, via('r'))
    await c.system.spawn(Unsendable, via('u'))
    const holders = new Map(['r', 'u'].map((name) => [name, world.claims.get(name)?.pid.node]))
    expect(await errorOf(world.handOver('r', b))).toMatchObject({ code: 'ERR_CANNOT_MOVE', message: /never/ })
    const error = await errorOf(world.handOver('u', holders.get('u') === 'a' ? b : a))
    expect(error).toMatchObject({ code: 'ERR_CANNOT_MOVE', message: /state\[0\]\.socket/ })
    expect(await c.system.via(Unsendable, 'u').n()).toBe(7)
  })

  test('sends what `out` gives, and `in` takes what older versions gave', async () => {
    const { world, b, c } = await three()
    await c.system.spawn(Versioned, via('v'), 5)
    const { passed } = await world.handOver('v', b)
    passed()
    await rest()
    expect(await c.system.via(Versioned, 'v').total()).toBe('5 old piece')
  })

  test('tells who watches that it moved, also one who comes later', async () => {
    const { world, b, c } = await placed()
    const pid = world.claims.get('x')?.pid as never
    const watch = c.system.ref(Keeper, pid).$.monitor().next()
    await rest()
    const { passed } = await world.handOver('x', b)
    expect((await watch).value).toMatchObject({ reason: 'moved' })
    passed()
    await rest()
    expect((await c.system.ref(Keeper, pid).$.monitor().next()).value).toMatchObject({ reason: 'moved' })
  })

  test('ends the streams that run with a clear error; one that is asked for meanwhile is fed by the new place', async () => {
    const { world, b, c } = await placed()
    const old = c.system.ref(Keeper, world.claims.get('x')?.pid as never)
    const reader = c.system.via(Keeper, 'x').count(100)[Symbol.asyncIterator]()
    expect((await reader.next()).value).toBe('a:0')
    await rest()
    const { passed } = await world.handOver('x', b)
    const items: string[] = []
    for await (const item of old.count(40)) items.push(item)
    passed()
    expect(items).toEqual(Array.from({ length: 40 }, (_, i) => `b:${i}`))
    let last = ''
    const rest17 = (async () => {
      for (let next = await reader.next(); next.done !== true; next = await reader.next()) last = next.value
    })()
    expect(await errorOf(rest17)).toMatchObject({ code: 'ERR_ACTOR_STOPPED', message: /moved/ })
    // What it had room for had come before.
    expect(last).toBe('a:15')
  })

  test('passes on that a caller gave up', async () => {
    const { world, b, c } = await placed()
    const old = c.system.ref(Keeper, world.claims.get('x')?.pid as never)
    const { passed } = await world.handOver('x', b)
    const stop = new AbortController()
    const call = errorOf(old.$.with({ signal: stop.signal }).waitForAbort())
    passed()
    await rest()
    stop.abort()
    expect(await call).toMatchObject({ code: 'ERR_ABORTED', sent: 'maybe' })
    await rest()
    expect(story).toContain('aborted')
  })

  test('passes on that it is to be stopped', async () => {
    const { world, b, c } = await placed()
    const old = c.system.ref(Keeper, world.claims.get('x')?.pid as never)
    const { passed } = await world.handOver('x', b)
    const stopped = old.$.stop('done')
    passed()
    await stopped
    expect(story.at(-1)).toBe('stop at b: done')
    expect(b.system.stats().actors).toBe(0)
  })

  test('says to who called through the old place what cannot be known when the new one dies', async () => {
    const { world, b, c } = await placed()
    const old = c.system.ref(Keeper, world.claims.get('x')?.pid as never)
    const { passed } = await world.handOver('x', b)
    passed()
    const call = errorOf(old.wait('never'))
    await rest()
    await world.kill(b)
    expect(await call).toMatchObject({ code: 'ERR_NODE_DOWN', sent: 'maybe' })
  })

  test('is not remembered by its old place any longer than its new one is there', async () => {
    const { world, b, c } = await placed()
    const pid = world.claims.get('x')?.pid as Pid
    const { passed } = await world.handOver('x', b)
    passed()
    await rest()
    expect(await c.system.ref(Keeper, pid).done()).toEqual([])
    await world.kill(b)
    expect(await errorOf(c.system.ref(Keeper, pid).done())).toMatchObject({ code: 'ERR_NO_PROCESS', sent: 'no' })
  })

  test('goes on and on: from node to node, and back', async () => {
    const { world, a, b, c } = await placed()
    const first = c.system.ref(Keeper, world.claims.get('x')?.pid as never)
    for (const to of [b, c, a, b]) {
      const { passed } = await world.handOver('x', to)
      passed()
      await rest()
      await c.system.via(Keeper, 'x').add(to.name)
    }
    expect(await c.system.via(Keeper, 'x').done()).toEqual(['b', 'c', 'a', 'b'])
    expect(await first.add('from afar')).toBe('b:5')
  })
})
