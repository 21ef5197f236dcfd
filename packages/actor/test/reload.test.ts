/** New code for actors that run: their state stays. */
import { describe, expect, test } from 'vitest'
import { anonymous, defineActor, type Self, via } from '../src/index.js'
import { errorOf, gate, rest, type TestNode, World } from './world.js'

let open = gate()

interface Old {
  n: number
}

const first = defineActor('thing', {
  init: (n: number): Old => ({ n }),
  on: {
    version: () => 1,
    value: (self) => self.state.n,
    hold: async () => {
      await open.promise
      return 'old'
    },
    gone: () => 'from the old code',
    later: (self, ms: number) => void self.after(ms, 'note', 'x'),
    note: (self, _word: string) => {
      self.state.n += 100
    },
    async *items(self) {
      yield 1
      await open.promise
      yield self.state.n
    },
  },
})

const second = defineActor('thing', {
  init: (n: number) => ({ n: n * 2, unit: 'piece' }),
  on: {
    version: () => 2,
    value: (self) => `${self.state.n} ${self.state.unit}`,
    hold: () => 'new',
    later: () => {},
    note: (self, word: string) => {
      self.state.unit += word
    },
    async *items(self) {
      yield self.state.unit
    },
    fresh: () => 'only here',
  },
  handoff: { in: (saved: Old) => ({ n: saved.n, unit: 'old piece' }) },
})

async function thing(): Promise<{ world: World; a: TestNode; b: TestNode }> {
  open = gate()
  const world = new World()
  const [a, b] = ['a', 'b'].map((name) => world.add(name, { actors: [first] })) as [TestNode, TestNode]
  await a.system.spawn(first, via('t'), 7)
  return { world, a, b }
}

