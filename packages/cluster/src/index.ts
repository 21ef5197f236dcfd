/**
 * `@skep/cluster`: forms a cluster of Node processes and passes messages between them.
 */
export { type Address, formatAddress, isLoopback, parseAddress } from './address.js'
export {
  type Cluster,
  type ClusterEvents,
  type ClusterStats,
  type Layer,
  type LayerInput,
  type PeerExplanation,
  startCluster,
} from './cluster.js'
export { type ClusterOptions, clusterFaults } from './config.js'
export type { BootId, Member, MemberInfo, Phase, View } from './core/member.js'
export { type ClusterUpward, type MembershipLimits, membershipLimits } from './core/membership.js'
export { type Discovery, type DiscoveryContext, titled } from './discovery/discovery.js'
export { type Gossip, type GossipCounts, type GossipOptions, gossip } from './discovery/gossip.js'
export { type LocalPeersOptions, localPeers } from './discovery/local.js'
export { type PollOptions, polled } from './discovery/polled.js'
export type { Naming, SourceReport } from './discovery/runner.js'
export { staticPeers } from './discovery/static.js'
export { type ErrorCode, errorCodes, isSkepError, type Sent, SkepError, type SkepErrorFields } from './errors.js'
export { type Lane, type LinkLimits, linkLimits } from './limits.js'
export { defaultLogger, type Logger, type LogMethod } from './log.js'
export { realTime, type Time, type Timers } from './time.js'
