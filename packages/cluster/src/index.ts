/**
 * `@skep/cluster`: forms a cluster of Node processes and passes messages between them.
 */
export { type Address, formatAddress, isLoopback, parseAddress } from './address.js'
export { startCluster } from './cluster.js'
export { type ClusterOptions, clusterFaults, type FormationOptions } from './config.js'
export type { BootId, Member, MemberInfo, Phase, View } from './core/member.js'
export { type ClusterUpward, type MembershipLimits, membershipLimits } from './core/membership.js'
export { type ComposeOptions, compose } from './discovery/compose.js'
export { type Discovery, type DiscoveryContext, titled } from './discovery/discovery.js'
export { type DnsAddressOptions, dns, dnsSrv } from './discovery/dns.js'
export { type Gossip, type GossipCounts, type GossipOptions, gossip } from './discovery/gossip.js'
export { type HostsFileOptions, hostsFile } from './discovery/hosts-file.js'
export { type KubernetesLimits, type KubernetesOptions, kubernetes, kubernetesLimits } from './discovery/kubernetes.js'
export {
  type KubernetesDnsOptions,
  type KubernetesService,
  type KubernetesSrvOptions,
  kubernetesDns,
  kubernetesSrv,
} from './discovery/kubernetes-dns.js'
export { type LocalPeersOptions, localPeers } from './discovery/local.js'
export type { DnsOptions } from './discovery/name-servers.js'
export { type PollOptions, polled } from './discovery/polled.js'
export type { Naming, SourceReport } from './discovery/runner.js'
export { staticPeers } from './discovery/static.js'
export { type RancherOptions, rancher, type UrlOptions, url } from './discovery/url.js'
export { type ErrorCode, errorCodes, isSkepError, type Sent, SkepError, type SkepErrorFields } from './errors.js'
export { type Lane, type LinkLimits, linkLimits } from './limits.js'
export { defaultLogger, type Logger, type LogMethod } from './log.js'
export type {
  Cluster,
  ClusterEvents,
  ClusterStats,
  Layer,
  LayerInput,
  PeerExplanation,
} from './surface.js'
export { realTime, type Time, type Timers } from './time.js'
