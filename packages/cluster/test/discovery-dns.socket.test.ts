import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { compose, type DnsOptions, dns, dnsSrv, kubernetesDns, kubernetesSrv } from '../src/index.js'
import { type Dnsmasq, dnsmasqCommand, startDnsmasq } from './dnsmasq.js'
import { NameServer, type Trouble } from './name-server.js'
import { ask, first, type Running } from './strategies.js'

/** More than fits into any datagram of DNS (4096 bytes, at most): the answer comes over TCP. */
const many = Array.from({ length: 300 }, (_, i) => `10.1.${i >> 8}.${i & 255}`)

let folder: string
const running: Running[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skep-test-'))
})
afterEach(async () => {
  await Promise.allSettled(running.splice(0).map((one) => one.end()))
  rmSync(folder, { recursive: true, force: true })
})

function start(strategy: Parameters<typeof ask>[0]): Running {
  const one = ask(strategy)
  running.push(one)
  return one
}

describe.skipIf(dnsmasqCommand === '')('names in a real name server', () => {
  let server: Dnsmasq
  let options: DnsOptions
  beforeAll(async () => {
    server = await startDnsmasq([
      '--local=/test/',
      '--host-record=four.test,10.0.0.4',
      '--host-record=six.test,fd00::6',
      '--host-record=both.test,10.0.0.5,fd00::5',
      '--cname=alias.test,four.test',
      '--txt-record=text.test,hello',
      '--srv-host=_skep._tcp.web.test,four.test,4001',
      '--srv-host=_skep._tcp.web.test,both.test,4002',
      '--srv-host=_skep._tcp.web.test,nowhere.test,4003',
      ...many.map((address) => `--host-record=many.test,${address}`),
      '--host-record=skep.prod.svc.k8s.test,10.2.0.1',
      '--host-record=a.skep.prod.svc.k8s.test,10.2.0.2',
      '--srv-host=_mesh._tcp.skep.prod.svc.k8s.test,a.skep.prod.svc.k8s.test,4999',
      '--host-record=web,10.3.0.1',
      '--host-record=tasks.web,10.3.0.2',
      '--host-record=api,10.3.0.3',
      '--local=/api/web/',
    ])
    options = { servers: [server.server] }
  })
  afterAll(() => server?.stop())

  it.each([
    ['only IPv4', 'four.test', ['10.0.0.4:7']],
    ['only IPv6, which is bracketed', 'six.test.', ['[fd00::6]:7']],
    ['both families', 'both.test', ['10.0.0.5:7', '[fd00::5]:7']],
    ['an alias', 'alias.test', ['10.0.0.4:7']],
    ['other records only', 'text.test', []],
    ['nothing, since nobody has the name', 'nobody.test', []],
  ])('has %s', async (_, name, addresses) => {
    expect(await first(dns(name, { ...options, port: 7 }))).toEqual(addresses)
  })

  it('asks for one family where that is wanted', async () => {
    expect(await first(dns('both.test', { ...options, port: 7, family: 4 }))).toEqual(['10.0.0.5:7'])
    expect(await first(dns('both.test', { ...options, port: 7, family: 6 }))).toEqual(['[fd00::5]:7'])
    expect(await first(dns('four.test', { ...options, port: 7, family: 6 }))).toEqual([])
  })

  it('adds up the answers of several names, and takes the own port where none is given', async () => {
    expect(await first(dns(['four.test', 'nobody.test', 'six.test'], options))).toEqual(['10.0.0.4:1', '[fd00::6]:1'])
  })

  it('takes an answer over TCP where it is larger than a datagram', async () => {
    expect(await first(dns('many.test', { ...options, port: 7 }))).toEqual(many.map((ip) => `${ip}:7`).sort())
  })

  it('takes ports from SRV records and the addresses of their targets, and passes over targets without any', async () => {
    expect(await first(dnsSrv('_skep._tcp.web.test', options))).toEqual([
      '10.0.0.4:4001',
      '10.0.0.5:4002',
      '[fd00::5]:4002',
    ])
    expect(await first(dnsSrv(['_no._tcp.web.test', 'four.test'], options))).toEqual([])
  })

  it('finds the pods of a headless Service by its full name', async () => {
    const [namespaceFile, resolvConf] = [join(folder, 'namespace'), join(folder, 'resolv.conf')]
    writeFileSync(namespaceFile, 'prod')
    writeFileSync(
      resolvConf,
      'nameserver 10.96.0.10\nsearch prod.svc.k8s.test svc.k8s.test k8s.test\noptions ndots:5\n',
    )
    const inPod = { ...options, service: 'skep', namespaceFile, resolvConf }
    expect(await first(kubernetesDns({ ...inPod, port: 7 }))).toEqual(['10.2.0.1:7'])
    expect(await first(kubernetesSrv({ ...inPod, portName: 'mesh' }))).toEqual(['10.2.0.2:4999'])
    const elsewhere = { ...options, service: 'skep', namespace: 'prod', clusterDomain: 'k8s.test.', port: 7 }
    expect(await first(kubernetesDns(elsewhere))).toEqual(['10.2.0.1:7'])
    expect(await first(kubernetesDns({ ...elsewhere, namespace: 'other' }))).toEqual([])
  })

  it('finds the replicas of a service of Compose and the tasks of one of Swarm', async () => {
    expect(await first(compose({ ...options, service: 'web', port: 7 }))).toEqual(['10.3.0.1:7', '10.3.0.2:7'])
    expect(await first(compose({ ...options, service: 'api' }))).toEqual(['10.3.0.3:1'])
  })
})

