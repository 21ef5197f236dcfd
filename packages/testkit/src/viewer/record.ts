/** One run, and the page that shows it. */
import { writeFileSync } from 'node:fs'
import type { RunReport } from '../machines/report.js'
import { runSeed } from '../machines/simulate.js'
import type { RunOptions } from '../machines/world.js'
import { html } from './html.js'
import { Recorder } from './recorder.js'

/** Runs and writes the page to `file`; `command` is what makes the same run again. Throws where it cannot write. */
export function recordRun(options: RunOptions, file: string, command: string): RunReport {
  const recorder = new Recorder()
  const report = runSeed({ ...options, observe: recorder.observe })
  writeFileSync(file, html(recorder.recording(report, command)))
  return report
}
