/** Look-ups of names on one of three nodes, beside a Map with the same keys in the same process. */
import { flat, judged, type Measure, type RowReport } from './report.js'
import { type BenchOptions, startNodes } from './row.js'

export async function whereis({ rounds, quick }: BenchOptions): Promise<RowReport> {
  const count = quick ? 1000 : Math.ceil(100_000 / 3)
  const nodes = await startNodes(['a', 'b', 'c'])
  const wrong: string[] = []
  for (const node of nodes) {
    const filled = await node.ask('fill', node.name, count)
    if (filled.wrong > 0) wrong.push(`${node.name}: ${filled.wrong} names were not registered, ${filled.fault}`)
  }
  const [first] = nodes
  if (first === undefined) throw new TypeError('there are no nodes')
  await first.ask('full', nodes.length * count, 20_000)
  const { ratio, wrong: misplaced } = await first.ask('lookups', ['a', 'b', 'c'], count, rounds)
  if (misplaced > 0) wrong.push(`${misplaced} names are not where they were registered`)
  const { median, lowest, highest } = ratio
  const measure: Measure = {
    name: `look-ups, ${3 * count} names on 3 nodes`,
    unit: 'op/s',
    value: flat(ratio.subject),
    yardstick: { name: 'Map.get', value: flat(ratio.yardstick), ratio: { median, lowest, highest } },
    ...judged(ratio.median, { of: 'ratio', bound: 'at least', limit: 0.5 }),
  }
  return {
    what: 'whereis of names in an order of chance, each answer compared; all in one process, so its processor time is its time.',
    measures: [measure],
    wrong,
  }
}
