/**
 * Runs the tracker machine on a cluster: feeds it, performs what it asks of the world (send, ready, continue, log), and
 * wakes it at its deadline with one timer. Nothing is decided here. What concerns callers goes to `outcome`.
 *
 * An exception in a step or in what it asked for is a broken invariant: the machine is stopped at once and `onFatal`
 * hears of it, for a state that is half changed must not be acted on.
 */
import type { Cluster, Layer, Logger, Time } from '@skep/cluster'
import { laneOf, mayFollowOps, type Op, type TrackerMessage } from './core/messages.js'
import type { TrackerConfig, TrackerInput, TrackerOutput, TrackerState } from './core/state.js'
import { initTracker, stepTracker, trackerDeadline } from './core/tracker.js'
import { decodeMessage, encodeMessage, trackerKinds } from './core/wire.js'

/** What callers hear of: the outputs that are neither sent nor noted here. */
export type Outcome = Exclude<TrackerOutput, { type: 'send' | 'ready' | 'continue' | 'log' | 'dropped' }>

export interface DriverOptions {
  readonly cluster: Cluster
  readonly time: Time
  readonly logger: Logger
  readonly config: TrackerConfig
  readonly outcome: (output: Outcome) => void
  readonly onReady: () => void
  readonly onFatal: (error: unknown) => void
  /** Looks at a peer's message first; true when it was answered without the machine. */
  readonly intercept: (from: string, message: TrackerMessage) => boolean
  /** Another deadline that shares the timer: when it is, and what to do then. */
  readonly also: { readonly deadline: number; sweep(now: number): void }
}

type Send = Omit<Extract<TrackerOutput, { type: 'send' }>, 'type'>

/** This node's own ops of one step, on their way to these peers. */
interface Held {
  readonly message: Extract<TrackerMessage, { type: 'ops' }>
  readonly to: string[]
}

/** Steps whose ops leave as one message at most. */
const maxStepsTogether = 64

/**
 * And bytes of these, about. Half of what a link sends at once: a larger frame waits for room, and what was sent after it
 * (an answer, a call that says a name) would overtake it.
 */
const maxBytesTogether = 32 * 1024

/** Of an op without metadata and specs. */
const opBytes = 150

/** Most different reasons that are counted apart; the rest is counted together. */
const maxReasons = 64

export class Driver {
  readonly state: TrackerState
  /** Messages that the machine refused, by reason. */
  readonly dropped: Map<string, number> = new Map()
  readonly #options: DriverOptions
  /** Inputs that came while another one is stepped; the first ones are those of the present turn. */
  readonly #inputs: TrackerInput[] = []
  #feeding = false
  #stopped = false
  /** Ops that no peer has been sent yet, of steps that followed one another, and for whom they are. */
  #ops: Held[] = []
  /** What goes behind them. */
  #behind: Send[] = []
  #timer: { readonly at: number; readonly cancel: () => void } | undefined

  constructor(options: DriverOptions) {
    this.#options = options
    this.state = initTracker(options.config, options.time.now())
  }

  get stopped(): boolean {
    return this.#stopped
  }

