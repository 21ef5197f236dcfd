/** Commands that a test needs and the machine may lack: where we may (root on Debian), the package is installed. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

/** Longer than this is a mirror that does not answer. */
const INSTALL_TIMEOUT_MS = 4 * 60_000

/**
 * What `find` finds, now or once the packages are installed; undefined, with the reason on stderr, where it cannot be had.
 * @template T
 * @param {{ find: () => T | undefined, packages: readonly string[], purpose: string }} wanted
 * @returns {T | undefined}
 */
export function findOrInstall({ find, packages, purpose }) {
  const there = find()
  if (there !== undefined) return there
  const names = packages.join(' and ')
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) {
    console.error(`no ${names} here: ${purpose} are skipped`)
    return undefined
  }
  console.error(`installing ${names} for ${purpose}; needed once`)
  apt('update')
  apt('install', '-y', '--no-install-recommends', ...packages)
  const installed = find()
  if (installed === undefined) console.error(`${names} could not be installed: ${purpose} are skipped`)
  return installed
}

/** @param {string[]} args */
function apt(...args) {
  spawnSync('apt-get', ['-qq', '-o', 'Acquire::Retries=0', '-o', 'Acquire::http::Timeout=20', ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: INSTALL_TIMEOUT_MS,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  })
}
