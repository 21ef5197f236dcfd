/**
 * Counts what nodes say to each other, by the type of frame and message, in frames and in bytes of the real encoding.
 * The parts that many frames share (a member's record, a list of members, a message) are packed once, the first time
 * that they are sent; a frame is its parts and the heads of the arrays that hold them.
 */
import type { ClusterFrame, Member } from '@skep/cluster/core'
import { encodeFrame } from '@skep/cluster/core'
import { packFrame } from '@skep/cluster/internal'
import { type DigestEntry, encodeMessage, type TrackerMessage } from '@skep/tracker/core'

export interface Count {
  frames: number
  bytes: number
}

export class Traffic {
  /** `ping`, `news` and so on; for what carries a message its type, with members `carry:take`. */
  readonly byType: Map<string, Count> = new Map()
  private readonly members = new WeakMap<Member, number>()
  private readonly lists = new WeakMap<readonly Member[], number>()
  private readonly digests = new WeakMap<readonly DigestEntry[], number>()
  private readonly messages = new WeakMap<object, number>()

  add(frame: ClusterFrame): void {
    const type = typeOf(frame)
    let count = this.byType.get(type)
    if (count === undefined) {
      count = { frames: 0, bytes: 0 }
      this.byType.set(type, count)
    }
    count.frames++
    count.bytes += this.bytesOf(frame)
  }

  /** Of the ws message that carries this frame, without the few bytes of ws and TCP themselves. */
  bytesOf(frame: ClusterFrame): number {
    switch (frame.type) {
      case 'news':
        return 2 + this.listBytes(frame.members)
      case 'message':
        return this.messageBytes(frame.message as TrackerMessage)
      case 'carry':
        return 2 + this.listBytes(frame.members) + this.messageBytes(frame.message as TrackerMessage)
      default:
        return packFrame(encodeFrame(frame, (message) => encodeMessage(message as TrackerMessage))).length
    }
  }

  private listBytes(members: readonly Member[]): number {
    const known = this.lists.get(members)
    if (known !== undefined) return known
    let bytes = headBytes(members.length)
    for (const member of members) bytes += this.memberBytes(member)
    this.lists.set(members, bytes)
    return bytes
  }

  private memberBytes(member: Member): number {
    const known = this.members.get(member)
    if (known !== undefined) return known
    // The head and the kind of the frame, and the head of a list of one.
    const bytes = packFrame(encodeFrame({ type: 'news', members: [member] }, () => [])).length - 3
    this.members.set(member, bytes)
    return bytes
  }

  private messageBytes(message: TrackerMessage): number {
    const known = this.messages.get(message)
    if (known !== undefined) return known
    const bytes =
      message.type === 'digest' || message.type === 'ack'
        ? packedBytes({ ...message, entries: [] }) - 1 + this.digestBytes(message)
        : packedBytes(message)
    this.messages.set(message, bytes)
    return bytes
  }

  private digestBytes({ entries }: Digesting): number {
    const known = this.digests.get(entries)
    if (known !== undefined) return known
    const counter = 0
    const lineage = { epoch: 0, genesis: '' }
    const digest = (of: readonly DigestEntry[]): number =>
      packedBytes({ type: 'digest', counter, lineage, depth: 0, entries: of })
    const bytes = digest(entries) - digest([]) + 1
    this.digests.set(entries, bytes)
    return bytes
  }
}

type Digesting = Extract<TrackerMessage, { type: 'digest' | 'ack' }>

function packedBytes(message: TrackerMessage): number {
  return packFrame(encodeMessage(message)).length
}

function typeOf(frame: ClusterFrame): string {
  if (!('message' in frame)) return frame.type
  const { type } = frame.message as TrackerMessage
  return frame.type === 'message' ? type : `${frame.type}:${type}`
}

/** Of an array on the wire (msgpack). */
function headBytes(length: number): number {
  if (length < 16) return 1
  return length < 65_536 ? 3 : 5
}
