/** Tests say what time it is; they never wait for it. Only end-to-end scenarios, which are no test files, may. */
import { expect, test } from 'vitest'
import { codeOnly } from './code-only.js'
import { places, read, sources } from './files.js'

const SLEEP = /\b(?:setTimeout|setInterval|sleep)\s*(?:<[^>]*>)?\(|\bAtomics\s*\.\s*wait\b/
const TIMERS = /['"](?:node:)?timers(?:\/promises)?['"]/

const tests = sources(/^(?:packages\/[^/]+|bench|scripts)\/test\/.*\.ts$/)

test.each(tests)('%s does not sleep', (path) => {
  const source = read(path)
  const imports = path.endsWith('/no-sleep.test.ts') ? [] : places(path, source, TIMERS)
  expect([...places(path, codeOnly(source), SLEEP), ...imports]).toEqual([])
})

test('a sleep would be found', () => {
  const found = (code: string) => places('x', codeOnly(code), SLEEP)
  expect(found('await new Promise((done) => setTimeout(done, 5))')).toHaveLength(1)
  expect(found('await sleep(5)')).toHaveLength(1)
  expect(found('const delay = 5 // sleep(5)')).toEqual([])
})
