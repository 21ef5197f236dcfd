/** One machine of which a test says all that it hears. */
import type { Member, MemberInfo } from '@skep/cluster/core'
import { expect } from 'vitest'
import {
  type Claim,
  digestOf,
  initTracker,
  type Op,
  Pid,
  stepTracker,
  type TrackerInput,
  type TrackerLimits,
  type TrackerMessage,
  type TrackerOutput,
  type TrackerState,
  trackerLimits,
} from '../src/core/index.js'

/** Names that it looks at in one step. */
export const slice = 10
export const writer = 'boot-of-writer'

export function infoOf(name: string): MemberInfo {
  const plain = { roles: [], weight: 1, cordoned: false, kinds: ['kind'], version: '', startedAt: 0 }
  return { ...plain, boot: `boot-of-${name}`, name, address: `${name}:1` }
}

export function claimOf(name: string, seq: number, origin?: string): Claim {
  const stamp = { lineage: { epoch: 0, genesis: writer }, event: 1 }
  const placed = origin === undefined ? undefined : { spec: 0, origin, terms: undefined }
  return { name, pid: new Pid(writer, 1, 'writer'), seq, fence: seq, stamp, kind: 'kind', meta: undefined, placed }
}

export function digestTo(seq: number, { high, low } = { high: 1, low: 1 }): TrackerMessage {
  const entries = [{ boot: writer, seq, high, low }]
  return { type: 'digest', counter: 1, lineage: { epoch: 0, genesis: writer }, depth: 0, entries }
}

/** The writer's log as a whole. */
export function stateOf(
  claims: readonly Claim[],
  base: number,
  struck: readonly string[] = [],
  ops: readonly Op[] = [],
): Extract<TrackerMessage, { type: 'state' }> {
  const strikes = struck.map((name) => ({ name, fence: 1000, seq: base, origin: 'start' }))
  return { type: 'state', boot: writer, base, chunk: 0, claims, memberships: [], strikes, last: true, ops }
}

/** One machine and what it says, with members that say what the test has them say. */
export class One {
  now = 0
  readonly state: TrackerState
  readonly members = new Map<string, Member>()
  /** Winners that changed in each step, where any did. */
  readonly changes: number[] = []
  #continues = 0
  #views = 0
  readonly sent: { readonly to: string; readonly message: TrackerMessage }[] = []

  constructor(...others: readonly string[]) {
    const limits: TrackerLimits = { ...trackerLimits, sliceNames: slice }
    const rebalance = { mode: 'never', rate: 0, afterMs: 0 } as const
    const self = infoOf('self')
    this.state = initTracker({ self, limits, rebalance, counter: 1, seed: 1, ring: { slots: 8, vnodes: 4 } }, this.now)
    this.members.set('self', { info: self, phase: 'up', incarnation: 0, suspect: false })
    for (const name of others) {
      const member: Member = { info: infoOf(name), phase: 'up', incarnation: 0, suspect: false }
      this.members.set(name, member)
      this.step({ type: 'member', member, previous: undefined, reason: 'test' })
      this.step({ type: 'linked', boot: member.info.boot })
    }
    this.view()
    this.step({ type: 'watch', on: true })
    this.step({ type: 'gateOpen', reason: 'test' })
  }

  view(): void {
    const members = [...this.members.values()].map(({ info }) => info)
    this.step({ type: 'view', view: { number: ++this.#views, members } })
  }

  step(input: TrackerInput): readonly TrackerOutput[] {
    const outputs = stepTracker(this.state, input, this.now)
    const changes = outputs.filter(({ type }) => type === 'event').length
    if (changes > 0) this.changes.push(changes)
    for (const output of outputs) {
      if (output.type === 'continue') this.#continues++
      if (output.type === 'send') this.sent.push(output)
    }
    return outputs
  }

  hear(message: TrackerMessage, from = writer): readonly TrackerOutput[] {
    return this.step({ type: 'message', from, message })
  }

  /** One slice, where one is due. */
  goOn(): boolean {
    if (this.#continues === 0) return false
    expect(this.#continues).toBe(1)
    this.#continues--
    this.step({ type: 'continue' })
    return true
  }

  /** The writer's log as a whole, of so many names. */
  hearLog(names: readonly string[], seq: number, strikes: readonly string[] = []): void {
    this.hear(digestTo(seq))
    this.hear(
      stateOf(
        names.map((name, i) => claimOf(name, i + 1)),
        seq,
        strikes,
      ),
    )
  }

  /** Its process or its way here is gone. */
  lose(name: string): void {
    this.step({ type: 'unlinked', boot: infoOf(name).boot })
    this.gone(name)
  }

  /** It is said to be down. */
  gone(name: string): void {
    const member = this.members.get(name) as Member
    this.members.delete(name)
    this.step({ type: 'member', member: { ...member, phase: 'down' }, previous: member, reason: 'test' })
    this.view()
  }

  hearOps(first: number, ...ops: readonly Op[]): void {
    this.hear({ type: 'ops', boot: writer, first, ops, counter: 1, reply: false })
  }

  seqTold(): number | undefined {
    return digestOf(this.state.registry).find(({ boot }) => boot === writer)?.seq
  }
}
