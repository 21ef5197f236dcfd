/**
 * All that the membership machine remembers, as plain data. Each part is changed by one file: the table by `table.ts`,
 * the view by `view.ts`, the dials by `dialling.ts`, probes and suspicions by `detector.ts`, watches by `silence.ts`,
 * searches by `routes.ts`, the gate by `gate.ts`.
 */
import type { ClusterOutput, DialOutcome, LogOutput, MembershipConfig } from './contract.js'
import type { BootId, Member, MemberInfo, View } from './member.js'
import { type Random, seedRandom } from './random.js'

/** The machine's whole state: plain data, changed by `step` alone; `view` and `members` may be read by anyone. */
export interface MembershipState {
  config: MembershipConfig
  self: Member
  /** Every boot known, ourselves included, and those that are gone as long as they are remembered. */
  members: Map<BootId, Member>
  links: Set<BootId>
  /** Those of the links that are relayed, and the neighbour through which each goes. */
  vias: Map<BootId, BootId>
  /** Direct links to members that can carry relayed ones. */
  carriers: Set<BootId>
  view: View
  gate: 'shut' | 'open'
  random: Random
  /** False until the first input: then the first member and the first view are told upward. */
  started: boolean
  /** What those know who told this boot that it is down; undefined before. Told upward once. */
  condemned: readonly Member[] | undefined
  /** After a stall: the peers that have not answered yet, and the number of the ping that each must answer. */
  doubts: Map<BootId, number>
  /** Since when, and how many have answered. */
  doubtedAt: number
  trustedBy: number
  /** How many members are not gone, ourselves included. */
  present: number
  /** Boots declared down, until when each is dialled all the same, the first to end first. */
  missed: Map<BootId, number>
  /** When each link came up. */
  linkedAt: Map<BootId, number>
  /** When each gone boot was learned to be gone, the longest ago first. */
  goneAt: Map<BootId, number>
  /** The two lists that are sent, made anew after a change of the table only. */
  lists: { news: readonly Member[] | undefined; carry: readonly Member[] | undefined }
  /** Past a number of links: boots of which news is to be told on together, and when; Infinity when there is none. */
  untold: Set<BootId>
  tellAt: number
  /** When the oldest change that the view does not show was made; Infinity when there is none. */
  viewDirtyAt: number
  viewAt: number
  /** Lifeguard's local health, 0 (well) to 7: stretches probe interval and timeout. */
  health: number
  /** The last probe number and the last token of a `defer`. */
  lastSeq: number
  lastToken: number
  /** The members in the random order of this round of probes, and how far it has come. */
  order: BootId[]
  cursor: number
  /** When the next probe starts. */
  probeAt: number
  probes: Map<number, Probe>
  helps: Map<number, Help>
  suspicions: Map<BootId, Suspicion>
  /** Links that are in use and owe us an ack. */
  watches: Map<BootId, Watch>
  /** Members without a link for which a neighbour is looked for that has one. */
  searches: Map<BootId, Search>
  absences: Map<BootId, Absence>
  /** What the latest answer of discovery names. */
  discovered: Set<string>
  dials: Map<string, Dial>
  /** No dial is due before this time. */
  dialAt: number
  /** Has discovery answered yet? */
  answered: boolean
  /** When the gate opens though nobody was met. */
  gateAt: number
  /** When `formation` must have been met; Infinity without one, and once it was told that it is not. */
  formBy: number
  /** How many members there were when they were last counted for it, and since when. */
  counted: number
  countedAt: number
  /** How far the lock of discovery is; `settled`: held, given up or not needed. */
  lock: 'needed' | 'awaited' | 'settled'
  /** When it is given up. */
  lockBy: number
  /** When the first member was met. */
  metAt: number
  askedAt: number
  /** When discovery is to be asked again; Infinity while that would not help. */
  refreshAt: number
  /** The machine's deadline, and whether it must be worked out again. */
  due: number
  stale: boolean
}

/** One member being probed by us. */
export interface Probe {
  readonly subject: BootId
  readonly seq: number
  /** After a closed link: outside the round, and no measure of our own health. */
  readonly urgent: boolean
  /** When others are asked to probe it too; Infinity once they were. */
  askAt: number
  due: number
  asked: readonly BootId[]
  /** Those of the asked that answered that they get no ack either. */
  nacks: BootId[]
  /** The token of the `defer` that precedes the verdict; 0 before. */
  token: number
}

