/** Calls: the same code here and there, one at a time, in order, each answered exactly once, and honest about failure. */
import { isSkepError, type SkepError } from '@skep/cluster'
import { Pid } from '@skep/tracker'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anonymous, defineActor, type RefOf, type Self, via } from '../src/index.js'
import { collect, errorOf, gate, rest, World } from './world.js'

const Counter = defineActor('counter', {
  init: (start: number) => ({ n: start }),
  on: {
    value: (self) => self.state.n,
    increment: (self, by: number = 1) => (self.state.n += by),
  },
})

class Broke extends Error {
  readonly code = 'ERR_BROKE'
  readonly owed = { euro: 3n }
  override readonly name = 'Broke'
}

/** What `hold` waits for, and the signal that it was given, by its text. */
const holding = new Map<string, { open: () => void; signal: AbortSignal }>()

const Lab = defineActor('lab', {
  init: () => ({ log: [] as unknown[] }),
  on: {
    echo: (_self, value: unknown) => value,
    note: (self, text: string) => void self.state.log.push(text),
    log: (self) => self.state.log,
    mutate: (_self, list: number[]) => list.push(99),
    keep: (self, value: object) => void self.state.log.push(value),
    async hold(self, text: string) {
      const { promise, open } = gate()
      holding.set(text, { open, signal: self.signal })
      self.state.log.push(`${text} begins`)
      await promise
      self.state.log.push(`${text} ends`)
      return text
    },
    broke: () => {
      throw new Broke('no money', { cause: new RangeError('why') })
    },
    plainError: () => {
      throw new Error('plain')
    },
    liar: () => {
      throw Object.assign(new Error('liar'), { sent: 'no', retryable: true })
    },
    text: () => {
      throw 'just a text'
    },
    dirtyError: () => {
      throw Object.assign(new Error('dirty'), { socket: new WeakMap(), port: 3 })
    },
    async rejects() {
      throw new TypeError('later')
    },
    unsendable: () => ({ deep: [() => {}] }),
    nested: (_self, whom: RefOf<typeof Lab_>) => whom.stuck(),
    left: (self) => self.name,
    passOn: (self, to: string): Promise<number> => self.node.via(Counter, to).value(),
    where: (self) => [self.kind, self.name, self.pid, self.node.name, self.fence] as const,
  },
})

const Lab_ = defineActor('stuck', { init: () => 0, on: { stuck: () => new Promise<number>(() => {}) } })

/** A lab, and a ref to it from the same node or from another one. */
async function lab(where: string) {
  const world = new World()
  const actors = [Counter, Lab, Lab_]
  const a = world.add('a', { actors })
  const b = world.add('b', { actors })
  const pid = await a.system.start(Lab, via('lab'))
  const caller = where === 'here' ? a : b
  return { world, a, b, pid, caller, ref: caller.system.via(Lab, 'lab') }
}

