/**
 * How long a process went without a look at its clock: its longest turn of the event loop. Looks are 1 ms apart, so a
 * turn is told to a millisecond. Pauses of the garbage collector are noted apart, and so is what the loop's own thread
 * had of a processor meanwhile: on a machine with fewer cores than threads a turn also waits for its core, for half a
 * second where the collector's helpers mark a large heap beside it.
 */
import { openSync, readSync } from 'node:fs'
import { constants, PerformanceObserver } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import { cpuUs } from './slice.js'

export interface Turns {
  /** Milliseconds of the longest turn by the clock: collections, and waits for a core, are in it. */
  readonly longestMs: number
  /** Of the turn that worked longest: its time, or its thread's of the processor if that is less, without collections. */
  readonly workMs: number
  /** The longest pause for a collection of young objects, and of all. */
  readonly scavengeMs: number
  readonly markMs: number
}

interface Turn {
  readonly from: number
  readonly ms: number
  /** At most so much of the processor was given to the loop's own thread. */
  readonly cpuMs: number
}

interface Pause {
  readonly from: number
  readonly ms: number
  readonly major: boolean
}

const LOOK_MS = 1
/** Turns that are shorter than the clock of the looks can tell are no turns to speak of. */
const LEAST_MS = 2

/** The pauses of the collector between `begin` and `end`. */
export class Pauses {
  #pauses: Pause[] = []
  readonly #observer = new PerformanceObserver((list) => this.#note(list.getEntries() as GcEntry[]))

  begin(): void {
    this.#pauses = []
    this.#observer.observe({ entryTypes: ['gc'] })
  }

  async end(): Promise<void> {
    // The collector's entries come a turn later.
    await pause(LOOK_MS)
    this.#note(this.#observer.takeRecords() as GcEntry[])
    this.#observer.disconnect()
  }

  longest(major: boolean): number {
    return this.#pauses.reduce((most, one) => (one.major === major ? Math.max(most, one.ms) : most), 0)
  }

  /** Milliseconds of them within a time. */
  within(from: number, until: number): number {
    let collected = 0
    for (const one of this.#pauses) {
      collected += Math.max(0, Math.min(until, one.from + one.ms) - Math.max(from, one.from))
    }
    return collected
  }

  #note(entries: readonly GcEntry[]): void {
    for (const { startTime, duration, detail } of entries) {
      this.#pauses.push({ from: startTime, ms: duration, major: detail?.kind !== constants.NODE_PERFORMANCE_GC_MINOR })
    }
  }
}

export class TurnMeter {
  readonly #turns: Turn[] = []
  readonly #pauses = new Pauses()
  #timer: NodeJS.Timeout | undefined
  readonly #thread = new MainThread()
  #at = 0
  #cpu = 0
  #ran = 0

  begin(): void {
    this.#turns.length = 0
    this.#pauses.begin()
    this.#at = performance.now()
    this.#cpu = cpuUs()
    this.#ran = this.#thread.ranMs()
    this.#timer = setInterval(() => this.#look(), LOOK_MS)
  }

  async end(): Promise<Turns> {
    clearInterval(this.#timer)
    this.#look()
    await this.#pauses.end()
    return {
      longestMs: this.#turns.reduce((most, { ms }) => Math.max(most, ms), 0),
      workMs: this.#turns.reduce((most, turn) => Math.max(most, this.#workOf(turn)), 0),
      scavengeMs: this.#pauses.longest(false),
      markMs: this.#pauses.longest(true),
    }
  }

  #look(): void {
    const now = performance.now()
    const cpu = cpuUs()
    const ran = this.#thread.ranMs()
    const ms = now - this.#at - LOOK_MS
    const own = ran - this.#ran + TICK_MS
    const cpuMs = Math.min((cpu - this.#cpu) / 1000, Number.isNaN(own) ? Number.POSITIVE_INFINITY : own)
    if (ms >= LEAST_MS) this.#turns.push({ from: this.#at, ms, cpuMs })
    this.#at = now
    this.#cpu = cpu
    this.#ran = ran
  }

  #workOf({ from, ms, cpuMs }: Turn): number {
    return Math.max(0, Math.min(ms, cpuMs) - this.#pauses.within(from, from + ms + LOOK_MS))
  }
}

/** The system counts a thread's time at its own ticks, and when the thread stops: so much may be missing from the latest. */
const TICK_MS = 4

/**
 * The time that the thread of the event loop has run, where the system tells it: that of the process has the collector's
 * helpers in it.
 */
class MainThread {
  readonly #file = openStat()
  readonly #bytes = Buffer.alloc(128)

  /** NaN where it is not told. */
  ranMs(): number {
    if (this.#file === undefined) return Number.NaN
    // On a processor, and in the queue for one, in nanoseconds; and how often.
    const [ran] = this.#bytes.toString('latin1', 0, readSync(this.#file, this.#bytes, 0, 128, 0)).split(' ')
    return Number(ran) > 0 ? Number(ran) / 1e6 : Number.NaN
  }
}

function openStat(): number | undefined {
  try {
    return openSync(`/proc/self/task/${process.pid}/schedstat`, 'r')
  } catch {
    return undefined
  }
}

interface GcEntry {
  readonly startTime: number
  readonly duration: number
  readonly detail?: { readonly kind?: number }
}

/** The longest of each, of several processes. */
export function longestOf(all: readonly Turns[]): Turns {
  const most = (of: (turns: Turns) => number): number => Math.max(...all.map(of))
  return {
    longestMs: most((turns) => turns.longestMs),
    workMs: most((turns) => turns.workMs),
    scavengeMs: most((turns) => turns.scavengeMs),
    markMs: most((turns) => turns.markMs),
  }
}
