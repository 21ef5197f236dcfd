/** The registry's state is what the logs say, in whatever order they were heard. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Claim, Pid, type Restart } from '../src/core/index.js'
import { applyOp, hideLog, type Log, logOf, newRegistry, opsAfter, type Registry, sweep } from '../src/core/logs.js'
import type { Op } from '../src/core/messages.js'
import { replacing } from '../src/core/replace.js'

interface Act {
  readonly name: string
  readonly what: 'placed' | 'ended' | 'byHand' | 'gone' | 'stopped'
  readonly policy: Restart['policy']
  /** How far the fence is above the one before in this log. */
  readonly rise: number
}

interface History {
  readonly acts: readonly Act[]
  /** Whether its boot is gone in the end. */
  readonly hidden: boolean
}

const histories = fc.array(
  fc.record<History>({
    acts: fc.array(
      fc.record<Act>({
        name: fc.constantFrom('x', 'y'),
        what: fc.constantFrom('placed', 'placed', 'ended', 'byHand', 'gone', 'stopped'),
        policy: fc.constantFrom('permanent', 'transient', 'temporary'),
        rise: fc.integer({ min: 1, max: 20 }),
      }),
      { minLength: 1, maxLength: 8 },
    ),
    hidden: fc.boolean(),
  }),
  { minLength: 1, maxLength: 4 },
)

/** As a boot writes: fences that rise, each boot's apart from those of the others. */
function opsOf({ acts }: History, at: number, boots: number): Op[] {
  const boot = `boot-${at}`
  const stamp = { lineage: { epoch: 0, genesis: boot }, event: 1 }
  let fence = at
  return acts.map(({ name, what, policy, rise }, i) => {
    fence += rise * boots
    if (what === 'gone' || what === 'stopped')
      return { type: 'del', name, fence, strike: what === 'stopped' ? `${boot}:1` : undefined }
    const claim: Claim = {
      name,
      pid: new Pid(boot, 1, boot),
      seq: i + 1,
      fence,
      stamp,
      kind: undefined,
      meta: undefined,
      placed: undefined,
    }
    if (what === 'byHand') return { type: 'put', claim }
    const terms = { strategy: undefined, restart: { policy, times: 6, withinMs: 60_000 } }
    const ended = what === 'ended' ? { ended: { how: 'crashed', reason: 'test' } as const } : {}
    return {
      type: 'put',
      claim: { ...claim, kind: 'counter', placed: { spec: 0, origin: `${boot}:1`, terms, ...ended } },
    }
  })
}

/** Hear all of it, the next step each time from the log that `order` says, sweeping at once or only in the end. */
function heard(told: readonly History[], order: readonly number[]): Registry {
  const registry = newRegistry()
  const left = told.map((history, at) => ({ boot: `boot-${at}`, ops: opsOf(history, at, told.length), ...history }))
  for (let step = 0; left.length > 0; step++) {
    const turn = order[step % order.length] as number
    const at = turn % left.length
    const next = left[at] as (typeof left)[number]
    const log = logOf(registry, next.boot)
    const op = next.ops.shift()
    if (op !== undefined) applyOp(registry, log, op, 0)
    else {
      if (next.hidden) hideLog(registry, log, 0)
      left.splice(at, 1)
    }
    if (turn < 50) sweep(registry, 'test', 3)
  }
  while (sweep(registry, 'test', 3));
  return registry
}

function outcome({ index, orphans }: Registry): unknown {
  const all = (claims: ReadonlyMap<string, Claim>): string[] =>
    [...claims].map(([name, { pid, fence }]) => `${name} ${pid.boot} ${fence}`).sort()
  return { held: all(index), orphans: all(orphans) }
}

const orders = fc.array(fc.nat({ max: 99 }), { minLength: 1, maxLength: 40 })

describe('who holds a name, and what is to be started again', () => {
  test('is the same whatever order the logs were heard in', () => {
    fc.assert(
      fc.property(histories, orders, orders, (told, one, other) => {
        expect(outcome(heard(told, one))).toEqual(outcome(heard(told, other)))
      }),
      { numRuns: 3000 },
    )
  })

  test('is the same where a log came as a whole', () => {
    fc.assert(
      fc.property(histories, orders, (told, order) => {
        const source = heard(told, [0])
        const registry = newRegistry()
        for (const at of new Set(order.concat([0, 1, 2, 3]))) {
          const log = source.logs.get(`boot-${at}`)
          if (log === undefined) continue
          const { boot, seq, claims, strikes, hidden } = log
          for (const _ of replacing(registry, boot, { seq, claims, memberships: new Map(), strikes }, [], 0));
          if (hidden) hideLog(registry, logOf(registry, log.boot), 0)
          while (sweep(registry, 'test', 3));
        }
        expect(outcome(registry)).toEqual(outcome(source))
      }),
      { numRuns: 1000 },
    )
  })

  test('what a greater claim hid comes up again where that goes without a word on it', () => {
    const hidden: History = { hidden: true, acts: [{ name: 'x', what: 'placed', policy: 'permanent', rise: 1 }] }
    const above = { name: 'x', policy: 'permanent', rise: 9 } as const
    const released: History = {
      hidden: false,
      acts: [
        { ...above, what: 'byHand' },
        { ...above, what: 'gone' },
      ],
    }
    const stopped: History = {
      hidden: false,
      acts: [
        { ...above, what: 'byHand' },
        { ...above, what: 'stopped' },
      ],
    }
    for (const order of [[0], [1], [1, 1, 0], [98, 99]]) {
      expect(heard([hidden, released], order).orphans.get('x')?.pid.boot).toBe('boot-0')
      expect(heard([hidden, stopped], order).orphans.size).toBe(0)
    }
  })
})

describe('the latest ops', () => {
  /** A log of so many names, one of which was registered anew so often. */
  function written(names: number, times: number): Log {
    const registry = newRegistry()
    const log = logOf(registry, 'boot-0')
    const puts = opsOf({ acts: [{ name: 'x', what: 'byHand', policy: 'permanent', rise: 1 }], hidden: false }, 0, 1)
    const [put] = puts as [Extract<Op, { type: 'put' }>]
    const write = (name: string): void => {
      const seq = log.seq + 1
      applyOp(registry, log, { type: 'put', claim: { ...put.claim, name, seq, fence: seq } }, 0)
    }
    for (let i = 1; i < names; i++) write(`name-${i}`)
    for (let i = 0; i < times; i++) write('x')
    return log
  }

  test('are kept for those who missed some, but never many more than the log has entries', () => {
    const small = written(20, 10_000)
    expect(small.tail.length).toBeLessThanOrEqual(2 * 64)
    expect(opsAfter(small, small.seq - 64)).toHaveLength(64)
    expect(opsAfter(small, small.seq - 1000)).toBeUndefined()
    const large = written(5000, 10_000)
    expect(large.tail.length).toBeLessThanOrEqual(2 * 1024)
    expect(opsAfter(large, large.seq - 1024)).toHaveLength(1024)
    expect(opsAfter(large, 0)).toBeUndefined()
  })
})
