/**
 * Every strategy, as the discovery of two linked nodes whose source of it fails, empties, shrinks, lies and hangs: no link
 * is cut, no start waits, and the log stays short. The strategies are told apart by their sources alone.
 */
import { describe, expect, it } from 'vitest'
import { type Cluster, type Discovery, startCluster, titled } from '../src/index.js'
import { freePort } from './dnsmasq.js'
import { Recorder, until } from './nodes.js'
import { lies, patient, rows, times } from './sources.js'

describe.concurrent('two linked nodes', () => {
  it.each(rows)('stay linked, whatever $name says', async ({ open }) => {
    const truth = [await addressOfOne(), await addressOfOne()]
    const [first = '', second = ''] = truth
    const source = await open(truth)
    const started: Node[] = []
    const start = async (...args: Parameters<typeof Node.start>): Promise<Node> => {
      const node = await Node.start(...args)
      started.push(node)
      return node
    }
    try {
      source.name?.(truth)
      const nodes = [
        await start('a', first, source.strategy(second, times)),
        await start('b', second, source.strategy(first, times)),
      ] as const
      await linked(...nodes)
      const saw = (what: Seen): Promise<unknown> => Promise.all(nodes.map((node) => node.saw(what)))
      const says = async (addresses: readonly string[]): Promise<void> => {
        if (source.name === undefined) return
        for (const node of nodes) node.forget()
        source.name(addresses)
        await saw('answer')
      }
      const goesWrong = async (how: (() => void) | undefined): Promise<void> => {
        if (how === undefined) return
        for (const node of nodes) node.forget()
        how()
        await saw('failure')
      }

      await goesWrong(source.fail)
      await says([])
      await says([first])
      await says([first, ...lies])
      await goesWrong(source.hang)
      if (source.hang) {
        // Resolves although its only strategy has no answer.
        await start('c', '127.0.0.1:0', source.strategy(first, patient))
      }
      await says(truth)

      for (const { name, log, cluster } of nodes) {
        expect(log.count(/^link to [ab] closed/), `links cut at ${name}`).toBe(0)
        expect(
          cluster.view().members.map((member) => member.name),
          name,
        ).toEqual(expect.arrayContaining(['a', 'b']))
        const lines = log.lines.filter(({ level }) => level !== 'debug')
        expect(lines.length, lines.map(({ text }) => text).join('\n')).toBeLessThan(30)
      }
      expect(nodes.flatMap((node) => node.troubles)).toEqual([])
    } finally {
      await Promise.all(started.map(({ cluster }) => cluster.close()))
      await source.close()
    }
  })
})

type Seen = 'answer' | 'failure'

/** A node whose only strategy is listened to. */
class Node {
  readonly log = new Recorder()
  /** Whoever was held to be suspect or worse. */
  readonly troubles: string[] = []
  cluster!: Cluster
  readonly name: string
  #seen = new Set<Seen>()
  #look = (): void => {}

  private constructor(name: string) {
    this.name = name
  }

  static async start(name: string, listen: string, strategy: Discovery): Promise<Node> {
    const node = new Node(name)
    node.cluster = await startCluster({
      cluster: 'test',
      name,
      secret: 's',
      listen,
      logger: node.log.logger,
      discovery: node.#listened(strategy),
    })
    node.cluster.on('member', ({ info, phase, suspect }) => {
      if (phase === 'down' || suspect) node.troubles.push(`${name} holds ${info.name} to be down`)
    })
    return node
  }

  forget(): void {
    this.#seen.clear()
  }

  async saw(what: Seen): Promise<void> {
    while (!this.#seen.has(what)) {
      await new Promise<void>((resolve) => {
        this.#look = resolve
      })
    }
  }

  #listened(strategy: Discovery): Discovery {
    const note = (what: Seen): void => {
      this.#seen.add(what)
      this.#look()
    }
    return titled(strategy.title ?? '', async function* (context) {
      try {
        for await (const answer of strategy(context)) {
          note('answer')
          yield answer
        }
      } catch (error) {
        note('failure')
        throw error
      }
    })
  }
}

async function linked(a: Node, b: Node): Promise<void> {
  await until(a.cluster, () => a.cluster.linked(b.cluster.self.boot))
  await until(b.cluster, () => b.cluster.linked(a.cluster.self.boot))
}

async function addressOfOne(): Promise<string> {
  return `127.0.0.1:${await freePort()}`
}
