import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { retryAfter } from '../src/discovery/kubernetes-api.js'
import { runDiscovery } from '../src/discovery/runner.js'
import { type KubernetesOptions, kubernetes, kubernetesLimits } from '../src/index.js'
import { LogLimiter } from '../src/log.js'
import { realTime } from '../src/time.js'
import { again, ipOf, optionsFor, run, startServer } from './kubernetes-run.js'
import { Recorder } from './nodes.js'

const service = { name: 'peers', selector: { app: 'shop' } }
const byLabel: KubernetesOptions = { mode: 'pods', labelSelector: 'app=shop', port: 4370 }

afterEach(() => void vi.unstubAllEnvs())

describe('the endpoints of a Service', () => {
  it('are named over all of their slices, and then what comes and goes', async () => {
    const server = await startServer()
    server.addService(service)
    for (let i = 0; i < 250; i++) server.addPod({ name: `shop-${i}`, ips: [ipOf(i)] })
    server.addPod({ name: 'other', labels: { app: 'web' }, ips: ['10.9.9.9'] })
    server.addPod({ name: 'elsewhere', namespace: 'prod', ips: ['10.9.9.8'] })
    expect(server.objects('endpointslices')).toHaveLength(3)
    const all = Array.from({ length: 250 }, (_, i) => `${ipOf(i)}:4370`)
    const running = run(server, { service: 'peers' })
    await running.says(...all)
    await server.until(() => server.watching === 1)
    server.addPod({ name: 'new', ips: ['10.1.0.1'] })
    await running.says(...all, '10.1.0.1:4370')
    server.removePod('shop-0')
    server.removePod('new')
    await running.says(...all.slice(1))
    expect(server.count('list')).toBe(1)
    expect(server.seen.map(({ path, query }) => [path, query.labelSelector, query.resourceVersion === '0'])).toEqual([
      ['/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', 'kubernetes.io/service-name=peers', true],
      ['/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', 'kubernetes.io/service-name=peers', false],
    ])
    expect(server.seen[1]?.query).toMatchObject({ watch: '1', allowWatchBookmarks: 'true' })
  })

  it('are named whether they are ready or not, also while they terminate, but not once they have ended', async () => {
    const server = await startServer()
    server.addService({ ...service, publishNotReadyAddresses: false })
    for (let i = 1; i < 5; i++) server.addPod({ name: `shop-${i}`, ips: [`10.0.0.${i}`] })
    server.setReady('shop-1', false)
    server.terminatePod('shop-2')
    server.setPhase('shop-3', 'Failed')
    server.addPod({ name: 'shop-5', phase: 'Pending' })
    const running = run(server, { service: 'peers' })
    await running.says('10.0.0.1:4370', '10.0.0.2:4370', '10.0.0.4:4370')
  })

  it('with an address used again are named once', async () => {
    const server = await startServer()
    server.addService(service)
    server.addPod({ name: 'old', ips: ['10.0.0.1'] })
    server.terminatePod('old')
    server.addPod({ name: 'new', ips: ['10.0.0.1'] })
    const running = run(server, { service: 'peers' })
    await running.says('10.0.0.1:4370')
    await server.until(() => server.watching === 1)
    server.removePod('old')
    server.addPod({ name: 'third', ips: ['10.0.0.2'] })
    await running.says('10.0.0.1:4370', '10.0.0.2:4370')
  })

  it('are an empty answer where nobody is there, whatever is null, and where everybody goes', async () => {
    const server = await startServer()
    const nobody = run(server, { service: 'peers' })
    await nobody.says()
    server.addService(service)
    const running = run(server, { service: 'peers' })
    await running.says()
    expect(running.log.count(/names nobody in namespace 'default' for kubernetes\.io\/service-name=peers/)).toBe(1)
    await server.until(() => server.watching === 2)
    server.addPod({ name: 'a', ips: ['10.0.0.1'] })
    await running.says('10.0.0.1:4370')
    server.removePod('a')
    await running.until(() => running.answers.length === 3)
    expect(running.latest).toEqual([])
  })

  it('are of both families, or of the one that is wanted', async () => {
    const server = await startServer()
    server.addService({ ...service, families: ['IPv4', 'IPv6'] })
    server.addPod({ name: 'a', ips: ['10.0.0.1', 'fd00::1'] })
    await run(server, { service: 'peers' }).says('10.0.0.1:4370', '[fd00::1]:4370')
    await run(server, { service: 'peers', family: 'IPv6' }).says('[fd00::1]:4370')
    await run(server, { service: 'peers', family: 'IPv4' }).says('10.0.0.1:4370')
  })

  it('listen at the port that has the name, and are passed over with a line where none has', async () => {
    const server = await startServer()
    const ports = [
      { name: 'http', port: 80 },
      { name: 'skep', port: 4371 },
    ]
    server.addService({ ...service, ports })
    server.addPod({ name: 'a', ips: ['10.0.0.1'] })
    await run(server, { service: 'peers', port: 'skep' }).says('10.0.0.1:4371')
    await run(server, { service: 'peers', port: 5000 }).says('10.0.0.1:5000')
    const unsure = run(server, { service: 'peers' })
    await unsure.says()
    expect(unsure.log.count(/passed over: there are the TCP ports 'http', 'skep': `port` must be/)).toBe(1)
  })

  it('have names where these are wanted, in the domain that the resolver searches', async () => {
    const server = await startServer()
    server.addService({ ...service, families: ['IPv4', 'IPv6'] })
    server.addPod({ name: 'a-0', hostname: 'a-0', subdomain: 'peers', ips: ['10.0.0.1', 'fd00::1'] })
    const directory = mkdtempSync(join(tmpdir(), 'skep-test-'))
    const resolvConf = join(directory, 'resolv.conf')
    writeFileSync(resolvConf, 'nameserver 10.96.0.10\nsearch default.svc.example.org svc.example.org example.org\n')
    await run(server, { service: 'peers', namedBy: 'hostname', resolvConf }).says(
      'a-0.peers.default.svc.example.org:4370',
    )
    await run(server, { service: 'peers', namedBy: 'dns', clusterDomain: 'k8s.test.' }).says(
      '10-0-0-1.default.pod.k8s.test:4370',
      'fd00--1.default.pod.k8s.test:4370',
    )
    writeFileSync(resolvConf, 'search example.org\n')
    const failure = await run(server, { service: 'peers', namedBy: 'dns', resolvConf }).failed()
    expect(failure.message).toMatch(/searches no svc\.<domain>: say `clusterDomain`/)
    rmSync(directory, { recursive: true })
  })
})

