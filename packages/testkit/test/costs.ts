/**
 * A cluster of real nodes on the virtual network, with a meter: what an operation puts on the wire, and what it takes of
 * the event loop. All of it is counted, nothing is timed, so equal code gives equal numbers on any machine.
 */
import { createHook } from 'node:async_hooks'
import type { AnyActor } from '@skep/actor'
import { seedRandom } from '@skep/cluster/core'
import { bytesTogether, joinFrames, splitFrames } from '@skep/cluster/internal'
import type { SkepNode } from 'skep'
import { type Endpoint, kindOf } from '../src/nodes/connection.js'
import { Fleet } from '../src/nodes/fleet.js'
import { kinds, Loop, type LoopEvent, type Owner } from '../src/nodes/loop.js'
import { calmNetwork, Network } from '../src/nodes/network.js'
import { unrest } from '../src/nodes/rest.js'

/** How frames are called, by the first number of each; no two alike. */
const frameNames: ReadonlyMap<number, string> = new Map([
  ...named(1, 'hello', 'proof', 'refuse', 'up'),
  ...named(8, 'chunk', 'last', 'lastRead'),
  ...named(16, 'ping', 'ack', 'pingReq', 'pingReqAck', 'news', 'noPort', 'bye', 'carry', 'relay'),
  ...named(32, 'digest', 'pull', 'busy', 'ops', 'state', 'claim', 'grant', 'taken', 'elsewhere', 'unused', 'check'),
  ...named(
    43,
    'handing',
    'take',
    'yield',
    'spawn',
    'spawned',
    'spawnFailed',
    'start',
    'startFailed',
    'running',
    'runs',
  ),
  ...named(53, 'idAsk', 'idGrant', 'idPoint', 'idConfirm', 'idGive', 'idGot', 'request', 'answer', 'flush', 'flushed'),
  ...named(63, 'more', 'call', 'reply', 'thrown', 'notDone', 'cast', 'cancel', 'open', 'item', 'credit', 'passed'),
])

function named(first: number, ...names: readonly string[]): (readonly [number, string])[] {
  return names.map((name, i) => [first + i, name])
}

const upkeep: readonly string[] = ['ping', 'ack', 'digest']
const membership: readonly string[] = [
  ...['hello', 'proof', 'refuse', 'up', 'last', 'lastRead'],
  ...['pingReq', 'pingReqAck', 'news', 'noPort', 'bye', 'carry', 'relay', 'take', 'yield'],
  ...['idAsk', 'idGrant', 'idPoint', 'idConfirm', 'idGive', 'idGot'],
]

/** Which frames are counted: all; all that do not pass at rest as well; those without which there would be no names. */
const counting = {
  all: () => true,
  work: (name: string) => !upkeep.includes(name),
  names: (name: string) => !upkeep.includes(name) && !membership.includes(name),
} as const
type Counting = keyof typeof counting

/** What was counted while something was done. */
export interface Bill {
  /** Messages on the wire, the bytes in them, and how often the system was handed some. */
  readonly messages: number
  readonly bytes: number
  readonly writes: number
  /** The most that one node sent. */
  readonly mostMessages: number
  readonly mostBytes: number
  /** By their name; small ones of one turn are one message. */
  readonly frames: ReadonlyMap<string, number>
  /** Timers set, and turns of the event loop asked for. */
  readonly timeouts: number
  readonly turns: number
  /** Made by anybody in this process: promises, and jobs queued in front of the event loop. */
  readonly promises: number
  readonly jobs: number
}

class Meter {
  readonly frames = new Map<string, number>()
  readonly sent = new Map<number, { messages: number; bytes: number }>()
  writes = 0
  timeouts = 0
  turns = 0
  promises = 0
  jobs = 0
  readonly #counts: (name: string) => boolean
  readonly #hook = createHook({
    init: (_id, type) => {
      if (type === 'PROMISE') this.promises++
      else if (type === 'Microtask' || type === 'TickObject') this.jobs++
    },
  })

  constructor(what: Counting) {
    this.#counts = counting[what]
    this.#hook.enable()
  }

  wrote(from: number, messages: readonly Buffer[]): void {
    const sent = this.sent.get(from) ?? { messages: 0, bytes: 0 }
    const before = sent.messages
    for (const message of messages) {
      const lengths: number[] = []
      splitFrames(message, (frame) => {
        const name = nameOf(frame)
        if (this.#counts(name)) {
          lengths.push(frame.length)
          this.frames.set(name, (this.frames.get(name) ?? 0) + 1)
        }
        return true
      })
      if (lengths.length === 0) continue
      sent.messages++
      sent.bytes += bytesOf(lengths)
    }
    if (sent.messages === before) return
    this.writes++
    this.sent.set(from, sent)
  }

  end(): Bill {
    this.#hook.disable()
    const { frames, writes, timeouts, turns, promises, jobs } = this
    const sent = [...this.sent.values()]
    const sum = (counts: readonly number[]): number => counts.reduce((all, one) => all + one, 0)
    const messages = sent.map((one) => one.messages)
    const bytes = sent.map((one) => one.bytes)
    return {
      ...{ messages: sum(messages), bytes: sum(bytes), writes, frames, timeouts, turns, promises, jobs },
      ...{ mostMessages: Math.max(0, ...messages), mostBytes: Math.max(0, ...bytes) },
    }
  }
}

