/**
 * A simulated node: its replica, its network ends, and what its user did with it. It acts like the shells do and
 * decides nothing: effects go to the network, outcomes to the host of the run.
 */
import type { BootId, ClusterFrame, ClusterInput, ClusterOutput, Formation } from '@skep/cluster/core'
import { membershipLimits } from '@skep/cluster/core'
import type { Claim, Log, NameEvent, PartitionConfig, Rebalance, TrackerOutput } from '@skep/tracker/core'
import { trackerLimits } from '@skep/tracker/core'
import type { Endpoint, Link } from './link.js'
import { Replica, type ReplicaPort } from './replica.js'

export interface NodeHost {
  transmit(from: SimNode, to: BootId, frame: ClusterFrame): void
  clusterOutput(node: SimNode, output: ClusterOutput): void
  trackerOutput(node: SimNode, output: TrackerOutput): void
  /** See `ReplicaPort`; without it each step is a turn. */
  hold?(node: SimNode): void
}

/** A request of the workload that waits for its outcome. */
export interface OpenAsk {
  readonly ask: number
  readonly what: 'claim' | 'spawn' | 'activate' | 'unregister' | 'request' | 'move' | 'flush'
  readonly name: string
  readonly since: number
  /** View changes of the whole run when it was asked. */
  readonly views: number
}

/** Something that runs on the node and may hold names. */
export interface Process {
  readonly pid: number
  readonly groups: Set<string>
  /** It was asked to come to rest, and has. */
  exporting: boolean
  paused: boolean
  /** What was done by it: all of its state. */
  work: number
}

/** What this node's user was promised: it holds the name. */
export interface Holding {
  readonly pid: number
  readonly fence: number
  readonly placed: boolean
  /** The request that started what was placed. */
  readonly origin: string
}

export interface NodeBirth {
  readonly index: number
  readonly name: string
  readonly address: string
  readonly boot: BootId
  readonly seed: number
  /** The wall clock at its start: its fences count from here, and it says so of itself. */
  readonly counter: number
  readonly ring: { readonly slots: number; readonly vnodes: number }
  readonly chunkBytes: number
  readonly sliceNames: number
  readonly maxTail: number
  readonly maxChunks: number
  /** Never where not given. */
  readonly rebalance?: Rebalance
  readonly now: number
  /** How fast its clock runs. */
  readonly rate: number
  /** Which part of a split cluster goes on; all do where it is not given. */
  readonly partition?: PartitionConfig | undefined
  readonly formation?: Formation | undefined
}

/** The one kind of placed processes in the workload. */
export const workloadKind = 'c'

export class SimNode implements Endpoint, ReplicaPort {
  readonly index: number
  readonly name: string
  readonly boot: BootId
  readonly address: string
  readonly startedAt: number
  readonly replica: Replica
  readonly rate: number
  readonly links: Map<BootId, Link> = new Map()
  readonly wires: Map<BootId, Link> = new Map()
  alive = true
  stalledUntil = 0
  stalledSince = 0
  /** After a stall its timers come before what waits in its sockets. */
  timersFirst = false
  /** When its process was killed. */
  killedAt: number | undefined
  /** The boot as which it goes on. */
  successor: SimNode | undefined
  readyAt: number | undefined
  /** When it said that its formation was not met in time. */
  notFormedAt: number | undefined
  /** Until when it had reason to wait for that. */
  formingUntil = 0
  /** It hands its processes over before it leaves. */
  draining = false
  leavingSince: number | undefined
  /** The tracker has handed everything over. */
  departed = false
  /** When the next wake event comes; Infinity when none is scheduled. */
  wakeAt: number = Number.POSITIVE_INFINITY

  readonly asks: Map<number, OpenAsk> = new Map()
  readonly processes: Map<number, Process> = new Map()
  readonly holdings: Map<string, Holding> = new Map()
  /** Processes that were paused when the node halted, and not resumed since. */
  readonly paused: Set<number> = new Set()
  /** Who holds what by the stream of name events alone. */
  readonly followed: Map<string, Claim> = new Map()
  /** By ask, what a process on its way here is made of. */
  readonly images: Map<number, Uint8Array> = new Map()
  private lastPid = 0
  private lastAsk = 0

  /** What the checks saw of this node last: see safety.ts. */
  readonly seen: Seen

