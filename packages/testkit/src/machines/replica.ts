/**
 * One node's two machines and the glue between them, as the shells have it: what the membership machine says upward is
 * input of the tracker machine, what the tracker sends is input of the membership machine, and outputs are performed
 * in order, depth first, in the same turn. All other outputs leave through the port.
 */
import {
  type BootId,
  type ClusterFrame,
  type ClusterInput,
  type ClusterOutput,
  initMembership,
  type MembershipConfig,
  type MembershipState,
  membershipDeadline,
  stepMembership,
} from '@skep/cluster/core'
import {
  initTracker,
  mayFollowOps,
  stepTracker,
  type TrackerConfig,
  type TrackerInput,
  type TrackerOutput,
  type TrackerState,
  trackerDeadline,
} from '@skep/tracker/core'

/** Where the outputs go that are not for the other machine. */
export interface ReplicaPort {
  transmit(to: BootId, frame: ClusterFrame): void
  /** The other effects and news of the membership machine. */
  clusterOutput(output: ClusterOutput): void
  /** What the tracker machine tells its callers, and its `continue`. */
  trackerOutput(output: TrackerOutput): void
  /** Some of what the tracker says waits for `sendHeld`, at the end of the turn. False where each step is a turn. */
  hold(): boolean
}

type Send = Extract<TrackerOutput, { type: 'send' }>

/** A node's own clock: it may run up to a tenth too fast or too slow. */
export interface Clock {
  readonly since: number
  readonly rate: number
}

export class Replica {
  private readonly clock: Clock
  readonly membership: MembershipState
  readonly tracker: TrackerState
  /** Changes when the node goes on as another boot. */
  port: ReplicaPort
  /** This node's own ops of the present turn, and what goes behind them, as the shell of the tracker has it. */
  private held: { readonly ops: Send[]; readonly behind: Send[] } | undefined

  constructor(membership: MembershipConfig, tracker: TrackerConfig, port: ReplicaPort, clock: Clock) {
    this.clock = clock
    this.membership = initMembership(membership, clock.since)
    this.tracker = initTracker(tracker, clock.since)
    this.port = port
  }

  /** The earliest time at which one of the machines wants to be woken; Infinity when none does. */
  deadline(): number {
    const { since, rate } = this.clock
    const own = Math.min(membershipDeadline(this.membership), trackerDeadline(this.tracker))
    return since + (own - since) / rate
  }

  wake(now: number): void {
    const own = this.own(now)
    if (membershipDeadline(this.membership) <= own) this.cluster({ type: 'wake' }, now)
    if (trackerDeadline(this.tracker) <= own) this.track({ type: 'wake' }, now)
  }

  /** What the node's clock says. */
  own(now: number): number {
    const { since, rate } = this.clock
    return since + (now - since) * rate
  }

  cluster(input: ClusterInput, now: number): void {
    for (const output of stepMembership(this.membership, input, this.own(now))) {
      switch (output.type) {
        case 'transmit':
          this.port.transmit(output.to, output.frame)
          break
        case 'view':
        case 'linked':
        case 'unlinked':
        case 'message':
        case 'gateOpen':
        case 'rejoined':
          this.track(output, now)
          break
        case 'member':
          this.port.clusterOutput(output)
          this.track(output, now)
          break
        default:
          this.port.clusterOutput(output)
      }
    }
  }

  /** The turn ends: what it holds goes, the ops first. */
  sendHeld(now: number): void {
    const { held } = this
    this.held = undefined
    if (held !== undefined) for (const output of [...held.ops, ...held.behind]) this.cluster(output, now)
  }

  private send(output: Send, now: number): void {
    const { message } = output
    const isOps = message.type === 'ops' && !message.reply
    if (isOps || mayFollowOps(message)) {
      if (this.held === undefined && this.port.hold()) this.held = { ops: [], behind: [] }
      if (this.held !== undefined) {
        this.held[isOps ? 'ops' : 'behind'].push(output)
        return
      }
    }
    this.sendHeld(now)
    this.cluster(output, now)
  }

  track(input: TrackerInput, now: number): void {
    // It was an earlier boot's, whose links are gone.
    if (input.type === 'rejoined') this.held = undefined
    let halted: boolean | undefined
    for (const output of stepTracker(this.tracker, input, this.own(now))) {
      if (output.type === 'send') this.send(output, now)
      else {
        this.port.trackerOutput(output)
        if (output.type === 'halted') halted = output.on
        if (output.type === 'ready') this.cluster(output, now)
      }
    }
    // Comes back as a view, which has its turn after this step, as in the shell.
    if (halted !== undefined) this.cluster({ type: 'describe', info: { ...this.membership.self.info, halted } }, now)
  }
}
