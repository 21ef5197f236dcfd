/** A registry of names over a Skep cluster, each name held by exactly one process. */

export { realTime, type Time, type Timers } from '@skep/cluster'
export type { ClaimReport, Explanation, HandoffReport, NodeReference, PartitionReport } from './core/explain.js'
export type {
  Claim,
  Ended,
  Failed,
  Lineage,
  NameEvent,
  Placement,
  Restart,
  Source,
  Stamp,
  Strategy,
  Terms,
} from './core/messages.js'
export { Pid } from './core/pid.js'
export type { Rebalance, TrackerLimits } from './core/state.js'
export type { PlacementMember } from './core/strategies.js'
export {
  type PartitionConfig,
  type PartitionPolicy,
  type PartitionTimes,
  partitionTimes,
} from './core/votes.js'
export type { EventOptions, MissedEvents } from './events.js'
export {
  localFirst,
  type OwnPlacement,
  ownRule,
  type Pins,
  PlacementRule,
  pinned,
  type RestartOptions,
  type RestartPolicy,
  rendezvous,
  restartOf,
  ring,
  together,
} from './rules.js'
export type * from './surface.js'
export { startTracker } from './tracker.js'
