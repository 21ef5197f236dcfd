/**
 * What a second core brings: the same work by actors on one worker and on two, and by one bare process and two. The
 * speed-up of the one divided by that of the other is what Skep leaves of a core.
 */
import { startProcess } from '@skep/example-counter/processes'
import { type Contestant, contest, measured, rateOf, resultOf, type Turn } from './contest.js'
import type { BareSteps } from './cores-bare.js'
import type { MachineArgument, MachineSteps } from './cores-main.js'
import { ratios, spread } from './measure.js'
import { judged, type Measure, type RowReport } from './report.js'
import { type BenchOptions, startOne, uniqueCluster } from './row.js'
import type { Slice } from './slice.js'

const READY_MS = 60_000
/** Of each worker, and calls on their way to it: so that it never waits for work. */
const ACTORS = 4
const IN_FLIGHT = 8
const SLICES = 3

export async function cores({ rounds, quick }: BenchOptions): Promise<RowReport> {
  const ms = quick ? 100 : 400
  const cluster = uniqueCluster()
  const caller = await startOne('caller', cluster)
  const actors: Contestant[] = []
  const bare: Contestant[] = []
  for (const count of [1, 2]) {
    const argument: MachineArgument = { name: `of-${count}`, cluster, workers: count }
    const machine = startProcess<MachineSteps>(new URL('./cores-main.js', import.meta.url), argument)
    await machine.ask('ready')
    const nodes = Array.from({ length: count }, (_, i) => `of-${count}.${i}`)
    const names = await caller.ask('hostOn', nodes, ACTORS, READY_MS)
    actors.push({
      name: shownActors(count),
      processes: [],
      slice: () => caller.ask('work', names, count * IN_FLIGHT, ms),
    })
    const processes = nodes.map(() => startProcess<BareSteps>(new URL('./cores-bare.js', import.meta.url), {}))
    bare.push({
      name: shownBare(count),
      processes,
      slice: async () => side(await Promise.all(processes.map((one) => one.ask('work', ms)))),
    })
  }
  const { results, wrong } = await contest([...actors, ...bare], { rounds, slices: SLICES })
  const lines = [1, 2].map((count) =>
    measured(
      { name: shownActors(count), unit: 'op/s' },
      resultOf(results, shownActors(count)),
      resultOf(results, shownBare(count)),
    ),
  )
  const turns = (name: string): readonly Turn[] => resultOf(results, name).turns
  const speedUp = speedUps(turns(shownActors(1)), turns(shownActors(2)))
  const bareSpeedUp = speedUps(turns(shownBare(1)), turns(shownBare(2)))
  const ratio = ratios(speedUp, bareSpeedUp)
  const whole: Measure = {
    name: 'from one to two',
    unit: 'x',
    value: spread(speedUp),
    yardstick: { name: 'bare processes', value: spread(bareSpeedUp), ratio },
    ...judged(ratio.median, { of: 'ratio', bound: 'at least', limit: 0.85 }),
  }
  return {
    what: `Calls from another node to actors whose method keeps the processor busy for a millisecond or more, ${ACTORS} on each worker and ${IN_FLIGHT} calls on their way to it: on a machine of one worker, and on one of two. Beside it the same work in one bare process and in two, without calls. The caller needs some of the two cores as well.`,
    measures: [...lines, whole],
    wrong,
  }
}

function shownActors(count: number): string {
  return count === 1 ? 'one worker' : 'two workers'
}

function shownBare(count: number): string {
  return count === 1 ? 'one bare process' : 'two bare processes'
}

/** Of processes that worked at the same time. */
function side(slices: readonly Slice[]): Slice {
  const sum = (of: (slice: Slice) => number): number => slices.reduce((all, slice) => all + of(slice), 0)
  return {
    ops: sum(({ ops }) => ops),
    ms: Math.max(...slices.map((slice) => slice.ms)),
    wrong: sum((slice) => slice.wrong),
    fault: slices.find(({ fault }) => fault !== undefined)?.fault,
    p50Us: Number.NaN,
    p99Us: Number.NaN,
  }
}

function speedUps(one: readonly Turn[], two: readonly Turn[]): number[] {
  return two.map((turn, round) => rateOf(turn) / rateOf(one[round] as Turn))
}
