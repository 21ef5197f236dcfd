/** The admin listener of a real node, asked over real HTTP. */
import { EventEmitter, once } from 'node:events'
import { type IncomingHttpHeaders, type RequestOptions, request } from 'node:http'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { defineActor } from '@skep/actor'
import { isSkepError, staticPeers } from '@skep/cluster'
import { afterEach, describe, expect, it } from 'vitest'
import { type AdminTarget, startAdmin } from '../src/admin.js'
import { configFaults, type NodeConfig } from '../src/config.js'
import { type SkepNode, startNode, via } from '../src/index.js'
import { realWorld, startNodeIn } from '../src/internal.js'

const Counter = defineActor('counter', { init: () => ({ n: 0 }), on: { add: (self) => ++self.state.n } })
/** A call of it takes until the test lets it go: so long a drain waits. */
const Slow = defineActor('slow', {
  init: () => ({}),
  on: { wait: () => new Promise<void>((done) => waiting.push(done)) },
})
const waiting: (() => void)[] = []
const hasIPv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'))
const token = 'a-token-of-some-length'
const ending: { stop?(): Promise<void>; close?(): Promise<void> }[] = []

afterEach(async () => {
  await Promise.all(ending.splice(0).map((one) => one.stop?.() ?? one.close?.()))
})

async function start(config: Partial<NodeConfig> = {}): Promise<SkepNode> {
  const common = { cluster: 'admin', actors: [Counter, Slow], signals: false, logger: 'silent' } as const
  const node = await startNode({ name: `node-${ending.length + 1}`, admin: '127.0.0.1:0', ...common, ...config })
  ending.push(node)
  return node
}

