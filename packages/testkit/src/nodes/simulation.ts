/**
 * A cluster of real nodes (`startNode` as it is) in one process, on a virtual clock and network, decided by one seed.
 * Virtual time runs by itself whenever the code that started the simulation waits for something.
 */

import type { AnyActor } from '@skep/actor'
import { seedRandom } from '@skep/cluster/core'
import { realChance } from '@skep/cluster/internal'
import type { NodeConfig, SkepNode } from 'skep'
import { layersOf, startNodeIn } from 'skep/internal'
import { kinds, Loop } from './loop.js'
import { type LogLine, loggerInto, type Machine } from './machine.js'
import { type Cut, calmNetwork, Network } from './network.js'
import { checkPlan, endOf, type Fault, type Plan, planAsCode } from './plan.js'
import { SimProcess } from './process.js'
import { faultsAtRest, unrest } from './rest.js'

/** A rule of the user's own: throws where it is broken. Asked by `check`. */
export type Invariant = (sim: Simulation) => void | Promise<void>

export interface SimulateOptions {
  /** What befalls the cluster; made by hand or by `faults`. Gives the seed and the nodes. */
  readonly plan?: Plan
  /** Decides everything; drawn and printed where there is neither this nor a plan. */
  readonly seed?: number
  /** How many nodes start together where there is no plan: 3. */
  readonly nodes?: number
  readonly actors?: readonly AnyActor[]
  /** More of each node's configuration. */
  readonly config?: Partial<Pick<NodeConfig, 'isolation' | 'limits' | 'roles' | 'weight'>>
  /** Rules of your own, by name: asked by `check`. */
  readonly invariants?: Readonly<Record<string, Invariant>>
  /** Milliseconds of virtual time within which `settle` demands rest: 60,000. */
  readonly restWithinMs?: number
  /** Milliseconds of virtual time that the simulation may last: an hour. */
  readonly limitMs?: number
  /** Gets the lines of all logs. */
  readonly log?: (line: LogLine) => void
}

/** A rule was broken, or there is no rest. The message has the seed and the plan to run it again. */
export class SimulationError extends Error {
  override readonly name = 'SimulationError'
  readonly seed: number
  readonly plan: Plan
  /** What is wrong, a line each. */
  readonly faults: readonly string[]

  constructor(what: string, faults: readonly string[], plan: Plan, atMs: number) {
    const lines = faults.map((fault) => `  - ${fault}`).join('\n')
    super(
      `${what} (seed ${plan.seed}, after ${(atMs / 1000).toFixed(3)} s):\n${lines}\nThe run again:\n${planAsCode(plan)}`,
    )
    this.seed = plan.seed
    this.plan = plan
    this.faults = faults
  }
}

/** How often `settle` looks, and how long it must have found rest. */
const lookMs = 100
const restMs = 1000
/** A process that ended because the others had declared it down is started again after so long. */
const supervisorMs = 1500
/** A drain is over when it is, or after this. */
const drainMs = 10_000
const defaultLimitMs = 3_600_000

/** Starts a cluster: resolves when every node of the plan listens. They join while virtual time goes on. */
export async function simulate(options: SimulateOptions = {}): Promise<Simulation> {
  const sim = new Simulation(options)
  try {
    await sim.begin()
  } catch (error) {
    await sim[Symbol.asyncDispose]()
    throw error
  }
  return sim
}

export class Simulation implements AsyncDisposable {
  readonly plan: Plan
  /** Nodes that ended because the others had declared them down. */
  condemned = 0
  readonly #options: SimulateOptions
  readonly #loop: Loop
  readonly #network: Network
  readonly #machines: Machine[] = []
  readonly #invariants: Map<string, Invariant>
  readonly #cuts = new Set<Cut>()
  /** Placed names whose node is gone and which were not seen to have started again, with the nodes that know of them. */
  readonly #owed = new Map<string, Set<SkepNode>>()
  /** What no node may ever do, as it happened. */
  readonly #broken: string[] = []
  /** Who waits for a moment of virtual time; told when there is no more of it. */
  readonly #waits = new Set<() => void>()
  #faultsEndAt = 0
  #disposed = false

  constructor(options: SimulateOptions) {
    const { plan, nodes = 3, invariants = {} } = options
    const seed = plan?.seed ?? options.seed ?? drawSeed()
    this.plan = plan ?? { seed, starts: Array.from({ length: nodes }, () => 0), faults: [] }
    checkPlan(this.plan)
    this.#options = options
    this.#invariants = new Map(Object.entries(invariants))
    this.#loop = new Loop(options.limitMs ?? defaultLimitMs, () => this.#outOfTime())
    this.#network = new Network(this.#loop, seedRandom(this.plan.seed), { ...calmNetwork, ...this.plan.network })
  }

