/**
 * The called side of what comes from other nodes: frames become messages in mailboxes, and what comes of each goes
 * back as exactly one answer. A peer whose link is full has its answers kept, in order, until there is room; a peer
 * whose link is gone has its calls withdrawn, since nobody would hear the answers.
 */
import type { ErrorCode, Logger, Sent } from '@skep/cluster'
import type { Pid, Timers } from '@skep/tracker'
import { BadBytes, unpack } from './decode.js'
import type { ActorCode, DownReason } from './definition.js'
import { pack } from './encode.js'
import { type ActorFrame, castFrame, payloadFrame, refusedFrame } from './frames.js'
import { packThrown } from './isolation.js'
import { beginWork, control, isBeside, Message, noMethod, onceOf, type Runner, type Work, workFor } from './message.js'
import type { Back, Errand } from './passing.js'
import type { Process } from './process.js'
import { Feeder, maxStreams, type Sink } from './stream.js'
import { type RefSource, Refused } from './values.js'

/** Frames kept for one overloaded link at most; more are dropped and counted, their callers run into their timeout. */
const maxKept = 10_000

export interface Inside {
  readonly time: Timers
  readonly logger: Logger
  readonly maxPayloadBytes: number
  post(to: string, frame: readonly unknown[]): 'sent' | 'unlinked' | 'overloaded'
  process(id: number): Process | undefined
  refs(): RefSource
  /** Where this process of ours has been handed over to. */
  moved(id: number): Moved | undefined
  passOn(errand: Errand, to: Pid, back: Back): Open
  dropped(reason: string): void
}

/** Where an actor went on. */
export interface Moved {
  readonly to: Pid
  readonly actor: ActorCode
  /** What those are told who watch it. */
  readonly end: DownReason
}

/** What a peer can still take back. */
export interface Open {
  cancel(reason: string): void
  grant(items: number): void
}

interface Peer {
  readonly open: Map<number, Open>
  readonly kept: (readonly unknown[])[]
}

type CallFrame = Extract<ActorFrame, { type: 'call' | 'open' }>

export class Incoming {
  readonly #inside: Inside
  readonly #peers = new Map<string, Peer>()

  constructor(inside: Inside) {
    this.#inside = inside
  }

