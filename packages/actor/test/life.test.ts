/** The life of an actor: how it starts under a name or where the ring says, what stops it, and what its callers see. */
import { SkepError } from '@skep/cluster'
import type { Pid } from '@skep/tracker'
import { describe, expect, test } from 'vitest'
import { type ActorNode, anonymous, defineActor, via } from '../src/index.js'
import { errorOf, gate, rest, World } from './world.js'

const Counter = defineActor('counter', {
  init: (start: number) => ({ n: start }),
  on: {
    value: (self) => self.state.n,
    increment: (self, by: number = 1) => (self.state.n += by),
    stopYourself: (self) => {
      self.stop('had enough')
      return 'last words'
    },
    fence: (self) => self.fence,
    where: (self) => self.node.name,
  },
})

describe('start', () => {
  test('refuses a name that is held anywhere, with the holder’s pid', async () => {
    const world = new World()
    const [a, b] = [world.add('a', { actors: [Counter] }), world.add('b', { actors: [Counter] })]
    const pid = await a.system.start(Counter, via('my_proc'), 0)
    const error = await errorOf(b.system.start(Counter, via('my_proc'), 0))
    expect([error.code, error.pid]).toEqual(['ERR_ALREADY_STARTED', pid])
    expect(await b.system.via(Counter, 'my_proc').increment(2)).toBe(2)
  })

  test('claims the name before init runs, and gives it back when init refuses', async () => {
    const world = new World()
    const seen: string[] = []
    const Picky = defineActor('picky', {
      init: async (ok: boolean) => {
        seen.push(world.reserved.has('p') ? 'claimed' : 'not claimed')
        await rest()
        if (!ok) throw new RangeError('not today')
        return 1
      },
      on: { value: (self) => self.state },
    })
    const { system, gone } = world.add('a', { actors: [Picky] })
    const error = await errorOf(system.start(Picky, via('p'), false))
    expect([error.code, (error.cause as Error).message]).toEqual(['ERR_INIT_FAILED', 'not today'])
    expect(error.sent).toBe('maybe')
    expect(error.cause).toBeInstanceOf(RangeError)
    expect(error.message).toContain('not today')
    expect(world.reserved.size).toBe(0)
    expect(gone).toHaveLength(1)
    expect(system.stats().actors).toBe(0)
    await system.start(Picky, via('p'), true)
    expect(await system.via(Picky, 'p').value()).toBe(1)
    expect(seen).toEqual(['claimed', 'claimed'])
  })

  test('waits for whatever has a `then`, as await does: some query builders are functions', async () => {
    const later = <T>(value: T): Promise<T> =>
      Object.assign(() => {}, {
        then: (resolve: (value: T) => void) => Promise.resolve().then(() => resolve(value)),
      }) as never
    const Row = defineActor('row', {
      init: () => later({ n: 3 }),
      on: { value: (self) => self.state.n, again: (self) => later(self.state.n + 1) },
    })
    const { system } = new World().add('a', { actors: [Row] })
    await system.start(Row, via('r'))
    expect(await system.via(Row, 'r').value()).toBe(3)
    expect(await system.via(Row, 'r').again()).toBe(4)
  })

  test('runs onStart after init and before the first message; it may call the node', async () => {
    const order: string[] = []
    const world = new World()
    const opened = gate()
    let pid: Pid | undefined
    const Early = defineActor('early', {
      init: () => void order.push('init'),
      on: { hello: () => order.push('message') },
      async onStart(self) {
        pid = self.pid
        order.push(`onStart ${self.name}`)
        await self.node.start(Counter, via('helper'), 3)
        expect(await self.node.via(Counter, 'helper').value()).toBe(3)
        await opened.promise
        order.push('onStart ends')
      },
    })
    const { system } = world.add('a', { actors: [Early, Counter] })
    const started = system.start(Early, via('e'))
    await rest()
    expect(system.whereis('e')).toBeUndefined()
    const hello = system.ref(Early, pid as unknown as Pid).hello()
    await rest()
    opened.open()
    await started
    await hello
    expect(order).toEqual(['init', 'onStart e', 'onStart ends', 'message'])
  })

  test('fails when onStart throws or stops the actor', async () => {
    const { system } = new World().add('a')
    const Bad = defineActor('bad', {
      init: (how: string) => how,
      on: {},
      onStart(self) {
        if (self.state === 'throw') throw new Error('onStart threw')
        self.stop()
      },
    })
    expect((await errorOf(system.start(Bad, anonymous, 'throw'))).code).toBe('ERR_INIT_FAILED')
    expect((await errorOf(system.start(Bad, via('b'), 'stop'))).code).toBe('ERR_INIT_FAILED')
    expect(system.whereis('b')).toBeUndefined()
    expect(system.stats().actors).toBe(0)
  })

  test('ends the actor again when its name went to another meanwhile', async () => {
    const world = new World()
    const stops: string[] = []
    const Late = defineActor('late', {
      init: () => 0,
      on: {},
      onStart: () => void world.put('l', a.system.pidOf(taken), 1, 'counter'),
      onStop: (_self, reason) => void stops.push(reason),
    })
    const a = world.add('a', { actors: [Counter, Late] })
    const taken = await a.system.start(Counter, anonymous, 0)
    const error = await errorOf(a.system.start(Late, via('l')))
    expect([error.code, error.pid]).toEqual(['ERR_ALREADY_STARTED', taken])
    expect(stops).toEqual(['conflict'])
    expect(a.system.stats().actors).toBe(1)
  })

  describe('that never ends', () => {
    const inits: { readonly self?: AbortSignal }[] = []
    const Never = defineActor('never', {
      init: (how: string) => (how === 'init' ? new Promise<string>(() => {}) : how),
      on: {},
      onStart(self) {
        inits.push({ self: self.signal })
        return new Promise(() => {})
      },
    })

    test.each(['init', 'onStart'])('in %s is given up after its timeout, and the name is free again', async (how) => {
      const world = new World()
      const { system, gone } = world.add('a', { actors: [Never, Counter] })
      const failed = errorOf(system.start(Never, via('n', { timeout: 500 }), how))
      await world.time.pass(490)
      expect(system.stats().actors).toBe(1)
      await world.time.pass(20)
      const error = await failed
      expect([error.code, error.sent, (error.cause as SkepError).code]).toEqual([
        'ERR_INIT_FAILED',
        'maybe',
        'ERR_TIMEOUT',
      ])
      expect([system.stats().actors, gone.length, world.reserved.size, world.time.timers]).toEqual([0, 1, 0, 0])
      if (how === 'onStart') expect(inits.at(-1)?.self?.aborted).toBe(true)
      await system.start(Counter, via('n'), 1)
    })

    test('is given up after the node’s limit: 10 s, anonymous and placed ones too', async () => {
      const world = new World()
      const { system } = world.add('a', { actors: [Never] })
      const failed = [
        errorOf(system.start(Never, via('n'), 'init')),
        errorOf(system.start(Never, anonymous, 'init')),
        errorOf(system.spawn(Never, via('placed'), 'init')),
      ]
      await world.time.pass(9_990)
      expect(system.stats().actors).toBe(3)
      await world.time.pass(20)
      for (const error of await Promise.all(failed))
        expect([error.code, error.sent]).toEqual(['ERR_INIT_FAILED', 'maybe'])
      expect(system.stats().actors).toBe(0)
    })

    test.each(['$.stop', 'stopAll', 'close'])('ends with %s', async (how) => {
      const world = new World()
      const { system } = world.add('a', { actors: [Never] })
      const failed = errorOf(system.start(Never, via('n', { timeout: 1e9 }), 'init'))
      await rest()
      if (how === '$.stop') await system.via(Never, 'n').$.stop()
      else if (how === 'stopAll') await system.stopAll('drain')
      else system.close()
      const error = await failed
      expect([error.code, error.sent, (error.cause as SkepError).code]).toEqual([
        'ERR_INIT_FAILED',
        'maybe',
        'ERR_ACTOR_STOPPED',
      ])
      expect([system.stats().actors, world.reserved.size]).toEqual([0, 0])
    })
  })

  test.each([true, false])('that stops its own node has failed, whether it would wait: %s', async (waits) => {
    const world = new World()
    const { system } = world.add('a')
    const Closing = defineActor('closing', {
      init: () => {
        system.close()
        return waits ? new Promise(() => {}) : 0
      },
      on: {},
    })
    const error = await errorOf(system.start(Closing, anonymous))
    expect([error.code, (error.cause as SkepError).code]).toEqual(['ERR_INIT_FAILED', 'ERR_ACTOR_STOPPED'])
    expect([system.stats().actors, world.time.timers]).toEqual([0, 0])
  })

  test('that waits for nothing sets no timer', async () => {
    const world = new World()
    const { system } = world.add('a', { actors: [Counter] })
    const { set } = world.time
    await system.start(Counter, anonymous, 0)
    await system.spawn(Counter, via('placed'), 0)
    expect(world.time.set).toBe(set)
  })

  test('copies the arguments of init and refuses those that cannot be sent', async () => {
    const { system } = new World().add('a')
    const Keeper = defineActor('keeper', { init: (kept: { n: number }) => kept, on: { n: (self) => self.state.n } })
    const given = { n: 1 }
    const pid = await system.start(Keeper, anonymous, given)
    given.n = 2
    expect(await system.ref(Keeper, pid).n()).toBe(1)
    const error = await errorOf(system.start(Keeper, anonymous, { n: (() => 1) as unknown as number }))
    expect([error.code, error.path]).toEqual(['ERR_NOT_SENDABLE', 'args[0].n'])
  })
})

