/**
 * The name server that tests of discovery ask: the one that is there, or where we may install it (root on Debian), Debian's.
 * Run by itself, it says the command on stdout; exit code 1 where there is none.
 */
import { spawnSync } from 'node:child_process'
import { pathToFileURL } from 'node:url'
import { findOrInstall } from './debian.mjs'

/** A command that starts dnsmasq; undefined, with the reason on stderr, where there is none. */
export function dnsmasq() {
  return findOrInstall({ find, packages: ['dnsmasq-base'], purpose: 'tests that ask a real name server' })
}

function find() {
  // Not every user's PATH has /usr/sbin.
  const commands = ['dnsmasq', '/usr/sbin/dnsmasq']
  return commands.find((name) => spawnSync(name, ['--version'], { stdio: 'ignore', timeout: 20_000 }).status === 0)
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const command = dnsmasq()
  if (command === undefined) process.exitCode = 1
  else console.log(command)
}
