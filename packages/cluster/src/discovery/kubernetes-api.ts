/**
 * The two questions that are asked of the Kubernetes API: a GET that ends (a page of a list) and a GET that goes on (a
 * watch, a JSON document a line). Plain `node:https`; who asks when, and again, is decided in `kubernetes-watch.ts`.
 *
 * It fails closed: without a certificate authority of the cluster there is no request, and the token goes to nobody who
 * cannot show a certificate of it. The files of the service account are read for every request, for the kubelet
 * rewrites the token at 80 % of its hour. Whatever the server does, a request ends: it is bounded in time and in bytes.
 */
import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { join } from 'node:path'
import { textOf } from './discovery.js'

export const serviceAccountPath = '/var/run/secrets/kubernetes.io/serviceaccount'
/** Of an answer that says why not. */
const maxFaultBytes = 64 * 1024
/** Of what it says, in a message of ours. */
const maxFaultChars = 300
/** A server that wants us to wait for longer is asked again after this time all the same. */
const maxRetryAfterMs = 5 * 60_000
/** The kernel asks a silent connection whether the other side still lives: a host that died ends a watch in a minute. */
const keepAliveMs = 30_000

export interface ApiAccess {
  /** Of the API, `https:`; undefined: what the environment of the pod says. */
  readonly apiServer: URL | undefined
  /** Certificates in PEM; undefined: the file of the service account. */
  readonly ca: string | undefined
  /** A token that never changes; undefined: the file, read anew for every request. */
  readonly token: string | undefined
  readonly tokenFile: string
  readonly caFile: string
}

export interface ApiRequest {
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  /** For messages: `list pods in namespace 'prod'`. */
  readonly what: string
  /** Added to the message at a 403. */
  readonly forbidden: string
  readonly signal: AbortSignal
  /** Until the answer begins, and, of a list, until it is complete. */
  readonly timeoutMs: number
  /** Of a list: the whole; of a watch: a line. */
  readonly maxBytes: number
}

/** Why a request failed: `status` where the server answered, undefined where it did not. */
export class ApiFailure extends Error {
  readonly status: number | undefined
  /** What the server asks for before the next request. */
  readonly retryAfterMs: number

  constructor(text: string, fields: { status?: number | undefined; retryAfterMs?: number; cause?: unknown } = {}) {
    super(text, { cause: fields.cause })
    this.name = 'ApiFailure'
    this.status = fields.status
    this.retryAfterMs = fields.retryAfterMs ?? 0
  }
}

/** The answer of a GET, parsed. Throws an ApiFailure. */
export function getJson(access: ApiAccess, asked: ApiRequest): Promise<unknown> {
  return exchange(access, asked, async (response) => {
    const text = await bodyOf(response, asked.maxBytes)
    return JSON.parse(text)
  })
}

/** Who reads a GET that goes on. */
export interface Reader {
  /** The answer has begun. */
  opened(): void
  /** A batch of whole lines; false: no more of them. */
  take(lines: readonly string[]): boolean
}

/**
 * Reads a GET that goes on, until the server ends it or the reader has enough. One that has not ended after `lastsMs`,
 * when the server was asked to end it earlier, is ended from here: nothing can come of it any more. Throws an ApiFailure.
 */
export function getLines(access: ApiAccess, asked: ApiRequest, lastsMs: number, reader: Reader): Promise<void> {
  return exchange(access, asked, async (response, extend) => {
    extend(lastsMs)
    reader.opened()
    let rest: Buffer[] = []
    let bytes = 0
    for await (const chunk of response as AsyncIterable<Buffer>) {
      const end = chunk.lastIndexOf(0x0a)
      if (end < 0) {
        rest.push(chunk)
        bytes += chunk.length
      } else {
        const lines = Buffer.concat([...rest, chunk.subarray(0, end)])
          .toString('utf8')
          .split('\n')
        rest = [chunk.subarray(end + 1)]
        bytes = chunk.length - end - 1
        if (!reader.take(lines.filter((line) => line.trim() !== ''))) return
      }
      if (bytes > asked.maxBytes) throw new Error(`a line of more than ${asked.maxBytes} bytes`)
    }
  })
}

/** Asks, once more after a 401: the token may have been rewritten just now. */
async function exchange<T>(access: ApiAccess, asked: ApiRequest, use: Use<T>): Promise<T> {
  try {
    return await attempt(access, asked, use)
  } catch (error) {
    if (!(error instanceof ApiFailure && error.status === 401 && access.token === undefined)) throw error
    return await attempt(access, asked, use)
  }
}

type Use<T> = (response: IncomingMessage, extend: (ms: number) => void) => Promise<T>

async function attempt<T>(access: ApiAccess, asked: ApiRequest, use: Use<T>): Promise<T> {
  try {
    const server = serverOf(access)
    const [ca, token] = [await caOf(access), await tokenOf(access)]
    return await converse(server, ca, token, asked, use)
  } catch (error) {
    if (error instanceof ApiFailure) throw error
    throw new ApiFailure(`the Kubernetes API could not be asked to ${asked.what}: ${textOf(error)}`, { cause: error })
  }
}

