/**
 * What only the node of a pid may write, asked for from anywhere: metadata, removal, groups; the end of a local
 * process; and the barrier that waits until others know all that we have written.
 */

import type { BootId } from '@skep/cluster/core'
import { abandonAsk, strikeKept } from './asks.js'
import { dropRetake, moveName } from './handoff.js'
import { takeUnasked } from './kept.js'
import { heldBy, logOf, lookup } from './logs.js'
import type { Claim, NodeRequest, TrackerMessage } from './messages.js'
import { joinGroup, namesOf, quitGroup, removeName, rewriteMeta } from './own.js'
import { dropHandoff, isPassing } from './passage.js'
import { comesBack } from './policies.js'
import { endByItself } from './restarts.js'
import { send, type TrackerInput, type TrackerState, type Turn } from './state.js'
import { flushOps, pullMissing } from './sync.js'

type Message<T extends TrackerMessage['type']> = Extract<TrackerMessage, { type: T }>
type Gone = Extract<TrackerInput, { type: 'gone' }>

/** Again for a barrier whose answer is still short, or was lost. */
const FLUSH_AGAIN_MS = 200

interface Fault {
  readonly code: string
  readonly text: string
}

/** The name is on its way to another node. Between nodes only. */
const movingFault: Fault = { code: 'ERR_MOVING', text: 'the name is being handed over' }

const leavingFault: Fault = { code: 'ERR_LEAVING', text: 'this node is leaving the cluster' }

export function request(turn: Turn, ask: number, wish: NodeRequest): void {
  const { state } = turn
  const since = state.requests.get(ask)?.since ?? turn.now
  state.requests.delete(ask)
  const to = nodeOf(state, wish)
  if (to === undefined) {
    turn.out.push(
      refusal(ask, { code: 'ERR_NOT_REGISTERED', text: `nobody holds the name '${'name' in wish ? wish.name : ''}'` }),
    )
    return
  }
  if (to !== state.self && state.leaving) {
    turn.out.push(refusal(ask, leavingFault))
    return
  }
  if (to !== state.self && state.peers.get(to) === undefined) {
    turn.out.push(refusal(ask, { code: 'ERR_NODE_DOWN', text: 'the node of this pid is not a member of the cluster' }))
    return
  }
  state.requests.set(ask, { to, since, wish, again: false })
  if (to !== state.self) return send(turn, to, { type: 'request', ask, request: wish })
  const fault = perform(turn, wish, { boot: to, ask })
  if (fault !== 'later') onAnswer(turn, to, { type: 'answer', ask, code: fault?.code, text: fault?.text ?? '' })
}

function nodeOf(state: TrackerState, wish: NodeRequest): BootId | undefined {
  return 'pid' in wish ? wish.pid.boot : lookup(state.registry, wish.name)?.pid.boot
}

function conclude(turn: Turn, ask: number, fault: Fault | undefined): void {
  turn.out.push(fault === undefined ? { type: 'done', ask } : refusal(ask, fault))
}

function refusal(ask: number, fault: Fault): Turn['out'][number] {
  return { type: 'refused', ask, code: fault.code, text: fault.text, holder: undefined }
}

export function onRequest(turn: Turn, from: BootId, message: Message<'request'>): void {
  const fault = perform(turn, message.request, { boot: from, ask: message.ask })
  if (fault === 'later') return
  // The asker reads its own write: the op goes before the answer on the same link.
  flushOps(turn)
  send(turn, from, { type: 'answer', ask: message.ask, code: fault?.code, text: fault?.text ?? '' })
}

export function onAnswer(turn: Turn, from: BootId, message: Message<'answer'>): void {
  const { requests } = turn.state
  const open = requests.get(message.ask)
  if (open?.to !== from) return
  if (message.code === movingFault.code) {
    // Asked again with time, of whoever has the name then.
    open.again = true
    return
  }
  requests.delete(message.ask)
  conclude(turn, message.ask, message.code === undefined ? undefined : { code: message.code, text: message.text })
}

/** Do it here; what is wrong with it, if anything, or that its end is told later. */
function perform(turn: Turn, wish: NodeRequest, asker: { boot: BootId; ask: number }): Fault | undefined | 'later' {
  const { state } = turn
  if (state.leaving && wish.type !== 'unregister' && wish.type !== 'quit') {
    return { code: 'ERR_LEAVING', text: 'the node of this name is leaving the cluster' }
  }
  if ('name' in wish) {
    const claim = heldBy(state.registry, state.self, wish.name)
    if (claim === undefined) return { code: 'ERR_NOT_REGISTERED', text: `'${wish.name}' is not registered at its node` }
    if (wish.type === 'move') {
      const moved = moveName(turn, claim, wish.to, asker) ?? 'later'
      return moved === 'there' ? undefined : moved
    }
    // What is changed now would be lost on the way, or come back.
    if (state.handoffs.has(wish.name)) return movingFault
    if (wish.type === 'update') rewriteMeta(turn, claim, wish.meta)
    else removeName(turn, claim)
    return undefined
  }
  const { group, pid } = wish
  if (pid.boot !== state.self) return { code: 'ERR_NO_PROCESS', text: `${pid} does not live on this node` }
  if (isPassing(state, pid.id)) return { code: 'ERR_NO_PROCESS', text: `${pid} has gone to another node` }
  if (wish.type === 'join') joinGroup(turn, group, pid, wish.meta)
  else quitGroup(turn, group, pid.id)
  return undefined
}

