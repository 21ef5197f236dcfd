/**
 * A run of the strategy for Kubernetes as a test wants it: against a test server, with short pauses, and with answers
 * that can be waited for.
 */

import { KubeServer, type KubeServerOptions } from '@skep/kube-server'
import { afterEach } from 'vitest'
import type { DiscoveryContext } from '../src/discovery/discovery.js'
import { type KubernetesLimits, type KubernetesOptions, kubernetes } from '../src/index.js'
import { Recorder } from './nodes.js'

/** Pauses that a test can wait for; times that it cannot exceed where it does not want to. */
export const quick: Partial<KubernetesLimits> = { backoffMinMs: 2, backoffMaxMs: 20, steadyMs: 0.001 }

const ends: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

export async function startServer(options?: KubeServerOptions): Promise<KubeServer> {
  const server = await KubeServer.start(options)
  ends.push(() => server.close())
  return server
}

export class Run {
  readonly answers: (readonly string[])[] = []
  failure: Error | undefined
  ended = false
  readonly log: Recorder = new Recorder()
  readonly #abort = new AbortController()
  readonly #waiting: Set<() => void> = new Set()
  #refresh = (): void => {}
  readonly #over: Promise<void>

  constructor(strategy: ReturnType<typeof kubernetes>) {
    const context: DiscoveryContext = {
      signal: this.#abort.signal,
      self: { name: 'n', address: '192.0.2.9:4370', cluster: 'c', boot: 'b' },
      logger: this.log.logger,
      onRefresh: (listener) => {
        this.#refresh = listener
      },
      keys: () => [],
    }
    this.#over = this.#consume(strategy(context))
  }

  get latest(): readonly string[] | undefined {
    return this.answers.at(-1)
  }

  refresh(): void {
    this.#refresh()
  }

  /** Resolves as soon as `test` holds, looked at after every answer and at the end. Rejects when the run has failed. */
  until(test: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (test()) resolve()
        else if (this.ended) reject(this.failure ?? new Error('the run has ended'))
        else return
        this.#waiting.delete(look)
      }
      this.#waiting.add(look)
      look()
    })
  }

  /** Resolves when the latest answer is this one, in any order. */
  says(...addresses: readonly string[]): Promise<void> {
    const wanted = [...addresses].sort().join()
    return this.until(() => this.latest?.join() === wanted)
  }

  /** What it failed with. */
  async failed(): Promise<Error> {
    await this.#over
    if (!this.failure) throw new Error('the run has not failed')
    return this.failure
  }

  async end(): Promise<void> {
    this.#abort.abort()
    await this.#over
  }

  async #consume(answers: AsyncIterable<readonly string[]>): Promise<void> {
    try {
      for await (const answer of answers) {
        this.answers.push(answer)
        this.#look()
      }
    } catch (error) {
      this.failure = error as Error
    }
    this.ended = true
    this.#look()
  }

  #look(): void {
    for (const look of this.#waiting) look()
  }
}

/** How `server` is reached; `service` and the rest as the test says. */
export function optionsFor(server: KubeServer, options: KubernetesOptions): KubernetesOptions {
  const { limits, ...rest } = options
  return {
    apiServer: server.url,
    ca: server.ca,
    ...(rest.tokenFile === undefined && rest.serviceAccountPath === undefined ? { token: 'a-token' } : {}),
    namespace: 'default',
    limits: { ...quick, ...limits },
    ...rest,
  }
}

export function run(server: KubeServer, options: KubernetesOptions): Run {
  return again(kubernetes(optionsFor(server, options)))
}

/** A run of a strategy that may have run before. */
export function again(strategy: ReturnType<typeof kubernetes>): Run {
  const made = new Run(strategy)
  ends.push(() => made.end())
  return made
}

/** `10.0.x.y` of the n-th pod. */
export function ipOf(n: number): string {
  return `10.0.${Math.floor(n / 250)}.${(n % 250) + 1}`
}