  /** Called once, by `simulate`. */
  async begin(): Promise<void> {
    const { starts, faults } = this.plan
    const machines = starts.map(() => this.#addMachine())
    await Promise.all(machines.map((machine, i) => this.#at(starts[i] ?? 0, () => this.#launch(machine))))
    const from = this.#loop.now
    for (const fault of faults) this.#loop.at(from + fault.at, kinds.plan, undefined, () => this.#strike(fault))
    this.#faultsEndAt = from + endOf(this.plan)
  }

  /** The live nodes, in the order of their machines; also those that still join. */
  get nodes(): SkepNode[] {
    return this.#machines.flatMap(({ node, isLeaving }) => (node === undefined || isLeaving ? [] : [node]))
  }

  get seed(): number {
    return this.plan.seed
  }

  /** Virtual milliseconds since the beginning. */
  get now(): number {
    return this.#loop.now
  }

  /** Over all that has happened: equal for equal runs. */
  get hash(): string {
    return this.#loop.hash
  }

  /** Messages that nodes have sent each other, and events of the virtual loop. */
  get counts(): { readonly frames: number; readonly events: number } {
    return { frames: this.#network.frames, events: this.#loop.events }
  }

  /** This run as code for a test. */
  planAsCode(): string {
    return planAsCode(this.plan)
  }

  /** Lets virtual time pass. */
  advance(ms: number): Promise<void> {
    return this.#at(this.#loop.now + ms, () => {})
  }

  /** Adds a rule that `check` asks. */
  invariant(name: string, rule: Invariant): void {
    this.#invariants.set(name, rule)
  }

  // Faults.

  /** Nothing passes between different groups from now on; nodes in none are a group of their own. Ends earlier ones. */
  partition(groups: readonly (readonly (SkepNode | number)[])[]): void {
    this.heal()
    this.#partition(groups.map((group) => group.map((node) => this.#indexOf(node))))
  }

  /** Nothing passes from one to the other, nor back, unless `oneWay`; until `heal`. */
  cut(from: SkepNode | number, to: SkepNode | number, { oneWay = false }: { readonly oneWay?: boolean } = {}): void {
    this.#cut({ from: new Set([this.#indexOf(from)]), to: new Set([this.#indexOf(to)]), oneWay })
  }

  /** Ends all cuts. */
  heal(): void {
    for (const cut of this.#cuts) this.#network.heal(cut)
    this.#cuts.clear()
  }

  /** Kills the process: what its callers wait for fails with ERR_STOPPED, the others see its connections reset. */
  crash(node: SkepNode | number): void {
    this.#kill(this.#machineOf(node))
  }

  /** Starts a process on a machine where none runs any more; resolves with its node, which listens. */
  async restart(node: SkepNode | number): Promise<SkepNode> {
    const machine = this.#machineOf(node)
    if (machine.process !== undefined) throw new TypeError(`${machine.name} runs: crash or drain it first`)
    return this.#launch(machine)
  }

  /** Starts a node on a machine more; resolves when it listens. */
  start({ name }: { readonly name?: string } = {}): Promise<SkepNode> {
    return this.#launch(this.#addMachine(name))
  }

  /** Lets the node leave in order; resolves when it has gone. */
  drain(node: SkepNode | number): Promise<void> {
    return this.#drain(this.#machineOf(node))
  }

  /** The process stands still for so long: its timers are late, what arrives waits. */
  stall(node: SkepNode | number, ms: number): void {
    this.#machineOf(node).process?.stall(ms)
  }

  /** The time of day of the node's machine jumps. */
  step(node: SkepNode | number, ms: number): void {
    this.#machineOf(node).clock.stepMs += ms
  }

  // Rest.

  /**
   * Waits until the faults of the plan are over and the cluster is at rest: every node ready, all show the same members
   * and names, nobody waits, placed actors whose node is gone run again. Throws a SimulationError that names what is stuck when there is no rest in time.
   */
  async settle(): Promise<void> {
    await this.advance(Math.max(0, this.#faultsEndAt - this.now))
    const { restWithinMs = 60_000 } = this.#options
    const until = this.now + restWithinMs
    let since = this.now
    for (;;) {
      const stuck = this.#unrest()
      if (stuck.length > 0) since = this.now
      if (this.now - since >= restMs) return
      if (this.now >= until)
        throw this.#error(`no rest within ${restWithinMs} ms`, [...stuck, ...this.#network.waiting()])
      await this.advance(lookMs)
    }
  }

  /**
   * Is what the nodes show right? Each name has one holder, the same on all nodes, which runs; nothing runs beside it;
   * no placed name was lost; no node broke; your own invariants hold. Ask it at rest. Throws a SimulationError; gives a
   * promise where an invariant did.
   */
  check(): void | Promise<void> {
    this.#throwIf([...this.#broken, ...faultsAtRest(this.nodes)])
    const promises: Promise<void>[] = []
    for (const [name, rule] of this.#invariants) {
      const broken = (error: unknown): never => {
        throw this.#error('an invariant is broken', [
          `${name}: ${error instanceof Error ? error.message : String(error)}`,
        ])
      }
      try {
        const result = rule(this)
        if (result !== undefined) promises.push(result.catch(broken))
      } catch (error) {
        broken(error)
      }
    }
    return promises.length === 0 ? undefined : Promise.all(promises).then(() => {})
  }

  /** Ends all nodes at once. Nothing of the simulation keeps the process alive afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return
    this.#disposed = true
    for (const machine of this.#machines) this.#kill(machine)
    this.#loop.stop()
  }

  #unrest(): string[] {
    const starting = this.#machines.filter(({ process, node }) => process !== undefined && node === undefined)
    const leaving = this.#machines.filter(({ isLeaving }) => isLeaving)
    return [
      ...starting.map(({ name }) => `${name} does not listen yet`),
      ...leaving.map(({ name }) => `${name} is leaving`),
      ...[...this.#cuts].map((cut) => `nothing passes ${this.#cutText(cut)}: heal() is missing`),
      ...unrest(this.nodes),
      // Not at once: what is left of a cluster waits before it believes that the others are gone.
      ...this.#unpaid().map((name) => `lost: '${name}' was not started again after its node was gone`),
    ]
  }

  /** Placed names that were lost with their node and that nobody holds. */
  #unpaid(): string[] {
    const names = [...this.#owed.keys()]
    return names.filter((name) => !this.nodes.some((node) => node.whereis(name) !== undefined))
  }

  #cutText({ from, to, oneWay }: Cut): string {
    const [near, far] = [from, to].map((side) => [...side].map((index) => this.#machines[index]?.name).join(', '))
    return oneWay ? `from ${near} to ${far}` : `between ${near} and ${far}`
  }

  #throwIf(faults: readonly string[]): void {
    if (faults.length > 0) throw this.#error('a rule is broken', faults)
  }

  #error(what: string, faults: readonly string[]): SimulationError {
    return new SimulationError(what, faults, this.plan, this.now)
  }

  #outOfTime(): void {
    this.#broken.push(
      `${this.#options.limitMs ?? defaultLimitMs} ms of virtual time have passed: is there an endless wait?`,
    )
    for (const machine of this.#machines) this.#kill(machine)
    for (const settle of [...this.#waits]) settle()
  }

  /** What `work` gives at that moment. Rejects when the simulation is over before. */
  #at<T>(atMs: number, work: () => T | Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const over = (): void => reject(this.#error('the simulation is over', this.#broken))
      if (this.#disposed || this.#broken.length > 0) return over()
      this.#waits.add(over)
      this.#loop.at(atMs, kinds.plan, undefined, () => {
        this.#waits.delete(over)
        Promise.resolve().then(work).then(resolve, reject)
      })
    })
  }

  // Machines and their processes.

  #addMachine(name?: string): Machine {
    const index = this.#machines.length
    const machine: Machine = {
      index,
      name: name ?? `node-${index + 1}`,
      address: `10.0.${index >> 8}.${(index & 0xff) + 1}:4370`,
      clock: { rate: 1, stepMs: 0 },
      generation: 0,
      process: undefined,
      node: undefined,
      isLeaving: false,
    }
    this.#machines.push(machine)
    this.#network.place(machine.address, index)
    return machine
  }