/** A local process ended: its names, groups and open asks go. */
export function endProcess(turn: Turn, { pid, keepPlaced = false, ended }: Gone): void {
  const { state } = turn
  const stays = ({ placed }: Claim): boolean => keepPlaced && ended === undefined && comesBack(placed, 'gone')
  const own = logOf(state.registry, state.self)
  // Where it goes on elsewhere it is in its groups here until all know that it is in them there.
  if (!isPassing(state, pid)) for (const group of [...(state.groupsOf.get(pid) ?? [])]) quitGroup(turn, group, pid)
  for (const name of namesOf(state, pid)) {
    const claim = own.claims.get(name)
    // It goes on elsewhere: its claim here goes when all know that (passage.ts).
    if (state.handoffs.get(name)?.stage === 'pass') continue
    dropRetake(turn, name)
    dropHandoff(turn, name, { code: 'ERR_ACTOR_STOPPED', text: `'${name}' has ended` })
    if (claim === undefined || stays(claim)) continue
    if (ended === undefined || !endByItself(turn, claim, ended)) removeName(turn, claim)
  }
  for (const ask of state.askById.values()) {
    if (ask.pid !== pid) continue
    abandonAsk(turn, ask.id, undefined, undefined)
    // Its claims as an earlier boot are what it is started again from.
    if (ask.kept !== undefined && (stays(ask.kept) || (ended && comesBack(ask.kept.placed, ended.how)))) continue
    strikeKept(turn, ask.kept)
  }
  for (const claim of takeUnasked(state, pid)) {
    const goesOn = stays(claim) || (ended !== undefined && comesBack(claim.placed, ended.how))
    if (!goesOn) strikeKept(turn, claim)
    // Where the slot is ours, its restart has waited for this one's ask.
    else state.registry.changes.push({ name: claim.name, before: undefined, after: undefined, reason: 'ended' })
  }
}

// -- the barrier

export function startFlush(turn: Turn, ask: number, want: 'all' | number): void {
  const { state } = turn
  if (state.leaving) {
    turn.out.push(refusal(ask, leavingFault))
    return
  }
  flushOps(turn)
  const seq = logOf(state.registry, state.self).seq
  state.flushes.set(ask, { seq, want, done: new Set(), sentAt: Number.NEGATIVE_INFINITY })
  tickRequests(turn)
}

/** Requests and barriers that are open end: this node is leaving, or goes on as another boot. */
export function endRequests(turn: Turn, fault: Fault = leavingFault): void {
  const { requests, flushes } = turn.state
  for (const ask of [...requests.keys(), ...flushes.keys()]) turn.out.push(refusal(ask, fault))
  requests.clear()
  flushes.clear()
}

/** Ask whoever has not answered, and end the barriers and requests that are complete or hopeless. */
export function tickRequests(turn: Turn): void {
  const { state, now } = turn
  for (const [ask, flush] of state.flushes) {
    const others = state.view.members.filter((member) => member.boot !== state.self && !flush.done.has(member.boot))
    if (flush.want === 'all' ? others.length === 0 : flush.done.size >= flush.want) {
      state.flushes.delete(ask)
      turn.out.push({ type: 'done', ask })
      continue
    }
    if (now - flush.sentAt < FLUSH_AGAIN_MS) continue
    flush.sentAt = now
    for (const { boot } of others) send(turn, boot, { type: 'flush', ask, seq: flush.seq })
  }
  for (const [ask, { to, since, wish, again }] of [...state.requests]) {
    const mayTakeMs = wish.type === 'move' ? moveMs(state) : state.config.limits.requestMs
    if (again && now - since < mayTakeMs) {
      request(turn, ask, wish)
      continue
    }
    const phase = state.peers.get(to)?.phase
    const gone = to !== state.self && (phase === undefined || phase === 'down' || phase === 'left')
    if (gone) endRequest(turn, ask, 'ERR_NODE_DOWN', 'the node of this name went down before it answered')
    else if (now - since >= mayTakeMs) {
      endRequest(turn, ask, 'ERR_TIMEOUT', 'the node of this name did not answer')
    }
  }
}

/** A process may have to end its call first, and its target may say nothing. */
function moveMs({ config }: TrackerState): number {
  const { exportMs, handoffMs, knownMs, requestMs } = config.limits
  return exportMs + handoffMs + knownMs + requestMs
}

/** A link broke: what was asked over it may have been done or not, and is not done twice. */
export function dropRequests(turn: Turn, to: BootId): void {
  for (const [ask, one] of turn.state.requests) {
    if (one.to === to)
      endRequest(turn, ask, 'ERR_NODE_DOWN', 'the link to the node of this name broke before it answered')
  }
}

function endRequest(turn: Turn, ask: number, code: string, text: string): void {
  turn.state.requests.delete(ask)
  turn.out.push(refusal(ask, { code, text }))
}

export function answerFlush(turn: Turn, from: BootId, message: Message<'flush'>): void {
  const { state } = turn
  if (!state.peers.has(from)) return
  const of = logOf(state.registry, from)
  if (message.seq > (state.told.get(from) ?? 0)) state.told.set(from, message.seq)
  if (of.seq < message.seq) pullMissing(turn, from)
  send(turn, from, { type: 'flushed', ask: message.ask, seq: of.seq })
}

export function onFlushed(turn: Turn, from: BootId, message: Message<'flushed'>): void {
  const flush = turn.state.flushes.get(message.ask)
  if (flush === undefined || message.seq < flush.seq) return
  flush.done.add(from)
  tickRequests(turn)
}
