/** Three whole nodes in one process, over real sockets on loopback. */

import { EventEmitter } from 'node:events'
import { defineActor } from '@skep/actor'
import { isSkepError, staticPeers } from '@skep/cluster'
import { afterEach, describe, expect, it } from 'vitest'
import { type NodeConfig, type NodeEvents, type SkepNode, startNode, via } from '../src/index.js'
import { realWorld, startNodeIn } from '../src/internal.js'

const Counter = defineActor('counter', {
  init: (start: number) => ({ n: start }),
  on: {
    value: (self) => self.state.n,
    increment: (self, by: number = 1) => {
      self.state.n += by
      return self.state.n
    },
    node: (self) => self.node.name,
  },
})

const running: SkepNode[] = []

afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()))
})

async function start(config: Partial<NodeConfig> = {}): Promise<SkepNode> {
  const name = config.name ?? `node-${running.length + 1}`
  const node = await startNode({
    name,
    cluster: 'test',
    actors: [Counter],
    signals: false,
    logger: 'silent',
    ...config,
  })
  running.push(node)
  return node
}

/** Each knows those before it, so all of them are linked when the last one is ready. */
async function startThree(): Promise<[SkepNode, SkepNode, SkepNode]> {
  const one = await start()
  const two = await start({ discovery: staticPeers([one.address]) })
  await two.ready({ timeout: 10_000 })
  const three = await start({ discovery: staticPeers([one.address, two.address]) })
  await three.ready({ timeout: 10_000 })
  return [one, two, three]
}

