/**
 * Scenarios on real processes; docs/scenarios.md says what each does.
 *
 *   npm run e2e -- coldstart --nodes 10 --times 10 [--discovery local|static] [--json]
 *   npm run e2e -- kill9 --times 50
 *   npm run e2e -- stall --seconds 1,8,30
 *   npm run e2e -- partition --split 3,2 --seconds 10 --times 3 [--policy majority]
 *   npm run e2e -- churn --minutes 5 --seed 7
 *   npm run e2e -- ci          a selection of all of them, as `npm test` runs it
 *
 * The last line counts the checks; exit code 1 when one failed, 2 when the command was not understood. What cannot be
 * looked at on this machine counts as skipped, with the reason.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { killAll } from '@skep/example-counter/processes'
import { Misunderstood, readCommand } from './command.js'
import { countsOf, type Say } from './scenario.js'

async function main(): Promise<number> {
  const { name, scenario, options, json } = readCommand(process.argv.slice(2))
  const began = performance.now()
  const say: Say = json ? () => {} : (text) => console.log(text)
  const reports = await scenario.run(options, say)
  const { passed, failed, skipped } = countsOf(reports.flatMap((report) => report.checks))
  const seconds = Math.round((performance.now() - began) / 100) / 10
  if (json) console.log(JSON.stringify({ scenario: name, passed, failed, skipped, seconds, reports }))
  else console.log(`e2e: ${passed} passed, ${failed} failed, ${skipped} skipped`)
  return failed === 0 ? 0 : 1
}

// Killed nodes cannot take their files with them: all that this run starts keeps them in a place that goes with it.
const place = mkdtempSync(join(tmpdir(), 'skep-e2e-'))
process.env.TMPDIR = place
process.on('exit', () => rmSync(place, { recursive: true, force: true }))

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130))

try {
  process.exitCode = await main()
} catch (error) {
  if (!(error instanceof Misunderstood)) throw error
  console.error(`e2e: ${error.message}`)
  process.exitCode = 2
} finally {
  killAll()
}
