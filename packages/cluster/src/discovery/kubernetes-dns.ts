/**
 * Discovery by the DNS of Kubernetes (the specification is kubernetes/dns): the records of a headless Service. Nothing of
 * the API is asked, so a pod needs no rights.
 *
 * Only pods that are ready have records, unless the Service has `publishNotReadyAddresses: true`: give discovery a
 * Service of its own with that, or nodes that are ready only when joined never find each other. What is answered may be
 * half a minute old, since servers keep answers and the absence of them.
 */
import type { Discovery } from './discovery.js'
import { addressesAt, type DnsAddressOptions, servicesOf } from './dns.js'
import { readSmallFile } from './file.js'
import { checkName, type DnsOptions, nameServerStrategy } from './name-servers.js'
import { portOf } from './port.js'

const namespacePath = '/var/run/secrets/kubernetes.io/serviceaccount/namespace'
const resolvConfPath = '/etc/resolv.conf'
const maxFileBytes = 16 * 1024

export interface KubernetesService {
  /** Name of a headless Service (`clusterIP: None`). */
  readonly service: string
  /** Default: that of the pod, from its service account. */
  readonly namespace?: string
  /** Default: from the line `search` in /etc/resolv.conf, else `cluster.local`. */
  readonly clusterDomain?: string
  /** Where the pod's namespace is read. */
  readonly namespaceFile?: string
  /** Where the cluster's domain is read. */
  readonly resolvConf?: string
}

export interface KubernetesDnsOptions extends KubernetesService, DnsAddressOptions {}

export interface KubernetesSrvOptions extends KubernetesService, DnsOptions {
  /** Name of the port in the Service: SRV records exist only for ports that have one. */
  readonly portName: string
  /** Default `tcp`. */
  readonly protocol?: 'tcp' | 'udp' | 'sctp'
}

/** The pods of a headless Service, by their addresses. Throws a TypeError at bad options. */
export function kubernetesDns(options: KubernetesDnsOptions): Discovery {
  checkService('kubernetesDns', options)
  const port = portOf(options.port)
  return nameServerStrategy(`kubernetesDns(${options.service})`, options, async (ask, context) =>
    addressesAt(port(context), await ask.addresses([await fullName(options)])),
  )
}

/** The pods of a headless Service, by the SRV records of one of its named ports. Throws a TypeError at bad options. */
export function kubernetesSrv(options: KubernetesSrvOptions): Discovery {
  checkService('kubernetesSrv', options)
  const { portName, protocol = 'tcp' } = options
  if (!isLabel(portName) || portName.length > 15) {
    throw new TypeError(`kubernetesSrv: portName is the name of a port of the Service, not '${portName}'`)
  }
  if (!['tcp', 'udp', 'sctp'].includes(protocol)) throw new TypeError('kubernetesSrv: protocol is tcp, udp or sctp')
  return nameServerStrategy(`kubernetesSrv(${portName} of ${options.service})`, options, async (ask) =>
    servicesOf(ask, [`_${portName}._${protocol}.${await fullName(options)}`]),
  )
}

/** With the dot at the end: no search domain is to be tried. The files are read each time: they may come late. */
async function fullName(options: KubernetesService): Promise<string> {
  const namespace = options.namespace ?? (await podNamespace(options.namespaceFile ?? namespacePath))
  const domain = options.clusterDomain ?? (await clusterDomain(options.resolvConf ?? resolvConfPath))
  return `${options.service}.${namespace}.svc.${domain.replace(/\.$/, '')}.`
}

async function podNamespace(path: string): Promise<string> {
  const namespace = await readSmallFile(path, maxFileBytes).catch((error: unknown) => {
    throw new Error(`no namespace is given, and ${path}, which has that of a pod, cannot be read`, { cause: error })
  })
  if (!isLabel(namespace.trim())) throw new Error(`what ${path} says is no namespace`)
  return namespace.trim()
}

/** Of `search default.svc.k8s.example svc.k8s.example k8s.example` it is `k8s.example`. */
async function clusterDomain(path: string): Promise<string> {
  const text = await readSmallFile(path, maxFileBytes).catch(() => '')
  // Of several such lines the last one is in force.
  const line = text.split('\n').findLast((one) => /^\s*search\s/.test(one)) ?? ''
  const words = line.trim().split(/\s+/)
  return words.find((word) => word.startsWith('svc.'))?.slice('svc.'.length) || 'cluster.local'
}

function checkService(of: string, options: KubernetesService): void {
  const { service, namespace, clusterDomain: domain, namespaceFile, resolvConf } = options ?? {}
  if (!isLabel(service)) throw new TypeError(`${of}: service is the name of a headless Service, not '${service}'`)
  if (namespace !== undefined && !isLabel(namespace)) {
    throw new TypeError(`${of}: namespace is the name of a namespace, not '${namespace}'`)
  }
  if (domain !== undefined) checkName(`${of}: clusterDomain`, domain)
  for (const [key, path] of Object.entries({ namespaceFile, resolvConf })) {
    if (path !== undefined && typeof path !== 'string') throw new TypeError(`${of}: ${key} is the path of a file`)
  }
}

/** A label of DNS as Kubernetes writes them (RFC 1123). */
function isLabel(text: unknown): text is string {
  return typeof text === 'string' && text.length <= 63 && /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(text)
}