describe('pods by their labels', () => {
  it('are those that run, have an address and are not being deleted, ready or not', async () => {
    const server = await startServer()
    for (let i = 1; i < 5; i++) server.addPod({ name: `shop-${i}`, ips: [`10.0.0.${i}`] })
    server.setReady('shop-1', false)
    server.terminatePod('shop-2')
    server.setPhase('shop-3', 'Succeeded')
    server.addPod({ name: 'waiting', ips: ['10.0.0.5'], waiting: true })
    server.addPod({ name: 'other', ips: ['10.0.0.6'], labels: { app: 'web' } })
    server.addPod({ name: 'late' })
    const running = run(server, byLabel)
    await running.says('10.0.0.1:4370', '10.0.0.4:4370')
    await server.until(() => server.watching === 1)
    server.setIps('late', ['10.0.0.7', 'fd00::7'])
    server.setPhase('shop-4', 'Failed')
    server.setLabels('other', { app: 'shop' })
    server.setLabels('shop-1', { app: 'web' })
    await running.says('10.0.0.6:4370', '10.0.0.7:4370', '[fd00::7]:4370')
    expect(server.seen[0]).toMatchObject({
      path: '/api/v1/namespaces/default/pods',
      query: { labelSelector: 'app=shop' },
    })
  })

  it('may have the port of a container and the name of a StatefulSet', async () => {
    const server = await startServer()
    const ports = [{ name: 'skep', port: 4372 }]
    server.addPod({ name: 'a-0', hostname: 'a-0', subdomain: 'peers', ips: ['10.0.0.1'], ports })
    server.addPod({ name: 'b', ips: ['10.0.0.2'], ports })
    const options = { ...byLabel, port: 'skep', namedBy: 'hostname', clusterDomain: 'cluster.local' } as const
    const running = run(server, options)
    await running.says('a-0.peers.default.svc.cluster.local:4372')
    expect(running.log.count(/10\.0\.0\.2 has no hostname/)).toBe(1)
  })
})

