/**
 * The messages of one actor: which may come in, when none may begin, and the rule that one of them runs at a time, in the
 * order they came (`reentrant` actors begin the next while others wait for something). What the actor itself is, when it
 * lives and how it ends, is its process's.
 */
import type { ErrorCode } from '@skep/cluster'
import type { Pid } from '@skep/tracker'
import type { Chain } from './chain.js'
import { isThenable } from './grace.js'
import type { Message, Runner } from './message.js'
import { Queue } from './queue.js'

/** With what callers of a halted actor are refused. */
export interface Refusal {
  readonly code: ErrorCode
  readonly text: string
}

export type Phase = 'starting' | 'running' | 'stopping' | 'stopped'

/** What a mailbox needs of its actor. */
export interface Worker extends Runner {
  readonly actor: { readonly reentrant: boolean }
  readonly title: string
  readonly phase: Phase
  /** Messages that may wait. */
  readonly mailboxLimit: number
  /** It ends since nothing came. */
  readonly endsAsIdle: boolean
  /** Where calls with a key go first. */
  readonly once: { admit(message: Message, key: string): void }
  /** A message with this chain would wait for itself: it has been refused. */
  refusesAsCycle(message: Message, chain: Chain): boolean
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
  /** Nothing begins: what waits and what comes waits on. */
  held = false
  /** The same, while the actor's code is being replaced. */
  swapping = false
  /** The same: since a `stall`, until it is known whether its node is a member; then until its `name` is its own again. */
  #doubt: 'stall' | 'name' | undefined
  /** The actor is halted, and its callers are told so. */
  #refusal: Refusal | undefined
  /** What was sent straight here, while what went to where the actor was before still comes. */
  #gate: Message[] | undefined
  /** The actor goes on as this process of another node. */
  #onward: Pid | undefined
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
    return (this.current === undefined ? 0 : 1) + (this.#others?.size ?? 0)
  }