  async #launch(machine: Machine): Promise<SkepNode> {
    machine.generation++
    const random = seedRandom(Math.imul(this.plan.seed + 1, 0x9e3779b1) ^ (machine.index * 1009 + machine.generation))
    const failed = (): void => this.#condemned(machine, process)
    const process: SimProcess = new SimProcess(machine.index, machine.clock, random, this.#network, failed)
    machine.process = process
    const node = await startNodeIn(process, this.#configOf(machine))
    if (machine.process !== process) throw new TypeError(`${machine.name} was killed while it started`)
    machine.node = node
    node.on('registered', ({ name }) => void this.#owed.delete(name))
    return node
  }

  #configOf(machine: Machine): NodeConfig {
    const { actors = [], config = {}, log } = this.#options
    const take = (level: LogLine['level'], fields: object, text: string): void => {
      if (level === 'fatal') this.#broken.push(`${machine.name}: ${text}`)
      log?.({ at: this.now, node: machine.name, level, text, fields })
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
        this.#broken.push(
          `${machine.name} broke: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
        )
      },
    }
  }

  #kill(machine: Machine): void {
    const { process, node } = machine
    if (process === undefined) return
    this.#owe(machine)
    machine.process = undefined
    machine.node = undefined
    machine.isLeaving = false
    process.alive = false
    this.#network.died(process)
    // Nothing of this reaches the others any more; those who wait in this program for the node hear that it ended.
    void node?.stop()
  }

  /** The others hold this boot to be down: it ends by itself, and a supervisor starts the process again. */
  #condemned(machine: Machine, process: SimProcess): void {
    if (machine.process !== process) return
    this.condemned++
    this.#owe(machine)
    machine.node = undefined
    this.#loop.at(this.now + supervisorMs, kinds.plan, undefined, () => {
      if (machine.process !== process) return
      this.#kill(machine)
      this.#relaunch(machine)
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

  #relaunch(machine: Machine): void {
    if (machine.process !== undefined || this.#disposed) return
    this.#launch(machine).catch((error: unknown) => {
      if (machine.process !== undefined) this.#broken.push(`${machine.name} does not start: ${String(error)}`)
    })
  }

  async #drain(machine: Machine): Promise<void> {
    const { node, process } = machine
    if (node === undefined || process === undefined || machine.isLeaving) return
    this.#owe(machine)
    machine.isLeaving = true
    await node.drain({ timeout: drainMs })
    if (machine.process === process) this.#kill(machine)
  }

  // What the plan says.

  #strike(fault: Fault): void {
    switch (fault.type) {
      case 'crash': {
        const machine = this.#machineOf(fault.node)
        this.#kill(machine)
        return this.#later(fault.restartMs, () => this.#relaunch(machine))
      }
      case 'leave': {
        const machine = this.#machineOf(fault.node)
        void this.#drain(machine).then(() => this.#later(fault.restartMs, () => this.#relaunch(machine)))
        return
      }
      case 'partition':
        return this.#forAWhile(fault.forMs, this.#partition(fault.groups))
      case 'cut': {
        const cut = { from: new Set([fault.from]), to: new Set([fault.to]), oneWay: fault.oneWay }
        return this.#forAWhile(fault.forMs, [this.#cut(cut)])
      }
      case 'stall':
        return this.stall(fault.node, fault.forMs)
      case 'clock':
        return this.step(fault.node, fault.stepMs)
    }
  }

  #later(ms: number | undefined, work: () => void): void {
    if (ms !== undefined) this.#loop.at(this.now + ms, kinds.plan, undefined, work)
  }

  #forAWhile(ms: number, cuts: readonly Cut[]): void {
    this.#later(ms, () => {
      for (const cut of cuts) {
        this.#cuts.delete(cut)
        this.#network.heal(cut)
      }
    })
  }

  #partition(groups: readonly (readonly number[])[]): Cut[] {
    const named = new Set(groups.flat())
    const rest = this.#machines.map(({ index }) => index).filter((index) => !named.has(index))
    const sides = [...groups, rest].map((group) => new Set(group))
    return sides.flatMap((from, i) => sides.slice(i + 1).map((to) => this.#cut({ from, to, oneWay: false })))
  }

  #cut(cut: Cut): Cut {
    this.#cuts.add(cut)
    this.#network.cut(cut)
    return cut
  }

  #indexOf(node: SkepNode | number): number {
    return this.#machineOf(node).index
  }

  /** By its place in the plan, or by a node that runs or ran there. */
  #machineOf(node: SkepNode | number): Machine {
    const machine =
      typeof node === 'number' ? this.#machines[node] : this.#machines.find(({ name }) => name === node.name)
    if (machine === undefined) throw new TypeError(`there is no node ${typeof node === 'number' ? node : node.name}`)
    return machine
  }
}

/** Where nobody chose a seed: it is said first, so that the run can be had again. */
function drawSeed(): number {
  const seed = realChance.seed() >>> 1
  process.stderr.write(`simulate: seed ${seed}\n`)
  return seed
}
