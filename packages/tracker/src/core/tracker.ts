/**
 * The tracker machine: the cluster-wide registry of names as one pure step function. It stands on the membership
 * machine, whose upward outputs are its inputs, and is driven by a shell, by the simulator and by tests alike.
 *
 * `step` is total for whatever peers send (bad input gives `dropped`); local inputs that break the contract throw.
 * Each idea lives in a file of its own: the registry in logs.ts, its copies in sync.ts, the right to grant in
 * slots.ts, asking for names in asks.ts and giving them in grants.ts, placed names in placement.ts, two claims of one
 * name in conflicts.ts, clock ids in ids.ts, who is there in members.ts, going in leaving.ts. This file routes and keeps
 * the time.
 */

import { type BootId, seedRandom } from '@skep/cluster/core'
import {
  abandonAsk,
  askAgain,
  askAgainWhere,
  commitAsk,
  onCheck,
  onElsewhere,
  onGrant,
  onRefuse,
  onSpawned,
  onSpawnFailed,
  openAsk,
  riseAsk,
} from './asks.js'
import { onChange } from './changes.js'
import { contestAgain, onRunning, onRuns } from './conflicts.js'
import { checkGrants, dropYielded, onAsk, onUnused, serveSlots, serveWaiting } from './grants.js'
import { partitionDeadline } from './halting.js'
import {
  drainOn,
  obeyOrders,
  onExported,
  onExportFailed,
  onHandoff,
  onHandoffFailed,
  onOrder,
  startDraining,
  tickHandoffs,
} from './handoff.js'
import { onIdAsk, onIdConfirm, onIdGive, onIdGrant, onIdPoint, onLineage, renewLineage, seekAgain } from './ids.js'
import { askForKept } from './kept.js'
import { depart, leave, onParted, part, partingAsk } from './leaving.js'
import { type Change, expireStrikes, forgetLog, hasOrphans, logOf, newRegistry } from './logs.js'
import { onLinked, onMember, onUnlinked, onView, sweepGone } from './members.js'
import type { TrackerMessage } from './messages.js'
import { haltWhenDue, onBeat, tickPartition } from './partition.js'
import { askKnown, onKnown, onKnows } from './passage.js'
import { continueReconciling, onStart, onStartFailed, reconcile, retryStarts } from './placement.js'
import { rebalance, rebalanceSoon } from './rebalance.js'
import { rejoin } from './rejoining.js'
import {
  answerFlush,
  endProcess,
  onAnswer,
  onFlushed,
  onRequest,
  request,
  startFlush,
  tickRequests,
} from './requests.js'
import { recover } from './restarts.js'
import { isPursuitDue, onAck, onTake, pursue, pursueSoon, yieldAll } from './slots.js'
import {
  isGone,
  log,
  type TrackerConfig,
  type TrackerInput,
  type TrackerOutput,
  type TrackerState,
  type Turn,
} from './state.js'
import {
  continueReplacements,
  continueTransfers,
  digestRound,
  expirePulls,
  expireTransfers,
  flushOps,
  onBusy,
  onDigest,
  onMore,
  onOps,
  onPull,
  onState,
  reached,
  sendDigest,
} from './sync.js'
import { initPartition } from './votes.js'

