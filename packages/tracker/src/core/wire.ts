/**
 * Tracker messages as positional arrays `[kind, ...fields]`, kinds 28-63, and back. The table `messages` below is the
 * format: a message's fields stand on the wire in the order in which they stand there.
 *
 * Reading trusts nothing: every number, string and list is checked against its bound, and what does not fit gives
 * undefined, never a throw. Fields after the known ones are ignored (a newer minor version may append some).
 * Packing the arrays into bytes is the cluster's work.
 */
import type { BootId } from '@skep/cluster/core'
import * as itc from './itc.js'
import type {
  Base,
  BaseMember,
  Claim,
  DigestEntry,
  Ended,
  Failed,
  GroupOf,
  Lineage,
  Membership,
  NodeRequest,
  Op,
  Placement,
  Restart,
  Source,
  Stamp,
  Strategy,
  Strike,
  Terms,
  TrackerMessage,
} from './messages.js'
import { wireNameFault } from './name.js'
import { Pid } from './pid.js'
import { metaMaxBytes, plainFault, specMaxBytes } from './plain.js'
import { maxRestarts } from './policies.js'

/** The kinds of frames that belong to the tracker, both ends included. */
export const trackerKinds: readonly [number, number] = [28, 63]

/** Bounds of what is read; what is written stays below them by construction or is cut to them. */
export const wireLimits = {
  /** Characters of a boot id: 22 today, room for other makers of ids. */
  bootChars: 64,
  /** Characters of a node's name: it comes from a handshake, which is stricter. */
  nodeChars: 512,
  /** Characters of an error code. */
  codeChars: 64,
  /** Characters of an explanation for people; longer ones are cut when written. */
  textChars: 2048,
  /** Characters of the mark of the request that first started a placed name. */
  originChars: 512,
  /** Ops, claims or memberships in one frame: chunks are cut by bytes (64 KB), long before this. */
  entries: 131_072,
  /** Logs in one digest: live members and those gone that are remembered. */
  digest: 8_192,
  /** Groups of one process. */
  groups: 10_000,
  /** Roles, or names of nodes, to which one name is pinned. */
  pins: 64,
  /** Characters of the key that names have in common, and of the id of a user's strategy. */
  keyChars: 512,
  /** Bytes of a strategy of a newer minor version. */
  strategyBytes: 4_096,
  /** Bytes of an encoded interval tree clock id or event. */
  itcBytes: 16_384,
  /** Characters of the key of a base of the partition policy. */
  baseKeyChars: 64,
  /** Bases in one beat: the one that counts, and proposals. */
  bases: 32,
  /** Members of a base, and lost ones in one beat. */
  members: 1024,
  /** Bytes of the bit set of slots: 1024 of them, or fewer where a simulation has a smaller ring. */
  slotBytes: 128,
} as const

/** The frame of a message: plain arrays, numbers, strings and bytes, and the user's own plain data. */
export function encodeMessage(message: TrackerMessage): unknown[] {
  const shape = messages[message.type] as unknown as Shape<TrackerMessage>
  return shape.write(message)
}

/** The message of a frame; undefined for anything that is not one. */
export function decodeMessage(frame: readonly unknown[]): TrackerMessage | undefined {
  try {
    const kind = frame[0]
    return typeof kind === 'number' ? byKind.get(kind)?.read(frame) : undefined
  } catch {
    return undefined
  }
}

// How a value of a type is written and read. `read` throws `malformed` at what it does not know.

interface Field<T> {
  write(value: T): unknown
  read(value: unknown): T
  /** See `added`. */
  readonly mayLack?: boolean
}

interface Shape<M> {
  readonly kind: number
  write(message: M): unknown[]
  read(frame: readonly unknown[]): M
}

type MessageOf<T extends TrackerMessage['type']> = Extract<TrackerMessage, { type: T }>
type FieldsOf<M> = { readonly [K in Exclude<keyof M, 'type'>]-?: Field<M[K]> }

/** One object for all: garbage comes in floods, and a stack trace each would be what it costs. */
const malformed = new Error('malformed tracker frame')

function check(ok: boolean): asserts ok {
  if (!ok) throw malformed
}

function array(value: unknown, minLength: number): readonly unknown[] {
  check(Array.isArray(value) && value.length >= minLength)
  return value
}

/** Numbers, strings, flags and the user's data stand on the wire as they are. */
function asIs<T>(read: (value: unknown) => T): Field<T> {
  return { write: (value) => value, read }
}

