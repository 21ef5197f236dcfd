/**
 * Handing a placed process over to another node with its state (PROTOCOL.md 4.4), in two phases: the target asks for
 * the name in the place of just that claim of the source, makes a process of what the source exported, and claims it;
 * the holder of the slot is the only one who can say yes. Until the target's claim is there, the source has the process and
 * all that waits for it, and takes it back whatever becomes of the target; from then on the target has it, whatever
 * becomes of the source.
 *
 * The source begins a handoff: ordered by the holder of the slot (rebalance.ts), asked by a user, or since it leaves.
 * It alone decides what is on the way and how much. What follows the target's claim is passage.ts.
 */

import type { BootId } from '@skep/cluster/core'
import { abandonAsk, openAsk } from './asks.js'
import { logOf } from './logs.js'
import type { Claim, TrackerMessage } from './messages.js'
import { dropHandoff, endHandoff, pass, passKnown } from './passage.js'
import { canHost, hostOf, mayHost } from './placement.js'
import { hasEnded } from './policies.js'
import { failuresNow } from './restarts.js'
import { slotOf } from './ring.js'
import {
  type Handoff,
  log,
  type MoveFault,
  ownerOf,
  send,
  type TrackerInput,
  type TrackerState,
  type Turn,
} from './state.js'

type Message<T extends TrackerMessage['type']> = Extract<TrackerMessage, { type: T }>
type Input<T extends TrackerInput['type']> = Extract<TrackerInput, { type: T }>

// -- the source

/** Where this name would be handed over to now; undefined where no other member can run it. */
export function targetOf(state: TrackerState, claim: Claim, now: number): BootId | undefined {
  const shunned = state.shunned.get(claim.name)
  const except = (boot: BootId): boolean =>
    boot === state.self || (shunned !== undefined && shunned.boot === boot && now < shunned.until)
  const { name, kind = '', placed } = claim
  return hostOf(state, { name, slot: slotOf(name, state.held.length), kind, terms: placed?.terms }, except)
}

/** Begin to hand over a placed name of this node; why not, where it cannot be. */
export function beginHandoff(
  turn: Turn,
  claim: Claim,
  to: BootId,
  asker?: Handoff['askers'][number],
): MoveFault | undefined {
  const { state } = turn
  const { name, pid } = claim
  const going = state.handoffs.get(name)
  if (going !== undefined) {
    if (going.to !== to) return { code: 'ERR_CANNOT_MOVE', text: `'${name}' is being handed over to another node` }
    if (asker !== undefined) going.askers.push(asker)
    return undefined
  }
  if (!canHost(state, to, claim)) {
    return { code: 'ERR_CANNOT_MOVE', text: `the node that '${name}' should go to cannot run it at present` }
  }
  if (!mayHost(state, to, claim)) {
    return { code: 'ERR_CANNOT_MOVE', text: `'${name}' is pinned to other nodes` }
  }
  const handoff: Handoff = {
    name,
    pid: pid.id,
    to,
    stage: 'wait',
    since: turn.now,
    number: 0,
    from: undefined,
    bytes: 0,
    groups: [],
    taken: undefined,
    askers: asker === undefined ? [] : [asker],
  }
  state.handoffs.set(name, handoff)
  exportWhole(turn, handoff)
  return undefined
}

/**
 * Where the process has come from another node, that one first passes on what was sent to it there: else the process
 * might be gone before, and that node see the name held by somebody that it knows nothing of.
 */
function exportWhole(turn: Turn, handoff: Handoff): void {
  const { registry, self } = turn.state
  const { name, pid, to } = handoff
  const from = logOf(registry, self).claims.get(name)?.from
  const before = from === undefined ? undefined : registry.logs.get(from.boot)
  if (before !== undefined && !before.hidden && before.claims.get(name)?.seq === from?.seq) return
  handoff.stage = 'export'
  handoff.since = turn.now
  handoff.number = ++turn.state.nextNumber
  turn.out.push({ type: 'export', pid, name, number: handoff.number, to })
}

