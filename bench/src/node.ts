/** One node in a process of its own: what it does comes from the parent. */
import { serve } from '@skep/example-counter/processes'
import { localPeers, startNode } from 'skep'
import { Bench } from './actors.js'
import { cpuUs, heapUsed } from './slice.js'
import { calling } from './steps-calls.js'
import { naming } from './steps-names.js'
import { TurnMeter } from './turns.js'

export interface NodeArgument {
  readonly name: string
  readonly cluster: string
  readonly isolation?: 'copy' | 'off'
}

const argument = JSON.parse(process.argv[2] ?? '{}') as NodeArgument

const node = await startNode({ ...argument, discovery: localPeers(), actors: [Bench], logger: 'warn', signals: false })

const meter = new TurnMeter()

const steps = {
  ready: (timeout: number) => node.ready({ timeout }),
  members: () => node.members().length,
  cpu: cpuUs,
  heap: heapUsed,
  beginTurns: () => meter.begin(),
  endTurns: () => meter.end(),
  leave: () => node.stop(),
  ...calling(node),
  ...naming(node),
}

export type NodeSteps = typeof steps

serve(steps)
