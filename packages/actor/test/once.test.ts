/** Calls with a key: done once, and the answer repeated. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { defineActor, type RefOf, via } from '../src/index.js'
import { errorOf, gate, rest, type TestNode, World } from './world.js'

let open = gate()

const Till = defineActor('till', {
  init: () => ({ sum: 0 }),
  on: {
    pay: (self, amount: number) => {
      self.state.sum += amount
      return { sum: self.state.sum }
    },
    other: (self, amount: number) => (self.state.sum += amount),
    async slow(self, amount: number) {
      await open.promise
      self.state.sum += amount
      return self.state.sum
    },
    fail: (self) => {
      self.state.sum += 1
      throw Object.assign(new RangeError('no change'), { coins: 3 })
    },
    large: (self) => {
      self.state.sum += 1
      return 'x'.repeat(5000)
    },
    odd: (self) => {
      self.state.sum += 1
      return (() => {}) as never
    },
    deadline: (self) => {
      self.state.sum += 1
      return new Promise<string>((resolve) => {
        self.signal.addEventListener('abort', () => resolve('aborted'))
      })
    },
    async *items() {
      yield 1
    },
    nest: (self): Promise<unknown> => self.node.via(Slow, 'u').wait(),
    sum: (self) => self.state.sum,
  },
  keys: { entries: 3, ms: 1000 },
})

const Slow = defineActor('slow', { init: () => 0, on: { wait: () => open.promise } })

interface Shop {
  readonly world: World
  readonly a: TestNode
  readonly b: TestNode
  /** From the actor's own node, and from another one. */
  readonly near: RefOf<typeof Till>
  readonly far: RefOf<typeof Till>
}

async function shop(limits = {}): Promise<Shop> {
  open = gate()
  const world = new World()
  const [a, b] = ['a', 'b'].map((name) => world.add(name, { actors: [Till, Slow], limits })) as [TestNode, TestNode]
  await a.system.spawn(Till, via('t'))
  return { world, a, b, near: a.system.via(Till, 't'), far: b.system.via(Till, 't') }
}

const keyed = (ref: RefOf<typeof Till>, key = 'k', timeout = 5000) => ref.$.with({ key, timeout })

