/**
 * Passing on: what was sent to a process that has been handed over to another node goes on to it there, in order, and
 * what comes of it goes back the same way; whoever sent it need not know (PROTOCOL.md 4.4). What is passed on carries a
 * mark, for its target lets it go before what is sent straight to it (mailbox.ts, the gate).
 */
import type { ErrorCode, Sent } from '@skep/cluster'
import { SkepError } from '@skep/cluster'
import type { Pid } from '@skep/tracker'
import type { Chain } from './chain.js'
import type { ActorCode } from './definition.js'
import { type ActorFrame, callFrame, openFrame } from './frames.js'
import { Outgoing, type Router } from './outgoing.js'
import type { RefHost } from './ref.js'

/** Who asked, as bytes go back to it. */
export interface Back {
  payload(type: 'reply' | 'thrown' | 'item', payload: Uint8Array): void
  refuse(code: ErrorCode, text: string, sent: Sent): void
}

/** Something that another node asked of a process that is elsewhere by now. */
export interface Errand {
  readonly actor: ActorCode
  readonly method: string
  readonly args: Uint8Array
  /** On this node's clock; Infinity for none. */
  readonly deadline: number
  /** Of a stream: how many items its reader has room for. */
  readonly credit: number | undefined
  readonly chain: Chain | undefined
  readonly key: string | undefined
}

export class Passing extends Outgoing {
  override passedOn = true
  readonly #key: string | undefined
  readonly #credit: number | undefined
  readonly #back: Back
  readonly #ended: (passing: Passing) => void

  constructor(calls: Router & RefHost, errand: Errand, to: Pid, back: Back, ended: (passing: Passing) => void) {
    const { actor, method, args, credit, deadline, chain, key } = errand
    super(calls, { host: calls, actor, target: { by: 'pid', pid: to }, options: {}, context: undefined }, method, [])
    this.payload = args
    this.chain = chain
    this.#key = key
    this.deadline = deadline
    this.#credit = credit
    this.#back = back
    this.#ended = ended
  }

  override get key(): string | undefined {
    return this.#key
  }

  override release(): void {
    super.release()
    this.#ended(this)
  }

  get streamed(): boolean {
    return this.#credit !== undefined
  }

  /** The process has come back to this node since: whoever asked finds it by its name. */
  deliverTo(): void {
    this.refuse('ERR_NO_PROCESS', 'it has moved on; a ref by name finds it', 'no')
  }

  frameFor(pid: Pid, payload: Uint8Array): unknown[] {
    const left = this.calls.left(this)
    if (this.#credit === undefined) return callFrame(this.id, pid.id, this.method, left, payload, undefined, this)
    return openFrame(this.id, pid.id, this.method, left, payload, undefined, this.#credit, this)
  }

  frame(frame: ActorFrame): void {
    if (frame.type === 'refused') return this.refuse(frame.code, frame.text, frame.sent)
    if (frame.type !== 'reply' && frame.type !== 'thrown' && frame.type !== 'item') return
    if (frame.type !== 'item') this.release()
    this.#back.payload(frame.type, frame.payload)
  }

  reject(error: unknown): void {
    if (this.settled) return
    this.release()
    if (error instanceof SkepError) this.#back.refuse(error.code, error.message, error.sent)
    else this.#back.refuse('ERR_BAD_ARGUMENTS', String(error), 'no')
  }

  recall(): void {
    if (this.id !== 0) this.calls.cancel(this)
  }

  /** Nobody wants it any more. */
  cancel(): void {
    if (this.settled) return
    this.recall()
    this.release()
  }

  grant(items: number): void {
    if (!this.settled) this.calls.grant(this, items)
  }

  // It stands in no mailbox of this node.
  begin(): undefined {}
  answer(): void {}
  fail(): void {}
}
