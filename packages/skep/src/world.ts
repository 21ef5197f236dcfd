/** What reaches outside the process, in one place: the real one here, a test's own elsewhere. */

import { type ClusterWorld, realClusterWorld } from '@skep/cluster/internal'
import { type AdminOptions, type AdminServer, type AdminTarget, type Readiness, startAdmin } from './admin.js'
import type { SignalSource } from './signals.js'

/** The clock, chance and network of all layers, and the process around them. */
export interface World extends ClusterWorld {
  /** Where SIGTERM and SIGINT come from. */
  readonly signals: SignalSource
  /** Opens the listener for probes and operators. */
  admin(options: AdminOptions, target: AdminTarget): Promise<AdminServer>
  /** Told when the node is ready, must join anew, and begins to leave: for who must know it outside of its process. */
  readonly turned?: (readiness: Readiness) => void
}

export const realWorld: World = { ...realClusterWorld, signals: process, admin: startAdmin }
