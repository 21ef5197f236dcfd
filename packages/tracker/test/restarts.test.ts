/** Restart policies: what becomes of a placed name when its process, or the node of it, ends, however that comes. */

import { describe, expect, test } from 'vitest'
import {
  type Claim,
  type Explanation,
  explain,
  type Restart,
  ring as rings,
  type TrackerMessage,
} from '../src/core/index.js'
import { restartOf } from '../src/index.js'
import { ring, Trackers } from './trackers.js'

const policies = ['permanent', 'transient', 'temporary'] as const
type Policy = (typeof policies)[number]

const nodes = ['a', 'b', 'c', 'd', 'e']

/** The first pause, and some more for what comes after it. */
const PAUSE_MS = 400
const SOON_MS = PAUSE_MS + 400

function cluster(): Trackers {
  const net = new Trackers()
  net.add(nodes)
  net.pass(3000)
  return net
}

let lastAsk = 0
let lastPid = 1000

interface Shell {
  /** Whether the init of this name fails at this node. */
  fails?: (node: string) => boolean
}

/** What shells do: processes are made, or their init fails. */
function runShells(net: Trackers, { fails = () => false }: Shell = {}): void {
  net.serve({
    activate: (node, { ask }) => {
      if (fails(node)) net.input(node, { type: 'abandon', ask, code: 'ERR_INIT_FAILED', text: `no luck at ${node}` })
      else net.input(node, { type: 'commit', ask, pid: ++lastPid })
    },
    export: (node, { pid, name, number }) =>
      net.input(node, { type: 'exported', pid, name, number, state: Uint8Array.of(1) }),
  })
}

/** Lets time pass, and shells run. */
function live(net: Trackers, ms: number, shell: Shell = {}): void {
  for (let passed = 0; passed < ms; passed += 100) {
    net.pass(100)
    runShells(net, shell)
  }
}

function spawn(net: Trackers, name: string, restart?: Restart): void {
  const terms = restart === undefined ? {} : { terms: { strategy: undefined, restart } }
  net.input('e', { type: 'spawn', ask: ++lastAsk, name, kind: 'counter', spec: 'spec', meta: 'meta', ...terms })
  runShells(net)
  net.pass(100)
}

function withPolicy(policy: Policy): Restart {
  return restartOf('test', policy) as Restart
}

/** Where it runs, by all who are there. */
function holder(net: Trackers, name: string): string | undefined {
  const seen = new Set([...net.states.values()].map((state) => net.holder(state.info.name, name)))
  expect(seen.size).toBe(1)
  return [...seen][0]
}

function end(net: Trackers, name: string, how: 'crashed' | 'stopped' | 'told', reason = 'oops'): void {
  const node = holder(net, name) as string
  const pid = net.claim(node, name)?.pid.id as number
  net.input(node, how === 'told' ? { type: 'gone', pid } : { type: 'gone', pid, ended: { how, reason } })
}

/** As the holder of its slot sees it. */
function explained(net: Trackers, name: string): Explanation {
  for (const state of net.states.values()) if (explain(state, name, net.now).holds) return explain(state, name, net.now)
  throw new Error(`nobody holds the slot of ${name}`)
}

/** A name whose slot this node owns, placed elsewhere. */
function awayFrom(net: Trackers, owner: string, restart?: Restart): string {
  const { table } = net.state(owner)
  for (let i = 0; ; i++) {
    const name = `name-${i}`
    if (table === undefined || rings.ownerOf(table, rings.slotOf(name, ring.slots)) !== owner) continue
    spawn(net, name, restart)
    const to = net.boot(owner === 'b' ? 'c' : 'b')
    net.input('e', { type: 'request', ask: ++lastAsk, request: { type: 'move', name, to } })
    live(net, 300)
    return name
  }
}

function noMarksLeft(net: Trackers): void {
  for (const state of net.states.values()) {
    for (const claim of state.registry.logs.get(state.self)?.claims.values() ?? [])
      expect(claim.placed?.ended).toBeUndefined()
    expect(state.starting.size).toBe(0)
    expect(state.registry.orphans.size).toBe(0)
  }
}

