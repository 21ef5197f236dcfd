/**
 * A tiny network of membership machines on a virtual clock: links, dials, process death, cuts. One seed decides all.
 * It is a shell without sockets: outputs are performed in order, and what comes of them returns as an input.
 */
import {
  type ClusterInput,
  type ClusterOutput,
  initMembership,
  type MemberInfo,
  type MembershipLimits,
  type MembershipState,
  membershipDeadline,
  membershipLimits,
  nextFloat,
  type Random,
  seedRandom,
  stepMembership,
} from '../src/core/index.js'
import { isDirect } from '../src/core/state.js'

export const limits: MembershipLimits = membershipLimits

export function infoOf(name: string, boot: string = `boot-${name}`, address = `10.0.0.1:${name}`): MemberInfo {
  return { boot, name, address, roles: [], weight: 1, cordoned: false, kinds: [], version: '1', startedAt: 0 }
}

export interface Node {
  readonly name: string
  readonly state: MembershipState
  /** As which boot it sends: its machine may have become another one within the step whose outputs are performed. */
  boot: string
  /** Everything it ever put out, with the time. */
  readonly log: { at: number; output: ClusterOutput }[]
  /** `dead`: the process is gone, its host answers. `silent`: nothing answers any more. */
  life: 'alive' | 'dead' | 'silent'
}

interface Options {
  readonly seed?: number
  readonly latencyMs?: number
  readonly limits?: Partial<MembershipLimits>
  /** Nodes that are condemned go on as other boots; without it they are left as they are. */
  readonly rejoin?: boolean
}

export class VirtualNetwork {
  now = 0
  frames = 0
  steps = 0
  readonly nodes: Map<string, Node> = new Map()
  /** By boot. */
  private readonly byBoot = new Map<string, Node>()
  private readonly agenda: { at: number; order: number; run: () => void }[] = []
  private readonly lastArrival = new Map<string, number>()
  private readonly cuts = new Set<string>()
  private readonly random: Random
  private readonly latencyMs: number
  private readonly limits: MembershipLimits
  private readonly rejoins: boolean
  private order = 0

  constructor(options: Options = {}) {
    this.random = seedRandom(options.seed ?? 1)
    this.latencyMs = options.latencyMs ?? 2
    this.limits = { ...membershipLimits, ...options.limits }
    this.rejoins = options.rejoin ?? false
  }

  /** Starts a node. `discovery` undefined: none is configured. */
  start(name: string, discovery: readonly string[] | undefined, boot: string = `boot-${name}`): Node {
    const self = { ...infoOf(name, boot), startedAt: this.now }
    const seed = Math.floor(nextFloat(this.random) * 1e9)
    const config = { self, discovery: discovery !== undefined, seed, limits: this.limits }
    const node: Node = { name, state: initMembership(config, this.now), boot, log: [], life: 'alive' }
    this.nodes.set(name, node)
    this.byBoot.set(boot, node)
    this.input(node, { type: 'wake' })
    if (discovery) this.input(node, { type: 'discovered', addresses: discovery })
    return node
  }

  /** Lets time pass. */
  run(ms: number): void {
    const end = this.now + ms
    for (;;) {
      const event = this.next(end)
      if (event === undefined) break
      this.now = Math.max(this.now, event.at)
      event.run()
    }
    this.now = end
  }

  input(node: Node, input: ClusterInput): ClusterOutput[] {
    if (node.life !== 'alive') return []
    this.steps++
    const outputs = stepMembership(node.state, input, this.now)
    for (const output of outputs) {
      node.log.push({ at: this.now, output })
      this.perform(node, output)
    }
    if (this.rejoins && outputs.some(({ type }) => type === 'condemned')) this.rejoin(node)
    return outputs
  }

  /** As the shell does it: at once, after all that the old boot's last step gave. */
  private rejoin(node: Node): void {
    const boot = `${node.boot}+`
    this.byBoot.delete(node.boot)
    this.byBoot.set(boot, node)
    this.input(node, { type: 'rejoin', boot, startedAt: 0 })
  }

  /** The process dies: its kernel closes every link and refuses new ones. */
  kill(name: string): void {
    const node = this.node(name)
    node.life = 'dead'
    for (const other of this.nodes.values()) this.drop(node, other, true)
    for (const other of this.nodes.values()) {
      for (const [boot, via] of other.state.vias) {
        if (via === node.boot) this.input(other, { type: 'linkDown', boot, byPeer: false })
      }
    }
  }

  /** The machine vanishes: nothing is closed, nothing answers. */
  vanish(name: string): void {
    this.node(name).life = 'silent'
  }

  /** Nothing passes between these two, or only back; links stay as they are. */
  cut(a: string, b: string, oneWay = false): void {
    this.cuts.add(`${a}|${b}`)
    if (!oneWay) this.cuts.add(`${b}|${a}`)
  }

  mend(): void {
    this.cuts.clear()
  }

  /** The link of two breaks; each end sees that the other closed it, or that it broke. */
  breakLink(a: string, b: string, byPeer: boolean): void {
    this.drop(this.node(a), this.node(b), byPeer)
    this.drop(this.node(b), this.node(a), byPeer)
  }

  node(name: string): Node {
    const node = this.nodes.get(name)
    if (node === undefined) throw new Error(`no node ${name}`)
    return node
  }

  names(name: string): string[] {
    return this.node(name).state.view.members.map((info) => info.name)
  }

  outputs<T extends ClusterOutput['type']>(name: string, type: T): Extract<ClusterOutput, { type: T }>[] {
    return this.node(name)
      .log.map((entry) => entry.output)
      .filter((output): output is Extract<ClusterOutput, { type: T }> => output.type === type)
  }

