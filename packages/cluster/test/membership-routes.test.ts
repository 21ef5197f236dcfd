/** Links that are open and carry nothing, and members that are linked through others. */
import { describe, expect, it } from 'vitest'
import { type ClusterOutput, membershipLimits } from '../src/core/index.js'
import { Machine, only, order, record, sent } from './machine.js'
import { infoOf, startTogether, type VirtualNetwork } from './network.js'

const B = (name: string): string => `boot-${name}`

/** Linked with these, all of which can carry relayed links; settled, with nothing probed for a while. */
function linkedWith(...names: string[]): Machine {
  const m = new Machine()
  m.step({ type: 'wake' })
  for (const name of names) m.link(name, { carries: true })
  m.now = 100
  m.step({ type: 'wake' })
  // Its own round would ask besides.
  m.state.probeAt = Infinity
  m.state.probes.clear()
  m.state.stale = true
  m.step({ type: 'wake' })
  return m
}

function use(m: Machine, name: string): ClusterOutput[] {
  return m.step({ type: 'used', boot: B(name) })
}

function pingOf(out: readonly ClusterOutput[]): number {
  const [ping] = sent(out, 'ping')
  if (ping === undefined) throw new Error('no ping')
  return ping.frame.seq
}

function vouch(m: Machine, asked: { to: string; frame: { seq: number } } | undefined, ok = true): ClusterOutput[] {
  if (asked === undefined) throw new Error('nobody was asked')
  return m.step({ type: 'frame', from: asked.to, frame: { type: 'pingReqAck', seq: asked.frame.seq, ok } })
}

describe('a link that is used', () => {
  it('is asked for an ack, one at a time, and is left alone when it gives it', () => {
    const m = linkedWith('a', 'b', 'c')
    const seq = pingOf(use(m, 'a'))
    m.now += 100
    expect(use(m, 'a')).toEqual([])
    m.frame('a', { type: 'ack', seq })
    expect(order(m.runTo(m.now + 5000))).toEqual([])
    expect(pingOf(use(m, 'a'))).toBeGreaterThan(seq)
  })

  it('that gives none while others hear of its far end is given up within 500 ms, and made anew through one of them', () => {
    const m = linkedWith('a', 'b', 'c', 'd')
    use(m, 'a')
    const asked = sent(m.runTo(m.now + 250), 'pingReq')
    expect(asked).toHaveLength(3)
    expect(asked.every(({ to, frame }) => to !== B('a') && frame.subject === B('a'))).toBe(true)
    vouch(m, asked[1])
    const out = m.runTo(m.now + 250)
    expect(only(out, 'close')).toEqual([{ type: 'close', boot: B('a'), reason: 'silent' }])
    expect(only(out, 'unlinked')).toEqual([{ type: 'unlinked', boot: B('a') }])
    expect(only(out, 'dialThrough')).toEqual([{ type: 'dialThrough', boot: B('a'), via: asked[1]?.to }])
    expect(only(m.runTo(m.now + 200), 'dial')).toHaveLength(1)
    expect(m.phase('a')).toBe('up')
  })

  it('whose ack comes before the verdict stays', () => {
    const m = linkedWith('a', 'b', 'c')
    const seq = pingOf(use(m, 'a'))
    vouch(m, sent(m.runTo(m.now + 250), 'pingReq')[0])
    m.now += 250
    const [verdict] = only(m.step({ type: 'wake' }), 'defer')
    m.frame('a', { type: 'ack', seq })
    expect(m.step({ type: 'verdict', token: verdict?.token ?? 0, waitedMs: 0 })).toEqual([])
    expect(m.state.links.has(B('a'))).toBe(true)
  })

  it('stays where nobody hears of its far end: that is for the detector to judge', () => {
    const m = linkedWith('a', 'b', 'c')
    use(m, 'a')
    for (const asked of sent(m.runTo(m.now + 250), 'pingReq')) vouch(m, asked, false)
    expect(only(m.runTo(m.now + 5000), 'close')).toEqual([])
    expect(m.state.watches.size).toBe(0)
  })

  it('gets its time again where this process was late', () => {
    const m = linkedWith('a', 'b', 'c')
    use(m, 'a')
    vouch(m, sent(m.runTo(m.now + 250), 'pingReq')[0])
    m.now += 250 + membershipLimits.lateTimerMs + 1
    expect(only(m.step({ type: 'wake' }), 'defer')).toEqual([])
    expect(only(m.runTo(m.now + 499), 'close')).toEqual([])
    expect(only(m.runTo(m.now + 1), 'close')).toHaveLength(1)
  })

  it('is found in the round of probes as well, where it is used by nobody', () => {
    const m = linkedWith('a')
    m.link('b', { carries: true })
    m.state.probeAt = m.now
    m.state.stale = true
    m.step({ type: 'wake' })
    const [{ to: subject = '' } = {}] = sent(m.out, 'ping')
    const [asked] = sent(m.runTo(m.now + 500), 'pingReq')
    expect(sent(vouch(m, asked), 'ping').map(({ to }) => to)).toEqual([subject])
    const out = m.runTo(m.now + 500)
    expect(only(out, 'close')).toEqual([{ type: 'close', boot: subject, reason: 'silent' }])
    expect(only(out, 'dialThrough')).toEqual([{ type: 'dialThrough', boot: subject, via: asked?.to }])
  })
})

