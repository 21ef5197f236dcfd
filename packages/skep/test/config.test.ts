import { defineActor } from '@skep/actor'
import { isSkepError } from '@skep/cluster'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkConfig, configFaults, type NodeConfig, nearest } from '../src/config.js'

const good = { name: 'demo-1', cluster: 'demo' }
const Counter = defineActor('counter', { init: () => ({}), on: {} })
const discovery = async function* () {}

describe('configuration', () => {
  it.each<[string, object]>([
    ['the least', good],
    ['undefined is the same as absent', { ...good, listen: undefined, secret: undefined }],
    ['any free port', { ...good, listen: '127.0.0.1:0' }],
    ['IPv6 loopback without a secret', { ...good, listen: '[::1]:4370' }],
    ['all hosts with a secret', { ...good, listen: '0.0.0.0:4370', secret: 's' }],
    ['all hosts with secrets that are rotated', { ...good, listen: '0.0.0.0:4370', secret: ['new', 'old'] }],
    ['all hosts without one when that is wanted', { ...good, listen: '0.0.0.0:4370', insecure: true }],
    [
      'all keys',
      {
        ...good,
        listen: 'localhost:1',
        advertise: 'host-7.local:2',
        secret: 's',
        insecure: false,
        discovery: [discovery],
        actors: [Counter],
        roles: ['web'],
        weight: 0,
        version: '1.2',
        allow: ['a', /^b/],
        deny: [],
        signals: false,
        isolation: 'off',
        actorLimits: { mailbox: 10, slowCallMs: Number.POSITIVE_INFINITY },
        partition: { quorum: 3 },
        logger: 'silent',
      },
    ],
  ])('takes %s', (_, config) => {
    expect(configFaults(config)).toEqual([])
  })

  it.each<[string, object, RegExp[]]>([
    ['nothing at all', {}, [/^name must have 1 to/, /^cluster must be a name/]],
    ['an empty name', { ...good, name: '' }, [/^name must have 1 to/]],
    ['a name with a line end', { ...good, name: 'a\nb' }, [/^name must have.*"a\\nb"/]],
    ['a name of 1000', { ...good, name: 'a'.repeat(1000) }, [/^name must/]],
    ['a cluster that is a number', { ...good, cluster: 7 }, [/^cluster must be a name.*7/]],
    ['an address without a port', { ...good, listen: '10.0.0.1' }, [/^listen: .*no port/]],
    ['a port that is none', { ...good, listen: '127.0.0.1:65536' }, [/^listen: .*65536/]],
    ['an advertised address of nobody', { ...good, advertise: '0.0.0.0:1' }, [/^advertise: .*0\.0\.0\.0/]],
    ['an open door', { ...good, listen: '0.0.0.0:0' }, [/^listen: without a secret.*0\.0\.0\.0/]],
    ['no secret in the list', { ...good, secret: [] }, [/^secret: a list holds 1 to/]],
    ['an empty secret', { ...good, secret: ['a', ''] }, [/^secret: one in the list/]],
    ['discovery that was not called', { ...good, discovery: 'local' }, [/^discovery must be/]],
    ['two actors of one kind', { ...good, actors: [Counter, Counter] }, [/^actors: .*'counter'/]],
    ['an actor that is none', { ...good, actors: [{}] }, [/^actors: entry 1 is not what defineActor returned/]],
    ['limits that are none', { ...good, actorLimits: 7 }, [/^actorLimits must be an object.*7/]],
    [
      'limits with a slip',
      { ...good, actorLimits: { mailbx: 1, blockedMs: 0 } },
      [/^actorLimits: mailbx is no limit.*is 'mailbox' meant\?/, /^actorLimits\.blockedMs must be a number above 0/],
    ],
    ['a policy that there is not', { ...good, partition: 'minority' }, [/^partition must be.*keep-oldest.*'minority'/]],
    ['a policy of another shape', { ...good, partition: ['majority'] }, [/^partition must be one of serve/]],
    [
      'a quorum of nobody',
      { ...good, partition: { quorum: 0 } },
      [/^partition\.quorum must be.*from 1 to 1024, not 0/],
    ],
    ['a quorum of a half', { ...good, partition: { quorum: 1.5 } }, [/^partition\.quorum must/]],
    [
      'a quorum with more to it',
      { ...good, partition: { quorun: 3 } },
      [/^partition: quorun is not a key/, /^partition\.quorum must.*undefined/],
    ],
    ['a pause that is none', { ...good, massLossPause: -1 }, [/^massLossPause must be a number of milliseconds.*-1/]],
    ['a negative weight', { ...good, weight: -1 }, [/^weight must.*-1/]],
    ['a logger that cannot log', { ...good, logger: { info() {} } }, [/^logger must be like one of pino/]],
    ['an unknown level', { ...good, logger: 'loud' }, [/^logger must.*silent.*'loud'/]],
    ['a slip of the finger', { ...good, discovry: discovery }, [/^discovry is not a key.*is 'discovery' meant\?/]],
    ['a key from elsewhere', { ...good, replicas: 3 }, [/^replicas is not a key of the configuration$/]],
    ['a key of every object', { ...good, toString: 1 }, [/^toString is not a key/]],
    [
      'several at once',
      { name: '', weight: 'x', signals: 1, lisen: 'a:1' },
      [/^cluster must/, /^name must/, /^weight must/, /^signals must be one of true, false, not 1/, /^lisen is not/],
    ],
  ])('refuses %s', (_, config, faults) => {
    const found = configFaults(config)
    expect(found).toHaveLength(faults.length)
    for (const fault of faults) expect(found).toContainEqual(expect.stringMatching(fault))
  })

  it('never shows a secret', () => {
    const text = configFaults({ ...good, secret: [{ hidden: 'hunter2' }], listen: '0.0.0.0:1' }).join()
    expect(text).not.toContain('hunter2')
  })

  it('throws ERR_CONFIG with every fault, in the message too, and shows no stack', () => {
    const error = caught({ nmae: 'x', cluster: '', weight: -1 })
    expect(isSkepError(error, 'ERR_CONFIG')).toBe(true)
    const { faults, message, stack } = error as Error & { faults: string[] }
    expect(faults).toHaveLength(4)
    for (const fault of faults) expect(message).toContain(`  - ${fault}`)
    expect(stack).not.toMatch(/^\s+at /m)
  })

  it('whatever it is given: it returns it or throws ERR_CONFIG with at least one fault', () => {
    const keys = [
      'name',
      'cluster',
      'listen',
      'advertise',
      'secret',
      'discovery',
      'actors',
      'weight',
      'allow',
      'logger',
      'x',
    ]
    const value = fc.oneof(
      fc.anything(),
      fc.constantFrom('a', 'a:1', '0.0.0.0:0', 'info', 1, [Counter], discovery, undefined),
    )
    const config = fc.oneof(fc.anything(), fc.dictionary(fc.oneof(fc.constantFrom(...keys), fc.string()), value))
    fc.assert(
      fc.property(config, (given) => {
        const error = caught(given)
        if (error === undefined) return
        expect(isSkepError(error, 'ERR_CONFIG')).toBe(true)
        expect((error as { faults?: unknown[] }).faults?.length).toBeGreaterThan(0)
      }),
      { numRuns: 2000 },
    )
  })

  it('lists the faults of every bad key, whatever stands beside it', () => {
    const bad = {
      name: '',
      cluster: 3,
      listen: 'x',
      advertise: 'y',
      weight: Number.NaN,
      signals: 'no',
      roles: 'web',
      naem: 1,
    }
    fc.assert(
      fc.property(fc.subarray(Object.keys(bad) as (keyof typeof bad)[]), (chosen) => {
        const config = { ...good, ...Object.fromEntries(chosen.map((key) => [key, bad[key]])) }
        const found = new Set(configFaults(config).map((fault) => fault.split(/[: ]/)[0]))
        expect(found).toEqual(new Set(chosen))
      }),
    )
  })
})

describe('the nearest key', () => {
  it.each([
    ['lisen', 'listen'],
    ['Name', 'name'],
    ['nmae', 'name'],
    ['weihgt', 'weight'],
    ['secrets', 'secret'],
    ['actor', 'actors'],
    ['port', undefined],
    ['x', undefined],
    ['y'.repeat(65), undefined],
  ])('%s -> %s', (word, expected) => {
    expect(nearest(word, ['name', 'listen', 'secret', 'actors', 'weight'])).toBe(expected)
  })
})

function caught(config: unknown): unknown {
  try {
    checkConfig(config as NodeConfig)
    return undefined
  } catch (error) {
    return error
  }
}