describe.each(['here', 'there'])('a call to an actor %s', (where) => {
  test('is answered, by name and by pid', async () => {
    const { caller, pid, ref } = await lab(where)
    expect(await ref.echo({ a: [1, undefined, -0, 2n] })).toStrictEqual({ a: [1, undefined, -0, 2n] })
    expect(await caller.system.ref(Lab, pid).echo('x')).toBe('x')
    expect(await ref.where()).toEqual(['lab', 'lab', pid, 'a', expect.any(Number)])
  })

  test('copies its arguments and its result', async () => {
    const { ref } = await lab(where)
    const list = [1, 2]
    expect(await ref.mutate(list)).toBe(3)
    expect(list).toEqual([1, 2])
    const kept = { n: 1 }
    await ref.keep(kept)
    kept.n = 2
    const [first] = (await ref.log()) as { n: number }[]
    expect(first?.n).toBe(1)
    if (first !== undefined) first.n = 3
    expect(await ref.log()).toEqual([{ n: 1 }])
  })

  test('runs one at a time, in the order of its caller', async () => {
    const { ref } = await lab(where)
    const held = ref.hold('one')
    const noted = Promise.all([ref.note('two'), ref.note('three')])
    await rest()
    expect(await Promise.race([noted, Promise.resolve('waits')])).toBe('waits')
    holding.get('one')?.open()
    expect(await held).toBe('one')
    await noted
    expect(await ref.log()).toEqual(['one begins', 'one ends', 'two', 'three'])
  })

  test('gets the actor’s own error with name, message, code, fields, cause and stack', async () => {
    const { ref, pid } = await lab(where)
    const error = (await errorOf(ref.broke())) as unknown as Broke & {
      remoteStack: string
      sent: string
      retryable: boolean
    }
    expect(error).toBeInstanceOf(Error)
    expect([error.name, error.message, error.code, error.owed]).toEqual([
      'Broke',
      'no money',
      'ERR_BROKE',
      { euro: 3n },
    ])
    expect(error.cause).toBeInstanceOf(RangeError)
    expect(error.remoteStack).toContain('calls.test.ts')
    expect(error.stack).toBe(`${error.remoteStack}\n    at lab.broke of 'lab' (on node ${pid.node})`)
    expect([error.sent, error.retryable]).toEqual(['yes', false])
    expect(Object.keys(error).sort()).toEqual(['code', 'owed'])
  })

  test('gets ERR_ACTOR as code where the actor’s error had none', async () => {
    const { ref } = await lab(where)
    const plain = await errorOf(ref.plainError())
    expect([plain.name, plain.message, plain.code, plain.sent]).toEqual(['Error', 'plain', 'ERR_ACTOR', 'yes'])
    expect(isSkepError(plain, 'ERR_ACTOR')).toBe(true)
    const late = await errorOf(ref.rejects())
    expect(late).toBeInstanceOf(TypeError)
    expect(late.code).toBe('ERR_ACTOR')
    const text = await errorOf(ref.text())
    expect([text.code, text.cause]).toEqual(['ERR_ACTOR', 'just a text'])
    expect(text.message).toContain('just a text')
  })

  test('gets an error even where a field of it cannot be sent', async () => {
    const { ref } = await lab(where)
    const error = (await errorOf(ref.dirtyError())) as SkepError & { port: number; socket?: unknown }
    expect([error.message, error.port, error.socket]).toEqual(['dirty', 3, undefined])
  })

  test('says of a nested call’s error that this call did run', async () => {
    const { ref } = await lab(where)
    const error = await errorOf(ref.passOn('nobody'))
    expect([error.code, error.sent]).toEqual(['ERR_NOT_REGISTERED', 'yes'])
  })

  test('fails alone where a value cannot be sent, and names the field', async () => {
    const { ref } = await lab(where)
    const args = await errorOf(ref.echo({ user: { onClick: () => {} } }))
    expect([args.code, args.sent, args.path]).toEqual(['ERR_NOT_SENDABLE', 'no', 'args[0].user.onClick'])
    const result = await errorOf(ref.unsendable())
    expect([result.code, result.sent]).toEqual(['ERR_NOT_SENDABLE', 'yes'])
    expect(result.message).toContain('result.deep[0]')
    expect(await ref.echo(1)).toBe(1)
  })

  test('to a method that the actor has not is refused, and nothing happens there', async () => {
    const { caller, ref, pid } = await lab(where)
    const error = await errorOf(caller.system.ref(Counter, pid).increment())
    expect([error.code, error.sent]).toEqual(['ERR_NO_METHOD', 'no'])
    expect(await ref.log()).toEqual([])
    const Odd = defineActor('lab', { init: () => 0, on: { constructor: () => 1, toString: () => 2 } })
    const odd = caller.system.ref(Odd, pid)
    expect((await errorOf(odd.constructor() as Promise<number>)).code).toBe('ERR_NO_METHOD')
    expect((await errorOf(odd.toString() as unknown as Promise<number>)).code).toBe('ERR_NO_METHOD')
  })

  test('times out honestly: no when it never began, maybe when it runs', async () => {
    const { world, ref } = await lab(where)
    const running = errorOf(ref.$.with({ timeout: 100 }).hold('one'))
    const waiting = errorOf(ref.$.with({ timeout: 50 }).note('never'))
    await world.time.pass(60)
    expect([(await waiting).code, (await waiting).sent]).toEqual(['ERR_TIMEOUT', where === 'here' ? 'no' : 'maybe'])
    await world.time.pass(60)
    expect([(await running).code, (await running).sent]).toEqual(['ERR_TIMEOUT', 'maybe'])
    expect(world.time.timers).toBe(0)
  })

  test('that nobody waits for any more is not begun', async () => {
    const { world, ref } = await lab(where)
    const held = ref.hold('one')
    void errorOf(ref.$.with({ timeout: 50 }).note('never'))
    await world.time.pass(60)
    holding.get('one')?.open()
    await held
    expect(await ref.log()).toEqual(['one begins', 'one ends'])
  })

  test('waits 5 s when nothing else is said, and for ever where that is said', async () => {
    const { world, ref } = await lab(where)
    const usual = errorOf(ref.hold('one'))
    const endless = ref.$.with({ timeout: Number.POSITIVE_INFINITY }).hold('two')
    await world.time.pass(4_999)
    expect(await Promise.race([usual, Promise.resolve('waits')])).toBe('waits')
    await world.time.pass(20)
    expect((await usual).code).toBe('ERR_TIMEOUT')
    await world.time.pass(1e9)
    expect(await Promise.race([endless, Promise.resolve('waits')])).toBe('waits')
  })

  test('is aborted by its caller, which reaches self.signal', async () => {
    const { ref } = await lab(where)
    const controller = new AbortController()
    const running = errorOf(ref.$.with({ signal: controller.signal }).hold('one'))
    const waiting = errorOf(ref.$.with({ signal: controller.signal }).note('two'))
    await rest()
    const why = new Error('enough')
    expect(holding.get('one')?.signal.aborted).toBe(false)
    controller.abort(why)
    const error = await running
    expect([error.code, error.cause, error.sent]).toEqual(['ERR_ABORTED', why, 'maybe'])
    expect((await waiting).sent).toBe(where === 'here' ? 'no' : 'maybe')
    await rest()
    expect(holding.get('one')?.signal.aborted).toBe(true)
    holding.get('one')?.open()
    expect(await ref.log()).toEqual(['one begins', 'one ends'])
    const never = await errorOf(ref.$.with({ signal: controller.signal }).note('x'))
    expect([never.code, never.sent]).toEqual(['ERR_ABORTED', 'no'])
  })

  test('aborts self.signal when its time is over', async () => {
    const { world, ref } = await lab(where)
    void errorOf(ref.$.with({ timeout: 100 }).hold('late'))
    await world.time.pass(150)
    expect(holding.get('late')?.signal.aborted).toBe(true)
  })

  test('is refused with ERR_OVERLOADED when the mailbox is full', async () => {
    const world = new World()
    const Small = defineActor('small', { init: () => gate(), on: { hold: (self) => self.state.promise }, mailbox: 3 })
    const a = world.add('a', { actors: [Small] })
    const b = world.add('b', { actors: [Small] })
    await a.system.start(Small, via('s'))
    const ref = (where === 'here' ? a : b).system.via(Small, 's')
    const running = [errorOf(ref.hold())]
    await rest()
    for (let i = 0; i < 3; i++) running.push(errorOf(ref.hold()))
    const error = await errorOf(ref.hold())
    expect([error.code, error.sent, error.retryable]).toEqual(['ERR_OVERLOADED', 'no', true])
    expect(a.system.report(a.system.pidOf(ref))?.waiting).toBe(3)
  })

  test('by a name that nobody holds says so', async () => {
    const { caller } = await lab(where)
    const error = await errorOf(caller.system.via(Counter, 'nobody').value())
    expect([error.code, error.sent, error.retryable]).toEqual(['ERR_NOT_REGISTERED', 'no', true])
  })

  test('to a process that ended says so', async () => {
    const { caller, pid, ref } = await lab(where)
    await ref.$.stop()
    const error = await errorOf(caller.system.ref(Lab, pid).log())
    expect([error.code, error.sent]).toEqual(['ERR_NO_PROCESS', 'no'])
  })

  test('that waits in the mailbox of an actor which stops goes to the new holder of its name', async () => {
    const { a, b, caller, ref, pid } = await lab(where)
    const held = ref.hold('one')
    await rest()
    const stopped = a.system.ref(Lab, pid).$.stop('first')
    const behind = ref.where()
    await rest()
    caller.world.claims.delete('lab')
    const next = await b.system.start(Lab, via('lab'))
    holding.get('one')?.open()
    expect(await held).toBe('one')
    expect((await behind)[2]).toEqual(next)
    await stopped
  })

  test('shrinks the deadline of the calls that it makes itself', async () => {
    const { world, ref, caller, b } = await lab(where)
    await b.system.start(Lab_, via('stuck'))
    const error = errorOf(ref.$.with({ timeout: 300 }).nested(caller.system.via(Lab_, 'stuck')))
    await world.time.pass(250)
    expect(await Promise.race([error, Promise.resolve('waits')])).toBe('waits')
    await world.time.pass(100)
    expect((await error).code).toBe('ERR_TIMEOUT')
    // The nested call has ended with its caller, not 5 s after it was made.
    expect(world.nodes.get('a-boot')?.system.stats().pending).toBe(0)
  })

  test('casts without an answer', async () => {
    const { ref, a } = await lab(where)
    expect(ref.$.cast.note('cast')).toBeUndefined()
    ref.$.cast.broke()
    expect(await ref.log()).toEqual(['cast'])
    expect(a.lines.filter((l) => l.text === 'a cast threw')).toHaveLength(1)
    expect(() => ref.$.cast.keep({ f: () => {} })).toThrow('args[0].f')
  })
})

