/** Runs a program to its end and gives what it wrote, stdout and stderr apart; and says of a process whether it runs. */

import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  readonly ms: number
}

/** Killed (code null) when it takes longer than `limitMs`; `input` is all that its stdin gives. */
export function runProgram(program: URL, args: readonly string[], limitMs: number, input = ''): Promise<Outcome> {
  const began = performance.now()
  const child = spawn(process.execPath, [fileURLToPath(program), ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
  const stop = (): void => {
    child.kill('SIGKILL')
  }
  const timer = setTimeout(stop, limitMs)
  process.on('exit', stop)
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk
  })
  // A program that ends without reading closes the pipe: no reason to fail here.
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      clearTimeout(timer)
      process.off('exit', stop)
      resolve({ code, stdout, stderr, ms: performance.now() - began })
    })
  })
}

/** Is there a process with this pid? */
export function runs(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
