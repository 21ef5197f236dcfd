/**
 * Builds the image of docker/Dockerfile without an engine and without a registry of images: `buildah` builds it, over a
 * base that is made here, of Debian and of Node as it comes in a package of npm. Packages come from wherever npm is told
 * to take them on this machine. All of it lies in the place that goes with the run.
 */

import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { command } from '../net/commands.js'

/** What a base of Node has, such as `node:24-slim`. */
const NODE = '24'
const NPM = '11'

const BASE_MS = 5 * 60_000
const BUILD_MS = 10 * 60_000

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

/** What an image says of how it is run. */
export interface ImageConfig {
  readonly User: string
  readonly Env: readonly string[]
  readonly Cmd: readonly string[]
  readonly WorkingDir: string
  readonly Healthcheck: { readonly Test: readonly string[] }
}

export interface Image {
  readonly config: ImageConfig
  /** The folder that is its root file system. */
  readonly root: string
}

/** A folder with the file system of an image of Node. */
export async function makeBase(): Promise<string> {
  const base = mkdtempSync(join(tmpdir(), 'base-'))
  await command(['debootstrap', '--variant=minbase', 'stable', base], '', BASE_MS)
  const prefix = join(base, 'usr/local')
  const node = `node-linux-${process.arch}`
  await command(
    ['npm', 'install', '--global', '--prefix', prefix, '--no-audit', '--no-fund', `npm@${NPM}`, `${node}@${NODE}`],
    '',
    BASE_MS,
  )
  // npm finds out where global packages belong from where node lies.
  const modules = join(prefix, 'lib/node_modules')
  rmSync(join(prefix, 'bin/node'))
  renameSync(join(modules, node, 'bin/node'), join(prefix, 'bin/node'))
  rmSync(join(modules, node), { recursive: true })
  return base
}

/** Builds it over this base. */
export async function buildImage(base: string): Promise<Image> {
  const store = mkdtempSync(join(tmpdir(), 'images-'))
  const buildah = (args: readonly string[], ms = BASE_MS): Promise<string> =>
    command(['buildah', '--root', join(store, 'root'), '--runroot', join(store, 'run'), ...driver, ...args], '', ms)
  await buildah(['from', '--name', 'base', 'scratch'])
  await buildah(['add', '--quiet', 'base', base, '/'])
  await buildah(['commit', '--quiet', '--rm', 'base', 'base'])
  const { npmrc, mounts } = await npmSettings()
  const dockerfile = join(ROOT, 'docker/Dockerfile')
  // The format of Docker, since the other one knows no health checks.
  const flags = ['--isolation', 'chroot', '--format', 'docker', '--layers=false', '--build-arg', 'BASE=localhost/base']
  const secret = ['--secret', `id=npmrc,src=${npmrc}`]
  await buildah(['build', ...flags, ...secret, ...mounts, '--tag', 'counter', '--file', dockerfile, ROOT], BUILD_MS)
  const { Docker } = JSON.parse(await buildah(['inspect', '--type', 'image', 'localhost/counter'])) as {
    Docker: { config: ImageConfig }
  }
  await buildah(['from', '--name', 'counter', '--pull-never', 'localhost/counter'])
  const root = (await buildah(['mount', 'counter'])).trim()
  return { config: Docker.config, root }
}

/** Copies whole folders: slow, and works everywhere. */
const driver = ['--storage-driver', 'vfs']

/** Where npm takes packages from on this machine, as a file that is handed in, and what must be there to reach it. */
async function npmSettings(): Promise<{ readonly npmrc: string; readonly mounts: readonly string[] }> {
  const settings = JSON.parse(await command(['npm', 'config', 'ls', '--long', '--json'])) as Record<string, unknown>
  const wanted = ['registry', 'cafile', 'proxy', 'https-proxy', 'noproxy']
  const lines = wanted.flatMap((key) => {
    const value = settings[key]
    return typeof value === 'string' && value !== '' ? [`${key}=${value}`] : []
  })
  const npmrc = join(mkdtempSync(join(tmpdir(), 'npmrc-')), 'npmrc')
  writeFileSync(npmrc, `${lines.join('\n')}\n`, { mode: 0o600 })
  const certificates = typeof settings.cafile === 'string' ? dirname(settings.cafile) : undefined
  return { npmrc, mounts: certificates === undefined ? [] : ['--volume', `${certificates}:${certificates}:ro`] }
}

/** Where an engine would mount it, which in a file system that is read-only must be there before. */
export function makeMountPoint(image: Image, path: string): void {
  mkdirSync(join(image.root, path), { recursive: true })
}
