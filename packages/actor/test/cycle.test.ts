/** Calls that would wait for themselves fail at once, with the names, instead of hanging until their deadline. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ActorNode, anonymous, defineActor, type Self, via } from '../src/index.js'
import { errorOf, gate, rest, World } from './world.js'

let open = gate()

/** What one stop of a way does, before the next. */
interface Step {
  readonly to: string
  readonly kind?: 'reenter'
}

/** What the actors call of each other, annotated: they would have to infer it from themselves. */
interface StopRef {
  go(...way: Step[]): Promise<string>
  goLater(to: string): Promise<string>
  hand(ref: object): Promise<string>
  items(to: string): AsyncIterable<string>
  readonly $: { readonly cast: { go(...way: Step[]): void } }
}

function stop({ node }: { readonly node: ActorNode }, { to, kind }: Step): StopRef {
  return node.via(kind === 'reenter' ? Reenter : Stop, to) as StopRef
}

const on = {
  /** Call the first of the way, which calls the next. */
  async go(self: Self<number>, ...way: Step[]): Promise<string> {
    const [next, ...rest] = way
    return next === undefined ? 'there' : stop(self, next).go(...rest)
  },
  /** The same, once the gate is open. */
  async goLater(self: Self<number>, to: string): Promise<string> {
    await open.promise
    return stop(self, { to }).go()
  },
  cast(self: Self<number>, to: string, ...way: Step[]): string {
    stop(self, { to }).$.cast.go(...way)
    return 'cast'
  },
  leave(self: Self<number>, to: string, back: string): string {
    // Not awaited, and over before its callee calls back.
    stop(self, { to })
      .goLater(back)
      .catch(() => {})
    return 'left'
  },
  async *items(self: Self<number>, to: string): AsyncGenerator<string> {
    yield await stop(self, { to }).go()
  },
  async read(self: Self<number>, from: string, to: string): Promise<string> {
    for await (const item of stop(self, { to: from }).items(to)) return item
    return 'nothing'
  },
  hand: (_self: Self<number>, ref: object): Promise<string> => (ref as StopRef).go(),
  handOn: (self: Self<number>, to: string): Promise<string> =>
    stop(self, { to }).hand(self.node.ref(Stop, self.pid) as object),
}
const Stop = defineActor('stop', { init: () => 0, on })
const Reenter = defineActor('reenter', { init: () => 0, on, reentrant: true })

/** Actors a, b, c, on one node or each on its own. */
async function actors(apart: boolean) {
  open = gate()
  const world = new World()
  const one = world.add('n', { actors: [Stop, Reenter] })
  for (const name of ['a', 'b', 'c']) {
    const node = apart ? world.add(`n${name}`, { actors: [Stop, Reenter] }) : one
    await node.system.start(Stop, via(name))
  }
  await one.system.start(Reenter, via('r'))
  return { world, one, ref: (name: string) => one.system.via(Stop, name) }
}

const way = (...to: string[]): Step[] => to.map((name) => ({ to: name }))

