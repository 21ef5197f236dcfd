/**
 * One run: the nodes of a plan on a virtual clock and network, its faults and its workload, from the first start until
 * rest. Two acts: while faults strike only what must always hold is checked (safety.ts, ledger.ts); then everything
 * has to come to rest within a bound (rest.ts).
 */
import type { BootId, ClusterFrame, ClusterOutput, Random } from '@skep/cluster/core'
import { below, decodeFrame, encodeFrame, nextFloat, nextInt, pick } from '@skep/cluster/core'
import {
  type Claim,
  decodeMessage,
  encodeMessage,
  hasEnded,
  lookup,
  type TrackerMessage,
  type TrackerOutput,
} from '@skep/tracker/core'
import { Copies, partitionConfig } from './copies.js'
import { Endings } from './endings.js'
import { kinds, SimEvent } from './event.js'
import { Forming, withstandsBlindness } from './forming.js'
import { mayHalt } from './halting.js'
import { Handing } from './handing.js'
import { Ledger } from './ledger.js'
import type { Link } from './link.js'
import { type DialOutcome, Network } from './network.js'
import { type NodeHost, SimNode } from './node.js'
import type { Observe } from './observation.js'
import { Phases } from './phases.js'
import {
  type Fault,
  makePlan,
  nodeAddress,
  nodeName,
  type Plan,
  runMs,
  type Start,
  type Strike,
  stream,
} from './plan.js'
import { harmlessMs, Premise } from './premise.js'
import { type Question, questionOf, wordOf } from './question.js'
import type { Rule, RunReport, Violation } from './report.js'
import { openQuestions, unrest } from './rest.js'
import { freePrefix, Safety } from './safety.js'
import { Schedule } from './schedule.js'
import { discoverable } from './strikes.js'
import { eventLine, freezeDeep, show, TraceHash } from './trace.js'
import { Workload } from './workload.js'

export interface RunOptions {
  readonly seed: number
  /** Fewest and most nodes at once, inclusive; 2 to 20 by default. */
  readonly nodes?: readonly [number, number]
  /** Joins and leaves by default. */
  readonly faults?: readonly Fault[]
  /** Freeze every frame that is sent. */
  readonly freeze?: boolean
  /** Encode and decode every frame, as the wire does (by default in every 16th run: it takes time). */
  readonly wire?: boolean
  /** Gets a line for every event, and for what comes of it. */
  readonly trace?: ((line: string) => void) | undefined
  /** Is shown what happens; without it nothing is prepared for it. */
  readonly observe?: Observe | undefined
}

/** A node is ready within this time from its start. */
const READY_WITHIN_MS = 10_000
/** A leaver says bye within this time. */
const LEFT_WITHIN_MS = 5000
/** From the last fault to rest. */
const REST_WITHIN_MS = 15_000
/** The same while a move is open: one whose answer was lost ends after 21 s. */
const MOVED_WITHIN_MS = 25_000
/** The same after crashes and cuts: whoever lost most members restarts nothing for 30 s. */
const ROUGH_REST_WITHIN_MS = 75_000
/** A node that is gone is no member any more after this. */
const DOWN_WITHIN_MS = 20_000
const PATROL_MS = 500
/** Between the winner's word that it runs and the end of the loser. */
const JUST_HELD_MS = 3000
/** Violations of one rule in one run: more of them say nothing new. */
const MAX_OF_A_RULE = 2
/** Events of one run: more is a machine that wakes itself for ever. */
const MAX_EVENTS = 500_000
/** Where processes are handed over, quick enough for a run of 20 s. */
const REBALANCE = { mode: 'gradual', rate: 50, afterMs: 300 } as const
/** A leaver hands over what it can, at most so long. */
const DRAIN_MS = 4000
/** One run of so many encodes its frames. */
const WIRED_RUN = 16
/** Two turns of an event loop. */
const TWO_TURNS_MS = 0.2
const LONG_TURN_MS = 1

type Exporting = Extract<TrackerOutput, { type: 'export' }>

/** Whether and how a node comes back. */
interface Return {
  readonly backAfterMs: number | undefined
  readonly sameName: boolean
}

export class World implements NodeHost {
  private readonly options: RunOptions
  private readonly plan: Plan
  private readonly wired: boolean
  private readonly schedule = new Schedule<SimEvent>()
  private readonly random: Random
  private readonly network: Network
  private readonly ledger: Ledger
  private readonly safety: Safety
  private readonly workload: Workload
  /** Where processes are handed over. */
  private readonly handing: Handing | undefined
  /** Where nodes wait for each other to form. */
  private readonly forming: Forming | undefined
  /** Where a partition policy makes its promise. */
  private readonly copies: Copies | undefined
  private readonly hash = new TraceHash()
  private readonly violations: Violation[] = []
  /** All that ever were. */
  private readonly nodes: SimNode[] = []
  private live: SimNode[] = []
  private readonly extraStarts: Start[] = []
  private lastFaultAt = 0
  private readonly premise: Premise
  private readonly phases = new Phases()
  /** The second act begins: nothing strikes any more. */
  private readonly healedAt: number
  private aims: Extract<Strike, { type: 'aim' }>[] = []
  private readonly blind = new Map<string, Extract<Strike, { type: 'discovery' }>>()
  /** By address, how far the clock of the host is from the right time. */
  private readonly wrongMs = new Map<string, number>()
  private now = 0
  private events = 0
  private finished = false
  /** The question that the present step must answer. */
  private turn: Question | undefined

