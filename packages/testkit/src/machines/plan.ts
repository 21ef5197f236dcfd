/**
 * What one seed decides before a run begins: how many nodes start when, who leaves, which links drop, when the
 * workload strikes, how slow the network is. The plan knows nothing of the machines; what depends on the state of the
 * run (which node gets an operation, which link drops) is drawn while it goes on, from the seed's other streams.
 */
import { below, nextFloat, type Random, seedRandom } from '@skep/cluster/core'

/** What may happen to the nodes of a run, by the word that switches it on. */
export const faultNames = [
  /** Nodes start at other moments than all together, and whoever left comes back. */
  'joins',
  /** In order. */
  'leaves',
  /** Links drop and are soon made anew. */
  'loss',
  /** Processes are killed and machines vanish; some come back, mostly under their old name. */
  'crashes',
  /** All processes are killed at one moment, and come back. */
  'restarts',
  /** One way, one pair, in two or three parts, on and off. */
  'cuts',
  /** Processes stand still for 1 to 60 s; then their timers are late and their frames come all at once. */
  'stalls',
  /** Processes stand still for half a second: too short for anybody to notice, long enough for the late rule. */
  'pauses',
  /** Nodes that hardly read: what is sent to them waits, and what may be dropped is. */
  'readers',
  /** The last frames of an old link come again beside the first of the new one. */
  'echoes',
  /** Monotonic clocks run up to a tenth wrong, wall clocks are up to an hour off. */
  'clocks',
  /** Discovery fails, lies, tells a part, or nothing. */
  'discovery',
  /** At the moment of a certain message somebody leaves or joins, or a link slows down. */
  'aims',
  /** Whoever sends or gets a certain message is killed at that moment. */
  'deaths',
] as const
export type Fault = (typeof faultNames)[number]

export interface PlanOptions {
  readonly seed: number
  /** Fewest and most nodes, inclusive. */
  readonly nodes: readonly [number, number]
  readonly faults: readonly Fault[]
}

/** How long a frame, a dial, a closing takes. */
export interface Delays {
  /** Longest of the ordinary ones. */
  readonly calmMs: number
  /** Share of slow ones. */
  readonly tailShare: number
  /** Longest of the slow ones, and of all. */
  readonly tailMs: number
  /** Share of link directions that are slow for as long as the link lasts: there hearsay overtakes what was said. */
  readonly slowLinks: number
}

export interface Start {
  readonly at: number
  readonly name: string
  readonly address: string
}

export interface Leave {
  readonly at: number
  /** Which of `starts`. */
  readonly node: number
  /** Milliseconds from its end to its return under a new boot id; undefined: it stays away. */
  readonly backAfterMs: number | undefined
  /** It comes back under the same name and address. */
  readonly sameName: boolean
}

/** A direction between two addresses. */
export type Direction = readonly [from: string, to: string]

/** What befalls the world at a planned moment. Nodes are meant by their place in `starts`, whatever their boot is then. */
export type Strike =
  | {
      readonly type: 'kill'
      readonly at: number
      readonly node: number
      /** The machine is gone with it, so nobody is told. */
      readonly vanishes: boolean
      readonly backAfterMs: number | undefined
      readonly sameName: boolean
    }
  | { readonly type: 'restart'; readonly at: number; readonly backWithinMs: number }
  | { readonly type: 'cut'; readonly at: number; readonly until: number; readonly ways: readonly Direction[] }
  | { readonly type: 'stall'; readonly at: number; readonly until: number; readonly node: number }
  | { readonly type: 'reader'; readonly at: number; readonly until: number; readonly node: number }
  | {
      readonly type: 'discovery'
      readonly at: number
      readonly until: number
      readonly node: number
      readonly how: 'fails' | 'lies' | 'part' | 'nothing'
    }
  | {
      /** From `at` on the first message of this type is the moment. */
      readonly type: 'aim'
      readonly at: number
      readonly message: string
      readonly whom: 'sender' | 'receiver'
      readonly deed: 'leave' | 'join' | 'slow' | 'kill' | 'stall'
    }

