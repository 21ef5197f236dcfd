/** What may be sent arrives equal; what may not is refused by its path; bad bytes are an error and nothing else. */
import assert from 'node:assert/strict'
import { SkepError } from '@skep/cluster'
import { Pid } from '@skep/tracker'
import fc from 'fast-check'
import { addExtension, Packr } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { copy, freeze } from '../src/copy.js'
import { BadBytes, unpack } from '../src/decode.js'
import { pack } from '../src/encode.js'
import { mark, maxDepth, type RefSource, Refused } from '../src/values.js'
import { bytes, tree } from './arbitraries.js'

const noRefs: RefSource = { refOf: () => undefined, rebind: (ref) => ref }
const limit = 1 << 20

const overWire = (value: unknown): unknown => unpack(Uint8Array.from(pack(value, 'value', limit)), noRefs)
const copied = (value: unknown): unknown => copy(value, 'value', noRefs)

function refusal(send: () => unknown): Refused['refusal'] {
  try {
    send()
  } catch (error) {
    if (error instanceof Refused) return error.refusal
    throw error
  }
  throw new Error('it was not refused')
}

class Money {
  readonly amount = 1
}
/** Its code is the class's: no error has it as its own. */
class Overdrawn extends RangeError {
  get code(): string {
    return 'ERR_OVERDRAWN'
  }
}
Overdrawn.prototype.name = 'Overdrawn'
class OutOfMoney extends Error {
  readonly code = 'ERR_MONEY'
  readonly missing = 3n
  override readonly name = 'OutOfMoney'
}

