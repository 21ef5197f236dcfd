/** The browser that tests of pages use: the one that is there, or where we may install one (root on Debian), Debian's. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

const names = ['chromium', 'chromium-browser', 'google-chrome']

/** Longer than this is a mirror that does not answer. */
const INSTALL_TIMEOUT_MS = 4 * 60_000

/** A command that starts Chromium; undefined, with the reason on stderr, where there is none. */
export function chromium() {
  const there = find()
  if (there !== undefined) return there
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) {
    console.error('no Chromium here: tests of pages are skipped')
    return undefined
  }
  console.error('installing chromium for the tests of pages; needed once')
  apt('update')
  apt('install', '-y', '--no-install-recommends', 'chromium')
  const installed = find()
  if (installed === undefined) console.error('chromium could not be installed: tests of pages are skipped')
  return installed
}

function find() {
  return names.find((name) => spawnSync(name, ['--version'], { stdio: 'ignore', timeout: 20_000 }).status === 0)
}

/** @param {string[]} args */
function apt(...args) {
  spawnSync('apt-get', ['-qq', '-o', 'Acquire::Retries=0', '-o', 'Acquire::http::Timeout=20', ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: INSTALL_TIMEOUT_MS,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  })
}
