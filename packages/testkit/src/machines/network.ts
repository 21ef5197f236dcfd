/**
 * The network between the simulated nodes: addresses that are listened on, dials and handshakes that take their time,
 * one link a pair, each direction first in first out with a delay drawn for each turn's frames. A link that drops
 * loses what is under way; one that is closed delivers it first. A direction that is cut holds what is sent until it
 * heals, as kernels do that send again and again; whoever dials across a cut hears nothing. The network decides nothing
 * about membership.
 */
import type { BootId, ClusterFrame, Random } from '@skep/cluster/core'
import { nextFloat } from '@skep/cluster/core'
import { laneOf, type TrackerMessage } from '@skep/tracker/core'
import { kinds, SimEvent } from './event.js'
import { type Endpoint, Link, type Way } from './link.js'
import { type Delays, drawBase, drawDelay } from './plan.js'
import type { Schedule } from './schedule.js'

/** A dropped link is back within this time: the premise of the fault `loss`. */
export const backWithinMs = 500

/** Longest part of a forced redial, so that three of them fit after the longest outage. */
const RESTORE_MS = 40
/** How long a dial waits for an answer, handshake included. */
const DIAL_MS = 2000
/** How often a dial into silence looks whether the silence has ended. */
const DIAL_AGAIN_MS = 100
/** Longest wait until a kernel sends again after a cut. */
const RESEND_MS = 2000
/** What a node that does not read makes frames wait, at most. */
const SLOW_READER_MS = 1500
/** Frames a direction remembers for an echo. */
const ECHO_FRAMES = 6

export class Network {
  private readonly listening = new Map<string, Endpoint>()
  /** Addresses of machines that vanished: nothing there refuses a dial or resets a link. */
  private readonly vanished = new Map<string, Link[]>()
  private readonly links = new Set<Link>()
  /** "from>to" of the directions that are cut, with the number of cuts that overlap. */
  private readonly cuts = new Map<string, number>()
  /** Arrivals that wait in the sender's kernel while their direction is cut; undefined is the end of the link. */
  private readonly held = new Map<Way, (SimEvent | undefined)[]>()
  /** Addresses of nodes that read slowly, until when. */
  private readonly slow = new Map<string, number>()
  private readonly schedule: Schedule<SimEvent>
  private readonly random: Random
  private readonly delays: Delays
  /** Share of new links that begin with an echo of the old one. */
  private readonly echoShare: number
  private readonly echoes = new Map<string, readonly [Way, Way]>()
  /** Frames handed to links. */
  frames = 0
  now = 0

  constructor(schedule: Schedule<SimEvent>, random: Random, delays: Delays, echoShare = 0) {
    this.schedule = schedule
    this.random = random
    this.delays = delays
    this.echoShare = echoShare
  }

  listen(node: Endpoint): void {
    this.listening.set(node.address, node)
    // The machine is back: it resets links that it knows nothing of.
    for (const link of this.vanished.get(node.address) ?? []) {
      for (const end of [link.a, link.b])
        if (end.alive) this.tellDown(link, end, this.now + nextFloat(this.random) * 1000)
    }
    this.vanished.delete(node.address)
  }

  addresses(): string[] {
    return [...this.listening.keys()]
  }

  private delay(baseMs = 0): number {
    return drawDelay(this.random, this.delays, baseMs)
  }

  private push(
    at: number,
    kind: SimEvent['kind'],
    node: Endpoint,
    link?: Link,
    value = 0,
    text = '',
    load?: unknown,
  ): void {
    this.schedule.push(new SimEvent(at, kind, node, link, value, text, load))
  }

  // -- dials

  private report(at: number, node: Endpoint, address: string, outcome: DialOutcome): void {
    this.push(at, kinds.dialled, node, undefined, 0, address, outcome)
  }

  dial(node: Endpoint, address: string): void {
    if (address === node.address) this.report(this.now + 0.1, node, address, { outcome: 'self', link: undefined })
    else this.push(this.now + this.delay(), kinds.dialArrives, node, undefined, this.now + DIAL_MS, address)
  }

  /** The dial has reached the host: refused where nobody listens, else the handshake begins, or joins one under way. */
  arrive(node: Endpoint, address: string, giveUpAt: number): void {
    const target = this.listening.get(address)
    const cut = this.isCut(node.address, address) || this.isCut(address, node.address)
    if (cut || this.vanished.has(address) || (target?.stalledUntil ?? 0) > this.now) {
      if (this.now >= giveUpAt) this.report(this.now, node, address, { outcome: 'failed', link: undefined })
      else {
        const again = Math.min(giveUpAt, this.now + DIAL_AGAIN_MS)
        this.push(again, kinds.dialArrives, node, undefined, giveUpAt, address)
      }
      return
    }
    if (target === undefined) {
      this.report(this.now + this.delay(), node, address, { outcome: 'refused', link: undefined })
      return
    }
    const link = node.wires.get(target.boot) ?? this.connect(node, target, this.delay(), this.delay(), this.delay())
    this.report(Math.max(this.now, link.wayTo(node).last), node, address, { outcome: 'linked', link })
  }

