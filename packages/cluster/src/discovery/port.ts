/**
 * Sources that name hosts without ports: which port their peers have.
 */
import { isIP, isIPv6 } from 'node:net'
import { formatAddress, parseAddress } from '../address.js'
import type { DiscoveryContext } from './discovery.js'

/** The port given, or else this node's own: replicas of one program mostly listen alike. Throws a TypeError at a bad one. */
export function portOf(port: number | undefined): (context: DiscoveryContext) => number {
  if (port !== undefined && !(Number.isInteger(port) && port > 0 && port <= 65535)) {
    throw new TypeError('port is the number at which peers listen (1-65535)')
  }
  return ({ self }) => port ?? parseAddress(self.address).port
}

/** The address of `host`, `host:port`, an IPv6 address with or without brackets. Throws a TypeError for anything else. */
export function withPort(text: string, port: number): string {
  if (isIP(text) !== 0) return formatAddress({ host: text, port })
  const bare = text.startsWith('[') ? text.endsWith(']') && isIPv6(text.slice(1, -1)) : !text.includes(':')
  return formatAddress(parseAddress(bare ? `${text}:${port}` : text))
}
