import { deserialize, serialize } from 'node:v8'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as itc from '../src/core/itc.js'
import type {
  Base,
  Claim,
  DigestEntry,
  Ended,
  Failed,
  Lineage,
  Membership,
  NodeRequest,
  Op,
  Placement,
  Restart,
  Stamp,
  Strategy,
  Strike,
  Terms,
  TrackerMessage,
} from '../src/core/messages.js'
import { wireNameFault } from '../src/core/name.js'
import { Pid } from '../src/core/pid.js'
import { decodeMessage, encodeMessage, trackerKinds, wireLimits } from '../src/core/wire.js'

const count = fc.oneof(fc.nat(), fc.maxSafeNat())
const word = fc.integer({ min: 0, max: 0xffffffff })
const boot = fc.stringMatching(/^[A-Za-z0-9_-]{22}$/)
const node = fc.stringMatching(/^[a-z]{1,12}-[0-9]{1,2}$/)
const name = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 40 })
  .filter((text) => wireNameFault(text) === undefined)
const short = fc.string({ maxLength: 40 })
const code = fc.stringMatching(/^ERR_[A-Z_]{1,20}$/)
const meta: fc.Arbitrary<unknown> = fc.oneof(
  fc.constant(undefined),
  fc.jsonValue({ maxDepth: 3 }),
  fc.uint8Array({ maxLength: 20 }),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
)

const id: fc.Arbitrary<itc.Id> = fc
  .letrec<{ id: itc.Id }>((tie) => ({
    id: fc.oneof({ maxDepth: 5 }, fc.constantFrom<itc.Id>(0, 1), fc.tuple(tie('id'), tie('id'))),
  }))
  .id.map(itc.normaliseId)
const event: fc.Arbitrary<itc.Event> = fc
  .letrec<{ event: itc.Event }>((tie) => ({
    event: fc.oneof({ maxDepth: 5 }, fc.nat({ max: 100 }), fc.tuple(fc.nat({ max: 30 }), tie('event'), tie('event'))),
  }))
  .event.map(itc.normaliseEvent)

const lineage: fc.Arbitrary<Lineage> = fc.record({ epoch: count, genesis: boot })
const stamp: fc.Arbitrary<Stamp> = fc.record({ lineage, event })
const source = fc.record({ boot, seq: count })
const optional = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(of, { nil: undefined })
const pins = fc.array(fc.string({ minLength: 1, maxLength: 20 }), { maxLength: 4 })
const strategy: fc.Arbitrary<Strategy> = fc.oneof(
  fc.constant<Strategy>({ by: 'rendezvous' }),
  fc.record({ by: fc.constant('near' as const), node }),
  fc.record({ by: fc.constant('pinned' as const), roles: pins, nodes: pins }),
  fc.record({ by: fc.constant('together' as const), key: short }),
  fc.record({ by: fc.constant('own' as const), id: short }),
  fc
    .tuple(fc.integer({ min: 5, max: 1000 }), fc.array(fc.jsonValue({ maxDepth: 2 }), { maxLength: 3 }))
    .map(([tag, rest]): Strategy => ({ by: 'unknown', fields: [tag, ...rest] })),
)
const policy = fc.constantFrom('permanent' as const, 'transient' as const, 'temporary' as const)
const restart: fc.Arbitrary<Restart> = fc.record({ policy, times: count, withinMs: count })
const terms: fc.Arbitrary<Terms> = fc.record({ strategy: optional(strategy), restart: optional(restart) })
const failures = fc.array(count, { maxLength: 5 })
const ended: fc.Arbitrary<Ended> = fc.record({ how: fc.constantFrom('crashed' as const, 'stopped'), reason: short })
const failed: fc.Arbitrary<Failed> = fc.record({ times: count, code, reason: short })
/** Without those of these fields that are not there. */
const lacking = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as T
const placement: fc.Arbitrary<Placement> = fc
  .record({ terms: optional(terms), failures: optional(failures), ended: optional(ended) })
  .chain((more) => fc.record({ spec: meta, origin: short }).map((plain) => ({ ...plain, ...lacking(more) })))

