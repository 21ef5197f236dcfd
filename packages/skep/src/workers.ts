/**
 * A node per core: the supervisor of as many processes, all of one program, each of them a whole node. It starts them,
 * tells each where its siblings listen, starts those again that die, has all of them leave together, and answers probes
 * for all. It is no node itself and takes part in nothing that they do: when it is gone they leave in order.
 *
 * Processes rather than threads: one that dies takes nobody along, the kernel shares the machine between them, the
 * program needs no second way to be loaded, and a node on the next core is found, called and handed over to like any.
 */

import cluster, { type Worker as ClusterWorker } from 'node:cluster'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { type Logger, SkepError } from '@skep/cluster'
import type { AdminOptions, AdminServer, Readiness } from './admin.js'
import { adminFaults, type LogLevel, loggerFaults, nearest, refuseFaults, shown, shownKey } from './config.js'
import { rootLogger } from './logs.js'
import { onSignals } from './signals.js'
import { type FromWorker, ownWorker, type Sibling, type ToWorker, workerVariable } from './worker.js'
import { realWorld, type World } from './world.js'

export interface WorkersOptions {
  /** How many. Default: one for each core that this process may use (`os.availableParallelism()`). */
  readonly workers?: number | undefined
  /** What the program finds in `process.argv` behind its own name. Default: what this one was given. */
  readonly args?: readonly string[] | undefined
  /**
   * One listener for the whole machine: `GET /live`, `GET /ready`, `POST /drain`; see `AdminOptions`. Off where it is not
   * given.
   */
  readonly admin?: string | AdminOptions | undefined
  /** Milliseconds after which a worker that was told to leave and has not ended is killed. Default 20,000. */
  readonly killAfter?: number | undefined
  /**
   * Milliseconds after which a worker whose event loop does not turn is killed, to be started again: its actors run
   * elsewhere by then. 0: never. Default 30,000.
   */
  readonly hungAfter?: number | undefined
  /** As in the configuration of a node; of the supervisor alone. */
  readonly logger?: Logger | LogLevel | undefined
}

/** The workers of this process. Made by `startWorkers`. */
export interface Workers {
  /** `host:port` of the admin listener; undefined where none is configured. */
  readonly admin: string | undefined
  /** Resolves once all of them have been ready. Rejects with ERR_STOPPED when they end before. */
  ready(): Promise<void>
  /**
   * All leave the cluster together, in order, and end: what is placed on them goes to other machines where there are any.
   * SIGTERM and SIGINT do the same. Resolves when no process is left, with whether all of them ended with code 0.
   */
  drain(): Promise<boolean>
}

/** A process of a worker as its supervisor sees it. */
export interface WorkerProcess {
  readonly pid: number | undefined
  send(message: ToWorker): void
  kill(signal: NodeJS.Signals): void
  onMessage(listener: (message: FromWorker) => void): void
  /** Once; with an error where it could not be started. Never before it returns. */
  onExit(listener: ExitListener): void
}

export type ExitListener = (code: number | null, signal: NodeJS.Signals | null, error?: Error) => void

/** What a supervisor needs of the world around it. */
export interface WorkersWorld extends Pick<World, 'time' | 'signals' | 'admin'> {
  fork(number: number): WorkerProcess
}

const KILL_MS = 20_000
const HUNG_MS = 30_000
/**
 * So many looks at a worker one after the other must find it silent: a machine that was asleep, or a supervisor that was,
 * comes late to one of them and to no more.
 */
const HUNG_LOOKS = 5
/** A worker that is not ready by then is told in the log, once a life. */
const SLOW_MS = 30_000
/** How long a worker's word that it got a signal waits for others that got it, too: all processes of a service do. */
const SETTLE_MS = 100
/** What a worker that died rests before it is started again: doubled with each time that it died within `WITHIN_MS`. */
const FIRST_REST_MS = 100
/** The limit of restarts of one worker. */
const MOST_DEATHS = 6
const WITHIN_MS = 60_000
const MOST_WORKERS = 256

/** After so many deaths within `WITHIN_MS`, the last one included; undefined: it is not started again. */
export function restMs(deaths: number): number | undefined {
  if (deaths > MOST_DEATHS) return undefined
  return FIRST_REST_MS * 2 ** (deaths - 1)
}

/**
 * Runs the program (a file URL or a path) in as many processes, each of which is a node by the `startNode` that it calls:
 * named `NAME.0`, `NAME.1` and so on, on ports that count up likewise. Resolves when all were started. The process ends
 * with code 0 after SIGTERM when all of them did; with 1 when one could not be started or died too often: the others
 * leave first. Errors: ERR_CONFIG with all `faults`, ERR_ADDRESS_IN_USE, ERR_LISTEN; TypeError within a worker, and in
 * any other process that node:cluster started.
 */
