/**
 * A tiny world: two or three nodes, the production machines of each, and everything that is under way between them, as
 * a value. `apply` takes one action and gives the next world; the one it came from stays as it was, so that a search
 * can go another way from there, unless it is spent. A node that an action does not touch is shared by both.
 *
 * What is under way waits in lanes, each first in, first out: the frames from one node to another (with the news that
 * the link is up, or gone), the handshake of a pair, what a node's own shell brings it, what its user does next.
 */
import type { BootId, ClusterFrame, ClusterInput, ClusterOutput } from '@skep/cluster/core'
import { type Claim, lookup, type TrackerOutput } from '@skep/tracker/core'
import { Ledger } from '../machines/ledger.js'
import { type NodeHost, SimNode } from '../machines/node.js'
import type { Rule } from '../machines/report.js'
import { freezeDeep } from '../machines/trace.js'
import { cloneState } from './clone.js'
import { addressOf, birthOf, type Fault, type Scenario, scripts, type UserAct } from './scenario.js'

/** What waits in a lane. */
export type Load =
  | { readonly type: 'frame'; readonly frame: ClusterFrame }
  | { readonly type: 'up'; readonly hello: ClusterInput; readonly address: string | undefined }
  | { readonly type: 'down' }
  /** The handshake of a pair, and who of it dialled. */
  | { readonly type: 'connect'; readonly diallers: readonly number[] }
  | { readonly type: 'discover' }
  | { readonly type: 'input'; readonly input: ClusterInput }
  | { readonly type: 'continue' }
  | { readonly type: 'initialised'; readonly ask: number }
  | { readonly type: 'ended'; readonly pid: number }
  | { readonly type: 'act'; readonly act: UserAct }

export interface Item {
  /** Of which round of deliveries it is: one more than what it follows from. */
  readonly round: number
  readonly sentAt: number
  readonly load: Load
}

/** An event that may come at any moment. */
export type Stroke =
  | { readonly type: 'start'; readonly node: number }
  | { readonly type: 'crash'; readonly node: number; readonly lastWords: boolean }
  | { readonly type: 'leave'; readonly node: number }
  | { readonly type: 'cut'; readonly pair: readonly [number, number] }
  | { readonly type: 'heal' }

export type Action =
  | { readonly type: 'deliver'; readonly lane: number }
  | { readonly type: 'wake' }
  | { readonly type: 'stroke'; readonly stroke: Stroke }
  /** Put off what is in this lane: see schedule.ts. */
  | { readonly type: 'hold'; readonly lane: number }
  | { readonly type: 'release' }

/** Rounds of a handshake: it takes longer than a frame. */
const HANDSHAKE_ROUNDS = 4

export interface Tiny {
  readonly scenario: Scenario
  now: number
  round: number
  /** By index; undefined until it starts. */
  nodes: (SimNode | undefined)[]
  lanes: (readonly Item[])[]
  /** Lanes that are put off, a bit each. */
  held: number
  /** Bit `from * n + to`: the shell of `from` believes in its link to `to`. */
  linked: number
  /** The same, in both directions: there is a link, or it is being made. */
  wired: number
  cut: { readonly pair: readonly [number, number]; readonly until: number } | undefined
  /** Which act of its script each user has done, and the ask whose outcome it waits for. */
  users: { readonly done: number; readonly ask: number }[]
  joinsLeft: number
  faultLeft: boolean
  /** The last thing that rest has to follow within a bound. */
  disturbedAt: number
  ledger: Ledger
  /** The highest fence that each name had, and who got it. */
  fences: Map<string, { readonly fence: number; readonly by: BootId }>
  idUsers: Set<string>
  /** What the checks noted of each node: see checks.ts. */
  marks: (Mark | undefined)[]
  /** The nodes that no other world shares, a bit each; the bit after theirs is the ledger's. */
  owned: number
}

/** What may only rise on a node, and the claims that it wrote. */
export interface Mark {
  readonly counter: number
  readonly view: number
  readonly incarnation: number
  readonly epoch: number
  readonly seqs: ReadonlyMap<BootId, number>
  readonly claims: ReadonlyMap<string, Claim>
}

