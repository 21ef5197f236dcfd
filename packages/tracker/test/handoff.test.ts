/** Handing a placed process over: who has it at each moment, whatever is lost, late or dead meanwhile. */

import { describe, expect, test } from 'vitest'
import { membersOf, type Pid, ring as rings, type TrackerLimits, type TrackerMessage } from '../src/core/index.js'
import type { NameEvent } from '../src/core/messages.js'
import type { Rebalance } from '../src/core/state.js'
import { EventStreams } from '../src/events.js'
import { noNames } from './sources.js'
import { ring, Trackers, tell } from './trackers.js'

const STATE = Uint8Array.of(1, 2, 3)

/** Names whose slots this node owns. */
function ownedBy(net: Trackers, owner: string, count = 1): string[] {
  const { table } = net.state(owner)
  const names: string[] = []
  for (let i = 0; names.length < count; i++) {
    const name = `name-${i}`
    if (table !== undefined && rings.ownerOf(table, rings.slotOf(name, ring.slots)) === owner) names.push(name)
  }
  return names
}

function started(names: readonly string[], limits: Partial<TrackerLimits> = {}, rebalance?: Rebalance): Trackers {
  const net = new Trackers(limits, rebalance)
  net.add(names)
  net.pass(100)
  return net
}

/** What shells do with what their machines ask for. Returns the names made from a state. */
function runShells(net: Trackers, does: { exports?: boolean; makes?: boolean } = {}): string[] {
  const made: string[] = []
  net.serve({
    activate: (node, { ask, name, state }) => {
      if (state !== undefined) made.push(name)
      if (does.makes === false && state !== undefined)
        net.input(node, { type: 'abandon', ask, code: 'ERR_INIT_FAILED', text: 'not this state' })
      else net.input(node, { type: 'commit', ask, pid: 1000 + Math.abs(ask) })
    },
    export: (node, { pid, name, number }) => {
      if (does.exports === false)
        net.input(node, { type: 'exportFailed', pid, name, number, code: 'ERR_CANNOT_MOVE', text: 'it stays' })
      else net.input(node, { type: 'exported', pid, name, number, state: STATE })
    },
  })
  return made
}

/** A name that runs at `b`, whose slot `a` owns, of five nodes; `c` is where it goes. */
function placed(limits: Partial<TrackerLimits> = {}): { net: Trackers; name: string } {
  const net = started(['a', 'b', 'c', 'd', 'e'], limits)
  const [name] = ownedBy(net, 'a') as [string]
  net.input('d', { type: 'spawn', ask: 1, name, kind: 'counter', spec: [0], meta: 'old' })
  runShells(net)
  move(net, name, 'b')
  runShells(net)
  net.pass(300)
  expect(net.holder('d', name)).toBe('b')
  for (const given of net.given.values()) given.length = 0
  return { net, name }
}

let lastAsk = 100
function move(net: Trackers, name: string, to?: string): number {
  lastAsk += 1
  const boot = to === undefined ? undefined : net.boot(to)
  net.input('e', { type: 'request', ask: lastAsk, request: { type: 'move', name, to: boot } })
  return lastAsk
}

/** As far as the target's claim: what comes then is `frames` of this type, which the test holds back. */
function sent(net: Trackers, name: string): void {
  move(net, name, 'c')
  net.drain()
  const [output] = net.outputs('b', 'export')
  if (output === undefined) throw new Error('nothing is exported')
  net.given.set(net.boot('b'), [])
  net.input('b', { type: 'exported', pid: output.pid, name, number: output.number, state: STATE })
}

/** What a reader of the stream is told of these. */
async function toldOf(events: readonly NameEvent[]): Promise<NameEvent[]> {
  const streams = new EventStreams(noNames)
  const reader = streams.open({})[Symbol.asyncIterator]()
  for (const event of events) streams.push(event)
  streams.end()
  const told: NameEvent[] = []
  for (;;) {
    const { done, value } = await reader.next()
    if (done === true) return told
    if (value.type !== 'missed') told.push(value)
  }
}