/** Resolves once it holds; the test's own time limit is the bound. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

function next<E extends keyof NodeEvents>(node: SkepNode, event: E): Promise<NodeEvents[E]> {
  return new Promise((resolve) => {
    const off = node.on(event, (data) => {
      off()
      resolve(data)
    })
  })
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  return isSkepError(error) ? error.code : `no SkepError: ${error}`
}

describe('a formation', () => {
  it('keeps nodes from serving until they are as many as expected, and tells them in time that they are not', async () => {
    const formation = { expect: 2, within: 200, stable: 20 }
    const one = await start({ formation })
    const claimed = one.start(Counter, via('x'), 1)
    await expect(one.ready()).rejects.toMatchObject({ code: 'ERR_NOT_FORMED' })
    // Only the first is to run out of time, however busy the machine is.
    const patient = { ...formation, within: 60_000 }
    const two = await start({ formation: patient, discovery: staticPeers([one.address]) })
    await two.ready({ timeout: 10_000 })
    await claimed
    await until(() => two.whereis('x') !== undefined)
    expect(await two.via(Counter, 'x').value()).toBe(1)
    await one.ready({ timeout: 10_000 })
  })
})

describe('three nodes', () => {
  it('have a counter on one of them, called by name from any, and refused a second time with its pid', async () => {
    const [one, two, three] = await startThree()
    const pid = await one.start(Counter, via('my_proc', { visible: 'all' }), 0)
    const refusal = await two.start(Counter, via('my_proc'), 0).catch((error: unknown) => error)
    expect(isSkepError(refusal, 'ERR_ALREADY_STARTED')).toBe(true)
    expect(String((refusal as { pid?: unknown }).pid)).toBe(String(pid))
    expect(await three.via(Counter, 'my_proc').value()).toBe(0)
    expect(await two.via(Counter, 'my_proc').increment()).toBe(1)
    expect(await three.via(Counter, 'my_proc').value()).toBe(1)
    expect(await one.via(Counter, 'my_proc').increment(2)).toBe(3)
    expect(one.whereis('my_proc')?.equals(pid)).toBe(true)
    expect(await codeOf(three.via(Counter, 'nobody').value())).toBe('ERR_NOT_REGISTERED')
    expect(one.explain('my_proc').holder?.node).toBe('node-1')
  })

  it('spawn 30 where the ring says; those of a drained node start elsewhere', async () => {
    const [one, two, three] = await startThree()
    const names = Array.from({ length: 30 }, (_, i) => `room-${i}`)
    await Promise.all(names.map((name, i) => one.spawn(Counter, via(name, { visible: 'all' }), i)))
    const hosts = await Promise.all(names.map((name) => three.via(Counter, name).node()))
    expect(new Set(hosts).size).toBe(3)
    const down = next(one, 'memberDown')
    await two.drain({ timeout: 5000 })
    expect((await down).name).toBe('node-2')
    await until(() => names.every((name) => (one.whereis(name)?.node ?? 'node-2') !== 'node-2'))
    const after = await Promise.all(names.map((name) => one.via(Counter, name).node()))
    for (const [i, host] of after.entries()) {
      if (hosts[i] === 'node-2') expect(host).not.toBe('node-2')
      else expect(host).toBe(hosts[i])
    }
    expect(one.members().map(({ name }) => name)).toEqual(['node-1', 'node-3'])
    expect(await codeOf(two.spawn(Counter, via('late'), 0))).toMatch(/ERR_STOPPED|ERR_LEAVING/)
  })

  it('ensure the same actor from all of them at once: one is started', async () => {
    const nodes = await startThree()
    for (let round = 0; round < 10; round++) {
      const refs = nodes.map((node) => node.ensure(Counter, via(`room-${round}`), 0))
      const counts = await Promise.all(refs.map((ref) => ref.increment()))
      expect(counts.sort()).toEqual([1, 2, 3])
    }
  })

  it('tell of members and names', async () => {
    const one = await start()
    const up = next(one, 'memberUp')
    const view = next(one, 'viewChanged')
    const two = await start({ discovery: staticPeers([one.address]) })
    expect((await up).name).toBe('node-2')
    expect((await view).members).toEqual(['node-1', 'node-2'])
    await Promise.all([one.ready(), two.ready()])
    const registered = next(one, 'registered')
    const pid = await two.start(Counter, via('a', { visible: 'all' }), 0)
    expect((await registered).pid.equals(pid)).toBe(true)
    const unregistered = next(one, 'unregistered')
    await one.via(Counter, 'a').$.stop()
    expect((await unregistered).name).toBe('a')
    expect(() => one.on('nothing' as 'memberUp', () => {})).toThrow(TypeError)
  })
})

describe('one node', () => {
  it('is ready alone, and a listener that throws harms nobody', async () => {
    const lines: string[] = []
    const logger = collector(lines)
    const node = await start({ logger })
    await node.ready({ timeout: 5000 })
    node.on('registered', () => {
      throw new Error('clumsy')
    })
    await node.start(Counter, via('a'), 1)
    expect(await node.via(Counter, 'a').value()).toBe(1)
    await until(() => lines.some((line) => line.includes('a listener of')))
    await node.stop()
    const text = lines.join('\n')
    for (const said of ['listens on 127.0.0.1:', 'synced after', `'a' is held by`, 'stopped']) {
      expect(text).toContain(said)
    }
  })

  it('refuses a port in use in one line with the port', async () => {
    const one = await start()
    const error = await start({ name: 'late', listen: one.address }).catch((reason: unknown) => reason)
    expect(isSkepError(error, 'ERR_ADDRESS_IN_USE')).toBe(true)
    expect((error as Error).message).toContain(one.address.split(':')[1])
    expect((error as Error).message).not.toContain('\n')
  })

  it('refuses a wrong configuration before anything is started', async () => {
    expect(await codeOf(start({ name: '' }))).toBe('ERR_CONFIG')
  })

  it('stops twice, drains after it stopped, and answers ERR_STOPPED then', async () => {
    const node = await start()
    await node.ready()
    await Promise.all([node.stop(), node.stop()])
    await node.drain()
    expect(await codeOf(node.start(Counter, via('a'), 0))).toBe('ERR_STOPPED')
    expect(await codeOf(node.ready())).toBe('ERR_STOPPED')
  })

  it('drains at SIGTERM, and only then has the process exit with code 0', async () => {
    const lines: string[] = []
    const signals = Object.assign(new EventEmitter(), { exit: (code: number) => lines.push(`exit ${code}`) })
    const config = { name: 'a', cluster: 'test', actors: [Counter], logger: collector(lines) }
    const node = await startNodeIn({ ...realWorld, signals }, config)
    running.push(node)
    await node.ready()
    await node.spawn(Counter, via('a'), 0)
    signals.emit('SIGTERM', 'SIGTERM')
    await until(() => lines.includes('exit 0'))
    expect(lines.findIndex((line) => line.startsWith('drain: '))).toBeGreaterThan(-1)
    expect(lines.at(-1)).toBe('exit 0')
    expect(await codeOf(node.via(Counter, 'a').value())).toMatch(/ERR_STOPPED|ERR_NOT_REGISTERED/)
  })

  it('takes its signal handlers with it', async () => {
    const before = process.listenerCount('SIGTERM')
    const node = await start({ signals: true })
    expect(process.listenerCount('SIGTERM')).toBe(before + 1)
    await node.stop()
    expect(process.listenerCount('SIGTERM')).toBe(before)
  })
})

/** A logger that keeps its sentences. */
function collector(lines: string[]): NonNullable<Exclude<NodeConfig['logger'], string>> {
  const write = (...parts: [object | string, string?]): void => {
    lines.push(parts.filter((part) => typeof part === 'string').join(''))
  }
  const logger = { debug: write, info: write, warn: write, error: write, fatal: write, child: () => logger }
  return logger
}
