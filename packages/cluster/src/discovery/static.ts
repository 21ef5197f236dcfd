/**
 * Discovery from a fixed list: the addresses that you know before.
 */
import { parseAddress } from '../address.js'
import { aborted, type Discovery, titled } from './discovery.js'

/** Always the same peers, `host:port` each; a node's own address may be among them. Throws a TypeError at a bad one. */
export function staticPeers(addresses: readonly string[]): Discovery {
  if (!Array.isArray(addresses)) throw new TypeError('staticPeers takes a list of addresses such as 10.0.0.8:4370')
  for (const address of addresses) {
    if (parseAddress(address).port === 0) throw new TypeError(`'${address}' has port 0, at which nobody can be reached`)
  }
  const list = [...addresses]
  return titled('staticPeers', async function* ({ signal }) {
    yield list
    await aborted(signal)
  })
}
