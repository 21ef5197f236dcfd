/**
 * Processes that end by themselves: which policy each placed one was spawned under, by the request that started it, how
 * often it failed, and the checks of it. The twin of the machines' restarts: it knows the true times, and nothing of
 * claims, slots or ages that travel.
 */
import { below, nextFloat, pick, type Random } from '@skep/cluster/core'
import type { Ended, Restart, TrackerOutput } from '@skep/tracker/core'
import { restartDefaults } from '@skep/tracker/core'
import type { SimNode } from './node.js'
import type { Complain } from './safety.js'

type Cause = Extract<TrackerOutput, { type: 'activate' }>['cause']

const POLICIES = ['permanent', 'transient', 'temporary'] as const

interface Life {
  readonly restart: Restart
  /** When its process crashed, or stopped by itself and was to come back. */
  readonly ends: number[]
  /** All failures, those of restarts too. */
  failures: number
}

export class Endings {
  private readonly random: Random | undefined
  private readonly complain: Complain
  /** Is every failure known to all who count: no node is ever killed or cut off? */
  private readonly exact: boolean
  /** By origin. */
  private readonly lives = new Map<string, Life>()

  /** Without chance nothing ends by itself. */
  constructor(random: Random | undefined, complain: Complain, exact: boolean) {
    this.random = random
    this.complain = complain
    this.exact = exact
  }

  get on(): boolean {
    return this.random !== undefined
  }

  /** Somebody spawns a name: under which policy, undefined for the usual one. */
  spawned(origin: string): Restart | undefined {
    const { random } = this
    if (random === undefined || nextFloat(random) < 0.3) return undefined
    const policy = pick(random, POLICIES) ?? 'transient'
    const withinMs = nextFloat(random) < 0.3 ? 1500 + below(random, 3000) : 60_000
    const restart = { policy, times: below(random, 5), withinMs }
    this.lives.set(origin, { restart, ends: [], failures: 0 })
    return restart
  }

  restartOf(origin: string): Restart {
    return this.life(origin).restart
  }

  private life(origin: string): Life {
    let life = this.lives.get(origin)
    if (life === undefined) {
      life = { restart: restartDefaults, ends: [], failures: 0 }
      this.lives.set(origin, life)
    }
    return life
  }

  /** A process of the node that ends by itself now, and how; most of those hold a placed name. */
  ending(node: SimNode, originOf: (name: string) => string | undefined): { pid: number; ended: Ended } | undefined {
    const { random } = this
    if (random === undefined) return undefined
    const placed = [...node.holdings.values()].flatMap((one) => (one.placed ? [one.pid] : []))
    const chosen = nextFloat(random) < 0.85 ? pick(random, placed) : undefined
    const pid = chosen ?? pick(random, [...node.processes.keys()])
    // What is paused since its node has halted does nothing.
    if (pid === undefined || node.paused.has(pid)) return undefined
    const how = nextFloat(random) < 0.7 ? 'crashed' : 'stopped'
    const names = [...node.holdings].filter(([, holding]) => holding.pid === pid && holding.placed)
    const back = names.every(([name]) => this.comesBack(originOf(name) ?? '', how))
    if (isPaused(node, pid) && !back) return undefined
    return { pid, ended: { how, reason: `${how} by itself` } }
  }

  /** Is it to be started again? */
  comesBack(origin: string, how: Ended['how']): boolean {
    const { policy } = this.restartOf(origin)
    return policy === 'permanent' || (policy === 'transient' && how === 'crashed')
  }

  /**
   * It has ended by itself and is to come back. `handed`: its state was on its way to another node, where it may go on
   * as if nothing had happened; whether it does decides whether that was a failure.
   */
  ended(origin: string, now: number, handed: boolean): void {
    const life = this.life(origin)
    if (!handed) life.ends.push(now)
    life.failures++
  }

  /** A restart of it failed. */
  startFailed(origin: string): void {
    this.life(origin).failures++
  }

  /** It failed so often that it may have been given up. */
  mayHaveFailed(origin: string): boolean {
    const { failures, restart } = this.life(origin)
    return failures > restart.times
  }

  activated(node: SimNode, name: string, cause: Cause, origin: string): void {
    if (!this.on || cause !== 'failover') return
    const { restart, ends } = this.life(origin)
    if (restart.policy === 'temporary')
      this.complain('resurrected', `${name}: ${node.boot} starts it again, which is temporary`)
    // The true ages: those that are counted with are never older, so as many count.
    const last = ends.at(-1) ?? 0
    const counting = ends.filter((at) => last - at < restart.withinMs).length
    if (this.exact && counting > restart.times) {
      const text = `${name}: ${node.boot} starts it again after ${counting} ends within ${restart.withinMs} ms`
      this.complain('resurrected', `${text}, which is once more than ${restart.times}`)
    }
  }
}

export function isPaused(node: SimNode, pid: number): boolean {
  return node.processes.get(pid)?.paused === true
}
