/** Links through a neighbour: what arrives and in which order, how they end, and what hostile frames can do. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { below, nextFloat } from '../src/core/random.js'
import type { Link } from '../src/link.js'
import { relayWindowBytes } from '../src/relays.js'
import { linkKinds, packFrame, unpackFrame } from '../src/wire.js'
import { type Peer, relayedPair, Wires } from './wires.js'

const relay = linkKinds.relay

function expectInOrder(got: readonly unknown[], sent: number): void {
  expect(got).toEqual(Array.from({ length: sent }, (_, i) => i))
}

/** Both talk, from each link on and until then, in numbers that begin anew with each link that does not continue one. */
function talk(wires: Wires, a: Peer, b: Peer, until: number): void {
  for (const [one, other] of [
    [a, b.name],
    [b, a.name],
  ] as const) {
    let number = 0
    const say = (): void => {
      if (one.send(other, packFrame([70, number]))) number++
    }
    one.onUp = (boot) => {
      if (boot !== other) return
      if (one.ups.at(-1)?.continues === false) number = 0
      say()
    }
    const sayAgain = (): void => {
      if (wires.now > until) return
      say()
      wires.later(nextFloat(wires.random), sayAgain)
    }
    sayAgain()
  }
}

/** From one break to the next the numbers that came are 0, 1, 2 ... without a gap. */
function expectNoGaps(a: Peer, b: Peer, where: string): void {
  for (const [one, other] of [
    [a, b],
    [b, a],
  ] as const) {
    let expected = 0
    for (const number of one.from(other.name)) {
      if (number === 0) expected = 0
      expect(number, `${where}, at ${one.name}`).toBe(expected++)
    }
  }
}

