/**
 * The source of every strategy, in the hands of a test: it names whom the test says, fails and hangs.
 */
import { spawnSync } from 'node:child_process'
import { hkdfSync } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KubeServer } from '@skep/kube-server'
import { expect } from 'vitest'
import {
  compose,
  type Discovery,
  type DnsOptions,
  dns,
  dnsSrv,
  gossip,
  hostsFile,
  kubernetes,
  kubernetesDns,
  kubernetesSrv,
  localPeers,
  parseAddress,
  staticPeers,
  url,
} from '../src/index.js'
import { NameServer } from './name-server.js'
import { Recorder } from './nodes.js'

export const times = { intervalMs: 30, timeoutMs: 300 }
/** For a strategy that must not be waited for: a start that did would fail the test by its own time. */
export const patient = { intervalMs: 30, timeoutMs: 100_000 }
/** Nobody lives there: refused at once, and (TEST-NET-1 of RFC 5737) never answered. */
export const lies = ['127.0.0.1:1', '192.0.2.1:4370']

/** What a strategy asks, in the hands of the test. */
export interface Source {
  /** For a node that wants to find the one at `peer`. */
  strategy(peer: string, polling: typeof times): Discovery
  /** From here on it names these, and nothing is wrong with it. */
  name?(addresses: readonly string[]): void
  fail?(): void
  hang?(): void
  close(): Promise<void> | void
}

export interface Row {
  readonly name: string
  open(truth: readonly string[]): Promise<Source> | Source
}

export const rows: readonly Row[] = [
  {
    name: 'staticPeers',
    open: (truth) => ({ strategy: () => staticPeers([...truth, ...lies]), close() {} }),
  },
  { name: 'localPeers', open: localSource },
  { name: 'hostsFile', open: fileSource },
  { name: 'url', open: urlSource },
  { name: 'kubernetes', open: kubernetesSource },
  { name: 'gossip', open: gossipSource },
  {
    name: 'dns',
    open: dnsSource(['web.test'], (options, port) => dns('web.test.', { ...options, port })),
  },
  {
    name: 'compose',
    open: dnsSource(['tasks.web'], (options, port) => compose({ ...options, service: 'web', port })),
  },
  {
    name: 'kubernetesDns',
    open: dnsSource(['skep.prod.svc.k8s.test'], (options, port) =>
      kubernetesDns({ ...options, ...inKubernetes, port }),
    ),
  },
  {
    name: 'dnsSrv',
    open: dnsSource(['_skep._tcp.test'], (options) => dnsSrv('_skep._tcp.test', options), 'srv'),
  },
  {
    name: 'kubernetesSrv',
    open: dnsSource(
      ['_mesh._tcp.skep.prod.svc.k8s.test'],
      (options) => kubernetesSrv({ ...options, ...inKubernetes, portName: 'mesh' }),
      'srv',
    ),
  },
]

const inKubernetes = { service: 'skep', namespace: 'prod', clusterDomain: 'k8s.test' }

/** A name server; `names` have the addresses. What the records cannot say (ports, where it has none) is the strategy's. */
function dnsSource(
  names: readonly string[],
  strategy: (options: DnsOptions, port: number) => Discovery,
  kind: 'addresses' | 'srv' = 'addresses',
): Row['open'] {
  return async () => {
    const server = await NameServer.start()
    const records = (address: string): string => {
      const { host, port } = parseAddress(address)
      if (kind === 'addresses') return host
      server.records.set(`${host}.test`, [host])
      return `${port} ${host}.test`
    }
    return {
      strategy: (peer, polling) => strategy({ ...polling, servers: [server.address] }, parseAddress(peer).port),
      name(addresses) {
        server.troubles.clear()
        for (const name of names) server.records.set(name, [...new Set(addresses.map(records))])
      },
      fail: () => void server.troubles.set('', 'servfail'),
      hang: () => void server.troubles.set('', 'silent'),
      close: () => server.close(),
    }
  }
}

