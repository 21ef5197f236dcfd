/**
 * What the scenarios with a network of their own call: `ip` and `nft`. Run by itself, it installs what is missing where
 * we may; exit code 1 where they cannot be had.
 */
import { spawnSync } from 'node:child_process'
import { pathToFileURL } from 'node:url'
import { findOrInstall } from './debian.mjs'

/** True once both are there. */
export function networkTools() {
  const packages = ['iproute2', 'nftables']
  return findOrInstall({ find, packages, purpose: 'scenarios with a network of their own' }) ?? false
}

function find() {
  const runs = (/** @type {string} */ name, /** @type {string} */ flag) =>
    spawnSync(name, [flag], { stdio: 'ignore', timeout: 20_000 }).status === 0
  return (runs('ip', '-V') && runs('nft', '--version')) || undefined
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) process.exitCode = networkTools() ? 0 : 1
