/**
 * The naive twin of the registry: what users asked for and what they were promised, kept in plain maps. It knows
 * nothing of rings, slots, views or logs. A promise that an operation on its way may still take back is uncertain:
 * it may hold or not, and is not required.
 */
import type { BootId } from '@skep/cluster/core'
import { type Claim, claimsOf, type Ended, lookup, type TrackerOutput } from '@skep/tracker/core'
import { Endings, isPaused } from './endings.js'
import type { OpenAsk, SimNode } from './node.js'
import type { Complain } from './safety.js'

/** An ask has its outcome within this time. */
export const askWithinMs = 10_000
/** A move: its process may have to come to rest first, and its target may say nothing. */
const moveWithinMs = 25_000

/** What one node knows all linked ones know within this time. */
const KNOWN_WITHIN_MS = 5000

/** How a request may be refused; other codes are an outcome that it cannot have. */
const REFUSALS: ReadonlySet<string> = new Set([
  'ERR_CANNOT_MOVE',
  'ERR_KIND_UNKNOWN',
  'ERR_NO_HOST',
  'ERR_OVERLOADED',
  'ERR_ALREADY_STARTED',
  'ERR_ALREADY_REGISTERED',
  'ERR_ACTOR_STOPPED',
  'ERR_CONFLICT',
  'ERR_INIT_FAILED',
  'ERR_LEAVING',
  'ERR_NOT_REGISTERED',
  'ERR_NO_MAJORITY',
  'ERR_NO_PROCESS',
  'ERR_NODE_DOWN',
  'ERR_TIMEOUT',
  'ERR_UNREACHABLE',
])

type Cause = Extract<TrackerOutput, { type: 'activate' }>['cause']

function logOf(node: SimNode): ReadonlyMap<string, Claim> {
  return node.replica.tracker.registry.logs.get(node.boot)?.claims ?? new Map<string, Claim>()
}

interface Spawned {
  readonly origin: string
  readonly fence: number
  readonly knowers: Set<BootId>
}

export class Ledger {
  private readonly complain: Complain
  /** Acknowledged spawns that nobody stopped, and the nodes that know of each: while one of them lives it is not lost. */
  readonly spawned: Map<string, Spawned> = new Map()
  /** Names with an unregister from afar under way, or of unknown outcome: nothing is certain of them. */
  private readonly uncertain = new Map<string, number>()
  /** The highest fence of a placed claim that its user ended, by name, and where and when. */
  private readonly stopped = new Map<string, { readonly fence: number; readonly boot: BootId; readonly at: number }>()
  /**
   * The highest fence with which a name was ended, or registered by hand: while several copies may be, what was spawned
   * with a lower one has lost to it, for of the sides of a cut the higher one counts.
   */
  private readonly ends = new Map<string, number>()
  /** Can one name have several copies now? Then the end of one says nothing of the others. */
  private readonly strict: () => boolean
  now = 0
  /** "boot pid name" of claims that have left their writers' logs: an acknowledgement may come after that. */
  private readonly ended = new Set<string>()
  /** Spawns asked for since the name was stopped. */
  private readonly spawnsSince = new Set<string>()
  /** "boot ask" of the asks that were told to be stuck: a late outcome is no second fault. */
  private readonly overdue = new Set<string>()
  /** Those that ended because their node halted. */
  private readonly halted = new Set<string>()
  readonly outcomes: Map<string, number> = new Map()
  raced = false

  readonly endings: Endings

  constructor(complain: Complain, strict: () => boolean, endings: Endings = new Endings(undefined, complain, false)) {
    this.complain = complain
    this.strict = strict
    this.endings = endings
  }

  isCertain(name: string): boolean {
    return !this.uncertain.has(name)
  }

  open(node: SimNode, ask: number, what: OpenAsk['what'], name: string, now: number, views: number): void {
    node.asks.set(ask, { ask, what, name, since: now, views })
    if (what === 'spawn') this.spawnsSince.add(name)
    if (what === 'unregister') {
      this.uncertain.set(name, (this.uncertain.get(name) ?? 0) + 1)
      this.spawned.delete(name)
    }
  }

