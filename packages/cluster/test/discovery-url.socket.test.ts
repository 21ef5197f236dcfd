import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { rancher, url } from '../src/index.js'
import { ask, first } from './strategies.js'

interface Web {
  readonly origin: string
  answer: RequestListener
}

const servers: Server[] = []

async function startWeb(): Promise<Web> {
  const server = createServer((request, response) => web.answer(request, response)).listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  const web: Web = { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, answer: json([]) }
  return web
}

const json =
  (document: unknown): RequestListener =>
  (_, response) =>
    response.setHeader('content-type', 'application/json').end(JSON.stringify(document))

const redirect =
  (status: number, to: string): RequestListener =>
  (_, response) =>
    response.writeHead(status, { location: to }).end()

describe('url', () => {
  let web: Web
  let address: string
  const options = { intervalMs: 10, timeoutMs: 2000 }

  beforeEach(async () => {
    web = await startWeb()
    address = `${web.origin}/peers?token=secret`
  })
  afterEach(async () => {
    for (const server of servers.splice(0)) {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    }
  })

  it('has the list in the document, and the next one when it changes', async () => {
    web.answer = json(['a.test:1', 'b.test:1'])
    const peers = ask(url(address, options))
    expect(await peers.next()).toEqual(['a.test:1', 'b.test:1'])
    web.answer = json([])
    expect(await peers.next()).toEqual([])
    await peers.end()
  })

  it('picks the addresses in another document, and sends headers', async () => {
    const asked: unknown[] = []
    web.answer = (request, response) => {
      asked.push([request.headers.accept, request.headers['x-token']])
      json({ nodes: [{ host: 'a', port: 7 }] })(request, response)
    }
    const pick = (document: unknown): string[] =>
      (document as { nodes: { host: string; port: number }[] }).nodes.map(({ host, port }) => `${host}:${port}`)
    expect(await first(url(new URL(address), { ...options, headers: { 'X-Token': 't' }, pick }))).toEqual(['a:7'])
    expect(asked).toEqual([['application/json', 't']])
  })

  const failures: [string, RequestListener, RegExp][] = [
    ['500', (_, response) => response.writeHead(500).end('["a.test:1"]'), /peers answered 500 Internal Server Error$/],
    ['404', (_, response) => response.writeHead(404).end(), /answered 404/],
    ['304 without a place', (_, response) => response.writeHead(304).end(), /answered 304/],
    ['no JSON', (_, response) => response.end('<html>'), /peers is not JSON$/],
    ['nothing', (_, response) => response.end(), /is not JSON/],
    ['an object', json({ peers: [] }), /has no list of addresses: `pick` says where/],
    ['null', json(null), /has no list of addresses/],
    ['text', json('a.test:1'), /has no list of addresses/],
    ['numbers', json(['a.test:1', 7]), /has no list of addresses/],
    ['a huge document', (_, response) => response.end(`["${'x'.repeat(5000)}"]`), /is larger than 4096 bytes/],
    [
      'a small one that grows huge when it is unpacked',
      (_, response) => response.setHeader('content-encoding', 'gzip').end(gzipSync(`["${'x'.repeat(5_000_000)}"]`)),
      /is larger than 4096 bytes/,
    ],
    [
      'an endless one',
      (_, response) => endless(() => response.write('x'.repeat(1000)) && !response.destroyed),
      /larger/,
    ],
    [
      'half of one',
      (request, response) => response.writeHead(200, { 'content-length': 99 }).write('[', () => request.destroy()),
      /terminated|reached/,
    ],
    ['a cut', (request) => request.destroy(), /cannot be reached \(/],
    ['a redirect in a circle', redirect(302, '/peers'), /leads on more than 5 times/],
    ['a redirect to a file', redirect(302, 'file:///etc/hosts'), /leads to what is no address of the web/],
    ['a redirect to nowhere', redirect(302, 'http://'), /leads to what is no address of the web/],
  ]
  it.each(failures)('fails at %s, in a sentence without the secrets of the address', async (_, answer, text) => {
    web.answer = answer
    const failed = await first(url(address, { ...options, maxBytes: 4096 })).catch((error: Error) => error)
    expect(failed).toBeInstanceOf(Error)
    expect((failed as Error).message).toMatch(text)
    expect((failed as Error).message).not.toContain('secret')
  })

  it('fails when there is no answer, or no end of it, in time', async () => {
    web.answer = () => {}
    await expect(first(url(address, { timeoutMs: 50 }))).rejects.toThrow('no answer within 50 ms')
    web.answer = (_, response) => response.write('["a.test')
    await expect(first(url(address, { timeoutMs: 50 }))).rejects.toThrow('no answer within 50 ms')
  })

  it('fails where pick throws, with what it says', async () => {
    const pick = (): never => {
      throw new Error('no nodes in it')
    }
    await expect(first(url(address, { ...options, pick }))).rejects.toThrow('no nodes in it')
  })

  it('follows a redirect within the origin with its headers, and to another one only without any', async () => {
    const other = await startWeb()
    const seen: (string | undefined)[] = []
    other.answer = (request, response) => {
      seen.push(request.headers['x-token'] as string | undefined)
      json(['other.test:1'])(request, response)
    }
    web.answer = (request, response) => {
      if (request.url === '/new' && request.headers['x-token'] === 't') return json(['new.test:1'])(request, response)
      redirect(307, '/new')(request, response)
    }
    const withHeaders = url(address, { ...options, headers: { 'x-token': 't' } })
    expect(await first(withHeaders)).toEqual(['new.test:1'])
    web.answer = redirect(301, `${other.origin}/`)
    expect(await first(url(address, options))).toEqual(['other.test:1'])
    await expect(first(withHeaders)).rejects.toThrow(`leads to ${other.origin}, which must not get the headers`)
    expect(seen).toEqual([undefined])
  })

  it('has the containers of a service of Rancher that have an address already', async () => {
    const accepted: (string | undefined)[] = []
    web.answer = (request, response) => {
      accepted.push(request.headers.accept)
      const containers = [{ primary_ip: '10.42.0.2', name: 'a' }, { primary_ip: '' }, { name: 'c' }, null]
      json({ name: 'web', containers: [...containers, { primary_ip: '10.42.0.1' }] })(request, response)
    }
    expect(await first(rancher({ ...options, address, port: 7 }))).toEqual(['10.42.0.1:7', '10.42.0.2:7'])
    expect(await first(rancher({ ...options, address }))).toEqual(['10.42.0.1:1', '10.42.0.2:1'])
    expect(accepted).toEqual(['application/json', 'application/json'])
    // One that is no address is left to whoever tells of bad ones; it hides nobody.
    web.answer = json({ containers: [{ primary_ip: 'not yet' }, { primary_ip: '10.42.0.1' }] })
    expect(await first(rancher({ ...options, address, port: 7 }))).toEqual(['10.42.0.1:7', 'not yet'])
    web.answer = json({ code: 404 })
    await expect(first(rancher({ ...options, address }))).rejects.toThrow('the metadata have no list of containers')
  })
})

/** Writes as long as somebody reads. */
function endless(write: () => boolean): void {
  const more = (): void => void (write() && setImmediate(more))
  more()
}