/** Asked by a user of any node: to this node, or to the one that the ring gives of the others. Undefined when it begins. */
export function moveName(
  turn: Turn,
  claim: Claim,
  to: BootId | undefined,
  asker: Handoff['askers'][number],
): MoveFault | 'there' | undefined {
  const { state, now } = turn
  const { name } = claim
  if (claim.placed === undefined) {
    return { code: 'ERR_CANNOT_MOVE', text: `'${name}' was not placed by the cluster: it lives and ends on its node` }
  }
  const target = to ?? targetOf(state, claim, now)
  if (target === undefined) return { code: 'ERR_CANNOT_MOVE', text: `no other member can run '${name}'` }
  if (target === state.self && !state.handoffs.has(name)) return 'there'
  return beginHandoff(turn, claim, target, asker)
}

/** The holder of the slot says that the name belongs elsewhere by now. It says so once: what has no room waits. */
export function onOrder(turn: Turn, from: BootId, { name, seq, to }: Message<'order'>): void {
  const { state } = turn
  if (to === state.self || ownerOf(state, slotOf(name, state.held.length)) !== from) return
  // One a claim of ours: so there are never more than these.
  if (logOf(state.registry, state.self).claims.get(name)?.seq === seq) state.ordered.set(name, { seq, to })
}

/** At the end of each step: as many of the ordered ones as may be on their way at once. */
export function obeyOrders(turn: Turn): void {
  const { state } = turn
  const { ordered, draining, leaving, info, registry, self } = state
  // What is still to go from a node that drains goes anyhow; what runs on a cordoned one runs on.
  if (draining !== undefined || leaving || info.cordoned) ordered.clear()
  for (const [name, { seq, to }] of ordered) {
    if (!hasRoom(state)) return
    ordered.delete(name)
    const own = logOf(registry, self).claims.get(name)
    if (own?.seq === seq && own.placed !== undefined && !state.handoffs.has(name)) beginHandoff(turn, own, to)
  }
}

export function onExported(turn: Turn, { name, number, state: image }: Input<'exported'>): void {
  const { state, now } = turn
  const handoff = state.handoffs.get(name)
  // One that came too late is of a process that has gone on since.
  if (handoff?.stage !== 'export' || handoff.number !== number) return
  const { pid } = handoff
  const own = logOf(state.registry, state.self).claims.get(name)
  const kind = own?.kind
  if (own?.pid.id !== pid || own.placed === undefined || kind === undefined) {
    return endHandoff(turn, handoff, { code: 'ERR_CANNOT_MOVE', text: `'${name}' is not held here any more` })
  }
  if (!canHost(state, handoff.to, own))
    return fail(turn, handoff, 'the node that it was to go to cannot run it any more')
  handoff.stage = 'sent'
  handoff.since = now
  handoff.bytes = image.byteLength
  const { seq, fence, meta, placed } = own
  handoff.from = { boot: state.self, seq, fence }
  handoff.groups = [...(state.groupsOf.get(pid) ?? [])]
  const groups = handoff.groups.map((group) => ({
    group,
    meta: logOf(state.registry, state.self).groups.get(group)?.get(pid)?.meta,
  }))
  const { spec, origin, terms } = placed
  const failures = failuresNow(turn, own)
  const message = { name, number, kind, spec, meta, origin, seq, fence, groups, state: image, terms, failures }
  send(turn, handoff.to, { type: 'handoff', ...message })
}

export function onExportFailed(turn: Turn, { name, number, code, text }: Input<'exportFailed'>): void {
  const handoff = turn.state.handoffs.get(name)
  if (handoff?.stage !== 'export' || handoff.number !== number) return
  if (code === 'ERR_CANNOT_MOVE') turn.state.draining?.stuck.set(name, text)
  endHandoff(turn, handoff, { code, text })
}