describe('a call with a key', () => {
  test('is done once, and its answer is repeated, wherever it is asked from; other keys and methods are others', async () => {
    const { near, far } = await shop()
    for (const ref of [near, far, near, far]) expect(await keyed(ref).pay(5)).toEqual({ sum: 5 })
    expect(await keyed(far, 'l').pay(5)).toEqual({ sum: 10 })
    expect(await keyed(far).other(5)).toBe(15)
    expect(await near.pay(5)).toEqual({ sum: 20 })
    const [one, two] = await Promise.all([keyed(near).pay(5), keyed(near).pay(5)])
    expect(one).not.toBe(two)
  })

  test('that comes while the first still runs, or waits, gets its answer', async () => {
    const { near, far } = await shop()
    const first = keyed(far).slow(5)
    await rest()
    const waits = [keyed(near, 'l').slow(1), keyed(far, 'l').slow(1)]
    const joined = [keyed(near).slow(5), keyed(far).slow(5)]
    await rest()
    open.open()
    expect(await Promise.all([first, ...joined])).toEqual([5, 5, 5])
    expect(await Promise.all(waits)).toEqual([6, 6])
  })

  test('is refused where it would wait for itself, also by a reentrant actor', async () => {
    const Loop = defineActor('loop', {
      init: () => 0,
      reentrant: true,
      on: { again: (self, key: string): Promise<unknown> => again(self.node, key) },
    })
    const again = (node: { via(definition: typeof Loop, name: string): RefOf<typeof Loop> }, key: string) =>
      node.via(Loop, 'loop').$.with({ key }).again('k')
    const world = new World()
    const [a, b] = ['a', 'b'].map((name) => world.add(name, { actors: [Loop] })) as [TestNode, TestNode]
    await a.system.start(Loop, via('loop'))
    for (const { system } of [a, b]) {
      const error = await errorOf(again(system, 'k') as Promise<unknown>)
      expect([error.code, error.message]).toEqual([
        'ERR_CALL_CYCLE',
        expect.stringContaining('it would wait for itself'),
      ])
    }
  })

  test('repeats what the method threw, also to other nodes', async () => {
    const { near, far } = await shop()
    for (const ref of [near, far, near, far]) {
      const error = await errorOf(keyed(ref).fail())
      expect([error.name, error.message, error.coins, error.sent]).toEqual(['RangeError', 'no change', 3, 'yes'])
    }
    expect(await near.sum()).toBe(1)
  })

  test('repeats that its answer cannot be sent', async () => {
    const { near, far } = await shop()
    for (const ref of [near, far, near]) {
      const error = await errorOf(keyed(ref).odd())
      expect([error.code, error.sent]).toEqual(['ERR_NOT_SENDABLE', 'yes'])
    }
    expect(await near.sum()).toBe(1)
  })

  test('goes on for those who still wait when another caller gives up, and ends when none does', async () => {
    const { world, near, far } = await shop()
    const hasty = errorOf(keyed(far, 'k', 100).slow(5))
    await rest()
    const patient = keyed(near).slow(5)
    await world.time.pass(200)
    expect((await hasty).code).toBe('ERR_TIMEOUT')
    open.open()
    expect(await patient).toBe(5)
    const alone = errorOf(keyed(far, 'd', 100).deadline())
    await world.time.pass(200)
    expect((await alone).code).toBe('ERR_TIMEOUT')
    await rest()
    // The retry gets what the first one came to.
    expect(await keyed(far, 'd').deadline()).toBe('aborted')
    expect(await near.sum()).toBe(6)
  })

  test('does not count those that gave up among those that may wait for it', async () => {
    const { world, near, far } = await shop({ mailbox: 2 })
    const blocker = near.$.with({ timeout: 60_000 }).slow(0)
    await rest()
    const patient = keyed(near, 'k', 60_000).pay(5)
    for (let i = 0; i < 5; i++) {
      const hasty = errorOf(keyed(i % 2 === 0 ? far : near, 'k', 100).pay(5))
      await world.time.pass(200)
      expect((await hasty).code).toBe('ERR_TIMEOUT')
    }
    open.open()
    await blocker
    expect(await patient).toEqual({ sum: 5 })
  })

  test('binds what it calls itself by the deadline of those who wait for it', async () => {
    const { world, a, b, near } = await shop()
    await b.system.start(Slow, via('u'))
    const late = errorOf(keyed(near, 'k', 300).nest())
    await world.time.pass(200)
    expect(a.system.stats().pending).toBe(1)
    await world.time.pass(150)
    expect((await late).code).toBe('ERR_TIMEOUT')
    expect(a.system.stats().pending).toBe(0)
  })

  test('that was given up before it began may be done under the same key', async () => {
    const { world, near, far } = await shop()
    const blocker = near.slow(0)
    await rest()
    const gone = errorOf(keyed(far, 'k', 100).pay(5))
    await world.time.pass(200)
    expect((await gone).code).toBe('ERR_TIMEOUT')
    const again = keyed(far).pay(5)
    await rest()
    open.open()
    await blocker
    expect(await again).toEqual({ sum: 5 })
    expect(await keyed(near).pay(5)).toEqual({ sum: 5 })
  })

  test('that was refused is not remembered', async () => {
    const { near, far } = await shop({ mailbox: 1 })
    const blocker = near.slow(0)
    await rest()
    const waits = near.pay(1)
    expect((await errorOf(keyed(far).pay(5))).code).toBe('ERR_OVERLOADED')
    open.open()
    await Promise.all([blocker, waits])
    expect(await keyed(far).pay(5)).toEqual({ sum: 6 })
  })

  test('is forgotten after the time of the window, and when others came since', async () => {
    const { world, near } = await shop()
    await keyed(near).pay(5)
    await world.time.pass(999)
    expect(await keyed(near).pay(5)).toEqual({ sum: 5 })
    await world.time.pass(1)
    expect(await keyed(near).pay(5)).toEqual({ sum: 10 })
    for (const key of ['1', '2']) await keyed(near, key).pay(1)
    expect(await keyed(near).pay(5)).toEqual({ sum: 10 })
    await keyed(near, '3').pay(1)
    expect(await keyed(near).pay(5)).toEqual({ sum: 18 })
  })

  test('whose answer is larger than all that is kept is not done again, and says so', async () => {
    const { near, far } = await shop({ keyBytes: 1000 })
    expect(await keyed(far).large()).toHaveLength(5000)
    for (const ref of [near, far]) {
      const error = await errorOf(keyed(ref).large())
      expect([error.code, error.sent]).toEqual(['ERR_TOO_LARGE', 'yes'])
      expect(error.message).toContain('was done')
    }
    expect(await near.sum()).toBe(1)
  })

  test('is remembered where the actor goes, for the time that is left; one that waits goes along and is done once', async () => {
    const { world, a, b, near, far } = await shop()
    await keyed(far).pay(5)
    await errorOf(keyed(far).odd())
    await world.time.pass(400)
    const running = near.slow(0)
    await rest()
    const waiting = [keyed(near, 'w').pay(10), keyed(far, 'w').pay(10)]
    await rest()
    const moving = world.handOver('t', b)
    await rest()
    open.open()
    await running
    const { passed } = await moving
    const meanwhile = [keyed(near, 'w').pay(10), keyed(far, 'w').pay(10)]
    await rest()
    passed()
    await rest()
    expect(await Promise.all([...waiting, ...meanwhile])).toEqual(Array(4).fill({ sum: 16 }))
    expect(a.system.whereis('t')?.node).toBe('b')
    expect(await keyed(near).pay(5)).toEqual({ sum: 5 })
    expect((await errorOf(keyed(near).odd())).code).toBe('ERR_NOT_SENDABLE')
    await world.time.pass(1000)
    expect(await keyed(near, 'w').pay(10)).toEqual({ sum: 26 })
  })

  test('has one answer: streams and casts are refused, and keys that are none', async () => {
    const { near } = await shop()
    expect(() => keyed(near).items()).toThrow('a stream cannot have a key')
    expect(() => keyed(near).$.cast.pay(1)).toThrow('a cast cannot have a key')
    for (const key of ['', 'x'.repeat(201), 7 as never])
      expect(() => near.$.with({ key })).toThrow('key must be a string of 1 to 200 characters')
    for (const keys of [{ entries: 0 }, { ms: 1.5 }, { size: 3 }, 7])
      expect(() => defineActor('x', { init: () => 0, on: {}, keys: keys as never })).toThrow(TypeError)
  })

  test('adds up once, however often it is asked, from wherever, in whatever moment', async () => {
    const asks = fc.array(
      fc.record({
        key: fc.constantFrom('1', '2', '3'),
        far: fc.boolean(),
        slow: fc.boolean(),
        pause: fc.integer({ min: 0, max: 20 }),
        move: fc.boolean(),
      }),
      { minLength: 1, maxLength: 15 },
    )
    await fc.assert(
      fc.asyncProperty(asks, async (plan) => {
        const { world, a, b, near, far } = await shop()
        open.open()
        const answers = new Map<string, Set<string>>()
        const calls: Promise<void>[] = []
        let at = a
        for (const ask of plan) {
          const id = `${ask.slow}${ask.key}`
          const ref = keyed(ask.far ? far : near, ask.key)
          const call: Promise<unknown> = ask.slow ? ref.slow(1) : ref.pay(1)
          calls.push(
            call.then((answer) => {
              answers.set(id, (answers.get(id) ?? new Set()).add(JSON.stringify(answer)))
            }),
          )
          if (ask.pause > 10) await world.time.pass(1)
          if (ask.move && ask.pause > 5) {
            at = at === a ? b : a
            await world.handOver('t', at).then(({ passed }) => passed())
          }
        }
        await rest()
        await Promise.all(calls)
        // More keys than the window remembers would be done anew.
        if (answers.size > 3) return
        expect(await near.sum()).toBe(answers.size)
        for (const told of answers.values()) expect(told.size).toBe(1)
      }),
      { numRuns: 60 },
    )
  })
})
