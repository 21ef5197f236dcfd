/** Children and their supervisor get in each other's way: told to end while they start, calls up the tree, crashes at the end. */
import { SkepError } from '@skep/cluster'
import { describe, expect, test } from 'vitest'
import { type ActorNode, anonymous, child, defineActor, defineSupervisor, type Self, via } from '../src/index.js'
import { errorOf, gate, rest, type TestNode, World } from './world.js'

let starts: string[] = []
let open = gate()

/** What a child is given to do in its next starts. */
let onStart: (self: Self<string>) => void | Promise<void> = () => {}

/** What these call of each other, annotated: they would have to infer it from themselves. */
interface SupRef {
  restart(id: string): Promise<unknown>
  stop(id: string): Promise<void>
  children(): Promise<unknown>
  readonly $: { readonly cast: { restart(id: string): void } }
}
const supOf = ({ node }: { readonly node: ActorNode }): SupRef => node.via(Sup, 'sup') as unknown as SupRef

const methods = {
  ping: () => 'pong',
  fall: (self: Self<string>) => self.crash(new Error('oops')),
  /** End the child with this id, and wait for that. */
  end: async (self: Self<string>, what: 'restart' | 'stop', id: string): Promise<unknown> =>
    await supOf(self)[what](id),
  endLater: (self: Self<string>, id: string): void => supOf(self).$.cast.restart(id),
  /** Ask the supervisor, once the gate is open. */
  ask: async (self: Self<string>): Promise<unknown> => {
    await open.promise
    return await supOf(self).children()
  },
  /** Have it ended by another one, or by a child of its own. */
  endBy: async (self: Self<string>, name: string, id: string): Promise<unknown> =>
    await (self.node.via(Worker, name) as { end(what: string, id: string): Promise<unknown> }).end('restart', id),
  grow: async (self: Self<string>, name: string): Promise<void> => void (await self.start(Worker, via(name), name)),
}
const one = {
  init: async (name: string) => {
    starts.push(name)
    return name
  },
  on: methods,
  onStart: (self: Self<string>) => onStart(self),
}
const Worker = defineActor('worker', one)
const Reenter = defineActor('reenter', { ...one, reentrant: true })

const Sup = defineSupervisor('sup', {
  times: 1,
  children: () => ({
    a: child(Worker, via('a'), 'a'),
    b: child(Worker, via('b'), 'b'),
    r: child(Reenter, via('r'), 'r'),
  }),
})

async function node(): Promise<{
  world: World
  at: TestNode
  sup: ReturnType<typeof refTo>
  pids: () => Promise<string>
}> {
  starts = []
  open = gate()
  onStart = () => {}
  const world = new World()
  const at = world.add('n', { actors: [Worker, Reenter, Sup], isolation: 'off', limits: { startTimeoutMs: 1e6 } })
  await at.system.start(Sup, via('sup'))
  starts = []
  const sup = refTo(at)
  /** Those that run. */
  const pids = async () => (await sup.children()).flatMap(({ id, pid }) => (pid === undefined ? [] : [id])).join('')
  return { world, at, sup, pids }
}

const refTo = (at: TestNode) => at.system.via(Sup, 'sup')

