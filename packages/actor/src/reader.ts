/**
 * The reader of a streamed reply: an iterator that asks the actor for items in advance and stops it when it is left.
 * Nothing is sent before the first item is asked for.
 */
import { SkepError } from '@skep/cluster'
import type { Pid } from '@skep/tracker'
import { actorError } from './fault.js'
import { type ActorFrame, openFrame } from './frames.js'
import { isolateThrown } from './isolation.js'
import type { Work } from './message.js'
import { nameOf, Outgoing } from './outgoing.js'
import type { Process } from './process.js'
import { rejectAs, type Whose, whoseNow } from './rejections.js'
import { Feeder, maxStreams, type Sink, streamWindow } from './stream.js'

interface Waiting {
  readonly resolve: (result: IteratorResult<unknown>) => void
  readonly reject: (error: unknown) => void
  readonly whose: Whose | undefined
}

export class Reader extends Outgoing implements Sink, AsyncIterableIterator<unknown> {
  readonly streamed = true
  readonly #items: unknown[] = []
  #opened = false
  #waiting: Waiting[] = []
  #taken = 0
  #feeder: Feeder | undefined
  #failure: { readonly error: unknown } | undefined;

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<unknown>> {
    if (!this.#opened) this.#open()
    if (this.#items.length > 0) return Promise.resolve({ done: false, value: this.#consume() })
    if (this.#failure !== undefined) {
      const { error } = this.#failure
      this.#failure = undefined
      return Promise.reject(error)
    }
    if (this.settled) return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject, whose: whoseNow() })
      if (this.listed) return
      this.deadline = this.calls.deadlineFor(this.address, Number.POSITIVE_INFINITY)
      this.list()
    })
  }

  return(): Promise<IteratorResult<unknown>> {
    this.#opened = true
    if (!this.settled) {
      this.recall('the reader left')
      this.#end()
    }
    this.#items.length = 0
    this.#failure = undefined
    return Promise.resolve({ done: true, value: undefined })
  }

  #open(): void {
    this.#opened = true
    this.calls.launch(this)
  }

  #consume(): unknown {
    const item = this.#items.shift()
    this.#taken += 1
    // Half the window at a time: a frame for each item would double the frames.
    if (this.#taken >= streamWindow / 2 && !this.settled) {
      if (this.#feeder !== undefined) this.#feeder.grant(this.#taken)
      else this.calls.grant(this, this.#taken)
      this.#taken = 0
    }
    return item
  }

  deliverTo(process: Process, work: Work): void {
    if (typeof work === 'string') return
    const feeder = new Feeder(process, this.method, work, this.args, streamWindow, this, (to) => this.#follow(to))
    feeder.chain = this.chain
    this.#feeder = feeder
    this.away = true
    if (process.streams >= maxStreams)
      this.refuse('ERR_OVERLOADED', `${process.title} feeds ${maxStreams} streams already: end some`, 'no')
    else process.mailbox.deliver(feeder)
  }

  #follow(to: Pid): void {
    this.#feeder = undefined
    this.passOn(to)
  }

  item(value: unknown): void {
    this.#arrived(this.calls.isolate(value, 'item', this.address))
  }

  #arrived(item: unknown): void {
    if (this.settled) return
    this.#items.push(item)
    const waiting = this.#waiting.shift()
    if (waiting !== undefined) waiting.resolve({ done: false, value: this.#consume() })
    if (this.#waiting.length === 0) this.unlist()
  }

  end(): void {
    if (!this.settled) this.#end()
  }

  #end(): void {
    this.release()
    for (const { resolve } of this.#waiting.splice(0)) resolve({ done: true, value: undefined })
  }

  fail(error: unknown): void {
    if (!this.settled)
      this.reject(actorError(isolateThrown(error, this.calls.refs(this.address)), this.what, this.pid?.node))
  }

  reject(error: unknown): void {
    if (this.settled) return
    this.release()
    const [first, ...rest] = this.#waiting.splice(0)
    if (first === undefined) this.#failure = { error }
    else rejectAs(first.whose, first.reject, error)
    for (const { resolve } of rest) resolve({ done: true, value: undefined })
  }

  frameFor(pid: Pid, payload: Uint8Array): unknown[] {
    return openFrame(this.id, pid.id, this.method, 0, payload, nameOf(this.address), streamWindow, this)
  }

  frame(frame: ActorFrame): void {
    switch (frame.type) {
      case 'refused':
        return this.refuse(frame.code, frame.text, frame.sent)
      case 'reply':
        return this.end()
      case 'thrown': {
        const error = this.calls.read(frame.payload, this)
        return this.reject(actorError(error, this.what, this.pid?.node))
      }
      case 'item': {
        if (this.#items.length >= streamWindow) return this.#broken('more items than were asked for')
        const item = this.calls.read(frame.payload, this)
        return this.#arrived(item)
      }
    }
  }

  #broken(text: string): void {
    this.recall(text)
    this.reject(new SkepError('ERR_BAD_REPLY', `${this.what}: ${text}`, { sent: 'yes' }))
  }

  recall(reason: unknown): void {
    if (this.#feeder !== undefined) this.#feeder.cancel(reason)
    else if (this.id !== 0) this.calls.cancel(this)
  }

  // A reader stands in no mailbox: its feeder does.
  begin(): undefined {}
  answer(): void {}
}
