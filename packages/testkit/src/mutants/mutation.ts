/**
 * Module loader hooks that replace a text in the built JavaScript of a machine while it is loaded: how a mutant is made
 * without a switch in the published code. Runs in the loader's own thread; registered by worker.ts before it loads the
 * simulator.
 */
import { readFileSync } from 'node:fs'
import type { LoadFnOutput, LoadHookContext } from 'node:module'
import { fileURLToPath } from 'node:url'

/** A patch with the URL of the module that it changes. */
export interface LocatedPatch {
  readonly url: string
  readonly find: string
  readonly replace: string
}

let patches: readonly LocatedPatch[] = []

export function initialize(data: readonly LocatedPatch[]): void {
  patches = data
}

export async function load(
  url: string,
  context: LoadHookContext,
  nextLoad: (url: string, context?: LoadHookContext) => LoadFnOutput | Promise<LoadFnOutput>,
): Promise<LoadFnOutput> {
  const concerned = patches.filter((patch) => patch.url === url)
  if (concerned.length === 0) return nextLoad(url, context)
  const source = concerned.reduce(applyPatch, readFileSync(fileURLToPath(url), 'utf8'))
  return { format: 'module', source, shortCircuit: true }
}

/** Throws where the text does not stand exactly once: then the rule has moved and the mutant must follow it. */
export function applyPatch(source: string, patch: LocatedPatch): string {
  const times = source.split(patch.find).length - 1
  if (times !== 1) throw new Error(`mutant: this text stands ${times} times in ${patch.url}, not once: ${patch.find}`)
  return source.replace(patch.find, () => patch.replace)
}
