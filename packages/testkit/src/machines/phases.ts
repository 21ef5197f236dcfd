/**
 * Which faults struck in the middle of what: the matrix that shows that a long run has tried them all. A fault that
 * strikes a node counts for the phases in which that node takes part, at either end of a handoff; one that strikes links
 * or comes from outside, for those of all nodes.
 */
import type { BootId } from '@skep/cluster/core'
import type { SimNode } from './node.js'

/** What can be under way at a node. */
export const phaseNames = [
  /** The process is being paused and exported. */
  'handoff.export',
  /** Its state is on its way, or being made a process of, and the target has not the name yet. */
  'handoff.sent',
  /** The source asks to have it back. */
  'handoff.retake',
  /** The target has the name, and what waits is passed on. */
  'handoff.pass',
  /** A loser asks whether the winner of its name runs. */
  'conflict',
  /** A placed name of a gone node is being started again. */
  'failover',
  /** A node hands over what it has, before it leaves. */
  'drain',
  /** It says goodbye. */
  'leave',
] as const
export type Phase = (typeof phaseNames)[number]

/** What can strike: the kinds of strikes of a plan, and what the world does besides. */
export const struckNames = [
  'kill',
  'vanish',
  'restart',
  'cut',
  'heal',
  'stall',
  'reader',
  'drop',
  'slow',
  'join',
  'leave',
  'rejoin',
] as const
export type Struck = (typeof struckNames)[number]

/** "fault phase" -> how often. */
export type PhaseHits = Record<string, number>

export class Phases {
  readonly hits: PhaseHits = {}

  /** It strikes these nodes; none given: all. */
  strike(fault: Struck, live: readonly SimNode[], victims: readonly SimNode[] = live): void {
    const boots = new Set<BootId>(victims.map(({ boot }) => boot))
    const found = new Set<Phase>()
    for (const node of live) gather(node, boots, found)
    for (const phase of found) {
      const key = `${fault} ${phase}`
      this.hits[key] = (this.hits[key] ?? 0) + 1
    }
  }
}

function gather(node: SimNode, struck: ReadonlySet<BootId>, found: Set<Phase>): void {
  const { tracker } = node.replica
  const own = struck.has(node.boot)
  for (const { stage, to } of tracker.handoffs.values()) {
    if (!own && !struck.has(to)) continue
    found.add(stage === 'wait' ? 'handoff.export' : `handoff.${stage}`)
  }
  for (const { winner } of tracker.contests.values()) if (own || struck.has(winner.pid.boot)) found.add('conflict')
  for (const { failover, host } of tracker.starting.values())
    if (failover && (own || (host !== undefined && struck.has(host)))) found.add('failover')
  if (!own) return
  if (tracker.leaving) found.add('leave')
  else if (tracker.draining !== undefined) found.add('drain')
}

/** Fault by phase, in rows; a cell that was never hit is 0. */
export function matrixOf(hits: Readonly<PhaseHits>): Record<Struck, Record<Phase, number>> {
  const row = (fault: Struck): Record<Phase, number> =>
    Object.fromEntries(phaseNames.map((phase) => [phase, hits[`${fault} ${phase}`] ?? 0])) as Record<Phase, number>
  return Object.fromEntries(struckNames.map((fault) => [fault, row(fault)])) as Record<Struck, Record<Phase, number>>
}

/** The cells that were never hit, as "fault phase". */
export function missedOf(hits: Readonly<PhaseHits>): string[] {
  return struckNames.flatMap((fault) =>
    phaseNames.map((phase) => `${fault} ${phase}`).filter((key) => !impossible.has(key) && (hits[key] ?? 0) === 0),
  )
}

/**
 * What cannot meet: a node that leaves is not told to leave once more, and does not become another boot; one that says
 * goodbye has no contests of its own, but may be the winner of another one's.
 */
const impossible: ReadonlySet<string> = new Set(['leave leave', 'rejoin leave'])