export interface Plan {
  readonly seed: number
  readonly delays: Delays
  readonly slots: number
  readonly vnodes: number
  readonly starts: readonly Start[]
  readonly leaves: readonly Leave[]
  /** When links drop. */
  readonly drops: readonly number[]
  readonly strikes: readonly Strike[]
  /** Share of new links that begin with an echo. */
  readonly echoShare: number
  /** Are clocks wrong? */
  readonly clocks: boolean
  /** Bytes of a chunk of a log. */
  readonly chunkBytes: number
  /** When the workload's operations strike. */
  readonly ops: readonly number[]
  readonly names: readonly string[]
}

/** All planned faults and operations strike before this; a run lasts at least `runMs`. */
export const actMs = 13_000
export const runMs = 20_000

/** Over the half second of the late rule; with the slowest question and answer still under a second of silence. */
const PAUSE_MS = 505

/** Operations a run: at least these. */
export const minOps = 100

/** The independent streams of one seed, so that a frame more or less does not change the workload. */
export function stream(seed: number, which: 'plan' | 'network' | 'workload' | 'nodes'): Random {
  const salt = { plan: 0x1234567, network: 0x2468ace, workload: 0x369cf15, nodes: 0x48d159e }[which]
  return seedRandom(Math.imul(seed + 1, 0x9e3779b1) ^ salt)
}

export function makePlan(options: PlanOptions): Plan {
  const random = stream(options.seed, 'plan')
  const [least, most] = options.nodes
  const count = least + below(random, most - least + 1)
  const delays = drawDelays(random)
  const large = nextFloat(random) < 0.01
  // Of many kinds each run has some, so that each is seen alone and with each other.
  const faults = options.faults.length <= 3 ? options.faults : options.faults.filter(() => nextFloat(random) < 0.4)
  const starts = drawStarts(random, count, faults.includes('joins'))
  const stays = below(random, count)
  const leaves = faults.includes('leaves') ? drawLeaves(random, starts, stays) : []
  const moments = [...starts.map((start) => start.at), ...leaves.map((leave) => leave.at)]
  const strikes = faults.flatMap((fault) => drawStrikes(random, fault, starts, stays, moments))
  moments.push(...strikes.map((strike) => strike.at))
  const drops = faults.includes('loss') ? drawDrops(random, moments) : []
  const ops = drawOps(random, moments)
  const names: string[] = []
  for (let i = 2 + below(random, 11); i > 0; i--) names.push(`name-${i}`)
  return {
    seed: options.seed,
    delays,
    slots: large ? 1024 : 64,
    vnodes: large ? 128 : 16,
    starts,
    leaves,
    drops,
    strikes,
    echoShare: faults.includes('echoes') ? 0.2 + nextFloat(random) * 0.8 : 0,
    clocks: faults.includes('clocks'),
    chunkBytes: 150 + below(random, 2000),
    ops,
    names,
  }
}

/** `baseMs`: what every frame of this direction of this link takes at least. */
export function drawDelay(random: Random, delays: Delays, baseMs: number): number {
  const slow = nextFloat(random) < delays.tailShare
  const low = slow ? delays.calmMs : 0.1
  const own = low + nextFloat(random) * ((slow ? delays.tailMs : delays.calmMs) - low)
  return baseMs === 0 ? own : Math.min(delays.tailMs, baseMs + own)
}

/** The `baseMs` of one direction of a new link. */
export function drawBase(random: Random, delays: Delays): number {
  if (delays.slowLinks === 0) return 0
  return nextFloat(random) < delays.slowLinks ? nextFloat(random) * delays.tailMs * 0.9 : 0
}

function drawDelays(random: Random): Delays {
  // Always calm, or 10 % slow on the average; the extremes are where rounds overtake each other.
  const calmMs = 0.2 + nextFloat(random) * 4.8
  const shape = nextFloat(random)
  if (shape < 0.15) return { calmMs, tailShare: 0, tailMs: calmMs, slowLinks: 0 }
  const tailMs = shape < 0.6 ? 200 : 10 + nextFloat(random) * 190
  const slowLinks = nextFloat(random) < 0.4 ? nextFloat(random) * 0.5 : 0
  return { calmMs, tailShare: nextFloat(random) * 0.24, tailMs, slowLinks }
}

