/** The seam for tests and simulations of whole nodes. Not for users: it may change with any version. */

export { configFaults } from './config.js'
export { type Layers, layersOf, startNodeIn } from './node.js'
export type { SignalSource } from './signals.js'
export { realWorld, type World } from './world.js'