  private next(end: number): { at: number; run: () => void } | undefined {
    this.agenda.sort((a, b) => a.at - b.at || a.order - b.order)
    let wake: Node | undefined
    let at = this.agenda[0]?.at ?? Infinity
    for (const node of this.nodes.values()) {
      const due = node.life === 'alive' ? membershipDeadline(node.state) : Infinity
      if (due < at) {
        at = due
        wake = node
      }
    }
    if (at > end) return undefined
    const sleeper = wake
    return sleeper ? { at, run: () => void this.input(sleeper, { type: 'wake' }) } : this.agenda.shift()
  }

  private later(ms: number, run: () => void): void {
    this.agenda.push({ at: this.now + ms, order: this.order++, run })
  }

  private delay(): number {
    return this.latencyMs * (0.5 + nextFloat(this.random))
  }

  private perform(node: Node, output: ClusterOutput): void {
    if (output.type === 'rejoined') node.boot = output.self.boot
    else if (output.type === 'transmit') this.transmit(node, output)
    else if (output.type === 'dial') this.dial(node, output.address)
    else if (output.type === 'dialThrough') this.dialThrough(node, output.boot, output.via)
    else if (output.type === 'defer') {
      const { token } = output
      this.later(0, () => this.input(node, { type: 'verdict', token, waitedMs: 0 }))
    } else if (output.type === 'close') {
      const peer = this.byBoot.get(output.boot)
      const { boot } = node
      if (!peer) return
      this.later(this.fifo(node, peer), () => {
        if (this.reaches(node, peer)) this.input(peer, { type: 'linkDown', boot, byPeer: true })
      })
    }
  }

  private fifo(from: Node, to: Node): number {
    const pair = `${from.name}>${to.name}`
    const at = Math.max(this.now + this.delay(), this.lastArrival.get(pair) ?? 0)
    this.lastArrival.set(pair, at)
    return at - this.now
  }

  private transmit(node: Node, output: Extract<ClusterOutput, { type: 'transmit' }>): void {
    const peer = this.byBoot.get(output.to)
    if (peer === undefined) return
    this.frames++
    const from = node.boot
    const { frame, to } = output
    const via = node.state.vias.get(to)
    this.later(this.fifo(node, peer), () => {
      if (this.passes(node, peer, via) && peer.boot === to) this.input(peer, { type: 'frame', from, frame })
    })
  }

  private reaches(a: Node, b: Node): boolean {
    return !this.cuts.has(`${a.name}|${b.name}`) && b.life === 'alive'
  }

  private passes(a: Node, b: Node, via: string | undefined): boolean {
    if (via === undefined) return this.reaches(a, b)
    const relayer = this.byBoot.get(via)
    return relayer !== undefined && this.reaches(a, relayer) && this.reaches(relayer, b)
  }

  /** The relayer refuses where it has no direct link, and says nothing where it is out of reach. */
  private dialThrough(node: Node, boot: string, via: string): void {
    const [peer, relayer] = [this.byBoot.get(boot), this.byBoot.get(via)]
    const done = (ms: number, linked: boolean): void =>
      this.later(ms, () => void this.input(node, { type: 'dialledThrough', boot, via, linked }))
    if (!peer || !relayer || !this.passes(node, peer, via)) return done(2000, false)
    if (!isDirect(relayer.state, boot)) return done(2 * this.delay(), false)
    this.later(4 * this.delay(), () => {
      if (!this.passes(node, peer, via) || !this.passes(peer, node, via)) return done(2000, false)
      if (!node.state.links.has(boot)) {
        this.hello(node, peer, { via })
        this.hello(peer, node, { via })
      }
      done(0, true)
    })
  }

  private dial(node: Node, address: string): void {
    const done = (ms: number, outcome: 'linked' | 'refused' | 'failed', boot?: string): void =>
      this.later(ms, () => {
        this.input(node, { type: 'dialled', address, outcome, ...(boot === undefined ? {} : { boot }) })
      })
    const peer = [...this.nodes.values()].findLast((other) => other.state.self.info.address === address)
    if (peer && (peer.life === 'silent' || !this.reaches(node, peer)) && peer.life !== 'dead')
      return done(2000, 'failed')
    if (!peer || peer.life === 'dead') return done(2 * this.delay(), 'refused')
    this.later(2 * this.delay(), () => {
      if (!this.reaches(node, peer) || !this.reaches(peer, node) || node.life !== 'alive') return done(0, 'failed')
      const { boot } = peer
      const linked = isDirect(node.state, boot) && isDirect(peer.state, node.boot)
      const continues = node.state.vias.has(boot) && peer.state.vias.has(node.boot)
      if (!linked) {
        this.hello(node, peer, { continues })
        this.hello(peer, node, { continues })
      }
      done(0, 'linked', boot)
    })
  }

  private hello(node: Node, of: Node, how: { via?: string; continues?: boolean }): void {
    const { info, incarnation, phase } = of.state.self
    this.input(node, { type: 'linkUp', peer: info, incarnation, phase, carries: true, ...how })
  }

  private drop(gone: Node, at: Node, byPeer: boolean): void {
    this.input(at, { type: 'linkDown', boot: gone.state.self.info.boot, byPeer })
  }
}

/** All addresses of nodes of these names. */
export function addresses(names: readonly string[]): string[] {
  return names.map((name) => infoOf(name).address)
}

/** N nodes that start at once and discover each other. */
export function startTogether(count: number, options: Options = {}): VirtualNetwork {
  const network = new VirtualNetwork(options)
  const names = Array.from({ length: count }, (_, i) => `n${String(i).padStart(2, '0')}`)
  for (const name of names) network.start(name, addresses(names))
  return network
}
