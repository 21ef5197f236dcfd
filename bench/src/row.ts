/** What a row of the table is given, and the processes that rows start. */
import { randomBytes } from 'node:crypto'
import { killAll, type Process, startProcess } from '@skep/example-counter/processes'
import type { Contestant } from './contest.js'
import type { EchoSteps } from './echo.js'
import type { NodeArgument, NodeSteps } from './node.js'
import type { RowReport } from './report.js'

export interface BenchOptions {
  readonly rounds: number
  /** Small numbers and short slices, to try the scripts; its figures say nothing. */
  readonly quick: boolean
  /** With a million names where a row takes them. */
  readonly million: boolean
}

/** A row's work. Whatever it started is killed at its end. */
export type Row = (options: BenchOptions) => Promise<RowReport> | RowReport

export type Node = Process<NodeSteps> & { readonly name: string }

const READY_MS = 60_000

/** Slices of a round, where each is short and costs nothing besides. */
export const SLICES = 5

/** Milliseconds of such a slice of load. */
export function sliceMs({ quick }: BenchOptions): number {
  return quick ? 20 : 100
}

export function uniqueCluster(): string {
  return `bench-${randomBytes(4).toString('hex')}`
}

/** A node in a process of its own, when it is ready. */
export async function startOne(
  name: string,
  cluster: string,
  options: Pick<NodeArgument, 'isolation'> = {},
): Promise<Node> {
  const argument: NodeArgument = { ...options, name, cluster }
  const node = Object.assign(startProcess<NodeSteps>(new URL('./node.js', import.meta.url), argument), { name })
  await withOutput(node, node.ask('ready', READY_MS))
  return node
}

/** One cluster of nodes of these names; when each knows all. */
export async function startNodes(
  names: readonly string[],
  cluster: string = uniqueCluster(),
  options: Pick<NodeArgument, 'isolation'> = {},
): Promise<Node[]> {
  const nodes = await Promise.all(names.map((name) => startOne(name, cluster, options)))
  for (const node of nodes) {
    const until = performance.now() + READY_MS
    while ((await node.ask('members')) < nodes.length) {
      if (performance.now() > until) throw new Error(`${node.name} does not know all of ${names.join(', ')}`)
    }
  }
  return nodes
}

/** What fails is told with what the process wrote. */
async function withOutput<T>(one: Pick<Node, 'output'>, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw new Error(`${String(error)}\n${one.output()}`)
  }
}

export interface Echo {
  readonly client: Process<EchoSteps>
  /** As a contestant, with so many on their way. */
  contestant(inFlight: number, ms: number): Contestant
}

/** The raw echo: `ws` and msgpackr between two processes. */
export async function startEcho(): Promise<Echo> {
  const program = new URL('./echo.js', import.meta.url)
  const [client, server] = [startProcess<EchoSteps>(program, {}), startProcess<EchoSteps>(program, {})]
  await client.ask('connect', await server.ask('listen'))
  return {
    client,
    contestant: (inFlight, ms) => ({
      name: 'raw ws + msgpackr',
      processes: [client, server],
      slice: () => client.ask('slice', inFlight, ms),
    }),
  }
}

/** Runs a row, whatever happens without processes that outlive it. What it throws is a wrong answer. */
export async function runRow(row: Row, options: BenchOptions): Promise<RowReport> {
  const begun = performance.now()
  let report: RowReport
  try {
    report = await row(options)
  } catch (error) {
    report = {
      what: '',
      measures: [],
      wrong: [error instanceof Error ? (error.stack ?? error.message) : String(error)],
    }
  } finally {
    killAll()
  }
  return { ...report, seconds: Math.round((performance.now() - begun) / 100) / 10 }
}
