/** What a run finds, and how the findings of many runs are added up. */
import type { PhaseHits } from './phases.js'

/** The invariants of PROTOCOL.md section 6 that are checked, by the word the summary counts them under. */
export type Rule =
  /** Two live nodes hold one name. */
  | 'duplicate'
  /** Two processes of one name run, and a partition policy says that one of them must have paused. */
  | 'twoRun'
  /** Two live nodes hold one slot. */
  | 'doubleSlot'
  /** Two ids of one lineage own a point in common. */
  | 'overlap'
  /** A seq, view number or counter fell. */
  | 'backwards'
  /** A name went to a new holder without a higher fence. */
  | 'fence'
  /** An ask without an outcome, a node that does not become ready or does not finish leaving, an unheld slot. */
  | 'stuck'
  /** An acknowledged registration or spawn is gone while its holder lives. */
  | 'lost'
  /** A node showed a name as free whose process was on its way to another one. */
  | 'gap'
  /** A claim of a process that is gone. */
  | 'ghost'
  /** A name that its user stopped was started again. */
  | 'resurrected'
  /** The caller's own node does not show what it acknowledged. */
  | 'unread'
  /** A live actor was stopped without a conflict. */
  | 'stopped'
  /** A live node was declared down. */
  | 'falseDown'
  /** A node that is gone still counts as a member long after. */
  | 'missedDown'
  /** Stamps order two claims otherwise than what their makers had seen. */
  | 'stamp'
  /** Of two copies of a name none is left. */
  | 'bothStopped'
  /** Replicas differ at rest. */
  | 'diverged'
  /** A queue outgrew its bound. */
  | 'unbounded'
  /** A question that was not answered in the very step in which it arrived. */
  | 'unanswered'
  /** An outcome that the request cannot have. */
  | 'outcome'
  /** One request was done twice. */
  | 'twice'
  /** What one caller sent to one actor was done in another order. */
  | 'order'
  /** A frame that one node encoded is not one for the next. */
  | 'unreadable'
  /** A machine threw. */
  | 'thrown'

export interface Violation {
  readonly seed: number
  readonly rule: Rule
  /** Virtual milliseconds from the start of the run. */
  readonly at: number
  readonly text: string
}

export interface RunReport {
  readonly seed: number
  readonly nodes: number
  readonly ops: number
  readonly frames: number
  readonly events: number
  readonly virtualMs: number
  /** A view changed somewhere between a claim and its outcome. */
  readonly raced: boolean
  /** Over kinds, times and nodes of all events: equal for equal runs. */
  readonly hash: string
  readonly violations: readonly Violation[]
  /** How asks ended: `registered`, `done` or the code of the refusal, each with its number. */
  readonly outcomes: Readonly<Record<string, number>>
  /** Of the level of machines: in the middle of what each fault struck. */
  readonly phases?: Readonly<PhaseHits>
}

export interface Summary {
  readonly runs: number
  readonly ops: number
  /** Of any rule. */
  readonly violations: number
  /** Runs in which the rule was broken. */
  readonly stuck: number
  readonly duplicates: number
  readonly lost: number
  readonly diverged: number
  /** Every rule that was broken, with the number of runs. */
  readonly rules: Readonly<Partial<Record<Rule, number>>>
  readonly frames: number
  /** Events that befell nodes: what arrived, timers, what users asked. */
  readonly steps: number
  readonly medianOps: number
  /** Share of runs. */
  readonly raced: number
  readonly virtualSeconds: number
  readonly outcomes: Readonly<Record<string, number>>
  /** Of all runs, whatever the order in which they ran. */
  readonly hash: string
}

/** Adds runs up, in any order, in memory that does not grow with their frames. */
export class Tally {
  private runs = 0
  private violations = 0
  private frames = 0
  private steps = 0
  private raced = 0
  private virtualMs = 0
  private high = 0
  private low = 0
  private readonly opsOfRuns: number[] = []
  private readonly rules = new Map<Rule, number>()
  private readonly outcomes = new Map<string, number>()
  /** In the middle of what each fault struck. */
  readonly phases: PhaseHits = {}

  add(report: RunReport): void {
    this.runs++
    this.opsOfRuns.push(report.ops)
    this.violations += report.violations.length
    this.frames += report.frames
    this.steps += report.events
    this.raced += report.raced ? 1 : 0
    this.virtualMs += report.virtualMs
    for (const rule of new Set(report.violations.map((one) => one.rule))) {
      this.rules.set(rule, (this.rules.get(rule) ?? 0) + 1)
    }
    for (const [outcome, count] of Object.entries(report.outcomes)) {
      this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + count)
    }
    for (const [key, count] of Object.entries(report.phases ?? {})) this.phases[key] = (this.phases[key] ?? 0) + count
    // A sum does not depend on the order; the seed makes swapped hashes of two runs count.
    const salted = Math.imul(report.seed + 1, 0x9e3779b1)
    this.high = (this.high + (Number.parseInt(report.hash.slice(0, 8), 16) ^ salted)) >>> 0
    this.low = (this.low + (Number.parseInt(report.hash.slice(8), 16) ^ salted)) >>> 0
  }

  summary(): Summary {
    const sorted = [...this.opsOfRuns].sort((a, b) => a - b)
    const count = (...rules: Rule[]): number => rules.reduce((sum, rule) => sum + (this.rules.get(rule) ?? 0), 0)
    return {
      runs: this.runs,
      ops: sorted.reduce((sum, ops) => sum + ops, 0),
      violations: this.violations,
      stuck: count('stuck'),
      duplicates: count('duplicate'),
      lost: count('lost'),
      diverged: count('diverged'),
      rules: Object.fromEntries(this.rules),
      frames: this.frames,
      steps: this.steps,
      medianOps: sorted[sorted.length >> 1] ?? 0,
      raced: this.runs === 0 ? 0 : this.raced / this.runs,
      virtualSeconds: Math.round(this.virtualMs / 1000),
      outcomes: Object.fromEntries([...this.outcomes].sort()),
      hash: hex(this.high) + hex(this.low),
    }
  }
}

export function hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0')
}