describe('spawn', () => {
  test('runs init with the arguments where the ring says, and again elsewhere when that node dies', async () => {
    const world = new World()
    const [a, b] = [world.add('a', { actors: [Counter] }), world.add('b', { actors: [Counter] })]
    const caller = world.add('c')
    const pid = await caller.system.spawn(Counter, via('placed'), 7)
    const ref = caller.system.via(Counter, 'placed')
    expect(await ref.value()).toBe(7)
    const first = await ref.fence()
    const host = pid.node === 'a' ? a : b
    await world.kill(host)
    expect(await ref.value()).toBe(7)
    expect(await ref.where()).toBe(host === a ? 'b' : 'a')
    expect(await ref.fence()).toBeGreaterThan(first)
    expect((await errorOf(caller.system.spawn(Counter, via('placed'), 7))).code).toBe('ERR_ALREADY_STARTED')
  })

  test('is refused by a node that has not the kind, or cannot read the spec', async () => {
    const a = new World().add('a', { actors: [Counter] })
    const activate = a.activate as NonNullable<typeof a.activate>
    const base = { name: 'x', fence: 1, cause: 'spawn' } as const
    expect((await errorOf(activate({ ...base, kind: 'other', spec: {} }))).code).toBe('ERR_KIND_UNKNOWN')
    for (const spec of [undefined, {}, { args: 3 }, { args: new Uint8Array([0xc1]) }, { args: new Uint8Array([1]) }]) {
      expect((await errorOf(activate({ ...base, kind: 'counter', spec }))).code).toBe('ERR_BAD_ARGUMENTS')
    }
  })

  test('refuses arguments that cannot be sent before anything is asked', async () => {
    const { system } = new World().add('a', { actors: [Counter] })
    const error = await errorOf(system.spawn(Counter, via('x'), (() => 1) as unknown as number))
    expect([error.code, error.path]).toEqual(['ERR_NOT_SENDABLE', 'args[0]'])
  })
})

