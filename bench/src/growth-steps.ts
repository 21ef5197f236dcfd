/**
 * What one operation costs as names and nodes grow, with the machines that production runs, all in one process
 * (`machines.ts`): time of the processor of all nodes together, and frames and bytes, which are the same at each run.
 */
import type { TrackerState } from '@skep/tracker/core'
import { Machines } from './machines.js'
import { flat, judged, type Measure, type Plot } from './report.js'
import { cpuUs } from './slice.js'
import { Collections } from './turns.js'

/** Of one operation; of all nodes together. */
export interface Cost {
  readonly us: number
  readonly frames: number
  readonly bytes: number
  /** The longest single step among them, without collections. */
  readonly stepMs: number
}

const operations = {
  register: 'a registration',
  unregister: 'a removal',
  second: 'a second at rest',
  view: 'an empty node that goes, and the taking of its slots',
  join: 'an empty node that joins, with all names',
  loss: 'one of the nodes that goes, with its share of the names',
} as const

type Operation = keyof typeof operations

const operationNames = Object.keys(operations) as Operation[]

/** What a whole cluster costs; told for each operation. */
export type Costs = Readonly<Record<Operation, Cost>>

/** Registrations on their way at once. */
const CALLERS = 64
const SECONDS = 20
/** Only steps of so many milliseconds are looked at: to look costs a microsecond. */
export const LEAST_STEP_MS = 1
/** Steps between two looks at the time of the processor. */
const LOOK = 32

/** Costs with so many nodes, that hold so many names together. */
export async function costsOf(nodes: number, names: number, ops: number): Promise<Costs> {
  const all = new Machines(nodes)
  const begun = all.nodes[0] as TrackerState
  untilHeld(all)
  fill(all, names)
  // The compiler has seen it once before it is measured.
  registerAll(all, 'warm', ops)
  const register = await cost(all, ops, () => registerAll(all, 'new', ops))
  const unregister = await cost(all, ops, () => unregisterAll(all, 'new', ops))
  const second = await cost(all, SECONDS, () => {
    for (let i = 0; i < SECONDS; i++) all.tick(1000)
  })
  let joined: TrackerState | undefined
  const join = await cost(all, 1, () => {
    joined = all.join('joiner')
    untilHeld(all)
  })
  expect(joined?.registry.index.size === begun.registry.index.size, 'who joined does not see all names')
  const view = await cost(all, 1, () => {
    all.kill(joined as TrackerState)
    untilHeld(all)
  })
  const dying = all.nodes.at(-1) as TrackerState
  const lost = dying.registry.logs.get(dying.self)?.claims.size ?? 0
  const before = begun.registry.index.size
  const loss = await cost(all, 1, () => {
    all.kill(dying)
    untilHeld(all)
  })
  expect(begun.registry.index.size === before - lost, 'names of who is gone are seen still')
  return { register, unregister, second, view, join, loss }
}

function expect(right: boolean, text: string): void {
  if (!right) throw new Error(text)
}

/** All slots are held by their owners, and nothing is left to do. */
function untilHeld(all: Machines): void {
  const isDone = (node: TrackerState): boolean =>
    node.heldCount === node.ownedCount && node.registry.sweeping.size === 0 && node.replacements.size === 0
  for (let i = 0; !all.nodes.every(isDone); i++) {
    expect(i < 100, 'it does not come to rest')
    all.tick(100)
  }
}

function fill(all: Machines, names: number): void {
  for (let i = 0; i < names; i++) {
    all.register(all.nodes[i % all.nodes.length] as TrackerState, `held-${i}`, 'local')
    if (i % 1024 === 0) all.settle()
  }
  all.settle()
}

function registerAll(all: Machines, prefix: string, count: number): void {
  for (let i = 0; i < count; i++) {
    all.register(all.nodes[i % all.nodes.length] as TrackerState, `${prefix}-${i}`)
    if (i % CALLERS === 0) all.settle()
  }
  all.settle()
}

