/**
 * Module hooks that make a later version of what is installed while it is loaded: one that speaks a higher minor of the
 * protocol as well, and appends a field of its own to every message of the registry.
 */
import { readFileSync } from 'node:fs'
import type { LoadFnOutput, LoadHookContext } from 'node:module'
import { fileURLToPath } from 'node:url'

const changes = [
  {
    file: '/cluster/dist/handshake.js',
    find: 'export const protocol = { min: 1, max: 1 };',
    replace: 'export const protocol = { min: 1, max: 2 };',
  },
  {
    file: '/tracker/dist/core/wire.js',
    find: 'return shape.write(message);',
    replace: "return [...shape.write(message), { later: 'field' }];",
  },
] as const

export async function load(
  url: string,
  context: LoadHookContext,
  nextLoad: (url: string, context?: LoadHookContext) => LoadFnOutput | Promise<LoadFnOutput>,
): Promise<LoadFnOutput> {
  const change = changes.find(({ file }) => url.endsWith(file))
  if (change === undefined) return nextLoad(url, context)
  const source = readFileSync(fileURLToPath(url), 'utf8')
  if (source.split(change.find).length !== 2) throw new Error(`'${change.find}' does not stand once in ${url}`)
  return { format: 'module', source: source.replace(change.find, change.replace), shortCircuit: true }
}
