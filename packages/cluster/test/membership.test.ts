import { describe, expect, it } from 'vitest'
import { detectorDue } from '../src/core/detector.js'
import { type Formation, membershipDeadline } from '../src/core/index.js'
import { confirmSuspicion } from '../src/core/suspicion.js'
import { Machine, only, order, record, sent } from './machine.js'
import { addresses, infoOf } from './network.js'

const B = (name: string): string => `boot-${name}`

/** A machine linked with these, its gate open, its view settled; it is 200 ms old. */
function linkedWith(...names: string[]): Machine {
  const machine = new Machine()
  machine.step({ type: 'wake' })
  for (const name of names) machine.link(name)
  machine.now = 100
  machine.step({ type: 'wake' })
  machine.now = 200
  return machine
}

describe('the table', () => {
  it('tells the layers above of ourselves and the first view in the first step, whatever it is', () => {
    const m = new Machine()
    expect(order(m.link('a'))).toEqual(['member', 'view', 'gateOpen', 'member', 'transmit', 'view', 'linked'])
    expect(m.state.view).toMatchObject({ number: 2, members: [{ name: 'a' }, { name: 'me' }] })
  })

  it('takes a peer as a member from its HELLO on, and sends it all it knows', () => {
    const m = linkedWith('a')
    m.link('b', { phase: 'joining' })
    expect(m.phase('b')).toBe('joining')
    const [list] = sent(m.out, 'news').filter((news) => news.to === B('b'))
    expect(list?.frame.members.map((member) => member.info.name)).toEqual(['me', 'a', 'b'])
    expect(sent(m.out, 'news').filter((news) => news.to === B('a'))[0]?.frame.members).toEqual([
      record('b', { phase: 'joining' }),
    ])
    expect(order(m.out).filter((type) => type === 'dial')).toEqual([])
  })

  it('takes a second link of the same boot for a new one: what was on the first may be lost', () => {
    const m = linkedWith('a')
    expect(order(m.link('a'))).toEqual(['unlinked', 'transmit', 'linked'])
  })

  it('adds members that it hears of and dials them', () => {
    const m = linkedWith('a')
    m.news('a', record('c'), record('d', { phase: 'leaving' }))
    expect(only(m.out, 'dial').map((dial) => dial.address)).toEqual(addresses(['c']))
    expect(only(m.out, 'member').map((output) => [output.member.info.name, output.previous, output.reason])).toEqual([
      ['c', undefined, 'news'],
      ['d', undefined, 'news'],
    ])
    expect(m.names()).toEqual(['a', 'c', 'me'])
  })

  it('declares an older boot under the same name and address down at once', () => {
    const m = linkedWith('a', 'b')
    m.link('a', { boot: 'boot-a2' })
    expect(only(m.out, 'member')[0]).toMatchObject({
      member: { phase: 'down', info: { boot: B('a') } },
      reason: 'restarted',
    })
    expect(only(m.out, 'close')).toEqual([{ type: 'close', boot: B('a'), reason: 'down' }])
    expect(m.state.view.members.map((info) => info.boot)).toEqual(['boot-a2', B('b'), B('me')])
  })

  it.each(['known', 'unknown'])('takes the late link of an %s boot that was replaced since for what it is', (old) => {
    const m = linkedWith('b')
    const successor = { ...infoOf('a', 'boot-0'), startedAt: 2000 }
    m.news('b', ...(old === 'known' ? [record('a')] : []), { ...record('a'), info: successor })
    m.link('a', { startedAt: 1000 })
    expect(m.state.members.get('boot-0')).toMatchObject({ phase: 'up' })
    expect(m.phase('a')).toBe('down')
    expect(only(m.out, 'close')).toEqual([{ type: 'close', boot: B('a'), reason: 'down' }])
    // If it lives all the same it hears of its end, and goes on as a later boot.
    expect(sent(m.out, 'news').some(({ to, frame }) => to === B('a') && frame.members[0]?.phase === 'down')).toBe(true)
    m.runTo(300)
    expect(m.state.view.members.map((info) => info.boot)).toEqual(['boot-0', B('b'), B('me')])
  })

  it('knows that a boot under its own name and address was before it', () => {
    const m = linkedWith('a')
    m.news('a', { ...record('me'), info: infoOf('me', 'boot-old') })
    expect(only(m.out, 'member').map((output) => output.reason)).toEqual(['news', 'restarted'])
    expect(m.names()).toEqual(['a', 'me'])
  })

  it('turns away a live node that was given its own name and address', () => {
    const m = linkedWith('a')
    expect(order(m.link('me', { boot: 'boot-double' }))).toEqual(['close'])
    expect(m.state.members.has('boot-double')).toBe(false)
  })

  it('never takes a gone boot back, and tells it so', () => {
    const m = linkedWith('a')
    m.news('a', record('b', { phase: 'down' }))
    expect(m.phase('b')).toBe('down')
    m.news('a', record('b', { incarnation: 9 }))
    expect(m.phase('b')).toBe('down')
    expect(order(m.link('b', { incarnation: 10 }))).toEqual(['transmit', 'close'])
    // With our part, so that it can tell whose is the greater one.
    const [news] = sent(m.out, 'news')
    expect(news?.to).toBe(B('b'))
    expect(news?.frame.members.map(({ info, phase }) => [info.name, phase])).toEqual(
      expect.arrayContaining([
        ['b', 'down'],
        ['me', 'joining'],
        ['a', 'up'],
      ]),
    )
    expect(m.state.links.has(B('b'))).toBe(false)
  })

  it('names the boots gone last in the list for a new link, so that others do not take them back', () => {
    const m = linkedWith('a')
    m.news('a', record('b', { phase: 'down' }))
    m.link('c')
    const names = sent(m.out, 'news')
      .find((news) => news.to === B('c'))
      ?.frame.members.map((r) => `${r.info.name} ${r.phase}`)
    expect(names).toContain('b down')
  })

  it('remembers gone boots up to its bound in number and in time', () => {
    const m = new Machine({ limits: { maxGone: 3, rememberGoneMs: 5000 } })
    m.link('a')
    for (const name of ['v', 'w', 'x', 'y', 'z']) m.news('a', record(name, { phase: 'left' }))
    expect([...m.state.goneAt.keys()]).toEqual([B('x'), B('y'), B('z')])
    expect(m.phase('v')).toBeUndefined()
    m.runTo(30_000)
    expect(m.state.goneAt.has(B('z'))).toBe(false)
  })

  it('takes no more members than its bound, and closes the link of one too many', () => {
    const m = new Machine({ limits: { maxMembers: 2 } })
    m.link('a')
    expect(only(m.news('a', record('b')), 'dropped')).toEqual([
      { type: 'dropped', from: B('a'), reason: 'too many members' },
    ])
    expect(only(m.link('c'), 'close')).toEqual([{ type: 'close', boot: B('c'), reason: 'not admitted' }])
    expect(m.state.members.size).toBe(2)
  })

  it('drops a list longer than any honest one', () => {
    const m = new Machine({ limits: { maxMembers: 2, maxGone: 1 } })
    m.link('a')
    m.news('a', record('a'), record('b'), record('c'), record('d'))
    expect(only(m.out, 'dropped').map((output) => output.reason)).toEqual(['news too long'])
  })

  it.each([-1, 0.5, Number.NaN, Infinity, 2 ** 60])('drops a record of incarnation %d', (incarnation) => {
    const m = linkedWith('a')
    m.news('a', record('a', { incarnation }), record('b', { incarnation }))
    expect(only(m.out, 'dropped').map((output) => output.reason)).toEqual(['absurd record', 'absurd record'])
  })

  it('tells news from the subject itself to all, hearsay to three, and what it knew to nobody', () => {
    const m = linkedWith('a', 'b', 'c', 'd', 'e', 'f')
    m.news('a', record('a', { incarnation: 1 }))
    expect(
      sent(m.out, 'news')
        .map((news) => news.to)
        .sort(),
    ).toEqual(['b', 'c', 'd', 'e', 'f'].map(B))
    m.news('b', record('x', { phase: 'down' }))
    expect(sent(m.out, 'news')).toHaveLength(3)
    expect(sent(m.out, 'news').map((news) => news.to)).not.toContain(B('b'))
    m.news('c', record('x', { phase: 'down' }), record('a', { incarnation: 1 }))
    expect(sent(m.out, 'news')).toEqual([])
  })

  it('past 32 links tells all news of others on in batches, each to eight, as it stands by then', () => {
    const names = Array.from({ length: 33 }, (_, i) => `m${i}`)
    const m = linkedWith(...names)
    m.runTo(5000)
    m.news('m1', record('m1', { incarnation: 1 }))
    m.news('m2', record('x', { phase: 'leaving' }))
    m.runTo(m.now + 50)
    m.news('m3', record('x', { phase: 'left' }))
    expect(sent(m.out, 'news')).toEqual([])
    const told = sent(m.runTo(m.now + 51), 'news')
    expect(new Set(told.map(({ to }) => to)).size).toBe(8)
    for (const { frame } of told) {
      expect(frame.members.map(({ info, phase, incarnation }) => [info.boot, phase, incarnation])).toEqual([
        [B('m1'), 'up', 1],
        [B('x'), 'left', 0],
      ])
    }
    expect(sent(m.runTo(m.now + 500), 'news')).toEqual([])
  })

  it('refutes a suspicion of itself under a higher incarnation, to all', () => {
    const m = linkedWith('a', 'b')
    m.news('a', record('me', { phase: 'joining', suspect: true }))
    expect(m.state.self).toMatchObject({ incarnation: 1, suspect: false })
    expect(sent(m.out, 'news').map((news) => [news.to, news.frame.members[0]?.incarnation])).toEqual([
      [B('a'), 1],
      [B('b'), 1],
    ])
    expect(m.state.health).toBe(1)
    m.news('b', record('me', { phase: 'joining', suspect: true }))
    expect(sent(m.out, 'news')).toEqual([])
  })

  it('says once that it is condemned when a member holds it to be down', () => {
    const m = linkedWith('a', 'b')
    m.news('a', record('me', { phase: 'down' }))
    expect(only(m.out, 'condemned')).toEqual([{ type: 'condemned', by: B('a') }])
    m.news('b', record('me', { phase: 'down' }))
    expect(only(m.out, 'condemned')).toEqual([])
  })

  it.each([
    ['the greater part', ['b', 'c', 'd'], true],
    ['the smaller part', ['b'], false],
    ['an equal part with a smaller boot id', ['b', '0'], true],
    ['an equal part without', ['b', 'z'], false],
  ])('after a cut, ends when it is told to be down by %s of the two', (_, part, ends) => {
    const m = linkedWith('a')
    m.news('a', record('b', { phase: 'down' }))
    m.link('b')
    m.news('b', record('me', { phase: 'down' }), record('a', { phase: 'down' }), ...part.map((name) => record(name)))
    expect(only(m.out, 'condemned')).toHaveLength(ends ? 1 : 0)
  })

  it('ends when one that it holds to be alive says that it is down', () => {
    const m = linkedWith('a', 'b')
    m.news('b', record('me', { phase: 'down' }))
    expect(only(m.out, 'condemned')).toEqual([{ type: 'condemned', by: B('b') }])
  })

  it('dials on where a member fell silent, so that a cut heals, but not where its end is proved', () => {
    const m = linkedWith('a', 'b')
    const first = m.runTo(30_000)
    expect(only(first, 'view').at(-1)?.view.members).toHaveLength(1)
    for (const name of ['a', 'b']) m.dialled(name, 'failed')
    const later = only(m.runTo(m.now + 10_000), 'dial').map((dial) => dial.address)
    expect(new Set(later)).toEqual(new Set(addresses(['a', 'b'])))
    const proved = linkedWith('c')
    proved.unlink('c', true)
    proved.dialled('c', 'refused')
    expect(proved.phase('c')).toBe('down')
    expect(only(proved.runTo(60_000), 'dial')).toEqual([])
  })
})

