/** Actors of a node that was declared down while it lived: the node goes on as another boot, and they with it. */
import { isSkepError } from '@skep/cluster'
import { Pid } from '@skep/tracker'
import { describe, expect, test } from 'vitest'
import { anonymous, defineActor, via } from '../src/index.js'
import { errorOf, gate, rest, type TestNode, World } from './world.js'

const opened = { init: gate(), call: gate<string>() }

const Counter = defineActor('counter', {
  init: (start: number) => ({ n: start }),
  on: {
    increment: (self, by: number = 1) => (self.state.n += by),
    pid: (self) => self.pid,
    fence: (self) => self.fence,
    log: (self, text: string) => self.logger.info(text),
    slow: (self) => opened.call.promise.then((text) => `${text} ${self.pid.boot}`),
    fail: (self, ms: number) => {
      self.after(ms, () => {
        throw new Error('no luck')
      })
    },
    later: (self, ms: number) => void self.after(ms, (later) => (later.state.n += 100)),
    async *ticks() {
      for (let i = 0; ; i++) {
        yield i
        await rest()
      }
    },
  },
})

const Slow = defineActor('slow', {
  init: (n: number) => opened.init.promise.then(() => n),
  on: { value: (self) => self.state, pid: (self) => self.pid },
})

function pair(): { world: World; a: TestNode; b: TestNode } {
  opened.init = gate()
  opened.call = gate<string>()
  const world = new World()
  const [a, b] = ['a', 'b'].map((name) => world.add(name, { actors: [Counter, Slow] })) as [TestNode, TestNode]
  return { world, a, b }
}

/** The pid of the one actor of this node. */
function onlyPid({ system }: TestNode): Pid {
  const [one, ...more] = system.reports()
  if (one === undefined || more.length > 0) throw new Error('there is not one actor')
  return one.pid
}

const said = ({ boot, id, node }: Pid): string => `${node} ${boot} ${id}`

describe('an actor whose node becomes another boot', () => {
  test('goes on with its state under a pid of that boot, and calls by name from anywhere find it', async () => {
    const { world, a, b } = pair()
    const pid = await a.system.start(Counter, via('x'), 5)
    expect(await b.system.via(Counter, 'x').increment()).toBe(6)
    world.rejoin(a)
    expect(await b.system.via(Counter, 'x').increment()).toBe(7)
    expect(await a.system.via(Counter, 'x').increment()).toBe(8)
    expect(said(await b.system.via(Counter, 'x').pid())).toBe(`a 2a-boot ${pid.id}`)
    expect(a.system.reports().map((report) => said(report.pid))).toEqual([`a 2a-boot ${pid.id}`])
    expect(a.gone).toEqual([])
  })

  test('has the fence of the new claim, and says its new pid in its log', async () => {
    const { world, a } = pair()
    await a.system.start(Counter, via('x'), 0)
    const ref = a.system.via(Counter, 'x')
    const before = await ref.fence()
    await ref.log('one')
    world.rejoin(a)
    expect(await ref.fence()).toBeGreaterThan(before)
    await ref.log('two')
    const pids = ['one', 'two'].map((text) => String(a.lines.find((line) => line.text === text)?.fields.pid))
    const own = a.system.reports().map(({ pid }) => String(pid))
    expect(pids[1]).toBe(own[0])
  })

  test('without a name goes on as well: in its groups, with its timers', async () => {
    const { world, a, b } = pair()
    const pid = await a.system.start(Counter, anonymous, 1)
    await a.system.group('g').join(pid)
    await a.system.ref(Counter, pid).later(1000)
    world.rejoin(a)
    await world.time.pass(2000)
    const [member] = b.system.group(Counter, 'g').members()
    expect(await member?.increment()).toBe(102)
  })

  test('is named by its new pid where a timer of it throws', async () => {
    const { world, a } = pair()
    const pid = await a.system.start(Counter, anonymous, 1)
    await a.system.ref(Counter, pid).fail(1000)
    world.rejoin(a)
    await world.time.pass(2000)
    const line = a.lines.find(({ text }) => text?.includes('threw'))
    expect(line?.text).toContain(String(onlyPid(a)))
    expect(line?.fields.pid).toBe(String(onlyPid(a)))
  })

  test('is not to be reached by its old pid, by nobody, and nothing is sent', async () => {
    const { world, a, b } = pair()
    const pid = await a.system.start(Counter, anonymous, 1)
    world.rejoin(a)
    for (const node of [a, b]) {
      const error = await errorOf(node.system.ref(Counter, pid).increment())
      expect([error.code, error.sent]).toEqual(['ERR_NODE_DOWN', 'no'])
    }
    const fresh = onlyPid(a)
    expect(await b.system.ref(Counter, fresh).increment()).toBe(2)
  })

  test('stops under its new pid', async () => {
    const { world, a } = pair()
    const pid = await a.system.start(Counter, via('x'), 1)
    world.rejoin(a)
    await a.system.via(Counter, 'x').$.stop()
    await rest()
    expect(a.gone.map(said)).toEqual([`a 2a-boot ${pid.id}`])
    expect(world.claims.size).toBe(0)
    expect(a.system.stats().actors).toBe(0)
  })

  test('ends when another process has got its name meanwhile', async () => {
    const { world, a, b } = pair()
    await a.system.start(Counter, via('x'), 1)
    world.rejoin(a, () => false)
    const other = await b.system.start(Counter, via('x'), 50)
    const pid = onlyPid(a)
    a.deactivate?.({ pid, name: 'x', reason: 'superseded' })
    await rest()
    expect(a.system.stats().actors).toBe(0)
    expect(await a.system.via(Counter, 'x').increment()).toBe(51)
    expect(world.claims.get('x')?.pid.equals(other)).toBe(true)
  })
})

