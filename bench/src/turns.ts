/**
 * How long a process went without a look at its clock: its longest turn of the event loop. Looks are 1 ms apart, so a
 * turn is told to a millisecond. What the garbage collector did on the loop's thread is noted apart, and so is what that
 * thread had of a processor meanwhile: on a machine with fewer cores than threads a turn also waits for its core, for
 * half a second where the collector's helpers mark a large heap beside it.
 */
import { openSync, readSync } from 'node:fs'
import { Session } from 'node:inspector'
import { cpuUs } from './slice.js'

export interface Turns {
  /** Milliseconds of the longest turn by the clock: collections, and waits for a core, are in it. */
  readonly longestMs: number
  /** Of the turn that worked longest: its time, or its thread's of the processor if that is less, without collections. */
  readonly workMs: number
  /** Of the turn in which the collector worked longest: its pauses, and the marking that it does as objects are made. */
  readonly collectedMs: number
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

const LOOK_MS = 1
/** Turns that are shorter than the clock of the looks can tell are no turns to speak of. */
export const LEAST_MS = 2

/** What V8 tells of its work on the thread of the loop, times in microseconds. */
interface TraceEvent {
  readonly name: string
  readonly ts: number
  readonly dur?: number
  /** Of the processor. */
  readonly tdur?: number
}

const SCAVENGE = 'V8.GCScavenger'
const STEP = /^V8\.GCIncrementalMarking/

interface Collection {
  readonly from: number
  readonly ms: number
  readonly cpuMs: number
  readonly kind: 'young' | 'whole' | 'step'
}

/**
 * What the collector did on the main thread between `begin` and `end`. Node's own entries of it have the pauses alone,
 * not the steps of marking, which are most of its work where a heap is large; so V8's trace is read.
 */
export class Collections {
  #events: TraceEvent[] = []
  #all: Collection[] = []
  readonly #session = new Session()

  async begin(): Promise<void> {
    this.#events = []
    this.#session.connect()
    this.#session.on('NodeTracing.dataCollected', ({ params }) => {
      for (const event of params.value) this.#events.push(event as TraceEvent)
    })
    await this.#post('NodeTracing.start', { traceConfig: { includedCategories: ['v8'] } })
  }

  async end(): Promise<void> {
    const complete = new Promise((resolve) => this.#session.once('NodeTracing.tracingComplete', resolve))
    await this.#post('NodeTracing.stop')
    await complete
    this.#session.removeAllListeners('NodeTracing.dataCollected')
    this.#session.disconnect()
    // The trace has the time of the system's steady clock, from which that of this process began at some moment.
    const began = Number(process.hrtime.bigint()) / 1e6 - performance.now()
    this.#all = outermost(this.#events.filter(({ name, dur }) => name.startsWith('V8.GC') && dur !== undefined)).map(
      ({ name, ts, dur = 0, tdur = dur }) => ({
        from: ts / 1000 - began,
        ms: dur / 1000,
        cpuMs: tdur / 1000,
        kind: name === SCAVENGE ? 'young' : STEP.test(name) ? 'step' : 'whole',
      }),
    )
  }

  longest(kind: Collection['kind']): number {
    return this.#all.reduce((most, one) => (one.kind === kind ? Math.max(most, one.ms) : most), 0)
  }

  /** Milliseconds of them within a time: by the clock, and of the processor. */
  within(from: number, until: number): { readonly ms: number; readonly cpuMs: number } {
    let [ms, cpuMs] = [0, 0]
    for (const one of this.#all) {
      const within = Math.max(0, Math.min(until, one.from + one.ms) - Math.max(from, one.from))
      ms += within
      cpuMs += one.ms === 0 ? 0 : one.cpuMs * (within / one.ms)
    }
    return { ms, cpuMs }
  }

  async #post(method: 'NodeTracing.start' | 'NodeTracing.stop', params: object = {}): Promise<void> {
    await new Promise<void>((resolve, reject) =>
      this.#session.post(method, params, (error) => (error === null ? resolve() : reject(error))),
    )
  }
}

/** Some of the collector's work is told again as a part of other work. */
function outermost(events: readonly TraceEvent[]): TraceEvent[] {
  let until = Number.NEGATIVE_INFINITY
  return events
    .toSorted((a, b) => a.ts - b.ts || (b.dur ?? 0) - (a.dur ?? 0))
    .filter(({ ts, dur = 0 }) => {
      if (ts < until) return false
      until = ts + dur
      return true
    })
}

export class TurnMeter {
  readonly #turns: Turn[] = []
  readonly #collections = new Collections()
  #timer: NodeJS.Timeout | undefined
  readonly #thread = new MainThread()
  #at = 0
  #cpu = 0
  #ran = 0

  async begin(): Promise<void> {
    this.#turns.length = 0
    await this.#collections.begin()
    this.#at = performance.now()
    this.#cpu = cpuUs()
    this.#ran = this.#thread.ranMs()
    this.#timer = setInterval(() => this.#look(), LOOK_MS)
  }

  async end(): Promise<Turns> {
    clearInterval(this.#timer)
    this.#look()
    await this.#collections.end()
    return {
      longestMs: this.#turns.reduce((most, { ms }) => Math.max(most, ms), 0),
      workMs: this.#turns.reduce((most, turn) => Math.max(most, this.#workOf(turn)), 0),
      collectedMs: this.#turns.reduce((most, turn) => Math.max(most, this.#collectedIn(turn).ms), 0),
      scavengeMs: this.#collections.longest('young'),
      markMs: this.#collections.longest('whole'),
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

  #workOf(turn: Turn): number {
    const collected = this.#collectedIn(turn)
    return Math.max(0, Math.min(turn.ms - collected.ms, turn.cpuMs - collected.cpuMs))
  }

  #collectedIn({ from, ms }: Turn): { readonly ms: number; readonly cpuMs: number } {
    return this.#collections.within(from, from + ms + LOOK_MS)
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

/** The longest of each, of several processes. */
export function longestOf(all: readonly Turns[]): Turns {
  const most = (of: (turns: Turns) => number): number => Math.max(...all.map(of))
  return {
    longestMs: most((turns) => turns.longestMs),
    workMs: most((turns) => turns.workMs),
    collectedMs: most((turns) => turns.collectedMs),
    scavengeMs: most((turns) => turns.scavengeMs),
    markMs: most((turns) => turns.markMs),
  }
}
