/**
 * Placed names (PROTOCOL.md 4.4): the holder of a slot says where a name is started, the host claims it like anybody,
 * and the record, not the ring, says where it runs. Level-triggered: `reconcile` compares what should run in the slots
 * held here with what does, after every change and with time.
 */

import type { BootId, MemberInfo } from '@skep/cluster/core'
import { openAsk } from './asks.js'
import { mayStillRun } from './halting.js'
import { lookup } from './logs.js'
import type { Claim, Failed, Placement, Strategy, TrackerMessage } from './messages.js'
import { write } from './own.js'
import { aged, another, isTooOften, pauseMs, restartOf } from './policies.js'
import { slotOf } from './ring.js'
import { goOn, log, type Starting, send, type TrackerState, type Turn } from './state.js'
import { allows, choose, placingKey, type Verdict } from './strategies.js'

type Message<T extends TrackerMessage['type']> = Extract<TrackerMessage, { type: T }>

/** What the host of a name is found by. */
export type Placed = Pick<Starting, 'name' | 'slot' | 'kind' | 'terms'>

/** The node where a placed name is started: of those that know the kind and take new work, by its strategy. */
export function hostOf(
  state: TrackerState,
  placed: Placed,
  except: (boot: BootId) => boolean = () => false,
): BootId | undefined {
  return verdictOn(state, placed, except).host?.boot
}

/** The same, and whether this node can tell. */
export function verdictOn(
  state: TrackerState,
  { name, slot, kind, terms }: Placed,
  except: (boot: BootId) => boolean = () => false,
): Verdict {
  const strategy = terms?.strategy
  const key = placingKey(name, strategy)
  const at = key === name ? slot : slotOf(key, state.held.length)
  const hosts = hostsOf(state, at, kind).filter(({ boot }) => !except(boot))
  const own = strategy?.by === 'own' ? state.config.strategies?.get(strategy.id) : undefined
  return choose(hosts, name, strategy, own)
}

/** All that could be, in the order of the slot. */
function hostsOf(state: TrackerState, slot: number, kind: string): MemberInfo[] {
  const found: MemberInfo[] = []
  for (const index of state.table?.order(slot) ?? []) {
    const boot = state.ringBoots[index]
    if (boot === undefined) continue
    const own = boot === state.self
    const info = own ? state.info : state.peers.get(boot)?.info
    const open = own
      ? state.gate && !state.leaving && state.draining === undefined
      : state.peers.get(boot)?.phase === 'up'
    if (info !== undefined && open && info.weight > 0 && !info.cordoned && info.kinds.includes(kind)) found.push(info)
  }
  return found
}

/** Can this member run this claim's process, wherever the ring would put it? */
export function canHost(state: TrackerState, boot: BootId, { kind = '' }: Claim): boolean {
  const peer = state.peers.get(boot)
  return peer?.phase === 'up' && peer.info.kinds.includes(kind)
}

/** May it, by the terms of the claim? */
export function mayHost(state: TrackerState, boot: BootId, { placed }: Claim): boolean {
  const info = state.peers.get(boot)?.info
  return info !== undefined && allows(placed?.terms?.strategy, info)
}

type StartWish = Omit<Starting, 'host' | 'failedAt' | 'nextAt' | 'failedOn'>

function addStart({ state, now }: Turn, wish: StartWish): Starting {
  // Each field by its name: a copy of `wish` with some more is as dear as all else here.
  const starting: Starting = {
    name: wish.name,
    slot: wish.slot,
    origin: wish.origin,
    kind: wish.kind,
    spec: wish.spec,
    meta: wish.meta,
    terms: wish.terms,
    failover: wish.failover,
    above: wish.above,
    host: undefined,
    caller: wish.caller,
    failures: wish.failures,
    failedAt: now,
    nextAt: now,
    failedOn: undefined,
  }
  state.starting.set(wish.name, starting)
  return starting
}

export function beginStart(turn: Turn, wish: StartWish): void {
  tryStart(turn, addStart(turn, wish))
}

/** What was placed runs nowhere any more, and is started again: at once after its node's end, else after a pause. */
function beginAgain(turn: Turn, orphan: Claim, placed: Placement, slot: number): void {
  const { name, kind = '', meta, fence: above } = orphan
  const { spec, origin, terms, failures = [], ended } = placed
  const starting = addStart(turn, {
    name,
    slot,
    kind,
    spec,
    meta,
    origin,
    terms,
    failures,
    above,
    failover: true,
    caller: undefined,
  })
  if (ended === undefined) tryStart(turn, starting)
  else rest(turn, starting, ended.how === 'crashed' ? 'ERR_ACTOR' : 'ERR_ACTOR_STOPPED', ended.reason)
}

/** It has failed: it is started again after a pause, or never more. */
function rest(turn: Turn, starting: Starting, code: string, reason: string): void {
  const { failures, name } = starting
  if (isTooOften(failures, restartOf(starting))) return giveUp(turn, starting, code, reason)
  starting.nextAt = turn.now + pauseMs(failures.length)
  // Who waits for it may have to hear that it rests for long.
  turn.released.push(name)
}