describe('the view', () => {
  it('rises by one per change, and shows changes at least the gap apart', () => {
    const m = linkedWith('a')
    m.news('a', record('b'))
    expect(m.state.view.number).toBe(3)
    m.now += 10
    m.news('a', record('c'))
    m.news('a', record('d'))
    expect(m.state.view.number).toBe(3)
    expect(membershipDeadline(m.state)).toBe(250)
    m.runTo(250)
    expect(m.state.view.number).toBe(4)
    expect(m.names()).toEqual(['a', 'b', 'c', 'd', 'me'])
  })

  it('waits while somebody is suspected, but only so long', () => {
    const m = linkedWith('a', 'b')
    m.news('a', record('b', { suspect: true }))
    m.news('a', record('c'))
    expect(m.names()).toEqual(['a', 'b', 'me'])
    m.runTo(449)
    expect(m.names()).toEqual(['a', 'b', 'me'])
    m.runTo(450)
    expect(m.names()).toEqual(['a', 'b', 'c', 'me'])
  })

  it('comes at once when the last suspicion ends', () => {
    const m = linkedWith('a', 'b')
    m.news('a', record('b', { suspect: true }))
    m.news('a', record('c'))
    m.now = 250
    m.news('a', record('b', { phase: 'down' }))
    expect(order(m.out)).toEqual(['member', 'transmit', 'close', 'unlinked', 'view'])
    expect(m.names()).toEqual(['a', 'c', 'me'])
  })

  it('is applied before a message that came with members is delivered, in one step, changes first', () => {
    const m = linkedWith('a', 'b')
    m.news('a', record('b', { suspect: true }))
    const members = [record('a'), record('c'), record('me', { phase: 'joining' })]
    m.frame('a', { type: 'carry', members, message: 'take' })
    expect(order(m.out).filter((type) => type !== 'transmit')).toEqual(['member', 'dial', 'view', 'message'])
    expect(only(m.out, 'message')).toEqual([{ type: 'message', from: B('a'), message: 'take' }])
  })

  it('does not change when a member comes and goes between two views', () => {
    const m = linkedWith('a')
    m.news('a', record('b'))
    m.news('a', record('c'))
    m.news('a', record('c', { phase: 'left' }))
    m.runTo(600)
    expect(m.state.view.number).toBe(3)
  })

  it('changes with what a member says of itself', () => {
    const m = linkedWith('a')
    m.step({ type: 'describe', info: { ...infoOf('me'), cordoned: true } })
    expect(m.state.view.members.find((info) => info.name === 'me')?.cordoned).toBe(true)
    expect(sent(m.out, 'news')[0]?.frame.members[0]).toMatchObject({ incarnation: 1, info: { cordoned: true } })
    expect(() => m.step({ type: 'describe', info: infoOf('other') })).toThrow('cannot change')
  })
})

