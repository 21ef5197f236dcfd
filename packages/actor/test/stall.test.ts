/** Actors of a node that stood still: those that hold a name wait until it is known whose it is by now. */
import { isSkepError } from '@skep/cluster'
import type { Pid } from '@skep/tracker'
import { describe, expect, test } from 'vitest'
import { anonymous, defineActor, type RefOf, via } from '../src/index.js'
import { rest, type TestNode, World } from './world.js'

const Counter = defineActor('counter', {
  init: () => ({ n: 0 }),
  on: {
    add: (self) => ++self.state.n,
    every: (self, ms: number) => {
      self.every(ms, (then) => void then.state.n++)
    },
  },
})

interface Started {
  readonly world: World
  readonly here: TestNode
  readonly there: TestNode
  readonly pid: Pid
  readonly ref: RefOf<typeof Counter>
}

async function started(): Promise<Started> {
  const world = new World()
  const here = world.add('here', { actors: [Counter] })
  const there = world.add('there', { actors: [Counter] })
  await rest()
  const pid = await here.system.start(Counter, via('x'))
  return { world, here, there, pid, ref: here.system.via(Counter, 'x') }
}

function outcome(call: Promise<unknown>): { said: string | undefined } {
  const out: { said: string | undefined } = { said: undefined }
  call.then(
    (value) => {
      out.said = String(value)
    },
    (error: unknown) => {
      out.said = isSkepError(error) ? `${error.code} ${error.sent}` : String(error)
    },
  )
  return out
}

describe('a node that stood still', () => {
  test('notices it before any actor has a turn, also where its own code calls', async () => {
    const { here, ref } = await started()
    let asked = 0
    here.noticeStall = () => {
      asked++
      here.layer?.input({ type: 'stalled' })
    }
    const call = outcome(ref.add())
    await rest()
    expect(asked).toBeGreaterThan(0)
    expect(call.said).toBeUndefined()
    expect(here.system.reports()).toMatchObject([{ name: 'x', paused: true, waiting: 1, running: 0 }])
  })

  test('lets all go on, in order and timers too, once it knows that it is still a member', async () => {
    const { world, here, there, ref } = await started()
    await ref.every(10)
    here.layer?.input({ type: 'stalled' })
    const calls = [outcome(ref.add()), outcome(there.system.via(Counter, 'x').add())]
    await world.time.pass(25)
    expect(calls.map(({ said }) => said)).toEqual([undefined, undefined])
    here.layer?.input({ type: 'trusted' })
    await rest()
    expect(calls.map(({ said }) => said)).toEqual(['1', '2'])
    expect(await ref.add()).toBeGreaterThan(3)
  })

  test('lets a call run in the old copy only when the name is its own again, as another boot', async () => {
    const { world, here, ref } = await started()
    here.layer?.input({ type: 'stalled' })
    const call = outcome(ref.add())
    const { kept } = here
    let tell = (): void => {}
    here.kept = (...which) => {
      tell = () => kept(...which)
    }
    world.rejoin(here)
    // A doubt that came later and is over says nothing about the name.
    here.layer?.input({ type: 'stalled' })
    here.layer?.input({ type: 'trusted' })
    await rest()
    expect(call.said).toBeUndefined()
    tell()
    await rest()
    expect(call.said).toBe('1')
  })

  test('sends what waited for a copy that has lost its name to the one that has it', async () => {
    const { world, here, there, pid, ref } = await started()
    here.layer?.input({ type: 'stalled' })
    const call = outcome(ref.add())
    world.rejoin(here, () => false)
    await there.system.start(Counter, via('x'))
    const next = outcome(ref.add())
    here.deactivate?.({ pid, name: 'x', reason: 'conflict', winner: undefined })
    await rest()
    expect([call.said, next.said].sort()).toEqual(['1', '2'])
    expect(await there.system.via(Counter, 'x').add()).toBe(3)
    expect(here.system.reports()).toEqual([])
  })

  test('stops an actor in doubt when it is told to, once the doubt is over', async () => {
    const { world, here, ref } = await started()
    here.layer?.input({ type: 'stalled' })
    const stop = outcome(ref.$.stop())
    await world.time.pass(100)
    expect(stop.said).toBeUndefined()
    here.layer?.input({ type: 'trusted' })
    await rest()
    expect(stop.said).toBe('undefined')
  })

  test('lets actors without a name run, which are nobody else’s', async () => {
    const { here } = await started()
    const pid = await here.system.start(Counter, anonymous)
    here.layer?.input({ type: 'stalled' })
    expect(await here.system.ref(Counter, pid).add()).toBe(1)
  })
})
