/** The test server, seen by the official client of Kubernetes: what our strategy is tested against is no invention. */
import {
  CoreV1Api,
  DiscoveryV1Api,
  type Informer,
  KubeConfig,
  makeInformer,
  type ObjectCache,
  type V1Pod,
  Watch,
} from '@kubernetes/client-node'
import type { KubeServer } from '@skep/kube-server'
import { expect, it } from 'vitest'
import { Churn } from './kube-churn.js'
import { run, startServer } from './kubernetes-run.js'

const path = '/api/v1/namespaces/default/pods'
const labelSelector = 'app=shop'

function configOf(server: KubeServer, token = 'a-token'): KubeConfig {
  const config = new KubeConfig()
  const caData = Buffer.from(server.ca).toString('base64')
  config.loadFromClusterAndUser({ name: 'c', server: server.url, caData, skipTLSVerify: false }, { name: 'u', token })
  return config
}

it('gives the official client the pods and slices that it has, in pages too', async () => {
  const server = await startServer()
  server.addService({ name: 'peers', selector: { app: 'shop' }, families: ['IPv4', 'IPv6'] })
  for (let i = 0; i < 230; i++) server.addPod({ name: `shop-${i}`, ips: [`10.0.0.${i}`, `fd00::${i}`] })
  server.terminatePod('shop-7')
  const pods: V1Pod[] = []
  let next: string | undefined
  do {
    const page = await configOf(server)
      .makeApiClient(CoreV1Api)
      .listNamespacedPod({ namespace: 'default', labelSelector, limit: 100, ...(next ? { _continue: next } : {}) })
    pods.push(...page.items)
    next = page.metadata?._continue
  } while (next)
  expect(pods).toHaveLength(230)
  expect(pods.filter(({ metadata }) => metadata?.deletionTimestamp).map(({ metadata }) => metadata?.name)).toEqual([
    'shop-7',
  ])
  expect(pods[0]?.status?.podIPs).toEqual([{ ip: '10.0.0.0' }, { ip: 'fd00::0' }])
  const slices = await configOf(server)
    .makeApiClient(DiscoveryV1Api)
    .listNamespacedEndpointSlice({ namespace: 'default', labelSelector: 'kubernetes.io/service-name=peers' })
  expect(slices.items.map(({ addressType, endpoints }) => [addressType, endpoints.length]).sort()).toEqual([
    ['IPv4', 100],
    ['IPv4', 100],
    ['IPv4', 30],
    ['IPv6', 100],
    ['IPv6', 100],
    ['IPv6', 30],
  ])
  const dying = slices.items.flatMap(({ endpoints }) => endpoints).filter(({ conditions }) => conditions?.terminating)
  expect(dying.map(({ targetRef, conditions }) => [targetRef?.name, conditions?.ready])).toEqual([
    ['shop-7', true],
    ['shop-7', true],
  ])
})

it('gives the official client events in order, and one that says that a version is gone', async () => {
  const server = await startServer()
  server.addPod({ name: 'a', ips: ['10.0.0.1'] })
  const from = server.objects('pods')[0]?.metadata.resourceVersion
  const events: string[] = []
  const watch = new Watch(configOf(server))
  const query = { labelSelector, resourceVersion: from, allowWatchBookmarks: true }
  const over = new Promise<void>((resolve) => {
    const take = (type: string, object: { metadata?: { name?: string }; code?: number }): void =>
      void events.push(`${type} ${object.metadata?.name ?? object.code ?? ''}`.trim())
    void watch.watch(path, query, take, () => resolve())
  })
  await server.until(() => server.watching === 1)
  server.addPod({ name: 'b', ips: ['10.0.0.2'] })
  server.setReady('b', false)
  server.setLabels('a', { app: 'web' })
  server.removePod('b')
  server.setLabels('a', { app: 'shop' })
  server.bookmark()
  server.endWatches('gone')
  await over
  expect(events).toEqual(['ADDED b', 'MODIFIED b', 'DELETED a', 'DELETED b', 'ADDED a', 'BOOKMARK', 'ERROR 410'])
})

it('refuses the official client as the API does', async () => {
  const server = await startServer()
  const list = (token?: string): Promise<unknown> =>
    configOf(server, token).makeApiClient(CoreV1Api).listNamespacedPod({ namespace: 'default' })
  await expect(list('wrong')).rejects.toMatchObject({ code: 401 })
  server.forbidden.add('list pods')
  await expect(list()).rejects.toMatchObject({ code: 403 })
  server.forbidden.clear()
  server.failNext('list', { type: 'status', status: 429, headers: { 'retry-after': '1' } })
  await expect(list()).rejects.toMatchObject({ code: 429, headers: { 'retry-after': '1' } })
})

/** The official informer, started again when it gives up, as its documentation wants. */
class Informed {
  readonly informer: Informer<V1Pod> & ObjectCache<V1Pod>
  #stopped = false
  #look = (): void => {}

  constructor(server: KubeServer) {
    const config = configOf(server)
    const api = config.makeApiClient(CoreV1Api)
    const list = (): ReturnType<typeof api.listNamespacedPod> =>
      api.listNamespacedPod({ namespace: 'default', labelSelector })
    this.informer = makeInformer(config, path, list, labelSelector)
    this.informer.on('change', () => this.#look())
    this.informer.on('error', () => {
      if (!this.#stopped) void this.informer.start()
    })
    this.informer.on('connect', () => this.#look())
    void this.informer.start()
  }

  says(addresses: readonly string[]): Promise<void> {
    return new Promise((resolve) => {
      this.#look = () => {
        if (this.#addresses().join() === addresses.join()) resolve()
      }
      this.#look()
    })
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.informer.stop()
  }

  #addresses(): string[] {
    const running = this.informer
      .list()
      .filter(({ status, metadata }) => status?.phase === 'Running' && !metadata?.deletionTimestamp)
    return [...new Set(running.flatMap(({ status }) => (status?.podIP ? `${status.podIP}:4370` : [])))].sort()
  }
}

it('shows the official informer and our strategy the same pods through the same changes', async () => {
  const server = await startServer()
  const churn = new Churn(server, 7)
  const ours = run(server, { mode: 'pods', labelSelector, port: 4370 })
  const theirs = new Informed(server)
  for (let round = 0; round < 40; round++) {
    for (let i = churn.below(10); i >= 0; i--) churn.step()
    // What both survive by themselves.
    if (round % 8 === 3) server.endWatches('end')
    if (round % 8 === 7) server.endWatches('gone')
    await Promise.all([ours.says(...churn.pods()), theirs.says(churn.pods())])
  }
  await theirs.stop()
  expect(ours.failure).toBeUndefined()
})
