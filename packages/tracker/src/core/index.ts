/** The pure parts of the tracker, for the simulator and for those who bring their own shell. */
export { type Explanation, explain, type PartitionReport } from './explain.js'
export { haltsAt } from './halting.js'
export * as itc from './itc.js'
export { type Change, claimsOf, digestOf, type Log, lookup, membersOf, type Registry } from './logs.js'
export type * from './messages.js'
export { laneOf, mayFollowOps } from './messages.js'
export { nameFault, nameMaxBytes, reservedPrefix } from './name.js'
export { Pid } from './pid.js'
export { metaMaxBytes, type PlainFault, plainFault, specMaxBytes } from './plain.js'
export { comesBack, hasEnded, restartDefaults } from './policies.js'
export * as ring from './ring.js'
export {
  type Rebalance,
  rebalanceDefaults,
  type TrackerConfig,
  type TrackerInput,
  type TrackerLimits,
  type TrackerOutput,
  type TrackerState,
  trackerLimits,
} from './state.js'
export type { OwnStrategy, PlacementMember } from './strategies.js'
export { initTracker, stepTracker, trackerDeadline } from './tracker.js'
export {
  type PartitionConfig,
  type PartitionPolicy,
  type PartitionState,
  type PartitionTimes,
  partitionTimes,
  wins,
} from './votes.js'
export { decodeMessage, encodeMessage, trackerKinds, wireLimits } from './wire.js'