export interface Complaint {
  readonly rule: Rule
  readonly text: string
}

export class Stage implements NodeHost {
  /** What the last action broke. */
  readonly complaints: Complaint[] = []
  /** The nodes that it changed. */
  readonly touched: Set<number> = new Set()
  private world!: Tiny
  private readonly complain = (rule: Rule, text: string): void => void this.complaints.push({ rule, text })

  root(scenario: Scenario): Tiny {
    const { nodes } = scenario
    this.world = {
      scenario,
      now: 0,
      round: 0,
      nodes: new Array<undefined>(nodes).fill(undefined),
      lanes: new Array<readonly Item[]>(laneCount(nodes)).fill([]),
      held: 0,
      linked: 0,
      wired: 0,
      cut: undefined,
      users: new Array(nodes).fill({ done: 0, ask: 0 }),
      joinsLeft: 1,
      faultLeft: scenario.fault !== 'none',
      disturbedAt: 0,
      ledger: new Ledger(this.complain, isStrict(scenario.fault) || scenario.fault === 'crash' ? always : never),
      fences: new Map(),
      idUsers: new Set(),
      marks: new Array<undefined>(nodes).fill(undefined),
      owned: 0,
    }
    for (let index = 0; index < nodes - 1; index++) this.start(index)
    return this.world
  }

  /**
   * The world after `action`; what it broke stands in `complaints`. `spent`: nobody needs the world before any more, so
   * it may be written over, which saves most of the copies.
   */
  apply(before: Tiny, action: Action, spent = false): Tiny {
    const world: Tiny = spent ? before : { ...before, lanes: before.lanes.slice(), owned: 0 }
    this.world = world
    this.complaints.length = 0
    this.touched.clear()
    switch (action.type) {
      case 'hold':
        world.held |= 1 << action.lane
        return world
      case 'release':
        world.held = 0
        return world
      case 'deliver':
        this.deliver(action.lane)
        break
      case 'wake':
        this.wake()
        break
      case 'stroke':
        this.strike(action.stroke)
    }
    return world
  }

  // -- what may be changed in the world under way

  private writable(index: number): SimNode {
    const { world } = this
    const node = world.nodes[index]
    if (node === undefined) throw new Error(`node ${index} has not started`)
    this.touched.add(index)
    if (this.own(world.nodes.length)) world.ledger = cloneState(world.ledger)
    if (!this.own(index)) return node
    const copy = cloneState(node, [this])
    world.nodes = world.nodes.slice()
    world.nodes[index] = copy
    return copy
  }

  /** True when it is not the world's own yet, and so must be copied. */
  private own(bit: number): boolean {
    const { owned } = this.world
    this.world.owned = owned | (1 << bit)
    return (owned & (1 << bit)) === 0
  }

  private push(lane: number, load: Load, rounds = 1): void {
    const { world } = this
    const item = { round: world.round + rounds, sentAt: world.now, load: Object.freeze(load) }
    world.lanes[lane] = [...(world.lanes[lane] as readonly Item[]), item]
  }

  /** Frozen after each step, or each copy of a node would copy the ring, which is a constant. */
  private settle(node: SimNode): void {
    const { table, view } = node.replica.tracker
    if (table !== undefined) Object.freeze(table)
    freezeDeep(view)
    if (node.departed && node.alive) this.part(node)
  }

  // -- the actions

  private deliver(lane: number): void {
    const { world } = this
    const [item, ...rest] = world.lanes[lane] as readonly Item[]
    if (item === undefined) throw new Error('an empty lane')
    world.lanes[lane] = rest
    world.round = Math.max(world.round, item.round)
    const { from, to } = endsOf(lane, world.scenario.nodes)
    if (item.load.type === 'connect') return this.connect(from, to, item.load.diallers)
    if (world.nodes[to]?.alive !== true) return
    const node = this.writable(to)
    this.receive(node, from, item.load)
    this.settle(node)
  }

