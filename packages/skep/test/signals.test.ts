import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import { onSignals, type SignalSource } from '../src/signals.js'

/** A process that only notes with which code it was to exit. */
class FakeProcess extends EventEmitter implements SignalSource {
  readonly codes: number[] = []

  exit(code: number): void {
    this.codes.push(code)
  }
}

describe('signals', () => {
  it('drain first, then the process exits with code 0', async () => {
    const source = new FakeProcess()
    let drained: () => void = () => {}
    onSignals(source, () => new Promise<void>((resolve) => (drained = resolve)))
    source.emit('SIGTERM', 'SIGTERM')
    expect(source.codes).toEqual([])
    drained()
    await Promise.resolve()
    await Promise.resolve()
    expect(source.codes).toEqual([0])
    expect(source.listenerCount('SIGTERM') + source.listenerCount('SIGINT')).toBe(0)
  })

  it('a second one does not wait, and is told by the code', () => {
    const source = new FakeProcess()
    onSignals(source, () => new Promise(() => {}))
    source.emit('SIGINT', 'SIGINT')
    source.emit('SIGINT', 'SIGINT')
    expect(source.codes).toEqual([130])
  })

  it('the end is not ours while somebody else listens', async () => {
    const source = new FakeProcess()
    source.on('SIGTERM', () => {})
    onSignals(source, () => Promise.resolve())
    source.emit('SIGTERM', 'SIGTERM')
    await Promise.resolve()
    await Promise.resolve()
    expect(source.codes).toEqual([])
  })

  it('a drain that fails ends the process too, with code 1', async () => {
    const source = new FakeProcess()
    onSignals(source, () => Promise.reject(new Error('no')))
    source.emit('SIGTERM', 'SIGTERM')
    await Promise.resolve()
    await Promise.resolve()
    expect(source.codes).toEqual([1])
  })

  it('nobody listens after it was ended', () => {
    const source = new FakeProcess()
    onSignals(source, () => Promise.resolve())()
    expect(source.eventNames()).toEqual([])
  })
})
