import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeFrame, encodeFrame, frameLimits } from '../src/core/frames.js'
import type { Member, MemberInfo } from '../src/core/member.js'
import type { ClusterFrame } from '../src/core/membership.js'
import { packFrame, unpackFrame } from '../src/wire.js'

const boot = fc.stringMatching(/^[A-Za-z0-9_-]{1,22}$/)
const text = fc.stringMatching(/^[a-z0-9.:-]{1,30}$/)
const address = fc.oneof(fc.stringMatching(/^[a-z0-9.-]{1,30}:[1-9][0-9]{0,3}$/), fc.constant('[::1]:4370'))
const count = fc.nat({ max: Number.MAX_SAFE_INTEGER })

const plainInfo: fc.Arbitrary<MemberInfo> = fc.record({
  boot,
  name: text,
  address,
  roles: fc.array(text, { maxLength: 3 }),
  weight: fc.double({ min: 0, max: 100, noNaN: true }).map((weight) => weight + 0),
  cordoned: fc.boolean(),
  startedAt: fc.nat(),
  kinds: fc.array(text, { maxLength: 3 }),
  version: fc.oneof(fc.constant(''), text),
})
const info = fc.oneof(
  plainInfo,
  plainInfo.map((one) => ({ ...one, halted: true })),
)
const member: fc.Arbitrary<Member> = fc.record({
  info,
  phase: fc.constantFrom('joining', 'up', 'leaving', 'down', 'left'),
  incarnation: count,
  suspect: fc.boolean(),
})
const members = fc.array(member, { maxLength: 4 })
/** An upper layer's message: its frame, which the codec under test does not look into. */
const message = fc
  .tuple(fc.integer({ min: 28, max: 127 }), fc.jsonValue({ noUnicodeString: true } as object))
  .map((m) => [...m])

const frame: fc.Arbitrary<ClusterFrame> = fc.oneof(
  fc.record({ type: fc.constantFrom('ping' as const, 'ack' as const), seq: count }),
  fc.record({ type: fc.constant('pingReq' as const), seq: count, subject: boot }),
  fc.record({ type: fc.constant('pingReqAck' as const), seq: count, ok: fc.boolean() }),
  fc.record({ type: fc.constant('news' as const), members }),
  fc.record({ type: fc.constant('refused' as const), subject: boot }),
  fc.constant<ClusterFrame>({ type: 'bye' }),
  fc.record({ type: fc.constant('message' as const), message }),
  fc.record({ type: fc.constant('carry' as const), members, message }),
  fc.record({ type: fc.constant('relay' as const), from: boot, to: boot, members, message }),
)

const encode = (value: ClusterFrame): readonly unknown[] => encodeFrame(value, (inner) => inner as unknown[])
const decode = (value: unknown): ClusterFrame | undefined => decodeFrame(value, (inner) => inner)

