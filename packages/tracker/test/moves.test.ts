/** What the stream of name events makes of what the machine has seen: moves whose beginning and end came the wrong way round. */

import { describe, expect, test } from 'vitest'
import type { Claim, NameEvent } from '../src/core/messages.js'
import { Pid } from '../src/core/pid.js'
import { EventStreams } from '../src/events.js'
import { noNames } from './sources.js'

const lineage = { epoch: 1, genesis: 'g' }

/** A placed claim; each boot has one process of each fence. */
function claim(boot: string, seq: number, more: Partial<Claim> & { event?: number; origin?: string } = {}): Claim {
  const { event = seq, origin = 'start', ...rest } = more
  return {
    name: 'x',
    pid: new Pid(boot, seq, boot),
    seq,
    fence: seq,
    stamp: { lineage, event },
    kind: 'counter',
    meta: undefined,
    placed: { spec: [], origin },
    ...rest,
  }
}

const free = (previous: Claim): NameEvent => ({
  type: 'unregistered',
  name: previous.name,
  claim: undefined,
  previous,
  reason: 'unregistered',
})
const held = (by: Claim, type: NameEvent['type'] = 'registered'): NameEvent => ({
  type,
  name: by.name,
  claim: by,
  previous: undefined,
  reason: 'put',
})

/** Reads what was pushed; the reader begins where `streams` is first read. */
function open(streams: EventStreams): () => Promise<string[]> {
  const reader = streams.open({})[Symbol.asyncIterator]()
  return async () => {
    streams.end()
    const told: string[] = []
    for (;;) {
      const { done, value } = await reader.next()
      if (done === true) return told
      if (value.type === 'missed') told.push(`missed ${value.count}`)
      else told.push([value.type, value.previous?.pid.node, value.claim?.pid.node].filter(Boolean).join(' '))
    }
  }
}

async function told(...events: readonly NameEvent[]): Promise<string[]> {
  const streams = new EventStreams(noNames)
  const read = open(streams)
  for (const event of events) streams.push(event)
  return read()
}

describe('a name that is seen free and then held', () => {
  const a = claim('a', 5)
  const fromA = { boot: 'a', seq: 5 }

  test('was moved where the new claim took the place of the old one, also when its node was gone meanwhile', async () => {
    const b = claim('b', 9, { from: fromA })
    expect(await told(free(a), held(b))).toEqual(['unregistered a', 'moved a b'])
    expect(await told(free(a), held(b, 'failover'))).toEqual(['unregistered a', 'moved a b'])
  })

  test('was moved, too, where the old claim was written again before and nobody here heard of it', async () => {
    const b = claim('b', 9, { from: { boot: 'a', seq: 6 }, event: 0 })
    expect(await told(free(a), held(b))).toEqual(['unregistered a', 'moved a b'])
  })

  test('was moved, too, where it was at a third node in between: the one before is who was seen last', async () => {
    const c = claim('c', 12, { from: { boot: 'b', seq: 9 } })
    expect(await told(free(a), held(c))).toEqual(['unregistered a', 'moved a c'])
  })

  test('was not moved where it was started anew, after its end or its failure', async () => {
    expect(await told(free(a), held(claim('b', 9)))).toEqual(['unregistered a', 'registered b'])
    const other = claim('c', 12, { from: { boot: 'b', seq: 9 }, origin: 'another start' })
    expect(await told(free(a), held(other))).toEqual(['unregistered a', 'registered c'])
  })

  test('was not moved where it is the same process again, or one that was started beside it on the other side of a cut', async () => {
    const back = claim('a', 5, { from: { boot: 'z', seq: 1 } })
    const rewritten = { ...back, seq: 7, stamp: { lineage, event: 7 } }
    expect(await told(free(back), held(rewritten))).toEqual(['unregistered a', 'registered a'])
    const later = claim('b', 9, { from: fromA, event: 0 })
    expect(await told(free(claim('a', 7)), held(later))).toEqual(['unregistered a', 'registered b'])
    const beside = claim('c', 12, { from: { boot: 'b', seq: 9 }, event: 3 })
    expect(await told(free(a), held(beside))).toEqual(['unregistered a', 'registered c'])
  })

  test('was moved once: who comes after that is another matter', async () => {
    const b = claim('b', 9, { from: fromA })
    expect(await told(free(a), held(b), held(b))).toEqual(['unregistered a', 'moved a b', 'registered b'])
  })

  test('is forgotten when 4096 others were seen free since', async () => {
    for (const others of [4095, 4096]) {
      const streams = new EventStreams(noNames)
      streams.open({})[Symbol.asyncIterator]()
      streams.push(free(a))
      for (let i = 0; i < others; i++) streams.push(free(claim('a', 5, { name: `other ${i}` })))
      const read = open(streams)
      streams.push(held(claim('b', 9, { from: fromA })))
      expect(await read()).toEqual([others < 4096 ? 'moved a b' : 'registered b'])
    }
  })

  test('is forgotten when nobody reads any more, for what happens then is not seen', async () => {
    const streams = new EventStreams(noNames)
    const reader = streams.open({})[Symbol.asyncIterator]()
    streams.push(free(a))
    await reader.return?.()
    const read = open(streams)
    streams.push(held(claim('b', 9, { from: fromA })))
    expect(await read()).toEqual(['registered b'])
  })
})