const pid = fc.tuple(boot, count, node).map(([at, number, on]) => new Pid(at, number, on))
const claimWith = (pids: fc.Arbitrary<Pid>): fc.Arbitrary<Claim> =>
  fc
    .record({
      name,
      pid: pids,
      seq: count,
      fence: count,
      stamp,
      kind: optional(name),
      meta,
      placed: optional(placement),
      from: optional(source),
    })
    // Only what was placed is ever handed over.
    .map(({ from, ...claim }) => (claim.placed === undefined || from === undefined ? claim : { ...claim, from }))
const claim = claimWith(pid)
const membershipWith = (pids: fc.Arbitrary<Pid>): fc.Arbitrary<Membership> =>
  fc.record({ group: name, pid: pids, seq: count, meta })
const strike: fc.Arbitrary<Strike> = fc
  .record({ name, fence: count, seq: count, origin: short, failed: optional(failed) })
  .map(lacking)
const entry: fc.Arbitrary<DigestEntry> = fc.record({ boot, seq: count, high: word, low: word })
const entries = fc.array(entry, { maxLength: 5 })
const base: fc.Arbitrary<Base> = fc.record({
  key: short,
  version: count,
  genesis: boot,
  members: fc.array(fc.record({ life: boot, name: node, address: short, startedAt: count }), { maxLength: 4 }),
})
const slots = fc.uint8Array({ maxLength: wireLimits.slotBytes })

const opWith = (pids: fc.Arbitrary<Pid>): fc.Arbitrary<Op> =>
  fc.oneof(
    fc.record({ type: fc.constant('put' as const), claim: claimWith(pids) }),
    fc.record({ type: fc.constant('del' as const), name, fence: count, strike: optional(short) }),
    fc.record({ type: fc.constant('del' as const), name, fence: count, strike: short, failed }),
    fc.record({ type: fc.constant('join' as const), membership: membershipWith(pids) }),
    fc.record({ type: fc.constant('quit' as const), group: name, id: count }),
  )

/** Everything in one log has the boot and the node's name of its writer. */
const log = fc.tuple(boot, node).map(([at, on]) => ({ at, pids: count.map((number) => new Pid(at, number, on)) }))

const request: fc.Arbitrary<NodeRequest> = fc.oneof(
  fc.record({ type: fc.constant('update' as const), name, meta }),
  fc.record({ type: fc.constant('unregister' as const), name }),
  fc.record({ type: fc.constant('join' as const), group: name, pid, meta }),
  fc.record({ type: fc.constant('quit' as const), group: name, pid }),
  fc.record({ type: fc.constant('move' as const), name, to: optional(boot) }),
)

type Type = TrackerMessage['type']
const record = <T extends Type>(
  type: T,
  fields: { [K in Exclude<keyof Extract<TrackerMessage, { type: T }>, 'type'>]: fc.Arbitrary<unknown> },
): fc.Arbitrary<TrackerMessage> =>
  fc.record({ type: fc.constant(type), ...fields }) as unknown as fc.Arbitrary<TrackerMessage>

