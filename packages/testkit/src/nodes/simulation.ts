/**
 * A cluster of real nodes (`startNode` as it is) in one process, on a virtual clock and network, decided by one seed.
 * Virtual time runs by itself whenever the code that started the simulation waits for something.
 */

import { seedRandom } from '@skep/cluster/core'
import { realChance } from '@skep/cluster/internal'
import type { SkepNode } from 'skep'
import { Fleet } from './fleet.js'
import { kinds, Loop } from './loop.js'
import { type Cut, calmNetwork, Network } from './network.js'
import { type Invariant, type SimulateOptions, SimulationError } from './options.js'
import { checkPlan, endOf, type Fault, type Plan, planAsCode } from './plan.js'
import { faultsAtRest, unrest } from './rest.js'

/** How often `settle` looks, and how long it must have found rest. */
const lookMs = 100
const restMs = 1000
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

/**
 * Runs a test's body on a cluster that ends with it. Whatever the body throws, a failed assertion for one, says at the
 * end of its message how to make the run again, in any test runner. Resolves and rejects as the body does.
 */
export async function withSimulation<T>(options: SimulateOptions, body: (sim: Simulation) => Promise<T>): Promise<T> {
  const sim = await simulate(options)
  try {
    return await body(sim)
  } catch (error) {
    if (error instanceof Error && !(error instanceof SimulationError)) addPlan(error, sim)
    throw error
  } finally {
    await sim[Symbol.asyncDispose]()
  }
}

function addPlan(error: Error, sim: Simulation): void {
  const text = `${error.message}\nThe run again:\n${sim.planAsCode()}`
  // Runners show the stack, which has a copy of the message. Those of the platform's own errors cannot be written.
  const stack = error.stack?.replace(error.message, () => text)
  for (const [key, value] of Object.entries({ message: text, stack })) Reflect.set(error, key, value)
}

