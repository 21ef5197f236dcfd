/**
 * Many names that end at once, because their actors stop or because their node is killed: until every node's index is
 * free of them. And whether a registration costs more where many names are held.
 */
import { type Contestant, contest, measured, rateOf, resultOf, spreadOf } from './contest.js'
import { ratios, spread } from './measure.js'
import { Registrar } from './names.js'
import { judged, type Measure, type RowReport, type Yardstick } from './report.js'
import { type BenchOptions, type Node, sliceMs, startEcho, startNodes, startOne, uniqueCluster } from './row.js'
import { clock } from './slice.js'

const LIMIT_MS = 60_000
const CALLERS = 64

export async function massExit(options: BenchOptions): Promise<RowReport> {
  const reports = [await ends(options), await registrations(options)]
  return {
    what: 'Names that end at once, seen from three nodes: from the first stop, or the signal, until no index has any of them. And names registered through the slot owner by 64 callers where so many are held already.',
    measures: reports.flatMap(({ measures }) => measures),
    plots: reports.flatMap(({ plots = [] }) => plots),
    wrong: reports.flatMap(({ wrong }) => wrong),
  }
}

type Part = Omit<RowReport, 'what'>

async function ends({ rounds, quick }: BenchOptions): Promise<Part> {
  const count = quick ? 2000 : 50_000
  const cluster = uniqueCluster()
  const [a, b, c] = await startNodes(['a', 'b', 'c'], cluster)
  if (a === undefined || b === undefined || c === undefined) throw new TypeError('there are no nodes')
  const wrong: string[] = []
  const stops: number[] = []
  const deaths: number[] = []
  const maps: number[] = []
  for (let round = 0; round <= rounds; round++) {
    const before = await a.ask('names')
    await a.ask('startNamed', `round-${round}`, count)
    wrong.push(...(await unseen([a, b, c], `round-${round}`, count, 'a')))
    const begun = await a.ask('stopNamed', `round-${round}`, count)
    const stopped = Math.max(...(await cleans([a, b, c], before))) - begun
    const victim = await startOne('victim', cluster)
    const filled = await victim.ask('fill', `dying-${round}`, count)
    if (filled.wrong > 0) wrong.push(`${filled.wrong} names were not registered, ${filled.fault}`)
    wrong.push(...(await unseen([a, b, c], `dying-${round}`, count, 'victim')))
    const since = clock()
    const dead = victim.kill('SIGKILL')
    const died = Math.max(...(await cleans([a, b, c], before))) - since
    await dead
    const map = mapMs(count)
    if (round === 0) continue
    stops.push(stopped)
    deaths.push(died)
    maps.push(map)
  }
  const target = { of: 'value', bound: 'at most', limit: 1500 } as const
  const line = (name: string, values: readonly number[]): Measure => {
    const yardstick: Yardstick = { name: 'a Map', value: spread(maps), ratio: ratios(values, maps) }
    const value = spread(values)
    return { name, unit: 'ms', value, yardstick, ...judged(value.median, target) }
  }
  await Promise.all([a, b, c].map((node) => node.kill()))
  return {
    measures: [line(`${count} actors with names stop`, stops), line(`a node with ${count} names is killed`, deaths)],
    wrong,
  }
}

async function unseen(nodes: readonly Node[], prefix: string, count: number, holder: string): Promise<string[]> {
  const wrong: string[] = []
  for (const node of nodes) {
    await node.ask('full', count, LIMIT_MS)
    const missing = await node.ask('missing', prefix, count, holder)
    if (missing > 0) wrong.push(`${node.name} does not see ${missing} of ${prefix}`)
  }
  return wrong
}

function cleans(nodes: readonly Node[], names: number): Promise<number[]> {
  return Promise.all(nodes.map((node) => node.ask('clean', names, LIMIT_MS)))
}

/** The same names out of a Map three times over. */
function mapMs(count: number): number {
  const names = Array.from({ length: count }, (_, i) => `name-${i}`)
  const maps = Array.from({ length: 3 }, () => new Map(names.map((name, id) => [name, { id }] as const)))
  const begun = performance.now()
  for (const map of maps) for (const name of names) map.delete(name)
  return performance.now() - begun
}

/** A cluster for each number of names held, so that the numbers can take turns. */
async function registrations(options: BenchOptions): Promise<Part> {
  const held = options.quick ? [500, 2000] : [1000, 50_000, 200_000]
  const count = options.quick ? 500 : 5000
  const contestants: Contestant[] = []
  for (const names of held) {
    const nodes = await startNodes(['a', 'b', 'c'])
    const [first] = nodes
    await first?.ask('fill', 'held', names)
    for (const node of nodes) await node.ask('full', names, LIMIT_MS)
    const registrar = new Registrar(nodes, CALLERS, count, 'owner')
    contestants.push({ name: `${names} held`, processes: nodes, slice: () => registrar.slice() })
  }
  const raw = (await startEcho()).contestant(CALLERS, 2 * sliceMs(options))
  const { results, wrong } = await contest([...contestants, raw], { rounds: options.rounds, slices: 2 })
  const yardstick = resultOf(results, raw.name)
  const least = results[0]
  const most = results[held.length - 1]
  if (least === undefined || most === undefined) throw new TypeError('a contestant has no result')
  const perName = ratios(least.turns.map(rateOf), most.turns.map(rateOf))
  const cost: Measure = {
    name: `cost of a name, ${held.at(-1)} held to ${held[0]}`,
    unit: 'x',
    value: perName,
    ...judged(perName.median, { of: 'value', bound: 'at most', limit: 1.5 }),
  }
  return {
    measures: [
      ...results
        .filter((result) => result !== yardstick)
        .map((result) => measured({ name: `registrations, ${result.name}`, unit: 'op/s' }, result, yardstick)),
      cost,
    ],
    plots: [
      {
        file: 'held',
        title: 'Registrations a second while names are held',
        x: 'names held',
        lines: [
          {
            name: 'through the slot owner',
            points: held.map((names, i) => [names, spreadOf(results[i] ?? least, rateOf).median] as const),
          },
        ],
      },
    ],
    wrong,
  }
}
