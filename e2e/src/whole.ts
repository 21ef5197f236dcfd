/** Whether nodes are one cluster with one registry, and how long it takes until they are: asked of the nodes alone. */

import { askAll, clock, type Node } from './nodes.js'
import { pause } from './scenario.js'

/** Undefined when it holds, else what is wrong, in words. */
export type Question = () => Promise<string | undefined>

/** After how many ms it held; or, at the end of its time, what was wrong still. */
export interface Outcome {
  readonly ms: number | undefined
  readonly wrong: string
}

/** Asks until it holds, or `limitMs` after `since`. */
export async function until(since: number, limitMs: number, ask: Question): Promise<Outcome> {
  for (;;) {
    const at = clock()
    const wrong = await ask()
    if (wrong === undefined) return { ms: Math.round(at - since), wrong: '' }
    if (at - since > limitMs) return { ms: undefined, wrong }
    await pause(25)
  }
}

/** Everybody knows everybody, and doubts nobody. */
export function everybodyKnown(nodes: readonly Node[]): Question {
  return async () => {
    const wanted = namesOf(nodes)
    const lists = (await askAll(nodes, 'trusted')).map((list) => [...list].sort().join(' '))
    const wrong = nodes.flatMap(({ name }, i) => (lists[i] === wanted ? [] : [`${name} has ${lists[i]}`]))
    return wrong.length === 0 ? undefined : wrong.join('\n')
  }
}

/** Each name has the same holder on every node, and runs once, in one process of all. */
export function oneHolder(nodes: readonly Node[], names: readonly string[]): Question {
  return async () => {
    const [holders, copies] = [await askAll(nodes, 'holders', names), await askAll(nodes, 'copies', names)]
    const wrong = names.flatMap((name, i) => {
      const seen = new Set(holders.map((list) => list[i]))
      const running = copies.reduce((sum, list) => sum + (list[i] ?? 0), 0)
      if (seen.size === 1 && !seen.has('undefined') && running === 1) return []
      return [`${name}: held by ${[...seen].join(' or ')}, runs ${running} times`]
    })
    return wrong.length === 0 ? undefined : `${wrong.length} of ${names.length}: ${wrong.slice(0, 5).join('; ')}`
  }
}

/** Every node has the same names with the same holders. */
export function sameRegistry(nodes: readonly Node[]): Question {
  return async () => {
    const all = await askAll(nodes, 'registry')
    if (all.every(({ hash }) => hash === all[0]?.hash)) return undefined
    return `${all.map(({ count }, i) => `${nodes[i]?.name}: ${count} names`).join(', ')}\n${await differences(nodes)}`
  }
}

/** On every node a call of each name is answered by the process that its registry names. */
export function answered(nodes: readonly Node[], names: readonly string[]): Question {
  return async () => {
    const all = await askAll(nodes, 'unanswered', names)
    const wrong = all.flatMap((list, i) => list.map((text) => `on ${nodes[i]?.name} ${text}`))
    return wrong.length === 0 ? undefined : `${wrong.length}: ${wrong.slice(0, 5).join('; ')}`
  }
}

async function differences(nodes: readonly Node[]): Promise<string> {
  const [first, ...others] = await askAll(nodes, 'registered')
  const known = new Set(first)
  const odd = others.flatMap((list, i) => {
    const here = new Set(list)
    const more = list.filter((line) => !known.has(line)).map((line) => `only on ${nodes[i + 1]?.name}: ${line}`)
    return [
      ...more,
      ...[...known].filter((line) => !here.has(line)).map((line) => `not on ${nodes[i + 1]?.name}: ${line}`),
    ]
  })
  return odd.slice(0, 8).join('\n')
}

function namesOf(nodes: readonly Node[]): string {
  return nodes
    .map(({ name }) => name)
    .sort()
    .join(' ')
}
