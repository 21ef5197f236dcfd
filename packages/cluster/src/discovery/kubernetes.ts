/**
 * Discovery by the API of Kubernetes: the endpoints of a Service, or pods by their labels, followed by a list and a
 * watch (`kubernetes-watch.ts`) over HTTPS (`kubernetes-api.ts`). What counts as a peer is in `kubernetes-addresses.ts`.
 *
 * It yields what changes. A list that fails, or a watch again and again, ends the run and is told; that the answer is
 * empty all of a sudden is an answer. Absence here is no proof of death, and nothing is done about it.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LogLimiter } from '../log.js'
import { realTime } from '../time.js'
import { bellOf, type Discovery, type DiscoveryContext, titled } from './discovery.js'
import { domainOf, type Family, type NamedBy, ofPod, ofSlice, type Wanted } from './kubernetes-addresses.js'
import {
  type ApiAccess,
  type ApiRequest,
  getJson,
  getLines,
  isLabelName,
  namespaceOf,
  serviceAccountPath,
} from './kubernetes-api.js'
import {
  type FollowLimits,
  follow,
  type KubernetesObject,
  type Query,
  Setbacks,
  type Source,
} from './kubernetes-watch.js'

export interface KubernetesOptions {
  /** `endpoints` (default): of a Service, by its EndpointSlices. `pods`: by their labels. */
  readonly mode?: 'endpoints' | 'pods'
  /**
   * The Service whose endpoints the peers are: a headless one of its own, with `publishNotReadyAddresses`. With pods
   * only for `namedBy: 'hostname'`; default there: the pod's subdomain.
   */
  readonly service?: string
  /** Which pods, `app=shop,tier!=web`. */
  readonly labelSelector?: string
  /**
   * Where peers listen: a number, or the name of a port (of the Service, of a container). Default with endpoints: the
   * only port of the Service. Required with pods.
   */
  readonly port?: number | string
  /** Default: the one that this pod is in. */
  readonly namespace?: string
  /** Which addresses, where a pod has two. Default: all. */
  readonly family?: Family
  /**
   * `ip` (default); `hostname`: `<hostname>.<service>.<namespace>.svc.<domain>`, which a StatefulSet's pods have;
   * `dns`: `10-0-0-8.<namespace>.pod.<domain>`.
   */
  readonly namedBy?: NamedBy
  /** For names. Default: what `resolvConf` searches as `svc.<domain>`. */
  readonly clusterDomain?: string
  readonly resolvConf?: string
  /** `https://…` of the API. Default: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, as every pod has them. */
  readonly apiServer?: string
  /** Whom to believe that it is the API: certificates in PEM. Default: `ca.crt` of the service account. */
  readonly ca?: string
  /** Default: `tokenFile`, read for every request, since it is rewritten. */
  readonly token?: string
  /** Default: `token` of the service account. */
  readonly tokenFile?: string
  /** Where `ca.crt`, `token` and `namespace` are. Default: where every pod has them. */
  readonly serviceAccountPath?: string
  readonly limits?: Partial<KubernetesLimits>
}

export interface KubernetesLimits extends FollowLimits {
  /** Of a page of a list. */
  readonly maxListBytes: number
  /** Of an event of a watch. */
  readonly maxEventBytes: number
  /** For a page of a list, and for a watch to begin. */
  readonly requestMs: number
  /** How long a watch is asked to last, give or take a fifth. */
  readonly watchSeconds: number
  /** One that has not ended so long after that is ended from here. */
  readonly watchMarginMs: number
}

export const kubernetesLimits: KubernetesLimits = {
  pageSize: 500,
  maxPages: 100,
  // Twice what is taken from a strategy, and more.
  maxObjects: 10_000,
  // A pod has some 10 KiB; etcd takes objects of 1.5 MiB.
  maxListBytes: 64 * 1024 * 1024,
  maxEventBytes: 4 * 1024 * 1024,
  requestMs: 15_000,
  watchSeconds: 300,
  watchMarginMs: 30_000,
  relistMs: 15 * 60_000,
  steadyMs: 1000,
  backoffMinMs: 1000,
  backoffMaxMs: 30_000,
}

