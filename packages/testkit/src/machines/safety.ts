/**
 * What must hold after each step (PROTOCOL.md section 6, the rules with a star), checked by looking only at what the
 * step changed on its node: the claims that nodes wrote into their own logs, the slots that they hold, their clock
 * ids, and that nothing falls that may only rise. What a user was promised is the ledger's business.
 */
import type { BootId } from '@skep/cluster/core'
import { type Claim, hasEnded, itc } from '@skep/tracker/core'
import { Histories } from './histories.js'
import type { SimNode } from './node.js'
import type { Rule } from './report.js'

export type Complain = (rule: Rule, text: string) => void

/** Names of this prefix are claimed without their owner's grant, so two may hold one for a while. */
export const freePrefix = 'free-'

/** Entries that a table of a node may have in these small worlds; each table has its own, larger limit besides. */
const MAX_ENTRIES = 4000

interface NameRecord {
  readonly holders: SimNode[]
  fence: number
  /** Who got that fence, and with which op. */
  by: string
  seq: number
  /** When it last had a holder. */
  heldAt: number
}

export class Safety {
  private readonly complain: Complain
  /** Is the premise of the promise (PROTOCOL.md 4.3) given now? Else two may hold one name for a while. */
  private readonly strict: () => boolean
  private readonly names = new Map<string, NameRecord>()
  private readonly histories = new Histories()
  private readonly slotHolders: (SimNode | undefined)[]
  private readonly removed: (node: SimNode, claim: Claim) => void
  /** "epoch genesis boot" of every node that ever had an id in a lineage. */
  private readonly idUsers = new Set<string>()
  /** View changes of all nodes so far. */
  views = 0

  now = 0

  constructor(
    slots: number,
    strict: () => boolean,
    complain: Complain,
    removed: (node: SimNode, claim: Claim) => void,
  ) {
    this.strict = strict
    this.complain = complain
    this.removed = removed
    this.slotHolders = new Array<SimNode | undefined>(slots).fill(undefined)
  }

  /** After each step of the node. `nodes` are all that ever were. */
  check(node: SimNode, nodes: readonly SimNode[]): void {
    const { seen } = node
    const { tracker, membership } = node.replica
    const own = tracker.registry.logs.get(node.boot)
    if (own !== undefined && own.seq !== seen.seq) {
      if (own.seq < seen.seq)
        this.complain('backwards', `${node.boot}: its own seq fell from ${seen.seq} to ${own.seq}`)
      seen.seq = own.seq
      this.compareClaims(node, own.claims)
    }
    if (tracker.heldVersion !== seen.heldVersion) {
      seen.heldVersion = tracker.heldVersion
      this.compareSlots(node, tracker.held)
    }
    if (tracker.id !== seen.id || tracker.lineage !== seen.lineage || tracker.pendingGrants.size !== seen.pending) {
      seen.id = tracker.id
      seen.lineage = tracker.lineage
      seen.pending = tracker.pendingGrants.size
      this.compareIds(node, nodes)
    }
    if (membership.view.number !== seen.view) {
      if (membership.view.number < seen.view) this.complain('backwards', `${node.boot}: its view number fell`)
      seen.view = membership.view.number
      this.views++
    }
    if (tracker.counter < seen.counter) this.complain('backwards', `${node.boot}: its fence counter fell`)
    seen.counter = tracker.counter
  }

  /** Nobody is left who knew the names so far: what follows is another cluster, with fences of its own. */
  newEra(): void {
    for (const record of this.names.values()) record.fence = 0
  }

  /** The node's process is gone: it holds nothing any more. */
  gone(node: SimNode): void {
    for (const claim of node.seen.claims.values()) this.release(node, claim)
    for (let slot = 0; slot < this.slotHolders.length; slot++) {
      if (this.slotHolders[slot] === node) this.slotHolders[slot] = undefined
    }
  }

  /** Its process was killed: what it alone knew is known to nobody. */
  killed(node: SimNode, live: readonly SimNode[]): void {
    const known = Math.max(0, ...live.map((one) => one.replica.tracker.registry.logs.get(node.boot)?.seq ?? 0))
    // Those that it has given up since are among them: nobody may have heard of the whole.
    for (const record of this.names.values()) if (record.by === node.boot && record.seq > known) record.fence = 0
    this.gone(node)
  }

