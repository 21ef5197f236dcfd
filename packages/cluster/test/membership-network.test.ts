import { describe, expect, it } from 'vitest'
import { addresses, startTogether, VirtualNetwork } from './network.js'

const alive = (network: VirtualNetwork): string[] =>
  [...network.nodes.values()].filter((node) => node.life === 'alive').map((node) => node.name)

/** Every living node shows exactly the living nodes, suspects nobody and is linked with all. */
function expectOneView(network: VirtualNetwork): void {
  const names = alive(network).sort()
  for (const name of names) {
    expect(network.names(name)).toEqual(names)
    expect(network.node(name).state.suspicions.size).toBe(0)
    expect(network.node(name).state.links.size).toBe(names.length - 1)
  }
}

/** How long after `from` each living node showed the last view change. */
function lastViews(network: VirtualNetwork, from: number): number[] {
  return alive(network).map((name) => {
    const entry = network.node(name).log.findLast(({ output }) => output.type === 'view')
    return entry ? entry.at - from : Number.NaN
  })
}

describe('nodes that start at once', () => {
  it.each([2, 3, 5, 10, 20])('%i of them come to one view within a second, with few view changes', (count) => {
    for (let seed = 1; seed <= 5; seed++) {
      const network = startTogether(count, { seed })
      network.run(1000)
      expectOneView(network)
      for (const node of network.nodes.values()) {
        expect(node.state.gate).toBe('open')
        expect(node.state.view.number).toBeLessThan(8)
      }
    }
  })

  it('come together through one seed address that all of them know', () => {
    const network = new VirtualNetwork({ seed: 3 })
    for (let i = 0; i < 12; i++) network.start(`n${i}`, addresses(['n0']))
    network.run(2000)
    expectOneView(network)
  })

  it('stay quiet afterwards: two frames per node and second, and nobody suspected', () => {
    const network = startTogether(10)
    network.run(2000)
    const frames = network.frames
    network.run(60_000)
    expect(network.frames - frames).toBeLessThanOrEqual(10 * 61 * 2)
    expectOneView(network)
    expect([...network.nodes.keys()].flatMap((name) => network.outputs(name, 'dropped'))).toEqual([])
  })
})

describe('a node that joins later', () => {
  it('is in every view at once, and sees everybody', () => {
    const network = startTogether(5)
    network.run(2000)
    const from = network.now
    network.start('late', addresses(['n03']))
    network.run(300)
    expectOneView(network)
    expect(Math.max(...lastViews(network, from))).toBeLessThan(120)
  })

  it('finds the cluster through redials when it started before it', () => {
    const network = new VirtualNetwork()
    network.start('early', addresses(['n0']))
    network.run(10_000)
    expect(network.node('early').state.gate).toBe('open')
    network.start('n0', undefined)
    network.run(2100)
    expectOneView(network)
  })
})

describe('a process that is killed', () => {
  it.each([2, 3, 5, 20])('is out of the views of the others of %i within tens of ms', (count) => {
    for (let seed = 1; seed <= 5; seed++) {
      const network = startTogether(count, { seed })
      network.run(2000)
      const from = network.now
      network.kill('n01')
      network.run(1000)
      expectOneView(network)
      expect(Math.max(...lastViews(network, from))).toBeLessThan(20)
    }
  })

  it('together with half of the others leaves one view behind as well', () => {
    const network = startTogether(8)
    network.run(2000)
    const from = network.now
    for (const name of ['n00', 'n02', 'n04', 'n06']) network.kill(name)
    network.run(1000)
    expectOneView(network)
    expect(Math.max(...lastViews(network, from))).toBeLessThan(300)
  })

  it('and started again at once under the same name and address is one member, with its new boot', () => {
    const network = startTogether(4)
    network.run(2000)
    network.kill('n02')
    network.start('n02', addresses(['n00']), 'boot-again')
    network.run(3000)
    for (const node of network.nodes.values()) {
      expect(node.state.view.members.map((info) => info.boot)).toEqual([
        'boot-n00',
        'boot-n01',
        'boot-again',
        'boot-n03',
      ])
    }
  })
})

