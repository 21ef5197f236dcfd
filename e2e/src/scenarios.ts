/** The scenarios by name: which options each takes, with their defaults, and what it runs. */

import { actors } from './actors.js'
import { badinput } from './badinput.js'
import { comeBack, restartall, scale } from './changes.js'
import { churn } from './churn.js'
import { coldstart } from './coldstart.js'
import { cores } from './cores.js'
import { demo } from './demo.js'
import { drain } from './drain.js'
import { gossip } from './gossip.js'
import { gossipfuzz } from './gossipfuzz.js'
import { image } from './image.js'
import { kill9 } from './kill9.js'
import { kubernetes } from './kubernetes.js'
import { delay, flapping, loss, oneway, partial } from './links.js'
import { type Policy, partition } from './partition.js'
import { rolling } from './rolling.js'
import type { Report, Say } from './scenario.js'
import { stall } from './stall.js'
import { twoclusters } from './twoclusters.js'
import { upgrade } from './upgrade.js'

export interface Options {
  readonly nodes: number
  readonly times: number
  /** Several are run one after the other, where a scenario takes several. */
  readonly seconds: readonly number[]
  readonly minutes: number
  readonly seed: number
  readonly datagrams: number
  readonly discovery: 'local' | 'static'
  /** Nodes in each part. */
  readonly split: readonly number[]
  readonly policy: Policy
}

export interface Scenario {
  /** The options that it takes. */
  readonly defaults: Partial<Options>
  /** Whether `seconds` may be a list. */
  readonly manySeconds?: boolean
  run(options: Options, say: Say): Promise<Report[]>
}

function one(run: (options: Options, say: Say) => Promise<Report>, defaults: Partial<Options> = {}): Scenario {
  return { defaults, run: async (options, say) => [await run(options, say)] }
}

/** What a scenario of one fault takes. */
const length = ({ seconds }: Options): { readonly seconds: number } => ({ seconds: seconds[0] ?? 10 })

export const scenarios: Readonly<Record<string, Scenario>> = {
  coldstart: one(coldstart, { nodes: 3, times: 5, discovery: 'local' }),
  kill9: one(kill9, { times: 50 }),
  stall: { ...one(stall, { seconds: [1, 8], times: 3 }), manySeconds: true },
  partition: one((options, say) => partition({ ...options, ...length(options) }, say), {
    split: [2, 1],
    seconds: [10],
    times: 1,
    policy: 'serve',
  }),
  partial: one((options, say) => partial(length(options), say), { seconds: [60] }),
  oneway: one((options, say) => oneway(length(options), say), { seconds: [20] }),
  flapping: one((options, say) => flapping(length(options), say), { seconds: [20] }),
  loss: one((options, say) => loss(length(options), say), { seconds: [20] }),
  delay: one((_, say) => delay(say)),
  churn: one(churn, { minutes: 5, seed: 0 }),
  scale: one((_, say) => scale(say)),
  restartall: one(restartall, { times: 3 }),
  return: one(comeBack, { times: 3 }),
  rolling: one((_, say) => rolling(say)),
  drain: one((_, say) => drain(say)),
  cores: one((_, say) => cores(say)),
  upgrade: one((_, say) => upgrade(say)),
  actors: one(actors, { seed: 0 }),
  twoclusters: one((_, say) => twoclusters(say)),
  badinput: one((_, say) => badinput(say)),
  gossip: one((_, say) => gossip(say)),
  gossipfuzz: one(gossipfuzz, { datagrams: 1_000_000, seed: 0 }),
  kubernetes: one(kubernetes, { times: 20 }),
  image: one((_, say) => image(say)),
  demo: one((_, say) => demo(say)),
  ci: { defaults: {}, run: inTurn },
}

/** What `npm test` runs, a line each; what is new here must leave it short. */
const selection: readonly ((say: Say) => Promise<Report>)[] = [
  (say) => coldstart({ nodes: 3, times: 5, discovery: 'local' }, say),
  (say) => coldstart({ nodes: 10, times: 1, discovery: 'static' }, say),
  (say) => kill9({ times: 3 }, say),
  (say) => stall({ seconds: [1, 8], times: 1 }, say),
  (say) => partition({ split: [2, 1], seconds: 10, times: 1, policy: 'serve' }, say),
  (say) => partial({ seconds: 10 }, say),
  (say) => comeBack({ times: 1 }, say),
  (say) => rolling(say),
  (say) => drain(say),
  (say) => cores(say),
  (say) => upgrade(say),
  (say) => scale(say),
  (say) => kubernetes({ times: 4 }, say),
  (say) => badinput(say),
  (say) => gossip(say),
  (say) => gossipfuzz({ datagrams: 20_000, seed: 1 }, say),
  (say) => actors({ seed: 1 }, say),
  (say) => demo(say),
]

async function inTurn(_: Options, say: Say): Promise<Report[]> {
  const reports: Report[] = []
  for (const run of selection) reports.push(await run(say))
  return reports
}