describe('a member without a link', () => {
  it('is looked for after 250 ms, three neighbours at a time, until one hears of it', () => {
    const m = linkedWith('a', 'b', 'c', 'd', 'e', 'f')
    m.unlink('a', false)
    expect(sent(m.runTo(m.now + 249), 'pingReq')).toEqual([])
    const first = sent(m.runTo(m.now + 1), 'pingReq')
    expect(first).toHaveLength(3)
    vouch(m, first[0], false)
    vouch(m, first[1], false)
    expect(sent(m.out, 'pingReq')).toEqual([])
    const second = sent(vouch(m, first[2], false), 'pingReq')
    expect(new Set([...first, ...second].map(({ to }) => to)).size).toBe(5)
    vouch(m, second[1])
    expect(only(m.out, 'dialThrough')).toEqual([{ type: 'dialThrough', boot: B('a'), via: second[1]?.to }])
    // Later answers change nothing.
    expect(only(vouch(m, second[0]), 'dialThrough')).toEqual([])
  })

  it('is asked of others where the one that heard of it cannot be dialled through, then with growing pauses', () => {
    const m = linkedWith('a', 'b')
    m.unlink('a', false)
    const asked: number[] = []
    const until = m.now + 20_000
    while (m.now < until) {
      const out = m.runTo(m.now + 10)
      for (const one of sent(out, 'pingReq')) {
        asked.push(m.now)
        const [dial] = only(vouch(m, one), 'dialThrough')
        m.step({ type: 'dialledThrough', boot: B('a'), via: dial?.via ?? '', linked: false })
      }
    }
    const gaps = asked.map((at, i) => Math.round(at - (asked[i - 1] ?? at)))
    expect(gaps).toEqual([0, 250, 500, 1000, ...Array(9).fill(2000)])
    // Somebody calls it: the pauses begin anew.
    use(m, 'a')
    expect(sent(m.runTo(m.now + 250), 'pingReq')).toHaveLength(1)
  })

  it('is not looked for once it is linked, gone or leaving, nor with peers that cannot carry', () => {
    const m = linkedWith('a', 'b', 'c', 'd')
    m.link('old')
    for (const name of ['a', 'b', 'c']) m.unlink(name, false)
    m.link('a', { carries: true })
    m.news('d', record('b', { phase: 'down' }))
    m.news('d', record('c', { phase: 'leaving' }))
    expect(sent(m.runTo(m.now + 900), 'pingReq')).toEqual([])
    expect(m.state.searches.size).toBe(0)
    for (const name of ['a', 'd']) m.unlink(name, false)
    expect(sent(m.runTo(m.now + 900), 'pingReq')).toEqual([])
    // One more that can.
    m.link('e', { carries: true })
    expect(
      sent(m.runTo(m.now + 250), 'pingReq')
        .map(({ to, frame }) => [to, frame.subject])
        .sort(),
    ).toEqual([
      [B('e'), B('a')],
      [B('e'), B('d')],
    ])
  })

  it('is looked for when it could never be dialled', () => {
    const m = linkedWith('a')
    m.news('a', record('x'))
    expect(only(m.out, 'dial')).toEqual([{ type: 'dial', address: infoOf('x').address }])
    expect(sent(m.runTo(m.now + 1900), 'pingReq')).toEqual([])
    m.dialled('x', 'failed')
    expect(sent(m.runTo(m.now + 1), 'pingReq').map(({ frame }) => frame.subject)).toEqual([B('x')])
  })
})

