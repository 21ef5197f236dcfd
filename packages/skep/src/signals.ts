/**
 * SIGTERM and SIGINT end a node in order. The process then ends as it would have without Skep: by the same signal, once
 * nobody listens to it any more. A second signal does not wait.
 */

/** The part of `process` that is needed. */
export interface SignalSource {
  readonly pid: number
  on(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown
  off(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown
  listenerCount(signal: NodeJS.Signals): number
  kill(pid: number, signal: NodeJS.Signals): unknown
}

const SIGNALS: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT']

/** Calls `drain` at the first signal; the function returned stops listening. */
export function onSignals(source: SignalSource, drain: (signal: NodeJS.Signals) => Promise<void>): () => void {
  let draining = false
  const off = (): void => {
    for (const signal of SIGNALS) source.off(signal, obey)
  }
  const end = (signal: NodeJS.Signals): void => {
    off()
    // Somebody else listens (another node of this process, the program itself): the end is theirs to decide.
    if (source.listenerCount(signal) === 0) source.kill(source.pid, signal)
  }
  const obey = (signal: NodeJS.Signals): void => {
    if (draining) {
      end(signal)
      return
    }
    draining = true
    drain(signal).then(
      () => end(signal),
      () => end(signal),
    )
  }
  for (const signal of SIGNALS) source.on(signal, obey)
  return off
}
