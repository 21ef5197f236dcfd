/** The command line of the simulator. */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import type { ExploreOptions } from '../explorer/explore.js'
import { faultKinds } from '../explorer/scenario.js'
import { type Fault, faultNames, usualFaults } from '../machines/plan.js'
import { type NodeFaultName, nodeFaultNames } from '../nodes/draw.js'
import type { GrowthOptions } from './grow.js'

export interface CliOptions {
  readonly level: 'machines' | 'nodes'
  readonly seed: number
  readonly runs: number
  readonly nodes: readonly [number, number]
  /** Of the level of machines; undefined where not given. */
  readonly faults: readonly Fault[] | undefined
  /** Of the level of nodes. */
  readonly nodeFaults: readonly NodeFaultName[]
  readonly jobs: number
  readonly json: boolean
  /** Show in the middle of what each fault struck; a pair that never was is a failure. */
  readonly phases: boolean
  readonly trace: boolean
  readonly freeze: boolean
  readonly mutant: string | undefined
  readonly mutants: boolean
  readonly html: string | undefined
  /** Search a tiny world instead. */
  readonly explore: ExploreOptions | undefined
  /** Start so many nodes at once instead. */
  readonly growth: GrowthOptions | undefined
  readonly help: boolean
}

export const usage: string = `npm run sim -- [options]

  --level L         machines (default): the protocol alone; nodes: all of a node, its actors too
  --runs N          runs, one a seed (default 1000; --mutants: at most, for each, 20000)
  --seed S          of the first run; the others count up from it (default 1)
  --nodes A-B       fewest and most nodes of a run (default 2-20; --mutants: 2-9; level nodes: 2-7)
  --faults LIST     of ${faultNames.join(', ')},
                    or all (but policies), or none (default joins,leaves);
                    level nodes: of ${nodeFaultNames.join(', ')} (default all)
  --jobs J          processes (default: one a core, for at least 200 runs each)
  --phases          also the matrix of faults and of what they struck in the middle of; exit code 1 where one is 0
  --trace           print every event of the runs (level nodes: every line of the logs)
  --html FILE       make a page that shows the run, to be opened in a browser; of one run
  --freeze          freeze every frame, so that a machine that writes into one is caught
  --mutant NAME     remove one rule of the protocol
  --mutants         remove each rule in turn: which seed catches it, by which invariant
  --json            one JSON object instead of text

npm run sim -- --explore [options]: all interleavings of a tiny world (docs/exploration.md)

  --nodes N         2 or 3 (default 3)
  --fault KIND      none, crash, cut or leave (default none)
  --delays K        most delays of a schedule (default 1; without a fault 2)
  --depth D         actions within which a schedule may depart from the ordinary one (default 400)
  --states S        give up after so many different worlds (default 5000000)
  --mutant, --json  as above

npm run sim -- --grow N,N,... [options]: N nodes start at once and form one cluster (docs/growth.md)

  --svg FILE        draw the plot
  --page FILE       write the tables between the marks of this page
  --seed, --json    as above

Exit code: 0, 1 when a rule was broken (or a mutant not caught), 2 for wrong options.`

/** Nodes of one world; more is for another tool. */
const MAX_NODES = 300

/** Members of a cluster by the default limits. */
const MAX_GROWN = 1024

/** Fewer runs than this are not worth a process of their own. */
const RUNS_A_JOB = 200

