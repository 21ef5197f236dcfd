/**
 * What a node is started with, and the check of it: the whole configuration is read and every fault is listed, so that
 * nobody mends one line, starts again and meets the next. Nothing is started before the list is empty.
 *
 * What the cluster reads is judged by the cluster, the rest here. A key that nobody reads is a fault as well: with a
 * misspelt `discovry` a node would silently find nobody.
 */

import { inspect } from 'node:util'
import { type ActorLimits, type ActorSystemOptions, type AnyActor, actorLimits } from '@skep/actor'
import {
  type ClusterOptions,
  clusterFaults,
  type Discovery,
  type FormationOptions,
  type LinkLimits,
  type Logger,
  type MembershipLimits,
  membershipLimits,
  SkepError,
} from '@skep/cluster'
import { parseAddress } from '@skep/cluster/internal'
import { type OwnPlacement, type PartitionPolicy, PlacementRule, type Rebalance } from '@skep/tracker'
import { type AdminOptions, minTokenChars } from './admin.js'

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'

export interface NodeConfig {
  /** Unique in the cluster. */
  readonly name: string
  /** The name of the cluster: nodes of another one are refused. */
  readonly cluster: string
  /** `host:port`; port 0 takes any that is free. Default `127.0.0.1:0`. */
  readonly listen?: string | undefined
  /** `host:port` at which the others reach this node. Default: what was bound. */
  readonly advertise?: string | undefined
  /**
   * Proved by both sides of each link. A list while it is changed: two nodes link where they have one in common, so first
   * all have the old and the new one, then the new one alone. `gossip` seals what it sends with the first of them.
   */
  readonly secret?: string | readonly string[] | undefined
  /** Allows to listen on other than loopback without a secret. */
  readonly insecure?: boolean | undefined
  /** How peers are found; none: this node waits to be found. */
  readonly discovery?: Discovery | readonly Discovery[] | undefined
  /**
   * How many members a new cluster needs before it serves: nodes that start while there is none wait for each other. See
   * `FormationOptions`; default: those whom a node meets within its first seconds are taken for all.
   */
  readonly formation?: FormationOptions | undefined
  /** The kinds of actors that may be started here. */
  readonly actors?: readonly AnyActor[] | undefined
  /** How values pass between actors of this node: copied (default), frozen and shared, or shared as they are. */
  readonly isolation?: ActorSystemOptions['isolation'] | undefined
  /**
   * Which part goes on when the cluster is split: all of them (`serve`, the default), that with the majority of the
   * members, with `quorum` of them, or with the oldest one. In the others actors that hold a name pause and no name is
   * given. All members need the same policy.
   */
  readonly partition?: PartitionPolicy | undefined
  /** Free words that others can read in `members()`. */
  readonly roles?: readonly string[] | undefined
  /** Share of placed names relative to other nodes; 0 hosts none. Default 1. */
  readonly weight?: number | undefined
  /**
   * Whether placed actors follow, with their state, when a node joins to which the ring gives their names: `gradual`
   * (default, at most 50 a second for each node that orders), `eager` as fast as can be, `never`.
   */
  readonly rebalance?: Rebalance['mode'] | { readonly mode: Rebalance['mode']; readonly rate?: number } | undefined
  /**
   * For how many ms a node that lost more than half of the members within 10 s starts nothing again of what ran on them:
   * it may be the one that is cut off. 0: it does so at once. Default 30,000. Where `partition` is not `serve`, that says
   * which part goes on, and this nothing.
   */
  readonly massLossPause?: number | undefined
  /**
   * Where actors are placed whose definition does not say: `ring` (default), `rendezvous`, `localFirst`, `pinned(...)`,
   * `together(...)` or a pure function. The same on every node.
   */
  readonly placement?: PlacementRule | OwnPlacement | undefined
  /** The version of your application, for people. */
  readonly version?: string | undefined
  /** Names of nodes that are let in; when absent, all. */
  readonly allow?: readonly (string | RegExp)[] | undefined
  /** Names of nodes that are kept out, whatever `allow` says. */
  readonly deny?: readonly (string | RegExp)[] | undefined
  /**
   * Where probes and operators ask over HTTP: `GET /live`, `GET /ready`, `POST /drain`; see `AdminOptions`. Off where it
   * is not given.
   */
  readonly admin?: string | AdminOptions | undefined
  /** Whether SIGTERM and SIGINT drain the node and then end the process with code 0. Default true. */
  readonly signals?: boolean | undefined
  /**
   * A pino logger (or one of its shape), or the level at which to log JSON lines on stdout. Default `info`. One that
   * throws stops nobody: the first time is told as a warning of the process, code SKEP_LOGGER.
   */
  readonly logger?: Logger | LogLevel | undefined
  /** Bounds and times of membership and links other than the defaults. */
  readonly limits?: Partial<MembershipLimits & LinkLimits> | undefined
  /** Bounds and times of actors and calls other than the defaults (`actorLimits`). */
  readonly actorLimits?: Partial<ActorLimits> | undefined
  /** A broken invariant of the node itself, which is closed by then. Default: the process ends with code 70. */
  readonly onFatal?: ((error: unknown) => void) | undefined
}

