/** `self.link`: two actors that stand and fall together, on one node or on two. */
import type { Pid } from '@skep/tracker'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anonymous, type Down, type DownReason, defineActor, type RefOf, via } from '../src/index.js'
import { errorOf, gate, rest, type TestNode, World } from './world.js'

const Frail = defineActor('frail', {
  init: () => ({}),
  on: {
    link: (self, other: Pid | object) => self.link(other),
    unlink: (self, other: Pid | object) => self.unlink(other),
    fall: (self) => self.crash(new Error('oops')),
    leave: (self) => self.stop(),
    alive: () => true,
    wait: async (_self, until: Promise<void>) => await until,
  },
})

/** The same, and it traps exits. */
const Warden = defineActor('warden', {
  init: () => ({ downs: [] as Down[] }),
  on: {
    link: (self, other: Pid | object) => self.link(other),
    unlink: (self, other: Pid | object) => self.unlink(other),
    fall: (self) => self.crash(new Error('oops')),
    downs: (self) => self.state.downs.map(({ pid, reason }) => `${pid.id} ${reason}`),
    wait: async (_self, until: Promise<void>) => await until,
    breaks: (self) => {
      self.state.downs = undefined as never
    },
  },
  onExit: (self, down): void => void self.state.downs.push(down),
})

interface Pair {
  readonly world: World
  readonly a: TestNode
  readonly b: TestNode
}

function pair(): Pair {
  const world = new World()
  const options = { actors: [Frail, Warden], limits: { stopGraceMs: 1000 } }
  return { world, a: world.add('a', options), b: world.add('b', options) }
}

const frail = async ({ system }: TestNode): Promise<RefOf<typeof Frail>> =>
  system.ref(Frail, await system.start(Frail, anonymous))
const warden = async ({ system }: TestNode): Promise<RefOf<typeof Warden>> =>
  system.ref(Warden, await system.start(Warden, anonymous))

async function lives(ref: RefOf<typeof Frail>): Promise<boolean> {
  return await ref.alive().catch(() => false)
}

function nothingOpen({ a, b }: Pair): void {
  for (const { system } of [a, b]) expect(system.stats()).toMatchObject({ pending: 0, open: 0 })
}

