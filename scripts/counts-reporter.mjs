/**
 * A vitest reporter that writes `{ passed, failed, skipped }` as JSON to the file named in SKEP_COUNTS.
 *
 * Counts as failed, beside tests: files that did not load, hooks that threw, and errors that nobody handled.
 */
import { writeFileSync } from 'node:fs'

export default class CountsReporter {
  /**
   * @param {ReadonlyArray<import('vitest/node').TestModule>} modules
   * @param {ReadonlyArray<unknown>} unhandledErrors
   */
  onTestRunEnd(modules, unhandledErrors) {
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 }
    for (const module of modules) {
      counts.failed += module.errors().length
      for (const suite of module.children.allSuites()) counts.failed += suite.errors().length
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        // A test that is still pending now never ended.
        counts[state === 'pending' ? 'failed' : state]++
      }
    }
    const file = process.env.SKEP_COUNTS
    if (file) writeFileSync(file, JSON.stringify(counts))
  }
}
