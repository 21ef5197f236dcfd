/**
 * Pods that come, change and go by chance, one seed a history; and the twin of every strategy: who is there, read off
 * what was done, not off what the server says.
 */
import type { Fault, KubeServer, Phase, Verb } from '@skep/kube-server'

interface Doubled {
  ip: string | undefined
  phase: Phase
  terminating: boolean
  shop: boolean
}

/** mulberry32: a number from 0 to 1, the same ones for the same seed. */
export function chanceOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let z = Math.imul(state ^ (state >>> 15), 1 | state)
    z = (z + Math.imul(z ^ (z >>> 7), 61 | z)) ^ z
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32
  }
}

const names = 40
/** Fewer than names: addresses are used again, and by two at once. */
const ips = 30

export class Churn {
  readonly #server: KubeServer
  readonly #chance: () => number
  readonly #twins: Map<string, Doubled> = new Map()

  constructor(server: KubeServer, seed: number) {
    this.#server = server
    this.#chance = chanceOf(seed)
    server.addService({ name: 'peers', selector: { app: 'shop' } })
  }

  below(n: number): number {
    return Math.floor(this.#chance() * n)
  }

  /** What the endpoints of the Service must be. */
  endpoints(): string[] {
    return this.#addresses(({ phase }) => phase !== 'Failed' && phase !== 'Succeeded')
  }

  /** What the pods of the label must be. */
  pods(): string[] {
    return this.#addresses(({ phase, terminating }) => phase === 'Running' && !terminating)
  }

  /** Something happens to a pod. */
  step(): void {
    const server = this.#server
    const name = `shop-${this.below(names)}`
    const pod = this.#twins.get(name)
    const ip = `10.0.0.${this.below(ips) + 1}`
    if (!pod || this.below(8) === 0) {
      // A new pod under the name, as a StatefulSet has them.
      server.addPod({ name, ips: [ip] })
      this.#twins.set(name, { ip, phase: 'Running', terminating: false, shop: true })
      return
    }
    switch (this.below(6)) {
      case 0:
        server.removePod(name)
        this.#twins.delete(name)
        return
      case 1:
        server.terminatePod(name)
        pod.terminating = true
        return
      case 2:
        pod.phase = (['Pending', 'Running', 'Running', 'Succeeded', 'Failed'] as const)[this.below(5)] ?? 'Running'
        server.setPhase(name, pod.phase)
        return
      case 3:
        server.setReady(name, this.below(2) === 0)
        return
      case 4:
        pod.shop = this.below(3) > 0
        server.setLabels(name, { app: pod.shop ? 'shop' : 'web' })
        return
      default:
        pod.ip = this.below(5) > 0 ? ip : undefined
        server.setIps(name, pod.ip === undefined ? [] : [pod.ip])
    }
  }

  /** Something goes wrong, now or with one of the next requests; true where a request must follow. */
  fault(): boolean {
    const server = this.#server
    switch (this.below(7)) {
      case 0:
        server.endWatches((['end', 'reset', 'truncate', 'gone', 'garbage'] as const)[this.below(5)])
        return true
      case 1:
        server.compact()
        return false
      case 2:
        server.bookmark()
        return false
      case 3:
        if (this.below(2) === 0) server.freezeCache()
        else server.thawCache()
        return false
      case 4:
        server.endWatches(this.below(6) === 0 ? 'silence' : 'reset')
        return true
      default: {
        const verb: Verb = this.below(3) === 0 ? 'list' : 'watch'
        server.failNext(verb, this.#someFault(), 1 + this.below(3))
        server.endWatches(this.below(2) === 0 ? 'end' : 'reset')
        return true
      }
    }
  }

  #someFault(): Fault {
    const status = [429, 500, 503, 401, 410, 404][this.below(6)] ?? 500
    const faults: readonly Fault[] = [
      { type: 'status', status },
      { type: 'reset' },
      { type: 'truncate' },
      { type: 'hang', begun: this.below(2) === 0 },
      { type: 'body', body: '{"type":"ADDED"}\n' },
      { type: 'error', code: 500, reason: 'InternalError' },
      { type: 'error', code: 410, reason: 'Expired' },
    ]
    return faults[this.below(faults.length)] as Fault
  }

  #addresses(lives: (pod: Doubled) => boolean): string[] {
    const living = [...this.#twins.values()].filter((pod) => pod.shop && pod.ip !== undefined && lives(pod))
    return [...new Set(living.map(({ ip }) => `${ip}:4370`))].sort()
  }
}
