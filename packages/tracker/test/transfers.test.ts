/** A log on its way to a peer, as a whole: what is sent, and that what arrives is what there is. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Op, Pid, type TrackerMessage, trackerLimits } from '../src/core/index.js'
import { type Log, logOf } from '../src/core/logs.js'
import { claimOf, digestTo, infoOf, One, stateOf, writer } from './one.js'

type State = Extract<TrackerMessage, { type: 'state' }>

const put = (i: number): Op => ({ type: 'put', claim: claimOf(`own-${i}`, i) })
const puts = (from: number, to: number): Op[] => Array.from({ length: to - from + 1 }, (_, i) => put(from + i))

/** It has nine entries of the writer's log, of which a chunk holds one or two; two chunks may be on the way. */
function sender(...others: readonly string[]): One {
  const one = new One('writer', ...others)
  Object.assign(one.state.registry, { maxTail: 1 })
  Object.assign(one.state.config.limits, { chunkBytes: 100, maxChunks: 2, maxTail: 1 })
  one.hearOps(1, ...puts(1, 9))
  return one
}

function pull(one: One, name: string): void {
  one.hear({ type: 'pull', boot: writer, have: 0 }, `boot-of-${name}`)
  while (one.goOn());
}

function more(one: One, name: string, chunk: number): void {
  one.hear({ type: 'more', boot: writer, chunk }, `boot-of-${name}`)
  while (one.goOn());
}

/** The receiver takes what there is, until all is sent. */
function takeAll(one: One, name: string): void {
  const boot = `boot-of-${name}`
  for (let chunk = 1; one.state.transfers.some(({ to }) => to === boot); chunk++) {
    expect(chunk).toBeLessThan(100)
    more(one, name, chunk)
  }
}

function parts(one: One, name: string): State[] {
  return one.sent.flatMap(({ to, message }) => (message.type === 'state' && to === `boot-of-${name}` ? message : []))
}

const kept = (one: One): number => logOf(one.state.registry, writer).tail.length

