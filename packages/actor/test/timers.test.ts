/** `self.after` and `self.every`: time that passes for an actor comes to it as messages. */
import { describe, expect, test } from 'vitest'
import { anonymous, defineActor, via } from '../src/index.js'
import { errorOf, gate, rest, World } from './world.js'

/** The timer with which a node looks for calls that are due; all others are an actor's. */
const sweeps = 1

const Clock = defineActor('clock', {
  init: () => ({ seen: [] as string[] }),
  on: {
    seen: (self) => [...self.state.seen],
    after: (self, ms: number, word: string) => void self.after(ms, (later) => later.state.seen.push(word)),
    every: (self, ms: number, word: string) => void self.every(ms, (later) => later.state.seen.push(word)),
    threeTimes: (self, ms: number) => {
      const cancel = self.every(ms, (later) => {
        if (later.state.seen.push('beat') === 3) cancel()
      })
    },
    cancelled: (self) => {
      const cancel = self.after(10, (later) => later.state.seen.push('never'))
      cancel()
      cancel()
    },
    fails: (self) => void self.after(5, () => Promise.reject(new RangeError('bad beat'))),
    nonsense: (self, ms: number) => void self.after(ms, () => {}),
  },
})

async function clock(limits: { mailbox?: number } = {}) {
  const world = new World()
  const node = world.add('a', { actors: [Clock], limits })
  const pid = await node.system.start(Clock, anonymous)
  return { world, node, pid, ref: node.system.ref(Clock, pid) }
}

describe('self.after', () => {
  test('runs its function once, in the actor, when the time has come and not before', async () => {
    const { world, ref } = await clock()
    await ref.after(100, 'now')
    await world.time.pass(99)
    expect(await ref.seen()).toEqual([])
    await world.time.pass(1)
    expect(await ref.seen()).toEqual(['now'])
    await world.time.pass(1000)
    expect(await ref.seen()).toEqual(['now'])
  })

  test('that was cancelled never runs, and cancelling again does nothing', async () => {
    const { world, ref } = await clock()
    await ref.cancelled()
    await world.time.pass(100)
    expect(await ref.seen()).toEqual([])
    expect(world.time.timers).toBeLessThanOrEqual(sweeps)
  })

  test('waits for its turn: a call that runs is not interrupted, what was sent before it runs first', async () => {
    const world = new World()
    const open = gate()
    const order: string[] = []
    const Slow = defineActor('slow', {
      init: () => 0,
      on: {
        async work(self) {
          self.after(10, () => order.push('timer'))
          await open.promise
          order.push('work')
        },
        next: () => order.push('next'),
      },
    })
    const node = world.add('a', { actors: [Slow] })
    const ref = node.system.ref(Slow, await node.system.start(Slow, anonymous))
    const work = ref.work()
    await rest()
    const next = ref.next()
    await world.time.pass(50)
    expect(order).toEqual([])
    open.open()
    await Promise.all([work, next])
    await rest()
    expect(order).toEqual(['work', 'next', 'timer'])
  })

  test('set in onStart runs after the actor has started; its self is bound by no caller', async () => {
    const world = new World()
    const seen: unknown[] = []
    const Starter = defineActor('starter', {
      init: () => 0,
      on: {},
      async onStart(self) {
        self.after(1, (later) => seen.push(later.name, later.signal.aborted))
        await world.time.pass(20)
        seen.push('started')
      },
    })
    const node = world.add('a', { actors: [Starter] })
    await node.system.start(Starter, via('s'))
    await rest()
    expect(seen).toEqual(['started', 's', false])
  })

  test('that throws is logged and counted as a failure of its actor, which goes on', async () => {
    const { world, node, pid, ref } = await clock()
    await ref.fails()
    await world.time.pass(10)
    expect(node.system.report(pid)?.failures).toBe(1)
    const line = node.lines.find(({ level }) => level === 'error')
    expect(line?.text).toMatch(/^a timer of clock .* threw$/)
    expect(line?.fields.err).toEqual(new RangeError('bad beat'))
    expect(await ref.seen()).toEqual([])
  })

  test('with a time that is none is the caller’s mistake', async () => {
    const { ref } = await clock()
    for (const ms of [-1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31]) {
      expect((await errorOf(ref.nonsense(ms))).message).toContain('ms must be milliseconds from 0 to 2147483647')
    }
  })

  test('is bounded like the mailbox: one more is refused', async () => {
    const { ref } = await clock({ mailbox: 3 })
    for (let i = 0; i < 3; i++) await ref.after(1000, 'x')
    expect((await errorOf(ref.after(1000, 'x'))).message).toContain('has 3 timers already')
  })
})

describe('self.every', () => {
  test('beats until it is cancelled, also from within', async () => {
    const { world, ref } = await clock()
    await ref.threeTimes(10)
    await world.time.pass(29)
    expect(await ref.seen()).toHaveLength(2)
    await world.time.pass(100)
    expect(await ref.seen()).toHaveLength(3)
    expect(world.time.timers).toBeLessThanOrEqual(sweeps)
  })

  test('of an actor that is busy misses beats, and never has two of them waiting', async () => {
    const world = new World()
    const open = gate()
    const beats: number[] = []
    const Busy = defineActor('busy', {
      init: () => 0,
      on: {
        async work(self) {
          self.every(10, () => beats.push(world.time.now()))
          await open.promise
        },
      },
    })
    const node = world.add('a', { actors: [Busy] })
    const begun = world.time.now()
    const pid = await node.system.start(Busy, anonymous)
    const work = node.system.ref(Busy, pid).work()
    await world.time.pass(95)
    expect(node.system.report(pid)?.waiting).toBe(1)
    open.open()
    await work
    await world.time.pass(10)
    // The one that waited at once, then in the old rhythm.
    expect(beats.map((at) => at - begun)).toEqual([95, 100])
  })

  test('ends with its actor, however that ends', async () => {
    for (const end of ['stop', 'close'] as const) {
      const { world, node, ref } = await clock()
      await ref.every(10, 'beat')
      await ref.after(10, 'once')
      if (end === 'stop') await ref.$.stop()
      else node.system.close()
      await rest()
      expect(world.time.timers).toBeLessThanOrEqual(sweeps)
    }
  })
})
