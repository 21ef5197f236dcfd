/**
 * As much of the Kubernetes API as a client that lists and watches pods and EndpointSlices sees, with its awkward parts:
 * over TLS with an authority of its own, by bearer token, with selectors, pages that go stale, lists from a memory that
 * ignores the limit and may lag behind, watches that end, versions that are gone, `null` for empty lists, and every
 * kind of refusal. A test says what pods there are (`addPod`, `setPhase`, `terminatePod`, `removePod`) and what goes
 * wrong (`failNext`, `disturb`, `endWatches`, `compact`, `freezeCache`); the slices of the Services follow from the pods
 * as the controller of Kubernetes keeps them: up to 100 endpoints each, one family each.
 *
 * It needs nothing but Node and `selfsigned`.
 */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { generate } from 'selfsigned'

export interface PodSpec {
  readonly name: string
  readonly namespace?: string
  readonly labels?: Readonly<Record<string, string>>
  /** None: not there yet. Two: of both families. */
  readonly ips?: readonly string[]
  readonly phase?: Phase
  readonly ready?: boolean
  /** The container waits: for its image, or after a crash. */
  readonly waiting?: boolean
  readonly hostname?: string
  readonly subdomain?: string
  readonly ports?: readonly { readonly name?: string; readonly port: number }[]
}

export interface ServiceSpec {
  readonly name: string
  readonly namespace?: string
  readonly selector: Readonly<Record<string, string>>
  readonly ports?: readonly { readonly name?: string; readonly port: number }[]
  readonly families?: readonly Family[]
  readonly publishNotReadyAddresses?: boolean
}

export type Phase = 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown'
type Family = 'IPv4' | 'IPv6'
export type Verb = 'list' | 'watch'
export type Resource = 'pods' | 'endpointslices'

/** What becomes of a request instead of an answer. */
export type Fault =
  /** Nothing is said any more; after the beginning of the answer, or before. */
  | { readonly type: 'hang'; readonly begun?: boolean }
  | { readonly type: 'reset' }
  /** The answer breaks off within a line. */
  | { readonly type: 'truncate' }
  /** Something else; `open`: and no end. */
  | { readonly type: 'body'; readonly body: string; readonly open?: boolean }
  | {
      readonly type: 'status'
      readonly status: number
      readonly headers?: Readonly<Record<string, string>>
      readonly body?: string
      readonly open?: boolean
    }
  /** A watch that begins with an ERROR. */
  | { readonly type: 'error'; readonly code: number; readonly reason: string }

export interface Seen {
  readonly verb: Verb
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  readonly authorization: string | undefined
}

interface Meta {
  readonly name: string
  readonly namespace: string
  readonly uid: string
  readonly labels: Readonly<Record<string, string>>
  readonly creationTimestamp: string
  readonly deletionTimestamp?: string
  resourceVersion?: string
}
interface Stored {
  readonly metadata: Meta
  readonly [key: string]: unknown
}
interface Change {
  readonly version: number
  readonly resource: Resource
  readonly before: Stored | undefined
  readonly after: Stored | undefined
}
interface Watcher {
  readonly resource: Resource
  readonly namespace: string | undefined
  readonly fits: (object: Stored) => boolean
  readonly response: ServerResponse
  readonly bookmarks: boolean
  silent: boolean
}

interface Pod extends Required<Omit<PodSpec, 'hostname' | 'subdomain'>> {
  readonly hostname: string | undefined
  readonly subdomain: string | undefined
  readonly uid: string
  readonly deletionTimestamp?: string
}

const kinds = {
  pods: { kind: 'Pod', apiVersion: 'v1' },
  endpointslices: { kind: 'EndpointSlice', apiVersion: 'discovery.k8s.io/v1' },
}
const maxEndpoints = 100
const maxSeen = 10_000
/** Changes that a watch can be resumed over. */
const maxHistory = 10_000

