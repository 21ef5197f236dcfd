/**
 * Against whom votes are counted (PROTOCOL.md section 5): the members of the last view that was stable, by their lives
 * (the first boot id of a process, which it keeps however often it goes on as another boot).
 *
 * Bases follow each other safely: who proposes one owes a win in it from then on as well, whoever hears of a proposal
 * too, and it takes the place of the one before when all its members propose it.
 */
import type { BootId } from '@skep/cluster/core'
import type { Base, BaseMember, TrackerMessage } from './messages.js'
import { slotOf } from './ring.js'
import { log, type TrackerState, type Turn } from './state.js'
import { type PartitionState, setsOf, winAll, wins } from './votes.js'

/** Proposals that a node owes a win in at most; past that it proposes none. */
const MAX_PENDING = 16
/**
 * A view in which nobody of the base is missing becomes the base sooner: while a cluster is renewed member by member,
 * the last old one must not be all that counts.
 */
const GROWN_MS = 1000

function isNewer(a: Base, b: Base | undefined): boolean {
  if (b === undefined || a.version !== b.version) return b === undefined || a.version > b.version
  return a.key < b.key
}

/** Takes over what a peer says of bases. False where it told of one that it did not show. */
export function learnBases(
  turn: Turn,
  partition: PartitionState,
  beat: Extract<TrackerMessage, { type: 'beat' }>,
): boolean {
  const shown = new Map([...setsOf(partition), ...beat.bases].map((set) => [set.key, set]))
  const [baseKey, ...pendingKeys] = beat.keys
  if (baseKey !== '' && baseKey !== undefined) {
    const theirs = shown.get(baseKey)
    if (theirs !== undefined && isNewer(theirs, partition.base)) takeBase(turn, partition, theirs)
    if (theirs === undefined && !isOld(partition, baseKey)) return false
  }
  let understood = true
  for (const key of pendingKeys) {
    const set = shown.get(key)
    if (set === undefined) understood &&= isOld(partition, key)
    else addPending(turn, partition, set)
  }
  return understood
}

/** Of proposals of the same members only the latest is kept: what is owed in them is the same. */
function addPending(turn: Turn, partition: PartitionState, set: Base): void {
  if (set.version <= (partition.base?.version ?? 0)) return
  const same = partition.pending.find(({ members }) => sameMembers(members, set.members))
  if (same !== undefined && !isNewer(set, same)) return
  partition.pending = [...partition.pending.filter((one) => one !== same), set]
  if (same === undefined) weigh(turn, partition)
}

export function genesisOf(
  partition: PartitionState,
  { keys: [key], bases }: Extract<TrackerMessage, { type: 'beat' }>,
): string | undefined {
  return [...setsOf(partition), ...bases].find((set) => set.key === key)?.genesis
}

/** A set that is older than the base binds nobody who knows the base. */
function isOld({ base }: PartitionState, key: string): boolean {
  return base !== undefined && (key === base.key || Number.parseInt(key, 10) < base.version)
}

function takeBase(turn: Turn, partition: PartitionState, base: Base): void {
  // Who has only just met the cluster has yet to hear from the others.
  if (partition.base === undefined && partition.pending.length === 0 && !partition.halted) {
    partition.graceUntil = Math.max(partition.graceUntil, turn.now + partition.config.pauseMs)
  }
  partition.base = base
  partition.pending = partition.pending.filter(({ version }) => version > base.version)
  if (partition.pending.every(({ key }) => key !== partition.ready)) partition.ready = ''
  weigh(turn, partition)
}

