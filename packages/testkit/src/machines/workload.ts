/**
 * What the users of a run do: claim, spawn, unregister, end, update, join, look up, on random nodes and a few names
 * that everybody wants. Draws from its own stream of the seed.
 */
import { below, nextFloat, pick, type Random } from '@skep/cluster/core'
import { lookup, Pid } from '@skep/tracker/core'
import { type Handing, isStill } from './handing.js'
import type { Ledger } from './ledger.js'
import { type OpenAsk, type SimNode, workloadKind } from './node.js'
import { freePrefix } from './safety.js'

/** Longest `init` of a process between its grant and its commit. */
const MAX_INIT_MS = 300

type Action =
  | 'move'
  | 'work'
  | 'claim'
  | 'start'
  | 'spawn'
  | 'unregister'
  | 'end'
  | 'update'
  | 'group'
  | 'whereis'
  | 'flush'
  | 'free'
  | 'ends'

const WEIGHTS: readonly (readonly [Action, number])[] = [
  ['claim', 24],
  ['start', 15],
  ['spawn', 12],
  ['unregister', 11],
  ['end', 5],
  ['update', 6],
  ['group', 9],
  ['whereis', 12],
  ['flush', 3],
  ['free', 3],
]

const DECK: readonly Action[] = WEIGHTS.flatMap(([action, weight]) => new Array<Action>(weight).fill(action))

/** The same where processes are handed over: more of them, and what is done with them. */
const HANDING_DECK: readonly Action[] = [
  ...DECK,
  ...new Array<Action>(20).fill('spawn'),
  ...new Array<Action>(25).fill('move'),
  ...new Array<Action>(40).fill('work'),
]

/** What comes to either where processes end by themselves. */
const ENDING: readonly Action[] = [...new Array<Action>(15).fill('spawn'), ...new Array<Action>(35).fill('ends')]

export class Workload {
  ops = 0
  private readonly deck: readonly Action[]
  private readonly random: Random
  private readonly ledger: Ledger
  private readonly names: readonly string[]
  private readonly handing: Handing | undefined

  constructor(random: Random, ledger: Ledger, names: readonly string[], handing: Handing | undefined) {
    this.handing = handing
    this.random = random
    this.ledger = ledger
    this.names = names
    const deck = handing === undefined ? DECK : HANDING_DECK
    this.deck = ledger.endings.on ? [...deck, ...ENDING] : deck
  }

  /** One operation on one of these nodes, all of which live. Returns that node and what it did, in words. */
  strike(nodes: readonly SimNode[], now: number, views: number): { node: SimNode; text: string } | undefined {
    const node = pick(this.random, nodes)
    const action = pick(this.random, this.deck)
    if (node === undefined || action === undefined) return undefined
    this.ops++
    return { node, text: this.perform(node, action, now, views, nodes) }
  }

  private perform(node: SimNode, action: Action, now: number, views: number, nodes: readonly SimNode[]): string {
    const { replica } = node
    switch (action) {
      case 'claim':
      case 'free': {
        const name = action === 'free' ? `${freePrefix}${below(this.random, 2)}` : this.name()
        const mode = action === 'free' ? 'local' : 'owner'
        const pid = node.nextPid()
        const ask = this.open(node, 'claim', name, now, views)
        replica.track({ type: 'claim', ask, name, pid, mode, meta: pid }, now)
        return `claim ${name} for ${pid} as ask ${ask} (${mode})`
      }
      case 'start': {
        const name = this.name()
        const ask = this.open(node, 'claim', name, now, views)
        replica.track({ type: 'claim', ask, name, kind: workloadKind }, now)
        return `start ${name} as ask ${ask}`
      }
      case 'spawn': {
        const name = this.name()
        const ask = this.open(node, 'spawn', name, now, views)
        const restart = this.ledger.endings.spawned(`${node.boot}:${ask}`)
        const terms = restart === undefined ? {} : { terms: { strategy: undefined, restart } }
        replica.track({ type: 'spawn', ask, name, kind: workloadKind, spec: ask, ...terms }, now)
        return `spawn ${name} as ask ${ask}${restart === undefined ? '' : ` (${restart.policy})`}`
      }
      case 'unregister':
        return this.unregister(node, now, views)
      case 'end': {
        const pid = pick(this.random, [...node.processes.keys()])
        // Who stops one that is on its way has to wait until it is there.
        if (pid === undefined || isStill(node.processes.get(pid))) return this.whereis(node)
        this.ledger.stop(node, pid)
        replica.track({ type: 'gone', pid }, now)
        return `process ${pid} ended`
      }
      case 'ends':
        return this.endOne(node, now) ?? this.whereis(node)
      case 'update': {
        const name = this.name()
        const ask = this.open(node, 'request', name, now, views)
        replica.track({ type: 'request', ask, request: { type: 'update', name, meta: { turn: ask } } }, now)
        return `update ${name} as ask ${ask}`
      }
      case 'move': {
        const name = this.name()
        const to = this.handing?.somewhere(nodes)
        const ask = this.open(node, 'move', name, now, views)
        replica.track({ type: 'request', ask, request: { type: 'move', name, to } }, now)
        return `move ${name} to ${to ?? 'wherever'} as ask ${ask}`
      }
      case 'work':
        return this.handing?.work(node, this.name(), nodes) ?? ''
      case 'group':
        return this.group(node, now, views)
      case 'whereis':
        return this.whereis(node)
      case 'flush': {
        const ask = this.open(node, 'flush', '', now, views)
        replica.track({ type: 'flush', ask, want: 'all' }, now)
        return `flush as ask ${ask}`
      }
    }
  }