describe('a child that is told to end while it is started again', () => {
  test('is left at that: it is not started once more, and that is no failure', async () => {
    const { at, sup, pids } = await node()
    const never = new Promise<void>(() => {})
    onStart = () => never
    await at.system.via(Worker, 'a').fall()
    await rest()
    await at.system.via(Worker, 'a').$.stop('enough')
    await rest()
    onStart = () => {}
    expect([starts, await pids()]).toEqual([['a'], 'br'])
    // One restart within the minute: a second failure would be too many.
    await sup.restart('a')
    expect(await pids()).toBe('abr')
  })

  test('is so as well by the ref that its supervisor gave', async () => {
    const { at, sup, pids } = await node()
    const a = await sup.child('a')
    onStart = () => new Promise<void>(() => {})
    await a.fall()
    await rest()
    const waits = errorOf(a.ping())
    await a.$.stop('enough')
    expect((await waits).sent).toBe('no')
    await rest()
    expect([starts, await pids()]).toEqual([['a'], 'br'])
    expect((await errorOf(a.ping())).code).toBe('ERR_NO_PROCESS')
    expect(at.system.stats().actors).toBe(3)
  })

  test('is so as well in a restart of others, which goes on with those after it', async () => {
    const { at } = await node()
    const All = defineSupervisor('all', {
      strategy: 'one-for-all',
      times: 1,
      children: () => ({ x: child(Worker, via('x'), 'x'), y: child(Worker, via('y'), 'y') }),
    })
    const all = at.system.ref(All, await at.system.start(All, anonymous))
    onStart = ({ name }) => (name === 'x' ? new Promise<void>(() => {}) : undefined)
    starts = []
    await at.system.via(Worker, 'y').fall()
    await rest()
    await at.system.via(Worker, 'x').$.stop()
    await rest()
    expect(starts).toEqual(['x', 'y'])
    expect((await all.children()).map(({ pid }) => pid !== undefined)).toEqual([false, true])
  })

  test('is so as well in the first start of its supervisor, and where that was asked to restart it', async () => {
    const { at, sup, pids } = await node()
    onStart = ({ name }) => (name === 'z' ? new Promise<void>(() => {}) : undefined)
    const Late = defineSupervisor('late', { children: () => ({ z: child(Worker, via('z'), 'z') }) })
    const late = at.system.start(Late, anonymous)
    await rest()
    await at.system.via(Worker, 'z').$.stop()
    expect(await at.system.ref(Late, await late).children()).toMatchObject([{ id: 'z', pid: undefined }])
    onStart = () => new Promise<void>(() => {})
    const again = errorOf(sup.restart('a'))
    await rest()
    await at.system.via(Worker, 'a').$.stop()
    expect((await again).code).toBe('ERR_INIT_FAILED')
    expect(await pids()).toBe('br')
  })
})

describe('a child that ends while its supervisor ends it, or others, to start all again', () => {
  const policies = ['permanent', 'transient', 'temporary'] as const
  /** Ends of `x`, and which policies bring it back then. */
  const ends = [
    ['is told to before its turn comes', 'stop', []],
    ['is told to while it ends', 'stopWhileEnding', []],
    ['stops itself', 'leave', ['permanent']],
    ['crashes', 'fall', ['permanent', 'transient']],
    ['does not end before', 'stay', ['permanent', 'transient']],
  ] as const

  test.each(ends)('comes back as its policy says where it %s', async (_, end, again) => {
    for (const policy of policies) {
      const world = new World()
      const at = world.add('n', { isolation: 'off' })
      const ending = { x: gate(), y: gate() }
      const Slow = defineActor('slow', {
        init: (name: 'x' | 'y' | 'z') => name,
        on: {
          fall: (self) => self.crash(new Error('oops')),
          leave: (self) => self.stop('tired'),
        },
        onStop: async ({ state }) => {
          if (state !== 'z') await ending[state].promise
        },
      })
      const All = defineSupervisor('all', {
        strategy: 'one-for-all',
        times: 1,
        children: () => ({
          x: child(Slow, anonymous, 'x').with({ restart: policy }),
          y: child(Slow, anonymous, 'y'),
          z: child(Slow, anonymous, 'z'),
        }),
      })
      const all = at.system.ref(All, await at.system.start(All, anonymous))
      const [x, z] = [await all.child('x'), await all.child('z')]
      // To the process itself: the ref follows the child, which has none from when it is ended.
      const pid = (await all.children())[0]?.pid
      await z.fall()
      await rest()
      const now = at.system.ref(Slow, pid as never)
      const stopped =
        end === 'stop' ? now.$.stop() : end === 'fall' ? x.fall() : end === 'leave' ? x.leave() : undefined
      await rest()
      if (end !== 'stopWhileEnding') ending.x.open()
      ending.y.open()
      await rest()
      const told = end === 'stopWhileEnding' ? now.$.stop() : stopped
      ending.x.open()
      await told
      await rest()
      const run = (await all.children()).map((one) => one.pid !== undefined)
      expect([policy, ...run]).toEqual([policy, (again as readonly string[]).includes(policy), true, true])
    }
  })
})

