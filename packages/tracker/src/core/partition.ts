/**
 * Whether this node's part of a split cluster may go on (PROTOCOL.md section 5): the policies other than `serve`.
 *
 * Members of a view send each other a beat twice a second, and each beat repeats the time of the latest one that came
 * from its receiver. So a node knows until when who has heard it, by its own clock: votes that lapse. It goes on while
 * the votes that have not lapsed (`pauseMs`) win by the policy, and is *halted* from the moment on when they do not,
 * whatever its failure detector has found out by then. Who holds a member to be down never sends it a beat again, and
 * says so in the beats to the others. When votes that win have been saying so of a member for `takeoverMs`, which is
 * longer, that member has halted: only then is anything taken over that it held.
 *
 * Votes are counted against a base (bases.ts); when they win says votes.ts.
 */
import type { BootId, Member, MemberInfo } from '@skep/cluster/core'
import { refuseAsks } from './asks.js'
import { adoptReady, genesisOf, learnBases, propose, weigh } from './bases.js'
import { dropYielded } from './grants.js'
import { countVotes, haltsAt } from './halting.js'
import { heldBy, logOf, lookup } from './logs.js'
import type { TrackerMessage } from './messages.js'
import { pursueSoon, yieldAll } from './slots.js'
import { log, type TrackerState, type Turn } from './state.js'
import { type Loss, lifeOf, type PartitionState, policyWord, setsOf, takeoverMs, type Voter, winAll } from './votes.js'

/** Lost members that are remembered at one time. */
const MAX_LOST = 1024
const MAX_GONE = 4096
/** Lost members that have halted are named in beats so long, for those that find it out later. */
const TELL_LOST_MS = 60_000
/** And remembered so long, or those that name them longest would have them lost anew. */
const FORGET_LOST_MS = 5 * TELL_LOST_MS

/** To whom beats go: the view, and leavers, which pause nothing until they have left. */
function beaten(state: TrackerState, partition: PartitionState): BootId[] {
  const boots: BootId[] = []
  for (const [boot, { phase }] of state.peers) {
    const there = phase === 'joining' || phase === 'up' || phase === 'leaving'
    if (there && !partition.lost.has(boot)) boots.push(boot)
  }
  return boots
}

function sendBeat(turn: Turn, partition: PartitionState, to: BootId): void {
  const { base, pending, config, ready, life, lost } = partition
  const known = partition.voters.get(to)
  const all = base === undefined ? pending : [base, ...pending]
  const message: TrackerMessage = {
    type: 'beat',
    policy: policyWord(config.policy),
    pauseMs: config.pauseMs,
    life,
    at: Math.floor(turn.now),
    echo: known?.at,
    keys: [base?.key ?? '', ...pending.map(({ key }) => key)],
    bases: all.filter(({ key }) => known?.keys.includes(key) !== true),
    ready,
    gone: goneMembers(partition),
    lost: [...lost].flatMap(([boot, loss]) => (isTold(loss, turn.now) ? [boot] : [])),
    stopped: [...lost].flatMap(([boot, loss]) => (loss.stopped && isTold(loss, turn.now) ? [boot] : [])),
  }
  turn.out.push({ type: 'send', to, message, carry: false, relay: true })
}

/** A new link: both ends tell what they know at once. */
export function greet(turn: Turn, boot: BootId): void {
  const { partition } = turn.state
  if (partition !== undefined && !partition.lost.has(boot)) sendBeat(turn, partition, boot)
}

/** Members of the bases at hand that are over: whoever has not heard of their end waits for them in vain. */
function goneMembers(partition: PartitionState): BootId[] {
  if (partition.gone.size === 0) return []
  const found = new Set<BootId>()
  for (const { members } of setsOf(partition)) {
    for (const { life } of members) if (partition.gone.has(life)) found.add(life)
  }
  return [...found].slice(0, MAX_LOST)
}

