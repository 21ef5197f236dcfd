/** A node that joins when it is told to, its program loaded by then: from the start until it has all names. */
import { setTimeout as pause } from 'node:timers/promises'
import { serve } from '@skep/example-counter/processes'
import { anonymous, localPeers, type NodeConfig, type SkepNode, startNode } from 'skep'
import { layersOf } from 'skep/internal'
import { Bench } from './actors.js'
import { missingOf } from './steps-names.js'
import { TurnMeter, type Turns } from './turns.js'

export interface Joined {
  readonly ms: number
  /** Until it called itself ready. */
  readonly readyMs: number
  /** What came over its links meanwhile. */
  readonly bytes: number
  readonly turns: Turns
}

const LOOK_MS = 2

let node: SkepNode | undefined

const { cluster } = JSON.parse(process.argv[2] ?? '{}') as { readonly cluster: string }

function config(name: string): NodeConfig {
  return { name, cluster, discovery: localPeers(), actors: [Bench], logger: 'warn', signals: false }
}

const steps = {
  loaded: () => true,
  /** Until it sees so many names. */
  join: async (name: string, total: number, limitMs: number): Promise<Joined> => {
    const meter = new TurnMeter()
    const begun = performance.now()
    node = await startNode(config(name))
    // What a process does once, at its start, is no part of it.
    await meter.begin()
    const { cluster: links, tracker } = layersOf(node)
    await node.ready({ timeout: limitMs })
    const readyMs = performance.now() - begun
    while (tracker.stats().names < total) {
      if (performance.now() - begun > limitMs)
        throw new Error(`${tracker.stats().names} of ${total} names after ${limitMs} ms`)
      await pause(LOOK_MS)
    }
    const ms = performance.now() - begun
    const turns = await meter.end()
    const bytes = links.stats().links.reduce((sum, link) => sum + link.bytesIn, 0)
    return { ms, readyMs, bytes, turns }
  },
  /**
   * Joins and asks for `PREFIX-0` to `PREFIX-(count - 1)`, which others hold, as soon as it may. How many it was given
   * all the same, and when it was ready.
   */
  grab: async (
    name: string,
    prefix: string,
    count: number,
    limitMs: number,
  ): Promise<{ ms: number; given: number }> => {
    const begun = performance.now()
    node = await startNode(config(name))
    const { tracker } = layersOf(node)
    const pid = await node.start(Bench, anonymous)
    const ready = node.ready({ timeout: limitMs }).then(() => performance.now() - begun)
    const asked = Array.from({ length: count }, (_, i) => tracker.register(`${prefix}-${i}`, pid, { timeout: limitMs }))
    const outcomes = await Promise.allSettled(asked)
    return { ms: await ready, given: outcomes.filter(({ status }) => status === 'fulfilled').length }
  },
  /** Leaves; before that, how many of `PREFIX-0` to `PREFIX-(count - 1)` it does not see on their holder. */
  leave: async (prefix: string, count: number, holder: string): Promise<number> => {
    if (node === undefined) throw new Error('it has not joined')
    const missing = missingOf(node, prefix, count, holder)
    await node.stop()
    return missing
  },
}

export type JoinerSteps = typeof steps

serve(steps)