/** Throws an Error whose message lists every fault of the arguments. */
export function parseOptions(args: readonly string[]): CliOptions {
  const { values } = parseArgs({
    args: [...args],
    strict: true,
    allowPositionals: false,
    options: {
      level: { type: 'string', default: 'machines' },
      runs: { type: 'string' },
      seed: { type: 'string' },
      nodes: { type: 'string' },
      faults: { type: 'string' },
      jobs: { type: 'string' },
      json: { type: 'boolean', default: false },
      phases: { type: 'boolean', default: false },
      trace: { type: 'boolean', default: false },
      freeze: { type: 'boolean', default: false },
      mutant: { type: 'string' },
      mutants: { type: 'boolean', default: false },
      html: { type: 'string' },
      explore: { type: 'boolean', default: false },
      fault: { type: 'string' },
      delays: { type: 'string' },
      depth: { type: 'string' },
      states: { type: 'string' },
      grow: { type: 'string' },
      svg: { type: 'string' },
      page: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  const faulty: string[] = []
  const whole = (name: string, text: string | undefined, otherwise: number, least: number, most: number): number => {
    if (text === undefined) return otherwise
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= least && value <= most) return value
    faulty.push(`--${name} must be a whole number from ${least} to ${most}, not '${text}'`)
    return otherwise
  }
  const usual = values.mutants ? 20_000 : values.html === undefined ? 1000 : 1
  const runs = whole('runs', values.runs, usual, 1, 100_000_000)
  const fitting = values.trace ? 1 : Math.max(1, Math.min(availableParallelism(), Math.floor(runs / RUNS_A_JOB)))
  if (values.level !== 'machines' && values.level !== 'nodes') {
    faulty.push(`--level must be machines or nodes, not '${values.level}'`)
  }
  const level = values.level === 'nodes' ? 'nodes' : 'machines'
  const isNodes = level === 'nodes'
  // Rules that are broken show more often among few nodes.
  const usualNodes = isNodes ? '2-7' : values.mutants ? '2-9' : '2-20'
  const kind = values.fault ?? 'none'
  const fault = faultKinds.find((one) => one === kind)
  if (fault === undefined) faulty.push(`--fault must be one of ${faultKinds.join(', ')}, not '${kind}'`)
  const explore: ExploreOptions | undefined = values.explore
    ? {
        nodes: whole('nodes', values.nodes, 3, 2, 3) === 2 ? 2 : 3,
        fault: fault ?? 'none',
        delays: whole('delays', values.delays, fault === 'none' ? 2 : 1, 0, 100),
        depth: whole('depth', values.depth, 400, 0, 4000),
        maxStates: whole('states', values.states, 5_000_000, 1, 100_000_000),
      }
    : undefined
  const seed = whole('seed', values.seed, 1, 0, 4_000_000_000)
  const { json, svg, page } = values
  const sizes = values.grow?.split(',').map((size) => whole('grow', size, 1, 1, MAX_GROWN))
  if (sizes === undefined && (svg ?? page) !== undefined) faulty.push('--svg and --page: only with --grow')
  const options: CliOptions = {
    level,
    runs,
    seed,
    jobs: whole('jobs', values.jobs, fitting, 1, 256),
    nodes: parseNodes((values.explore ? undefined : values.nodes) ?? usualNodes, faulty),
    faults:
      isNodes || values.faults === undefined ? undefined : parseFaults(values.faults, faultNames, usualFaults, faulty),
    nodeFaults: isNodes ? parseFaults(values.faults ?? 'all', nodeFaultNames, nodeFaultNames, faulty) : [],
    json,
    phases: values.phases,
    trace: values.trace,
    freeze: values.freeze,
    mutant: values.mutant,
    mutants: values.mutants,
    html: values.html,
    explore,
    growth: sizes && { sizes, seed, json, svg, page },
    help: values.help,
  }
  if (options.trace && options.json) faulty.push('--trace prints lines, --json one object: choose one')
  if (options.html !== undefined && runs > 1) faulty.push(`--html shows one run, not ${runs}: leave --runs out`)
  if (options.html !== undefined && options.mutants) faulty.push('--html shows one run: choose a --mutant NAME')
  const tiny = (['fault', 'delays', 'depth', 'states'] as const).filter((name) => values[name] !== undefined)
  if (!values.explore && tiny.length > 0) faulty.push(`--${tiny.join(' and --')}: only with --explore`)
  if (options.phases && (isNodes || options.mutants)) faulty.push('--phases: only with runs of the level machines')
  if (options.mutants && options.mutant !== undefined) faulty.push('--mutants already tries every --mutant')
  if (isNodes && (options.mutants || options.mutant !== undefined || options.freeze || options.html !== undefined)) {
    faulty.push('--mutant, --mutants, --freeze and --html are of the level machines')
  }
  if (faulty.length > 0) throw new Error(faulty.join('\n'))
  return options
}

function parseNodes(text: string, faulty: string[]): [number, number] {
  const match = /^(\d+)(?:-(\d+))?$/.exec(text)
  const least = Number(match?.[1])
  const most = Number(match?.[2] ?? match?.[1])
  if (match !== null && least >= 1 && least <= most && most <= MAX_NODES) return [least, most]
  faulty.push(`--nodes must be A-B with 1 <= A <= B <= ${MAX_NODES}, not '${text}'`)
  return [2, 20]
}

function parseFaults<F extends string>(text: string, names: readonly F[], all: readonly F[], faulty: string[]): F[] {
  const words = text === '' || text === 'none' ? [] : text.split(',')
  const faults = names.filter((name) => words.includes(name) || (words.includes('all') && all.includes(name)))
  const other = words.filter((word) => word !== 'all' && !names.some((name) => name === word))
  if (other.length > 0) faulty.push(`--faults: there is no '${other.join("', '")}', only ${names.join(', ')}`)
  return faults
}