  constructor(options: RunOptions) {
    this.options = options
    const { seed } = options
    this.plan = makePlan({ seed, nodes: options.nodes ?? [2, 20], faults: options.faults ?? ['joins', 'leaves'] })
    this.wired = options.wire ?? seed % WIRED_RUN === 0
    this.random = stream(seed, 'nodes')
    this.network = new Network(this.schedule, stream(seed, 'network'), this.plan.delays, this.plan.echoShare)
    this.premise = new Premise(this.plan)
    const ends = this.plan.strikes.map((strike) => ('until' in strike ? strike.until : strike.at))
    this.healedAt = Math.max(runMs, ...ends)
    const complain = (rule: Rule, text: string): void => this.complain(rule, text)
    const strict = (): boolean => this.premise.holds(this.now)
    const { rough } = this.premise
    const endings = new Endings(
      this.plan.ends ? stream(seed, 'ends') : undefined,
      complain,
      !rough && !this.plan.clocks,
    )
    this.ledger = new Ledger(complain, strict, endings)
    this.copies = this.plan.policy === undefined ? undefined : new Copies(complain)
    const { formation } = this.plan
    this.forming = formation && new Forming(formation, (text) => complain('stuck', text))
    this.safety = new Safety(this.plan.slots, strict, complain, (node, claim) => this.ledger.removed(node, claim))
    this.handing = this.plan.handoffs ? new Handing(stream(seed, 'handing'), complain, strict) : undefined
    this.workload = new Workload(stream(seed, 'workload'), this.ledger, this.plan.names, this.handing)
    this.scheduleAll()
  }

  run(): RunReport {
    try {
      while (!this.finished) this.next()
    } catch (error) {
      this.complain('thrown', error instanceof Error ? (error.stack ?? error.message) : String(error))
    }
    return {
      seed: this.plan.seed,
      nodes: this.plan.starts.length,
      ops: this.workload.ops,
      frames: this.network.frames,
      events: this.events,
      virtualMs: this.now,
      raced: this.ledger.raced,
      hash: this.hash.toString(),
      violations: this.violations,
      outcomes: Object.fromEntries(this.ledger.outcomes),
      phases: this.phases.hits,
    }
  }

  private scheduleAll(): void {
    const { plan } = this
    plan.starts.forEach((start, index) => {
      this.push(start.at, kinds.start, undefined, undefined, index)
    })
    for (const at of plan.ops) this.push(at, kinds.op, undefined)
    for (const at of plan.drops) this.push(at, kinds.drop, undefined)
    plan.strikes.forEach((strike, index) => {
      this.push(strike.at, kinds.strike, undefined, undefined, 2 * index)
      if ('until' in strike) this.push(strike.until, kinds.strike, undefined, undefined, 2 * index + 1)
    })
    this.push(PATROL_MS, kinds.patrol, undefined)
  }

  private push(
    at: number,
    kind: SimEvent['kind'],
    node: SimNode | undefined,
    link?: Link,
    value = 0,
    text = '',
    load?: unknown,
  ): void {
    this.schedule.push(new SimEvent(at, kind, node, link, value, text, load))
  }

  private next(): void {
    const event = this.schedule.pop()
    if (event === undefined || ++this.events > MAX_EVENTS) {
      this.complain('stuck', event === undefined ? 'nothing is to come any more' : `more than ${MAX_EVENTS} events`)
      this.finished = true
      return
    }
    this.now = event.at
    this.network.now = event.at
    this.safety.now = event.at
    this.ledger.now = event.at
    const node = event.node === undefined ? undefined : this.meant(event)
    if (node?.alive && node.stalledUntil > event.at && event.kind !== kinds.crash) {
      return this.postpone(event, node)
    }
    this.hash.add(event)
    if (node === undefined) return this.performGlobal(event)
    if (!node.alive) return
    if (event.kind === kinds.wake && event.at !== node.wakeAt) return
    this.options.trace?.(eventLine(event))
    this.perform(event, node)
    this.settle(node)
  }

  /** The node as it is now; what concerns a link concerns the boot that had it alone. */
  private meant(event: SimEvent): SimNode {
    let node = this.nodes[(event.node as SimNode).index] as SimNode
    if (event.link !== undefined || event.kind === kinds.wake || event.kind === kinds.dialled) return node
    while (node.successor !== undefined) node = node.successor
    return node
  }

  /** The process stands still: its timers are late, and what arrives waits. */
  private postpone(event: SimEvent, node: SimNode): void {
    const isWake = event.kind === kinds.wake
    if (isWake && event.at !== node.wakeAt) return
    event.at = node.stalledUntil + (isWake === node.timersFirst ? 0 : 0.01)
    if (isWake) node.wakeAt = event.at
    this.schedule.push(event)
  }

  /** After every step of a node: its checks, its next deadline, and the end of its leaving. */
  private settle(node: SimNode): void {
    this.copies?.check(node, this.live, this.now)
    this.safety.check(node, this.nodes)
    this.options.observe?.(this.now, { type: 'stepped', node })
    if (node.departed) this.remove(node)
    else this.arm(node)
  }

  private arm(node: SimNode): void {
    const deadline = node.replica.deadline()
    if (deadline >= node.wakeAt || deadline === Number.POSITIVE_INFINITY) return
    // As timers do, up to a millisecond late.
    node.wakeAt = Math.max(deadline, this.now) + 0.01 + nextFloat(this.random)
    this.push(node.wakeAt, kinds.wake, node)
  }

