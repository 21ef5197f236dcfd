/**
 * Puts an overlay of k8s/ together as kustomize does, as far as our overlays go: resources, patches that merge maps, patches
 * that delete, and the operations of a JSON patch. Whatever else stands in a kustomization is an error, so that none of it
 * is passed over. Where kustomize itself is at hand, a test compares.
 */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { parse, parseAllDocuments } from 'yaml'
import { read } from './files.js'

/** What is known of any manifest. */
export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Labels }
  readonly [key: string]: unknown
}

export type Labels = Readonly<Record<string, string>>

interface Kustomization {
  readonly apiVersion: string
  readonly kind: string
  readonly resources: readonly string[]
  readonly patches?: readonly Patch[]
}

interface Patch {
  readonly patch: string
  readonly target?: { readonly kind: string; readonly name: string }
}

interface Operation {
  readonly op: string
  readonly path: string
  readonly value?: unknown
}

type Tree = Record<string, unknown>

/** All documents of a file, which must be YAML without any complaint. */
export function documents(path: string): Manifest[] {
  return parseAllDocuments(read(path)).map((document) => {
    const [fault] = [...document.errors, ...document.warnings]
    if (fault) throw new Error(`${path}: ${fault.message}`)
    return document.toJS() as Manifest
  })
}

/** The manifests of a folder with a kustomization. */
export function kustomize(folder: string): Manifest[] {
  const { apiVersion, kind, resources, patches = [], ...rest } = onlyKustomization(folder)
  known(`${folder}/kustomization.yaml`, rest)
  if (apiVersion !== 'kustomize.config.k8s.io/v1beta1' || kind !== 'Kustomization')
    throw new Error(`${folder}: ${kind}?`)
  const manifests = resources.flatMap((path) => {
    const at = join(folder, path)
    return statSync(at).isDirectory() ? kustomize(at) : documents(at)
  })
  return patches.reduce<Manifest[]>(patched, manifests)
}

function onlyKustomization(folder: string): Kustomization {
  const [first, ...more] = documents(join(folder, 'kustomization.yaml')) as readonly unknown[]
  if (first === undefined || more.length > 0) throw new Error(`${folder}: one kustomization a file`)
  return first as Kustomization
}

function patched(manifests: readonly Manifest[], { patch, target, ...rest }: Patch): Manifest[] {
  known('a patch', rest)
  const body = parse(patch) as Manifest | Operation[]
  const isWanted = (one: Manifest): boolean => {
    if (target !== undefined) return one.kind === target.kind && one.metadata.name === target.name
    const { kind, apiVersion, metadata } = body as Manifest
    return one.kind === kind && one.apiVersion === apiVersion && one.metadata.name === metadata.name
  }
  if (!manifests.some(isWanted)) throw new Error(`a patch has nothing to change: ${patch}`)
  return manifests.flatMap((one) => {
    if (!isWanted(one)) return [one]
    if (Array.isArray(body)) return [body.reduce(operated, one as Tree) as unknown as Manifest]
    return '$patch' in body ? deleted(body) : [merged(one, body) as Manifest]
  })
}

function deleted(body: Tree): [] {
  if (body.$patch !== 'delete') throw new Error(`$patch: ${body.$patch} is not known here`)
  return []
}

function merged(under: unknown, over: unknown): unknown {
  if (Array.isArray(over)) throw new Error('how lists are merged depends on the kind: not known here')
  if (!isTree(over) || !isTree(under)) return over
  const entries = Object.entries(over).map(([key, value]) => [key, merged(under[key], value)])
  return { ...under, ...Object.fromEntries(entries) }
}

/** `remove` and `replace` along keys of maps. */
function operated(tree: Tree, { op, path, value, ...rest }: Operation): Tree {
  known(`a patch of ${path}`, rest)
  const [, key = '', ...deeper] = path.split('/')
  if (!(key in tree)) throw new Error(`there is no ${path}`)
  if (deeper.length > 0) {
    return { ...tree, [key]: operated(tree[key] as Tree, { op, path: `/${deeper.join('/')}`, value }) }
  }
  if (op === 'replace') return { ...tree, [key]: value }
  if (op !== 'remove') throw new Error(`${op} is not known here`)
  const { [key]: _, ...left } = tree
  return left
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function known(where: string, rest: object): void {
  const keys = Object.keys(rest)
  if (keys.length > 0) throw new Error(`${where}: ${keys.join(', ')} is not known here`)
}