describe('what is under way when a node becomes another boot', () => {
  test('a call of another node ends with an error that says it may have run; one of its own is answered', async () => {
    const { world, a, b } = pair()
    await a.system.start(Counter, via('x'), 1)
    await a.system.start(Counter, via('y'), 1)
    const remote = b.system.via(Counter, 'x').slow()
    const local = a.system.via(Counter, 'y').slow()
    await rest()
    world.rejoin(a)
    const error = await errorOf(remote)
    expect([error.code, error.sent]).toEqual(['ERR_NODE_DOWN', 'maybe'])
    opened.call.open('done as')
    expect(await local).toBe('done as 2a-boot')
    await rest()
    // The answer to the other one has nobody to go to, and the actor is free for the next call.
    expect(await b.system.via(Counter, 'x').increment()).toBe(2)
  })

  test('a call and a stream of its own to another node end', async () => {
    const { world, a, b } = pair()
    await b.system.start(Counter, via('x'), 1)
    await b.system.start(Counter, via('y'), 1)
    const call = a.system.via(Counter, 'x').slow()
    const stream = a.system.via(Counter, 'y').ticks()[Symbol.asyncIterator]()
    expect((await stream.next()).value).toBe(0)
    world.rejoin(a)
    expect((await errorOf(call)).code).toBe('ERR_NODE_DOWN')
    const rest = (async () => {
      while (!(await stream.next()).done);
    })()
    expect(isSkepError(await errorOf(rest), 'ERR_NODE_DOWN')).toBe(true)
    expect(await a.system.via(Counter, 'y').increment()).toBe(2)
    opened.call.open('')
  })

  test('a start in flight commits under the new pid, and that is what its caller gets', async () => {
    const { world, a, b } = pair()
    const starting = a.system.start(Slow, via('s'), 7)
    await rest()
    world.rejoin(a)
    opened.init.open()
    const pid = await starting
    expect(pid.boot).toBe('2a-boot')
    expect(world.claims.get('s')?.pid.equals(pid)).toBe(true)
    expect(await b.system.via(Slow, 's').value()).toBe(7)
    expect(said(await b.system.ref(Slow, pid).pid())).toBe(said(pid))
  })

  test('so does a placed start, and one without a name', async () => {
    const { world, a } = pair()
    const placed = a.activate?.({
      ...{ name: 'p', kind: 'counter', spec: undefined, fence: 7, cause: 'spawn' as const },
      ...{ kind: 'slow', spec: await specOf(world, a, 3) },
    })
    const nameless = a.system.start(Slow, anonymous, 4)
    await rest()
    world.rejoin(a)
    opened.init.open()
    expect((await placed)?.boot).toBe('2a-boot')
    expect((await nameless).boot).toBe('2a-boot')
  })

  test('is linked under the new pids to others of its node: it is told once of an end, and can unlink', async () => {
    const downs: string[] = []
    const Frail = defineActor('frail', {
      init: () => 0,
      on: {
        raise: (self): Promise<Pid> => self.start(Frail, anonymous),
        link: (self, pid: Pid) => self.link(pid),
        unlink: (self, pid: Pid) => self.unlink(pid),
        fall: (self) => self.crash(new Error('oops')),
      },
      onExit: (_self, { pid, reason }) => void downs.push(`${said(pid)} ${reason}`),
    })
    const world = new World()
    const a = world.add('a', { actors: [Frail] })
    await a.system.start(Frail, via('p'))
    const p = a.system.via(Frail, 'p')
    const kid = await p.raise()
    const peer = await a.system.start(Frail, via('q'))
    for (const pid of [kid, peer]) await p.link(pid)
    world.rejoin(a)
    await rest()
    const now = (pid: Pid): Pid => new Pid(a.boot, pid.id, pid.node)
    await a.system.ref(Frail, now(kid)).fall()
    await rest()
    expect(downs).toEqual([`${said(now(kid))} crashed`])
    await p.unlink(now(peer))
    await a.system.ref(Frail, now(peer)).fall()
    await rest()
    expect(downs).toHaveLength(1)
  })
})

/** What a placed start of `Slow` with this argument is told, as the tracker would hand it over. */
async function specOf(world: World, node: TestNode, n: number): Promise<unknown> {
  const { activate } = node
  let spec: unknown
  for (const one of world.nodes.values()) one.activate = undefined
  node.activate = (activation) => {
    spec = activation.spec
    return Promise.reject(new Error('not now'))
  }
  await errorOf(node.system.spawn(Slow, via('other'), n))
  node.activate = activate
  return spec
}
