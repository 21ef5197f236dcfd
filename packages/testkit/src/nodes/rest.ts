/**
 * Is a cluster at rest, and is what it shows right? Asked is what a user could ask: members, names and their holders,
 * what runs; besides, for people, what somebody still waits for.
 */

import type { SkepNode } from 'skep'
import { layersOf } from 'skep/internal'

/** Lines of one kind in a report. */
const maxLines = 10

/** Why there is no rest, a line each; empty at rest. */
export function unrest(nodes: readonly SkepNode[]): string[] {
  const live = new Set(nodes.map(({ boot }) => boot))
  const reference = nodes[0]
  const names = reference === undefined ? '' : namesOf(reference)
  return nodes.flatMap((node) => [
    ...membersFaults(node, live, nodes),
    ...(namesOf(node) === names ? [] : [`${node.name} and ${reference?.name} show different names`]),
    ...waiting(node),
  ])
}

function membersFaults(node: SkepNode, live: ReadonlySet<string>, nodes: readonly SkepNode[]): string[] {
  const members = new Map(node.members().map((member) => [member.boot, member]))
  const lines: string[] = []
  for (const { boot, name, phase, suspect } of members.values()) {
    if (!live.has(boot)) lines.push(`${node.name} still counts ${name}, which is gone`)
    else if (boot === node.boot && phase !== 'up') lines.push(`${name} is not ready`)
    else if (phase !== 'up') lines.push(`${node.name} sees ${name} as ${phase}`)
    else if (suspect) lines.push(`${node.name} doubts ${name}`)
  }
  for (const { boot, name } of nodes) if (!members.has(boot)) lines.push(`${node.name} does not know ${name}`)
  return lines
}

function namesOf(node: SkepNode): string {
  return node
    .registered()
    .map(({ name, pid, fence }) => `${name} ${pid} ${fence}`)
    .sort()
    .join('\n')
}

function waiting(node: SkepNode): string[] {
  const { tracker, actors } = layersOf(node)
  return [
    ...tracker.waitingFor(maxLines).map((what) => `${node.name} waits: ${what}`),
    ...actors.waitingFor(maxLines).map((what) => `${node.name} waits for the answer of ${what}`),
    ...actors
      .reports()
      .filter(({ running, waiting }) => running > 0 || waiting > 0)
      .slice(0, maxLines)
      .map(({ kind, name, pid, running, waiting }) => {
        return `${node.name}: ${kind} ${name === undefined ? pid : `'${name}'`} runs ${running} calls, ${waiting} wait`
      }),
  ]
}

/** What is wrong with a cluster at rest, a line each. */
export function faultsAtRest(nodes: readonly SkepNode[]): string[] {
  const names = new Set(nodes.flatMap((node) => node.registered().map(({ name }) => name)))
  return [...[...names].sort().flatMap((name) => holderFaults(name, nodes)), ...nodes.flatMap(orphans)]
}

/** One holder, the same one everywhere, and it runs. */
function holderFaults(name: string, nodes: readonly SkepNode[]): string[] {
  const shown = nodes.map((node) => ({ node, pid: node.whereis(name) }))
  const pids = new Set(shown.map(({ pid }) => String(pid)))
  if (pids.size > 1) {
    const seen = shown.map(({ node, pid }) => `${node.name}: ${pid === undefined ? 'nobody' : pid}`).join(', ')
    return [`diverged: '${name}' is held by ${seen}`]
  }
  const pid = shown[0]?.pid
  const host = nodes.find(({ boot }) => boot === pid?.boot)
  if (host === undefined) return [`ghost: '${name}' is held by ${pid}, whose node is gone`]
  const claim = host.registered({ prefix: name }).find((one) => one.name === name)
  const { process } = host.explain(name)
  if (claim?.kind !== undefined && process === undefined)
    return [`ghost: '${name}' is held by ${pid}, which does not run`]
  return []
}

/** Actors that run under a name that is not theirs: second copies. */
function orphans(node: SkepNode): string[] {
  return layersOf(node)
    .actors.reports()
    .filter(
      ({ name, pid, phase }) => name !== undefined && phase === 'running' && node.whereis(name)?.equals(pid) !== true,
    )
    .map(({ name, pid }) => `duplicate: ${pid} runs as '${name}', which is held by ${node.whereis(name as string)}`)
}