const count: Field<number> = asIs((value) => {
  check(typeof value === 'number' && Number.isSafeInteger(value) && value >= 0)
  return value
})

const word: Field<number> = asIs((value) => {
  check(typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffffffff)
  return value
})

const flag: Field<boolean> = asIs((value) => {
  check(typeof value === 'boolean')
  return value
})

const name: Field<string> = asIs((value) => {
  check(typeof value === 'string' && wireNameFault(value) === undefined)
  return value
})

function string(minChars: number, maxChars: number): Field<string> {
  return asIs((value) => {
    check(typeof value === 'string' && value.length >= minChars && value.length <= maxChars)
    return value
  })
}

/**
 * One string for all that is read with the same value, for what few values are ever of: each frame has its own copy of
 * it, or a slice that keeps all strings of the frame in memory. Made again at any time, so not part of the state.
 */
function shared(field: Field<string>): Field<string> {
  return asIs((value) => {
    const read = field.read(value)
    const known = sharedStrings.get(read)
    if (known !== undefined) return known
    if (sharedStrings.size >= maxShared) sharedStrings.clear()
    // What is put together is copied when it is cut: no slice of the frame's.
    const own = ` ${read}`.slice(1)
    sharedStrings.set(own, own)
    return own
  })
}

const sharedStrings = new Map<string, string>()
const maxShared = 4096

const boot: Field<BootId> = shared(string(1, wireLimits.bootChars))
const node: Field<string> = shared(string(0, wireLimits.nodeChars))
const code: Field<string> = string(1, wireLimits.codeChars)
const origin: Field<string> = string(0, wireLimits.originChars)

/** Cut when written: a peer must never lose an answer because its explanation is long. */
const text: Field<string> = {
  write: (value) => value.slice(0, wireLimits.textChars),
  read: string(0, wireLimits.textChars).read,
}

function plain(maxBytes: number): Field<unknown> {
  return asIs((value) => {
    check(plainFault(value, maxBytes, '') === undefined)
    return ownBytes(value)
  })
}

/** Bytes come as a view of the whole frame, which would be kept in memory with them: at any depth they are copied. */
function ownBytes(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return new Uint8Array(value)
  const fields = value as Record<string, unknown>
  for (const key of Object.keys(fields)) {
    const field = fields[key]
    if (typeof field === 'object' && field !== null) fields[key] = ownBytes(field)
  }
  return value
}

const meta: Field<unknown> = plain(metaMaxBytes)
const spec: Field<unknown> = plain(specMaxBytes)

const slots: Field<Uint8Array> = asIs((value) => {
  check(value instanceof Uint8Array && value.byteLength <= wireLimits.slotBytes)
  return new Uint8Array(value)
})

/** Undefined stands as null. */
function optional<T>(field: Field<T>): Field<T | undefined> {
  return {
    write: (value) => (value === undefined ? null : field.write(value)),
    read: (value) => (value === null || value === undefined ? undefined : field.read(value)),
  }
}

/** A last field that came later: frames of older minor versions lack it. */
function added<T>(field: Field<T>): Field<T | undefined> {
  return { ...optional(field), mayLack: true }
}

function list<T>(field: Field<T>, maxLength: number): Field<readonly T[]> {
  return {
    write: (values) => values.map(field.write),
    read: (value) => {
      const items = array(value, 0)
      check(items.length <= maxLength)
      return items.map(field.read)
    },
  }
}

/** The fields of a record in the order in which they stand in `fields`. */
function tuple<T extends object>(fields: { readonly [K in keyof T]-?: Field<T[K]> }): Field<T> {
  const entries = Object.entries(fields) as [string, Field<unknown>][]
  return {
    write: (value) => entries.map(([key, field]) => field.write((value as Record<string, unknown>)[key])),
    read: (value) => {
      const items = array(value, entries.length)
      const record: Record<string, unknown> = {}
      entries.forEach(([key, field], i) => {
        record[key] = field.read(items[i])
      })
      return record as T
    },
  }
}

