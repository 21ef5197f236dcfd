/** Starts nodes in processes and looks whether they are one cluster. */

import { randomBytes } from 'node:crypto'
import { createServer } from 'node:net'
import { type Process, type ProcessOptions, startProcess } from '@skep/example-counter/processes'
import type { Host } from './net/network.js'
import type { NodeArgument, NodeSteps } from './node.js'
import { eventually, within } from './scenario.js'

export type Node = Process<NodeSteps> & {
  readonly name: string
  readonly argument: NodeArgument
  readonly options: ProcessOptions
}

const PROGRAM = new URL('./node.js', import.meta.url)

/** Milliseconds on the clock that all processes of a host share. */
export function clock(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** A node that is not ready after this time is stuck: long, since a loaded machine is slow to start many processes. */
const READY_MS = 60_000

export function uniqueCluster(): string {
  return `e2e-${randomBytes(4).toString('hex')}`
}

export function startOne(argument: NodeArgument, options: ProcessOptions = {}): Node {
  return Object.assign(startProcess<NodeSteps>(PROGRAM, argument, options), { name: argument.name, argument, options })
}

/** A new process in the place of one that ended. */
export function startAgain({ argument, options }: Node): Node {
  return startOne(argument, options)
}

/** `listen`: the address of each, in order; absent: any free port. */
export function startAll(count: number, shared: Omit<NodeArgument, 'name'>, listen: readonly string[] = []): Node[] {
  return Array.from({ length: count }, (_, i) => {
    const address = listen[i]
    return startOne({ ...shared, name: `node-${i + 1}`, ...(address === undefined ? {} : { listen: address }) })
  })
}

/** Waits until all are ready; gives when each was, in ms after `since`. */
export async function allReady(nodes: readonly Node[], since: number, timeout = READY_MS): Promise<number[]> {
  const readies = nodes.map((node) => within(timeout + 2000, `${node.name} ready`, node.ask('ready', timeout)))
  return (await Promise.all(readies)).map(({ at }) => at - since)
}

/** Undefined when each node lists all of them and a name registered on one is read on all; else what is wrong. */
export async function notOneRegistry(nodes: readonly Node[], proof: string): Promise<string | undefined> {
  const names = nodes.map(({ name }) => name).sort()
  for (const node of nodes) {
    // The last one that became ready may be a moment on its way to the others.
    const all = (names: readonly string[]): boolean => names.length === nodes.length
    const members = [...(await eventually(2000, () => node.ask('members'), all))].sort()
    if (members.join() !== names.join()) return `${node.name} lists ${members.length}: ${members.join(' ')}`
  }
  const writer = nodes[nodes.length >> 1]
  if (writer === undefined) return 'there are no nodes'
  await within(5000, `registering on ${writer.name}`, writer.ask('announce', proof))
  for (const node of nodes) {
    const where = await node.ask('where', proof)
    if (where !== writer.name) return `${node.name} reads ${proof} on ${where}, it is on ${writer.name}`
  }
  return undefined
}

/** Ports that are free now: they are all held at once while they are chosen. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer()
          server.on('error', reject)
          server.listen(0, '127.0.0.1', () => resolve(server))
        }),
    ),
  )
  const ports = servers.map((server) => {
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  })
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/** What fails in `work` is told with what all nodes wrote. */
export async function withOutputs<T>(
  nodes: readonly Pick<Node, 'name' | 'output'>[],
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const outputs = nodes.map((node) => `--- ${node.name} wrote:\n${node.output()}`)
    throw new Error([error instanceof Error ? error.message : String(error), ...outputs].join('\n'))
  }
}

/** Nodes on the hosts of a network, a node each, that know each other's addresses. */
export function startOnHosts(hosts: readonly Host[], shared: Omit<NodeArgument, 'name'>): Node[] {
  const peers = hosts.map(({ address }) => `${address}:${PORT}`)
  // Where others could listen in, a node wants a secret.
  const secret = randomBytes(16).toString('hex')
  return hosts.map(({ under }, i) => {
    const listen = peers[i] ?? ''
    return startOne({ secret, peers, ...shared, listen, name: `node-${i + 1}` }, { under })
  })
}

/** Each host has its own. */
const PORT = 4370

/** What each node answers, in order; a node that does not answer in time is a failure. */
export function askAll<K extends keyof NodeSteps & string>(
  nodes: readonly Node[],
  step: K,
  ...args: Parameters<NodeSteps[K]>
): Promise<Awaited<ReturnType<NodeSteps[K]>>[]> {
  return Promise.all(nodes.map((node) => within(ANSWER_MS, `${node.name} ${step}`, node.ask(step, ...args))))
}

/** The slowest step waits for calls of some seconds. */
const ANSWER_MS = 20_000
