/**
 * What is shown of measured growths: tables in Markdown, between the marks of docs/growth.md, and the plot. The power of
 * N by which a value grows is that between the two largest sizes; with it the value of a larger cluster is estimated.
 */
import type { MeasuredGrowth } from './grower.js'
import { plot, type Series } from './plot.js'

const BEGIN = '<!-- begin: npm run sim -- --grow -->'
const END = '<!-- end: npm run sim -- --grow -->'

/** Types of frames that get a row of their own; the others are added up. */
const ROWS = 8

/** What is estimated. */
const ESTIMATED_NODES = 1000

type Value = (one: MeasuredGrowth) => number

export function tables(growths: readonly MeasuredGrowth[]): string {
  const steady = (name: string, value: Value): string[] => [name, ...growths.map((one) => figure(value(one))), '', '']
  const growing = (name: string, value: Value): string[] => [
    name,
    ...growths.map((one) => figure(value(one))),
    ...growthOf(growths, value),
  ]
  const whole = table(headOf(growths, 'of one start'), [
    steady('one view on all nodes, virtual ms', (one) => one.viewMs),
    steady('all ready, virtual ms', (one) => one.readyMs),
    steady('at rest, virtual ms', (one) => one.restMs),
    steady('views a node', (one) => one.views / one.nodes),
    growing('frames a node', (one) => one.frames / one.nodes),
    growing('bytes a node', (one) => one.bytes / one.nodes),
    growing('heap of the process at rest, MB', (one) => one.restHeapMb),
    growing('its peak, garbage included, MB', (one) => one.peakHeapMb),
    growing('peak resident set, MB', (one) => one.peakRssMb),
    growing('processor seconds', (one) => one.cpuSeconds),
    steady('wall seconds', (one) => one.wallSeconds),
    steady('steps a processor second', (one) => one.stepsPerSecond),
  ])
  const types = [...new Set(growths.toReversed().flatMap(({ byType }) => Object.keys(byType)))]
  const traffic = (name: string, of: readonly string[]): string[][] =>
    (['frames', 'bytes'] as const).map((unit) => {
      const sum: Value = (one) => of.reduce((all, type) => all + (one.byType[type]?.[unit] ?? 0), 0) / one.nodes
      return growing(`${name}, ${unit}`, sum)
    })
  const byType = table(headOf(growths, 'sent a node'), [
    ...types.slice(0, ROWS).flatMap((type) => traffic(`\`${type}\``, [type])),
    ...traffic('others', types.slice(ROWS)),
  ])
  return [whole, byType, ...formulae(growths)].join('\n\n')
}

/** All frames and bytes as the sum of what goes over each link and what names each member on each link. */
function formulae(growths: readonly MeasuredGrowth[]): string[] {
  const [before, last] = growths.slice(-2)
  if (before === undefined || last === undefined || before.nodes === last.nodes) return []
  const fit = (name: string, value: Value): string => {
    const [y, z] = [value(before) / before.nodes ** 2, value(last) / last.nodes ** 2]
    const cubic = (z - y) / (last.nodes - before.nodes)
    const square = y - cubic * before.nodes
    return `- ${name} = ${square.toPrecision(3)} N^2 + ${cubic.toPrecision(3)} N^3`
  }
  return [
    `Through ${before.nodes} and ${last.nodes} nodes go, of one start in all:`,
    [
      fit('frames', (one) => one.frames),
      fit('bytes', (one) => one.bytes),
      fit('bytes of heap at rest', (one) => one.restHeapMb * 1024 * 1024),
      fit('processor seconds', (one) => one.cpuSeconds),
    ].join('\n'),
  ]
}

function headOf(growths: readonly MeasuredGrowth[], of: string): string[] {
  return [of, ...growths.map(({ nodes }) => `${nodes} nodes`), 'grows as', `${ESTIMATED_NODES} nodes, estimated`]
}

/** The power of N, and the estimate; nothing where a value is 0 or there is one size only. */
function growthOf(growths: readonly MeasuredGrowth[], value: Value): [string, string] {
  const [before, last] = growths.slice(-2)
  if (before === undefined || last === undefined || value(before) <= 0 || value(last) <= 0) return ['', '']
  const power = Math.log(value(last) / value(before)) / Math.log(last.nodes / before.nodes)
  return [`N^${power.toFixed(1)}`, figure(value(last) * (ESTIMATED_NODES / last.nodes) ** power)]
}

/** The page with the tables in the place of those that stand between the marks. Throws where there are no marks. */
export function rewritten(page: string, growths: readonly MeasuredGrowth[]): string {
  const begin = page.indexOf(BEGIN)
  const end = page.indexOf(END)
  if (begin < 0 || end < begin) throw new Error(`no '${BEGIN}' followed by '${END}' in the page`)
  return `${page.slice(0, begin + BEGIN.length)}\n\n${tables(growths)}\n\n${page.slice(end)}`
}

export function plotted(growths: readonly MeasuredGrowth[]): string {
  const series = (name: string, value: Value): Series => ({
    name,
    points: growths.map((one) => [one.nodes, Math.max(value(one), 0.1)] as const),
  })
  return plot('What N nodes need that start at once', 'nodes', [
    series('frames a node', (one) => one.frames / one.nodes),
    series('KB sent a node', (one) => one.bytes / one.nodes / 1024),
    series('MB of heap at rest', (one) => one.restHeapMb),
    series('ms to one view', (one) => one.viewMs),
    series('ms to ready', (one) => one.readyMs),
    series('processor seconds', (one) => one.cpuSeconds),
  ])
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n')
}

/** Three digits, and thousands set apart. */
function figure(value: number): string {
  if (value >= 100) return Math.round(Number(value.toPrecision(3))).toLocaleString('en')
  return String(Number(value.toPrecision(3)))
}
