/** A node that joins when it is told to, its program loaded by then: from the start until it has all names. */
import { setTimeout as pause } from 'node:timers/promises'
import { serve } from '@skep/example-counter/processes'
import { localPeers, startNode } from 'skep'
import { layersOf } from 'skep/internal'
import { Bench } from './actors.js'
import { TurnMeter, type Turns } from './turns.js'

export interface Joined {
  readonly ms: number
  /** Until it called itself ready. */
  readonly readyMs: number
  /** What came over its links meanwhile. */
  readonly bytes: number
  /** Names that it does not see on their holder. */
  readonly wrong: number
  readonly turns: Turns
}

const LOOK_MS = 2

const { cluster } = JSON.parse(process.argv[2] ?? '{}') as { readonly cluster: string }

const steps = {
  loaded: () => true,
  /** Until it sees `total` names, of which the holder has `PREFIX-0` to `PREFIX-(count - 1)`. */
  join: async (
    name: string,
    prefix: string,
    count: number,
    holder: string,
    limitMs: number,
    total: number,
  ): Promise<Joined> => {
    const meter = new TurnMeter()
    const begun = performance.now()
    const node = await startNode({
      name,
      cluster,
      discovery: localPeers(),
      actors: [Bench],
      logger: 'warn',
      signals: false,
    })
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
    let wrong = 0
    for (let i = 0; i < count; i++) if (node.whereis(`${prefix}-${i}`)?.node !== holder) wrong++
    await node.stop()
    return { ms, readyMs, bytes, wrong, turns }
  },
}

export type JoinerSteps = typeof steps

serve(steps)
