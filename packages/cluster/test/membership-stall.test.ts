import { describe, expect, test } from 'vitest'
import { membershipLimits, stallMs } from '../src/core/index.js'
import { Machine, only, record } from './machine.js'
import { infoOf } from './network.js'

function among(...names: string[]): Machine {
  const machine = new Machine()
  machine.runTo(10)
  for (const name of names) machine.link(name)
  machine.runTo(300)
  return machine
}

/** The machine stands still for `ms` and is then woken. */
function stall(machine: Machine, ms: number): void {
  machine.now += ms
  machine.step({ type: 'wake' })
}

/** The first ping of the last step: probes that were due come after those of the doubt. */
function pingOf(machine: Machine, name: string): number {
  const { boot } = infoOf(name)
  const pings = only(machine.out, 'transmit').filter(({ to, frame }) => to === boot && frame.type === 'ping')
  const { frame } = pings[0] as (typeof pings)[number]
  return frame.type === 'ping' ? frame.seq : -1
}

describe('a node that stood still', () => {
  test.each([
    [{}, 1000],
    [{ suspicionMinMs: 5000 }, 4000],
    [{ suspicionMinMs: 500 }, membershipLimits.lateTimerMs],
  ])('doubts itself after the smallest suspicion less a probe period: %o is %d ms', (change, expected) => {
    expect(stallMs({ ...membershipLimits, ...change })).toBe(expected)
  })

  test('doubts itself until every peer has answered a ping sent after the gap', () => {
    const machine = among('a', 'b')
    stall(machine, 5000)
    expect(only(machine.out, 'stalled')).toHaveLength(1)
    const [a, b] = [pingOf(machine, 'a'), pingOf(machine, 'b')]
    machine.step({ type: 'frame', from: infoOf('a').boot, frame: { type: 'ack', seq: a } })
    expect(only(machine.out, 'trusted')).toHaveLength(0)
    // An answer to an older ping says nothing about the time since.
    machine.step({ type: 'frame', from: infoOf('b').boot, frame: { type: 'ack', seq: b - 100 } })
    expect(only(machine.out, 'trusted')).toHaveLength(0)
    machine.step({ type: 'frame', from: infoOf('b').boot, frame: { type: 'ack', seq: b } })
    expect(only(machine.out, 'trusted')).toHaveLength(1)
  })

  test('learns of the gap before it reads a frame, whatever comes first', () => {
    const machine = among('a')
    machine.now += 5000
    machine.step({ type: 'frame', from: infoOf('a').boot, frame: { type: 'message', message: 'call' } })
    const kinds = machine.out.map((output) => output.type)
    expect(kinds.indexOf('stalled')).toBeLessThan(kinds.indexOf('message'))
    expect(kinds).toContain('stalled')
  })

  test('does not wait for a peer that is gone', () => {
    const machine = among('a', 'b')
    stall(machine, 5000)
    machine.step({ type: 'frame', from: infoOf('a').boot, frame: { type: 'ack', seq: pingOf(machine, 'a') } })
    const news = [record('b', { phase: 'down' })]
    machine.step({ type: 'frame', from: infoOf('a').boot, frame: { type: 'news', members: news } })
    expect(only(machine.out, 'trusted')).toHaveLength(1)
  })

  test('does not wait for ever for one that has no link, once another has answered', () => {
    const machine = among('a', 'b')
    machine.step({ type: 'linkDown', boot: infoOf('b').boot, byPeer: false })
    stall(machine, 5000)
    machine.step({ type: 'frame', from: infoOf('a').boot, frame: { type: 'ack', seq: pingOf(machine, 'a') } })
    expect(only(machine.out, 'trusted')).toHaveLength(0)
    let trusted = 0
    for (let ms = 0; ms < 3000 && trusted === 0; ms += 100) {
      machine.now += 100
      machine.step({ type: 'wake' })
      trusted = only(machine.out, 'trusted').length
    }
    expect(trusted).toBe(1)
  })

  test('notices one gap for all of its backlog: ten thousand frames cause one round of pings, not one each', () => {
    const machine = among('a', 'b', 'c')
    machine.now += 5000
    const pings: string[] = []
    let stalls = 0
    for (let i = 0; i < 10_000; i++) {
      machine.step({ type: 'frame', from: infoOf('a').boot, frame: { type: 'message', message: i } })
      stalls += only(machine.out, 'stalled').length
      for (const { to, frame } of only(machine.out, 'transmit')) if (frame.type === 'ping') pings.push(to)
    }
    expect(stalls).toBe(1)
    // One round, and the one probe that was due.
    expect(pings.length).toBeLessThanOrEqual(4)
    expect(new Set(pings).size).toBe(3)
  })

  test('doubts itself again when it stands still again while it does, and asks again', () => {
    const machine = among('a')
    stall(machine, 5000)
    const first = pingOf(machine, 'a')
    stall(machine, 5000)
    expect(only(machine.out, 'stalled')).toEqual([])
    const second = pingOf(machine, 'a')
    machine.step({ type: 'frame', from: infoOf('a').boot, frame: { type: 'ack', seq: first } })
    expect(only(machine.out, 'trusted')).toEqual([])
    machine.step({ type: 'frame', from: infoOf('a').boot, frame: { type: 'ack', seq: second } })
    expect(only(machine.out, 'trusted')).toHaveLength(1)
  })

  test('notices a gap however ill it is, for it is woken each probe period', () => {
    const machine = among('a')
    machine.state.health = 7
    machine.runTo(machine.now + 8000)
    stall(machine, 2600)
    expect(only(machine.out, 'stalled')).toHaveLength(1)
  })

  test('asks a peer again whose link broke in the meantime', () => {
    const machine = among('a')
    stall(machine, 5000)
    const before = pingOf(machine, 'a')
    machine.step({ type: 'linkDown', boot: infoOf('a').boot, byPeer: false })
    machine.link('a')
    const after = pingOf(machine, 'a')
    expect(after).toBeGreaterThan(before)
    machine.step({ type: 'frame', from: infoOf('a').boot, frame: { type: 'ack', seq: after } })
    expect(only(machine.out, 'trusted')).toHaveLength(1)
  })

  test('that was declared down meanwhile is told so, and never trusts itself again', () => {
    const machine = among('a')
    stall(machine, 5000)
    const seq = pingOf(machine, 'a')
    machine.step({
      type: 'frame',
      from: infoOf('a').boot,
      frame: { type: 'news', members: [record('me', { phase: 'down' })] },
    })
    expect(only(machine.out, 'condemned')).toHaveLength(1)
    machine.step({ type: 'frame', from: infoOf('a').boot, frame: { type: 'ack', seq } })
    expect(only(machine.out, 'trusted')).toHaveLength(0)
  })

  test('does not doubt itself after a short pause, nor when it knows nobody', () => {
    const machine = among('a')
    stall(machine, 900)
    expect(only(machine.out, 'stalled')).toHaveLength(0)
    const lone = among()
    stall(lone, 60_000)
    expect(only(lone.out, 'stalled')).toHaveLength(0)
  })
})
