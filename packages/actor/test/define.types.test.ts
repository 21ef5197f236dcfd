/** What the compiler says: everything is inferred from the definition, and what could never work is refused. */
import { type ErrorCode, isSkepError, type SkepError } from '@skep/cluster'
import type { Pid } from '@skep/tracker'
import { describe, expectTypeOf, test } from 'vitest'
import {
  type ActorNode,
  anonymous,
  type ChildReport,
  type ChildSpec,
  child,
  type Down,
  defineActor,
  defineSupervisor,
  type GroupReply,
  type InitArgs,
  ignore,
  type RefOf,
  type StateOf,
  via,
} from '../src/index.js'

const Counter = defineActor('counter', {
  init: (start: number) => ({ n: start }),
  on: {
    value: (self) => self.state.n,
    increment: (self, by: number = 1) => (self.state.n += by),
    async *ticks(self, upTo: number) {
      for (let i = 0; i < upTo; i++) yield self.state.n + i
    },
    answer: () => 42,
    later: async (_self, text: string) => ({ text }),
    throws: () => {
      throw new Error('always')
    },
  },
  onStart: (self) => {
    expectTypeOf(self.state).toEqualTypeOf<{ n: number }>()
  },
  onStop(self, reason) {
    expectTypeOf(self.state.n).toEqualTypeOf<number>()
    expectTypeOf(reason).toEqualTypeOf<string>()
  },
})

const Quiet = defineActor('quiet', {
  init: async () => new Map<string, number>(),
  on: { size: (self) => self.state.size },
})

/** A generic actor is a function that returns a definition. */
const boxOf = <T>(kind: string) =>
  defineActor(kind, {
    init: (first: T) => ({ item: first }),
    on: {
      put: (self, item: T): void => {
        self.state.item = item
      },
      take: (self): T => self.state.item,
    },
  })

declare const node: ActorNode
declare const pid: Pid

/** Checked by the compiler alone: nothing in it runs. */
function compiled(_check: () => void): void {}