  /** Takes the place above the cluster; its inputs come from now on. */
  attach(): void {
    const layer: Layer<TrackerMessage> = {
      kinds: trackerKinds,
      encode: encodeMessage,
      decode: decodeMessage,
      lane: laneOf,
      input: (input) => {
        // They were an earlier boot's, whose links are gone.
        if (input.type === 'rejoined') this.#forgetHeld()
        // The registry believes what it is told; only processes wait.
        if (input.type === 'stalled' || input.type === 'trusted') return
        if (input.type === 'message' && this.#options.intercept(input.from, input.message as TrackerMessage)) return
        this.feed(input)
        // What this node says of itself (kinds, cordon) may have changed: the machine hears it as a description.
        const info = input.type === 'member' ? input.member.info : undefined
        if (info?.boot === this.state.self && info !== this.state.info) this.feed({ type: 'describe', info })
      },
    }
    this.#options.cluster.attach(layer)
    this.arm()
  }

  /**
   * One step, and all that comes of it, in order, before this returns. What comes while outputs are performed has its
   * turn after them, or its ops would leave before those of the step that caused it. Nothing happens once stopped.
   */
  feed(input: TrackerInput): void {
    if (this.#feeding) {
      this.#inputs.push(input)
      return
    }
    this.#feeding = true
    try {
      this.#step(input)
      for (let i = 0; i < this.#inputs.length; i++) this.#step(this.#inputs[i] as TrackerInput)
    } finally {
      if (this.#inputs.length > 0) this.#inputs.length = 0
      this.#feeding = false
    }
    this.arm()
  }

  #step(input: TrackerInput): void {
    if (this.#stopped) return
    try {
      for (const output of stepTracker(this.state, input, this.#options.time.now())) {
        // An earlier output may have ended it all.
        if (this.#stopped) return
        this.#perform(output)
      }
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    this.stop()
    this.#options.onFatal(error)
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#timer = undefined
  }

  /** Sees to it that the timer fires no later than the earliest deadline. One that fires too early is set again. */
  arm(): void {
    if (this.#stopped) return
    const { time, also } = this.#options
    const at = Math.min(trackerDeadline(this.state), also.deadline)
    if (at === Number.POSITIVE_INFINITY || (this.#timer !== undefined && this.#timer.at <= at)) return
    this.#timer?.cancel()
    this.#timer = { at, cancel: time.setTimer(() => this.#wake(), Math.max(0, at - time.now())) }
  }

  #wake(): void {
    this.#timer = undefined
    const { time, also } = this.#options
    also.sweep(time.now())
    if (trackerDeadline(this.state) <= time.now()) this.feed({ type: 'wake' })
    this.arm()
  }

  #perform(output: TrackerOutput): void {
    const { cluster, logger, time } = this.#options
    switch (output.type) {
      case 'send':
        if (output.message.type === 'ops' && !output.message.reply) this.#holdOps(output.to, output.message)
        else if (mayFollowOps(output.message)) this.#holdBehind(output)
        else this.#send(output)
        return
      case 'ready':
        cluster.markReady()
        this.#options.onReady()
        return
      case 'continue':
        time.defer(() => this.feed({ type: 'continue' }))
        return
      case 'log':
        logger[output.level](output.fields, output.text)
        return
      case 'dropped':
        this.#drop(output.from, output.reason)
        return
      default:
        this.#options.outcome(output)
        return
    }
  }

  #send({ to, message, carry, relay }: Send): void {
    this.#options.cluster.send(to, message, { carry, relay })
  }

  /**
   * What peers ask for or answer comes many frames at a time, and each is a step with ops of its own; so is each name
   * that a caller asks for, and each process that was started. The ops of a turn leave as one message, before all else
   * that this node sends: whoever waited for one of these steps has its ops sent before what he sends next.
   */
  #holdOps(to: string, message: Held['message']): void {
    const last = this.#ops.at(-1)
    if (last?.message === message) {
      last.to.push(to)
      return
    }
    this.#willSend()
    this.#ops.push({ message, to: [to] })
  }

  #holdBehind(one: Send): void {
    this.#willSend()
    this.#behind.push(one)
  }

  #willSend(): void {
    if (this.#ops.length + this.#behind.length > 0) return
    this.#options.cluster.beforeSending(() => this.sendHeld())
  }

  #forgetHeld(): void {
    this.#ops = []
    this.#behind = []
  }

  /** What the steps so far wrote and asked for leaves now. */
  sendHeld(): void {
    const [ops, behind] = [this.#ops, this.#behind]
    this.#forgetHeld()
    if (this.#stopped) return
    try {
      for (const { message, to } of ops.length > 1 ? together(ops) : ops) {
        for (const boot of to) this.#send({ to: boot, message, carry: false, relay: false })
      }
      for (const one of behind) this.#send(one)
    } catch (error) {
      this.#fail(error)
    }
  }

  #drop(from: string, reason: string): void {
    const key = this.dropped.has(reason) || this.dropped.size < maxReasons ? reason : 'other'
    this.dropped.set(key, (this.dropped.get(key) ?? 0) + 1)
    this.#options.logger.debug({ from, reason }, 'dropped a tracker message')
  }
}

/** Ops that follow one another and go to the same peers, as one message. */
function together(all: readonly Held[]): Held[] {
  const joined: Held[] = []
  let run: Held[] = []
  let bytes = 0
  const end = (): void => {
    const [first] = run
    const last = run.at(-1)
    if (first === undefined || last === undefined) return
    const ops = run.flatMap(({ message }) => message.ops)
    joined.push(first === last ? first : { ...last, message: { ...last.message, first: first.message.first, ops } })
    run = []
    bytes = 0
  }
  for (const one of all) {
    const before = run.at(-1)
    const more = one.message.ops.reduce((sum, op) => sum + bytesOf(op), 0)
    const isFull = run.length === maxStepsTogether || bytes + more > maxBytesTogether
    if (before !== undefined && (isFull || !continues(before, one))) end()
    run.push(one)
    bytes += more
  }
  end()
  return joined
}

function continues(before: Held, { message, to }: Held): boolean {
  const { boot, first, ops } = before.message
  const sameLog = message.boot === boot && message.first === first + ops.length
  return sameLog && to.length === before.to.length && to.every((peer, i) => peer === before.to[i])
}

/** What an op takes in a frame, about. */
function bytesOf(op: Op): number {
  switch (op.type) {
    case 'put':
      return opBytes + op.claim.name.length + bytesOfPlain(op.claim.meta) + bytesOfPlain(op.claim.placed?.spec)
    case 'join':
      return opBytes + op.membership.group.length + bytesOfPlain(op.membership.meta)
    default:
      return opBytes
  }
}

/** Of metadata or a spec, which are bounded. */
function bytesOfPlain(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value)
  if (value instanceof Uint8Array) return value.length
  if (typeof value !== 'object' || value === null) return 0
  let bytes = 0
  for (const [key, field] of Object.entries(value)) bytes += 9 + key.length + bytesOfPlain(field)
  return bytes
}
