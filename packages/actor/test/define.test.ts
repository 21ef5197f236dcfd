/** Definitions and refs: a programmer's mistake is a TypeError at once, and a ref has its methods, `$`, and nothing else. */
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { anonymous, defineActor, via } from '../src/index.js'
import { errorOf, World } from './world.js'

const Counter = defineActor('counter', {
  init: (start: number) => ({ n: start }),
  on: {
    value: (self) => self.state.n,
    increment: (self, by: number = 1) => (self.state.n += by),
    async *ticks(self, upTo: number) {
      for (let i = 0; i < upTo; i++) yield self.state.n + i
    },
  },
})

/** As plain JavaScript would call it. */
const define = defineActor as unknown as (kind: unknown, options?: unknown) => unknown

const init = (): number => 1

const impossible: [unknown, unknown][] = [
  ['', { init, on: {} }],
  ['a', undefined],
  ['a', { on: {} }],
  ['a', { init }],
  ['a', { init, on: { then: () => 1 } }],
  ['a', { init, on: { $: () => 1 } }],
  ['a', { init, on: { toJSON: () => 1 } }],
  ['a', { init, on: { value: 3 } }],
  ['a', { init, on: { *ticks() {} } }],
  ['a', { init, on: {}, onstart: () => {} }],
  ['a', { init, on: {}, mailbox: 0 }],
  ['a', { init, on: {}, onStop: 3 }],
]

describe('defineActor', () => {
  test.each(impossible)('refuses a definition that could never work: %# %s', (kind, options) => {
    expect(() => define(kind, options)).toThrow(TypeError)
  })
})

describe('a ref', () => {
  const world = new World()
  const { system } = world.add('a', { actors: [Counter] })

  test('has exactly the methods of its definition and $', () => {
    const ref = system.via(Counter, 'x') as unknown as Record<string, unknown>
    for (const method of ['value', 'increment', 'ticks']) expect(typeof ref[method]).toBe('function')
    for (const nothing of ['then', 'catch', 'toJSON', 'decrement', 'constructor', 'name', 'pid', 'length']) {
      expect(ref[nothing]).toBeUndefined()
    }
    expect(Object.keys(ref)).toEqual([])
    expect((ref as { $: { cast: Record<string, unknown> } }).$.cast.ticks).toBeUndefined()
  })

  test('shares its methods with all refs of the definition', () => {
    expect(system.via(Counter, 'x').value).toBe(system.via(Counter, 'y').value)
    expect(system.via(Counter, 'x').$.cast.value).toBe(system.via(Counter, 'y').$.cast.value)
  })

  test('sends nothing when it is awaited, printed, put into a text or into JSON', async () => {
    const ref = system.via(Counter, 'x')
    expect(await ref).toBe(ref)
    expect(inspect(ref)).toBe("Ref counter via 'x'")
    expect(`${ref}`).toBe("Ref counter via 'x'")
    expect(JSON.stringify({ ref })).toBe('{"ref":{}}')
    expect(world.frames).toEqual([])
  })

  test('sends nothing when it is put into a text, even where methods are named toString and valueOf', async () => {
    const world = new World()
    const Odd = defineActor('odd', { init: () => 0, on: { toString: () => 'sent', valueOf: () => 1 } })
    const odd = world.add('a').system.via(Odd, 'x') as object
    expect(`${odd}`).toBe("Ref odd via 'x'")
    expect(Number(odd)).toBeNaN()
    expect(world.frames).toEqual([])
  })

  test('tells its kind, its name and whom it would reach now', async () => {
    const pid = await system.start(Counter, via('told'), 1)
    const { $ } = system.via(Counter, 'told')
    expect([$.kind, $.name, $.pid()]).toEqual(['counter', 'told', pid])
    expect(system.via(Counter, 'nobody').$.pid()).toBeUndefined()
    expect(system.ref(Counter, pid).$.name).toBeUndefined()
    expect(system.ref(Counter, pid).$.pid()).toBe(pid)
  })

  test('refuses wrong options at once', () => {
    const { $ } = system.via(Counter, 'x')
    expect(() => $.with({ timout: 3 } as object)).toThrow("unknown option 'timout'")
    expect(() => $.with({ timeout: 0 })).toThrow(TypeError)
    expect(() => $.with({ timeout: Number.NaN })).toThrow(TypeError)
    // As from an environment variable; and what numbers cannot be added to.
    for (const timeout of ['200', 200n] as never[]) expect(() => $.with({ timeout })).toThrow(TypeError)
    expect(() => $.with({ signal: {} as AbortSignal })).toThrow(TypeError)
  })

  test('refuses a method that was torn off it', () => {
    const { value } = system.via(Counter, 'x')
    expect(() => (value as () => unknown)()).toThrow(TypeError)
  })
})

describe('a node', () => {
  const { system } = new World().add('a', { actors: [Counter] })

  test('refuses a programmer’s mistakes at once', () => {
    const loose = system as unknown as Record<string, (...args: unknown[]) => unknown>
    expect(() => via(3 as unknown as string)).toThrow(TypeError)
    expect(() => via('x', { visibel: 3 } as object)).toThrow("unknown option 'visibel'")
    expect(() => via('x', { visible: -1 })).toThrow(TypeError)
    expect(() => via('x', { timeout: -1 })).toThrow(TypeError)
    expect(() => via('x', { timeout: '200' as never })).toThrow(TypeError)
    expect(() => loose.start?.({}, anonymous)).toThrow(TypeError)
    expect(() => loose.start?.(Counter, 'x')).toThrow(TypeError)
    expect(() => loose.spawn?.(Counter, anonymous)).toThrow(TypeError)
    expect(() => loose.ensure?.(Counter, 'x')).toThrow(TypeError)
    expect(() => loose.via?.(Counter, 3)).toThrow(TypeError)
    expect(() => loose.ref?.(Counter, 'x')).toThrow(TypeError)
    expect(() => loose.group?.(Counter)).toThrow(TypeError)
    expect(() => system.pidOf('x')).toThrow(TypeError)
    expect(() =>
      new World().add('b', { actors: [Counter, define('counter', { init: () => 1, on: {} }) as never] }),
    ).toThrow("two definitions of kind 'counter'")
  })

  test('gives a name by hand to a pid or to what a ref means', async () => {
    const pid = await system.start(Counter, via('one'), 0)
    await system.register('printer', system.via(Counter, 'one'), { meta: { dpi: 300 } })
    expect(system.whereis('printer')).toBe(pid)
    expect(await system.via(Counter, 'printer').increment(2)).toBe(2)
    expect((await errorOf(system.register('x', system.via(Counter, 'nobody')))).code).toBe('ERR_NOT_REGISTERED')
    await system.unregister('printer')
    expect(system.whereis('printer')).toBeUndefined()
  })
})