  private receive(node: SimNode, from: number, load: Exclude<Load, { type: 'connect' }>): void {
    const { world } = this
    const { replica } = node
    const boot = world.nodes[from]?.boot ?? ''
    switch (load.type) {
      case 'frame':
        return replica.cluster({ type: 'frame', from: boot, frame: load.frame }, world.now)
      case 'up':
        this.believe(node.index, from, true)
        replica.cluster(load.hello, world.now)
        if (load.address === undefined) return
        return replica.cluster(
          {
            type: 'dialled',
            address: load.address,
            outcome: this.believes(node.index, from) ? 'linked' : 'failed',
            boot,
          },
          world.now,
        )
      case 'down':
        if (!this.believes(node.index, from)) return
        this.believe(node.index, from, false)
        return replica.cluster({ type: 'linkDown', boot, byPeer: true }, world.now)
      case 'discover': {
        const addresses = world.nodes.flatMap((one) => (one?.alive === true ? [one.address] : []))
        return replica.cluster({ type: 'discovered', addresses }, world.now)
      }
      case 'input':
        return replica.cluster(load.input, world.now)
      case 'continue':
        return replica.track({ type: 'continue' }, world.now)
      case 'initialised':
        if (!node.asks.has(load.ask)) return
        return replica.track({ type: 'commit', ask: load.ask, pid: node.nextPid() }, world.now)
      case 'ended':
        world.ledger.stop(node, load.pid)
        return replica.track({ type: 'gone', pid: load.pid }, world.now)
      case 'act':
        return this.act(node, load.act)
    }
  }

  private wake(): void {
    const { world } = this
    const { at, node } = nextTimer(world)
    world.now = Math.max(world.now, at)
    if (node === undefined) return this.heal()
    const woken = this.writable(node)
    woken.replica.wake(world.now)
    world.ledger.patrol(woken, world.now, world.disturbedAt)
    this.settle(woken)
  }

  private strike(stroke: Stroke): void {
    const { world } = this
    world.disturbedAt = world.now
    switch (stroke.type) {
      case 'start':
        world.joinsLeft--
        return this.start(stroke.node)
      case 'crash':
        world.faultLeft = false
        return this.crash(stroke.node, stroke.lastWords)
      case 'leave':
        world.faultLeft = false
        return this.leave(stroke.node)
      case 'cut':
        world.faultLeft = false
        world.cut = { pair: stroke.pair, until: world.now + world.scenario.cutMs }
        return this.sever(...stroke.pair)
      case 'heal':
        return this.heal()
    }
  }

  private start(index: number): void {
    const { world } = this
    world.nodes = world.nodes.slice()
    const node = new SimNode(birthOf(index, world.now), this)
    freezeDeep(node.replica.membership.config)
    freezeDeep(node.replica.tracker.config)
    world.nodes[index] = node
    this.touched.add(index)
    this.own(index)
    node.replica.track({ type: 'watch', on: true }, world.now)
    this.push(localLane(index, world.scenario.nodes), { type: 'discover' })
    this.promptUser(index)
  }

  /** As kill -9: the kernel closes its links and refuses dials. Its last frames arrive, or are lost. */
  private crash(index: number, lastWords: boolean): void {
    const { world } = this
    const node = this.writable(index)
    node.alive = false
    node.asks.clear()
    world.ledger.left(node)
    world.nodes.forEach((other, at) => {
      if (other === undefined || at === index) return
      if (!lastWords) world.lanes[frameLane(index, at, world.scenario.nodes)] = []
      this.unlink(index, at)
    })
    // What nobody else knows is lost with it.
    for (const name of world.ledger.spawned.keys()) {
      const known = world.nodes.some((one) => one?.alive === true && knows(one, name))
      if (!known) world.ledger.spawned.delete(name)
    }
    this.clearOwn(index)
  }

  /** As the shells do it: the tracker first, then the membership, then the local processes end. */
  private leave(index: number): void {
    const { world } = this
    const node = this.writable(index)
    node.leavingSince = world.now
    this.clearUser(index)
    node.replica.track({ type: 'leave' }, world.now)
    node.replica.cluster({ type: 'leave' }, world.now)
    const pids = [...node.processes.keys()]
    world.ledger.left(node)
    for (const pid of pids) node.replica.track({ type: 'gone', pid, keepPlaced: true }, world.now)
    node.replica.track({ type: 'part' }, world.now)
    this.settle(node)
  }

