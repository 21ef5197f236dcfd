/**
 * Contestants that take turns: in each round every one has its slices, which alternate with those of the others, each
 * time in the opposite order: so what else the machine does hits all of them. What the processor did for a slice is that
 * of all processes that take part in it.
 */
import { median, ratios, type Spread, spread } from './measure.js'
import { judged, type Measure, type Target } from './report.js'
import type { Slice } from './slice.js'

/** A process that says how much of the processor it has used, in microseconds. */
export interface Worked {
  ask(step: 'cpu'): Promise<number>
}

export interface Contestant {
  readonly name: string
  /** Caller, called and whoever else works for it. */
  readonly processes: readonly Worked[]
  /** With `cpuUs` where it looked itself, since not all that it did is to count. */
  slice(number: number): Promise<Slice & { readonly cpuUs?: number }>
}

export interface Turn extends Slice {
  readonly cpuUs: number
}

/** The turns of one, in the order of the rounds. */
export interface Result {
  readonly name: string
  readonly turns: readonly Turn[]
}

/**
 * So many rounds of so many slices for each. One more round goes before, which is looked at for wrong answers alone.
 */
export async function contest(
  contestants: readonly Contestant[],
  { rounds, slices }: { readonly rounds: number; readonly slices: number },
): Promise<{ readonly results: readonly Result[]; readonly wrong: readonly string[] }> {
  const results = contestants.map(({ name }) => ({ name, turns: [] as Turn[] }))
  const wrong: string[] = []
  for (let round = 0; round <= rounds; round++) {
    const parts = contestants.map(() => [] as Turn[])
    for (let slice = 0; slice < slices; slice++) {
      const order = contestants.map((_, i) => i)
      if ((round + slice) % 2 === 1) order.reverse()
      for (const i of order) parts[i]?.push(await oneTurn(contestants[i] as Contestant, round * slices + slice))
    }
    for (const [i, { name, turns }] of results.entries()) {
      const turn = together(parts[i] ?? [])
      if (turn.wrong > 0) wrong.push(`${name}: ${turn.wrong} of ${turn.ops}, ${turn.fault}`)
      if (turn.ops === 0) wrong.push(`${name}: nothing was done in round ${round}`)
      if (round > 0) turns.push(turn)
    }
  }
  return { results, wrong }
}

/** Slices of one round as one; of their quantiles the one in the middle. */
export function together(parts: readonly Turn[]): Turn {
  const sum = (of: (turn: Turn) => number): number => parts.reduce((all, part) => all + of(part), 0)
  return {
    ops: sum(({ ops }) => ops),
    ms: sum(({ ms }) => ms),
    wrong: sum((part) => part.wrong),
    fault: parts.find(({ fault }) => fault !== undefined)?.fault,
    cpuUs: sum((part) => part.cpuUs),
    p50Us: median(parts.map(({ p50Us }) => p50Us)),
    p99Us: median(parts.map(({ p99Us }) => p99Us)),
  }
}

async function oneTurn({ processes, slice }: Contestant, number: number): Promise<Turn> {
  const before = await cpuOf(processes)
  const done = await slice(number)
  return { ...done, cpuUs: done.cpuUs ?? (await cpuOf(processes)) - before }
}

/** Microseconds of processor that they have used together. */
export async function cpuOf(processes: readonly Worked[]): Promise<number> {
  const each = await Promise.all(processes.map((one) => one.ask('cpu')))
  return each.reduce((sum, us) => sum + us, 0)
}

export const rateOf = ({ ops, ms }: Turn): number => (ops * 1000) / ms
export const p50Of = ({ p50Us }: Turn): number => p50Us

export interface Compared {
  readonly name: string
  readonly unit: 'op/s' | 'us'
  readonly target?: Target
}

/** What the turns of one come to beside those of its yardstick, of the same rounds. */
export function measured({ name, unit, target }: Compared, subject: Result, yardstick?: Result): Measure {
  const of = unit === 'op/s' ? rateOf : p50Of
  const values = subject.turns.map(of)
  const value = spread(values)
  const cpuUsPerOp = spread(subject.turns.map(cpuPerOp)).median
  if (yardstick === undefined) return { name, unit, value, cpuUsPerOp, ...judged(value.median, target) }
  const theirs = yardstick.turns.map(of)
  const ratio = ratios(values, theirs)
  return {
    name,
    unit,
    value,
    cpuUsPerOp,
    yardstick: {
      name: yardstick.name,
      value: spread(theirs),
      cpuUsPerOp: spread(yardstick.turns.map(cpuPerOp)).median,
      ratio,
      cpuRatio: ratios(subject.turns.map(cpuPerOp), yardstick.turns.map(cpuPerOp)),
    },
    ...judged(target?.of === 'value' ? value.median : ratio.median, target),
  }
}

const cpuPerOp = ({ cpuUs, ops }: Turn): number => cpuUs / ops

/** The result of that name; throws where there is none. */
export function resultOf(results: readonly Result[], name: string): Result {
  const found = results.find((result) => result.name === name)
  if (found === undefined) throw new TypeError(`nobody is called '${name}'`)
  return found
}

export function spreadOf(result: Result, of: (turn: Turn) => number): Spread {
  return spread(result.turns.map(of))
}
