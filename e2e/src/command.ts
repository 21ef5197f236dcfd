/** Reads the command line: which scenario, with which options. What is wrong with it is said in one line. */

import { parseArgs } from 'node:util'
import type { Policy } from './partition.js'
import { type Options, type Scenario, scenarios } from './scenarios.js'

/** A command that was not understood. */
export class Misunderstood extends Error {}

export interface Command {
  readonly name: string
  readonly scenario: Scenario
  readonly options: Options
  readonly json: boolean
}

/** How each option is read from its text; throws Misunderstood. */
const readers: { readonly [K in keyof Options]: (text: string) => Options[K] } = {
  nodes: (text) => whole('nodes', text, 1, 50),
  times: (text) => whole('times', text, 1, 1000),
  seconds: (text) => text.split(',').map((part) => whole('seconds', part, 1, 600)),
  minutes: (text) => whole('minutes', text, 1, 24 * 60),
  seed: (text) => whole('seed', text, 1, 2 ** 31),
  datagrams: (text) => whole('datagrams', text, 1000, 100_000_000),
  discovery: (text) => {
    if (text === 'local' || text === 'static') return text
    throw new Misunderstood(`--discovery takes local or static, not '${text}'`)
  },
  split,
  policy,
}

const optionNames = Object.keys(readers) as (keyof Options)[]

export function readCommand(args: readonly string[]): Command {
  const { values, positionals } = parse(args)
  const [name, ...more] = positionals
  const known = Object.keys(scenarios).join(', ')
  if (name === undefined) throw new Misunderstood(`name a scenario: ${known}`)
  const scenario = Object.hasOwn(scenarios, name) ? scenarios[name] : undefined
  if (scenario === undefined) throw new Misunderstood(`there is no scenario '${name}'; there are ${known}`)
  if (more.length > 0) throw new Misunderstood(`one scenario at a time, not also '${more.join(' ')}'`)
  const given = optionNames.flatMap((key) => {
    const text = values[key]
    if (typeof text !== 'string') return []
    if (!(key in scenario.defaults)) throw new Misunderstood(`${name} takes no --${key}`)
    return [[key, readers[key](text)] as const]
  })
  const options: Options = { ...fallbacks(), ...scenario.defaults, ...Object.fromEntries(given) }
  if (options.seconds.length > 1 && scenario.manySeconds !== true)
    throw new Misunderstood(`${name} takes one length of --seconds, not ${options.seconds.join(',')}`)
  // A seed that nobody gave is drawn; it is printed, so that the run can be made again.
  const seed = options.seed === 0 ? 1 + Math.floor(Math.random() * 2 ** 31) : options.seed
  return { name, scenario, options: { ...options, seed }, json: values.json === true }
}

/** For scenarios that do not look at them. */
function fallbacks(): Options {
  return {
    nodes: 3,
    times: 1,
    seconds: [10],
    minutes: 1,
    seed: 0,
    datagrams: 1000,
    discovery: 'local',
    split: [2, 1],
    policy: 'serve',
  }
}

function parse(args: readonly string[]): {
  values: { readonly [option: string]: unknown }
  positionals: readonly string[]
} {
  const text = Object.fromEntries(optionNames.map((name) => [name, { type: 'string' as const }]))
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { ...text, json: { type: 'boolean' as const, default: false } },
    })
  } catch (error) {
    throw new Misunderstood((error as Error).message)
  }
}

function whole(name: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isInteger(value) || value < least || value > most)
    throw new Misunderstood(`--${name} takes a whole number from ${least} to ${most}, not '${text}'`)
  return value
}

/** `3|2`: in a shell the bar wants quotes, so a comma does as well. */
function split(text: string): number[] {
  const parts = text.split(/[|,]/).map((part) => whole('split', part, 1, 10))
  if (parts.length < 2) throw new Misunderstood(`--split takes the sizes of the parts, such as 2,1, not '${text}'`)
  return parts
}

function policy(text: string): Policy {
  if (text === 'serve' || text === 'majority' || text === 'keep-oldest') return text
  const quorum = /^quorum[:=](\d{1,3})$/.exec(text)?.[1]
  if (quorum !== undefined) return { quorum: whole('policy', quorum, 1, 100) }
  throw new Misunderstood(`--policy takes serve, majority, quorum:N or keep-oldest, not '${text}'`)
}
