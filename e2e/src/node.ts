/** One node in a process of its own, for all scenarios: what it is and does comes from the parent. */

import { createHash } from 'node:crypto'
import { serve } from '@skep/example-counter/processes'
import {
  type Discovery,
  type Gossip,
  type GossipOptions,
  gossip,
  isSkepError,
  kubernetes,
  kubernetesDns,
  localPeers,
  type NodeConfig,
  type RefOf,
  startNode,
  staticPeers,
  via,
} from 'skep'
import { Load, type LoadOptions, type LoadReport } from './load.js'
import { copies, lastRun, Place, type Who } from './place.js'
import type { PlaneAccess } from './plane.js'

export interface NodeArgument {
  readonly name: string
  readonly cluster: string
  readonly listen?: string
  /** Where others reach it, when not where it listens. */
  readonly advertise?: string
  readonly secret?: string
  /** Addresses of peers; absent: every node of the cluster on this host. */
  readonly peers?: readonly string[]
  /** Finds its peers by gossip instead. */
  readonly gossip?: GossipOptions
  /** By the API of Kubernetes and its name server instead: who is behind this Service. */
  readonly kubernetes?: PlaneAccess & { readonly service: string }
  /** What happens while the cluster is split, when not the default. */
  readonly partition?: unknown
}

const { peers, gossip: gossiping, kubernetes: plane, ...own } = JSON.parse(process.argv[2] ?? '{}') as NodeArgument

const gossips: Gossip | undefined = gossiping === undefined ? undefined : gossip(gossiping)

// A configuration that is refused is told in its own words, without a stack.
const node = await startNode({
  ...(own as NodeConfig),
  discovery: strategies(),
  actors: [Place],
  logger: 'info',
}).catch((error: unknown) => {
  if (!isSkepError(error)) throw error
  console.error(error.message)
  process.exit(1)
})

function strategies(): readonly Discovery[] {
  if (gossips !== undefined) return [gossips]
  if (plane === undefined) return [peers === undefined ? localPeers() : staticPeers([...peers])]
  const { service, apiServer, ca, token, nameServer } = plane
  const where = { service, namespace: 'default', port: 4370 }
  const dns = { clusterDomain: 'cluster.local', servers: [nameServer], intervalMs: 1000 }
  return [kubernetes({ ...where, apiServer, ca, token }), kubernetesDns({ ...where, ...dns })]
}

/** Milliseconds on the clock that all processes of a host share. */
const clock = (): number => Number(process.hrtime.bigint()) / 1e6

/** Members that were declared down, in the order of the news; the last MAX_DOWNS. */
const downs: { name: string; boot: string; at: number }[] = []
const MAX_DOWNS = 1000

node.on('memberDown', ({ name, boot, phase }) => {
  if (phase !== 'down') return
  downs.push({ name, boot, at: clock() })
  if (downs.length > MAX_DOWNS) downs.shift()
})

let load: Load | undefined
let knocking: NodeJS.Timeout | undefined
let held: RefOf<typeof Place> | undefined
/** Answers that this node's own code got, the last MAX_KNOCKS. */
const knocks: { sentAt: number; process: number }[] = []
const MAX_KNOCKS = 10_000

