/**
 * Rows that are scenarios of `npm run e2e`: their modules run here as they run there, and what they saw is told as
 * measures. A check that fails is a wrong answer, except for those that bound a time or a pace: these are targets.
 */
import { coldstart } from '@skep/e2e/coldstart'
import { kill9 } from '@skep/e2e/kill9'
import { rolling } from '@skep/e2e/rolling'
import type { Report, Say } from '@skep/e2e/scenario'
import { stall } from '@skep/e2e/stall'
import type { Summary } from '@skep/e2e/statistics'
import type { Spread } from './measure.js'
import { flat, judged, type Measure, type Plot, type RowReport, type Target, type Unit } from './report.js'
import type { BenchOptions } from './row.js'

const silent: Say = () => {}

/** Long enough to be noticed by everybody. */
const STALL_S = 8

export async function failover({ quick }: BenchOptions): Promise<RowReport> {
  const killed = await kill9({ times: quick ? 2 : 50 }, silent)
  const stalled = await stall({ seconds: [STALL_S], times: quick ? 1 : 10 }, silent)
  const kills = summaryOf(killed, 'answeredMs')
  const stalls = summaryOf(stalled, 'answeredMs')
  return {
    what: 'The holder of a placed name is killed (SIGKILL), or stopped for 8 s (SIGSTOP), while a third node calls the name every 5 ms without retries: until the first answer of another process with a higher fence.',
    measures: [
      time(`SIGKILL, p50 of ${kills.count}`, kills, 'p50', 250),
      time(`SIGKILL, p99 of ${kills.count}`, kills, 'p99', 1000),
      time(`SIGSTOP, p50 of ${stalls.count}`, stalls, 'p50'),
      time(`SIGSTOP, p99 of ${stalls.count}`, stalls, 'p99', 6000),
    ],
    wrong: [killed, stalled].flatMap(wrongOf),
  }
}

export async function coldstarts({ quick, rounds }: BenchOptions): Promise<RowReport> {
  const measures: Measure[] = []
  const wrong: string[] = []
  const whole: [number, number][] = []
  const bare: [number, number][] = []
  for (const nodes of quick ? [3] : [3, 5, 10, 20]) {
    const report = await coldstart({ nodes, times: rounds, discovery: 'local' }, silent)
    const beyond = summaryOf(report, 'beyondBareMs')
    const all = summaryOf(report, 'allReadyMs')
    const alone = summaryOf(report, 'bareMs')
    wrong.push(...wrongOf(report))
    measures.push(value(`all of ${nodes} ready, p50 of ${all.count}`, 'ms', spreadOf(all, 'p50')))
    measures.push(value(`as many bare processes, ${nodes}`, 'ms', spreadOf(alone, 'p50')))
    measures.push(
      time(`beyond these, ${nodes}, p99 of ${beyond.count}`, beyond, 'p99', nodes === 10 ? 1500 : undefined),
    )
    whole.push([nodes, all.p50])
    bare.push([nodes, alone.p50])
  }
  const plot: Plot = {
    file: 'coldstart',
    title: 'Milliseconds until N processes are one cluster',
    x: 'processes that start at once',
    lines: [
      { name: 'nodes, all ready', points: whole },
      { name: 'bare processes', points: bare },
    ],
  }
  return {
    what: 'N processes start at once: until all are ready. Then, unmeasured, each must list N members, and a name registered on one must be read on all. Beside it what starting N processes takes that only import the same modules.',
    measures,
    plots: [plot],
    wrong,
  }
}

export async function handoff(): Promise<RowReport> {
  const report = await rolling(silent)
  const { calls, failed, lost, faults, perSecond } = report.figures as Readonly<Record<string, number>>
  const own = summaryOf(report, 'callMs')
  const drains = summaryOf(report, 'drainMs')
  const none = { of: 'value', bound: 'at most', limit: 0 } as const
  return {
    what: 'Once: five nodes with 300 placed counters are restarted one by one under calls from all of them and from a sixth that stays, without retries.',
    measures: [
      value('calls', 'calls', flat(calls ?? Number.NaN)),
      value('calls a second', 'op/s', flat(perSecond ?? Number.NaN), { of: 'value', bound: 'at least', limit: 800 }),
      value('failed calls', 'calls', flat(failed ?? Number.NaN), none),
      value('lost increments', 'calls', flat(lost ?? Number.NaN), none),
      value('duplicates, or out of order', 'calls', flat(faults ?? Number.NaN), none),
      time('p50 of the calls of the node that stays', own, 'p50'),
      time('p99 of them', own, 'p99'),
      time('a drain, median', drains, 'p50'),
    ],
    wrong: wrongOf(report),
  }
}

/** Not right, rather than not fast enough. */
export function wrongOf({ scenario, checks }: Report): string[] {
  return checks
    .filter(({ ok, skipped, name }) => !ok && skipped === undefined && !/^p\d+ at most|kept their pace/.test(name))
    .map(({ name, detail }) => `${scenario}: ${name}: ${detail}`)
}

function summaryOf({ figures }: Report, name: string): Summary {
  const found = figures[name]
  if (found === undefined) return { count: 0, min: Number.NaN, p50: Number.NaN, p99: Number.NaN, max: Number.NaN }
  return found as Summary
}

function time(name: string, summary: Summary, of: 'p50' | 'p99', limit?: number): Measure {
  const target = limit === undefined ? undefined : ({ of: 'value', bound: 'at most', limit } as const)
  return value(name, 'ms', spreadOf(summary, of), target)
}

function value(name: string, unit: Unit, spread: Spread, target?: Target): Measure {
  return { name, unit, value: spread, ...judged(spread.median, target) }
}

/** What is in the middle here may be the p99. */
function spreadOf({ min, max, ...quantiles }: Summary, of: 'p50' | 'p99'): Spread {
  return { median: quantiles[of], lowest: min, highest: max }
}