describe.skipIf(dnsmasqCommand === '')('a name whose addresses change', () => {
  it('is answered anew when it shrinks, vanishes and comes back', async () => {
    const hosts = join(folder, 'hosts')
    writeFileSync(hosts, '10.0.0.1 web.test\n10.0.0.2 web.test\n')
    const server = await startDnsmasq(['--local=/test/', `--addn-hosts=${hosts}`])
    try {
      const peers = start(dns('web.test', { servers: [server.server], port: 7, intervalMs: 20 }))
      expect(await peers.next()).toEqual(['10.0.0.1:7', '10.0.0.2:7'])
      for (const addresses of [['10.0.0.2'], [], ['10.0.0.3', 'fd00::3']]) {
        writeFileSync(hosts, addresses.map((address) => `${address} web.test\n`).join(''))
        server.reload()
        expect(await peers.next()).toEqual(addresses.map((ip) => (ip.includes(':') ? `[${ip}]:7` : `${ip}:7`)))
      }
    } finally {
      await server.stop()
    }
  })
})

describe('a name server in trouble', () => {
  let server: NameServer
  let options: { servers: string[]; port: number; intervalMs: number; timeoutMs: number }
  beforeEach(async () => {
    server = await NameServer.start()
    options = { servers: [server.address], port: 7, intervalMs: 10, timeoutMs: 300 }
  })
  afterEach(() => server.close())

  const failures: [Trouble, RegExp][] = [
    ['servfail', /web\.test could not be looked up by the name server \(SERVFAIL\)/],
    ['refused', /web\.test is refused by the name server \(REFUSED\)/],
    ['notimp', /web\.test could not be looked up \(ENOTIMP\)/],
    ['formerr', /web\.test could not be looked up \(EFORMERR\)/],
    ['rubbish', /web\.test was answered by the name server with rubbish/],
    ['silent', /web\.test was not answered by any name server in time/],
  ]
  it.each(failures)('is a failure and no empty answer: %s', async (trouble, text) => {
    server.records.set('web.test', ['10.0.0.1'])
    const peers = start(dns('web.test', options))
    expect(await peers.next()).toEqual(['10.0.0.1:7'])
    server.troubles.set('', trouble)
    await expect(peers.next()).rejects.toThrow(text)
    await expect(first(dnsSrv('web.test', options))).rejects.toThrow(text)
    server.troubles.clear()
    expect(await first(dns('web.test', options))).toEqual(['10.0.0.1:7'])
  })

  it('is a failure where nobody listens', async () => {
    const nobody = await NameServer.start()
    await nobody.close()
    const strategy = dns('web.test', { ...options, servers: [nobody.address] })
    await expect(first(strategy)).rejects.toThrow('web.test could not be looked up: no name server listens')
  })

  it('says NXDOMAIN or nothing of the kind, and that is an empty answer', async () => {
    server.troubles.set('', 'nxdomain')
    expect(await first(dns('web.test', options))).toEqual([])
    expect(await first(dnsSrv('web.test', options))).toEqual([])
    server.troubles.clear()
    server.records.set('web.test', [])
    expect(await first(dns('web.test', options))).toEqual([])
    expect(await first(dnsSrv('web.test', options))).toEqual([])
  })

  it.each<Trouble>(['servfail', 'notimp', 'rubbish', 'silent'])(
    'still has the one family when the other is %s, and says so once',
    async (trouble) => {
      server.records.set('web.test', ['10.0.0.1'])
      server.troubles.set('AAAA', trouble)
      const peers = start(dns('web.test', options))
      expect(await peers.next()).toEqual(['10.0.0.1:7'])
      server.records.set('web.test', ['10.0.0.2'])
      expect(await peers.next()).toEqual(['10.0.0.2:7'])
      expect(peers.log.count(/has only a part of the answer: web.test/)).toBe(1)
      // Without addresses in the other one nothing is known.
      server.records.set('web.test', [])
      await expect(peers.next()).rejects.toThrow('web.test')
    },
  )

  it('still has the targets that can be looked up, but fails where none can', async () => {
    server.records.set('web.test', ['4001 a.test', '4002 b.test', '4003 none.test', '0 a.test', '4004 .'])
    server.records.set('a.test', ['10.0.0.1'])
    server.records.set('b.test', ['10.0.0.2', 'fd00::2'])
    expect(await first(dnsSrv('web.test', options))).toEqual(['10.0.0.1:4001', '10.0.0.2:4002', '[fd00::2]:4002'])
    for (const type of ['A', 'AAAA']) server.troubles.set(`${type} a.test`, 'servfail')
    expect(await first(dnsSrv('web.test', options))).toEqual(['10.0.0.2:4002', '[fd00::2]:4002'])
    for (const type of ['A', 'AAAA']) server.troubles.set(type, 'servfail')
    await expect(first(dnsSrv('web.test', options))).rejects.toThrow('SERVFAIL')
  })

  it('loses a packet, and the question is sent again', async () => {
    server.records.set('web.test', ['10.0.0.1'])
    server.troubles.set('A', 'silent')
    const peers = start(dns('web.test', { ...options, timeoutMs: 2000, family: 4 }))
    const answer = peers.next()
    await expect.poll(() => server.asked.length).toBe(1)
    server.troubles.clear()
    expect(await answer).toEqual(['10.0.0.1:7'])
  })

  it('is asked by the next one where one of two is dead', async () => {
    const dead = await NameServer.start()
    dead.troubles.set('', 'silent')
    server.records.set('web.test', ['10.0.0.1'])
    const servers = [dead.address, server.address]
    expect(await first(dns('web.test', { ...options, servers, timeoutMs: 1000 }))).toEqual(['10.0.0.1:7'])
    await dead.close()
  })

  it('does not keep a node from ending, however long it is silent', async () => {
    server.troubles.set('', 'silent')
    const peers = ask(dns('web.test', { ...options, timeoutMs: 100_000 }))
    const next = peers.next().catch(() => 'ended')
    await expect.poll(() => server.asked.length).toBe(2)
    await Promise.allSettled([peers.end()])
    expect(await next).toBe('ended')
  })

  it('is asked for each of very many names', async () => {
    const targets = Array.from({ length: 200 }, (_, i) => `n${i}.test`)
    server.records.set('web.test', ['1 n0.test'])
    for (const [i, target] of targets.entries()) server.records.set(target, [`10.0.0.${i}`])
    const strategy = dns(targets, { ...options, timeoutMs: 5000 })
    expect(await first(strategy)).toHaveLength(200)
    expect(server.asked).toHaveLength(400)
  })

  it('is asked nothing more once the time is over, however many names wait for their turn', async () => {
    server.troubles.set('', 'silent')
    const names = Array.from({ length: 1000 }, (_, i) => `n${i}.test`)
    await expect(first(dns(names, { ...options, timeoutMs: 100 }))).rejects.toThrow('was not answered')
    const before = server.asked.length
    // Longer than the tries of those that would come next.
    await expect(first(dns('last.test', options))).rejects.toThrow('last.test was not answered')
    expect(server.asked.slice(before).filter((question) => !question.includes('last.test'))).toEqual([])
  })

  it('asks no search domains and no name without its namespace: the name in full, once', async () => {
    const resolvConf = join(folder, 'resolv.conf')
    writeFileSync(resolvConf, 'search svc.first.test\nsearch prod.svc.k8s.test svc.k8s.test\n')
    const none = { service: 'skep', servers: options.servers, family: 4, namespaceFile: join(folder, 'none') } as const
    await expect(first(kubernetesDns(none))).rejects.toThrow(
      /no namespace is given, and .*none, which has that of a pod/,
    )
    writeFileSync(join(folder, 'odd'), 'not a name')
    await expect(first(kubernetesDns({ ...none, namespaceFile: join(folder, 'odd') }))).rejects.toThrow('no namespace')
    expect(await first(kubernetesDns({ ...none, namespace: 'n', resolvConf }))).toEqual([])
    expect(await first(kubernetesDns({ ...none, namespace: 'n', resolvConf: join(folder, 'none') }))).toEqual([])
    expect(await first(kubernetesSrv({ ...none, portName: 'p', protocol: 'udp', namespace: 'n', resolvConf }))).toEqual(
      [],
    )
    expect(server.asked).toEqual([
      'A skep.n.svc.k8s.test',
      'A skep.n.svc.cluster.local',
      'SRV _p._udp.skep.n.svc.k8s.test',
    ])
  })
})