function drawStarts(random: Random, count: number, spread: boolean): Start[] {
  const starts: Start[] = []
  const shape = spread ? nextFloat(random) : 0
  const waveAt = 200 + nextFloat(random) * 6000
  const firstWave = 1 + below(random, count)
  const gapMs = 5 + nextFloat(random) * Math.min(800, 9000 / count)
  const togetherMs = [0, 2, 20, 120][below(random, 4)] ?? 0
  for (let i = 0; i < count; i++) {
    let at = nextFloat(random) * togetherMs
    if (shape >= 0.4 && shape < 0.6 && i >= firstWave) at += waveAt
    else if (shape >= 0.6 && shape < 0.8) at = i * gapMs
    else if (shape >= 0.8 && i > 0) at = nextFloat(random) * 9000
    starts.push({ at, name: nodeName(i), address: nodeAddress(i) })
  }
  return starts
}

export function nodeName(index: number): string {
  return `n${index < 9 ? '0' : ''}${index + 1}`
}

export function nodeAddress(index: number): string {
  return `10.0.0.${index + 1}:7000`
}

/** At least one node never leaves; several may leave at the same moment, also while they are joining. */
function drawLeaves(random: Random, starts: readonly Start[], stays: number): Leave[] {
  const leaves: Leave[] = []
  const count = below(random, starts.length)
  const atOnce = nextFloat(random) < 0.3
  const common = 1000 + nextFloat(random) * (actMs - 2500)
  for (let i = 0; i < starts.length && leaves.length < count; i++) {
    const start = starts[i]
    if (start === undefined || i === stays) continue
    const from = start.at + 20
    const at = atOnce ? Math.max(from, common + nextFloat(random) * 200) : from + nextFloat(random) * (actMs - from)
    const backAfterMs = nextFloat(random) < 0.5 ? 1 + nextFloat(random) * 2000 : undefined
    leaves.push({ at, node: i, backAfterMs, sameName: nextFloat(random) < 0.7 })
  }
  return leaves
}

/** A moment of the plan, shortly before or after one: there the races are. */
function nearMoment(random: Random, moments: readonly number[], spreadMs: number): number {
  const moment = moments[below(random, moments.length)] ?? 0
  return Math.max(0, Math.min(actMs, moment + (nextFloat(random) - 0.2) * spreadMs))
}

function drawDrops(random: Random, moments: readonly number[]): number[] {
  const drops: number[] = []
  for (let i = 1 + below(random, 10); i > 0; i--) {
    drops.push(nextFloat(random) < 0.5 ? nearMoment(random, moments, 1500) : 500 + nextFloat(random) * (actMs - 500))
  }
  return drops
}

function drawOps(random: Random, moments: readonly number[]): number[] {
  const ops: number[] = []
  for (let i = minOps + 15 + below(random, 60); i > 0; i--) {
    const near = nextFloat(random)
    if (near < 0.2) ops.push(nearMoment(random, moments, 60))
    else ops.push(50 + (near < 0.6 ? nearMoment(random, moments, 800) : nextFloat(random) * actMs))
  }
  return ops
}

function drawStrikes(
  random: Random,
  fault: Fault,
  starts: readonly Start[],
  stays: number,
  moments: readonly number[],
): Strike[] {
  const times = (most: number): unknown[] => new Array(1 + below(random, most)).fill(0)
  const moment = (): number =>
    nextFloat(random) < 0.5 ? nearMoment(random, moments, 1500) : 300 + nextFloat(random) * (actMs - 300)
  switch (fault) {
    case 'crashes':
      return times(Math.min(4, starts.length)).flatMap(() => drawKill(random, starts, stays, moment()))
    case 'restarts':
      return [{ type: 'restart', at: 2000 + nextFloat(random) * 9000, backWithinMs: nextFloat(random) * 2000 }]
    case 'cuts':
      return times(3).flatMap(() => drawCuts(random, starts, moment()))
    case 'stalls':
      return times(2).map(() => {
        const at = moment()
        return { type: 'stall', at, until: at + drawStallMs(random), node: below(random, starts.length) }
      })
    case 'pauses':
      return times(6).map(() => {
        const at = moment()
        return { type: 'stall', at, until: at + PAUSE_MS + nextFloat(random) * 60, node: below(random, starts.length) }
      })
    case 'readers':
      return times(2).map(() => {
        const at = moment()
        return { type: 'reader', at, until: at + 500 + nextFloat(random) * 6000, node: below(random, starts.length) }
      })
    case 'discovery':
      return times(3).map(() => {
        const node = below(random, starts.length)
        const at = nextFloat(random) < 0.7 ? (starts[node]?.at ?? 0) - 1 : moment()
        const how = (['fails', 'lies', 'part', 'nothing'] as const)[below(random, 4)] ?? 'fails'
        return { type: 'discovery', at: Math.max(0, at), until: at + 500 + nextFloat(random) * 8000, node, how }
      })
    case 'aims':
      return times(6).map(() => {
        const deed = (['leave', 'leave', 'join', 'slow', 'slow'] as const)[below(random, 5)] ?? 'slow'
        return drawAim(random, deed, contended)
      })
    case 'deaths':
      return times(3).map(() => drawAim(random, nextFloat(random) < 0.8 ? 'kill' : 'stall', aimedAt))
    default:
      return []
  }
}