/** The view becomes the base once it has stood for long, this part goes on, and all its members say the same. */
export function propose(turn: Turn, partition: PartitionState): void {
  const { state, now } = turn
  const { config, view } = partition
  const key = state.view.members.map(({ boot }) => boot).join()
  if (key !== view.key) {
    partition.view = { key, since: now }
    partition.ready = ''
    return
  }
  partition.ready = ''
  if (now - view.since < Math.min(GROWN_MS, config.stableMs)) return
  if (now >= partition.until || state.leaving || !state.gate) return
  const members = membersOf(state, partition)
  if (members === undefined) return
  // What was proposed meanwhile, and came to nothing, is owed until another base follows.
  if (partition.base !== undefined && sameMembers(partition.base.members, members) && partition.pending.length === 0)
    return
  const lives = new Set(members.map(({ life }) => life))
  if (now - view.since < config.stableMs && misses(partition, lives)) return
  if (!setsOf(partition).every((set) => wins(partition, set, lives))) return
  const top = partition.pending.reduce<Base | undefined>((most, one) => (isNewer(one, most) ? one : most), undefined)
  if (top !== undefined && sameMembers(top.members, members)) partition.ready = top.key
  else if (partition.pending.length < MAX_PENDING && now - partition.proposedAt >= config.stableMs) {
    // Where views stay different, as they may across a half cut, two sides outbid each other: not too often.
    partition.proposedAt = now
    const base = makeBase(1 + Math.max(top?.version ?? 0, partition.base?.version ?? 0), members, partition.base)
    addPending(turn, partition, base)
    partition.ready = base.key
  }
  adoptReady(turn, partition)
}

/** Is there no base yet, or is somebody of it missing who has not left? */
function misses({ base, gone }: PartitionState, lives: ReadonlySet<BootId>): boolean {
  return base === undefined || base.members.some(({ life }) => !gone.has(life) && !lives.has(life))
}

/** The lives of the view, by their order; undefined while one is not known. */
function membersOf(state: TrackerState, partition: PartitionState): BaseMember[] | undefined {
  const members: BaseMember[] = []
  for (const { boot, name, address, startedAt } of state.view.members) {
    const life = boot === state.self ? partition.life : partition.voters.get(boot)?.life
    if (life === undefined) return undefined
    // A process that goes on as another boot is as old as it was.
    const before = partition.base?.members.find((one) => one.life === life)
    members.push(before ?? { life, name, address, startedAt })
  }
  return members.sort((a, b) => (a.life < b.life ? -1 : 1))
}

function sameMembers(a: readonly BaseMember[], b: readonly BaseMember[]): boolean {
  return a.length === b.length && a.every(({ life }, i) => life === b[i]?.life)
}

function makeBase(version: number, members: readonly BaseMember[], before: Base | undefined): Base {
  const text = members.map(({ life, startedAt }) => `${life} ${startedAt}`).join()
  const parts = 2 ** 30
  const genesis = before?.genesis ?? (members[0] as BaseMember).life
  const key = `${version}.${slotOf(text, parts).toString(36)}.${slotOf(`${genesis} ${text}`, parts).toString(36)}`
  return { key, version, genesis, members }
}

export function adoptReady(turn: Turn, partition: PartitionState): void {
  const { state, now } = turn
  const { ready, pending, voters, config } = partition
  const base = pending.find(({ key }) => key === ready)
  if (base === undefined) return
  const all = state.view.members.every(({ boot }) => {
    const voter = voters.get(boot)
    return boot === state.self || (voter?.ready === ready && now - voter.heardAt < config.pauseMs)
  })
  if (!all) return
  takeBase(turn, partition, base)
  log(turn, 'debug', `the members of this view are the base of the partition policy`, { members: base.members.length })
}

/** Until when the votes at hand win: the latest time at which those that have not lapsed by then do. */
export function weigh(turn: Turn, partition: PartitionState): void {
  const { state } = turn
  const votes: { life: BootId; until: number }[] = []
  for (const [boot, voter] of partition.voters) {
    if (state.peers.get(boot)?.phase === 'leaving') continue
    votes.push({ life: voter.life, until: voter.confirmed + partition.config.pauseMs })
  }
  votes.sort((a, b) => b.until - a.until)
  const lives = new Set([partition.life])
  partition.until = Number.POSITIVE_INFINITY
  for (let i = 0; !winAll(partition, lives); i++) {
    const vote = votes[i]
    partition.until = vote?.until ?? Number.NEGATIVE_INFINITY
    if (vote === undefined) return
    lives.add(vote.life)
  }
}