const policies: readonly PartitionPolicy[] = ['serve', 'majority', 'keep-oldest']

const LEVELS: readonly LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']

/** Which part of the node reads a key, and so knows what is wrong with its value. */
const keys: { readonly [Key in keyof Required<NodeConfig>]: 'cluster' | 'node' } = {
  name: 'cluster',
  cluster: 'cluster',
  listen: 'cluster',
  advertise: 'cluster',
  secret: 'cluster',
  insecure: 'cluster',
  discovery: 'cluster',
  formation: 'cluster',
  roles: 'cluster',
  weight: 'cluster',
  version: 'cluster',
  allow: 'cluster',
  deny: 'cluster',
  limits: 'cluster',
  onFatal: 'cluster',
  actors: 'node',
  actorLimits: 'node',
  admin: 'node',
  isolation: 'node',
  massLossPause: 'node',
  partition: 'node',
  placement: 'node',
  rebalance: 'node',
  signals: 'node',
  logger: 'node',
}

/** Everything that is wrong with the configuration, a sentence each that begins with the key; empty when nothing is. */
export function configFaults(config: unknown): string[] {
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    return [`the configuration must be an object, not ${shown(config)}`]
  }
  const given = config as Record<string, unknown>
  const {
    actors,
    actorLimits: limits,
    admin,
    isolation,
    massLossPause,
    partition,
    placement,
    rebalance,
    signals,
    logger,
  } = given
  return [
    ...Object.keys(config).flatMap(unknownKey),
    ...clusterFaults(clusterPart(config)),
    ...definitionFaults(actors),
    ...actorLimitFaults(limits),
    ...adminFaults(admin),
    ...choiceFaults('isolation', isolation, ['copy', 'freeze', 'off']),
    ...millisecondsFaults('massLossPause', massLossPause),
    ...placementFaults(placement),
    ...rebalanceFaults(rebalance),
    ...partitionFaults(partition),
    ...choiceFaults('signals', signals, [true, false]),
    ...loggerFaults(logger),
  ]
}

/** The configuration as it is, when nothing is wrong with it. Throws ERR_CONFIG with all `faults` otherwise. */
export function checkConfig(config: NodeConfig): NodeConfig {
  refuseFaults(configFaults(config))
  return config
}

/** Throws ERR_CONFIG with all of them where there are any. */
export function refuseFaults(faults: readonly string[]): void {
  if (faults.length === 0) return
  const count = faults.length === 1 ? 'a fault' : `${faults.length} faults`
  const lines = faults.map((fault) => `  - ${fault}`).join('\n')
  throw new SkepError('ERR_CONFIG', `the configuration has ${count}:\n${lines}`, { faults })
}

/** What the cluster takes of a configuration. `secret: undefined` is the same as no secret. */
export function clusterPart(config: object): ClusterOptions {
  const given = Object.entries(config).filter(([key, value]) => keyOf(key) === 'cluster' && value !== undefined)
  return Object.fromEntries(given) as unknown as ClusterOptions
}

