/**
 * A cluster's registries in one process, as machines: every message is packed, counted and unpacked, comes at once and
 * in order, and nothing else happens. What the membership machine would say is said here: all members know each other.
 */
import { decodeFrame, encodeFrame, type Member, type MemberInfo } from '@skep/cluster/core'
import { packFrame, unpackFrame } from '@skep/cluster/internal'
import {
  decodeMessage,
  encodeMessage,
  initTracker,
  ring,
  stepTracker,
  type TrackerInput,
  type TrackerMessage,
  type TrackerState,
  trackerLimits,
} from '@skep/tracker/core'

export interface Traffic {
  frames: number
  bytes: number
}

interface Pending {
  readonly to: TrackerState
  readonly input: TrackerInput | { readonly from: string; readonly bytes: Uint8Array }
}

export class Machines {
  readonly nodes: TrackerState[] = []
  readonly traffic: Traffic = { frames: 0, bytes: 0 }
  /** After each step: when it began. */
  onStep: (from: number) => void = () => {}
  now = 0
  #members: Member[] = []
  #view = 0
  #ask = 0
  readonly #refused: string[] = []
  #queue: Pending[] = []
  #packed: { readonly message: TrackerMessage; readonly bytes: Uint8Array } | undefined

  constructor(count: number) {
    for (let i = 0; i < count; i++) this.#birth(`node-${i}`)
    for (const node of this.nodes) this.#introduce(node, this.nodes)
    this.#changeView()
    for (const node of this.nodes) this.#push(node, { type: 'gateOpen', reason: 'all are here' })
    this.settle()
  }

  /** Another node, that knows nobody yet, until all is settled. */
  join(name: string): TrackerState {
    const node = this.#birth(name)
    this.#introduce(node, this.nodes)
    for (const other of this.nodes) if (other !== node) this.#introduce(other, [node])
    this.#changeView()
    this.#push(node, { type: 'gateOpen', reason: 'all are here' })
    this.settle()
    return node
  }

  /** The node is gone, and all others know. */
  kill(node: TrackerState): void {
    this.nodes.splice(this.nodes.indexOf(node), 1)
    const member = this.#members.find(({ info }) => info.boot === node.self)
    this.#members = this.#members.filter((one) => one !== member)
    if (member === undefined) return
    for (const other of this.nodes) {
      this.#push(other, { type: 'unlinked', boot: node.self })
      this.#push(other, { type: 'member', member: { ...member, phase: 'down' }, previous: member, reason: 'killed' })
    }
    this.#changeView()
    this.settle()
  }

  register(node: TrackerState, name: string, mode: 'owner' | 'local' = 'owner'): void {
    this.#push(node, { type: 'claim', ask: ++this.#ask, name, pid: 1, mode })
  }

  unregister(node: TrackerState, name: string): void {
    this.#push(node, { type: 'request', ask: ++this.#ask, request: { type: 'unregister', name } })
  }

  /** A second is over: each node has its digest round and whatever else time brings. */
  tick(ms: number): void {
    this.now += ms
    for (const node of this.nodes) this.#push(node, { type: 'wake' })
    this.settle()
  }

  /** All that follows, until nothing does. Throws where an ask was refused. */
  settle(): void {
    // The queue grows while it is worked off.
    for (let i = 0; i < this.#queue.length; i++) {
      this.#take(this.#queue[i] as Pending)
      if (i < COMPACT) continue
      this.#queue.splice(0, i + 1)
      i = -1
    }
    this.#queue = []
    if (this.#refused.length > 0) throw new Error(`refused: ${this.#refused[0]}`)
  }

  #birth(name: string): TrackerState {
    const boot = `boot-of-${name}`.padEnd(22, '-')
    const self: MemberInfo = {
      boot,
      name,
      address: '10.0.0.1:4000',
      roles: [],
      weight: 1,
      cordoned: false,
      kinds: ['bench'],
      version: '1',
      startedAt: 0,
    }
    const node = initTracker(
      {
        self,
        counter: 1_700_000_000_000,
        seed: this.nodes.length,
        ring: ring.ringDefaults,
        limits: trackerLimits,
        rebalance: { mode: 'never', rate: 0, afterMs: 0 },
      },
      this.now,
    )
    this.nodes.push(node)
    this.#members.push({ info: self, phase: 'up', incarnation: 0, suspect: false })
    return node
  }

  #introduce(node: TrackerState, others: readonly TrackerState[]): void {
    for (const other of others) {
      const member = this.#members.find(({ info }) => info.boot === other.self)
      if (member === undefined || other === node) continue
      this.#push(node, { type: 'member', member, previous: undefined, reason: 'known' })
      this.#push(node, { type: 'linked', boot: other.self })
    }
  }

  #changeView(): void {
    this.#view++
    const view = { number: this.#view, members: this.#members.map(({ info }) => info) }
    for (const node of this.nodes) this.#push(node, { type: 'view', view })
  }

  #push(to: TrackerState, input: Pending['input']): void {
    this.#queue.push({ to, input })
  }

  #take({ to, input }: Pending): void {
    const begun = performance.now()
    const read = 'bytes' in input ? this.#read(input.from, input.bytes) : input
    for (const output of stepTracker(to, read, this.now)) {
      if (output.type === 'send') this.#send(to, output.to, output.message, output.carry)
      else if (output.type === 'continue') this.#push(to, { type: 'continue' })
      else if (output.type === 'refused') this.#refused.push(`${output.code}: ${output.text}`)
    }
    this.onStep(begun)
  }

  #read(from: string, bytes: Uint8Array): TrackerInput {
    const frame = decodeFrame(unpackFrame(bytes), (message) => decodeMessage(message as unknown[]))
    if (frame?.type !== 'message' && frame?.type !== 'carry') throw new TypeError('a frame was not understood')
    return { type: 'message', from, message: frame.message }
  }

  #send(from: TrackerState, to: string, message: TrackerMessage, carry: boolean): void {
    const node = this.nodes.find(({ self }) => self === to)
    if (node === undefined) return
    const bytes = this.#packedOf(message, carry)
    this.traffic.frames++
    this.traffic.bytes += bytes.length
    this.#push(node, { from: from.self, bytes })
  }

  /** What goes to several is packed once, as the shell does. */
  #packedOf(message: TrackerMessage, carry: boolean): Uint8Array {
    if (this.#packed?.message === message) return this.#packed.bytes
    const frame = carry
      ? ({ type: 'carry', members: this.#members, message } as const)
      : ({ type: 'message', message } as const)
    const bytes = packFrame(encodeFrame(frame, (load) => encodeMessage(load as TrackerMessage)))
    this.#packed = { message, bytes }
    return bytes
  }
}

/** So many entries of a queue are let go at once. */
const COMPACT = 100_000
