/**
 * What users say of placed names, and what is wrong with it: where they are started, and whether again.
 *
 * Strategies of placement as users write them. Each makes, where a name is spawned, the small description by which
 * everybody finds its node (core/strategies.ts): the user's own functions run here, and what travels is data.
 */
import type { Restart, Strategy } from './core/messages.js'
import { maxRestarts, restartDefaults } from './core/policies.js'
import type { OwnStrategy, PlacementMember } from './core/strategies.js'
import { wireLimits } from './core/wire.js'

/** Of a strategy's function: the nodes on which this name may run, by name, the first choice first. */
export type OwnPlacement = (name: string, members: readonly PlacementMember[]) => readonly string[]

/** A rule by which names are placed: `ring`, `rendezvous`, `localFirst`, or made by `pinned`, `together`. */
export class PlacementRule {
  /** Which one it is, for people. */
  readonly by: string
  /** The description of it for this name, spawned on this node; undefined for the ring. */
  readonly describe: (name: string, node: string) => Strategy | undefined

  constructor(by: string, describe: PlacementRule['describe']) {
    this.by = by
    this.describe = describe
    Object.freeze(this)
  }
}

/** Where the ring says (default): each node gets its share, and one that comes or goes moves no more than that. */
export const ring: PlacementRule = new PlacementRule('ring', () => undefined)

/** Highest random weight: the same shares and moves as by the ring, more even where there are few names. */
export const rendezvous: PlacementRule = new PlacementRule('rendezvous', () => ({ by: 'rendezvous' }))

/** On the node that asks for it, as long as that can run it; else where the ring says. */
export const localFirst: PlacementRule = new PlacementRule('localFirst', (_, node) => ({ by: 'near', node }))

export interface Pins {
  /** Nodes with this role, or with one of these. */
  readonly role?: string
  readonly roles?: readonly string[]
  /** Nodes of this name, or of one of these. */
  readonly node?: string
  readonly nodes?: readonly string[]
}

/**
 * Only on nodes that have one of these roles or names; among several where the ring says. While there is none a spawn
 * fails with ERR_NO_HOST, and an actor whose node is gone waits. Throws TypeError for anything else.
 */
export function pinned(to: Pins): PlacementRule {
  if (typeof to !== 'object' || to === null)
    throw new TypeError('pinned(to): {role}, {roles}, {node} or {nodes} is missing')
  for (const key of Object.keys(to)) {
    if (!pinKeys.has(key)) throw new TypeError(`pinned(to): unknown key '${key}'; known are ${[...pinKeys].join(', ')}`)
  }
  const roles = pinsOf('role', to.role, to.roles)
  const nodes = pinsOf('node', to.node, to.nodes)
  if (roles.length + nodes.length === 0) throw new TypeError('pinned(to): no role and no node is named')
  return new PlacementRule('pinned', () => ({ by: 'pinned', roles, nodes }))
}

const pinKeys: ReadonlySet<string> = new Set(['role', 'roles', 'node', 'nodes'])

function pinsOf(what: string, one: unknown, several: unknown): readonly string[] {
  if (several !== undefined && !Array.isArray(several)) throw new TypeError(`pinned(to): ${what}s must be a list`)
  const pins = [...(one === undefined ? [] : [one]), ...((several as unknown[] | undefined) ?? [])]
  if (pins.length > wireLimits.pins) throw new TypeError(`pinned(to): more than ${wireLimits.pins} ${what}s`)
  for (const pin of pins) {
    if (typeof pin !== 'string' || pin === '' || pin.length > wireLimits.nodeChars)
      throw new TypeError(`pinned(to): a ${what} must be a text of 1 to ${wireLimits.nodeChars} characters`)
  }
  return Object.freeze(pins as string[])
}

/**
 * All names for which `keyOf` gives the same key run on the same node (of those that know their kinds). `keyOf` runs
 * where a name is spawned.
 */
export function together(keyOf: (name: string) => string): PlacementRule {
  if (typeof keyOf !== 'function') throw new TypeError('together(keyOf): keyOf must be a function')
  return new PlacementRule('together', (name) => {
    const key: unknown = keyOf(name)
    if (typeof key === 'string' && key.length <= wireLimits.keyChars) return { by: 'together', key }
    throw new TypeError(
      `together(keyOf): the key of '${name}' must be a text of at most ${wireLimits.keyChars} characters`,
    )
  })
}

/** By the function that the nodes have under this id; where one does not have it, the ring says where. */
export function ownRule(id: string): PlacementRule {
  return new PlacementRule('own', () => ({ by: 'own', id }))
}

/** A user's function as the machine may call it: what it throws, or gives of a wrong shape, is no answer. */
export function guarded(place: OwnPlacement, failed: (error: unknown) => void): OwnStrategy {
  return (name, members) => {
    try {
      const order: unknown = place(name, members)
      if (Array.isArray(order) && order.every((node) => typeof node === 'string')) return order
      failed(new TypeError('a strategy of placement must give a list of the names of nodes'))
    } catch (error) {
      failed(error)
    }
    return undefined
  }
}

export type RestartPolicy = Restart['policy']

/** Whether a placed process is started again, and the limit of it: at most `times` times within `withinMs`. */
export interface RestartOptions {
  readonly policy: RestartPolicy
  /** 0 to 100; 6 by default. */
  readonly times?: number
  /** Up to a day; a minute by default. */
  readonly withinMs?: number
}

/** Longest time within which failures are counted together. */
const maxWithinMs = 24 * 3600 * 1000

/** The whole of what was given; TypeError, which begins with `where`, for anything that is none. */
export function restartOf(where: string, given: unknown): Restart | undefined {
  if (given === undefined) return undefined
  const whole = typeof given === 'object' && given !== null ? (given as Record<string, unknown>) : { policy: given }
  const { policy, times = restartDefaults.times, withinMs = restartDefaults.withinMs, ...rest } = whole
  const [unknown] = Object.keys(rest)
  if (unknown !== undefined)
    throw new TypeError(`${where}: unknown option 'restart.${unknown}'; known are policy, times, withinMs`)
  if (policy !== 'permanent' && policy !== 'transient' && policy !== 'temporary')
    throw new TypeError(`${where}: restart must be permanent, transient or temporary, or {policy, times, withinMs}`)
  if (!(isWhole(times) && times <= maxRestarts))
    throw new TypeError(`${where}: restart.times must be a whole number from 0 to ${maxRestarts}`)
  if (!(isWhole(withinMs) && withinMs > 0 && withinMs <= maxWithinMs))
    throw new TypeError(`${where}: restart.withinMs must be milliseconds from 1 to ${maxWithinMs}`)
  return Object.freeze({ policy, times, withinMs })
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
