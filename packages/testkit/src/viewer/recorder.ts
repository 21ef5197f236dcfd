/**
 * Makes a recording of a run from what it lets be seen. What a node did is read from its state after each step, as the
 * checks do it; what passed between nodes, from the frames. Everything it keeps is bounded: see `Kept`.
 */
import type { BootId, ClusterFrame, ClusterOutput, Member } from '@skep/cluster/core'
import type { Claim, TrackerMessage, TrackerOutput } from '@skep/tracker/core'
import type { SimEvent } from '../machines/event.js'
import type { SimNode } from '../machines/node.js'
import type { Observation, Observe } from '../machines/observation.js'
import type { RunReport } from '../machines/report.js'
import { show } from '../machines/trace.js'
import type { Breach, Family, Fault, Frame, Hold, Lane, Mark, MarkKind, Recording } from './page/recording.js'

/** Frames, marks and holds kept, of each: a page with more of them opens slowly. */
const MAX_KEPT = 200_000

/** Characters of a text: the longest frames are lists of which the beginning says enough. */
const MAX_TEXT = 500

type Ordinary = Exclude<ClusterFrame, { readonly message: unknown }>

const frameFamily: Record<Ordinary['type'], Family> = {
  ping: 'membership',
  ack: 'membership',
  pingReq: 'membership',
  pingReqAck: 'membership',
  news: 'membership',
  refused: 'membership',
  bye: 'membership',
}

const messageFamily: Record<TrackerMessage['type'], Family> = {
  digest: 'sync',
  pull: 'sync',
  busy: 'sync',
  ops: 'sync',
  state: 'sync',
  more: 'sync',
  beat: 'membership',
  claim: 'claims',
  grant: 'claims',
  refuse: 'claims',
  elsewhere: 'claims',
  unused: 'claims',
  check: 'claims',
  running: 'claims',
  runs: 'claims',
  take: 'slots',
  ack: 'slots',
  spawn: 'placement',
  spawned: 'placement',
  spawnFailed: 'placement',
  start: 'placement',
  startFailed: 'placement',
  order: 'placement',
  handoff: 'placement',
  handoffFailed: 'placement',
  known: 'placement',
  knows: 'placement',
  idAsk: 'ids',
  idGrant: 'ids',
  idPoint: 'ids',
  idConfirm: 'ids',
  idGive: 'ids',
  idGot: 'ids',
  request: 'requests',
  answer: 'requests',
  flush: 'requests',
  flushed: 'requests',
}

/** What is known of a node from its last step. */
interface Track {
  readonly lane: Lane
  readonly index: number
  readonly names: Map<string, { claim: Claim; hold: Hold }>
  readonly slots: Map<number, Hold>
  links: Set<BootId>
  seq: number
  view: number
  heldVersion: number
  gate: boolean
}

export class Recorder {
  private readonly tracks = new Map<BootId, Track>()
  private readonly lanes: Lane[] = []
  private readonly frames: Kept<Frame>
  private readonly marks: Kept<Mark>
  private readonly holds: Kept<Hold>
  private readonly underWay = new Map<SimEvent, Frame>()
  private readonly faults: Fault[] = []
  private readonly violations: Breach[] = []

  constructor(maxKept: number = MAX_KEPT) {
    const broken = (): boolean => this.violations.length > 0
    this.frames = new Kept(maxKept, broken)
    this.marks = new Kept(maxKept, broken)
    this.holds = new Kept(maxKept, broken)
  }

  /** The `observe` of the run that is recorded. */
  readonly observe: Observe = (at, seen) => this.record(round(at), seen)

  /** All that was seen. `command`: what makes the run again. */
  recording(report: RunReport, command: string): Recording {
    const { lanes, frames, marks, holds, faults, violations } = this
    return {
      seed: report.seed,
      command,
      endedAt: round(report.virtualMs),
      hash: report.hash,
      lanes,
      frames: frames.all,
      marks: marks.all,
      holds: holds.all,
      faults,
      violations,
      leftOut: frames.leftOut + marks.leftOut + holds.leftOut,
    }
  }

  private record(at: number, seen: Observation): void {
    switch (seen.type) {
      case 'started':
        return this.started(at, seen.node)
      case 'ended':
        return this.ended(at, seen.node, seen.how)
      case 'sent':
        return this.sent(at, seen.node, seen.to, seen.frame, seen.arrival)
      case 'arrived':
        return this.arrived(at, seen.arrival)
      case 'asked':
        return this.mark(at, seen.node, 'ask', /^\S+(?: \w+-\d+)?/.exec(seen.text)?.[0] ?? '', seen.text)
      case 'said':
        return this.said(at, seen.node, seen.output)
      case 'stepped':
        return this.stepped(at, seen.node)
      case 'fault': {
        const { kind, text, boots, until } = seen
        const lanes = boots.flatMap((boot) => this.tracks.get(boot)?.index ?? [])
        this.faults.push({ at, until: until === undefined ? undefined : round(until), kind, text, lanes })
        return
      }
      case 'violated': {
        const { rule, text } = seen.violation
        this.violations.push({ at, rule, text })
        return
      }
    }
  }

