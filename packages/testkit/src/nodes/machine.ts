/** One simulated machine: an address, a clock, and the node whose process runs there now, if one does. */
import type { Logger } from '@skep/cluster'
import type { SkepNode } from 'skep'
import type { MachineClock, SimProcess } from './process.js'

export interface Machine {
  readonly index: number
  /** The name of its node. */
  readonly name: string
  readonly address: string
  readonly clock: MachineClock
  /** How many processes have been started there. */
  generation: number
  process: SimProcess | undefined
  /** Undefined while none runs, or one is about to listen. */
  node: SkepNode | undefined
  /** It drains. */
  isLeaving: boolean
  /** How many times it is yet to be started again. */
  returns: number
}

/** A line of a node's log. */
export interface LogLine {
  /** Virtual milliseconds. */
  readonly at: number
  readonly node: string
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'fatal'
  readonly text: string
  readonly fields: object
}

/** A logger that hands its lines on; debug lines only where they are `wanted`, since following all names costs. */
export function loggerInto(
  take: (level: LogLine['level'], fields: object, text: string) => void,
  debug: boolean,
): Logger {
  const at =
    (level: LogLine['level']) =>
    (...line: [object, string] | [string]): void => {
      if (line.length === 1) take(level, {}, line[0])
      else take(level, line[0], line[1])
    }
  const ignore = (): void => {}
  const logger = {
    debug: debug ? at('debug') : ignore,
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    fatal: at('fatal'),
    child: (): Logger => logger,
    isLevelEnabled: (level: string): boolean => debug || level !== 'debug',
  }
  return logger
}
