/** A node that the others hold to be down: which of two parts gives way, and how the one that does goes on. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Member, type MembershipLimits, membershipLimits } from '../src/core/index.js'
import { Machine, only, order, record, sent } from './machine.js'
import { addresses, infoOf, startTogether } from './network.js'

const B = (name: string): string => `boot-${name}`
const down = (name: string): Member => record(name, { phase: 'down' })

/** A machine linked with these, its gate open, its view settled; it is 200 ms old. */
function linkedWith(
  names: readonly string[],
  options: { discovery?: boolean; limits?: Partial<MembershipLimits> } = {},
): Machine {
  const machine = new Machine(options)
  machine.step({ type: 'wake' })
  if (options.discovery === true) machine.step({ type: 'discovered', addresses: addresses(names) })
  for (const name of names) machine.link(name)
  for (const name of names) machine.dialled(name, 'linked', B(name))
  machine.now = 100
  machine.step({ type: 'wake' })
  machine.now = 200
  return machine
}

/** One of `mates`, which it is linked with, holds it to be down, and knows of `records` besides. */
function condemned(mates: readonly string[], records: readonly Member[], discovery = false): Machine {
  const machine = linkedWith(mates, { discovery })
  const [by = ''] = mates
  machine.news(by, down('me'), record(by), ...records)
  expect(only(machine.out, 'condemned')).toEqual([{ type: 'condemned', by: B(by) }])
  return machine
}