describe('a placed name', () => {
  test.each([
    ['crashed', ['permanent', 'transient']],
    ['stopped', ['permanent']],
    ['told', []],
  ] as const)('whose process ends so: %s, comes back where it is one of %j', (how, back) => {
    for (const policy of policies) {
      const net = cluster()
      spawn(net, 'x', withPolicy(policy))
      const before = net.claim('a', 'x')
      end(net, 'x', how)
      net.pass(100)
      expect(holder(net, 'x')).toBeUndefined()
      live(net, SOON_MS)
      const after = net.claim('a', 'x')
      const comes = (back as readonly Policy[]).includes(policy)
      expect(after !== undefined, policy).toBe(comes)
      live(net, 5000)
      expect(holder(net, 'x') !== undefined, policy).toBe(comes)
      if (after !== undefined) {
        expect(after.fence).toBeGreaterThan(before?.fence ?? Number.POSITIVE_INFINITY)
        expect(after.placed).toMatchObject({
          spec: 'spec',
          origin: before?.placed?.origin,
          terms: before?.placed?.terms,
        })
        expect(after.meta).toBe('meta')
      }
      noMarksLeft(net)
    }
  })

  test('whose node is gone comes back where it is not temporary; a temporary one is free', () => {
    for (const policy of policies) {
      const net = cluster()
      const name = awayFrom(net, 'a', withPolicy(policy))
      net.kill(holder(net, name) as string)
      live(net, 1000)
      expect(holder(net, name) !== undefined, policy).toBe(policy !== 'temporary')
      if (policy === 'temporary') {
        spawn(net, name)
        expect(holder(net, name)).toBeDefined()
      }
    }
  })

  test('whose node leaves without handing it over: the same', () => {
    for (const policy of policies) {
      const net = cluster()
      const name = awayFrom(net, 'a', withPolicy(policy))
      const node = holder(net, name) as string
      const pid = net.claim(node, name)?.pid.id as number
      net.phase(node, 'leaving')
      net.input(node, { type: 'leave' })
      net.input(node, { type: 'gone', pid, keepPlaced: true })
      net.pass(100)
      net.phase(node, 'left')
      net.states.delete(net.boot(node))
      live(net, 1500)
      expect(holder(net, name) !== undefined, policy).toBe(policy !== 'temporary')
    }
  })

  test('without terms is transient, as it was before there were policies', () => {
    const net = cluster()
    spawn(net, 'x')
    end(net, 'x', 'crashed')
    live(net, SOON_MS)
    expect(holder(net, 'x')).toBeDefined()
    end(net, 'x', 'stopped')
    live(net, SOON_MS)
    expect(holder(net, 'x')).toBeUndefined()
  })
})

