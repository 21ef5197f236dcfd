/**
 * A little network on this machine: a bridge in a namespace of its own, and a namespace for each host with a cable to
 * it. What a host does not hear is a rule of its own packet filter: a cut of one direction, or a share of all packets.
 * Nothing of it is seen outside, the addresses exist inside alone, and all of it goes with the last process in it.
 */

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Checks } from '../scenario.js'
import { type Namespace, openNamespace } from './namespace.js'

export interface Host {
  readonly address: string
  /** What stands before a command that is to run on this host. */
  readonly under: readonly string[]
}

export class Network {
  readonly hosts: readonly Host[]
  readonly #namespaces: readonly Namespace[]
  readonly #bridge: Namespace
  /** For each host the hosts that it does not hear, by index. */
  readonly #deaf: readonly Set<number>[]
  /** Per cent of the packets that each host loses. */
  #lossPercent = 0

  private constructor(bridge: Namespace, namespaces: readonly Namespace[]) {
    this.#bridge = bridge
    this.#namespaces = namespaces
    this.#deaf = namespaces.map(() => new Set())
    this.hosts = namespaces.map(({ under }, i) => ({ address: addressOf(i), under }))
  }

  /** `count` hosts, at most 250, each hears each. */
  static async open(count: number): Promise<Network> {
    const opened = await Promise.allSettled(Array.from({ length: count + 1 }, () => openNamespace()))
    const namespaces = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    try {
      for (const one of opened) if (one.status === 'rejected') throw one.reason
      const [bridge, ...hosts] = namespaces
      if (bridge === undefined) throw new Error('a network needs a bridge')
      await bridge.run(['ip', '-batch', '-'], bridgeCommands(hosts))
      await Promise.all(hosts.map((host, i) => host.run(['ip', '-batch', '-'], hostCommands(i))))
      return new Network(bridge, hosts)
    } catch (error) {
      await Promise.all(namespaces.map((one) => one.close()))
      throw error
    }
  }

  /** What `from` send no longer reaches `to`; the other direction is as it was. */
  async cut(from: readonly number[], to: readonly number[]): Promise<void> {
    for (const ear of to) for (const mouth of from) if (ear !== mouth) this.#deaf[ear]?.add(mouth)
    await this.#apply(to)
  }

  /** Hosts of different groups no longer hear each other. */
  async split(groups: readonly (readonly number[])[]): Promise<void> {
    for (const group of groups) {
      const others = groups.filter((other) => other !== group).flat()
      for (const ear of group) for (const mouth of others) this.#deaf[ear]?.add(mouth)
    }
    await this.#apply(groups.flat())
  }

  /** Of all packets that arrive anywhere, this share is lost by chance. */
  async lose(percent: number): Promise<void> {
    this.#lossPercent = percent
    await this.#apply(this.hosts.map((_, i) => i))
  }

  /** Each hears each again, and all of it. */
  async heal(): Promise<void> {
    for (const mouths of this.#deaf) mouths.clear()
    await this.lose(0)
  }

  async close(): Promise<void> {
    await Promise.all([...this.#namespaces, this.#bridge].map((one) => one.close()))
  }

  async #apply(hosts: readonly number[]): Promise<void> {
    await Promise.all(hosts.map((i) => this.#namespaces[i]?.run(['nft', '-f', '-'], this.#rules(i))))
  }

  /** The whole filter of a host; the first two lines empty the one that was, and all of it counts at one moment. */
  #rules(host: number): string {
    const drops = [...(this.#deaf[host] ?? [])].map((mouth) => `ip saddr ${addressOf(mouth)} drop`)
    if (this.#lossPercent > 0) drops.push(`iif != lo numgen random mod 100 < ${this.#lossPercent} drop`)
    const chain = ['chain in {', 'type filter hook input priority 0; policy accept', ...drops, '}']
    return ['add table ip cuts', 'delete table ip cuts', 'table ip cuts {', ...chain, '}', ''].join('\n')
  }
}

/** Of a range for private use, which exists in these namespaces alone. */
function addressOf(host: number): string {
  return `10.77.0.${host + 1}`
}

function bridgeCommands(hosts: readonly Namespace[]): string {
  const cables = hosts.flatMap(({ pid }, i) => [
    `link add cable${i} type veth peer name eth0 netns ${pid}`,
    `link set cable${i} master bridge0`,
    `link set cable${i} up`,
  ])
  return ['link add bridge0 type bridge', 'link set bridge0 up', ...cables, ''].join('\n')
}

function hostCommands(host: number): string {
  return ['link set lo up', `addr add ${addressOf(host)}/24 dev eth0`, 'link set eth0 up', ''].join('\n')
}

const TOOLS = fileURLToPath(new URL('../../../scripts/network-tools.mjs', import.meta.url))

/** Why no such network can be made here, asked once; undefined where it can. */
let reason: Promise<string | undefined> | undefined

async function whyNot(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'network namespaces are of Linux'
  if (process.getuid?.() !== 0) return 'only root may make network namespaces'
  const { status } = spawnSync(process.execPath, [TOOLS], { stdio: ['ignore', 'ignore', 'inherit'] })
  if (status !== 0)
    return 'the commands ip and nft (Debian: iproute2, nftables) are not here and could not be installed'
  return tryOne().then(
    () => undefined,
    (error: Error) => error.message,
  )
}

/** Each thing that a scenario needs, once: a kernel may lack any of them. */
async function tryOne(): Promise<void> {
  const network = await Network.open(2)
  try {
    await network.cut([0], [1])
    await network.lose(30)
    await network.heal()
  } finally {
    await network.close()
  }
}

/** Gives the work a network; where none can be made, the part counts as skipped, with the reason. */
export async function onNetwork(
  checks: Checks,
  name: string,
  hosts: number,
  work: (network: Network) => Promise<void>,
): Promise<void> {
  reason ??= whyNot()
  const why = await reason
  if (why !== undefined) return checks.skip(name, why)
  await checks.part(name, async () => {
    const network = await Network.open(hosts)
    try {
      await work(network)
    } finally {
      await network.close()
    }
  })
}
