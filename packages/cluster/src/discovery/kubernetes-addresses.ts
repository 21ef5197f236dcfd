/**
 * What an EndpointSlice and a Pod say about where peers may be. Pure: an object comes in as the API sent it, addresses
 * and complaints come out.
 *
 * Whoever may live is named, for joining: whether it is *ready* is no question, since readiness may depend on having
 * joined, and a cluster whose nodes wait for each other's readiness never starts. Endpoints that terminate are named
 * until they are gone (a node that drains still holds what others must ask it for, and says itself that it leaves), and
 * a slice never has pods that have ended. A pod has more to tell, so the mode for pods can be strict where a name of
 * the dead would last: with a deletion under way on a host that is lost it stays `Running` for ever, its IP another's.
 */
import { isIP } from 'node:net'
import { formatAddress } from '../address.js'
import { type KubernetesObject, listOf, recordOf, textIn } from './kubernetes-watch.js'

export type Family = 'IPv4' | 'IPv6'
export type NamedBy = 'ip' | 'hostname' | 'dns'

/** How an address is made. */
export interface Wanted {
  readonly namedBy: NamedBy
  readonly namespace: string
  /** Of endpoints; of pods: instead of their own subdomain. */
  readonly service: string | undefined
  /** Of the cluster, `cluster.local`; only where names are made. */
  readonly domain: string
  readonly family: Family | undefined
  /** A number; the name of one; undefined: the only one there is. */
  readonly port: number | string | undefined
}

export interface Found {
  readonly addresses: readonly string[]
  /** Why an endpoint or a pod that seems to live has no address here. */
  readonly faults: readonly string[]
}

interface Host {
  readonly ip: string
  readonly hostname: string | undefined
  readonly service: string | undefined
}

/** `discovery.k8s.io/v1` EndpointSlice: of one family, with one list of ports for all of its endpoints. */
export function ofSlice(slice: KubernetesObject, wanted: Wanted): Found {
  const family = slice.addressType
  if (family !== 'IPv4' && family !== 'IPv6') return nothing
  if (wanted.family !== undefined && family !== wanted.family) return nothing
  const hosts = listOf(slice.endpoints).flatMap(({ addresses, hostname }): Host[] => {
    // Those of one endpoint are the same to whoever asks: the first will do.
    const ip = Array.isArray(addresses) ? textIn(addresses[0]) : undefined
    return ip === undefined ? [] : [{ ip, hostname: textIn(hostname), service: wanted.service }]
  })
  return named(hosts, portOf(listOf(slice.ports), 'port', wanted.port), wanted)
}

/** `v1` Pod: nothing where it does not run, or not any more, or has no IP yet. */
export function ofPod(pod: KubernetesObject, wanted: Wanted): Found {
  const [metadata, spec, status] = [recordOf(pod.metadata), recordOf(pod.spec), recordOf(pod.status)]
  if (status?.phase !== 'Running' || isSet(metadata?.deletionTimestamp) || waits(status)) return nothing
  const ips = listOf(status.podIPs).flatMap(({ ip }) => textIn(ip) ?? [])
  const all = ips.length > 0 ? ips : [textIn(status.podIP) ?? []].flat()
  const [hostname, service] = [textIn(spec?.hostname), wanted.service ?? textIn(spec?.subdomain)]
  const hosts = all.filter((ip) => wanted.family === undefined || familyOf(ip) === wanted.family)
  const ports = listOf(spec?.containers).flatMap((container) => listOf(container.ports))
  return named(
    hosts.map((ip) => ({ ip, hostname, service })),
    portOf(ports, 'containerPort', wanted.port),
    wanted,
  )
}

const nothing: Found = { addresses: [], faults: [] }

/** All of its containers wait (for an image, or after a crash): nobody is there. One that waits may be another's. */
function waits(status: KubernetesObject): boolean {
  const states = listOf(status.containerStatuses).map(({ state }) => recordOf(state))
  return states.length > 0 && states.every((state) => recordOf(state?.waiting) !== undefined)
}

function named(hosts: readonly Host[], port: number | Error, wanted: Wanted): Found {
  if (hosts.length === 0) return nothing
  if (port instanceof Error) return { addresses: [], faults: [port.message] }
  const names = hosts.map((host) => nameOf(host, wanted))
  const addresses = names.flatMap((host) => (host instanceof Error ? [] : formatAddress({ host, port })))
  const faults = names.flatMap((host) => (host instanceof Error ? host.message : []))
  return { addresses: [...new Set(addresses)], faults: [...new Set(faults)] }
}

function nameOf({ ip, hostname, service }: Host, { namedBy, namespace, domain }: Wanted): string | Error {
  if (isIP(ip) === 0) return new Error(`'${ip.slice(0, 60)}' is not an IP address`)
  switch (namedBy) {
    case 'ip':
      return ip
    case 'dns':
      return `${dashed(ip)}.${namespace}.pod.${domain}`
    case 'hostname':
      if (hostname !== undefined && service !== undefined) return `${hostname}.${service}.${namespace}.svc.${domain}`
      return new Error(
        `${ip} has no ${hostname === undefined ? 'hostname' : 'subdomain'}, as a StatefulSet's pods have`,
      )
  }
}

/** As the DNS server reads it back: a label neither begins nor ends with a dash, so `fd00::` is `fd00--0`. */
export function dashed(ip: string): string {
  return ip.replace(/[.:]/g, '-').replace(/^-/, '0-').replace(/-$/, '-0')
}

function portOf(ports: readonly KubernetesObject[], key: string, wanted: number | string | undefined): number | Error {
  if (typeof wanted === 'number') return wanted
  const tcp = ports.filter(({ protocol, [key]: port }) => (protocol ?? 'TCP') === 'TCP' && isPort(port))
  const fitting = wanted === undefined ? tcp : tcp.filter(({ name }) => name === wanted)
  const port = fitting[0]?.[key]
  if (isPort(port) && (wanted !== undefined || fitting.length === 1)) return port
  const there = tcp.map(({ name }) => `'${String(name ?? '').slice(0, 20)}'`).slice(0, 8)
  const those = there.length === 0 ? 'no TCP ports' : `the TCP ports ${there.join(', ')}`
  return new Error(`there are ${those}: \`port\` must be a number${there.length === 0 ? '' : ' or one of these'}`)
}

function isPort(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 65536
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null
}

function familyOf(ip: string): Family | undefined {
  return ip.includes(':') ? 'IPv6' : 'IPv4'
}

/** The domain of the cluster: a pod's resolver searches `svc.<domain>`. */
export function domainOf(resolvConf: string): string | undefined {
  const searched = resolvConf.split('\n').flatMap((line) => /^\s*search\s+(.*)$/.exec(line)?.[1]?.split(/\s+/) ?? [])
  const domain = searched.find((one) => one.startsWith('svc.'))?.slice(4)
  return domain?.replace(/\.$/, '') || undefined
}