describe('a log that is sent', () => {
  test('is no longer in the way of others once its receiver has given it up, nor of itself', () => {
    const writers = Array.from({ length: trackerLimits.maxTransfers + 1 }, (_, i) => `writer${i}`)
    const one = new One('other', ...writers)
    Object.assign(one.state.config.limits, { chunkBytes: 1, maxChunks: 1 })
    for (const name of writers) {
      const boot = `boot-of-${name}`
      const claims = Array.from({ length: 5 }, (_, i) => {
        return { ...claimOf(`${name}-${i}`, i + 1), pid: new Pid(boot, i, name) }
      })
      const ops = claims.map((claim): Op => ({ type: 'put', claim }))
      one.hear({ type: 'ops', boot, first: 1, ops, counter: 1, reply: false }, boot)
    }
    const answers = (name: string): string[] => {
      one.sent.length = 0
      one.hear({ type: 'pull', boot: `boot-of-${name}`, have: 0 }, 'boot-of-other')
      return one.sent.flatMap(({ message: { type } }) => (type === 'state' || type === 'busy' ? type : []))
    }
    const last = writers.at(-1) as string
    for (const name of writers) expect(answers(name)).toEqual([name === last ? 'busy' : 'state'])
    expect(answers('writer0')).toEqual(['state'])
    one.now += trackerLimits.pullMs + 1
    expect(answers(last)).toEqual(['state'])
  })

  test('comes with all that is written meanwhile, which is kept for as long as somebody needs it', () => {
    const one = sender('other', 'third')
    pull(one, 'other')
    expect(parts(one, 'other')).toHaveLength(2)
    expect(parts(one, 'other').flatMap(({ ops }) => ops)).toEqual([])
    one.hearOps(10, ...puts(10, 39))
    expect(kept(one)).toBeGreaterThanOrEqual(30)
    // Who is no more behind than usual gets ops, whoever needs more than that the whole, in parts.
    one.sent.length = 0
    for (const have of [38, 10]) one.hear({ type: 'pull', boot: writer, have }, 'boot-of-third')
    expect(one.sent.map(({ message }) => message.type)).toEqual(['ops', 'state'])
    one.step({ type: 'unlinked', boot: 'boot-of-third' })
    takeAll(one, 'other')
    expect(parts(one, 'other').at(-1)?.last).toBe(true)
    expect(parts(one, 'other').flatMap(({ ops }) => ops)).toEqual(puts(10, 39))
    expect(kept(one)).toBeLessThanOrEqual(2)
  })

  test('comes with that also where another one that has it has all already', () => {
    const one = sender('other', 'third')
    pull(one, 'other')
    pull(one, 'third')
    one.hearOps(10, ...puts(10, 39))
    takeAll(one, 'third')
    one.hearOps(40, ...puts(40, 49))
    takeAll(one, 'other')
    expect(parts(one, 'third').flatMap(({ ops }) => ops)).toEqual(puts(10, 39))
    expect(parts(one, 'other').flatMap(({ ops }) => ops)).toEqual(puts(10, 49))
  })

  test('has no more on its way with ops than without, nor more of them in a part than four times what it holds', () => {
    const one = sender('other')
    Object.assign(one.state.config.limits, { chunkBytes: 1000, maxChunks: 4 })
    one.hearOps(10, ...puts(10, 200))
    pull(one, 'other')
    expect(parts(one, 'other')).toHaveLength(4)
    one.hearOps(201, ...puts(201, 400))
    more(one, 'other', 1)
    more(one, 'other', 2)
    expect(parts(one, 'other')).toHaveLength(5)
    const [{ ops = [] } = {}] = parts(one, 'other').slice(-1)
    expect(ops.length).toBeGreaterThan(4000 / 80)
    expect(ops.length).toBeLessThan(5000 / 64)
    // The last one counts for five.
    for (const chunk of [3, 4]) more(one, 'other', chunk)
    expect(parts(one, 'other')).toHaveLength(5)
    more(one, 'other', 5)
    expect(parts(one, 'other')).toHaveLength(6)
  })

  test('has its receiver say of each part with ops that it came', () => {
    const one = new One('writer', 'other')
    one.hear(digestTo(200), 'boot-of-other')
    const said = (): TrackerMessage[] =>
      one.sent.splice(0).flatMap(({ message }) => (message.type === 'more' ? message : []))
    one.hear({ ...stateOf([claimOf('x', 1)], 200), last: false })
    expect(said()).toEqual([])
    one.hear({ ...stateOf([], 200, [], puts(201, 202)), chunk: 1, last: false })
    expect(said()).toEqual([{ type: 'more', boot: writer, chunk: 2 }])
    for (const chunk of [2, 3]) one.hear({ ...stateOf([], 200), chunk, last: false })
    expect(said()).toEqual([{ type: 'more', boot: writer, chunk: 4 }])
  })

  test('ends where its receiver takes nothing of it, or not as fast as it grows; then nothing is kept for it', () => {
    for (const maxBuffered of [20, 100_000]) {
      const one = sender('other')
      Object.assign(one.state.config.limits, { maxBuffered })
      pull(one, 'other')
      one.hearOps(10, ...puts(10, 39))
      const rounds = maxBuffered === 20 ? 3 : trackerLimits.transferMs / 100 + 3
      for (let round = 0; round < rounds; round++) {
        one.now += 100
        one.step({ type: 'wake' })
      }
      expect(one.state.transfers).toEqual([])
      expect(kept(one)).toBeLessThanOrEqual(2)
      // Whoever waits still is told, and need not take the sender for silent.
      const isTold = one.sent.some(({ message }) => message.type === 'busy')
      expect(isTold).toBe(maxBuffered === 20)
    }
  })

  test('goes on for as long as its receiver takes some of it', () => {
    const one = sender('other')
    pull(one, 'other')
    for (let chunk = 1; one.state.transfers.length > 0; chunk++) {
      expect(chunk).toBeLessThan(100)
      one.now += trackerLimits.transferMs * 0.9
      one.step({ type: 'wake' })
      more(one, 'other', chunk)
    }
    expect(parts(one, 'other').at(-1)?.last).toBe(true)
    expect(one.now).toBeGreaterThan(2 * trackerLimits.transferMs)
  })

  test.each<[string, (one: One) => void]>([
    ['its receiver is gone', (one) => one.gone('other')],
    ['the way there is', (one) => one.step({ type: 'unlinked', boot: 'boot-of-other' })],
    [
      'its sender goes on as another boot',
      (one) => one.step({ type: 'rejoined', self: { ...infoOf('self'), boot: 'again' }, members: [] }),
    ],
  ])('ends where %s', (_, end) => {
    const one = sender('other')
    pull(one, 'other')
    one.hearOps(10, ...puts(10, 39))
    end(one)
    expect(one.state.transfers).toEqual([])
    expect(kept(one)).toBeLessThanOrEqual(2)
  })

  test('ends where it is replaced itself, and its receiver asks anew at once', () => {
    const one = sender('other')
    pull(one, 'other')
    one.hear(digestTo(500))
    one.sent.length = 0
    one.hear(stateOf([claimOf('x', 500)], 500))
    expect(one.sent.filter(({ to }) => to === 'boot-of-other').map(({ message }) => message.type)).toEqual(['busy'])
    expect(one.state.transfers).toEqual([])
  })

  test('where it is not there any more its receiver asks anew at once', () => {
    const one = sender('other')
    pull(one, 'other')
    one.state.registry.logs.delete(writer)
    one.sent.length = 0
    more(one, 'other', 1)
    expect(one.sent.map(({ message }) => message.type)).toEqual(['busy'])
    expect(one.state.transfers).toEqual([])
  })

  test('ends with no op that leaves after it', () => {
    const one = new One('other')
    const { generation, config } = one.state
    const slots = new Uint8Array([255])
    one.hear({ type: 'ack', generation, slots, notYet: false, counter: 1, entries: [] }, 'boot-of-other')
    one.hear({ type: 'digest', counter: 1, lineage: one.state.lineage, depth: 0, entries: [] }, 'boot-of-other')
    expect(one.state.ready).toBe(true)
    Object.assign(one.state.registry, { maxTail: 1 })
    Object.assign(config.limits, { chunkBytes: 100 })
    for (let i = 0; i < 12; i++) one.step({ type: 'claim', ask: i + 1, name: `own-${i}`, pid: i, mode: 'local' })
    one.sent.length = 0
    one.hear({ type: 'pull', boot: 'boot-of-self', have: 0 }, 'boot-of-other')
    // A start whose init runs: so there is something to look after, in a step that writes.
    one.step({ type: 'claim', ask: 99, name: 'pending' })
    let [told, reached, ended, ask] = [0, 12, 0, 100]
    for (; ended === 0 && ask < 1000; ask++) {
      one.now += 100
      one.step({ type: 'claim', ask, name: `more-${ask}`, pid: ask, mode: 'local' })
      for (const { message } of one.sent.splice(0)) {
        if (message.type === 'ops' && !message.reply) told = message.first + message.ops.length - 1
        if (message.type !== 'state') continue
        reached += message.ops.length
        if (!message.last) continue
        ended = reached
        expect(told).toBe(ended)
      }
    }
    expect(ended).toBeGreaterThan(0)
  })
})

