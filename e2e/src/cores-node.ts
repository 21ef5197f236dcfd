/** The program of a worker: a node like any, and a port that all workers of the machine share. */

import { createServer } from 'node:http'
import { localPeers, startNode } from 'skep'
import { Tally } from './tally.js'

export interface CoresArgument {
  readonly cluster: string
  /** By their supervisor alone they find each other, and nobody else. */
  readonly alone: boolean
  /** Shared by the workers. */
  readonly port: number
  readonly admin: string
}

const { cluster, alone, port } = JSON.parse(process.argv[2] ?? '{}') as CoresArgument

const node = await startNode({
  name: 'machine',
  cluster,
  actors: [Tally],
  ...(alone ? {} : { discovery: localPeers() }),
})
await node.ready()
createServer((_, response) => {
  response.setHeader('connection', 'close')
  response.end(JSON.stringify({ node: node.name, pid: process.pid, members: node.members().map(({ name }) => name) }))
}).listen(port, '127.0.0.1')
