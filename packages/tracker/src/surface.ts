/** The tracker's public face: what its users call, give and get. `tracker.ts` does it. */
import type { Cluster, Logger, Time } from '@skep/cluster'
import type { BootId } from '@skep/cluster/core'
import type { Explanation } from './core/explain.js'
import type { Claim, Ended, NameEvent } from './core/messages.js'
import type { Pid } from './core/pid.js'
import type { Rebalance, TrackerLimits } from './core/state.js'
import type { PartitionConfig } from './core/votes.js'
import type { EventOptions, MissedEvents } from './events.js'
import type { OwnPlacement, PlacementRule, RestartOptions, RestartPolicy } from './rules.js'

export interface TrackerOptions {
  /** Started with `manualReady: true`: the tracker says when this node is synced. */
  readonly cluster: Cluster
  /** pino's shape. Default: that of the cluster, JSON lines on standard output. */
  readonly logger?: Logger
  readonly limits?: Partial<TrackerLimits>
  /** Whether placed processes follow when others join; `gradual`, 50 names a second for each node, by default. */
  readonly rebalance?: Partial<Rebalance>
  /** Which part of a split cluster goes on, and its times (`partitionTimes`). Default: all parts do. */
  readonly partition?: PartitionConfig
  /** A broken invariant of the node itself. Default: log it as fatal and end the process with code 70. */
  readonly onFatal?: (error: unknown) => void
  /** The clock and its timers; tests and simulations give their own. */
  readonly time?: Time
  /** The machine's chance, 32 bits; by default from the operating system. */
  readonly seed?: number
}

export interface WaitOptions {
  /** Milliseconds until ERR_TIMEOUT; 10 s by default, Infinity waits as long as it takes. */
  readonly timeout?: number | undefined
  /** Aborting gives ERR_ABORTED at once. */
  readonly signal?: AbortSignal | undefined
}

export interface ClaimOptions extends WaitOptions {
  /** What holds the name, for people and for `spawn`: an actor's kind. */
  readonly kind?: string | undefined
  /** Plain data of at most 4 KiB that travels with the name. */
  readonly meta?: unknown
  /**
   * `owner` (default) asks the owner of the name's slot; `local` skips it: one hop less, and two holders may stand for a
   * moment. Before this node is ready, and knows which names stand, it asks the owner either way.
   */
  readonly mode?: 'owner' | 'local' | undefined
}

export interface RegisterOptions extends ClaimOptions {
  /** Return only when so many other members have acknowledged the name; `all`: everyone linked. */
  readonly visible?: 'all' | number | undefined
}

export interface SpawnOptions extends WaitOptions {
  readonly meta?: unknown
  /** Where it is started; where the ring says by default. */
  readonly placement?: PlacementRule | undefined
  /** Whether it is started again after which end; `transient` by default. */
  readonly restart?: RestartPolicy | RestartOptions | undefined
}

export interface FlushOptions extends WaitOptions {
  /** How many other members must have acknowledged; all by default. */
  readonly want?: 'all' | number | undefined
}

/** A placed name that this node is to start, granted already: run it, and give its pid. */
export interface Activation {
  readonly name: string
  readonly kind: string
  readonly spec: unknown
  /** Rises with every activation of a name: goes with writes to outside stores. */
  readonly fence: number
  readonly cause: 'spawn' | 'failover' | 'handoff'
  /** With cause `handoff`: what its source exported. */
  readonly state?: Uint8Array | undefined
  /** And the boot of that source: until that has passed on what was sent there, what comes straight has to wait. */
  readonly source?: BootId | undefined
}

/** Who hands placed processes over to other nodes, at the node where they run. All but `export` act at once. */
export interface Handing {
  /** Pause this process once its running call has ended, and give its state as bytes; a rejection means that it stays. */
  export(pid: Pid, name: string): Promise<Uint8Array>
  /** It goes on here after all. */
  resume(pid: Pid, name: string): void
  /** It goes on as `to`: pass on what waits for it and what still comes, in order. The process itself is over. */
  release(pid: Pid, name: string, to: Claim): void
  /** All members know where it went: after what was passed on nothing more comes. */
  passed(pid: Pid, name: string): void
}

/** A placed name that was not handed over, and why. */
export interface Unmoved {
  readonly name: string
  readonly reason: string
}

/** A process of this node that lost its name and must end. */
export interface Deactivation {
  readonly pid: Pid
  readonly name: string
  /** `conflict`: another copy won after a split; `superseded`: it lives elsewhere now, by the cluster's own decision. */
  readonly reason: string
  /** Who has the name; undefined where it was stopped elsewhere meanwhile. */
  readonly winner?: Claim | undefined
}

/** A name reserved for this node. Start what is to hold it, then `commit`; or `abandon`. */
export interface Grant {
  readonly name: string
  /** The fence of this activation. */
  readonly fence: number
  /** Writes the name. Rejects with ERR_ALREADY_STARTED (`pid`) when the grant was lost meanwhile, ERR_TIMEOUT, ERR_STOPPED. */
  commit(pid: Pid): Promise<Claim>
  /** Gives the name back; nothing after `commit` or a second time. */
  abandon(): void
}

export interface TrackerStats {
  /** Names visible here. */
  readonly names: number
  /** Callers that wait. */
  readonly waiting: number
  /** Readers of `events()`. */
  readonly readers: number
  /** Messages of peers that made no sense, by reason. */
  readonly dropped: Readonly<Record<string, number>>
}

