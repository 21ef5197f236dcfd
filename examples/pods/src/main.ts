/**
 * One node in a container: counters that live on exactly one of the pods, and a page that counts. All that differs from
 * one pod to the next comes from the environment, so that one image serves every place:
 *
 *   NODE_NAME     unique in the cluster; default the host's name, which is the pod's
 *   CLUSTER       nodes of another one are refused; default `counter`
 *   SECRET_FILE   file with what the nodes prove to each other, or SECRET itself; several while it is changed, a line each
 *   LISTEN        for other nodes; default `0.0.0.0:4370`, where there is IPv6 alone `[::]:4370`
 *   POD_IP        where other nodes reach this one; default the first IPv4 address of this host, or IPv6 where there is none
 *   ADMIN, HTTP   for probes and for callers; default `0.0.0.0:4380` and `0.0.0.0:8080`
 *   DISCOVERY     how nodes find each other, see `strategies`; default `local`
 *   EXPECT        how many nodes a new cluster is waited for, half a minute long; default 1
 *
 * SIGTERM hands the counters over and ends the process with code 0: that is built in.
 */

import { readFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import { hostname } from 'node:os'
import {
  compose,
  type Discovery,
  defineActor,
  dns,
  gossip,
  isSkepError,
  kubernetes,
  kubernetesDns,
  kubernetesSrv,
  localPeers,
  type SkepNode,
  startNode,
  staticPeers,
  via,
} from 'skep'

const Counter = defineActor('counter', {
  init: (start: number) => ({ n: start }),
  on: {
    increment: (self) => {
      self.state.n += 1
      return self.state.n
    },
  },
})

/** Something is missing or wrong in the environment: said in one line, without a stack. */
class Misconfigured extends Error {}

/** An empty variable is one that is not set: that is all a manifest can say. */
function env(name: string): string | undefined {
  return process.env[name]?.trim() || undefined
}

function needed(name: string): string {
  const value = env(name)
  if (value === undefined) throw new Error(`${name} is not set`)
  return value
}

const listen = env('LISTEN') ?? '0.0.0.0:4370'
const port = Number(listen.slice(listen.lastIndexOf(':') + 1))

/** By the values of DISCOVERY, with the variables that each needs. */
const strategies: Readonly<Record<string, () => Discovery>> = {
  local: () => localPeers(),
  static: () => staticPeers(needed('PEERS').split(/[\s,]+/)),
  kubernetes: () => kubernetes({ service: needed('SERVICE'), ...namespace(), port }),
  'kubernetes-dns': () => kubernetesDns({ service: needed('SERVICE'), ...namespace(), port }),
  'kubernetes-srv': () => kubernetesSrv({ service: needed('SERVICE'), ...namespace(), portName: 'cluster' }),
  compose: () => compose({ service: needed('SERVICE'), port }),
  dns: () => dns(needed('SERVICE'), { port }),
  gossip: () => gossip(),
}

/** The pod's own, where the manifest does not say. */
function namespace(): { readonly namespace?: string } {
  const given = env('NAMESPACE')
  return given === undefined ? {} : { namespace: given }
}

function discovery(): Discovery {
  const asked = env('DISCOVERY') ?? 'local'
  const found = Object.hasOwn(strategies, asked) ? strategies[asked] : undefined
  if (found === undefined) {
    throw new Misconfigured(`DISCOVERY is one of ${Object.keys(strategies).join(', ')}, not '${asked}'`)
  }
  try {
    return found()
  } catch (error) {
    throw new Misconfigured(`DISCOVERY=${asked}: ${(error as Error).message}`)
  }
}

function secret(): string[] | undefined {
  const file = env('SECRET_FILE')
  const text = file === undefined ? env('SECRET') : read(file)
  return text
    ?.split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new Misconfigured(`SECRET_FILE cannot be read: ${(error as Error).message}`)
  }
}

/** `[v6]:port`, or `host:port`. */
function at(host: string): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function log(level: 30 | 50, msg: string, more: object = {}): void {
  console.log(JSON.stringify({ level, time: new Date().toISOString(), component: 'app', ...more, msg }))
}

async function start(): Promise<SkepNode> {
  const ip = env('POD_IP')
  return startNode({
    name: env('NODE_NAME') ?? hostname(),
    cluster: env('CLUSTER') ?? 'counter',
    listen,
    advertise: ip === undefined ? undefined : at(ip),
    secret: secret(),
    admin: env('ADMIN') ?? '0.0.0.0:4380',
    discovery: discovery(),
    // Fewer than that go on, too: a cluster that was scaled down must be able to start.
    formation: { expect: Number(env('EXPECT') ?? 1), within: 30_000, otherwise: 'continue' },
    actors: [Counter],
  })
}

const node = await start().catch((error: unknown) => {
  if (!(error instanceof Misconfigured || isSkepError(error))) throw error
  log(50, error.message)
  process.exit(1)
})

/** `GET /counter/NAME`: one more, wherever the counter of that name lives; it is started where there is none. */
async function count(name: string, response: ServerResponse): Promise<void> {
  try {
    const value = await node.ensure(Counter, via(name), 0).increment()
    reply(response, 200, { name, value, livesOn: node.whereis(name)?.node, answeredBy: node.name })
  } catch (error) {
    // `sent` says whether the increment may have happened: only with 'no' may a caller try again without counting twice.
    const known = isSkepError(error) ? { error: error.code, sent: error.sent } : { error: 'ERR_UNKNOWN' }
    log(50, `counter '${name}' did not answer`, { ...known, reason: String(error) })
    reply(response, 503, known)
  }
}

function reply(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(`${JSON.stringify(body)}\n`)
}

const server = createServer((request, response) => {
  const name = /^\/counter\/([\w.-]{1,64})$/.exec(request.url ?? '')?.[1]
  if (name === undefined) return reply(response, 404, { error: 'ask for /counter/NAME' })
  if (request.method !== 'GET') return reply(response, 405, { error: '/counter/NAME takes GET' })
  void count(name, response)
})

const http = env('HTTP') ?? '0.0.0.0:8080'
const colon = http.lastIndexOf(':')
server.listen(Number(http.slice(colon + 1)), http.slice(0, colon).replace(/^\[|\]$/g, ''), () => {
  log(30, `counters at http://${http}/counter/NAME`)
})