  private performGlobal(event: SimEvent): void {
    if (event.kind !== kinds.patrol) this.options.trace?.(eventLine(event))
    switch (event.kind) {
      case kinds.start:
        return this.start(event.value)
      case kinds.op:
        return this.op()
      case kinds.drop:
        return this.drop()
      case kinds.restore:
        if (event.link !== undefined) this.network.restore(event.link)
        this.lastFaultAt = this.now
        return
      case kinds.patrol:
        return this.patrol()
      case kinds.reads:
        return this.network.speedUp(event.text)
      case kinds.strike:
        return this.strike(event.value >> 1, event.value % 2 === 1)
    }
  }

  private perform(event: SimEvent, node: SimNode): void {
    const { now } = this
    const { replica } = node
    switch (event.kind) {
      case kinds.frame:
        return this.deliver(event, node)
      case kinds.wake:
        node.wakeAt = Number.POSITIVE_INFINITY
        return replica.wake(now)
      case kinds.linkUp:
        return this.linkUp(event.link as Link, node)
      case kinds.linkDown:
        return this.linkDown(event.link as Link, node, event.value === 1)
      case kinds.dialArrives:
        return this.network.arrive(node, event.text, event.value)
      case kinds.dialled:
        return this.dialled(node, event.text, event.load as DialOutcome)
      case kinds.discover:
        return this.discover(node, event.value === 1)
      case kinds.verdict:
        return replica.cluster({ type: 'verdict', token: event.value, waitedMs: 0 }, now)
      case kinds.turned:
        return replica.sendHeld(now)
      case kinds.proceed:
        return replica.track({ type: 'continue' }, now)
      case kinds.initialised:
        return this.initialised(node, event.value, event.text === 'fails')
      case kinds.forget:
        if (!node.asks.delete(event.value)) return
        return replica.track({ type: 'forget', ask: event.value }, now)
      case kinds.ended:
        this.ledger.stop(node, event.value)
        return replica.track({ type: 'gone', pid: event.value }, now)
      case kinds.endsItself: {
        if (node.leaving) return
        const what = this.workload.endOne(node, now) ?? 'goes on'
        return this.options.trace?.(`           ${node.boot} ${what}`)
      }
      case kinds.leave:
        if (node.leaving) return
        this.phases.strike('leave', this.live, [node])
        if (this.handing === undefined || node.draining) this.leave(node)
        else this.drain(node)
        return
      case kinds.exported: {
        const input = this.handing?.exported(node, event.load as Exporting, event.text === 'fails')
        return input === undefined ? undefined : replica.track(input, now)
      }
      case kinds.drained: {
        const link = event.link as Link
        const { boot } = link.other(node)
        if (node.links.get(boot) === link) replica.track({ type: 'drained', boot }, now)
        return
      }
      case kinds.crash:
        return this.kill(node, event.value === 1, event.load as Return)
      case kinds.rejoin:
        return this.rejoin(node)
    }
  }

  // -- the network's news

  private deliver(event: SimEvent, node: SimNode): void {
    const link = event.link as Link
    const from = link.other(node).boot
    if (link.dead || (node.links.get(from) !== link && link.closedBy !== node)) return
    this.options.observe?.(this.now, { type: 'arrived', arrival: event })
    this.turn = questionOf(from, node, event.load as ClusterFrame)
    node.replica.cluster({ type: 'frame', from, frame: event.load as ClusterFrame }, this.now)
    if (this.turn !== undefined) {
      this.complain('unanswered', `${node.boot} gave no answer to ${this.turn.question} of ${this.turn.asker}`)
    }
    this.turn = undefined
  }

  private linkUp(link: Link, node: SimNode): void {
    if (link.dead) return
    node.links.set(link.other(node).boot, link)
    node.replica.cluster(link.helloFor(node), this.now)
  }

  private linkDown(link: Link, node: SimNode, byPeer: boolean): void {
    const boot = link.other(node).boot
    // A newer link may have taken its place already; then nobody misses the old one.
    if (node.links.get(boot) !== link) return
    node.links.delete(boot)
    node.replica.cluster({ type: 'linkDown', boot, byPeer }, this.now)
  }

  private dialled(node: SimNode, address: string, load: DialOutcome): void {
    const { link, outcome } = load
    if (outcome !== 'linked' || link === undefined) {
      return node.replica.cluster({ type: 'dialled', address, outcome }, this.now)
    }
    const boot = link.other(node).boot
    const linked = node.links.has(boot)
    node.replica.cluster({ type: 'dialled', address, outcome: linked ? 'linked' : 'failed', boot }, this.now)
  }

  private discover(node: SimNode, again: boolean): void {
    const addresses = discoverable(this.blind.get(node.address)?.how, this.network.addresses(), this.random)
    if (addresses !== undefined) node.replica.cluster({ type: 'discovered', addresses }, this.now)
    if (again) this.push(this.now + 2000 + nextFloat(this.random) * 3000, kinds.discover, node, undefined, 1)
  }

  // -- the life of nodes

