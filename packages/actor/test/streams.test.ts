/** Streamed replies: items in order, no more than the reader asked for, and a clear end however it comes. */
import type { SkepError } from '@skep/cluster'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { defineActor, via } from '../src/index.js'
import { streamWindow } from '../src/stream.js'
import { errorOf, gate, rest, World } from './world.js'

/** What the generators of one test did. */
let story: string[] = []
let signal: AbortSignal | undefined
let blocked = gate()

const Source = defineActor('source', {
  init: () => ({ n: 0 }),
  on: {
    async *ticks(self, upTo: number) {
      try {
        for (let i = 0; i < upTo; i++) {
          self.state.n += 1
          yield i
        }
        story.push('done')
      } finally {
        story.push('finally')
      }
    },
    async *objects(_self, list: object[]) {
      for (const item of list) yield item
    },
    async *fails(_self, after: number) {
      for (let i = 0; i < after; i++) yield i
      throw Object.assign(new RangeError('ran out'), { code: 'ERR_OUT' })
    },
    async *unsendable() {
      try {
        yield { f: () => {} }
      } finally {
        story.push('finally')
      }
    },
    async *blocks(self) {
      signal = self.signal
      yield 1
      await blocked.promise
      yield 2
    },
    n: (self) => self.state.n,
    add: (self) => (self.state.n += 100),
  },
})

async function source(where: string) {
  // What the test before left is over by then.
  await rest()
  story = []
  blocked = gate()
  const world = new World()
  const a = world.add('a', { actors: [Source] })
  const b = world.add('b', { actors: [Source] })
  const pid = await a.system.start(Source, via('source'))
  const caller = where === 'here' ? a : b
  return { world, a, b, pid, caller, ref: caller.system.via(Source, 'source') }
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const got: T[] = []
  for await (const item of items) got.push(item)
  return got
}

const iterator = <T>(items: AsyncIterable<T>): AsyncIterator<T> => items[Symbol.asyncIterator]()

