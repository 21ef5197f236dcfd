/** How a user says under which name an actor starts, and with which options; or that it has none. */
import { PlacementRule, type RestartOptions, type RestartPolicy, restartOf } from '@skep/tracker'

export interface ViaOptions {
  /** Wait until this many members (or all of them) show the name. Default: the caller's own node shows it. */
  readonly visible?: 'all' | number
  /**
   * `owner` (default): the slot's owner agrees first. `local`: one hop less, optimistic, conflicts are possible; before
   * its node is ready the owner is asked all the same.
   */
  readonly claim?: 'owner' | 'local'
  /** Plain data that everybody can read beside the name. */
  readonly meta?: unknown
  /**
   * Milliseconds until starting is given up: ERR_TIMEOUT while the name is asked for, ERR_INIT_FAILED once `init` ran.
   * Default for `init` and `onStart`: the node's limit `startTimeoutMs` (10 s), which also holds for placed actors.
   */
  readonly timeout?: number
  /** Of `spawn` and `ensure`: where it is started, whatever its definition says. */
  readonly placement?: PlacementRule
  /** The same: whether it is started again, and how often. */
  readonly restart?: RestartPolicy | RestartOptions
}

export class Via {
  readonly name: string
  readonly options: ViaOptions

  constructor(name: string, options: ViaOptions) {
    this.name = name
    this.options = options
    Object.freeze(this)
  }
}

const known: ReadonlySet<string> = new Set(['visible', 'claim', 'meta', 'timeout', 'placement', 'restart'])

/** A name to start under. Throws TypeError where an option is unknown or of a wrong type. */
export function via(name: string, options: ViaOptions = {}): Via {
  if (typeof name !== 'string') throw new TypeError(`via(name): the name must be a string, not ${typeof name}`)
  for (const key of Object.keys(options)) {
    if (!known.has(key))
      throw new TypeError(`via('${name}'): unknown option '${key}'; known are ${[...known].join(', ')}`)
  }
  const { visible, claim, timeout, placement } = options
  if (visible !== undefined && visible !== 'all' && !(Number.isInteger(visible) && visible >= 0)) {
    throw new TypeError(`via('${name}'): visible must be 'all' or a number of members`)
  }
  if (claim !== undefined && claim !== 'owner' && claim !== 'local') {
    throw new TypeError(`via('${name}'): claim must be 'owner' or 'local'`)
  }
  if (timeout !== undefined && !(typeof timeout === 'number' && timeout > 0))
    throw new TypeError(`via('${name}'): timeout must be milliseconds above 0`)
  // A function of the user's own would be known here alone.
  if (placement !== undefined && !(placement instanceof PlacementRule))
    throw new TypeError(`via('${name}'): placement must be ring, rendezvous, localFirst, pinned(...) or together(...)`)
  restartOf(`via('${name}')`, options.restart)
  return new Via(name, options)
}

export interface Anonymous {
  readonly anonymous: true
}

/** Start without a name: the actor is reached by its pid, or by refs sent around. */
export const anonymous: Anonymous = Object.freeze({ anonymous: true })