  get runningMessages(): Message[] {
    const others = [...(this.#others ?? [])]
    return this.current === undefined ? others : [this.current, ...others]
  }

  // --- what comes ---

  /** Put a message at the end, or refuse it. */
  deliver(message: Message): void {
    const worker = this.#worker
    const refusal = this.#refusal
    if (this.#onward !== undefined) message.passOn(this.#onward)
    else if (worker.phase === 'stopping' || worker.phase === 'stopped') {
      // Its name is as good as free: who may start it does so, others hear that nobody has it.
      if (worker.endsAsIdle) message.refuse('ERR_NOT_REGISTERED', `${worker.title} ends, for it was idle`, 'no')
      else message.refuse('ERR_NO_PROCESS', `${worker.title} is stopping`, 'no')
    } else if (refusal !== undefined) {
      message.refuse(refusal.code, `${worker.title}: ${refusal.text}`, 'no')
    } else if (message.chain !== undefined && worker.refusesAsCycle(message, message.chain)) {
      // It would wait for itself.
    } else if (message.once !== undefined && (this.#gate === undefined || message.passedOn)) {
      worker.once.admit(message, message.once)
    } else if (!message.vital && this.#isFull) {
      message.refuse(
        'ERR_OVERLOADED',
        `the mailbox of ${worker.title} is full, ${this.waiting} messages wait: call it more slowly, or raise its mailbox`,
        'no',
      )
    } else if (this.#gate !== undefined && !message.passedOn) {
      this.#gate.push(message)
    } else {
      this.push(message)
    }
  }

  get #isFull(): boolean {
    return this.waiting + (this.#others?.size ?? 0) + (this.#gate?.length ?? 0) >= this.#worker.mailboxLimit
  }

  /** The same, however full the mailbox is: what it brings would be lost. */
  deliverVital(message: Message): void {
    message.vital = true
    this.deliver(message)
  }

  /** The next step of something that was accepted before: never refused for want of room. */
  deliverStep(message: Message): void {
    const { phase } = this.#worker
    message.step = true
    if (phase === 'starting' || phase === 'running') this.push(message)
  }

  /** A request to stop is passed on, refused or has to wait at the gate, as anything else would. */
  turnsAway(message: Message): boolean {
    const refusal = this.#refusal
    if (this.#onward !== undefined) message.passOn(this.#onward)
    else if (refusal !== undefined) message.refuse(refusal.code, `${this.#worker.title}: ${refusal.text}`, 'no')
    else if (this.#gate !== undefined && !message.passedOn) this.#gate.push(message)
    else return false
    return true
  }

  /** At the end, whatever else is the case. */
  push(message: Message): void {
    this.#queue ??= new Queue()
    this.#queue.push(message)
    if (this.current === undefined && this.mayBegin) this.#worker.wake()
  }

  /** Take out those that are not to wait any more; the others keep their order. */
  sift(stays: (message: Message) => boolean): void {
    for (const message of this.#taken()) if (stays(message)) this.#queue?.push(message)
  }

  /** All that wait, which wait no longer. */
  #taken(): Message[] {
    const taken: Message[] = []
    for (let m = this.#queue?.shift(); m !== undefined; m = this.#queue?.shift()) taken.push(m)
    return taken
  }

  /** What was sent straight here waits, until the gate is opened. */
  shutGate(): void {
    this.#gate = []
  }

  /** What was sent straight to this actor may go too: nothing more is passed on to it. */
  openGate(): void {
    const gate = this.#gate
    this.#gate = undefined
    for (const message of gate ?? []) this.deliver(message)
  }

  get gated(): boolean {
    return this.#gate !== undefined
  }

  /** The actor goes on as `to`: all that waits follows it there, and all that still comes. */
  departTo(to: Pid): void {
    this.#onward = to
    const gate = this.#gate ?? []
    this.#gate = undefined
    for (const message of [...this.#taken(), ...gate]) message.passOn(to)
  }

  get departed(): boolean {
    return this.#onward !== undefined
  }

  /** Its actor ends: what waits is refused. */
  refuseAll(reason: string): void {
    const gate = this.#gate ?? []
    this.#gate = undefined
    for (const message of [...this.#taken(), ...gate])
      message.refuse('ERR_ACTOR_STOPPED', `${this.#worker.title} stopped: ${reason}`, 'no')
  }

  // --- what keeps it from beginning ---

  get mayBegin(): boolean {
    return this.#worker.phase === 'running' && !this.paused
  }

  /** Nothing of it begins at present: it is held, halted, or in doubt. */
  get paused(): boolean {
    return this.held || this.swapping || this.#refusal !== undefined || this.#doubt !== undefined
  }

  resume(): void {
    this.held = false
    this.goOn()
  }

  /** Its node stood still: another process may have its name by now. Nothing begins until that is known. */
  doubt(): void {
    if (this.#worker.phase === 'running') this.#doubt ??= 'stall'
  }

  /** Its node is another boot by now: whether it was a member is not the question any more. */
  doubtName(): void {
    if (this.#doubt !== undefined) this.#doubt = 'name'
  }

  /** Its node is still the member that it was. */
  trust(): void {
    if (this.#doubt === 'stall') this.keep()
  }

  /** Its name is its own, under whatever pid. */
  keep(): void {
    this.#doubt = undefined
    this.goOn()
  }

  /**
   * Nothing begins from here on, until `unhalt`, and callers are refused so, those that wait as well; timers and what
   * was begun before wait. Apart from `held`: a node may halt while an actor is on its way to another one.
   */
  halt(refusal: Refusal): void {
    this.#refusal = refusal
    const waiting = [...(this.#gate ?? []), ...this.#taken()]
    if (this.#gate !== undefined) this.#gate = []
    for (const message of waiting) {
      if (message.step) this.push(message)
      else message.refuse(refusal.code, `${this.#worker.title}: ${refusal.text}`, 'no')
    }
  }

  unhalt(): void {
    this.#refusal = undefined
    this.goOn()
  }

  // --- what runs ---

  /** Where something can begin, it does soon. */
  goOn(): void {
    if (this.waiting > 0 && this.current === undefined && this.mayBegin) this.#worker.wake()
  }

  /** Its turn, as the actor's own code. */
  handle(max: number, now: number): number {
    const worker = this.#worker
    let done = 0
    while (done < max && this.current === undefined && this.mayBegin) {
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
        // Some libraries' thenables are no promises: one that settles twice would end whatever runs by then.
        Promise.resolve(result).then(this.#onValue, this.#onError)
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
    const answer = (value: unknown): void => {
      end()
      message.answer(value)
    }
    const fail = (error: unknown): void => {
      end()
      this.#threw(message, error)
    }
    let result: unknown
    try {
      result = message.begin(this.#worker)
      if (isThenable(result)) {
        // As above: once.
        Promise.resolve(result).then(answer, fail)
        return
      }
    } catch (error) {
      return fail(error)
    }
    answer(result)
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
