/**
 * How a node goes on that the others hold to be down (PROTOCOL.md section 2, mutual condemnation). That it is down is
 * final for its boot, so it becomes another one under the same name and address: it lets go of all links, forgets what
 * it believed, and takes over what those know who condemned it, the gone ones included. For its old part may hold
 * live members to be down, and must not bring it into this one. Then it joins as any newcomer does, gate and all; what
 * it remembers of discovery helps it to find everybody.
 */
import type { ClusterOutput } from './contract.js'
import { startDetector } from './detector.js'
import { dialNow } from './dialling.js'
import { settleGate } from './gate.js'
import { type BootId, inView, isGone, latestStart, type Member, type MemberInfo } from './member.js'
import { initMembership, logged, type MembershipState } from './state.js'
import { cutLink, learn } from './table.js'

/** Throws where nobody holds this node to be down: then there is nothing to come back from. */
export function rejoin(
  state: MembershipState,
  boot: BootId,
  startedAt: number,
  now: number,
  out: ClusterOutput[],
): void {
  const {
    condemned: records,
    members: before,
    self,
    config,
    random,
    discovered,
    answered,
    view,
    lastSeq,
    lastToken,
  } = state
  if (records === undefined) throw new Error('rejoin: this boot was not condemned')
  // One that leaves goes on leaving.
  if (!inView(self)) return
  const ended: ClusterOutput[] = []
  for (const link of [...state.links]) cutLink(state, link, 'this node goes on as another boot', ended)
  const info = { ...self.info, boot, startedAt: afterAll(self.info, records, startedAt) }
  const fresh = initMembership({ ...config, self: info, formation: undefined, lock: false }, now)
  // Numbers go on: answers to the old boot must not be taken for answers to this one.
  Object.assign(state, fresh, { random, discovered, answered, lastSeq, lastToken, started: true })
  state.view = { number: view.number + 1, members: [info] }
  startDetector(state, now)
  const told: ClusterOutput[] = []
  for (const record of records) {
    if (inView(record)) {
      state.discovered.add(record.info.address)
      // As good as an answer of discovery, also where there is none: the gate waits for what came of the dials.
      state.answered = true
    }
    learn(state, record, record.info.boot, 'told when condemned', now, told)
  }
  // Who is gone and was known to our old part alone stays gone: what is kept of it must not be refused as a stranger's.
  for (const member of before.values()) {
    if (inView(member) || state.members.has(member.info.boot)) continue
    // A leaver does not come back either, and may have left by now without our having heard of it.
    const gone: Member = isGone(member) ? member : { ...member, phase: 'left' }
    learn(state, gone, member.info.boot, 'gone before', now, told)
  }
  // Told first: nobody above may act once more as the old boot because its links end.
  out.push({ type: 'rejoined', self: info, members: [...state.members.values()] }, ...ended)
  out.push({ type: 'member', member: state.self, previous: undefined, reason: 'rejoined' })
  out.push({ type: 'view', view: state.view })
  out.push(...told)
  out.push(
    logged('warn', `this node goes on as boot ${boot}; it was ${self.info.boot}`, { boot, before: self.info.boot }),
  )
  // Nothing else would dial what discovery named once and for all.
  for (const address of state.discovered) dialNow(state, address, out)
  settleGate(state, now, out)
}

/** Later than every boot under this name and address that is known of, whatever the clocks say. */
function afterAll(self: MemberInfo, records: Iterable<Member>, startedAt: number): number {
  let latest = self.startedAt
  for (const { info } of records) {
    if (info.name === self.name && info.address === self.address) latest = Math.max(latest, info.startedAt)
  }
  return Math.min(Math.max(startedAt, latest + 1), latestStart)
}
