/**
 * The pure parts get time and chance as arguments. The compiler already refuses Node's globals there (`types: []`);
 * this refuses what the language itself brings: the clock, chance, and everything that happens later.
 */
import { describe, expect, test } from 'vitest'
import { codeOnly } from './code-only.js'
import { places, read, sources } from './files.js'

const IMPURE =
  /(?<![.\w$])(?:Date|performance|Promise|async|await|process|Buffer|console|crypto|globalThis|queueMicrotask|setTimeout|setInterval|setImmediate|Math\s*\.\s*random)(?![\w$]|\??\s*:)/
const ALLOWED_IMPORT = /^(?:\.\/[\w./-]+\.js|@skep\/(?:cluster|tracker)\/core|hashring)$/

const pure = sources(/^packages\/(?:cluster|tracker)\/src\/core\/.*\.ts$/)

describe('the pure parts', () => {
  test('are found', () => {
    expect(pure).toContain('packages/cluster/src/core/membership.ts')
  })

  test.each(pure)('%s has no clock, chance, timer, promise, process or buffer', (path) => {
    expect(places(path, codeOnly(read(path)), IMPURE)).toEqual([])
  })

  test.each(pure)('%s imports nothing but pure parts', (path) => {
    const imports = [
      ...read(path).matchAll(/^(?:import|export)\b[^'"]*?\bfrom\s*['"]([^'"]+)['"]|\bimport\(?\s*['"]([^'"]+)['"]/gm),
    ]
    const impure = imports.map((match) => match[1] ?? match[2] ?? '').filter((name) => !ALLOWED_IMPORT.test(name))
    expect(impure).toEqual([])
  })
})

describe('the search itself', () => {
  test.each([
    'const now = Date.now()',
    'return Math.random() < 0.5',
    'setTimeout(wake, 5)',
    'export async function step() {}',
    'const text = `at ${new Date()}`',
    'const pattern = /\'/; const then = Promise.resolve("\'")',
    'x = a / b; y = process.pid / 2',
  ])('finds %s', (code) => {
    expect(places('x', codeOnly(code), IMPURE)).toHaveLength(1)
  })

  test.each([
    '// Date.now() would be impure',
    '/* await\n Promise */',
    "const text = 'Math.random'",
    'const text = `await ${name} Date`',
    'const { updateDate, asyncIds } = state.process',
    'const quote = /[\'"`]/; const rest = "Date"',
    'interface Holder { process: number; performance?: number }',
  ])('passes %s', (code) => {
    expect(places('x', codeOnly(code), IMPURE)).toEqual([])
  })
})
