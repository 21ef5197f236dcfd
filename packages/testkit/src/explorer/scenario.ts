/**
 * What a tiny world is made of: who its nodes are, what their users do, what may befall them. Three slots and these
 * names make every join move the contested name: alone the first node owns it, of two the second, of three the third;
 * the placed name stays with the first as long as that lives.
 */
import { trackerLimits } from '@skep/tracker/core'
import type { NodeBirth } from '../machines/node.js'
import { nodeAddress, nodeName } from '../machines/plan.js'

export const faultKinds = ['none', 'crash', 'cut', 'leave'] as const
export type Fault = (typeof faultKinds)[number]

export interface Scenario {
  readonly nodes: number
  readonly fault: Fault
  /** No frame is under way for longer. */
  readonly frameMs: number
  /** No cut lasts longer. */
  readonly cutMs: number
}

export const slots = 3
const VNODES = 4

/** Everybody's wish, in slot 0, and a placed one, in slot 2. */
const contested = 'name-2'
const placed = 'name-1'
export const names: readonly string[] = [contested, placed]

export interface UserAct {
  readonly type: 'claim' | 'unregister' | 'spawn'
  readonly name: string
}

/** What the user of each node does, one act when the one before has its outcome; the first when the node starts. */
export const scripts: readonly (readonly UserAct[])[] = [
  [
    { type: 'claim', name: contested },
    { type: 'unregister', name: contested },
  ],
  [
    { type: 'spawn', name: placed },
    { type: 'claim', name: contested },
  ],
  [{ type: 'claim', name: contested }],
]

export const addressOf: (index: number) => string = nodeAddress

/** Fixed seeds: chance is no part of the search. */
export function birthOf(index: number, now: number): NodeBirth {
  const name = nodeName(index)
  return {
    index,
    name,
    address: nodeAddress(index),
    boot: `${'abc'[index]}-${name}`,
    seed: 7 + index,
    counter: 1_700_000_000_000 + index,
    ring: { slots, vnodes: VNODES },
    chunkBytes: 60_000,
    sliceNames: trackerLimits.sliceNames,
    maxTail: trackerLimits.maxTail,
    maxChunks: trackerLimits.maxChunks,
    now,
    rate: 1,
  }
}
