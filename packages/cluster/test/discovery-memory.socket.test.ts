/**
 * What a strategy keeps after some answers and failures it keeps after ten times as many: handles and timers of the
 * process, listeners of its signal and of the process. They are counted, each kind at its least over several answers,
 * since what is under way comes and goes while what leaks only grows. The heap is measured where time is virtual.
 */
import { hkdfSync } from 'node:crypto'
import { getEventListeners } from 'node:events'
import { expect, it } from 'vitest'
import type { Discovery, DiscoveryContext } from '../src/index.js'
import { Recorder } from './nodes.js'
import { rows } from './sources.js'

/** Rounds of answers and a failure before the first count; the second is after ten times as many. */
const rounds = 3
const polling = { intervalMs: 10, timeoutMs: 300 }
const truth = ['127.0.0.1:4001', '127.0.0.2:4001', '127.0.0.3:4001']
/** A timer or two may happen to be under way at every count; a leak at each answer or failure is ten at least. */
const underWay = 3
/** On the signal of a strategy at any time: what it waits on now. */
const mostListeners = 8

type Counts = Record<string, number>

/** Runs a strategy, again where it fails, as the runner does but without its pauses. */
class Drive {
  answers = 0
  failures = 0
  listeners = 0
  #abort = new AbortController()
  #look = (): void => {}
  readonly #over: Promise<void>
  #ended = false

  constructor(strategy: Discovery) {
    this.#over = this.#run(strategy)
  }

  async #run(strategy: Discovery): Promise<void> {
    const self = { name: 'n', address: '127.0.0.1:4000', cluster: 'test', boot: 'boot-of-n' }
    const { logger } = new Recorder()
    const keys: DiscoveryContext['keys'] = (purpose) => [
      new Uint8Array(hkdfSync('sha256', 's', 'test', `skep ${purpose}`, 32)),
    ]
    while (!this.#ended) {
      this.#abort = new AbortController()
      const { signal } = this.#abort
      try {
        for await (const _ of strategy({ signal, self, logger, onRefresh() {}, keys })) {
          this.answers++
          this.listeners = Math.max(this.listeners, getEventListeners(signal, 'abort').length)
          this.#look()
        }
      } catch {
        this.failures++
        this.#look()
      }
    }
  }

  /** Does this, and resolves when something came of it. */
  async after(what: 'answers' | 'failures', act: () => void): Promise<void> {
    const before = this[what]
    act()
    while (this[what] === before) {
      await new Promise<void>((resolve) => {
        this.#look = resolve
      })
    }
  }

  /** Ends this run, which begins anew. */
  again(): void {
    this.#abort.abort()
  }

  end(): Promise<void> {
    this.#ended = true
    this.#abort.abort()
    return this.#over
  }
}

function counted(): Counts {
  const counts: Counts = {}
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1
  for (const event of process.eventNames()) counts[`on ${String(event)}`] = process.listenerCount(event)
  return counts
}

function least(samples: readonly Counts[]): Counts {
  const kinds = [...new Set(samples.flatMap((sample) => Object.keys(sample)))].sort()
  const all = kinds.map((kind) => [kind, Math.min(...samples.map((sample) => sample[kind] ?? 0))] as const)
  return Object.fromEntries(all.filter(([, count]) => count > 0))
}

it.each(rows)('$name keeps nothing of its answers and failures', { timeout: 120_000 }, async ({ open }) => {
  const source = await open(truth)
  source.name?.(truth)
  const drive = new Drive(source.strategy(truth[0] as string, polling))
  const round = async (index: number): Promise<Counts> => {
    const name = source.name?.bind(source)
    if (name === undefined) await drive.after('answers', () => drive.again())
    else {
      await drive.after('answers', () => name(truth.slice(0, 1 + (index % 2))))
      await drive.after('answers', () => name(truth.slice(1)))
    }
    const counts = counted()
    if (source.fail !== undefined && index % 3 === 0) {
      await drive.after('failures', () => source.fail?.())
      if (name !== undefined) await drive.after('answers', () => name(truth))
    }
    return counts
  }
  try {
    await drive.after('answers', () => {})
    const samples: Counts[] = []
    for (let index = 0; index < 12 * rounds; index++) samples.push(await round(index))
    const [early, late] = [least(samples.slice(rounds, 2 * rounds)), least(samples.slice(-rounds))]
    for (const [kind, count] of Object.entries(late)) {
      expect(count, `${kind}: ${JSON.stringify({ early, late })}`).toBeLessThanOrEqual((early[kind] ?? 0) + underWay)
    }
    expect(drive.listeners).toBeLessThanOrEqual(mostListeners)
  } finally {
    await drive.end()
    await source.close()
  }
})