interface Answer {
  readonly status: number | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

async function ask(node: { admin?: string | undefined }, path: string, options: RequestOptions = {}): Promise<Answer> {
  const [host = '', port = ''] = (node.admin ?? '').split(/:(?=\d+$)/)
  const asked = request({ host, port, path, agent: false, ...options })
  asked.end()
  const [response] = await once(asked, 'response')
  let body = ''
  for await (const chunk of response) body += chunk
  return { status: response.statusCode, headers: response.headers, body }
}

async function statusOf(node: SkepNode, path: string, options: RequestOptions = {}): Promise<number | undefined> {
  return (await ask(node, path, options)).status
}

/** A call runs at this node, and goes on until the test ends it. */
async function busy(node: SkepNode): Promise<void> {
  const pid = await node.start(Slow, via(`slow at ${node.name}`))
  const before = waiting.length
  node
    .ref(Slow, pid)
    .wait()
    .catch(() => {})
  while (waiting.length === before) await new Promise((resolve) => setImmediate(resolve))
}

const drain = (headers: RequestOptions['headers'] = {}): RequestOptions => ({ method: 'POST', headers })

describe('the admin listener', () => {
  it('is off where it is not configured', async () => {
    const node = await start({ admin: undefined })
    expect(node.admin).toBeUndefined()
  })

  it('is live at once, ready when joined and synced, and says why it is not', async () => {
    // Nobody listens at port 1: the gate waits for somebody to be met.
    const alone = await start({ discovery: staticPeers(['127.0.0.1:1']) })
    expect(await ask(alone, '/live')).toMatchObject({ status: 200, body: '{"live":true}\n' })
    expect(await ask(alone, '/ready')).toMatchObject({ status: 503, body: '{"ready":false,"readiness":"joining"}\n' })
    const node = await start()
    await node.ready({ timeout: 10_000 })
    const { status, headers, body } = await ask(node, '/ready?verbose')
    expect([status, body]).toEqual([200, '{"ready":true,"readiness":"ready"}\n'])
    expect(headers).toMatchObject({ 'cache-control': 'no-store', 'content-type': expect.stringContaining('json') })
    expect(await ask(node, '/ready', { method: 'HEAD' })).toMatchObject({ status: 200, body: '' })
  })

  it('drains when asked from this host: not ready first, actors go on elsewhere, then it is closed', async () => {
    const one = await start()
    const two = await start({ discovery: staticPeers([one.address]) })
    await Promise.all([one.ready(), two.ready()])
    for (let i = 0; i < 20; i++) await one.spawn(Counter, via(`c${i}`))
    await busy(two)
    expect(await ask(two, '/drain', drain())).toMatchObject({ status: 202, body: '{"draining":true}\n' })
    expect(await ask(two, '/ready')).toMatchObject({ status: 503, body: '{"ready":false,"readiness":"leaving"}\n' })
    expect(await statusOf(two, '/live')).toBe(200)
    for (const done of waiting.splice(0)) done()
    await two.drain()
    await expect(ask(two, '/live')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect(one.members().map(({ name }) => name)).toEqual([one.name])
    for (let i = 0; i < 20; i++) expect(await one.via(Counter, `c${i}`).add()).toBeGreaterThan(0)
  })

  it('drains as asked, and the SIGTERM that comes afterwards still ends the process with code 0', async () => {
    const codes: number[] = []
    const signals = Object.assign(new EventEmitter(), { exit: (code: number) => codes.push(code) })
    const config = { name: 'a', cluster: 'admin', actors: [Counter], admin: '127.0.0.1:0', logger: 'silent' } as const
    const node = await startNodeIn({ ...realWorld, signals }, config)
    ending.push(node)
    expect((await ask(node, '/drain', drain())).status).toBe(202)
    await node.drain()
    expect(codes).toEqual([])
    signals.emit('SIGTERM', 'SIGTERM')
    await Promise.resolve()
    await Promise.resolve()
    expect(codes).toEqual([0])
  })

  it('drains for whoever shows the token, and for nobody whom a web page or a proxy sends without it', async () => {
    const node = await start({ admin: { listen: '127.0.0.1:0', token } })
    expect(await statusOf(node, '/drain', drain({ origin: 'http://localhost' }))).toBe(403)
    expect(await statusOf(node, '/drain', drain({ origin: 'null', authorization: `Bearer ${token}` }))).toBe(403)
    expect(await statusOf(node, '/drain', drain({ 'x-forwarded-for': '10.0.0.1' }))).toBe(401)
    expect(await statusOf(node, '/drain', drain({ forwarded: 'for=10.0.0.1' }))).toBe(401)
    expect(await statusOf(node, '/drain', drain({ authorization: `Bearer ${token}x` }))).toBe(401)
    expect((await ask(node, '/drain', drain({ authorization: 'Bearer no' }))).headers['www-authenticate']).toBe(
      'Bearer',
    )
    expect(await statusOf(node, '/ready')).not.toBe(undefined)
    expect((await ask(node, '/ready')).body).not.toContain('leaving')
    const headers = { 'x-forwarded-for': '10.0.0.1', authorization: `Bearer ${token}` }
    await busy(node)
    expect(await statusOf(node, '/drain', drain(headers))).toBe(202)
    expect((await ask(node, '/ready')).body).toContain('leaving')
    for (const done of waiting.splice(0)) done()
  })

  it('knows three paths and their methods', async () => {
    const node = await start()
    expect(await ask(node, '/drain')).toMatchObject({ status: 405, headers: { allow: 'POST' } })
    expect(await ask(node, '/live', { method: 'DELETE' })).toMatchObject({
      status: 405,
      headers: { allow: 'GET, HEAD' },
    })
    for (const path of ['/', '/metrics', '/ready/', '//live', '/%2e%2e/live', `/${'x'.repeat(3000)}`]) {
      const { status, body } = await ask(node, path)
      expect([path, status, JSON.parse(body)]).toEqual([path, 404, { error: expect.any(String) }])
    }
  })

  it('outlives what is no HTTP, headers without end, and callers who hang up', async () => {
    const node = await start()
    const [host = '', port = ''] = (node.admin ?? '').split(':')
    for (const garbage of [
      '\0\x01\x02\r\n\r\n',
      `GET /live HTTP/1.1\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`,
      'GET /live',
    ]) {
      const socket = connect(Number(port), host)
      socket.on('error', () => {})
      socket.resume()
      await once(socket, 'connect')
      if (garbage === 'GET /live') socket.destroy()
      else socket.write(garbage)
      if (!socket.destroyed) await once(socket, 'close')
    }
    expect(await statusOf(node, '/live')).toBe(200)
  })

  it('is told apart when its port is taken: one error, and nothing is left of the node', async () => {
    const one = await start()
    const error = await start({ admin: one.admin }).catch((reason: unknown) => reason)
    expect(isSkepError(error, 'ERR_ADDRESS_IN_USE')).toBe(true)
    expect(String(error)).toContain(one.admin?.split(':')[1])
  })

  it.skipIf(!hasIPv6)('listens on IPv6, and closes while a connection idles', async () => {
    const target: AdminTarget = { readiness: () => 'ready', drain: async () => {} }
    const admin = await startAdmin({ listen: '[::1]:0' }, target)
    ending.push(admin)
    expect(admin.address).toMatch(/^\[::1\]:\d+$/)
    const idle = connect(Number(admin.address.split(':').at(-1)), '::1')
    await once(idle, 'connect')
    idle.resume()
    await Promise.all([admin.close(), once(idle, 'close')])
  })
})

describe('a cordoned node', () => {
  it('hosts nothing that is placed from then on, keeps what it has, and says so; until it is taken off', async () => {
    const one = await start()
    const two = await start({ discovery: staticPeers([one.address]) })
    await Promise.all([one.ready(), two.ready()])
    const before = await Promise.all(Array.from({ length: 20 }, (_, i) => one.spawn(Counter, via(`before${i}`))))
    expect(new Set(before.map(({ node }) => node)).size).toBe(2)
    two.cordon()
    two.cordon()
    while (one.members().find(({ name }) => name === two.name)?.cordoned !== true) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    const after = await Promise.all(Array.from({ length: 20 }, (_, i) => one.spawn(Counter, via(`after${i}`))))
    expect(new Set(after.map(({ node }) => node))).toEqual(new Set([one.name]))
    for (let i = 0; i < 20; i++) expect(String(one.whereis(`before${i}`))).toBe(String(before[i]))
    expect((await two.start(Counter, via('by hand'))).node).toBe(two.name)
    two.cordon(false)
    while (one.members().find(({ name }) => name === two.name)?.cordoned !== false) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    const again = await Promise.all(Array.from({ length: 20 }, (_, i) => one.spawn(Counter, via(`again${i}`))))
    expect(new Set(again.map(({ node }) => node)).size).toBe(2)
  })
})

describe('the configuration of the admin listener', () => {
  const faultsOf = (admin: unknown): string[] => configFaults({ name: 'n', cluster: 'c', admin })

  it.each([
    ['127.0.0.1:4380'],
    ['0.0.0.0:4380'],
    [{ listen: '[::1]:0' }],
    [{ listen: 'localhost:4380', token }],
    [undefined],
  ])('may be %j', (admin) => {
    expect(faultsOf(admin)).toEqual([])
  })

  it.each([
    [4380, /^admin must be host:port/],
    ['4380', /^admin: '4380' has no port/],
    [['127.0.0.1:1'], /^admin must be host:port/],
    [{}, /^admin\.listen must be host:port/],
    [{ listen: '127.0.0.1:99999' }, /^admin\.listen: '99999'/],
    [{ listen: '127.0.0.1:1', token: 'short' }, /^admin\.token must be a text of at least 16/],
    [{ listen: '127.0.0.1:1', token: 'with a space in the middle' }, /^admin\.token/],
    [{ listen: '127.0.0.1:1', tokens: token }, /^admin: tokens is not a key/],
  ])('may not be %j', (admin, text) => {
    expect(faultsOf(admin)).toEqual([expect.stringMatching(text)])
  })

  it('never shows a token that is wrong', () => {
    expect(faultsOf({ listen: '127.0.0.1:1', token: 'my secret' }).join()).not.toContain('my secret')
  })
})
