/** One run as plain data: who lived when, what was sent, what changed, what was done to it and which rule it broke. */

export interface Recording {
  readonly seed: number
  /** The command that makes the same run again. */
  readonly command: string
  /** Virtual milliseconds of the whole run; so are all times here. */
  readonly endedAt: number
  /** Over all events of the run: equal for equal runs. */
  readonly hash: string
  /** One a boot, in the order of their starts; all else names a lane by its place here. */
  readonly lanes: readonly Lane[]
  readonly frames: readonly Frame[]
  readonly marks: readonly Mark[]
  readonly holds: readonly Hold[]
  readonly faults: readonly Fault[]
  readonly violations: readonly Breach[]
  /** Frames, marks and holds that were left out because there were too many. */
  readonly leftOut: number
}

export interface Lane {
  readonly boot: string
  readonly name: string
  readonly address: string
  readonly from: number
  readyAt: number | undefined
  leavingAt: number | undefined
  /** Undefined: it lived until the end of the run. */
  until: number | undefined
  /** How it ended, in a word. */
  end: string | undefined
}

/** What a frame is about. */
export const families = ['membership', 'sync', 'claims', 'slots', 'placement', 'ids', 'requests'] as const
export type Family = (typeof families)[number]

export interface Frame {
  /** Lanes. */
  readonly from: number
  readonly to: number
  readonly sent: number
  /** Undefined: it never arrived. */
  arrived: number | undefined
  /** Of the message where the frame carries one, else of the frame itself. */
  readonly type: string
  readonly family: Family
  readonly text: string
}

/** What happened on one node, by what it is about. */
export const markKinds = ['life', 'view', 'name', 'slots', 'ask', 'outcome', 'link', 'note'] as const
export type MarkKind = (typeof markKinds)[number]

export interface Mark {
  readonly lane: number
  readonly at: number
  readonly kind: MarkKind
  /** A few letters to stand beside it. */
  readonly label: string
  readonly text: string
  /** Something went wrong or was given up. */
  readonly bad: boolean
}

/** A node holds something (a name, a slot) for a while. */
export interface Hold {
  readonly lane: number
  /** `name-3`, `slot 17`. */
  readonly what: string
  readonly from: number
  until: number | undefined
  readonly text: string
}

/** Done to the cluster: for a while, or at one moment. */
export interface Fault {
  readonly at: number
  readonly until: number | undefined
  readonly kind: string
  readonly text: string
  /** None: it strikes all. */
  readonly lanes: readonly number[]
}

/** A rule that was broken. */
export interface Breach {
  readonly rule: string
  readonly at: number
  readonly text: string
}
