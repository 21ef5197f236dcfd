import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nameFault, utf8Length } from '../src/core/name.js'
import { plainFault } from '../src/core/plain.js'

describe('names', () => {
  test.each<[unknown, string | undefined]>([
    ['my_proc', undefined],
    ['room 42/ä', undefined],
    ['x'.repeat(512), undefined],
    ['é'.repeat(256), undefined],
    ['😀'.repeat(128), undefined],
    ['', 'is empty'],
    ['x'.repeat(513), 'is longer than 512 bytes'],
    ['é'.repeat(257), 'has 514 bytes, more than 512'],
    ['skep.x', "begins with 'skep.', which is reserved"],
    ['a\nb', 'contains a control character'],
    ['a\u0085', 'contains a control character'],
    ['\udc00', 'is not well-formed Unicode'],
    [undefined, 'is not a string but undefined'],
    [null, 'is not a string but null'],
  ])('%j: %s', (name, fault) => {
    expect(nameFault(name)).toBe(fault)
  })

  test('the length in UTF-8 is that of the encoder', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        // The encoder puts U+FFFD in the place of half a pair, so such a text does not come back.
        const bytes = new TextEncoder().encode(text)
        expect(utf8Length(text)).toBe(
          new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes) === text ? bytes.length : undefined,
        )
      }),
    )
  })
})

describe('plain data', () => {
  class Point {
    x = 1
  }
  const loop: unknown[] = []
  loop.push(loop)

  test.each<[string, unknown, string | undefined]>([
    ['what JSON knows', { a: [1, 'b', null, true, { c: -1.5 }] }, undefined],
    ['undefined, bytes and bigints', [undefined, new Uint8Array(3), 2n ** 64n - 1n], undefined],
    ['a function', { on: { click: () => {} } }, 'meta.on.click is a function, which cannot be sent'],
    ['a symbol', [Symbol('s')], 'meta[0] is a symbol, which cannot be sent'],
    ['a Map', { m: new Map() }, 'meta.m is a Map, which is not plain data'],
    ['an instance of a class', [new Point()], 'meta[0] is a Point, which is not plain data'],
    ['a large bigint', 2n ** 64n, 'meta is a bigint of more than 64 bits'],
    ['half a surrogate pair', ['\ud800'], 'meta[0] is not well-formed Unicode'],
    ['a key that the wire renames', JSON.parse('{"__proto__": 1}'), 'meta.__proto__ has a key that cannot be sent'],
    ['too much', { text: 'x'.repeat(100) }, 'meta.text: the value is larger than 64 bytes'],
    ['many small things', new Array(100).fill(0), 'meta[6]: the value is larger than 64 bytes'],
  ])('%s', (_, value, fault) => {
    expect(plainFault(value, 64, 'meta')?.text).toBe(fault)
  })

  test('a value that contains itself is refused, not walked for ever', () => {
    expect(plainFault(loop, 4096, 'meta')?.text).toMatch(/nested deeper than 32/)
  })
})
