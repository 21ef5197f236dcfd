/**
 * What must hold after every action, and at rest: the rules of the simulator (PROTOCOL.md section 6), here over whole
 * worlds and not over what a step changed, so that neither check hangs on the bookkeeping of the other.
 */
import type { BootId } from '@skep/cluster/core'
import type { SimNode } from '../machines/node.js'
import { type Unrest, unrest } from '../machines/rest.js'
import { overlap, Safety } from '../machines/safety.js'
import { slots } from './scenario.js'
import { type Complaint, isStrict, type Tiny } from './tiny.js'

const REST_WITHIN_MS = 15_000

/** What is wrong in `after`; notes there what later checks need to know. `told`: what the action itself complained of. */
export function check(before: Tiny, after: Tiny, told: readonly Complaint[]): Complaint[] {
  const found = [...told]
  const live = liveNodes(after)
  for (const node of live) {
    const earlier = before.nodes[node.index]
    if (earlier === node) continue
    if (earlier !== undefined) backwards(earlier, node, found)
    newFences(after, earlier, node, found)
    removedClaims(after, earlier, node)
    newId(after, node, live, found)
  }
  if (isStrict(after.scenario.fault)) {
    twoHolders(live, found)
    twoHoldSlot(live, found)
  }
  if (after.now > after.disturbedAt + REST_WITHIN_MS) {
    const why = restless(after)
    found.push({ rule: why?.rule ?? 'stuck', text: `no rest ${REST_WITHIN_MS} ms after the last act: ${why?.text}` })
  }
  return found
}

/** The first thing that is not at rest. */
export function restless(world: Tiny): Unrest | undefined {
  const live = liveNodes(world)
  const safety = new Safety(
    slots,
    false,
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

/** Nothing falls that may only rise. */
function backwards(before: SimNode, after: SimNode, found: Complaint[]): void {
  const [old, now] = [before.replica, after.replica]
  const fell = (what: string): void => void found.push({ rule: 'backwards', text: `${after.boot}: ${what} fell` })
  if (now.tracker.counter < old.tracker.counter) fell('its fence counter')
  if (now.membership.view.number < old.membership.view.number) fell('its view number')
  if (now.membership.self.incarnation < old.membership.self.incarnation) fell('its incarnation')
  if (now.tracker.lineage.epoch < old.tracker.lineage.epoch) fell('the epoch of its lineage')
  for (const [boot, log] of old.tracker.registry.logs) {
    const copy = now.tracker.registry.logs.get(boot)
    if (copy !== undefined && copy.seq < log.seq) fell(`its copy of the log of ${boot}`)
  }
}

/** A claim that the node has written since has a higher fence than any holder of the name had before. */
function newFences(world: Tiny, before: SimNode | undefined, node: SimNode, found: Complaint[]): void {
  const old = before?.replica.tracker.registry.logs.get(node.boot)?.claims
  for (const [name, claim] of node.replica.tracker.registry.logs.get(node.boot)?.claims ?? []) {
    if (old?.get(name)?.seq === claim.seq) continue
    const last = world.fences.get(name)
    if (isStrict(world.scenario.fault) && last !== undefined && claim.fence <= last.fence) {
      found.push({ rule: 'fence', text: `${name}: ${node.boot} got ${claim.fence} after ${last.fence} of ${last.by}` })
    }
    world.fences = new Map(world.fences)
    world.fences.set(name, { fence: Math.max(claim.fence, last?.fence ?? 0), by: node.boot })
  }
}

/** The ledger hears of a claim that an unregister from afar took. */
function removedClaims(world: Tiny, before: SimNode | undefined, node: SimNode): void {
  const claims = node.replica.tracker.registry.logs.get(node.boot)?.claims
  for (const [name, claim] of before?.replica.tracker.registry.logs.get(node.boot)?.claims ?? []) {
    if (claims?.get(name)?.pid.id !== claim.pid.id) world.ledger.removed(node, claim)
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