function keyOf(key: string): 'cluster' | 'node' | undefined {
  return Object.hasOwn(keys, key) ? keys[key as keyof NodeConfig] : undefined
}

function unknownKey(key: string): string[] {
  if (keyOf(key) !== undefined) return []
  const near = nearest(key, Object.keys(keys))
  return [`${shownKey(key)} is not a key of the configuration${near === undefined ? '' : `; is '${near}' meant?`}`]
}

function definitionFaults(actors: unknown): string[] {
  if (actors === undefined) return []
  if (!Array.isArray(actors)) return [`actors must be a list of what defineActor returned, not ${shown(actors)}`]
  const seen = new Set<string>()
  return actors.flatMap((one: unknown, i) => {
    const kind = kindOf(one)
    if (kind === undefined) return [`actors: entry ${i + 1} is not what defineActor returned, but ${shown(one)}`]
    if (seen.has(kind)) return [`actors: two of them have the kind '${kind}'`]
    seen.add(kind)
    return []
  })
}

function actorLimitFaults(limits: unknown): string[] {
  if (limits === undefined) return []
  if (typeof limits !== 'object' || limits === null || Array.isArray(limits))
    return [`actorLimits must be an object of numbers, not ${shown(limits)}`]
  return Object.entries(limits).flatMap(([key, value]) => {
    if (!Object.hasOwn(actorLimits, key)) {
      const near = nearest(key, Object.keys(actorLimits))
      return [`actorLimits: ${shownKey(key)} is no limit of actors${near === undefined ? '' : `; is '${near}' meant?`}`]
    }
    return typeof value === 'number' && value > 0
      ? []
      : [`actorLimits.${key} must be a number above 0, not ${shown(value)}`]
  })
}

/** The kind of what `defineActor` made; undefined for anything else. */
function kindOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const made = Object.getOwnPropertySymbols(value).some(({ description }) => description === 'skep.code')
  return made ? (value as { kind?: string }).kind : undefined
}

export function adminFaults(admin: unknown): string[] {
  if (admin === undefined) return []
  const isOptions = typeof admin === 'object' && admin !== null && !Array.isArray(admin)
  if (typeof admin !== 'string' && !isOptions)
    return [`admin must be host:port, or { listen, token }, not ${shown(admin)}`]
  const { listen, token, ...rest } = isOptions
    ? (admin as Record<string, unknown>)
    : { listen: admin, token: undefined }
  const faults = Object.keys(rest).map((key) => `admin: ${shownKey(key)} is not a key of it, only listen and token`)
  const said = isOptions ? 'admin.listen' : 'admin'
  if (typeof listen !== 'string') faults.push(`${said} must be host:port, not ${shown(listen)}`)
  else faults.push(...addressFaults(said, listen))
  if (token !== undefined && !(typeof token === 'string' && token.length >= minTokenChars && /^\S+$/.test(token))) {
    // Not shown: it may be a secret with a slip in it.
    faults.push(`admin.token must be a text of at least ${minTokenChars} characters, none of them a space`)
  }
  return faults
}

function addressFaults(key: string, address: string): string[] {
  try {
    parseAddress(address)
    return []
  } catch (error) {
    return [`${key}: ${(error as Error).message}`]
  }
}

function choiceFaults(key: string, value: unknown, choices: readonly unknown[]): string[] {
  if (value === undefined || choices.includes(value)) return []
  return [`${key} must be one of ${choices.join(', ')}, not ${shown(value)}`]
}

function millisecondsFaults(key: string, value: unknown): string[] {
  if (value === undefined || (typeof value === 'number' && value >= 0 && value < 2 ** 31)) return []
  return [`${key} must be a number of milliseconds from 0 to ${2 ** 31 - 1}, not ${shown(value)}`]
}

function placementFaults(placement: unknown): string[] {
  if (placement === undefined || placement instanceof PlacementRule || typeof placement === 'function') return []
  const rules = 'ring, rendezvous, localFirst, pinned(...), together(...)'
  return [`placement must be one of ${rules}, or a function, not ${shown(placement)}`]
}

