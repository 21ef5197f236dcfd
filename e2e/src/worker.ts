/** A node in a process of its own that drives calls at a steady pace, without retries, and says what came of them. */

import { serve } from '@skep/example-counter/processes'
import { localPeers, startNode, via } from 'skep'
import { layersOf } from 'skep/internal'
import { summary } from './statistics.js'
import { Blob, Future, Tally } from './tally.js'

export interface WorkerArgument {
  readonly name: string
  readonly cluster: string
  readonly rebalance?: 'eager' | 'gradual' | 'never'
  /** It knows the kind of actors that only newer nodes know. */
  readonly newer?: boolean
}

const { newer = false, ...own } = JSON.parse(process.argv[2] ?? '{}') as WorkerArgument

const node = await startNode({
  ...own,
  discovery: localPeers(),
  actors: newer ? [Tally, Blob, Future] : [Tally, Blob],
  logger: 'info',
})

/** Of the actors' and of the applications' range. */
const UNKNOWN_KINDS = [95, 127]

const TICK_MS = 10
const MOST_ERRORS = 10

interface Drive {
  readonly caller: string
  readonly sent: Map<string, number>
  readonly open: Set<Promise<void>>
  readonly errors: string[]
  readonly times: number[]
  failed: number
  stop(): void
}

/** Calls each name in turn, so many a second in all; what one call waits for does not hold up the next. */
function startDrive(caller: string, names: readonly string[], perSecond: number): Drive {
  const began = performance.now()
  let made = 0
  const one: Drive = {
    caller,
    sent: new Map(),
    open: new Set(),
    errors: [],
    times: [],
    failed: 0,
    stop: () => clearInterval(timer),
  }
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - began) * perSecond) / 1000)
    // A process that stood still does not make up for it at once.
    for (let burst = 0; made < due && burst < perSecond / 10; burst++) call(one, names[made++ % names.length] as string)
    made = Math.max(made, due - perSecond)
  }, TICK_MS)
  return one
}

function call(drive: Drive, name: string): void {
  const number = (drive.sent.get(name) ?? 0) + 1
  drive.sent.set(name, number)
  const began = performance.now()
  const work = node
    .via(Tally, name)
    .add(drive.caller, number)
    .then(
      () => {
        drive.times.push(performance.now() - began)
      },
      (error: unknown) => {
        drive.failed += 1
        if (drive.errors.length < MOST_ERRORS) drive.errors.push(`${name} ${number}: ${String(error)}`)
      },
    )
  drive.open.add(work)
  void work.finally(() => drive.open.delete(work))
}

let drive: Drive | undefined

/** Which name was handed over, and where it came to, as it is seen from here. */
const moves: { readonly name: string; readonly at: string }[] = []
node.on('moved', ({ claim: { name, pid } }) => void moves.push({ name, at: pid.node }))

const steps = {
  ready: async (timeout: number) => {
    await node.ready({ timeout })
    return { at: Number(process.hrtime.bigint()) / 1e6 }
  },
  members: () => node.members().map((member) => member.name),
  /** How many of these are known here, and on which nodes. */
  where: (names: readonly string[]) => names.map((name) => node.whereis(name)?.node),
  spawnTallies: async (names: readonly string[]) => {
    await Promise.all(names.map((name) => node.spawn(Tally, via(name, { visible: 'all' }))))
  },
  spawnFuture: async (name: string) => (await node.spawn(Future, via(name, { visible: 'all' }))).node,
  futureNode: (name: string) => node.via(Future, name).node(),
  drive: (caller: string, names: readonly string[], perSecond: number) => {
    drive = startDrive(caller, names, perSecond)
  },
  /** Ends the driving, waits for what is open, and says what came of it. */
  endDrive: async () => {
    const ended = drive
    drive = undefined
    if (ended === undefined) throw new Error('nothing is driven')
    ended.stop()
    await Promise.all(ended.open)
    const { caller, sent, failed, errors, times } = ended
    return { caller, sent, failed, errors, answered: times.length, ms: summary(times) }
  },
  reports: (names: readonly string[]) =>
    Promise.all(names.map(async (name) => ({ name, ...(await node.via(Tally, name).report()) }))),
  move: async (name: string, to: string) => {
    await node.move(name, to)
  },
  // Bytes
  spawnBlob: async (name: string, bytes: Uint8Array) => {
    const { node: at } = await node.spawn(Blob, via(name))
    await node.via(Blob, name).fill(bytes)
    return at
  },
  bytes: (names: readonly string[]) => Promise.all(names.map((name) => node.via(Blob, name).bytes())),
  touch: async (names: readonly string[]) => {
    const outcomes = await Promise.allSettled(names.map((name) => node.via(Blob, name).touch()))
    return outcomes.flatMap((one) => (one.status === 'rejected' ? [String(one.reason)] : []))
  },
  /** Since it was asked last. */
  moves: () => moves.splice(0),
  drain: (timeout: number) => node.drain({ timeout }),
  /** Sends everybody frames of kinds that no version has a use for. */
  babble: () => {
    const { cluster } = layersOf(node)
    for (const { info } of cluster.members()) {
      if (info.boot === cluster.self.boot) continue
      for (const kind of UNKNOWN_KINDS) cluster.post(info.boot, [kind, 'of a later version', { more: [1, 2, 3] }])
    }
  },
  /** Frames that this node threw away. */
  dropped: () => {
    const { actors, cluster, tracker } = layersOf(node)
    const counts = [actors.stats(), cluster.stats(), tracker.stats()].flatMap(({ dropped }) => Object.values(dropped))
    return counts.reduce((sum, count) => sum + count, 0)
  },
}

export type WorkerSteps = typeof steps

serve(steps)
