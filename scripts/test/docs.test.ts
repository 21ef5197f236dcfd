import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { errorCodes } from '../../packages/cluster/src/errors.js'
import { root } from '../bootstrap.mjs'
import { errorsPage } from '../errors-page.mjs'
import { read } from './files.js'

test('docs/errors.md shows the table of error codes in the sources', () => {
  expect(read('docs/errors.md')).toBe(errorsPage(errorCodes))
})

/** Lines without what they are indented by: a page shows the inside of a test at its own margin. */
const lines = (code: string): string => code.replaceAll(/^ +/gm, '').trim()

describe('the code in docs is the code of the tests that it names', () => {
  const blocks = readdirSync(join(root, 'docs'))
    .filter((page) => page.endsWith('.md'))
    .flatMap((page) =>
      [...read(`docs/${page}`).matchAll(/^```ts\n\/\/ (\S+\.ts)\n([\s\S]*?)^```$/gm)].map((found) => ({ page, found })),
    )

  test('which are many', () => {
    expect(blocks.length).toBeGreaterThanOrEqual(8)
  })

  test.each(blocks.map(({ page, found: [, path = '', code = ''] }, i) => [page, i, path, code] as const))(
    '%s, block %i',
    (_page, _i, path, code) => {
      const file = lines(read(path))
      for (const part of code.split('\n\n')) expect(file, path).toContain(lines(part))
    },
  )
})

describe('each line that the tables of docs/elixir.md show is one that its test runs', () => {
  const page = read('docs/elixir.md')
  const code = lines(read('packages/testkit/test/elixir.test.ts')).replaceAll(/^(?:\/\/|\/?\*).*$/gm, '')
  // What stands between the second and the third bar, without its backticks; a row may have nothing there.
  const cells = [...page.matchAll(/^\| .+? \| (`.+`) \|(?: .*)? ?\|$/gm)].map(([, cell = '']) => cell)
  const snippets = cells.map((cell) => cell.replaceAll(/^`{1,2}|`{1,2}$/g, ''))

  test('and there are many', () => {
    expect(snippets.length).toBeGreaterThan(80)
  })

  test.each(snippets)('%s', (snippet) => {
    expect(code).toContain(snippet)
  })

  test('and no row is passed over', () => {
    const rows = page.split('\n').filter((line) => /^\| (?!---|Elixir |Erlang |libcluster )/.test(line))
    const empty = rows.filter((row) => / \| \| /.test(row))
    expect(cells.length + empty.length).toBe(rows.length)
  })
})

test('every row of docs/comparison.md says something of every system', () => {
  const rows = read('docs/comparison.md')
    .split('\n')
    .filter((line) => line.startsWith('| '))
  for (const row of rows) expect(row.split(/(?<!\\)\|/).slice(1, -1), row).toHaveLength(9)
  const judged = rows.slice(2).flatMap((row) => row.split(/(?<!\\)\|/).slice(2, -1))
  for (const cell of judged) expect(cell).toMatch(/^ [●◐○–] /)
})
