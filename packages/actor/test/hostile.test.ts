/** Frames from a peer that means harm, or is newer, or is broken: dropped and counted, and nothing else happens. */
import { Pid } from '@skep/tracker'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { defineActor, via } from '../src/index.js'
import { errorOf, rest, World } from './world.js'

const Counter = defineActor('counter', {
  init: (start: number) => ({ n: start }),
  on: {
    value: (self) => self.state.n,
    increment: (self, by: number = 1) => (self.state.n += by),
    stuck: () => new Promise<number>(() => {}),
    async *ticks(self) {
      yield self.state.n
    },
  },
})

async function pair() {
  const world = new World()
  const a = world.add('a', { actors: [Counter] })
  const b = world.add('b', { actors: [Counter] })
  const pid = await a.system.start(Counter, via('c'), 0)
  return { world, a, b, pid, ref: b.system.via(Counter, 'c') }
}

const field = fc.oneof(
  fc.nat(20),
  fc.integer(),
  fc.double(),
  fc.string(),
  fc.constantFrom('value', 'increment', 'ticks', '$', 'no', 'yes', 'ERR_TIMEOUT', null, undefined, Number.NaN, 2 ** 60),
  fc.uint8Array({ maxLength: 20 }),
  fc.constant(new Uint8Array([0x90])),
  fc.array(fc.nat(), { maxLength: 3 }),
)
const frames = fc.array(
  fc.tuple(fc.integer({ min: 60, max: 99 }), fc.array(field, { maxLength: 8 })).map(([kind, rest]) => [kind, ...rest]),
)

describe('hostile frames', () => {
  test('of any shape never throw past the edge, and calls go on', async () => {
    await fc.assert(
      fc.asyncProperty(frames, async (hostile) => {
        const { a, b, ref } = await pair()
        const open = ref.stuck()
        open.catch(() => {})
        await rest()
        const own = b.system.via(Counter, 'd')
        await b.system.start(Counter, via('d'), 5)
        for (const frame of hostile) {
          a.layer?.raw?.(b.boot, frame)
          b.layer?.raw?.(a.boot, frame)
        }
        await rest()
        expect(typeof (await own.$.with({ timeout: 1000 }).value())).toBe('number')
      }),
      { numRuns: 150 },
    )
  })

  test('cannot call what is no method', async () => {
    const { a, b, world, pid } = await pair()
    for (const method of ['constructor', '__proto__', 'init', 'onStop', 'toString', '$']) {
      world.frames.length = 0
      a.layer?.raw?.(b.boot, [64, 7, pid.id, method, 0, new Uint8Array([0x90]), null])
      expect(world.frames.at(-1)?.frame.slice(0, 3)).toEqual([67, 7, 'ERR_NO_METHOD'])
    }
  })

  test('cannot answer the calls of others', async () => {
    const { world, a, b, ref } = await pair()
    const c = world.add('c')
    const open = ref.stuck()
    await rest()
    const id = world.frames.find((f) => f.frame[0] === 64)?.frame[1]
    b.layer?.raw?.(c.boot, [65, id, new Uint8Array([1])])
    await rest()
    expect(await Promise.race([open, Promise.resolve('waits')])).toBe('waits')
    expect(b.system.stats().dropped).toEqual({ 'an answer that nobody waits for': 1 })
    b.layer?.raw?.(a.boot, [65, id, new Uint8Array([0xc1])])
    const error = await errorOf(open)
    expect([error.code, error.sent]).toEqual(['ERR_BAD_REPLY', 'yes'])
  })

  test('with the number of an open call are dropped', async () => {
    const { a, b, pid } = await pair()
    const frame = [64, 7, pid.id, 'stuck', 0, new Uint8Array([0x90]), null]
    a.layer?.raw?.(b.boot, frame)
    a.layer?.raw?.(b.boot, frame)
    expect(a.system.stats()).toMatchObject({ open: 1, dropped: { 'a call with the number of an open one': 1 } })
  })

  test('refusing with a code of a newer version still refuse the call', async () => {
    const { world, a, b, ref } = await pair()
    const open = ref.stuck()
    await rest()
    const id = world.frames.find((f) => f.frame[0] === 64)?.frame[1]
    b.layer?.raw?.(a.boot, [67, id, 'ERR_FROM_THE_FUTURE', 'later', 'maybe'])
    const error = await errorOf(open)
    expect([error.code, error.sent]).toEqual(['ERR_BAD_REPLY', 'maybe'])
  })

  test('that cast to nobody, or badly, are counted', async () => {
    const { a, b, pid } = await pair()
    const empty = new Uint8Array([0x90])
    a.layer?.raw?.(b.boot, [68, 999, 'value', empty, null])
    a.layer?.raw?.(b.boot, [68, pid.id, 'nothing', empty, null])
    a.layer?.raw?.(b.boot, [68, pid.id, 'value', new Uint8Array([0xc1]), null])
    a.layer?.raw?.(b.boot, [99])
    expect(a.system.stats().dropped).toEqual({
      'cast: ERR_NO_PROCESS': 1,
      'cast: ERR_NO_METHOD': 1,
      'cast: ERR_BAD_ARGUMENTS': 1,
      'a frame of a wrong shape': 1,
    })
    expect(a.system.report(new Pid(a.boot, 999, 'a'))).toBeUndefined()
  })

  test('after the node was stopped are ignored', async () => {
    const { a, b, pid, world } = await pair()
    a.system.close()
    world.frames.length = 0
    a.layer?.raw?.(b.boot, [64, 7, pid.id, 'value', 0, new Uint8Array([0x90]), null])
    expect(world.frames).toEqual([])
  })
})