export interface Tracker {
  readonly cluster: Cluster
  /** Who holds the name, as this node knows: synchronous, local. */
  whereis(name: string): Pid | undefined
  lookup(name: string): Claim | undefined
  /** The names visible here that begin with `prefix`; with `local` only this node's. A snapshot. */
  registered(filter?: { readonly prefix?: string; readonly local?: boolean }): Claim[]
  /** A pid of this node that was never given before. */
  nextPid(): Pid
  /**
   * Asks for the name and resolves with the grant. Rejects with ERR_ALREADY_STARTED or ERR_ALREADY_REGISTERED (`pid` is
   * the holder), ERR_BAD_NAME, ERR_NOT_SENDABLE, ERR_TOO_LARGE, ERR_TIMEOUT, ERR_ABORTED, ERR_LEAVING, ERR_STOPPED.
   */
  claim(name: string, options?: ClaimOptions): Promise<Grant>
  /** Puts a process of this node under the name. Rejects as `claim`, and with ERR_NOT_LOCAL for another node's pid. */
  register(name: string, pid: Pid, options?: RegisterOptions): Promise<Claim>
  /** The holder of the name, which is `pid` when nobody held it. Atomic: all who ask at once get one answer. */
  whereisOrRegister(name: string, pid: Pid, options?: RegisterOptions): Promise<Pid>
  /**
   * Starts where the ring says, or another rule of placement. Rejects as `claim`, and with ERR_KIND_UNKNOWN, ERR_NO_HOST,
   * ERR_INIT_FAILED.
   */
  spawn(name: string, kind: string, spec: unknown, options?: SpawnOptions): Promise<Claim>
  /**
   * Makes a strategy of the user's own known to this node under an id; a later one replaces it. It must be the same on
   * every node that can place such names, and pure: it runs within the registry's steps, and what it gives is computed
   * by others too. A node that does not have it, or where it throws, places by the ring, and moves nothing by it.
   */
  definePlacement(id: string, place: OwnPlacement): PlacementRule
  /** Takes the name off its process, wherever that runs. Nothing when nobody holds it. */
  unregister(name: string, options?: WaitOptions): Promise<void>
  /** Replaces the metadata of a name, wherever it is held. */
  update(name: string, meta: unknown, options?: WaitOptions): Promise<void>
  /**
   * A process of this node ended: its names and groups go. `keepPlaced`: placed names are started again elsewhere, for
   * this node leaves. `ended`: nobody told it to, so their restart policies say what becomes of them.
   */
  gone(pid: Pid, options?: { readonly keepPlaced?: boolean; readonly ended?: Ended | undefined }): void
  join(group: string, pid: Pid, meta?: unknown, options?: WaitOptions): Promise<void>
  leaveGroup(group: string, pid: Pid, options?: WaitOptions): Promise<void>
  membersOf(group: string): readonly Pid[]
  /** The barrier: resolves when all earlier writes of this node are known to the others. */
  flush(options?: FlushOptions): Promise<void>
  /**
   * The present state first, then what happens; a slow reader is told what it missed. A name that was handed over is
   * `moved`, with `previous`, also where its old claim was seen to end first and `unregistered` was told.
   */
  events(options?: EventOptions): AsyncIterable<NameEvent | MissedEvents>
  /** Who starts placed names here; a rejection means that init failed. A later call replaces the function. */
  onActivate(fn: (activation: Activation) => Promise<Pid>): void
  /** Who ends processes that lost their name. A later call replaces the function. */
  onDeactivate(fn: (deactivation: Deactivation) => void): void
  /**
   * Told `true` in the very turn in which this node's part may no longer go on, by the partition policy: processes that
   * hold a name must not run from there on. `false`: names are given again. A later call replaces the function.
   */
  onHalted(fn: (on: boolean) => void): void
  /** A process that held a name when this node halted holds it still and may run. A later call replaces the function. */
  onResumed(fn: (pid: Pid) => void): void
  /** A process holds its name again after this node became another boot. A later call replaces the function. */
  onKept(fn: (pid: Pid, name: string) => void): void
  /** Whether this node's part may not go on at present. */
  readonly halted: boolean
  /**
   * Halts now if the time for it has come: who runs processes asks before each turn, for timers may be late. `now`: what
   * the tracker's clock says, where that is known already.
   */
  haltIfDue(now?: number): void
  /** Which of this node's processes still run: a name or group asked for a process that ended meanwhile is refused. */
  livesHere(fn: (pid: Pid) => boolean): void
  /** Who hands placed processes over. Without one they stay where they are. A later call replaces it. */
  onHandoff(handing: Handing): void
  /** Hands the placed process of this name over: to that boot, or to where the ring says. Resolves when it is there. */
  move(name: string, to?: BootId, options?: WaitOptions): Promise<void>
  /**
   * Hands every placed process of this node over, and takes in none from here on: for a node that is about to leave.
   * Resolves with those that stay, when all others are gone.
   */
  handOver(): Promise<readonly Unmoved[]>
  /** Those that are here still, each with why it will not go where that is known, else with this reason. */
  unmoved(reason: string): readonly Unmoved[]
  /** How many placed processes of this node others have taken over so far. */
  readonly handedOver: number
  /** Joined and synced. Waits as long as it takes, or rejects with ERR_NOT_READY after `timeout`, ERR_ABORTED, ERR_STOPPED. */
  ready(options?: WaitOptions): Promise<void>
  /** Why the name is where it is, as this node sees it. */
  explain(name: string): Explanation
  stats(): TrackerStats
  /** What callers wait for, oldest first, such as "register 'printer'"; up to `most` of them. */
  waitingFor(most: number): readonly string[]
  /** Announces that this node leaves: from here on nothing is claimed here (ERR_LEAVING), no slot is held. */
  leave(): void
  /** After the local processes have ended: hands over what others need, and resolves when the node may close, at most 2 s later. */
  part(): Promise<void>
  /** At once: callers get ERR_STOPPED, streams end. The cluster stays open. */
  close(): Promise<void>
}
