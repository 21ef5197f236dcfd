/**
 * Strategies of placement (PROTOCOL.md 4.4): of the members that could run a placed name, which one does. What travels
 * with a name is a small description; everybody who has the same members computes the same node from it, so nothing
 * here may depend on anything else.
 */

import { type MemberInfo, machineOf } from '@skep/cluster/core'
import type { Strategy } from './messages.js'
import { slotOf } from './ring.js'

/** A member as a user's own strategy sees it. */
export interface PlacementMember {
  readonly name: string
  readonly roles: readonly string[]
  readonly weight: number
  readonly version: string
  /** The host in its address: members with the same one share a machine. */
  readonly machine: string
}

/**
 * A strategy of a user: the names of the nodes on which this name may run, the first choice first, out of `members`
 * (those that could run it, by name). Undefined where it has nothing to say, for it has failed.
 */
export type OwnStrategy = (name: string, members: readonly PlacementMember[]) => readonly string[] | undefined

/** The answer of a strategy. */
export interface Verdict {
  /** Undefined: on none of them. */
  readonly host: MemberInfo | undefined
  /** False where this node does not know what the strategy says, so that the ring does. */
  readonly sure: boolean
}

/** What a name is placed by: its own name, or the key that it shares with others. */
export function placingKey(name: string, strategy: Strategy | undefined): string {
  return strategy?.by === 'together' ? strategy.key : name
}

/** May this member run it at all, whatever else speaks for another one? */
export function allows(strategy: Strategy | undefined, { name, roles }: MemberInfo): boolean {
  if (strategy?.by !== 'pinned') return true
  return strategy.nodes.includes(name) || strategy.roles.some((role) => roles.includes(role))
}

/** `hosts`: who could run it, in the ring's order of the slot of `placingKey`. */
export function choose(
  hosts: readonly MemberInfo[],
  name: string,
  strategy: Strategy | undefined,
  own: OwnStrategy | undefined,
): Verdict {
  const key = placingKey(name, strategy)
  switch (strategy?.by) {
    case 'rendezvous':
      return { host: highest(hosts, key), sure: true }
    case 'near':
      return { host: hosts.find((info) => info.name === strategy.node) ?? inOrder(hosts, key), sure: true }
    case 'pinned': {
      const allowed = hosts.filter((info) => allows(strategy, info))
      return { host: inOrder(allowed, key), sure: true }
    }
    case 'own': {
      const order = own?.(name, hosts.map(shown).sort(byName))
      if (order === undefined) break
      const first = order.find((node) => hosts.some((info) => info.name === node))
      return { host: hosts.find((info) => info.name === first), sure: true }
    }
    case 'unknown':
      break
    default:
      return { host: inOrder(hosts, key), sure: true }
  }
  return { host: inOrder(hosts, key), sure: false }
}

/**
 * The first one. One with a smaller weight than the heaviest of them is passed over for a share of the names, so that
 * each gets its part: the order of the slot is as good as random, and a name passes over the same nodes wherever that is
 * asked.
 */
function inOrder(hosts: readonly MemberInfo[], key: string): MemberInfo | undefined {
  const heaviest = hosts.reduce((most, { weight }) => Math.max(most, weight), 0)
  return hosts.find((info) => info.weight / heaviest > chanceOf(key, info.name))
}

/**
 * Highest random weight: each node draws for the name, and the best draw has it. With -w / ln(u) each is the best one
 * as often as its weight is a part of all weights, and a node that comes or goes changes no other's draw.
 */
function highest(hosts: readonly MemberInfo[], key: string): MemberInfo | undefined {
  let best: MemberInfo | undefined
  let most = 0
  for (const info of hosts) {
    const score = -info.weight / Math.log(drawOf(key, info.name))
    if (score > most || (score === most && best !== undefined && info.name < best.name)) {
      best = info
      most = score
    }
  }
  return best
}

const parts = 2 ** 30

/** A number from 0 to below 1 that is as good as random, and the same for the same name and node. */
function chanceOf(key: string, node: string): number {
  return slotOf(`${node} ${key}`, parts) / parts
}

/** The same, but never 0, whose logarithm is none; of another text, so that the two have nothing to do with each other. */
function drawOf(key: string, node: string): number {
  return (slotOf(`${key} ${node}`, parts) + 0.5) / parts
}

function shown(info: MemberInfo): PlacementMember {
  const { name, roles, weight, version } = info
  return Object.freeze({ name, roles: Object.freeze([...roles]), weight, version, machine: machineOf(info) })
}

function byName(a: PlacementMember, b: PlacementMember): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0
}
