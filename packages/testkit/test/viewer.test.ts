/** The recording of a run agrees with the run, and its page holds nothing but that. */
import { expect, test } from 'vitest'
import type { Observe } from '../src/machines/observation.js'
import { runSeed } from '../src/machines/simulate.js'
import { escapeScript, html } from '../src/viewer/html.js'
import { type Packed, pack, unpack } from '../src/viewer/page/packed.js'
import { matcher, subjectOf } from '../src/viewer/page/query.js'
import type { Recording } from '../src/viewer/page/recording.js'
import { Scene } from '../src/viewer/page/scene.js'
import { around, fit, pan, ticks, zoom } from '../src/viewer/page/timeline.js'
import { Recorder } from '../src/viewer/recorder.js'

const options = { seed: 21, nodes: [4, 8], faults: ['joins', 'leaves', 'loss'] } as const

function record(maxKept?: number, also?: Observe): Recording {
  const recorder = new Recorder(maxKept)
  const observe: Observe = (at, seen) => {
    recorder.observe(at, seen)
    also?.(at, seen)
  }
  return recorder.recording(runSeed({ ...options, observe }), 'npm run sim')
}

function dataOf(page: string): Packed {
  return JSON.parse(/<script type="application\/json" id="recording">(.*?)<\/script>/s.exec(page)?.[1] ?? '')
}

test('a run that is recorded is the same run', () => {
  const recorder = new Recorder()
  expect(runSeed({ ...options, observe: recorder.observe })).toEqual(runSeed(options))
})

test('each frame that arrives has an arrow that ends there, and each lost one has none', () => {
  const arrivals: string[] = []
  let sent = 0
  const recording = record(undefined, (at, seen) => {
    if (seen.type === 'sent') sent++
    if (seen.type === 'arrived') arrivals.push(`${seen.arrival.node?.boot} ${at.toFixed(3)}`)
  })
  const { frames, lanes } = recording
  expect(frames).toHaveLength(sent)
  const ends = frames.flatMap(({ to, arrived }) =>
    arrived === undefined ? [] : [`${lanes[to]?.boot} ${arrived.toFixed(3)}`],
  )
  expect(ends.sort()).toEqual(arrivals.sort())
  expect(frames.every(({ sent, arrived }) => arrived === undefined || arrived > sent)).toBe(true)
  expect(ends.length).toBeGreaterThan(100)
  expect(ends.length).toBeLessThan(sent)
})

test('a lane lives as its node does: started, ready, leaving, gone', () => {
  const lives = new Map<string, { from: number; until: number | undefined }>()
  const recording = record(undefined, (at, seen) => {
    if (seen.type === 'started') lives.set(seen.node.boot, { from: at, until: undefined })
    if (seen.type === 'ended') lives.set(seen.node.boot, { from: seen.node.startedAt, until: at })
  })
  expect(recording.lanes.map((lane) => lane.boot)).toEqual([...lives.keys()])
  for (const lane of recording.lanes) {
    const life = lives.get(lane.boot)
    expect(lane.from).toBeCloseTo(life?.from ?? -1, 2)
    expect(lane.until ?? -1).toBeCloseTo(life?.until ?? -1, 2)
    expect(lane.until === undefined).toBe(lane.leavingAt === undefined)
  }
  expect(recording.lanes.some((lane) => lane.until !== undefined)).toBe(true)
  expect(recording.faults.map((fault) => fault.kind)).toEqual(expect.arrayContaining(['leave', 'drop']))
})

test('nothing is held by a node that is gone', () => {
  const { holds, lanes } = record()
  for (const hold of holds) {
    const end = lanes[hold.lane]?.until
    if (end !== undefined) expect(hold.until).toBeLessThanOrEqual(end)
  }
  expect(holds.some((hold) => hold.what === 'name-1')).toBe(true)
  expect(holds.some((hold) => hold.what === 'slot 1')).toBe(true)
})

test('a recording keeps the end of what is too much for it, and tells what it left out', () => {
  const whole = record()
  const part = record(100)
  expect(part.frames.length).toBeLessThanOrEqual(100)
  expect(part.marks.length).toBeLessThanOrEqual(100)
  expect(part.frames.at(-1)).toEqual(whole.frames.at(-1))
  const count = (one: Recording): number => one.frames.length + one.marks.length + one.holds.length
  expect(part.leftOut + count(part)).toBe(count(whole))
})

test('the page carries the whole recording and loads nothing', () => {
  const recording = record()
  const page = html(recording)
  expect(unpack(dataOf(page))).toEqual(JSON.parse(JSON.stringify(recording)))
  expect(page).not.toMatch(/https?:\/\/|@import|<link|\bsrc=|^(?:import|export)\b/m)
})

test('no text of a recording gets out of its place', () => {
  const hostile = '</script><script>alert(1)</script><!-- \u2028 \u2029 & "quoted" \\u003c'
  const empty: Recording = { ...record(), command: hostile, frames: [], marks: [], holds: [] }
  const page = html(empty)
  expect(page).not.toContain('alert(1)</script>')
  expect(dataOf(page).command).toBe(hostile)
  expect(escapeScript(JSON.stringify(hostile))).not.toMatch(/[<>&\u2028\u2029]/)
  expect(unpack(pack(empty))).toEqual(empty)
})

test('a search finds whole numbers, in any case, and what a violation is about', () => {
  expect(matcher('  ')).toBeUndefined()
  expect(matcher('name-1')?.('put NAME-1: fence 3')).toBe(true)
  expect(matcher('name-1')?.('put name-12')).toBe(false)
  expect(matcher('slot 2')?.('takes slot 12, slot 20')).toBe(false)
  expect(matcher('a.*(b')?.('xa.*(b')).toBe(true)
  expect(subjectOf('name-3 is held by x-n01-0')).toBe('name-3')
  expect(subjectOf('slot 9 is held by a and by b')).toBe('slot 9')
  expect(subjectOf('a-n01-0 is not ready')).toBe('')
})

test('the view never leaves the run, and a zoom keeps the time under the pointer', () => {
  const whole = { from: 0, to: 20_000 }
  expect(around(100, whole)).toEqual({ from: 0, to: 1500 })
  expect(around(5000, whole)).toEqual({ from: 4000, to: 5500 })
  expect(pan({ from: 19_000, to: 20_000 }, 500, whole)).toEqual({ from: 19_000, to: 20_000 })
  expect(fit(-5, 100_000, whole)).toEqual(whole)
  expect(zoom({ from: 1000, to: 2000 }, 0.5, 1250, whole)).toEqual({ from: 1125, to: 1625 })
  expect(ticks({ from: 90, to: 420 }, 80)).toEqual([100, 200, 300, 400])
})

test('the frames in view are those that a look at all of them finds', () => {
  const scene = new Scene(record())
  for (let from = 0; from < 6000; from += 371) {
    scene.look({ from, to: from + 200 })
    const { span } = scene
    const naive = scene.recording.frames.filter((one) => one.sent <= span.to && (one.arrived ?? one.sent) >= span.from)
    expect(scene.frames()).toEqual(naive)
  }
})