describe('the compiler', () => {
  test('infers state, arguments and results from the definition', () => {
    expectTypeOf<StateOf<typeof Counter>>().toEqualTypeOf<{ n: number }>()
    expectTypeOf<StateOf<typeof Quiet>>().toEqualTypeOf<Map<string, number>>()
    type C = RefOf<typeof Counter>
    expectTypeOf<C['value']>().toEqualTypeOf<() => Promise<number>>()
    expectTypeOf<C['increment']>().toEqualTypeOf<(by?: number) => Promise<number>>()
    expectTypeOf<C['ticks']>().toEqualTypeOf<(upTo: number) => AsyncIterable<number>>()
    expectTypeOf<C['answer']>().toEqualTypeOf<() => Promise<number>>()
    expectTypeOf<C['later']>().toEqualTypeOf<(text: string) => Promise<{ text: string }>>()
    expectTypeOf<C['throws']>().toEqualTypeOf<() => Promise<never>>()
    expectTypeOf<keyof C>().toEqualTypeOf<'value' | 'increment' | 'ticks' | 'answer' | 'later' | 'throws' | '$'>()
  })

  test('types the controls of a ref', () => {
    compiled(() => {
      const c = node.via(Counter, 'a')
      expectTypeOf(c).toEqualTypeOf<RefOf<typeof Counter>>()
      expectTypeOf(c.$.with({ timeout: 5 })).toEqualTypeOf<RefOf<typeof Counter>>()
      expectTypeOf(c.$.cast.increment).toEqualTypeOf<(by?: number) => void>()
      expectTypeOf<keyof typeof c.$.cast>().toEqualTypeOf<'value' | 'increment' | 'answer' | 'later' | 'throws'>()
      expectTypeOf(c.$.pid()).toEqualTypeOf<Pid | undefined>()
    })
  })

  test('wants the arguments of init where an actor is started', () => {
    compiled(() => {
      node.start(Counter, via('a'), 0)
      node.start(Counter, anonymous, 0)
      node.start(Quiet, anonymous)
      node.spawn(Counter, via('a'), 0)
      node.ensure(Counter, via('a'), 0)
      // @ts-expect-error init wants a number
      node.start(Counter, via('a'))
      // @ts-expect-error init wants a number
      node.start(Counter, via('a'), '0')
      // @ts-expect-error init wants nothing
      node.start(Quiet, anonymous, 1)
      // @ts-expect-error init wants a number
      node.spawn(Counter, via('a'))
      // @ts-expect-error init wants a number
      node.ensure(Counter, via('a'), 'zero')
      // @ts-expect-error init wants one number
      node.start(Counter, via('a'), 0, 1)
      // @ts-expect-error what is placed has a name
      node.spawn(Counter, anonymous, 0)
    })
  })

  test('refuses wrong calls', () => {
    compiled(() => {
      const c = node.ref(Counter, pid)
      // @ts-expect-error no such method
      c.decrement()
      // @ts-expect-error a wrong argument
      c.increment('2')
      // @ts-expect-error one argument too many
      c.value(1)
      // @ts-expect-error a stream is no promise
      c.ticks(3).then
      // @ts-expect-error streams cannot be cast
      c.$.cast.ticks(3)
      // @ts-expect-error no such option
      c.$.with({ timout: 3 })
      // @ts-expect-error a field of the state is no method
      c.n
      // @ts-expect-error self is not the caller's to give
      c.increment({}, 2)
    })
  })

  test('gives results and items as what they are, and nothing else', () => {
    compiled(async () => {
      const c = node.via(Counter, 'a')
      expectTypeOf(await c.later('x')).toEqualTypeOf<{ text: string }>()
      // @ts-expect-error a number is no string
      const text: string = await c.value()
      // @ts-expect-error the reply has to be waited for
      const value: number = c.value()
      for await (const tick of c.ticks(3)) expectTypeOf(tick).toEqualTypeOf<number>()
      // @ts-expect-error a stream is not iterated without await
      for (const _ of c.ticks(3));
      // @ts-expect-error a cast has no reply
      const casted: number = c.$.cast.increment()
      for await (const down of c.$.monitor()) {
        expectTypeOf(down.pid).toEqualTypeOf<Pid>()
        // @ts-expect-error no such reason
        if (down.reason === 'died') break
      }
      void [text, value, casted]
    })
  })

  test('narrows errors by their code, and knows all codes', () => {
    compiled(async () => {
      try {
        await node.via(Counter, 'a').value()
      } catch (error) {
        // @ts-expect-error what was thrown may be anything
        error.code
        if (isSkepError(error, 'ERR_ALREADY_STARTED')) {
          expectTypeOf(error).toEqualTypeOf<SkepError>()
          expectTypeOf(error.sent).toEqualTypeOf<'no' | 'maybe' | 'yes'>()
          expectTypeOf(error.retryable).toEqualTypeOf<boolean>()
          expectTypeOf(error.code).toEqualTypeOf<ErrorCode>()
          // @ts-expect-error no such code
          if (error.code === 'ERR_ALLREADY_STARTED') return
        }
        // @ts-expect-error no such code
        isSkepError(error, 'ERR_NOPE')
      }
    })
    compiled(async () => {
      const [reply] = await node.group(Counter, 'rooms').call.value()
      if (reply?.status === 'fulfilled') expectTypeOf(reply.value).toEqualTypeOf<number>()
      if (reply?.status === 'rejected') expectTypeOf(reply.reason).toEqualTypeOf<unknown>()
    })
  })

  test('types groups', () => {
    compiled(() => {
      const rooms = node.group(Counter, 'rooms')
      expectTypeOf(rooms.members()).toEqualTypeOf<RefOf<typeof Counter>[]>()
      expectTypeOf(rooms.call.increment).toEqualTypeOf<(by?: number) => Promise<GroupReply<number>[]>>()
      expectTypeOf(rooms.call.value()).resolves.toEqualTypeOf<GroupReply<number>[]>()
      expectTypeOf(node.group('bare').pids()).toEqualTypeOf<readonly Pid[]>()
      // @ts-expect-error bare groups cannot be called
      node.group('rooms').call
    })
  })

  test('takes refs as arguments of methods', () => {
    compiled(() => {
      const Teller = defineActor('teller', {
        init: () => undefined,
        on: { ask: (_self, whom: RefOf<typeof Counter>) => whom.value() },
      })
      node.via(Teller, 't').ask(node.via(Counter, 'a'))
      // @ts-expect-error another kind of ref
      node.via(Teller, 't').ask(node.via(Quiet, 'a'))
    })
  })

  test('wants the arguments of init where a child is started, and gives what onExit and links get', () => {
    compiled(() => {
      defineActor('parent', {
        init: () => ({ pids: [] as Pid[] }),
        on: {
          grow: async (self) => {
            expectTypeOf(self.start(Counter, anonymous, 0)).toEqualTypeOf<Promise<Pid>>()
            expectTypeOf(self.start(Quiet, via('q'))).toEqualTypeOf<Promise<Pid>>()
            expectTypeOf(self.link(pid)).toEqualTypeOf<Promise<void>>()
            self.unlink(self.node.via(Counter, 'a'))
            // @ts-expect-error init wants a number
            self.start(Counter, anonymous)
            // @ts-expect-error init wants nothing
            self.start(Quiet, anonymous, 1)
            // @ts-expect-error a name is given by via
            self.start(Quiet, 'q')
            // @ts-expect-error not a pid and no ref
            self.link('q')
          },
        },
        onExit: (self, down) => {
          expectTypeOf(self.state).toEqualTypeOf<{ pids: Pid[] }>()
          expectTypeOf(down).toEqualTypeOf<Down>()
        },
      })
      // @ts-expect-error onExit is told of one end
      defineActor('parent', { init: () => 0, on: {}, onExit: (_self, _down, _more) => {} })
    })
  })

  test('infers the children of a supervisor, and what it is started with', () => {
    compiled(() => {
      const Shop = defineSupervisor('shop', {
        strategy: 'rest-for-one',
        children: (city: string, start: number = 0) => ({
          counter: child(Counter, via(city), start),
          quiet: child(Quiet, anonymous).with({ restart: 'permanent' }),
        }),
      })
      expectTypeOf<InitArgs<typeof Shop>>().toEqualTypeOf<[city: string, start?: number | undefined]>()
      expectTypeOf<keyof RefOf<typeof Shop>>().toEqualTypeOf<'child' | 'children' | 'restart' | 'stop' | '$'>()
      node.start(Shop, anonymous, 'Bonn')
      // @ts-expect-error it wants a city
      node.spawn(Shop, via('shop'))
      const shop = node.via(Shop, 'shop')
      expectTypeOf(shop.child('counter')).toEqualTypeOf<Promise<RefOf<typeof Counter>>>()
      expectTypeOf(shop.child('quiet')).toEqualTypeOf<Promise<RefOf<typeof Quiet>>>()
      expectTypeOf(shop.children()).toEqualTypeOf<Promise<ChildReport[]>>()
      expectTypeOf(shop.restart('quiet')).toEqualTypeOf<Promise<Pid>>()
      expectTypeOf(shop.stop('quiet')).toEqualTypeOf<Promise<void>>()
      // @ts-expect-error no such child
      shop.child('till')
      // @ts-expect-error no such child
      shop.stop('till')
      // A supervisor is a child like any other.
      const Top = defineSupervisor('top', { children: () => ({ shop: child(Shop, anonymous, 'Bonn') }) })
      expectTypeOf(node.via(Top, 'top').child('shop')).toEqualTypeOf<Promise<RefOf<typeof Shop>>>()
    })
  })

  test('refuses children and supervisors that could never work', () => {
    compiled(() => {
      expectTypeOf(child(Counter, anonymous, 0)).toEqualTypeOf<ChildSpec<typeof Counter>>()
      // @ts-expect-error init wants a number
      child(Counter, anonymous)
      // @ts-expect-error init wants a number
      child(Counter, via('a'), '0')
      // @ts-expect-error no such policy
      child(Quiet, anonymous).with({ restart: 'always' })
      // @ts-expect-error no children
      defineSupervisor('bad', {})
      // @ts-expect-error a definition is not yet a child
      defineSupervisor('bad', { children: () => ({ quiet: Quiet }) })
      // @ts-expect-error no such strategy
      defineSupervisor('bad', { strategy: 'all', children: () => ({ quiet: child(Quiet, anonymous) }) })
      // @ts-expect-error supervisors have no methods of their own
      defineSupervisor('bad', { on: {}, children: () => ({ quiet: child(Quiet, anonymous) }) })
    })
  })

  test('lets a function make a generic actor', () => {
    const Texts = boxOf<string>('texts')
    expectTypeOf<RefOf<typeof Texts>['take']>().toEqualTypeOf<() => Promise<string>>()
    expectTypeOf<RefOf<typeof Texts>['put']>().toEqualTypeOf<(item: string) => Promise<void>>()
    compiled(() => {
      // @ts-expect-error a box of texts takes no numbers
      node.via(Texts, 'a').put(1)
      // @ts-expect-error nor begins with one
      node.start(Texts, anonymous, 1)
    })
  })

  test('refuses definitions that could never work', () => {
    compiled(() => {
      // @ts-expect-error a reserved name
      defineActor('bad', { init: () => 1, on: { then: () => 1 } })
      // @ts-expect-error a reserved name
      defineActor('bad', { init: () => 1, on: { $: () => 1 } })
      // @ts-expect-error a reserved name
      defineActor('bad', { init: () => 1, on: { toJSON: () => 1 } })
      defineActor('bad', {
        init: () => 1,
        on: {
          // @ts-expect-error a generator that is not async
          *ticks(self) {
            yield self.state
          },
        },
      })
      /** Where the type of the item is open, the check of generators must still be made. */
      const open = <T>(first: T) =>
        defineActor('bad', {
          init: () => first,
          on: {
            // @ts-expect-error a generator that is not async
            *items(self): Generator<T> {
              yield self.state
            },
          },
        })
      void open
      // @ts-expect-error no init
      defineActor('bad', { on: {} })
      // @ts-expect-error an unknown option
      defineActor('bad', { init: () => 1, on: {}, onstart: () => {} })
      // @ts-expect-error not a function
      defineActor('bad', { init: () => 1, on: { value: 3 } })
      // @ts-expect-error no such field in the state
      defineActor('bad', { init: () => ({ n: 1 }), on: { value: (self) => self.state.m } })
    })
  })
})

describe('an init that may say ignore', () => {
  test('leaves the type of the state as it is', () => {
    const Shop = defineActor('shop', {
      init: (open: boolean) => (open ? { sold: 0 } : ignore),
      on: { sell: (self) => ++self.state.sold },
    })
    const Later = defineActor('later', {
      init: async (open: boolean) => {
        if (!open) return ignore
        return { sold: 0 }
      },
      on: { sell: (self) => ++self.state.sold },
    })
    expectTypeOf<StateOf<typeof Shop>>().toEqualTypeOf<{ sold: number }>()
    expectTypeOf<StateOf<typeof Later>>().toEqualTypeOf<{ sold: number }>()
  })
})