  private part(node: SimNode): void {
    const { world } = this
    node.replica.cluster({ type: 'bye' }, world.now)
    node.alive = false
    world.disturbedAt = world.now
    for (const open of node.asks.values()) {
      this.complain('stuck', `${node.boot} left without an outcome for ${open.what} ${open.name} (ask ${open.ask})`)
    }
    for (let at = 0; at < world.nodes.length; at++) if (at !== node.index) this.unlink(node.index, at)
    this.clearOwn(node.index)
  }

  private clearOwn(index: number): void {
    this.world.lanes[localLane(index, this.world.scenario.nodes)] = []
    this.clearUser(index)
  }

  private clearUser(index: number): void {
    this.world.lanes[userLane(index, this.world.scenario.nodes)] = []
  }

  private heal(): void {
    this.world.cut = undefined
    this.world.disturbedAt = this.world.now
  }

  // -- links

  private believes(from: number, to: number): boolean {
    return (this.world.linked & (1 << (from * this.world.scenario.nodes + to))) !== 0
  }

  private believe(from: number, to: number, linked: boolean): void {
    const bit = 1 << (from * this.world.scenario.nodes + to)
    this.world.linked = linked ? this.world.linked | bit : this.world.linked & ~bit
  }

  private isWired(a: number, b: number): boolean {
    return (this.world.wired & (1 << (a * this.world.scenario.nodes + b))) !== 0
  }

  private wire(a: number, b: number, wired: boolean): void {
    const { nodes } = this.world.scenario
    const bits = (1 << (a * nodes + b)) | (1 << (b * nodes + a))
    this.world.wired = wired ? this.world.wired | bits : this.world.wired & ~bits
  }

  private dial(from: number, address: string): void {
    const { world } = this
    const { nodes } = world.scenario
    const to = world.nodes.findIndex((_, index) => addressOf(index) === address)
    if (to === from || to < 0 || world.nodes[to]?.alive !== true) {
      const outcome = to === from ? 'self' : 'refused'
      return this.push(localLane(from, nodes), { type: 'input', input: { type: 'dialled', address, outcome } })
    }
    const lane = handshakeLane(from, to, nodes)
    const [open] = world.lanes[lane] as readonly Item[]
    if (open?.load.type === 'connect') {
      const diallers = [...new Set([...open.load.diallers, from])].sort()
      world.lanes[lane] = [{ ...open, load: { type: 'connect', diallers } }]
      return
    }
    this.push(lane, { type: 'connect', diallers: [from] }, HANDSHAKE_ROUNDS)
  }

  private connect(a: number, b: number, diallers: readonly number[]): void {
    const { world } = this
    const { nodes } = world.scenario
    const [one, two] = [world.nodes[a], world.nodes[b]]
    const isCut = world.cut?.pair.includes(a) === true && world.cut.pair.includes(b)
    const gone = one?.alive !== true || two?.alive !== true
    // An end that has not noticed yet that its link is gone: it does, before it is dialled again.
    const stale = !this.isWired(a, b) && (this.believes(a, b) || this.believes(b, a))
    if (one === undefined || two === undefined || gone || isCut || stale) {
      for (const index of diallers) {
        const address = addressOf(index === a ? b : a)
        const outcome = gone ? 'refused' : 'failed'
        this.push(localLane(index, nodes), { type: 'input', input: { type: 'dialled', address, outcome } })
      }
      return
    }
    if (this.isWired(a, b)) {
      for (const index of diallers) this.alreadyLinked(index, index === a ? b : a)
      return
    }
    this.wire(a, b, true)
    const dialled = (index: number, far: number): string | undefined =>
      diallers.includes(index) ? addressOf(far) : undefined
    this.push(frameLane(a, b, nodes), { type: 'up', hello: one.hello(), address: dialled(b, a) })
    this.push(frameLane(b, a, nodes), { type: 'up', hello: two.hello(), address: dialled(a, b) })
  }

