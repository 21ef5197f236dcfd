import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { expiryOf, gapMs } from '../src/discovery/gossip.js'
import { type Beat, maxPacketBytes, openPacket, sealPacket } from '../src/discovery/gossip-packet.js'
import { type Ear, hear, maxPeers, namedBy, nextExpiry, openEar } from '../src/discovery/gossip-peers.js'
import { type GossipOptions, gossip } from '../src/index.js'

const key = createHash('sha256').update('ours').digest()
const oldKey = createHash('sha256').update('ours of before').digest()
const foreign = createHash('sha256').update('theirs').digest()

/** A moment of both clocks; the zero of the second means nothing. */
const at = (ms: number): { wall: number; now: number } => ({ wall: 1_800_000_000_000 + ms, now: 5000 + ms })

function beat(fields: Partial<Beat> = {}): Beat {
  return { cluster: 'c', name: 'ä', boot: 'b1', address: '10.0.0.8:4370', sentAt: at(0).wall, sequence: 1, ...fields }
}

function ear(keys: readonly Uint8Array[] = [key]): Ear {
  return openEar({ cluster: 'c', boot: 'self', keys, windowMs: 30_000, expireMs: 12_000 })
}

/** The plain form, whose fields a test can put anything into. */
function plainOf(body: Buffer, head = Buffer.from('skpg\x01\x00')): Buffer {
  return Buffer.concat([head, body])
}

function texts(...all: string[]): Buffer {
  return Buffer.concat(all.flatMap((text) => [Buffer.of(0, Buffer.byteLength(text)), Buffer.from(text)]))
}

