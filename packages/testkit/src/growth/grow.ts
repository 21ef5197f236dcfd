/**
 * How a cluster grows: N nodes start at one moment, on a calm network drawn from the seed, with the ring that
 * production has, and each claims one name as soon as it is ready. The run goes on until everything is at rest, which
 * is what every run of the simulator has to reach (machines/rest.ts), and counts what it took. No fault strikes; what
 * is checked besides is that nobody is held to be down, no claim is refused, and the nodes' clock ids are disjoint.
 */
import type { BootId, ClusterFrame, ClusterOutput, Random } from '@skep/cluster/core'
import { below, nextFloat, nextInt } from '@skep/cluster/core'
import { ring, type TrackerOutput, trackerLimits } from '@skep/tracker/core'
import { kinds, SimEvent } from '../machines/event.js'
import { Ledger } from '../machines/ledger.js'
import type { Link } from '../machines/link.js'
import { type DialOutcome, Network } from '../machines/network.js'
import { type NodeHost, SimNode } from '../machines/node.js'
import { type Delays, nodeAddress, nodeName, stream } from '../machines/plan.js'
import { unrest } from '../machines/rest.js'
import { overlap, Safety } from '../machines/safety.js'
import { Schedule } from '../machines/schedule.js'
import { TraceHash } from '../machines/trace.js'
import { type Count, Traffic } from './traffic.js'

export interface GrowOptions {
  readonly nodes: number
  readonly seed: number
  /** Called now and then: what looks at the memory of the process. */
  readonly look?: (() => void) | undefined
  /** Called at rest, while all nodes still stand. */
  readonly end?: (() => void) | undefined
}

/** What one start of N nodes took. Times are virtual milliseconds from the start. */
export interface Growth {
  readonly nodes: number
  readonly seed: number
  /** Until every node's view had all nodes, until all were ready, until all was at rest. */
  readonly viewMs: number
  readonly readyMs: number
  readonly restMs: number
  readonly frames: number
  readonly bytes: number
  readonly byType: Readonly<Record<string, Count>>
  /** View changes of all nodes. */
  readonly views: number
  /** Inputs of nodes: frames, timers, dials and so on. */
  readonly steps: number
  /** Over kinds, times and nodes of all events. */
  readonly hash: string
  /** What went wrong, in words; empty where nothing did. */
  readonly faults: readonly string[]
}

/** From the start to rest, at most. */
const REST_WITHIN_MS = 60_000
/** How often to look for rest: it is found so much too late. */
const PATROL_MS = 50
/** Discovery answers within so many milliseconds. */
const DISCOVERY_MS = 30
const TWO_TURNS_MS = 0.2
/** Steps between two looks at the memory. */
const LOOK_STEPS = 20_000
const MAX_FAULTS = 10

/** Equal options give equal results. */
export function grow(options: GrowOptions): Growth {
  return new GrowingWorld(options).run()
}

class GrowingWorld implements NodeHost {
  private readonly options: GrowOptions
  private readonly schedule = new Schedule<SimEvent>()
  private readonly random: Random
  private readonly network: Network
  private readonly ledger: Ledger
  private readonly safety: Safety
  private readonly traffic = new Traffic()
  private readonly hash = new TraceHash()
  private readonly nodes: SimNode[] = []
  private readonly faults: string[] = []
  /** How many nodes see everybody, and are ready. */
  private seeing = 0
  private ready = 0
  private viewMs = Number.POSITIVE_INFINITY
  private readyMs = Number.POSITIVE_INFINITY
  private restMs = Number.POSITIVE_INFINITY
  private steps = 0
  private now = 0

  constructor(options: GrowOptions) {
    this.options = options
    const { seed } = options
    this.random = stream(seed, 'nodes')
    this.network = new Network(this.schedule, stream(seed, 'network'), drawCalm(stream(seed, 'plan')))
    const complain = (rule: string, text: string): void => this.complain(`${rule}: ${text}`)
    this.ledger = new Ledger(complain, () => true)
    this.safety = new Safety(
      ring.ringDefaults.slots,
      () => true,
      complain,
      (node, claim) => this.ledger.removed(node, claim),
    )
  }