describe('cluster frames on the wire', () => {
  it('come back as they went, as arrays and as bytes', () => {
    fc.assert(
      fc.property(frame, (value) => {
        expect(decode(encode(value))).toEqual(value)
        if ('message' in value) return
        expect(decode(unpackFrame(packFrame(encode(value))))).toEqual(value)
      }),
      { numRuns: 1000 },
    )
  })

  it('ignore fields that a newer version appends', () => {
    fc.assert(
      fc.property(frame, fc.anything(), (value, extra) => {
        if (value.type === 'message') return
        expect(decode([...encode(value), extra])).toEqual(value)
      }),
      { numRuns: 500 },
    )
  })

  it('never throw on anything, and give a frame only for what is one', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.anything(),
          fc.array(fc.anything()),
          fc.tuple(fc.integer({ min: 0, max: 140 }), fc.anything(), fc.anything(), fc.anything(), fc.anything()),
        ),
        (value) => {
          const result = decode(value)
          if (result !== undefined) expect(decode(encode(result))).toEqual(result)
        },
      ),
      { numRuns: 5000 },
    )
  })

  it('refuse a frame of which any one field was replaced by something of another type', () => {
    const wrong = fc.constantFrom<unknown>(undefined, null, -1, 1.5, NaN, '', 'a b\n', {}, new Map(), 10n, () => 0)
    fc.assert(
      fc.property(frame, fc.nat({ max: 4 }), wrong, (value, at, bad) => {
        const fields = [...encode(value)]
        if (value.type === 'message' || fields.length < 2) return
        fields[1 + (at % (fields.length - 1))] = bad
        expect(decode(fields)).toBeUndefined()
      }),
      { numRuns: 2000 },
    )
  })

  it('refuse a member of which any one field is wrong', () => {
    fc.assert(
      fc.property(member, fc.nat({ max: 10 }), (value, at) => {
        const news = encode({ type: 'news', members: [value] })
        const fields = [...((news[1] as unknown[])[0] as unknown[])]
        fields[at] = Symbol('bad')
        expect(decode([news[0], [fields]])).toBeUndefined()
      }),
    )
  })

  it('do not nest: a carrier within a carrier is no frame', () => {
    const inner = encode({ type: 'carry', members: [], message: [40] })
    expect(decode([23, [], [40]])).toEqual({ type: 'carry', members: [], message: [40] })
    expect(decode([23, [], inner])).toBeUndefined()
    expect(decode([23, [], [16, 1]])).toBeUndefined()
  })

  it('hold each bound at its limit and refuse one more', () => {
    const of = (change: Partial<MemberInfo>): unknown => {
      const base: MemberInfo = {
        boot: 'b',
        name: 'n',
        address: 'a:1',
        roles: [],
        weight: 1,
        cordoned: false,
        startedAt: 0,
        kinds: [],
        version: '',
      }
      return decode(
        encode({
          type: 'news',
          members: [{ info: { ...base, ...change }, phase: 'up', incarnation: 0, suspect: false }],
        }),
      )
    }
    const { bootChars, nameChars, addressChars, roles, roleChars, kinds, kindChars, versionChars, weight } = frameLimits
    const chars = (length: number): string => 'x'.repeat(length)
    const list = (length: number, size: number): string[] => Array.from({ length }, () => chars(size))
    const table: [Partial<MemberInfo>, Partial<MemberInfo>][] = [
      [{ boot: chars(bootChars) }, { boot: chars(bootChars + 1) }],
      [{ name: chars(nameChars) }, { name: chars(nameChars + 1) }],
      [{ address: `${chars(addressChars - 2)}:1` }, { address: `${chars(addressChars - 1)}:1` }],
      [{ address: 'a:65535' }, { address: 'a:65536' }],
      [{ address: '[::1]:1' }, { address: 'no port here' }],
      [{ roles: list(roles, roleChars) }, { roles: list(roles + 1, 1) }],
      [{ roles: list(1, roleChars) }, { roles: list(1, roleChars + 1) }],
      [{ kinds: list(kinds, kindChars) }, { kinds: list(kinds + 1, 1) }],
      [{ kinds: list(1, kindChars) }, { kinds: list(1, kindChars + 1) }],
      [{ version: chars(versionChars) }, { version: chars(versionChars + 1) }],
      [{ weight }, { weight: weight + 1 }],
    ]
    for (const [fits, over] of table) {
      expect(of(fits)).toBeDefined()
      expect(of(over)).toBeUndefined()
    }
    expect(decode([20, Array.from({ length: frameLimits.members + 1 }, () => [])])).toBeUndefined()
  })
})

describe('bytes', () => {
  it('that are garbage throw one error and nothing else, and spoil nothing after them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decode(unpackFrame(bytes))
        } catch (error) {
          expect(error).toBeInstanceOf(Error)
        }
        expect(decode(unpackFrame(packFrame([16, 7])))).toEqual({ type: 'ping', seq: 7 })
      }),
      { numRuns: 3000 },
    )
  })

  it('that define records are refused: they would be state between frames', () => {
    // [16, record 0x40 with the one key 'a', value 1]
    const bytes = Buffer.from([0x92, 0x10, 0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 0x01])
    expect(() => unpackFrame(bytes)).toThrow()
    expect(unpackFrame(packFrame([16, { a: 1 }]))).toEqual([16, { a: 1 }])
  })
})

describe('the bytes of a frame', () => {
  it.each([
    ['a record definition, for which code would be generated', [0x92, 0x10, 0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 0x01]],
    ['a bundle of strings, which takes quadratic time', [0x91, 0xd6, 0x62, 0, 0, 0, 1]],
    ['an extension that nobody knows', [0x91, 0xd4, 0x05, 0x00]],
    ['a length that is more than there is', [0xdd, 0xff, 0xff, 0xff, 0xff]],
    ['bytes after the value', [0x90, 0x90]],
    ['nesting without end', Array.from({ length: 5000 }, () => 0x91)],
  ])('are refused when they hold %s', (_, bytes) => {
    expect(() => unpackFrame(Uint8Array.from(bytes))).toThrow()
  })

  it('are read as they were packed', () => {
    const frame = [32, 'text', 1.5, -7, null, undefined, true, [[{ a: [1] }]]]
    expect(unpackFrame(packFrame(frame))).toEqual(frame)
    expect(unpackFrame(packFrame([new Uint8Array([1, 2])]))).toEqual([Buffer.from([1, 2])])
  })
})
