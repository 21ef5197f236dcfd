/**
 * Placed names (PROTOCOL.md 4.4): the holder of a slot says where a name is started, the host claims it like anybody,
 * and the record, not the ring, says where it runs. Level-triggered: `reconcile` compares what should run in the slots
 * held here with what does, after every change and with time.
 */

import type { BootId, MemberInfo } from '@skep/cluster/core'
import { openAsk } from './asks.js'
import { mayStillRun } from './halting.js'
import { lookup } from './logs.js'
import type { Claim, Strategy, TrackerMessage } from './messages.js'
import { write } from './own.js'
import { slotOf } from './ring.js'
import { log, type Starting, send, type TrackerState, type Turn } from './state.js'
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

type StartWish = Omit<Starting, 'host' | 'tries' | 'nextAt'>

export function beginStart(turn: Turn, wish: StartWish): void {
  const starting: Starting = { ...wish, host: undefined, tries: 0, nextAt: turn.now }
  turn.state.starting.set(wish.name, starting)
  tryStart(turn, starting)
}

function tryStart(turn: Turn, starting: Starting): void {
  const { state, now } = turn
  const { limits } = state.config
  const { name, kind, spec, meta, origin, terms, failover } = starting
  const host = hostOf(state, starting)
  if (host === undefined && !failover) return endNowhere(turn, starting)
  starting.host = host
  // Without a host there is nothing to wait for but one that comes.
  starting.nextAt = now + (host === undefined ? limits.digestMs : limits.startMs)
  if (host === undefined) return
  send(turn, host, { type: 'start', name, kind, spec, meta, origin, failover, terms })
  // The host may have been waiting with its claim: told to start by an earlier holder of the slot.
  turn.released.push(name)
}

/** No member can start it; whether that is for its kind or for its terms. */
function endNowhere(turn: Turn, starting: Starting): void {
  const { name, slot, kind, terms } = starting
  const some = hostsOf(turn.state, slot, kind).length > 0
  const code = some ? 'ERR_NO_HOST' : 'ERR_KIND_UNKNOWN'
  const text = `no member can start an actor of kind '${kind}'`
  endStart(turn, starting, code, some ? `${text} where '${name}' may be${wordsFor(terms?.strategy)}` : text, undefined)
}

function wordsFor(strategy: Strategy | undefined): string {
  if (strategy?.by !== 'pinned') return ''
  const { roles, nodes } = strategy
  const words = [...roles.map((role) => `role '${role}'`), ...nodes.map((node) => `node '${node}'`)]
  return `: it is pinned to ${words.join(' or ')}`
}

export function onStart(turn: Turn, from: BootId, message: Message<'start'>): void {
  const { state } = turn
  const { name, kind, spec, meta, origin, failover, terms } = message
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
  openAsk(turn, { id: --state.nextHostAsk, name, role: 'host', kind, spec, meta, origin, terms, cause, starter: from })
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
  starting.tries++
  starting.nextAt = now + Math.min(30_000, 200 * 2 ** starting.tries)
  if (starting.tries < state.config.limits.startTries) return
  giveUp(turn, starting)
  log(turn, 'error', `'${starting.name}' could not be started again: given up`, {
    name: starting.name,
    tries: starting.tries,
    code: message.code,
    reason: message.text,
  })
}

/** It fails wherever it is started: a strike says to all that this name is over, so that it is free again. */
function giveUp(turn: Turn, starting: Starting): void {
  const { name, origin } = starting
  const fence = turn.state.registry.orphans.get(name)?.fence ?? 0
  turn.state.starting.delete(name)
  write(turn, { type: 'del', name, fence, strike: origin })
  turn.released.push(name)
}

function endStart(turn: Turn, starting: Starting, code: string, text: string, holder: Claim | undefined): void {
  turn.state.starting.delete(starting.name)
  const { caller, name } = starting
  if (caller !== undefined) send(turn, caller.boot, { type: 'spawnFailed', name, ask: caller.ask, code, text, holder })
  turn.released.push(name)
}

/** Compare what should run in the slots held here with what does: names of gone nodes are started again. */
export function reconcile(turn: Turn): void {
  const { state, now } = turn
  if (now < state.pausedUntil) return
  for (const [name, orphan] of state.registry.orphans) {
    // As many at once as a step can bear: the others follow as these end.
    if (state.starting.size >= state.config.limits.maxStarting) return
    const slot = slotOf(name, state.held.length)
    if (state.held[slot] === 0 || state.starting.has(name) || state.grants.has(name)) continue
    if (lookup(state.registry, name) !== undefined || orphan.placed === undefined) continue
    if (mayStillRun(state, name)) continue
    const { spec, origin, terms } = orphan.placed
    const { kind = '', meta } = orphan
    beginStart(turn, { name, slot, kind, spec, meta, origin, terms, failover: true, caller: undefined })
  }
}

/** Starts whose host is gone or silent are tried again. */
export function retryStarts(turn: Turn): void {
  const { state, now } = turn
  for (const starting of [...state.starting.values()]) {
    const phase = starting.host === undefined ? undefined : state.peers.get(starting.host)?.phase
    const lost = phase === 'down' || phase === 'left' || phase === 'leaving'
    const over = starting.failover && !state.registry.orphans.has(starting.name)
    if (over) {
      state.starting.delete(starting.name)
      turn.released.push(starting.name)
    } else if (now >= starting.nextAt || lost) tryStart(turn, starting)
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
  if (turn.state.starting.size < turn.state.config.limits.maxStarting / 2 && turn.state.registry.orphans.size > 0)
    reconcile(turn)
  if (caller === undefined) return
  if (holder.placed?.origin === starting.origin) {
    return send(turn, caller.boot, { type: 'spawned', name, ask: caller.ask, claim: holder })
  }
  send(turn, caller.boot, { type: 'spawnFailed', name, ask: caller.ask, code: 'ERR_ALREADY_STARTED', text: '', holder })
}
