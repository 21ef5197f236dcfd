/**
 * What the scenario that builds and runs the image calls: `buildah`, `debootstrap` and `bwrap`. Run by itself, it installs
 * what is missing where we may; exit code 1 where they cannot be had.
 */
import { spawnSync } from 'node:child_process'
import { pathToFileURL } from 'node:url'
import { findOrInstall } from './debian.mjs'

/** True once all are there. */
export function imageTools() {
  const packages = ['buildah', 'debootstrap', 'bubblewrap']
  return findOrInstall({ find, packages, purpose: 'the checks of the image' }) ?? false
}

function find() {
  const runs = (/** @type {string} */ name) =>
    spawnSync(name, ['--version'], { stdio: 'ignore', timeout: 20_000 }).status === 0
  return ['buildah', 'debootstrap', 'bwrap'].every(runs) || undefined
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) process.exitCode = imageTools() ? 0 : 1