describe('a list', () => {
  it('is read in pages where the server pages, and all at once when its pages are gone', async () => {
    const server = await startServer({ cache: false })
    for (let i = 0; i < 35; i++) server.addPod({ name: `shop-${i}`, ips: [ipOf(i)] })
    const all = Array.from({ length: 35 }, (_, i) => `${ipOf(i)}:4370`)
    await run(server, { ...byLabel, limits: { pageSize: 10 } }).says(...all)
    const pages = server.seen.filter(({ verb }) => verb === 'list').map(({ query }) => query)
    expect(pages.map(({ limit, resourceVersion }) => [limit, resourceVersion])).toEqual([
      ['10', '0'],
      ['10', undefined],
      ['10', undefined],
      ['10', undefined],
    ])
    server.disturb = ({ query }) => {
      if (query.continue) server.compact()
      return undefined
    }
    await run(server, { ...byLabel, limits: { pageSize: 10 } }).says(...all)
    expect(server.seen.filter(({ verb }) => verb === 'list').at(-1)?.query).not.toHaveProperty('limit')
  })

  it('that has no end, is too large, is cut short or is no list is a failure', async () => {
    const server = await startServer({ cache: false })
    for (let i = 0; i < 5; i++) server.addPod({ name: `shop-${i}`, ips: [ipOf(i)] })
    const failing = async (limits: KubernetesOptions['limits'] = {}): Promise<string> =>
      (await run(server, { ...byLabel, limits }).failed()).message
    expect(await failing({ pageSize: 1, maxPages: 4 })).toMatch(/more than 4 pages/)
    expect(await failing({ maxListBytes: 1000 })).toMatch(/an answer of more than 1000 bytes/)
    server.failNext('list', { type: 'truncate' })
    expect(await failing()).toMatch(/could not be asked to list pods in namespace 'default': (aborted|socket)/)
    server.failNext('list', { type: 'body', body: '<html>' })
    expect(await failing()).toMatch(/could not be asked to list pods/)
    server.failNext('list', { type: 'body', body: 'null' })
    expect(await failing()).toMatch(/a list that is none/)
    server.failNext('list', { type: 'body', body: '{"metadata":{},"items":null}' })
    expect(await failing()).toMatch(/without a version/)
  })

  it('that is given up midway changes nothing: the answer before it stays', async () => {
    const server = await startServer({ cache: false })
    for (let i = 0; i < 3; i++) server.addPod({ name: `shop-${i}`, ips: [ipOf(i)] })
    const running = run(server, { ...byLabel, limits: { pageSize: 1 } })
    await running.says(...[0, 1, 2].map((i) => `${ipOf(i)}:4370`))
    await server.until(() => server.watching === 1)
    server.disturb = ({ query }) => (query.continue ? { type: 'reset' } : undefined)
    server.endWatches('gone')
    await running.failed()
    expect(running.answers).toHaveLength(1)
  })
})

