/**
 * Skep: actors that live on exactly one node of a cluster of Node processes, found by name. This is what users install
 * and import; the layers below can be used alone (`@skep/cluster`, `@skep/tracker`).
 */

import type { NodeConfig } from './config.js'
import { type SkepNode, startNodeIn } from './node.js'
import { ownWorker } from './worker.js'
import { realWorld } from './world.js'

/**
 * Starts a node: resolves when it listens, and looks for its peers from then on; `node.ready()` says when it has joined.
 * In a process that `startWorkers` started its name and its ports are followed by the number of the worker.
 * Errors: ERR_CONFIG with all `faults`, ERR_ADDRESS_IN_USE, ERR_LISTEN.
 */
export function startNode(config: NodeConfig): Promise<SkepNode> {
  return ownWorker()?.start(config) ?? startNodeIn(realWorld, config)
}

export {
  type ActorDefinition,
  type ActorOptions,
  type Anonymous,
  anonymous,
  type CallOptions,
  type ChildReport,
  type ChildSpec,
  type ChildSpecs,
  type ClassMethods,
  type ClassOptions,
  type Controls,
  child,
  type Down,
  type DownReason,
  defineActor,
  defineSupervisor,
  fromClass,
  type GroupOf,
  type GroupReply,
  ignore,
  type PidGroup,
  type RefOf,
  type RegisterOptions,
  type ReloadReport,
  type Self,
  type Strategy,
  type SupervisorDefinition,
  type SupervisorMethods,
  type SupervisorOptions,
  selfOf,
  type Via,
  type ViaOptions,
  via,
} from '@skep/actor'
export {
  type ComposeOptions,
  compose,
  type Discovery,
  type DnsAddressOptions,
  type DnsOptions,
  dns,
  dnsSrv,
  type ErrorCode,
  type FormationOptions,
  type Gossip,
  type GossipCounts,
  type GossipOptions,
  gossip,
  type HostsFileOptions,
  hostsFile,
  isSkepError,
  type KubernetesDnsOptions,
  type KubernetesLimits,
  type KubernetesOptions,
  type KubernetesService,
  type KubernetesSrvOptions,
  kubernetes,
  kubernetesDns,
  kubernetesSrv,
  type Logger,
  localPeers,
  type Naming,
  type PeerExplanation,
  type PollOptions,
  polled,
  type RancherOptions,
  rancher,
  SkepError,
  type SourceReport,
  staticPeers,
  titled,
  type UrlOptions,
  url,
} from '@skep/cluster'
export {
  type Claim,
  type Explanation,
  localFirst,
  type OwnPlacement,
  type PartitionPolicy,
  Pid,
  type Pins,
  type PlacementMember,
  PlacementRule,
  pinned,
  type RestartOptions,
  type RestartPolicy,
  rendezvous,
  ring,
  together,
  type Unmoved,
  type WaitOptions,
} from '@skep/tracker'
export type { AdminOptions } from './admin.js'
export type { LogLevel, NodeConfig } from './config.js'
export type { NodeEvents } from './events.js'
export type { NodeMember } from './member.js'
export type { DrainOptions, DrainReport, NodeExplanation, SkepNode } from './node.js'
export { startWorkers, type Workers, type WorkersOptions } from './workers.js'
