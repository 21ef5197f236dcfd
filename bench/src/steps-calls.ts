/** What a node is asked that calls actors. */
import { isSkepError, pinned, type SkepNode, via } from 'skep'
import { Bench, itemOf, rightItem, rightNumber, rightText } from './actors.js'
import { cpuUs, drive, quantilesOf, type Slice, textOf } from './slice.js'
import { rightWork } from './work.js'

/** Calls at a steady pace, each timed from when it was due: a node that stands still does not make its delay look small. */
class Pace {
  readonly #times: number[] = []
  readonly #open = new Set<Promise<void>>()
  readonly #begun = performance.now()
  readonly #timer: NodeJS.Timeout
  #made = 0
  #wrong = 0
  #fault: string | undefined

  constructor(everyMs: number, call: (i: number) => Promise<boolean>) {
    this.#timer = setInterval(() => {
      for (; this.#begun + this.#made * everyMs <= performance.now(); this.#made++) {
        const due = this.#begun + this.#made * everyMs
        const one = call(this.#made)
          .then((right) => {
            if (!right) throw new Error('a wrong answer')
            this.#times.push(performance.now() - due)
          })
          .catch((error: unknown) => {
            this.#wrong++
            this.#fault ??= String(error)
          })
          .finally(() => this.#open.delete(one))
        this.#open.add(one)
      }
    }, 1)
  }

  async end(): Promise<Slice> {
    clearInterval(this.#timer)
    await Promise.all(this.#open)
    const ms = performance.now() - this.#begun
    return { ops: this.#made, ms, wrong: this.#wrong, fault: this.#fault, ...quantilesOf(this.#times) }
  }
}

export function calling(node: SkepNode) {
  let pace: Pace | undefined
  return {
    host: async (name: string): Promise<string> => (await node.start(Bench, via(name, { visible: 'all' }))).node,
    /** By name, wherever it is. */
    echo: (name: string, callers: number, ms: number): Promise<Slice> => {
      const actor = node.via(Bench, name)
      const ask = (i: number): Promise<string> => actor.echo(textOf(i))
      return drive({ callers, end: { ms }, ask, right: rightText, timed: true })
    },
    add: (name: string, callers: number, ms: number): Promise<Slice> => {
      const actor = node.via(Bench, name)
      return drive({ callers, end: { ms }, ask: (i) => actor.add(i), right: rightNumber, timed: false })
    },
    price: (name: string, callers: number, ms: number): Promise<Slice> => {
      const actor = node.via(Bench, name)
      return drive({ callers, end: { ms }, ask: (i) => actor.price(itemOf(i)), right: rightItem, timed: false })
    },
    /** So many actors on each of these nodes, in turn. */
    hostOn: async (nodes: readonly string[], each: number, timeout: number): Promise<string[]> => {
      const places = Array.from({ length: each }, () => nodes).flat()
      const until = performance.now() + timeout
      return Promise.all(
        places.map(async (place, i) => {
          const name = `${place} ${i}`
          for (;;) {
            try {
              await node.spawn(Bench, via(name, { placement: pinned({ node: place }), visible: 'all' }))
              return name
            } catch (error) {
              // Whoever places it has yet to hear of that node.
              if (!isSkepError(error, 'ERR_NO_HOST') || performance.now() > until) throw error
              await new Promise((resolve) => setTimeout(resolve, 20))
            }
          }
        }),
      )
    },
    /** Work by these in turn, with the processor's time of their nodes and of this one. */
    work: async (names: readonly string[], callers: number, ms: number): Promise<Slice & { cpuUs: number }> => {
      const actors = names.map((name) => node.via(Bench, name))
      const nodes = new Map(await Promise.all(actors.map(async (actor) => [await actor.node(), actor] as const)))
      const used = async (): Promise<number> => {
        const each = await Promise.all([...nodes.values()].map((actor) => actor.cpu()))
        return each.reduce((sum, us) => sum + us, cpuUs())
      }
      const before = await used()
      const ask = (i: number): Promise<number> => (actors[i % actors.length] as (typeof actors)[number]).work(i)
      const slice = await drive({ callers, end: { ms }, ask, right: rightWork, timed: true })
      return { ...slice, cpuUs: (await used()) - before }
    },
    beginCalls: (name: string, everyMs: number): void => {
      const actor = node.via(Bench, name)
      pace = new Pace(everyMs, async (i) => (await actor.echo(textOf(i))) === textOf(i))
    },
    endCalls: async (): Promise<Slice> => {
      if (pace === undefined) throw new Error('no calls go on')
      return pace.end()
    },
  }
}
