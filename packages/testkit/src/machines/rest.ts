/**
 * What must hold once the faults are over and everything has come to rest: all replicas are equal, and equal to what
 * users were promised. The first difference found is told; whether it is still on its way or there to stay is for the
 * caller to see by asking again.
 */
import type { BootId } from '@skep/cluster/core'
import { type Claim, hasEnded, lookup, type TrackerState } from '@skep/tracker/core'
import type { Ledger } from './ledger.js'
import type { SimNode } from './node.js'
import type { Rule } from './report.js'
import { freePrefix, type Safety } from './safety.js'

type Log = NonNullable<ReturnType<TrackerState['registry']['logs']['get']>>

export interface Unrest {
  readonly rule: Rule
  readonly text: string
}

/** The first thing that is not at rest among the live nodes; undefined when all is. */
export function unrest(nodes: readonly SimNode[], ledger: Ledger, safety: Safety, slots: number): Unrest | undefined {
  if (nodes.length === 0) return undefined
  return (
    first(nodes, busy) ??
    first(nodes, (node) => viewDiffers(node, nodes)) ??
    slotUnheld(nodes, slots) ??
    first(nodes, (node) => baseDiffers(node, nodes)) ??
    first(nodes, (node) => clockDiffers(node, nodes)) ??
    first(nodes, (node) => copiesDiffer(node, nodes)) ??
    winnersDiffer(nodes) ??
    first(nodes, eventsDiffer) ??
    first(nodes, (node) => promiseBroken(node, nodes, ledger)) ??
    spawnLost(nodes, ledger) ??
    first(nodes, (node) => ghost(node, nodes)) ??
    first(nodes, (node) => twoHold(node, safety))
  )
}

function first(nodes: readonly SimNode[], check: (node: SimNode) => Unrest | undefined): Unrest | undefined {
  for (const node of nodes) {
    const found = check(node)
    if (found !== undefined) return found
  }
  return undefined
}

function busy(node: SimNode): Unrest | undefined {
  if (node.readyAt === undefined) return { rule: 'stuck', text: `${node.boot} is not ready` }
  if (node.leaving) return { rule: 'stuck', text: `${node.boot} is still leaving` }
  for (const open of node.asks.values()) {
    return { rule: 'stuck', text: `${node.boot}: ${open.what} ${open.name} (ask ${open.ask}) is still open` }
  }
  for (const claim of node.replica.tracker.registry.logs.get(node.boot)?.claims.values() ?? []) {
    if (hasEnded(claim))
      return { rule: 'stuck', text: `${claim.name}, which ended at ${node.boot}, is not started again` }
  }
  for (const { kept } of node.replica.tracker.askById.values()) {
    if (kept !== undefined) return { rule: 'stuck', text: `${node.boot} still asks for ${kept.name}, which it kept` }
  }
  return undefined
}

function viewDiffers(node: SimNode, nodes: readonly SimNode[]): Unrest | undefined {
  const seen = new Set(node.replica.membership.view.members.map((member) => member.boot))
  const missing = nodes.find((one) => !seen.has(one.boot))
  if (missing !== undefined) return { rule: 'diverged', text: `${node.boot} does not see ${missing.boot}` }
  if (seen.size === nodes.length) return undefined
  const live = new Set(nodes.map((one) => one.boot))
  const extra = [...seen].filter((boot) => !live.has(boot))
  return { rule: 'diverged', text: `${node.boot} still sees ${extra.join(', ')}` }
}

/** Under a partition policy votes are counted against all that are there, and nobody is halted. */
function baseDiffers({ boot, replica }: SimNode, nodes: readonly SimNode[]): Unrest | undefined {
  const { partition } = replica.tracker
  if (partition === undefined) return undefined
  if (partition.halted) return { rule: 'stuck', text: `${boot} is halted` }
  if (partition.held.size > 0) return { rule: 'stuck', text: `${boot} still holds ${[...partition.held.keys()]} back` }
  const counted = new Set(partition.base?.members.map(({ life }) => life))
  const missing = nodes.find((one) => !counted.has(one.replica.tracker.partition?.life ?? ''))
  if (missing === undefined && counted.size === nodes.length) return undefined
  return { rule: 'stuck', text: `${boot} counts votes against ${counted.size} of ${nodes.length} members` }
}

