/** What reaches outside the process, in one place: the real one here, a test's own elsewhere. */

import { type Cluster, type ClusterOptions, startCluster } from '@skep/cluster'
import { realTime, type Time } from '@skep/tracker'
import type { SignalSource } from './signals.js'

export interface World {
  /** Links, listening and the identity of the node. */
  startCluster(options: ClusterOptions): Promise<Cluster>
  /** The clocks and timers of tracker, actors and drain. */
  readonly time: Time
  /** Where SIGTERM and SIGINT come from. */
  readonly signals: SignalSource
}

export const realWorld: World = { startCluster, time: realTime, signals: process }
