/** Timers by the name of a method: they are an actor's own wherever it goes. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anonymous, defineActor, via } from '../src/index.js'
import { errorOf, rest, type TestNode, World } from './world.js'

const Clock = defineActor('clock', {
  init: () => ({ seen: [] as string[] }),
  on: {
    seen: (self) => [...self.state.seen],
    note: (self, ...words: string[]) => void self.state.seen.push(`${self.node.name}:${words.join(' ')}`),
    after: (self, ms: number, ...words: string[]) => void self.after(ms, 'note', ...words),
    every: (self, ms: number, ...words: string[]) => void self.every(ms, 'note', ...words),
    closure: (self, ms: number) => void self.after(ms, (later) => later.state.seen.push('closure')),
    unknown: (self) => void self.after(1, 'nothing'),
    stream: (self) => void self.every(1, 'items'),
    unsendable: (self) => void self.after(1, 'note', () => {}),
    changed: (self) => {
      const words = ['before']
      self.after(10, 'list', words)
      words[0] = 'afterwards'
    },
    list: (self, words: string[]) => void self.state.seen.push(...words),
    cancel: (self, ...words: string[]) => self.cancel('note', ...words),
    cancelled: (self) => {
      const cancel = self.after(10, 'note', 'never')
      cancel()
    },
    fails: () => {
      throw new RangeError('bad beat')
    },
    failLater: (self) => void self.after(5, 'fails'),
    async *items() {
      yield 1
    },
  },
})

async function clock() {
  const world = new World()
  const [a, b] = ['a', 'b'].map((name) => world.add(name, { actors: [Clock] })) as [TestNode, TestNode]
  const pid = await a.system.spawn(Clock, via('c'))
  const move = async (to: TestNode): Promise<void> => {
    const { passed } = await world.handOver('c', to)
    passed()
    await rest()
  }
  return { world, a, b, pid, ref: a.system.via(Clock, 'c'), move }
}

describe('a timer by the name of a method', () => {
  test('runs it with its arguments, as they were when it was set', async () => {
    const { world, ref } = await clock()
    await ref.after(100, 'one', 'two')
    await ref.changed()
    await world.time.pass(99)
    expect(await ref.seen()).toEqual(['before'])
    await world.time.pass(1)
    expect(await ref.seen()).toEqual(['before', 'a:one two'])
  })

  test('goes along at a handoff with the time that is left; one that runs a function ends there', async () => {
    const { world, a, b, ref, move } = await clock()
    await ref.after(100, 'once')
    await ref.every(40, 'beat')
    await ref.closure(100)
    await world.time.pass(50)
    await move(b)
    expect(await ref.seen()).toEqual(['a:beat'])
    await world.time.pass(29)
    expect(await ref.seen()).toEqual(['a:beat'])
    await world.time.pass(1)
    expect(await ref.seen()).toEqual(['a:beat', 'b:beat'])
    await world.time.pass(20)
    expect(await ref.seen()).toEqual(['a:beat', 'b:beat', 'b:once'])
    await move(a)
    await world.time.pass(20)
    expect(await ref.seen()).toEqual(['a:beat', 'b:beat', 'b:once', 'a:beat'])
    await ref.cancel()
    expect(world.time.timers).toBeLessThanOrEqual(2)
  })

  test('can be cancelled before a move by what was returned, and after it by its name, all or one', async () => {
    const { world, b, ref, move } = await clock()
    await ref.cancelled()
    for (const word of ['x', 'y', 'z']) await ref.after(100, word)
    await move(b)
    expect(await ref.cancel('y')).toBe(true)
    expect(await ref.cancel('y')).toBe(false)
    await world.time.pass(100)
    expect(await ref.seen()).toEqual(['b:x', 'b:z'])
    await ref.every(10, 'x')
    await ref.after(10)
    expect(await ref.cancel()).toBe(true)
    await world.time.pass(100)
    expect(await ref.seen()).toHaveLength(2)
  })

  test('takes the place of one with the same method and arguments', async () => {
    const { world, ref } = await clock()
    await ref.every(10, 'x')
    await ref.after(15, 'x')
    await world.time.pass(100)
    expect(await ref.seen()).toEqual(['a:x'])
  })

  test('that waits in the mailbox when its actor goes runs there, once', async () => {
    const { world, a, b, ref } = await clock()
    await ref.after(10, 'x')
    const pid = a.system.whereis('c')
    if (pid === undefined || a.handing === undefined) throw new Error('it is not there')
    // Held for its export, it takes no turn.
    const exported = a.handing.export(pid, 'c')
    await world.time.pass(20)
    expect(a.system.report(pid)?.waiting).toBe(1)
    await exported
    await world.handOver('c', b).then(({ passed }) => passed())
    await world.time.pass(1)
    expect(await ref.seen()).toEqual(['b:x'])
  })

  test('is refused at once where it could never run', async () => {
    const { ref } = await clock()
    expect((await errorOf(ref.unknown())).name).toBe('TypeError')
    expect((await errorOf(ref.unknown())).message).toContain("self.after(ms, 'nothing'): the actor has no such method")
    expect((await errorOf(ref.stream())).message).toContain("self.every(ms, 'items')")
    expect((await errorOf(ref.unsendable())).code).toBe('ERR_NOT_SENDABLE')
  })

  test('that throws is logged and counted, as one with a function', async () => {
    const { world, a, pid, ref } = await clock()
    await ref.failLater()
    await world.time.pass(10)
    expect(a.system.report(pid)?.failures).toBe(1)
    expect(a.lines.find(({ level }) => level === 'error')?.text).toMatch(/^a timer of clock 'c' .* threw$/)
  })

  test('of a method that the node’s version has not is left out there, with a line in its log', async () => {
    const world = new World()
    const older = defineActor('clock', {
      init: () => ({ seen: [] as string[] }),
      on: { seen: (self) => [...self.state.seen] },
    })
    const a = world.add('a', { actors: [Clock] })
    await a.system.spawn(Clock, via('c'))
    await a.system.via(Clock, 'c').after(10, 'x')
    const b = world.add('b', { actors: [older] })
    await world.handOver('c', b).then(({ passed }) => passed())
    await world.time.pass(20)
    expect(b.lines.find(({ level }) => level === 'warn')?.text).toMatch(/came along that it cannot run$/)
    expect(await b.system.via(older, 'c').seen()).toEqual([])
  })

  test('leaves nothing behind when its actor ends', async () => {
    const world = new World()
    const a = world.add('a', { actors: [Clock] })
    const ref = a.system.ref(Clock, await a.system.start(Clock, anonymous))
    await ref.every(10, 'x')
    await ref.after(10, 'y')
    await ref.$.stop()
    expect(world.time.timers).toBeLessThanOrEqual(1)
  })

  test('is due when it is due, however often its actor moves', async () => {
    const moves = fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(moves, fc.integer({ min: 1, max: 1000 }), async (pauses, ms) => {
        const { world, a, b, ref, move } = await clock()
        const begun = world.time.now()
        await ref.after(ms, 'x')
        let at = a
        for (const pause of pauses) {
          await world.time.pass(pause)
          at = at === a ? b : a
          await move(at)
        }
        const late = world.time.now() - begun - ms
        if (late < 0) {
          await world.time.pass(-late - 1)
          expect(await ref.seen()).toEqual([])
          await world.time.pass(1)
        }
        expect(await ref.seen()).toHaveLength(1)
      }),
      { numRuns: 40 },
    )
  })
})
