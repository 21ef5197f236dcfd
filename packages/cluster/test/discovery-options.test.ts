import { describe, expect, it } from 'vitest'
import { compose, dns, dnsSrv, hostsFile, kubernetesDns, kubernetesSrv, rancher, url } from '../src/index.js'

// biome-ignore lint/suspicious/noExplicitAny: what plain JavaScript may pass
const any = (value: unknown): any => value

describe('options of strategies', () => {
  it.each([
    ['no name', () => dns(''), "dns: '' is not a host name"],
    ['no names', () => dns([]), 'dns takes a host name or a list of them'],
    ['too many names', () => dns(Array(1025).fill('a.test')), 'dns takes a host name or a list of them'],
    ['an address instead of a name', () => dns('10.0.0.1'), "dns: '10.0.0.1' is an address, no host name"],
    ['a name with a port', () => dns('web.test:80'), 'is not a host name'],
    ['a name with an empty label', () => dnsSrv('web..test'), 'is not a host name'],
    ['a label that is too long', () => dnsSrv(`${'x'.repeat(64)}.test`), 'is not a host name'],
    ['a name that is none', () => dnsSrv(any(7)), 'dnsSrv takes a host name or a list of them'],
    ['a name that is none in a list', () => dns(any(['a', null])), "dns: 'null' is not a host name"],
    ['port 0', () => dns('a', { port: 0 }), 'port is the number at which peers listen (1-65535)'],
    ['a port that is text', () => dns('a', { port: any('80') }), 'port is the number'],
    ['family 5', () => dns('a', { family: any(5) }), "family is 4, 6 or 'any'"],
    ['no servers', () => dns('a', { servers: [] }), 'servers are name servers'],
    ['a server by name', () => dns('a', { servers: ['ns.test:53'] }), 'servers are name servers'],
    ['a server with a wrong port', () => dns('a', { servers: ['10.0.0.1:99999'] }), 'not a port'],
    ['a time that is none', () => dns('a', { timeoutMs: 0 }), 'timeoutMs must be at least 10'],
    ['no service', () => kubernetesDns(any({})), 'kubernetesDns: service is the name of a headless Service'],
    ['no options at all', () => kubernetesDns(any(undefined)), 'kubernetesDns: service is the name'],
    ['a service with dots', () => kubernetesDns({ service: 'a.b' }), "not 'a.b'"],
    [
      'an odd namespace',
      () => kubernetesDns({ service: 'a', namespace: 'A_B' }),
      'kubernetesDns: namespace is the name',
    ],
    [
      'an odd domain',
      () => kubernetesDns({ service: 'a', clusterDomain: '.' }),
      "clusterDomain: '.' is not a host name",
    ],
    ['an odd file', () => kubernetesDns({ service: 'a', resolvConf: any(1) }), 'resolvConf is the path of a file'],
    ['no name of a port', () => kubernetesSrv(any({ service: 'a' })), 'portName is the name of a port of the Service'],
    ['a number for a name', () => kubernetesSrv({ service: 'a', portName: any(80) }), "not '80'"],
    [
      'an odd protocol',
      () => kubernetesSrv({ service: 'a', portName: 'p', protocol: any('http') }),
      'protocol is tcp, udp or sctp',
    ],
    ['no service of Compose', () => compose(any(undefined)), "compose: 'undefined' is not a host name"],
    ['no path', () => hostsFile(''), 'hostsFile takes the path of a text file'],
    ['an interval that is none', () => hostsFile('hosts', { intervalMs: -1 }), 'intervalMs must be at least 10'],
    ['no address', () => url('peers.json'), 'url takes the address of a document'],
    ['another protocol', () => url('file:///etc/hosts'), 'url takes the address of a document'],
    ['a password in an address', () => url('http://u:p@a.test/'), 'user and password belong into a header'],
    ['an odd header', () => url('http://a.test/', { headers: { 'x y': 'z' } }), 'headers is an object of names'],
    ['a pick that is none', () => url('http://a.test/', { pick: any('x') }), 'pick is a function'],
    ['a size that is none', () => url('http://a.test/', { maxBytes: 0 }), 'maxBytes is a number of bytes'],
    ['an odd port of Rancher', () => rancher({ port: 70_000 }), 'port is the number'],
    ['an odd address of Rancher', () => rancher({ address: 'rancher' }), 'rancher takes the address of a document'],
  ])('are refused at the call: %s', (_, make, text) => {
    expect(make).toThrow(TypeError)
    expect(make).toThrow(text)
  })

  it('have defaults, and titles that say what is asked', () => {
    const titles = [
      dns(['a.test', 'b.test']),
      dnsSrv('_skep._tcp.test.'),
      compose('web'),
      kubernetesDns({ service: 'skep' }),
      kubernetesSrv({ service: 'skep', portName: 'mesh' }),
      hostsFile('hosts'),
      url('http://a.test/peers.json?token=secret'),
      rancher(),
    ].map(({ title }) => title)
    expect(titles).toEqual([
      'dns(a.test and 1 more)',
      'dnsSrv(_skep._tcp.test.)',
      'compose(web)',
      'kubernetesDns(skep)',
      'kubernetesSrv(mesh of skep)',
      'hostsFile(hosts)',
      'url(http://a.test/peers.json)',
      'rancher(http://rancher-metadata/latest/self/service)',
    ])
  })
})
