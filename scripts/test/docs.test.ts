import { expect, test } from 'vitest'
import { errorCodes } from '../../packages/cluster/src/errors.js'
import { errorsPage } from '../errors-page.mjs'
import { read } from './files.js'

test('docs/errors.md shows the table of error codes in the sources', () => {
  expect(read('docs/errors.md')).toBe(errorsPage(errorCodes))
})