/** The compiler sees to it that no kind of message is forgotten here. */
const arbitraries: { readonly [T in Type]: fc.Arbitrary<TrackerMessage> } = {
  digest: record('digest', { counter: count, lineage, depth: count, entries }),
  pull: record('pull', { boot, have: count }),
  busy: record('busy', { boot }),
  ops: log.chain(({ at, pids }) =>
    record('ops', {
      boot: fc.constant(at),
      first: count,
      ops: fc.array(opWith(pids), { maxLength: 5 }),
      counter: count,
      reply: fc.boolean(),
    }),
  ),
  state: log.chain(({ at, pids }) =>
    record('state', {
      boot: fc.constant(at),
      base: count,
      chunk: count,
      claims: fc.array(claimWith(pids), { maxLength: 5 }),
      memberships: fc.array(membershipWith(pids), { maxLength: 3 }),
      strikes: fc.array(strike, { maxLength: 3 }),
      last: fc.boolean(),
      ops: fc.array(opWith(pids), { maxLength: 3 }),
    }),
  ),
  claim: record('claim', {
    name,
    ask: count,
    origin: short,
    again: fc.boolean(),
    fence: count,
    counter: count,
    from: optional(source),
  }),
  grant: record('grant', { name, ask: count, fence: count }),
  refuse: record('refuse', { name, ask: count, holder: optional(claim), why: optional(short) }),
  elsewhere: record('elsewhere', { name, ask: count, full: fc.boolean() }),
  unused: record('unused', { name, ask: count }),
  check: record('check', { name, ask: count, fence: optional(count) }),
  order: record('order', { name, seq: count, to: boot }),
  handoff: record('handoff', {
    name,
    number: count,
    kind: name,
    spec: meta,
    meta,
    origin: short,
    seq: count,
    fence: count,
    groups: fc.array(fc.record({ group: name, meta }), { maxLength: 3 }),
    state: fc.uint8Array({ maxLength: 100 }),
    terms: optional(terms),
    failures: optional(failures),
  }),
  handoffFailed: record('handoffFailed', { name, number: count, code, text: short }),
  known: record('known', { boot, seq: count }),
  knows: record('knows', { boot, seq: count, soon: optional(fc.boolean()) }),
  take: record('take', { generation: count, slots, counter: count }),
  ack: record('ack', { generation: count, slots, notYet: fc.boolean(), counter: count, entries }),
  spawn: record('spawn', {
    name,
    ask: count,
    kind: name,
    spec: meta,
    meta,
    origin: short,
    counter: count,
    terms: optional(terms),
  }),
  spawned: record('spawned', { name, ask: count, claim }),
  spawnFailed: record('spawnFailed', { name, ask: count, code, text: short, holder: optional(claim) }),
  start: record('start', {
    name,
    kind: name,
    spec: meta,
    meta,
    origin: short,
    failover: fc.boolean(),
    terms: optional(terms),
    failures: optional(failures),
  }),
  startFailed: record('startFailed', { name, origin: short, code, text: short }),
  running: record('running', { name, fence: count, ask: count, above: count }),
  runs: record('runs', { name, fence: count, ask: count, yes: fc.boolean() }),
  idAsk: record('idAsk', { lineage, pointed: fc.boolean() }),
  idGrant: record('idGrant', { lineage, id, event, seq: count }),
  idPoint: record('idPoint', { lineage, to: boot }),
  idConfirm: record('idConfirm', { lineage, depth: count }),
  idGive: record('idGive', { lineage, id, event, seq: count }),
  idGot: record('idGot', { lineage }),
  request: record('request', { ask: count, request }),
  answer: record('answer', { ask: count, code: optional(code), text: short }),
  flush: record('flush', { ask: count, seq: count }),
  flushed: record('flushed', { ask: count, seq: count }),
  more: record('more', { boot, chunk: count }),
  beat: record('beat', {
    policy: short,
    pauseMs: count,
    life: boot,
    at: count,
    echo: optional(count),
    keys: fc.array(short, { maxLength: 4 }),
    bases: fc.array(base, { maxLength: 3 }),
    ready: short,
    gone: fc.array(boot, { maxLength: 3 }),
    lost: fc.array(boot, { maxLength: 3 }),
    stopped: fc.array(boot, { maxLength: 3 }),
  }),
}
const types = Object.keys(arbitraries) as Type[]
const anyMessage = fc.constantFrom(...types).chain((type) => arbitraries[type])

/** What a frame is after a journey as bytes: nothing shared, no class but plain ones. */
const travel = (frame: unknown[]): unknown[] => deserialize(serialize(frame)) as unknown[]

