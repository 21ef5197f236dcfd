/** A user's program: it starts a node with the configuration it is given and handles nothing. */

import { type NodeConfig, startNode } from 'skep'

const node = await startNode(JSON.parse(process.argv[2] ?? '{}') as NodeConfig)
await node.ready()
await node.stop()
