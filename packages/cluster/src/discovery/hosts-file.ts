/**
 * Discovery from a text file that something else writes: one `host` or `host:port` a line, `#` begins a comment. It is
 * read when the system reports a change and every few seconds besides. The directory is watched, not the file: a file
 * that is replaced by a rename is another one, and in a mounted ConfigMap it is a link in the directory that changes.
 */
import { basename, dirname, resolve } from 'node:path'
import { LogLimiter } from '../log.js'
import { realTime } from '../time.js'
import { bellOf, type Discovery, type DiscoveryContext, pause, textOf, titled } from './discovery.js'
import { readSmallFile, watchDirectory } from './file.js'
import { type PollOptions, pollOptions } from './polled.js'
import { portOf, withPort } from './port.js'

/** Some ten thousand lines; of what is more than 4096 addresses nobody takes notice anyway. */
const maxFileBytes = 256 * 1024
/** Between a change and the look at it: a burst of changes is read once, mostly when its writer is done. */
const settleMs = 20
/** What is shown of a bad line. */
const shownLength = 80

export interface HostsFileOptions extends Pick<PollOptions, 'intervalMs'> {
  /** For lines without one; default: the port of this node itself. */
  readonly port?: number
}

/** All addresses of the file at `path`. A missing or unreadable one is a failure. Throws a TypeError at bad options. */
export function hostsFile(path: string, options: HostsFileOptions = {}): Discovery {
  if (typeof path !== 'string' || path === '') throw new TypeError('hostsFile takes the path of a text file')
  const file = resolve(path)
  const ownPort = portOf(options.port)
  const { intervalMs } = pollOptions(options)
  const limiter = new LogLimiter(() => realTime.now())
  return titled(`hostsFile(${path})`, async function* (context) {
    const bell = bellOf(context)
    const stopWatching = watchDirectory(dirname(file), (name) => {
      if (name === null || name === basename(file) || name === '..data') bell.strike()
    })
    let last: string | undefined
    try {
      while (!context.signal.aborted) {
        const text = await readSmallFile(file, maxFileBytes)
        if (text !== last || bell.asked()) yield addressesOf(text, ownPort(context), context, limiter)
        last = text
        await bell.next(intervalMs)
        await pause(realTime, settleMs, context.signal)
      }
    } finally {
      bell.close()
      stopWatching()
    }
  })
}

function addressesOf(text: string, port: number, { logger }: DiscoveryContext, limiter: LogLimiter): string[] {
  const addresses = new Set<string>()
  const bad: string[] = []
  for (const [index, line] of text.split('\n').entries()) {
    const host = line.replace(/#.*/, '').trim()
    if (host === '') continue
    try {
      addresses.add(withPort(host, port))
    } catch (error) {
      bad.push(`line ${index + 1}: ${textOf(error).slice(0, shownLength)}`)
    }
  }
  if (bad.length > 0 && limiter.count('bad lines') > 0) {
    logger.warn({ lines: bad.length }, `${bad.length} lines are no addresses and passed over, the first: ${bad[0]}`)
  }
  return [...addresses]
}