  /** A handshake between two live nodes: the ends are up one and two delays from now, one earlier than the other. */
  connect(a: Endpoint, b: Endpoint, first: number, second: number, third: number): Link {
    const baseToA = drawBase(this.random, this.delays)
    const baseToB = drawBase(this.random, this.delays)
    const link = new Link(a, b, this.now + first + second, this.now + first + third, baseToA, baseToB)
    a.wires.set(b.boot, link)
    b.wires.set(a.boot, link)
    this.links.add(link)
    this.push(link.toA.last, kinds.linkUp, a, link)
    this.push(link.toB.last, kinds.linkUp, b, link)
    this.echo(link)
    return link
  }

  /** Some of the last frames of the old link come once more, beside those of the new one. */
  private echo(link: Link): void {
    const old = this.echoes.get(pairOf(link))
    if (old === undefined || nextFloat(this.random) >= this.echoShare) return
    this.echoes.delete(pairOf(link))
    for (const { to, recent } of old) {
      const way = link.wayTo(to)
      for (const frame of recent) {
        if (nextFloat(this.random) < 0.5) continue
        this.push(way.last + nextFloat(this.random) * 50, kinds.frame, to, link, 0, '', frame)
      }
    }
  }

  // -- frames

  /** Returns the frame's arrival, undefined where it is lost at once. */
  transmit(from: Endpoint, to: BootId, frame: ClusterFrame): SimEvent | undefined {
    const link = from.links.get(to)
    if (link === undefined) return undefined
    this.frames++
    if (link.dead) return undefined
    const far = link.other(from)
    const way = link.wayTo(far)
    const arrival = new SimEvent(this.now, kinds.frame, far, link, 0, '', frame)
    if (this.echoShare > 0 && mayEcho(frame)) {
      way.recent.push(frame)
      if (way.recent.length > ECHO_FRAMES) way.recent.shift()
    }
    if (this.held.has(way) || this.isCut(from.address, far.address)) {
      this.hold(link, way, arrival)
      return arrival
    }
    const slowMs = this.slowness(way, frame)
    if (slowMs === undefined) return undefined
    // Frames of one turn leave as one write, so only the first one draws a delay.
    if (way.turn !== this.now) {
      way.turn = this.now
      way.last = Math.max(way.last, this.now + this.delay(way.baseMs) + slowMs)
    }
    arrival.at = way.last
    this.schedule.push(arrival)
    return arrival
  }

  /** What a far end that hardly reads costs this frame; undefined where the full queue drops it. */
  private slowness(way: Way, frame: ClusterFrame): number | undefined {
    if ((this.slow.get(way.to.address) ?? 0) <= this.now) return 0
    const droppable = frame.type === 'message' && laneOf(frame.message as TrackerMessage) === 'droppable'
    if (!droppable || nextFloat(this.random) < 0.5) return nextFloat(this.random) * SLOW_READER_MS
    way.starved = true
    return undefined
  }

  /** From now on what is sent to this address waits long, and what may be dropped often is. */
  slowDown(address: string, until: number): void {
    this.slow.set(address, Math.max(until, this.slow.get(address) ?? 0))
  }

  /** It reads again: whoever dropped something for it hears so. */
  speedUp(address: string): void {
    if ((this.slow.get(address) ?? 0) > this.now) return
    this.slow.delete(address)
    for (const link of this.links) {
      for (const way of [link.toA, link.toB]) {
        if (!way.starved || way.to.address !== address) continue
        way.starved = false
        this.push(Math.max(this.now, way.last), kinds.drained, link.other(way.to), link)
      }
    }
  }

  // -- the ends of links

  /** `node` closes its end: the far end gets what is under way, then learns that the link was closed. */
  close(node: Endpoint, link: Link): void {
    const far = link.other(node)
    node.links.delete(far.boot)
    this.unwire(link)
    if (link.dead) return
    link.closedBy = node
    this.tellDown(link, far, this.now + this.delay())
  }

  /** The end learns, not before what is under way to it, that the other end has closed; after the cut if there is one. */
  private tellDown(link: Link, end: Endpoint, at: number): void {
    const way = link.wayTo(end)
    if (this.held.has(way) || this.isCut(link.other(end).address, end.address)) this.hold(link, way, undefined)
    else this.push(Math.max(way.last, at), kinds.linkDown, end, link, 1)
  }

  /** The node's process ends in order: nobody listens there any more, and all its links close. */
  remove(node: Endpoint): void {
    if (this.listening.get(node.address) === node) this.listening.delete(node.address)
    for (const link of [...node.links.values()]) this.close(node, link)
    for (const link of [...node.wires.values()]) this.drop(link)
  }

  /** Its process is killed: its kernel closes the links, and what was under way may be lost. */
  kill(node: Endpoint): void {
    if (this.listening.get(node.address) === node) this.listening.delete(node.address)
    for (const link of this.linksOf(node)) {
      const lost = nextFloat(this.random) < 0.5
      this.unwire(link)
      if (link.closedBy === undefined && !link.dead) this.tellDown(link, link.other(node), this.now + this.delay())
      link.closedBy ??= node
      if (lost) link.dead = true
    }
  }

