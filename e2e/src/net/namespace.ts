/**
 * A network namespace without a name. It lives as long as a process is in it, so a keeper sits there and does nothing;
 * the keeper ends when its stdin closes, that is with us, however we end. So nothing is left on the machine, whatever
 * happens, and two runs at once have no name to quarrel over.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { within } from '../scenario.js'
import { command } from './commands.js'

export interface Namespace {
  /** The process by which the kernel's tools find it. */
  readonly pid: number
  /** What stands before a command that is to run in it; the command keeps the process id. */
  readonly under: readonly string[]
  run(argv: readonly string[], input?: string): Promise<string>
  close(): Promise<void>
}

export async function openNamespace(): Promise<Namespace> {
  const keeper = spawn('unshare', ['--net', '--', 'sh', '-c', 'echo inside; exec cat'], {
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  keeper.stdin.on('error', () => {})
  await within(10_000, 'a network namespace', entered(keeper)).catch((error: unknown) => {
    keeper.kill('SIGKILL')
    throw error
  })
  const pid = keeper.pid ?? -1
  const under = ['nsenter', `--net=/proc/${pid}/ns/net`, '--']
  return {
    pid,
    under,
    run: (argv, input) => command([...under, ...argv], input),
    close: () => ended(keeper),
  }
}

function entered(keeper: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let wrote = ''
    keeper.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      wrote += chunk
    })
    keeper.on('error', reject)
    keeper.on('exit', () => reject(new Error(`no network namespace can be made here: ${wrote.trim()}`)))
    keeper.stdout?.once('data', () => resolve())
  })
}

async function ended(keeper: ChildProcess): Promise<void> {
  if (keeper.exitCode !== null || keeper.signalCode !== null) return
  const gone = new Promise<void>((resolve) => keeper.once('exit', () => resolve()))
  keeper.kill('SIGKILL')
  await gone
}
