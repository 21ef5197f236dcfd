/** An `init` that says `ignore`: there is nothing to run, and that is no failure. */
import { describe, expect, test } from 'vitest'
import { anonymous, defineActor, ignore, via } from '../src/index.js'
import { errorOf, World } from './world.js'

const Shop = defineActor('shop', {
  init: (open: boolean) => (open ? { sold: 0 } : ignore),
  on: { sell: (self) => ++self.state.sold },
})

const LaterShop = defineActor('laterShop', {
  init: async (how: 'open' | 'returns' | 'throws') => {
    if (how === 'throws') throw ignore
    return how === 'open' ? { sold: 0 } : ignore
  },
  on: { sell: (self) => ++self.state.sold },
})

describe('an init that says ignore', () => {
  test('refuses each way of starting with ERR_IGNORED, and leaves nothing behind', async () => {
    const world = new World()
    const { system } = world.add('a', { actors: [Shop, LaterShop] })
    const starts = [
      system.start(Shop, anonymous, false),
      system.start(Shop, via('s'), false),
      system.start(LaterShop, via('t'), 'returns'),
      system.start(LaterShop, via('u'), 'throws'),
      system.spawn(Shop, via('v'), false),
      system.ensure(Shop, via('w'), false).sell(),
    ]
    for (const start of starts) {
      const error = await errorOf(start)
      expect([error.code, error.sent, error.retryable]).toEqual(['ERR_IGNORED', 'maybe', false])
      expect(error.message).toContain('init said ignore')
    }
    expect(world.claims.size + world.reserved.size + system.stats().actors).toBe(0)
    await system.start(LaterShop, via('t'), 'open')
    expect(await system.via(LaterShop, 't').sell()).toBe(1)
  })
})