describe('messages', () => {
  it('go straight over a link, with the members when they are to be carried', () => {
    const m = linkedWith('a')
    m.news('a', record('x', { phase: 'down' }), record('l', { phase: 'leaving' }))
    m.step({ type: 'send', to: B('a'), message: 1, carry: false, relay: false })
    expect(m.out).toEqual([{ type: 'transmit', to: B('a'), frame: { type: 'message', message: 1 } }])
    m.step({ type: 'send', to: B('a'), message: 2, carry: true, relay: false })
    expect(sent(m.out, 'carry')[0]?.frame.members.map((r) => r.info.name)).toEqual(['me', 'a', 'l'])
  })

  it('go through a neighbour that is not leaving when there is no link', () => {
    const m = linkedWith('a', 'l')
    m.news('l', record('l', { phase: 'leaving' }), record('c'))
    for (let i = 0; i < 20; i++) {
      m.step({ type: 'send', to: B('c'), message: i, carry: true, relay: true })
      expect(sent(m.out, 'relay')[0]).toMatchObject({ to: B('a'), frame: { from: B('me'), to: B('c'), message: i } })
    }
  })

  it('are dropped without a link when they may not be relayed', () => {
    const m = linkedWith('a')
    expect(only(m.step({ type: 'send', to: B('c'), message: 1, carry: true, relay: false }), 'dropped')).toHaveLength(1)
    expect(only(m.step({ type: 'send', to: B('me'), message: 1, carry: true, relay: true }), 'dropped')).toHaveLength(1)
  })

  it('are passed on once, and only to a direct neighbour', () => {
    const m = linkedWith('a', 'b')
    const frame = { type: 'relay' as const, from: B('a'), to: B('b'), members: [], message: 'm' }
    expect(m.frame('a', frame)).toEqual([{ type: 'transmit', to: B('b'), frame }])
    expect(only(m.frame('b', { ...frame, to: B('a'), from: B('a') }), 'dropped')[0]?.reason).toBe('relayed twice')
    expect(only(m.frame('a', { ...frame, to: B('z') }), 'dropped')[0]?.reason).toBe('no link to relay on')
  })

  it('are delivered under the name of their maker', () => {
    const m = linkedWith('a')
    const members = [record('c'), record('me', { phase: 'joining' })]
    m.frame('a', { type: 'relay', from: B('c'), to: B('me'), members, message: 'm' })
    expect(only(m.out, 'message')).toEqual([{ type: 'message', from: B('c'), message: 'm' }])
    expect(order(m.out).indexOf('view')).toBeLessThan(order(m.out).indexOf('message'))
  })

  it('of a boot that is down, or that nobody knows, are dropped', () => {
    const m = linkedWith('a')
    m.news('a', record('x', { phase: 'down' }))
    const frame = { type: 'relay' as const, to: B('me'), members: [], message: 'm' }
    expect(only(m.frame('a', { ...frame, from: B('x') }), 'dropped')[0]?.reason).toBe('gone sender')
    expect(only(m.frame('a', { ...frame, from: B('q') }), 'dropped')[0]?.reason).toBe('unknown sender')
    expect(only(m.frame('q', { type: 'ping', seq: 1 }), 'dropped')[0]?.reason).toBe('no link')
  })
})

