/** The rules between what callers were told and what actors did: each lie is found. */
import { SkepError } from '@skep/cluster'
import { expect, test } from 'vitest'
import { Ledger } from '../src/nodes/ledger.js'

function rulesOf(run: (ledger: Ledger) => void): string[] {
  const ledger = new Ledger(() => 0)
  run(ledger)
  ledger.close()
  return ledger.findings.map(({ rule }) => rule)
}

const failure = (sent: 'no' | 'maybe') => new SkepError('ERR_TIMEOUT', 'too late', { sent })

test('a call that was done once by the actor that answered is right', () => {
  const rules = rulesOf((ledger) => {
    const id = ledger.asks('a', 'n')
    ledger.applies(id, 'p')
    ledger.answered(id, 'p')
  })
  expect(rules).toEqual([])
})

test('a call that failed may have been done where its error says so, and where its caller died', () => {
  const rules = rulesOf((ledger) => {
    const [one, two, three] = [ledger.asks('a', 'n'), ledger.asks('a', 'n'), ledger.asks('a', 'n')]
    ledger.applies(one, 'p')
    ledger.failed(one, failure('maybe'), false)
    ledger.failed(two, failure('maybe'), false)
    ledger.applies(three, 'p')
    ledger.failed(three, failure('no'), true)
  })
  expect(rules).toEqual([])
})

test.each<[string, string[], (ledger: Ledger, id: string) => void]>([
  [
    'that is done twice',
    ['twice'],
    (ledger, id) => {
      ledger.applies(id, 'p')
      ledger.applies(id, 'q')
      ledger.answered(id, 'p')
    },
  ],
  [
    'that is answered by who did not do it',
    ['outcome'],
    (ledger, id) => {
      ledger.applies(id, 'p')
      ledger.answered(id, 'q')
    },
  ],
  ['that is answered and was not done', ['outcome'], (ledger, id) => ledger.answered(id, 'p')],
  [
    "that fails with sent 'no' and was done",
    ['outcome'],
    (ledger, id) => {
      ledger.failed(id, failure('no'), false)
      ledger.applies(id, 'p')
    },
  ],
  ['that fails with an error of no kind', ['outcome'], (ledger, id) => ledger.failed(id, new Error('?'), false)],
  [
    'that is settled twice',
    ['outcome'],
    (ledger, id) => {
      ledger.failed(id, failure('maybe'), false)
      ledger.failed(id, failure('maybe'), false)
    },
  ],
  ['that is never settled', ['stuck'], () => {}],
])('a call %s breaks a rule', (_what, expected, run) => {
  expect(rulesOf((ledger) => run(ledger, ledger.asks('a', 'n')))).toEqual(expected)
})

test('what nobody asked for must not be done', () => {
  expect(rulesOf((ledger) => ledger.applies('x:1', 'p'))).toEqual(['outcome'])
})

test('one caller’s order holds for each actor, and only there', () => {
  const order = (pids: [string, string], names: [string, string] = ['n', 'n']): string[] =>
    rulesOf((ledger) => {
      const [one, two] = [ledger.asks('a', names[0]), ledger.asks('a', names[1])]
      ledger.applies(two, pids[1])
      ledger.applies(one, pids[0])
      ledger.answered(two, pids[1])
      ledger.answered(one, pids[0])
    })
  expect(order(['p', 'p'])).toEqual(['order'])
  expect(order(['p', 'q'])).toEqual([])
  expect(order(['p', 'p'], ['n', 'm'])).toEqual([])
})
