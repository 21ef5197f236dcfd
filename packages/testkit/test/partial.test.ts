/** Partial cuts: two nodes that cannot hear each other while others hear both. Whole nodes on a virtual network. */
import { type Down, defineActor, isSkepError, type RefOf, type SkepNode, via } from 'skep'
import { describe, expect, it } from 'vitest'
import { type Simulation, simulate } from '../src/index.js'
import type { LogLine } from '../src/nodes/machine.js'

const Counter = defineActor('counter', {
  init: () => ({ n: 0, cast: [] as number[] }),
  on: {
    next: (self) => ++self.state.n,
    note: (self, i: number) => void self.state.cast.push(i),
    noted: (self) => self.state.cast,
    hang: () => new Promise<void>(() => {}),
    async *count(_self, upTo: number) {
      for (let i = 0; i < upTo; i++) yield i
    },
  },
})

interface Partial3 {
  readonly sim: Simulation
  readonly a: SkepNode
  readonly b: SkepNode
  readonly c: SkepNode
  /** A counter on `b`, as `a` calls it. */
  readonly ref: RefOf<typeof Counter>
  readonly lines: LogLine[]
}

/** Three nodes at rest, a counter on the second one; what the first asks of it is about to be cut off. */
async function three(seed: number): Promise<Partial3> {
  const lines: LogLine[] = []
  const sim = await simulate({ seed, nodes: 3, actors: [Counter], log: (line) => lines.push(line) })
  await sim.settle()
  const [a, b, c] = sim.nodes as [SkepNode, SkepNode, SkepNode]
  await b.start(Counter, via('counter', { visible: 'all' }))
  return { sim, a, b, c, ref: a.via(Counter, 'counter'), lines }
}

/** Calls every few ms for so long; gives back how long after `from` each call that failed had been made and did so. */
async function callFor(
  { sim, ref }: Partial3,
  ms: number,
  from: number,
): Promise<{ answered: number[]; failed: { begun: number; failed: number; sent: unknown }[] }> {
  const answered: number[] = []
  const failed: { begun: number; failed: number; sent: unknown }[] = []
  const open: Promise<void>[] = []
  const end = sim.now + ms
  while (sim.now < end) {
    const begun = sim.now - from
    open.push(
      ref.next().then(
        (n) => void answered.push(n),
        (error: unknown) => {
          const sent = isSkepError(error, 'ERR_NODE_DOWN') ? error.sent : error
          failed.push({ begun, failed: sim.now - from, sent })
        },
      ),
    )
    await sim.advance(10)
  }
  await Promise.all(open)
  return { answered, failed }
}

function expectRising(numbers: readonly number[]): void {
  for (const [i, n] of numbers.entries()) if (i > 0) expect(n).toBeGreaterThan(numbers[i - 1] as number)
}