  run(): Growth {
    for (let index = 0; index < this.options.nodes; index++) this.start(index)
    this.push(PATROL_MS, kinds.patrol, undefined)
    for (let event = this.schedule.pop(); event !== undefined; event = this.schedule.pop()) {
      this.next(event)
      if (this.restMs < Number.POSITIVE_INFINITY || this.faults.length >= MAX_FAULTS) break
    }
    this.options.end?.()
    const [one] = this.nodes
    const users = new Set(this.nodes.map((node) => idUser(node)))
    const doubled = one === undefined ? undefined : overlap(one, this.nodes, users)
    if (doubled !== undefined) this.complain(doubled)
    return this.result()
  }

  private result(): Growth {
    const { viewMs, readyMs, restMs, steps, faults } = this
    const counts = [...this.traffic.byType].sort(([, a], [, b]) => b.bytes - a.bytes)
    return {
      nodes: this.options.nodes,
      seed: this.options.seed,
      viewMs,
      readyMs,
      restMs,
      frames: this.network.frames,
      bytes: counts.reduce((sum, [, { bytes }]) => sum + bytes, 0),
      byType: Object.fromEntries(counts),
      views: this.safety.views,
      steps,
      hash: this.hash.toString(),
      faults,
    }
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

  private start(index: number): void {
    const name = nodeName(index)
    const letters = nextInt(this.random).toString(36).padStart(7, '0').slice(-4)
    const node = new SimNode(
      {
        index,
        name,
        address: nodeAddress(index),
        // As long as real ones, for the bytes.
        boot: `${letters}-${name}`.padEnd(BOOT_CHARS, '-'),
        seed: nextInt(this.random),
        counter: 1_700_000_000_000 + below(this.random, 4000),
        ring: ring.ringDefaults,
        chunkBytes: trackerLimits.chunkBytes,
        sliceNames: trackerLimits.sliceNames,
        maxTail: trackerLimits.maxTail,
        maxChunks: trackerLimits.maxChunks,
        now: 0,
        rate: 1,
      },
      this,
    )
    this.nodes.push(node)
    this.network.listen(node)
    node.replica.track({ type: 'watch', on: true }, this.now)
    this.push(nextFloat(this.random) * DISCOVERY_MS, kinds.discover, node)
    this.settle(node)
  }

  private next(event: SimEvent): void {
    this.now = event.at
    this.network.now = event.at
    this.safety.now = event.at
    this.ledger.now = event.at
    const node = event.node as SimNode | undefined
    if (event.kind === kinds.wake && event.at !== node?.wakeAt) return
    this.hash.add(event)
    if (node === undefined) return this.patrol()
    this.steps++
    if (this.steps % LOOK_STEPS === 0) this.options.look?.()
    this.perform(event, node)
    this.settle(node)
  }

  private perform(event: SimEvent, node: SimNode): void {
    const { now } = this
    const { replica } = node
    switch (event.kind) {
      case kinds.frame: {
        const from = (event.link as Link).other(node).boot
        if (node.links.get(from) !== event.link) return
        return replica.cluster({ type: 'frame', from, frame: event.load as ClusterFrame }, now)
      }
      case kinds.wake:
        node.wakeAt = Number.POSITIVE_INFINITY
        return replica.wake(now)
      case kinds.linkUp: {
        const link = event.link as Link
        node.links.set(link.other(node).boot, link)
        return replica.cluster(link.helloFor(node), now)
      }
      case kinds.dialArrives:
        return this.network.arrive(node, event.text, event.value)
      case kinds.dialled: {
        const { outcome, link } = event.load as DialOutcome
        if (link === undefined) return replica.cluster({ type: 'dialled', address: event.text, outcome }, now)
        const { boot } = link.other(node)
        return replica.cluster({ type: 'dialled', address: event.text, outcome, boot }, now)
      }
      case kinds.discover:
        return replica.cluster({ type: 'discovered', addresses: this.network.addresses() }, now)
      case kinds.verdict:
        return replica.cluster({ type: 'verdict', token: event.value, waitedMs: 0 }, now)
      case kinds.proceed:
        return replica.track({ type: 'continue' }, now)
      case kinds.op:
        return this.claim(node)
      case kinds.linkDown:
        return this.complain(`${node.boot} loses a link`)
    }
  }

  private settle(node: SimNode): void {
    const before = node.seen.view
    // Its clock id is compared with its own alone: with all of them once, at the end.
    this.safety.check(node, [node])
    if (node.seen.view !== before && node.replica.membership.view.members.length === this.options.nodes) {
      this.seeing++
      if (this.seeing === this.options.nodes) this.viewMs = this.now
    }
    const deadline = node.replica.deadline()
    if (deadline >= node.wakeAt || deadline === Number.POSITIVE_INFINITY) return
    // As timers do, up to a millisecond late.
    node.wakeAt = Math.max(deadline, this.now) + 0.01 + nextFloat(this.random)
    this.push(node.wakeAt, kinds.wake, node)
  }

  private claim(node: SimNode): void {
    const name = `name-${node.index + 1}`
    const ask = node.nextAsk()
    const pid = node.nextPid()
    this.ledger.open(node, ask, 'claim', name, this.now, this.safety.views)
    node.replica.track({ type: 'claim', ask, name, pid }, this.now)
  }

  private patrol(): void {
    const { now, nodes } = this
    const begun = this.seeing === nodes.length && this.ready === nodes.length
    const found = begun ? unrest(nodes, this.ledger, this.safety, ring.ringDefaults.slots) : undefined
    if (begun && found === undefined) {
      this.restMs = now
      return
    }
    if (now < REST_WITHIN_MS) return this.push(now + PATROL_MS, kinds.patrol, undefined)
    this.complain(
      `no rest within ${REST_WITHIN_MS} ms: ${found?.text ?? `${this.seeing} see all, ${this.ready} are ready`}`,
    )
    this.restMs = now
  }

  private complain(text: string): void {
    if (this.faults.length < MAX_FAULTS) this.faults.push(`${this.now.toFixed(3)} ms: ${text}`)
  }

  // -- what the machines say

  transmit(from: SimNode, to: BootId, frame: ClusterFrame): void {
    this.traffic.add(frame)
    this.network.transmit(from, to, frame)
  }

  clusterOutput(node: SimNode, output: ClusterOutput): void {
    switch (output.type) {
      case 'dial':
        return this.network.dial(node, output.address)
      case 'refresh':
        return this.push(this.now + 1 + nextFloat(this.random) * 20, kinds.discover, node)
      case 'defer':
        return this.push(this.now + TWO_TURNS_MS, kinds.verdict, node, undefined, output.token)
      case 'close':
      case 'condemned':
        return this.complain(`${node.boot}: ${JSON.stringify(output)}`)
      case 'member':
        if (output.member.phase === 'down') this.complain(`${node.boot} holds ${output.member.info.boot} for down`)
    }
  }

  trackerOutput(node: SimNode, output: TrackerOutput): void {
    switch (output.type) {
      case 'continue':
        return this.push(this.now + TWO_TURNS_MS / 2, kinds.proceed, node)
      case 'ready':
        node.readyAt = this.now
        this.ready++
        if (this.ready === this.options.nodes) this.readyMs = this.now
        return this.push(this.now, kinds.op, node)
      case 'registered':
        return this.ledger.registered(node, output.ask, output.claim, this.safety.views, () => true)
      case 'refused':
        return this.complain(`${node.boot} is refused its name: ${output.code} (${output.text})`)
      case 'event':
        return node.follow(output.event)
    }
  }
}

/** Characters of a real boot id. */
const BOOT_CHARS = 22

/** Always calm, between 0.2 and 5 ms. */
function drawCalm(random: Random): Delays {
  const calmMs = 0.2 + nextFloat(random) * 4.8
  return { calmMs, tailShare: 0, tailMs: calmMs, slowLinks: 0 }
}

/** As `overlap` wants to be told who has used an id. */
function idUser({ boot, replica }: SimNode): string {
  const { epoch, genesis } = replica.tracker.lineage
  return `${epoch} ${genesis} ${boot}`
}
