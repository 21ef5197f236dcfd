/**
 * Several actor systems in one process over a network and a registry of our own: frames really are packed and unpacked
 * by msgpackr and arrive in a later turn, the registry is one table that all see at once, time is said by the test.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type Layer, type Logger, type Member, type MemberInfo, SkepError } from '@skep/cluster'
import {
  type Activation,
  type Claim,
  type Deactivation,
  type Grant,
  type Handing,
  ownRule,
  Pid,
  type Timers,
} from '@skep/tracker'
import { Packr } from 'msgpackr'
import {
  type ActorCluster,
  type ActorLimits,
  type ActorSystem,
  type ActorTracker,
  type AnyActor,
  type Isolation,
  startActors,
} from '../src/index.js'

const packr = new Packr({ moreTypes: true, useRecords: false })

/** A clock that stands still until the test moves it. */
export class TestTime implements Timers {
  #now = 1000
  readonly #timers = new Set<{ due: number; fn: () => void }>()
  /** Times that the clock was read. */
  looks = 0
  /** Timers that were ever set. */
  set = 0

  now(): number {
    this.looks += 1
    return this.#now
  }

  setTimer(fn: () => void, ms: number): () => void {
    const timer = { due: this.#now + ms, fn }
    this.set += 1
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  defer(fn: () => void): void {
    setImmediate(fn)
  }

  get timers(): number {
    return this.#timers.size
  }

  /** Time that passes while code runs: no timer can be due meanwhile. */
  spend(ms: number): void {
    this.#now += ms
  }

  /** Let time pass, timer by timer. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms
    await rest()
    for (;;) {
      const due = [...this.#timers].filter((t) => t.due <= end).sort((a, b) => a.due - b.due)[0]
      if (due === undefined) break
      this.#timers.delete(due)
      this.#now = Math.max(this.#now, due.due)
      due.fn()
      await rest()
    }
    this.#now = end
    await rest()
  }
}

/** Until everything that can happen without time passing has happened. */
export async function rest(): Promise<void> {
  for (let i = 0; i < 12; i++) await new Promise((resolve) => setImmediate(resolve))
}

export interface LogLine {
  readonly level: string
  readonly fields: Record<string, unknown>
  readonly text: string
}

function testLogger(lines: LogLine[], bindings: Record<string, unknown> = {}): Logger {
  const at =
    (level: string) =>
    (...line: [object, string] | [string]) => {
      const [fields, text] = line.length === 1 ? [{}, line[0]] : line
      lines.push({ level, fields: { ...bindings, ...fields }, text })
    }
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    fatal: at('fatal'),
    child: (more) => testLogger(lines, { ...bindings, ...more }),
  }
}

export interface NodeOptions {
  readonly actors?: readonly AnyActor[]
  readonly isolation?: Isolation
  readonly limits?: Partial<ActorLimits>
}

export class World {
  readonly time: TestTime = new TestTime()
  readonly nodes = new Map<string, TestNode>()
  /** Boots that nodes were before, as members. */
  readonly past = new Map<string, Member>()
  readonly claims = new Map<string, Claim>()
  readonly groups = new Map<string, Pid[]>()
  readonly reserved = new Set<string>()
  /** Links that are cut, as "a>b". */
  readonly cut = new Set<string>()
  /** Links that are full, as "a>b". */
  readonly full = new Set<string>()
  /** Every frame that was posted. */
  readonly frames: { from: string; to: string; frame: readonly unknown[] }[] = []
  #fence = 100
  #next = 0

  add(name: string, options: NodeOptions = {}): TestNode {
    const node = new TestNode(this, name, options)
    this.nodes.set(node.boot, node)
    node.start()
    return node
  }

  nextFence(): number {
    this.#fence += 1
    return this.#fence
  }

  post(from: TestNode, to: string, frame: readonly unknown[]): 'sent' | 'unlinked' | 'overloaded' {
    const peer = this.nodes.get(to)
    if (peer === undefined || peer.phase !== 'up' || this.cut.has(`${from.name}>${peer.name}`)) return 'unlinked'
    if (this.full.has(`${from.name}>${peer.name}`)) return 'overloaded'
    this.frames.push({ from: from.name, to: peer.name, frame })
    const bytes = packr.pack(frame)
    const sender = from.boot
    setImmediate(() => {
      // A link ends with either boot.
      if (from.boot !== sender || peer.boot !== to) return
      if (peer.phase !== 'up' || from.phase !== 'up' || this.cut.has(`${from.name}>${peer.name}`)) return
      peer.layer?.raw?.(from.boot, packr.unpack(bytes) as unknown[])
    })
    return 'sent'
  }

  linked(from: TestNode, to: string): boolean {
    const peer = this.nodes.get(to)
    return peer?.phase === 'up' && !this.cut.has(`${from.name}>${peer.name}`)
  }

  cutLink(a: TestNode, b: TestNode): void {
    this.cut.add(`${a.name}>${b.name}`).add(`${b.name}>${a.name}`)
    a.layer?.input({ type: 'unlinked', boot: b.boot })
    b.layer?.input({ type: 'unlinked', boot: a.boot })
  }

  mendLink(a: TestNode, b: TestNode): void {
    this.cut.delete(`${a.name}>${b.name}`)
    this.cut.delete(`${b.name}>${a.name}`)
    a.layer?.input({ type: 'linked', boot: b.boot })
    b.layer?.input({ type: 'linked', boot: a.boot })
  }

  drain(from: TestNode, to: TestNode): void {
    this.full.delete(`${from.name}>${to.name}`)
    from.layer?.input({ type: 'drained', boot: to.boot })
  }

  /** The process of a node dies; what was placed there starts elsewhere. */
  async kill(node: TestNode): Promise<void> {
    const previous = node.member
    node.phase = 'down'
    for (const other of this.nodes.values()) {
      if (other === node || other.phase !== 'up') continue
      other.layer?.input({ type: 'unlinked', boot: node.boot })
      other.layer?.input({ type: 'member', member: node.member, previous, reason: 'refused' })
    }
    for (const claim of [...this.claims.values()].filter((c) => c.pid.boot === node.boot)) {
      this.claims.delete(claim.name)
      if (claim.placed !== undefined) await this.place(claim.name, claim.kind ?? '', claim.placed.spec, 'failover')
    }
  }

  /** The others held it to be down: it goes on as another boot, and has what `keeps` names again under a new fence. */
  rejoin(node: TestNode, keeps: (name: string) => boolean = () => true): void {
    const others = [...this.nodes.values()].filter((other) => other !== node && other.phase === 'up')
    const { member: previous, boot: old } = node
    const gone: Member = { ...previous, phase: 'down' }
    this.past.set(old, gone)
    this.nodes.delete(old)
    for (const other of others) {
      other.layer?.input({ type: 'unlinked', boot: old })
      other.layer?.input({ type: 'member', member: gone, previous, reason: 'suspected' })
    }
    node.boot = `2${old}`
    this.nodes.set(node.boot, node)
    const members = [node.member, gone, ...others.map((other) => other.member)]
    node.layer?.input({ type: 'rejoined', self: node.info, members })
    for (const other of others) node.layer?.input({ type: 'unlinked', boot: other.boot })
    for (const member of members) node.layer?.input({ type: 'member', member, previous: undefined, reason: 'rejoined' })
    for (const other of others) {
      other.layer?.input({ type: 'member', member: node.member, previous: undefined, reason: 'hello' })
      other.layer?.input({ type: 'linked', boot: node.boot })
      node.layer?.input({ type: 'linked', boot: other.boot })
    }
    for (const claim of [...this.claims.values()].filter((one) => one.pid.boot === old)) {
      this.claims.delete(claim.name)
      const pid = new Pid(node.boot, claim.pid.id, node.name)
      if (!keeps(claim.name)) continue
      this.claims.set(claim.name, { ...claim, pid, fence: this.nextFence() })
      node.kept(pid, claim.name)
    }
    for (const [group, pids] of this.groups) {
      this.groups.set(
        group,
        pids.map((pid) => (pid.boot === old ? new Pid(node.boot, pid.id, node.name) : pid)),
      )
    }
  }

  async place(name: string, kind: string, spec: unknown, cause: 'spawn' | 'failover'): Promise<Claim> {
    const hosts = [...this.nodes.values()].filter((n) => n.phase === 'up' && n.kinds.includes(kind))
    const host = hosts[this.#next++ % Math.max(1, hosts.length)]
    if (host?.activate === undefined) throw new SkepError('ERR_KIND_UNKNOWN', `nobody starts '${kind}'`)
    const fence = this.nextFence()
    const pid = await host.activate({ name, kind, spec: packr.unpack(packr.pack(spec)), fence, cause })
    return this.put(name, pid, fence, kind, spec)
  }

  /**
   * Hands a placed name over as the tracker does: the target's claim stands when this resolves, and its source passes on
   * what comes; `passed` ends that. Rejects with what kept it from going, and then it goes on at its source.
   */
  async handOver(name: string, to: TestNode): Promise<{ claim: Claim; passed: () => void }> {
    const held = this.claims.get(name)
    const source = held === undefined ? undefined : this.nodes.get(held.pid.boot)
    const { handing } = source ?? {}
    if (held === undefined || handing === undefined || held.placed === undefined) throw new Error(`${name} cannot go`)
    const { kind = '', placed, pid } = held
    try {
      const state = await handing.export(pid, name)
      const fence = this.nextFence()
      const activation = { name, kind, spec: placed.spec, fence, cause: 'handoff', state, source: pid.boot } as const
      const at = await (to.activate as NonNullable<TestNode['activate']>)(activation)
      const claim = this.put(name, at, fence, kind, placed.spec)
      handing.release(pid, name, claim)
      return { claim, passed: () => handing.passed(pid, name) }
    } catch (error) {
      handing.resume(pid, name)
      throw error
    }
  }

  put(name: string, pid: Pid, fence: number, kind: string | undefined, spec?: unknown, meta?: unknown): Claim {
    const stamp = { lineage: { epoch: 0, genesis: pid.boot }, event: 0 } as unknown as Claim['stamp']
    const placed = spec === undefined ? undefined : { spec, origin: 'test' }
    const claim: Claim = { name, pid, seq: 1, fence, stamp, kind, meta, placed }
    this.claims.set(name, claim)
    return claim
  }

  holderError(name: string, pid: Pid): SkepError {
    return new SkepError('ERR_ALREADY_STARTED', `'${name}' is held by ${pid}`, { pid })
  }
}

export class TestNode {
  readonly world: World
  readonly name: string
  boot: string
  readonly lines: LogLine[] = []
  readonly options: NodeOptions
  layer: Layer<readonly unknown[]> | undefined
  activate: ((activation: Activation) => Promise<Pid>) | undefined
  deactivate: ((deactivation: Deactivation) => void) | undefined
  handing: Handing | undefined
  lives: (pid: Pid) => boolean = () => true
  halted: (on: boolean) => void = () => {}
  resumed: (pid: Pid) => void = () => {}
  kept: (pid: Pid, name: string) => void = () => {}
  /** What the registry does before anybody has a turn. */
  haltIfDue: () => void = () => {}
  noticeStall: () => void = () => {}
  /** What the registry does before it grants a name. */
  claiming: (name: string) => void = () => {}
  /** What the registry does before a name stands that was granted. */
  committing: () => Promise<void> = async () => {}
  /** What a write waits for that is to be visible elsewhere. */
  flush: () => Promise<void> = async () => {}
  phase: Member['phase'] = 'up'
  kinds: readonly string[] = []
  readonly gone: Pid[] = []
  onGone: (...gone: Parameters<ActorTracker['gone']>) => void = () => {}
  /** What was asked of the tracker for each spawn. */
  readonly spawned: Parameters<ActorTracker['spawn']>[] = []
  #system: ActorSystem | undefined
  #lastId = 0

  constructor(world: World, name: string, options: NodeOptions) {
    this.world = world
    this.name = name
    this.boot = `${name}-boot`
    this.options = options
  }

  start(): void {
    const { actors = [], isolation, limits } = this.options
    this.#system = startActors({
      cluster: this.#cluster(),
      tracker: this.#tracker(),
      actors,
      logger: testLogger(this.lines),
      time: this.world.time,
      ...(isolation === undefined ? {} : { isolation }),
      ...(limits === undefined ? {} : { limits }),
    })
  }

  get system(): ActorSystem {
    if (this.#system === undefined) throw new Error('not started')
    return this.#system
  }

  get info(): MemberInfo {
    const { boot, name, kinds } = this
    return { boot, name, address: `${name}:1`, roles: [], weight: 1, cordoned: false, kinds, version: '', startedAt: 0 }
  }

  get member(): Member {
    return { info: this.info, phase: this.phase, incarnation: 0, suspect: false }
  }

  #cluster(): ActorCluster {
    const { world } = this
    const info = (): MemberInfo => this.info
    return {
      get self(): MemberInfo {
        return info()
      },
      member: (boot) => world.nodes.get(boot)?.member ?? world.past.get(boot),
      attach: (layer) => {
        this.layer = layer as unknown as Layer<readonly unknown[]>
      },
      post: (to, frame) => world.post(this, to, frame),
      linked: (boot) => world.linked(this, boot),
      noticeStall: () => this.noticeStall(),
      describe: ({ kinds = [] }) => {
        this.kinds = kinds
      },
    }
  }

  #tracker(): ActorTracker {
    const { world } = this
    return {
      whereis: (name) => world.claims.get(name)?.pid,
      lookup: (name) => world.claims.get(name),
      nextPid: () => new Pid(this.boot, ++this.#lastId, this.name),
      claim: async (name, options) => {
        this.claiming(name)
        return this.#claim(name, options?.kind, options?.meta)
      },
      register: async (name, pid, options) => {
        if (pid.boot === this.boot && !this.lives(pid)) throw new SkepError('ERR_NO_PROCESS', `${pid} has ended`)
        const held = world.claims.get(name)
        if (held !== undefined) throw new SkepError('ERR_ALREADY_REGISTERED', `'${name}' is taken`, { pid: held.pid })
        return world.put(name, pid, world.nextFence(), undefined, undefined, options?.meta)
      },
      unregister: async (name) => {
        world.claims.delete(name)
      },
      spawn: async (name, kind, spec, options) => {
        this.spawned.push([name, kind, spec, options])
        await rest()
        const held = world.claims.get(name)
        if (held !== undefined) throw world.holderError(name, held.pid)
        return world.place(name, kind, spec, 'spawn')
      },
      gone: (pid, options) => {
        this.gone.push(pid)
        this.onGone(pid, options)
        for (const claim of world.claims.values()) if (claim.pid.equals(pid)) world.claims.delete(claim.name)
        for (const [name, pids] of world.groups) {
          world.groups.set(
            name,
            pids.filter((p) => !p.equals(pid)),
          )
        }
      },
      join: async (group, pid) => {
        world.groups.set(group, [...(world.groups.get(group) ?? []), pid])
      },
      leaveGroup: async (group, pid) => {
        world.groups.set(
          group,
          (world.groups.get(group) ?? []).filter((p) => !p.equals(pid)),
        )
      },
      membersOf: (group) => world.groups.get(group) ?? [],
      definePlacement: (id) => ownRule(id),
      flush: () => this.flush(),
      onActivate: (fn) => {
        this.activate = fn
      },
      livesHere: (fn) => {
        this.lives = fn
      },
      onHalted: (fn) => {
        this.halted = fn
      },
      onResumed: (fn) => {
        this.resumed = fn
      },
      onKept: (fn) => {
        this.kept = fn
      },
      haltIfDue: () => this.haltIfDue(),
      onDeactivate: (fn) => {
        this.deactivate = fn
      },
      onHandoff: (handing) => {
        this.handing = handing
      },
    }
  }

  #claim(name: string, kind: string | undefined, meta: unknown): Grant {
    const { world } = this
    const held = world.claims.get(name)
    if (held !== undefined) throw world.holderError(name, held.pid)
    if (world.reserved.has(name)) throw new SkepError('ERR_TIMEOUT', `'${name}' is being started`)
    world.reserved.add(name)
    const fence = world.nextFence()
    return {
      name,
      fence,
      commit: async (pid) => {
        await this.committing()
        world.reserved.delete(name)
        const other = world.claims.get(name)
        if (other !== undefined) throw world.holderError(name, other.pid)
        if (!this.lives(pid)) throw new SkepError('ERR_NO_PROCESS', `${pid} ended meanwhile`, { pid })
        return world.put(name, pid, fence, kind, undefined, meta)
      },
      abandon: () => {
        world.reserved.delete(name)
      },
    }
  }
}

/** What a promise was rejected with. */
export async function errorOf(promise: Promise<unknown>): Promise<SkepError> {
  try {
    await promise
  } catch (error) {
    return error as SkepError
  }
  throw new Error('it was not refused')
}

setFlagsFromString('--expose-gc')
/** Throw away what nobody holds. */
export const collect: () => void = runInNewContext('gc')

/** A promise from outside. */
export function gate<T = void>(): { promise: Promise<T>; open: (value: T) => void } {
  let open: (value: T) => void = () => {}
  const promise = new Promise<T>((resolve) => {
    open = resolve
  })
  return { promise, open }
}
