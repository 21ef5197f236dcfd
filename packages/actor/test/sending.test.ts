/** Values of every kind, sent to actors as arguments and back as results, fields of errors and items of streams. */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { errorParts } from '../src/fault.js'
import { defineActor, type RefOf, via } from '../src/index.js'
import { addressOf } from '../src/ref.js'
import { leaf, treeOf } from './arbitraries.js'
import { World } from './world.js'

/** A value with its refs as texts: the refs that arrive are others, of another node, and mean the same. */
function shown(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (addressOf(value) !== undefined) return `${String(value)} ${inspect(addressOf(value)?.target)}`
  if (Array.isArray(value)) return value.map(shown)
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [shown(key), shown(item)]))
  if (value instanceof Set) return new Set([...value].map(shown))
  if (value instanceof Error) {
    const { name, message } = value
    const { fields, hidden } = errorParts(value)
    return {
      prototype: Object.getPrototypeOf(value) as unknown,
      name,
      message,
      fields: shown(fields),
      hidden: shown(hidden),
    }
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) return value
  const fields = Object.entries(value).map(([key, item]) => [key, shown(item)] as const)
  return { plain: new Map(fields) }
}

test('values come back equal from an actor of the same node and of another one, refs and pids among them', async () => {
  const Echo = defineActor('echo', {
    init: () => undefined,
    on: {
      back: (_self, value: unknown) => value,
      fail: (_self, value: unknown) => {
        throw Object.assign(new Error('no'), { code: 'ERR_OWN', value })
      },
      async *items(_self, values: unknown[]) {
        yield* values
      },
    },
  })
  const world = new World()
  const [a, b] = [world.add('a', { actors: [Echo] }).system, world.add('b', { actors: [Echo] }).system]
  const pid = await a.start(Echo, via('echo'))
  const refs = [
    b.via(Echo, 'echo'),
    b.ref(Echo, pid),
    b.ensure(Echo, via('other', { timeout: 7 })),
    a.via(Echo, 'with\ud800half'),
  ]
  const withRefs = treeOf(fc.oneof(leaf, fc.constantFrom<unknown>(...refs, pid)))
  await fc.assert(
    fc.asyncProperty(withRefs, async (value) => {
      for (const echo of [a, b].map((node) => node.via(Echo, 'echo'))) {
        const expected = shown(value)
        assert.deepStrictEqual(shown(await echo.back(value)), expected)
        const error = (await echo.fail(value).catch((thrown: unknown) => thrown)) as { code: string; value: unknown }
        assert.deepStrictEqual([error.code, shown(error.value)], ['ERR_OWN', expected])
        const got: unknown[] = []
        for await (const item of echo.items([value, 1])) got.push(item)
        assert.deepStrictEqual(shown(got), [expected, 1])
      }
    }),
    { numRuns: 200 },
  )
  const again = (await b.via(Echo, 'echo').back([refs[1]])) as [RefOf<typeof Echo>]
  expect(await again[0].back('through a ref that came back')).toBe('through a ref that came back')
})