  /** Does any other process than this one hold the name, or did one a moment ago? */
  heldBesides(node: SimNode, pid: number, name: string, withinMs: number): boolean {
    const own = node.replica.tracker.registry.logs.get(node.boot)?.claims.get(name)
    if (own !== undefined && own.pid.id !== pid && !hasEnded(own)) return true
    const record = this.names.get(name)
    if (record === undefined) return false
    return record.holders.some((one) => one !== node) || this.now - record.heldAt <= withinMs
  }

  /** Does somebody hold the name in the place of just this claim? */
  isHandedOver({ name, pid, seq }: Claim): boolean {
    const holder = this.names.get(name)?.holders[0]
    const claim = holder?.seen.claims.get(name)
    const from = claim?.placed?.ended === undefined ? claim?.from : undefined
    return from !== undefined && from.boot === pid.boot && from.seq === seq
  }

  holdersOfName(name: string): readonly SimNode[] {
    return this.names.get(name)?.holders ?? []
  }

  private compareClaims(node: SimNode, claims: ReadonlyMap<string, Claim>): void {
    const before = node.seen.claims
    // Removals first: a step may give a name up and another one take it.
    for (const [name, claim] of before) {
      const now = claims.get(name)
      if (now !== undefined && now.pid.id === claim.pid.id && !hasEnded(now)) continue
      before.delete(name)
      this.release(node, claim)
      this.removed(node, claim)
    }
    for (const [name, claim] of claims) {
      if (hasEnded(claim)) continue
      const known = before.get(name)
      if (known === undefined) this.take(node, claim)
      else if (claim.fence > known.fence) this.retake(node, claim)
      before.set(name, claim)
    }
  }

  private take(node: SimNode, claim: Claim): void {
    let record = this.names.get(claim.name)
    if (record === undefined) {
      record = { holders: [], fence: 0, by: '', seq: 0, heldAt: this.now }
      this.names.set(claim.name, record)
    }
    const strict = this.strict()
    this.handOver(record, claim)
    if (strict && !claim.name.startsWith(freePrefix)) {
      const other = record.holders[0]
      if (other !== undefined) {
        this.complain('duplicate', `${claim.name} is held by ${other.boot} and by ${node.boot} (fence ${claim.fence})`)
      }
      if (claim.fence <= record.fence) {
        this.complain(
          'fence',
          `${claim.name}: ${node.boot} got fence ${claim.fence} after ${record.fence} of ${record.by}`,
        )
      }
    }
    const disorder = this.histories.put(node, claim, record.holders)
    if (disorder !== undefined) this.complain('stamp', disorder)
    record.heldAt = this.now
    record.holders.push(node)
    // A fence got on one side of a cut may be known to nobody on the other one.
    if (!strict || claim.fence <= record.fence) return
    record.fence = claim.fence
    record.by = node.boot
    record.seq = claim.seq
  }

  /** Whose process this one goes on as holds the name no more, if that one stands still, or has ended as its node leaves. */
  private handOver(record: NameRecord, { from, name }: Claim): void {
    const at = from === undefined ? -1 : record.holders.findIndex(({ boot }) => boot === from.boot)
    const source = record.holders[at]
    const pid = source?.seen.claims.get(name)?.pid.id
    if (source === undefined || pid === undefined || source.processes.get(pid)?.paused === false) return
    record.holders.splice(at, 1)
  }

  /** A source whose target said nothing across a cut has its process back. */
  private retake(node: SimNode, { name }: Claim): void {
    const record = this.names.get(name)
    if (record !== undefined && !this.strict() && !record.holders.includes(node)) record.holders.push(node)
  }

  private release(node: SimNode, claim: Claim): void {
    const record = this.names.get(claim.name)
    const at = record?.holders.indexOf(node) ?? -1
    if (record === undefined || at < 0) return
    record.holders.splice(at, 1)
    record.heldAt = this.now
  }

