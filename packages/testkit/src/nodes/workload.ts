/**
 * One run of many: a cluster and its faults drawn from a seed, programs on its nodes that start, call, cast, stream,
 * group and stop at random, and the rules that must hold whatever happens.
 */
import { type ActorDefinition, anonymous, defineActor, type Self, via } from '@skep/actor'
import { below, nextFloat, pick, type Random, seedRandom } from '@skep/cluster/core'
import type { SkepNode } from 'skep'
import type { Rule, RunReport, Violation } from '../machines/report.js'
import { actMs, drawPlan, type NodeFaultName } from './draw.js'
import { Ledger } from './ledger.js'
import { SimulationError } from './options.js'
import { type Simulation, simulate } from './simulation.js'

export interface NodesRunOptions {
  readonly seed: number
  /** Fewest and most nodes, both included. */
  readonly nodes: readonly [number, number]
  readonly faults: readonly NodeFaultName[]
  /** Gets the lines of all logs and of the workload. */
  readonly trace?: ((line: string) => void) | undefined
}

/** Operations of a run, and the longest time between two. */
const opsAtLeast = 100
const opsBesides = 60
const gapMs = (2 * actMs) / (opsAtLeast + opsBesides)
/** Calls end within this; what still waits when it has passed is stuck. */
const callMs = 5000
const groupName = 'group'

/** One run. Equal options give equal reports, the hash of all events included. */
export async function runNodesSeed(options: NodesRunOptions): Promise<RunReport> {
  const plan = drawPlan(options.seed, options.nodes, options.faults)
  const { trace } = options
  const ledger = new Ledger(() => sim?.now ?? 0)
  let sim: Simulation | undefined
  const definition = workerFor(ledger, () => sim)
  try {
    sim = await simulate({
      plan,
      actors: [definition],
      ...(trace === undefined
        ? {}
        : { log: ({ at, node, level, text }) => trace(`${at.toFixed(3).padStart(10)} ${node} ${level} ${text}`) }),
    })
    const programs = new Programs(sim, ledger, definition, options)
    try {
      await programs.run()
      await sim.settle()
      await programs.finish()
      await sim.settle()
      await sim.check()
    } catch (error) {
      note(ledger, error)
    }
    ledger.close()
    return programs.report()
  } finally {
    await sim?.[Symbol.asyncDispose]()
  }
}

/** What a simulation found, under the rules of the report. */
function note(ledger: Ledger, error: unknown): void {
  if (!(error instanceof SimulationError)) return ledger.breaks('thrown', String((error as Error).stack ?? error))
  const isStuck = error.message.startsWith('no rest')
  for (const fault of isStuck ? [error.faults.join('; ')] : error.faults) {
    const rule = /^(diverged|ghost|duplicate|lost): /.exec(fault)?.[1] as Rule | undefined
    ledger.breaks(rule ?? (isStuck ? 'stuck' : 'thrown'), fault)
  }
}

type Worker = ActorDefinition<[], object, ReturnType<typeof methodsFor>>
type WorkerSelf = Pick<Self<object>, 'pid'>

function methodsFor(ledger: Ledger, sim: () => Simulation | undefined) {
  return {
    add(self: WorkerSelf, id: string): string {
      ledger.applies(id, String(self.pid))
      return String(self.pid)
    },
    async addSlowly(self: WorkerSelf, id: string, ms: number): Promise<string> {
      // Its node may go on as another boot meanwhile, and its pid with it.
      const pid = String(self.pid)
      ledger.applies(id, pid)
      await sim()?.advance(ms)
      return pid
    },
    whoAreYou: (self: WorkerSelf): string => String(self.pid),
    async *count(_self: WorkerSelf, upTo: number): AsyncGenerator<number> {
      for (let i = 0; i < upTo; i++) yield i
    },
  }
}

function workerFor(ledger: Ledger, sim: () => Simulation | undefined): Worker {
  return defineActor('worker', { init: () => ({}), on: methodsFor(ledger, sim) })
}

class Programs {
  readonly #sim: Simulation
  readonly #ledger: Ledger
  readonly #worker: Worker
  readonly #options: NodesRunOptions
  readonly #random: Random
  readonly #names: readonly string[]
  readonly #open = new Set<Promise<void>>()
  #ops = 0
  #raced = false

  constructor(sim: Simulation, ledger: Ledger, worker: Worker, options: NodesRunOptions) {
    this.#sim = sim
    this.#ledger = ledger
    this.#worker = worker
    this.#options = options
    this.#random = seedRandom(Math.imul(options.seed + 1, 0x85ebca6b) ^ 0x3c0de)
    this.#names = Array.from({ length: 1 + below(this.#random, 8) }, (_, i) => `name-${i + 1}`)
  }

