/** Log lines about actors that keep others waiting. */
import { describe, expect, test } from 'vitest'
import { type ActorLimits, anonymous, defineActor, via } from '../src/index.js'
import { gate, rest, type TestNode, World } from './world.js'

let open = gate()
let world = new World()

const Slow = defineActor('slow', {
  init: () => 0,
  on: {
    wait: async () => {
      await open.promise
    },
    block: (_self, ms: number) => world.time.spend(ms),
    async blockLater(_self, ms: number) {
      world.time.spend(ms)
    },
    blockByTimer: (self, ms: number) => void self.after(1, 'block', ms),
    async *items() {
      await open.promise
      yield 1
    },
  },
})

const Asker = defineActor('asker', {
  init: () => 0,
  on: { ask: (self, name: string): Promise<void> => self.node.via(Slow, name).$.with({ timeout: 1e6 }).wait() },
  reentrant: true,
})

async function nodes(limits: Partial<ActorLimits> = {}) {
  open = gate()
  world = new World()
  const [a, b] = ['a', 'b'].map((name) => world.add(name, { actors: [Slow, Asker], limits })) as [TestNode, TestNode]
  await b.system.start(Slow, via('s'))
  await a.system.start(Asker, via('asker'))
  return { a, b, asker: a.system.via(Asker, 'asker').$.with({ timeout: 1e6 }), slow: a.system.via(Slow, 's') }
}

const warnings = (node: TestNode) => node.lines.filter(({ level }) => level === 'warn').map(({ text }) => text)
const quiet = (ref: Promise<unknown>): void => void ref.catch(() => {})

describe('a call that waits for over a second', () => {
  test('is named in the log of its caller’s node, with both actors, once', async () => {
    const { a, b, asker } = await nodes()
    const asked = asker.ask('s')
    await world.time.pass(999)
    expect(warnings(a)).toEqual([])
    await world.time.pass(501)
    expect(warnings(a)).toHaveLength(2)
    const line = a.lines.find(({ fields }) => fields.callee === "slow 's'")
    expect(line?.text).toMatch(/^asker 'asker' has waited over 1000 ms for slow.wait of 's': it is at b/)
    expect(line?.fields).toMatchObject({ caller: "asker 'asker'", method: 'wait', more: 0 })
    // The other is the test's own call of the asker.
    expect(warnings(a).some((text) => text.startsWith('a caller outside of actors, on node a, has waited'))).toBe(true)
    await world.time.pass(30_000)
    expect([...warnings(a), ...warnings(b)]).toHaveLength(2)
    open.open()
    await asked
  })

  test('has one line for each pair and minute, however many calls there are', async () => {
    const { a, b, asker } = await nodes({ callTimeoutMs: 1e6 })
    await b.system.start(Slow, via('t'))
    const calls = ['s', 's', 's', 't'].map((name) => asker.ask(name))
    await world.time.pass(2000)
    const about = (): unknown[] =>
      a.lines
        .filter(({ fields }) => fields.caller === "asker 'asker'")
        .map(({ fields }) => [fields.callee, fields.more])
    expect(about().sort()).toEqual([
      ["slow 's'", 0],
      ["slow 't'", 0],
    ])
    await world.time.pass(58_000)
    calls.push(asker.ask('s'))
    await world.time.pass(2000)
    expect(about().at(-1)).toEqual(["slow 's'", 2])
    open.open()
    await Promise.all(calls)
  })

  test('that has no deadline is named too; a stream, a monitor and a stop may wait', async () => {
    const { a, slow } = await nodes()
    quiet(slow.items()[Symbol.asyncIterator]().next())
    quiet(slow.$.monitor().next())
    await rest()
    await world.time.pass(5000)
    expect(warnings(a)).toEqual([])
    const forever = slow.$.with({ timeout: Number.POSITIVE_INFINITY }).wait()
    await world.time.pass(5000)
    expect(warnings(a)).toHaveLength(1)
    open.open()
    await forever
  })

  test('is left alone where the limit says so, and answers in time are never named', async () => {
    const { a, slow } = await nodes({ slowCallMs: Number.POSITIVE_INFINITY })
    quiet(slow.wait())
    await world.time.pass(4000)
    expect(warnings(a)).toEqual([])
    const other = await nodes({ slowCallMs: 100 })
    for (let i = 0; i < 30; i++) {
      await other.slow.block(0)
      await world.time.pass(30)
    }
    expect(warnings(other.a)).toEqual([])
  })
})

describe('an actor that blocks the event loop', () => {
  test('is named in the log, with its method and for how long, once a minute', async () => {
    const { b, slow } = await nodes()
    await slow.block(199)
    expect(warnings(b)).toEqual([])
    for (const ms of [350, 350]) await slow.block(ms)
    expect(warnings(b)).toHaveLength(1)
    expect(warnings(b)[0]).toMatch(/^slow 's' <.*> blocked the event loop for 350 ms \(block\): nothing else ran/)
    await world.time.pass(60_000)
    await slow.blockLater(500)
    expect(b.lines.at(-1)?.fields).toMatchObject({ method: 'blockLater', ms: 500, messages: 1, more: 1 })
  })

  test('is named for its timers, and for many messages together', async () => {
    const { b, slow } = await nodes()
    await slow.blockByTimer(300)
    await world.time.pass(1)
    expect(warnings(b)[0]).toContain('(block)')
    const other = await b.system.start(Slow, anonymous)
    const ref = b.system.ref(Slow, other)
    await Promise.all([ref.block(150), ref.block(150)])
    expect(warnings(b)[1]).toContain('for 300 ms (2 messages, the last one block)')
  })

  test('is left alone where the limit says so', async () => {
    const { b, slow } = await nodes({ blockedMs: Number.POSITIVE_INFINITY })
    await slow.block(5000).catch(() => {})
    expect(warnings(b)).toEqual([])
  })
})