describe('a condemned node that goes on as another boot', () => {
  it('closes every link and tells the layers above in order: another boot, links gone, itself, view, what it knows', () => {
    const m = condemned(['a', 'b'], [record('b'), record('c')])
    m.rejoin()
    expect(only(m.out, 'close').map((output) => output.boot)).toEqual([B('a'), B('b')])
    const told = order(m.out).filter((type) => !['dial', 'close', 'transmit', 'refresh'].includes(type))
    expect(told).toEqual([
      ...['rejoined', 'unlinked', 'unlinked', 'member', 'view', 'member', 'member', 'member', 'member'],
      'view',
    ])
    const [rejoined] = only(m.out, 'rejoined')
    expect(rejoined?.self.boot).toBe(B('me+'))
    expect([rejoined?.self.name, rejoined?.self.address]).toEqual(['me', '10.0.0.1:me'])
    const told2 = only(m.out, 'member').map((output) => [output.member.info.boot, output.member.phase])
    expect(told2).toEqual([
      [B('me+'), 'joining'],
      [B('me'), 'down'],
      [B('a'), 'up'],
      [B('b'), 'up'],
      [B('c'), 'up'],
    ])
    expect(only(m.out, 'member').every((output) => output.previous === undefined)).toBe(true)
    expect(rejoined?.members.map((member) => member.info.boot)).toEqual(told2.map(([boot]) => boot))
  })

  it.each([
    ['first', [down('me'), record('a'), record('b'), record('c'), down('mate')]],
    ['last', [record('a'), record('b'), record('c'), down('mate'), down('me')]],
  ])('has nothing more to say: its mates must hear of their end from the other part (its own named %s)', (_, list) => {
    // What it knew, passed on with that news, would go over into the other part: all of it is down there.
    const m = linkedWith(['a', 'mate'])
    m.news('a', ...list)
    expect(order(m.out)).toEqual(['condemned'])
    m.rejoin()
    expect(m.phase('mate')).toBe('down')
  })

  it('has no link left that a late frame or the end of one could count for', () => {
    const m = condemned(['a'], [])
    m.rejoin()
    m.frame('a', { type: 'message', message: 'old' })
    expect(only(m.out, 'message')).toEqual([])
    expect(only(m.out, 'dropped')).toEqual([{ type: 'dropped', from: B('a'), reason: 'no link' }])
    expect(m.unlink('a', true)).toEqual([])
  })

  it('is not condemned again by late news of the end of its old boot', () => {
    const m = condemned(['a'], [])
    m.rejoin()
    m.news('a', down('me'), record('a'))
    m.link('a')
    m.news('a', down('me'), record('a'))
    expect(only(m.out, 'condemned')).toEqual([])
    expect(m.state.condemned).toBeUndefined()
  })

  it('takes over the gone ones of its condemner, so that its old mates stay down for it', () => {
    const m = condemned(['a', 'mate'], [record('b'), down('mate'), record('old', { phase: 'left' })])
    m.rejoin()
    expect(['a', 'b', 'mate', 'old', 'me'].map((name) => m.phase(name))).toEqual(['up', 'up', 'down', 'left', 'down'])
    m.link('mate')
    expect(only(m.out, 'linked')).toEqual([])
    expect(sent(m.out, 'news').map(({ to, frame }) => [to, frame.members[0]])).toEqual([[B('mate'), down('mate')]])
    expect(m.names()).not.toContain('mate')
  })

  it('forgets what it alone believed, suspicions and probes with it', () => {
    const m = linkedWith(['a', 'b', 'mine'])
    m.news('a', record('b', { suspect: true }))
    m.runTo(2500)
    expect(m.state.suspicions.size + m.state.probes.size).toBeGreaterThan(0)
    m.news('a', down('me'), record('a'), record('b'))
    m.rejoin()
    expect(m.phase('mine')).toBeUndefined()
    expect(m.phase('b')).toBe('up')
    expect([m.state.suspicions.size, m.state.probes.size, m.state.absences.size]).toEqual([0, 0, 0])
  })

  it('takes no ack and no verdict of its old boot for one of the new: the numbers of both go on', () => {
    const m = linkedWith(['a'])
    while (sent(m.out, 'ping').length === 0) m.runTo(m.now + 50)
    const ping = sent(m.out, 'ping')[0]?.frame.seq as number
    // No ack: it has a verdict deferred when the news comes.
    while (only(m.out, 'defer').length === 0) {
      m.now += 50
      m.step({ type: 'wake' })
    }
    const token = only(m.out, 'defer')[0]?.token as number
    m.news('a', down('me'), record('a'))
    m.rejoin()
    m.link('a')
    while (sent(m.out, 'ping').length === 0) m.runTo(m.now + 50)
    const again = sent(m.out, 'ping')[0]?.frame.seq as number
    expect(again).toBeGreaterThan(ping)
    m.frame('a', { type: 'ack', seq: ping })
    expect(m.state.probes.size).toBe(1)
    m.step({ type: 'verdict', token, waitedMs: 0 })
    expect(m.phase('a')).toBe('up')
    while (only(m.out, 'defer').length === 0) {
      m.now += 50
      m.step({ type: 'wake' })
    }
    expect(only(m.out, 'defer')[0]?.token).toBeGreaterThan(token)
    m.step({ type: 'verdict', token, waitedMs: 0 })
    expect(m.phase('a')).toBe('up')
  })

  it('goes on counting its views: none has a number that one before had', () => {
    const m = condemned(['a', 'b'], [record('b')])
    const before = m.state.view.number
    m.rejoin()
    const numbers = only(m.out, 'view').map(({ view }) => view.number)
    expect(numbers[0]).toBe(before + 1)
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b))
    expect(m.state.view.number).toBe(numbers.at(-1))
  })

  it('joins as a newcomer does: the gate shuts, and opens when it has met those that its condemner knows', () => {
    const m = condemned(['a', 'b'], [record('b'), record('c')], true)
    expect(m.state.gate).toBe('open')
    m.rejoin()
    expect(m.state.gate).toBe('shut')
    expect(m.state.self.phase).toBe('joining')
    expect(only(m.out, 'gateOpen')).toEqual([])
    expect(new Set(only(m.out, 'dial').map((dial) => dial.address))).toEqual(new Set(addresses(['a', 'b', 'c'])))
    for (const name of ['a', 'b']) {
      m.link(name)
      m.dialled(name, 'linked', B(name))
    }
    expect(m.state.gate).toBe('shut')
    m.dialled('c', 'failed')
    expect(only(m.out, 'gateOpen')).toHaveLength(1)
    expect(m.names()).toEqual(['a', 'b', 'c', 'me'])
    m.step({ type: 'ready' })
    expect(m.state.self).toMatchObject({ phase: 'up', info: { boot: B('me+') } })
  })

  it('gives up waiting for whom it cannot meet, as a newcomer does', () => {
    const m = condemned(['a'], [record('b')], true)
    const at = m.now
    m.rejoin()
    const opened = only(m.runTo(at + membershipLimits.gateMs - 1), 'gateOpen')
    expect(opened).toEqual([])
    expect(only(m.runTo(at + membershipLimits.gateMs), 'gateOpen')).toHaveLength(1)
  })

  it('can be condemned again, and comes back again', () => {
    const m = condemned(['a'], [])
    m.rejoin()
    m.link('a')
    m.news('a', record('me', { phase: 'down', info: m.state.self.info }), record('a'))
    expect(only(m.out, 'condemned')).toHaveLength(1)
    m.rejoin('boot-me++')
    expect(m.state.self.info.boot).toBe('boot-me++')
    const own = [...m.state.members.values()].filter((member) => member.info.name === 'me')
    expect(own.map((member) => [member.info.boot, member.phase])).toEqual([
      ['boot-me++', 'joining'],
      ['boot-me+', 'down'],
      [B('me'), 'down'],
    ])
  })

  it("remembers a leaver that its old part alone knew as one that has left: what it wrote is no stranger's", () => {
    const m = linkedWith(['a', 'b'])
    m.news('b', record('d', { phase: 'leaving' }), record('e'))
    m.news('a', down('me'), record('a'), record('b'))
    m.rejoin()
    expect(m.phase('d')).toBe('left')
    expect(m.state.members.has(B('e'))).toBe(false)
  })

  it('begins after every boot of its name and address that it was told of, whatever its clock says', () => {
    const m = condemned(['a', 'b'], [{ ...record('b'), info: { ...infoOf('me', 'boot-0'), startedAt: 5000 } }])
    expect(only(m.rejoin('boot-me+', 3000), 'rejoined')[0]?.self.startedAt).toBe(5001)
  })

  it('need not have been condemned for nothing: rejoin without that is a broken invariant', () => {
    const m = linkedWith(['a'])
    expect(() => m.rejoin()).toThrow('this boot was not condemned')
    const once = condemned(['a'], [])
    once.rejoin()
    expect(() => once.rejoin('boot-me++')).toThrow('this boot was not condemned')
  })
})