describe('a relayed link', () => {
  function relayed(): Machine {
    const m = linkedWith('a', 'b')
    m.unlink('a', false)
    const [asked] = sent(m.runTo(m.now + 250), 'pingReq')
    vouch(m, asked)
    m.link('a', { via: B('b') })
    m.step({ type: 'dialledThrough', boot: B('a'), via: B('b'), linked: true })
    return m
  }

  it('is a link to the layers above, while the direct one is dialled on', () => {
    const m = linkedWith('a', 'b')
    m.unlink('a', false)
    vouch(m, sent(m.runTo(m.now + 250), 'pingReq')[0])
    expect(only(m.link('a', { via: B('b') }), 'linked')).toEqual([{ type: 'linked', boot: B('a') }])
    m.dialled('a', 'failed')
    expect(only(m.runTo(m.now + 1000), 'dial')).toHaveLength(1)
    expect(m.state.searches.size).toBe(0)
  })

  it('that a direct one takes over from ends without a word to the layers above', () => {
    const m = relayed()
    const out = m.link('a', { carries: true, continues: true })
    expect([...only(out, 'linked'), ...only(out, 'unlinked')]).toEqual([])
    expect([m.state.vias.size, m.state.carriers.has(B('a'))]).toEqual([0, true])
    m.dialled('a', 'linked', B('a'))
    expect(only(m.runTo(m.now + 10_000), 'dial')).toEqual([])
  })

  it('that is replaced otherwise may have lost something', () => {
    const m = relayed()
    const out = m.link('a', { carries: true })
    expect([...only(out, 'unlinked'), ...only(out, 'linked')].map(({ type }) => type)).toEqual(['unlinked', 'linked'])
  })

  it('says nothing of the far end when it ends: another neighbour is looked for', () => {
    const m = relayed()
    const out = m.unlink('a', true)
    expect(only(out, 'unlinked')).toHaveLength(1)
    expect(m.state.absences.has(B('a'))).toBe(false)
    expect([...m.state.probes.values()].some(({ urgent }) => urgent)).toBe(false)
    expect(sent(m.runTo(m.now + 250), 'pingReq')).toHaveLength(1)
  })

  it('lets the acceptor dial too, which may be the only one that can', () => {
    const m = linkedWith('a', 'b')
    // The far end gave the direct link up; here it seemed well.
    const out = m.link('a', { via: B('b') })
    expect([...only(out, 'unlinked'), ...only(out, 'linked')].map(({ type }) => type)).toEqual(['unlinked', 'linked'])
    expect(only(m.runTo(m.now + 200), 'dial')).toHaveLength(1)
  })
})

describe('a partial cut', () => {
  function downsOf(network: VirtualNetwork): string[] {
    return [...network.nodes.keys()].flatMap((name) =>
      network
        .outputs(name, 'member')
        .filter(({ member }) => member.suspect || member.phase === 'down')
        .map(({ member }) => `${name}: ${member.info.name}`),
    )
  }

  it.each([
    ['both ways', false],
    ['one way', true],
  ])('between two of three, %s, ends with a link through the third, and nobody is suspected', (_text, oneWay) => {
    for (let seed = 1; seed <= 20; seed++) {
      const network = startTogether(3, { seed })
      network.run(2000)
      network.cut('n00', 'n01', oneWay)
      const node = network.node('n00')
      network.input(node, { type: 'used', boot: 'boot-n01' })
      network.run(600)
      expect(node.state.vias.get('boot-n01')).toBe('boot-n02')
      network.run(60_000)
      for (const [name, other] of [
        ['n00', 'n01'],
        ['n01', 'n00'],
      ] as const) {
        expect(network.node(name).state.vias.get(`boot-${other}`)).toBe('boot-n02')
        // It does not come and go.
        expect(network.outputs(name, 'dialThrough').length).toBeLessThanOrEqual(1)
        expect(network.outputs(name, 'unlinked').length).toBe(1)
      }
      network.mend()
      network.run(6000)
      for (const name of ['n00', 'n01']) expect(network.node(name).state.vias.size).toBe(0)
      expect(downsOf(network)).toEqual([])
    }
  })

  it('of many pairs at once leaves everybody linked with everybody, through whoever can', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const network = startTogether(6, { seed })
      network.run(2000)
      // Only n00 reaches all others; the rest form a ring.
      const names = [...network.nodes.keys()]
      for (let i = 1; i < 6; i++) {
        for (let j = i + 2; j < 6; j++) if (!(i === 1 && j === 5)) network.cut(names[i] as string, names[j] as string)
      }
      network.run(30_000)
      for (const node of network.nodes.values()) expect(node.state.links.size).toBe(5)
      expect(downsOf(network)).toEqual([])
      network.mend()
      network.run(6000)
      for (const node of network.nodes.values()) expect([node.state.links.size, node.state.vias.size]).toEqual([5, 0])
    }
  })

  it('whose relayer dies goes on through another one', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const network = startTogether(4, { seed })
      network.run(2000)
      network.cut('n00', 'n01')
      network.input(network.node('n00'), { type: 'used', boot: 'boot-n01' })
      network.run(1000)
      const via = network.node('n00').state.vias.get('boot-n01') as string
      network.kill(via.slice('boot-'.length))
      network.run(1500)
      const next = network.node('n00').state.vias.get('boot-n01')
      expect([next, via].sort()).toEqual(['boot-n02', 'boot-n03'])
      network.run(20_000)
      expect(downsOf(network).filter((line) => !line.endsWith(via.slice('boot-'.length)))).toEqual([])
    }
  })
})