export async function startWorkers(program: string | URL, options: WorkersOptions = {}): Promise<Workers> {
  if (ownWorker() !== undefined)
    throw new TypeError('startWorkers: this process is a worker itself; give it the program of the workers')
  // As pm2 does in its cluster mode. Such a process cannot start any.
  if (!cluster.isPrimary)
    throw new TypeError(
      'startWorkers: this process was started by node:cluster; start it as a plain one (pm2: exec_mode fork)',
    )
  refuseFaults(workersFaults(program, options))
  const exec = /^file:/.test(String(program)) ? fileURLToPath(program) : String(program)
  const args = options.args ?? process.argv.slice(2)
  return startWorkersIn({ ...realWorld, fork: (number) => forked(exec, args, number) }, options)
}

/** The same in a given world. */
export async function startWorkersIn(world: WorkersWorld, options: WorkersOptions): Promise<Workers> {
  const supervisor = new Supervisor(world, options)
  await supervisor.start()
  return supervisor
}

/** Everything that is wrong, a sentence each. */
export function workersFaults(program: unknown, options: unknown): string[] {
  const faults: string[] = []
  const isFile = program instanceof URL ? program.protocol === 'file:' : typeof program === 'string' && program !== ''
  if (!isFile) faults.push(`the program must be a path or a file URL, not ${shown(program)}`)
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    return [...faults, `the options must be an object, not ${shown(options)}`]
  const keys = ['workers', 'args', 'admin', 'killAfter', 'hungAfter', 'logger']
  for (const key of Object.keys(options)) {
    if (keys.includes(key)) continue
    const near = nearest(key, keys)
    faults.push(`${shownKey(key)} is not an option of workers${near === undefined ? '' : `; is '${near}' meant?`}`)
  }
  const { workers, args, admin, killAfter, hungAfter, logger } = options as Record<string, unknown>
  const isCount = Number.isInteger(workers) && (workers as number) >= 1 && (workers as number) <= MOST_WORKERS
  if (workers !== undefined && !isCount)
    faults.push(`workers must be a whole number from 1 to ${MOST_WORKERS}, not ${shown(workers)}`)
  if (args !== undefined && !(Array.isArray(args) && args.every((one) => typeof one === 'string')))
    faults.push(`args must be a list of texts, not ${shown(args)}`)
  const isTime = typeof killAfter === 'number' && killAfter > 0 && killAfter < 2 ** 31
  if (killAfter !== undefined && !isTime) faults.push(`killAfter must be a time in ms above 0, not ${shown(killAfter)}`)
  const isHung = hungAfter === 0 || (typeof hungAfter === 'number' && hungAfter >= 1000 && hungAfter < 2 ** 31)
  if (hungAfter !== undefined && !isHung)
    faults.push(`hungAfter must be a time in ms from 1000, or 0 for never, not ${shown(hungAfter)}`)
  return [...faults, ...adminFaults(admin), ...loggerFaults(logger)]
}

/** One place for a worker: the processes that come and go in it have the same number, and so the same name. */
interface Seat {
  readonly number: number
  process: WorkerProcess | undefined
  node: Sibling | undefined
  state: 'starting' | Readiness | 'gone'
  startedAt: number
  /** When its processes died, of the last `WITHIN_MS`. */
  deaths: number[]
  /** How many looks have found it without an answer. */
  silent: number
  /** Ends whatever it waits for. */
  cancel: () => void
  unwatch: () => void
}

class Supervisor implements Workers {
  readonly #world: WorkersWorld
  readonly #options: WorkersOptions
  readonly #log: Logger
  readonly #seats: readonly Seat[]
  readonly #begun: number
  /** Whether all have been ready at one time. */
  #formed = false
  #waiting: { resolve(): void; reject(error: Error): void }[] = []
  /** Workers that were told by a signal to end, and have not ended yet. */
  readonly #asking = new Set<Seat>()
  #draining: Promise<boolean> | undefined
  #clean = true
  #ended: () => void = () => {}
  #admin: AdminServer | undefined