function shape<T extends TrackerMessage['type']>(
  type: T,
  kind: number,
  fields: FieldsOf<MessageOf<T>>,
): Shape<MessageOf<T>> {
  const entries = Object.entries(fields) as [string, Field<unknown>][]
  const needed = 1 + entries.findLastIndex(([, field]) => field.mayLack !== true)
  return {
    kind,
    write(message) {
      const frame: unknown[] = new Array(entries.length + 1)
      let i = 0
      frame[i++] = kind
      for (const [key, field] of entries) frame[i++] = field.write((message as Record<string, unknown>)[key])
      return frame
    },
    read(frame) {
      check(frame.length > needed)
      const message: Record<string, unknown> = { type }
      let i = 1
      for (const [key, field] of entries) {
        message[key] = field.read(frame[i])
        i += 1
      }
      return message as MessageOf<T>
    },
  }
}

// Interval tree clocks

function bytes(value: unknown): Uint8Array {
  check(value instanceof Uint8Array && value.byteLength <= wireLimits.itcBytes)
  return value
}

const lineage: Field<Lineage> = tuple<Lineage>({ epoch: count, genesis: boot })

function known<T>(value: T | undefined): T {
  check(value !== undefined)
  return value
}

const id: Field<itc.Id> = { write: itc.encodeId, read: (value) => known(itc.decodeId(bytes(value))) }
const event: Field<itc.Event> = { write: itc.encodeEvent, read: (value) => known(itc.decodeEvent(bytes(value))) }

/**
 * One stamp for all claims that come with the same, as their maker has it: one each would be more than a third of what a
 * name takes, and whoever sends the claims on writes the stamp once. Made again at any time, as the shared strings are.
 */
const stamp: Field<Stamp> = {
  write: (value) => [value.lineage.epoch, value.lineage.genesis, event.write(value.event)],
  read: (value) => {
    const [epoch, genesis, encoded] = array(value, 3)
    const lineage = { epoch: count.read(epoch), genesis: boot.read(genesis) }
    const its = bytes(encoded)
    // Large ones are of names that moved a lot, each its own.
    if (its.length > maxSharedBytes) return { lineage, event: event.read(its) }
    // With its length first no other parts come to the same: a boot may be any text.
    const key = `${its.length} ${lineage.epoch} ${lineage.genesis} ${String.fromCharCode(...its)}`
    const known = sharedStamps.get(key)
    if (known !== undefined) return known
    if (sharedStamps.size >= maxShared) sharedStamps.clear()
    const own = { lineage, event: event.read(its) }
    sharedStamps.set(key, own)
    return own
  },
}

const sharedStamps = new Map<string, Stamp>()
const maxSharedBytes = 64

// The terms of placed names

const pins: Field<readonly string[]> = list(string(1, wireLimits.nodeChars), wireLimits.pins)
const key: Field<string> = string(0, wireLimits.keyChars)
const newer: Field<unknown> = plain(wireLimits.strategyBytes)

/** `[tag, ...fields]`: 0 rendezvous, 1 near, 2 pinned, 3 together, 4 own. */
const strategy: Field<Strategy> = {
  write(value) {
    switch (value.by) {
      case 'rendezvous':
        return [0]
      case 'near':
        return [1, value.node]
      case 'pinned':
        return [2, pins.write(value.roles), pins.write(value.nodes)]
      case 'together':
        return [3, value.key]
      case 'own':
        return [4, value.id]
      case 'unknown':
        return value.fields
    }
  },
  read(value) {
    const fields = array(value, 1)
    switch (count.read(fields[0])) {
      case 0:
        return { by: 'rendezvous' }
      case 1:
        return { by: 'near', node: node.read(fields[1]) }
      case 2:
        return { by: 'pinned', roles: pins.read(fields[1]), nodes: pins.read(fields[2]) }
      case 3:
        return { by: 'together', key: key.read(fields[1]) }
      case 4:
        return { by: 'own', id: key.read(fields[1]) }
      default:
        return { by: 'unknown', fields: newer.read(fields) as readonly unknown[] }
    }
  },
}

const policies: readonly Restart['policy'][] = ['transient', 'permanent', 'temporary']

/** `[policy, times, ms]`, the policy by its number. */
const restart: Field<Restart> = {
  write: (value) => [policies.indexOf(value.policy), value.times, value.withinMs],
  read: (value) => {
    const [policy, times, withinMs] = array(value, 3)
    // One of a newer minor version is taken for the usual one.
    return {
      policy: policies[count.read(policy)] ?? 'transient',
      times: count.read(times),
      withinMs: count.read(withinMs),
    }
  },
}