/** All have ids of one lineage. */
function clockDiffers(node: SimNode, nodes: readonly SimNode[]): Unrest | undefined {
  const { lineage, id } = node.replica.tracker
  const first = nodes[0]?.replica.tracker.lineage
  const own = `${node.boot} has an id of lineage ${lineage.epoch} ${lineage.genesis}`
  if (id === 0) return { rule: 'diverged', text: `${own} without a point` }
  if (lineage.epoch === first?.epoch && lineage.genesis === first.genesis) return undefined
  return { rule: 'diverged', text: `${own}, ${nodes[0]?.boot} of ${first?.epoch} ${first?.genesis}` }
}

function slotUnheld(nodes: readonly SimNode[], slots: number): Unrest | undefined {
  const tracker = nodes[0]?.replica.tracker
  for (let slot = 0; slot < slots; slot++) {
    const owner = tracker?.ringBoots[tracker.table?.owners[slot] ?? -1]
    const holders = nodes.filter((node) => node.replica.tracker.held[slot] === 1).map((node) => node.boot)
    if (holders.length === 1 && holders[0] === owner) continue
    const text = `slot ${slot} belongs to ${owner} and is held by ${holders.join(' and ') || 'nobody'}`
    return { rule: holders.length > 1 ? 'doubleSlot' : 'stuck', text }
  }
  return undefined
}

/** Every replica's copy of this node's log is the node's own. */
function copiesDiffer(writer: SimNode, nodes: readonly SimNode[]): Unrest | undefined {
  const own = writer.replica.tracker.registry.logs.get(writer.boot)
  for (const node of nodes) {
    if (node === writer) continue
    const copy = node.replica.tracker.registry.logs.get(writer.boot)
    const difference = logDiffers(own, copy)
    if (difference !== undefined) {
      return { rule: 'diverged', text: `${node.boot}'s copy of the log of ${writer.boot}: ${difference}` }
    }
  }
  return undefined
}

function logDiffers(own: Log | undefined, copy: Log | undefined): string | undefined {
  if ((own?.seq ?? 0) !== (copy?.seq ?? 0)) return `seq ${copy?.seq ?? 0} instead of ${own?.seq ?? 0}`
  if (own === undefined || copy === undefined) return undefined
  if (own.high !== copy.high || own.low !== copy.low) return 'another hash at the same seq'
  if (own.claims.size !== copy.claims.size) return `${copy.claims.size} claims instead of ${own.claims.size}`
  for (const [name, claim] of own.claims) {
    if (!sameClaim(claim, copy.claims.get(name))) return `another claim of ${name}`
  }
  if (own.groups.size !== copy.groups.size) return `${copy.groups.size} groups instead of ${own.groups.size}`
  for (const [group, members] of own.groups) {
    const theirs = copy.groups.get(group)
    if (theirs?.size !== members.size) return `other members of ${group}`
    for (const id of members.keys()) if (!theirs.has(id)) return `other members of ${group}`
  }
  return undefined
}

function sameClaim(a: Claim, b: Claim | undefined): boolean {
  if (a === b) return true
  if (b === undefined || a.seq !== b.seq || a.fence !== b.fence || !a.pid.equals(b.pid) || a.kind !== b.kind)
    return false
  return JSON.stringify([a.meta, a.stamp, a.placed]) === JSON.stringify([b.meta, b.stamp, b.placed])
}

/** Every replica sees the same names with the same winners. */
function winnersDiffer(nodes: readonly SimNode[]): Unrest | undefined {
  const model = nodes[0]
  if (model === undefined) return undefined
  const registry = model.replica.tracker.registry
  for (const node of nodes) {
    const other = node.replica.tracker.registry
    for (const name of new Set([...registry.index.keys(), ...other.index.keys()])) {
      const [here, there] = [lookup(registry, name), lookup(other, name)]
      if (here === there || (here !== undefined && sameClaim(here, there))) continue
      return {
        rule: 'diverged',
        text: `${name} is ${here?.pid.toString()} at ${model.boot}, ${there?.pid.toString()} at ${node.boot}`,
      }
    }
  }
  return undefined
}