describe('a machine that vanishes', () => {
  it.each([2, 3, 10])('is down on all others of %i within probe, suspicion and its share of chance', (count) => {
    for (let seed = 1; seed <= 5; seed++) {
      const network = startTogether(count, { seed })
      network.run(2000)
      network.vanish('n01')
      network.run(11_000)
      for (const name of alive(network)) expect(network.names(name)).toEqual(alive(network).sort())
    }
  })
})

describe('a link that breaks while both live', () => {
  it.each([true, false])('makes nobody down, and is back soon (closed by the peer: %s)', (byPeer) => {
    for (let seed = 1; seed <= 10; seed++) {
      const network = startTogether(seed % 2 === 0 ? 2 : 5, { seed })
      network.run(2000)
      network.breakLink('n00', 'n01', byPeer)
      network.run(8000)
      expectOneView(network)
      for (const name of alive(network)) {
        const downs = network.outputs(name, 'member').filter((output) => output.member.phase === 'down')
        expect(downs).toEqual([])
      }
    }
  })

  it('for good, between two of many, leaves both in: the others vouch for them', () => {
    const network = startTogether(5)
    network.run(2000)
    network.cut('n00', 'n01')
    network.breakLink('n00', 'n01', false)
    network.run(60_000)
    for (const name of alive(network)) expect(network.names(name)).toEqual(alive(network))
    network.mend()
    network.run(8000)
    expectOneView(network)
  })
})

describe('a leaver', () => {
  it('is out of all views at its announcement, stays linked until its bye, and is never suspected', () => {
    const network = startTogether(5)
    network.run(2000)
    const from = network.now
    network.input(network.node('n04'), { type: 'leave' })
    network.run(5000)
    const rest = ['n00', 'n01', 'n02', 'n03']
    for (const name of rest) {
      expect(network.names(name)).toEqual(rest)
      expect(network.node(name).state.links.has('boot-n04')).toBe(true)
    }
    network.input(network.node('n04'), { type: 'bye' })
    network.node('n04').life = 'dead'
    network.run(20_000)
    for (const name of rest) {
      const seen = network.outputs(name, 'member').filter((output) => output.member.info.name === 'n04')
      expect(seen.map((output) => output.member.phase)).toEqual(['joining', 'leaving', 'left'])
      expect(seen.some((output) => output.member.suspect)).toBe(false)
      const dials = network.node(name).log.filter((e) => e.at > from && e.output.type === 'dial')
      expect(dials).toEqual([])
    }
  })

  it('that is killed before its bye ends as down everywhere', () => {
    const network = startTogether(4)
    network.run(2000)
    network.input(network.node('n03'), { type: 'leave' })
    network.run(100)
    network.kill('n03')
    network.run(12_000)
    for (const name of alive(network)) expect(network.node(name).state.members.get('boot-n03')?.phase).toBe('down')
  })
})

describe('a cut that outlasts every suspicion', () => {
  it('leaves two views, and at the heal each side learns that the other condemned it', () => {
    const network = startTogether(4)
    network.run(2000)
    for (const a of ['n00', 'n01']) for (const b of ['n02', 'n03']) network.cut(a, b)
    network.run(20_000)
    expect(network.names('n00')).toEqual(['n00', 'n01'])
    expect(network.names('n03')).toEqual(['n02', 'n03'])
    network.mend()
    network.start('n04', addresses(['n00', 'n03']))
    network.run(20_000)
    const condemned = alive(network).filter((name) => network.outputs(name, 'condemned').length > 0)
    expect(condemned.length).toBeGreaterThan(0)
  })
})

describe('one seed', () => {
  it('decides the whole run', () => {
    const trace = (seed: number): string => {
      const network = startTogether(6, { seed })
      network.run(3000)
      network.kill('n02')
      network.run(3000)
      return JSON.stringify([...network.nodes.values()].map((node) => node.log))
    }
    expect(trace(5)).toBe(trace(5))
    expect(trace(5)).not.toBe(trace(6))
  })
})
