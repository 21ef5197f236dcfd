/**
 * What a node of a cluster is started with, checked as a whole: every fault is found and told at once.
 */
import { inspect } from 'node:util'
import { type Address, isLoopback, parseAddress } from './address.js'
import { frameLimits, isText } from './core/frames.js'
import { type Formation, type MembershipLimits, membershipLimits } from './core/membership.js'
import { type Discovery, isDiscovery } from './discovery/discovery.js'
import { SkepError } from './errors.js'
import { maxSecrets } from './handshake.js'
import { type LinkLimits, linkLimits } from './limits.js'
import type { Logger } from './log.js'

export interface ClusterOptions {
  /** Name of the cluster: nodes of another one are refused. */
  readonly cluster: string
  /** Name of this node, unique in the cluster. */
  readonly name: string
  /** `host:port` to listen on, port 0 for any free one; default `127.0.0.1:0`. */
  readonly listen?: string
  /** `host:port` at which others reach this node; port 0 for the one it listens on. Default: where it listens. */
  readonly advertise?: string
  /** What nodes prove to each other; while it is changed a list, the old and the new one. */
  readonly secret?: string | readonly string[]
  /** Allows a node without a secret to listen where other hosts can reach it. */
  readonly insecure?: boolean
  /** How peers are found; several strategies add up. */
  readonly discovery?: Discovery | readonly Discovery[]
  /**
   * Nodes that start while there is no cluster yet wait, until `within` (ms, default 60,000), to be `expect` members that
   * have been the same for `stable` (ms, default 1000). `otherwise`: `ready()` rejects with ERR_NOT_FORMED (`fail`, the
   * default) and the node waits on, or it goes on with those that there are (`continue`).
   */
  readonly formation?: FormationOptions
  readonly roles?: readonly string[]
  /** Share of placed names relative to others; 0 hosts none. Default 1. */
  readonly weight?: number
  /** Actor kinds that this node can start. */
  readonly kinds?: readonly string[]
  /** The application's version, for people. */
  readonly version?: string
  /** Only nodes with one of these names may link, when given. */
  readonly allow?: readonly (string | RegExp)[]
  /** Nodes with one of these names may not link. */
  readonly deny?: readonly (string | RegExp)[]
  readonly logger?: Logger
  readonly limits?: Partial<MembershipLimits & LinkLimits>
  /** True when a layer on top says by `markReady` when this node is synced. */
  readonly manualReady?: boolean
  /**
   * A broken invariant of this node itself: it is closed already. Default: the process ends with code 70. Nothing that
   * comes from outside leads here.
   */
  readonly onFatal?: (error: unknown) => void
}

export interface FormationOptions {
  readonly expect: number
  readonly within?: number
  readonly stable?: number
  readonly otherwise?: 'fail' | 'continue'
}

/** Options with every default filled in. */
export interface ClusterSettings {
  readonly cluster: string
  readonly name: string
  readonly listen: Address
  /** Undefined: where the node listens. */
  readonly advertise: Address | undefined
  /** Never empty: without a secret the empty one. */
  readonly secrets: readonly string[]
  readonly discovery: readonly Discovery[]
  readonly formation: Formation | undefined
  readonly roles: readonly string[]
  readonly weight: number
  readonly kinds: readonly string[]
  readonly version: string
  readonly allow: readonly (string | RegExp)[] | undefined
  readonly deny: readonly (string | RegExp)[]
  readonly limits: MembershipLimits & LinkLimits
}

/** Bytes that all roles and kinds may take together, since they travel in the first frame. */
const maxDescriptionChars = 32 * 1024

/** Names of all options, for finding misspelt ones. */
const optionNames: Record<keyof ClusterOptions, true> = {
  cluster: true,
  name: true,
  listen: true,
  advertise: true,
  secret: true,
  insecure: true,
  discovery: true,
  formation: true,
  roles: true,
  weight: true,
  kinds: true,
  version: true,
  allow: true,
  deny: true,
  logger: true,
  limits: true,
  manualReady: true,
  onFatal: true,
}

