/**
 * Tracker machines on a network of this test's own: links are FIFO, nothing moves until the test says so, time is a
 * number. The membership below is the test's word: it hands out views and members.
 */

import type { BootId, Member, MemberInfo, Phase } from '@skep/cluster/core'
import {
  type Claim,
  initTracker,
  lookup,
  type Op,
  type OwnStrategy,
  type PartitionConfig,
  Pid,
  type Rebalance,
  stepTracker,
  type TrackerInput,
  type TrackerLimits,
  type TrackerMessage,
  type TrackerOutput,
  type TrackerState,
  trackerDeadline,
  trackerLimits,
} from '../src/core/index.js'
import { disjoint, type Id } from '../src/core/itc.js'

export const ring = { slots: 32, vnodes: 8 }

type Demand = 'activate' | 'export'

export class Trackers {
  now = 1_000_000
  readonly states = new Map<BootId, TrackerState>()
  readonly infos = new Map<BootId, MemberInfo>()
  readonly phases = new Map<BootId, Phase>()
  /** What each machine gave to its shell, oldest first. */
  readonly given = new Map<BootId, TrackerOutput[]>()
  /** Frames that a test wants to see or lose when they are delivered: false to lose one. */
  filter: (message: TrackerMessage, to: BootId) => boolean = () => true
  readonly wires: { from: BootId; to: BootId; message: TrackerMessage }[] = []
  readonly #cut = new Set<string>()
  /** By name, the latest. */
  readonly #boots = new Map<string, BootId>()
  /** Held to be down by the rest, though they live: they hold the rest to be down. */
  readonly #lost = new Set<BootId>()
  readonly #limits: TrackerLimits
  readonly #rebalance: Rebalance
  readonly #strategies: ReadonlyMap<string, OwnStrategy>
  #views = 0

  readonly #partition: PartitionConfig | undefined

  constructor(
    limits: Partial<TrackerLimits> = {},
    rebalance: Rebalance = { mode: 'never', rate: 0, afterMs: 0 },
    partition?: PartitionConfig,
    strategies: ReadonlyMap<string, OwnStrategy> = new Map(),
  ) {
    this.#partition = partition
    this.#limits = { ...trackerLimits, ...limits }
    this.#rebalance = rebalance
    this.#strategies = strategies
  }

  /** Add nodes that are members of everybody's view from now on; links and gate follow unless told otherwise. */
  add(
    names: readonly string[],
    options: { gate?: boolean; kinds?: readonly string[]; weight?: number; roles?: readonly string[] } = {},
  ): void {
    for (const name of names) {
      const boot = `boot-${name}`
      this.#boots.set(name, boot)
      const info: MemberInfo = {
        boot,
        name,
        address: `${name}:1`,
        roles: options.roles ?? [],
        weight: options.weight ?? 1,
        cordoned: false,
        startedAt: 0,
        kinds: options.kinds ?? ['counter'],
        version: '',
      }
      this.infos.set(boot, info)
      this.phases.set(boot, 'up')
      const seed = this.states.size + 1
      const config = {
        self: info,
        counter: this.now,
        seed,
        ring,
        limits: this.#limits,
        rebalance: this.#rebalance,
        strategies: this.#strategies,
      }
      const partition = this.#partition === undefined ? {} : { partition: this.#partition }
      this.states.set(boot, initTracker({ ...config, ...partition }, this.now))
      this.given.set(boot, [])
    }
    this.#announce()
    for (const name of names) {
      for (const other of this.states.keys()) {
        if (other !== this.boot(name)) this.#bothWays('linked', this.boot(name), other)
      }
      if (options.gate !== false) this.input(name, { type: 'gateOpen', reason: 'test' })
    }
  }

  /** Change a member's phase at everybody and give the new view. */
  phase(name: string, phase: Phase): void {
    this.phases.set(this.boot(name), phase)
    if (phase === 'down' || phase === 'left') {
      for (const other of this.states.keys()) this.#bothWays('unlinked', this.boot(name), other)
    }
    this.#announce()
  }