describe('of two parts that hold each other down', () => {
  /** `me` and `mates` hold `gone` to be down; `teller` says that `me` is, and that its part is `part`. */
  function told(mates: readonly string[], gone: readonly string[], teller: string, part: readonly string[]): Machine {
    const m = linkedWith(mates)
    m.news(mates[0] as string, ...gone.map(down))
    if (!m.state.links.has(B(teller))) m.link(teller)
    m.news(teller, down('me'), ...part.map((name) => record(name)))
    return m
  }

  it('the greater stays', () => {
    const m = told(['a', 'b'], ['y', 'z'], 'y', ['y', 'z'])
    expect(only(m.out, 'condemned')).toEqual([])
    expect(m.phase('y')).toBe('down')
    expect(m.names()).toEqual(['a', 'b', 'me'])
  })

  it('one that is halted gives way to one that is not, though it is the greater', () => {
    const m = linkedWith(['a', 'b'])
    m.news('a', down('y'))
    m.step({ type: 'describe', info: { ...m.state.self.info, halted: true } })
    m.link('y')
    m.news('y', down('me'), record('y'))
    expect(only(m.out, 'condemned')).toHaveLength(1)
  })

  it('one that goes on stays where a halted one, though greater, holds it to be down', () => {
    const m = linkedWith(['a'])
    m.news('a', ...['x', 'y', 'z'].map(down))
    m.link('y')
    const teller = record('y')
    m.news('y', down('me'), record('x'), { ...teller, info: { ...teller.info, halted: true } }, record('z'))
    expect(only(m.out, 'condemned')).toEqual([])
    expect(m.names()).toEqual(['a', 'me'])
  })

  it('the smaller gives way', () => {
    expect(only(told(['a'], ['x', 'y', 'z'], 'y', ['x', 'y', 'z']).out, 'condemned')).toHaveLength(1)
  })

  it('the greater tells a teller that it still counts in that it is of the smaller part, and everybody else too', () => {
    // `b` believes those who are cut off, and `me` still believes in `b`.
    const m = told(['a', 'b', 'c'], ['z'], 'b', ['b', 'z'])
    expect(only(m.out, 'condemned')).toEqual([])
    expect(m.phase('b')).toBe('down')
    expect(only(m.out, 'member').map((output) => output.reason)).toEqual(['of the smaller part'])
    const news = sent(m.out, 'news').map(({ to, frame }) => [to, frame.members[0]?.info.boot])
    expect(news).toEqual([
      [B('a'), B('b')],
      [B('c'), B('b')],
      [B('b'), B('b')],
    ])
    expect(only(m.out, 'close')).toEqual([{ type: 'close', boot: B('b'), reason: 'down' }])
  })

  it('the greater takes nothing else that a teller of the smaller part says', () => {
    const m = linkedWith(['a', 'b', 'c'])
    m.news('a', down('z'))
    m.news('b', record('b'), record('z'), down('a'), down('me'), down('c'))
    expect(only(m.out, 'condemned')).toEqual([])
    expect(['a', 'b', 'c'].map((name) => m.phase(name))).toEqual(['up', 'down', 'up'])
  })

  it('which are equal, that with the smallest boot id among those in only one of them stays', () => {
    expect(only(told(['a'], ['y', 'z'], 'y', ['y', 'z']).out, 'condemned')).toEqual([])
    expect(only(told(['a'], ['0', 'z'], 'z', ['0', 'z']).out, 'condemned')).toHaveLength(1)
  })

  it('whom their list counts in is theirs, though we count it in as well', () => {
    // me and a against z, y and 0, who is counted in by both.
    const goes = told(['0', 'a'], ['y', 'z'], '0', ['0', 'y', 'z'])
    expect(only(goes.out, 'condemned')).toHaveLength(1)
    const stays = told(['0', 'a', 'b', 'c'], ['y', 'z'], '0', ['0', 'y', 'z'])
    expect(only(stays.out, 'condemned')).toEqual([])
  })

  it('whom either suspects counts for neither: a part that is still at finding the others gone takes nobody along', () => {
    // A lone node, cut off from three, has declared one of them down and does not yet know of the others.
    const m = linkedWith(['a', 'b'])
    m.news('a', down('z'))
    m.link('z')
    m.news('z', down('me'), record('z'), record('a', { suspect: true }), record('b', { suspect: true }))
    expect(only(m.out, 'condemned')).toEqual([])
    expect(m.phase('a')).toBe('up')
    // And the lone node, told of its end by one of the three, counts on none of those that it suspects.
    const lone = linkedWith(['a', 'b'])
    lone.news('b', record('a', { suspect: true }))
    lone.news('a', down('me'), record('a'), record('b'))
    expect(only(lone.out, 'condemned')).toHaveLength(1)
  })

  it('two that stood still while three others went on give way, though they take those for their own', () => {
    const m = linkedWith(['mate', 'a', 'b', 'c'])
    m.news('a', down('me'), down('mate'), record('a'), record('b'), record('c'))
    expect(only(m.out, 'condemned')).toHaveLength(1)
  })

  it("nobody is told of its end by itself: such news is nobody's", () => {
    const m = linkedWith(['a'])
    m.news('me', down('me'), down('a'))
    expect(only(m.out, 'dropped').map(({ reason }) => reason)).toEqual(['from ourselves'])
    expect(m.state.members.get(B('me'))).toBe(m.state.self)
  })

  it('leavers and the gone of either count for nothing', () => {
    const m = linkedWith(['a', 'b'])
    m.news('a', down('y'), down('z'))
    m.link('z')
    const theirs = [record('y'), record('z'), record('l', { phase: 'leaving' }), record('d', { phase: 'down' })]
    m.news('z', down('me'), ...theirs)
    expect(only(m.out, 'condemned')).toEqual([])
  })

  it('a node that nobody but itself holds to be up has no part: all hold it down, and it gives way', () => {
    const m = linkedWith(['a', 'b', 'c', 'd'])
    m.news('a', down('me'), record('a'), record('b'))
    expect(only(m.out, 'condemned')).toHaveLength(1)
  })

  it('one gives way for certain, and only one where they share nobody', () => {
    const names = fc.uniqueArray(fc.stringMatching(/^[a-f][0-9]$/), { maxLength: 4 })
    const sides = fc.tuple(names, names, names).map(([ours, theirs, shared]) => {
      const mine = ours.filter((name) => !shared.includes(name) && !theirs.includes(name))
      const yours = theirs.filter((name) => !shared.includes(name))
      return { mine, yours, shared }
    })
    const suspects = fc.uniqueArray(fc.stringMatching(/^[a-f][0-9]$/))
    fc.assert(
      fc.property(
        sides,
        fc.boolean(),
        suspects,
        suspects,
        ({ mine, yours, shared }, greater, doubted, doubtedThere) => {
          // `me` stands on one side, `p` on the other, and each is told of its end by the other.
          const opposite = greater ? 'zz' : '00'
          const here = new Set(['me', ...mine, ...shared])
          const there = new Set([opposite, ...yours, ...shared])
          const gives = (
            [us, doubtedByUs]: readonly [ReadonlySet<string>, readonly string[]],
            [them, doubtedByThem]: readonly [ReadonlySet<string>, readonly string[]],
            self: string,
            teller: string,
          ): boolean => {
            const m = new Machine({ name: self })
            m.step({ type: 'wake' })
            for (const name of us) if (name !== self) m.link(name)
            m.link(teller)
            for (const name of us) if (doubtedByUs.includes(name)) m.news(teller, record(name, { suspect: true }))
            m.news(teller, ...[...them].filter((name) => !us.has(name)).map(down))
            const part = [...them].map((name) => record(name, { suspect: doubtedByThem.includes(name) }))
            m.news(teller, down(self), ...part)
            return only(m.out, 'condemned').length > 0
          }
          const we = gives([here, doubted], [there, doubtedThere], 'me', opposite)
          const they = gives([there, doubtedThere], [here, doubted], opposite, 'me')
          expect(we || they).toBe(true)
          if (shared.length === 0) expect(we && they).toBe(false)
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('cuts that outlast every suspicion, with nodes that go on as other boots', () => {
  it.each([
    [1, 2],
    [1, 4],
    [2, 2],
    [2, 3],
    [3, 5],
  ])('of %i and %i: the smaller part, or of equal ones the later, goes on as other boots, nobody else does', (p, q) => {
    for (let seed = 1; seed <= 5; seed++) {
      const network = startTogether(p + q, { seed, rejoin: true })
      network.run(2000)
      const names = [...network.nodes.keys()]
      // The smaller part has the greater boot ids.
      const [greater, smaller] = [names.slice(0, q), names.slice(q)]
      for (const a of greater) for (const b of smaller) network.cut(a, b)
      network.run(30_000)
      for (const name of greater) expect(network.names(name)).toEqual(greater)
      for (const name of smaller) expect(network.names(name)).toEqual(smaller)
      network.mend()
      network.run(30_000)
      for (const name of names) expect(network.names(name)).toEqual(names)
      for (const name of greater) expect(network.node(name).boot).toBe(B(name))
      for (const name of smaller) expect(network.node(name).boot).toBe(`${B(name)}+`)
      for (const node of network.nodes.values()) {
        expect(node.state.members.get(B(smaller[0] as string))?.phase).toBe('down')
        expect(node.state.gate).toBe('open')
      }
    }
  })

  it('a single node that all held to be down by mistake comes back as one boot more, and the others stay', () => {
    const network = startTogether(5, { rejoin: true })
    network.run(2000)
    for (const other of ['n01', 'n02', 'n03', 'n04']) network.cut('n00', other)
    network.run(30_000)
    network.mend()
    network.run(20_000)
    expect([...network.nodes.values()].map((node) => node.boot)).toEqual([
      `${B('n00')}+`,
      ...['n01', 'n02', 'n03', 'n04'].map(B),
    ])
    expect(network.names('n03')).toEqual(['n00', 'n01', 'n02', 'n03', 'n04'])
  })

  it('into any two parts: each node of the lesser becomes another boot once, and nobody of the greater does', () => {
    const parted = fc.integer({ min: 2, max: 9 }).chain((count) => fc.tuple(fc.constant(count), fc.nat(2 ** count - 1)))
    fc.assert(
      fc.property(parted, fc.nat(1e6), ([count, mask], seed) => {
        const network = startTogether(count, { seed, rejoin: true })
        network.run(2000)
        const names = [...network.nodes.keys()]
        const [one, two] = [1, 0].map((side) => names.filter((_, i) => ((mask >> i) & 1) === side)) as [
          string[],
          string[],
        ]
        for (const a of one) for (const b of two) network.cut(a, b)
        network.run(40_000)
        network.mend()
        network.run(30_000)
        const oneStays = one.length === two.length ? one[0] === names[0] : one.length > two.length
        const lesser = new Set(oneStays ? two : one)
        expect(names.map((name) => network.node(name).boot)).toEqual(
          names.map((name) => (lesser.has(name) ? `${B(name)}+` : B(name))),
        )
        for (const name of names) expect(network.names(name)).toEqual(names)
      }),
      { numRuns: 60 },
    )
  }, 60_000)

  it('that heal while one node is still finding two others gone cost those two no boot', () => {
    for (let ms = 2000; ms <= 14_000; ms += 500) {
      for (let seed = 1; seed <= 3; seed++) {
        const network = startTogether(3, { seed, rejoin: true })
        network.run(2000 + seed * 137)
        for (const other of ['n01', 'n02']) network.cut('n00', other)
        network.run(ms)
        network.mend()
        network.run(30_000)
        const boots = ['n01', 'n02'].map((name) => network.node(name).boot)
        expect(boots, `a cut of ${ms} ms, seed ${seed}`).toEqual(['n01', 'n02'].map(B))
        for (const name of ['n00', 'n01', 'n02']) expect(network.names(name)).toEqual(['n00', 'n01', 'n02'])
      }
    }
  })

  it('random ones, one after the other, whole and partial, end with one view of all under their last boots', () => {
    const network = (cuts: readonly (readonly [number, number])[], count: number, seed: number): void => {
      const net = startTogether(count, { seed, rejoin: true })
      net.run(2000)
      const names = [...net.nodes.keys()]
      for (const [bits, ms] of cuts) {
        let bit = 0
        for (const [i, a] of names.entries()) {
          for (const b of names.slice(i + 1)) if (((bits >> (bit++ % 28)) & 1) === 1) net.cut(a, b)
        }
        net.run(ms)
        net.mend()
        net.run(ms / 4)
      }
      net.run(90_000)
      const boots = names.map((name) => net.node(name).boot)
      for (const node of net.nodes.values()) {
        expect(node.state.view.members.map((info) => info.boot)).toEqual(boots)
        expect([...node.state.links].sort()).toEqual(boots.filter((boot) => boot !== node.boot).sort())
        expect([node.state.gate, node.state.suspicions.size, node.state.condemned]).toEqual(['open', 0, undefined])
        const numbers = net.outputs(node.name, 'view').map(({ view }) => view.number)
        expect(numbers.every((number, at) => at === 0 || number > (numbers[at - 1] as number))).toBe(true)
      }
    }
    const cut = fc.tuple(fc.integer({ min: 1, max: 2 ** 28 - 1 }), fc.integer({ min: 500, max: 25_000 }))
    fc.assert(fc.property(fc.array(cut, { maxLength: 4 }), fc.integer({ min: 2, max: 8 }), fc.nat(1e6), network), {
      numRuns: 150,
    })
  }, 60_000)
})
