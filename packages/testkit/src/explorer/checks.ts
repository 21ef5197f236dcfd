/**
 * What must hold after every action, and at rest: the rules of the simulator (PROTOCOL.md section 6), here over whole
 * worlds and not over what a step changed, so that neither check hangs on the bookkeeping of the other.
 */
import type { BootId } from '@skep/cluster/core'
import type { Claim } from '@skep/tracker/core'
import type { SimNode } from '../machines/node.js'
import { type Unrest, unrest } from '../machines/rest.js'
import { overlap, Safety } from '../machines/safety.js'
import { slots } from './scenario.js'
import { type Complaint, isStrict, type Mark, type Tiny } from './tiny.js'

const REST_WITHIN_MS = 15_000

/**
 * What is wrong in this world after an action that changed the nodes `touched` and complained of `told` itself. Notes
 * there what later checks need to know.
 */
export function check(world: Tiny, touched: Iterable<number>, told: readonly Complaint[]): Complaint[] {
  const found = [...told]
  const live = liveNodes(world)
  for (const index of touched) {
    const node = world.nodes[index]
    if (node?.alive !== true) continue
    const before = world.marks[index]
    const now = markOf(node)
    if (before !== undefined) backwards(node.boot, before, now, found)
    compareClaims(world, node, before?.claims, now.claims, found)
    newId(world, node, live, found)
    world.marks = world.marks.slice()
    world.marks[index] = now
  }
  if (isStrict(world.scenario.fault)) {
    twoHolders(live, found)
    twoHoldSlot(live, found)
  }
  if (world.now > world.disturbedAt + REST_WITHIN_MS) {
    const why = restless(world)
    found.push({ rule: why?.rule ?? 'stuck', text: `no rest ${REST_WITHIN_MS} ms after the last act: ${why?.text}` })
  }
  return found
}

/** The first thing that is not at rest. */
export function restless(world: Tiny): Unrest | undefined {
  const live = liveNodes(world)
  const safety = new Safety(
    slots,
    () => false,
    () => {},
    () => {},
  )
  for (const node of live) {
    Object.assign(node.seen, { seq: -1, claims: new Map(), heldVersion: -1 })
    safety.check(node, live)
  }
  return unrest(live, world.ledger, safety, slots)
}

function liveNodes(world: Tiny): SimNode[] {
  return world.nodes.filter((node): node is SimNode => node?.alive === true)
}

function markOf(node: SimNode): Mark {
  const { tracker, membership } = node.replica
  const seqs = new Map<BootId, number>()
  for (const [boot, log] of tracker.registry.logs) seqs.set(boot, log.seq)
  return {
    counter: tracker.counter,
    view: membership.view.number,
    incarnation: membership.self.incarnation,
    epoch: tracker.lineage.epoch,
    seqs,
    claims: new Map(tracker.registry.logs.get(node.boot)?.claims),
  }
}

/** Nothing falls that may only rise. */
function backwards(boot: BootId, before: Mark, now: Mark, found: Complaint[]): void {
  for (const what of ['counter', 'view', 'incarnation', 'epoch'] as const) {
    if (now[what] < before[what]) found.push({ rule: 'backwards', text: `${boot}: its ${what} fell` })
  }
  for (const [writer, seq] of before.seqs) {
    if ((now.seqs.get(writer) ?? seq) < seq) {
      found.push({ rule: 'backwards', text: `${boot}: its copy of the log of ${writer} fell` })
    }
  }
}

/** A new claim has a higher fence than any holder of the name had before; the ledger hears of one that is gone. */
function compareClaims(
  world: Tiny,
  node: SimNode,
  before: ReadonlyMap<string, Claim> | undefined,
  now: ReadonlyMap<string, Claim>,
  found: Complaint[],
): void {
  for (const [name, claim] of now) {
    if (before?.get(name)?.seq === claim.seq) continue
    const last = world.fences.get(name)
    if (isStrict(world.scenario.fault) && last !== undefined && claim.fence <= last.fence) {
      found.push({ rule: 'fence', text: `${name}: ${node.boot} got ${claim.fence} after ${last.fence} of ${last.by}` })
    }
    world.fences = new Map(world.fences)
    world.fences.set(name, { fence: Math.max(claim.fence, last?.fence ?? 0), by: node.boot })
  }
  for (const [name, claim] of before ?? []) {
    if (now.get(name)?.pid.id !== claim.pid.id) world.ledger.removed(node, claim)
  }
}

function newId(world: Tiny, node: SimNode, live: readonly SimNode[], found: Complaint[]): void {
  const { epoch, genesis } = node.replica.tracker.lineage
  const user = `${epoch} ${genesis} ${node.boot}`
  if (!world.idUsers.has(user)) world.idUsers = new Set([...world.idUsers, user])
  const text = overlap(node, live, world.idUsers)
  if (text !== undefined) found.push({ rule: 'overlap', text })
}

function twoHolders(live: readonly SimNode[], found: Complaint[]): void {
  const holders = new Map<string, BootId>()
  for (const node of live) {
    for (const name of node.replica.tracker.registry.logs.get(node.boot)?.claims.keys() ?? []) {
      const other = holders.get(name)
      if (other !== undefined)
        found.push({ rule: 'duplicate', text: `${name} is held by ${other} and by ${node.boot}` })
      holders.set(name, node.boot)
    }
  }
}

function twoHoldSlot(live: readonly SimNode[], found: Complaint[]): void {
  for (let slot = 0; slot < slots; slot++) {
    const holders = live.filter((node) => node.replica.tracker.held[slot] === 1)
    if (holders.length < 2) continue
    found.push({ rule: 'doubleSlot', text: `slot ${slot} is held by ${holders.map((one) => one.boot).join(' and ')}` })
  }
}