  /** The node's process is gone: nothing reaches it and nothing more comes from it. */
  kill(name: string): void {
    this.states.delete(this.boot(name))
    this.phase(name, 'down')
    if (this.#lost.delete(this.boot(name))) this.#announceLost()
  }

  /** These are cut off, and each side holds the other to be down. */
  lose(...names: readonly string[]): void {
    for (const name of names) this.#lost.add(this.boot(name))
    for (const lost of this.#lost) {
      this.phases.set(lost, 'down')
      for (const other of this.states.keys()) {
        if (this.#lost.has(other)) continue
        this.#cut.add(`${lost}>${other}`).add(`${other}>${lost}`)
        this.#bothWays('unlinked', lost, other)
      }
    }
    this.#announce()
    this.#announceLost()
  }

  /** A lost node goes on as another boot, among those who are not lost. */
  rejoin(name: string, options: { gate?: boolean } = {}): TrackerOutput[] {
    const old = this.boot(name)
    const boot = `${old}+`
    const info: MemberInfo = { ...(this.infos.get(old) as MemberInfo), boot }
    const mates = [...(this.states.get(old)?.links ?? [])]
    for (const mate of mates) this.#step(mate, { type: 'unlinked', boot: old })
    this.#lost.delete(old)
    this.#boots.set(name, boot)
    this.states.set(boot, this.states.get(old) as TrackerState)
    this.given.set(boot, this.given.get(old) ?? [])
    this.states.delete(old)
    this.infos.set(boot, info)
    this.phases.set(boot, 'up')
    const members = [...this.infos.values()].map((one) => ({
      info: one,
      phase: this.phases.get(one.boot) ?? 'up',
      incarnation: 1,
      suspect: false,
    }))
    const outputs = this.#step(boot, { type: 'rejoined', self: info, members })
    for (const mate of mates) this.#step(boot, { type: 'unlinked', boot: mate })
    this.#announce()
    for (const other of this.states.keys()) {
      if (other !== boot && !this.#lost.has(other)) this.#bothWays('linked', boot, other)
    }
    if (options.gate !== false) this.input(name, { type: 'gateOpen', reason: 'test' })
    return outputs
  }

  /** The latest boot of this name. */
  boot(name: string): BootId {
    return this.#boots.get(name) ?? `boot-${name}`
  }

  /** Frames between the two are lost, in both directions or one, while the members stay. */
  cut(a: string, b: string): void {
    this.#cut.add(`${this.boot(a)}>${this.boot(b)}`)
  }

  mend(): void {
    this.#cut.clear()
  }

  input(name: string, input: TrackerInput): TrackerOutput[] {
    return this.#step(this.boot(name), input)
  }

  /** Deliver frames, those given too, until there are none. */
  drain(limit = 100_000): void {
    while (this.wires.length > 0) {
      if (limit-- === 0) throw new Error('the machines do not come to rest')
      this.deliver()
    }
  }

  /** Deliver the oldest frame. */
  deliver(): void {
    const frame = this.wires.shift()
    if (frame === undefined || this.#cut.has(`${frame.from}>${frame.to}`)) return
    if (!this.filter(frame.message, frame.to)) return
    this.#step(frame.to, { type: 'message', from: frame.from, message: frame.message })
  }

  /** Let time pass, waking each machine when it wants, and delivering everything in between. */
  pass(ms: number): void {
    const end = this.now + ms
    this.drain()
    for (;;) {
      const next = Math.min(...[...this.states.values()].map(trackerDeadline))
      if (next > end) break
      this.now = Math.max(this.now, next)
      for (const [boot, state] of this.states) {
        if (trackerDeadline(state) <= this.now) this.#step(boot, { type: 'wake' })
      }
      this.drain()
    }
    this.now = end
  }

  state(name: string): TrackerState {
    const state = this.states.get(this.boot(name))
    if (state === undefined) throw new Error(`no node ${name}`)
    return state
  }

  holder(at: string, name: string): string | undefined {
    return lookup(this.state(at).registry, name)?.pid.node
  }

  claim(at: string, name: string): Claim | undefined {
    return lookup(this.state(at).registry, name)
  }

  /**
   * Does what shells do with what their machines ask for, round by round: processes are made and exported. Each demand is
   * taken away and given to `answer` once, with the name of its node.
   */
  serve(answer: { readonly [T in Demand]: (node: string, demand: Extract<TrackerOutput, { type: T }>) => void }): void {
    for (let round = 0; round < 6; round++) {
      this.drain()
      for (const [boot, given] of this.given) {
        const node = this.infos.get(boot)?.name ?? ''
        const isDemand = ({ type }: TrackerOutput): boolean => type === 'activate' || type === 'export'
        this.given.set(
          boot,
          given.filter((output) => !isDemand(output)),
        )
        for (const output of given) {
          if (output.type === 'activate') answer.activate(node, output)
          else if (output.type === 'export') answer.export(node, output)
        }
      }
    }
  }

  /** What this node's shell was given of this type. */
  outputs<T extends TrackerOutput['type']>(name: string, type: T): Extract<TrackerOutput, { type: T }>[] {
    const given = this.given.get(this.boot(name)) ?? []
    return given.filter((output): output is Extract<TrackerOutput, { type: T }> => output.type === type)
  }

  /** Who holds each slot; an error when two do. */
  slotHolders(): (string | undefined)[] {
    return Array.from({ length: ring.slots }, (_, slot) => {
      const holders = [...this.states.values()].filter((state) => state.held[slot] === 1)
      if (holders.length > 1)
        throw new Error(`slot ${slot} is held by ${holders.map((one) => one.info.name).join(' and ')}`)
      return holders[0]?.info.name
    })
  }

  /** Do the ids of any two nodes of one lineage overlap? */
  overlappingIds(): string[] {
    const found: string[] = []
    const all: { who: string; lineage: string; id: Id }[] = [...this.states.values()].map((state) => ({
      who: state.info.name,
      lineage: `${state.lineage.epoch}/${state.lineage.genesis}`,
      id: state.id,
    }))
    all.forEach((a, i) => {
      for (const b of all.slice(i + 1)) {
        if (a.lineage === b.lineage && !disjoint(a.id, b.id)) found.push(`${a.who} and ${b.who}`)
      }
    })
    return found
  }

  #step(boot: BootId, input: TrackerInput): TrackerOutput[] {
    const state = this.states.get(boot)
    if (state === undefined) return []
    const outputs = stepTracker(state, input, this.now)
    for (const output of outputs) {
      if (output.type === 'send') this.wires.push({ from: boot, to: output.to, message: output.message })
      else if (output.type === 'continue') this.#step(boot, { type: 'continue' })
      else this.given.get(boot)?.push(output)
    }
    return outputs
  }

  #bothWays(type: 'linked' | 'unlinked', a: BootId, b: BootId): void {
    this.#step(a, { type, boot: b })
    this.#step(b, { type, boot: a })
  }

  /** To those who are lost: the rest is down. */
  #announceLost(): void {
    const view = { number: ++this.#views, members: [...this.infos.values()].filter(({ boot }) => this.#lost.has(boot)) }
    for (const lost of this.#lost) {
      for (const info of this.infos.values()) {
        if (this.#lost.has(info.boot)) continue
        const member: Member = { info, phase: 'down', incarnation: 1, suspect: false }
        this.#step(lost, { type: 'member', member, previous: undefined, reason: 'test' })
      }
      this.#step(lost, { type: 'view', view })
    }
  }

  #announce(): void {
    const members = [...this.infos.values()]
    const inView = members.filter((info) => ['joining', 'up'].includes(this.phases.get(info.boot) ?? 'down'))
    const view = { number: ++this.#views, members: inView }
    for (const boot of this.states.keys()) {
      if (this.#lost.has(boot)) continue
      for (const info of members) {
        const member: Member = { info, phase: this.phases.get(info.boot) ?? 'up', incarnation: 1, suspect: false }
        this.#step(boot, { type: 'member', member, previous: undefined, reason: 'test' })
      }
      this.#step(boot, { type: 'view', view })
    }
  }
}

/** In the copy of `of`'s log at `at`: a placed start of the name, made on the other side of a cut, or its end. */
export function tell(net: Trackers, at: string, of: string, what: 'put' | 'end', name: string, fence: number): void {
  const boot = net.boot(of)
  const first = (net.state(at).registry.logs.get(boot)?.seq ?? 0) + 1
  const stamp = { lineage: { epoch: 0, genesis: boot }, event: 1 }
  const placed = { spec: undefined, origin: `${boot}:9` }
  const pid = new Pid(boot, 5, of)
  const claim = { name, pid, seq: first, fence, stamp, kind: 'counter', meta: undefined, placed }
  const ops: Op[] = [what === 'put' ? { type: 'put', claim } : { type: 'del', name, fence, strike: placed.origin }]
  const message: TrackerMessage = { type: 'ops', boot, first, ops, counter: 0, reply: false }
  net.input(at, { type: 'message', from: boot, message })
}