describe('leaving', () => {
  it('is announced under a higher incarnation and takes us out of our own view at once', () => {
    const m = linkedWith('a', 'b')
    m.news('a', record('b', { suspect: true }))
    m.step({ type: 'leave' })
    expect(m.state.self).toMatchObject({ phase: 'leaving', incarnation: 1 })
    expect(sent(m.out, 'news').map((news) => news.to)).toEqual([B('a'), B('b')])
    expect(m.names()).toEqual(['a', 'b'])
  })

  it('ends all dialling, in both directions', () => {
    const m = linkedWith('a', 'b')
    m.news('b', record('b', { phase: 'leaving' }))
    m.unlink('b', true)
    expect(order(m.out)).toEqual(['unlinked'])
    m.step({ type: 'leave' })
    m.unlink('a', true)
    expect(only(m.step({ type: 'discovered', addresses: addresses(['z']) }), 'dial')).toEqual([])
    expect(only(m.runTo(20_000), 'dial')).toEqual([])
  })

  it('ends with left, bye and closed links, and then the machine is still', () => {
    const m = linkedWith('a')
    m.step({ type: 'leave' })
    m.step({ type: 'bye' })
    expect(order(m.out)).toEqual(['member', 'transmit', 'transmit', 'close', 'unlinked'])
    expect(sent(m.out, 'news')[0]?.frame.members[0]?.phase).toBe('left')
    expect(sent(m.out, 'bye')).toHaveLength(1)
    expect(membershipDeadline(m.state)).toBe(Infinity)
    expect(m.step({ type: 'wake' })).toEqual([])
  })

  it('of a peer ends with its bye: left, never suspected, link closed', () => {
    const m = linkedWith('a', 'b')
    m.frame('a', { type: 'bye' })
    expect(m.phase('a')).toBe('left')
    expect(only(m.out, 'close')).toEqual([{ type: 'close', boot: B('a'), reason: 'left' }])
    expect(m.names()).toEqual(['b', 'me'])
    m.news('b', record('a', { suspect: true, incarnation: 3 }))
    expect(m.state.suspicions.size).toBe(0)
  })

  it('learned from a third member does not cut the last frames of the leaver short', () => {
    const m = linkedWith('a', 'b')
    m.news('b', record('a', { phase: 'left' }))
    expect(m.state.links.has(B('a'))).toBe(true)
    expect(only(m.frame('a', { type: 'message', message: 'last' }), 'message')).toHaveLength(1)
    expect(order(m.frame('a', { type: 'bye' }))).toEqual(['close', 'unlinked'])
  })

  it('without a bye ends as down all the same', () => {
    const m = linkedWith('a')
    m.news('a', record('a', { phase: 'leaving', incarnation: 1 }))
    m.unlink('a', true)
    m.runTo(10_000)
    expect(m.phase('a')).toBe('down')
  })
})

describe('dialling', () => {
  it('retries for ever, with a growing, jittered wait up to the maximum', () => {
    const m = new Machine()
    m.step({ type: 'discovered', addresses: addresses(['a']) })
    const waits: number[] = []
    for (let i = 0; i < 12; i++) {
      const from = m.now
      m.dialled('a', 'failed')
      while (only(m.out, 'dial').length === 0) {
        m.now = membershipDeadline(m.state)
        m.step({ type: 'wake' })
      }
      waits.push(m.now - from)
    }
    waits.forEach((wait, i) => {
      const backoff = Math.min(100 * 2 ** i, 2000)
      expect(wait).toBeGreaterThanOrEqual(backoff / 2)
      expect(wait).toBeLessThanOrEqual(backoff)
    })
  })

  it('does not dial a member again while a dial of its address is in flight', () => {
    const m = linkedWith('a')
    expect(only(m.news('a', record('c')), 'dial')).toHaveLength(1)
    expect(only(m.frame('a', { type: 'refused', subject: B('c') }), 'dial')).toEqual([])
    m.dialled('c', 'failed')
    expect(only(m.frame('a', { type: 'refused', subject: B('c') }), 'dial')).toHaveLength(1)
  })

  it('has one dial in flight per address and logs a failure once', () => {
    const m = new Machine()
    m.step({ type: 'discovered', addresses: addresses(['a']) })
    expect(only(m.out, 'dial')).toHaveLength(1)
    expect(only(m.step({ type: 'discovered', addresses: addresses(['a']) }), 'dial')).toEqual([])
    expect(only(m.dialled('a', 'refused'), 'log')).toHaveLength(1)
    m.runTo(100)
    expect(only(m.dialled('a', 'refused'), 'log')).toEqual([])
  })

  it('never dials its own address, and one that led to itself seldom: it may stand for many', () => {
    const m = new Machine()
    m.step({ type: 'discovered', addresses: [...addresses(['me']), 'localhost:1'] })
    expect(only(m.out, 'dial').map((dial) => dial.address)).toEqual(['localhost:1'])
    m.step({ type: 'dialled', address: 'localhost:1', outcome: 'self' })
    m.step({ type: 'discovered', addresses: [...addresses(['me']), 'localhost:1'] })
    expect(only(m.runTo(900), 'dial')).toEqual([])
    expect(only(m.runTo(60_000), 'dial').map((dial) => dial.address)).toEqual(['localhost:1'])
  })

  it('pauses between the dials of a peer that accepts and closes, longer each time', () => {
    const m = linkedWith('a')
    let dials = 0
    for (let i = 0; i < 200; i++) {
      m.unlink('a', true)
      dials += only(m.out, 'dial').length + only(m.runTo(m.now + 50), 'dial').length
      m.link('a')
      m.dialled('a', 'linked', B('a'))
    }
    expect(dials).toBeLessThan(15)
  })

  it('keeps nothing of the links of those who are gone', () => {
    const m = linkedWith('a')
    for (let i = 0; i < 100; i++) {
      const name = `n${i}`
      m.link(name)
      m.unlink(name, true)
      m.link(name)
      m.dialled(name, 'linked', B(name))
      m.frame(name, { type: 'bye' })
    }
    expect([...m.state.linkedAt.keys()]).toEqual([B('a')])
    expect([...m.state.dials.values()].filter((dial) => !dial.inFlight)).toEqual([])
  })

  it('forgets an address that vanished from discovery, but keeps one that a member has, and cuts no link', () => {
    const m = linkedWith('a')
    m.step({ type: 'discovered', addresses: addresses(['a', 'x', 'y']) })
    m.news('a', record('y'))
    m.dialled('x', 'failed')
    m.dialled('y', 'failed')
    m.step({ type: 'discovered', addresses: [] })
    expect(only(m.out, 'close')).toEqual([])
    const dialled = only(m.runTo(5000), 'dial').map((dial) => dial.address)
    expect(new Set(dialled)).toEqual(new Set(addresses(['y'])))
    expect(m.state.dials.size).toBe(1)
    expect(m.state.links.has(B('a'))).toBe(true)
  })

  it('redials a link that broke, and stops when it is back', () => {
    const m = linkedWith('a', 'b')
    m.unlink('a', false)
    m.runTo(400)
    expect(only(m.out, 'dial').map((dial) => dial.address)).toEqual(addresses(['a']))
    m.link('a')
    m.dialled('a', 'linked', B('a'))
    expect(only(m.runTo(2_000), 'dial').map((dial) => dial.address)).not.toContain(infoOf('a').address)
  })
})