export function initTracker(config: TrackerConfig, now: number): TrackerState {
  const { slots } = config.ring
  const self = config.self.boot
  const state: TrackerState = {
    config,
    self,
    registry: newRegistry(config.limits.maxTail),
    peers: new Map(),
    links: new Set(),
    view: { number: 0, members: [] },
    ringBoots: [],
    table: undefined,
    info: config.self,
    gate: false,
    ready: false,
    leaving: false,
    parting: undefined,
    departed: false,
    watched: false,
    random: seedRandom(config.seed),
    counter: config.counter,
    nextNumber: 0,
    nextHostAsk: 0,
    held: new Uint8Array(slots),
    heldVersion: 0,
    heldCount: 0,
    ownedCount: 0,
    generation: 1,
    slotGeneration: new Uint32Array(slots).fill(1),
    taking: new Map(),
    pursueAt: Number.NEGATIVE_INFINITY,
    needsSweptAt: Number.NEGATIVE_INFINITY,
    awaited: undefined,
    needed: new Map(),
    told: new Map(),
    early: new Map(),
    asks: {
      claim: new Map(),
      spawn: new Map(),
      host: new Map(),
      kept: new Map(),
      target: new Map(),
      retake: new Map(),
    },
    askById: new Map(),
    unasked: new Map(),
    unaskedNames: new Map(),
    unaskedNext: undefined,
    grants: new Map(),
    waiting: new Map(),
    waitingCount: 0,
    starting: new Map(),
    contests: new Map(),
    names: new Map(),
    groupsOf: new Map(),
    requests: new Map(),
    flushes: new Map(),
    unsent: [],
    partition: initPartition(config.partition, self, now),
    pulls: new Map(),
    replacements: new Map(),
    transfers: [],
    targets: new Map(),
    nextDigestAt: now + config.limits.digestMs,
    viewSizes: [],
    pausedUntil: 0,
    recovering: new Map(),
    handoffs: new Map(),
    ordered: new Map(),
    barriers: new Map(),
    shunned: new Map(),
    draining: undefined,
    rebalancing: undefined,
    lineage: { epoch: 0, genesis: self },
    id: 1,
    pendingGrants: new Map(),
    seeking: undefined,
    inherited: new Set(),
    heir: undefined,
    made: 0,
    retired: new Map(),
    floor: 0,
    worn: false,
    firstStamp: undefined,
    nextSweepAt: now + config.limits.sweepMs,
    reconciling: undefined,
    continuing: false,
  }
  logOf(state.registry, self)
  return state
}

/** When `wake` is due at the latest. A `wake` before it does no harm. */
export function trackerDeadline(state: TrackerState): number {
  const own = isBusy(state) ? Math.min(state.nextDigestAt, state.nextSweepAt) : state.nextDigestAt
  return Math.min(own, partitionDeadline(state))
}

/** Is anything open that time must look after? Without it only the digest round is due. */
function isBusy(state: TrackerState): boolean {
  return (
    state.askById.size > 0 ||
    state.unasked.size > 0 ||
    state.heldCount < state.ownedCount ||
    state.grants.size > 0 ||
    state.starting.size > 0 ||
    state.registry.sweeping.size > 0 ||
    state.registry.forgetting.length > 0 ||
    state.replacements.size > 0 ||
    state.reconciling !== undefined ||
    state.pulls.size > 0 ||
    state.transfers.length > 0 ||
    state.contests.size > 0 ||
    state.requests.size > 0 ||
    state.handoffs.size > 0 ||
    state.rebalancing !== undefined ||
    (state.draining !== undefined && !state.leaving) ||
    state.flushes.size > 0 ||
    state.seeking !== undefined ||
    (state.worn && !state.leaving) ||
    (state.leaving && !state.departed)
  )
}

export function stepTracker(state: TrackerState, input: TrackerInput, now: number): TrackerOutput[] {
  const turn: Turn = { state, now, out: [], inbox: [], released: [], risen: [] }
  const late = now > trackerDeadline(state) + state.config.limits.lateMs
  haltWhenDue(turn)
  if (late) afterStall(turn)
  handle(turn, input)
  tick(turn)
  settle(turn)
  return turn.out
}

function handle(turn: Turn, input: TrackerInput): void {
  const { state } = turn
  switch (input.type) {
    case 'message':
      return onMessage(turn, input.from, input.message as TrackerMessage)
    case 'view':
      return onView(turn, input.view)
    case 'member':
      return onMember(turn, input.member)
    case 'linked':
      return onLinked(turn, input.boot)
    case 'unlinked':
      return onUnlinked(turn, input.boot)
    case 'rejoined':
      return rejoin(turn, input.self, input.members)
    case 'drained':
      return sendDigest(turn, input.boot)
    case 'gateOpen':
      return onGateOpen(turn)
    case 'claim':
      return openAsk(turn, {
        id: input.ask,
        name: input.name,
        role: 'claim',
        kind: input.kind,
        meta: input.meta,
        pid: input.pid,
        local: input.mode === 'local',
      })
    case 'spawn':
      return openAsk(turn, {
        id: input.ask,
        name: input.name,
        role: 'spawn',
        kind: input.kind,
        spec: input.spec,
        meta: input.meta,
        terms: input.terms,
        origin: `${state.self}:${input.ask}`,
      })
    case 'commit':
      return commitAsk(turn, input.ask, input.pid)
    case 'abandon':
      return abandonAsk(turn, input.ask, input.code, input.text)
    case 'forget':
      state.requests.delete(input.ask)
      state.flushes.delete(input.ask)
      return abandonAsk(turn, input.ask, undefined, undefined)
    case 'request':
      return request(turn, input.ask, input.request)
    case 'gone':
      return endProcess(turn, input)
    case 'flush':
      return startFlush(turn, input.ask, input.want)
    case 'watch':
      state.watched = input.on
      return
    case 'describe':
      state.info = input.info
      rebalanceSoon(turn)
      return reconcile(turn)
    case 'exported':
      return onExported(turn, input)
    case 'exportFailed':
      return onExportFailed(turn, input)
    case 'drain':
      return startDraining(turn)
    case 'leave':
      return leave(turn)
    case 'part':
      return part(turn)
    case 'continue':
      state.continuing = false
      return workOn(turn)
    case 'wake':
      return
  }
}

