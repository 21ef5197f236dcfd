/**
 * Discovery on one host without configuration: every node puts a small file into a directory of its user and cluster
 * under the system's directory for temporary files, and reads those of the others.
 *
 * The directory belongs to the user alone (0700) and is refused otherwise, since whoever can write there can send this
 * node anywhere. Files of processes that are gone are removed; rubbish is passed over. A node whose file was removed
 * by mistake (another container with the same directory sees other process ids) writes it again. The last one out
 * removes the directories.
 */
import { createHash } from 'node:crypto'
import { lstat, mkdir, readdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { isBoot } from '../core/frames.js'
import { bellOf, type Discovery, titled } from './discovery.js'
import { watchDirectory } from './file.js'

/** How often the directory is read besides what the system reports: often at first, when nodes start together. */
const pollFirstMs = 250
const pollLaterMs = 2000
const pollFirstFor = 20
/** A file of a node is some hundred bytes. */
const maxFileBytes = 4096
const maxFiles = 1024
const maxNameBytes = 255

export interface LocalPeersOptions {
  /** The directory in which the one of the user is made; default: the system's for temporary files. */
  readonly directory?: string
}

interface Entry {
  readonly boot: string
  readonly address: string
  readonly pid: number
}

/** Every node of this cluster on this host, of the same user. */
export function localPeers(options: LocalPeersOptions = {}): Discovery {
  return titled('localPeers', async function* (context) {
    const parent = options.directory ?? tmpdir()
    const directory = await ownDirectory(parent, context.self.cluster)
    // The last node of an earlier cluster may remove the directory just now.
    const appear = (): Promise<void> =>
      publish(directory, entry).catch(async () => {
        await ownDirectory(parent, context.self.cluster)
        await publish(directory, entry)
      })
    const entry: Entry = { boot: context.self.boot, address: context.self.address, pid: process.pid }
    const bell = bellOf(context)
    const stopWatching = watchDirectory(directory, bell.strike)
    let last: string | undefined
    try {
      // Written before the others are read: of two nodes that start together at least one sees the other.
      await appear()
      for (let round = 0; !context.signal.aborted; round++) {
        const entries = await readEntries(directory)
        if (!entries.some((one) => one.boot === entry.boot)) await appear()
        const addresses = entries.filter((one) => one.boot !== entry.boot).map((one) => one.address)
        const answer = [...new Set(addresses)].sort()
        if (answer.join() !== last || bell.asked()) yield answer
        last = answer.join()
        await bell.next(round < pollFirstFor ? pollFirstMs : pollLaterMs)
      }
    } finally {
      bell.close()
      stopWatching()
      await rm(join(directory, fileName(entry.boot)), { force: true })
      await removeEmpty(directory)
    }
  })
}

/** The directory of the cluster, and that of the user, unless somebody is still in them. */
async function removeEmpty(directory: string): Promise<void> {
  try {
    await rmdir(directory)
    await rmdir(dirname(directory))
  } catch {
    // Not empty, or another node was faster.
  }
}

/** The directory of this user and cluster, made where it does not exist. Throws where it is not this user's alone. */
async function ownDirectory(parent: string, cluster: string): Promise<string> {
  const user = userInfo()
  const base = join(parent, `skep-${user.uid >= 0 ? user.uid : encodeName(user.username)}`)
  const directory = join(base, directoryName(cluster))
  for (const path of [base, directory]) {
    await mkdir(path, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
    const stat = await lstat(path)
    if (!stat.isDirectory()) throw new Error(`${path} is not a directory`)
    if (user.uid < 0) continue
    if (stat.uid !== user.uid) throw new Error(`${path} belongs to another user`)
    if ((stat.mode & 0o022) !== 0) throw new Error(`${path} can be written by others: its mode must be 0700`)
  }
  return directory
}

/** File systems take 255 bytes. What stands for a longer name has a sign in it that no encoded one has. */
function directoryName(cluster: string): string {
  const name = encodeName(cluster)
  if (name.length <= maxNameBytes) return name
  return `${name.slice(0, 100)}+${createHash('sha256').update(cluster).digest('hex')}`
}

/** A name as one of a file: what is not plain becomes =hex, so different names never meet in one file. */
function encodeName(name: string): string {
  return [...Buffer.from(name)]
    .map((byte) =>
      /[A-Za-z0-9_-]/.test(String.fromCharCode(byte))
        ? String.fromCharCode(byte)
        : `=${byte.toString(16).padStart(2, '0')}`,
    )
    .join('')
}

function fileName(boot: string): string {
  return `${boot}.json`
}

/** Written beside and renamed, so that nobody reads half a file. */
async function publish(directory: string, entry: Entry): Promise<void> {
  const path = join(directory, fileName(entry.boot))
  const draft = `${path}.${process.pid}.draft`
  await writeFile(draft, JSON.stringify(entry), { mode: 0o600 })
  await rename(draft, path)
}

async function readEntries(directory: string): Promise<Entry[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    return []
  })
  const entries = await Promise.all(names.slice(0, maxFiles).map((name) => readEntry(directory, name)))
  return entries.filter((entry) => entry !== undefined)
}

/** A living node's entry; undefined for anything else. Files that dead processes left are removed. */
async function readEntry(directory: string, name: string): Promise<Entry | undefined> {
  const path = join(directory, name)
  const draftOf = /\.json\.(\d{1,10})\.draft$/.exec(name)?.[1]
  if (draftOf !== undefined && !isAlive(Number(draftOf))) await rm(path, { force: true })
  if (!name.endsWith('.json')) return undefined
  try {
    const stat = await lstat(path)
    if (!stat.isFile() || stat.size > maxFileBytes) return undefined
    const entry = parseEntry(await readFile(path, 'utf8'))
    if (!entry || fileName(entry.boot) !== name) return undefined
    if (isAlive(entry.pid)) return entry
    await rm(path, { force: true })
    return undefined
  } catch {
    // Gone between the list and the look, or not readable: no hint.
    return undefined
  }
}

function parseEntry(text: string): Entry | undefined {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null) return undefined
  const { boot, address, pid } = value as Record<string, unknown>
  if (!isBoot(boot) || typeof address !== 'string' || typeof pid !== 'number') return undefined
  return Number.isInteger(pid) && pid > 0 ? { boot, address, pid } : undefined
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it exists, as another user's.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