describe('values', () => {
  test('of every kind arrive equal over the wire', () => {
    fc.assert(
      fc.property(tree, (value) => assert.deepStrictEqual(overWire(value), value)),
      { numRuns: 2000 },
    )
  })

  test('are copied into what the wire would have made', () => {
    fc.assert(
      fc.property(tree, (value) => assert.deepStrictEqual(copied(value), overWire(value))),
      { numRuns: 2000 },
    )
  })

  test('are equal to what they were where they are frozen and shared', () => {
    fc.assert(
      fc.property(tree, (value) => {
        const before = overWire(value)
        assert.deepStrictEqual(freeze(value, 'value', noRefs), before)
      }),
      { numRuns: 500 },
    )
  })

  test('keep what the bare serializer loses', () => {
    expect(overWire(-0)).toBe(-0)
    expect(overWire([undefined, { a: undefined }])).toStrictEqual([undefined, { a: undefined }])
    expect(overWire(1n << 200n)).toBe(1n << 200n)
    expect(overWire(new Float64Array([1.5, -0, Number.NaN]))).toStrictEqual(new Float64Array([1.5, -0, Number.NaN]))
    expect(Buffer.isBuffer(overWire(Buffer.from('x')))).toBe(true)
    expect(Buffer.isBuffer(overWire(new Uint8Array(3)))).toBe(false)
    expect(overWire('\ud83d')).toBe('\ud83d')
  })

  test('keep what looks like something of the wire', () => {
    for (const value of [[mark], [mark, 3, 4], [[mark, 99]], new Set([mark, 1]), { a: [mark, [mark, -0]] }]) {
      expect(overWire(value)).toStrictEqual(value)
    }
  })

  test('of 2^n at every boundary of the number format arrive equal', () => {
    for (let bit = 0; bit < 1024; bit++) {
      for (const value of [2 ** bit - 1, 2 ** bit, 2 ** bit + 1, -(2 ** bit), -(2 ** bit) - 1, -(2 ** bit) + 1]) {
        if (overWire(value) !== value) expect(overWire(value)).toBe(value)
      }
    }
  })

  test('of every length at the boundaries of strings, arrays and objects arrive equal', () => {
    for (const length of [0, 1, 15, 16, 31, 32, 255, 256, 65_535, 65_536]) {
      const text = 'ä'.repeat(length)
      expect(overWire(text)).toBe(text)
      expect(overWire('a'.repeat(length))).toBe('a'.repeat(length))
      const list = new Array<number>(length).fill(7)
      expect(overWire(list)).toStrictEqual(list)
      const object = Object.fromEntries(list.map((n, i) => [`k${i}`, n]))
      expect(overWire(object)).toStrictEqual(object)
    }
  })

  test('that are errors keep name, message, code, cause, stack and own fields', () => {
    const error = new OutOfMoney('too poor', { cause: new RangeError('deep') })
    for (const send of [overWire, copied]) {
      const got = send(error) as OutOfMoney
      expect(got).toBeInstanceOf(Error)
      expect(got.name).toBe('OutOfMoney')
      expect(got.message).toBe('too poor')
      expect(got.code).toBe('ERR_MONEY')
      expect(got.missing).toBe(3n)
      expect(got.stack).toBe(error.stack)
      expect(got.cause).toBeInstanceOf(RangeError)
      expect(Object.keys(got).sort()).toEqual(['code', 'missing'])
    }
    for (const send of [overWire, copied]) {
      const got = send(new Overdrawn('by 3')) as Overdrawn
      expect([got.name, got.message, got.code]).toEqual(['Overdrawn', 'by 3', 'ERR_OVERDRAWN'])
      const aborted = send(new DOMException('gave up', 'AbortError')) as DOMException
      expect([aborted.name, aborted.message, aborted.code]).toEqual(['AbortError', 'gave up', 20])
    }
    const own = overWire(
      new SkepError('ERR_TIMEOUT', 'late', { sent: 'maybe', pid: new Pid('b', 1, 'n') }),
    ) as SkepError
    expect(own).toBeInstanceOf(SkepError)
    expect([own.code, own.sent, own.retryable]).toEqual(['ERR_TIMEOUT', 'maybe', true])
    expect(own.pid).toEqual(new Pid('b', 1, 'n'))
    expect((overWire(new SkepError('ERR_CONFIG', 'a fault')) as SkepError).code).toBe('ERR_CONFIG')
    const many = overWire(new AggregateError([new Error('one')], 'all')) as AggregateError
    expect(many.errors[0]).toEqual(new Error('one'))
  })

  test('that are shared arrive as copies, never as the objects themselves', () => {
    const inner = { n: 1 }
    const value = { a: inner, list: [inner], map: new Map([['k', inner]]) }
    const got = copied(value) as typeof value
    expect(got).toStrictEqual(value)
    expect(got.a).not.toBe(inner)
    expect(got.list[0]).not.toBe(inner)
    expect(got.map.get('k')).not.toBe(inner)
  })

  test('that are immutable are their own copy', () => {
    const pid = new Pid('b', 1, 'n')
    const config = Object.freeze({ name: 'x', list: Object.freeze([1, 2]), pid })
    expect(copied(config)).toBe(config)
    expect(copied(pid)).toBe(pid)
    const half = Object.freeze({ inner: { n: 1 } })
    expect(copied(half)).not.toBe(half)
  })

  test('are frozen where they are with isolation freeze, and copied where they cannot be frozen', () => {
    const plain = { list: [{ n: 1 }] }
    expect(freeze(plain, 'value', noRefs)).toBe(plain)
    expect(Object.isFrozen(plain.list[0])).toBe(true)
    const withMap = { map: new Map([[1, 2]]) }
    expect(freeze(withMap, 'value', noRefs)).not.toBe(withMap)
    expect(Object.isFrozen(withMap)).toBe(false)
    expect(refusal(() => freeze({ f: () => {} }, 'value', noRefs)).path).toBe('value.f')
  })
})

function holder<T extends object>(
  step: string,
  empty: () => T,
  put: (into: T, held: unknown) => unknown,
): { readonly step: string; readonly make: () => [object, (held: unknown) => unknown] } {
  return {
    step,
    make: () => {
      const container = empty()
      return [container, (held) => put(container, held)]
    },
  }
}

