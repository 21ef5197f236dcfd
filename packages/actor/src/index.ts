/** Actors that are found and called by name on a Skep cluster. */

export { type ClassMethods, type ClassOptions, fromClass, selfOf } from './class.js'
export { type ActorOptions, defineActor, type Handoff, type Methods, type Self } from './define.js'
export {
  type ActorDefinition,
  type AnyActor,
  type CallOptions,
  type Casts,
  type Controls,
  type Down,
  type DownReason,
  type InitArgs,
  ignore,
  type MethodsOf,
  type RefOf,
  type RefTo,
  type RemoteMethod,
  type StateOf,
} from './definition.js'
export type { Isolation } from './isolation.js'
export { type ActorLimits, actorLimits } from './limits.js'
export type { ActorNode, GroupCalls, GroupOf, GroupReply, PidGroup, RegisterOptions } from './node.js'
export type { ReloadReport } from './reload.js'
export {
  type ChildReport,
  type ChildSpec,
  type ChildSpecs,
  child,
  defineSupervisor,
  type Strategy,
  type SupervisorDefinition,
  type SupervisorMethods,
  type SupervisorOptions,
} from './supervisor.js'
export {
  type ActorCluster,
  type ActorStats,
  type ActorSystem,
  type ActorSystemOptions,
  type ActorTracker,
  type ProcessReport,
  startActors,
} from './system.js'
export { type Anonymous, anonymous, Via, type ViaOptions, via } from './via.js'
