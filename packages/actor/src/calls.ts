/**
 * The caller's side: finds whom a ref means, hands the work to the mailbox next door or to the link, and knows what is
 * open at which node, so that an answer, a lost link or the end of this node finds all that it concerns.
 */
import { SkepError } from '@skep/cluster'
import type { Claim, Pid, Timers } from '@skep/tracker'
import type { CallContext } from './chain.js'
import type { Deadlines } from './deadlines.js'
import { unpack } from './decode.js'
import type { ActorCode, DownReason } from './definition.js'
import { pack } from './encode.js'
import { type ActorFrame, cancelFrame, creditFrame } from './frames.js'
import type { Moved } from './incoming.js'
import { type Isolation, isolate, isolateAll } from './isolation.js'
import { control, noMethod, onceOf, workFor } from './message.js'
import { Monitor } from './monitor.js'
import type { OnceImage } from './once.js'
import { NameOrder } from './order.js'
import { Call, Cast, Outgoing, type Router, refusedError } from './outgoing.js'
import { type Back, type Errand, Passing } from './passing.js'
import type { Process } from './process.js'
import { Reader } from './reader.js'
import type { Address, RefHost } from './ref.js'
import { Releases } from './releases.js'
import { isPrimitive, type RefSource, Refused } from './values.js'
import type { ViaOptions } from './via.js'
import { LinkWaits } from './waits.js'

/** Times that a call is sent again, to the new holder of its name, after it certainly was not done. */
const maxRedirects = 2

/** Said where a name has no holder. */
const nobody = 'nobody holds this name; a ref of node.ensure() starts its actor when it is called'

/** What this side needs of the node. */
export interface Outside {
  readonly time: Timers
  readonly boot: string
  readonly isolation: Isolation
  readonly maxPayloadBytes: number
  /** Calls and streams to other nodes that may be open at once. */
  readonly maxPending: number
  readonly callTimeoutMs: number
  readonly stopTimeoutMs: number
  post(to: string, frame: readonly unknown[]): 'sent' | 'unlinked' | 'overloaded'
  /** For frames of which none may be lost while the link stands: kept until an overloaded link has room again. */
  postSurely(to: string, frame: readonly unknown[]): 'sent' | 'unlinked'
  /** How far a boot is known. */
  known(boot: string): 'alive' | 'gone' | 'unknown'
  lookup(name: string): Pick<Claim, 'pid' | 'kind'> | undefined
  /** The process of this node that starts under a name which nobody holds yet. */
  starting(name: string): Pid | undefined
  process(id: number): Process | undefined
  /** Where this process of ours has been handed over to. */
  moved(id: number): Moved | undefined
  spawn(actor: ActorCode, name: string, args: readonly unknown[], options: ViaOptions): Promise<Pid>
  refsFor(context: CallContext | undefined): RefSource
  dropped(reason: string): void
}

export class Calls implements RefHost, Router {
  readonly deadlines: Deadlines
  readonly #outside: Outside
  /** Calls and streams at other nodes, by the number in their frames. */
  readonly #pending = new Map<number, Outgoing>()
  /** Names that are being spawned for `ensure`, with what waits for that, in order. */
  readonly #ensuring = new Map<string, Outgoing[]>()
  readonly #waits: LinkWaits
  /** Names that `ensure` refs wait for, since their actor is on its way out. */
  readonly #releases: Releases
  readonly #order = new NameOrder()
  readonly #passing = new Set<Passing>()
  readonly #whenPassed: (() => void)[] = []
  #lastBorn = 0
  #lastId = 0
  #closed = false

