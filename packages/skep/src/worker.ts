/**
 * A node in a process that `startWorkers` started: what is different there. Its name and its ports are told apart from
 * those of its siblings by the number of the worker, it finds them by what the supervisor says, and workers that are to
 * end leave together: each waits until it sees that the others take nothing new, so that no actor is handed over to a
 * process that is about to end as well.
 */

import cluster from 'node:cluster'
import { type Discovery, titled } from '@skep/cluster'
import { formatAddress, parseAddress } from '@skep/cluster/internal'
import type { AdminOptions, AdminTarget, Readiness } from './admin.js'
import { checkConfig, type NodeConfig } from './config.js'
import { type SkepNode, startNodeIn } from './node.js'
import type { SignalSource } from './signals.js'
import { realWorld, type World } from './world.js'

export interface Sibling {
  readonly name: string
  readonly address: string
}

/** What a supervisor says to its workers. */
export type ToWorker =
  | { readonly skep: 'siblings'; readonly siblings: readonly Sibling[] }
  /** Leave now, and these at the same time, by name. */
  | { readonly skep: 'leave'; readonly names: readonly string[] }
  /** Say that you still turn. */
  | { readonly skep: 'ping' }

/** What a worker says to its supervisor. */
export type FromWorker =
  | { readonly skep: 'node'; readonly name: string; readonly address: string; readonly readiness: Readiness }
  /** It was told by a signal to end, and asks who else was. */
  | { readonly skep: 'signal'; readonly signal: NodeJS.Signals }
  | { readonly skep: 'pong' }

/** The worker's end of the channel to its supervisor. */
export interface Channel {
  send(message: FromWorker): void
  onMessage(listener: (message: ToWorker) => void): void
  /** The supervisor is gone. */
  onClosed(listener: () => void): void
  /** Sends this very process a signal. */
  signal(signal: NodeJS.Signals): void
}

/** How long a worker that got a signal waits for the word of its supervisor, in milliseconds. */
const WORD_MS = 500
/** How long at most it waits until the siblings that leave too are seen to take nothing new, and how often it looks. */
const TOGETHER_MS = 1000
const LOOK_MS = 10

/** Environment variable with the number of a worker, from 0. */
export const workerVariable = 'SKEP_WORKER'

let own: Worker | undefined

/** This process as a worker; undefined where it is none. */
export function ownWorker(): Worker | undefined {
  // A child that a worker starts inherits the variable, but is no worker of the cluster module.
  const number = cluster.isWorker ? process.env[workerVariable] : undefined
  if (number === undefined) return undefined
  own ??= new Worker(Number(number), processChannel(), realWorld)
  return own
}

/** The nodes of all workers as the supervisor names them, and the strategy that leads to them. */
export class Siblings {
  known: readonly Sibling[] | undefined
  #changed: () => void = () => {}

  tell(siblings: readonly Sibling[]): void {
    this.known = siblings
    this.#changed()
  }

  get discovery(): Discovery {
    const siblings = this
    return titled('workers', async function* ({ signal }) {
      // One for all changes: there is no end of them.
      signal.addEventListener('abort', () => siblings.#changed(), { once: true })
      while (!signal.aborted) {
        const change = new Promise<void>((resolve) => {
          siblings.#changed = resolve
        })
        if (siblings.known !== undefined) yield siblings.known.map(({ address }) => address)
        await change
      }
    })
  }
}

export class Worker {
  readonly #number: number
  readonly #channel: Channel
  readonly #world: World
  #node: SkepNode | undefined
  #readiness: Readiness = 'joining'
  #starting = false
  readonly #siblings = new Siblings()
  #word: (names: readonly string[]) => void = () => {}
  /** From the first word of an end on: resolves when it is time to leave. */
  #together: Promise<void> | undefined
  #signalled = false
  /** The same end may be told twice: by the supervisor, and by who signals all processes of a service. */
  #spare = false

