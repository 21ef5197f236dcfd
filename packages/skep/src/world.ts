/** What reaches outside the process, in one place: the real one here, a test's own elsewhere. */

import { type ClusterWorld, realClusterWorld } from '@skep/cluster/internal'
import { type AdminOptions, type AdminServer, type AdminTarget, startAdmin } from './admin.js'
import type { SignalSource } from './signals.js'

/** The clock, chance and network of all layers, and the process around them. */
export interface World extends ClusterWorld {
  /** Where SIGTERM and SIGINT come from. */
  readonly signals: SignalSource
  /** Opens the listener for probes and operators. */
  admin(options: AdminOptions, target: AdminTarget): Promise<AdminServer>
}

export const realWorld: World = { ...realClusterWorld, signals: process, admin: startAdmin }
