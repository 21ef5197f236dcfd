/** A logger is the user's code, and its faults are its own. */
import { pino } from 'pino'
import { afterEach, expect, test, vi } from 'vitest'
import { type Logger, unfailing } from '../src/log.js'

const levels = ['debug', 'info', 'warn', 'error', 'fatal'] as const

/** All of whose methods do this; its children are like it. */
function loggerThat(does: () => unknown): Logger {
  const logger = Object.fromEntries(levels.map((level) => [level, does]))
  return Object.assign(logger, { child: () => loggerThat(does) }) as unknown as Logger
}

const full = new Error('the disk is full')
const ways = {
  throws: () => {
    throw full
  },
  rejects: () => Promise.reject(full),
}

const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})

afterEach(() => void warnings.mockClear())

test.each(Object.entries(ways))(
  'what a logger %s stops nobody, also a child of it, and is told once',
  async (_, does) => {
    const logger = unfailing(loggerThat(does))
    for (const one of [logger, logger.child({ component: 'x' }), logger.child({}).child({})])
      for (const level of levels) {
        one[level]('a line')
        one[level]({ field: 1 }, 'a line')
      }
    await Promise.resolve()
    expect(warnings.mock.calls).toEqual([
      ['the logger that was given to Skep fails: Error: the disk is full', { code: 'SKEP_LOGGER' }],
    ])
  },
)

test('where no child can be had, lines go to the logger itself', () => {
  const lines: unknown[] = []
  const logger = loggerThat(() => {})
  Object.assign(logger, { info: (...line: unknown[]) => lines.push(line), child: ways.throws })
  unfailing(logger).child({ component: 'x' }).info('a line')
  expect(lines).toEqual([['a line']])
})

test('what is thrown may be beyond words', () => {
  const logger = loggerThat(() => {
    throw Object.create(null)
  })
  unfailing(logger).info('a line')
  expect(warnings.mock.calls[0]?.[0]).toContain('of what cannot be shown')
})

test('lines and levels pass as they are, whoever the logger is', () => {
  const written: string[] = []
  const logger = pino({ level: 'warn', base: null, timestamp: false }, { write: (line) => written.push(line) })
  const ours = unfailing(logger)
  ours.child({ component: 'x' }).warn({ peer: 'b' }, 'it is down')
  ours.info('not written')
  expect(written).toEqual(['{"level":40,"component":"x","peer":"b","msg":"it is down"}\n'])
  const { isLevelEnabled } = ours as unknown as { isLevelEnabled(level: string): boolean }
  expect(['debug', 'warn'].map((level) => isLevelEnabled.call(ours, level))).toEqual([false, true])
  expect(unfailing(ours)).toBe(ours)
})