/** How long this name rests from now on, before it is started again. */
export function restMs({ state, now }: Turn, name: string): number {
  const starting = state.starting.get(name)
  return starting === undefined || starting.host !== undefined ? 0 : starting.nextAt - now
}

/** One where it has not failed yet, if there is one; names that are to share a node do so, come what may. */
function nextHost(state: TrackerState, starting: Starting): BootId | undefined {
  const { failedOn, terms } = starting
  if (failedOn === undefined) return hostOf(state, starting)
  const other = terms?.strategy?.by === 'together' ? undefined : hostOf(state, starting, (boot) => failedOn.has(boot))
  if (other === undefined) starting.failedOn = undefined
  return other ?? hostOf(state, starting)
}

function tryStart(turn: Turn, starting: Starting): void {
  const { state, now } = turn
  const { limits } = state.config
  const { name, kind, spec, meta, origin, terms, failover, failures: before, failedAt } = starting
  const host = nextHost(state, starting)
  if (host === undefined && !failover) return endNowhere(turn, starting)
  starting.host = host
  // Without a host there is nothing to wait for but one that comes.
  starting.nextAt = now + (host === undefined ? limits.digestMs : limits.startMs)
  if (host === undefined) return
  const failures = aged(before, now - failedAt, restartOf(starting))
  send(turn, host, { type: 'start', name, kind, spec, meta, origin, failover, terms, failures })
  // The host may have been waiting with its claim: told to start by an earlier holder of the slot.
  turn.released.push(name)
}

/** No member can start it; whether that is for its kind, for its terms, or because none takes it now. */
function endNowhere(turn: Turn, starting: Starting): void {
  const { state } = turn
  const { name, slot, kind, terms } = starting
  const text = `no member can start an actor of kind '${kind}'`
  if (hostsOf(state, slot, kind).length > 0) {
    endStart(turn, starting, 'ERR_NO_HOST', `${text} where '${name}' may be${wordsFor(terms?.strategy)}`, undefined)
    return
  }
  const knowing = state.view.members.filter(({ kinds }) => kinds.includes(kind)).map((info) => info.name)
  if (knowing.length === 0) return endStart(turn, starting, 'ERR_KIND_UNKNOWN', text, undefined)
  const some = `${knowing.slice(0, 8).join(', ')}${knowing.length > 8 ? ', ...' : ''}`
  const why = `those that know it (${some}) are cordoned, starting, leaving or of weight 0`
  endStart(turn, starting, 'ERR_NO_HOST', `${text} now: ${why}`, undefined)
}

function wordsFor(strategy: Strategy | undefined): string {
  if (strategy?.by !== 'pinned') return ''
  const { roles, nodes } = strategy
  const words = [...roles.map((role) => `role '${role}'`), ...nodes.map((node) => `node '${node}'`)]
  return `: it is pinned to ${words.join(' or ')}`
}

export function onStart(turn: Turn, from: BootId, message: Message<'start'>): void {
  const { state } = turn
  const { name, kind, spec, meta, origin, failover, terms, failures } = message
  if (state.asks.host.get(name)?.some((ask) => ask.origin === origin)) return
  const refusing =
    state.leaving || state.draining !== undefined || !state.gate
      ? 'ERR_LEAVING'
      : state.info.kinds.includes(kind)
        ? undefined
        : 'ERR_KIND_UNKNOWN'
  if (refusing !== undefined) {
    return send(turn, from, {
      type: 'startFailed',
      name,
      origin,
      code: refusing,
      text: `${state.info.name} cannot start '${kind}'`,
    })
  }
  const cause = failover ? 'failover' : 'spawn'
  const id = --state.nextHostAsk
  openAsk(turn, { id, name, role: 'host', kind, spec, meta, origin, terms, failures, cause, starter: from })
}

export function onStartFailed(turn: Turn, from: BootId, message: Message<'startFailed'>): void {
  const { state, now } = turn
  const starting = state.starting.get(message.name)
  if (starting === undefined || starting.origin !== message.origin || starting.host !== from) return
  starting.host = undefined
  if (message.code === 'ERR_LEAVING' || message.code === 'ERR_OVERLOADED' || message.code === 'ERR_NO_MAJORITY') {
    // No failure of the name: the host is on its way out, has too much to do just now, or may start nothing.
    starting.nextAt = now + (message.code === 'ERR_LEAVING' ? 100 : 1000)
    return
  }
  if (!starting.failover) return endStart(turn, starting, message.code, message.text, undefined)
  if (message.code === 'ERR_IGNORED') return forgetStart(turn, starting, message.text)
  starting.failedOn ??= new Set()
  starting.failedOn.add(from)
  starting.failures = another(starting.failures, now - starting.failedAt, restartOf(starting))
  starting.failedAt = now
  rest(turn, starting, message.code, message.text)
}

/** Its own code says that there is nothing to run: its name is free, as after a stop by its user. */
function forgetStart(turn: Turn, starting: Starting, reason: string): void {
  strikeStart(turn, starting, undefined)
  log(turn, 'info', `'${starting.name}' is not started again: ${reason}`, { name: starting.name })
}

