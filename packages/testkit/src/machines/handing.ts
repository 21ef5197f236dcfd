/**
 * The shells' part of handoffs, as the machines see it: processes are paused and exported, made anew of what was
 * exported, and released; and the checks of it. A process counts the work that was done by it, and so does a twin that
 * knows only of the name: where nothing but joins, leaves and moves happens, none of it may be lost or done twice.
 */
import { below, nextFloat, pick, type Random } from '@skep/cluster/core'
import { type Claim, lookup, type TrackerOutput } from '@skep/tracker/core'
import type { Process, SimNode } from './node.js'
import type { Complain } from './safety.js'

type Output<T extends TrackerOutput['type']> = Extract<TrackerOutput, { type: T }>

/** A running call and `handoff.out` together take at most this long. */
const MAX_EXPORT_MS = 300

export class Handing {
  private readonly complain: Complain
  private readonly strict: () => boolean
  private readonly random: Random
  /** By name, what was done since it was last started from its spec. */
  private readonly done = new Map<string, number>()
  /** Names whose copies may have been several: their work was counted by one of them. */
  private readonly doubtful = new Set<string>()

  constructor(random: Random, complain: Complain, strict: () => boolean) {
    this.random = random
    this.complain = complain
    this.strict = strict
  }

  /** How long the export takes, and whether the process refuses to go. */
  exporting(node: SimNode, { pid }: Output<'export'>): { ms: number; fails: boolean } {
    const process = node.processes.get(pid)
    if (process !== undefined) process.exporting = true
    const quick = nextFloat(this.random) < 0.5
    return { ms: quick ? 0.1 : nextFloat(this.random) * MAX_EXPORT_MS, fails: nextFloat(this.random) < 0.05 }
  }

  /** The export has ended: what the shell says. Undefined where the process is gone. */
  exported(
    node: SimNode,
    { pid, name, number }: Output<'export'>,
    fails: boolean,
  ): Parameters<SimNode['replica']['track']>[0] | undefined {
    const process = node.processes.get(pid)
    if (process?.exporting !== true) return undefined
    if (fails) return { type: 'exportFailed', pid, name, number, code: 'ERR_CANNOT_MOVE', text: 'it does not want to' }
    process.paused = true
    return { type: 'exported', pid, name, number, state: imageOf(process.work) }
  }

  resume(node: SimNode, { pid }: Output<'resume'>): void {
    const process = node.processes.get(pid)
    if (process === undefined) return
    process.exporting = false
    process.paused = false
  }

  /** The process lives elsewhere from here on. */
  release(node: SimNode, { pid, name, to }: Output<'release'>): void {
    const process = node.processes.get(pid)
    if (process !== undefined && !process.paused)
      this.complain('duplicate', `${node.boot} hands ${name} over to ${to.pid} while its process runs`)
    if (node.holdings.get(name)?.pid === pid) node.holdings.delete(name)
  }

  /** A process was made for the name here: of what was handed over, or of its spec. */
  made(node: SimNode, claim: Claim, image: Uint8Array | undefined): void {
    const process = node.process(claim.pid.id)
    if (!this.strict()) this.doubtful.add(claim.name)
    if (image === undefined || claim.from === undefined) {
      process.work = 0
      this.done.set(claim.name, 0)
      if (this.strict()) this.doubtful.delete(claim.name)
      return
    }
    process.work = workOf(image)
  }

  /** Somebody's call to the name does its work, if it gets to a process that runs. */
  work(node: SimNode, name: string, nodes: readonly SimNode[]): string {
    const claim = lookup(node.replica.tracker.registry, name)
    const holder = nodes.find((one) => one.boot === claim?.pid.boot)
    const process = claim === undefined ? undefined : holder?.processes.get(claim.pid.id)
    if (claim === undefined || process === undefined || process.paused) return `no work at ${name}`
    if (holder?.holdings.get(name)?.pid !== claim.pid.id) return `no work at ${name} any more`
    if (!this.strict()) this.doubtful.add(name)
    process.work++
    this.done.set(name, (this.done.get(name) ?? 0) + 1)
    return `work at ${name} of ${claim.pid}`
  }

  /** At rest: what a process that was only ever handed over has done is all that was done. */
  lost(nodes: readonly SimNode[]): string | undefined {
    for (const node of nodes) {
      for (const [name, { pid, placed }] of node.holdings) {
        const process = node.processes.get(pid)
        if (!placed || process === undefined || this.doubtful.has(name)) continue
        const done = this.done.get(name) ?? 0
        if (process.work !== done) return `${name} at ${node.boot} has done ${process.work} of ${done}`
        if (process.paused || process.exporting) return `${name} at ${node.boot} stands still`
      }
    }
    return undefined
  }

  /** Where a user wants a name to be: somewhere, or where the ring says. */
  somewhere(nodes: readonly SimNode[]): string | undefined {
    return below(this.random, 3) === 0 ? undefined : pick(this.random, nodes)?.boot
  }
}

export function isStill(process: Process | undefined): boolean {
  return process?.exporting === true || process?.paused === true
}

function imageOf(work: number): Uint8Array {
  return Uint8Array.of(work & 255, (work >> 8) & 255, (work >> 16) & 255)
}

function workOf(image: Uint8Array): number {
  return (image[0] ?? 0) | ((image[1] ?? 0) << 8) | ((image[2] ?? 0) << 16)
}
