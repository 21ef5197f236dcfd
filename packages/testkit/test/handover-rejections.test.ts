/** A promise that the code of a handoff lets loose, in whole nodes on a virtual clock: the state goes over all the same. */
import { defineActor, type SkepNode, via } from 'skep'
import { expect, test } from 'vitest'
import { simulate } from '../src/index.js'

const loose = (text: string): void => void Promise.reject(new Error(text))

/** Where the promise is made and when it is rejected. */
const places = [
  'out, at once',
  'out, while it runs',
  'out, when it has gone',
  'in, at once',
  'in, while it runs',
] as const

test.each(places)(
  'what handoff.%s, lets loose is told in the log: no state is lost, none is doubled',
  async (place) => {
    let open = (): void => {}
    const starts: number[] = []
    const errors: string[] = []
    const waits = <T>(value: T): Promise<T> =>
      new Promise((resolve) => {
        open = () => resolve(value)
      })
    const Keeper = defineActor('keeper', {
      init: (n: number) => ({ n }),
      on: { add: (self) => ++self.state.n },
      onStart: (self) => void starts.push(self.state.n),
      handoff: {
        out: ({ state: { n } }) => {
          if (place === 'out, when it has gone') void waits(place).then(loose)
          else if (place.startsWith('out')) loose(place)
          return place === 'out, while it runs' ? waits({ n }) : { n }
        },
        in: (saved: { n: number }) => {
          if (place.startsWith('in')) loose(place)
          return place === 'in, while it runs' ? waits(saved) : saved
        },
      },
    })
    await using sim = await simulate({
      seed: 1,
      nodes: 2,
      actors: [Keeper],
      log: (line) => {
        if (line.level === 'error') errors.push(`${line.text}: ${String((line.fields as { err?: unknown }).err)}`)
      },
    })
    await sim.settle()
    const [node, other] = sim.nodes as [SkepNode, SkepNode]
    const from = await node.spawn(Keeper, via('x', { visible: 'all' }), 0)
    const ref = node.via(Keeper, 'x')
    for (let i = 0; i < 5; i++) await ref.add()
    const target = from.node === node.name ? other : node
    // What is called meanwhile is done once, wherever.
    const moving = Promise.all([node.move('x', target.name), ref.add(), other.via(Keeper, 'x').add()])
    await sim.advance(200)
    open()
    await moving
    await sim.advance(200)
    expect(node.whereis('x')?.node).toBe(target.name)
    expect(await ref.add()).toBe(8)
    // Nothing began afresh, and there is one place.
    expect([starts[0], starts.length]).toEqual([0, 2])
    expect([node, other].map((one) => one.whereis('x')?.node)).toEqual([target.name, target.name])
    expect(errors).toHaveLength(1)
    expect(errors[0]).toContain(place)
    expect(errors[0]).toMatch(
      /a promise that the handoff of keeper 'x' <.*> made was rejected, and nobody handled that/,
    )
    await sim.settle()
    sim.check()
  },
)

test.each(['before', 'after'])(
  'a crash %s its new place has the name: one copy goes on, from its arguments or with the state',
  async (when) => {
    let [fall, open] = [(): void => {}, (): void => {}]
    // It goes back later, where the ring would have it.
    let came = false
    const errors: string[] = []
    const Keeper = defineActor('keeper', {
      init: (n: number) => ({ n }),
      on: {
        add: (self) => ++self.state.n,
        // What its own methods let loose is its crash, also on the way.
        letLoose: () =>
          void new Promise<void>((resolve) => {
            fall = resolve
          }).then(() => loose('a method')),
      },
      handoff: {
        in: (saved: { n: number }) => {
          if (came) return saved
          came = true
          return new Promise<typeof saved>((resolve) => {
            open = () => resolve(saved)
          })
        },
      },
    })
    await using sim = await simulate({
      seed: 1,
      nodes: 2,
      actors: [Keeper],
      log: ({ level, text }) => {
        if (level === 'error') errors.push(text)
      },
    })
    await sim.settle()
    const [node, other] = sim.nodes as [SkepNode, SkepNode]
    const from = await node.spawn(Keeper, via('x', { visible: 'all' }), 0)
    const ref = node.via(Keeper, 'x')
    for (let i = 0; i < 5; i++) await ref.add()
    await ref.letLoose()
    const moved = (from.node === node.name ? node.move('x', other.name) : node.move('x', node.name)).then(
      () => 'moved',
      () => 'failed',
    )
    await sim.advance(200)
    if (when === 'before') fall()
    else open()
    await sim.advance(100)
    if (when === 'before') open()
    else fall()
    await sim.advance(2000)
    expect(await moved).toBe(when === 'before' ? 'failed' : 'moved')
    // Before, what goes on may be the place that has the state already, or one from its arguments; never both.
    expect(when === 'before' ? [1, 6] : [6]).toContain(await ref.add())
    expect(errors).toEqual([expect.stringMatching(when === 'before' ? /crashed: a promise/ : /has ended; a promise/)])
    await sim.settle()
    sim.check()
  },
)