describe.each(['here', 'there'])('a stream from an actor %s', (where) => {
  test('gives every item in order, however many, and ends', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(100), async (upTo) => {
        const { ref, a, caller } = await source(where)
        expect(await all(ref.ticks(upTo))).toEqual(Array.from({ length: upTo }, (_, i) => i))
        expect(story).toEqual(['done', 'finally'])
        await rest()
        expect(caller.system.stats()).toMatchObject({ pending: 0, dropped: {} })
        expect(a.system.stats().open).toBe(0)
        expect(a.system.report(a.system.pidOf(ref))?.streams).toBe(0)
      }),
      { numRuns: 25 },
    )
  })

  test('sends nothing before it is read, and one copy of each item', async () => {
    const { world, ref } = await source(where)
    const item = { n: 1 }
    const items = ref.objects([item])
    await rest()
    expect(world.frames).toEqual([])
    expect(await all(items)).toEqual([item])
    expect(await all(items)).toEqual([])
  })

  test('never runs further ahead than the reader’s window', async () => {
    const { ref } = await source(where)
    const reader = iterator(ref.ticks(1000))
    await reader.next()
    await rest()
    expect(await ref.n()).toBeLessThanOrEqual(streamWindow + 1)
    for (let i = 0; i < 100; i++) await reader.next()
    await rest()
    const n = await ref.n()
    expect(n).toBeGreaterThan(100)
    expect(n).toBeLessThanOrEqual(101 + streamWindow)
    await reader.return?.()
  })

  test('lets other calls run between its items', async () => {
    const { ref } = await source(where)
    const reader = iterator(ref.ticks(100))
    await reader.next()
    await rest()
    expect(await ref.add()).toBeGreaterThanOrEqual(100)
    await reader.return?.()
  })

  test('is cancelled by break: the generator’s finally runs, and nothing stays open', async () => {
    const { ref, a, caller } = await source(where)
    for await (const i of ref.ticks(1000)) if (i === 5) break
    await rest()
    expect(story).toEqual(['finally'])
    expect(caller.system.stats().pending).toBe(0)
    expect(a.system.stats().open).toBe(0)
    expect(await ref.n()).toBeLessThan(40)
  })

  test('reaches self.signal when it is cancelled in the middle of a step', async () => {
    const { ref } = await source(where)
    const reader = iterator(ref.blocks())
    expect(await reader.next()).toEqual({ done: false, value: 1 })
    await rest()
    await reader.return?.()
    await rest()
    expect(signal?.aborted).toBe(true)
    blocked.open()
    await rest()
    expect(await ref.n()).toBe(0)
  })

  test('ends with the actor’s own error, after the items before it', async () => {
    const { ref } = await source(where)
    const got: number[] = []
    const error = await errorOf(
      (async () => {
        for await (const i of ref.fails(20)) got.push(i)
      })(),
    )
    expect(got).toHaveLength(20)
    expect([error.name, error.message, error.code, error.sent]).toEqual(['RangeError', 'ran out', 'ERR_OUT', 'yes'])
  })

  test('ends with the path of an item that cannot be sent', async () => {
    const { ref } = await source(where)
    const error = await errorOf(all(ref.unsendable()))
    expect(error.code).toBe('ERR_NOT_SENDABLE')
    expect(error.message).toContain('item.f')
    await rest()
    expect(story).toEqual(['finally'])
  })

  test('ends when its actor stops', async () => {
    const { ref, a, pid } = await source(where)
    const reader = iterator(ref.ticks(1000))
    await reader.next()
    await rest()
    await a.system.ref(Source, pid).$.stop('enough')
    const error = await errorOf(
      (async () => {
        for (;;) if ((await reader.next()).done === true) return
      })(),
    )
    expect([error.code, error.sent]).toEqual(['ERR_ACTOR_STOPPED', 'yes'])
    await rest()
    expect(story).toEqual(['finally'])
    expect(await reader.next()).toEqual({ done: true, value: undefined })
  })

  test('waits for its next item as long as it was told', async () => {
    const { world, ref } = await source(where)
    const reader = iterator(ref.$.with({ timeout: 100 }).blocks())
    await reader.next()
    const error = errorOf(reader.next())
    await world.time.pass(120)
    expect((await error).code).toBe('ERR_TIMEOUT')
    expect(await reader.next()).toEqual({ done: true, value: undefined })
    blocked.open()
    const patient = iterator(ref.blocks())
    expect(await patient.next()).toEqual({ done: false, value: 1 })
    await world.time.pass(1e6)
    expect(await patient.next()).toEqual({ done: false, value: 2 })
  })

  test('is aborted by the caller’s signal', async () => {
    const { ref } = await source(where)
    const controller = new AbortController()
    const reader = iterator(ref.$.with({ signal: controller.signal }).blocks())
    await reader.next()
    const next = errorOf(reader.next())
    controller.abort(new Error('enough'))
    expect((await next).code).toBe('ERR_ABORTED')
    expect((await errorOf(iterator(ref.$.with({ signal: controller.signal }).blocks()).next())).code).toBe(
      'ERR_ABORTED',
    )
  })

  test('to nobody, or of a method that does not stream, is refused', async () => {
    const { caller, ref, pid } = await source(where)
    expect((await errorOf(all(caller.system.via(Source, 'nobody').ticks(1)))).code).toBe('ERR_NOT_REGISTERED')
    const Odd = defineActor('source', {
      init: () => 0,
      on: {
        async *n() {
          yield 1
        },
        ticks: () => 3,
      },
    })
    expect((await errorOf(all(caller.system.ref(Odd, pid).n()))).code).toBe('ERR_NO_METHOD')
    expect((await errorOf(caller.system.ref(Odd, pid).ticks())).code).toBe('ERR_NO_METHOD')
    expect(await ref.n()).toBe(0)
  })
})

describe('a stream over a link', () => {
  test('that breaks ends with ERR_NODE_DOWN after what had arrived, and cleans up there', async () => {
    const { world, a, b, ref } = await source('there')
    const reader = iterator(ref.ticks(1000))
    expect((await reader.next()).value).toBe(0)
    await rest()
    world.cutLink(a, b)
    await rest()
    const got: number[] = []
    const error = await errorOf(
      (async () => {
        for (;;) got.push((await reader.next()).value)
      })(),
    )
    expect(got).toEqual(Array.from({ length: got.length }, (_, i) => i + 1))
    expect([error.code, error.sent]).toEqual(['ERR_NODE_DOWN', 'maybe'])
    expect(story).toEqual(['finally'])
    expect(a.system.stats().open).toBe(0)
  })

  test('that is full loses no item', async () => {
    const { world, a, b, ref } = await source('there')
    const reader = iterator(ref.ticks(60))
    await reader.next()
    world.full.add('a>b')
    const rested = all({ [Symbol.asyncIterator]: () => reader })
    await rest()
    world.drain(a, b)
    expect(await rested).toEqual(Array.from({ length: 59 }, (_, i) => i + 1))
  })

  test('of which the peer sends more than was asked for is broken off', async () => {
    const { world, a, b, ref } = await source('there')
    const reader = iterator(ref.ticks(3))
    const first = reader.next()
    await rest()
    await first
    const open = world.frames.find((f) => f.frame[0] === 70)
    for (let i = 0; i < 40; i++) b.layer?.raw?.(a.boot, [71, open?.frame[1], new Uint8Array([1])])
    let last: SkepError | undefined
    for (let i = 0; i < 40 && last === undefined; i++) await reader.next().catch((error) => (last = error as SkepError))
    if (last !== undefined) expect(last.code).toBe('ERR_BAD_REPLY')
  })
})
