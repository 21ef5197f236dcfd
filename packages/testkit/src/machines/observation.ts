/**
 * What a run lets be seen while it goes on: facts in the order in which they happen, as the run itself has them. Who
 * observes reads and changes nothing, so a run that is observed is the same run.
 */
import type { BootId, ClusterFrame, ClusterOutput } from '@skep/cluster/core'
import type { TrackerOutput } from '@skep/tracker/core'
import type { SimEvent } from './event.js'
import type { SimNode } from './node.js'
import type { Violation } from './report.js'

export type Observation =
  | { readonly type: 'started'; readonly node: SimNode }
  /** Its process is gone; `how`, in a word: left, crashed. */
  | { readonly type: 'ended'; readonly node: SimNode; readonly how: string }
  /** `arrival` is the event that will be observed as arrived if nothing happens to the link; undefined: lost at once. */
  | {
      readonly type: 'sent'
      readonly node: SimNode
      readonly to: BootId
      readonly frame: ClusterFrame
      readonly arrival: SimEvent | undefined
    }
  /** The node's machines get the frame now. */
  | { readonly type: 'arrived'; readonly arrival: SimEvent }
  /** A user of the node asked for something, told in words. */
  | { readonly type: 'asked'; readonly node: SimNode; readonly text: string }
  | { readonly type: 'said'; readonly node: SimNode; readonly output: ClusterOutput | TrackerOutput }
  /** A step of the node's machines is over. */
  | { readonly type: 'stepped'; readonly node: SimNode }
  /** Something that is done to the cluster, until a time or for a moment, to these nodes or (none named) to all. */
  | {
      readonly type: 'fault'
      readonly kind: string
      readonly text: string
      readonly boots: readonly BootId[]
      readonly until?: number
    }
  | { readonly type: 'violated'; readonly violation: Violation }

export type Observe = (at: number, seen: Observation) => void