export function onBeat(turn: Turn, from: BootId, beat: Extract<TrackerMessage, { type: 'beat' }>): void {
  const { state, now } = turn
  const { partition } = state
  const peer = state.peers.get(from)
  if (partition === undefined || peer === undefined || partition.lost.has(from)) return
  comparePolicy(turn, partition, peer.info.name, beat.policy)
  const before = partition.voters.get(from)
  // Echoes of an old link come late.
  if (before !== undefined && beat.at < before.at) return
  const understood = learnBases(turn, partition, beat)
  const voter: Voter = {
    life: beat.life,
    heardAt: now,
    at: beat.at,
    confirmed: before?.confirmed ?? Number.NEGATIVE_INFINITY,
    pauseMs: beat.pauseMs,
    keys: beat.keys,
    genesis: genesisOf(partition, beat) ?? '',
    ready: beat.ready,
    lost: new Set(beat.lost),
  }
  const { echo } = beat
  // A vote binds who uses it to all that its giver has proposed.
  if (understood && echo !== undefined && echo <= now) voter.confirmed = Math.max(voter.confirmed, echo)
  partition.voters.set(from, voter)
  replaceLife(turn, partition, peer.info, beat.life)
  for (const life of beat.gone) endLife(turn, partition, life)
  for (const boot of beat.lost) lose(state, partition, boot, now)
  for (const boot of beat.stopped) {
    const loss = partition.lost.get(boot)
    if (loss !== undefined) stopped(turn, boot, loss)
  }
  adoptReady(turn, partition)
  if (partition.halted || now >= partition.until - partition.config.beatMs) weigh(turn, partition)
}

function comparePolicy(turn: Turn, { config, told }: PartitionState, node: string, theirs: string): void {
  const own = policyWord(config.policy)
  if (theirs === own || told.has(node)) return
  if (told.size < MAX_LOST) told.add(node)
  const text = `${node} has the partition policy '${theirs}', this node '${own}': all members need the same one`
  log(turn, 'warn', text, { node, theirs, own })
}

/** Another life under the name and address of a member of the base is proof that the process before it is gone. */
function replaceLife(turn: Turn, partition: PartitionState, info: MemberInfo, life: BootId): void {
  for (const set of setsOf(partition)) {
    for (const member of set.members) {
      if (member.name !== info.name || member.address !== info.address || member.life === life) continue
      endLife(turn, partition, member.life)
    }
  }
  // The same life as another boot has halted when it became that one.
  for (const [boot, loss] of partition.lost) {
    const before = turn.state.peers.get(boot)?.info
    if (before?.name === info.name && before.address === info.address) stopped(turn, boot, loss)
  }
}

function endLife(turn: Turn, partition: PartitionState, life: BootId): void {
  if (partition.gone.has(life)) return
  partition.gone.add(life)
  if (partition.gone.size > MAX_GONE) partition.gone.delete(partition.gone.values().next().value as BootId)
  weigh(turn, partition)
}

/** A member is lost: what it held is left alone until it must have halted. */
function lose(state: TrackerState, partition: PartitionState, boot: BootId, now: number): void {
  const phase = state.peers.get(boot)?.phase
  if (boot === state.self || partition.lost.has(boot) || partition.lost.size >= MAX_LOST) return
  if (phase === 'joining' || phase === 'up' || phase === 'leaving' || phase === 'left') return
  partition.lost.set(boot, { at: now, since: undefined, stopped: false })
}

/** A member's phase as the cluster tells it. */
export function notePhase(turn: Turn, { info, phase }: Member, wasThere: boolean): void {
  const { state, now } = turn
  const { partition } = state
  if (partition === undefined) return
  const { boot } = info
  // Of those that were gone before we came the others tell us as long as it matters.
  if (phase === 'down' && wasThere) lose(state, partition, boot, now)
  if (phase === 'leaving' || phase === 'left') {
    // Who leaves counts no more, and who has left runs nothing.
    const loss = partition.lost.get(boot)
    if (loss !== undefined && phase === 'left') stopped(turn, boot, loss)
    endLife(turn, partition, lifeOf(partition, boot))
  }
}

/** What it held may be given to others. */
function stopped(turn: Turn, boot: BootId, loss: Loss): void {
  const { state } = turn
  if (loss.stopped) return
  loss.stopped = true
  loss.at = turn.now
  pursueSoon(state)
  for (const grant of state.grants.values()) if (grant.boot === boot) state.grants.delete(grant.name)
  turn.released.push(...state.waiting.keys())
}

// -- halting

/** At the head of a step, whatever it is about: a node that stood still must not act on votes that have lapsed. */
export function haltWhenDue(turn: Turn): void {
  const { partition } = turn.state
  if (partition === undefined || turn.now < haltsAt(turn.state)) return
  weigh(turn, partition)
  if (turn.now >= haltsAt(turn.state)) halt(turn, partition)
}

