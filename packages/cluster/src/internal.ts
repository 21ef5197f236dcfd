/** The seam for tests and simulations of nodes. Not for users: it may change with any version. */

export { type Address, formatAddress, isLoopback, parseAddress } from './address.js'
export { type Chance, realChance } from './chance.js'
export { type ClusterWorld, realClusterWorld, startClusterIn } from './cluster.js'
export { type Beat, maxPacketBytes, sealPacket } from './discovery/gossip-packet.js'
export { unfailing } from './log.js'
export {
  type Connection,
  type ConnectionEnd,
  type ConnectionEvents,
  listenError,
  type Transport,
  type TransportEvents,
} from './transport.js'
export { bytesTogether, joinFrames, packFrame, splitFrames, unpackFrame } from './wire.js'
