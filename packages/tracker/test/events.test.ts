/** A stream of events begins with the names that are held, however many, and never keeps the loop from its other work. */
import { expect, test } from 'vitest'
import type { Claim, NameEvent } from '../src/core/index.js'
import { Pid } from '../src/core/index.js'
import { EventStreams, eventBufferSize } from '../src/events.js'

function claimOf(name: string, fence = 1): Claim {
  const stamp = { lineage: { epoch: 0, genesis: 'b' }, event: 1 }
  const of = { kind: undefined, meta: undefined, placed: undefined }
  return { name, pid: new Pid('b', 1, 'n'), seq: 1, fence, stamp, ...of }
}

/** Names in pieces by their first letter, a turn when the test says so. */
class Names {
  readonly pieces = new Map<string, Claim[]>()
  readonly turns: (() => void)[] = []
  readonly streams = new EventStreams({
    watch: () => {},
    defer: (fn) => this.turns.push(fn),
    pieces: () => this.pieces.size,
    pieceOf: (name) => [...this.pieces.keys()].indexOf(name.charAt(0)),
    holdersIn: (piece) => [...([...this.pieces.values()][piece] ?? [])],
  })

  constructor(...names: readonly string[]) {
    for (const name of names) {
      const letter = name.charAt(0)
      this.pieces.set(letter, [...(this.pieces.get(letter) ?? []), claimOf(name)])
    }
  }

  register(name: string): void {
    const claim = claimOf(name, 2)
    this.pieces.set(name.charAt(0), [...(this.pieces.get(name.charAt(0)) ?? []), claim])
    this.streams.push({ type: 'registered', name, claim, previous: undefined, reason: 'put' })
  }

  turn(): void {
    for (const fn of this.turns.splice(0)) fn()
  }
}

/** What comes of it until it waits. */
function reader(names: Names, prefix?: string): string[] {
  const got: string[] = []
  const read = async (): Promise<void> => {
    for await (const event of names.streams.open(prefix === undefined ? {} : { prefix }))
      got.push(event.type === 'missed' ? `missed ${event.count}` : `${event.name} ${(event as NameEvent).reason}`)
  }
  void read()
  return got
}

const served = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('a turn gives one piece of the names at most', async () => {
  const names = new Names('a1', 'a2', 'b1', 'c1')
  const got = reader(names)
  await served()
  expect(got).toEqual(['a1 present', 'a2 present'])
  names.turn()
  await served()
  expect(got).toEqual(['a1 present', 'a2 present', 'b1 present'])
  names.turn()
  await served()
  names.turn()
  await served()
  expect(got.slice(3)).toEqual(['c1 present'])
})

test('what happens while pieces are read is given once: as it is then, or as an event behind the present', async () => {
  const names = new Names('a1', 'b1', 'c1')
  const got = reader(names)
  await served()
  names.register('a2')
  names.register('c2')
  for (let i = 0; i < 4; i++) {
    names.turn()
    await served()
  }
  expect(got).toEqual(['a1 present', 'b1 present', 'c1 present', 'c2 present', 'a2 put'])
  names.register('c3')
  await served()
  expect(got.at(-1)).toBe('c3 put')
})

test('a reader that never waits lets the loop turn', async () => {
  const names = new Names(...Array.from({ length: 5 * eventBufferSize }, (_, i) => `a${i}`))
  const got = reader(names)
  await served()
  expect(got).toHaveLength(2 * eventBufferSize)
  names.turn()
  await served()
  expect(got).toHaveLength(4 * eventBufferSize)
})

test('pieces without a name of the prefix are passed over', async () => {
  const names = new Names('a1', 'b1', 'c1', 'c2')
  const got = reader(names, 'c2')
  await served()
  for (let i = 0; i < 3; i++) {
    names.turn()
    await served()
  }
  expect(got).toEqual(['c2 present'])
})

test('a stream that is ended in the midst of its first names gives no more of them', async () => {
  for (const ending of ['abort', 'end'] as const) {
    const end = new AbortController()
    const names = new Names('a1', 'a2', 'b1')
    const next = names.streams.open({ signal: end.signal })[Symbol.asyncIterator]()
    expect(await next.next()).toMatchObject({ value: { name: 'a1' } })
    if (ending === 'abort') end.abort()
    else names.streams.end()
    expect(await next.next()).toEqual({ done: true, value: undefined })
    expect(names.streams.size).toBe(0)
  }
})

test('a stream that is ended behind them gives what it has', async () => {
  const names = new Names('a1')
  const next = names.streams.open({})[Symbol.asyncIterator]()
  names.register('a2')
  names.streams.end()
  expect(await next.next()).toMatchObject({ value: { name: 'a1' } })
  expect(await next.next()).toMatchObject({ value: { name: 'a2' } })
  expect(await next.next()).toEqual({ done: true, value: undefined })
})