describe('calls', () => {
  test('that are answered keep nothing of their answer, the last one neither', async () => {
    const world = new World()
    const { system } = world.add('a', { actors: [Lab] })
    await system.start(Lab, via('lab'))
    const ask = async (): Promise<WeakRef<object>> => new WeakRef((await system.via(Lab, 'lab').echo({})) as object)
    const answer = await ask()
    await rest()
    collect()
    expect(answer.deref()).toBeUndefined()
  })

  test('of one caller, one after the other, look at the clock twice each: all that goes by it goes by the same look', async () => {
    const world = new World()
    const { system } = world.add('a', { actors: [Counter] })
    await system.start(Counter, via('c'), 0)
    const ref = system.via(Counter, 'c')
    expect(await ref.increment()).toBe(1)
    const before = world.time.looks
    for (let i = 0; i < 100; i++) await ref.increment()
    expect(world.time.looks - before).toBeLessThanOrEqual(200)
  })

  test('of many callers to many actors are each answered exactly once, in the order of each caller', async () => {
    const Log = defineActor('log', {
      init: () => ({ seen: [] as [number, number][], running: 0, overlaps: 0 }),
      on: {
        async put(self, caller: number, number: number, slow: boolean) {
          self.state.running += 1
          if (self.state.running > 1) self.state.overlaps += 1
          if (slow) await new Promise((resolve) => setImmediate(resolve))
          self.state.seen.push([caller, number])
          self.state.running -= 1
          return [caller, number]
        },
        seen: (self) => self.state,
      },
    })
    const plan = fc.array(fc.record({ caller: fc.nat(3), actor: fc.nat(2), slow: fc.boolean(), pause: fc.boolean() }), {
      minLength: 1,
      maxLength: 40,
    })
    await fc.assert(
      fc.asyncProperty(plan, async (steps) => {
        const world = new World()
        const nodes = ['a', 'b', 'c'].map((name) => world.add(name, { actors: [Log] }))
        for (const [i, node] of nodes.entries()) await node.system.start(Log, via(`log-${i}`))
        let answers = 0
        const calls: Promise<unknown>[] = []
        for (const [number, { caller, actor, slow, pause }] of steps.entries()) {
          const ref = (nodes[caller % 3] as (typeof nodes)[0]).system.via(Log, `log-${actor}`)
          calls.push(
            ref.put(caller, number, slow).then((answer) => {
              answers += 1
              expect(answer).toEqual([caller, number])
            }),
          )
          if (pause) await new Promise((resolve) => setImmediate(resolve))
        }
        await Promise.all(calls)
        expect(answers).toBe(steps.length)
        let seen = 0
        for (const [i, node] of nodes.entries()) {
          const state = await node.system.via(Log, `log-${i}`).seen()
          expect(state.overlaps).toBe(0)
          seen += state.seen.length
          for (const caller of [0, 1, 2, 3]) {
            const own = state.seen.filter(([by]) => by === caller).map(([, number]) => number)
            expect(own).toEqual([...own].sort((x, y) => x - y))
          }
        }
        expect(seen).toBe(steps.length)
        for (const node of nodes) expect(node.system.stats()).toMatchObject({ pending: 0, open: 0, dropped: {} })
      }),
      { numRuns: 60 },
    )
  })

  test('of a reentrant actor begin while others wait', async () => {
    const Desk = defineActor('desk', {
      init: () => ({ held: gate() }),
      on: {
        hold: async (self) => {
          await self.state.held.promise
          return 'held'
        },
        release: (self) => self.state.held.open(),
      },
      reentrant: true,
    })
    const { system } = new World().add('a', { actors: [Desk] })
    const desk = system.ref(Desk, await system.start(Desk, anonymous))
    const held = desk.hold()
    await desk.release()
    expect(await held).toBe('held')
  })

  test('that an actor makes to itself through a reentrant turn keep each their own deadline', async () => {
    const Slow = defineActor('slow', { init: () => 0, on: { never: () => new Promise<void>(() => {}) } })
    const Front = defineActor('front', {
      init: () => 0,
      on: { ask: (self: Self<number>): Promise<void> => self.node.via(Slow, 'slow').never() },
      reentrant: true,
    })
    const world = new World()
    const { system } = world.add('a', { actors: [Slow, Front] })
    await system.start(Slow, via('slow'))
    await system.start(Front, via('front'))
    const front = system.via(Front, 'front')
    const long = errorOf(front.$.with({ timeout: 900 }).ask())
    const short = errorOf(front.$.with({ timeout: 100 }).ask())
    await world.time.pass(150)
    expect((await short).code).toBe('ERR_TIMEOUT')
    expect(await Promise.race([long, Promise.resolve('waits')])).toBe('waits')
  })

  test('to a node that dies fail with ERR_NODE_DOWN: maybe for those under way, no afterwards', async () => {
    const { world, a, b, ref, pid } = await lab('there')
    const running = errorOf(ref.hold('one'))
    await rest()
    const left = world.kill(a)
    const error = await running
    expect([error.code, error.sent, error.retryable]).toEqual(['ERR_NODE_DOWN', 'maybe', true])
    await left
    const after = await errorOf(b.system.ref(Lab, pid).log())
    expect([after.code, after.sent]).toEqual(['ERR_NODE_DOWN', 'no'])
    const unknown = await errorOf(b.system.ref(Lab, new Pid('never-seen', 1, 'x')).log())
    expect([unknown.code, unknown.sent]).toEqual(['ERR_NO_PROCESS', 'no'])
  })

  test('over a link that broke fail with maybe, are withdrawn there, and need a new link', async () => {
    const { world, a, b, ref, pid } = await lab('there')
    const running = errorOf(ref.hold('one'))
    await rest()
    world.cutLink(a, b)
    expect([(await running).code, (await running).sent]).toEqual(['ERR_NODE_DOWN', 'maybe'])
    const after = errorOf(b.system.ref(Lab, pid).log())
    await world.time.pass(1000)
    expect([(await after).code, (await after).sent]).toEqual(['ERR_UNREACHABLE', 'no'])
    expect(holding.get('one')?.signal.aborted).toBe(true)
    expect(a.system.stats().open).toBe(0)
  })

  test('wait a moment for a link that is not there, and keep their order', async () => {
    const { world, a, b, ref } = await lab('there')
    world.cutLink(a, b)
    const first = ref.note('one')
    const second = ref.note('two')
    ref.$.cast.note('three')
    await rest()
    world.mendLink(a, b)
    const third = ref.note('four')
    await Promise.all([first, second, third])
    expect(await ref.log()).toEqual(['one', 'two', 'three', 'four'])
  })

  test('over a full link are refused at once; answers wait for room and lose nothing', async () => {
    const { world, a, b, ref } = await lab('there')
    world.full.add('b>a')
    const error = await errorOf(ref.echo(1))
    expect([error.code, error.sent]).toEqual(['ERR_OVERLOADED', 'no'])
    world.full.delete('b>a')
    world.full.add('a>b')
    const answers = Promise.all([ref.echo(1), ref.echo(2), ref.echo(3)])
    await rest()
    expect(await Promise.race([answers, Promise.resolve('waits')])).toBe('waits')
    world.drain(a, b)
    expect(await answers).toEqual([1, 2, 3])
  })

  test('that cannot be read are refused alone', async () => {
    const { a, b, world, pid } = await lab('there')
    const Foreign = defineActor('foreign', { init: () => 0, on: { x: () => 1 } })
    const foreign = b.system.via(Foreign, 'f')
    const error = await errorOf(b.system.ref(Lab, pid).echo(foreign))
    expect([error.code, error.sent]).toEqual(['ERR_BAD_ARGUMENTS', 'no'])
    expect(await b.system.ref(Lab, pid).echo(1)).toBe(1)
    expect(world.frames.length).toBe(4)
    expect(a.system.stats().open).toBe(0)
  })

  test('may carry refs and pids, which work where they arrive', async () => {
    const { a, b, ref, pid } = await lab('there')
    await b.system.start(Counter, via('mine'), 5)
    const sent = [
      b.system.via(Counter, 'mine'),
      b.system.ref(Counter, b.system.pidOf(b.system.via(Counter, 'mine'))),
      pid,
    ]
    await ref.keep(sent)
    const [[byName, byPid, asPid]] = (await a.system.via(Lab, 'lab').log()) as [
      [RefOf<typeof Counter>, RefOf<typeof Counter>, Pid],
    ]
    expect(await byName.value()).toBe(5)
    expect(await byPid.increment()).toBe(6)
    expect(asPid.equals(pid)).toBe(true)
  })

  test('of the node that is stopped fail with ERR_STOPPED', async () => {
    const { a, b, ref } = await lab('there')
    const running = errorOf(ref.hold('one'))
    await rest()
    b.system.close()
    expect([(await running).code, (await running).sent]).toEqual(['ERR_STOPPED', 'maybe'])
    expect((await errorOf(ref.log())).code).toBe('ERR_STOPPED')
    expect((await errorOf(b.system.start(Counter, anonymous, 0))).code).toBe('ERR_STOPPED')
    a.system.close()
  })

  test('above the limit of open ones are refused', async () => {
    const world = new World()
    const a = world.add('a', { actors: [Lab_] })
    const b = world.add('b', { limits: { maxPending: 2 } })
    await a.system.start(Lab_, via('s'))
    const ref = b.system.via(Lab_, 's')
    void errorOf(ref.stuck())
    void errorOf(ref.stuck())
    expect((await errorOf(ref.stuck())).code).toBe('ERR_OVERLOADED')
  })

  test('larger than the limit are refused by size', async () => {
    const world = new World()
    const a = world.add('a', { actors: [Lab] })
    const b = world.add('b', { limits: { maxPayloadBytes: 1000 } })
    await a.system.start(Lab, via('lab'))
    expect((await errorOf(b.system.via(Lab, 'lab').echo('x'.repeat(1000)))).code).toBe('ERR_TOO_LARGE')
  })

  test('cannot be changed by either side with isolation freeze: who tries gets a TypeError; others’ values arrive free', async () => {
    const world = new World()
    const Shelf = defineActor('shelf', {
      init: () => ({ books: ['one'] }),
      on: {
        books: (self) => self.state.books,
        add: (self, book: string) => self.state.books.push(book),
        replace: (self, book: string) => {
          self.state = { books: [...self.state.books, book] }
          return self.state.books
        },
        change: (_self, given: { n: number }) => {
          given.n += 1
          return given
        },
      },
    })
    const [a, b] = ['a', 'b'].map((name) => world.add(name, { actors: [Shelf], isolation: 'freeze' }))
    if (a === undefined || b === undefined) return
    await a.system.start(Shelf, via('s'))
    const [near, far] = [a.system.via(Shelf, 's'), b.system.via(Shelf, 's')]
    const given = { n: 1 }
    expect((await errorOf(near.change(given))).name).toBe('TypeError')
    expect(given).toEqual({ n: 1 })
    // What comes from another node is nobody else's.
    expect(await far.change({ n: 1 })).toEqual({ n: 2 })
    // What an actor gives out of its state is shared from then on: it must replace it, not change it.
    const books = await near.books()
    expect(() => books.push('two')).toThrow(TypeError)
    expect((await errorOf(near.add('two'))).name).toBe('TypeError')
    expect(await near.replace('two')).toEqual(['one', 'two'])
    const free = await far.books()
    expect(free.push('three')).toBe(3)
  })

  test('share what is frozen with isolation freeze, and everything with isolation off', async () => {
    for (const isolation of ['freeze', 'off'] as const) {
      const { system } = new World().add('a', { actors: [Lab], isolation })
      const ref = system.ref(Lab, await system.start(Lab, anonymous))
      const value = { list: [1] }
      expect(await ref.echo(value)).toBe(value)
      expect(Object.isFrozen(value)).toBe(isolation === 'freeze')
      const f = (): void => {}
      if (isolation === 'off') expect(await ref.echo(f)).toBe(f)
      else expect((await errorOf(ref.echo(f))).code).toBe('ERR_NOT_SENDABLE')
    }
  })
})
