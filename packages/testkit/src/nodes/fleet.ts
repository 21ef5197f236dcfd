/**
 * The machines of a simulation and the processes that come and go on them: started, killed, drained, and started
 * again. It remembers what a process that is gone has left to others.
 */
import { seedRandom } from '@skep/cluster/core'
import type { NodeConfig, SkepNode } from 'skep'
import { layersOf, startNodeIn } from 'skep/internal'
import { kinds, type Loop } from './loop.js'
import { type LogLine, loggerInto, type Machine } from './machine.js'
import type { Network } from './network.js'
import type { SimulateOptions } from './options.js'
import { SimProcess } from './process.js'

/** A drain is over when it is, or after this. */
const drainMs = 10_000

export class Fleet {
  readonly machines: Machine[] = []
  /** How often a node went on as another boot because the others had declared it down. */
  rejoined = 0
  /** What no node may ever do, as it happened. */
  readonly broken: string[] = []
  readonly #seed: number
  readonly #options: SimulateOptions
  readonly #network: Network
  readonly #loop: Loop
  /** Placed names whose node is gone and which were not seen to have started again, with the nodes that know of them. */
  readonly #owed = new Map<string, Set<SkepNode>>()

  constructor(seed: number, options: SimulateOptions, network: Network) {
    this.#seed = seed
    this.#options = options
    this.#network = network
    this.#loop = network.loop
  }

  /** The live nodes, in the order of their machines. */
  get nodes(): SkepNode[] {
    return this.machines.flatMap(({ node, isLeaving }) => (node === undefined || isLeaving ? [] : [node]))
  }

  /** By its place in the plan, or by a node that runs or ran there. */
  find(node: SkepNode | number): Machine {
    const machine =
      typeof node === 'number' ? this.machines[node] : this.machines.find(({ name }) => name === node.name)
    if (machine === undefined) throw new TypeError(`there is no node ${typeof node === 'number' ? node : node.name}`)
    return machine
  }

  /** One more, on which nothing runs yet. */
  add(name?: string): Machine {
    const index = this.machines.length
    const machine: Machine = {
      index,
      name: name ?? `node-${index + 1}`,
      address: `10.0.${index >> 8}.${(index & 0xff) + 1}:4370`,
      clock: { rate: 1, stepMs: 0 },
      generation: 0,
      process: undefined,
      node: undefined,
      isLeaving: false,
      returns: 0,
    }
    this.machines.push(machine)
    this.#network.place(machine.address, index)
    return machine
  }

  /** Starts a process there; resolves with its node, which listens. */
  async launch(machine: Machine): Promise<SkepNode> {
    machine.generation++
    const random = seedRandom(Math.imul(this.#seed + 1, 0x9e3779b1) ^ (machine.index * 1009 + machine.generation))
    const process = new SimProcess(machine.index, machine.clock, random, this.#network)
    machine.process = process
    const node = await startNodeIn(process, this.#configOf(machine))
    if (machine.process !== process) throw new TypeError(`${machine.name} was killed while it started`)
    machine.node = node
    layersOf(node).cluster.on('condemned', () => {
      this.rejoined++
    })
    node.on('registered', ({ name }) => void this.#owed.delete(name))
    return node
  }

  /** The process ends between two of its turns. */
  kill(machine: Machine): void {
    const { process, node } = machine
    if (process === undefined) return
    this.#owe(machine)
    machine.process = undefined
    machine.node = undefined
    machine.isLeaving = false
    process.die()
    this.#network.died(process)
    // Nothing of this reaches the others any more; those who wait in this program for the node hear that it ended.
    void node?.stop()
  }

  /** Starts it again after so long, where nobody else has. */
  relaunch(machine: Machine, afterMs: number): void {
    machine.returns++
    this.#loop.at(this.#loop.now + afterMs, kinds.plan, undefined, () => {
      machine.returns--
      if (machine.process !== undefined) return
      this.launch(machine).catch((error: unknown) => {
        if (machine.process !== undefined) this.broken.push(`${machine.name} does not start: ${String(error)}`)
      })
    })
  }

  /** It leaves in order; resolves when it has gone. */
  async drain(machine: Machine): Promise<void> {
    const { node, process } = machine
    if (node === undefined || process === undefined || machine.isLeaving) return
    this.#owe(machine)
    machine.isLeaving = true
    // A process that is killed meanwhile never comes to the end of it.
    await Promise.race([node.drain({ timeout: drainMs }), process.death])
    if (machine.process === process) this.kill(machine)
  }

  /** Why there is no rest yet, a line each. */
  unrest(): string[] {
    const lines = this.machines.flatMap(({ name, process, node, isLeaving, returns }) => [
      ...(process !== undefined && node === undefined ? [`${name} does not listen yet`] : []),
      ...(isLeaving ? [`${name} is leaving`] : []),
      ...(returns > 0 ? [`${name} is about to start again`] : []),
    ])
    // Not at once: what is left of a cluster waits before it believes that the others are gone.
    const lost = this.#unpaid().map((name) => `lost: '${name}' was not started again after its node was gone`)
    return [...lines, ...lost]
  }

  /** Placed names that were lost with their node, that nobody holds, and that were not stopped since. */
  #unpaid(): string[] {
    const { nodes } = this
    return [...this.#owed.keys()].filter((name) => {
      if (nodes.some((node) => node.whereis(name) !== undefined)) return false
      const told = nodes.map((node) => node.explain(name))
      // It may have been stopped while it was being started again: nobody saw it live then.
      return told.some(({ orphaned }) => orphaned) || !told.some(({ struck }) => struck)
    })
  }

  /** What is placed there and known elsewhere must be started again by those who know it, unless they end as well. */
  #owe(machine: Machine): void {
    const { node } = machine
    if (node === undefined) return
    for (const [name, knowing] of this.#owed) {
      knowing.delete(node)
      if (knowing.size === 0) this.#owed.delete(name)
    }
    const others = this.nodes.filter((other) => other !== node)
    for (const { name, placed, phase, pid } of layersOf(node).actors.reports()) {
      if (!placed || phase !== 'running' || name === undefined) continue
      const knowing = others.filter((other) => other.whereis(name)?.equals(pid))
      if (knowing.length > 0) this.#owed.set(name, new Set(knowing))
    }
  }

  #configOf(machine: Machine): NodeConfig {
    const { actors = [], config = {}, log } = this.#options
    const take = (level: LogLine['level'], fields: object, text: string): void => {
      if (level === 'fatal') this.broken.push(`${machine.name}: ${text}`)
      log?.({ at: this.#loop.now, node: machine.name, level, text, fields })
    }
    // Which addresses there are is known to all: the seeds of a cluster usually are.
    const addresses = this.#network.addresses()
    return {
      ...config,
      name: machine.name,
      cluster: 'simulation',
      listen: machine.address,
      secret: 'simulation',
      actors,
      signals: false,
      logger: loggerInto(take, false),
      discovery: async function* ({ signal }) {
        yield addresses
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
      },
      onFatal: (error) => {
        this.broken.push(
          `${machine.name} broke: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
        )
      },
    }
  }
}
