/** One node in a process of its own, for all scenarios: what it is and does comes from the parent. */

import { serve } from '@skep/example-counter/processes'
import { localPeers, startNode, staticPeers, via } from 'skep'
import { Place } from './place.js'

export interface NodeArgument {
  readonly name: string
  readonly cluster: string
  readonly listen?: string
  readonly secret?: string
  /** Addresses of peers; absent: every node of the cluster on this host. */
  readonly peers?: readonly string[]
}

const { peers, ...own } = JSON.parse(process.argv[2] ?? '{}') as NodeArgument

const node = await startNode({
  ...own,
  discovery: peers === undefined ? localPeers() : staticPeers([...peers]),
  actors: [Place],
  logger: 'info',
})

/** Milliseconds on the clock that all processes of a host share. */
const clock = (): number => Number(process.hrtime.bigint()) / 1e6

const steps = {
  /** Where it listens, and when it was ready. */
  ready: async (timeout: number) => {
    await node.ready({ timeout })
    return { address: node.address, at: clock() }
  },
  address: () => node.address,
  members: () => node.members().map((member) => member.name),
  /** Registers a name here and waits until every member knows it. */
  announce: async (name: string) => {
    await node.start(Place, via(name, { visible: 'all' }))
  },
  start: async (name: string) => {
    await node.start(Place, via(name))
  },
  /** Starts a placed actor and gives the name of its node. */
  spawn: async (name: string) => (await node.spawn(Place, via(name))).node,
  where: (name: string) => node.whereis(name)?.node,
  /** Why the name is where it is, as this node sees it, and whom it knows: for who must find out what went wrong. */
  explain: (name: string) => JSON.stringify({ ...node.explain(name), members: node.members() }),
  call: (name: string) => node.via(Place, name).process(),
  /** Calls the name every 5 ms, nothing is retried inside, until a process other than `old` answers: when, and which. */
  answeredByOther: (name: string, old: number) =>
    new Promise<{ at: number; process: number; failed: number }>((resolve) => {
      const place = node.via(Place, name).$.with({ timeout: 2000 })
      let failed = 0
      const timer = setInterval(() => {
        place.process().then(
          (pid) => {
            if (pid === old) return
            clearInterval(timer)
            resolve({ at: clock(), process: pid, failed })
          },
          () => {
            failed++
          },
        )
      }, 5)
    }),
  drain: () => node.drain({ timeout: 5000 }),
}

export type NodeSteps = typeof steps

serve(steps)