describe('a watch', () => {
  it('is asked to last between 240 and 360 seconds', async () => {
    const server = await startServer()
    const running = run(server, byLabel)
    for (let i = 1; i <= 20; i++) {
      await server.until(() => server.watching === 1)
      server.endWatches()
      await server.until(() => server.count('watch') > i)
    }
    const seconds = server.seen.flatMap(({ query }) => (query.timeoutSeconds ? Number(query.timeoutSeconds) : []))
    expect(Math.min(...seconds)).toBeGreaterThanOrEqual(240)
    expect(Math.max(...seconds)).toBeLessThanOrEqual(360)
    expect(new Set(seconds).size).toBeGreaterThan(5)
    expect(running.answers).toHaveLength(1)
  })

  it.each(['end', 'reset', 'truncate'] as const)('is resumed from the last version without a list: %s', async (how) => {
    const server = await startServer()
    server.addPod({ name: 'a', ips: ['10.0.0.1'] })
    const running = run(server, byLabel)
    await running.says('10.0.0.1:4370')
    await server.until(() => server.watching === 1)
    server.addPod({ name: 'b', ips: ['10.0.0.2'] })
    await running.says('10.0.0.1:4370', '10.0.0.2:4370')
    const { resourceVersion } = server.objects('pods').at(-1)?.metadata ?? {}
    server.endWatches(how)
    server.removePod('a')
    await running.says('10.0.0.2:4370')
    expect(server.count('list')).toBe(1)
    expect(server.seen.at(-1)?.query.resourceVersion).toBe(resourceVersion)
  })

  it('is resumed from the last bookmark, so that what is gone for others is not gone for it', async () => {
    const server = await startServer()
    server.addPod({ name: 'a', ips: ['10.0.0.1'] })
    const running = run(server, byLabel)
    await running.says('10.0.0.1:4370')
    await server.until(() => server.watching === 1)
    for (let i = 0; i < 10; i++) server.addPod({ name: `web-${i}`, labels: { app: 'web' }, ips: [`10.1.0.${i}`] })
    server.compact()
    server.bookmark()
    const { version } = server
    server.endWatches()
    await server.until(() => server.watching === 1)
    expect(server.seen.at(-1)?.query.resourceVersion).toBe(version)
    server.addPod({ name: 'b', ips: ['10.0.0.2'] })
    await running.says('10.0.0.1:4370', '10.0.0.2:4370')
    expect(server.count('list')).toBe(1)
  })

  it.each([true, false])('of a version that is gone is followed by a list (by a status: %s)', async (goneByStatus) => {
    const server = await startServer({ goneByStatus })
    server.addPod({ name: 'a', ips: ['10.0.0.1'] })
    const running = run(server, byLabel)
    await running.says('10.0.0.1:4370')
    await server.until(() => server.watching === 1)
    server.endWatches('reset')
    server.addPod({ name: 'b', ips: ['10.0.0.2'] })
    server.removePod('a')
    server.compact()
    await running.says('10.0.0.2:4370')
    expect(server.count('list')).toBe(2)
    expect(running.failure).toBeUndefined()
  })

  it('does not go in circles at a server whose memory lags behind: that list does not come from there', async () => {
    const server = await startServer()
    server.addPod({ name: 'a', ips: ['10.0.0.1'] })
    server.freezeCache()
    server.addPod({ name: 'b', ips: ['10.0.0.2'] })
    server.compact()
    const running = run(server, byLabel)
    await running.says('10.0.0.1:4370', '10.0.0.2:4370')
    expect(running.answers).toEqual([['10.0.0.1:4370'], ['10.0.0.1:4370', '10.0.0.2:4370']])
    const lists = server.seen.filter(({ verb }) => verb === 'list')
    expect(lists.map(({ query }) => query.resourceVersion)).toEqual(['0', undefined])
  })

  it.each([
    ['half a document', '{"type":"ADDED","obj\n'],
    ['no object', '17\n'],
    ['an event of a kind unknown', '{"type":"MOVED","object":{"metadata":{"resourceVersion":"1"}}}\n'],
    ['an event without a version', '{"type":"ADDED","object":{"metadata":{"name":"x"}}}\n'],
    ['an error of another kind', '{"type":"ERROR","object":{"kind":"Status","code":500,"message":"etcd"}}\n'],
  ])('that says %s is followed by a list', async (_, body) => {
    const server = await startServer()
    server.addPod({ name: 'a', ips: ['10.0.0.1'] })
    server.failNext('watch', { type: 'body', body })
    const running = run(server, byLabel)
    await server.until(() => server.count('list') === 2 && server.watching === 1)
    server.addPod({ name: 'b', ips: ['10.0.0.2'] })
    await running.says('10.0.0.1:4370', '10.0.0.2:4370')
    expect(running.log.count(/the watch is followed by a list/)).toBe(1)
  })

  it('that goes silent is ended soon after the time it was asked to last', async () => {
    const server = await startServer()
    const running = run(server, { ...byLabel, limits: { watchSeconds: 1, watchMarginMs: 20 } })
    await server.until(() => server.watching === 1)
    server.endWatches('silence')
    server.addPod({ name: 'a', ips: ['10.0.0.1'] })
    await running.says('10.0.0.1:4370')
    expect(server.count('list')).toBe(1)
    expect(running.log.count(/the watch is resumed: .* did not end within [12]020 ms/)).toBe(1)
  })

  it('that never begins is given up, and a line without an end is not kept', async () => {
    const server = await startServer()
    server.failNext('watch', { type: 'hang' })
    server.failNext('watch', { type: 'body', body: 'x'.repeat(100_000), open: true })
    const running = run(server, { ...byLabel, limits: { requestMs: 1000, maxEventBytes: 1000 } })
    await server.until(() => server.count('watch') === 3 && server.watching === 1)
    await server.until(() => server.connections === 1)
    server.addPod({ name: 'a', ips: ['10.0.0.1'] })
    await running.says('10.0.0.1:4370')
    expect(server.count('list')).toBe(1)
  })

  it('ends with a list now and then', async () => {
    const server = await startServer()
    const running = run(server, { ...byLabel, limits: { relistMs: 1 } })
    await server.until(() => server.watching === 1)
    server.endWatches()
    await server.until(() => server.count('list') === 2 && server.watching === 1)
    expect(running.answers).toHaveLength(1)
  })

  it('that fails five times in a row is given up, and told', async () => {
    const server = await startServer()
    server.failNext('watch', { type: 'status', status: 503 }, 5)
    const running = run(server, byLabel)
    expect((await running.failed()).message).toBe(
      "the Kubernetes API answered 503 when asked to watch pods in namespace 'default': as the test wanted",
    )
    expect(server.count('watch')).toBe(5)
    expect(running.answers).toEqual([[]])
  })

  it('that fails now and then is never given up', async () => {
    const server = await startServer()
    const running = run(server, byLabel)
    for (let i = 1; i <= 4; i++) {
      await server.until(() => server.watching === 1)
      server.failNext('watch', { type: 'status', status: 503 }, 3)
      server.endWatches('reset')
      await server.until(() => server.count('watch') === 1 + 4 * i && server.watching === 1)
      server.addPod({ name: `shop-${i}`, ips: [ipOf(i)] })
      await running.until(() => running.latest?.length === i)
    }
    expect(server.count('list')).toBe(1)
  })

  it('that ends at once again and again is a failure, too', async () => {
    const server = await startServer()
    server.failNext('watch', { type: 'body', body: '' }, 5)
    const running = run(server, { ...byLabel, limits: { steadyMs: 60_000 } })
    expect((await running.failed()).message).toMatch(/ends every watch at once/)
  })
})

