/**
 * Placed names at the node that hosts them: user code that starts and ends their processes. It runs apart from the
 * steps of the registry, whatever it throws and however long it takes; what came of it goes back as an input.
 */
import { isSkepError, type Logger } from '@skep/cluster'
import type { Pid } from './core/pid.js'
import type { TrackerInput, TrackerOutput } from './core/state.js'
import type { Activation, Deactivation } from './surface.js'

/** Longest text of a failed init that goes to the caller of `spawn`. */
const maxReasonChars = 500

/** A name on its way up: from `activate` until its claim stands or is lost. */
interface Starting {
  readonly name: string
  /** The process, once init is done. */
  pid: Pid | undefined
  /** The grant was lost while init ran: the process is ended as soon as it is there. */
  refused: boolean
}

export interface ActivationsOptions {
  readonly feed: (input: TrackerInput) => void
  /** Does this process still run? */
  readonly lives: (pid: Pid) => boolean
  readonly logger: Logger
}

export class Activations {
  onActivate: ((activation: Activation) => Promise<Pid>) | undefined
  onDeactivate: ((deactivation: Deactivation) => void) | undefined
  readonly #options: ActivationsOptions
  readonly #starting = new Map<number, Starting>()

  constructor(options: ActivationsOptions) {
    this.#options = options
  }

  /** The name was granted to this node: start its process. */
  start({ ask, name, kind, spec, fence, cause, state, source }: Extract<TrackerOutput, { type: 'activate' }>): void {
    const activate = this.onActivate
    if (activate === undefined) {
      const text = `this node starts no actors, so none of kind '${kind}'`
      this.#options.feed({ type: 'abandon', ask, code: 'ERR_KIND_UNKNOWN', text })
      return
    }
    const starting: Starting = { name, pid: undefined, refused: false }
    this.#starting.set(ask, starting)
    void this.#activate(ask, starting, () => activate({ name, kind, spec, fence, cause, state, source }))
  }

  async #activate(ask: number, starting: Starting, activate: () => Promise<Pid>): Promise<void> {
    // Not within the step that asks for it: code of the user runs.
    await undefined
    let pid: Pid
    try {
      pid = await activate()
    } catch (error) {
      this.#failed(ask, starting, error)
      return
    }
    this.#started(ask, starting, pid)
  }

  /** The claim stands. False when the ask is not one of these. */
  registered(ask: number): boolean {
    return this.#starting.delete(ask)
  }

  /** The name went to another meanwhile. False when the ask is not one of these. */
  refused(ask: number): boolean {
    const starting = this.#starting.get(ask)
    if (starting === undefined) return false
    starting.refused = true
    if (starting.pid === undefined) return true
    this.#starting.delete(ask)
    this.stop({ pid: starting.pid, name: starting.name, reason: 'superseded' })
    return true
  }

  /** A process of this node lost its name: end it. */
  stop(deactivation: Deactivation): void {
    const { logger } = this.#options
    const { name, reason } = deactivation
    const pid = deactivation.pid.toString()
    const deactivate = this.onDeactivate
    if (deactivate === undefined) {
      logger.warn({ name, pid, reason }, 'lost a name')
      return
    }
    queueMicrotask(() => {
      try {
        deactivate(deactivation)
      } catch (error) {
        logger.error({ err: error, name, pid }, 'ending a process that lost its name failed')
      }
    })
  }

  #started(ask: number, starting: Starting, pid: Pid): void {
    if (starting.refused) {
      this.#starting.delete(ask)
      this.stop({ pid, name: starting.name, reason: 'superseded' })
      return
    }
    if (!this.#options.lives(pid)) {
      this.#starting.delete(ask)
      this.#options.feed({ type: 'abandon', ask, code: 'ERR_ACTOR_STOPPED', text: 'it was stopped while it started' })
      return
    }
    starting.pid = pid
    this.#options.feed({ type: 'commit', ask, pid: pid.id })
  }

  #failed(ask: number, starting: Starting, error: unknown): void {
    this.#starting.delete(ask)
    const { logger } = this.#options
    // Its own code wants it so.
    if (isSkepError(error, 'ERR_IGNORED')) logger.debug({ name: starting.name }, 'a placed name has nothing to run')
    else logger.warn({ err: error, name: starting.name }, 'a placed name could not be started')
    if (starting.refused) return
    const text = (error instanceof Error ? error.message : String(error)).slice(0, maxReasonChars)
    this.#options.feed({ type: 'abandon', ask, code: isSkepError(error) ? error.code : 'ERR_INIT_FAILED', text })
  }
}