  /** The link that it dialled for is there, or on its way to it: the outcome comes after its `up`. */
  private alreadyLinked(index: number, far: number): void {
    const boot = this.world.nodes[far]?.boot ?? ''
    const address = addressOf(far)
    const input: ClusterInput = { type: 'dialled', address, outcome: 'linked', boot }
    this.push(frameLane(far, index, this.world.scenario.nodes), { type: 'input', input })
  }

  /** `from` closes its end; the far one gets what is under way, then learns it. */
  private unlink(from: number, to: number): void {
    const was = this.isWired(from, to)
    this.believe(from, to, false)
    if (!was) return
    this.wire(from, to, false)
    this.push(frameLane(from, to, this.world.scenario.nodes), { type: 'down' })
  }

  /** The link of the pair breaks: what is under way is lost, and each end learns it. */
  private sever(a: number, b: number): void {
    const { nodes } = this.world.scenario
    if (!this.isWired(a, b)) return
    this.wire(a, b, false)
    for (const [from, to] of [[a, b] as const, [b, a] as const]) {
      // Who has not heard of the link misses nothing.
      this.world.lanes[frameLane(from, to, nodes)] = []
      if (this.believes(to, from)) this.push(frameLane(from, to, nodes), { type: 'down' })
      else this.failDial(to, from)
    }
  }

  private failDial(index: number, far: number): void {
    const input: ClusterInput = { type: 'dialled', address: addressOf(far), outcome: 'failed' }
    if (this.world.nodes[index]?.replica.membership.dials.get(addressOf(far))?.inFlight !== true) return
    this.push(localLane(index, this.world.scenario.nodes), { type: 'input', input })
  }

  // -- users

  /** The next act of the user's script is under way. */
  private promptUser(index: number): void {
    const act = scripts[index]?.[(this.world.users[index] as Tiny['users'][number]).done]
    if (act !== undefined) this.push(userLane(index, this.world.scenario.nodes), { type: 'act', act })
  }

  private act(node: SimNode, act: UserAct): void {
    const { world } = this
    world.disturbedAt = world.now
    const ask = node.nextAsk()
    const { done } = world.users[node.index] as Tiny['users'][number]
    world.users = world.users.slice()
    world.users[node.index] = { done: done + 1, ask }
    const { name } = act
    switch (act.type) {
      case 'claim':
        world.ledger.open(node, ask, 'claim', name, world.now, 0)
        return node.replica.track({ type: 'claim', ask, name, pid: node.nextPid(), meta: 0 }, world.now)
      case 'spawn':
        world.ledger.open(node, ask, 'spawn', name, world.now, 0)
        return node.replica.track({ type: 'spawn', ask, name, kind: 'c', spec: 0 }, world.now)
      case 'unregister': {
        const visible = lookup(node.replica.tracker.registry, name)?.pid
        if (visible?.boot === node.boot) world.ledger.stop(node, visible.id, name)
        world.ledger.open(node, ask, 'unregister', name, world.now, 0)
        return node.replica.track({ type: 'request', ask, request: { type: 'unregister', name } }, world.now)
      }
    }
  }

  private answered(node: SimNode, ask: number): void {
    const user = this.world.users[node.index]
    if (user?.ask !== ask) return
    this.world.users = this.world.users.slice()
    this.world.users[node.index] = { done: user.done, ask: 0 }
    if (!node.leaving) this.promptUser(node.index)
  }

  // -- what the machines say

  transmit(from: SimNode, to: BootId, frame: ClusterFrame): void {
    const { world } = this
    freezeDeep(frame)
    const index = world.nodes.findIndex((node) => node?.boot === to)
    if (!this.believes(from.index, index) || !this.isWired(from.index, index)) return
    this.push(frameLane(from.index, index, world.scenario.nodes), { type: 'frame', frame })
  }