describe('a child whose name cannot be had, since its node is in a part that gives none away', () => {
  test.each(['one-for-one', 'one-for-all', 'rest-for-one'] as const)(
    'is no failure of its own: it is started when that is over (%s)',
    async (strategy) => {
      const { world, at } = await node()
      const Low = defineSupervisor('low', { times: 0, children: () => ({ z: child(Worker, via('z'), 'z') }) })
      const Mixed = defineSupervisor('mixed', {
        strategy,
        times: 1,
        children: () => ({
          first: child(Worker, anonymous, 'first'),
          x: child(Worker, via('x'), 'x'),
          low: child(Low, anonymous),
          last: child(Worker, anonymous, 'last'),
        }),
      })
      const mixed = at.system.ref(Mixed, await at.system.start(Mixed, anonymous))
      /** How often each was started again, and `-` for what does not run. */
      const run = async () =>
        (await mixed.children()).map((one) => (one.pid === undefined ? '-' : one.restarts)).join('')
      // Of the supervisor below, too, which cannot start its own.
      for (const [name, i] of [
        ['x', 0],
        ['z', 1],
      ] as const) {
        const [meanwhile, then] = {
          'one-for-one': ['0-00', '0100', '01-0', '0110'],
          'one-for-all': ['1---', '1111', '22--', '2222'],
          'rest-for-one': ['0---', '0111', '01--', '0122'],
        }[strategy].slice(2 * i)
        at.claiming = (asked) => {
          if (asked === name) throw new SkepError('ERR_NO_MAJORITY', 'paused')
        }
        await at.system.via(Worker, name).fall()
        await rest()
        expect(await run()).toBe(meanwhile)
        await world.time.pass(10_000)
        expect(await run()).toBe(meanwhile)
        expect(at.lines.filter(({ text }) => text.includes('tried again every 1000 ms'))).toHaveLength(i + 1)
        at.claiming = () => {}
        await world.time.pass(1000)
        expect(await run()).toBe(then)
        await world.time.pass(60_000)
      }
    },
  )

  test('stays ended where it is told to meanwhile', async () => {
    const { world, at, sup, pids } = await node()
    at.claiming = () => {
      throw new SkepError('ERR_NO_MAJORITY', 'paused')
    }
    await at.system.via(Worker, 'a').fall()
    await rest()
    await sup.stop('a')
    at.claiming = () => {}
    await world.time.pass(5000)
    expect(await pids()).toBe('br')
    expect(world.time.timers).toBeLessThanOrEqual(1)
  })
})

describe('a child that stops itself in its onStart', () => {
  test('is started again as often as that may be where it is permanent, else left at that', async () => {
    const { at } = await node()
    for (const policy of ['permanent', 'transient', 'temporary'] as const) {
      let tired = false
      const Brief = defineActor('brief', {
        init: () => 0,
        on: { fall: (self) => self.crash(new Error('oops')) },
        onStart: (self) => {
          if (tired) self.stop('nothing to do')
        },
      })
      const Both = defineSupervisor('both', {
        strategy: 'one-for-all',
        times: 3,
        children: () => ({
          brief: child(Brief, anonymous).with({ restart: policy }),
          other: child(Worker, via('other'), 'other'),
        }),
      })
      const both = at.system.ref(Both, await at.system.start(Both, anonymous))
      tired = true
      await at.system.via(Worker, 'other').fall()
      await rest()
      const left = both.children().then(
        (children) => children.map(({ pid }) => pid !== undefined),
        () => 'crashed',
      )
      expect([policy, await left]).toEqual([policy, policy === 'permanent' ? 'crashed' : [false, true]])
      if (policy !== 'permanent') await both.$.stop()
    }
  })
})

