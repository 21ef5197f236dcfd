/** New code for supervisors that run: what becomes of the children. */
import { describe, expect, test } from 'vitest'
import { anonymous, type ChildSpecs, child, defineActor, defineSupervisor, type Strategy, via } from '../src/index.js'
import { errorOf, gate, rest, type TestNode, World } from './world.js'

/** Starts and ends, in order. */
let seen: string[] = []
/** Those that do not start. */
const failing = new Set<string>()

const Worker = defineActor('worker', {
  init: (name: string) => {
    if (failing.has(name)) throw new Error(`${name} has no tools`)
    seen.push(`+${name}`)
    return name
  },
  on: {
    name: (self) => self.state,
    fall: (self) => self.crash(new Error('oops')),
    leave: (self) => self.stop('tired'),
    wait: async (_self, until: Promise<void>) => await until,
  },
  onStop: (self, reason) => void seen.push(`-${self.state} ${reason}`),
})

interface Options {
  readonly strategy?: Strategy
  readonly times?: number
}

const team = (children: (prefix: string) => ChildSpecs, options: Options = {}) =>
  defineSupervisor('team', { ...options, children })

const list = (...names: string[]): ((prefix: string) => ChildSpecs) => {
  return (prefix) => Object.fromEntries(names.map((name) => [name, child(Worker, anonymous, `${prefix}${name}`)]))
}

async function started(children: (prefix: string) => ChildSpecs, options: Options = {}) {
  seen = []
  failing.clear()
  const world = new World()
  const at = world.add('n', { actors: [Worker], isolation: 'off', limits: { stopGraceMs: 1000 } })
  const one = team(children, options)
  const sup = at.system.ref(one, await at.system.start(one, anonymous, 'x'))
  seen = []
  const ids = async (): Promise<string[]> =>
    (await sup.children()).map(({ id, pid }) => `${id}${pid === undefined ? ' gone' : ''}`)
  return { world, at, one, sup, ids, worker: async (id: string) => (await sup.child(id)) as never as WorkerRef }
}

type WorkerRef = ReturnType<TestNode['system']['via']> & {
  name(): Promise<string>
  fall(): Promise<void>
  leave(): Promise<void>
  wait(until: Promise<void>): Promise<void>
}

const done = { reloaded: 1, failed: [] }