export interface KubeServerOptions {
  readonly host?: string
  readonly port?: number
  /** Names and addresses in the certificate, besides localhost and 127.0.0.1. */
  readonly names?: readonly string[]
  /** Lists of version 0 come from memory and ignore the limit, as most servers do. Default true. */
  readonly cache?: boolean
  /** Watches of a version that is gone get the status 410, instead of an event that says so. */
  readonly goneByStatus?: boolean
  readonly maxVersion?: 'TLSv1.2' | 'TLSv1.3'
}

/** Of a cluster: its authority and what it signed. */
interface Certificates {
  readonly ca: string
  readonly key: string
  readonly cert: string
}

async function certificates(names: readonly string[]): Promise<Certificates> {
  const ec = { keyType: 'ec', curve: 'P-256', algorithm: 'sha256' } as const
  const ca = await generate([{ name: 'commonName', value: 'kubernetes' }], {
    ...ec,
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, digitalSignature: true, critical: true },
    ],
  })
  const altNames = names.map((name) => {
    return /^[\d.]+$|:/.test(name) ? ({ type: 7, ip: name } as const) : ({ type: 2, value: name } as const)
  })
  const leaf = await generate([{ name: 'commonName', value: 'kube-apiserver' }], {
    ...ec,
    ca: { key: ca.private, cert: ca.cert },
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'extKeyUsage', serverAuth: true },
      { name: 'subjectAltName', altNames },
    ],
  })
  return { ca: ca.cert, key: leaf.private, cert: leaf.cert }
}

export class KubeServer {
  readonly ca: string
  /** Tokens that are accepted. */
  readonly tokens: Set<string> = new Set(['a-token'])
  /** `list pods`: what nobody may. */
  readonly forbidden: Set<string> = new Set()
  /** All requests so far. */
  requests = 0
  /** The latest of them. */
  readonly seen: Seen[] = []
  /** Asked at every request: what goes wrong with it. */
  disturb: (request: Seen) => Fault | undefined = () => undefined
  readonly #options: KubeServerOptions
  readonly #server: Server
  readonly #sockets: Set<Duplex> = new Set()
  readonly #pods: Map<string, Pod> = new Map()
  readonly #services: Map<string, Required<ServiceSpec>> = new Map()
  readonly #stored: Record<Resource, Map<string, Stored>> = { pods: new Map(), endpointslices: new Map() }
  readonly #watchers: Set<Watcher> = new Set()
  readonly #pages: Map<string, { readonly version: number; readonly rest: readonly Stored[] }> = new Map()
  readonly #faults: { readonly verb: Verb; readonly fault: Fault }[] = []
  readonly #waiting: Set<() => void> = new Set()
  #history: Change[] = []
  #version = 100
  #oldest = 0
  #frozen: { readonly version: number; readonly stored: Record<Resource, Map<string, Stored>> } | undefined
  #slices = 0

  static async start(options: KubeServerOptions = {}): Promise<KubeServer> {
    const made = await certificates(['localhost', '127.0.0.1', ...(options.names ?? [])])
    const server = new KubeServer(options, made)
    await new Promise<void>((resolve, reject) => {
      server.#server.once('error', reject)
      server.#server.listen(options.port ?? 0, options.host ?? '127.0.0.1', () => resolve())
    })
    return server
  }