/** Checks all options. Throws a SkepError ERR_CONFIG whose `faults` lists everything that is wrong with them. */
export function checkOptions(options: ClusterOptions): ClusterSettings {
  const faults = clusterFaults(options)
  if (faults.length > 0)
    throw new SkepError('ERR_CONFIG', `the configuration is wrong: ${faults.join('; ')}`, { faults })
  const { secret, discovery } = options
  return {
    cluster: options.cluster,
    name: options.name,
    listen: parseAddress(options.listen ?? '127.0.0.1:0'),
    advertise: options.advertise === undefined ? undefined : parseAddress(options.advertise),
    secrets: secret === undefined ? [''] : typeof secret === 'string' ? [secret] : [...secret],
    discovery: discovery === undefined ? [] : typeof discovery === 'function' ? [discovery] : [...discovery],
    formation: formationOf(options.formation),
    roles: [...(options.roles ?? [])],
    weight: options.weight ?? 1,
    kinds: [...(options.kinds ?? [])],
    version: options.version ?? '',
    allow: options.allow,
    deny: options.deny ?? [],
    limits: { ...membershipLimits, ...linkLimits, ...options.limits },
  }
}

/** Everything that is wrong with these options, a sentence each; empty when nothing is. */
export function clusterFaults(options: ClusterOptions): string[] {
  if (typeof options !== 'object' || options === null) return ['the options must be an object']
  const faults: string[] = []
  const fault = (text: string): void => void faults.push(text)
  for (const key of Object.keys(options)) if (!(key in optionNames)) fault(`there is no option '${key}'`)
  if (!isText(options.cluster, 1, 255)) fault(`cluster must be a name of 1 to 255 characters${given(options.cluster)}`)
  const { nameChars, roleChars, kindChars, versionChars } = frameLimits
  if (!isText(options.name, 1, nameChars)) fault(`name must have 1 to ${nameChars} characters${given(options.name)}`)
  checkAddresses(options, fault)
  checkSecret(options.secret, fault)
  checkList('roles', options.roles, frameLimits.roles, (item) => isText(item, 1, roleChars), fault)
  checkList('kinds', options.kinds, frameLimits.kinds, (item) => isText(item, 1, kindChars), fault)
  const described = [...listOf(options.roles), ...listOf(options.kinds)].join('').length
  if (described > maxDescriptionChars)
    fault(`roles and kinds are longer than ${maxDescriptionChars} characters together`)
  checkList('allow', options.allow, 1024, isPattern, fault)
  checkList('deny', options.deny, 1024, isPattern, fault)
  const strategies = typeof options.discovery === 'function' ? [options.discovery] : options.discovery
  checkList('discovery', strategies, 64, isDiscovery, fault)
  checkFormation(options.formation, fault)
  const { weight, version } = options
  if (weight !== undefined && !(typeof weight === 'number' && weight >= 0 && weight <= frameLimits.weight)) {
    fault(`weight must be a number from 0 to ${frameLimits.weight}${given(weight)}`)
  }
  if (version !== undefined && !isText(version, 0, versionChars))
    fault(`version has at most ${versionChars} characters`)
  for (const key of ['insecure', 'manualReady'] as const) {
    if (options[key] !== undefined && typeof options[key] !== 'boolean') fault(`${key} must be true or false`)
  }
  if (options.onFatal !== undefined && typeof options.onFatal !== 'function') fault('onFatal must be a function')
  if (options.logger !== undefined && typeof options.logger?.child !== 'function')
    fault('logger must be like one of pino')
  checkLimits(options.limits, fault)
  return faults
}

type Fault = (text: string) => void

function checkAddresses(options: ClusterOptions, fault: Fault): void {
  const listen = checkAddress('listen', options.listen ?? '127.0.0.1:0', fault)
  const advertise = options.advertise === undefined ? undefined : checkAddress('advertise', options.advertise, fault)
  if (advertise && /^(0\.0\.0\.0|::)$/.test(advertise.host)) fault(`advertise: nobody can reach ${advertise.host}`)
  if (listen && !isLoopback(listen.host) && options.secret === undefined && options.insecure !== true) {
    fault(`listen: without a secret only this host may be listened on, not ${listen.host} (insecure: true allows it)`)
  }
}

