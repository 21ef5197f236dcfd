import { expect, test } from 'vitest'
import { page, plotFiles } from '../src/page.js'
import { alone, flat, judged, type RowReport, type Run, shown, tell } from '../src/report.js'

const calls: RowReport = {
  what: 'Calls there and back.',
  measures: [
    {
      name: 'calls, 1 in flight',
      unit: 'op/s',
      value: { median: 51_234, lowest: 40_000, highest: 60_000 },
      cpuUsPerOp: 12.345,
      yardstick: {
        name: 'raw',
        value: flat(1_234_567),
        cpuUsPerOp: 4,
        ratio: { median: 0.0415, lowest: 0.03, highest: 0.05 },
        cpuRatio: flat(3.086),
      },
      ...judged(0.0415, { of: 'ratio', bound: 'at least', limit: 0.6 }),
    },
    alone('p99 meanwhile', 'ms', [12, 11, 14], { bound: 'at most', limit: 20 }),
  ],
  plots: [
    {
      file: 'calls',
      title: 'Calls',
      x: 'in flight',
      lines: [
        {
          name: 'Skep',
          points: [
            [1, 5],
            [256, 50],
          ],
        },
      ],
    },
    { file: 'empty', title: 'Nothing', x: 'x', lines: [{ name: 'none', points: [[1, Number.NaN]] }] },
  ],
  wrong: [],
}

const run: Run = {
  machine: { node: 'v20.19.0', cpu: 'a processor', cores: 2, load: { begun: 0.4, ended: 1 } },
  rounds: 7,
  quick: false,
  million: false,
  rows: { remoteCall: calls },
}

test('what is the ratio of nothing to nothing is none, also where the run was kept as JSON', () => {
  const ratio = flat(Number.NaN)
  const measure = {
    name: 'no turn',
    unit: 'ms' as const,
    value: flat(0),
    yardstick: { name: 'clock', value: flat(0), ratio },
  }
  const rows = { growth: { ...calls, measures: [measure], plots: [] } }
  for (const one of [{ ...run, rows }, JSON.parse(JSON.stringify({ ...run, rows })) as Run])
    expect(page(one, 'node scripts/performance.mjs', '1.2.3')).toContain('| no turn | 0 ms |  | clock 0 ms |  | none |')
})

test('the page has a row for each measure with its ratio, its processor time and its target', () => {
  const text = page(run, 'node scripts/performance.mjs', '1.2.3')
  expect(text).toContain(
    '| calls, 1 in flight | 51.2 k/s (40 k/s to 60 k/s) | 12.3 us | raw 1.23 M/s | 4 us | 0.0415 x (0.03 x to 0.05 x) | 3.09 x | target at least 0.6 x: MISSED |',
  )
  expect(text).toContain('| p99 meanwhile | 12 ms (11 ms to 14 ms) |  |  |  |  |  | target at most 20 ms: met |')
  expect(text).toContain('Version 1.2.3, made by `node scripts/performance.mjs`')
  expect(text).toContain('none was wrong')
  expect(text).toContain('![Calls](performance/calls.svg)')
  expect(text).not.toMatch(/NaN|undefined|quick/)
})

test('a run on another version of Node has its rows behind the others, and its faults are told at the top', () => {
  const other: Run = {
    ...run,
    machine: { ...run.machine, node: 'v99.1.0' },
    rows: { localCall: { ...calls, wrong: ['Skep: 3 of 100'] } },
  }
  const text = page(run, '', '1.2.3', other)
  expect(text).toContain('1 checks were NOT right')
  const [first, second] = text.split('## On Node v99.1.0')
  expect(first).toContain('## remoteCall')
  expect(second).toContain('### localCall')
  expect(second).toContain('| calls, 1 in flight | 51.2 k/s')
  expect(page(run, '', '1.2.3')).not.toContain('On Node')
})

test('a run that was to try the scripts, and one with wrong answers, say so on the page', () => {
  const text = page(
    { ...run, quick: true, rows: { remoteCall: { ...calls, wrong: ['Skep: 3 of 100\nmore'] } } },
    '',
    '1',
  )
  expect(text).toContain('**Made with `--quick`, to try the scripts: the figures say nothing.**')
  expect(text).toContain('**Wrong:** Skep: 3 of 100\n')
  expect(text).toContain('NOT right')
})

test('each plot that has something to show is a file, with the points of its lines', () => {
  const [file, ...others] = plotFiles(run)
  expect(others).toEqual([])
  expect(file?.file).toBe('calls.svg')
  expect(file?.svg.match(/<circle/g)).toHaveLength(2)
  expect(file?.svg).not.toMatch(/NaN|Infinity|undefined/)
})

test('a row is told in a line for each measure, and what was wrong with it', () => {
  expect(tell('remoteCall', { ...calls, wrong: ['3 of 100'] })).toEqual([
    'remoteCall calls, 1 in flight  51.2 k/s (40 k/s to 60 k/s) (12.3 us of processor), raw 1.23 M/s (4 us of processor), 0.0415 x (0.03 x to 0.05 x), 3.09 x the processor, target at least 0.6 x: MISSED',
    'remoteCall p99 meanwhile       12 ms (11 ms to 14 ms), target at most 20 ms: met',
    'remoteCall WRONG: 3 of 100',
  ])
})

test('a figure has three digits, and what there is none of is none', () => {
  expect([shown(0.012345, 'ms'), shown(1234.5, 'us'), shown(9999, 'op/s'), shown(10_000, 'calls')]).toEqual([
    '0.0123 ms',
    '1235 us',
    '9999/s',
    '10 k calls',
  ])
  expect([shown(Number.NaN, 'ms'), shown(2, 'x')]).toEqual(['none', '2 x'])
})

test('a target is met at its very limit', () => {
  expect(judged(0.6, { of: 'ratio', bound: 'at least', limit: 0.6 }).target?.met).toBe(true)
  expect(judged(20, { of: 'value', bound: 'at most', limit: 20 }).target?.met).toBe(true)
  expect(judged(Number.NaN, { of: 'value', bound: 'at most', limit: 20 }).target?.met).toBe(false)
  expect(judged(1, undefined)).toEqual({})
})