const isHandoff = ({ type }: TrackerMessage): boolean => type === 'handoff'

describe('a handoff', () => {
  test('gives the name to the target, with a later stamp and a higher fence, and tells who asked when it is done', () => {
    const { net, name } = placed()
    const before = net.claim('d', name)
    const ask = move(net, name, 'c')
    expect(runShells(net)).toEqual([name])
    const after = net.claim('d', name)
    expect(after?.pid.node).toBe('c')
    expect(after?.fence).toBeGreaterThan(before?.fence ?? Number.POSITIVE_INFINITY)
    expect(after?.from).toEqual({ boot: net.boot('b'), seq: before?.seq })
    expect(after?.placed).toEqual(before?.placed)
    expect(after?.meta).toBe('old')
    expect(net.outputs('b', 'release').map(({ to }) => to.pid.node)).toEqual(['c'])
    expect(net.outputs('b', 'passed')).toHaveLength(1)
    expect(net.outputs('b', 'deactivate')).toEqual([])
    expect(net.outputs('e', 'done')).toEqual([{ type: 'done', ask }])
    expect(net.state('b').registry.logs.get(net.boot('b'))?.claims.size).toBe(0)
  })

  test('lets nobody see the name free: the old claim stands until all know the new one', () => {
    const { net, name } = placed()
    net.input('d', { type: 'watch', on: true })
    sent(net, name)
    const late: TrackerMessage[] = []
    net.filter = (message, to) => {
      const isPut = message.type === 'ops' && message.boot === net.boot('c') && to === net.boot('d')
      if (isPut) late.push(message)
      return !isPut
    }
    runShells(net)
    expect(net.outputs('b', 'release')).toHaveLength(1)
    expect(net.outputs('b', 'passed')).toEqual([])
    expect(net.holder('d', name)).toBe('b')
    net.filter = () => true
    net.pass(2_000)
    expect(net.outputs('b', 'passed')).toHaveLength(1)
    expect(net.outputs('d', 'event').map(({ event }) => event.type)).toEqual(['moved'])
  })

  test('is a move also where the clock’s lineage has changed since the process was started', () => {
    const { net, name } = placed()
    net.input('d', { type: 'watch', on: true })
    net.state('e').worn = true
    net.pass(3_000)
    const before = net.claim('d', name)
    move(net, name, 'c')
    runShells(net)
    net.pass(2_000)
    const after = net.claim('d', name)
    expect(after?.stamp.lineage).not.toEqual(before?.stamp.lineage)
    expect(net.outputs('d', 'event').map(({ event }) => event.type)).toEqual(['moved'])
  })

  test('that a member hears of only after the end of the old claim shows the name free there, and then as moved', async () => {
    const { net, name } = placed()
    const before = net.claim('d', name)
    net.input('d', { type: 'watch', on: true })
    sent(net, name)
    net.filter = (message, to) =>
      to !== net.boot('d') || !('boot' in message && message.boot === net.boot('c')) || message.type === 'known'
    runShells(net)
    net.pass(1_200)
    expect(net.holder('a', name)).toBe('c')
    expect(net.claim('d', name)).toBeUndefined()
    net.filter = () => true
    net.pass(5_000)
    const seen = net.outputs('d', 'event').map(({ event }) => event)
    expect(seen.map(({ type }) => type)).toEqual(['unregistered', 'registered'])
    const told = await toldOf(seen)
    expect(told.map(({ type }) => type)).toEqual(['unregistered', 'moved'])
    expect(told[1]).toMatchObject({ claim: { pid: { node: 'c' } }, previous: before })
  })

  test('waits for a member that says nothing no longer than a second', () => {
    const { net, name } = placed()
    sent(net, name)
    net.filter = (message, to) => !(message.type === 'known' && to === net.boot('d'))
    runShells(net)
    expect(net.outputs('b', 'passed')).toEqual([])
    net.pass(1_200)
    expect(net.outputs('b', 'passed')).toHaveLength(1)
  })

  test('waits as long as it takes for a member that puts the log of the target in place just now', () => {
    for (const slow of ['d', 'b']) {
      const { net, name } = placed()
      sent(net, name)
      const state = net.state(slow)
      let isOver = false
      const steps = { next: (): IteratorResult<undefined, undefined> => ({ done: isOver, value: undefined }) }
      const boot = net.boot('c')
      state.replacements.set(boot, { boot, from: boot, steps, buffered: [], bufferedOps: 0, followed: 0 })
      // Slices come with time alone.
      state.continuing = true
      runShells(net)
      if (slow === 'd') expect(net.outputs('b', 'release')).toHaveLength(1)
      net.pass(3_000)
      expect(net.holder(slow, name)).toBe('b')
      expect(net.outputs('b', 'passed')).toEqual([])
      isOver = true
      state.continuing = false
      net.pass(300)
      expect(net.holder(slow, name)).toBe('c')
      expect(net.outputs('b', 'passed')).toHaveLength(1)
    }
  })

  test('leaves the process where it is when it must not go, and when the target cannot make it', () => {
    const { net, name } = placed()
    const stays = move(net, name, 'c')
    runShells(net, { exports: false })
    expect(net.outputs('b', 'resume')).toHaveLength(1)
    const unmade = move(net, name, 'c')
    runShells(net, { makes: false })
    expect(net.outputs('b', 'resume')).toHaveLength(2)
    expect(net.outputs('e', 'refused').map(({ ask, code, text }) => [ask, code, text])).toEqual([
      [stays, 'ERR_CANNOT_MOVE', 'it stays'],
      [unmade, 'ERR_INIT_FAILED', 'not this state'],
    ])
    expect(net.holder('d', name)).toBe('b')
  })

  test('is taken back from the holder of the slot when the target says nothing: what it asks for later is void', () => {
    const { net, name } = placed()
    sent(net, name)
    const lost: TrackerMessage[] = []
    net.filter = (message) => {
      if (isHandoff(message)) lost.push(message)
      return !isHandoff(message)
    }
    net.pass(4_000)
    expect(net.outputs('b', 'resume')).toEqual([])
    const before = net.claim('d', name)
    net.pass(2_000)
    expect(net.outputs('b', 'resume')).toHaveLength(1)
    const after = net.claim('d', name)
    expect(after?.pid.equals(before?.pid)).toBe(true)
    expect(after?.fence).toBeGreaterThan(before?.fence ?? Number.POSITIVE_INFINITY)
    net.filter = () => true
    for (const message of lost) net.input('c', { type: 'message', from: net.boot('b'), message })
    expect(runShells(net)).toEqual([])
    expect(net.holder('d', name)).toBe('b')
  })

  test('is the target’s when that was granted first, though the source asks to have it back', () => {
    const { net, name } = placed()
    sent(net, name)
    // Its shell takes longer than the source has patience: the source's question waits behind the grant.
    net.pass(8_000)
    expect(net.state('b').handoffs.get(name)?.stage).toBe('retake')
    expect(net.outputs('b', 'resume')).toEqual([])
    runShells(net)
    expect(net.holder('d', name)).toBe('c')
    expect(net.outputs('b', 'release')).toHaveLength(1)
    expect(net.outputs('b', 'resume')).toEqual([])
  })

  test('that comes twice is not refused: by such an answer the process would go on here and there', () => {
    const { net, name } = placed()
    sent(net, name)
    const told = net.wires.find(({ message }) => isHandoff(message))?.message
    if (told === undefined) throw new Error('nothing is handed over')
    net.filter = (message, to) => !(message.type === 'ops' && message.boot === net.boot('c') && to === net.boot('b'))
    expect(runShells(net)).toEqual([name])
    net.input('c', { type: 'message', from: net.boot('b'), message: told })
    expect(runShells(net)).toEqual([])
    expect(net.outputs('b', 'resume')).toEqual([])
    net.filter = () => true
    net.pass(3000)
    expect(net.outputs('b', 'release')).toHaveLength(1)
    expect([net.outputs('b', 'resume'), net.outputs('b', 'deactivate')]).toEqual([[], []])
    expect(net.holder('d', name)).toBe('c')
  })

  test('whose process was stopped at the target, of which the source hears only then, is over: it does not go on here', () => {
    const { net, name } = placed()
    sent(net, name)
    const [b, c] = [net.boot('b'), net.boot('c')]
    net.filter = (message, to) => !(message.type === 'ops' && message.boot === c && to === b)
    expect(runShells(net)).toEqual([name])
    net.input('e', { type: 'request', ask: 999, request: { type: 'unregister', name } })
    net.drain()
    // Before its patience ends it is sent the log as it is by now, in which there is only the end.
    let whole = 0
    net.filter = (message, to) => {
      if (message.type === 'state' && message.boot === c && to === b) whole += message.claims.length === 0 ? 1 : 0
      return !(message.type === 'ops' && message.boot === c && to === b)
    }
    net.pass(4000)
    expect(whole).toBe(1)
    expect(net.outputs('b', 'resume')).toEqual([])
    expect(net.outputs('b', 'deactivate')).toMatchObject([{ name, reason: 'superseded', winner: undefined }])
    for (const at of ['a', 'b', 'c', 'd', 'e']) expect(net.holder(at, name)).toBeUndefined()
    expect(net.state('b').handoffs.size).toBe(0)
  })

  test('goes back to the source at once when the target dies before it has the name', () => {
    const { net, name } = placed()
    sent(net, name)
    net.drain()
    net.kill('c')
    net.pass(300)
    expect(net.outputs('b', 'resume')).toHaveLength(1)
    expect(net.holder('d', name)).toBe('b')
  })

  test('is started from its spec when the target dies after it has the name', () => {
    const { net, name } = placed()
    sent(net, name)
    runShells(net)
    net.pass(1_500)
    net.kill('c')
    net.pass(300)
    runShells(net)
    expect(net.outputs('b', 'resume')).toEqual([])
    expect(['a', 'b', 'd', 'e']).toContain(net.holder('d', name))
    expect(net.claim('d', name)?.from).toBeUndefined()
  })

  test('goes on though another start of the name, with a higher fence, was lost on the other side of a cut', () => {
    const { net, name } = placed()
    const high = (net.claim('a', name)?.fence ?? 0) + 5_000
    for (const at of ['a', 'b', 'c', 'd']) tell(net, at, 'e', 'put', name, high)
    net.kill('e')
    net.pass(5_000)
    expect(net.holder('d', name)).toBe('b')
    expect(net.state('a').registry.orphans.get(name)?.fence).toBe(high)
    net.input('d', { type: 'request', ask: 50, request: { type: 'move', name, to: net.boot('c') } })
    expect(runShells(net)).toEqual([name])
    net.pass(2_000)
    expect(net.outputs('d', 'done')).toEqual([{ type: 'done', ask: 50 }])
    expect(net.holder('d', name)).toBe('c')
    expect(net.claim('d', name)?.fence).toBeGreaterThan(high)
    expect(net.state('a').registry.orphans.size).toBe(0)
  })

  test('goes back also where its claim has risen meanwhile above what ended on the other side of a cut', () => {
    for (const when of ['sent', 'retake'] as const) {
      const { net, name } = placed()
      const high = (net.claim('a', name)?.fence ?? 0) + 5_000
      sent(net, name)
      net.drain()
      if (when === 'sent') tell(net, 'b', 'e', 'end', name, high)
      net.filter = ({ type }) => type !== 'grant'
      net.kill('c')
      net.drain()
      expect(net.state('b').handoffs.get(name)?.stage).toBe('retake')
      net.filter = () => true
      if (when === 'retake') tell(net, 'b', 'e', 'end', name, high)
      net.pass(8_000)
      expect(net.claim('d', name)).toMatchObject({ pid: { node: 'b' } })
      expect(net.claim('d', name)?.fence).toBeGreaterThan(high)
      expect(net.outputs('b', 'resume')).toHaveLength(1)
      expect(net.state('b').handoffs.size).toBe(0)
    }
  })

  test('keeps the state when the source dies once the target was granted the name', () => {
    const { net, name } = placed()
    sent(net, name)
    net.drain()
    net.kill('b')
    net.pass(500)
    expect(runShells(net)).toEqual([name])
    net.pass(500)
    expect(net.holder('d', name)).toBe('c')
    expect(net.claim('d', name)?.from?.boot).toBe(net.boot('b'))
  })

  test('does not bring back what its user stopped: whoever stops it meanwhile waits until it is there', () => {
    const { net, name } = placed()
    sent(net, name)
    net.input('d', { type: 'request', ask: 7, request: { type: 'unregister', name } })
    net.drain()
    expect(net.outputs('d', 'done')).toEqual([])
    runShells(net)
    net.pass(500)
    expect(net.outputs('d', 'done')).toEqual([{ type: 'done', ask: 7 }])
    net.pass(3_000)
    for (const at of ['a', 'b', 'c', 'd', 'e']) expect(net.holder(at, name)).toBeUndefined()
  })

  test('takes metadata that is changed meanwhile to the target', () => {
    const { net, name } = placed()
    sent(net, name)
    net.input('b', { type: 'request', ask: 7, request: { type: 'update', name, meta: 'new' } })
    runShells(net)
    net.pass(500)
    expect(net.outputs('b', 'done')).toEqual([{ type: 'done', ask: 7 }])
    expect(net.claim('e', name)).toMatchObject({ meta: 'new', pid: { node: 'c' } })
  })

  test('takes the groups of the process along', () => {
    const { net, name } = placed()
    const pid = net.claim('b', name)?.pid as Pid
    net.input('b', { type: 'request', ask: 7, request: { type: 'join', group: 'g', pid, meta: { size: 3 } } })
    sent(net, name)
    runShells(net)
    net.input('b', { type: 'gone', pid: pid.id })
    net.drain()
    const members = membersOf(net.state('e').registry, 'g')
    expect(members.map(({ pid: at, meta }) => [at.node, meta])).toEqual([['c', { size: 3 }]])
  })

  test('takes along what it joins and leaves meanwhile; everybody sees it once in each group', () => {
    const { net, name } = placed()
    const pid = net.claim('b', name)?.pid as Pid
    let ask = 7
    const group = (type: 'join' | 'quit', of: string): void => {
      const request = type === 'join' ? { type, group: of, pid, meta: undefined } : { type, group: of, pid }
      net.input('b', { type: 'request', ask: ++ask, request })
    }
    for (const of of ['kept', 'left']) group('join', of)
    sent(net, name)
    group('join', 'joined')
    group('quit', 'left')
    net.filter = ({ type }) => type !== 'knows'
    runShells(net)
    net.input('b', { type: 'gone', pid: pid.id })
    const isThere = (): void => {
      for (const at of ['a', 'b', 'c', 'd', 'e']) {
        const places = (of: string) => membersOf(net.state(at).registry, of).map((one) => one.pid.node)
        expect([places('kept'), places('joined'), places('left')]).toEqual([['c'], ['c'], []])
      }
    }
    net.drain()
    isThere()
    expect(net.outputs('b', 'passed')).toEqual([])
    group('join', 'late')
    expect(net.outputs('b', 'refused')).toMatchObject([{ ask, code: 'ERR_NO_PROCESS' }])
    net.pass(1_500)
    expect(net.outputs('b', 'passed')).toHaveLength(1)
    isThere()
    expect(net.state('b').groupsOf.size).toBe(0)
  })

  test('leaves no member behind where its old node goes on as another boot', () => {
    const { net, name } = placed()
    const pid = net.claim('b', name)?.pid as Pid
    net.input('b', { type: 'request', ask: 7, request: { type: 'join', group: 'g', pid, meta: undefined } })
    sent(net, name)
    net.filter = ({ type }) => type !== 'knows'
    runShells(net)
    net.input('b', { type: 'gone', pid: pid.id })
    expect(net.state('b').handoffs.get(name)?.stage).toBe('pass')
    net.lose('b')
    net.rejoin('b')
    net.pass(3_000)
    for (const at of ['a', 'b', 'c']) {
      expect(membersOf(net.state(at).registry, 'g').map((one) => one.pid.node)).toEqual(['c'])
    }
  })

  test('of a process that has only just come begins when its last source has passed on all', () => {
    const { net, name } = placed()
    sent(net, name)
    net.filter = ({ type }) => type !== 'knows'
    runShells(net)
    expect(net.outputs('b', 'passed')).toEqual([])
    move(net, name, 'd')
    net.drain()
    expect(net.outputs('c', 'export')).toEqual([])
    net.filter = () => true
    net.pass(500)
    expect(net.outputs('b', 'passed')).toHaveLength(1)
    runShells(net)
    expect(net.holder('a', name)).toBe('d')
  })

  test('uses no export that came too late: the process has gone on since', () => {
    const { net, name } = placed({ exportMs: 1000 })
    move(net, name, 'c')
    net.drain()
    const [first] = net.outputs('b', 'export')
    net.pass(1_200)
    expect(net.outputs('b', 'resume')).toHaveLength(1)
    net.pass(3_000)
    move(net, name, 'c')
    net.drain()
    const [, second] = net.outputs('b', 'export')
    net.input('b', { type: 'exported', pid: 1, name, number: first?.number ?? 0, state: STATE })
    expect(net.wires.filter(({ message }) => isHandoff(message))).toEqual([])
    net.input('b', { type: 'exported', pid: 1, name, number: second?.number ?? 0, state: STATE })
    expect(net.wires.filter(({ message }) => isHandoff(message))).toHaveLength(1)
  })

  test('is refused to a name that was not placed, and to a node that cannot run it', () => {
    const { net, name } = placed()
    net.add(['f'], { kinds: [] })
    net.input('d', { type: 'claim', ask: 5, name: 'bare', kind: 'counter', pid: 1 })
    net.pass(300)
    for (const [what, to] of [
      ['bare', 'a'],
      [name, 'f'],
    ] as const)
      move(net, what, to)
    net.drain()
    const texts = net.outputs('e', 'refused').map(({ code, text }) => `${code} ${text}`)
    expect(texts).toHaveLength(2)
    expect(texts.every((text) => text.startsWith('ERR_CANNOT_MOVE'))).toBe(true)
    expect(texts.join()).toMatch(/not placed.*cannot run it/)
  })

  test('to where it is already is done at once, unless it is just on its way from there', () => {
    const { net, name } = placed()
    const there = move(net, name, 'b')
    net.drain()
    expect(net.outputs('e', 'done')).toEqual([{ type: 'done', ask: there }])
    expect(net.outputs('b', 'export')).toEqual([])
    sent(net, name)
    const late = move(net, name, 'b')
    net.drain()
    expect(net.outputs('e', 'refused')).toMatchObject([{ ask: late, code: 'ERR_CANNOT_MOVE' }])
  })
})

