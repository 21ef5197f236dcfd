/**
 * `npm run bench -- [NAME] [--json]`: measurements beside a yardstick in the same run; all of them without a name.
 */
import { parseArgs } from 'node:util'
import type { Ratio } from './measure.js'
import { type RingReport, ringReport } from './ring.js'

const names = ['ring']

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false } },
})
const unknown = positionals.filter((name) => !names.includes(name))
if (unknown.length > 0) {
  console.error(`bench: there is no ${unknown.join(', ')}; there are: ${names.join(', ')}`)
  process.exitCode = 1
} else {
  const report = ringReport()
  if (values.json) console.log(JSON.stringify({ ring: report }))
  else for (const line of tellRing(report)) console.log(line)
}

function tellRing(report: RingReport): string[] {
  return [
    `ring   owner look-ups  ${million(report.lookups.subject)}, hashring bare ${million(report.lookups.yardstick)}: ${times(report.lookups)}`,
    `ring   a new table     ${report.rebuildMs.toFixed(2)} ms, 20 nodes of which one is new`,
    `ring   a node joins    ${report.moves.toFixed(2)} x its fair share of slots moves`,
    `ring   busiest node    ${report.busiest.toFixed(2)} x the mean`,
  ]
}

function million(rate: number): string {
  return `${(rate / 1e6).toFixed(1)} M/s`
}

function times(ratio: Ratio): string {
  return `${ratio.median.toFixed(1)} x (${ratio.lowest.toFixed(1)} to ${ratio.highest.toFixed(1)})`
}