describe('a process that crashed', () => {
  test('is known to be started again by everybody, also where its node dies the next moment', () => {
    const net = cluster()
    const name = awayFrom(net, 'a')
    const node = holder(net, name) as string
    end(net, name, 'crashed')
    net.drain()
    for (const state of net.states.values()) {
      expect(explain(state, name, net.now)).toMatchObject({ holder: undefined, orphaned: true })
      expect(explain(state, name, net.now).claims[0]).toMatchObject({
        ended: { how: 'crashed', reason: 'oops' },
        visible: false,
      })
    }
    net.kill(node)
    live(net, SOON_MS)
    expect(holder(net, name)).toBeDefined()
    expect(explained(net, name).claims.some(({ failures }) => failures === 1)).toBe(true)
  })

  test('is started again where the news of its crash dies with its node: as after any end of a node', () => {
    const net = cluster()
    const name = awayFrom(net, 'a')
    const node = holder(net, name) as string
    net.filter = (message) => message.type !== 'ops' || message.boot !== net.boot(node)
    end(net, name, 'crashed')
    net.kill(node)
    live(net, SOON_MS)
    expect(holder(net, name)).toBeDefined()
  })

  test('is over where its user had stopped a later copy of it on the other side of a cut', () => {
    const net = cluster()
    spawn(net, 'x')
    const claim = net.claim('a', 'x') as Claim
    const at = claim.pid.node
    const other = at === 'a' ? 'b' : 'a'
    const first = (net.state(at).registry.logs.get(net.boot(other))?.seq ?? 0) + 1
    const strike = claim.placed?.origin
    const ops = [{ type: 'del', name: 'x', fence: claim.fence + 5, strike } as const]
    const message = { type: 'ops', boot: net.boot(other), first, ops, counter: claim.fence + 5, reply: false } as const
    net.input(at, { type: 'message', from: net.boot(other), message })
    expect(net.claim(at, 'x')?.pid.equals(claim.pid)).toBe(true)
    end(net, 'x', 'crashed')
    expect(net.state(at).registry.logs.get(net.boot(at))?.claims.has('x')).toBe(false)
    live(net, 3000)
    expect(holder(net, 'x')).toBeUndefined()
  })

  test('is started again by whoever holds its slot then', () => {
    const net = cluster()
    const name = awayFrom(net, 'a')
    end(net, name, 'crashed')
    net.drain()
    net.kill('a')
    live(net, 3000)
    expect(holder(net, name)).toBeDefined()
    noMarksLeft(net)
  })

  test('keeps its name from others meanwhile: who spawns or claims it gets the one that comes back', () => {
    const net = cluster()
    spawn(net, 'x')
    end(net, 'x', 'crashed')
    net.drain()
    const [spawned, claimed] = [++lastAsk, ++lastAsk]
    net.input('a', { type: 'spawn', ask: spawned, name: 'x', kind: 'counter', spec: 'other' })
    net.input('b', { type: 'claim', ask: claimed, name: 'x', pid: 7 })
    net.pass(200)
    expect(net.outputs('a', 'refused')).toEqual([])
    live(net, SOON_MS)
    expect(net.claim('c', 'x')?.placed?.spec).toBe('spec')
    for (const node of ['a', 'b']) expect(net.outputs(node, 'refused')[0]?.code).toBe('ERR_ALREADY_STARTED')
  })

  test('rests longer after each failure, and then who asks hears of it at once', () => {
    const net = cluster()
    spawn(net, 'x')
    let rested = 0
    for (const [round, ms] of [400, 800, 1600, 3200].entries()) {
      end(net, 'x', 'crashed')
      net.drain()
      expect(explained(net, 'x').starting).toMatchObject({ failures: round + 1, failover: true })
      rested = round
      if (round === 3) break
      live(net, ms - 150)
      expect(holder(net, 'x')).toBeUndefined()
      live(net, 500)
      expect(holder(net, 'x')).toBeDefined()
    }
    expect(rested).toBe(3)
    net.input('a', { type: 'spawn', ask: ++lastAsk, name: 'x', kind: 'counter', spec: 'other' })
    net.input('b', { type: 'claim', ask: ++lastAsk, name: 'x', pid: 7 })
    net.drain()
    for (const node of ['a', 'b']) {
      expect(net.outputs(node, 'refused')).toMatchObject([
        { code: 'ERR_ACTOR_STOPPED', text: "'x' has failed, and is started again in 4 s" },
      ])
    }
    live(net, 3700)
    expect(holder(net, 'x')).toBeDefined()
  })
})