/** The target will not claim the name: nothing has happened. */
export function onHandoffFailed(
  turn: Turn,
  from: BootId,
  { name, number, code, text }: Message<'handoffFailed'>,
): void {
  const handoff = turn.state.handoffs.get(name)
  if (handoff === undefined || handoff.to !== from || handoff.number !== number) return
  if (handoff.stage !== 'sent' && handoff.stage !== 'retake') return
  dropRetake(turn, name)
  fail(turn, handoff, text, code)
}

function fail(turn: Turn, handoff: Handoff, text: string, code = 'ERR_CANNOT_MOVE'): void {
  const { state, now } = turn
  const { name, to } = handoff
  state.shunned.set(name, { boot: to, until: now + state.config.limits.shunMs })
  log(turn, 'info', `'${name}' was not handed over: ${text}`, { name, to, code })
  endHandoff(turn, handoff, { code, text })
}

/** No word from the target: the holder of the slot decides who has the name. */
function retake(turn: Turn, handoff: Handoff): void {
  const { state, now } = turn
  const { name, pid } = handoff
  const own = logOf(state.registry, state.self).claims.get(name)
  if (own?.pid.id !== pid || own.placed === undefined) return
  handoff.stage = 'retake'
  handoff.since = now
  const { kind, meta, seq, fence } = own
  // The claim as it is now: it may have been written anew since it was handed over.
  const from = { boot: state.self, seq, fence }
  const { spec, origin, terms } = own.placed
  const id = --state.nextHostAsk
  openAsk(turn, { id, name, role: 'retake', kind, meta, spec, origin, terms, pid, told: true, from })
}

/** Its claim was written anew: it is asked for again in the place of that one, or the ask would be void for ever. */
export function renewRetake(turn: Turn, name: string): void {
  const handoff = turn.state.handoffs.get(name)
  if (handoff?.stage !== 'retake') return
  dropRetake(turn, name)
  retake(turn, handoff)
}

/** What becomes of the process is decided: it is not asked for again. */
export function dropRetake(turn: Turn, name: string): void {
  const ask = turn.state.asks.retake.get(name)?.[0]
  if (ask !== undefined) abandonAsk(turn, ask.id, undefined, undefined)
}

/** The target is gone, or there is no link to it any more, so that our last word to it may be lost. */
export function lostTarget(turn: Turn, boot: BootId, gone: boolean): void {
  for (const handoff of [...turn.state.handoffs.values()]) {
    if (handoff.to !== boot) continue
    if (handoff.stage === 'sent') retake(turn, handoff)
    else if (handoff.stage === 'pass' && gone) pass(turn, handoff)
  }
}

/** With time: what took too long ends, what is behind is asked again, and what is to go goes. */
export function tickHandoffs(turn: Turn): void {
  const { state, now } = turn
  const { handoffMs, exportMs } = state.config.limits
  for (const handoff of [...state.handoffs.values()]) {
    if (handoff.stage === 'wait') exportWhole(turn, handoff)
    const coming = handoff.stage === 'wait' || handoff.stage === 'export'
    if (coming && now - handoff.since >= exportMs) {
      fail(turn, handoff, `it did not come to rest within ${exportMs} ms`, 'ERR_TIMEOUT')
    } else if (handoff.stage === 'sent' && now - handoff.since >= handoffMs) retake(turn, handoff)
  }
  for (const target of state.barriers.keys()) passKnown(turn, target)
  for (const [name, { until }] of state.shunned) if (now >= until) state.shunned.delete(name)
  gather(turn)
}

/** This node leaves: what is not handed over by now ends here. */
export function endHandoffs(turn: Turn): void {
  for (const handoff of [...turn.state.handoffs.values()]) {
    if (handoff.stage === 'pass') pass(turn, handoff)
    else dropHandoff(turn, handoff.name, { code: 'ERR_LEAVING', text: 'its node is leaving the cluster' })
  }
}

// -- before this node leaves

export function startDraining(turn: Turn): void {
  turn.state.draining ??= { queue: [], stuck: new Map(), told: false }
  gather(turn)
}