describe('two nodes that cannot hear each other', () => {
  it('are linked through a neighbour of both, which hears nothing of what they say', () => {
    const [wires, a, b, c] = relayedPair(1)
    expect(a.through).toEqual([{ boot: 'b', via: 'c', linked: true }])
    expect([a.links.get('b')?.via, b.links.get('a')?.via]).toEqual(['c', 'c'])
    // The link that was silent at one end is replaced at the other.
    expect(b.ups.map(({ boot, via, continues }) => [boot, via, continues])).toContainEqual(['a', 'c', false])
    for (let i = 0; i < 100; i++) {
      a.send('b', packFrame([70, i]))
      b.send('a', packFrame([71, i]))
    }
    wires.run(100)
    expectInOrder(b.from('a'), 100)
    expectInOrder(a.from('b'), 100)
    expect(c.frames).toEqual([])
  })

  it('send each other frames of any size, in order', () => {
    const [wires, a, b] = relayedPair(2)
    const sizes = [10, 300_000, 20, 3_000_000, 30, 70_000, 65_536, 65_537]
    for (const [i, size] of sizes.entries()) expect(a.send('b', packFrame([70, i, Buffer.alloc(size, i)]))).toBe(true)
    wires.run(2000)
    expectInOrder(b.from('a'), sizes.length)
    expect(b.frames.map(({ frame }) => (frame[2] as Buffer).length)).toEqual(sizes)
    expect(b.frames.every(({ frame }) => (frame[2] as Buffer).every((byte) => byte === frame[1]))).toBe(true)
  })

  it('have a bound on what is under way: more waits at its maker, which turns calls away above its high mark', () => {
    const [wires, a, b, c] = relayedPair(3)
    wires.stuck.add('b')
    const frame = packFrame([70, 0, Buffer.alloc(10_000)])
    let taken = 0
    while (a.send('b', frame)) taken++
    wires.run(500)
    const link = a.links.get('b')
    expect(link?.overloaded).toBe(true)
    expect(c.links.get('b')?.waitingBytes).toBeLessThanOrEqual(relayWindowBytes + 2 * frame.length)
    link?.noteRefused()
    b.unstick()
    wires.run(2000)
    expect(b.frames.length).toBe(taken)
    expect(a.drained).toBe(1)
    expect(link?.overloaded).toBe(false)
  })

  it('are both told when the link from the relayer is full, and nothing arrives after what was lost', () => {
    const [wires, a, b, c] = relayedPair(4)
    wires.stuck.add('b')
    while (c.send('b', packFrame([70, -1, Buffer.alloc(50_000)])));
    expect(c.links.get('b')?.overloaded).toBe(true)
    for (let i = 0; i < 10; i++) a.send('b', packFrame([70, i]))
    wires.run(100)
    expect(a.downs.at(-1)).toEqual({ boot: 'b', reason: 'the link from the relayer is full' })
    b.unstick()
    wires.run(500)
    expect(b.downs.map(({ boot }) => boot)).toContain('a')
    expect(b.from('a')).toEqual([])
  })

  it.each(['a', 'b'] as const)('are both told when the relayer loses its link to %s', (end) => {
    const [wires, a, b, c] = relayedPair(5)
    c.links.close(end, 'the test says so')
    wires.run(200)
    expect(a.downs.map(({ boot }) => boot)).toContain('b')
    expect(b.downs.map(({ boot }) => boot)).toContain('a')
    expect([a.links.get('b'), b.links.get('a')]).toEqual([undefined, undefined])
  })

  it('hear at once that a neighbour has no link to the other, or none of its own', () => {
    const wires = new Wires(6)
    const [a, , c] = ['a', 'b', 'c'].map((name) => wires.add(name)) as [Peer, Peer, Peer]
    a.dial('c')
    wires.run(100)
    a.links.dialThrough('b', 'c')
    wires.run(30)
    expect(a.through).toEqual([{ boot: 'b', via: 'c', linked: false }])
    // A link through another one is no link to relay on.
    const [others, d, , f] = relayedPair(7)
    const g = others.add('g')
    g.dial('a')
    others.run(100)
    g.links.dialThrough('b', 'a')
    others.run(100)
    expect(g.through).toEqual([{ boot: 'b', via: 'a', linked: false }])
    expect(d.links.get('b')?.via).toBe('c')
    expect([c, f].map(({ dropped }) => dropped)).toEqual([[], []])
  })

  it('end with one link when both dial through neighbours at the same time: 100 times', () => {
    for (let seed = 1; seed <= 100; seed++) {
      const wires = new Wires(seed)
      const [a, b] = ['a', 'b', 'c', 'd'].map((name) => wires.add(name)) as [Peer, Peer]
      for (const via of ['c', 'd']) for (const one of [a, b]) one.dial(via)
      wires.run(100)
      wires.cut('a', 'b')
      a.links.dialThrough('b', 'c')
      wires.run(nextFloat(wires.random) * 4)
      b.links.dialThrough('a', seed % 2 === 0 ? 'c' : 'd')
      wires.run(200)
      for (let i = 0; i < 5; i++) {
        a.send('b', packFrame([70, i]))
        b.send('a', packFrame([70, i]))
      }
      wires.run(200)
      expect(a.links.get('b')?.via).toBe(b.links.get('a')?.via)
      expectInOrder(b.from('a'), 5)
      expectInOrder(a.from('b'), 5)
    }
  })
})

