import { type ClusterFrame, seedRandom } from '@skep/cluster/core'
import { describe, expect, test } from 'vitest'
import { kinds, type SimEvent } from '../src/machines/event.js'
import type { Endpoint, Link } from '../src/machines/link.js'
import { backWithinMs, Network } from '../src/machines/network.js'
import { Schedule } from '../src/machines/schedule.js'

function endpoint(index: number): Endpoint {
  const boot = `boot-${index}`
  return {
    index,
    boot,
    address: `10.0.0.${index}:7000`,
    alive: true,
    stalledUntil: 0,
    links: new Map(),
    wires: new Map(),
    hello: () => ({ type: 'ready' }),
  }
}

interface Wire {
  readonly a: Endpoint
  readonly b: Endpoint
  readonly link: Link
  readonly schedule: Schedule<SimEvent>
  readonly network: Network
}

/** Two nodes with a link that both ends know of, on a network where every fifth frame is slow. */
function wire(seed = 1): Wire {
  const schedule = new Schedule<SimEvent>()
  const network = new Network(schedule, seedRandom(seed), { calmMs: 5, tailShare: 0.2, tailMs: 200, slowLinks: 0 })
  const [a, b] = [endpoint(1), endpoint(2)]
  network.listen(a)
  network.listen(b)
  const link = network.connect(a, b, 1, 1, 2)
  for (let event = schedule.pop(); event !== undefined; event = schedule.pop()) {
    network.now = event.at
    event.node?.links.set(link.other(event.node).boot, link)
  }
  return { a, b, link, schedule, network }
}

function events(schedule: Schedule<SimEvent>): SimEvent[] {
  const all: SimEvent[] = []
  for (let event = schedule.pop(); event !== undefined; event = schedule.pop()) all.push(event)
  return all
}

const ping = (seq: number): ClusterFrame => ({ type: 'ping', seq })

test('frames of one direction of a link arrive in the order in which they were sent, whatever their delays', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { a, b, schedule, network } = wire(seed)
    for (let seq = 0; seq < 200; seq++) {
      network.now += 0.5
      network.transmit(a, b.boot, ping(seq))
    }
    const arrived = events(schedule)
    expect(arrived.map((event) => (event.load as { seq: number }).seq)).toEqual([...Array(200).keys()])
    expect(arrived.every((event) => event.node === b && event.kind === kinds.frame)).toBe(true)
  }
})

test('the two directions of a link do not wait for each other', () => {
  const { a, b, schedule, network } = wire()
  for (let seq = 0; seq < 100; seq++) {
    network.now += 1
    network.transmit(a, b.boot, ping(seq))
    network.transmit(b, a.boot, ping(1000 + seq))
  }
  const order = events(schedule).map((event) => (event.load as { seq: number }).seq)
  expect(order).not.toEqual([...order].sort((x, y) => (x % 1000) - (y % 1000) || x - y))
})

test('what is sent in one turn arrives at one time', () => {
  const { a, b, schedule, network } = wire()
  network.transmit(a, b.boot, ping(1))
  network.transmit(a, b.boot, ping(2))
  const [first, second] = events(schedule)
  expect(first?.at).toBe(second?.at)
})

test('a link that drops tells both ends, and takes no frames any more', () => {
  const { a, b, link, schedule, network } = wire()
  network.drop(link)
  network.transmit(a, b.boot, ping(1))
  const seen = events(schedule)
  expect(seen.map((event) => event.kind)).toEqual([kinds.linkDown, kinds.linkDown])
  expect(new Set(seen.map((event) => event.node))).toEqual(new Set([a, b]))
  expect(link.dead).toBe(true)
})

test('a link that is closed delivers what is under way before the far end learns of it', () => {
  const { a, b, link, schedule, network } = wire()
  for (let seq = 0; seq < 50; seq++) {
    network.now += 0.1
    network.transmit(a, b.boot, ping(seq))
  }
  network.close(a, link)
  const seen = events(schedule)
  expect(seen).toHaveLength(51)
  expect(seen.at(-1)).toMatchObject({ kind: kinds.linkDown, node: b, value: 1 })
})

test('two nodes that dial each other at once get one link, and both dials end as linked', () => {
  const schedule = new Schedule<SimEvent>()
  const network = new Network(schedule, seedRandom(3), { calmMs: 5, tailShare: 0, tailMs: 5, slowLinks: 0 })
  const [a, b] = [endpoint(1), endpoint(2)]
  network.listen(a)
  network.listen(b)
  network.dial(a, b.address)
  network.dial(b, a.address)
  const links = new Set<unknown>()
  const outcomes: unknown[] = []
  for (let event = schedule.pop(); event !== undefined; event = schedule.pop()) {
    network.now = event.at
    if (event.kind === kinds.dialArrives && event.node !== undefined)
      network.arrive(event.node, event.text, event.value)
    if (event.kind === kinds.linkUp) links.add(event.link)
    if (event.kind === kinds.dialled) outcomes.push((event.load as { outcome: string }).outcome)
  }
  expect(links.size).toBe(1)
  expect(outcomes).toEqual(['linked', 'linked'])
})

test('nobody listens: refused; the own address: self', () => {
  const schedule = new Schedule<SimEvent>()
  const network = new Network(schedule, seedRandom(4), { calmMs: 5, tailShare: 0, tailMs: 5, slowLinks: 0 })
  const a = endpoint(1)
  network.listen(a)
  network.dial(a, a.address)
  network.arrive(a, '10.9.9.9:1', 2000)
  expect(events(schedule).map((event) => event.load)).toMatchObject([{ outcome: 'self' }, { outcome: 'refused' }])
})