function checkAddress(key: string, text: string, fault: Fault): Address | undefined {
  try {
    return parseAddress(text)
  } catch (error) {
    fault(`${key}: ${(error as Error).message}`)
    return undefined
  }
}

/** Never shows what was given. */
function checkSecret(secret: unknown, fault: Fault): void {
  if (secret === undefined || (typeof secret === 'string' && secret !== '')) return
  if (!Array.isArray(secret)) return fault('secret must be a string that is not empty, or a list of such')
  if (secret.length === 0 || secret.length > maxSecrets) fault(`secret: a list holds 1 to ${maxSecrets} secrets`)
  if (!secret.every((one) => typeof one === 'string' && one !== ''))
    fault('secret: one in the list is not a string, or empty')
}

function checkList(key: string, list: unknown, max: number, fits: (item: unknown) => boolean, fault: Fault): void {
  if (list === undefined) return
  if (!Array.isArray(list)) return fault(`${key} must be a list`)
  if (list.length > max) fault(`${key} has ${list.length} entries, ${max} are the most`)
  const bad = list.findIndex((item) => !fits(item))
  if (bad >= 0) fault(`${key}: entry ${bad + 1} does not fit${given(list[bad])}`)
}

function checkFormation(formation: FormationOptions | undefined, fault: Fault): void {
  if (formation === undefined) return
  if (typeof formation !== 'object' || formation === null) return fault('formation must be an object')
  const { expect, within, stable, otherwise, ...unknown } = formation
  for (const key of Object.keys(unknown)) fault(`formation: there is no '${key}'`)
  const { maxMembers } = membershipLimits
  if (!(Number.isInteger(expect) && expect >= 1 && expect <= maxMembers))
    fault(`formation: expect must be a whole number from 1 to ${maxMembers}${given(expect)}`)
  for (const [key, ms] of Object.entries({ within, stable })) {
    if (ms !== undefined && !(typeof ms === 'number' && ms >= 0 && ms < 2 ** 31))
      fault(`formation: ${key} must be a time in ms${given(ms)}`)
  }
  if (otherwise !== undefined && otherwise !== 'fail' && otherwise !== 'continue')
    fault(`formation: otherwise must be 'fail' or 'continue'${given(otherwise)}`)
}

function formationOf(options: FormationOptions | undefined): Formation | undefined {
  if (options === undefined) return undefined
  const { expect, within = 60_000, stable = 1000, otherwise = 'fail' } = options
  return { expect, withinMs: within, stableMs: stable, otherwise }
}

function checkLimits(limits: ClusterOptions['limits'], fault: Fault): void {
  if (limits === undefined) return
  if (typeof limits !== 'object' || limits === null) return fault('limits must be an object')
  const known: Record<string, unknown> = { ...membershipLimits, ...linkLimits }
  for (const [key, value] of Object.entries(limits)) {
    if (!(key in known)) fault(`limits: there is no limit '${key}'`)
    else if (typeof value !== 'number' || !(value >= 0 && value < 2 ** 31)) {
      fault(`limits: ${key} must be a number from 0 to ${2 ** 31 - 1}`)
    }
  }
  const { lowWaterBytes, highWaterBytes } = { ...linkLimits, ...limits }
  if (lowWaterBytes > highWaterBytes)
    fault(`limits: lowWaterBytes ${lowWaterBytes} is above highWaterBytes ${highWaterBytes}`)
}

function isPattern(item: unknown): boolean {
  return item instanceof RegExp || isText(item, 1, frameLimits.nameChars)
}

function listOf(list: unknown): unknown[] {
  return Array.isArray(list) ? list : []
}

function given(value: unknown): string {
  if (value === undefined) return ''
  const text = typeof value === 'string' ? JSON.stringify(value) : inspect(value, { depth: 1, breakLength: Infinity })
  return `, not ${text.slice(0, 80)}`
}
