/** The face of a node of a cluster: what its users and the layers above call, give and get. `cluster.ts` does it. */
import type { BootId, Member, MemberInfo, Phase, View } from './core/member.js'
import type { ClusterUpward, DialOutcome } from './core/membership.js'
import type { Discovery } from './discovery/discovery.js'
import type { Naming, SourceReport } from './discovery/runner.js'
import type { Lane } from './limits.js'

/** What a layer is told besides what the machine says. */
export type LayerInput =
  | ClusterUpward
  /** This peer was overloaded and `droppable` messages or posts were turned away; now it takes them again. */
  | { type: 'drained'; boot: BootId }
  /** This node stood still for long, and does not know what it has lost meanwhile: until `trusted` or `rejoined`. */
  | { type: 'stalled' }
  | { type: 'trusted' }

/** A layer above: the frames of its kinds are its own. */
export interface Layer<M> {
  /** Kinds of its frames, both included: tracker 28-63, actors 64-95, applications 96-127. */
  readonly kinds: readonly [number, number]
  /** The frame of a message: an array that starts with a kind. */
  encode(message: M): readonly unknown[]
  /** The message of a frame from outside; undefined where it is not one. Must not throw. */
  decode(frame: readonly unknown[]): M | undefined
  /** Called in order, synchronously. A `message` carries what `decode` gave. A throw is a broken invariant. */
  input(input: LayerInput): void
  /** Where given, frames that come straight from a peer are handed over here, undecoded and past the machine. */
  raw?(from: BootId, frame: readonly unknown[]): void
  /** How a full link treats a message; `control` where not given. */
  lane?(message: M): Lane
}

/** What a node may say anew of itself while it runs. */
export interface Description {
  readonly kinds?: readonly string[]
  readonly cordoned?: boolean
  /** This node's part may not go on, by the partition policy: where it meets another part, it gives way. */
  readonly halted?: boolean
}

export interface ClusterStats {
  /** What came from outside and was not used, by reason. */
  readonly dropped: Readonly<Record<string, number>>
  readonly frames: { readonly in: number; readonly out: number }
  readonly links: readonly {
    readonly boot: BootId
    readonly name: string
    /** The name of the member through which it goes; undefined for a direct link. */
    readonly via: string | undefined
    readonly overloaded: boolean
    /** Bytes that wait to be sent. */
    readonly waitingBytes: number
    readonly framesIn: number
    readonly framesOut: number
    readonly bytesIn: number
    readonly bytesOut: number
  }[]
  /** How each strategy of discovery does. */
  readonly discovery: readonly SourceReport[]
}

/** What this node knows of an address: who named it, when it was dialled, what came of it, who lives there. */
export interface PeerExplanation {
  readonly address: string
  /** The strategies that named it, the latest first. */
  readonly namedBy: readonly Naming[]
  /** How often it was dialled, lately. */
  readonly dials: number
  readonly dialledAgoMs: number | undefined
  /**
   * `linked`; `refused`: nobody listens there; `failed`: no answer in time, or no way there; `rejected`: who lives there,
   * or this node, refused the other (another cluster or secret, a name on a list; the log says what); `taken`: the name is
   * another node's; `self`: it leads to this node.
   */
  readonly outcome: DialOutcome | 'under way' | undefined
  /** When it is dialled next, in milliseconds; undefined where there is no need to. */
  readonly nextDialInMs: number | undefined
  readonly members: readonly {
    readonly name: string
    readonly boot: BootId
    readonly phase: Phase
    readonly linked: boolean
  }[]
}

export interface ClusterEvents {
  /** A member's phase or suspicion changed, or it was first seen. */
  member: (member: Member, previous: Member | undefined, reason: string) => void
  view: (view: View) => void
  /** The others hold this node to be down: it goes on as another boot, and joins anew. */
  condemned: (by: BootId) => void
}

export interface Cluster {
  readonly self: MemberInfo
  view(): View
  /** All members that are not gone, this node among them. */
  members(): readonly Member[]
  /** Also a gone one, as long as it is remembered. */
  member(boot: BootId): Member | undefined
  /** Is there a link to it, a direct one or one through another member? */
  linked(boot: BootId): boolean
  /** Through whom frames to this member go, while there is no direct link; else undefined. */
  via(boot: BootId): MemberInfo | undefined
  /** Adds a layer. It is told at once what is known: members, view, links, and the gate where it is open. */
  attach<M>(layer: Layer<M>): void
  /**
   * Sends a message through the machine. An array is a frame as it stands; anything else is written by the attached
   * layer that has no `raw`. `carry`: with our members; without a link: relayed when `relay`, else dropped.
   * Neither throws nor tells what became of it.
   */
  send(to: BootId, message: unknown, options?: { readonly carry?: boolean; readonly relay?: boolean }): void
  /**
   * Puts a frame straight onto the link, in order with other posts: `unlinked` where there is none, `overloaded` above
   * the high water mark; nothing is queued then, and `drained` follows when there is room. The array must not be changed
   * afterwards. Throws ERR_NOT_SENDABLE or ERR_TOO_LARGE.
   *
   * From `linked` to `unlinked` what is posted arrives in order and at most once, also where the link is a relayed one
   * and where a direct one takes over from that; what had not arrived by `unlinked` may be lost.
   */
  post(to: BootId, frame: readonly unknown[]): 'sent' | 'unlinked' | 'overloaded'
  /**
   * Runs `work`, which sends, before anything else is sent or posted, and at the latest when no promise of this turn of
   * the event loop goes on any more: so what comes of many small steps can leave together, and still in its order.
   */
  beforeSending(work: () => void): void
  /**
   * Says `stalled` now if this process stood still: who runs users' code asks before each turn, for timers may be late.
   * `now`: what the cluster's clock says, where that is known already.
   */
  noticeStall(now?: number): void
  /** Whether this node has joined; not for a while after the others had held it to be down. */
  readonly isReady: boolean
  /**
   * Resolves when this node has joined (and `markReady` was called, with `manualReady`). Rejects with ERR_NOT_READY after
   * `timeout`, and with ERR_NOT_FORMED once the formation was not met in time.
   */
  ready(options?: { readonly timeout?: number; readonly signal?: AbortSignal }): Promise<void>
  markReady(): void
  /** Changes what this node says of itself, and tells everybody. */
  describe(change: Description): void
  /** Listens; the function returned ends it. */
  on<E extends keyof ClusterEvents>(event: E, listener: ClusterEvents[E]): () => void
  /** Asks one more strategy from here on; the function returned ends that. Throws a TypeError for what is none. */
  addDiscovery(strategy: Discovery): () => Promise<void>
  /** Why an address is linked or not. Throws a TypeError where it is none. */
  explainPeer(address: string): PeerExplanation
  /** Announces that this node leaves; resolves when that is handed to the links. */
  leave(): Promise<void>
  /** Ends everything, with a goodbye where leaving was announced. */
  close(): Promise<void>
  stats(): ClusterStats
}