  constructor(outside: Outside, deadlines: Deadlines) {
    this.#outside = outside
    this.deadlines = deadlines
    this.#releases = new Releases(outside.time, (out) => this.#find(out))
    this.#waits = new LinkWaits(outside.time, (out) => {
      out.refuse(
        'ERR_UNREACHABLE',
        `there is no link to ${out.pid?.node ?? 'its node'} at present; it is being dialled, try again`,
        'no',
      )
    })
  }

  /** Calls and streams that wait for another node. */
  get pending(): number {
    return this.#pending.size
  }

  /** Calls to other nodes that wait for their answer, up to `most`; streams may be open as long as they like. */
  describe(most: number): string[] {
    return [...this.#pending.values()]
      .filter((out) => !out.streamed && !out.watches)
      .slice(0, most)
      .map((out) => out.what)
  }

  // --- what refs ask for ---

  call(address: Address, method: string, args: unknown[]): Promise<unknown> {
    const { options, context } = address
    return this.#promised(
      address,
      method,
      args,
      context?.deadline ?? Number.POSITIVE_INFINITY,
      options.timeout ?? this.#outside.callTimeoutMs,
    )
  }

  stop(address: Address, reason: string): Promise<void> {
    const deadline = this.deadlineFor(address, this.#outside.stopTimeoutMs)
    return this.#promised(address, control, ['stop', reason], deadline) as Promise<void>
  }

  /**
   * Gives what a copy that has lost its name was to the one that has it, with the answers of its calls with a key; resolves
   * when that one has merged it.
   */
  merge(actor: ActorCode, to: Pid, saved: unknown, answers: readonly OnceImage[], timeoutMs: number): Promise<unknown> {
    const address: Address = { host: this, actor, target: { by: 'pid', pid: to }, options: {}, context: undefined }
    return this.#promised(address, control, ['merge', saved, answers], this.#outside.time.now() + timeoutMs)
  }

  /** Asks one side of a link for the other one; see links.ts. */
  tellLinked(
    actor: ActorCode,
    to: Pid,
    what: 'link' | 'unlink',
    by: Pid,
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    const options = signal === undefined ? {} : { signal }
    const address: Address = { host: this, actor, target: { by: 'pid', pid: to }, options, context: undefined }
    return this.#promised(address, control, [what, by], this.#outside.time.now() + this.#outside.callTimeoutMs)
  }

  /** `unheard`: what is said of one that had ended before anybody asked. */
  monitor(address: Address, unheard: DownReason = 'stopped'): Monitor {
    const find = (): Pid => {
      const pid = this.resolve(address)
      if (pid !== undefined) return pid
      const name = address.target.by === 'pid' ? '' : address.target.name
      throw new SkepError('ERR_NOT_REGISTERED', `${address.actor.kind}.$.monitor of '${name}': ${nobody}`)
    }
    return new Monitor(
      {
        ask: (pid, signal) => {
          const own: Address = { ...address, target: { by: 'pid', pid }, options: { signal }, context: undefined }
          return this.#promised(own, control, ['monitor'], Number.POSITIVE_INFINITY)
        },
        alive: (pid) => this.alive(pid),
        unheard,
        pause: (ms, signal) => this.pause(ms, signal),
      },
      find,
      address.options.signal,
    )
  }

  /** Is its node, in that life, still counted in? */
  alive({ boot }: Pid): boolean {
    return boot === this.#outside.boot || this.#outside.known(boot) === 'alive'
  }

  pause(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancel()
        signal.removeEventListener('abort', end)
        resolve()
      }
      const cancel = this.#outside.time.setTimer(end, ms)
      signal.addEventListener('abort', end)
    })
  }

  /** `forMs`: how long it has, where that ends before the deadline. */
  #promised(
    address: Address,
    method: string,
    args: unknown[],
    deadline: number,
    forMs: number = Number.POSITIVE_INFINITY,
  ): Promise<unknown> {
    const promise = new Promise(keepSettlers)
    const call = new Call(this, address, method, args, resolveKept, rejectKept)
    // Or they would keep the answer alive until the next call.
    keepSettlers(ignored, ignored)
    call.deadline = deadline
    call.forMs = forMs
    this.launch(call)
    return promise
  }

  stream(address: Address, method: string, args: unknown[]): AsyncIterableIterator<unknown> {
    refuseKey(address, method, 'stream')
    return new Reader(this, address, method, args)
  }

  cast(address: Address, method: string, args: unknown[]): void {
    refuseKey(address, method, 'cast')
    const cast = new Cast(this, address, method, args)
    this.launch(cast)
    // Nobody waits for an outcome, but a value that cannot be sent is the caller's own mistake.
    if (cast.mistake !== undefined) throw cast.mistake
  }

  resolve({ target }: Address): Pid | undefined {
    return target.by === 'pid' ? target.pid : this.#outside.lookup(target.name)?.pid
  }

  // --- on the way out ---

  /** Send it for the first time. */
  launch(out: Outgoing): void {
    this.#lastBorn += 1
    out.born = this.#lastBorn
    const { signal } = out.address.options
    if (signal !== undefined && !out.watch(signal)) {
      out.reject(
        new SkepError('ERR_ABORTED', `${out.what}: its signal was aborted before`, {
          cause: signal.reason,
          sent: 'no',
        }),
      )
      return
    }
    if (this.#closed)
      return out.reject(new SkepError('ERR_STOPPED', `${out.what}: this node has been stopped`, { sent: 'no' }))
    if (out.address.context !== undefined && this.#isPast(out.deadline)) {
      return out.reject(
        new SkepError(
          'ERR_TIMEOUT',
          `${out.what}: the deadline of its caller has passed, and what a call calls waits no longer than that`,
          { sent: 'no' },
        ),
      )
    }
    if (out instanceof Call) out.list()
    if (!(out instanceof Cast)) out.chain = out.address.context?.chain
    if (out instanceof Call && out.method !== control) {
      out.address.context?.await(out)
      const { key } = out.address.options
      if (key !== undefined) {
        out.once = onceOf(out.method, key)
        // Those that have one key wait together, as long as the last of them does.
        this.deadlines.begin()
      }
    }
    this.#find(out)
  }

  #isPast(deadline: number): boolean {
    return deadline !== Number.POSITIVE_INFINITY && deadline <= this.#outside.time.now()
  }

  #find(out: Outgoing): void {
    try {
      this.#toTarget(out)
    } catch (error) {
      out.reject(error instanceof Refused ? refusedError(error, out.what, 'no') : error)
    }
  }

  #toTarget(out: Outgoing): void {
    const { target } = out.address
    if (target.by === 'pid') return this.#sendTo(out, target.pid)
    // Behind those that wait for the spawn, or it would overtake its own caller's earlier calls.
    if (target.by === 'ensure' && this.#ensuring.has(target.name)) return this.#ensure(out)
    // The same of those that wait for the name; one that has waited enough takes its chance.
    if (target.by === 'ensure' && this.#releases.has(target.name) && this.#releases.wait(target.name, out)) return
    const claim = this.#outside.lookup(target.name)
    if (claim !== undefined) return this.#sendToHolder(out, claim)
    const starting = out.method === control ? this.#outside.starting(target.name) : undefined
    if (starting !== undefined) return this.#sendTo(out, starting)
    if (target.by === 'ensure' && out.method !== control) return this.#ensure(out)
    out.reject(new SkepError('ERR_NOT_REGISTERED', `${out.what}: ${nobody}`, { sent: 'no' }))
  }

  /** To whoever holds the name, unless that is an actor of another kind, whose methods only happen to be named alike. */
  #sendToHolder(out: Outgoing, { pid, kind }: Pick<Claim, 'pid' | 'kind'>): void {
    if (kind === undefined || kind === out.address.actor.kind) return this.#sendTo(out, pid)
    const text = `the name is held by an actor of kind '${kind}', the ref is to kind '${out.address.actor.kind}': use the definition of the former`
    out.reject(new SkepError('ERR_NO_PROCESS', `${out.what}: ${text}`, { sent: 'no', pid }))
  }

  /** After it certainly was not done: the name may have moved meanwhile. False when there is nowhere else to go. */
  redirect(out: Outgoing): boolean {
    const { target } = out.address
    if (target.by === 'pid' || out.method === control) return false
    // Where a later call went there before, it would be done after that.
    if (out.overtaken) return false
    if (this.#isPast(out.deadline)) return false
    const pid = this.resolve(out.address)
    const elsewhere = pid === undefined ? target.by === 'ensure' : !pid.equals(out.pid)
    if (elsewhere && out.redirects < maxRedirects) {
      out.redirects += 1
      this.#recall(out)
      this.#find(out)
      return true
    }
    // Its actor is on its way out, and its name with it: started again, it is there for this call too.
    if (target.by !== 'ensure' || !this.#releases.wait(target.name, out)) return false
    this.#recall(out)
    return true
  }

  /** It is not where it went any more, and was not done there. */
  #recall(out: Outgoing): void {
    out.away = false
    if (out.id !== 0) this.forget(out)
    if (out.ordered) this.unorder(out)
  }

  follow(out: Outgoing, to: Pid): void {
    this.#recall(out)
    this.#sendTo(out, to)
  }

  /** What another node asked of a process that was handed over. */
  passOn(errand: Errand, to: Pid, back: Back): Passing {
    const passing = new Passing(this, errand, to, back, (ended) => this.#hasPassed(ended))
    this.#passing.add(passing)
    this.#sendTo(passing, to)
    return passing
  }

  #hasPassed(passing: Passing): void {
    this.#passing.delete(passing)
    if (this.#passing.size === 0) for (const done of this.#whenPassed.splice(0)) done()
  }

  /** Resolves when nothing that was passed on waits for its answer. */
  allPassed(): Promise<void> {
    return this.#passing.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#whenPassed.push(resolve))
  }

  unorder(out: Outgoing): void {
    out.ordered = false
    const { target } = out.address
    if (target.by !== 'pid') this.#order.ends(out, target.name)
  }

  #sendTo(out: Outgoing, pid: Pid): void {
    out.pid = pid
    const { target } = out.address
    const isHere = pid.boot === this.#outside.boot
    // What is passed on has its place before all that is sent straight.
    if (target.by !== 'pid' && !out.ordered && !out.passedOn) {
      // Casts are not refused, and what is here is refused at once.
      out.ordered = !isHere && !(out instanceof Cast)
      this.#order.goes(out, target.name, pid, out.ordered)
    }
    try {
      if (isHere) this.#sendHere(out, pid)
      else this.#sendAway(out, pid)
    } catch (error) {
      out.reject(error instanceof Refused ? refusedError(error, out.what, 'no') : error)
    }
  }

  #sendHere(out: Outgoing, pid: Pid): void {
    const process = this.#outside.process(pid.id)
    const moved = this.#outside.moved(pid.id)
    if (moved !== undefined) return this.#toMoved(out, moved)
    if (process === undefined)
      return out.refuse(
        'ERR_NO_PROCESS',
        'no such process runs on this node (any more); a ref by name finds its successor',
        'no',
      )
    const work = workFor(process.actor, out.method, out.args, out.streamed)
    if (work === undefined) return out.refuse('ERR_NO_METHOD', noMethod(process, out.method, out.streamed), 'no')
    this.#isolateArgs(out, process)
    out.deliverTo(process, work)
  }

  /** It went to another node a moment ago. */
  #toMoved(out: Outgoing, { to, end }: Moved): void {
    if (out instanceof Call && out.watches) return out.answer(end)
    out.passOn(to)
  }

  #isolateArgs(out: Outgoing, process: Process): void {
    const { isolation } = this.#outside
    if (isolation === 'off' || out.args.every(isPrimitive)) return
    const refs = out.streamed ? process.refs : process.refsFor(out)
    // The bytes, where there are some, are what the caller gave at the time of the call; the objects may have changed.
    if (out.payload !== undefined) out.args = unpack(out.payload, refs) as unknown[]
    else isolateAll(isolation, out.args, 'args', refs)
  }

  #sendAway(out: Outgoing, pid: Pid): void {
    const outside = this.#outside
    if (this.#pending.size + this.#waits.size >= outside.maxPending) {
      return out.refuse(
        'ERR_OVERLOADED',
        `${this.#pending.size} calls to other nodes are open already: have fewer at once, or raise the limit maxPending`,
        'no',
      )
    }
    out.payload ??= pack(out.args, 'args', outside.maxPayloadBytes)
    // Behind those that wait for the link already, or it would overtake them.
    if (this.#waits.has(pid.boot)) return this.#waits.add(pid.boot, out)
    this.#lastId += 1
    out.id = this.#lastId
    if (!(out instanceof Cast)) this.#pending.set(out.id, out)
    const frame = out.frameFor(pid, out.payload)
    const posted = out.passedOn ? outside.postSurely(pid.boot, frame) : outside.post(pid.boot, frame)
    if (posted === 'sent') {
      out.hasLeft()
      return
    }
    this.forget(out)
    if (posted === 'overloaded')
      return out.refuse('ERR_OVERLOADED', `the link to ${pid.node} is full: send less at once, and try again`, 'no')
    switch (outside.known(pid.boot)) {
      case 'alive':
        return this.#waits.add(pid.boot, out)
      case 'gone':
        return out.refuse(
          'ERR_NODE_DOWN',
          `${pid.node} is down; a ref by name finds where its actor is started again`,
          'no',
        )
      case 'unknown':
        return out.refuse(
          'ERR_NO_PROCESS',
          `no node of this life of ${pid.node} is known (any more); a ref by name finds its successor`,
          'no',
        )
    }
  }

  #ensure(out: Outgoing): void {
    const { target, actor } = out.address
    if (target.by !== 'ensure') return
    if (this.#outside.isolation !== 'off') out.payload ??= pack(out.args, 'args', this.#outside.maxPayloadBytes)
    const waiting = this.#ensuring.get(target.name)
    if (waiting !== undefined) {
      waiting.push(out)
      return
    }
    this.#ensuring.set(target.name, [out])
    this.#outside.spawn(actor, target.name, target.args, target.options).then(
      (pid) => this.#ensured(target.name, (each) => this.#sendTo(each, pid)),
      (error: unknown) => {
        const holder = error instanceof SkepError && error.code === 'ERR_ALREADY_STARTED' ? error.pid : undefined
        const kind = this.#outside.lookup(target.name)?.kind
        this.#ensured(target.name, (each) =>
          holder === undefined ? each.reject(error) : this.#sendToHolder(each, { pid: holder as Pid, kind }),
        )
      },
    )
  }

  #ensured(name: string, settle: (out: Outgoing) => void): void {
    const waiting = this.#ensuring.get(name) ?? []
    this.#ensuring.delete(name)
    for (const out of waiting) if (!out.settled) settle(out)
  }

  // --- on the way back ---

  /** An answer from another node. */
  arrived(from: string, frame: Extract<ActorFrame, { type: 'reply' | 'thrown' | 'item' | 'refused' }>): void {
    const out = this.#pending.get(frame.id)
    // Late answers to calls that timed out are usual; answers by somebody else are not believed.
    if (out === undefined || out.pid?.boot !== from) return this.#outside.dropped('an answer that nobody waits for')
    out.frame(frame)
  }

  /** There is a link to this boot now. */
  linked(boot: string): void {
    for (const out of this.#waits.take(boot)) if (out.pid !== undefined) this.#sendTo(out, out.pid)
  }

  /** The link to this boot, or the boot itself, is gone: what is open there will not be answered. */
  lost(boot: string, text: string): void {
    if (this.#outside.known(boot) !== 'alive') this.linked(boot)
    for (const out of [...this.#pending.values()]) {
      if (out.pid?.boot !== boot) continue
      // Out of the table first: there is nobody to be told that the caller gives up.
      this.forget(out)
      out.reject(new SkepError('ERR_NODE_DOWN', `${out.what}: ${text}`, { sent: 'maybe', pid: out.pid }))
    }
  }

  /** The value of an answer; where its bytes are bad, the call fails and the value is undefined. */
  read(payload: Uint8Array, out: Outgoing): unknown {
    try {
      return unpack(payload, this.refs(out.address))
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error)
      out.recall(text)
      out.reject(
        new SkepError(
          'ERR_BAD_REPLY',
          `${out.what}: the answer could not be read (is its node of another version?): ${text}`,
          { sent: 'yes' },
        ),
      )
      return undefined
    }
  }

  // --- for what is under way ---

  deadlineFor({ options, context }: Address, otherwiseMs: number): number {
    const own = this.#outside.time.now() + (options.timeout ?? otherwiseMs)
    return context === undefined ? own : Math.min(own, context.deadline)
  }

  /** Milliseconds left, as frames carry it: 0 for no end. */
  left({ deadline, forMs }: Outgoing): number {
    const until = deadline === Number.POSITIVE_INFINITY ? deadline : deadline - this.#outside.time.now()
    const ms = Math.min(until, forMs)
    return ms === Number.POSITIVE_INFINITY ? 0 : Math.max(1, Math.ceil(ms))
  }

  refs(address: Address): RefSource {
    return this.#outside.refsFor(address.context)
  }

  isolate(value: unknown, root: string, address: Address): unknown {
    const type = typeof value
    if (type === 'number' || type === 'undefined' || type === 'string' || type === 'boolean') return value
    return isolate(this.#outside.isolation, value, root, this.refs(address))
  }

  forget(out: Outgoing): void {
    this.#pending.delete(out.id)
    out.id = 0
  }

  cancel(out: Outgoing): void {
    if (out.pid !== undefined && this.#pending.has(out.id)) this.#outside.postSurely(out.pid.boot, cancelFrame(out.id))
  }

  grant(out: Outgoing, items: number): void {
    if (out.pid !== undefined && this.#pending.has(out.id))
      this.#outside.postSurely(out.pid.boot, creditFrame(out.id, items))
  }

  dropped(reason: string): void {
    this.#outside.dropped(reason)
  }

  /** The node has been stopped: nothing is waited for any more. */
  close(): void {
    this.#closed = true
    this.#waits.close()
    this.#releases.close()
    const open = new Set<Outgoing>(this.#pending.values())
    for (const timed of this.deadlines) if (timed instanceof Outgoing) open.add(timed)
    for (const waiting of this.#ensuring.values()) for (const out of waiting) open.add(out)
    for (const out of open) {
      if (out.settled) continue
      out.reject(
        new SkepError('ERR_STOPPED', `${out.what}: this node was stopped before the answer`, { sent: out.sentNow }),
      )
    }
  }
}

/** How the promise that was made last is settled. Kept here, so that a call needs no closure of its own for it. */
let resolveKept: (value: unknown) => void
let rejectKept: (error: unknown) => void

const ignored = (): void => {}

function keepSettlers(resolve: (value: unknown) => void, reject: (error: unknown) => void): void {
  resolveKept = resolve
  rejectKept = reject
}

/** A key repeats an answer: what has none, or many, cannot have one. */
function refuseKey({ actor, options }: Address, method: string, what: string): void {
  if (options.key === undefined) return
  throw new TypeError(`${actor.kind}.${method}: a ${what} cannot have a key; use the ref without $.with({ key })`)
}
