/**
 * Discovery from a JSON document that some service has at an address: an inventory, a metadata service, a file on a web
 * server.
 */
import type { Discovery, DiscoveryContext } from './discovery.js'
import { type PollOptions, polled } from './polled.js'
import { portOf, withPort } from './port.js'

const defaultMaxBytes = 1024 * 1024
const maxRedirects = 5
/** Where Rancher 1.x says what a container may know of its service. */
const rancherAddress = 'http://rancher-metadata/latest/self/service'

export interface UrlOptions extends PollOptions {
  /** Sent with each request, and to this origin only: a redirect to another one is a failure then. */
  readonly headers?: Readonly<Record<string, string>>
  /** The peers (`host:port`) in the document; default: it is the list itself. May throw. */
  readonly pick?: (document: unknown) => readonly string[]
  /** A larger document is a failure. Default 1 MiB. */
  readonly maxBytes?: number
}

/** The peers named by a JSON document, asked for by GET. Throws a TypeError at a bad address or options. */
export function url(address: string | URL, options: UrlOptions = {}): Discovery {
  const { pick = (document) => document as readonly string[] } = options
  if (typeof pick !== 'function')
    throw new TypeError('url: pick is a function from the document to a list of addresses')
  return documentStrategy('url', address, options, pick)
}

export interface RancherOptions extends PollOptions {
  /** At which the containers listen; default: the port of this node itself. */
  readonly port?: number
  /** Of the metadata; default: those of this container's own service. */
  readonly address?: string | URL
}

/** The containers of a service of Rancher 1.x, by its metadata. Throws a TypeError at bad options. */
export function rancher(options: RancherOptions = {}): Discovery {
  const port = portOf(options.port)
  return documentStrategy('rancher', options.address ?? rancherAddress, options, (document, context) =>
    containersOf(document).map((host) => addressOf(host, port(context))),
  )
}

/** One that is none is passed on as it is: it is told, and the others count. */
function addressOf(host: string, port: number): string {
  try {
    return withPort(host, port)
  } catch {
    return host
  }
}

interface Container {
  readonly primary_ip?: unknown
}

/** One that still starts has no address yet. */
function containersOf(document: unknown): string[] {
  const { containers } = (document ?? {}) as { readonly containers?: readonly (Container | null)[] }
  if (!Array.isArray(containers)) throw new TypeError('the metadata have no list of containers')
  const hosts = (containers as readonly (Container | null)[]).map((container) => container?.primary_ip)
  return hosts.filter((host): host is string => typeof host === 'string' && host !== '')
}

function documentStrategy(
  of: string,
  address: string | URL,
  options: Omit<UrlOptions, 'pick'>,
  pick: (document: unknown, context: DiscoveryContext) => unknown,
): Discovery {
  const { headers = {}, maxBytes = defaultMaxBytes } = options
  const target = checkedAddress(of, address)
  checkHeaders(of, headers)
  if (!(Number.isInteger(maxBytes) && maxBytes > 0)) throw new TypeError(`${of}: maxBytes is a number of bytes`)
  // Without the query, which may have a secret.
  const where = target.origin + target.pathname
  return polled(`${of}(${where})`, options, async (signal, context) => {
    const text = await textAt(target, headers, maxBytes, signal).catch((error: Error) => {
      throw new Error(`${where} ${reasonOf(error)}`, { cause: error })
    })
    const picked = pick(parsed(text, where), context)
    if (Array.isArray(picked) && picked.every((one) => typeof one === 'string')) return picked
    throw new TypeError(`${where} has no list of addresses: \`pick\` says where in the document they are`)
  })
}

async function textAt(
  target: URL,
  own: Readonly<Record<string, string>>,
  maxBytes: number,
  signal: AbortSignal,
): Promise<string> {
  const headers = { accept: 'application/json', ...own }
  let from = target
  for (let hops = 0; hops <= maxRedirects; hops++) {
    const response = await fetch(from, { headers, redirect: 'manual', signal })
    const to = response.headers.get('location')
    if (response.ok) return await bodyOf(response, maxBytes)
    await response.body?.cancel()
    if (response.status < 300 || response.status >= 400 || to === null) {
      throw new Error(`answered ${response.status} ${response.statusText}`.trimEnd())
    }
    from = redirected(from, to, Object.keys(own).length > 0)
  }
  throw new Error(`leads on more than ${maxRedirects} times`)
}

/** Headers go to the origin that they were given for and no other, and nothing leads from https back to http. */
function redirected(from: URL, to: string, hasHeaders: boolean): URL {
  const next = URL.canParse(to, from.href) ? new URL(to, from.href) : undefined
  if (next === undefined || !isWeb(next)) throw new Error('leads to what is no address of the web')
  if (next.origin === from.origin) return next
  if (hasHeaders) throw new Error(`leads to ${next.origin}, which must not get the headers`)
  if (from.protocol === 'https:' && next.protocol === 'http:') throw new Error(`leads from https to ${next.origin}`)
  return next
}

/** Counted while it is read, after decompression. */
async function bodyOf(response: Response, maxBytes: number): Promise<string> {
  const parts: Uint8Array[] = []
  let length = 0
  // Leaving the loop ends the connection.
  for await (const part of response.body ?? []) {
    length += part.length
    if (length > maxBytes) throw new Error(`is larger than ${maxBytes} bytes`)
    parts.push(part)
  }
  return new TextDecoder().decode(Buffer.concat(parts))
}

function parsed(text: string, where: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Error(`${where} is not JSON`, { cause: error })
  }
}

/** fetch says 'fetch failed', and why in the cause. */
function reasonOf(error: Error): string {
  if (error.message !== 'fetch failed') return error.message
  const { code, message } = (error.cause ?? {}) as NodeJS.ErrnoException
  return `cannot be reached (${code ?? message})`
}

function checkedAddress(of: string, address: string | URL): URL {
  const fault = new TypeError(`${of} takes the address of a document, such as https://inventory.example/peers.json`)
  if (!URL.canParse(String(address))) throw fault
  const target = new URL(String(address))
  if (!isWeb(target)) throw fault
  if (target.username !== '' || target.password !== '') {
    throw new TypeError(`${of}: user and password belong into a header (authorization), not into the address`)
  }
  return target
}

function isWeb(target: URL): boolean {
  return target.protocol === 'http:' || target.protocol === 'https:'
}

function checkHeaders(of: string, headers: Readonly<Record<string, string>>): void {
  try {
    new Headers(headers)
  } catch (cause) {
    throw new TypeError(`${of}: headers is an object of names and values as HTTP allows them`, { cause })
  }
}
