/**
 * What may befall the nodes of a run, and how a seed decides on it: which faults there are by name, what each does at
 * which planned moment, and what it does to what discovery answers.
 */
import { below, nextFloat, type Random } from '@skep/cluster/core'

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
  /** All nodes wait for each other before their first gate opens, with a formation of which each run draws its own. */
  'formation',
  /** At the moment of a certain message somebody leaves or joins, or a link slows down. */
  'aims',
  /** Whoever sends or gets a certain message is killed at that moment, vanishes, stands still or hardly reads. */
  'deaths',
  /**
   * Processes are handed over: leavers hand theirs over before, joiners get theirs, users move some; and at the moment
   * of a message of a handoff somebody leaves or joins, or a link slows down (with `deaths`: is killed).
   */
  'handoffs',
  /** A partition policy other than `serve`, and cuts in parts that last long enough for it to matter. */
  'policies',
  /**
   * Processes crash or stop by themselves under every restart policy, also at the moment of a certain message, and
   * restarts of them fail.
   */
  'ends',
] as const
export type Fault = (typeof faultNames)[number]

/** What `all` means: under another partition policy nodes keep other promises, so that word is asked for by name. */
export const usualFaults: readonly Fault[] = faultNames.filter((name) => name !== 'policies')

export interface Start {
  readonly at: number
  readonly name: string
  readonly address: string
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
      readonly deed: 'leave' | 'join' | 'slow' | 'kill' | 'vanish' | 'stall' | 'choke' | 'end'
    }

/** All planned faults and operations strike before this; a run lasts at least `runMs`. */
export const actMs = 13_000

/** Over the half second of the late rule; with the slowest question and answer still under a second of silence. */
const PAUSE_MS = 505

/** What one kind of fault does to the nodes of a plan; `stays` is one that never goes for good. */
export function drawStrikes(
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
      // Now and then one pair alone: then nobody may be held to be down.
      if (nextFloat(random) < 0.1) {
        const pair = drawPair(random, addressesOf(starts), nextFloat(random) < 0.4)
        return drawCuts(random, starts, moment(), pair)
      }
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
    case 'policies':
      return drawSplits(random, starts)
    case 'aims':
      return times(6).map(() => {
        const deed = (['leave', 'leave', 'join', 'slow', 'slow'] as const)[below(random, 5)] ?? 'slow'
        return drawAim(random, deed, contended)
      })
    case 'deaths':
      return times(3).map(() => drawAim(random, drawDeath(random), aimedAt))
    case 'handoffs':
      return times(4).map(() => {
        const deed = (['leave', 'join', 'slow', 'slow'] as const)[below(random, 4)] ?? 'slow'
        return drawAim(random, deed, handing)
      })
    case 'ends':
      return times(5).map(() => drawAim(random, 'end', nextFloat(random) < 0.5 ? handing : aimedAt))
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

function drawCuts(
  random: Random,
  starts: readonly Start[],
  at: number,
  ways: readonly Direction[] = drawWays(random, addressesOf(starts)),
): Strike[] {
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

/** In parts, for long; now and then a part is split once more, or only one way is cut, or parts meet in between. */
function drawSplits(random: Random, starts: readonly Start[]): Strike[] {
  const splits: Strike[] = []
  let at = 2500 + nextFloat(random) * 4000
  for (let i = 1 + below(random, 3); i > 0; i--) {
    const until = at + (nextFloat(random) < 0.25 ? 1500 + nextFloat(random) * 5000 : 6500 + nextFloat(random) * 18_000)
    const oneWay = nextFloat(random) < 0.15
    splits.push({ type: 'cut', at, until, ways: drawParts(random, addressesOf(starts), 2 + below(random, 2), oneWay) })
    at = nextFloat(random) < 0.5 ? at + nextFloat(random) * (until - at) : until + nextFloat(random) * 4000
  }
  return splits
}

function drawParts(random: Random, addresses: readonly string[], parts: number, oneWay: boolean): Direction[] {
  const part = new Map(addresses.map((address) => [address, below(random, parts)]))
  const isCutOff = (from: string, to: string): boolean =>
    oneWay ? (part.get(from) ?? 0) < (part.get(to) ?? 0) : part.get(from) !== part.get(to)
  return addresses.flatMap((from) => addresses.flatMap((to): Direction[] => (isCutOff(from, to) ? [[from, to]] : [])))
}

function addressesOf(starts: readonly Start[]): string[] {
  return starts.map((start) => start.address)
}

function drawWays(random: Random, addresses: readonly string[]): Direction[] {
  const shape = nextFloat(random)
  if (shape < 0.4) return drawPair(random, addresses, shape < 0.15)
  const parts = shape < 0.8 ? 2 : 3
  const part = new Map(addresses.map((address) => [address, below(random, parts)]))
  const ways: Direction[] = []
  for (const from of addresses) {
    for (const to of addresses) if (part.get(from) !== part.get(to)) ways.push([from, to])
  }
  return ways
}

function drawPair(random: Random, addresses: readonly string[], oneWay: boolean): Direction[] {
  const first = below(random, addresses.length)
  const second = (first + 1 + below(random, addresses.length - 1)) % addresses.length
  const there: Direction = [addresses[first] as string, addresses[second] as string]
  return oneWay ? [there] : [there, [there[1], there[0]]]
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

/** Those by which a process changes hands. */
const handing = ['order', 'handoff', 'handoff', 'handoffFailed', 'claim', 'grant', 'known', 'knows'] as const

/** Somebody dies in the middle of a handoff. */
export function drawHandingDeaths(random: Random): Strike[] {
  return new Array(1 + below(random, 3)).fill(0).map(() => drawAim(random, drawDeath(random), handing))
}

/** Mostly its process is killed; else its machine is gone, it stands still, or it hardly reads. */
function drawDeath(random: Random): Extract<Strike, { type: 'aim' }>['deed'] {
  const shape = nextFloat(random)
  if (shape < 0.5) return 'kill'
  return shape < 0.7 ? 'vanish' : shape < 0.85 ? 'stall' : 'choke'
}

function drawAim(random: Random, deed: Extract<Strike, { type: 'aim' }>['deed'], messages: readonly string[]): Strike {
  return {
    type: 'aim',
    at: nextFloat(random) * actMs,
    message: messages[below(random, messages.length)] ?? 'grant',
    whom: nextFloat(random) < 0.5 ? 'sender' : 'receiver',
    deed,
  }
}

/** A moment of the plan, shortly before or after one: there the races are. */
export function nearMoment(random: Random, moments: readonly number[], spreadMs: number): number {
  const moment = moments[below(random, moments.length)] ?? 0
  return Math.max(0, Math.min(actMs, moment + (nextFloat(random) - 0.2) * spreadMs))
}

/** What discovery answers a node that is struck so, of all addresses; undefined where it fails. */
export function discoverable(
  how: Extract<Strike, { type: 'discovery' }>['how'] | undefined,
  addresses: readonly string[],
  random: Random,
): readonly string[] | undefined {
  switch (how) {
    case undefined:
      return addresses
    case 'fails':
      return undefined
    case 'nothing':
      return []
    case 'part':
      return addresses.filter(() => nextFloat(random) < 0.5)
    case 'lies':
      // Nobody ever listens at the last two.
      return [...addresses.filter(() => nextFloat(random) < 0.3), '10.9.9.9:1', '10.0.0.201:7000']
  }
}
