/** Short commands of the system: what they wrote, or an error that says which one failed and why. */

import { spawn } from 'node:child_process'

/** They take milliseconds; on a starved machine some seconds. */
const LIMIT_MS = 20_000

/** Runs it with `input` as its stdin; rejects when it ends with other than 0. */
export function command(argv: readonly string[], input = '', limitMs: number = LIMIT_MS): Promise<string> {
  const [file = '', ...args] = argv
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'], timeout: limitMs, killSignal: 'SIGKILL' })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk
  })
  // One that ends without reading closes the pipe; its exit code tells.
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (code === 0) resolve(stdout)
      else reject(new Error(`${argv.join(' ')} ended with ${signal ?? code}: ${tail(stderr) || tail(stdout)}`))
    })
  })
}

/** The end of what it said, where the reason is. */
function tail(text: string): string {
  return text.trim().slice(-4000)
}