/** What is placed here and not on its way. */
function gather(turn: Turn): void {
  const { draining, registry, self, handoffs } = turn.state
  if (draining === undefined || draining.queue.length > 0) return
  for (const { name, placed } of logOf(registry, self).claims.values()) {
    if (placed === undefined || placed.ended !== undefined) continue
    if (!handoffs.has(name) && !draining.stuck.has(name)) draining.queue.push(name)
  }
}

/** At the end of each step: as many as may be on their way at once; when nothing is left that could go, it is told. */
export function drainOn(turn: Turn): void {
  const { state, now } = turn
  const { draining, handoffs } = state
  if (draining === undefined || state.leaving) return
  const own = logOf(state.registry, state.self)
  while (draining.queue.length > 0 && hasRoom(state)) {
    const claim = own.claims.get(draining.queue.pop() as string)
    if (claim?.placed === undefined || hasEnded(claim) || handoffs.has(claim.name)) continue
    const to = targetOf(state, claim, now)
    if (to !== undefined) beginHandoff(turn, claim, to)
    else if (!state.shunned.has(claim.name)) draining.stuck.set(claim.name, 'no other member can run it')
  }
  if (draining.told || draining.queue.length > 0 || handoffs.size > 0 || isComing(state)) return
  gather(turn)
  if (draining.queue.length > 0) return
  draining.told = true
  turn.out.push({ type: 'emptied', left: [...draining.stuck].map(([name, reason]) => ({ name, reason })) })
}

/** Is any process being started here, or asking for its name again after a rejoin? */
function isComing({ asks, unasked }: TrackerState): boolean {
  if (unasked.size > 0) return true
  for (const [first] of asks.kept.values()) if (first?.origin !== undefined) return true
  for (const queues of [asks.host, asks.target]) for (const [first] of queues.values()) if (first?.told) return true
  return false
}

function hasRoom(state: TrackerState): boolean {
  const { maxHandoffs, maxPassing, handoffBytes } = state.config.limits
  let [bytes, passing] = [0, 0]
  for (const handoff of state.handoffs.values()) {
    bytes += handoff.bytes
    if (handoff.stage === 'pass') passing += 1
  }
  return state.handoffs.size - passing < maxHandoffs && passing < maxPassing && bytes < handoffBytes
}

// -- the target

export function onHandoff(turn: Turn, from: BootId, message: Message<'handoff'>): void {
  const { state } = turn
  const { name, number, kind, spec, meta, origin, seq, fence, groups, state: image, terms, failures } = message
  const came = logOf(state.registry, state.self).claims.get(name)?.from
  // Told twice, which an answer must not undo: that it came stands in our log.
  if (came?.boot === from && came.seq === seq) return
  const known = state.asks.target.get(name)?.find((ask) => ask.from?.boot === from)
  if (known !== undefined) {
    if ((known.handed?.number ?? 0) >= number) return
    // The source has begun anew, so what it sent before is void.
    abandonAsk(turn, known.id, undefined, undefined)
  }
  const refusal = refusalOf(state, kind)
  if (refusal !== undefined) return send(turn, from, { type: 'handoffFailed', name, number, ...refusal })
  openAsk(turn, {
    id: --state.nextHostAsk,
    name,
    role: 'target',
    kind,
    meta,
    spec,
    origin,
    terms,
    failures,
    cause: 'handoff',
    starter: from,
    from: { boot: from, seq, fence },
    handed: { number, groups },
    image,
  })
}

function refusalOf(state: TrackerState, kind: string): MoveFault | undefined {
  const { info, leaving, draining, gate, asks, config } = state
  if (leaving || draining !== undefined || !gate) return { code: 'ERR_LEAVING', text: `${info.name} takes nothing new` }
  if (!info.kinds.includes(kind)) return { code: 'ERR_KIND_UNKNOWN', text: `${info.name} cannot run '${kind}'` }
  if (asks.target.size < config.limits.maxTargets) return undefined
  return { code: 'ERR_OVERLOADED', text: `${info.name} takes ${asks.target.size} processes over already` }
}
