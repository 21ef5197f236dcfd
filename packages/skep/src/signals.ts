/**
 * SIGTERM and SIGINT end a node in order. The process then exits with code 0, once nobody else listens to them: what
 * was asked for was done. It does so by itself rather than by the same signal again, which the kernel does not deliver
 * to the first process of a container. A second signal does not wait, and the code says which one it was.
 */

import { constants } from 'node:os'

/** The part of `process` that is needed. */
export interface SignalSource {
  on(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown
  off(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown
  listenerCount(signal: NodeJS.Signals): number
  exit(code: number): unknown
}

const SIGNALS: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT']

/** Calls `drain` at the first signal; the function returned stops listening. */
export function onSignals(source: SignalSource, drain: (signal: NodeJS.Signals) => Promise<unknown>): () => void {
  let draining = false
  const off = (): void => {
    for (const signal of SIGNALS) source.off(signal, obey)
  }
  const end = (signal: NodeJS.Signals, code: number): void => {
    off()
    // Somebody else listens (another node of this process, the program itself): the end is theirs to decide.
    if (source.listenerCount(signal) === 0) source.exit(code)
  }
  const obey = (signal: NodeJS.Signals): void => {
    if (draining) {
      end(signal, 128 + constants.signals[signal])
      return
    }
    draining = true
    drain(signal).then(
      () => end(signal, 0),
      () => end(signal, 1),
    )
  }
  for (const signal of SIGNALS) source.on(signal, obey)
  return off
}