  private start(index: number): void {
    const start = this.plan.starts[index] ?? this.extraStarts[index - this.plan.starts.length]
    if (start === undefined) return
    this.lastFaultAt = this.now
    this.phases.strike('join', this.live)
    if (this.plan.clocks && this.wrongMs.has(start.address)) this.premise.mistakesBoots(this.now)
    const number = this.nodes.length
    const node = new SimNode(
      {
        index: number,
        name: start.name,
        address: start.address,
        boot: this.bootId(start.name, number),
        seed: nextInt(this.random),
        counter: this.wallClock(start.address),
        ring: { slots: this.plan.slots, vnodes: this.plan.vnodes },
        chunkBytes: this.plan.chunkBytes,
        sliceNames: this.plan.sliceNames,
        maxTail: this.plan.maxTail,
        maxChunks: this.plan.maxChunks,
        ...(this.plan.handoffs ? { rebalance: REBALANCE } : {}),
        now: this.now,
        rate: this.plan.clocks ? 0.9 + nextFloat(this.random) * 0.2 : 1,
        partition: this.plan.policy && partitionConfig(this.plan.policy),
        formation: this.plan.formation,
      },
      this,
    )
    this.welcome(node)
    node.replica.track({ type: 'watch', on: true }, this.now)
    this.push(this.now + nextFloat(this.random) * 30, kinds.discover, node, undefined, 1)
    const leave = this.plan.leaves.find((one) => one.node === index)
    if (leave !== undefined) this.push(Math.max(leave.at, this.now), kinds.leave, node)
    this.settle(node)
  }

  private welcome(node: SimNode): void {
    this.nodes.push(node)
    this.live.push(node)
    this.network.listen(node)
    this.options.observe?.(this.now, { type: 'started', node })
  }

  /** What the clock of a host says; it is wrong, and under the fault of clocks by another hour from start to start. */
  private wallClock(address: string): number {
    let wrong = this.wrongMs.get(address)
    if (wrong === undefined || this.plan.clocks) {
      const most = this.plan.clocks ? 3_600_000 : 2000
      wrong = below(this.random, 2 * most) - most
      this.wrongMs.set(address, wrong)
    }
    return 1_700_000_000_000 + Math.floor(this.now) + wrong
  }

  /** Random letters decide the order of boots, the name makes them readable. */
  private bootId(name: string, number: number): BootId {
    const letters = nextInt(this.random).toString(36).padStart(7, '0').slice(-4)
    return `${letters}-${name}-${number}`
  }

  /** As the shells do it: cordoned first, so that nothing comes; what is placed here goes, then the node. */
  private drain(node: SimNode): void {
    this.lastFaultAt = this.now
    node.draining = true
    this.options.trace?.(`           ${node.boot} drains`)
    this.options.observe?.(this.now, { type: 'fault', kind: 'drain', text: `${node.boot} drains`, boots: [node.boot] })
    const info = { ...node.replica.membership.self.info, cordoned: true }
    node.replica.cluster({ type: 'describe', info }, this.now)
    node.replica.track({ type: 'describe', info }, this.now)
    node.replica.track({ type: 'drain' }, this.now)
    this.push(this.now + DRAIN_MS, kinds.leave, node)
  }

  /** As the shells do it: the tracker first, then the membership, then the local processes end. */
  private leave(node: SimNode): void {
    const { now } = this
    this.lastFaultAt = now
    node.leavingSince = now
    this.options.trace?.(`           ${node.boot} leaves`)
    this.options.observe?.(now, { type: 'fault', kind: 'leave', text: `${node.boot} leaves`, boots: [node.boot] })
    node.replica.track({ type: 'leave' }, now)
    node.replica.sendHeld(now)
    node.replica.cluster({ type: 'leave' }, now)
    const pids = [...node.processes.keys()]
    this.ledger.left(node)
    for (const pid of pids) node.replica.track({ type: 'gone', pid, keepPlaced: true }, now)
    node.replica.track({ type: 'part' }, now)
    this.lookForEra()
  }

  /** Once nobody is left who knew anything, what follows is another cluster. */
  private lookForEra(): void {
    if (this.live.some((one) => one.readyAt !== undefined && !one.leaving)) return
    this.safety.newEra()
    this.ledger.newEra()
  }

  private remove(node: SimNode): void {
    this.lastFaultAt = this.now
    node.replica.sendHeld(this.now)
    node.replica.cluster({ type: 'bye' }, this.now)
    for (const open of node.asks.values()) {
      this.complain('stuck', `${node.boot} left without an outcome for ${open.what} ${open.name} (ask ${open.ask})`)
    }
    this.bury(node, 'left')
    // Across a cut nobody could take over what it knew.
    if (this.premise.holds(this.now)) this.ledger.handsOn(node, this.live)
    else this.ledger.forgets(node)
    this.safety.gone(node)
    this.network.remove(node)
    const leave = this.plan.leaves.find((one) => this.plan.starts[one.node]?.name === node.name)
    if (leave?.backAfterMs !== undefined && node.index < this.plan.starts.length) this.comeBack(node, leave)
  }

  private bury(node: SimNode, how: string): void {
    node.alive = false
    this.options.observe?.(this.now, { type: 'ended', node, how })
    this.live = this.live.filter((one) => one !== node)
  }

  private kill(node: SimNode, vanishes: boolean, back: Return): void {
    this.options.trace?.(`           ${node.boot} ${vanishes ? 'vanishes' : 'is killed'}`)
    this.phases.strike(vanishes ? 'vanish' : 'kill', this.live, [node])
    this.lastFaultAt = this.now
    node.killedAt = this.now
    this.bury(node, vanishes ? 'vanished' : 'killed')
    this.safety.killed(node, this.live)
    this.ledger.killed(node)
    if (vanishes) this.network.vanish(node)
    else this.network.kill(node)
    this.lookForEra()
    if (back.backAfterMs !== undefined) this.comeBack(node, back)
  }