describe('two nodes of three that cannot hear each other for a minute', () => {
  const ways = [
    ['both ways', (sim: Simulation, a: SkepNode, b: SkepNode) => sim.cut(a, b)],
    ['from the caller', (sim: Simulation, a: SkepNode, b: SkepNode) => sim.cut(a, b, { oneWay: true })],
    ['from the called', (sim: Simulation, a: SkepNode, b: SkepNode) => sim.cut(b, a, { oneWay: true })],
  ] as const

  it.each(ways)(
    '%s: no call fails after the first second, nor at the heal, and nobody is suspected',
    async (_text, cut) => {
      for (let seed = 1; seed <= 3; seed++) {
        const cluster = await three(seed)
        await using sim = cluster.sim
        const { a, b, lines } = cluster
        await callFor(cluster, 300, sim.now)
        const from = sim.now
        cut(sim, a, b)
        const during = await callFor(cluster, 60_000, from)
        sim.heal()
        const after = await callFor(cluster, 10_000, from)
        expect(after.failed).toEqual([])
        for (const { failed, sent } of during.failed) {
          expect(failed).toBeLessThan(1000)
          // It was on a link that was silent: whether it was done is not known.
          expect(sent).toBe('maybe')
        }
        expectRising([...during.answered, ...after.answered])
        expect(during.answered.length + during.failed.length).toBeGreaterThan(5000)
        expect(lines.filter(({ text }) => /suspected|is down/.test(text))).toEqual([])
        await sim.settle()
        sim.check()
      }
    },
  )

  it('show through whom they go, and say it once each', async () => {
    const cluster = await three(7)
    await using sim = cluster.sim
    const { a, b, c, lines } = cluster
    const viaOf = (node: SkepNode, of: SkepNode): string | undefined =>
      node.members().find(({ boot }) => boot === of.boot)?.via
    sim.cut(a, b)
    await callFor(cluster, 5000, sim.now)
    expect([viaOf(a, b), viaOf(b, a), viaOf(a, c), viaOf(a, a)]).toEqual([c.name, c.name, undefined, undefined])
    expect(a.explain('counter').via).toBe(c.name)
    expect(c.explain('counter').via).toBeUndefined()
    sim.heal()
    await callFor(cluster, 8000, sim.now)
    expect([viaOf(a, b), viaOf(b, a), a.explain('counter').via]).toEqual([undefined, undefined, undefined])
    for (const [node, peer] of [
      [a, b],
      [b, a],
    ] as const) {
      const told = lines.filter((line) => line.node === node.name && /direct link/.test(line.text))
      expect(told.map(({ level, text }) => `${level} ${text}`)).toEqual([
        `warn ${peer.name}: there is no direct link to it: its frames go through ${c.name}`,
        `info ${peer.name}: the direct link to it is back, and takes over`,
      ])
    }
  })

  it('cast, stream and cancel through the third, in order, and also while the direct link comes back', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const cluster = await three(seed)
      await using sim = cluster.sim
      const { a, b, ref } = cluster
      sim.cut(a, b)
      await callFor(cluster, 1000, sim.now)
      const got: number[][] = []
      const read = async (): Promise<void> => {
        const items: number[] = []
        got.push(items)
        for await (const item of ref.$.with({ timeout: 60_000 }).count(400)) {
          items.push(item)
          await sim.advance(5)
        }
      }
      const reads = [read(), read()]
      for (let i = 0; i < 200; i++) {
        ref.$.cast.note(i)
        await sim.advance(5)
        if (i === 100) sim.heal()
      }
      // Left early: the far end hears of it, or the stream would stay open there.
      for await (const item of ref.count(1000)) if (item === 50) break
      await Promise.all(reads)
      const all = (count: number): number[] => Array.from({ length: count }, (_, i) => i)
      expect(got).toEqual([all(400), all(400)])
      expect(await ref.noted()).toEqual(all(200))
      await sim.settle()
      sim.check()
    }
  })

  it('hear of the end of what they watch', async () => {
    const cluster = await three(3)
    await using sim = cluster.sim
    const { a, b, ref } = cluster
    const downs: Down[] = []
    const watch = async (): Promise<void> => {
      for await (const down of ref.$.monitor()) downs.push(down)
    }
    const watching = watch()
    await sim.advance(100)
    sim.cut(a, b)
    // Nobody calls: the round of probes finds the silent link.
    await sim.advance(10_000)
    expect(downs).toEqual([])
    await b.via(Counter, 'counter').$.stop('enough')
    await watching
    expect(downs.map(({ reason }) => reason)).toEqual(['stopped'])
  })

  it('wait for another neighbour when the one between them goes, and fail with what is known when there is none', async () => {
    for (let seed = 1; seed <= 3; seed++) {
      const cluster = await three(seed)
      await using sim = cluster.sim
      const { a, b, c, ref } = cluster
      const d = await sim.start()
      await sim.settle()
      sim.cut(a, b)
      await callFor(cluster, 1500, sim.now)
      const carrier = a.members().find(({ boot }) => boot === b.boot)?.via
      const from = sim.now
      sim.crash(carrier === c.name ? c : d)
      const { failed } = await callFor(cluster, 5000, from)
      for (const one of failed) expect(one.failed).toBeLessThan(1000)
      expect(a.members().find(({ boot }) => boot === b.boot)?.via).toBe(carrier === c.name ? d.name : c.name)
      sim.crash(carrier === c.name ? d : c)
      await sim.advance(500)
      await expect(ref.next()).rejects.toMatchObject({ code: expect.stringMatching(/ERR_UNREACHABLE|ERR_NODE_DOWN/) })
      sim.heal()
    }
  })
})