  private settle(node: SimNode, ask: number, outcome: string, views: number): OpenAsk | undefined {
    const open = node.asks.get(ask)
    if (open === undefined) {
      if (this.overdue.has(`${node.boot} ${ask}`)) return undefined
      this.complain('outcome', `${node.boot}: ${outcome} for the ask ${ask}, which is not open`)
      return undefined
    }
    node.asks.delete(ask)
    const key = `${open.what} ${outcome}`
    this.outcomes.set(key, (this.outcomes.get(key) ?? 0) + 1)
    if (views > open.views && open.what !== 'flush' && open.what !== 'request' && open.what !== 'move')
      this.raced = true
    return open
  }

  /** Counts how a run ended, where that is worth to be told. */
  concluded(how: string): void {
    this.outcomes.set(how, (this.outcomes.get(how) ?? 0) + 1)
  }

  /** `holds`: does the user of the claim's node still hold it? */
  registered(node: SimNode, ask: number, claim: Claim, views: number, holds: (claim: Claim) => boolean): void {
    const open = this.settle(node, ask, 'registered', views)
    if (open === undefined) return
    if (open.name !== claim.name) this.complain('outcome', `${node.boot}: asked for ${open.name}, got ${claim.name}`)
    if (open.what === 'spawn') {
      const stopped = (this.strict() ? this.stopped.get(claim.name)?.fence : this.ends.get(claim.name)) ?? 0
      // While several copies may be, the one that was acknowledged may have been stopped since.
      const ended = this.ended.has(`${claim.pid.boot} ${claim.pid.id} ${claim.name}`)
      // What is temporary has ended with its node, if that died before this word of it came.
      const temporary = this.endings.restartOf(claim.placed?.origin ?? '').policy === 'temporary'
      const over = ended || (temporary && !holds(claim))
      const stands = !over && claim.fence > stopped && (this.strict() || holds(claim))
      if (this.isCertain(claim.name) && stands) {
        const { fence, placed } = claim
        this.spawned.set(claim.name, { origin: placed?.origin ?? '', fence, knowers: new Set([node.boot]) })
      }
      return
    }
    if (claim.pid.boot !== node.boot) {
      this.complain('outcome', `${node.boot}: registered a process of ${claim.pid.boot}`)
      return
    }
    if (!this.strict()) this.overrules(claim.name, claim.fence)
    // It goes on as what was acknowledged.
    const spawned = this.spawned.get(claim.name)
    if (claim.from !== undefined && spawned?.origin === claim.placed?.origin && spawned !== undefined) {
      this.spawned.set(claim.name, {
        ...spawned,
        fence: claim.fence,
        knowers: new Set([...spawned.knowers, node.boot]),
      })
    }
    node.process(claim.pid.id)
    const { fence, placed } = claim
    node.holdings.set(claim.name, {
      pid: claim.pid.id,
      fence,
      placed: placed !== undefined,
      origin: placed?.origin ?? '',
    })
  }

  done(node: SimNode, ask: number, views: number): void {
    const open = this.settle(node, ask, 'done', views)
    if (open?.what !== 'unregister') return
    this.settleUnregister(open.name)
    // Asked of another node, and done here, for the process has come here meanwhile.
    const holding = node.holdings.get(open.name)
    if (holding === undefined || isKept(node, open.name, holding.pid) || logOf(node).has(open.name)) return
    node.holdings.delete(open.name)
    if (holding.placed) this.struck(node, open.name, holding.fence)
  }

  private settleUnregister(name: string): void {
    const left = (this.uncertain.get(name) ?? 0) - 1
    if (left > 0) this.uncertain.set(name, left)
    else this.uncertain.delete(name)
  }