function unregisterAll(all: Machines, prefix: string, count: number): void {
  for (let i = 0; i < count; i++) {
    all.unregister(all.nodes[i % all.nodes.length] as TrackerState, `${prefix}-${i}`)
    if (i % CALLERS === 0) all.settle()
  }
  all.settle()
}

async function cost(all: Machines, ops: number, work: () => void): Promise<Cost> {
  const { frames, bytes } = all.traffic
  const long: { from: number; ms: number; cpuMs: number }[] = []
  let steps = 0
  let looked = cpuUs()
  all.onStep = (from) => {
    const ms = performance.now() - from
    if (ms < LEAST_STEP_MS && ++steps % LOOK !== 0) return
    const cpu = cpuUs()
    if (ms >= LEAST_STEP_MS) long.push({ from, ms, cpuMs: (cpu - looked) / 1000 })
    looked = cpu
  }
  const collections = new Collections()
  await collections.begin()
  const begun = cpuUs()
  work()
  const us = (cpuUs() - begun) / ops
  await collections.end()
  const stepMs = long.reduce((most, { from, ms, cpuMs }) => {
    const collected = collections.within(from, from + ms)
    return Math.max(most, Math.min(ms - collected.ms, cpuMs - collected.cpuMs))
  }, 0)
  return { us, frames: (all.traffic.frames - frames) / ops, bytes: (all.traffic.bytes - bytes) / ops, stepMs }
}

export interface Grown {
  readonly nodes: number
  readonly names: number
  readonly costs: Costs
}

export function costsByNames(title: string, { costs }: Grown): Measure[] {
  return operationNames.flatMap((name): Measure[] => {
    const { us, stepMs } = costs[name]
    return [
      { name: `${title}: ${operations[name]}`, unit: 'us', value: flat(us) },
      {
        name: `${title}: ${operations[name]}, longest step`,
        unit: 'ms',
        value: flat(stepMs),
        ...judged(stepMs, { of: 'value', bound: 'at most', limit: 20 }),
      },
    ]
  })
}

export function costsByNodes({ nodes, costs }: Grown): Measure[] {
  return operationNames.flatMap((name): Measure[] => {
    const { us, frames, bytes } = costs[name]
    const title = `${nodes} nodes: ${operations[name]}`
    return [
      { name: title, unit: 'us', value: flat(us) },
      { name: `${title}, frames`, unit: 'frames', value: flat(frames) },
      { name: `${title}, bytes`, unit: 'B', value: flat(bytes) },
    ]
  })
}

/** Cost as names grow, and as nodes do. */
export function stepPlots(byNames: readonly Grown[], byNodes: readonly Grown[]): Plot[] {
  const lines = (grown: readonly Grown[], x: (one: Grown) => number, y: (cost: Cost) => number): Plot['lines'] =>
    operationNames.map((name) => ({
      name: operations[name],
      points: grown.map((one) => [x(one), y(one.costs[name])] as const),
    }))
  const names = (one: Grown): number => one.names
  const nodes = (one: Grown): number => one.nodes
  return [
    {
      file: 'cost-names',
      title: 'Microseconds of processor of three nodes together',
      x: 'names',
      lines: lines(byNames, names, ({ us }) => us),
    },
    {
      file: 'step-names',
      title: 'Milliseconds of the longest step',
      x: 'names',
      lines: lines(byNames, names, ({ stepMs }) => stepMs),
    },
    {
      file: 'cost-nodes',
      title: 'Microseconds of processor of all nodes together',
      x: 'nodes',
      lines: lines(byNodes, nodes, ({ us }) => us),
    },
    { file: 'frames-nodes', title: 'Frames', x: 'nodes', lines: lines(byNodes, nodes, ({ frames }) => frames) },
    { file: 'bytes-nodes', title: 'Bytes', x: 'nodes', lines: lines(byNodes, nodes, ({ bytes }) => bytes) },
  ]
}
