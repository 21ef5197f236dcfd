/** One machine under test and its clock: steps are made by hand, outputs are asked for by type. */
import {
  type BootId,
  type ClusterFrame,
  type ClusterInput,
  type ClusterOutput,
  type DialOutcome,
  type Formation,
  initMembership,
  type Member,
  type MembershipLimits,
  type MembershipState,
  membershipDeadline,
  membershipLimits,
  type Phase,
  stepMembership,
} from '../src/core/index.js'
import { infoOf } from './network.js'

export type Of<T extends ClusterOutput['type']> = Extract<ClusterOutput, { type: T }>

export function record(name: string, change: Partial<Member> = {}): Member {
  return { info: infoOf(name), phase: 'up', incarnation: 0, suspect: false, ...change }
}

export class Machine {
  now = 0
  out: ClusterOutput[] = []
  readonly state: MembershipState

  constructor(
    options: {
      discovery?: boolean
      limits?: Partial<MembershipLimits>
      seed?: number
      name?: string
      formation?: Partial<Formation>
      lock?: boolean
    } = {},
  ) {
    const limits = { ...membershipLimits, ...options.limits }
    const self = infoOf(options.name ?? 'me')
    const { discovery = false, seed = 7, formation: wish, lock = false } = options
    const formation = wish && { expect: 3, stableMs: 1000, withinMs: 60_000, otherwise: 'fail' as const, ...wish }
    const config = { self, discovery, seed, limits, formation, lock }
    this.state = initMembership(config, 0)
  }

  /** One step now; `out` holds its outputs, and so does what is returned. */
  step(input: ClusterInput): ClusterOutput[] {
    this.out = stepMembership(this.state, input, this.now)
    return this.out
  }

  /** Goes to `at`, waking the machine whenever it is due; verdicts come at once. Returns all outputs of the way. */
  runTo(at: number): ClusterOutput[] {
    const all: ClusterOutput[] = []
    while (membershipDeadline(this.state) <= at) {
      this.now = Math.max(this.now, membershipDeadline(this.state))
      all.push(...this.step({ type: 'wake' }))
      for (const { token } of only(this.out, 'defer')) all.push(...this.step({ type: 'verdict', token, waitedMs: 0 }))
    }
    this.now = at
    this.out = all
    return all
  }

  link(
    name: string,
    change: {
      boot?: BootId
      address?: string
      startedAt?: number
      incarnation?: number
      phase?: Phase
      via?: BootId
      carries?: boolean
      continues?: boolean
    } = {},
  ): ClusterOutput[] {
    const { incarnation = 0, phase = 'up', via, carries = false, continues = false } = change
    const peer = { ...infoOf(name, change.boot, change.address), startedAt: change.startedAt ?? 0 }
    return this.step({ type: 'linkUp', peer, incarnation, phase, via, carries, continues })
  }

  frame(name: string, frame: ClusterFrame): ClusterOutput[] {
    return this.step({ type: 'frame', from: `boot-${name}`, frame })
  }

  /** The machine goes on as another boot. */
  rejoin(boot: BootId = 'boot-me+', startedAt = 0): ClusterOutput[] {
    return this.step({ type: 'rejoin', boot, startedAt })
  }

  news(from: string, ...members: Member[]): ClusterOutput[] {
    return this.frame(from, { type: 'news', members })
  }

  unlink(name: string, byPeer: boolean): ClusterOutput[] {
    return this.step({ type: 'linkDown', boot: `boot-${name}`, byPeer })
  }

  dialled(name: string, outcome: DialOutcome, boot?: BootId): ClusterOutput[] {
    return this.step({
      type: 'dialled',
      address: infoOf(name).address,
      outcome,
      ...(boot === undefined ? {} : { boot }),
    })
  }

  phase(name: string): string | undefined {
    const member = this.state.members.get(`boot-${name}`)
    return member && (member.suspect && member.phase !== 'down' ? `${member.phase}?` : member.phase)
  }

  names(): string[] {
    return this.state.view.members.map((info) => info.name)
  }
}

export function only<T extends ClusterOutput['type']>(out: readonly ClusterOutput[], type: T): Of<T>[] {
  return out.filter((output): output is Of<T> => output.type === type)
}

/** The frames of one kind that were sent, with their receivers. */
export function sent<T extends ClusterFrame['type']>(
  out: readonly ClusterOutput[],
  type: T,
): { to: BootId; frame: Extract<ClusterFrame, { type: T }> }[] {
  return only(out, 'transmit').flatMap(({ to, frame }) =>
    frame.type === type ? [{ to, frame: frame as Extract<ClusterFrame, { type: T }> }] : [],
  )
}

/** The types of outputs in their order, without logs. */
export function order(out: readonly ClusterOutput[]): string[] {
  return out.filter((output) => output.type !== 'log').map((output) => output.type)
}
