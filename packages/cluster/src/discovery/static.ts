/**
 * Discovery from a fixed list: the addresses that you know before.
 */
import { peerAddress } from '../address.js'
import { aborted, type Discovery, titled } from './discovery.js'

/** Always the same peers, `host:port` each; a node's own address may be among them. Throws a TypeError at a bad one. */
export function staticPeers(addresses: readonly string[]): Discovery {
  if (!Array.isArray(addresses)) throw new TypeError('staticPeers takes a list of addresses such as 10.0.0.8:4370')
  const list = addresses.map(peerAddress)
  return titled('staticPeers', async function* ({ signal }) {
    yield list
    await aborted(signal)
  })
}
