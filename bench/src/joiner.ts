/** A node that joins when it is told to, its program loaded by then: from the start until it has all names. */
import { setTimeout as pause } from 'node:timers/promises'
import { serve } from '@skep/example-counter/processes'
import { localPeers, startNode } from 'skep'
import { layersOf } from 'skep/internal'
import { Bench } from './actors.js'

export interface Joined {
  readonly ms: number
  /** Until it called itself ready. */
  readonly readyMs: number
  /** What came over its links meanwhile. */
  readonly bytes: number
  /** Names that it does not see on their holder. */
  readonly wrong: number
  /** The longest time between two looks that were to be 2 ms apart. */
  readonly longestTurnMs: number
}

const LOOK_MS = 2

const { cluster } = JSON.parse(process.argv[2] ?? '{}') as { readonly cluster: string }

const steps = {
  loaded: () => true,
  join: async (name: string, prefix: string, count: number, holder: string, limitMs: number): Promise<Joined> => {
    let looked = performance.now()
    let longestTurnMs = 0
    const looking = setInterval(() => {
      const now = performance.now()
      longestTurnMs = Math.max(longestTurnMs, now - looked - LOOK_MS)
      looked = now
    }, LOOK_MS)
    const begun = performance.now()
    const node = await startNode({
      name,
      cluster,
      discovery: localPeers(),
      actors: [Bench],
      logger: 'warn',
      signals: false,
    })
    const { cluster: links, tracker } = layersOf(node)
    await node.ready({ timeout: limitMs })
    const readyMs = performance.now() - begun
    // And that of the actor that is called.
    while (tracker.stats().names < count + 1) {
      if (performance.now() - begun > limitMs)
        throw new Error(`${tracker.stats().names} of ${count} names after ${limitMs} ms`)
      await pause(LOOK_MS)
    }
    const ms = performance.now() - begun
    clearInterval(looking)
    const bytes = links.stats().links.reduce((sum, link) => sum + link.bytesIn, 0)
    let wrong = 0
    for (let i = 0; i < count; i++) if (node.whereis(`${prefix}-${i}`)?.node !== holder) wrong++
    await node.stop()
    return { ms, readyMs, bytes, wrong, longestTurnMs }
  },
}

export type JoinerSteps = typeof steps

serve(steps)
