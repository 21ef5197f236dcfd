/**
 * `npm run bench -- [NAME] [--json]`: measurements beside a yardstick in the same run; all of them without a name.
 * `memory` takes `--actors N` (default 1,000,000).
 */
import { parseArgs } from 'node:util'
import type { Ratio } from './measure.js'
import type { MemoryReport, Population } from './memory.js'
import { memoryReport } from './memory.js'
import { type RingReport, ringReport } from './ring.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false }, actors: { type: 'string', default: '1000000' } },
})

const benches: Readonly<Record<string, () => { readonly report: unknown; readonly told: readonly string[] }>> = {
  ring: () => {
    const report = ringReport()
    return { report, told: tellRing(report) }
  },
  memory: () => {
    const report = memoryReport(Number(values.actors))
    return { report, told: tellMemory(report) }
  },
}

const fault = faultOf()
if (fault !== undefined) {
  console.error(`bench: ${fault}`)
  process.exitCode = 1
} else {
  const reports: Record<string, unknown> = {}
  for (const name of positionals.length > 0 ? positionals : Object.keys(benches)) {
    const { report, told } = benches[name]?.() ?? { report: undefined, told: [] }
    reports[name] = report
    if (!values.json) for (const line of told) console.log(line)
  }
  if (values.json) console.log(JSON.stringify(reports))
}

function faultOf(): string | undefined {
  const unknown = positionals.filter((name) => !Object.hasOwn(benches, name))
  if (unknown.length > 0) return `there is no ${unknown.join(', ')}; there are: ${Object.keys(benches).join(', ')}`
  const actors = Number(values.actors)
  return Number.isInteger(actors) && actors > 0 ? undefined : '--actors must be a whole number above 0'
}

function tellRing(report: RingReport): string[] {
  return [
    `ring   owner look-ups  ${million(report.lookups.subject)}, hashring bare ${million(report.lookups.yardstick)}: ${times(report.lookups)}`,
    `ring   a new table     ${report.rebuildMs.toFixed(2)} ms, 20 nodes of which one is new`,
    `ring   a node joins    ${report.moves.toFixed(2)} x its fair share of slots moves`,
    `ring   busiest node    ${report.busiest.toFixed(2)} x the mean`,
  ]
}

function tellMemory({ actors, heapLimitBytes, anonymous, named }: MemoryReport): string[] {
  const tell = (what: string, { bytesPerActor, yardstick, residentBytes, startMs, called, callMs }: Population) => [
    `memory ${what}  ${Math.round(bytesPerActor)} bytes each, bare objects ${Math.round(yardstick)}: ${(bytesPerActor / yardstick).toFixed(1)} x; ${mega(residentBytes)} resident`,
    `memory ${what}  started in ${(startMs / 1000).toFixed(1)} s (${Math.round((actors * 1000) / startMs)}/s); ${called} random ones answered rightly in ${Math.round(callMs)} ms`,
  ]
  return [
    `memory ${actors} idle actors on one node; Node's own limit of the heap is ${mega(heapLimitBytes)}`,
    ...tell('anonymous', anonymous),
    ...tell('named    ', named),
  ]
}

function mega(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`
}

function million(rate: number): string {
  return `${(rate / 1e6).toFixed(1)} M/s`
}

function times(ratio: Ratio): string {
  return `${ratio.median.toFixed(1)} x (${ratio.lowest.toFixed(1)} to ${ratio.highest.toFixed(1)})`
}