  /** As the shell does it: the old boot's links end, then the machines go on as another one. */
  private rejoin(node: SimNode): void {
    if (node.leaving) return
    this.lastFaultAt = this.now
    this.phases.strike('rejoin', this.live, [node])
    this.bury(node, 'goes on as another boot')
    this.safety.gone(node)
    this.network.remove(node)
    const number = this.nodes.length
    const { name, address, rate } = node
    const boot = this.bootId(name, number)
    const ring = { slots: this.plan.slots, vnodes: this.plan.vnodes }
    const { chunkBytes, sliceNames, maxTail, maxChunks } = this.plan
    const startedAt = this.wallClock(address)
    const birth = {
      index: number,
      name,
      address,
      boot,
      seed: 0,
      counter: startedAt,
      ring,
      chunkBytes,
      sliceNames,
      maxTail,
      maxChunks,
      now: this.now,
      rate,
    }
    const successor = new SimNode(birth, this, node)
    this.ledger.rejoined(node, successor)
    this.welcome(successor)
    successor.replica.cluster({ type: 'rejoin', boot, startedAt }, this.now)
    this.settle(successor)
  }

  private comeBack(node: SimNode, leave: Return): void {
    const at = this.now + (leave.backAfterMs ?? 0)
    const fresh = this.plan.starts.length + this.extraStarts.length
    const name = leave.sameName ? node.name : nodeName(fresh)
    const address = leave.sameName ? node.address : nodeAddress(fresh)
    this.extraStarts.push({ at, name, address })
    this.push(at, kinds.start, undefined, undefined, fresh)
  }

  // -- faults and workload

  private op(): void {
    this.lastFaultAt = this.now
    const awake = this.live.filter((node) => node.stalledUntil <= this.now)
    const done = this.workload.strike(awake, this.now, this.safety.views)
    if (done === undefined) return
    this.options.trace?.(`           ${done.node.boot} ${done.text}`)
    this.options.observe?.(this.now, { type: 'asked', ...done })
    this.losePatience(done.node)
    this.settle(done.node)
  }

  /** Now and then the caller of the latest claim or spawn gives up before its outcome. */
  private losePatience(node: SimNode): void {
    const ask = [...node.asks.values()].at(-1)
    if (ask === undefined || ask.since !== this.now || (ask.what !== 'claim' && ask.what !== 'spawn')) return
    const ms = this.workload.patience()
    if (ms !== undefined) this.push(this.now + ms, kinds.forget, node, undefined, ask.ask)
  }

  private drop(): void {
    this.lastFaultAt = this.now
    const node = pick(this.random, this.live)
    const link = node === undefined ? undefined : pick(this.random, [...node.links.values()])
    if (link === undefined || link.dead || link.a.links.get(link.b.boot) !== link) return
    if (link.b.links.get(link.a.boot) !== link) return
    const text = `the link ${link.a.boot} - ${link.b.boot} drops`
    this.options.trace?.(`           ${text}`)
    this.phases.strike('drop', this.live, [link.a, link.b] as SimNode[])
    this.network.drop(link)
    const until = this.now + this.network.outage()
    this.options.observe?.(this.now, { type: 'fault', kind: 'drop', text, boots: [link.a.boot, link.b.boot], until })
    this.push(until, kinds.restore, undefined, link)
  }

  /** A strike of the plan begins, or is over. */
  private strike(index: number, over: boolean): void {
    const strike = this.plan.strikes[index] as Strike
    this.lastFaultAt = this.now
    this.options.trace?.(`           ${over ? 'over' : 'strikes'}: ${show(strike).slice(0, 120)}`)
    if (!over && strike.type !== 'aim' && strike.type !== 'kill') this.showStrike(strike)
    switch (strike.type) {
      case 'kill': {
        const node = this.standing(strike.node)
        if (node !== undefined) this.push(this.now, kinds.crash, node, undefined, strike.vanishes ? 1 : 0, '', strike)
        return
      }
      case 'restart':
        this.premise.breaks(this.now, this.now + strike.backWithinMs)
        this.phases.strike('restart', this.live)
        for (const node of this.live) {
          const back: Return = { backAfterMs: nextFloat(this.random) * strike.backWithinMs, sameName: true }
          this.push(this.now + nextFloat(this.random) * 5, kinds.crash, node, undefined, 0, '', back)
        }
        return
      case 'cut':
        if (!over) this.premise.breaks(this.now, strike.until)
        this.phases.strike(over ? 'heal' : 'cut', this.live)
        for (const [from, to] of strike.ways) {
          if (over) this.network.mend(from, to)
          else this.network.cut(from, to)
        }
        return
      case 'stall':
        if (!over) this.stall(this.standing(strike.node), strike.until)
        return
      case 'reader': {
        const { address } = this.plan.starts[strike.node] as Start
        if (!over) this.premise.breaks(this.now, strike.until)
        if (!over) this.phases.strike('reader', this.live, this.nodesAt(strike.node))
        if (over) this.network.speedUp(address)
        else this.network.slowDown(address, strike.until)
        return
      }
      case 'discovery': {
        const { address } = this.plan.starts[strike.node] as Start
        if (!over && !withstandsBlindness(this.plan)) this.premise.breaks(this.now, strike.until)
        if (!over) this.blind.set(address, strike)
        else if (this.blind.get(address) === strike) this.blind.delete(address)
        return
      }
      case 'aim':
        this.aims.push(strike)
        return
    }
  }

  private showStrike(strike: Exclude<Strike, { type: 'aim' | 'kill' }>): void {
    const node = 'node' in strike ? this.standing(strike.node) : undefined
    const boots = node === undefined ? [] : [node.boot]
    const text = strike.type === 'cut' ? strike.ways.map(([from, to]) => `${from} to ${to}`).join(', ') : show(strike)
    const until = 'until' in strike ? { until: strike.until } : {}
    this.options.observe?.(this.now, { type: 'fault', kind: strike.type, text: text.slice(0, 500), boots, ...until })
  }

