/**
 * Judges manifests by what Kubernetes publishes of its API, as it comes in the package `kubernetes-models`: the schemas say
 * what is missing or of the wrong kind, the types which keys there are. The schemas let keys pass that they do not know,
 * as the API server does by default; a misspelt one would silently do nothing, so the compiler looks for those.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root, tool } from '../bootstrap.mjs'
import type { Manifest } from './kustomize.js'

/** What is wrong with the values of a manifest. */
export async function schemaFaults(manifest: Manifest): Promise<string[]> {
  const { apiVersion, kind } = manifest
  const path = `kubernetes-models/${apiVersion}/${kind}`
  const models = (await import(path)) as Record<string, new (data: unknown) => { validate(): void }>
  const Model = models[kind]
  if (Model === undefined) return [`there is no ${kind} in ${apiVersion}`]
  try {
    new Model(manifest).validate()
    return []
  } catch (error) {
    return [(error as Error).message]
  }
}

/** Keys that do not exist, and values of a wrong type, of all these manifests: one run of the compiler. */
export function typeFaults(manifests: readonly Manifest[]): string[] {
  const dir = mkdtempSync(join(tmpdir(), 'skep-manifests-'))
  try {
    symlinkSync(join(root, 'node_modules'), join(dir, 'node_modules'))
    writeFileSync(join(dir, 'manifests.ts'), manifests.map(typed).join('\n'))
    const flags = [
      '--noEmit',
      '--strict',
      '--skipLibCheck',
      '--target',
      'es2023',
      '--module',
      'nodenext',
      '--pretty',
      'false',
    ]
    const { status, stdout } = spawnSync(process.execPath, [tool.tsc, ...flags, 'manifests.ts'], {
      cwd: dir,
      encoding: 'utf8',
    })
    const faults = stdout.split('\n').filter((line) => line.trim() !== '')
    return status === 0 || faults.length > 0 ? faults : [`the compiler ended with ${status}`]
  } finally {
    rmSync(dir, { recursive: true })
  }
}

function typed(manifest: Manifest, i: number): string {
  const { apiVersion, kind } = manifest
  const type = `import('kubernetes-models/${apiVersion}/${kind}').I${kind}`
  return `export const ${kind}${i}: ${type} = ${JSON.stringify(manifest)}`
}