/** `[strategy?, restart?]`: a newer minor version may append some. */
const terms: Field<Terms> = {
  write: (value) => [optional(strategy).write(value.strategy), optional(restart).write(value.restart)],
  read: (value) => {
    const [where, again] = array(value, 0)
    return { strategy: optional(strategy).read(where), restart: optional(restart).read(again) }
  },
}

const failures: Field<readonly number[]> = list(count, maxRestarts + 1)

const how: Field<Ended['how']> = asIs((value) => {
  check(value === 'crashed' || value === 'stopped')
  return value
})

/** `[how, reason]` */
const ended: Field<Ended> = tuple<Ended>({ how, reason: text })

// Claims and what else stands in a log

const pid: Field<Pid> = {
  write: (value) => [value.boot, value.id, value.node],
  read: (value) => {
    const [at, number, name] = array(value, 3)
    return new Pid(boot.read(at), count.read(number), node.read(name))
  },
}

/**
 * `[name, pid number, seq, fence, stamp, kind?, meta?, spec?, origin?, from boot?, from seq?, more?]`, cut after the last
 * one that is there: most names have none of these. `more`, a list, stands after the origin where there is no `from`,
 * for older minor versions take two more fields for one. The boot, the node's name and how the stamp is written are the
 * frame's business.
 */
function writeClaim(claim: Claim, stamp: unknown): unknown[] {
  const { name, pid, seq, fence, kind, meta, placed } = claim
  // A list that grows is made anew, with room for twenty more.
  if (placed === undefined) {
    if (meta !== undefined) return [name, pid.id, seq, fence, stamp, kind ?? null, meta]
    return kind === undefined ? [name, pid.id, seq, fence, stamp] : [name, pid.id, seq, fence, stamp, kind]
  }
  const fields = [name, pid.id, seq, fence, stamp, kind ?? null, meta, placed.spec, placed.origin]
  if (claim.from !== undefined) fields.push(claim.from.boot, claim.from.seq)
  const more = writeMore(placed)
  if (more.length > 0) fields.push(more)
  return fields
}

/** `[terms?, failures?, ended?]`, cut after the last one that is there; a newer minor version may append some. */
function writeMore(placed: Placement): unknown[] {
  if (placed.terms === undefined && placed.failures === undefined && placed.ended === undefined) return []
  const more = [optional(terms).write(placed.terms), optional(failures).write(placed.failures)]
  return placed.ended === undefined ? more : [...more, ended.write(placed.ended)]
}

function readClaim(fields: readonly unknown[], boot: BootId, node: string, stamp: (value: unknown) => Stamp): Claim {
  check(fields.length >= 5 && fields.length !== 8)
  const claim: Writable<Claim> = {
    name: name.read(fields[0]),
    pid: new Pid(boot, count.read(fields[1]), node),
    seq: count.read(fields[2]),
    fence: count.read(fields[3]),
    stamp: stamp(fields[4]),
    kind: kind.read(fields[5]),
    meta: meta.read(fields[6]),
    placed: fields.length >= 9 ? readPlacement(fields[7], fields[8], fields[fields.length === 10 ? 9 : 11]) : undefined,
  }
  if (fields.length >= 11) claim.from = source.read([fields[9], fields[10]])
  return claim
}

const kind: Field<string | undefined> = optional(shared(name))

