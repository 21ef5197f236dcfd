/**
 * What a call within one process costs without Skep: an awaited async function, and nact 7. nact does less: no names
 * but paths within its own process, no copy of messages, no deadline but the query's own, no errors that come back, no
 * nodes. It does more: an actor's state is replaced, not changed, and may be kept by event sourcing.
 */
import { createRequire } from 'node:module'
import { serve } from '@skep/example-counter/processes'
import { type Item, itemOf, priced, rightItem, rightNumber } from './actors.js'
import { cpuUs, drive, type Slice } from './slice.js'

type Reference = object

interface Nact {
  start(): Reference
  spawnStateless(parent: Reference, act: (message: Asked) => void): Reference
  dispatch(to: Reference, message: unknown): void
  query(to: Reference, ask: (sender: Reference) => Asked, timeout: number): Promise<unknown>
}

type Asked = { readonly sender: Reference; readonly item: Item }

/** Its own types stand in the way of each other's module. */
const { start, spawnStateless, dispatch, query } = createRequire(import.meta.url)('nact') as Nact

/**
 * nact gives each question a random number of 32 bits. Of two on their way with the same one, the first is never answered
 * and the second with the answer to the first: of 64 callers that happens once in 67 million questions. Here it counts.
 */
let questions = 0
Math.random = () => {
  questions = (questions + 1) % 2 ** 32
  return (questions + 0.5) / Number.MAX_SAFE_INTEGER
}

/** As a call of Skep's. */
const TIMEOUT_MS = 5000

const actor = spawnStateless(start(), ({ sender, item }) => dispatch(sender, priced(item)))

const add = async (n: number): Promise<number> => n + 1

const steps = {
  cpu: cpuUs,
  nact: (callers: number, ms: number): Promise<Slice> =>
    drive({
      callers,
      end: { ms },
      ask: (i) => query(actor, (sender) => ({ sender, item: itemOf(i) }), TIMEOUT_MS),
      right: rightItem,
      timed: false,
    }),
  plain: (callers: number, ms: number): Promise<Slice> =>
    drive({ callers, end: { ms }, ask: add, right: rightNumber, timed: false }),
}

export type NextDoorSteps = typeof steps

serve(steps)