async function urlSource(): Promise<Source> {
  let answer = (_: ServerResponse): void => {}
  const server = createServer((_, response) => answer(response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/peers`
  return {
    strategy: (_, polling) => url(address, polling),
    name(addresses) {
      answer = (response) => response.end(JSON.stringify(addresses))
    },
    fail() {
      answer = (response) => response.writeHead(500).end('[]')
    },
    hang() {
      answer = (response) => void response.write('[')
    },
    close() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

/** It fails when the file is removed, and hangs, if it were not careful, on a pipe that nobody writes to. */
function fileSource(): Source {
  const folder = mkdtempSync(join(tmpdir(), 'skep-test-'))
  const path = join(folder, 'hosts')
  const replace = (make: (draft: string) => void): void => {
    make(join(folder, 'draft'))
    renameSync(join(folder, 'draft'), path)
  }
  return {
    strategy: () => hostsFile(path, { intervalMs: times.intervalMs }),
    name: (addresses) => replace((draft) => writeFileSync(draft, addresses.join('\n'))),
    fail: () => rmSync(path),
    hang: () => replace((draft) => expect(spawnSync('mkfifo', [draft]).status).toBe(0)),
    close: () => rmSync(folder, { recursive: true }),
  }
}

/** Nodes name themselves there; the test makes them vanish, puts others beside them, or a file in the place of all. */
function localSource(): Source {
  const folder = mkdtempSync(join(tmpdir(), 'skep-test-'))
  const home = (): string => join(folder, readdirSync(folder)[0] as string, 'test')
  let round = 0
  return {
    strategy: () => localPeers({ directory: folder }),
    name(addresses) {
      if (readdirSync(folder).length === 0) return
      rmSync(home(), { recursive: true, force: true, maxRetries: 9 })
      mkdirSync(home(), { recursive: true, mode: 0o700 })
      // One more each time, or what nodes say of themselves is all that there was before.
      const strangers = [...addresses, `127.0.0.1:${++round}`]
      for (const [index, address] of strangers.entries()) {
        const boot = `x${index}`
        writeFileSync(join(home(), `${boot}.json`), JSON.stringify({ boot, address, pid: process.pid }))
      }
    },
    fail() {
      // A node that misses its file makes the directory anew, perhaps between the two lines.
      for (let tries = 0; tries < 9; tries++) {
        rmSync(home(), { recursive: true, force: true, maxRetries: 9 })
        try {
          return writeFileSync(home(), '')
        } catch {}
      }
    },
    close: () => rmSync(folder, { recursive: true }),
  }
}

/** An API whose watches end as soon as something is wrong with it, so that what follows is a list. */
async function kubernetesSource(): Promise<Source> {
  const server = await KubeServer.start()
  server.addService({ name: 'peers', selector: { app: 'shop' } })
  const [token = ''] = server.tokens
  const goesWrong = (fault: ReturnType<KubeServer['disturb']>): void => {
    server.disturb = () => fault
    server.endWatches('gone')
  }
  const pods = new Set<string>()
  return {
    strategy: (peer, { timeoutMs }) =>
      kubernetes({
        service: 'peers',
        namespace: 'default',
        port: parseAddress(peer).port,
        apiServer: server.url,
        ca: server.ca,
        token,
        limits: { requestMs: timeoutMs, backoffMinMs: 10, backoffMaxMs: 50 },
      }),
    name(addresses) {
      server.disturb = () => undefined
      const hosts = new Set(addresses.map((address) => parseAddress(address).host))
      for (const host of pods) if (!hosts.has(host)) server.removePod(host)
      for (const host of hosts) if (!pods.has(host)) server.addPod({ name: host, ips: [host] })
      pods.clear()
      for (const host of hosts) pods.add(host)
    },
    fail: () => goesWrong({ type: 'status', status: 500 }),
    hang: () => goesWrong({ type: 'hang' }),
    close: () => server.close(),
  }
}

/** Somebody who has the secret, too, and says that it lives wherever it likes. */
async function gossipSource(): Promise<Source> {
  const taken = createSocket('udp4').bind(0)
  await once(taken, 'listening')
  const { port } = taken.address()
  await new Promise<void>((resolve) => taken.close(resolve))
  const strategy = (): Discovery => gossip({ port, interface: '127.0.0.1', intervalMs: 100 })
  const key = new Uint8Array(hkdfSync('sha256', 's', 'test', 'skep gossip', 32))
  const { logger } = new Recorder()
  let [round, liars]: [number, AbortController] = [0, new AbortController()]
  const over: Promise<void>[] = []
  const lie = async (address: string, boot: string, { signal }: AbortController): Promise<void> => {
    const self = { name: boot, boot, address, cluster: 'test' }
    for await (const _ of strategy()({ signal, self, logger, onRefresh() {}, keys: () => [key] }));
  }
  return {
    strategy,
    name(addresses) {
      liars.abort()
      liars = new AbortController()
      // One more each time, or it names nobody whom the nodes do not hear of from each other.
      const named = [...addresses, `127.0.0.1:${++round}`]
      for (const [index, address] of named.entries()) over.push(lie(address, `x${round}-${index}`, liars))
    },
    async close() {
      liars.abort()
      await Promise.all(over)
    },
  }
}