describe('a refusal', () => {
  it('for want of rights names what is missing', async () => {
    const server = await startServer()
    server.forbidden.add('list endpointslices')
    const failure = await run(server, { service: 'peers' }).failed()
    expect(failure.message).toMatch(
      /^the Kubernetes API answered 403 when asked to list endpointslices in namespace 'de/,
    )
    expect(failure.message).toContain(
      "no Role there with a rule of apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch']",
    )
    server.forbidden.clear()
    server.forbidden.add('watch pods')
    const running = run(server, byLabel)
    expect((await running.failed()).message).toMatch(/403 when asked to watch pods .* resources: \['pods'\]/)
    expect(running.answers).toEqual([[]])
  })

  it('by 429 is heeded: the next run asks when it may', async () => {
    const server = await startServer()
    const strategy = kubernetes(optionsFor(server, byLabel))
    server.failNext('list', { type: 'status', status: 429, headers: { 'retry-after': '1' } })
    await again(strategy).failed()
    const before = performance.now()
    await again(strategy).says()
    expect(performance.now() - before).toBeGreaterThan(900)
    expect(server.count('list')).toBe(2)
  })

  it('of a watch by 503 is heeded without a failure', async () => {
    const server = await startServer()
    server.failNext('watch', { type: 'status', status: 503, headers: { 'retry-after': '1' } })
    const running = run(server, byLabel)
    await running.says()
    const before = performance.now()
    await server.until(() => server.watching === 1)
    expect(performance.now() - before).toBeGreaterThan(800)
    expect(server.count('list')).toBe(1)
  })

  it('may say when as seconds or as a date, within five minutes', () => {
    const now = Date.parse('2026-01-01T00:00:00Z')
    expect(retryAfter('7', now)).toBe(7000)
    expect(retryAfter('Thu, 01 Jan 2026 00:00:09 GMT', now)).toBe(9000)
    expect(retryAfter('Wed, 31 Dec 2025 00:00:00 GMT', now)).toBe(0)
    expect(retryAfter('86400', now)).toBe(300_000)
    expect([retryAfter(undefined, now), retryAfter('soon', now), retryAfter('-1', now)]).toEqual([0, 0, 0])
  })

  it('that redirects is not followed', async () => {
    const [server, other] = [await startServer(), await startServer()]
    const headers = { location: `${other.url}/api/v1/pods` }
    server.failNext('list', { type: 'status', status: 307, headers, body: 'x'.repeat(1e6), open: true })
    expect((await run(server, byLabel).failed()).message).toMatch(/answered 307 .*: it is not followed/)
    expect(other.seen).toEqual([])
    await server.until(() => server.connections === 0)
  })

  it('of any length makes one short line', async () => {
    const server = await startServer()
    server.failNext('list', { type: 'status', status: 502, body: `<html>\n\n${'x'.repeat(200_000)}` })
    const { message } = await run(server, byLabel).failed()
    expect(message).toMatch(/answered 502/)
    expect(message.length).toBeLessThan(500)
    expect(message).not.toContain('\n')
  })
})

