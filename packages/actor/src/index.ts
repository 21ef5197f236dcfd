/** Actors that are found and called by name on a Skep cluster. */

export { type ClassMethods, type ClassOptions, fromClass, selfOf } from './class.js'
export { type ActorOptions, defineActor, type Handoff, type Methods, type Self } from './define.js'
export type {
  ActorDefinition,
  AnyActor,
  CallOptions,
  Casts,
  Controls,
  Down,
  DownReason,
  InitArgs,
  MethodsOf,
  RefOf,
  RefTo,
  RemoteMethod,
  StateOf,
} from './definition.js'
export type { Isolation } from './isolation.js'
export type { ActorNode, GroupCalls, GroupOf, GroupReply, PidGroup, RegisterOptions } from './node.js'
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
  type ActorLimits,
  type ActorStats,
  type ActorSystem,
  type ActorSystemOptions,
  type ActorTracker,
  actorLimits,
  type ProcessReport,
  startActors,
} from './system.js'
export { type Anonymous, anonymous, Via, type ViaOptions, via } from './via.js'