/** It fails wherever it is tried: a strike says to all that this name is over, and why, so that it is free again. */
function giveUp(turn: Turn, starting: Starting, code: string, reason: string): void {
  const { name, failures } = starting
  const failed = { times: failures.length, code, reason }
  strikeStart(turn, starting, failed)
  log(turn, 'error', `'${name}' failed ${failures.length} times and is not started again: ${reason}`, {
    name,
    ...failed,
  })
}

function strikeStart(turn: Turn, { name, origin, above }: Starting, failed: Failed | undefined): void {
  const fence = Math.max(above, turn.state.registry.orphans.get(name)?.fence ?? 0)
  turn.state.starting.delete(name)
  write(turn, { type: 'del', name, fence, strike: origin, ...(failed === undefined ? {} : { failed }) })
  turn.released.push(name)
}

function endStart(turn: Turn, starting: Starting, code: string, text: string, holder: Claim | undefined): void {
  turn.state.starting.delete(starting.name)
  const { caller, name } = starting
  if (caller !== undefined) send(turn, caller.boot, { type: 'spawnFailed', name, ask: caller.ask, code, text, holder })
  turn.released.push(name)
}

/** Compare what should run in the slots held here with what does: what runs no more is started again. */
export function reconcile(turn: Turn): void {
  const { state } = turn
  if (state.reconciling !== undefined) state.reconciling.again = true
  else if (state.registry.orphans.size > 0) {
    state.reconciling = { orphans: state.registry.orphans.values(), again: false }
    continueReconciling(turn)
  }
}

/** A slice of that. As many are started at once as a step can bear: the others follow as these end. */
export function continueReconciling(turn: Turn): void {
  const { state } = turn
  const { reconciling } = state
  if (reconciling === undefined) return
  let room = roomToStart(state)
  for (let left = state.config.limits.sliceNames; left > 0; left--) {
    if (room <= 0) return
    const next = reconciling.orphans.next()
    if (next.done === true) {
      state.reconciling = undefined
      if (reconciling.again) reconcile(turn)
      return
    }
    const { name } = next.value
    // It may have come back since the iterator began, or be another by now.
    const orphan = state.registry.orphans.get(name)
    if (orphan === undefined) continue
    reconcileOne(turn, orphan)
    if (state.starting.get(name)?.host !== undefined) room--
  }
  goOn(turn)
}

/** The same of one name. */
export function reconcileOne(turn: Turn, orphan: Claim): void {
  const { state, now } = turn
  const { name, placed, pid } = orphan
  // What we may be cut off from may live; what has ended by itself on a node that is there does not.
  if (now < state.pausedUntil && (placed?.ended === undefined || isHidden(state, pid.boot))) return
  const slot = slotOf(name, state.held.length)
  if (state.held[slot] === 0 || state.starting.has(name) || state.grants.has(name)) return
  if (lookup(state.registry, name) !== undefined || placed === undefined || mayStillRun(state, name)) return
  // Its process is one of ours, and lives: the name will be asked for again.
  if (state.unaskedNames.has(name)) return
  beginAgain(turn, orphan, placed, slot)
}

function isHidden({ registry }: TrackerState, boot: BootId): boolean {
  return registry.logs.get(boot)?.hidden !== false
}

/** How many starts may be under way besides those that are: what rests after a failure is in nobody's way. */
function roomToStart({ starting, config }: TrackerState): number {
  let room = config.limits.maxStarting
  for (const { host } of starting.values()) if (host !== undefined) room--
  return room
}

/** Starts whose host is gone or silent are tried again. */
export function retryStarts(turn: Turn): void {
  const { state, now } = turn
  let room = roomToStart(state)
  for (const starting of [...state.starting.values()]) {
    const phase = starting.host === undefined ? undefined : state.peers.get(starting.host)?.phase
    const lost = phase === 'down' || phase === 'left' || phase === 'leaving'
    const over = starting.failover && !state.registry.orphans.has(starting.name)
    if (over) {
      state.starting.delete(starting.name)
      turn.released.push(starting.name)
    } else if (lost || (now >= starting.nextAt && (starting.host !== undefined || room-- > 0))) tryStart(turn, starting)
  }
}

/** What was being started has lived and ended before this node saw it live. */
export function endStruck(turn: Turn, starting: Starting): void {
  endStart(turn, starting, 'ERR_ACTOR_STOPPED', `'${starting.name}' was started and has ended since`, undefined)
}

/** A name that was being started is held, by whoever was first. */
export function endStarted(turn: Turn, starting: Starting, holder: Claim): void {
  const { name, caller } = starting
  turn.state.starting.delete(name)
  // The rest of those that wait for room.
  if (turn.state.reconciling !== undefined) goOn(turn)
  if (caller === undefined) return
  if (holder.placed?.origin === starting.origin) {
    return send(turn, caller.boot, { type: 'spawned', name, ask: caller.ask, claim: holder })
  }
  send(turn, caller.boot, { type: 'spawnFailed', name, ask: caller.ask, code: 'ERR_ALREADY_STARTED', text: '', holder })
}
