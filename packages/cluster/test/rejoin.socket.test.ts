/** A node that is declared down while it lives, on real sockets: it is back under another boot id, all else is its own. */
import { describe, expect, it } from 'vitest'
import { encodeFrame } from '../src/core/frames.js'
import type { ClusterFrame, Member } from '../src/core/index.js'
import type { Cluster, Layer, LayerInput } from '../src/index.js'
import { packFrame } from '../src/wire.js'
import { startNode, type TestNode, until, viewOf } from './nodes.js'
import { link } from './stranger.js'

/** Hears all that a node tells its layers; messages are texts. */
class Listener implements Layer<string> {
  readonly kinds = [96, 96] as const
  readonly inputs: LayerInput[] = []
  encode = (text: string): unknown[] => [96, text]
  decode = (frame: readonly unknown[]): string => String(frame[1])
  #waiting: (() => void)[] = []

  input(input: LayerInput): void {
    this.inputs.push(input)
    for (const look of this.#waiting.splice(0)) look()
  }

  /** Resolves when `test` holds, which is looked at after every input. */
  async until(test: () => boolean): Promise<void> {
    while (!test()) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  async heard(text: string): Promise<LayerInput> {
    const fits = (input: LayerInput): boolean => input.type === 'message' && input.message === text
    await this.until(() => this.inputs.some(fits))
    return this.inputs.find(fits) as LayerInput
  }
}

interface Heard extends TestNode {
  readonly layer: Listener
}

async function start(name: string, peers?: readonly TestNode[]): Promise<Heard> {
  const node = await startNode(name, peers === undefined ? {} : { peers })
  const layer = new Listener()
  node.cluster.attach(layer)
  return { ...node, layer }
}

async function three(): Promise<[Heard, Heard, Heard]> {
  const a = await start('a')
  const b = await start('b', [a])
  const c = await start('c', [a])
  await Promise.all([a, b, c].map((node) => node.cluster.ready()))
  await together(a, b, c)
  return [a, b, c]
}

/** Until each has all others up, as the boots that they are now, in its view and linked. */
async function together(...nodes: readonly Heard[]): Promise<void> {
  const boots = nodes.map(({ cluster }) => cluster.self.boot).sort()
  const fits = ({ cluster }: Heard): boolean =>
    cluster
      .view()
      .members.map((info) => info.boot)
      .sort()
      .join() === boots.join() &&
    boots.every((boot) => cluster.member(boot)?.phase === 'up' && (cluster.linked(boot) || boot === cluster.self.boot))
  await Promise.all(nodes.map((node) => node.layer.until(() => fits(node))))
}

/** A member that joins, tells `teller` that this node is down, as after a suspicion of its own, and leaves. */
async function slander(teller: TestNode, node: TestNode): Promise<void> {
  const liar = await link(teller.cluster.self.address, 'z')
  if (liar === undefined) throw new Error('not let in')
  const down: Member = { info: node.cluster.self, phase: 'down', incarnation: 0, suspect: false }
  const say = (frame: ClusterFrame): void => void liar.ws.send(packFrame(encodeFrame(frame, () => [])))
  say({ type: 'news', members: [down] })
  say({ type: 'bye' })
}

/** Resolves with the new boot id in the very step in which the node becomes another one. */
function rejoined(cluster: Cluster): Promise<string> {
  const old = cluster.self.boot
  return until(cluster, () => cluster.self.boot !== old).then(() => cluster.self.boot)
}

describe('a node that the others hold to be down', () => {
  it('is back as another boot of the same name and address, ready again, and in every view', async () => {
    const [a, b, c] = await three()
    const { boot: old, name, address } = c.cluster.self
    const condemnedBy = new Promise<string>((resolve) => c.cluster.on('condemned', resolve))
    const fresh = rejoined(c.cluster)
    await slander(a, c)
    expect(await condemnedBy).toBe(a.cluster.self.boot)
    const boot = await fresh
    let back = false
    const ready = c.cluster.ready().then(() => {
      back = true
    })
    // Its gate is shut until it has met the others again.
    await Promise.resolve()
    expect(back).toBe(false)
    await ready
    expect(c.cluster.self).toMatchObject({ boot, name, address })
    await together(a, b, c)
    for (const { cluster } of [a, b, c]) {
      expect(cluster.member(old)?.phase).toBe('down')
      expect(cluster.linked(old)).toBe(false)
    }
    expect(c.log.count(/this node goes on as boot/)).toBe(1)
    expect(c.log.count(/^ready: joined/)).toBe(2)
    expect([a, b].map((node) => node.log.count(/this node goes on as boot/))).toEqual([0, 0])
  })

  it('tells its layers of it before the end of its links and whatever it hears as the new one', async () => {
    const [a, b, c] = await three()
    const from = c.layer.inputs.length
    const fresh = rejoined(c.cluster)
    await slander(b, c)
    const boot = await fresh
    await c.cluster.ready()
    await together(a, b, c)
    const told = c.layer.inputs.slice(from)
    const at = told.findIndex((input) => input.type === 'rejoined')
    const ofLinks = ['linked', 'unlinked', 'gateOpen']
    expect(told.slice(0, at).filter(({ type }) => ofLinks.includes(type))).toEqual([])
    const [one, other, self, view] = told.slice(at + 1)
    expect([one?.type, other?.type]).toEqual(['unlinked', 'unlinked'])
    expect(self).toMatchObject({ type: 'member', member: { info: { boot }, phase: 'joining' } })
    expect(view).toMatchObject({ type: 'view', view: { members: [{ boot }] } })
    expect(told.slice(at).filter((input) => input.type === 'gateOpen')).toHaveLength(1)
    c.cluster.send(a.cluster.self.boot, 'from the new one')
    expect(await a.layer.heard('from the new one')).toMatchObject({ from: boot })
    a.cluster.send(boot, 'to the new one')
    expect(await c.layer.heard('to the new one')).toMatchObject({ from: a.cluster.self.boot })
  })

  it('comes back as often as it is declared down', async () => {
    const [a, b, c] = await three()
    const boots = new Set([c.cluster.self.boot])
    for (let round = 1; round <= 3; round++) {
      const fresh = rejoined(c.cluster)
      await slander(round % 2 === 0 ? a : b, c)
      boots.add(await fresh)
      await c.cluster.ready()
      await together(a, b, c)
      await viewOf(a, ['a', 'b', 'c'])
    }
    expect(boots.size).toBe(4)
    const phases = [...boots].map((boot) => b.cluster.member(boot)?.phase)
    expect(phases.slice(0, 3)).toEqual(['down', 'down', 'down'])
  })

  it('that knew nobody but its condemner, and of whom nobody is told, is a cluster of its own under the other boot', async () => {
    const a = await start('a')
    await a.cluster.ready()
    const fresh = rejoined(a.cluster)
    const stranger = await link(a.cluster.self.address, 'x')
    const down: Member = { info: a.cluster.self, phase: 'down', incarnation: 0, suspect: false }
    stranger?.ws.send(packFrame(encodeFrame({ type: 'news', members: [down] }, () => [])))
    const boot = await fresh
    await a.cluster.ready()
    await stranger?.closed
    expect(a.cluster.view().members.map((info) => info.boot)).toEqual([boot])
    expect(a.cluster.members()).toHaveLength(1)
  })

  it('goes on leaving where it was leaving already', async () => {
    const [a, , c] = await three()
    const { boot } = c.cluster.self
    let condemned = false
    c.cluster.on('condemned', () => {
      condemned = true
    })
    await c.cluster.leave()
    await slander(a, c)
    await c.log.line(/holds this node to be down/)
    expect(c.cluster.self.boot).toBe(boot)
    expect(condemned).toBe(false)
    await c.cluster.close()
    await viewOf(a, ['a', 'b'])
    expect(a.cluster.member(boot)?.phase).toBe('down')
  })
})