  refused(node: SimNode, ask: number, code: string, text: string, views: number): void {
    // Halting ends an ask in the very step in which its init is done.
    if (code === 'ERR_TIMEOUT' && this.halted.has(`${node.boot} ${ask}`)) return
    if (code === 'ERR_NO_MAJORITY') this.halted.add(`${node.boot} ${ask}`)
    const open = this.settle(node, ask, code, views)
    if (open === undefined) return
    if (!REFUSALS.has(code))
      this.complain('outcome', `${node.boot}: ${open.what} ${open.name} ended with ${code} (${text})`)
    // Not registered or leaving: nothing was sent. Else it may still be applied, so its mark stays for good.
    if (open.what === 'unregister' && code === 'ERR_NOT_REGISTERED') this.settleUnregister(open.name)
  }

  /** Its user ends the process, or only its holding of the one name. */
  stop(node: SimNode, pid: number, only?: string): void {
    for (const [name, holding] of node.holdings) {
      if (holding.pid !== pid || (only !== undefined && only !== name)) continue
      node.holdings.delete(name)
      if (holding.placed) this.struck(node, name, holding.fence)
    }
    if (only === undefined) node.processes.delete(pid)
  }

  /** The process ends by itself: what was placed comes back where its policy says so, and not else. */
  endsItself(node: SimNode, pid: number, how: Ended['how']): void {
    for (const [name, { pid: holder, placed, origin }] of node.holdings) {
      if (holder !== pid || !placed || !this.endings.comesBack(origin, how)) continue
      node.holdings.delete(name)
      this.endings.ended(origin, this.now, isPaused(node, pid))
    }
    this.stop(node, pid)
  }

  private struck(node: SimNode, name: string, fence: number): void {
    this.spawned.delete(name)
    this.spawnsSince.delete(name)
    this.overrules(name, fence)
    if (!this.strict()) {
      this.stopped.delete(name)
      return
    }
    const before = this.stopped.get(name)?.fence ?? 0
    this.stopped.set(name, { fence: Math.max(before, fence), boot: node.boot, at: this.now })
    // A spawn still under way may bring it back rightly.
    if (this.isCertain(name)) return
    this.spawnsSince.add(name)
  }

  /** Has its user stopped the name, and nobody asked for it since? */
  isStopped(name: string): boolean {
    return this.stopped.has(name)
  }

  /** While several copies may be, a lower fence of the name counts for nothing from here on. */
  private overrules(name: string, fence: number): void {
    this.ends.set(name, Math.max(this.ends.get(name) ?? 0, fence))
    if ((this.spawned.get(name)?.fence ?? fence) < fence) this.spawned.delete(name)
  }

  /** A claim left its writer's log. */
  removed(node: SimNode, claim: Claim): void {
    this.ended.add(`${claim.pid.boot} ${claim.pid.id} ${claim.name}`)
    if (this.isCertain(claim.name)) return
    // An unregister from afar did it.
    if (node.holdings.get(claim.name)?.pid === claim.pid.id) node.holdings.delete(claim.name)
    if (claim.placed !== undefined) this.struck(node, claim.name, claim.fence)
  }

  /** The leaver's processes end; what was placed is to live on elsewhere. */
  left(node: SimNode): void {
    this.endTemporary(node)
    node.holdings.clear()
    node.processes.clear()
  }

  /** Its process was killed, and what it alone knew is known to nobody. */
  killed(node: SimNode): void {
    this.endTemporary(node)
    node.holdings.clear()
    node.processes.clear()
    node.asks.clear()
    this.forgets(node)
    for (const [name, stopped] of this.stopped) {
      if (stopped.boot === node.boot && this.now - stopped.at < KNOWN_WITHIN_MS) this.stopped.delete(name)
    }
  }

  /** With its node whatever is temporary is over. */
  private endTemporary(node: SimNode): void {
    for (const [name, { placed, origin }] of node.holdings) {
      const temporary = placed && this.endings.restartOf(origin).policy === 'temporary'
      if (temporary && this.spawned.get(name)?.origin === origin) this.spawned.delete(name)
    }
  }

  /** This node knows of nothing any more. */
  forgets(node: SimNode): void {
    for (const [name, { knowers }] of this.spawned) {
      if (knowers.delete(node.boot) && knowers.size === 0) this.spawned.delete(name)
    }
  }

