import { AsyncLocalStorage } from 'node:async_hooks'
import type { Cluster } from '@skep/cluster'
import type { Member, MemberInfo, Phase } from '@skep/cluster/core'
import { type Claim, type MissedEvents, type NameEvent, Pid } from '@skep/tracker'
import { describe, expect, it } from 'vitest'
import { Events } from '../src/events.js'

/** The layers below, played by hand. */
function stage() {
  const listeners = new Map<string, (...change: never[]) => void>()
  const names: (NameEvent | MissedEvents)[] = []
  const lines: string[] = []
  const write = (_: object | string, text?: string): void => {
    lines.push(text ?? '')
  }
  const logger = {
    debug: write,
    info: write,
    warn: write,
    error: write,
    fatal: write,
    child: () => logger,
    isLevelEnabled: () => false,
  }
  let reads = 0
  let members: readonly Member[] = []
  const events = new Events({
    cluster: {
      on: ((event: string, listener: (...change: never[]) => void) => {
        listeners.set(event, listener)
        return () => listeners.delete(event)
      }) as unknown as Cluster['on'],
      members: () => members,
      self: { boot: 'own' } as MemberInfo,
    },
    tracker: {
      events: async function* () {
        reads++
        yield* names
      },
    },
    logger,
  })
  const heard: string[] = []
  return {
    events,
    names,
    lines,
    heard,
    reads: () => reads,
    tell: (member: Member, previous?: Member) => listeners.get('member')?.(...([member, previous, 'r'] as never[])),
    /** This node goes on as another boot; these were its members until now. */
    condemn: (...before: readonly Member[]) => {
      members = before
      listeners.get('condemned')?.()
      members = []
    },
    hear: (event: 'memberUp' | 'memberDown') => events.on(event, ({ name }) => heard.push(`${event} ${name}`)),
  }
}

function member(phase: Phase): Member {
  const info: MemberInfo = {
    boot: 'b',
    name: 'n',
    address: 'a:1',
    roles: [],
    weight: 1,
    cordoned: false,
    startedAt: 0,
    kinds: [],
    version: '',
  }
  return { info, phase, incarnation: 1, suspect: false }
}

function claim(id: number): Claim {
  return { name: 'x', pid: new Pid('boot', id, 'n'), fence: id } as unknown as Claim
}

/** All that was queued has run. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('events of members', () => {
  it('are heard as code of who listens, whoever caused them', async () => {
    const whose = new AsyncLocalStorage<string>()
    const { events, tell } = stage()
    const heard: unknown[] = []
    events.on('memberUp', () => heard.push(whose.getStore()))
    whose.run('an actor', () => events.on('memberUp', () => heard.push(whose.getStore())))
    whose.run('another actor', () => tell(member('up')))
    await settled()
    expect(heard).toEqual([undefined, 'an actor'])
  })

  it.each<[Phase | undefined, Phase, string[]]>([
    [undefined, 'joining', ['memberUp n']],
    [undefined, 'up', ['memberUp n']],
    ['joining', 'up', []],
    ['up', 'leaving', []],
    ['leaving', 'left', ['memberDown n']],
    ['up', 'down', ['memberDown n']],
    ['joining', 'down', ['memberDown n']],
    ['down', 'left', []],
    [undefined, 'down', []],
    [undefined, 'leaving', []],
  ])('%s -> %s', async (before, after, expected) => {
    const { hear, heard, tell } = stage()
    hear('memberUp')
    hear('memberDown')
    tell(member(after), before === undefined ? undefined : member(before))
    expect(heard).toEqual([])
    await settled()
    expect(heard).toEqual(expected)
  })

  it('tell only what has changed where this node goes on as another boot and is told of all anew', async () => {
    const { condemn, hear, heard, tell } = stage()
    hear('memberUp')
    hear('memberDown')
    const [kept, lost, left, fresh] = ['kept', 'lost', 'left', 'fresh'].map((name) => {
      const { info, ...rest } = member('up')
      return { ...rest, info: { ...info, boot: name, name } }
    }) as [Member, Member, Member, Member]
    condemn(kept, lost, { ...left, phase: 'leaving' })
    tell(kept)
    tell({ ...lost, phase: 'down' })
    tell({ ...left, phase: 'left' })
    tell(fresh)
    await settled()
    expect(heard).toEqual(['memberDown lost', 'memberDown left', 'memberUp fresh'])
    // Only once: what comes later is news again.
    tell({ ...lost, phase: 'down' })
    tell(kept)
    await settled()
    expect(heard.slice(3)).toEqual(['memberUp kept'])
  })

  it('reach each listener until it is ended, also when one throws', async () => {
    const { events, hear, heard, tell, lines } = stage()
    events.on('memberUp', () => {
      throw new Error('clumsy')
    })
    const off = hear('memberUp')
    tell(member('up'))
    await settled()
    off()
    tell(member('up'))
    await settled()
    expect(heard).toEqual(['memberUp n'])
    expect(lines).toEqual([`a listener of 'memberUp' threw`, `a listener of 'memberUp' threw`])
  })

  it('end with the node', async () => {
    const { events, hear, heard, tell } = stage()
    hear('memberUp')
    events.end()
    tell(member('up'))
    await settled()
    expect(heard).toEqual([])
  })
})

describe('events of names', () => {
  it('are not followed until somebody listens', () => {
    const { events, hear, reads } = stage()
    hear('memberUp')
    expect(reads()).toBe(0)
    events.on('registered', () => {})
    events.on('unregistered', () => {})
    expect(reads()).toBe(1)
  })

  it('tell of every new holder, not of those that stood before nor of new metadata', async () => {
    const { events, names, heard, lines } = stage()
    const one = claim(1)
    names.push(
      { type: 'registered', name: 'x', claim: one, previous: undefined, reason: 'present' },
      { type: 'registered', name: 'x', claim: one, previous: undefined, reason: 'new' },
      { type: 'updated', name: 'x', claim: claim(1), previous: one, reason: 'meta' },
      { type: 'failover', name: 'x', claim: claim(2), previous: one, reason: 'node down' },
      { type: 'missed', count: 3 },
      { type: 'moved', name: 'x', claim: claim(3), previous: claim(2), reason: 'put' },
      { type: 'unregistered', name: 'x', claim: undefined, previous: claim(3), reason: 'stopped' },
    )
    events.on('moved', ({ claim: { pid }, previous }) => heard.push(`moved from ${previous.pid.id} to ${pid.id}`))
    events.on('registered', ({ pid }) => heard.push(`registered ${pid.id}`))
    events.on('unregistered', ({ pid }) => heard.push(`unregistered ${pid.id}`))
    await settled()
    expect(heard).toEqual(['registered 1', 'registered 2', 'registered 3', 'moved from 2 to 3', 'unregistered 3'])
    expect(lines.filter((line) => line.includes('were lost'))).toEqual(['3 name events were lost: too many at once'])
  })
})

describe('a listener', () => {
  it('of an unknown event, or that is no function, is a TypeError at once', () => {
    const { events } = stage()
    expect(() => events.on('memberup' as 'memberUp', () => {})).toThrow(/no event 'memberup'.*memberUp/)
    expect(() => events.on('memberUp', 7 as never)).toThrow(TypeError)
  })
})
