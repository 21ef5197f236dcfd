/** Actors of a node whose part of the cluster may not go on: those that hold a name pause, and their callers hear it. */
import { isSkepError } from '@skep/cluster'
import { describe, expect, test } from 'vitest'
import { anonymous, defineActor, via } from '../src/index.js'
import { rest, type TestNode, World } from './world.js'

const Counter = defineActor('counter', {
  init: () => ({ n: 0, release: (): void => {} }),
  on: {
    add: (self) => ++self.state.n,
    wait: (self) =>
      new Promise<number>((resolve) => {
        self.state.release = () => resolve(++self.state.n)
      }),
    every: (self, ms: number) => {
      self.every(ms, (then) => void then.state.n++)
    },
    async *count(self, upTo: number) {
      for (let i = 0; i < upTo; i++) yield self.state.n++
    },
  },
})

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    return `no error but ${String(await promise)}`
  } catch (error) {
    return isSkepError(error) ? `${error.code} ${error.sent} ${error.retryable}` : String(error)
  }
}

async function started(): Promise<{ world: World; here: TestNode; there: TestNode }> {
  const world = new World()
  const here = world.add('here', { actors: [Counter] })
  const there = world.add('there', { actors: [Counter] })
  await rest()
  return { world, here, there }
}

const refused = 'ERR_NO_MAJORITY no true'

describe('a node that halts', () => {
  test('refuses calls to actors with names, near and far, and those that waited; what runs ends', async () => {
    const { here, there } = await started()
    await here.system.start(Counter, via('x'))
    const ref = here.system.via(Counter, 'x')
    const running = ref.wait()
    const waiting = codeOf(ref.add())
    await rest()
    here.halted(true)
    expect(await waiting).toBe(refused)
    expect(await codeOf(ref.add())).toBe(refused)
    expect(await codeOf(there.system.via(Counter, 'x').add())).toBe(refused)
    expect(await codeOf(ref.$.stop())).toBe(refused)
    const report = here.system.reports().find(({ name }) => name === 'x')
    expect(report).toMatchObject({ paused: true, running: 1, waiting: 0 })
    void running
  })

  test('lets actors without a name run on', async () => {
    const { here } = await started()
    const pid = await here.system.start(Counter, anonymous)
    here.halted(true)
    expect(await here.system.ref(Counter, pid).add()).toBe(1)
  })

  test('resumes one by one: who has its name again runs, with the state that it had', async () => {
    const { here } = await started()
    const pids = [await here.system.start(Counter, via('x')), await here.system.start(Counter, via('y'))]
    await here.system.via(Counter, 'x').add()
    here.halted(true)
    here.halted(false)
    expect(await codeOf(here.system.via(Counter, 'x').add())).toBe(refused)
    here.resumed(pids[0] as (typeof pids)[number])
    expect(await here.system.via(Counter, 'x').add()).toBe(2)
    expect(await codeOf(here.system.via(Counter, 'y').add())).toBe(refused)
  })

  test('holds timers and streams back, which go on afterwards', async () => {
    const { world, here } = await started()
    const pid = await here.system.start(Counter, via('x'))
    const ref = here.system.via(Counter, 'x')
    await ref.every(100)
    await world.time.pass(250)
    expect(await ref.add()).toBe(3)
    here.halted(true)
    await world.time.pass(10_000)
    here.resumed(pid)
    await rest()
    // One beat had waited; those that were missed are left out.
    expect(await ref.add()).toBe(5)
    await world.time.pass(200)
    expect(await ref.add()).toBeGreaterThanOrEqual(7)
  })

  test('is asked before each turn: a timer that is late lets nobody run by votes that have lapsed', async () => {
    const { here } = await started()
    await here.system.start(Counter, via('x'))
    const ref = here.system.via(Counter, 'x')
    expect(await ref.add()).toBe(1)
    let due = true
    here.haltIfDue = () => {
      if (due) here.halted(true)
      due = false
    }
    expect(await codeOf(ref.add())).toBe(refused)
  })

  test('ends a paused actor that lost its name, and all of them when it is drained', async () => {
    const { here } = await started()
    const x = await here.system.start(Counter, via('x'))
    await here.system.start(Counter, via('y'))
    here.halted(true)
    here.deactivate?.({ pid: x, name: 'x', reason: 'superseded' })
    await rest()
    expect(here.system.reports().map(({ name }) => name)).toEqual(['y'])
    await here.system.stopAll('drain')
    expect(here.system.reports()).toEqual([])
  })
})