describe('a value that cannot be sent', () => {
  const cycle: { self?: unknown; list: unknown[] } = { list: [] }
  cycle.list.push({ back: cycle })
  const cases: [unknown, string, string][] = [
    [{ user: { onClick: () => {} } }, 'value.user.onClick', 'is a function'],
    [[1, [Symbol('s')]], 'value[1][0]', 'is a symbol'],
    [{ 'a b': new Money() }, 'value["a b"]', 'an instance of Money'],
    [{ later: Promise.resolve(1) }, 'value.later', 'a promise'],
    [new Map([['k', new WeakMap()]]), 'value.get("k")', 'an instance of WeakMap'],
    [new Set([() => {}]), 'value.values()[0]', 'is a function'],
    [Object.assign(new Error('x'), { socket: new Money() }), 'value.socket', 'an instance of Money'],
    [new (class Own extends Map {})(), 'value', 'an instance of Own'],
    [new URL('http://a/'), 'value', 'an instance of URL'],
    [Object.create({ own: 1 }), 'value', 'cannot be sent'],
    [cycle, 'value.list[0].back', 'cycles cannot be sent'],
    [() => {}, 'value', 'is a function'],
  ]

  test.each(cases)('is refused by its path: case %#', (value, path, text) => {
    for (const send of [() => pack(value, 'value', limit), () => copied(value)]) {
      const { code, ...refused } = refusal(send)
      expect(code).toBe('ERR_NOT_SENDABLE')
      expect(refused.path).toBe(path)
      expect(refused.text).toContain(text)
      expect(refused.text).toContain(path)
    }
  })

  /** Each holds one value, at this step of the path. */
  const holders: readonly { readonly step: string; readonly make: () => [object, (held: unknown) => unknown] }[] = [
    holder(
      '.a',
      () => ({ first: 1 }) as Record<string, unknown>,
      (object, held) => Object.assign(object, { a: held }),
    ),
    holder(
      '["a b"]',
      () => ({}),
      (object, held) => Object.assign(object, { 'a b': held }),
    ),
    holder(
      '[2]',
      () => [1, -0] as unknown[],
      (array, held) => array.push(held),
    ),
    holder(
      '.get("k")',
      () => new Map<unknown, unknown>(),
      (map, held) => map.set('k', held),
    ),
    holder(
      '.values()[1]',
      () => new Map<unknown, unknown>([['j', 1]]),
      (map, held) => map.set(7, held),
    ),
    holder(
      '.keys()[0]',
      () => new Map<unknown, unknown>(),
      (map, held) => map.set(held, 1),
    ),
    holder(
      '.values()[0]',
      () => new Set<unknown>(),
      (set, held) => set.add(held),
    ),
    holder(
      '.cause',
      () => new TypeError('x', { cause: 1 }),
      (error, held) => Object.assign(error, { cause: held }),
    ),
    holder(
      '.extra',
      () => new Error('x'),
      (error, held) => Object.assign(error, { extra: held }),
    ),
    holder(
      '.errors[1]',
      () => new AggregateError([1]),
      (error, held) => error.errors.push(held),
    ),
  ]

  test('is found by its path wherever it is, and a cycle where it closes', () => {
    const chain = fc.array(fc.constantFrom(...holders), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(chain, fc.nat(), fc.constantFrom('cycle', 'function', 'symbol'), (steps, back, what) => {
        const made = steps.map(({ make }) => make())
        const culprits = { cycle: made[back % made.length]?.[0], function: () => 1, symbol: Symbol('s') }
        for (const [i, [, put]] of made.entries()) put(made[i + 1]?.[0] ?? culprits[what as 'cycle'])
        for (const send of [pack, (value: unknown) => copied(value)]) {
          const { path, text } = refusal(() => send(made[0]?.[0], 'value', limit))
          expect(path).toBe(`value${steps.map(({ step }) => step).join('')}`)
          expect(text).toContain(what === 'cycle' ? 'cycles cannot be sent' : `is a ${what}`)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('is one level deeper than the limit', () => {
    const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)])
    expect(overWire(nested(maxDepth))).toStrictEqual(nested(maxDepth))
    expect(copied(nested(maxDepth))).toStrictEqual(nested(maxDepth))
    expect(refusal(() => pack(nested(maxDepth + 1), 'value', limit)).text).toContain('200 levels')
    expect(refusal(() => copied(nested(maxDepth + 1))).code).toBe('ERR_NOT_SENDABLE')
  })

  test('is one byte larger than the limit', () => {
    const string = 'x'.repeat(99_997)
    expect(pack(string, 'value', 100_002).length).toBe(100_002)
    expect(refusal(() => pack(string, 'args', 100_001))).toMatchObject({ code: 'ERR_TOO_LARGE', path: 'args' })
    expect(refusal(() => pack(new Array(1e6).fill('abc'), 'args', 1000)).code).toBe('ERR_TOO_LARGE')
  })

  test('holds itself so often that its bytes would have no end', () => {
    let bomb: unknown = ['tick']
    for (let i = 0; i < 100; i++) bomb = [bomb, bomb]
    expect(refusal(() => pack(bomb, 'args', limit)).code).toBe('ERR_TOO_LARGE')
    expect(refusal(() => pack([-0, bomb], 'args', limit)).code).toBe('ERR_TOO_LARGE')
    expect(refusal(() => pack(new Array(1e6).fill('x'.repeat(1e6)), 'args', limit)).code).toBe('ERR_TOO_LARGE')
  })

  test('leaves the writer as it was', () => {
    refusal(() => pack({ a: 1, b: () => {} }, 'value', limit))
    expect(overWire({ a: 1 })).toEqual({ a: 1 })
    const bad = {
      get boom(): never {
        throw new Error('getter')
      },
    }
    expect(() => pack(bad, 'value', limit)).toThrow('getter')
    const inner = {
      get n(): unknown {
        return overWire([1, 2])
      },
      z: 3,
    }
    expect(overWire({ inner })).toEqual({ inner: { n: [1, 2], z: 3 } })
  })
})

describe('hostile bytes', () => {
  const readOrBad = (hostile: Uint8Array): void => {
    try {
      unpack(hostile, noRefs)
    } catch (error) {
      expect(error).toBeInstanceOf(BadBytes)
    }
  }

  test('are refused without any other error', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), readOrBad), { numRuns: 5000 })
  })

  test('made of good ones by cutting, flipping and doubling are refused or read', () => {
    const damaged = fc.tuple(tree, fc.nat(), fc.nat(255), fc.boolean()).map(([value, at, byte, cut]) => {
      const good = Uint8Array.from(pack(value, 'value', limit))
      good[at % good.length] = byte
      return cut ? good.subarray(0, at % (good.length + 1)) : good
    })
    fc.assert(fc.property(damaged, readOrBad), { numRuns: 5000 })
  })

  test('that promise more than they hold allocate nothing', () => {
    const before = process.memoryUsage().heapUsed
    for (const code of [0xdb, 0xdd, 0xdf]) {
      expect(() => unpack(Uint8Array.from([code, 0xff, 0xff, 0xff, 0xff]), noRefs)).toThrow(BadBytes)
    }
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(50e6)
  })

  test('that nest without end are refused', () => {
    for (const size of [500, 100_000]) {
      expect(() => unpack(new Uint8Array(size).fill(0x91), noRefs)).toThrow('nested too deep')
    }
  })

  const row = { name: 'a text that is long enough', list: [1, 2, 3] }
  const theirs: [string, object, unknown][] = [
    ['record definitions', { useRecords: true, maxOwnStructures: 64 }, [row, row, row, row]],
    ['record definitions of two bytes', { useRecords: true, maxOwnStructures: 4000 }, [row, row]],
    ['references back', { structuredClone: true, useRecords: false }, [row, row]],
    ['bundled strings', { bundleStrings: true, useRecords: false }, [row, row]],
    ['errors', { moreTypes: true, useRecords: false }, new Error('x')],
    ['dates', { useRecords: false }, new Date()],
    ['typed arrays', { moreTypes: true, useRecords: false }, new Float64Array(3)],
    ['large numbers', { moreTypes: true, useRecords: false }, 1n << 99n],
  ]

  test.each(theirs)('that msgpackr would read as %s are refused', (_, options, value) => {
    const foreign = new Packr(options).pack(value)
    expect(() => unpack(foreign, noRefs)).toThrow(BadBytes)
    expect(() => unpack(Uint8Array.from(foreign), noRefs)).toThrow(BadBytes)
  })

  test('with marks of every kind on every kind of value are refused or read', () => {
    const packr = new Packr({ useRecords: false })
    const part = fc.oneof(
      fc.integer(),
      fc.string(),
      bytes,
      fc.constantFrom(null, undefined, true, Number.NaN, {}, [], '('),
    )
    const marked = fc
      .tuple(fc.nat(16), fc.array(fc.oneof(part, fc.tuple(fc.constant(mark), fc.nat(16), part, part, part))))
      .map(([kind, parts]) => Uint8Array.from(packr.pack([mark, kind, ...parts])))
    fc.assert(fc.property(marked, readOrBad), { numRuns: 5000 })
  })

  test('cannot set a prototype', () => {
    const got = overWire(JSON.parse('{"__proto__": {"admin": true}}')) as { admin?: boolean }
    expect(got.admin).toBeUndefined()
    expect(Object.getPrototypeOf(got)).toBe(Object.prototype)
    expect(Object.hasOwn(got, '__proto__')).toBe(true)
  })
})

// The last one: it changes msgpackr for the rest of this process, which is what an application may do as well.
test('values do not depend on extensions that an application gives to msgpackr', () => {
  const refuse = (): never => {
    throw new Error('the application was asked')
  }
  for (const [i, Class] of [Date, Set, Error, RegExp, Map, Pid].entries()) {
    addExtension({ Class, type: i + 1, pack: refuse, unpack: refuse })
  }
  const value = [new Date(0), new Set([1]), new Error('x'), /x/g, new Map([[1, 2]]), new Pid('b', 1, 'n'), 1n << 99n]
  expect(overWire(value)).toStrictEqual(value)
})
