/** Where the lines of a node go. What the layers see they say themselves, one line each. */

import type { Logger } from '@skep/cluster'
import { unfailing } from '@skep/cluster/internal'
import { pino } from 'pino'
import type { NodeConfig } from './config.js'

/** The configured logger, or JSON lines on stdout. */
export function rootLogger({ logger = 'info' }: Pick<NodeConfig, 'logger'>): Logger {
  if (typeof logger !== 'string') return unfailing(logger)
  return pino({ level: logger, base: null, timestamp: pino.stdTimeFunctions.isoTime })
}
