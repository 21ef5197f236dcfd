/**
 * Processes that are told what to do. The parent starts a program of Node's and asks it, step by step, over the channel
 * that Node opens between parent and child; the child answers with a value or an error. Nothing here knows of Skep:
 * it only stands in for the hand that types at three terminals.
 *
 * No process outlives its parent: whoever ends in an orderly way kills its children, and a child whose channel closes
 * (the parent crashed, or was killed) ends by itself.
 */

import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** What a child can do, by name. Arguments and results travel between processes: plain data only. */
export type Steps = { readonly [step: string]: (...args: never[]) => unknown }

interface Ask {
  readonly id: number
  readonly step: string
  readonly args: readonly unknown[]
}

type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: StepFields & { readonly message: string } }

interface StepFields {
  readonly code?: string
  readonly holder?: string
}

/** What a step threw in the child: its message, its code, and the holder's pid where a name was taken. */
export class StepError extends Error {
  readonly code: string | undefined
  readonly holder: string | undefined

  constructor(message: string, fields: StepFields) {
    super(message)
    this.name = 'StepError'
    this.code = fields.code
    this.holder = fields.holder
  }
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A running program. `S` names its steps, so that the compiler checks what is asked of it. */
export interface Process<S extends Steps> {
  readonly pid: number
  /** Has the child do a step. Rejects with StepError when it threw, with Error when the process ended first. */
  ask<K extends keyof S & string>(step: K, ...args: Parameters<S[K]>): Promise<Awaited<ReturnType<S[K]>>>
  /** Sends the signal and waits until the process is gone. */
  kill(signal?: NodeJS.Signals): Promise<Exit>
  readonly exited: Promise<Exit>
  /** What it wrote on stdout and stderr so far, the last MAX_OUTPUT characters. */
  output(): string
}

/** Characters of output that are kept of one child. */
const MAX_OUTPUT = 200_000

const running = new Set<ChildProcess>()

/** Kills what still runs; the last thing a parent does. Safe to call at any time, also twice. */
export function killAll(): void {
  for (const child of running) child.kill('SIGKILL')
}

process.on('exit', killAll)

export interface ProcessOptions {
  /** It gets this process's own stdin, stdout and stderr (for a prompt) instead of having them collected. */
  readonly terminal?: boolean
  /** Flags of Node's. */
  readonly flags?: readonly string[]
  /** A command that becomes the program in the end (by exec), put before it: `nsenter` and its arguments. */
  readonly under?: readonly string[]
}

/** Starts `program` with one argument (JSON) in a process of its own. */
export function startProcess<S extends Steps>(
  program: URL,
  argument: unknown,
  { terminal = false, flags = [], under = [] }: ProcessOptions = {},
): Process<S> {
  const streams = terminal ? 'inherit' : 'pipe'
  const [command = process.execPath, ...before] = [...under, process.execPath, ...flags]
  const child = fork(fileURLToPath(program), [JSON.stringify(argument)], {
    execPath: command,
    execArgv: before,
    serialization: 'advanced',
    stdio: [terminal ? 'inherit' : 'ignore', streams, streams, 'ipc'],
  })
  running.add(child)
  let output = ''
  const collect = (chunk: string): void => {
    output = (output + chunk).slice(-MAX_OUTPUT)
  }
  child.stdout?.setEncoding('utf8').on('data', collect)
  child.stderr?.setEncoding('utf8').on('data', collect)

  const open = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  let lastId = 0
  child.on('message', (message) => {
    const answer = message as Answer
    const asked = open.get(answer.id)
    open.delete(answer.id)
    if ('error' in answer) asked?.reject(new StepError(answer.error.message, answer.error))
    else asked?.resolve(answer.value)
  })
  // 'close' comes after 'exit', when the streams have been read to their end: only then is `output` whole.
  const exited = new Promise<Exit>((resolve) => {
    child.on('error', (error) => collect(`${error.message}\n`))
    child.on('close', (code, signal) => {
      running.delete(child)
      for (const { reject } of open.values()) reject(new Error(`process ${child.pid} ended (${signal ?? code})`))
      open.clear()
      resolve({ code, signal })
    })
  })

  return {
    pid: child.pid ?? -1,
    exited,
    output: () => output,
    ask: (step, ...args) =>
      new Promise((resolve, reject) => {
        const id = ++lastId
        open.set(id, { resolve: resolve as (value: unknown) => void, reject })
        child.send({ id, step, args } satisfies Ask, (error) => {
          if (error !== null && open.delete(id))
            reject(new Error(`process ${child.pid} cannot be asked: ${error.message}`))
        })
      }),
    kill: (signal = 'SIGKILL') => {
      child.kill(signal)
      return exited
    },
  }
}

/** The child's side: answers what the parent asks, and ends when the parent is gone. */
export function serve(steps: Steps): void {
  process.on('message', async (message) => {
    const { id, step, args } = message as Ask
    try {
      const run = steps[step] as ((...args: unknown[]) => unknown) | undefined
      if (run === undefined) throw new TypeError(`there is no step ${step}`)
      answer({ id, value: await run(...args) })
    } catch (error) {
      answer({ id, error: describe(error) })
    }
  })
  process.on('disconnect', () => process.exit())
}

function answer(value: Answer): void {
  // The parent may be gone by now; 'disconnect' then ends this process.
  if (process.connected) process.send?.(value)
}

function describe(error: unknown): StepFields & { message: string } {
  if (!(error instanceof Error)) return { message: String(error) }
  const { code, pid } = error as { code?: unknown; pid?: unknown }
  return {
    message: error.message,
    ...(typeof code === 'string' ? { code } : {}),
    ...(pid === undefined ? {} : { holder: String(pid) }),
  }
}