describe('a packet of gossip', () => {
  it('comes out as it went in, sealed or plain', () => {
    const whole = beat({ address: '[fd00::8]:4370', sequence: 2 ** 40 })
    expect(openPacket(sealPacket(whole, key), [key])).toEqual({ type: 'beat', beat: whole })
    expect(openPacket(sealPacket(whole, undefined), [])).toEqual({ type: 'beat', beat: whole })
  })

  it('shows nothing of what it says where it is sealed, and never looks the same twice', () => {
    const packet = sealPacket(beat(), key)
    for (const text of ['10.0.0.8', 'b1', 'ä']) expect(packet.includes(text)).toBe(false)
    expect(sealPacket(beat(), key).equals(packet)).toBe(false)
  })

  it('is opened by each of the keys while secrets are rotated, and by no other', () => {
    expect(openPacket(sealPacket(beat(), oldKey), [key, oldKey]).type).toBe('beat')
    expect(openPacket(sealPacket(beat(), key), [oldKey])).toEqual({ type: 'dropped', reason: 'forged' })
  })

  it('is not taken plain where there is a secret, nor sealed where there is none', () => {
    expect(openPacket(sealPacket(beat(), undefined), [key])).toEqual({ type: 'dropped', reason: 'unsealed' })
    expect(openPacket(sealPacket(beat(), key), [])).toEqual({ type: 'dropped', reason: 'forged' })
  })

  it('is forged when any bit of it is another, its head included', () => {
    const packet = sealPacket(beat(), key)
    for (let bit = 0; bit < packet.length * 8; bit++) {
      const bent = Buffer.from(packet)
      bent[bit >> 3] = (bent[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(openPacket(bent, [key]).type).toBe('dropped')
    }
  })

  it('has a limit, which the sender is told of in words', () => {
    const long = beat({ cluster: 'ü'.repeat(255), name: 'ü'.repeat(255) })
    expect(() => sealPacket(long, key)).toThrow(/takes 1093 bytes, more than 1024: shorten the names/)
    expect(openPacket(Buffer.alloc(maxPacketBytes + 1), [key])).toEqual({ type: 'dropped', reason: 'oversized' })
    const name = 'n'.repeat(255)
    const most = sealPacket(
      beat({ cluster: name, name, boot: 'b'.repeat(64), address: `${'h'.repeat(253)}:4370` }),
      key,
    )
    expect(openPacket(most, [key]).type).toBe('beat')
  })

  const numbers = Buffer.alloc(16)
  const fields = texts('c', 'n', 'b', 'h:1')
  const malformed: [string, Buffer][] = [
    ['nothing', Buffer.alloc(0)],
    ['other magic', plainOf(Buffer.concat([numbers, fields]), Buffer.from('skph\x01\x00'))],
    ['an unknown form', plainOf(Buffer.concat([numbers, fields]), Buffer.from('skpg\x01\x02'))],
    ['a head alone', plainOf(Buffer.alloc(0))],
    ['numbers alone', plainOf(numbers)],
    ['a text too few', plainOf(Buffer.concat([numbers, texts('c', 'n', 'b')]))],
    ['a byte too many', plainOf(Buffer.concat([numbers, fields, Buffer.of(0)]))],
    ['a length beyond the end', plainOf(Buffer.concat([numbers, Buffer.of(255, 255), fields]))],
    ['a number that is not safe', plainOf(Buffer.concat([Buffer.alloc(16, 255), fields]))],
    ['text that is not UTF-8', plainOf(Buffer.concat([numbers, Buffer.of(0, 1, 0xff), texts('n', 'b', 'h:1')]))],
    ['an empty cluster', plainOf(Buffer.concat([numbers, texts('', 'n', 'b', 'h:1')]))],
    ['a line feed in a name', plainOf(Buffer.concat([numbers, texts('c', 'n\n', 'b', 'h:1')]))],
    ['a boot that is none', plainOf(Buffer.concat([numbers, texts('c', 'n', '../b', 'h:1')]))],
    ['an address without a port', plainOf(Buffer.concat([numbers, texts('c', 'n', 'b', 'h')]))],
    ['an address with port 0', plainOf(Buffer.concat([numbers, texts('c', 'n', 'b', 'h:0')]))],
    ['an address with spaces', plainOf(Buffer.concat([numbers, texts('c', 'n', 'b', 'a b:1')]))],
  ]
  it.each(malformed)('is dropped with %s', (_what, packet) => {
    expect(openPacket(packet, [])).toEqual({ type: 'dropped', reason: 'malformed' })
  })

  it('of another version is dropped as that', () => {
    const later = plainOf(Buffer.concat([numbers, fields]), Buffer.from('skpg\x02\x00'))
    expect(openPacket(later, [])).toEqual({ type: 'dropped', reason: 'version' })
  })
})

describe('who was heard', () => {
  it('is named until five beats were missed, and met again by the next one', () => {
    const one = ear()
    expect(hear(one, sealPacket(beat(), key), at(0))).toEqual({ type: 'met' })
    expect(hear(one, sealPacket(beat({ sequence: 2 }), key), at(2000))).toEqual({ type: 'known' })
    expect(namedBy(one, at(13_999).now)).toEqual(['10.0.0.8:4370'])
    expect(nextExpiry(one, at(3000).now)).toBe(at(14_000).now)
    expect(namedBy(one, at(14_000).now)).toEqual([])
    expect(nextExpiry(one, at(14_000).now)).toBe(Infinity)
    expect(hear(one, sealPacket(beat({ sequence: 3 }), key), at(15_000))).toEqual({ type: 'met' })
  })

  it('is met anew at another address, and named once where two boots have one', () => {
    const one = ear()
    hear(one, sealPacket(beat(), key), at(0))
    expect(hear(one, sealPacket(beat({ sequence: 2, address: 'h:1' }), key), at(1))).toEqual({ type: 'met' })
    expect(hear(one, sealPacket(beat({ boot: 'b2', address: 'h:1' }), key), at(2))).toEqual({ type: 'met' })
    expect(namedBy(one, at(3).now)).toEqual(['h:1'])
  })

  it('is nobody of another cluster, with another clock, or this node itself', () => {
    const one = ear()
    const drops: [Partial<Beat>, string][] = [
      [{ cluster: 'd' }, 'cluster'],
      [{ boot: 'self' }, 'own'],
      [{ sentAt: at(-30_001).wall }, 'old'],
      [{ sentAt: at(30_001).wall }, 'old'],
    ]
    for (const [fields, reason] of drops) {
      expect(hear(one, sealPacket(beat(fields), key), at(0))).toEqual({ type: 'dropped', reason })
    }
    expect(namedBy(one, at(0).now)).toEqual([])
    for (const [i, ms] of [-30_000, 30_000].entries()) {
      expect(hear(one, sealPacket(beat({ boot: `b${i}`, sentAt: at(ms).wall }), key), at(0))).toEqual({ type: 'met' })
    }
  })

  it('counts once: a beat that is sent again is dropped, also after the node has expired', () => {
    const one = ear()
    const packets = [1, 2, 3].map((sequence) => sealPacket(beat({ sequence }), key))
    for (const packet of packets) expect(hear(one, packet, at(0)).type).not.toBe('dropped')
    for (const ms of [0, 11_000, 13_000, 29_999]) {
      for (const packet of packets) expect(hear(one, packet, at(ms))).toEqual({ type: 'dropped', reason: 'replayed' })
    }
    expect(namedBy(one, at(13_000).now)).toEqual([])
    expect(hear(one, packets[0] ?? Buffer.alloc(0), at(30_001))).toEqual({ type: 'dropped', reason: 'old' })
  })

  it('is remembered up to a bound, and only those are forgotten whose beats are all too old', () => {
    const one = ear()
    const packetOf = (i: number, ms: number): Buffer =>
      sealPacket(beat({ boot: `b${i}`, address: `h:${1 + i}`, sentAt: at(ms).wall }), key)
    for (let i = 0; i < maxPeers; i++) expect(hear(one, packetOf(i, i), at(i))).toEqual({ type: 'met' })
    // The first of them is expired, but a beat of it could still be sent again.
    expect(hear(one, packetOf(maxPeers, 30_000), at(30_000))).toEqual({ type: 'dropped', reason: 'full' })
    expect(hear(one, packetOf(maxPeers, 30_001), at(30_001))).toEqual({ type: 'met' })
    expect(hear(one, packetOf(maxPeers + 1, 30_001), at(30_001))).toEqual({ type: 'dropped', reason: 'full' })
    expect(one.heard.size).toBe(maxPeers)
    expect(hear(one, packetOf(0, 0), at(30_001))).toEqual({ type: 'dropped', reason: 'old' })
  })
})

/** Mulberry32: the same datagrams in every run. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

/** A datagram as an attacker without the secret can make one, of those that were recorded and from nothing. */
function hostile(recorded: readonly Buffer[], random: (below: number) => number): Buffer {
  const one = Buffer.from(recorded[random(recorded.length)] ?? Buffer.alloc(0))
  const other = recorded[random(recorded.length)] ?? one
  const some = (length: number): Buffer => Buffer.from(Array.from({ length }, () => random(256)))
  switch (random(7)) {
    case 0:
      return some(random(200))
    case 1:
      return Buffer.concat([one.subarray(0, 6), some(random(200))])
    case 2:
      return one.subarray(0, random(one.length))
    case 3:
      return Buffer.concat([one, some(1 + random(8))])
    case 4: // The head of one on the body of another.
      return Buffer.concat([one.subarray(0, 1 + random(one.length - 1)), other.subarray(1 + random(other.length - 1))])
    case 5:
      return one
    default:
      for (let i = 0; i <= random(4); i++) {
        const bit = random(one.length * 8)
        one[bit >> 3] = (one[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      }
      return one
  }
}

describe('hostile datagrams', () => {
  const datagrams = 150_000

  it('name nobody and throw nothing where there is a secret: random, bent, cut, mixed, replayed, of another key', () => {
    const one = ear([key, oldKey])
    const random = randomFrom(20_260)
    const ours = Array.from({ length: 20 }, (_, i) => beat({ boot: `b${i}`, address: `10.0.0.${i}:4370` }))
    const recorded = ours.map((each) => sealPacket(each, key))
    for (const packet of recorded) hear(one, packet, at(0))
    const named = namedBy(one, at(0).now)
    const theirs = ours.flatMap((each) => [sealPacket(each, foreign), sealPacket(each, undefined)])
    const reasons = new Map<string, number>()
    for (let i = 0; i < datagrams; i++) {
      const heard = hear(one, hostile([...recorded, ...theirs], random), at(i % 20_000))
      const outcome = heard.type === 'dropped' ? heard.reason : heard.type
      reasons.set(outcome, (reasons.get(outcome) ?? 0) + 1)
    }
    expect([...reasons.keys()].sort()).toEqual(['forged', 'malformed', 'replayed', 'unsealed', 'version'])
    expect(namedBy(one, at(0).now)).toEqual(named)
    expect(namedBy(one, at(12_000).now)).toEqual([])
    expect(one.heard.size).toBe(ours.length)
  })

  it('throw nothing where there is no secret, and what is taken is written in exactly one way', () => {
    const one = ear([])
    const random = randomFrom(20_261)
    const recorded = Array.from({ length: 20 }, (_, i) => sealPacket(beat({ boot: `b${i}` }), undefined))
    let taken = 0
    for (let i = 0; i < datagrams; i++) {
      const packet = hostile(recorded, random)
      hear(one, packet, at(0))
      const opened = openPacket(packet, [])
      if (opened.type === 'dropped') continue
      taken++
      if (!sealPacket(opened.beat, undefined).equals(packet)) throw new Error(`taken: ${packet.toString('hex')}`)
    }
    expect(taken).toBeGreaterThan(1000)
    expect(one.heard.size).toBeLessThanOrEqual(maxPeers)
  })
})

describe('the beat', () => {
  it.each([
    [0, 2000, 0, 200],
    [2999, 2000, 1, 300],
    [3000, 2000, 0, 1600],
    [3000, 2000, 1, 2400],
    [0, 100, 0.5, 100],
  ])(
    'of a node that began %i ms ago, every %i ms, by the chance %d: the next after %d ms',
    (age, interval, chance, gap) => {
      expect(gapMs(age, interval, chance)).toBeCloseTo(gap)
    },
  )

  it('may fail four times in a row without that its node is missed, be they late as can be', () => {
    expect(expiryOf(2000)).toBeCloseTo(5 * gapMs(3000, 2000, 1))
  })
})

describe('options of gossip', () => {
  it.each<[object | null, RegExp]>([
    [null, /takes an object/],
    [{ prot: 1 }, /takes no 'prot', but port, group/],
    [{ port: 0 }, /port must be a whole number from 1 to 65535, not '0'/],
    [{ port: '45' }, /port must/],
    [{ group: '10.0.0.1' }, /group must be a multicast address/],
    [{ group: 'all' }, /group must be a multicast address/],
    [{ group: 'fd00::1' }, /group must be a multicast address/],
    [{ group: 'ff02::1%eth0' }, /without %/],
    [{ broadcast: 'ff02::1' }, /IPv6 has none/],
    [{ broadcast: '239.1.1.1' }, /broadcast must/],
    [{ broadcast: '10.0.0.255', group: '239.1.1.1' }, /group is for multicast/],
    [{ broadcast: '10.0.0.255', interface: 'lo' }, /interface is for multicast/],
    [{ interface: '' }, /interface must be its name/],
    [{ interface: '::1' }, /not of the same version/],
    [{ group: 'ff02::1', interface: '127.0.0.1' }, /not of the same version/],
    [{ ttl: 256 }, /ttl must/],
    [{ intervalMs: 1 }, /intervalMs must/],
    [{ windowMs: Number.NaN }, /windowMs must/],
    [{ insecure: 'yes' }, /insecure must/],
  ])('%j are refused at the call', (options, text) => {
    expect(() => gossip(options as GossipOptions)).toThrow(TypeError)
    expect(() => gossip(options as GossipOptions)).toThrow(text)
  })
})
