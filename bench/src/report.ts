/**
 * What a row of the table reports: measures, each with the figure of its yardstick in the same rounds and with the
 * target, and how it is told to people. A missed target is told and is no fault; a wrong answer is one.
 */
import { type Spread, spread } from './measure.js'

export interface Yardstick {
  readonly name: string
  readonly value: Spread
  readonly cpuUsPerOp?: number | undefined
  /** The measured value divided by the yardstick's, round by round. */
  readonly ratio: Spread
  /** The same of the processor's time per operation: on a busy machine it says more than the rates. */
  readonly cpuRatio?: Spread
}

export interface Target {
  /** Whether the value or the ratio to the yardstick is bound. */
  readonly of: 'value' | 'ratio'
  readonly bound: 'at least' | 'at most'
  readonly limit: number
}

export type Unit = 'op/s' | 'us' | 'ms' | 'x' | 'B' | 'MiB' | 'names' | 'calls' | 'frames'

export interface Measure {
  readonly name: string
  readonly unit: Unit
  readonly value: Spread
  /** Microseconds of processor of all processes that do the work, caller and called, per operation. */
  readonly cpuUsPerOp?: number | undefined
  readonly yardstick?: Yardstick | undefined
  /** Met by the median; where `of` is `ratio` by that of the ratio. */
  readonly target?: (Target & { readonly met: boolean }) | undefined
}

/** A line of a plot, both axes above 0. */
export interface Line {
  readonly name: string
  readonly points: readonly (readonly [number, number])[]
}

export interface Plot {
  /** Its file, without the ending. */
  readonly file: string
  readonly title: string
  readonly x: string
  readonly lines: readonly Line[]
}

export interface RowReport {
  /** In a sentence, what was done. */
  readonly what: string
  readonly measures: readonly Measure[]
  readonly plots?: readonly Plot[]
  /** Answers that were not right, a sentence each: the row says nothing then. */
  readonly wrong: readonly string[]
  readonly seconds?: number
}

/** All of one run, as `--json` tells it. */
export interface Run {
  readonly machine: {
    /** Its version. */
    readonly node: string
    readonly cpu: string
    readonly cores: number
    /** Load averages of a minute. */
    readonly load: { readonly begun: number; readonly ended: number }
  }
  readonly rounds: number
  readonly quick: boolean
  readonly million: boolean
  readonly rows: Readonly<Record<string, RowReport>>
}

/** The value alone, with or without a target. */
export function alone(name: string, unit: Unit, values: readonly number[], target?: Omit<Target, 'of'>): Measure {
  const value = spread(values)
  return { name, unit, value, ...judged(value.median, target === undefined ? undefined : { of: 'value', ...target }) }
}

/** Of what was looked at once, or is a median already. */
export function flat(value: number): Spread {
  return { median: value, lowest: value, highest: value }
}

/** The `target` as a field of a measure, with whether the figure meets it. */
export function judged(figure: number, target: Target | undefined): Pick<Measure, 'target'> {
  if (target === undefined) return {}
  const met = target.bound === 'at least' ? figure >= target.limit : figure <= target.limit
  return { target: { ...target, met } }
}

/** A line for each measure. */
export function tell(row: string, { measures, wrong }: RowReport): string[] {
  const width = Math.max(...measures.map(({ name }) => name.length), 0)
  return [
    ...measures.map((measure) => `${row.padEnd(10)} ${measure.name.padEnd(width)}  ${inWords(measure)}`),
    ...wrong.map((text) => `${row.padEnd(10)} WRONG: ${text}`),
  ]
}

function inWords({ unit, value, cpuUsPerOp, yardstick, target }: Measure): string {
  const cpu = (us: number | undefined): string => (us === undefined ? '' : ` (${shown(us, 'us')} of processor)`)
  const parts = [`${shownSpread(value, unit)}${cpu(cpuUsPerOp)}`]
  if (yardstick !== undefined) {
    const { name, ratio, cpuRatio } = yardstick
    parts.push(`${name} ${shown(yardstick.value.median, unit)}${cpu(yardstick.cpuUsPerOp)}`)
    parts.push(shownSpread(ratio, 'x'))
    if (cpuRatio !== undefined) parts.push(`${shown(cpuRatio.median, 'x')} the processor`)
  }
  if (target !== undefined) parts.push(targetInWords(target, unit))
  return parts.join(', ')
}

export function targetInWords({ of, bound, limit, met }: Target & { readonly met: boolean }, unit: Unit): string {
  const text = `target ${bound} ${of === 'ratio' ? `${limit} x` : shown(limit, unit)}`
  return met ? `${text}: met` : `${text}: MISSED`
}

export function shown(value: number, unit: Unit): string {
  // As the ratio to a yardstick that had nothing to show; in a JSON that was kept such a number is null.
  if (!Number.isFinite(value)) return 'none'
  if (unit === 'x') return `${figure(value)} x`
  if (unit !== 'op/s' && unit !== 'names' && unit !== 'calls' && unit !== 'frames') return `${figure(value)} ${unit}`
  const of = unit === 'op/s' ? '/s' : ` ${unit}`
  if (value >= 1e6) return `${figure(value / 1e6)} M${of}`
  return value >= 10_000 ? `${figure(value / 1000)} k${of}` : `${figure(value)}${of}`
}

/** The median, and the range where there is one. */
export function shownSpread({ median, lowest, highest }: Spread, unit: Unit): string {
  const range =
    lowest === highest || !Number.isFinite(median) ? '' : ` (${shown(lowest, unit)} to ${shown(highest, unit)})`
  return `${shown(median, unit)}${range}`
}

/** Three digits. */
function figure(value: number): string {
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)))
}