/** The peers that Kubernetes knows of. Throws a TypeError at bad options. */
export function kubernetes(options: KubernetesOptions): Discovery {
  const fault = faultOf(options)
  if (fault !== undefined) throw new TypeError(fault)
  const limits = { ...kubernetesLimits, ...options.limits }
  const asking: Asking = {
    options,
    limits,
    access: accessOf(options),
    setbacks: new Setbacks(limits),
    limiter: new LogLimiter(realTime.now),
  }
  return titled('kubernetes', async function* (context) {
    const wanted = await wantedOf(options)
    const bell = bellOf(context)
    const peers = followPeers(asking, wanted, context, bell.strike)
    let last: string | undefined
    try {
      while (!context.signal.aborted) {
        const asked = bell.asked()
        const answer = peers.answer()
        if (answer !== undefined && (answer.join() !== last || asked)) {
          last = answer.join()
          yield answer
        } else {
          peers.check()
          await bell.next(idleMs)
        }
      }
    } finally {
      await peers.end()
      bell.close()
    }
  })
}

/** Whatever happens strikes the bell; this only bounds the timer. */
const idleMs = 60_000

/** What the runs of one strategy share. */
interface Asking {
  readonly options: KubernetesOptions
  readonly limits: KubernetesLimits
  readonly access: ApiAccess
  readonly setbacks: Setbacks
  readonly limiter: LogLimiter
}

interface Peers {
  /** Undefined until the first list is there. */
  answer(): readonly string[] | undefined
  /** Throws where nothing is followed any more. */
  check(): void
  end(): Promise<void>
}

/** Follows on its own, so that whoever takes the answers may take his time; `changed` is called after each change. */
function followPeers(asking: Asking, wanted: Wanted, context: DiscoveryContext, changed: () => void): Peers {
  const { options, limits, setbacks } = asking
  const [warn, info] = [sayer(asking, context, 'warn'), sayer(asking, context, 'info')]
  const digest = options.mode === 'pods' ? ofPod : ofSlice
  const kept = new Map<string, readonly string[]>()
  let answer: readonly string[] | undefined
  let failure: { readonly error: unknown } | undefined
  const collection = {
    kept,
    digest(object: KubernetesObject) {
      const { addresses, faults } = digest(object, wanted)
      for (const fault of faults) warn(`somebody is passed over: ${fault}`)
      return addresses
    },
    changed() {
      answer = [...new Set([...kept.values()].flat())].sort()
      if (answer.length === 0)
        warn(`Kubernetes names nobody in namespace '${wanted.namespace}' for ${selectorOf(options)}`)
      changed()
    },
  }
  const end = new AbortController()
  const stop = (): void => end.abort()
  context.signal.addEventListener('abort', stop)
  if (context.signal.aborted) stop()
  const source = sourceOf(asking, wanted.namespace, end.signal)
  const following = follow(source, collection, limits, setbacks, info, end.signal).catch((error: unknown) => {
    failure = { error }
    changed()
  })
  return {
    answer: () => answer,
    check() {
      if (failure) throw failure.error
    },
    async end() {
      context.signal.removeEventListener('abort', stop)
      stop()
      await following
    },
  }
}

/** Says the same kind of line once a minute. */
function sayer({ limiter }: Asking, { logger }: DiscoveryContext, level: 'warn' | 'info'): (text: string) => void {
  return (text) => {
    const count = limiter.count(text.split(':', 1)[0] ?? text)
    if (count > 0) logger[level]({ count }, text)
  }
}

async function wantedOf(options: KubernetesOptions): Promise<Wanted> {
  const { namedBy = 'ip', service, family, port, serviceAccountPath: path = serviceAccountPath } = options
  const namespace = options.namespace ?? (await namespaceOf(path))
  const domain = namedBy === 'ip' ? '' : (options.clusterDomain ?? (await searchedDomain(options.resolvConf)))
  return { namedBy, namespace, service, domain: domain.replace(/\.$/, ''), family, port }
}

async function searchedDomain(file = '/etc/resolv.conf'): Promise<string> {
  const domain = domainOf(await readFile(file, 'utf8'))
  if (domain === undefined) throw new Error(`${file} searches no svc.<domain>: say \`clusterDomain\``)
  return domain
}

function accessOf(options: KubernetesOptions): ApiAccess {
  const { serviceAccountPath: path = serviceAccountPath } = options
  return {
    apiServer: options.apiServer === undefined ? undefined : new URL(options.apiServer),
    ca: options.ca,
    token: options.token,
    tokenFile: options.tokenFile ?? join(path, 'token'),
    caFile: join(path, 'ca.crt'),
  }
}

function selectorOf({ mode, service, labelSelector = '' }: KubernetesOptions): string {
  return mode === 'pods' ? labelSelector : `kubernetes.io/service-name=${service}`
}

