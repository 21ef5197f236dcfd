import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAddress } from '../src/address.js'
import { dashed, domainOf, ofPod, ofSlice, type Wanted } from '../src/discovery/kubernetes-addresses.js'

const wanted: Wanted = {
  namedBy: 'ip',
  namespace: 'default',
  service: 'peers',
  domain: 'cluster.local',
  family: undefined,
  port: 4370,
}

describe('a slice', () => {
  const slice = {
    addressType: 'IPv4',
    endpoints: [
      { addresses: ['10.0.0.1'] },
      { addresses: ['10.0.0.2'], conditions: { ready: null } },
      { addresses: ['10.0.0.3'], conditions: { ready: false, serving: false, terminating: true } },
      { addresses: ['10.0.0.1'], hostname: 'again' },
      { addresses: null },
      {},
    ],
    ports: [
      { name: 'gossip', port: 9, protocol: 'UDP' },
      { name: '', port: 4371 },
    ],
  }

  it('names every endpoint once, whatever its conditions and without any', () => {
    expect(ofSlice(slice, wanted).addresses).toEqual(['10.0.0.1:4370', '10.0.0.2:4370', '10.0.0.3:4370'])
  })

  it('has the port that is asked for, or its only TCP port', () => {
    const ports = (port: Wanted['port'], more: object = {}): string | undefined =>
      ofSlice({ ...slice, ...more }, { ...wanted, port }).addresses[0]
    expect(ports(undefined)).toBe('10.0.0.1:4371')
    expect(ports('gossip')).toBeUndefined()
    expect(ports(undefined, { ports: [{ name: 'a', port: 1, protocol: 'TCP' }] })).toBe('10.0.0.1:1')
    expect(
      ports('b', {
        ports: [
          { name: 'a', port: 1 },
          { name: 'b', port: null },
        ],
      }),
    ).toBeUndefined()
    expect(ofSlice({ ...slice, ports: null }, { ...wanted, port: undefined }).faults).toEqual([
      'there are no TCP ports: `port` must be a number',
    ])
  })

  it('of names instead of addresses is none', () => {
    expect(ofSlice({ ...slice, addressType: 'FQDN' }, wanted)).toEqual({ addresses: [], faults: [] })
  })

  it('whose endpoints have no hostname complains where names are wanted, once', () => {
    const { addresses, faults } = ofSlice(slice, { ...wanted, namedBy: 'hostname' })
    expect(addresses).toEqual(['again.peers.default.svc.cluster.local:4370'])
    expect(faults[0]).toMatch(/10\.0\.0\.1 has no hostname/)
  })
})

describe('a pod', () => {
  const pod = {
    metadata: { name: 'a', deletionTimestamp: null },
    spec: { hostname: 'a-0', subdomain: 'inner', containers: [{ ports: [{ name: 'skep', containerPort: 7 }] }] },
    status: { phase: 'Running', podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }] },
  }

  it('has all its addresses, one of a family, or the first where there is no list', () => {
    expect(ofPod(pod, wanted).addresses).toEqual(['10.0.0.1:4370', '[fd00::1]:4370'])
    expect(ofPod(pod, { ...wanted, family: 'IPv6' }).addresses).toEqual(['[fd00::1]:4370'])
    const old = { ...pod, status: { phase: 'Running', podIP: '10.0.0.1', podIPs: null } }
    expect(ofPod(old, { ...wanted, port: 'skep' }).addresses).toEqual(['10.0.0.1:7'])
  })

  it('has one name, of its own subdomain or of the Service that is said', () => {
    const named = { ...wanted, namedBy: 'hostname' } as const
    expect(ofPod(pod, named).addresses).toEqual(['a-0.peers.default.svc.cluster.local:4370'])
    expect(ofPod(pod, { ...named, service: undefined }).addresses).toEqual(['a-0.inner.default.svc.cluster.local:4370'])
  })

  it('with a container that waits beside one that runs is there', () => {
    const states = (...all: object[]): object => ({
      ...pod,
      status: { ...pod.status, containerStatuses: all.map((state) => ({ state })) },
    })
    const count = (one: object): number => ofPod(one as typeof pod, wanted).addresses.length
    expect(count(states({ waiting: { reason: 'CrashLoopBackOff' } }, { running: {} }))).toBe(2)
    expect(count(states({ waiting: { reason: 'CrashLoopBackOff' } }, { waiting: {} }))).toBe(0)
  })
})

it.each([
  ['10.0.0.8', '10-0-0-8'],
  ['fd00:1::8', 'fd00-1--8'],
  ['fd00::', 'fd00--0'],
  ['::1', '0--1'],
])('%s is %s in a name', (ip, label) => {
  expect(dashed(ip)).toBe(label)
})

it.each([
  ['search default.svc.cluster.local svc.cluster.local cluster.local', 'cluster.local'],
  ['nameserver 10.0.0.1\n search\tprod.svc.a.example svc.a.example. a.example host\noptions ndots:5', 'a.example'],
  ['search example.org', undefined],
  ['# search svc.no', undefined],
  ['search svc.', undefined],
  ['', undefined],
])('the domain of %j is %s', (text, domain) => {
  expect(domainOf(text)).toBe(domain)
})

it('of whatever comes, what is named is an address, and nothing throws', () => {
  const ip = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constant('10.0.0.1%eth0'), fc.anything())
  const soup = fc.oneof(fc.jsonValue(), fc.anything())
  const states = fc.oneof(soup, fc.array(fc.record({ state: soup })))
  const ports = fc.oneof(soup, fc.array(fc.record({ name: soup, port: soup, containerPort: soup, protocol: soup })))
  const objects = fc.record(
    {
      addressType: fc.constantFrom('IPv4', 'IPv6', 7),
      endpoints: fc.oneof(soup, fc.array(fc.record({ addresses: fc.oneof(soup, fc.array(ip)), hostname: soup }))),
      ports,
      metadata: soup,
      spec: fc.oneof(soup, fc.record({ containers: fc.oneof(soup, fc.array(fc.record({ ports }))) })),
      status: fc.record(
        {
          phase: fc.constant('Running'),
          podIP: ip,
          podIPs: fc.oneof(soup, fc.array(fc.record({ ip }))),
          containerStatuses: states,
        },
        { requiredKeys: ['phase'] },
      ),
    },
    { requiredKeys: ['addressType', 'status'] },
  )
  const namedBy = fc.constantFrom('ip', 'dns')
  const port = fc.constantFrom(4370, 'skep', undefined)
  fc.assert(
    fc.property(objects, namedBy, port, (object, by, port) => {
      const how = { ...wanted, namedBy: by as 'ip' | 'dns', port }
      for (const { addresses } of [ofSlice(object, how), ofPod(object, how)]) {
        for (const address of addresses) expect(parseAddress(address).port).toBeGreaterThan(0)
      }
    }),
  )
})