function readPlacement(what: unknown, from: unknown, more: unknown): Placement {
  const [wanted, failed, over] = more === undefined ? [] : array(more, 0)
  const placed: Writable<Placement> = { spec: spec.read(what), origin: origin.read(from) }
  if (isThere(wanted)) placed.terms = terms.read(wanted)
  if (isThere(failed)) placed.failures = failures.read(failed)
  if (isThere(over)) placed.ended = ended.read(over)
  return placed
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

function isThere(value: unknown): boolean {
  return value !== undefined && value !== null
}

/** A claim that travels alone: with its boot and its node's name. */
const claim: Field<Claim> = {
  write: (value) => [value.pid.boot, value.pid.node, writeClaim(value, stamp.write(value.stamp))],
  read: (value) => {
    const [at, name, fields] = array(value, 3)
    return readClaim(array(fields, 0), boot.read(at), node.read(name), stamp.read)
  },
}

/** `[name, fence, seq, origin, failed?]` */
const strike: Field<Strike> = {
  write: ({ failed: why, ...plain }) => {
    const fields = plainStrike.write(plain) as unknown[]
    return why === undefined ? fields : [...fields, failed.write(why)]
  },
  read: (value) => {
    const why = array(value, 4)[4]
    const plain = plainStrike.read(value)
    return isThere(why) ? { ...plain, failed: failed.read(why) } : plain
  },
}

const plainStrike: Field<Omit<Strike, 'failed'>> = tuple<Omit<Strike, 'failed'>>({
  name,
  fence: count,
  seq: count,
  origin,
})
const failed: Field<Failed> = tuple<Failed>({ times: count, code, reason: text })

const digestEntry: Field<DigestEntry> = tuple<DigestEntry>({ boot, seq: count, high: word, low: word })

/**
 * The stamps of a frame, each once: the first claims of a node all have the same one, and 30 bytes of it a claim
 * would be more than the rest. Claims name theirs by its place in the list; the receiver's claims share it again.
 */
class StampTable {
  readonly list: unknown[] = []
  private readonly places = new Map<Stamp, number>()

  place(value: Stamp): number {
    const place = this.places.get(value)
    if (place !== undefined) return place
    this.places.set(value, this.list.length)
    return this.list.push(stamp.write(value)) - 1
  }
}

const stampList: Field<readonly Stamp[]> = list(stamp, wireLimits.entries)

/** What all entries of one log share: written once a frame. */
interface LogContext {
  readonly boot: BootId
  readonly node: string
  readonly stamps: readonly Stamp[]
}

function claimOfLog(context: LogContext, fields: readonly unknown[]): Claim {
  return readClaim(fields, context.boot, context.node, (place) => known(context.stamps[count.read(place)]))
}

/** `[group, pid number, seq, meta?]` */
function writeMembership(value: Membership): unknown[] {
  const fields: unknown[] = [value.group, value.pid.id, value.seq]
  if (value.meta !== undefined) fields.push(value.meta)
  return fields
}

function membershipOfLog(context: LogContext, fields: readonly unknown[]): Membership {
  return {
    group: name.read(fields[0]),
    pid: new Pid(context.boot, count.read(fields[1]), context.node),
    seq: count.read(fields[2]),
    meta: meta.read(fields[3]),
  }
}

/** `[tag, ...fields]`: 0 put, 1 del, 2 join, 3 quit. */
function writeOp(op: Op, stamps: StampTable): unknown[] {
  switch (op.type) {
    case 'put':
      return [0, ...writeClaim(op.claim, stamps.place(op.claim.stamp))]
    case 'del':
      if (op.strike === undefined) return [1, op.name, op.fence]
      if (op.failed === undefined) return [1, op.name, op.fence, op.strike]
      return [1, op.name, op.fence, op.strike, failed.write(op.failed)]
    case 'join':
      return [2, ...writeMembership(op.membership)]
    case 'quit':
      return [3, op.group, op.id]
  }
}

function opOfLog(context: LogContext, value: unknown): Op {
  const items = array(value, 1)
  const fields = items.slice(1)
  switch (items[0]) {
    case 0:
      return { type: 'put', claim: claimOfLog(context, fields) }
    case 1: {
      const strike = fields.length < 3 ? undefined : origin.read(fields[2])
      const removal = { type: 'del', name: name.read(fields[0]), fence: count.read(fields[1]), strike } as const
      return isThere(fields[3]) ? { ...removal, failed: failed.read(fields[3]) } : removal
    }
    case 2:
      return { type: 'join', membership: membershipOfLog(context, fields) }
    case 3:
      return { type: 'quit', group: name.read(fields[0]), id: count.read(fields[1]) }
    default:
      throw malformed
  }
}

/** The node's name is that of the first pid at hand; entries without a pid do without it. */
function nodeOf(claims: readonly Claim[], memberships: readonly Membership[], ops: readonly Op[]): string {
  const pids = claims[0]?.pid ?? memberships[0]?.pid
  if (pids !== undefined) return pids.node
  for (const op of ops) {
    if (op.type === 'put') return op.claim.pid.node
    if (op.type === 'join') return op.membership.pid.node
  }
  return ''
}

function entries<T>(value: unknown, read: (item: readonly unknown[]) => T): T[] {
  const items = array(value, 0)
  check(items.length <= wireLimits.entries)
  return items.map((item) => read(array(item, 1)))
}

/** `[kind, boot, node, first, counter, reply, stamps, ops]` */
const opsShape: Shape<MessageOf<'ops'>> = {
  kind: 35,
  write(message) {
    const stamps = new StampTable()
    const ops = message.ops.map((op) => writeOp(op, stamps))
    const at = nodeOf([], [], message.ops)
    return [35, message.boot, at, message.first, message.counter, message.reply, stamps.list, ops]
  },
  read(frame) {
    const [, at, name, first, counter, reply, stamps, ops] = array(frame, 8)
    const context = { boot: boot.read(at), node: node.read(name), stamps: stampList.read(stamps) }
    return {
      type: 'ops',
      boot: context.boot,
      first: count.read(first),
      ops: entries(ops, (op) => opOfLog(context, op)),
      counter: count.read(counter),
      reply: flag.read(reply),
    }
  },
}

/** `[kind, boot, node, base, chunk, last, stamps, claims, memberships, strikes, ops]` */
const stateShape: Shape<MessageOf<'state'>> = {
  kind: 36,
  write(message) {
    const stamps = new StampTable()
    const claims = message.claims.map((claim) => writeClaim(claim, stamps.place(claim.stamp)))
    const memberships = message.memberships.map(writeMembership)
    const strikes = message.strikes.map(strike.write)
    const ops = message.ops.map((op) => writeOp(op, stamps))
    const at = nodeOf(message.claims, message.memberships, message.ops)
    const { boot, base, chunk, last } = message
    return [36, boot, at, base, chunk, last, stamps.list, claims, memberships, strikes, ops]
  },
  read(frame) {
    const [, at, name, base, chunk, last, stamps, claims, memberships, strikes, ops] = array(frame, 11)
    const context = { boot: boot.read(at), node: node.read(name), stamps: stampList.read(stamps) }
    return {
      type: 'state',
      boot: context.boot,
      base: count.read(base),
      chunk: count.read(chunk),
      claims: entries(claims, (fields) => claimOfLog(context, fields)),
      memberships: entries(memberships, (fields) => membershipOfLog(context, fields)),
      strikes: entries(strikes, strike.read),
      last: flag.read(last),
      ops: entries(ops, (op) => opOfLog(context, op)),
    }
  },
}

/** `[tag, ...fields]`: 0 update, 1 unregister, 2 join, 3 quit, 4 move. */
const request: Field<NodeRequest> = {
  write(value) {
    switch (value.type) {
      case 'update':
        return [0, value.name, value.meta]
      case 'unregister':
        return [1, value.name]
      case 'join':
        return [2, value.group, pid.write(value.pid), value.meta]
      case 'quit':
        return [3, value.group, pid.write(value.pid)]
      case 'move':
        return [4, value.name, value.to ?? null]
    }
  },
  read(value) {
    const [tag, subject, second, third] = array(value, 2)
    switch (tag) {
      case 0:
        return { type: 'update', name: name.read(subject), meta: meta.read(second) }
      case 1:
        return { type: 'unregister', name: name.read(subject) }
      case 2:
        return { type: 'join', group: name.read(subject), pid: pid.read(second), meta: meta.read(third) }
      case 3:
        return { type: 'quit', group: name.read(subject), pid: pid.read(second) }
      case 4:
        return { type: 'move', name: name.read(subject), to: optional(boot).read(second) }
      default:
        throw malformed
    }
  },
}

const baseKey: Field<string> = string(0, wireLimits.baseKeyChars)

const base: Field<Base> = tuple<Base>({
  key: baseKey,
  version: count,
  genesis: boot,
  members: list(tuple<BaseMember>({ life: boot, name: node, address: text, startedAt: count }), wireLimits.members),
})

const digestEntries: Field<readonly DigestEntry[]> = list(digestEntry, wireLimits.digest)

const source: Field<Source> = tuple<Source>({ boot, seq: count })

const groups: Field<readonly GroupOf[]> = list(tuple<GroupOf>({ group: name, meta }), wireLimits.groups)

/** What a process has in its memory: as large as a frame may be, and a copy, not a view of the whole frame. */
const state: Field<Uint8Array> = asIs((value) => {
  check(value instanceof Uint8Array)
  return new Uint8Array(value)
})

/** The messages of handoffs share one kind, for there are only so many: `[43, tag, ...fields]`. */
const handing = family(43, {
  order: shape('order', 0, { name, seq: count, to: boot }),
  handoff: shape('handoff', 1, {
    name,
    number: count,
    kind: name,
    spec,
    meta,
    origin,
    seq: count,
    fence: count,
    groups,
    state,
    terms: added(terms),
    failures: added(failures),
  }),
  handoffFailed: shape('handoffFailed', 2, { name, number: count, code, text }),
  known: shape('known', 3, { boot, seq: count }),
  knows: shape('knows', 4, { boot, seq: count, soon: added(flag) }),
})

/** Shapes whose kinds are tags within one kind. */
function family<S extends Record<string, { readonly kind: number }>>(kind: number, shapes: S): S {
  const all = Object.entries(shapes) as [string, Shape<TrackerMessage>][]
  const byTag = new Map(all.map(([, one]) => [one.kind, one]))
  const wrapped = all.map(([type, one]): [string, Shape<TrackerMessage>] => [
    type,
    {
      kind,
      write: (message) => [kind, ...one.write(message)],
      read: (frame) => known(byTag.get(count.read(frame[1]))).read(frame.slice(1)),
    },
  ])
  return Object.fromEntries(wrapped) as unknown as S
}

/** Every message, its kind and its fields in the order of the wire. A kind that went out of use is never given again. */
const messages: { readonly [T in TrackerMessage['type']]: Shape<MessageOf<T>> } = {
  digest: shape('digest', 32, { counter: count, lineage, depth: count, entries: digestEntries }),
  pull: shape('pull', 33, { boot, have: count }),
  busy: shape('busy', 34, { boot }),
  ops: opsShape,
  state: stateShape,
  claim: shape('claim', 37, {
    name,
    ask: count,
    origin,
    again: flag,
    fence: count,
    counter: count,
    from: added(source),
  }),
  grant: shape('grant', 38, { name, ask: count, fence: count }),
  refuse: shape('refuse', 39, { name, ask: count, holder: optional(claim), why: added(text) }),
  elsewhere: shape('elsewhere', 40, { name, ask: count, full: flag }),
  unused: shape('unused', 41, { name, ask: count }),
  check: shape('check', 42, { name, ask: count, fence: added(count) }),
  ...handing,
  take: shape('take', 44, { generation: count, slots, counter: count }),
  ack: shape('ack', 45, { generation: count, slots, notYet: flag, counter: count, entries: digestEntries }),
  spawn: shape('spawn', 46, {
    name,
    ask: count,
    kind: name,
    spec,
    meta,
    origin,
    counter: count,
    terms: added(terms),
  }),
  spawned: shape('spawned', 47, { name, ask: count, claim }),
  spawnFailed: shape('spawnFailed', 48, { name, ask: count, code, text, holder: optional(claim) }),
  start: shape('start', 49, {
    name,
    kind: name,
    spec,
    meta,
    origin,
    failover: flag,
    terms: added(terms),
    failures: added(failures),
  }),
  startFailed: shape('startFailed', 50, { name, origin, code, text }),
  running: shape('running', 51, { name, fence: count, ask: count, above: count }),
  runs: shape('runs', 52, { name, fence: count, ask: count, yes: flag }),
  idAsk: shape('idAsk', 53, { lineage, pointed: flag }),
  idGrant: shape('idGrant', 54, { lineage, id, event, seq: count }),
  idPoint: shape('idPoint', 55, { lineage, to: boot }),
  idConfirm: shape('idConfirm', 56, { lineage, depth: count }),
  idGive: shape('idGive', 57, { lineage, id, event, seq: count }),
  idGot: shape('idGot', 58, { lineage }),
  request: shape('request', 59, { ask: count, request }),
  answer: shape('answer', 60, { ask: count, code: optional(code), text }),
  flush: shape('flush', 61, { ask: count, seq: count }),
  flushed: shape('flushed', 62, { ask: count, seq: count }),
  more: shape('more', 63, { boot, chunk: count }),
  beat: shape('beat', 28, {
    policy: text,
    pauseMs: count,
    life: boot,
    at: count,
    echo: optional(count),
    keys: list(baseKey, wireLimits.bases),
    bases: list(base, wireLimits.bases),
    ready: baseKey,
    gone: list(boot, wireLimits.members),
    lost: list(boot, wireLimits.members),
    stopped: list(boot, wireLimits.members),
  }),
}

const byKind: ReadonlyMap<number, Shape<TrackerMessage>> = new Map(
  Object.values(messages).map((entry) => [entry.kind, entry as unknown as Shape<TrackerMessage>]),
)
