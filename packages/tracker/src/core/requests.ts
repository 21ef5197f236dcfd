/**
 * What only the node of a pid may write, asked for from anywhere: metadata, removal, groups; the end of a local
 * process; and the barrier that waits until others know all that we have written.
 */

import type { BootId } from '@skep/cluster/core'
import { abandonAsk, strikeKept } from './asks.js'
import { logOf, lookup } from './logs.js'
import type { NodeRequest, TrackerMessage } from './messages.js'
import { removeName, rewriteMeta, write } from './own.js'
import { send, type TrackerState, type Turn } from './state.js'
import { flushOps, pullMissing } from './sync.js'

type Message<T extends TrackerMessage['type']> = Extract<TrackerMessage, { type: T }>

/** Again for a barrier whose answer is still short, or was lost. */
const FLUSH_AGAIN_MS = 200

interface Fault {
  readonly code: string
  readonly text: string
}

const leavingFault: Fault = { code: 'ERR_LEAVING', text: 'this node is leaving the cluster' }

export function request(turn: Turn, ask: number, wish: NodeRequest): void {
  const { state } = turn
  const to = nodeOf(state, wish)
  if (to === undefined) {
    turn.out.push(
      refusal(ask, { code: 'ERR_NOT_REGISTERED', text: `nobody holds the name '${'name' in wish ? wish.name : ''}'` }),
    )
    return
  }
  if (to === state.self) return conclude(turn, ask, perform(turn, wish))
  if (state.leaving) {
    turn.out.push(refusal(ask, leavingFault))
    return
  }
  if (state.peers.get(to) === undefined) {
    turn.out.push(refusal(ask, { code: 'ERR_NODE_DOWN', text: 'the node of this pid is not a member of the cluster' }))
    return
  }
  state.requests.set(ask, { to, since: turn.now })
  send(turn, to, { type: 'request', ask, request: wish })
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
  const fault = perform(turn, message.request)
  // The asker reads its own write: the op goes before the answer on the same link.
  flushOps(turn)
  send(turn, from, { type: 'answer', ask: message.ask, code: fault?.code, text: fault?.text ?? '' })
}

export function onAnswer(turn: Turn, from: BootId, message: Message<'answer'>): void {
  const { requests } = turn.state
  if (requests.get(message.ask)?.to !== from) return
  requests.delete(message.ask)
  conclude(turn, message.ask, message.code === undefined ? undefined : { code: message.code, text: message.text })
}

/** Do it here; what is wrong with it, if anything. */
function perform(turn: Turn, wish: NodeRequest): Fault | undefined {
  const { state } = turn
  const own = logOf(state.registry, state.self)
  if (state.leaving && wish.type !== 'unregister' && wish.type !== 'quit') {
    return { code: 'ERR_LEAVING', text: 'the node of this name is leaving the cluster' }
  }
  if ('name' in wish) {
    const claim = own.claims.get(wish.name)
    if (claim === undefined) return { code: 'ERR_NOT_REGISTERED', text: `'${wish.name}' is not registered at its node` }
    if (wish.type === 'update') rewriteMeta(turn, claim, wish.meta)
    else removeName(turn, claim)
    return undefined
  }
  const { group, pid } = wish
  if (pid.boot !== state.self) return { code: 'ERR_NO_PROCESS', text: `${pid} does not live on this node` }
  if (wish.type === 'join') {
    write(turn, { type: 'join', membership: { group, pid, seq: own.seq + 1, meta: wish.meta } })
    const groups = state.groupsOf.get(pid.id)
    if (groups === undefined) state.groupsOf.set(pid.id, new Set([group]))
    else groups.add(group)
  } else quit(turn, group, pid.id)
  return undefined
}

function quit(turn: Turn, group: string, id: number): void {
  const { state } = turn
  const groups = state.groupsOf.get(id)
  groups?.delete(group)
  if (groups?.size === 0) state.groupsOf.delete(id)
  const own = logOf(state.registry, state.self)
  if (own.groups.get(group)?.has(id) === true) write(turn, { type: 'quit', group, id })
}

/** A local process ended: its names, groups and open asks go. */
export function endProcess(turn: Turn, pid: number, keepPlaced: boolean): void {
  const { state } = turn
  const own = logOf(state.registry, state.self)
  for (const name of [...(state.names.get(pid) ?? [])]) {
    const claim = own.claims.get(name)
    if (claim !== undefined && !(keepPlaced && claim.placed !== undefined)) removeName(turn, claim)
  }
  for (const group of [...(state.groupsOf.get(pid) ?? [])]) quit(turn, group, pid)
  for (const ask of [...state.askById.values()]) {
    if (ask.pid !== pid) continue
    abandonAsk(turn, ask.id, undefined, undefined)
    if (!keepPlaced) strikeKept(turn, ask)
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
  for (const [ask, { to, since }] of state.requests) {
    const phase = state.peers.get(to)?.phase
    const gone = phase === undefined || phase === 'down' || phase === 'left'
    if (gone) endRequest(turn, ask, 'ERR_NODE_DOWN', 'the node of this name went down before it answered')
    else if (now - since >= state.config.limits.requestMs) {
      endRequest(turn, ask, 'ERR_TIMEOUT', 'the node of this name did not answer')
    }
  }
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
