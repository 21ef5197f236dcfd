import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import { onSignals, type SignalSource } from '../src/signals.js'

/** A process that only notes who killed it. */
class FakeProcess extends EventEmitter implements SignalSource {
  readonly pid = 4711
  readonly killed: string[] = []

  kill(pid: number, signal: NodeJS.Signals): void {
    this.killed.push(`${pid} ${signal}`)
  }
}

describe('signals', () => {
  it('drain first, then the process ends by the same signal', async () => {
    const source = new FakeProcess()
    let drained: () => void = () => {}
    onSignals(source, () => new Promise((resolve) => (drained = resolve)))
    source.emit('SIGTERM', 'SIGTERM')
    expect(source.killed).toEqual([])
    drained()
    await Promise.resolve()
    await Promise.resolve()
    expect(source.killed).toEqual(['4711 SIGTERM'])
    expect(source.listenerCount('SIGTERM') + source.listenerCount('SIGINT')).toBe(0)
  })

  it('a second one does not wait', () => {
    const source = new FakeProcess()
    onSignals(source, () => new Promise(() => {}))
    source.emit('SIGINT', 'SIGINT')
    source.emit('SIGINT', 'SIGINT')
    expect(source.killed).toEqual(['4711 SIGINT'])
  })

  it('the end is not ours while somebody else listens', async () => {
    const source = new FakeProcess()
    source.on('SIGTERM', () => {})
    onSignals(source, () => Promise.resolve())
    source.emit('SIGTERM', 'SIGTERM')
    await Promise.resolve()
    await Promise.resolve()
    expect(source.killed).toEqual([])
  })

  it('a drain that fails ends the process too', async () => {
    const source = new FakeProcess()
    onSignals(source, () => Promise.reject(new Error('no')))
    source.emit('SIGTERM', 'SIGTERM')
    await Promise.resolve()
    await Promise.resolve()
    expect(source.killed).toEqual(['4711 SIGTERM'])
  })

  it('nobody listens after it was ended', () => {
    const source = new FakeProcess()
    onSignals(source, () => Promise.resolve())()
    expect(source.eventNames()).toEqual([])
  })
})