describe('whatever is written while a log is sent, and in whatever order all of that arrives', () => {
  /** Names and groups of which there are few, so that they go and come again. */
  const change = fc.record({
    what: fc.constantFrom('put', 'put', 'put', 'del', 'strike', 'join', 'quit'),
    at: fc.nat({ max: 59 }),
    behind: fc.nat({ max: 30 }),
  })
  type Change = typeof change extends fc.Arbitrary<infer T> ? T : never

  function opOf({ what, at, behind }: Change, seq: number): Op {
    const name = `n${at}`
    const fence = Math.max(1, seq - behind)
    const membership = { group: `g${at % 7}`, pid: new Pid(writer, at % 5, 'writer'), seq, meta: undefined }
    switch (what) {
      case 'del':
        return { type: 'del', name, fence, strike: undefined }
      case 'strike':
        return { type: 'del', name, fence, strike: `start-${seq}` }
      case 'join':
        return { type: 'join', membership }
      case 'quit':
        return { type: 'quit', group: membership.group, id: membership.pid.id }
      default:
        return { type: 'put', claim: claimOf(name, seq) }
    }
  }

  function contentOf({ seq, high, low, claims, groups, strikes }: Log): object {
    const members = [...groups.values()].flatMap((all) => [...all.values()])
    return {
      seq,
      hash: [high, low],
      claims: new Map(claims),
      members: new Map(members.map((one) => [`${one.group} ${one.pid.id}`, one])),
      strikes: new Map([...strikes].map(([name, { at: _, ...one }]) => [name, one])),
    }
  }

  const act = fc.oneof(
    { weight: 2, arbitrary: fc.array(change, { minLength: 1, maxLength: 8 }) },
    {
      weight: 9,
      arbitrary: fc.constantFrom('to sender', 'to receiver', 'told', 'sender works', 'receiver works', 'time'),
    },
    { weight: 1, arbitrary: fc.constantFrom('another one', 'another one goes', 'is dealt out') },
  )
  const plans = fc.record({
    chunkBytes: fc.integer({ min: 1, max: 250 }),
    maxChunks: fc.integer({ min: 1, max: 6 }),
    maxBuffered: fc.constantFrom(8, 30, 100_000),
    tells: fc.boolean(),
    before: fc.array(change, { minLength: 30, maxLength: 120 }),
    acts: fc.array(act, { minLength: 100, maxLength: 400 }),
  })

  test('what is there in the end is what its sender has', () => {
    let whole = 0
    fc.assert(
      fc.property(plans, ({ chunkBytes, maxChunks, maxBuffered, tells, before, acts }) => {
        const from = new One('writer', 'receiver', 'another')
        const into = new One('writer', 'sender')
        into.step({ type: 'unlinked', boot: writer })
        for (const one of [from, into]) {
          Object.assign(one.state.registry, { maxTail: 16 })
          Object.assign(one.state.config.limits, { chunkBytes, maxChunks, maxTail: 16 })
        }
        Object.assign(into.state.config.limits, { maxBuffered })
        const sent = logOf(from.state.registry, writer)
        const got = (): Log => logOf(into.state.registry, writer)
        let seq = 0
        const toSender: TrackerMessage[] = []
        const toReceiver: TrackerMessage[] = []
        const told: TrackerMessage[] = []

        function write(changes: readonly Change[]): void {
          const first = seq + 1
          const ops = changes.map((one) => opOf(one, ++seq))
          from.hearOps(first, ...ops)
          if (tells) told.push({ type: 'ops', boot: writer, first, ops, counter: 1, reply: false })
        }

        function collect(): void {
          for (const { to, message } of from.sent.splice(0))
            if (to === 'boot-of-receiver' && 'boot' in message && message.boot === writer) toReceiver.push(message)
          for (const { message } of into.sent.splice(0))
            if (message.type === 'pull' || message.type === 'more') toSender.push(message)
        }

        /** Returns whether there was something to do. */
        function doOne(what: string): boolean {
          const hear = (one: One, queue: TrackerMessage[], boot: string): boolean => {
            const message = queue.shift()
            if (message !== undefined) one.hear(message, boot)
            if (message?.type === 'state' && message.last) whole++
            return message !== undefined
          }
          if (what === 'to sender') return hear(from, toSender, 'boot-of-receiver')
          if (what === 'to receiver') return hear(into, toReceiver, 'boot-of-sender')
          if (what === 'told') return hear(into, told, writer)
          return (what === 'sender works' ? from : into).goOn()
        }

        function pass(): void {
          for (const one of [from, into]) {
            one.now += 100
            one.step({ type: 'wake' })
          }
          into.hear(digestTo(sent.seq, sent), 'boot-of-sender')
        }

        write(before)
        told.length = 0
        pass()
        for (const act of acts) {
          if (typeof act !== 'string') write(act)
          else if (act === 'time') pass()
          // As if it were large: the walk through it goes on in what it was.
          else if (act === 'is dealt out') Object.assign(sent.claims, { most: 0 })
          else if (act === 'another one') from.hear({ type: 'pull', boot: writer, have: 0 }, 'boot-of-another')
          else if (act === 'another one goes') from.step({ type: 'unlinked', boot: 'boot-of-another' })
          else doOne(act)
          collect()
          const reached = from.state.transfers.map((one) => one.seq)
          expect(sent.wanted).toBe(Math.min(...reached))
          for (const one of reached) expect(sent.tail.length).toBeGreaterThanOrEqual(sent.seq - one)
        }
        const all = ['to sender', 'to receiver', 'told', 'sender works', 'receiver works']
        for (let round = 0; got().seq < seq || into.state.replacements.size > 0; round++) {
          expect(round).toBeLessThan(400)
          for (let i = 0; all.filter((what) => doOne(what)).length > 0; i++) {
            expect(i).toBeLessThan(10_000)
            collect()
          }
          pass()
          collect()
        }
        expect(contentOf(got())).toEqual(contentOf(sent))
      }),
      { numRuns: 300 },
    )
    expect(whole).toBeGreaterThan(100)
  })
})
