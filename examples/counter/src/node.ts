/**
 * One node of the example, in a process of its own: what you would write in your program, and the steps of the story
 * that it does when the parent asks.
 */

import { anonymous, isSkepError, localPeers, startNode, via } from 'skep'
import { Counter } from './counter.js'
import { serve } from './processes.js'
import { prompt } from './prompt.js'

export interface NodeArgument {
  readonly name: string
  readonly cluster: string
  /** Open a prompt on this node instead of waiting for the parent's steps, once there are so many members. */
  readonly promptAt?: number
}

const { name, cluster, promptAt } = JSON.parse(process.argv[2] ?? '{}') as NodeArgument

const node = await startNode({
  name,
  cluster,
  discovery: localPeers(),
  actors: [Counter],
  logger: promptAt === undefined ? 'info' : 'silent',
}).catch((error: unknown) => {
  if (!isSkepError(error)) throw error
  console.error(error.message)
  process.exit(1)
})

/** Resolves when it holds, after 2 s in any case: news of another node may be a moment on its way. */
async function soon(holds: () => boolean): Promise<void> {
  const end = performance.now() + 2000
  while (!holds() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 1))
}

const steps = {
  /** Waits until the node has joined and synced. */
  ready: async () => {
    await node.ready({ timeout: 20_000 })
    return { address: node.address }
  },
  /** Who is there, as soon as there are `count`; after 2 s as it is. */
  members: async (count: number) => {
    await soon(() => node.members().length === count)
    return node.members().map((member) => member.name)
  },
  start: async (of: string, from: number) => String(await node.start(Counter, via(of), from)),
  spawn: async (of: string, from: number) => (await node.spawn(Counter, via(of), from)).node,
  value: (of: string) => node.via(Counter, of).value(),
  increment: (of: string) => node.via(Counter, of).increment(),
  /** Which node holds the name, as this node sees it. */
  where: (of: string) => node.whereis(of)?.node,
  /** The holder's pid, as soon as this node has heard of the name: that may be a moment after it was started elsewhere. */
  whereis: async (of: string) => {
    await soon(() => node.whereis(of) !== undefined)
    return String(node.whereis(of))
  },
  /** Calls the name until some other node than `old` answers; nothing is retried inside a call. */
  answeredElsewhere: async (of: string, old: string) => {
    const counter = node.via(Counter, of).$.with({ timeout: 1000 })
    for (let calls = 1; ; calls++) {
      const value = await counter.value().catch(() => undefined)
      const now = node.whereis(of)?.node
      if (value !== undefined && now !== undefined && now !== old) return { value, node: now, calls }
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  },
  /** Registers a name here and waits until every member knows it. */
  announce: async (of: string) => String(await node.start(Counter, via(of, { visible: 'all' }), 0)),
}

export type NodeSteps = typeof steps

if (promptAt === undefined) {
  serve(steps)
} else {
  process.on('disconnect', () => process.exit())
  await node.ready({ timeout: 20_000 })
  await soon(() => node.members().length >= promptAt)
  console.log(`${node.name} at ${node.address}; at hand: node, Counter, via, anonymous. For instance:`)
  console.log(`  await node.spawn(Counter, via('room'), 0)`)
  console.log(`  await node.via(Counter, 'room').increment()`)
  await prompt(`${node.name}> `, { node, Counter, via, anonymous })
  await node.stop()
  process.exit(0)
}