describe('the limit', () => {
  const often: Restart = { policy: 'permanent', times: 2, withinMs: 30_000 }

  test('counts crashes wherever they are: after it the name is given up, says why at all nodes, and is free', () => {
    const net = cluster()
    const name = awayFrom(net, 'a', often)
    const where = new Set<string>()
    for (let i = 0; i < 2; i++) {
      where.add(holder(net, name) as string)
      end(net, name, 'crashed', `crash ${i}`)
      live(net, 1500)
      // It goes from node to node.
      const to = nodes.find((node) => node !== 'a' && !where.has(node) && node !== holder(net, name)) as string
      net.input('e', { type: 'request', ask: ++lastAsk, request: { type: 'move', name, to: net.boot(to) } })
      live(net, 300)
      expect(holder(net, name)).toBe(to)
    }
    end(net, name, 'stopped', 'the last one')
    live(net, 5000)
    const failed = { times: 3, code: 'ERR_ACTOR_STOPPED', reason: 'the last one' }
    for (const state of net.states.values())
      expect(explain(state, name, net.now)).toMatchObject({ failed, orphaned: false, holder: undefined })
    expect(holder(net, name)).toBeUndefined()
    const errors = [...net.given.values()].flat().filter((output) => output.type === 'log' && output.level === 'error')
    expect(errors).toMatchObject([{ text: `'${name}' failed 3 times and is not started again: the last one` }])
    noMarksLeft(net)

    spawn(net, name)
    expect(holder(net, name)).toBeDefined()
    for (const state of net.states.values()) expect(explain(state, name, net.now).failed).toBeUndefined()
  })

  test('counts starts that fail, at whatever node', () => {
    const net = cluster()
    const name = awayFrom(net, 'a', { ...often, policy: 'transient' })
    const tried: string[] = []
    const shell = { fails: (node: string) => tried.push(node) > 0 }
    net.kill(holder(net, name) as string)
    live(net, 10_000, shell)
    expect(tried).toHaveLength(3)
    const failed = explained(net, name).failed
    expect(failed).toMatchObject({ times: 3, code: 'ERR_INIT_FAILED', reason: `no luck at ${tried.at(-1)}` })
  })

  test('is not used up at one node: a restart that failed there is tried at each other before it is once more', () => {
    const net = cluster()
    const name = awayFrom(net, 'a', { ...often, times: 7, withinMs: 600_000 })
    const gone = holder(net, name) as string
    const tried: string[] = []
    net.kill(gone)
    live(net, 120_000, { fails: (node: string) => tried.push(node) > 0 })
    const left = nodes.filter((node) => node !== gone)
    expect(tried).toHaveLength(8)
    for (const round of [tried.slice(0, 4), tried.slice(4)]) expect([...round].sort()).toEqual(left)
    expect(explained(net, name).failed).toMatchObject({ times: 8 })
  })

  test('is not met where the init fails at the first node alone: the next one runs it', () => {
    const net = cluster()
    const name = awayFrom(net, 'a', often)
    let first: string | undefined
    net.kill(holder(net, name) as string)
    live(net, 5000, {
      fails: (node: string) => {
        first ??= node
        return node === first
      },
    })
    expect(first).toBeDefined()
    expect([undefined, first]).not.toContain(holder(net, name))
  })

  test('is met at one node where names are to share it', () => {
    const net = cluster()
    const strategy = { by: 'together', key: 'us' } as const
    net.input('e', {
      type: 'spawn',
      ask: ++lastAsk,
      name: 'x',
      kind: 'counter',
      spec: 1,
      terms: { strategy, restart: often },
    })
    runShells(net)
    net.pass(100)
    const tried: string[] = []
    end(net, 'x', 'crashed')
    live(net, 10_000, { fails: (node: string) => tried.push(node) > 0 })
    expect(tried).toHaveLength(2)
    expect(new Set(tried).size).toBe(1)
  })

  test('counts a crash and the starts that fail after it together', () => {
    const net = cluster()
    spawn(net, 'x', often)
    end(net, 'x', 'crashed')
    let tries = 0
    live(net, 10_000, { fails: () => ++tries > 0 })
    expect(tries).toBe(2)
    expect(explained(net, 'x').failed).toMatchObject({ times: 3, code: 'ERR_INIT_FAILED' })
  })

  test('of no restart ends it with the first failure', () => {
    const net = cluster()
    spawn(net, 'x', { ...often, times: 0 })
    end(net, 'x', 'crashed')
    live(net, 2000)
    expect(explained(net, 'x').failed).toMatchObject({ times: 1, code: 'ERR_ACTOR', reason: 'oops' })
  })

  test('is for failures within its time: older ones are forgotten, and the name says so', () => {
    const net = cluster()
    const name = awayFrom(net, 'a', { ...often, withinMs: 5000 })
    for (let i = 0; i < 5; i++) {
      end(net, name, 'crashed')
      live(net, 1000)
      expect(net.claim('d', name)?.placed?.failures).toHaveLength(1)
      live(net, 5500)
      expect(net.claim('d', name)?.placed?.failures).toBeUndefined()
    }
    expect(explained(net, name).failed).toBeUndefined()
  })

  test('goes with the name where it is handed over', () => {
    const net = cluster()
    const name = awayFrom(net, 'a', often)
    end(net, name, 'crashed')
    live(net, 1000)
    const to = ['c', 'd'].find((node) => node !== holder(net, name)) as string
    net.input('e', { type: 'request', ask: ++lastAsk, request: { type: 'move', name, to: net.boot(to) } })
    live(net, 500)
    expect(holder(net, name)).toBe(to)
    const [age] = net.claim('e', name)?.placed?.failures ?? []
    expect(age).toBeGreaterThan(400)
    expect(age).toBeLessThan(2000)
  })
})