describe('the join gate', () => {
  it('stays shut as long as there is a cluster that holds our name to be taken', () => {
    const m = new Machine({ discovery: true })
    m.step({ type: 'discovered', addresses: addresses(['a']) })
    m.dialled('a', 'taken')
    for (let second = 1; second <= 30; second++) {
      const out = m.runTo(second * 1000)
      expect(only(out, 'gateOpen')).toEqual([])
      if (only(out, 'dial').length > 0) m.dialled('a', 'taken')
    }
    m.link('a')
    m.dialled('a', 'linked', B('a'))
    expect(m.state.gate).toBe('open')
  })

  it('is open from the first step when no discovery is configured', () => {
    const m = new Machine()
    expect(only(m.step({ type: 'wake' }), 'gateOpen')).toHaveLength(1)
    expect(only(m.runTo(10_000), 'gateOpen')).toEqual([])
  })

  it('opens when every address has had its outcome and a member was met', () => {
    const m = new Machine({ discovery: true })
    m.step({ type: 'discovered', addresses: addresses(['me', 'a', 'b', 'c']) })
    m.link('a')
    m.dialled('a', 'linked', B('a'))
    m.dialled('b', 'refused')
    expect(m.state.gate).toBe('shut')
    m.link('c')
    expect(only(m.out, 'gateOpen')).toHaveLength(1)
    expect(m.state.gate).toBe('open')
  })

  it('is held by silent addresses for a second once a member is met', () => {
    const m = new Machine({ discovery: true })
    m.step({ type: 'discovered', addresses: addresses(['a', 'b']) })
    m.now = 40
    m.link('a')
    m.dialled('a', 'linked', B('a'))
    m.runTo(1039)
    expect(m.state.gate).toBe('shut')
    m.runTo(1040)
    expect(only(m.out, 'gateOpen')[0]?.reason).toBe('some addresses stay silent')
  })

  it('stays shut for three seconds when nobody answers, asking discovery again every 100 ms', () => {
    const m = new Machine({ discovery: true })
    m.now = 500
    m.step({ type: 'discovered', addresses: [] })
    m.runTo(3499)
    expect(m.state.gate).toBe('shut')
    expect(only(m.out, 'refresh').length).toBe(29)
    m.runTo(3500)
    expect(only(m.out, 'gateOpen')[0]?.reason).toBe('nobody was met')
  })

  it('asks again when every address was tried in vain, and not before', () => {
    const m = new Machine({ discovery: true })
    m.step({ type: 'discovered', addresses: addresses(['a', 'b']) })
    m.dialled('a', 'refused')
    m.runTo(1000)
    expect(only(m.out, 'refresh')).toEqual([])
    expect(only(m.dialled('b', 'failed'), 'refresh')).toHaveLength(1)
  })

  it('counts its time from the first answer of discovery, or from the start if there is none', () => {
    const m = new Machine({ discovery: true })
    m.runTo(2999)
    expect(m.state.gate).toBe('shut')
    m.runTo(3000)
    expect(m.state.gate).toBe('open')
  })
})

describe('a formation', () => {
  const joining = { phase: 'joining' as const }
  /** Starts, hears of these addresses, and meets each that starts as well. */
  function starting(formation: Partial<Formation>, ...names: string[]): Machine {
    const m = new Machine({ discovery: true, formation })
    m.step({ type: 'discovered', addresses: addresses(names) })
    for (const name of names) {
      m.link(name, joining)
      m.dialled(name, 'linked', B(name))
    }
    return m
  }

  it('is met when as many are there as expected, and have been for the stable time', () => {
    const m = starting({ expect: 3 }, 'a', 'b')
    m.runTo(999)
    expect(m.state.gate).toBe('shut')
    m.runTo(1000)
    expect(m.state.gate).toBe('open')
  })

  it('counts anew when somebody comes or goes', () => {
    const m = starting({ expect: 3 }, 'a', 'b')
    m.runTo(900)
    m.link('c', joining)
    m.runTo(1899)
    expect(m.state.gate).toBe('shut')
    m.step({ type: 'frame', from: B('c'), frame: { type: 'bye' } })
    m.runTo(2898)
    expect(m.state.gate).toBe('shut')
    m.runTo(2899)
    expect(m.state.gate).toBe('open')
  })

  it('keeps a node waiting that has met too few, looking for others all the time, long after the gate’s own time', () => {
    const m = starting({ expect: 3 }, 'a')
    const out = m.runTo(50_000)
    expect(m.state.gate).toBe('shut')
    expect(only(out, 'refresh').length).toBeGreaterThan(40)
    expect(only(out, 'refresh').length).toBeLessThan(60)
    expect(only(out, 'gateOpen')).toEqual([])
  })

  it('is nothing to a newcomer where a cluster exists already', () => {
    const m = starting({ expect: 5 }, 'a')
    m.link('b', { phase: 'up' })
    m.runTo(1000)
    expect(m.state.gate).toBe('open')
  })

  it('that is not met in time is told once, and met later all the same', () => {
    const m = starting({ expect: 3, withinMs: 2000, stableMs: 100 }, 'a')
    const out = m.runTo(2500)
    expect(only(out, 'notFormed')).toEqual([{ type: 'notFormed', members: 2 }])
    expect(m.state.gate).toBe('shut')
    m.link('b', joining)
    m.runTo(2600)
    expect(m.state.gate).toBe('open')
  })

  it('that may be done without is given up after its time', () => {
    const m = starting({ expect: 3, withinMs: 5000, otherwise: 'continue' }, 'a')
    m.runTo(4999)
    expect(m.state.gate).toBe('shut')
    const out = m.runTo(5000)
    expect(m.state.gate).toBe('open')
    expect(only(out, 'notFormed')).toEqual([])
  })

  it('holds a node that nobody helps to find others, too', () => {
    const m = new Machine({ formation: { expect: 2 } })
    m.runTo(10_000)
    expect(m.state.gate).toBe('shut')
    m.link('a', joining)
    m.runTo(11_000)
    expect(m.state.gate).toBe('open')
  })

  it('that is met has nothing to say when its time is over, and the gate, which waits for dials, is not due for that', () => {
    const m = new Machine({ discovery: true, formation: { expect: 1, stableMs: 0, withinMs: 500 } })
    m.step({ type: 'discovered', addresses: addresses(['a']) })
    for (m.now = 400; m.now < 2900; m.now += 100) {
      expect(only(m.step({ type: 'wake' }), 'notFormed')).toEqual([])
      expect(membershipDeadline(m.state)).toBeGreaterThan(m.now)
    }
    expect(m.state.gate).toBe('shut')
    m.runTo(3000)
    expect(m.state.gate).toBe('open')
  })

  it('is over with the first boot: who rejoins joins a cluster', () => {
    const m = starting({ expect: 3, stableMs: 0 }, 'a', 'b')
    const news = { type: 'news' as const, members: [record('me', { phase: 'down' })] }
    m.step({ type: 'frame', from: B('a'), frame: news })
    m.step({ type: 'rejoin', boot: 'boot-of-me-again', startedAt: 1 })
    expect(m.state.config.formation).toBeUndefined()
  })
})

