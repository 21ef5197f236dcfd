/**
 * A prompt on a running node: Node's own, with `node` and what belongs to it at hand and `await` allowed at the top.
 *
 * At a terminal it is Node's REPL as it is. Fed from a pipe, Node's REPL reads on while an `await` is still open and
 * mixes up the answers; so each line is handed over only when the prompt has come back.
 */

import { once } from 'node:events'
import { createInterface } from 'node:readline'
import repl from 'node:repl'
import { PassThrough } from 'node:stream'

/** Runs until the reader leaves it (`.exit`, Ctrl-D, end of input). */
export async function prompt(text: string, atHand: Record<string, unknown>): Promise<void> {
  const piped = process.stdin.isTTY !== true
  const input = piped ? new PassThrough() : process.stdin
  const server = repl.start({ prompt: text, input, output: process.stdout, terminal: !piped })
  Object.assign(server.context, atHand)
  const left = once(server, 'exit')
  if (input instanceof PassThrough) await feed(server, input)
  await left
}

async function feed(server: repl.REPLServer, input: PassThrough): Promise<void> {
  let back: (() => void) | undefined
  const show = server.displayPrompt.bind(server)
  server.displayPrompt = (preserveCursor) => {
    show(preserveCursor)
    back?.()
  }
  let left = false
  server.on('exit', () => {
    left = true
    back?.()
  })
  for await (const line of createInterface({ input: process.stdin })) {
    if (left) return
    await new Promise<void>((resolve) => {
      back = resolve
      input.write(`${line}\n`)
    })
  }
  input.end()
}
