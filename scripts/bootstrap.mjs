/**
 * From a bare checkout to built code with nothing but Node and npm: fetches the pinned pnpm, installs what the lockfile
 * says, compiles. Each step is skipped when its result is there, so that a second start costs one hash and one
 * incremental `tsc -b`.
 *
 * Speaks on stderr only: the standard output belongs to the command that is run (`--json`).
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))
export const tool = {
  biome: join(root, 'node_modules/@biomejs/biome/bin/biome'),
  tsc: join(root, 'node_modules/typescript/bin/tsc'),
  oldestTsc: join(root, 'node_modules/typescript-5.8/bin/tsc'),
  vitest: join(root, 'node_modules/vitest/vitest.mjs'),
}

export const PNPM = '12.21.0'
const toolsDir = join(root, '.tools')
const stampFile = join(root, 'node_modules/.skep-lockfile')
const lockFile = join(root, '.bootstrap.lock')
const quiet = { ...process.env, CI: 'true' }

/** Refuses an old Node with one line, before anything fails in a stranger way. */
export function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return
  fail(`Skep needs Node 20.19 or newer; this is ${process.versions.node}.`)
}

/** Installs the dependencies when the lockfile is not the one of the last install. */
export function install() {
  const stamp = createHash('sha256')
    .update(readFileSync(join(root, 'pnpm-lock.yaml')))
    .update(`${process.platform} ${process.arch}`)
    .digest('hex')
  if (installed(stamp)) return
  withLock(() => {
    if (installed(stamp)) return
    say(`installing the dependencies with pnpm ${PNPM}; needed once`)
    pnpm(['install', '--frozen-lockfile'], root)
    writeFileSync(stampFile, stamp)
  })
}

/** @param {string} stamp */
function installed(stamp) {
  return existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp
}

/**
 * Compiles these projects and what they need; returns whether there were no errors.
 * @param {...string} projects folders, relative to the root; none for all
 */
export function build(...projects) {
  return withLock(() => {
    for (const folder of ['packages', 'examples']) {
      for (const name of readdirSync(join(root, folder))) prune(join(root, folder, name))
    }
    const { status } = spawnSync(process.execPath, [tool.tsc, '-b', ...projects], {
      cwd: root,
      stdio: ['ignore', 2, 2],
    })
    return status === 0
  })
}

/**
 * Removes what was compiled from sources that are gone: the compiler leaves it, and it would be packed.
 * @param {string} project
 */
function prune(project) {
  const dist = join(project, 'dist')
  if (!existsSync(dist)) return
  for (const file of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
    const source = join(project, 'src', file.replace(/\.(?:d\.ts|js)$/, '.ts'))
    if (/\.(?:d\.ts|js)$/.test(file) && !existsSync(source)) rmSync(join(dist, file))
  }
}

/**
 * Runs the pinned pnpm, which lives in `.tools`: of this checkout alone, so two checkouts never install it over each other.
 * Its output is shown only when it fails; the process then ends with 1.
 * @param {string[]} args
 * @param {string} cwd
 */
export function pnpm(args, cwd) {
  const bin = join(toolsDir, 'node_modules/.bin', process.platform === 'win32' ? 'pnpm.cmd' : 'pnpm')
  const manifest = join(toolsDir, 'node_modules/pnpm/package.json')
  if (!existsSync(bin) || JSON.parse(readFileSync(manifest, 'utf8')).version !== PNPM) {
    npm(
      ['install', '--prefix', toolsDir, '--no-save', '--no-package-lock', '--no-audit', '--no-fund', `pnpm@${PNPM}`],
      root,
    )
  }
  return capture(bin, args, cwd)
}

/**
 * Runs the npm that started us, or the one on the PATH.
 * @param {string[]} args
 * @param {string} cwd
 */
export function npm(args, cwd) {
  const cli = process.env.npm_execpath
  if (cli && basename(cli).startsWith('npm')) return capture(process.execPath, [cli, ...args], cwd)
  return capture(process.platform === 'win32' ? 'npm.cmd' : 'npm', args, cwd)
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {string} cwd
 */
function capture(command, args, cwd) {
  const shell = command.endsWith('.cmd')
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    env: quiet,
    shell,
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  })
  if (status === 0) return stdout
  throw new Error(`${[basename(command), ...args].join(' ')} failed: ${error?.message ?? ''}\n${stdout}${stderr}`)
}

/**
 * Two commands may be started at once in one checkout: only one of them installs or compiles, the other waits for it.
 * The lock is a file with the owner's process id; one whose owner is dead is taken over.
 * @template T
 * @param {() => T} work
 * @returns {T}
 */
function withLock(work) {
  while (!tryLock()) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
  try {
    return work()
  } finally {
    rmSync(lockFile, { force: true })
  }
}

function tryLock() {
  try {
    writeFileSync(lockFile, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error
  }
  const owner = existsSync(lockFile) ? Number(readFileSync(lockFile, 'utf8')) : 0
  // 0: just released, or its owner has not written the id yet.
  if (owner > 0 && !alive(owner)) rmSync(lockFile, { force: true })
  return false
}

/** @param {number} pid */
function alive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM'
  }
}

/** @param {string} text */
export function say(text) {
  process.stderr.write(`skep: ${text}\n`)
}

/**
 * @param {string} text
 * @returns {never}
 */
export function fail(text) {
  say(text)
  process.exit(1)
}
