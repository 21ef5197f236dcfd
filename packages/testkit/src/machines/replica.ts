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
}

export class Replica {
  readonly membership: MembershipState
  readonly tracker: TrackerState
  private readonly port: ReplicaPort

  constructor(membership: MembershipConfig, tracker: TrackerConfig, port: ReplicaPort, now: number) {
    this.membership = initMembership(membership, now)
    this.tracker = initTracker(tracker, now)
    this.port = port
  }

  /** The earliest time at which one of the machines wants to be woken; Infinity when none does. */
  deadline(): number {
    return Math.min(membershipDeadline(this.membership), trackerDeadline(this.tracker))
  }

  wake(now: number): void {
    if (membershipDeadline(this.membership) <= now) this.cluster({ type: 'wake' }, now)
    if (trackerDeadline(this.tracker) <= now) this.track({ type: 'wake' }, now)
  }

  cluster(input: ClusterInput, now: number): void {
    for (const output of stepMembership(this.membership, input, now)) {
      switch (output.type) {
        case 'transmit':
          this.port.transmit(output.to, output.frame)
          break
        case 'view':
        case 'linked':
        case 'unlinked':
        case 'message':
        case 'gateOpen':
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

  track(input: TrackerInput, now: number): void {
    for (const output of stepTracker(this.tracker, input, now)) {
      if (output.type === 'send') this.cluster(output, now)
      else {
        this.port.trackerOutput(output)
        if (output.type === 'ready') this.cluster(output, now)
      }
    }
  }
}