describe('ensure', () => {
  test('spawns at the first call, once for all that call at once, in order', async () => {
    const world = new World()
    const [a, b] = [world.add('a', { actors: [Counter] }), world.add('b', { actors: [Counter] })]
    const room = a.system.ensure(Counter, via('room'), 10)
    expect(world.claims.size).toBe(0)
    expect(room.$.pid()).toBeUndefined()
    const calls = [
      room.increment(),
      b.system.ensure(Counter, via('room'), 50).increment(),
      room.increment(),
      room.increment(),
    ]
    const values = await Promise.all(calls)
    expect([...values].sort((x, y) => x - y)).toHaveLength(4)
    const own = [values[0], values[2], values[3]].map(Number)
    expect(own).toEqual([...own].sort((x, y) => x - y))
    expect(new Set(values).size).toBe(4)
    expect(world.claims.size).toBe(1)
  })

  test('sends what the arguments were when the call was made', async () => {
    const Keep = defineActor('keep', {
      init: () => [] as unknown[],
      on: { put: (self, v: unknown) => self.state.push(v), all: (self) => self.state },
    })
    const { system } = new World().add('a', { actors: [Keep] })
    const ref = system.ensure(Keep, via('k'))
    const value = { n: 1 }
    const put = ref.put(value)
    ref.$.cast.put('cast')
    value.n = 2
    await put
    expect(await ref.all()).toEqual([{ n: 1 }, 'cast'])
    expect((await errorOf(system.ensure(Keep, via('other')).put(() => {}))).code).toBe('ERR_NOT_SENDABLE')
  })

  test('says why it could not be spawned', async () => {
    const { system } = new World().add('a')
    const ref = system.ensure(Counter, via('x'), 1)
    expect((await errorOf(ref.value())).code).toBe('ERR_KIND_UNKNOWN')
    expect((await errorOf(ref.$.stop())).code).toBe('ERR_NOT_REGISTERED')
  })

  test('can be sent to others, with its arguments', async () => {
    const Asker = defineActor('asker', {
      init: () => 0,
      on: { ask: (_self, whom: ReturnType<typeof ensured>): Promise<number> => whom.increment() },
    })
    const world = new World()
    const a = world.add('a', { actors: [Counter, Asker] })
    const b = world.add('b')
    const ensured = (node: ActorNode) => node.ensure(Counter, via('sent'), 41)
    await a.system.start(Asker, via('asker'))
    expect(await b.system.via(Asker, 'asker').ask(ensured(b.system))).toBe(42)
  })
})