describe('a supervisor with a new list', () => {
  test('ends what is not in it, the last one first, then starts what is new, in its order; the others run on', async () => {
    const { at, sup, ids, worker } = await started(list('a', 'b', 'c', 'd'))
    const before = await sup.children()
    const [a, c] = [await worker('a'), await worker('c')]
    expect(await at.system.reload(team(list('e', 'd', 'f', 'b')))).toEqual(done)
    expect(await ids()).toEqual(['e', 'd', 'f', 'b'])
    expect(seen).toEqual(['-xc shutdown', '-xa shutdown', '+xe', '+xf'])
    const pids = new Map((await sup.children()).map(({ id, pid }) => [id, pid]))
    for (const { id, pid } of before) if (id === 'b' || id === 'd') expect(pids.get(id)).toEqual(pid)
    expect(await (await worker('f')).name()).toBe('xf')
    for (const old of [a, c]) expect(await errorOf(old.name())).toMatchObject({ code: 'ERR_NO_PROCESS', sent: 'no' })
    expect((await errorOf(worker('a'))).message).toContain("has no child 'a'; it has e, d, f, b")
    seen = []
    await sup.$.stop()
    expect(seen).toEqual(['-xb shutdown', '-xf shutdown', '-xd shutdown', '-xe shutdown'])
    expect(at.system.stats().actors).toBe(0)
  })

  test('uses another spec, another strategy and other limits at the next restart', async () => {
    const { at, sup, worker } = await started(list('a', 'b'), { times: 1 })
    const a = await worker('a')
    const next = team(
      (prefix) => ({ a: child(Worker, anonymous, `new ${prefix}a`), b: child(Worker, anonymous, `new ${prefix}b`) }),
      { strategy: 'one-for-all', times: 2 },
    )
    expect(await at.system.reload(next)).toEqual(done)
    expect([await a.name(), seen]).toEqual(['xa', []])
    await a.fall()
    await rest()
    expect(seen).toEqual(['-xb shutdown', '+new xa', '+new xb'])
    await a.fall()
    await rest()
    expect((await sup.children()).map(({ restarts }) => restarts)).toEqual([2, 2])
    await a.fall()
    await rest()
    expect(at.system.stats().actors).toBe(0)
  })

  test('gives a name on to a new child from one that is not in it any more', async () => {
    const { at, ids } = await started(() => ({ old: child(Worker, via('w'), 'old') }))
    await at.system.reload(team(() => ({ fresh: child(Worker, via('w'), 'fresh') })))
    expect(await ids()).toEqual(['fresh'])
    expect(await at.system.via(Worker, 'w').name()).toBe('fresh')
  })

  test('goes on without a new child that does not start, says so, and tries it again with the next list', async () => {
    const { at, sup, ids, worker } = await started(list('a'))
    failing.add('xb').add('xc')
    expect(await at.system.reload(team(list('a', 'b', 'c')))).toEqual(done)
    expect(await ids()).toEqual(['a', 'b gone', 'c gone'])
    expect(at.lines.filter(({ level }) => level === 'error').map(({ fields }) => fields.child)).toEqual(['b', 'c'])
    await sup.stop('c')
    failing.clear()
    await (await worker('a')).fall()
    await rest()
    expect(await ids()).toEqual(['a', 'b gone', 'c gone'])
    await at.system.reload(team(list('a', 'b', 'c')))
    // Somebody has stopped c for good.
    expect(await ids()).toEqual(['a', 'b', 'c gone'])
  })

  test('leaves those alone that were stopped, or that ended for good', async () => {
    const { at, sup, ids, worker } = await started(list('a', 'b', 'c'))
    await sup.stop('a')
    await (await worker('b')).leave()
    await rest()
    seen = []
    await at.system.reload(team(list('c', 'b', 'a')))
    expect([await ids(), seen]).toEqual([['c', 'b gone', 'a gone'], []])
  })

  test('stays with its old one where that cannot be made, or where it is no supervisor any more', async () => {
    const { at, ids } = await started(list('a'))
    const bad = team(() => {
      throw new RangeError('no list')
    })
    const plain = defineActor('team', { init: () => 0, on: {} })
    for (const [definition, text] of [
      [bad, 'no list'],
      [plain, "'team' is a supervisor in only one"],
    ] as const) {
      const { reloaded, failed } = await at.system.reload(definition)
      expect([reloaded, failed.map(({ error }) => (error as Error).message)]).toEqual([
        0,
        [expect.stringContaining(text)],
      ])
      expect([await ids(), seen]).toEqual([['a'], []])
    }
  })

  test('comes by it where ends and restarts are under way, and where another list comes at once', async () => {
    const { world, at, ids, worker } = await started(list('a', 'b'))
    const open = gate()
    const b = await worker('b')
    const busy = b.wait(open.promise)
    await rest()
    const a = await worker('a')
    await a.fall()
    const both = [at.system.reload(team(list('a', 'c'))), at.system.reload(team(list('d', 'a')))]
    await rest()
    open.open()
    await world.time.pass(1000)
    await busy
    expect(await Promise.all(both)).toEqual([done, done])
    expect(await ids()).toEqual(['d', 'a'])
    expect(at.system.stats().actors).toBe(3)
  })

  test('knows by the code that a child runs whether that is started again', async () => {
    const { at, ids, worker } = await started(list('a'))
    const next = defineActor('worker', {
      init: (name: string) => name,
      on: { leave: (self) => self.stop('tired') },
      restart: 'permanent',
    })
    await at.system.reload(next)
    const before = at.system.stats().actors
    await (await worker('a')).leave()
    await rest()
    expect([await ids(), at.system.stats().actors]).toEqual([['a'], before])
  })

  test('forgets the pids under which its old children stood', async () => {
    const { at, worker } = await started(list('a'))
    const a = await worker('a')
    await at.system.register('by hand', a)
    await at.system.reload(team(list('b')))
    await rest()
    expect(at.system.whereis('by hand')).toBe(undefined)
  })
})