describe.each([
  { apart: false, where: 'on one node' },
  { apart: true, where: 'across nodes' },
])('a call cycle $where', ({ apart }) => {
  test('fails at once with the names of all who would wait', async () => {
    const { world, ref } = await actors(apart)
    const error = await errorOf(ref('a').go(...way('b', 'c', 'a')))
    expect(error.code).toBe('ERR_CALL_CYCLE')
    expect(error.message).toContain("(stop 'a' -> stop 'b' -> stop 'c' -> stop 'a')")
    expect(error.message).toContain('cast instead')
    // No time has passed, and all go on.
    expect(world.time.now()).toBe(1000)
    expect(await ref('a').go(...way('b', 'c'))).toBe('there')
  })

  test('names those alone that are in it', async () => {
    const { ref } = await actors(apart)
    expect((await errorOf(ref('a').go(...way('b', 'c', 'b')))).message).toContain("(stop 'b' -> stop 'c' -> stop 'b')")
  })

  test('is one where an actor calls itself, by name or by a ref that came along', async () => {
    const { ref } = await actors(apart)
    expect((await errorOf(ref('a').go(...way('a')))).message).toContain("(stop 'a' -> stop 'a')")
    expect((await errorOf(ref('a').handOn('b'))).code).toBe('ERR_CALL_CYCLE')
  })

  test('is none through a reentrant actor alone, by a cast, or once the caller has ended', async () => {
    const { ref, one } = await actors(apart)
    const r = one.system.via(Reenter, 'r')
    expect(await r.go({ to: 'a' }, { to: 'r', kind: 'reenter' })).toBe('there')
    expect(await ref('a').cast('b', { to: 'a' })).toBe('cast')
    expect(await ref('a').leave('b', 'a')).toBe('left')
    await rest()
    open.open()
    await rest()
    expect(await ref('b').go(...way('a'))).toBe('there')
    // Through the reentrant one back to one that is not.
    expect((await errorOf(ref('a').go({ to: 'r', kind: 'reenter' }, { to: 'a' }))).code).toBe('ERR_CALL_CYCLE')
  })

  test('is found where two call each other at one moment', async () => {
    const { world, ref } = await actors(apart)
    const both = [ref('a').goLater('b'), ref('b').goLater('a')].map((call) => call.catch((error: unknown) => error))
    await rest()
    open.open()
    const codes = (await Promise.all(both)).map((got) => (got as { code?: string }).code ?? got)
    expect(codes).toContain('ERR_CALL_CYCLE')
    expect(codes.every((code) => code === 'ERR_CALL_CYCLE' || code === 'there')).toBe(true)
    expect(world.time.now()).toBe(1000)
  })

  test('is found through a stream', async () => {
    const { ref } = await actors(apart)
    expect((await errorOf(ref('a').read('b', 'a'))).code).toBe('ERR_CALL_CYCLE')
    expect(await ref('a').read('b', 'c')).toBe('there')
  })
})

describe('the chain of those who wait', () => {
  test('is bounded: one that is longer than it remembers still ends by its deadline', async () => {
    const world = new World()
    // Neither of two nodes sees both ends of a wait.
    const nodes = ['m', 'n'].map((name) => world.add(name, { actors: [Stop] }))
    const names = Array.from({ length: 60 }, (_, i) => `s${i}`)
    for (const [i, name] of names.entries()) await nodes[i % 2]?.system.start(Stop, via(name))
    const first = nodes[0]?.system.via(Stop, 's0')
    if (first === undefined) throw new Error('no node')
    const call = errorOf(first.go(...way(...names.slice(1), 's0')))
    for (let hop = 0; hop < names.length; hop++) await rest()
    await world.time.pass(5100)
    expect((await call).code).toBe('ERR_TIMEOUT')
    expect((await errorOf(first.go(...way(...names.slice(1), 's59')))).code).toBe('ERR_CALL_CYCLE')
    expect(world.frames.every(({ frame }) => !Array.isArray(frame[9]) || frame[9].length <= 32)).toBe(true)
  })

  test('that makes no sense is left out, and the call goes on', async () => {
    const world = new World()
    const [a, b] = ['a', 'b'].map((name) => world.add(name, { actors: [Stop] }))
    if (a === undefined || b === undefined) return
    const pid = await b.system.start(Stop, anonymous)
    for (const chain of [7, [], [[1]], [['x', 'y', 1, 'l']], Array(33).fill(['x', 1, 1, 'l'])]) {
      b.layer?.raw?.(a.boot, [64, 5, pid.id, 'go', 0, new Uint8Array([0x90]), undefined, 0, false, chain])
      await rest()
      expect(world.frames.at(-1)?.frame.slice(0, 2)).toEqual([65, 5])
    }
  })

  test('refuses no call that would be answered, and lets none hang that would not', async () => {
    const steps = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(steps, fc.boolean(), async (names, apart) => {
        const { ref, world } = await actors(apart)
        const [first = 'a', ...more] = names
        const got = await ref(first)
          .go(...way(...more))
          .catch((error: { code: string }) => error.code)
        expect(got).toBe(new Set(names).size === names.length ? 'there' : 'ERR_CALL_CYCLE')
        expect(world.time.now()).toBe(1000)
      }),
      { numRuns: 60 },
    )
  })
})
