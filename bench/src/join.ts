/** An empty node joins a cluster of two that holds many names, while calls between those two go on. */
import { startProcess } from '@skep/example-counter/processes'
import type { JoinerSteps } from './joiner.js'
import { ratios, spread } from './measure.js'
import { alone, judged, type Measure, type RowReport } from './report.js'
import { type BenchOptions, startEcho, startNodes, uniqueCluster } from './row.js'

const CALL_EVERY_MS = 2
const NAME = 'called'
const PREFIX = 'held'
/** Held names that the newcomer asks for. */
const GRABBED = 1000
/** Who registers more meanwhile, and for how long: until nobody waits for any log any more. */
const WRITERS = 4
const WRITING_MS = 6000

export async function join(options: BenchOptions): Promise<RowReport> {
  const sizes = options.quick ? [2000] : options.million ? [100_000, 1_000_000] : [100_000]
  const reports: RowReport[] = []
  for (const count of sizes) reports.push(await joinAt(count, options))
  reports.push(await joinWhileWritten(sizes[0] ?? 0, options))
  return {
    what: `An empty node joins two; from its start, its program loaded, until it sees every name. Calls go from one of the two to the other every ${CALL_EVERY_MS} ms and are timed from when they are due. Whether it sees each name on its holder is looked at afterwards. At last the same while the holder registers more, as fast as it can and asking nobody: the newcomer asks for ${GRABBED} of the held names as soon as it may, and must get none.`,
    measures: reports.flatMap(({ measures }) => measures),
    wrong: reports.flatMap(({ wrong }) => wrong),
  }
}

/** A log that changes faster than it can be sent. */
async function joinWhileWritten(count: number, { rounds }: BenchOptions): Promise<RowReport> {
  const cluster = uniqueCluster()
  const limitMs = 60_000
  const [holder, other] = await startNodes(['holder', 'other'], cluster)
  if (holder === undefined || other === undefined) throw new TypeError('there are no nodes')
  await holder.ask('fill', PREFIX, count)
  await other.ask('full', count, limitMs)
  const wrong: string[] = []
  const took: number[] = []
  const rates: number[] = []
  for (let round = 0; round <= rounds; round++) {
    const joiner = startProcess<JoinerSteps>(new URL('./joiner.js', import.meta.url), { cluster })
    await joiner.ask('loaded')
    const writing = holder.ask('register', `more-${round}`, WRITERS, { ms: WRITING_MS }, 'local')
    const { ms, given } = await joiner.ask('grab', `joiner-${round}`, PREFIX, GRABBED, limitMs)
    const missing = await joiner.ask('leave', PREFIX, count, holder.name)
    await joiner.kill()
    const { ops, ms: wroteMs } = await writing
    await holder.ask('release', `more-${round}`)
    await gone(other, 2)
    for (const node of [holder, other]) await node.ask('clean', count, limitMs)
    if (given > 0) wrong.push(`round ${round}: ${given} of ${GRABBED} names that are held were given to the newcomer`)
    if (missing > 0) wrong.push(`round ${round}: ${missing} names are not seen on their holder`)
    if (round === 0) continue
    took.push(ms)
    rates.push((ops * 1000) / wroteMs)
  }
  await Promise.all([holder.kill(), other.kill()])
  return {
    what: '',
    measures: [
      alone(`joins ${namesInWords(count)} while more are registered`, 'ms', took),
      alone('registered meanwhile', 'op/s', rates),
    ],
    wrong,
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
    const joined = await joiner.ask('join', `joiner-${round}`, count + 1, limitMs)
    const calls = await caller.ask('endCalls')
    const missing = await joiner.ask('leave', PREFIX, count, holder.name)
    await joiner.kill()
    if (missing > 0) wrong.push(`round ${round}: ${missing} names are not seen on their holder`)
    if (calls.wrong > 0) wrong.push(`round ${round}: ${calls.wrong} of ${calls.ops} calls, ${calls.fault}`)
    await gone(caller, 2)
    const transfer = await echo.client.ask('receive', joined.bytes)
    if (round === 0) continue
    took.push(joined.ms)
    raw.push(transfer)
    turns.push(joined.turns.longestMs)
    p99s.push(calls.p99Us / 1000)
  }
  await Promise.all([holder.kill(), caller.kill()])
  const names = namesInWords(count)
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

function namesInWords(count: number): string {
  return count >= 1_000_000 ? `${count / 1_000_000} M names` : `${count / 1000} k names`
}

/** The joiner is no member any more. */
async function gone(node: { ask(step: 'members'): Promise<number> }, members: number): Promise<void> {
  const until = performance.now() + 20_000
  while ((await node.ask('members')) > members) {
    if (performance.now() > until) throw new Error('the joiner is a member still')
  }
}
