/** The browser that tests of pages use: the one that is there, or where we may install one (root on Debian), Debian's. */
import { spawnSync } from 'node:child_process'
import { findOrInstall } from './debian.mjs'

const names = ['chromium', 'chromium-browser', 'google-chrome']

/** A command that starts Chromium; undefined, with the reason on stderr, where there is none. */
export function chromium() {
  return findOrInstall({ find, packages: ['chromium'], purpose: 'tests of pages' })
}

function find() {
  return names.find((name) => spawnSync(name, ['--version'], { stdio: 'ignore', timeout: 20_000 }).status === 0)
}