describe('the files of the service account', () => {
  let directory: string
  const put = (name: string, text: string): void => writeFileSync(join(directory, name), text)
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'skep-test-'))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  it('and the environment are all that a pod needs', async () => {
    const server = await startServer()
    server.addService({ ...service, namespace: 'prod' })
    server.addPod({ name: 'a', namespace: 'prod', ips: ['10.0.0.1'] })
    put('ca.crt', server.ca)
    put('token', 'a-token\n')
    put('namespace', 'prod\n')
    const { hostname, port } = new URL(server.url)
    vi.stubEnv('KUBERNETES_SERVICE_HOST', hostname)
    vi.stubEnv('KUBERNETES_SERVICE_PORT', port)
    await again(kubernetes({ service: 'peers', serviceAccountPath: directory })).says('10.0.0.1:4370')
    vi.stubEnv('KUBERNETES_SERVICE_HOST', '')
    const outside = await again(kubernetes({ service: 'peers', serviceAccountPath: directory })).failed()
    expect(outside.message).toMatch(/no KUBERNETES_SERVICE_HOST/)
  })

  it('are read anew for every request', async () => {
    const server = await startServer()
    put('token', 'a-token')
    const running = run(server, { ...byLabel, tokenFile: join(directory, 'token') })
    await server.until(() => server.watching === 1)
    server.tokens.clear()
    server.tokens.add('b-token')
    put('token', 'b-token')
    server.endWatches()
    await server.until(() => server.watching === 1)
    expect(server.seen.map(({ authorization }) => authorization)).toEqual([
      'Bearer a-token',
      'Bearer a-token',
      'Bearer b-token',
    ])
    expect(running.failure).toBeUndefined()
  })

  it('are read once more after a 401, not twice', async () => {
    const server = await startServer()
    put('token', 'old')
    const options = { ...byLabel, tokenFile: join(directory, 'token') }
    server.disturb = () => {
      // The kubelet is late by a moment.
      put('token', 'a-token')
      return undefined
    }
    await run(server, options).says()
    expect(server.seen.slice(0, 2).map(({ authorization }) => authorization)).toEqual(['Bearer old', 'Bearer a-token'])
    server.disturb = () => undefined
    put('token', 'wrong')
    const before = server.count('list')
    expect((await run(server, options).failed()).message).toMatch(/answered 401 when asked to list pods/)
    expect(server.count('list')).toBe(before + 2)
  })

  it('must have a certificate: without one nothing is asked, and nobody gets the token', async () => {
    const server = await startServer()
    put('token', 'a-token')
    put('namespace', 'default')
    const options = { ...byLabel, apiServer: server.url, serviceAccountPath: directory }
    expect((await again(kubernetes(options)).failed()).message).toMatch(/ENOENT.*ca\.crt/)
    for (const text of ['', 'rubbish', '-----BEGIN CERTIFICATE-----\nrubbish\n-----END CERTIFICATE-----\n']) {
      put('ca.crt', text)
      expect((await again(kubernetes(options)).failed()).message).toMatch(/ca\.crt holds no certificate in PEM/)
    }
    expect(server.seen).toEqual([])
    put('ca.crt', server.ca)
    put('token', '')
    expect((await again(kubernetes(options)).failed()).message).toMatch(/token holds no token/)
    put('token', 'two\nlines')
    expect((await again(kubernetes(options)).failed()).message).toMatch(/token holds no token/)
    put('namespace', '../../etc')
    expect((await again(kubernetes({ ...options })).failed()).message).toMatch(/holds no name of a namespace/)
    expect(server.seen).toEqual([])
  })
})