test('a dropped link that is forced is up at both ends within the premise', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const { link, schedule, network } = wire(seed)
    const droppedAt = network.now
    network.drop(link)
    events(schedule)
    network.now = droppedAt + network.outage()
    network.restore(link)
    const ups = events(schedule)
    expect(ups).toHaveLength(2)
    for (const event of ups) expect(event.at - droppedAt).toBeLessThan(backWithinMs)
  }
})

describe('a cut', () => {
  test('of one direction holds what is sent there until it is mended, in order, and leaves the other alone', () => {
    const { a, b, schedule, network } = wire()
    network.cut(a.address, b.address)
    for (let seq = 0; seq < 5; seq++) network.transmit(a, b.boot, ping(seq))
    network.transmit(b, a.boot, ping(9))
    expect(events(schedule).map((event) => event.load)).toEqual([ping(9)])
    network.mend(a.address, b.address)
    network.transmit(a, b.boot, ping(5))
    expect(events(schedule).map((event) => event.load)).toEqual([0, 1, 2, 3, 4, 5].map(ping))
  })

  test('that overlaps another ends with the last of them', () => {
    const { a, b, schedule, network } = wire()
    network.cut(a.address, b.address)
    network.cut(a.address, b.address)
    network.transmit(a, b.boot, ping(1))
    network.mend(a.address, b.address)
    expect(events(schedule)).toEqual([])
    network.mend(a.address, b.address)
    expect(events(schedule)).toHaveLength(1)
  })

  test('keeps the end of a link from the far end until it is mended', () => {
    const { a, b, link, schedule, network } = wire()
    network.cut(a.address, b.address)
    network.close(a, link)
    expect(events(schedule)).toEqual([])
    network.mend(a.address, b.address)
    expect(events(schedule)).toMatchObject([{ kind: kinds.linkDown, node: b, value: 1 }])
  })

  test('answers a dial with silence: it fails after its time, and not before', () => {
    const { a, b, schedule, network } = wire()
    network.cut(b.address, a.address)
    a.wires.clear()
    b.wires.clear()
    const began = network.now
    network.dial(a, b.address)
    let outcome: SimEvent | undefined
    for (let event = schedule.pop(); event !== undefined; event = schedule.pop()) {
      network.now = event.at
      if (event.kind === kinds.dialArrives) network.arrive(a, event.text, event.value)
      else outcome = event
    }
    expect(outcome?.load).toEqual({ outcome: 'failed', link: undefined })
    expect(outcome?.at).toBeGreaterThanOrEqual(began + 2000)
  })
})

test('a killed process resets its links; a machine that vanishes does not, until it is back', () => {
  const killed = wire()
  killed.network.kill(killed.a)
  expect(events(killed.schedule)).toMatchObject([{ kind: kinds.linkDown, node: killed.b, value: 1 }])
  const gone = wire()
  gone.network.vanish(gone.a)
  gone.network.transmit(gone.b, gone.a.boot, ping(1))
  expect(events(gone.schedule)).toEqual([])
  gone.network.listen({ ...endpoint(1), boot: 'boot-1-again' })
  const told = events(gone.schedule).filter((event) => event.node === gone.b)
  expect(told).toMatchObject([{ kind: kinds.linkDown, value: 1 }])
})

test('to a node that hardly reads what may be dropped is, and its sender hears when it reads again', () => {
  const { a, b, schedule, network } = wire()
  network.slowDown(b.address, network.now + 1000)
  const entries: [] = []
  const lineage = { epoch: 0, genesis: 'boot-1' }
  const digest: ClusterFrame = {
    type: 'message',
    message: { type: 'digest', counter: 1, lineage, depth: 0, entries },
  }
  for (let i = 0; i < 40; i++) network.transmit(a, b.boot, digest)
  for (let i = 0; i < 40; i++) network.transmit(a, b.boot, ping(i))
  const arrived = events(schedule).map((event) => event.load)
  expect(arrived.filter((load) => load === digest).length).toBeLessThan(40)
  expect(arrived.filter((load) => load !== digest)).toEqual([...Array(40).keys()].map(ping))
  network.now += 1000
  network.speedUp(b.address)
  expect(events(schedule)).toMatchObject([{ kind: kinds.drained, node: a }])
})

test('an echo repeats last frames of the old link beside those of the new one, and never a request', () => {
  const schedule = new Schedule<SimEvent>()
  const network = new Network(schedule, seedRandom(5), { calmMs: 5, tailShare: 0, tailMs: 5, slowLinks: 0 }, 1)
  const [a, b] = [endpoint(1), endpoint(2)]
  const request = { type: 'request', ask: 1, request: { type: 'unregister', name: 'x' } }
  let repeated = 0
  for (let round = 0; round < 30; round++) {
    const link = network.connect(a, b, 1, 1, 2)
    a.links.set(b.boot, link)
    b.links.set(a.boot, link)
    repeated += events(schedule).filter((event) => event.kind === kinds.frame).length
    for (let seq = 0; seq < 3; seq++) network.transmit(a, b.boot, ping(seq))
    network.transmit(a, b.boot, { type: 'message', message: request })
    events(schedule)
    network.drop(link)
    events(schedule)
  }
  expect(repeated).toBeGreaterThan(20)
})
