/**
 * Discovery by the DNS of Docker: the replicas of a service of Compose, or the tasks of one of Swarm.
 */
import type { Discovery } from './discovery.js'
import { addressesAt, type DnsAddressOptions } from './dns.js'
import { checkName, nameServerStrategy } from './name-servers.js'
import { portOf } from './port.js'

export interface ComposeOptions extends DnsAddressOptions {
  /** Its name in the Compose or stack file. */
  readonly service: string
}

/**
 * All containers of the service. Asked are both names there are: `<service>` (in Compose every replica) and
 * `tasks.<service>` (in Swarm every task, where the plain name is the load balancer's). Throws a TypeError at bad options.
 */
export function compose(service: string | ComposeOptions): Discovery {
  const options: ComposeOptions = typeof service === 'string' ? { service } : service
  checkName('compose', options?.service)
  const port = portOf(options.port)
  const names = [options.service, `tasks.${options.service}`]
  return nameServerStrategy(`compose(${options.service})`, options, async (ask, context) =>
    addressesAt(port(context), await ask.addresses(names)),
  )
}