  private stall(node: SimNode | undefined, until: number): void {
    if (node === undefined) return
    this.phases.strike('stall', this.live, [node])
    // Short ones that follow upon each other are a long one.
    if (node.stalledUntil < this.now) node.stalledSince = this.now
    if (until - node.stalledSince >= harmlessMs) this.premise.breaks(this.now, until)
    node.stalledUntil = Math.max(node.stalledUntil, until)
    node.timersFirst = nextFloat(this.random) < 0.5
    this.lastFaultAt = Math.max(this.lastFaultAt, until)
  }

  /** The live node of this place of the plan. */
  private standing(start: number): SimNode | undefined {
    const { name } = this.plan.starts[start] as Start
    return this.live.find((node) => node.name === name)
  }

  private nodesAt(start: number): SimNode[] {
    const node = this.standing(start)
    return node === undefined ? [] : [node]
  }

  /** A message is sent: is something aimed at it? */
  private aim(from: SimNode, to: BootId, type: string): void {
    const strike = this.aims.find((one) => one.message === type)
    if (strike === undefined) return
    this.aims = this.aims.filter((one) => one !== strike)
    const far = this.live.find((node) => node.boot === to)
    const victim = strike.whom === 'sender' ? from : far
    if (victim === undefined || far === undefined) return
    const text = `at ${type} from ${from.boot} to ${to}: ${strike.whom} ${strike.deed}`
    this.options.trace?.(`           ${text}`)
    this.options.observe?.(this.now, { type: 'fault', kind: 'aim', text, boots: [victim.boot] })
    const at = this.now + (nextFloat(this.random) < 0.5 ? 0 : nextFloat(this.random) * 5)
    switch (strike.deed) {
      case 'leave':
        if (this.live.some((node) => node !== victim && !node.leaving)) this.push(at, kinds.leave, victim)
        return
      case 'join': {
        const fresh = this.plan.starts.length + this.extraStarts.length
        this.extraStarts.push({ at, name: nodeName(fresh), address: nodeAddress(fresh) })
        return this.push(at, kinds.start, undefined, undefined, fresh)
      }
      case 'slow': {
        const link = from.links.get(to)
        this.phases.strike('slow', this.live, [from, far])
        if (link !== undefined) link.wayTo(victim).baseMs = 50 + nextFloat(this.random) * 150
        return
      }
      case 'kill':
      case 'vanish': {
        const back: Return = { backAfterMs: nextFloat(this.random) * 5000, sameName: true }
        return this.push(at, kinds.crash, victim, undefined, strike.deed === 'vanish' ? 1 : 0, '', back)
      }
      case 'choke': {
        const until = at + 1000 + nextFloat(this.random) * 4000
        this.premise.breaks(this.now, until)
        this.phases.strike('reader', this.live, [victim])
        this.network.slowDown(victim.address, until)
        this.lastFaultAt = Math.max(this.lastFaultAt, until)
        return this.push(until, kinds.reads, undefined, undefined, 0, victim.address)
      }
      case 'stall':
        return this.stall(victim, at + 1000 + nextFloat(this.random) * 4000)
      case 'end':
        this.lastFaultAt = Math.max(this.lastFaultAt, at)
        return this.push(at, kinds.endsItself, victim)
    }
  }

  private initialised(node: SimNode, ask: number, fails: boolean): void {
    this.lastFaultAt = this.now
    if (!node.asks.has(ask)) return
    if (fails || node.leaving) {
      node.replica.track({ type: 'abandon', ask, code: 'ERR_INIT_FAILED', text: 'its init failed' }, this.now)
      // Whoever abandons knows the outcome.
      node.asks.delete(ask)
      return
    }
    node.replica.track({ type: 'commit', ask, pid: node.nextPid() }, this.now)
  }

  // -- what the machines say

  transmit(from: SimNode, to: BootId, frame: ClusterFrame): void {
    if (this.options.freeze === true) freezeDeep(frame)
    this.options.trace?.(`           ${from.boot} -> ${to} ${show(frame)}`)
    const arrival = this.network.transmit(from, to, this.wired ? this.rewrite(from, frame) : frame)
    this.options.observe?.(this.now, { type: 'sent', node: from, to, frame, arrival })
    if (this.turn?.asker === to && this.turn.answers.includes(wordOf(frame))) this.turn = undefined
    if (this.aims.length > 0 && 'message' in frame) this.aim(from, to, (frame.message as TrackerMessage).type)
  }

  /** What the far end reads of this frame. */
  private rewrite(from: SimNode, frame: ClusterFrame): ClusterFrame {
    const read = decodeFrame(
      encodeFrame(frame, (message) => encodeMessage(message as TrackerMessage)),
      (fields) => decodeMessage(fields),
    )
    if (read === undefined) this.complain('unreadable', `${from.boot} sent ${show(frame)}`)
    return read ?? frame
  }

