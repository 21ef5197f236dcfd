import { expect, test } from 'vitest'
import { wrongOf } from '../src/scenarios.js'

test('a bound of time or pace that a scenario misses is a missed target, any other failed check a wrong answer', () => {
  const check = (name: string, ok: boolean) => ({ name, ok, detail: 'seen' })
  const checks = [
    check('p50 at most 250 ms', false),
    check('p99 at most 1000 ms', false),
    check('calls kept their pace: at least 800 a second', false),
    check('no call failed', false),
    check('no increment is lost', true),
    { ...check('needs a network', false), skipped: 'no root' },
  ]
  expect(wrongOf({ scenario: 'kill9', checks, figures: {} })).toEqual(['kill9: no call failed: seen'])
})
