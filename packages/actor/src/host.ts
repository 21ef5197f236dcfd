/** The node as one process sees it: what it asks of that, and what it is told at its start. `system.ts` is it. */
import type { Logger } from '@skep/cluster'
import type { Pid, Timers } from '@skep/tracker'
import type { CallContext } from './chain.js'
import type { AnyActor } from './definition.js'
import type { LinkHost } from './links.js'
import type { ActorNode } from './node.js'
import type { OnceLimits } from './once.js'
import type { Scheduler } from './scheduler.js'
import type { RefSource } from './values.js'
import type { Anonymous, Via } from './via.js'

/** What a process needs of the system that runs it. */
export interface ProcessHost<Process> {
  readonly links: LinkHost
  readonly time: Timers
  readonly scheduler: Scheduler
  readonly logger: Logger
  /** Messages that may wait in one mailbox. */
  readonly mailboxLimit: number
  readonly onceLimits: OnceLimits
  /** Bytes of the arguments of one timer, and of an answer. */
  readonly maxPayloadBytes: number
  /** Milliseconds that a running call, and then `onStop`, may take once the actor is told to stop. */
  readonly stopGraceMs: number
  /** The node as seen from inside this call; from outside of any where there is none. */
  nodeFor(context: CallContext | undefined): ActorNode
  /** What makes refs that arrive belong to this call. */
  refsFor(context: CallContext | undefined): RefSource
  /** The fence with which this process holds its name now; undefined while it does not. */
  fenceOf(info: ProcessInfo): number | undefined
  /** What was begun last, where that is a method. */
  lastMethod: string | undefined
  /** A number for a message that calls others. */
  nextRun(): number
  /** An actor of this node. */
  processOf(pid: Pid): Process | undefined
  /** The pid behind a pid or a ref, as `ActorNode.register` takes it. */
  pidOf(process: unknown): Pid
  /** Gives it once it runs. Rejects as `ActorNode.start` does. */
  startBy(
    starter: Starter<Process>,
    definition: AnyActor,
    where: Via | Anonymous,
    args: readonly unknown[],
  ): Promise<Process>
  /** A pid of this node behind which is whatever `find` gives, until this process has ended. */
  stand(process: Process, find: () => Process | undefined): () => Pid
  /** Nobody will stand behind it any more. */
  unstand(process: Process, pid: Pid): void
  /** It has ended: nothing of it runs any more. */
  ended(process: Process, reason: string): void
}

/** Who starts an actor here. */
export interface Starter<Process> {
  /** It ends with that one. */
  readonly parent?: Process
  /** What waits for the start. */
  readonly by?: CallContext | undefined
  /** It is about to run its `init`. */
  readonly begun?: (process: Process) => void
}

export interface ProcessInfo {
  readonly pid: Pid
  readonly name: string | undefined
  /** The fence of its grant; the claim may in the end stand with a higher one. */
  readonly fence: number
  /** The cluster starts it again elsewhere when this node dies. */
  readonly placed: boolean
}