/** Who followed the events of names knows what a look-up tells. */
function eventsDiffer(node: SimNode): Unrest | undefined {
  const { index } = node.replica.tracker.registry
  for (const name of new Set([...index.keys(), ...node.followed.keys()])) {
    const [told, known] = [node.followed.get(name), index.get(name)]
    if (told === known) continue
    const text = `${node.boot}: by its events ${name} is ${told?.pid}, by its index ${known?.pid}`
    return { rule: 'diverged', text }
  }
  return undefined
}

/** What this node's users were promised is what every replica says. */
function promiseBroken(holder: SimNode, nodes: readonly SimNode[], ledger: Ledger): Unrest | undefined {
  for (const [name, holding] of holder.holdings) {
    if (!ledger.isCertain(name) || name.startsWith(freePrefix)) continue
    for (const node of nodes) {
      const claim = lookup(node.replica.tracker.registry, name)
      if (claim?.pid.boot === holder.boot && claim.pid.id === holding.pid) continue
      const told = claim?.pid.toString() ?? 'nobody'
      return { rule: 'lost', text: `${name} is held by ${holder.boot} (${holding.pid}), ${node.boot} says ${told}` }
    }
  }
  return undefined
}

function spawnLost(nodes: readonly SimNode[], ledger: Ledger): Unrest | undefined {
  for (const [name, { origin }] of ledger.spawned) {
    if (!ledger.isCertain(name) || ledger.endings.mayHaveFailed(origin)) continue
    if (nodes.every((node) => lookup(node.replica.tracker.registry, name) === undefined)) {
      return { rule: 'lost', text: `${name} was spawned, nobody stopped it, and it runs nowhere` }
    }
  }
  return undefined
}

/** Every visible claim is of a process that lives and holds it. */
function ghost(node: SimNode, nodes: readonly SimNode[]): Unrest | undefined {
  const live = new Map<BootId, SimNode>(nodes.map((one) => [one.boot, one]))
  for (const claim of node.replica.tracker.registry.index.values()) {
    const holder = live.get(claim.pid.boot)
    if (holder === undefined) return { rule: 'ghost', text: `${node.boot} shows ${claim.name} of a node that is gone` }
    if (holder.holdings.get(claim.name)?.pid !== claim.pid.id) {
      return { rule: 'ghost', text: `${node.boot} shows ${claim.name} of ${claim.pid}, which does not hold it` }
    }
  }
  return undefined
}

function twoHold(node: SimNode, safety: Safety): Unrest | undefined {
  for (const name of node.seen.claims.keys()) {
    const holders = safety.holdersOfName(name)
    if (holders.length < 2) continue
    return { rule: 'duplicate', text: `${name} is held by ${holders.map((one) => one.boot).join(' and ')}` }
  }
  return undefined
}

/** What is asked and not answered, in words: who, whom, what, and since when by the asker's clock; the first few. */
export function openQuestions(nodes: readonly SimNode[]): string[] {
  const open: string[] = []
  for (const { boot, replica } of nodes) {
    const { askById, pulls, taking, requests } = replica.tracker
    for (const { role, name, owner, sentAt } of askById.values()) {
      open.push(`${boot} asks ${owner ?? 'nobody yet'} for ${name} (${role}) since ${Math.round(sentAt)} ms`)
    }
    for (const pull of pulls.values()) open.push(`${boot} pulls the log of ${pull.boot} from ${pull.from}`)
    for (const [member, { silentSince }] of taking) {
      if (silentSince !== undefined)
        open.push(`${boot} waits for ${member} to yield since ${Math.round(silentSince)} ms`)
    }
    for (const { to, since } of requests.values()) open.push(`${boot} waits for ${to} since ${Math.round(since)} ms`)
  }
  return open.slice(0, 8)
}
