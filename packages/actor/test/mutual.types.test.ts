/** Two actors that call each other: the one annotation that TypeScript needs, and what it says without it. */
import { expect, expectTypeOf, test } from 'vitest'
import { defineActor, type RefOf, via } from '../src/index.js'
import { World } from './world.js'

const Shop = defineActor('shop', {
  init: () => ({ waiting: [] as string[] }),
  on: {
    order: async (self, item: string): Promise<boolean> => {
      const had = await self.node.via(Stock, 'stock').take(item)
      if (!had) self.state.waiting.push(item)
      return had
    },
    arrived: (self, item: string) => self.state.waiting.includes(item),
  },
})

const Stock = defineActor('stock', {
  init: (...items: string[]) => new Set(items),
  on: {
    take: (self, item: string) => self.state.delete(item),
    add: async (self, item: string) => {
      self.state.add(item)
      return await self.node.via(Shop, 'shop').arrived(item)
    },
  },
})

test('two actors that call each other are typed on both sides once one of them says what it returns', async () => {
  expectTypeOf<RefOf<typeof Shop>['order']>().toEqualTypeOf<(item: string) => Promise<boolean>>()
  expectTypeOf<RefOf<typeof Stock>['add']>().toEqualTypeOf<(item: string) => Promise<boolean>>()
  const { system } = new World().add('a', { actors: [Shop, Stock] })
  await system.start(Shop, via('shop'))
  await system.start(Stock, via('stock'), 'tea')
  const shop = system.via(Shop, 'shop')
  expect([await shop.order('tea'), await shop.order('tea')]).toEqual([true, false])
  expect(await system.via(Stock, 'stock').add('tea')).toBe(true)
})

test('without it neither can be inferred, and an actor that calls its own kind needs it as well', () => {
  // @ts-expect-error TS7022: 'Ping' implicitly has type 'any' because ... is referenced ... in its own initializer
  const Ping = defineActor('ping', {
    init: () => 0,
    on: {
      // @ts-expect-error TS7023: 'ping' implicitly has return type 'any' because ...
      ping: (self) => self.node.via(Pong, 'pong').pong?.(),
    },
  })
  // @ts-expect-error TS7022
  const Pong = defineActor('pong', {
    init: () => 0,
    on: {
      // @ts-expect-error TS7023
      pong: (self) => self.node.via(Ping, 'ping').ping?.(),
    },
  })
  // @ts-expect-error TS7022
  const Walker = defineActor('walker', {
    init: () => 0,
    on: {
      // @ts-expect-error TS7023
      walk: (self, left: number) => (left === 0 ? 0 : self.node.via(Walker, 'next').walk?.(left - 1)),
    },
  })
  const Annotated = defineActor('annotated', {
    init: () => 0,
    on: {
      walk: async (self, left: number): Promise<number> =>
        left === 0 ? self.state : await self.node.via(Annotated, `at-${left}`).walk(left - 1),
    },
  })
  expectTypeOf<RefOf<typeof Annotated>['walk']>().toEqualTypeOf<(left: number) => Promise<number>>()
  expect([Ping.kind, Pong.kind, Walker.kind, Annotated.kind]).toEqual(['ping', 'pong', 'walker', 'annotated'])
})
