/**
 * Questions to name servers, as strategies ask them: "there is no such name" and "there is nothing of this kind" are
 * empty answers (nobody is ready), everything else that is no answer is a failure. Of several questions what could be
 * had counts; only where nothing was found and one failed, the look-up has failed.
 *
 * They go to the servers of /etc/resolv.conf or to those given, never to /etc/hosts, and names are asked as they are
 * (no search domains). c-ares asks over TCP where an answer was truncated.
 */
import type { SrvRecord } from 'node:dns'
import { Resolver } from 'node:dns/promises'
import { isIP } from 'node:net'
import { parseAddress } from '../address.js'
import { LogLimiter } from '../log.js'
import { realTime } from '../time.js'
import type { Discovery, DiscoveryContext } from './discovery.js'
import { type PollOptions, polled, pollOptions } from './polled.js'

/** Names asked in one look-up, targets of SRV records among them: each is up to two questions. */
const maxNames = 1024
/** Names asked at once. */
const parallelNames = 16
/** So much of `timeoutMs` is for the questions: then those that have no answer are given up, and the others count. */
const questionShare = 0.9
/** A lost packet is sent again after this share of it: the second try has time, also where one of two servers is dead. */
const tryShare = 0.2
const tries = 2

export interface DnsOptions extends PollOptions {
  /** Which addresses: IPv4, IPv6 or (the default) both. */
  readonly family?: 4 | 6 | 'any'
  /** Name servers, `ip` or `ip:port` each; default: those of the system. */
  readonly servers?: readonly string[]
}

/** The questions of one look-up. */
export interface Questions {
  /** IP addresses of all names. */
  addresses(names: readonly string[]): Promise<string[]>
  /** SRV records of all names, each with the IP addresses of its target. */
  services(names: readonly string[]): Promise<{ readonly port: number; readonly addresses: readonly string[] }[]>
}

/** A strategy that asks name servers again and again. Throws a TypeError at bad options. */
export function nameServerStrategy(
  title: string,
  options: DnsOptions,
  lookup: (ask: Questions, context: DiscoveryContext) => Promise<readonly string[]>,
): Discovery {
  const { family = 'any', servers } = options
  if (family !== 4 && family !== 6 && family !== 'any') throw new TypeError(`family is 4, 6 or 'any'`)
  if (servers !== undefined) checkServers(servers)
  const questionMs = Math.ceil(pollOptions(options).timeoutMs * questionShare)
  const limiter = new LogLimiter(() => realTime.now())
  return polled(title, options, async (signal, context) => {
    // One of its own each time: it heeds a changed resolv.conf, and ends nobody else's questions.
    const resolver = new Resolver({ timeout: Math.ceil(questionMs * tryShare), tries })
    if (servers !== undefined) resolver.setServers(servers)
    let over = false
    const cancel = (): void => {
      over = true
      resolver.cancel()
    }
    const cancelTimer = realTime.setTimer(cancel, questionMs)
    signal.addEventListener('abort', cancel)
    const partly = (error: Error): void => {
      const count = limiter.count('partly')
      if (count > 0)
        context.logger.info({ err: error, count }, `${title} has only a part of the answer: ${error.message}`)
    }
    try {
      return await lookup(
        questionsOf(resolver, family, () => over, partly),
        context,
      )
    } finally {
      cancelTimer()
      signal.removeEventListener('abort', cancel)
    }
  })
}

