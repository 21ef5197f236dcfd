/**
 * Runs everything that the project claims by simulation, one after the other, keeps each JSON in docs/proof/ and writes
 * docs/proof.md from them, so that no figure there is typed by hand. About an hour on two cores; `--quick` runs a
 * hundredth of it to try the script itself, into a folder given by `--into`; `--only all,nodes` runs those anew and
 * reads the others from the answers that are kept.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { build, checkNode, install, root } from './bootstrap.mjs'

const { values } = parseArgs({
  options: { quick: { type: 'boolean' }, into: { type: 'string' }, only: { type: 'string' } },
})
const share = values.quick ? 100 : 1
const docs = values.into ?? join(root, 'docs')
const folder = join(docs, 'proof')

/** @param {number} runs */
const runs = (runs) => String(Math.max(1, Math.round(runs / share)))

/** @type {readonly { name: string, claim: string, args: readonly string[] }[]} */
const proofs = [
  {
    name: 'all',
    claim: 'every fault, machines',
    args: ['--runs', runs(100_000), '--nodes', '2-12', '--faults', 'all'],
  },
  {
    name: 'phases',
    claim: 'every fault in the middle of what each struck',
    args: ['--runs', runs(50_000), '--nodes', '2-12', '--faults', 'all', '--phases'],
  },
  {
    name: 'joins-leaves',
    claim: 'joins and leaves: never two holders',
    args: ['--runs', runs(20_000), '--nodes', '2-20', '--faults', 'joins,leaves'],
  },
  {
    name: 'nodes',
    claim: 'whole nodes with actors',
    args: ['--level', 'nodes', '--runs', runs(2000)],
  },
  { name: 'mutants', claim: 'each rule removed', args: ['--mutants', '--runs', runs(150_000), '--nodes', '2-9'] },
  ...['none', 'crash', 'cut', 'leave'].map((fault) => ({
    name: `explore-${fault}`,
    claim: `every schedule of a tiny world, fault: ${fault}`,
    args: ['--explore', '--fault', fault, ...(values.quick ? ['--delays', '0'] : [])],
  })),
]

checkNode()
install()
if (!build('packages/testkit')) process.exit(1)
mkdirSync(folder, { recursive: true })
const only = values.only?.split(',')
const rows = proofs.map((proof) => (only === undefined || only.includes(proof.name) ? prove(proof) : recall(proof)))
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
writeFileSync(join(docs, 'proof.md'), page(rows))
process.exitCode = rows.some((row) => row.status !== 0) ? 1 : 0

/** @param {typeof proofs[number]} proof */
function argumentsOf({ name, args }) {
  return name.startsWith('explore') ? args : [...args, '--jobs', '2']
}

/** @param {readonly string[]} args */
function commandOf(args) {
  return `npm run sim -- ${args.join(' ')} --json`
}

/**
 * What was shown before, with the seconds that it took then.
 * @param {typeof proofs[number]} proof
 */
function recall(proof) {
  const { name, claim } = proof
  const result = JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8'))
  if (typeof result.seconds !== 'number') throw new Error(`${name}.json does not say how long it took: run it anew`)
  const command = commandOf(argumentsOf(proof))
  return { name, claim, command, status: isClean(result) ? 0 : 1, seconds: Math.round(result.seconds), result }
}

/** @param {{ violations?: number, missed?: readonly string[], mutants?: readonly { caughtAtSeed?: number }[] }} result */
function isClean({ violations, missed = [], mutants }) {
  if (mutants !== undefined) return mutants.every(({ caughtAtSeed }) => caughtAtSeed !== undefined)
  return violations === 0 && missed.length === 0
}

/** @param {typeof proofs[number]} proof */
function prove(proof) {
  const { name, claim } = proof
  const all = argumentsOf(proof)
  const command = commandOf(all)
  process.stderr.write(`${command}\n`)
  const begun = performance.now()
  const sim = join(root, 'packages/testkit/dist/cli/cli.js')
  const { status, stdout } = spawnSync(process.execPath, [sim, ...all, '--json'], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const seconds = Math.round((performance.now() - begun) / 1000)
  writeFileSync(join(folder, `${name}.json`), stdout)
  return { name, claim, command, status, seconds, result: JSON.parse(stdout) }
}

/** @param {readonly ReturnType<typeof prove>[]} rows */
function page(rows) {
  const total = rows.reduce((sum, row) => sum + row.seconds, 0)
  const mutants = rows.find((row) => row.name === 'mutants')?.result.mutants ?? []
  return [
    '# What the simulator showed',
    '',
    `Version ${version}, written by \`node scripts/proof.mjs\`; the whole answers stand in [proof/](proof). Together ${Math.round(total / 60)} minutes on two cores.`,
    '',
    '| claim | command | result | s |',
    '| --- | --- | --- | --- |',
    ...rows.map((row) => `| ${row.claim} | \`${row.command}\` | ${resultOf(row)} | ${row.seconds} |`),
    '',
    '## Rules that were removed',
    '',
    '| mutant | rule | seed that catches it | invariant |',
    '| --- | --- | --- | --- |',
    ...mutants.map(
      (/** @type {Record<string, unknown>} */ one) =>
        `| ${one.name} | ${one.rule} | ${one.caughtAtSeed ?? 'none'} | ${one.invariant ?? 'not caught'} |`,
    ),
    '',
  ].join('\n')
}

/** @param {ReturnType<typeof prove>} row */
function resultOf({ name, result }) {
  if (name === 'mutants') {
    const caught = result.mutants.filter(
      (/** @type {{ caughtAtSeed?: number }} */ one) => one.caughtAtSeed !== undefined,
    )
    return `${caught.length} of ${result.mutants.length} caught`
  }
  if (name.startsWith('explore')) {
    const { states, transitions, violations, complete } = result
    return `${states} states, ${transitions} transitions, ${violations} violations, ${complete ? 'complete' : 'cut short'}`
  }
  const { violations, stuck, duplicates, lost, diverged, ops, stepsPerSecond } = result
  const { missed } = result
  const told = {
    violations,
    stuck,
    duplicates,
    lost,
    diverged,
    ...(missed === undefined ? {} : { 'pairs of fault and phase not hit': missed.length }),
    ops,
    'node-steps/s': stepsPerSecond,
  }
  return Object.entries(told)
    .map(([key, value]) => `${key} ${value}`)
    .join(', ')
}
