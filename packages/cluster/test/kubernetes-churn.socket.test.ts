import { expect, it } from 'vitest'
import { type KubernetesOptions, kubernetes } from '../src/index.js'
import { Churn } from './kube-churn.js'
import { again, optionsFor, type Run, startServer } from './kubernetes-run.js'

const limits = { requestMs: 400, watchSeconds: 1, watchMarginMs: 20, relistMs: 2000, pageSize: 7 }

/** As the runner of a node does, without its pauses: whoever fails is asked again. */
class Kept {
  readonly #strategy: ReturnType<typeof kubernetes>
  #run: Run
  failures = 0

  constructor(strategy: ReturnType<typeof kubernetes>) {
    this.#strategy = strategy
    this.#run = this.#start()
  }

  async says(addresses: readonly string[]): Promise<void> {
    for (;;) {
      const settled = await this.#run.says(...addresses).then(
        () => true,
        () => false,
      )
      if (settled) return
    }
  }

  get lines(): number {
    return this.#run.log.lines.length
  }

  #start(): Run {
    const run = again(this.#strategy)
    // Without a failure it was the test that ended it.
    void run.failed().then(
      (error) => {
        expect(error.message).toMatch(/Kubernetes API/)
        this.failures++
        this.#run = this.#start()
      },
      () => {},
    )
    return run
  }
}

it.each([
  [1, true],
  [2, false],
  [3, true],
  [4, false],
])('whatever happens, in the end everybody who is there is named and nobody else (seed %i)', async (seed, cache) => {
  const server = await startServer({ cache, goneByStatus: seed > 2 })
  const churn = new Churn(server, seed)
  const by = (options: KubernetesOptions): Kept => new Kept(kubernetes(optionsFor(server, { ...options, limits })))
  const endpoints = by({ service: 'peers' })
  const pods = by({ mode: 'pods', labelSelector: 'app=shop', port: 4370 })
  let faults = 0
  for (let round = 0; round < 30; round++) {
    for (let i = churn.below(20); i >= 0; i--) {
      churn.step()
      if (churn.below(6) > 0) continue
      const before = server.requests
      // What follows happens while the strategies are at it, not before they have noticed.
      if (churn.fault()) await server.until(() => server.requests > before)
      faults++
    }
    // What lags behind for ever would never say what is there.
    server.thawCache()
    await Promise.all([endpoints.says(churn.endpoints()), pods.says(churn.pods())])
  }
  // It was no walk in the park, and the log did not suffer for it.
  expect(faults).toBeGreaterThan(30)
  expect(server.requests).toBeGreaterThan(60)
  expect(Math.max(endpoints.lines, pods.lines)).toBeLessThan(10)
})
