/**
 * `npm test`: lint, types, unit, property and simulation tests, the packed packages, end-to-end. With `--quick`
 * (`npm run check`): lint, types, and the tests that open no socket and are no long simulation.
 *
 * All steps run even when one fails. The last line is `N passed, N failed` (and `, N skipped` where there are any) over
 * all of them; lint and compilation count as one each, and so does a step that dies without telling its counts.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build, root, tool } from './bootstrap.mjs'
import { chromium } from './chromium.mjs'
import { dnsmasq } from './dnsmasq.mjs'

/** @typedef {{ passed: number, failed: number, skipped: number }} Counts */

/** A step that hangs is a failed step; the slowest needs a few minutes on two slow cores. */
const STEP_TIMEOUT_MS = 20 * 60_000

const quick = process.argv.includes('--quick')
const total = { passed: 0, failed: 0, skipped: 0 }
const dir = mkdtempSync(join(tmpdir(), 'skep-test-'))
process.on('exit', () => rmSync(dir, { recursive: true, force: true }))

await step('lint', async () => one((await run([tool.biome, 'check'])).status === 0))
await step('types', async () => one(build()))
// The others are of the newest one, which compiles everything.
await step('types of actors, oldest TypeScript', async () =>
  one((await run([tool.oldestTsc, '-p', 'packages/actor/test/tsconfig.types.json'])).status === 0),
)
await step('tests', vitest)
if (!quick) {
  await step('packages', async () => told('pack', await run(['scripts/pack-check.mjs'], 'pipe')))
  await step('end-to-end', async () => told('e2e', await run(['e2e/dist/main.js', 'ci'], 'pipe')))
}

console.log(`${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ''}`)
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0

/**
 * @param {string} name
 * @param {() => Promise<Counts>} work
 */
async function step(name, work) {
  console.log(`\n== ${name}`)
  const begun = performance.now()
  const counts = await work()
  for (const key of /** @type {const} */ (['passed', 'failed', 'skipped'])) total[key] += counts[key]
  const seconds = ((performance.now() - begun) / 1000).toFixed(1)
  console.log(`== ${name}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped (${seconds} s)`)
}

async function vitest() {
  const file = join(dir, 'counts.json')
  const flags = ['--reporter=default', '--reporter=./scripts/counts-reporter.mjs']
  if (quick) flags.push('--exclude=**/*.socket.test.ts', '--exclude=**/*.sim.test.ts', '--exclude=**/*.browser.test.ts')
  const tools = quick ? {} : { SKEP_CHROMIUM: chromium() ?? '', SKEP_DNSMASQ: dnsmasq() ?? '' }
  const env = { SKEP_COUNTS: file, SKEP_CHROMIUM: '', SKEP_DNSMASQ: '', ...tools }
  const { status } = await run([tool.vitest, 'run', ...flags], 'inherit', env)
  // Without the file vitest died before its end.
  return existsSync(file) ? atLeastOneFailure(status, JSON.parse(readFileSync(file, 'utf8'))) : one(false)
}

/**
 * The counts that a script tells in its last line, `NAME: N passed, N failed[, N skipped]`.
 * @param {string} name
 * @param {{ status: number | null, stdout: string }} result
 * @returns {Counts}
 */
function told(name, { status, stdout }) {
  const last = stdout.trimEnd().split('\n').at(-1) ?? ''
  const match = new RegExp(`^${name}: (\\d+) passed, (\\d+) failed(?:, (\\d+) skipped)?$`).exec(last)
  if (!match) return one(false)
  const [, passed, failed, skipped] = match
  return atLeastOneFailure(status, { passed: Number(passed), failed: Number(failed), skipped: Number(skipped ?? 0) })
}

/**
 * An exit code is never talked away by good counts.
 * @param {number | null} status
 * @param {Counts} counts
 * @returns {Counts}
 */
function atLeastOneFailure(status, counts) {
  return status !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts
}

/**
 * @param {boolean} ok
 * @returns {Counts}
 */
function one(ok) {
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 }
}

/**
 * Runs Node without a keyboard. With `pipe` its standard output is kept as well as shown.
 * @param {string[]} argv
 * @param {'inherit' | 'pipe'} stdout
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<{ status: number | null, stdout: string }>}
 */
function run(argv, stdout = 'inherit', env = {}) {
  const child = spawn(process.execPath, argv, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', stdout, 'inherit'],
    timeout: STEP_TIMEOUT_MS,
  })
  let kept = ''
  child.stdout?.setEncoding('utf8').on('data', (text) => {
    kept += text
    process.stdout.write(text)
  })
  // Nothing that we started may outlive us.
  const stop = () => {
    child.kill()
    process.exit(1)
  }
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, stop)
  return new Promise((resolve) => {
    child.on('close', (status) => {
      for (const signal of ['SIGINT', 'SIGTERM']) process.off(signal, stop)
      resolve({ status, stdout: kept })
    })
  })
}
