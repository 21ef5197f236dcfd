/** The gate of a node whose discovery has a lock: who would be the first of a cluster has it, or waited long enough. */
import { describe, expect, it } from 'vitest'
import { membershipDeadline, membershipLimits } from '../src/core/index.js'
import { Machine, only, record } from './machine.js'
import { infoOf } from './network.js'

const { gateMs, gateSilentMs, lockMs } = membershipLimits
const addressesOf = (...names: string[]): string[] => names.map((name) => infoOf(name).address)
const joining = { phase: 'joining' as const }

/** A node of which discovery says at once that nobody is there. */
function alone(options: ConstructorParameters<typeof Machine>[0] = {}): Machine {
  const m = new Machine({ discovery: true, lock: true, ...options })
  m.step({ type: 'discovered', addresses: [] })
  return m
}

/** The same, when it has asked for the lock. */
function asking(options: ConstructorParameters<typeof Machine>[0] = {}): Machine {
  const m = alone(options)
  m.runTo(gateMs)
  return m
}

describe('a gate with a lock', () => {
  it('asks for the lock, once, where it would have opened alone, and stays shut', () => {
    const m = alone()
    expect(only(m.runTo(gateMs - 1), 'lock')).toEqual([])
    expect(only(m.runTo(gateMs), 'lock')).toHaveLength(1)
    expect(only(m.runTo(gateMs + lockMs - 1), 'lock')).toEqual([])
    expect(m.state.gate).toBe('shut')
  })

  it('opens at once when it is held and still nobody is named', () => {
    const m = asking()
    m.runTo(9000)
    m.step({ type: 'discovered', addresses: [] })
    expect(m.state.gate).toBe('shut')
    expect(only(m.step({ type: 'locked' }), 'gateOpen')).toHaveLength(1)
  })

  it('waits for the dials of those who are named now, and joins the one who has been first', () => {
    const m = asking()
    m.runTo(9000)
    m.step({ type: 'discovered', addresses: addressesOf('a') })
    m.step({ type: 'locked' })
    m.runTo(9500)
    expect(m.state.gate).toBe('shut')
    m.link('a')
    m.dialled('a', 'linked', 'boot-a')
    expect(m.state.gate).toBe('open')
  })

  it('opens all the same when nobody answers at the addresses that are named now', () => {
    const m = asking()
    m.runTo(9000)
    m.step({ type: 'discovered', addresses: addressesOf('a') })
    m.step({ type: 'locked' })
    m.runTo(9000 + gateMs - 1)
    expect(m.state.gate).toBe('shut')
    m.runTo(9000 + gateMs)
    expect(m.state.gate).toBe('open')
  })

  it('goes on without, with a warning, when the lock is not had in time, and does not take it up later', () => {
    const m = asking()
    m.runTo(gateMs + lockMs - 1)
    expect(m.state.gate).toBe('shut')
    const out = m.runTo(gateMs + lockMs)
    expect(m.state.gate).toBe('open')
    const warnings = only(out, 'log').filter(({ level }) => level === 'warn')
    expect(warnings.map(({ text }) => text)).toEqual(['no lock of discovery after 30000 ms: this node goes on without'])
    expect(m.step({ type: 'locked' })).toEqual([])
  })

  it('looks for others all the time, once a second, and does not spin', () => {
    const m = asking()
    expect(only(m.runTo(gateMs + 10_000), 'refresh').length).toBeGreaterThan(8)
    expect(only(m.runTo(gateMs + 20_000), 'refresh').length).toBeLessThan(12)
    expect(membershipDeadline(m.state)).toBeGreaterThan(m.now)
  })

  it('needs no lock where a member is met that is up', () => {
    const m = new Machine({ discovery: true, lock: true })
    m.step({ type: 'discovered', addresses: addressesOf('a') })
    m.link('a')
    const out = m.dialled('a', 'linked', 'boot-a')
    expect(only(out, 'lock')).toEqual([])
    expect(m.state.gate).toBe('open')
  })

  it('asks for it where all who are met start as well, and opens without once one of them is up', () => {
    const m = new Machine({ discovery: true, lock: true })
    m.step({ type: 'discovered', addresses: addressesOf('a') })
    expect(only(m.link('a', joining), 'lock')).toHaveLength(1)
    expect(only(m.dialled('a', 'linked', 'boot-a'), 'lock')).toEqual([])
    m.runTo(900)
    expect(m.state.gate).toBe('shut')
    m.news('a', record('a', { phase: 'up', incarnation: 1 }))
    expect(m.state.gate).toBe('open')
  })

  it('that waits is not held longer by a silent address once a cluster is met', () => {
    const m = asking()
    m.runTo(5000)
    m.step({ type: 'discovered', addresses: addressesOf('a', 'b') })
    m.link('a')
    m.dialled('a', 'linked', 'boot-a')
    expect(m.state.gate).toBe('shut')
    m.runTo(5000 + gateSilentMs)
    expect(m.state.gate).toBe('open')
  })

  it('asks for it when the silent ones have had their time', () => {
    const m = new Machine({ discovery: true, lock: true })
    m.step({ type: 'discovered', addresses: addressesOf('a', 'b') })
    m.link('a', joining)
    m.now = gateSilentMs - 1
    expect(only(m.step({ type: 'wake' }), 'lock')).toEqual([])
    expect(membershipDeadline(m.state)).toBe(gateSilentMs)
    expect(only(m.runTo(gateSilentMs), 'lock')).toHaveLength(1)
  })

  it('asks for it only when its formation is met', () => {
    const m = alone({ formation: { expect: 2 } })
    expect(only(m.runTo(20_000), 'lock')).toEqual([])
    m.link('a', joining)
    expect(only(m.runTo(21_000), 'lock')).toHaveLength(1)
    m.step({ type: 'locked' })
    expect(m.state.gate).toBe('open')
  })

  it('is one of the first boot alone: who rejoins joins a cluster', () => {
    const m = asking()
    m.link('a')
    m.news('a', record('me', { phase: 'down' }))
    m.rejoin()
    m.unlink('a', false)
    m.runTo(m.now + gateMs)
    expect(m.state.gate).toBe('open')
  })

  it('opens at its own time where discovery has none', () => {
    const m = alone({ lock: false })
    expect(only(m.runTo(gateMs), 'lock')).toEqual([])
    expect(m.state.gate).toBe('open')
  })
})