describe('whoever is not the API', () => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)('never sees the token (%s)', async (maxVersion) => {
    const [server, impostor] = [await startServer(), await startServer({ maxVersion })]
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
    const failure = await run(server, { ...byLabel, apiServer: impostor.url }).failed()
    expect(failure.message).toMatch(/could not be asked to list pods in namespace 'default': .*certificate/)
    expect(impostor.seen).toEqual([])
  })

  it('is refused also where it has a certificate of the cluster, but for another name', async () => {
    const server = await startServer({ host: '127.0.0.2' })
    expect((await run(server, byLabel).failed()).message).toMatch(/127\.0\.0\.2 is not in the cert's list/)
    expect(server.seen).toEqual([])
  })
})

const loopback6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))

it.skipIf(!loopback6)('the API may have an address of IPv6', async () => {
  const server = await startServer({ host: '::1', names: ['::1'] })
  const { apiServer: _, ...options } = optionsFor(server, byLabel)
  vi.stubEnv('KUBERNETES_SERVICE_HOST', '::1')
  vi.stubEnv('KUBERNETES_SERVICE_PORT', new URL(server.url).port)
  await again(kubernetes(options)).says()
})

describe('a connection that hangs', () => {
  it.each([false, true])('ends in time, before and after the answer has begun (%s)', async (begun) => {
    const server = await startServer()
    server.failNext('list', { type: 'hang', begun })
    const running = run(server, { ...byLabel, limits: { requestMs: 200 } })
    expect((await running.failed()).message).toMatch(/no answer within 200 ms/)
    await server.until(() => server.connections === 0)
  })

  it('ends in time where nobody speaks TLS, and where nobody listens', async () => {
    const server = await startServer()
    const sockets = new Set<Socket>()
    const hole = createServer((socket) => void sockets.add(socket.on('error', () => {})))
    await new Promise<void>((resolve) => hole.listen(0, '127.0.0.1', resolve))
    const apiServer = `https://127.0.0.1:${(hole.address() as AddressInfo).port}`
    const limits = { requestMs: 100 }
    expect((await run(server, { ...byLabel, apiServer, limits }).failed()).message).toMatch(/no answer within 100 ms/)
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => hole.close(resolve))
    expect((await run(server, { ...byLabel, apiServer }).failed()).message).toMatch(/ECONNREFUSED/)
  })

  it('ends with the node, as a watch does, and leaves nothing', async () => {
    const server = await startServer()
    server.failNext('list', { type: 'hang' })
    const hanging = run(server, byLabel)
    await server.until(() => server.count('list') === 1)
    const watching = run(server, byLabel)
    await server.until(() => server.watching === 1)
    await Promise.all([hanging.end(), watching.end()])
    expect([hanging.failure, watching.failure]).toEqual([undefined, undefined])
    await server.until(() => server.connections === 0)
  })
})