describe('stopping', () => {
  const stops: string[] = []
  const Log = defineActor('log', {
    init: () => ({ seen: [] as string[] }),
    on: {
      async hold(self) {
        const { promise, open } = gate()
        holds.push({ open, signal: self.signal })
        await promise
        return 'held'
      },
      note: (self, text: string) => void self.state.seen.push(text),
    },
    async onStop(self, reason) {
      stops.push(`${self.name} ${reason} ${self.state.seen}`)
      if (self.name === 'slow') await new Promise(() => {})
      if (self.name === 'throws') throw new Error('onStop threw')
    },
  })
  const holds: { open: () => void; signal: AbortSignal }[] = []

  test.each(['here', 'there'])(
    'comes after what was sent before, frees the name, and is told why: %s',
    async (where) => {
      const world = new World()
      const a = world.add('a', { actors: [Log] })
      const b = world.add('b', { actors: [Log] })
      const pid = await a.system.start(Log, via('log'))
      const ref = (where === 'here' ? a : b).system.via(Log, 'log')
      ref.$.cast.note('before')
      const stopped = ref.$.stop('done')
      const after = errorOf(ref.note('after'))
      await stopped
      expect(stops.pop()).toBe('log done before')
      expect(a.gone).toEqual([pid])
      expect(world.claims.size).toBe(0)
      expect((await after).sent).toBe('no')
      expect((await errorOf(ref.$.stop())).code).toBe('ERR_NOT_REGISTERED')
    },
  )

  test.each(['here', 'there'])(
    'does not wait longer than the grace time for a call that never ends: %s',
    async (where) => {
      const world = new World()
      const a = world.add('a', { actors: [Log], limits: { stopGraceMs: 1000 } })
      const b = world.add('b', { actors: [Log] })
      await a.system.start(Log, via('hung'))
      const ref = (where === 'here' ? a : b).system.via(Log, 'hung')
      const held = errorOf(ref.$.with({ timeout: Number.POSITIVE_INFINITY }).hold())
      const behind = errorOf(ref.note('behind'))
      const stopped = ref.$.stop('enough')
      await world.time.pass(900)
      expect(await Promise.race([stopped, Promise.resolve('waits')])).toBe('waits')
      await world.time.pass(200)
      expect(await stopped).toBeUndefined()
      expect(holds.at(-1)?.signal.aborted).toBe(true)
      expect([(await held).code, (await held).sent]).toEqual(['ERR_ACTOR_STOPPED', 'maybe'])
      expect([(await behind).code, (await behind).sent]).toEqual([expect.any(String), 'no'])
      expect(stops.pop()).toBe('hung enough ')
      expect(world.claims.size).toBe(0)
      expect((await a.system.start(Log, via('hung'))).node).toBe('a')
      await world.time.pass(10_000)
      expect(world.time.timers).toBe(0)
    },
  )

  test('of many that are idle sets no timer for each', async () => {
    const world = new World()
    const { system } = world.add('a', { actors: [Counter] })
    for (let i = 0; i < 100; i++) await system.start(Counter, via(`${i}`), 0)
    const before = world.time.set
    await Promise.all(Array.from({ length: 100 }, (_, i) => system.via(Counter, `${i}`).$.stop()))
    // The one for the deadlines of all calls.
    expect(world.time.set - before).toBeLessThanOrEqual(1)
    expect(system.stats().actors).toBe(0)
  })

  test('waits for every call that was sent before, as long as each ends within the grace time', async () => {
    const world = new World()
    const a = world.add('a', { actors: [Log], limits: { stopGraceMs: 1000 } })
    await a.system.start(Log, via('busy'))
    const ref = a.system.via(Log, 'busy').$.with({ timeout: 60_000 })
    const calls = [ref.hold(), ref.hold(), ref.hold()]
    const stopped = ref.$.stop('in order')
    for (const _ of calls) {
      await world.time.pass(900)
      holds.at(-1)?.open()
    }
    await stopped
    expect(await Promise.all(calls)).toEqual(['held', 'held', 'held'])
    expect(stops.pop()).toBe('busy in order ')
  })

  test.each(['here', 'there'])(
    'resolves for all that ask at once, and for who asks while it ends: %s',
    async (where) => {
      const world = new World()
      const a = world.add('a', { actors: [Log], limits: { stopGraceMs: 1000 } })
      const b = world.add('b', { actors: [Log] })
      const pid = await a.system.start(Log, via('slow'))
      const ref = (where === 'here' ? a : b).system.ref(Log, pid)
      const both = [ref.$.stop('first'), ref.$.stop('second')]
      await rest()
      expect(a.system.report(pid)?.phase).toBe('stopping')
      both.push(ref.$.stop('third'))
      await world.time.pass(1100)
      expect(await Promise.all(both)).toEqual([undefined, undefined, undefined])
      expect(stops.pop()).toBe('slow first ')
    },
  )

  test('of a placed actor is for good', async () => {
    const world = new World()
    const a = world.add('a', { actors: [Counter] })
    await a.system.spawn(Counter, via('placed'), 0)
    await a.system.via(Counter, 'placed').$.stop()
    expect(world.claims.size).toBe(0)
    expect(a.gone).toHaveLength(1)
  })

  test('by itself lets the running call answer', async () => {
    const { system } = new World().add('a')
    await system.start(Counter, via('c'), 0)
    const ref = system.via(Counter, 'c')
    const [last, behind] = [ref.stopYourself(), errorOf(ref.value())]
    expect(await last).toBe('last words')
    expect([(await behind).code, (await behind).sent]).toEqual(['ERR_ACTOR_STOPPED', 'no'])
    await rest()
    expect(system.whereis('c')).toBeUndefined()
  })

  test('waits for the running call and for onStop only as long as the grace time', async () => {
    const world = new World()
    const a = world.add('a', { actors: [Log], limits: { stopGraceMs: 1000 } })
    await a.system.start(Log, via('slow'))
    const held = errorOf(a.system.via(Log, 'slow').$.with({ timeout: 60_000 }).hold())
    await rest()
    const all = a.system.stopAll('leaving')
    await world.time.pass(900)
    expect(a.system.stats().actors).toBe(1)
    await world.time.pass(1200)
    await all
    expect([(await held).code, (await held).sent]).toEqual(['ERR_ACTOR_STOPPED', 'maybe'])
    expect(a.system.stats().actors).toBe(0)
  })

  test('goes on when onStop throws, and logs it', async () => {
    const a = new World().add('a')
    await a.system.start(Log, via('throws'))
    await a.system.via(Log, 'throws').$.stop()
    expect(a.lines.some((l) => l.text === 'onStop threw')).toBe(true)
    expect(a.system.stats().actors).toBe(0)
  })

  test('because the name was lost aborts what runs and does not free the name', async () => {
    const world = new World()
    const a = world.add('a', { actors: [Log, Counter] })
    const pid = await a.system.start(Log, via('lost'))
    const held = a.system.via(Log, 'lost').hold()
    await rest()
    const other = await a.system.start(Counter, anonymous, 0)
    world.put('lost', other, 999, 'counter')
    a.deactivate?.({ pid, name: 'lost', reason: 'conflict' })
    const hold = holds.at(-1)
    expect(hold?.signal.aborted).toBe(true)
    hold?.open()
    await rest()
    expect(stops.at(-1)).toBe('lost conflict ')
    expect(await held).toBe('held')
    expect(world.claims.get('lost')?.pid).toBe(other)
  })

  test('of one name of several, lost by hand, does not end the process', async () => {
    const a = new World().add('a', { actors: [Counter] })
    const pid = await a.system.start(Counter, via('one'), 0)
    a.deactivate?.({ pid, name: 'two', reason: 'conflict' })
    expect(a.system.report(pid)?.phase).toBe('running')
    expect(a.lines.at(-1)?.level).toBe('warn')
  })

  test('of all leaves the claims of placed ones to the tracker and takes nothing new', async () => {
    const world = new World()
    const a = world.add('a', { actors: [Counter] })
    const kept: (boolean | undefined)[] = []
    await a.system.spawn(Counter, via('placed'), 0)
    await a.system.start(Counter, via('own'), 0)
    a.onGone = (_pid, options) => kept.push(options?.keepPlaced)
    await a.system.stopAll('leaving')
    expect(kept.sort()).toEqual([false, true])
    expect((await errorOf(a.system.start(Counter, anonymous, 0))).code).toBe('ERR_LEAVING')
    expect((await errorOf(a.system.spawn(Counter, via('x'), 0))).code).toBe('ERR_LEAVING')
    expect(a.system.stats().actors).toBe(0)
  })

  test('at once runs no onStop and answers every caller', async () => {
    const world = new World()
    const a = world.add('a', { actors: [Log] })
    const before = stops.length
    await a.system.start(Log, via('closed'))
    const ref = a.system.via(Log, 'closed')
    const open = [errorOf(ref.hold()), errorOf(ref.note('x'))]
    await rest()
    a.system.close()
    for (const error of await Promise.all(open)) expect(error).toBeInstanceOf(SkepError)
    expect(stops).toHaveLength(before)
    expect(world.time.timers).toBe(0)
  })
})

