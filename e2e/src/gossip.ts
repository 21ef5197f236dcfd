/**
 * Nodes that know no address, on hosts of their own: they find each other by multicast and by broadcast, over IPv4 and
 * IPv6, and never one that has another secret.
 */

import type { GossipOptions } from 'skep'
import { type Network, onNetwork } from './net/network.js'
import { allReady, askAll, clock, startOnHosts, uniqueCluster, withOutputs } from './nodes.js'
import { Checks, eventually, type Report, type Say } from './scenario.js'
import { everybodyKnown, until } from './whole.js'

/** `eth0` and 10.77.0.0/24 are what the hosts of a network have. */
const WAYS: Readonly<Record<string, GossipOptions>> = {
  'multicast, IPv4': { interface: 'eth0' },
  'multicast, IPv6': { interface: 'eth0', group: 'ff02::736b' },
  broadcast: { broadcast: '10.77.0.255' },
}

const HOSTS = 4
const KNOWN_MS = 20_000
/** Datagrams that the stranger must have heard and refused before it counts that it names nobody. */
const REFUSED = 20

export async function gossip(say: Say): Promise<Report> {
  const checks = new Checks(say)
  const figures: Record<string, unknown> = {}
  say('gossip: nodes that know no address find each other')
  for (const [way, options] of Object.entries(WAYS)) {
    await onNetwork(checks, way, HOSTS, async (network) => {
      figures[way] = await meet(checks, network, way, options)
      say(`  ${way}: each knows each after ${figures[way]} ms`)
    })
  }
  return { scenario: 'gossip', checks: checks.all, figures }
}

type Named = Awaited<ReturnType<typeof askAll<'named'>>>

/** Three that belong together, and a stranger on the last host. */
async function meet(
  checks: Checks,
  network: Network,
  way: string,
  options: GossipOptions,
): Promise<number | undefined> {
  const cluster = uniqueCluster()
  const friends = startOnHosts(network.hosts.slice(0, -1), { cluster, gossip: options })
  const strangers = startOnHosts(network.hosts.slice(-1), { cluster, gossip: options, secret: 'another one' })
  return withOutputs([...friends, ...strangers], async () => {
    await askAll(friends, 'boot')
    const { ms, wrong } = await until(clock(), KNOWN_MS, everybodyKnown(friends))
    checks.check(`${way}: every node knows every node`, ms !== undefined, wrong)
    await allReady(friends, clock())
    const addresses = network.hosts.map(({ address }) => `${address}:4370`)
    const wanted = addresses.slice(0, -1)
    const all = (named: Named): boolean =>
      named.every((list) => list.filter(({ now }) => now).length === wanted.length - 1)
    // Members tell each other of others, so one may be known before it was heard.
    const named = await eventually(KNOWN_MS, () => askAll(friends, 'named', wanted), all)
    checks.check(`${way}: each names the others`, all(named), JSON.stringify(named))
    const refused = await eventually(
      KNOWN_MS,
      async () => (await askAll(strangers, 'gossipCounts'))[0]?.dropped.forged ?? 0,
      (count) => count >= REFUSED,
    )
    const strange = addresses.slice(-1)
    const [toIt, ofIt] = [await askAll(friends, 'named', strange), await askAll(strangers, 'named', wanted)]
    checks.check(
      `${way}: one with another secret names nobody and is named by nobody`,
      refused >= REFUSED && [...toIt, ...ofIt].every((list) => list.length === 0),
      `it refused ${refused} datagrams; ${JSON.stringify([toIt, ofIt])}`,
    )
    return ms
  })
}
