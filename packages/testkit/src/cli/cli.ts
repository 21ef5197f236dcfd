#!/usr/bin/env node
/** The command `npm run sim`: runs of the simulator, in text or JSON; see options.ts. */
import { closeSync, openSync } from 'node:fs'
import { resolve } from 'node:path'
import type { ExploreOptions } from '../explorer/explore.js'
import { matrixOf, missedOf } from '../machines/phases.js'
import type { Fault } from '../machines/plan.js'
import { type RunReport, Tally, type Violation } from '../machines/report.js'
import { maxFound } from '../machines/simulate.js'
import { locate, type Mutant, mutants } from '../mutants/mutants.js'
import { runExplore } from './explore.js'
import { runGrowth } from './grow.js'
import { runJobs } from './jobs.js'
import { type CliOptions, parseOptions, usage } from './options.js'
import type { LevelOptions } from './worker.js'

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  let options: CliOptions
  try {
    options = parseOptions(args)
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage}\n`)
    return 2
  }
  if (options.help) {
    print(usage)
    return 0
  }
  const mutant = mutants.find((one) => one.name === options.mutant)
  if (options.mutant !== undefined && mutant === undefined) {
    process.stderr.write(`there is no mutant '${options.mutant}', only ${mutants.map((one) => one.name).join(', ')}\n`)
    return 2
  }
  if (options.growth !== undefined) return await runGrowth(options.growth)
  if (options.html !== undefined && !isWritable(options.html)) return 2
  if (options.explore !== undefined) return await exploreWorld(options.explore, options.json, mutant)
  if (!options.json) print(`seed ${options.seed}`)
  return options.mutants ? await huntMutants(options) : await runAll(options, mutant)
}

/** Before the run, which may take long; says why where it is not. */
function isWritable(file: string): boolean {
  try {
    closeSync(openSync(file, 'a'))
    return true
  } catch (error) {
    process.stderr.write(`--html: ${resolve(file)} cannot be written: ${(error as Error).message}\n`)
    return false
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** One search; the numbers, and the shortest way to what was found. */
async function exploreWorld(explore: ExploreOptions, json: boolean, mutant: Mutant | undefined): Promise<number> {
  const began = performance.now()
  const { found, ...counts } = await runExplore(explore, mutant === undefined ? [] : locate(mutant))
  const seconds = Math.round((performance.now() - began) / 100) / 10
  if (json) print(JSON.stringify({ ...counts, seconds, found }, undefined, 2))
  else {
    for (const { rule, text, story } of found) print(`${story.join('\n')}\n${rule}: ${text}`)
    for (const [name, value] of Object.entries({ ...counts, seconds })) print(`${name}: ${JSON.stringify(value)}`)
  }
  return counts.violations > 0 ? 1 : 0
}

async function runAll(options: CliOptions, mutant: Mutant | undefined): Promise<number> {
  const began = performance.now()
  const tally = new Tally()
  const found: Violation[] = []
  await run(options, mutant, options.runs, (report) => {
    tally.add(report)
    const [first] = report.violations
    if (first !== undefined && found.length < maxFound) found.push(first)
    return true
  })
  found.sort((a, b) => a.seed - b.seed)
  const seconds = Math.round((performance.now() - began) / 100) / 10
  const summary = tally.summary()
  const phases = options.phases ? { phases: matrixOf(tally.phases), missed: missedOf(tally.phases) } : {}
  const speed = { seconds, stepsPerSecond: Math.round(summary.steps / Math.max(seconds, 0.1)) }
  const page = options.html === undefined ? undefined : resolve(options.html)
  if (options.json) {
    const told = found.map((one) => ({ ...one, replay: replay(options, one.seed) }))
    print(
      JSON.stringify({ seed: options.seed, ...summary, ...speed, ...phases, found: told, html: page }, undefined, 2),
    )
  } else {
    for (const one of found) {
      print(`seed ${one.seed} at ${one.at.toFixed(0)} ms: ${one.rule}: ${one.text}\n  ${replay(options, one.seed)}`)
    }
    if (found.length > 0 && page === undefined) print('  with --html run.html instead of --trace: to look at it')
    const all = { ...summary, ...speed, ...phases }
    for (const [name, value] of Object.entries(all)) print(`${name}: ${JSON.stringify(value)}`)
    if (page !== undefined) print(`page: ${page}`)
  }
  return summary.violations > 0 || (phases.missed?.length ?? 0) > 0 ? 1 : 0
}

/** A mutant is looked for where it shows, unless the user says where. */
function faultsOf(options: CliOptions, mutant: Mutant | undefined): readonly Fault[] {
  return options.faults ?? mutant?.faults ?? ['joins', 'leaves']
}

/** The command that runs this seed again, event by event. */
function replay(options: CliOptions, seed: number): string {
  const chosen =
    options.level === 'nodes'
      ? options.nodeFaults
      : faultsOf(
          options,
          mutants.find((one) => one.name === options.mutant),
        )
  const faults = chosen.length === 0 ? 'none' : chosen.join(',')
  const level = options.level === 'nodes' ? '--level nodes ' : ''
  const mutant = options.mutant === undefined ? '' : ` --mutant ${options.mutant}`
  return `npm run sim -- ${level}--seed ${seed} --runs 1 --nodes ${options.nodes.join('-')} --faults ${faults}${mutant} --trace`
}

function run(
  options: CliOptions,
  mutant: Mutant | undefined,
  runs: number,
  take: (report: RunReport) => boolean,
  seed: number = options.seed,
): Promise<void> {
  const { nodes, freeze, trace, html } = options
  const level: LevelOptions =
    options.level === 'nodes'
      ? { level: 'nodes', run: { nodes, faults: options.nodeFaults } }
      : { level: 'machines', run: { nodes, faults: faultsOf(options, mutant), freeze } }
  const patches = mutant === undefined ? [] : locate(mutant)
  const jobs = Math.min(options.jobs, runs)
  const page = html === undefined ? undefined : { file: resolve(html), command: replay(options, seed) }
  return runJobs({ seed, runs, jobs, run: level, trace, page, patches }, take)
}

/** Each mutant until a seed catches it that passes without it. */
async function huntMutants(options: CliOptions): Promise<number> {
  const began = performance.now()
  const results = []
  for (const mutant of mutants) {
    const caught = await hunt(options, mutant)
    results.push({ name: mutant.name, rule: mutant.rule, caughtAtSeed: caught?.seed, invariant: caught?.rule })
    if (!options.json)
      print(`${mutant.name}: ${caught === undefined ? 'NOT CAUGHT' : `seed ${caught.seed}, ${caught.rule}`}`)
  }
  const { seed, runs, json } = options
  const seconds = Math.round((performance.now() - began) / 100) / 10
  if (json) print(JSON.stringify({ seed, runs, mutants: results, seconds }, undefined, 2))
  return results.some((one) => one.caughtAtSeed === undefined) ? 1 : 0
}

async function hunt(options: CliOptions, mutant: Mutant): Promise<Violation | undefined> {
  let seed = options.seed
  const end = options.seed + options.runs
  while (seed < end) {
    let caught: Violation | undefined
    await run(
      options,
      mutant,
      end - seed,
      (report) => {
        const [first] = report.violations
        if (first !== undefined && (caught === undefined || first.seed < caught.seed)) caught = first
        return caught === undefined
      },
      seed,
    )
    if (caught === undefined || (await passes({ ...options, faults: faultsOf(options, mutant) }, caught.seed)))
      return caught
    seed = caught.seed + 1
  }
  return undefined
}

async function passes(options: CliOptions, seed: number): Promise<boolean> {
  let broken = 0
  await run(
    options,
    undefined,
    1,
    (report) => {
      broken = report.violations.length
      return true
    },
    seed,
  )
  return broken === 0
}
