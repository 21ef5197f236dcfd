/**
 * One simulated process: the world that a node is started in. Its clock may run fast or slow and jump, it may stand
 * still (its timers are late then, what arrives waits in its sockets), and it may die at any moment.
 */
import { nextInt, type Random } from '@skep/cluster/core'
import type { Chance } from '@skep/cluster/internal'
import type { World } from 'skep/internal'
import type { Endpoint } from './connection.js'
import { kinds, type Loop, type LoopEvent } from './loop.js'
import { type Network, VirtualTransport } from './network.js'

/** The clock of a machine, which all processes that run there one after the other read. */
export interface MachineClock {
  /** Its milliseconds to a real one. */
  readonly rate: number
  /** How far the time of day is off, in milliseconds. */
  stepMs: number
}

/** Milliseconds since 1970 at which every simulation begins. */
const epochMs = Date.UTC(2030, 0, 1)

/** The longest delay of a timer of Node. */
const maxTimerMs = 2 ** 31 - 1

/** After a standstill Node runs timers first, then reads its sockets, then runs what was deferred. */
const wakingOrder: readonly number[] = [kinds.timer, kinds.frames, kinds.defer]

export class SimProcess implements Endpoint, World {
  /** Which machine it runs on. */
  readonly index: number
  alive = true
  /** Resolves when it has been killed. */
  readonly death: Promise<void>
  #die: () => void = () => {}
  /** It runs no code before this moment. */
  stalledUntil = 0
  readonly time: World['time']
  readonly chance: Chance
  readonly signals: World['signals']
  readonly #loop: Loop
  readonly #network: Network
  readonly #late: LoopEvent[] = []

  constructor(index: number, clock: MachineClock, random: Random, network: Network) {
    this.index = index
    this.death = new Promise((resolve) => {
      this.#die = resolve
    })
    this.#loop = network.loop
    this.#network = network
    const loop = this.#loop
    this.time = {
      now: () => loop.now * clock.rate,
      wall: () => Math.floor(epochMs + clock.stepMs + loop.now * clock.rate),
      setTimer: (fn, ms) => {
        const waitMs = Math.min(Math.max(1, Math.ceil(ms)), maxTimerMs) / clock.rate
        const event = loop.at(loop.now + waitMs, kinds.timer, this, fn)
        return () => {
          event.cancelled = true
        }
      },
      defer: (fn) => void loop.at(loop.now, kinds.defer, this, fn),
    }
    this.chance = { bytes: (size) => randomBytes(random, size), seed: () => nextInt(random) }
    // Nobody sends it signals: a simulation calls `drain`.
    this.signals = { on: () => {}, off: () => {}, listenerCount: () => 0, exit: () => {} }
  }

  /** A simulated network has no HTTP: `simulate` takes no such configuration. */
  admin(): never {
    throw new TypeError('a simulated node has no admin listener')
  }

  /** Nothing of it runs any more. */
  die(): void {
    this.alive = false
    this.#die()
  }

  transport(): VirtualTransport {
    return new VirtualTransport(this.#network, this)
  }

  holds(event: LoopEvent): boolean {
    if (event.at >= this.stalledUntil) return false
    this.#late.push(event)
    return true
  }

  /** Stand still for so long; what would have happened meanwhile happens at the end of it. */
  stall(ms: number): void {
    const until = Math.max(this.stalledUntil, this.#loop.now + ms)
    this.stalledUntil = until
    this.#loop.at(until, kinds.plan, undefined, () => {
      if (this.stalledUntil !== until) return
      const late = this.#late.splice(0)
      for (const kind of wakingOrder) {
        for (const event of late) if (event.kind === kind) this.#loop.push(Object.assign(event, { at: until }))
      }
    })
  }
}

function randomBytes(random: Random, size: number): Buffer {
  const bytes = Buffer.alloc(size)
  for (let i = 0; i < size; i++) bytes[i] = nextInt(random) & 0xff
  return bytes
}