  private mark(at: number, node: SimNode, kind: MarkKind, label: string, text: string, bad = false): void {
    const lane = this.tracks.get(node.boot)?.index
    if (lane !== undefined) this.marks.add({ lane, at, kind, label, text: shorten(text), bad })
  }

  // -- the life of nodes

  private started(at: number, node: SimNode): void {
    const { boot, name, address } = node
    const lane: Lane = {
      boot,
      name,
      address,
      from: at,
      readyAt: undefined,
      leavingAt: undefined,
      until: undefined,
      end: undefined,
    }
    this.tracks.set(boot, {
      lane,
      index: this.lanes.length,
      names: new Map(),
      slots: new Map(),
      links: new Set(),
      seq: 0,
      view: 0,
      heldVersion: 0,
      gate: false,
    })
    this.lanes.push(lane)
  }

  private ended(at: number, node: SimNode, how: string): void {
    const track = this.tracks.get(node.boot)
    if (track === undefined) return
    track.lane.until = at
    track.lane.end = how
    for (const { hold } of track.names.values()) hold.until = at
    for (const hold of track.slots.values()) hold.until = at
    this.tracks.delete(node.boot)
  }

  // -- frames

  private sent(at: number, node: SimNode, boot: BootId, frame: ClusterFrame, arrival: SimEvent | undefined): void {
    const from = this.tracks.get(node.boot)?.index
    // Also one that is gone gets an arrow.
    const to = this.tracks.get(boot)?.index ?? this.lanes.findIndex((lane) => lane.boot === boot)
    if (from === undefined || to < 0) return
    const recorded: Frame = { from, to, sent: at, arrived: undefined, ...describe(frame) }
    if (this.frames.add(recorded) && arrival !== undefined) this.underWay.set(arrival, recorded)
  }

  private arrived(at: number, arrival: SimEvent): void {
    const frame = this.underWay.get(arrival)
    if (frame === undefined) return
    frame.arrived = at
    this.underWay.delete(arrival)
  }

  // -- what a node says and does

  private said(at: number, node: SimNode, output: ClusterOutput | TrackerOutput): void {
    switch (output.type) {
      case 'registered':
        return this.mark(at, node, 'outcome', `got ${output.claim.name}`, show(output))
      case 'refused': {
        const { what, name } = node.asks.get(output.ask) ?? { what: 'ask', name: String(output.ask) }
        return this.mark(at, node, 'outcome', `no ${name}`, `${what} ${name} refused: ${show(output)}`, true)
      }
      case 'done': {
        const { what, name } = node.asks.get(output.ask) ?? { what: 'ask', name: String(output.ask) }
        return this.mark(at, node, 'outcome', `done ${name || what}`, `${what} ${name} done (ask ${output.ask})`)
      }
      case 'granted':
        return this.mark(at, node, 'ask', 'granted', `${node.asks.get(output.ask)?.name ?? ''} ${show(output)}`)
      case 'activate':
        return this.mark(at, node, 'ask', `start ${output.name}`, show(output))
      case 'deactivate':
        return this.mark(at, node, 'name', `stop ${output.name}`, show(output), true)
      case 'ready':
        return this.mark(at, node, 'life', 'ready', 'ready: joined and synced')
      case 'condemned':
      case 'stalled':
      case 'trusted':
        return this.mark(at, node, 'life', output.type, show(output), output.type !== 'trusted')
      case 'member': {
        const { phase, suspect, info } = output.member
        if (!suspect && phase !== 'down') return
        const what = phase === 'down' ? 'down' : 'suspect'
        return this.mark(at, node, 'view', `${what} ${info.name}`, `${info.boot} is ${what}: ${output.reason}`, true)
      }
      case 'log':
      case 'dropped':
        return this.mark(at, node, 'note', output.type, show(output))
    }
  }

  private stepped(at: number, node: SimNode): void {
    const track = this.tracks.get(node.boot)
    if (track === undefined) return
    const { membership, tracker } = node.replica
    track.lane.readyAt ??= node.readyAt === undefined ? undefined : round(node.readyAt)
    track.lane.leavingAt ??= node.leavingSince === undefined ? undefined : round(node.leavingSince)
    if (tracker.gate !== track.gate) {
      track.gate = tracker.gate
      this.mark(at, node, 'life', 'gate', 'the join gate is open')
    }
    if (membership.view.number !== track.view) {
      const { number, members } = membership.view
      track.view = number
      const boots = members.map((member) => member.boot).join(' ')
      this.mark(
        at,
        node,
        'view',
        `v${number}: ${members.length}`,
        `view ${number}: ${members.length} members: ${boots}`,
      )
    }
    this.compareLinks(at, node, track)
    const own = tracker.registry.logs.get(node.boot)
    if (own !== undefined && own.seq !== track.seq) {
      track.seq = own.seq
      this.compareNames(at, node, track, own.claims)
    }
    if (tracker.heldVersion !== track.heldVersion) {
      track.heldVersion = tracker.heldVersion
      this.compareSlots(at, node, track, tracker.held)
    }
  }

