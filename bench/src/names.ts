/** Names that are asked for: registered by hand, and given to placed actors. Beside them the hop that each needs. */
import { type Contestant, contest, cpuOf, measured, resultOf, type Turn } from './contest.js'
import { alone, type Measure, type RowReport } from './report.js'
import { type BenchOptions, type Node, sliceMs, startEcho, startNodes } from './row.js'

const CALLERS = 64
const LIMIT_MS = 20_000
/** Of each round. */
const SLICES = 2

/** Registers names through one node; looks for them on all others, and takes them off again, both unmeasured. */
export class Registrar {
  readonly #nodes: readonly Node[]
  readonly #callers: number
  readonly #count: number
  readonly #mode: 'owner' | 'local'
  /** From the agreement to the last name of a slice until each other node showed it, at most. */
  readonly visibleMs: number[] = []
  #slices = 0

  constructor(nodes: readonly Node[], callers: number, count: number, mode: 'owner' | 'local') {
    this.#nodes = nodes
    this.#callers = callers
    this.#count = count
    this.#mode = mode
  }

  async slice(): Promise<Turn> {
    const [writer, ...others] = this.#nodes
    if (writer === undefined) throw new TypeError('there are no nodes')
    const before = await writer.ask('names')
    const prefix = `${this.#mode}-${this.#callers}-${this.#count}-${this.#slices++}`
    const cpuBefore = await cpuOf(this.#nodes)
    const done = await writer.ask('register', prefix, this.#callers, { ops: this.#count }, this.#mode)
    const seen = await Promise.all(others.map((node) => node.ask('seen', done.last, LIMIT_MS)))
    this.visibleMs.push(Math.max(...seen) - done.lastAt)
    const cpuUs = (await cpuOf(this.#nodes)) - cpuBefore
    // What a full link drops is fetched later: that is slow, and not wrong.
    for (const node of others) await node.ask('full', before + done.ops, LIMIT_MS)
    let missing = 0
    for (const node of this.#nodes) missing += await node.ask('missing', prefix, done.ops, writer.name)
    await writer.ask('release', prefix)
    await Promise.all(this.#nodes.map((node) => node.ask('clean', before, LIMIT_MS)))
    if (missing === 0) return { ...done, cpuUs }
    return { ...done, cpuUs, wrong: done.wrong + missing, fault: `${missing} names are missing on the nodes together` }
  }
}

export async function register(options: BenchOptions): Promise<RowReport> {
  const ms = 2 * sliceMs(options)
  const nodes = await startNodes(['a', 'b', 'c'])
  const echo = await startEcho()
  const small = options.quick ? 200 : 1500
  const large = options.quick ? 1000 : 10_000
  const owner = new Registrar(nodes, CALLERS, large, 'owner')
  const ways: [string, Registrar, number, number | undefined][] = [
    ['through the slot owner, 64 callers', owner, CALLERS, 0.35],
    ["claim: 'local', 64 callers", new Registrar(nodes, CALLERS, large, 'local'), CALLERS, undefined],
    ['through the slot owner, 1 caller', new Registrar(nodes, 1, small, 'owner'), 1, undefined],
  ]
  const wrong: string[] = []
  const measures: Measure[] = []
  for (const [name, registrar, callers, limit] of ways) {
    const skep: Contestant = { name: 'Skep', processes: nodes, slice: () => registrar.slice() }
    const raw = echo.contestant(callers, ms)
    const outcome = await contest([skep, raw], { rounds: options.rounds, slices: SLICES })
    wrong.push(...outcome.wrong)
    const target = limit === undefined ? {} : { target: { of: 'ratio', bound: 'at least', limit } as const }
    const [own, theirs] = [resultOf(outcome.results, skep.name), resultOf(outcome.results, raw.name)]
    measures.push(measured({ name, unit: 'op/s', ...target }, own, theirs))
    if (callers === 1) measures.push(measured({ name: `${name}, p50`, unit: 'us' }, own, theirs))
  }
  const bound = { bound: 'at most', limit: 50 } as const
  // The first round is for the compiler to warm up.
  measures.push(alone('the last name is seen on every node after', 'ms', owner.visibleMs.slice(SLICES), bound))
  return {
    what: 'Names registered by hand on one of three nodes, which owns a third of the slots itself: so many need no hop. What is claimed locally is agreed to at once, and each caller then waits for a turn of the loop. After each slice every name is looked for on every node, then all are taken off again; neither is measured.',
    measures,
    wrong,
  }
}

export async function spawn(options: BenchOptions): Promise<RowReport> {
  const nodes = await startNodes(['a', 'b', 'c'])
  const [writer] = nodes
  if (writer === undefined) throw new TypeError('there are no nodes')
  const echo = await startEcho()
  const count = options.quick ? 300 : 4000
  const skep: Contestant = {
    name: 'Skep',
    processes: nodes,
    slice: async (round) => {
      const before = await writer.ask('names')
      const cpuBefore = await cpuOf(nodes)
      const done = await writer.ask('spawnSlice', `placed-${round}`, CALLERS, { ops: count })
      const cpuUs = (await cpuOf(nodes)) - cpuBefore
      const wrong = await writer.ask('endSpawned', `placed-${round}`, done.ops)
      await Promise.all(nodes.map((node) => node.ask('clean', before, LIMIT_MS)))
      return wrong === 0
        ? { ...done, cpuUs }
        : { ...done, cpuUs, wrong, fault: `${wrong} actors answer from elsewhere` }
    },
  }
  const raw = echo.contestant(CALLERS, 2 * sliceMs(options))
  const { results, wrong } = await contest([skep, raw], { rounds: options.rounds, slices: SLICES })
  const target = { of: 'ratio', bound: 'at least', limit: 0.2 } as const
  return {
    what: 'Actors placed by the ring on three nodes, asked for on one, which owns a third of the slots itself. After each slice every actor is called and stopped; neither is measured.',
    measures: [
      measured(
        { name: 'placed, 64 callers', unit: 'op/s', target },
        resultOf(results, 'Skep'),
        resultOf(results, raw.name),
      ),
    ],
    wrong,
  }
}