/** One request on a connection of its own, which is gone when this returns. */
async function converse<T>(server: URL, ca: string, token: string, asked: ApiRequest, use: Use<T>): Promise<T> {
  const sent = request({
    host: server.hostname.replace(/^\[|\]$/g, ''),
    port: server.port === '' ? 443 : Number(server.port),
    path: `${server.pathname.replace(/\/$/, '')}${asked.path}?${new URLSearchParams(asked.query)}`,
    headers: { authorization: `Bearer ${token}`, accept: 'application/json', 'user-agent': 'skep' },
    agent: false,
    ca,
    // Said, since an environment variable can turn it off otherwise.
    rejectUnauthorized: true,
  })
  let response: IncomingMessage | undefined
  let reason: Error | undefined
  const end = (error: Error): void => {
    reason ??= error
    if (response) response.destroy(error)
    else sent.destroy(error)
  }
  const stop = (): void => end(new Error('the node asks no more'))
  const late = (ms: number) => (): void => end(new Error(`no answer within ${ms} ms`))
  let timer = setTimeout(late(asked.timeoutMs), asked.timeoutMs)
  const extend = (ms: number): void => {
    clearTimeout(timer)
    timer = setTimeout(() => end(new Error(`the answer did not end within ${ms} ms`)), ms)
  }
  asked.signal.addEventListener('abort', stop)
  if (asked.signal.aborted) stop()
  try {
    response = await opened(sent)
    response.socket.setKeepAlive(true, keepAliveMs)
    if (response.statusCode !== 200) throw await refusal(response, asked)
    return await use(response, extend)
  } catch (error) {
    throw reason ?? error
  } finally {
    clearTimeout(timer)
    asked.signal.removeEventListener('abort', stop)
    sent.destroy()
  }
}

function opened(sent: ReturnType<typeof request>): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    // It stays: an error after the answer has begun is told by the answer, too.
    sent.on('error', reject)
    sent.on('response', resolve)
    sent.end()
  })
}

async function bodyOf(response: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxBytes) throw new Error(`an answer of more than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

async function refusal(response: IncomingMessage, asked: ApiRequest): Promise<ApiFailure> {
  const status = response.statusCode ?? 0
  const retryAfterMs = retryAfter(response.headers['retry-after'], Date.now())
  const fields = { status, retryAfterMs }
  if (status >= 300 && status < 400) {
    return new ApiFailure(
      `the Kubernetes API answered ${status} when asked to ${asked.what}: it is not followed`,
      fields,
    )
  }
  const said = messageOf(await bodyOf(response, maxFaultBytes).catch(() => ''))
  const hint = status === 403 ? `; ${asked.forbidden}` : ''
  return new ApiFailure(`the Kubernetes API answered ${status} when asked to ${asked.what}${said}${hint}`, fields)
}

/** What a Status says (`: …`), or the text of whoever answered instead, on one line. */
function messageOf(body: string): string {
  let message: unknown = body
  try {
    message = (JSON.parse(body) as { message?: unknown } | null)?.message
  } catch {
    // A proxy, or half of it.
  }
  const line = typeof message === 'string' ? message.replace(/\s+/g, ' ').trim() : ''
  if (line === '') return ''
  return `: ${line.length > maxFaultChars ? `${line.slice(0, maxFaultChars)}…` : line}`
}

/** Milliseconds of a Retry-After: seconds or a date (RFC 9110, 10.2.3); 0 where there is none. */
export function retryAfter(header: string | undefined, wall: number): number {
  if (header === undefined) return 0
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - wall
  return ms > 0 ? Math.min(ms, maxRetryAfterMs) : 0
}

function serverOf({ apiServer }: ApiAccess): URL {
  if (apiServer) return apiServer
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = process.env
  if (!host) throw new Error('there is no KUBERNETES_SERVICE_HOST: outside of a cluster, say `apiServer`')
  return new URL(`https://${host.includes(':') ? `[${host}]` : host}:${port}`)
}

/** Fails closed: with nothing here, TLS would trust every authority of the public web. */
async function caOf({ ca, caFile }: ApiAccess): Promise<string> {
  const pem = ca ?? (await readFile(caFile, 'utf8'))
  try {
    new X509Certificate(pem)
  } catch (error) {
    const where = ca === undefined ? caFile : '`ca`'
    throw new Error(`${where} holds no certificate in PEM, and without one the token is sent to nobody`, {
      cause: error,
    })
  }
  return pem
}

async function tokenOf({ token, tokenFile }: ApiAccess): Promise<string> {
  const text = (token ?? (await readFile(tokenFile, 'utf8'))).trim()
  if (!/^[\x21-\x7e]+$/.test(text)) throw new Error(`${token === undefined ? tokenFile : '`token`'} holds no token`)
  return text
}

/** The namespace of the service account. */
export async function namespaceOf(path: string): Promise<string> {
  const file = join(path, 'namespace')
  const namespace = (await readFile(file, 'utf8')).trim()
  if (!isLabelName(namespace)) throw new Error(`${file} holds no name of a namespace`)
  return namespace
}

/** RFC 1123, as Kubernetes names namespaces and Services. */
export function isLabelName(text: unknown): text is string {
  return typeof text === 'string' && /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text)
}