/** What follows from the input, until nothing follows any more; then our own ops leave together. */
function settle(turn: Turn): void {
  const { state } = turn
  if (state.unasked.size > 0) askForKept(turn)
  do {
    handleChanges(turn)
    drain(turn, turn.inbox, onOwn)
    drain(turn, turn.released, serveWaiting)
    drain(turn, turn.risen, riseAsk)
    if (state.barriers.size > 0) askKnown(turn)
    if (state.draining !== undefined) drainOn(turn)
    if (state.ordered.size > 0) obeyOrders(turn)
  } while (state.registry.changes.length + turn.inbox.length + turn.released.length > 0 || hold(turn))
  if (state.gate && !state.ready) checkReady(turn)
  flushOps(turn)
}

/** All of a queue in its order, with what is added meanwhile; what each changes is followed up before the next. */
function drain<T>(turn: Turn, queue: T[], handle: (turn: Turn, entry: T) => void): void {
  if (queue.length === 0) return
  for (let i = 0; i < queue.length; i++) {
    handle(turn, queue[i] as T)
    handleChanges(turn)
  }
  queue.length = 0
}

function onOwn(turn: Turn, message: TrackerMessage): void {
  onMessage(turn, turn.state.self, message)
}

function handleChanges(turn: Turn): void {
  const { changes } = turn.state.registry
  if (changes.length === 0) return
  for (let i = 0; i < changes.length; i++) onChange(turn, changes[i] as Change)
  changes.length = 0
}

/** Go on taking the slots that we own. Returns true when some came to be held. */
function hold(turn: Turn): boolean {
  const { state } = turn
  if (state.heldCount === state.ownedCount) {
    pursueSoon(state)
    return false
  }
  if (!isPursuitDue(turn)) return false
  const held = pursue(turn)
  if (held.length === 0) return false
  serveSlots(turn, held)
  reconcile(turn)
  return true
}

function onMessage(turn: Turn, from: BootId, message: TrackerMessage): void {
  const { state } = turn
  if (from !== state.self && !mayStillSay(state, from, message)) {
    turn.out.push({ type: 'dropped', from, reason: 'a boot that is unknown or gone' })
    return
  }
  switch (message.type) {
    case 'claim':
    case 'spawn':
      return onAsk(turn, from, message)
    case 'grant':
      return onGrant(turn, from, message)
    case 'refuse':
      return onRefuse(turn, from, message)
    case 'elsewhere':
      return onElsewhere(turn, from, message)
    case 'unused':
      return onUnused(turn, from, message)
    case 'check':
      return onCheck(turn, from, message)
    case 'start':
      return onStart(turn, from, message)
    case 'startFailed':
      return onStartFailed(turn, from, message)
    case 'spawned':
      return onSpawned(turn, from, message)
    case 'spawnFailed':
      return onSpawnFailed(turn, from, message)
    case 'order':
      return onOrder(turn, from, message)
    case 'handoff':
      return onHandoff(turn, from, message)
    case 'handoffFailed':
      return onHandoffFailed(turn, from, message)
    case 'known':
      return onKnown(turn, from, message)
    case 'knows':
      return onKnows(turn, from, message)
    case 'running':
      return onRunning(turn, from, message)
    case 'runs':
      return onRuns(turn, from, message)
    case 'digest':
      onDigest(turn, from, message)
      return onLineage(turn, from, message.lineage, message.depth)
    case 'pull':
      return onPull(turn, from, message)
    case 'busy':
      return onBusy(turn, from, message)
    case 'ops':
      if (onOps(turn, from, message)) reconcile(turn)
      return
    case 'state':
      if (onState(turn, from, message)) reconcile(turn)
      return
    case 'more':
      return onMore(turn, from, message)
    case 'take':
      return afterYield(turn, onTake(turn, from, message))
    case 'ack':
      return onAck(turn, from, message)
    case 'idAsk':
      return onIdAsk(turn, from, message)
    case 'idGrant':
      return onIdGrant(turn, from, message)
    case 'idPoint':
      return onIdPoint(turn, message)
    case 'idConfirm':
      return onIdConfirm(turn, from, message)
    case 'idGive':
      return onIdGive(turn, from, message)
    case 'idGot':
      if (state.heir?.boot === from) state.heir.got = true
      return depart(turn)
    case 'request':
      return onRequest(turn, from, message)
    case 'answer':
      return onAnswer(turn, from, message)
    case 'beat':
      return onBeat(turn, from, message)
    case 'flush':
      return answerFlush(turn, from, message)
    case 'flushed':
      return message.ask === partingAsk ? onParted(turn, from, message) : onFlushed(turn, from, message)
  }
}