describe('a child that ends between its start and when it has its name', () => {
  test('has not started, so it is started again', async () => {
    const world = new World()
    const at = world.add('n')
    let later = (): void => {}
    const Hasty = defineActor('hasty', {
      init: () => 0,
      on: { ping: () => 'pong', fall: (self) => self.crash(new Error('oops')) },
      onStart: async (self) => {
        // Something that takes a moment to end.
        await self.start(Worker, anonymous, 'x')
        later = () => self.crash(new Error('too soon'))
      },
    })
    const One = defineSupervisor('one', { children: () => ({ hasty: child(Hasty, via('hasty')) }) })
    const one = at.system.ref(One, await at.system.start(One, anonymous))
    const fallOnce = (): void => {
      at.committing = async () => {
        at.committing = async () => {}
        later()
      }
    }
    fallOnce()
    expect((await errorOf(at.system.start(Hasty, via('other')))).code).toBe('ERR_INIT_FAILED')
    fallOnce()
    expect((await errorOf(one.restart('hasty'))).code).toBe('ERR_INIT_FAILED')
    expect(await one.children()).toMatchObject([{ pid: undefined }])
    await one.restart('hasty')
    fallOnce()
    await at.system.via(Hasty, 'hasty').fall()
    await rest()
    expect(await at.system.via(Hasty, 'hasty').ping()).toBe('pong')
    expect(await one.children()).toMatchObject([{ pid: at.system.whereis('hasty'), restarts: 2 }])
  })
})

describe('a child that would wait for its own end', () => {
  test.each(['restart', 'stop'] as const)('by %s is told so at once, with the names, and goes on', async (what) => {
    const { world, at, pids } = await node()
    for (const name of ['a', 'r'] as const) {
      const ref = name === 'a' ? at.system.via(Worker, 'a') : at.system.via(Reenter, 'r')
      const error = await errorOf(ref.end(what, name))
      const kind = name === 'a' ? 'worker' : 'reenter'
      expect([error.code, error.message]).toEqual([
        'ERR_CALL_CYCLE',
        expect.stringContaining(`(${kind} '${name}' -> sup 'sup' -> ${kind} '${name}')`),
      ])
      expect(error.message).toContain(`$.cast.${what}`)
    }
    expect([world.time.now(), await pids(), starts]).toEqual([1000, 'abr', []])
  })

  test('by another one that it called, or by a child of its own, is told so as well', async () => {
    const { world, at, sup } = await node()
    const a = at.system.via(Worker, 'a')
    expect((await errorOf(a.endBy('b', 'a'))).message).toContain(
      "(worker 'a' -> worker 'b' -> sup 'sup' -> worker 'a')",
    )
    await a.grow('twig')
    const error = await errorOf(at.system.via(Worker, 'twig').end('restart', 'a'))
    expect([error.code, error.message]).toEqual([
      'ERR_CALL_CYCLE',
      expect.stringContaining("(worker 'twig' -> sup 'sup' -> worker 'twig')"),
    ])
    expect((await sup.children()).map(({ restarts }) => restarts)).toEqual([0, 0, 0])
    // Nobody waits: no cycle.
    await at.system.via(Worker, 'b').end('restart', 'a')
    await at.system.via(Worker, 'b').endLater('b')
    await rest()
    expect((await sup.children()).map(({ restarts }) => restarts)).toEqual([1, 1, 0])
    expect(world.time.now()).toBe(1000)
  })

  test('is told so where its supervisor ends it, and it asks that something meanwhile', async () => {
    for (const name of ['a', 'r', 'twig']) {
      const { world, at, sup } = await node()
      if (name === 'twig') await at.system.via(Worker, 'a').grow('twig')
      const asks = errorOf((name === 'r' ? at.system.via(Reenter, 'r') : at.system.via(Worker, name)).ask())
      await rest()
      const again = sup.restart(name === 'twig' ? 'a' : (name as 'a'))
      await rest()
      open.open()
      expect((await asks).code).toBe('ERR_CALL_CYCLE')
      await again
      expect(world.time.now()).toBe(1000)
    }
  })

  test('is told so where it has asked that something before', async () => {
    const { world, at, sup } = await node()
    const b = gate()
    onStart = ({ name }) => (name === 'b' ? b.promise : undefined)
    const restarts = [sup.restart('b'), sup.restart('a')]
    await rest()
    open.open()
    const asks = errorOf(at.system.via(Worker, 'a').ask())
    const later = sup.children()
    await rest()
    b.open()
    expect((await asks).message).toContain("(worker 'a' -> sup 'sup' -> worker 'a')")
    await Promise.all(restarts)
    expect((await later).map(({ restarts }) => restarts)).toEqual([1, 1, 0])
    expect(world.time.now()).toBe(1000)
  })
})