describe('the codec of tracker messages', () => {
  test.each(types)('gives back every %s as it was', (type) => {
    fc.assert(
      fc.property(arbitraries[type], (message) => {
        expect(decodeMessage(travel(encodeMessage(message)))).toEqual(message)
      }),
      { numRuns: 60 },
    )
  })

  test('gives every message a kind of its own within the range of the tracker', () => {
    const [from, to] = trackerKinds
    const kinds = types.map((type) => {
      const [kind, tag] = encodeMessage(fc.sample(arbitraries[type], 1)[0] as TrackerMessage) as [number, unknown]
      expect(kind >= from && kind <= to).toBe(true)
      // Those of handoffs share one kind, with a tag for each.
      return kind === 43 ? `43.${tag}` : String(kind)
    })
    expect(new Set(kinds).size).toBe(types.length)
  })

  test('reads claims and checks of a version that did not write their last field', () => {
    const claim = { type: 'claim', name: 'a', ask: 1, origin: '', again: false, fence: 0, counter: 5 } as const
    expect(decodeMessage(encodeMessage(claim).slice(0, 7))).toEqual(claim)
    const check = { type: 'check', name: 'a', ask: 1, fence: undefined } as const
    expect(decodeMessage(encodeMessage(check).slice(0, 3))).toEqual(check)
  })

  test('reads claims with terms beside those of a version that knew none, and that one reads them', () => {
    const at = 'b'.repeat(22)
    const pid = new Pid(at, 1, 'n')
    const stamp = { lineage: { epoch: 1, genesis: at }, event: 3 }
    const plain = { name: 'a', pid, seq: 1, fence: 2, stamp, kind: 'k', meta: undefined, placed: undefined }
    const strategy: Strategy = { by: 'pinned', roles: ['gpu'], nodes: [] }
    const placed = { spec: 1, origin: 'o', terms: { strategy } }
    const from = { boot: 'c'.repeat(22), seq: 7 }
    const fieldsOf = (claim: Claim): unknown[] => {
      const frame = encodeMessage({ type: 'spawned', name: 'a', ask: 1, claim })
      return (frame[3] as [string, string, unknown[]])[2]
    }
    const read = (fields: unknown[]): Claim | undefined => {
      const message = decodeMessage([47, 'a', 1, [at, 'n', fields]])
      return message?.type === 'spawned' ? message.claim : undefined
    }
    // An older one takes two fields after the origin for the source, and none for no source.
    const alone = fieldsOf({ ...plain, placed })
    expect(alone).toHaveLength(10)
    expect(read(alone)?.placed).toEqual(placed)
    expect(read(alone)?.from).toBeUndefined()
    const moved = fieldsOf({ ...plain, placed, from })
    expect(moved.slice(9, 11)).toEqual([from.boot, from.seq])
    expect(read(moved)).toMatchObject({ placed, from })
    expect(read(moved.slice(0, 11))).toMatchObject({ placed: { spec: 1, origin: 'o' }, from })
    expect(read(moved.slice(0, 9))?.placed).toEqual({ spec: 1, origin: 'o' })
  })

  test.each([
    ['no list', 7],
    ['no tag', []],
    ['a tag that is no number', ['pinned', ['gpu'], []]],
    ['pins that are no list', [2, 'gpu', []]],
    ['a pin that is no text', [2, [7], []]],
    ['more pins than there may be', [2, Array(65).fill('gpu'), []]],
    ['a key that is too long', [3, 'x'.repeat(513)]],
    ['no key', [3]],
    ['no node', [1, null]],
    ['a newer one that is huge', [99, 'x'.repeat(5000)]],
    ['a newer one with what is no data', [99, () => 0]],
  ])('refuses a strategy with %s', (_, bad) => {
    expect(decodeMessage([49, 'a', 'k', 0, 0, 'o', false, [bad]])).toBeUndefined()
    expect(decodeMessage([49, 'a', 'k', 0, 0, 'o', false, [[99, 'new']]])).toMatchObject({
      terms: { strategy: { by: 'unknown', fields: [99, 'new'] } },
    })
  })

  test('ignores fields that a newer version appends', () => {
    fc.assert(
      fc.property(anyMessage, fc.anything(), (message, extra) => {
        expect(decodeMessage([...encodeMessage(message), extra])).toEqual(message)
      }),
      { numRuns: 200 },
    )
  })

  test('writes a stamp that many claims share once, and they share it again afterwards', () => {
    const at = 'b'.repeat(22)
    const shared: Stamp = { lineage: { epoch: 1, genesis: at }, event: 3 }
    const ops: Op[] = Array.from({ length: 100 }, (_, i) => ({
      type: 'put',
      claim: {
        name: `name-${i}`,
        pid: new Pid(at, i, 'n'),
        seq: i + 1,
        fence: 1_700_000_000_000 + i,
        stamp: shared,
        kind: undefined,
        meta: undefined,
        placed: undefined,
      },
    }))
    const frame = encodeMessage({ type: 'ops', boot: at, first: 1, ops, counter: 0, reply: false })
    expect(frame[6]).toHaveLength(1)
    const read = decodeMessage(frame)
    if (read?.type !== 'ops') throw new Error('not ops')
    const stamps = read.ops.map((op) => (op.type === 'put' ? op.claim.stamp : undefined))
    expect(new Set(stamps).size).toBe(1)
  })

  test('has one stamp for all claims that come with the same, in whatever frame, and another for one of another lineage', () => {
    const at = 'b'.repeat(22)
    const readOf = (epoch: number, event: itc.Event, genesis = at): Stamp => {
      const stamp = { lineage: { epoch, genesis }, event }
      const message = decodeMessage(
        encodeMessage({ type: 'ops', boot: at, first: 1, ops: [put(stamp)], counter: 0, reply: false }),
      )
      const [op] = message?.type === 'ops' ? message.ops : []
      if (op?.type !== 'put') throw new Error('not a claim')
      expect(op.claim.stamp).toEqual(stamp)
      return op.claim.stamp
    }
    const put = (stamp: Stamp): Op => ({
      type: 'put',
      claim: {
        name: 'a',
        pid: new Pid(at, 1, 'n'),
        seq: 1,
        fence: 1,
        stamp,
        kind: undefined,
        meta: undefined,
        placed: undefined,
      },
    })
    const first = readOf(1, [0, 0, [1, 0, 1]])
    expect(readOf(1, [0, 0, [1, 0, 1]])).toBe(first)
    expect(readOf(1, [0, 0, [1, 1, 0]])).not.toBe(first)
    expect(readOf(2, [0, 0, [1, 0, 1]])).not.toBe(first)
    // Written one after the other, boot and event of these two are the same: the event's bytes have a space among them.
    readOf(1, [24, 0, [156, [7, 0, 38], 0]], 'g')
    readOf(1, [7, 0, 38], 'g gc\x7f')
  })

  test('cuts a long explanation instead of losing the answer', () => {
    const frame = encodeMessage({ type: 'answer', ask: 1, code: 'ERR_TIMEOUT', text: 'x'.repeat(100_000) })
    expect(decodeMessage(frame)).toMatchObject({ type: 'answer', text: 'x'.repeat(wireLimits.textChars) })
  })

  test('copies bytes out of the frame that they came in', () => {
    const memory = Buffer.alloc(64, 7)
    const message = decodeMessage([44, 1, memory.subarray(0, 4), 0])
    memory.fill(0)
    expect(message).toEqual({ type: 'take', generation: 1, slots: Uint8Array.of(7, 7, 7, 7), counter: 0 })
  })

  test('copies bytes out of the frame also where they stand deep in metadata or a start spec', () => {
    const memory = Buffer.alloc(64, 7)
    const spec = { args: memory.subarray(0, 2), more: [{ at: memory.subarray(2, 4) }], n: 1, none: null }
    const message = decodeMessage([49, 'a', 'kind', spec, memory.subarray(0, 1), 'o:1', false])
    memory.fill(0)
    expect(message).toMatchObject({
      spec: { args: Uint8Array.of(7, 7), more: [{ at: Uint8Array.of(7, 7) }], n: 1, none: null },
      meta: Uint8Array.of(7),
    })
  })
})