export class Simulation implements AsyncDisposable {
  readonly plan: Plan
  readonly #options: SimulateOptions
  readonly #loop: Loop
  readonly #network: Network
  readonly #invariants: Map<string, Invariant>
  readonly #cuts = new Set<Cut>()
  readonly #fleet: Fleet
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
    this.#fleet = new Fleet(seed, options, this.#network)
  }

  /** Called once, by `simulate`. */
  async begin(): Promise<void> {
    const { starts, faults } = this.plan
    const machines = starts.map(() => this.#fleet.add())
    await Promise.all(machines.map((machine, i) => this.#at(starts[i] ?? 0, () => this.#fleet.launch(machine))))
    const from = this.#loop.now
    for (const fault of faults) this.#loop.at(from + fault.at, kinds.plan, undefined, () => this.#strike(fault))
    this.#faultsEndAt = from + endOf(this.plan)
  }

  /** The live nodes, in the order of their machines; also those that still join. */
  get nodes(): SkepNode[] {
    return this.#fleet.nodes
  }

  /** How many times a node went on as another boot because the others had declared it down. */
  get rejoined(): number {
    return this.#fleet.rejoined
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
    this.#fleet.kill(this.#fleet.find(node))
  }

  /** Starts a process on a machine where none runs any more; resolves with its node, which listens. */
  async restart(node: SkepNode | number): Promise<SkepNode> {
    const machine = this.#fleet.find(node)
    if (machine.process !== undefined) throw new TypeError(`${machine.name} runs: crash or drain it first`)
    return this.#fleet.launch(machine)
  }

  /** Starts a node on a machine more; resolves when it listens. */
  start({ name }: { readonly name?: string } = {}): Promise<SkepNode> {
    return this.#fleet.launch(this.#fleet.add(name))
  }

  /** Lets the node leave in order; resolves when it has gone. */
  drain(node: SkepNode | number): Promise<void> {
    return this.#fleet.drain(this.#fleet.find(node))
  }

  /** The process stands still for so long: its timers are late, what arrives waits. */
  stall(node: SkepNode | number, ms: number): void {
    this.#fleet.find(node).process?.stall(ms)
  }

  /** The time of day of the node's machine jumps. */
  step(node: SkepNode | number, ms: number): void {
    this.#fleet.find(node).clock.stepMs += ms
  }

  // Rest.

  /**
   * Waits until the faults of the plan are over and the cluster is at rest: every node ready, all show the same members
   * and names, nobody waits, placed actors whose node is gone run again. Throws a SimulationError that names what is
   * stuck when there is no rest in time.
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
    this.#throwIf([...this.#fleet.broken, ...faultsAtRest(this.nodes)])
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
    for (const machine of this.#fleet.machines) this.#fleet.kill(machine)
    this.#loop.stop()
  }

  #unrest(): string[] {
    return [
      ...this.#fleet.unrest(),
      ...[...this.#cuts].map((cut) => `nothing passes ${this.#cutText(cut)}: heal() is missing`),
      ...unrest(this.nodes),
    ]
  }

  #cutText({ from, to, oneWay }: Cut): string {
    const [near, far] = [from, to].map((side) => [...side].map((index) => this.#fleet.machines[index]?.name).join(', '))
    return oneWay ? `from ${near} to ${far}` : `between ${near} and ${far}`
  }

  #throwIf(faults: readonly string[]): void {
    if (faults.length > 0) throw this.#error('a rule is broken', faults)
  }

  #error(what: string, faults: readonly string[]): SimulationError {
    return new SimulationError(what, faults, this.plan, this.now)
  }

  #outOfTime(): void {
    this.#fleet.broken.push(
      `${this.#options.limitMs ?? defaultLimitMs} ms of virtual time have passed: is there an endless wait?`,
    )
    for (const machine of this.#fleet.machines) this.#fleet.kill(machine)
    for (const settle of [...this.#waits]) settle()
  }

  /** What `work` gives at that moment. Rejects when the simulation is over before. */
  #at<T>(atMs: number, work: () => T | Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const over = (): void => reject(this.#error('the simulation is over', this.#fleet.broken))
      if (this.#disposed || this.#fleet.broken.length > 0) return over()
      this.#waits.add(over)
      this.#loop.at(atMs, kinds.plan, undefined, () => {
        this.#waits.delete(over)
        Promise.resolve().then(work).then(resolve, reject)
      })
    })
  }

  // What the plan says.

  #strike(fault: Fault): void {
    switch (fault.type) {
      case 'crash': {
        const machine = this.#fleet.find(fault.node)
        this.#fleet.kill(machine)
        if (fault.restartMs !== undefined) this.#fleet.relaunch(machine, fault.restartMs)
        return
      }
      case 'leave': {
        const machine = this.#fleet.find(fault.node)
        void this.#fleet.drain(machine).then(() => {
          if (fault.restartMs !== undefined) this.#fleet.relaunch(machine, fault.restartMs)
        })
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

  #forAWhile(ms: number, cuts: readonly Cut[]): void {
    this.#loop.at(this.now + ms, kinds.plan, undefined, () => {
      for (const cut of cuts) {
        this.#cuts.delete(cut)
        this.#network.heal(cut)
      }
    })
  }

  #partition(groups: readonly (readonly number[])[]): Cut[] {
    const named = new Set(groups.flat())
    const rest = this.#fleet.machines.map(({ index }) => index).filter((index) => !named.has(index))
    const sides = [...groups, rest].map((group) => new Set(group))
    return sides.flatMap((from, i) => sides.slice(i + 1).map((to) => this.#cut({ from, to, oneWay: false })))
  }

  #cut(cut: Cut): Cut {
    this.#cuts.add(cut)
    this.#network.cut(cut)
    return cut
  }

  #indexOf(node: SkepNode | number): number {
    return this.#fleet.find(node).index
  }
}

/** Where nobody chose a seed: it is said first, so that the run can be had again. */
function drawSeed(): number {
  const seed = realChance.seed() >>> 1
  process.stderr.write(`simulate: seed ${seed}\n`)
  return seed
}
