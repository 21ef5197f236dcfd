/** An empty node joins a cluster of two that holds many names, while calls between those two go on. */
import { startProcess } from '@skep/example-counter/processes'
import type { JoinerSteps } from './joiner.js'
import { ratios, spread } from './measure.js'
import { alone, judged, type Measure, type RowReport } from './report.js'
import { type BenchOptions, startEcho, startNodes, uniqueCluster } from './row.js'

const CALL_EVERY_MS = 2
const NAME = 'called'
const PREFIX = 'held'

export async function join(options: BenchOptions): Promise<RowReport> {
  const sizes = options.quick ? [2000] : options.million ? [100_000, 1_000_000] : [100_000]
  const reports: RowReport[] = []
  for (const count of sizes) reports.push(await joinAt(count, options))
  return {
    what: `An empty node joins two; from its start, its program loaded, until it sees every name. Calls go from one of the two to the other every ${CALL_EVERY_MS} ms and are timed from when they are due.`,
    measures: reports.flatMap(({ measures }) => measures),
    wrong: reports.flatMap(({ wrong }) => wrong),
  }
}

async function joinAt(count: number, { rounds }: BenchOptions): Promise<RowReport> {
  const cluster = uniqueCluster()
  const limitMs = 30_000 + count / 10
  const [holder, caller] = await startNodes(['holder', 'caller'], cluster)
  if (holder === undefined || caller === undefined) throw new TypeError('there are no nodes')
  await holder.ask('host', NAME)
  const { wrong: unregistered } = await holder.ask('fill', PREFIX, count)
  // The called actor has a name as well.
  await caller.ask('full', count + 1, limitMs)
  const echo = await startEcho()
  const wrong: string[] = unregistered > 0 ? [`${unregistered} names were not registered`] : []
  const took: number[] = []
  const raw: number[] = []
  const turns: number[] = []
  const p99s: number[] = []
  for (let round = 0; round <= rounds; round++) {
    const joiner = startProcess<JoinerSteps>(new URL('./joiner.js', import.meta.url), { cluster })
    await joiner.ask('loaded')
    await caller.ask('beginCalls', NAME, CALL_EVERY_MS)
    // The called actor has a name as well.
    const joined = await joiner.ask('join', `joiner-${round}`, PREFIX, count, holder.name, limitMs, count + 1)
    const calls = await caller.ask('endCalls')
    await joiner.kill()
    if (joined.wrong > 0) wrong.push(`round ${round}: ${joined.wrong} names are not seen on their holder`)
    if (calls.wrong > 0) wrong.push(`round ${round}: ${calls.wrong} of ${calls.ops} calls, ${calls.fault}`)
    const transfer = await echo.client.ask('receive', joined.bytes)
    await gone(caller, 2)
    if (round === 0) continue
    took.push(joined.ms)
    raw.push(transfer)
    turns.push(joined.turns.longestMs)
    p99s.push(calls.p99Us / 1000)
  }
  await Promise.all([holder.kill(), caller.kill()])
  const names = count >= 1_000_000 ? `${count / 1_000_000} M names` : `${count / 1000} k names`
  const limit = count >= 1_000_000 ? 10_000 : 1000
  const value = spread(took)
  const joining: Measure = {
    name: `joins ${names}`,
    unit: 'ms',
    value,
    yardstick: { name: 'raw transfer of the same bytes', value: spread(raw), ratio: ratios(took, raw) },
    ...judged(value.median, { of: 'value', bound: 'at most', limit }),
  }
  return {
    what: '',
    measures: [
      joining,
      alone(`p99 of calls meanwhile, ${names}`, 'ms', p99s, { bound: 'at most', limit: 20 }),
      alone(`longest blocked turn of the joiner, ${names}`, 'ms', turns),
    ],
    wrong,
  }
}

/** The joiner is no member any more. */
async function gone(node: { ask(step: 'members'): Promise<number> }, members: number): Promise<void> {
  const until = performance.now() + 20_000
  while ((await node.ask('members')) > members) {
    if (performance.now() > until) throw new Error('the joiner is a member still')
  }
}