  /** Some process of the node ends by itself; undefined where none can. */
  endOne(node: SimNode, now: number): string | undefined {
    const ending = this.ledger.endings.ending(node, (name) => node.holdings.get(name)?.origin)
    if (ending === undefined) return undefined
    const { pid, ended } = ending
    this.ledger.endsItself(node, pid, ended.how)
    node.replica.track({ type: 'gone', pid, ended }, now)
    return `process ${pid} ${ended.how}`
  }

  private open(node: SimNode, what: OpenAsk['what'], name: string, now: number, views: number): number {
    const ask = node.nextAsk()
    this.ledger.open(node, ask, what, name, now, views)
    return ask
  }

  /** Half of the time one of two names, so that claims meet. */
  private name(): string {
    const among = nextFloat(this.random) < 0.5 ? 2 : this.names.length
    return this.names[below(this.random, among)] ?? 'name-1'
  }

  private unregister(node: SimNode, now: number, views: number): string {
    const own = pick(this.random, [...node.holdings.keys()])
    const afar = own === undefined || nextFloat(this.random) < 0.15
    const name = afar ? this.name() : own
    const holding = node.holdings.get(name)
    // The request goes to whom this node takes for the holder: not to itself where it has seen a greater claim.
    const visible = lookup(node.replica.tracker.registry, name)?.pid
    const here = visible?.boot === node.boot && visible.id === holding?.pid
    const mine = here && !node.replica.tracker.handoffs.has(name)
    if (mine) this.ledger.stop(node, visible.id, name)
    const ask = this.open(node, 'unregister', name, now, views)
    node.replica.track({ type: 'request', ask, request: { type: 'unregister', name } }, now)
    return `unregister ${name} as ask ${ask}`
  }

  private group(node: SimNode, now: number, views: number): string {
    const pid = pick(this.random, [...node.processes.keys()]) ?? node.nextPid()
    const process = node.process(pid)
    const group = `group-${below(this.random, 2)}`
    const ask = this.open(node, 'request', group, now, views)
    const whole = new Pid(node.boot, pid, node.name)
    if (process.groups.delete(group)) {
      node.replica.track({ type: 'request', ask, request: { type: 'quit', group, pid: whole } }, now)
      return `process ${pid} quits ${group} as ask ${ask}`
    }
    process.groups.add(group)
    node.replica.track({ type: 'request', ask, request: { type: 'join', group, pid: whole, meta: undefined } }, now)
    return `process ${pid} joins ${group} as ask ${ask}`
  }

  private whereis(node: SimNode): string {
    const name = this.name()
    return `whereis ${name}: ${lookup(node.replica.tracker.registry, name)?.pid.toString() ?? 'nobody'}`
  }

  /** How long the caller of a claim or spawn waits for its outcome at most; undefined: as long as it takes. */
  patience(): number | undefined {
    return nextFloat(this.random) < 0.05 ? nextFloat(this.random) * 2000 : undefined
  }

  /** How long the init of a granted process takes, and whether it succeeds. */
  init(mayFail: boolean): { ms: number; fails: boolean } {
    const quick = nextFloat(this.random) < 0.3
    return { ms: quick ? 0.05 : nextFloat(this.random) * MAX_INIT_MS, fails: mayFail && nextFloat(this.random) < 0.1 }
  }
}