describe('reload', () => {
  test('gives actors that run new code, with their state by way of handoff', async () => {
    const { a, b } = await thing()
    const pid = await a.system.start(first, anonymous, 1)
    expect(await b.system.via(first, 't').version()).toBe(1)
    expect(await a.system.reload(second)).toEqual({ reloaded: 2, failed: [] })
    expect(await b.system.via(first, 't').version()).toBe(2)
    expect(await a.system.via(second, 't').value()).toBe('7 old piece')
    expect(await a.system.ref(second, pid).fresh()).toBe('only here')
    expect((await errorOf(b.system.via(first, 't').gone())).code).toBe('ERR_NO_METHOD')
    // What starts from here on too, whichever definition is asked for.
    const next = await a.system.start(first, anonymous, 3)
    expect(await a.system.ref(second, next).value()).toBe('6 piece')
  })

  test('waits for the call that runs; what waits behind it runs the new code, but for what that has not', async () => {
    const { a, b } = await thing()
    const held = b.system.via(first, 't').hold()
    await rest()
    const waiting = [
      b.system.via(first, 't').hold(),
      a.system.via(first, 't').value(),
      a.system.via(first, 't').gone(),
    ] as Promise<unknown>[]
    await rest()
    const reloaded = a.system.reload(second)
    await rest()
    open.open()
    expect(await held).toBe('old')
    expect(await reloaded).toEqual({ reloaded: 1, failed: [] })
    expect(await Promise.all(waiting)).toEqual(['new', '7 old piece', 'from the old code'])
  })

  test('leaves an actor as it was where its state does not go over, or its call does not end', async () => {
    const { world, a } = await thing()
    const picky = defineActor('thing', {
      init: () => 0,
      on: { version: () => 3 },
      handoff: {
        in: () => {
          throw new RangeError('not this')
        },
      },
    })
    const { reloaded, failed } = await a.system.reload(picky)
    expect([reloaded, failed.map(({ name, error }) => [name, (error as Error).message])]).toEqual([
      0,
      [['t', 'not this']],
    ])
    expect(await a.system.via(first, 't').value()).toBe(7)
    const held = a.system.via(first, 't').$.with({ timeout: 60_000 }).hold()
    await rest()
    const late = a.system.reload(second)
    await world.time.pass(5000)
    expect((await late).failed.map(({ error }) => (error as { code: string }).code)).toEqual(['ERR_TIMEOUT'])
    open.open()
    expect(await held).toBe('old')
    expect(await a.system.via(first, 't').version()).toBe(1)
  })

  test('keeps timers by the name of a method, which then runs the new code, and streams that run', async () => {
    const { world, a } = await thing()
    const ref = a.system.via(first, 't')
    await ref.later(10)
    const items = ref.items()[Symbol.asyncIterator]()
    expect((await items.next()).value).toBe(1)
    const reloading = a.system.reload(second)
    await rest()
    open.open()
    await reloading
    expect((await items.next()).value).toBe(7)
    await world.time.pass(10)
    expect(await a.system.via(second, 't').value()).toBe('7 old piecex')
  })

  test('waits for one that starts, and again for the reload before', async () => {
    const world = new World()
    const starting = gate()
    const make = (version: number, wait: Promise<void>) =>
      defineActor('slow', {
        init: () => ({ seen: [] as number[] }),
        on: { seen: (self) => [...self.state.seen, version] },
        onStart: () => wait,
        handoff: {
          out: async (self: Self<{ seen: number[] }>) => {
            await rest()
            return { seen: [...self.state.seen, version] }
          },
        },
      })
    const one = make(1, starting.promise)
    const a = world.add('a', { actors: [one] })
    const started = a.system.start(one, via('s'))
    await rest()
    const both = [2, 3].map((version) => a.system.reload(make(version, Promise.resolve())))
    await rest()
    starting.open()
    await started
    expect(await Promise.all(both)).toEqual([
      { reloaded: 1, failed: [] },
      { reloaded: 1, failed: [] },
    ])
    expect(await a.system.via(one, 's').seen()).toEqual([1, 2, 3])
  })

  test('and a handoff do not cross: the one that comes second waits, or is told', async () => {
    const { world, a, b } = await thing()
    const held = a.system.via(first, 't').hold()
    await rest()
    const moving = world.handOver('t', b)
    await rest()
    const { failed } = await a.system.reload(second)
    expect(failed.map(({ error }) => (error as { code: string }).code)).toEqual(['ERR_CANNOT_MOVE'])
    open.open()
    await held
    await moving.then(({ passed }) => passed())
    await rest()
    expect(await b.system.via(first, 't').version()).toBe(1)
    const reloading = b.system.reload(second)
    const back = world.handOver('t', a)
    expect((await reloading).reloaded).toBe(1)
    await back.then(({ passed }) => passed())
    await rest()
    expect(await a.system.via(second, 't').version()).toBe(2)
  })

  test('reaches one that still asks for its name', async () => {
    const make = (version: number) => defineActor('new', { init: () => 0, on: { version: () => version } })
    const one = make(1)
    const a = new World().add('a', { actors: [one] })
    const started = a.system.start(one, via('x'))
    await a.system.reload(make(2))
    await started
    expect(await a.system.via(one, 'x').version()).toBe(2)
  })

  test('cancels timers by the name of a method that the new code has not, and says so once', async () => {
    const one = defineActor('clock', {
      init: () => 0,
      on: { wind: (self) => void self.every(100, 'tick'), tick: (self) => ++self.state },
    })
    const world = new World()
    const a = world.add('a', { actors: [one] })
    await a.system.ref(one, await a.system.start(one, anonymous)).wind()
    const before = world.time.timers
    await a.system.reload(defineActor('clock', { init: () => 0, on: { wind: () => {} } }))
    expect(world.time.timers).toBe(before - 1)
    await world.time.pass(1000)
    expect(a.lines.filter(({ level }) => level === 'error')).toEqual([])
    expect(a.lines.filter(({ level, text }) => level === 'warn' && /timer/.test(text))).toMatchObject([
      { fields: { method: 'tick' } },
    ])
  })

  test('of one that never starts ends where its node is closed', async () => {
    const make = () => defineActor('never', { init: () => new Promise<number>(() => {}), on: {} })
    const one = make()
    const a = new World().add('a', { actors: [one] })
    const started = errorOf(a.system.start(one, anonymous))
    await rest()
    const reloading = a.system.reload(make())
    await rest()
    a.system.close()
    await started
    expect(await reloading).toEqual({ reloaded: 0, failed: [] })
  })

  test('leaves an actor alone whose handoff never ends: it goes on, and can be stopped meanwhile and afterwards', async () => {
    for (const how of ['waits', 'stops'] as const) {
      const make = (version: number) =>
        defineActor('stuck', {
          init: () => 0,
          on: { version: () => version },
          handoff: { out: () => new Promise<number>(() => {}) },
        })
      const one = make(1)
      const world = new World()
      const a = world.add('a', { actors: [one], limits: { stopGraceMs: 1000 } })
      const ref = a.system.ref(one, await a.system.start(one, anonymous)).$.with({ timeout: 60_000 })
      const reloading = a.system.reload(make(2))
      await rest()
      const after = how === 'waits' ? ref.version() : ref.$.stop()
      await world.time.pass(2500)
      expect((await reloading).failed.map(({ error }) => (error as { code: string }).code)).toEqual(['ERR_TIMEOUT'])
      expect(await after).toBe(how === 'waits' ? 1 : undefined)
      expect(a.system.stats().actors).toBe(how === 'waits' ? 1 : 0)
    }
  })

  test('goes by the names of methods, not by functions, which may be shared: within one definition, or by both', async () => {
    const shared = (text: string) => (): string => text
    const [one, two, three] = ['one', 'two', 'three'].map(shared) as [() => string, () => string, () => string]
    const make = (a: () => string, b: () => string, wait: () => Promise<void> = () => open.promise) =>
      defineActor('swap', {
        init: () => 0,
        on: { a, b, wait },
        handoff: {},
      })
    open = gate()
    const before = make(one, one)
    const at = new World().add('a', { actors: [before] })
    await at.system.start(before, via('x'))
    const ref = at.system.via(before, 'x')
    const held = ref.wait()
    await rest()
    const waiting = [ref.a(), ref.b()]
    const reloading = at.system.reload(make(two, one))
    await rest()
    open.open()
    await Promise.all([held, reloading])
    expect(await Promise.all(waiting)).toEqual(['two', 'one'])
    await at.system.reload(make(one, three))
    expect([await ref.a(), await ref.b()]).toEqual(['one', 'three'])
  })

  test('of a kind that nobody knows here is a mistake of the caller', async () => {
    const { a } = await thing()
    await expect(a.system.reload(defineActor('other', { init: () => 0, on: {} }))).rejects.toThrow(TypeError)
    expect(() => a.system.reload({} as never)).toThrow('not an actor definition')
  })
})