  private readonly host: NodeHost

  /** `earlier`: the boot that this one goes on from, with all that ran there. */
  constructor(birth: NodeBirth, host: NodeHost, earlier?: SimNode) {
    this.index = birth.index
    this.name = birth.name
    this.boot = birth.boot
    this.address = birth.address
    this.startedAt = birth.now
    this.rate = birth.rate
    this.host = host
    const self = {
      boot: birth.boot,
      name: birth.name,
      address: birth.address,
      roles: [],
      weight: 1,
      cordoned: false,
      kinds: [workloadKind],
      version: '1',
      startedAt: birth.counter,
    }
    this.seen = {
      seq: 0,
      claims: new Map(),
      heldVersion: 0,
      held: new Uint8Array(birth.ring.slots),
      id: undefined,
      lineage: undefined,
      pending: 0,
      view: 0,
      counter: 0,
      seqs: new Map(),
    }
    if (earlier !== undefined) {
      this.replica = earlier.replica
      this.replica.port = this
      this.inherit(earlier)
      return
    }
    // So few that names that are kept wait for one another.
    const { chunkBytes, sliceNames, maxTail, maxChunks } = birth
    const limits = { ...trackerLimits, chunkBytes, sliceNames, maxTail, maxChunks, maxKept: 2 }
    const rebalance = birth.rebalance ?? { mode: 'never', rate: 0, afterMs: 0 }
    this.replica = new Replica(
      { self, discovery: true, seed: birth.seed, limits: membershipLimits, formation: birth.formation },
      {
        self,
        counter: birth.counter,
        seed: birth.seed ^ 0x5bd1e995,
        ring: birth.ring,
        limits,
        rebalance,
        ...(birth.partition === undefined ? {} : { partition: birth.partition }),
      },
      this,
      { since: birth.now, rate: birth.rate },
    )
  }

  private inherit(earlier: SimNode): void {
    earlier.successor = this
    for (const [ask, open] of earlier.asks) this.asks.set(ask, open)
    for (const [pid, process] of earlier.processes) this.processes.set(pid, process)
    for (const [name, holding] of earlier.holdings) this.holdings.set(name, holding)
    for (const pid of earlier.paused) this.paused.add(pid)
    for (const [name, claim] of earlier.followed) this.followed.set(name, claim)
    this.lastPid = earlier.lastPid
    this.lastAsk = earlier.lastAsk
  }

  get leaving(): boolean {
    return this.leavingSince !== undefined
  }

  nextPid(): number {
    this.lastPid++
    return this.lastPid
  }

  nextAsk(): number {
    this.lastAsk++
    return this.lastAsk
  }

  /** The process of this number, made when it is new. */
  process(pid: number): Process {
    const known = this.processes.get(pid)
    if (known !== undefined) return known
    const process: Process = { pid, groups: new Set(), exporting: false, paused: false, work: 0 }
    this.processes.set(pid, process)
    return process
  }

  /** Its part may not go on: what holds a name pauses. */
  halt(): void {
    for (const { pid } of this.holdings.values()) this.paused.add(pid)
    for (const { pid } of this.seen.claims.values()) this.paused.add(pid.id)
  }

  follow(event: NameEvent): void {
    if (event.claim === undefined) this.followed.delete(event.name)
    else this.followed.set(event.name, event.claim)
  }

  hello(): ClusterInput {
    const { info, incarnation, phase } = this.replica.membership.self
    return { type: 'linkUp', peer: info, incarnation, phase }
  }

  transmit(to: BootId, frame: ClusterFrame): void {
    this.host.transmit(this, to, frame)
  }

  clusterOutput(output: ClusterOutput): void {
    this.host.clusterOutput(this, output)
  }

  trackerOutput(output: TrackerOutput): void {
    this.host.trackerOutput(this, output)
  }

  hold(): boolean {
    this.host.hold?.(this)
    return this.host.hold !== undefined
  }
}

export interface Seen {
  seq: number
  claims: Map<string, Claim>
  heldVersion: number
  held: Uint8Array
  id: unknown
  lineage: unknown
  pending: number
  view: number
  counter: number
  /** The seq of every log of this replica at the last patrol. */
  seqs: Map<BootId, { readonly log: Log; readonly seq: number }>
}
