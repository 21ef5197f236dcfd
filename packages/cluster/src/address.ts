/**
 * Addresses as people write them: `host:port`, `[v6]:port`. Parsing names the fault; nothing here looks anything up.
 */
import { isIP, isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'

export interface Address {
  /** A name, an IPv4 or an IPv6 address, the latter without brackets. */
  readonly host: string
  /** 0-65535; 0 means any free port where one listens. */
  readonly port: number
}

/** Reads `host:port` or `[v6]:port`; throws a TypeError that names the fault. */
export function parseAddress(text: string): Address {
  if (typeof text !== 'string' || text === '') throw new TypeError('an address is a string such as 10.0.0.7:4370')
  const bracketed = text.startsWith('[')
  const end = bracketed ? text.indexOf(']') + 1 : text.lastIndexOf(':')
  if (end <= 0 || text[end] !== ':') throw new TypeError(`'${text}' has no port: write host:port, or [v6]:port`)
  const host = bracketed ? text.slice(1, end - 1) : text.slice(0, end)
  if (bracketed && !isIPv6(host)) throw new TypeError(`'${host}' in '${text}' is not an IPv6 address`)
  if (!bracketed && host.includes(':')) throw new TypeError(`'${text}' is ambiguous: write IPv6 as [v6]:port`)
  if (isIP(host) === 0 && !isHostName(host)) throw new TypeError(`'${host}' in '${text}' is not a host name`)
  return { host, port: parsePort(text.slice(end + 1), text) }
}

/** The text that `parseAddress` reads back. */
export function formatAddress(address: Address): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}

/** The one text of an address at which a peer may be dialled. Throws a TypeError that names the fault. */
export function peerAddress(text: string): string {
  const address = parseAddress(text)
  if (address.port === 0) throw new TypeError(`'${text}' has port 0, at which nobody can be reached`)
  // It says through which interface of this very host, and is no part of an address that nodes tell each other.
  if (address.host.includes('%')) throw new TypeError(`'${text}' has a zone, which means nothing on another host`)
  return formatAddress(address)
}

/** True where only processes of this host can reach the address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

/**
 * What a node that listens on all addresses tells others: its first IPv4 address that is not internal; where there is
 * none and it listens on `::`, the first IPv6 one that counts on other hosts too.
 */
export function reachableHost(
  host: string,
  interfaces: ReturnType<typeof networkInterfaces> = networkInterfaces(),
): string {
  if (host !== '0.0.0.0' && host !== '::') return host
  const all = Object.values(interfaces).flatMap((list) => list ?? [])
  const v4 = all.find((one) => one.family === 'IPv4' && !one.internal)
  const v6 = all.find((one) => one.family === 'IPv6' && !one.internal && one.scopeid === 0)
  return (host === '::' ? (v4 ?? v6) : v4)?.address ?? '127.0.0.1'
}

function parsePort(text: string, whole: string): number {
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port > 65535) throw new TypeError(`'${text}' in '${whole}' is not a port (0-65535)`)
  return port
}

function isHostName(host: string): boolean {
  return host.length <= 253 && /^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$/.test(host)
}
