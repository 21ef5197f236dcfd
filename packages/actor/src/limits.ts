/** The bounds of the actors of one node, and what they are where its user says nothing. */

export interface ActorLimits {
  /** Messages that may wait in one mailbox: more get ERR_OVERLOADED. */
  readonly mailbox: number
  /** Milliseconds that a call waits for its answer when its ref says nothing else. */
  readonly callTimeoutMs: number
  /** Bytes of the arguments or the result of one call: what a frame of 16 MiB holds beside its head. */
  readonly maxPayloadBytes: number
  /** Calls and streams to other nodes that may be open at once. */
  readonly maxPending: number
  /** Milliseconds that a running call, and then `onStop`, may take once an actor is told to stop. */
  readonly stopGraceMs: number
  /** Answers of calls with a key that an actor remembers, for how long (ms), and their bytes. */
  readonly keyEntries: number
  readonly keyMs: number
  readonly keyBytes: number
  /** Milliseconds after which a call that waits is named in the log, with its caller; Infinity: never. */
  readonly slowCallMs: number
  /** Milliseconds of synchronous code after which an actor is named in the log; Infinity: never. */
  readonly blockedMs: number
  /** Milliseconds that `init` and `onStart` may take together where the start says no `timeout`. */
  readonly startTimeoutMs: number
}

export const actorLimits: ActorLimits = {
  mailbox: 10_000,
  callTimeoutMs: 5_000,
  maxPayloadBytes: 15 * 1024 * 1024,
  maxPending: 100_000,
  stopGraceMs: 5_000,
  keyEntries: 1000,
  keyMs: 600_000,
  keyBytes: 1024 * 1024,
  slowCallMs: 1000,
  blockedMs: 200,
  startTimeoutMs: 10_000,
}