describe('the options of new code', () => {
  const till = (options: { keys?: { entries?: number; ms?: number }; mailbox?: number }) =>
    defineActor('till', {
      init: () => ({ sum: 0 }),
      on: {
        pay: (self, amount: number) => (self.state.sum += amount),
        hold: async () => open.promise,
        later: (self, word: string) => void self.after(1000, 'note', word),
        note: (_self, _word: string) => {},
      },
      ...options,
    })

  const started = async (options: Parameters<typeof till>[0]) => {
    open = gate()
    const world = new World()
    const one = till(options)
    const a = world.add('a', { actors: [one] })
    await a.system.start(one, via('t'))
    const ref = a.system.via(one, 't')
    return { world, a, ref, pay: (key: string) => ref.$.with({ key }).pay(1) }
  }

  test('bound the keys that actors which run remember: how many, the oldest go first', async () => {
    const { a, pay } = await started({ keys: { entries: 4 } })
    for (const key of ['1', '2', '3', '4']) await pay(key)
    await a.system.reload(till({ keys: { entries: 2 } }))
    expect([await pay('4'), await pay('3'), await pay('1'), await pay('2')]).toEqual([4, 3, 5, 6])
    await a.system.reload(till({ keys: { entries: 3 } }))
    await pay('7')
    expect([await pay('1'), await pay('2'), await pay('7')]).toEqual([5, 6, 7])
  })

  test('bound them in time: from when the call was done, also before', async () => {
    const { world, a, pay } = await started({ keys: { ms: 1000 } })
    await pay('1')
    await world.time.pass(500)
    await pay('2')
    await a.system.reload(till({ keys: { ms: 400 } }))
    expect([await pay('2'), await pay('1')]).toEqual([2, 3])
    await world.time.pass(399)
    expect(await pay('2')).toBe(2)
    await a.system.reload(till({ keys: { ms: 2000 } }))
    await world.time.pass(1600)
    expect(await pay('2')).toBe(2)
    await world.time.pass(1)
    expect([await pay('1'), await pay('2')]).toEqual([4, 5])
  })

  test('bound their mailboxes, timers and calls with one key; what waits already stays', async () => {
    const { a, ref, pay } = await started({ mailbox: 3 })
    for (const word of ['one', 'two', 'three']) await ref.later(word)
    const first = ref.$.with({ key: 'k' }).hold()
    await rest()
    const reloading = a.system.reload(till({ mailbox: 1 }))
    const waiting = [pay('1'), ref.pay(1), ref.pay(1)]
    await rest()
    open.open()
    await Promise.all([first, reloading])
    expect(await Promise.all(waiting)).toEqual([1, 2, 3])
    open = gate()
    const blocker = ref.hold()
    await rest()
    const one = ref.$.with({ key: 'l' }).pay(1)
    const more = [errorOf(ref.pay(1)), errorOf(ref.$.with({ key: 'l' }).pay(1))]
    expect((await Promise.all(more)).map(({ code }) => code)).toEqual(['ERR_OVERLOADED', 'ERR_OVERLOADED'])
    open.open()
    await Promise.all([blocker, one])
    expect((await errorOf(ref.later('four'))).code).toBe('ERR_OVERLOADED')
    await a.system.reload(till({ mailbox: 4 }))
    expect(await ref.later('four')).toBe(undefined)
  })

  test('are those of what is begun: an end that waits to be told, and a copy that waits to be merged', async () => {
    const told: string[] = []
    const parent = (version: number, extra = {}) =>
      defineActor('parent', {
        init: () => ({ version }),
        on: {
          raise: (self) => self.start(first, anonymous, 0),
          hold: async () => open.promise,
        },
        onExit: (self, { reason }) => void told.push(`${self.state.version} ${version} ${reason}`),
        onConflict: (self) => void told.push(`${self.state.version} ${version} merged`),
        handoff: { in: () => ({ version }) },
        ...extra,
      })
    open = gate()
    const world = new World()
    const one = parent(1)
    const [a, b] = ['a', 'b'].map((name) => world.add(name, { actors: [one] })) as [TestNode, TestNode]
    const loser = await b.system.start(one, via('p'))
    world.claims.delete('p')
    await a.system.start(one, via('p'))
    const ref = a.system.via(one, 'p')
    const child = await ref.raise()
    const held = ref.hold()
    await rest()
    await a.system.ref(first, child).$.stop()
    b.deactivate?.({ pid: loser, name: 'p', reason: 'conflict', winner: world.claims.get('p') as never })
    await rest()
    const reloading = a.system.reload(parent(2))
    await rest()
    open.open()
    await Promise.all([held, reloading])
    await rest()
    expect(told).toEqual(['2 2 stopped', '2 2 merged'])
  })

  test('hold for what is spawned by refs that were made before', async () => {
    const make = (policy: 'permanent' | 'temporary') =>
      defineActor('placed', { init: () => 0, on: { value: (self) => self.state }, restart: policy })
    const one = make('permanent')
    const a = new World().add('a', { actors: [one] })
    const ref = a.system.ensure(one, via('x'))
    await a.system.reload(make('temporary'))
    await ref.value()
    expect(a.spawned.map(([, , , options]) => options?.restart)).toMatchObject([{ policy: 'temporary' }])
  })
})
