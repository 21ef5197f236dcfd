/**
 * The network between the simulated nodes: addresses that are listened on, dials and handshakes that take their time,
 * one link a pair, each direction first in first out with a delay drawn for each turn's frames. A link that drops
 * loses what is under way; one that is closed delivers it first. The network decides nothing about membership.
 */
import type { BootId, ClusterFrame, Random } from '@skep/cluster/core'
import { nextFloat } from '@skep/cluster/core'
import { kinds, SimEvent } from './event.js'
import { type Endpoint, Link } from './link.js'
import { type Delays, drawBase, drawDelay } from './plan.js'
import type { Schedule } from './schedule.js'

/** A dropped link is back within this time: the premise of the fault `loss`. */
export const backWithinMs = 500

/** Longest part of a forced redial, so that three of them fit after the longest outage. */
const RESTORE_MS = 40

export class Network {
  private readonly listening = new Map<string, Endpoint>()
  private readonly schedule: Schedule<SimEvent>
  private readonly random: Random
  private readonly delays: Delays
  /** Frames handed to links. */
  frames = 0
  now = 0

  constructor(schedule: Schedule<SimEvent>, random: Random, delays: Delays) {
    this.schedule = schedule
    this.random = random
    this.delays = delays
  }

  listen(node: Endpoint): void {
    this.listening.set(node.address, node)
  }

  addresses(): string[] {
    return [...this.listening.keys()]
  }

  private delay(baseMs = 0): number {
    return drawDelay(this.random, this.delays, baseMs)
  }

  private push(at: number, kind: SimEvent['kind'], node: Endpoint, link: Link | undefined, value = 0, text = ''): void {
    this.schedule.push(new SimEvent(at, kind, node, link, value, text, undefined))
  }

  private report(at: number, node: Endpoint, address: string, outcome: DialOutcome): void {
    this.schedule.push(new SimEvent(at, kinds.dialled, node, undefined, 0, address, outcome))
  }

  dial(node: Endpoint, address: string): void {
    if (address === node.address) this.report(this.now + 0.1, node, address, { outcome: 'self', link: undefined })
    else this.push(this.now + this.delay(), kinds.dialArrives, node, undefined, 0, address)
  }

  /** The dial has reached the host: refused where nobody listens, else the handshake begins, or joins one under way. */
  arrive(node: Endpoint, address: string): void {
    const target = this.listening.get(address)
    if (target === undefined) {
      this.report(this.now + this.delay(), node, address, { outcome: 'refused', link: undefined })
      return
    }
    const link = node.wires.get(target.boot) ?? this.connect(node, target, this.delay(), this.delay(), this.delay())
    const upAt = link.a === node ? link.lastToA : link.lastToB
    this.report(Math.max(this.now, upAt), node, address, { outcome: 'linked', link })
  }

  /** A handshake between two live nodes: the ends are up one and two delays from now, one earlier than the other. */
  connect(a: Endpoint, b: Endpoint, first: number, second: number, third: number): Link {
    const baseToA = drawBase(this.random, this.delays)
    const baseToB = drawBase(this.random, this.delays)
    const link = new Link(a, b, this.now + first + second, this.now + first + third, baseToA, baseToB)
    a.wires.set(b.boot, link)
    b.wires.set(a.boot, link)
    this.push(link.lastToA, kinds.linkUp, a, link)
    this.push(link.lastToB, kinds.linkUp, b, link)
    return link
  }

  /** Returns the frame's arrival, undefined where it is lost at once. */
  transmit(from: Endpoint, to: BootId, frame: ClusterFrame): SimEvent | undefined {
    const link = from.links.get(to)
    if (link === undefined) return undefined
    this.frames++
    if (link.dead) return undefined
    const atA = from === link.a
    // Frames of one turn leave as one write, so only the first one draws a delay.
    let arrives = atA ? link.lastToB : link.lastToA
    if ((atA ? link.turnOfA : link.turnOfB) !== this.now) {
      arrives = Math.max(arrives, this.now + this.delay(atA ? link.baseToB : link.baseToA))
      if (atA) {
        link.lastToB = arrives
        link.turnOfA = this.now
      } else {
        link.lastToA = arrives
        link.turnOfB = this.now
      }
    }
    const arrival = new SimEvent(arrives, kinds.frame, atA ? link.b : link.a, link, 0, '', frame)
    this.schedule.push(arrival)
    return arrival
  }

  /** `node` closes its end: the far end gets what is under way, then learns that the link was closed. */
  close(node: Endpoint, link: Link): void {
    const far = link.other(node)
    node.links.delete(far.boot)
    this.unwire(link)
    if (link.dead) return
    link.closedBy = node
    const last = link.a === node ? link.lastToB : link.lastToA
    this.push(Math.max(last, this.now + this.delay()), kinds.linkDown, far, link, 1)
  }

  /** The node's process ends: nobody listens there any more, and all its links close. */
  remove(node: Endpoint): void {
    this.listening.delete(node.address)
    for (const link of [...node.links.values()]) this.close(node, link)
    for (const link of [...node.wires.values()]) this.drop(link)
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
  }
}

/** How a dial ended; `linked` with its link, which may have died meanwhile. */
export interface DialOutcome {
  readonly outcome: 'linked' | 'refused' | 'self'
  readonly link: Link | undefined
}
