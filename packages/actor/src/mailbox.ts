/**
 * The messages that wait for one actor, and the rule that one of them runs at a time, in the order they came (`reentrant`
 * actors begin the next while others wait for something). Which may come in, and when none may begin, its process says.
 */
import { isThenable } from './grace.js'
import type { Message, Runner } from './message.js'
import { Queue } from './queue.js'

/** What a mailbox needs of its actor. */
export interface Worker extends Runner {
  readonly actor: { readonly reentrant: boolean }
  readonly title: string
  /** Nothing but what runs keeps the next message from beginning. */
  readonly mayBegin: boolean
  /** It has something to begin. */
  wake(): void
  /** It takes this one up. */
  takes(message: Message, now: number): void
  /** This one has run. */
  hasRun(message: Message): void
}

export class Mailbox {
  readonly #worker: Worker
  #queue: Queue<Message> | undefined
  /** The message that runs; of a reentrant actor nothing stands here. */
  current: Message | undefined
  /** Messages of a reentrant actor that run. */
  #others: Set<Message> | undefined
  /** Who waits until nothing runs. */
  #idlers: (() => void)[] | undefined
  /** Errors that messages threw. */
  failures = 0
  #onValue: ((value: unknown) => void) | undefined
  #onError: ((error: unknown) => void) | undefined

  constructor(worker: Worker) {
    this.#worker = worker
  }

  /** Messages that wait. */
  get waiting(): number {
    return this.#queue?.size ?? 0
  }

  get running(): number {
    return (this.current === undefined ? 0 : 1) + this.beside
  }

  /** Those of a reentrant actor that run. */
  get beside(): number {
    return this.#others?.size ?? 0
  }

  get runningMessages(): Message[] {
    const others = [...(this.#others ?? [])]
    return this.current === undefined ? others : [this.current, ...others]
  }

  push(message: Message): void {
    this.putBack(message)
    if (this.current === undefined && this.#worker.mayBegin) this.#worker.wake()
  }

  /** Let it wait as before. */
  putBack(message: Message): void {
    this.#queue ??= new Queue()
    this.#queue.push(message)
  }

  /** All that wait, which wait no longer. */
  *drain(): Generator<Message> {
    for (let m = this.#queue?.shift(); m !== undefined; m = this.#queue?.shift()) yield m
  }

  /** Where something can begin, it does soon. */
  goOn(): void {
    if (this.waiting > 0 && this.current === undefined && this.#worker.mayBegin) this.#worker.wake()
  }

  /** Its turn, as the actor's own code. */
  handle(max: number, now: number): number {
    const worker = this.#worker
    let done = 0
    while (done < max && this.current === undefined && worker.mayBegin) {
      const message = this.#queue?.shift()
      if (message === undefined) return done
      done += 1
      worker.takes(message, now)
      if (message.stale(now))
        message.refuse('ERR_TIMEOUT', `${worker.title} had no time for it before its deadline`, 'no')
      else if (worker.actor.reentrant) this.#runBeside(message)
      else this.#run(message)
    }
    this.goOn()
    return done
  }

  #run(message: Message): void {
    this.current = message
    let result: unknown
    try {
      result = message.begin(this.#worker)
      if (isThenable(result)) {
        this.#onValue ??= (value) => this.#ended()?.answer(value)
        this.#onError ??= (error) => this.#threw(this.#ended(), error)
        result.then(this.#onValue, this.#onError)
        return
      }
    } catch (error) {
      this.#threw(this.#ended(), error)
      return
    }
    this.#ended()
    message.answer(result)
  }

  /** The current message has run: the next may begin. */
  #ended(): Message | undefined {
    const message = this.current
    this.current = undefined
    if (message !== undefined) {
      message.finish()
      this.#worker.hasRun(message)
    }
    this.goOn()
    this.#nowIdle()
    return message
  }

  #runBeside(message: Message): void {
    this.#others ??= new Set()
    this.#others.add(message)
    const end = (): void => {
      this.#others?.delete(message)
      message.finish()
      this.#worker.hasRun(message)
      if (this.running === 0) this.#nowIdle()
    }
    let result: unknown
    try {
      result = message.begin(this.#worker)
    } catch (error) {
      end()
      this.#threw(message, error)
      return
    }
    Promise.resolve(result).then(
      (value) => {
        end()
        message.answer(value)
      },
      (error: unknown) => {
        end()
        this.#threw(message, error)
      },
    )
  }

  #threw(message: Message | undefined, error: unknown): void {
    this.failures += 1
    message?.fail(error)
  }

  #nowIdle(): void {
    const idlers = this.#idlers
    if (idlers === undefined) return
    this.#idlers = undefined
    for (const idler of idlers) idler()
  }

  /** Resolves when nothing runs. */
  whenIdle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idlers ??= []
      this.#idlers.push(resolve)
    })
  }
}
