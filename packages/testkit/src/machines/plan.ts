/**
 * What one seed decides before a run begins: how many nodes start when, who leaves, which links drop, when the
 * workload strikes, how slow the network is. The plan knows nothing of the machines; what depends on the state of the
 * run (which node gets an operation, which link drops) is drawn while it goes on, from the seed's other streams.
 */
import { below, type Formation, nextFloat, type Random, seedRandom } from '@skep/cluster/core'
import type { PartitionConfig } from '@skep/tracker/core'
import { actMs, drawHandingDeaths, drawStrikes, type Fault, nearMoment, type Start, type Strike } from './strikes.js'

export { actMs, type Fault, faultNames, type Start, type Strike, usualFaults } from './strikes.js'

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

export interface Leave {
  readonly at: number
  /** Which of `starts`. */
  readonly node: number
  /** Milliseconds from its end to its return under a new boot id; undefined: it stays away. */
  readonly backAfterMs: number | undefined
  /** It comes back under the same name and address. */
  readonly sameName: boolean
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
  /** Are processes handed over? */
  readonly handoffs: boolean
  /** Do processes end by themselves? */
  readonly ends: boolean
  /** Are clocks wrong? */
  readonly clocks: boolean
  /** Which part of a split cluster goes on; all do where it is undefined. */
  readonly policy: Policy | undefined
  /** What all nodes are started with. */
  readonly formation: Formation | undefined
  /** Bytes of a chunk of a log. */
  readonly chunkBytes: number
  /** Names that a step looks at where there may be many. */
  readonly sliceNames: number
  /** Ops of a log that are kept. */
  readonly maxTail: number
  /** Chunks of a log that are on the way at once. */
  readonly maxChunks: number
  /** When the workload's operations strike. */
  readonly ops: readonly number[]
  readonly names: readonly string[]
}

export interface Policy {
  readonly policy: PartitionConfig['policy']
  /** How long a view stands before votes are counted against it: shorter than in life, where a run would last minutes. */
  readonly stableMs: number
}

/** Of the runs that draw some of many faults. */
const formationShare = 0.3

/** A run lasts at least this. */
export const runMs = 20_000

/** Operations a run: at least these. */
export const minOps = 100

/** The independent streams of one seed, so that a frame more or less does not change the workload. */
export function stream(seed: number, which: keyof typeof salts): Random {
  return seedRandom(Math.imul(seed + 1, 0x9e3779b1) ^ salts[which])
}

const salts = {
  plan: 0x1234567,
  network: 0x2468ace,
  workload: 0x369cf15,
  nodes: 0x48d159e,
  handing: 0x5b05a3d,
  ends: 0x6d7a11b,
  formation: 0x7e91c2f,
  slices: 0x51ce5,
  tails: 0x7a115,
}

export function makePlan(options: PlanOptions): Plan {
  const random = stream(options.seed, 'plan')
  const [least, most] = options.nodes
  const count = least + below(random, most - least + 1)
  const delays = drawDelays(random)
  const large = nextFloat(random) < 0.01
  // Of many kinds each run has some, so that each is seen alone and with each other.
  const struck = options.faults.filter((fault) => fault !== 'formation')
  const some = struck.length > 3
  const faults = some ? struck.filter(() => nextFloat(random) < 0.4) : struck
  const starts = drawStarts(random, count, faults.includes('joins'))
  const stays = below(random, count)
  const leaves = faults.includes('leaves') ? drawLeaves(random, starts, stays) : []
  const moments = [...starts.map((start) => start.at), ...leaves.map((leave) => leave.at)]
  const drawn = faults.flatMap((fault) => drawStrikes(random, fault, starts, stays, moments))
  const handoffs = faults.includes('handoffs')
  if (handoffs && faults.includes('deaths')) drawn.push(...drawHandingDeaths(random))
  const strikes = faults.includes('policies') ? drawn.map(comingBack) : drawn
  moments.push(...strikes.map((strike) => strike.at))
  const drops = faults.includes('loss') ? drawDrops(random, moments) : []
  const ops = drawOps(random, moments)
  const policy = faults.includes('policies') ? drawPolicy(random, count, faults) : undefined
  // While a part waits to take over, and after it did.
  if (policy !== undefined)
    for (const { at, until } of strikes.filter(isCut)) ops.push(...drawBetween(random, at, until))
  const forms = options.faults.includes('formation')
  const tails = stream(options.seed, 'tails')
  const piecemeal = below(tails, 2) === 0
  const formation = forms ? drawFormation(stream(options.seed, 'formation'), count, !some) : undefined
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
    handoffs,
    ends: faults.includes('ends'),
    policy,
    formation,
    // Logs are small here: in half of all runs they come an entry at a time, slowly, and much is written meanwhile.
    chunkBytes: piecemeal ? 1 : 150 + below(random, 2000),
    sliceNames: 1 + below(stream(options.seed, 'slices'), 4),
    maxTail: piecemeal ? 1 + below(tails, 4) : 1 << below(tails, 8),
    maxChunks: piecemeal ? 1 : 16,
    ops,
    names,
  }
}

/** A majority of whom nobody knows any more halts for ever, and rightly: under a policy processes come back. */
function comingBack(strike: Strike): Strike {
  return strike.type === 'kill' ? { ...strike, backAfterMs: strike.backAfterMs ?? 3000, sameName: true } : strike
}

function isCut(strike: Strike): strike is Extract<Strike, { type: 'cut' }> {
  return strike.type === 'cut'
}

function drawBetween(random: Random, from: number, to: number): number[] {
  return Array.from({ length: 5 + below(random, 20) }, () => from + nextFloat(random) * (to - from))
}

function drawPolicy(random: Random, count: number, faults: readonly Fault[]): Policy {
  const shape = nextFloat(random)
  const least = Math.floor(count / 2) + 1
  const quorum = { quorum: least + below(random, Math.max(1, count - least)) }
  // Where nodes leave for good a quorum may be out of reach, and where others join two sides may have it.
  const isFixed = !faults.some((fault) => fault === 'leaves' || fault === 'aims' || fault === 'handoffs')
  const policy = shape < 0.6 ? 'majority' : shape < 0.8 || !isFixed ? 'keep-oldest' : quorum
  return { policy, stableMs: 800 + nextFloat(random) * 2000 }
}

/** Of a stream of its own: the rest of the plan is the same with it and without. */
function drawFormation(random: Random, count: number, always: boolean): Formation | undefined {
  const chosen = nextFloat(random) < formationShare || always
  const shape = nextFloat(random)
  const half = Math.floor(count / 2)
  const expect = shape < 0.5 ? count : shape < 0.8 ? half + 1 + below(random, count - half) : 1 + below(random, count)
  const withinMs = 500 + nextFloat(random) * (nextFloat(random) < 0.5 ? 3000 : 8000)
  const stableMs = [0, 50, 300, 1000][below(random, 4)] ?? 0
  const otherwise = nextFloat(random) < 0.5 ? 'fail' : 'continue'
  return chosen ? { expect, withinMs, stableMs, otherwise } : undefined
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