  private compareSlots(node: SimNode, held: Uint8Array): void {
    const { slotHolders } = this
    for (let slot = 0; slot < held.length; slot++) {
      const holder = slotHolders[slot]
      if (held[slot] === 0) {
        if (holder === node) slotHolders[slot] = undefined
        continue
      }
      if (holder === node) continue
      if (holder !== undefined && this.strict() && holder.replica.tracker.held[slot] === 1) {
        this.complain('doubleSlot', `slot ${slot} is held by ${holder.boot} and by ${node.boot}`)
      }
      slotHolders[slot] = node
    }
  }

  private compareIds(changed: SimNode, nodes: readonly SimNode[]): void {
    const { epoch, genesis } = changed.replica.tracker.lineage
    this.idUsers.add(`${epoch} ${genesis} ${changed.boot}`)
    const text = overlap(changed, nodes, this.idUsers)
    if (text !== undefined) this.complain('overlap', text)
  }

  /** Now and then: what is too dear for each step. */
  patrol(node: SimNode): void {
    const { tracker, membership } = node.replica
    for (const [boot, log] of tracker.registry.logs) {
      const before = node.seen.seqs.get(boot)
      // A gone one may have been forgotten and be known anew, from somebody who was cut off: that is another copy.
      const isAnother = log.hidden && before?.log !== log
      if (before !== undefined && log.seq < before.seq && !isAnother)
        this.complain('backwards', `${node.boot}: its copy of ${boot} fell from ${before.seq} to ${log.seq}`)
      node.seen.seqs.set(boot, { log, seq: log.seq })
    }
    for (const claim of tracker.registry.logs.get(node.boot)?.claims.values() ?? []) this.outlived(node, claim)
    this.bound(node, 'members', membership.members.size)
    this.bound(node, 'asks', tracker.askById.size)
    this.bound(node, 'grants', tracker.grants.size)
    this.bound(node, 'waiting asks', tracker.waitingCount)
    this.bound(node, 'starting names', tracker.starting.size)
    this.bound(node, 'transfers', tracker.transfers.length)
    this.bound(node, 'unsent ops', tracker.unsent.length)
    this.bound(node, 'requests', tracker.requests.size)
  }

  /** Where this node knows that another start of the name ended later, its own claim must be later still. */
  private outlived(node: SimNode, { name, fence, placed }: Claim): void {
    if (node.leaving || placed?.ended !== undefined) return
    for (const [boot, log] of node.replica.tracker.registry.logs) {
      const end = log.strikes.get(name)
      if (boot === node.boot || end === undefined || end.fence < fence || end.origin === placed?.origin) continue
      this.complain('fence', `${name}: ${node.boot} holds it with fence ${fence}, and knows of an end at ${end.fence}`)
    }
  }

  private bound(node: SimNode, what: string, size: number): void {
    if (size > MAX_ENTRIES) this.complain('unbounded', `${node.boot} has ${size} ${what}`)
  }
}

/** Two ids of the lineage of `changed` that own a point in common, in words. `users`: see `Safety.idUsers`. */
export function overlap(changed: SimNode, nodes: readonly SimNode[], users: ReadonlySet<string>): string | undefined {
  const { lineage } = changed.replica.tracker
  const regions: { readonly id: itc.Id; readonly what: string }[] = []
  const inLineage = new Set<BootId>()
  const key = `${lineage.epoch} ${lineage.genesis} `
  for (const node of nodes) {
    const other = node.replica.tracker
    if (!node.alive || other.lineage.epoch !== lineage.epoch || other.lineage.genesis !== lineage.genesis) continue
    inLineage.add(node.boot)
    regions.push({ id: other.id, what: node.boot })
  }
  for (const node of nodes) {
    if (!inLineage.has(node.boot)) continue
    for (const [asker, { id }] of node.replica.tracker.pendingGrants) {
      // A grant that was used is the asker's id, or it has split and given it away since.
      if (!users.has(key + asker) && nodes.some((one) => one.boot === asker && one.alive)) {
        regions.push({ id, what: `${node.boot}'s grant to ${asker}` })
      }
    }
  }
  for (let i = 1; i < regions.length; i++) {
    for (let j = 0; j < i; j++) {
      const [a, b] = [regions[i], regions[j]]
      if (a !== undefined && b !== undefined && !itc.disjoint(a.id, b.id)) {
        return `the clock ids of ${b.what} and ${a.what} overlap`
      }
    }
  }
  return undefined
}