describe('an actor', () => {
  test('that throws goes on living', async () => {
    const Clumsy = defineActor('clumsy', {
      init: () => ({ n: 0 }),
      on: {
        fall: () => {
          throw new Error('ouch')
        },
        n: (self) => ++self.state.n,
      },
    })
    const { system } = new World().add('a')
    const pid = await system.start(Clumsy, anonymous)
    const ref = system.ref(Clumsy, pid)
    await errorOf(ref.fall())
    expect(await ref.n()).toBe(1)
    expect(system.report(pid)).toEqual({
      pid,
      paused: false,
      kind: 'clumsy',
      name: undefined,
      fence: 0,
      placed: false,
      phase: 'running',
      waiting: 0,
      running: 0,
      streams: 0,
      failures: 1,
    })
  })

  test('logs with its kind, name and pid', async () => {
    const Writer = defineActor('writer', {
      init: () => 0,
      on: { write: (self) => self.logger.info({ n: 1 }, 'wrote') },
    })
    const a = new World().add('a')
    const pid = await a.system.start(Writer, via('w'))
    await a.system.ref(Writer, pid).write()
    expect(a.lines.at(-1)).toEqual({
      level: 'info',
      text: 'wrote',
      fields: { actor: 'writer', name: 'w', pid: `${pid}`, n: 1 },
    })
  })
})

