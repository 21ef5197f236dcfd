/** The sources of this repository, for tests about the sources themselves. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Paths, relative to the root, of all `.ts` files whose path matches; built code and dependencies are no sources. */
export function sources(pattern: RegExp): string[] {
  return ['packages', 'examples', 'e2e', 'bench', 'scripts']
    .flatMap((folder) => walk(folder))
    .filter((path) => pattern.test(path))
}

function walk(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`
    if (!entry.isDirectory()) return [path]
    return entry.name === 'node_modules' || entry.name === 'dist' ? [] : walk(path)
  })
}

export function read(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

/** Each place where the pattern is found, as `path:line: text`. */
export function places(path: string, code: string, pattern: RegExp): string[] {
  return code.split('\n').flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}: ${line.trim()}`] : []))
}