describe('the detector', () => {
  /** Runs to the next probe of `a` and returns its number. */
  function probed(m: Machine, name = 'a'): number {
    for (let i = 0; i < 50; i++) {
      m.now = membershipDeadline(m.state)
      m.step({ type: 'wake' })
      const ping = sent(m.out, 'ping').find((frame) => frame.to === B(name))
      if (ping) return ping.frame.seq
      for (const other of sent(m.out, 'ping'))
        m.step({ type: 'frame', from: other.to, frame: { type: 'ack', seq: other.frame.seq } })
    }
    throw new Error('never probed')
  }

  it('answers a ping at once', () => {
    const m = linkedWith('a')
    expect(m.frame('a', { type: 'ping', seq: 5 })).toEqual([
      { type: 'transmit', to: B('a'), frame: { type: 'ack', seq: 5 } },
    ])
  })

  it('probes every member once in each round', () => {
    const names = ['a', 'b', 'c', 'd', 'e']
    const m = linkedWith(...names)
    for (let round = 0; round < 4; round++) {
      const probedNow: string[] = []
      while (probedNow.length < names.length) {
        m.now = membershipDeadline(m.state)
        for (const { to, frame } of sent(m.step({ type: 'wake' }), 'ping')) {
          probedNow.push(to)
          m.step({ type: 'frame', from: to, frame: { type: 'ack', seq: frame.seq } })
        }
      }
      // The first round began with members that came while it ran.
      if (round > 0) expect(probedNow.sort()).toEqual(names.map(B))
    }
  })

  it('asks three others when there is no ack, and is content with one of theirs', () => {
    const m = linkedWith('a', 'b', 'c', 'd', 'e')
    const seq = probed(m)
    m.runTo(m.now + 500)
    const asked = sent(m.out, 'pingReq')
    expect(asked).toHaveLength(3)
    expect(asked.every(({ frame, to }) => frame.seq === seq && frame.subject === B('a') && to !== B('a'))).toBe(true)
    m.step({ type: 'frame', from: asked[0]?.to ?? '', frame: { type: 'pingReqAck', seq, ok: true } })
    m.runTo(m.now + 1000)
    expect(m.phase('a')).toBe('up')
  })

  it('gives no verdict before what was in the sockets has been read', () => {
    const m = linkedWith('a')
    const seq = probed(m)
    m.now += 500
    m.step({ type: 'wake' })
    m.now += 500
    const [defer] = only(m.step({ type: 'wake' }), 'defer')
    m.frame('a', { type: 'ack', seq })
    m.step({ type: 'verdict', token: defer?.token ?? 0, waitedMs: 0 })
    expect(m.phase('a')).toBe('up')
  })

  it('suspects a silent member, tells all, and declares it down when the suspicion runs out', () => {
    const m = linkedWith('a')
    probed(m)
    const from = m.now
    m.runTo(from + 1000)
    expect(m.phase('a')).toBe('up?')
    expect(sent(m.out, 'news')).toMatchObject([{ to: B('a'), frame: { members: [{ suspect: true }] } }])
    m.runTo(from + 2999)
    expect(m.phase('a')).toBe('up?')
    m.runTo(from + 3000)
    expect(only(m.out, 'member')[0]).toMatchObject({ member: { phase: 'down' }, reason: 'suspected' })
    expect(m.names()).toEqual(['me'])
  })

  it('waits less long the more of the asked get no ack either', () => {
    const timeouts = [0, 1, 2, 3].map((nacks) => {
      const m = linkedWith('a', 'b', 'c', 'd', 'e')
      const seq = probed(m)
      m.runTo(m.now + 500)
      for (const { to } of sent(m.out, 'pingReq').slice(0, nacks)) {
        m.step({ type: 'frame', from: to, frame: { type: 'pingReqAck', seq, ok: false } })
        m.step({ type: 'frame', from: to, frame: { type: 'pingReqAck', seq, ok: false } })
      }
      m.runTo(m.now + 500)
      return Math.round((m.state.suspicions.get(B('a'))?.due ?? 0) - m.now)
    })
    expect(timeouts).toEqual([6000, 4000, 2830, 2000])
  })

  it('takes a confirmation that comes late for the end of the suspicion, not for a stall', () => {
    const m = linkedWith('a', 'b', 'c')
    m.news('b', record('a', { suspect: true }))
    m.now += 4000
    confirmSuspicion(m.state, B('a'), B('me'), m.now)
    confirmSuspicion(m.state, B('a'), B('c'), m.now)
    expect(m.state.suspicions.get(B('a'))?.due).toBe(m.now)
  })

  it('probes for others up to its bound', () => {
    const m = linkedWith('a', 'b')
    for (let seq = 1; seq <= 256; seq++) m.frame('a', { type: 'pingReq', seq, subject: B('b') })
    m.frame('a', { type: 'pingReq', seq: 257, subject: B('b') })
    expect(only(m.out, 'dropped').map((output) => output.reason)).toEqual(['too many probes for others'])
  })

  it('says it again to a suspect that probes us: what it was told before may be lost', () => {
    const m = linkedWith('a', 'b')
    m.news('b', record('a', { suspect: true }))
    m.frame('a', { type: 'ping', seq: 5 })
    expect(only(m.out, 'transmit').filter(({ to }) => to === B('a'))).toEqual([
      { type: 'transmit', to: B('a'), frame: { type: 'ack', seq: 5 } },
      { type: 'transmit', to: B('a'), frame: { type: 'news', members: [record('a', { suspect: true })] } },
    ])
    m.news('a', record('a', { incarnation: 1 }))
    m.frame('a', { type: 'ping', seq: 6 })
    expect(sent(m.out, 'news').filter(({ to }) => to === B('a'))).toEqual([])
  })

  it('clears a suspicion when the subject refutes, and says it again to a suspect that it probes', () => {
    const m = linkedWith('a', 'b')
    m.news('b', record('a', { suspect: true }))
    probed(m)
    expect(sent(m.out, 'news')[0]).toMatchObject({ to: B('a'), frame: { members: [{ suspect: true }] } })
    m.news('a', record('a', { incarnation: 1 }))
    expect(m.phase('a')).toBe('up')
    expect(m.state.suspicions.size).toBe(0)
  })

  it('probes for others and answers with what it found', () => {
    const m = linkedWith('a', 'b')
    const [ping] = sent(m.frame('a', { type: 'pingReq', seq: 9, subject: B('b') }), 'ping')
    expect(ping?.to).toBe(B('b'))
    m.frame('b', { type: 'ack', seq: ping?.frame.seq ?? 0 })
    expect(m.out).toEqual([{ type: 'transmit', to: B('a'), frame: { type: 'pingReqAck', seq: 9, ok: true } }])
    m.frame('a', { type: 'pingReq', seq: 10, subject: B('b') })
    expect(sent(m.runTo(m.now + 400), 'pingReqAck')).toEqual([
      { to: B('a'), frame: { type: 'pingReqAck', seq: 10, ok: false } },
    ])
    expect(sent(m.frame('a', { type: 'pingReq', seq: 11, subject: B('q') }), 'pingReqAck')[0]?.frame.ok).toBe(false)
  })

  it('takes an ack from nobody but the subject', () => {
    const m = linkedWith('a', 'b')
    const seq = probed(m)
    m.frame('b', { type: 'ack', seq })
    expect(m.state.probes.has(seq)).toBe(true)
  })

  it('leaves a member known by hearsay in peace until its first dial has had an outcome', () => {
    const m = linkedWith('a')
    m.news('a', record('c'))
    const seen: string[] = []
    for (let i = 0; i < 10; i++) {
      m.now = membershipDeadline(m.state)
      m.step({ type: 'wake' })
      for (const { frame } of sent(m.out, 'pingReq')) seen.push(frame.subject)
      for (const { frame } of sent(m.out, 'ping')) m.frame('a', { type: 'ack', seq: frame.seq })
    }
    expect(seen).toEqual([])
    m.dialled('c', 'failed')
    for (let i = 0; i < 10; i++) {
      m.now = membershipDeadline(m.state)
      m.step({ type: 'wake' })
      for (const { frame } of sent(m.out, 'pingReq')) seen.push(frame.subject)
      for (const { frame } of sent(m.out, 'ping')) m.frame('a', { type: 'ack', seq: frame.seq })
    }
    expect(seen).toContain(B('c'))
  })

  it('gives no verdict from a timer that fired late, and trusts itself less', () => {
    const m = linkedWith('a')
    probed(m)
    m.now += 900
    m.step({ type: 'wake' })
    expect(only(m.out, 'defer')).toEqual([])
    expect(sent(m.out, 'pingReq')).toEqual([])
    expect(m.state.health).toBe(1)
    expect(m.phase('a')).toBe('up')
  })

  it('gives no verdict either when the stall lies between timer and verdict', () => {
    const m = linkedWith('a')
    probed(m)
    m.now += 500
    m.step({ type: 'wake' })
    m.now += 500
    const [defer] = only(m.step({ type: 'wake' }), 'defer')
    m.now += 5000
    m.step({ type: 'verdict', token: defer?.token ?? 0, waitedMs: 0 })
    expect(m.phase('a')).toBe('up')
    expect(membershipDeadline(m.state)).toBeLessThan(Infinity)
  })

  it('finds who is silent within a bound also where each verdict waits long until what others sent is read', () => {
    const m = linkedWith('a')
    probed(m)
    const from = m.now
    const waitedMs = 500
    const verdicts: { at: number; token: number }[] = []
    while (m.phase('a') !== 'down' && m.now < from + 60_000) {
      const [next] = verdicts
      const due = membershipDeadline(m.state)
      m.now = Math.max(m.now, Math.min(due, next?.at ?? Infinity))
      if (next !== undefined && next.at <= m.now) m.step({ type: 'verdict', token: next.token, waitedMs })
      else m.step({ type: 'wake' })
      if (next !== undefined && next.at <= m.now) verdicts.shift()
      for (const { token } of only(m.out, 'defer')) verdicts.push({ at: m.now + waitedMs, token })
    }
    expect(m.phase('a')).toBe('down')
    expect(m.now - from).toBeLessThan(1000 + 6000 + 3 * waitedMs)
  })

  it('declares nobody down after a stall as long as a suspicion', () => {
    const m = linkedWith('a', 'b')
    m.news('b', record('a', { suspect: true }))
    m.now += 60_000
    m.step({ type: 'wake' })
    expect(only(m.out, 'defer')).toEqual([])
    m.news('a', record('a', { incarnation: 1 }))
    expect(m.phase('a')).toBe('up')
  })

  it('stretches interval and timeout by its local health, and gets well by good probes', () => {
    const m = linkedWith('a')
    m.state.health = 2
    const seq = probed(m)
    const from = m.now
    expect(detectorDue(m.state)).toBe(from + 1500)
    // It is woken each probe period all the same: a gap between two steps must not hide behind a stretched one.
    expect(membershipDeadline(m.state)).toBe(from + 1000)
    m.frame('a', { type: 'ack', seq })
    expect(m.state.health).toBe(1)
    expect(detectorDue(m.state)).toBe(from + 3000)
    m.runTo(from + 3000)
    expect(detectorDue(m.state)).toBe(from + 4000)
  })

  it('loses health by each missing nack, never past 7', () => {
    const m = linkedWith('a', 'b', 'c', 'd', 'e')
    const seq = probed(m)
    m.runTo(m.now + 500)
    const [first] = sent(m.out, 'pingReq')
    m.step({ type: 'frame', from: first?.to ?? '', frame: { type: 'pingReqAck', seq, ok: false } })
    m.runTo(m.now + 500)
    expect(m.state.health).toBe(2)
    m.runTo(m.now + 100_000)
    expect(m.state.health).toBeLessThanOrEqual(7)
  })
})

