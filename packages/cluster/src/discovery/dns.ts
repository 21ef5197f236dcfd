/**
 * Discovery from DNS: the addresses of names, or their SRV records, which have the ports.
 */
import { formatAddress } from '../address.js'
import { type Discovery, maxAddresses } from './discovery.js'
import { type DnsOptions, nameList, nameServerStrategy, type Questions, titleOf } from './name-servers.js'
import { portOf } from './port.js'

export interface DnsAddressOptions extends DnsOptions {
  /** At which the peers listen; default: the port of this node itself. */
  readonly port?: number
}

/**
 * All addresses (A and AAAA) of one name or several. Names are asked as they are: write them in full, best with a dot at
 * the end. Throws a TypeError at bad names or options.
 */
export function dns(names: string | readonly string[], options: DnsAddressOptions = {}): Discovery {
  const list = nameList('dns', names)
  const port = portOf(options.port)
  return nameServerStrategy(titleOf('dns', list), options, async (ask, context) =>
    addressesAt(port(context), await ask.addresses(list)),
  )
}

/**
 * The SRV records of one name or several (`_skep._tcp.example.org.`): their ports, and the addresses of their targets.
 * Priority and weight mean nothing here: all peers are dialled. Throws a TypeError at bad names or options.
 */
export function dnsSrv(names: string | readonly string[], options: DnsOptions = {}): Discovery {
  const list = nameList('dnsSrv', names)
  return nameServerStrategy(titleOf('dnsSrv', list), options, (ask) => servicesOf(ask, list))
}

export function addressesAt(port: number, hosts: readonly string[]): string[] {
  return hosts.map((host) => formatAddress({ host, port }))
}

/** Addresses instead of the targets' names: nodes tell each other addresses, and are recognised by them. */
export async function servicesOf(ask: Questions, names: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const { port, addresses } of await ask.services(names)) {
    found.push(...addressesAt(port, addresses.slice(0, maxAddresses - found.length)))
    // Records of one answer times addresses of another one: that may be millions.
    if (found.length === maxAddresses) break
  }
  return found
}
