import { type ClusterFrame, encodeFrame, type Member } from '@skep/cluster/core'
import { packFrame } from '@skep/cluster/internal'
import { encodeMessage, type TrackerMessage } from '@skep/tracker/core'
import { expect, test } from 'vitest'
import { grow } from '../src/growth/grow.js'
import type { MeasuredGrowth } from '../src/growth/grower.js'
import { plotted, rewritten } from '../src/growth/page.js'
import { Traffic } from '../src/growth/traffic.js'

// What was measured, and some more: who changes what is said to whom sees here what it costs a cold start.
test.each([
  { nodes: 10, framesANode: 160, bytesANode: 36_000 },
  { nodes: 30, framesANode: 720, bytesANode: 320_000 },
  { nodes: 45, framesANode: 420, bytesANode: 800_000 },
])('$nodes nodes that start at once form one cluster with at most $framesANode frames a node', (bound) => {
  const growth = grow({ nodes: bound.nodes, seed: 1 })
  expect(growth.faults).toEqual([])
  expect(growth.viewMs).toBeLessThan(100)
  expect(growth.readyMs).toBeLessThan(200)
  expect(growth.restMs).toBeLessThan(5000)
  expect(growth.frames / bound.nodes).toBeLessThan(bound.framesANode)
  expect(growth.bytes / bound.nodes).toBeLessThan(bound.bytesANode)
  // Where one donor served everybody its id became too deep past 32 askers, and all began anew, for ever.
  expect((growth.byType.idGrant?.frames ?? 0) / bound.nodes).toBeLessThan(5)
})

test('the same seed is the same growth, another seed another one', () => {
  expect(grow({ nodes: 10, seed: 7 })).toEqual(grow({ nodes: 10, seed: 7 }))
  expect(grow({ nodes: 10, seed: 8 }).hash).not.toBe(grow({ nodes: 10, seed: 7 }).hash)
})

test('a node alone is a cluster too', () => {
  expect(grow({ nodes: 1, seed: 1 })).toMatchObject({ frames: 0, bytes: 0, faults: [] })
})

test.each([0, 1, 15, 16, 300])(
  'bytes that are counted in parts are those of the whole frame, lists of %d',
  (length) => {
    const traffic = new Traffic()
    const members = Array.from({ length }, (_, i) => member(i))
    const entries = members.map(({ info }, i) => ({ boot: info.boot, seq: i * i, high: i * 0x1234567, low: 7 }))
    const lineage = { epoch: 1, genesis: 'boot-1' }
    const counter = 1_700_000_000_123
    const ack = { type: 'ack', generation: 3, slots: new Uint8Array(128), notYet: false, counter, entries } as const
    const frames: ClusterFrame[] = [
      { type: 'ping', seq: 70_000 },
      { type: 'news', members },
      { type: 'message', message: { type: 'digest', counter, lineage, depth: 5, entries } },
      { type: 'message', message: { type: 'pull', boot: 'boot-2', have: 300 } },
      { type: 'carry', members, message: ack },
      { type: 'relay', from: 'boot-1', to: 'boot-2', members, message: ack },
    ]
    for (const frame of frames) {
      const whole = packFrame(encodeFrame(frame, (message) => encodeMessage(message as TrackerMessage))).length
      expect([traffic.bytesOf(frame), traffic.bytesOf(frame)], frame.type).toEqual([whole, whole])
    }
  },
)

test('the page gets its tables between its marks, the plot a line for each value', () => {
  const growths = [measured(3), measured(5)]
  const page = 'before\n<!-- begin: npm run sim -- --grow -->\nold\n<!-- end: npm run sim -- --grow -->\nafter\n'
  const once = rewritten(page, growths)
  expect(once).toContain('| 3 nodes | 5 nodes |')
  expect(once).not.toContain('old')
  expect(once.startsWith('before\n')).toBe(true)
  expect(once.endsWith('\nafter\n')).toBe(true)
  expect(rewritten(once, growths)).toBe(once)
  expect(() => rewritten('no marks', growths)).toThrow("no '<!-- begin")
  const svg = plotted(growths)
  expect(svg).not.toMatch(/NaN|Infinity|undefined/)
  expect(svg.match(/<circle/g)).toHaveLength(2 * 6)
})

function member(i: number): Member {
  const name = `node-${i}`
  const info = {
    boot: `boot-${i}`,
    name,
    address: `10.0.0.${i}:7000`,
    roles: [],
    weight: 1,
    cordoned: false,
    startedAt: 0,
  }
  return { info: { ...info, kinds: ['c'], version: '1' }, phase: 'up', incarnation: i * 99, suspect: false }
}

function measured(nodes: number): MeasuredGrowth {
  const measures = { wallSeconds: 1, cpuSeconds: 1, stepsPerSecond: 1000, peakHeapMb: 20, peakRssMb: 90, restHeapMb: 9 }
  return { ...grow({ nodes, seed: 1 }), ...measures }
}