function drawKill(random: Random, starts: readonly Start[], stays: number, at: number): Strike[] {
  const node = below(random, starts.length)
  const start = starts[node]
  if (start === undefined || node === stays) return []
  const backAfterMs = nextFloat(random) < 0.7 ? 1 + nextFloat(random) * 6000 : undefined
  const vanishes = nextFloat(random) < 0.25
  return [
    { type: 'kill', at: Math.max(at, start.at + 20), node, vanishes, backAfterMs, sameName: nextFloat(random) < 0.8 },
  ]
}

/** Mostly short: long ones say the same more slowly. */
function drawStallMs(random: Random): number {
  const shape = nextFloat(random)
  if (shape < 0.6) return 1000 + nextFloat(random) * 2000
  return shape < 0.95 ? 3000 + nextFloat(random) * 9000 : 12_000 + nextFloat(random) * 48_000
}

function drawCuts(random: Random, starts: readonly Start[], at: number): Strike[] {
  const addresses = starts.map((start) => start.address)
  const ways = drawWays(random, addresses)
  const longMs = nextFloat(random) < 0.5 ? 200 + nextFloat(random) * 3000 : 3000 + nextFloat(random) * 17_000
  if (nextFloat(random) >= 0.25) return [{ type: 'cut', at, until: at + longMs, ways }]
  // On and off.
  const cuts: Strike[] = []
  let from = at
  for (let i = 2 + below(random, 6); i > 0; i--) {
    const until = from + 100 + nextFloat(random) * 2500
    cuts.push({ type: 'cut', at: from, until, ways })
    from = until + 50 + nextFloat(random) * 2500
  }
  return cuts
}

function drawWays(random: Random, addresses: readonly string[]): Direction[] {
  const shape = nextFloat(random)
  if (shape < 0.4) {
    const a = addresses[below(random, addresses.length)] as string
    const b = addresses[below(random, addresses.length)] as string
    if (a === b) return []
    return shape < 0.15 ? [[a, b]] : between(a, b)
  }
  const parts = shape < 0.8 ? 2 : 3
  const part = new Map(addresses.map((address) => [address, below(random, parts)]))
  const ways: Direction[] = []
  for (const from of addresses) {
    for (const to of addresses) if (part.get(from) !== part.get(to)) ways.push([from, to])
  }
  return ways
}

function between(a: string, b: string): Direction[] {
  return [
    [a, b],
    [b, a],
  ]
}

/** Messages at which something may be aimed. */
const aimedAt = [
  'claim',
  'grant',
  'unused',
  'take',
  'ack',
  'state',
  'ops',
  'pull',
  'start',
  'spawned',
  'startFailed',
  'idGrant',
  'idGive',
  'flush',
  'flushed',
  'running',
  'runs',
] as const

/** Those by which names and slots change hands. */
const contended = ['claim', 'grant', 'take', 'take', 'ack', 'ack', 'ops', 'start', 'flush', 'idGive'] as const

function drawAim(random: Random, deed: Extract<Strike, { type: 'aim' }>['deed'], messages: readonly string[]): Strike {
  return {
    type: 'aim',
    at: nextFloat(random) * actMs,
    message: messages[below(random, messages.length)] ?? 'grant',
    whom: nextFloat(random) < 0.5 ? 'sender' : 'receiver',
    deed,
  }
}