function rebalanceFaults(rebalance: unknown): string[] {
  const modes = ['eager', 'gradual', 'never']
  if (typeof rebalance !== 'object' || rebalance === null) return choiceFaults('rebalance', rebalance, modes)
  const { mode, rate, ...rest } = rebalance as Record<string, unknown>
  const faults = Object.keys(rest).map((key) => `rebalance: ${shownKey(key)} is not a key of it, only mode and rate`)
  if (!modes.includes(mode as string))
    faults.push(`rebalance.mode must be one of ${modes.join(', ')}, not ${shown(mode)}`)
  if (rate !== undefined && !(typeof rate === 'number' && rate > 0 && rate <= 100_000))
    faults.push(`rebalance.rate must be a number of names a second above 0 and up to 100000, not ${shown(rate)}`)
  return faults
}

/** What a tracker takes of it. */
export function rebalanceOf(given: NodeConfig['rebalance']): Partial<Rebalance> {
  if (given === undefined) return {}
  const whole = typeof given === 'string' ? { mode: given } : given
  // Whoever wants it at once does not want to wait until others have come.
  return whole.mode === 'eager' ? { ...whole, afterMs: 200 } : whole
}

function partitionFaults(partition: unknown): string[] {
  if (typeof partition !== 'object' || partition === null || Array.isArray(partition)) {
    if (partition === undefined || policies.some((one) => one === partition)) return []
    return [`partition must be one of ${policies.join(', ')}, or { quorum }, not ${shown(partition)}`]
  }
  const { quorum, ...rest } = partition as Record<string, unknown>
  const faults = Object.keys(rest).map((key) => `partition: ${shownKey(key)} is not a key of it, only quorum`)
  if (!Number.isInteger(quorum) || (quorum as number) < 1 || (quorum as number) > membershipLimits.maxMembers) {
    const most = membershipLimits.maxMembers
    faults.push(`partition.quorum must be a whole number from 1 to ${most}, not ${shown(quorum)}`)
  }
  return faults
}

export function loggerFaults(logger: unknown): string[] {
  if (logger === undefined || LEVELS.includes(logger as LogLevel)) return []
  const methods = ['debug', 'info', 'warn', 'error', 'fatal', 'child'] as const
  const shaped = typeof logger === 'object' && logger !== null
  if (shaped && methods.every((one) => typeof (logger as Record<string, unknown>)[one] === 'function')) return []
  return [`logger must be like one of pino, or one of ${LEVELS.join(', ')}, not ${shown(logger)}`]
}

export function shown(value: unknown): string {
  const text = inspect(value, {
    depth: 0,
    breakLength: Number.POSITIVE_INFINITY,
    maxStringLength: 60,
    customInspect: false,
  })
  return text.length > 100 ? `${text.slice(0, 99)}…` : text
}

/** A key as it was written, when it can be read in a log. */
export function shownKey(key: string): string {
  return /^[\w.$-]{1,64}$/.test(key) ? key : shown(key)
}

/** The candidate with the fewest edits from `word`, when they are few for its length. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  if (word.length > 64) return undefined
  let best: string | undefined
  // One edit in four letters, at least one and at most three, is still a slip of the finger.
  let fewest = Math.min(3, Math.ceil(word.length / 4)) + 1
  for (const candidate of candidates) {
    const count = edits(word.toLowerCase(), candidate.toLowerCase())
    if (count < fewest) [best, fewest] = [candidate, count]
  }
  return best
}

/** The fewest letters to insert, drop, replace or swap with the next one (optimal string alignment). */
function edits(a: string, b: string): number {
  const rows = Array.from({ length: a.length + 1 }, (_, i) => [i])
  const at = (i: number, j: number): number => rows[i]?.[j] ?? 0
  for (let j = 1; j <= b.length; j++) rows[0]?.push(j)
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const differ = a[i - 1] === b[j - 1] ? 0 : 1
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      const swap = swapped ? at(i - 2, j - 2) + 1 : Number.POSITIVE_INFINITY
      rows[i]?.push(Math.min(at(i - 1, j - 1) + differ, at(i - 1, j) + 1, at(i, j - 1) + 1, swap))
    }
  }
  return at(a.length, b.length)
}
