/** Calls by name: to an actor of the same node, and of another process. */
import { freePorts } from '@skep/e2e/nodes'
import { startProcess } from '@skep/example-counter/processes'
import { type Contestant, contest, measured, p50Of, rateOf, resultOf, spreadOf, type Turn } from './contest.js'
import type { MoleculerArgument, MoleculerSteps } from './moleculer.js'
import type { NextDoorSteps } from './next-door.js'
import type { Line, Measure, RowReport } from './report.js'
import { type BenchOptions, SLICES, sliceMs, startEcho, startNodes } from './row.js'

const CALLERS = 64
const NAME = 'called'

export async function localCall(options: BenchOptions): Promise<RowReport> {
  const ms = sliceMs(options)
  const [copying] = await startNodes(['copies'])
  const [sharing] = await startNodes(['shares'], undefined, { isolation: 'off' })
  const program = new URL('./next-door.js', import.meta.url)
  const nact = startProcess<NextDoorSteps>(program, {})
  const plain = startProcess<NextDoorSteps>(program, {})
  if (copying === undefined || sharing === undefined) throw new TypeError('there are no nodes')
  for (const node of [copying, sharing]) await node.ask('host', NAME)
  const contestants: Contestant[] = [
    { name: 'object, copied', processes: [copying], slice: () => copying.ask('price', NAME, CALLERS, ms) },
    { name: 'nact query', processes: [nact], slice: () => nact.ask('nact', CALLERS, ms) },
    { name: 'number, copied', processes: [copying], slice: () => copying.ask('add', NAME, CALLERS, ms) },
    { name: 'async function', processes: [plain], slice: () => plain.ask('plain', CALLERS, ms) },
    { name: 'number, shared', processes: [sharing], slice: () => sharing.ask('add', NAME, CALLERS, ms) },
    { name: 'object, shared', processes: [sharing], slice: () => sharing.ask('price', NAME, CALLERS, ms) },
  ]
  const { results, wrong } = await contest(contestants, { rounds: options.rounds, slices: SLICES })
  const line = (name: string, subject: string, yardstick: string, limit?: number): Measure =>
    measured(
      {
        name,
        unit: 'op/s',
        ...(limit === undefined ? {} : { target: { of: 'ratio', bound: 'at least', limit } as const }),
      },
      resultOf(results, subject),
      resultOf(results, yardstick),
    )
  return {
    what: `Calls by name to one actor of the same node, ${CALLERS} callers; a process for Skep that copies, one for Skep that does not, one for nact and one for the function.`,
    measures: [
      line("a small object, isolation 'copy'", 'object, copied', 'nact query', 3),
      line("a number, isolation 'copy'", 'number, copied', 'async function', 0.15),
      line("a number, isolation 'off'", 'number, shared', 'async function', 0.3),
      line("a small object, isolation 'off'", 'object, shared', 'nact query'),
    ],
    wrong,
  }
}

const IN_FLIGHT = [1, 4, 16, 64, 256]

export async function remoteCall(options: BenchOptions): Promise<RowReport> {
  const ms = sliceMs(options)
  const [caller, called] = await startNodes(['caller', 'called'])
  if (caller === undefined || called === undefined) throw new TypeError('there are no nodes')
  await called.ask('host', NAME)
  await caller.ask('seen', NAME, 10_000)
  const echo = await startEcho()
  const brokers = await startMoleculer()
  const wrong: string[] = []
  const measures: Measure[] = []
  const rates = new Map<string, [number, number][]>()
  const times = new Map<string, [number, number][]>()
  for (const inFlight of options.quick ? [1, 256] : IN_FLIGHT) {
    const skep: Contestant = {
      name: 'Skep',
      processes: [caller, called],
      slice: () => caller.ask('echo', NAME, inFlight, ms),
    }
    const raw = echo.contestant(inFlight, ms)
    const moleculer: Contestant = {
      name: 'Moleculer',
      processes: brokers,
      slice: () => brokers[0].ask('slice', inFlight, ms),
    }
    const outcome = await contest([skep, raw, moleculer], { rounds: options.rounds, slices: SLICES })
    wrong.push(...outcome.wrong)
    const [own, theirs, peer] = [skep, raw, moleculer].map(({ name }) => resultOf(outcome.results, name))
    if (own === undefined || theirs === undefined) throw new TypeError('a contestant has no result')
    const bound = inFlight === 256
    const target = (limit: number): { target?: { of: 'ratio'; bound: 'at least'; limit: number } } =>
      bound ? { target: { of: 'ratio', bound: 'at least', limit } } : {}
    const name = `${inFlight} in flight`
    measures.push(measured({ name: `calls, ${name}`, unit: 'op/s', ...target(0.6) }, own, theirs))
    measures.push(measured({ name: `calls, ${name}`, unit: 'op/s', ...target(5) }, own, peer))
    if (inFlight === 1) {
      const latency = { of: 'ratio', bound: 'at most', limit: 1.35 } as const
      measures.push(measured({ name: `p50, ${name}`, unit: 'us', target: latency }, own, theirs))
      measures.push(measured({ name: `p50, ${name}`, unit: 'us' }, own, peer))
    }
    for (const result of outcome.results) {
      add(rates, result.name, inFlight, spreadOf(result, rateOf).median)
      add(times, `${result.name}, p50`, inFlight, spreadOf(result, p50Of).median)
      add(times, `${result.name}, p99`, inFlight, spreadOf(result, (turn: Turn) => turn.p99Us).median)
    }
  }
  return {
    what: 'Calls by name to an actor in another process, a text of 32 bytes there and back.',
    measures,
    plots: [
      { file: 'throughput', title: 'Calls a second to another process', x: 'calls in flight', lines: linesOf(rates) },
      {
        file: 'latency',
        title: 'Microseconds of a call to another process',
        x: 'calls in flight',
        lines: linesOf(times),
      },
    ],
    wrong,
  }
}

function add(lines: Map<string, [number, number][]>, name: string, x: number, y: number): void {
  const points = lines.get(name) ?? []
  points.push([x, y])
  lines.set(name, points)
}

function linesOf(lines: ReadonlyMap<string, [number, number][]>): Line[] {
  return [...lines].map(([name, points]) => ({ name, points }))
}

async function startMoleculer(): Promise<
  [ReturnType<typeof startProcess<MoleculerSteps>>, ReturnType<typeof startProcess<MoleculerSteps>>]
> {
  const ports = await freePorts(2)
  const names = ['caller', 'called']
  const urls = ports.map((port, i) => `127.0.0.1:${port}/${names[i]}`)
  const start = (i: number) => {
    const argument: MoleculerArgument = { name: names[i] ?? '', port: ports[i] ?? 0, urls, serves: i === 1 }
    return startProcess<MoleculerSteps>(new URL('./moleculer.js', import.meta.url), argument)
  }
  const [caller, called] = [start(0), start(1)]
  await Promise.all([caller.ask('start'), called.ask('start')])
  await caller.ask('found')
  return [caller, called]
}