function sourceOf({ options, access, limits }: Asking, namespace: string, signal: AbortSignal): Source {
  const pods = options.mode === 'pods'
  const [group, resource] = pods ? ['', 'pods'] : ['discovery.k8s.io', 'endpointslices']
  const path = `${pods ? '/api/v1' : '/apis/discovery.k8s.io/v1'}/namespaces/${namespace}/${resource}`
  const asked = (verb: string, query: Query, maxBytes: number): ApiRequest => ({
    path,
    query: { labelSelector: selectorOf(options), ...query },
    what: `${verb} ${resource} in namespace '${namespace}'`,
    forbidden:
      `the service account has no Role there with a rule of apiGroups: ['${group}'], resources: ['${resource}'], ` +
      `verbs: ['list', 'watch'], or no RoleBinding to it`,
    signal,
    timeoutMs: limits.requestMs,
    maxBytes,
  })
  return {
    list: (query) => getJson(access, asked('list', query, limits.maxListBytes)),
    watch(query, reader) {
      const seconds = Math.ceil(limits.watchSeconds * (0.8 + 0.4 * Math.random()))
      const all = { watch: '1', allowWatchBookmarks: 'true', timeoutSeconds: String(seconds), ...query }
      return getLines(access, asked('watch', all, limits.maxEventBytes), seconds * 1000 + limits.watchMarginMs, reader)
    },
  }
}

const known = new Set([
  ...['mode', 'service', 'labelSelector', 'port', 'namespace', 'family', 'namedBy', 'clusterDomain', 'resolvConf'],
  ...['apiServer', 'ca', 'token', 'tokenFile', 'serviceAccountPath', 'limits'],
])
const texts = [
  'labelSelector',
  'clusterDomain',
  'resolvConf',
  'ca',
  'token',
  'tokenFile',
  'serviceAccountPath',
] as const

/** What is wrong with the options, in a sentence. */
function faultOf(options: KubernetesOptions): string | undefined {
  if (typeof options !== 'object' || options === null) return "kubernetes takes options such as { service: 'peers' }"
  const strange = Object.keys(options).find((key) => !known.has(key))
  if (strange !== undefined) return `kubernetes has no option '${strange}'`
  for (const key of texts) {
    const value: unknown = options[key]
    if (value !== undefined && (typeof value !== 'string' || value.trim() === '')) return `${key} must be a text`
  }
  if (options.token !== undefined && options.tokenFile !== undefined) return 'token and tokenFile exclude each other'
  return modeFault(options) ?? namingFault(options) ?? serverFault(options.apiServer) ?? limitsFault(options.limits)
}

function modeFault({
  mode = 'endpoints',
  service,
  labelSelector,
  port,
  namespace,
}: KubernetesOptions): string | undefined {
  if (mode !== 'endpoints' && mode !== 'pods') return "mode must be 'endpoints' or 'pods'"
  if (service !== undefined && !isLabelName(service)) return 'service must be the name of a Service'
  if (namespace !== undefined && !isLabelName(namespace)) return 'namespace must be the name of a namespace'
  if (mode === 'pods') {
    if (labelSelector === undefined) return 'labelSelector is missing: which pods?'
    return port === undefined ? 'port is missing: a number, or the name of a port of a container' : undefined
  }
  if (service === undefined) return "service is missing: whose endpoints (or mode: 'pods')?"
  return labelSelector === undefined ? undefined : "labelSelector is for mode: 'pods'"
}

function namingFault({ port, family, namedBy, clusterDomain }: KubernetesOptions): string | undefined {
  if (!(port === undefined || isPortNumber(port) || isLabelName(port))) {
    return 'port must be a number from 1 to 65535, or the name of a port'
  }
  if (!(family === undefined || family === 'IPv4' || family === 'IPv6')) return "family must be 'IPv4' or 'IPv6'"
  if (!(namedBy === undefined || ['ip', 'hostname', 'dns'].includes(namedBy))) {
    return "namedBy must be 'ip', 'hostname' or 'dns'"
  }
  const domain = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?\.?$/i
  if (clusterDomain === undefined || domain.test(clusterDomain)) return undefined
  return 'clusterDomain must be a domain such as cluster.local'
}

function isPortNumber(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 65536
}

function serverFault(text: unknown): string | undefined {
  if (text === undefined) return undefined
  const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'https:') return 'apiServer must be https://…: the token never goes over the wire in the clear'
  return url.username || url.search || url.hash ? 'apiServer must be no more than https://host:port/path' : undefined
}

function limitsFault(limits: unknown): string | undefined {
  if (limits === undefined) return undefined
  if (typeof limits !== 'object' || limits === null) return 'limits must be an object'
  for (const [key, value] of Object.entries(limits)) {
    if (!(key in kubernetesLimits)) return `limits has no '${key}'`
    if (!(typeof value === 'number' && value > 0 && value < 2 ** 31)) return `limits.${key} must be a number above 0`
  }
  return undefined
}