  clusterOutput(node: SimNode, output: ClusterOutput): void {
    this.options.observe?.(this.now, { type: 'said', node, output })
    switch (output.type) {
      case 'dial':
        return this.network.dial(node, output.address)
      case 'close': {
        const link = node.links.get(output.boot)
        if (link !== undefined) this.network.close(node, link)
        return
      }
      case 'refresh':
        return this.push(this.now + 1 + nextFloat(this.random) * 20, kinds.discover, node)
      case 'defer':
        return this.push(this.now + TWO_TURNS_MS, kinds.verdict, node, undefined, output.token)
      case 'notFormed':
        node.notFormedAt = this.now
        return this.ledger.concluded('gate ERR_NOT_FORMED')
      case 'condemned':
        this.push(this.now, kinds.rejoin, node)
        if (this.premise.forbidsDowns(this.now))
          this.complain('falseDown', `${node.boot} was condemned by ${output.by}`)
        return
      case 'member':
        if (
          this.premise.forbidsDowns(this.now) &&
          output.member.phase === 'down' &&
          this.live.some((one) => one.boot === output.member.info.boot)
        ) {
          this.complain('falseDown', `${node.boot} holds ${output.member.info.boot} for down: ${output.reason}`)
        }
        if (output.member.suspect && this.premise.onePair) {
          this.complain('falseDown', `${node.boot} suspects ${output.member.info.boot}, which the others can reach`)
        }
        return
      case 'log':
      case 'dropped':
        this.options.trace?.(`           ${node.boot} ${show(output)}`)
    }
  }

  /** A turn may have many steps, and last a while. */
  hold(node: SimNode): void {
    this.push(this.now + nextFloat(this.random) * LONG_TURN_MS, kinds.turned, node)
  }

  trackerOutput(node: SimNode, output: TrackerOutput): void {
    this.options.observe?.(this.now, { type: 'said', node, output })
    if (output.type !== 'continue') this.options.trace?.(`           ${node.boot} ${show(output)}`)
    const { views } = this.safety
    switch (output.type) {
      case 'continue':
        return this.push(this.now + TWO_TURNS_MS / 2, kinds.proceed, node)
      case 'ready':
        node.readyAt = this.now
        return
      case 'left':
        node.departed = true
        return
      case 'granted':
        this.initialise(node, output.ask, true)
        return
      case 'activate':
        this.ledger.open(node, output.ask, 'activate', output.name, this.now, views)
        this.activate(node, output)
        return
      case 'registered':
        this.ledger.registered(node, output.ask, output.claim, views, (claim) => this.holds(claim))
        if (output.claim.pid.boot === node.boot && output.claim.placed !== undefined) {
          this.handing?.made(node, output.claim, node.images.get(output.ask))
          node.images.delete(output.ask)
        }
        return this.readOwnWrite(node, output)
      case 'export': {
        const { ms, fails } = this.handing?.exporting(node, output) ?? { ms: 0, fails: true }
        return this.push(this.now + ms, kinds.exported, node, undefined, output.pid, fails ? 'fails' : '', output)
      }
      case 'resume':
        return this.handing?.resume(node, output)
      case 'release':
        this.handing?.release(node, output)
        return this.push(this.now + nextFloat(this.random) * 20, kinds.ended, node, undefined, output.pid)
      case 'passed':
        return
      case 'emptied':
        this.checkEmptied(node, output)
        return this.push(this.now + 0.1, kinds.leave, node)
      case 'refused':
        return this.ledger.refused(node, output.ask, output.code, output.text, views)
      case 'done':
        return this.ledger.done(node, output.ask, views)
      case 'kept':
        return this.ledger.kept(node, output.claim)
      case 'deactivate':
        return this.deactivate(node, output)
      case 'event': {
        const { type, name, previous, reason } = output.event
        // Where a source has ended by itself, in the middle of it, its mark may be heard of before the target's claim.
        const byItself = reason === 'crashed' || reason === 'stopped'
        if (type === 'unregistered' && !byItself && previous !== undefined && this.premise.holds(this.now)) {
          // One that leaves before its time lets go of what is on its way.
          const source = this.nodes.find(({ boot }) => boot === previous.pid.boot)
          const early = source === undefined || source.leaving || !source.alive || node.readyAt === undefined
          if (!early && this.safety.isHandedOver(previous)) this.complain('gap', `${node.boot} shows ${name} as free`)
        }
        return node.follow(output.event)
      }
      case 'halted':
        if (output.on) node.halt()
        return
      case 'resumed':
        node.paused.delete(output.pid)
        return
    }
  }

  /** Who says that nothing is left to hand over may have only what it names. */
  private checkEmptied(node: SimNode, { left }: Extract<TrackerOutput, { type: 'emptied' }>): void {
    for (const { name, placed } of node.replica.tracker.registry.logs.get(node.boot)?.claims.values() ?? []) {
      if (placed === undefined || placed.ended !== undefined || left.some((one) => one.name === name)) continue
      this.complain('lost', `${node.boot} is about to leave with ${name}, which is not handed over`)
    }
  }

  private activate(
    node: SimNode,
    { ask, name, cause, fence, state }: Extract<TrackerOutput, { type: 'activate' }>,
  ): void {
    const origin = node.replica.tracker.askById.get(ask)?.origin ?? ''
    this.ledger.activated(node, name, cause, fence, origin)
    if (state !== undefined) node.images.set(ask, state)
    const again = cause === 'failover' && this.plan.ends
    const fails = this.initialise(node, ask, cause === 'spawn' || again)
    if (fails && again) this.ledger.endings.startFailed(origin)
  }

  /** Whether it will fail. */
  private initialise(node: SimNode, ask: number, mayFail: boolean): boolean {
    const { ms, fails } = this.workload.init(mayFail)
    this.push(this.now + ms, kinds.initialised, node, undefined, ask, fails ? 'fails' : '')
    return fails
  }

  private holds({ name, pid }: Claim): boolean {
    return this.live.some((node) => node.boot === pid.boot && node.holdings.get(name)?.pid === pid.id)
  }