const steps = {
  /** Where it listens, and when it was ready. */
  ready: async (timeout: number) => {
    await node.ready({ timeout })
    return { address: node.address, at: clock() }
  },
  address: () => node.address,
  boot: () => node.boot,
  members: () => node.members().map((member) => member.name),
  /** Those of them that this node does not doubt. */
  trusted: () => node.members().flatMap(({ name, phase, suspect }) => (phase === 'up' && !suspect ? [name] : [])),
  downs: () => downs,
  /** Registers a name here and waits until every member knows it. */
  announce: async (name: string) => {
    await node.start(Place, via(name, { visible: 'all' }))
  },
  start: async (name: string) => {
    await node.start(Place, via(name))
  },
  /** Starts each here; gives those that were acknowledged. */
  startAll: async (names: readonly string[], timeout: number) => {
    const all = names.map((name) => node.start(Place, via(name, { timeout })).then(() => name))
    return (await Promise.allSettled(all)).flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  },
  /** Starts a placed actor and gives the name of its node. */
  spawn: async (name: string) => (await node.spawn(Place, via(name))).node,
  spawnAll: async (names: readonly string[]) => {
    await Promise.all(names.map((name) => node.spawn(Place, via(name))))
  },
  where: (name: string) => node.whereis(name)?.node,
  /** Hands those over that are not there. */
  move: async (names: readonly string[], to: string) => {
    await Promise.all(names.filter((name) => node.whereis(name)?.node !== to).map((name) => node.move(name, to)))
  },
  /** Why the name is where it is, as this node sees it, and whom it knows: for who must find out what went wrong. */
  explain: (name: string) => JSON.stringify({ ...node.explain(name), members: node.members() }),
  call: (name: string) => node.via(Place, name).process(),
  /** Calls that all copies of each have run. */
  totals: (names: readonly string[]) => Promise.all(names.map((name) => node.via(Place, name).total())),
  who: (name: string) => node.via(Place, name).who(),
  /** Of the names, those that are not answered by the very process that the registry here names. */
  unanswered: async (names: readonly string[]) => {
    const all = names.map(async (name) => {
      const pid = String(node.whereis(name))
      const said = await node.via(Place, name).$.with({ timeout: 3000 }).who().then(pidOf, messageOf)
      return said === pid ? [] : [`${name}: ${said}, not ${pid}`]
    })
    return (await Promise.all(all)).flat()
  },
  /**
   * Calls the name every 5 ms, nothing is retried inside, until another process answers with a higher fence: when, and
   * how many calls failed. Undefined when none does within `limitMs`.
   */
  answeredByOther: (name: string, old: Who, limitMs: number) =>
    new Promise<{ at: number; failed: number } | undefined>((resolve) => {
      const place = node.via(Place, name).$.with({ timeout: 2000 })
      const end = clock() + limitMs
      let failed = 0
      const stop = (outcome: { at: number; failed: number } | undefined): void => {
        clearInterval(timer)
        resolve(outcome)
      }
      const timer = setInterval(() => {
        if (clock() > end) stop(undefined)
        place.who().then(
          ({ process, fence }) => {
            if (process !== old.process && fence > old.fence) stop({ at: clock(), failed })
          },
          () => {
            failed++
          },
        )
      }, 5)
    }),
  /** Keeps a ref to the process that holds the name now: later calls go straight to it, whatever becomes of the name. */
  hold: (name: string) => {
    const pid = node.whereis(name)
    if (pid === undefined) throw new Error(`nobody holds ${name}`)
    held = node.ref(Place, pid)
  },
  /** Calls that one, and says who answered, or why nobody did. */
  callHeld: (timeout: number) =>
    held?.$.with({ timeout })
      .who()
      .then((who): Who | string => who, messageOf),
  /** From inside: this node's own code calls the name every `ms`, until `knocked` asks how it went since `after`. */
  knock: (name: string, ms: number) => {
    knocks.length = 0
    knocking = setInterval(() => {
      const sentAt = clock()
      const answer = node.via(Place, name).$.with({ timeout: 2000 }).process()
      answer.then(
        (process) => knocks.push({ sentAt, process }),
        () => {},
      )
      if (knocks.length > MAX_KNOCKS) knocks.shift()
    }, ms)
  },
  /** How many of those calls were answered, and how many of them by this very process. */
  knocked: (after: number) => {
    clearInterval(knocking)
    const answers = knocks.filter(({ sentAt }) => sentAt > after)
    return { answers: answers.length, own: answers.filter((one) => one.process === process.pid).length }
  },
  /** When a call of the name last ran in this process. */
  lastRun: (name: string) => lastRun.get(name),
  /** Who holds each name, as this node sees it: equal texts are equal processes. */
  holders: (names: readonly string[]) => names.map((name) => String(node.whereis(name))),
  /** How many copies of each name run in this process. */
  copies: (names: readonly string[]) => {
    const running = new Map<string, number>()
    for (const name of copies.values()) running.set(name, (running.get(name) ?? 0) + 1)
    return names.map((name) => running.get(name) ?? 0)
  },
  /** All names and their holders in one short text, and how many they are. */
  registry: () => {
    const lines = registered()
    return { count: lines.length, hash: createHash('sha256').update(lines.join('\n')).digest('hex') }
  },
  /** The same at full length, for who must see where two differ. */
  registered,
  names: (prefix: string) => node.registered({ prefix }).map(({ name }) => name),
  startLoad: (options: LoadOptions) => {
    load = new Load(node, options)
  },
  startNoMore: () => load?.startNoMore(),
  loadSoFar: (): LoadReport => {
    if (load === undefined) throw new Error('there is no load here')
    return load.report()
  },
  endLoad: async (): Promise<LoadReport> => {
    if (load === undefined) throw new Error('there is no load here')
    const report = await load.end()
    load = undefined
    return report
  },
  /** What this process holds: heap after collections (needs --expose-gc), and what keeps the event loop busy, by kind. */
  held: async () => {
    for (let i = 0; i < 5; i++) {
      ;(globalThis as { gc?: () => void }).gc?.()
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    const resources: Record<string, number> = {}
    for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1
    return { heapBytes: process.memoryUsage().heapUsed, resources, names: node.registered().length }
  },
  /** All memory of this process, buffers too. */
  rss: () => process.memoryUsage.rss(),
  gossipCounts: () => gossips?.counts(),
  /** Of the addresses, those that discovery ever named or that were dialled, and whether they are named still. */
  named: (addresses: readonly string[]) =>
    addresses.flatMap((address) => {
      const { namedBy, dials } = node.explainPeer(address)
      return namedBy.length > 0 || dials > 0 ? [{ address, dials, now: namedBy.some(({ now }) => now) }] : []
    }),
  drain: () => node.drain({ timeout: 5000 }),
}

function registered(): string[] {
  return node
    .registered()
    .map(({ name, pid, fence }) => `${name} ${pid} ${fence}`)
    .sort()
}

function pidOf({ pid }: Who): string {
  return pid
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

export type NodeSteps = typeof steps

serve(steps)