describe('the proof by refusal', () => {
  it('dials and probes through others at once when the far end closes', () => {
    const m = linkedWith('a', 'b', 'c')
    m.unlink('a', true)
    expect(only(m.out, 'dial').map((dial) => dial.address)).toEqual(addresses(['a']))
    expect(sent(m.out, 'pingReq').map(({ frame }) => frame.subject)).toEqual([B('a'), B('a')])
  })

  it('is dropped, and the probe through others with it, when the member is back', () => {
    const m = linkedWith('a', 'b')
    m.unlink('a', true)
    const [asked] = sent(m.out, 'pingReq')
    expect(m.state.probes.has(asked?.frame.seq ?? 0)).toBe(true)
    m.link('a')
    expect(m.state.probes.has(asked?.frame.seq ?? 0)).toBe(false)
    expect(m.state.absences.size).toBe(0)
  })

  it('needs our refusal and that of a second member', () => {
    const m = linkedWith('a', 'b', 'c')
    m.unlink('a', true)
    m.dialled('a', 'refused')
    expect(sent(m.out, 'refused')).toEqual(
      [B('b'), B('c')].map((to) => ({ to, frame: { type: 'refused', subject: B('a') } })),
    )
    expect(m.phase('a')).toBe('up')
    m.frame('b', { type: 'refused', subject: B('a') })
    expect(only(m.out, 'member')[0]).toMatchObject({ member: { phase: 'down' }, reason: 'refused' })
    expect(order(m.out).at(-1)).toBe('view')
    expect(sent(m.out, 'news').map(({ to, frame }) => [to, frame.members[0]?.phase])).toEqual([
      [B('b'), 'down'],
      [B('c'), 'down'],
    ])
    expect(m.names()).toEqual(['b', 'c', 'me'])
  })

  it('works as well when the other was refused before us', () => {
    const m = linkedWith('a', 'b')
    m.frame('b', { type: 'refused', subject: B('a') })
    expect(only(m.out, 'dial')).toEqual([])
    m.unlink('a', true)
    m.dialled('a', 'refused')
    expect(m.phase('a')).toBe('down')
  })

  it('needs no second where there is no other member to be refused', () => {
    const m = linkedWith('a', 'l')
    m.news('l', record('l', { phase: 'leaving' }))
    m.unlink('a', true)
    m.dialled('a', 'refused')
    expect(m.phase('a')).toBe('down')
  })

  it('is no proof when the link broke on our side, or the dial failed otherwise', () => {
    const m = linkedWith('a')
    m.unlink('a', false)
    m.runTo(400)
    m.dialled('a', 'refused')
    expect(m.phase('a')).toBe('up')
    const n = linkedWith('a')
    n.unlink('a', true)
    n.dialled('a', 'failed')
    expect(n.phase('a')).toBe('up')
  })

  it('is void once the member is linked again, and a report lapses', () => {
    const m = linkedWith('a', 'b')
    m.unlink('a', true)
    m.dialled('a', 'refused')
    m.link('a')
    m.frame('b', { type: 'refused', subject: B('a') })
    expect(m.phase('a')).toBe('up')
    m.now += 6001
    m.unlink('a', true)
    m.dialled('a', 'refused')
    expect(m.phase('a')).toBe('up')
  })

  it('is looked for by a member without a link when another tells of a refusal', () => {
    const m = linkedWith('b')
    m.news('b', record('a'))
    m.dialled('a', 'failed')
    m.frame('b', { type: 'refused', subject: B('a') })
    expect(only(m.out, 'dial').map((dial) => dial.address)).toEqual(addresses(['a']))
    m.dialled('a', 'refused')
    expect(sent(m.out, 'refused')).toHaveLength(1)
    expect(m.phase('a')).toBe('up')
  })

  it('is also another boot that answers at the address under the same name', () => {
    const m = linkedWith('b')
    m.news('b', record('a'), { ...record('a'), info: infoOf('a', 'boot-a2') })
    m.link('a', { boot: 'boot-a2' })
    expect(m.phase('a')).toBe('down')
    const n = linkedWith('b')
    n.link('a', { boot: 'boot-a2' })
    n.news('b', record('a'))
    expect(only(n.out, 'dial').map((dial) => dial.address)).toEqual(addresses(['a']))
    n.dialled('a', 'linked', 'boot-a2')
    expect(only(n.out, 'member')[0]).toMatchObject({ member: { phase: 'down' }, reason: 'restarted' })
  })

  it('is no later boot than the one that answered when that answer is told of late', () => {
    const m = linkedWith('b')
    m.link('a', { startedAt: 1000 })
    m.news('b', { ...record('a'), info: { ...infoOf('a', 'boot-0'), startedAt: 2000 } })
    m.dialled('a', 'linked')
    expect(m.state.members.get('boot-0')).toMatchObject({ phase: 'up' })
  })
})