describe('the direct link that is back', () => {
  it('takes over without a break: every frame arrives once and in order, 40 times', () => {
    for (let seed = 1; seed <= 40; seed++) {
      const [wires, a, b] = relayedPair(seed)
      const downs = [a.downs.length, b.downs.length]
      const sent = { a: 0, b: 0 }
      const say = (): void => {
        if (wires.now > 400) return
        const from = nextFloat(wires.random) < 0.5 ? 'a' : 'b'
        const size = nextFloat(wires.random) < 0.1 ? below(wires.random, 200_000) : 10
        const [one, to] = from === 'a' ? [a, 'b'] : [b, 'a']
        expect(one.send(to, packFrame([70, sent[from]++, Buffer.alloc(size)]))).toBe(true)
        wires.later(nextFloat(wires.random) * 2, say)
      }
      say()
      wires.run(100)
      wires.cuts.clear()
      for (const [one, other] of [
        [a, 'b'],
        [b, 'a'],
      ] as const) {
        if (nextFloat(wires.random) < 0.7 || one === a) wires.later(nextFloat(wires.random) * 10, () => one.dial(other))
      }
      wires.run(800)
      expect([a.links.get('b')?.via, b.links.get('a')?.via]).toEqual([undefined, undefined])
      expect([a, b].map((one) => one.ups.at(-1)?.continues)).toEqual([true, true])
      expectInOrder(b.from('a'), sent.a)
      expectInOrder(a.from('b'), sent.b)
      expect([a.downs.length, b.downs.length]).toEqual(downs)
    }
  })

  it('breaks at both ends where a link on the way ends meanwhile, and nothing overtakes what was lost: 150 times', () => {
    let broken = 0
    for (let seed = 1; seed <= 150; seed++) {
      const [wires, a, b, c] = relayedPair(seed)
      talk(wires, a, b, 500)
      wires.run(50)
      wires.cuts.clear()
      a.dial('b')
      const ends: (readonly [Peer, string])[] = [
        [c, 'a'],
        [c, 'b'],
        [a, 'b'],
        [b, 'a'],
        [b, 'c'],
      ]
      const [closer, closed] = ends[seed % ends.length] as readonly [Peer, string]
      wires.later(nextFloat(wires.random) * 20, () => closer.links.close(closed, 'the test says so'))
      wires.run(1000)
      if (a.downs.length + b.downs.length > 1) broken++
      expectNoGaps(a, b, `seed ${seed}`)
    }
    expect(broken).toBeGreaterThan(60)
  })
})

describe('a relayed and a direct dial at the same time', () => {
  it('end with the direct link, or with none at both ends, and nothing overtakes anything: 600 times', () => {
    let direct = 0
    for (let seed = 1; seed <= 600; seed++) {
      const wires = new Wires(seed)
      const [a, b] = ['a', 'b', 'c'].map((name) => wires.add(name)) as [Peer, Peer]
      for (const one of [a, b]) one.dial('c')
      wires.run(100)
      talk(wires, a, b, 140)
      const later = (dial: () => void): unknown => wires.later(nextFloat(wires.random) * 6, dial)
      later(() => (seed % 2 === 0 ? a : b).dial(seed % 2 === 0 ? 'b' : 'a'))
      later(() => a.links.dialThrough('b', 'c'))
      if (seed % 3 === 0) later(() => b.links.dialThrough('a', 'c'))
      wires.run(300)
      const ends = [a.links.get('b'), b.links.get('a')]
      expect(ends.map((link) => link && [link.via, link.waitingBytes])).toEqual(
        ends[0] ? Array(2).fill([undefined, 0]) : [undefined, undefined],
      )
      if (ends[0]) direct++
      expectNoGaps(a, b, `seed ${seed}`)
    }
    expect(direct).toBeGreaterThan(540)
  })
})

