/**
 * Measurements, each beside a yardstick in the same rounds; all rows without a name.
 *
 *   npm run bench -- [NAME...] [--rounds 7] [--million] [--quick] [--json]
 *
 * Exit code 0 also where a target is missed: that is told. 1 where an answer was wrong, or one row did not come to its
 * end; 2 when the command was not understood.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { killAll } from '@skep/example-counter/processes'
import { ROUNDS } from './measure.js'
import { type RowReport, type Run, tell } from './report.js'
import { type BenchOptions, runRow } from './row.js'
import { rows } from './rows.js'

interface Command {
  readonly names: readonly string[]
  readonly options: BenchOptions
  readonly json: boolean
}

/** Fewer say nothing about the spread. */
const LEAST_ROUNDS = 5
const MOST_ROUNDS = 1000

/** Throws an Error that says what is wrong with the command. */
function readCommand(): Command {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      million: { type: 'boolean', default: false },
      rounds: { type: 'string' },
    },
  })
  const unknown = positionals.filter((name) => !Object.hasOwn(rows, name))
  if (unknown.length > 0)
    throw new Error(`there is no ${unknown.join(', ')}; there are: ${Object.keys(rows).join(', ')}`)
  const { quick, million, json } = values
  const rounds = Number(values.rounds ?? (quick ? 1 : ROUNDS))
  const least = quick ? 1 : LEAST_ROUNDS
  if (!Number.isInteger(rounds) || rounds < least || rounds > MOST_ROUNDS)
    throw new Error(`--rounds takes a whole number from ${least} to ${MOST_ROUNDS}, not '${values.rounds}'`)
  return {
    names: positionals.length === 0 ? Object.keys(rows) : positionals,
    options: { rounds, quick, million },
    json,
  }
}

async function run({ names, options, json }: Command): Promise<number> {
  const begun = loadavg()[0] ?? 0
  const reports: Record<string, RowReport> = {}
  for (const name of new Set(names)) {
    const report = await runRow(rows[name] ?? missing, options)
    reports[name] = report
    if (!json) for (const line of tell(name, report)) console.log(line)
    else process.stderr.write(`bench: ${name}, ${report.seconds} s\n`)
  }
  const machine = {
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    load: { begun, ended: loadavg()[0] ?? 0 },
  }
  const whole: Run = { machine, ...options, rows: reports }
  if (json) console.log(JSON.stringify(whole, undefined, 1))
  return Object.values(reports).some(({ wrong }) => wrong.length > 0) ? 1 : 0
}

function missing(): never {
  throw new TypeError('no such row')
}

// Killed nodes cannot take their files with them: all that this run starts keeps them in a place that goes with it.
const place = mkdtempSync(join(tmpdir(), 'skep-bench-'))
process.env.TMPDIR = place
process.on('exit', () => rmSync(place, { recursive: true, force: true }))

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130))

let command: Command | undefined
try {
  command = readCommand()
} catch (error) {
  console.error(`bench: ${(error as Error).message}`)
  process.exitCode = 2
}
try {
  if (command !== undefined) process.exitCode = await run(command)
} finally {
  killAll()
}
