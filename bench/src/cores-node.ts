/** The program of the workers that are measured. */
import { localPeers, startNode } from 'skep'
import { Bench } from './actors.js'
import type { MachineArgument } from './cores-main.js'

const { name, cluster } = JSON.parse(process.argv[2] ?? '{}') as MachineArgument

await startNode({ name, cluster, discovery: localPeers(), actors: [Bench], logger: 'warn' })
