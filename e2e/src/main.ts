/**
 * Scenarios on real processes.
 *
 *   npm run e2e -- coldstart --nodes 10 --times 10 [--discovery local|static] [--json]
 *   npm run e2e -- kill9 --times 20
 *   npm run e2e -- badinput
 *   npm run e2e -- demo
 *   npm run e2e -- ci          a selection of all of them, as `npm test` runs it
 *
 * The last line counts the checks; exit code 1 when one failed, 2 when the command was not understood.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { killAll } from '@skep/example-counter/processes'
import { badinput } from './badinput.js'
import { coldstart } from './coldstart.js'
import { demo } from './demo.js'
import { drain } from './drain.js'
import { kill9 } from './kill9.js'
import { rolling } from './rolling.js'
import type { Report, Say } from './scenario.js'

interface Options {
  readonly nodes: number
  readonly times: number
  readonly discovery: 'local' | 'static'
}

/** Per scenario: which options it takes, with their defaults, and what it runs. */
const scenarios: Record<string, { defaults: Partial<Options>; run(options: Options, say: Say): Promise<Report[]> }> = {
  coldstart: {
    defaults: { nodes: 3, times: 5, discovery: 'local' },
    run: async (options, say) => [await coldstart(options, say)],
  },
  kill9: { defaults: { times: 5 }, run: async (options, say) => [await kill9(options, say)] },
  badinput: { defaults: {}, run: async (_, say) => [await badinput(say)] },
  rolling: { defaults: {}, run: async (_, say) => [await rolling(say)] },
  drain: { defaults: {}, run: async (_, say) => [await drain(say)] },
  demo: { defaults: {}, run: async (_, say) => [await demo(say)] },
  ci: {
    defaults: {},
    run: async (_, say) => [
      await coldstart({ nodes: 3, times: 5, discovery: 'local' }, say),
      await coldstart({ nodes: 10, times: 1, discovery: 'static' }, say),
      await kill9({ times: 3 }, say),
      await badinput(say),
      await demo(say),
    ],
  },
}

/** A command that was not understood: said in one line, exit code 2. */
class Misunderstood extends Error {}

function readCommand(args: readonly string[]): { name: string; options: Options; json: boolean } {
  const { values, positionals } = parse(args)
  const [name, ...more] = positionals
  const known = Object.keys(scenarios).join(', ')
  const scenario = name !== undefined && Object.hasOwn(scenarios, name) ? scenarios[name] : undefined
  if (name === undefined) throw new Misunderstood(`name a scenario: ${known}`)
  if (scenario === undefined) throw new Misunderstood(`there is no scenario '${name}'; there are ${known}`)
  if (more.length > 0) throw new Misunderstood(`one scenario at a time, not also '${more.join(' ')}'`)
  for (const key of ['nodes', 'times', 'discovery'] as const) {
    if (values[key] !== undefined && !(key in scenario.defaults)) {
      throw new Misunderstood(`${name} takes no --${key}`)
    }
  }
  const options: Options = {
    nodes: count('nodes', values.nodes, scenario.defaults.nodes ?? 3, 50),
    times: count('times', values.times, scenario.defaults.times ?? 1, 1000),
    discovery: discovery(values.discovery),
  }
  return { name, options, json: values.json }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        nodes: { type: 'string' },
        times: { type: 'string' },
        discovery: { type: 'string' },
        json: { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    throw new Misunderstood((error as Error).message)
  }
}

function count(name: string, text: string | undefined, otherwise: number, most: number): number {
  if (text === undefined) return otherwise
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > most) {
    throw new Misunderstood(`--${name} takes a whole number from 1 to ${most}, not '${text}'`)
  }
  return value
}

function discovery(text = 'local'): 'local' | 'static' {
  if (text === 'local' || text === 'static') return text
  throw new Misunderstood(`--discovery takes local or static, not '${text}'`)
}

async function main(): Promise<number> {
  const { name, options, json } = readCommand(process.argv.slice(2))
  const began = performance.now()
  const say: Say = json ? () => {} : (text) => console.log(text)
  const reports = await (scenarios[name]?.run(options, say) ?? [])
  const checks = reports.flatMap((report) => report.checks)
  const failed = checks.filter(({ ok }) => !ok)
  const passed = checks.length - failed.length
  const seconds = Math.round((performance.now() - began) / 100) / 10
  if (json) console.log(JSON.stringify({ scenario: name, passed, failed: failed.length, skipped: 0, seconds, reports }))
  // Nothing is ever skipped: what cannot run here fails, so that it is seen.
  else console.log(`e2e: ${passed} passed, ${failed.length} failed, 0 skipped`)
  return failed.length === 0 ? 0 : 1
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
