/**
 * Plans as arbitraries of fast-check: each draws how many nodes there are, when they start and what befalls them, and
 * shrinks to fewer nodes, fewer faults and earlier times. The seed, which decides every delay, shrinks to 0.
 */
import fc from 'fast-check'
import type { Fault, Plan } from './plan.js'

export interface FaultOptions {
  /** Fewest and most nodes, both included; [3, 5] where not given. */
  readonly nodes?: readonly [number, number]
  /** Faults at most; 3 where not given. */
  readonly most?: number
  /** The faults strike from so many milliseconds after all nodes have been started; 0 where not given: while they join. */
  readonly fromMs?: number
  /** And within so many milliseconds from then; 10,000 where not given. */
  readonly withinMs?: number
  /** The longest cut or stall; 12,000 ms where not given. What outlasts some seconds costs a node its membership. */
  readonly forMs?: number
}

export interface JoinOptions {
  readonly nodes?: readonly [number, number]
  /** All nodes start within so many milliseconds; 200 where not given. */
  readonly withinMs?: number
}

/** A fault before it is known how many nodes there are: its nodes are taken modulo their number. */
type RawFault = fc.Arbitrary<Fault>

type Times = Required<Pick<FaultOptions, 'fromMs' | 'withinMs' | 'forMs'>>

function moment({ fromMs, withinMs }: Times): fc.Arbitrary<number> {
  return fc.integer({ min: fromMs, max: fromMs + withinMs })
}

function duration({ forMs }: Times): fc.Arbitrary<number> {
  return fc.integer({ min: 1, max: forMs })
}

const someNode: fc.Arbitrary<number> = fc.nat(299)

function crash(times: Times): RawFault {
  const restart = fc.option(fc.nat(2000), { nil: undefined })
  return fc.record({ at: moment(times), node: someNode, restart }).map(({ at, node, restart: restartMs }) => ({
    type: 'crash' as const,
    at,
    node,
    ...(restartMs === undefined ? {} : { restartMs }),
  }))
}

function leave(times: Times): RawFault {
  return crash(times).map((fault) => ({ ...fault, type: 'leave' as const }) as Fault)
}

function stall(times: Times): RawFault {
  return fc.record({
    type: fc.constant('stall' as const),
    at: moment(times),
    node: someNode,
    forMs: duration(times),
  })
}

function cut(times: Times): RawFault {
  return fc.record({
    type: fc.constant('cut' as const),
    at: moment(times),
    forMs: duration(times),
    from: someNode,
    to: someNode,
    oneWay: fc.boolean(),
  })
}

/** One group stands apart from the rest: bit n of `mask` says on which side node n is. */
function partition(times: Times): fc.Arbitrary<Fault & { readonly mask: number }> {
  return fc.record({
    type: fc.constant('partition' as const),
    at: moment(times),
    forMs: duration(times),
    groups: fc.constant([]),
    mask: fc.integer({ min: 1, max: 0xffff }),
  })
}

function planOf(options: FaultOptions, raw: (times: Times) => fc.Arbitrary<Fault>): fc.Arbitrary<Plan> {
  const { nodes = [3, 5], most = 3, fromMs = 0, withinMs = 10_000, forMs = 12_000 } = options
  return fc
    .record({
      plan: joins({ nodes }),
      faults: fc.array(raw({ fromMs, withinMs, forMs }), { minLength: 0, maxLength: most }),
    })
    .map(({ plan, faults: drawn }) => ({ ...plan, faults: fitting(drawn, plan.starts.length) }))
}

function joins({ nodes = [3, 5], withinMs = 200 }: JoinOptions): fc.Arbitrary<Plan> {
  const [minLength, maxLength] = nodes
  return fc.record({
    seed: fc.nat(),
    starts: fc.array(fc.nat(withinMs), { minLength, maxLength }),
    faults: fc.constant([]),
  })
}

/** At most all nodes but one are taken away for good, and a cut has two ends. */
function fitting(drawn: readonly Fault[], count: number): Fault[] {
  const away = new Set<number>()
  return drawn.flatMap((fault): Fault[] => {
    if (fault.type === 'partition') {
      const { mask } = fault as Fault & { readonly mask: number }
      const group = [...Array(count).keys()].filter((node) => ((mask >> (node % 16)) & 1) === 1)
      const { type, at, forMs } = fault
      return group.length === 0 || group.length === count ? [] : [{ type, at, forMs, groups: [group] }]
    }
    if (fault.type === 'cut') {
      const [from, to] = [fault.from % count, fault.to % count]
      return from === to ? [] : [{ ...fault, from, to }]
    }
    const node = fault.node % count
    if ((fault.type === 'crash' || fault.type === 'leave') && fault.restartMs === undefined) {
      if (away.size === count - 1 && !away.has(node)) return []
      away.add(node)
    }
    return [{ ...fault, node }]
  })
}

/** Plans for `simulate`, as arbitraries. */
export const faults: {
  /** Nodes that start at about the same time, and nothing else. */
  concurrentJoins(options?: JoinOptions): fc.Arbitrary<Plan>
  /** Processes that are killed, some of them started again. */
  crashes(options?: FaultOptions): fc.Arbitrary<Plan>
  /** Nodes that drain, some of them started again. */
  leaves(options?: FaultOptions): fc.Arbitrary<Plan>
  /** Groups of nodes that are cut off from the others for a while. */
  partitions(options?: FaultOptions): fc.Arbitrary<Plan>
  /** Two nodes that cannot reach each other, or one the other. */
  cuts(options?: FaultOptions): fc.Arbitrary<Plan>
  /** Processes that stand still. */
  stalls(options?: FaultOptions): fc.Arbitrary<Plan>
  /** All of them. */
  any(options?: FaultOptions): fc.Arbitrary<Plan>
} = {
  concurrentJoins: (options = {}) => joins(options),
  crashes: (options = {}) => planOf(options, crash),
  leaves: (options = {}) => planOf(options, leave),
  partitions: (options = {}) => planOf(options, partition),
  cuts: (options = {}) => planOf(options, cut),
  stalls: (options = {}) => planOf(options, stall),
  any: (options = {}) =>
    planOf(options, (times) => fc.oneof(crash(times), leave(times), stall(times), cut(times), partition(times))),
}
