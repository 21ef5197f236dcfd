/** A node in a process of its own that runs programs of calls, and says what came of each of them. */

import { monitorEventLoopDelay } from 'node:perf_hooks'
import { serve } from '@skep/example-counter/processes'
import { isSkepError, localPeers, startNode, via } from 'skep'
import { attempts, clock, Desk, did, Frail, Hog, Relay, Shop, Till, trouble } from './busy.js'

export interface BusyArgument {
  readonly name: string
  readonly cluster: string
}

export type Step =
  | { readonly do: 'pass'; readonly ms: number }
  | {
      readonly do: 'call'
      readonly id: string
      readonly desk: string
      readonly relayed: boolean
      /** How long the work takes. */
      readonly ms: number
      readonly timeout: number
      readonly abortAfter: number | undefined
      readonly key: string | undefined
    }

/** A call as its caller saw it. */
export interface Asked {
  readonly id: string
  readonly desk: string
  /** Calls of one line keep their order. */
  readonly line: string
  readonly key: string | undefined
  /** When nobody wanted it any more. */
  readonly until: number
  readonly outcomes: readonly {
    readonly at: number
    readonly value?: string
    readonly code?: string
    readonly sent?: string
  }[]
}

const argument = JSON.parse(process.argv[2] ?? '{}') as BusyArgument

const node = await startNode({
  ...argument,
  discovery: localPeers(),
  actors: [Desk, Relay, Frail, Hog, Shop, Till],
  // Actors go where the scenario moves them.
  rebalance: 'never',
  logger: 'info',
})

const delay = monitorEventLoopDelay({ resolution: 5 })

/** Long after the last deadline of a program: what has no outcome by then has none. */
const LAST_MS = 5000

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

function ask(step: Step & { do: 'call' }): { asked: Asked; settled: Promise<void> } {
  const { id, desk, relayed, ms, timeout, abortAfter, key } = step
  const outcomes: Asked['outcomes'][number][] = []
  const until = clock() + Math.min(timeout, abortAfter ?? timeout)
  const line = `${argument.name}${relayed ? ' relayed' : ''} to ${desk}`
  const abort = new AbortController()
  if (abortAfter !== undefined) setTimeout(() => abort.abort(), abortAfter)
  const options = { timeout, signal: abort.signal }
  const answer = relayed
    ? node.via(Relay, `relay-${argument.name}`).$.with(options).pass(desk, id, ms, key)
    : node
        .via(Desk, desk)
        .$.with(key === undefined ? options : { ...options, key })
        .work(id, ms)
  const settled = answer.then(
    (value) => void outcomes.push({ at: clock(), value }),
    (error: unknown) => {
      const { code, sent } = isSkepError(error) ? error : { code: String(error), sent: '' }
      outcomes.push({ at: clock(), code, sent })
    },
  )
  return { asked: { id, desk, line, key, until, outcomes }, settled }
}

const steps = {
  ready: async (timeout: number) => {
    await node.ready({ timeout })
  },
  members: () => node.members().map((member) => member.name),
  where: (name: string) => node.whereis(name)?.node,
  failed: (name: string) => node.explain(name).failed,
  // The workload
  prepare: async (desks: readonly string[]) => {
    for (const desk of desks) await node.spawn(Desk, via(desk, { visible: 'all' }))
  },
  relay: async () => {
    await node.start(Relay, via(`relay-${argument.name}`))
  },
  /** Calls as the program says; resolves with what came of them. */
  perform: async (program: readonly Step[]) => {
    const all: ReturnType<typeof ask>[] = []
    delay.enable()
    for (const step of program) {
      if (step.do === 'pass') await pause(step.ms)
      else all.push(ask(step))
    }
    await Promise.race([Promise.all(all.map(({ settled }) => settled)), pause(LAST_MS)])
    return all.map(({ asked }) => asked)
  },
  move: async (name: string, to: string) => {
    if (node.whereis(name)?.node === to) return false
    await node.move(name, to)
    return true
  },
  /** What was done here, and the longest time that this process had no turn meanwhile. */
  done: () => {
    delay.disable()
    return { did, heldUpMs: delay.max / 1e6 }
  },
  // Starts that fail
  spawnFrail: async (name: string) => (await node.spawn(Frail, via(name, { visible: 'all' }), name)).node,
  fall: async (name: string) => {
    await node.via(Frail, name).fall()
  },
  trouble: (on: boolean) => {
    trouble.on = on
    attempts.length = 0
  },
  attempts: () => attempts,
  // The event loop
  startHog: async (name: string) => {
    await node.start(Hog, via(name, { visible: 'all' }))
  },
  block: (name: string, ms: number) => node.via(Hog, name).block(ms),
  wait: (name: string, ms: number) => node.via(Hog, name).wait(ms),
  // Supervisors
  spawnShop: async (name: string) => (await node.spawn(Shop, via(name, { visible: 'all' }), name)).node,
  /** The processes that run its children; undefined while one of them does not answer. */
  shop: async (name: string) => {
    const timeout = 1000
    try {
      const shop = node.via(Shop, name).$.with({ timeout })
      const [front, back] = [await shop.child('front'), await shop.child('back')]
      const named = node.via(Till, `${name}-front`).$.with({ timeout })
      const processes = [await front.process(), await back.process(), await named.process()]
      const pids = [await front.pid(), await named.pid(), await back.pid()]
      return { at: clock(), processes, pids }
    } catch {
      return undefined
    }
  },
  /** Its children crash. */
  jam: async (name: string) => {
    const shop = node.via(Shop, name)
    for (const id of ['front', 'back'] as const) await (await shop.child(id)).fall()
  },
}

export type BusySteps = typeof steps

serve(steps)