describe('a node with this strategy', () => {
  it('keeps what it knew while the API is away, says so once, and goes on when it is back', async () => {
    const server = await startServer()
    server.addPod({ name: 'a', ips: ['10.0.0.1'] })
    const log = new Recorder()
    const found: string[] = []
    let look = (): void => {}
    const runner = runDiscovery([kubernetes(optionsFor(server, byLabel))], {
      self: { name: 'n', address: '192.0.2.9:4370', cluster: 'c', boot: 'b' },
      secrets: [],
      logger: log.logger,
      limiter: new LogLimiter(realTime.now),
      time: realTime,
      found: (addresses) => {
        found.push(addresses.join())
        look()
      },
    })
    const says = (text: string): Promise<void> =>
      new Promise((resolve) => {
        look = () => found.at(-1) === text && resolve()
        look()
      })
    await says('10.0.0.1:4370')
    await server.until(() => server.watching === 1)
    server.disturb = () => ({ type: 'status', status: 500 })
    server.endWatches('reset')
    const line = await log.line(/discovery by kubernetes failed/)
    expect(line.text).toMatch(/answered 500 when asked to watch pods/)
    server.addPod({ name: 'b', ips: ['10.0.0.2'] })
    server.disturb = () => undefined
    await says('10.0.0.1:4370,10.0.0.2:4370')
    expect(new Set(found)).toEqual(new Set(['10.0.0.1:4370', '10.0.0.1:4370,10.0.0.2:4370']))
    await runner.stop()
    await server.until(() => server.connections === 0)
  })

  it('that takes no more answers leaves nothing', async () => {
    const server = await startServer()
    const context = {
      signal: new AbortController().signal,
      self: { name: 'n', address: '192.0.2.9:4370', cluster: 'c', boot: 'b' },
      logger: new Recorder().logger,
      onRefresh() {},
      keys: () => [],
    }
    for await (const answer of kubernetes(optionsFor(server, byLabel))(context)) {
      expect(answer).toEqual([])
      await server.until(() => server.watching === 1)
      break
    }
    await server.until(() => server.connections === 0)
  })

  it('gets an answer again when it asks for a fresh one', async () => {
    const server = await startServer()
    server.addPod({ name: 'a', ips: ['10.0.0.1'] })
    const running = run(server, byLabel)
    await running.says('10.0.0.1:4370')
    running.refresh()
    await running.until(() => running.answers.length === 2)
    expect(running.latest).toEqual(['10.0.0.1:4370'])
    expect(server.count('list')).toBe(1)
  })
})

describe('options', () => {
  const pods = { ...byLabel }
  it.each([
    [undefined, /takes options/],
    [{}, /service is missing/],
    [{ service: 'Peers!' }, /service must be/],
    [{ service: 'peers', labelSelector: 'a=b' }, /labelSelector is for/],
    [{ service: 'peers', portname: 'x' }, /no option 'portname'/],
    [{ mode: 'pods', port: 1 }, /labelSelector is missing/],
    [{ mode: 'pods', labelSelector: 'a=b' }, /port is missing/],
    [{ mode: 'dns', service: 'peers' }, /mode must be/],
    [{ ...pods, port: 0 }, /port must be/],
    [{ ...pods, port: 1.5 }, /port must be/],
    [{ ...pods, port: '' }, /port must be/],
    [{ ...pods, namespace: '../x' }, /namespace must be/],
    [{ ...pods, family: 4 }, /family must be/],
    [{ ...pods, namedBy: 'uid' }, /namedBy must be/],
    [{ ...pods, clusterDomain: 'a b' }, /clusterDomain must be/],
    [{ ...pods, apiServer: 'http://10.0.0.1' }, /in the clear/],
    [{ ...pods, apiServer: '10.0.0.1' }, /apiServer must be https/],
    [{ ...pods, apiServer: 'https://u:p@h' }, /no more than/],
    [{ ...pods, ca: '' }, /ca must be a text/],
    [{ ...pods, token: 'a', tokenFile: 'b' }, /exclude each other/],
    [{ ...pods, limits: { pageSize: 0 } }, /limits.pageSize/],
    [{ ...pods, limits: { pages: 1 } }, /limits has no 'pages'/],
  ])('%o are refused at the call', (options, text) => {
    const call = (): unknown => kubernetes(options as KubernetesOptions)
    expect(call).toThrow(TypeError)
    expect(call).toThrow(text)
  })

  it('that are right are taken without a look at anything', () => {
    expect(kubernetes({ service: 'peers', limits: kubernetesLimits }).title).toBe('kubernetes')
  })
})