/** One member that we probe for another. */
export interface Help {
  readonly subject: BootId
  readonly asker: BootId
  readonly askerSeq: number
  readonly due: number
}

/** A link that is in use: did the far end answer what was sent after that began? */
export interface Watch {
  readonly seq: number
  /** When others are asked whether the far end lives; Infinity once they were. */
  askAt: number
  due: number
  asked: readonly BootId[]
  /** Who has just heard of it while we did not. */
  voucher: BootId | undefined
  /** The token of the `defer` that precedes the verdict; 0 before. */
  token: number
}

/** How far the search for a neighbour has come: it rests, asks, or has one dialled through. */
export interface Search {
  /** The number of the question that is open; 0 while none is. */
  seq: number
  asked: readonly BootId[]
  /** Who cannot, as far as is known since the last rest. */
  readonly tried: Set<BootId>
  through: BootId | undefined
  due: number
  pauseMs: number
}

export interface Suspicion {
  readonly subject: BootId
  /** The incarnation suspected; a refutation carries a higher one. */
  readonly incarnation: number
  readonly since: number
  /** Who found it silent themselves; the first is the one that made or told the suspicion. */
  readonly accusers: Set<BootId>
  due: number
  /** The token of the `defer` that precedes the verdict; 0 before. */
  token: number
}

/** What speaks for it that the process of a member is gone. */
export interface Absence {
  /** The remote end closed our link to it. */
  closed: boolean
  /** After that we were refused at its address. */
  refused: boolean
  /** When others told that they were refused there. */
  readonly reports: Map<BootId, number>
}

export interface Dial {
  inFlight: boolean
  /** When it is dialled again; Infinity while it need not be. */
  due: number
  backoffMs: number
  outcome: DialOutcome | undefined
  /** Who answered there last. */
  boot: BootId | undefined
  /** The failure has been logged; the next ones are not, until it has once been linked. */
  logged: boolean
}

/** A node that knows nobody, has not yet been told anything, and is due at once. */
export function initMembership(config: MembershipConfig, now: number): MembershipState {
  const self: Member = { info: config.self, phase: 'joining', incarnation: 0, suspect: false }
  return {
    config,
    self,
    members: new Map([[config.self.boot, self]]),
    links: new Set(),
    vias: new Map(),
    carriers: new Set(),
    view: { number: 1, members: [config.self] },
    gate: 'shut',
    random: seedRandom(config.seed),
    started: false,
    condemned: undefined,
    doubts: new Map(),
    doubtedAt: 0,
    trustedBy: 0,
    missed: new Map(),
    linkedAt: new Map(),
    present: 1,
    goneAt: new Map(),
    lists: { news: undefined, carry: undefined },
    untold: new Set(),
    tellAt: Infinity,
    viewDirtyAt: Infinity,
    viewAt: -Infinity,
    health: 0,
    lastSeq: 0,
    lastToken: 0,
    order: [],
    cursor: 0,
    probeAt: Infinity,
    probes: new Map(),
    helps: new Map(),
    suspicions: new Map(),
    watches: new Map(),
    searches: new Map(),
    absences: new Map(),
    discovered: new Set(),
    dials: new Map(),
    dialAt: Infinity,
    answered: false,
    gateAt: now + config.limits.gateMs,
    formBy: now + (config.formation?.withinMs ?? Infinity),
    counted: 0,
    countedAt: now,
    lock: config.lock === true ? 'needed' : 'settled',
    lockBy: Infinity,
    metAt: Infinity,
    askedAt: -Infinity,
    refreshAt: Infinity,
    due: now,
    stale: false,
  }
}

/** Is there a link to it that goes through nobody else? */
export function isDirect(state: MembershipState, boot: BootId): boolean {
  return state.links.has(boot) && !state.vias.has(boot)
}

/** How a member is named in logs. */
export function label(info: MemberInfo): string {
  return `${info.name}@${info.address}`
}

export function logged(level: LogOutput['level'], text: string, fields: Record<string, unknown>): LogOutput {
  return { type: 'log', level, text, fields }
}

/** A frame or record that was not used. Reasons are a closed set, since they are counted by reason. */
export function dropped(from: BootId, reason: string): ClusterOutput {
  return { type: 'dropped', from, reason }
}
