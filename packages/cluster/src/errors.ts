/**
 * The one error class of Skep and the one table of its codes, for all layers. `docs/errors.md` shows the same table;
 * a test keeps the two in step.
 *
 * People read the message (a sentence with the values in it), programs read `code`; `sent` says whether the work may
 * have been done, so that a caller can decide whether to try again.
 */

interface CodeEntry {
  /** What it means, for the table in the docs. */
  readonly meaning: string
  /** Whether the same request may succeed later without a change by the caller. */
  readonly retryable: boolean
}

export const errorCodes = {
  ERR_CONFIG: { meaning: 'The configuration is wrong; `faults` lists every fault.', retryable: false },
  ERR_ADDRESS_IN_USE: { meaning: 'The address to listen on is taken by another process.', retryable: false },
  ERR_LISTEN: { meaning: 'The address to listen on cannot be bound.', retryable: false },
  ERR_TIMEOUT: {
    meaning: 'No outcome within the time given; `sent` says whether it may still happen.',
    retryable: true,
  },
  ERR_ABORTED: { meaning: 'The caller aborted through its signal.', retryable: false },
  ERR_NOT_READY: { meaning: 'The node has not joined and synced within the time given.', retryable: true },
  ERR_NOT_FORMED: {
    meaning: 'The members that `formation` expects have not been met in time; the node waits on for them.',
    retryable: true,
  },
  ERR_STOPPED: { meaning: 'The node has been stopped.', retryable: false },
  ERR_LEAVING: { meaning: 'The node is leaving the cluster and takes nothing new.', retryable: true },
  ERR_NO_MAJORITY: {
    meaning: 'The node is in a part of the cluster that may not go on, by its `partition` policy; nothing was done.',
    retryable: true,
  },
  ERR_ALREADY_STARTED: { meaning: 'An actor runs under this name; `pid` is the holder.', retryable: false },
  ERR_ALREADY_REGISTERED: {
    meaning: 'The name is held by a process registered by hand; `pid` is the holder.',
    retryable: false,
  },
  ERR_NOT_REGISTERED: { meaning: 'Nobody holds this name.', retryable: true },
  ERR_BAD_NAME: { meaning: 'The name is empty, too long, reserved or contains control characters.', retryable: false },
  ERR_BOUND_NAME: {
    meaning: 'The name is that of an actor started under it, and goes with it: stop the actor.',
    retryable: false,
  },
  ERR_NOT_LOCAL: { meaning: 'The pid belongs to another node, where it must be registered.', retryable: false },
  ERR_CONFLICT: { meaning: 'The claim lost to another one of the same name; `pid` is the winner.', retryable: false },
  ERR_KIND_UNKNOWN: { meaning: 'No member of the cluster can start this kind of actor.', retryable: true },
  ERR_NO_HOST: {
    meaning:
      'Members know this kind of actor, but its placement allows none of them, or all are cordoned, starting, leaving or of weight 0.',
    retryable: true,
  },
  ERR_CANNOT_MOVE: {
    meaning: 'The actor was not handed over to another node: it must not, nobody can take it, or that failed.',
    retryable: true,
  },
  ERR_INIT_FAILED: {
    meaning: 'The actor did not start: its `init` or `onStart` failed; `cause` is what it threw.',
    retryable: false,
  },
  ERR_IGNORED: {
    meaning:
      'The actor did not start: its `init` said `ignore`, so there is nothing to run. No failure, not tried again.',
    retryable: false,
  },
  ERR_NO_PROCESS: { meaning: 'No process with this pid runs (it ended, or its node restarted).', retryable: false },
  ERR_CALL_CYCLE: {
    meaning:
      'The call would wait for itself: an actor on its way waits for this very call. The message names them all.',
    retryable: false,
  },
  ERR_BAD_ARGUMENTS: { meaning: 'The node of the actor could not read the arguments.', retryable: false },
  ERR_NO_METHOD: { meaning: 'The actor has no such method.', retryable: false },
  ERR_ACTOR: {
    meaning: 'The actor threw; name, message, code and fields are those of its own error.',
    retryable: false,
  },
  ERR_ACTOR_STOPPED: { meaning: 'The actor stopped before it answered.', retryable: true },
  ERR_OVERLOADED: { meaning: 'A queue on the way is full: the mailbox, or the link to its node.', retryable: true },
  ERR_NODE_DOWN: {
    meaning: 'The node of the process is down or the link to it broke before the answer.',
    retryable: true,
  },
  ERR_UNREACHABLE: { meaning: 'There is no link to the node of the process at present.', retryable: true },
  ERR_NOT_SENDABLE: { meaning: 'A value cannot be sent; the message names the field.', retryable: false },
  ERR_TOO_LARGE: { meaning: 'A value is larger than the limit that the message names.', retryable: false },
  ERR_BAD_REPLY: { meaning: 'The answer could not be understood.', retryable: false },
} as const

export type ErrorCode = keyof typeof errorCodes

/** Whether the work may have been done: never left this node, may have, or certainly arrived. */
export type Sent = 'no' | 'maybe' | 'yes'

export interface SkepErrorFields {
  readonly cause?: unknown
  readonly sent?: Sent
  /** Plain data that goes with the code: `pid` of a holder, `faults` of a configuration. */
  readonly [field: string]: unknown
}

/** Every error that Skep itself raises. Tell them apart by `code`, not by class: codes are stable. */
export class SkepError extends Error {
  readonly code: ErrorCode
  readonly retryable: boolean
  readonly sent: Sent
  readonly [field: string]: unknown

  constructor(code: ErrorCode, message: string, fields: SkepErrorFields = {}) {
    // What every error has is not for fields of the same name.
    const { cause, sent, name: _name, message: _message, stack: _stack, code: _code, ...data } = fields
    // The text of an operator's fault says all; a cause would be shown with a stack.
    super(message, cause === undefined || operatorFaults.has(code) ? undefined : { cause })
    this.name = 'SkepError'
    this.code = code
    const entry: CodeEntry = errorCodes[code]
    this.retryable = entry.retryable
    this.sent = sent ?? 'no'
    Object.assign(this, data)
    if (operatorFaults.has(code)) showOnlyText(this)
  }
}

/** Faults of whoever starts the node, not of its code: where in the code they were raised helps nobody. */
const operatorFaults: ReadonlySet<ErrorCode> = new Set(['ERR_CONFIG', 'ERR_ADDRESS_IN_USE', 'ERR_LISTEN'])

/** Node shows an uncaught error as its stack and its enumerable fields: here that is the text alone, all lines of it. */
function showOnlyText(error: SkepError): void {
  Object.defineProperty(error, 'stack', { value: `${error.name} [${error.code}]: ${error.message}`, enumerable: false })
  for (const field of Object.keys(error)) Object.defineProperty(error, field, { enumerable: false })
}

/** True for an error of Skep with this code (any code when none is given), also one from another copy of the package. */
export function isSkepError(error: unknown, code?: ErrorCode): error is SkepError {
  if (!(error instanceof Error)) return false
  const own = (error as { code?: unknown }).code
  return typeof own === 'string' && own in errorCodes && (code === undefined || own === code)
}
