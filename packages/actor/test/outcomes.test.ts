/** What the code of callers and of actors can do to calls that are under way: none of it concerns any other call. */
import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import { anonymous, defineActor, type RefOf, via } from '../src/index.js'
import { errorOf, gate, rest, type TestNode, World } from './world.js'

const Slow = defineActor('slow', {
  init: () => 0,
  on: { never: () => new Promise<void>(() => {}), ping: () => 1 },
  reentrant: true,
})

test('the end of a call that ends another one which is due as well takes no deadline from the rest', async () => {
  const shared = new AbortController()
  const Cache = defineActor('cache', {
    init: (slow: RefOf<typeof Slow>) => slow,
    on: {
      warm: ({ state }): void =>
        void state.$.with({ signal: shared.signal, timeout: 100 })
          .never()
          .catch(() => {}),
      get: (self) => {
        self.signal.addEventListener('abort', () => shared.abort())
        return new Promise<void>(() => {})
      },
    },
    reentrant: true,
  })
  const world = new World()
  const { system } = world.add('a', { actors: [Slow, Cache], isolation: 'off' })
  const slow = system.ref(Slow, await system.start(Slow, anonymous))
  const cache = system.ref(Cache, await system.start(Cache, anonymous, slow))
  const codes: string[] = []
  const note = (call: Promise<void>): void => void errorOf(call).then(({ code }) => codes.push(code))
  note(slow.$.with({ timeout: 5000 }).never())
  await cache.warm()
  note(cache.$.with({ timeout: 100 }).get())
  await world.time.pass(200)
  expect(codes).toEqual(['ERR_TIMEOUT'])
  await world.time.pass(5000)
  expect(codes).toEqual(['ERR_TIMEOUT', 'ERR_TIMEOUT'])
})

test('a thenable that settles twice is the answer of its own call alone, and one that gives a promise is waited for', async () => {
  const open = gate()
  let settle: (value: string) => void = () => {}
  const thenable = (then: (settle: (value: never) => void) => void): Promise<string> => ({ then }) as never
  const Querying = defineActor('querying', {
    init: () => 0,
    on: {
      twice: () =>
        thenable((resolve) => {
          settle = resolve as typeof settle
          resolve('once' as never)
        }),
      nested: () => thenable((resolve) => resolve(Promise.resolve('inner') as never)),
      next: async () => {
        await open.promise
        return 'its own'
      },
    },
  })
  const { system } = new World().add('a', { actors: [Querying] })
  const ref = system.ref(Querying, await system.start(Querying, anonymous))
  expect(await ref.twice()).toBe('once')
  const next = ref.next()
  await rest()
  settle('again')
  await rest()
  open.open()
  expect([await next, await ref.nested()]).toEqual(['its own', 'inner'])
})

test('a cast leaves nothing on the signal of its ref, wherever it goes', async () => {
  const world = new World()
  const [a, b] = ['a', 'b'].map((name) => world.add(name, { actors: [Slow] })) as [TestNode, TestNode]
  const { signal } = new AbortController()
  const refs = [
    a.system.ref(Slow, await a.system.start(Slow, anonymous)),
    a.system.ref(Slow, await b.system.start(Slow, anonymous)),
    a.system.via(Slow, 'nobody'),
    a.system.ensure(Slow, via('made')),
  ]
  for (const ref of refs) ref.$.with({ signal }).$.cast.ping()
  await rest()
  expect(getEventListeners(signal, 'abort')).toEqual([])
})

test('what is thrown arrives as an error though it cannot be read, and the other actors of the node have their turns', async () => {
  const revoked = (): object => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    return proxy
  }
  const unreadable = Object.defineProperty(new Error('hidden'), 'message', {
    get: () => {
      throw new Error('nobody may see it')
    },
  })
  const circular = Object.assign(new Error('circular'), { self: undefined as unknown, close: () => {} })
  circular.self = circular
  const things = { revoked: revoked(), unreadable, circular }
  const Throwing = defineActor('throwing', {
    init: () => 0,
    on: {
      fail: (_self, what: keyof typeof things): void => {
        throw things[what]
      },
    },
  })
  const world = new World()
  const [a, b] = ['a', 'b'].map((name) => world.add(name, { actors: [Throwing, Slow] })) as [TestNode, TestNode]
  const pid = await a.system.start(Throwing, anonymous)
  const other = a.system.ref(Slow, await a.system.start(Slow, anonymous))
  for (const { system } of [a, b]) {
    for (const what of ['revoked', 'unreadable', 'circular'] as const) {
      const { code, sent } = await errorOf(system.ref(Throwing, pid).fail(what))
      expect([code, sent]).toEqual(['ERR_ACTOR', 'yes'])
      expect(await other.ping()).toBe(1)
    }
  }
})