  constructor(world: WorkersWorld, options: WorkersOptions) {
    this.#world = world
    this.#options = options
    this.#log = rootLogger(options).child({ component: 'workers' })
    this.#begun = world.time.now()
    this.#seats = Array.from({ length: options.workers ?? availableParallelism() }, (_, number) => ({
      number,
      process: undefined,
      node: undefined,
      state: 'gone',
      startedAt: 0,
      deaths: [],
      silent: 0,
      cancel: () => {},
      unwatch: () => {},
    }))
  }

  get admin(): string | undefined {
    return this.#admin?.address
  }

  async start(): Promise<void> {
    const { admin } = this.#options
    if (admin !== undefined) {
      this.#admin = await this.#world.admin(typeof admin === 'string' ? { listen: admin } : admin, {
        readiness: () => this.#readiness(),
        workers: () => this.#states(),
        drain: async () => {
          if (!(await this.drain())) this.#world.signals.exit(1)
        },
      })
      this.#log.info({ address: this.#admin.address }, `admin listener of all workers on ${this.#admin.address}`)
    }
    onSignals(this.#world.signals, async (signal) => {
      this.#log.info({ signal }, `${signal}: ${this.#running().length} workers leave together`)
      if (!(await this.drain())) throw new Error('a worker did not end as it should')
    })
    for (const seat of this.#seats) this.#fork(seat)
  }

  ready(): Promise<void> {
    if (this.#formed) return Promise.resolve()
    if (this.#draining !== undefined) return Promise.reject(stopped())
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  drain(): Promise<boolean> {
    this.#draining ??= this.#drain()
    return this.#draining
  }

  async #drain(): Promise<boolean> {
    for (const { reject } of this.#waiting.splice(0)) reject(stopped())
    for (const seat of this.#seats) {
      seat.cancel()
      seat.unwatch()
    }
    const over = new Promise<void>((resolve) => {
      this.#ended = resolve
    })
    const running = this.#running()
    const hearing = running.filter(({ state }) => state !== 'starting')
    this.#sayWhoLeaves(hearing, running)
    // One that has no node yet may not be there to hear what it is told.
    for (const { process, state } of running) if (state === 'starting') process?.kill('SIGTERM')
    const { killAfter = KILL_MS } = this.#options
    const cancel = this.#world.time.setTimer(() => this.#killAll(killAfter), killAfter, true)
    if (running.length > 0) await over
    cancel()
    await this.#admin?.close()
    return this.#clean
  }

  #running(): Seat[] {
    return this.#seats.filter(({ process }) => process !== undefined)
  }

  #fork(seat: Seat): void {
    const { time } = this.#world
    const process = this.#world.fork(seat.number)
    seat.process = process
    seat.state = 'starting'
    seat.startedAt = time.now()
    process.onMessage((message) => this.#onMessage(seat, message))
    process.onExit((code, signal, error) => this.#onExit(seat, code, signal, error))
    seat.cancel = time.setTimer(() => {
      const { state } = seat
      if (state === 'ready') return
      this.#log.warn(this.#fieldsOf(seat), `${shownSeat(seat)} is not ready after ${SLOW_MS / 1000} s, but ${state}`)
    }, SLOW_MS)
  }

  #onMessage(seat: Seat, message: FromWorker): void {
    if (message.skep === 'signal') return this.#onSignalled(seat, message.signal)
    if (message.skep === 'pong') {
      seat.silent = 0
      return
    }
    const { name, address, readiness } = message
    const isNew = seat.node === undefined
    seat.node = { name, address }
    seat.state = readiness
    if (isNew) {
      this.#log.info(this.#fieldsOf(seat), `${shownSeat(seat)} listens on ${address}`)
      this.#tellSiblings()
      this.#watch(seat)
    }
    if (this.#formed || this.#seats.some(({ state }) => state !== 'ready')) return
    this.#formed = true
    const ms = Math.round(this.#world.time.now() - this.#begun)
    this.#log.info({ workers: this.#seats.length, ms }, `all ${this.#seats.length} workers are ready after ${ms} ms`)
    for (const { resolve } of this.#waiting.splice(0)) resolve()
  }

  /** From when it can answer on. A probe of the process would find it; of this one nobody does. */
  #watch(seat: Seat): void {
    const { hungAfter = HUNG_MS } = this.#options
    if (hungAfter === 0 || this.#draining !== undefined) return
    seat.silent = 0
    const look = (): void => {
      if (seat.silent === HUNG_LOOKS) {
        this.#log.error(this.#fieldsOf(seat), `${shownSeat(seat)} has not turned for ${hungAfter} ms: killed`)
        seat.process?.kill('SIGKILL')
        return
      }
      seat.silent++
      seat.process?.send({ skep: 'ping' })
      seat.unwatch = this.#world.time.setTimer(look, hungAfter / HUNG_LOOKS)
    }
    look()
  }

  #tellSiblings(): void {
    const siblings = this.#seats.flatMap(({ node }) => node ?? [])
    for (const { process, node } of this.#seats) if (node !== undefined) process?.send({ skep: 'siblings', siblings })
  }

  /** Where all of them got it they leave together, and are told so once we have got it; else this one leaves alone. */
  #onSignalled(seat: Seat, signal: NodeJS.Signals): void {
    if (this.#draining !== undefined) return this.#sayWhoLeaves([seat], this.#running())
    this.#asking.add(seat)
    this.#world.time.setTimer(() => {
      if (this.#draining !== undefined || !this.#asking.has(seat)) return
      this.#log.info(this.#fieldsOf(seat), `${shownSeat(seat)} got a ${signal} and leaves, to be started again`)
      this.#sayWhoLeaves([seat], [...this.#asking])
    }, SETTLE_MS)
  }

  #sayWhoLeaves(to: readonly Seat[], leaving: readonly Seat[]): void {
    const names = leaving.flatMap(({ node }) => node?.name ?? [])
    for (const { process } of to) process?.send({ skep: 'leave', names })
  }

  #killAll(after: number): void {
    for (const seat of this.#running()) {
      this.#log.error(this.#fieldsOf(seat), `${shownSeat(seat)} has not ended within ${after} ms: killed`)
      seat.process?.kill('SIGKILL')
    }
  }

  #onExit(seat: Seat, code: number | null, signal: NodeJS.Signals | null, error?: Error): void {
    const { time } = this.#world
    const fields = { ...this.#fieldsOf(seat), code, signal, ...(error === undefined ? {} : { err: error }) }
    const seconds = ((time.now() - seat.startedAt) / 1000).toFixed(1)
    const ended = signal === null ? `ended with code ${code}` : `was killed by ${signal}`
    const said = error === undefined ? `${ended} after ${seconds} s` : `could not be started: ${error.message}`
    const text = `${shownSeat(seat)} ${said}`
    const first = seat.state
    seat.cancel()
    seat.unwatch()
    Object.assign(seat, { process: undefined, node: undefined, state: 'gone' })
    this.#asking.delete(seat)
    if (this.#draining !== undefined) {
      // Who was told by a signal, ours or that of a terminal, before it had a node ends of it.
      const wasTold = signal === 'SIGTERM' || signal === 'SIGINT'
      if (code !== 0 && !(first === 'starting' && wasTold)) this.#clean = false
      this.#log.info(fields, text)
      if (this.#running().length === 0) this.#ended()
      return
    }
    this.#tellSiblings()
    if (!this.#formed) return this.#giveUp(fields, `${text}, before all were ready: the start has failed`)
    const now = time.now()
    seat.deaths = [...seat.deaths.filter((at) => now - at < WITHIN_MS), now]
    const rest = restMs(seat.deaths.length)
    if (rest === undefined)
      return this.#giveUp(fields, `${text}, ${seat.deaths.length} times within ${WITHIN_MS / 1000} s: given up`)
    this.#log.warn(fields, `${text}: started again in ${rest} ms`)
    seat.cancel = time.setTimer(() => this.#fork(seat), rest, true)
  }

  /** Whoever looks after this process decides whether all of it is started again. */
  #giveUp(fields: object, text: string): void {
    this.#log.fatal(fields, `${text}, the others leave`)
    void this.drain().then(() => this.#world.signals.exit(1))
  }

  /** Once all have been ready the machine is as long as one is: the others take no calls while they are not there. */
  #readiness(): Readiness {
    if (this.#draining !== undefined) return 'leaving'
    return this.#formed && this.#seats.some(({ state }) => state === 'ready') ? 'ready' : 'joining'
  }

  #states(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#seats.map(({ number, state }) => [number, state]))
  }

  #fieldsOf({ number, process, node }: Seat): object {
    return { worker: number, pid: process?.pid, ...(node === undefined ? {} : { node: node.name }) }
  }
}

function shownSeat({ number, process, node }: Seat): string {
  return `worker ${number} (${node === undefined ? '' : `${node.name}, `}process ${process?.pid ?? 'none'})`
}

function stopped(): SkepError {
  return new SkepError('ERR_STOPPED', 'the workers leave')
}

/** By the cluster module, so that what the program itself listens on is shared by all workers. */
export function forked(exec: string, args: readonly string[], number: number): WorkerProcess {
  cluster.setupPrimary({ exec, args: [...args] })
  let worker: ClusterWorker
  try {
    worker = cluster.fork({ [workerVariable]: String(number) })
  } catch (error) {
    // Out of memory, say: another try may come through.
    return unstarted(error as Error)
  }
  return {
    pid: worker.process.pid,
    send: (message) => {
      // One that dies just now is noticed by its exit.
      if (worker.isConnected()) worker.send(message, () => {})
    },
    kill: (signal) => worker.process.kill(signal),
    onMessage: (listener) => {
      worker.on('message', (message: unknown) => {
        if (typeof message === 'object' && message !== null && 'skep' in message) listener(message as FromWorker)
      })
    },
    onExit: (listener) => {
      worker.on('exit', (code, signal) => listener(code, signal as NodeJS.Signals | null))
      worker.on('error', (error) => {
        if (worker.process.pid === undefined) listener(null, null, error)
      })
    },
  }
}

function unstarted(error: Error): WorkerProcess {
  return {
    pid: undefined,
    send: () => {},
    kill: () => {},
    onMessage: () => {},
    onExit: (listener) => process.nextTick(listener, null, null, error),
  }
}
