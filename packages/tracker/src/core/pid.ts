/** Where a process (an actor, or anything registered by hand) lives: the boot of its node and a number there. */

import type { BootId } from '@skep/cluster/core'

export class Pid {
  readonly boot: BootId
  /** The number of the process on its node; never used twice within a boot. */
  readonly id: number
  /** The node's name, for people: not part of the identity. */
  readonly node: string

  constructor(boot: BootId, id: number, node: string) {
    this.boot = boot
    this.id = id
    this.node = node
  }

  /** True for the same process, whatever the objects. */
  equals(other: Pid | undefined): boolean {
    return other !== undefined && other.boot === this.boot && other.id === this.id
  }

  /** `<demo-1.881>`: for logs and prompts; with the boot's first characters two lives of a node can be told apart. */
  toString(): string {
    return `<${this.node}.${this.id}.${this.boot.slice(0, 4)}>`
  }

  toJSON(): string {
    return this.toString()
  }
}
