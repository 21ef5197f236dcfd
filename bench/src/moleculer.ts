/**
 * A node of Moleculer 0.14 with its TCP transporter, for the same call. It does less: an action is a service's, not one
 * actor's with a state and a place, nothing keeps one name from running twice, and arguments and results of a local
 * call are shared. It does more: JSON that any language reads, balancing between nodes that offer an action,
 * middlewares. Calls have no deadline here, as is its default; its validator and its log are off.
 */
import { createRequire } from 'node:module'
import { serve } from '@skep/example-counter/processes'
import { cpuUs, drive, type Slice, textOf } from './slice.js'

interface Broker {
  createService(schema: {
    name: string
    actions: Record<string, (context: { params: { text: string } }) => string>
  }): void
  start(): Promise<void>
  waitForServices(name: string, timeout: number): Promise<void>
  call(action: string, params: { text: string }): Promise<unknown>
}

export interface MoleculerArgument {
  readonly name: string
  readonly port: number
  /** `host:port/name` of all. */
  readonly urls: readonly string[]
  readonly serves: boolean
}

/** Its own types do not pass a strict compiler. */
const { ServiceBroker } = createRequire(import.meta.url)('moleculer') as {
  ServiceBroker: new (options: object) => Broker
}

const { name, port, urls, serves } = JSON.parse(process.argv[2] ?? '{}') as MoleculerArgument

const broker = new ServiceBroker({
  nodeID: name,
  logger: false,
  validator: false,
  transporter: { type: 'TCP', options: { port, urls, udpDiscovery: false, useHostname: false } },
})

if (serves) broker.createService({ name: 'echo', actions: { echo: ({ params }) => params.text } })

const steps = {
  cpu: cpuUs,
  start: () => broker.start(),
  found: () => broker.waitForServices('echo', 20_000),
  slice: (callers: number, ms: number): Promise<Slice> =>
    drive({
      callers,
      end: { ms },
      ask: (i) => broker.call('echo.echo', { text: textOf(i) }),
      right: (answer, i) => answer === textOf(i),
      timed: true,
    }),
}

export type MoleculerSteps = typeof steps

serve(steps)