describe.each(['one node', 'two nodes'])('a link on %s', (where) => {
  const nodes = (): Pair & { readonly other: TestNode } => {
    const both = pair()
    return { ...both, other: where === 'one node' ? both.a : both.b }
  }

  test('takes the other one along where either crashes, and lets it be where either stops', async () => {
    const both = nodes()
    for (const end of ['fall', 'leave'] as const) {
      for (const first of ['linker', 'linked']) {
        const [x, y] = [await frail(both.a), await frail(both.other)]
        await x.link(y)
        await (first === 'linker' ? x : y)[end]()
        await rest()
        expect(await lives(first === 'linker' ? y : x)).toBe(end === 'leave')
        await Promise.allSettled([x.$.stop(), y.$.stop()])
      }
    }
    await rest()
    nothingOpen(both)
    const [line] = [...both.a.lines, ...both.other.lines].filter(({ fields }) => String(fields.err).includes('linked'))
    expect(String(line?.fields.err)).toMatch(/it was linked to <.*>, whose end was: crashed$/)
  })

  test('tells an actor with onExit of every end, and it goes on', async () => {
    const both = nodes()
    const [w, x, y] = [await warden(both.a), await frail(both.other), await frail(both.other)]
    await w.link(x)
    await y.link(w)
    await x.fall()
    await y.leave()
    await rest()
    expect(await w.downs()).toEqual([`${x.$.pid()?.id} crashed`, `${y.$.pid()?.id} stopped`])
    await rest()
    nothingOpen(both)
  })

  test('is made while the other one is busy, even with a call of the one that links', async () => {
    const both = nodes()
    const Caller = defineActor('caller', {
      init: () => ({}),
      on: { call: (_self, whom: RefOf<typeof Linker>): Promise<unknown> => whom.back() },
    })
    const Linker = defineActor('linker', {
      init: () => ({ whom: undefined as Pid | undefined }),
      on: {
        knows: (self, whom: Pid) => {
          self.state.whom = whom
        },
        back: (self): Promise<void> => self.link(self.state.whom as Pid),
      },
    })
    const caller = await both.a.system.start(Caller, anonymous)
    const linker = await both.other.system.start(Linker, anonymous)
    const ref = both.a.system.ref(Linker, linker)
    both.other.system.ref(Caller, caller)
    await ref.knows(caller)
    await both.a.system.ref(Caller, caller).call(ref)
  })

  test('to one that is gone fails, and harms nobody', async () => {
    const both = nodes()
    const [x, w, gone] = [await frail(both.a), await warden(both.a), await frail(both.other)]
    await gone.fall()
    await rest()
    expect((await errorOf(x.link(gone))).code).toBe('ERR_NO_PROCESS')
    expect((await errorOf(w.link(gone))).code).toBe('ERR_NO_PROCESS')
    expect((await errorOf(x.link(both.a.system.via(Frail, 'nobody')))).code).toBe('ERR_NOT_REGISTERED')
    await rest()
    expect([await lives(x), await w.downs()]).toEqual([true, []])
    nothingOpen(both)
  })

  test('is undone for both sides, made twice it is one, and with oneself it is none', async () => {
    const both = nodes()
    const [x, y] = [await frail(both.a), await frail(both.other)]
    await x.link(x)
    await Promise.all([x.link(y), y.link(x)])
    await x.link(y)
    await y.unlink(x)
    await rest()
    nothingOpen(both)
    await x.fall()
    await rest()
    expect(await lives(y)).toBe(true)
    await y.unlink(x)
  })

  test('of whoever ends in whatever order is kept to: who must crash does, and nobody else', {
    timeout: 60_000,
  }, async () => {
    const ends = fc.constantFrom('fall', 'leave', 'stop')
    const links = fc.array(fc.tuple(fc.nat(5), fc.nat(5)), { maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(links, fc.nat(5), ends, async (edges, first, end) => {
        const both = nodes()
        const all = await Promise.all([0, 1, 2, 3, 4, 5].map((i) => frail(i % 2 === 0 ? both.a : both.other)))
        const at = (i: number) => all[i] as RefOf<typeof Frail>
        for (const [i, j] of edges) await at(i).link(at(j))
        const falls = new Set([first])
        if (end === 'fall') {
          for (let before = 0; before < falls.size; ) {
            before = falls.size
            for (const [i, j] of edges) if (falls.has(i) || falls.has(j)) falls.add(i).add(j)
          }
        }
        if (end === 'stop') await at(first).$.stop()
        else await at(first)[end]()
        for (let i = 0; i < 6; i++) await rest()
        expect(await Promise.all(all.map(lives))).toEqual(all.map((_, i) => !falls.has(i)))
      }),
      { numRuns: 40 },
    )
  })
})

describe('a link', () => {
  test('breaks with the node of the other one, not with the connection to it', async () => {
    const both = pair()
    const { world, a, b } = both
    const [x, y, w] = [await frail(a), await frail(b), await warden(a)]
    await x.link(y)
    await w.link(y)
    world.cutLink(a, b)
    await world.time.pass(3000)
    world.mendLink(a, b)
    await rest()
    expect([await lives(x), await lives(y), await w.downs()]).toEqual([true, true, []])
    await world.kill(b)
    await rest()
    expect([await lives(x), await w.downs()]).toEqual([false, [`${y.$.pid()?.id} node-down`]])
  })

  test('holds where the other one crashes unseen, while the connection is cut', async () => {
    const both = pair()
    const { world, a, b } = both
    const [x, y] = [await frail(a), await frail(b)]
    await x.link(y)
    world.cutLink(a, b)
    await b.system.ref(Frail, y.$.pid() as Pid).fall()
    await rest()
    expect(await lives(x)).toBe(true)
    world.mendLink(a, b)
    await world.time.pass(1000)
    expect(await lives(x)).toBe(false)
  })

  test('says why, and ends as the reason has it', async () => {
    const outcome = async (reason: DownReason): Promise<[boolean, string | undefined]> => {
      const { world, a, b } = pair()
      const [x, w] = [await frail(a), await warden(a)]
      const host = await b.system.start(Frail, via('y'))
      await x.link(host)
      await w.link(host)
      if (reason === 'conflict') b.deactivate?.({ pid: host, name: 'y', reason: 'conflict' })
      else if (reason === 'node-down') await world.kill(b)
      else if (reason === 'crashed') await b.system.ref(Frail, host).fall()
      else await b.system.ref(Frail, host).$.stop()
      await rest()
      return [await lives(x), (await w.downs())[0]?.split(' ')[1]]
    }
    expect(await outcome('stopped')).toEqual([true, 'stopped'])
    expect(await outcome('crashed')).toEqual([false, 'crashed'])
    expect(await outcome('conflict')).toEqual([false, 'conflict'])
    expect(await outcome('node-down')).toEqual([false, 'node-down'])
  })

  test('with one that is handed over ends on both sides, and harms neither', async () => {
    const both = pair()
    const { world, a, b } = both
    const pid = await b.system.spawn(Frail, via('y'))
    const [from, to] = pid.node === 'a' ? [a, b] : [b, a]
    const [x, w] = [await frail(to), await warden(to)]
    await x.link(pid)
    await w.link(pid)
    const { passed } = await world.handOver('y', to)
    passed()
    await rest()
    expect([await lives(x), await w.downs()]).toEqual([true, [`${pid.id} moved`]])
    await x.fall()
    await rest()
    expect(await from.system.via(Frail, 'y').alive()).toBe(true)
    nothingOpen(both)
  })

  test('that finds its way after one that has moved binds nobody', async () => {
    const both = pair()
    const { world, a, b } = both
    const pid = await b.system.spawn(Frail, via('y'))
    const [from, to] = pid.node === 'a' ? [a, b] : [b, a]
    const { passed } = await world.handOver('y', to)
    const x = await frail(from)
    await x.link(pid)
    await rest()
    passed()
    await x.fall()
    await rest()
    expect(await from.system.via(Frail, 'y').alive()).toBe(true)
    nothingOpen(both)
  })

  test('to one that is ending fails', async () => {
    const { world, a } = pair()
    const x = await frail(a)
    const Stuck = defineActor('stuck', {
      init: () => 0,
      on: {},
      onStop: () => new Promise<void>(() => {}),
    })
    const stuck = a.system.ref(Stuck, await a.system.start(Stuck, anonymous))
    const stopped = stuck.$.stop()
    await rest()
    expect((await errorOf(x.link(stuck))).code).toBe('ERR_NO_PROCESS')
    await world.time.pass(1000)
    await stopped
    expect(await lives(x)).toBe(true)
  })

  test('by one that is ending, or has ended, fails and harms nobody', async () => {
    const both = pair()
    const outcomes: unknown[] = []
    for (const node of [both.a, both.b]) {
      const other = await frail(node)
      const open = gate()
      const Late = defineActor('late', {
        init: () => ({}),
        on: {
          linkLater: (self) => void open.promise.then(() => self.link(other)).catch((error) => outcomes.push(error)),
        },
        onStop: async (self) => void outcomes.push(await errorOf(self.link(other))),
      })
      const late = both.a.system.ref(Late, await both.a.system.start(Late, anonymous))
      await late.linkLater()
      await late.$.stop()
      open.open()
      await rest()
      expect(await lives(other)).toBe(true)
    }
    expect(outcomes.map((error) => (error as { code: string }).code)).toEqual(Array(4).fill('ERR_ACTOR_STOPPED'))
    nothingOpen(both)
  })

  test('goes by how an actor ends, whatever becomes of its name meanwhile', async () => {
    const both = pair()
    for (const [end, goesOn] of [
      ['leave', true],
      ['fall', false],
    ] as const) {
      const open = gate()
      const Slow = defineActor('slow', {
        init: () => ({}),
        reentrant: true,
        on: {
          wait: async () => await open.promise,
          fall: (self) => self.crash(new Error('oops')),
          leave: (self) => self.stop(),
        },
      })
      const pid = await both.a.system.start(Slow, via('slow'))
      const slow = both.a.system.ref(Slow, pid)
      const other = await frail(both.b)
      await other.link(pid)
      const waits = slow.wait().catch(() => {})
      await slow[end]()
      // Another copy gets the name while this one waits for its last call.
      both.a.deactivate?.({ pid, name: 'slow', reason: goesOn ? 'conflict' : 'superseded' })
      open.open()
      await waits
      await rest()
      expect(await lives(other)).toBe(goesOn)
    }
  })

  test('waits its turn where exits are trapped, and what onExit throws is logged', async () => {
    const world = new World()
    const a = world.add('a', { actors: [Frail, Warden], isolation: 'off' })
    const [w, x, y] = [await warden(a), await frail(a), await frail(a)]
    await w.link(x)
    await w.link(y)
    const open = gate()
    const waits = w.wait(open.promise)
    await x.fall()
    await rest()
    const downs = w.downs()
    open.open()
    await waits
    expect(await downs).toEqual([`${x.$.pid()?.id} crashed`])
    await w.breaks()
    await y.fall()
    await rest()
    expect(a.lines.at(-1)?.text).toMatch(/^onExit of warden <a.*> threw$/)
    expect(a.system.report(w.$.pid() as Pid)?.failures).toBe(1)
  })

  test('to what is no actor is a mistake at once', async () => {
    const { a } = pair()
    const Wrong = defineActor('wrong', { init: () => 0, on: { link: (self) => self.link({}) } })
    const ref = a.system.ref(Wrong, await a.system.start(Wrong, anonymous))
    expect(await errorOf(ref.link())).toBeInstanceOf(TypeError)
  })
})

describe('a link between two nodes', () => {
  test('ends on both sides, once, where one of them goes on as another boot, whoever asked for it', async () => {
    for (const asker of ['stays', 'rejoins']) {
      const both = pair()
      const { world, a, b } = both
      const named = async (at: TestNode): Promise<RefOf<typeof Warden>> => {
        await at.system.start(Warden, via(at.name))
        return b.system.via(Warden, at.name)
      }
      const [x, y] = [await named(a), await named(b)]
      const [xPid, yPid] = [x.$.pid() as Pid, y.$.pid() as Pid]
      const [fx, fy] = [await frail(a), await frail(b)]
      if (asker === 'stays') await y.link(xPid)
      else await x.link(yPid)
      await fx.link(fy)
      world.rejoin(a)
      await rest()
      expect([await x.downs(), await y.downs()]).toEqual([[`${yPid.id} node-down`], [`${xPid.id} node-down`]])
      expect(a.system.stats().actors + b.system.stats().actors).toBe(2)
      // What comes of either means nothing to the other one now.
      await y.fall()
      await rest()
      expect(await x.downs()).toHaveLength(1)
      nothingOpen(both)
    }
  })

  test('ends on both sides where both go on as other boots', async () => {
    const { world, a, b } = pair()
    await a.system.start(Warden, via('x'))
    await b.system.start(Warden, via('y'))
    const [x, y] = [a.system.via(Warden, 'x'), a.system.via(Warden, 'y')]
    await x.link(y.$.pid() as Pid)
    world.rejoin(a)
    world.rejoin(b)
    await rest()
    expect([await x.downs(), await y.downs()].map((downs) => downs.map((down) => down.split(' ')[1]))).toEqual([
      ['node-down'],
      ['node-down'],
    ])
  })

  test('stands again under the new pids when it is made anew', async () => {
    const both = pair()
    const { world, a, b } = both
    await a.system.start(Warden, via('x'))
    const x = b.system.via(Warden, 'x')
    const y = await warden(b)
    await x.link(y)
    world.rejoin(a)
    await rest()
    await x.link(y)
    await y.fall()
    await rest()
    const own = y.$.pid()?.id
    expect(await x.downs()).toEqual([`${own} node-down`, `${own} crashed`])
    nothingOpen(both)
  })

  test('is on neither side where it was made there and the answer was lost, however long the connection is cut', async () => {
    const both = pair()
    const { world, a, b } = both
    const [x, y] = [await frail(a), await frail(b)]
    world.cut.add('b>a')
    const failed = errorOf(x.link(y))
    await rest()
    world.cutLink(a, b)
    await rest()
    expect((await failed).code).toBe('ERR_NODE_DOWN')
    await world.time.pass(30_000)
    world.mendLink(a, b)
    await world.time.pass(5000)
    await x.fall()
    await world.time.pass(1000)
    expect(await lives(y)).toBe(true)
    nothingOpen(both)
  })

  test('is undone on the other side as soon as that can be told of it, unless it was made anew meanwhile', async () => {
    for (const again of [false, true]) {
      const both = pair()
      const { world, a, b } = both
      const [x, y] = [await frail(a), await frail(b)]
      await x.link(y)
      world.cutLink(a, b)
      const undone = errorOf(x.unlink(y))
      await world.time.pass(1000)
      expect((await undone).code).toBe('ERR_UNREACHABLE')
      await world.time.pass(10_000)
      const linked = again ? x.link(y) : undefined
      world.mendLink(a, b)
      await linked
      await world.time.pass(1000)
      await x.fall()
      await world.time.pass(1000)
      expect(await lives(y)).toBe(!again)
      nothingOpen(both)
    }
  })

  test('is undone also where the one that undid it has ended since', async () => {
    const { world, a, b } = pair()
    const [x, y] = [await frail(a), await frail(b)]
    await x.link(y)
    world.cutLink(a, b)
    const undone = errorOf(x.unlink(y))
    await world.time.pass(1000)
    await undone
    await x.fall()
    await world.time.pass(10_000)
    world.mendLink(a, b)
    await world.time.pass(1000)
    expect(await lives(y)).toBe(true)
  })

  test('is not undone for ever: nobody is told once the other node is gone, or this one is closed', async () => {
    for (const end of ['dies', 'closes']) {
      const { world, a, b } = pair()
      const [x, y] = [await frail(a), await frail(b)]
      await x.link(y)
      world.cutLink(a, b)
      const undone = errorOf(x.unlink(y))
      await world.time.pass(1000)
      await undone
      if (end === 'dies') await world.kill(b)
      else a.system.close()
      await world.time.pass(3000)
      expect(a.system.stats().pending).toBe(0)
      const before = world.frames.length
      world.mendLink(a, b)
      await rest()
      expect(world.frames.slice(before).filter(({ from }) => from === 'a')).toEqual([])
    }
  })
})
