import { describe, expect, it } from 'vitest'
import { checkOptions } from '../src/config.js'
import { type ClusterOptions, clusterFaults, isSkepError, startCluster, staticPeers } from '../src/index.js'

const good: ClusterOptions = { cluster: 'c', name: 'n' }

describe('the configuration of a node', () => {
  it('needs a cluster and a name, and nothing else', () => {
    expect(clusterFaults(good)).toEqual([])
    expect(checkOptions(good)).toMatchObject({ listen: { host: '127.0.0.1', port: 0 }, weight: 1, secrets: [''] })
  })

  it('is refused with every fault at once', async () => {
    const bad = {
      cluster: '',
      name: 'a\nb',
      listen: '10.0.0.7',
      advertise: '0.0.0.0:1',
      secret: [''],
      roles: ['ok', 7],
      weight: -1,
      kinds: 'counter',
      version: 5,
      allow: [/x/, null],
      discovery: ['10.0.0.8:4370'],
      limits: { probeMs: 'soon', probems: 1 },
      logger: {},
      manualReady: 'yes',
      onFatal: 1,
      secert: 'typo',
    } as unknown as ClusterOptions
    const error: unknown = await startCluster(bad).catch((reason: unknown) => reason)
    if (!isSkepError(error, 'ERR_CONFIG')) throw new Error('not refused')
    const faults = error.faults as string[]
    const words = [
      'secert',
      'cluster must',
      'name must',
      'listen: ',
      'advertise: ',
      'secret: ',
      'roles: entry 2',
      'kinds must be a list',
      'allow: entry 2',
      'discovery: entry 1',
      'weight must',
      'version',
      'manualReady',
      'onFatal',
      'logger',
      'probeMs must',
      "'probems'",
    ]
    for (const word of words)
      expect(
        faults.filter((fault) => fault.includes(word)),
        word,
      ).toHaveLength(1)
    expect(faults).toHaveLength(words.length)
    for (const fault of faults) expect(error.message).toContain(fault)
  })

  it('lets only nodes with a secret, or with insecure, listen for other hosts', () => {
    expect(clusterFaults({ ...good, listen: '0.0.0.0:0' })[0]).toContain('insecure: true')
    expect(clusterFaults({ ...good, listen: '0.0.0.0:0', secret: 's' })).toEqual([])
    expect(clusterFaults({ ...good, listen: '0.0.0.0:0', insecure: true })).toEqual([])
    expect(clusterFaults({ ...good, listen: '[::1]:0' })).toEqual([])
  })

  it('never repeats a secret in a fault', () => {
    const secret = ['hunter2', 7] as unknown as string[]
    expect(clusterFaults({ ...good, secret }).join()).not.toContain('hunter2')
    expect(clusterFaults({ ...good, secret: 12345 as unknown as string }).join()).not.toContain('12345')
  })

  it('has bounds on what travels in the first frame', () => {
    const kinds = Array.from({ length: 200 }, (_, i) => `${i}${'x'.repeat(200)}`)
    expect(clusterFaults({ ...good, kinds })[0]).toContain('longer than 32768')
    expect(clusterFaults({ ...good, secret: Array.from({ length: 9 }, () => 's') })[0]).toContain('1 to 8')
    expect(clusterFaults({ ...good, limits: { lowWaterBytes: 10, highWaterBytes: 5 } })[0]).toContain(
      'above highWaterBytes',
    )
  })

  it('refuses a bad static peer at once', () => {
    expect(() => staticPeers(['10.0.0.8'])).toThrow('has no port')
    expect(() => staticPeers(['10.0.0.8:0'])).toThrow('port 0')
    expect(() => staticPeers('10.0.0.8:1' as unknown as string[])).toThrow('a list')
  })
})