  private readOwnWrite(node: SimNode, output: Extract<TrackerOutput, { type: 'registered' }>): void {
    const seen = lookup(node.replica.tracker.registry, output.claim.name)
    if (seen?.pid.equals(output.claim.pid) === true || (seen?.fence ?? 0) > output.claim.fence) return
    // Its end may have come in the same message as the claim itself.
    const log = node.replica.tracker.registry.logs.get(output.claim.pid.boot)
    const now = log?.claims.get(output.claim.name)
    const over = now === undefined || hasEnded(now)
    if (log !== undefined && log.seq > output.claim.seq && over) return
    // Or its node has gone before the copy of its log came.
    if (log !== undefined && log.seq >= output.claim.seq && log.hidden) return
    const told = seen?.pid.toString() ?? 'nobody'
    this.complain('unread', `${node.boot} acknowledged ${output.claim.name} of ${output.claim.pid} and shows ${told}`)
  }

  private deactivate(node: SimNode, output: Extract<TrackerOutput, { type: 'deactivate' }>): void {
    const winner = output.winner?.pid.toString() ?? 'nobody, as it was stopped'
    const text = `${node.boot} stops ${output.name} (${output.reason}), held by ${winner}`
    const calm = this.premise.holds(this.now) && !output.name.startsWith(freePrefix)
    // Where it was handed over, its user may have stopped it there before this node heard that it had come.
    const byUser = output.winner === undefined && this.ledger.isStopped(output.name)
    if (calm && !this.premise.rough && !byUser) this.complain('stopped', text)
    if (output.winner !== undefined && !this.safety.heldBesides(node, output.pid, output.name, JUST_HELD_MS)) {
      this.complain('bothStopped', text)
    }
    const winnerLives = this.live.some(({ boot }) => boot === output.winner?.pid.boot)
    this.ledger.deactivated(node, output.pid, output.name, output.winner, winnerLives)
    this.push(this.now + 1 + nextFloat(this.random) * 20, kinds.ended, node, undefined, output.pid)
  }

  // -- the checks of the run as a whole

  private patrol(): void {
    const { now } = this
    // Names wait while restarts are paused: see ROUGH_REST_WITHIN_MS.
    const calmAt = this.premise.rough
      ? Math.max(this.premise.brokenUntil, this.lastFaultAt + ROUGH_REST_WITHIN_MS / 2)
      : this.premise.brokenUntil
    this.forming?.look(this.live, now)
    for (const node of this.live) {
      this.safety.patrol(node)
      if (node.stalledUntil > now) continue
      this.forming?.check(node, now, calmAt)
      const formedAt = Math.max(calmAt, node.formingUntil)
      this.ledger.patrol(node, now, formedAt)
      this.missDown(node, calmAt)
      if (node.readyAt === undefined && !node.leaving && now - Math.max(node.startedAt, formedAt) > READY_WITHIN_MS) {
        node.readyAt = now
        this.complain('stuck', `${node.boot} is not ready ${READY_WITHIN_MS} ms after its start`)
      }
      if (node.leavingSince !== undefined && now - Math.max(node.leavingSince, calmAt) > LEFT_WITHIN_MS) {
        node.leavingSince = Number.POSITIVE_INFINITY
        this.complain('stuck', `${node.boot} does not finish leaving within ${LEFT_WITHIN_MS} ms`)
      }
    }
    if (now >= this.healedAt) this.lookForRest()
    if (!this.finished) this.push(now + PATROL_MS, kinds.patrol, undefined)
  }

  /** Every true end is found. */
  private missDown(node: SimNode, calmAt: number): void {
    for (const { boot } of node.replica.membership.view.members) {
      const gone = this.nodes.find((one) => one.boot === boot)
      if (gone?.killedAt === undefined || this.now - Math.max(gone.killedAt, calmAt) < DOWN_WITHIN_MS) continue
      this.complain('missedDown', `${node.boot} still counts ${boot} in, which was killed at ${gone.killedAt} ms`)
    }
  }

  private lookForRest(): void {
    if (this.lastFaultAt + PATROL_MS > this.now) return
    const isMoving = this.live.some(({ asks }) => [...asks.values()].some(({ what }) => what === 'move'))
    const within = this.premise.rough ? ROUGH_REST_WITHIN_MS : isMoving ? MOVED_WITHIN_MS : REST_WITHIN_MS
    const undone = this.handing?.lost(this.live)
    const found =
      unrest(this.live, this.ledger, this.safety, this.plan.slots) ??
      (undone === undefined ? undefined : { rule: 'lost' as const, text: undone })
    if (found === undefined) this.finished = true
    else if (this.now >= this.lastFaultAt + within) {
      this.finished = true
      const halted = this.live.find((node) => node.replica.tracker.partition?.halted === true)
      if (halted !== undefined && mayHalt(halted, this.live)) return this.ledger.concluded('run halted for good')
      if (this.forming?.isShort(this.live)) return this.ledger.concluded('run not formed')
      const open = openQuestions(this.live).join('; ')
      this.complain(found.rule, `no rest ${within} ms after the last fault: ${found.text}; open: ${open || 'nothing'}`)
    }
  }

  private complain(rule: Rule, text: string): void {
    if (this.violations.filter((one) => one.rule === rule).length >= MAX_OF_A_RULE) return
    this.options.trace?.(`!! ${rule}: ${text}`)
    const violation = { seed: this.plan.seed, rule, at: this.now, text }
    this.violations.push(violation)
    this.options.observe?.(this.now, { type: 'violated', violation })
  }
}