function halt(turn: Turn, partition: PartitionState): void {
  const { state } = turn
  partition.halted = true
  partition.graceUntil = Number.NEGATIVE_INFINITY
  for (const claim of logOf(state.registry, state.self).claims.values()) partition.held.set(claim.name, claim.pid.id)
  turn.out.push({ type: 'halted', on: true })
  const { standing, of } = countVotes(state, turn.now)
  const text = `this part may not go on by the policy '${policyWord(partition.config.policy)}': actors with names pause`
  log(turn, 'warn', text, { standing, of, paused: partition.held.size })
  refuseAsks(turn)
  yieldAll(state)
  dropYielded(turn)
}

/** This node goes on as another boot: nobody has heard that one yet, and what it held may have been taken over. */
export function rejoinPartition(turn: Turn): void {
  const { partition } = turn.state
  if (partition === undefined) return
  partition.voters.clear()
  partition.lost.clear()
  partition.ready = ''
  partition.view = { key: '', since: turn.now }
  partition.graceUntil = Number.NEGATIVE_INFINITY
  weigh(turn, partition)
  // Also where it stands by itself: its names must be its own again before their processes go on.
  if (!partition.halted) halt(turn, partition)
}

// -- time

/** Beats, and what follows from the votes at hand. */
export function tickPartition(turn: Turn): void {
  const { state, now } = turn
  const { partition } = state
  if (partition === undefined) return
  if (now >= partition.nextBeatAt) {
    partition.nextBeatAt = now + partition.config.beatMs
    forget(state, partition, now)
    weigh(turn, partition)
    propose(turn, partition)
    judgeLosses(turn, partition)
    for (const boot of beaten(state, partition)) sendBeat(turn, partition, boot)
  }
  if (partition.halted && now < partition.until && !state.leaving) {
    partition.halted = false
    const { standing, of } = countVotes(state, now)
    turn.out.push({ type: 'halted', on: false })
    log(turn, 'info', 'this part goes on again', { standing, of, paused: partition.held.size })
    pursueSoon(state)
  }
  if (!partition.halted && partition.held.size > 0) releaseHeld(turn, partition)
}

/** Lost members of which votes that win have been saying so for long enough have halted. */
function judgeLosses(turn: Turn, partition: PartitionState): void {
  const { now } = turn
  for (const [boot, loss] of partition.lost) {
    if (loss.stopped) continue
    const lives = new Set([partition.life])
    for (const { life, confirmed, lost } of partition.voters.values()) {
      if (lost.has(boot) && confirmed + partition.config.pauseMs > now) lives.add(life)
    }
    if (isForgotten(turn, partition, boot, loss)) stopped(turn, boot, loss)
    else if (!winAll(partition, lives)) loss.since = undefined
    else if (loss.since === undefined) loss.since = now
    else if (now - loss.since >= takeoverMs(partition)) stopped(turn, boot, loss)
  }
}

/** Nobody names it any more, and long ago they must have: they have known for long that it halted. */
function isForgotten({ state, now }: Turn, { voters, config }: PartitionState, boot: BootId, loss: Loss): boolean {
  if (now - loss.at < 2 * TELL_LOST_MS) return false
  return state.view.members.every((member) => {
    const voter = voters.get(member.boot)
    return member.boot === state.self || (voter?.lost.has(boot) === false && now - voter.heardAt < config.pauseMs)
  })
}

/** Paused processes go on that hold their name here: a name that was kept across a rejoin only once it is ours again. */
function releaseHeld({ state, out }: Turn, { held }: PartitionState): void {
  for (const [name, pid] of held) {
    if (state.asks.kept.has(name) || state.unasked.has(pid)) continue
    const claim = heldBy(state.registry, state.self, name)
    if (claim !== undefined && lookup(state.registry, name) !== claim) continue
    held.delete(name)
    if (claim?.pid.id === pid) out.push({ type: 'resumed', pid, name })
  }
}

function isTold({ at, stopped }: Loss, now: number): boolean {
  return !stopped || now - at < TELL_LOST_MS
}

function forget(state: TrackerState, partition: PartitionState, now: number): void {
  for (const [boot, { confirmed }] of partition.voters) {
    const phase = state.peers.get(boot)?.phase
    const there = phase === 'joining' || phase === 'up' || phase === 'leaving'
    // A vote that was given counts until it lapses, whatever became of its giver.
    if (!there && confirmed + partition.config.pauseMs <= now) partition.voters.delete(boot)
  }
  for (const [boot, loss] of partition.lost) {
    if (loss.stopped && now - loss.at >= FORGET_LOST_MS) partition.lost.delete(boot)
  }
}
