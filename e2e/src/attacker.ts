/** A member with every right to be here that sends nonsense over its links: kinds nobody knows, shapes nobody expects. */

import { type Cluster, type Logger, startCluster, staticPeers } from '@skep/cluster'

/** All kinds of the wire, known and unknown, each with loads that are wrong in another way. */
const LOADS: readonly (readonly unknown[])[] = [
  [],
  [null],
  [-1, 'x', {}],
  ['a', 'b', 'c', 'd', 'e'],
  [[], [], [], []],
  [Number.NaN, Number.MAX_SAFE_INTEGER, -0],
  [new Map([['__proto__', 1]]), new Set([1]), 10n],
  ['x'.repeat(100_000)],
]

/** The layers' kinds first: some of the cluster's own (bye), and a bad chunk, end the link on which they come. */
const KINDS = [
  [32, 255],
  [16, 31],
  [0, 15],
].flatMap(([from = 0, to = 0]) => Array.from({ length: to - from + 1 }, (_, i) => from + i))

const silent: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  fatal: () => {},
  child: () => silent,
}

/** Joins the cluster and sends everything to everybody, once; `leave` ends it in the orderly way. */
export async function startAttacker(cluster: string, peers: readonly string[]): Promise<Pick<Cluster, 'leave'>> {
  const discovery = staticPeers([...peers])
  const member = await startCluster({ cluster, name: 'attacker', discovery, logger: silent, onFatal: () => {} })
  await member.ready({ timeout: 5000 })
  for (const { info } of member.members()) {
    if (info.boot === member.self.boot) continue
    for (const kind of KINDS) for (const load of LOADS) member.post(info.boot, [kind, ...load])
    member.post(info.boot, ['not a kind', 1])
    member.post(info.boot, [])
  }
  return {
    leave: async () => {
      await member.leave()
      await member.close()
    },
  }
}