  private compareLinks(at: number, node: SimNode, track: Track): void {
    const { links } = node
    for (const boot of track.links)
      if (!links.has(boot)) this.mark(at, node, 'link', 'unlinked', `link to ${boot} gone`)
    for (const boot of links.keys())
      if (!track.links.has(boot)) this.mark(at, node, 'link', 'linked', `link to ${boot}`)
    track.links = new Set(links.keys())
  }

  private compareNames(at: number, node: SimNode, track: Track, claims: ReadonlyMap<string, Claim>): void {
    for (const [name, { claim, hold }] of track.names) {
      const next = claims.get(name)
      if (next?.pid.id === claim.pid.id && next.fence === claim.fence) continue
      hold.until = at
      track.names.delete(name)
      this.mark(at, node, 'name', `−${name}`, `${name} removed: fence ${claim.fence}, pid ${claim.pid}`)
    }
    for (const [name, claim] of claims) {
      if (track.names.has(name)) continue
      const text = `${name}: fence ${claim.fence}, pid ${claim.pid}`
      const hold: Hold = { lane: track.index, what: name, from: at, until: undefined, text }
      this.holds.add(hold)
      track.names.set(name, { claim, hold })
      this.mark(at, node, 'name', `+${name}`, `${name} put: fence ${claim.fence}, pid ${claim.pid}, ${show(claim)}`)
    }
  }

  private compareSlots(at: number, node: SimNode, track: Track, held: Uint8Array): void {
    const gone: string[] = []
    const got: string[] = []
    held.forEach((on, slot) => {
      const hold = track.slots.get(slot)
      if ((on === 1) === (hold !== undefined)) return
      const what = `slot ${slot}`
      if (hold !== undefined) {
        hold.until = at
        track.slots.delete(slot)
        gone.push(what)
        return
      }
      const taken: Hold = { lane: track.index, what, from: at, until: undefined, text: what }
      this.holds.add(taken)
      track.slots.set(slot, taken)
      got.push(what)
    })
    if (got.length + gone.length === 0) return
    const changes = [
      got.length > 0 ? `takes ${got.join(', ')}` : '',
      gone.length > 0 ? `gives up ${gone.join(', ')}` : '',
    ]
    const text = `holds ${track.slots.size} slots: ${changes.filter((change) => change !== '').join('; ')}`
    this.mark(at, node, 'slots', `${track.slots.size} slots`, text)
  }
}

/**
 * A list that keeps at most so many. Until a rule is broken the older half goes when it is full, since what came
 * shortly before is what explains a violation; after that what is there stays, and what comes is only counted.
 */
class Kept<T> {
  private readonly max: number
  private readonly broken: () => boolean
  readonly all: T[] = []
  leftOut = 0

  constructor(max: number, broken: () => boolean) {
    this.max = max
    this.broken = broken
  }

  /** False where there was no room. */
  add(item: T): boolean {
    if (this.all.length >= this.max) {
      if (this.broken()) {
        this.leftOut++
        return false
      }
      this.leftOut += this.all.splice(0, Math.ceil(this.max / 2)).length
    }
    this.all.push(item)
    return true
  }
}

function describe(frame: ClusterFrame): Pick<Frame, 'type' | 'family' | 'text'> {
  switch (frame.type) {
    case 'message':
    case 'carry':
    case 'relay': {
      const message = frame.message as TrackerMessage
      const relayed = frame.type === 'relay' ? ` relayed from ${frame.from} to ${frame.to}` : ''
      const members = frame.type === 'message' ? '' : ` with members ${frame.members.map(memberText).join(' ')}`
      const text = shorten(`${show(message)}${relayed}${members}`)
      return { type: message.type, family: messageFamily[message.type], text }
    }
    case 'news': {
      const text = shorten(`news of ${frame.members.map(memberText).join(' ')}`)
      return { type: frame.type, family: frameFamily.news, text }
    }
    default:
      return { type: frame.type, family: frameFamily[frame.type], text: show(frame) }
  }
}

/** `c5d6-n03-2`, or `c5d6-n03-2(leaving,suspect)`. */
function memberText({ info, phase, suspect }: Member): string {
  const more = [...(phase === 'up' ? [] : [phase]), ...(suspect ? ['suspect'] : [])]
  return more.length === 0 ? info.boot : `${info.boot}(${more})`
}

function shorten(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT)}… (${text.length} characters)`
}

/** Microseconds are enough. */
function round(ms: number): number {
  return Math.round(ms * 1000) / 1000
}