class MeteredNetwork extends Network {
  meter: Meter | undefined

  override wrote(from: Endpoint, to: Endpoint | undefined, messages: readonly Buffer[]): void {
    super.wrote(from, to, messages)
    this.meter?.wrote(from.index, messages)
  }
}

class MeteredLoop extends Loop {
  meter: Meter | undefined
  /** Timers that will go off, of processes. */
  readonly armed = new Set<LoopEvent>()

  override at(atMs: number, kind: number, owner: Owner | undefined, run: () => void): LoopEvent {
    if (kind === kinds.defer && this.meter !== undefined) this.meter.turns++
    if (kind !== kinds.timer) return super.at(atMs, kind, owner, run)
    if (this.meter !== undefined) this.meter.timeouts++
    const event = super.at(atMs, kind, owner, () => {
      this.armed.delete(event)
      run()
    })
    this.armed.add(event)
    return event
  }
}

export class Metered implements AsyncDisposable {
  readonly #loop: MeteredLoop
  readonly #network: MeteredNetwork
  readonly #fleet: Fleet

  private constructor(actors: readonly AnyActor[]) {
    this.#loop = new MeteredLoop(3_600_000, () => {})
    // Without slow frames: what is asked again because an answer is late is no part of the price.
    this.#network = new MeteredNetwork(this.#loop, seedRandom(1), { ...calmNetwork, tailShare: 0 })
    this.#fleet = new Fleet(1, { actors }, this.#network)
  }

  /** Nodes that start together, at rest. */
  static async start(count: number, actors: readonly AnyActor[] = []): Promise<Metered> {
    const world = new Metered(actors)
    const machines = Array.from({ length: count }, () => world.#fleet.add())
    await Promise.all(machines.map((machine) => world.#fleet.launch(machine)))
    await world.settle()
    return world
  }

  get nodes(): readonly SkepNode[] {
    return this.#fleet.nodes
  }

  node(index: number): SkepNode {
    const node = this.#fleet.machines[index]?.node
    if (node === undefined) throw new TypeError(`there is no node ${index}`)
    return node
  }

  /** Timers of that node that will go off. */
  timersOf(index: number): number {
    return [...this.#loop.armed].filter(({ cancelled, owner }) => !cancelled && owner?.index === index).length
  }

  join(): Promise<SkepNode> {
    return this.#fleet.launch(this.#fleet.add())
  }

  crash(index: number): void {
    this.#fleet.kill(this.#fleet.find(index))
  }

  pass(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#loop.at(this.#loop.now + ms, kinds.plan, undefined, resolve))
  }

  async settle(): Promise<void> {
    for (let calm = 0, tries = 0; calm < 20; tries++) {
      await this.pass(100)
      const stuck = [...this.#fleet.broken, ...this.#fleet.unrest(), ...unrest(this.nodes)]
      calm = stuck.length === 0 ? calm + 1 : 0
      if (tries > 600) throw new Error(`no rest: ${stuck.join('; ')}`)
    }
  }

  /** What `work` costs, all that comes of it within `ms` included. */
  async spend(work: () => unknown, ms = 20, what: Counting = 'work'): Promise<Bill> {
    const meter = new Meter(what)
    this.#loop.meter = meter
    this.#network.meter = meter
    try {
      // Not awaited at once: the promises of this wait are the same whatever the work is.
      const done = work()
      await this.pass(ms)
      await done
      return meter.end()
    } finally {
      this.#loop.meter = undefined
      this.#network.meter = undefined
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const machine of this.#fleet.machines) this.#fleet.kill(machine)
    this.#loop.stop()
  }
}

/** Names whose slot that node owns. */
export function namesOwnedBy(node: SkepNode, count: number, prefix: string): string[] {
  const names: string[] = []
  for (let i = 0; names.length < count; i++) {
    // All of one length, for the bytes.
    const name = `${prefix}-${String(i).padStart(5, '0')}`
    if (node.explain(name).owner?.node === node.name) names.push(name)
  }
  return names
}

/** Columns as in a price list, numbers to the right. */
export function priceList(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? String(+cell.toFixed(2)) : cell)))
  const widths = head.map((title, column) => Math.max(title.length, ...cells.map((row) => row[column]?.length ?? 0)))
  const isNumber = head.map((_, column) => typeof rows[0]?.[column] === 'number')
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (isNumber[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join(' | ')
      .trimEnd()
  return [head, ...cells].map(line).join('\n')
}

/** The frames of a bill, in words. */
export function framesOf({ frames }: Bill): string {
  return [...frames].map(([name, count]) => (count === 1 ? name : `${count} ${name}`)).join(', ')
}

/** Of a message of frames of these lengths: what else there was in it, such as a probe, is left out. */
function bytesOf(lengths: readonly number[]): number {
  const frames = lengths.map((length) => Buffer.alloc(length))
  const [first] = frames
  if (first !== undefined && frames.length === 1) return first.length
  return joinFrames(
    frames,
    frames.reduce((sum, frame) => sum + bytesTogether(frame), 0),
  ).length
}

function nameOf(bytes: Buffer): string {
  const kind = kindOf(bytes)
  return frameNames.get(kind) ?? `kind ${kind}`
}
