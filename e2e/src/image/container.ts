/**
 * Runs an image as an engine does: its command as process 1 of namespaces of its own, as its user, over its root file
 * system, which is read-only, without any capability and with no way to get one. `bwrap` sets that up and then becomes
 * the command; what waits outside only passes its exit code on. On a host of a network that is given.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { command } from '../net/commands.js'
import type { Host } from '../net/network.js'
import { within } from '../scenario.js'
import type { Image } from './build.js'

export interface ContainerOptions {
  readonly name: string
  readonly env: Readonly<Record<string, string>>
  /** Folders that are seen inside, read-only: inside, outside. */
  readonly mounts?: Readonly<Record<string, string>>
}

export interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

export interface Container {
  readonly name: string
  /** Of process 1, as seen from outside. */
  readonly pid: number
  /** What it wrote so far. */
  output(): string
  /** Its exit code, once it has ended; null when it was killed. */
  readonly exited: Promise<number | null>
  /** Runs one more command inside, as the same user; rejects when that ends with other than 0. */
  exec(argv: readonly string[]): Promise<string>
  /** Asks over HTTP, from inside. */
  get(url: string): Promise<Answer>
  kill(signal: NodeJS.Signals): void
}

const FETCH = `fetch(process.argv[1]).then(async (r) => console.log(JSON.stringify({ status: r.status, body: await r.json() })))`

export async function runContainer(image: Image, host: Host, options: ContainerOptions): Promise<Container> {
  const { config, root } = image
  const [uid = '', gid = ''] = config.User.split(':')
  const environment = [...config.Env, ...Object.entries(options.env).map((pair) => pair.join('='))]
  const mounts = Object.entries(options.mounts ?? {}).flatMap(([inside, outside]) => ['--ro-bind', outside, inside])
  const namespaces = ['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--hostname', options.name, '--as-pid-1']
  const files = ['--ro-bind', root, '/', '--proc', '/proc', '--dev', '/dev', ...mounts, '--chdir', config.WorkingDir]
  const ends = ['--die-with-parent', '--info-fd', '3', '--']
  // A true change of the user, which a mapping of root to his number would not be.
  const user = [
    'setpriv',
    `--reuid=${uid}`,
    `--regid=${gid}`,
    '--clear-groups',
    '--bounding-set=-all',
    '--no-new-privs',
  ]
  const argv = [...host.under, 'bwrap', ...namespaces, ...files, ...ends, 'env', '-i', ...environment, ...user]
  const child = spawn(argv[0] ?? '', [...argv.slice(1), ...config.Cmd], { stdio: ['ignore', 'pipe', 'pipe', 'pipe'] })
  const output = collected(child)
  const exited = new Promise<number | null>((resolve) => child.on('close', resolve))
  const pid = await within(20_000, `${options.name} starts`, pidOf(child, output))
  const exec = (inside: readonly string[]): Promise<string> => {
    const enter = [
      'nsenter',
      '--target',
      String(pid),
      '--mount',
      '--net',
      '--pid',
      '--ipc',
      '--uts',
      '--root',
      '--wd=/',
    ]
    return command([...enter, 'env', '-i', ...environment, ...user, ...inside])
  }
  return {
    name: options.name,
    pid,
    output,
    exited,
    exec,
    get: async (url) => JSON.parse(await exec(['node', '-e', FETCH, url])) as Answer,
    kill: (signal) => {
      // What is outside waits for what is inside, and that is whom an engine signals.
      if (child.exitCode === null && child.signalCode === null) process.kill(pid, signal)
    },
  }
}

function collected(child: ChildProcess): () => string {
  let wrote = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      wrote += chunk
    })
  }
  return () => wrote
}

/** As `bwrap` tells it, on its third stream. */
function pidOf(child: ChildProcess, output: () => string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => reject(new Error(`no container, code ${code}: ${output()}`)))
    let told = ''
    child.stdio[3]?.on('data', (chunk: Buffer) => {
      told += chunk
      const pid = Number(/"child-pid": (\d+)/.exec(told)?.[1])
      if (pid > 0) resolve(pid)
    })
  })
}