  clusterOutput(node: SimNode, output: ClusterOutput): void {
    const { world } = this
    const local = localLane(node.index, world.scenario.nodes)
    switch (output.type) {
      case 'dial':
        return this.dial(node.index, output.address)
      case 'close':
        return this.unlink(
          node.index,
          world.nodes.findIndex((one) => one?.boot === output.boot),
        )
      case 'refresh':
        return this.push(local, { type: 'discover' })
      case 'defer':
        return this.push(local, { type: 'input', input: { type: 'verdict', token: output.token, waitedMs: 0 } })
      case 'condemned':
        return this.complain('falseDown', `${node.boot} was condemned by ${output.by}`)
      case 'member':
        if (
          output.member.phase === 'down' &&
          world.nodes.some((one) => one?.boot === output.member.info.boot && one.alive)
        ) {
          this.complain('falseDown', `${node.boot} holds ${output.member.info.boot} for down: ${output.reason}`)
        }
    }
  }

  trackerOutput(node: SimNode, output: TrackerOutput): void {
    const { world } = this
    const { ledger, now } = world
    const local = localLane(node.index, world.scenario.nodes)
    switch (output.type) {
      case 'continue':
        return this.push(local, { type: 'continue' })
      case 'ready':
        node.readyAt = now
        return
      case 'left':
        node.departed = true
        return
      case 'granted':
        return this.push(local, { type: 'initialised', ask: output.ask })
      case 'activate':
        ledger.open(node, output.ask, 'activate', output.name, now, 0)
        ledger.activated(node, output.name, output.cause, output.fence)
        return this.push(local, { type: 'initialised', ask: output.ask })
      case 'registered':
        ledger.registered(node, output.ask, output.claim, 0, ({ name, pid }) =>
          world.nodes.some((one) => one?.boot === pid.boot && one.alive && one.holdings.get(name)?.pid === pid.id),
        )
        return this.answered(node, output.ask)
      case 'refused':
        ledger.refused(node, output.ask, output.code, output.text, 0)
        return this.answered(node, output.ask)
      case 'done':
        ledger.done(node, output.ask, 0)
        return this.answered(node, output.ask)
      case 'deactivate':
        if (isStrict(world.scenario.fault)) {
          this.complain('stopped', `${node.boot} stops ${output.name} (${output.reason})`)
        }
        ledger.deactivated(node, output.pid, output.name, output.winner, false)
        return this.push(local, { type: 'ended', pid: output.pid })
      case 'event':
        return node.follow(output.event)
    }
  }
}

/** Under these faults the premise of the promise (PROTOCOL.md 4.3) holds: no name ever has two holders. */
export function isStrict(fault: Fault): boolean {
  return fault === 'none' || fault === 'leave'
}

function knows(node: SimNode, name: string): boolean {
  for (const log of node.replica.tracker.registry.logs.values()) if (log.claims.has(name)) return true
  return false
}

// -- lanes: n * n of frames, n * n of handshakes, n local ones, n of users

export function laneCount(nodes: number): number {
  return 2 * nodes * nodes + 2 * nodes
}

function frameLane(from: number, to: number, nodes: number): number {
  return from * nodes + to
}

function handshakeLane(a: number, b: number, nodes: number): number {
  return nodes * nodes + Math.min(a, b) * nodes + Math.max(a, b)
}

function localLane(node: number, nodes: number): number {
  return 2 * nodes * nodes + node
}

function userLane(node: number, nodes: number): number {
  return 2 * nodes * nodes + nodes + node
}

/** Between whom it is; for a node's own lanes both ends are the node. */
export function endsOf(lane: number, nodes: number): { from: number; to: number } {
  const pairs = nodes * nodes
  if (lane >= 2 * pairs) return { from: (lane - 2 * pairs) % nodes, to: (lane - 2 * pairs) % nodes }
  return { from: Math.floor((lane % pairs) / nodes), to: lane % nodes }
}

/** When time goes on, and whose timer that is; undefined for the end of the cut. */
export function nextTimer(world: Tiny): { at: number; node: number | undefined } {
  let at = world.cut?.until ?? Number.POSITIVE_INFINITY
  let node: number | undefined
  for (const one of world.nodes) {
    if (one?.alive !== true) continue
    const deadline = one.replica.deadline()
    if (deadline >= at) continue
    at = deadline
    node = one.index
  }
  return { at, node }
}

const always = (): boolean => true
const never = (): boolean => false