describe('relay frames from a hostile peer', () => {
  const boots = ['a', 'b', 'c', 'z', '', 'x'.repeat(65), 7, null]
  const field = fc.oneof(
    fc.constantFrom(...boots),
    fc.nat(5),
    fc.constantFrom(-1, 2 ** 53, Number.NaN, true),
    fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
    fc.string(),
  )
  const shaped = fc
    .tuple(fc.nat(4), fc.constantFrom(...boots), fc.constantFrom(...boots), fc.nat(3), field, field)
    .map((fields) => [relay, ...fields])

  it('never throw, and break no link that is not theirs', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            shaped,
            fc.array(field, { maxLength: 8 }).map((f) => [relay, ...f]),
          ),
        ),
        (frames) => {
          const [wires, a, b, c] = relayedPair(8)
          const z = wires.add('z')
          z.dial('a')
          z.dial('c')
          wires.run(100)
          for (const frame of frames) {
            z.links.get('a')?.send(packFrame(frame), 'call')
            z.links.get('c')?.send(packFrame(frame), 'call')
          }
          wires.run(100)
          a.send('b', packFrame([70, 0]))
          b.send('a', packFrame([70, 0]))
          wires.run(100)
          expect([a.from('b'), b.from('a')]).toEqual([[0], [0]])
          expect(c.links.get('z')).toBeDefined()
        },
      ),
      { numRuns: 200 },
    )
  })

  it('that name another as their maker are passed on by nobody', () => {
    const [wires, a, b, c] = relayedPair(9)
    const z = wires.add('z')
    z.dial('c')
    wires.run(100)
    z.links.get('c')?.send(packFrame([relay, 3, 'b', 'a', 0, 'over']), 'call')
    wires.run(100)
    expect(c.dropped).toEqual(['relayed twice'])
    expect([a.links.get('b')?.via, b.links.get('a')?.via]).toEqual(['c', 'c'])
  })

  it('that name another node than who then proves itself lead to no link', () => {
    const wires = new Wires(10)
    const [a, b, c] = ['a', 'b', 'c'].map((name) => wires.add(name)) as [Peer, Peer, Peer]
    for (const one of [a, b]) one.dial('c')
    wires.run(100)
    // A relayer that lies: to `a` it says that all that `b` sends comes from a ghost.
    rename(c, 'a', 3, 'b', 'ghost')
    rename(a, 'c', 2, 'ghost', 'b')
    b.links.dialThrough('a', 'c')
    wires.run(100)
    expect(b.through).toEqual([{ boot: 'a', via: 'c', linked: false }])
    expect(a.ups.map(({ boot }) => boot)).toEqual(['c'])
    expect(b.ups.map(({ boot }) => boot)).toEqual(['c'])
    expect(a.dropped).toEqual(['a bad handshake'])
  })

  it.each([
    ['comes twice', [1, 1]],
    ['is missing', [2]],
  ])('of which one %s end the link at both ends', (_what, numbers) => {
    const [wires, a, b, c] = relayedPair(11)
    const forged = c.links.get('b')
    // What the relayer itself makes up, in the name of `a` and with the number of its circuit.
    const circuit = circuitOf(wires, a, c)
    for (const number of numbers) {
      forged?.send(packFrame([relay, 1, 'b', 'a', circuit.id, circuit.next + number, Buffer.from([0x91, 70])]), 'bulk')
    }
    wires.run(100)
    expect(b.downs.at(-1)).toEqual({ boot: 'a', reason: 'a frame was lost on the way' })
    expect(a.downs.at(-1)?.boot).toBe('b')
  })
})

/** The number of the circuit from `a` to `b`, read off the wire, and how many frames have gone. */
function circuitOf(wires: Wires, a: Peer, c: Peer): { id: number; next: number } {
  const link = a.links.get('c')
  let seen: { id: number; next: number } | undefined
  const send = link?.send.bind(link)
  if (link && send) {
    link.send = (bytes, lane) => {
      const frame = unpackFrame(bytes) as unknown[]
      if (frame[0] === relay && frame[1] === 1) seen = { id: frame[4] as number, next: frame[5] as number }
      return send(bytes, lane)
    }
  }
  a.send('b', packFrame([70, 0]))
  wires.run(100)
  expect(c.dropped).toEqual([])
  return seen as { id: number; next: number }
}

/** From now on `at` writes `as` in this field of relay frames to `to`, where `from` would stand. */
function rename(at: Peer, to: string, field: number, from: string, as: string): void {
  const link = at.links.get(to) as Link
  const send = link.send.bind(link)
  link.send = (bytes, lane) => {
    const frame = unpackFrame(bytes) as unknown[]
    if (frame[0] === relay && frame[field] === from) frame[field] = as
    return send(packFrame(frame), lane)
  }
}
