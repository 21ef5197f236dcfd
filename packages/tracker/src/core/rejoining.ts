/**
 * How the registry goes on when this node was declared down and became another boot (PROTOCOL.md section 2, mutual
 * condemnation). Its processes live on under pids of the new boot: their groups are written anew, their names are asked
 * for again like any claim. Where another process has got the name meanwhile, that one stays: it has the higher fence.
 *
 * What is known of logs stays known: the old own log, and those of members that the cluster does not count in any more,
 * are logs of gone boots from now on, so what was acknowledged on this side of a cut is not forgotten with it. All that
 * was open with others is void, since they hold this node's old boot to be gone.
 */
import { type BootId, isGone, type Member, type MemberInfo } from '@skep/cluster/core'
import { openAsk } from './asks.js'
import { found } from './ids.js'
import { keepClaim } from './kept.js'
import { hideLog, type Log, logOf } from './logs.js'
import { meetAnew } from './members.js'
import { write } from './own.js'
import { rejoinPartition } from './partition.js'
import { Pid } from './pid.js'
import { hasEnded } from './policies.js'
import { endRequests } from './requests.js'
import { yieldAll } from './slots.js'
import type { Ask, Turn } from './state.js'
import { endTransfers } from './sync.js'

export function rejoin(turn: Turn, info: MemberInfo, members: readonly Member[]): void {
  const { state } = turn
  const before = logOf(state.registry, state.self)
  const old = state.info
  rejoinPartition(turn)
  endRequests(turn, { code: 'ERR_NODE_DOWN', text: 'this node was declared down before there was an answer' })
  const passed = voidHandoffs(turn)
  voidAll(turn)
  state.peers.set(old.boot, { info: old, phase: 'up', lineage: undefined, depth: 0, mute: false })
  state.self = info.boot
  state.info = info
  logOf(state.registry, info.boot)
  sortPeers(turn, new Map(members.map((member) => [member.info.boot, member])))
  found(turn, 0)
  const waiting = [...state.askById.values()]
  state.askById.clear()
  for (const queues of Object.values(state.asks)) queues.clear()
  keepProcesses(turn, before, passed)
  for (const ask of waiting) carryOver(turn, ask)
}

/** Processes on their way go on here; those that have gone do so. Returns these by their names. */
function voidHandoffs(turn: Turn): Map<string, number> {
  const { state } = turn
  const passed = new Map<string, number>()
  for (const { name, pid, stage } of state.handoffs.values()) {
    turn.out.push({ type: stage === 'pass' ? 'passed' : 'resume', pid, name })
    if (stage === 'pass') passed.set(name, pid)
  }
  state.handoffs.clear()
  state.ordered.clear()
  state.barriers.clear()
  return passed
}

function voidAll(turn: Turn): void {
  const { state } = turn
  yieldAll(state)
  for (const table of [state.grants, state.waiting, state.starting, state.contests, state.pulls, state.targets]) {
    table.clear()
  }
  for (const table of [state.early, state.taking, state.needed]) table.clear()
  state.links.clear()
  state.waitingCount = 0
  endTransfers(state, () => true)
  state.unsent = []
  state.seeking = undefined
  state.heir = undefined
  state.gate = false
  state.ready = false
  state.view = { number: state.view.number, members: [] }
  state.ringBoots = []
  state.table = undefined
  state.ownedCount = 0
  state.viewSizes = []
  state.pausedUntil = 0
  // Not the replacements: what is half in its place would stay so, and these hang on nobody. The next sweep goes on.
  // Who ran the old boot may not bring it any more.
  state.continuing = false
}

/** Who is counted in is met anew; all others are gone. */
function sortPeers(turn: Turn, members: ReadonlyMap<BootId, Member>): void {
  const { state, now } = turn
  for (const [boot, peer] of [...state.peers]) {
    const member = members.get(boot)
    const log = logOf(state.registry, boot)
    if (member === undefined || isGone(member)) {
      if (peer.phase !== 'left') peer.phase = 'down'
      if (!log.hidden) hideLog(state.registry, log, now + state.config.limits.forgetMs)
      continue
    }
    meetAnew(state, boot)
    state.peers.delete(boot)
  }
}

/** The processes of this node under their new pids. */
function keepProcesses(turn: Turn, before: Log, passed: ReadonlyMap<string, number>): void {
  const { state } = turn
  const gone = new Set(passed.values())
  for (const pid of gone) state.groupsOf.delete(pid)
  for (const members of before.groups.values()) {
    for (const { group, pid, meta } of members.values()) {
      if (gone.has(pid.id)) continue
      const seq = logOf(state.registry, state.self).seq + 1
      const own = new Pid(state.self, pid.id, state.info.name)
      write(turn, { type: 'join', membership: { group, pid: own, seq, meta } })
    }
  }
  state.names.clear()
  state.recovering.clear()
  for (const claim of before.claims.values()) {
    if (passed.has(claim.name) || hasEnded(claim)) continue
    state.counter = Math.max(state.counter, claim.fence)
    keepClaim(state, claim)
  }
}

/** Callers' asks go on; a start that another node had ordered goes on only if its init runs already. */
function carryOver(turn: Turn, ask: Ask): void {
  if (ask.role === 'retake' || (ask.role === 'host' && !ask.told)) return
  ask.owner = undefined
  ask.fence = undefined
  ask.awaited = undefined
  ask.starter = undefined
  openAsk(turn, { ...ask, number: 0, sentAt: Number.NEGATIVE_INFINITY })
}