  constructor(number: number, channel: Channel, world: World) {
    this.#number = number
    this.#channel = channel
    this.#world = {
      ...world,
      signals: this.#signalsOf(world.signals),
      turned: (readiness) => this.#turned(readiness),
      admin: (options, target) => world.admin(options, this.#endingOnceDrained(target)),
    }
    channel.onMessage((message) => this.#onMessage(message))
    channel.onClosed(() => this.#onClosed())
  }

  /** `startNode` in a worker. Throws TypeError for a second node. */
  async start(config: NodeConfig): Promise<SkepNode> {
    checkConfig(config)
    if (this.#starting) throw new TypeError('a worker of startWorkers runs one node, and this one has it already')
    this.#starting = true
    try {
      this.#node = await startNodeIn(this.#world, workerConfig(config, this.#number, this.#siblings.discovery))
    } catch (error) {
      this.#starting = false
      throw error
    }
    this.#tell()
    return this.#node
  }

  #turned(readiness: Readiness): void {
    this.#readiness = readiness
    this.#tell()
  }

  #tell(): void {
    // What turns while it starts is told once it has: it may have joined before its admin listener is open.
    if (this.#node === undefined) return
    const { name, address } = this.#node
    this.#channel.send({ skep: 'node', name, address, readiness: this.#readiness })
  }

  /** Its place is taken by another process, so it must end: what goes on without a node takes calls that it cannot answer. */
  #endingOnceDrained(target: AdminTarget): AdminTarget {
    return { ...target, drain: () => target.drain().finally(() => this.#leave([])) }
  }

  #onMessage(message: ToWorker): void {
    if (message.skep === 'siblings') {
      this.#siblings.tell(message.siblings)
    } else if (message.skep === 'ping') {
      this.#channel.send({ skep: 'pong' })
    } else if (message.skep === 'leave') {
      this.#word(message.names)
      // The signal that came first goes on by itself.
      if (!this.#signalled) this.#leave(message.names)
    }
  }

  /** Nobody looks after it any more: whoever ended the supervisor ended all of it. */
  #onClosed(): void {
    const names = this.#siblings.known?.map(({ name }) => name) ?? []
    this.#word(names)
    if (!this.#signalled) this.#leave(names)
  }

  /** In order, and as a signal would: the program may have something to end as well. */
  #leave(names: readonly string[]): void {
    if (this.#together !== undefined) return
    this.#together = this.#seenLeaving(names)
    void this.#together.then(() => {
      if (this.#signalled) return
      this.#spare = true
      this.#channel.signal('SIGTERM')
    })
  }

  /** Signals as the node hears them: once it is known who leaves as well, and has been seen to. */
  #signalsOf(source: SignalSource): SignalSource {
    const heard = new Map<unknown, (signal: NodeJS.Signals) => void>()
    return {
      on: (signal, listener) => {
        const hear = heard.get(listener) ?? this.#hearing(listener)
        heard.set(listener, hear)
        source.on(signal, hear)
      },
      off: (signal, listener) => source.off(signal, heard.get(listener) ?? listener),
      listenerCount: (signal) => source.listenerCount(signal),
      exit: (code) => source.exit(code),
    }
  }

  #hearing(listener: (signal: NodeJS.Signals) => void): (signal: NodeJS.Signals) => void {
    let passed = false
    const pass = (signal: NodeJS.Signals): void => {
      passed = true
      listener(signal)
    }
    return (signal) => {
      // The second one does not wait, whoever the first one waits for.
      if (this.#signalled && !this.#spare) return pass(signal)
      if (this.#signalled) {
        this.#spare = false
        return
      }
      this.#signalled = true
      this.#together ??= this.#askWhoElse(signal).then((names) => this.#seenLeaving(names))
      void this.#together.then(() => {
        if (!passed) pass(signal)
      })
    }
  }

  #askWhoElse(signal: NodeJS.Signals): Promise<readonly string[]> {
    this.#node?.cordon()
    return new Promise((resolve) => {
      const cancel = this.#world.time.setTimer(() => resolve([]), WORD_MS, true)
      this.#word = (names) => {
        cancel()
        resolve(names)
      }
      this.#channel.send({ skep: 'signal', signal })
    })
  }

  /** Takes nothing new from here on, and resolves when none of these does as far as is seen here. */
  #seenLeaving(names: readonly string[]): Promise<void> {
    const { time } = this.#world
    const node = this.#node
    if (node === undefined) return Promise.resolve()
    node.cordon()
    const leaving = new Set(names)
    const until = time.now() + TOGETHER_MS
    return new Promise((resolve) => {
      const look = (): void => {
        const open = node.members().some(({ name, cordoned, phase }) => {
          return leaving.has(name) && !cordoned && (phase === 'joining' || phase === 'up')
        })
        if (open && time.now() < until) time.setTimer(look, LOOK_MS, true)
        else resolve()
      }
      look()
    })
  }
}

/** The same configuration for the worker of this number, which finds its siblings by `siblings`. */
export function workerConfig(config: NodeConfig, number: number, siblings: Discovery): NodeConfig {
  const { name, listen, advertise, admin, discovery = [] } = config
  return {
    ...config,
    name: `${name}.${number}`,
    discovery: [siblings, ...(typeof discovery === 'function' ? [discovery] : discovery)],
    ...(listen === undefined ? {} : { listen: counted(listen, number) }),
    ...(advertise === undefined ? {} : { advertise: counted(advertise, number) }),
    ...(admin === undefined ? {} : { admin: countedAdmin(admin, number) }),
  }
}

function countedAdmin(admin: string | AdminOptions, number: number): string | AdminOptions {
  return typeof admin === 'string' ? counted(admin, number) : { ...admin, listen: counted(admin.listen, number) }
}

/** A port of its own; 0 is any free one already. What is past the last port is refused where it is read. */
function counted(address: string, number: number): string {
  const { host, port } = parseAddress(address)
  return formatAddress({ host, port: port === 0 ? 0 : port + number })
}

function processChannel(): Channel {
  return {
    send: (message) => {
      // A supervisor that is gone just now is noticed by the end of the channel.
      if (process.connected) process.send?.(message, undefined, undefined, () => {})
    },
    onMessage: (listener) => {
      process.on('message', (message) => {
        if (typeof message === 'object' && message !== null && 'skep' in message) listener(message as ToWorker)
      })
      // The channel is no reason for the program to go on.
      process.channel?.unref()
    },
    onClosed: (listener) => {
      cluster.worker?.on('disconnect', () => {
        // Else the process would be ended at once.
        if (cluster.worker !== undefined) cluster.worker.exitedAfterDisconnect = true
        listener()
      })
    },
    signal: (signal) => process.kill(process.pid, signal),
  }
}
