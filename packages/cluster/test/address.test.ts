import type { NetworkInterfaceInfo } from 'node:os'
import { describe, expect, it } from 'vitest'
import { formatAddress, isLoopback, parseAddress, reachableHost } from '../src/address.js'

describe('an address', () => {
  it.each([
    ['10.0.0.7:4370', '10.0.0.7', 4370],
    ['localhost:0', 'localhost', 0],
    ['node-1.internal:65535', 'node-1.internal', 65535],
    ['[::1]:4370', '::1', 4370],
    ['[2001:db8::7]:1', '2001:db8::7', 1],
  ])('%s is read, and written as it was', (text, host, port) => {
    expect(parseAddress(text)).toEqual({ host, port })
    expect(formatAddress({ host, port })).toBe(text)
  })

  it.each([
    ['', 'is a string such as'],
    ['10.0.0.7', 'has no port'],
    ['[::1]', 'has no port'],
    ['10.0.0.7:', 'is not a port'],
    ['10.0.0.7:65536', 'is not a port'],
    ['10.0.0.7:-1', 'is not a port'],
    ['10.0.0.7:4e3', 'is not a port'],
    ['::1:4370', 'ambiguous'],
    ['[10.0.0.7]:1', 'is not an IPv6 address'],
    [':4370', 'has no port'],
    ['a b:1', 'is not a host name'],
    ['http://x:1', 'ambiguous'],
    ['x/y:1', 'is not a host name'],
  ])('%j is refused with its fault', (text, fault) => {
    expect(() => parseAddress(text)).toThrow(fault)
  })

  it('of all interfaces is told as one that counts on other hosts too', () => {
    const v4 = (address: string, internal = false): NetworkInterfaceInfo => {
      return { address, internal, family: 'IPv4', netmask: '', mac: '', cidr: null }
    }
    const v6 = (address: string, scopeid: number, internal = false): NetworkInterfaceInfo => {
      return { address, internal, family: 'IPv6', scopeid, netmask: '', mac: '', cidr: null }
    }
    const local = [v4('127.0.0.1', true), v6('::1', 0, true)]
    const dual = { lo: local, eth0: [v6('fe80::1', 2), v6('2001:db8::1', 0), v4('10.0.0.1')] }
    const only6 = { lo: local, eth0: [v6('fe80::1', 2), v6('2001:db8::1', 0)] }
    expect(['0.0.0.0', '::', '10.9.9.9'].map((host) => reachableHost(host, dual))).toEqual([
      '10.0.0.1',
      '10.0.0.1',
      '10.9.9.9',
    ])
    expect(['0.0.0.0', '::'].map((host) => reachableHost(host, only6))).toEqual(['127.0.0.1', '2001:db8::1'])
    expect(reachableHost('::', { lo: local })).toBe('127.0.0.1')
  })

  it('is of this host only where it says so', () => {
    expect(['localhost', '127.0.0.1', '127.9.9.9', '::1'].every(isLoopback)).toBe(true)
    expect(['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.evil.org'].some(isLoopback)).toBe(false)
  })
})