  /** Its machine vanishes: nobody hears of it, and nobody refuses who dials it. */
  vanish(node: Endpoint): void {
    if (this.listening.get(node.address) === node) this.listening.delete(node.address)
    const links = this.linksOf(node)
    for (const link of links) {
      this.unwire(link)
      link.dead = true
    }
    this.vanished.set(node.address, links)
  }

  private linksOf(node: Endpoint): Link[] {
    return [...new Set([...node.links.values(), ...node.wires.values()])]
  }

  /** The link breaks: what is under way is lost, and each end learns it in its own time. */
  drop(link: Link): void {
    link.dead = true
    this.unwire(link)
    const byPeer = nextFloat(this.random)
    this.push(this.now + 0.1 + nextFloat(this.random) * 20, kinds.linkDown, link.a, link, byPeer < 0.5 ? 1 : 0)
    this.push(this.now + 0.1 + nextFloat(this.random) * 20, kinds.linkDown, link.b, link, byPeer > 0.3 ? 1 : 0)
  }

  /** Both ends of a dropped link live and have none yet: make it, in time. */
  restore(link: Link): void {
    const { a, b } = link
    if (!a.alive || !b.alive || a.wires.has(b.boot)) return
    if (this.isCut(a.address, b.address) || this.isCut(b.address, a.address)) return
    this.connect(a, b, this.short(), this.short(), this.short())
  }

  /** How long a link stays broken before it is forced: with the handshake under `backWithinMs`. */
  outage(): number {
    return 50 + nextFloat(this.random) * (backWithinMs - 50 - 2 * RESTORE_MS)
  }

  private short(): number {
    return Math.min(RESTORE_MS, this.delay())
  }

  private unwire(link: Link): void {
    if (link.a.wires.get(link.b.boot) === link) link.a.wires.delete(link.b.boot)
    if (link.b.wires.get(link.a.boot) === link) link.b.wires.delete(link.a.boot)
    this.links.delete(link)
    if (this.echoShare > 0) this.echoes.set(pairOf(link), [link.toA, link.toB])
    // What a cut holds of it still arrives after the cut.
    if (this.held.has(link.toA) || this.held.has(link.toB)) this.links.add(link)
  }

  // -- cuts

  isCut(from: string, to: string): boolean {
    return this.cuts.size > 0 && this.cuts.has(`${from}>${to}`)
  }

  /** Nothing gets from one address to the other any more. A handshake under way between them fails. */
  cut(from: string, to: string): void {
    const key = `${from}>${to}`
    this.cuts.set(key, (this.cuts.get(key) ?? 0) + 1)
    for (const link of this.links) {
      const concerned = joins(link, from, to)
      if (concerned && link.closedBy === undefined && !link.dead && !link.up) this.drop(link)
    }
  }

  /** One cut of this direction ends; with the last one, what waited arrives. */
  mend(from: string, to: string): void {
    const key = `${from}>${to}`
    const left = (this.cuts.get(key) ?? 1) - 1
    if (left > 0) {
      this.cuts.set(key, left)
      return
    }
    this.cuts.delete(key)
    for (const link of [...this.links]) {
      for (const way of [link.toA, link.toB]) {
        if (way.to.address === to && link.other(way.to).address === from) this.release(link, way)
      }
      if (link.closedBy !== undefined && !this.held.has(link.toA) && !this.held.has(link.toB)) this.links.delete(link)
    }
  }

  private hold(link: Link, way: Way, arrival: SimEvent | undefined): void {
    // Also one that nobody believes in any more: its end is still to be told.
    this.links.add(link)
    const waiting = this.held.get(way)
    if (waiting === undefined) this.held.set(way, [arrival])
    else waiting.push(arrival)
  }

  private release(link: Link, way: Way): void {
    const waiting = this.held.get(way)
    if (waiting === undefined) return
    this.held.delete(way)
    way.last = Math.max(way.last, this.now + nextFloat(this.random) * RESEND_MS)
    for (const arrival of waiting) {
      if (arrival === undefined) this.push(way.last, kinds.linkDown, way.to, link, 1)
      else if (!link.dead) {
        arrival.at = way.last
        this.schedule.push(arrival)
      }
    }
  }
}

/** How a dial ended; `linked` with its link, which may have died meanwhile. */
export interface DialOutcome {
  readonly outcome: 'linked' | 'refused' | 'failed' | 'self'
  readonly link: Link | undefined
}

function pairOf({ a, b }: Link): string {
  return a.boot < b.boot ? `${a.boot} ${b.boot}` : `${b.boot} ${a.boot}`
}

function joins({ a, b }: Link, one: string, other: string): boolean {
  return (a.address === one && b.address === other) || (a.address === other && b.address === one)
}

/** Links never repeat frames; the machines repeat some of their questions and answers, but requests never. */
function mayEcho(frame: ClusterFrame): boolean {
  if (frame.type === 'bye') return false
  if (!('message' in frame)) return true
  const { type } = frame.message as TrackerMessage
  return type !== 'request' && type !== 'answer'
}
