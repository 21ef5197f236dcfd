/** What the explorer says of the machines, and of machines without a rule: those run the built command. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { type Exploration, explore } from '../src/explorer/explore.js'

const cli = fileURLToPath(new URL('../dist/cli/cli.js', import.meta.url))

test.each([
  [3, 'none'],
  [2, 'crash'],
  [2, 'leave'],
] as const)('every schedule of %d nodes with the fault %s in its ordinary order keeps every rule', (nodes, fault) => {
  const result = explore({ nodes, fault, delays: 0, depth: 400, maxStates: 1_000_000 })
  expect(result.found).toEqual([])
  expect(result).toMatchObject({ violations: 0, complete: true })
})

test.each([
  ['no-take', 'doubleSlot'],
  ['no-join-gate', 'doubleSlot'],
  ['shared-seed', 'overlap'],
  ['no-digest-in-ack', 'duplicate'],
])('%s is caught without a single delay, with the actions that lead there', (mutant, rule) => {
  const args = [cli, '--explore', '--json', '--delays', '0', '--mutant', mutant]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  if (stdout === '') throw new Error(stderr)
  const result = JSON.parse(stdout) as Exploration
  expect(status).toBe(1)
  expect(result).toMatchObject({ complete: false, cutBy: 'violation', found: [{ rule, delays: 0 }] })
  expect(result.found[0]?.story.length).toBeGreaterThan(0)
})

test('--fault of another kind, and options of the explorer without it, are refused', () => {
  for (const args of [
    ['--explore', '--fault', 'flood'],
    ['--delays', '2'],
    ['--explore', '--nodes', '4'],
  ]) {
    expect(spawnSync(process.execPath, [cli, ...args], { encoding: 'utf8' }).status).toBe(2)
  }
})