describe('a node that drains', () => {
  function draining(limits: Partial<TrackerLimits> = {}, count = 30): { net: Trackers; names: string[] } {
    const net = started(['a', 'b', 'c'], limits)
    const names = ownedBy(net, 'b', count)
    names.forEach((name, i) => {
      net.input('a', { type: 'spawn', ask: i + 1, name, kind: 'counter', spec: [0] })
    })
    runShells(net)
    expect(names.every((name) => net.holder('a', name) === 'b')).toBe(true)
    const info = { ...net.state('b').info, cordoned: true }
    net.input('b', { type: 'describe', info })
    net.infos.set(net.boot('b'), info)
    net.phase('b', 'up')
    net.input('b', { type: 'drain' })
    return { net, names }
  }

  test('hands all over, no more at once than it may, and says when it is empty', () => {
    const { net, names } = draining({ maxHandoffs: 4 })
    expect(net.outputs('b', 'export')).toHaveLength(4)
    expect(net.outputs('b', 'emptied')).toEqual([])
    for (let i = 0; i < 20; i++) {
      runShells(net)
      net.pass(100)
    }
    expect(names.map((name) => net.holder('b', name)).filter((at) => at === 'b')).toEqual([])
    expect(net.outputs('b', 'emptied')).toEqual([{ type: 'emptied', left: [] }])
  })

  test('has no more bytes on their way than it may', () => {
    const { net } = draining({ handoffBytes: 5 })
    for (const { pid, name, number } of net.outputs('b', 'export').slice(0, 3))
      net.input('b', { type: 'exported', pid, name, number, state: STATE })
    const before = net.outputs('b', 'export').length
    net.input('b', { type: 'wake' })
    expect(net.outputs('b', 'export')).toHaveLength(before)
  })

  test('lists what must not go, and what nobody can take', () => {
    const { net, names } = draining({}, 3)
    runShells(net, { exports: false })
    net.pass(200)
    const [emptied] = net.outputs('b', 'emptied')
    expect(emptied?.left).toHaveLength(names.length)
    expect(emptied?.left[0]?.reason).toBe('it stays')
    const alone = started(['a'])
    alone.input('a', { type: 'spawn', ask: 1, name: 'x', kind: 'counter', spec: [] })
    runShells(alone)
    alone.input('a', { type: 'drain' })
    expect(alone.outputs('a', 'emptied')[0]?.left).toEqual([{ name: 'x', reason: 'no other member can run it' }])
  })

  test('that becomes another boot in the middle of it goes on once it has its names again', () => {
    const { net, names } = draining({}, 3)
    net.lose('b')
    net.rejoin('b')
    net.input('b', { type: 'wake' })
    expect(net.state('b').asks.kept.size).toBe(names.length)
    expect(net.outputs('b', 'emptied')).toEqual([])
    for (let i = 0; i < 20; i++) {
      runShells(net)
      net.pass(100)
    }
    expect(names.map((name) => net.holder('a', name)).filter((at) => at !== 'a' && at !== 'c')).toEqual([])
    expect(net.outputs('b', 'emptied')).toEqual([{ type: 'emptied', left: [] }])
  })

  test('takes nothing new: neither starts nor processes of others', () => {
    const { net } = draining({}, 1)
    const [name] = ownedBy(net, 'a') as [string]
    net.input('c', { type: 'spawn', ask: 50, name, kind: 'counter', spec: [] })
    runShells(net)
    expect(net.holder('c', name)).toBe('a')
    net.input('c', { type: 'request', ask: 51, request: { type: 'move', name, to: net.boot('b') } })
    runShells(net)
    expect(net.outputs('c', 'refused').map(({ ask, code }) => [ask, code])).toEqual([[51, 'ERR_LEAVING']])
    expect(net.holder('c', name)).toBe('a')
  })

  test('leaves though some are on their way: these start afresh, or go on from the state that was sent', () => {
    const { net, names } = draining({}, 6)
    net.drain()
    const exports = net.outputs('b', 'export')
    for (const { pid, name, number } of exports.slice(0, 3))
      net.input('b', { type: 'exported', pid, name, number, state: STATE })
    net.drain()
    net.input('b', { type: 'leave' })
    for (const { pid } of exports) net.input('b', { type: 'gone', pid, keepPlaced: true })
    net.input('b', { type: 'part' })
    net.phase('b', 'leaving')
    net.drain()
    net.phase('b', 'left')
    for (let i = 0; i < 10; i++) {
      runShells(net)
      net.pass(200)
    }
    expect(names.map((name) => net.holder('a', name)).filter((at) => at !== 'a' && at !== 'c')).toEqual([])
  })
})