describe('a child whose name does not become visible in time', () => {
  test('has not started: nothing of it stays to be in the way of the next one', async () => {
    const { at } = await node()
    let late = 0
    at.flush = async () => {
      late -= 1
      if (late >= 0) throw new SkepError('ERR_TIMEOUT', 'not seen by all in time')
    }
    const Seen = defineSupervisor('seen', {
      times: 2,
      children: () => ({ x: child(Worker, via('x', { visible: 'all' }), 'x') }),
    })
    const seen = at.system.ref(Seen, await at.system.start(Seen, anonymous))
    late = 1
    await at.system.via(Worker, 'x').fall()
    await rest()
    expect(await at.system.via(Worker, 'x').ping()).toBe('pong')
    expect(await seen.children()).toMatchObject([{ id: 'x', pid: at.system.whereis('x'), restarts: 1 }])
    expect(at.system.reports().filter(({ name }) => name === 'x')).toHaveLength(1)
  })
})

describe('an actor that is started by another one, which waits for it', () => {
  interface ParentRef {
    value(): Promise<number>
    readonly $: { readonly cast: { value(): void } }
  }
  type Ask = 'call' | 'cast' | 'later'
  const parentOf = (node: ActorNode, name: string): ParentRef => node.via(Parent, name) as unknown as ParentRef
  const Asker = defineActor('asker', {
    init: (parent: string, ask: Ask) => ({ parent, ask }),
    on: { ask: (self): Promise<number> => parentOf(self.node, self.state.parent).value() },
    onStart: async (self) => {
      const parent = parentOf(self.node, self.state.parent)
      if (self.state.ask === 'call') await parent.value()
      else if (self.state.ask === 'cast') parent.$.cast.value()
      else self.after(0, 'ask')
    },
  })
  /** It calls whom it is given in its `init`. */
  const Early = defineActor('early', {
    init: async (parent: ParentRef) => await parent.value(),
    on: { value: (self) => self.state },
  })
  const parent = {
    init: () => ({ n: 0 }),
    on: {
      value: (self: Self<{ n: number }>): number => ++self.state.n,
      grow: async (self: Self<{ n: number }>, how: 'self' | 'node', ask: Ask): Promise<void> => {
        await (how === 'self' ? self : self.node).start(Asker, anonymous, self.name ?? '', ask)
      },
      growEarly: async (self: Self<{ n: number }>): Promise<void> => {
        await self.start(Early, anonymous, parentOf(self.node, self.name ?? ''))
      },
      growUnawaited: (self: Self<{ n: number }>): void => void self.start(Asker, anonymous, self.name ?? '', 'call'),
    },
  }
  const Parent = defineActor('parent', parent)
  const Open = defineActor('parent', { ...parent, reentrant: true })

  async function family(isolation: 'copy' | 'off' = 'copy') {
    const world = new World()
    const at = world.add('n', { isolation })
    await at.system.start(Parent, via('p'))
    await at.system.start(Open, via('open'))
    return { world, at, p: at.system.via(Parent, 'p'), open: at.system.via(Parent, 'open') }
  }

  test.each(['self', 'node'] as const)('by %s.start cannot call it in onStart, and says what to do', async (how) => {
    const { world, at, p } = await family()
    const error = await errorOf(p.grow(how, 'call'))
    const cause = error.cause as SkepError
    expect([error.code, cause.code, cause.sent]).toEqual(['ERR_INIT_FAILED', 'ERR_CALL_CYCLE', 'no'])
    expect(cause.message).toMatch(/\(parent 'p' -> asker <n.*> \(starting\) -> parent 'p'\)/)
    expect(cause.message).toMatch(/cast .*or .*call it later.*self\.after/)
    expect([world.time.now(), await p.value()]).toEqual([1000, 1])
    expect(at.system.stats().actors).toBe(2)
  })

  test.each(['copy', 'off'] as const)(
    'cannot call it in init either, by a ref that it was given (%s)',
    async (isolation) => {
      const { world, p } = await family(isolation)
      expect(((await errorOf(p.growEarly())).cause as SkepError).code).toBe('ERR_CALL_CYCLE')
      expect(world.time.now()).toBe(1000)
    },
  )

  test('may cast, or call once it runs, or call one that is reentrant or does not wait', async () => {
    const { world, p, open } = await family()
    await p.grow('self', 'cast')
    await p.grow('self', 'later')
    await world.time.pass(1)
    expect(await p.value()).toBe(3)
    await open.grow('self', 'call')
    await open.growEarly()
    expect(await open.value()).toBe(3)
    await p.growUnawaited()
    await rest()
    expect(await p.value()).toBe(5)
  })

  test('goes on with refs that belong to no start any more', async () => {
    const { at, p } = await family()
    await p.grow('self', 'cast')
    await rest()
    const pid = at.system.reports().find(({ kind }) => kind === 'asker')?.pid
    expect(await at.system.ref(Asker, pid as never).ask()).toBe(2)
  })

  test('is found where the two wait across others, whichever calls last', async () => {
    interface MidRef {
      pass(to: 'p' | 'child'): Promise<unknown>
    }
    for (const last of ['child', 'mid']) {
      const world = new World()
      const at = world.add('n')
      const gates = { child: gate(), mid: gate() }
      const Mid = defineActor('mid', {
        init: () => 0,
        on: {
          /** To the one that waits for the start. */
          pass: async (self): Promise<unknown> => {
            await gates.mid.promise
            return await (self.node.via(Top, 'top') as unknown as { value(): Promise<number> }).value()
          },
          nothing: () => 0,
        },
      })
      const Kid = defineActor('kid', {
        init: () => 0,
        on: {},
        onStart: async (self) => {
          await gates.child.promise
          await (self.node.via(Mid, 'mid') as unknown as { nothing(): Promise<number> }).nothing()
        },
      })
      const Top = defineActor('top', {
        init: () => 0,
        on: { value: () => 1, grow: async (self): Promise<void> => void (await self.start(Kid, anonymous)) },
      })
      await at.system.start(Mid, via('mid'))
      await at.system.start(Top, via('top'))
      const codes = [at.system.via(Top, 'top').grow(), (at.system.via(Mid, 'mid') as unknown as MidRef).pass('p')].map(
        (call) =>
          call.then(
            () => 'done',
            ({ code, cause }: SkepError) => (cause as SkepError | undefined)?.code ?? code,
          ),
      )
      await rest()
      const [first, second] = last === 'mid' ? ([gates.child, gates.mid] as const) : ([gates.mid, gates.child] as const)
      first.open()
      await rest()
      second.open()
      expect(await Promise.all(codes)).toContain('ERR_CALL_CYCLE')
      expect(world.time.now()).toBe(1000)
    }
  })

  test('that calls somebody in onStart who calls it is told so, whoever started it', async () => {
    const world = new World()
    const at = world.add('n')
    const Back = defineActor('back', {
      init: () => 0,
      on: { callBack: async (_self, ref: { value(): Promise<number> }): Promise<number> => await ref.value() },
    })
    await at.system.start(Back, via('back'))
    const First = defineActor('first', {
      init: () => 0,
      on: { value: (): number => 1 },
      onStart: async (self): Promise<void> => {
        const own = self.node.ref(First, self.pid) as unknown as { value(): Promise<number> }
        await self.node.via(Back, 'back').callBack(own)
      },
    })
    const error = await errorOf(at.system.start(First, anonymous))
    expect((error.cause as SkepError).code).toBe('ERR_CALL_CYCLE')
    expect(world.time.now()).toBe(1000)
  })
})

describe('self.crash', () => {
  test('of one that ends already is logged, since it decides nothing any more', async () => {
    const world = new World()
    const at = world.add('n')
    const Late = defineActor('late', {
      init: () => 0,
      on: {},
      onStop: (self) => self.crash(new SkepError('ERR_TIMEOUT', 'the disk is gone')),
    })
    const ref = at.system.ref(Late, await at.system.start(Late, anonymous))
    const down = ref.$.monitor().next()
    await rest()
    await ref.$.stop('done')
    const [line] = at.lines.filter(({ level }) => level === 'error')
    expect(line?.text).toMatch(/^late <n.*> ends already; it crashed meanwhile$/)
    expect(line?.fields.err).toMatchObject({ code: 'ERR_TIMEOUT' })
    expect(((await down).value as { reason: string }).reason).toBe('stopped')
  })
})
