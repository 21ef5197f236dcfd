/** Groups of processes: typed or bare, over the tracker's (group, pid) pairs. */
import type { Pid } from '@skep/tracker'
import type { CallContext } from './chain.js'
import { codeOf } from './define.js'
import type { AnyActor } from './definition.js'
import type { GroupOf, GroupReply, PidGroup } from './node.js'
import { type Address, type RefHost, refFor } from './ref.js'

/** What groups need of the tracker. */
export interface GroupTracker {
  join(group: string, pid: Pid, meta?: unknown): Promise<void>
  leaveGroup(group: string, pid: Pid): Promise<void>
  membersOf(group: string): readonly Pid[]
}

export function pidGroup(tracker: GroupTracker, name: string, pidOf: (process: unknown) => Pid): PidGroup {
  return {
    name,
    join: async (process, meta) => tracker.join(name, pidOf(process), meta),
    leave: async (process) => tracker.leaveGroup(name, pidOf(process)),
    pids: () => tracker.membersOf(name),
  }
}

export function typedGroup<D extends AnyActor>(
  bare: PidGroup,
  definition: D,
  host: RefHost,
  context: CallContext | undefined,
): GroupOf<D> {
  const actor = codeOf(definition)
  const addressOfMember = (pid: Pid): Address => ({ host, actor, target: { by: 'pid', pid }, options: {}, context })
  const cast: Record<string, unknown> = {}
  const call: Record<string, unknown> = {}
  for (const method of actor.methods.keys()) {
    if (actor.streams.has(method)) continue
    cast[method] = (...args: unknown[]) => {
      for (const pid of bare.pids()) host.cast(addressOfMember(pid), method, [...args])
    }
    call[method] = (...args: unknown[]) =>
      Promise.all(bare.pids().map((pid) => settled(pid, host.call(addressOfMember(pid), method, [...args]))))
  }
  const members = (): unknown => bare.pids().map((pid) => refFor(addressOfMember(pid)))
  // What was put together by the definition's method names is what the types say of it.
  return Object.freeze({ ...bare, members, cast: Object.freeze(cast), call: Object.freeze(call) }) as GroupOf<D>
}

async function settled(pid: Pid, answer: Promise<unknown>): Promise<GroupReply<unknown>> {
  try {
    return { pid, status: 'fulfilled', value: await answer }
  } catch (reason) {
    return { pid, status: 'rejected', reason }
  }
}