  private constructor(options: KubeServerOptions, { ca, key, cert }: Certificates) {
    this.#options = options
    this.ca = ca
    const { maxVersion = 'TLSv1.3' } = options
    this.#server = createServer({ key, cert, maxVersion }, (request, response) => this.#serve(request, response))
    // Clients that do not believe in this server are a part of the tests.
    this.#server.on('tlsClientError', () => {})
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => {
        this.#sockets.delete(socket)
        this.#look()
      })
    })
  }

  get url(): string {
    const { address, port } = this.#server.address() as AddressInfo
    return `https://${address.includes(':') ? `[${address}]` : address}:${port}`
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }

  /** Of the latest change. */
  get version(): string {
    return String(this.#version)
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#sockets.size
  }

  /** Watches that are open and not silent. */
  get watching(): number {
    return [...this.#watchers].filter(({ silent }) => !silent).length
  }

  /** Resolves as soon as `test` holds: it is looked at whenever a request comes or ends, and a connection. */
  until(test: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!test()) return
        this.#waiting.delete(look)
        resolve()
      }
      this.#waiting.add(look)
      look()
    })
  }

  count(verb: Verb): number {
    return this.seen.filter((one) => one.verb === verb).length
  }

  // Pods and Services.

  addService(spec: ServiceSpec): void {
    const full = {
      namespace: 'default',
      ports: [{ port: 4370 }],
      families: ['IPv4' as const],
      publishNotReadyAddresses: true,
      ...spec,
    }
    this.#services.set(`${full.namespace}/${full.name}`, full)
    this.#syncSlices()
  }

  /** Adds a pod, or replaces the one of that name by a new one. */
  addPod(spec: PodSpec): void {
    const { hostname, subdomain, ...rest } = spec
    const pod: Pod = {
      namespace: 'default',
      labels: { app: 'shop' },
      ips: [],
      phase: 'Running',
      ready: true,
      waiting: false,
      ports: [],
      ...rest,
      hostname,
      subdomain,
      uid: randomUUID(),
    }
    if (this.#pods.has(`${pod.namespace}/${pod.name}`)) this.removePod(pod.name, pod.namespace)
    this.#storePod(pod)
  }

  removePod(name: string, namespace = 'default'): void {
    this.#pods.delete(`${namespace}/${name}`)
    this.#store('pods', `${namespace}/${name}`, undefined)
    this.#syncSlices()
  }

  /** Its deletion begins: it is there, and its endpoints are, until it is removed. */
  terminatePod(name: string, namespace = 'default'): void {
    this.#changePod(name, namespace, { deletionTimestamp: new Date().toISOString() })
  }

  setPhase(name: string, phase: Phase, namespace = 'default'): void {
    this.#changePod(name, namespace, { phase })
  }

  setReady(name: string, ready: boolean, namespace = 'default'): void {
    this.#changePod(name, namespace, { ready })
  }

  setIps(name: string, ips: readonly string[], namespace = 'default'): void {
    this.#changePod(name, namespace, { ips })
  }

  setLabels(name: string, labels: Readonly<Record<string, string>>, namespace = 'default'): void {
    this.#changePod(name, namespace, { labels })
  }

  /** As the API has them now. */
  objects(resource: Resource, namespace = 'default'): readonly Stored[] {
    return [...this.#stored[resource].values()].filter(({ metadata }) => metadata.namespace === namespace)
  }

  // What goes wrong.

  /** The next request of this kind gets this instead of an answer. */
  failNext(verb: Verb, fault: Fault, times = 1): void {
    for (let i = 0; i < times; i++) this.#faults.push({ verb, fault })
  }

  /** Every version before this moment is gone, and so are the pages of lists that go on. */
  compact(): void {
    this.#version++
    this.#oldest = this.#version
    this.#history = []
    this.#pages.clear()
  }

  /** Lists of version 0 show what is now, until `thawCache`: a server that lags behind. */
  freezeCache(): void {
    const { pods, endpointslices } = this.#stored
    this.#frozen = {
      version: this.#version,
      stored: { pods: new Map(pods), endpointslices: new Map(endpointslices) },
    }
  }

  thawCache(): void {
    this.#frozen = undefined
  }

  /** Ends all open watches: in order, by a reset, within a line, or not at all while nothing comes any more. */
  endWatches(how: 'end' | 'reset' | 'truncate' | 'silence' | 'gone' | 'garbage' = 'end'): void {
    for (const watcher of this.#watchers) {
      const { response } = watcher
      if (how === 'silence') {
        watcher.silent = true
        continue
      }
      this.#watchers.delete(watcher)
      if (how === 'reset') response.destroy()
      else if (how === 'truncate') response.write('{"type":"ADDED","obj', () => response.destroy())
      else if (how === 'gone')
        response.end(`${JSON.stringify(errorEvent(410, 'Expired', 'too old resource version'))}\n`)
      else if (how === 'garbage') response.end('{"type":"ADDED","obj\n')
      else response.end()
    }
    this.#look()
  }

  /** Tells the watches that asked for it how far they are. */
  bookmark(): void {
    for (const watcher of this.#watchers) if (watcher.bookmarks) this.#tell(watcher, this.#bookmarkFor(watcher))
  }

  // The state.

  #changePod(name: string, namespace: string, change: Partial<Pod>): void {
    const pod = this.#pods.get(`${namespace}/${name}`)
    if (pod) this.#storePod({ ...pod, ...change })
  }

  #storePod(pod: Pod): void {
    const key = `${pod.namespace}/${pod.name}`
    this.#pods.set(key, pod)
    this.#store('pods', key, podObject(pod))
    this.#syncSlices()
  }

  #store(resource: Resource, key: string, after: Stored | undefined): void {
    const before = this.#stored[resource].get(key)
    if (before === undefined && after === undefined) return
    const version = ++this.#version
    if (after) {
      after.metadata.resourceVersion = String(version)
      this.#stored[resource].set(key, after)
    } else this.#stored[resource].delete(key)
    const change = { version, resource, before, after }
    this.#history.push(change)
    if (this.#history.length > maxHistory) this.#oldest = this.#history.shift()?.version ?? this.#oldest
    for (const watcher of this.#watchers) this.#tell(watcher, eventFor(watcher, change))
  }

  /** As the controller does: an endpoint stays in its slice, new ones fill up slices that have room. */
  #syncSlices(): void {
    for (const service of this.#services.values()) for (const family of service.families) this.#sync(service, family)
  }

  #sync(service: Required<ServiceSpec>, family: Family): void {
    const wanted = new Map<string, object>()
    for (const pod of this.#pods.values()) {
      const endpoint = endpointOf(pod, service, family)
      if (endpoint) wanted.set(pod.uid, endpoint)
    }
    const slices = this.objects('endpointslices', service.namespace).filter(
      ({ metadata, addressType }) =>
        metadata.labels['kubernetes.io/service-name'] === service.name && addressType === family,
    )
    const filled = slices.map((slice) => {
      const uids = ((slice.endpoints ?? []) as { targetRef: { uid: string } }[]).map(({ targetRef }) => targetRef.uid)
      const held = uids.filter((uid) => wanted.has(uid)).map((uid) => wanted.get(uid) as object)
      for (const uid of uids) wanted.delete(uid)
      return { slice: slice as Stored | undefined, held }
    })
    for (const endpoint of wanted.values()) {
      const room = filled.find(({ held }) => held.length < maxEndpoints)
      if (room) room.held.push(endpoint)
      else filled.push({ slice: undefined, held: [endpoint] })
    }
    // One stays when nobody is there, and says so.
    if (filled.length === 0) filled.push({ slice: undefined, held: [] })
    const used = filled.filter(({ held }) => held.length > 0)
    for (const one of filled) {
      const keep = one.held.length > 0 || (used.length === 0 && one === filled[0])
      this.#storeSlice(service, family, one.slice, keep ? one.held : undefined)
    }
  }

  #storeSlice(
    service: Required<ServiceSpec>,
    family: Family,
    old: Stored | undefined,
    held: object[] | undefined,
  ): void {
    const name = old?.metadata.name ?? `${service.name}-${(++this.#slices).toString(36).padStart(5, 'x')}`
    const key = `${service.namespace}/${name}`
    if (held === undefined) return this.#store('endpointslices', key, undefined)
    const ports = service.ports.map(({ name = '', port }) => ({ name, port, protocol: 'TCP' }))
    const slice: Stored = {
      metadata: {
        ...metaOf(name, service.namespace, { 'kubernetes.io/service-name': service.name }),
        ...(old ? { uid: old.metadata.uid, creationTimestamp: old.metadata.creationTimestamp } : {}),
      },
      addressType: family,
      endpoints: held.length > 0 ? held : null,
      ports: held.length > 0 && ports.length > 0 ? ports : null,
    }
    if (JSON.stringify(old?.endpoints) === JSON.stringify(slice.endpoints) && old) return
    this.#store('endpointslices', key, slice)
  }

  // The protocol.

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'https://x')
    const query = Object.fromEntries(url.searchParams)
    const verb = query.watch === 'true' || query.watch === '1' ? 'watch' : 'list'
    const seen = { verb, path: url.pathname, query, authorization: request.headers.authorization } as const
    this.requests++
    this.seen.push(seen)
    if (this.seen.length > maxSeen) this.seen.shift()
    response.on('close', () => this.#look())
    this.#answer(request.method ?? '', seen, response)
    this.#look()
  }

  #answer(method: string, seen: Seen, response: ServerResponse): void {
    const { verb, path, query, authorization } = seen
    const at = this.#faults.findIndex((one) => one.verb === verb)
    const fault = this.#faults.splice(at, at < 0 ? 0 : 1)[0]?.fault ?? this.disturb(seen)
    if (fault) return this.#fail(fault, response)
    if (!authorization?.startsWith('Bearer ') || !this.tokens.has(authorization.slice(7))) {
      return refuse(response, 401, 'Unauthorized', 'Unauthorized')
    }
    const match = /^\/(?:api\/v1|apis\/discovery\.k8s\.io\/v1)(?:\/namespaces\/([^/]+))?\/(pods|endpointslices)$/.exec(
      path,
    )
    if (!match || path.startsWith('/api/') !== (match[2] === 'pods')) {
      return refuse(response, 404, 'NotFound', 'the server could not find the requested resource')
    }
    if (method !== 'GET') return refuse(response, 405, 'MethodNotAllowed', 'only GET here')
    const [, namespace, resource] = match as unknown as [string, string | undefined, Resource]
    if (this.forbidden.has(`${verb} ${resource}`)) {
      const user = 'User "system:serviceaccount:default:default"'
      const text = `${resource} is forbidden: ${user} cannot ${verb} resource "${resource}" in the namespace "${namespace}"`
      return refuse(response, 403, 'Forbidden', text)
    }
    const fits = selectorOf(query.labelSelector ?? '')
    if (!fits) return refuse(response, 400, 'BadRequest', `unable to parse requirement: ${query.labelSelector}`)
    if (verb === 'watch') this.#watch(resource, namespace, fits, query, response)
    else this.#list(resource, namespace, fits, query, response)
  }

  #list(
    resource: Resource,
    namespace: string | undefined,
    fits: Fits,
    query: Seen['query'],
    response: ServerResponse,
  ): void {
    if (query.continue !== undefined) return this.#nextPage(resource, query, response)
    const fromCache = query.resourceVersion === '0' && this.#options.cache !== false
    const { version, stored } =
      fromCache && this.#frozen ? this.#frozen : { version: this.#version, stored: this.#stored }
    const all = [...stored[resource].entries()]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, object]) => object)
      .filter((object) => (namespace === undefined || object.metadata.namespace === namespace) && fits(object))
    this.#page(resource, version, all, fromCache ? 0 : Number(query.limit ?? 0), response)
  }

  #nextPage(resource: Resource, query: Seen['query'], response: ServerResponse): void {
    if (query.resourceVersion) {
      return refuse(response, 400, 'BadRequest', 'specifying resource version is not allowed when using continue')
    }
    const page = this.#pages.get(query.continue ?? '')
    if (!page) {
      return refuse(response, 410, 'Expired', 'The provided continue parameter is too old to display a consistent list')
    }
    this.#page(resource, page.version, page.rest, Number(query.limit ?? 0), response)
  }

  #page(resource: Resource, version: number, all: readonly Stored[], limit: number, response: ServerResponse): void {
    const items = limit > 0 ? all.slice(0, limit) : all
    const rest = all.slice(items.length)
    const token = randomUUID()
    if (rest.length > 0) this.#pages.set(token, { version, rest })
    const { kind, apiVersion } = kinds[resource]
    const more = rest.length > 0 ? { continue: token, remainingItemCount: rest.length } : {}
    const metadata = { resourceVersion: String(version), ...more }
    send(response, 200, { kind: `${kind}List`, apiVersion, metadata, items: items.length > 0 ? items : null })
  }

  #watch(
    resource: Resource,
    namespace: string | undefined,
    fits: Fits,
    query: Seen['query'],
    response: ServerResponse,
  ): void {
    const from = Number(query.resourceVersion ?? 0)
    if (from > this.#version) {
      return refuse(response, 504, 'Timeout', `Too large resource version: ${from}, current: ${this.#version}`)
    }
    const gone = from > 0 && from < this.#oldest
    if (gone && this.#options.goneByStatus) return refuse(response, 410, 'Expired', `too old resource version: ${from}`)
    begin(response)
    if (gone) {
      response.end(
        `${JSON.stringify(errorEvent(410, 'Expired', `too old resource version: ${from} (${this.#oldest})`))}\n`,
      )
      return
    }
    const bookmarks = query.allowWatchBookmarks === 'true' || query.allowWatchBookmarks === '1'
    const watcher: Watcher = { resource, namespace, fits, response, bookmarks, silent: false }
    if (from === 0) {
      for (const after of this.#stored[resource].values()) {
        this.#tell(watcher, eventFor(watcher, { version: 0, resource, before: undefined, after }))
      }
    } else {
      for (const change of this.#history) if (change.version > from) this.#tell(watcher, eventFor(watcher, change))
    }
    this.#watchers.add(watcher)
    const over = AbortSignal.timeout(Number(query.timeoutSeconds ?? 1800) * 1000)
    const end = (): void => {
      if (watcher.silent) return
      // The last word of a server that keeps its promise.
      if (bookmarks) this.#tell(watcher, this.#bookmarkFor(watcher))
      response.end()
    }
    over.addEventListener('abort', end)
    response.on('close', () => {
      over.removeEventListener('abort', end)
      this.#watchers.delete(watcher)
    })
  }

  #tell(watcher: Watcher, event: object | undefined): void {
    if (event && !watcher.silent) watcher.response.write(`${JSON.stringify(event)}\n`)
  }

  #bookmarkFor({ resource }: Watcher): object {
    const metadata = { resourceVersion: String(this.#version), creationTimestamp: null }
    return { type: 'BOOKMARK', object: { ...kinds[resource], metadata } }
  }

  #fail(fault: Fault, response: ServerResponse): void {
    switch (fault.type) {
      case 'hang':
        if (fault.begun) begin(response)
        return
      case 'reset':
        response.destroy()
        return
      case 'truncate':
        begin(response)
        response.write('{"kind":"PodList","metadata":{"resourceVers', () => response.destroy())
        return
      case 'body':
        begin(response)
        response.write(fault.body)
        if (!fault.open) response.end()
        return
      case 'status':
        if (fault.body === undefined && !fault.headers?.location) {
          return refuse(response, fault.status, 'Failure', 'as the test wanted', fault.headers)
        }
        response.writeHead(fault.status, fault.headers)
        response.write(fault.body ?? '')
        if (!fault.open) response.end()
        return
      case 'error':
        begin(response)
        response.end(`${JSON.stringify(errorEvent(fault.code, fault.reason, 'as the test wanted'))}\n`)
    }
  }

  #look(): void {
    for (const look of this.#waiting) look()
  }
}

type Fits = (object: Stored) => boolean

/** What a watch is told of a change: an object that begins or ceases to fit comes or goes for it. */
function eventFor({ resource, namespace, fits }: Watcher, change: Change): object | undefined {
  if (change.resource !== resource) return undefined
  const seen = (object: Stored | undefined): boolean =>
    object !== undefined && (namespace === undefined || object.metadata.namespace === namespace) && fits(object)
  const [was, is] = [seen(change.before), seen(change.after)]
  if (!was && !is) return undefined
  const object = is ? change.after : change.before
  const metadata = { ...object?.metadata, ...(is ? {} : { resourceVersion: String(change.version) }) }
  return { type: is ? (was ? 'MODIFIED' : 'ADDED') : 'DELETED', object: { ...kinds[resource], ...object, metadata } }
}

function metaOf(name: string, namespace: string, labels: Readonly<Record<string, string>>): Meta {
  return { name, namespace, uid: randomUUID(), labels, creationTimestamp: '2026-01-01T00:00:00Z' }
}

function podObject(pod: Pod): Stored {
  const { name, namespace, labels, uid, deletionTimestamp, ips, phase, ready, waiting, ports } = pod
  const state = waiting
    ? { waiting: { reason: 'CrashLoopBackOff' } }
    : { running: { startedAt: '2026-01-01T00:00:00Z' } }
  return {
    metadata: { ...metaOf(name, namespace, labels), uid, ...(deletionTimestamp ? { deletionTimestamp } : {}) },
    spec: {
      nodeName: 'host-1',
      ...(pod.hostname ? { hostname: pod.hostname } : {}),
      ...(pod.subdomain ? { subdomain: pod.subdomain } : {}),
      containers: [
        {
          name: 'main',
          image: 'shop:1',
          ports: ports.map(({ name, port }) => ({ ...(name ? { name } : {}), containerPort: port, protocol: 'TCP' })),
        },
      ],
    },
    status: {
      phase,
      hostIP: '192.0.2.1',
      ...(ips[0] ? { podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) } : {}),
      conditions: [{ type: 'Ready', status: ready && phase === 'Running' ? 'True' : 'False' }],
      containerStatuses: [{ name: 'main', ready, restartCount: 0, image: 'shop:1', imageID: 'shop', state }],
    },
  }
}

/** Undefined where the controller leaves the pod out: not selected, no address, or ended. */
function endpointOf(pod: Pod, service: Required<ServiceSpec>, family: Family): object | undefined {
  const { namespace, labels, ips, phase, ready, deletionTimestamp, name, uid } = pod
  const selected = Object.entries(service.selector).every(([key, value]) => labels[key] === value)
  const ip = ips.find((one) => one.includes(':') === (family === 'IPv6'))
  if (namespace !== service.namespace || !selected || ip === undefined) return undefined
  if (phase === 'Succeeded' || phase === 'Failed') return undefined
  const serving = ready && phase === 'Running'
  const terminating = deletionTimestamp !== undefined
  return {
    addresses: [ip],
    conditions: { ready: service.publishNotReadyAddresses || (serving && !terminating), serving, terminating },
    ...(pod.hostname && pod.subdomain === service.name ? { hostname: pod.hostname } : {}),
    nodeName: 'host-1',
    zone: 'zone-1',
    targetRef: { kind: 'Pod', namespace, name, uid },
  }
}

/** The selectors of labels; undefined for what is none. */
function selectorOf(text: string): Fits | undefined {
  const tests: Fits[] = []
  for (const part of text === '' ? [] : text.split(/,(?![^(]*\))/)) {
    const set = /^\s*([\w./-]+)\s+(in|notin)\s+\(([^)]*)\)\s*$/.exec(part)
    const equal = /^\s*([\w./-]+)\s*(=|==|!=)\s*([\w.-]*)\s*$/.exec(part)
    const exists = /^\s*(!?)\s*([\w./-]+)\s*$/.exec(part)
    if (set) {
      const [, key = '', how, list = ''] = set
      const values = list.split(',').map((one) => one.trim())
      tests.push(({ metadata }) => values.includes(metadata.labels[key] ?? '\0') === (how === 'in'))
    } else if (equal) {
      const [, key = '', how, value] = equal
      tests.push(({ metadata }) => (metadata.labels[key] === value) === (how !== '!='))
    } else if (exists) {
      const [, not, key = ''] = exists
      tests.push(({ metadata }) => key in metadata.labels === (not === ''))
    } else return undefined
  }
  return (object) => tests.every((test) => test(object))
}

function begin(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' })
  response.flushHeaders()
}

function send(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  const text = JSON.stringify(body)
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(text)
}

function statusOf(code: number, reason: string, message: string): object {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code }
}

function refuse(
  response: ServerResponse,
  code: number,
  reason: string,
  message: string,
  headers?: Readonly<Record<string, string>>,
): void {
  send(response, code, statusOf(code, reason, message), headers)
}

function errorEvent(code: number, reason: string, message: string): object {
  return { type: 'ERROR', object: statusOf(code, reason, message) }
}