describe('a crash in the middle of a handoff', () => {
  /** Handed over to `c` as far as its state has gone there. */
  function sent(): { net: Trackers; name: string; to: string } {
    const net = cluster()
    const name = awayFrom(net, 'a')
    const node = holder(net, name) as string
    net.input('e', { type: 'request', ask: ++lastAsk, request: { type: 'move', name, to: net.boot('d') } })
    net.drain()
    const [output] = net.outputs(node, 'export')
    if (output === undefined) throw new Error('nothing is exported')
    net.given.set(net.boot(node), [])
    net.input(node, { type: 'exported', pid: output.pid, name, number: output.number, state: Uint8Array.of(1) })
    return { net, name, to: 'd' }
  }

  test('before the target was granted: it is started afresh, and only once', () => {
    const { net, name } = sent()
    const held: TrackerMessage[] = []
    net.filter = (message) => message.type !== 'handoff' || held.push(message) === 0
    net.drain()
    end(net, name, 'crashed')
    net.filter = () => true
    net.drain()
    expect(net.claim('a', name)).toBeUndefined()
    // The state arrives late: its source has ended since.
    net.input('d', { type: 'message', from: net.boot('b'), message: held[0] as TrackerMessage })
    live(net, 3000)
    expect(holder(net, name)).toBeDefined()
    expect(net.claim('a', name)?.from).toBeUndefined()
    noMarksLeft(net)
  })

  test('after the target has claimed the name: it goes on there with its state, and the mark goes', () => {
    const { net, name, to } = sent()
    // The target's claim is on its way to the source.
    net.filter = (message, at) => message.type !== 'ops' || message.boot !== net.boot(to) || at !== 'boot-b'
    runShells(net)
    expect(net.holder('a', name)).toBe(to)
    expect(net.holder('b', name)).toBe('b')
    const pid = net.claim('b', name)?.pid.id as number
    net.input('b', { type: 'gone', pid, ended: { how: 'crashed', reason: 'oops' } })
    net.drain()
    net.filter = () => true
    live(net, 5000)
    expect(holder(net, name)).toBe(to)
    expect(net.claim('a', name)?.from).toBeDefined()
    expect(net.claim('a', name)?.placed?.failures).toBeUndefined()
    noMarksLeft(net)
  })
})

describe('what is no restart', () => {
  test.each([
    ['always', /restart must be permanent, transient or temporary/],
    [{}, /restart must be permanent/],
    [{ policy: 'permanent', times: -1 }, /restart.times must be a whole number from 0 to 100/],
    [{ policy: 'permanent', times: 101 }, /restart.times/],
    [{ policy: 'permanent', withinMs: 0 }, /restart.withinMs must be milliseconds/],
    [{ policy: 'permanent', within: 5 }, /unknown option 'restart.within'; known are policy, times, withinMs/],
  ])('is refused: %j', (bad, text) => {
    expect(() => restartOf('here', bad)).toThrow(text)
    expect(() => restartOf('here', bad)).toThrow(TypeError)
  })
})