/** A small change anywhere in a frame: a value of another type, a list cut, doubled or emptied. */
function damage(frame: unknown, path: readonly number[], value: unknown): unknown {
  if (!Array.isArray(frame) || frame.length === 0 || path.length === 0) return value
  const at = (path[0] as number) % frame.length
  const copy = frame.slice()
  copy[at] = damage(frame[at], path.slice(1), value)
  return copy
}

/** How many last fields came with a later minor version. */
const laterFields: Partial<Record<Type, number>> = {
  state: 1,
  knows: 1,
  claim: 1,
  check: 1,
  refuse: 1,
  spawn: 1,
  start: 2,
  handoff: 2,
}

describe('hostile frames', () => {
  test('anything at all gives undefined or a message, never a throw', () => {
    fc.assert(
      fc.property(
        fc.array(fc.anything({ withBigInt: true, withTypedArray: true, withNullPrototype: true })),
        (frame) => {
          decodeMessage(frame)
        },
      ),
      { numRuns: 2000 },
    )
  })

  test('any fields behind a valid kind never throw', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 32, max: 63 }),
        fc.array(fc.anything({ withBigInt: true, withTypedArray: true })),
        (kind, fields) => {
          decodeMessage([kind, ...fields])
        },
      ),
      { numRuns: 3000 },
    )
  })

  test('a damaged frame is refused, or is a message that can be sent on as it was read', () => {
    const junk = fc.oneof(
      fc.constantFrom<unknown>(
        null,
        undefined,
        -1,
        1.5,
        Number.NaN,
        Number.POSITIVE_INFINITY,
        2 ** 53,
        '',
        '\u0000',
        [],
        {},
        true,
      ),
      fc.anything({ withTypedArray: true }),
    )
    fc.assert(
      fc.property(anyMessage, fc.array(fc.nat(), { minLength: 1, maxLength: 6 }), junk, (message, path, value) => {
        const read = decodeMessage(damage(encodeMessage(message), path, value) as unknown[])
        if (read !== undefined) expect(decodeMessage(encodeMessage(read))).toEqual(read)
      }),
      { numRuns: 5000 },
    )
  })

  test('a frame cut short is refused', () => {
    fc.assert(
      fc.property(anyMessage, fc.nat(), (message, at) => {
        const frame = encodeMessage(message)
        // The last field of these came with a later minor version.
        const length = frame.length - (laterFields[message.type] ?? 0)
        expect(decodeMessage(frame.slice(0, at % length))).toBeUndefined()
      }),
      { numRuns: 500 },
    )
  })

  const grant = (subject: unknown): unknown[] => [38, subject, 1, 1]
  test.each([
    ['a kind that nobody knows', [63]],
    ['a kind of another layer', [31, 'a', 1, 1]],
    ['no kind', []],
    ['an empty name', grant('')],
    ['a name of 513 bytes', grant('x'.repeat(513))],
    ['a name of 512 characters and more bytes', grant('é'.repeat(257))],
    ['a name with a control character', grant('a\u0007')],
    ['a name with half a surrogate pair', grant('\ud800')],
    ['a negative number', [38, 'a', -1, 1]],
    ['a number beyond the safe ones', [38, 'a', 2 ** 53, 1]],
    ['a fraction', [38, 'a', 1, 0.5]],
    ['a bigint for a number', [38, 'a', 1n, 1]],
    ['a boot id of 65 characters', [33, 'b'.repeat(65), 1]],
    ['too many bytes of slots', [44, 1, new Uint8Array(wireLimits.slotBytes + 1), 0]],
    [
      'a digest of more logs than there can be',
      [32, 0, [0, 'b'], 0, new Array(wireLimits.digest + 1).fill(['b', 0, 0, 0])],
    ],
    ['metadata over 4 KiB', [59, 1, [0, 'a', 'x'.repeat(4096)]]],
    ['metadata that is nested for ever', [59, 1, [0, 'a', nested(100)]]],
    ['a start spec over 32 KiB', [49, 'a', 'kind', 'x'.repeat(32 * 1024), null, '', false]],
    ['an id that is not in normal form', [54, [0, 'b'], Uint8Array.of(0xff, 0xff)]],
    ['an id of too many bytes', [54, [0, 'b'], new Uint8Array(wireLimits.itcBytes + 1)]],
    ['a claim that names a stamp which is not there', [35, 'b', 'n', 1, 0, false, [], [[0, 'a', 1, 1, 1, 0]]]],
    [
      'a claim with half a placement',
      [35, 'b', 'n', 1, 0, false, [[0, 'b', itc.encodeEvent(1)]], [[0, 'a', 1, 1, 1, 0, null, null, 1]]],
    ],
    ['an op of no known type', [35, 'b', 'n', 1, 0, false, [], [[9, 'a']]]],
    ['a request of no known type', [59, 1, [99, 'a']]],
  ])('refused: %s', (_, frame) => {
    expect(decodeMessage(frame)).toBeUndefined()
  })

  test('bounds hold at the limit: 512 bytes of name, 128 bytes of slots', () => {
    expect(decodeMessage(grant('x'.repeat(512)))).toMatchObject({ type: 'grant' })
    expect(decodeMessage(grant('é'.repeat(256)))).toMatchObject({ type: 'grant' })
    expect(decodeMessage([44, 1, new Uint8Array(wireLimits.slotBytes), 0])).toMatchObject({ type: 'take' })
  })
})

function nested(depth: number): unknown {
  return depth === 0 ? [] : [nested(depth - 1)]
}