/** A boot that is gone asks for nothing any more; its last words may come after the news of its end. */
function mayStillSay(state: TrackerState, from: BootId, { type }: TrackerMessage): boolean {
  const phase = state.peers.get(from)?.phase
  if (isGone(phase)) return type === 'ops' || type === 'state' || type === 'idGive'
  return phase !== undefined
}

/** Own asks in yielded slots are void: asked again, of the taker. */
function afterYield(turn: Turn, yielded: readonly number[]): void {
  if (yielded.length === 0) return
  const slots = new Set(yielded)
  dropYielded(turn)
  askAgainWhere(turn, (ask) => slots.has(ask.slot))
}

function onGateOpen(turn: Turn): void {
  const { state } = turn
  state.gate = true
  pursueSoon(state)
  for (const [boot, take] of state.early) afterYield(turn, onTake(turn, boot, take))
  state.early.clear()
  askAgain(turn)
}

function checkReady(turn: Turn): void {
  const { state } = turn
  if (!isSynced(state)) return
  state.ready = true
  state.targets.clear()
  turn.out.push({ type: 'ready' })
}

/** Either nobody else is known, or one peer's state is merged. */
function isSynced(state: TrackerState): boolean {
  if (state.view.members.every((member) => member.boot === state.self)) return true
  for (const entries of state.targets.values()) if (reached(state, entries)) return true
  return false
}

// -- time

/** What is due, whatever the input was: a busy node must not starve its own clock. */
function tick(turn: Turn): void {
  const { state, now } = turn
  tickPartition(turn)
  if (now >= state.nextDigestAt) everySecond(turn)
  if (now < state.nextSweepAt) return
  if (isBusy(state)) sweepOpen(turn)
  state.nextSweepAt = now + state.config.limits.sweepMs
}

function everySecond(turn: Turn): void {
  const { state, now } = turn
  const { digestMs, forgetMs, orphanMs } = state.config.limits
  state.nextDigestAt = now + digestMs
  digestRound(turn)
  for (const one of [...state.registry.logs.values()]) {
    if (one.forgetAt > now) continue
    if (state.registry.sweeping.has(one.boot) || state.replacements.has(one.boot)) continue
    if (hasOrphans(state.registry, one.boot) && now - one.forgetAt < orphanMs) continue
    forgetLog(state.registry, one)
    state.peers.delete(one.boot)
    state.told.delete(one.boot)
    state.inherited.delete(one.boot)
  }
  expireStrikes(state.registry, now - 2 * forgetMs)
  recover(turn)
  reconcile(turn)
}

/** A slice of each work that may be long. */
function workOn(turn: Turn): void {
  if (continueReplacements(turn)) reconcile(turn)
  sweepGone(turn)
  continueReconciling(turn)
  continueTransfers(turn)
}

function sweepOpen(turn: Turn): void {
  workOn(turn)
  expirePulls(turn)
  expireTransfers(turn)
  askAgain(turn)
  checkGrants(turn)
  retryStarts(turn)
  tickHandoffs(turn)
  rebalance(turn)
  contestAgain(turn)
  renewLineage(turn)
  seekAgain(turn)
  tickRequests(turn)
  depart(turn)
}

/** The late rule (PROTOCOL.md section 1): a node that stalled must not grant, or use a grant, from its backlog. */
function afterStall(turn: Turn): void {
  log(turn, 'warn', 'this node stalled: it gives up its slots and asks for its names again', {
    lateMs: Math.round(turn.now - trackerDeadline(turn.state)),
  })
  yieldAll(turn.state)
  dropYielded(turn)
  askAgainWhere(turn, () => true)
  tick(turn)
}