  async run(): Promise<void> {
    for (let i = opsAtLeast + below(this.#random, opsBesides); i > 0; i--) {
      await this.#sim.advance(nextFloat(this.#random) * gapMs)
      const node = pick(this.#random, this.#sim.nodes)
      const name = pick(this.#random, this.#names)
      if (node === undefined || name === undefined) continue
      this.#ops++
      this.#begin(node, name)
    }
  }

  /** At rest: every node reaches every name, and shows the same groups. */
  async finish(): Promise<void> {
    await this.#sim.advance(callMs)
    await Promise.all(this.#open)
    const [first, ...others] = this.#sim.nodes
    if (first === undefined) return this.#ledger.breaks('stuck', 'no node is left')
    for (const node of this.#sim.nodes) {
      for (const name of this.#names) if (node.whereis(name) !== undefined) await this.#lastCall(node, name)
    }
    const pidsOf = (node: SkepNode): string => node.group(groupName).pids().map(String).sort().join(' ')
    for (const node of others) {
      if (pidsOf(node) !== pidsOf(first))
        this.#ledger.breaks('diverged', `${node.name} shows another group than ${first.name}`)
    }
  }

  report(): RunReport {
    const { seed } = this.#options
    const { findings, outcomes } = this.#ledger
    const { frames, events } = this.#sim.counts
    const violations: Violation[] = findings.map(({ rule, at, text }) => ({ seed, rule, at, text }))
    const count = this.#sim.rejoined
    return {
      seed,
      nodes: this.#sim.plan.starts.length,
      ops: this.#ops,
      frames,
      events,
      virtualMs: this.#sim.now,
      raced: this.#raced,
      hash: this.#sim.hash,
      violations,
      outcomes: count === 0 ? outcomes : { ...outcomes, rejoined: count },
    }
  }

  async #lastCall(node: SkepNode, name: string): Promise<void> {
    const id = this.#ledger.asks(`last of ${node.name}`, name)
    try {
      this.#ledger.answered(id, await node.via(this.#worker, name).add(id))
    } catch (error) {
      this.#ledger.failed(id, error, false)
      this.#ledger.breaks('stuck', `at rest ${node.name} cannot call '${name}': ${String(error)}`)
    }
  }

  #begin(node: SkepNode, name: string): void {
    const what = below(this.#random, 20)
    if (what < 3) return this.#claim(node, name, () => node.spawn(this.#worker, via(name)))
    if (what < 5) return this.#claim(node, name, () => node.start(this.#worker, via(name)))
    if (what < 6) return this.#claim(node, name, () => node.start(this.#worker, via(name, { claim: 'local' })))
    if (what < 11) return this.#calls(node, name, 1 + below(this.#random, 5))
    if (what < 13) return this.#ensure(node, name)
    if (what < 15) return this.#cast(node, name)
    if (what < 17) return this.#stream(node, name)
    if (what < 18) return this.#try('joined', this.#joinGroup(node))
    if (what < 19) return this.#try('group asked', this.#askGroup(node))
    this.#trace(node, `stops '${name}', which ${node.whereis(name) ?? 'nobody'} holds`)
    this.#try('stopped', node.via(this.#worker, name).$.stop('enough'))
  }

  #claim(node: SkepNode, name: string, ask: () => Promise<unknown>): void {
    const before = membersOf(node)
    this.#trace(node, `asks for '${name}'`)
    const claimed = ask().finally(() => {
      this.#raced ||= membersOf(node) !== before
    })
    this.#try('claimed', claimed)
  }

  #calls(node: SkepNode, name: string, count: number): void {
    const ref = node.via(this.#worker, name)
    for (let i = 0; i < count; i++) this.#call(node, name, (id) => ref.add(id))
  }

  #ensure(node: SkepNode, name: string): void {
    const ref = node.ensure(this.#worker, via(name))
    const ms = below(this.#random, 300)
    this.#call(node, name, (id) => ref.addSlowly(id, ms))
  }

  #call(node: SkepNode, name: string, send: (id: string) => Promise<string>): void {
    const id = this.#ledger.asks(`${node.name} ${node.boot}`, name)
    this.#trace(node, `calls '${name}' ${id}`)
    this.#track(
      send(id).then(
        (by) => this.#ledger.answered(id, by),
        (error: unknown) => this.#ledger.failed(id, error, !this.#lives(node)),
      ),
    )
  }

  #cast(node: SkepNode, name: string): void {
    const id = this.#ledger.asks(`${node.name} ${node.boot}`, name)
    this.#ledger.cast(id)
    node.via(this.#worker, name).$.cast.add(id)
  }

  #stream(node: SkepNode, name: string): void {
    const upTo = 1 + below(this.#random, 40)
    const leaveAt = nextFloat(this.#random) < 0.3 ? below(this.#random, upTo) : upTo
    const read = async (): Promise<void> => {
      let next = 0
      for await (const item of node.via(this.#worker, name).$.with({ timeout: callMs }).count(upTo)) {
        if (item !== next) this.#ledger.breaks('order', `the stream of '${name}' gave ${item} instead of ${next}`)
        next++
        if (next === leaveAt) return
      }
      if (next !== upTo) this.#ledger.breaks('lost', `the stream of '${name}' ended after ${next} of ${upTo}`)
    }
    this.#try('streamed', read())
  }

  async #joinGroup(node: SkepNode): Promise<void> {
    const pid = await node.start(this.#worker, anonymous)
    await node.group(this.#worker, groupName).join(pid)
  }

  async #askGroup(node: SkepNode): Promise<void> {
    for (const reply of await node.group(this.#worker, groupName).call.whoAreYou()) {
      if (reply.status === 'rejected' || reply.value === String(reply.pid)) continue
      this.#ledger.breaks('outcome', `${reply.value} answered in the group for ${reply.pid}`)
    }
  }

  /** Something whose failure is nobody's fault; counted by how it ended. */
  #try(done: string, work: Promise<unknown>): void {
    this.#track(
      work.then(
        () => this.#ledger.count(done),
        (error: unknown) => this.#ledger.count(String((error as { code?: string }).code ?? error)),
      ),
    )
  }

  #track(promise: Promise<void>): void {
    this.#open.add(promise)
    void promise.finally(() => this.#open.delete(promise))
  }

  #lives(node: SkepNode): boolean {
    return this.#sim.nodes.includes(node)
  }

  #trace(node: SkepNode, text: string): void {
    this.#options.trace?.(`${this.#sim.now.toFixed(3).padStart(10)} ${node.name} -     ${text}`)
  }
}

function membersOf(node: SkepNode): string {
  return node
    .members()
    .map(({ boot }) => boot)
    .join()
}