  /** Calls and streams of other nodes that are open here. */
  get open(): number {
    let open = 0
    for (const peer of this.#peers.values()) open += peer.open.size
    return open
  }

  call(from: string, frame: CallFrame): void {
    const { open } = this.#peer(from)
    if (open.has(frame.id)) return this.#inside.dropped('a call with the number of an open one')
    const answers = new Answers(this, from, frame.id, this.#inside)
    const moved = this.#inside.moved(frame.target)
    if (moved !== undefined) return this.#onward(from, frame, moved, answers)
    const process = this.#inside.process(frame.target)
    if (process === undefined)
      return answers.refuse(
        'ERR_NO_PROCESS',
        'no such process runs there (any more); a ref by name finds its successor',
        'no',
      )
    const call = new RemoteCall(process, answers, frame.method, frame.key, this.#inside)
    call.passedOn = frame.passedOn
    call.chain = frame.chain
    if (frame.key !== undefined && frame.method !== control) call.once = onceOf(frame.method, frame.key)
    if (frame.left > 0) call.deadline = this.#inside.time.now() + frame.left
    const args = this.#args(frame.args, frame.type === 'call' ? process.refsFor(call) : process.refs)
    if (args === undefined)
      return answers.refuse(
        'ERR_BAD_ARGUMENTS',
        'the arguments could not be read (is the node of its caller of another version?)',
        'no',
      )
    const work = workFor(process.actor, frame.method, args, frame.type === 'open')
    if (work === undefined)
      return answers.refuse('ERR_NO_METHOD', noMethod(process, frame.method, frame.type === 'open'), 'no')
    if (frame.type === 'call') {
      open.set(frame.id, call)
      call.deliver(work, args)
    } else if (typeof work === 'string' || process.streams >= maxStreams) {
      answers.refuse('ERR_OVERLOADED', `${process.title} feeds ${maxStreams} streams already: end some`, 'no')
    } else {
      const onward = (to: Pid): void => this.#onward(from, frame, { to, actor: process.actor, end: 'moved' }, answers)
      const feeder = new Feeder(process, frame.method, work, args, frame.credit, answers, onward)
      feeder.passedOn = frame.passedOn
      feeder.chain = frame.chain
      open.set(frame.id, feeder)
      process.mailbox.deliver(feeder)
    }
  }

  /** Its actor is on another node by now. */
  #onward(from: string, frame: CallFrame, { to, actor, end }: Moved, answers: Answers): void {
    const { method, args, left } = frame
    const [what] = method === control ? (this.#args(args, this.#inside.refs()) ?? []) : []
    if (what === 'monitor') return answers.value(end)
    const deadline = left > 0 ? this.#inside.time.now() + left : Number.POSITIVE_INFINITY
    const credit = frame.type === 'open' ? frame.credit : undefined
    // The frame's bytes are a view of what arrived with it.
    const errand = { actor, method, args: Uint8Array.from(args), deadline, credit, chain: frame.chain, key: frame.key }
    this.#peer(from).open.set(frame.id, this.#inside.passOn(errand, to, answers))
  }

  cast(frame: Extract<ActorFrame, { type: 'cast' }>): void {
    const moved = this.#inside.moved(frame.target)
    if (moved !== undefined) {
      const onward = castFrame(moved.to.id, frame.method, Uint8Array.from(frame.args), frame.name, true)
      this.send(moved.to.boot, onward)
      return
    }
    const process = this.#inside.process(frame.target)
    if (process === undefined) return this.#inside.dropped('cast: ERR_NO_PROCESS')
    const args = this.#args(frame.args, process.refs)
    if (args === undefined) return this.#inside.dropped('cast: ERR_BAD_ARGUMENTS')
    const work = workFor(process.actor, frame.method, args, false)
    // Nobody would hear what a cast that watches has to say.
    if (work === undefined || (typeof work === 'string' && work !== 'stop'))
      return this.#inside.dropped('cast: ERR_NO_METHOD')
    const cast = new RemoteCast(process, frame.method, work, args, this)
    cast.passedOn = frame.passedOn
    if (work === 'stop') process.deliverStop(cast, String(args[1]))
    else process.mailbox.deliver(cast)
  }

  cancel(from: string, id: number): void {
    const open = this.#peers.get(from)?.open
    const taken = open?.get(id)
    open?.delete(id)
    taken?.cancel('the caller gave up')
  }

  grant(from: string, id: number, items: number): void {
    this.#peers.get(from)?.open.get(id)?.grant(items)
  }

  /** The link has room again. */
  drained(boot: string): void {
    const kept = this.#peers.get(boot)?.kept
    while (kept !== undefined && kept.length > 0) {
      const frame = kept[0] as readonly unknown[]
      if (this.#inside.post(boot, frame) === 'overloaded') return
      kept.shift()
    }
  }

  /** The link is gone. */
  lost(boot: string): void {
    const peer = this.#peers.get(boot)
    this.#peers.delete(boot)
    for (const open of peer?.open.values() ?? []) open.cancel('the link to the caller is gone')
  }

  /** Send what must not be lost while the link stands, behind what is kept already. */
  send(to: string, frame: readonly unknown[]): 'sent' | 'unlinked' {
    const kept = this.#peers.get(to)?.kept
    if (kept === undefined || kept.length === 0) {
      const posted = this.#inside.post(to, frame)
      if (posted !== 'overloaded') return posted
    }
    const peer = this.#peer(to)
    if (peer.kept.length >= maxKept) this.#inside.dropped('an answer to an overloaded peer')
    else peer.kept.push(frame)
    return 'sent'
  }

  get inside(): Inside {
    return this.#inside
  }

  /** The call has had its answer. */
  end(from: string, id: number): void {
    this.#peers.get(from)?.open.delete(id)
  }

  #peer(boot: string): Peer {
    let peer = this.#peers.get(boot)
    if (peer === undefined) {
      peer = { open: new Map(), kept: [] }
      this.#peers.set(boot, peer)
    }
    return peer
  }

  #args(bytes: Uint8Array, refs: RefSource): unknown[] | undefined {
    try {
      const args = unpack(bytes, refs)
      return Array.isArray(args) ? args : undefined
    } catch (error) {
      if (error instanceof BadBytes) return undefined
      throw error
    }
  }
}

/** The one answer to a call, or the items and the end of a stream. */
class Answers implements Sink, Back {
  readonly #incoming: Incoming
  readonly #to: string
  readonly #id: number
  readonly #inside: Inside
  #over = false

  constructor(incoming: Incoming, to: string, id: number, inside: Inside) {
    this.#incoming = incoming
    this.#to = to
    this.#id = id
    this.#inside = inside
  }

  /** The value, or why it could not be sent. */
  value(value: unknown): void {
    let payload: Uint8Array
    try {
      payload = pack(value, 'result', this.#inside.maxPayloadBytes)
    } catch (error) {
      if (!(error instanceof Refused)) return this.fail(error)
      return this.refuse(error.refusal.code, error.refusal.text, 'yes')
    }
    this.#last(payloadFrame('reply', this.#id, payload))
  }

  /** As it came from where the actor is now. */
  payload(type: 'reply' | 'thrown' | 'item', payload: Uint8Array): void {
    const frame = payloadFrame(type, this.#id, Uint8Array.from(payload))
    if (type !== 'item') this.#last(frame)
    else if (!this.#over) this.#incoming.send(this.#to, frame)
  }

  item(value: unknown): void {
    const payload = pack(value, 'item', this.#inside.maxPayloadBytes)
    if (!this.#over) this.#incoming.send(this.#to, payloadFrame('item', this.#id, payload))
  }

  end(): void {
    this.value(undefined)
  }

  fail(error: unknown): void {
    const payload = packThrown(error, this.#inside.maxPayloadBytes, this.#inside.refs())
    this.#last(payloadFrame('thrown', this.#id, payload))
  }

  refuse(code: ErrorCode, text: string, sent: Sent): void {
    this.#last(refusedFrame(this.#id, code, text, sent))
  }

  /** Nobody wants an answer any more. */
  close(): void {
    this.#over = true
  }

  #last(frame: readonly unknown[]): void {
    if (this.#over) return
    this.#over = true
    this.#incoming.end(this.#to, this.#id)
    this.#incoming.send(this.#to, frame)
  }
}

class RemoteCall extends Message implements Open {
  readonly #process: Process
  readonly #answers: Answers
  readonly method: string
  readonly #key: string | undefined
  readonly #inside: Inside
  #work: Work | undefined
  #args: readonly unknown[] = []
  /** It went on to another node. */
  #onward: Open | undefined

  constructor(process: Process, answers: Answers, method: string, key: string | undefined, inside: Inside) {
    super()
    this.#process = process
    this.#answers = answers
    this.method = method
    this.#key = key
    this.#inside = inside
  }

  deliver(work: Work, args: readonly unknown[]): void {
    this.#work = work
    this.#args = args
    if (work === 'stop') this.#process.deliverStop(this, String(args[1]))
    else if (isBeside(work)) this.#process.beside(work, this, args)
    else if (work === 'merge') this.#process.mailbox.deliverVital(this)
    else this.#process.mailbox.deliver(this)
  }

  begin(runner: Runner, as: Message = this): unknown {
    return beginWork(this.#work as Work, runner, as, this.#args)
  }

  answer(value: unknown): void {
    if (this.#work !== 'stop') return this.#answers.value(value)
    this.#process.stopThen(String(this.#args[1]), false, () => this.#answers.value(undefined))
  }

  fail(error: unknown): void {
    this.#answers.fail(error)
  }

  refuse(code: ErrorCode, text: string, sent: Sent): void {
    // Somebody else's stop came first: what was asked for happens.
    if (this.#work === 'stop' && code === 'ERR_ACTOR_STOPPED') this.answer(undefined)
    else this.#answers.refuse(code, text, sent)
  }

  passOn(to: Pid): void {
    if (this.withdrawn) return
    const { maxPayloadBytes } = this.#inside
    const args = pack(this.#args, 'args', maxPayloadBytes)
    const errand = {
      actor: this.#process.actor,
      method: this.method,
      args,
      deadline: this.deadline,
      credit: undefined,
      chain: this.chain,
      key: this.#key,
    }
    this.#onward = this.#inside.passOn(errand, to, this.#answers)
  }

  cancel(reason: string): void {
    this.#answers.close()
    this.#onward?.cancel(reason)
    this.withdraw(reason)
    this.#process.unwatch(this)
  }

  grant(): void {}
}

class RemoteCast extends Message {
  readonly #process: Process
  readonly method: string
  readonly #work: Work
  readonly #args: readonly unknown[]
  readonly #incoming: Incoming

  constructor(process: Process, method: string, work: Work, args: readonly unknown[], incoming: Incoming) {
    super()
    this.#process = process
    this.method = method
    this.#work = work
    this.#args = args
    this.#incoming = incoming
  }

  passOn(to: Pid): void {
    const { maxPayloadBytes } = this.#incoming.inside
    const args = pack(this.#args, 'args', maxPayloadBytes)
    this.#incoming.send(to.boot, castFrame(to.id, this.method, args, undefined, true))
  }

  begin(runner: Runner): unknown {
    return beginWork(this.#work, runner, this, this.#args)
  }

  answer(): void {
    if (this.#work === 'stop') void this.#process.stop(String(this.#args[1]), false)
  }

  fail(err: unknown): void {
    const { logger } = this.#incoming.inside
    logger.warn({ err, actor: this.#process.title, method: this.method }, 'a cast threw')
  }

  refuse(code: ErrorCode): void {
    this.#incoming.inside.dropped(`cast: ${code}`)
  }
}