  /**
   * It left: whoever knows of what it knew of has that from now on. What nobody knows of it has taken along, and will be
   * missed.
   */
  handsOn(node: SimNode, live: readonly SimNode[]): void {
    for (const [name, { origin, knowers }] of this.spawned) {
      if (!knowers.has(node.boot)) continue
      const heirs = live.filter(({ replica }) =>
        claimsOf(replica.tracker.registry, name).some(({ placed }) => placed?.origin === origin),
      )
      if (heirs.length === 0) continue
      knowers.delete(node.boot)
      for (const { boot } of heirs) knowers.add(boot)
    }
  }

  /** It goes on as another boot, with all that it knew. */
  rejoined(node: SimNode, successor: SimNode): void {
    for (const { knowers } of this.spawned.values()) if (knowers.delete(node.boot)) knowers.add(successor.boot)
  }

  /** A process that lives on has its name again. */
  kept(node: SimNode, claim: Claim): void {
    const { fence, placed, pid } = claim
    const holding = node.holdings.get(claim.name)
    // Another process of its node may have had it meanwhile, and given it up; but this one lives.
    if (!node.processes.has(pid.id) || (holding !== undefined && holding.pid !== pid.id))
      this.complain('outcome', `${node.boot}: it kept ${claim.name}, which it does not hold`)
    node.holdings.set(claim.name, { pid: pid.id, fence, placed: placed !== undefined, origin: placed?.origin ?? '' })
  }

  /**
   * It lost the name; what the cluster was to keep running goes on as the winner, if that one is placed too. This node
   * knows of it, and the winner's own, unless that is dead by now.
   */
  deactivated(node: SimNode, pid: number, name: string, winner: Claim | undefined, winnerLives: boolean): void {
    if (winner?.placed === undefined) this.spawned.delete(name)
    else if (this.spawned.has(name)) {
      const { fence, placed } = winner
      const knowers = new Set(winnerLives ? [node.boot, winner.pid.boot] : [node.boot])
      this.spawned.set(name, { origin: placed.origin, fence, knowers })
    }
    if (node.holdings.get(name)?.pid === pid) node.holdings.delete(name)
  }

  activated(node: SimNode, name: string, cause: Cause, fence: number, origin = ''): void {
    this.endings.activated(node, name, cause, origin)
    if (cause === 'handoff') return
    if (cause === 'spawn') this.spawnsSince.add(name)
    if (this.spawnsSince.has(name)) return
    const stopped = this.stopped.get(name)
    if (stopped !== undefined && this.isCertain(name) && this.strict()) {
      this.complain(
        'resurrected',
        `${name}: ${node.boot} restarts it (fence ${fence}), stopped by its user at ${stopped.fence}`,
      )
    }
  }

  /** Nobody is left who knew what was spawned and stopped so far. */
  newEra(): void {
    this.spawned.clear()
    this.stopped.clear()
    this.ends.clear()
  }

  /** Asks without an outcome for too long since `calmAt`; each is told once. */
  patrol(node: SimNode, now: number, calmAt: number): void {
    for (const [name, { origin, knowers }] of this.spawned) {
      if (lookup(node.replica.tracker.registry, name)?.placed?.origin === origin) knowers.add(node.boot)
    }
    for (const open of node.asks.values()) {
      const withinMs = open.what === 'move' ? moveWithinMs : askWithinMs
      if (now - Math.max(open.since, calmAt) <= withinMs) continue
      node.asks.delete(open.ask)
      this.overdue.add(`${node.boot} ${open.ask}`)
      this.complain(
        'stuck',
        `${node.boot}: ${open.what} ${open.name} (ask ${open.ask}) has no outcome after ${withinMs / 1000} s`,
      )
    }
  }
}

/** Its process lived on through a rejoin, and has not got the name again yet. */
function isKept({ replica }: SimNode, name: string, pid: number): boolean {
  const { asks, unasked } = replica.tracker
  return asks.kept.has(name) || (unasked.get(pid)?.some((claim) => claim.name === name) ?? false)
}
