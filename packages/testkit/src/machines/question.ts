/**
 * Which frames must be answered in the step in which they arrive (PROTOCOL.md 4.2: no handler waits for another node's
 * message), and by which. A gone asker is owed nothing, nor is one whose id a leaver or a newcomer of the table is asked
 * for; a question that was relayed is answered to its maker on whatever way there is.
 */
import type { BootId, ClusterFrame } from '@skep/cluster/core'
import type { TrackerMessage } from '@skep/tracker/core'
import type { SimNode } from './node.js'

export interface Question {
  readonly asker: BootId
  readonly question: string
  readonly answers: readonly string[]
}

const ANSWERS: Readonly<Record<string, readonly string[]>> = {
  ping: ['ack'],
  pull: ['ops', 'state', 'busy'],
  take: ['ack'],
  request: ['answer'],
  flush: ['flushed'],
  known: ['knows'],
  running: ['runs'],
}

/** What `node` owes to `from` for this frame. */
export function questionOf(from: BootId, node: SimNode, frame: ClusterFrame): Question | undefined {
  const question = wordOf(frame)
  const answers = ANSWERS[question]
  if (answers === undefined || frame.type === 'relay' || !node.links.has(from)) return undefined
  if (isMove(frame)) return undefined
  if (frame.type === 'ping') return { asker: from, question, answers }
  const phase = node.replica.tracker.peers.get(from)?.phase
  const owed = phase === 'joining' || phase === 'up' || phase === 'leaving'
  return owed && node.replica.membership.links.has(from) ? { asker: from, question, answers } : undefined
}

/** A move is answered when it is done. */
function isMove(frame: ClusterFrame): boolean {
  const message = 'message' in frame ? (frame.message as TrackerMessage) : undefined
  return message?.type === 'request' && message.request.type === 'move'
}

/** The word of a frame: its own, or that of the message it carries. */
export function wordOf(frame: ClusterFrame): string {
  return 'message' in frame ? (frame.message as TrackerMessage).type : frame.type
}