describe('rebalance', () => {
  function joined(rebalance: Rebalance, count = 60): { net: Trackers; names: string[] } {
    const net = started(['a', 'b'], {}, rebalance)
    const names = Array.from({ length: count }, (_, i) => `name-${i}`)
    names.forEach((name, i) => {
      net.input('a', { type: 'spawn', ask: i + 1, name, kind: 'counter', spec: [0] })
    })
    runShells(net)
    net.add(['c'])
    net.pass(100)
    return { net, names }
  }

  const at = (net: Trackers, names: readonly string[], node: string): number =>
    names.filter((name) => net.holder('a', name) === node).length

  const after = (net: Trackers, ms: number): void => {
    for (let passed = 0; passed < ms; passed += 100) {
      runShells(net)
      net.pass(100)
    }
    runShells(net)
  }

  test('moves nothing where it is never', () => {
    const { net, names } = joined({ mode: 'never', rate: 100, afterMs: 0 })
    after(net, 5_000)
    expect(at(net, names, 'c')).toBe(0)
  })

  test('brings the names of a node that joins there, and moves no others', () => {
    const { net, names } = joined({ mode: 'eager', rate: 100, afterMs: 200 })
    const before = new Map(names.map((name) => [name, net.holder('a', name)]))
    after(net, 3_000)
    const { table } = net.state('a')
    for (const name of names) {
      const owner = table === undefined ? '' : rings.ownerOf(table, rings.slotOf(name, ring.slots))
      expect(net.holder('a', name)).toBe(owner)
      if (owner !== 'c') expect(owner).toBe(before.get(name))
    }
    expect(at(net, names, 'c')).toBeGreaterThan(5)
  })

  test('brings all of them, however many more there are than a source has on their way at once', () => {
    const { net, names } = joined({ mode: 'eager', rate: 100, afterMs: 200 }, 600)
    after(net, 5_000)
    const { table } = net.state('a')
    const owned = names.filter((name) => table && rings.ownerOf(table, rings.slotOf(name, ring.slots)) === 'c')
    expect(owned.length).toBeGreaterThan(100)
    expect(at(net, names, 'c')).toBe(owned.length)
  })

  test('moves no faster than its rate, each holder for itself, and not before the view stands still', () => {
    const { net, names } = joined({ mode: 'gradual', rate: 2, afterMs: 1000 })
    after(net, 800)
    expect(at(net, names, 'c')).toBe(0)
    after(net, 1_500)
    const soon = at(net, names, 'c')
    expect(soon).toBeGreaterThan(0)
    expect(soon).toBeLessThanOrEqual(10)
    after(net, 20_000)
    expect(at(net, names, 'c')).toBeGreaterThan(soon)
  })

  test('asks a process that does not go only once for one change', () => {
    const { net, names } = joined({ mode: 'eager', rate: 100, afterMs: 200 })
    for (let i = 0; i < 30; i++) {
      runShells(net, { exports: false })
      net.pass(100)
    }
    const resumed = [...net.given.values()].flat().filter(({ type }) => type === 'resume').length
    expect(resumed).toBeGreaterThan(0)
    expect(resumed).toBeLessThanOrEqual(names.length)
    expect(
      new Set([...net.given.values()].flat().flatMap((one) => (one.type === 'resume' ? [one.name] : []))).size,
    ).toBe(resumed)
  })

  test('takes nothing off a node that is cordoned: what runs there runs on', () => {
    const net = started(['a', 'b', 'c'], {}, { mode: 'eager', rate: 100, afterMs: 200 })
    const [name] = ownedBy(net, 'b') as [string]
    net.input('a', { type: 'spawn', ask: 1, name, kind: 'counter', spec: [0] })
    runShells(net)
    const info = { ...net.state('b').info, cordoned: true }
    net.input('b', { type: 'describe', info })
    net.infos.set(net.boot('b'), info)
    net.phase('b', 'up')
    after(net, 2_000)
    expect(net.holder('a', name)).toBe('b')
  })
})