describe('a group', () => {
  test('casts to all its members and gathers an answer or an error from each', async () => {
    const world = new World()
    const [a, b] = [world.add('a', { actors: [Counter] }), world.add('b', { actors: [Counter] })]
    const Half = defineActor('counter', {
      init: () => 0,
      on: {
        value: (): number => {
          throw new RangeError('no value')
        },
        increment: () => 0,
      },
    })
    const rooms = a.system.group(Counter, 'rooms')
    const p1 = await a.system.start(Counter, via('r1'), 1)
    const p2 = await b.system.start(Counter, anonymous, 2)
    const p3 = await b.system.start(Half, anonymous)
    await rooms.join(a.system.via(Counter, 'r1'))
    await rooms.join(p2)
    await b.system.group('rooms').join(p3)
    rooms.cast.increment(10)
    await rest()
    const all = await rooms.call.value()
    expect(all.slice(0, 2)).toEqual([
      { pid: p1, status: 'fulfilled', value: 11 },
      { pid: p2, status: 'fulfilled', value: 12 },
    ])
    expect(all[2]).toMatchObject({ pid: p3, status: 'rejected', reason: { message: 'no value', name: 'RangeError' } })
    expect(
      await Promise.all(
        rooms
          .members()
          .slice(0, 2)
          .map((ref) => ref.value()),
      ),
    ).toEqual([11, 12])
    await rooms.leave(p1)
    expect(rooms.pids()).toEqual([p2, p3])
    await b.system.ref(Counter, p2).$.stop()
    expect(rooms.pids()).toEqual([p3])
  })
})

describe('an error that passes through actors', () => {
  test('says in its stack through which ones, and on which nodes they are', async () => {
    const Deep = defineActor('deep', {
      init: () => 0,
      on: {
        fall: () => {
          throw new RangeError('too deep')
        },
        ask: (self, name: string): Promise<never> => self.node.via(Deep, name).fall() as Promise<never>,
      },
    })
    const world = new World()
    const [a, b] = [world.add('a', { actors: [Deep] }), world.add('b', { actors: [Deep] })]
    await a.system.start(Deep, via('x'))
    await b.system.start(Deep, via('y'))
    const error = await errorOf(b.system.via(Deep, 'x').ask('y'))
    expect(error.stack?.split('\n').at(0)).toBe('RangeError: too deep')
    expect(error.stack?.split('\n').at(1)).toContain('life.test.ts')
    expect(error.stack?.split('\n').slice(-2)).toEqual([
      "    at deep.fall of 'y' (on node b)",
      "    at deep.ask of 'x' (on node a)",
    ])
  })
})