function questionsOf(
  resolver: Resolver,
  family: 4 | 6 | 'any',
  over: () => boolean,
  partly: (error: Error) => void,
): Questions {
  /** `cancel` ends only what is under way: names that had to wait for their turn are not asked afterwards. */
  const asked = async <T>(name: string, question: () => Promise<T[]>): Promise<T[]> => {
    if (over()) throw new Error(`${name} ${faults.ECANCELLED}`)
    return answered(name, question())
  }
  const addressesOf = (name: string): Promise<string[]> => {
    const questions: (() => Promise<string[]>)[] = []
    if (family !== 6) questions.push(() => asked(name, () => resolver.resolve4(name)))
    if (family !== 4) questions.push(() => asked(name, () => resolver.resolve6(name)))
    return gathered(questions, partly)
  }
  const addresses = (names: readonly string[]): Promise<string[]> =>
    gathered(
      names.map((name) => () => addressesOf(name)),
      partly,
    )
  return { addresses, services }

  async function services(names: readonly string[]): ReturnType<Questions['services']> {
    const records = await gathered(
      names.map((name) => () => asked<SrvRecord>(name, () => resolver.resolveSrv(name))),
      partly,
    )
    // RFC 2782: the target '.' says that the service is decidedly not there.
    const there = records.filter((record) => record.name !== '' && record.name !== '.' && record.port !== 0)
    const targets = [...new Set(there.map((record) => record.name))].slice(0, maxNames)
    const found = await gathered(
      targets.map((target) => async () => {
        const addresses = await addressesOf(target)
        return addresses.length > 0 ? [[target, addresses] as const] : []
      }),
      partly,
    )
    const known = new Map(found)
    return there.map(({ name, port }) => ({ port, addresses: known.get(name) ?? [] }))
  }
}

/** What could be had of these questions. Throws where that is nothing and one of them failed. */
async function gathered<T>(questions: readonly (() => Promise<T[]>)[], partly: (error: Error) => void): Promise<T[]> {
  const found: T[] = []
  let failure: Error | undefined
  let next = 0
  const work = async (): Promise<void> => {
    for (let ask = questions[next++]; ask !== undefined; ask = questions[next++]) {
      try {
        found.push(...(await ask()))
      } catch (error) {
        failure ??= error as Error
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(parallelNames, questions.length) }, work))
  if (failure !== undefined && found.length === 0) throw failure
  if (failure !== undefined) partly(failure)
  return found
}

/** The answer; an empty one where the server says that there is none. Throws with a sentence otherwise. */
async function answered<T>(name: string, question: Promise<T[]>): Promise<T[]> {
  try {
    return await question
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    // NXDOMAIN and NODATA.
    if (code === 'ENOTFOUND' || code === 'ENODATA') return []
    throw new Error(`${name} ${faults[code] ?? `could not be looked up (${code})`}`, { cause: error })
  }
}

const faults: Readonly<Record<string, string>> = {
  ESERVFAIL: 'could not be looked up by the name server (SERVFAIL)',
  EREFUSED: 'is refused by the name server (REFUSED)',
  ETIMEOUT: 'was not answered by any name server in time',
  ECANCELLED: 'was not answered by any name server in time',
  ECONNREFUSED: 'could not be looked up: no name server listens',
  EBADRESP: 'was answered by the name server with rubbish',
}

/** A list of names, as strategies take them. Throws a TypeError where one is none. */
export function nameList(of: string, names: string | readonly string[]): readonly string[] {
  const list = typeof names === 'string' ? [names] : names
  if (!Array.isArray(list) || list.length === 0 || list.length > maxNames) {
    throw new TypeError(`${of} takes a host name or a list of them`)
  }
  for (const name of list) checkName(of, name)
  return [...list]
}

/** Throws a TypeError for what can not be asked: an IP address, among others. A dot at the end may be there. */
export function checkName(what: string, name: unknown): void {
  if (typeof name === 'string' && isIP(name) !== 0)
    throw new TypeError(`${what}: '${name}' is an address, no host name`)
  if (typeof name !== 'string' || name.length > 254 || !/^([A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?$/.test(name)) {
    throw new TypeError(`${what}: '${String(name)}' is not a host name`)
  }
}

/** How a strategy of these names is called in logs. */
export function titleOf(strategy: string, names: readonly string[]): string {
  const more = names.length > 1 ? ` and ${names.length - 1} more` : ''
  return `${strategy}(${names[0]}${more})`
}

function checkServers(servers: readonly string[]): void {
  const fault = new TypeError("servers are name servers' IP addresses such as 10.0.0.2, 10.0.0.2:53 or [fd00::2]:53")
  if (!Array.isArray(servers) || servers.length === 0 || servers.length > 16) throw fault
  for (const server of servers) {
    if (typeof server !== 'string') throw fault
    if (isIP(server) !== 0) continue
    const { host, port } = parseAddress(server)
    if (isIP(host) === 0 || port === 0) throw fault
  }
}
