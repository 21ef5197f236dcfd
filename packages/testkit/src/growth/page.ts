/** What is shown of measured growths: tables in Markdown, between the marks of docs/growth.md, and the plot. */
import type { MeasuredGrowth } from './grower.js'
import { plot } from './plot.js'

const BEGIN = '<!-- begin: npm run sim -- --grow -->'
const END = '<!-- end: npm run sim -- --grow -->'

/** Types of frames that get a row of their own; the others are added up. */
const ROWS = 8

export function tables(growths: readonly MeasuredGrowth[]): string {
  const columns = growths.map(({ nodes }) => `${nodes} nodes`)
  const row = (name: string, value: (one: MeasuredGrowth) => string): string[] => [name, ...growths.map(value)]
  const whole = table(
    ['', ...columns],
    [
      row('one view on all nodes, virtual ms', (one) => one.viewMs.toFixed(1)),
      row('all ready, virtual ms', (one) => one.readyMs.toFixed(1)),
      row('at rest, virtual ms', (one) => one.restMs.toFixed(0)),
      row('frames a node', (one) => figure(one.frames / one.nodes)),
      row('bytes a node', (one) => figure(one.bytes / one.nodes)),
      row('views a node', (one) => (one.views / one.nodes).toFixed(1)),
      row('heap at rest a node, KB', (one) => figure((one.restHeapMb * 1024) / one.nodes)),
      row('peak heap, MB', (one) => figure(one.peakHeapMb)),
      row('peak resident set, MB', (one) => figure(one.peakRssMb)),
      row('wall seconds', (one) => figure(one.wallSeconds)),
      row('processor seconds', (one) => figure(one.cpuSeconds)),
      row('steps a processor second', (one) => figure(one.stepsPerSecond)),
    ],
  )
  const types = [...new Set(growths.toReversed().flatMap(({ byType }) => Object.keys(byType)))]
  const [shown, rest] = [types.slice(0, ROWS), types.slice(ROWS)]
  const traffic = (one: MeasuredGrowth, of: readonly string[]): string => {
    const frames = of.reduce((sum, type) => sum + (one.byType[type]?.frames ?? 0), 0)
    const bytes = of.reduce((sum, type) => sum + (one.byType[type]?.bytes ?? 0), 0)
    return `${figure(frames / one.nodes)}, ${figure(bytes / one.nodes)} B`
  }
  const byType = table(
    ['frames and bytes a node', ...columns],
    [
      ...shown.map((type) => row(`\`${type}\``, (one) => traffic(one, [type]))),
      row('others', (one) => traffic(one, rest)),
    ],
  )
  return `${whole}\n\n${byType}`
}

/** The page with the tables in the place of those that stand between the marks. Throws where there are no marks. */
export function rewritten(page: string, growths: readonly MeasuredGrowth[]): string {
  const begin = page.indexOf(BEGIN)
  const end = page.indexOf(END)
  if (begin < 0 || end < begin) throw new Error(`no '${BEGIN}' followed by '${END}' in the page`)
  return `${page.slice(0, begin + BEGIN.length)}\n\n${tables(growths)}\n\n${page.slice(end)}`
}

export function plotted(growths: readonly MeasuredGrowth[]): string {
  const series = (name: string, value: (one: MeasuredGrowth) => number) => ({
    name,
    points: growths.map((one) => [one.nodes, Math.max(value(one), 0.1)] as const),
  })
  return plot('What N nodes need that start at once', 'nodes', [
    series('frames a node', (one) => one.frames / one.nodes),
    series('KB sent a node', (one) => one.bytes / one.nodes / 1024),
    series('KB of heap a node', (one) => (one.restHeapMb * 1024) / one.nodes),
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
