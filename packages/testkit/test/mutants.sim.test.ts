/**
 * The simulator as a command, and what it finds when a rule of the protocol is missing. Mutants are patches on what
 * was built, so these tests run the built command: `tsc -b` comes first.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { Summary } from '../src/index.js'
import { mutants } from '../src/mutants/mutants.js'
import { applyPatch } from '../src/mutants/mutation.js'

const cli = fileURLToPath(new URL('../dist/cli/cli.js', import.meta.url))

test('a patch that does not fit exactly once is refused', () => {
  const patch = { url: 'file:///x.js', find: 'rule', replace: '' }
  expect(applyPatch('a rule.', patch)).toBe('a .')
  expect(() => applyPatch('no such thing', patch)).toThrow('stands 0 times')
  expect(() => applyPatch('rule and rule', patch)).toThrow('stands 2 times')
})

test('the simulator is built', () => {
  expect(existsSync(cli), 'run `npm run build` first: mutants are patches on the built machines').toBe(true)
})

interface Result {
  readonly status: number | null
  readonly summary: Summary
}

function sim(...args: string[]): Result {
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, '--json', ...args], { encoding: 'utf8' })
  if (stdout === '') throw new Error(stderr)
  return { status, summary: JSON.parse(stdout) as Summary }
}

describe('every rule that is removed is missed', () => {
  /** Enough seeds that a change of the machines, which makes other schedules of them, leaves some that catch it. */
  const runs: Record<string, readonly [runs: string, nodes: string, rule: string]> = {
    'park-while-syncing': ['60', '8-20', 'stuck'],
    'shared-seed': ['3', '2-20', 'overlap'],
    'no-take': ['10', '2-20', 'doubleSlot'],
    'no-join-gate': ['5', '2-20', 'doubleSlot'],
    'no-digest-in-ack': ['400', '3-12', 'duplicate'],
    'any-grant': ['150', '2-9', 'stuck'],
    'gate-waits-for-expect-alone': ['200', '2-9', 'stuck'],
    'gate-never-tells': ['60', '2-9', 'stuck'],
  }

  test.each(mutants.map((mutant) => [mutant.name, mutant]))('%s: its patches fit what was built', (_name, mutant) => {
    for (const { of, file, find, replace } of mutant.patches) {
      const url = new URL(`../../${of.split('/')[1]}/dist/core/${file}`, import.meta.url).href
      expect(applyPatch(readFileSync(fileURLToPath(url), 'utf8'), { url, find, replace })).toContain(replace)
    }
  })

  test.each(Object.entries(runs))('%s is caught', (name, [count, nodes, rule]) => {
    const { status, summary } = sim('--mutant', name, '--runs', count, '--nodes', nodes)
    expect(status).toBe(1)
    expect(summary.rules).toHaveProperty(rule)
  })
})

describe('the command', () => {
  test('ends with 0 where nothing was found, and tells what PROOF.md lists', () => {
    const { status, summary } = sim('--runs', '4', '--nodes', '2-4', '--jobs', '2', '--seed', '5')
    expect(summary).toMatchObject({ runs: 4, violations: 0, stuck: 0, duplicates: 0, lost: 0, diverged: 0 })
    for (const key of ['ops', 'seconds', 'frames', 'medianOps', 'raced', 'hash']) expect(summary).toHaveProperty(key)
    expect(status).toBe(0)
  })

  test('gives the same hash whatever the number of jobs', () => {
    const args = ['--runs', '6', '--nodes', '2-5', '--seed', '11']
    expect(sim(...args, '--jobs', '1').summary.hash).toBe(sim(...args, '--jobs', '2').summary.hash)
  })

  test('prints the seed first, and a line an event with --trace', () => {
    const args = [cli, '--runs', '1', '--nodes', '2', '--seed', '3', '--trace']
    const lines = execFileSync(process.execPath, args, { encoding: 'utf8' }).split('\n')
    expect(lines[0]).toBe('seed 3')
    expect(lines.length).toBeGreaterThan(100)
  })

  test.each([
    [['--rums', '3'], /--rums/],
    [['--runs', 'many'], /--runs must be a whole number/],
    [['--nodes', '5-2'], /--nodes must be A-B/],
    [['--faults', 'joins,earthquakes'], /there is no 'earthquakes'/],
    [['--mutant', 'none-such'], /there is no mutant 'none-such'/],
    [['--trace', '--json'], /choose one/],
    [['--html', 'run.html', '--runs', '2'], /--html shows one run, not 2/],
    [['--html', 'run.html', '--mutants'], /choose a --mutant NAME/],
    [['--html', '/no/such/folder/run.html'], /run\.html cannot be written/],
  ])('refuses %j with exit code 2', (args, message) => {
    const { status, stderr } = spawnSync(process.execPath, [cli, ...args], { encoding: 'utf8' })
    expect(status).toBe(2)
    expect(stderr).toMatch(message)
  })
})
