/** A member of the cluster as users see it. */

import { type BootId, type Member, machineOf } from '@skep/cluster/core'

/** A member of the cluster as a node sees it; plain data. */
export interface NodeMember {
  readonly name: string
  /** `host:port` at which others reach it. */
  readonly address: string
  /** The host in that address: members with the same one share a machine, as all workers of a program do. */
  readonly machine: string
  /** The life of the node: another one after each restart. */
  readonly boot: BootId
  readonly phase: Member['phase']
  /** Whether it has not answered for a while. */
  readonly suspect: boolean
  readonly roles: readonly string[]
  readonly weight: number
  /** Whether it takes no new placed actors. */
  readonly cordoned: boolean
  /** The kinds of actors it can start. */
  readonly kinds: readonly string[]
  readonly version: string
  /** Whether its part of a split cluster may not go on, by the partition policy. */
  readonly halted: boolean
  /** The name of the member through which calls to it go, while there is no direct link to it; else undefined. */
  readonly via: string | undefined
}

export function memberOf({ info, phase, suspect }: Member, via?: string): NodeMember {
  const { name, address, boot, roles, weight, cordoned, kinds, version, halted = false } = info
  const machine = machineOf(info)
  return { name, address, machine, boot, phase, suspect, roles, weight, cordoned, kinds, version, halted, via }
}
